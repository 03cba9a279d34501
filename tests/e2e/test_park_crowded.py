"""Parked connections give way where the upstream has no room for one more, whoever's they are."""
import concurrent.futures
import random
import threading

import pytest

from harness import logins
from harness.courier import Courier
from harness.cyrus import Cyrus
from harness.dovecot import Dovecot
from harness.gateway import listener, upstream
from harness.net import free_port
from harness.parking import PARKED, Lot
from harness.patience import PATIENCE_S, in_time, wait_until
from harness.server import NEW_USER_PASSWORD, USERS

GIVEN_UP = "park: ended: the upstream wants fewer connections"
PARK = {"per_user": 4}


@pytest.fixture(name="lot")
def fixture_lot(scripted, start_gateway):
    return Lot(start_gateway(scripted.port, park=PARK), scripted)


@pytest.fixture(name="start_server")
def fixture_start_server(tmp_path_factory, authority):
    """start_server(Cyrus, maxchild=2): one of this test alone."""
    started = []

    def start(kind, **settings):
        started.append(kind(tmp_path_factory.mktemp(kind.name.lower()), authority, **settings))
        return started[-1]
    yield start
    for server in started:
        server.stop()


def session_soon(gateway, user):
    """Once Cyrus has seen that the connections have ended by which the harness has set it up."""
    def log_in():
        client = gateway.client()
        if logins.by_quoted_strings(client, user, USERS[user]).status == b"OK":
            return client
        client.close()
        return None

    return wait_until(log_in)


def park_two(gateway):
    """One of ann's, one of bob's."""
    for user in ("ann", "bob"):
        since = gateway.log_octets()
        client = session_soon(gateway, user)
        client.ok("NOOP")
        client.logout()
        gateway.wait_log(PARKED, since)


@pytest.mark.parametrize("kind,settings", [
    (Courier, {"MAXPERIP": 2}),            # hangs up without a greeting
    (Courier, {"MAXDAEMONS": 2}),          # is silent until another one has ended
    (Cyrus, {"maxchild": 2}),              # likewise
    (Cyrus, {"maxlogins_per_host": 2}),    # refuses the login
], ids=["MAXPERIP", "MAXDAEMONS", "maxchild", "maxlogins_per_host"])
def test_parked_connections_make_room_for_another_user_on_a_real_server(start_server, start_gateway, kind, settings):
    gateway = start_gateway(start_server(kind, **settings).plain_port, park=PARK)
    park_two(gateway)
    client = gateway.session("colon", USERS["colon"])
    client.ok("NOOP")
    assert GIVEN_UP in gateway.log()
    client.logout()


def crowded(scripted, limit, way):
    """With so many connections open, the upstream has no room for one more."""
    def script(connection):
        # Those that ended a moment ago count no more.
        others = [each for each in scripted.connections if each is not connection and not each.closed]
        if len(others) < limit:
            connection.serve_as_usual()
        elif way == "BYE":
            connection.send(b"* BYE too many\r\n")
        elif way == "silence":
            scripted.wait_for(lambda: sum(not each.closed for each in scripted.connections) <= limit, 30)
            connection.serve_as_usual()
    scripted.script = script


@pytest.mark.parametrize("way", ["hanging up", "BYE", "silence"])
def test_the_oldest_gives_way_to_whoever_comes(lot, way):
    ann = lot.visit()
    bob = lot.visit(user="bob", password="hunter2")
    crowded(lot.scripted, 2, way)
    client, connection = lot.land("master", "of all")
    lot.wait_closed(ann)
    assert not bob.closed and connection.user == "master"
    assert lot.leave(client, connection)


@pytest.mark.parametrize("words", [
    "NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
    "NO Too many open connections (5 of 5 for ann)", "NO [ALERT] Too many simultaneous connections. (Failure)"])
def test_a_limit_of_the_users_own_costs_nobody_else_a_parked_connection(lot, words):
    bob = lot.visit(user="bob", password="hunter2")
    lot.scripted.on("LOGIN", words)
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "secret").status == b"NO"
    assert not bob.closed and GIVEN_UP not in lot.gateway.log()


def test_who_has_been_challenged_is_not_tried_again_behind_his_back(lot):
    """The upstream does not wait for the answer to its challenge. That answer must not go to another connection."""
    first = lot.visit()
    lot.scripted.on("AUTHENTICATE", lambda c, tag, arguments: c.send(
        b"+ \r\n" + tag.encode() + b" NO Too many open connections (5 of 5 for ann)\r\n"))
    client = lot.gateway.client()
    logged_in = len(lot.scripted.connections)
    tag = client.start(b"AUTHENTICATE XOAUTH2 " + logins.encoded(logins.xoauth2("ann", "token")))
    client.continuation()
    client.send(b"\r\n")
    assert client.wait(tag).tagged.startswith(tag.encode() + b" NO Too many open connections")
    lot.wait_closed(first)  # the next try finds room
    client.ok("NOOP")
    assert [c.names for c in lot.scripted.connections[logged_in:]] == [["AUTHENTICATE"]]


def test_a_limit_of_the_gateways_address_costs_one_for_each_try(lot):
    lot.visit()
    for name in ("bob", "carl", "dora", "emil"):
        lot.scripted.users[name] = "secret"
        lot.visit(user=name, password="secret")
    lot.scripted.on("LOGIN", "NO Too many open connections (6 of 5 from gateway [192.0.2.10])")
    assert logins.by_quoted_strings(lot.gateway.client(), "master", "of all").status == b"NO"
    assert lot.gateway.log().count(GIVEN_UP) == 3


@pytest.mark.parametrize("way", ["hanging up", "BYE"])
def test_if_that_does_not_help_it_is_given_up_soon(lot, way):
    first = lot.visit()
    crowded(lot.scripted, 0, way)
    answer = logins.by_quoted_strings(lot.gateway.client(), "bob", "hunter2")
    assert answer.status == b"NO" and answer.code == b"UNAVAILABLE"
    lot.wait_closed(first)
    # Four tries for the greeting or for the login, and perhaps for both; not one after another without an end.
    assert 4 <= sum(not each.names for each in lot.scripted.connections[1:]) <= 8


@pytest.mark.parametrize("way", ["hanging up", "BYE"])
def test_with_nothing_parked_it_is_not_tried_again(scripted, start_gateway, way):
    gateway = start_gateway(scripted.port, park=PARK)
    crowded(scripted, 0, way)
    answer = logins.by_quoted_strings(gateway.client(), "ann", "secret")
    assert answer.code == b"UNAVAILABLE"
    assert len(scripted.connections) <= 2  # for the greeting, and for the login


def test_a_silent_upstream_is_still_waited_for_no_longer_than_connect_timeout(scripted, start_gateway):
    gateway = start_gateway(upstream(scripted.port, connect_timeout="1500ms"), park=PARK)
    in_time(1.4, Lot(gateway, scripted).visit)
    over = threading.Event()
    scripted.script = lambda connection: over.wait(PATIENCE_S)
    try:
        client = gateway.client()
        assert logins.by_quoted_strings(client, "bob", "hunter2").code == b"UNAVAILABLE"
        gateway.wait_log("timed out")
    finally:
        over.set()


def test_an_upstream_that_is_down_costs_nobody_a_parked_connection(lot):
    first = lot.visit()
    lot.scripted.stop_listening()
    assert logins.by_quoted_strings(lot.gateway.client(), "bob", "hunter2").code == b"UNAVAILABLE"
    assert not first.closed and GIVEN_UP not in lot.gateway.log()


def test_another_upstreams_parked_connections_are_left_alone(scripted, start_scripted, start_gateway):
    other, port = start_scripted(), free_port()
    gateway = start_gateway([upstream(scripted.port, "one"), upstream(other.port, "two")], park=PARK,
                            sections=[listener("second", port, upstream="two")])
    first = Lot(gateway, scripted).visit()
    crowded(other, 0, "hanging up")
    assert logins.by_quoted_strings(gateway.client(port), "bob", "hunter2").code == b"UNAVAILABLE"
    assert not first.closed and GIVEN_UP not in gateway.log()


# A limit of the user's own, at a real Dovecot

LIMIT, AT_ONCE = 3, 3
REFUSED = "Maximum number of connections"


@pytest.fixture(scope="module", name="narrow")
def fixture_narrow(tmp_path_factory, authority):
    server = Dovecot(tmp_path_factory.mktemp("narrow"), authority, more_config=f"mail_max_userip_connections = {LIMIT}\n")
    yield server
    server.stop()


def test_how_dovecot_says_it(narrow, start_gateway):
    gateway = start_gateway(narrow.plain_port, park=PARK)
    user = narrow.new_user()
    for _ in range(LIMIT):
        gateway.session(user, NEW_USER_PASSWORD).ok("NOOP")
    answer = logins.by_quoted_strings(gateway.client(), user, NEW_USER_PASSWORD)
    assert answer.status == b"NO" and answer.code == b"LIMIT" and REFUSED.encode() in answer.tagged


def request(gateway, user, dice):
    """One of those that a webmail's page makes at the same time: each may be another program, with another set-up."""
    client = gateway.client()
    answer = dice.choice((logins.by_quoted_strings, logins.by_plain_at_once, logins.by_plain))(client, user, NEW_USER_PASSWORD)
    assert answer.status == b"OK", answer.tagged
    for name in dice.sample(("CONDSTORE", "QRESYNC"), dice.randrange(3)):
        client.ok(f"ENABLE {name}")
    client.ok(dice.choice(("SELECT INBOX", "STATUS INBOX (MESSAGES)", "NOOP")))
    if dice.random() < 0.7:
        client.logout()
    client.close()


def test_no_login_fails_where_as_many_sessions_as_the_server_allows_come_at_once(narrow, start_gateway):
    """Whatever of the user's is parked, about to be, or just ending: it gives way."""
    gateway = start_gateway(narrow.plain_port, park={"per_user": 5}, workers=2)
    user, dice = narrow.new_user(), random.Random(15)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(30):
            for done in [pool.submit(request, gateway, user, random.Random(dice.random())) for _ in range(AT_ONCE)]:
                done.result()
    assert GIVEN_UP in gateway.log(), "the limit was never met"


def test_a_limit_once_met_is_not_met_at_each_visit(narrow, start_gateway):
    """Two programs of one user's, three connections each: what one has parked is of no use to the other."""
    gateway = start_gateway(narrow.plain_port, park={"per_user": 5})
    user = narrow.new_user()

    def visit(*commands):
        clients = [gateway.session(user, NEW_USER_PASSWORD) for _ in range(AT_ONCE)]
        for client in clients:
            for command in (*commands, "STATUS INBOX (MESSAGES)"):
                client.ok(command)
        for client in clients:
            client.logout()

    for _ in range(6):
        visit()
        visit("ENABLE QRESYNC")
    assert 1 <= gateway.log().count("at most ") <= 2 and "no room for more connections of this user" in gateway.log()
    assert gateway.log().count("park: given up") <= 2


def test_a_proof_that_cannot_be_tried_again_finds_room_once_the_limit_is_known(narrow, start_gateway):
    gateway = start_gateway(narrow.plain_port, park={"per_user": 5})
    user = narrow.new_user()

    def park(count):
        clients = [gateway.session(user, NEW_USER_PASSWORD) for _ in range(count)]
        for client in clients:
            client.ok("NOOP")
        for client in clients:
            client.logout()

    park(LIMIT)
    client = gateway.client()
    assert logins.by_cram_md5(client, user, NEW_USER_PASSWORD).code == b"LIMIT"  # it is known from here on
    assert logins.by_cram_md5(client, user, NEW_USER_PASSWORD).status == b"OK"
    park(LIMIT - 1)  # one of them stays
    others = [gateway.client() for _ in range(LIMIT - 1)]
    assert [logins.by_cram_md5(other, user, NEW_USER_PASSWORD).status for other in others] == [b"OK"] * len(others)
