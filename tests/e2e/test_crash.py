"""A crash leaves a line with the version and the stack, and nothing else of what the process holds."""
import ctypes
import os
import platform
import re
import signal
import subprocess

import pytest

from harness.gateway import program
from harness.patience import PATIENCE_S, wait_until

pytestmark = pytest.mark.skipif(b"__asan_init" in program("imapstated").read_bytes() or b"__tsan_init" in program("imapstated").read_bytes(),
                                reason="the sanitizer takes these signals itself")


TGKILL = {"x86_64": 234, "aarch64": 131}[platform.machine()]


def threads(gateway):
    """By number: the main one, the log's, the janitor's and the workers'."""
    return sorted(map(int, os.listdir(f"/proc/{gateway.process.pid}/task")))


def functions(line):
    """What the places in the program are, outermost last; those of libraries left out."""
    places = re.findall(r" imapstated\+(0x[0-9a-f]+)", line)
    told = subprocess.run(["addr2line", "-f", "-e", str(program("imapstated")), *places], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    return told.stdout.splitlines()[::2]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL])
def test_the_main_threads_crash(scripted_gateway, number):
    scripted_gateway.session()
    os.kill(scripted_gateway.process.pid, number)
    assert scripted_gateway.process.wait(PATIENCE_S) == -number
    lines = [line for line in scripted_gateway.log().splitlines() if "crash" in line]
    assert len(lines) == 1
    version = subprocess.run([program("imapstated"), "-V"], capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout.split()[1]
    assert re.fullmatch(rf"imapstated\[{scripted_gateway.process.pid}\]: error: crash: {number.name}, version {re.escape(version)}, stack: [\w.+? -]+", lines[0])
    assert {"steering_run", "daemon_run", "main"} <= set(functions(lines[0]))
    assert "secret" not in lines[0]
    scripted_gateway.process = None


def test_a_workers_crash_has_the_workers_stack(scripted, start_gateway):
    gateway = start_gateway(scripted.port)
    gateway.session().ok("NOOP")
    pid = gateway.process.pid
    assert ctypes.CDLL(None).syscall(TGKILL, pid, threads(gateway)[-1], signal.SIGSEGV) == 0
    assert gateway.process.wait(PATIENCE_S) == -signal.SIGSEGV
    line, = [line for line in gateway.log().splitlines() if "crash" in line]
    assert {"worker_run", "loop_run"} <= set(functions(line))
    gateway.process = None


def test_the_line_is_an_object_where_all_are(scripted, start_gateway):
    gateway = start_gateway(scripted.port, log_format="json")
    os.kill(gateway.process.pid, signal.SIGSEGV)
    gateway.process.wait(PATIENCE_S)
    wait_until(lambda: '"message":"crash: SIGSEGV, version ' in gateway.log())
    gateway.process = None
