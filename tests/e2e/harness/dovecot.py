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

from . import dovecotconf, net
from .patience import PATIENCE_S
from .server import NEW_USER_PASSWORD, Server, message
from .unpacked import RELEASE, Unpacked

_NEW_USERS = 5000
MASTER_USER, MASTER_PASSWORD = "master", "of all"
JWT_KEY = b"a key that only the tests know"

class Installed:
    """The machine's own, until stop(). pid: of its first process, as of an Unpacked one."""

    def __init__(self, ours, command):
        self._log_file = pathlib.Path(ours) / "server.log"
        with open(self._log_file, "wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        self.pid = self._process.pid

    def is_alive(self):
        return self._process.poll() is None

    def stop(self):
        if self.is_alive():
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(PATIENCE_S)

    def log(self):
        return self._log_file.read_text(errors="replace")


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
        command = ("dovecot", "-F", "-c", str(self.folder / "dovecot.conf"))
        self._process = Unpacked("dovecot", self.folder, command) if RELEASE else Installed(self.folder, command)
        try:
            for port in (self.plain_port, self.tls_port):
                net.wait_for_port(port, self._process.is_alive)
        except RuntimeError as error:
            self.stop()
            raise RuntimeError(f"{error}\n{self._process.log()}\n{self.log()}") from None

    @property
    def pid(self):
        return self._process.pid

    def new_user(self):
        user = super().new_user()
        assert user in self.users, f"the tests want more than {_NEW_USERS} users"
        return user

    def is_alive(self):
        return self._process.is_alive()

    def stop(self):
        self._process.stop()

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
        self._write("masters", f"{MASTER_USER}:{{PLAIN}}{MASTER_PASSWORD}\n")
        certificate, key = (shutil.copy(path, self.folder) for path in (certificate, key))
        for name, text in dovecotconf.files(self.folder, self._more_config, certificate=certificate, key=key, plain_port=self.plain_port,
                                            tls_port=self.tls_port, proxied_port=self.proxied_port, **_accounts()).items():
            self._write(name, text)

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
