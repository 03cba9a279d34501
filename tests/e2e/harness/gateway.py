"""imapstated under test: a configuration from Python values, a process, its log."""
import base64
import ctypes
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

from . import net
from .imap import Client
from .patience import PATIENCE_S, wait_until

_TREE = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("IMAPSTATE_BUILD", _TREE / "build"))
_SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|runtime error:")

# Short where a test would wait, and no waiting where a test does not ask for it. No parking: each session has an
# upstream connection of its own, unless a test gives park={...}. More workers make more of ThreadSanitizer. Tests open
# many connections from one address, and some take their time.
DEFAULTS = {"workers": int(os.environ.get("IMAPSTATE_WORKERS", 1)), "log_level": "debug", "login_failure_delay": "0s", "shutdown_timeout": "500ms",
            "park": {"per_user": 0}, "max_unauthenticated_per_address": 0}


# The descriptors of the first argument become those from 3 on, as a service manager does it; then the rest is run.
_GIVE = """import os, sys
high = [os.dup2(int(fd), 100 + at) for at, fd in enumerate(sys.argv[1].split(","))]
for at, fd in enumerate(high, 3):
    os.dup2(fd, at)
    os.close(fd)
os.environ |= {"LISTEN_FDS": str(len(high)), "LISTEN_PID": str(os.getpid())}
os.execvp(sys.argv[2], sys.argv[2:])"""


class Section(dict):
    """A section of the configuration: Section("listener", "imap", address=..., tls=...)."""

    def __init__(self, kind, name, **settings):
        super().__init__(settings)
        self.kind, self.name = kind, name


def upstream(target, name="main", **settings):
    """The upstream section for a port of 127.0.0.1, an "address:port" or a "unix:/path". A test that is not about its patience
    finds it as patient as itself."""
    address = f"{net.LOOPBACK}:{target}" if isinstance(target, int) else target
    return Section("upstream", name, address=address, **({"tls": "none", "connect_timeout": f"{PATIENCE_S:.0f}s"} | settings))


def listener(name, port, **settings):
    return Section("listener", name, **({"address": f"{net.LOOPBACK}:{port}", "tls": "none"} | settings))


def write_keys(path, *keys):
    """A key file. Each key is (id, time from which it seals); all octets are random."""
    lines = [f"{number:08x} {seals_from} {base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip('=')}\n"
             for number, seals_from in keys]
    path = pathlib.Path(path)
    path.write_text("".join(lines))
    path.chmod(0o600)
    return path


def render(sections, settings):
    """The text of a configuration file. True and False, numbers, text, and lists of text; a dict is a section without a
    name."""
    lines = [f"{name}{' ' if isinstance(value, dict) else ' = '}{_value(value)}" for name, value in settings.items()]
    for section in sections:
        lines.append(f"{section.kind} {_value(section.name)} {{")
        lines += [f"  {name} = {_value(value)}" for name, value in section.items()]
        lines.append("}")
    return "\n".join(lines) + "\n"


class Adopted:
    """A process that is not this one's child by birth: nobody's, until whoever started it was gone. As much of Popen as a
    Gateway needs."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None

    def poll(self):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout):
        try:
            return wait_until(lambda: self.poll() is not None and self) and self.returncode
        except AssertionError:
            raise subprocess.TimeoutExpired("imapstated", timeout) from None

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def adopt_orphans():
    """Whoever becomes nobody's child becomes this process's."""
    assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER


class Gateway:
    """Starts imapstated with three listeners (plain_port, starttls_port, tls_port) in front of the given upstreams, and
    waits until it is ready. More listeners, or upstreams by hand, through sections; more settings by name; those of the
    three listeners through every_listener.

    start=False only writes the configuration; start() then starts it. prefix: words before the command, such as those of a
    program that changes its surroundings and then becomes it by exec. binary: another one than the build's.
    given: sockets that it gets from its service manager, the first time (sd_listen_fds(3))."""

    def __init__(self, folder, upstreams, certificate, *, sections=(), every_listener=None, start=True, prefix=(), binary=None, given=(), **settings):
        self.prefix, self.binary, self.given = prefix, binary, given
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.plain_port, self.starttls_port, self.tls_port = net.free_port(), net.free_port(), net.free_port()
        pair = {"tls_cert_file": str(certificate[0]), "tls_key_file": str(certificate[1])}
        first = {"upstream": upstreams[0].name} if len(upstreams) > 1 else {}
        first |= every_listener or {}
        self.sections = [
            listener("plain", self.plain_port, **first),
            listener("starttls", self.starttls_port, tls="starttls", require_tls=True, **pair, **first),
            listener("tls", self.tls_port, tls="implicit", **pair, **first),
            *upstreams, *sections]
        self.settings = DEFAULTS | settings
        if isinstance(self.settings.get("control"), dict):
            self.settings["control"] = {"socket": str(self.folder / "control")} | self.settings["control"]
        self.config_file = self.folder / "imapstated.conf"
        self.log_file = self.folder / "imapstated.log"
        self.process = None
        self.old = []  # those that it has taken over from
        self.transcripts = []
        self.write_config()
        if start:
            self.start()

    def write_config(self, **settings):
        """Again, with some settings changed; reload() or start() makes the gateway read it."""
        self.settings |= settings
        self.config_file.write_text(render(self.sections, self.settings))

    def start(self):
        binary = self.binary or program("imapstated")
        environment = os.environ | {"UBSAN_OPTIONS": "print_stacktrace=1"}
        with open(self.log_file, "ab") as log:
            seen = log.tell()
            given, self.given = [sock.fileno() for sock in self.given], ()
            prefix = (*self.prefix, sys.executable, "-c", _GIVE, ",".join(map(str, given))) if given else self.prefix
            self.process = subprocess.Popen((*prefix, str(binary), "-c", str(self.config_file)), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=environment, pass_fds=given)
        try:
            self.wait_log(r"ready:", since=seen)
        except AssertionError:
            self.kill()
            raise

    def stop(self):
        """Ends it by SIGTERM, as an operator does; it must leave in order and without a sanitizer's report."""
        if not self.process:
            return
        processes = [*self.old, self.process]
        self.old, self.process = [], None
        for process in processes:
            self._stop(process)
        report = _SANITIZER.search(self.log())
        assert not report, f"a sanitizer reports\n{self.log()[max(0, report.start() - 200):][:6000]}"

    def _stop(self, process):
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE_S)
            raise AssertionError(f"imapstated did not end on SIGTERM\n{self.log()[-4000:]}") from None
        assert status == 0, f"imapstated ended with {status}\n{self.log()[-4000:]}"

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def upgrade(self):
        """Another process takes over; gives the old one, which drains."""
        adopt_orphans()
        seen = self.log_octets()
        self.process.send_signal(signal.SIGUSR2)
        return self.has_been_taken_over(seen)

    def has_been_taken_over(self, seen):
        """The same, if it was told in another way."""
        old = self.process
        match = self.wait_log(r"process (\d+) has taken over", since=seen)
        self.process = Adopted(int(match.group(1)))
        self.old.append(old)
        self.wait_log(rf"\[{self.process.pid}\]: info: ready: ", since=seen)
        return old

    def client(self, listener_port=None, **arguments):
        """A client on the plain listener, or another port. Remembered for the report of a failed test."""
        client = Client(listener_port or self.plain_port, **arguments)
        self.transcripts.append(client)
        return client

    def session(self, user="ann", password="secret", listener_port=None, **arguments):
        """A client that has logged in by LOGIN."""
        client = self.client(listener_port, **arguments)
        client.login(user, password)
        return client

    def ctl(self, *words, status=0, **settings):
        """A command for it by imapstatectl; the gateway has been given control={}. Gives what that says."""
        command = [program("imapstatectl"), "--socket", self.settings["control"]["socket"], *map(str, words)]
        done = subprocess.run(command, **({"capture_output": True, "text": True, "timeout": PATIENCE_S} | settings))
        assert done.returncode == status, f"{words} ended with {done.returncode}, not {status}:\n{done.stdout}\n{done.stderr}"
        return done.stdout if status == 0 else done.stderr

    def rows(self, what, *options):
        """What it shows, as it tells programs."""
        return json.loads(self.ctl("--json", "show", what, *options))

    def close_clients(self):
        for client in self.transcripts:
            client.close()
        self.transcripts = []

    def log(self, since=0):
        return self.log_file.read_bytes()[since:].decode(errors="replace") if self.log_file.exists() else ""

    def log_octets(self):
        """How long the log is now: a mark for wait_log(since=) and log(since=)."""
        return self.log_file.stat().st_size

    def wait_log(self, pattern, since=0, seconds=PATIENCE_S):
        """Until the log has the regular expression; gives the match."""
        def find():
            has_ended = self.process.poll() is not None  # asked first: all that it has written is in the log then
            match = re.search(pattern, self.log(since))
            assert match or not has_ended, f"imapstated has ended with {self.process.returncode}:\n{self.log(since)[-4000:]}"
            return match

        return wait_until(find, lambda: f"not in the log in time: {pattern}\n{self.log(since)[-4000:]}", seconds=seconds)

    def exhibit(self):
        return f"imapstated, {self.log_file}", "\n".join(self.log().splitlines()[-60:])


def reload(gateway, expect="reloaded: "):
    """By SIGHUP, and waits for what is expected to come of it; gives what the log has of it."""
    seen = gateway.log_octets()
    gateway.reload()
    gateway.wait_log(expect, since=seen)
    return gateway.log(seen)


def program(name):
    """The path of a built program; an error that says what to do if it is not there."""
    folder = {"imapstated": "daemon", "imapstatectl": "ctl"}[name]
    path = BUILD / "src" / folder / name
    assert path.exists(), f"{path} is not built: meson setup build && ninja -C build, or set IMAPSTATE_BUILD"
    return path


def _value(value):
    if isinstance(value, dict):
        return "".join(("{\n", *(f"  {name} = {_value(each)}\n" for name, each in value.items()), "}"))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "{ " + ", ".join(_value(each) for each in value) + " }"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
