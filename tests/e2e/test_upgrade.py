"""Another process takes over, started from the file on disk: nobody is refused, no session ends, and if it comes to
nothing the old one goes on."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading

import pytest

from harness.controls import Control
from harness.gateway import Section, adopt_orphans, listener, program, reload
from harness.imap import Client
from harness.metrics import Metrics
from harness.net import LOOPBACK, free_port
from harness.parking import Lot
from harness.patience import PATIENCE_S, wait_until
from harness.tokens import restore, save


def gone(process):
    """Its exit status, once it has ended by itself."""
    return process.wait(PATIENCE_S)


def test_the_new_process_serves_and_the_old_one_keeps_its_sessions(scripted_gateway):
    kept = scripted_gateway.session()
    old = scripted_gateway.upgrade()
    assert old.pid != scripted_gateway.process.pid and old.poll() is None
    seen = scripted_gateway.log_octets()
    scripted_gateway.session().ok("NOOP")
    assert f"imapstated[{old.pid}]" not in scripted_gateway.log(seen)
    kept.ok("SELECT INBOX")
    kept.ok("FETCH 1 BODY[]")
    kept.logout()
    kept.close()
    assert gone(old) == 0  # nobody was left
    scripted_gateway.session().ok("NOOP")


def test_it_can_be_replaced_again_and_again(scripted_gateway):
    kept = []
    for _ in range(3):
        kept.append(scripted_gateway.session())
        scripted_gateway.upgrade()
    for client, old in zip(kept, scripted_gateway.old):
        client.ok("NOOP")
        assert old.poll() is None
        client.logout()
        client.close()
    assert [gone(old) for old in scripted_gateway.old] == [0, 0, 0]


@pytest.mark.parametrize("workers", [1, 3])
def test_nobody_is_refused_and_nobody_is_lost(scripted, start_gateway, tmp_path, workers):
    path = tmp_path / "imap.sock"
    gateway = start_gateway(scripted.port, workers=workers, sections=[Section("listener", "local", address=f"unix:{path}", tls="none")])
    stop, problems, served = threading.Event(), [], []

    def work(target):
        try:
            while not stop.is_set():
                with Client(target) as client:
                    client.login("ann", "secret")
                    client.logout()
                    served.append(1)
        except BaseException as problem:  # pylint: disable=broad-except
            problems.append(repr(problem))

    clients = [threading.Thread(target=work, args=(target,)) for target in (gateway.plain_port, gateway.plain_port, str(path))]
    for thread in clients:
        thread.start()
    for _ in range(3):
        before = len(served)
        gateway.upgrade()
        wait_until(lambda count=before: len(served) > count + 10 or problems)
    stop.set()
    for thread in clients:
        thread.join()
    assert not problems


def test_whoever_waits_in_a_queue_is_served(scripted, start_gateway):
    """The old process was held up, and both may accept at first: nobody is dropped between the two."""
    gateway = start_gateway(scripted.port)
    adopt_orphans()
    seen = gateway.log_octets()
    os.kill(gateway.process.pid, signal.SIGSTOP)
    waiting = [socket.create_connection((LOOPBACK, gateway.plain_port)) for _ in range(20)]
    os.kill(gateway.process.pid, signal.SIGUSR2)
    os.kill(gateway.process.pid, signal.SIGCONT)
    gateway.has_been_taken_over(seen)
    for sock in waiting:
        sock.settimeout(PATIENCE_S)
        assert sock.recv(100).startswith(b"* OK")
        sock.close()


def test_a_fetch_goes_on_in_the_old_process(scripted, start_gateway):
    body = os.urandom(1 << 20).hex().encode() * 15  # 30 MB
    scripted.on("FETCH", lambda connection, tag, arguments: connection.send(
        b"* 1 FETCH (BODY[] {%d}\r\n" % len(body) + body + b")\r\n%s OK done\r\n" % tag.encode()))
    gateway = start_gateway(scripted.port)
    client = gateway.session()
    tag = client.start("FETCH 1 BODY[]")
    first = client.wire.line()
    gateway.upgrade()
    assert client.wire.octets(int(re.search(rb"\{(\d+)\}", first).group(1))) == body
    assert client.wait(tag).status == b"OK"


def test_what_is_parked_ends_at_once_and_nothing_is_parked_any_more(scripted, start_gateway):
    gateway = start_gateway(scripted.port, park={"per_user": 2})
    lot = Lot(gateway, scripted)
    kept = gateway.session()
    kept.ok("NOOP")
    parked = gateway.session()
    connection = lot.mark(parked)
    assert lot.leave(parked, connection)
    gateway.upgrade()
    scripted.wait_for(lambda: "LOGOUT" in connection.names)
    held = lot.mark(kept)
    kept.logout()
    kept.close()
    scripted.wait_for(lambda: "LOGOUT" in held.names)
    # The new one parks.
    again = gateway.session()
    assert lot.leave(again, lot.mark(again))


def test_a_key_that_is_only_in_memory_goes_over(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), "ENABLE X-ONE")
    scripted_gateway.upgrade()
    restore(scripted_gateway.session(), token)
    assert "IMAPSTATED" not in pathlib.Path(f"/proc/{scripted_gateway.process.pid}/environ").read_text().replace("IMAPSTATED_HANDOVER=3", "")


def test_the_new_one_reads_its_configuration_anew(scripted_gateway):
    gone_port, new_port = scripted_gateway.plain_port, free_port()
    kept = scripted_gateway.session()
    scripted_gateway.sections[0] = listener("other", new_port)
    scripted_gateway.write_config(workers=2)
    scripted_gateway.upgrade()
    scripted_gateway.session(listener_port=new_port).ok("NOOP")
    wait_until(lambda: socket.socket().connect_ex((LOOPBACK, gone_port)) != 0)
    kept.ok("NOOP")


def try_to_upgrade(gateway):
    seen, process = gateway.log_octets(), gateway.process
    process.send_signal(signal.SIGUSR2)
    gateway.wait_log("upgrade (failed|refused)", since=seen)
    assert gateway.process is process and process.poll() is None
    return gateway.log(seen)


def spoil_config(gateway):
    gateway.config_file.write_text("nonsense = 1\n" + gateway.config_file.read_text())


@pytest.mark.parametrize(("spoil", "reason"), [
    (spoil_config, r"\S+/imapstated.conf:1: .*nonsense"),
    (lambda gateway: gateway.write_config(keys_file="/nonexistent/keys"), "/nonexistent/keys: No such file or directory"),
    (lambda gateway: gateway.config_file.unlink(), r"\S+/imapstated.conf: No such file or directory"),
], ids=["configuration", "keys", "no configuration"])
def test_if_the_new_one_cannot_start_the_old_one_goes_on(scripted_gateway, spoil, reason):
    kept, text = scripted_gateway.session(), scripted_gateway.config_file.read_text()
    spoil(scripted_gateway)
    assert re.search(f"error: upgrade failed; this process goes on as before: {reason}", try_to_upgrade(scripted_gateway))
    kept.ok("NOOP")
    scripted_gateway.session().ok("NOOP")
    scripted_gateway.config_file.write_text(text)
    scripted_gateway.upgrade()
    scripted_gateway.session().ok("NOOP")


def test_a_port_that_cannot_be_had_is_the_reason_and_nothing_changes(scripted_gateway):
    with socket.create_server((LOOPBACK, 0)) as other:
        taken, more = other.getsockname()[1], free_port()
        scripted_gateway.sections += [listener("more", more), listener("taken", taken)]
        scripted_gateway.write_config()
        log = try_to_upgrade(scripted_gateway)
    assert f'listener "taken": {LOOPBACK}:{taken}: Address already in use' in log
    wait_until(lambda: socket.socket().connect_ex((LOOPBACK, more)) != 0)
    scripted_gateway.session().ok("NOOP")


@pytest.fixture
def own_program(tmp_path):
    """A copy of the program, to be replaced on disk."""
    tmp_path.chmod(0o755)
    return pathlib.Path(shutil.copy(program("imapstated"), tmp_path / "imapstated"))


@pytest.fixture
def replaceable(scripted, start_gateway, own_program):
    return start_gateway(scripted.port, binary=own_program)


def replace(path, text):
    fresh = path.with_name("fresh")
    fresh.write_text(text)
    fresh.chmod(0o755)
    fresh.rename(path)


def test_the_program_on_disk_is_started_as_it_is_now(replaceable, own_program):
    """A script takes its place that says so, and then becomes the program: what a package's upgrade does, in effect."""
    kept = replaceable.session()
    replace(own_program, f"#!/bin/sh\necho the program of now >&2\nexec {program('imapstated')} \"$@\"\n")
    replaceable.upgrade()
    assert "the program of now" in replaceable.log()
    kept.ok("NOOP")
    replaceable.session().ok("NOOP")


@pytest.mark.parametrize(("program_text", "reason"), [
    (None, "No such file or directory"),
    ("nonsense", "Exec format error"),
    ("#!/bin/sh\nexit 3\n", "the new process has ended"),
], ids=["gone", "nonsense", "ends"])
def test_a_program_that_does_not_run_is_the_reason(replaceable, own_program, program_text, reason):
    kept = replaceable.session()
    if program_text is None:
        own_program.unlink()
    else:
        replace(own_program, program_text)
    assert reason in try_to_upgrade(replaceable)
    kept.ok("NOOP")
    replaceable.session().ok("NOOP")


as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root has privileges to drop")


@as_root
def test_where_privileges_were_dropped_what_cannot_be_had_again_is_the_reason(scripted, start_gateway, own_program):
    """The ports go over; a key that only root can read does not."""
    gateway = start_gateway(scripted.port, user="nobody", binary=own_program)
    kept = gateway.session()
    for path in (gateway.config_file, *gateway.config_file.parents[:-1]):
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    log = try_to_upgrade(gateway)
    assert re.search(r"upgrade failed; .*: tls_\w+_file .*; it has become user \"nobody\"", log), log
    kept.ok("NOOP")
    gateway.session().ok("NOOP")


def test_a_second_order_while_one_is_under_way_is_refused(replaceable, own_program, tmp_path):
    """The new program waits for a file."""
    go = tmp_path / "go"
    replace(own_program, f"#!/bin/sh\nuntil [ -e {go} ]; do sleep 0.05; done\nexec {program('imapstated')} \"$@\"\n")
    seen = replaceable.log_octets()
    adopt_orphans()
    os.kill(replaceable.process.pid, signal.SIGUSR2)
    replaceable.wait_log("upgrade begins", since=seen)
    assert "upgrade refused: an upgrade is under way" in try_to_upgrade(replaceable)
    go.touch()
    replaceable.has_been_taken_over(seen)
    replaceable.session().ok("NOOP")


def test_the_draining_process_takes_no_second_order_and_a_reload_reaches_it(scripted_gateway):
    kept = scripted_gateway.session()
    old = scripted_gateway.upgrade()
    seen = scripted_gateway.log_octets()
    old.send_signal(signal.SIGUSR2)
    scripted_gateway.wait_log(rf"\[{old.pid}\]: error: upgrade refused: another process has taken over already", since=seen)
    reload(scripted_gateway)
    scripted_gateway.wait_log(rf"\[{old.pid}\]: info: reloaded: ", since=seen)
    kept.ok("NOOP")
    scripted_gateway.session().ok("NOOP")


def test_sigterm_ends_the_draining_process_and_not_the_new_one(scripted_gateway):
    kept = scripted_gateway.session()
    old = scripted_gateway.upgrade()
    old.send_signal(signal.SIGTERM)
    bye, = kept.rest()
    assert bye.startswith(b"* BYE ")
    kept.close()
    assert gone(old) == 0
    scripted_gateway.session().ok("NOOP")


def test_drain_time_ends_those_who_are_left(scripted, start_gateway):
    gateway = start_gateway(scripted.port, drain_time="2s")
    kept = [gateway.session() for _ in range(4)]
    old = gateway.upgrade()
    for client in kept:
        bye, = client.rest()
        assert bye == b"* BYE imapstate is shutting down.\r\n"
        client.close()
    assert gone(old) == 0
    assert gateway.log().count("closing: drained") >= 3


def test_sigquit_drains_without_a_successor(scripted_gateway):
    kept, process = scripted_gateway.session(), scripted_gateway.process
    process.send_signal(signal.SIGQUIT)
    scripted_gateway.wait_log("draining: on SIGQUIT")
    wait_until(lambda: socket.socket().connect_ex((LOOPBACK, scripted_gateway.plain_port)) != 0)
    kept.ok("NOOP")
    process.send_signal(signal.SIGQUIT)
    kept.ok("NOOP")
    kept.logout()
    kept.close()
    assert gone(process) == 0
    scripted_gateway.process = None


def test_sigusr1_ends_nobody(scripted_gateway):
    kept = scripted_gateway.session()
    scripted_gateway.process.send_signal(signal.SIGUSR1)
    scripted_gateway.wait_log("SIGUSR1")
    kept.ok("NOOP")
    scripted_gateway.session().ok("NOOP")


def test_a_unix_socket_stays_the_same_file_when_the_old_process_ends(scripted, start_gateway, tmp_path):
    path = tmp_path / "imap.sock"
    gateway = start_gateway(scripted.port, sections=[Section("listener", "local", address=f"unix:{path}", tls="none")])
    before = path.stat().st_ino
    assert gone(gateway.upgrade()) == 0
    assert stat.S_ISSOCK(path.stat().st_mode) and path.stat().st_ino == before
    gateway.session(listener_port=str(path)).ok("NOOP")


def test_the_new_process_has_the_descriptors_that_it_needs_and_no_others(scripted, start_gateway):
    """Nothing of the old one's sessions is inherited."""
    gateway = start_gateway(scripted.port, workers=2)
    _kept = [gateway.session() for _ in range(10)]

    def is_socket(link):
        with contextlib.suppress(FileNotFoundError):  # it has been closed by now
            return os.readlink(link).startswith("socket:")
        return False

    def sockets():
        return sum(map(is_socket, pathlib.Path(f"/proc/{gateway.process.pid}/fd").iterdir()))

    before = sockets()
    gateway.upgrade()
    # Ten clients and their upstreams less, and one more: the pair.
    wait_until(lambda: sockets() <= before - 20 + 1)


# By the control socket


@pytest.fixture
def steered(scripted, start_gateway):
    return start_gateway(scripted.port, control={}, park={"per_user": 2})


def upgrade_by_ctl(gateway):
    adopt_orphans()
    seen = gateway.log_octets()
    words = gateway.ctl("upgrade")
    old = gateway.has_been_taken_over(seen)
    assert f"process {gateway.process.pid} has taken over from {old.pid}, whose sessions go on" in words
    return old


def test_imapstatectl_upgrade_returns_when_the_new_one_has_taken_over(steered):
    kept = steered.session()
    old = upgrade_by_ctl(steered)
    assert steered.rows("clients") == []  # the new one answers
    path = pathlib.Path(steered.settings["control"]["socket"])
    aside = path.with_name(f"{path.name}.old-{old.pid}")
    with Control(aside) as control:
        assert [line["row"]["user"] for line in control.ask("show", "clients") if "row" in line] == ["ann"]
    kept.ok("NOOP")
    kept.logout()
    kept.close()
    assert gone(old) == 0
    assert not aside.exists() and path.exists()  # each removes its own
    assert steered.rows("clients") == []


def test_imapstatectl_upgrade_fails_with_the_reason_and_the_socket_stays(steered):
    kept = steered.session()
    steered.write_config(keys_file="/nonexistent/keys")
    with pytest.raises(AssertionError, match="/nonexistent/keys: No such file or directory"):
        steered.ctl("upgrade")
    assert len(steered.rows("clients")) == 1
    kept.ok("NOOP")


def test_kick_reaches_the_draining_process(steered):
    kept, other = steered.session(), steered.session("bob", "hunter2")
    upgrade_by_ctl(steered)
    words = steered.ctl("kick", "ann")
    assert "1 session of ann ended" in words and "there is no session" not in words
    bye, = kept.rest()
    assert bye.startswith(b"* BYE ")
    other.ok("NOOP")
    steered.ctl("kick", "ann", status=1)  # nobody has one now


def test_revoke_reaches_the_draining_process(steered):
    kept = steered.session()
    token = save(steered.session(), "ENABLE X-ONE")
    upgrade_by_ctl(steered)
    steered.ctl("revoke", "ann")
    assert refused(kept, token)


def refused(client, token):
    try:
        restore(client, token)
    except AssertionError:
        return True
    return False


def test_revocations_that_are_only_in_memory_go_over(steered):
    token = save(steered.session(), "ENABLE X-ONE")
    other = save(steered.session("bob", "hunter2"), "ENABLE X-ONE")
    steered.ctl("revoke", "ann")
    assert refused(steered.session(), token)
    upgrade_by_ctl(steered)
    assert refused(steered.session(), token)
    restore(steered.session("bob", "hunter2"), other)
    upgrade_by_ctl(steered)
    assert refused(steered.session(), token)


def test_imapstatectl_reload_waits_for_what_comes_of_it(steered):
    port = free_port()
    steered.sections.append(listener("more", port))
    steered.write_config(workers=3)
    assert "reloaded" in steered.ctl("reload")
    steered.session(listener_port=port).ok("NOOP")
    steered.sections.pop()
    steered.write_config()
    steered.ctl("reload")
    assert socket.socket().connect_ex((LOOPBACK, port)) != 0  # all workers have closed theirs
    steered.write_config(keys_file="/nonexistent")
    with pytest.raises(AssertionError, match="/nonexistent: No such file"):
        steered.ctl("reload")


def test_a_client_is_kicked_by_its_id_in_the_process_that_was_asked_and_in_no_other(steered):
    """Each process counts its clients from the beginning: both have one of this id."""
    kept = steered.session()
    identity = steered.rows("clients")[0]["id"]
    old = upgrade_by_ctl(steered)
    stranger = steered.session("bob", "hunter2")
    assert steered.rows("clients")[0]["id"] == identity
    steered.ctl("kick", f"#{identity}")
    assert stranger.rest()[-1].startswith(b"* BYE")
    kept.ok("NOOP")
    steered.ctl("kick", f"#{identity}", status=1)
    kept.ok("NOOP")
    aside = f"{steered.settings['control']['socket']}.old-{old.pid}"
    steered.ctl("--socket", aside, "kick", f"#{identity}")
    assert kept.rest()[-1].startswith(b"* BYE")


def test_a_process_that_drains_without_a_successor_writes_what_is_revoked(scripted, start_gateway, tmp_path):
    path = tmp_path / "revoked"
    path.touch()
    gateway = start_gateway(scripted.port, control={}, revocations_file=str(path))
    kept = gateway.session()
    gateway.process.send_signal(signal.SIGQUIT)
    gateway.wait_log("draining: on SIGQUIT")
    gateway.ctl("revoke", "ann")
    assert path.read_text().startswith("ann ")
    kept.ok("NOOP")


def test_whoever_has_asked_is_told_also_if_the_old_process_ends_at_once(steered):
    """It has no session."""
    for _ in range(20):
        upgrade_by_ctl(steered)


def test_whoever_has_asked_is_told_if_the_old_process_is_stopped_meanwhile(scripted, start_gateway, own_program):
    gateway = start_gateway(scripted.port, control={}, binary=own_program)
    replace(own_program, "#!/bin/sh\nexec cat <&3 >/dev/null\n")
    with Control(gateway.settings["control"]["socket"]) as control:
        control.send(b'["upgrade"]\n')
        gateway.wait_log("upgrade begins")
        gateway.process.send_signal(signal.SIGTERM)
        assert control.line() == {"error": "upgrade failed: this process was told to stop in the meantime", "kind": "failed"}
        assert gone(gateway.process) == 0
    gateway.process = None



def test_any_number_of_revocations_that_are_only_in_memory_goes_over(steered):
    token = save(steered.session(), "ENABLE X-ONE")
    with Control(steered.settings["control"]["socket"]) as control:
        for number in range(1000):
            assert "done" in control.ask("revoke", f"user{number}{'x' * 200}")[-1]
        control.ask("revoke", "ann")
    upgrade_by_ctl(steered)
    assert refused(steered.session(), token)



def test_a_listener_that_drains_does_so_after_an_upgrade(steered):
    steered.ctl("drain", "plain")
    upgrade_by_ctl(steered)
    assert socket.socket().connect_ex((LOOPBACK, steered.plain_port)) != 0
    assert {row["name"]: row["state"] for row in steered.rows("listeners")}["plain"] == "draining"
    steered.ctl("drain")
    upgrade_by_ctl(steered)
    assert socket.socket().connect_ex((LOOPBACK, steered.tls_port)) != 0
    steered.ctl("resume")
    steered.session().ok("NOOP")


@pytest.fixture
def halted(scripted, start_gateway, own_program, tmp_path):
    """A gateway in the middle of an upgrade: the new process waits for a file before it begins."""
    go, held = tmp_path / "go", tmp_path / "held"
    held.touch()
    gateway = start_gateway(scripted.port, control={}, binary=own_program, revocations_file=str(held))
    replace(own_program, f"#!/bin/sh\nuntil [ -e {go} ]; do sleep 0.05; done\nexec {program('imapstated')} \"$@\"\n")
    adopt_orphans()
    gateway.process.send_signal(signal.SIGUSR2)
    gateway.wait_log("upgrade begins")
    return gateway, go


@pytest.mark.parametrize("command", ["revoke ann", "drain", "drain plain", "resume", "upstream main down", "log debug", "reload"])
def test_nothing_is_changed_that_the_new_process_would_not_hear_of(halted, command):
    gateway, go = halted
    assert "an upgrade is under way: nothing is changed until it has ended" in gateway.ctl(*command.split(), status=1)
    assert gateway.rows("clients") == []
    go.touch()
    gateway.has_been_taken_over(0)
    gateway.ctl(*command.split())


def test_sighup_during_an_upgrade_reaches_the_new_process_too(halted):
    gateway, go = halted
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_log("reloaded: ")
    seen = gateway.log_octets()
    go.touch()
    gateway.has_been_taken_over(seen)
    gateway.wait_log(rf"\[{gateway.process.pid}\]: info: reloaded: ", since=seen)
    gateway.session().ok("NOOP")


# What the old one counts is told by the new one


@pytest.fixture
def start_metered(scripted, start_gateway):
    """start_metered(**settings): a gateway with metrics."""
    def start(**settings):
        http, metrics = Metrics.settings()
        gateway = start_gateway(scripted.port, **http, **settings)
        gateway.metrics = metrics
        return gateway
    return start


def own(metrics, name):
    """Of the process that is asked."""
    return sum(value for (known, pairs), value in metrics.scrape().items() if known == f"imapstate_{name}" and "process" not in dict(pairs))


def test_the_new_one_tells_what_the_old_ones_count_until_they_end(start_metered):
    gateway = start_metered(control={})
    metrics = gateway.metrics
    first = gateway.session()
    metrics.wait("clients", 1, state="authenticated")
    assert metrics.sum("predecessors") == 0
    one = gateway.upgrade()
    second = gateway.session()
    metrics.wait("clients", 2, state="authenticated")
    other = gateway.upgrade()
    labels = [{"process": f"old-{old.pid}"} for old in (one, other)]
    gateway.session()
    metrics.wait("clients", 3, state="authenticated")
    for label in labels:
        assert metrics.sum("clients", state="authenticated", **label) == 1
        assert metrics.sum("clients_accepted_total", **label) == metrics.sum("login_seconds_count", **label) == 1
        assert metrics.sum("login_seconds_bucket", le="+Inf", **label) == 1
        assert metrics.sum("draining", **label) == metrics.sum("build_info", **label) == 1
    assert own(metrics, "clients_accepted_total") == 1 and own(metrics, "draining") == 0
    assert metrics.sum("predecessors", answer="told") == 2 and metrics.sum("predecessors", answer="silent") == 0
    before = metrics.sum("octets_total", **labels[0])
    first.ok("NOOP")
    wait_until(lambda: metrics.sum("octets_total", **labels[0]) > before)
    told = json.loads(metrics.get("/status.json")[0])
    assert told["clients"]["now"] == 1 and told["predecessors"]["silent"] == 0
    assert sorted(told["predecessors"]["draining"], key=str) == sorted(({"clients": 1, "sessions": 1} | label for label in labels), key=str)
    for form in "text/plain", "application/openmetrics-text":
        text, headers = metrics.get(Accept=form)
        assert headers["Content-Type"].startswith(form) and text.endswith("\n# EOF\n")
    for client, old in (first, one), (second, other):
        client.logout()
        client.close()
        assert gone(old) == 0
        assert metrics.sum("clients", process=f"old-{old.pid}") == 0
    assert metrics.sum("predecessors") == 0 and not any("process" in dict(pairs) for _, pairs in metrics.scrape())


def test_prometheus_takes_what_the_old_one_counts(start_metered):
    gateway = start_metered(control={})
    gateway.session()
    gateway.upgrade()
    text = gateway.metrics.get()[0]
    assert text.count('{process="old-') > 100
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and not checked.stderr and not checked.stdout, checked


def test_an_old_one_that_is_held_up_holds_nobody_up(start_metered):
    gateway = start_metered(control={})
    kept = gateway.session()
    old = gateway.upgrade()
    os.kill(old.pid, signal.SIGSTOP)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(gateway.metrics.sum("predecessors", answer="silent")))
    asking.start()
    gateway.session().ok("NOOP")
    while asking.is_alive():  # the main thread answers all the while
        assert gateway.metrics.get("/healthz")[0]
    assert answers == [1]
    os.kill(old.pid, signal.SIGCONT)
    wait_until(lambda: gateway.metrics.sum("predecessors", answer="told") == 1)
    kept.ok("NOOP")


def test_without_a_control_socket_the_old_one_is_not_asked(start_metered):
    gateway = start_metered()
    kept = gateway.session()
    gateway.upgrade()
    assert gateway.metrics.sum("predecessors") == 0 and gateway.metrics.sum("clients") == 0
    kept.ok("NOOP")
