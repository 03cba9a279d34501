"""mbsync, of isync: keeps Maildirs and mailboxes the same."""
import pathlib

from .client import APPEND, DELETE, FLAG, LIST, READ, Client, version_in
from .maildir import Maildir, work_locally

_CONFIG = """
IMAPAccount there
Host {host}
Port {port}
User {user}
Pass {password}
SSLType {ssl_type}
SSLVersions TLSv1.2 TLSv1.3
CertificateFile {ca_file}
SystemCertificates no
AuthMechs {mechanisms}

IMAPStore remote
Account there

MaildirStore local
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns *
Create Both
Expunge Both
SyncState *
"""


class Mbsync(Client):
    name = "mbsync"
    programs = ("mbsync",)
    parts = (LIST, READ, APPEND, FLAG, DELETE)
    logins = ((False, ""), (False, "PLAIN"), (True, "LOGIN"), (False, "SCRAM-SHA-256"))
    own_headers = ("X-TUID",)

    @classmethod
    def lacks_mechanism(cls, mechanism):
        """Its SASL library has each in a module of its own."""
        name = "scram" if mechanism.startswith("SCRAM") else mechanism.lower()
        found = not name or any(pathlib.Path("/usr/lib").glob(f"**/sasl2/lib{name}*"))
        return None if found else f"Cyrus SASL has no {mechanism} here"

    @classmethod
    def version(cls):
        return version_in(("mbsync", "--version"), r"isync (\S+)")

    def prepare(self):
        self.mail = self.folder / "mail"
        self.mail.mkdir()
        self.config = self.write("mbsyncrc", self.settings(_CONFIG, mechanisms=self.place.mechanism or "*",
                                                           ssl_type="STARTTLS" if self.place.starttls else "IMAPS"))

    def visit(self, number, message, deliver):
        self.sync()
        seen = work_locally(self.mail, number, message, self.own_headers)
        self.sync()
        seen.local = Maildir(self.mail / "INBOX").paths().keys()
        return seen

    def sync(self):
        return self.run("mbsync", "-c", self.config, "all")
