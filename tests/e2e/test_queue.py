"""max_logins, max_sessions and queue_timeout: who waits for a place at a server, how long, and who does not."""
import re
import threading

import pytest

from harness.gateway import reload, upstream
from harness.metrics import Metrics
from harness.parking import PARKED
from harness.patience import wait_until

WRONG = b"LOGIN ann wrong"
LONG = "10m"  # nobody waits in vain on a busy machine


class Door:
    """A server at which a login takes until it is let through."""

    def __init__(self, scripted, takes_s=None):
        self.scripted, self.takes_s = scripted, takes_s
        self.lock = threading.Lock()
        self.go = threading.Semaphore(0)
        self.inside = self.most = self.seen = 0
        scripted.on("LOGIN", self.log_in)

    def log_in(self, connection, tag, arguments):
        with self.lock:
            self.inside += 1
            self.seen += 1
            self.most = max(self.most, self.inside)
        self.go.acquire(timeout=self.takes_s)
        with self.lock:
            self.inside -= 1
        connection.default(tag, "LOGIN", arguments)

    def open(self, times=1):
        self.go.release(times)

    def wait_seen(self, times):
        self.scripted.wait_for(lambda: self.seen == times)


@pytest.fixture(name="start")
def fixture_start(scripted, start_gateway):
    """start(takes_s=None, **settings): a gateway, and the door that it stands in front of."""
    def start(takes_s=None, park=None, **settings):
        http, metrics = Metrics.settings()
        gateway = start_gateway(upstream(scripted.port, **{"queue_timeout": LONG} | settings), control={}, park=park or {"per_user": 0},
                                **http)
        gateway.metrics = metrics
        return gateway, Door(scripted, takes_s)
    return start


def wait_waiting(gateway, count):
    wait_until(lambda: gateway.rows("upstreams")[0]["waiting"] == count)


def log_in_behind(gateway, command="LOGIN ann secret"):
    """Somebody who waits; gives (client, tag)."""
    before = gateway.rows("upstreams")[0]["waiting"]
    client = gateway.client()
    tag = client.start(command)
    wait_waiting(gateway, before + 1)
    return client, tag


@pytest.mark.parametrize("max_logins", [1, 4])
def test_a_crowd_is_let_in_a_few_at_a_time_and_nobody_fails(start, max_logins):
    """As after an outage: sixty at once, at a server that has all its hands full with a few."""
    gateway, door = start(takes_s=0.01, max_logins=max_logins)
    crowd = [gateway.client() for _ in range(60)]
    tags = [client.start("LOGIN ann secret") for client in crowd]
    for client, tag in zip(crowd, tags):
        assert client.wait(tag).status == b"OK"
    assert door.most <= max_logins and door.seen == 60
    address = f"127.0.0.1:{door.scripted.port}"
    gateway.metrics.wait("upstream_connections", 0, stage="waiting")
    waited = gateway.metrics.sum("upstream_queue_seconds_count", upstream="main", address=address)
    assert 0 < waited <= 60 - max_logins
    assert len(re.findall(r"login: .* queue_time=[\d.]+s", gateway.log())) == waited
    assert gateway.metrics.sum("upstream_queue_ends_total") == 0


def test_a_crowd_is_spread_over_members_as_far_as_they_have_places(start_gateway, start_scripted):
    members = [start_scripted() for _ in range(2)]
    doors = [Door(member, 0.01) for member in members]
    addresses = [f"127.0.0.1:{member.port}" for member in members]
    gateway = start_gateway(upstream(addresses, max_logins=2, queue_timeout=LONG))
    crowd = [gateway.client() for _ in range(40)]
    tags = [client.start("LOGIN ann secret") for client in crowd]
    for client, tag in zip(crowd, tags):
        assert client.wait(tag).status == b"OK"
    assert sum(door.seen for door in doors) == 40
    for door in doors:  # they are all ann's, who belongs to one of them
        assert door.most <= 2 and door.seen > 0


def test_a_real_server_serves_a_crowd(start_gateway, dovecot):
    gateway = start_gateway(upstream(dovecot.plain_port, max_logins=2, max_sessions=6, queue_timeout=LONG), park={"per_user": 2})
    failed = []

    def visit():
        client = gateway.client()
        if client.command("LOGIN ann secret").status != b"OK" or client.command("SELECT INBOX").status != b"OK":
            failed.append(client)
        client.logout()

    crowd = [threading.Thread(target=visit) for _ in range(24)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert not failed


def test_who_waits_too_long_hears_so_and_the_session_goes_on(start):
    gateway, door = start(max_logins=1)
    first = gateway.client()
    tag = first.start("LOGIN ann secret")
    door.wait_seen(1)
    second, waiting = log_in_behind(gateway)
    gateway.sections[-1]["queue_timeout"] = "100ms"
    gateway.write_config()
    reload(gateway)  # what it says now holds for whoever waits already
    assert second.wait(waiting).tagged == waiting.encode() + b" NO [UNAVAILABLE] The mail server cannot be reached.\r\n"
    assert "login failed: " in gateway.log() and "reason=unavailable" in gateway.log()
    gateway.metrics.wait("upstream_queue_ends_total", 1, reason="timeout")
    gateway.wait_log("reason=.*no place in queue_timeout|no place in queue_timeout")
    door.open(2)
    assert first.wait(tag).status == b"OK"
    second.login("ann", "secret")
    second.ok("NOOP")


@pytest.mark.parametrize("end", ["close", "shutdown"])
def test_a_client_that_hangs_up_leaves_the_queue(start, end):
    gateway, door = start(max_logins=1)
    first = gateway.client()
    tag = first.start("LOGIN ann secret")
    door.wait_seen(1)
    second, _ = log_in_behind(gateway)
    if end == "close":
        second.close()
    else:
        second.wire.sock.shutdown(1)  # it may still be reading, but that would have been all that it does
    wait_waiting(gateway, 0)
    gateway.metrics.wait("upstream_queue_ends_total", 1, reason="left")
    door.open(2)
    assert first.wait(tag).status == b"OK"
    gateway.session().ok("NOOP")
    assert door.seen == 2


def test_more_places_are_given_at_once_by_a_reload(start):
    gateway, door = start(max_logins=1)
    first = gateway.client()
    first.start("LOGIN ann secret")
    door.wait_seen(1)
    waiting = [log_in_behind(gateway) for _ in range(3)]
    gateway.sections[-1]["max_logins"] = 3
    gateway.write_config()
    reload(gateway)
    door.wait_seen(3)
    assert gateway.rows("upstreams")[0]["waiting"] == 1 and gateway.rows("upstreams")[0]["max_logins"] == 3
    gateway.sections[-1]["max_logins"] = 0
    gateway.write_config()
    reload(gateway)
    door.wait_seen(4)
    door.open(4)
    for client, tag in waiting:
        assert client.wait(tag).status == b"OK"


def test_a_place_is_taken_until_the_connection_ends(start, scripted):
    gateway, door = start(takes_s=0.01, max_sessions=1)
    first = gateway.session()
    second, tag = log_in_behind(gateway, "LOGIN bob hunter2")
    first.ok("NOOP")
    assert len(scripted.sessions) == 1
    first.logout()
    assert second.wait(tag).status == b"OK" and door.most == 1


def test_what_is_parked_gives_way_and_serves_its_own_user_without_waiting(start, scripted):
    gateway, _ = start(takes_s=0.01, max_sessions=1, park={"per_user": 2})

    def visit(user, password):
        since = gateway.log_octets()
        client = gateway.session(user, password)
        client.ok("NOOP")
        client.logout()
        gateway.wait_log(PARKED, since)

    visit("ann", "secret")
    visit("ann", "secret")
    assert len(scripted.sessions) == 1  # it was there all the time
    visit("bob", "hunter2")
    assert len(scripted.sessions) == 2 and scripted.sessions[0].closed
    assert "queue_timeout" not in gateway.log()


def test_a_host_that_tries_passwords_holds_up_nobody_else(start, scripted):
    """It has taken all places, and forty more wait. Whoever comes from elsewhere has the next one."""
    gateway, door = start(max_logins=2)
    door.takes_s = None
    attackers = [gateway.client() for _ in range(2)]
    for attacker in attackers:
        attacker.start(WRONG)
    door.wait_seen(2)
    for _ in range(10):
        attackers.append(gateway.client())
        attackers[-1].start(WRONG)
    wait_waiting(gateway, 10)
    user = gateway.client(source="127.0.0.9")
    tag = user.start("LOGIN bob hunter2")
    wait_waiting(gateway, 11)
    door.open(1)
    door.wait_seen(3)
    assert scripted.connections[-1].names[-1] == "LOGIN" and b"bob" in scripted.connections[-1].arguments("LOGIN")[0]
    door.open(20)
    assert user.wait(tag).status == b"OK"


def test_whoever_thinks_about_a_challenge_keeps_no_place(start, scripted):
    gateway, door = start(takes_s=0.01, max_logins=1)
    slow = gateway.client()
    slow.start("AUTHENTICATE CRAM-MD5")
    slow.continuation()
    gateway.session().ok("NOOP")
    assert door.seen == 1 and len(scripted.sessions) == 1
