"""A private Cyrus on loopback ports, from the unpacked package, with docs/examples/cyrus-imapd.conf."""
import os
import pathlib
import pwd
import shutil

from . import net
from .unpacked import RELEASE, Unpacked, UnpackedServer, run_tool

_EXAMPLE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "examples" / "cyrus-imapd.conf"
_REALM = "cyrus.test"
# It has another meaning for "+", and takes ASCII only.
CANNOT_BE = ("ann+tag@example.org", "Ünï")
_MAIL_USER = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name

# What is not the same on each machine, or would make tests wait. Cyrus refuses an option that is given twice.
_IMAPD = """
servername: {realm}
configdirectory: {folder}/conf
defaultpartition: default
partition-default: {folder}/spool
cyrus_user: {user}
cyrus_group: {group}
autocreate_quota: 0
altnamespace: yes
unixhierarchysep: yes
failedloginpause: 0
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {folder}/conf/sasldb2
sasl_auto_transition: no
"""

# Instead of the example's line, where the gateway is told to use TLS.
_TLS = """
allowplaintext: no
tls_server_cert: {certificate}
tls_server_key: {key}
"""
_STARTTLS_SINCE_310 = "allowstarttls: yes\n"

_MASTER = """
START {{
  recover cmd="ctl_cyrusdb -C {folder}/imapd.conf -r"
  idled cmd="idled -C {folder}/imapd.conf"
}}
SERVICES {{
  imap cmd="imapd -C {folder}/imapd.conf" listen="127.0.0.1:{port}" proto="tcp4" prefork=1 maxchild={maxchild}
  imapstarttls cmd="imapd -C {folder}/imapd-tls.conf" listen="127.0.0.1:{starttls_port}" proto="tcp4"
  imaps cmd="imapd -s -C {folder}/imapd-tls.conf" listen="127.0.0.1:{tls_port}" proto="tcp4"
}}
EVENTS {{
}}
"""


class Cyrus(UnpackedServer):
    """maxchild: how many connections plain_port has at most. settings: more lines of imapd.conf; those of the example may be
    given another value."""

    name = "Cyrus"

    def __init__(self, folder, authority, *, maxchild=200, **settings):
        super().__init__(folder)
        for user in CANNOT_BE:
            del self.users[user]
        self._prepare(authority.issue("cyrus"), settings, maxchild)
        self._start(Unpacked("cyrus", self.folder, (
            "/usr/lib/cyrus/bin/master", "-D", "-C", self.folder / "imapd.conf", "-M", self.folder / "cyrus.conf",
            "-p", self.folder / "conf" / "master.pid")))

    def new_user(self):
        user = super().new_user()
        self.add_user(user, "secret")
        return user

    def _prepare(self, pair, settings, maxchild):
        group = pwd.getpwnam(_MAIL_USER).pw_gid
        for each in ("conf", "conf/db", "conf/socket", "conf/proc", "spool"):
            (self.folder / each).mkdir()
        for user, password in self.users.items():
            self.add_user(user, password)
        certificate, key = (shutil.copy(path, self.folder) for path in pair)
        more = "".join(f"{name}: {value}\n" for name, value in settings.items()) + _IMAPD.format(
            realm=_REALM, folder=self.folder, user=_MAIL_USER, group=net.group_name(group))
        self._write("imapd.conf", _example_without(*settings) + more)
        self._write("imapd-tls.conf", _example_without(*settings, "allowplaintext") + more +
                    _TLS.format(certificate=certificate, key=key) + _STARTTLS_SINCE_310 * bool(RELEASE))
        self._write("cyrus.conf", _MASTER.format(folder=self.folder, port=self.plain_port, maxchild=maxchild,
                                                 starttls_port=self.starttls_port, tls_port=self.tls_port))
        net.open_way_to(self.folder)
        if os.getuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, _MAIL_USER, group)

    def add_user(self, user, password):
        run_tool("cyrus", self.folder, "/usr/sbin/saslpasswd2", "-c", "-p", "-f", self.folder / "conf" / "sasldb2", "-u", _REALM, user,
                 input=password.encode())

    def _write(self, name, text):
        (self.folder / name).write_text(text)


def _example_without(*names):
    lines = _EXAMPLE.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if line.split(":")[0] not in names)
