"""Thousands of random sessions of several users against a server that fails, restarts and chatters, through several
workers. From the upstream's side: each command's tag tells which session it is of, and the server knows what was ever
done to each connection. So for every command it is known whether its session may be on this connection.

    PARK_SEED=7 PARK_SESSIONS=20000 PARK_SECONDS=600 pytest tests/e2e/test_park_random.py -s
"""
import collections
import contextlib
import os
import random
import re
import socket
import threading
import time

import pytest

from harness import logins
from harness.gateway import upstream
from harness.imap import Client, Closed, quoted
from harness.patience import wait_until

SEED = int(os.environ.get("PARK_SEED") or random.SystemRandom().randrange(1 << 32))
SESSIONS = int(os.environ.get("PARK_SESSIONS", "8000"))
SECONDS = float(os.environ.get("PARK_SECONDS", "20"))
CLIENTS = 6
ENOUGH = 400  # sessions, for what is said of all of them; takes longer than SECONDS where the machine is busy

USERS = {"ann": "secret", "bob": "hunter2", "eve": "pomum", "master": "of all"}
NOTIFY = "NOTIFY SET (personal (MessageNew MessageExpunge))"
STORABLE = ["ENABLE X-ONE", "ENABLE X-TWO", "ENABLE QRESYNC", "ENABLE X-ONE X-TWO", "LANGUAGE DE", "LANGUAGE FR", "COMPARATOR i;octet",
            NOTIFY, "NOTIFY NONE"]
IMPLICIT = ["STATUS INBOX (HIGHESTMODSEQ)", "SELECT INBOX (CONDSTORE)"]
UNKNOWN = ["XYZZY now"]
PLAIN_COMMANDS = ["NOOP", "NAMESPACE", "LIST \"\" *", "CAPABILITY", "SELECT INBOX", "EXAMINE INBOX", "FETCH 1 BODY[]", "UNSELECT",
                  'ID ("name" "random")']
REPEATABLE = {"SELECT", "EXAMINE", "LIST", "STATUS", "NAMESPACE", "ENABLE", "NOTIFY", "ID", "NOOP", "CAPABILITY", "LSUB"}
LAST = ("LANGUAGE", "COMPARATOR", "NOTIFY")


def grown(state, command):
    """The state behind a storable command that succeeded: a tuple of (kind, value)."""
    name, _, rest = command.partition(" ")
    if name == "ENABLE":
        return state + tuple(("ENABLE", each) for each in dict.fromkeys(rest.upper().split()) if ("ENABLE", each) not in state)
    value = rest if name == "NOTIFY" else rest.strip('"').upper()
    return tuple(entry for entry in state if entry[0] != name) + ((name, value),)


class Session:
    """What both sides know of a session: written by its client before it connects, read by the server."""

    def __init__(self, number, user):
        self.number, self.user = number, user
        self.token = None            # (token, state) that it tries
        self.restored = None         # None: not known (yet); True, False: as the client was told
        self.connections = []        # of the upstream, in the order in which its commands came by them
        self.sent = []               # (tag, command), before it goes

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


class World:
    """All sessions, tokens, and what went wrong."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sessions, self.tokens, self.appended, self.errors = {}, {}, set(), []
        self.restored_count = self.reuse_count = self.landed_count = self.told_count = 0

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

    def __init__(self, world):
        self.world = world
        self._number = 0

    def serve(self, c):
        with self.world.lock:
            self._number += 1
            chance = random.Random(f"{SEED} server {self._number}")
        c.state, c.tainted, c.has_condstore, c.silenced, c.owner, c.past = (), "", False, False, None, set()
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
        with self.world.lock:
            if c.closed:
                raise Closed
            if name == "APPEND":
                self.world.appended.add(arguments)
            if c.owner is not session:
                self._land(c, session, tag, name, arguments)

    def _land(self, c, session, tag, name, arguments):
        wrong, command = [], f"{name} {arguments.decode('latin-1')}".rstrip()
        if session in c.past:
            wrong.append("it comes back while another session had the connection")
        if c.user != session.user:
            wrong.append(f"the connection is {c.user}'s")
        if c.tainted:
            wrong.append(f"tainted: {c.tainted}")
        if c.has_condstore and ("ENABLE", "QRESYNC") not in c.state:
            wrong.append("CONDSTORE was switched on")  # where QRESYNC is on, it is too
        if c.silenced and command != NOTIFY:  # which sets it again
            wrong.append("NOTIFY is silenced")
        if c.selected:
            wrong.append("a mailbox is selected")
        allowed = {()} if session.token is None or session.restored is False else \
            {session.token[1]} if session.restored else {(), session.token[1]}
        # Whatever it has not sent to a connection it had set up without one; and a command that is to set something up may find that
        # done already.
        allowed |= {session.told(tag)} if () in allowed else set()
        if name in LAST and command in STORABLE:
            allowed |= {grown(each, command) for each in allowed}
        self.world.told_count += session.told(tag) != () and c.owner is not None and c.state != ()
        if c.state not in allowed:
            wrong.append(f"the connection's state is {c.state}, not of {allowed}")
        for other in session.connections:
            if not other.closed:
                wrong.append("it still has another connection")
        if session.connections and name not in REPEATABLE and any((name, arguments) == each[1:] for other in session.connections
                                                                  for each in other.commands):
            wrong.append("a command runs twice")
        if wrong:
            self.world.errors.append(f"session {session.number} of {session.user} with {name} {arguments!r}: {'; '.join(wrong)};\n"
                                     + "\n".join(c.wire.transcript[-30:]))
        self.world.landed_count += 1
        self.world.reuse_count += c.owner is not None
        session.connections.append(c)
        c.owner = session
        c.past.add(session)

    def _answer(self, c, tag, name, arguments, chance, session):
        is_first = session is not None and not any(each[0].startswith(f"s{session.number}x") for each in c.commands[:-1])
        if session and chance.random() < (0.05 if is_first else 0.004):
            raise Closed  # dies in the middle of it; for a connection that was parked this is the first that anybody sees of it
        if session and name == "ENABLE" and chance.random() < 0.03:
            c.tainted = "an ENABLE that failed"
            return c.send(f"{tag} NO not now.\r\n")
        command = f"{name} {arguments.decode()}".rstrip()
        self._take_effect(c, command, by_gateway=session is None)
        if name == "STATUS":
            return c.send(b"* STATUS " + arguments.split()[0] + f" (MESSAGES 3)\r\n{tag} OK done.\r\n".encode())
        if name == "NOOP" and session:
            # What only those may see who asked for it.
            hints = [f"* VANISHED {session.number}\r\n"] if ("ENABLE", "QRESYNC") in c.state else []
            hints += ["* STATUS notified (MESSAGES 9)\r\n"] if ("NOTIFY", NOTIFY[7:]) in c.state else []
            return c.send("".join(hints) + f"{tag} OK done.\r\n")
        return c.answer(tag, name, arguments)

    @staticmethod
    def _take_effect(c, command, by_gateway):
        name = command.split()[0]
        if command in IMPLICIT:
            c.has_condstore = True
        elif command in UNKNOWN:
            c.tainted = command
        elif by_gateway and name == "NOTIFY" and ("NOTIFY", NOTIFY[7:]) in c.state:
            c.silenced = command == "NOTIFY NONE"
        elif name == "ENABLE" or (name in LAST and " " in command):
            c.state = grown(c.state, command)


class Visitor:
    """The client's side: one session from its number alone, so that a seed gives the same sessions."""

    def __init__(self, world, gateway, number):
        self.world, self.gateway = world, gateway
        self.chance = random.Random(f"{SEED} session {number}")
        self.user = self.chance.choice(("ann", "ann", "bob", "eve"))
        self.session = world.begin(number, self.user)
        self.count = 0
        self.state, self.is_tracking = (), False

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
        if self.chance.random() < 0.5:
            yield self.chance.choice([b"ENABLE QRESYNC", b"enable X-TWO X-ONE", b"ENABLE X-ONE"])
            if self.chance.random() < 0.5:
                yield self.chance.choice(STORABLE).encode()

    def some_command(self):
        kind = self.chance.random()
        if kind < 0.2:
            return self.mark()
        if kind < 0.4:
            return self.chance.choice(STORABLE).encode()
        if kind < 0.46:
            return self.chance.choice(IMPLICIT + UNKNOWN).encode()
        if kind < 0.56:
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
            with self.world.lock:
                self.world.restored_count += 1
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
        if command.startswith(b"STATUS mine") and answer.status == b"OK" and not answer.of("STATUS"):
            self.world.fail(f"session {self.session.number}: an answer without its data: {answer!r}")
        return True

    def after(self, command):
        text = command.decode("latin-1")
        return grown(self.state, text.replace("enable", "ENABLE")) if text in STORABLE or text.startswith("enable") else self.state

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

    def heed(self, line):
        """Nothing that is another session's may be heard."""
        number, enabled = self.session.number, {value for kind, value in self.state if kind == "ENABLE"}
        vanishing = self.session.token is not None or "QRESYNC" in enabled or self.may_have_enabled("QRESYNC")
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
def test_no_session_ever_lands_on_a_connection_that_is_not_in_its_state(scripted, start_gateway):
    print(f"PARK_SEED={SEED}")
    world, done, stop = World(), [], threading.Event()
    scripted.users = dict(USERS)
    scripted.script = Server(world).serve
    gateway = start_gateway(upstream(scripted.port, authorization_identity="pass"), workers=4, log_level="info", max_login_failures=100,
                            park={"per_user": 3, "max": 8, "time": "3s", "lifetime": "6s", "reauth_interval": "4s", "keepalive": "400ms"})
    before = descriptors(gateway)
    deadline = time.monotonic() + SECONDS
    visitors = [threading.Thread(target=visit_all, args=(world, gateway, range(first, SESSIONS, CLIENTS), deadline, done))
                for first in range(CLIENTS)]
    disturbance = threading.Thread(target=disturb, args=(scripted, stop))
    for thread in (*visitors, disturbance):
        thread.start()
    for thread in visitors:
        thread.join()
    stop.set()
    disturbance.join()
    report = f"PARK_SEED={SEED}: {len(done)} sessions, {world.landed_count} landed, {world.reuse_count} on a used connection, " \
             f"{world.restored_count} restored, {world.told_count} told, {len(scripted.sessions)} logins, {len(world.appended)} APPENDs"
    print(report)
    assert not world.errors, f"{report}\n" + "\n\n".join(world.errors[:5])
    assert len(done) > ENOUGH and world.restored_count > 20, report
    # Else nothing was tested: connections are used again, and by tokens too.
    assert world.reuse_count > world.landed_count / 10, report
    assert re.search(r"restored=warm", gateway.log()), report
    assert world.told_count, report
    assert_no_append_went_up_twice(scripted)
    assert_all_is_given_back(gateway, before)
