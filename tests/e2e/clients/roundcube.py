"""Roundcube's library with its cache of messages, by requests to its framework: each page a session, as in the webmail."""
from harness.roundcube import Roundcube as Installation, lacks, version

from .client import APPEND, DELETE, FLAG, LIST, READ, Client, Seen

_LIST = (("folder_sync", "INBOX"), ("list_messages", "INBOX"))


class Roundcube(Client):
    """With messages_cache, so that the list of the INBOX begins with ENABLE QRESYNC once it has been seen; the other pages enable
    nothing."""

    name = "Roundcube"
    parts = (LIST, READ, APPEND, FLAG, DELETE)
    logins = ((False, ""), (True, ""))
    sets_up = True

    @classmethod
    def lacks(cls):
        return lacks()

    @classmethod
    def version(cls):
        return version()

    def prepare(self):
        place = self.place
        scheme = "tls" if place.starttls else "ssl"
        self.installation = Installation(
            self.folder / "installation", place.port, plugins=(), imap_host=f"{scheme}://{place.host}:{place.port}", messages_cache=True,
            imap_auth_type=None, imap_conn_options={"ssl": {"cafile": place.ca_file, "verify_peer": True, "verify_peer_name": True}})
        self.installation.make_database()

    def visit(self, number, message, deliver):
        """As its user clicks: the page, the list that it asks for, a message, its flag, another one deleted, the list again, what is new, a draft."""
        folders, = self.request(("list_folders",))
        uids = {each["subject"]: each["uid"] for each in self.request(*_LIST)[-1]}
        body, = self.request(("get_raw_body", uids[f"read-{number}"]))
        self.request(("set_flag", uids[f"flag-{number}"], "FLAGGED", "INBOX"))
        self.request(("delete_message", uids[f"delete-{number}"], "INBOX"))
        self.request(*_LIST)
        self.request(("folder_sync", "INBOX"), ("folder_status", "INBOX"))
        self.request(("save_message", "Drafts", message.decode(), "", False, ["DRAFT"]))
        return Seen(set(folders), {f"read-{number}": body.encode()})

    def request(self, *steps):
        return self.installation.visit(*steps, user=self.place.user, password=self.place.password)
