"""imapstatectl try: what an operator sees of a server, and what nobody may see."""
import base64
import os
import pty
import re
import select
import subprocess
import termios

import pytest

from harness import net
from harness.patience import PATIENCE_S, in_time, let_pass, wait_until
from harness.server import NEW_USER_PASSWORD, USERS
from harness.gateway import program
from harness.net import Authority
from harness.scripted import AFTER, BEFORE, CLOSE
from harness.trial import attempt, in_clear, round_trips

RESTORES, FAILED, USAGE, NO_STATE, NOT_RESTORED = range(5)
PASSWORD = "hunter-2 \\ \"x\""  # what LOGIN has to escape
TOKEN = "AQtoken-of_the_scripted_server0"
SET_UP = ["ID", "ENABLE", "NAMESPACE", "LANGUAGE", "NOTIFY"]


def came_to(done, status, *words):
    assert done.returncode == status, done.stdout + done.stderr
    for word in words:
        assert word in done.stdout + done.stderr, done.stdout + done.stderr
    return done


def shown(done):
    """The names of the commands in the transcript, a list for each session."""
    sessions = done.stdout.split("\n--- ")[1:]
    return [re.findall(r"^C: A\d+ (\S+)", session, re.M) for session in sessions]


# Servers that restore

def check_restored(done, saving, restoring, without):
    came_to(done, RESTORES, f"is at its mail after {restoring} round trip", f"instead of {without}.", "Restored: ENABLE, LANGUAGE, NOTIFY.")
    assert round_trips(done) == {"set up and saved": saving, "restored": restoring, "set up without STATE": without}
    # Neither a token nor base64 of anything is that long.
    assert not re.search(r"[A-Za-z0-9_-]{60,}", done.stdout + done.stderr)
    assert done.stdout.count("STATE ********") == 3  # SAVESTATE's, the one sent, the one that proves it


def test_the_gateway_in_clear(gateway, dovecot):
    done = in_clear(gateway.plain_port, user=dovecot.new_user())
    check_restored(done, 9, 1, 8)
    assert "no TLS" in done.stdout and "unencrypted" in done.stderr
    assert shown(done) == [
        ["LOGIN", "CAPABILITY", "STATE", *SET_UP, "SAVESTATE", "LOGOUT"],
        ["LOGIN", "STATE", "EXAMINE", "LOGOUT"],
        ["LOGIN", "CAPABILITY", *SET_UP, "EXAMINE", "LOGOUT"]]


def test_the_gateway_by_tls(gateway, dovecot, authority):
    done = attempt("localhost", "--port", gateway.tls_port, "--user", dovecot.new_user(), "--ca-file", authority.ca_file)
    check_restored(done, 9, 1, 8)
    assert "TLSv1.3" in done.stdout and done.stderr == ""


def test_the_gateway_by_starttls(gateway, dovecot, authority):
    """STARTTLS is a round trip, and so is the list behind it, which a client that has a token does without."""
    done = attempt("127.0.0.1", "--port", gateway.starttls_port, "--starttls", "--user", dovecot.new_user(), "--ca-file", authority.ca_file)
    check_restored(done, 11, 2, 10)
    assert re.search(r"in the greeting +no\n +to CAPABILITY before login +yes\n", done.stdout)
    assert "TLSv1.3" in done.stdout and done.stderr == ""


def test_the_round_trips_are_those_on_the_wire(gateway, dovecot, start_recorder):
    recorder = start_recorder(gateway.plain_port)
    done = in_clear(recorder.port, user=dovecot.new_user())
    saving, restoring, without = recorder.recordings
    assert round_trips(done) == {"set up and saved": saving.flights_until("SAVESTATE"),
                                 "restored": restoring.flights_until("EXAMINE"),
                                 "set up without STATE": without.flights_until("EXAMINE")}
    assert restoring.names()[0] == ["LOGIN", "STATE", "EXAMINE"]


def test_parked_connections_make_it_warm(start_gateway, dovecot):
    gateway = start_gateway(dovecot.plain_port, park={"per_user": 2})
    check_restored(in_clear(gateway.plain_port, user=dovecot.new_user()), 9, 1, 8)
    gateway.wait_log("restored=warm")


def test_a_mailbox_is_left_as_it_was(gateway, dovecot):
    user = dovecot.new_user()
    dovecot.add_message(user)
    in_clear(gateway.plain_port, user=user)
    client = gateway.session(user, NEW_USER_PASSWORD)
    answer = client.ok("SELECT INBOX")
    assert b"* 1 EXISTS\r\n" in answer.untagged and b"* 1 RECENT\r\n" in answer.untagged  # nobody has opened it for writing


@pytest.mark.parametrize("user", ["quote", "backslash", "utf8", "space", "Ünï", "ann+tag@example.org"])
def test_passwords_and_names_of_all_kinds(gateway, user):
    done = came_to(in_clear(gateway.plain_port, user=user, password=USERS[user]), RESTORES)
    is_ascii = user.isascii() and USERS[user].isascii()
    assert [names[0] for names in shown(done)] == ["LOGIN" if is_ascii else "AUTHENTICATE"] * 3


# Servers without STATE

def test_dovecot_by_itself(dovecot, authority):
    done = attempt("localhost", "--port", dovecot.tls_port, "--user", dovecot.new_user(), "--ca-file", authority.ca_file)
    came_to(done, NO_STATE, "This server does not offer STATE.", "needs 7 round trips to be at its mail")
    assert round_trips(done) == {"set up without STATE": 7}
    assert shown(done) == [["LOGIN", "CAPABILITY", "ID", "ENABLE", "NAMESPACE", "NOTIFY", "EXAMINE", "LOGOUT"]]


def test_dovecot_by_starttls(dovecot, authority):
    done = attempt("localhost", "--port", dovecot.plain_port, "--starttls", "--user", dovecot.new_user(), "--ca-file", authority.ca_file)
    assert round_trips(came_to(done, NO_STATE)) == {"set up without STATE": 9}


def test_a_server_that_has_nothing(start_scripted):
    """No list in the greeting, none with the login, and no extension at all."""
    server = start_scripted(greeting="* OK hi", caps_before="IMAP4rev1", caps_after="IMAP4rev1", caps_login="none")
    server.users["ann"] = PASSWORD
    done = in_clear(server.port, password=PASSWORD)
    came_to(done, NO_STATE, "needs 4 round trips to be at its mail")
    assert shown(done) == [["CAPABILITY", "LOGIN", "CAPABILITY", "EXAMINE", "LOGOUT"]]
    assert re.search(r"in the greeting +there is no list\n +to CAPABILITY before login +no\n +with the login +there is no list\n"
                     r" +to CAPABILITY after login +no\n", done.stdout)


def test_state_before_login_only_is_no_state(start_scripted):
    server = start_scripted(caps_before=BEFORE + " STATE")
    came_to(in_clear(server.port, password="secret"), NO_STATE)
    assert "STATE" not in server.sessions[0].names


@pytest.mark.every_server
def test_a_server_by_itself_and_behind_the_gateway(server, gateway):
    alone = round_trips(came_to(in_clear(server.plain_port, user=server.new_user()), NO_STATE))["set up without STATE"]
    done = came_to(in_clear(gateway.plain_port, user=server.new_user()), RESTORES, "LANGUAGE")
    # The gateway brings LANGUAGE along, so there is one command more.
    assert round_trips(done) == {"set up and saved": alone + 2, "restored": 1, "set up without STATE": alone + 1}


# A server with STATE of its own

class Native:
    """A scripted server that has STATE, and can have it wrongly."""

    def __init__(self, start_scripted, before=BEFORE, after=AFTER, **habits):
        self.server = start_scripted(caps_before=before + " STATE", caps_after=after + " STATE", users={"ann": PASSWORD}, **habits)
        self.port, self.on = self.server.port, self.server.on
        self.on("LOGIN", lambda connection, tag, arguments: connection.log_in(tag, "ann"))  # whatever is pipelined behind it
        self.on("STATE", self._state)
        self.on("SAVESTATE", f"* SAVESTATE {TOKEN}", "OK saved.")
        self.on("ENABLE", "* ENABLED QRESYNC", "* OK [STATECMD {tag}] x", "OK done.")

    @staticmethod
    def _state(connection, tag, token):
        connection.send((b"* STATE " + token + b"\r\n" if token else b"") + f"{tag} OK done.\r\n".encode())

    def attempt(self, status, *words, **settings):
        done = came_to(in_clear(self.port, password=PASSWORD, **settings), status, *words)
        assert TOKEN not in done.stdout + done.stderr
        return done

    def run_out_of_time(self, name):
        """There is no answer to this command in time, and to all before it there is."""
        in_time(1 + 0.9, lambda: came_to(in_clear(self.port, "--timeout", "1", password=PASSWORD), FAILED,
                                         f"no answer within 1 s (waiting for the answer to {name})"))


@pytest.fixture
def native(start_scripted):
    return Native(start_scripted)


def test_what_reaches_a_server(native):
    native.attempt(RESTORES, "Restored: ENABLE.", "remembers it or asks again: ID, NAMESPACE, LANGUAGE, NOTIFY.")
    saving, restoring, without = native.server.sessions
    assert saving.names == ["LOGIN", "CAPABILITY", "STATE", *SET_UP, "SAVESTATE", "LOGOUT"]
    assert restoring.names == ["LOGIN", "STATE", "EXAMINE", "LOGOUT"]
    assert without.names == ["LOGIN", "CAPABILITY", *SET_UP, "EXAMINE", "LOGOUT"]
    assert restoring.arguments("STATE") == [TOKEN.encode()] and saving.arguments("STATE") == [b""]
    assert saving.arguments("LOGIN") == [b'"ann" "hunter-2 \\\\ \\"x\\""']
    assert saving.arguments("ENABLE") == [b"CONDSTORE QRESYNC"]


def test_secrets_are_masked_in_what_the_server_says_too(native):
    native.on("NAMESPACE", f"* NAMESPACE {PASSWORD} x", 'OK hunter-2 \\\\ \\"x\\"')
    native.on("EXAMINE", f"* OK [ALERT] {TOKEN}{TOKEN} and {PASSWORD}", f"OK {PASSWORD}")
    done = native.attempt(RESTORES)
    assert "S: * NAMESPACE ******** x\n" in done.stdout
    assert re.search(r"^S: A\d+ OK \*{8}$", done.stdout, re.M)
    assert "S: * OK [ALERT] **************** and ********\n" in done.stdout


def test_a_plain_response_is_masked(start_scripted):
    native = Native(start_scripted, before="IMAP4rev1 AUTH=PLAIN LOGINDISABLED", after="IMAP4rev1 ENABLE QRESYNC")
    plain = base64.b64encode(b"\0ann\0" + PASSWORD.encode()).decode()

    def authenticate(connection, tag, _arguments):
        assert connection.challenge(b"") == b"\0ann\0" + PASSWORD.encode()
        connection.send(f"* OK you said {plain}\r\n")
        connection.log_in(tag, "ann")

    native.on("AUTHENTICATE", authenticate)
    done = native.attempt(RESTORES)
    # The server asks for the response: a round trip more.
    assert round_trips(done) == {"set up and saved": 6, "restored": 2, "set up without STATE": 5}
    assert done.stdout.count("\nC: ********\n") == 3 and plain not in done.stdout
    assert done.stdout.count("S: * OK you said ********\n") == 3


def test_what_a_server_says_does_not_reach_the_terminal(native):
    native.on("ID", b"* ID (\"name\" \"\x1b[2J\x07\xc3\xa4\x7f\x9b\")", "OK done.")
    done = native.attempt(RESTORES)
    assert r'S: * ID ("name" "\x1b[2J\x07\xc3\xa4\x7f\x9b")' in done.stdout


def test_of_a_literal_only_the_length_is_shown(native):
    native.on("ID", b"* ID (\"name\" {16}\r\nA1 OK 0123456789)", "OK done.")
    done = native.attempt(RESTORES)
    assert 'S: * ID ("name" {16}\nS: (16 octets)\nS: )\n' in done.stdout and "0123456789" not in done.stdout


@pytest.mark.parametrize("command, answer, words", [
    ("STATE", "NO [UNAVAILABLE] not today", "STATE was refused: NO [UNAVAILABLE] not today"),
    ("STATE", "BAD what", "STATE was refused: BAD what"),
    ("SAVESTATE", "NO [LIMIT] too much", "SAVESTATE was refused: NO [LIMIT] too much"),
    ("SAVESTATE", "OK but no token", "SAVESTATE gave no token"),
])
def test_a_server_that_does_not_save(native, command, answer, words):
    native.on(command, answer)
    native.attempt(NOT_RESTORED, "offers STATE, but does not restore", words)
    assert len(native.server.sessions) == 1


@pytest.mark.parametrize("answer, words", [
    ("{tag} OK not today", "answered OK, but nothing was restored"),
    ("{tag} NO [UNAVAILABLE] not today", "STATE with the token was refused: NO [UNAVAILABLE] not today"),
    ("{tag} BAD [CLIENTBUG] no", "STATE with the token was refused: BAD [CLIENTBUG] no"),
    ("* STATE another\r\n{tag} OK done", "answered OK, but nothing was restored"),
])
def test_a_server_that_does_not_restore(native, answer, words):
    native.on("STATE", lambda connection, tag, token: connection.send(
        (answer.format(tag=tag) if token else f"{tag} OK tracking") + "\r\n"))
    native.attempt(NOT_RESTORED, "offers STATE, but does not restore", words)
    assert len(native.server.sessions) == 2


def test_p09_a_command_announced_that_was_not_sent(native):
    native.on("ID", "* OK [STATECMD X9] x", "OK done.")
    native.attempt(FAILED, "announced a command as stored that was not sent")


# Servers that fail

def test_a_wrong_password(gateway, dovecot):
    came_to(in_clear(gateway.plain_port, user=dovecot.new_user(), password="wr0ng-one"), FAILED,
            "the login was refused: NO [AUTHENTICATIONFAILED]")


def test_a_password_that_is_wrong_the_second_time(native):
    native.on("LOGIN", "NO [AUTHENTICATIONFAILED] no", times=1)
    native.on("LOGIN", lambda connection, tag, arguments: connection.log_in(tag, "ann"), times=1)
    native.attempt(FAILED, "the login was refused: NO [AUTHENTICATIONFAILED] no")


@pytest.mark.parametrize("command", ["LOGIN", "CAPABILITY", "STATE", "ENABLE", "SAVESTATE", "EXAMINE"])
def test_a_server_that_dies(native, command):
    native.on(command, CLOSE)
    native.attempt(FAILED, f"the server has closed the connection (waiting for the answer to {'LOGIN' if command == 'LOGIN' else command})")


def test_a_server_that_says_bye_and_dies(native):
    def leave(connection, _tag, _arguments):
        connection.send("* BYE going down for the night\r\n")
        connection.hang_up()
    native.on("NAMESPACE", leave)
    native.attempt(FAILED, "(waiting for the answer to NAMESPACE): BYE going down for the night")


def test_a_server_that_is_silent(start_scripted):
    server = start_scripted(greeting="")
    came_to(in_clear(server.port, "--timeout", "1"), FAILED, "no answer within 1 s (waiting for the greeting)")


def test_a_server_that_goes_on_without_an_end(native):
    """What drips in does not begin the time anew."""
    def drip(connection, _tag, _arguments):
        while not connection.closed:
            connection.send("* OK still here\r\n")
            let_pass(0.05)
    native.on("ENABLE", drip)
    native.run_out_of_time("ENABLE")


def test_a_server_that_never_stops_talking(native):
    """There is always something to read, so that it is never waited for."""
    def flood(connection, _tag, _arguments):
        while not connection.closed:
            connection.send("* OK flood\r\n" * 10000)
    native.on("ENABLE", flood)
    native.run_out_of_time("ENABLE")


def test_an_answer_without_an_end(native):
    native.on("ID", lambda connection, tag, arguments: connection.send(b"* ID (\"" + b"x" * (2 << 20)))
    native.attempt(FAILED, "the server's answer is too long")


@pytest.mark.parametrize("greeting, words", [
    ("* BYE too many connections", "the server accepts no connections now: BYE too many connections"),
    ("* PREAUTH welcome", "PREAUTH"),
    ("220 mx.example.org ESMTP", "this is not an IMAP server"),
    (b"SSH-2.0-x\r", "this is not an IMAP server"),
    ("* HELLO", "this is not an IMAP server"),
])
def test_a_greeting_that_is_none(start_scripted, greeting, words):
    came_to(in_clear(start_scripted(greeting=greeting).port), FAILED, words)


def test_nobody_listens():
    came_to(in_clear(net.free_port()), FAILED, "Connection refused")


def test_a_host_that_is_none():
    done = attempt("no-such-host.invalid", "--user", "ann", "--timeout", "2")
    assert done.returncode == FAILED and done.stderr.startswith("imapstatectl try: no-such-host.invalid port 993: "), done.stderr


def test_a_mailbox_that_cannot_be_opened(native):
    native.on("EXAMINE", "NO [NONEXISTENT] none")
    native.attempt(FAILED, "EXAMINE INBOX was refused: NO [NONEXISTENT] none")


def test_a_login_that_is_not_possible(start_scripted):
    server = start_scripted(caps_before="IMAP4rev1 LOGINDISABLED STARTTLS")
    came_to(in_clear(server.port), FAILED, "accepts no unencrypted passwords: leave out --plain, or use --starttls")
    assert server.connections[0].names == []


def test_a_password_that_login_cannot_carry(start_scripted):
    server = start_scripted(caps_before="IMAP4rev1 AUTH=CRAM-MD5")
    came_to(in_clear(server.port, password="pässword"), FAILED, "only AUTH=PLAIN can carry")
    assert server.connections[0].names == []


# TLS

def test_a_certificate_that_nobody_trusts(dovecot):
    came_to(attempt("localhost", "--port", dovecot.tls_port, "--user", "ann"), FAILED,
            "the server's certificate is refused: ", "--ca-file")


@pytest.mark.parametrize("alternatives, extra, words", [
    ("DNS:other.example.org", (), "hostname mismatch"),
    ("DNS:localhost", ("-days", "-1"), "certificate has expired"),
])
def test_a_certificate_that_is_wrong(start_scripted, authority, alternatives, extra, words):
    pair = authority.issue("wrong", alternatives, extra)
    server = start_scripted(tls="implicit", context=Authority.server_context(pair))
    came_to(attempt("localhost", "--port", server.port, "--user", "ann", "--ca-file", authority.ca_file), FAILED,
            f"certificate is refused: {words}")
    assert server.connections[0].received == b""


def test_an_address_is_verified_too(gateway, dovecot, authority):
    words = ("--port", gateway.tls_port, "--user", dovecot.new_user(), "--ca-file", authority.ca_file)
    came_to(attempt("127.0.0.1", *words), RESTORES)


def test_insecure_says_loudly_what_it_does(start_scripted, authority):
    pair = authority.issue("wrong", "DNS:other.example.org")
    server = start_scripted(tls="implicit", context=Authority.server_context(pair))
    done = attempt("localhost", "--port", server.port, "--user", "ann", "--insecure", password="secret")
    came_to(done, NO_STATE, "the certificate is NOT verified")
    assert "warning: --insecure: the server's certificate is not verified" in done.stderr


def test_tls_to_a_port_in_clear(dovecot, authority):
    came_to(attempt("localhost", "--port", dovecot.plain_port, "--user", "ann", "--ca-file", authority.ca_file), FAILED, "TLS: ")


def test_clear_to_a_port_of_tls(dovecot):
    done = in_clear(dovecot.tls_port, "--timeout", "1")
    assert done.returncode == FAILED and "waiting for the greeting" in done.stderr, done.stderr


def test_starttls_that_is_refused(start_scripted):
    server = start_scripted()
    server.on("STARTTLS", "BAD what")
    came_to(attempt("localhost", "--port", server.port, "--starttls", "--user", "ann"), FAILED, "the server refuses STARTTLS: BAD what")
    assert server.connections[0].names == ["STARTTLS"]


@pytest.mark.parametrize("injected", [b"* CAPABILITY IMAP4rev1 STATE\r\n", b"A2 OK x\r\n", b"* O"])
def test_octets_in_clear_behind_starttls_end_it(start_scripted, injected):
    server = start_scripted()
    server.on("STARTTLS", lambda connection, tag, arguments: connection.send(f"{tag} OK begin\r\n".encode() + injected))
    came_to(attempt("localhost", "--port", server.port, "--starttls", "--user", "ann"), FAILED, "unencrypted octets came after the answer to STARTTLS")


# The password

def by_file(port, path, **settings):
    return attempt("127.0.0.1", "--port", port, "--plain", "--user", "ann", "--password-file", path, **settings)


@pytest.mark.parametrize("octets", [b"secret", b"secret\n", b"secret\r\nmore\n"])
def test_a_password_file(start_scripted, tmp_path, octets):
    (tmp_path / "password").write_bytes(octets)
    came_to(by_file(start_scripted().port, tmp_path / "password", password="not read"), NO_STATE)


def test_standard_input_by_name(start_scripted):
    came_to(by_file(start_scripted().port, "-", password="secret"), NO_STATE)


@pytest.mark.parametrize("octets, words", [
    (b"", "the password is missing"), (b"\nsecret\n", "the password is missing"), (b"\r\n", "the password is missing"),
    (b"a\0b\n", "the password has a NUL"), (b"x" * 4097, "the password is too long"),
])
def test_a_password_file_that_is_wrong(tmp_path, octets, words):
    path = tmp_path / "password"
    path.write_bytes(octets)
    done = came_to(by_file(1, path), FAILED, f"{path}: {words}")
    assert done.stdout == ""


def test_a_password_file_that_is_missing(tmp_path):
    came_to(by_file(1, tmp_path / "missing"), FAILED, "No such file")


def at_the_terminal(server, prompt, typed, *words):
    """Gives the exit status and what was to be seen."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(program("imapstatectl"), ("imapstatectl", "try", "127.0.0.1", "--port", str(server.port), "--plain", "--user", "ann", *words))
    said = b""
    while prompt not in said:
        said += _terminal_read(terminal)
    _wait_for_no_echo(terminal)
    os.write(terminal, typed)
    while more := _terminal_read(terminal):
        said += more
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def test_the_terminal_does_not_show_the_password(start_scripted):
    status, said = at_the_terminal(start_scripted(), b"Password of ann at 127.0.0.1: ", b"secret\n")
    assert status == NO_STATE, said
    assert b"secret" not in said and b"does not offer STATE" in said


def _wait_for_no_echo(terminal):
    """OpenSSL asks first and then turns the echo off."""
    wait_until(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO, "what is typed is shown")


def _terminal_read(terminal):
    assert select.select((terminal,), (), (), PATIENCE_S)[0], "nothing more came"
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side is closed
        return b""


# Access tokens

BEARERS = {"OAUTHBEARER": "n,a={user},\1host=127.0.0.1\1port={port}\1auth=Bearer {token}\1\1", "XOAUTH2": "user={user}\1auth=Bearer {token}\1\1"}


def by_oauth(port, *words, user, token, **settings):
    done = in_clear(port, "--oauth", *words, user=user, password=token, **settings)
    for form in BEARERS.values():
        message = base64.b64encode(form.format(user=user, port=port, token=token).encode()).decode()
        assert message not in done.stdout + done.stderr
    return done


def test_oauth_through_the_gateway(start_gateway, dovecot):
    gateway = start_gateway(dovecot.plain_port, park={})
    user = dovecot.new_user()
    done = by_oauth(gateway.plain_port, user=user, token=dovecot.jwt(user))
    check_restored(done, 9, 2, 8)
    assert shown(done)[1] == ["AUTHENTICATE", "STATE", "EXAMINE", "LOGOUT"]
    assert done.stdout.count(" AUTHENTICATE OAUTHBEARER ********\n") == 3
    gateway.wait_log("restored=warm")


def test_oauth_at_dovecot_by_itself(dovecot, authority):
    user = dovecot.new_user()
    done = attempt("localhost", "--port", dovecot.tls_port, "--user", user, "--oauth", "--ca-file", authority.ca_file, password=dovecot.jwt(user))
    assert round_trips(came_to(done, NO_STATE)) == {"set up without STATE": 7}
    dovecot.wait_log(rf"(?:Login|Logged in): user=<{user}>, method=OAUTHBEARER")


def test_a_token_that_has_expired(gateway, dovecot):
    user = dovecot.new_user()
    for port in (dovecot.plain_port, gateway.plain_port):
        done = by_oauth(port, user=user, token=dovecot.jwt(user, lifetime_s=-60))
        came_to(done, FAILED, 'the login was refused {"status":"', "NO [AUTHENTICATIONFAILED]")


@pytest.mark.parametrize("user", ["ann", "a=b,c@example.org"])
@pytest.mark.parametrize("offered, mechanism", [
    ("AUTH=XOAUTH2 AUTH=OAUTHBEARER", "OAUTHBEARER"), ("AUTH=OAUTHBEARER SASL-IR", "OAUTHBEARER"),
    ("LOGINDISABLED AUTH=XOAUTH2", "XOAUTH2"), ("AUTH=PLAIN AUTH=XOAUTH2 SASL-IR", "XOAUTH2")])
def test_what_is_said_with_a_token(start_scripted, user, offered, mechanism):
    server, said, token = start_scripted(caps_before=f"IMAP4rev1 {offered}"), [], "ya29.a0-B_c~d+e/f=="

    def authenticate(connection, tag, arguments):
        name, _, initial = arguments.partition(b" ")
        said.append((name.decode(), base64.b64decode(initial) if initial else connection.challenge(b"")))
        connection.log_in(tag, "ann")

    server.on("AUTHENTICATE", authenticate)
    done = came_to(by_oauth(server.port, user=user, token=token), NO_STATE)
    escaped = user.replace("=", "=3D").replace(",", "=2C") if mechanism == "OAUTHBEARER" else user
    assert said == [(mechanism, BEARERS[mechanism].format(user=escaped, port=server.port, token=token).encode())]
    assert round_trips(done)["set up without STATE"] == (8 if "SASL-IR" in offered else 9)


@pytest.mark.parametrize("mechanism, answer", [("OAUTHBEARER", b"\1"), ("XOAUTH2", b"")])
@pytest.mark.parametrize("challenge, shown_as", [(b'{"status":"401"}', ' {"status":"401"}'), (b"\x1b[2J", r" \x1b[2J"), (b"", "")])
def test_why_a_token_is_refused_is_shown(start_scripted, mechanism, answer, challenge, shown_as):
    server, answers = start_scripted(caps_before=f"IMAP4rev1 SASL-IR AUTH={mechanism}"), []

    def refuse(connection, tag, _arguments):
        answers.append(connection.challenge(challenge))
        connection.send(f"{tag} NO [AUTHENTICATIONFAILED] no\r\n")

    server.on("AUTHENTICATE", refuse)
    came_to(by_oauth(server.port, user="ann", token="wrong"), FAILED, f"the login was refused{shown_as}: NO [AUTHENTICATIONFAILED] no\n")
    assert answers == [answer]


def test_a_token_that_is_refused_the_second_time(start_scripted):
    """P11: nothing is on its way that the server could take for the answer to why."""
    native, answers = Native(start_scripted), []

    def refuse(connection, tag, _arguments):
        answers.append(connection.challenge(b'{"status":"401"}'))
        connection.send(f"{tag} NO [AUTHENTICATIONFAILED] no\r\n")

    native.on("AUTHENTICATE", lambda connection, tag, arguments: connection.log_in(tag, "ann"), times=1)
    native.on("AUTHENTICATE", refuse)
    came_to(by_oauth(native.port, user="ann", token="t0ken"), FAILED,
            'the login was refused {"status":"401"}: NO [AUTHENTICATIONFAILED] no\n')
    assert answers == [b"\1"]


def test_a_token_that_is_none(start_scripted):
    server = start_scripted()
    came_to(by_oauth(server.port, user="ann", token='{"access_token": "x"}'), FAILED, "this is not an access token")
    assert server.connections[0].names == []


def test_a_server_that_takes_no_tokens(start_scripted, authority, certificate):
    came_to(by_oauth(start_scripted(caps_before="IMAP4rev1 AUTH=PLAIN").port, user="ann", token="t0ken"), FAILED, "nor AUTH=XOAUTH2: leave out --plain")
    server = start_scripted(caps_before="IMAP4rev1 AUTH=PLAIN", tls="implicit", context=Authority.server_context(certificate))
    came_to(attempt("localhost", "--port", server.port, "--user", "ann", "--oauth", "--ca-file", authority.ca_file), FAILED, "nor AUTH=XOAUTH2\n")


def test_a_server_that_takes_tokens_only(start_scripted, authority, certificate):
    server = start_scripted(caps_before="IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2", tls="implicit", context=Authority.server_context(certificate))
    came_to(attempt("localhost", "--port", server.port, "--user", "ann", "--ca-file", authority.ca_file), FAILED, "it does accept access tokens: --oauth")


def test_a_token_may_be_longer_than_a_password(start_scripted, tmp_path):
    server = start_scripted()
    for octets, status, words in ((16384, NO_STATE, ()), (16385, FAILED, ("the access token is too long",))):
        server.users["ann"] = token = "x" * octets
        (tmp_path / "token").write_text(f"{token}\n")
        came_to(by_oauth(server.port, "--password-file", tmp_path / "token", user="ann", token=token), status, *words)


def test_a_token_is_asked_for_on_the_terminal(start_scripted):
    server = start_scripted()
    status, said = at_the_terminal(server, b"Access token of ann at 127.0.0.1: ", b"secret\n", "--oauth")
    assert status == NO_STATE and b"secret" not in said and b"AUTHENTICATE OAUTHBEARER ********" in said


def test_what_is_too_long_for_a_terminal_is_not_cut_short(start_scripted):
    status, said = at_the_terminal(start_scripted(), b"Access token of ann at 127.0.0.1: ", b"x" * 5000 + b"\n", "--oauth")
    assert status == FAILED and b"the access token is too long for a terminal: use --password-file" in said


# How it is called

@pytest.mark.parametrize("words, what", [
    ([], "HOST is missing"), (["--user", "ann"], "HOST is missing"), (["", "--user", "ann"], "HOST is missing"),
    (["host"], "--user is missing"), (["host", "--user", ""], "--user is missing"), (["a", "b", "--user", "ann"], "one word too many: b"),
    (["host", "--user", "ann", "--port", "0"], "--port"), (["host", "--user", "ann", "--port", "65536"], "--port"),
    (["host", "--user", "ann", "--port", "imaps"], "--port"), (["host", "--user", "ann", "--port", "99999999999"], "--port"),
    (["host", "--user", "ann", "--timeout", "0"], "--timeout"), (["host", "--user", "ann", "--timeout", "3601"], "--timeout"),
    (["host", "--user", "ann", "--starttls", "--plain"], "exclude"), (["host", "--user", "ann", "--plain", "--insecure"], "no certificate"),
    (["host", "--user", "ann", "--plain", "--ca-file", "x"], "no certificate"),
    (["host", "--user", "ann", "--insecure", "--ca-file", "x"], "exclude"),
    (["host", "--user", "ann", "--ca-file", ""], "--ca-file"), (["host", "--user", "ann", "--password", "x"], "every user"),
    (["host", "--secret"], "unrecognized"),
])
def test_wrong_usage_is_status_2_and_points_to_the_help(words, what):
    done = attempt(*words, password="")
    assert done.returncode == USAGE and done.stdout == "", done
    assert what in done.stderr and "imapstatectl try --help" in done.stderr, done.stderr


def test_a_ca_file_that_is_none(tmp_path, start_scripted):
    (tmp_path / "ca").write_text("nonsense")
    done = attempt("localhost", "--port", start_scripted().port, "--user", "ann", "--ca-file", tmp_path / "ca")
    came_to(done, FAILED, f"{tmp_path / 'ca'}: ")


def test_the_help():
    done = came_to(attempt("--help", password=""), 0)
    assert done.stdout.startswith("Usage: imapstatectl try HOST --user NAME") and done.stderr == ""
    for word in ("--password-file", "--oauth", "--starttls", "--insecure", "Exit status"):
        assert word in done.stdout


def test_what_cannot_be_written_is_a_failure(start_scripted):
    with open("/dev/full", "w") as full:
        done = subprocess.run((program("imapstatectl"), "try", "127.0.0.1", "--port", str(start_scripted().port), "--plain", "--user", "ann"),
                              input="secret\n", stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == FAILED and "cannot write" in done.stderr
