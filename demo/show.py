"""Shows on the terminal what STATE does: the two examples of the draft; then what it saves: a session that sets itself up and
saves its state, the same set-up on another connection without a token, a restore on a new upstream connection (cold), and one
on the connection that was parked after that (warm). Then it does all of that again some times without a word, as one time says little on a busy machine, and
shows round trips (writes after which the client has to wait for an answer) and the median of the times.

    show.py PORT CA-FILE USER PASSWORD LOG-FILE      (the gateway's log, at its debug level)"""
import itertools
import pathlib
import re
import ssl
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "e2e"))

from harness.imap import Client, quoted  # noqa: E402

HEAD, TAIL = 64, 30  # of a long line; a capability list has STATE at its end
EXAMPLE = ("CAPABILITY", "STATE", 'ID ("name" "foo" "version" "1.0")', "ENABLE QRESYNC", "LANGUAGE DE")
WORK = ("SELECT INBOX", "FETCH * (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")


def set_ups():
    """Each is another state, as NOTIFY is stored as it was sent: what earlier rounds have parked is of no use to a later one."""
    for events in itertools.permutations(("MessageNew", "MessageExpunge", "FlagChange")):
        for names in itertools.permutations(("MailboxName", "SubscriptionChange")):
            yield ('ID ("name" "demo")', "ENABLE QRESYNC", "NAMESPACE",
                   f"NOTIFY SET (SELECTED ({' '.join(events)})) (PERSONAL ({' '.join(names)}))")


class Log:
    """The gateway's log: what a client cannot see is read there."""

    def __init__(self, path):
        self._path = pathlib.Path(path)

    def wait(self, pattern, count=1):
        """Once the pattern has matched so often, the last match."""
        deadline = time.monotonic() + 10
        while len(found := re.findall(pattern, self._path.read_text(errors="replace"))) < count:
            if time.monotonic() > deadline:
                raise SystemExit(f"{self._path} lacks a line with {pattern}")
            time.sleep(0.01)
        return found[-1]


class Session:
    """One connection, shown if it has a title. Its clock runs from the connect, while it waits for the server."""

    def __init__(self, demo, title):
        self._demo = demo
        self._is_shown = title is not None
        if self._is_shown:
            print(f"\n--- {title}")
        began = time.monotonic()
        self._client = Client(demo.port, demo.context)
        self._seconds = time.monotonic() - began
        self._number = self._round_trips = 0
        self._show("S", self._client.greeting)

    def flight(self, *commands):
        """Sends the commands in one write and waits for all their answers, which it gives."""
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
        self._show("C", octets)
        for answer in answers:
            self._show("S", b"".join((*answer.untagged, answer.tagged)))
            if answer.status != b"OK":
                raise SystemExit(f"not expected: {answer!r}")
        return answers

    def end(self):
        """Logs out. Gives the round trips before that, their milliseconds, and what the gateway's log says of the session."""
        port = self._client.wire.sock.getsockname()[1]
        self._client.logout()
        self._client.close()
        restored = self._demo.log.wait(rf"from=127\.0\.0\.1:{port} .* closing: logout \((restored=\w+)")
        return self._round_trips, self._seconds * 1000, restored

    def _show(self, side, octets):
        if not self._is_shown:
            return
        for line in octets.replace(*self._demo.hidden).decode("utf-8", "backslashreplace").splitlines():
            print(f"{side}: {line if len(line) <= HEAD + TAIL + 5 else shortened(line)}")


def shortened(line):
    """Cut in the middle; namespaces, as the draft has them, one class a line."""
    if not line.startswith("* NAMESPACE"):
        return f"{line[:HEAD]} ... {line[-TAIL:]}"
    name, personal, *others = line.split(" ((")
    return "\n        ((".join((f"{name} (({personal}", *others))


class Demo:
    def __init__(self, port, ca_file, user, password, log_path):
        self.port, self.log = port, Log(log_path)
        self.context = ssl.create_default_context(cafile=str(ca_file))
        self._login = b"LOGIN " + quoted(user) + b" " + quoted(password)
        self.hidden = self._login, b"LOGIN " + quoted(user) + b" ********"
        self._parked = 0

    def round(self, set_up, *titles):
        """Gives (round trips, ms, the log's word) of each kind. titles: of the four sessions, None for those not shown."""
        # The first two stay, like other windows: their upstream connections are not to be had for the cold restore.
        saving = Session(self, titles[0])
        token = self._save(saving, ("CAPABILITY", "STATE", *set_up))
        setting_up = self._set_up_anew(Session(self, titles[1]), set_up)
        cold = self._restore(Session(self, titles[2]), token)
        self._wait_until_parked()
        anew = setting_up.end()
        self._wait_until_parked()
        warm = self._restore(Session(self, titles[3]), token)
        self._wait_until_parked()
        saving.end()
        self._wait_until_parked()
        return anew, cold, warm

    def examples(self, *titles):
        session = Session(self, titles[0])
        token = self._save(session, EXAMPLE)
        session.end()
        self._wait_until_parked()
        session = Session(self, titles[1])
        session.flight(self._login)
        session.flight(b"STATE " + token)
        session.end()
        self._wait_until_parked()

    def _save(self, session, commands):
        for command in (self._login, *commands):
            session.flight(command)
        return session.flight("SAVESTATE")[0].of("SAVESTATE")[0].split()[2]

    def _set_up_anew(self, session, set_up):
        for command in (self._login, "CAPABILITY", *set_up, *WORK):
            session.flight(command)
        return session

    def _restore(self, session, token):
        session.flight(self._login, b"STATE " + token, *WORK)
        return session.end()

    def _wait_until_parked(self):
        self._parked += 1
        self.log.wait("park: parked, in a state", self._parked)


def main(*arguments):
    demo = Demo(*arguments)
    demo.examples("Example 1 of the draft: a client checks for STATE, sets itself up, and gets a token.",
                  "Example 2 of the draft: the client connects again later.")
    first, *others = set_ups()
    rounds = [demo.round(first, "A client without a token sets up its session, step by step, and saves it.",
                         "The next connection without STATE: the whole setup again.",
                         "The next connection with STATE: one write. The gateway logs in upstream and replays (cold).",
                         "Once more. The last upstream connection was parked, and is still in that state (warm).")]
    rounds += [demo.round(set_up, None, None, None, None) for set_up in others]
    print(f"\n{f'from connect to mail, {len(rounds)} times':36}{'round trips':>12}{'median ms':>11}   the gateway's log")
    for name, results in zip(("set up again", "restored by STATE, cold", "restored by STATE, warm"), zip(*rounds)):
        round_trips, times, words = zip(*results)
        print(f"{name:36}{max(round_trips):12}{statistics.median(times):11.1f}   {' '.join(sorted(set(words)))}")


def as_octets(command):
    return command.encode() if isinstance(command, str) else command


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
