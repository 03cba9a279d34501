"""A client that walks at random, and checks all that it hears."""
import asyncio
import base64
import contextlib
import re
import socket
import struct

from .. import logins, net
from .wire import GARBAGE, Gone, Wire

USERS = {"ann": "secret", "bob": "hunter2", "eve": "pomum", "master": "of all"}
_MARK = re.compile(rb"mark-(\w+)-kram")
_NOBODY = "nobody"  # before a login
_LITERAL = re.compile(rb"~?\{(\d+)\+?\}\r\n$")
_TAGGED = re.compile(rb"(\w+) (?:OK|NO|BAD)(?: |\r)")


def mark(user):
    """What an upstream puts into whatever it says to this user. Whoever else hears it has found a fault."""
    return f"mark-{user or _NOBODY}-kram"


class Client:
    """number: makes its dice and its tags, so that a seed gives the same walk."""

    def __init__(self, world, number, dice, listener):
        self.world, self.number, self.dice, self.listener = world, number, dice, listener
        self.name = f"client {number} at {listener.name}"
        self.users = set()           # those that it has tried to be
        self.tags = {}               # tag: how often it was answered
        self.heard = []              # the last responses
        self.has_logged_in = False
        self._buffer, self._response, self._tail, self._count = b"", b"", b"", 0
        self._turning = {}           # tag: what its OK turns on
        self._go_ons = 0
        self._continued = set()  # first words of what it sent for a "+": a command of that tag, if nobody waited for it any more
        self.wire = None

    # What it hears

    def digest(self, octets):
        for match in _MARK.finditer(self._tail + octets):
            if (user := match.group(1).decode()) not in self.users | {_NOBODY}:
                self.world.fail(f"{self.name} hears what is said to {user}: {(self._tail + octets)[-400:]!r}", self)
        self._tail = (self._tail + octets)[-32:]
        self._buffer += octets
        while self._buffer and not self.wire.handshaking and (response := self._next_response()):
            self._hear(response)

    def _next_response(self):
        """The next whole one, literals included; None while it is incomplete."""
        at = 0
        while True:
            end = self._buffer.find(b"\n", at) + 1
            if not end:
                return None
            literal = _LITERAL.search(self._buffer, max(at, end - 24), end)
            if not literal:
                response, self._buffer = self._buffer[:end], self._buffer[end:]
                return response
            at = end + int(literal.group(1))
            if len(self._buffer) < at:
                return None

    def _hear(self, response):
        self.wire.tell(f"< {response[:160]!r}{f'... {len(response)}' if len(response) > 160 else ''}")
        self.heard = (self.heard + [response[:200]])[-50:]
        tagged = _TAGGED.match(response)
        if response.startswith(b"+"):
            self._go_ons += 1
        elif not response.startswith(b"*") and any(response.startswith(each) for each in self._continued):
            pass
        elif tagged:
            self._hear_tagged(tagged.group(1).decode(), response)
        elif not response.startswith(b"* ") or not response.endswith(b"\r\n"):
            self._doubt("this is no IMAP", response)
        if response.startswith(b"* SAVESTATE "):
            self.world.keep_token(self.users, response.split()[2])

    def _hear_tagged(self, tag, response):
        if tag not in self.tags:
            self._doubt("this tag was never sent", response)
        else:
            self.tags[tag] += 1
            if self.tags[tag] > 1:
                self._doubt("this tag was answered before", response)
        if b" OK" in response[:len(tag) + 4] and (turn := self._turning.pop(tag, None)):
            turn()

    def _doubt(self, what, response):
        """It is a fault if nobody else has made one."""
        if self.wire.is_pure and self.world.is_upstream_pure(self):
            self.world.fail(f"{self.name}: {what}: {response[:400]!r}", self)

    def _turn_tls(self):
        self.wire.handshaking = True

    def _turn_compression(self):
        self._buffer = self.wire.compressed_from_here(self._buffer)

    def was_refused(self):
        return not self.heard or self.heard[0].startswith(b"* BYE")

    # The walk

    async def walk(self):
        try:
            await self._connect()
            await self._begin()
            if self.dice.random() < 0.5:
                await self._visit_as_usual()
            for _ in range(self.dice.randint(0, 8)):
                await self._step()
            await self._end()
        except Gone:
            pass
        finally:
            if self.wire:
                self.wire.close(self.dice)

    async def _connect(self):
        sock = socket.socket()
        sock.setblocking(False)
        if self.dice.random() < 0.1:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, (net.LOOPBACK, self.listener.port)), 20)
        except (OSError, asyncio.TimeoutError):
            sock.close()
            raise Gone from None
        wildness = self.dice.choice((0, 0.03, 0.15, 0.4))
        self.wire = Wire(sock, self.dice, self.name, self.digest, wildness)
        self.world.enter(self)

    async def _begin(self):
        if self.listener.is_proxied:
            await self._proxy_header()
        if self.listener.tls == "implicit":
            await self._secure()
        if self.dice.random() < 0.9:
            await self.wire.wait(lambda: self.heard, 5)

    async def _proxy_header(self):
        four = b"PROXY TCP4 192.0.2.%d 192.0.2.1 4711 143\r\n" % self.dice.randint(1, 3)
        signature = b"\r\n\r\n\0\r\nQUIT\n"
        header = self.dice.choice((
            four, four, four, b"PROXY UNKNOWN\r\n", signature + b"\x20\0\0\0",
            signature + b"\x21\x11" + struct.pack("!H4s4sHH", 12, b"\xc0\0\2\1", b"\xc0\0\2\2", 4711, 143)))
        if self.dice.random() < 0.1:
            header = self.dice.choice((b"PROXY TCP4 \r\n", header[:-1], b"", signature + b"\x21\x11\xff\xff", b"a NOOP\r\n"))
            self.wire.is_pure = False
        if header:
            await self.wire.send(header)

    async def _secure(self):
        if not await self.wire.handshake(self.dice.choice(self.world.contexts)):
            if self.dice.random() < 0.5:
                await self.wire.outlive()
            raise Gone

    async def _visit_as_usual(self):
        """So that there is something to be parked and restored, and somebody to find it."""
        if self.listener.tls == "starttls":
            await self._starttls()
        await self._log_in()
        await self.dice.choice((self._restore, self._restore, self._restore, self._state, self._id))()
        for step in (self._storable, self._save, self._read):
            if self.dice.random() < 0.6:
                await step()
        if self.dice.random() < 0.6:
            await self._logout()
            raise Gone

    async def _step(self):
        """Mostly what a client would do here; at times anything at all."""
        if self.dice.random() < 0.15:
            step = self.dice.choice(self._any_step)
        elif not self.has_logged_in:
            step = self.dice.choice(self._before_login)
        else:
            step = self.dice.choice(self._after_login)
        await step(self)

    def next_tag(self):
        self._count += 1
        tag = f"c{self.number}x{self._count}"
        self.tags[tag] = 0
        return tag

    async def _start(self, command, is_pure=True):
        tag = self.next_tag()
        await self.wire.send(tag.encode() + b" " + command + b"\r\n", is_pure)
        return tag

    async def _continue(self, octets, is_pure=True):
        if octets.strip():
            self._continued.add(octets.split(maxsplit=1)[0])
        await self.wire.send(octets, is_pure)

    async def _run(self, command):
        """Sends it, and mostly waits for the answer."""
        tag = await self._start(command)
        if self.dice.random() < 0.8:
            await self._wait(tag)
        return tag

    async def _wait(self, tag, seconds=None):
        await self.wire.wait(lambda: self.tags[tag], seconds or self.dice.choice((0.05, 0.5, 3, 3)))
        return any(line.startswith(tag.encode() + b" OK") for line in self.heard)

    async def _wait_go_on(self, tag):
        """True if it is asked to go on; if not, mostly whoever waited does not."""
        before = self._go_ons
        await self.wire.wait(lambda: self._go_ons > before or self.tags[tag], 2)
        is_asked = self._go_ons > before
        goes_on = is_asked or self.dice.random() < 0.1
        if not is_asked and (goes_on or not self.tags[tag]):
            self.wire.is_pure = False  # what comes may be taken for something else than it is
        return goes_on

    # Before login

    async def _starttls(self):
        tag = self.next_tag()
        if not self.wire.tls:
            self._turning[tag] = self._turn_tls
        await self.wire.send(tag.encode() + b" STARTTLS\r\n")
        if self.dice.random() < 0.1:
            self.users.add("ann")
            await self._start(self.dice.choice((b"NOOP", b"LOGIN ann secret", b'ID ("name" "mine")')), is_pure=False)
        await self.wire.wait(lambda: self.wire.handshaking or self.tags[tag], 3)
        if self.wire.handshaking:
            await self._secure()

    async def _log_in(self):
        user = self.dice.choice(("ann", "ann", "bob", "eve"))
        password = USERS[user] if self.dice.random() < 0.98 else "wrong"
        self.users.add(user)
        tag = await self.dice.choice(self._logins)(self, user, password)
        if self.dice.random() < 0.15:  # whatever comes of it; what follows may be taken for the answer to a challenge
            self.wire.is_pure = False
            return
        await self._wait(tag, 3)
        self.has_logged_in = True

    async def _by_login(self, user, password):
        return await self._start(f'LOGIN {user} "{password}"'.encode())

    async def _by_literals(self, user, password):
        tag = self.next_tag()
        await self.wire.send(b"%s LOGIN {%d}\r\n" % (tag.encode(), len(user)))
        if await self._wait_go_on(tag):
            await self._continue(b"%s {%d}\r\n" % (user.encode(), len(password)))
            if await self._wait_go_on(tag):
                await self._continue(password.encode() + b"\r\n")
        return tag

    async def _by_plus_literals(self, user, password):
        return await self._start(b"LOGIN {%d+}\r\n%s {%d+}\r\n%s" % (len(user), user.encode(), len(password), password.encode()))

    async def _by_plain(self, user, password):
        return await self._start(b"AUTHENTICATE PLAIN " + logins.encoded(logins.plain(user, password)))

    async def _for_another(self, user, password):
        return await self._start(b"AUTHENTICATE PLAIN " + logins.encoded(logins.plain("master", USERS["master"], user)))

    async def _by_xoauth2(self, user, password):
        tag = await self._start(b"AUTHENTICATE XOAUTH2 " + logins.encoded(logins.xoauth2(user, password)))
        await self._converse(tag, [b""])
        return tag

    async def _by_mechanism_login(self, user, password):
        tag = await self._start(b"AUTHENTICATE LOGIN")
        await self._converse(tag, [logins.encoded(user), logins.encoded(password)])
        return tag

    async def _by_cram_md5(self, user, password):
        tag = await self._start(b"AUTHENTICATE CRAM-MD5")
        await self._converse(tag, [logins.encoded(f"{user} {'0' * 32}")])
        return tag

    async def _by_scram(self, user, password):
        scram = logins.Scram("SCRAM-SHA-256", user, password)
        tag = await self._start(b"AUTHENTICATE SCRAM-SHA-256 " + logins.encoded(scram.first()))
        await self._converse(tag, [base64.b64encode(b"c=biws,r=x,p=AAAA"), b""])
        return tag

    async def _converse(self, tag, messages):
        for message in messages:
            if not await self._wait_go_on(tag):
                return
            chance = self.dice.random()
            if chance < 0.25:
                await self._continue(b"*\r\n")
                return
            if chance < 0.3:
                await self.wire.stall()
            elif chance < 0.35:
                await self.wire.outlive()
            elif chance < 0.4:
                message = self.dice.choice((b"AAAA", b"!", b"a NOOP", b"=" * 5000))
                self.wire.is_pure = False
            await self._continue(message + b"\r\n")

    async def _cancelled(self):
        tag = await self._start(b"AUTHENTICATE " + self.dice.choice((b"PLAIN", b"CRAM-MD5", b"LOGIN", b"XOAUTH2")))
        if await self._wait_go_on(tag):
            await self._continue(b"*\r\n")

    # Anywhere

    async def _id(self):
        await self._run(self.dice.choice((b"ID NIL", b'ID ("name" "storm")', b'ID ("name" {5+}\r\nstorm)', b'ID ("x-originating-ip" "192.0.2.9")')))

    async def _simple(self):
        await self._run(self.dice.choice((b"NOOP", b"CAPABILITY", b"XYZZY", b"LANGUAGE", b"LANGUAGE DE", b"NAMESPACE")))

    async def _stall(self):
        await self.wire.stall()

    async def _sleep_without_reading(self):
        self.wire.pause(True)
        if self.has_logged_in and self.dice.random() < 0.5:
            for _ in range(self.dice.randint(1, 20)):
                await self._start(b"FETCH 1 BODY[]")
        await self.wire.stall()
        self.wire.pause(False)

    async def _together(self):
        """Several commands in one segment."""
        octets = b""
        for _ in range(self.dice.randint(2, 8)):
            command = self.dice.choice((b"NOOP", b"STATE", b"SAVESTATE", b"SELECT INBOX", b"FETCH 1 BODY[]", b"ENABLE X-ONE", b"CAPABILITY",
                                        b"UNSELECT", b"APPEND INBOX {5+}\r\nhello", b"STATE " + self._some_token(), b"LOGOUT"))
            octets += self.next_tag().encode() + b" " + command + b"\r\n"
        await self.wire.send(octets)

    async def _garbage(self):
        if self.dice.random() < 0.3:
            await self.wire.send(self.dice.choice(GARBAGE), is_pure=False)

    async def _logout(self):
        tag = await self._start(b"LOGOUT")
        if self.dice.random() < 0.3:
            await self._start(self.dice.choice((b"NOOP", b"SELECT INBOX", b"LOGOUT")))
        await self._wait(tag)

    async def _half_close(self):
        if self.dice.random() < 0.3:
            self.wire.half_close()
            await self.wire.outlive()
            raise Gone

    async def _vanish(self):
        if self.dice.random() < 0.3:
            self.wire.close(self.dice)
            raise Gone

    async def _outlive(self):
        if self.dice.random() < 0.3:
            await self.wire.outlive()

    # After login

    def _some_token(self):
        return self.world.some_token(self.users, self.dice) or b"AQAAAAH"

    async def _state(self):
        await self._run(b"STATE")

    async def _restore(self):
        await self._run(b"STATE " + self._some_token())

    async def _save(self):
        await self._run(b"SAVESTATE")

    async def _storable(self):
        await self._run(self.dice.choice((
            b"ENABLE X-ONE", b"ENABLE QRESYNC", b"ENABLE X-ONE X-TWO", b"NOTIFY SET (personal (MessageNew MessageExpunge))", b"NOTIFY NONE",
            b"NOTIFY SET (mailboxes {3+}\r\nbox (MessageNew MessageExpunge))", b"LANGUAGE DE", b"LANGUAGE FR", b"LANGUAGE")))

    async def _read(self):
        await self._run(self.dice.choice((b"SELECT INBOX", b"EXAMINE INBOX", b"FETCH 1 BODY[]", b"FETCH 1:* FLAGS", b"UNSELECT", b"CLOSE",
                                          b'LIST "" *', b"LIST \"\" {1+}\r\n*", b"STATUS INBOX (MESSAGES)", b"NAMESPACE")))

    async def _append(self):
        size = self.dice.choice((0, 1, 5, 4000, 70000, 600000))
        kind = self.dice.choice((b"{%d}", b"{%d+}", b"~{%d+}", b"{%d+}"))
        tag = self.next_tag()
        await self.wire.send(tag.encode() + b" APPEND INBOX " + kind % size + b"\r\n")
        if kind == b"{%d}" and not await self._wait_go_on(tag):
            return
        octets = (mark(min(self.users, default=None)).encode() * (size // 16 + 1))[:size]
        chance = self.dice.random()
        if chance < 0.1:
            await self._continue(octets[:size // 2])
            self.wire.close(self.dice)
            raise Gone
        if chance < 0.2:
            await self._continue(octets[:size // 2])
            await self.wire.stall()
            octets = octets[size // 2:]
        await self._continue(octets + b"\r\n")
        await self._wait(tag)

    async def _idle(self):
        tag = await self._start(b"IDLE")
        if await self._wait_go_on(tag):
            await self.wire.stall()
        if self.dice.random() < 0.15:
            self.wire.is_pure = False
            return
        await self._continue(self.dice.choice((b"DONE\r\n", b"DONE\r\n", b"done\r\n", b"DONE\r\nDONE\r\n", b"x DONE\r\n")))
        await self._wait(tag)

    async def _compress(self):
        tag = self.next_tag()
        if not self.wire.deflate:
            self._turning[tag] = self._turn_compression
        await self.wire.send(tag.encode() + b" COMPRESS DEFLATE\r\n")
        await self._wait(tag, 3)

    async def _unauthenticate(self):
        """It ends compression too (RFC 8437 section 4.1), so that nothing may be sent behind it before its answer is there."""
        tag = self.next_tag()
        self._turning[tag] = self.wire.end_compression
        await self.wire.send(tag.encode() + b" UNAUTHENTICATE\r\n")
        if await self._wait(tag, 3):
            self.has_logged_in = False
        elif self.wire.deflate:
            self.wire.is_pure = False

    async def _end(self):
        await self.dice.choice((self._logout, self._logout, self._vanish, self._outlive, self._half_close, self._stall))()
        if self.dice.random() < 0.5:
            await self.wire.wait(lambda: self.wire.is_over, 1)

    _logins = (_by_login, _by_login, _by_literals, _by_plus_literals, _by_plain, _for_another, _by_xoauth2, _by_mechanism_login, _by_cram_md5,
               _by_scram)
    _before_login = (_log_in, _log_in, _log_in, _log_in, _starttls, _starttls, _id, _simple, _cancelled, _stall)
    _after_login = (_state, _restore, _restore, _save, _storable, _storable, _read, _read, _read, _append, _idle, _simple, _together, _id,
                    _compress, _unauthenticate, _logout, _stall, _sleep_without_reading)
    _any_step = _before_login + _after_login + (_garbage, _half_close, _vanish, _outlive)
