"""OfflineIMAP: keeps Maildirs and mailboxes the same."""
import subprocess

from .client import ALL, Client, version_in, wait_for_file
from .maildir import Maildir, work_locally

_CONFIG = """
[general]
accounts = there
metadata = {folder}/metadata
ui = basic

[Account there]
autorefresh = 10
localrepository = local
remoterepository = remote

[Repository local]
type = Maildir
localfolders = {folder}/mail

[Repository remote]
type = IMAP
remotehost = {host}
remoteport = {port}
remoteuser = {user}
remotepass = {password}
sslcacertfile = {ca_file}
ssl = {ssl}
starttls = {starttls}
holdconnectionopen = yes
idlefolders = ["INBOX"]
"""


class OfflineImap(Client):
    name = "offlineimap"
    programs = ("offlineimap",)
    parts = ALL
    # Not by STARTTLS: behind it, it stands still in about every other sync, with Dovecot alone too.
    logins = ((False, ""),)

    @classmethod
    def version(cls):
        return version_in(("offlineimap", "--version"), r"(\d\S+)")

    def prepare(self):
        self.mail = self.folder / "mail"
        self.config = self.write("offlineimaprc", self.settings(_CONFIG, ssl=not self.place.starttls))

    def visit(self, number, message, deliver):
        """Once, as cron does it; the user works; then it stays, until it is ended."""
        self.sync()
        seen = work_locally(self.mail, number, message)
        inbox = Maildir(self.mail / "INBOX")
        if deliver:
            self.stay(deliver)
            assert f"idle-{number}" in inbox.paths()
            seen.arrived.append(f"idle-{number}")
        else:
            self.sync()
        seen.local = inbox.paths().keys()
        return seen

    def sync(self):
        self.run("offlineimap", "-o", "-c", self.config)

    def stay(self, deliver):
        """Its debugging output tells when it is in IDLE. Told by SIGTERM to end, it waits for up to 10 seconds, and then goes
        without DONE or LOGOUT, too."""
        log = self.folder / "log"
        with open(log, "wb") as output:
            process = subprocess.Popen(("offlineimap", "-d", "imap", "-c", self.config), stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=output, env=self.environment())
        try:
            wait_for_file(log, rb"server IDLE started", process)
            deliver()
            wait_for_file(log, rb"(?s)server IDLE started.*server IDLE started", process)
        finally:
            process.kill()
            process.wait()
