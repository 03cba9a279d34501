"""How many connections are parked and how long; pressure from the upstream; proofs of credentials, and what ends them."""
import itertools
import time

import pytest

from harness import logins
from harness.dovecot import Dovecot
from harness.gateway import listener, upstream
from harness.memory import needs_plain_build, resident_kib
from harness.net import free_port
from harness.parking import Lot, assert_logins, chores
from harness.patience import in_time, let_pass
from harness.scripted import CLOSE
from harness.tokens import restore, save


@pytest.fixture(name="start_lot")
def fixture_start_lot(scripted, start_gateway):
    def start(**park):
        return Lot(start_gateway(scripted.port, park={"per_user": 8} | park), scripted)
    return start


def at_once(lot, count, user="ann", password="secret"):
    """Sessions side by side; gives (client, connection) of each."""
    return [lot.land(user, password) for _ in range(count)]


def new_users(lot):
    """One after another, for what may have to be done again."""
    for number in itertools.count():
        lot.scripted.users[f"user{number}"] = "secret"
        yield f"user{number}"


def leave_all(lot, sessions):
    for client, connection in sessions:
        lot.leave(client, connection)
    return [connection for _, connection in sessions]


# per_user, max


def test_per_user_is_the_most_that_are_kept_of_one_user_and_the_oldest_goes_first(start_lot):
    lot = start_lot(per_user=2)
    connections = leave_all(lot, at_once(lot, 4))
    for connection in connections[:2]:
        lot.wait_closed(connection)
    assert [c.closed for c in connections] == [True, True, False, False]
    assert all(c.names[-1] == "LOGOUT" for c in connections[:2])
    again = at_once(lot, 3)
    assert [c in connections for _, c in again] == [True, True, False]


def test_per_user_counts_each_user_by_itself(start_lot):
    lot = start_lot(per_user=1)
    ann, bob = lot.visit(), lot.visit(user="bob", password="hunter2")
    assert lot.visit() is ann and lot.visit(user="bob", password="hunter2") is bob
    assert lot.logins == 2


def test_per_user_counts_connections_in_a_state_too(start_lot):
    lot = start_lot(per_user=2)
    tokens = []
    for name in ("X-ONE", "X-TWO", "QRESYNC"):
        client = lot.gateway.session()
        tokens.append(save(client, f"ENABLE {name}"))
        assert lot.leave(client, lot.mark(client))
    lot.wait_closed(lot.scripted.sessions[0])
    for token in reversed(tokens):
        restore(lot.gateway.session(), token)
    assert lot.logins == 4  # the first one's state was set up anew


def test_max_is_for_all_users_together_and_the_oldest_goes_first(start_lot):
    lot = start_lot(max=2)
    lot.scripted.users["eve"] = "pomum"
    ann, bob = lot.visit(), lot.visit(user="bob", password="hunter2")
    eve = lot.visit(user="eve", password="pomum")
    lot.wait_closed(ann)
    assert ann.names[-1] == "LOGOUT" and not bob.closed and not eve.closed
    assert lot.visit(user="bob", password="hunter2") is bob and lot.visit(user="eve", password="pomum") is eve


def test_use_makes_a_connection_young_again_for_max(start_lot):
    lot = start_lot(max=2)
    lot.scripted.users["eve"] = "pomum"
    ann, bob = lot.visit(), lot.visit(user="bob", password="hunter2")
    assert lot.visit() is ann
    lot.visit(user="eve", password="pomum")
    lot.wait_closed(bob)
    assert not ann.closed


# time, lifetime, keepalive


def test_time_is_how_long_a_connection_waits(start_lot):
    lot = start_lot(time="1s")
    began = time.monotonic()
    first = lot.visit()
    lot.wait_closed(first)
    assert time.monotonic() - began >= 1 and first.names[-1] == "LOGOUT"
    assert lot.visit() is not first


def test_time_begins_anew_with_each_session_and_lifetime_does_not(start_lot):
    lot = start_lot(time="1500ms", lifetime="3s")

    user = new_users(lot)

    def come_again_and_again():
        name = next(user)
        first = lot.visit(user=name)
        for _ in range(5):
            let_pass(0.4)
            assert lot.visit(user=name) is first
        return name, first

    name, first = in_time(2.9, come_again_and_again)
    let_pass(1.1)
    assert lot.visit(user=name) is not first
    lot.wait_closed(first)


def test_a_session_that_outlives_lifetime_is_not_disturbed_but_not_parked(start_lot):
    lot = start_lot(lifetime="1s", time="1s")
    client, connection = lot.land()
    let_pass(1.1)
    client.ok("NOOP")
    lot.leave(client, connection)
    lot.wait_closed(connection)


def test_a_parked_connection_is_kept_alive_by_noop(start_lot):
    lot = start_lot(keepalive="300ms")
    first = lot.visit()
    lot.wait_kept_alive(3)
    assert chores(first).count("NOOP") >= 3
    lot.keep_alive_no_more()
    assert lot.visit() is first


def test_keeping_alive_does_not_make_it_younger(start_lot):
    lot = start_lot(keepalive="200ms", time="1500ms")  # more than the second that is between two signs of life
    first = lot.visit()
    lot.wait_closed(first)
    assert "NOOP" in chores(first)


@pytest.mark.parametrize("answer", [(CLOSE,), ("* BYE enough", "OK done"), ("BAD what?",)], ids=["closes", "says BYE", "says BAD"])
def test_one_that_does_not_live_any_more_is_dropped(start_lot, answer):
    lot = start_lot(keepalive="200ms")
    first = lot.visit()
    lot.scripted.on("NOOP", *answer)
    lot.wait_closed(first)
    assert lot.visit() is not first


@pytest.mark.parametrize("answer", [("* OK [ALERT] Lunch.", "OK done"), ("OK [ALERT] Lunch.",)], ids=["untagged", "tagged"])
def test_an_alert_in_answer_to_the_noop_is_kept_for_the_next_session(start_lot, answer):
    lot = start_lot(keepalive="200ms")
    lot.scripted.on("NOOP", *answer, times=1)
    first = lot.visit()
    lot.wait_kept_alive(2)
    lot.keep_alive_no_more()
    client = lot.gateway.session()
    assert client.ok("NOOP").untagged == [b"* OK [ALERT] Lunch.\r\n"]
    assert lot.mark(client) is first


def test_one_whose_server_hangs_is_dropped(scripted, start_gateway):
    lot = Lot(start_gateway(upstream(scripted.port, answer_timeout="300ms"), park={"keepalive": "200ms"}), scripted)
    first = in_time(0.25, lot.visit)
    scripted.on("NOOP", lambda connection, tag, arguments: None)
    lot.wait_closed(first)


# Memory


@needs_plain_build
def test_a_parked_connection_takes_less_than_a_kibibyte(start_lot):
    """Its user's own and its struct; no buffer."""
    lot = start_lot(max=10000)
    users = [f"user{number}" for number in range(600)]
    lot.scripted.users.update({user: "secret" for user in users})
    for user in users[:200]:
        lot.visit(user=user)
    before = resident_kib(lot.gateway)
    for user in users[200:]:
        lot.visit(user=user)
    assert lot.logins == 600 and not any(c.closed for c in lot.scripted.sessions)
    assert (resident_kib(lot.gateway) - before) / 400 < 1


# Pressure

TOO_MANY = {
    "Dovecot": "NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=2)",
    "Cyrus": "NO Too many open connections (2 of 2 for ann)",
    "RFC 9051": "NO [LIMIT] Too many connections",
}


def allow_at_most(scripted, count, words):
    def limited(method):
        def answer(connection, tag, arguments):
            user = b"ann"
            live = [c for c in scripted.sessions if not c.closed and c.user == "ann"]
            if len(live) >= count and (user in arguments or b"AUTHENTICATE" in method):
                return connection.send(f"{tag} {words}\r\n")
            return connection.default(tag, method.decode(), arguments)
        return answer
    scripted.on("LOGIN", limited(b"LOGIN"))
    scripted.on("AUTHENTICATE", limited(b"AUTHENTICATE"))


@pytest.mark.parametrize("server", TOO_MANY)
def test_parked_connections_are_given_up_when_the_upstream_wants_fewer(start_lot, server):
    lot = start_lot()
    tokens = []
    for name in ("X-ONE", "X-TWO"):
        client = lot.gateway.session()
        tokens.append(save(client, f"ENABLE {name}"))
        assert lot.leave(client, lot.mark(client))
    parked = lot.scripted.sessions
    allow_at_most(lot.scripted, 2, TOO_MANY[server])
    client = lot.gateway.session()  # accepted; needs a pristine connection, which would be the third
    client.ok("NOOP")
    assert lot.mark(client) not in parked
    for connection in parked:
        lot.wait_closed(connection)


@pytest.mark.parametrize("server", TOO_MANY)
def test_a_login_that_goes_upstream_has_the_parked_ones_given_up_too(start_lot, server):
    lot = start_lot()
    parked = leave_all(lot, at_once(lot, 2))
    allow_at_most(lot.scripted, 2, TOO_MANY[server])
    client = lot.gateway.client()
    tag = client.start(b"AUTHENTICATE XOAUTH2 " + logins.encoded(logins.xoauth2("ann", "secret")))
    assert client.wait(tag).status == b"OK"
    assert lot.mark(client) not in parked
    for connection in parked:
        lot.wait_closed(connection)


def test_where_the_gateway_cannot_repeat_the_login_the_client_can(start_lot):
    lot = start_lot()
    parked = leave_all(lot, at_once(lot, 2))
    refused = []

    def crowded(connection, tag, arguments):
        if sum(not c.closed for c in parked) and not refused:
            connection.challenge(b"<1@scripted>")
            refused.append(tag)
            return connection.send(f"{tag} {TOO_MANY['Dovecot']}\r\n")
        return connection.do_AUTHENTICATE(tag, arguments)

    lot.scripted.on("AUTHENTICATE", crowded)
    answer = logins.by_cram_md5(lot.gateway.client(), "ann", "secret")
    assert answer.status == b"NO" and answer.code == b"UNAVAILABLE"
    for connection in parked:
        lot.wait_closed(connection)
    assert logins.by_cram_md5(lot.gateway.client(), "ann", "secret").status == b"OK"


def test_parked_connections_are_given_up_for_a_real_servers_limit(tmp_path_factory, authority, start_gateway):
    server = Dovecot(tmp_path_factory.mktemp("strict"), authority, "mail_max_userip_connections = 2\n")
    try:
        gateway = start_gateway(server.plain_port, park={})
        user = server.new_user()
        for name in ("CONDSTORE", "QRESYNC"):
            since = gateway.log_octets()
            client = gateway.session(user)
            save(client, f"ENABLE {name}")
            client.logout()
            gateway.wait_log("park: parked, in a state", since)
        client = gateway.session(user)
        client.ok("NOOP")  # a pristine connection is the third
        assert_logins(server, user, 3)
        assert "park: given up" in gateway.log()
    finally:
        server.stop()


def test_another_users_parked_connections_are_left_alone(start_lot):
    lot = start_lot()
    bob = lot.visit(user="bob", password="hunter2")
    client = lot.gateway.session()
    save(client, "ENABLE X-ONE")
    ann = lot.mark(client)
    assert lot.leave(client, ann)
    allow_at_most(lot.scripted, 1, TOO_MANY["Dovecot"])
    client = lot.gateway.session()
    client.ok("NOOP")
    lot.wait_closed(ann)
    assert not bob.closed


def test_if_nothing_is_parked_the_upstreams_refusal_is_the_answer(start_lot):
    lot = start_lot()
    held, _ = lot.land()
    allow_at_most(lot.scripted, 1, TOO_MANY["Dovecot"])
    answer = logins.by_quoted_strings(lot.gateway.client(), "ann", "secret")
    assert answer.status == b"NO" and answer.code == b"UNAVAILABLE"
    held.ok("NOOP")


def test_a_refusal_for_too_many_connections_is_none_of_the_credentials(start_lot):
    lot = start_lot()
    first = lot.visit()
    held, landed = lot.land()
    assert landed is first
    allow_at_most(lot.scripted, 1, TOO_MANY["Dovecot"])
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "secret").status == b"NO"
    assert lot.leave(held, first)
    assert lot.visit() is first


# Proofs


def test_after_reauth_interval_a_login_goes_upstream(start_lot):
    lot = start_lot(reauth_interval="1s")
    lot.visit()
    let_pass(1.05)
    lot.visit()
    assert lot.logins == 2


def test_local_acceptance_never_extends_the_proof(start_lot):
    lot = start_lot(reauth_interval="2s")

    user = new_users(lot)

    def come_again_and_again():
        name = next(user)
        first = lot.visit(user=name)
        for _ in range(8):
            let_pass(0.2)
            assert lot.visit(user=name) is first
        return name, lot.logins

    name, logins_before = in_time(1.9, come_again_and_again)
    let_pass(0.5)
    lot.visit(user=name)
    assert lot.logins == logins_before + 1


def test_when_the_proof_has_aged_what_is_parked_goes(start_lot):
    lot = start_lot(reauth_interval="500ms")
    first = lot.visit()
    lot.wait_closed(first)
    assert first.names[-1] == "LOGOUT"


def test_a_new_proof_makes_the_same_credentials_good_again(start_lot):
    lot = start_lot(reauth_interval="1s")
    user = new_users(lot)

    def prove_anew():
        name = next(user)
        client, connection = lot.land(name)
        let_pass(1.05)
        held, _ = lot.land(name)  # goes upstream, and proves
        assert lot.leave(client, connection)
        assert lot.visit(user=name) is connection
        held.close()

    in_time(1.05 + 0.9, prove_anew)


def test_after_a_password_change_the_old_one_works_no_longer_than_the_proof(start_lot):
    lot = start_lot(reauth_interval="1s")
    lot.visit()
    lot.scripted.users["ann"] = "changed"
    let_pass(1.05)
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "secret").status == b"NO"
    lot.visit(password="changed")


def test_when_the_upstream_refuses_the_credentials_all_that_is_parked_by_them_goes(start_lot):
    lot = start_lot()
    client = lot.gateway.session()
    save(client, "ENABLE X-ONE")
    in_state = lot.mark(client)
    assert lot.leave(client, in_state)
    held, pristine = lot.land()
    lot.scripted.users["ann"] = "changed"
    client = lot.gateway.session()  # accepted, as one is parked; but not one that it could use
    assert client.no("NOOP").code == b"AUTHENTICATIONFAILED"
    lot.wait_closed(in_state)
    lot.leave(held, pristine)       # nor does what was in use come back
    lot.wait_closed(pristine)
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "secret").status == b"NO"


def attempts(scripted):
    return sum(set(c.names) & {"LOGIN", "AUTHENTICATE"} != set() for c in scripted.connections)


def test_a_wrong_password_touches_nothing_that_is_parked(start_lot):
    lot = start_lot()
    connections = leave_all(lot, at_once(lot, 2))
    for _ in range(3):
        assert logins.by_quoted_strings(lot.gateway.client(), "ann", "wrong").status == b"NO"
    assert not any(c.closed for c in connections)


def test_after_a_refusal_logins_go_upstream_until_one_succeeds(start_lot):
    """So the upstream's lockout stays in force: the right password is not told from wrong ones behind its back."""
    lot = start_lot()
    first = lot.visit()
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "wrong").status == b"NO"
    # Locked out now, the right password too.
    lot.scripted.on("LOGIN", "NO [AUTHENTICATIONFAILED] locked")
    lot.scripted.on("AUTHENTICATE", "NO [AUTHENTICATIONFAILED] locked")
    before = attempts(lot.scripted)
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "wrong again").status == b"NO"
    assert attempts(lot.scripted) == before + 1
    assert not first.closed


def test_the_right_password_is_asked_of_the_upstream_after_a_refusal_and_then_good_again(start_lot):
    lot = start_lot()
    first = lot.visit()
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "wrong").status == b"NO"
    held, connection = lot.land()
    assert connection is not first and lot.logins == 2
    assert lot.visit() is first and lot.logins == 2
    held.close()


def test_a_refusal_does_not_touch_another_user(start_lot):
    lot = start_lot()
    lot.visit()
    bob = lot.visit(user="bob", password="hunter2")
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "wrong").status == b"NO"
    assert lot.visit(user="bob", password="hunter2") is bob


def test_a_refusal_of_a_user_that_never_was_parked_does_no_harm(start_lot):
    lot = start_lot()
    for _ in range(2):
        assert logins.by_quoted_strings(lot.gateway.client(), "nobody", "wrong").status == b"NO"
    first = lot.visit()
    assert lot.visit() is first


def test_an_unavailable_upstream_is_no_refusal(start_lot):
    lot = start_lot()
    first = lot.visit()
    held, landed = lot.land()
    lot.scripted.on("LOGIN", "NO [UNAVAILABLE] not now", times=1)
    lot.scripted.on("AUTHENTICATE", "NO [UNAVAILABLE] not now", times=1)
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "secret").status == b"NO"
    assert landed is first and lot.leave(held, first)
    assert lot.visit() is first and lot.logins == 1


def start_behind_proxy(scripted, start_gateway):
    port = free_port()
    proxied = listener("proxied", port, accept_proxy=True, trusted_networks=["127.0.0.0/8"])
    gateway = start_gateway(upstream(scripted.port, send_client_address="id"), park={"per_user": 8}, sections=[proxied])
    lot = Lot(gateway, scripted)

    def client_from(address):
        return gateway.client(port, first=f"PROXY TCP4 {address} 192.0.2.99 4000 143\r\n".encode())
    return lot, client_from


def test_where_addresses_are_passed_on_a_refusal_counts_for_its_address(scripted, start_gateway):
    """One webmail host's typos do not void the proofs of everybody else's."""
    lot, client_from = start_behind_proxy(scripted, start_gateway)
    parked = {}
    for address in ("192.0.2.1", "192.0.2.2"):
        client = client_from(address)
        client.login("ann", "secret")
        parked[address] = lot.mark(client)
        assert lot.leave(client, parked[address])
    assert logins.by_quoted_strings(client_from("192.0.2.1"), "ann", "wrong").status == b"NO"
    client = client_from("192.0.2.2")
    client.login("ann", "secret")
    assert lot.mark(client) is parked["192.0.2.2"] and lot.logins == 2
    client = client_from("192.0.2.1")
    client.login("ann", "secret")
    assert lot.mark(client) is not parked["192.0.2.1"] and lot.logins == 3


@pytest.mark.parametrize("passes_on", [False, True], ids=["otherwise it is the same", "where addresses are passed on it is told"])
def test_which_listener_a_client_comes_by(scripted, start_gateway, trust, passes_on):
    section = upstream(scripted.port, send_client_address="id" if passes_on else "none")
    lot = Lot(start_gateway(section, park={"per_user": 8}), scripted)
    first = lot.visit()
    client = lot.gateway.session(listener_port=lot.gateway.tls_port, tls=trust)
    landed = lot.mark(client)
    assert (landed is first) == (not passes_on)
    assert lot.leave(client, landed)
    assert lot.visit() is first and lot.logins == 1 + passes_on


def test_a_second_password_stands_beside_the_first(start_lot):
    """App passwords."""
    lot = start_lot()
    first = lot.visit()
    lot.scripted.users["ann"] = "app password"
    second = lot.visit(password="app password")
    assert second is not first and not first.closed
    lot.scripted.users["ann"] = "secret"
    assert lot.visit() is first


def test_with_one_password_a_success_with_another_voids_the_older(start_lot):
    lot = start_lot(one_password=True)
    first = lot.visit()
    bob = lot.visit(user="bob", password="hunter2")
    lot.scripted.users["ann"] = "changed"
    second = lot.visit(password="changed")
    lot.wait_closed(first)
    assert second is not first and not bob.closed
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "secret").status == b"NO"
    assert lot.visit(user="bob", password="hunter2") is bob


def test_with_one_password_a_running_session_with_the_older_is_not_parked(start_lot):
    lot = start_lot(one_password=True)
    client, connection = lot.land()
    lot.scripted.users["ann"] = "changed"
    lot.visit(password="changed")
    client.ok("NOOP")
    lot.leave(client, connection)
    lot.wait_closed(connection)


def test_what_was_refused_while_it_was_in_use_is_not_parked(start_lot):
    lot = start_lot()
    client, connection = lot.land()
    lot.scripted.users["ann"] = "changed"
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "secret").status == b"NO"
    lot.leave(client, connection)
    lot.wait_closed(connection)
