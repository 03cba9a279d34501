"""P5, P6: tokens that cannot restore, for good or just now."""
import base64

import pytest

from harness.gateway import upstream, write_keys
from harness.patience import in_time, let_pass
from harness.scripted import AFTER, CLOSE, change_password, vanish
from harness.tokens import (announced, assert_not_restored, assert_restored, assert_tracking, fail_to_restore, restore, save,
                            saved, setup_of)

SETUP = ("ENABLE QRESYNC", "NOTIFY NONE")


def altered(token, octet):
    """The token with one octet of what it encodes changed."""
    octets = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    octets[octet] ^= 0x40
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


@pytest.mark.every_server
@pytest.mark.parametrize("token", ["garbage", "altered", "another user's"])
def test_p05_what_cannot_restore_leaves_a_session_as_it_was_on_a_real_server(gateway, server, token):
    good = save(gateway.session(), server.setup)
    shown = {"garbage": "garbage", "altered": altered(good, 40), "another user's": save(gateway.session(server.new_user()), server.setup)}
    client = gateway.session()
    fail_to_restore(client, shown[token])
    assert_tracking(client, server.setup)
    client = gateway.session()
    fail_to_restore(client, shown[token])
    restore(client, good)


@pytest.mark.every_server
def test_p06_a_token_that_cannot_be_tried_just_now_stays_good_on_a_real_server(server, start_recorder, start_gateway, tmp_path):
    """The way to the server is cut."""
    keys = str(write_keys(tmp_path / "keys", (1, "2020-01-01T00:00:00Z")))
    way = start_recorder(server.plain_port)
    gateway = start_gateway(way.port, keys_file=keys, park={})
    since = gateway.log_octets()
    client = gateway.session()
    token = save(client, server.setup)
    client.logout()
    gateway.wait_log("park: parked, in a state", since)
    way.cut()
    client = gateway.session()  # accepted, as a connection is parked
    answer = client.no(f"STATE {token}")
    assert answer.code == b"UNAVAILABLE" and not answer.of("STATE")
    assert client.rest()[-1].startswith(b"* BYE")
    restore(start_gateway(server.plain_port, keys_file=keys).session(), token)


def assert_as_it_was(scripted, client):
    """Tracking is on, and nothing of the token's state has reached the upstream connection that serves the client now."""
    client.ok("NOOP")
    assert setup_of(scripted.sessions[-1]) == []
    assert_tracking(client)


REASONS = {
    "garbage": (lambda token: "garbage", r"malformed"),
    "NIL": (lambda token: "NIL", r"malformed"),
    "padding": (lambda token: token + "=", r"malformed"),
    "a foreign alphabet": (lambda token: "c3RhdGUgdG9rZW4=", r"malformed|version"),
    "a cut": (lambda token: token[:-4], r"not sealed|malformed"),
    "an end too many": (lambda token: token + "AAAA", r"not sealed|malformed"),
    "an unknown version": (lambda token: altered(token, 0), r"version"),
    "an unknown key": (lambda token: altered(token, 1), r"unknown key"),
    "another nonce": (lambda token: altered(token, 10), r"not sealed"),
    "another body": (lambda token: altered(token, 40), r"not sealed"),
    "another end": (lambda token: altered(token, -1), r"not sealed"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_p05_a_token_is_refused_for(scripted, scripted_gateway, reason):
    make, logged = REASONS[reason]
    token = save(scripted_gateway.session(), *SETUP)
    mark = scripted_gateway.log_octets()
    client = scripted_gateway.session()
    fail_to_restore(client, make(token))
    assert_as_it_was(scripted, client)
    scripted_gateway.wait_log(logged, since=mark)


def test_p05_another_users_token_is_refused(scripted, scripted_gateway):
    token = save(scripted_gateway.session("bob", "hunter2"), *SETUP)
    client = scripted_gateway.session()
    fail_to_restore(client, token)
    assert_as_it_was(scripted, client)
    scripted_gateway.wait_log(r"another user")
    restore(scripted_gateway.session("bob", "hunter2"), token)


def test_p05_a_token_is_refused_when_it_has_expired(scripted, start_gateway):
    gateway = start_gateway(scripted.port, token_lifetime="3s")

    def saved_and_restored():
        token = save(gateway.session(), *SETUP)
        restore(gateway.session(), token)
        return token

    token = in_time(1.9, saved_and_restored)  # lifetimes count in whole seconds
    let_pass(3.05)
    client = gateway.session()
    fail_to_restore(client, token)
    assert_as_it_was(scripted, client)
    gateway.wait_log(r"lifetime")


def restart(gateway, **settings):
    gateway.close_clients()
    gateway.stop()
    gateway.write_config(**settings)
    gateway.start()


@pytest.fixture
def kept_keys(tmp_path):
    return str(write_keys(tmp_path / "keys", (1, "2020-01-01T00:00:00Z")))


def test_p05_a_token_is_refused_after_another_epoch_was_set(scripted, start_gateway, kept_keys):
    gateway = start_gateway(scripted.port, keys_file=kept_keys)
    token = save(gateway.session(), *SETUP)
    restart(gateway, epoch=1)
    client = gateway.session()
    fail_to_restore(client, token)
    assert_as_it_was(scripted, client)
    gateway.wait_log(r"upstream or epoch has changed")
    restart(gateway, epoch=0)
    restore(gateway.session(), token)


def test_p05_a_token_is_refused_when_its_key_is_gone(scripted, start_gateway, tmp_path, kept_keys):
    gateway = start_gateway(scripted.port, keys_file=kept_keys)
    token = save(gateway.session(), *SETUP)
    restart(gateway, keys_file=str(write_keys(tmp_path / "other", (2, "2020-01-01T00:00:00Z"))))
    client = gateway.session()
    fail_to_restore(client, token)
    assert_as_it_was(scripted, client)
    gateway.wait_log(r"unknown key")


def test_p05_a_token_is_refused_when_another_key_has_its_id(scripted, start_gateway, tmp_path, kept_keys):
    gateway = start_gateway(scripted.port, keys_file=kept_keys)
    token = save(gateway.session(), *SETUP)
    restart(gateway, keys_file=str(write_keys(tmp_path / "other", (1, "2020-01-01T00:00:00Z"))))
    fail_to_restore(gateway.session(), token)
    gateway.wait_log(r"not sealed")


def test_p05_a_token_of_another_upstream_is_refused(scripted, start_gateway, kept_keys):
    one = start_gateway(upstream(scripted.port, "one"), keys_file=kept_keys)
    other = start_gateway(upstream(scripted.port, "other"), keys_file=kept_keys)
    token = save(one.session(), *SETUP)
    client = other.session()
    fail_to_restore(client, token)
    assert_as_it_was(scripted, client)
    other.wait_log(r"another upstream")
    restore(one.session(), token)


@pytest.mark.parametrize("change", [AFTER + " X-NEW", AFTER.replace(" NOTIFY", ""), AFTER.replace("LEVEL=2", "LEVEL=1")])
def test_p05_a_token_is_refused_when_the_upstream_has_changed_since(scripted, scripted_gateway, change):
    token = save(scripted_gateway.session(), *SETUP)
    scripted.caps_after = change
    client = scripted_gateway.session()
    fail_to_restore(client, token)
    assert_as_it_was(scripted, client)
    scripted_gateway.wait_log(r"upstream or epoch has changed")
    scripted.caps_after = AFTER
    restore(scripted_gateway.session(), token)


def test_p05_the_reply_does_not_tell_the_reason(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    texts = {fail_to_restore(scripted_gateway.session(), make(token)).text for make, _ in REASONS.values()}
    texts.add(fail_to_restore(scripted_gateway.session("bob", "hunter2"), token).text)
    scripted.caps_after += " X-NEW"
    texts.add(fail_to_restore(scripted_gateway.session(), token).text)
    assert len(texts) == 1


def test_p05_the_client_sets_up_as_usual_and_saves_anew(scripted, scripted_gateway):
    client = scripted_gateway.session()
    fail_to_restore(client, "garbage")
    for command in SETUP:
        assert announced(client.ok(command))
    token = saved(client.ok("SAVESTATE"))
    restore(scripted_gateway.session(), token)
    assert setup_of(scripted.sessions[-1]) == list(SETUP)


def test_p05_what_was_tracked_before_stays(scripted, scripted_gateway):
    client = scripted_gateway.session()
    client.ok("STATE")
    fail_to_restore(client, "garbage")
    client.ok("ENABLE X-ONE")
    restore(scripted_gateway.session(), saved(client.ok("SAVESTATE")))
    assert setup_of(scripted.sessions[-1]) == ["ENABLE X-ONE"]


def assert_no_and_bye(client, answer, code):
    assert (answer.status, answer.code) == (b"NO", code), answer
    assert not answer.of("STATE")
    assert [line[:6] for line in client.rest()] == [b"* BYE "]


def test_p06_when_the_upstream_is_gone_the_token_is_not_refused_for_good(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    client = scripted_gateway.session()
    scripted.on("ENABLE", vanish, times=1)
    assert_no_and_bye(client, client.command(f"STATE {token}"), b"UNAVAILABLE")
    scripted.listen()
    restore(scripted_gateway.session(), token)


def test_p06_when_the_upstream_now_refuses_the_credentials_the_answer_says_so(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    client = scripted_gateway.session()
    scripted.on("ENABLE", change_password, times=1)
    assert_no_and_bye(client, client.command(f"STATE {token}"), b"AUTHENTICATIONFAILED")


def test_p06_when_the_upstream_has_no_room_for_a_new_login_the_answer_is_unavailable(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    client = scripted_gateway.session()
    scripted.on("ENABLE", "NO not today", times=1)
    scripted.on("LOGIN", "NO [UNAVAILABLE] too many of you")
    scripted.on("AUTHENTICATE", "NO [UNAVAILABLE] too many of you")
    assert_no_and_bye(client, client.command(f"STATE {token}"), b"UNAVAILABLE")


def test_p06_commands_behind_it_are_not_executed(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    client = scripted_gateway.session()
    scripted.on("ENABLE", vanish, times=1)
    client.send(f"s STATE {token}\r\nt STORE 1 +FLAGS (\\Deleted)\r\nu EXPUNGE\r\n")
    answer = client.wait("s")
    assert (answer.status, answer.code) == (b"NO", b"UNAVAILABLE")
    assert not [line for line in client.rest() if b" OK" in line]
    assert not any({"STORE", "EXPUNGE"} & set(connection.names) for connection in scripted.connections)


@pytest.mark.parametrize("fault", ["closes", "is silent"])
def test_p06_an_upstream_that_fails_in_the_replay_leaves_nobody_in_half_a_state(start_scripted, start_gateway, fault):
    scripted = start_scripted()
    gateway = start_gateway(upstream(scripted.port, answer_timeout="1s"))
    token = save(in_time(0.9, gateway.session), *SETUP)
    client = in_time(0.9, gateway.session)
    scripted.on("NOTIFY", *((CLOSE,) if fault == "closes" else (lambda *unused: None,)), times=1)
    answer = client.command(f"STATE {token}")
    if answer.status == b"NO":  # not tried to the end: P6
        assert answer.code == b"UNAVAILABLE" and not answer.of("STATE")
        return
    client.ok("NOOP")
    serving = scripted.sessions[-1]
    if answer.of("STATE"):
        assert_restored(answer, token)
        assert setup_of(serving) == list(SETUP)
    else:
        assert_not_restored(answer)
        assert serving.enabled == set()
