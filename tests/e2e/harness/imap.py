"""A raw IMAP client: it sends exactly the octets that it is told to and shows exactly what comes back."""
import os
import re
import select
import socket
import ssl
import threading
import time
import zlib

from . import net
from .patience import PATIENCE_S

CRLF = b"\r\n"
_LITERAL_AT_END = re.compile(rb"~?\{(\d+)\+?\}\r?\n\Z")
# Human text that happens to end in {12} announces no literal (the gateway's framing has the same rule).
_HUMAN_TEXT = re.compile(rb"(\+|\S+ (OK|NO|BAD|BYE|PREAUTH))[ \r]", re.IGNORECASE)


class Closed(Exception):
    """The other side has closed the connection."""


class Wire:
    """Buffered octets from a socket, and a transcript of both directions. Used by the client and by the scripted server."""

    def __init__(self, sock, transcript, names, timeout=PATIENCE_S):
        self.sock = sock
        self.transcript = transcript
        self._sent_as, self._received_as = names
        self.received = bytearray()  # everything that ever arrived
        self._at = 0                 # how much of it has been read
        self._pack = self._unpack = None
        self.packed_in = 0           # octets that arrived since compress()
        self._tls = threading.Lock()  # OpenSSL's object of a connection is for one thread at a time, and tests send from theirs
        self.set_timeout(timeout)
        _set_no_delay(sock)

    def set_timeout(self, seconds):
        self.timeout = seconds
        self.sock.settimeout(seconds)

    def send(self, octets):
        octets = octets.encode() if isinstance(octets, str) else bytes(octets)
        self.transcript.append(f"{self._sent_as}: {_shown(octets)}")
        with self._tls:
            self.sock.sendall(self.packed(octets))

    def packed(self, octets):
        """As they go on the wire; flushed, if they are compressed."""
        return self._pack.compress(octets) + self._pack.flush(zlib.Z_SYNC_FLUSH) if self._pack else octets

    def compress(self, level=6):
        """RFC 4978, from here on in both directions. What arrived and was not read is compressed already."""
        self.transcript.append("-- DEFLATE")
        self._pack, self._unpack = zlib.compressobj(level, zlib.DEFLATED, -15), zlib.decompressobj(-15)
        behind = self.left()
        del self.received[self._at:]
        self.packed_in = len(behind)
        self.received += self._unpack.decompress(behind)

    def end_compression(self):
        """What arrives and is sent from here on is in clear again."""
        assert not self.left()
        self.transcript.append("-- no DEFLATE")
        self._pack = self._unpack = None

    def fill(self):
        try:
            more = self._receive() if isinstance(self.sock, ssl.SSLSocket) else self.sock.recv(1 << 18)
        except (ConnectionResetError, ssl.SSLEOFError, BrokenPipeError):
            more = b""
        except (TimeoutError, socket.timeout):
            self.transcript.append("-- nothing more came in time")
            raise
        if not more:
            self.transcript.append(f"{self._received_as}: (closed)")
            raise Closed(f"closed, with {bytes(self.received[self._at:])!r} not read")
        if self._unpack:
            self.packed_in += len(more)
            more = self._unpack.decompress(more)
            assert not self._unpack.eof, "the compressed data ends"
        self.received += more

    def _receive(self):
        """Under TLS: waits without holding the lock."""
        deadline = time.monotonic() + self.timeout
        while True:
            with self._tls:
                self.sock.settimeout(0)
                try:
                    return self.sock.recv(1 << 18)
                except (ssl.SSLWantReadError, BlockingIOError):
                    pass
                finally:
                    self.sock.settimeout(self.timeout)
            if self.sock.fileno() < 0:
                raise Closed("closed by ourselves")
            waiting = select.poll()
            waiting.register(self.sock, select.POLLIN)
            if not waiting.poll(max(0, deadline - time.monotonic()) * 1000):
                raise TimeoutError("timed out")

    def line(self):
        """Up to and including the next LF."""
        searched = self._at
        while (end := self.received.find(b"\n", searched)) < 0:
            searched = len(self.received)
            self.fill()
        return self._take(end + 1 - self._at)

    def octets(self, count):
        while len(self.received) - self._at < count:
            self.fill()
        return self._take(count)

    def exactly(self, count):
        """So many octets, and none that follows is read: it may be a TLS handshake."""
        assert not self.left()
        octets = bytearray()
        while len(octets) < count:
            more = self.sock.recv(count - len(octets))
            if not more:
                raise Closed("closed within what was expected")
            octets += more
        self.received += octets
        return self._take(count)

    def peek(self):
        """What the kernel holds and nobody has read. Only for a socket without TLS."""
        is_readable = select.select([self.sock], [], [], 0)[0]  # recv() itself would wait for the socket's timeout
        return self.sock.recv(1 << 18, socket.MSG_PEEK) if is_readable else b""

    def left(self):
        """What has arrived and was not read."""
        return bytes(self.received[self._at:])

    def wrap(self, context, **arguments):
        """TLS from here on. What arrived in clear and was not read would be an injection; none may be there."""
        assert not self.left(), f"octets in clear before the TLS handshake: {self.left()!r}"
        self.transcript.append("-- TLS")
        self.sock = context.wrap_socket(self.sock, **arguments)

    def reset(self):
        net.reset(self.sock)

    def close(self):
        self.sock.close()

    def _take(self, count):
        taken = bytes(self.received[self._at:self._at + count])
        self._at += count
        self.transcript.append(f"{self._received_as}: {_shown(taken)}")
        return taken


class Answer:
    """What a command was answered: all untagged responses since the last answer, and the tagged one."""

    def __init__(self, untagged, tagged):
        self.untagged = untagged
        self.tagged = tagged
        _, self.status, *rest = tagged.rstrip(CRLF).split(b" ", 2)
        self.text = rest[0] if rest else b""

    @property
    def code(self):
        """The response code of the tagged answer without its brackets, or b""."""
        match = re.match(rb"\[([^\]]*)\]", self.text)
        return match.group(1) if match else b""

    def of(self, *names):
        """The untagged responses with one of these names: answer.of("ENABLED"), answer.of("OK"), answer.of("EXISTS")."""
        return [line for line in self.untagged if _names(line) & {name.upper().encode() for name in names}]

    def codes(self, name):
        """The untagged OK (or NO, BAD, BYE) responses that carry this response code."""
        return [line for line in self.untagged if re.match(rb"\* \w+ \[" + name.encode() + rb"[ \]]", line, re.I)]

    def __repr__(self):
        return f"<{b''.join(self.untagged)[:2000]!r} {self.tagged!r}>"


class Client:
    """Connects at once and reads the greeting, unless told not to. target: a port of 127.0.0.1, a (host, port), or the path of
    a unix socket. tls: a client context for implicit TLS. first: octets to send before anything else (PROXY header).
    source: the address to come from.

    Everything waits for at most `timeout` seconds, then raises TimeoutError."""

    def __init__(self, target, tls=None, *, greet=True, timeout=PATIENCE_S, first=b"", server_hostname="localhost", source=""):
        self.transcript = []
        self._server_hostname = server_hostname
        self.wire = Wire(_connect(target, timeout, source), self.transcript, ("C", "S"), timeout)
        self._number = 0
        self._untagged = []
        if first:
            self.send(first)
        if tls:
            self.wire.wrap(tls, server_hostname=server_hostname)
        self.greeting = self.response() if greet else None

    def send(self, octets):
        self.wire.send(octets)

    def send_bytewise(self, octets):
        for octet in octets:
            self.wire.sock.sendall(bytes([octet]))
        self.transcript.append(f"C: (octet by octet) {_shown(octets)}")

    def response(self):
        """One whole response, its literals included."""
        response = line = self.wire.line()
        while not _HUMAN_TEXT.match(response) and (match := _LITERAL_AT_END.search(line)):
            literal = self.wire.octets(int(match.group(1)))
            line = self.wire.line()
            response += literal + line
        return response

    def next_tag(self):
        self._number += 1
        return f"a{self._number}"

    def start(self, command, tag=None):
        """Sends a command, does not wait; gives the tag. command is without tag and line end; text or octets."""
        tag = tag or self.next_tag()
        octets = command.encode() if isinstance(command, str) else command
        self.send(tag.encode() + b" " + octets + CRLF)
        return tag

    def wait(self, tag):
        """Reads until the tagged answer of this tag. A tagged answer of another tag, and "+", count as untagged."""
        untagged = []
        while True:
            response = self.response()
            if response.startswith(tag.encode() + b" "):
                return Answer(untagged, response)
            untagged.append(response)

    def command(self, command, tag=None):
        return self.wait(self.start(command, tag))

    def ok(self, command, tag=None):
        return self._answered(b"OK", command, tag)

    def no(self, command, tag=None):
        return self._answered(b"NO", command, tag)

    def bad(self, command, tag=None):
        return self._answered(b"BAD", command, tag)

    def append(self, mailbox, octets):
        """By a synchronizing literal, which every server takes; must succeed."""
        tag = self.start(b"APPEND " + quoted(mailbox) + b" {%d}" % len(octets))
        self.continuation()
        self.send(octets + CRLF)
        answer = self.wait(tag)
        assert answer.status == b"OK", answer
        return answer

    def continuation(self):
        """Reads the next response, which must be a "+"; gives its text."""
        response = self.response()
        assert response.startswith(b"+"), f"expected +, got {response!r}"
        return response[1:].strip()

    def login(self, user, password):
        """By LOGIN with quoted strings; must succeed."""
        return self.ok(b"LOGIN " + quoted(user) + b" " + quoted(password))

    def starttls(self, context):
        self.ok("STARTTLS")
        self.wire.wrap(context, server_hostname=self._server_hostname)

    def compress(self, **how):
        """By COMPRESS, which leaves the numbers of the other tags alone; must succeed."""
        answer = self.ok("COMPRESS DEFLATE", tag="compress")
        self.wire.compress(**how)
        return answer

    def expect_silence(self, seconds=0.2):
        """Nothing may arrive for a while. Costs that while; use sparingly."""
        assert not self.wire.left()
        timeout = self.wire.timeout
        self.wire.set_timeout(seconds)
        try:
            line = self.wire.line()
        except (TimeoutError, socket.timeout):
            return
        finally:
            self.wire.set_timeout(timeout)
        raise AssertionError(f"expected silence, got {line!r}")

    def rest(self):
        """Reads until the server closes; gives all whole responses."""
        responses = []
        try:
            while True:
                responses.append(self.response())
        except Closed:
            assert not self.wire.left(), f"closed inside a response: {self.wire.left()!r}"
            return responses

    def logout(self):
        answer = self.ok("LOGOUT")
        assert self.rest() == []
        return answer

    def close(self):
        self.wire.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def exhibit(self):
        return "client", "\n".join(self.transcript)

    def _answered(self, status, command, tag):
        answer = self.command(command, tag)
        assert answer.status == status, f"{command!r}: expected {status.decode()}, got {answer!r}"
        return answer


def quoted(text):
    """An IMAP quoted string (RFC 9051 section 9)."""
    octets = text.encode() if isinstance(text, str) else text
    return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def literal(octets, plus=True):
    """{n+} or {n}, CRLF, the octets."""
    octets = octets.encode() if isinstance(octets, str) else octets
    return b"{%d%s}\r\n" % (len(octets), b"+" if plus else b"") + octets


def capabilities(response):
    """The names of a CAPABILITY list, be it untagged or a response code; None if the response has none."""
    match = re.match(rb"\* CAPABILITY ([^\r\n]*)", response, re.I) or \
        re.match(rb"\S+ \w+ \[CAPABILITY ([^\]]*)\]", response, re.I)
    return match.group(1).split() if match else None


def _connect(target, timeout, source):
    if isinstance(target, (str, os.PathLike)):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(str(target))
        return sock
    return socket.create_connection(("127.0.0.1", target) if isinstance(target, int) else target, timeout, (source, 0))


def _set_no_delay(sock):
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _names(untagged):
    """The words that may name an untagged response: "* OK ..." has OK, "* 3 EXISTS" has EXISTS."""
    words = untagged.split(None, 3)
    return {word.upper() for word in words[1:3 if words[1:2] and words[1].isdigit() else 2]}


def _shown(octets):
    text = octets.decode("utf-8", "backslashreplace").replace("\r\n", "\u21b5\n   ").rstrip()
    return text if len(text) <= 2000 else f"{text[:1500]} ... {text[-200:]} ({len(octets)} octets)"
