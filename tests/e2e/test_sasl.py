"""SASL through the gateway: bearer tokens, SCRAM and CRAM-MD5 word for word, what is never offered, and "*"."""
import base64
import json
import re

import pytest

from harness import logins
from harness.dovecotconf import is_24
from harness.gateway import upstream
from harness.imap import capabilities
from harness.tokens import assert_tracking, restore, save

SCRAM = ["SCRAM-SHA-1", "SCRAM-SHA-256"]
NEVER = ["EXTERNAL", "GSSAPI", "NTLM", "DIGEST-MD5", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "ANONYMOUS", "KERBEROS_V4", "SPNEGO"]


def mechanisms(response):
    return {name[5:].decode() for name in capabilities(response) if name.startswith(b"AUTH=")}


# Bearer tokens

BEARER = {
    "XOAUTH2": logins.xoauth2,
    "OAUTHBEARER": lambda user, token: logins.oauthbearer(token, user),
}


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("mechanism", BEARER)
def test_a_bearer_token_logs_in(gateway, dovecot, mechanism, at_once):
    client, message = gateway.client(), BEARER[mechanism]("ann", dovecot.jwt("ann"))
    answer = client.command(f"AUTHENTICATE {mechanism} {logins.encoded(message).decode()}") if at_once \
        else logins.converse(client, mechanism, message)
    assert answer.status == b"OK" and b"STATE" in capabilities(answer.tagged)
    client.ok("SELECT INBOX")


@pytest.mark.parametrize("mechanism", BEARER)
def test_a_bearer_token_that_has_expired_gets_the_upstreams_challenge_and_then_its_no(gateway, connect, dovecot, mechanism):
    message = logins.encoded(BEARER[mechanism]("ann", dovecot.jwt("ann", lifetime_s=-60))).decode()
    heard = []
    for client in (gateway.client(), connect(dovecot.plain_port)):
        tag = client.start(f"AUTHENTICATE {mechanism} {message}")
        challenge = json.loads(base64.b64decode(client.continuation()))
        client.send(b"\r\n" if mechanism == "XOAUTH2" else b"AQ==\r\n")
        answer = client.wait(tag)
        heard.append((challenge, answer.status, answer.text))
        assert client.command(b"AUTHENTICATE PLAIN " + logins.encoded("\0ann\0secret")).status == b"OK"
    assert heard[0] == heard[1] and heard[0][1] == b"NO"


@pytest.mark.parametrize("mechanism", BEARER)
def test_a_bearer_token_of_another_user_is_refused(gateway, dovecot, mechanism):
    client = gateway.client()
    tag = client.start(f"AUTHENTICATE {mechanism} {logins.encoded(BEARER[mechanism]('ann', dovecot.jwt('bob'))).decode()}")
    if not is_24():  # which does not challenge
        client.continuation()
        client.send(b"\r\n")
    assert client.wait(tag).status == b"NO"


@pytest.mark.parametrize("mechanism", BEARER)
def test_a_state_is_saved_and_restored_with_a_bearer_token(gateway, dovecot, mechanism):
    user, clients = dovecot.new_user(), []
    for _ in range(2):
        clients.append(gateway.client())
        clients[-1].ok(b"AUTHENTICATE " + mechanism.encode() + b" " + logins.encoded(BEARER[mechanism](user, dovecot.jwt(user))))
    token = save(clients[0], "ENABLE QRESYNC")
    restore(clients[1], token)
    assert_tracking(clients[1], "ENABLE CONDSTORE")


def test_whose_oauthbearer_says_no_user_has_no_state(scripted, scripted_gateway):
    client = scripted_gateway.client()
    message = logins.oauthbearer("hunter2")
    answer = client.ok(b"AUTHENTICATE OAUTHBEARER " + logins.encoded(message))
    assert scripted.sessions[0].user == "bob"
    assert b"STATE" not in capabilities(answer.tagged)
    assert b"STATE" not in capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])
    client.bad("STATE")
    client.bad("SAVESTATE")
    client.ok("NOOP")


@pytest.mark.parametrize("message", [
    logins.xoauth2("ann", "secret")[:-1], b"auth=Bearer secret\1\1", b"user=ann\1user=bob\1auth=Bearer secret\1\1",
    b"user=\1auth=Bearer secret\1\1", b"garbage", b"\1"])
def test_an_xoauth2_message_that_two_could_read_in_two_ways_is_refused(scripted, scripted_gateway, message):
    scripted_gateway.client().no(b"AUTHENTICATE XOAUTH2 " + logins.encoded(message))
    assert not [c for c in scripted.connections if "AUTHENTICATE" in c.names]


@pytest.mark.parametrize("message", [
    b"n,a=ann,\1user=bob\1auth=Bearer secret\1\1", b"p=tls-unique,,\1auth=Bearer secret\1\1", b"n,a=ann,auth=Bearer secret\1\1",
    b"n,a=,\1auth=Bearer secret\1\1", b"n,a=a=nn,\1auth=Bearer secret\1\1", b"x"])
def test_an_oauthbearer_message_that_two_could_read_in_two_ways_is_refused(scripted, scripted_gateway, message):
    scripted_gateway.client().no(b"AUTHENTICATE OAUTHBEARER " + logins.encoded(message))
    assert not [c for c in scripted.connections if "AUTHENTICATE" in c.names]


def test_the_escapes_of_a_name_are_resolved_for_the_session_and_relayed_as_they_are(start_scripted, start_gateway):
    upstream = start_scripted(users={"a,b=c": "secret"})
    gateway = start_gateway(upstream.port)
    upstream.on("AUTHENTICATE", lambda c, tag, arguments: c.log_in(tag, "a,b=c"))
    message = logins.encoded(b"n,a=a=2Cb=3Dc,\1auth=Bearer secret\1\1")
    client = gateway.client()
    client.ok(b"AUTHENTICATE OAUTHBEARER " + message)
    client.logout()
    assert upstream.sessions[0].arguments("AUTHENTICATE") == [b"OAUTHBEARER " + message]
    gateway.wait_log(r"user=a,b=c .*closing: logout")


@pytest.mark.parametrize("mechanism", BEARER)
@pytest.mark.parametrize("caps", ["IMAP4rev1 SASL-IR AUTH={}", "IMAP4rev1 AUTH={}"])
@pytest.mark.parametrize("at_once", [True, False])
def test_an_initial_response_is_sent_where_the_upstream_takes_one(start_scripted, start_gateway, mechanism, caps, at_once):
    upstream = start_scripted(caps_before=caps.format(mechanism))
    client, message = start_gateway(upstream.port).client(), BEARER[mechanism]("ann", "secret")
    if at_once:
        client.ok(f"AUTHENTICATE {mechanism} {logins.encoded(message).decode()}")
    else:
        assert logins.converse(client, mechanism, message).status == b"OK"
    first, = upstream.sessions[0].arguments("AUTHENTICATE")
    assert first == (f"{mechanism} {logins.encoded(message).decode()}" if "SASL-IR" in caps else mechanism).encode()


# SCRAM and CRAM-MD5 on Dovecot

@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("user", ["ann", "space", "utf8", "colon", "ann+tag@example.org"])
@pytest.mark.parametrize("mechanism", SCRAM)
def test_scram_passes_word_for_word(gateway, dovecot, mechanism, user, at_once):
    client = gateway.client()
    answer = logins.by_scram(client, mechanism, user, dovecot.users[user], at_once=at_once)
    assert answer.status == b"OK" and b"STATE" in capabilities(answer.tagged)
    client.ok("SELECT INBOX")
    client.logout()
    gateway.wait_log(rf"user={user.replace('+', '.')} .*closing: logout")


@pytest.mark.parametrize("mechanism", SCRAM)
def test_a_wrong_password_by_scram_is_refused_and_told(gateway, mechanism):
    client, mark = gateway.client(), gateway.log_octets()
    assert logins.by_scram(client, mechanism, "ann", "wrong").status == b"NO"
    gateway.wait_log(rf"login failed: .* user=ann mechanism={mechanism} upstream=main reason=refused", since=mark)
    assert logins.by_scram(client, mechanism, "ann", "secret").status == b"OK"


@pytest.mark.parametrize("mechanism", SCRAM)
def test_scram_acts_for_another(start_gateway, connect, dovecot, mechanism):
    """Whatever Dovecot makes of an authorization identity, it makes it through the gateway too."""
    direct = logins.by_scram(connect(dovecot.plain_port), mechanism, "ann", "secret", authorization="bob")
    gateway = start_gateway(upstream(dovecot.plain_port, authorization_identity="pass"))
    through = logins.by_scram(gateway.client(), mechanism, "ann", "secret", authorization="bob")
    assert (through.status, through.code) == (direct.status, direct.code)
    assert through.status == b"NO"


@pytest.mark.parametrize("user", ["ann", "space", "utf8", "quote"])
def test_cram_md5_passes_word_for_word(gateway, dovecot, user):
    client = gateway.client()
    answer = logins.by_cram_md5(client, user, dovecot.users[user])
    assert answer.status == b"OK" and b"STATE" in capabilities(answer.tagged)
    client.ok("SELECT INBOX")
    client.logout()
    gateway.wait_log(rf"user={user} .*closing: logout")


def test_a_wrong_password_by_cram_md5_is_refused_and_told(gateway):
    client, mark = gateway.client(), gateway.log_octets()
    assert logins.by_cram_md5(client, "ann", "wrong").status == b"NO"
    gateway.wait_log("login failed: .* user=ann mechanism=CRAM-MD5 upstream=main reason=refused", since=mark)
    assert logins.by_cram_md5(client, "ann", "secret").status == b"OK"


@pytest.mark.parametrize("message", [b"!!!!", b"", b"=", logins.encoded("ann"), logins.encoded("ann " + "x" * 32), logins.encoded(" " + "0" * 32)])
def test_a_cram_md5_answer_that_cannot_be_read_is_cancelled_at_the_upstream(scripted, scripted_gateway, message):
    client = scripted_gateway.client()
    tag = client.start("AUTHENTICATE CRAM-MD5")
    client.continuation()
    client.send(message + b"\r\n")
    assert client.wait(tag).status == b"NO"
    assert any(c.received.endswith(b"AUTHENTICATE CRAM-MD5\r\n*\r\n") for c in scripted.connections)
    assert logins.by_cram_md5(client, "ann", "secret").status == b"OK"


PROVING = {
    "CRAM-MD5": lambda client, user: logins.by_cram_md5(client, user, "secret"),
    **{name: lambda client, user, name=name: logins.by_scram(client, name, user, "secret") for name in SCRAM},
}


@pytest.mark.parametrize("way", PROVING)
def test_a_state_is_saved_and_restored_by_who_proves_himself(gateway, dovecot, way):
    user, clients = dovecot.new_user(), [gateway.client() for _ in range(2)]
    assert all(PROVING[way](client, user).status == b"OK" for client in clients)
    token = save(clients[0], "ENABLE QRESYNC", "NOTIFY NONE")
    restore(clients[1], token)
    client = gateway.session(user, "secret")
    restore(client, token)  # who one is counts, not how he proved it


def test_a_failed_restore_that_taints_ends_a_session_whose_login_cannot_be_repeated(start_scripted, start_gateway):
    """P18: the challenge of CRAM-MD5 is spent, so there is no fresh login to be had."""
    upstream = start_scripted()
    gateway = start_gateway(upstream.port)
    client = gateway.client()
    assert logins.by_cram_md5(client, "ann", "secret").status == b"OK"
    token = save(client, "ENABLE X-ONE")
    upstream.on("ENABLE", "NO not today")
    for way, status in ((lambda c: logins.by_cram_md5(c, "ann", "secret"), b"NO"), (lambda c: c.login("ann", "secret"), b"OK")):
        client = gateway.client()
        assert way(client).status == b"OK"
        answer = client.command(f"STATE {token}")
        assert answer.status == status and not answer.of("STATE")
        if status == b"NO":
            assert [line[:6] for line in client.rest()] == [b"* BYE "]
        else:
            client.ok("NOOP")


# What is offered

def test_what_dovecot_offers_is_offered(gateway, connect, dovecot):
    direct, through = connect(dovecot.plain_port), gateway.client()
    assert mechanisms(through.greeting) == mechanisms(direct.greeting) == \
        {"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"}


def test_what_would_not_log_in_the_user_or_add_a_layer_is_never_offered_and_never_tried(start_scripted, start_gateway):
    upstream = start_scripted(caps_before="IMAP4rev1 SASL-IR AUTH=PLAIN " + " ".join(f"AUTH={name}" for name in NEVER),
                              caps_after="IMAP4rev1 " + " ".join(f"AUTH={name}" for name in NEVER))
    client = start_gateway(upstream.port).client()
    assert mechanisms(client.greeting) == mechanisms(client.ok("CAPABILITY").of("CAPABILITY")[0]) == {"PLAIN"}
    for name in NEVER:
        for initial in ("", " =", " AAAA"):
            assert client.no(f"AUTHENTICATE {name}{initial}").code == b"CANNOT"
    answer = client.ok("LOGIN ann secret")
    assert not mechanisms(answer.tagged) and not mechanisms(client.ok("CAPABILITY").of("CAPABILITY")[0])
    assert not [c for c in upstream.connections if "AUTHENTICATE" in c.names]
    assert upstream.sessions[0].arguments("LOGIN") == [b'"ann" "secret"']


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_mechanism_that_the_upstream_lacks_is_cannot(start_scripted, start_gateway, mechanism):
    upstream = start_scripted(caps_before="IMAP4rev1 SASL-IR AUTH=PLAIN")
    client = start_gateway(upstream.port).client()
    assert client.no(f"AUTHENTICATE {mechanism}").code == b"CANNOT"
    client.ok("LOGIN ann secret")
    assert not any(mechanism.encode() in c.received for c in upstream.connections)


@pytest.mark.parametrize("spelling", ["plain", "Plain", "PLAIN"])
def test_a_mechanism_is_found_in_any_case(gateway, spelling):
    gateway.client().ok(f"AUTHENTICATE {spelling} " + logins.encoded("\0ann\0secret").decode())


def test_a_space_behind_the_mechanism_is_no_message(scripted, scripted_gateway):
    """mutt, built with GSASL, sends one to each mechanism where SASL-IR is offered."""
    assert logins.by_cram_md5(scripted_gateway.client(), "ann", "secret", "CRAM-MD5 ").status == b"OK"
    assert logins.converse(scripted_gateway.client(), "LOGIN ", b"ann", b"secret").status == b"OK"
    assert logins.converse(scripted_gateway.client(), "PLAIN ", b"\0ann\0secret").status == b"OK"
    assert logins.by_cram_md5(scripted_gateway.client(), "ann", "secret", "CRAM-MD5  ").status == b"OK"
    assert [session.arguments("AUTHENTICATE")[0].split()[0] for session in scripted.sessions] == [b"CRAM-MD5", b"LOGIN", b"PLAIN", b"CRAM-MD5"]


# "*"

def test_a_star_cancels_at_each_point_that_the_gateway_prompts_for(scripted, start_gateway):
    gateway = start_gateway(scripted.port, max_login_failures=6)
    client = gateway.client()
    dialogs = (("PLAIN", []), ("LOGIN", []), ("LOGIN", [b"ann"]), ("XOAUTH2", []), ("OAUTHBEARER", []))
    for mechanism, messages in dialogs:
        tag = client.start(f"AUTHENTICATE {mechanism}")
        for message in messages:
            client.continuation()
            client.send(logins.encoded(message) + b"\r\n")
        client.continuation()
        client.send(b"*\r\n")
        assert client.wait(tag).status == b"BAD", (mechanism, messages)
    assert not [c for c in scripted.connections if {"LOGIN", "AUTHENTICATE"} & set(c.names)]
    client.ok("LOGIN ann secret")
    assert re.findall(r"login failed: .* (user=.* mechanism=.*) upstream=main reason=cancelled$", gateway.log(), re.M) == \
        [f"user={messages[0].decode() if messages else ''} mechanism={mechanism}" for mechanism, messages in dialogs]


def cancel_cram(client):
    tag = client.start("AUTHENTICATE CRAM-MD5")
    client.continuation()
    return tag


def cancel_scram_at_first(client):
    tag = client.start("AUTHENTICATE SCRAM-SHA-256")
    client.continuation()
    return tag


def cancel_scram_at_final(client):
    tag = client.start(b"AUTHENTICATE SCRAM-SHA-256 " + logins.encoded(logins.Scram("SCRAM-SHA-256", "ann", "secret").first()))
    client.continuation()
    return tag


def cancel_scram_at_the_end(client):
    scram = logins.Scram("SCRAM-SHA-256", "ann", "secret")
    tag = client.start(b"AUTHENTICATE SCRAM-SHA-256 " + logins.encoded(scram.first()))
    client.send(logins.encoded(scram.final(base64.b64decode(client.continuation()))) + b"\r\n")
    client.continuation()
    return tag


def cancel_bearer(client):
    tag = client.start(b"AUTHENTICATE XOAUTH2 " + logins.encoded(logins.xoauth2("ann", "wrong")))
    client.continuation()
    return tag


@pytest.mark.parametrize("begin", [cancel_cram, cancel_scram_at_first, cancel_scram_at_final, cancel_scram_at_the_end, cancel_bearer])
def test_a_star_cancels_a_relayed_mechanism_as_it_does_at_dovecot(gateway, connect, dovecot, begin):
    statuses = []
    for client in (gateway.client(), connect(dovecot.plain_port)):
        tag = begin(client)
        client.send(b"*\r\n")
        statuses.append(client.wait(tag).status)
        client.bad("SELECT INBOX")
        client.ok("LOGIN ann secret")
    assert statuses[0] == statuses[1] == b"BAD"


@pytest.mark.parametrize("begin,answer,reason", [
    (cancel_cram, b"*", "cancelled"), (cancel_scram_at_first, b"*", "cancelled"), (cancel_scram_at_final, b"*", "cancelled"),
    (cancel_cram, b"AAAA", "malformed"), (cancel_cram, b"!", "malformed"), (cancel_cram, b"", "malformed")])
def test_dialogs_without_credentials_are_no_guesses_but_have_an_end(gateway, begin, answer, reason):
    """Each costs a connection upstream, and SCRAM's challenge may tell whether there is such a user."""
    client, mark = gateway.client(), gateway.log_octets()
    for _ in range(3):  # max_login_failures
        tag = begin(client)
        client.send(answer + b"\r\n")
        assert client.wait(tag).status == (b"NO" if reason == "malformed" else b"BAD")
    assert client.rest() == [b"* BYE Too many failed logins.\r\n"]
    gateway.wait_log("closing: too many failed logins", since=mark)
    assert re.findall(r"login failed: .* reason=(\S+)$", gateway.log(mark), re.M) == [reason] * 3


# Dialogs as octets

@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_dialog_may_come_octet_by_octet_and_end_its_lines_with_lf(gateway, end):
    client = gateway.client()
    client.send_bytewise(b"a AUTHENTICATE PLAIN" + end)
    client.continuation()
    client.send_bytewise(logins.encoded("\0ann\0secret") + end)
    assert client.wait("a").status == b"OK"


def test_a_dialog_may_come_in_one_write(gateway):
    client = gateway.client()
    client.send(b"a AUTHENTICATE LOGIN\r\n" + logins.encoded("ann") + b"\r\n" + logins.encoded("secret") + b"\r\nb NOOP\r\n")
    assert [client.wait(tag).status for tag in "ab"] == [b"OK", b"OK"]


def test_what_looks_like_a_literal_in_a_dialog_is_none(gateway):
    client = gateway.client()
    tag = client.start("AUTHENTICATE PLAIN")
    client.continuation()
    client.send(b"{5}\r\n")
    assert client.wait(tag).status == b"NO"
    client.ok("LOGIN ann secret")


def test_a_dialog_line_that_is_too_long_ends_the_connection(gateway):
    client = gateway.client()
    client.start("AUTHENTICATE PLAIN")
    client.continuation()
    client.send(b"A" * 70000)
    assert client.rest()[-1].startswith(b"* BYE ")


def test_a_bearer_token_of_10_kb_passes(start_scripted, start_gateway):
    token = "x" * 10000
    upstream = start_scripted(users={"ann": token})
    client = start_gateway(upstream.port).client()
    assert client.command(b"AUTHENTICATE XOAUTH2 " + logins.encoded(logins.xoauth2("ann", token))).status == b"OK"


def test_a_client_that_leaves_in_a_dialog_takes_its_upstream_along(scripted, scripted_gateway):
    client = scripted_gateway.client()
    client.start("AUTHENTICATE CRAM-MD5")
    client.continuation()
    client.close()
    connection = next(c for c in scripted.connections if "AUTHENTICATE" in c.names)
    scripted.wait_for(lambda: connection.closed)


def test_an_upstream_that_leaves_in_a_dialog_is_unavailable(scripted, scripted_gateway):
    client = scripted_gateway.client()
    tag = client.start("AUTHENTICATE CRAM-MD5")
    client.continuation()
    next(c for c in scripted.connections if "AUTHENTICATE" in c.names).hang_up()
    answer = client.wait(tag)
    assert answer.status == b"NO" and answer.code == b"UNAVAILABLE"
    client.bad(logins.encoded("ann " + "0" * 32).decode())  # the client's next line is a command again, if a strange one
    client.ok("LOGIN ann secret")
