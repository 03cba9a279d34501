"""curl: one command, one session."""
import re

from .client import APPEND, DELETE, FLAG, LIST, READ, Client, Seen, version_in


class Curl(Client):
    name = "curl"
    programs = ("curl",)
    parts = (LIST, READ, APPEND, FLAG, DELETE)
    logins = ((False, ""), *((True, mechanism) for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5", "OAUTHBEARER")))

    @classmethod
    def version(cls):
        return version_in(("curl", "--version"), r"curl (\S+)")

    def visit(self, number, message, deliver):
        listed = self.ask("")
        seen = Seen({line.rpartition(" ")[2] for line in listed.decode().splitlines()})
        seen.bodies[f"read-{number}"] = self.ask(f"INBOX;MAILINDEX={self.find(f'read-{number}')}")
        self.ask("INBOX", "--request", rf"STORE {self.find(f'flag-{number}')} +FLAGS (\Flagged)")
        self.ask("INBOX", "--request", rf"STORE {self.find(f'delete-{number}')} +FLAGS (\Deleted)")
        self.ask("INBOX", "--request", "EXPUNGE")
        (self.folder / "message").write_bytes(message)
        self.ask("Drafts", "--upload-file", self.folder / "message")
        return seen

    def find(self, subject):
        return re.fullmatch(rb"\* SEARCH (\d+)\r\n", self.ask(f"INBOX?SUBJECT%20{subject}")).group(1).decode()

    def ask(self, path, *more):
        place = self.place
        scheme = "imap" if place.starttls else "imaps"
        return self.run("curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", place.ca_file, *self.account(),
                        f"{scheme}://{place.host}:{place.port}/{path}", *more)

    def account(self):
        place = self.place
        if place.mechanism == "OAUTHBEARER":
            return "--user", place.user, "--oauth2-bearer", place.password, "--sasl-ir"
        chosen = ("--login-options", f"AUTH={place.mechanism}") if place.mechanism else ()
        return "--user", f"{place.user}:{place.password}", *chosen
