"""A peer's end of a connection: TLS by memory and compression, so that each flight can be held back, cut, sent twice, or be
followed by what does not belong there."""
import asyncio
import collections
import contextlib
import ssl
import time
import zlib

from .. import net

GARBAGE = [b"\0", b"\r\n", b"x", b"a NOOP\r\n", b"* BYE\r\n", b"\x15\x03\x03\x00\x02\x02\x28", b"\x16\x03\x01\x00\x05hello", b"\xff" * 64]
STALLS_S = [0, 0.001, 0.02, 0.1, 0.1, 0.3, 0.6, 0.98, 1.02, 1.3]


class Gone(Exception):
    """This peer's walk is over: it has closed, or there is nobody to talk to any more."""


class Wire:
    """wildness: how probable a mishap is in one flight. digest(octets) is what hears."""

    def __init__(self, sock, dice, name, digest, wildness):
        self.sock, self.dice, self.name, self._digest, self.wildness = sock, dice, name, digest, wildness
        self.story = collections.deque(maxlen=60)
        self.began = time.monotonic()
        self.tls = self.deflate = self.inflate = None
        self.is_pure = True          # it has sent nothing but what a peer may send
        self.is_over = False         # the other side has ended it
        self.is_closed = False       # we have
        self.is_deaf = False         # what comes cannot be understood any more
        self.handshaking = False
        self._raw, self._held = bytearray(), bytearray()
        self._reading = asyncio.Event()
        self._reading.set()
        self._changed = asyncio.Event()
        self._reader = asyncio.get_running_loop().create_task(self._read())

    def tell(self, what):
        self.story.append(f"{time.monotonic() - self.began:7.3f} {what}")

    # What comes

    async def _read(self):
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._reading.wait()
                octets = await loop.sock_recv(self.sock, 1 << 16)
                if not octets:
                    break
                self._raw += octets
                self._take()
                self._changed.set()
        except OSError:
            pass
        if not self.is_over:
            self.tell("the other side has ended it")
        self.is_over = True
        self._changed.set()

    def _take(self):
        """What has come, as far as it is no handshake's."""
        while self._raw and not self.handshaking:
            octets = bytes(self._raw)
            self._raw.clear()
            if self.tls and not self.is_deaf:
                self._incoming.write(octets)
                octets = self._decrypted()
            if octets and not self.is_deaf:
                self._digest(self._unpacked(octets))

    def unread(self, octets):
        """They were the beginning of a handshake."""
        self.handshaking = True
        self._raw[:0] = octets

    def _decrypted(self):
        plain = b""
        try:
            while octets := self.tls.read(1 << 16):
                plain += octets
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.is_deaf = True
            self.tell(f"TLS: {error}")
        return plain

    def _unpacked(self, octets):
        if not self.inflate:
            return octets
        try:
            return self.inflate.decompress(octets)
        except zlib.error as error:
            self.is_deaf = True
            self.tell(f"compression: {error}")
            return b""

    def compressed_from_here(self, rest):
        """Both directions are packed from now on; rest has come already, and is."""
        self.inflate, self.deflate = zlib.decompressobj(-15), zlib.compressobj(9, zlib.DEFLATED, -15)
        return self._unpacked(rest)

    def end_compression(self):
        self.inflate = self.deflate = None

    async def wait(self, is_so, seconds):
        """Until it is so; false if it does not come to be in time, or cannot any more."""
        deadline = time.monotonic() + seconds
        while not is_so():
            left = deadline - time.monotonic()
            if self.is_over or self.is_deaf or left <= 0:
                return False
            self._changed.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)
        return True

    async def stall(self, seconds=None):
        seconds = self.dice.choice(STALLS_S) if seconds is None else seconds
        self.tell(f"stalls for {seconds} s")
        await asyncio.sleep(seconds)

    async def outlive(self, seconds=6):
        """Until the other side gives it up: what is done then is done after the state has changed."""
        self.tell("waits until the other side has given up")
        await self.wait(lambda: self.is_over, seconds)

    def pause(self, is_paused):
        self.tell("does not read" if is_paused else "reads again")
        if is_paused:
            self._reading.clear()
        else:
            self._reading.set()

    # What goes

    async def send(self, octets, is_pure=True, must=False):
        """must: without a mishap of the wire's own."""
        self.is_pure &= is_pure
        self.tell(f"> {octets[:120]!r}{f'... {len(octets)}' if len(octets) > 120 else ''}")
        if self.deflate:
            octets = self.deflate.compress(octets) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        if self.tls:
            try:
                self.tls.write(octets)
            except ssl.SSLError:
                raise Gone from None
            octets = self._outgoing.read()
        await self._flight(octets, must)

    async def _flight(self, octets, must=False):
        octets = bytes(self._held) + octets
        self._held.clear()
        chance = 1 if must else self.dice.random()
        if chance > self.wildness:
            return await self._put(octets)
        return await self.dice.choice((self._in_pieces, self._in_pieces, self._held_for_the_next, self._late, self._late, self._after_the_end,
                                       self._half, self._twice, self._with_garbage))(octets)

    async def _put(self, octets):
        if self.is_closed:
            raise Gone
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(self.sock, octets), 20)
        except (OSError, asyncio.TimeoutError):
            self.tell("could not send")
            raise Gone from None

    async def _in_pieces(self, octets):
        self.tell("in pieces")
        cuts = sorted(self.dice.randrange(len(octets) + 1) for _ in range(self.dice.randint(1, 4)))
        for begin, end in zip([0, *cuts], [*cuts, len(octets)]):
            await self._put(octets[begin:end])
            await asyncio.sleep(self.dice.choice((0, 0, 0.001, 0.02, 0.2)))

    async def _held_for_the_next(self, octets):
        self.tell("held back, for one segment with the next")
        self._held += octets

    async def _late(self, octets):
        await self.stall()
        await self._put(octets)

    async def _after_the_end(self, octets):
        await self.outlive()
        await self._put(octets)
        await self.stall()

    async def _half(self, octets):
        self.tell("only half of it")
        await self._put(octets[:self.dice.randrange(len(octets) + 1)])
        await self.dice.choice((self.outlive, self.stall))()
        self.close(self.dice)
        raise Gone

    async def _twice(self, octets):
        self.tell("twice")
        self.is_pure = False
        await self._put(octets + octets)

    async def _with_garbage(self, octets):
        self.tell("and garbage")
        self.is_pure = False
        await self._put(octets + self.dice.choice(GARBAGE))

    # TLS

    async def handshake(self, context, server_side=False):
        """False if it does not come about. Each flight, the last one too, may have its mishap."""
        self.tell("begins TLS")
        self.handshaking = True
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._incoming.write(bytes(self._raw))
        self._raw.clear()
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side,
                               server_hostname=None if server_side else "localhost")
        is_done = False
        while not is_done:
            try:
                tls.do_handshake()
                is_done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                return await self._give_up_handshake(str(error))
            if self._outgoing.pending:
                await self._handshake_flight(self._outgoing.read())
            if not is_done and not await self._next_flight():
                return await self._give_up_handshake("no answer")
        self.tell("TLS is up")
        self.tls, self.handshaking = tls, False
        self._digest(self._decrypted())
        self._take()
        return True

    async def _handshake_flight(self, octets):
        """What comes behind its time here is what most states have to do with: so it is likelier than elsewhere."""
        if self.wildness and self.dice.random() < 0.15:
            return await self.dice.choice((self._after_the_end, self._late))(octets)
        return await self._flight(octets)

    async def _next_flight(self):
        if not await self.wait(lambda: self._raw, 8):
            return False
        self._incoming.write(bytes(self._raw))
        self._raw.clear()
        return True

    async def _give_up_handshake(self, why):
        self.tell(f"no TLS: {why}")
        self.is_deaf, self.is_pure, self.handshaking = True, False, False
        if self._outgoing.pending:
            await self._flight(self._outgoing.read())
        return False

    # The end

    def half_close(self):
        self.tell("half closes")
        with contextlib.suppress(OSError):
            self.sock.shutdown(1)

    def close(self, dice=None):
        if self.is_closed:
            return
        self.is_closed = True
        self._reader.cancel()
        if dice and dice.random() < 0.4:
            self.tell("resets")
            net.reset(self.sock)
        else:
            self.tell("closes")
            self.sock.close()
