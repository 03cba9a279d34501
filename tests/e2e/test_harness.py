"""The harness itself, without the gateway: what the other tests take for granted."""
import base64
import imaplib
import socket
import threading

import pytest

from harness import net
from harness.cyrus import CANNOT_BE
from harness.gateway import Section, render
from harness.imap import Client, Closed, capabilities, literal, quoted
from harness.patience import PATIENCE_S
from harness.scripted import CLOSE, ENABLE_HABITS, Scripted
from harness.server import USERS, message


@pytest.mark.parametrize("user", sorted(USERS))
def test_dovecot_lets_every_user_in_with_his_odd_password(dovecot, connect, user):
    client = connect(dovecot.plain_port)
    response = base64.b64encode(f"\0{user}\0{dovecot.users[user]}".encode()).decode()
    assert b"QRESYNC" in capabilities(client.ok(f"AUTHENTICATE PLAIN {response}").tagged)


@pytest.mark.parametrize("user", CANNOT_BE)
def test_cyrus_takes_no_such_user(cyrus, connect, user):
    cyrus.add_user(user, "secret")
    response = base64.b64encode(f"\0{user}\0secret".encode()).decode()
    connect(cyrus.plain_port).no(f"AUTHENTICATE PLAIN {response}")


def test_dovecot_lets_the_master_user_act_for_another(dovecot, connect):
    client = connect(dovecot.plain_port)
    response = base64.b64encode(b"ann\0master\0of all").decode()
    client.ok(f"AUTHENTICATE PLAIN {response}")
    dovecot.wait_log("Master user logging in as ann")


@pytest.mark.parametrize("mechanism,form", [
    ("XOAUTH2", "user={user}\1auth=Bearer {token}\1\1"), ("OAUTHBEARER", "n,a={user},\1auth=Bearer {token}\1\1")])
def test_dovecot_checks_bearer_tokens(dovecot, connect, mechanism, form):
    for token, status in ((dovecot.jwt("ann"), b"OK"), (dovecot.jwt("ann", lifetime_s=-60), b"NO")):
        client = connect(dovecot.plain_port)
        initial = base64.b64encode(form.format(user="ann", token=token).encode()).decode()
        tag = client.start(f"AUTHENTICATE {mechanism} {initial}")
        if status == b"NO":
            client.continuation()
            client.send(b"\r\n")
        assert client.wait(tag).status == status


def test_dovecot_speaks_tls_both_ways_with_the_private_certificate(dovecot, connect, trust):
    connect(dovecot.tls_port, tls=trust).login("ann", "secret")
    client = connect(dovecot.plain_port)
    client.starttls(trust)
    client.login("ann", "secret")


@pytest.mark.every_server
def test_what_a_server_logs_is_shown_when_a_test_fails(server):
    user = server.new_user()
    server.client(user).close()
    server.wait_log(rf"(?i)login.*\b{user}\b")
    assert user in server.exhibit()[1]


@pytest.mark.parametrize("name", ["cyrus", "courier"])
def test_a_server_that_is_unpacked_takes_no_password_before_tls(request, connect, trust, name):
    server = request.getfixturevalue(name)
    client = connect(server.starttls_port)
    client.no("LOGIN ann secret")
    client.starttls(trust)
    client.login("ann", "secret")
    connect(server.tls_port, tls=trust).login("ann", "secret")


def test_dovecot_believes_a_proxy_header(dovecot, connect):
    client = connect(dovecot.proxied_port, first=b"PROXY TCP4 192.0.2.7 192.0.2.1 50122 143\r\n")
    client.login("ann", "secret")
    dovecot.wait_log(r"rip=192\.0\.2\.7")


def test_a_message_of_30_mb_comes_through_whole(dovecot, connect):
    user = dovecot.new_user()
    big = dovecot.add_message(user, message("Big", 30_000_000))
    client = connect(dovecot.plain_port)
    client.login(user, "secret")
    assert client.ok("SELECT INBOX").of("EXISTS") == [b"* 1 EXISTS\r\n"]
    answer = client.ok("FETCH 1 BODY[]")
    assert len(answer.of("FETCH")) == 1
    assert big in answer.of("FETCH")[0]


def test_dovecot_has_notify_and_metadata(dovecot, connect):
    client = connect(dovecot.plain_port)
    client.login(dovecot.new_user(), "secret")
    client.ok("NOTIFY SET (personal (MessageNew MessageExpunge))")
    client.ok('SETMETADATA INBOX (/private/comment "x")')


def test_the_scripted_upstream_never_reads_what_it_had_not_read_when_it_hung_up(scripted, connect):
    """Else it would seem to a test that a command ran here as well as where the gateway has sent it since."""
    go_on, came_to = threading.Event(), []

    def read_late(connection):
        connection.send("* OK slow\r\n")
        go_on.wait(PATIENCE_S)
        try:
            came_to.append(connection.command())
        except Closed as closed:
            came_to.append(closed)

    scripted.script = read_late
    connect(scripted.port).start("NOOP")
    connection = scripted.wait_for(lambda: scripted.connections[0])
    scripted.wait_for(lambda: b"NOOP" in connection.wire.peek())
    connection.hang_up()
    go_on.set()
    scripted.wait_for(lambda: came_to)
    assert isinstance(came_to[0], Closed) and connection.names == []


def test_a_port_that_was_found_free_stays_free_for_whoever_listens_on_it(connect):
    port = net.free_port()
    for address in (net.LOOPBACK, "::1"):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as other:
            with pytest.raises(OSError):
                other.bind((address, port))  # nobody's by chance
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, port), PATIENCE_S)
    server = Scripted(listen=False)
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            connect(server.port)
        server.listen()
        connect(server.port).ok("NOOP")
        server.stop_listening()
    server.stop()


def test_imaplib_gets_on_with_the_scripted_upstream(scripted):
    client = imaplib.IMAP4("127.0.0.1", scripted.port)
    client.login("ann", "secret")
    assert client.select("INBOX") == ("OK", [b"3"])
    assert client.fetch("1", "(FLAGS BODY[])")[1][0][1] == b"Hello world!"
    client.logout()
    assert scripted.sessions[0].names == ["CAPABILITY", "LOGIN", "SELECT", "FETCH", "LOGOUT"]


@pytest.mark.parametrize("command", [
    b'LOGIN ann secret', b'LOGIN "ann" "secret"', b"LOGIN {3+}\r\nann {6+}\r\nsecret", b"AUTHENTICATE PLAIN AGFubgBzZWNyZXQ="])
def test_the_scripted_upstream_logs_in_by(scripted, connect, command):
    answer = connect(scripted.port).ok(command)
    assert b"NOTIFY" in capabilities(answer.tagged)


def test_the_scripted_upstream_checks_passwords(scripted, connect):
    client = connect(scripted.port)
    client.no("LOGIN ann wrong")
    assert not scripted.sessions
    client.ok("LOGIN ann secret")
    assert scripted.sessions[0].user == "ann"


def test_the_scripted_upstream_asks_for_synchronizing_literals(scripted, connect):
    client = connect(scripted.port)
    client.send(b"a LOGIN {3}\r\n")
    client.continuation()
    client.send(b"ann {6}\r\n")
    client.continuation()
    client.send(b"secret\r\n")
    assert client.wait("a").status == b"OK"
    assert scripted.sessions[0].commands[-1] == ("a", "LOGIN", b"{3}\r\nann {6}\r\nsecret")


def test_the_scripted_upstream_notices_octets_behind_a_login(start_scripted, connect):
    server = start_scripted()
    client = connect(server.port)
    client.send(b"a LOGIN ann secret\r\nb NOOP\r\n")
    client.wait("b")
    assert server.errors.pop() == "octets arrived behind LOGIN before its answer"


def test_the_scripted_upstream_answers_as_told(scripted, connect):
    client = connect(scripted.port)
    client.login("ann", "secret")
    scripted.on("NOTIFY", "NO not today", times=1)
    scripted.on("NOOP", "* 5 EXISTS", "OK [ALERT] full")
    scripted.on("CHECK", CLOSE)
    assert client.no("NOTIFY NONE").text == b"not today"
    client.ok("NOTIFY NONE")
    answer = client.ok("NOOP")
    assert (answer.of("EXISTS"), answer.code) == ([b"* 5 EXISTS\r\n"], b"ALERT")
    client.start("CHECK")
    with pytest.raises(Closed):
        client.response()


def test_the_scripted_upstream_is_scripted_by_hand(scripted, connect):
    heard = threading.Event()

    def script(connection):
        connection.send(b"* OK by hand\r\n")
        assert connection.command() == ("x", "NOOP", b"")
        heard.set()
        connection.send(b"x OK done\r\n")

    scripted.script = script
    client = connect(scripted.port)
    assert client.greeting == b"* OK by hand\r\n"
    client.ok("NOOP", tag="x")
    assert heard.is_set() and client.rest() == []


@pytest.mark.parametrize("habit,answers", [
    ("dovecot", ["* ENABLED QRESYNC", "* ENABLED QRESYNC", None]),
    ("stalwart", ["* ENABLED QResync", "* ENABLED QRESYNC", None]),
    ("wildduck", ["* ENABLED QResync", "* ENABLED QRESYNC", "* ENABLED"]),
    ("mox", ["* ENABLED QRESYNC CONDSTORE", "* ENABLED QRESYNC CONDSTORE", "* ENABLED"]),
    ("cyrus", ["* ENABLED QRESYNC CONDSTORE", "* ENABLED", "* ENABLED"]),
    ("courier", ["* ENABLED QRESYNC", "* ENABLED QRESYNC", "* ENABLED QRESYNC"]),
    ("lower", ["* ENABLED qresync", "* ENABLED qresync", "* ENABLED "]),
])
def test_the_scripted_upstream_has_the_enable_habit_of(start_scripted, connect, habit, answers):
    client = connect(start_scripted(enable=habit).port)
    client.login("ann", "secret")
    for arguments, answer in zip(("QResync", "QRESYNC", "NONSENSE"), answers):
        lines = client.ok(f"ENABLE {arguments}").of("ENABLED")
        assert lines == ([] if answer is None else [answer.rstrip().encode() + b"\r\n"])
    assert habit in ENABLE_HABITS


@pytest.mark.parametrize("way,codes,lines", [("code", 1, 0), ("untagged", 0, 1), ("none", 0, 0)])
def test_the_scripted_upstream_gives_its_list_with_the_login(start_scripted, connect, way, codes, lines):
    answer = connect(start_scripted(caps_login=way).port).login("ann", "secret")
    assert (answer.code.count(b"CAPABILITY"), len(answer.of("CAPABILITY"))) == (codes, lines)


def test_the_scripted_upstream_speaks_tls(start_scripted, authority, certificate, trust, connect):
    context = authority.server_context(certificate)
    connect(start_scripted(tls="implicit", context=context).port, tls=trust).login("ann", "secret")
    client = connect(start_scripted(tls="starttls", context=context).port)
    client.starttls(trust)
    client.login("ann", "secret")


def test_the_scripted_upstream_relays_cram_md5_for_those_who_know(scripted):
    client = imaplib.IMAP4("127.0.0.1", scripted.port)
    with pytest.raises(imaplib.IMAP4.error):
        client.login_cram_md5("ann", "wrong")
    client.login_cram_md5("ann", "secret")
    assert scripted.sessions[0].user == "ann"


def test_the_client_takes_no_literal_from_human_text(scripted, connect):
    client = connect(scripted.port)
    scripted.on("NOOP", "* OK it ends in {12}", "OK so does {5}")
    answer = client.ok("NOOP")
    assert (answer.untagged, answer.text) == ([b"* OK it ends in {12}\r\n"], b"so does {5}")


def test_strings_are_quoted_and_literals_counted():
    assert quoted('a"b\\') == b'"a\\"b\\\\"'
    assert literal("Ünï") == b"{5+}\r\n" + "Ünï".encode()


def test_configurations_are_written_in_the_syntax_of_libconfuse():
    text = render([Section("listener", "a", address=["x", "y"], require_tls=True)], {"workers": 2, "keys_file": 'a"b\\'})
    assert text == 'workers = 2\nkeys_file = "a\\"b\\\\"\nlistener "a" {\n  address = { "x", "y" }\n  require_tls = true\n}\n'


def test_the_client_reports_a_server_that_hangs_up(scripted):
    with Client(scripted.port) as client:
        scripted.drop_all()
        with pytest.raises(Closed):
            client.response()


@pytest.mark.parametrize("over", ["clear", "TLS"])
def test_the_recorder_counts_what_a_client_waited_for(dovecot, connect, start_recorder, certificate, trust, over):
    recorder = start_recorder(dovecot.plain_port, certificate if over == "TLS" else None)
    client = connect(recorder.port, tls=trust if over == "TLS" else None)
    client.send(b"a AUTHENTICATE PLAIN\r\n")
    client.continuation()
    client.send(base64.b64encode(b"\0ann\0secret") + b"\r\n")
    client.wait("a")
    client.send(b"b NOOP\r\nc NAMESPACE\r\n")
    client.wait("c")
    client.ok("SELECT INBOX")
    client.ok("UID FETCH 1:* FLAGS")
    recording, = recorder.recordings
    assert recording.names() == [["AUTHENTICATE"], ["..."], ["NOOP", "NAMESPACE"], ["SELECT"], ["UID FETCH"]]
    assert recording.flights_until("NAMESPACE") == 3 and recording.flights_until("UID FETCH") == 5
    assert b"OK [READ-WRITE]" in recording.heard
