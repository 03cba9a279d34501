"""What the tests need of a real IMAP server, whichever it is."""
import pathlib
import re

from . import net
from .imap import Client, capabilities
from .patience import PATIENCE_S, wait_until

# Passwords that have to survive every way in which credentials travel: atom, quoted string, literal, SASL.
USERS = {
    "ann": "secret",
    "bob": "hunter2",
    "space": "two words ",
    "quote": 'a"b',
    "backslash": "a\\b\\\\c",
    "brace": "{5}",
    "brace-plus": "x {3+}",
    "paren": "(a) %*]",
    "percent": "%a*b]",
    "list": "a(b)c",
    "curly": "a{b}",
    "utf8": "pässwörd€",
    "colon": "a:b:c",
    "ann+tag@example.org": "plus",
    "Ünï": "name",
}
NEW_USER_PASSWORD = "secret"


class Server:
    """These ports are open from the constructor to stop(): plain_port, starttls_port, tls_port. Whoever derives from it says:

    name              what people call it
    setup             a storable command that it takes
    personal_prefix   what the names of a user's own mailboxes begin with
    """

    name = None
    setup = "ENABLE QRESYNC"
    personal_prefix = ""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.users = dict(USERS)
        self.plain_port, self.starttls_port, self.tls_port = net.free_port(), net.free_port(), net.free_port()
        self._handed_out = 0
        self._capabilities = None

    def stop(self):
        raise NotImplementedError

    def log(self):
        raise NotImplementedError

    def wait_log(self, pattern, seconds=PATIENCE_S):
        """Until the log has the regular expression: a login's line comes after the answer to it. Gives the match."""
        return wait_until(lambda: re.search(pattern, self.log()), f"not in {self.name}'s log in time: {pattern}", seconds=seconds)

    def new_user(self):
        """A user whose mailboxes no other test touches; gives the name. The password is NEW_USER_PASSWORD."""
        self._handed_out += 1
        return f"user{self._handed_out}"

    def mailbox(self, name):
        """The name as this server wants it, such as INBOX.Work."""
        return name if name.upper() == "INBOX" else self.personal_prefix + name

    def add_message(self, user, octets=None, mailbox="INBOX", name=None):
        """Adds a message, by default a small one. Gives its octets as IMAP shows them. name: of the file, where that counts."""
        octets = octets if octets is not None else message()
        with self.client(user) as client:
            client.append(self.mailbox(mailbox), octets)
            client.logout()
        return octets

    def client(self, user):
        """A client to the server itself that has logged in."""
        client = Client(self.plain_port)
        client.login(user, self.users.get(user, NEW_USER_PASSWORD))
        return client

    def lacks(self, *names):
        """The first of these capabilities that the server does not have after login, or None. "A|B": one of them will do."""
        if self._capabilities is None:
            with self.client("ann") as client:
                self._capabilities = {each.decode().upper() for each in capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])}
        return next((name for name in names if not set(name.split("|")) & self._capabilities), None)


def message(subject="Hello", body_octets=100):
    """A message with about body_octets of text, in lines."""
    line = b"The quick brown fox jumps over the lazy dog, again and again.\r\n"
    head = f"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: {subject}\r\n" \
           f"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject}.{body_octets}@example.org>\r\n\r\n"
    return head.encode() + line * max(1, body_octets // len(line))
