"""What a page costs the gateway, by counting: calls to the system, and how often it is woken. How long that takes depends on the
machine, and is measured by bench/."""
import contextlib
import shutil
import subprocess

import pytest

from harness.gateway import upstream
from harness.patience import PATIENCE_S
from harness.server import NEW_USER_PASSWORD
from harness.tokens import restore, save

PAGES = 30
# Those that a connection needs; a sanitizer and the log have others.
CALLS = ("accept4", "close", "connect", "epoll_ctl", "epoll_wait", "getpeername", "getsockname", "getsockopt", "recvfrom", "sendmsg",
         "sendto", "setsockopt", "shutdown")
# They are 37.2 and 43.0 on an idle machine, and were 54.9 and 61.0 before each call was looked at. What is more is for the timers of a
# gateway that has to wait for its turn.
PAGE_MAX, RESTORED_MAX = 42, 48

pytestmark = [pytest.mark.once, pytest.mark.skipif(not shutil.which("strace"), reason="there is no strace")]


@contextlib.contextmanager
def counted(gateway, folder):
    """Gives a dictionary that has the number of each call, once it is over."""
    table, counts = folder / "calls", {}
    command = ["strace", "-f", "-c", "-e", "trace=" + ",".join(CALLS), "-o", table, "-p", str(gateway.process.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        line = strace.stderr.readline()
        assert "attached" in line, line
        yield counts
        strace.terminate()
        strace.communicate(timeout=PATIENCE_S)
    for line in table.read_text().splitlines():
        words = line.split()
        if words and words[-1] in CALLS:
            counts[words[-1]] = int(words[3])


@pytest.fixture(name="gateway")
def fixture_gateway(dovecot, start_gateway):
    return start_gateway([upstream(dovecot.plain_port)], park={"per_user": 2}, log_level="info", workers=1)


@pytest.fixture(name="user")
def fixture_user(dovecot):
    user = dovecot.new_user()
    dovecot.add_message(user)
    return user


def page(gateway, user, token=None):
    with gateway.session(user, NEW_USER_PASSWORD) as client:
        if token:
            restore(client, token)
        for command in ("SELECT INBOX", "FETCH 1:* (UID FLAGS ENVELOPE)"):
            client.ok(command)
        client.logout()


def calls_each(gateway, user, folder, token=None):
    """Of a page that is served by a parked connection."""
    page(gateway, user, token)
    with counted(gateway, folder) as counts:
        for _ in range(PAGES):
            page(gateway, user, token)
    assert counts["accept4"] >= PAGES and "connect" not in counts, counts
    return sum(counts.values()) / PAGES, counts


def test_a_warm_page_needs_few_calls_to_the_system(gateway, user, tmp_path):
    each, counts = calls_each(gateway, user, tmp_path)
    assert each <= PAGE_MAX, counts


def test_a_restored_page_needs_few_calls_to_the_system(gateway, user, tmp_path):
    with gateway.session(user, NEW_USER_PASSWORD) as client:
        token = save(client, "ENABLE QRESYNC", "NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange))")
        client.logout()
    each, counts = calls_each(gateway, user, tmp_path, token)
    assert each <= RESTORED_MAX, counts
