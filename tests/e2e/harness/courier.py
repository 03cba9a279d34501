"""A private Courier on loopback ports, from the unpacked package, with Debian's /etc/courier and docs/examples/courier-imapd."""
import os
import pathlib
import pwd
import shutil
import subprocess

from . import net
from .server import NEW_USER_PASSWORD
from .unpacked import Unpacked, UnpackedServer, server_folder

_EXAMPLE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "examples" / "courier-imapd"
_MAIL_USER = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
_NEW_USERS = 500

_AUTHDAEMON = """
authmodulelist="authuserdb"
daemons=5
authdaemonvar=/run/courier/authdaemon
"""

# What /usr/sbin/imapd and imapd-ssl do, without the daemons and the syslog. $1: the port in clear, $2: that of STARTTLS, $3: that
# of TLS, $4: certificate and key. couriertls becomes the user courier, whom only an installed package has.
_START = """
mkdir -p /run/courier/authdaemon
makeuserdb
/usr/lib/courier/courier-authlib/authdaemond &
set -a
prefix=/usr exec_prefix=/usr sbindir=/usr/sbin bindir=/usr/bin
. /etc/courier/imapd
. /etc/courier/imapd-ssl
TLS_CERTFILE=$4 TLS_CACHEFILE=/run/courier/tls-sessions
touch "$TLS_CACHEFILE"
owner=$(stat -c %u:%g "$4")
chown "$owner" "$TLS_CACHEFILE"
{ grep -v ^courier: /etc/passwd; echo "courier:x:$owner::/:/bin/false"; } >/run/courier/passwd
mount --bind /run/courier/passwd /etc/passwd
until [ -S /run/courier/authdaemon/socket ]; do sleep 0.02; done
serve() {
    exec couriertcpd -address=127.0.0.1 -maxprocs="$MAXDAEMONS" -maxperip="$MAXPERIP" $TCPDOPTS "$@" \
        /usr/lib/courier/courier/imaplogin /usr/bin/imapd "$MAILDIRPATH"
}
(IMAP_STARTTLS=YES IMAP_TLS_REQUIRED=1; serve "$2") &
(IMAP_TLS=1; serve "$3" "$COURIERTLS" -server -tcpd -user=courier) &
IMAP_STARTTLS=NO
serve "$1"
"""


class Courier(UnpackedServer):
    """settings: more lines of /etc/courier/imapd, behind the example's."""

    name = "Courier"
    setup = "ENABLE UTF8=ACCEPT"
    personal_prefix = "INBOX."

    def __init__(self, folder, authority, **settings):
        super().__init__(folder)
        # They are read from a database that is made before Courier starts.
        self.users |= {f"user{number}": NEW_USER_PASSWORD for number in range(1, _NEW_USERS + 1)}
        pair = self.folder / "imapd.pem"
        pair.write_bytes(b"".join(path.read_bytes() for path in authority.issue("courier")))
        pair.chmod(0o600)
        self._prepare(settings, pair)
        self._start(Unpacked("courier", self.folder, ("sh", "-c", _START, "sh", self.plain_port, self.starttls_port, self.tls_port, pair),
                             etc="courier"))

    def _prepare(self, settings, pair):
        etc = self.folder / "etc"
        shutil.copytree(server_folder("courier") / "etc" / "courier", etc)
        with open(etc / "imapd", "a", encoding="utf-8") as file:
            file.write(_EXAMPLE.read_text() + "".join(f'{name}="{value}"\n' for name, value in settings.items()))
        (etc / "authdaemonrc").write_text(_AUTHDAEMON)
        account = pwd.getpwnam(_MAIL_USER)
        hashes = {password: _crypt(password) for password in set(self.users.values())}
        lines = []
        for number, (user, password) in enumerate(self.users.items()):
            home = self.folder / "home" / str(number)
            for each in ("cur", "new", "tmp"):
                (home / "Maildir" / each).mkdir(parents=True)
            lines.append(f"{user}\tuid={account.pw_uid}|gid={account.pw_gid}|home={home}|mail={home}/Maildir|"
                         f"imappw={hashes[password]}\n")
        (etc / "userdb").write_text("".join(lines))
        (etc / "userdb").chmod(0o600)
        net.open_way_to(self.folder)
        if os.getuid() == 0:
            for path in (pair, self.folder / "home", *(self.folder / "home").rglob("*")):
                os.chown(path, account.pw_uid, account.pw_gid)


def _crypt(password):
    """MD5, as 500 users log in often."""
    done = subprocess.run(("openssl", "passwd", "-1", "-stdin"), input=password.encode(), capture_output=True, check=True)
    return done.stdout.decode().strip()
