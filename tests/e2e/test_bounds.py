"""The sum of all that one session makes the gateway hold is less than 1 MiB, and what waits is not looked at again and again."""
import contextlib
import os
import socket
import threading

import pytest

from harness.imap import Closed
from harness.memory import needs_plain_build, resident_kib
from harness.patience import let_pass, wait_until_still

CONNECTIONS = 3
PROMISED_KIB = 1024
FLOOD = 12_000_000


class Flood:
    """Sends the same octets from a thread of its own for as long as they are taken."""

    def __init__(self, client, octets):
        self.sent, self.all = 0, len(octets)
        self._sock, self._octets = client.wire.sock, octets
        client.wire.set_timeout(60)
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self):
        with contextlib.suppress(OSError):
            while self.sent < self.all:
                self.sent += self._sock.send(self._octets[self.sent:self.sent + (1 << 16)])

    def join(self):
        self._thread.join(60)
        assert self.sent == self.all


class Silent:
    """A server that answers no NOOP before it is told to; meanwhile it reads, or it does not."""

    def __init__(self, scripted, reads):
        self._reads, self._lock = reads, threading.Lock()
        self._held, self._answers = [], threading.Event()
        scripted.on("NOOP", self._noop)

    def _noop(self, connection, tag, arguments):
        if not self._reads:
            assert self._answers.wait(60)
        with self._lock:
            if self._answers.is_set():
                connection.ok(tag)
            else:
                self._held.append((connection, tag))

    def answer(self):
        with self._lock:
            self._answers.set()
            for connection, tag in self._held:
                connection.ok(tag)


@needs_plain_build
@pytest.mark.parametrize("reads", [True, False], ids=["a server that reads", "a server that does not read"])
@pytest.mark.parametrize("tag_octets", [65_000, 1_000, 8])
def test_commands_in_flight_are_bounded_as_a_sum(scripted, start_gateway, reads, tag_octets):
    """However long their tags are; and all of them are answered once the server answers at all."""
    gateway = start_gateway(scripted.port)
    server = Silent(scripted, reads)
    count = min(FLOOD // tag_octets, 4000)
    tags = [b"%06d" % number + b"t" * (tag_octets - 6) for number in range(count)]
    clients = [gateway.session(timeout=60) for _ in range(CONNECTIONS)]
    for client in clients:
        client.ok("SELECT INBOX")
    before = resident_kib(gateway)
    floods = [Flood(client, b"".join(tag + b" NOOP\r\n" for tag in tags)) for client in clients]
    wait_until_still(lambda: sum(flood.sent for flood in floods))
    grown = resident_kib(gateway) - before
    assert grown <= CONNECTIONS * PROMISED_KIB, f"{grown} KiB for {CONNECTIONS} connections"
    server.answer()
    for client, flood in zip(clients, floods):
        assert sorted(client.wire.line().partition(b" ")[0] for _ in tags) == tags
        flood.join()
        client.logout()


@needs_plain_build
def test_arguments_that_are_kept_count_with_the_tags(scripted, start_gateway):
    """A storable command waits for room as well, and is then stored as a whole."""
    gateway = start_gateway(scripted.port)
    server = Silent(scripted, True)
    client = gateway.session(timeout=60)
    assert client.ok("STATE").status == b"OK"
    before = resident_kib(gateway)
    client.send(b"n" * 50_000 + b" NOOP\r\n")
    client.start("NOTIFY SET (SELECTED (MessageNew))", tag="s" * 60_000)
    wait_until_still(lambda: resident_kib(gateway))
    assert resident_kib(gateway) - before <= PROMISED_KIB
    assert "NOTIFY" not in scripted.sessions[-1].names
    server.answer()
    assert client.wire.line().endswith(b" OK done.\r\n")
    announced = client.wait("s" * 60_000)
    assert announced.status == b"OK" and announced.codes("STATECMD")


@needs_plain_build
def test_all_at_once_is_below_what_is_promised(scripted, start_gateway, trust):
    """Both sides under TLS or compressed, nobody reads, everybody sends, and as much is in flight as may be."""
    gateway = start_gateway(scripted.port, every_listener={"compress": True})
    sent, go_on = [0], threading.Event()

    def flood(connection, tag, arguments):
        octets = os.urandom(1 << 16)
        connection.wire.sock.sendall(b"* 1 FETCH (BODY[] {%d}\r\n" % FLOOD)
        connection.wire.sock.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while sent[0] < FLOOD * CONNECTIONS:
                sent[0] += connection.wire.sock.send(octets)
        assert go_on.wait(60)
        raise Closed

    scripted.on("FETCH", flood)
    clients = [gateway.session(timeout=60, listener_port=gateway.tls_port, tls=trust) for _ in range(CONNECTIONS)]
    for client in clients:
        client.compress()
        client.ok("STATE")
    before = resident_kib(gateway)
    line = b"%06d LIST \"\" " + os.urandom(20_000).hex().encode() + b"\r\n"
    floods = []
    for client in clients:
        client.ok("NOTIFY SET (SELECTED (MessageNew))" + "x" * 60_000)
        client.start("FETCH 1 BODY[]")
        floods.append(Flood(client, b"".join(client.wire.packed(line % number) for number in range(3 * FLOOD // len(line)))))
    wait_until_still(lambda: (sent[0], [flood.sent for flood in floods]), 1.5)
    grown = resident_kib(gateway) - before
    go_on.set()
    assert all(flood.sent < flood.all for flood in floods)
    assert grown <= CONNECTIONS * PROMISED_KIB, f"{grown} KiB for {CONNECTIONS} connections"


# What the gateway answers by itself


LONG = b"x" * 2000
GARBAGE = {"STATE": LONG + b" STATE (\r\n", "no command": LONG + b" (\r\n", "a second login": LONG + b" LOGIN ann secret\r\n"}


@needs_plain_build
@pytest.mark.parametrize("line", GARBAGE.values(), ids=GARBAGE)
def test_answers_of_the_gateway_wait_for_a_client_that_does_not_read(scripted_gateway, line):
    client = scripted_gateway.session(timeout=60)
    client.ok("SELECT INBOX")
    before = resident_kib(scripted_gateway)
    flood = Flood(client, line * (FLOOD // len(line)))
    sent = wait_until_still(lambda: flood.sent)
    assert sent < flood.all, "the kernel's buffers took it all"
    grown = resident_kib(scripted_gateway) - before
    assert grown <= PROMISED_KIB, f"{grown} KiB"
    for _ in range(flood.all // len(line)):
        assert client.wire.line().startswith(LONG + b" BAD ")
    flood.join()
    client.ok("NOOP")


@needs_plain_build
def test_before_login_no_answer_is_lost_on_a_client_that_reads_late(start_scripted, start_gateway):
    """The answers are a hundred times as long as the commands."""
    names = "IMAP4rev1 LITERAL+ " + " ".join(f"X-{number:0100}" for number in range(60))
    scripted = start_scripted(caps_before=names)
    gateway = start_gateway(scripted.port)
    client = gateway.client(timeout=60)
    before, count = resident_kib(gateway), 4000
    client.send(b"c CAPABILITY\r\n" * count + b"l LOGIN ann secret\r\n")
    wait_until_still(lambda: resident_kib(gateway))
    grown = resident_kib(gateway) - before
    assert grown <= PROMISED_KIB, f"{grown} KiB"
    for _ in range(count):
        assert client.wire.line().startswith(b"* CAPABILITY ")
        assert client.wire.line().startswith(b"c OK ")
    assert client.wait("l").status == b"OK"


def test_commands_before_an_end_of_file_are_answered_however_late_they_are_read(start_scripted, start_gateway):
    """They are all in the gateway when the end comes, and most of their answers have no room yet."""
    scripted = start_scripted(caps_before="IMAP4rev1 " + " ".join(f"X-{number:0100}" for number in range(60)))
    client = start_gateway(scripted.port).client(timeout=60)
    count = 4000
    client.send(b"c CAPABILITY\r\n" * count)
    client.wire.sock.shutdown(socket.SHUT_WR)
    let_pass(0.5)  # the kernel's buffers fill, and the gateway's
    for _ in range(count):
        assert client.wire.line().startswith(b"* CAPABILITY ")
        assert client.wire.line().startswith(b"c OK ")
    with pytest.raises(Closed):
        client.response()


def test_who_has_logged_in_gets_no_go_ahead_for_another_login(scripted_gateway):
    """Its octets would be held for nothing."""
    client = scripted_gateway.session()
    assert b"after login" in client.bad("LOGIN {60000}").tagged
    assert b"after login" in client.bad("LOGIN ann {60000}").tagged
    client.send(b"x LOGIN {6+}\r\nann xx {6+}\r\nsecret\r\n")
    assert client.wait("x").status == b"BAD"
    client.ok("NOOP")


# A line that waits


def cpu_seconds(gateway):
    fields = open(f"/proc/{gateway.process.pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_command_that_waits_costs_the_same_however_long_it_is(scripted, start_gateway):
    """What arrives behind it does not have it looked at again, be the octets its client's or its server's."""
    gateway = start_gateway(scripted.port)
    server = Silent(scripted, True)
    spent = []
    for held in (b"", b"same LIST \"\" " + b"x" * 50_000 + b"\r\n"):
        client = gateway.session(timeout=60)
        client.ok("SELECT INBOX")
        client.start("NOOP", tag="same")
        client.send(held)
        before = cpu_seconds(gateway)
        for _ in range(12_000):
            client.wire.sock.send(b"y")
            let_pass(0.0001)  # so that each is read by itself; on a loaded machine fewer are
        wait_until_still(lambda: cpu_seconds(gateway), 0.3)
        spent.append(cpu_seconds(gateway) - before)
        client.close()
    assert spent[1] <= 2 * spent[0] + 0.1, spent
    server.answer()
