"""Thousands of random sessions of several users against a server that fails, restarts and chatters, through several
workers. From the upstream's side: each command's tag tells which session it is of, and the server knows what was ever
done to each connection. So for every command it is known whether its session may be on this connection.

    PARK_SEED=7 PARK_SESSIONS=20000 PARK_SECONDS=600 pytest tests/e2e/test_park_random.py -s
"""
import collections
import contextlib
import itertools
import os
import random
import re
import select
import socket
import threading
import time

import pytest

from harness import logins
from harness.gateway import upstream
from harness.imap import Client, Closed, quoted
from harness.patience import PATIENCE_S, wait_until
from harness.scripted import ENABLEABLE

SEED = int(os.environ.get("PARK_SEED") or random.SystemRandom().randrange(1 << 32))
SESSIONS = int(os.environ.get("PARK_SESSIONS", "8000"))
SECONDS = float(os.environ.get("PARK_SECONDS", "20"))
CLIENTS = 6
ENOUGH = 500  # sessions, for what is said of all of them; takes longer than SECONDS where the machine is busy

USERS = {"ann": "secret", "bob": "hunter2", "eve": "pomum", "master": "of all"}
NOTIFY = "NOTIFY SET (personal (MessageNew MessageExpunge))"
STORABLE = ["ENABLE X-ONE", "ENABLE X-TWO", "ENABLE QRESYNC", "ENABLE X-ONE X-TWO", "ENABLE X-TWO X-ONE X-TWO", "ENABLE NONSENSE",
            "LANGUAGE DE", "LANGUAGE FR", "COMPARATOR i;octet", NOTIFY, "NOTIFY NONE"]
# What switches CONDSTORE on, in some servers or in all.
IMPLICIT = ["STATUS INBOX (HIGHESTMODSEQ)", "SELECT INBOX (CONDSTORE)", "EXAMINE INBOX (CONDSTORE)", "FETCH 1 (FLAGS MODSEQ)",
            "FETCH 1 FLAGS (CHANGEDSINCE 1)", "STORE 1 (UNCHANGEDSINCE 9) FLAGS (\\Seen)", "SEARCH MODSEQ 1",
            'LIST "" * RETURN (STATUS (HIGHESTMODSEQ))']
# How many sessions begin, so that one finds what another has left.
POPULAR = [[NOTIFY.encode()], [b"ENABLE QRESYNC", NOTIFY.encode()], [b"SELECT INBOX (CONDSTORE)"], [b"STATUS INBOX (HIGHESTMODSEQ)"],
           [b"NAMESPACE", b"ENABLE X-ONE", b"SELECT INBOX (CONDSTORE)"], [b"LANGUAGE DE", b"NAMESPACE", b"ENABLE X-TWO X-ONE"]]
UNKNOWN = ["XYZZY now"]
PLAIN_COMMANDS = ["NOOP", "NAMESPACE", "LIST \"\" *", "CAPABILITY", "SELECT INBOX", "EXAMINE INBOX", "FETCH 1 BODY[]", "UNSELECT",
                  'ID ("name" "random")']
REPEATABLE = {"SELECT", "EXAMINE", "LIST", "STATUS", "NAMESPACE", "ENABLE", "NOTIFY", "ID", "NOOP", "CAPABILITY", "LSUB", "LANGUAGE",
              "COMPARATOR"}
LAST = ("LANGUAGE", "COMPARATOR", "NOTIFY")
# What is refused now and then: each may be what a connection was taken for that is already where it leads.
REFUSED = LAST + ("SELECT", "EXAMINE", "STATUS")


def grown(state, command):
    """The state behind a storable command that succeeded: a tuple of (kind, value)."""
    name, _, rest = command.partition(" ")
    if name.upper() == "ENABLE":
        return in_order(state + tuple({("ENABLE", each) for each in set(rest.upper().split()) & ENABLEABLE} - set(state)))
    value = rest if name == "NOTIFY" else rest.strip('"').upper()
    return in_order(tuple(entry for entry in state if entry[0] != name) + ((name, value),))


def in_order(state):
    """Of names that are enabled one behind the other the order is nothing."""
    runs = itertools.groupby(state, lambda entry: entry[0])
    return tuple(entry for _, run in runs for entry in sorted(run))


def enabled(state):
    return [value for kind, value in state if kind == "ENABLE"]


def switches_condstore(command, selected, by_all):
    """Does a server do it? by_all: by all commands of RFC 7162 section 3.1, as Dovecot; else by some, as Cyrus."""
    name = command.split()[0]
    if command not in IMPLICIT or (name in ("FETCH", "STORE", "SEARCH") and not selected):
        return False
    return by_all or name not in ("STATUS", "SEARCH", "LIST")


def has_condstore(what):
    """A connection, or a session on one of its own: is CONDSTORE on?"""
    return what.condstore or "QRESYNC" in enabled(what.state)


def has_ended(connection):
    """The gateway ends a connection in the turn in which it takes another in its place; the server may see that first. What was sent
    on it before may still be there to be read."""
    poll = select.poll()
    try:
        poll.register(connection.wire.sock, select.POLLRDHUP)
        return connection.closed or bool(poll.poll(PATIENCE_S * 1000))
    except (OSError, ValueError):
        return True  # it has been closed meanwhile


class Session:
    """What both sides know of a session: written by its client before it connects, read by the server."""

    def __init__(self, number, user):
        self.number, self.user = number, user
        self.token = None            # (token, state) that it tries
        self.restored = None         # None: not known (yet); True, False: as the client was told
        self.connections = []        # of the upstream, in the order in which its commands came by them
        self.sent = []               # (tag, command), before it goes
        # Where it would be on a connection of its own, by what was answered to it; and where it was when the one it has was taken.
        self.state, self.condstore = (), False
        self.landed = None

    def told(self, tag):
        """The state that the ENABLEs before the command with this tag make: none of them has come by here, so all were answered from
        what another session was told."""
        state = ()
        for each, command in self.sent:
            if each == tag:
                break
            if command.upper().startswith("ENABLE"):
                state = grown(state, command.upper())
        return state

    def may_be_in(self, tag, share):
        """The states that it may be in when its first command comes by, with this tag."""
        if self.landed:  # the connection that it had is lost, and with it what that has not answered
            return {self.landed[0]}
        if self.token is None or self.restored is False:
            return {self.told(tag)}
        return {share(self.token[1])} if self.restored else {self.told(tag), share(self.token[1])}


class World:
    """All sessions, tokens, and what went wrong."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sessions, self.tokens, self.appended, self.errors = {}, {}, set(), []
        self.counts = collections.Counter()
        self.gateway_speaks = False  # LANGUAGE is the gateway's

    def share(self, state):
        """The part of a state that the upstream knows."""
        return in_order(entry for entry in state if not self.gateway_speaks or entry[0] != "LANGUAGE")

    def fail(self, what):
        with self.lock:
            self.errors.append(what)

    def begin(self, number, user):
        session = Session(number, user)
        with self.lock:
            self.sessions[number] = session
        return session

    def keep_token(self, user, token, state):
        with self.lock:
            self.tokens.setdefault(user, []).append((token, state))

    def some_token(self, user, chance):
        with self.lock:
            known = self.tokens.get(user, ())
            return chance.choice(known[-20:]) if known else None


class Server:
    """The scripted upstream's side of each connection."""

    def __init__(self, world, by_all):
        self.world, self.by_all = world, by_all
        self._number = 0

    def serve(self, c):
        with self.world.lock:
            self._number += 1
            chance = random.Random(f"{SEED} server {self._number}")
        c.state, c.tainted, c.condstore, c.silenced, c.owner, c.past = (), "", False, False, None, set()
        c.send(f"* OK [CAPABILITY {c.upstream.caps_before}] random.\r\n")
        while True:
            tag, name, arguments = c.command()
            session = self._session(tag)
            if session and name not in ("LOGIN", "AUTHENTICATE"):
                self._check(c, session, tag, name, arguments)
            self._answer(c, tag, name, arguments, chance, session)

    def _session(self, tag):
        match = re.match(r"s(\d+)x", tag)
        return self.world.sessions.get(int(match.group(1))) if match else None

    def _check(self, c, session, tag, name, arguments):
        """The invariant. Whoever breaks it is written down with all that is known. At a time only one connection is looked at:
        while one that has hung up meanwhile is about to be, its session may have come by another one already."""
        command = f"{name} {arguments.decode('latin-1')}".rstrip()
        with self.world.lock:
            if c.closed:
                raise Closed
            if name == "APPEND":
                self.world.appended.add(arguments)
            is_landing = c.owner is not session
            wrong = self._land(c, session, tag, name, arguments, command) if is_landing else []
            wrong += self._compare(c, session, command, is_landing)
            if wrong:
                self.world.errors.append(f"session {session.number} of {session.user} with {command}: {'; '.join(wrong)};\n"
                                         + "\n".join(c.wire.transcript[-30:]))

    def _land(self, c, session, tag, name, arguments, command):
        """The session comes by this connection from now on."""
        wrong, counts = [], self.world.counts
        if session in c.past:
            wrong.append("it comes back while another session had the connection")
        if c.user != session.user:
            wrong.append(f"the connection is {c.user}'s")
        if c.tainted:
            wrong.append(f"tainted: {c.tainted}")
        if c.selected:
            wrong.append("a mailbox is selected")
        for other in session.connections:
            if not has_ended(other):
                wrong.append("it still has another connection")
        if session.connections and name not in REPEATABLE and any((name, arguments) == each[1:] for other in session.connections
                                                                  for each in other.commands):
            wrong.append("a command runs twice")
        allowed = session.may_be_in(tag, self.world.share)
        fitting = [state for state in allowed if c.state == state or self._is_ahead(c, state, command)]
        if not fitting:
            wrong.append(f"the connection's state is {c.state}, not of {allowed}")
        counts["told"] += session.told(tag) != () and c.owner is not None and c.state != ()
        counts["landed"] += 1
        counts["used"] += c.owner is not None
        session.state, session.condstore = (fitting or [c.state])[0], session.landed[1] if session.landed else False
        counts["ahead"] += c.state != session.state
        counts["with CONDSTORE"] += c.condstore and not session.condstore
        counts["moved"] += any(tag == each[0] for other in session.connections for each in other.commands)
        session.landed = session.state, session.condstore
        session.connections.append(c)
        c.owner = session
        c.past.add(session)
        return wrong

    @staticmethod
    def _is_ahead(c, state, command):
        """A connection may be where the command leads that it is taken for."""
        return command.split()[0] in LAST and command in STORABLE and c.state == grown(state, command)

    def _compare(self, c, session, command, is_landing):
        """Is the connection where the session would be on one of its own?"""
        wrong = []
        if c.state != session.state and not (is_landing and self._is_ahead(c, session.state, command)):
            wrong.append(f"the connection is in {c.state}, the session in {session.state}")
        has, should_have = has_condstore(c), has_condstore(session)
        if has != should_have and not (is_landing and switches_condstore(command, False, self.by_all)):
            wrong.append(f"CONDSTORE is {has}, not {should_have}")
        if c.silenced and command != NOTIFY:  # which sets it again
            wrong.append("NOTIFY is silenced")
        return wrong

    def _answer(self, c, tag, name, arguments, chance, session):
        is_first = session is not None and not any(each[0].startswith(f"s{session.number}x") for each in c.commands[:-1])
        if session and chance.random() < (0.05 if is_first else 0.004):
            raise Closed  # dies in the middle of it; for a connection that was parked this is the first that anybody sees of it
        if session and name == "ENABLE" and chance.random() < 0.03:
            c.tainted = "an ENABLE that failed"
            return c.send(f"{tag} NO not now.\r\n")
        command = f"{name} {arguments.decode('latin-1')}".rstrip()
        if session and name in REFUSED and not command.startswith("STATUS mine") and chance.random() < (0.2 if is_first else 0.05):
            if name in ("SELECT", "EXAMINE"):
                c.selected = None
            if c.state != session.state or has_condstore(c) != has_condstore(session):
                c.tainted = "it was ahead of a session that was refused"
            hint = "* STATUS notified (MESSAGES 9)\r\n" if name == "NOTIFY" and chance.random() < 0.3 else ""
            return c.send(f"{hint}{tag} {chance.choice(('NO not now', 'BAD what'))}.\r\n")
        self._take_effect(c, command, session)
        if name == "STATUS":
            return c.send(b"* STATUS " + arguments.split()[0] + f" (MESSAGES 3)\r\n{tag} OK done.\r\n".encode())
        if name == "NAMESPACE":
            return c.send(f'* NAMESPACE (("{c.user}:{",".join(enabled(c.state))}/" "/")) NIL NIL\r\n{tag} OK done.\r\n')
        if name == "NOOP" and session:
            # What only those may see who asked for it.
            hints = [f"* VANISHED {session.number}\r\n"] if ("ENABLE", "QRESYNC") in c.state else []
            hints += ["* STATUS notified (MESSAGES 9)\r\n"] if ("NOTIFY", NOTIFY[7:]) in c.state else []
            hints += ["* 1 FETCH (MODSEQ (7))\r\n"] if c.condstore and c.selected else []
            return c.send("".join(hints) + f"{tag} OK done.\r\n")
        return c.answer(tag, name, arguments)

    def _take_effect(self, c, command, session):
        name = command.split()[0]
        both = [c] + [session] * (session is not None)
        if switches_condstore(command, c.selected, self.by_all):
            for each in both:
                each.condstore = True
        elif command in UNKNOWN:
            c.tainted = command
        elif session is None and name == "NOTIFY" and ("NOTIFY", NOTIFY[7:]) in c.state:
            c.silenced = command == "NOTIFY NONE"
        elif name == "ENABLE" or (name in LAST and " " in command):
            for each in both:
                each.state = grown(each.state, command)
            c.silenced = False


class Visitor:
    """The client's side: one session from its number alone, so that a seed gives the same sessions."""

    def __init__(self, world, gateway, number):
        self.world, self.gateway = world, gateway
        self.chance = random.Random(f"{SEED} session {number}")
        self.user = self.chance.choice(("ann", "ann", "bob", "eve"))
        self.session = world.begin(number, self.user)
        self.count = 0
        self.state, self.is_tracking = (), False
        self.enabled = set()  # by all that was answered to it

    def tag(self):
        self.count += 1
        return f"s{self.session.number}x{self.count}"

    def tagged(self, command):
        tag = self.tag()
        self.session.sent.append((tag, command.decode("latin-1")))
        return tag.encode() + b" " + command + b"\r\n"

    def run(self):
        if self.chance.random() < 0.5:
            self.session.token = self.world.some_token(self.user, self.chance)
        try:
            with Client(self.gateway.plain_port) as client:
                if self.chance.random() < 0.3:
                    self.vanish(client)
                else:
                    self.visit(client)
        except (TimeoutError, socket.timeout):
            self.world.fail(f"session {self.session.number} waits for ever:\n" + "\n".join(client.transcript))
        except (Closed, OSError):
            pass  # the server was restarted meanwhile, or died in a command

    # In one write, cut anywhere

    def vanish(self, client):
        octets = self.login_octets() + b"".join(self.tagged(line) for line in self.lines())
        client.send(octets[:self.chance.randrange(len(octets) + 1)])
        if self.chance.random() < 0.3:
            self.listen(client)

    def login_octets(self):
        return f'{self.tag()} LOGIN "{self.user}" "{USERS[self.user]}"\r\n'.encode()

    def lines(self):
        if self.session.token:
            yield b"STATE " + self.session.token[0].encode()
        else:
            yield from self.set_up()
        for _ in range(self.chance.randrange(1, 8)):
            yield self.some_command()

    def set_up(self):
        """What a client without STATE begins with, mostly in the same way."""
        if self.chance.random() < 0.4:
            yield from self.chance.choice(POPULAR)
            return
        kind = self.chance.random()
        if kind < 0.1:
            yield b"NAMESPACE"
        elif kind < 0.15:
            yield b"LANGUAGE DE"
        if kind < 0.5:
            yield self.chance.choice([b"ENABLE QRESYNC", b"enable X-TWO X-ONE", b"ENABLE X-ONE", b"ENABLE X-ONE X-TWO"])
        if self.chance.random() < 0.5:
            yield self.chance.choice([*STORABLE, NOTIFY, NOTIFY, "NAMESPACE"] + IMPLICIT[:3] * 2).encode()

    def some_command(self):
        kind = self.chance.random()
        if kind < 0.2:
            return self.mark()
        if kind < 0.3:
            return self.chance.choice(STORABLE).encode()
        if kind < 0.36:
            return self.chance.choice(IMPLICIT + UNKNOWN).encode()
        if kind < 0.46:
            body = f"Subject: {self.session.number}/{self.count}\r\n\r\nonce\r\n".encode()
            return b"APPEND INBOX {%d+}\r\n" % len(body) + body
        return self.chance.choice(PLAIN_COMMANDS).encode()

    def mark(self):
        return f"STATUS mine-{self.session.number} (MESSAGES)".encode()

    def listen(self, client):
        """To some of it; there may be less."""
        client.wire.set_timeout(0.05)
        with contextlib.suppress(TimeoutError, socket.timeout):
            for _ in range(self.chance.randrange(1, 10)):
                self.heed(client.response())

    # Command by command

    def visit(self, client):
        if not self.log_in(client):
            return
        if self.session.token and not self.restore(client):
            return
        steps = list(self.set_up()) if not self.session.token else []
        steps += [None] * self.chance.randrange(0, 8)
        for command in steps:
            if not (self.run_command(client, command) if command else self.step(client)):
                return
        if self.is_tracking and self.state and self.chance.random() < 0.7:
            self.save(client)
        if self.chance.random() < 0.6:
            self.command(client, b"LOGOUT")
            client.rest()

    def log_in(self, client):
        way = self.chance.random()
        password = USERS[self.user] if self.chance.random() > 0.03 else "wrong"
        if way < 0.5:
            answer = self.command(client, b"LOGIN " + quoted(self.user) + b" " + quoted(password))
        elif way < 0.75:
            answer = self.command(client, b"AUTHENTICATE PLAIN " + logins.encoded(logins.plain(self.user, password)))
        elif way < 0.9:
            answer = self.command(client, b"AUTHENTICATE PLAIN " + logins.encoded(logins.plain("master", USERS["master"], self.user)))
            password = USERS[self.user]
        else:
            answer = self.by_bearer(client, password)
        if answer and password == "wrong":
            self.world.fail(f"session {self.session.number} logged in with a wrong password")
        return answer

    def by_bearer(self, client, password):
        tag = self.tag()
        client.send(f"{tag} AUTHENTICATE XOAUTH2 ".encode() + logins.encoded(logins.xoauth2(self.user, password)) + b"\r\n")
        response = client.response()
        if response.startswith(b"+"):
            client.send(b"\r\n")
            response = client.response()
        while not response.startswith(tag.encode()):
            self.heed(response)
            response = client.response()
        return b" OK" in response

    def restore(self, client):
        token, state = self.session.token
        # Told before the answer is read: the next command may only be sent after it.
        answer = self.command(client, b"STATE " + token.encode())
        if answer is None:
            return False
        self.session.restored = bool(answer.of("STATE"))
        self.is_tracking = True
        if self.session.restored:
            self.state = state
            self.enabled = set(enabled(state))
            with self.world.lock:
                self.world.counts["restored"] += 1
        return True

    def step(self, client):
        kind = self.chance.random()
        if kind < 0.1 and not self.is_tracking:
            if self.command(client, b"STATE") is None:
                return False
            self.is_tracking = True
            self.state = ()
            return True
        if kind < 0.2:
            return self.idle(client)
        return self.run_command(client, self.some_command())

    def run_command(self, client, command):
        before, self.state = self.state, self.after(command)  # hints that come with the answer count already
        answer = self.command(client, command)
        if answer is None:
            return False
        if not (answer.status == b"OK" and (not self.is_tracking or answer.codes("STATECMD") or self.state == before)):
            self.state = before
        if answer.status == b"OK" and command.upper().startswith(b"ENABLE"):
            self.enabled |= set(enabled(grown((), command.decode())))
        for line in answer.of("NAMESPACE"):
            self.heed_namespace(line)
        if command.startswith(b"STATUS mine") and answer.status == b"OK" and not answer.of("STATUS"):
            self.world.fail(f"session {self.session.number}: an answer without its data: {answer!r}")
        return True

    def after(self, command):
        text = command.decode("latin-1")
        return grown(self.state, text) if text in STORABLE or text.upper().startswith("ENABLE") else self.state

    def idle(self, client):
        tag = self.tag()
        client.send(f"{tag} IDLE\r\n".encode())
        while not (response := client.response()).startswith(b"+"):
            if response.startswith(tag.encode()):
                return False
            self.heed(response)
        if self.chance.random() < 0.3:
            return False  # hang up in the middle of it
        client.send(b"DONE\r\n")
        return self.wait(client, tag) is not None

    def save(self, client):
        answer = self.command(client, b"SAVESTATE")
        if answer and answer.of("SAVESTATE"):
            self.world.keep_token(self.user, answer.of("SAVESTATE")[0].split()[2].decode(), self.state)

    def command(self, client, octets):
        """The answer, or None if the session cannot go on."""
        client.send(self.tagged(octets))
        return self.wait(client, self.session.sent[-1][0])

    def wait(self, client, tag):
        answer = client.wait(tag)
        for line in answer.untagged:
            self.heed(line)
        is_over = answer.of("BYE") or (answer.status == b"NO" and answer.code in (b"UNAVAILABLE", b"AUTHENTICATIONFAILED"))
        return None if is_over else answer

    def heed_namespace(self, line):
        """It is the server's, at this state, whoever has answered."""
        names = re.match(rb'\* NAMESPACE \(\("(\w+):([^/]*)/"', line)
        if not names:
            return  # what comes with an upstream's LANGUAGE
        whose, enabled_then = names.group(1).decode(), set(filter(None, names.group(2).decode().split(",")))
        if whose != self.user or enabled_then != self.enabled:
            self.world.fail(f"session {self.session.number} of {self.user} with {self.enabled} hears {line!r}")

    def heed(self, line):
        """Nothing that is another session's may be heard."""
        number = self.session.number
        vanishing = self.session.token is not None or self.may_have_enabled("QRESYNC")
        if (match := re.match(rb'\* NAMESPACE \(\("(\w+):', line)) and match.group(1).decode() != self.user:
            self.world.fail(f"session {number} of {self.user} hears {line!r}")
        has_condstore = vanishing or any(command in IMPLICIT for _, command in self.session.sent)
        if b"MODSEQ (7)" in line and not has_condstore:
            self.world.fail(f"session {number} hears {line!r} and never asked for CONDSTORE")
        if (match := re.match(rb"\* STATUS mine-(\d+)", line)) and int(match.group(1)) != number:
            self.world.fail(f"session {number} hears an answer of session {match.group(1).decode()}")
        if (match := re.match(rb"\* VANISHED (\d+)", line)) and (int(match.group(1)) != number or not vanishing):
            self.world.fail(f"session {number} hears {line!r} and never asked for QRESYNC")
        if (match := re.match(rb"\* OK \[ALERT\] for (\w+)", line)) and match.group(1).decode() != self.user:
            self.world.fail(f"session {number} of {self.user} hears {line!r}")
        if re.match(rb"s\d+x", line) and not line.startswith(b"s%dx" % number):
            self.world.fail(f"session {number} hears {line!r}")

    def may_have_enabled(self, name):
        """Before tracking a client does not keep book; then any ENABLE of its own may be the reason."""
        return any(command.upper().startswith("ENABLE") and name in command for _, command in self.session.sent)


def disturb(scripted, until):
    """Restarts of the server, and lines that nobody asked for."""
    chance = random.Random(f"{SEED} disturbance")
    while not until.wait(0.02):
        kind = chance.random()
        if kind < 0.02:
            scripted.stop_listening()
            scripted.drop_all()
            until.wait(0.05)
            scripted.listen()
        elif kind < 0.05:
            scripted.drop_all()
        elif kind < 0.5:
            living = [c for c in scripted.sessions if not c.closed]
            if living:
                chatter(chance.choice(living), chance)


def chatter(connection, chance):
    line = chance.choice((f"* OK [ALERT] for {connection.user}: lunch\r\n", "* OK I am bored.\r\n") * 3 + ("* 4 EXISTS\r\n", "* BYE going\r\n"))
    try:
        connection.send(line)
    except OSError:
        pass


def visit_all(world, gateway, numbers, deadline, done):
    for number in numbers:
        if (time.monotonic() > deadline and len(done) > ENOUGH) or world.errors:
            return
        Visitor(world, gateway, number).run()
        done.append(number)


def descriptors(gateway):
    return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))


def assert_all_is_given_back(gateway, before):
    """Once what is parked has waited long enough."""
    wait_until(lambda: descriptors(gateway) <= before, lambda: f"{descriptors(gateway)} descriptors are held, not {before}")


def assert_no_append_went_up_twice(scripted):
    """By what has arrived, whether it was run or lay on a connection that had hung up: the gateway cannot know."""
    seen = collections.Counter(each for c in scripted.connections for each in re.findall(rb"Subject: \d+/\d+\r", c.received))
    assert not [each for each, times in seen.items() if times > 1]


@pytest.mark.timeout(600 + SECONDS * 4)
@pytest.mark.parametrize("by_all, gateway_speaks", [(True, False), (False, True)], ids=["as Dovecot", "as Cyrus, LANGUAGE by the gateway"])
def test_no_session_ever_lands_on_a_connection_that_is_not_in_its_state(scripted, start_gateway, by_all, gateway_speaks):
    print(f"PARK_SEED={SEED}")
    world, done, stop = World(), [], threading.Event()
    world.gateway_speaks = gateway_speaks
    scripted.users = dict(USERS)
    scripted.script = Server(world, by_all).serve
    if gateway_speaks:
        scripted.caps_after = scripted.caps_after.replace(" LANGUAGE", "")
    gateway = start_gateway(upstream(scripted.port, authorization_identity="pass"), workers=4, log_level="info", max_login_failures=100,
                            park={"per_user": 4, "max": 10, "time": "3s", "lifetime": "6s", "reauth_interval": "4s", "keepalive": "400ms"})
    before = descriptors(gateway)
    deadline = time.monotonic() + SECONDS / 2
    visitors = [threading.Thread(target=visit_all, args=(world, gateway, range(first, SESSIONS // 2, CLIENTS), deadline, done))
                for first in range(CLIENTS)]
    disturbance = threading.Thread(target=disturb, args=(scripted, stop))
    for thread in (*visitors, disturbance):
        thread.start()
    for thread in visitors:
        thread.join()
    stop.set()
    disturbance.join()
    counts = world.counts
    report = f"PARK_SEED={SEED}: {len(done)} sessions, {len(scripted.sessions)} logins, {len(world.appended)} APPENDs, " \
             + ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))
    print(report)
    assert not world.errors, f"{report}\n" + "\n\n".join(world.errors[:5])
    assert len(done) > ENOUGH and counts["restored"] > 20, report
    # Else nothing was tested: connections are used again, and by tokens too.
    assert counts["used"] > counts["landed"] / 20, report
    assert re.search(r"restored=warm", gateway.log()), report
    assert counts["told"], report
    if len(done) > 2 * ENOUGH:  # of fewer there may be none
        assert counts["ahead"] and counts["with CONDSTORE"] and counts["moved"], report
    assert_no_append_went_up_twice(scripted)
    assert_all_is_given_back(gateway, before)
