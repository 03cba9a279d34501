"""Shows on the terminal what STATE saves: a session that sets itself up and saves its state, the same set-up on another
connection without a token, a restore on a new upstream connection, and one on the connection that was parked after that.
Counts round trips: writes after which the client has to wait for an answer.

    show.py PORT CA-FILE USER PASSWORD LOG-FILE      (the gateway's log, at its debug level)"""
import pathlib
import re
import ssl
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "e2e"))

from harness.imap import Client, quoted  # noqa: E402

HEAD, TAIL = 64, 30  # of a long line; a capability list has STATE at its end
SET_UP = ('ID ("name" "demo")', "ENABLE QRESYNC", "NAMESPACE",
          "NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange)) (PERSONAL (MailboxName SubscriptionChange))")
WORK = ("SELECT INBOX", "FETCH * (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")


class Log:
    """The gateway's log: what a client cannot see is read there."""

    def __init__(self, path):
        self._path = pathlib.Path(path)

    def find_all(self, pattern):
        return re.findall(pattern, self._path.read_text(errors="replace"), re.MULTILINE)

    def wait(self, pattern, count=1):
        """Once the pattern has matched so often, the last match."""
        deadline = time.monotonic() + 10
        while len(found := self.find_all(pattern)) < count:
            if time.monotonic() > deadline:
                raise SystemExit(f"{self._path} has no line with {pattern}")
            time.sleep(0.01)
        return found[-1]


class Session:
    """One connection. Its clock runs from the connect, while it waits for the server."""

    def __init__(self, title, port, context):
        print(f"\n--- {title}")
        began = time.monotonic()
        self._client = Client(port, context)
        self._seconds = time.monotonic() - began
        self._number = self._round_trips = 0
        show("S", self._client.greeting)

    def flight(self, *commands, hidden=()):
        """Sends the commands in one write and waits for all their answers, which it gives. hidden: words not to be shown."""
        tags = []
        for _ in commands:
            self._number += 1
            tags.append(f"A{self._number}")
        octets = b"".join(tag.encode() + b" " + command + b"\r\n" for tag, command in zip(tags, map(as_octets, commands)))
        began = time.monotonic()
        self._client.send(octets)
        answers = [self._client.wait(tag) for tag in tags]
        self._seconds += time.monotonic() - began
        self._round_trips += 1
        for line in octets.splitlines():
            show("C", line, hidden)
        for answer in answers:
            for line in (*answer.untagged, answer.tagged):
                show("S", line)
            if answer.status != b"OK":
                raise SystemExit(f"not expected: {answer!r}")
        return answers

    def end(self, log):
        """Logs out. Gives the round trips before that, their milliseconds, and what the gateway's log says of the session."""
        port = self._client.wire.sock.getsockname()[1]
        self._client.logout()
        self._client.close()
        restored = log.wait(rf"from=127\.0\.0\.1:{port} .* closing: logout \((restored=\w+)")
        return self._round_trips, self._seconds * 1000, restored


def save(port, context, login, secret):
    """Gives the session, which stays, and its token."""
    session = Session("A client without a token sets its session up, step by step, and saves it.", port, context)
    session.flight(login, hidden=[secret])
    session.flight("CAPABILITY")
    session.flight("STATE")
    for command in SET_UP:
        session.flight(command)
    answer = session.flight("SAVESTATE")[0]
    return session, answer.of("SAVESTATE")[0].split()[2]


def set_up_anew(port, context, login, secret):
    session = Session("The next connection without STATE: all of it again.", port, context)
    session.flight(login, hidden=[secret])
    session.flight("CAPABILITY")
    for command in (*SET_UP, *WORK):
        session.flight(command)
    return session


def restore(title, port, context, login, secret, token):
    session = Session(title, port, context)
    session.flight(login, b"STATE " + token, *WORK, hidden=[secret])
    return session


def main(port, ca_file, user, password, log_path):
    log, context = Log(log_path), ssl.create_default_context(cafile=str(ca_file))
    secret = quoted(password)
    login = b"LOGIN " + quoted(user) + b" " + secret
    # The one that saves stays, like a second window: its upstream connection is not to be had for the first restore.
    saving, token = save(port, context, login, secret)
    rows = [("set up anew", *set_up_anew(port, context, login, secret).end(log))]
    rows.append(("restored by STATE, cold", *restore(
        "The next connection with STATE: one write. The gateway logs in upstream and replays the state (cold).",
        port, context, login, secret, token).end(log)))
    log.wait("park: parked, in a state")
    rows.append(("restored by STATE, warm", *restore(
        "Once more. The upstream connection of the session before was parked, and is still in that state (warm).",
        port, context, login, secret, token).end(log)))
    saving.end(log)
    print(f"\n{'from the connect to the mail':32}{'round trips':>12}{'ms':>8}   the gateway's log")
    for name, round_trips, ms, restored in rows:
        print(f"{name:32}{round_trips:12}{ms:8.1f}   {restored}")


def as_octets(command):
    return command.encode() if isinstance(command, str) else command


def show(side, octets, hidden=()):
    for secret in hidden:
        octets = octets.replace(secret, b"********")
    for line in octets.decode("utf-8", "backslashreplace").splitlines():
        print(f"{side}: {line if len(line) <= HEAD + TAIL + 5 else f'{line[:HEAD]} ... {line[-TAIL:]}'}")


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
