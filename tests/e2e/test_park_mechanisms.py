"""auth_mechanisms: which of the upstream's mechanisms a listener offers, so that clients use one that parking can match."""
import re
import subprocess

import pytest

from clients.client import Place
from clients.curl import Curl
from clients.mbsync import Mbsync
from clients.mutt import Mutt
from harness import logins
from harness.gateway import listener, reload, upstream
from harness.imap import capabilities
from harness.net import free_port
from harness.parking import Lot, wait_at_rest
from harness.roundcube import Roundcube
from harness.server import NEW_USER_PASSWORD, message


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


# By default: what parking cannot match is not shown where a password is safe

MATCHED = ["LOGIN", "OAUTHBEARER", "PLAIN", "XOAUTH2"]
ALL = ["CRAM-MD5", *MATCHED]
HIDDEN = "not shown where passwords are safe"


@pytest.fixture(name="lot")
def fixture_lot(scripted, start_gateway):
    return Lot(start_gateway(scripted.port, park={"per_user": 2}), scripted)


def test_what_parking_cannot_match_is_not_shown_and_accepted_all_the_same(lot):
    client = lot.gateway.client()
    assert offered(names_of(client)) == MATCHED
    answer = logins.by_cram_md5(client, "ann", "secret")
    assert answer.status == b"OK" and lot.gateway.wait_log("login: mechanism=CRAM-MD5")


@pytest.mark.parametrize("mechanisms", [["all"], ["PLAIN", "CRAM-MD5"]], ids=["all", "named"])
def test_what_the_operator_asks_for_is_shown(scripted, start_gateway, mechanisms):
    port = free_port()
    gateway = start_gateway(scripted.port, sections=[listener("shown", port, auth_mechanisms=mechanisms)], park={"per_user": 2})
    assert offered(names_of(gateway.client(port))) == (ALL if mechanisms == ["all"] else ["CRAM-MD5", "PLAIN"])
    assert HIDDEN not in gateway.log()
    assert offered(names_of(gateway.client())) == MATCHED


def test_it_is_logged_once_for_each_upstream_whatever_workers_and_reloads(scripted, start_scripted, start_gateway):
    other, port = start_scripted(), free_port()
    gateway = start_gateway([upstream(scripted.port, "one"), upstream(other.port, "two")], workers=2, park={"per_user": 2},
                            sections=[listener("second", port, upstream="two")])
    for _ in range(2):
        for _ in range(8):  # on one worker or another
            assert offered(names_of(gateway.client())) == MATCHED
        assert offered(names_of(gateway.client(port))) == MATCHED
        reload(gateway)
    lines = [line for line in gateway.log().splitlines() if HIDDEN in line]
    assert [line.partition("info: ")[2].partition(" ")[:3:2] for line in lines] == [
        (f"upstream={name}:", f"CRAM-MD5 {HIDDEN}, as no parked connection serves such a login (auth_mechanisms)") for name in ("one", "two")]


def test_each_leg_counts_as_it_is_at_that_time(scripted, start_gateway, certificate, trust):
    """A client that comes from elsewhere, by a proxy, to a listener that takes logins in clear: under TLS the list is another one,
    and the token is good for both (P12)."""
    pair = {"tls_cert_file": str(certificate[0]), "tls_key_file": str(certificate[1])}
    port = free_port()
    section = listener("both", port, tls="starttls", require_tls=False, accept_proxy=True, trusted_networks=["127.0.0.0/8"], **pair)
    gateway = start_gateway(scripted.port, sections=[section], park={"per_user": 2})
    tokens = []
    for is_secure in (False, True, False):
        client = gateway.client(port, first=b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 143\r\n")
        assert offered(names_of(client)) == ALL
        if is_secure:
            client.starttls(trust)
            assert offered(capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])) == MATCHED
        assert logins.by_plain_at_once(client, "ann", "secret").status == b"OK"
        restored = client.ok(f"STATE {tokens[0]}" if tokens else "STATE").of("STATE")
        assert bool(restored) == bool(tokens)
        client.ok("ENABLE CONDSTORE")
        tokens.append(client.ok("SAVESTATE").of("SAVESTATE")[0].split()[-1].decode())
        client.logout()
    assert len(set(tokens)) == 1


# Real clients, which choose by themselves, before a Dovecot that offers CRAM-MD5 and SCRAM


class Library:
    """Roundcube's IMAP library, which is told no mechanism. In clear, as on its own host."""

    name = "Roundcube"
    lacks = staticmethod(lambda: None)

    def __init__(self, folder, place):
        self.place, self.roundcube = place, Roundcube(folder, place.port, imap_auth_type="", plugins=())

    def visit(self, *_):
        assert self.roundcube.visit(("conn.status", "INBOX", ["MESSAGES"]), user=self.place.user, password=self.place.password)[0]


def second_visit(client, dovecot, gateway, user):
    """What the log has of it."""
    for number in (1, 2):
        for part in ("read", "flag", "delete"):
            dovecot.add_message(user, message(f"{part}-{number}"))
        since = gateway.log_octets()
        client.visit(number, message(f"append-{number}"), None)
        wait_at_rest(gateway)
    return gateway.log(since)


@pytest.mark.parametrize("row", [Curl, Mutt, Mbsync, Library], ids=lambda row: row.name)
@pytest.mark.parametrize("mechanisms", [[], ["all"]], ids=["default", "all"])
def test_a_client_that_prefers_proofs_is_warm_at_its_second_visit(tmp_path, dovecot, start_gateway, authority, certificate, row, mechanisms):
    if row.lacks():
        pytest.skip(row.lacks())
    port, user = free_port(), dovecot.new_user()
    pair = {} if row is Library else {"tls": "implicit", "tls_cert_file": str(certificate[0]), "tls_key_file": str(certificate[1])}
    gateway = start_gateway(upstream(dovecot.tls_port, tls="implicit", tls_ca_file=str(authority.ca_file), tls_name="localhost"),
                            sections=[listener("for-it", port, auth_mechanisms=mechanisms, **pair)], park={"per_user": 4})
    with dovecot.client(user) as session:
        for mailbox in ("Archive", "Drafts"):
            session.ok(f"CREATE {mailbox}")
    client = row(tmp_path / "client", Place(port, str(authority.ca_file), user, NEW_USER_PASSWORD))
    seen = second_visit(client, dovecot, gateway, user)
    used = {name.partition("-")[0] for name in re.findall(r"login: mechanism=(\S+)", seen)}
    assert (used, "accepted_by=parked" in seen, "accepted_by=upstream" in seen) in (
        [({"CRAM"}, False, True), ({"SCRAM"}, False, True)] if mechanisms else [({"PLAIN"}, True, False), ({"LOGIN"}, True, False)])


@pytest.mark.skipif(bool(Curl.lacks()), reason=str(Curl.lacks()))
def test_a_client_told_to_use_what_is_hidden_finds_it_only_by_all(dovecot, start_gateway):
    """curl looks for it in the list, as mbsync and mutt do: the operator has to know."""
    port = free_port()
    gateway = start_gateway(dovecot.plain_port, sections=[listener("shown", port, auth_mechanisms="all")], park={"per_user": 2})
    for place, code in ((gateway.plain_port, 67), (port, 0)):
        done = subprocess.run(("curl", "--silent", "--login-options", "AUTH=CRAM-MD5", "--user", "ann:secret", f"imap://127.0.0.1:{place}/"),
                              capture_output=True, timeout=60, check=False)
        assert done.returncode == code
