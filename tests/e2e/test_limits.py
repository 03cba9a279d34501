"""What one client, or many, can cost at most: connections, time, input, descriptors, memory."""
import contextlib
import hashlib
import os
import pathlib
import re
import resource
import select
import socket
import threading
import time

import pytest

from harness.gateway import Section, upstream
from harness.imap import Client, Closed, literal
from harness.memory import needs_plain_build, resident_kib
from harness.net import LOOPBACK, free_port
from harness.patience import PATIENCE_S, in_time, let_pass, wait_until, wait_until_still

LARGE = 60_000_000


def open_descriptors(gateway):
    try:
        return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))
    except PermissionError:
        pytest.skip("the gateway lets nobody but root look at its descriptors")


def bye_of(client):
    bye, = client.rest()
    assert bye.startswith(b"* BYE "), bye
    return bye


# Connections


@pytest.mark.parametrize("setting", ["max_clients", "max_clients_per_address"])
def test_clients_beyond_the_limit_are_refused_and_the_others_stay(scripted, start_gateway, setting):
    gateway = start_gateway(scripted.port, **{setting: 3})
    sessions = [gateway.session() for _ in range(3)]
    for _ in range(5):
        assert gateway.client().greeting.startswith(b"* BYE [UNAVAILABLE] ")
    gateway.wait_log(f"client refused: {setting} is reached")
    for session in sessions:
        session.ok("NOOP")
    sessions[0].logout()
    sessions.pop(0).close()
    gateway.wait_log("CLOSING -> DEAD")
    sessions.append(gateway.session())
    assert gateway.client().greeting.startswith(b"* BYE ")


def test_a_tls_client_beyond_the_limit_is_hung_up_on(scripted, start_gateway, trust):
    gateway = start_gateway(scripted.port, max_clients=1)
    kept = gateway.session()
    with pytest.raises(OSError):
        gateway.client(gateway.tls_port, tls=trust)
    kept.ok("NOOP")


def test_each_address_has_a_limit_of_its_own(scripted, start_gateway):
    gateway = start_gateway(scripted.port, max_clients_per_address=2)

    def greeting(source):
        sock = socket.create_connection((LOOPBACK, gateway.plain_port), PATIENCE_S, source_address=(source, 0))
        return sock, sock.recv(1000)

    for source in ("127.0.0.2", "127.0.0.3"):
        kept = [greeting(source) for _ in range(2)]
        assert all(octets.startswith(b"* OK ") for _, octets in kept)
        refused, octets = greeting(source)
        assert octets.startswith(b"* BYE ")
        for sock in (refused, *(sock for sock, _ in kept)):
            sock.close()


# Clients that do not log in


@pytest.fixture
def held_logins(scripted):
    """The upstream answers a LOGIN only when this event is set, as one whose password check is slow."""
    go_on = threading.Event()

    def login(connection, tag, arguments):
        assert go_on.wait(120)
        connection.ok(tag, f"[CAPABILITY {scripted.caps_after}] logged in")

    scripted.on("LOGIN", login)
    scripted.on("AUTHENTICATE", login)
    yield go_on
    go_on.set()


def wait_for_moves(gateway, move, count):
    wait_until(lambda: gateway.log().count(move) >= count)


def is_refused(gateway, listener_port=None, **how):
    client = gateway.client(listener_port, **how)
    client.wire.set_timeout(60)
    return client.greeting.startswith(b"* BYE [UNAVAILABLE] ")


def test_silent_clients_make_room_the_oldest_first(scripted, start_gateway):
    gateway = start_gateway(scripted.port, max_clients=4, workers=1)
    kept = gateway.session(timeout=60)
    silent = []
    for _ in range(3):
        silent.append(gateway.client(timeout=60))
        let_pass(0.02)  # the clock by which their age goes is a coarse one
    for oldest in silent:
        session = gateway.client(timeout=60)
        assert session.greeting.startswith(b"* OK ")
        session.ok("LOGIN ann secret")
        assert bye_of(oldest).startswith(b"* BYE [UNAVAILABLE] Too many connections; ")
    assert is_refused(gateway), "who has logged in keeps his place"
    kept.ok("NOOP")
    assert gateway.log().count("closing: gives its place to another client") == 3
    gateway.wait_log(r"client refused: max_clients is reached \(from=127\.0\.0\.1:\d+\)")


@pytest.mark.parametrize("stage", ["handshake", "STARTTLS", "TLS", "PROXY header", "failed login", "AUTHENTICATE", "SCRAM"])
def test_whatever_a_client_waits_for_itself_it_makes_room(scripted, start_gateway, trust, stage):
    port = free_port()
    gateway = start_gateway(scripted.port, max_clients=1, workers=1, sections=[
        Section("listener", "proxied", address=f"{LOOPBACK}:{port}", tls="none", accept_proxy=True, trusted_networks=LOOPBACK)])
    how = {"handshake": {"listener_port": gateway.tls_port, "greet": False}, "TLS": {"listener_port": gateway.tls_port, "tls": trust},
           "STARTTLS": {"listener_port": gateway.starttls_port}, "PROXY header": {"listener_port": port, "greet": False}}
    before = open_descriptors(gateway) if stage == "PROXY header" else 0
    silent = gateway.client(timeout=60, **how.get(stage, {}))
    if stage == "STARTTLS":
        silent.ok("STARTTLS")
    elif stage == "failed login":
        silent.no("LOGIN ann wrong")
    elif stage in ("AUTHENTICATE", "SCRAM"):
        silent.start("AUTHENTICATE PLAIN" if stage == "AUTHENTICATE" else "AUTHENTICATE CRAM-MD5")
        silent.continuation()
    else:
        gateway.wait_log({"TLS": "-> NOT_AUTHENTICATED", "handshake": "PROXYING -> SECURING"}.get(stage, "ready:"))
    if stage == "PROXY header":  # no line tells that it has been accepted
        wait_until(lambda: open_descriptors(gateway) > before, 60)
    session = gateway.client(timeout=60)
    assert session.greeting.startswith(b"* OK ")
    session.ok("LOGIN ann secret")
    said = silent.rest()
    assert len(said) == (0 if stage in ("handshake", "STARTTLS", "PROXY header") else 1) and all(line.startswith(b"* BYE ") for line in said)
    gateway.wait_log("closing: gives its place to another client")
    session.ok("NOOP")


def test_who_waits_for_the_upstreams_word_keeps_his_place(scripted, start_gateway, held_logins):
    gateway = start_gateway(scripted.port, max_clients=3, workers=1)
    waiting = [gateway.client(timeout=60) for _ in range(2)]
    for client in waiting:
        client.send(b"l LOGIN ann secret\r\n")
    wait_for_moves(gateway, "NOT_AUTHENTICATED -> LOGGING_IN", 2)
    silent = gateway.client(timeout=60)
    waiting.append(gateway.client(timeout=60))
    bye_of(silent)
    waiting[-1].send(b"l LOGIN ann secret\r\n")
    wait_for_moves(gateway, "NOT_AUTHENTICATED -> LOGGING_IN", 3)
    wait_for_moves(gateway, "READY -> LOGGING_IN", 3)
    assert is_refused(gateway)
    held_logins.set()
    for client in waiting:
        assert client.wait("l").status == b"OK"
        client.ok("NOOP")


def test_one_silent_address_keeps_nobody_out(scripted, start_gateway):
    """With more workers than one, each of which has clients of its own. Which of the silent ones have to go is not said:
    one worker may have accepted the oldest last."""
    gateway = start_gateway(scripted.port, max_clients=40, workers=2)
    silent = [Client(gateway.plain_port, greet=False, timeout=60) for _ in range(120)]
    for client in silent[-20:]:
        assert client.response().startswith((b"* OK ", b"* BYE "))
    sessions = [gateway.client(timeout=60) for _ in range(5)]
    for session in sessions:
        assert session.greeting.startswith(b"* OK ")
        session.ok("LOGIN ann secret")
    for client in silent:
        client.close()
    for session in sessions:
        session.ok("NOOP")


def test_no_more_than_20_of_an_address_may_be_there_without_a_login(scripted, start_gateway):
    gateway = start_gateway(scripted.port)
    del gateway.settings["max_unauthenticated_per_address"]  # its default
    gateway.stop()
    gateway.write_config()
    gateway.start()
    silent = [gateway.client(timeout=60) for _ in range(20)]
    assert is_refused(gateway)
    gateway.wait_log(r"client refused: max_unauthenticated_per_address is reached \(from=127\.0\.0\.1:\d+\)")
    with socket.create_connection((LOOPBACK, gateway.plain_port), 60, source_address=("127.0.0.2", 0)) as other:
        assert other.recv(1000).startswith(b"* OK "), "another address has places of its own"
    silent.pop().ok("LOGIN ann secret")
    silent.append(gateway.client(timeout=60))
    assert silent[-1].greeting.startswith(b"* OK ") and is_refused(gateway)
    silent.pop().close()
    gateway.wait_log(r"from=127\.0\.0\.1:\d+ .*CLOSING -> DEAD")
    assert not is_refused(gateway)


def test_who_has_begun_to_log_in_counts_no_more(scripted, start_gateway, held_logins):
    """A webmail host whose logins wait for a slow password check is not refused; afterwards nobody is sent away for the count."""
    scripted.caps_after += " UNAUTHENTICATE"
    gateway = start_gateway(scripted.port, max_unauthenticated_per_address=2, workers=1)
    clients = []
    for number in range(10):
        clients.append(gateway.client(timeout=60))
        assert clients[-1].greeting.startswith(b"* OK ")
        clients[-1].send(b"l LOGIN ann secret\r\n")
        wait_for_moves(gateway, "NOT_AUTHENTICATED -> LOGGING_IN", number + 1)
    held_logins.set()
    for client in clients:
        assert client.wait("l").status == b"OK"
        client.ok("UNAUTHENTICATE")
    for client in clients:
        client.ok("NOOP")
    assert is_refused(gateway), "they count again"
    for client in clients[1:]:
        client.ok("LOGIN ann secret")
    assert not is_refused(gateway)


def test_who_has_failed_to_log_in_counts_again(scripted, start_gateway):
    gateway = start_gateway(scripted.port, max_unauthenticated_per_address=2, max_login_failures=10)
    clients = [gateway.client(timeout=60) for _ in range(2)]
    for client in clients:
        client.no("LOGIN ann wrong")
        client.start("AUTHENTICATE PLAIN", tag="c")
        client.continuation()
        client.send(b"*\r\n")
        assert client.wait("c").status == b"BAD"
    assert is_refused(gateway)
    for client in clients:
        client.ok("LOGIN ann secret")
    assert not is_refused(gateway)


@pytest.mark.parametrize("setting", ["trusted_networks", "id_trusted_networks"])
def test_trusted_networks_are_exempt(scripted, start_gateway, setting):
    port = free_port()
    gateway = start_gateway(scripted.port, max_unauthenticated_per_address=1, sections=[
        Section("listener", "webmail", **{"address": f"{LOOPBACK}:{port}", "tls": "none", setting: "127.0.0.0/30"})])
    for _ in range(5):
        assert not is_refused(gateway, port)
    # They do not take the place of one who comes to a listener that does not trust them.
    assert not is_refused(gateway)
    assert is_refused(gateway)
    with socket.create_connection((LOOPBACK, port), 60, source_address=("127.0.0.9", 0)) as kept, \
            socket.create_connection((LOOPBACK, port), 60, source_address=("127.0.0.9", 0)) as refused:
        assert kept.recv(1000).startswith(b"* OK ") and refused.recv(1000).startswith(b"* BYE ")


def test_silent_ipv6_clients_have_the_limit_too(scripted, start_gateway):
    port = free_port()
    gateway = start_gateway(scripted.port, max_unauthenticated_per_address=2,
                            sections=[Section("listener", "six", address=f"[::1]:{port}", tls="none")])
    assert [is_refused(gateway, ("::1", port)) for _ in range(3)] == [False, False, True]
    gateway.wait_log(r"client refused: max_unauthenticated_per_address is reached \(from=\[::1\]:\d+\)")


def test_a_reload_changes_how_many_may_be_silent(scripted, start_gateway):
    gateway = start_gateway(scripted.port, max_unauthenticated_per_address=1)
    assert not is_refused(gateway)
    assert is_refused(gateway)
    gateway.write_config(max_unauthenticated_per_address=2)
    gateway.reload()
    gateway.wait_log("reloaded:")
    wait_until(lambda: not is_refused(gateway))  # each worker takes it up by itself
    assert is_refused(gateway)


@pytest.mark.parametrize("proxied", [False, True], ids=["in clear", "by a PROXY header"])
def test_refusals_are_ten_lines_a_second_and_the_others_are_counted(scripted, start_gateway, proxied):
    port = free_port()
    gateway = start_gateway(scripted.port, max_unauthenticated_per_address=1, max_clients_per_address=1, log_level="info", sections=[
        Section("listener", "proxied", address=f"{LOOPBACK}:{port}", tls="none", accept_proxy=True, trusted_networks=LOOPBACK)])
    target, first = (port, b"PROXY TCP4 192.0.2.7 192.0.2.1 50122 143\r\n") if proxied else (gateway.plain_port, b"")
    kept = gateway.client(target, first=first)
    began = time.monotonic()
    for _ in range(200):
        with Client(target, greet=False, first=first, timeout=60) as client, contextlib.suppress(OSError):
            client.rest()
    seconds = time.monotonic() - began

    def lines():
        return re.findall(r"(?:client refused: .*|closing: too many connections from this address.*)", gateway.log())

    assert 10 <= len(lines()) <= 10 * (seconds + 1), lines()
    address = "192.0.2.7:50122" if proxied else "127.0.0.1:"
    assert all("from=" in line or proxied for line in lines()) and gateway.log().count(f"from={address}") >= 10
    let_pass(1.1)  # the second that is full
    with Client(target, greet=False, first=first, timeout=60) as client, contextlib.suppress(OSError):
        client.rest()
    wait_until(lambda: len(lines()) + sum(map(int, re.findall(r"and (\d+) more", "\n".join(lines())))) == 201)
    kept.ok("NOOP")


# Time


def test_who_does_not_log_in_in_time_is_sent_away(scripted, start_gateway, trust):
    gateway = start_gateway(scripted.port, login_timeout="1s")
    kept = in_time(0.9, gateway.session)

    def begun():
        silent, partial = gateway.client(), gateway.client()
        secure = gateway.client(gateway.tls_port, tls=trust)
        partial.send(b"a LOGIN ann {5")
        in_dialog = gateway.client()
        in_dialog.start("AUTHENTICATE PLAIN")
        in_dialog.continuation()
        return silent, partial, secure, in_dialog

    for client in in_time(0.9, begun):
        bye_of(client)
    began = time.monotonic()
    handshaking, dribbling = gateway.client(gateway.tls_port, greet=False), in_time(0.9, gateway.client)
    with contextlib.suppress(Closed, OSError):
        while True:
            dribbling.ok("NOOP")  # which does not put the end off
            let_pass(0.01)        # there is a limit to what it may send
    assert handshaking.rest() == []
    assert time.monotonic() - began >= 1
    assert gateway.log().count("closing: login timeout") >= 6
    kept.ok("NOOP")


def test_who_fails_to_log_in_waits_and_may_not_try_forever(scripted, start_gateway):
    gateway = start_gateway(scripted.port, login_failure_delay="150ms", max_login_failures=3)
    client = gateway.client()
    for attempt in range(1, 4):
        began = time.monotonic()
        client.send(b"l LOGIN ann wrong\r\nn NOOP\r\n")
        assert client.wait("l").status == b"NO"
        assert time.monotonic() - began >= 0.149
        if attempt < 3:
            assert client.wait("n").status in (b"OK", b"BAD")
    bye_of(client)
    gateway.wait_log("closing: too many failed logins")
    gateway.session().ok("NOOP")


def test_a_login_in_between_forgives_the_failures(scripted, start_gateway):
    scripted.caps_after += " UNAUTHENTICATE"
    gateway = start_gateway(scripted.port, max_login_failures=2)
    client = gateway.client()
    for _ in range(3):
        client.no("LOGIN ann wrong")
        client.ok("LOGIN ann secret")
        client.ok("UNAUTHENTICATE")


# Input before login


def test_before_login_no_more_than_64_kib_are_read(scripted_gateway):
    client = scripted_gateway.client()
    with contextlib.suppress(OSError):
        client.send(b"a NOOP\r\n" * 9000)
    responses = []
    with contextlib.suppress(Closed):
        while True:
            responses.append(client.response())
    assert responses.count(b"a OK NOOP completed.\r\n") == 65536 // len(b"a NOOP\r\n")
    scripted_gateway.wait_log("closing: too much input before login")


@pytest.mark.parametrize("octets", [b"a" * 70000, b"a LOGIN " + b"a" * 70000, b'a LOGIN "' + b"a" * 70000,
                                    b"a LOGIN {65000+}\r\n" + b"a" * 65000 + b" {65000+}\r\n" + b"a" * 65000 + b"\r\n",
                                    b"a LOGIN {70000+}\r\n" + b"a" * 70000 + b" x\r\n"],
                         ids=["a tag", "an atom", "a quoted string", "literals", "a literal"])
def test_before_login_nothing_long_is_kept(scripted_gateway, octets):
    client = scripted_gateway.client()
    with contextlib.suppress(OSError):
        client.send(octets)
    with contextlib.suppress(Closed):
        while True:
            assert not client.response().startswith(b"a OK")
    assert not client.wire.left()
    scripted_gateway.wait_log("closing: (too much input before login|input that cannot be framed)")
    scripted_gateway.session().ok("NOOP")


def test_a_literal_that_is_too_large_for_a_login_gets_no_go_ahead(scripted_gateway):
    client = scripted_gateway.client()
    client.bad("LOGIN {70000}")
    client.bad("LOGIN {4294967295}")
    client.start("LOGIN ann {65000}", tag="b")
    assert client.response().startswith((b"+", b"b BAD"))
    client.close()
    client = scripted_gateway.client()
    client.bad("LOGIN {70000}")
    client.login("ann", "secret")


# Descriptors


class Descriptors:
    """The limit of a gateway's descriptors, for the length of a with block."""

    def __init__(self, gateway, more):
        """So many more than are open now; None: fewer than are open, so that not one can be had."""
        self._pid = gateway.process.pid
        highest = max(int(name) for name in os.listdir(f"/proc/{self._pid}/fd"))
        self._limit = 3 if more is None else highest + 1 + more

    def __enter__(self):
        self._before = resource.prlimit(self._pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self._pid, resource.RLIMIT_NOFILE, (self._limit, self._before[1]))

    def __exit__(self, *unused):
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self._pid, resource.RLIMIT_NOFILE, self._before)


def cpu_seconds(gateway):
    fields = open(f"/proc/{gateway.process.pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_without_descriptors_new_clients_are_refused_and_old_ones_stay(scripted, start_gateway, trust):
    gateway = start_gateway(scripted.port)
    open_descriptors(gateway)
    old = gateway.session()
    with Descriptors(gateway, 4):
        clients = [gateway.client() for _ in range(12)]
        greetings = [client.greeting[:5] for client in clients]
        assert greetings == sorted(greetings, reverse=True) and greetings.count(b"* OK ") in range(3, 6)
        gateway.wait_log("client refused: out of file descriptors")
        with pytest.raises(OSError):
            gateway.client(gateway.tls_port, tls=trust)
        old.ok("SELECT INBOX")
        old.ok("FETCH 1 BODY[]")
        # There is none left for an upstream: that is as if it could not be reached.
        assert clients[0].no("LOGIN ann secret").code == b"UNAVAILABLE"
        for client in clients[1:]:
            client.close()
        wait_until(lambda: clients[0].command("LOGIN ann secret").status == b"OK")
        old.ok("NOOP")
    gateway.session().ok("NOOP")


def test_whichever_worker_has_no_descriptor_says_so(scripted, start_gateway):
    """Each has one in reserve; none may take that of another, whose clients would wait then."""
    gateway = start_gateway(scripted.port, workers=4)
    open_descriptors(gateway)
    gateway.session()  # so that greetings need no upstream
    with Descriptors(gateway, 4):
        clients = [Client(gateway.plain_port, greet=False) for _ in range(200)]
        greetings = [client.response() for client in clients]
        assert 0 < sum(greeting.startswith(b"* OK ") for greeting in greetings) < 10
        assert all(greeting.startswith((b"* OK ", b"* BYE [UNAVAILABLE] ")) for greeting in greetings)
        for client in clients:
            client.close()
    gateway.session().ok("NOOP")


def test_a_lack_of_descriptors_costs_no_time(scripted, start_gateway):
    """Not even if the one in reserve is lost: the listening socket stays readable all the while."""
    gateway = start_gateway(scripted.port, workers=2)
    open_descriptors(gateway)
    old = gateway.session()
    with Descriptors(gateway, None):
        waiting = [Client(gateway.plain_port, greet=False) for _ in range(4)]
        before = cpu_seconds(gateway)
        let_pass(0.5)
        assert cpu_seconds(gateway) - before < 0.25
        old.ok("NOOP")
    for client in waiting:
        assert client.response().startswith((b"* OK ", b"* BYE "))
        client.close()
    gateway.session().ok("NOOP")


# Memory


CONNECTIONS = 4


@needs_plain_build
@pytest.mark.parametrize(("tls", "compressed"), [(False, False), (True, False), (True, True)])
def test_a_client_that_does_not_read_costs_no_memory(scripted, start_gateway, trust, tls, compressed):
    gateway = start_gateway(scripted.port, every_listener={"compress": compressed})
    sent, chunk = [0] * CONNECTIONS, os.urandom(1 << 16)

    def fetch(connection, tag, arguments):
        number = int(arguments.split()[0])
        connection.wire.set_timeout(PATIENCE_S)
        connection.wire.sock.sendall(b"* 1 FETCH (BODY[] {%d}\r\n" % LARGE)
        while sent[number] < LARGE:
            octets = chunk[:LARGE - sent[number]]
            connection.wire.sock.sendall(octets)
            sent[number] += len(octets)
        connection.ok(tag)

    def sink(client):
        """Reads all of it, and keeps nothing but a hash."""
        client.wire.line()
        hashed, left = hashlib.sha256(), LARGE
        while left:
            octets = client.wire.left()[:left]
            if not octets:
                client.wire.received.clear()
                client.wire._at = 0  # pylint: disable=protected-access
                client.wire.fill()
                continue
            hashed.update(octets)
            client.wire._at += len(octets)  # pylint: disable=protected-access
            left -= len(octets)
        return hashed.hexdigest()

    scripted.on("FETCH", fetch)
    listener = {"listener_port": gateway.tls_port, "tls": trust} if tls else {}
    clients = [gateway.session(timeout=PATIENCE_S, **listener) for _ in range(CONNECTIONS)]
    for client in clients if compressed else []:
        client.compress()
    before = resident_kib(gateway)
    for number, client in enumerate(clients):
        client.send(f"f FETCH {number} BODY[]\r\n")
    assert wait_until_still(lambda: sum(sent)) < CONNECTIONS * LARGE, "the kernel's buffers took it all"
    grown = resident_kib(gateway) - before
    assert grown <= CONNECTIONS * 1024, f"{grown} KiB for {CONNECTIONS} connections"
    want = hashlib.sha256((chunk * (LARGE // len(chunk) + 1))[:LARGE]).hexdigest()
    assert sink(clients[0]) == want
    assert clients[0].wait("f").status == b"OK"


@needs_plain_build
def test_an_upstream_that_does_not_read_costs_no_memory(scripted, start_gateway):
    gateway = start_gateway(scripted.port)
    go_on, arrived = threading.Event(), [0]

    def append(connection, tag, arguments):
        connection.send(b"+ go\r\n")
        assert go_on.wait(PATIENCE_S)
        arrived[0] = hashlib.sha256(connection.wire.octets(LARGE)).hexdigest()
        assert connection.wire.line() == b"\r\n"
        connection.ok(tag)

    def by_hand(connection):
        connection.send(b"* OK [CAPABILITY IMAP4rev1 LITERAL+] by hand.\r\n")
        while True:
            tag, name, *_ = connection.wire.line().split()
            if name == b"APPEND":
                append(connection, tag.decode(), b"")
                continue
            if name == b"CAPABILITY":
                connection.send(b"* CAPABILITY IMAP4rev1 LITERAL+\r\n")
            connection.ok(tag.decode(), "[CAPABILITY IMAP4rev1 LITERAL+] done.")

    scripted.script = by_hand
    client = gateway.session(timeout=PATIENCE_S)
    before, sent, chunk = resident_kib(gateway), [0], os.urandom(1 << 15).hex().encode()
    octets = (chunk * (LARGE // len(chunk) + 1))[:LARGE]

    def send():
        client.wire.sock.sendall(b"p APPEND INBOX {%d+}\r\n" % LARGE)
        while sent[0] < LARGE:
            sent[0] += client.wire.sock.send(octets[sent[0]:sent[0] + (1 << 18)])
        client.wire.sock.sendall(b"\r\n")

    sender = threading.Thread(target=send)
    sender.start()
    assert wait_until_still(lambda: sent[0]) < LARGE, "the kernel's buffers took it all"
    grown = resident_kib(gateway) - before
    go_on.set()
    assert client.wait("p").status == b"OK"
    sender.join()
    assert arrived[0] == hashlib.sha256(octets).hexdigest()
    assert grown <= 1024, f"{grown} KiB"


@needs_plain_build
def test_answers_that_nobody_reads_hold_back_the_commands(dovecot, gateway):
    """A client that only ever sends: neither side grows."""
    client = gateway.session(dovecot.new_user(), "secret")
    client.ok("SELECT INBOX")
    before, line = resident_kib(gateway), b'x LIST "" INBOX\r\n'
    client.wire.sock.setblocking(False)
    sent = 0
    while select.select((), (client.wire.sock,), (), 0.3)[1] and sent < LARGE:
        sent += client.wire.sock.send(line * 1000)
    assert sent < LARGE
    assert resident_kib(gateway) - before <= 1024


def read_slowly(path, number, octets, ends, problems):
    """Lets the answer pile up first, then reads it in small parts; it must come to its end."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.settimeout(PATIENCE_S)
        sock.sendall(b"a LOGIN ann secret\r\nf FETCH %d\r\n" % octets + (b"z LOGOUT\r\n" if ends == "LOGOUT" else b""))
        let_pass(0.5)
        received, want = bytearray(), {"LOGOUT": b"z OK Logout completed.\r\n", "BYE": b"* BYE over.\r\n", "OK": b"f OK done.\r\n"}[ends]
        try:
            while not received.endswith(want):
                more = sock.recv(1000 + 531 * number % 20000)
                if not more:
                    problems.append(f"{octets} octets: closed before the end, {bytes(received[-50:])}")
                    return
                received += more
        except TimeoutError:
            problems.append(f"{octets} octets: stuck before the end, {bytes(received[-50:])}")


@pytest.mark.parametrize("ends", ["OK", "LOGOUT", "BYE"])
@pytest.mark.parametrize("tls", [None, "implicit"], ids=["in clear", "TLS"])
def test_a_slow_reader_gets_the_last_octet(start_scripted, start_gateway, tmp_path, authority, certificate, ends, tls):
    """However much is in the way when the upstream has said all: a unix socket holds little, so most of it waits in here."""
    scripted = start_scripted(tls=tls, context=authority.server_context(certificate))
    main = upstream(scripted.port, tls=tls or "none", tls_ca_file=str(authority.ca_file), tls_name="localhost")
    gateway = start_gateway(main, sections=[Section("listener", "unix", address=f"unix:{tmp_path}/s", tls="none")])

    def fetch(connection, tag, arguments):
        octets = int(arguments)
        connection.wire.sock.sendall(b"* 1 FETCH (BODY[] {%d}\r\n" % octets + b"x" * octets + b")\r\n")
        connection.ok(tag)
        if ends == "BYE":
            connection.wire.sock.sendall(b"* BYE over.\r\n")
            raise Closed

    scripted.on("FETCH", fetch)
    problems = []
    readers = [threading.Thread(target=read_slowly, args=(f"{tmp_path}/s", number, 200_000 + number * 8_000, ends, problems))
               for number in range(100)]
    for thread in readers:
        thread.start()
    for thread in readers:
        thread.join()
    assert not problems


@needs_plain_build
def test_without_memory_new_clients_are_refused_and_old_ones_stay(scripted, start_gateway, trust):
    """What is there already is served again as soon as there is memory; the daemon ends in order even without."""
    gateway = start_gateway(scripted.port, max_unauthenticated_per_address=0)
    old = [gateway.session() for _ in range(3)]
    pid, refused, held = gateway.process.pid, 0, []
    data = re.search(r"VmData:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)
    before = resource.prlimit(pid, resource.RLIMIT_DATA)
    resource.prlimit(pid, resource.RLIMIT_DATA, (int(data) * 1024 + 2_000_000, before[1]))
    # Each makes the gateway hold a buffer, and half of them what TLS takes.
    for number in range(300):
        try:
            client = gateway.client(gateway.tls_port if number % 2 else None, tls=trust if number % 2 else None)
            client.send(b"a LOGIN ann {60000+}\r\n" + b"x" * 30000)
            held.append(client)
        except (OSError, Closed):
            refused += 1
    assert refused > 100 and len(held) > 10
    for client in held:
        client.close()

    def is_served():
        try:
            return gateway.session().ok("NOOP")
        except (OSError, Closed):
            return False

    wait_until(is_served)
    for client in old:
        client.ok("SELECT INBOX")
        client.ok("FETCH 1 BODY[]")
    resource.prlimit(pid, resource.RLIMIT_DATA, (resource.getpagesize(), before[1]))
    gateway.stop()


def test_many_sessions_leave_nothing_behind(dovecot, gateway):
    """Literals, refused commands and unread answers: what a session held is free for the next."""
    user = dovecot.new_user()
    for _ in range(3):
        gateway.session(user, "secret").logout()
    gateway.close_clients()
    descriptors = open_descriptors(gateway)
    for _ in range(30):
        client = gateway.session(user, "secret")
        client.ok(b"APPEND INBOX " + literal(b"x" * 100_000))
        client.send(b"x SELECT INBOX\r\n")
        client.close()
    wait_until(lambda: open_descriptors(gateway) <= descriptors)


def test_a_connection_that_is_silent_is_kept_alive_on_both_sides(scripted, scripted_gateway):
    """IDLE behind a NAT, which forgets what is silent: the kernel's own timer, 2 in its table, runs on both sockets."""
    client = scripted_gateway.session()
    client.start("IDLE")
    client.continuation()

    def is_kept_alive(field, port):
        with open("/proc/net/tcp", encoding="ascii") as table:
            rows = [row.split() for row in table]
        return [row[5].split(":")[0] for row in rows if row[field].endswith(f":{port:04X}") and row[3] == "01"] == ["02"]

    wait_until(lambda: is_kept_alive(1, scripted_gateway.plain_port) and is_kept_alive(2, scripted.port))
