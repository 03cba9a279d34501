"""The same session however its octets are cut, whoever hangs up in the middle of it, and however many there are at once."""
import threading

import pytest

from harness.imap import Closed, literal
from harness.patience import PATIENCE_S, let_pass
from harness.tokens import announced, assert_restored, restore, save, saved, setup_of

SETUP = ("ENABLE X-ONE", "LANGUAGE DE", "NOTIFY SET (mailboxes \"a box\" (MessageNew MessageExpunge))")


def script_of(token):
    """One write that touches all that is special: literals, a token, set-up, a mailbox, data with literals."""
    return (b"a LOGIN " + literal("ann") + b' "secret"\r\nb STATE ' + token.encode() + b"\r\nc ENABLE X-TWO\r\nd SAVESTATE\r\n"
            b"e SELECT INBOX\r\nf FETCH 1 BODY[]\r\ng APPEND INBOX " + literal("Subject: {3}\r\n\r\nx STATE y\r\n") + b"\r\nh LOGOUT\r\n")


def assert_answered(client, token):
    assert client.wait("a").status == b"OK"
    assert_restored(client.wait("b"), token)
    assert announced(client.wait("c")) == ["c"]
    saved(client.wait("d"))
    assert client.wait("e").of("EXISTS") == [b"* 3 EXISTS\r\n"]
    assert client.wait("f").of("FETCH") == [b"* 1 FETCH (FLAGS (\\Seen) BODY[] {12}\r\nHello world!)\r\n"]
    assert client.wait("g").status == b"OK"
    assert client.wait("h").of("BYE")
    assert client.rest() == []


def test_p11_a_write_may_be_cut_anywhere(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    script = script_of(token)
    for cut in range(1, len(script)):
        with scripted_gateway.client() as client:
            client.send(script[:cut])
            client.send(script[cut:])
            assert_answered(client, token)
        assert setup_of(scripted.sessions[-1]) == [*SETUP, "ENABLE X-TWO"]


def test_p17_the_answers_of_the_upstream_may_be_cut_anywhere(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)

    def octet_by_octet(connection):
        send_whole = connection.wire.sock.sendall
        connection.wire.sock = Dribbling(connection.wire.sock, send_whole)
        connection.send(b"* OK [CAPABILITY " + scripted.caps_before.encode() + b"] slowly.\r\n")
        while True:
            connection.answer(*connection.command())

    scripted.script = octet_by_octet
    client = scripted_gateway.client()
    client.send(script_of(token))
    assert_answered(client, token)


class Dribbling:
    """A socket that sends each octet by itself."""

    def __init__(self, sock, send_whole):
        self._sock, self._send_whole = sock, send_whole

    def sendall(self, octets):
        for octet in octets:
            self._send_whole(bytes([octet]))

    def __getattr__(self, name):
        return getattr(self._sock, name)


def test_a_client_may_vanish_at_any_octet(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    script = script_of(token)
    for cut in range(0, len(script), 5):
        with scripted_gateway.client() as client:
            client.send(script[:cut])
    scripted.wait_for(lambda: sum(not connection.closed for connection in scripted.connections) <= 1)
    restore(scripted_gateway.session(), token)


class HangsUp:
    """A socket that hangs up after so many octets."""

    def __init__(self, sock, octets):
        self._sock, self._left = sock, octets

    def sendall(self, octets):
        self._sock.sendall(octets[:self._left])
        self._left -= len(octets)
        if self._left <= 0:
            raise Closed

    def __getattr__(self, name):
        return getattr(self._sock, name)


def whole_responses(client):
    """Until the connection ends, which may be inside a response whose beginning was passed on already."""
    responses = []
    try:
        while True:
            responses.append(client.response())
    except Closed:
        assert b"BYE" not in client.wire.left()
        return responses


@pytest.mark.parametrize("comes_back", [True, False])
def test_an_upstream_may_vanish_at_any_octet(scripted, scripted_gateway, comes_back):
    """Each command gets one answer at most, each of them true, and the client is not left waiting."""
    token = save(scripted_gateway.session(), *SETUP)
    script = script_of(token)
    for octets in range(1, 1200, 23):
        left = [octets]

        def vanish(connection):
            limit, left[0] = (left[0], None if comes_back else 0)
            if limit is not None:
                connection.wire.sock = HangsUp(connection.wire.sock, limit)
            connection.send(b"* OK [CAPABILITY " + scripted.caps_before.encode() + b"] for a while.\r\n")
            while True:
                connection.answer(*connection.command())

        scripted.script = vanish
        with scripted_gateway.client() as client:
            try:
                client.send(script)
            except ConnectionError:
                continue
            responses = whole_responses(client)
        tagged = [response[:1] for response in responses if not response.startswith((b"*", b"+"))]
        assert tagged == sorted(set(tagged)), responses
        if b"b" in tagged:
            state = [response for response in responses if response.startswith(b"* STATE ")]
            answer = next(response for response in responses if response.startswith(b"b "))
            assert len(state) == answer.startswith(b"b OK Angemeldet"), responses
    scripted.script = None
    restore(scripted_gateway.session(), token)


def one_of_the_crowd(gateway, number, rounds, problems):
    """Saves a state that only this user has, and restores it again and again."""
    try:
        setup = f"NOTIFY SET (mailboxes Box{number} (MessageNew MessageExpunge))"
        client = gateway.session(f"u{number}", f"secret{number}")
        token = save(client, setup)
        for _ in range(rounds):
            with gateway.client() as client:
                client.send(f"a LOGIN u{number} secret{number}\r\nb STATE {token}\r\nc SAVESTATE\r\nd SELECT INBOX\r\n")
                assert client.wait("a").status == b"OK"
                assert_restored(client.wait("b"), token)
                token = saved(client.wait("c"))
                assert client.wait("d").status == b"OK"
    except BaseException as problem:  # pylint: disable=broad-except
        problems.append(f"user {number}: {problem!r}")


def test_p12_many_sessions_at_once_do_not_mix(start_scripted, start_gateway):
    users = {f"u{number}": f"secret{number}" for number in range(12)}
    scripted = start_scripted(users=users)
    gateway = start_gateway(scripted.port, workers=2)
    problems = []
    threads = [threading.Thread(target=one_of_the_crowd, args=(gateway, number, 10, problems)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not problems
    assert len(scripted.sessions) == 12 * 11
    for session in scripted.sessions:
        assert setup_of(session) == [f"NOTIFY SET (mailboxes Box{session.user[1:]} (MessageNew MessageExpunge))"]


def test_p11_a_pause_anywhere_in_a_token_changes_nothing(scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    client = scripted_gateway.session()
    for part in ("s ST", "ATE", " ", token[:50], token[50:], "\r", "\n"):
        client.send(part)
        let_pass(0.01)
    assert_restored(client.wait("s"), token)
