"""Loopback ports, certificates, and the way of a server's processes to its files."""
import collections
import contextlib
import functools
import grp
import os
import pathlib
import pwd
import random
import socket
import ssl
import struct
import subprocess

from .patience import PATIENCE_S, wait_until

LOOPBACK = "127.0.0.1"
_given_ports = set()
_held = collections.deque()  # of the ports that were given last: a socket for each address
_HELD_MAX = 100
_dice = random.SystemRandom()


def free_port():
    """A port of 127.0.0.1 and of ::1 that this process has not given away before, for somebody to listen on. Until he does so it
    stays free for him: it is held by a socket that is bound and never listens. The kernel then gives it to no outgoing
    connection, and to no program that asks for any port or does not say SO_REUSEADDR, which all servers do; and clients are
    refused. Processes side by side have ports of their own."""
    first, end = _own_ports()
    if len(_given_ports) > (end - first) // 2:
        _given_ports.clear()  # those of the first tests have long been given back
    while True:
        port = _dice.randrange(first, end)
        if port in _given_ports:
            continue
        if holders := _hold(port):
            _given_ports.add(port)
            _held.append(holders)
            if len(_held) > _HELD_MAX:
                for holder in _held.popleft():
                    holder.close()
            return port


@functools.cache
def _own_ports():
    """Runs are parted by IMAPSTATE_PORTS, and what each gets is shared out among the processes of pytest -n."""
    first, end = map(int, os.environ.get("IMAPSTATE_PORTS", "20000-32768").split("-"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = (end - first) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return first + number * share, first + (number + 1) * share


def _hold(port):
    """Sockets that hold it, or None if it is in use: a socket that does not reuse the address tells that better."""
    addresses = [(socket.AF_INET, LOOPBACK)] + [(socket.AF_INET6, "::1")] * _has_ipv6()
    try:
        for family, address in addresses:
            with socket.socket(family) as probe:
                probe.bind((address, port))
    except OSError:
        return None
    holders = [socket.socket(family) for family, _ in addresses]
    try:
        for holder, (_, address) in zip(holders, addresses):
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind((address, port))
    except OSError:  # somebody was quicker
        for holder in holders:
            holder.close()
        return None
    return holders


@functools.cache
def _has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def reset(sock):
    """Closes by RST rather than FIN, as a machine that has lost its memory does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def wait_for_port(port, is_alive, seconds=PATIENCE_S):
    """Returns once something listens on the port; raises if is_alive() turns false or time runs out."""
    def is_open():
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return True
        if not is_alive():
            raise RuntimeError(f"the process that should listen on port {port} has ended")
        return False

    try:
        wait_until(is_open, seconds=seconds)
    except AssertionError:
        raise RuntimeError(f"nobody listens on port {port} after {seconds} s") from None


def hear_out(sock):
    """All that comes until the other side's end. That may be a reset: whoever closes while something is still to be read by him
    gives one, and so gives nobody a promise that an end of file comes."""
    octets = bytearray()
    with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
        while more := sock.recv(1 << 16):
            octets += more
    return bytes(octets)


class Authority:
    """A private CA and the server certificates that it signs, made with the openssl command."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = self.folder / "ca.pem"
        self._openssl("req", "-x509", *self._new_key("ca.key"), "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "30",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # Python 3.13 demands it

    def issue(self, name, alternatives="DNS:localhost,IP:127.0.0.1,IP:::1", extra=(), rsa=False):
        """Signs a certificate for the alternative names; gives the paths of certificate and key. extra: more arguments of
        `openssl x509`, such as ("-days", "-1") for one that has expired."""
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternatives}\n")
        self._openssl("req", *(self._new_rsa_key if rsa else self._new_key)(f"{name}.key"), "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                      "-out", f"{name}.pem", "-extfile", f"{name}.ext", *(extra or ("-days", "30")))
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def client_context(self):
        """Trusts this CA only."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    @staticmethod
    def server_context(pair):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(pair[0]), str(pair[1]))
        return context

    @staticmethod
    def _new_key(name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", name)

    @staticmethod
    def _new_rsa_key(name):
        return ("-newkey", "rsa:2048", "-nodes", "-keyout", name)

    def _openssl(self, *arguments):
        done = subprocess.run(("openssl", *arguments), cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr}")


def open_way_to(folder):
    """Mail processes run as a user of their own and must pass through every folder above their mail."""
    me = pwd.getpwuid(os.getuid()).pw_name
    for each in (folder, *folder.parents):
        if each.exists() and each.owner() == me and each != each.parent:
            each.chmod(each.stat().st_mode | 0o111)


def group_name(gid):
    return grp.getgrgid(gid).gr_name
