"""Log lines that can be joined: the session's name in all of them, in the server's log too, and JSON for machines."""
import json
import os
import re
import subprocess
import sys
import threading

import pytest

from harness.gateway import program, upstream
from harness.imap import literal
from harness.net import LOOPBACK
from harness.parking import leave
from harness.unpacked import folder

SESSION = r"[0-9a-f]{16}\.[0-9a-f]+"
SOURCE = os.path.join(os.path.dirname(__file__), "..", "..")


def port_of(client):
    return client.wire.sock.getsockname()[1]


def objects(log):
    """What the lines say, each of them an object."""
    lines = [json.loads(line) for line in log.splitlines()]
    assert all(isinstance(line, dict) for line in lines)
    return lines


def about(gateway, event, port=None):
    """The line of that event, from the client with this port, when it has come."""
    wanted = rf'"from":"127\.0\.0\.1","port":{port or "[0-9]+"},.*"event":"{event}"|"event":"{event}".*"port":{port or "[0-9]+"},'
    gateway.wait_log(wanted)
    line, = [line for line in objects(gateway.log()) if line.get("event") == event and line["port"] == (port or line["port"])]
    return line


# One name for a session

def test_all_lines_of_a_session_have_its_name_and_no_other_has(scripted, start_gateway):
    gateway = start_gateway(scripted.port)
    names = {}
    for user in ("ann", "bob"):
        client = gateway.client()
        client.no(f"LOGIN {user} wrong")
        client.ok(f"LOGIN {user} {'secret' if user == 'ann' else 'hunter2'}")
        client.ok("STATE")
        client.ok("SAVESTATE")
        client.logout()
        gateway.wait_log(f"user={user} .*closing: logout(.|\n)*CLOSING -> DEAD")
        number = re.search(rf"client=(\w+) session=\S+ from=127\.0\.0\.1:{port_of(client)} ", gateway.log()).group(1)
        lines = re.findall(rf"^.* client={number} .*$", gateway.log(), re.M)
        found = {re.search(rf" session=({SESSION}) ", line).group(1) for line in lines}
        assert len(lines) > 10 and len(found) == 1
        for part in ("login failed: ", "login: ", "closing: ", "RESOLVING -> CONNECTING", " token="):
            assert any(part in line for line in lines), part
        names[user], = found
    assert names["ann"] != names["bob"]


def test_a_session_has_another_name_in_another_process(scripted, scripted_gateway):
    for _ in range(2):
        scripted_gateway.session().logout()
        scripted_gateway.wait_log("closing: logout")
        scripted_gateway.stop()
        scripted_gateway.start()
    first, second = re.findall(rf"client=(\w+) session=({SESSION}) .*closing: logout", scripted_gateway.log())
    assert first[0] == second[0] and first[1] != second[1]


def test_who_comes_after_unauthenticate_has_a_session_of_his_own(scripted, start_gateway):
    scripted.caps_after += " UNAUTHENTICATE"
    gateway = start_gateway(upstream(scripted.port, send_client_address="id"))
    client = gateway.session()
    client.ok("UNAUTHENTICATE")
    client.login("bob", "hunter2")
    client.logout()
    gateway.wait_log("closing: logout")
    lines = re.findall(rf"client=(\w+) session=({SESSION}) from=\S+ user=(\w+) upstream=main (?:closing|login): ", gateway.log())
    assert [line[2] for line in lines] == ["ann", "ann", "bob", "bob"] and len({line[0] for line in lines}) == 1
    assert lines[0][1] == lines[1][1] != lines[2][1] == lines[3][1]
    told = [re.search(rb'"x-session-id" "([^"]+)"', session.arguments("ID")[0]).group(1).decode() for session in scripted.sessions]
    assert told == [lines[0][1], lines[2][1]]


def test_dovecot_logs_the_session_by_the_same_name(dovecot, start_gateway):
    user, gateway = dovecot.new_user(), start_gateway(upstream(dovecot.plain_port, send_client_address="id"))
    client = gateway.session(user, "secret")
    client.ok("SELECT INBOX")
    client.logout()
    name = gateway.wait_log(rf"session=({SESSION}) from=\S+ user={user} upstream=main closing: logout").group(1)
    assert f"session=<{name}>" in dovecot.wait_log(rf".*imap-login: Info: (?:Login|Logged in): user=<{user}>.*").group(0)
    dovecot.wait_log(rf"imap\({user}\).*<{re.escape(name)}>.*(Logged out|Disconnected)")


def test_who_has_a_parked_connection_says_under_which_name_the_server_knows_it(scripted, start_gateway):
    gateway = start_gateway(upstream(scripted.port, send_client_address="id"), park={"per_user": 2})
    for _ in range(2):
        client = gateway.session()
        client.ok("NOOP")
        leave(gateway, client)
    ends = re.findall(rf"session=({SESSION}) .*closing: logout \((.*)\)", gateway.log())
    assert "upstream_session=" not in ends[0][1]
    assert re.search(rf"upstream_session=({SESSION}) ", ends[1][1]).group(1) == ends[0][0]
    assert scripted.sessions[0].arguments("ID")[0].count(ends[0][0].encode()) == 1


def test_what_a_trusted_client_calls_its_session_is_told_where_it_ends(scripted, start_gateway):
    gateway = start_gateway(upstream(scripted.port, send_client_address="id"), every_listener={"id_trusted_networks": "127.0.0.0/8"})
    client = gateway.client()
    client.ok('ID ("x-session-id" "web mail/7")')
    client.login("ann", "secret")
    client.logout()
    gateway.wait_log(r"closing: logout \(.* upstream_session=web\\x20mail/7 ")


# The login

def test_a_login_by_the_upstream_is_a_line_at_info(scripted, scripted_gateway, trust):
    client = scripted_gateway.client(scripted_gateway.tls_port, tls=trust)
    client.ok("AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=")
    version, cipher = client.wire.sock.version(), client.wire.sock.cipher()[0]
    scripted_gateway.wait_log(
        rf"info: client=\w+ session={SESSION} from=127\.0\.0\.1:{port_of(client)} user=ann upstream=main login: mechanism=PLAIN "
        rf"tls={re.escape(version)} cipher={cipher} accepted_by=upstream address=127\.0\.0\.1:{scripted.port} login_time=\d+\.\d{{3}}s\n")


def test_a_login_with_another_users_password_names_both(scripted, start_gateway):
    gateway = start_gateway(upstream(scripted.port, authorization_identity="pass"))
    gateway.client().ok("AUTHENTICATE PLAIN Ym9iAG1hc3RlcgBvZiBhbGw=")  # bob, by master
    gateway.wait_log(r"user=bob auth=master upstream=main login: mechanism=PLAIN tls=none accepted_by=upstream ")


def test_a_login_that_a_parked_connection_accepts_says_so(scripted, start_gateway):
    gateway = start_gateway(scripted.port, park={"per_user": 2})
    client = gateway.session()
    client.ok("NOOP")
    leave(gateway, client)
    seen = gateway.log_octets()
    gateway.session().logout()
    gateway.wait_log(rf"login: mechanism=LOGIN tls=none accepted_by=parked address=127\.0\.0\.1:{scripted.port} login_time=", since=seen)
    gateway.wait_log(rf"closing: logout \(.* age=\S+s address=127\.0\.0\.1:{scripted.port} login_time=\d\.\d{{3}}s\)", since=seen)


# JSON

NAMES = ["ann", "a b", 'a"b', "a\\b", "Ünï", "x\r\ny", "x\x1b[2J", '","reason":"refused"}', "u" * 3000]


def test_every_line_is_an_object_whoever_comes(scripted, start_gateway, trust):
    gateway = start_gateway(scripted.port, log_format="json")
    for name in NAMES:
        gateway.client().command(b"LOGIN " + literal(name) + b" wrong")
    gateway.session(listener_port=gateway.tls_port, tls=trust).ok("STATE")
    gateway.client().send(b"x NOOP a\rb\r\n")
    gateway.reload()
    gateway.wait_log('"message":"reloaded: ')
    gateway.stop()
    lines = objects(gateway.log())
    assert gateway.log().isascii()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) and isinstance(line["pid"], int) for line in lines)
    assert {line["level"] for line in lines} == {"debug", "info", "warning"}
    first = lines[0]  # a warning at start, of the configuration
    assert first["level"] == "warning" and first["message"].endswith("a key that ends with this process")
    failed = [line for line in lines if line.get("event") == "login failed"]
    assert [line["user"] for line in failed[:4]] == ["ann", "a\\x20b", "a\\x22b", "a\\x5cb"] and len(failed) <= len(NAMES)
    assert all(set(line) == {"time", "pid", "level", "client", "session", "event", "from", "port", "user", "mechanism", "upstream",
                             "reason"} for line in failed)


def test_each_datum_of_a_session_has_a_field(scripted, start_gateway, trust):
    gateway = start_gateway(scripted.port, log_format="json")
    client = gateway.session(listener_port=gateway.tls_port, tls=trust)
    client.ok("STATE")
    client.ok("SAVESTATE")
    client.logout()
    login, end = about(gateway, "login", port_of(client)), about(gateway, "closing", port_of(client))
    both = {"client", "session", "from", "port", "user", "upstream"}
    assert {name: login[name] for name in both} == {name: end[name] for name in both}
    assert re.fullmatch(SESSION, end["session"]) and (end["from"], end["user"], end["upstream"]) == (LOOPBACK, "ann", "main")
    assert (login["mechanism"], login["tls"], login["accepted_by"]) == ("LOGIN", "TLSv1.3", "upstream") and login["cipher"]
    assert login["address"] == end["address"] == f"{LOOPBACK}:{scripted.port}" and 0 <= login["login_time"] == end["login_time"]
    assert (end["reason"], end["restored"]) == ("logout", "no") and end["out"] == len(client.wire.received) and end["age"] >= 0
    token = about(gateway, "saved")
    assert token["session"] == end["session"] and re.fullmatch(r"[0-9a-f]{16}", token["token"])
    debug, = [line for line in objects(gateway.log()) if line.get("message") == "LOGGING_IN -> AUTHENTICATED"]
    assert debug["session"] == end["session"]


def test_who_has_no_name_is_null(scripted, start_gateway):
    gateway = start_gateway(scripted.port, log_format="json")
    gateway.client().logout()
    assert about(gateway, "closing")["user"] is None


def test_an_upstream_that_fails_is_told_with_the_session_that_wanted_it(scripted, start_gateway):
    gateway = start_gateway(scripted.port, log_format="json")
    scripted.stop_listening()
    gateway.client().no("LOGIN ann secret")
    failed = about(gateway, "login failed")
    line, = [line for line in objects(gateway.log()) if line.get("reason") == "Connection refused" and "session" in line]
    assert (line["level"], line["session"], line["upstream"]) == ("warning", failed["session"], "main")
    assert line["address"] == f"{LOOPBACK}:{scripted.port}"


# The journal

class Journal:
    """The gateway of a test once more, with a pipe that the environment calls the journal's, as systemd does it."""

    def __init__(self, config):
        read_end, write_end = os.pipe()
        status = os.fstat(write_end)
        self.process = subprocess.Popen((str(program("imapstated")), "-c", str(config)), stderr=write_end, stdin=subprocess.DEVNULL,
                                        env=os.environ | {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        os.close(write_end)
        self.text = ""
        self.is_ready = threading.Event()
        self.reader = threading.Thread(target=self._read, args=(read_end,), daemon=True)
        self.reader.start()

    def _read(self, read_end):
        with open(read_end, encoding="utf-8") as lines:
            for line in lines:
                self.text += line
                if "ready: " in line:
                    self.is_ready.set()
        self.is_ready.set()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0
        self.reader.join(60)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_journal_gets_priorities_and_nothing_twice(scripted, start_gateway, log_format):
    gateway = start_gateway(scripted.port, log_format=log_format)
    gateway.stop()
    journal = Journal(gateway.config_file)
    assert journal.is_ready.wait(60)
    gateway.session().logout()
    journal.stop()
    lines = journal.text.splitlines()
    assert all(re.match(r"<[467]>\S", line) for line in lines), journal.text
    assert "imapstated[" not in journal.text and not re.search(r"\d{4}-\d\d-\d\dT", journal.text)
    closing, = [line for line in lines if "closing" in line]
    if log_format == "text":
        assert re.match(rf"<6>client=\w+ session={SESSION} from=\S+ user=ann upstream=main closing: logout ", closing)
        assert re.match(r"<4>\S+: no keys_file: ", lines[0])
    else:
        assert all({"time", "pid"}.isdisjoint(json.loads(line[3:])) for line in lines)
        assert json.loads(closing[3:])["event"] == "closing" and json.loads(lines[0][3:])["level"] == "warning"


def test_a_configuration_that_cannot_be_used_is_an_error_in_the_journal(start_gateway, scripted):
    gateway = start_gateway(scripted.port)
    gateway.stop()
    gateway.config_file.write_text("workers = many\n")
    journal = Journal(gateway.config_file)
    assert journal.process.wait(60) == 1
    journal.reader.join(60)
    lines = journal.text.splitlines()
    assert lines and all(line.startswith(f"<3>{gateway.config_file}:") for line in lines)


# fail2ban itself

def banned(log):
    """Whom fail2ban finds in the log with our filter."""
    place = folder("fail2ban")
    found = subprocess.run(
        (sys.executable, "-W", "ignore", str(place / "usr/bin/fail2ban-regex"), "-c", str(place / "etc/fail2ban"), "-o", "ip", str(log),
         os.path.join(SOURCE, "packaging/fail2ban/imapstated.conf")),
        capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(place / "usr/lib/python3/dist-packages")})
    return found.stdout.split()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_fail2ban_finds_who_was_refused_and_nobody_else(scripted, start_gateway, tmp_path, log_format):
    gateway = start_gateway(scripted.port, log_format=log_format)
    for _ in range(2):
        gateway.client().no("LOGIN ann wrong")
    gateway.client().no(b"LOGIN " + literal('a "b\\') + b" wrong")
    gateway.session().logout()
    gateway.client().command("AUTHENTICATE PLAIN AAAA")  # malformed
    gateway.client().ok("LOGOUT")
    scripted.stop_listening()
    gateway.client().no("LOGIN ann wrong")  # unavailable
    gateway.stop()
    assert banned(gateway.log_file) == [LOOPBACK] * 3
    stripped = tmp_path / "syslog"  # what syslog's own beginning stands before
    beginning = r"^\S+Z imapstated\[\d+\]: \w+: " if log_format == "text" else r'(?<=^\{)"time":"[^"]*","pid":\d+,'
    lines = [f"Nov 24 04:30:42 mx imapstated[7]: {re.sub(beginning, '', line)}\n" for line in gateway.log().splitlines()]
    stripped.write_text("".join(lines))
    assert banned(stripped) == [LOOPBACK] * 3
