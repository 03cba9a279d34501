"""Horde's IMAP library, as a webmail uses it: a process for each page, and an object that is kept from page to page."""
import json
import pathlib
import shutil
import subprocess

import pytest

from . import net
from .patience import PATIENCE_S

_VISIT = pathlib.Path(__file__).resolve().parents[1] / "clients" / "horde-visit.php"
ITS_OWN = "Horde_Imap_Client_Socket"
WITH_STATE = "Imapstate\\Horde\\Socket"
TYPES = ("types",)  # of the base class's members that the module writes
STATUS = ("status", "INBOX", 1)  # the number of messages


class Horde:
    """One user's webmail session; of class_name, with parameters for its constructor. Logs to debug_file, as Horde does."""

    def __init__(self, folder, port, class_name=WITH_STATE, **parameters):
        if not shutil.which("php") or not self._php("-r", "echo stream_resolve_include_path('Horde/Imap/Client/Socket.php');"):
            pytest.skip("php-cli and php-horde-imap-client are not installed")
        self.kept = pathlib.Path(folder) / "kept"
        self.debug_file = pathlib.Path(folder) / "debug.log"
        self.class_name = class_name
        self.parameters = {"username": "ann", "password": "secret", "hostspec": net.LOOPBACK, "port": port, "secure": False,
                           "timeout": PATIENCE_S, "debug": str(self.debug_file)} | parameters

    def visit(self, *steps, **changed):
        """A page that calls these methods, each (name, argument, ...); parameters may have changed. Gives their results."""
        answer = self.attempt(*steps, **changed)
        assert "error" not in answer, answer
        return answer["results"]

    def attempt(self, *steps, **changed):
        """The same, but it may fail: {"error": text, "code": number}."""
        self.parameters |= changed
        return json.loads(self._php(_VISIT, self.class_name, self.kept, json.dumps(self.parameters), *map(json.dumps, steps)))

    @staticmethod
    def _php(*arguments):
        done = subprocess.run(("php", *map(str, arguments)), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
        return done.stdout
