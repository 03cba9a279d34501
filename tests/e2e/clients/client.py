"""What every client has in common: where it goes, what it is to do there, and what it saw."""
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess

from harness.patience import PATIENCE_S, wait_until

# The parts of the work, each done with a message of that name: "read-1" in the first visit, "read-2" in the second.
LIST = "list"      # which mailboxes there are
READ = "read"      # one message, all of it
APPEND = "append"  # a new one into Drafts
FLAG = "flag"      # \Flagged
DELETE = "delete"  # gone from the INBOX, for good
IDLE = "idle"      # one that arrives meanwhile is noticed by IDLE, and not asked for again and again
ALL = (LIST, READ, APPEND, FLAG, DELETE, IDLE)

MAILBOXES = {"INBOX", "Archive", "Drafts"}


@dataclasses.dataclass(frozen=True)
class Place:
    """A server on this machine, by the name "localhost", and an account there."""

    port: int
    ca_file: str
    user: str
    password: str
    host: str = "localhost"
    starttls: bool = False  # else implicit TLS
    mechanism: str = ""     # the SASL mechanism to use, or "LOGIN command"; "" is the client's own choice


@dataclasses.dataclass
class Seen:
    """What the client's user got to see."""

    mailboxes: set = dataclasses.field(default_factory=set)
    bodies: dict = dataclasses.field(default_factory=dict)   # octets as IMAP has them, by subject
    arrived: list = dataclasses.field(default_factory=list)  # subjects that IDLE told of
    local: set = None                                        # subjects in its copy of the INBOX, if it keeps one


class Client:
    """A row of the table in __init__.py. An object of it is one installation: a folder with its settings and its cache, and
    the place that it works with. visit() may be called again and again, with rising numbers."""

    name = ""
    programs = ()      # what must be installed; lacks() may know of more
    parts = ()         # what of the work it can do
    logins = ()        # ways to log in, as (starttls, mechanism), that it can be told to use; the first is its own choice
    own_headers = ()   # which it writes anew into each message that it appends
    upstream_logins = 0  # in a visit that finds a parked connection: how many it costs all the same, and
    why_upstream = ""    # why so
    sets_up = False      # it enables something, with or without STATE
    as_is = None         # of a row with STATE: the row of the client that it makes of

    def __init__(self, folder, place):
        self.folder, self.place = pathlib.Path(folder), place
        self.folder.mkdir(parents=True)
        self.prepare()

    @classmethod
    def lacks(cls):
        """What is missing on this machine, or None."""
        missing = [program for program in cls.programs if not shutil.which(program)]
        return f"{', '.join(missing)} not installed" if missing else None

    @classmethod
    def lacks_mechanism(cls, mechanism):
        """Why it cannot do one of its mechanisms on this machine, or None."""
        return None

    @classmethod
    def version(cls):
        """As the program itself says it."""
        raise NotImplementedError

    def prepare(self):
        """Writes what the client reads."""

    def visit(self, number, message, deliver):
        """Does its parts of the work. message: the octets to append, with the subject "append-NUMBER". deliver(): lets the
        message "idle-NUMBER" arrive, to be called while the client is in IDLE; None: no IDLE. Gives what was Seen."""
        raise NotImplementedError

    def write(self, name, text, mode=0o600):
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def settings(self, template, **more):
        """The template with the place, the folder and more filled in."""
        return template.format(folder=self.folder, **dataclasses.asdict(self.place), **more)

    def run(self, *words, good=(0,), stdin=b""):
        """A program, which must end with a good status; gives its output. Its home is the folder: nothing of this account is read."""
        done = subprocess.run([str(word) for word in words], input=stdin, capture_output=True, timeout=PATIENCE_S, check=False,
                              env=self.environment(), cwd=self.folder)
        assert done.returncode in good, \
            f"{words} ended with {done.returncode}: {done.stdout[-3000:].decode()} {done.stderr[-3000:].decode()}"
        return done.stdout

    def environment(self):
        return os.environ | {"HOME": str(self.folder), "LC_ALL": "C.UTF-8", "TERM": "linux"}


def version_in(words, pattern):
    """What a program says of itself, to whichever stream."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    return re.search(pattern, done.stdout + done.stderr).group(1)


def subject_of(octets):
    return re.search(rb"^Subject: (.*?)\r?$", octets, re.MULTILINE).group(1).decode()


def as_imap(octets):
    """A message of a local file, with the line ends that IMAP has."""
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def wait_for_file(path, pattern, process):
    """Until what the running process writes there has the pattern."""
    def explain():
        return f"not in {path}: {pattern}\n{path.read_text(errors='replace')[-3000:]}"

    def is_there():
        has_ended = process.poll() is not None  # asked first: what it wrote last is in the file then
        is_found = re.search(pattern, path.read_bytes())
        assert is_found or not has_ended, explain()
        return is_found

    wait_until(is_there, explain)
