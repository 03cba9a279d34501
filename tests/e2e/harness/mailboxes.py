"""What a user's mailboxes hold, as the server itself tells."""
import dataclasses
import re

from .imap import Client

_FETCHED = re.compile(rb"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\) BODY\[\] (?:\{\d+\}\r\n|)")


@dataclasses.dataclass(frozen=True)
class Message:
    uid: int
    flags: frozenset  # without \Recent, which says who looked first
    octets: bytes

    @property
    def subject(self):
        return re.search(rb"(?m)^Subject: (.*?)\r$", self.octets).group(1).decode()


@dataclasses.dataclass(frozen=True)
class Mailbox:
    is_subscribed: bool
    messages: tuple

    def by_subject(self):
        return {message.subject: message for message in self.messages}


def mailboxes_of(port, user, password, without_headers=()):
    """All of them by name. without_headers: left out of the messages, as each message has its own."""
    with Client(port) as client:
        client.login(user, password)
        names = [_listed(line) for line in client.ok('LIST "" *').of("LIST")]
        subscribed = {_listed(line) for line in client.ok('LSUB "" *').of("LSUB")}
        found = {name: Mailbox(name in subscribed, tuple(_messages(client, name, without_headers))) for name in names}
        client.logout()
    return found


def without(headers, octets):
    """The message without these headers, by name."""
    if not headers:
        return octets
    head, blank, text = octets.partition(b"\r\n\r\n")
    dropped = rb"(?mi)^(?:%s): .*\r\n(?:[ \t].*\r\n)*" % "|".join(headers).encode()
    return re.sub(dropped, b"", head + b"\r\n") + blank.removeprefix(b"\r\n") + text


def _messages(client, mailbox, without_headers):
    client.ok(f"EXAMINE {mailbox}")
    for line in client.ok("UID FETCH 1:* (UID FLAGS BODY.PEEK[])").of("FETCH"):
        match = _FETCHED.match(line)
        octets = without(without_headers, line[match.end():].removesuffix(b")\r\n"))
        yield Message(int(match.group(1)), frozenset(match.group(2).decode().split()) - {r"\Recent"}, octets)


def _listed(line):
    return re.search(rb' "?([^" ]+)"?\r\n\Z', line).group(1).decode()
