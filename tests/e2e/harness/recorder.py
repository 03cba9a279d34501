"""A relay on loopback that writes down, in flights, what a client and a server say to each other."""
import re
import selectors
import socket
import ssl
import threading
import time

from . import net
from .patience import PATIENCE_S

_COMMAND = re.compile(rb"[^\s+*]+ ((?:UID )?[A-Z]+)(?: .*)?\Z", re.IGNORECASE | re.DOTALL)
_READ_OCTETS = 1 << 16


class Recording:
    """One connection. A flight is what the client sends without having heard anything in between, so as many round trips
    have passed when a flight is answered as there are flights until then; the greeting is not among them."""

    def __init__(self):
        self.flights = []
        self.heard = bytearray()
        self._speaks = False

    def says(self, octets):
        if not self._speaks:
            self.flights.append(b"")
        self._speaks = True
        self.flights[-1] += octets

    def hears(self, octets):
        self._speaks = False
        self.heard += octets

    def names(self):
        """The commands' names, a list a flight. What is no command, such as a SASL response, is `...`."""
        return [[_name(line) for line in flight.splitlines()] for flight in self.flights]

    def flights_until(self, name):
        """The number of the flight, from 1, with the first command of this name."""
        return next(number for number, names in enumerate(self.names(), 1) if name in names)

    def exhibit(self):
        return "a recorded client", "\n".join(f"{number}: {flight!r}" for number, flight in enumerate(self.flights, 1))


class Recorder:
    """Listens on `port` until stop(), and relays each connection to target_port, which may be changed. With a certificate (a pair of paths) its
    clients speak TLS to it; what it relays is in clear all the same.

    hold_s: what the server says is held for so many seconds, as by a long way. A client that sends its commands one by one,
    without waiting, is then seen to do so however quick the server is."""

    def __init__(self, target_port, certificate=None, hold_s=0.0):
        self.recordings = []
        self._sockets = []
        self._is_stopped = False
        self._hold_s = hold_s
        self.target_port = target_port
        self._context = net.Authority.server_context(certificate) if certificate else None
        self._listener = socket.create_server((net.LOOPBACK, net.free_port()))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def transcripts(self):
        return self.recordings

    def stop(self):
        if self._is_stopped:
            return
        self._is_stopped = True
        # close() alone does not wake accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self):
        """No more connections, and those that are there end."""
        self.stop()
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended by itself

    def exhibit(self):
        return f"recorder of port {self.target_port}", f"{len(self.recordings)} connections"

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            recording = Recording()
            self.recordings.append(recording)
            threading.Thread(target=self._serve, args=(client, recording), daemon=True).start()

    def _serve(self, client, recording):
        try:
            with socket.create_connection((net.LOOPBACK, self.target_port), timeout=PATIENCE_S) as server:
                if self._context:
                    client = self._context.wrap_socket(client, server_side=True)
                self._sockets += [client, server]
                for sock in (client, server):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _relay(client, server, recording, self._hold_s)
        except OSError:
            pass  # one of them is gone: so is the other
        finally:
            client.close()


def _relay(client, server, recording, hold_s):
    """Until one of them ends."""
    with selectors.DefaultSelector() as ready:
        ready.register(client, selectors.EVENT_READ)
        ready.register(server, selectors.EVENT_READ)
        while True:
            if _speaks(client, ready, hold_s):
                source, sink, note = client, server, recording.says
            else:
                source, sink, note = server, client, recording.hears
            octets = _received(source)
            if not octets:
                return
            note(octets)
            sink.sendall(octets)


def _speaks(client, ready, hold_s):
    """Waits until one of them does. The client comes first, with all that it has to say: what it has sent by now it has sent
    without knowing what the server's octets in our hands say."""
    readable = {key.fileobj for key, _ in ready.select()}
    if client not in readable and hold_s:
        time.sleep(hold_s)
        readable = {key.fileobj for key, _ in ready.select(0)}
    return client in readable


def _received(sock):
    octets = sock.recv(_READ_OCTETS)
    while octets and isinstance(sock, ssl.SSLSocket) and sock.pending():  # no longer seen by select
        octets += sock.recv(_READ_OCTETS)
    return octets


def _name(line):
    command = _COMMAND.match(line)
    return command.group(1).decode().upper() if command else "..."
