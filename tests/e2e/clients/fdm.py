"""fdm: takes the mail out of the INBOX and puts it into a Maildir."""
from .client import DELETE, READ, Client, Seen, version_in
from .maildir import Maildir

_CONFIG = """
set lock-file "{folder}/lock"
action "keep" maildir "{folder}/mail"
account "there" {scheme} server "{host}" port {port} user "{user}" pass "{password}" {tls}
match all action "keep"
"""


class Fdm(Client):
    name = "fdm"
    programs = ("fdm",)
    parts = (READ, DELETE)
    logins = ((False, ""),)
    own_headers = ("Received",)

    @classmethod
    def version(cls):
        return version_in(("dpkg-query", "-W", "fdm"), r"\t([\d.]+)")

    def prepare(self):
        self.config = self.write("fdm.conf", self.settings(_CONFIG, scheme="imaps", tls=""))

    def visit(self, number, message, deliver):
        self.run("fdm", "-f", self.config, "fetch")
        mail = Maildir(self.folder / "mail", self.own_headers)
        return Seen(bodies={f"read-{number}": mail.body(f"read-{number}")})

    def environment(self):
        return super().environment() | {"SSL_CERT_FILE": self.place.ca_file}
