"""Shows on the terminal what STATE saves: a session that sets itself up and saves its state, the same set-up on a second
connection without a token, and the restore. Counts round trips: writes after which the client has to wait for an answer.

    show.py PORT CA-FILE USER PASSWORD"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "e2e"))

from harness.imap import Client, quoted  # noqa: E402
import ssl  # noqa: E402

WIDTH = 100
SET_UP = ('ID ("name" "demo")', "ENABLE QRESYNC", "NAMESPACE",
          "NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange)) (PERSONAL (MailboxName SubscriptionChange))")
WORK = ("SELECT INBOX", "FETCH * (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")


class Session:
    """One connection; its clock runs from the connect."""

    def __init__(self, title, port, context):
        print(f"\n--- {title}")
        self._started = time.monotonic()
        self._client = Client(port, context)
        self.round_trips = 0
        self.seconds = 0.0
        self._number = 0
        show("S", self._client.greeting)

    def flight(self, *commands, hidden=()):
        """Sends the commands in one write and waits for all their answers, which it gives. hidden: words not to be shown."""
        tags = []
        for _ in commands:
            self._number += 1
            tags.append(f"A{self._number}")
        octets = b"".join(tag.encode() + b" " + command + b"\r\n" for tag, command in zip(tags, map(as_octets, commands)))
        self._client.send(octets)
        for line in octets.splitlines():
            show("C", line, hidden)
        answers = [self._client.wait(tag) for tag in tags]
        self.round_trips += 1
        self.seconds = time.monotonic() - self._started
        for answer in answers:
            for line in (*answer.untagged, answer.tagged):
                show("S", line)
            if answer.status != b"OK":
                raise SystemExit(f"not expected: {answer!r}")
        return answers

    def end(self):
        self._client.logout()
        self._client.close()
        return self.round_trips, self.seconds * 1000


def save(port, context, login, secret):
    session = Session("A client without a token sets its session up, step by step, and saves it.", port, context)
    session.flight(login, hidden=[secret])
    session.flight("CAPABILITY")
    session.flight("STATE")
    for command in SET_UP:
        session.flight(command)
    answer = session.flight("SAVESTATE")[0]
    session.end()
    return answer.of("SAVESTATE")[0].split()[2]


def set_up_anew(port, context, login, secret):
    session = Session("The next page without STATE: all of it again.", port, context)
    session.flight(login, hidden=[secret])
    session.flight("CAPABILITY")
    for command in (*SET_UP, *WORK):
        session.flight(command)
    return session.end()


def restore(port, context, login, secret, token):
    session = Session("The next page with STATE: one flight.", port, context)
    session.flight(login, b"STATE " + token, *WORK, hidden=[secret])
    return session.end()


def main(port, ca_file, user, password):
    context = ssl.create_default_context(cafile=str(ca_file))
    secret = quoted(password)
    login = b"LOGIN " + quoted(user) + b" " + secret
    token = save(port, context, login, secret)
    rows = [("set up anew", *set_up_anew(port, context, login, secret)),
            ("restored by STATE", *restore(port, context, login, secret, token))]
    print(f"\n{'from the connect to the mail':32}{'round trips':>12}{'ms':>8}")
    for name, round_trips, ms in rows:
        print(f"{name:32}{round_trips:12}{ms:8.1f}")


def as_octets(command):
    return command.encode() if isinstance(command, str) else command


def show(side, octets, hidden=()):
    for secret in hidden:
        octets = octets.replace(secret, b"********")
    for line in octets.decode("utf-8", "backslashreplace").splitlines():
        print(f"{side}: {line if len(line) <= WIDTH else line[:WIDTH - 3] + '...'}")


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
