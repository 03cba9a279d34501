"""TLS between the gateway and each real server, as where that one is on another host: docs/servers.md says how."""
import re

import pytest

from harness import logins
from harness.gateway import upstream, write_keys
from harness.imap import capabilities
from harness.parking import PARKED, keep_alive_no_more, leave, logins_at_the_server
from harness.server import message
from harness.tokens import restore, save

pytestmark = pytest.mark.every_server

WORKERS = 4
# What the server itself says of a session under TLS.
SAYS = {"Dovecot": r"(?:Login|Logged in): user=<{user}>.*, TLS,", "Cyrus": r"login: .* {user} plaintext\+TLS",
        "Courier": r"LOGOUT, user={user},.*, starttls=1"}


@pytest.fixture(name="tls", params=["implicit", "starttls"])
def fixture_tls(request):
    return request.param


@pytest.fixture(name="secured")
def fixture_secured(server, tls, authority):
    """The upstream section, with more settings."""
    port = server.tls_port if tls == "implicit" else server.starttls_port
    return lambda **settings: upstream(port, **({"tls": tls, "tls_ca_file": str(authority.ca_file)} | settings))


def test_a_session(server, secured, start_gateway):
    gateway = start_gateway(secured())
    user = server.new_user()
    client = gateway.session(user)
    big = message("Big", 300_000)
    client.append("INBOX", big)
    client.ok("SELECT INBOX")
    assert big in client.ok("FETCH 1 BODY[]").of("FETCH")[0]
    tag = client.start("IDLE")
    client.continuation()
    client.send(b"DONE\r\n")
    assert client.wait(tag).status == b"OK"
    client.logout()
    server.wait_log(SAYS[server.name].format(user=user))


def test_every_way_to_log_in(server, secured, start_gateway):
    """Cyrus and Courier take no password before TLS: what they offer then is not what counts."""
    gateway = start_gateway(secured())
    user = server.new_user()
    for way in logins.WAYS:
        client = gateway.client()
        assert b"LOGINDISABLED" not in client.greeting and b"AUTH=PLAIN" in client.greeting
        assert logins.by(way, client, user, "secret").status == b"OK"
        client.ok("SELECT INBOX")
        client.close()


@pytest.mark.once
def test_scram_where_the_server_offers_channel_binding_too(cyrus, authority, trust, connect, start_gateway):
    assert b"AUTH=SCRAM-SHA-256-PLUS " in connect(cyrus.tls_port, tls=trust).greeting
    gateway = start_gateway(upstream(cyrus.tls_port, tls="implicit", tls_ca_file=str(authority.ca_file)))
    client = gateway.client()
    assert logins.by_scram(client, "SCRAM-SHA-256", "ann", "secret", flag="y").status == b"NO"
    assert {name for name in capabilities(client.greeting) if b"SCRAM" in name} == {b"AUTH=SCRAM-SHA-256"}
    assert logins.by_scram(client, "SCRAM-SHA-256", "ann", "secret").status == b"OK"
    client.ok("SELECT INBOX")


def test_p04_a_state_is_restored_cold_and_then_warm_by_any_worker(server, secured, start_gateway, tmp_path):
    keys = write_keys(tmp_path / "keys", (1, "2020-01-01T00:00:00Z"))
    gateway = start_gateway(secured(), workers=WORKERS, park={}, keys_file=str(keys))
    user = server.new_user()
    server.add_message(user)
    client = gateway.session(user)
    token = save(client, server.setup)
    assert leave(gateway, client) == "no"
    gateway.stop()  # which ends what is parked
    gateway.start()
    for how in ("cold", *["warm"] * 20):  # the kernel deals these out to the workers; by chance all to one once in 4^20
        client = gateway.session(user)
        restore(client, token)
        client.ok("SELECT INBOX")
        assert client.ok("FETCH 1 BODY[]").of("FETCH")
        assert leave(gateway, client) == how
    assert logins_at_the_server(gateway) == 2


def test_a_pristine_connection_is_taken_by_any_worker(server, secured, start_gateway):
    gateway = start_gateway(secured(), workers=WORKERS, park={})
    user = server.new_user()
    for _ in range(20):
        client = gateway.session(user)
        client.ok("NOOP")
        leave(gateway, client)
    assert logins_at_the_server(gateway) == 1


@pytest.mark.parametrize("tls", ["implicit"], indirect=True)
def test_a_parked_connection_lives_on_by_noop(server, secured, start_gateway):
    gateway = start_gateway(secured(), park={"keepalive": "1s"})
    user = server.new_user()
    for _ in range(2):
        client = gateway.session(user)
        client.ok("NOOP")
        leave(gateway, client)
        gateway.wait_log(rf"(?s){PARKED}.*{PARKED}")
        keep_alive_no_more(gateway)
    assert logins_at_the_server(gateway) == 1


@pytest.mark.parametrize("settings, complaint", [
    ({"tls_name": "mail.example.org"}, "[Hh]ostname mismatch"), ({"tls_ca_file": ""}, "unable to get local issuer|self.signed")])
def test_a_certificate_of_another_name_or_authority_is_refused(server, secured, start_gateway, settings, complaint):
    gateway = start_gateway(secured(**settings))
    user = server.new_user()
    assert gateway.client().no(f"LOGIN {user} secret").code == b"UNAVAILABLE"
    gateway.wait_log(f"warning: upstream=main address=.*: certificate refused: .*({complaint})")
    start_gateway(secured(tls_verify=False, tls_ca_file="")).session(user).logout()
    server.wait_log(SAYS[server.name].format(user=user))
    assert len(re.findall(SAYS[server.name].format(user=user), server.log())) == 1, "a login has reached it before"
