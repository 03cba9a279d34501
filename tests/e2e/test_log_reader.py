"""A log that nobody reads: mail goes on, and what is lost is said."""
import os
import re
import signal
import subprocess
import threading

import pytest

from harness.gateway import program
from harness.metrics import Metrics


class Unread:
    """The gateway of a test once more, with its log in a pipe that is read only when the test says so."""

    def __init__(self, config):
        self.read_end, write_end = os.pipe()
        self.process = subprocess.Popen((str(program("imapstated")), "-c", str(config)), stderr=write_end, stdin=subprocess.DEVNULL)
        os.close(write_end)

    def read_until(self, pattern, seconds=60):
        """Gives all that was read."""
        text, done = bytearray(), threading.Event()

        def read():
            while not re.search(pattern, text) and (more := os.read(self.read_end, 1 << 16)):
                text.extend(more)
            done.set()
        threading.Thread(target=read, daemon=True).start()
        assert done.wait(seconds), text[-2000:]
        return bytes(text)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(60)
        os.close(self.read_end)


@pytest.fixture(name="start_unread")
def fixture_start_unread(start_gateway):
    started = []

    def start(scripted, **settings):
        gateway = start_gateway(scripted.port, **settings)
        gateway.stop()
        unread = Unread(gateway.config_file)
        started.append(unread)
        unread.read_until(rb"ready: ")
        return gateway, unread
    yield start
    for each in started:
        each.stop()


def sessions(gateway, count):
    for _ in range(count):
        client = gateway.session()
        client.ok("NOOP")
        client.logout()


def test_mail_goes_on_while_nobody_reads_the_log(start_unread, scripted):
    http, metrics = Metrics.settings()
    gateway, unread = start_unread(scripted, log_level="debug", **http)
    assert metrics.sum("log_lines_lost_total") == 0
    sessions(gateway, 700)  # some 1.5 MB of log: more than the pipe and the queue take
    assert metrics.sum("log_lines_lost_total") > 0
    text = unread.read_until(rb"log: \d+ lines are lost here")
    sessions(gateway, 1)
    lines = text.split(b"\n")
    assert all(re.match(rb"\d{4}-\d\d-\d\dT[\d:.]+Z imapstated\[\d+\]: \w+: ", line) for line in lines if line)
    lost = int(re.search(rb"log: (\d+) lines are lost here", text).group(1))
    assert lost > 0
    unread.read_until(rb"closing: logout")
    unread.process.send_signal(signal.SIGTERM)
    unread.read_until(rb"info: stopped\n")
    assert unread.process.wait(60) == 0


def test_the_daemon_ends_though_nobody_reads_its_log(start_unread, scripted):
    gateway, unread = start_unread(scripted, log_level="debug")
    sessions(gateway, 60)  # more than the pipe takes
    unread.process.send_signal(signal.SIGTERM)
    assert unread.process.wait(60) == 0


def test_what_is_queued_is_written_before_the_end(start_unread, scripted):
    gateway, unread = start_unread(scripted, log_level="debug")
    sessions(gateway, 60)
    unread.process.send_signal(signal.SIGTERM)
    text = unread.read_until(rb"info: stopped\n")
    assert text.count(b"closing: logout") == 60
    assert unread.process.wait(60) == 0


def test_a_log_pipe_that_is_gone_ends_nothing(start_unread, scripted):
    gateway, unread = start_unread(scripted, log_level="debug")
    os.close(unread.read_end)
    unread.read_end = os.open(os.devnull, os.O_RDONLY)
    sessions(gateway, 20)
    unread.process.send_signal(signal.SIGTERM)
    assert unread.process.wait(60) == 0
