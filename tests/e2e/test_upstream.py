"""Connections to the upstream: how they are made, and every way in which that fails."""
import os
import socket
import struct
import subprocess
import threading

import pytest

from harness import logins, net
from harness.gateway import listener, upstream
from harness.imap import capabilities
from harness.scripted import BEFORE, CLOSE, Scripted


def assert_unavailable(client):
    answer = client.no("LOGIN ann secret")
    assert answer.code == b"UNAVAILABLE" and answer.untagged == []
    assert b"secret" not in answer.tagged


class Ear:
    """Listens, accepts, and does only what a function does with the socket; closes after it."""

    def __init__(self, function, address=("127.0.0.1", 0), family=socket.AF_INET):
        self.accepted, self.received = 0, b""
        self._function, self._kept = function, []
        self._listener = socket.socket(family)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(address)
        self._listener.listen()
        self.port = self._listener.getsockname()[1] if family != socket.AF_UNIX else None
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._kept.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            self._function(sock)
            sock.close()
        except OSError:
            pass

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._kept:
            sock.close()


@pytest.fixture
def ear():
    ears = []

    def listen(*arguments, **settings):
        ears.append(Ear(*arguments, **settings))
        return ears[-1]
    yield listen
    for each in ears:
        each.stop()


def says(octets):
    """Says this, then nothing until the other side hangs up."""
    def function(sock):
        sock.sendall(octets)
        net.hear_out(sock)
    return function


def reset(client):
    """Hangs up so that the other side knows that nobody reads any more (a mere end of file may mean half a close)."""
    client.wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


# Failures

def test_a_refused_connection_is_unavailable_at_login(start_gateway):
    gateway = start_gateway(net.free_port())
    client = gateway.client()
    assert b"IMAP4rev1" in capabilities(client.greeting)
    assert_unavailable(client)
    gateway.wait_log("warning: upstream=main address=127.0.0.1:.*: Connection refused")
    gateway.wait_log("login failed: .* user=ann mechanism=LOGIN upstream=main reason=unavailable")
    client.ok("CAPABILITY")
    client.logout()


@pytest.mark.parametrize("octets,reason", [
    (b"* BYE too many connections\r\n", "BYE"),
    (b"* BYE\r\n", "BYE"),
    (b"* PREAUTH [CAPABILITY IMAP4rev1] you are in\r\n", "PREAUTH"),
    (b"220 mail.example.org ESMTP\r\n", "greeting"),
    (b"+OK POP3 ready\r\n", "greeting"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "greeting"),
    (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "greeting"),
    (b"* OKAY IMAP4rev1\r\n", "greeting"),
    (b"\r\n", "greeting"),
    (b"* NO not now\r\n", "greeting"),
    (b"\x15\x03\x01\x00\x02\x02\x0a\n", "."),
    (b"x" * 100000, "."),
    (b"\0" * 100 + b"\n", "."),
], ids=lambda value: value[:30].decode("latin-1").strip() if isinstance(value, bytes) else None)
def test_a_greeting_that_is_no_welcome_is_unavailable_at_login(ear, start_gateway, octets, reason):
    gateway = start_gateway(ear(says(octets)).port)
    client = gateway.client()
    assert_unavailable(client)
    gateway.wait_log(rf"warning: upstream=main address=\S+: .*{reason}")
    client.ok("NOOP")


def test_an_upstream_that_hangs_up_at_once_is_unavailable(ear, start_gateway):
    assert_unavailable(start_gateway(ear(lambda sock: None).port).client())


@pytest.mark.parametrize("octets", [b"", b"* OK [CAPABILITY IMAP4rev1", b"* OK [CAPABILITY IMAP4rev1] hello\r\n", b"* OK hello\r\n* CAPABILITY {5}\r\n"])
def test_an_upstream_that_falls_silent_is_given_up_after_connect_timeout(ear, start_gateway, octets):
    gateway = start_gateway(upstream(ear(says(octets)).port, connect_timeout="300ms"))
    client = gateway.client()
    assert_unavailable(client)
    gateway.wait_log("warning: upstream=main address=.*: timed out")


@pytest.mark.parametrize("answer", ["NO sorry", "BAD what", "OK but no list"])
def test_an_upstream_that_does_not_tell_its_capabilities_is_unavailable(scripted, scripted_gateway, answer):
    scripted.greeting = "* OK hello"
    scripted.on("CAPABILITY", answer)
    assert_unavailable(scripted_gateway.client())


def test_an_upstream_that_hangs_up_when_asked_for_capabilities_is_unavailable(scripted, scripted_gateway):
    scripted.on("CAPABILITY", CLOSE)
    assert_unavailable(scripted_gateway.client())


def test_an_upstream_that_comes_up_later_serves_who_connected_before(start_scripted, start_gateway):
    late = start_scripted(listen=False)
    client = start_gateway(late.port).client()
    assert_unavailable(client)
    late.listen()
    client.ok("LOGIN ann secret")
    assert b"AUTH=CRAM-MD5" in capabilities(start_gateway(late.port).client().greeting)


def test_an_upstream_that_goes_away_before_login_is_made_up_for_by_a_new_connection(scripted, scripted_gateway):
    client = scripted_gateway.client()
    scripted.drop_all()
    client.ok("LOGIN ann secret")


@pytest.mark.parametrize("greeting", [b"", b"* OK [CAPABILITY IMAP4rev1] hello"])
def test_a_client_that_leaves_while_the_upstream_is_silent_takes_the_connection_along(scripted, start_gateway, greeting):
    gateway = start_gateway(upstream(scripted.port, connect_timeout="5m"))
    client = gateway.client()
    scripted.greeting = greeting
    scripted.on("CAPABILITY", lambda connection, tag, arguments: None)
    client.start("LOGIN ann secret")
    mine = scripted.wait_for(lambda: len(scripted.connections) == 2 and scripted.connections[1])
    reset(client)
    scripted.wait_for(lambda: mine.closed)


@pytest.mark.parametrize("octets", [b"", b"a LOGIN ann secret\r\n"])
def test_a_client_that_leaves_before_it_is_greeted_leaves_at_once(ear, start_gateway, octets):
    quiet = ear(says(b""))
    gateway = start_gateway(upstream(quiet.port, connect_timeout="5m"))
    client = gateway.client(greet=False)
    client.send(octets)
    gateway.wait_log("RESOLVING -> CONNECTING")
    reset(client)
    gateway.wait_log("closing: client lost")


def test_a_client_that_ends_its_input_still_hears_that_the_upstream_is_silent(ear, start_gateway):
    client = start_gateway(upstream(ear(says(b"")).port, connect_timeout="300ms")).client(greet=False)
    client.send(b"a LOGIN ann secret\r\n")
    client.wire.sock.shutdown(socket.SHUT_WR)
    assert client.wait("a").code == b"UNAVAILABLE"
    assert client.rest() == []


# Addresses

@pytest.fixture(scope="module")
def two_addresses(tmp_path_factory):
    """(name, prefix for a gateway): a name that is ::1 as well as 127.0.0.1 there. Where localhost is not, a hosts file in a
    mount namespace has one."""
    if {info[4][0] for info in socket.getaddrinfo("localhost", None)} == {"::1", "127.0.0.1"}:
        return "localhost", ()
    hosts = tmp_path_factory.mktemp("hosts") / "hosts"
    hosts.write_text("::1 both.test\n127.0.0.1 both.test localhost\n")
    prefix = ("unshare", "--mount", *(("--map-root-user",) if os.getuid() else ()),
              "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh")
    if subprocess.run((*prefix, "true"), check=False).returncode:
        pytest.skip("localhost has no ::1, and there are no mount namespaces")
    return "both.test", prefix


def test_a_name_is_tried_with_all_its_addresses(start_scripted, start_gateway, two_addresses):
    """Only one of them listens."""
    server, (name, prefix) = start_scripted(), two_addresses
    gateway = start_gateway(upstream(f"{name}:{server.port}"), prefix=prefix)
    gateway.client().ok("LOGIN ann secret")
    gateway.wait_log(rf"warning: upstream=main address=\[::1\]:{server.port}: Connection refused")


@pytest.mark.parametrize("octets", [b"* BYE go away\r\n", b"garbage\r\n", b"* PREAUTH hello\r\n", b""])
def test_an_address_without_a_usable_server_is_passed_over_for_the_next(ear, start_scripted, start_gateway, two_addresses, octets):
    server, (name, prefix) = start_scripted(), two_addresses
    bad = ear(says(octets), address=("::1", server.port), family=socket.AF_INET6)
    patience = {} if octets else {"connect_timeout": "2s"}  # the next one must answer in that time, too
    gateway = start_gateway(upstream(f"{name}:{server.port}", **patience), prefix=prefix)
    gateway.client().ok("LOGIN ann secret")
    assert bad.accepted >= 1 and len(server.sessions) == 1


def test_when_no_address_serves_the_login_is_unavailable_and_each_is_told(ear, start_gateway, two_addresses):
    port, (name, prefix) = net.free_port(), two_addresses
    ear(says(b"* BYE go away\r\n"), address=("::1", port), family=socket.AF_INET6)
    gateway = start_gateway(upstream(f"{name}:{port}"), prefix=prefix)
    assert_unavailable(gateway.client())
    gateway.wait_log(r"address=\[::1\]:\d+: the server greets with BYE: ")
    gateway.wait_log(r"address=127\.0\.0\.1:\d+: Connection refused")


def test_a_name_that_does_not_exist_is_unavailable(start_gateway):
    gateway = start_gateway(upstream("no-such-host.invalid:143", connect_timeout="2s"))
    assert_unavailable(gateway.client())
    gateway.wait_log("warning: upstream=main address=no-such-host.invalid: ")


class ScriptedV6(Scripted):
    """On ::1."""

    def listen(self):
        self._listener = socket.create_server(("::1", self.port), family=socket.AF_INET6)
        self._start(self._accept, self._listener)


@pytest.fixture
def scripted_v6():
    server = ScriptedV6()
    yield server
    server.stop()


def test_ipv6_on_both_sides(scripted_v6, start_gateway):
    port = net.free_port()
    gateway = start_gateway(upstream(f"[::1]:{scripted_v6.port}"), sections=[listener("v6", port, address=f"[::1]:{port}")])
    client = gateway.client(("::1", port))
    client.ok("LOGIN ann secret")
    client.logout()
    gateway.wait_log(r"from=\[::1\]:\d+ user=ann .*closing: logout")


class ScriptedUnix(Scripted):
    """On a unix socket."""

    def __init__(self, path):
        self.path = path
        super().__init__()

    def listen(self):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._start(self._accept, self._listener)


@pytest.fixture
def scripted_unix(tmp_path):
    server = ScriptedUnix(tmp_path / "upstream")
    yield server
    server.stop()


def test_unix_sockets_on_both_sides(scripted_unix, start_gateway, tmp_path):
    path = tmp_path / "listener"
    gateway = start_gateway(upstream(f"unix:{scripted_unix.path}"), sections=[listener("unix", 0, address=f"unix:{path}", unix_mode="0660")])
    assert path.stat().st_mode & 0o777 == 0o660
    client = gateway.client(path)
    client.ok("LOGIN ann secret")
    client.ok("SELECT INBOX")
    client.logout()
    gateway.wait_log("from=unix user=ann .*closing: logout")


def test_a_unix_socket_that_nobody_listens_on_is_unavailable(start_gateway, tmp_path):
    gateway = start_gateway(upstream(f"unix:{tmp_path}/nobody"))
    assert_unavailable(gateway.client())
    gateway.wait_log(rf"warning: upstream=main address={tmp_path}/nobody: No such file or directory")


def test_a_socket_left_behind_does_not_keep_the_gateway_from_starting(scripted, start_gateway, tmp_path):
    path = tmp_path / "listener"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    gateway = start_gateway(scripted.port, sections=[listener("unix", 0, address=f"unix:{path}")])
    gateway.client(path).ok("LOGIN ann secret")


def test_a_listener_may_have_several_addresses(scripted, start_gateway, tmp_path):
    ports = [net.free_port(), net.free_port()]
    addresses = [f"127.0.0.1:{ports[0]}", f"[::1]:{ports[1]}", f"unix:{tmp_path}/socket"]
    gateway = start_gateway(scripted.port, sections=[listener("many", 0, address=addresses)])
    for target in (ports[0], ("::1", ports[1]), tmp_path / "socket"):
        gateway.client(target).ok("LOGIN ann secret")


def test_each_listener_leads_to_its_own_upstream_and_shows_its_list(start_scripted, start_gateway):
    one, two = start_scripted(caps_before=BEFORE + " X-ONE"), start_scripted(caps_before=BEFORE + " X-TWO", users={"bob": "hunter2"})
    port = net.free_port()
    gateway = start_gateway([upstream(one.port, "one"), upstream(two.port, "two")], sections=[listener("second", port, upstream="two")])
    first, second = gateway.client(), gateway.client(port)
    assert b"X-ONE" in capabilities(first.greeting) and b"X-TWO" not in capabilities(first.greeting)
    assert b"X-TWO" in capabilities(second.greeting) and b"X-ONE" not in capabilities(second.greeting)
    second.no("LOGIN ann secret")
    first.ok("LOGIN ann secret")
    second.ok("LOGIN bob hunter2")
    assert (len(one.sessions), len(two.sessions)) == (1, 1)
    second.logout()
    gateway.wait_log("user=bob upstream=two closing: logout")


def test_an_upstream_that_is_down_does_not_hinder_the_other(start_scripted, start_gateway, ear):
    quiet, good, port = ear(says(b"")), start_scripted(), net.free_port()
    gateway = start_gateway([upstream(quiet.port, "quiet", connect_timeout="30s"), upstream(good.port, "good")],
                            sections=[listener("second", port, upstream="good")])
    gateway.client(greet=False)
    gateway.client(port).ok("LOGIN ann secret")


# Life

def test_a_logout_is_said_to_the_upstream_too(scripted, scripted_gateway):
    scripted_gateway.session().logout()
    scripted.wait_for(lambda: scripted.sessions[0].closed)
    assert scripted.sessions[0].names[-1] == "LOGOUT"


def test_clients_that_leave_without_a_word_leave_no_connection_behind(scripted, scripted_gateway):
    for step in ("greeting", "login", "command", "literal"):
        client = scripted_gateway.client()
        if step != "greeting":
            client.ok("LOGIN ann secret")
        if step == "command":
            scripted.on("NOOP", lambda c, tag, arguments: None, times=1)
            client.start("NOOP")
            scripted.wait_for(lambda: "NOOP" in scripted.sessions[-1].names)
        if step == "literal":
            client.send(b"x APPEND INBOX {100+}\r\nhalf")
        reset(client)
    scripted.wait_for(lambda: all(c.closed for c in scripted.connections))


def test_descriptors_do_not_leak(scripted, start_gateway):
    gateway = start_gateway(scripted.port, workers=1)

    def descriptors():
        return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))

    def churn():
        for way in ("good", "wrong", "gone"):
            client = gateway.client()
            if way != "gone":
                client.command(f"LOGIN ann {'secret' if way == 'good' else 'wrong'}")
            client.close()
        scripted.wait_for(lambda: all(c.closed for c in scripted.connections))

    churn()
    scripted.wait_for(lambda: descriptors() < 40)
    before = descriptors()
    for _ in range(20):
        churn()
    scripted.wait_for(lambda: descriptors() <= before)


def test_an_upstream_that_hangs_up_in_a_session_ends_it_with_bye(scripted, scripted_gateway):
    client = scripted_gateway.session()
    scripted.sessions[0].hang_up()
    assert [line[:6] for line in client.rest()] == [b"* BYE "]


def test_a_bye_of_the_upstreams_is_passed_on_and_not_said_twice(scripted, scripted_gateway):
    scripted.on("NOOP", lambda c, tag, arguments: (c.send(b"* BYE shutting down\r\n"), c.hang_up()))
    client = scripted_gateway.session()
    client.start("NOOP")
    assert client.rest() == [b"* BYE shutting down\r\n"]


@pytest.mark.parametrize("way", ["LOGIN with atoms", "PLAIN"])
def test_logins_on_one_connection_after_another_work(gateway, way):
    for _ in range(20):
        client = gateway.client()
        assert logins.by(way, client, "ann", "secret").status == b"OK"
        client.close()
