"""mutt and neomutt, on a screen, by their keys."""
import re

from .client import ALL, Client, Seen, as_imap, version_in
from .screen import Screen

_CONFIG = """
set folder="{scheme}://{host}:{port}/" spoolfile="+INBOX" record="+Drafts"
set imap_user="{user}" imap_pass="{password}" imap_authenticators="{authenticators}"
set ssl_ca_certificates_file="{ca_file}" ssl_starttls=yes ssl_force_tls=yes
set header_cache="{folder}/headers" message_cachedir="{folder}/bodies"
set imap_idle=yes timeout=1 mail_check=60
set from="ann@example.org" hostname="example.org" realname="Ann" sendmail="{folder}/sendmail" editor="{folder}/editor" tmpdir="{folder}"
set copy=yes recall=no delete=yes quit=yes move=no wait_key=no pipe_decode=no sleep_time=0 help=no
set arrow_cursor=yes sort=mailbox-order index_format="%4C %Z %s" pager_index_lines=0
set status_format="%f: %m messages, %d deleted"
"""

_ENTER, _CLEAR = "\r", "\x15"

# A file that is younger than the second in which mutt has looked at it makes mutt ask a question, as it is when the two are in
# different seconds. It always asks on the first visit, where the file is of the time to come.
_EDITOR = """#!/bin/sh
echo Good morning. >>"$1"
[ -e {folder}/visited ] || touch -d "+1 hour" "$1"
"""
_QUESTIONS = {r"^Attachment #\d+ modified\. Update encoding for .*\?": "y"}

# In place of messages that come and go: the screen is blank when the file is there, and mutt then draws it anew.
_TAKE = """#!/bin/sh
printf '\\033[2J'
cat >"$1.part" && mv "$1.part" "$1"
"""
_SENDMAIL = """#!/bin/sh
cat >/dev/null && touch {folder}/sent
"""


class Mutt(Client):
    name = "mutt"
    program = "mutt"
    programs = ("mutt",)
    parts = ALL
    logins = ((False, ""), (True, "CRAM-MD5"))
    browser_keys = ()
    own_headers = ("Date", "Message-ID", "User-Agent")

    @classmethod
    def version(cls):
        return version_in((cls.program, "-v"), r"(?:Mutt|NeoMutt) (\S+)")

    def prepare(self):
        (self.folder / "bodies").mkdir()
        for name, script in (("editor", _EDITOR), ("take", _TAKE), ("sendmail", _SENDMAIL)):
            self.write(name, self.settings(script), 0o700)
        self.config = self.write("muttrc", self.settings(_CONFIG, authenticators=self.place.mechanism.lower(), scheme="imap" if self.place.starttls else "imaps"))

    def visit(self, number, message, deliver):
        seen = Seen()
        with Screen((self.program, "-n", "-F", self.config), self.folder, self.environment(), _QUESTIONS) as screen:
            screen.wait("INBOX: ", f"delete-{number}")
            seen.bodies[f"read-{number}"] = self.read(screen, f"read-{number}")
            self.find(screen, f"flag-{number}")
            screen.keys("F")
            screen.wait(rf"! flag-{number}")
            self.delete(screen, f"delete-{number}")
            self.send(screen, f"append-{number}")
            if deliver:
                deliver()
                screen.wait(f"idle-{number}")
                seen.arrived.append(f"idle-{number}")
            seen.mailboxes = self.list(screen)
            screen.keys("q")
            screen.wait_end()
        (self.folder / "visited").touch()
        return seen

    @staticmethod
    def find(screen, subject):
        screen.keys("/", _CLEAR, f"~s {subject}$", _ENTER)
        screen.wait(rf"^->.* {subject} ")

    def read(self, screen, subject):
        """Through the pager, and into a file."""
        path = self.folder / subject
        self.find(screen, subject)
        screen.keys(_ENTER)
        screen.wait("quick brown fox")
        screen.keys("|")
        screen.wait("Pipe to command")
        screen.keys(f"{self.folder}/take {path}", _ENTER)
        screen.wait_for(path.exists, "the message is not in the file")
        screen.wait("quick brown fox")
        screen.keys("i")
        screen.wait(rf"^->.* {subject} ")
        return as_imap(path.read_bytes())

    def delete(self, screen, subject):
        self.find(screen, subject)
        screen.keys("d")
        screen.wait(" 1 deleted")
        screen.keys("$")
        screen.wait(" 0 deleted", without=(subject,))

    def send(self, screen, subject):
        sent = self.folder / "sent"
        sent.unlink(missing_ok=True)
        screen.keys("m")
        screen.wait("^To: ")
        screen.keys("bob@example.org", _ENTER)
        screen.wait("^Subject: ")
        screen.keys(subject, _ENTER)
        screen.wait("^-- Attachments")
        screen.keys("y")
        screen.wait_for(sent.exists, "the message is not sent")
        screen.wait("INBOX: ", without=("^-- Attachments",))

    def list(self, screen):
        screen.keys("c")
        screen.wait("^Open mailbox")
        screen.keys("?", *self.browser_keys)
        screen.wait("Archive", "Drafts")
        found = set(re.findall(r"Archive|Drafts|INBOX", screen.text()))
        screen.keys("q")
        screen.wait(" 0 deleted")
        return found


class Neomutt(Mutt):
    name = "neomutt"
    program = "neomutt"
    programs = ("neomutt",)
    browser_keys = ("\t",)  # from its list of known mailboxes to the server's
    logins = ((False, ""), (True, "LOGIN"))
