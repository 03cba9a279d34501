"""What a server has to say to its users besides: alerts (RFC 9051 section 7.1), and why it hangs up."""
import pytest

from harness import logins
from harness.gateway import upstream
from harness.net import Authority
from harness.parking import Lot
from harness.tokens import save

ALERT = b"* OK [ALERT] Maintenance at noon.\r\n"
LOGINS = ("LOGIN", "AUTHENTICATE")


def alerts(*answers):
    """All lines with an alert."""
    return [line for answer in answers for line in (*answer.untagged, answer.tagged) if b"[ALERT]" in line]


def words(answer):
    """The human text, behind the code."""
    return answer.text.split(b"] ", 1)[-1] if answer.code else answer.text


def visit(gateway, user="ann", password="secret"):
    """The alerts of a session of two commands; it leaves by LOGOUT."""
    client = gateway.client()
    heard = alerts(client.command(f"LOGIN {user} {password}"), client.command("NOOP"))
    heard += [client.greeting] if b"[ALERT]" in client.greeting else []
    octets = gateway.log_octets()
    client.logout()
    gateway.wait_log("park: parked|LEAVING -> DEAD", since=octets)
    return heard


@pytest.fixture(name="lot")
def fixture_lot(scripted, start_gateway):
    return Lot(start_gateway(scripted.port, park={"per_user": 4}), scripted)


def say_at_login(scripted, untagged=(), tagged="OK [CAPABILITY {caps}] welcome."):
    """Logins succeed, and say these things."""
    def log_in(connection, tag, arguments):
        connection.user, connection.logged_in_at = "ann", 1
        connection.send("".join(f"{line}\r\n" for line in untagged) + f"{tag} {tagged.format(caps=scripted.caps_after)}\r\n")

    for name in LOGINS:
        scripted.on(name, log_in)


# Alerts

GREETINGS = {
    "the greeting": "* OK [ALERT] Maintenance at noon.",
    "behind a greeting": "* OK ready\r\n* OK [ALERT] Maintenance at noon.",
    "behind a greeting with a list": "* OK [CAPABILITY {caps}] ready\r\n* OK [ALERT] Maintenance at noon.",
    "twice": "* OK [ALERT] Maintenance at noon.\r\n* OK [ALERT] Maintenance at noon.",
}


@pytest.mark.parametrize("greeting", GREETINGS)
def test_an_alert_in_a_greeting_reaches_each_session_once(scripted, lot, greeting):
    scripted.greeting = GREETINGS[greeting]
    assert [visit(lot.gateway) for _ in range(3)] == [[ALERT]] * 3  # by a login of its own, then by what that has parked
    assert lot.logins == 1
    assert visit(lot.gateway, "bob", "hunter2") == [ALERT]


def test_an_alert_with_the_list_before_login_reaches_each_session_once(scripted, lot):
    scripted.greeting = "* OK ready"
    scripted.on("CAPABILITY", "* OK [ALERT] Maintenance at noon.", "* CAPABILITY " + scripted.caps_before, "OK done")
    assert [visit(lot.gateway) for _ in range(3)] == [[ALERT]] * 3
    assert lot.logins == 1


AT_LOGIN = {
    "untagged": (["* OK [ALERT] Maintenance at noon."], "OK [CAPABILITY {caps}] welcome."),
    "a warning": (["* NO [ALERT] Maintenance at noon."], "OK [CAPABILITY {caps}] welcome."),
    "untagged, and the list asked for": (["* OK [ALERT] Maintenance at noon."], "OK welcome."),
    "twice": (["* OK [ALERT] Maintenance at noon."] * 2, "OK [CAPABILITY {caps}] welcome."),
    "tagged": ([], "OK [ALERT] Maintenance at noon."),
}


@pytest.mark.parametrize("way", ["LOGIN with atoms", "PLAIN at once", "XOAUTH2"])
@pytest.mark.parametrize("how", AT_LOGIN)
def test_an_alert_said_at_login_reaches_each_session_once(scripted, lot, how, way):
    say_at_login(scripted, *AT_LOGIN[how])
    for _ in range(3):
        client = lot.gateway.client()
        answer = client.ok(b"AUTHENTICATE XOAUTH2 " + logins.encoded(logins.xoauth2("ann", "secret"))) if way == "XOAUTH2" \
            else logins.by(way, client, "ann", "secret")
        heard = alerts(answer, client.ok("NOOP"))
        assert [line.split(b"] ", 1)[1] for line in heard] == [b"Maintenance at noon.\r\n"]
        assert lot.leave(client, scripted.connections[-1])
    assert sum(set(c.names) & set(LOGINS) != set() for c in scripted.connections) == 1


def test_alerts_of_the_greeting_and_of_the_login_all_reach_each_session_once(scripted, lot):
    scripted.greeting = "* OK [ALERT] Maintenance at noon."
    say_at_login(scripted, ["* OK [ALERT] 3 days left.", "* OK [ALERT] Maintenance at noon.", "* OK [ALERT] The disk is full."])
    assert [[line[12:-2] for line in visit(lot.gateway)] for _ in range(3)] == \
        [[b" Maintenance at noon.", b" 3 days left.", b" The disk is full."]] * 3


def test_what_was_said_to_one_user_at_login_no_other_hears(scripted, lot):
    scripted.on("LOGIN", lambda c, tag, arguments: (b"ann" in arguments and c.send(ALERT), c.do_LOGIN(tag, arguments)))
    assert visit(lot.gateway) == visit(lot.gateway) == [ALERT]
    assert not visit(lot.gateway, "bob", "hunter2") and not visit(lot.gateway, "bob", "hunter2")


def test_who_is_let_in_hears_what_the_last_login_upstream_was_told(scripted, lot):
    say_at_login(scripted, ["* OK [ALERT] 3 days left."])
    first, second = lot.gateway.session(), lot.gateway.session()
    say_at_login(scripted, ["* OK [ALERT] 2 days left."])
    third = lot.gateway.session()
    for client, connection in zip((first, second, third), scripted.connections[-3:]):
        assert lot.leave(client, connection)
    assert visit(lot.gateway) == [b"* OK [ALERT] 2 days left.\r\n"]
    say_at_login(scripted)
    clients = [lot.gateway.session() for _ in range(4)]  # more than are parked
    assert not visit(lot.gateway)
    assert clients


def in_a_state(lot):
    """Who comes next is let in by a connection that NOOP does not want, so that there is a new login."""
    client = lot.gateway.session()
    token = save(client, "ENABLE X-TWO")
    client.ok("ENABLE X-ONE")
    assert lot.leave(client, lot.scripted.sessions[-1])
    return token  # of a state that nothing is parked in


def test_a_login_of_the_gateways_own_tells_what_is_new_and_nothing_twice(scripted, lot):
    scripted.greeting = "* OK [ALERT] Maintenance at noon."
    scripted.on("LOGIN", lambda c, tag, arguments: (c.send("* OK [ALERT] 3 days left.\r\n"), c.do_LOGIN(tag, arguments)))
    in_a_state(lot)
    scripted.greeting = "* OK [ALERT] Maintenance at noon.\r\n* OK [ALERT] Or at one."
    scripted.on("LOGIN", lambda c, tag, arguments: (
        c.send("* OK [ALERT] 3 days left.\r\n* OK [ALERT] Full.\r\n"), setattr(c, "logged_in_at", 1), c.send(f"{tag} OK [ALERT] Really.\r\n")))
    client = lot.gateway.client()
    told = [line[12:-2] for line in alerts(client.ok("LOGIN ann secret"))]
    assert told == [b" Maintenance at noon.", b" 3 days left."]
    told = [line[12:-2] for line in alerts(client.ok("NOOP"))]
    assert told == [b" Or at one.", b" Full.", b" Really."]


def test_an_alert_that_refuses_a_login_of_the_gateways_own_is_told(scripted, lot):
    in_a_state(lot)
    for name in LOGINS:
        scripted.on(name, "NO [ALERT] Log in by the web.")
    client = lot.gateway.session()
    answer = client.no("NOOP")
    assert answer.code == b"UNAVAILABLE" and answer.untagged == [b"* NO [ALERT] Log in by the web.\r\n"]


def test_the_alert_by_which_a_server_hangs_up_is_told(scripted, lot):
    client = lot.gateway.client()
    scripted.greeting = "* BYE [ALERT] Down until noon."
    answer = client.no("LOGIN ann secret")
    assert answer.untagged == [b"* NO [ALERT] Down until noon.\r\n"]
    assert (answer.code, words(answer)) == (b"UNAVAILABLE", b"Down until noon.")


# Why a server hangs up

BYES = {
    "words": ("* BYE [UNAVAILABLE] Down until 12:00, see https://status.example.org", b"Down until 12:00, see https://status.example.org"),
    "without a code": ("* BYE down", b"down"),
    "another code": ("* bye [CONTACTADMIN] call 5-1234", b"call 5-1234"),
    "a bracket in the text": ("* BYE [UNAVAILABLE] [x] y] z", b"[x] y] z"),
    "letters": ("* BYE Wartung für Köln", "Wartung für Köln".encode()),
    "control characters": ("* BYE a\tb\x1b[31mc\x00d\x9b", b"a?b?[31mc?d?"),
    "no words": ("* BYE", b"The mail server cannot be reached."),
    "nothing but a code": ("* BYE [UNAVAILABLE]", b"The mail server cannot be reached."),
}


def octets(text):
    return text.encode().replace(b"\xc2\x9b", b"\x9b") if "\x9b" in text else text.encode()


@pytest.mark.parametrize("bye", BYES)
def test_the_words_of_a_bye_in_a_greeting_reach_the_client(scripted, scripted_gateway, bye):
    said, expected = BYES[bye]
    client = scripted_gateway.client()
    scripted.greeting = octets(said)
    answer = client.no("LOGIN ann secret")
    assert (answer.code, words(answer), answer.untagged) == (b"UNAVAILABLE", expected, [])
    scripted.greeting = "* OK ready"
    client.ok("LOGIN ann secret")


@pytest.mark.parametrize("letter", ["x", "ü", "€"])
def test_a_long_bye_is_cut_between_letters(scripted, scripted_gateway, letter):
    client = scripted_gateway.client()
    scripted.greeting = f"* BYE {letter * 60000}"[:60000 // len(letter.encode())]
    answer = client.no("LOGIN ann secret")
    text = words(answer)
    assert 200 < len(text) < 256 and text.decode() == letter * (len(text) // len(letter.encode()))


@pytest.mark.parametrize("stage", ["CAPABILITY", "ID", "LOGIN", "the list"])
def test_so_do_those_of_a_bye_later_on(start_scripted, start_gateway, stage):
    scripted = start_scripted(greeting="* OK ready", caps_login="none" if stage == "the list" else "code")
    gateway = start_gateway(upstream(scripted.port, send_client_address="id"))
    gateway.session().logout()
    scripted.on("CAPABILITY" if stage == "the list" else stage, lambda c, tag, arguments: (c.send(b"* BYE Too many of you.\r\n"), c.hang_up()))
    client = gateway.client()
    answer = client.no("LOGIN ann secret")
    assert (answer.code, words(answer)) == (b"UNAVAILABLE", b"Too many of you.")
    client.ok("NOOP")
    if stage in ("CAPABILITY", "ID"):
        gateway.wait_log("warning: .*: the server says BYE: Too many of you\\.\n")


@pytest.mark.parametrize("command", ["NOOP", "STATE"])
def test_a_session_that_needs_an_upstream_hears_why_there_is_none(scripted, lot, command):
    token = in_a_state(lot)
    client = lot.gateway.session()
    scripted.greeting = "* BYE Down until noon."
    answer = client.no("NOOP" if command == "NOOP" else f"STATE {token}")
    assert (answer.code, words(answer)) == (b"UNAVAILABLE", b"Down until noon.")
    assert client.rest() == [b"* BYE [UNAVAILABLE] The session cannot continue.\r\n"]


@pytest.fixture(name="behind_starttls")
def fixture_behind_starttls(start_scripted, start_gateway, authority, certificate):
    scripted = start_scripted(tls="starttls", context=Authority.server_context(certificate), caps_before="IMAP4rev1 ID STARTTLS AUTH=PLAIN")
    return scripted, start_gateway(upstream(scripted.port, tls="starttls", tls_ca_file=str(authority.ca_file)))


@pytest.mark.parametrize("greeting", ["* BYE Call 5-1234.", "* BYE [ALERT] Call 5-1234.", "* OK [ALERT] Call 5-1234."])
def test_what_came_in_clear_where_tls_is_to_come_is_nobodys_word(behind_starttls, greeting):
    scripted, gateway = behind_starttls
    gateway.session().logout()
    scripted.greeting = greeting
    answer = gateway.client().command("LOGIN ann secret")
    assert answer.status == (b"OK" if "OK" in greeting else b"NO")
    assert not alerts(answer) and b"5-1234" not in answer.tagged


def test_what_comes_under_tls_is_the_servers(behind_starttls):
    scripted, gateway = behind_starttls

    def tell(connection, tag, arguments):
        connection.send(ALERT)
        connection.default(tag, "CAPABILITY", arguments)

    scripted.on("CAPABILITY", tell)
    assert alerts(gateway.client().ok("LOGIN ann secret")) == [ALERT]
