"""What was on its way when the state changed: it ends one connection at most, and nobody else notices."""
import base64
import contextlib
import re
import signal
import socket
import ssl

import pytest

from harness import logins
from harness.gateway import upstream
from harness.net import LOOPBACK
from harness.patience import in_time


class HeldHandshake:
    """A TLS 1.3 client that has done its part of the handshake, but keeps its last flight (Finished) back."""

    def __init__(self, port, context, is_starttls):
        self.socket = socket.create_connection((LOOPBACK, port), 60)
        if is_starttls:
            self.socket.recv(1 << 16)
            self.socket.sendall(b"a STARTTLS\r\n")
            assert b"a OK" in self.socket.recv(1 << 16)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")
        while not self._step():
            self.socket.sendall(self._out.read())
            self._in.write(self.socket.recv(1 << 16))
        self.held = self._out.read()

    def _step(self):
        try:
            self._tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False

    def let_go(self):
        """Sends what was held; false if the gateway has hung up for good."""
        try:
            self.socket.sendall(self.held)
            return True
        except OSError:
            return False

    def wait_for_end(self):
        try:
            return self.socket.recv(1 << 16) == b""
        except ConnectionError:
            return True


@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_a_handshake_that_ends_behind_the_login_timeout_ends_nobody_else(start_gateway, scripted, trust, way):
    gateway = start_gateway(scripted.port, login_timeout="1s")
    other = in_time(0.9, lambda: gateway.session("ann", "secret"))
    port = gateway.starttls_port if way == "starttls" else gateway.tls_port
    late = in_time(0.9, lambda: HeldHandshake(port, trust, way == "starttls"))
    assert late.wait_for_end()
    gateway.wait_log("closing: login timeout")
    late.let_go()
    other.ok("NOOP")
    in_time(0.9, lambda: gateway.session("ann", "secret")).logout()


@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_the_daemon_ends_in_order_in_the_middle_of_handshakes(start_gateway, scripted, trust, way):
    gateway = start_gateway(scripted.port)
    port = gateway.starttls_port if way == "starttls" else gateway.tls_port
    late = [HeldHandshake(port, trust, way == "starttls") for _ in range(8)]
    gateway.process.send_signal(signal.SIGTERM)
    for each in late:
        each.let_go()
    assert gateway.process.wait(60) == 0


# Two dialogs that part

def challenge_and_accept(connection, tag, _arguments):
    """A challenge, and at once the tagged OK, without a capability list."""
    connection.wire.send(b"+ " + base64.b64encode(b"<1.2@scripted>") + b"\r\n" + f"{tag} OK in.\r\n".encode())


@pytest.mark.parametrize("answer", [b"*\r\n", b"AAAA\r\n", b"\r\n", b"b NOOP\r\n", b""])
@pytest.mark.parametrize("mechanism", [b"CRAM-MD5", b"XOAUTH2 " + logins.encoded(logins.xoauth2("ann", "secret"))])
def test_a_login_accepted_before_its_challenge_is_answered_ends_that_session_only(scripted, scripted_gateway, mechanism, answer):
    other = scripted_gateway.session("ann", "secret")
    scripted.on("AUTHENTICATE", challenge_and_accept, times=1)
    client, mark = scripted_gateway.client(), scripted_gateway.log_octets()
    client.send(b"a AUTHENTICATE " + mechanism + b"\r\n")
    client.continuation()
    with contextlib.suppress(OSError):
        client.send(answer)
    with contextlib.suppress(OSError):
        assert not [line for line in client.rest() if line.startswith(b"a OK")]
    scripted_gateway.wait_log("closing: answer that cannot be matched: login accepted before", since=mark)
    other.ok("NOOP")
    scripted_gateway.session("ann", "secret").logout()


# Every way a login fails is one failure

def refuse_by_challenge(connection, tag, _arguments):
    answer = connection.challenge(b'{"status":"401"}')
    connection.send(f"{tag} BAD cancelled\r\n" if answer is None else f"{tag} NO [AUTHENTICATIONFAILED] no\r\n")


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_refused_token_that_is_cancelled_is_a_failure_like_any_other(start_gateway, start_scripted, mechanism):
    scripted = start_scripted()
    gateway = start_gateway(scripted.port, login_failure_delay="0s")
    scripted.on("AUTHENTICATE", refuse_by_challenge)
    client, mark = gateway.client(), gateway.log_octets()
    message = logins.encoded(logins.xoauth2("ann", "guess") if mechanism == "XOAUTH2" else logins.oauthbearer("guess", "ann"))
    for _ in range(3):
        tag = client.start(b"AUTHENTICATE " + mechanism.encode() + b" " + message)
        client.continuation()
        client.send(b"*\r\n")
        assert client.wait(tag).status == b"BAD"
    assert client.rest() == [b"* BYE Too many failed logins.\r\n"]
    gateway.wait_log("closing: too many failed logins", since=mark)
    assert len(re.findall(rf"login failed: .* user=ann mechanism={mechanism} .* reason=refused$", gateway.log(mark), re.M)) == 3


def test_a_login_that_its_client_does_not_wait_for_is_in_the_log(scripted, scripted_gateway):
    scripted.on("LOGIN", lambda c, tag, arguments: None, times=1)
    scripted.on("AUTHENTICATE", lambda c, tag, arguments: None, times=1)
    client, mark = scripted_gateway.client(), scripted_gateway.log_octets()
    client.send(b"a LOGIN ann guess\r\n")
    scripted.wait_for(lambda: any(name in ("LOGIN", "AUTHENTICATE") for c in scripted.connections for name in c.names))
    client.wire.reset()
    scripted_gateway.wait_log(r"login failed: from=127\.0\.0\.1 port=\d+ user=ann mechanism=LOGIN upstream=main reason=abandoned", since=mark)


# A capability list that does not fit ends the session in the middle of what else the answer is about

LONG = "[CAPABILITY IMAP4rev1 " + " ".join(f"X-{i:04}" for i in range(1300)) + "]"


@pytest.mark.parametrize("where", ["at login", "in a refusal", "in the answer to *", "untagged", "tagged", "within a literal"])
def test_a_capability_list_that_is_too_long_ends_that_session_only(start_scripted, start_gateway, where):
    scripted = start_scripted()
    gateway = start_gateway(upstream(scripted.port, append_literals="stream"), login_failure_delay="10ms")
    other, client = gateway.session("ann", "secret"), gateway.client()
    mark = gateway.log_octets()
    if where == "at login":
        scripted.on("LOGIN", lambda c, tag, arguments: c.send(f"{tag} OK {LONG} in\r\n"), times=1)
        client.send(b"a LOGIN ann secret\r\n")
    elif where == "in a refusal":
        scripted.on("LOGIN", lambda c, tag, arguments: c.send(f"{tag} NO {LONG} no\r\n"), times=1)
        client.send(b"a LOGIN ann secret\r\n")
    elif where == "in the answer to *":
        scripted.on("AUTHENTICATE", lambda c, tag, arguments: (c.challenge(b"<1.2@x>"), c.send(f"{tag} BAD {LONG} no\r\n")), times=1)
        client.start("AUTHENTICATE CRAM-MD5")
        client.continuation()
        client.send(b"*\r\n")
    else:
        client.ok("LOGIN ann secret")
        if where == "within a literal":
            client.send(b"a APPEND INBOX {100+}\r\n")
            scripted.wait_for(lambda: b"{100+}" in scripted.sessions[-1].received)
            scripted.sessions[-1].send(f"a OK {LONG} x\r\n")
        else:
            tag = "a" if where == "tagged" else "*"
            scripted.on("CHECK", lambda c, *_: c.send(f"{tag} OK {LONG} x\r\n"), times=1)
            client.send(b"a CHECK\r\n")
    assert b"BYE [UNAVAILABLE]" in b"".join(client.rest())
    gateway.wait_log("closing: answer that cannot be matched: capability list that is too long", since=mark)
    other.ok("NOOP")
    assert "is not foreseen" not in gateway.log()
