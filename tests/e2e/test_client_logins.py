"""Every way to log in that a real client can be told to use, over TLS from the start and by STARTTLS, through to its work."""
import imaplib
import subprocess

import pytest

from clients import CLIENTS
from clients.client import Place
from clients.curl import Curl
from harness.gateway import upstream
from harness.patience import PATIENCE_S
from harness.server import NEW_USER_PASSWORD, message


@pytest.fixture
def gateway(start_gateway, dovecot, authority):
    """TLS on both sides, as in earnest."""
    return start_gateway(upstream(dovecot.tls_port, tls="implicit", tls_ca_file=str(authority.ca_file), tls_name="localhost"))


def ways():
    for row in CLIENTS:
        for starttls, mechanism in row.logins:
            yield pytest.param(row, starttls, mechanism, id=f"{row.name}-{'STARTTLS' if starttls else 'TLS'}-{mechanism or 'any'}")


@pytest.mark.parametrize(("row", "starttls", "mechanism"), ways())
def test_a_client_logs_in_and_works(tmp_path, row, starttls, mechanism, gateway, dovecot, authority, connect):
    if row.lacks() or row.lacks_mechanism(mechanism):
        pytest.skip(row.lacks() or row.lacks_mechanism(mechanism))
    user = dovecot.new_user()
    server = connect(dovecot.plain_port)
    server.login(user, NEW_USER_PASSWORD)
    server.ok("CREATE Archive")
    server.ok("CREATE Drafts")
    for subject in ("read-1", "flag-1", "delete-1"):
        dovecot.add_message(user, message(subject))
    place = Place(gateway.starttls_port if starttls else gateway.tls_port, str(authority.ca_file), user,
                  dovecot.jwt(user) if mechanism == "OAUTHBEARER" else NEW_USER_PASSWORD, starttls=starttls, mechanism=mechanism)
    seen = row(tmp_path / "client", place).visit(1, message("append-1"), None)
    assert seen.bodies == {"read-1": message("read-1")}
    used = gateway.wait_log(r"login: mechanism=(\S+)").group(1)
    assert mechanism in ("", used) or mechanism == "LOGIN command" and used == "LOGIN"


# What they make of refusals


def test_imaplib_hears_of_a_wrong_password(gateway, trust):
    client = imaplib.IMAP4_SSL("localhost", gateway.tls_port, ssl_context=trust, timeout=PATIENCE_S)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.login("ann", "wrong")
    client.login("ann", "secret")
    client.logout()


@pytest.mark.skipif(bool(Curl.lacks()), reason=str(Curl.lacks()))
def test_curl_sees_a_wrong_password_and_a_wrong_certificate(gateway, authority):
    url = f"imaps://localhost:{gateway.tls_port}/"
    for arguments, code in ((("--cacert", authority.ca_file, "--user", "ann:wrong"), 67), (("--user", "ann:secret"), 60)):
        done = subprocess.run(("curl", "--silent", *map(str, arguments), url), capture_output=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == code
