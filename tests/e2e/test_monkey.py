"""Sessions with mistakes at random, from clients and from upstreams: whatever comes, the gateway lives, ends what it doubts, and
serves the next one. Same seed, same mistakes; IMAPSTATE_MONKEY=N for N times as many, from another seed each time."""
import contextlib
import os
import random
import socket

import pytest

from harness.imap import Closed, literal
from harness.net import LOOPBACK
from harness.patience import PATIENCE_S
from harness.tokens import restore, save

TIMES = int(os.environ.get("IMAPSTATE_MONKEY", "0"))
ROUNDS = 150 * max(1, TIMES)

COMMANDS = [
    b"a LOGIN ann secret\r\n", b"a LOGIN {3+}\r\nann {6}\r\nsecret\r\n", b"a AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=\r\n",
    b"a AUTHENTICATE PLAIN\r\nAGFubgBzZWNyZXQ=\r\n", b"a AUTHENTICATE LOGIN\r\nYW5u\r\nc2VjcmV0\r\n", b"a AUTHENTICATE PLAIN\r\n*\r\n",
    b"b CAPABILITY\r\n", b"c ID NIL\r\n", b'c ID ("name" "x")\r\n', b"d STATE\r\n", b"e STATE %TOKEN%\r\n", b"e STATE {5}\r\nabcde\r\n",
    b"f SAVESTATE\r\n", b"g ENABLE X-ONE QRESYNC\r\n", b"h NOTIFY SET (mailboxes {3+}\r\nbox (MessageNew MessageExpunge))\r\n",
    b"i LANGUAGE DE\r\n", b"j SELECT INBOX\r\n", b"k FETCH 1 BODY[]\r\n", b"l APPEND INBOX {5+}\r\nhello\r\n",
    b"m APPEND INBOX {5}\r\nhello\r\n", b"n IDLE\r\nDONE\r\n", b"o NOOP\r\n", b"p LOGOUT\r\n", b"q XYZZY {3}\r\n",
    b'r LIST "" "a{3}"\r\n', b"s UNSELECT\r\n", b"t STARTTLS\r\n", b"u COMPRESS DEFLATE\r\n", b"v UID FETCH 1 FLAGS\r\n",
    b"w LIST {0+}\r\n {1}\r\n*\r\n", b"x SEARCH TEXT ~{3+}\r\n\0\r\n\r\n",
]
ANSWERS = [
    b"* OK hello\r\n", b"* BYE bye\r\n", b"+ go\r\n", b"* CAPABILITY IMAP4rev1 LITERAL+ STATE\r\n", b"* ENABLED X-ONE\r\n",
    b"* 1 FETCH (BODY[] {5}\r\nhello)\r\n", b"* NO [ALERT] text {3}\r\n", b"* LANGUAGE (DE)\r\n", b"* BAD what\r\n",
    b"* OK [CAPABILITY IMAP4rev1 QRESYNC] x\r\n", b"* ID NIL\r\n", b"* 2 EXISTS\r\n", b"* STATUS box (MESSAGES 3)\r\n", b"zz OK done\r\n",
]
NOISE = [b"\0", b"\r", b"\n", b"\r\n", b'"', b"{", b"}", b"{3}", b"{3+}\r\n", b"~{2+}\r\n", b"\\", b" ", b"(", b")", b"\xff", b"+", b"*", b"]",
         b"{99999999999+}\r\n", b"a" * 5000]


def spoil(dice, octets):
    """One to three mistakes."""
    octets = bytearray(octets)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(octets) + 1)
        kind = dice.randrange(4)
        if kind == 0:
            octets[at:at] = dice.choice(NOISE)
        elif kind == 1:
            del octets[at:at + dice.randint(1, 5)]
        elif kind == 2 and at < len(octets):
            octets[at] = dice.randrange(256)
        else:
            octets[at:] = octets[at:at + dice.randint(1, 40)] + octets[at:]
    return bytes(octets)


def script_of(dice, token):
    commands = [dice.choice(COMMANDS) for _ in range(dice.randint(1, 8))]
    if dice.random() < 0.8:
        commands.insert(0, COMMANDS[0])
    octets = b"".join(commands).replace(b"%TOKEN%", token.encode())
    return spoil(dice, octets) if dice.random() < 0.8 else octets


def play(dice, port, octets):
    """Sends it in a few parts and hangs up sooner or later."""
    with contextlib.suppress(ConnectionError, TimeoutError, socket.timeout), socket.create_connection((LOOPBACK, port), PATIENCE_S) as sock:
        for _ in range(dice.randint(0, 3)):
            cut = dice.randrange(len(octets) + 1)
            sock.sendall(octets[:cut])
            octets = octets[cut:]
        sock.sendall(octets)
        sock.settimeout(dice.choice((0.001, 0.01, 0.03)))
        while sock.recv(1 << 16):
            pass


@pytest.fixture(params=[0, 2], ids=["no parking", "parking"])
def seeded(request, scripted, start_gateway):
    gateway = start_gateway(scripted.port, max_login_failures=20, park={"per_user": request.param})
    seed = random.SystemRandom().randrange(1 << 32) if TIMES else 1
    print(f"seed {seed}")
    return gateway, random.Random(seed)


@pytest.mark.timeout(600)
def test_clients_make_mistakes(scripted, seeded):
    gateway, dice = seeded
    token = save(gateway.session(), "ENABLE X-ONE")
    for _ in range(ROUNDS):
        play(dice, gateway.plain_port, script_of(dice, token))
        assert gateway.process.poll() is None
    restore(gateway.session(), token)
    scripted.errors.clear()  # of octets that are no command, which it need not understand


class Spoilt:
    """A socket that makes mistakes in what it sends."""

    def __init__(self, sock, dice):
        self._sock, self._dice = sock, dice

    def sendall(self, octets):
        chance = self._dice.random()
        if chance < 0.1:
            octets = spoil(self._dice, octets)
        elif chance < 0.2:
            octets = self._dice.choice(ANSWERS) + octets
        elif chance < 0.22:
            octets = octets + self._dice.choice(ANSWERS)
        elif chance < 0.24:
            raise Closed
        self._sock.sendall(octets)

    def __getattr__(self, name):
        return getattr(self._sock, name)


@pytest.mark.timeout(600)
def test_upstreams_make_mistakes(scripted, seeded):
    gateway, dice = seeded
    token = save(gateway.session(), "ENABLE X-ONE")

    def spoilt(connection):
        connection.wire.sock = Spoilt(connection.wire.sock, random.Random(dice.random()))
        connection.send(b"* OK [CAPABILITY " + scripted.caps_before.encode() + b"] hello.\r\n")
        while True:
            connection.answer(*connection.command())

    scripted.script = spoilt
    for _ in range(ROUNDS):
        octets = b"".join(dice.choice(COMMANDS) for _ in range(dice.randint(2, 9))).replace(b"%TOKEN%", token.encode())
        play(dice, gateway.plain_port, COMMANDS[0] + octets)
        assert gateway.process.poll() is None
    scripted.script = None
    gateway.close_clients()
    client = gateway.session()
    assert client.command("STATE").status in (b"OK", b"NO")
    scripted.errors.clear()
