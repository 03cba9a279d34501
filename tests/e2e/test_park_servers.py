"""Parking in front of each real server: what it saves, and that nothing of one session shows in the next."""
import re

import pytest

from harness import logins
from harness.parking import PARKED, keep_alive_no_more, leave, logins_at_the_server
from harness.tokens import fail_to_restore, restore, save

pytestmark = pytest.mark.every_server


@pytest.fixture(name="parking")
def fixture_parking(server, start_gateway):
    """A gateway that parks."""
    return start_gateway(server.plain_port, park={})


def setup_of(server):
    """The storable commands that it takes."""
    notify = () if server.lacks("NOTIFY") else ("NOTIFY SET STATUS (personal (MessageNew MessageExpunge))",)
    return (server.setup, *notify)


def test_a_connection_serves_session_after_session(server, parking):
    user = server.new_user()
    server.add_message(user)
    for _ in range(4):
        client = parking.session(user)
        client.ok("SELECT INBOX")
        assert client.ok("FETCH 1 BODY[]").of("FETCH")
        assert leave(parking, client) == "no"
    assert logins_at_the_server(parking) == 1


def test_every_way_to_give_the_password_matches_every_other(server, parking):
    user = server.new_user()
    for way in logins.WAYS:
        client = parking.client()
        assert logins.by(way, client, user, "secret").status == b"OK"
        client.ok("NOOP")
        leave(parking, client)
    assert logins_at_the_server(parking) == 1


def test_p04_a_warm_restore(server, parking):
    user = server.new_user()
    server.add_message(user)
    client = parking.session(user)
    token = save(client, *setup_of(server))
    client.ok("SELECT INBOX")
    leave(parking, client)
    for _ in range(3):
        client = parking.session(user)
        answer = restore(client, token)
        assert bool(answer.of("STATUS")) == (server.lacks("NOTIFY") is None), "NOTIFY's STATUS data is to be fresh"
        client.ok("SELECT INBOX")
        assert client.ok("FETCH 1 BODY[]").of("FETCH")
        assert leave(parking, client) == "warm"
    assert logins_at_the_server(parking) == 1


def test_p04_a_cold_restore_on_a_pristine_connection(server, parking):
    user = server.new_user()
    client = parking.session(user)
    token = save(client, server.setup)
    leave(parking, client)
    held = parking.session(user)
    restore(held, token)
    client = parking.session(user)  # a login, as none is parked
    client.ok("NOOP")
    leave(parking, client)
    client = parking.session(user)
    restore(client, token)
    assert leave(parking, client) == "cold" and logins_at_the_server(parking) == 2
    held.close()


# A name, and a command whose answer shows whether it is on.
SHOWN = {
    "UIDONLY": ("UID FETCH 1:* FLAGS", lambda answer: bool(answer.of("UIDFETCH"))),
    "IMAP4REV2": ("SEARCH ALL", lambda answer: bool(answer.of("ESEARCH"))),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.needs(name)) for name in SHOWN])
def test_p04_what_a_name_switches_on_is_restored_and_in_no_other_session(server, parking, name):
    command, is_on = SHOWN[name]
    user = server.new_user()
    server.add_message(user)
    client = parking.session(user)
    token = save(client, f"ENABLE {name}")
    leave(parking, client)

    def visit(*, restores):
        client = parking.session(user)
        if restores:
            restore(client, token)
        client.ok("SELECT INBOX")
        assert is_on(client.command(command)) == restores
        return leave(parking, client)

    assert visit(restores=True) == "warm"
    held = parking.session(user)
    restore(held, token)
    visit(restores=False)
    assert visit(restores=True) == "cold", "on the pristine one"
    held.close()


def test_p05_a_token_that_cannot_restore_leaves_a_pristine_session(server, parking):
    user = server.new_user()
    client = parking.session(user)
    token = save(client, server.setup)
    leave(parking, client)
    other = parking.session(server.new_user())
    fail_to_restore(other, token)
    client = parking.session(user)
    fail_to_restore(client, "garbage")
    client.ok("NOOP")
    assert leave(parking, client) == "no"


@pytest.mark.needs("QRESYNC")
def test_a_session_without_qresync_never_sees_vanished(server, parking):
    user = server.new_user()
    for _ in range(2):
        server.add_message(user)
    client = parking.session(user)
    save(client, "ENABLE QRESYNC")
    client.ok("SELECT INBOX")
    client.ok("STORE 1 +FLAGS (\\Deleted)")
    assert client.ok("EXPUNGE").of("VANISHED")
    leave(parking, client)
    client = parking.session(user)
    client.ok("SELECT INBOX")
    client.ok("STORE 1 +FLAGS (\\Deleted)")
    answer = client.ok("EXPUNGE")
    assert answer.of("EXPUNGE") and not answer.of("VANISHED")


@pytest.mark.needs("UTF8=ACCEPT")
def test_a_session_without_utf8_never_sees_it(server, parking):
    user = server.new_user()
    client = parking.session(user)
    save(client, "ENABLE UTF8=ACCEPT")
    client.ok(f'CREATE "{server.mailbox("Entwürfe")}"'.encode())
    assert "Entwürfe".encode() in b"".join(client.ok('LIST "" *').of("LIST"))
    leave(parking, client)
    client = parking.session(user)
    assert b"Entw&APw-rfe" in b"".join(client.ok('LIST "" *').of("LIST"))


@pytest.mark.parametrize("command", [
    pytest.param("setup", id="ENABLE"),
    pytest.param("SELECT INBOX (CONDSTORE)", marks=pytest.mark.needs("CONDSTORE")),
    pytest.param("NOTIFY SET (personal (MessageNew MessageExpunge))", marks=pytest.mark.needs("NOTIFY"))])
def test_nobody_lands_where_something_was_set_up_that_was_not_asked_for(server, parking, command):
    user = server.new_user()
    client = parking.session(user)
    client.ok(server.setup if command == "setup" else command)
    client.logout()
    for _ in range(2):
        client = parking.session(user)
        client.ok("NOOP")
        assert logins_at_the_server(parking) == 2
        leave(parking, client)


@pytest.mark.parametrize("hang_up", [False, True], ids=["LOGOUT", "hanging up"])
def test_parking_expunges_nothing(server, parking, hang_up):
    """By UNSELECT, or, where there is none, by an EXAMINE that fails."""
    user = server.new_user()
    server.add_message(user)
    client = parking.session(user)
    client.ok("SELECT INBOX")
    client.ok("STORE 1 +FLAGS (\\Deleted)")
    since = parking.log_octets()
    if hang_up:
        client.close()
    else:
        client.logout()
    parking.wait_log(PARKED, since)
    client = parking.session(user)
    client.ok("NOOP")
    assert client.command("FETCH 1 FLAGS").status != b"OK", "a mailbox is still selected"
    assert re.search(rb"\\Deleted", client.ok("SELECT INBOX") and client.ok("FETCH 1 FLAGS").of("FETCH")[0])
    assert logins_at_the_server(parking) == 1


def test_mistakes_of_many_sessions_do_not_add_up(server, parking):
    """Courier hangs up at the tenth in a row, whosever the nine before were."""
    user = server.new_user()
    for _ in range(5):
        client = parking.session(user)
        for _ in range(3):
            assert client.command("STATUS nowhere (MESSAGES)").status == b"NO"
        leave(parking, client)
    assert logins_at_the_server(parking) == 1


@pytest.mark.parametrize("ends_it", [True, False], ids=["DONE", "gone"])
def test_idle_leaves_nothing_behind(server, parking, ends_it):
    user = server.new_user()
    for _ in range(3):
        client = parking.session(user)
        client.ok("SELECT INBOX")
        tag = client.start("IDLE")
        client.continuation()
        if ends_it:
            client.send(b"DONE\r\n")
            assert client.wait(tag).status == b"OK"
            leave(parking, client)
        else:
            since = parking.log_octets()
            client.close()
            parking.wait_log(PARKED, since)
    assert logins_at_the_server(parking) == 1


def test_a_parked_connection_lives_on_by_noop(server, start_gateway):
    gateway = start_gateway(server.plain_port, park={"keepalive": "1s"})
    user = server.new_user()
    client = gateway.session(user)
    token = save(client, server.setup)
    since = gateway.log_octets()
    leave(gateway, client)
    gateway.wait_log(r"ATTACHED -> SETTLING|-> SETTLING", since)
    gateway.wait_log(rf"(?s){PARKED}.*{PARKED}", since)
    keep_alive_no_more(gateway)
    client = gateway.session(user)
    restore(client, token)
    assert leave(gateway, client) == "warm"
