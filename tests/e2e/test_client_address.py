"""The client's address: taken from a PROXY header, and told to the upstream by ID or by a PROXY header of our own."""
import re
import socket
import ssl
import struct

import pytest

from harness import net
from harness.gateway import listener, upstream
from harness.imap import Closed, literal
from harness.net import Authority
from harness.patience import in_time
from harness.scripted import BEFORE

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 192.0.2.1 50122 143\r\n"
V1_V6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 50122 993\r\n"


def v2(source="192.0.2.7", destination="192.0.2.1", ports=(50122, 143), command=1, extra=b"", family=None):
    """A PROXY protocol header, version 2 (section 2.2)."""
    kind = socket.AF_INET6 if ":" in source else socket.AF_INET
    addresses = socket.inet_pton(kind, source) + socket.inet_pton(kind, destination) + struct.pack(">HH", *ports) + extra
    family = family if family is not None else 0x21 if kind == socket.AF_INET6 else 0x11
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack(">H", len(addresses)) + addresses


HEADERS = {
    "v1": (V1, "192.0.2.7"),
    "v1 IPv6": (V1_V6, "2001:db8::7"),
    "v2": (v2(), "192.0.2.7"),
    "v2 IPv6": (v2("2001:db8::7", "2001:db8::1"), "2001:db8::7"),
    "v2 with more behind the addresses": (v2(extra=b"\x04\x00\x05\0\0\0\0\0"), "192.0.2.7"),
    "v2 with a chain of certificates": (v2(extra=b"\x20\x1f\xfd" + b"x" * 0x1ffd), "192.0.2.7"),
    "v2 of a mapped address": (v2("::ffff:192.0.2.7", "::ffff:192.0.2.1"), "192.0.2.7"),
}
# The proxy says nothing of a client: then it is the client itself.
LOCAL = {
    "v1 unknown": b"PROXY UNKNOWN\r\n",
    "v1 unknown with addresses": b"PROXY UNKNOWN 192.0.2.7 192.0.2.1 1 2\r\n",
    "v2 local": SIGNATURE + b"\x20\x00\x00\x00",
    "v2 local with addresses": v2(command=0),
    "v2 unspecified": SIGNATURE + b"\x21\x00\x00\x00",
}
DAMAGED = {
    "none": b"a NOOP\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "lower case": b"proxy TCP4 192.0.2.7 192.0.2.1 50122 143\r\n",
    "too long": b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n",
    "LF alone": V1.replace(b"\r", b""),
    "no address": b"PROXY TCP4 mail.example.org 192.0.2.1 50122 143\r\n",
    "wrong family": b"PROXY TCP6 192.0.2.7 192.0.2.1 50122 143\r\n",
    "port": b"PROXY TCP4 192.0.2.7 192.0.2.1 70000 143\r\n",
    "one field more": b"PROXY TCP4 192.0.2.7 192.0.2.1 50122 143 1\r\n",
    "v2 version": SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12),
    "v2 command": SIGNATURE + b"\x22\x11\x00\x0c" + bytes(12),
    "v2 too short": SIGNATURE + b"\x21\x11\x00\x04" + bytes(4),
    "v2 a little too long": SIGNATURE + b"\x21\x11\x3f\xf1" + bytes(0x3ff1),
    "v2 too long": SIGNATURE + b"\x21\x11\xff\xff" + bytes(70000),
    "v2 signature": SIGNATURE[:-1] + b"X" + b"\x21\x11\x00\x0c" + bytes(12),
}


@pytest.fixture
def proxied(scripted, start_gateway, certificate):
    """A gateway whose listeners proxied_port and proxied_tls_port want a header."""
    accepts = {"accept_proxy": True, "trusted_networks": ["127.0.0.0/8", "::1"]}
    pair = {"tls_cert_file": str(certificate[0]), "tls_key_file": str(certificate[1])}
    ports = [net.free_port(), net.free_port()]
    gateway = start_gateway(scripted.port, sections=[
        listener("proxied", ports[0], **accepts), listener("proxied-tls", ports[1], tls="implicit", **accepts, **pair)])
    gateway.proxied_port, gateway.proxied_tls_port = ports
    return gateway


def assert_ended_unheard(client):
    try:
        assert client.wire.sock.recv(4096) == b""
    except ConnectionResetError:
        pass


# From the proxy

@pytest.mark.parametrize("header", HEADERS)
def test_the_address_in_the_header_is_the_clients(proxied, header):
    octets, address = HEADERS[header]
    client = proxied.client(proxied.proxied_port, first=octets)
    client.no("LOGIN ann wrong")
    client.ok("LOGIN ann secret")
    client.logout()
    shown = re.escape(f"[{address}]" if ":" in address else address)
    proxied.wait_log(rf"login failed: from={re.escape(address)} port=50122 user=ann ")
    proxied.wait_log(rf"from={shown}:50122 user=ann .*closing: logout")


@pytest.mark.parametrize("header", LOCAL)
def test_a_header_without_a_client_leaves_the_proxys_address(proxied, header):
    client = proxied.client(proxied.proxied_port, first=LOCAL[header])
    client.ok("LOGIN ann secret")
    client.logout()
    proxied.wait_log(r"from=127\.0\.0\.1:\d+ user=ann .*closing: logout")


@pytest.mark.parametrize("header", ["v1", "v1 IPv6", "v2", "v2 with more behind the addresses"])
def test_a_header_may_come_octet_by_octet(proxied, header):
    client = proxied.client(proxied.proxied_port, greet=False)
    client.send_bytewise(HEADERS[header][0])
    assert client.response().startswith(b"* OK ")
    client.ok("LOGIN ann secret")
    client.logout()
    proxied.wait_log(r"from=\S+:50122 user=ann ")


@pytest.mark.parametrize("header", ["v1", "v2", "v2 with more behind the addresses"])
def test_commands_may_stand_behind_the_header_in_the_same_segment(proxied, header):
    client = proxied.client(proxied.proxied_port, first=HEADERS[header][0] + b"a LOGIN ann secret\r\nb NOOP\r\n")
    assert [client.wait(tag).status for tag in "ab"] == [b"OK", b"OK"]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("header", [*HEADERS, *LOCAL])
def test_the_header_comes_before_tls(proxied, trust, header, at_once):
    """at_once: the handshake begins in the same segment, as a proxy that has waited for it sends it."""
    octets = LOCAL.get(header) or HEADERS[header][0]
    client = proxied.client(proxied.proxied_tls_port, greet=False)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    for part in [octets + outgoing.read()] if at_once else [octets, outgoing.read()]:
        client.send(part)
    heard = b""
    while not heard:
        incoming.write(client.wire.sock.recv(65536))
        try:
            tls.do_handshake()
            client.send(outgoing.read())
            heard = tls.read(65536)
        except ssl.SSLWantReadError:
            client.send(outgoing.read())
    assert heard.startswith(b"* OK ")


@pytest.mark.parametrize("header", ["v1", "v2 IPv6"])
def test_the_address_in_a_header_before_tls_is_the_clients(proxied, trust, header):
    client = proxied.client(proxied.proxied_tls_port, tls=trust, first=HEADERS[header][0])
    client.ok("LOGIN ann secret")
    client.logout()
    proxied.wait_log(r"from=\S+:50122 user=ann .*closing: logout")


def test_a_header_under_tls_is_none(proxied, trust):
    client = proxied.client(proxied.proxied_tls_port, greet=False)
    with pytest.raises((OSError, Closed)):
        client.wire.wrap(trust, server_hostname="localhost")
        client.send(V1)
        client.response()
    proxied.wait_log("closing: PROXY header missing or damaged")


@pytest.mark.parametrize("header", DAMAGED)
def test_a_damaged_header_ends_the_connection_without_a_word(proxied, header):
    client = proxied.client(proxied.proxied_port, greet=False)
    try:
        client.send(DAMAGED[header])
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert_ended_unheard(client)
    proxied.wait_log("closing: PROXY header missing or damaged")


def test_no_greeting_comes_before_the_header(proxied):
    client = proxied.client(proxied.proxied_port, greet=False)
    client.expect_silence()
    client.send(V1)
    assert client.response().startswith(b"* OK ")


def test_a_header_that_never_comes_ends_with_the_time_to_log_in(scripted, start_gateway):
    port = net.free_port()
    gateway = start_gateway(scripted.port, login_timeout="1s",
                            sections=[listener("proxied", port, accept_proxy=True, trusted_networks="127.0.0.1")])
    for beginning in (b"", V1[:20], SIGNATURE + b"\x21\x11\x00\x0c"):
        since = gateway.log_octets()
        assert_ended_unheard(in_time(0.9, lambda octets=beginning: gateway.client(port, greet=False, first=octets)))
        gateway.wait_log("closing: login timeout", since)


@pytest.mark.parametrize("octets", [b"", V1, b"a NOOP\r\n"])
def test_who_is_not_in_a_trusted_network_is_refused(scripted, start_gateway, octets):
    port = net.free_port()
    gateway = start_gateway(scripted.port, sections=[listener("proxied", port, accept_proxy=True, trusted_networks=["192.0.2.0/24", "127.0.0.2"])])
    client = gateway.client(port, greet=False)
    try:
        client.send(octets)
    except OSError:
        pass
    try:
        assert re.fullmatch(rb"(\* BYE [^\r\n]*\r\n)?", client.wire.sock.recv(4096))
        assert client.wire.sock.recv(4096) == b""
    except ConnectionResetError:
        pass
    assert not scripted.connections
    gateway.wait_log("not in trusted_networks")


def test_a_header_where_none_is_accepted_is_a_bad_command(proxied):
    client = proxied.client(first=b"PROXY TCP4 192.0.2.7 192.0.2.1 50122 143\r\n")
    assert client.response().startswith(b"PROXY BAD ")
    client.ok("LOGIN ann secret")
    client.logout()
    proxied.wait_log(r"from=127\.0\.0\.1:\d+ user=ann")
    assert "192.0.2.7" not in proxied.log()


def test_a_header_on_a_unix_socket_is_believed_where_it_is_trusted(scripted, start_gateway, tmp_path):
    path = tmp_path / "socket"
    gateway = start_gateway(scripted.port, sections=[listener("unix", 0, address=f"unix:{path}", accept_proxy=True, trusted_networks="unix")])
    client = gateway.client(path, first=V1)
    client.ok("LOGIN ann secret")
    client.logout()
    gateway.wait_log(r"from=192\.0\.2\.7:50122 user=ann")


def test_clients_behind_a_proxy_are_counted_by_their_own_address(scripted, start_gateway):
    port = net.free_port()
    gateway = start_gateway(scripted.port, max_clients_per_address=2,
                            sections=[listener("proxied", port, accept_proxy=True, trusted_networks="127.0.0.1")])
    kept = [gateway.client(port, first=v2(f"192.0.2.{number}", ports=(1000 + n, 143))) for number in (7, 8) for n in range(2)]
    third = gateway.client(port, greet=False, first=v2("192.0.2.7"))
    assert not [line for line in third.rest() if line.startswith(b"* OK")]
    gateway.wait_log("too many connections from this address")
    for client in kept:
        client.ok("LOGIN ann secret")
    kept[0].logout()
    kept[0].close()
    gateway.wait_log("closing: logout(.|\n)*CLOSING -> DEAD")
    gateway.client(port, first=v2("192.0.2.7"))


def test_silent_clients_behind_a_proxy_are_counted_by_their_own_address(scripted, start_gateway):
    port = net.free_port()
    gateway = start_gateway(scripted.port, max_unauthenticated_per_address=2,
                            sections=[listener("proxied", port, accept_proxy=True, trusted_networks="127.0.0.1")])
    silent = [gateway.client(port, first=v2(f"192.0.2.{number}")) for number in (7, 8) for _ in range(2)]
    silent += [gateway.client(port, first=v2(f"2001:db8::{number}", "2001:db8::1")) for number in (1, 2)]
    for address, local in (("192.0.2.7", "192.0.2.1"), ("2001:db8::3", "2001:db8::1")):
        third = gateway.client(port, greet=False, first=v2(address, local))
        assert not [line for line in third.rest() if line.startswith(b"* OK")]
        gateway.wait_log(re.escape(address) + r".*closing: too many connections from this address")
    silent[0].ok("LOGIN ann secret")
    gateway.client(port, first=v2("192.0.2.7"))
    for _ in range(5):  # the proxy itself, which is trusted
        assert gateway.client(port, first=b"PROXY UNKNOWN\r\n").greeting.startswith(b"* OK ")


# To the upstream, by ID

def ids(connection):
    return [arguments for arguments in connection.arguments("ID")]


def pairs(arguments):
    """The pairs of an ID's list, in order."""
    words = re.findall(rb'"((?:[^"\\]|\\.)*)"|(NIL)', arguments.strip(b"()"))
    flat = [re.sub(rb"\\(.)", rb"\1", word) if not nil else None for word, nil in words]
    return list(zip(flat[::2], flat[1::2]))


def said(arguments):
    """The same, but for the session's name and the hops that are left, which go with each address."""
    return [pair for pair in pairs(arguments) if pair[0] not in (b"x-session-id", b"x-proxy-ttl")]


@pytest.fixture
def telling(scripted, start_gateway):
    """A gateway that tells `scripted` the client's address by ID."""
    port = net.free_port()
    gateway = start_gateway(upstream(scripted.port, send_client_address="id"),
                            sections=[listener("proxied", port, accept_proxy=True, trusted_networks="127.0.0.1")])
    gateway.proxied_port = port
    return gateway


def test_the_first_id_before_login_has_the_clients_address(scripted, telling):
    client = telling.client(telling.proxied_port, first=V1)
    client.ok("LOGIN ann secret")
    session, = scripted.sessions
    first, = ids(session)
    assert dict(said(first)) == {b"x-originating-ip": b"192.0.2.7", b"x-originating-port": b"50122",
                                 b"x-connected-ip": b"192.0.2.1", b"x-connected-port": b"143"}
    assert session.names.index("ID") < session.names.index("LOGIN")


def test_the_clients_own_id_is_merged_into_it(scripted, telling):
    client = telling.client(telling.proxied_port, first=V1)
    assert client.ok('ID ("name" "mutt" "os" NIL "quote" "a\\"b\\\\c")').of("ID") == [b'* ID ("name" "foo2" "version" "2.0")\r\n']
    client.ok("LOGIN ann secret")
    first, = ids(scripted.sessions[0])
    assert said(first)[4:] == [(b"name", b"mutt"), (b"os", None), (b"quote", b'a"b\\c')]
    assert dict(pairs(first))[b"x-originating-ip"] == b"192.0.2.7"


@pytest.mark.parametrize("name", [
    "x-originating-ip", "X-Originating-IP", "x-originating-port", "x-connected-ip", "x-connected-port", "x-proxy-ttl", "x-session-id",
    "x-session-ext-id", "x-forward-user", "x-originating-anything", "x-forward-", "x-client-transport", "x-multiplex", "X-VIA",
    "x-connected-name", "x-", "X-anything"])
@pytest.mark.parametrize("form", ['"{}"', "{{{0}+}}\r\n{1}", "{}"])
def test_a_client_does_not_smuggle_an_address_of_its_own(scripted, telling, name, form):
    spelled = form.format(name) if "+" not in form else form.format(len(name), name)
    client = telling.client(telling.proxied_port, first=V1)
    client.ok(f'ID ("name" "x" {spelled} "203.0.113.66" "version" "1")')
    client.ok("LOGIN ann secret")
    first, = ids(scripted.sessions[0])
    assert b"203.0.113.66" not in b"".join(c.received for c in scripted.connections)
    assert [value for key, value in pairs(first) if key.lower() == b"x-originating-ip"] == [b"192.0.2.7"]
    assert (b"name", b"x") in pairs(first) and (b"version", b"1") in pairs(first)


def test_what_is_reserved_is_kept_back_where_no_address_is_told_too(scripted, scripted_gateway):
    """The gateway is in the upstream's trusted networks, so what passes it would be believed."""
    client = scripted_gateway.client()
    client.ok('ID ("x-originating-ip" "203.0.113.66" "name" "x")')
    client.ok("LOGIN ann secret")
    assert ids(scripted.sessions[0]) == [b'("name" "x")']


def test_values_cannot_break_out_of_their_quotes(scripted, telling):
    client = telling.client()
    client.ok(b'ID ("name" ' + literal('x" "x-originating-ip" "203.0.113.66') + b")")
    client.ok("LOGIN ann secret")
    first, = ids(scripted.sessions[0])
    assert (b"name", b'x" "x-originating-ip" "203.0.113.66') in pairs(first)
    assert dict(pairs(first))[b"x-originating-ip"] == b"127.0.0.1"


@pytest.mark.parametrize("value", [b'{3+}\r\na\r\n', b'"\xc3\xa4"', b'{2+}\r\n\r\n'])
def test_a_value_that_cannot_be_quoted_is_left_out(scripted, telling, value):
    client = telling.client()
    client.ok(b'ID ("name" ' + value + b' "version" "1")')
    client.ok("LOGIN ann secret")
    first, = ids(scripted.sessions[0])
    assert b"name" not in dict(pairs(first)) and dict(pairs(first))[b"version"] == b"1"


def test_an_upstream_without_id_gets_none_and_the_login_works(start_scripted, start_gateway):
    server = start_scripted(caps_before="IMAP4rev1 SASL-IR AUTH=PLAIN")
    start_gateway(upstream(server.port, send_client_address="id")).client().ok("LOGIN ann secret")
    assert "ID" not in server.sessions[0].names


@pytest.mark.parametrize("answer", ["NO never", "BAD what"])
def test_an_upstream_that_refuses_the_id_is_logged_in_to_all_the_same(scripted, telling, answer):
    scripted.on("ID", answer)
    telling.client().ok("LOGIN ann secret")


@pytest.mark.parametrize("said,passed", [
    ('("name" "x")', b'("name" "x")'),
    ('("NAME"  "x")', b'("NAME"  "x")'),
    ('("name" "x" "x-originating-ip" "203.0.113.66")', b'("name" "x")'),
    ('("name" {1}\r\nx)', b'("name" "x")'),
    ('({5+}\r\nX-VIA "203.0.113.66" "name" "x")', b'("name" "x")'),
    ('(x-multiplex NIL)', b"NIL"),
    ('("a\\"b" "x-y")', b'("a\\"b" "x-y")'),
])
def test_the_id_after_login_is_the_clients_own_without_what_is_not(scripted, telling, said, passed):
    """As it is, unless there is something to be left out, or to be read before that is known."""
    client = telling.session()
    client.ok("NOOP")
    answer = client.ok(f"ID {said}")
    assert answer.of("ID") == [b'* ID ("name" "foo2" "version" "2.0")\r\n']
    assert ids(scripted.sessions[0])[1:] == [passed]
    client.ok("NOOP")


@pytest.mark.parametrize("said,passed", [
    ('("x\\-via" "1" "name" "x")', b'("name" "x")'), ('("x-via" "1"', b"NIL"), ('("x-via")', b"NIL"), ('("name" "x")("x-via" "1")', b'("name" "x")'),
    ("(" + " ".join(['"x-a" "1"'] * 31) + ")", b"NIL"), ('("name" ("x-a" "1"))', b"NIL")])
def test_an_id_after_login_that_may_hide_something_goes_on_without_it(scripted, telling, said, passed):
    client = telling.session()
    client.ok("NOOP")
    client.ok(f"ID {said}")
    assert ids(scripted.sessions[0])[1:] == [passed]
    client.ok("NOOP")


def test_a_client_on_a_unix_socket_has_no_address_to_tell(scripted, start_gateway, tmp_path):
    path = tmp_path / "socket"
    gateway = start_gateway(upstream(scripted.port, send_client_address="id"), sections=[listener("unix", 0, address=f"unix:{path}")])
    client = gateway.client(path)
    client.ok('ID ("name" "x")')
    client.ok("LOGIN ann secret")
    first, = ids(scripted.sessions[0])
    assert b"x-originating-ip" not in first and (b"name", b"x") in pairs(first)


def test_an_upstream_without_id_is_told_of_once(start_scripted, start_gateway):
    server = start_scripted(caps_before=" ".join(name for name in BEFORE.split() if name != "ID"))
    gateway = start_gateway(upstream(server.port, send_client_address="id"))
    for _ in range(3):
        gateway.session().logout()
    assert gateway.log().count('warning: upstream=main: send_client_address = "id" has no effect') == 1


def test_nor_is_an_upstream_without_id_told_of_where_it_is_not_asked_for(start_scripted, start_gateway):
    server = start_scripted(caps_before="IMAP4rev1 AUTH=PLAIN")
    gateway = start_gateway(server.port)
    gateway.session().logout()
    assert "has no effect" not in gateway.log()


# From a host that speaks for its users

WEBMAIL = {"id_trusted_networks": ["127.0.0.1"]}


def says(address, port=None, more=""):
    return f'ID ("name" "webmail" "x-originating-ip" "{address}"' + (f' "x-originating-port" "{port}"' if port else "") + more + ")"


@pytest.fixture
def start_webmail(scripted, start_gateway):
    def start(send="id", target=None, settings=WEBMAIL, tls="none", more=None, **file):
        port = net.free_port()
        gateway = start_gateway(upstream(target or scripted.port, send_client_address=send),
                                sections=[listener("webmail", port, tls=tls, **settings, **(more or {}))], **file)
        gateway.webmail_port = port
        return gateway
    return start


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_the_address_that_a_trusted_host_says_is_the_clients(scripted, start_webmail, address):
    gateway = start_webmail()
    client = gateway.client(gateway.webmail_port)
    client.ok(says(address, 50122, ' "x-connected-ip" "192.0.2.1" "x-connected-port" "443"'))
    client.no("LOGIN ann wrong")
    client.ok("LOGIN ann secret")
    first, = ids(scripted.sessions[0])
    assert said(first) == [(b"x-originating-ip", address.encode()), (b"x-originating-port", b"50122"), (b"x-connected-ip", b"192.0.2.1"),
                            (b"x-connected-port", b"443"), (b"name", b"webmail")]
    client.logout()
    gateway.wait_log(rf"login failed: from={re.escape(address)} port=50122 user=ann ")
    shown = re.escape(f"[{address}]" if ":" in address else address)
    gateway.wait_log(rf"from={shown}:50122 user=ann .*closing: logout")


@pytest.mark.parametrize("address,told", [
    ("192.0.2.7", ("192.0.2.7", "127.0.0.1")), ("2001:db8::7", ("2001:db8::7", "::ffff:127.0.0.1"))])
def test_the_upstream_hears_of_it_by_a_proxy_header_too(start_scripted, start_webmail, address, told):
    server = start_scripted(proxy=True)
    gateway = start_webmail("proxy-v2", server.port)
    client = gateway.client(gateway.webmail_port)
    client.ok(says(address, 50122))
    client.ok("LOGIN ann secret")
    assert server.sessions[0].proxied == v2(*told, (50122, gateway.webmail_port))


def test_what_it_says_of_the_session_goes_up_with_the_address(scripted, start_webmail):
    gateway = start_webmail()
    client = gateway.client(gateway.webmail_port)
    client.ok(says("192.0.2.7", 1, ' "x-session-id" "s1" "x-session-ext-id" "e1" "x-proxy-ttl" "5" "x-multiplex" "0"'))
    client.ok("LOGIN ann secret")
    first, = ids(scripted.sessions[0])
    assert pairs(first)[4:] == [(b"x-proxy-ttl", b"4"), (b"x-session-id", b"s1"), (b"x-session-ext-id", b"e1"), (b"name", b"webmail")]


def test_a_loop_of_proxies_ends(scripted, start_webmail):
    gateway = start_webmail()
    client = gateway.client(gateway.webmail_port)
    client.start(says("192.0.2.7", 1, ' "x-proxy-ttl" "1"'))
    assert client.rest()[0].startswith(b"* BYE [UNAVAILABLE]")
    gateway.wait_log("closing: x-proxy-ttl is used up")


def test_what_goes_round_over_two_gateways_that_have_never_seen_a_server_ends(start_gateway):
    ports = [net.free_port(), net.free_port()]
    gateways = [start_gateway(upstream(ports[1 - i], connect_timeout="1s", send_client_address="id" if i else "none"),
                              sections=[listener("in", ports[i])]) for i in range(2)]
    assert gateways[0].client().no("LOGIN ann secret").code == b"UNAVAILABLE"  # while they wait for each other's greeting
    assert gateways[0].client().no("LOGIN ann secret").code == b"UNAVAILABLE"
    logs = gateways[0].log() + gateways[1].log()
    assert logs.count("READY -> LOGGING_IN") <= 2 * 5


@pytest.mark.parametrize("first_tells,second_tells", [("id", "id"), ("id", "none"), ("none", "id")])
def test_what_goes_round_over_two_gateways_ends(scripted, start_gateway, start_recorder, first_tells, second_tells):
    """It led to a server when they learned what that offers; then an address has changed. Neither trusts the other."""
    way = start_recorder(scripted.port)
    first = start_gateway(upstream(way.port, send_client_address=first_tells))
    second = start_gateway(upstream(first.plain_port, send_client_address=second_tells))
    client = second.client()
    client.ok('ID ("name" "x")')
    client.ok("LOGIN ann secret")
    client.logout()
    way.target_port = second.plain_port
    told = [gateway.log_octets() for gateway in (first, second)]
    assert second.client().no("LOGIN ann secret").code == b"UNAVAILABLE"
    logs = first.log(told[0]) + second.log(told[1])
    assert logs.count("closing: x-proxy-ttl is used up") == 1
    assert logs.count("NOT_AUTHENTICATED -> LOGGING_IN") <= 1 + 5  # who has asked, and the hops
    assert len(scripted.sessions) == 1


@pytest.mark.parametrize("settings", [{}, {"id_trusted_networks": ["192.0.2.0/24", "::1"]}])
def test_who_is_not_trusted_speaks_for_nobody(scripted, start_webmail, settings):
    gateway = start_webmail(settings=settings)
    client = gateway.client(gateway.webmail_port)
    client.ok(says("203.0.113.66", 1))
    client.ok("LOGIN ann secret")
    first, = ids(scripted.sessions[0])
    assert dict(pairs(first))[b"x-originating-ip"] == b"127.0.0.1" and b"203.0.113.66" not in first
    client.logout()
    gateway.wait_log(r"from=127\.0\.0\.1:\d+ user=ann .*closing: logout")


@pytest.mark.parametrize("words", ['"unknown"', '"192.0.2.1, 192.0.2.2"', '""', '"192.0.2.1:1"'])
def test_an_address_that_is_none_is_bad_and_leaves_all_as_it_was(scripted, start_webmail, words):
    gateway = start_webmail()
    client = gateway.client(gateway.webmail_port)
    client.bad(f'ID ("name" "x" "x-originating-ip" {words})')
    client.ok("LOGIN ann secret")
    first, = ids(scripted.sessions[0])
    assert dict(pairs(first))[b"x-originating-ip"] == b"127.0.0.1" and b"name" not in dict(pairs(first))
    gateway.wait_log("warning: .*x-originating-ip cannot be read in the ID of a trusted client")


@pytest.mark.parametrize("arguments", ["", "x", '("x-originating-ip" "192.0.2.9"', '("x-originating-ip" ("192.0.2.9"))'])
def test_an_id_of_a_trusted_client_that_cannot_be_read_is_bad(scripted, start_webmail, arguments):
    """What it says of its user would be lost otherwise, and nobody the wiser."""
    gateway = start_webmail()
    client = gateway.client(gateway.webmail_port)
    client.bad(f"ID {arguments}")
    client.ok("LOGIN ann secret")
    assert dict(pairs(ids(scripted.sessions[0])[0]))[b"x-originating-ip"] == b"127.0.0.1"


def test_the_last_address_said_before_login_counts_and_none_takes_it_back(scripted, start_webmail):
    gateway = start_webmail()
    client = gateway.client(gateway.webmail_port)
    client.ok(says("192.0.2.7", 1))
    client.ok(says("192.0.2.8", 2))
    client.ok('ID ("name" "another")')
    client.ok("LOGIN ann secret")
    first, = ids(scripted.sessions[0])
    assert pairs(first)[:2] == [(b"x-originating-ip", b"192.0.2.8"), (b"x-originating-port", b"2")] and said(first)[4:] == [(b"name", b"another")]


def test_after_login_nobody_is_believed(scripted, start_webmail):
    gateway = start_webmail()
    client = gateway.client(gateway.webmail_port)
    client.ok("LOGIN ann secret")
    client.ok(says("192.0.2.7", 1))
    assert ids(scripted.sessions[0])[1:] == [b'("name" "webmail")']
    client.logout()
    gateway.wait_log(r"from=127\.0\.0\.1:\d+ user=ann .*closing: logout")


def test_parked_connections_serve_the_user_at_the_same_address(scripted, start_webmail):
    gateway = start_webmail(park={"per_user": 5})
    logins = []
    for address in ("192.0.2.7", "192.0.2.7", "192.0.2.8", None, "192.0.2.7"):
        client = gateway.client(gateway.webmail_port)
        if address:
            client.ok(says(address))
        client.ok("LOGIN ann secret")
        client.ok("NOOP")
        since = gateway.log_octets()
        client.logout()
        client.close()
        gateway.wait_log("park: parked", since)
        logins.append(len(scripted.sessions))
    assert logins == [1, 1, 2, 3, 3]


def test_users_of_a_trusted_host_are_counted_by_their_own_address(scripted, start_webmail):
    gateway = start_webmail(max_clients_per_address=2)
    clients = [gateway.client(gateway.webmail_port) for _ in range(7)]
    for client, address in zip(clients, ["192.0.2.7"] * 2 + ["192.0.2.8"] * 2):
        client.ok(says(address))
    clients[0].ok(says("192.0.2.7", 5))  # again, and its own place is not another's
    clients[4].start(says("192.0.2.7"))
    assert clients[4].rest()[0].startswith(b"* BYE [UNAVAILABLE] ")
    gateway.wait_log("closing: too many connections from this address")
    clients[5].ok(says("192.0.2.9"))
    for client in clients[:4] + clients[5:]:
        client.ok("LOGIN ann secret")
    clients[0].logout()
    clients[0].close()
    gateway.wait_log("closing: logout(.|\n)*CLOSING -> DEAD")
    late = gateway.client(gateway.webmail_port)
    late.ok(says("192.0.2.7"))


def test_silent_users_of_a_trusted_host_are_counted_by_their_own_address(scripted, start_webmail):
    gateway = start_webmail(max_unauthenticated_per_address=1)
    clients = [gateway.client(gateway.webmail_port) for _ in range(4)]
    clients[0].ok(says("192.0.2.7"))
    clients[1].start(says("192.0.2.7"))
    assert clients[1].rest()[0].startswith(b"* BYE [UNAVAILABLE] ")
    gateway.wait_log("closing: too many connections from this address")
    clients[0].ok("LOGIN ann secret")
    clients[2].ok(says("192.0.2.7"))
    clients[3].ok("LOGIN ann secret")


def test_what_was_said_before_starttls_is_forgotten(scripted, start_webmail, certificate, trust):
    pair = {"tls_cert_file": str(certificate[0]), "tls_key_file": str(certificate[1])}
    gateway = start_webmail(tls="starttls", more=pair, max_clients_per_address=1)
    client = gateway.client(gateway.webmail_port)
    client.ok(says("192.0.2.7", 1))
    client.starttls(trust)
    another = gateway.client(gateway.webmail_port)  # its place is free again
    another.ok(says("192.0.2.7", 1))
    client.ok("LOGIN ann secret")
    first, = ids(scripted.sessions[0])
    assert dict(pairs(first))[b"x-originating-ip"] == b"127.0.0.1" and b"webmail" not in first
    client.logout()
    gateway.wait_log(r"from=127\.0\.0\.1:\d+ user=ann .*closing: logout")


def test_what_was_said_under_tls_counts(scripted, start_webmail, certificate, trust):
    pair = {"tls_cert_file": str(certificate[0]), "tls_key_file": str(certificate[1])}
    gateway = start_webmail(tls="starttls", more=pair)
    client = gateway.client(gateway.webmail_port)
    client.starttls(trust)
    client.ok(says("192.0.2.7", 1))
    client.ok("LOGIN ann secret")
    assert dict(pairs(ids(scripted.sessions[0])[0]))[b"x-originating-ip"] == b"192.0.2.7"


def test_another_user_after_unauthenticate_has_another_address(start_scripted, start_webmail):
    server = start_scripted(caps_after="IMAP4rev1 ID UNAUTHENTICATE")
    gateway = start_webmail(target=server.port)
    client = gateway.client(gateway.webmail_port)
    client.ok(says("192.0.2.7", 1))
    client.ok("LOGIN ann secret")
    client.ok("UNAUTHENTICATE")
    client.ok("LOGIN bob hunter2")
    assert [dict(pairs(ids(session)[0]))[b"x-originating-ip"] for session in server.sessions] == [b"192.0.2.7", b"127.0.0.1"]


def test_a_host_behind_a_balancer_is_trusted_by_its_own_address(scripted, start_webmail):
    gateway = start_webmail(settings={"id_trusted_networks": ["192.0.2.80"], "accept_proxy": True, "trusted_networks": "127.0.0.1"})
    for source, believed in (("192.0.2.80", b"198.51.100.9"), ("192.0.2.81", b"192.0.2.81")):
        client = gateway.client(gateway.webmail_port, first=v2(source))
        client.ok(says("198.51.100.9", 1))
        client.ok("LOGIN ann secret")
        assert dict(pairs(ids(scripted.sessions[-1])[0]))[b"x-originating-ip"] == believed


def test_a_host_on_a_unix_socket_may_be_trusted(scripted, start_gateway, tmp_path):
    path = tmp_path / "socket"
    gateway = start_gateway(upstream(scripted.port, send_client_address="id"),
                            sections=[listener("unix", 0, address=f"unix:{path}", id_trusted_networks="unix")])
    client = gateway.client(path)
    client.ok(says("192.0.2.7", 9))
    client.ok("LOGIN ann secret")
    assert said(ids(scripted.sessions[0])[0]) == [(b"x-originating-ip", b"192.0.2.7"), (b"x-originating-port", b"9"), (b"name", b"webmail")]
    client.logout()
    gateway.wait_log(r"from=192\.0\.2\.7:9 user=ann")


# To Dovecot, both ways

def login_line(dovecot, user):
    return dovecot.wait_log(rf".*imap-login: Info: (?:Login|Logged in): user=<{user}>.*").group(0)


@pytest.mark.parametrize("header,address", [(V1, "192.0.2.7"), (V1_V6, "2001:db8::7"), (b"PROXY UNKNOWN\r\n", "127.0.0.1")])
@pytest.mark.parametrize("way", ["id", "proxy-v2"])
def test_dovecot_believes_the_address(dovecot, start_gateway, way, header, address):
    target, port, user = dovecot.plain_port if way == "id" else dovecot.proxied_port, net.free_port(), dovecot.new_user()
    gateway = start_gateway(upstream(target, send_client_address=way),
                            sections=[listener("proxied", port, accept_proxy=True, trusted_networks="127.0.0.1")])
    client = gateway.client(port, first=header)
    client.ok("ID NIL")
    client.ok(f"LOGIN {user} secret")
    client.ok("SELECT INBOX")
    assert f"rip={address}," in login_line(dovecot, user)


@pytest.mark.parametrize("way", ["id", "proxy-v2"])
def test_dovecot_believes_the_address_that_a_webmail_host_has_said(dovecot, start_webmail, way):
    user = dovecot.new_user()
    gateway = start_webmail(way, dovecot.plain_port if way == "id" else dovecot.proxied_port)
    client = gateway.client(gateway.webmail_port)
    client.ok(says("198.51.100.9", 4711))
    client.ok(f"LOGIN {user} secret")
    assert "rip=198.51.100.9," in login_line(dovecot, user)


def test_dovecot_does_not_believe_the_client(dovecot, start_gateway):
    user, gateway = dovecot.new_user(), start_gateway(upstream(dovecot.plain_port, send_client_address="id"))
    client = gateway.client()
    client.ok('ID ("x-originating-ip" "203.0.113.66" "x-originating-port" "1" "name" "x")')
    client.ok(f"LOGIN {user} secret")
    assert "rip=127.0.0.1," in login_line(dovecot, user)
    assert "203.0.113.66" not in dovecot.log()


def test_dovecot_logs_the_address_of_a_failed_login(dovecot, start_gateway):
    port, user = net.free_port(), dovecot.new_user()
    gateway = start_gateway(upstream(dovecot.proxied_port, send_client_address="proxy-v2"),
                            sections=[listener("proxied", port, accept_proxy=True, trusted_networks="127.0.0.1")])
    client = gateway.client(port, first=v2("198.51.100.9"))
    client.no(f"LOGIN {user} wrong")
    client.logout()
    dovecot.wait_log(rf"{user},198\.51\.100\.9")


# To the upstream, by PROXY header

def test_the_header_to_the_upstream_has_the_clients_address(start_scripted, start_gateway):
    server, port = start_scripted(proxy=True), net.free_port()
    gateway = start_gateway(upstream(server.port, send_client_address="proxy-v2"),
                            sections=[listener("proxied", port, accept_proxy=True, trusted_networks="127.0.0.1")])
    for header, told in ((V1, v2()), (V1_V6, v2("2001:db8::7", "2001:db8::1", (50122, 993))), (b"PROXY UNKNOWN\r\n", None)):
        client = gateway.client(port, first=header)
        client.ok("LOGIN ann secret")
        own = client.wire.sock.getsockname()[1]
        assert server.sessions[-1].proxied == (told or v2("127.0.0.1", "127.0.0.1", (own, port)))


def test_a_client_on_a_unix_socket_is_local_to_the_upstream(start_scripted, start_gateway, tmp_path):
    server, path = start_scripted(proxy=True), tmp_path / "socket"
    gateway = start_gateway(upstream(server.port, send_client_address="proxy-v2"), sections=[listener("unix", 0, address=f"unix:{path}")])
    gateway.client(path).ok("LOGIN ann secret")
    assert server.sessions[0].proxied == SIGNATURE + b"\x20\x00\x00\x00"


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_the_header_to_the_upstream_comes_before_tls(start_scripted, start_gateway, certificate, authority, tls):
    server = start_scripted(proxy=True, tls=tls, context=Authority.server_context(certificate), caps_before="IMAP4rev1 STARTTLS AUTH=PLAIN")
    gateway = start_gateway(upstream(server.port, tls=tls, send_client_address="proxy-v2", tls_ca_file=str(authority.ca_file)))
    client = gateway.client()
    client.ok("LOGIN ann secret")
    own = client.wire.sock.getsockname()[1]
    assert server.sessions[0].proxied == v2("127.0.0.1", "127.0.0.1", (own, gateway.plain_port))


def test_every_client_has_a_header_of_its_own(start_scripted, start_gateway):
    """The connection that was made for the greeting of one is never used for the login of another."""
    server = start_scripted(proxy=True)
    gateway = start_gateway(upstream(server.port, send_client_address="proxy-v2"))
    clients = [gateway.client() for _ in range(4)]
    for client in reversed(clients):
        client.ok("LOGIN ann secret")
        assert server.sessions[-1].proxied == v2("127.0.0.1", "127.0.0.1", (client.wire.sock.getsockname()[1], gateway.plain_port))
