"""clients/c: the example, built as its README says, against the gateway and a server without STATE."""
import os
import pathlib
import stat
import subprocess

import pytest

from harness.patience import PATIENCE_S
from harness.server import NEW_USER_PASSWORD
from harness.gateway import BUILD
from harness.modules import assert_quoted, round_trips, sanitizers

_FOLDER = pathlib.Path(__file__).resolve().parents[2] / "clients" / "c"
SET_UP = "STATE ENABLE NOTIFY STATUS"


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    folder = tmp_path_factory.mktemp("example")
    flags = " ".join(["-Wall", "-Wextra", "-Werror", *sanitizers()])
    environment = os.environ | {"PKG_CONFIG_PATH": str(BUILD.resolve() / "meson-uninstalled"), "CFLAGS": flags, "LDFLAGS": flags}
    done = subprocess.run(("make", "-C", str(_FOLDER), f"OUT={folder}"), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "example"


class Example:
    def __init__(self, program, kept, user):
        self.program, self.kept, self.user = program, kept, user

    def run(self, port, password=NEW_USER_PASSWORD):
        environment = os.environ | {"LD_LIBRARY_PATH": str(BUILD.resolve() / "src" / "lib")}
        return subprocess.run((str(self.program), "127.0.0.1", str(port), self.user, str(self.kept)), input=password + "\n",
                              env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def ok(self, port):
        """What it said, as (its writes, the server's STATUS lines, whether it was restored)."""
        done = self.run(port)
        assert done.returncode == 0 and done.stderr == "", done
        *lines, last = done.stdout.splitlines()
        return ([line.strip() for line in lines if line.startswith(" ")], [line for line in lines if line.startswith("*")],
                {"restored": True, "set up": False}[last])


@pytest.fixture
def visitor(example, dovecot, tmp_path):
    user = dovecot.new_user()
    dovecot.add_message(user)
    return Example(example, tmp_path / "kept", user)


def test_the_second_visit_is_one_write_before_the_end(visitor, gateway):
    writes, counts, restored = visitor.ok(gateway.plain_port)
    assert (writes, restored) == (["LOGIN", SET_UP, "SAVESTATE LOGOUT"], False)
    assert counts == ["* STATUS INBOX (MESSAGES 1)"]
    assert stat.S_IMODE(visitor.kept.stat().st_mode) == 0o600
    kept = visitor.kept.read_bytes()
    for _ in range(2):
        writes, counts, restored = visitor.ok(gateway.plain_port)
        assert (writes, restored) == (["LOGIN STATE STATUS", "LOGOUT"], True)
        assert "* STATUS INBOX (MESSAGES 1)" in counts
    assert visitor.kept.read_bytes() == kept


def test_round_trips(visitor, gateway, start_recorder):
    """The table in the README: pytest tests/e2e/test_client_c.py -k round_trips -s prints it."""
    recorder = start_recorder(gateway.plain_port)
    for _ in range(2):
        visitor.ok(recorder.port)
    assert_quoted(round_trips(dict(zip(("the first visit", "restored"), recorder.recordings)), "STATUS"), "c/README.md")


def test_p05_a_token_of_another_gateway_is_replaced(visitor, gateway, start_gateway, dovecot):
    visitor.ok(gateway.plain_port)
    other = start_gateway(dovecot.plain_port)
    assert visitor.ok(other.plain_port)[::2] == (["LOGIN STATE STATUS", "ENABLE NOTIFY STATUS", "SAVESTATE LOGOUT"], False)
    assert visitor.ok(other.plain_port)[::2] == (["LOGIN STATE STATUS", "LOGOUT"], True)


def test_p06_a_token_that_cannot_be_tried_is_kept(visitor, start_gateway, start_scripted):
    visitor.user = "ann"
    scripted = start_scripted(users={"ann": NEW_USER_PASSWORD})
    gateway = start_gateway(scripted.port, park={"per_user": 1})
    visitor.ok(gateway.plain_port)
    kept = visitor.kept.read_bytes()
    gateway.wait_log("parked")
    scripted.stop_listening()
    scripted.drop_all()
    assert visitor.run(gateway.plain_port).returncode == 1
    assert visitor.kept.read_bytes() == kept


def test_a_server_without_state_gets_the_set_up_and_no_token(visitor, gateway, dovecot):
    assert visitor.ok(dovecot.plain_port)[::2] == (["LOGIN", "ENABLE NOTIFY STATUS", "LOGOUT"], False)
    assert not visitor.kept.exists()
    visitor.ok(gateway.plain_port)
    assert visitor.ok(dovecot.plain_port)[::2] == (["LOGIN STATE STATUS", "ENABLE NOTIFY STATUS", "LOGOUT"], False)
    assert visitor.kept.read_bytes() == b""
    assert visitor.ok(dovecot.plain_port)[::2] == (["LOGIN", "ENABLE NOTIFY STATUS", "LOGOUT"], False)


def test_what_was_kept_and_is_damaged_is_said_so_and_replaced(visitor, gateway):
    visitor.kept.write_text("nonsense")
    done = visitor.run(gateway.plain_port)
    assert done.returncode == 0 and "damaged" in done.stderr
    assert visitor.ok(gateway.plain_port)[2]
