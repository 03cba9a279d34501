"""What docs/framing.md says of doubtful input, in front of a scripted upstream and of Dovecot: it is answered BAD or it ends the
session, and never does a server read as a command what the gateway took for something else."""
import select
import socket
import threading

import pytest

from harness.dovecotconf import is_24
from harness.gateway import upstream
from harness.imap import Closed, literal
from harness.memory import needs_plain_build, resident_kib
from harness.patience import PATIENCE_S
from harness.server import NEW_USER_PASSWORD
from harness.tokens import save

SMUGGLED = b"z CREATE Smuggled\r\n"
BINARY = "IMAP4rev1 LITERAL+ BINARY IDLE ENABLE"


def hiding(text):
    """A line that announces the smuggled command as its literal, where one reader sees a literal and another does not."""
    return text.replace(b"N", b"%d" % len(SMUGGLED)) + b"\r\n" + SMUGGLED + b"\r\n"


# Ends the connection; no octet of the smuggled command reaches the upstream.
ENDS = {
    "CR alone": b"x NOOP\r" + SMUGGLED,
    "CR within a line": b'x LIST "" a\rb\r\n' + SMUGGLED,
    "CR within quotes": b'x LIST "" "a\rb"\r\n' + SMUGGLED,
    "CR CR LF": b"x NOOP\r\r\n" + SMUGGLED,
    "a line that is too long and leaves a quote open": b'x LIST "" "' + b"a" * 70000 + b"\r\n" + SMUGGLED,
    "CR in a line that is too long": b'x LIST "" ' + b"a" * 70000 + b"\r" + SMUGGLED,
    "a literal behind no SP in a line that is too long": hiding(b'x LIST "" ' + b"a" * 70000 + b"{N+}"),
    "more digits than are waited for in a line that is too long": b'x LIST "" {' + b"0" * 70000 + b"3+}\r\n" + SMUGGLED,
    "a line that is too long behind a literal": b'x LIST {0+}\r\n ' + b"a" * 70000 + b"\r\n" + SMUGGLED,
    "a number that is too large behind a literal in LIST": b'x LIST {0+}\r\n {4294967296}\r\n' + SMUGGLED,
    "an open quote": b'x LIST "" "a\r\n' + SMUGGLED,
    "CRLF within quotes": b'x LIST "" "a\r\n' + SMUGGLED + b'"\r\n',
    "LF within quotes": b'x LIST "" "a\n' + SMUGGLED + b'"\r\n',
    "a quote that only seems to be closed": b'x LIST "" "a\\"\r\n' + SMUGGLED,
    "an open quote behind a literal": b'x LIST {0+}\r\n "a\r\n' + SMUGGLED,
    "a literal behind no SP": hiding(b'x LIST "" x{N+}'),
    "a literal behind a quote": hiding(b'x LIST "" "x"{N+}'),
    "a literal behind TAB": hiding(b'x LIST ""\t{N+}'),
    "a literal with SP behind it": hiding(b'x LIST "" {N+} '),
    "a literal with a brace before it": hiding(b'x LIST "" {{N+}'),
    "a literal8 behind no SP": hiding(b'x LIST "" x~{N+}'),
    "a literal8 with two tildes": hiding(b'x LIST "" ~~{N+}'),
    "a number that is too large": b"x APPEND INBOX {4294967296+}\r\n" + SMUGGLED,
    "a number that wraps": b"x APPEND INBOX {18446744073709551617+}\r\n" + SMUGGLED,
    "NUL and a literal": hiding(b'x LIST "" \0 {N+}'),
    "NUL and a synchronizing literal": hiding(b'x LIST "" \0 {N}'),
    "NUL behind a literal": b'x LIST {0+}\r\n "a\0b"\r\n' + SMUGGLED,
    "a literal in IDLE": hiding(b"x IDLE {N+}"),
    "a brace behind a literal in APPEND": b"x APPEND INBOX {3+}\r\nabc {" + SMUGGLED,
    "DEL behind a literal in APPEND": b"x APPEND INBOX {3+}\r\nabc \x7f" + SMUGGLED,
    "a brace behind a mailbox that is a literal in APPEND": b"x APPEND {5+}\r\nINBOX {" + SMUGGLED,
    "a CATENATE list behind a mailbox that is a literal in APPEND": b"x APPEND {5+}\r\nINBOX CATENATE (FOO )" + SMUGGLED,
    "a part that is none, and SP, behind a literal in CATENATE": b"x APPEND INBOX CATENATE (TEXT {3+}\r\nabc FOO ) " + SMUGGLED,
    "a part that is none behind a literal in CATENATE": b"x APPEND INBOX CATENATE (TEXT {3+}\r\nabc FOO )" + SMUGGLED,
}

# Whether it is a literal is the server's to say: it is asked, and if it answers the command instead, octets go nowhere.
ASKED = {
    "a literal in NOOP": hiding(b"x NOOP {N+}"),
    "a literal in CHECK": hiding(b"x CHECK {N+}"),
    "a literal in CLOSE": hiding(b"x CLOSE {N+}"),
    "a literal in EXPUNGE": hiding(b"x EXPUNGE {N+}"),
    "a literal in UNSELECT": hiding(b"x UNSELECT {N+}"),
    "a literal in NAMESPACE": hiding(b"x NAMESPACE {N+}"),
    "a literal in CAPABILITY": hiding(b"x CAPABILITY {N+}"),
    "a literal in ENABLE": hiding(b"x ENABLE {N+}"),
    "a literal in STORE": hiding(b"x STORE 1 FLAGS {N+}"),
    "a literal in UID STORE": hiding(b"x UID STORE 1 FLAGS {N+}"),
    "a literal in an unknown command": hiding(b"x XYZZY {N+}"),
    "a literal in an unknown UID command": hiding(b"x UID XYZZY {N+}"),
    "a second literal in a command that takes none": b"x NOOP {0+}\r\n " + SMUGGLED,
    "a surplus argument of SUBSCRIBE": hiding(b"x SUBSCRIBE INBOX {N+}"),
    "a surplus argument of CREATE": hiding(b"x CREATE Made {N+}"),
    "a surplus argument of STATUS": hiding(b"x STATUS INBOX (MESSAGES) {N+}"),
    "a surplus argument of COPY": hiding(b"x COPY 1 INBOX {N+}"),
    "a surplus argument of SELECT": hiding(b"x SELECT INBOX {N+}"),
    "a surplus argument of FETCH": hiding(b"x FETCH 1 {N+}"),
    "a date that is none": hiding(b'x APPEND INBOX "no date" {N+}'),
    "a flag that is none": hiding(b"x APPEND INBOX (\\Nonsense) {N+}"),
    "a parenthesis too many": hiding(b"x LIST ) {N+}"),
    "literals behind the refused one": b"x SELECT INBOX {3+}\r\nabc {%d+}\r\n" % len(SMUGGLED) + SMUGGLED + b" {0+}\r\n\r\n",
}

# Answered BAD by the gateway, with that tag; not passed on; the session goes on.
BAD = {
    "NUL in a tag": (b"x\0y NOOP\r\n", b"*"),
    "NUL in a name": (b"x NO\0OP\r\n", b"x"),
    "NUL in an atom": (b'x LIST "" a\0b\r\n', b"x"),
    "NUL in a quoted string": (b'x LIST "" "a\0b"\r\n', b"x"),
    "NUL alone": (b"\0\r\n", b"*"),
    "an empty line": (b"\r\n", b"*"),
    "LF alone": (b"\n", b"*"),
    "a tag alone": (b"x\r\n", b"x"),
    "a tag and SP": (b"x \r\n", b"x"),
    "SP before the tag": (b" x NOOP\r\n", b"*"),
    "two SP": (b"x  NOOP\r\n", b"x"),
    "TAB": (b"x\tNOOP\r\n", b"*"),
    "two SP behind UID": (b"x UID  FETCH 1 FLAGS\r\n", b"x"),
    "the tag *": (b"* NOOP\r\n", b"*"),
    "the tag +": (b"+ NOOP\r\n", b"*"),
    "a tag with +": (b"a+b NOOP\r\n", b"*"),
    "a tag with (": (b"a(b NOOP\r\n", b"*"),
    "a tag with a quote": (b'"a" NOOP\r\n', b"*"),
    "a tag with 8-bit octets": (b"\xc3\xa4 NOOP\r\n", b"*"),
    "a number that is too large, of a literal that is asked for": (b"x APPEND INBOX {4294967296}\r\n", b"x"),
    "one that wraps": (b"x APPEND INBOX (\\Seen) ~{18446744073709551617}\r\n", b"x"),
}

# The same: lines behind whose mistake a server may go on with a command.
IN_APPEND = {f"{each!r} in APPEND": (b"x APPEND " + each + SMUGGLED, b"x") for each in [
    b"INBOX {", b"INBOX { ", b"INBOX {5}", b"INBOX {5} ", b"INBOX {+}", b"INBOX {}", b"INBOX {5x} ", b"INBOX {5", b"INBOX {99999999999999999999}",
    b"INBOX ~{", b"INBOX ~{5}", b"INBOX ({", b"INBOX (\\Seen) {", b'INBOX "01-Jan-2024 00:00:00 +0000" {', b"{", b"INBOX{", b"INBOX x{", b"INBOX x(",
    b'INBOX x"a"', b'INBOX "a"', b"INBOX \x7f", b"INBOX \x7f ", b"INBOX \x01", b"INBOX\t", b"INBOX \xc3", b"INBOX CATENATE (FOO )",
    b"INBOX (\\Seen) catenate (FOO) ", b"INBOX CATENATE (TEXT x )", b"INBOX CATENATE (URL (x) )", b'INBOX CATENATE ("URL" x )',
    b"INBOX CATENATE (TEXT {", b"none-such {"]}
IN_APPEND |= {f"{each!r}": (each + b"\r\n", b"x") for each in [
    b"x APPEND INBOX {", b"x APPEND INBOX {+}", b"x APPEND INBOX {5x}", b"x APPEND INBOX x{5}", b"x REPLACE 1 INBOX {", b"x UID REPLACE 1 INBOX {y NOOP"]}

# The same; before login they are too much.
TOO_LONG = {
    "a line": (b'x FETCH ' + b"1," * 35000 + b"2 FLAGS\r\n", b"x"),
    "a line that ends in LF": (b'x FETCH ' + b"1," * 35000 + b"2 FLAGS\n", b"x"),
    "a line of 300 KB": (b'x FETCH ' + b"1," * 150000 + b"2 FLAGS\r\n", b"x"),
    "a line with NUL": (b'x FETCH ' + b"1," * 150000 + b"\0\r\n", b"x"),
    "a line of 64 KiB and one": (b'x LIST "" ' + b"a" * 65525 + b"\r\n", b"x"),
    "a line with a literal behind it": (hiding(b'x LIST "" ' + b"a" * 70000 + b" {N+}"), b"x"),
    "a line with two": (b'x SEARCH ' + b"a" * 70000 + b" {%d+}\r\n" % len(SMUGGLED) + SMUGGLED + b" ~{70000+}\r\n" + b"z" * 70000 + b" x\r\n", b"x"),
    "a line with one that is asked for": (b'x SEARCH ' + b"a" * 70000 + b" {5}\r\n", b"x"),
    "a line with one that is too large": (b'x SEARCH ' + b"a" * 70000 + b" {4294967296}\r\n", b"x"),
    "a quote over several parts": (b'x LIST "" "' + b'\\"' * 70000 + b' {3+}"\r\n', b"x"),
    "an APPEND": (b'x APPEND ' + b"a" * 70000 + b" {70000+}\r\n" + b"z" * 70000 + b"\r\n", b"x"),
    "a STATE": (b'x STATE ' + b"a" * 70000 + b"\r\n", b"x"),
    "an IDLE": (b'x IDLE ' + b"a" * 70000 + b"\r\n", b"x"),
    "a tag": (b"a" * 70000 + b" NOOP\r\n", b"*"),
}

# No literal: the line passes as it is, and the next one is a command.
PASSES = {
    "an empty number": b'x SEARCH TEXT {}\r\n',
    "letters": b'x SEARCH TEXT {a}\r\n',
    "a minus": b'x SEARCH TEXT {5-}\r\n',
    "within the line": b'x SEARCH TEXT {5} ALL\r\n',
    "within a quoted string": b'x SEARCH TEXT "{5+}" SUBJECT "{5}\\""\r\n',
    "8-bit octets": b'x SEARCH TEXT "\xc3\xa4\xff"\r\n',
    "a line of 64 KiB less a little": b'x SEARCH TEXT ' + b"a" * 65000 + b"\r\n",
}


@pytest.fixture
def scripted(start_scripted):
    return start_scripted(caps_after=BINARY)


def ended(client):
    """All responses until the end; it must come by itself, with BYE."""
    responses = client.rest()
    assert responses and responses[-1].startswith(b"* BYE "), responses
    return responses


@pytest.mark.parametrize("name", ENDS)
def test_input_that_two_could_read_differently_ends_the_session(scripted, scripted_gateway, name):
    client = scripted_gateway.session()
    client.send(ENDS[name])
    ended(client)
    scripted_gateway.wait_log(r"closing: input that cannot be framed: \S")
    scripted.wait_for(lambda: scripted.sessions[-1].closed)
    assert b"Smuggled" not in scripted.sessions[-1].received


def test_nothing_smuggled_takes_effect_in_dovecot(dovecot, gateway, connect):
    user = dovecot.new_user()
    for octets in ENDS.values():
        client = gateway.session(user, NEW_USER_PASSWORD)
        client.ok("SELECT INBOX")
        client.send(octets)
        ended(client)
    direct = connect(dovecot.plain_port)
    direct.login(user, NEW_USER_PASSWORD)
    assert direct.ok('LIST "" *').of("LIST") == [b'* LIST (\\HasNoChildren) "/" INBOX\r\n']


@pytest.mark.parametrize("name", ASKED)
def test_octets_that_the_server_does_not_ask_for_go_nowhere(scripted, scripted_gateway, name):
    scripted.refuses_literals = True
    client = scripted_gateway.session()
    client.send(ASKED[name] + b"n NOOP\r\n")
    assert client.wait("x").status == b"NO"
    assert client.wait("n").status == b"OK"
    assert b"+}" not in scripted.sessions[-1].received and b"Smuggled" not in scripted.sessions[-1].received
    assert scripted.sessions[-1].received.endswith(b"}\r\nn NOOP\r\n")


@pytest.mark.every_server
@pytest.mark.parametrize("name", ASKED)
def test_nothing_smuggled_takes_effect_on_a_real_server(gateway, server, name):
    if server.name == "Courier" and "STORE" in name:
        pytest.skip("Courier neither asks for that literal nor answers")
    user = server.new_user()
    server.add_message(user)
    client = gateway.session(user, NEW_USER_PASSWORD)
    client.ok("SELECT INBOX")
    client.send(ASKED[name] + b"n NOOP\r\n")
    client.wait("x")
    assert client.wait("n").status == b"OK"
    assert not [line for line in client.ok('LIST "" *').of("LIST") if b"Smuggled" in line]
    client.ok("LOGOUT")


@pytest.mark.parametrize("answer", ["OK fine.", "NO no.", "BAD no."])
def test_a_refusal_is_held_until_the_command_has_come_whole(scripted, scripted_gateway, answer):
    """Octet by octet; what else the server says, and the answers to other commands, pass meanwhile."""
    scripted.script = refusing_literals(answer)
    client = scripted_gateway.session()
    rest = SMUGGLED + b" {3+}\r\nabc (more) {0+}\r\n\r\n"
    client.send(b"w WAIT\r\nx APPEND INBOX {%d+}\r\n" % len(SMUGGLED))
    assert client.response() == b"* 5 EXISTS\r\n"
    assert client.response() == b"w OK waited.\r\n"
    for at in range(len(rest) - 1):
        client.send(rest[at:at + 1])
    client.expect_silence()
    client.send(rest[-1:])
    assert client.response() == b"x " + answer.encode() + b"\r\n"
    client.ok("NOOP")
    assert b"Smuggled" not in scripted.sessions[-1].received


def test_a_synchronizing_literal_behind_a_refused_one_is_refused_by_the_same_answer(scripted, scripted_gateway):
    scripted.script = refusing_literals("NO no.")
    client = scripted_gateway.session()
    client.send(b"w WAIT\r\nx APPEND INBOX {3+}\r\nabc {5}\r\n")
    assert client.wait("w").status == b"OK"
    answer = client.wait("x")
    assert answer.tagged == b"x NO no.\r\n" and b"+" not in [line[:1] for line in answer.untagged]
    client.ok("NOOP")


def test_whoever_ends_in_the_middle_of_a_refused_command_leaves_a_connection_that_nobody_gets(start_scripted, start_gateway):
    scripted = start_scripted()
    scripted.refuses_literals = True
    gateway = start_gateway(scripted.port, park={"per_user": 2})
    client = gateway.session()
    client.send(b"x APPEND INBOX {30+}\r\nabc")
    scripted.wait_for(lambda: b"APPEND" in scripted.sessions[-1].received)
    mark = gateway.log_octets()
    client.close()
    gateway.wait_log("closing: client disconnected", since=mark)
    assert "park: parked" not in gateway.log(mark)


def test_a_refusal_that_was_held_does_not_go_into_the_middle_of_another_response(scripted, scripted_gateway):
    """The server has begun a response behind it, which passes as it arrives."""
    def by_hand(connection):
        greet(connection)
        while True:
            tag, name, rest = line_of(connection)
            if rest.endswith(b"}"):
                connection.send(tag + b" NO no.\r\n* 1 FETCH (BODY[] {10}\r\nhello")
            elif name == b"GO":
                connection.send(b"world)\r\n" + tag + b" OK done.\r\n")
            else:
                connection.answer(tag.decode(), name.decode(), rest)

    scripted.script = by_hand
    client = scripted_gateway.session()
    client.send(b"x APPEND INBOX {3+}\r\n")
    assert client.wire.line() == b"* 1 FETCH (BODY[] {10}\r\n"
    assert client.wire.octets(5) == b"hello"
    client.send(b"abc\r\n")
    client.expect_silence()
    scripted.sessions[-1].send(b"world)\r\n")
    assert client.wire.line() == b"world)\r\n"
    assert client.response() == b"x NO no.\r\n"
    client.ok("NOOP")


@pytest.mark.parametrize("ends", ["the command ends", "the client ends"])
def test_whoever_ends_behind_a_refused_command_hears_the_answer_that_was_held(scripted, scripted_gateway, ends):
    """It has sent all of it and its end of file, while a response has begun to pass."""
    scripted.script = refusing_literals("NO no.")
    client = scripted_gateway.session()
    client.send(b"w WAIT\r\nx APPEND INBOX {3+}\r\n")
    assert client.wait("w").status == b"OK"
    scripted.sessions[-1].send(b"* 1 FETCH (BODY[] {10}\r\nhello")
    client.wire.line()
    client.wire.octets(5)
    client.send(b"abc\r\n")
    if ends == "the client ends":
        client.wire.sock.shutdown(socket.SHUT_WR)
    scripted.sessions[-1].send(b"world)\r\n")
    assert client.wire.line() == b"world)\r\n"
    assert client.response() == b"x NO no.\r\n"


def greet(connection):
    connection.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] by hand.\r\n")


@pytest.mark.parametrize("octets", [b"abc \0 more\r\n", b"abc {3+}\r\nabc\0\r\n", b"abc a\rb\r\n", b'abc "\r\n', b"abc \"" + b"a" * 65536 + b"\r\n",
                                    b"abc x{3+}\r\n"], ids=range(6))
def test_the_rest_of_a_refused_command_is_framed_like_any_other(scripted, scripted_gateway, octets):
    scripted.script = refusing_literals("NO no.")
    client = scripted_gateway.session()
    client.send(b"w WAIT\r\nx APPEND INBOX {3+}\r\n")
    assert client.wait("w").status == b"OK"
    client.send(octets)
    ended(client)
    scripted_gateway.wait_log(r"closing: input that cannot be framed: \S")


def refusing_literals(answer):
    """By hand: WAIT is answered, with data in front, behind the literal that is refused by this answer."""
    def by_hand(connection):
        connection.send(b"* OK [CAPABILITY IMAP4rev1] by hand.\r\n")
        waiting = None
        while True:
            tag, name, rest = line_of(connection)
            if rest.endswith(b"}"):
                connection.send(tag + b" " + answer.encode() + b"\r\n* 5 EXISTS\r\n" + waiting + b" OK waited.\r\n")
                continue
            if name == b"WAIT":
                waiting = tag
                continue
            if name == b"LOGIN":
                connection.logged_in_at = 1
            elif name == b"CAPABILITY":
                connection.send(b"* CAPABILITY IMAP4rev1\r\n")
            connection.send(tag + b" OK done.\r\n")
    return by_hand


@pytest.mark.parametrize("early", [b"x OK done.\r\n", b"x NO no.\r\n", b"x BAD no.\r\n"])
def test_an_answer_in_the_middle_of_a_literal_that_was_asked_for_ends_the_session(scripted, scripted_gateway, early):
    """Whether the server reads the rest as the literal or as commands nobody can know."""
    client = scripted_gateway.session()
    client.start(b"APPEND INBOX {5+}\r\nab")
    scripted.wait_for(lambda: b"APPEND" in scripted.sessions[-1].received)
    scripted.sessions[-1].send(early.replace(b"x", b"a2", 1))
    ended(client)
    scripted_gateway.wait_log("closing: answer that cannot be matched: answer to a command in the middle of its literal")


def test_a_message_streams_where_that_is_configured_and_its_connection_is_not_parked(start_scripted, start_gateway):
    scripted = start_scripted()
    gateway = start_gateway([upstream(scripted.port, append_literals="stream")], park={"per_user": 2})
    client = gateway.session()
    client.ok(b"APPEND INBOX " + literal("a message"))
    client.ok(b"SEARCH TEXT " + literal("two words"))
    assert scripted.sessions[-1].arguments("APPEND") == [b"INBOX " + literal("a message")]
    assert scripted.sessions[-1].arguments("SEARCH") == [b"TEXT " + literal("two words", plus=False)]
    mark = gateway.log_octets()
    client.logout()
    assert "park: parked" not in gateway.log(mark)


def test_a_streamed_message_that_is_answered_bad_ends_the_session(start_scripted, start_gateway):
    scripted = start_scripted()
    scripted.on("APPEND", "BAD no.")
    client = start_gateway([upstream(scripted.port, append_literals="stream")]).session()
    client.send(b"x APPEND INBOX " + literal(SMUGGLED) + b"\r\n")
    assert ended(client)[0].startswith(b"x BAD ")


@pytest.mark.parametrize("more", [b" {5}\r\n", b" {5000+}\r\n" + b"z" * 5000 + b"\r\n", b" (x) {5000+}\r\n" + b"z" * 5000 + b" {5}\r\n"],
                         ids=["synchronizing", "large", "large and synchronizing"])
def test_a_message_behind_one_that_streamed_and_was_refused_is_refused_by_the_same_answer(start_scripted, start_gateway, more):
    """The server, having answered, says no "+" to what it would have to be asked for (LITERAL-: what is large)."""
    def by_hand(connection):
        greet(connection)
        while True:
            tag, name, rest = line_of(connection)
            if name == b"APPEND":
                assert connection.wire.octets(3) == b"abc"
                connection.send(tag + b" NO no.\r\n")
                assert connection.wire.line().endswith(b"}\r\n")
            else:
                connection.answer(tag.decode(), name.decode(), rest)

    scripted = start_scripted(caps_after="IMAP4rev1 LITERAL-")
    scripted.script = by_hand
    client = start_gateway([upstream(scripted.port, append_literals="stream")]).session()
    client.send(b"x APPEND INBOX {3+}\r\nabc")
    assert client.wait("x").status == b"NO"
    client.send(more + b"n NOOP\r\n")
    answer = client.wait("n")
    assert answer.status == b"OK" and not answer.untagged
    assert scripted.sessions[-1].received.endswith(b"}\r\nn NOOP\r\n")


@pytest.mark.parametrize("when", ["behind it", "in the middle"])
def test_a_streamed_message_whose_tag_is_none_to_the_server_ends_the_session(start_scripted, start_gateway, when):
    """Dovecot answers such a command "* BAD", and reads the message as commands."""
    def by_hand(connection):
        greet(connection)
        while True:
            tag, name, rest = line_of(connection)
            if b"]" in tag:
                if when == "behind it":
                    connection.wire.octets(len(SMUGGLED))
                connection.send(b"* BAD what?\r\n")
                connection.wire.octets(1 << 20)
            connection.answer(tag.decode(), name.decode(), rest)

    scripted = start_scripted()
    scripted.script = by_hand
    gateway = start_gateway([upstream(scripted.port, append_literals="stream")])
    client = gateway.session()
    client.send(b"x] APPEND INBOX {%d+}\r\n" % len(SMUGGLED))
    if when == "behind it":
        client.send(SMUGGLED + b"\r\n")
    ended(client)
    gateway.wait_log("closing: input that cannot be framed: literal in a command that may have been answered BAD")


@pytest.mark.parametrize("name", [*BAD, *IN_APPEND, *TOO_LONG])
def test_a_line_that_is_no_command_is_answered_bad_and_stays_here(scripted, scripted_gateway, name):
    octets, tag = (BAD | IN_APPEND | TOO_LONG)[name]
    client = scripted_gateway.session()
    client.send(octets + b"n NOOP\r\n")
    answer = client.wait("n")
    bad, = answer.untagged
    assert bad.startswith(tag + b" BAD ") and answer.status == b"OK"
    assert scripted.sessions[-1].received.endswith(b"\r\nn NOOP\r\n")
    assert scripted.sessions[-1].names[-2:] == ["LOGIN", "NOOP"]


@pytest.mark.every_server
def test_nothing_behind_a_mistake_in_append_takes_effect_on_a_real_server(gateway, server):
    user = server.new_user()
    client = gateway.session(user, NEW_USER_PASSWORD)
    before = client.ok('LIST "" *').of("LIST")
    for octets, _ in IN_APPEND.values():
        client.send(octets)
        assert client.wait("x").status == b"BAD"
    assert client.ok('LIST "" *').of("LIST") == before
    client.append("INBOX", b"Subject: x\r\n\r\nx\r\n")


def test_a_mistake_in_append_costs_no_parked_connection(scripted, start_gateway):
    gateway = start_gateway(scripted.port, park={"per_user": 1})
    client = gateway.session()
    client.ok("NOOP")
    client.bad("APPEND INBOX {b NOOP")
    client.logout()
    gateway.wait_log("park: parked")


@pytest.mark.parametrize("command", [
    b"APPEND INBOX (\\Seen) " + literal("x"), b'APPEND  INBOX  (\\Seen $a \\*) "01-Jan-2024 00:00:00 +0000"  ' + literal("x"),
    b'APPEND "IN {\\"BOX" UTF8 (~' + literal("x") + b")", b"APPEND " + literal("INBOX") + b" () " + literal("x"),
    b'APPEND INBOX CATENATE (URL "/x" TEXT ' + literal("x") + b" url " + literal("/y") + b" URL /z) (\\Seen) " + literal("y"),
    b"APPEND INBOX CATENATE (TEXT " + literal("x") + b") (\\Seen) " + literal("y") + b" (\\Seen) " + literal("z"),
    b"REPLACE 4 INBOX (\\Seen) " + literal("x"), b"UID REPLACE 4 INBOX CATENATE (TEXT " + literal("x") + b")"])
def test_append_and_replace_pass_in_all_their_forms(scripted, scripted_gateway, command):
    for name in ("APPEND", "REPLACE", "UID REPLACE"):
        scripted.on(name, "OK fine")
    scripted_gateway.session().ok(command)
    assert scripted.sessions[-1].received.endswith(command.replace(b"+}", b"}") + b"\r\n")


@pytest.mark.parametrize("name", ["a line of 300 KB", "a line with two", "a line with one that is asked for"])
def test_a_line_that_is_too_long_costs_its_command_wherever_it_stands(scripted, start_gateway, name):
    """In its order, and its connection is parked as any other."""
    gateway = start_gateway(scripted.port, park={"per_user": 1})
    release = threading.Event()
    scripted.on("EXPUNGE", lambda connection, tag, arguments: (release.wait(PATIENCE_S), connection.send(f"{tag} OK done\r\n")))
    client = gateway.session()
    client.ok("SELECT INBOX")
    client.send(b"c EXPUNGE\r\n" + TOO_LONG[name][0] + b"s STATE\r\nn NOOP\r\n")
    scripted.wait_for(lambda: "EXPUNGE" in scripted.sessions[-1].names)
    release.set()
    answers = [client.response() for _ in range(4)]
    assert [answer.split()[:2] for answer in answers] == [[b"c", b"OK"], [b"x", b"BAD"], [b"s", b"BAD"], [b"n", b"OK"]]  # P2: one is selected
    client.logout()
    gateway.wait_log("park: parked")


@needs_plain_build
def test_a_line_without_end_is_not_kept(scripted, start_gateway):
    gateway = start_gateway(scripted.port)
    client = gateway.session()
    client.ok("NOOP")
    before = resident_kib(gateway)
    client.send(b"x SEARCH ")
    for _ in range(256):
        client.send(b"a" * (256 * 1024))
    assert resident_kib(gateway) < before + 4096
    client.send(b"\r\nn NOOP\r\n")
    assert client.wait("x").status == b"BAD" and client.wait("n").status == b"OK"


@pytest.mark.parametrize("command", ["LIST", "APPEND"])
def test_a_line_that_is_too_long_behind_a_refused_literal_is_swallowed(start_scripted, start_gateway, command):
    client = start_gateway(start_scripted(refuses_literals=True).port).session()
    client.send(f"x {command} {{3+}}\r\nabc ".encode() + b"a" * 200000 + b" {2+}\r\nxy\r\nn NOOP\r\n")
    assert client.wait("x").status == b"NO" and client.wait("n").status == b"OK"


@pytest.mark.parametrize("name", PASSES)
def test_braces_that_are_no_literal_pass(scripted, scripted_gateway, name):
    client = scripted_gateway.session()
    client.send(PASSES[name] + b"n NOOP\r\n")
    client.wait("x")
    assert client.wait("n").status == b"OK"
    assert scripted.sessions[-1].received.endswith(PASSES[name] + b"n NOOP\r\n")


def test_a_bare_lf_becomes_crlf(scripted, scripted_gateway):
    client = scripted_gateway.client()
    client.send(b"a LOGIN ann secret\nb NOOP\nc LIST {0+}\n {1+}\n*\nd SEARCH TEXT {3}\n")
    for tag in "abc":
        assert client.wait(tag).status == b"OK"
    client.continuation()
    client.send(b"a\nb\n")
    assert client.wait("d").status == b"OK"
    assert scripted.sessions[-1].received.endswith(
        b"b NOOP\r\nc LIST {0}\r\n {1}\r\n*\r\nd SEARCH TEXT {3}\r\na\nb\r\n")


def test_octets_of_a_literal_pass_untouched(scripted, scripted_gateway):
    octets = bytes(range(256)) + b"\r\nx LOGOUT\r\n{5+}\r\n\0\n\r"
    client = scripted_gateway.session()
    client.ok(b"APPEND INBOX ~" + literal(octets))
    client.ok(b"APPEND INBOX " + literal(octets.replace(b"\0", b"")))
    assert scripted.sessions[-1].received.endswith(
        b" APPEND INBOX ~" + literal(octets, False) + b"\r\na3 APPEND INBOX " + literal(octets.replace(b"\0", b""), False) + b"\r\n")


# Literals and what the server offers


@pytest.mark.parametrize("caps", ["IMAP4rev1", "IMAP4rev1 LITERAL-", "IMAP4rev1 LITERAL+ BINARY", "IMAP4rev1 IMAP4rev2"])
def test_whatever_the_server_offers_it_is_asked_for_each_literal(start_scripted, start_gateway, caps):
    scripted = start_scripted(caps_after=caps)
    gateway = start_gateway(scripted.port)
    client = gateway.session()
    for announcement in (b"{0+}", b"{1+}", b"{4097+}", b"~{1+}", b"{1}", b"~{1}"):
        octets = b"a" * int(announcement.strip(b"~{+}"))
        tag = client.start(b"APPEND INBOX " + announcement)
        if not announcement.endswith(b"+}"):
            client.continuation()
        client.send(octets + b"\r\n")
        answer = client.wait(tag)
        assert answer.status == b"OK" and not answer.untagged, announcement
        asked = announcement.replace(b"+", b"")
        assert scripted.sessions[-1].arguments("APPEND")[-1] == (b"INBOX " + asked + b"\r\n" + octets).rstrip()


@pytest.mark.parametrize("name", ["STORE", "UID STORE"])
def test_store_takes_literals_where_the_server_asks_for_them(start_scripted, start_gateway, name):
    """Annotations (RFC 5257)."""
    scripted = start_scripted(caps_after="IMAP4rev1 LITERAL+ annotate-experiment-1")
    client = start_gateway(scripted.port).session()
    arguments = b"1 ANNOTATION (" + literal("/comment") + b" (value.priv " + literal(SMUGGLED) + b"))"
    client.ok(name.encode() + b" " + arguments)
    assert scripted.sessions[-1].arguments(name) == [arguments.replace(b"+}", b"}")]


@pytest.mark.every_server
@pytest.mark.needs("ANNOTATE-EXPERIMENT-1")
def test_an_annotation_is_stored_by_a_literal_on_a_real_server(gateway, server):
    user = server.new_user()
    server.add_message(user)
    client = gateway.session(user, NEW_USER_PASSWORD)
    client.ok("SELECT INBOX")
    client.ok(b"STORE 1 ANNOTATION (/comment (value.priv " + literal("two words") + b"))")
    answer = client.ok("FETCH 1 (ANNOTATION (/comment value.priv))")
    assert answer.of("FETCH") == [b'* 1 FETCH (ANNOTATION (/comment (value.priv "two words")))\r\n']


def test_a_literal_that_was_asked_for_may_be_in_a_command_that_is_answered_bad(scripted, scripted_gateway):
    scripted.on("SEARCH", "BAD no.")
    client = scripted_gateway.session()
    client.send(b"x SEARCH TEXT " + literal(SMUGGLED) + b"\r\n")
    assert client.wait("x").status == b"BAD"
    client.ok("NOOP")


def test_a_refused_literal_leaves_a_command_behind_it(scripted, scripted_gateway):
    scripted.refuses_literals = True
    client = scripted_gateway.session()
    client.send(b"x APPEND INBOX {21}\r\ny CREATE NotSmuggled\r\n")
    assert client.wait("x").status == b"NO"
    assert client.wait("y").status == b"OK"
    assert scripted.sessions[-1].arguments("CREATE") == [b"NotSmuggled"]


def test_nothing_follows_a_synchronizing_literal_before_the_server_speaks(scripted, scripted_gateway):
    def by_hand(connection):
        connection.send(b"* OK [CAPABILITY IMAP4rev1] by hand.\r\n")
        while True:
            tag, name, rest = line_of(connection)
            if name == b"APPEND":
                assert_quiet(connection)
                connection.send(b"+ now\r\n")
                assert connection.wire.octets(6) == b"abcdef"
                assert connection.wire.line() == b"\r\n"
            elif name == b"LOGIN":
                connection.logged_in_at = 1
            elif name == b"CAPABILITY":
                connection.send(b"* CAPABILITY IMAP4rev1\r\n")
            connection.send(tag + b" OK done.\r\n")

    scripted.script = by_hand
    client = scripted_gateway.session()
    client.send(b"x APPEND INBOX {6}\r\nabcdef\r\ny NOOP\r\n")
    answer = client.wait("x")
    assert answer.untagged == [b"+ now\r\n"] and answer.status == b"OK"
    assert client.wait("y").status == b"OK"


def line_of(connection):
    tag, _, rest = connection.wire.line().rstrip(b"\r\n").partition(b" ")
    name, _, arguments = rest.partition(b" ")
    return tag, name.upper(), arguments


def assert_quiet(connection, seconds=0.1):
    """Nothing more arrives at the upstream for a while."""
    assert not connection.wire.left()
    assert not select.select((connection.wire.sock,), (), (), seconds)[0], connection.wire.sock.recv(100)


# Before login


def test_before_login_only_logins_get_a_go_ahead(scripted, scripted_gateway):
    client = scripted_gateway.client()
    for command in (b"NOOP {5}", b"ID {5}", b"XYZZY {5}", b"CAPABILITY {5}", b"SELECT {5}", b"STATE {5}"):
        client.bad(command)
        client.ok("NOOP")
    client.start(b"LOGIN {3}", tag="l")
    client.continuation()
    client.send(b"ann {6}\r\n")
    client.continuation()
    client.send(b"secret\r\n")
    assert client.wait("l").status == b"OK"


@pytest.mark.parametrize("name", [name for name in ENDS if "literal in" not in name and "NUL" not in name])
def test_before_login_doubtful_input_ends_the_connection_too(scripted, scripted_gateway, name):
    client = scripted_gateway.client()
    client.send(ENDS[name])
    ended(client)
    assert all(b"Smuggled" not in connection.received for connection in scripted.connections)


@pytest.mark.parametrize("name", BAD)
def test_before_login_a_line_that_is_no_command_is_answered_bad(scripted_gateway, name):
    octets, tag = BAD[name]
    client = scripted_gateway.client()
    client.send(octets + b"n NOOP\r\n")
    bad, = client.wait("n").untagged
    assert bad.startswith(tag + b" BAD ")


def test_nul_in_a_login_is_answered_bad(scripted, scripted_gateway):
    client = scripted_gateway.client()
    client.bad(b"LOGIN " + literal(b"ann\0") + b" secret")
    client.bad(b"LOGIN ann " + literal(b"secret\0"))
    client.ok("LOGIN ann secret")
    assert [connection.names.count("LOGIN") for connection in scripted.connections] == [0, 1]


# IDLE


def test_behind_idle_nothing_goes_up_before_its_answer(scripted, scripted_gateway):
    def idle(connection, tag, arguments):
        assert_quiet(connection)
        connection.send(b"+ idling\r\n")
        assert connection.wire.line() == b"DONE\r\n"
        connection.ok(tag)

    scripted.on("IDLE", idle)
    client = scripted_gateway.session()
    client.send(b"i IDLE\r\nDONE\r\nn NOOP\r\n")
    assert client.wait("i").untagged == [b"+ idling\r\n"]
    assert client.wait("n").status == b"OK"
    assert scripted.sessions[-1].received.endswith(b"i IDLE\r\nDONE\r\nn NOOP\r\n")


@pytest.mark.every_server
@pytest.mark.needs("IDLE")
@pytest.mark.parametrize("cut", [False, True], ids=["at once", "octet by octet"])
def test_done_and_the_next_idle_may_come_in_one_write(server, gateway, cut):
    """go-imap does so every 28 minutes: the end of one IDLE and the begin of the next are in flight together."""
    client = gateway.session(server.new_user(), NEW_USER_PASSWORD)
    client.ok("SELECT INBOX")
    client.send(b"i0 IDLE\r\n")
    client.continuation()
    for number in range(1, 4):
        (client.send_bytewise if cut else client.send)(b"DONE\r\ni%d IDLE\r\n" % number)
        assert client.wait(f"i{number - 1}").status == b"OK"
        client.continuation()
    client.send(b"DONE\r\nn NOOP\r\n")
    assert client.wait("i3").status == b"OK" and client.wait("n").status == b"OK"


def test_a_refused_idle_leaves_a_command_behind_it(scripted, scripted_gateway):
    scripted.on("IDLE", "NO not now.")
    client = scripted_gateway.session()
    client.send(b"i IDLE\r\nn NOOP\r\n")
    assert client.wait("i").status == b"NO"
    assert client.wait("n").status == b"OK"


def test_the_server_may_end_idle_by_itself(scripted, scripted_gateway):
    def idle(connection, tag, arguments):
        connection.send(f"+ idling\r\n* 5 EXISTS\r\n{tag} OK enough of it.\r\n".encode())

    scripted.on("IDLE", idle)
    client = scripted_gateway.session()
    client.send(b"i IDLE\r\n")
    assert client.wait("i").untagged == [b"+ idling\r\n", b"* 5 EXISTS\r\n"]
    client.ok("NOOP")
    assert scripted.sessions[-1].names[-2:] == ["IDLE", "NOOP"]


@pytest.mark.parametrize("answer", ["DONE BAD what?", "done NO what?", "* BAD what?"])
def test_done_may_meet_the_end_that_the_server_has_put_to_idle(scripted, scripted_gateway, answer):
    """To the server DONE is a command then, and "DONE" its tag."""
    def idle(connection, tag, arguments):
        connection.send(b"+ idling\r\n")
        assert connection.wire.line() == b"DONE\r\n"
        connection.send(f"{tag} OK enough of it.\r\n{answer}\r\n".encode())

    scripted.on("IDLE", idle)
    client = scripted_gateway.session()
    for tag in ("i", "j"):
        client.start("IDLE", tag=tag)
        client.continuation()
        client.send(b"DONE\r\nn NOOP\r\n")
        assert client.wait(tag).status == b"OK"
        said = client.wait("n")
        assert said.untagged == [answer.encode() + b"\r\n"] and said.status == b"OK"


@pytest.mark.parametrize("lines", [["DONE BAD what?"] * 2, ["DONE OK fine."]], ids=["twice", "OK"])
def test_done_is_answered_once_at_most_and_never_by_ok(scripted, scripted_gateway, lines):
    def idle(connection, tag, arguments):
        connection.send(b"+ idling\r\n")
        assert connection.wire.line() == b"DONE\r\n"
        connection.send("".join(line + "\r\n" for line in [f"{tag} OK enough of it.", *lines]).encode())

    scripted.on("IDLE", idle)
    client = scripted_gateway.session()
    client.start("IDLE")
    client.continuation()
    client.send(b"DONE\r\n")
    ended(client)
    scripted_gateway.wait_log("closing: answer that cannot be matched: tagged answer to no command")


@pytest.mark.parametrize("octets", [b"x NOOP\r\n", b"DONE now\r\n", b" DONE\r\n", b"DONE \r\n", b"\r\n", b"DON\r\n", b"DONE\0\r\n",
                                    b"DONE {5+}\r\nabcde\r\n"])
def test_anything_but_done_ends_the_session(scripted, scripted_gateway, octets):
    hears = []

    def idle(connection, tag, arguments):
        connection.send(b"+ idling\r\n")
        try:
            hears.append(connection.wire.line())
        except Closed:
            hears.append(None)
            raise

    scripted.on("IDLE", idle)
    client = scripted_gateway.session()
    client.start("IDLE")
    client.continuation()
    client.send(octets)
    ended(client)
    scripted.wait_for(lambda: hears)
    assert hears == [None]


@pytest.mark.parametrize("octets", [b"DONE\r\n", b"done\r\n", b"DONE\n"])
def test_done_in_any_case_ends_idle(scripted, scripted_gateway, octets):
    client = scripted_gateway.session()
    client.start("IDLE", tag="i")
    client.continuation()
    client.send(octets)
    assert client.wait("i").status == b"OK"


# Tags


def hold_and_answer(scripted, answer_order):
    """HOLD commands are answered when RELEASE comes, in another order."""
    held = []
    scripted.on("HOLD", lambda connection, tag, arguments: held.append(tag))

    def release(connection, tag, arguments):
        for each in answer_order(held):
            connection.ok(each)
        connection.ok(tag)

    scripted.on("RELEASE", release)


def test_answers_may_come_in_another_order_than_the_commands(scripted, scripted_gateway):
    hold_and_answer(scripted, reversed)
    client = scripted_gateway.session()
    client.send(b"".join(b"h%d HOLD\r\n" % number for number in range(20)) + b"r RELEASE\r\ns SAVESTATE\r\n")
    for number in reversed(range(20)):
        assert client.response() == b"h%d OK done.\r\n" % number
    assert client.response() == b"r OK done.\r\n"
    assert client.response().startswith(b"s NO [CLIENTBUG]")  # behind the barrier (P11)


def test_a_tag_may_be_used_again(scripted, scripted_gateway):
    client = scripted_gateway.session()
    client.send(b"t NOOP\r\nt LIST \"\" *\r\nt NOOP\r\nt SELECT INBOX\r\nt LOGOUT\r\n")
    answers = [client.wait("t") for _ in range(5)]
    assert [len(answer.untagged) for answer in answers] == [0, 1, 0, 4, 1]
    names = scripted.sessions[-1].names
    assert names[names.index("NOOP"):][:4] == ["NOOP", "LIST", "NOOP", "SELECT"]


@pytest.mark.parametrize("tag", ["]", "a]b", "[", "a.b-c_d", "A0001", "x" * 500, "1", "NIL", "OK"])
def test_odd_tags_are_tags(scripted, scripted_gateway, tag):
    client = scripted_gateway.session()
    client.ok("NOOP", tag=tag)
    client.ok("STATE", tag=tag)
    assert client.ok("SELECT INBOX", tag=tag).of("EXISTS")


def test_a_tag_that_dovecot_23_takes_for_none_stops_nothing(dovecot, gateway):
    client = gateway.session(dovecot.new_user(), NEW_USER_PASSWORD)
    client.send(b"a]b NOOP\r\nn NOOP\r\ns STATE\r\n")
    if is_24():
        assert client.wait("a]b").status == b"OK"
    answer = client.wait("n")
    assert [line[:6] for line in answer.untagged] == [b"* BAD "] * (not is_24()) and answer.status == b"OK"
    assert client.wait("s").status == b"OK"


# Answers


ANSWERS_THAT_END = {
    "LF alone behind what announces a literal": b"* 1 FETCH (BODY[] {5}\nhello)\r\n",
    "free text that may announce a literal": b"Server says {5}\r\n",
    "free text that may be an answer": b"Server OK enough\r\n",
    "a blank before an answer": b" {tag} OK done.\r\n * NO x\r\nx NO a\r\nx bad b\r\n",
    "free text of over 64 KiB": b"Server says " + b"x" * 70000 + b"\r\n",
    "a literal behind no SP": b"* 1 FETCH (BODY[]{5}\r\nhello)\r\n",
    "a capability list that is too long": b"* CAPABILITY " + b"a" * 70000 + b"\r\n",
    "a + that nothing asked for": b"+ go ahead\r\n",
    "an answer to no command": b"zz OK done.\r\n",
    "a literal that is too large": b"* 1 FETCH (BODY[] {4294967296}\r\n",
    "a capability list that is too long": b"* OK [CAPABILITY IMAP4rev1" + b" X" * 40000 + b"]\r\n",
    "a tagged capability list that is too long": b"{tag} OK [CAPABILITY IMAP4rev1" + b" X" * 40000 + b"] done.\r\n",
}


@pytest.mark.parametrize("name", ANSWERS_THAT_END)
def test_an_answer_that_cannot_be_read_with_certainty_ends_the_session(scripted, scripted_gateway, name):
    def answer(connection, tag, arguments):
        connection.send(ANSWERS_THAT_END[name].replace(b"{tag}", tag.encode()) + f"{tag} OK done.\r\n".encode())

    scripted.on("CHECK", answer)
    client = scripted_gateway.session()
    client.send(b"x CHECK\r\n")
    try:
        responses = client.rest()
    except AssertionError:
        assert b"BYE" not in client.wire.left()  # it ended inside a response
        responses = []
    assert not any(response.startswith(b"x OK") for response in responses)
    scripted_gateway.wait_log("closing: answer that cannot be matched: ")


NOISE = {
    "a blank line": b"\r\n",
    "two": b"\r\n\r\n",
    "a blank line in LF": b"\n",
    "free text": b"Server Unavailable. 15\r\n",
    "one word": b"Busy\r\n",
    "one octet": b"x\r\n",
    "a code without its status": b"[COPYUID 55 31 6]\r\n",
    "a blank in front": b" * 3 EXISTS\r\n",
    "a star alone": b"*\r\n",
    "a star and a word": b"*OK hello\r\n",
    "another status": b"{tag} HELLO done.\r\n",
    "braces that announce nothing": b"Server says {} {5+} {a}\r\n",
    "CRLF in a quoted string": b'* 2 FETCH (ENVELOPE ("d" "a subject\r\n that is folded" NIL NIL NIL NIL NIL NIL NIL "<2@x>"))\r\n',
    "LF in a quoted string": b'* 2 FETCH (ENVELOPE ("d" "a subject\n that is folded" NIL NIL NIL NIL NIL NIL NIL "<2@x>"))\r\n',
    "LF alone": b"* 3 EXISTS\n",
    "LF alone in text": b"* OK hello\n",
    "8-bit octets": b"\xff\xfe \x00\x01\r\n",
}


@pytest.mark.parametrize("cut", [False, True], ids=["at once", "octet by octet"])
@pytest.mark.parametrize("name", NOISE)
def test_what_is_no_response_is_the_clients_and_serves_no_other(start_scripted, start_gateway, name, cut):
    scripted = start_scripted()
    gateway = start_gateway(scripted.port, park={"per_user": 8})

    def answer(connection, tag, arguments):
        octets = b"* 1 EXISTS\r\n" + NOISE[name].replace(b"{tag}", tag.encode()) + f"* 2 EXISTS\r\n{tag} OK done.\r\n".encode()
        for part in [octets[i:i + 1] for i in range(len(octets))] if cut else [octets]:
            connection.send(part)

    scripted.on("CHECK", answer)
    client = gateway.session()
    client.send(b"x CHECK\r\n")
    want = b"* 1 EXISTS\r\n" + NOISE[name].replace(b"{tag}", b"x") + b"* 2 EXISTS\r\nx OK done.\r\n"
    assert client.wire.octets(len(want)) == want
    client.close()
    scripted.wait_for(lambda: scripted.sessions[0].closed)
    assert "park: parked" not in gateway.log()


def test_noise_in_a_replay_does_no_harm(start_scripted, start_gateway):
    scripted = start_scripted()
    gateway = start_gateway(scripted.port, park={"per_user": 0})
    client = gateway.session()
    token = save(client, "ENABLE QRESYNC")
    client.logout()
    scripted.on("ENABLE", "", "Server Unavailable. 15", "* ENABLED QRESYNC", "OK done")
    client = gateway.session()
    answer = client.command(f"STATE {token}")
    assert answer.status == b"OK"
    client.ok("NOOP")


@pytest.mark.parametrize("octets", [65535, 65536, 65537, 65538, 70000, 131073, 900000])
@pytest.mark.parametrize("form", [b"x OK [COPYUID 1 %s 1:2] done.\r\n", b"* OK [PERMANENTFLAGS (%s)] ok\r\nx OK done.\r\n",
                                  b"x NO %s {3}\r\n", b"x OK [MODIFIED %s] done.\r\n"])
def test_a_line_of_any_length_passes_as_it_came(scripted, scripted_gateway, form, octets):
    """A short command may have a long answer (UID MOVE 1:* where the UIDs have gaps): it has been carried out."""
    whole = form % (b"1," * (octets // 2 + 1))[:octets - len(form % b"")]
    scripted.on("COPY", lambda connection, tag, arguments: connection.wire.send(whole))
    client = scripted_gateway.session()
    begun = len(client.wire.received)
    client.send(b"x COPY 1:2 INBOX\r\n")
    answer = client.wait("x")
    assert bytes(client.wire.received[begun:]) == whole
    assert answer.status in (b"OK", b"NO")
    client.ok("NOOP")
    client.ok("STATE")


ANSWERS_THAT_PASS = {
    "literals": b"* 1 FETCH (BODY[] {5}\r\nhello BODY[TEXT] {0}\r\n UID 3)\r\n",
    "a literal8": b"* 1 FETCH (BINARY[1] ~{6}\r\nx\0OK\r\n)\r\n",
    "a literal that looks like answers": b"* 1 FETCH (BODY[] {24}\r\nx OK done.\r\n* BYE 2026\r\n)\r\n",
    "braces in text": b"* OK [ALERT] Quota is {12}\r\n* NO {3}\r\n* BAD ~{3}\r\n",
    "a literal that does not count": b"* LIST () \"/\" {3+}\r\n",
    "CR and NUL in a line": b"* OK a\rb\0c\r\n",
    "a line of data that is long": b"* SEARCH" + b" 1234567" * 40000 + b"\r\n",
    "a line of flags that is long": b"* 1 FETCH (FLAGS (" + b"flag " * 40000 + b"))\r\n",
    "8-bit octets": b"* LIST () \"/\" \"\xc3\xa4\xff\"\r\n",
    "a name that nobody knows": b"* XYZZY ((()\r\n",
    "no name": b"*\r\n* \r\n",
}


@pytest.mark.parametrize("name", ANSWERS_THAT_PASS)
@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_other_answers_pass_as_they_are(scripted, scripted_gateway, name, pieces):
    octets = ANSWERS_THAT_PASS[name]

    def answer(connection, tag, arguments):
        step = -(-len(octets) // pieces)
        for at in range(0, len(octets), step):
            connection.send(octets[at:at + step])
        connection.send(f"{tag} OK is not {{5}}\r\n".encode())

    scripted.on("CHECK", answer)
    client = scripted_gateway.session()
    client.ok("NOOP")
    before = len(client.wire.received)
    client.send(b"x CHECK\r\ny NOOP\r\n")
    want = octets + b"x OK is not {5}\r\ny OK done.\r\n"
    while len(client.wire.received) < before + len(want):
        client.wire.fill()
    assert bytes(client.wire.received[before:]) == want
