"""The control socket without imapstatectl: exact octets, and answers as they come."""
import json
import socket

from .patience import PATIENCE_S


class Control:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(path))
        self._lines = self.socket.makefile("rb")

    def send(self, octets):
        self.socket.sendall(octets)

    def line(self):
        """One line of an answer; None at the end."""
        try:
            text = self._lines.readline()
        except ConnectionResetError:  # it has not read all that it was sent
            text = b""
        return json.loads(text) if text else None

    def ask(self, *words):
        """All lines of the answer; the last one is its end."""
        self.send(json.dumps(words).encode() + b"\n")
        lines = [self.line()]
        while lines[-1] is not None and not lines[-1].keys() & {"done", "error"}:
            lines.append(self.line())
        return lines

    def close(self):
        self._lines.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
