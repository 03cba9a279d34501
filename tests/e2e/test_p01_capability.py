"""P1: STATE is in every CAPABILITY list that a client may act on."""
import base64

import pytest

from harness.gateway import listener
from harness.imap import capabilities

pytestmark = pytest.mark.every_server

PLAIN = "AUTHENTICATE PLAIN " + base64.b64encode(b"\0ann\0secret").decode()


def has_state(response):
    names = [name.upper() for name in capabilities(response)]
    assert names.count(b"STATE") <= 1
    return b"STATE" in names


def test_p01_state_is_in_the_greeting(gateway):
    assert has_state(gateway.client().greeting)


def test_p01_state_is_in_the_greeting_over_tls(gateway, trust):
    assert has_state(gateway.client(gateway.tls_port, tls=trust).greeting)


def test_p01_the_greeting_is_as_documented(gateway):
    assert gateway.client().greeting.startswith(b"* OK [CAPABILITY IMAP4rev1 ")
    assert gateway.client().greeting.endswith(b"] imapstate ready.\r\n")


def test_p01_state_is_in_the_answer_to_capability_before_login(gateway):
    assert has_state(gateway.client().ok("CAPABILITY").of("CAPABILITY")[0])


@pytest.mark.parametrize("login", ["LOGIN ann secret", 'LOGIN "ann" "secret"', PLAIN])
def test_p01_state_is_in_the_code_of_the_ok_after_login(gateway, login):
    client = gateway.client()
    assert has_state(client.ok(login).tagged)


@pytest.mark.parametrize("habit", ["code", "untagged", "none"])
@pytest.mark.parametrize("login", ["LOGIN ann secret", PLAIN])
def test_p01_one_list_comes_with_the_login_whatever_the_upstream_does(start_scripted, start_gateway, habit, login):
    upstream = start_scripted(caps_login=habit)
    client = start_gateway(upstream.port).client()
    answer = client.ok(login)
    shown, = [each for each in (*answer.untagged, answer.tagged) if capabilities(each)]  # as the upstream has it, or as the code
    assert has_state(shown)
    assert [name for name in capabilities(shown) if name != b"STATE"] == upstream.caps_after.encode().split()


@pytest.mark.parametrize("habit", ["code", "untagged", "none"])
def test_p01_state_is_in_the_answer_to_capability_after_login(start_scripted, start_gateway, habit):
    upstream = start_scripted(caps_login=habit)
    client = start_gateway(upstream.port).session()
    for _ in range(2):
        assert has_state(client.ok("CAPABILITY").of("CAPABILITY")[0])
        client.ok("NOOP")


def test_p01_state_is_in_a_list_that_the_upstream_sends_by_itself(scripted, scripted_gateway):
    scripted.on("NOOP", "* CAPABILITY IMAP4rev1 ENABLE", "OK [CAPABILITY IMAP4rev1 ENABLE] done")
    answer = scripted_gateway.session().ok("NOOP")
    assert has_state(answer.of("CAPABILITY")[0])
    assert has_state(answer.tagged)


def test_p01_an_untagged_code_in_mid_session_has_state_too(scripted, scripted_gateway):
    scripted.on("NOOP", "* OK [CAPABILITY IMAP4rev1 ENABLE] changed", "OK done")
    assert has_state(scripted_gateway.session().ok("NOOP").codes("CAPABILITY")[0])


def test_p01_an_upstream_that_has_state_itself_does_not_make_two_of_it(start_scripted, start_gateway):
    upstream = start_scripted(caps_after="IMAP4rev1 STATE ENABLE")
    client = start_gateway(upstream.port).client()
    assert has_state(client.ok("LOGIN ann secret").tagged)
    assert has_state(client.ok("CAPABILITY").of("CAPABILITY")[0])


def test_p01_in_clear_on_a_listener_that_demands_tls_there_is_no_state(gateway):
    client = gateway.client(gateway.starttls_port)
    assert not has_state(client.greeting)
    assert not has_state(client.ok("CAPABILITY").of("CAPABILITY")[0])


def test_p01_state_appears_after_starttls(gateway, trust):
    client = gateway.client(gateway.starttls_port)
    client.starttls(trust)
    assert has_state(client.ok("CAPABILITY").of("CAPABILITY")[0])
    assert has_state(client.login("ann", "secret").tagged)


def test_p01_where_tls_is_only_offered_state_is_there_in_clear(scripted, start_gateway, certificate):
    pair = {"tls_cert_file": str(certificate[0]), "tls_key_file": str(certificate[1])}
    gateway = start_gateway(scripted.port)
    gateway.stop()
    gateway.sections.append(listener("offered", gateway.starttls_port, tls="starttls", require_tls=False, **pair))
    del gateway.sections[1]
    gateway.write_config()
    gateway.start()
    assert has_state(gateway.client(gateway.starttls_port).greeting)


def test_p01_the_slip_of_the_draft_is_in_no_list(gateway):
    client = gateway.client()
    lists = [client.greeting, client.ok("CAPABILITY").of("CAPABILITY")[0], client.login("ann", "secret").tagged,
             client.ok("CAPABILITY").of("CAPABILITY")[0]]
    assert all(b"STORE" not in capabilities(each) for each in lists)
