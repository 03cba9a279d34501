"""Several servers behind one upstream: who is led where, and what happens when one of them stops, falls silent, is taken out of
service, or leaves the configuration."""
import collections
import os
import pathlib
import re
import signal
import threading
import time

import pytest

from harness.dovecot import Dovecot
from harness.gateway import upstream
from harness.imap import Client
from harness.patience import wait_until
from harness.scripted import Scripted
from harness.server import NEW_USER_PASSWORD

LOGINS_S = 8  # on a busy machine; a login that had to find out by itself that a server is silent takes connect_timeout: 20 s


class Backend(Dovecot):
    """With processes that can be stopped and continued as a host can."""

    def pids(self):
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]

    def send(self, number):
        for pid in self.pids():
            os.kill(pid, number)

    @property
    def member(self):
        return f"127.0.0.1:{self.plain_port}"


def one_store(tmp_path_factory, authority):
    """Two Dovecots in front of the same Maildirs."""
    first = Backend(tmp_path_factory.mktemp("first"), authority)
    shared = f"mail_location = maildir:{first.folder}/home/%u/Maildir:INDEX=MEMORY\n"
    return first, Backend(tmp_path_factory.mktemp("second"), authority, more_config=shared)


@pytest.fixture(name="backends")
def fixture_backends(tmp_path_factory, authority):
    servers = one_store(tmp_path_factory, authority)
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture(name="pool")
def fixture_pool(start_gateway, backends):
    """pool(): a gateway in front of both, that parks nothing unless it is told to."""
    def start(connect_timeout="20s", park=None, **settings):
        members = [server.member for server in backends]
        return start_gateway(upstream(members, connect_timeout=connect_timeout, **settings), park=park or {"per_user": 0},
                             control={}, login_failure_delay="0s", max_unauthenticated_per_address=0)
    return start


def users(count, first=1):
    return [f"user{number}" for number in range(first, first + count)]


def visit(gateway, user):
    client = gateway.client()
    answer = client.command(f"LOGIN {user} {NEW_USER_PASSWORD}")
    client.close()
    return answer


def places(gateway, since=0):
    """{user: the member of the last login}"""
    return dict(re.findall(r"user=(user\d+) upstream=main login: .*accepted_by=upstream address=(\S+)", gateway.log(since)))


def led(gateway, names):
    """Where they are led now."""
    since = gateway.log_octets()
    for name in names:
        assert visit(gateway, name).status == b"OK"
    gateway.wait_log(f"user={names[-1]} upstream=main closing", since)
    return places(gateway, since)


class Load:
    """Logins, by several clients at a time, until stop()."""

    def __init__(self, gateway, clients=4):
        self._gateway, self._is_over = gateway, threading.Event()
        self.done = []  # (when it began, how long it took, its status)
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self, number):
        turn = 0
        while not self._is_over.is_set():
            began = time.monotonic()
            user = f"user{1 + number * 50 + turn % 50}"
            with Client(self._gateway.plain_port) as client:
                status = client.command(f"LOGIN {user} {NEW_USER_PASSWORD}").status
            self.done.append((began, time.monotonic() - began, status))
            turn += 1

    def wait(self, more):
        count = len(self.done)
        wait_until(lambda: len(self.done) >= count + more)

    def stop(self):
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        return self.done


# Who is led where

def test_a_user_comes_to_the_same_server_and_all_of_them_to_both(pool):
    gateway = pool()
    names = users(16)
    first = led(gateway, names)
    assert led(gateway, names) == first
    assert min(collections.Counter(first.values()).values()) >= 2 and len(set(first.values())) == 2


def test_only_the_users_of_a_server_that_stops_move(pool, backends):
    gateway = pool(fail_timeout="1s")
    names = users(12)
    before = led(gateway, names)
    backends[1].stop()
    now = led(gateway, names)
    assert set(now.values()) == {backends[0].member}
    assert all(now[name] == before[name] for name in names if before[name] != backends[1].member)


def test_two_gateways_agree_about_who_is_led_where(pool):
    names = users(8)
    assert led(pool(), names) == led(pool(), names)


def test_a_session_goes_on_at_the_other_server_with_its_token(pool, backends):
    """One store: what was saved at the one is restored at the other."""
    gateway = pool()
    client = gateway.client()
    client.ok(f"LOGIN user1 {NEW_USER_PASSWORD}")
    client.ok("STATE")
    client.ok("ENABLE QRESYNC")
    token = client.ok("SAVESTATE").untagged[0].split()[2].decode()
    place = wait_until(lambda: places(gateway).get("user1"))
    next(server for server in backends if server.member == place).stop()
    again = gateway.client()
    again.ok(f"LOGIN user1 {NEW_USER_PASSWORD}")
    wait_until(lambda: places(gateway)["user1"] != place)
    assert again.ok(f"STATE {token}").of("STATE")


# Servers that fail in the middle of load

def test_a_server_that_stops_in_the_middle_of_load_costs_no_login_that_it_has_not_begun_to_answer(pool, backends):
    load = Load(pool(fail_timeout="1s"))
    load.wait(40)
    backends[1].stop()
    stopped_at = time.monotonic()
    wait_until(lambda: sum(began > stopped_at for began, _, _ in load.done) > 60)
    done = load.stop()
    assert {status for began, _, status in done if began > stopped_at} == {b"OK"}


def test_a_server_that_falls_silent_in_the_middle_of_load_costs_nobody_much(pool, backends):
    """It still accepts, as its kernel does that for it."""
    gateway = pool(check_interval="1s")
    load = Load(gateway)
    load.wait(40)
    backends[1].send(signal.SIGSTOP)
    try:
        silent_from = time.monotonic()
        # Logins that were under way there have been given their password, and wait for its answer.
        wait_until(lambda: sum(began > silent_from for began, _, _ in load.done) > 60)
    finally:
        backends[1].send(signal.SIGCONT)
    done = load.stop()
    assert {status for _, _, status in done} == {b"OK"}
    late = [took for began, took, _ in done if began > silent_from]
    assert max(late) < LOGINS_S, sorted(late)[-5:]
    # And it serves again, by what the checks find.
    wait_until(lambda: backends[1].member in led(gateway, users(16)).values(), every_s=0.5)


# By the operator

def states(gateway):
    """{member: state}"""
    return {row["member"]: row["state"] for row in gateway.rows("upstreams") if "member" in row}


@pytest.mark.parametrize("word,state", [("down", "down"), ("drain", "draining")])
def test_a_member_that_is_taken_out_serves_nobody_new_and_its_sessions_stay(pool, backends, word, state):
    gateway = pool(park={"per_user": 2})
    names = users(10)
    first = led(gateway, names)
    theirs = [name for name, place in first.items() if place == backends[0].member]
    wait_until(lambda: len(gateway.rows("parked")) == len(names))
    session = gateway.session(theirs[0], NEW_USER_PASSWORD)
    said = gateway.ctl("upstream", f"main:{backends[0].member}", word)
    assert f"{len(theirs) - 1} parked ended" in said or f"{len(theirs)} parked ended" in said
    assert states(gateway)[backends[0].member] == state
    assert states(gateway)[backends[1].member] == "good"
    session.ok("NOOP")
    assert led(gateway, theirs[:1]) == {theirs[0]: backends[1].member}
    session.logout()
    gateway.ctl("upstream", f"main:{backends[0].member}", "up")
    assert states(gateway)[backends[0].member] == "good"


def test_what_is_no_member_cannot_be_taken_out(pool, backends):
    gateway = pool()
    assert "no such member" in gateway.ctl("upstream", "main:nowhere", "down", status=1)
    assert "several members" in gateway.ctl("upstream", "main:127.0.0.1", "down", status=1)  # both have this host
    assert "no upstream" in gateway.ctl("upstream", "nowhere:x", "down", status=1)


# By a reload

def parked_at(gateway):
    return collections.Counter(row["server"] for row in gateway.rows("parked"))


def test_what_is_parked_at_members_that_stay_stays(start_gateway, start_scripted_pool):
    first, second, third = start_scripted_pool(3)
    gateway = start_gateway(upstream([first.place, second.place]), park={"per_user": 2}, control={})
    for number in range(12):
        client = gateway.session(f"ann{number}")
        client.logout()
    wait_until(lambda: sum(parked_at(gateway).values()) == 12)
    before = parked_at(gateway)
    assert before[first.place] > 0 and before[second.place] > 0
    others = [section for section in gateway.sections if section.kind != "upstream"]
    gateway.sections = [*others, upstream([first.place, third.place])]
    gateway.write_config()
    gateway.reload()
    gateway.wait_log("reloaded:")
    wait_until(lambda: parked_at(gateway) == {first.place: before[first.place]})


class Placed(Scripted):
    @property
    def place(self):
        return f"127.0.0.1:{self.port}"


@pytest.fixture(name="start_scripted_pool")
def fixture_start_scripted_pool():
    servers = []

    def start(count):
        servers.extend(Placed(users={f"ann{number}": "secret" for number in range(12)}) for _ in range(count))
        return servers[-count:]
    yield start
    for server in servers:
        server.stop()
