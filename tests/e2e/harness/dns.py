"""A scripted name server, and a gateway's surroundings with a resolv.conf and a hosts file of its own. For root: the server has
port 53 of an address of loopback that nobody else uses, as resolv.conf knows no ports, and the files are put in place in a mount
namespace.

    names = NameServer()
    names.host("mail.test", "127.0.0.2", "::1", ttl=1)      # from now on; no address: it exists, and has none
    names.alias("imap.test", "mail.test", ttl=0)
    names.service("_imap._tcp.mail.test", (10, 1, 143, "a.test"), (20, 1, 143, "b.test"))   # priority, weight, port, target
    names.override("mail.test", "AAAA", "SERVFAIL")         # or any rcode, SILENCE, TRUNCATED, GARBAGE; None ends it
    names.is_silent = True                                  # an outage
    names.hold(); names.release()                           # what is asked meanwhile is answered then
    names.count("mail.test", "A")                           # how often that was asked for; names.over_tcp: how often by TCP

    surroundings = Surroundings(folder, names)              # prefix= of a Gateway
    surroundings.write_hosts("127.0.0.2 mail.test")
    surroundings.write_resolv_conf(f"nameserver {other.address}")
"""
import ipaddress
import os
import random
import socket
import struct
import subprocess
import threading

from .imap import Closed
from .patience import PATIENCE_S

SILENCE, TRUNCATED, GARBAGE = object(), object(), object()
RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5, "NOTAUTH": 9}
_KINDS = {1: "A", 28: "AAAA", 33: "SRV"}
_NUMBERS = {"A": 1, "CNAME": 5, "AAAA": 28, "SRV": 33}
_UDP_MAX = 512
_dice = random.SystemRandom()


def _encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def _read_question(octets):
    """(name, kind, the question as it is)."""
    at, labels = 12, []
    while octets[at]:
        labels.append(octets[at + 1:at + 1 + octets[at]].decode())
        at += 1 + octets[at]
    return ".".join(labels).lower(), _KINDS.get(int.from_bytes(octets[at + 1:at + 3], "big"), "other"), octets[12:at + 5]


class NameServer:
    """Listens from the constructor to stop()."""

    def __init__(self):
        self.is_silent = False
        self.over_tcp = 0
        self._asked = []
        self._hosts, self._services, self._aliases, self._overrides = {}, {}, {}, {}
        self._is_open = threading.Event()
        self._is_open.set()
        self._listen()
        for function in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=function, daemon=True).start()

    def _listen(self):
        while True:
            self.address = f"127.{_dice.randrange(1, 255)}.{_dice.randrange(256)}.{_dice.randrange(1, 255)}"
            self._udp, self._tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
            try:
                self._udp.bind((self.address, 53))
                self._tcp.bind((self.address, 53))
                break
            except OSError:
                self._udp.close()
                self._tcp.close()
        self._tcp.listen()

    def stop(self):
        self._is_open.set()
        self._tcp.shutdown(socket.SHUT_RDWR)
        self._tcp.close()
        self._udp.close()

    def host(self, name, *addresses, ttl=300):
        self._hosts[name] = (list(addresses), ttl)

    def service(self, name, *targets, ttl=300):
        """No target: it exists, and has none. The target "." says that it is not offered."""
        self._services[name] = (targets, ttl)

    def alias(self, name, target, ttl=300):
        self._aliases[name] = (target, ttl)

    def forget(self, name):
        del self._hosts[name]

    def override(self, name, kind, what):
        self._overrides[name, kind] = what

    def hold(self):
        self._is_open.clear()

    def release(self):
        self._is_open.set()

    def count(self, name, kind=None):
        return sum(1 for asked in list(self._asked) if asked[0] == name and kind in (None, asked[1]))

    def _serve_udp(self):
        while True:
            try:
                octets, peer = self._udp.recvfrom(4096)
            except OSError:
                return
            threading.Thread(target=self._answer_udp, args=(octets, peer), daemon=True).start()

    def _answer_udp(self, octets, peer):
        answer = self._answer(octets, is_udp=True)
        if answer:
            try:
                self._udp.sendto(answer, peer)
            except OSError:
                pass

    def _serve_tcp(self):
        while True:
            try:
                sock, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(sock,), daemon=True).start()

    def _serve_connection(self, sock):
        with sock, sock.makefile("rb") as reader:
            sock.settimeout(PATIENCE_S)
            try:
                while len(head := reader.read(2)) == 2:
                    self.over_tcp += 1
                    answer = self._answer(reader.read(struct.unpack("!H", head)[0]), is_udp=False)
                    if answer:
                        sock.sendall(struct.pack("!H", len(answer)) + answer)
            except (OSError, Closed):
                pass

    def _answer(self, octets, is_udp):
        name, kind, question = _read_question(octets)
        self._asked.append((name, kind))
        self._is_open.wait(PATIENCE_S)
        what = self._overrides.get((name, kind))
        if self.is_silent or what is SILENCE:
            return None
        if what is GARBAGE:
            return octets[:2] + b"\x81\x80\0\1\0\2\0\0\0\0" + question + b"\xc0\xff\xc0"
        records = [] if what and what is not TRUNCATED else self._records(name, kind)
        rcode = RCODES[what] if isinstance(what, str) else 0 if records is not None else RCODES["NXDOMAIN"]
        return self._message(octets[:2], question, records or [], rcode, is_udp and what is TRUNCATED, is_udp)

    def _records(self, name, kind):
        """None: there is no such name."""
        records, seen = [], set()
        while name in self._aliases and name not in seen:
            seen.add(name)
            target, ttl = self._aliases[name]
            records.append((name, "CNAME", ttl, _encoded(target)))
            name = target
        if name in self._services:
            targets, ttl = self._services[name]
            return [(name, kind, ttl, struct.pack("!HHH", *target[:3]) + _encoded(target[3])) for target in targets if kind == "SRV"]
        if name not in self._hosts:
            return records or None
        addresses, ttl = self._hosts[name]
        for address in map(ipaddress.ip_address, addresses):
            if kind == ("A" if address.version == 4 else "AAAA"):
                records.append((name, kind, ttl, address.packed))
        return records

    @staticmethod
    def _message(number, question, records, rcode, is_cut, is_udp):
        encoded = [_encoded(name) + struct.pack("!HHIH", _NUMBERS[kind], 1, ttl, len(data)) + data for name, kind, ttl, data in records]
        while is_udp and 12 + len(question) + sum(map(len, encoded)) > _UDP_MAX:
            encoded.pop()
            is_cut = True
        flags = 0x8180 | rcode | (0x0200 if is_cut else 0)
        return number + struct.pack("!HHHHH", flags, 1, len(encoded), 0, 0) + question + b"".join(encoded)


class Surroundings:
    """prefix: for a gateway that shall see the files."""

    def __init__(self, folder, names=None, search=""):
        self._hosts, self._resolv_conf = folder / "hosts", folder / "resolv.conf"
        self.write_hosts("")
        self.write_resolv_conf(f"nameserver {names.address}\n{search}" if names else "")
        mounts = f"mount --bind {self._hosts} /etc/hosts && mount --bind {self._resolv_conf} /etc/resolv.conf"
        self.prefix = ("unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh")

    def write_hosts(self, text):
        """In place, as editors do that keep the file."""
        self._hosts.write_text(f"127.0.0.1 localhost\n{text}\n")

    def write_resolv_conf(self, text):
        self._resolv_conf.write_text(f"{text}\n")

    def why_not(self):
        """Why this cannot be here, or None."""
        if os.getuid():
            return "only root has port 53 and mount namespaces"
        done = subprocess.run((*self.prefix, "true"), capture_output=True, text=True, check=False)
        return f"no mount namespaces: {done.stderr}" if done.returncode else None


class Swallower:
    """An address that swallows what is sent to it, as a host behind a firewall does: its listener's backlog is full."""

    def __init__(self, host, port):
        self._listener = socket.create_server((host, port), backlog=0)
        self._filler = socket.create_connection((host, port))

    def stop(self):
        self._filler.close()
        self._listener.close()
