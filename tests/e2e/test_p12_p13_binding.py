"""P12, P13: whom and what a token is good for, how often and where."""
import base64
import re

import pytest

from harness.gateway import upstream, write_keys
from harness.imap import capabilities
from harness.parking import Lot
from harness.scripted import AFTER
from harness.tokens import fail_to_restore, restore, save, saved, setup_of

pytestmark = pytest.mark.every_server

SETUP = ("ENABLE QRESYNC",)


def plain(gateway, authorization, user, password):
    """A session by SASL PLAIN with an authorization identity."""
    client = gateway.client()
    client.ok("AUTHENTICATE PLAIN " + base64.b64encode(f"{authorization}\0{user}\0{password}".encode()).decode())
    return client


def test_p12_a_token_is_bound_to_the_authorization_identity(scripted, start_gateway):
    scripted_gateway = start_gateway(upstream(scripted.port, authorization_identity="pass"))
    own = save(scripted_gateway.session(), *SETUP)
    by_master = save(plain(scripted_gateway, "ann", "master", "of all"), *SETUP)
    of_master = save(scripted_gateway.session("master", "of all"), *SETUP)
    restore(plain(scripted_gateway, "ann", "master", "of all"), own)
    restore(scripted_gateway.session(), by_master)
    fail_to_restore(plain(scripted_gateway, "ann", "master", "of all"), of_master)
    fail_to_restore(plain(scripted_gateway, "bob", "master", "of all"), own)
    fail_to_restore(scripted_gateway.session("master", "of all"), own)
    fail_to_restore(scripted_gateway.session("master", "of all"), by_master)


def test_p12_a_token_is_bound_to_the_authorization_identity_on_a_real_server(start_gateway, dovecot):
    gateway = start_gateway(upstream(dovecot.plain_port, authorization_identity="pass"))
    token = save(gateway.session(), *SETUP)
    restore(plain(gateway, "ann", "master", "of all"), token)
    fail_to_restore(plain(gateway, "bob", "master", "of all"), token)
    fail_to_restore(gateway.session("bob", "hunter2"), token)


def test_p12_an_authorization_identity_equal_to_the_user_is_the_user(scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    restore(plain(scripted_gateway, "ann", "ann", "secret"), token)
    restore(plain(scripted_gateway, "", "ann", "secret"), token)


@pytest.mark.parametrize("login", ["LOGIN", "PLAIN", "LOGIN mechanism"])
def test_p12_the_way_of_the_login_does_not_matter(gateway, server, login):
    token = save(gateway.session(), server.setup)
    client = gateway.client()
    if login == "LOGIN":
        client.ok('LOGIN "ann" {6+}\r\nsecret')
    elif login == "PLAIN":
        client.ok("AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=")
    else:
        tag = client.start("AUTHENTICATE LOGIN")
        for answer in (b"YW5u\r\n", b"c2VjcmV0\r\n"):
            client.continuation()
            client.send(answer)
        assert client.wait(tag).status == b"OK"
    restore(client, token)


def test_p12_the_listener_does_not_matter(gateway, server, trust):
    token = save(gateway.session(), server.setup)
    client = gateway.client(gateway.starttls_port)
    client.starttls(trust)
    client.login("ann", "secret")
    restore(client, token)
    restore(gateway.session(listener_port=gateway.tls_port, tls=trust), token)


def test_p12_two_upstreams_of_one_gateway_have_tokens_of_their_own(scripted, start_scripted, start_gateway):
    second = start_scripted()
    gateway = start_gateway([upstream(scripted.port, "one"), upstream(second.port, "two")])
    gateway.stop()
    gateway.sections[1].update(upstream="two", tls="none", require_tls=False)
    gateway.write_config()
    gateway.start()
    on_one, on_two = gateway.plain_port, gateway.starttls_port
    token = save(gateway.session(listener_port=on_one), *SETUP)
    assert not second.sessions
    fail_to_restore(gateway.session(listener_port=on_two), token)
    restore(gateway.session(listener_port=on_one), token)
    restore(gateway.session(listener_port=on_two), save(gateway.session(listener_port=on_two), *SETUP))


SAME = {
    "order": " ".join(reversed(AFTER.split())),
    "case": AFTER.lower(),
    "AUTH=": AFTER + " AUTH=PLAIN AUTH=SCRAM-SHA-256 auth=login",
    "STARTTLS": AFTER + " STARTTLS",
    "LOGINDISABLED": AFTER + " LOGINDISABLED",
    "SASL-IR": AFTER + " SASL-IR",
    "COMPRESS=": AFTER + " COMPRESS=DEFLATE",
    "XIMAPPROXY": AFTER + " XIMAPPROXY",
}


@pytest.mark.parametrize("difference", SAME)
def test_p12_the_fingerprint_does_not_depend_on(scripted, scripted_gateway, difference):
    token = save(scripted_gateway.session(), *SETUP)
    scripted.caps_after = SAME[difference]
    restore(scripted_gateway.session(), token)
    assert setup_of(scripted.sessions[-1]) == list(SETUP)


@pytest.fixture(name="lot")
def fixture_lot(scripted, start_gateway):
    return Lot(start_gateway(scripted.port, park={"per_user": 4}), scripted)


@pytest.mark.parametrize("difference", SAME)
def test_p12_nor_does_it_where_the_connection_in_the_tokens_state_has_been_told_so(lot, difference):
    client, other = lot.gateway.session(), None
    token = save(client, "ENABLE X-ONE")
    first = lot.scripted.sessions[-1]
    lot.scripted.caps_after = SAME[difference]
    other = lot.gateway.session()
    assert lot.leave(client, first) and lot.leave(other)
    client = lot.gateway.session()  # who is told the list of the one that was parked last
    answer = restore(client, token)
    assert not answer.of("CAPABILITY") and lot.mark(client) is first and lot.logins == 2


@pytest.mark.parametrize("difference", SAME)
def test_p12_nor_does_it_where_a_new_login_has_to_serve_who_was_told_so(lot, difference):
    client = lot.gateway.session()
    token = save(client, "ENABLE X-TWO")
    client.ok("ENABLE X-ONE")
    assert lot.leave(client)
    lot.scripted.caps_after = SAME[difference]
    client = lot.gateway.session()  # accepted by one that is in another state
    answer = restore(client, token)
    assert not answer.of("CAPABILITY") and lot.logins == 2 and setup_of(lot.scripted.sessions[-1]) == ["ENABLE X-TWO"]


@pytest.mark.parametrize("difference", SAME)
def test_p12_nor_is_there_news_for_who_is_given_such_a_connection(lot, difference):
    client = lot.gateway.session()
    token = save(client, "ENABLE X-ONE")
    assert lot.leave(client)
    lot.scripted.caps_after = SAME[difference]
    client = lot.gateway.session()
    assert not client.ok("NOOP").untagged and lot.logins == 2
    assert not lot.gateway.session().ok(f"STATE {token}").of("CAPABILITY")
    assert not client.ok(f"STATE {token}").of("CAPABILITY")


@pytest.mark.parametrize("habits", [("code", "untagged"), ("code", "none"), ("none", "untagged")])
def test_p12_the_fingerprint_does_not_depend_on_where_the_list_comes_from(scripted, scripted_gateway, habits):
    scripted.caps_login = habits[0]
    token = save(scripted_gateway.session(), *SETUP)
    scripted.caps_login = habits[1]
    restore(scripted_gateway.session(), token)


def test_p12_the_list_before_login_does_not_matter(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    scripted.caps_before += " X-NEW"
    restore(scripted_gateway.session(), token)


def bearer(gateway, response):
    client = gateway.client()
    return client, client.ok("AUTHENTICATE OAUTHBEARER " + base64.b64encode(response).decode())


def test_p12_a_session_whose_identity_is_not_certain_has_no_state(scripted_gateway):
    client, answer = bearer(scripted_gateway, b"n,,\x01auth=Bearer secret\x01\x01")
    assert b"STATE" not in capabilities(answer.tagged)
    assert b"STATE" not in capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])
    for command in ("STATE", "STATE sometoken", "SAVESTATE"):
        client.bad(command)
    client.ok("NOOP")
    client.bad("STATE")


def test_p12_a_bearer_who_says_who_he_is_has_state(scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    client, answer = bearer(scripted_gateway, b"n,a=ann,\x01auth=Bearer secret\x01\x01")
    assert b"STATE" in capabilities(answer.tagged)
    restore(client, token)


def test_p12_a_bearer_by_xoauth2_has_state(scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    client = scripted_gateway.client()
    client.ok("AUTHENTICATE XOAUTH2 " + base64.b64encode(b"user=ann\x01auth=Bearer secret\x01\x01").decode())
    restore(client, token)


def test_p13_a_token_may_be_used_any_number_of_times(gateway, server):
    token = save(gateway.session(), server.setup)
    for _ in range(5):
        client = gateway.session()
        restore(client, token)
        client.logout()


def test_p13_a_token_may_be_used_by_several_connections_at_once(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    clients = [scripted_gateway.session() for _ in range(5)]
    for client in clients:
        client.send(f"s STATE {token}\r\n")
    for client in clients:
        assert client.wait("s").of("STATE")
    for client in clients:
        client.ok("NOOP")
    assert all(session.enabled == {"QRESYNC"} for session in scripted.sessions)


@pytest.fixture
def keys(tmp_path):
    return str(write_keys(tmp_path / "keys", (1, "2020-01-01T00:00:00Z")))


def test_p13_a_token_restores_through_any_gateway_that_holds_the_key(server, start_gateway, keys):
    one, other = (start_gateway(server.plain_port, keys_file=keys) for _ in range(2))
    token = save(one.session(), server.setup)
    client = other.session()
    restore(client, token)
    restore(one.session(), saved(client.ok("SAVESTATE")))


def test_p13_a_token_survives_a_restart_of_the_gateway(server, start_gateway, keys):
    gateway = start_gateway(server.plain_port, keys_file=keys)
    token = save(gateway.session(), server.setup)
    gateway.close_clients()
    gateway.stop()
    gateway.start()
    restore(gateway.session(), token)


def test_p13_without_a_key_file_tokens_die_with_the_gateway_which_warns(scripted, start_gateway):
    gateway = start_gateway(scripted.port)
    assert re.search(r"warning: .*keys?_file|warning: .*key", gateway.log())
    token = save(gateway.session(), *SETUP)
    restore(gateway.session(), token)
    gateway.close_clients()
    gateway.stop()
    gateway.start()
    fail_to_restore(gateway.session(), token)
