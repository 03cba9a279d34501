"""A local Maildir that a program keeps the same as a mailbox, and as its user changes it."""
import pathlib

from harness.mailboxes import without

from .client import Seen, as_imap, subject_of


class Maildir:
    def __init__(self, path, own_headers=()):
        self.path = pathlib.Path(path)
        self._own_headers = own_headers

    def paths(self):
        """The files by their messages' subjects."""
        found = [path for part in ("new", "cur") if (self.path / part).exists() for path in (self.path / part).iterdir()]
        return {subject_of(path.read_bytes()): path for path in found}

    def body(self, subject):
        """As IMAP has it, without the headers that the program adds for itself."""
        return without(self._own_headers, as_imap(self.paths()[subject].read_bytes()))

    def flag(self, subject):
        path = self.paths()[subject]
        name, _, flags = path.name.partition(":2,")
        path.rename(self.path / "cur" / f"{name}:2,{''.join(sorted({*flags, 'F'}))}")

    def delete(self, subject):
        self.paths()[subject].unlink()

    def add(self, octets):
        for part in ("tmp", "new", "cur"):
            (self.path / part).mkdir(parents=True, exist_ok=True)
        (self.path / "new" / f"1000000000.{subject_of(octets)}.host").write_bytes(octets.replace(b"\r\n", b"\n"))


def work_locally(folder, number, message, own_headers=()):
    """What a user does in a folder of Maildirs, between a synchronization and the next."""
    inbox = Maildir(folder / "INBOX", own_headers)
    seen = Seen({path.name for path in folder.iterdir()}, {f"read-{number}": inbox.body(f"read-{number}")})
    inbox.flag(f"flag-{number}")
    inbox.delete(f"delete-{number}")
    Maildir(folder / "Drafts").add(message)
    return seen
