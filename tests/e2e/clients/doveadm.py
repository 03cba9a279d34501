"""doveadm backup: a copy of an account, taken over IMAP (imapc) by Dovecot's own synchronizer."""
import grp
import os
import pathlib
import pwd
import shutil

from harness.net import open_way_to

from .client import LIST, READ, Client, Seen, version_in
from .maildir import Maildir

# As an administrator has it who moves accounts. Maildir's separator makes INBOX.Work a folder .Work.
_CONFIG = """
base_dir = {folder}/run
log_path = /dev/stderr
mail_uid = {owner}
mail_gid = {group}
first_valid_uid = 0
first_valid_gid = 0
mail_home = {folder}/home
mail_location = maildir:{folder}/mail:LAYOUT=fs:INBOX={folder}/mail/INBOX
ssl_client_ca_file = {ca_file}
imapc_host = 127.0.0.1
imapc_port = {port}
imapc_ssl = {ssl}
imapc_user = {user}
imapc_password = {password}
imapc_features = rfc822.size fetch-headers fetch-bodystructure
"""


def _account():
    """Whose the copy is: root may own no mail."""
    if os.getuid() == 0:
        return "nobody", "nogroup"
    return pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name


class Doveadm(Client):
    name = "doveadm backup"
    programs = ("doveadm",)
    parts = (LIST, READ)
    logins = ((False, ""), (True, ""))

    @classmethod
    def version(cls):
        return version_in(("dovecot", "--version"), r"^([\d.]+)")

    def prepare(self):
        owner, group = _account()
        for name in ("home", "mail"):
            (self.folder / name).mkdir()
            shutil.chown(self.folder / name, owner, group)
        for path in (self.folder, pathlib.Path(self.place.ca_file).parent):
            open_way_to(path)
        self.config = self.write("dovecot.conf", self.settings(_CONFIG, ssl="starttls" if self.place.starttls else "imaps",
                                                               owner=owner, group=group))

    def visit(self, number, message, deliver):
        self.run("doveadm", "-c", self.config, "backup", "-R", "imapc:")
        copy = self.folder / "mail"
        inbox = Maildir(copy / "INBOX")
        return Seen({path.name for path in copy.iterdir() if (path / "cur").exists()}, {f"read-{number}": inbox.body(f"read-{number}")},
                    local=inbox.paths().keys())

    def environment(self):
        """Without -u it works for whoever runs it, and asks no server of this machine who that is."""
        return super().environment() | {"USER": self.place.user}
