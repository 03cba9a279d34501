"""The daemon in the storm: its configuration, which changes while it runs, and its orderly end."""
import asyncio
import os
import pathlib
import re
import signal
import subprocess
import time

from .. import net
from ..gateway import Section, listener, program, render, upstream

PATIENCE_S = 60  # whatever must come about does so in this time, on a busy machine with sanitizers too
_REPORT = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|Assertion .* failed")


class Listener:
    """Where clients come in, and by which upstream they are served."""

    def __init__(self, name, tls="none", is_proxied=False, **settings):
        self.name, self.tls, self.is_proxied, self.settings = name, tls, is_proxied, settings
        self.port = net.free_port()
        self.upstream = None


def listeners():
    return [Listener("plain"), Listener("compress", compress=True), Listener("proxied", is_proxied=True),
            Listener("starttls", "starttls", require_tls=True), Listener("offered", "starttls", require_tls=False, compress=True),
            Listener("tls", "implicit", compress=True), Listener("wrapped", "implicit", is_proxied=True),
            Listener("compat", "none", imapproxy_compat=True)]


class Daemon:
    """pairs: certificates of which each reload takes another. fail(what) is told what goes wrong."""

    def __init__(self, folder, all_listeners, upstreams, pairs, ca_file, fail):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.listeners, self.upstreams, self.pairs, self.ca_file, self.fail = all_listeners, upstreams, pairs, ca_file, fail
        self.config_file, self.log_file = self.folder / "imapstated.conf", self.folder / "imapstated.log"
        self.process = None
        self.workers = 1

    # Configuration

    def write_calm(self):
        """With time enough for everybody, but not so much that one upstream that hangs could be taken for a gateway that does;
        and a pool that is soon empty."""
        self._write({"login_timeout": "120s", "login_failure_delay": "0s", "max_unauthenticated_per_address": 0,
                     "park": {"per_user": 2, "time": "500ms"}},
                    lambda upstream: {"connect_timeout": "10s", "answer_timeout": "10s"}, self.pairs[0], lambda each: each.ports[0])

    def write_wild(self, dice):
        """Everything as short and as small as can be, or not."""
        park = {"per_user": dice.choice((0, 1, 3, 5)), "max": dice.choice((2, 100, 100)), "time": dice.choice(("100ms", "2s", "5s")),
                "lifetime": dice.choice(("500ms", "5s", "60s")), "reauth_interval": dice.choice(("100ms", "10s", "10s")),
                "keepalive": dice.choice(("100ms", "300ms", "2s")), "one_password": dice.random() < 0.3}
        settings = {"login_timeout": dice.choice(("1s", "1s", "1s", "2s", "10s")), "login_failure_delay": dice.choice(("0s", "100ms", "1s")),
                    "max_login_failures": dice.choice((1, 3, 20)), "max_clients": dice.choice((3, 12, *[1000] * 8)),
                    "max_clients_per_address": dice.choice((0, 0, 0, 0, 4)), "max_unauthenticated_per_address": dice.choice((0, 0, 0, 2, 20)),
                    "epoch": dice.choice((0, 0, 0, 1)),
                    "languages": dice.choice(("auto", "auto", "off")), "park": park}

        def of_upstream(_):
            return {"connect_timeout": dice.choice(("100ms", "1s", "5s", "5s")), "answer_timeout": dice.choice(("100ms", "500ms", "5s", "5s")),
                    "authorization_identity": dice.choice(("pass", "pass", "refuse"))}
        self._write(settings, of_upstream, dice.choice(self.pairs), lambda each: dice.choice(each.ports))

    def spoil(self):
        """What is read at a reload is no configuration: everything stays as it was."""
        self.config_file.write_text("listener {")

    def _write(self, settings, of_upstream, pair, port):
        keys = {"tls_cert_file": str(pair[0]), "tls_key_file": str(pair[1])}
        sections = [listener(each.name, each.port, tls=each.tls, upstream=each.upstream.name, **each.settings,
                             **(keys if each.tls != "none" else {}),
                             **({"accept_proxy": True, "trusted_networks": "127.0.0.0/8"} if each.is_proxied else {}))
                    for each in self.listeners]
        sections += [upstream(f"localhost:{port(each)}" if each.tls != "none" else port(each), each.name, tls=each.tls,
                              **({"tls_ca_file": str(self.ca_file)} if each.tls != "none" else {}),
                              send_client_address=each.tells_address, **of_upstream(each)) for each in self.upstreams]
        assert all(isinstance(each, Section) for each in sections)
        self.config_file.write_text(render(sections, {"workers": self.workers, "log_level": "debug", "shutdown_timeout": "500ms"} | settings))

    # Life

    async def start(self, workers):
        """With a log of its own; the one before is kept beside it."""
        self.workers = workers
        self.write_calm()
        if self.log_file.exists():
            self.log_file.rename(self.log_file.with_suffix(".before"))
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen((str(program("imapstated")), "-c", str(self.config_file)), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=os.environ | {"UBSAN_OPTIONS": "print_stacktrace=1"})
        await self._until(lambda: "ready:" in self.log(), "it is not ready")

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    async def reloaded(self):
        """A reload that has been seen to succeed; signals that were on their way may count as one."""
        before = self.log().count("reloaded:")
        self.reload()
        await self._until(lambda: self.log().count("reloaded:") > before, "it does not reload")

    async def stop(self):
        """By SIGTERM, whatever it is doing: in order, in time, and without a report."""
        self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                return self.fail(f"it has not ended {PATIENCE_S} s after SIGTERM")
            await asyncio.sleep(0.02)
        return self._inquest(expected=True)

    def watch(self):
        """It never ends but by SIGTERM."""
        if self.process.poll() is not None:
            self._inquest(expected=False)

    def _inquest(self, expected):
        log = self.log()
        if self.process.returncode != 0 or not expected:
            self.fail(f"it has ended with {self.process.returncode}")
        if report := _REPORT.search(log):
            self.fail(f"it reports\n{log[max(0, report.start() - 200):][:6000]}")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    async def _until(self, is_so, what):
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            self.watch()
            if time.monotonic() > deadline:
                return self.fail(what)
            await asyncio.sleep(0.02)
        return None

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def log(self):
        return self.log_file.read_bytes().decode(errors="replace") if self.log_file.exists() else ""
