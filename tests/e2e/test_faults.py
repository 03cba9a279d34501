"""Clients and upstreams that vanish at any moment: the gateway lives on, and nothing of them stays behind. That no memory does
is checked at each gateway's end, by LeakSanitizer in a build that has it."""
import contextlib
import os
import re
import select
import socket
import ssl
import struct
import threading

import pytest

from harness.gateway import upstream
from harness.imap import Client, Closed, literal
from harness.net import LOOPBACK, Authority, reset
from harness.patience import PATIENCE_S, wait_until
from harness.server import NEW_USER_PASSWORD
from harness.tokens import restore, save


def close(sock):
    sock.close()


def shut(sock):
    """Half a close: the peer hears the end, and we would still listen for a moment."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
    with contextlib.suppress(OSError):
        sock.settimeout(PATIENCE_S)
        while sock.recv(1 << 16):
            pass
    sock.close()


WAYS = {"close": close, "reset": reset, "half a close": shut}


def is_at_rest(gateway):
    """Has the log the end of each client and each upstream whose beginning it has?"""
    log = gateway.log()
    return len(re.findall(r"from=\S+ user=\S+ upstream=\S+ PROXYING -> ", log)) == log.count(" closing: ") and \
        len(re.findall(r"client=\w+(?: session=\S+)? upstream=\S+ RESOLVING -> ", log)) == len(re.findall(r"client=\w+(?: session=\S+)? upstream=\S+ \w+ -> DEAD", log))


class Census:
    """How many descriptors the gateway has at rest, and how many clients it has seen end since."""

    def __init__(self, gateway):
        self.gateway = gateway
        gateway.close_clients()
        wait_until(lambda: is_at_rest(gateway), lambda: "earlier clients do not end")
        self.began_log = gateway.log_octets()
        self.descriptors = self._descriptors()
        self.clients = 0

    def _descriptors(self):
        try:
            return len(os.listdir(f"/proc/{self.gateway.process.pid}/fd"))
        except PermissionError:
            pytest.skip("the gateway lets nobody but root look at its descriptors")

    def check(self):
        """All is as it was before, and there has been one line for each client."""
        def ends():
            return len(re.findall(r" closing: .* \(restored=", self.gateway.log(self.began_log)))

        wait_until(lambda: ends() >= self.clients and self._descriptors() <= self.descriptors,
                   lambda: f"{self.clients} clients, {ends()} ends; {self.descriptors} descriptors before, {self._descriptors()} now")
        assert ends() == self.clients
        identities = re.findall(r"client=(\w+) session=\S+ from=\S+ user=\S+ upstream=\S+ closing: ", self.gateway.log(self.began_log))
        assert len(identities) == len(set(identities))


@pytest.fixture
def census():
    return Census


def script_of(user, token):
    return (b"a LOGIN " + literal(user) + b' "secret"\r\nb STATE ' + token.encode() + b"\r\nc ENABLE CONDSTORE\r\nd SAVESTATE\r\n"
            b"e SELECT INBOX\r\nf FETCH 1 BODY[]\r\ng APPEND INBOX " + literal("Subject: {3}\r\n\r\nx STATE y\r\n")
            + b"\r\nh APPEND INBOX {3}\r\nabc\r\ni IDLE\r\nDONE\r\nj LOGOUT\r\n")


def connected(gateway, trust, is_secure):
    sock = socket.create_connection((LOOPBACK, gateway.tls_port if is_secure else gateway.plain_port), PATIENCE_S)
    return trust.wrap_socket(sock, server_hostname="localhost") if is_secure else sock


@pytest.mark.parametrize("is_secure", [False, True], ids=["in clear", "TLS"])
@pytest.mark.parametrize("way", WAYS)
def test_a_client_vanishes_behind_any_octet_that_it_sends(dovecot, gateway, trust, census, is_secure, way):
    user = dovecot.new_user()
    dovecot.add_message(user)
    token = save(gateway.session(user, NEW_USER_PASSWORD), "ENABLE QRESYNC")
    script = script_of(user, token)
    counted = census(gateway)
    # Within the token one octet is like another.
    within = range(script.index(token.encode()) + 4, script.index(token.encode()) + len(token) - 4)
    for octets in (octets for octets in range(len(script) + 1) if octets not in within):
        sock = connected(gateway, trust, is_secure)
        counted.clients += 1
        sock.sendall(script[:octets])
        WAYS[way](sock)
    counted.check()
    restore(gateway.session(user, NEW_USER_PASSWORD), token)


@pytest.mark.parametrize("way", ["close", "reset"])
def test_a_client_vanishes_behind_any_answer_that_it_hears(dovecot, gateway, trust, census, way):
    user = dovecot.new_user()
    dovecot.add_message(user)
    token = save(gateway.session(user, NEW_USER_PASSWORD), "ENABLE QRESYNC")
    script = script_of(user, token)
    counted = census(gateway)
    for is_secure in (False, True):
        heard, is_over = 0, False
        while not is_over:
            sock = connected(gateway, trust, is_secure)
            counted.clients += 1
            sock.sendall(script)
            received = bytearray()
            while received.count(b"\n") < heard and not is_over:
                more = sock.recv(1000)
                received += more
                is_over = not more
            WAYS[way](sock)
            heard += 1
        assert heard > 20
    counted.check()
    gateway.session(user, NEW_USER_PASSWORD).ok("NOOP")


def client_hello(trust):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        handshake.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("way", WAYS)
def test_a_client_vanishes_within_the_handshake(gateway, trust, census, way):
    counted = census(gateway)
    hello = client_hello(trust)
    for octets in range(0, len(hello) + 1, 7):
        for prefix, port in ((b"", gateway.tls_port), (b"a STARTTLS\r\n", gateway.starttls_port)):
            sock = socket.create_connection((LOOPBACK, port), PATIENCE_S)
            counted.clients += 1
            if prefix:
                sock.recv(1000)
                sock.sendall(prefix)
                assert sock.recv(1000).startswith(b"a OK")
            sock.sendall(hello[:octets])
            WAYS[way](sock)
    counted.check()


def test_a_handshake_that_is_none_is_told_in_the_log(gateway, census):
    counted = census(gateway)
    for octets in (b"a LOGIN ann secret\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 300, b"GET / HTTP/1.1\r\n\r\n"):
        sock = socket.create_connection((LOOPBACK, gateway.tls_port), PATIENCE_S)
        counted.clients += 1
        sock.sendall(octets)
        with contextlib.suppress(ConnectionError):
            while sock.recv(1000):
                pass
        sock.close()
    counted.check()
    assert gateway.log(counted.began_log).count("closing: TLS handshake failed: ") == 3


# Upstreams


class Cut:
    """A socket that vanishes in some way after so many octets were sent."""

    def __init__(self, sock, left, way):
        self._sock, self._left, self._way = sock, left, way

    def sendall(self, octets):
        self._sock.sendall(octets[:self._left])
        self._left -= len(octets)
        if self._left <= 0:
            self._way(self._sock)
            raise Closed

    def __getattr__(self, name):
        return getattr(self._sock, name)


@pytest.mark.parametrize("is_secure", [False, True], ids=["in clear", "TLS"])
@pytest.mark.parametrize("way", ["close", "reset"])
def test_an_upstream_vanishes_behind_any_octet(start_scripted, start_gateway, census, authority, certificate, is_secure, way):
    scripted = start_scripted(tls="implicit" if is_secure else None, context=Authority.server_context(certificate))
    gateway = start_gateway(upstream(scripted.port, tls="implicit" if is_secure else "none", tls_ca_file=str(authority.ca_file),
                                     tls_name="localhost"))
    token = save(gateway.session(), "ENABLE X-ONE", "NOTIFY NONE")
    script = script_of("ann", token)
    counted = census(gateway)
    def vanish(connection):
        connection.wire.sock = Cut(connection.wire.sock, octets, WAYS[way])
        connection.send(b"* OK [CAPABILITY " + scripted.caps_before.encode() + b"] for a while.\r\n")
        while True:
            connection.answer(*connection.command())

    scripted.script = vanish
    for octets in range(1, 1400, 11):
        with contextlib.suppress(ConnectionError), Client(gateway.plain_port) as client:
            counted.clients += 1
            client.send(script)
            with contextlib.suppress(Closed):
                while True:
                    client.response()
    counted.check()
    scripted.script = None
    restore(gateway.session(), token)


@pytest.mark.parametrize("way", ["close", "reset"])
def test_an_upstream_vanishes_under_a_session_at_rest(scripted, scripted_gateway, census, way):
    counted = census(scripted_gateway)
    idle, resting, appending = (scripted_gateway.session() for _ in range(3))
    counted.clients = 3
    idle.start("IDLE")
    idle.continuation()
    appending.start("APPEND INBOX {1000}")
    appending.continuation()
    appending.send(b"x" * 500)
    for connection in scripted.sessions:
        if way == "reset":
            connection.wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.hang_up()
    for client in (idle, resting, appending):
        bye, = client.rest()
        assert bye.startswith(b"* BYE [UNAVAILABLE] ")
        client.close()
    counted.check()
    assert scripted_gateway.log().count("closing: upstream closed") == 3


def test_an_upstream_that_vanishes_within_an_answer_leaves_no_half_answer_with_bye_in_it(scripted, scripted_gateway, census):
    counted = census(scripted_gateway)
    for part in (b"* 1 FETCH (BODY[] {100}\r\nhello", b"* 1 FETCH (FLAGS", b"* 1 FETCH (BODY[] {5}\r\nhello"):
        def vanish(connection, tag, arguments):
            connection.wire.sock.sendall(part)
            raise Closed

        scripted.on("FETCH", vanish)
        client = scripted_gateway.session()
        counted.clients += 1
        received = len(client.wire.received)
        client.start("FETCH 1 BODY[]")
        with contextlib.suppress(Closed):
            while True:
                client.wire.fill()
        heard = bytes(client.wire.received[received:])
        # What cannot be ended must not be followed by something that a client would take for a part of it.
        # (The last octets are held back: they might be the begin of a literal's announcement. So is all of a short line, in
        # which what it shows to be on is looked for as a whole: then there is nothing in the way of BYE.)
        is_held = b"\r\n" not in part
        assert (heard.startswith(b"* BYE ") if is_held else part.startswith(heard) and len(heard) >= len(part) - 16), heard
        client.close()
    counted.check()


def test_a_client_vanishes_while_the_upstream_is_slow(scripted, start_gateway, census):
    """Connecting, greeting, login, replay, an answer: nobody is left to hear of it."""
    gateway = start_gateway(scripted.port)
    token = save(gateway.session(), "ENABLE X-ONE")
    counted = census(gateway)
    reached, go_on = threading.Event(), threading.Event()

    def wait(connection, tag=None, arguments=None):
        reached.set()
        assert go_on.wait(PATIENCE_S)
        raise Closed

    for name in ("greeting", "CAPABILITY", "LOGIN", "ENABLE", "SELECT"):
        for way in WAYS.values() if name != "SELECT" else (close, reset):
            reached.clear()
            go_on.clear()
            if name == "greeting":
                scripted.script = wait
            else:
                scripted.script = None
                scripted.on(name, wait, times=1)
            sock = socket.create_connection((LOOPBACK, gateway.plain_port), PATIENCE_S)
            counted.clients += 1
            sock.sendall(b"a LOGIN ann secret\r\nb STATE " + token.encode() + b"\r\nc SELECT INBOX\r\n")
            if name == "CAPABILITY":
                scripted.take_override(name)  # the list is known by now, and is not asked for again
                reached.set()
            assert reached.wait(PATIENCE_S), name
            if way is shut:
                sock.shutdown(socket.SHUT_WR)
                go_on.set()
            way(sock)
            go_on.set()
    scripted.script = None
    counted.check()
    restore(gateway.session(), token)


@pytest.mark.parametrize("way", ["close", "reset"])
def test_a_client_that_does_not_read_vanishes(scripted, scripted_gateway, census, way, trust):
    """Both sides are held up when it goes."""
    counted = census(scripted_gateway)

    def flood(connection, tag, arguments):
        connection.wire.sock.sendall(b"* 1 FETCH (BODY[] {60000000}\r\n" + b"x" * 60000000 + b")\r\n")

    scripted.on("FETCH", flood)
    for is_secure in (False, True):
        sock = connected(scripted_gateway, trust, is_secure)
        counted.clients += 1
        sock.sendall(b"a LOGIN ann secret\r\nf FETCH 1 BODY[]\r\n")
        received = bytearray()
        while b"BODY[]" not in received:
            received += sock.recv(1000)
        scripted.wait_for(lambda: not select.select((), (scripted.sessions[-1].wire.sock,), (), 0.2)[1])
        WAYS[way](sock)
        scripted.wait_for(lambda: scripted.sessions[-1].closed)
    counted.check()


def test_an_upstream_that_does_not_read_vanishes(scripted, scripted_gateway, census):
    counted = census(scripted_gateway)
    held, go_on = threading.Event(), threading.Event()

    def hold(connection, tag, arguments):
        held.set()
        go_on.wait(PATIENCE_S)
        raise Closed

    scripted.on("CHECK", hold)
    client = scripted_gateway.session()
    counted.clients += 1
    client.send(b"c CHECK\r\na APPEND INBOX {60000000+}\r\n")
    assert held.wait(PATIENCE_S)
    client.wire.sock.setblocking(False)
    while select.select((), (client.wire.sock,), (), 0.3)[1]:
        client.wire.sock.send(b"x" * (1 << 20))
    client.wire.sock.settimeout(PATIENCE_S)
    go_on.set()
    with contextlib.suppress(Closed, ConnectionError):
        while True:
            client.wire.fill()
    client.close()
    counted.check()


def test_half_a_close_still_gets_all_answers(dovecot, gateway, connect):
    """A client may say all that it has to say, and shut down its side."""
    user = dovecot.new_user()
    dovecot.add_message(user)
    client = connect(gateway.plain_port)
    client.send(b"a LOGIN %s secret\r\nb SELECT INBOX\r\nc FETCH 1 BODY[]\r\nd STATE\r\ne SAVESTATE\r\nf NOOP\r\n" % user.encode())
    client.wire.sock.shutdown(socket.SHUT_WR)
    for tag in "abcd":
        assert client.wait(tag).status == (b"BAD" if tag == "d" else b"OK")
    assert client.wait("e").status == b"NO"
    assert client.wait("f").status == b"OK"
    client.rest()
    gateway.wait_log("closing: client disconnected")


def test_crowds_come_and_go(dovecot, start_gateway, census, trust):
    """Many at once, on two workers, each ending in another way."""
    gateway = start_gateway(dovecot.plain_port, workers=2)
    user = dovecot.new_user()
    dovecot.add_message(user)
    gateway.session(user, NEW_USER_PASSWORD).ok("SELECT INBOX")
    counted, problems, number = census(gateway), [], [0]
    lock = threading.Lock()

    def come_and_go():
        try:
            for _ in range(25):
                with lock:
                    number[0] += 1
                    mine = number[0]
                sock = connected(gateway, trust, mine % 2)
                sock.sendall(f"a LOGIN {user} secret\r\nb STATE\r\nc SELECT INBOX\r\nd FETCH 1 BODY[]\r\n".encode())
                received = bytearray()
                while received.count(b"\n") < mine % 17:
                    received += sock.recv(4000)
                (close, reset, shut)[mine % 3](sock)
        except BaseException as problem:  # pylint: disable=broad-except
            problems.append(repr(problem))

    threads = [threading.Thread(target=come_and_go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not problems
    counted.clients = number[0]
    counted.check()
