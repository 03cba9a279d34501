"""A private Dovecot on loopback ports of its own: real IMAP, with nothing of the machine's configuration."""
import base64
import grp
import hashlib
import hmac
import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import time

from . import net
from .patience import PATIENCE_S
from .server import NEW_USER_PASSWORD, Server, message

_NEW_USERS = 5000
MASTER_USER, MASTER_PASSWORD = "master", "of all"
JWT_KEY = b"a key that only the tests know"

# Private ports, users and folders on top of what operators are told to set.
_EXAMPLE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "examples" / "dovecot.conf"

_CONFIG = """
!include {example}
protocols = imap
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
auth_verbose = yes
auth_debug = yes
listen = 127.0.0.1
default_internal_user = {internal_user}
default_internal_group = {internal_group}
default_login_user = {login_user}
first_valid_uid = 1
mail_uid = {mail_user}
mail_gid = {mail_group}
mail_home = {folder}/home/%u
mail_location = maildir:~/Maildir
mail_max_userip_connections = 0
mail_fsync = never
mail_attribute_dict = file:%h/attributes
mailbox_list_index = yes
disable_plaintext_auth = no
login_log_format_elements = user=<%u> method=%m rip=%r lip=%l mpid=%e %c session=<%{{session}}>
auth_failure_delay = 0
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer
auth_username_chars =
auth_username_format = %u
auth_master_user_separator = *
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
passdb {{
  driver = passwd-file
  args = {folder}/masters
  master = yes
  result_success = continue
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
  args = {folder}/users
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
userdb {{
  driver = static
  args = home={folder}/home/%u allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
protocol imap {{
  imap_metadata = yes
}}
service imap-login {{
  chroot =
  process_min_avail = 1
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
  inet_listener imap_proxied {{
    port = {proxied_port}
    haproxy = yes
  }}
}}
service imap {{
  service_count = 0
  process_min_avail = 2
}}
service auth {{
  client_limit = 2000
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""

# The namespaces of the draft's example, for more_config.
NAMESPACES = """
namespace other {
  type = shared
  separator = /
  prefix = Other Users/%%u/
  location = maildir:%%h/Maildir:INDEXPVT=~/shared/%%u
  list = no
}
namespace public {
  type = public
  separator = /
  prefix = Public Folders/
  location = maildir:{folder}/public
  list = no
}
"""

_OAUTH2 = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={folder}/keys/
username_attribute = sub
"""


class Dovecot(Server):
    """Started by the constructor, ended by stop(). Besides the ports of each server there is proxied_port, which
    wants a PROXY protocol header first; starttls_port is plain_port. The certificate is signed by the given authority. more_config is added to dovecot.conf."""

    name = "Dovecot"

    def __init__(self, folder, authority, more_config=""):
        super().__init__(folder)
        self._more_config = more_config
        # Dovecot looks at the file at most once a second, so all users are there from the start.
        self.users |= {f"user{number}": NEW_USER_PASSWORD for number in range(1, _NEW_USERS + 1)}
        self.starttls_port, self.proxied_port = self.plain_port, net.free_port()
        self._prepare(*authority.issue("dovecot"))
        self._process = subprocess.Popen(("dovecot", "-F", "-c", str(self.folder / "dovecot.conf")),
                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         stderr=open(self.folder / "stderr.log", "wb"))
        try:
            for port in (self.plain_port, self.tls_port):
                net.wait_for_port(port, lambda: self._process.poll() is None)
        except RuntimeError as error:
            self.stop()
            raise RuntimeError(f"{error}\n{(self.folder / 'stderr.log').read_text()}\n{self.log()}") from None

    @property
    def pid(self):
        return self._process.pid

    def new_user(self):
        user = super().new_user()
        assert user in self.users, f"the tests want more than {_NEW_USERS} users"
        return user

    def stop(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(PATIENCE_S)

    def log(self):
        path = self.folder / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def add_message(self, user, octets=None, mailbox="INBOX", name=None):
        """Puts a message (by default a small one) into a Maildir, the way a delivery agent does. Gives its octets as IMAP
        shows them."""
        octets = octets if octets is not None else message()
        maildir = self.folder / "home" / user / "Maildir"
        if mailbox != "INBOX":
            maildir = maildir / ("." + mailbox.replace("/", "."))
        for part in ("tmp", "new", "cur"):
            self._make_owned(maildir / part)
        name = name or f"{time.time_ns()}.test"
        path = maildir / "tmp" / name
        path.write_bytes(octets.replace(b"\r\n", b"\n"))
        self._own(path)
        path.rename(maildir / "new" / name)
        return octets

    def jwt(self, user, lifetime_s=3600):
        """An access token for XOAUTH2 and OAUTHBEARER that this Dovecot accepts for the user."""
        claims = {"sub": user, "iat": int(time.time()) - 1, "exp": int(time.time()) + lifetime_s}
        signed = _base64url(json.dumps({"alg": "HS256", "typ": "JWT"})) + "." + _base64url(json.dumps(claims))
        return signed + "." + _base64url(hmac.digest(JWT_KEY, signed.encode(), hashlib.sha256))

    def exhibit(self):
        lines = [line for line in self.log().splitlines() if " Debug: " not in line]
        return f"dovecot, {self.folder}/dovecot.log (without its debug lines)", "\n".join(lines[-30:])

    def _prepare(self, certificate, key):
        net.open_way_to(self.folder)
        self._make_owned(self.folder / "home")
        # nodelay: a wrong password is answered at once.
        self._write("users", "".join(f"{name}:{{PLAIN.b64}}{base64.b64encode(password.encode()).decode()}::::::nodelay=y\n"
                                     for name, password in self.users.items()))
        (self.folder / "keys" / "default" / "HS256").mkdir(parents=True)
        (self.folder / "keys" / "default" / "HS256" / "default").write_bytes(base64.b64encode(JWT_KEY))
        self._write("oauth2.conf", _OAUTH2.format(folder=self.folder))
        self._write("masters", f"{MASTER_USER}:{{PLAIN}}{MASTER_PASSWORD}\n")
        self._write("dovecot.conf", _CONFIG.format(
            example=_EXAMPLE, folder=self.folder, certificate=certificate, key=key, plain_port=self.plain_port, tls_port=self.tls_port,
            proxied_port=self.proxied_port, **_accounts()) + self._more_config.replace("{folder}", str(self.folder)))

    def _write(self, name, text):
        (self.folder / name).write_text(text)

    def _make_owned(self, folder):
        missing = [part for part in (folder, *folder.parents) if not part.exists()]
        for part in reversed(missing):
            part.mkdir()
            self._own(part)

    @staticmethod
    def _own(path):
        if os.getuid() == 0:
            shutil.chown(path, _MAIL_USER, _MAIL_GROUP)


_MAIL_USER, _MAIL_GROUP = "nobody", "nogroup"


def _accounts():
    """As root Dovecot drops privileges to its usual users; as anyone else all of it runs as that one."""
    if os.getuid() == 0:
        return {"internal_user": "dovecot", "internal_group": "dovecot", "login_user": "dovenull",
                "mail_user": _MAIL_USER, "mail_group": _MAIL_GROUP}
    me = pwd.getpwuid(os.getuid())
    group = grp.getgrgid(me.pw_gid).gr_name
    return {"internal_user": me.pw_name, "internal_group": group, "login_user": me.pw_name, "mail_user": me.pw_name,
            "mail_group": group}


def _base64url(value):
    octets = value.encode() if isinstance(value, str) else value
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
