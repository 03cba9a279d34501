"""auth_mechanisms: which of the upstream's mechanisms a listener offers, so that clients use one that parking can match."""
import pytest

from harness import logins
from harness.gateway import listener
from harness.imap import capabilities
from harness.net import free_port


@pytest.fixture(name="start_limited")
def fixture_start_limited(scripted, start_gateway):
    """start_limited(mechanisms, ...): a gateway, and the port of a listener that offers only these."""
    def start(*mechanisms, **options):
        port = free_port()
        section = listener("limited", port, auth_mechanisms=list(mechanisms), **options)
        return start_gateway(scripted.port, sections=[section]), port
    return start


def offered(names):
    return sorted(name[5:].decode() for name in names if name.startswith(b"AUTH="))


def names_of(client):
    names = capabilities(client.greeting)
    assert names == capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])
    return names


def test_only_these_mechanisms_are_offered(start_limited):
    gateway, port = start_limited("PLAIN", "xoauth2")
    names = names_of(gateway.client(port))
    assert offered(names) == ["PLAIN", "XOAUTH2"] and b"LOGINDISABLED" not in names
    assert offered(names_of(gateway.client())) == ["CRAM-MD5", "LOGIN", "OAUTHBEARER", "PLAIN", "XOAUTH2"]


def test_a_mechanism_that_the_upstream_lacks_is_not_offered_all_the_same(start_limited):
    gateway, port = start_limited("PLAIN", "SCRAM-SHA-256")
    client = gateway.client(port)
    assert offered(names_of(client)) == ["PLAIN"]
    assert client.no("AUTHENTICATE SCRAM-SHA-256").code == b"CANNOT"


def test_an_empty_list_offers_all(start_limited):
    gateway, port = start_limited()
    assert offered(names_of(gateway.client(port))) == ["CRAM-MD5", "LOGIN", "OAUTHBEARER", "PLAIN", "XOAUTH2"]


def test_a_mechanism_that_is_not_offered_is_refused_and_never_reaches_the_upstream(scripted, start_limited):
    gateway, port = start_limited("PLAIN")
    client = gateway.client(port)
    for command in (b"AUTHENTICATE LOGIN", b"AUTHENTICATE CRAM-MD5", b"AUTHENTICATE XOAUTH2 " + logins.encoded(logins.xoauth2("ann", "secret"))):
        assert client.no(command).code == b"CANNOT"
    assert not any("AUTHENTICATE" in connection.names for connection in scripted.connections)
    assert logins.by_plain_at_once(client, "ann", "secret").status == b"OK"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_the_login_command_goes_with_either_mechanism_of_passwords(start_limited, mechanism):
    gateway, port = start_limited(mechanism)
    client = gateway.client(port)
    assert b"LOGINDISABLED" not in names_of(client)
    assert logins.by_quoted_strings(client, "ann", "secret").status == b"OK"


def test_without_them_it_is_disabled_and_refused(scripted, start_limited):
    gateway, port = start_limited("CRAM-MD5", "OAUTHBEARER")
    client = gateway.client(port)
    names = names_of(client)
    assert offered(names) == ["CRAM-MD5", "OAUTHBEARER"] and b"LOGINDISABLED" in names
    answer = logins.by_quoted_strings(client, "ann", "secret")
    assert answer.status == b"NO" and answer.code == b"CANNOT"
    assert not any("LOGIN" in connection.names for connection in scripted.connections)
    answer = logins.by_cram_md5(client, "ann", "secret")
    assert answer.status == b"OK" and b"LOGINDISABLED" not in capabilities(answer.tagged)


def test_a_malformed_login_is_bad_all_the_same(start_limited):
    gateway, port = start_limited("CRAM-MD5")
    gateway.client(port).bad("LOGIN ann")


def test_before_tls_no_mechanism_is_offered_at_all(start_limited, certificate, trust):
    pair = {"tls_cert_file": str(certificate[0]), "tls_key_file": str(certificate[1])}
    gateway, port = start_limited("PLAIN", tls="starttls", **pair)
    client = gateway.client(port)
    names = names_of(client)
    assert offered(names) == [] and b"LOGINDISABLED" in names
    assert logins.by_quoted_strings(client, "ann", "secret").code == b"PRIVACYREQUIRED"
    client.starttls(trust)
    assert offered(capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])) == ["PLAIN"]


def test_a_list_after_login_has_no_mechanism_that_is_not_offered_either(start_limited, scripted):
    scripted.caps_after += " AUTH=PLAIN AUTH=CRAM-MD5"
    gateway, port = start_limited("PLAIN")
    client = gateway.client(port)
    assert offered(capabilities(client.login("ann", "secret").tagged)) == ["PLAIN"]
    assert offered(capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])) == ["PLAIN"]
