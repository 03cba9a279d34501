"""How many round trips real clients need until their first useful command, and how many logins a visit: directly, through the
gateway, and with STATE.

docs/clients.md has what is counted here, word for word. CPU time is there too, but is measured only when it is written anew:

    /usr/bin/python3 -m pytest tests/e2e/test_client_flights.py --write-docs"""
import dataclasses
import pathlib
import re

import pytest

from clients import CLIENTS, STATE_CLIENTS
from clients.client import MAILBOXES, Place
from harness import expense, flights, pages
from harness.dovecot import Dovecot
from harness.gateway import upstream
from harness.parking import logins_at_the_server, wait_at_rest
from harness.server import NEW_USER_PASSWORD, message

pytestmark = [pytest.mark.once, pytest.mark.debian_12]

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "clients.md"
# Longer than any of them thinks between two commands of which the second does not wait for the first. On a busy machine one may
# think longer; then it seems to wait, and is measured again with the next.
HOLDS_S = (0.02, 0.1, 0.2)

_NUMBERS = "| client | directly | through imapstated | to the server: first visit | later visits | with STATE |"
_SECOND = "| client | logins directly | through imapstated | CPU directly: server | through imapstated: server | gateway |"
_SENT = "| client | | what it sends; each arrow is a wait for an answer |"
_WHEN = re.compile(r"(?<=CPU time in ms, on ).*(?=:$)", re.MULTILINE)

# A process for each login and each session. It says less than the tests' others, which takes time too.
_AS_INSTALLED = """
auth_mechanisms = plain login
auth_debug = no
auth_verbose = no
service imap-login {
  service_count = 1
  process_min_avail = 0
}
service imap {
  service_count = 1
  process_min_avail = 0
}
"""
_VISITS = 5  # of which the CPU time is taken


@pytest.fixture(scope="module", name="rows")
def fixture_rows(request):
    """What the tests have measured, by the head of the table that it belongs to."""
    rows = {_NUMBERS: [], _SECOND: [], _SENT: []}
    yield rows
    if request.config.getoption("--write-docs"):
        assert len(rows[_NUMBERS]) == len(CLIENTS), f"not all clients were measured: {PAGE} stays as it is"
        text = PAGE.read_text()
        for head, lines in rows.items():
            text = pages.with_rows(text, head, lines)
        PAGE.write_text(_WHEN.sub(expense.machine(), text))


@pytest.fixture(scope="module", name="as_installed")
def fixture_as_installed(tmp_path_factory, authority):
    dovecot = Dovecot(tmp_path_factory.mktemp("as-installed"), authority, more_config=_AS_INSTALLED)
    yield dovecot
    dovecot.stop()


class Visitor:
    """A client, and its user's mailboxes."""

    def __init__(self, row, folder, dovecot, port, authority):
        self.dovecot = dovecot
        self.user = dovecot.new_user()
        self.client = row(folder, Place(port, str(authority.ca_file), self.user, NEW_USER_PASSWORD))
        self.visits = 0
        with dovecot.client(self.user) as session:
            for mailbox in sorted(MAILBOXES - {"INBOX"}):
                session.ok(f"CREATE {mailbox}")

    def visit(self):
        self.visits += 1
        for part in ("read", "flag", "delete"):
            self.dovecot.add_message(self.user, message(f"{part}-{self.visits}"))
        self.client.visit(self.visits, message(f"append-{self.visits}"), None)


class Recorded(Visitor):
    """With a recorder between it and the server."""

    def __init__(self, row, folder, dovecot, recorder, authority):
        super().__init__(row, folder, dovecot, recorder.port, authority)
        self.recorder = recorder

    def visit(self):
        """Gives how its first connection begins, and how many there were."""
        since = len(self.recorder.recordings)
        super().visit()
        recordings = self.recorder.recordings[since:]
        return flights.opening(recordings[0].flights), len(recordings)


class Way:
    """The gateway, with a recorder before it and another between it and Dovecot."""

    def __init__(self, dovecot, start_gateway, start_recorder, certificate, hold_s):
        self.behind = start_recorder(dovecot.plain_port, hold_s=hold_s)
        self.gateway = start_gateway(upstream(self.behind.port), park={"per_user": 2})
        self.before = start_recorder(self.gateway.plain_port, certificate, hold_s=hold_s)
        # What a gateway that has just been started asks its upstream before the first login.
        with self.gateway.session() as session:
            session.logout()

    def visit(self, visitor):
        """Gives how the client begins, how the gateway does at Dovecot, and how often the gateway logged in there."""
        logins = logins_at_the_server(self.gateway)
        heard = [(recording, len(recording.flights)) for recording in self.behind.recordings]
        opened, _ = visitor.visit()
        wait_at_rest(self.gateway)
        logins = logins_at_the_server(self.gateway) - logins
        later = [[flight for flight in recording.flights[since:] if b" UNSELECT\r\n" not in flight] for recording, since in heard]
        new = [each for each in later if each]
        fresh = [recording.flights for recording in self.behind.recordings[len(heard):]]
        return opened, flights.opening((new + [each for each in fresh if len(each) > 1])[0]), logins


@dataclasses.dataclass
class Measured:
    directly: list
    through: list
    first_behind: list
    later_behind: list
    with_state: list
    state_module: str  # "": with_state is derived
    logins: tuple      # a visit: directly; the second through the gateway


def measure(row, folder, dovecot, way, recorder, authority):
    """recorder: in front of Dovecot."""
    def visitor(of, name, recorder):
        return Recorded(of, folder / name, dovecot, recorder, authority)

    directly, connections = visitor(row, "directly", recorder).visit()
    client = visitor(row, "through", way.before)
    through, first_behind, _ = way.visit(client)
    _, later_behind, logins = way.visit(client)
    module = next((each for each in STATE_CLIENTS if each.as_is is row and not each.lacks()), None)
    with_state = flights.derived(through)
    if module:
        client = visitor(module, "with-state", way.before)
        way.visit(client)
        with_state, *_ = way.visit(client)
    return Measured(directly, through, first_behind, later_behind, with_state, module.name if module else "", (connections, logins))


def expenses(row, folder, dovecot, gateway, authority):
    """CPU time in ms that a later visit costs: the server directly; the server, and the gateway, through it."""
    def per_visit(name, port, *processes):
        visitor = Visitor(row, folder / name, dovecot, port, authority)
        visitor.visit()
        before = [expense.cpu_s(process) for process in processes]
        for _ in range(_VISITS):
            visitor.visit()
        return [(expense.cpu_s(process) - then) * 1000 / _VISITS for process, then in zip(processes, before)]

    return per_visit("directly", dovecot.tls_port, dovecot.pid) + per_visit("through", gateway.tls_port, dovecot.pid, gateway.process.pid)


def lines_of(row, got):
    """For the page, by the head of their table."""
    program, *variant = re.split("(?= with )", row.name)
    name = f"{program} {row.version()}{''.join(variant)}"
    with_state = f"{len(got.with_state)} ({got.state_module})" if got.state_module else f"{len(got.with_state)}, derived"
    counts = (got.directly, got.through, got.first_behind, got.later_behind)
    lines = {
        _NUMBERS: [f"| {name} | {' | '.join(str(len(each)) for each in counts)} | {with_state} |"],
        _SECOND: [f"| {name} | {got.logins[0]} | {got.logins[1]} |"],
        _SENT: [f"| {name} | directly | {flights.shown(got.directly)} |"],
    }
    if flights.shown(got.through) != flights.shown(got.directly):
        lines[_SENT].append(f"| | through | {flights.shown(got.through)} |")
    lines[_SENT].append(f"| | with STATE{'' if got.state_module else ', derived'} | {flights.shown(got.with_state)} |")
    return lines


@pytest.mark.parametrize("row", CLIENTS, ids=lambda row: row.name)
def test_the_page_has_what_is_counted(tmp_path, row, rows, request, stock_dovecot, start_gateway, start_recorder, certificate, authority):
    if row.lacks():
        pytest.skip(row.lacks())
    writes = request.config.getoption("--write-docs")
    for hold_s in HOLDS_S[-1:] if writes else HOLDS_S:
        way = Way(stock_dovecot, start_gateway, start_recorder, certificate, hold_s)
        recorder = start_recorder(stock_dovecot.plain_port, certificate, hold_s=hold_s)
        got = measure(row, tmp_path / str(hold_s), stock_dovecot, way, recorder, authority)
        lines = lines_of(row, got)
        is_told = all("\n".join(more) in PAGE.read_text() for more in lines.values())
        if is_told:
            break
    assert len(got.through) <= len(got.directly), "the gateway costs a client round trips"
    if writes:
        dovecot = request.getfixturevalue("as_installed")
        gateway = start_gateway(upstream(dovecot.plain_port), park={"per_user": 2}, log_level="info")
        spent = expenses(row, tmp_path / "expenses", dovecot, gateway, authority)
        lines[_SECOND] = [lines[_SECOND][0] + "".join(f" {ms:.1f} |" for ms in spent)]
    for head, more in lines.items():
        rows[head] += more
    assert writes or is_told, lines
