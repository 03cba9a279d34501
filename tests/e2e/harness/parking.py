"""A gateway that parks its connections, and what the upstream's side tells of where sessions landed."""
import re
import socket
import struct

from .patience import PATIENCE_S, let_pass, wait_until

PARKED = "park: parked,"
TAKEN = "park: taken,"
MARK = "STATUS"  # repeatable, changes nothing, and its mailbox's name says which session it was


class Lot:
    """A gateway with parking on, in front of a scripted upstream."""

    def __init__(self, gateway, scripted):
        self.gateway, self.scripted = gateway, scripted
        self._marks = 0

    @property
    def logins(self):
        """How many logins have succeeded upstream."""
        return len(self.scripted.sessions)

    def mark(self, client):
        """One command of the client's that the upstream can tell from all others; gives the connection that it came by."""
        self._marks += 1
        name = f"mark-{self._marks}"
        client.ok(f"{MARK} {name} (MESSAGES)")
        return self.marked(name)

    def marked(self, name):
        landed = [c for c in self.scripted.connections if f"{name} (MESSAGES)".encode() in c.arguments(MARK)]
        assert len(landed) == 1, f"{name} came by {len(landed)} connections"
        return landed[0]

    def leave(self, client, connection=None, *, hang_up=False):
        """The session ends by LOGOUT, or by an end of file; returns once its upstream connection is parked (True) or closed
        (False)."""
        since = self.gateway.log_octets()
        connection = connection or self.scripted.sessions[-1]
        if not hang_up:
            client.logout()
        client.close()
        return self.settled(connection, since)

    def settled(self, connection, since):
        def is_parked():
            return PARKED in self.gateway.log(since)

        wait_until(lambda: is_parked() or connection.closed, lambda: f"neither parked nor closed:\n{self.gateway.log(since)[-4000:]}")
        return is_parked()

    def visit(self, *commands, user="ann", password="secret", hang_up=False):
        """A session that runs these commands and leaves; gives the connection that it was on, which is parked now."""
        client = self.gateway.session(user, password)
        for command in commands:
            client.ok(command)
        connection = self.mark(client)
        assert self.leave(client, connection, hang_up=hang_up), "not parked"
        return connection

    def land(self, user="ann", password="secret"):
        """A new session's connection; the session stays. Gives (client, connection)."""
        client = self.gateway.session(user, password)
        return client, self.mark(client)

    def wait_kept_alive(self, times):
        """Until the only connection there is has shown so many signs of life and is parked again: it serves nobody until its
        NOOP is answered."""
        self.gateway.wait_log(rf"(?s)(?:{PARKED}.*?){{{times + 1}}}")

    def keep_alive_no_more(self):
        keep_alive_no_more(self.gateway)

    def wait_closed(self, connection, seconds=PATIENCE_S):
        self.scripted.wait_for(lambda: connection.closed, seconds)


def mine(connection):
    """What clients had it run: without the login and what the gateway sends of its own accord."""
    return [(name, arguments) for tag, name, arguments in list(connection.commands) if not tag.startswith("imapstate")]


def chores(connection):
    """What the gateway sent of its own accord since the login, as ["UNSELECT", "NOTIFY NONE", ...]."""
    commands = list(connection.commands)
    login = next(number for number, command in enumerate(commands) if command[1] in ("LOGIN", "AUTHENTICATE"))
    return [f"{name} {arguments.decode()}".rstrip() for tag, name, arguments in commands[login + 1:] if tag.startswith("imapstate")]


def keep_alive_no_more(gateway):
    """To be called behind a sign of life: from here on none keeps a connection from serving the next session. The next one would
    be a second later; if the machine has let that go by, it is given the time to end."""
    since = gateway.log_octets()
    gateway.write_config(park=gateway.settings["park"] | {"keepalive": "10m"})
    gateway.reload()
    gateway.wait_log("reloaded:", since)
    let_pass(0.2)


def vanish(client):
    """The client's end at once: whatever is in flight, it will not be there to hear it."""
    client.wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def log_out(gateway, client):
    """The session ends; gives what the log says of it: restored "no", "cold" or "warm"."""
    port = client.wire.sock.getsockname()[1]
    client.logout()
    return gateway.wait_log(rf"from=127\.0\.0\.1:{port} .*closing: .*\(restored=(\w+)").group(1)


def leave(gateway, client):
    """The same; the connection is parked then."""
    since = gateway.log_octets()
    how = log_out(gateway, client)
    gateway.wait_log(PARKED, since)
    return how


def wait_at_rest(gateway):
    """Until no session has a connection to the upstream, and none of those that they have left is still about to be parked."""
    def is_at_rest():
        log = gateway.log()
        return log.count("-> ATTACHED") + log.count(TAKEN) == log.count("ATTACHED -> ") and \
            log.count("-> SETTLING") == log.count("SETTLING -> ")

    wait_until(is_at_rest, "sessions do not end")


def logins_at_the_server(gateway):
    """By the gateway's log."""
    return gateway.log().count("READY -> LOGGING_IN")


def assert_logins(dovecot, user, count):
    """So many logins of the user has Dovecot seen, and no more. Its log may lag behind."""
    def seen():
        return len(re.findall(rf"(?:Login|Logged in): user=<{re.escape(user)}>", dovecot.log()))

    wait_until(lambda: seen() >= count, lambda: f"{seen()} logins of {user}, not {count}")
    assert seen() == count, f"{seen()} logins of {user}, not {count}"
