"""Real clients in front of a real server, over TLS: imaplib, mbsync, curl."""
import imaplib
import re
import shutil
import subprocess

import pytest

from harness.gateway import upstream
from harness.server import NEW_USER_PASSWORD, message


@pytest.fixture
def gateway(start_gateway, dovecot, authority):
    """TLS on both sides, as in earnest."""
    return start_gateway(upstream(dovecot.tls_port, tls="implicit", tls_ca_file=str(authority.ca_file), tls_name="localhost"))


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed")


def run(*arguments, stdin=b""):
    done = subprocess.run([str(each) for each in arguments], input=stdin, capture_output=True, timeout=50, check=False)
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}: {done.stdout.decode()} {done.stderr.decode()}"
    return done.stdout


# imaplib


def imaplib_client(gateway, trust, way):
    if way == "STARTTLS":
        client = imaplib.IMAP4("localhost", gateway.starttls_port, timeout=10)
        assert "STARTTLS" in client.capabilities and "LOGINDISABLED" in client.capabilities
        client.starttls(trust)
    else:
        client = imaplib.IMAP4_SSL("localhost", gateway.tls_port, ssl_context=trust, timeout=10)
    assert "STATE" in client.capabilities
    return client


@pytest.mark.parametrize("way", ["implicit TLS", "STARTTLS"])
@pytest.mark.parametrize("login", ["LOGIN", "PLAIN", "CRAM-MD5"])
def test_imaplib(gateway, dovecot, trust, way, login):
    user, octets = dovecot.new_user(), message("from imaplib", 5000)
    client = imaplib_client(gateway, trust, way)
    if login == "LOGIN":
        client.login(user, NEW_USER_PASSWORD)
    elif login == "PLAIN":
        client.authenticate("PLAIN", lambda challenge: b"\0%s\0%s" % (user.encode(), NEW_USER_PASSWORD.encode()))
    else:
        client.login_cram_md5(user, NEW_USER_PASSWORD)
    assert client.create("Drafts")[0] == "OK"
    status, (appended,) = client.append("INBOX", r"(\Flagged)", None, octets)
    assert status == "OK" and b"APPENDUID" in appended
    assert client.select("INBOX") == ("OK", [b"1"])
    assert client.search(None, "SUBJECT", '"imaplib"') == ("OK", [b"1"])
    status, fetched = client.fetch("1", "(FLAGS BODY.PEEK[])")
    assert status == "OK" and fetched[0][1] == octets and rb"\Flagged" in fetched[0][0]
    assert client.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert client.copy("1", "Drafts")[0] == "OK"
    assert client.expunge() == ("OK", [b"1"])
    assert client.status("Drafts", "(MESSAGES)") == ("OK", [b"Drafts (MESSAGES 1)"])
    assert [b"Drafts" in line or b"INBOX" in line for line in client.list()[1]] == [True, True]
    assert client.noop()[0] == "OK"
    with pytest.raises(imaplib.IMAP4.error, match="Unknown command"):
        client.xatom("XYZZY")
    assert client.unselect()[0] == "OK"
    assert client.enable("CONDSTORE")[0] == "OK"
    assert client.logout()[0] == "BYE"


def test_imaplib_hears_of_a_wrong_password(gateway, trust):
    client = imaplib_client(gateway, trust, "implicit TLS")
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.login("ann", "wrong")
    client.login("ann", "secret")
    client.logout()


# mbsync


MBSYNCRC = """
IMAPAccount gateway
Host localhost
Port {port}
User {user}
Pass {password}
SSLType {ssl_type}
SSLVersions TLSv1.2 TLSv1.3
CertificateFile {ca_file}
SystemCertificates no
AuthMechs {mechanism}

IMAPStore remote
Account gateway

MaildirStore local
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns *
Create Both
Expunge Both
SyncState *
"""


class Mbsync:
    """A local Maildir that is kept the same as a user's mailboxes behind the gateway."""

    def __init__(self, folder, gateway, authority, user, ssl_type="IMAPS", mechanism="PLAIN"):
        self.mail = folder / "mail"
        self.mail.mkdir()
        self._config = folder / "mbsyncrc"
        port = gateway.tls_port if ssl_type == "IMAPS" else gateway.starttls_port
        self._config.write_text(MBSYNCRC.format(port=port, user=user, password=NEW_USER_PASSWORD, ssl_type=ssl_type,
                                                ca_file=authority.ca_file, mechanism=mechanism, folder=folder))

    def sync(self):
        return run("mbsync", "-V", "-c", self._config, "all")

    def messages(self, mailbox="INBOX"):
        """Contents by subject, as IMAP has them, and without the header that mbsync adds."""
        found = {}
        for part in ("new", "cur"):
            for path in (self.mail / mailbox / part).iterdir():
                octets = re.sub(rb"X-TUID: .*\n", b"", path.read_bytes()).replace(b"\n", b"\r\n")
                found[re.search(rb"Subject: (.*)\r\n", octets).group(1).decode()] = octets
        return found

    def flags(self, subject, mailbox="INBOX"):
        path, = [path for path in (self.mail / mailbox / "cur").iterdir() if f"Subject: {subject}\n" in path.read_text()]
        return path.name.rpartition(",")[2]

    def add(self, octets, mailbox="INBOX"):
        for part in ("tmp", "new", "cur"):
            (self.mail / mailbox / part).mkdir(parents=True, exist_ok=True)
        subject = re.search(rb"Subject: (.*)\r\n", octets).group(1).decode()
        (self.mail / mailbox / "new" / f"1000000000.{subject}.host").write_bytes(octets.replace(b"\r\n", b"\n"))

    def remove(self, subject, mailbox="INBOX"):
        for part in ("new", "cur"):
            for path in (self.mail / mailbox / part).iterdir():
                if f"Subject: {subject}\n" in path.read_text():
                    path.unlink()


@needs("mbsync")
@pytest.mark.parametrize(("ssl_type", "mechanism"), [("IMAPS", "PLAIN"), ("STARTTLS", "LOGIN"), ("IMAPS", "SCRAM-SHA-256")])
def test_mbsync_keeps_both_sides_the_same(tmp_path, gateway, dovecot, authority, connect, ssl_type, mechanism):
    if mechanism.startswith("SCRAM") and not list_has_mechanism(mechanism):
        pytest.skip(f"Cyrus SASL has no {mechanism} here")
    user = dovecot.new_user()
    far = {f"far{number}": message(f"far{number}", 1000 * 4 ** number) for number in range(6)}
    near = {f"near{number}": message(f"near{number}", 1000 * 4 ** number) for number in range(6)}
    mbsync = Mbsync(tmp_path, gateway, authority, user, ssl_type, mechanism)
    for octets in far.values():
        dovecot.add_message(user, octets)
    for octets in near.values():
        mbsync.add(octets)
    mbsync.add(message("sent"), "Sent")

    mbsync.sync()
    assert mbsync.messages() == far | near
    server = connect(dovecot.plain_port)
    server.login(user, NEW_USER_PASSWORD)
    assert on_server(server, "INBOX") == far | near
    assert on_server(server, "Sent") == {"sent": message("sent")}

    # Changes on both sides: one is read there, one is deleted there, one is deleted here.
    server.ok("SELECT INBOX")
    numbers = {subject: number for number, subject in enumerate(on_server(server, "INBOX"), 1)}
    server.ok(rf"STORE {numbers['near1']} +FLAGS (\Seen)")
    server.ok(rf"STORE {numbers['far2']} +FLAGS (\Deleted)")
    server.ok("EXPUNGE")
    mbsync.remove("near3")
    mbsync.sync()
    assert mbsync.flags("near1") == "S"
    left = (far | near).keys() - {"far2", "near3"}
    assert mbsync.messages().keys() == left
    assert on_server(server, "INBOX").keys() == left


def on_server(server, mailbox):
    """Contents by subject, fetched without the gateway."""
    server.ok(f"SELECT {mailbox}")
    found = {}
    for fetched in server.ok("FETCH 1:* BODY.PEEK[]").of("FETCH"):
        octets = re.sub(rb"X-TUID: .*\r\n", b"", fetched[fetched.index(b"\r\n") + 2:].removesuffix(b")\r\n"))
        found[re.search(rb"Subject: (.*)\r\n", octets).group(1).decode()] = octets
    return found


def list_has_mechanism(name):
    """Does the SASL library that mbsync uses know it?"""
    plugins = "scram" if name.startswith("SCRAM") else name.lower()
    listed = subprocess.run(("find", "/usr/lib", "-path", "*sasl2*", "-name", f"lib{plugins}*"), capture_output=True, check=False)
    return bool(listed.stdout)


# curl


@needs("curl")
def test_curl(tmp_path, gateway, dovecot, authority, connect):
    user, octets = dovecot.new_user(), message("by curl", 200_000)
    account = ("--cacert", authority.ca_file, "--user", f"{user}:{NEW_USER_PASSWORD}", "--silent", "--show-error")
    url = f"imaps://localhost:{gateway.tls_port}"
    (tmp_path / "mail").write_bytes(octets)
    run("curl", *account, f"{url}/", "--request", "CREATE Notes")
    run("curl", *account, f"{url}/Notes", "--upload-file", tmp_path / "mail")
    listed = run("curl", *account, f"{url}/")
    assert re.search(rb'\* LIST \(.*\) "/" INBOX\r\n', listed) and re.search(rb'\* LIST \(.*\) "/" Notes\r\n', listed)
    assert run("curl", *account, f"{url}/Notes;MAILINDEX=1") == octets
    assert run("curl", *account, f"{url}/Notes?SUBJECT%20curl") == b"* SEARCH 1\r\n"


@needs("curl")
def test_curl_with_starttls_and_sasl(gateway, dovecot, authority):
    user = dovecot.new_user()
    octets = dovecot.add_message(user)
    url = f"imap://localhost:{gateway.starttls_port}/INBOX;MAILINDEX=1"
    account = ("--cacert", authority.ca_file, "--ssl-reqd", "--user", f"{user}:{NEW_USER_PASSWORD}", "--silent", "--show-error")
    for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5"):
        assert run("curl", *account, "--login-options", f"AUTH={mechanism}", url) == octets
    token = dovecot.jwt(user)
    assert run("curl", *account, "--oauth2-bearer", token, "--sasl-ir", url) == octets


@needs("curl")
def test_curl_sees_a_wrong_password_and_a_wrong_certificate(tmp_path, gateway, authority):
    url = f"imaps://localhost:{gateway.tls_port}/"
    for arguments, code in ((("--cacert", authority.ca_file, "--user", "ann:wrong"), 67), (("--user", "ann:secret"), 60)):
        done = subprocess.run(("curl", "--silent", *map(str, arguments), url), capture_output=True, timeout=20, check=False)
        assert done.returncode == code
