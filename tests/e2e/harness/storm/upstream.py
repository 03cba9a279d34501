"""Upstreams that mostly do as they should, and at times answer late, twice, never, half, in the wrong order, or what nobody asked."""
import asyncio
import base64
import contextlib
import re
import socket

from .. import net
from .client import USERS, mark
from .wire import GARBAGE, Gone, Wire

_LITERAL = re.compile(rb"~?\{(\d+)(\+?)\}\r?\n$")
_CLIENTS_TAG = re.compile(r"c(\d+)x\d+$")
_BEFORE = "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE STARTTLS AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 AUTH=XOAUTH2 AUTH=SCRAM-SHA-256"
_AFTER = "IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE UNSELECT MULTIAPPEND LANGUAGE NOTIFY CONDSTORE QRESYNC X-ONE X-TWO UNAUTHENTICATE"
_CHALLENGE = base64.b64encode(b"<1.2@storm>").decode()


class Upstream:
    """A server with two ports, so that a reload can move it. wildness: how many of its connections have habits."""

    def __init__(self, world, name, dice, tls="none", is_proxied=False):
        self.world, self.name, self.dice, self.tls, self.is_proxied = world, name, dice, tls, is_proxied
        self.wildness = 0.0
        self._count = 0
        self._sockets = []
        self.ports = []
        self.connections = set()
        for _ in range(2):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setblocking(False)
            self.ports.append(net.free_port())
            sock.bind((net.LOOPBACK, self.ports[-1]))
            sock.listen(64)
            self._sockets.append(sock)

    def start(self):
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._accept(sock)) for sock in self._sockets]

    async def _accept(self, listening):
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(listening)
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._count += 1
            connection = Connection(self, sock, self.world.dice_for(f"upstream {self.name} {self._count}"), self._count)
            task = loop.create_task(connection.serve())
            self.connections.add(task)
            task.add_done_callback(self._ended)
            if self.dice.random() < self.wildness * 0.05:
                await asyncio.sleep(self.dice.choice((0.05, 0.3, 1)))  # whoever comes next waits

    def _ended(self, task):
        self.connections.discard(task)
        if not task.cancelled() and task.exception():
            self.world.blame(task.exception())

    def drop_all(self):
        for task in list(self.connections):
            task.cancel()

    async def stop(self):
        for task in self._tasks:
            task.cancel()
        self.drop_all()
        await asyncio.gather(*self._tasks, *self.connections, return_exceptions=True)
        for sock in self._sockets:
            sock.close()


class Connection:
    def __init__(self, upstream, sock, dice, number):
        self.upstream, self.world, self.dice = upstream, upstream.world, dice
        is_odd = dice.random() < upstream.wildness
        self.oddity = dice.choice((0.02, 0.1, 0.3)) if is_odd else 0.0
        self.name = f"upstream {upstream.name}, connection {number}"
        self.user = self.met = None  # whose it is; the client whose tag came last
        self._buffer = b""
        self.wire = Wire(sock, dice, self.name, self._digest, dice.choice((0, 0.02, 0.1)) if is_odd else 0.0)
        self.world.enter(self)

    def _digest(self, octets):
        self._buffer += octets

    def is_odd(self, scale=1.0):
        return self.dice.random() < self.oddity * scale

    async def serve(self):
        try:
            await self._begin()
            while True:
                await self._answer_one()
        except Gone:
            pass
        finally:
            self.wire.close(self.dice if self.oddity else None)

    # Octets

    async def _line(self):
        await self._have(lambda: b"\n" in self._buffer)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    async def _octets(self, count):
        await self._have(lambda: len(self._buffer) >= count)
        octets, self._buffer = self._buffer[:count], self._buffer[count:]
        return octets

    async def _have(self, is_so):
        if not await self.wire.wait(is_so, 120):
            raise Gone

    async def _put(self, text, is_pure=True):
        await self.wire.send(text if isinstance(text, bytes) else text.encode(), is_pure)

    # What comes before the first command

    async def _begin(self):
        if self.is_odd():
            await self.dice.choice((self.wire.stall, self._leave, self.wire.outlive))()
        if self.upstream.is_proxied:
            header = await self._octets(16)
            await self._octets(int.from_bytes(header[14:16], "big"))
            if self.upstream.tls == "implicit":
                self.wire.unread(self._buffer)
                self._buffer = b""
        if self.upstream.tls == "implicit":
            await self._secure()
        await self._put(self._greeting())

    def _greeting(self):
        if self.is_odd():
            return self.dice.choice((
                "* OK hello.\r\n", "* BYE too many.\r\n", "* PREAUTH hello.\r\n", "* OK hel", "", "* NO hello\r\n", "* OK a\r\n* OK b\r\n",
                f"* OK [CAPABILITY {_BEFORE}] hello.\r\n* CAPABILITY IMAP4rev1\r\n* 1 EXISTS\r\n"))
        return f"* OK [CAPABILITY {_BEFORE}] hello.\r\n"

    async def _secure(self):
        if not await self.wire.handshake(self.world.server_context, server_side=True):
            raise Gone

    async def _leave(self):
        self.wire.close(self.dice)
        raise Gone

    # Commands

    async def _answer_one(self):
        line = await self._line()
        tag, _, rest = line.decode("latin-1").rstrip("\r\n").partition(" ")
        if match := _CLIENTS_TAG.match(tag):
            self.met = int(match.group(1))
            self.world.meet(self)
        name, _, arguments = rest.partition(" ")
        name = name.upper()
        self.wire.tell(f"< {line[:120]!r}")
        if self.is_odd(0.3):
            await self._misbehave(tag)
        while literal := _LITERAL.search(line):
            if not literal.group(2):
                if self.is_odd():
                    return await self._refuse_literal(tag)
                await self._put("+ go on\r\n")
            octets = await self._octets(int(literal.group(1)))
            line = await self._line()
            arguments += (octets[:200] + line).decode("latin-1").rstrip("\r\n")
        handler = getattr(self, f"_do_{name.lower()}", None) if name.isalpha() else None
        if handler:
            return await handler(tag, arguments)
        return await self._say(tag, self._data(name, arguments), f"OK done {mark(self.user)}.")

    async def _refuse_literal(self, tag):
        await self._put(self.dice.choice((f"{tag} NO [TRYCREATE] no.\r\n", f"{tag} BAD no.\r\n", f"{tag} OK no.\r\n",
                                          f"{tag} NO no.\r\n+ go on\r\n", "* NO wait\r\n")))

    async def _misbehave(self, tag):
        """Something out of its time."""
        kind = self.dice.randrange(10)
        if kind == 0:
            await self._leave()
        elif kind == 1:
            await self.wire.outlive()
        elif kind == 2:
            self.wire.pause(True)
            await self.wire.stall()
            self.wire.pause(False)
        elif kind == 3:
            await self._put(self.dice.choice(GARBAGE), is_pure=False)
        else:
            await self._put(self.dice.choice((
                "+ \r\n", "* BYE going down.\r\n", f"* OK [ALERT] {mark(self.user)}\r\n", "* 5 EXISTS\r\n", "unknown OK done.\r\n",
                f"{tag} OK already.\r\n", "* CAPABILITY IMAP4rev1\r\n", "* ENABLED X-TWO\r\n", "* BAD what?\r\n")))

    async def _say(self, tag, untagged, status):
        """The answer to a command, or what has become of it."""
        lines = [f"* {each}\r\n" for each in untagged]
        tagged = f"{tag} {status}\r\n"
        if not self.is_odd():
            return await self._put("".join(lines) + tagged)
        kind = self.dice.randrange(11)
        if kind == 0:
            await self._put("".join(lines) + tagged + tagged)
        elif kind == 1:
            await self._put(tagged + "".join(lines))
        elif kind == 2:
            await self._put("".join(lines))
        elif kind == 3:
            await self._put(tagged)
        elif kind == 4:
            await self._put(tagged[:self.dice.randrange(len(tagged))], is_pure=False)
        elif kind == 5:
            await self._put("".join(lines) + f"unknown{tag} OK done.\r\n")
        elif kind == 6:
            asyncio.get_running_loop().create_task(self._later("".join(lines) + tagged))
        elif kind == 7:
            await self._put("".join(lines) + "* BYE I must go.\r\n" + (tagged if self.dice.random() < 0.5 else ""))
            await self.dice.choice((self._leave, self.wire.stall))()
        elif kind == 8:
            await self._put("".join(lines) + "+ go on\r\n" + tagged)
        elif kind == 9:
            await self._put("".join(lines) + f"{tag} {self.dice.choice(('NO', 'BAD', 'NO [UNAVAILABLE]', 'NO [LIMIT]'))} no.\r\n")
        else:
            await self.wire.stall()
            await self._put("".join(lines) + tagged)

    async def _later(self, text):
        with contextlib.suppress(Gone):
            await self.wire.stall()
            await self._put(text)

    def _data(self, name, arguments):
        """The untagged responses of a command."""
        mine = mark(self.user)
        if name in ("SELECT", "EXAMINE"):
            return ["3 EXISTS", f"OK [UIDVALIDITY 1] {mine}", "FLAGS (\\Seen)"]
        if name == "FETCH":
            text = mine * self.dice.choice((1, 10, 10, 3000, 100000 if self.oddity else 1))
            return [f"1 FETCH (FLAGS () BODY[] {{{len(text)}}}\r\n{text})"]
        if name in ("LIST", "STATUS"):
            return [f'LIST () "/" {mine}'] if name == "LIST" else [f"STATUS {mine} (MESSAGES 3)"]
        if name == "CAPABILITY":
            return [f"CAPABILITY {_AFTER if self.user else _BEFORE}"]
        if name == "NAMESPACE":
            return [f'NAMESPACE (("{mine}" "/")) NIL NIL']
        if name == "ENABLE":
            return ["ENABLED " + " ".join(arguments.split())]
        if name == "LANGUAGE":
            return [f"LANGUAGE ({arguments})"] if arguments else ["LANGUAGE (EN DE FR)"]
        if name == "ID":
            return [f'ID ("name" "{mine}")']
        return [f"OK [ALERT] {mine}"] if self.dice.random() < 0.05 else []

    async def _do_starttls(self, tag, _arguments):
        self.wire.handshaking = True
        await self._put(f"{tag} OK begin.\r\n")
        self._buffer = b""
        await self._secure()

    async def _do_logout(self, tag, _arguments):
        await self._say(tag, ["BYE bye."], "OK bye.")
        await self._leave()

    async def _do_idle(self, tag, _arguments):
        if self.is_odd():
            return await self._say(tag, [], "NO no.")
        await self._put("+ idling\r\n")
        if self.is_odd():
            await self._say(tag, [f"OK [ALERT] {mark(self.user)}"], "OK idled.")
        await self._line()
        return await self._say(tag, [], "OK idled.")

    # Logging in

    async def _do_login(self, tag, arguments):
        user, _, password = arguments.replace('"', "").partition(" ")
        await self._decide(tag, user, password)

    async def _do_authenticate(self, tag, arguments):
        mechanism, _, initial = arguments.partition(" ")
        if self.is_odd(2):
            return await self._go_on_and_answer(tag)
        try:
            await self._authenticate(tag, mechanism.upper(), initial)
        except (ValueError, IndexError):
            await self._say(tag, [], "BAD what?")

    async def _go_on_and_answer(self, tag):
        """At once, and perhaps no list; and for what the gateway asks then there is time to come."""
        listed = self.dice.choice(("", "", f"[CAPABILITY {_AFTER}] "))
        await self._put(f"+ {self.dice.choice(('', _CHALLENGE))}\r\n{tag} {self.dice.choice(('OK', 'OK', 'NO', 'BAD'))} {listed}at once.\r\n")
        await self.wire.stall()

    async def _authenticate(self, tag, mechanism, initial):
        if mechanism == "PLAIN":
            answer = initial or await self._ask(tag, "")
            zuser, user, password = base64.b64decode(answer).decode().split("\0")
            await self._decide(tag, user, password, zuser or user)
        elif mechanism == "LOGIN":
            user = base64.b64decode(initial or await self._ask(tag, "VXNlcm5hbWU6")).decode()
            await self._decide(tag, user, base64.b64decode(await self._ask(tag, "UGFzc3dvcmQ6")).decode())
        elif mechanism == "XOAUTH2":
            user, token = re.match(r"user=(\w+)\x01auth=Bearer (.*)\x01\x01", base64.b64decode(initial or await self._ask(tag, "")).decode()).groups()
            if USERS.get(user) != token:
                await self._ask(tag, base64.b64encode(b'{"status":"401"}').decode())
            await self._decide(tag, user, token)
        elif mechanism == "CRAM-MD5":
            user = base64.b64decode(await self._ask(tag, _CHALLENGE)).decode().split()[0]
            await self._decide(tag, user, USERS.get(user, ""))
        elif mechanism == "SCRAM-SHA-256":
            first = base64.b64decode(initial or await self._ask(tag, "")).decode()
            await self._ask(tag, base64.b64encode(b"r=x,s=AAAA,i=4096").decode())
            user = re.search(r"n=(\w+)", first).group(1)
            await self._decide(tag, user, USERS.get(user, ""))
        else:
            await self._say(tag, [], "NO [CANNOT] no.")

    async def _ask(self, tag, challenge):
        await self._put(f"+ {challenge}\r\n")
        answer = (await self._line()).decode("latin-1").rstrip("\r\n")
        if answer == "*":
            raise ValueError
        return answer

    async def _decide(self, tag, user, password, acts_for=None):
        if USERS.get(user) != password:
            return await self._say(tag, [], "NO [AUTHENTICATIONFAILED] no.")
        self.user = acts_for or user
        self.wire.tell(f"is {self.user}'s now")
        listed = f"[CAPABILITY {_AFTER}] " if not self.is_odd() else ""
        return await self._say(tag, [f"OK [ALERT] {mark(self.user)}"] if self.is_odd() else [], f"OK {listed}logged in {mark(self.user)}.")
