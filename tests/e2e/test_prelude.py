"""What is known of an upstream before anybody logs in: one connection asks for all, and nothing of any client's goes up on it."""
import threading

import pytest

from harness.gateway import upstream
from harness.imap import capabilities
from harness.net import Authority
from harness.patience import PATIENCE_S, wait_until
from harness.scripted import CLOSE

ANSWER = b'* ID ("name" "foo2" "version" "2.0")\r\n'
OWN = '("name" "imapstate")'


def scouts(server):
    """The connections on which nobody has logged in."""
    return [connection for connection in server.connections if not connection.logged_in_at]


def listed(client):
    return capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])


def held(server, name="CAPABILITY"):
    """The command stays without an answer until the event that is given back is set."""
    event = threading.Event()

    def wait(connection, tag, arguments):
        event.wait(60)
        connection.default(tag, name, arguments)

    server.on(name, wait, times=1)
    return event


# One asks, all hear

@pytest.mark.parametrize("workers", [1, 4])
def test_one_connection_asks_for_150_clients(start_scripted, start_gateway, workers):
    server = start_scripted()
    answer = held(server)
    gateway = start_gateway(server.port, workers=workers)
    clients = [gateway.client(greet=False) for _ in range(150)]
    wait_until(lambda: gateway.log().count("-> GREETING") >= 150)
    answer.set()
    for client in clients:
        client.wire.set_timeout(60)
        assert b"AUTH=PLAIN" in client.response()
    assert len(server.connections) == 1
    server.wait_for(lambda: server.connections[0].names == ["CAPABILITY", "ID", "LOGOUT"])
    clients[77].ok("LOGIN ann secret")
    assert len(server.connections) == 2


def test_the_one_who_asked_first_may_go(start_scripted, start_gateway):
    server = start_scripted()
    answer = held(server)
    gateway = start_gateway(server.port, workers=2)
    first = gateway.client(greet=False)
    server.wait_for(lambda: server.connections and "CAPABILITY" in server.connections[0].names)
    others = [gateway.client(greet=False) for _ in range(3)]
    first.close()
    answer.set()
    assert all(b"AUTH=PLAIN" in client.response() for client in others)
    assert len(server.connections) == 1


def test_who_waits_for_a_silent_upstream_is_greeted_when_it_is_given_up_and_the_next_asks(start_scripted, start_gateway):
    server = start_scripted()
    answer = held(server)
    gateway = start_gateway(upstream(server.port, connect_timeout="3s"), workers=2)
    clients = [gateway.client(greet=False) for _ in range(5)]
    for client in clients:
        client.wire.set_timeout(PATIENCE_S)
        assert b"* OK [CAPABILITY IMAP4rev1 " in client.response()
    answer.set()
    assert b"AUTH=PLAIN" in gateway.client(greet=False).response()
    assert len(server.connections) == 2


def test_waiting_for_a_silent_upstream_ends_with_the_time_to_log_in(start_scripted, start_gateway):
    server = start_scripted()
    answer = held(server)
    gateway = start_gateway(upstream(server.port, connect_timeout="60s"), login_timeout="1s")
    client = gateway.client(greet=False)
    assert client.rest()[0].startswith(b"* BYE ")
    gateway.wait_log("closing: login timeout")
    answer.set()


def test_an_upstream_that_does_not_answer_the_id_has_told_its_list_all_the_same(start_scripted, start_gateway):
    server = start_scripted()
    answer = held(server, "ID")
    client = start_gateway(upstream(server.port, connect_timeout="2s")).client()
    assert b"AUTH=PLAIN" in listed(client)
    assert client.ok("ID NIL").of("ID") == [b"* ID NIL\r\n"]
    answer.set()


@pytest.mark.parametrize("answer", [CLOSE, "* BYE no", "NO never", "BAD what"])
def test_an_upstream_that_refuses_the_id_has_told_its_list(start_scripted, start_gateway, answer):
    server = start_scripted()
    server.on("ID", answer, times=1)
    client = start_gateway(server.port).client()
    assert b"AUTH=PLAIN" in listed(client)
    assert client.ok("ID NIL").of("ID") == [b"* ID NIL\r\n"]
    client.ok("LOGIN ann secret")
    assert len(scouts(server)) == 1


def test_a_list_that_is_in_doubt_is_told_when_the_upstream_keeps_silent(start_scripted, start_gateway):
    """Another list was seen, but the upstream does not say more: clients wait for it a second, and no longer."""
    server = start_scripted()
    gateway = start_gateway(upstream(server.port, connect_timeout="60s"))
    client = gateway.client()
    server.caps_before = "IMAP4rev1 AUTH=LOGIN"
    client.ok("LOGIN ann secret")
    answer = held(server)
    late = gateway.client(greet=False, timeout=PATIENCE_S)
    assert b"AUTH=PLAIN" in late.response()
    assert len(scouts(server)) == 2
    answer.set()
    gateway.wait_log("READY -> LEAVING(.|\n)*READY -> LEAVING")
    assert b"AUTH=LOGIN" in gateway.client(greet=False).response()


def test_what_a_session_hears_behind_a_proxy_header_doubts_nothing(start_scripted, start_gateway):
    """A server may tell each client's address another list."""
    server = start_scripted(proxy=True, greeting="* OK hello")
    gateway = start_gateway(upstream(server.port, send_client_address="proxy-v2"))
    client = gateway.client()
    server.caps_before = "IMAP4rev1 AUTH=LOGIN"
    client.ok("LOGIN ann secret")
    assert b"AUTH=PLAIN" in listed(gateway.client())
    assert len(scouts(server)) == 1


def test_a_scout_has_nothing_of_the_client(start_scripted, start_gateway):
    server = start_scripted(proxy=True)
    gateway = start_gateway(upstream(server.port, send_client_address="proxy-v2"))
    client = gateway.client(first=b'a ID ("name" "first of all")\r\n')
    assert client.wait("a").status == b"OK"
    scout, = server.connections
    assert scout.proxied == b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00" and scout.arguments("ID") == [OWN.encode()]
    assert b"first of all" not in scout.received
    server.wait_for(lambda: scout.names == ["CAPABILITY", "ID", "LOGOUT"])


def test_a_scout_goes_by_tls_and_asks_under_it(start_scripted, start_gateway, certificate, authority):
    server = start_scripted(tls="starttls", context=Authority.server_context(certificate), caps_before="IMAP4rev1 ID STARTTLS AUTH=PLAIN")
    client = start_gateway(upstream(server.port, tls="starttls", tls_ca_file=str(authority.ca_file))).client()
    assert client.ok("ID NIL").of("ID") == [ANSWER]
    assert server.connections[0].names == ["STARTTLS", "CAPABILITY", "ID", "LOGOUT"][:len(server.connections[0].names)]


def test_a_scout_does_not_hold_up_the_end(start_scripted, start_gateway):
    server = start_scripted()
    answer = held(server)
    gateway = start_gateway(upstream(server.port, connect_timeout="5m"), shutdown_timeout="10m")
    gateway.client(greet=False)
    server.wait_for(lambda: server.connections and "CAPABILITY" in server.connections[0].names)
    gateway.stop()  # in its time, which is less
    answer.set()


# The answer to ID

IDS = {
    "an answer": ([b'* ID ("name" "x")'], b'("name" "x")'),
    "NIL": ([b"* ID NIL"], b"NIL"),
    "with literals": ([b'* ID ("name" {3}\r\nx y "v" {1}\r\n2)'], b'("name" "x y" "v" "2")'),
    "a literal of lines": ([b'* ID ("a" {18}\r\n)\r\n* BYE no more\r\n "name" "x")'], b'("name" "x")'),
    "twice": ([b'* ID ("name" "x")', b'* ID ("name" "y")'], b'("name" "x")'),
    "none": ([], b"NIL"),
    "cut in its list": ([b'* ID ("name" "x"'], b"NIL"),
    "cut in a pair": ([b'* ID ("name")'], b"NIL"),
    "no list": ([b"* ID"], b"NIL"),
    "lists in lists": ([b'* ID ("name" "x" "y" (((((((((('], b"NIL"),
    "31 pairs": ([b"* ID (" + b" ".join([b'"a" "b"'] * 31) + b")"], b"NIL"),
    "a field too long": ([b'* ID ("' + b"f" * 31 + b'" "b")'], b"NIL"),
    "a value too long": ([b'* ID ("f" "' + b"v" * 1025 + b'")'], b"NIL"),
    "as long as may be": ([b"* ID (" + b" ".join([b'"' + b"f" * 30 + b'" "' + b"v" * 1024 + b'"'] * 30) + b")"], None),
    "another response between": ([b"* OK hm", b'* ID ("name" "x")', b"* CAPABILITY IMAP4rev1 X-LATE"], b'("name" "x")'),
}


@pytest.mark.parametrize("habit", IDS)
def test_the_answer_to_the_gateways_own_id_is_told_to_all_as_it_was_read(start_scripted, start_gateway, habit):
    server = start_scripted()
    lines, told = IDS[habit]
    server.on("ID", *lines, "OK done", times=1)
    gateway = start_gateway(server.port)
    for _ in range(2):
        client = gateway.client()
        assert client.ok('ID ("name" "me")').of("ID") == [b"* ID " + (told if told else lines[0][5:]) + b"\r\n"]
        assert b"X-LATE" not in listed(client)
    client.ok("LOGIN ann secret")


WHOLE = b'* ID ("name" {3}\r\nx y "version" "2.0")\r\n'


@pytest.mark.parametrize("cut", range(1, len(WHOLE), 5))
def test_an_answer_that_breaks_off_is_none(start_scripted, start_gateway, cut):
    server = start_scripted()

    def answer(connection, tag, arguments):
        connection.send(WHOLE[:cut])
        connection.hang_up()

    server.on("ID", answer, times=1)
    client = start_gateway(server.port).client()
    assert client.ok("ID NIL").of("ID") == [b"* ID NIL\r\n"]


@pytest.mark.parametrize("cut", range(1, len(WHOLE), 5))
def test_an_answer_may_come_in_parts(start_scripted, start_gateway, cut):
    server = start_scripted()

    def answer(connection, tag, arguments):
        connection.send(WHOLE[:cut])
        connection.wire.sock.settimeout(0.02)
        try:
            connection.wire.sock.recv(1)
        except TimeoutError:
            connection.wire.sock.settimeout(60)
        connection.send(WHOLE[cut:])
        connection.ok(tag)

    server.on("ID", answer, times=1)
    client = start_gateway(server.port).client()
    assert client.ok("ID NIL").of("ID") == [b'* ID ("name" "x y" "version" "2.0")\r\n']


# What a session hears is that session's

def telling_names(connection, tag, arguments):
    """Zimbra's answer names the user of the session."""
    user = f' "USER" "{connection.user}@example.org"' if connection.user else ""
    connection.send(f'* ID ("NAME" "server"{user})\r\n{tag} OK done\r\n')


def test_what_a_session_is_told_in_answer_to_its_id_nobody_else_hears(scripted, start_gateway):
    scripted_gateway = start_gateway(scripted.port, park={})
    scripted.on("ID", telling_names)
    ann = scripted_gateway.client()
    ann.ok('ID ("name" "before")')
    ann.ok("LOGIN ann secret")
    ann.ok("NOOP")
    assert ann.ok('ID ("name" "x")').of("ID") == [b'* ID ("NAME" "server" "USER" "ann@example.org")\r\n']
    ann.logout()
    ann.close()
    scripted_gateway.wait_log("park: parked")
    other = scripted_gateway.client()
    assert other.ok("ID NIL").of("ID") == [b'* ID ("NAME" "server")\r\n']
    warm = scripted_gateway.client()
    warm.ok('ID ("name" "x")')
    warm.ok("LOGIN ann secret")  # the gateway says the ID again, on the parked connection
    assert warm.ok('ID ("name" "y")').of("ID") == [b'* ID ("NAME" "server")\r\n']
    warm.ok("NOOP")
    bob = scripted_gateway.client()
    bob.ok("LOGIN bob hunter2")
    assert other.ok("ID NIL").of("ID") == [b'* ID ("NAME" "server")\r\n']


@pytest.mark.parametrize("line", [b'* ID ("name" "evil")', b"* CAPABILITY IMAP4rev1 X-EVIL", b"* OK [CAPABILITY IMAP4rev1 X-EVIL] evil"])
def test_a_line_that_a_user_gets_into_the_stream_reaches_nobody_else(scripted, start_gateway, line):
    """Dovecot repeats a bad CATENATE URL with its line ends."""
    scripted_gateway = start_gateway(scripted.port, park={})
    mallory = scripted_gateway.session()
    scripted.on("NOOP", line, "OK done", times=1)
    mallory.ok("NOOP")
    victim = scripted_gateway.client()
    assert victim.ok("ID NIL").of("ID") == [ANSWER] and b"X-EVIL" not in listed(victim)
    victim.ok("LOGIN bob hunter2")
    assert b"X-EVIL" not in listed(victim)
    mallory.logout()
    mallory.close()
    again = scripted_gateway.client()
    answer = again.ok("LOGIN ann secret")
    assert b"X-EVIL" not in answer.tagged and b"X-EVIL" not in listed(again)


def test_what_a_login_brings_is_nobody_elses(start_scripted, start_gateway):
    """The answers to the gateway's own commands on a connection that a client's octets have gone up on."""
    server = start_scripted(caps_login="none", caps_after="IMAP4rev1 X-OF-ANN")
    gateway = start_gateway(server.port)
    client = gateway.client()
    server.on("ID", '* ID ("name" "of ann")', "OK done")
    client.ok('ID ("name" "me")')
    client.ok("LOGIN ann secret")
    other = gateway.client()
    assert other.ok("ID NIL").of("ID") == [ANSWER] and b"X-OF-ANN" not in listed(other)


# Bounds

def test_an_id_of_31_kb_passes(scripted, start_gateway):
    gateway = start_gateway(upstream(scripted.port, send_client_address="id"))
    pairs = " ".join(f'"{"f" * 29}{n % 10}" "{"v" * 1024}"' for n in range(30))
    client = gateway.client()
    client.ok(f"ID ({pairs})")
    client.ok(f'ID ({pairs} "one" "more")')
    client.ok("LOGIN ann secret")
    first, = scripted.sessions[0].arguments("ID")
    assert first.count(b"v" * 1024) == 24 and b"x-originating-ip" in first  # 30 in all


def test_a_tag_of_the_clients_does_not_take_the_answer_of_our_id(scripted, start_gateway):
    scripted_gateway = start_gateway(scripted.port, park={})
    scripted_gateway.session().ok("NOOP")
    scripted_gateway.close_clients()
    scripted_gateway.wait_log("park: parked")
    answer = held(scripted, "ID")
    client = scripted_gateway.client()
    client.ok('ID ("name" "x")')
    client.ok("LOGIN ann secret")
    client.start("NOOP", tag="imapstate-wake")
    client.start("STATUS INBOX (MESSAGES)", tag="imapstate")
    scripted.wait_for(lambda: scripted.sessions[0].names[-1] == "ID")
    client.expect_silence()
    arrived = scripted.sessions[0].wire.left() + scripted.sessions[0].wire.peek()
    assert arrived == b""  # a server that answers out of order would take it for ours
    answer.set()
    assert client.wait("imapstate-wake").status == b"OK" and client.wait("imapstate").status == b"OK"
    assert scripted.sessions[0].names[-2:] == ["NOOP", "STATUS"]


def test_what_dovecot_repeats_of_a_users_url_reaches_nobody_else(dovecot, start_gateway):
    """It answers `NO [BADURL ...]` with the URL as it came, line ends included, and so a user writes lines of the server's."""
    gateway = start_gateway(dovecot.plain_port, park={})
    known = gateway.client().ok("ID NIL").of("ID")
    url = b'x\r\n* ID ("name" "Dovecot" "support-url" "https://evil.example/")\r\n* OK x'
    mallory = gateway.session(dovecot.new_user())
    tag = mallory.start(b"APPEND INBOX CATENATE (URL {%d+}\r\n%b)" % (len(url), url))
    assert mallory.wait(tag).status == b"NO"
    mallory.response()  # the line of mallory's own making
    victim = gateway.client()
    assert victim.ok('ID ("name" "x")').of("ID") == known
    victim.ok(f"LOGIN {dovecot.new_user()} secret")
    assert victim.ok("ID NIL").of("ID") == known


def test_after_a_reload_that_moves_an_upstream_nothing_of_the_old_one_is_told(start_scripted, start_gateway):
    old, new = start_scripted(caps_before="IMAP4rev1 ID X-OLD AUTH=PLAIN"), start_scripted(caps_before="IMAP4rev1 ID X-NEW AUTH=PLAIN")
    moving = upstream(old.port)
    gateway = start_gateway([moving])
    assert b"X-OLD" in listed(gateway.client())
    moving["address"] = upstream(new.port)["address"]
    gateway.write_config()
    mark = gateway.log_octets()
    gateway.reload()
    gateway.wait_log("reloaded: ", since=mark)
    names = listed(gateway.client())
    assert b"X-NEW" in names and b"X-OLD" not in names


def test_nor_after_it_was_gone_for_a_reload(start_scripted, start_gateway):
    old, other = start_scripted(caps_before="IMAP4rev1 ID X-OLD AUTH=PLAIN"), start_scripted(caps_before="IMAP4rev1 ID X-OTHER AUTH=PLAIN")
    new = start_scripted(caps_before="IMAP4rev1 ID X-NEW AUTH=PLAIN")
    gateway = start_gateway([upstream(old.port, "one")], every_listener={"upstream": "one"})
    seen = []
    for sections in ([upstream(other.port, "two")], [upstream(new.port, "one")]):
        seen.append(listed(gateway.client()))
        gateway.sections[3:] = sections
        for each in gateway.sections[:3]:
            each["upstream"] = sections[0].name
        gateway.write_config()
        mark = gateway.log_octets()
        gateway.reload()
        gateway.wait_log("reloaded: ", since=mark)
    seen.append(listed(gateway.client()))
    assert [name in names for name, names in zip((b"X-OLD", b"X-OTHER", b"X-NEW"), seen)] == [True] * 3


# Several members

def test_of_members_that_differ_clients_see_what_is_common_and_each_is_spoken_to_by_its_own_list(start_scripted, start_gateway):
    """They greet alike, and ID is sent where it is offered."""
    users = {f"ann{number}": "secret" for number in range(12)}
    both = {"greeting": "* OK [CAPABILITY IMAP4rev1] hello", "users": users}
    first = start_scripted(caps_before="IMAP4rev1 X-BOTH ID X-FIRST AUTH=PLAIN", **both)
    second = start_scripted(caps_before="AUTH=PLAIN X-SECOND IMAP4rev1 X-BOTH", **both)
    pool = upstream([f"127.0.0.1:{server.port}" for server in (first, second)], send_client_address="id")
    gateway = start_gateway([pool], park={"per_user": 0})
    names = listed(gateway.client())
    assert b"X-BOTH" in names and b"X-FIRST" not in names and b"X-SECOND" not in names
    for user in users:
        gateway.client().ok(f"LOGIN {user} secret")
    logins = [[connection.names for connection in server.connections if connection.logged_in_at] for server in (first, second)]
    assert logins[0] and logins[1] and len(logins[0] + logins[1]) == len(users)
    assert all(heard == ["ID", "LOGIN"] for heard in logins[0]) and all(heard == ["LOGIN"] for heard in logins[1])
    assert [len(scouts(server)) for server in (first, second)] == [1, 1]
    pool["address"] = pool["address"][1:]
    gateway.write_config()
    mark = gateway.log_octets()
    gateway.reload()
    gateway.wait_log("reloaded: ", since=mark)
    assert b"X-SECOND" in listed(gateway.client())
    assert len(scouts(second)) == 1  # that it has stayed is enough
