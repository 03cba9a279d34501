"""Clients that are libraries of another language, driven by a script beside this file.

A script reads one line, JSON: place, number (of the visit), message (to append, base64), idle (or not), has_cache; module, a path or "":
what gives it STATE, and kept, a file of its own for that. In IDLE it prints "idling", then waits for the message. Its last
line is JSON again: mailboxes, body (base64), arrived."""
import base64
import dataclasses
import json
import pathlib
import subprocess

from harness.mailboxes import without
from harness.patience import PATIENCE_S

from .client import IDLE, Client, Seen, as_imap

HERE = pathlib.Path(__file__).parent


class ScriptClient(Client):
    command = ()  # words that run the script
    read_headers = ()  # which the library writes into what it gives to read
    has_cache = False
    module = ""   # a path, of a row with STATE: what the script is to load besides

    def visit(self, number, message, deliver):
        task = {"place": dataclasses.asdict(self.place), "number": number, "idle": deliver is not None and IDLE in self.parts,
                "has_cache": self.has_cache, "module": str(self.module), "kept": str(self.folder / "kept"), "message": base64.b64encode(message).decode()}
        script = subprocess.Popen([str(word) for word in self.command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=self.environment())
        try:
            script.stdin.write(json.dumps(task).encode() + b"\n")
            script.stdin.flush()
            first = script.stdout.readline()
            if first == b"idling\n":
                deliver()
            out, errors = script.communicate(timeout=PATIENCE_S)
        finally:
            script.kill()
        assert script.returncode == 0, f"{self.command} ended with {script.returncode}: {errors.decode()}"
        saw = json.loads((first + out).splitlines()[-1])
        body = without(self.read_headers, as_imap(base64.b64decode(saw["body"])))
        return Seen(set(saw["mailboxes"]), {f"read-{number}": body}, saw["arrived"])
