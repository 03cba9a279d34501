"""Two network namespaces with a slow link between them: "client" and "server" side.

The link is a TUN device in each, and a process that carries packets from one to the other and delivers them late. (A
kernel may well have no netem.) Nothing of it has a name outside of this process, so nothing is left behind:

    with link.inside("server"):
        peer.start()

runs in that namespace whatever is started meanwhile. Run as a program this file is the carrier.
"""

import collections
import contextlib
import ctypes
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import time

import peers

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
ADDRESSES = {"client": "192.0.2.1", "server": "192.0.2.2"}  # RFC 5737: for documentation, so never in use here
PACKET_MAX = 65536


def namespace_open():
    """The one that this thread is in."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def namespace_enter(fd):
    if peers.LIBC.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns failed")


def tun_open(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def side_make(side):
    """In a new namespace: gives the device's descriptor and the namespace's."""
    if peers.LIBC.unshare(CLONE_NEWNET):
        raise OSError(0, "unshare(CLONE_NEWNET) failed")
    tun = tun_open("slow")
    other = next(address for name, address in ADDRESSES.items() if name != side)
    for words in (f"addr add {ADDRESSES[side]} peer {other} dev slow", "link set lo up", "link set slow up"):
        subprocess.run([peers.program_find("ip", "iproute2"), *words.split()], check=True)
    return tun, namespace_open()


class Link:
    """Raises peers.Failure where there can be none. stop() ends it; what still runs inside keeps its namespace."""

    def __init__(self, round_trip_s):
        home = namespace_open()
        try:
            sides = {side: side_make(side) for side in ADDRESSES}
        except (OSError, subprocess.CalledProcessError) as error:
            raise peers.Failure(f"no link between network namespaces: {error}") from None
        finally:
            namespace_enter(home)
        self.namespaces = {side: namespace for side, (_, namespace) in sides.items()} | {"home": home}
        tuns = [tun for tun, _ in sides.values()]
        self.process = subprocess.Popen([sys.executable, __file__, *map(str, tuns), str(round_trip_s / 2)],
                                        pass_fds=tuns, stdin=subprocess.DEVNULL, preexec_fn=peers.child_begin)
        for tun in tuns:
            os.close(tun)

    @contextlib.contextmanager
    def inside(self, side):
        namespace_enter(self.namespaces[side])
        try:
            yield
        finally:
            namespace_enter(self.namespaces["home"])

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(peers.STOP_LIMIT_S)
            for fd in self.namespaces.values():
                os.close(fd)
        self.process = None


def packets_take(source, target, delay_s, waiting):
    with contextlib.suppress(BlockingIOError):
        while True:
            waiting.append((time.monotonic() + delay_s, target, os.read(source, PACKET_MAX)))


def carry(one, other, delay_s):
    """Every packet comes as late as any other, so they wait in one queue, in the order in which they are due."""
    waiting = collections.deque()
    while True:
        timeout_s = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([one, other], [], [], timeout_s)
        for source in ready:
            packets_take(source, other if source == one else one, delay_s, waiting)
        while waiting and waiting[0][0] <= time.monotonic():
            _, target, packet = waiting.popleft()
            with contextlib.suppress(OSError):  # a link may lose packets
                os.write(target, packet)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    carry(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
