"""CONDSTORE without ENABLE (RFC 7162 section 3.1), in front of each real server: what switches it on is what docs/protocol.md
says, and a connection on which it is on serves those who switch it on too, and nobody else."""
import re

import pytest

from harness.parking import leave, logins_at_the_server

pytestmark = pytest.mark.every_server

SELECT, STATUS = "SELECT INBOX (CONDSTORE)", "STATUS INBOX (MESSAGES HIGHESTMODSEQ)"
# command: whether it needs a mailbox, and the servers with which it switches CONDSTORE on
WAYS = {
    SELECT: (False, {"Dovecot", "Cyrus"}),
    "EXAMINE INBOX (CONDSTORE)": (False, {"Dovecot", "Cyrus"}),
    "FETCH 1 (FLAGS MODSEQ)": (True, {"Dovecot", "Cyrus"}),
    "UID FETCH 1 FLAGS (CHANGEDSINCE 1)": (True, {"Dovecot", "Cyrus"}),
    "STORE 1 (UNCHANGEDSINCE 999999) +FLAGS (x)": (True, {"Dovecot", "Cyrus"}),
    "SEARCH MODSEQ 1": (True, {"Dovecot"}),
    "SORT (SUBJECT) UTF-8 MODSEQ 1": (True, {"Dovecot"}),
    STATUS: (False, {"Dovecot"}),
    'LIST "" INBOX RETURN (STATUS (HIGHESTMODSEQ))': (False, {"Dovecot"}),
    "FETCH 1 (FLAGS)": (True, set()),
    "STATUS INBOX (MESSAGES)": (False, set()),
}


@pytest.fixture(name="user")
def fixture_user(server):
    """One with two messages, at a server that has CONDSTORE."""
    if server.lacks("CONDSTORE"):
        pytest.skip(server.lacks("CONDSTORE"))
    user = server.new_user()
    for _ in range(2):
        server.add_message(user)
    return user


@pytest.fixture(name="parking")
def fixture_parking(server, start_gateway):
    """A gateway that parks."""
    return start_gateway(server.plain_port, park={})


def is_on(client):
    """Does a change that nobody asked MODSEQ of come with it? Asked in a mailbox of its own."""
    client.ok("SELECT INBOX")
    lines = b"".join(client.ok(r"STORE 1 +FLAGS (\Flagged)").untagged + client.ok(r"STORE 1 -FLAGS (\Flagged)").untagged)
    client.ok("UNSELECT")
    assert b"FLAGS (" in lines
    return bool(re.search(rb"MODSEQ \(\d+\)", lines))


@pytest.mark.parametrize("way", WAYS)
def test_what_switches_it_on_is_what_is_written(server, user, way):
    needs_mailbox, servers = WAYS[way]
    with server.client(user) as client:
        assert not is_on(client)
        if needs_mailbox:
            client.ok("SELECT INBOX")
        client.ok(way)
        if needs_mailbox or way.startswith(("SELECT", "EXAMINE")):
            client.ok("UNSELECT")
        assert is_on(client) == (server.name in servers)
        assert is_on(client) == (server.name in servers), "and it lasts"
        # Nothing but CONDSTORE: ENABLE of more answers as ever.
        assert b"QRESYNC" in client.ok("ENABLE QRESYNC").of("ENABLED")[0]


def visit(parking, user, *commands):
    client = parking.session(user)
    answers = [client.ok(command) for command in commands]
    assert leave(parking, client) == "no"
    return answers


@pytest.mark.parametrize("way", [SELECT, "EXAMINE INBOX (condstore)", STATUS])
def test_who_begins_with_it_is_served_by_the_same_connection(parking, user, way):
    visit(parking, user, way)
    for _ in range(3):
        visit(parking, user, way, "NOOP")
    assert logins_at_the_server(parking) == 1


def test_what_it_shows_is_what_it_would_show(server, parking, user):
    for _ in range(3):
        client = parking.session(user)
        client.ok(STATUS)
        assert is_on(client) == (server.name in WAYS[STATUS][1])
        leave(parking, client)
    assert logins_at_the_server(parking) == 1


@pytest.mark.parametrize("way", [each for each in WAYS if not WAYS[each][0] and WAYS[each][1]])
def test_nobody_else_gets_it(parking, user, way):
    visit(parking, user, way)
    for _ in range(2):
        client = parking.session(user)
        assert not is_on(client)
        leave(parking, client)
    assert logins_at_the_server(parking) == 2, "one of each kind is parked"


def test_where_it_came_by_fetch_it_serves_who_selects_with_it(parking, user):
    visit(parking, user, "SELECT INBOX", "FETCH 1:* (FLAGS MODSEQ)")
    visit(parking, user, SELECT)
    assert logins_at_the_server(parking) == 1
    select, = visit(parking, user, "SELECT INBOX")
    assert select.of("EXISTS") and logins_at_the_server(parking) == 2


def test_a_mailbox_that_is_not_there(parking, user):
    visit(parking, user, SELECT)
    client = parking.session(user)
    assert client.command("SELECT no-such-mailbox (CONDSTORE)").status == b"NO"
    client.ok("SELECT INBOX")
    assert client.ok("FETCH 1 FLAGS").of("FETCH")
    leave(parking, client)


def test_enable_is_answered_as_in_the_beginning(server, parking, user):
    """Cyrus leaves out of ENABLED what is on: what a session was answered behind a SELECT says nothing of the next one."""
    names = [visit(parking, user, SELECT, "UNSELECT", "ENABLE QRESYNC")[2].of("ENABLED")[0] for _ in range(2)]
    fresh = [visit(parking, user, "ENABLE QRESYNC", "NOOP")[0].of("ENABLED")[0] for _ in range(2)]
    assert names[0] == names[1] and fresh[0] == fresh[1]
    with server.client(user) as client:
        assert client.ok("ENABLE QRESYNC").of("ENABLED")[0] == fresh[0]
