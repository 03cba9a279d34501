"""What the log says of sessions and of failed logins, in the forms that docs and fail2ban rely on."""
import base64
import pathlib
import re

import pytest

from harness.imap import literal, quoted
from harness.patience import let_pass
from harness.tokens import fail_to_restore, restore, save

SOURCE = pathlib.Path(__file__).resolve().parents[2]
END = re.compile(r"^\S+Z imapstated\[\d+\]: info: client=\w+ session=[0-9a-f]+\.[0-9a-f]+ from=127\.0\.0\.1:(?P<port>\d+) user=(?P<user>\S+) "
                 r"upstream=(?P<upstream>\S+) closing: (?P<reason>[^(]+) "
                 r"\(restored=(?P<restored>\w+) in=(?P<into>\d+) out=(?P<out>\d+) age=(?P<age>[0-9.]+)s address=\S+ login_time=\S+s\)$", re.M)
FAILED = re.compile(r"^\S+Z imapstated\[\d+\]: \w+: client=\w+ session=\S+ login failed: from=127\.0\.0\.1 port=(?P<port>\d+) user=(?P<user>\S+) "
                    r"mechanism=(?P<mechanism>\S+) upstream=main reason=(?P<reason>\S+)$", re.M)


def port_of(client):
    return client.wire.sock.getsockname()[1]


def end_of(gateway, port):
    """The one line about the end of the session from this port."""
    gateway.wait_log(rf"from=127\.0\.0\.1:{port} .*closing: ")
    line, = [match for match in END.finditer(gateway.log()) if int(match["port"]) == port]
    return line


def test_a_session_ends_with_one_line_that_counts_its_octets(scripted_gateway):
    client = scripted_gateway.session()
    client.ok("SELECT INBOX")
    client.ok("FETCH 1 BODY[]")
    port = port_of(client)
    client.send(b"z LOGOUT\r\n")
    client.rest()
    end = end_of(scripted_gateway, port)
    sent = b'a1 LOGIN "ann" "secret"\r\na2 SELECT INBOX\r\na3 FETCH 1 BODY[]\r\nz LOGOUT\r\n'
    assert (end["user"], end["upstream"], end["restored"], end["reason"]) == ("ann", "main", "no", "logout")
    assert (int(end["into"]), int(end["out"])) == (len(sent), len(client.wire.received))
    assert float(end["age"]) < 10


def test_the_line_tells_whether_the_state_was_restored(scripted_gateway):
    token = save(scripted_gateway.session(), "ENABLE X-ONE")
    for attempt, told in ((lambda client: restore(client, token), "cold"),
                          (lambda client: fail_to_restore(client, "garbage"), "no"),
                          (lambda client: client.ok("STATE"), "no")):
        client = scripted_gateway.session()
        attempt(client)
        port = port_of(client)
        client.logout()
        assert end_of(scripted_gateway, port)["restored"] == told


def test_a_client_that_hangs_up_has_another_reason_than_one_that_logs_out(scripted_gateway):
    client = scripted_gateway.session()
    port = port_of(client)
    client.close()
    assert end_of(scripted_gateway, port)["reason"] != "logout"


def test_an_upstream_that_hangs_up_has_a_reason_of_its_own(scripted, scripted_gateway):
    reasons = set()
    for who in ("upstream", "client"):
        client = scripted_gateway.session()
        client.ok("NOOP")
        port = port_of(client)
        if who == "upstream":
            scripted.sessions[-1].hang_up()
            assert [line[:6] for line in client.rest()] in ([b"* BYE "], [])
        client.close()
        reasons.add(end_of(scripted_gateway, port)["reason"])
    assert len(reasons) == 2


LOGINS = {
    "LOGIN": lambda user: b"LOGIN " + literal(user) + b" wrong",
    "PLAIN": lambda user: b"AUTHENTICATE PLAIN " + base64.b64encode(b"\0" + user.encode() + b"\0wrong"),
    "XOAUTH2": lambda user: b"AUTHENTICATE XOAUTH2 " + base64.b64encode(b"user=" + user.encode() + b"\x01auth=Bearer wrong\x01\x01"),
}


@pytest.mark.parametrize("mechanism", LOGINS)
def test_a_failed_login_is_told_in_a_form_that_fail2ban_can_match(scripted_gateway, mechanism):
    client = scripted_gateway.client()
    tag = client.start(LOGINS[mechanism]("ann"))
    if (response := client.response()).startswith(b"+"):
        client.send(b"\r\n")
        response = client.response()
    assert response.startswith(f"{tag} NO ".encode())
    scripted_gateway.wait_log("login failed: ")
    line, = FAILED.finditer(scripted_gateway.log())
    assert (int(line["port"]), line["user"], line["mechanism"], line["reason"]) == (port_of(client), "ann", mechanism, "refused")


def test_the_fail2ban_filter_knows_each_reason_that_the_docs_have_and_heeds_refused_alone():
    told = re.search(r"\*\*Each login that fails\*\*.*?\n\n\| reason.*?\n\n", (SOURCE / "docs/operations.md").read_text(), re.S).group()
    reasons = re.findall(r"^\| `(\w+)` \|", told, re.M)
    code = (SOURCE / "src/client/clientcounters.c").read_text()
    results = re.findall(r'"(\w+)"', re.search(r"login_result_names\[.*?\};", code, re.S).group())
    assert sorted(reasons) == sorted(set(results) - {"parked", "accepted"})
    rule = re.search(r"^failregex = (.*)$", (SOURCE / "packaging/fail2ban/imapstated.conf").read_text(), re.M).group(1)
    line = "2026-01-01T00:00:00.000Z imapstated[7]: info: client=4f2a session=0f.4f2a login failed: from=192.0.2.1 port=7 user=ann mechanism=PLAIN upstream=main reason="
    heeded = [reason for reason in reasons if re.search(rule.replace("<ADDR>", r"(?P<ip>\S+)"), line + reason)]
    assert heeded == ["refused"]


def test_every_failed_login_is_told(scripted_gateway):
    client = scripted_gateway.client()
    client.no("LOGIN ann wrong")
    client.no("LOGIN bob wrong")
    client.ok("LOGIN ann secret")
    assert [line["user"] for line in FAILED.finditer(scripted_gateway.log())] == ["ann", "bob"]


@pytest.mark.parametrize("user", [
    "a b", 'a"b', "a\\b", "Ünï", "x\nimapstated: login failed: from=192.0.2.1", "x\r\ny", "x\x1b[2J", "x user=root", "u" * 3000])
def test_nobody_can_forge_a_line_by_his_name(scripted_gateway, user):
    client = scripted_gateway.client()
    assert client.command(b"LOGIN " + literal(user) + b" wrong").status in (b"NO", b"BAD")
    client.ok(b"LOGIN " + quoted("ann") + b" secret")
    log = scripted_gateway.log()
    assert all(re.match(r"\S+Z imapstated\[\d+\]: (error|warning|info|debug): ", line) for line in log.split("\n") if line)
    assert log.isascii() and "\x1b" not in log and "\r" not in log
    assert len(FAILED.findall(log)) == log.count("login failed: from=127.0.0.1 ") <= 1


WHOSE = r"client=[0-9a-f]+ session=[0-9a-f]{16}\.[0-9a-f]+ (?:from=\S+ )?user=ann upstream=main "


def refuse_to_unselect(scripted):
    scripted.on("UNSELECT", "NO not now")


@pytest.mark.parametrize(("commands", "prepare", "settings", "why"), [
    (["NOOP"], None, {}, None),
    (["XYZZY"], None, {}, "doubt"),
    (["SELECT INBOX"], refuse_to_unselect, {}, "failed"),
    (["NOOP"], None, {"reauth_interval": "100ms"}, "reauth_interval"),
    (["NOOP"], None, {"per_user": 0}, "off"),
], ids=["parked", "doubt", "failed", "reauth_interval", "off"])
@pytest.mark.parametrize("hangs_up", [False, True], ids=["LOGOUT", "hangs up"])
def test_at_debug_it_tells_whose_connection_is_parked_or_why_not(scripted, start_gateway, commands, prepare, settings, why, hangs_up):
    gateway = start_gateway(scripted.port, park={"per_user": 2} | settings)
    if prepare:
        prepare(scripted)
    client = gateway.session()
    for command in commands:
        client.command(command)
    if why == "reauth_interval":
        let_pass(0.2)
    if not hangs_up:
        client.logout()
    client.close()
    gateway.wait_log(WHOSE + (f"park: not parked: {why}" if why else "park: parked, pristine"))
    gateway.wait_log("closing: ")
    assert gateway.log().count("park: ") == 1, "and nothing else"


def test_at_debug_it_tells_whose_parked_connection_has_ended(scripted, start_gateway):
    gateway = start_gateway(scripted.port, park={"per_user": 1})
    clients = [gateway.session() for _ in range(2)]
    for client in clients:
        client.ok("NOOP")
    for client in clients:
        client.logout()
    gateway.wait_log("user=ann upstream=main park: ended: the user has newer ones")
