"""docs/servers.md has, for each real server, what `imapstatectl try` measures at it and through the gateway, and what the
server has to do for it; and its examples work. To write anew what the server has to do:

    /usr/bin/python3 -m pytest tests/e2e/test_servers_page.py --write-docs"""
import pathlib
import re

import pytest

from harness import pages
from harness.gateway import Gateway, write_keys
from harness.net import LOOPBACK
from harness.parking import PARKED, log_out
from harness.tokens import assert_restored, save
from harness.trial import in_clear, round_trips

pytestmark = [pytest.mark.every_server, pytest.mark.debian_12]

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "servers.md"
HEAD = "| server | to the server: cold | warm |"
SERVERS = 3


def test_the_page_has_what_is_measured(server, gateway):
    user = server.new_user()
    directly = round_trips(in_clear(server.plain_port, user=user))["set up without STATE"]
    through = in_clear(gateway.plain_port, user=user)
    counts = round_trips(through)
    restored = re.search(r"^Restored: (.*)\.$", through.stdout, re.MULTILINE).group(1)
    row = f"| {server.name} | {restored} | {directly} | {counts['set up without STATE']} | {counts['restored']} |"
    assert row in PAGE.read_text().splitlines()


class ExampleGateway(Gateway):
    """Runs docs/examples/imapstated-NAME.conf, with ports and files of the test's in place of those that it names, and what else
    is to be replaced."""

    def __init__(self, folder, name, certificate, replaced):
        self._example = (DOCS / "examples" / f"imapstated-{name.lower()}.conf").read_text()
        self._replaced, self._certificate = replaced, certificate
        super().__init__(folder, [], certificate)

    def write_config(self, **settings):
        certificate, key = self._certificate
        text = self._example
        for old, new in (('{ "*:993", "[::]:993" }', f'"{LOOPBACK}:{self.tls_port}"'),
                         ("/etc/imapstate/cert.pem", certificate), ("/etc/imapstate/key.pem", key),
                         ("/var/lib/imapstate/keys", write_keys(self.folder / "keys", (1, "2020-01-01T00:00:00Z"))),
                         *self._replaced.items()):
            assert text.count(old) == 1, old
            text = text.replace(old, str(new))
        # Only so that a test can wait for it.
        self.config_file.write_text(f'log_level = "debug"\n{text}')


@pytest.fixture(name="example")
def fixture_example(tmp_path, server, certificate, start_recorder):
    """The example's gateway, and a recorder between it and the server."""
    recorder = start_recorder(server.plain_port)
    gateway = ExampleGateway(tmp_path, server.name, certificate, {f"{LOOPBACK}:1143": f"{LOOPBACK}:{recorder.port}"})
    yield gateway, recorder
    gateway.close_clients()
    gateway.stop()


@pytest.fixture(name="tls_example")
def fixture_tls_example(tmp_path, server, certificate, authority):
    """The gateway of the example for a server on another host."""
    gateway = ExampleGateway(tmp_path, "tls", certificate, {"imap.example.org:993": f"localhost:{server.tls_port}",
                                                            "/etc/imapstate/ca.pem": authority.ca_file})
    yield gateway
    gateway.close_clients()
    gateway.stop()


@pytest.fixture(scope="module", name="rows")
def fixture_rows(request):
    rows = []
    yield rows
    if request.config.getoption("--write-docs"):
        assert len(rows) == SERVERS, f"not all servers were measured: {PAGE} stays as it is"
        PAGE.write_text(pages.with_rows(PAGE.read_text(), HEAD, rows))


def storable(server):
    """What of ENABLE and NOTIFY it takes: LANGUAGE is the gateway's own, and none of them has COMPARATOR."""
    notify = () if server.lacks("NOTIFY") else ("NOTIFY SET (selected (MessageNew MessageExpunge))",)
    return (server.setup, *notify)


def visit(gateway, trust, user, token):
    """One write. Gives how it was restored."""
    client = gateway.client(gateway.tls_port, tls=trust)
    since = gateway.log_octets()
    client.send(f'a LOGIN "{user}" "secret"\r\nb STATE {token}\r\nc EXAMINE INBOX\r\n')
    assert client.wait("a").status == b"OK"
    assert_restored(client.wait("b"), token)
    assert client.wait("c").status == b"OK"
    how = log_out(gateway, client)
    gateway.wait_log(PARKED, since)
    return how


def flights_of(recorder, before):
    """The round trips to the server until the answer to EXAMINE, of the connection on which it was sent. before: octets of
    that connection's flights that belong to earlier sessions."""
    recording = next(each for each in reversed(recorder.recordings) if any("EXAMINE" in names for names in each.names()))
    names = recording.names()[before:]
    return 1 + next(number for number, each in enumerate(names) if "EXAMINE" in each)


def test_the_page_has_what_the_server_has_to_do(server, example, trust, request, rows):
    gateway, recorder = example
    user = server.new_user()
    client = gateway.session(user, listener_port=gateway.tls_port, tls=trust)
    token = save(client, *storable(server))
    client.close()
    gateway.wait_log(PARKED)
    gateway.stop()
    gateway.start()  # nothing is parked: the next one is cold
    gateway.client(gateway.tls_port, tls=trust).close()  # for the first client of a minute the server is asked for its list
    assert visit(gateway, trust, user, token) == "cold"
    cold = flights_of(recorder, 0)
    seen = len(recorder.recordings[-1].flights)
    assert visit(gateway, trust, user, token) == "warm"
    row = f"| {server.name} | {cold} | {flights_of(recorder, seen)} |"
    rows.append(row)
    assert request.config.getoption("--write-docs") or row in PAGE.read_text().splitlines(), row


def assert_no_warning(gateway):
    log = gateway.log()
    assert "warning" not in re.sub(r".*(file descriptors are limited|it stays root).*\n", "", log), log


def test_the_example_is_without_a_fault(server, example):
    gateway, _ = example
    assert_no_warning(gateway)


def test_the_example_for_another_host_restores_under_tls(server, tls_example, trust):
    user = server.new_user()
    client = tls_example.session(user, listener_port=tls_example.tls_port, tls=trust)
    token = save(client, *storable(server))
    log_out(tls_example, client)
    tls_example.wait_log(PARKED)
    assert visit(tls_example, trust, user, token) == "warm"
    assert_no_warning(tls_example)


def test_each_example_is_named_on_the_page():
    page = PAGE.read_text()
    for example in (DOCS / "examples").iterdir():
        assert f"(examples/{example.name})" in page, example
