"""What an operator has the running daemon do: kick, forget, revoke, upstream (docs/operations.md, "Look and steer")."""
import re
import socket

import pytest

from harness.controls import Control
from harness.gateway import adopt_orphans, upstream, write_keys
from harness.net import LOOPBACK
from harness.parking import Lot
from harness.patience import wait_until
from harness.tokens import fail_to_restore, restore, save

SETUP = "ENABLE QRESYNC"
PAST = "2020-01-01T00:00:00Z"


@pytest.fixture
def lot(scripted, start_gateway):
    return Lot(start_gateway(scripted.port, control={}, park={"per_user": 2}), scripted)


# --- kick ---

def test_kick_ends_all_sessions_of_a_user(lot):
    gateway = lot.gateway
    anns, bob = [gateway.session() for _ in range(2)], gateway.session("bob", "hunter2")
    for client in (*anns, bob):
        client.ok("NOOP")
    connections = lot.scripted.sessions[:2]
    assert gateway.ctl("kick", "Ann") == "2 sessions of Ann ended\n"
    for client in anns:
        assert client.rest() == [b"* BYE [UNAVAILABLE] The administrator has ended this session.\r\n"]
    for connection in connections:  # nor is what it had at the server kept
        lot.wait_closed(connection)
    assert gateway.rows("parked") == []
    bob.ok("NOOP")
    gateway.wait_log("user=ann .*closing: ended by the operator")


def test_kick_ends_one_client_by_its_id(lot):
    gateway = lot.gateway
    first, second, newcomer = gateway.session(), gateway.session(), gateway.client()
    ids = {row["from"]: row["id"] for row in gateway.rows("clients")}
    for client in (second, newcomer):  # the workers' order is not that in which they came
        client.number = ids["127.0.0.1:%d" % client.wire.sock.getsockname()[1]]
    gateway.ctl("kick", f"#{second.number}")
    assert second.rest()[-1].startswith(b"* BYE")
    gateway.ctl("kick", f"#{newcomer.number}")
    assert newcomer.rest()[-1].startswith(b"* BYE")
    first.ok("NOOP")


def test_kick_in_the_middle_of_something(lot, scripted):
    """A command in flight, an IDLE, a literal on its way, and a login whose answer does not come."""
    gateway = lot.gateway
    scripted.on("SEARCH", lambda connection, *_: None)
    searching, idling, appending = (gateway.session() for _ in range(3))
    searching.start("SEARCH ALL")
    idling.start("IDLE")
    idling.continuation()
    appending.send(b"a APPEND INBOX {1000+}\r\nhalf")
    wait_until(lambda: len(scripted.sessions) == 3)
    gateway.ctl("kick", "ann")
    for client in (searching, idling, appending):
        client.rest()
    wait_until(lambda: gateway.rows("clients") == [])


# --- forget ---

def test_forget_ends_what_is_parked_and_the_next_login_goes_upstream(lot):
    kept = lot.visit()
    assert lot.gateway.ctl("forget", "bob") == "0 parked ended, 0 proofs voided\n"
    assert lot.land()[1] is kept
    lot.leave(lot.gateway.transcripts[-1], kept)
    logins = lot.logins
    assert lot.gateway.ctl("forget", "ANN") == "1 parked ended, 1 proofs voided\n"
    lot.wait_closed(kept)
    lot.land()
    assert lot.logins == logins + 1


def test_forget_all(lot):
    lot.visit()
    lot.visit(user="bob", password="hunter2")
    assert lot.gateway.ctl("forget", "--all") == "2 parked ended, 2 proofs voided\n"
    assert lot.gateway.rows("parked") == []


def test_a_session_from_before_is_not_parked_after_forget(lot):
    client, connection = lot.land()
    lot.gateway.ctl("forget", "ann")
    client.logout()
    lot.wait_closed(connection)
    assert lot.gateway.rows("parked") == []


def test_a_changed_password_counts_after_forget(lot, scripted):
    lot.visit()
    scripted.users["ann"] = "changed"
    lot.gateway.ctl("forget", "ann")
    lot.gateway.client().no("LOGIN ann secret")
    lot.gateway.session("ann", "changed")


# --- revoke ---

@pytest.fixture
def revoking(scripted, start_gateway, tmp_path):
    """A gateway with a revocations_file that has something in it already."""
    path = tmp_path / "revoked"
    path.write_text("# by hand\nbob 1000\n")
    gateway = start_gateway(scripted.port, keys_file=str(write_keys(tmp_path / "keys", (1, PAST))), revocations_file=str(path),
                            park={"per_user": 2}, control={})
    return gateway, path


def test_p05_revoke_voids_what_was_saved_until_now_and_not_what_is_saved_afterwards(revoking):
    gateway, path = revoking
    old = save(gateway.session(), SETUP)
    gateway.ctl("revoke", "ann")
    fail_to_restore(gateway.session(), old)
    new = save(gateway.session(), SETUP)
    restore(gateway.session(), new)
    kept, ours = path.read_text().split("\nann ")
    assert kept == "# by hand\nbob 1000" and re.fullmatch(r"\d{10}\n", ours)
    gateway.wait_log("token was saved before the user's tokens were revoked")


def test_revoke_twice_in_one_second_revokes_what_was_saved_in_between(revoking):
    gateway, path = revoking
    tokens = []
    for _ in range(3):
        tokens.append(save(gateway.session(), SETUP))
        gateway.ctl("revoke", "ann")
    for token in tokens:
        fail_to_restore(gateway.session(), token)
    restore(gateway.session(), save(gateway.session(), SETUP))
    seconds = [int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith("ann ")]
    assert seconds == sorted(set(seconds)) and len(seconds) == 3


def test_a_session_that_is_open_saves_good_tokens_after_revoke(revoking):
    gateway, path = revoking
    client = gateway.session()
    old = save(client, SETUP)
    gateway.ctl("revoke", "ann")
    new = save(client)
    fail_to_restore(gateway.session(), old)
    restore(gateway.session(), new)


def test_revoke_is_for_this_user_alone_or_for_all(revoking):
    gateway, path = revoking
    ann, bob = save(gateway.session(), SETUP), save(gateway.session("bob", "hunter2"), SETUP)
    gateway.ctl("revoke", "Ann")
    fail_to_restore(gateway.session(), ann)
    restore(gateway.session("bob", "hunter2"), bob)
    ann = save(gateway.session(), SETUP)
    gateway.ctl("revoke", "--all")
    fail_to_restore(gateway.session(), ann)
    fail_to_restore(gateway.session("bob", "hunter2"), bob)
    restore(gateway.session(), save(gateway.session(), SETUP))
    assert re.search(r"^\* \d{10}$", path.read_text(), re.M)


def test_revoke_lasts_over_reload_and_restart_and_reaches_other_gateways(revoking, scripted, start_gateway):
    gateway, path = revoking
    other = start_gateway(scripted.port, keys_file=gateway.settings["keys_file"], revocations_file=str(path))
    old = save(gateway.session(), SETUP)
    gateway.ctl("revoke", "ann")
    new = save(gateway.session(), SETUP)
    restore(other.session(), old)  # it has not read the file yet
    for each in (gateway, other):
        since = each.log_octets()
        each.reload()
        each.wait_log("reloaded", since=since)
        fail_to_restore(each.session(), old)
        restore(each.session(), new)
    gateway.stop()
    gateway.start()
    fail_to_restore(gateway.session(), old)
    restore(gateway.session(), new)


def test_a_reload_with_a_broken_line_keeps_what_was_revoked(revoking):
    gateway, path = revoking
    old = save(gateway.session(), SETUP)
    gateway.ctl("revoke", "ann")
    path.write_text("broken\n")
    since = gateway.log_octets()
    gateway.reload()
    gateway.wait_log("reload failed", since=since)
    fail_to_restore(gateway.session(), old)
    gateway.ctl("revoke", "bob")
    fail_to_restore(gateway.session(), old)


def test_revoke_forgets_too(revoking, scripted):
    gateway, path = revoking
    lot = Lot(gateway, scripted)
    kept = lot.visit()
    assert "1 parked ended, 1 proofs voided" in gateway.ctl("revoke", "ann")
    lot.wait_closed(kept)


def test_without_a_file_it_is_held_in_memory_over_reloads(scripted, start_gateway, tmp_path):
    gateway = start_gateway(scripted.port, keys_file=str(write_keys(tmp_path / "keys", (1, PAST))), control={})
    old = save(gateway.session(), SETUP)
    done = gateway.ctl("--json", "revoke", "ann")
    assert "held in memory until this process ends" in done
    new = save(gateway.session(), SETUP)
    since = gateway.log_octets()
    gateway.reload()
    gateway.wait_log("reloaded", since=since)
    fail_to_restore(gateway.session(), old)
    restore(gateway.session(), new)


def test_a_file_that_cannot_be_written_is_told_and_it_holds_all_the_same(scripted, start_gateway, tmp_path):
    gateway = start_gateway(scripted.port, control={}, revocations_file=str(tmp_path / "no" / "such" / "folder"))
    old = save(gateway.session(), SETUP)
    said = gateway.ctl("revoke", "ann", status=1)
    assert "No such file or directory" in said and "held in memory" in said
    fail_to_restore(gateway.session(), old)


@pytest.mark.parametrize("workers", [4])
def test_revoke_holds_on_all_workers_at_once(scripted, start_gateway, tmp_path, workers):
    gateway = start_gateway(scripted.port, control={}, workers=workers, revocations_file=str(tmp_path / "revoked"))
    clients = [gateway.session() for _ in range(16)]
    for client in clients:
        client.ok("STATE")
    for _ in range(3):
        old = save(clients[0])
        gateway.ctl("revoke", "ann")
        new = save(clients[1])
        assert new != old
        for _ in range(8):
            fail_to_restore(gateway.session(), old)
            restore(gateway.session(), new)


# --- upstream up and down ---

def test_an_upstream_that_is_down_gets_no_connection(lot):
    gateway = lot.gateway
    lot.visit()
    client, connection = lot.land()
    said = gateway.ctl("upstream", "main", "down")
    assert said == "no connection to it is opened any more; 0 parked ended; sessions that have one go on\n"
    client.ok("NOOP")
    before = len(lot.scripted.connections)
    assert gateway.client().no("LOGIN ann secret").code == b"UNAVAILABLE"
    assert gateway.client().no("LOGIN bob hunter2").code == b"UNAVAILABLE"
    client.logout()
    lot.wait_closed(connection)
    assert gateway.rows("parked") == []
    assert len(lot.scripted.connections) == before
    assert gateway.rows("upstreams")[0]["state"] == "down"
    gateway.ctl("upstream", "main", "up")
    gateway.session().ok("NOOP")
    assert gateway.rows("upstreams")[0]["state"] == "up"


def test_what_is_parked_there_ends(lot):
    kept = lot.visit()
    assert "1 parked ended" in lot.gateway.ctl("upstream", "main", "down")
    lot.wait_closed(kept)


def test_down_lasts_over_a_reload_and_is_for_this_one_alone(start_scripted, start_gateway):
    servers = [start_scripted(), start_scripted()]
    gateway = start_gateway([upstream(servers[0].port, "one"), upstream(servers[1].port, "two")], control={})
    gateway.ctl("upstream", "two", "down")
    gateway.session()
    gateway.ctl("upstream", "two", "up")
    gateway.ctl("upstream", "one", "down")
    since = gateway.log_octets()
    gateway.reload()
    gateway.wait_log("reloaded", since=since)
    assert gateway.client().no("LOGIN ann secret").code == b"UNAVAILABLE"


# --- listeners ---

def test_drain_and_resume_of_all_listeners(lot):
    gateway = lot.gateway
    client = gateway.session()
    gateway.ctl("drain")
    assert {row["state"] for row in gateway.rows("listeners")} == {"draining"}
    with pytest.raises(ConnectionRefusedError):
        gateway.client()
    client.ok("NOOP")
    gateway.ctl("resume")
    assert {row["state"] for row in gateway.rows("listeners")} == {"open"}
    gateway.session().ok("NOOP")


def test_drain_and_resume_of_one_listener(lot):
    gateway = lot.gateway
    gateway.ctl("drain", "plain")
    assert [row["state"] for row in gateway.rows("listeners")] == ["draining", "open", "open"]
    with pytest.raises(ConnectionRefusedError):
        gateway.client()
    gateway.client(gateway.starttls_port)
    gateway.ctl("resume", "plain")
    gateway.session().ok("NOOP")


# --- reload, log, config ---

def test_reload_says_what_came_of_it(lot):
    gateway = lot.gateway
    assert "reloaded" in gateway.ctl("reload")
    gateway.config_file.write_text("nonsense = 1\n")
    said = gateway.ctl("reload", status=1)
    assert "no such option 'nonsense'" in said and "reload failed" in said
    gateway.write_config()
    assert "reloaded" in gateway.ctl("reload")


def test_log_sets_the_level_for_all_or_for_a_user(lot):
    gateway = lot.gateway
    gateway.ctl("log", "error")
    since = gateway.log_octets()
    gateway.session().logout()
    gateway.ctl("log", "debug", "Bob")
    gateway.session("bob", "hunter2").logout()
    gateway.wait_log("user=bob", since=since)
    assert "user=ann" not in gateway.log(since)
    assert "as all are" in gateway.ctl("log", "info", "bob")
    assert "already" in gateway.ctl("log", "info", "bob", status=1)
    assert "a level is" in gateway.ctl("log", "loud", status=2)
    gateway.ctl("log", "info")
    gateway.session().logout()
    gateway.wait_log("info: .*user=ann", since=since)


def test_show_config(lot):
    shown = lot.gateway.ctl("show", "config")
    assert re.search(r"^max_clients = 20000 +# default$", shown, re.M)
    assert re.search(rf"^  socket = .*control\" +# .*imapstated.conf:\d+$", shown, re.M)
    assert [row["line"] for row in lot.gateway.rows("config")] == [line for line in shown.splitlines()]


# --- a process that drains ---

def test_kick_forget_and_revoke_reach_the_process_that_drains(lot, scripted):
    gateway = lot.gateway
    old = gateway.process.pid
    ann, bob = gateway.session(), gateway.session("bob", "hunter2")
    ann.ok("NOOP")
    bob.ok("NOOP")
    adopt_orphans()
    since = gateway.log_octets()
    assert gateway.ctl("upgrade")
    gateway.has_been_taken_over(since)
    assert gateway.rows("clients") == []
    aside = gateway.folder / f"control.old-{old}"
    assert aside.exists()
    assert "1 session of ann ended" in gateway.ctl("--json", "kick", "ann")
    assert ann.rest()[-1].startswith(b"* BYE")
    assert f"the process that drains ({old})" in gateway.ctl("--json", "forget", "bob")
    bob.ok("NOOP")
    assert f"the process that drains ({old})" in gateway.ctl("--json", "revoke", "bob")
    gateway.ctl("kick", "bob")
    assert bob.rest()[-1].startswith(b"* BYE")
    wait_until(lambda: not aside.exists())  # it has nobody left, and has ended
    gateway.session().ok("NOOP")
    assert len(gateway.rows("clients")) == 1


def test_drain_is_answered_when_it_is_done(scripted, start_gateway):
    """So that the address can be had again at once."""
    gateway = start_gateway(scripted.port, workers=4, control={})
    with Control(gateway.settings["control"]["socket"]) as control:
        for _ in range(50):
            assert control.ask("drain", "plain") == [{"done": "plain accepting nobody"}]
            assert socket.socket().connect_ex((LOOPBACK, gateway.plain_port)) != 0
            assert control.ask("resume", "plain") == [{"done": "plain accepting clients"}]
