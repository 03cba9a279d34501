"""./run behind its build: the demo comes up on its fixed ports, shows restores, and ends."""
import pathlib
import socket
import subprocess
import sys

import pytest

from harness.net import LOOPBACK
from harness.patience import PATIENCE_S

DEMO = (sys.executable, "-B", str(pathlib.Path(__file__).resolve().parents[2] / "demo" / "demo.py"))
PORTS = (1143, 1993, 9143)


def is_in_use(port):
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


@pytest.mark.once
def test_it_comes_up_shows_restores_and_ends():
    if any(map(is_in_use, PORTS)):
        pytest.skip("somebody else is at the ports of the demo")
    try:
        shown = subprocess.run((*DEMO, "--detach"), capture_output=True, text=True, timeout=PATIENCE_S)
        assert shown.returncode == 0, shown.stdout + shown.stderr
        assert "restored=cold" in shown.stdout and "restored=warm" in shown.stdout
        assert all(map(is_in_use, PORTS))
    finally:
        ended = subprocess.run((*DEMO, "--stop"), capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.stdout == "stopped\n" and not any(map(is_in_use, PORTS))
