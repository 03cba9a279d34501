"""A server whose Debian package is unpacked, not installed (tests/unpack-servers), started with its files in their places: in
a mount namespace of its own, which nobody else sees. IMAPSTATE_SERVERS_RELEASE=13: all servers are those of Debian 13, which has
a root of its own."""
import functools
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading

from . import net
from .patience import PATIENCE_S
from .server import Server

_TREE = pathlib.Path(__file__).resolve().parents[3]
_FOLDER = pathlib.Path(os.environ.get("IMAPSTATE_SERVERS", _TREE / "build-servers"))

RELEASE = os.environ.get("IMAPSTATE_SERVERS_RELEASE", "")

# $1: the unpacked package, $2: the folder whose etc stands for /etc/NAME, $3: NAME, $4: the socket that stands for /dev/log; then
# the command.
_OVERLAY = """
set -e
mount -t overlay -o lowerdir="$1/usr:/usr" imapstate /usr
mount -t overlay -o lowerdir="$1/etc:/etc" imapstate /etc
"""

# $1 is a root, and all behind it is done in there. The shell takes its script from an argument, as standard input is in use.
_CHROOT = """
set -e
mkdir -p "$1$2"
mount --bind "$2" "$1$2"
mount --rbind /dev "$1/dev"
mount -t proc imapstate "$1/proc"
exec chroot "$1" sh -ec "$SCRIPT" sh "$@"
"""

# The first process of a PID namespace: all that it has started ends with it, and it ends when its standard input does.
_SCRIPT = """
[ -z "$3" ] || mount --bind "$2/etc" "/etc/$3"
mount -t tmpfs imapstate /run
mkdir /run/dev
mount --rbind /dev /run/dev
mount -t tmpfs imapstate /dev
ln -s /run/dev/* /dev
ln -sfn "$4" /dev/log
shift 4
exec 3<&0
"$@" 3<&- </dev/null &
server=$!
(read -r _ <&3 || kill "$server") &
wait "$server"
"""


@functools.cache
def _unpack():
    subprocess.run((str(_TREE / "tests" / "unpack-servers"), str(_FOLDER)), check=True)


def folder(name):
    """Where the package is; unpacks it if it is not there yet. The script is asked once: it asks apt, which takes its time."""
    _unpack()
    return _FOLDER / name


@functools.cache
def root():
    """The root of RELEASE; unpacks it if it is not there yet."""
    subprocess.run((str(_TREE / "tests" / "unpack-servers"), str(_FOLDER), RELEASE), check=True)
    return _FOLDER / f"debian-{RELEASE}"


def server_folder(name):
    """What stands for "/" where the files of the server are looked for."""
    return root() if RELEASE else folder(name)


def run_tool(package, ours, path, *arguments, **how):
    """Runs a program of the package, which may write to the folder ours."""
    place = ("sh", "-ec", 'mkdir -p "$1$2"; mount --bind "$2" "$1$2"; root=$1; shift 2; exec chroot "$root" "$@"', "sh", str(server_folder(package)), str(ours))
    command = ("unshare", "--mount", *place, path) if RELEASE else (str(folder(package)) + path,)
    subprocess.run((*command, *map(str, arguments)), check=True, **how)


class Syslog:
    """Takes what syslog(3) sends to the socket, and appends it to a file, a line each; not what is for debugging."""

    _MESSAGE = re.compile(rb"<(\d+)>(.*)", re.DOTALL)
    _DEBUG = 7  # of the eight severities, which are the low bits of the number in front

    def __init__(self, path, log_file):
        self.path, self._log_file = str(path), log_file
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o666)  # servers give up root
        self._thread = threading.Thread(target=self._take_all, daemon=True)
        self._thread.start()

    def stop(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.path)
        self._thread.join()
        self._socket.close()

    def _take_all(self):
        with open(self._log_file, "ab", buffering=0) as log:
            while octets := self._socket.recv(65536):
                match = self._MESSAGE.fullmatch(octets)
                if not match or int(match.group(1)) % 8 != self._DEBUG:
                    log.write((match.group(2) if match else octets).rstrip(b"\n\0") + b"\n")


class Unpacked:
    """The command runs as root, by sudo if need be, until stop(). etc: the name of a folder in /etc that is to be ours/etc. The log
    is what it and its children write, and what they say by syslog(3), of which the machine's hears nothing. pid: all of it is below
    this process."""

    def __init__(self, package, ours, command, *, etc=""):
        self.log_file = pathlib.Path(ours) / "server.log"
        self._syslog = Syslog(pathlib.Path(ours) / "syslog", self.log_file)
        as_root = () if os.getuid() == 0 else ("sudo", "-n")
        namespace = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
        with open(self.log_file, "ab") as log:
            enter = ("env", f"SCRIPT={_SCRIPT}", "sh", "-c", _CHROOT) if RELEASE else ("sh", "-c", _OVERLAY + _SCRIPT)
            self._process = subprocess.Popen((*as_root, *namespace, *enter, "sh", str(server_folder(package)), str(ours), etc,
                                              self._syslog.path, *map(str, command)), stdin=subprocess.PIPE, stdout=log, stderr=log,
                                             start_new_session=True)
        self.pid = self._process.pid

    def is_alive(self):
        return self._process.poll() is None

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._syslog.stop()

    def log(self):
        return self.log_file.read_text(errors="replace")


class UnpackedServer(Server):
    """A server whose constructor ends with _start(). Its starttls_port and its tls_port take no password in clear, and have a
    certificate of the tests' authority."""

    def _start(self, process):
        self._process = process
        try:
            for port in (self.plain_port, self.starttls_port, self.tls_port):
                net.wait_for_port(port, process.is_alive)
        except RuntimeError as error:
            self.stop()
            raise RuntimeError(f"{self.name}: {error}\n{self.log()}") from None

    def stop(self):
        self._process.stop()

    def log(self):
        return self._process.log()

    def exhibit(self):
        return f"{self.name}, {self._process.log_file}", "\n".join(self.log().splitlines()[-30:])
