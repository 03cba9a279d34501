"""TLS by policy, as other implementations see it: what is agreed on, whose certificate is shown, who has to show one, which
sessions are resumed; towards upstreams, too."""
import base64
import hashlib
import re
import ssl
import subprocess

import pytest

from harness import net
from harness.dovecot import Dovecot
from harness.gateway import listener, reload, upstream, write_keys
from harness.metrics import Metrics
from harness.net import Authority
from harness.patience import PATIENCE_S, wait_until

# A session that does nothing; each of the programs below ends with it.
NOTHING = "a LOGOUT\n"


@pytest.fixture(scope="session", name="rsa")
def fixture_rsa(authority):
    return authority.issue("rsa", rsa=True)


@pytest.fixture(scope="session", name="stranger")
def fixture_stranger(tmp_path_factory):
    """Another CA, which nobody trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"))


def tls_listener(*pairs, **settings):
    """A listener with these certificates, and its port."""
    port = net.free_port()
    files = {"tls_cert_file": [str(cert) for cert, _ in pairs], "tls_key_file": [str(key) for _, key in pairs]}
    return port, listener("policy", port, tls="implicit", **files, **settings)


class Seen:
    """What a program has to say of a handshake."""

    def __init__(self, done, says_yes):
        self.text = done.stdout + done.stderr
        self.is_agreed = re.search(says_yes, self.text) is not None and "* BYE" in self.text

    def find(self, pattern):
        found = re.search(pattern, self.text)
        return found and found.group(1)

    @property
    def is_resumed(self):
        return "\nReused, " in self.text


def run(*words, text=NOTHING):
    return subprocess.run([str(word) for word in words], input=text, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def openssl(port, *options, text=NOTHING):
    """By `openssl s_client`, whose own lists are no obstacle."""
    return Seen(run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-ign_eof", "-crlf", *options, text=text), r"Cipher is [A-Z]")


def gnutls(port, authority, priority):
    return Seen(run("gnutls-cli", "--x509cafile", authority.ca_file, "--crlf", "-p", port, "--priority", priority, "localhost"), "Handshake was completed")


# What may be agreed on

# For OpenSSL: version, cipher, whether a listener agrees by default; and whether one does that has tls_ciphers = "DEFAULT".
OPENSSL = [
    ("-tls1", "ALL", False, False),
    ("-tls1_1", "ALL", False, False),
    ("-tls1_2", "ECDHE-ECDSA-AES128-GCM-SHA256", True, True),
    ("-tls1_2", "ECDHE-RSA-AES128-GCM-SHA256", True, True),
    ("-tls1_2", "ECDHE-ECDSA-AES256-GCM-SHA384", True, True),
    ("-tls1_2", "ECDHE-RSA-AES256-GCM-SHA384", True, True),
    ("-tls1_2", "ECDHE-ECDSA-CHACHA20-POLY1305", True, True),
    ("-tls1_2", "ECDHE-RSA-CHACHA20-POLY1305", True, True),
    ("-tls1_2", "DHE-RSA-AES128-GCM-SHA256", True, True),
    ("-tls1_2", "DHE-RSA-AES256-GCM-SHA384", True, True),
    ("-tls1_2", "DHE-RSA-CHACHA20-POLY1305", True, True),
    ("-tls1_2", "AES128-GCM-SHA256", False, True),  # RSA key exchange
    ("-tls1_2", "AES128-SHA", False, True),
    ("-tls1_2", "AES256-SHA256", False, True),
    ("-tls1_2", "ECDHE-RSA-AES128-SHA", False, True),  # CBC
    ("-tls1_2", "ECDHE-RSA-AES256-SHA384", False, True),
    ("-tls1_2", "ECDHE-ECDSA-AES128-SHA256", False, True),
    ("-tls1_2", "DHE-RSA-AES256-SHA", False, True),
    ("-tls1_2", "ECDHE-ECDSA-AES128-CCM", False, False),
    ("-tls1_2", "ADH-AES128-GCM-SHA256", False, False),  # nobody signs
    ("-tls1_2", "PSK-AES128-GCM-SHA256", False, False),
    ("-tls1_2", "eNULL", False, False),
    ("-tls1_3", "TLS_AES_128_GCM_SHA256", True, True),
    ("-tls1_3", "TLS_AES_256_GCM_SHA384", True, True),
    ("-tls1_3", "TLS_CHACHA20_POLY1305_SHA256", True, True),
    ("-tls1_3", "TLS_AES_128_CCM_SHA256", False, False),
]

GNUTLS = [
    ("NORMAL", True, True),
    ("SECURE128", True, True),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.3", True, True),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.2", True, True),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.1", False, False),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.0", False, False),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA", False, True),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+DHE-RSA", True, True),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA", True, True),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC:+AES-256-CBC", False, True),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CCM", False, False),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+CHACHA20-POLY1305", True, True),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ANON-ECDH:+ANON-DH", False, False),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-SECP521R1", False, False),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X25519", True, True),
]


@pytest.mark.parametrize("loose", [False, True], ids=["by default", "loosened"])
def test_what_openssl_and_gnutls_agree_on(scripted, start_gateway, authority, certificate, rsa, loose):
    port, section = tls_listener(certificate, rsa, **({"tls_ciphers": "DEFAULT"} if loose else {}))
    gateway = start_gateway(scripted.port, sections=[section])
    wrong = []
    for version, cipher, strictly, loosely in OPENSSL:
        suites = ("-ciphersuites", cipher) if version == "-tls1_3" else ("-cipher", f"{cipher}:@SECLEVEL=0")
        if openssl(port, version, *suites).is_agreed != (loosely if loose else strictly):
            wrong.append((version, cipher))
    for priority, strictly, loosely in GNUTLS:
        if gnutls(port, authority, priority).is_agreed != (loosely if loose else strictly):
            wrong.append(priority)
    assert not wrong
    gateway.wait_log("closing: TLS handshake failed: no shared cipher ")
    gateway.wait_log("closing: TLS handshake failed: unsupported protocol ")


def test_a_listener_may_take_tls_1_3_alone(scripted, start_gateway, certificate):
    port, section = tls_listener(certificate, tls_min_version="TLSv1.3", tls_groups="P-384")
    gateway = start_gateway(scripted.port, sections=[section])
    assert not openssl(port, "-tls1_2").is_agreed
    assert openssl(port).find(r"Server Temp Key: ECDH, (\S+),") == "secp384r1"
    assert openssl(gateway.tls_port, "-tls1_2").is_agreed


def test_nothing_is_renegotiated_and_nothing_compressed(gateway):
    words = ("openssl", "s_client", "-connect", f"127.0.0.1:{gateway.tls_port}", "-tls1_2")
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as client:
        said = []
        while not said or not said[-1].startswith("* OK "):  # what came in the middle of it would be a fault of its own
            said.append(client.stdout.readline())
            assert said[-1], said
        said += client.communicate("R\n", timeout=PATIENCE_S)
    text = "".join(each for each in said if each)
    assert "RENEGOTIATING" in text and "no renegotiation" in text and "Compression: NONE" in text
    assert openssl(gateway.tls_port, "-tls1_3", "-early_data", "/etc/hostname").is_agreed


# Whose certificate

def test_certificates_are_chosen_by_name_and_by_kind_and_a_reload_changes_them(scripted, start_gateway, authority, certificate, rsa):
    other = authority.issue("other", "DNS:*.example.org")
    port, section = tls_listener(rsa, other, certificate)
    gateway = start_gateway(scripted.port, sections=[section])

    def shown(*options):
        return openssl(port, *options).find(r"subject=CN = (\S+)")

    assert shown("-servername", "localhost", "-sigalgs", "RSA-PSS+SHA256") == "rsa"
    assert shown("-servername", "localhost", "-sigalgs", "ECDSA+SHA256") == "localhost"
    assert shown("-servername", "mail.example.org") == "other"
    assert shown("-servername", "nobody.example", "-sigalgs", "RSA-PSS+SHA256") == "rsa"
    assert shown("-noservername", "-sigalgs", "ECDSA+SHA256") == "localhost"
    section["tls_cert_file"], section["tls_key_file"] = [str(other[0])], [str(other[1])]
    gateway.write_config()
    reload(gateway)
    assert shown("-servername", "localhost") == "other"


# Who has to show one

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def showing(authority, pair, version):
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    if pair:
        context.load_cert_chain(*(str(path) for path in pair))
    return context


def try_to_log_in(gateway, port, context):
    """True: it worked."""
    try:
        gateway.session("ann", "secret", port, tls=context).logout()
        return True
    except (ssl.SSLError, OSError):
        return False


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_certificate_is_asked_for_checked_and_logged(scripted, start_gateway, authority, stranger, certificate, version):
    ann, late = authority.issue("ann"), authority.issue("late", extra=("-days", "-1"))
    unknown = stranger.issue("unknown")
    asks = {"tls_client_ca_file": str(authority.ca_file)}
    optional, first = tls_listener(certificate, tls_client_certificate="optional", **asks)
    required, second = tls_listener(certificate, tls_client_certificate="required", **asks)
    second.name = "required"
    gateway = start_gateway(scripted.port, sections=[first, second])

    def log_of(port, pair, is_let_in):
        mark = gateway.log_octets()
        assert try_to_log_in(gateway, port, showing(authority, pair, version)) == is_let_in
        gateway.wait_log("closing: ", since=mark)
        return gateway.log(mark)

    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(ann[0].read_text())).hexdigest()
    for port in (optional, required):
        assert re.search(rf' tls=TLSv1\.\d cipher=\S+ certificate="?CN=ann"? fingerprint={fingerprint} accepted_by=upstream ', log_of(port, ann, True))
        assert "closing: TLS handshake failed: certificate refused: certificate has expired " in log_of(port, late, False)
        assert re.search("closing: TLS handshake failed: certificate refused: unable to get local issuer certificate ", log_of(port, unknown, False))
    assert "certificate=" not in log_of(optional, None, True)
    assert "closing: TLS handshake failed: peer did not return a certificate " in log_of(required, None, False)


def test_a_reload_that_demands_certificates_lets_sessions_live_and_resumes_none(scripted, start_gateway, authority, certificate, trust, tmp_path):
    port, section = tls_listener(certificate)
    keys = write_keys(tmp_path / "keys", (1, "2020-01-01T00:00:00Z"))
    gateway = start_gateway(scripted.port, sections=[section], keys_file=str(keys))
    old, ticket = gateway.session("ann", "secret", port, tls=trust), tmp_path / "ticket"
    assert openssl(port, "-sess_out", ticket).is_agreed
    assert openssl(port, "-sess_in", ticket, "-sess_out", ticket).is_resumed
    section |= {"tls_client_certificate": "required", "tls_client_ca_file": str(authority.ca_file)}
    gateway.write_config(keys_file=str(keys))
    reload(gateway)
    seen = openssl(port, "-sess_in", ticket)
    assert not seen.is_resumed and "* BYE" not in seen.text
    old.ok("NOOP")
    old.logout()


# Tickets

def resumes(port, ticket, version):
    """A session is begun there; gives resumes_at(port), which brings its ticket."""
    assert openssl(port, version, "-sess_out", ticket).is_agreed

    def resumes_at(another):
        seen = openssl(another, version, "-sess_in", ticket, "-sess_out", ticket)
        assert seen.is_agreed
        return seen.is_resumed
    return resumes_at


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_gateways_with_one_key_file_resume_each_others_sessions_of_tls_1_3(scripted, start_gateway, tmp_path, version):
    keys, others = (str(write_keys(tmp_path / name, (1, "2020-01-01T00:00:00Z"))) for name in ("keys", "others"))
    first, second = start_gateway(scripted.port, keys_file=keys), start_gateway(scripted.port, keys_file=keys)
    stranger = start_gateway(scripted.port, keys_file=others)
    resumes_at = resumes(first.tls_port, tmp_path / "ticket", version)
    assert resumes_at(first.tls_port)
    assert resumes_at(second.tls_port) == (version == "-tls1_3")
    assert not resumes_at(stranger.tls_port)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("workers", [1, 3])
def test_tickets_outlive_a_reload_without_any_key_file(scripted, start_gateway, tmp_path, version, workers):
    http, metrics = Metrics.settings()
    gateway = start_gateway(scripted.port, workers=workers, **http)
    resumes_at = resumes(gateway.tls_port, tmp_path / "ticket", version)
    for _ in range(3):
        reload(gateway)
        assert all(resumes_at(gateway.tls_port) for _ in range(4))
    assert metrics.sum("tls_handshakes_total", side="client", resumed="true") == 12
    assert metrics.sum("tls_handshakes_total", side="client", resumed="false") == 1


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_of_tickets_those_of_tls_1_3_outlive_an_upgrade(scripted, start_gateway, tmp_path, version):
    gateway = start_gateway(scripted.port)
    resumes_at = resumes(gateway.tls_port, tmp_path / "ticket", version)
    gateway.upgrade()
    assert resumes_at(gateway.tls_port) == (version == "-tls1_3")


# Towards upstreams

def pin_of(pair):
    done = subprocess.run(["openssl", "x509", "-in", pair[0], "-noout", "-pubkey"], capture_output=True, check=True)
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=done.stdout, capture_output=True, check=True).stdout
    return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()


def assert_refused(gateway, words):
    assert gateway.client().no("LOGIN ann secret").code == b"UNAVAILABLE"
    gateway.wait_log(f"warning: upstream=main address=.*: {words}")


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_pin_holds_besides_the_ca_or_in_its_place(start_scripted, start_gateway, authority, stranger, certificate, tls):
    ours, theirs = pin_of(certificate), pin_of(authority.issue("elsewhere"))
    server = start_scripted(tls=tls, context=Authority.server_context(certificate), caps_before="IMAP4rev1 STARTTLS AUTH=PLAIN")
    believing, doubting = {"tls_ca_file": str(authority.ca_file)}, {"tls_ca_file": str(stranger.ca_file)}

    def start(**settings):
        return start_gateway(upstream(server.port, tls=tls, **settings))

    start(tls_pin=[theirs, ours], **believing).client().ok("LOGIN ann secret")
    assert_refused(start(tls_pin=[theirs], **believing), "certificate refused: its key is none of tls_pin")
    assert_refused(start(tls_pin=[ours], **doubting), "certificate refused: (?!its key)")
    alone = start(tls_pin=[ours], tls_verify=False)
    alone.client().ok("LOGIN ann secret")
    assert "tls_verify" not in alone.log()  # it is no risk
    assert_refused(start(tls_pin=[theirs], tls_verify=False), "certificate refused: its key is none of tls_pin")
    refused = [connection for connection in server.connections if b"LOGIN" not in connection.received]
    assert len(refused) >= 3


@pytest.mark.parametrize("version", VERSIONS)
def test_an_upstream_that_wants_a_certificate_is_shown_one(start_scripted, start_gateway, authority, certificate, version):
    mine = authority.issue("gateway")
    context = Authority.server_context(certificate)
    context.load_verify_locations(str(authority.ca_file))
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = version
    server = start_scripted(tls="implicit", context=context)
    trusting = {"tls": "implicit", "tls_ca_file": str(authority.ca_file)}
    shown = {"tls_cert_file": str(mine[0]), "tls_key_file": str(mine[1])}
    start_gateway(upstream(server.port, **trusting, **shown)).client().ok("LOGIN ann secret")
    assert_refused(start_gateway(upstream(server.port, **trusting)), "(certificate required|handshake failure): .*tls_cert_file")


def test_an_upstream_that_is_old_is_refused_in_clear_words_and_taken_if_told(start_scripted, start_gateway, authority, rsa):
    context = Authority.server_context(rsa)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:@SECLEVEL=0")
    server = start_scripted(tls="implicit", context=context)
    trusting = {"tls": "implicit", "tls_ca_file": str(authority.ca_file)}
    assert_refused(start_gateway(upstream(server.port, **trusting)), "handshake failure: nothing in common by tls_ciphers, tls_ciphersuites and tls_groups")
    start_gateway(upstream(server.port, tls_ciphers="DEFAULT", **trusting)).client().ok("LOGIN ann secret")
    newer = start_gateway(upstream(server.port, tls_ciphers="DEFAULT", tls_min_version="TLSv1.3", **trusting))
    assert_refused(newer, "unsupported protocol: it speaks no version of TLS from tls_min_version on")


def told_of_handshakes(context):
    """A list to which each handshake that this server's context is through with adds whether it has resumed a session."""
    told = []

    class Socket(ssl.SSLSocket):
        """Notes what the server itself takes it for."""
        def do_handshake(self, *arguments):
            super().do_handshake(*arguments)
            told.append(self.session_reused)

    context.sslsocket_class = Socket
    return told


def visit(gateway, times, user="ann", password="secret"):
    for _ in range(times):
        gateway.session(user, password).logout()


def resumed_upstream(metrics):
    return tuple(metrics.sum("tls_handshakes_total", side="upstream", resumed=resumed) for resumed in ("false", "true"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_sessions_with_an_upstream_are_resumed_until_a_reload(start_scripted, start_gateway, authority, certificate, version, tls):
    context = Authority.server_context(certificate)
    context.minimum_version = context.maximum_version = version
    reused = told_of_handshakes(context)
    server = start_scripted(tls=tls, context=context, caps_before="IMAP4rev1 STARTTLS AUTH=PLAIN")
    http, metrics = Metrics.settings()
    section = upstream(server.port, tls=tls, tls_ca_file=str(authority.ca_file))
    gateway = start_gateway(section, park={"per_user": 0}, **http)
    visit(gateway, 6)
    full, resumed = resumed_upstream(metrics)
    assert (full, resumed) == (reused.count(False), reused.count(True))
    assert full <= 2 and resumed >= 5  # the scout's and the first client's may be at once
    # Under another policy nothing is resumed that was verified under the one before.
    reload(gateway)
    visit(gateway, 1)
    assert resumed_upstream(metrics)[0] > full


def test_dovecot_resumes_if_its_login_process_is_kept(tmp_path_factory, start_gateway, authority):
    server = Dovecot(tmp_path_factory.mktemp("kept"), authority, more_config="service imap-login {\n  service_count = 0\n}\n")
    try:
        http, metrics = Metrics.settings()
        gateway = start_gateway(upstream(server.tls_port, tls="implicit", tls_ca_file=str(authority.ca_file)), park={"per_user": 0}, **http)
        visit(gateway, 8)
        wait_until(lambda: sum(resumed_upstream(metrics)) >= 8)
        assert resumed_upstream(metrics)[1] >= 6
    finally:
        server.stop()
