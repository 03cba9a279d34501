"""fetchmail: takes the mail out of the INBOX and hands it to a program."""
import subprocess

from harness.mailboxes import without
from harness.patience import PATIENCE_S

from .client import DELETE, IDLE, READ, Client, Seen, as_imap, subject_of, version_in, wait_for_file

_CONFIG = """
set no bouncemail
poll {host} service {port} protocol imap auth {auth}
  user "{user}" password "{password}" {idle}
  {tls} sslcertck sslcertfile "{ca_file}"
  mda "{folder}/mda"
"""

# A file has its name once it is complete.
_MDA = """#!/bin/sh
file=$(mktemp {folder}/mail/XXXXXX.part) && cat >"$file" && mv "$file" "${{file%.part}}.mail"
"""

_NO_MAIL = 1  # its exit status


class Fetchmail(Client):
    name = "fetchmail"
    programs = ("fetchmail",)
    parts = (READ, DELETE, IDLE)
    logins = ((False, ""), (True, "CRAM-MD5"))

    @classmethod
    def version(cls):
        return version_in(("fetchmail", "--version"), r"release ([\d.]+)")

    def prepare(self):
        (self.folder / "mail").mkdir()
        self.write("mda", self.settings(_MDA), 0o700)
        self.once, self.staying = self.write_config("once", ""), self.write_config("staying", "idle")

    def write_config(self, name, idle):
        tls = 'sslproto "TLS1.2+"' if self.place.starttls else 'ssl sslproto "TLS1.2+"'
        return self.write(name, self.settings(_CONFIG, idle=idle, tls=tls, auth=self.place.mechanism.lower() or "any"))

    def visit(self, number, message, deliver):
        """First it stays, until its user ends it; then it is called once more, as cron does."""
        if deliver:
            self.stay(deliver)
            assert f"idle-{number}" in self.mail()
        self.run("fetchmail", "--fetchmailrc", self.once, "--pidfile", self.folder / "pid", good=(0, _NO_MAIL))
        mail = self.mail()
        assert f"delete-{number}" in mail
        return Seen(bodies={f"read-{number}": mail[f"read-{number}"]}, arrived=[f"idle-{number}"] if deliver else [])

    def stay(self, deliver):
        log = self.folder / "log"
        with open(log, "wb") as output:
            words = ("fetchmail", "-v", "--nodetach", "--fetchmailrc", self.staying, "--pidfile", self.folder / "pid")
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.environment())
        try:
            wait_for_file(log, rb"> A\d+ IDLE", process)
            deliver()
            wait_for_file(log, rb"(?s)> A\d+ IDLE.* EXPUNGE.*> A\d+ IDLE", process)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)

    def mail(self):
        """What has been handed over, by subject."""
        bodies = [as_imap(path.read_bytes()) for path in (self.folder / "mail").glob("*.mail")]
        return {subject_of(octets): without(("Received",), octets) for octets in bodies}
