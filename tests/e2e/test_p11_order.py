"""P11: STATE and SAVESTATE are ordered with respect to all pipelined commands."""
import contextlib
import threading

import pytest

from harness import logins
from harness.imap import literal
from harness.patience import PATIENCE_S
from harness.tokens import announced, assert_not_restored, assert_restored, restore, save, saved, setup_of

pytestmark = pytest.mark.every_server


def test_p11_login_state_select_and_fetch_go_in_a_single_write(gateway, server):
    user = server.new_user()
    message = server.add_message(user)
    token = save(gateway.session(user), server.setup)
    client = gateway.client()
    client.send(f"a LOGIN {user} secret\r\nb STATE {token}\r\nc SELECT INBOX\r\nd FETCH 1 (FLAGS BODY.PEEK[])\r\n")
    assert client.wait("a").status == b"OK"
    assert_restored(client.wait("b"), token)
    answer = client.wait("c")
    assert answer.status == b"OK" and answer.of("EXISTS") == [b"* 1 EXISTS\r\n"]
    assert bool(answer.codes("HIGHESTMODSEQ")) == (server.lacks("CONDSTORE|QRESYNC") is None)
    assert message in client.wait("d").of("FETCH")[0]


def test_p11_the_single_write_may_come_with_the_tls_handshake_and_octet_by_octet(gateway, server, trust):
    token = save(gateway.session(), server.setup)
    for send in ("send", "send_bytewise"):
        client = gateway.client(gateway.tls_port, tls=trust)
        getattr(client, send)(f"a LOGIN ann secret\r\nb STATE {token}\r\nc SELECT INBOX\r\n".encode())
        assert client.wait("a").status == b"OK"
        assert_restored(client.wait("b"), token)
        assert client.wait("c").status == b"OK"


def test_p11_authenticate_with_initial_response_state_and_select_go_in_a_single_write(gateway, server):
    token = save(gateway.session(), server.setup)
    client = gateway.client()
    client.send(f"a AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=\r\nb STATE {token}\r\nc SELECT INBOX\r\n")
    assert client.wait("a").status == b"OK"
    assert_restored(client.wait("b"), token)
    assert client.wait("c").status == b"OK"


def test_p11_a_token_as_a_literal_goes_in_the_single_write_too(gateway, server):
    token = save(gateway.session(), server.setup).encode()
    client = gateway.client()
    client.send(b"a LOGIN " + literal("ann") + b" " + literal("secret") + b"\r\nb STATE " + literal(token) + b"\r\nc SELECT INBOX\r\n")
    assert client.wait("a").status == b"OK"
    assert_restored(client.wait("b"), token.decode())
    assert client.wait("c").status == b"OK"


def gated(scripted, name):
    """The upstream answers the next such command only when the event is set; gives (arrived, go)."""
    arrived, go = threading.Event(), threading.Event()

    def wait(connection, tag, arguments):
        arrived.set()
        assert go.wait(PATIENCE_S)
        connection.default(tag, name, arguments)

    scripted.on(name, wait, times=1)
    return arrived, go


@pytest.mark.parametrize("command", ["STATE", "SAVESTATE"])
def test_p11_it_acts_after_every_earlier_command_has_completed(scripted, scripted_gateway, command):
    client = scripted_gateway.session()
    client.ok("STATE")
    arrived, go = gated(scripted, "NAMESPACE")
    client.send(f"x NAMESPACE\r\ny {command}\r\n")
    assert arrived.wait(PATIENCE_S)
    client.expect_silence(0.1)
    go.set()
    assert client.wait("x").status == b"OK"
    assert client.wait("y").status == b"OK"


@pytest.mark.parametrize("command", ["STATE", "SAVESTATE"])
def test_p11_no_later_command_begins_before_it_has_acted(scripted, scripted_gateway, command):
    client = scripted_gateway.session()
    client.ok("STATE")
    arrived, go = gated(scripted, "NAMESPACE")
    client.send(f"x NAMESPACE\r\ny {command}\r\nz STATUS INBOX (MESSAGES)\r\n")
    assert arrived.wait(PATIENCE_S)
    client.expect_silence(0.1)
    session = scripted.sessions[-1]
    assert b"STATUS" not in session.received
    go.set()
    assert [client.wait(tag).status for tag in "xyz"] == [b"OK"] * 3
    assert session.names[-2:] == ["NAMESPACE", "STATUS"]


def test_p11_no_later_command_begins_before_the_replay_is_decided(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), "ENABLE X-ONE")
    client = scripted_gateway.session()
    arrived, go = gated(scripted, "ENABLE")
    client.send(f"x STATE {token}\r\ny SELECT INBOX\r\n")
    assert arrived.wait(PATIENCE_S)
    client.expect_silence(0.1)
    session = scripted.sessions[-1]
    assert b"SELECT" not in session.received
    go.set()
    assert_restored(client.wait("x"), token)
    assert client.wait("y").status == b"OK"
    assert session.names[-2:] == ["ENABLE", "SELECT"]


def test_p11_savestate_includes_all_that_was_pipelined_before_it(scripted, scripted_gateway):
    client = scripted_gateway.session()
    client.send(b"a STATE\r\nb ENABLE X-ONE\r\nc LANGUAGE DE\r\nd SAVESTATE\r\ne NOTIFY NONE\r\nf SAVESTATE\r\n")
    assert [announced(client.wait(tag)) for tag in "abc"] == [[], ["b"], ["c"]]
    first = saved(client.wait("d"))
    assert announced(client.wait("e")) == ["e"]
    second = saved(client.wait("f"))
    restore(scripted_gateway.session(), first)
    assert setup_of(scripted.sessions[-1]) == ["ENABLE X-ONE", "LANGUAGE DE"]
    restore(scripted_gateway.session(), second)
    assert setup_of(scripted.sessions[-1]) == ["ENABLE X-ONE", "LANGUAGE DE", "NOTIFY NONE"]


def test_p11_a_whole_session_goes_in_one_write(gateway, server):
    user = server.new_user()
    client = gateway.client()
    client.send(f"a LOGIN {user} secret\r\nb STATE\r\nc {server.setup}\r\nd SAVESTATE\r\ne SELECT INBOX\r\nf SAVESTATE\r\n"
                "g STATE\r\nh CLOSE\r\ni STATE\r\nj LOGOUT\r\n")
    statuses = {}
    tokens = []
    for tag in "abcdefghij":
        answer = client.wait(tag)
        statuses[tag] = answer.status
        tokens += [saved(answer)] if tag in "df" else []
    assert statuses == dict.fromkeys("abcdefhij", b"OK") | {"g": b"BAD"}
    for token in tokens:
        restore(gateway.session(user), token)


def test_p11_what_stands_behind_a_state_that_fails_runs_without_the_state(gateway, server):
    user = server.new_user()
    server.add_message(user)
    client = gateway.client()
    client.send(f"a LOGIN {user} secret\r\nb STATE garbage\r\nc SELECT INBOX\r\nd STORE 1 +FLAGS (\\Deleted)\r\ne EXPUNGE\r\n")
    assert client.wait("a").status == b"OK"
    assert_not_restored(client.wait("b"))
    assert client.wait("c").status == b"OK"
    assert client.wait("d").status == b"OK"
    assert client.wait("e").of("EXPUNGE", "VANISHED") == [b"* 1 EXPUNGE\r\n"]


def test_p11_after_a_failed_login_the_commands_behind_it_get_bad(gateway):
    client = gateway.client()
    client.send(b"a LOGIN ann wrong\r\nb STATE sometoken\r\nc SELECT INBOX\r\nd FETCH 1 FLAGS\r\n")
    assert client.wait("a").status == b"NO"
    assert [client.wait(tag).status for tag in "bcd"] == [b"BAD"] * 3
    client.login("ann", "secret")


def test_p11_after_a_failed_authenticate_the_commands_behind_it_get_bad(gateway, dovecot):
    client = gateway.client()
    client.send(b"a AUTHENTICATE PLAIN AGFubgB3cm9uZw==\r\nb STATE sometoken\r\nc SELECT INBOX\r\n")
    assert client.wait("a").status == b"NO"
    assert [client.wait(tag).status for tag in "bc"] == [b"BAD"] * 2
    client.login("ann", "secret")


def test_p11_after_a_failed_login_octets_of_literals_are_swallowed(scripted, scripted_gateway):
    smuggled = b"x LOGIN ann secret\r\ny STORE 1 +FLAGS (\\Deleted)\r\n"
    client = scripted_gateway.client()
    client.send(b"a LOGIN ann wrong\r\nb APPEND INBOX " + literal(smuggled) + b"\r\nc STATE " + literal(smuggled) + b"\r\n"
                b"d SELECT " + literal("INBOX") + b"\r\n")
    assert client.wait("a").status == b"NO"
    answers = [client.wait(tag) for tag in "bcd"]
    assert [answer.status for answer in answers] == [b"BAD"] * 3
    assert not [line for answer in answers for line in answer.untagged]
    client.ok("NOOP")
    assert not scripted.sessions


def test_p11_after_a_failed_login_a_synchronizing_literal_is_not_asked_for(gateway, dovecot):
    client = gateway.client()
    client.send(b"a LOGIN ann wrong\r\nb APPEND INBOX {10}\r\n")
    assert client.wait("a").status == b"NO"
    answer = client.wait("b")
    assert (answer.status, answer.untagged) == (b"BAD", [])
    client.login("ann", "secret")


def test_p11_after_a_failed_login_64_kib_of_literals_are_swallowed_and_no_more(scripted, scripted_gateway):
    client = scripted_gateway.client()
    client.send(b"a LOGIN ann wrong\r\nb APPEND INBOX " + literal(b"x" * 60000) + b"\r\n")
    assert [client.wait(tag).status for tag in "ab"] == [b"NO", b"BAD"]
    client.ok("NOOP")
    client = scripted_gateway.client()
    with contextlib.suppress(ConnectionError):  # it may be reset while we are still sending
        client.send(b"a LOGIN ann wrong\r\nb APPEND INBOX " + literal(b"x" * 70000) + b"\r\nc NOOP\r\n")
    assert not [line for line in client.rest() if line.startswith(b"c ")]


def test_p11_nothing_is_sent_to_the_upstream_behind_a_login_before_its_answer(scripted, scripted_gateway):
    # The scripted upstream complains by itself when the test ends.
    client = scripted_gateway.client()
    client.send(b"a LOGIN ann secret\r\nb NOOP\r\nc SELECT INBOX\r\n")
    assert [client.wait(tag).status for tag in "abc"] == [b"OK"] * 3


# A bearer token is refused by a challenge, of which who has sent his next command already could not know.

SECRET_LINE = "STATE c2VjcmV0LXRva2Vu"
BEARERS = {"XOAUTH2": (logins.xoauth2("ann", "guess"), b""), "OAUTHBEARER": (logins.oauthbearer("guess", "ann"), b"AQ==")}
REFUSAL = b'{"status":"401"}'


def refuse(scripted, cancelled="BAD cancelled"):
    """Tokens are refused by a challenge; gives what was answered to it."""
    heard = []

    def answer(connection, tag, arguments):
        if b" " not in arguments:
            connection.challenge(b"")
        connection.send(b"+ " + logins.encoded(REFUSAL) + b"\r\n")
        heard.append(connection.wire.line().rstrip(b"\r\n"))
        connection.send(f"{tag} {cancelled if heard[-1] == b'*' else 'NO [AUTHENTICATIONFAILED] no.'}\r\n")

    scripted.on("AUTHENTICATE", answer)
    return heard


def secret_is_nowhere(gateway, scripted):
    secret = SECRET_LINE.split()[1].encode()
    assert secret.decode() not in gateway.log()
    assert not [c for c in scripted.connections if secret in c.received or b"STATE" in c.received]


@pytest.mark.parametrize("cancelled", ["BAD cancelled", "NO [AUTHENTICATIONFAILED] no."])
@pytest.mark.parametrize("is_initial", [True, False], ids=["initial response", "behind a prompt"])
@pytest.mark.parametrize("mechanism", BEARERS)
def test_p11_a_command_behind_a_bearer_token_that_is_refused_is_no_answer(scripted, scripted_gateway, mechanism, is_initial, cancelled):
    heard = refuse(scripted, cancelled)
    client = scripted_gateway.client()
    message = logins.encoded(BEARERS[mechanism][0])
    client.send(b"a AUTHENTICATE " + mechanism.encode() + (b" " if is_initial else b"\r\n") + message
                + f"\r\nb {SECRET_LINE}\r\nc NOOP\r\n".encode())
    if not is_initial:
        client.continuation()
    answer = client.wait("a")  # nobody is challenged any more
    assert (answer.status, answer.code, answer.untagged) == (b"NO", b"AUTHENTICATIONFAILED", [])
    answer = client.wait("b")
    assert answer.status == b"BAD" and b"c2Vj" not in answer.tagged
    assert client.wait("c").status == b"OK"
    assert heard == [b"*"]
    assert scripted_gateway.wait_log(rf"login failed: .* user=ann mechanism={mechanism} upstream=main reason=refused")
    secret_is_nowhere(scripted_gateway, scripted)
    client.ok("LOGIN ann secret")


@pytest.mark.parametrize("begun", ["b STA", "b", "b ", "AQ STATE", "\rb"])
@pytest.mark.parametrize("mechanism", BEARERS)
def test_p11_nor_is_the_half_of_one_that_was_there(scripted, scripted_gateway, mechanism, begun):
    heard = refuse(scripted)
    client = scripted_gateway.client()
    client.send(b"a AUTHENTICATE " + mechanism.encode() + b" " + logins.encoded(BEARERS[mechanism][0]) + b"\r\n" + begun.encode())
    assert client.wait("a").status == b"NO" and heard == [b"*"]
    if begun == "\rb":
        return  # no command either
    rest = SECRET_LINE if begun.endswith(" ") else f" {SECRET_LINE}" if begun == "b" else f"TE {SECRET_LINE[6:]}"
    if begun == "AQ STATE":
        rest = SECRET_LINE[5:]
    client.send(rest + "\r\nc NOOP\r\n")
    assert client.wait(begun.split()[0]).status == b"BAD"
    assert client.wait("c").status == b"OK"
    secret_is_nowhere(scripted_gateway, scripted)


@pytest.mark.parametrize("mechanism", BEARERS)
def test_p11_a_half_that_may_become_either_is_what_its_line_turns_out_to_be(scripted, scripted_gateway, mechanism):
    heard = refuse(scripted)
    client = scripted_gateway.client()
    head = b"AUTHENTICATE " + mechanism.encode() + b" " + logins.encoded(BEARERS[mechanism][0]) + b"\r\n"
    client.send(b"a " + head + b"A")
    client.continuation()
    client.send(f"2 {SECRET_LINE}\r\nc NOOP\r\n")
    assert client.wait("a").status == b"NO" and client.wait("A2").status == b"BAD" and client.wait("c").status == b"OK"
    client.send(b"d " + head + b"A")
    client.continuation()
    client.send(b"Q==\r\ne NOOP\r\n")
    assert client.wait("d").status == b"NO" and client.wait("e").status == b"OK"
    assert heard == [b"*", b"AQ=="]
    secret_is_nowhere(scripted_gateway, scripted)


@pytest.mark.parametrize("answer", [b"AQ==", b"", b"*"])
@pytest.mark.parametrize("mechanism", BEARERS)
def test_p11_a_line_that_is_the_right_answer_goes_on_though_it_came_ahead(scripted, scripted_gateway, mechanism, answer):
    heard = refuse(scripted)
    client = scripted_gateway.client()
    client.send(b"a AUTHENTICATE " + mechanism.encode() + b" " + logins.encoded(BEARERS[mechanism][0]) + b"\r\n" + answer
                + f"\r\nb {SECRET_LINE}\r\nc NOOP\r\n".encode())
    assert client.continuation() is not None
    assert client.wait("a").status == (b"BAD" if answer == b"*" else b"NO")
    assert client.wait("b").status == b"BAD" and client.wait("c").status == b"OK"
    assert heard == [answer]
    secret_is_nowhere(scripted_gateway, scripted)


@pytest.mark.parametrize("mechanism", BEARERS)
def test_p11_what_comes_behind_the_challenge_is_the_answer(scripted, scripted_gateway, mechanism):
    heard = refuse(scripted)
    client = scripted_gateway.client()
    tag = client.start(b"AUTHENTICATE " + mechanism.encode() + b" " + logins.encoded(BEARERS[mechanism][0]))
    client.continuation()
    client.send(BEARERS[mechanism][1] + b"\r\n")
    assert client.wait(tag).status == b"NO" and heard == [BEARERS[mechanism][1]]


@pytest.mark.parametrize("mechanism", BEARERS)
def test_p11_behind_a_bearer_token_that_is_taken_the_command_runs(scripted, scripted_gateway, mechanism):
    token = save(scripted_gateway.session(), "ENABLE X-ONE")
    client = scripted_gateway.client()
    message = logins.xoauth2("ann", "secret") if mechanism == "XOAUTH2" else logins.oauthbearer("secret", "ann")
    client.send(b"a AUTHENTICATE " + mechanism.encode() + b" " + logins.encoded(message) + f"\r\nb STATE {token}\r\n".encode())
    assert client.wait("a").status == b"OK"
    assert_restored(client.wait("b"), token)


@pytest.mark.parametrize("mechanism", BEARERS)
def test_p11_a_command_behind_a_bearer_token_that_dovecot_refuses(gateway, dovecot, mechanism):
    client = gateway.client()
    client.send(b"a AUTHENTICATE " + mechanism.encode() + b" " + logins.encoded(BEARERS[mechanism][0])
                + f"\r\nb {SECRET_LINE}\r\nc NOOP\r\n".encode())
    answer = client.wait("a")
    assert answer.status == b"NO" and not answer.untagged
    assert client.wait("b").status == b"BAD" and client.wait("c").status == b"OK"
    assert "c2VjcmV0" not in dovecot.log() + gateway.log()
