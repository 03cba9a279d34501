"""What changes while connections wait: the upstream's list, the configuration. Nobody is served by what is out of date."""
import threading

import pytest

from harness.gateway import upstream
from harness.parking import Lot, log_out
from harness.patience import PATIENCE_S
from harness.scripted import AFTER, CLOSE
from harness.tokens import assert_restored, restore, save

ENABLE = "ENABLE QRESYNC"


@pytest.fixture(name="lot")
def fixture_lot(scripted, start_gateway):
    return Lot(start_gateway(scripted.port, park={"per_user": 8}), scripted)


def test_p12_a_connection_in_the_state_but_with_another_list_serves_no_token(lot):
    """Two are in the state; the newer has the list of today, which the client is shown, and turns out dead."""
    client = lot.gateway.session()
    save(client, ENABLE)
    outdated = lot.mark(client)
    assert lot.leave(client, outdated)
    lot.scripted.caps_after = AFTER + " X-NEW"
    client = lot.gateway.session()
    assert b"X-NEW" in client.ok("NOOP").of("CAPABILITY")[0]
    token = save(client, ENABLE)
    newer = lot.mark(client)
    assert newer is not outdated and lot.leave(client, newer)
    newer.hang_up()

    client = lot.gateway.session()
    answer = restore(client, token)
    assert answer.of("CAPABILITY") == []
    landed = lot.mark(client)
    assert landed is not outdated and landed is not newer
    assert landed.arguments("ENABLE") == [b"QRESYNC"]
    assert log_out(lot.gateway, client) == "cold"
    lot.wait_closed(outdated)


def test_a_connection_that_takes_the_place_of_a_dead_one_tells_its_own_list(lot):
    older = lot.visit()
    held, landed = lot.land()
    assert landed is older
    lot.scripted.caps_after = AFTER + " X-NEW"
    client, newer = lot.land()
    assert lot.leave(held, older) and lot.leave(client, newer)
    client = lot.gateway.client()
    assert b"X-NEW" in client.login("ann", "secret").tagged
    lot.scripted.on("NAMESPACE", CLOSE, times=1)
    shown, = client.ok("NAMESPACE").of("CAPABILITY")
    assert b"X-NEW" not in shown and b"STATE" in shown
    assert "NAMESPACE" in newer.names and lot.mark(client) is older


@pytest.mark.parametrize("is_state", [False, True], ids=["any command", "P12 a token, which is dead then"])
def test_a_connection_that_is_not_the_one_in_reserve_tells_its_own_list(lot, is_state):
    pristine = lot.visit()
    held, landed = lot.land()
    assert landed is pristine
    lot.scripted.caps_after = AFTER + " X-NEW"
    client = lot.gateway.session()
    token = save(client, ENABLE)
    in_state = lot.mark(client)
    assert lot.leave(held, pristine) and lot.leave(client, in_state)
    client = lot.gateway.client()
    assert b"X-NEW" in client.login("ann", "secret").tagged  # it is what was parked last
    if is_state:
        in_state.hang_up()
    answer = client.ok(f"STATE {token}" if is_state else "NOOP")
    shown, = answer.of("CAPABILITY")
    assert b"X-NEW" not in shown and b"STATE" in shown and not answer.of("STATE")
    assert lot.mark(client) is pristine


def test_a_session_from_before_a_reload_parks_nothing_at_the_old_server(start_scripted, start_gateway):
    old, new = start_scripted(), start_scripted()
    gateway = start_gateway(old.port, park={"per_user": 8})
    session = gateway.session()
    session.ok("NOOP")
    gateway.sections = [section for section in gateway.sections if section.kind != "upstream"] + [upstream(new.port)]
    since = gateway.log_octets()
    gateway.write_config()
    gateway.reload()
    gateway.wait_log("reloaded:", since)
    session.logout()
    old.wait_for(lambda: old.sessions[0].closed)
    client = gateway.session()
    client.ok("NOOP")
    assert len(new.sessions) == 1 and len(old.sessions) == 1


def test_p11_a_token_that_arrives_in_two_parts_waits_for_the_login_between_them(lot):
    """After ten seconds without a command a connection is chosen, here by a login. The command that had begun before that
    acts when the login is through."""
    client = lot.gateway.session()
    token = save(client, ENABLE)
    assert lot.leave(client, lot.mark(client))
    client = lot.gateway.session()
    client.send(f"a STATE {{{len(token)}+}}\r\n{token[:9]}".encode())
    asked, may_go_on = threading.Event(), threading.Event()

    def log_in_late(connection, tag, arguments):
        asked.set()
        assert may_go_on.wait(PATIENCE_S)
        connection.do_LOGIN(tag, arguments)

    lot.scripted.on("LOGIN", log_in_late)
    assert asked.wait(PATIENCE_S)
    octets = lot.gateway.log_octets()
    client.send(f"{token[9:]}\r\nb NOOP\r\n".encode())
    with lot.gateway.client() as other:  # has been served: so the rest has been read, by the one worker
        other.ok("NOOP")
    may_go_on.set()
    assert_restored(client.wait("a"), token)
    assert client.wait("b").status == b"OK"
    assert "LOGGING_IN -> ATTACHED" in lot.gateway.log(octets)
    assert lot.scripted.sessions[-1].names[-3:] == ["LOGIN", "ENABLE", "NOOP"]
