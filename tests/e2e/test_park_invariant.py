"""Parked connections never leak state: whoever did not send a command that lasts never lands on a connection that saw
it. And: what is parked, in what condition, and what is never parked."""
import socket
import threading

import pytest

from harness.gateway import upstream
from harness.imap import Closed, literal
from harness.parking import Lot, chores, log_out, mine, vanish
from harness.patience import PATIENCE_S, in_time
from harness.scripted import AFTER, CLOSE
from harness.tokens import assert_restored, restore, save, saved, setup_of


@pytest.fixture(name="lot")
def fixture_lot(scripted, start_gateway):
    return Lot(start_gateway(scripted.port, park={"per_user": 8}), scripted)


def run(client, command):
    octets = command if isinstance(command, bytes) else command.encode()
    if octets.split()[0].upper() in (b"FETCH", b"STORE", b"SEARCH", b"SORT", b"UID"):
        client.ok("SELECT INBOX")
    return client.command(octets)


LEAVING = pytest.mark.parametrize("hang_up", [False, True], ids=["logout", "hanging up"])

STORABLE = ["ENABLE X-ONE", "enable x-one", "ENABLE QRESYNC", "ENABLE CONDSTORE", "ENABLE UTF8=ACCEPT", "ENABLE NONSENSE X-ONE",
            "LANGUAGE DE", "LANGUAGE FR DE", "COMPARATOR i;octet", "NOTIFY NONE", "NOTIFY SET (personal (MessageNew MessageExpunge))",
            "NOTIFY SET STATUS (personal (MessageNew MessageExpunge FlagChange))",
            b"NOTIFY SET (mailboxes " + literal("INBOX") + b" (MessageNew MessageExpunge))"]

# RFC 7162 section 3.1, and what real servers do beyond it.
IMPLICIT = ["SELECT INBOX (CONDSTORE)", "EXAMINE INBOX (condstore)", "STATUS INBOX (HIGHESTMODSEQ)",
            "STATUS INBOX (MESSAGES HighestModSeq)", "FETCH 1 (MODSEQ)", "FETCH 1 (FLAGS) (CHANGEDSINCE 1)",
            "UID FETCH 1 (FLAGS) (changedsince 1)", "UID FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)",
            "STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)", "UID STORE 1 (unchangedsince 1) +FLAGS (\\Seen)", "SEARCH MODSEQ 1",
            "UID SEARCH modseq 1", 'LIST "" % RETURN (STATUS (HIGHESTMODSEQ))', "SELECT INBOX (QRESYNC (7 1))",
            "NOTIFY SET (personal (MessageNew MessageExpunge FlagChange))",
            b"SEARCH " + literal("MODSEQ") + b" 1", b"SEARCH FROM SUBJECT " + literal("MODSEQ") + b" 1",
            b"SEARCH SUBJECT " + literal("x") + b" MODSEQ 1", b"SORT (DATE) UTF-8 TEXT " + literal("x") + b" MODSEQ 1 SEEN",
            b"STATUS " + literal("INBOX") + b" (HIGHESTMODSEQ)", b"SELECT " + literal("INBOX") + b" CONDSTORE",
            b"STATUS INBOX (" + literal("HIGHESTMODSEQ") + b")", b"LIST " + literal("") + b" %"]

# What is not in the table of commands could have done anything.
UNKNOWN = ["XYZZY", "X-ENABLE QRESYNC", "SETSTATE 1", "XAPPLEPUSHSERVICE aps-version 2"]

HARMLESS = ["NOOP", "CAPABILITY", 'ID ("name" "test")', "NAMESPACE", 'LIST "" "*"', 'LSUB "" "*"', "STATUS INBOX (MESSAGES)",
            "SELECT INBOX", "EXAMINE INBOX", "FETCH 1 (FLAGS)", "UID FETCH 1 BODY[]", "SEARCH SUBJECT x", "STORE 1 +FLAGS (\\Seen)",
            "CREATE box", "SUBSCRIBE box", "CHECK", "EXPUNGE", "LANGUAGE", "COMPARATOR", "ENABLE NONSENSE", "LANGUAGE XX",
            b"APPEND INBOX " + literal("Subject: MODSEQ CONDSTORE\r\n\r\nQRESYNC\r\n"), b"SELECT " + literal("INBOX"),
            b"STATUS " + literal("INBOX") + b" (MESSAGES)", b"SEARCH CHARSET UTF-8 SUBJECT " + literal("Gr\u00fc\u00dfe"),
            b"UID SORT (DATE) UTF-8 OR FROM " + literal("MODSEQ") + b" TO " + literal("QRESYNC") + b" SEEN"]


def never_again(lot, connection):
    """Many sessions, one after the other and at once; none gets the connection."""
    held = [lot.land() for _ in range(3)]
    assert all(landed is not connection for _, landed in held)
    client, landed = lot.land("bob", "hunter2")
    assert landed is not connection
    for client, landed in held:
        lot.leave(client, landed)
    assert lot.visit() is not connection


@LEAVING
@pytest.mark.parametrize("command", STORABLE)
def test_nobody_lands_where_a_storable_command_was_run(lot, command, hang_up):
    client = lot.gateway.session()
    run(client, command)
    connection = lot.mark(client)
    lot.leave(client, connection, hang_up=hang_up)
    never_again(lot, connection)


@pytest.mark.parametrize("command", STORABLE)
def test_nobody_without_the_token_lands_where_a_tracked_storable_command_was_run(lot, command):
    client = lot.gateway.session()
    client.ok("STATE")
    run(client, command)
    token = saved(client.ok("SAVESTATE"))
    connection = lot.mark(client)
    lot.leave(client, connection)
    never_again(lot, connection)
    client = lot.gateway.session()
    assert_restored(client.ok(f"STATE {token}"), token)


@LEAVING
@pytest.mark.parametrize("command", IMPLICIT)
def test_nobody_lands_where_condstore_may_have_been_switched_on(lot, command, hang_up):
    client = lot.gateway.session()
    run(client, command)
    connection = lot.mark(client)
    lot.leave(client, connection, hang_up=hang_up)
    never_again(lot, connection)


@pytest.mark.parametrize("answer", ["NO not today", "BAD what?"])
@pytest.mark.parametrize("command", ["ENABLE X-ONE", "STATUS INBOX (HIGHESTMODSEQ)", "SELECT INBOX (CONDSTORE)"])
def test_nor_where_it_was_refused(lot, command, answer):
    # The server may have done it before it came upon the error.
    lot.scripted.on(command.split()[0], answer, times=1)
    client = lot.gateway.session()
    client.command(command)
    connection = lot.mark(client)
    lot.leave(client, connection)
    never_again(lot, connection)


@pytest.mark.parametrize("command", UNKNOWN)
def test_what_nobody_knows_is_not_parked(lot, command):
    client = lot.gateway.session()
    client.bad(command)
    connection = lot.mark(client)
    assert not lot.leave(client, connection)
    never_again(lot, connection)


@LEAVING
@pytest.mark.parametrize("command", HARMLESS)
def test_what_does_not_last_does_not_keep_a_connection_from_its_next_user(lot, command, hang_up):
    client = lot.gateway.session()
    run(client, command)
    connection = lot.mark(client)
    assert lot.leave(client, connection, hang_up=hang_up)
    assert lot.visit() is connection and lot.logins == 1


@pytest.mark.parametrize("command", IMPLICIT)
def test_a_token_is_not_restored_where_condstore_may_be_on_besides(lot, command):
    client = lot.gateway.session()
    client.ok("STATE")
    client.ok("ENABLE X-ONE")
    token = saved(client.ok("SAVESTATE"))
    run(client, command)
    connection = lot.mark(client)
    lot.leave(client, connection)
    client = lot.gateway.session()
    restore(client, token)
    assert lot.mark(client) is not connection


@pytest.mark.parametrize("command", ["SELECT INBOX (CONDSTORE)", "STATUS INBOX (HIGHESTMODSEQ)", "FETCH 1 (FLAGS MODSEQ)"])
def test_where_condstore_is_part_of_the_state_it_cannot_come_unseen(lot, command):
    client = lot.gateway.session()
    token = save(client, "ENABLE CONDSTORE")
    run(client, command)
    connection = lot.mark(client)
    assert lot.leave(client, connection)
    client = lot.gateway.session()
    restore(client, token)
    assert lot.mark(client) is connection


def test_a_state_that_was_set_up_before_tracking_is_not_the_tokens(lot):
    client = lot.gateway.session()
    client.ok("ENABLE QRESYNC")
    token = save(client, "ENABLE X-ONE")       # P10: QRESYNC is in effect, but not in the token
    connection = lot.mark(client)
    lot.leave(client, connection)
    client = lot.gateway.session()
    restore(client, token)
    assert lot.mark(client) is not connection
    assert setup_of(lot.scripted.sessions[-1]) == ["ENABLE X-ONE"]
    never_again(lot, connection)


def test_the_order_of_a_state_counts(lot):
    first = lot.gateway.session()
    token = save(first, "ENABLE X-ONE", "LANGUAGE DE")
    one = lot.mark(first)
    lot.leave(first, one)
    second = lot.gateway.session()
    other = save(second, "LANGUAGE DE", "ENABLE X-ONE")
    two = lot.mark(second)
    lot.leave(second, two)
    client = lot.gateway.session()
    restore(client, other)
    assert lot.mark(client) is two
    client = lot.gateway.session()
    restore(client, token)
    assert lot.mark(client) is one


def test_a_server_that_enables_more_than_it_was_asked_for_does_not_leak_it(lot):
    lot.scripted.on("ENABLE", "* ENABLED X-ONE QRESYNC", "OK done")
    client = lot.gateway.session()
    client.ok("ENABLE X-ONE")
    connection = lot.mark(client)
    lot.leave(client, connection)
    never_again(lot, connection)


@pytest.mark.parametrize("answer", ["NO [NOTIFICATIONOVERFLOW] too many", "NO [BADEVENT (MessageNew)] no", "BAD what?"])
def test_a_notify_that_was_refused_does_not_leak(lot, answer):
    """RFC 5465 section 5.8: behind NOTIFICATIONOVERFLOW it is as if NOTIFY NONE had been sent, and that is not the same as never."""
    lot.scripted.on("NOTIFY", answer, times=1)
    client = lot.gateway.session()
    client.command("NOTIFY SET (personal (MessageNew MessageExpunge))")
    connection = lot.mark(client)
    assert not lot.leave(client, connection)
    never_again(lot, connection)


def test_a_notify_from_before_utf8_is_not_set_again_behind_it(lot):
    """RFC 6855 section 3: its mailbox names would be read otherwise, and others be watched."""
    commands = ("NOTIFY SET (mailboxes Entw&APw-rfe (MessageNew MessageExpunge))", "ENABLE UTF8=ACCEPT")
    client = lot.gateway.session()
    token = save(client, *commands)
    connection = lot.mark(client)
    assert not lot.leave(client, connection)
    client = lot.gateway.session()
    restore(client, token)
    assert setup_of(lot.mark(client)) == list(commands)


def test_a_command_that_the_server_may_still_answer_is_not_forgotten(lot):
    """A server that takes a tag with "]" for none says "* BAD"; but who knows whether that was it."""
    lot.scripted.on("FETCH", lambda connection, tag, arguments: connection.send("* BAD something went wrong.\r\n"))
    client = lot.gateway.session()
    client.ok("SELECT INBOX")
    connection = lot.mark(client)
    client.send(b"a]b FETCH 1:* BODY[]\r\n")
    assert client.response().startswith(b"* BAD")
    assert not lot.leave(client, connection)
    never_again(lot, connection)


def test_what_a_server_enables_unasked_does_not_leak(lot):
    lot.scripted.on("NOOP", "* ENABLED QRESYNC", "OK done", times=1)
    client = lot.gateway.session()
    client.ok("NOOP")
    connection = lot.mark(client)
    lot.leave(client, connection)
    never_again(lot, connection)


# What is never parked


def in_flight(lot, command="SEARCH"):
    """A session that waits for an answer; gives (client, its connection, a function that gives the answer)."""
    asked = []
    lot.scripted.on(command, lambda connection, tag, arguments: asked.append(tag))
    client = lot.gateway.session()
    client.ok("SELECT INBOX")
    connection = lot.mark(client)
    client.start(f"{command} ALL")
    lot.scripted.wait_for(lambda: asked)
    return client, connection, lambda: connection.send(f"* SEARCH 1 2 3\r\n{asked[0]} OK done.\r\n")


def test_a_command_in_flight_at_the_end_is_not_parked(lot):
    client, connection, _ = in_flight(lot)
    since = lot.gateway.log_octets()
    vanish(client)
    assert not lot.settled(connection, since)
    never_again(lot, connection)


def test_a_command_that_is_answered_after_the_clients_end_of_file_may_be_the_last(lot):
    client, connection, answer = in_flight(lot)
    client.wire.sock.shutdown(socket.SHUT_WR)  # no more commands; but it still listens
    since = lot.gateway.log_octets()
    answer()
    assert client.rest()[-1].split()[1] == b"OK"
    assert lot.settled(connection, since)
    client = lot.gateway.session()
    assert client.ok("NOOP").untagged == [] and lot.mark(client) is connection


def test_a_client_that_is_gone_before_its_answer_comes_leaves_none_of_it_to_the_next(lot):
    client, connection, answer = in_flight(lot)
    since = lot.gateway.log_octets()
    client.close()
    answer()
    lot.settled(connection, since)
    client = lot.gateway.session()
    assert client.ok("NOOP").untagged == []


@pytest.mark.parametrize("part", [b"x", b"x ", b"x NOO", b"x NOOP\r", b"x LOGOU"])
def test_a_part_of_a_line_at_the_end_never_reaches_the_next_session(lot, part):
    client = lot.gateway.session()
    connection = lot.mark(client)
    client.send(part)
    if lot.leave(client, connection, hang_up=True):
        assert lot.visit() is connection
        assert "BAD" not in str(connection.names) and all(name in ("LOGIN", "AUTHENTICATE", "STATUS") or tag.startswith("imapstate")
                                                          for tag, name, _ in connection.commands)
    else:
        never_again(lot, connection)


@pytest.mark.parametrize("octets", [
    b"x APPEND INBOX {100+}\r\nSubject: half a mess", b"x APPEND INBOX {100+}\r\n", b"x APPEND INBOX {3+}\r\nabc",
    b"x STATUS {5+}\r\nINBOX (MESSA", b'x LIST "" "half'])
def test_a_literal_or_a_line_cut_in_the_middle_is_not_parked(lot, octets):
    client = lot.gateway.session()
    connection = lot.mark(client)
    client.send(octets)
    # A line that is not whole may have stayed with the gateway; then the connection is clean.
    if lot.leave(client, connection, hang_up=True):
        assert b"\n" not in octets
        assert lot.visit() is connection
    else:
        never_again(lot, connection)


def test_a_synchronizing_literal_that_was_never_sent_is_not_parked(lot):
    client = lot.gateway.session()
    connection = lot.mark(client)
    client.send(b"x APPEND INBOX {100}\r\n")
    client.continuation()
    assert not lot.leave(client, connection, hang_up=True)
    never_again(lot, connection)


def idling(lot, *behind_done, before=()):
    """A session in IDLE, which the upstream, once it gets DONE, ends by these lines. Gives (client, connection)."""
    def idle(connection, tag, arguments):
        connection.send(b"+ idling\r\n")
        assert connection.wire.line() == b"DONE\r\n"
        for line in behind_done or ("{tag} OK done.",):
            connection.send(line.replace("{tag}", tag).encode() + b"\r\n")

    lot.scripted.on("IDLE", idle, times=1)
    client = lot.gateway.session()
    for command in before:
        client.ok(command)
    connection = lot.mark(client)
    client.start("IDLE")
    client.continuation()
    return client, connection


@pytest.mark.parametrize("before,told", [((), ["NOOP"]), (("SELECT INBOX",), ["UNSELECT"])], ids=["nothing selected", "selected"])
def test_an_idle_that_was_not_ended_is_ended(lot, before, told):
    """A phone that falls asleep, or walks out of its network, says no DONE."""
    client, connection = idling(lot, before=before)
    assert lot.leave(client, connection, hang_up=True)
    assert chores(connection) == told
    assert lot.visit() is connection


def test_an_idle_is_ended_where_the_client_had_begun_to_end_it(lot):
    client, connection = idling(lot)
    client.send(b"DO")
    assert lot.leave(client, connection, hang_up=True)
    assert lot.visit() is connection


def test_what_idle_tells_nobody_any_more_is_skipped_but_for_alerts(lot):
    alert = "* OK [ALERT] Lunch."
    client, connection = idling(lot, "* 4 EXISTS", alert, "* 1 FETCH (FLAGS ())", "{tag} OK done.")
    assert lot.leave(client, connection, hang_up=True)
    client, landed = lot.gateway.session(), connection
    assert client.ok("NOOP").untagged == [alert.encode() + b"\r\n"] and lot.mark(client) is landed


@pytest.mark.parametrize("lines", [
    ("{tag} NO no.",), ("{tag} BAD no.",), ("{tag}x OK done.",), ("imapstate OK done.",), ("* BYE going", "{tag} OK done."),
    ("+ more", "{tag} OK done."), ("x 5 EXISTS", "{tag} OK done."),
    # It had just ended IDLE by itself, so DONE is a command to it.
    ("{tag} OK enough of it.", "DONE BAD what?"), ("{tag} OK enough of it.", "* BAD what?")])
def test_an_idle_that_does_not_end_as_it_should_is_not_parked(lot, lines):
    client, connection = idling(lot, *lines)
    assert not lot.leave(client, connection, hang_up=True)
    never_again(lot, connection)


def test_an_idle_whose_end_is_cut_short_is_not_parked(lot):
    for octets in range(len("a3 OK done.\r\n")):
        def idle(connection, tag, arguments, octets=octets):
            connection.send(b"+ idling\r\n")
            assert connection.wire.line() == b"DONE\r\n"
            connection.send(f"{tag} OK done.\r\n".encode()[:octets])
            connection.hang_up()

        lot.scripted.on("IDLE", idle, times=1)
        client = lot.gateway.session("bob", "hunter2")
        connection = lot.mark(client)
        client.start("IDLE", tag="a3")
        client.continuation()
        assert not lot.leave(client, connection, hang_up=True)


def test_an_idle_within_a_response_is_not_parked(lot):
    client, connection = idling(lot)
    half = b"* 1 FETCH (BODY[] {10}\r\nhello"
    connection.send(half)
    assert client.wire.exactly(len(half)) == half
    assert not lot.leave(client, connection, hang_up=True)
    never_again(lot, connection)


@pytest.mark.parametrize("answer", ["+ idling", "{tag} NO not now."])
def test_an_idle_that_is_not_answered_yet_is_waited_for(lot, answer):
    client_gone = threading.Event()

    def idle(connection, tag, arguments):
        assert client_gone.wait(PATIENCE_S)
        connection.send(answer.replace("{tag}", tag).encode() + b"\r\n")
        if answer.startswith("+"):
            assert connection.wire.line() == b"DONE\r\n"
            connection.ok(tag)

    lot.scripted.on("IDLE", idle, times=1)
    client = lot.gateway.session()
    connection = lot.mark(client)
    since = lot.gateway.log_octets()
    client.start("IDLE")
    lot.scripted.wait_for(lambda: "IDLE" in connection.names)
    client.close()
    client_gone.set()
    assert lot.settled(connection, since)
    assert lot.visit() is connection


def test_an_idle_that_was_ended_is_parked(lot):
    client = lot.gateway.session()
    connection = lot.mark(client)
    tag = client.start("IDLE")
    client.continuation()
    client.send(b"DONE\r\n")
    client.wait(tag)
    assert lot.leave(client, connection)


def test_what_is_said_to_a_done_that_came_too_late_reaches_no_other_session(lot):
    """The server has ended IDLE by itself, and its answer to DONE is on its way while the session ends."""
    gone = threading.Event()

    def idle(connection, tag, arguments):
        connection.send(b"+ idling\r\n")
        assert connection.wire.line() == b"DONE\r\n"
        connection.ok(tag)
        assert gone.wait(PATIENCE_S)
        connection.send(b"DONE BAD what?\r\n")

    lot.scripted.on("IDLE", idle, times=1)
    client = lot.gateway.session()
    connection = lot.mark(client)
    tag = client.start("IDLE")
    client.continuation()
    client.send(b"DONE\r\n")
    client.wait(tag)
    since = lot.gateway.log_octets()
    client.close()
    lot.gateway.wait_log("closing: client disconnected", since=since)
    gone.set()
    assert not lot.settled(connection, since)
    never_again(lot, connection)


def test_an_introduction_that_was_not_answered_is_not_parked(lot):
    """The client's ID before the choice is sent on by the gateway, and the client's commands do not wait for it."""
    first = lot.visit()
    lot.scripted.on("ID", lambda connection, tag, arguments: None, times=1)
    client = lot.gateway.session()
    client.ok('ID ("name" "test")')
    assert lot.mark(client) is first and first.names[-2:] == ["ID", "STATUS"]
    assert not lot.leave(client, first, hang_up=True)
    never_again(lot, first)


def test_a_bye_at_any_time_ends_it(lot):
    lot.scripted.on("NOOP", "* BYE soon", "OK done", times=1)
    client = lot.gateway.session()
    client.ok("NOOP")
    connection = lot.mark(client)
    assert not lot.leave(client, connection, hang_up=True)
    never_again(lot, connection)


@pytest.mark.parametrize("half", ["* 4 EXI", "* 4 FETCH (BODY[] {100}\r\nhalf"], ids=["held back", "gone on to the client"])
def test_half_a_response_at_the_end_is_not_parked(lot, half):
    lot.scripted.on("NOOP", lambda connection, tag, arguments: connection.send(f"{tag} OK done.\r\n{half}"))
    client = lot.gateway.session()
    connection = lot.mark(client)
    client.ok("NOOP")
    if "{" in half:
        client.wire.octets(len(half))
    assert not lot.leave(client, connection, hang_up=True)
    never_again(lot, connection)


def test_p16_what_was_unauthenticated_is_closed(start_scripted, start_gateway):
    scripted = start_scripted(caps_after=AFTER + " UNAUTHENTICATE")
    lot = Lot(start_gateway(scripted.port, park={"per_user": 8}), scripted)
    client = lot.gateway.session()
    connection = lot.mark(client)
    client.ok("UNAUTHENTICATE")
    lot.wait_closed(connection)
    assert "UNAUTHENTICATE" not in connection.names
    never_again(lot, connection)


def test_a_connection_that_was_not_logged_in_to_is_not_parked(lot):
    refused = lot.gateway.client()
    refused.no("LOGIN ann wrong")
    refused.logout()
    lot.scripted.wait_for(lambda: all(c.closed for c in lot.scripted.connections))
    assert "park: parked" not in lot.gateway.log()


def test_commands_pipelined_before_a_logout_are_done_before_it_is_parked(lot):
    client = lot.gateway.session()
    connection = lot.mark(client)
    since = lot.gateway.log_octets()
    client.send(b"a SELECT INBOX\r\nb FETCH 1 BODY[]\r\nc LOGOUT\r\n")
    assert client.wait("c").status == b"OK"
    assert lot.settled(connection, since)
    assert [name for name, _ in mine(connection)[-2:]] == ["SELECT", "FETCH"]
    assert lot.visit() is connection


# How a mailbox is left


@LEAVING
@pytest.mark.parametrize("command", ["SELECT INBOX", "EXAMINE INBOX"])
def test_a_mailbox_is_left_by_unselect(lot, command, hang_up):
    first = lot.visit(command, hang_up=hang_up)
    assert chores(first) == ["UNSELECT"] and "CLOSE" not in first.names
    assert lot.visit() is first
    assert chores(first) == ["UNSELECT"]  # nothing to leave the second time


@pytest.mark.parametrize("command", ["CLOSE", "UNSELECT"])
def test_unselect_is_sent_even_if_no_mailbox_seems_to_be_selected(lot, command):
    # A server that took CLOSE for something else must not keep the mailbox open for the next session.
    lot.scripted.on("UNSELECT", "BAD no mailbox is selected")
    if command == "UNSELECT":
        lot.scripted.on("UNSELECT", "OK done", times=1)
    first = lot.visit("SELECT INBOX", command)
    assert chores(first) == ["UNSELECT"]
    assert lot.visit() is first


def test_unselect_is_sent_after_a_select_that_failed(lot):
    lot.scripted.on("SELECT", "NO no such mailbox", times=1)
    lot.scripted.on("UNSELECT", "BAD no mailbox is selected", times=1)
    client = lot.gateway.session()
    client.no("SELECT nowhere")
    first = lot.mark(client)
    assert lot.leave(client, first)
    assert chores(first) == ["UNSELECT"]


@LEAVING
@pytest.mark.parametrize("answer", ["NO Error in IMAP command", "NO [NONEXISTENT] nowhere"])
def test_behind_a_mistake_a_noop_clears_the_count_that_the_server_keeps(lot, answer, hang_up):
    # Courier ends a connection at the tenth mistake in a row; the next session must not inherit nine.
    lot.scripted.on("STATUS", answer)
    client = lot.gateway.session()
    client.command("STATUS nowhere (MESSAGES)")
    first = lot.scripted.sessions[-1]
    assert lot.leave(client, first, hang_up=hang_up)
    assert chores(first) == ["NOOP"]


DOUBTS = ["BAD User is authenticated but not connected.", "BAD Command received in Invalid state.",
          "NO [UNAVAILABLE] the store is down", "NO [SERVERBUG] Server error - Please try again later"]


@LEAVING
@pytest.mark.parametrize("command", ["SELECT INBOX", 'LIST "" "*"', "STATUS INBOX (MESSAGES)"])
@pytest.mark.parametrize("answer", DOUBTS)
def test_what_does_not_serve_its_session_serves_no_other(lot, answer, command, hang_up):
    """Exchange says so on one connection to all that needs the mail store, and OK to what does not."""
    client = lot.gateway.session()
    first = lot.scripted.sessions[-1]
    lot.scripted.on(command.split()[0], answer, times=1)
    client.command(command)
    client.ok("NOOP")
    client.ok("NAMESPACE")
    client.ok("ENABLE X")
    assert not lot.leave(client, first, hang_up=hang_up)
    never_again(lot, first)


@pytest.mark.parametrize("good", ["SELECT INBOX", 'LIST "" "*"', "STATUS INBOX (MESSAGES)"])
def test_a_mistake_of_the_clients_is_forgotten_when_the_mail_store_has_answered(lot, good):
    lot.scripted.on("FETCH", "BAD what?", times=1)
    client = lot.gateway.session()
    client.bad("FETCH 1 (")
    client.ok(good)
    assert lot.leave(client)


def test_a_mistake_that_was_followed_by_a_good_command_needs_no_noop(lot):
    lot.scripted.on("STATUS", "BAD what?", times=1)
    client = lot.gateway.session()
    client.bad("STATUS nowhere (MESSAGES)")
    first = lot.mark(client)
    assert lot.leave(client, first)
    assert chores(first) == []


@pytest.mark.parametrize("answer", ["NO it stays open", "BAD what?"])
def test_a_mailbox_that_cannot_be_left_is_not_parked(lot, answer):
    lot.scripted.on("UNSELECT", answer)
    client = lot.gateway.session()
    client.ok("SELECT INBOX")
    first = lot.mark(client)
    assert not lot.leave(client, first)
    never_again(lot, first)


WITHOUT_UNSELECT = AFTER.replace(" UNSELECT", "")


@LEAVING
@pytest.mark.parametrize("command", ["SELECT INBOX", "SELECT box", "EXAMINE INBOX"])
def test_without_unselect_a_mailbox_is_left_by_an_examine_that_fails(start_scripted, start_gateway, command, hang_up):
    """Which a refused CHECK proves, and the NOOP behind it clears the count of mistakes. CLOSE might expunge."""
    scripted = start_scripted(caps_after=WITHOUT_UNSELECT)
    lot = Lot(start_gateway(scripted.port, park={"per_user": 8}), scripted)
    first = lot.visit(command, hang_up=hang_up)
    sent = chores(first)
    assert sent == ["EXAMINE imapstate-no-such-mailbox", "CHECK", "NOOP"] and not {"UNSELECT", "CLOSE"} & set(first.names)
    assert lot.visit() is first


@pytest.mark.parametrize("examine, check, noop", [
    ("BAD what?", "NO no mailbox is selected", "OK done"),  # nobody knows what a BAD has left selected (P2)
    ("OK [READ-ONLY] there is such a mailbox", "NO", "OK done"),
    ("NO no such mailbox", "OK done", "OK done"),  # the mailbox stays open, whatever RFC 9051 section 6.3.2 says
    ("NO no such mailbox", "BAD what?", "OK done"),  # RFC 9051 has no CHECK
    ("NO no such mailbox", "NO no mailbox is selected", "BAD what?"),
    ("NO no such mailbox", CLOSE, "OK done")])
def test_without_unselect_and_in_doubt_a_mailbox_is_not_parked(start_scripted, start_gateway, examine, check, noop):
    scripted = start_scripted(caps_after=WITHOUT_UNSELECT)
    lot = Lot(start_gateway(scripted.port, park={"per_user": 8}), scripted)
    client = lot.gateway.session()
    client.ok("SELECT INBOX")
    first = lot.mark(client)
    for name, answer in (("EXAMINE", examine), ("CHECK", check), ("NOOP", noop)):
        scripted.on(name, answer)
    assert not lot.leave(client, first)
    assert "CLOSE" not in first.names
    never_again(lot, first)


# NOTIFY


NOTIFY = "NOTIFY SET STATUS (personal (MessageNew MessageExpunge))"


def park_notified(lot, *commands):
    client = lot.gateway.session()
    token = save(client, *commands)
    connection = lot.mark(client)
    assert lot.leave(client, connection)
    return token, connection


def test_notify_is_silenced_while_parked_and_set_again(lot):
    token, first = park_notified(lot, "ENABLE QRESYNC", NOTIFY)
    assert chores(first) == ["NOTIFY NONE"]
    lot.scripted.on("NOTIFY", '* STATUS fresh (MESSAGES 5)', "OK done")
    client = lot.gateway.session()
    answer = restore(client, token)
    assert answer.untagged == [b"* STATUS fresh (MESSAGES 5)\r\n", b"* STATE " + token.encode() + b"\r\n"]
    assert lot.mark(client) is first
    assert first.arguments("NOTIFY") == [b"SET STATUS (personal (MessageNew MessageExpunge))", b"NONE",
                                         b"SET STATUS (personal (MessageNew MessageExpunge))"]
    assert first.arguments("ENABLE") == [b"QRESYNC"]
    assert log_out(lot.gateway, client) == "warm"


def test_notify_none_needs_no_silencing_and_is_no_other_state_than_it_was(lot):
    token, first = park_notified(lot, "NOTIFY NONE")
    client, landed = lot.land()
    assert landed is not first  # NONE is not the same as never
    client = lot.gateway.session()
    restore(client, token)
    assert lot.mark(client) is first


def test_a_notify_with_literals_is_set_again_as_it_was(lot):
    client = lot.gateway.session()
    token = save(client, b"NOTIFY SET (mailboxes " + literal("a box") + b" (MessageNew MessageExpunge))")
    connection = lot.mark(client)
    assert not lot.leave(client, connection)  # the client's own literal could have been anything (P7)
    client = lot.gateway.session()
    restore(client, token)
    replayed = lot.mark(client)
    assert lot.leave(client, replayed)
    client = lot.gateway.session()
    restore(client, token)
    assert lot.mark(client) is replayed
    first, silence, again = replayed.arguments("NOTIFY")
    assert silence == b"NONE" and b"a box" in first and again == first


@pytest.mark.parametrize("answer", ["NO not now", "BAD what?"])
def test_a_notify_that_cannot_be_silenced_is_not_parked(lot, answer):
    client = lot.gateway.session()
    token = save(client, NOTIFY)
    first = lot.mark(client)
    lot.scripted.on("NOTIFY", answer, times=1)
    assert not lot.leave(client, first)
    client = lot.gateway.session()
    restore(client, token)
    assert lot.mark(client) is not first


@pytest.mark.parametrize("answer", ["NO not now", "BAD what?"])
def test_p18_a_notify_that_cannot_be_set_again_costs_the_connection(lot, answer):
    token, first = park_notified(lot, NOTIFY)
    lot.scripted.on("NOTIFY", answer, times=1)
    client = lot.gateway.session()
    client.command(f"STATE {token}")
    # Restored elsewhere, or not at all: never on the connection that is not in the state.
    lot.wait_closed(first)
    assert lot.mark(client) is not first


def test_both_mailbox_and_notify_are_left_in_one_round_trip(lot):
    """LOGOUT is answered only when that is done."""
    def unselect(connection, tag, arguments):
        second, name, _ = connection.command()
        assert name == "NOTIFY"
        connection.ok(tag)
        connection.ok(second)

    lot.scripted.on("UNSELECT", unselect)
    client = lot.gateway.session()
    save(client, NOTIFY)
    client.ok("SELECT INBOX")
    first = lot.mark(client)
    assert lot.leave(client, first)
    assert chores(first) == ["UNSELECT", "NOTIFY NONE"]


def test_answers_to_what_undoes_it_are_told_apart(lot):
    """The first may fail here, the second may not."""
    lot.scripted.on("UNSELECT", lambda connection, tag, arguments: None)

    def notify(connection, tag, arguments):
        unselect = next(each for each, name, _ in connection.commands if name == "UNSELECT" and each.startswith("imapstate"))
        connection.send(f"{tag} NO it stays on.\r\n")
        connection.ok(unselect)

    client = lot.gateway.session()
    save(client, NOTIFY)
    lot.scripted.on("NOTIFY", notify)
    lot.scripted.on("CLOSE", "OK done.")
    client.ok("SELECT INBOX")
    client.ok("CLOSE")
    assert not lot.leave(client, lot.mark(client))


def test_what_comes_while_it_settles_is_nobodys(lot):
    def chatty(connection, tag, arguments):
        connection.send("* 7 EXISTS\r\n* 7 FETCH (FLAGS ())\r\n")
        connection.do_UNSELECT(tag, arguments)
    lot.scripted.on("UNSELECT", chatty)
    first = lot.visit("SELECT INBOX")
    client = lot.gateway.session()
    answer = client.ok("NOOP")
    assert answer.untagged == []
    assert lot.mark(client) is first


def test_a_client_that_is_back_before_the_connection_has_settled_gets_another(lot):
    held = []
    lot.scripted.on("UNSELECT", lambda connection, tag, arguments: held.append((connection, tag)), times=1)
    client = lot.gateway.session()
    client.ok("SELECT INBOX")
    first = lot.mark(client)
    client.close()
    lot.scripted.wait_for(lambda: held)
    client, second = lot.land()
    assert second is not first
    since = lot.gateway.log_octets()
    held[0][0].ok(held[0][1])
    assert lot.settled(first, since)
    client, third = lot.land()
    assert third is first


def test_logout_is_answered_when_the_connection_can_be_had_again(lot):
    held = []
    lot.scripted.on("UNSELECT", lambda connection, tag, arguments: held.append((connection, tag)), times=1)
    client = lot.gateway.session()
    client.ok("SELECT INBOX")
    first = lot.mark(client)
    client.send(b"bye LOGOUT\r\n")
    lot.scripted.wait_for(lambda: held)
    client.expect_silence(0.1)
    held[0][0].ok(held[0][1])
    assert client.wait("bye").status == b"OK"
    client, second = lot.land()
    assert second is first


def test_a_client_that_hangs_up_while_its_logout_waits_leaves_the_connection_to_be_parked(lot):
    held = []
    lot.scripted.on("UNSELECT", lambda connection, tag, arguments: held.append((connection, tag)), times=1)
    client = lot.gateway.session()
    client.ok("SELECT INBOX")
    first = lot.mark(client)
    client.send(b"bye LOGOUT\r\n")
    lot.scripted.wait_for(lambda: held)
    client.close()
    since = lot.gateway.log_octets()
    held[0][0].ok(held[0][1])
    assert lot.settled(first, since)
    client, second = lot.land()
    assert second is first


def test_a_server_that_hangs_while_it_settles_is_given_up(scripted, start_gateway):
    lot = Lot(start_gateway(upstream(scripted.port, answer_timeout="300ms"), park={}), scripted)
    scripted.on("UNSELECT", lambda connection, tag, arguments: None)
    client = in_time(0.25, lot.gateway.session)
    client.ok("SELECT INBOX")
    first = lot.mark(client)
    assert not lot.leave(client, first)


def test_a_client_that_vanishes_in_its_own_answer_leaves_nothing_behind(lot):
    """imapproxy's fault: the next login reads the answers of the session before."""
    big = b"* LIST () \"/\" " + b"x" * 500 + b"\r\n"

    def flood(connection, tag, arguments):
        for _ in range(2000):
            connection.send(big)
        connection.ok(tag)

    lot.scripted.on("LIST", flood, times=1)
    client = lot.gateway.session()
    first = lot.mark(client)
    client.start('LIST "" "*"')
    client.response()
    client.close()
    for _ in range(3):
        client = lot.gateway.session()
        assert client.ok("NOOP").untagged == []
        try:
            lot.mark(client)
        except Closed:
            raise AssertionError("the next session was closed") from None
        client.logout()
