"""What the service manager is told, and what it gives: a scripted NOTIFY_SOCKET, LISTEN_FDS, WATCHDOG_USEC. And the units."""
import contextlib
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from harness.gateway import Section, reload
from harness.net import LOOPBACK
from harness.patience import PATIENCE_S

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Manager:
    """As much of systemd as a service sees."""

    def __init__(self, folder):
        self.path = str(folder / "notify.sock")
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(self.path)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._sock.settimeout(PATIENCE_S)
        self.heard = []  # (pid, line)

    def prefix(self, **environment):
        return ("env", f"NOTIFY_SOCKET={self.path}", *(f"{name}={value}" for name, value in environment.items()))

    def hear(self):
        text, ancillary, _, _ = self._sock.recvmsg(4096, 64)
        pid = int.from_bytes(ancillary[0][2][:4], sys.byteorder)
        self.heard += [(pid, line) for line in text.decode().splitlines()]

    def wait(self, pattern, since=0):
        """The first line from there on that matches; gives its index."""
        at = since
        while True:
            while at == len(self.heard):
                self.hear()
            if re.fullmatch(pattern, self.heard[at][1]):
                return at
            at += 1

    def close(self):
        self._sock.close()


@pytest.fixture
def manager(tmp_path):
    with contextlib.closing(Manager(tmp_path)) as manager:
        yield manager


def test_ready_comes_when_it_listens_and_stopping_when_it_ends(scripted, start_gateway, manager):
    gateway = start_gateway(scripted.port, prefix=manager.prefix())
    pid = gateway.process.pid
    ready = manager.wait("READY=1")
    status = manager.wait("STATUS=ready: 1 workers, 3 listeners, 1 upstreams")
    assert manager.heard[ready][0] == manager.heard[status][0] == pid
    gateway.session().ok("NOOP")
    gateway.close_clients()
    gateway.stop()
    manager.wait("STOPPING=1", status)


def test_a_port_in_use_fails_the_start_and_it_is_never_ready(scripted_gateway, manager):
    with socket.create_server((LOOPBACK, 0)) as other:
        scripted_gateway.stop()
        scripted_gateway.prefix = manager.prefix()
        scripted_gateway.sections.append(Section("listener", "taken", address=f"{LOOPBACK}:{other.getsockname()[1]}", tls="none"))
        scripted_gateway.write_config()
        with pytest.raises(AssertionError, match=f'listener "taken": {LOOPBACK}:.*: Address already in use'):
            scripted_gateway.start()
    scripted_gateway.sections.pop()
    scripted_gateway.write_config()
    scripted_gateway.start()
    assert manager.wait("READY=1") == 0  # the first that is heard at all, and the second process's
    assert manager.heard[0][0] == scripted_gateway.process.pid


def test_the_old_process_names_the_new_one_before_that_says_ready(scripted, start_gateway, manager):
    gateway = start_gateway(scripted.port, prefix=manager.prefix())
    kept = gateway.session()
    status = manager.wait("STATUS=ready.*")
    old = gateway.upgrade()
    main = manager.wait(f"MAINPID={gateway.process.pid}", status + 1)
    ready = manager.wait("READY=1", status + 1)
    assert manager.heard[main][0] == old.pid and manager.heard[ready][0] == gateway.process.pid
    # What one who is not the main process says is not accepted: the new one is silent before.
    assert {pid for pid, _ in manager.heard[status + 1:main]} <= {old.pid}
    assert main < ready
    # The old one's end is not the service's.
    since = len(manager.heard)
    kept.logout()
    kept.close()
    assert old.wait(PATIENCE_S) == 0
    gateway.close_clients()
    new_pid = gateway.process.pid
    gateway.stop()
    stopping = manager.wait("STOPPING=1", since)
    assert manager.heard[stopping][0] == new_pid


def test_an_upgrade_that_fails_is_nothing_to_the_manager(scripted, start_gateway, manager):
    gateway = start_gateway(scripted.port, prefix=manager.prefix())
    status = manager.wait("STATUS=ready.*")
    gateway.write_config(keys_file="/nonexistent")
    seen = gateway.log_octets()
    gateway.process.send_signal(signal.SIGUSR2)
    gateway.wait_log("upgrade failed", since=seen)
    gateway.process.send_signal(signal.SIGQUIT)
    manager.wait("STATUS=draining", status + 1)
    assert not [line for _, line in manager.heard[status + 1:] if line.startswith(("MAINPID", "READY"))]
    assert gateway.process.wait(PATIENCE_S) == 0
    gateway.process = None


def test_the_watchdog_is_told_as_long_as_the_workers_turn_after_an_upgrade_too(scripted, start_gateway, manager):
    gateway = start_gateway(scripted.port, workers=3, prefix=("sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh", *manager.prefix(WATCHDOG_USEC=600000)))
    first = manager.wait("WATCHDOG=1")
    manager.wait("WATCHDOG=1", first + 1)
    old = gateway.upgrade()
    main = manager.wait("MAINPID=.*")
    told = manager.wait("WATCHDOG=1", main + 1)
    manager.wait("WATCHDOG=1", told + 1)
    assert {pid for pid, line in manager.heard[main + 1:] if line == "WATCHDOG=1"} == {gateway.process.pid}
    assert old.wait(PATIENCE_S) == 0


def test_nobody_is_told_who_does_not_wait(scripted, start_gateway, manager):
    gateway = start_gateway(scripted.port, prefix=manager.prefix())
    manager.wait("STATUS=ready.*")
    for _ in range(3):
        reload(gateway)
    gateway.stop()
    manager.wait("STOPPING=1")
    assert "WATCHDOG=1" not in [line for _, line in manager.heard]


@pytest.mark.parametrize("workers", [1, 3])
def test_sockets_of_the_managers_serve_the_listeners_of_their_addresses(scripted, start_gateway, tmp_path, workers):
    path = tmp_path / "imap.sock"
    with socket.create_server((LOOPBACK, 0)) as tcp, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(path))
        local.listen(16)
        path.chmod(0o640)
        port = tcp.getsockname()[1]
        waiting = socket.create_connection((LOOPBACK, port))  # before there is a daemon
        sections = [Section("listener", "tcp", address=f"{LOOPBACK}:{port}", tls="none"),
                    Section("listener", "local", address=f"unix:{path}", tls="none")]
        gateway = start_gateway(scripted.port, workers=workers, sections=sections, given=(tcp, local))
        waiting.settimeout(PATIENCE_S)
        assert waiting.recv(100).startswith(b"* OK")
        waiting.close()
        for target in (port, str(path)):
            for _ in range(10):
                gateway.session(listener_port=target).ok("NOOP")
        assert path.stat().st_mode & 0o777 == 0o640
        reload(gateway)
        gateway.upgrade()
        for target in (port, str(path)):
            gateway.session(listener_port=target).ok("NOOP")
        gateway.close_clients()
        gateway.stop()
        # The manager's are still open: who comes now waits for the next daemon.
        socket.create_connection((LOOPBACK, port)).close()


def test_what_is_no_listening_socket_fails_the_start(scripted_gateway):
    scripted_gateway.stop()
    with socket.socket() as idle:
        scripted_gateway.given = (idle,)
        with pytest.raises(AssertionError, match="socket 0 of the service manager's: it is no listening stream socket"):
            scripted_gateway.start()


@pytest.mark.parametrize("unit", ["imapstated.service", "imapstated.socket"])
def test_the_units_are_sound(unit, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze")
    for path in (ROOT / "packaging").glob("imapstated.s*"):
        text = path.read_text()
        for name in ("imapstated", "imapstatectl"):
            text = re.sub(rf"^(Exec\w+=){name} ", r"\1/bin/true ", text, flags=re.M)
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(tmp_path / unit)], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    said = [line for line in done.stderr.splitlines() if "imapstated" in line]
    assert not said, said


def test_the_unit_waits_for_a_reload_and_starts_a_crashed_daemon_within_a_second():
    unit = (ROOT / "packaging" / "imapstated.service").read_text()
    assert re.search(r"^Type=notify$", unit, re.M) and re.search(r"^ExecReload=imapstatectl reload$", unit, re.M)
    assert re.search(r"^WatchdogSec=\d+", unit, re.M) and re.search(r"^Restart=on-failure$", unit, re.M)
    assert re.search(r"^RestartSec=\d{1,3}ms$", unit, re.M)
