"""A server whose Debian package is unpacked, not installed (tests/unpack-servers), started with its files in their places: in
a mount namespace of its own, which nobody else sees."""
import os
import pathlib
import signal
import subprocess

from . import net
from .server import Server

_TREE = pathlib.Path(__file__).resolve().parents[3]
_FOLDER = pathlib.Path(os.environ.get("IMAPSTATE_SERVERS", _TREE / "build-servers"))

# $1: the unpacked package, $2: the folder whose etc stands for /etc/NAME, $3: NAME; then the command. The first process of a
# PID namespace: all that it has started ends with it, and it ends when its standard input does.
_SCRIPT = """
set -e
mount -t overlay -o lowerdir="$1/usr:/usr" imapstate /usr
mount -t overlay -o lowerdir="$1/etc:/etc" imapstate /etc
[ -z "$3" ] || mount --bind "$2/etc" "/etc/$3"
mount -t tmpfs imapstate /run
shift 3
exec 3<&0
"$@" 3<&- </dev/null &
server=$!
(read -r _ <&3 || kill "$server") &
wait "$server"
"""


def folder(name):
    """Where the package is; unpacks it if it is not there yet."""
    subprocess.run((str(_TREE / "tests" / "unpack-servers"), str(_FOLDER)), check=True)
    return _FOLDER / name


class Unpacked:
    """The command runs as root, by sudo if need be, until stop(). etc: the name of a folder in /etc that is to be ours/etc."""

    def __init__(self, package, ours, command, *, etc=""):
        self._stderr = pathlib.Path(ours) / "stderr.log"
        as_root = () if os.getuid() == 0 else ("sudo", "-n")
        namespace = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
        with open(self._stderr, "wb") as log:
            self._process = subprocess.Popen((*as_root, *namespace, "sh", "-c", _SCRIPT, "sh", str(folder(package)), str(ours), etc,
                                              *map(str, command)), stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)

    def is_alive(self):
        return self._process.poll() is None

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def log(self):
        return self._stderr.read_text(errors="replace")


class UnpackedServer(Server):
    """A server whose constructor ends with _start()."""

    def _start(self, process):
        self._process = process
        try:
            net.wait_for_port(self.plain_port, process.is_alive)
        except RuntimeError as error:
            self.stop()
            raise RuntimeError(f"{self.name}: {error}\n{self.log()}") from None

    def stop(self):
        self._process.stop()

    def log(self):
        return self._process.log()

    def exhibit(self):
        return self.name, "\n".join(self.log().splitlines()[-30:])
