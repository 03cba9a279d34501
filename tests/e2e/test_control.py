"""The control socket, and what an operator sees by it (docs/operations.md, "Look and steer")."""
import json
import os
import pathlib
import re
import socket
import stat
import subprocess
import sys

import pytest

from clients.screen import Screen
from harness.controls import Control
from harness.gateway import program, upstream
from harness.parking import Lot
from harness.patience import PATIENCE_S, wait_until
from harness.tokens import save

WIDTH = 80
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def gateway(scripted, start_gateway):
    return start_gateway(scripted.port, control={}, park={"per_user": 2})


def socket_of(gateway):
    return pathlib.Path(gateway.settings["control"]["socket"])


def without(row, *keys):
    return {key: value for key, value in row.items() if key not in keys}


# --- what is shown ---

def test_show_clients(gateway, scripted):
    ann, newcomer = gateway.session(), gateway.client()
    ann.ok("NOOP")
    rows = gateway.rows("clients")
    assert [without(row, "id", "session", "from", "age_s", "idle_s") for row in rows] == [
        {"user": "ann", "state": "authenticated", "listener": "plain", "upstream": "main", "server": f"127.0.0.1:{scripted.port}",
         "tls": None, "restored": None},
        {"user": None, "state": "not authenticated", "listener": "plain", "upstream": "main", "server": None, "tls": None,
         "restored": None}]
    assert [row["from"] for row in rows] == [f"127.0.0.1:{each.wire.sock.getsockname()[1]}" for each in (ann, newcomer)]
    table = gateway.ctl("show", "clients").splitlines()
    assert table[0].split() == ["ID", "USER", "STATE", "FROM", "AGE", "IDLE"] and len(table) == 3
    assert table[1].split()[:3] == [rows[0]["id"], "ann", "authenticated"]


def test_a_client_has_the_id_of_the_log(gateway):
    gateway.session()
    assert re.search(rf"client={gateway.rows('clients')[0]['id']} .*user=ann", gateway.log())


def test_show_clients_over_tls_and_in_idle(gateway, trust, scripted):
    client = gateway.session(listener_port=gateway.tls_port, tls=trust)
    client.start("IDLE")
    client.continuation()
    row = gateway.rows("clients")[0]
    assert row["tls"] == "TLSv1.3" and row["state"] == "idling" and row["listener"] == "tls"


@pytest.mark.parametrize(("options", "users"), [
    (("--user", "ann"), ["ann"]), (("--user=BOB",), ["bob"]), (("--user", "an"), []), (("--upstream", "main"), ["ann", "bob"]),
    (("--upstream", "nix"), []), (("--address", "127.0.0.1"), ["ann", "bob"]), (("--address", "::1"), []),
    (("--user", "ann", "--address", "127.0.0.1"), ["ann"])])
def test_filters(gateway, options, users):
    clients = [gateway.session("ann"), gateway.session("bob", "hunter2")]
    assert [row["user"] for row in gateway.rows("clients", *options)] == users
    assert sorted(row["user"] for row in gateway.rows("users", *options)) == users
    lot_log = gateway.log_octets()
    for client in clients:
        client.logout()
    gateway.wait_log("(?s)park: parked,.*park: parked,", since=lot_log)
    assert sorted(row["user"] for row in gateway.rows("parked", *options)) == users


def test_show_parked_and_users(gateway, scripted):
    lot = Lot(gateway, scripted)
    lot.visit("STATE", "ENABLE QRESYNC")
    lot.visit()
    client = gateway.session("bob", "hunter2")
    client.ok("NOOP")
    rows = gateway.rows("parked")
    assert [row["kind"] for row in rows] == ["state", "pristine"]
    assert without(rows[0], "kind", "parked_s", "age_s") == {"user": "ann", "upstream": "main", "server": f"127.0.0.1:{scripted.port}",
                                                             "tls": False, "suspended": False}
    assert [without(row, "oldest_s") for row in gateway.rows("users")] == [
        {"user": "bob", "upstreams": ["main"], "sessions": 1, "parked": 0},
        {"user": "ann", "upstreams": ["main"], "sessions": 0, "parked": 2}]
    assert "pristine" in gateway.ctl("show", "parked") and re.search(r"^ann +main +0 +2 ", gateway.ctl("show", "users"), re.M)


def test_a_parked_connection_that_is_suspended_is_shown_so(gateway, scripted):
    Lot(gateway, scripted).visit()
    gateway.client().no("LOGIN ann wrong")
    assert [row["suspended"] for row in gateway.rows("parked")] == [True]


def test_show_upstreams_and_listeners(start_scripted, start_gateway):
    servers = [start_scripted(), start_scripted()]
    gateway = start_gateway([upstream(servers[0].port, "one"), upstream(servers[1].port, "two")], control={})
    client = gateway.session()
    client.ok("NOOP")
    rows = gateway.rows("upstreams")
    assert [(row["name"], row["address"], row["state"], row["connected"], row["parked"]) for row in rows] == [
        ("one", f"127.0.0.1:{servers[0].port}", "up", 1, 0), ("two", f"127.0.0.1:{servers[1].port}", "up", 0, 0)]
    assert [row["name"] for row in gateway.rows("upstreams", "--upstream", "two")] == ["two"]
    listeners = gateway.rows("listeners")
    assert [(row["name"], row["addresses"], row["tls"], row["state"], row["sessions"]) for row in listeners] == [
        ("plain", [f"127.0.0.1:{gateway.plain_port}"], "none", "open", 1),
        ("starttls", [f"127.0.0.1:{gateway.starttls_port}"], "starttls", "open", 0),
        ("tls", [f"127.0.0.1:{gateway.tls_port}"], "implicit", "open", 0)]


def test_show_keys_shows_no_key(scripted, start_gateway, tmp_path):
    keys = tmp_path / "keys"
    subprocess.run([program("imapstatectl"), "keys", "new", keys], check=True, timeout=PATIENCE_S)
    number, since, secret = keys.read_text().split()
    gateway = start_gateway(scripted.port, keys_file=str(keys), control={})
    assert gateway.rows("keys") == [{"id": number, "seals_from": since, "now": "opens and seals"}]
    assert secret not in gateway.ctl("show", "keys") + gateway.ctl("show", "keys", "--json")


def test_p15_nothing_shows_a_secret_or_a_token(gateway):
    client = gateway.session()
    token = save(client, "ENABLE QRESYNC")
    client.ok(f"STATE {token}")
    shown = "".join(gateway.ctl("--json", "show", what) for what in ("clients", "upstreams", "parked", "users", "listeners", "keys"))
    with Control(socket_of(gateway)) as control:
        shown += "".join(json.dumps(control.ask("show", what)) for what in ("clients", "parked", "keys"))
    assert "secret" not in shown and token not in shown


def test_a_name_is_shown_as_it_can_be_written(start_scripted, start_gateway):
    name = 'j\u00fcrg "x"\\\x1b[2J'
    scripted = start_scripted(users={name: "secret"})
    gateway = start_gateway(scripted.port, control={})
    client = gateway.session(name, "secret")
    shown = gateway.rows("clients")[0]["user"]
    assert shown == r"j\xc3\xbcrg\x20\x22x\x22\x5c\x1b[2J"
    assert len(gateway.rows("clients", "--user", shown)) == 1
    assert "\x1b" not in gateway.ctl("show", "clients")
    gateway.ctl("kick", shown)
    assert client.rest()[-1].startswith(b"* BYE")


def test_tables_fit_eighty_columns(start_scripted, start_gateway):
    name = "a" * 200
    scripted = start_scripted(users={name: "secret"})
    gateway = start_gateway([upstream(f"localhost:{scripted.port}", "u" * 60)], control={}, park={"per_user": 2})
    first, second = gateway.session(name, "secret"), gateway.session(name, "secret")
    first.ok("NOOP")
    second.logout()
    wait_until(lambda: gateway.rows("parked"))
    for what in ("clients", "upstreams", "parked", "users", "listeners", "keys"):
        lines = gateway.ctl("show", what).splitlines()
        assert len(lines) > 1 and max(map(len, lines)) < WIDTH, lines


def test_a_list_that_nobody_reads_stops_nobody_and_is_bounded(scripted, start_gateway):
    gateway = start_gateway(scripted.port, control={}, max_unauthenticated_per_address=0)
    clients = [gateway.client() for _ in range(1200)]
    with Control(socket_of(gateway)) as slow, Control(socket_of(gateway)) as other:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.send(b'["show","clients"]\n' * 100)  # some 24 MB of answers
        before = memory_kib(gateway)
        for _ in range(20):
            assert "done" in other.ask("show", "listeners")[-1]
        clients[0].ok("CAPABILITY")
        assert memory_kib(gateway) - before < 12 * 1024  # most of that is what sanitizers keep of the past
        answers = 0
        seen = set()
        while answers < 100:  # and it is all there, for whoever reads it at last
            line = slow.line()
            seen |= {line["row"]["id"]} if "row" in line else set()
            answers += "done" in line
        assert len(seen) == 1200


def memory_kib(gateway):
    status = pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])


def test_show_counters(gateway):
    gateway.session().ok("NOOP")
    counters = {row["name"]: row["value"] for row in gateway.rows("counters")}
    assert all(name.startswith("imapstate_") for name in counters) and not any("_bucket" in name for name in counters)
    logins = [name for name in counters if name.startswith("imapstate_logins_total") and counters[name] == "1"]
    assert len(logins) == 1 and '"ann"' not in "".join(counters)
    assert max(map(len, gateway.ctl("show", "counters").splitlines())) < WIDTH
    everything = {row["name"] for row in gateway.rows("counters", "--all")}
    assert everything > set(counters) and any("_bucket" in name for name in everything)


# --- the socket ---

def test_the_socket_goes_with_the_daemon(gateway):
    path = socket_of(gateway)
    assert stat.S_ISSOCK(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == 0o660
    gateway.stop()
    assert not path.exists()


def test_what_a_dead_daemon_has_left_is_replaced(gateway):
    gateway.kill()
    assert socket_of(gateway).exists()
    assert "does not run" in gateway.ctl("show", "clients", status=3)
    gateway.start()
    assert gateway.rows("clients") == []


def test_a_live_ones_is_not(gateway, scripted, start_gateway):
    with pytest.raises(AssertionError, match="another program may be listening there"):
        start_gateway(scripted.port, control={"socket": str(socket_of(gateway))})
    assert gateway.rows("clients") == []


def test_a_successors_socket_stays(gateway, scripted, start_gateway):
    path = socket_of(gateway)
    path.rename(f"{path}.aside")
    successor = start_gateway(scripted.port, control={"socket": str(path)})
    gateway.stop()
    assert successor.rows("clients") == []


def test_without_the_section_there_is_none(scripted, start_gateway, tmp_path):
    gateway = start_gateway(scripted.port)
    gateway.settings["control"] = {"socket": str(gateway.folder / "control")}
    assert "there is no such socket" in gateway.ctl("show", "clients", status=3)


_AS = """
import os, socket, sys
path, uid, groups = sys.argv[1], int(sys.argv[2]), [int(each) for each in sys.argv[3].split(",")]
os.setgroups(groups[1:])
os.setgid(groups[0])
os.setuid(uid)
peer = socket.socket(socket.AF_UNIX)
peer.connect(path)
try:
    peer.sendall(b'["show","keys"]\\n')
except BrokenPipeError:
    pass  # it was refused before
print(peer.makefile().readline())
"""


def ask_as(gateway, uid, *groups):
    done = subprocess.run([sys.executable, "-c", _AS, str(socket_of(gateway)), str(uid), ",".join(map(str, groups))],
                          capture_output=True, text=True, timeout=PATIENCE_S)
    return done.stdout + done.stderr


@as_root
def test_who_may_give_commands(scripted, start_gateway):
    """By the kernel, and where the mode lets everybody connect by SO_PEERCRED: the group counts, be it a further one."""
    gateway = start_gateway(scripted.port, control={"mode": "0666", "group": "mail"})
    for folder in (gateway.folder, *gateway.folder.parents):
        if folder.stat().st_uid == 0 and folder != pathlib.Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    mail, nobody = 8, 65534
    assert socket_of(gateway).stat().st_gid == mail
    assert '"row"' in ask_as(gateway, nobody, mail)
    assert '"row"' in ask_as(gateway, nobody, nobody, mail)
    assert "only root" in ask_as(gateway, nobody, nobody)
    assert "control: a connection was refused" in gateway.log()
    assert '"row"' in ask_as(gateway, 0, nobody)


@as_root
def test_the_mode_keeps_others_out(scripted, start_gateway):
    gateway = start_gateway(scripted.port, control={"group": "mail"})
    for folder in (gateway.folder, *gateway.folder.parents):
        if folder.stat().st_uid == 0 and folder != pathlib.Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    assert "PermissionError" in ask_as(gateway, 65534, 65534)
    assert '"row"' in ask_as(gateway, 65534, 8)


def test_too_many_connections_are_told_so(gateway):
    controls = [Control(socket_of(gateway)) for _ in range(33)]
    try:
        assert controls[-1].line() == {"error": "too many control connections", "kind": "failed"}
        assert controls[-1].line() is None
        assert "done" in controls[0].ask("show", "keys")[-1]
        assert "too many control connections" in gateway.ctl("show", "keys", status=1)
    finally:
        for control in controls:
            control.close()


@pytest.mark.parametrize(("octets", "words"), [
    (b"show clients\n", "JSON array"), (b"[1]\n", "string"), (b"[]\n", "missing"), (b"\xff\n", "JSON"), (b"\n", "JSON"),
    (b'["show","clients","--user"]\n', "wants a value"), (b"[" * 4000 + b"\n", "JSON"), (b"x" * 9000, "too long")])
def test_bad_input_gets_an_error_and_loses_nothing(gateway, octets, words):
    client = gateway.session()
    with Control(socket_of(gateway)) as control:
        control.send(octets)
        line = control.line()
        assert line["kind"] == "usage" and words in line["error"]
        if octets.endswith(b"\n"):
            assert "done" in control.ask("show", "clients")[-1]
        else:
            assert control.line() is None
    client.ok("NOOP")


def test_commands_may_be_pipelined_and_cut(gateway):
    with Control(socket_of(gateway)) as control:
        for octet in b'["show","keys"]\n["show","list':
            control.send(bytes([octet]))
        control.send(b'eners"]\n["nix"]\n')
        ends = []
        while len(ends) < 3:
            line = control.line()
            ends += [line] if line.keys() & {"done", "error"} else []
        assert [each.get("done", each.get("error")) for each in ends] == ["1 key", "3 listeners", 'there is no command "nix"']


def test_it_ends_in_the_middle_of_an_answer(scripted, start_gateway):
    gateway = start_gateway(scripted.port, control={}, max_unauthenticated_per_address=0)
    clients = [gateway.client() for _ in range(600)]
    with Control(socket_of(gateway)) as control:
        control.send(b'["show","clients"]\n' * 100)
        control.line()
        gateway.stop()
    assert clients


# --- imapstatectl ---

@pytest.mark.parametrize(("words", "said"), [
    (("nix",), 'there is no such command: nix'), (("show",), 'there is no command "show"'), (("show", "nix"), 'there is no command "show nix"'),
    (("show", "keys", "x"), "usage: show keys"), (("show", "clients", "--usr", "x"), "there is no option --usr"),
    (("show", "clients", "--address", "x"), "--address wants"), (("show", "users", "--all"), "usage: show clients"),
    (("kick",), "usage: kick USER|#CLIENT"), (("kick", "#x"), "#CLIENT wants"), (("forget",), "wants either a user or --all"),
    (("revoke", "ann", "--all"), "wants either"), (("route",), "usage: route USER"), (("upstream", "main"), "usage: upstream NAME[:MEMBER] up|down|drain"),
    (("upstream", "main", "left"), '"up", "down" or "drain"'), (("reload", "x"), "usage: reload"), (("top", "x"), "one word too many"),
    (("--json", "top"), "top is for people")])
def test_wrong_usage_is_told_with_status_2(gateway, words, said):
    assert said in gateway.ctl(*words, status=2)


@pytest.mark.parametrize(("words", "said"), [
    (("kick", "nobody"), "there is no session of nobody"), (("upstream", "nix", "down"), "there is no upstream"),
    (("drain", "nix"), "there is no listener"), (("top",), "top needs a terminal")])
def test_what_was_not_done_has_status_1(gateway, words, said):
    assert said in gateway.ctl(*words, status=1)


def run(*words):
    return subprocess.run([program("imapstatectl"), *words], capture_output=True, text=True, timeout=PATIENCE_S)


def test_what_cannot_be_reached_has_status_3(tmp_path):
    for words in (("show", "clients"), ("show", "users"), ("kick", "ann")):
        done = run("--socket", str(tmp_path / "nix"), *words)
        assert done.returncode == 3 and "there is no such socket" in done.stderr and not done.stdout
    done = run(f"--socket={'x' * 200}", "show", "clients")
    assert done.returncode == 3 and "too long" in done.stderr


def test_a_daemon_that_ends_before_it_has_read_all_has_closed_the_connection(tmp_path):
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(path))
        daemon.listen()
        with subprocess.Popen([program("imapstatectl"), "--socket", path, "reload"], stderr=subprocess.PIPE, text=True) as asking:
            peer = daemon.accept()[0]
            assert peer.recv(1, socket.MSG_PEEK)
            peer.close()
            assert asking.communicate(timeout=PATIENCE_S)[1] == "imapstatectl: the daemon has closed the connection\n"
    assert asking.returncode == 3


def test_a_command_that_is_missing_is_told():
    for words in (("--json",), ("--socket", "x"), ("--socket",)):
        done = run(*words)
        assert done.returncode == 2 and "Try" in done.stderr


def test_help_names_every_command():
    done = run("show", "--help")
    assert done.returncode == 0
    for word in ("clients", "parked", "users", "upstreams", "listeners", "keys", "top", "kick", "forget", "revoke", "upstream NAME",
                 "drain", "resume", "reload", "upgrade", "--json", "--socket"):
        assert word in done.stdout


def test_json_answers_are_json(gateway):
    assert json.loads(gateway.ctl("--json", "forget", "ann")) == {"done": "0 parked ended, 0 proofs voided", "notes": []}
    done = run("--json", "--socket", str(socket_of(gateway)), "kick", "nobody")
    assert done.returncode == 1 and json.loads(done.stdout)["error"] == "there is no session of nobody"


# --- top ---

def top(gateway, tmp_path):
    return Screen([str(program("imapstatectl")), "--socket", socket_of(gateway), "top"], tmp_path, os.environ | {"TERM": "xterm"})


@pytest.mark.parametrize("key", ["q", "\x03"])
def test_top_refreshes_and_ends_by_a_key(gateway, tmp_path, key):
    screen = top(gateway, tmp_path)
    try:
        screen.wait(r"^plain +127\.0\.0\.1:\d+ .* 0 +0 *$", r"^main ")
        client = gateway.session()
        client.ok("NOOP")
        screen.wait(r"^plain +127\.0\.0\.1:\d+ .* 0 +1 *$")
        screen.keys(key)
        screen.wait_end()
    finally:
        screen.close()


def test_top_ends_when_the_daemon_does(gateway, tmp_path):
    screen = top(gateway, tmp_path)
    try:
        screen.wait(r"^plain ")
        gateway.stop()
        screen.wait_end(3)
    finally:
        screen.close()
