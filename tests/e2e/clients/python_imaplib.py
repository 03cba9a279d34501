"""imaplib, of Python's standard library."""
import importlib
import imaplib
import platform
import re
import ssl
import sys

from harness.modules import CLIENTS as MODULES
from harness.patience import PATIENCE_S

from .client import APPEND, DELETE, FLAG, LIST, READ, Client, Seen

_SOURCE = MODULES / "python" / "src"


class Imaplib(Client):
    name = "imaplib"
    parts = (LIST, READ, APPEND, FLAG, DELETE)
    logins = tuple((starttls, mechanism) for starttls in (False, True) for mechanism in ("LOGIN command", "PLAIN", "CRAM-MD5"))

    @classmethod
    def version(cls):
        return f"Python {platform.python_version()}"

    def connect(self, module=imaplib):
        place, trust = self.place, ssl.create_default_context(cafile=self.place.ca_file)
        if not place.starttls:
            return module.IMAP4_SSL(place.host, place.port, ssl_context=trust, timeout=PATIENCE_S)
        client = module.IMAP4(place.host, place.port, timeout=PATIENCE_S)
        client.starttls(trust)
        return client

    def log_in(self, client):
        place = self.place
        if place.mechanism == "PLAIN":
            client.authenticate("PLAIN", lambda challenge: f"\0{place.user}\0{place.password}".encode())
        elif place.mechanism == "CRAM-MD5":
            client.login_cram_md5(place.user, place.password)
        else:
            client.login(place.user, place.password)

    def visit(self, number, message, deliver):
        seen = Seen()
        with self.connect() as client:
            self.log_in(client)
            seen.mailboxes = {re.search(rb'"?([^" ]+)"?$', line).group(1).decode() for line in _ok(client.list())}
            _ok(client.select("INBOX"))
            seen.bodies[f"read-{number}"] = _ok(client.fetch(_find(client, f"read-{number}"), "(RFC822)"))[0][1]
            _ok(client.store(_find(client, f"flag-{number}"), "+FLAGS", r"(\Flagged)"))
            _ok(client.store(_find(client, f"delete-{number}"), "+FLAGS", r"(\Deleted)"))
            _ok(client.expunge())
            _ok(client.append("Drafts", r"(\Draft)", None, message))
            _ok(client.close())
        return seen


class ImaplibEnable(Imaplib):
    """As a program has it that synchronizes."""

    name = "imaplib with ENABLE"
    logins = ()
    sets_up = True

    def log_in(self, client):
        super().log_in(client)
        _ok(client.enable("QRESYNC"))


class ImaplibState(Imaplib):
    name = "imaplib_state"
    as_is = ImaplibEnable

    def connect(self):
        if str(_SOURCE) not in sys.path:
            sys.path.append(str(_SOURCE))
        return super().connect(importlib.import_module("imaplib_state"))

    def log_in(self, client):
        kept = self.folder / "kept"
        client.login(self.place.user, self.place.password, kept.read_text() or None if kept.exists() else None)
        _ok(client.set_up("ENABLE", "QRESYNC"))
        kept.write_text(client.save() or "")


def _find(client, subject):
    found, = _ok(client.search(None, "SUBJECT", f'"{subject}"'))
    return found.decode()


def _ok(answer):
    status, data = answer
    assert status == "OK", answer
    return data
