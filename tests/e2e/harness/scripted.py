"""A scripted upstream: a small IMAP server of which a test can change every habit, and that keeps every octet it got.

    upstream = Scripted(caps_after="IMAP4rev1 ENABLE LANGUAGE", enable="cyrus")
    upstream.on("NOTIFY", "* STATUS INBOX (MESSAGES 3)", "{tag} OK done")    # these lines, from now on
    upstream.on("NOTIFY", "NO not today", times=1)                           # a status is for the tagged answer; once
    upstream.on("ENABLE", CLOSE)                                             # hang up instead of answering
    upstream.on("ENABLE", lambda c, tag, arguments: ...)                     # or any function; c is the Connection
    upstream.script = lambda c: ...                                          # or the whole connection by hand

    upstream.sessions[0].names      # of the first connection that logged in: ["LOGIN", "ENABLE", ...]
    upstream.sessions[0].received   # its octets
"""
import base64
import binascii
import ctypes
import hashlib
import hmac
import re
import select
import socket
import struct
import threading
import time

from . import net
from .imap import CRLF, Closed, Wire
from .patience import PATIENCE_S, wait_until

CLOSE = object()
SO_ATTACH_FILTER = 26  # socket(7)

BEFORE = "IMAP4rev1 SASL-IR LITERAL+ ID ENABLE IDLE AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=CRAM-MD5"
AFTER = "IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE CONDSTORE QRESYNC UTF8=ACCEPT UNSELECT NOTIFY LANGUAGE I18NLEVEL=2"
ENABLEABLE = {"CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "X-ONE", "X-TWO"}
LANGUAGES = {
    "EN": b'* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Public Folders/" "/"))\r\n',
    "DE": b'* NAMESPACE (("" "/")) (("Other Users/" "/" "TRANSLATION" ("Andere Ben&APw-tzer/")))'
          b' (("Public Folders/" "/" "TRANSLATION" ("Gemeinsame Postf&AOQ-cher/")))\r\n',
    "FR": b'* NAMESPACE (("" "/")) NIL NIL\r\n',
}
DONE_IN = {"DE": "Sprachwechsel durch LANGUAGE-Befehl ausgefuehrt"}
COMPARATORS = ("i;basic", "i;octet", "i;ascii-casemap", "i;unicode-casemap")


def _with_condstore(names):
    return names + ["CONDSTORE"] if "QRESYNC" in names and "CONDSTORE" not in names else names


def _upper(names):
    return [name.upper() for name in names]


# How servers answer ENABLE. accepted: as the client wrote them; new: of these, the ones that were off; on: all that
# are on afterwards. None: no ENABLED line.
ENABLE_HABITS = {
    "dovecot": lambda accepted, new, on: _upper(accepted) or None,
    "stalwart": lambda accepted, new, on: accepted or None,
    "wildduck": lambda accepted, new, on: accepted,
    "mox": lambda accepted, new, on: _with_condstore(_upper(accepted)),
    "cyrus": lambda accepted, new, on: _with_condstore(_upper(new)),
    "courier": lambda accepted, new, on: sorted(on),
    "lower": lambda accepted, new, on: [name.lower() for name in accepted],
}


# Overrides: what may happen to an upstream in the middle of a replay.


def vanish(connection, tag, arguments):
    """It is gone, until listen()."""
    connection.upstream.stop_listening()
    connection.hang_up()


def change_password(connection, tag, arguments):
    """It refuses the command, and all who come with ann's old password."""
    connection.upstream.users = {"ann": "changed"}
    connection.send(f"{tag} NO not today\r\n")


def serve_state(server, announced):
    """A scripted server that has STATE by itself, to be met by a client without a gateway. Every token restores. announced: the
    storable commands and what each is answered; those alone are announced."""
    def state(connection, tag, arguments):
        connection.send((f"* STATE {arguments.decode()}\r\n" if arguments else "") + f"{tag} OK done\r\n")

    server.on("STATE", state)
    server.on("SAVESTATE", "* SAVESTATE a-token", "OK done")
    for name, answer in announced.items():
        server.on(name, answer, "* OK [STATECMD {tag}] will be saved", "OK done")


class Scripted:
    """Listens on `port` of 127.0.0.1 from the constructor to stop(), which raises what went wrong in its threads.

    greeting       octets or text, without line end; "{caps}" stands for the list before login. BYE closes.
    caps_before    the list before login, caps_after: behind it
    caps_login     where the list is that comes with a login: "code", "untagged", "none"
    users          name: password; for LOGIN and SASL PLAIN (any authorization identity), LOGIN, CRAM-MD5; for
                   XOAUTH2 and OAUTHBEARER the password is the access token
    enable         one of ENABLE_HABITS; enableable: the names that ENABLE accepts
    tls            None, "implicit", "starttls"; context: ssl.SSLContext of the server
    proxy          a PROXY protocol version 2 header comes first; see Connection.proxied
    refuses_literals   "{n}" gets NO instead of "+"; or what this function of (connection, line) says in its place
    """

    def __init__(self, *, greeting="* OK [CAPABILITY {caps}] scripted.", caps_before=BEFORE, caps_after=AFTER,
                 caps_login="code", users=None, enable="dovecot", enableable=ENABLEABLE, tls=None, context=None,
                 proxy=False, refuses_literals=False, listen=True):
        self.greeting, self.caps_before, self.caps_after, self.caps_login = greeting, caps_before, caps_after, caps_login
        self.users = users or {"ann": "secret", "bob": "hunter2", "master": "of all"}
        self.enable, self.enableable = enable, enableable
        self.tls, self.context, self.proxy, self.refuses_literals = tls, context, proxy, refuses_literals
        self.script = None
        self.connections = []
        self.errors = []
        self._overrides = []
        self._lock = threading.Lock()
        self._threads = []
        self._listener = None
        self.port = net.free_port()
        if listen:
            self.listen()

    def listen(self):
        self._listener = socket.create_server((net.LOOPBACK, self.port))
        self._start(self._accept, self._listener)

    def stop_listening(self):
        """New connections are refused from here on; the old ones go on. listen() ends it."""
        listener, self._listener = self._listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
            listener.close()

    def stop(self):
        self.stop_listening()
        self.drop_all()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        assert not self.errors, "the scripted upstream: " + "; ".join(self.errors)

    def drop_all(self):
        """Hangs up on everybody."""
        for connection in list(self.connections):
            connection.hang_up()

    def on(self, name, *answer, times=None):
        """From now on (or so many times) a command is answered so. The latest matching override wins."""
        with self._lock:
            self._overrides.append([name.upper(), answer, times])

    def take_override(self, name):
        with self._lock:
            for override in reversed(self._overrides):
                if override[0] == name and override[2] != 0:
                    if override[2] is not None:
                        override[2] -= 1
                    return override[1]
        return None

    @property
    def sessions(self):
        """The connections on which a login succeeded, in the order of their logins."""
        return sorted((c for c in list(self.connections) if c.logged_in_at), key=lambda c: c.logged_in_at)

    def wait_for(self, what, seconds=PATIENCE_S):
        """Until what() is true of this upstream, which other threads move on; gives its value."""
        return wait_until(what, lambda: f"the scripted upstream never came to it; {self.exhibit()[1]}", seconds=seconds,
                          every_s=0.002)

    def exhibit(self):
        return "scripted upstream", "\n".join(
            f"-- connection {number}\n" + "\n".join(c.wire.transcript) for number, c in enumerate(self.connections))

    def _start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            connection = Connection(self, sock)
            self.connections.append(connection)
            self._start(connection.serve)


class Connection:
    """One connection to the scripted upstream, served by a thread of its own. The do_ methods are the default server."""

    def __init__(self, upstream, sock):
        self.upstream = upstream
        self.wire = Wire(sock, [], ("S", "C"), timeout=60.0)
        self.commands = []  # (tag, name, arguments): text, octets, octets; as read, literals included
        self.user = None
        self.logged_in_at = 0
        self.enabled = set()
        self.selected = False
        self.closed = False
        self._end = threading.Lock()  # a command is read either before the connection hangs up, or never
        self.proxied = b""  # the whole PROXY header, if one was asked for

    @property
    def names(self):
        return [name for _, name, _ in list(self.commands)]

    @property
    def received(self):
        return bytes(self.wire.received)

    def arguments(self, name):
        """Of all commands with this name."""
        return [arguments for _, each, arguments in list(self.commands) if each == name]

    # What a script or an override may use

    def send(self, octets):
        self.wire.send(octets)

    def ok(self, tag, text="done."):
        self.send(f"{tag} OK {text}\r\n")

    def command(self):
        """Reads one command with its literals, saying "+" where one is asked for. Gives (tag, name, arguments)."""
        octets = line = self.wire.line()
        while match := re.search(rb"\{(\d+)(\+?)\}\r?\n\Z", line):
            if not match.group(2):
                refuses = self.upstream.refuses_literals
                if callable(refuses):
                    refuses(self, octets)
                    return self.command()
                if refuses:
                    self.send(octets.split(b" ")[0] + b" NO no literals here.\r\n")
                    return self.command()
                self.send(b"+ go ahead\r\n")
            line = self.wire.octets(int(match.group(1)))
            octets += line
            line = self.wire.line()
            octets += line
        tag, _, rest = octets.rstrip(CRLF).partition(b" ")
        name, _, arguments = rest.partition(b" ")
        if name.upper() == b"UID":
            second, _, arguments = arguments.partition(b" ")
            name += b" " + second
        command = (tag.decode("latin-1"), name.decode("latin-1").upper(), arguments)
        with self._end:
            if self.closed:
                raise Closed("it lay in the buffer of a connection that has hung up; no server would run it any more")
            self.commands.append(command)
        return command

    def answer(self, tag, name, arguments):
        """As an override has it, else as the default server does."""
        override = self.upstream.take_override(name)
        if override is None:
            return self.default(tag, name, arguments)
        if override[0] is CLOSE:
            raise Closed
        if callable(override[0]):
            return override[0](self, tag, arguments)
        lines = [line.encode() if isinstance(line, str) else line for line in override]
        octets = b"".join((tag.encode() + b" " if line.startswith((b"OK", b"NO", b"BAD")) else b"")
                          + line.replace(b"{tag}", tag.encode()) + CRLF for line in lines)
        return self.send(octets)

    def default(self, tag, name, arguments):
        method = getattr(self, "do_" + name.replace(" ", "_"), None)
        if method is None:
            return self.send(f"{tag} BAD unknown command {name}\r\n")
        return method(tag, arguments)

    def go_deaf(self):
        """From here on what the gateway sends is dropped before TCP sees it, as by a firewall that has forgotten the connection:
        it is not acknowledged, and nothing is said of it."""
        drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF_RET | BPF_K: 0 octets of each are kept
        program = struct.pack("HxxxxxxP", 1, ctypes.addressof(drop_all))
        self.wire.sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def hang_up(self):
        """Whatever has arrived by now and was not read is never run, as if the server's process had died."""
        with self._end:
            self.closed = True
        try:
            self.wire.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def log_in(self, tag, user):
        self.user, self.logged_in_at = user, time.monotonic()
        caps = self.upstream.caps_after
        if self.upstream.caps_login == "untagged":
            self.send(f"* CAPABILITY {caps}\r\n{tag} OK welcome.\r\n")
        elif self.upstream.caps_login == "code":
            self.ok(tag, f"[CAPABILITY {caps}] welcome.")
        else:
            self.ok(tag, "welcome.")

    # The default server

    def serve(self):
        try:
            self._begin()
            if self.upstream.script:
                self.upstream.script(self)
            else:
                self.serve_as_usual()
        except (Closed, TimeoutError, OSError):
            pass
        except Exception as error:  # pylint: disable=broad-except
            self.upstream.errors.append(repr(error))
        finally:
            self.closed = True
            self.wire.close()

    def _begin(self):
        if self.upstream.proxy:
            head = self.wire.exactly(16)
            self.proxied = head + self.wire.exactly(int.from_bytes(head[14:16], "big"))
        if self.upstream.tls == "implicit":
            self.wire.wrap(self.upstream.context, server_side=True)

    def serve_as_usual(self):
        """Greets, and answers until the end; for a script that is to go on without one."""
        if self.upstream.greeting:
            self._greet()
        while not self.closed:
            self.answer(*self.command())

    def _greet(self):
        greeting = self.upstream.greeting
        if isinstance(greeting, str):
            greeting = greeting.replace("{caps}", self.upstream.caps_before).encode()
        self.send(greeting + CRLF)
        if greeting.upper().startswith(b"* BYE"):
            raise Closed

    def do_CAPABILITY(self, tag, arguments):
        caps = self.upstream.caps_after if self.logged_in_at else self.upstream.caps_before
        self.send(f"* CAPABILITY {caps}\r\n{tag} OK done.\r\n")

    def do_ID(self, tag, arguments):
        self.send(f'* ID ("name" "foo2" "version" "2.0")\r\n{tag} OK ID command completed.\r\n')

    def do_NOOP(self, tag, arguments):
        self.ok(tag)

    def do_LOGOUT(self, tag, arguments):
        self.send(f"* BYE see you.\r\n{tag} OK done.\r\n")
        raise Closed

    def do_STARTTLS(self, tag, arguments):
        self.ok(tag, "begin TLS.")
        self.wire.wrap(self.upstream.context, server_side=True)

    def do_LOGIN(self, tag, arguments):
        if self.logged_in_at:
            return self.send(f"{tag} BAD you are logged in.\r\n")
        self._expect_nothing_behind("LOGIN")
        user, rest = _astring(arguments)
        password, rest = _astring(rest.lstrip(b" "))
        return self._decide(tag, user, password)

    def do_AUTHENTICATE(self, tag, arguments):
        if self.logged_in_at:
            return self.send(f"{tag} BAD you are logged in.\r\n")
        self._expect_nothing_behind("AUTHENTICATE")
        mechanism, _, initial = arguments.decode().partition(" ")
        method = getattr(self, "_sasl_" + mechanism.upper().replace("-", "_"), None)
        if method is None:
            return self.send(f"{tag} NO [CANNOT] no such mechanism.\r\n")
        try:
            return method(tag, None if not initial else b"" if initial == "=" else base64.b64decode(initial, validate=True))
        except binascii.Error:
            return self.send(f"{tag} BAD that is no base64.\r\n")

    def challenge(self, octets):
        """Sends a SASL challenge and gives the client's response, both decoded; None if it cancels."""
        self.send(b"+ " + base64.b64encode(octets) + CRLF)
        line = self.wire.line().rstrip(CRLF)
        return None if line == b"*" else base64.b64decode(line)

    def _sasl_PLAIN(self, tag, initial):
        response = self.challenge(b"") if initial is None else initial
        if response is None:
            return self.send(f"{tag} BAD cancelled.\r\n")
        authorization, user, password = response.split(b"\0")
        return self._decide(tag, user, password, authorization or user)

    def _sasl_LOGIN(self, tag, initial):
        user = self.challenge(b"Username:") if initial is None else initial
        self._decide(tag, user, self.challenge(b"Password:"))

    def _sasl_CRAM_MD5(self, tag, initial):
        challenge = b"<%d@scripted>" % time.monotonic_ns()
        response = self.challenge(challenge)
        if response is None:
            return self.send(f"{tag} BAD cancelled.\r\n")
        user, _, digest = response.rpartition(b" ")
        password = self.upstream.users.get(user.decode(), "").encode()
        right = hmac.new(password, challenge, hashlib.md5).hexdigest().encode() == digest
        return self._decide(tag, user, password if right else b"\0")

    def _sasl_XOAUTH2(self, tag, initial):
        self._bearer(tag, self.challenge(b"") if initial is None else initial, rb"user=([^\x01]*)\x01auth=Bearer ([^\x01]*)")

    def _sasl_OAUTHBEARER(self, tag, initial):
        self._bearer(tag, self.challenge(b"") if initial is None else initial,
                     rb"n,(?:a=([^,]*))?,\x01(?:.*\x01)?auth=Bearer ([^\x01]*)")

    def _bearer(self, tag, response, form):
        match = re.match(form, response)
        user = (match.group(1) or b"").decode()
        token = match.group(2).decode()
        owner = user or next((name for name, each in self.upstream.users.items() if each == token), "")
        if self.upstream.users.get(owner) == token:
            return self.log_in(tag, owner)
        self.challenge(b'{"status":"401"}')
        return self.send(f"{tag} NO [AUTHENTICATIONFAILED] no.\r\n")

    def _decide(self, tag, user, password, authorization=None):
        if self.upstream.users.get(user.decode()) == password.decode():
            self.log_in(tag, (authorization or user).decode())
        else:
            self.send(f"{tag} NO [AUTHENTICATIONFAILED] no.\r\n")

    def _expect_nothing_behind(self, name):
        # Cyrus and Courier drop what is pipelined behind a login; so nobody may send it.
        if self.wire.left() or select.select((self.wire.sock,), (), (), 0.005)[0] and not self._has_ended():
            self.upstream.errors.append(f"octets arrived behind {name} before its answer")

    def _has_ended(self):
        try:
            return self.upstream.tls is None and self.wire.sock.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def do_UNAUTHENTICATE(self, tag, arguments):
        if "UNAUTHENTICATE" not in self.upstream.caps_after.split():
            return self.send(f"{tag} BAD unknown command.\r\n")
        self.user, self.logged_in_at, self.enabled = None, 0, set()
        return self.ok(tag)

    def do_ENABLE(self, tag, arguments):
        accepted = [name for name in arguments.decode().split() if name.upper() in self.upstream.enableable]
        new = [name for name in accepted if name.upper() not in self.enabled]
        self.enabled.update(_upper(accepted))
        listed = ENABLE_HABITS[self.upstream.enable](accepted, new, self.enabled)
        line = "" if listed is None else " ".join(["* ENABLED", *listed]) + "\r\n"
        self.send(f"{line}{tag} OK Enable command completed.\r\n")

    def do_LANGUAGE(self, tag, arguments):
        wanted = [_astring(word)[0].decode().upper() for word in arguments.split()]
        if not wanted:
            return self.send(f"* LANGUAGE ({' '.join(LANGUAGES)})\r\n{tag} OK done.\r\n")
        chosen = next((name for name in wanted if name in LANGUAGES), None)
        if not chosen:
            return self.send(f"{tag} NO no such language.\r\n")
        return self.send(f"* LANGUAGE ({chosen})\r\n".encode() + LANGUAGES[chosen]
                         + f"{tag} OK {DONE_IN.get(chosen, 'done.')}\r\n".encode())

    def do_COMPARATOR(self, tag, arguments):
        wanted = [_astring(word)[0].decode() for word in arguments.split()]
        if not wanted:
            return self.send(f'* COMPARATOR "i;unicode-casemap" ("i;basic" "i;octet")\r\n{tag} OK done.\r\n')
        chosen = next((name for want in wanted for name in COMPARATORS if re.fullmatch(want.replace("*", ".*"), name)), None)
        if not chosen:
            return self.send(f"{tag} NO [BADCOMPARATOR] no such comparator.\r\n")
        return self.send(f'* COMPARATOR "{chosen}"\r\n{tag} OK done.\r\n')

    def do_NOTIFY(self, tag, arguments):
        self.ok(tag, "NOTIFY completed.")

    def do_NAMESPACE(self, tag, arguments):
        self.send(LANGUAGES["EN"] + f"{tag} OK done.\r\n".encode())

    def do_SELECT(self, tag, arguments):
        self.selected = True
        self.send("* FLAGS (\\Seen \\Deleted)\r\n* 3 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 7] stays.\r\n"
                  f"{tag} OK [READ-WRITE] selected.\r\n")

    def do_EXAMINE(self, tag, arguments):
        if b"no-such-mailbox" not in arguments:
            self.do_SELECT(tag, arguments)
            return
        self.selected = False
        self.send(f"{tag} NO no such mailbox.\r\n")

    def do_CHECK(self, tag, arguments):
        self.send(f"{tag} {'OK done' if self.selected else 'NO no mailbox is selected'}.\r\n")

    def do_CLOSE(self, tag, arguments):
        self.selected = False
        self.ok(tag)

    do_UNSELECT = do_CLOSE

    def do_FETCH(self, tag, arguments):
        self.send(f"* 1 FETCH (FLAGS (\\Seen) BODY[] {{12}}\r\nHello world!)\r\n{tag} OK done.\r\n")

    do_UID_FETCH = do_FETCH

    def do_LIST(self, tag, arguments):
        self.send(f'* LIST () "/" INBOX\r\n{tag} OK done.\r\n')

    do_LSUB = do_LIST

    def do_STATUS(self, tag, arguments):
        self.send(f"* STATUS INBOX (MESSAGES 3)\r\n{tag} OK done.\r\n")

    def do_SEARCH(self, tag, arguments):
        self.send(f"* SEARCH 1 2\r\n{tag} OK done.\r\n")

    do_UID_SEARCH = do_SEARCH

    def do_STORE(self, tag, arguments):
        self.ok(tag)

    do_UID_STORE = do_APPEND = do_CREATE = do_SUBSCRIBE = do_EXPUNGE = do_STORE

    def do_IDLE(self, tag, arguments):
        self.send(b"+ idling\r\n")
        assert self.wire.line().rstrip(CRLF).upper() == b"DONE"
        self.ok(tag)


def _astring(octets):
    """Takes an atom, quoted string or literal off the front; gives (value, rest)."""
    if octets.startswith(b'"'):
        match = re.match(rb'"((?:[^"\\]|\\.)*)"', octets, re.S)
        return re.sub(rb"\\(.)", rb"\1", match.group(1), flags=re.S), octets[match.end():]
    if match := re.match(rb"\{(\d+)\+?\}\r\n", octets):
        end = match.end() + int(match.group(1))
        return octets[match.end():end], octets[end:]
    value, space, rest = octets.partition(b" ")
    return value, space + rest
