"""Parked connections: a login without the upstream, and which connection a session then gets."""
import pytest

from harness import logins
from harness.gateway import listener, upstream
from harness.imap import capabilities
from harness.net import free_port
from harness.parking import Lot, assert_logins, log_out, mine
from harness.scripted import AFTER, BEFORE
from harness.tokens import assert_not_restored, assert_restored, restore, save, saved, setup_of

STATE = ("ENABLE QRESYNC", "LANGUAGE DE")


@pytest.fixture(name="start_lot")
def fixture_start_lot(start_scripted, start_gateway):
    """start_lot(**park): a gateway with these settings of park, and its upstream."""
    def start(**park):
        scripted = start_scripted()
        return Lot(start_gateway(upstream(scripted.port, authorization_identity="pass"), park=park), scripted)
    return start


@pytest.fixture(name="lot")
def fixture_lot(start_lot):
    return start_lot(per_user=4)


def park_a_state(lot, *commands):
    """A session that saves this state and leaves; gives (token, the connection that is parked in it)."""
    client = lot.gateway.session()
    token = save(client, *commands)
    connection = lot.mark(client)
    assert lot.leave(client, connection), "not parked"
    return token, connection


# Point 1: login without the upstream


@pytest.mark.parametrize("hang_up", [False, True], ids=["logout", "hanging up"])
def test_the_next_session_of_a_user_gets_the_connection_of_the_last(lot, hang_up):
    first = lot.visit(hang_up=hang_up)
    for _ in range(3):
        assert lot.visit(hang_up=hang_up) is first
    assert lot.logins == 1
    assert first.names.count("LOGIN") + first.names.count("AUTHENTICATE") == 1
    assert "LOGOUT" not in first.names


def test_a_login_is_answered_while_the_upstream_is_silent(lot):
    lot.visit()
    lot.scripted.stop_listening()
    lot.scripted.on("STATUS", lambda connection, tag, arguments: None)
    client = lot.gateway.client()
    answer = client.login("ann", "secret")
    assert b"STATE" in capabilities(answer.tagged)


def test_without_parking_each_session_has_its_own(start_lot):
    lot = start_lot(per_user=0)
    for number in range(1, 4):
        client, connection = lot.land()
        assert not lot.leave(client, connection)
        assert lot.logins == number and "LOGOUT" in connection.names


@pytest.mark.parametrize("second", list(logins.WAYS))
@pytest.mark.parametrize("first", ["LOGIN with atoms", "PLAIN at once", "AUTH=LOGIN"])
def test_every_way_to_give_the_same_password_matches_every_other(lot, first, second):
    for way in (first, second):
        client = lot.gateway.client()
        assert logins.by(way, client, "ann", "secret").status == b"OK"
        assert lot.leave(client, lot.mark(client))
    assert lot.logins == 1


@pytest.mark.parametrize("user,password", [("bob", "hunter2"), ("ANN", "secret"), ("ann ", "secret")])
def test_another_user_never_matches(lot, user, password):
    lot.scripted.users.update({"ANN": "secret", "ann ": "secret"})
    first = lot.visit()
    client, second = lot.land(user, password)
    assert second is not first and second.user == user
    assert not lot.leave(client, second) or lot.visit() is first


@pytest.mark.parametrize("password", ["Secret", "secret ", "secre", "secretx", "hunter2"])
def test_a_wrong_password_is_asked_of_the_upstream_and_refused(lot, password):
    first = lot.visit()
    refused = lot.gateway.client()
    assert logins.by_quoted_strings(refused, "ann", password).status == b"NO"
    assert not first.closed
    # The upstream itself must have been asked: its lockouts see the attempt.
    assert any(c is not first and set(c.names) & {"LOGIN", "AUTHENTICATE"} for c in lot.scripted.connections)


def test_an_empty_password_never_matches(lot):
    lot.visit()
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "").status == b"NO"


def by_authorization(lot, user, password, authorization=""):
    client = lot.gateway.client()
    assert logins.by_plain_at_once(client, user, password, authorization).status == b"OK"
    return client, lot.mark(client)


def test_an_authorization_identity_is_part_of_the_match(lot):
    client, on_behalf_of_ann = by_authorization(lot, "master", "of all", "ann")
    assert lot.leave(client, on_behalf_of_ann)
    for user, password, authorization in (("master", "of all", ""), ("master", "of all", "bob"), ("ann", "secret", "")):
        client, connection = by_authorization(lot, user, password, authorization)
        assert connection is not on_behalf_of_ann and connection.user == (authorization or user)
    client, connection = by_authorization(lot, "master", "of all", "ann")
    assert connection is on_behalf_of_ann


def test_who_vouches_for_an_authorization_identity_is_part_of_the_match_too(lot):
    """By the same password: the upstream may still see a difference between the two."""
    lot.scripted.users["master"] = "secret"
    client, by_master = by_authorization(lot, "master", "secret", "ann")
    assert lot.leave(client, by_master)
    client, by_herself = by_authorization(lot, "ann", "secret")
    assert by_herself is not by_master
    assert lot.leave(client, by_herself)
    assert by_authorization(lot, "master", "secret", "ann")[1] is by_master


def test_an_authorization_identity_that_is_the_user_changes_nothing(lot):
    first = lot.visit()
    _, connection = by_authorization(lot, "ann", "secret", "ann")
    assert connection is first


BEARERS = {"XOAUTH2": lambda token, user="ann": logins.xoauth2(user, token),
           "OAUTHBEARER": lambda token, user="ann": logins.oauthbearer(token, user)}


def by_bearer(lot, mechanism, message):
    client = lot.gateway.client()
    tag = client.start(b"AUTHENTICATE " + mechanism.encode() + b" " + logins.encoded(message))
    if (response := client.response()).startswith(b"+"):
        client.send(b"\r\n")  # the upstream tells why it refuses; then the tagged answer
        response = client.response()
    assert response.startswith(tag.encode())
    return client, response.split()[1]


@pytest.mark.parametrize("second", BEARERS)
@pytest.mark.parametrize("first", BEARERS)
def test_the_same_bearer_token_matches_by_either_mechanism(lot, first, second):
    for mechanism in (first, second):
        client, status = by_bearer(lot, mechanism, BEARERS[mechanism]("secret"))
        assert status == b"OK"
        assert lot.leave(client, lot.mark(client))
    assert lot.logins == 1


@pytest.mark.parametrize("mechanism", BEARERS)
def test_another_bearer_token_does_not_match(lot, mechanism):
    client, _ = by_bearer(lot, "XOAUTH2", BEARERS["XOAUTH2"]("secret"))
    first = lot.mark(client)
    assert lot.leave(client, first)
    _, status = by_bearer(lot, mechanism, BEARERS[mechanism]("another"))
    assert status == b"NO"
    lot.scripted.users["ann"] = "another"
    client, status = by_bearer(lot, mechanism, BEARERS[mechanism]("another"))
    assert status == b"OK" and lot.mark(client) is not first


@pytest.mark.parametrize("mechanism", BEARERS)
def test_a_bearer_token_is_no_password(lot, mechanism):
    client, _ = by_bearer(lot, mechanism, BEARERS[mechanism]("secret"))
    first = lot.mark(client)
    assert lot.leave(client, first)
    # This upstream takes the token for a password too; another would not, and is the one to ask.
    _, connection = lot.land()
    assert connection is not first


@pytest.mark.parametrize("mechanism", BEARERS)
def test_nor_is_a_password_a_bearer_token(lot, mechanism):
    first = lot.visit()
    client, status = by_bearer(lot, mechanism, BEARERS[mechanism]("secret"))
    assert status == b"OK" and lot.mark(client) is not first


def test_a_token_of_nobody_known_never_matches(lot):
    message = logins.oauthbearer("secret")
    for number in (1, 2):
        client, status = by_bearer(lot, "OAUTHBEARER", message)
        assert status == b"OK"
        lot.leave(client, lot.mark(client))
        assert lot.logins == number


def test_a_mechanism_that_only_proves_always_goes_upstream(lot):
    first = lot.visit()
    for number in (2, 3):
        client = lot.gateway.client()
        assert logins.by_cram_md5(client, "ann", "secret").status == b"OK"
        connection = lot.mark(client)
        assert connection is not first and lot.logins == number
        # Nobody could prove by a password that it is theirs.
        assert not lot.leave(client, connection)
    assert lot.visit() is first


def test_scram_goes_upstream_on_a_real_server_and_plain_does_not(dovecot, start_gateway):
    gateway = start_gateway(dovecot.plain_port, park={})
    user = dovecot.new_user()
    for expected in (1, 2):
        client = gateway.client()
        assert logins.by_scram(client, "SCRAM-SHA-256", user, "secret").status == b"OK"
        client.ok("NOOP")
        client.logout()
        assert_logins(dovecot, user, expected)
    for _ in range(3):
        since = gateway.log_octets()
        client = gateway.session(user)
        client.ok("NOOP")
        client.logout()
        gateway.wait_log("park: parked,", since)
    assert_logins(dovecot, user, 3)


def test_the_capability_list_is_that_of_the_connection(lot):
    lot.visit()
    lot.scripted.caps_after += " NEWER"
    client = lot.gateway.client()
    listed = capabilities(client.login("ann", "secret").tagged)
    assert b"NEWER" not in listed and b"LANGUAGE" in listed and b"STATE" in listed
    assert listed == capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])


def test_passwords_and_tokens_of_sessions_that_are_parked_are_not_in_the_log(lot):
    lot.visit()
    lot.visit()
    client, _ = by_bearer(lot, "XOAUTH2", BEARERS["XOAUTH2"]("secret"))
    assert lot.leave(client, lot.mark(client))
    assert "secret" not in lot.gateway.log()


# Point 2: the choice at the first command that needs it


def test_before_the_choice_the_gateway_answers_by_itself(lot):
    first = lot.visit()
    seen = len(first.commands)
    client = lot.gateway.session()
    assert client.ok("CAPABILITY").of("CAPABILITY")
    assert client.ok('ID ("name" "test")').of("ID")
    client.ok("STATE")
    saved(client.ok("SAVESTATE"))
    client.logout()
    assert len(first.commands) == seen and lot.logins == 1
    assert lot.visit() is first  # it was given back as it was


def test_before_the_choice_saving_and_logging_out_need_no_upstream_at_all(lot):
    first = lot.visit()
    lot.scripted.stop_listening()
    first.hang_up()
    client = lot.gateway.session()
    client.ok("STATE")
    saved(client.ok("SAVESTATE"))
    client.logout()


def test_an_id_before_the_choice_reaches_the_chosen_connection(lot):
    first = lot.visit()
    client = lot.gateway.session()
    client.ok('ID ("name" "a client of its own")')
    assert lot.mark(client) is first
    client.ok('ID ("name" "another")')
    sent = [arguments for name, arguments in mine(first) if name == "ID"]
    assert b'("name" "another")' in sent  # relayed after the choice
    assert any(b"a client of its own" in arguments for arguments in first.arguments("ID"))


def test_after_the_choice_capability_is_relayed(lot):
    first = lot.visit()
    client, connection = lot.land()
    assert connection is first
    client.ok("CAPABILITY")
    assert first.names[-1] == "CAPABILITY"


def test_noop_chooses_and_asks_the_upstream(lot):
    first = lot.visit()
    client = lot.gateway.session()
    client.ok("NOOP")
    assert mine(first)[-1] == ("NOOP", b"")


def test_a_health_probe_fails_while_the_upstream_is_down(lot):
    first = lot.visit()
    lot.scripted.stop_listening()
    first.hang_up()
    client = lot.gateway.session()  # accepted: nobody has looked at the connection
    answer = client.no("NOOP")
    assert answer.code == b"UNAVAILABLE"
    assert client.rest()[-1].startswith(b"* BYE")


def test_p06_a_state_fails_likewise_while_the_upstream_is_down(lot):
    token, _ = park_a_state(lot, *STATE)
    lot.scripted.stop_listening()
    lot.scripted.drop_all()
    client = lot.gateway.session()
    answer = client.no(f"STATE {token}")
    assert answer.code == b"UNAVAILABLE" and not answer.of("STATE")
    assert client.rest()[-1].startswith(b"* BYE")


def test_p06_what_was_accepted_here_and_is_refused_there_ends_the_session(lot):
    first = lot.visit()
    lot.scripted.users["ann"] = "changed"
    first.hang_up()
    client = lot.gateway.session()
    answer = client.no("NOOP")
    assert answer.code == b"AUTHENTICATIONFAILED"
    assert client.rest()[-1].startswith(b"* BYE")
    assert logins.by_atoms(lot.gateway.client(), "ann", "secret").status == b"NO"


def test_a_session_that_does_not_choose_gets_a_connection_after_a_while(lot):
    first = lot.visit()
    since = lot.gateway.log_octets()
    client = lot.gateway.session()
    lot.gateway.wait_log("park: taken", since)
    assert lot.mark(client) is first


def test_p04_a_token_picks_up_the_connection_that_is_in_its_state(lot):
    token, first = park_a_state(lot, *STATE)
    seen = setup_of(first)
    client = lot.gateway.session()
    restore(client, token)
    assert lot.mark(client) is first
    assert setup_of(first) == seen == list(STATE) and lot.logins == 1
    assert log_out(lot.gateway, client) == "warm"


def test_p04_everything_in_one_write_works_warm_too(lot):
    token, first = park_a_state(lot, *STATE)
    client = lot.gateway.client()
    client.send(b'a LOGIN "ann" "secret"\r\nb STATE ' + token.encode() + b"\r\nc SELECT INBOX\r\nd FETCH 1 BODY[]\r\n")
    assert client.wait("a").status == b"OK"
    assert_restored(client.wait("b"), token)
    assert client.wait("c").of("EXISTS")
    assert client.wait("d").of("FETCH")
    assert mine(first)[-2:] == [("SELECT", b"INBOX"), ("FETCH", b"1 BODY[]")] and lot.logins == 1


def test_a_warm_session_can_be_saved_and_picked_up_again_and_again(lot):
    token, first = park_a_state(lot, *STATE)
    for _ in range(3):
        client = lot.gateway.session()
        restore(client, token)
        token = saved(client.ok("SAVESTATE"))
        assert lot.mark(client) is first
        assert lot.leave(client, first)
    assert lot.logins == 1 and setup_of(first) == list(STATE)


def test_p08_a_state_that_grew_is_another_one(lot):
    token, first = park_a_state(lot, "ENABLE QRESYNC")
    client = lot.gateway.session()
    restore(client, token)
    client.ok("ENABLE X-ONE")
    grown = saved(client.ok("SAVESTATE"))
    assert lot.mark(client) is first and lot.leave(client, first)
    older = lot.gateway.session()
    restore(older, token)
    assert lot.mark(older) is not first
    newer = lot.gateway.session()
    restore(newer, grown)
    assert lot.mark(newer) is first


def test_a_token_without_a_connection_in_its_state_is_replayed_on_a_pristine_one(lot):
    token, in_state = park_a_state(lot, *STATE)
    held = lot.gateway.session()
    restore(held, token)
    lot.mark(held)
    pristine = lot.visit()
    assert pristine is not in_state and lot.logins == 2
    client = lot.gateway.session()
    restore(client, token)
    assert lot.mark(client) is pristine
    assert setup_of(pristine) == list(STATE) and lot.logins == 2
    assert log_out(lot.gateway, client) == "cold"


def test_a_token_without_any_connection_is_replayed_on_a_new_one(lot):
    token, in_state = park_a_state(lot, *STATE)
    other, _ = park_a_state(lot, "ENABLE X-ONE")
    held = lot.gateway.session()
    restore(held, token)
    client = lot.gateway.session()  # matches the connection that is in the other state
    restore(client, token)
    connection = lot.mark(client)
    assert connection is not in_state and lot.logins == 3 and setup_of(connection) == list(STATE)
    held_other = lot.gateway.session()
    restore(held_other, other)  # and that one still waits
    assert lot.logins == 3


def test_without_a_token_a_connection_in_a_state_is_never_taken(lot):
    token, first = park_a_state(lot, *STATE)
    client, connection = lot.land()
    assert connection is not first and lot.logins == 2 and not setup_of(connection)
    assert lot.leave(client, connection)
    client = lot.gateway.session()
    restore(client, token)
    assert lot.mark(client) is first


@pytest.mark.parametrize("token", ["garbage", "NIL"])
def test_p05_a_token_that_cannot_restore_leaves_a_pristine_session(lot, token):
    _, first = park_a_state(lot, *STATE)
    client = lot.gateway.session()
    assert_not_restored(client.ok(f"STATE {token}"))
    connection = lot.mark(client)
    assert connection is not first and not setup_of(connection)


def test_p05_anothers_token_leaves_a_pristine_session(lot):
    token, first = park_a_state(lot, *STATE)
    client = lot.gateway.session("bob", "hunter2")
    assert_not_restored(client.ok(f"STATE {token}"))
    assert lot.mark(client) is not first


def test_p12_a_list_that_differs_is_told_before_and_voids_tokens(start_lot):
    lot = start_lot(per_user=4)
    token, in_state = park_a_state(lot, *STATE)
    lot.scripted.caps_after = AFTER + " NEWER"
    client = lot.gateway.session()           # accepted with the old list
    answer = client.ok("NAMESPACE")          # no pristine one is parked: a new login, with a new list
    assert lot.logins == 2
    assert b"NEWER" in capabilities(answer.of("CAPABILITY")[0]) and answer.untagged[0] == answer.of("CAPABILITY")[0]
    assert b"STATE" in capabilities(answer.of("CAPABILITY")[0])
    assert_not_restored(client.ok(f"STATE {token}"))


def test_p12_a_list_that_differs_voids_the_token_that_chose(start_lot):
    lot = start_lot(per_user=4)
    token, first = park_a_state(lot, *STATE)
    held = lot.gateway.session()
    restore(held, token)
    lot.mark(held)
    park_a_state(lot, "ENABLE X-ONE")        # so that the login matches, but not the state
    lot.scripted.caps_after = AFTER + " NEWER"
    client = lot.gateway.session()
    answer = client.ok(f"STATE {token}")
    assert_not_restored(answer)
    assert b"NEWER" in capabilities(answer.of("CAPABILITY")[0])
    connection = lot.mark(client)
    assert connection is not first and not setup_of(connection)


def test_a_session_may_use_its_connection_as_any_other(lot):
    lot.visit()
    client, connection = lot.land()
    client.ok("ENABLE QRESYNC")
    client.ok("SELECT INBOX")
    client.ok("FETCH 1 BODY[]")
    tag = client.start("IDLE")
    client.continuation()
    client.send(b"DONE\r\n")
    assert client.wait(tag).status == b"OK"
    assert [name for name, _ in mine(connection)[-4:]] == ["ENABLE", "SELECT", "FETCH", "IDLE"]


def test_a_user_may_have_several_sessions_at_once(lot):
    clients = [lot.land() for _ in range(4)]
    assert lot.logins == 4
    for client, connection in clients:
        assert lot.leave(client, connection)
    again = [lot.land() for _ in range(4)]
    assert lot.logins == 4 and {id(c) for _, c in again} == {id(c) for _, c in clients}


# The client's address


def test_with_addresses_passed_on_only_the_same_address_matches(dovecot, start_scripted, start_gateway):
    scripted = start_scripted()
    port = free_port()
    behind_proxy = listener("proxied", port, accept_proxy=True, trusted_networks=["127.0.0.0/8"], upstream="main")
    gateway = start_gateway(upstream(scripted.port, send_client_address="id"), park={"per_user": 4}, sections=[behind_proxy])
    lot = Lot(gateway, scripted)

    def land(address):
        client = gateway.client(port, first=f"PROXY TCP4 {address} 192.0.2.9 4000 143\r\n".encode())
        client.login("ann", "secret")
        return client, lot.mark(client)

    client, first = land("192.0.2.1")
    assert lot.leave(client, first)
    client, other = land("192.0.2.2")
    assert other is not first
    assert lot.leave(client, other)
    _, again = land("192.0.2.1")
    assert again is first


# On the way to the upstream


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_connection_under_tls_is_parked_and_taken_again(start_scripted, start_gateway, authority, certificate, tls):
    scripted = start_scripted(tls=tls, context=authority.server_context(certificate),
                              caps_before=BEFORE + (" STARTTLS" if tls == "starttls" else ""))
    gateway = start_gateway(upstream(scripted.port, tls=tls, tls_ca_file=str(authority.ca_file)), park={"per_user": 4})
    lot = Lot(gateway, scripted)
    token, first = park_a_state(lot, *STATE)
    client = gateway.session()
    restore(client, token)
    assert lot.mark(client) is first and lot.logins == 1
    pristine = lot.visit()
    assert lot.visit() is pristine and lot.logins == 2


def test_over_a_listener_with_tls_it_is_the_same(lot, trust):
    first = lot.visit()
    client = lot.gateway.session(listener_port=lot.gateway.tls_port, tls=trust)
    assert lot.mark(client) is first


def test_at_the_end_everything_parked_is_closed(lot):
    first = lot.visit()
    lot.gateway.stop()
    lot.wait_closed(first)
    assert first.names[-1] == "LOGOUT"


def test_a_reload_that_turns_parking_off_closes_what_is_parked(lot):
    first = lot.visit()
    lot.gateway.write_config(park={"per_user": 0})
    lot.gateway.reload()
    lot.wait_closed(first)
    client, connection = lot.land()
    assert connection is not first and not lot.leave(client, connection)


def test_a_reload_keeps_what_is_parked(lot):
    first = lot.visit()
    since = lot.gateway.log_octets()
    lot.gateway.reload()
    lot.gateway.wait_log("reloaded:", since)
    assert lot.visit() is first
