"""How passwords travel: every way on the client's side, every way on the upstream's, and what ends a login."""
import base64
import contextlib
import re
import select
import time

import pytest

from harness import logins
from harness.dovecot import Dovecot
from harness.gateway import upstream
from harness.imap import literal
from harness.patience import PATIENCE_S, in_time
from harness.scripted import CLOSE
from harness.server import USERS
from harness.texts import translate

CASES = [(user, way) for user, password in USERS.items() for way in logins.ways_for(user, password)]
# What USERS cannot hold: a passwd-file has lines. These are for the scripted upstream.
ODD = {
    "ann": "secret",
    "space": "two words ",
    "quote": 'a"b\\',
    "brace": "{5}",
    "brace-plus": "x {3+}",
    "star": "*",
    "lines": "a\r\nb LOGOUT",
    "utf8": "pässwörd€",
    "Ünï \"x\"": "name",
    "delete": "\x7f\x01",
    "empty@example.org": "x" * 5000 + "ä",
}
LOGIN, AUTH_LOGIN = rb"LOGIN (\".*|\{\d+\})\r\n", rb"AUTHENTICATE LOGIN\r\n"
PLAIN_AT_ONCE, PLAIN_IN_TWO = rb"AUTHENTICATE PLAIN \S+\r\n", rb"AUTHENTICATE PLAIN\r\n"
# What an upstream offers, and what of a login arrives there at first: by LOGIN, by PLAIN, by the mechanism LOGIN.
UPSTREAMS = {
    "everything": ("IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN", LOGIN, PLAIN_AT_ONCE, AUTH_LOGIN),
    "everything, without an initial response": ("IMAP4rev1 AUTH=PLAIN AUTH=LOGIN", LOGIN, PLAIN_IN_TWO, AUTH_LOGIN),
    "PLAIN": ("IMAP4rev1 LOGINDISABLED AUTH=PLAIN", PLAIN_IN_TWO, PLAIN_IN_TWO, PLAIN_IN_TWO),
    "LOGIN, and PLAIN in two steps": ("IMAP4rev1 LITERAL+ AUTH=PLAIN", LOGIN, PLAIN_IN_TWO,
                                      rb"(LOGIN \".*\"|AUTHENTICATE PLAIN)\r\n"),
    "LOGIN": ("IMAP4rev1 LITERAL+", LOGIN, LOGIN, LOGIN),
    "AUTH=LOGIN": ("IMAP4rev1 LOGINDISABLED AUTH=LOGIN", AUTH_LOGIN, AUTH_LOGIN, AUTH_LOGIN),
    "IMAP4rev2": ("IMAP4rev2 AUTH=PLAIN", LOGIN, PLAIN_AT_ONCE, rb"(LOGIN \".*|AUTHENTICATE PLAIN \S+)\r\n"),
}


def first_login(connection):
    """The first line of the login as the upstream got it, without its tag."""
    return re.search(rb"^\S+ ((?:LOGIN|AUTHENTICATE) .*\r\n)", connection.received, re.M).group(1)


# On Dovecot

@pytest.mark.every_server
@pytest.mark.parametrize("user,way", CASES)
def test_every_password_passes_in_every_way_that_can_carry_it(gateway, server, user, way):
    if user not in server.users:
        pytest.skip(f"{server.name} takes no user {user}")
    client = gateway.client()
    assert logins.by(way, client, user, server.users[user]).status == b"OK"
    assert b"INBOX" in client.ok('LIST "" INBOX').of("LIST")[0]


@pytest.mark.parametrize("way", logins.WAYS)
def test_a_wrong_password_is_refused_in_the_upstreams_words_and_the_next_try_counts(gateway, connect, dovecot, way):
    client, direct = gateway.client(), connect(dovecot.plain_port)
    answer = logins.by(way, client, "ann", "wrong")
    assert answer.status == b"NO" and answer.code == b"AUTHENTICATIONFAILED"
    assert answer.text == logins.by(way, direct, "ann", "wrong").text
    assert logins.by(way, client, "ann", "secret").status == b"OK"


@pytest.mark.parametrize("way", ["PLAIN", "PLAIN at once"])
def test_an_authorization_identity_is_passed_on(start_gateway, dovecot, way):
    gateway = start_gateway(upstream(dovecot.plain_port, authorization_identity="pass"))
    user = dovecot.new_user()
    dovecot.add_message(user)
    client = gateway.client()
    function, _ = logins.WAYS[way]
    assert function(client, "master", "of all", authorization=user).status == b"OK"
    assert client.ok("SELECT INBOX").of("EXISTS") == [b"* 1 EXISTS\r\n"]
    client.logout()
    gateway.wait_log(rf"user={user} auth=master upstream=main closing: logout")


def test_an_authorization_identity_that_the_user_may_not_have_is_refused_by_dovecot(start_gateway, dovecot):
    gateway = start_gateway(upstream(dovecot.plain_port, authorization_identity="pass"))
    answer = logins.by_plain_at_once(gateway.client(), "ann", "secret", authorization="bob")
    assert answer.status == b"NO" and answer.code == b"AUTHENTICATIONFAILED"
    gateway.wait_log(r"login failed: .* user=bob auth=ann mechanism=PLAIN .*reason=refused\n")


@pytest.mark.parametrize("settings", [{}, {"authorization_identity": "refuse"}], ids=["by default", "refuse"])
@pytest.mark.parametrize("way", ["PLAIN", "PLAIN at once", "SCRAM-SHA-256"])
def test_where_it_is_to_be_refused_nobody_acts_for_another(dovecot, start_gateway, way, settings):
    gateway = start_gateway(upstream(dovecot.plain_port, **settings), park={})

    def log_in(user, password, authorization):
        client = gateway.client()
        if way == "SCRAM-SHA-256":
            return logins.by_scram(client, way, user, password, authorization)
        return logins.WAYS[way][0](client, user, password, authorization=authorization)

    seen = dovecot.log().count("Master user logging in")
    for _ in range(2):
        answer = log_in("master", "of all", "ann")
        assert answer.status == b"NO" and answer.code == b"CANNOT" and b"authorization_identity" in answer.text
        assert log_in("ann", "secret", "ann").status == b"OK"  # that is herself
    gateway.wait_log(r"login failed: .* user=ann auth=master mechanism=\S+ .* reason=acting\n")
    gateway.wait_log(r"authorization_identity = \"pass\"")
    assert dovecot.log().count("Master user logging in") == seen


# Who is meant: one's own name, in PLAIN in any case of its letters, is nobody else's.
@pytest.mark.parametrize("authorization", ["", "ann", "Ann", "ANN"])
@pytest.mark.every_server
def test_ones_own_name_is_nobody_elses(server, start_gateway, authorization):
    gateway = start_gateway(server.plain_port, park={})
    for _ in range(2):
        client = gateway.client()
        assert logins.by_plain_at_once(client, "ann", "secret", authorization=authorization).status == b"OK"
        client.ok("NOOP")
        client.logout()
        gateway.wait_log(r"user=ann upstream=main closing: logout")
    assert "auth=" not in gateway.log()


@pytest.mark.every_server
@pytest.mark.parametrize("authorization", ["bob", "ann ", "anne", "ann*bob"])
def test_another_name_is_not_even_put_before_the_upstream(server, start_gateway, authorization):
    """So what a user has parked, his limits, his log and his tokens are his own, whatever the server makes of it."""
    gateway = start_gateway(server.plain_port, park={})
    client = gateway.client()
    answer = logins.by_plain_at_once(client, "ann", "secret", authorization=authorization)
    assert answer.status == b"NO" and answer.code == b"CANNOT"
    assert "LOGGING_IN -> AUTHENTICATED" not in gateway.log() and "READY -> LOGGING_IN" not in gateway.log()


def test_who_is_refused_to_act_is_told_in_the_clients_language(scripted, start_gateway):
    client = start_gateway(scripted.port).client()
    client.ok("LANGUAGE DE")
    answer = logins.by_plain_at_once(client, "master", "of all", authorization="ann")
    assert answer.text.removeprefix(b"[CANNOT] ") == translate("DE", "Acting for another user is not allowed here (authorization_identity).")


def test_scram_says_ones_own_name_as_it_is_or_not_at_all(gateway):
    """Its proof covers the name, so that none could be dropped."""
    assert logins.by_scram(gateway.client(), "SCRAM-SHA-256", "ann", "secret", authorization="ann").status == b"OK"
    assert logins.by_scram(gateway.client(), "SCRAM-SHA-256", "ann", "secret", authorization="ANN").code == b"CANNOT"


def test_a_master_in_the_users_name_is_a_user_of_that_name(start_scripted, start_gateway):
    """Dovecot's auth_master_user_separator: what he parks and saves is not ann's, nor is hers his."""
    server = start_scripted(users={"ann": "secret", "ann*master": "of all"})
    gateway = start_gateway(server.port, park={"per_user": 4})
    tokens = {}
    for user, password in (("ann", "secret"), ("ann*master", "of all")):
        client = gateway.client()
        assert logins.by_quoted_strings(client, user, password).status == b"OK"
        client.ok("STATE")
        tokens[user] = client.ok("SAVESTATE").of("SAVESTATE")[0].split()[2].decode()
        client.logout()
    assert [session.user for session in server.sessions] == ["ann", "ann*master"]
    for user, password, other in (("ann", "secret", "ann*master"), ("ann*master", "of all", "ann")):
        client = gateway.client()
        assert logins.by_quoted_strings(client, user, password).status == b"OK"
        assert not client.ok(f"STATE {tokens[other]}").of("STATE")


def test_courier_passes_over_an_authorization_identity(courier, start_gateway):
    """Which is why it is to be refused in front of Courier: whose session this is the token would not say."""
    user = courier.new_user()
    courier.add_message(user)
    direct = courier.client("ann")
    assert direct.ok("STATUS INBOX (MESSAGES)").of("STATUS") == [b"* STATUS \"INBOX\" (MESSAGES 0)\r\n"]
    for settings, status in (({"authorization_identity": "pass"}, b"OK"), ({}, b"NO")):
        gateway = start_gateway(upstream(courier.plain_port, **settings))
        client = gateway.client()
        assert logins.by_plain_at_once(client, user, "secret", authorization="ann").status == status
        if status == b"OK":
            assert client.ok("SELECT INBOX").of("EXISTS") == [b"* 1 EXISTS\r\n"]  # not ann's


REFERRAL = "[REFERRAL imap://ann;AUTH=*@elsewhere.example/]"


@pytest.mark.parametrize("login", ["LOGIN", "AUTHENTICATE"])
@pytest.mark.parametrize("caps_login", ["code", "none"])
def test_a_referral_leads_nobody_past_the_gateway(start_scripted, start_gateway, login, caps_login):
    server = start_scripted(caps_login=caps_login)
    gateway = start_gateway(server.port)
    for name in ("LOGIN", "AUTHENTICATE"):
        server.on(name, f"NO {REFERRAL} Try elsewhere.", times=1)
    client = gateway.client()
    command = "LOGIN ann secret" if login == "LOGIN" else "AUTHENTICATE PLAIN AGFubgBzZWNyZXQ="
    assert client.no(command).text == b"Try elsewhere."
    client.ok(command)


def test_a_login_that_succeeds_with_a_referral_hides_it_too(scripted, scripted_gateway):
    def log_in(connection, tag, arguments):
        connection.logged_in_at = 1
        connection.send(f"{tag} OK {REFERRAL} Better elsewhere.\r\n")

    scripted.on("AUTHENTICATE", log_in)
    scripted.on("LOGIN", log_in)
    client = scripted_gateway.client()
    answer = client.ok("LOGIN ann secret")
    assert b"elsewhere.example" not in bytes(client.wire.received)
    assert answer.text.endswith(b"] Better elsewhere.") and answer.code.startswith(b"CAPABILITY ")


def test_a_state_saved_by_a_master_belongs_to_whom_he_acts_for(start_gateway, dovecot):
    gateway = start_gateway(upstream(dovecot.plain_port, authorization_identity="pass"))
    client = gateway.client()
    logins.by_plain_at_once(client, "master", "of all", authorization="ann")
    client.ok("STATE")
    token = client.ok("SAVESTATE").of("SAVESTATE")[0].split()[2].decode()
    assert gateway.session("ann", "secret").ok(f"STATE {token}").of("STATE")
    assert not gateway.session("bob", "hunter2").ok(f"STATE {token}").of("STATE")


@pytest.fixture(scope="module")
def start_dovecot(tmp_path_factory, authority):
    """start_dovecot((line of the configuration, another), ...): a Dovecot with other habits."""
    servers = []

    def start(*changes):
        class Changed(Dovecot):
            def _write(self, name, text):
                for old, new in changes if name == "dovecot.conf" else ():
                    assert text.count(old) == 1
                    text = text.replace(old, new)
                super()._write(name, text)
        servers.append(Changed(tmp_path_factory.mktemp("dovecot"), authority))
        return servers[-1]
    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def no_sasl_ir(start_dovecot):
    """A Dovecot that offers neither SASL-IR nor LITERAL+, so that LOGIN and synchronizing literals are used."""
    return start_dovecot(("protocols = imap\n", "protocols = imap\nimap_capability = IMAP4rev1 ID\n"))


MECHANISMS = "auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer\n"


@pytest.fixture(scope="module")
def login_only(start_dovecot):
    """A Dovecot with LOGINDISABLED AUTH=LOGIN."""
    return start_dovecot((MECHANISMS, "auth_mechanisms = login\n"))


@pytest.fixture(scope="module")
def secure_only(start_dovecot):
    """A Dovecot that takes passwords only under TLS; asked on 127.0.0.2, since one address on both ends counts as secure."""
    return start_dovecot((MECHANISMS, "auth_mechanisms = plain cram-md5\n"), ("disable_plaintext_auth = no\n", "disable_plaintext_auth = yes\n"),
                         ("listen = 127.0.0.1\n", "listen = 127.0.0.1, 127.0.0.2\nlogin_trusted_networks =\n"))


@pytest.mark.parametrize("user,way", CASES)
def test_every_password_passes_to_a_dovecot_without_extensions(no_sasl_ir, _gateways, user, way):
    gateway = _gateways("gateway", [upstream(no_sasl_ir.plain_port)])
    client = gateway.client()
    assert logins.by(way, client, user, no_sasl_ir.users[user]).status == b"OK"
    assert b"INBOX" in client.ok('LIST "" INBOX').of("LIST")[0]
    client.close()


@pytest.mark.parametrize("user,way", CASES)
def test_every_password_passes_to_a_dovecot_that_has_only_the_mechanism_login(login_only, _gateways, user, way):
    gateway = _gateways("gateway", [upstream(login_only.plain_port)])
    client = gateway.client()
    assert logins.by(way, client, user, login_only.users[user]).status == b"OK"
    assert b"INBOX" in client.ok('LIST "" INBOX').of("LIST")[0]
    client.close()


def test_that_dovecot_does_not_get_an_authorization_identity(login_only, start_gateway):
    client = start_gateway(upstream(login_only.plain_port, authorization_identity="pass")).client()
    assert logins.by_plain_at_once(client, "master", "of all", authorization="ann").code == b"CANNOT"
    assert logins.by_plain_at_once(client, "ann", "secret", authorization="ann").status == b"OK"


@pytest.mark.parametrize("way", logins.WAYS)
def test_a_dovecot_that_takes_no_password_in_clear_does_not_get_one(secure_only, start_gateway, authority, way):
    target = f"127.0.0.2:{secure_only.plain_port}"
    client = start_gateway(upstream(target)).client()
    assert logins.by(way, client, "ann", "secret").code == b"CANNOT"
    assert logins.by_cram_md5(client, "ann", "secret").status == b"OK"
    assert "the password was exposed" not in secure_only.log()
    client = start_gateway(upstream(target, tls="starttls", tls_ca_file=str(authority.ca_file), tls_name="localhost")).client()
    assert logins.by(way, client, "ann", "secret").status == b"OK"


# On the scripted upstream: what exactly arrives there

@pytest.mark.parametrize("offers", UPSTREAMS)
def test_a_password_goes_as_the_client_chose_or_else_by_what_the_upstream_offers(start_scripted, start_gateway, offers):
    caps, *forms = UPSTREAMS[offers]
    upstream = start_scripted(caps_before=caps, users=ODD)
    gateway = start_gateway(upstream.port)
    for user, password in ODD.items():
        for way in logins.ways_for(user, password):
            client = gateway.client()
            answer = logins.by(way, client, user, password)
            assert answer.status == b"OK", (user, way, answer)
            session = upstream.sessions[-1]
            assert session.user == user
            form = forms[1] if way.startswith("PLAIN") else forms[2] if way.startswith("AUTH") else forms[0]
            assert re.fullmatch(form, first_login(session), re.S), (user, way)
            client.close()


@pytest.mark.parametrize("caps", ["IMAP4rev1 LITERAL-", "IMAP4rev1 LITERAL+", "IMAP4rev2", "IMAP4rev1"])
@pytest.mark.parametrize("octets", [2, 4096, 4097])
def test_a_literal_of_a_login_is_asked_for_whatever_the_upstream_offers(start_scripted, start_gateway, caps, octets):
    password = "ä" * (octets // 2) + "x" * (octets % 2)
    upstream = start_scripted(caps_before=caps, users={"ann": password})
    logins.by_plus_literals(start_gateway(upstream.port).client(), "ann", password)
    assert first_login(upstream.sessions[0]) == b'LOGIN "ann" {%d}\r\n' % octets


def test_user_and_password_may_both_wait_for_a_continuation(start_scripted, start_gateway):
    upstream = start_scripted(caps_before="IMAP4rev1", users={"Ünï": "pässwörd"})
    assert logins.by_plain_at_once(start_gateway(upstream.port).client(), "Ünï", "pässwörd").status == b"OK"
    assert upstream.sessions[0].arguments("LOGIN") == ["{5}\r\nÜnï {10}\r\npässwörd".encode()]


def test_a_literal_that_the_upstream_refuses_is_a_failed_login_and_not_the_next_command(start_scripted, start_gateway):
    upstream = start_scripted(caps_before="IMAP4rev1", users={"ann": "a\r\nb LOGOUT"}, refuses_literals=True)
    client = start_gateway(upstream.port).client()
    assert logins.by_plus_literals(client, "ann", "a\r\nb LOGOUT").status == b"NO"
    assert "LOGOUT" not in upstream.connections[-1].names
    client.ok("NOOP")


def test_8_bit_octets_and_line_ends_travel_only_as_literal_or_base64(start_scripted, start_gateway):
    for caps, *_ in UPSTREAMS.values():
        upstream = start_scripted(caps_before=caps, users={"ann": "ä\r\nb"})
        assert logins.by_plain_at_once(start_gateway(upstream.port).client(), "ann", "ä\r\nb").status == b"OK"
        received = upstream.sessions[0].received
        assert "ä\r\nb".encode() not in re.sub(rb"\{5\+?\}\r\n\xc3\xa4\r\nb", b"", received)


@pytest.mark.parametrize("caps", ["IMAP4rev1 AUTH=LOGIN", "IMAP4rev1 LOGINDISABLED AUTH=LOGIN", "IMAP4rev1", "IMAP4rev1 AUTH=CRAM-MD5"])
def test_an_authorization_identity_is_never_dropped(start_scripted, start_gateway, caps):
    server = start_scripted(caps_before=caps)
    gateway = start_gateway(upstream(server.port, authorization_identity="pass"))
    client = gateway.client()
    answer = logins.by_plain_at_once(client, "master", "of all", authorization="ann")
    assert answer.status == b"NO" and answer.code == b"CANNOT"
    assert not server.sessions and b"of all" not in b"".join(c.received for c in server.connections)
    assert logins.by_plain_at_once(client, "ann", "secret").status == b"OK"


@pytest.mark.parametrize("caps", [
    "IMAP4rev1 SASL-IR AUTH=PLAIN", "IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 LITERAL+ AUTH=PLAIN AUTH=LOGIN", "IMAP4rev1 LOGINDISABLED AUTH=PLAIN"])
def test_an_authorization_identity_goes_on_by_plain_whatever_else_there_is(start_scripted, start_gateway, caps):
    server = start_scripted(caps_before=caps)
    gateway = start_gateway(upstream(server.port, authorization_identity="pass"))
    assert logins.by_plain(gateway.client(), "master", "of all", authorization="ann").status == b"OK"
    assert logins.encoded(b"ann\0master\0of all") in server.sessions[0].received


def test_an_authorization_identity_that_is_the_user_himself_needs_no_plain(start_scripted, start_gateway):
    upstream = start_scripted(caps_before="IMAP4rev1 LOGINDISABLED AUTH=LOGIN")
    assert logins.by_plain(start_gateway(upstream.port).client(), "ann", "secret", authorization="ann").status == b"OK"


@pytest.mark.parametrize("way", logins.WAYS)
def test_where_the_upstream_takes_no_password_at_all_the_answer_is_cannot(start_scripted, start_gateway, way):
    upstream = start_scripted(caps_before="IMAP4rev1 LOGINDISABLED AUTH=CRAM-MD5")
    gateway = start_gateway(upstream.port)
    client = gateway.client()
    answer = logins.by(way, client, "ann", "secret")
    assert answer.status == b"NO" and answer.code == b"CANNOT"
    assert b"secret" not in b"".join(c.received for c in upstream.connections)
    gateway.wait_log("login failed: .* reason=cannot")
    client.ok("NOOP")


# NUL

@pytest.mark.parametrize("command", [
    b"LOGIN ann sec\0ret", b"LOGIN \0 secret", b'LOGIN "a\0nn" secret', b'LOGIN "ann" "secret\0"', b"LOGIN " + literal(b"ann\0") + b" secret",
    b"LOGIN ann " + literal(b"secret\0"), b"LOGIN ann " + literal(b"\0"),
    b"AUTHENTICATE PLAIN " + logins.encoded(b"\0ann\0sec\0ret"), b"AUTHENTICATE PLAIN " + logins.encoded(b"bob\0ann\0secret\0"),
    b"AUTHENTICATE LOGIN " + logins.encoded(b"ann\0"), b"AUTHENTICATE XOAUTH2 " + logins.encoded(b"user=a\0nn\1auth=Bearer x\1\1"),
    b"AUTHENTICATE OAUTHBEARER " + logins.encoded(b"n,a=a\0nn,\1auth=Bearer x\1\1")])
def test_nul_is_refused_and_nothing_of_it_goes_on(scripted, scripted_gateway, command):
    client = scripted_gateway.client()
    (client.bad if command.startswith(b"LOGIN") else client.no)(command)
    client.ok("LOGIN ann secret")
    assert [len(c.commands) - c.names.count("CAPABILITY") for c in scripted.sessions] == [1] and len(scripted.connections) == 2


def test_nul_in_the_second_message_of_the_mechanism_login_is_refused(scripted, scripted_gateway):
    client = scripted_gateway.client()
    assert logins.converse(client, "LOGIN", b"ann", b"sec\0ret").status == b"NO"
    assert logins.converse(client, "LOGIN", b"ann", b"secret").status == b"OK"
    assert len(scripted.sessions) == 1


def test_nul_in_the_answer_to_a_challenge_is_refused(scripted, scripted_gateway):
    client = scripted_gateway.client()
    assert logins.converse(client, "CRAM-MD5", b"ann\0 " + b"0" * 32).status == b"NO"
    assert all(base64.b64encode(b"ann\0")[:4] not in c.received for c in scripted.connections)
    assert logins.by_cram_md5(client, "ann", "secret").status == b"OK"


@pytest.mark.parametrize("form", [b"{%d}", b"{%d+}"])
def test_nul_in_a_literal_is_refused_behind_its_continuation_too(scripted_gateway, form):
    client = scripted_gateway.client()
    client.send(b"a LOGIN ann " + form % 3 + b"\r\n")
    if b"+" not in form:
        client.continuation()
    client.send(b"x\0y\r\n")
    assert client.wait("a").status == b"BAD"
    client.ok("LOGIN ann secret")


# Syntax

NO_LOGIN = [b"LOGIN", b"LOGIN ", b"LOGIN ann", b"LOGIN ann ", b"LOGIN ann secret extra", b'LOGIN "ann"x secret', b'LOGIN ann "secret"x',
            b'LOGIN ann x"secret"', b'LOGIN x"ann" secret', b"LOGIN ann {6x}", b"LOGIN ann {6}x"]
NO_MESSAGE = [b"PLAIN !!!!", b"PLAIN AG", b"PLAIN =", b"PLAIN *", b"PLAIN AGFubgBzZWNyZXQ", b"PLAIN AGFubgBzZWNyZXQ==",
              b"PLAIN AGFubgBzZWNyZXQ=x", b"PLAIN " + logins.encoded("secret"), b"PLAIN " + logins.encoded("\0\0secret"),
              b"PLAIN " + logins.encoded("\0ann\0"), b"CRAM-MD5 AAAA", b"XOAUTH2 " + logins.encoded("user=ann")]


@pytest.mark.parametrize("command", NO_LOGIN + [b"AUTHENTICATE " + message for message in NO_MESSAGE])
def test_a_malformed_login_is_a_failure_but_no_guess(scripted, scripted_gateway, command):
    status = b"BAD" if command in NO_LOGIN else b"NO"
    client = scripted_gateway.client()
    for _ in range(2):  # one less than max_login_failures
        assert client.command(command).status == status
    client.ok("LOGIN ann secret")
    assert re.findall(r"login failed: .* reason=(\S+)$", scripted_gateway.log(), re.M) == ["malformed"] * 2
    client = scripted_gateway.client()
    for _ in range(3):
        assert client.command(command).status == status
    assert client.rest() == [b"* BYE Too many failed logins.\r\n"]
    assert sum(bool({"LOGIN", "AUTHENTICATE"} & set(c.names)) for c in scripted.connections) == 1  # the good one


@pytest.mark.parametrize("command", [
    b"AUTHENTICATE", b"AUTHENTICATE ", b"AUTHENTICATE  \t ", b"AUTHENTICATE PLAIN AA== more"])
def test_an_authenticate_that_begins_no_login_is_bad_and_no_failure(scripted, scripted_gateway, command):
    client = scripted_gateway.client()
    for _ in range(4):  # more than max_login_failures
        client.bad(command)
    client.ok("LOGIN ann secret")
    assert "login failed" not in scripted_gateway.log()


# What a server takes for a login, directly: as the docs have it (docs/framing.md). The gateway takes each in front of each.
TAKEN = {
    "login ann secret": "dovecot cyrus courier",
    "LOGIN percent %a*b]": "dovecot cyrus courier",
    "LOGIN backslash a\\b\\\\c": "dovecot cyrus",
    "LOGIN list a(b)c": "courier",
    "LOGIN curly a{b}": "cyrus",
    "LOGIN utf8 pässwörd€": "cyrus",
    'LOGIN utf8 "pässwörd€"': "dovecot cyrus courier",
    'LOGIN "a\\nn" "se\\cret"': "dovecot cyrus courier",
    "LOGIN ann secret ": "dovecot courier",
    "LOGIN ann secret  ": "dovecot courier",
    "LOGIN  ann secret": "dovecot courier",
    "LOGIN ann  secret": "dovecot courier",
    "LOGIN ann\tsecret": "courier",
    "LOGIN ann secret\t": "courier",
    'LOGIN "ann""secret"': "dovecot courier",
    'LOGIN "ann"  "secret" ': "dovecot courier",
    "LOGIN {3+}\r\nann secret": "dovecot cyrus",
    "LOGIN ann {6+}\r\nsecret ": "dovecot",
    "AUTHENTICATE plain AGFubgBzZWNyZXQ=": "dovecot cyrus courier",
    "AUTHENTICATE PLAIN AGFubgBzZWNyZXR=": "dovecot cyrus courier",  # bits to spare
    "AUTHENTICATE PLAIN AGFubgBzZWNyZXQ= ": "dovecot courier",
    "AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=\t": "dovecot courier",
    "AUTHENTICATE PLAIN  AGFubgBzZWNyZXQ=": "dovecot courier",
    "AUTHENTICATE  PLAIN AGFubgBzZWNyZXQ=": "courier",
}


@pytest.mark.every_server
@pytest.mark.parametrize("command", TAKEN)
def test_what_any_server_takes_for_a_login_is_one_here_too(gateway, connect, server, command):
    is_taken = server.name.lower() in TAKEN[command].split()
    client = connect(server.plain_port)
    client.send(f"a {command}\r\n".encode())
    answer = client.response()
    while answer.startswith((b"* ", b"+ ")):
        answer = client.response()
    assert (answer.split()[1] == b"OK") == is_taken, answer
    gateway.client().ok(command.encode())


@pytest.mark.every_server
@pytest.mark.parametrize("message", [b"", b"!!!!", b"abc", b"AGFubgBzZWNyZXQ", logins.encoded("ann"), logins.encoded("\0ann"),
                                     logins.encoded("\0ann\0")])
def test_a_message_that_is_none_is_answered_no_as_servers_do(gateway, server, message):
    client = gateway.client()
    tag = client.start("AUTHENTICATE PLAIN")
    client.continuation()
    client.send(message + b"\r\n")
    assert client.wait(tag).status == b"NO"
    client.ok("LOGIN ann secret")


@pytest.mark.parametrize("form", [b"a AUTHENTICATE {5+}\r\nPLAIN\r\n", b"a AUTHENTICATE PLAIN {16+}\r\nAGFubgBzZWNyZXQ=\r\n"])
def test_a_literal_behind_authenticate_is_no_mechanism_and_no_message(scripted, scripted_gateway, form):
    client = scripted_gateway.client()
    client.send(form)
    assert client.wait("a").status in (b"NO", b"BAD")
    client.ok("NOOP")
    assert not scripted.sessions


@pytest.mark.parametrize("habit", ["code", "untagged", "none"])
@pytest.mark.parametrize("tag", ["imapstate", "*x", "]", "a.b-c_d", "1", "x" * 500])
def test_any_tag_may_be_the_logins(start_scripted, start_gateway, tag, habit):
    """Even the one of the gateway's own commands, which it never has in flight together with the client's."""
    server = start_scripted(caps_login=habit)
    client = start_gateway(server.port).client()
    if tag == "*x":  # RFC 9051 section 9: no tag has an asterisk
        client.send(f"{tag} LOGIN ann secret\r\n".encode())
        assert b" BAD " in client.response()
        return
    client.no("LOGIN ann wrong", tag=tag)
    client.ok("LOGIN ann secret", tag=tag)
    client.ok("NOOP", tag=tag)


def test_a_login_line_may_come_octet_by_octet(gateway):
    client = gateway.client()
    client.send_bytewise(b"a LOGIN {5+}\r\nspace {10}\r\n")
    client.continuation()
    client.send_bytewise(b"two words \r\n")
    assert client.wait("a").status == b"OK"


def test_a_second_login_in_a_session_is_bad_and_does_not_reach_the_upstream(scripted, scripted_gateway):
    client = scripted_gateway.session()
    client.bad("LOGIN bob hunter2")
    client.bad(b"AUTHENTICATE PLAIN " + logins.encoded(logins.plain("bob", "hunter2")))
    client.ok("NOOP")
    assert "bob" not in scripted.sessions[0].received.decode()


# Order

@pytest.mark.parametrize("name,login", [
    ("LOGIN", b"LOGIN ann secret"), ("AUTHENTICATE", b"AUTHENTICATE PLAIN " + logins.encoded(logins.plain("ann", "secret"))),
    ("LOGIN", b"AUTHENTICATE LOGIN " + logins.encoded("ann") + b"\r\n" + logins.encoded("secret"))])
def test_nothing_is_forwarded_behind_a_login_before_its_answer(start_scripted, start_gateway, name, login):
    upstream = start_scripted(caps_before="IMAP4rev1 LITERAL+" + (" SASL-IR AUTH=PLAIN" if name == "AUTHENTICATE" else ""))
    behind = []

    def answer_late(connection, tag, arguments):
        behind.append(select.select((connection.wire.sock,), (), (), 0.2)[0] or connection.wire.left())
        connection.log_in(tag, "ann")

    upstream.on(name, answer_late)
    client = start_gateway(upstream.port).client()
    client.send(b"a " + login + b"\r\nb NOOP\r\nc STATUS INBOX (MESSAGES)\r\nd LOGOUT\r\n")
    assert [client.wait(tag).status for tag in "abcd"] == [b"OK"] * 4
    assert behind == [b""]
    assert upstream.sessions[0].names[-2:] == ["NOOP", "STATUS"] or upstream.sessions[0].names[-3:-1] == ["NOOP", "STATUS"]


def test_the_end_of_input_behind_a_login_does_not_stop_it(gateway):
    client = gateway.client()
    client.send(b"a LOGIN ann secret\r\nb NOOP\r\n")
    client.wire.sock.shutdown(1)
    assert [client.wait(tag).status for tag in "ab"] == [b"OK", b"OK"]


def test_the_end_of_input_behind_a_refused_login_does_not_make_its_answer_late(scripted, start_gateway):
    client = start_gateway(scripted.port, login_failure_delay="1s").client(timeout=PATIENCE_S)
    client.send(b"a LOGIN ann wrong\r\n")
    client.wire.sock.shutdown(1)
    assert client.wait("a").status == b"NO"
    assert client.rest() == []


# The upstream's habits at login

@pytest.mark.parametrize("way", ["LOGIN with atoms", "PLAIN at once", "AUTH=LOGIN"])
def test_untagged_lines_at_login_reach_the_client_before_the_answer(scripted, scripted_gateway, way):
    for name in ("LOGIN", "AUTHENTICATE"):
        scripted.on(name, lambda c, tag, arguments: (c.send(b"* OK [ALERT] full soon\r\n"), c.default(tag, c.names[-1], arguments)))
    answer = logins.by(way, scripted_gateway.client(), "ann", "secret")
    assert answer.status == b"OK" and answer.untagged == [b"* OK [ALERT] full soon\r\n"]


@pytest.mark.parametrize("answer", ["NO [UNAVAILABLE] later", "NO [EXPIRED] old", "BAD what", "NO [AUTHORIZATIONFAILED] no"])
def test_a_refusal_comes_in_the_upstreams_words(scripted, scripted_gateway, answer):
    for name in ("LOGIN", "AUTHENTICATE"):
        scripted.on(name, answer, times=1)
    client = scripted_gateway.client()
    assert client.command("LOGIN ann secret", tag="x").tagged == b"x " + answer.encode() + b"\r\n"
    client.ok("LOGIN ann secret")


def test_a_refusal_that_says_nothing_of_the_password_bans_nobody(scripted, scripted_gateway):
    answers = [f"NO [{code}] later" for code in ("UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "CONTACTADMIN", "THROTTLED", "OVERQUOTA",
                                                 "WEBALERT https://mail.example.org/unlock", "ALERT", "PRIVACYREQUIRED", "CORRUPTION")]
    answers += ["BAD Request is throttled. Suggested Backoff Time: 89117 milliseconds"]
    scripted_gateway.session().logout()
    for answer in answers:
        scripted.on("LOGIN", answer, times=1)
        client = scripted_gateway.client()
        assert client.command("LOGIN ann secret").status == answer.split()[0].encode()
        client.close()
    scripted.on("LOGIN", "NO [AUTHENTICATIONFAILED] no", times=1)
    scripted_gateway.client().no("LOGIN ann wrong")
    reasons = re.findall(r"login failed: .* reason=(\S+)$", scripted_gateway.log(), re.M)
    assert reasons == ["unavailable"] * len(answers) + ["refused"]


def test_a_login_that_is_not_judged_leaves_what_is_parked(start_scripted, start_gateway):
    scripted = start_scripted()
    gateway = start_gateway(scripted.port, park={"per_user": 2})
    first = gateway.session()
    first.ok("NOOP")
    scripted.on("LOGIN", "NO [THROTTLED] later", times=1)
    gateway.client().no("LOGIN ann secret")
    first.logout()
    gateway.wait_log("park: parked")
    logins = len(scripted.sessions)
    client = gateway.session()
    client.ok("NOOP")
    assert len(scripted.sessions) == logins


@pytest.mark.parametrize("words", [
    "NO Too many open connections (2 of 2 for ann)",           # Cyrus
    "NO [ALERT] Too many simultaneous connections. (Failure)"])  # Gmail
def test_too_many_connections_ban_nobody_without_a_code_that_says_so(scripted, scripted_gateway, words):
    scripted.on("LOGIN", words)
    scripted.on("AUTHENTICATE", words)
    client = scripted_gateway.client()
    for _ in range(4):  # one more than max_login_failures
        client.no("LOGIN ann secret")
        scripted_gateway.wait_log(r"login failed: .* reason=unavailable")
    assert "reason=refused" not in scripted_gateway.log()


@pytest.mark.parametrize("words", ["NO Too many failures", "NO no such user: Too many open connections", "NO connections"])
def test_words_that_only_resemble_too_many_connections_are_a_refusal(scripted, scripted_gateway, words):
    scripted.on("LOGIN", words)
    scripted.on("AUTHENTICATE", words)
    scripted_gateway.client().no("LOGIN ann wrong")
    scripted_gateway.wait_log(r"login failed: .* reason=refused")


def test_a_connection_that_breaks_at_the_id_before_login_is_unavailable(scripted, start_gateway):
    gateway = start_gateway(upstream(scripted.port, send_client_address="id"))
    client = gateway.client()
    scripted.on("ID", CLOSE, times=1)
    assert client.no("LOGIN ann secret").code == b"UNAVAILABLE"
    client.ok("LOGIN ann secret")


def test_a_connection_that_breaks_at_login_is_not_made_once_more(scripted, scripted_gateway):
    scripted_gateway.session()
    scripted.on("LOGIN", CLOSE, times=1)
    client = scripted_gateway.client()
    assert client.no("LOGIN bob hunter2").code == b"UNAVAILABLE"
    client.ok("LOGIN bob hunter2")


def test_an_upstream_that_always_breaks_at_login_is_unavailable(scripted, scripted_gateway):
    scripted.on("LOGIN", CLOSE)
    client = scripted_gateway.client()
    answer = client.no("LOGIN ann secret")
    assert answer.code == b"UNAVAILABLE"
    assert sum(c.names.count("LOGIN") for c in scripted.connections) == 1
    client.ok("NOOP")


def test_an_upstream_that_says_bye_instead_of_an_answer_is_unavailable(scripted, scripted_gateway):
    scripted.on("LOGIN", lambda c, tag, arguments: (c.send(b"* BYE too many\r\n"), c.hang_up()))
    client = scripted_gateway.client()
    answer = client.no("LOGIN ann secret")
    assert answer.code == b"UNAVAILABLE" and not answer.of("BYE")
    client.ok("NOOP")


def test_a_bye_before_the_capability_list_is_known_is_unavailable_too(start_scripted, start_gateway):
    scripted = start_scripted(caps_login="none")
    gateway = start_gateway(scripted.port)
    gateway.session().logout()
    scripted.on("CAPABILITY", lambda c, tag, arguments: (c.send(b"* BYE too many\r\n"), c.hang_up()))
    client = gateway.client()
    answer = client.no("LOGIN ann secret")
    assert scripted.connections[-1].user == "ann"
    assert answer.code == b"UNAVAILABLE" and not answer.of("BYE")
    client.ok("NOOP")


def test_an_upstream_that_does_not_answer_a_login_is_unavailable(start_scripted, start_gateway):
    silent = start_scripted()
    silent.on("LOGIN", lambda c, tag, arguments: None)
    client = start_gateway(upstream(silent.port, answer_timeout="300ms")).client()
    assert client.no("LOGIN ann secret").code == b"UNAVAILABLE"
    assert sum(c.names.count("LOGIN") for c in silent.connections) == 1


@pytest.mark.parametrize("way", logins.WAYS)
def test_passwords_are_in_no_log(scripted, scripted_gateway, way):
    """P15: neither those that are good nor those that are not, at the debug level."""
    client = scripted_gateway.client()
    assert logins.by(way, client, "ann", "Tr0ub4dor").status == b"NO"
    scripted.users["ann"] = "Tr0ub4dor"
    assert logins.by(way, client, "ann", "Tr0ub4dor").status == b"OK"
    client.logout()
    scripted_gateway.wait_log("closing: logout")
    for secret in (b"Tr0ub4dor", logins.encoded("Tr0ub4dor"), logins.encoded("\0ann\0Tr0ub4dor")):
        assert secret.decode() not in scripted_gateway.log()


def test_an_upstream_that_asks_for_more_than_a_password_is_cancelled(scripted, scripted_gateway):
    said = []
    for name in ("LOGIN", "AUTHENTICATE"):
        scripted.on(name, lambda c, tag, arguments: (said.append(c.challenge(b"and your pet?")), c.send(tag + " BAD cancelled\r\n")))
    client = scripted_gateway.client()
    assert client.no("LOGIN ann secret").code == b"CANNOT"
    assert said == [None, None]  # by one way, and by another


@pytest.mark.parametrize("answer", ["other OK welcome", "hello", "A1 OK welcome", "a1OK welcome", "a1 okay welcome"])
def test_an_upstream_that_answers_anything_but_ok_logs_nobody_in(scripted, scripted_gateway, answer):
    scripted.on("LOGIN", lambda c, tag, arguments: c.send(answer.encode() + b"\r\n"))
    client = scripted_gateway.client()
    assert client.command("LOGIN ann secret", tag="a1").status != b"OK"
    client.bad("SELECT INBOX")


# Failures

def test_a_failed_login_is_answered_late_and_a_good_one_at_once(scripted, start_gateway):
    gateway = start_gateway(scripted.port, login_failure_delay="400ms")
    client = gateway.client()
    began = time.monotonic()
    client.no("LOGIN ann wrong")
    assert time.monotonic() - began >= 0.4
    client = start_gateway(scripted.port, login_failure_delay="1m").client()
    began = time.monotonic()
    client.ok("LOGIN ann secret")
    assert time.monotonic() - began < 60


def test_other_clients_do_not_wait_for_a_delayed_one(scripted, start_gateway):
    gateway = start_gateway(scripted.port, login_failure_delay="30s")
    client = gateway.client()
    client.start("LOGIN ann wrong")
    scripted.wait_for(lambda: any("LOGIN" in c.names for c in scripted.connections))
    gateway.client().ok("LOGIN ann secret")
    client.expect_silence()


def test_commands_behind_a_failed_login_wait_for_its_answer(scripted, start_gateway):
    client = start_gateway(scripted.port, login_failure_delay="200ms").client()
    client.send(b"a LOGIN ann wrong\r\nb SELECT INBOX\r\nc LOGIN ann secret\r\n")
    assert [client.wait(tag).status for tag in "abc"] == [b"NO", b"BAD", b"OK"]


@pytest.mark.parametrize("limit", [1, 3])
def test_after_too_many_failures_the_connection_ends(scripted, start_gateway, limit):
    gateway = start_gateway(scripted.port, max_login_failures=limit)
    client = gateway.client()
    for _ in range(limit):
        client.no("LOGIN ann wrong")
    assert [line[:6] for line in client.rest()] == [b"* BYE "]
    gateway.wait_log("closing: too many failed logins")
    assert len(re.findall("login failed: ", gateway.log())) == limit


def test_a_login_that_works_clears_the_count(scripted, start_gateway):
    scripted.caps_after += " UNAUTHENTICATE"
    client = start_gateway(scripted.port, max_login_failures=2).client()
    for _ in range(3):
        client.no("LOGIN ann wrong")
        client.ok("LOGIN ann secret")
        client.ok("UNAUTHENTICATE")


def said_noop(gateway):
    client = gateway.client()
    client.ok("NOOP")
    return client


def test_who_does_not_log_in_in_time_is_sent_away(scripted, start_gateway):
    gateway = start_gateway(scripted.port, login_timeout="1s")
    client = in_time(0.9, lambda: said_noop(gateway))
    client.send(b"a LOGIN ann ")
    assert [line[:6] for line in client.rest()] == [b"* BYE "]
    gateway.wait_log("closing: login timeout")


def test_who_sends_too_much_before_login_is_sent_away(scripted_gateway):
    client = scripted_gateway.client()
    with contextlib.suppress(ConnectionError):  # it may be reset while we are still sending
        client.send(b"a NOOP\r\n" * 9000)
    assert client.rest()[-1].startswith(b"* BYE ")
    scripted_gateway.wait_log("closing: too much input before login")
