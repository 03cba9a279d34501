"""COMPRESS=DEFLATE (RFC 4978), between client and gateway."""
import hashlib
import os
import re
import socket
import zlib

import pytest

from clients.client import Place
from clients.maildir import Maildir
from clients.mbsync import Mbsync
from harness import net
from harness.gateway import listener
from harness.imap import Closed, capabilities, literal
from harness.parking import Lot, log_out
from harness.patience import PATIENCE_S
from harness.scripted import AFTER
from harness.server import NEW_USER_PASSWORD, message
from harness.tokens import assert_restored, fail_to_restore, restore, save

OFFERED = {"compress": True}


@pytest.fixture
def start_compressing(start_gateway):
    return lambda upstreams, **settings: start_gateway(upstreams, every_listener=OFFERED, **settings)


@pytest.fixture
def compressing(start_compressing, dovecot):
    """In front of Dovecot, TLS on both sides where the client wants it."""
    return start_compressing(dovecot.plain_port)


@pytest.fixture
def scripted_compressing(start_compressing, scripted):
    return start_compressing(scripted.port)


def compressed(client, user="ann", password="secret"):
    client.login(user, password)
    client.compress()
    return client


def assert_kept(client, octets):
    """The message goes into an empty mailbox by a literal of either kind, and comes back."""
    client.append("INBOX", octets)
    client.ok(b"APPEND INBOX " + literal(octets))
    client.ok("SELECT INBOX")
    for number in (1, 2):
        fetched, = client.ok(f"FETCH {number} BODY.PEEK[]").of("FETCH")
        body = fetched[fetched.index(b"\r\n") + 2:].removesuffix(b")\r\n")
        assert hashlib.sha256(body).digest() == hashlib.sha256(octets).digest()


def closing(gateway, client):
    """The log's line of the client's end."""
    port = client.wire.sock.getsockname()[1]
    return gateway.wait_log(rf"from=127\.0\.0\.1:{port} .*closing: .*").group(0)


# Where it is offered


def test_it_is_offered_after_login_where_the_listener_has_it(dovecot, compressing, gateway):
    client = compressing.client()
    assert b"COMPRESS=DEFLATE" not in capabilities(client.greeting) + capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])
    assert capabilities(client.login("ann", "secret").tagged).count(b"COMPRESS=DEFLATE") == 1
    assert capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0]).count(b"COMPRESS=DEFLATE") == 1
    client.ok("NOOP")
    assert capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0]).count(b"COMPRESS=DEFLATE") == 1
    client = gateway.session()
    assert b"COMPRESS=DEFLATE" not in capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])
    assert client.no("COMPRESS DEFLATE").code == b"CANNOT"
    client.ok("NOOP")


def test_an_upstream_that_has_it_never_sees_it(start_scripted, start_compressing):
    scripted = start_scripted(caps_after=AFTER + " COMPRESS=DEFLATE")
    client = compressed(start_compressing(scripted.port).client())
    client.ok("NOOP")
    assert "COMPRESS" not in scripted.sessions[0].names and b"NOOP" in scripted.sessions[0].received


@pytest.mark.parametrize("arguments", ["", " ", " GZIP", " DEFLATE x", ' "DEFLATE"', " {7+}\r\nDEFLATE"])
def test_anything_but_deflate_is_bad_and_nothing_is_compressed(scripted_compressing, arguments):
    client = scripted_compressing.session()
    client.bad(f"COMPRESS{arguments}")
    client.ok("NOOP")
    client.ok("compress deflate")
    client.wire.compress()
    client.ok("NOOP")


@pytest.mark.parametrize("arguments", ["  DEFLATE", " DEFLATE ", " deflate\t"])
def test_blanks_around_deflate_count_for_nothing(scripted_compressing, arguments):
    client = scripted_compressing.session()
    client.ok(f"COMPRESS{arguments}")
    client.wire.compress()
    client.ok("NOOP")


def test_it_is_for_those_who_have_logged_in_and_once(scripted_compressing):
    client = scripted_compressing.client()
    client.bad("COMPRESS DEFLATE")
    compressed(client)
    for _ in range(2):
        assert client.no("COMPRESS DEFLATE").code == b"COMPRESSIONACTIVE"
    client.bad("COMPRESS GZIP")
    client.ok("SELECT INBOX")
    assert client.no("COMPRESS DEFLATE").code == b"COMPRESSIONACTIVE"


def test_it_may_come_with_a_mailbox_selected(scripted_compressing):
    client = scripted_compressing.session()
    client.ok("SELECT INBOX")
    client.compress()
    client.ok("UNSELECT")


# What is compressed


@pytest.mark.parametrize("way", ["in clear", "TLS", "STARTTLS"])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_session_is_the_same_compressed(dovecot, compressing, trust, way, level):
    user, octets = dovecot.new_user(), message("compressed", 100_000)
    port = {"in clear": compressing.plain_port, "TLS": compressing.tls_port, "STARTTLS": compressing.starttls_port}[way]
    client = compressing.client(port, tls=trust if way == "TLS" else None)
    if way == "STARTTLS":
        client.starttls(trust)
    client.login(user, NEW_USER_PASSWORD)
    client.compress(level=level)
    arrived = len(client.wire.received)
    assert_kept(client, octets)
    client.bad("XYZZY")
    client.logout()
    assert client.wire.packed_in < (len(client.wire.received) - arrived) / 2
    log = re.search(r" in=(\d+) out=(\d+) .* unpacked_in=(\d+) unpacked_out=(\d+)\b", closing(compressing, client))
    into, out, unpacked_in, unpacked_out = map(int, log.groups())
    assert unpacked_out == len(client.wire.received) - arrived and out < unpacked_out / 2
    assert unpacked_in > 200_000 and (into < unpacked_in / 2 or level == 0)


def test_what_was_answered_before_the_ok_is_in_clear(scripted, scripted_compressing):
    scripted.on("LIST", *[f'* LIST () "/" box{number}' for number in range(3000)], "OK done")
    client = scripted_compressing.session()
    client.send(b'l LIST "" *\r\nc COMPRESS DEFLATE\r\n')
    assert len(client.wait("l").of("LIST")) == 3000
    assert client.wait("c").status == b"OK"
    client.wire.compress()
    assert len(client.ok('LIST "" *').of("LIST")) == 3000
    assert client.wire.packed_in < 30_000


def test_login_state_and_compress_go_in_one_write(scripted, scripted_compressing):
    token = save(scripted_compressing.session(), "ENABLE X-ONE")
    client = scripted_compressing.client()
    client.send(b"a LOGIN ann secret\r\nb STATE " + token.encode() + b"\r\nc COMPRESS DEFLATE\r\n")
    assert client.wait("a").status == b"OK"
    assert_restored(client.wait("b"), token)
    assert client.wait("c").status == b"OK"
    client.wire.compress()
    client.ok("NOOP")
    assert scripted.sessions[-1].enabled == {"X-ONE"}


def test_what_follows_in_the_same_write_is_compressed(scripted_compressing):
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    behind = packer.compress(b"b NOOP\r\nc XYZZY\r\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    client = scripted_compressing.session()
    client.send(b"a COMPRESS DEFLATE\r\n" + behind)
    assert client.wait("a").status == b"OK"
    client.wire.compress()
    assert client.wait("b").status == b"OK" and client.wait("c").status == b"BAD"


@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH])
def test_commands_are_read_wherever_they_are_cut_and_however_they_are_flushed(dovecot, compressing, flush):
    client = compressed(compressing.client())
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    for number in range(30):
        packed = packer.compress(b"x%d STATUS {5+}\r\nINBOX (MESSAGES)\r\n" % number) + packer.flush(flush)
        for octet in packed:
            client.wire.sock.sendall(bytes([octet]))
        assert client.wait(f"x{number}").status == b"OK"


def test_pipelined_commands_are_answered(dovecot, compressing):
    client = compressed(compressing.client())
    client.send(b"".join(b"q%d STATUS INBOX (MESSAGES UIDNEXT)\r\n" % number for number in range(2000)))
    left = {b"q%d" % number for number in range(2000)}
    while left:
        left.discard(client.response().split(b" ", 1)[0])


def test_what_idle_tells_is_not_held_back(scripted, scripted_compressing):
    def one_by_one(connection, tag, arguments):
        connection.send("+ idling\r\n")
        connection.send("* 1 EXISTS\r\n")
        assert connection.wire.line() == b"DONE\r\n"
        connection.ok(tag)

    scripted.on("IDLE", one_by_one)
    client = compressed(scripted_compressing.client())
    for _ in range(3):
        tag = client.start("IDLE")
        client.continuation()
        assert client.response() == b"* 1 EXISTS\r\n"
        client.send(b"DONE\r\n")
        assert client.wait(tag).status == b"OK"


def test_the_farewell_of_a_gateway_that_ends_is_compressed(scripted_compressing):
    client = compressed(scripted_compressing.client())
    client.ok("NOOP")
    scripted_compressing.stop()
    assert [line[:6] for line in client.rest()] == [b"* BYE "]


def test_mbsync_compresses_where_that_is_offered(tmp_path, dovecot, compressing, authority):
    if lacking := Mbsync.lacks():
        pytest.skip(lacking)
    user, octets = dovecot.new_user(), message("read-1", 200_000)
    dovecot.add_message(user, octets)
    mbsync = Mbsync(tmp_path / "mbsync", Place(compressing.tls_port, str(authority.ca_file), user, NEW_USER_PASSWORD))
    mbsync.sync()
    assert Maildir(mbsync.mail / "INBOX", mbsync.own_headers).body("read-1") == octets
    into, out, unpacked_in, unpacked_out = map(int, compressing.wait_log(
        rf"user={user} .*closing: .* in=(\d+) out=(\d+) .* unpacked_in=(\d+) unpacked_out=(\d+)\b").groups())
    assert 0 < unpacked_in and unpacked_out > len(octets) and out < unpacked_out / 2, into


# Large messages

@pytest.mark.parametrize("way", ["in clear", "TLS"])
@pytest.mark.parametrize(("kind", "size"), [("text", 10 << 20), ("noise", 1 << 20), ("one letter", 10 << 20)])
def test_large_messages_pass_both_ways(dovecot, compressing, trust, way, kind, size):
    lines = {"text": os.urandom(1 << 15).hex().encode(), "noise": os.urandom(1 << 16).replace(b"\0", b"0").replace(b"\r", b"0").replace(b"\n", b"0"),
             "one letter": b"A" * (1 << 16)}[kind]
    octets = b"Subject: large\r\n\r\n" + b"".join(lines[at % 60000:at % 60000 + 1000] + b"\r\n" for at in range(0, size, 1002))
    client = compressing.client(compressing.tls_port if way == "TLS" else None, tls=trust if way == "TLS" else None, timeout=PATIENCE_S)
    client.login(dovecot.new_user(), NEW_USER_PASSWORD)
    client.compress(level=1)
    assert_kept(client, octets)


# What goes wrong


def assert_ended(gateway, client, reason):
    """A BYE, compressed, and one line in the log that says why."""
    assert [line[:6] for line in client.rest()] == [b"* BYE "]
    assert f"closing: input that cannot be unpacked: {reason}" in closing(gateway, client)


def test_clear_text_behind_compress_ends_the_session(scripted, scripted_compressing):
    client = scripted_compressing.session()
    client.send(b"a COMPRESS DEFLATE\r\nb NOOP\r\n")
    assert client.wait("a").status == b"OK"
    client.wire.compress()
    assert_ended(scripted_compressing, client, "")
    assert "NOOP" not in [name for connection in scripted.connections for name in connection.names]


@pytest.mark.parametrize(("damage", "reason"), [
    (b"\x06", "invalid block type"), (b"\0\1\0\0\0", "invalid stored block lengths"), (b"\x01\0\0\xff\xff", "compressed data ends")])
@pytest.mark.parametrize("cut", [0, 1])
def test_damaged_data_ends_the_session_and_its_connection_is_not_kept(scripted, start_compressing, damage, reason, cut):
    lot = Lot(start_compressing(scripted.port, park={"per_user": 2}), scripted)
    client = compressed(lot.gateway.client())
    connection = lot.mark(client)
    client.ok("NOOP")
    client.wire.sock.sendall(damage[:cut])
    client.wire.sock.sendall(damage[cut:])
    assert_ended(lot.gateway, client, reason)
    lot.wait_closed(connection)


def test_random_octets_end_the_session_or_are_no_commands(scripted, scripted_compressing):
    """Deflate has no checksum: a few octets may come of anything, but they are framed as all others."""
    for seed in range(20):
        client = compressed(scripted_compressing.client())
        client.wire.sock.sendall(b"".join(hashlib.sha512(b"%d %d" % (seed, part)).digest() for part in range(64)))
        assert client.rest()[-1].startswith(b"* BYE ")
        assert re.search("closing: input that cannot be (unpacked|framed): ", closing(scripted_compressing, client))
    for connection in scripted.sessions:
        assert connection.names in (["LOGIN"], ["LOGIN", "LOGOUT"], ["CAPABILITY", "LOGIN"], ["CAPABILITY", "LOGIN", "LOGOUT"])


def bomb(octets, level=9):
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(octets) + packer.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize("way", ["in clear", "TLS"])
def test_a_bomb_of_commands_ends_the_session(dovecot, compressing, trust, way):
    client = compressed(compressing.client(compressing.tls_port if way == "TLS" else None, tls=trust if way == "TLS" else None))
    command = b'a LIST "" "%s"\r\n' % (b"x" * 1000)
    client.wire.sock.sendall(bomb(command * 10_000))
    answers = client.rest()
    assert answers[-1].startswith(b"* BYE ") and 0 < len(answers) < 2000
    assert "closing: input that cannot be unpacked: too much out of too little (a decompression bomb)" in closing(compressing, client)


def test_a_bomb_in_one_line_ends_the_session(scripted_compressing):
    client = compressed(scripted_compressing.client())
    client.wire.sock.sendall(bomb(b"a NOOP" + b" " * 10_000_000))
    assert_ended(scripted_compressing, client, "too much out of too little")


def test_a_bomb_in_a_string_ends_the_session(scripted, scripted_compressing):
    """Only messages are as large as they like."""
    scripted.on("SEARCH", "OK done")
    client = compressed(scripted_compressing.client())
    client.ok("SELECT INBOX")
    client.wire.sock.sendall(bomb(b"a SEARCH SUBJECT {10000000+}\r\n" + b"x" * 10_000_000 + b"\r\n"))
    assert_ended(scripted_compressing, client, "too much out of too little")


def test_pipelined_commands_with_long_arguments_are_no_bomb(scripted, scripted_compressing):
    scripted.on("UID FETCH", "OK done")
    client = compressed(scripted_compressing.client())
    client.ok("SELECT INBOX")
    items = b"(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM TO CC SUBJECT MESSAGE-ID REFERENCES)])"
    octets = b"".join(b"f%d UID FETCH %d %s\r\n" % (number, number, items) for number in range(15000))
    assert len(octets) > 1 << 20
    client.wire.sock.sendall(bomb(octets))
    left = {b"f%d" % number for number in range(15000)}
    while left:
        left.discard(client.response().split(b" ", 1)[0])


# Sessions and parked connections


def test_a_connection_is_parked_and_the_next_session_is_not_compressed(scripted, start_compressing):
    lot = Lot(start_compressing(scripted.port, park={"per_user": 2}), scripted)
    client = compressed(lot.gateway.client())
    client.ok("SELECT INBOX")
    first = lot.mark(client)
    assert lot.leave(client, first), "not parked"
    client, again = lot.land()
    assert again is first and client.wire.packed_in == 0
    client.compress()
    assert lot.mark(client) is first
    assert lot.leave(client, first, hang_up=True), "not parked"
    assert lot.land()[1] is first
    assert "COMPRESS" not in first.names and lot.logins == 1


def test_a_token_is_restored_warm_through_compression_and_without(dovecot, start_compressing):
    gateway = start_compressing(dovecot.plain_port, park={"per_user": 2})
    user = dovecot.new_user()
    client = compressed(gateway.client(), user, NEW_USER_PASSWORD)
    token = save(client, "ENABLE QRESYNC")
    assert log_out(gateway, client) == "no"
    client = gateway.session(user, NEW_USER_PASSWORD)
    restore(client, token)
    assert log_out(gateway, client) == "warm"
    client = compressed(gateway.client(), user, NEW_USER_PASSWORD)
    restore(client, token)
    client.ok("SELECT INBOX (QRESYNC (1 1))")
    assert log_out(gateway, client) == "warm"


def test_p12_a_token_is_good_where_the_same_list_was_given_and_compress_changes_nothing(scripted, start_gateway):
    """Compression is offered before the token is saved, and is part of what a client may have cached with it."""
    other = net.free_port()
    gateway = start_gateway(scripted.port, sections=[listener("compressing", other, **OFFERED)])
    in_clear, packed = save(gateway.session(listener_port=other), "ENABLE X-ONE"), save(compressed(gateway.client(other)), "ENABLE X-ONE")
    not_offered = save(gateway.session(), "ENABLE X-ONE")
    for token in (in_clear, packed):
        restore(compressed(gateway.client(other)), token)
        restore(gateway.session(listener_port=other), token)
        fail_to_restore(gateway.session(), token)
    fail_to_restore(compressed(gateway.client(other)), not_offered)
    restore(gateway.session(), not_offered)


def test_p12_a_token_of_format_1_does_not_tell_whether_compress_was_offered(scripted, start_gateway):
    """It is sealed, and checked, by the fingerprint of its time: an older gateway of the fleet shall open it."""
    other = net.free_port()
    gateway = start_gateway(scripted.port, sections=[listener("compressing", other, **OFFERED)], seal_format=1)
    offered, not_offered = save(gateway.session(listener_port=other), "ENABLE X-ONE"), save(gateway.session(), "ENABLE X-ONE")
    restore(gateway.session(), offered)
    restore(gateway.session(listener_port=other), not_offered)


def test_p16_unauthenticate_ends_it(start_scripted, start_compressing):
    scripted = start_scripted(caps_after=AFTER + " UNAUTHENTICATE")
    gateway = start_compressing(scripted.port)
    client = compressed(gateway.client())
    client.ok("NOOP")
    client.ok("UNAUTHENTICATE")
    client.wire.end_compression()
    client.bad("COMPRESS DEFLATE")
    compressed(client, "bob", "hunter2")
    client.ok("NOOP")
    assert [connection.user for connection in scripted.sessions] == ["ann", "bob"]
    assert re.search(r"unauthenticated \(.* unpacked_in=\d+ unpacked_out=\d+ ", gateway.log())


def test_p16_unauthenticate_without_a_flush_ends_the_connection(start_scripted, start_compressing):
    """Else the rest of the compressed data would be the beginning of the next command."""
    scripted = start_scripted(caps_after=AFTER + " UNAUTHENTICATE")
    gateway = start_compressing(scripted.port)
    client = compressed(gateway.client())
    client.wire.sock.sendall(client.wire.packed(b"u UNAUTHENTICATE\r\n")[:-2])
    received = b""
    while more := client.wire.sock.recv(4096):
        received += more
    assert re.fullmatch(rb".*\0\0\xff\xff\* BYE [^\r\n]+\r\n", received, re.S), "the OK, compressed, and a BYE in clear"
    assert gateway.wait_log("closing: UNAUTHENTICATE without a flush ")


def test_an_end_of_file_within_compressed_data_ends_the_session(scripted, scripted_compressing):
    client = compressed(scripted_compressing.client())
    client.ok("NOOP")
    client.wire.sock.sendall(client.wire.packed(b"n NOOP\r\n")[:4])
    client.wire.sock.shutdown(socket.SHUT_WR)  # close() is a reset, should an octet be unread
    assert scripted_compressing.wait_log(r"closing: client disconnected .*unpacked_in=")


def test_commands_sent_before_the_end_of_file_are_answered(scripted, scripted_compressing):
    client = compressed(scripted_compressing.client())
    client.send(b"".join(b"n%d NOOP\r\n" % number for number in range(500)))
    client.wire.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(Closed):
        for number in range(501):
            answer = client.response()
            assert answer.startswith(b"n%d OK" % number)
    assert answer.startswith(b"n499 OK")
