"""Sessions without STATE that set something up, in front of each real server: they are parked as what was observed, and
serve sessions that set up the same."""
import re

import pytest

from harness.parking import leave, logins_at_the_server
from harness.tokens import restore, save

pytestmark = pytest.mark.every_server


@pytest.fixture(name="parking")
def fixture_parking(server, start_gateway):
    """A gateway that parks."""
    return start_gateway(server.plain_port, park={})


@pytest.fixture(name="enables")
def fixture_enables(server):
    """An ENABLE that it carries out."""
    if not server.setup.startswith("ENABLE"):
        pytest.skip(f"{server.name} has no ENABLE")
    return server.setup


def visit(parking, user, *commands):
    client = parking.session(user)
    answers = [client.ok(command) for command in commands]
    assert leave(parking, client) == "no"
    return answers


def test_a_session_that_enables_the_same_is_served_by_the_same_connection(server, parking, enables):
    user = server.new_user()
    server.add_message(user)
    first, *others = [visit(parking, user, enables, "SELECT INBOX", "FETCH 1 BODY[]") for _ in range(4)]
    for answers in others:
        assert answers[0].of("ENABLED") == first[0].of("ENABLED"), "the answer is the server's"
        assert answers[2].of("FETCH")
    assert logins_at_the_server(parking) == 1


def test_it_is_really_on(server, parking, enables):
    if "QRESYNC" not in enables and "CONDSTORE" not in enables:
        pytest.skip(f"{server.name} enables nothing that shows")
    user = server.new_user()
    server.add_message(user)
    for _ in range(3):
        client = parking.session(user)
        client.ok(enables)
        client.ok("SELECT INBOX")
        assert re.search(rb"MODSEQ \(\d+\)", b"".join(client.ok(r"STORE 1 +FLAGS (\Seen)").untagged + client.ok(r"STORE 1 -FLAGS (\Seen)").untagged))
        leave(parking, client)
    assert logins_at_the_server(parking) == 1


def test_a_session_that_enables_nothing_never_gets_it(server, parking, enables):
    user = server.new_user()
    server.add_message(user)
    visit(parking, user, enables, "SELECT INBOX")
    for _ in range(2):
        select, store, _ = visit(parking, user, "SELECT INBOX", r"STORE 1 +FLAGS (\Seen)", r"STORE 1 -FLAGS (\Seen)")
        assert b"MODSEQ" not in b"".join(store.untagged)
    visit(parking, user, enables, "NOOP")
    assert logins_at_the_server(parking) == 2, "one of each kind is parked, and neither drives out the other"


def test_a_token_of_the_same_state_restores_there(server, parking, enables):
    user = server.new_user()
    client = parking.session(user)
    token = save(client, enables)
    leave(parking, client)
    visit(parking, user, enables, "NOOP")
    client = parking.session(user)
    restore(client, token)
    assert leave(parking, client) == "warm"
    visit(parking, user, enables, "NOOP")
    assert logins_at_the_server(parking) == 1


def test_notify_is_sent_to_the_connection_that_had_it(server, parking, enables):
    if server.lacks("NOTIFY"):
        pytest.skip(server.lacks("NOTIFY"))
    user = server.new_user()
    server.add_message(user)
    for _ in range(3):
        _, notify, _ = visit(parking, user, enables, "NOTIFY SET STATUS (personal (MessageNew MessageExpunge))", "NOOP")
        assert notify.of("STATUS"), "its data is fresh"
    assert logins_at_the_server(parking) == 1


def test_namespace_decides_nothing(server, parking, enables):
    if server.lacks("NAMESPACE"):
        pytest.skip(server.lacks("NAMESPACE"))
    user = server.new_user()
    first, second = [visit(parking, user, "NAMESPACE", enables, "NAMESPACE", "NOOP") for _ in range(2)]
    for each in (0, 2):
        assert second[each].of("NAMESPACE") == first[each].of("NAMESPACE") != []
    assert logins_at_the_server(parking) == 1


def test_a_pipelined_session_is_answered_in_order(server, parking, enables):
    user = server.new_user()
    server.add_message(user)
    visit(parking, user, enables, "NOOP")
    client = parking.client()
    client.send(f'a LOGIN "{user}" "secret"\r\nb {enables}\r\nc SELECT INBOX\r\nd FETCH 1 FLAGS\r\ne LOGOUT\r\n'.encode())
    assert [client.wait(tag).status for tag in "abcde"] == [b"OK"] * 5
    client.rest()
    assert logins_at_the_server(parking) == 1
