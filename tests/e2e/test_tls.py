"""TLS on both sides: what is refused without it, what is injected before it, whose certificate is believed."""
import socket
import ssl
import warnings

import pytest

from harness import logins, net
from harness.gateway import listener, upstream
from harness.imap import capabilities
from harness.net import Authority
from harness.patience import in_time
from harness.scripted import CLOSE

OFFERS = "IMAP4rev1 STARTTLS SASL-IR LITERAL+ ID AUTH=PLAIN"


def with_versions(context, oldest, newest):
    """Old versions need OpenSSL's lowest security level, so that it is the other side that refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = oldest, newest
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


# The client's side

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_implicit_tls_takes(gateway, authority, version):
    client = gateway.client(gateway.tls_port, tls=with_versions(authority.client_context(), version, version))
    client.ok("LOGIN ann secret")
    client.logout()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_tls_before_1_2_is_refused(gateway, authority, version):
    context, mark = with_versions(authority.client_context(), version, version), gateway.log_octets()
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        gateway.client(gateway.tls_port, tls=context)
    gateway.wait_log("closing: TLS handshake failed: .*", since=mark)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_starttls_takes(gateway, authority, version):
    client = gateway.client(gateway.starttls_port)
    client.starttls(with_versions(authority.client_context(), version, version))
    client.ok("LOGIN ann secret")
    client.ok("SELECT INBOX")
    client.logout()


def test_a_client_speaks_first_after_starttls(gateway, trust):
    client = gateway.client(gateway.starttls_port)
    client.starttls(trust)
    client.expect_silence()
    client.ok("CAPABILITY")


@pytest.mark.parametrize("injected", [
    b"x NOOP\r\n", b"x LOGIN ann secret\r\ny SELECT INBOX\r\n", b"x NOO", b"x LOGIN {3+}\r\n", b"x LOGIN ann {100+}\r\n", b"x AUTHENTICATE PLAIN\r\n",
    b"\r\n", b"\x16\x03\x01", b"x" * 5000])
def test_octets_behind_starttls_in_the_same_segment_are_discarded(scripted, start_gateway, trust, injected):
    gateway = start_gateway(scripted.port)
    client = gateway.client(gateway.starttls_port)
    client.send(b"a STARTTLS\r\n" + injected)
    assert client.wait("a").status == b"OK"
    client.wire.wrap(trust, server_hostname="localhost")
    assert client.ok("NOOP").untagged == []
    client.ok("LOGIN ann secret")
    assert client.wire.left() == b"" and len(scripted.sessions) == 1
    assert "SELECT" not in scripted.sessions[0].names


def test_the_command_before_starttls_in_the_same_segment_is_answered(gateway, trust):
    client = gateway.client(gateway.starttls_port)
    client.send(b"a NOOP\r\nb STARTTLS\r\nc NOOP\r\n")
    assert [client.wait(tag).status for tag in "ab"] == [b"OK", b"OK"]
    client.wire.wrap(trust, server_hostname="localhost")
    client.ok("NOOP")


def test_starttls_is_bad_where_it_has_no_place(gateway, trust):
    client = gateway.client()
    client.bad("STARTTLS")
    client.ok("LOGIN ann secret")
    client.bad("STARTTLS")
    client = gateway.client(gateway.tls_port, tls=trust)
    client.bad("STARTTLS")
    client.ok("LOGIN ann secret")
    client.bad("STARTTLS")
    client = gateway.client(gateway.starttls_port)
    client.starttls(trust)
    client.bad("STARTTLS")
    client.ok("LOGIN ann secret")


def test_starttls_is_listed_until_it_has_been_done(gateway, trust):
    client = gateway.client(gateway.starttls_port)
    assert b"STARTTLS" in capabilities(client.greeting)
    assert b"STARTTLS" in capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])
    client.starttls(trust)
    for response in (client.ok("CAPABILITY").of("CAPABILITY")[0], client.ok("LOGIN ann secret").tagged,
                     client.ok("CAPABILITY").of("CAPABILITY")[0], gateway.client().greeting,
                     gateway.client(gateway.tls_port, tls=trust).greeting):
        assert not {b"STARTTLS", b"LOGINDISABLED"} & set(capabilities(response))


def test_without_tls_nothing_that_logs_in_is_offered_where_it_is_required(gateway):
    client = gateway.client(gateway.starttls_port)
    for response in (client.greeting, client.ok("CAPABILITY").of("CAPABILITY")[0]):
        names = capabilities(response)
        assert b"LOGINDISABLED" in names and b"STARTTLS" in names
        assert not [name for name in names if name.startswith(b"AUTH=") or name in (b"STATE", b"SASL-IR")]


@pytest.mark.parametrize("command", [
    b"LOGIN ann secret", b'LOGIN "ann" "secret"', b"LOGIN ann {6+}\r\nsecret", b"AUTHENTICATE PLAIN", b"AUTHENTICATE LOGIN",
    b"AUTHENTICATE PLAIN " + logins.encoded("\0ann\0secret"), b"AUTHENTICATE CRAM-MD5",
    b"AUTHENTICATE XOAUTH2 " + logins.encoded(logins.xoauth2("ann", "secret"))])
def test_without_tls_nobody_logs_in_where_it_is_required(scripted, start_gateway, trust, command):
    gateway = start_gateway(scripted.port)
    client = gateway.client(gateway.starttls_port)
    for _ in range(4):  # more than max_login_failures: nobody is sent away for it
        assert client.no(command).code == b"PRIVACYREQUIRED"
    assert not [c for c in scripted.connections if {"LOGIN", "AUTHENTICATE"} & set(c.names)]
    client.bad("STATE")
    client.starttls(trust)
    client.ok("LOGIN ann secret")
    assert "reason=refused" not in gateway.log()


def test_without_tls_one_may_log_in_where_it_is_only_offered(scripted, start_gateway, certificate, trust):
    pair, port = {"tls_cert_file": str(certificate[0]), "tls_key_file": str(certificate[1])}, net.free_port()
    gateway = start_gateway(scripted.port, sections=[listener("offered", port, tls="starttls", require_tls=False, **pair)])
    client = gateway.client(port)
    assert {b"STARTTLS", b"STATE", b"AUTH=PLAIN"} <= set(capabilities(client.greeting))
    answer = client.ok("LOGIN ann secret")
    assert b"STATE" in capabilities(answer.tagged) and b"STARTTLS" not in capabilities(answer.tagged)
    client.bad("STARTTLS")
    client = gateway.client(port)
    client.starttls(trust)
    client.ok("LOGIN ann secret")


@pytest.mark.parametrize("octets", [b"a NOOP\r\n", b"GET / HTTP/1.0\r\n\r\n", b"\0" * 64, b"\x16\x03\x01\x00\x05hello"])
def test_what_is_no_handshake_ends_the_connection(gateway, octets):
    mark = gateway.log_octets()
    client = gateway.client(gateway.tls_port, greet=False)
    client.send(octets)
    gateway.wait_log(r"closing: TLS handshake failed: .*\(restored=no", since=mark)


def test_a_handshake_may_come_octet_by_octet(gateway, trust):
    client = gateway.client(gateway.tls_port, greet=False)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trust.wrap_bio(incoming, outgoing, server_hostname="localhost")

    def converse(step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                client.send_bytewise(outgoing.read())
                incoming.write(client.wire.sock.recv(65536))

    converse(tls.do_handshake)
    client.send_bytewise(outgoing.read())
    assert converse(lambda: tls.read(65536)).startswith(b"* OK ")
    tls.write(b"a NOOP\r\n")
    client.send_bytewise(outgoing.read())
    assert converse(lambda: tls.read(65536)) == b"a OK NOOP completed.\r\n"


def begun_handshake(gateway, port):
    client = gateway.client(port, greet=False)
    if port == gateway.starttls_port:
        client.response()
        client.ok("STARTTLS")
    client.send(b"\x16\x03\x01")
    return client


def test_a_handshake_that_stops_ends_with_the_time_to_log_in(scripted, start_gateway):
    gateway = start_gateway(scripted.port, login_timeout="1s")
    for port in (gateway.tls_port, gateway.starttls_port):
        net.hear_out(in_time(0.9, lambda: begun_handshake(gateway, port)).wire.sock)
    gateway.wait_log("closing: login timeout(.|\n)*closing: login timeout")


@pytest.mark.parametrize("step", ["before", "in", "after"])
def test_a_client_that_leaves_around_the_handshake_does_no_harm(gateway, trust, step):
    mark = gateway.log_octets()
    client = gateway.client(gateway.tls_port, greet=False)
    if step == "in":
        client.send(b"\x16\x03\x01")
    if step == "after":
        client.wire.wrap(trust, server_hostname="localhost")
    client.close()
    gateway.wait_log("closing: ", since=mark)
    gateway.session("ann", "secret", gateway.tls_port, tls=trust)


def test_a_reload_changes_the_certificate_for_new_clients_and_keeps_the_old(scripted, start_gateway, authority, trust, tmp_path):
    first, second = authority.issue("first"), authority.issue("second")
    pair, port = {"tls_cert_file": str(tmp_path / "cert.pem"), "tls_key_file": str(tmp_path / "key.pem")}, net.free_port()

    def install(certificate):
        (tmp_path / "cert.pem").write_bytes(certificate[0].read_bytes())
        (tmp_path / "key.pem").write_bytes(certificate[1].read_bytes())

    def shown(client):
        return dict(name for part in client.wire.sock.getpeercert()["subject"] for name in part)["commonName"]

    install(first)
    gateway = start_gateway(scripted.port, sections=[listener("own", port, tls="implicit", **pair)])
    old = gateway.session("ann", "secret", port, tls=trust)
    assert shown(old) == "first"
    install(second)
    gateway.reload()
    gateway.wait_log("reload")
    assert shown(gateway.session("ann", "secret", port, tls=trust)) == "second"
    old.ok("NOOP")
    (tmp_path / "cert.pem").write_text("no certificate")
    mark = gateway.log_octets()
    gateway.reload()
    gateway.wait_log("error: .*cert.pem", since=mark)
    assert shown(gateway.session("ann", "secret", port, tls=trust)) == "second"


# The upstream's side

@pytest.fixture
def trusting(authority):
    return {"tls_ca_file": str(authority.ca_file)}


def assert_unavailable(gateway, *servers):
    """No login, and not an octet of the password on its way."""
    client = gateway.client()
    answer = client.no("LOGIN ann secret")
    assert answer.code == b"UNAVAILABLE"
    for way in ("PLAIN at once", "AUTH=LOGIN"):
        assert logins.by(way, client, "ann", "secret").code == b"UNAVAILABLE"
    for server in servers:
        for connection in server.connections:
            assert b"secret" not in connection.received and logins.encoded("secret") not in connection.received
            assert not {"LOGIN", "AUTHENTICATE"} & set(connection.names)
    client.logout()


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_dovecot_is_logged_in_to_over_tls(dovecot, start_gateway, trusting, tls):
    user = dovecot.new_user()
    port = dovecot.tls_port if tls == "implicit" else dovecot.plain_port
    gateway = start_gateway(upstream(f"localhost:{port}", tls=tls, **trusting))
    client = gateway.session(user, "secret")
    client.ok("SELECT INBOX")
    assert ", TLS," in dovecot.wait_log(rf".*imap-login: Info: (?:Login|Logged in): user=<{user}>.*").group(0)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_an_upstream_may_speak(start_scripted, start_gateway, certificate, trusting, tls, version):
    context = with_versions(Authority.server_context(certificate), version, version)
    server = start_scripted(tls=tls, context=context, caps_before=OFFERS)
    start_gateway(upstream(server.port, tls=tls, **trusting)).client().ok("LOGIN ann secret")


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_an_upstream_that_speaks_only_tls_1_1_is_refused(start_scripted, start_gateway, certificate, trusting, tls):
    context = with_versions(Authority.server_context(certificate), ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
    server = start_scripted(tls=tls, context=context, caps_before=OFFERS)
    assert_unavailable(start_gateway(upstream(server.port, tls=tls, **trusting)), server)


NAMES = "DNS:localhost,IP:127.0.0.1,IP:::1"
# Certificates, and how they are looked at: (alternative names, more of `openssl x509`, settings of the upstream section), and
# what the log must say, or None if the certificate is good.
CERTIFICATES = {
    "the address": (NAMES, (), {}, None),
    "the name": ("DNS:localhost", (), {"address": "localhost"}, None),
    "a name given": ("DNS:mail.example.org", (), {"tls_name": "mail.example.org"}, None),
    "an address given": ("IP:192.0.2.1", (), {"tls_name": "192.0.2.1"}, None),
    "a wildcard": ("DNS:*.example.org", (), {"tls_name": "mail.example.org"}, None),
    "a wildcard for part of a label": ("DNS:m*.example.org", (), {"tls_name": "mail.example.org"}, "[Hh]ostname mismatch"),
    "another name": ("DNS:other.example.org", (), {"address": "localhost"}, "[Hh]ostname mismatch"),
    "another name given": (NAMES, (), {"tls_name": "mail.example.org"}, "[Hh]ostname mismatch"),
    "another address": ("IP:192.0.2.1,DNS:localhost", (), {}, "IP address mismatch"),
    "expired": (NAMES, ("-days", "-1"), {}, "expired"),
}


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("case", CERTIFICATES)
def test_of_an_upstreams_certificate_is_checked(start_scripted, start_gateway, authority, trusting, case, tls):
    alternatives, extra, settings, complaint = CERTIFICATES[case]
    context = Authority.server_context(authority.issue("server", alternatives, extra))
    server = start_scripted(tls=tls, context=context, caps_before=OFFERS)
    settings = dict(settings)
    target = f"{settings.pop('address', '127.0.0.1')}:{server.port}"
    gateway = start_gateway(upstream(target, tls=tls, **trusting, **settings))
    if complaint:
        assert_unavailable(gateway, server)
        gateway.wait_log(f"warning: upstream=main address=.*: certificate refused: .*{complaint}")
        unchecked = start_gateway(upstream(target, tls=tls, tls_verify=False, **settings))
        unchecked.wait_log("warning: .*tls_verify")
        unchecked.client().ok("LOGIN ann secret")
    else:
        gateway.client().ok("LOGIN ann secret")


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("settings", [{}, {"tls_ca_file": "other"}])
def test_a_certificate_of_an_unknown_authority_is_refused(start_scripted, start_gateway, certificate, tmp_path, tls, settings):
    if settings:
        settings = {"tls_ca_file": str(Authority(tmp_path / "other").ca_file)}
    server = start_scripted(tls=tls, context=Authority.server_context(certificate), caps_before=OFFERS)
    gateway = start_gateway(upstream(server.port, tls=tls, **settings))
    assert_unavailable(gateway, server)
    gateway.wait_log("warning: upstream=main address=.*: certificate refused: ")


def test_the_name_is_asked_for(start_scripted, start_gateway, certificate, trusting):
    asked, context = [], Authority.server_context(certificate)
    context.sni_callback = lambda sock, name, context: asked.append(name)
    server = start_scripted(tls="implicit", context=context)
    for target, settings in (("localhost", {}), ("127.0.0.1", {"tls_name": "localhost"}), ("127.0.0.1", {})):
        start_gateway(upstream(f"{target}:{server.port}", tls="implicit", **trusting, **settings)).client().ok("LOGIN ann secret")
    assert list(dict.fromkeys(asked)) == ["localhost", None]  # an address is no name to ask for (RFC 6066 section 3)


# Never in clear by accident

@pytest.mark.parametrize("greeting", ["* OK [CAPABILITY {caps}] hello", "* OK hello"])
@pytest.mark.parametrize("caps", ["IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 XSTARTTLS STARTTLSX AUTH=PLAIN"])
def test_an_upstream_that_offers_no_starttls_is_unavailable(start_scripted, start_gateway, trusting, greeting, caps):
    server = start_scripted(caps_before=caps, greeting=greeting)
    gateway = start_gateway(upstream(server.port, tls="starttls", **trusting))
    assert_unavailable(gateway, server)
    gateway.wait_log("offers no STARTTLS")


@pytest.mark.parametrize("answer", ["NO not now", "BAD what", "OKAY begin", "* OK begin", "+ begin", "* BYE"])
def test_an_upstream_that_refuses_starttls_is_unavailable(start_scripted, start_gateway, trusting, answer):
    server = start_scripted(caps_before=OFFERS)
    server.on("STARTTLS", answer)
    gateway = start_gateway(upstream(server.port, tls="starttls", connect_timeout="300ms", **trusting))
    assert_unavailable(gateway, server)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_preauth_greeting_is_refused_with_tls_too(start_scripted, start_gateway, certificate, trusting, tls):
    server = start_scripted(greeting="* PREAUTH [CAPABILITY {caps}] you are in", caps_before=OFFERS, tls=tls,
                            context=Authority.server_context(certificate))
    gateway = start_gateway(upstream(server.port, tls=tls, **trusting))
    assert_unavailable(gateway, server)
    gateway.wait_log("PREAUTH")


@pytest.mark.parametrize("injected", [b"* CAPABILITY IMAP4rev1 X-EVIL\r\n", b"imapstate OK done\r\n", b"*", b"\r\n", b"\x15\x03\x03\x00\x02\x02\x28"])
def test_octets_behind_the_upstreams_answer_to_starttls_are_refused(start_scripted, start_gateway, certificate, trusting, injected):
    server = start_scripted(caps_before=OFFERS)
    server.on("STARTTLS", lambda c, tag, arguments: c.send(f"{tag} OK begin\r\n".encode() + injected))
    gateway = start_gateway(upstream(server.port, tls="starttls", **trusting))
    assert_unavailable(gateway, server)
    gateway.wait_log("unencrypted octets after the answer to STARTTLS")


@pytest.mark.parametrize("injected", [b"imapstate OK begin", b"* OK one\r\nimapstate OK begin\r\nimapstate OK again", b"+ OK", b"x OK done"])
def test_an_answer_that_comes_before_the_question_is_of_no_use(start_scripted, start_gateway, trusting, injected):
    server = start_scripted(greeting=b"* OK [CAPABILITY " + OFFERS.encode() + b"] hi\r\n" + injected)
    server.on("STARTTLS", "OK begin")
    gateway = start_gateway(upstream(server.port, tls="starttls", connect_timeout="500ms", **trusting))
    assert_unavailable(gateway, server)


def test_what_was_offered_in_clear_is_void_after_starttls(start_scripted, start_gateway, certificate, trusting):
    server = start_scripted(tls="starttls", context=Authority.server_context(certificate),
                            caps_before="IMAP4rev1 STARTTLS SASL-IR AUTH=PLAIN X-EVIL")
    server.on("CAPABILITY", "* CAPABILITY IMAP4rev1 LITERAL+ X-GOOD", "OK done")
    client = start_gateway(upstream(server.port, tls="starttls", **trusting)).client()
    assert capabilities(client.greeting) == [b"IMAP4rev1", b"LITERAL+", b"X-GOOD", b"LANGUAGE", b"STATE"]
    client.ok("LOGIN ann secret")
    assert "LOGIN" in server.sessions[0].names  # by what is offered now


@pytest.mark.parametrize("greeting", ["* OK [CAPABILITY {caps}] hello", "* OK hello"])
def test_nothing_but_capability_and_starttls_goes_out_in_clear(start_scripted, start_gateway, certificate, trusting, greeting):
    server = start_scripted(tls="starttls", context=Authority.server_context(certificate), caps_before=OFFERS, greeting=greeting)
    client = start_gateway(upstream(server.port, tls="starttls", send_client_address="id", **trusting)).client()
    client.ok('ID ("name" "x")')
    client.ok("LOGIN ann secret")
    names = server.sessions[0].names
    assert names[-2:] == ["ID", "LOGIN"]
    assert set(names[:names.index("STARTTLS")]) <= {"CAPABILITY"}


@pytest.mark.parametrize("when", ["handshake", "starttls", "after"])
def test_an_upstream_that_hangs_up_around_tls_is_unavailable(start_scripted, start_gateway, certificate, trusting, when):
    server = start_scripted(tls=None if when != "after" else "starttls", context=Authority.server_context(certificate), caps_before=OFFERS)
    if when == "starttls":
        server.on("STARTTLS", CLOSE)
    if when == "handshake":
        server.on("STARTTLS", lambda c, tag, arguments: (c.ok(tag), c.wire.sock.recv(10), c.hang_up()))
    if when == "after":
        server.on("CAPABILITY", CLOSE)
    assert_unavailable(start_gateway(upstream(server.port, tls="starttls", **trusting)), server)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_an_upstream_that_is_silent_in_the_handshake_is_given_up(start_scripted, start_gateway, trusting, tls):
    server = start_scripted(caps_before=OFFERS, greeting=None if tls == "implicit" else "* OK [CAPABILITY {caps}] hello")
    server.on("STARTTLS", "OK begin")  # and then it takes the handshake for commands that it does not understand
    if tls == "implicit":
        server.script = lambda c: c.wire.sock.recv(1) and [None for _ in iter(lambda: c.wire.sock.recv(4096), b"")]
    gateway = start_gateway(upstream(server.port, tls=tls, connect_timeout="300ms", **trusting))
    client = gateway.client()
    assert client.no("LOGIN ann secret").code == b"UNAVAILABLE"


def test_an_upstream_in_clear_where_implicit_tls_is_expected_is_unavailable(scripted, start_gateway, trusting):
    assert_unavailable(start_gateway(upstream(scripted.port, tls="implicit", **trusting)))
    assert not scripted.sessions


def test_tls_through_and_through(start_scripted, start_gateway, certificate, trusting, trust):
    server = start_scripted(tls="implicit", context=Authority.server_context(certificate))
    gateway = start_gateway(upstream(server.port, tls="implicit", **trusting))
    client = gateway.session("ann", "secret", gateway.tls_port, tls=trust)
    assert b"Hello world!" in client.ok("FETCH 1 BODY[]").of("FETCH")[0]
    assert client.wire.sock.version() in ("TLSv1.2", "TLSv1.3")
    client.wire.sock = client.wire.sock.unwrap()  # close_notify is answered, then the end
    assert client.wire.sock.recv(1) == b""
    assert isinstance(client.wire.sock, socket.socket)
