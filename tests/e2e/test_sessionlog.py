"""The line about the end of each session: its fields, and the reason for every way to end."""
import contextlib
import re
import socket
import threading

import pytest

from harness.gateway import Section, upstream
from harness.imap import Closed
from harness.net import LOOPBACK, free_port

END = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z imapstated\[\d+\]: info: client=(?P<client>[0-9a-f]+) session=(?P<session>[0-9a-f]{16}\.[0-9a-f]+) from=(?P<from>\S+) "
                 r"user=(?P<user>\S+) upstream=(?P<upstream>\S+) closing: (?P<reason>[a-z A-Z0-9_]+)(?:: (?P<detail>[^()]+))? "
                 r"\(restored=(?P<restored>no|cold|warm) in=(?P<into>\d+) out=(?P<out>\d+) age=(?P<age>\d+\.\d{3})s(?: address=(?P<address>\S+) login_time=(?P<login_time>\d+\.\d{3})s)?\)$", re.M)


def the_end(gateway):
    """The one line about the end of the one session that there was."""
    gateway.wait_log(" closing: ")
    line, = END.finditer(gateway.log())
    assert gateway.log().count("closing: ") == 1
    return line


def source_of(client):
    return "%s:%d" % client.wire.sock.getsockname()[:2]


def hear_out(client):
    with contextlib.suppress(Closed, OSError):
        while True:
            client.wire.fill()


def logout(client, scripted):
    client.ok("LOGOUT")


def hang_up(client, scripted):
    client.wire.sock.shutdown(socket.SHUT_RDWR)


def send_nonsense(client, scripted):
    client.send(b"x NOOP a\rb\r\n")


def forget_done(client, scripted):
    client.start("IDLE")
    client.continuation()
    client.send(b"x NOOP\r\n")


def send_an_endless_line(client, scripted):
    """In IDLE: a command's line of that length would cost the command only."""
    client.start("IDLE")
    client.continuation()
    with contextlib.suppress(OSError):
        client.send(b"x" * 70000)


def upstream_hangs_up(client, scripted):
    client.ok("NOOP")
    scripted.sessions[-1].hang_up()


def upstream_says_nonsense(client, scripted):
    scripted.on("CHECK", lambda connection, tag, arguments: connection.send(b"nonsense OK\r\n"))
    client.start("CHECK")


ENDINGS = {
    logout: ("logout", None),
    hang_up: ("client disconnected", None),
    send_nonsense: ("input that cannot be framed", "CR without LF"),
    forget_done: ("input that cannot be framed", "IDLE is not ended by DONE"),
    send_an_endless_line: ("input that cannot be framed", "line is longer than 64 KiB"),
    upstream_hangs_up: ("upstream closed", None),
    upstream_says_nonsense: ("answer that cannot be matched", None),
}


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
@pytest.mark.parametrize("is_secure", [False, True], ids=["in clear", "TLS"])
def test_each_way_to_end_has_its_reason(scripted, scripted_gateway, trust, ending, is_secure):
    listener = {"listener_port": scripted_gateway.tls_port, "tls": trust} if is_secure else {}
    client = scripted_gateway.session(**listener)
    source = source_of(client)
    ending(client, scripted)
    if ending is not hang_up:
        hear_out(client)
        client.close()
    end = the_end(scripted_gateway)
    reason, detail = ENDINGS[ending]
    assert (end["from"], end["user"], end["upstream"], end["restored"]) == (source, "ann", "main", "no")
    assert end["reason"] == reason and (detail is None or end["detail"] == detail), end.group()
    assert float(end["age"]) < 10


def too_much(client):
    with contextlib.suppress(OSError):
        client.send(b"x NOOP\r\n" * 9000)


BEFORE_LOGIN = {
    "logout": lambda client: client.ok("LOGOUT"),
    "client disconnected": lambda client: client.wire.sock.shutdown(socket.SHUT_RDWR),
    "too many failed logins": lambda client: [client.no("LOGIN ann wrong") for _ in range(3)],
    "too much input before login": too_much,
    "input that cannot be framed": lambda client: client.send(b"x NOOP\ry\r\n"),
}


@pytest.mark.parametrize("reason", BEFORE_LOGIN)
def test_who_has_not_logged_in_has_no_name(scripted_gateway, reason):
    client = scripted_gateway.client()
    BEFORE_LOGIN[reason](client)
    if reason != "client disconnected":
        hear_out(client)
        client.close()
    end = the_end(scripted_gateway)
    assert (end["user"], end["reason"], end["restored"]) == ("-", reason, "no")


def test_octets_are_counted_without_tls(scripted, scripted_gateway, trust):
    client = scripted_gateway.client(scripted_gateway.tls_port, tls=trust)
    sent = b"a LOGIN ann secret\r\nb FETCH 1 BODY[]\r\nc APPEND INBOX {5+}\r\nhello\r\nd LOGOUT\r\n"
    client.send(sent)
    client.wait("d")
    assert client.rest() == []
    client.close()
    end = the_end(scripted_gateway)
    assert (int(end["into"]), int(end["out"])) == (len(sent), len(client.wire.received))


def test_a_name_is_the_authorization_identity(scripted, start_gateway):
    gateway = start_gateway(upstream(scripted.port, authorization_identity="pass"))
    client = gateway.client()
    client.ok("AUTHENTICATE PLAIN Ym9iAG1hc3RlcgBvZiBhbGw=")  # bob, by master
    client.logout()
    gateway.wait_log(r"user=bob auth=master upstream=main closing: ")


def test_the_end_of_an_authenticated_session_is_told_at_unauthenticate_too(scripted, start_gateway):
    scripted.caps_after += " UNAUTHENTICATE"
    gateway = start_gateway(scripted.port)
    client = gateway.session()
    client.ok("UNAUTHENTICATE")
    client.login("bob", "hunter2")
    client.logout()
    gateway.wait_log("closing: logout")
    assert [(end["user"], end["reason"]) for end in END.finditer(gateway.log())] == [("ann", "unauthenticated"), ("bob", "logout")]


def test_each_octet_counts_for_one_session(scripted, start_gateway):
    scripted.caps_after += " UNAUTHENTICATE"
    gateway = start_gateway(scripted.port)
    client = gateway.client()
    counts = []
    for name in ("UNAUTHENTICATE", "LOGOUT"):
        before = len(client.wire.received) if counts else 0
        sent = b"a LOGIN ann secret\r\nb NOOP\r\nc %s\r\n" % name.encode()
        client.send(sent)
        client.wait("c")
        counts.append((len(sent), len(client.wire.received) - before))
    gateway.wait_log("closing: logout")
    assert [(int(end["into"]), int(end["out"])) for end in END.finditer(gateway.log())] == counts


def test_addresses_of_all_families(scripted, start_gateway, tmp_path):
    path, port = tmp_path / "imap.sock", free_port()
    sections = [Section("listener", "unix", address=f"unix:{path}", tls="none"),
                Section("listener", "six", address=f"[::1]:{port}", tls="none")]
    gateway = start_gateway(scripted.port, sections=sections)
    six = gateway.session(listener_port=("::1", port))
    source = "[::1]:%d" % six.wire.sock.getsockname()[1]
    six.logout()
    gateway.wait_log("closing: logout")
    gateway.session(listener_port=str(path)).logout()
    gateway.wait_log("from=unix.* closing: logout")
    first, second = END.finditer(gateway.log())
    assert first["from"] == source and second["from"].startswith("unix")


def test_the_address_is_the_one_that_the_proxy_tells(scripted, start_gateway):
    port = free_port()
    section = Section("listener", "proxied", address=f"{LOOPBACK}:{port}", tls="none", accept_proxy=True, trusted_networks="127.0.0.1")
    gateway = start_gateway(scripted.port, sections=[section])
    client = gateway.client(port, first=b"PROXY TCP4 192.0.2.7 192.0.2.1 4321 143\r\n")
    client.login("ann", "secret")
    client.logout()
    end = the_end(gateway)
    assert (end["from"], end["user"]) == ("192.0.2.7:4321", "ann")


def test_a_proxy_that_says_nonsense_is_told(scripted, start_gateway):
    port = free_port()
    section = Section("listener", "proxied", address=f"{LOOPBACK}:{port}", tls="none", accept_proxy=True, trusted_networks="127.0.0.1")
    gateway = start_gateway(scripted.port, sections=[section])
    gateway.client(port, first=b"a LOGIN ann secret\r\n", greet=False)
    assert the_end(gateway)["reason"] == "PROXY header missing or damaged"


def test_an_upstream_that_cannot_be_reached_is_told_with_its_address(scripted, scripted_gateway):
    scripted.stop_listening()
    client = scripted_gateway.client()
    client.no("LOGIN ann secret")
    scripted_gateway.wait_log(rf"warning: client=\w+ session=\S+ upstream=main address=127\.0\.0\.1:{scripted.port}: Connection refused")
    scripted_gateway.wait_log(r"login failed: from=127\.0\.0\.1 port=\d+ user=ann mechanism=LOGIN upstream=main reason=unavailable")


def test_lines_of_many_threads_do_not_mix(scripted, start_gateway):
    gateway = start_gateway(scripted.port, workers=4)

    def come_and_go():
        for _ in range(20):
            with contextlib.closing(gateway.session()) as client:
                client.logout()

    threads = [threading.Thread(target=come_and_go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gateway.stop()
    lines = gateway.log().splitlines()
    assert all(re.match(r"\S+Z imapstated\[\d+\]: (error|warning|info|debug): \S", line) for line in lines)
    ends = list(END.finditer(gateway.log()))
    assert len(ends) == len({end["client"] for end in ends}) == 120
