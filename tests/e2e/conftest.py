"""Fixtures of the end-to-end tests. README.md beside this file tells how to use them."""
import collections
import contextlib
import json
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness.courier import Courier  # noqa: E402
from harness.cyrus import Cyrus  # noqa: E402
from harness.dovecot import Dovecot  # noqa: E402
from harness.gateway import Gateway, upstream as upstream_section  # noqa: E402
from harness.imap import Client  # noqa: E402
from harness.net import Authority  # noqa: E402
from harness.patience import PATIENCE_S  # noqa: E402
from harness.recorder import Recorder  # noqa: E402
from harness.scripted import Scripted  # noqa: E402
from harness.server import Server  # noqa: E402
from harness.unpacked import RELEASE  # noqa: E402

_exhibits = []  # whatever can tell, after a failed test, what happened in it

_SERVERS = ("dovecot", "cyrus", "courier")
_ran = collections.defaultdict(collections.Counter)      # server: {rule or area: tests}
_skipped = collections.defaultdict(collections.Counter)  # (server, why): {rule or area: tests}


def pytest_addoption(parser):
    parser.addoption("--write-docs", action="store_true", help="tests that measure what a page of docs/ tells write it there")


def pytest_configure(config):
    config.addinivalue_line("markers", "once: one pass of ./check runs it, not each that has another gateway")
    config.addinivalue_line("markers", "every_server: runs once for each real server that its fixture `server` can be")
    config.addinivalue_line("markers", "debian_12: about a page that tells of the servers of Debian 12")
    config.addinivalue_line("markers", "needs(*capabilities): skipped where `server` lacks one; \"A|B\": either will do")


def pytest_generate_tests(metafunc):
    """A test that names `dovecot` stays with it. The gateway's code is the same with every server: one pass has the others."""
    is_marked = metafunc.definition.get_closest_marker("every_server") and "dovecot" not in metafunc.fixturenames
    if is_marked and "server" in metafunc.fixturenames:
        others = [pytest.param(name, marks=pytest.mark.once) for name in _SERVERS[1:]]
        metafunc.parametrize("server", [_SERVERS[0], *others], indirect=True)


def pytest_collection_modifyitems(config, items):
    """A test that hangs ends by itself, not with the whole run: behind the waiting in it, which tells more of what did not come.
    Where the servers are those of another release, that is what is tested."""
    for item in items:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(5 * PATIENCE_S))
    if RELEASE:
        servers = {"server", "dovecot", "stock_dovecot", "cyrus", "courier"}
        others = [item for item in items if servers.isdisjoint(item.fixturenames) or item.get_closest_marker("debian_12")]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    _note(item, report)
    if report.failed and call.when in ("setup", "call", "teardown"):
        for each in list(_exhibits):
            if isinstance(each, Server) and each not in item.funcargs.values():
                continue
            for exhibit in (each, *getattr(each, "transcripts", ())):
                report.sections.append(exhibit.exhibit())


def _note(item, report):
    """For the summary: on which real server, and for which rules or areas. The process of pytest -n that counts only gets the report."""
    server = getattr(item, "callspec", None) and item.callspec.params.get("server")
    if server not in _SERVERS or (report.when != "call" and not report.skipped):
        return
    rules = re.match(r"test_((?:p\d\d_)+)", item.name)
    areas = rules.group(1).upper().strip("_").replace("P0", "P").split("_") if rules else [item.path.stem.removeprefix("test_")]
    report.server_areas = [server, areas]


def pytest_runtest_logreport(report):
    server, areas = getattr(report, "server_areas", (None, ()))
    for area in areas:
        if report.skipped:
            _skipped[server, report.longrepr[2].removeprefix("Skipped: ")][area] += 1
        else:
            _ran[server][area] += 1


def pytest_terminal_summary(terminalreporter):
    def shown(areas):
        ordered = sorted(areas, key=lambda area: (not area.startswith("P"), int(re.sub(r"\D", "", area) or 0), area))
        return ", ".join(f"{area} {areas[area]}" for area in ordered)

    if _ran or _skipped:
        terminalreporter.section("tests by real server")
    for server in _SERVERS:
        if _ran[server]:
            terminalreporter.line(f"{server}: {shown(_ran[server])}")
        for (whose, why), areas in _skipped.items():
            if whose == server:
                terminalreporter.line(f"    skipped, {why}: {shown(areas)}")


@contextlib.contextmanager
def _shown_on_failure(thing):
    _exhibits.append(thing)
    try:
        yield thing
    finally:
        _exhibits.remove(thing)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """The CA of all certificates here; authority.client_context() trusts it."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def certificate(authority):
    """(certificate, key) of localhost, for whoever serves TLS."""
    return authority.issue("localhost")


@pytest.fixture(scope="session")
def trust(authority):
    """A client's TLS context."""
    return authority.client_context()


def _serving(server):
    with _shown_on_failure(server):
        yield server
        server.stop()


@pytest.fixture(scope="session")
def dovecot(tmp_path_factory, authority):
    """One real Dovecot for the whole run. Tests that change mailboxes take a user by dovecot.new_user()."""
    yield from _serving(Dovecot(tmp_path_factory.mktemp("dovecot"), authority))


@pytest.fixture(scope="session")
def stock_dovecot(tmp_path_factory, authority):
    """Another one, with the mechanisms of a stock configuration: what clients choose by themselves is not CRAM-MD5."""
    yield from _serving(Dovecot(tmp_path_factory.mktemp("stock"), authority, more_config="auth_mechanisms = plain login\n"))


@pytest.fixture(scope="session")
def cyrus(tmp_path_factory, authority):
    """One real Cyrus for the whole run."""
    yield from _serving(Cyrus(tmp_path_factory.mktemp("cyrus"), authority))


@pytest.fixture(scope="session")
def courier(tmp_path_factory, authority):
    """One real Courier for the whole run."""
    yield from _serving(Courier(tmp_path_factory.mktemp("courier"), authority))


@pytest.fixture
def server(request):
    """The real server that `gateway` stands in front of: Dovecot, or each in turn where a test is marked every_server."""
    server = request.getfixturevalue(getattr(request, "param", "dovecot"))
    for mark in request.node.iter_markers("needs"):
        if lacking := server.lacks(*mark.args):
            pytest.skip(f"{server.name} has no {lacking.replace('|', ' or ')}")
    return server


@pytest.fixture(scope="module")
def _gateways(tmp_path_factory, certificate):
    """Gateways by their configuration, kept for the module."""
    kept = {}
    yield lambda folder, upstreams, **settings: _kept_gateway(kept, tmp_path_factory, certificate, folder, upstreams, settings)
    for gateway in kept.values():
        gateway.close_clients()
    for gateway in kept.values():
        gateway.stop()


def _kept_gateway(kept, tmp_path_factory, certificate, folder, upstreams, settings):
    key = json.dumps([[u.name, dict(u)] for u in upstreams] + [settings], sort_keys=True, default=str)
    if key not in kept:
        kept[key] = Gateway(tmp_path_factory.mktemp(folder), upstreams, certificate, **settings)
    return kept[key]


@pytest.fixture
def gateway(_gateways, server):
    """A gateway in front of `server`; the same one for all tests of a module."""
    gateway = _gateways("gateway", [upstream_section(server.plain_port)])
    with _shown_on_failure(gateway):
        yield gateway
        gateway.close_clients()


@pytest.fixture
def start_gateway(tmp_path_factory, certificate):
    """start_gateway(upstreams, **settings): a gateway of this test alone. upstreams: a port, a Section, or a list of them."""
    with contextlib.ExitStack() as stack:
        def start(upstreams, **settings):
            listed = upstreams if isinstance(upstreams, (list, tuple)) else [upstreams]
            listed = [upstream_section(each) if isinstance(each, int) else each for each in listed]
            gateway = Gateway(tmp_path_factory.mktemp("gateway"), listed, certificate, start=False, **settings)
            stack.enter_context(_shown_on_failure(gateway))
            stack.callback(gateway.stop)
            stack.callback(gateway.close_clients)
            gateway.start()
            return gateway
        yield start


@pytest.fixture
def start_scripted():
    """start_scripted(**habits): a scripted upstream of this test."""
    with contextlib.ExitStack() as stack:
        def start(**habits):
            server = Scripted(**habits)
            stack.enter_context(_shown_on_failure(server))
            stack.callback(server.stop)
            return server
        yield start


@pytest.fixture
def scripted(start_scripted):
    """A scripted upstream with its default habits, which the test may change."""
    return start_scripted()


@pytest.fixture
def scripted_gateway(scripted, start_gateway):
    """A gateway in front of `scripted`."""
    return start_gateway(scripted.port)


@pytest.fixture
def start_recorder():
    """start_recorder(port, certificate=None, hold_s=0): a relay to the port that records its clients' flights
    (harness/recorder.py)."""
    with contextlib.ExitStack() as stack:
        def start(port, certificate=None, **options):
            recorder = Recorder(port, certificate, **options)
            stack.enter_context(_shown_on_failure(recorder))
            stack.callback(recorder.stop)
            return recorder
        yield start


@pytest.fixture
def connect():
    """connect(target, ...): a client of harness.imap to anywhere, closed after the test, shown if the test fails."""
    with contextlib.ExitStack() as stack:
        def start(target, **arguments):
            client = stack.enter_context(Client(target, **arguments))
            stack.enter_context(_shown_on_failure(client))
            return client
        yield start
