"""A listener with imapproxy_compat behaves as imapproxy does: XIMAPPROXY, XPROXYREUSE, and any parked connection of the
same credentials whatever its state. Its connections never mix with those of other listeners."""
import pytest

from harness import horde, logins
from harness.gateway import listener
from harness.imap import capabilities
from harness.net import free_port
from harness.parking import Lot, chores, mine
from harness.scripted import CLOSE
from harness.tokens import restore, save


class Compat(Lot):
    """A lot with one more listener."""

    def __init__(self, gateway, scripted, port):
        super().__init__(gateway, scripted)
        self.port = port

    def client(self):
        return self.gateway.client(self.port)

    def log_in(self, user="ann", password="secret"):
        client = self.client()
        return client, client.login(user, password)


@pytest.fixture(name="start_lot")
def fixture_start_lot(scripted, start_gateway):
    def start(**options):
        port = free_port()
        compat = listener("compat", port, imapproxy_compat=True, **options)
        return Compat(start_gateway(scripted.port, park={"per_user": 8}, sections=[compat]), scripted, port)
    return start


@pytest.fixture(name="lot")
def fixture_lot(start_lot):
    return start_lot()


REUSED = b"* OK [XPROXYREUSE] "


def is_reused(answer):
    lines = [line for line in answer.untagged if line.startswith(REUSED)]
    assert len(lines) <= 1 and lines == answer.untagged[len(answer.untagged) - len(lines):], "directly before the tagged OK"
    return bool(lines)


def test_ximapproxy_is_announced_everywhere_and_state_is_not(lot):
    client, answer = lot.log_in()
    lists = [capabilities(client.greeting), capabilities(answer.tagged), capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])]
    for names in lists:
        assert b"XIMAPPROXY" in names and b"STATE" not in names
    for names in (capabilities(lot.gateway.client().greeting), capabilities(lot.gateway.client().login("ann", "secret").tagged)):
        assert b"XIMAPPROXY" not in names and b"STATE" in names


def test_an_upstreams_own_ximapproxy_is_not_passed_on(lot):
    lot.scripted.caps_before += " XIMAPPROXY"
    lot.scripted.caps_after += " XIMAPPROXY"
    answer = lot.gateway.client().login("ann", "secret")
    assert b"XIMAPPROXY" not in capabilities(answer.tagged)


def test_xproxyreuse_is_said_of_a_reused_connection_and_of_no_other(lot):
    client, answer = lot.log_in()
    assert not is_reused(answer)
    first = lot.mark(client)
    assert lot.leave(client, first)
    client, answer = lot.log_in()
    assert is_reused(answer)
    assert lot.mark(client) is first and lot.logins == 1
    _, answer = lot.log_in()  # while the first is in use
    assert not is_reused(answer) and lot.logins == 2


@pytest.mark.parametrize("way", list(logins.WAYS))
def test_it_is_said_however_the_client_logs_in(lot, way):
    client, _ = lot.log_in()
    assert lot.leave(client, lot.mark(client))
    client = lot.client()
    answer = logins.by(way, client, "ann", "secret")
    assert answer.status == b"OK"
    assert is_reused(answer)
    assert lot.logins == 1


@pytest.mark.parametrize("commands", [["ENABLE QRESYNC"], ["ENABLE X-ONE", "LANGUAGE DE"], ["STATUS INBOX (HIGHESTMODSEQ)"],
                                      ["SELECT INBOX (CONDSTORE)"], ["COMPARATOR i;octet"]])
def test_a_connection_is_reused_whatever_its_state(lot, commands):
    client, _ = lot.log_in()
    for command in commands:
        client.ok(command)
    first = lot.mark(client)
    assert lot.leave(client, first)
    client, answer = lot.log_in()
    assert is_reused(answer) and lot.mark(client) is first


def test_a_mailbox_is_left_all_the_same(lot):
    client, _ = lot.log_in()
    client.ok("SELECT INBOX")
    first = lot.mark(client)
    assert lot.leave(client, first)
    assert chores(first) == ["UNSELECT"]


def test_another_password_or_user_gets_no_reuse(lot):
    client, _ = lot.log_in()
    first = lot.mark(client)
    assert lot.leave(client, first)
    _, answer = lot.log_in("bob", "hunter2")
    assert not is_reused(answer)
    refused = logins.by_quoted_strings(lot.client(), "ann", "wrong")
    assert refused.status == b"NO" and not is_reused(refused) and not first.closed


def test_connections_never_mix_with_those_of_other_listeners(lot):
    client, _ = lot.log_in()
    compat = lot.mark(client)
    assert lot.leave(client, compat)
    other = lot.visit()
    assert other is not compat and lot.logins == 2
    client, answer = lot.log_in()
    assert is_reused(answer) and lot.mark(client) is compat
    assert lot.visit() is other and lot.logins == 2


def test_a_state_on_another_listener_is_never_reached(lot):
    client = lot.gateway.session()
    token = save(client, "ENABLE QRESYNC")
    in_state = lot.mark(client)
    assert lot.leave(client, in_state)
    client, answer = lot.log_in()
    assert not is_reused(answer) and lot.mark(client) is not in_state
    client.bad(f"STATE {token}")
    client.bad("SAVESTATE")
    client = lot.gateway.session()
    restore(client, token)
    assert lot.mark(client) is in_state


@pytest.mark.parametrize("how", ["closed", "BYE"])
def test_a_connection_that_has_died_is_not_said_to_be_reused(lot, how):
    client, _ = lot.log_in()
    first = lot.mark(client)
    assert lot.leave(client, first)
    if how == "BYE":
        first.send(b"* BYE going down\r\n")
    else:
        first.hang_up()
    client, answer = lot.log_in()
    assert not is_reused(answer) and lot.mark(client) is not first and lot.logins == 2


def test_a_reused_connection_that_dies_is_not_replaced_by_one_in_another_state(lot):
    client, _ = lot.log_in()
    client.ok("ENABLE QRESYNC")
    first = lot.mark(client)
    assert lot.leave(client, first)
    client, answer = lot.log_in()
    assert is_reused(answer)
    lot.scripted.on("SELECT", CLOSE, times=1)
    tag = client.start("SELECT INBOX")
    # The client was told that its set-up stands: on a new connection it would not.
    responses = client.rest()
    assert responses[-1].startswith(b"* BYE")
    assert not any(r.startswith(tag.encode() + b" OK") for r in responses)


def test_an_alert_meanwhile_is_passed_on(lot):
    client, _ = lot.log_in()
    first = lot.mark(client)
    assert lot.leave(client, first)
    first.send(b"* OK [ALERT] Lunch.\r\n")
    client, answer = lot.log_in()
    assert is_reused(answer)
    assert b"* OK [ALERT] Lunch.\r\n" in answer.untagged + client.ok("NOOP").untagged


@pytest.mark.parametrize("command", ["NOTIFY SET (personal (MessageNew MessageExpunge))", "XYZZY"],
                         ids=["what notifies", "what nobody knows"])
def test_some_connections_are_not_kept_here_either(lot, command):
    client, _ = lot.log_in()
    client.command(command)
    first = lot.mark(client)
    assert not lot.leave(client, first)
    _, answer = lot.log_in()
    assert not is_reused(answer)


def test_what_is_cut_in_the_middle_is_not_reused(lot):
    client, _ = lot.log_in()
    first = lot.mark(client)
    client.send(b"x APPEND INBOX {100+}\r\nhalf")
    assert not lot.leave(client, first, hang_up=True)
    _, answer = lot.log_in()
    assert not is_reused(answer)


def test_hordes_library_skips_its_set_up_the_second_time(start_lot, tmp_path):
    lot = start_lot(auth_mechanisms=["PLAIN"])  # it prefers CRAM-MD5, which always goes upstream
    webmail = horde.Horde(tmp_path, lot.port, horde.ITS_OWN)

    def visit():
        since = lot.gateway.log_octets()
        assert webmail.visit(horde.STATUS) == [{"messages": 3}]
        lot.gateway.wait_log("park: parked,", since)

    visit()
    first, = lot.scripted.sessions
    at_first = mine(first)
    visit()
    again = mine(first)[len(at_first):]
    assert lot.logins == 1
    names = [name for name, _ in again]
    assert "ENABLE" in [name for name, _ in at_first] and names == ["STATUS"]
