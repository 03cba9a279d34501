"""Literals that the client sends without waiting: the server is asked in its place, and what it may say to that, and when."""
import re
import select
import socket
import threading

import pytest

from harness.gateway import upstream
from harness.imap import literal
from harness.memory import needs_plain_build, resident_kib
from harness.parking import Lot, log_out
from harness.server import NEW_USER_PASSWORD
from harness.tokens import restore, save

REFUSED = b"x APPEND INBOX (\\Seen) {7+}\r\ny NOOP\n ~{3+}\r\n\0\r\n {0+}\r\n (more)\r\n"


def saying(octets):
    return lambda connection, line: connection.send(octets)


def ended(client):
    responses = client.rest()
    assert responses and responses[-1].startswith(b"* BYE "), responses
    return responses


@pytest.mark.parametrize("cut", range(1, len(REFUSED)))
def test_a_refused_command_is_swallowed_wherever_it_is_cut(scripted, scripted_gateway, cut):
    """The refusal comes before the second part, or behind it, as chance has it: the client sees the same."""
    scripted.refuses_literals = True
    client = scripted_gateway.session()
    client.send(REFUSED[:cut])
    if cut >= REFUSED.index(b"\r\n") + 2:
        scripted.wait_for(lambda: b"APPEND" in scripted.sessions[-1].received)
    client.send(REFUSED[cut:] + b"n NOOP\r\n")
    assert client.response() == b"x NO no literals here.\r\n"
    assert client.response() == b"n OK done.\r\n"
    assert scripted.sessions[-1].received.endswith(b"x APPEND INBOX (\\Seen) {7}\r\nn NOOP\r\n")


@pytest.mark.parametrize("last", [b"abc\r\n", b" {5}\r\n", b" {5+}\r\nabcde\r\n", b"\n"])
def test_what_is_swallowed_may_be_anything_that_ends(scripted, scripted_gateway, last):
    scripted.refuses_literals = True
    client = scripted_gateway.session()
    client.send(b"x APPEND INBOX {3+}\r\nabc" + last + b"n NOOP\r\n")
    assert client.wait("x").status == b"NO"
    assert client.wait("n").status == b"OK"


@needs_plain_build
def test_what_is_swallowed_is_not_kept(scripted, scripted_gateway):
    scripted.refuses_literals = True
    client = scripted_gateway.session()
    before = resident_kib(scripted_gateway)
    client.send(b"x APPEND INBOX {100000000+}\r\n" + b"x" * 100_000_000)
    assert resident_kib(scripted_gateway) - before < 2048
    client.send(b"\r\n")
    assert client.wait("x").status == b"NO"


WORDS_THAT_END = {
    "+ and at once the answer": b"+ go\r\nx BAD no.\r\n",
    "+ twice": b"+ go\r\n+ go\r\n",
    "the answer and then +": b"x NO no.\r\n+ go\r\n",
    "the answer twice": b"x NO no.\r\nx NO no.\r\n",
    "a tag that no command has": b"z NO no.\r\n",
}


@pytest.mark.parametrize("name", WORDS_THAT_END)
def test_a_word_after_which_nobody_knows_what_the_server_reads_ends_the_session(scripted, scripted_gateway, name):
    scripted.refuses_literals = saying(WORDS_THAT_END[name])
    client = scripted_gateway.session()
    client.send(b"x APPEND INBOX {19+}\r\n")
    responses = ended(client)
    assert (responses[0] == b"x BAD no.\r\n") == (name == "+ and at once the answer")
    scripted_gateway.wait_log("closing: answer that cannot be matched: ")


def test_a_held_answer_is_told_if_the_server_goes_meanwhile(scripted, scripted_gateway):
    scripted.refuses_literals = saying(b"x OK done with it.\r\n* 3 EXISTS\r\n")
    client = scripted_gateway.session()
    client.send(b"x SUBSCRIBE a {3+}\r\n")
    assert client.response() == b"* 3 EXISTS\r\n"
    scripted.drop_all()
    assert ended(client)[0] == b"x OK done with it.\r\n"


@pytest.mark.parametrize("refuses", [True, False])
def test_whoever_sends_all_and_no_more_is_answered(scripted, scripted_gateway, refuses):
    """Half a close behind a command of which the gateway has read a part."""
    asked, goes_on = threading.Event(), threading.Event()

    def pause(connection, line):
        asked.set()
        goes_on.wait(60)
        if refuses:
            connection.send(b"x NO no.\r\n")
            return
        connection.send(b"+ go\r\n")
        connection.wire.octets(19)
        assert connection.wire.line() == b" (more)\r\n"
        connection.ok("x")

    scripted.refuses_literals = pause
    client = scripted_gateway.session()
    client.send(b"x APPEND INBOX {19+}\r\n0123456789012345678 (more)\r\n")
    client.wire.sock.shutdown(socket.SHUT_WR)
    assert asked.wait(60)
    goes_on.set()
    assert client.wait("x").status == (b"NO" if refuses else b"OK")
    client.rest()


def test_a_tag_that_the_server_takes_for_none_is_answered_untagged(scripted, scripted_gateway):
    scripted.refuses_literals = saying(b"* BAD Invalid tag.\r\n")
    client = scripted_gateway.session()
    client.send(b"a]b LIST \"\" {3+}\r\n")
    assert client.response() == b"* BAD Invalid tag.\r\n"
    client.send(b"abc\r\n")
    client.ok("NOOP")
    assert b"{3}\r\na" in scripted.sessions[-1].received and b"abc" not in scripted.sessions[-1].received


def test_a_message_of_20_mb_passes_and_one_is_refused(scripted, scripted_gateway):
    octets = bytes(range(1, 256)) * 80_000
    client = scripted_gateway.session()
    client.ok(b"APPEND INBOX " + literal(octets))
    assert scripted.sessions[-1].arguments("APPEND") == [b"INBOX " + literal(octets, plus=False)]
    scripted.refuses_literals = True
    client.no(b"APPEND INBOX " + literal(octets))
    scripted.refuses_literals = False
    client.ok("NOOP")


@pytest.mark.every_server
def test_a_refused_append_costs_no_session_on_a_real_server(gateway, server):
    client = gateway.session(server.new_user(), NEW_USER_PASSWORD)
    for refused in (b"x APPEND none-such " + literal(b"y ENABLE QRESYNC\r\n"),
                    b"x APPEND INBOX (\\Nonsense) " + literal("a" * 70000),
                    b"x APPEND INBOX (\\Nonsense) {0+}\r\n " + literal(b"y LOGOUT\r\n"),
                    b"x APPEND INBOX \"no date\" " + literal(b"y LOGOUT\r\n") + b" (\\Seen) " + literal(b"z LOGOUT\r\n")):
        client.send(refused + b"\r\n")
        assert client.wait("x").status in (b"NO", b"BAD")
        answer = client.ok("NOOP")
        assert not [line for line in answer.untagged if line[:6] in (b"* BAD ", b"* BYE ")]
    client.ok(b"APPEND INBOX " + literal("Subject: it is there\r\n\r\n"))
    assert client.ok("STATUS INBOX (MESSAGES)").of("STATUS")[0].endswith(b"(MESSAGES 1)\r\n")


@pytest.mark.every_server
@pytest.mark.needs("MULTIAPPEND")
def test_a_multiappend_with_a_bad_flag_costs_no_session_on_a_real_server(gateway, server):
    client = gateway.session(server.new_user(), NEW_USER_PASSWORD)
    good = b" (\\Seen) " + literal("Subject: hello\r\n\r\n")
    client.send(b"x APPEND INBOX" + good * 3 + b" (\\Nonsense) " + literal(b"y LOGOUT\r\n") + good * 3 + b"\r\n")
    assert client.wait("x").status in (b"NO", b"BAD")
    client.ok(b"APPEND INBOX" + good * 20)


@pytest.mark.every_server
def test_a_literal_that_comes_slowly_is_taken_by_a_real_server(gateway, server):
    """No server answers before the command's last line has come."""
    client = gateway.session(server.new_user(), NEW_USER_PASSWORD)
    client.send(b"x APPEND INBOX {24+}\r\nSubject: slow")
    client.expect_silence()
    client.send(b"\r\n\r\nhere.\r\n")
    client.expect_silence()
    client.send(b"\r\n")
    assert client.wait("x").status == b"OK"


@pytest.mark.parametrize("behind", [b"y NOOP\r\n", b"(x)\r\n", b"]\r\n", b"\"a\"\r\n", b"{3+}\r\nabc\r\n"])
def test_what_stands_behind_a_literal_is_the_end_of_a_string(scripted, scripted_gateway, behind):
    """Cyrus says + to a message of no octets, and at once NO: the line behind it would be a command."""
    client = scripted_gateway.session()
    client.send(b"x APPEND INBOX {0+}\r\n" + behind)
    ended(client)
    assert scripted.sessions[-1].received.endswith(b"x APPEND INBOX {0}\r\n")


@pytest.mark.every_server
def test_a_message_of_no_octets_hides_no_command_from_a_real_server(gateway, server):
    user = server.new_user()
    client = gateway.session(user, NEW_USER_PASSWORD)
    client.send(b"x APPEND INBOX {0+}\r\ny CREATE Smuggled\r\n")
    client.send(b"n NOOP\r\n")
    client.wire.sock.shutdown(socket.SHUT_WR)
    client.rest()
    other = gateway.session(user, NEW_USER_PASSWORD)
    assert not [line for line in other.ok('LIST "" *').of("LIST") if b"Smuggled" in line]


@pytest.mark.parametrize("status, parked", [("OK", True), ("NO", False), ("BAD", False)])
@pytest.mark.parametrize("command", ["APPEND", "REPLACE"])
def test_only_an_append_that_was_carried_out_leaves_its_connection_to_others(scripted, start_gateway, command, status, parked):
    """Dovecot reads what is behind a mistake in APPEND's line as a command, "y NOOP" in APPEND INBOX {y NOOP; and with care the
    books may balance."""
    lot = Lot(start_gateway(scripted.port, park={"per_user": 2}), scripted)
    scripted.on(command, status + " so it is.")
    client = lot.gateway.session()
    connection = lot.mark(client)
    client.command(f"{command} 1 INBOX {{3+}}\r\nabc" if command == "REPLACE" else f"{command} INBOX {{3+}}\r\nabc")
    assert lot.leave(client, connection) == parked


# States


NOTIFY = b"NOTIFY SET (mailboxes %s (MessageNew MessageExpunge))"


@pytest.mark.parametrize("form", [b"{3+}\r\nbox", b"{3+}\nbox", b"{3}\nbox"])
def test_p08_a_state_is_the_same_however_its_literals_came(scripted, start_gateway, form):
    lot = Lot(start_gateway(scripted.port, park={"per_user": 8}), scripted)
    client = lot.gateway.session()
    token = save(client, "ENABLE CONDSTORE", NOTIFY % b"{3}\r\nbox")
    scripted.drop_all()  # so that only the second session's connection can be taken
    client.rest()
    client = lot.gateway.session()
    client.ok("STATE")
    client.ok("ENABLE CONDSTORE")
    client.ok(NOTIFY % form)
    assert scripted.sessions[-1].arguments("NOTIFY")[-1].startswith(b"SET (mailboxes {3}\r\nbox ")
    client.ok("SAVESTATE")
    connection = scripted.sessions[-1]
    assert lot.leave(client, connection)
    client = lot.gateway.session()
    restore(client, token)
    assert log_out(lot.gateway, client) == "warm"


def test_p17_in_a_replay_each_literal_waits_for_the_server(start_scripted, start_gateway):
    name = "x" * 300 + "ü"
    scripted = start_scripted()
    gateway = start_gateway(scripted.port)
    token = save(gateway.session(), NOTIFY % literal(name))
    before = len(scripted.sessions)
    restore(gateway.session(), token)
    assert len(scripted.sessions) == before + 1
    assert re.search(rb"NOTIFY SET \(mailboxes \{302\}\r\n", scripted.sessions[-1].received)
    assert b"+}" not in scripted.sessions[-1].received


# Connections that were parked


def test_a_dead_connection_is_replaced_though_a_literal_waits(scripted, start_gateway):
    lot = Lot(start_gateway(scripted.port, park={"per_user": 8}), scripted)
    lot.visit()
    first = scripted.sessions[-1]
    scripted.refuses_literals = lambda connection, line: connection.hang_up() if connection is first else connection.send(b"x NO no.\r\n")
    client = lot.gateway.session()
    client.send(b"x STATUS {5+}\r\nINBOX (MESSAGES)\r\n")
    assert client.wait("x").tagged == b"x NO no.\r\n"
    assert scripted.sessions[-1] is not first
    assert scripted.sessions[-1].received.endswith(b"x STATUS {5}\r\n") and first.received.endswith(b"x STATUS {5}\r\n")
    scripted.refuses_literals = False
    client.ok(b"STATUS " + literal("INBOX") + b" (MESSAGES)")


# append_literals = "stream"


def streaming(start_scripted, start_gateway, **habits):
    scripted = start_scripted(**habits)
    return scripted, start_gateway([upstream(scripted.port, append_literals="stream")]).session()


@pytest.mark.parametrize("caps, announcement, streams", [
    ("LITERAL+", b"{5000+}", True), ("LITERAL-", b"{4096+}", True), ("LITERAL-", b"{4097+}", False), ("IMAP4rev2", b"{4096+}", True),
    ("IDLE", b"{1+}", False), ("LITERAL+", b"~{1+}", False), ("LITERAL+ BINARY", b"~{1+}", True)])
def test_a_message_streams_where_the_upstream_takes_it_so(start_scripted, start_gateway, caps, announcement, streams):
    scripted, client = streaming(start_scripted, start_gateway, caps_after="IMAP4rev1 " + caps)
    octets = b"a" * int(announcement.strip(b"~{+}"))
    client.ok(b"APPEND INBOX " + announcement + b"\r\n" + octets + b" " + announcement + b"\r\n" + octets)
    seen = announcement if streams else announcement.replace(b"+", b"")
    assert scripted.sessions[-1].arguments("APPEND") == [b"INBOX " + seen + b"\r\n" + octets + b" " + seen + b"\r\n" + octets]


def test_the_mailbox_s_name_does_not_stream(start_scripted, start_gateway):
    scripted, client = streaming(start_scripted, start_gateway)
    client.ok(b"APPEND " + literal("INBOX") + b" " + literal("a message"))
    assert scripted.sessions[-1].arguments("APPEND") == [literal("INBOX", plus=False) + b" " + literal("a message")]
