"""P16: UNAUTHENTICATE (RFC 8437), and connections that are lost."""
import pytest

from harness.imap import capabilities
from harness.scripted import AFTER
from harness.tokens import assert_not_tracking, fail_to_restore, restore, save, saved, setup_of


@pytest.mark.every_server
@pytest.mark.needs("UNAUTHENTICATE")
def test_p16_on_a_real_server(gateway, server):
    client = gateway.session()
    token = save(client, server.setup)
    client.ok("UNAUTHENTICATE")
    client.login("bob", "hunter2")
    assert_not_tracking(client, server.setup)
    restore(gateway.session(), token)


@pytest.fixture
def scripted(start_scripted):
    return start_scripted(caps_after=AFTER + " UNAUTHENTICATE")


def test_p16_it_is_offered_where_the_upstream_offers_it(scripted, scripted_gateway):
    assert b"UNAUTHENTICATE" in capabilities(scripted_gateway.client().login("ann", "secret").tagged)
    scripted.caps_after = AFTER
    client = scripted_gateway.client()
    assert b"UNAUTHENTICATE" not in capabilities(client.login("ann", "secret").tagged)
    client.bad("UNAUTHENTICATE")


def test_p16_it_is_answered_by_the_gateway_and_closes_the_upstream_connection(scripted, scripted_gateway):
    client = scripted_gateway.session()
    client.ok("ENABLE X-ONE")
    first = scripted.sessions[-1]
    client.ok("UNAUTHENTICATE")
    scripted.wait_for(lambda: first.closed)
    assert "UNAUTHENTICATE" not in first.names
    client.login("bob", "hunter2")
    client.ok("NOOP")
    second = scripted.sessions[-1]
    assert second is not first and second.user == "bob" and second.enabled == set()


def test_p16_afterwards_the_client_is_not_authenticated(scripted_gateway):
    client = scripted_gateway.session()
    client.ok("SELECT INBOX")
    client.ok("UNAUTHENTICATE")
    for command in ("STATE", "SAVESTATE", "SELECT INBOX", "NAMESPACE"):
        client.bad(command)
    assert b"AUTH=PLAIN" in capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])


def test_p16_the_state_is_emptied_and_tracking_is_off(scripted, scripted_gateway):
    client = scripted_gateway.session()
    token = save(client, "ENABLE X-ONE", "LANGUAGE DE")
    client.ok("UNAUTHENTICATE")
    client.login("ann", "secret")
    assert client.no("SAVESTATE").code == b"CLIENTBUG"
    assert_not_tracking(client)
    client.ok("STATE")
    empty = saved(client.ok("SAVESTATE"))
    restore(scripted_gateway.session(), empty)
    assert setup_of(scripted.sessions[-1]) == []
    restore(scripted_gateway.session(), token)


def test_p16_the_next_session_is_pristine_again(scripted, scripted_gateway):
    client = scripted_gateway.session()
    token = save(client, "ENABLE X-ONE")
    client.ok("UNAUTHENTICATE")
    client.login("ann", "secret")
    restore(client, token)
    assert setup_of(scripted.sessions[-1]) == ["ENABLE X-ONE"]


def test_p16_the_next_user_cannot_use_the_last_ones_token(scripted, scripted_gateway):
    client = scripted_gateway.session()
    token = save(client, "ENABLE X-ONE")
    client.ok("UNAUTHENTICATE")
    client.login("bob", "hunter2")
    fail_to_restore(client, token)
    client.ok("NOOP")
    assert scripted.sessions[-1].enabled == set()


def test_p16_it_acts_behind_the_barrier(scripted, scripted_gateway):
    client = scripted_gateway.session()
    client.send(b"a STATE\r\nb ENABLE X-ONE\r\nc SAVESTATE\r\nd UNAUTHENTICATE\r\ne LOGIN bob hunter2\r\nf SELECT INBOX\r\ng SAVESTATE\r\n")
    assert [client.wait(tag).status for tag in "abcdef"] == [b"OK"] * 6
    assert client.wait("g").code == b"CLIENTBUG"
    first, second = scripted.sessions
    assert (first.user, second.user) == ("ann", "bob")
    assert "ENABLE" in first.names and "SELECT" not in first.names and "SELECT" in second.names


def test_p16_arguments_are_bad(scripted_gateway):
    client = scripted_gateway.session()
    client.bad("UNAUTHENTICATE now")
    client.ok("NOOP")


@pytest.mark.parametrize("end", ["logout", "close"])
def test_p16_a_lost_connection_loses_what_was_not_saved_as_logout_does(scripted, scripted_gateway, end):
    client = scripted_gateway.session()
    token = save(client, "ENABLE X-ONE")
    client.ok("NOTIFY NONE")
    first = scripted.sessions[-1]
    getattr(client, end)()
    scripted.wait_for(lambda: first.closed)
    client = scripted_gateway.session()
    assert client.no("SAVESTATE").code == b"CLIENTBUG"
    restore(client, token)
    assert setup_of(scripted.sessions[-1]) == ["ENABLE X-ONE"]
