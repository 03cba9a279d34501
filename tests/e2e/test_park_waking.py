"""Waking: what has happened to a connection while it was parked, and one that turns out dead when it is used."""
import contextlib
import threading

import pytest

from harness.gateway import upstream
from harness.imap import Closed, literal
from harness.parking import Lot, chores, log_out, mine
from harness.patience import PATIENCE_S, let_pass
from harness.scripted import CLOSE
from harness.tokens import restore, save, saved, setup_of


@pytest.fixture(name="lot")
def fixture_lot(scripted, start_gateway):
    return Lot(start_gateway(scripted.port, park={"per_user": 8}), scripted)


def park_several(lot, count, *commands):
    """As many connections of one user, all parked; the one that was parked last at the end."""
    clients = []
    for _ in range(count):
        client = lot.gateway.session()
        token = save(client, *commands) if commands else ""
        clients.append((client, lot.mark(client), token))
    for client, connection, _ in clients:
        assert lot.leave(client, connection)
    return [connection for _, connection, _ in clients], clients[-1][2]


def say(octets):
    return lambda connection: connection.send(octets)


def hang_up(connection):
    connection.hang_up()


def bye_and_hang_up(connection):
    connection.send(b"* BYE Autologout; idle for too long\r\n")
    connection.hang_up()


ENDINGS = {"hangs up": hang_up, "says BYE and hangs up": bye_and_hang_up, "says BYE": say(b"* BYE going down\r\n"),
           "says bye in another case": say(b"* bye [UNAVAILABLE] x\r\n"),
           "says BYE behind other things": say(b"* 4 EXISTS\r\n* OK still here\r\n* BYE now\r\n"),
           "says half a line": say(b"* 4 EXI"), "says half a literal": say(b"* LIST () \"/\" {10}\r\nabc"),
           "answers what nobody asked": say(b"x1 OK done\r\n"), "asks for a literal": say(b"+ go ahead\r\n"),
           "tells of a mailbox": say(b"* 4 EXISTS\r\n"), "complains": say(b"* BAD what?\r\n"),
           "speaks nonsense": say(b"\x16\x03\x01\x00\xa5\r\n")}


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_end_meanwhile_is_unseen_by_the_client(lot, ending):
    (older, newer), _ = park_several(lot, 2)
    ENDINGS[ending](newer)
    client = lot.gateway.session()
    answer = client.ok("NOOP")
    assert answer.untagged == []
    assert lot.mark(client) is older and lot.logins == 2


@pytest.mark.parametrize("ending", ENDINGS)
def test_if_all_have_ended_there_is_a_new_login(lot, ending):
    connections, _ = park_several(lot, 2)
    for connection in connections:
        ENDINGS[ending](connection)
    client = lot.gateway.session()
    assert client.ok("NOOP").untagged == []
    assert lot.mark(client) not in connections and lot.logins == 3


@pytest.mark.parametrize("ending", ["hangs up", "says BYE"])
def test_p04_the_same_for_a_state(lot, ending):
    (older, newer), token = park_several(lot, 2, "ENABLE QRESYNC")
    ENDINGS[ending](newer)
    client = lot.gateway.session()
    assert restore(client, token).untagged == [b"* STATE " + token.encode() + b"\r\n"]
    assert lot.mark(client) is older and log_out(lot.gateway, client) == "warm"


def test_p04_a_state_whose_connections_have_all_ended_is_replayed(lot):
    connections, token = park_several(lot, 2, "ENABLE QRESYNC")
    lot.scripted.drop_all()
    client = lot.gateway.session()
    restore(client, token)
    connection = lot.mark(client)
    assert connection not in connections and setup_of(connection) == ["ENABLE QRESYNC"]
    assert log_out(lot.gateway, client) == "cold"


ALERT = b"* OK [ALERT] The server goes down at noon.\r\n"


@pytest.mark.parametrize("line", [ALERT, b"* NO [ALERT] Your mailbox is full.\r\n", b"* ok [alert] in any case\r\n"])
def test_an_alert_is_passed_on_to_the_next_session(lot, line):
    first = lot.visit()
    first.send(line)
    client = lot.gateway.session()
    assert line in client.ok("NOOP").untagged
    assert lot.mark(client) is first
    lot.leave(client, first)
    client = lot.gateway.session()
    assert client.ok("NOOP").untagged == []  # once


def test_alerts_and_nothing_else_are_passed_on(lot):
    first = lot.visit()
    first.send(b"* OK still here\r\n" + ALERT + b"* NO I am bored.\r\n" + ALERT.replace(b"noon", b"one"))
    client = lot.gateway.session()
    assert client.ok("NOOP").untagged == [ALERT, ALERT.replace(b"noon", b"one")]
    assert lot.mark(client) is first


def test_p17_an_alert_comes_before_the_state(lot):
    (connection,), token = park_several(lot, 1, "ENABLE QRESYNC")
    connection.send(ALERT)
    client = lot.gateway.session()
    assert restore(client, token).untagged == [ALERT, b"* STATE " + token.encode() + b"\r\n"]


def test_an_alert_that_came_while_it_settled_is_passed_on(lot):
    def alerting(connection, tag, arguments):
        connection.send(ALERT)
        connection.do_UNSELECT(tag, arguments)
    lot.scripted.on("UNSELECT", alerting, times=1)
    first = lot.visit("SELECT INBOX")
    client = lot.gateway.session()
    assert client.ok("NOOP").untagged == [ALERT]
    assert lot.mark(client) is first


def test_an_alert_reaches_somebody_even_if_the_next_session_never_chose(lot):
    first = lot.visit()
    first.send(ALERT)
    lot.gateway.session().logout()
    client = lot.gateway.session()
    assert client.ok("NOOP").untagged == [ALERT]


@pytest.fixture(name="start_tls_lot")
def fixture_start_tls_lot(start_scripted, start_gateway, authority, certificate):
    def start(**park):
        scripted = start_scripted(tls="implicit", context=authority.server_context(certificate))
        section = upstream(scripted.port, tls="implicit", tls_ca_file=str(authority.ca_file))
        return Lot(start_gateway(section, park={"per_user": 8} | park), scripted)
    return start


@pytest.fixture(name="tls_lot")
def fixture_tls_lot(start_tls_lot):
    return start_tls_lot()


@pytest.mark.parametrize("ending", ["hangs up", "says BYE", "says half a line", "answers what nobody asked"])
def test_under_tls_an_end_meanwhile_is_seen_as_well(tls_lot, ending):
    (older, newer), _ = park_several(tls_lot, 2)
    ENDINGS[ending](newer)
    client = tls_lot.gateway.session()
    assert client.ok("NOOP").untagged == []
    assert tls_lot.mark(client) is older and tls_lot.logins == 2


def test_under_tls_an_orderly_end_is_seen_as_well(tls_lot):
    (older, newer), _ = park_several(tls_lot, 2)
    with contextlib.suppress(OSError):
        newer.wire.sock.settimeout(0.01)
        newer.wire.sock.unwrap()  # sends close_notify, and will not wait for the other one
    client = tls_lot.gateway.session()
    client.ok("NOOP")
    assert tls_lot.mark(client) is older


def test_under_tls_an_alert_is_passed_on_and_life_is_kept(start_tls_lot):
    tls_lot = start_tls_lot(keepalive="200ms")
    first = tls_lot.visit()
    tls_lot.wait_kept_alive(1)
    tls_lot.keep_alive_no_more()
    first.send(ALERT)
    client = tls_lot.gateway.session()
    assert client.ok("NOOP").untagged == [ALERT]
    assert tls_lot.mark(client) is first


@pytest.mark.parametrize("tls", [False, True], ids=["in clear", "under TLS"])
def test_an_alert_is_passed_on_from_a_connection_that_has_ended(request, tls):
    lot = request.getfixturevalue("tls_lot" if tls else "lot")
    (older, newer), _ = park_several(lot, 2)
    newer.send(ALERT)
    newer.hang_up()
    client = lot.gateway.session()
    assert client.ok("NOOP").untagged == [ALERT]
    assert lot.mark(client) is older


def test_of_several_the_one_that_was_parked_last_is_taken_first(lot):
    (_, newer), _ = park_several(lot, 2)
    _, landed = lot.land()
    assert landed is newer


# Dead at the first write: the upstream reads the command, and hangs up instead of answering.


REPEATABLE = ["SELECT INBOX", "EXAMINE INBOX", 'LIST "" "*"', "STATUS INBOX (MESSAGES)", "NAMESPACE", "ENABLE QRESYNC", "NOTIFY NONE", "NOOP"]
NEVER_TWICE = [b"APPEND INBOX " + literal("Subject: x\r\n\r\nonce\r\n"), b"CREATE box", b"SUBSCRIBE box", b"DELETE box", b"RENAME a b",
               b"SETMETADATA INBOX (/private/comment once)", b"IDLE"]


def name_of(command):
    return (command if isinstance(command, str) else command.decode()).split()[0]


@pytest.mark.parametrize("others", [0, 1], ids=["by a new login", "by another that was parked"])
@pytest.mark.parametrize("command", REPEATABLE)
def test_a_repeatable_command_is_sent_again_elsewhere(lot, command, others):
    connections, _ = park_several(lot, 1 + others)
    lot.scripted.on(name_of(command), CLOSE, times=1)
    client = lot.gateway.session()
    client.ok(command)
    landed = lot.mark(client)
    assert landed is not connections[-1] and (landed in connections) == bool(others)
    assert name_of(command) in [name for name, _ in mine(connections[-1])]
    assert [arguments for name, arguments in mine(landed) if name == name_of(command)]
    assert lot.logins == 2


def test_an_id_that_was_kept_for_the_chosen_connection_does_no_harm_if_that_dies_of_it(lot):
    (older, newer), _ = park_several(lot, 2)
    lot.scripted.on("ID", CLOSE, times=1)
    client = lot.gateway.session()
    client.ok('ID ("name" "test")')
    landed = lot.mark(client)
    assert landed is not newer and "ID" in newer.names and landed is older


@pytest.mark.parametrize("command", NEVER_TWICE)
def test_any_other_is_answered_by_bye_alone_and_never_runs_twice(lot, command):
    connections, _ = park_several(lot, 2)
    name = name_of(command)
    lot.scripted.on(name, CLOSE)
    client = lot.gateway.session()
    tag = client.start(command)
    responses = client.rest()
    assert responses[-1].startswith(b"* BYE")
    assert not [r for r in responses if r.startswith(tag.encode())], "nobody knows whether it has run"
    assert sum(c.names.count(name) for c in lot.scripted.connections) == 1
    assert name in connections[-1].names and lot.logins == 2


@pytest.mark.parametrize("command", ["STATUS INBOX (MESSAGES)", "SELECT INBOX", 'LIST "" "*"'])
def test_once_an_octet_of_an_answer_has_come_nothing_is_sent_again(lot, command):
    park_several(lot, 2)

    def speak_and_die(connection, tag, arguments):
        connection.send(b"* 3")
        raise Closed

    lot.scripted.on(name_of(command), speak_and_die)
    client = lot.gateway.session()
    tag = client.start(command)
    heard = bytearray()
    with pytest.raises(Closed):
        while True:
            heard += client.wire.octets(1)
    assert f"{tag} OK".encode() not in heard
    assert sum(c.arguments(name_of(command)).count(command.split(" ", 1)[1].encode()) for c in lot.scripted.connections) == 1


def test_an_append_behind_a_repeatable_command_is_not_sent_twice_either(lot):
    park_several(lot, 2)
    lot.scripted.on("APPEND", CLOSE)
    lot.scripted.on("NOOP", lambda connection, tag, arguments: None)
    client = lot.gateway.session()
    client.send(b"a NOOP\r\nb APPEND INBOX " + literal("once") + b"\r\n")
    client.rest()
    assert sum(c.names.count("APPEND") for c in lot.scripted.connections) <= 1


def test_nor_is_one_in_front_of_a_repeatable_command(lot):
    park_several(lot, 2)
    lot.scripted.on("APPEND", CLOSE)
    client = lot.gateway.session()
    client.send(b"a APPEND INBOX " + literal("once") + b"\r\nb NOOP\r\n")
    client.rest()
    assert sum(c.names.count("APPEND") for c in lot.scripted.connections) == 1


@pytest.mark.parametrize("command", ["SELECT INBOX", "NOOP"])
def test_repeatable_commands_in_one_write_are_sent_again_together_and_in_order(lot, command):
    (_, newer), _ = park_several(lot, 2)
    lot.scripted.on(name_of(command), CLOSE, times=1)
    client = lot.gateway.session()
    client.send(f"a {command}\r\nb NAMESPACE\r\nc LIST \"\" %\r\n".encode())
    for tag in "abc":
        assert client.wait(tag).status == b"OK"
    landed = lot.mark(client)
    assert landed is not newer
    assert [name for name, _ in mine(landed)[-4:-1]] == [name_of(command), "NAMESPACE", "LIST"]


def test_after_the_first_answer_a_connection_that_dies_ends_the_session(lot):
    park_several(lot, 2)
    client = lot.gateway.session()
    client.ok("NOOP")
    lot.scripted.on("NAMESPACE", CLOSE)
    client.start("NAMESPACE")
    assert client.rest()[-1].startswith(b"* BYE")
    assert sum(c.names.count("NAMESPACE") for c in lot.scripted.connections) == 1


def test_p04_a_warm_connection_that_dies_at_its_first_command_is_replaced_in_its_state(lot):
    (older, newer), token = park_several(lot, 2, "ENABLE QRESYNC")
    client = lot.gateway.session()
    restore(client, token)
    lot.scripted.on("SELECT", CLOSE, times=1)
    tag = client.start("SELECT INBOX")
    # By one that is in the state; or, if none could be had, by none at all.
    answer = client.wait(tag)
    assert answer.status == b"OK" and "SELECT" in newer.names
    landed = lot.mark(client)
    assert landed is older
    client.ok("SAVESTATE")


def test_p06_if_no_other_can_be_had_the_command_is_answered_no(lot):
    lot.visit()
    lot.scripted.stop_listening()
    lot.scripted.on("SELECT", CLOSE)
    client = lot.gateway.session()
    answer = client.no("SELECT INBOX")
    assert answer.code == b"UNAVAILABLE"
    assert client.rest()[-1].startswith(b"* BYE")


@pytest.mark.parametrize("octets", [b"A", b"A12 SELECT INBOX", b"x STATE {20+}\r\nb NOOP\r\n"], ids=["a tag's begin", "no line end", "a literal's begin"])
def test_p06_what_is_here_in_part_is_not_answered(lot, octets):
    """It may yet be another command. The connection is needed after ten seconds, whatever the client does."""
    lot.visit()
    client = lot.gateway.session()
    lot.scripted.stop_listening()
    lot.scripted.drop_all()
    client.send(octets)
    assert [line.split()[:2] for line in client.rest()] == [[b"*", b"BYE"]]


def test_the_state_of_a_dead_connection_is_not_lost_with_it(lot):
    """Tracking is on before the choice; the connection that was chosen then dies."""
    (older, newer), _ = park_several(lot, 2)
    client = lot.gateway.session()
    client.ok("STATE")
    lot.scripted.on("ENABLE", CLOSE, times=1)
    answer = client.ok("ENABLE QRESYNC")
    assert answer.codes("STATECMD")
    token = saved(client.ok("SAVESTATE"))
    assert lot.mark(client) is older and "ENABLE" in newer.names
    client = lot.gateway.session()
    restore(client, token)


def test_what_a_dead_connection_never_read_runs_on_the_next_one_alone(lot):
    """The upstream's process stands still with the command in its socket's buffer, and dies. The gateway sends the command
    again only once it has seen that end."""
    go_on = threading.Event()

    def stand_still(connection, tag, arguments):
        connection.do_STATUS(tag, arguments)
        go_on.wait(PATIENCE_S)

    lot.scripted.on("STATUS", stand_still, times=1)
    dead = lot.visit()  # marks itself by STATUS
    since = lot.gateway.log_octets()
    client = lot.gateway.session()
    tag = client.start("STATUS late (MESSAGES)")
    lot.scripted.wait_for(lambda: b"STATUS late" in dead.wire.peek())
    assert "upstream lost" not in lot.gateway.log(since)
    dead.hang_up()
    assert client.wait(tag).status == b"OK"
    lot.gateway.wait_log(r"(?s)park: taken, pristine.*upstream lost: .*READY -> LOGGING_IN", since)
    go_on.set()
    assert lot.marked("late") is lot.scripted.sessions[-1] is not dead


def test_many_sessions_survive_restarts_of_the_upstream(lot):
    for _ in range(5):
        lot.visit()
        client = lot.gateway.session()
        lot.scripted.drop_all()
        client.ok("NOOP")
        lot.leave(client, lot.mark(client))


def asks_or_hangs_up(connection):
    """By hand: where a literal is announced, one that `hangs_up` does."""
    connection.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] by hand.\r\n")
    while True:
        octets = line = connection.wire.line()
        while line.endswith(b"}\r\n"):
            if getattr(connection, "hangs_up", False):
                raise Closed
            connection.send(b"+ go ahead\r\n")
            literal_octets = connection.wire.octets(int(line[line.rindex(b"{") + 1:-3]))
            line = connection.wire.line()
            octets += literal_octets + line
        tag, _, rest = octets.rstrip(b"\r\n").partition(b" ")
        name, _, arguments = rest.partition(b" ")
        connection.commands.append((tag.decode(), name.decode(), arguments))
        connection.answer(tag.decode(), name.decode(), arguments)


@pytest.mark.parametrize("plus", [True, False])
@pytest.mark.parametrize("count", [1, 2])
def test_one_that_hangs_up_where_it_is_asked_for_a_literal_is_replaced(scripted, lot, count, plus):
    """By another one, or by a new login. The line goes up again, and the octets once, when that one has said "+"."""
    scripted.script = asks_or_hangs_up
    connections, _ = park_several(lot, count)
    connections[-1].hangs_up = True
    client = lot.gateway.session()
    client.send(b"x LIST " + literal("", plus=plus) + b" " + literal("abc", plus=plus) + b"\r\n")
    assert client.wait("x").status == b"OK"
    scripted.wait_for(lambda: connections[-1].closed)
    assert connections[-1].received.endswith(b"x LIST {0}\r\n")
    assert scripted.sessions[0 if count == 2 else -1].received.endswith(b"x LIST {0}\r\n {3}\r\nabc\r\n")


def test_a_message_that_was_not_asked_for_is_not_sent_twice(scripted, lot):
    """APPEND is not repeated. But one whose literal was not asked for has not run, and not an octet of it has gone up."""
    scripted.script = asks_or_hangs_up
    connections, _ = park_several(lot, 2)
    connections[-1].hangs_up = True
    client = lot.gateway.session()
    client.send(b"x APPEND INBOX " + literal("abc") + b"\r\n")
    assert client.wait("x").status == b"OK"
    assert [b"abc" in connection.received for connection in connections] == [True, False]
    assert len(scripted.sessions) == 2


# Servers that tell only in answer to the first command that a session has expired

def expire(connection, said=b"* BYE Session invalidated - AccessTokenExpired\r\n", cut=None):
    """Its next command, whatever it is, is answered so."""
    def answer(_connection, _tag, _arguments):
        if cut is not None:
            connection.send(said[:cut])
        connection.send(said[cut or 0:])
        connection.hang_up()
    for name in ("SELECT", "NOOP", "APPEND", "ENABLE", "STATE", "NOTIFY"):
        connection.upstream.on(name, lambda c, tag, arguments, name=name:
                               answer(c, tag, arguments) if c is connection else c.default(tag, name, arguments))


@pytest.mark.parametrize("cut", [None, *range(1, 14)])
def test_a_bye_to_the_first_command_is_unseen_where_that_may_be_said_again(lot, cut):
    (connection,), _ = park_several(lot, 1)
    expire(connection, cut=cut)
    client = lot.gateway.session()
    answer = client.ok("SELECT INBOX")
    assert not answer.of("BYE") and answer.of("EXISTS")
    client.ok("NOOP")


def test_one_after_another_is_tried(lot):
    connections, _ = park_several(lot, 3)
    for connection in connections:
        expire(connection)
    client = lot.gateway.session()
    assert not client.ok("NOOP").of("BYE")


def test_a_restore_that_is_answered_bye_is_done_elsewhere(lot):
    (connection,), token = park_several(lot, 1, "ENABLE QRESYNC", "NOTIFY SET (personal (MessageNew MessageExpunge))")
    expire(connection)
    client = lot.gateway.session()
    restore(client, token)


def test_an_alert_in_it_is_the_users_to_know(lot):
    (connection,), _ = park_several(lot, 1)
    expire(connection, b"* BYE [ALERT] The server goes down at noon.\r\n")
    client = lot.gateway.session()
    client.send(b"x NOOP\r\n")
    assert client.response() == b"* BYE [ALERT] The server goes down at noon.\r\n"


def test_a_bye_to_what_may_not_run_twice_is_the_clients(lot):
    (connection,), _ = park_several(lot, 1)
    expire(connection)
    client = lot.gateway.session()
    client.send(b"x APPEND INBOX " + literal("a message") + b"\r\n")
    assert [line for line in client.rest() if line.startswith(b"* BYE ")]
    assert sum(each.names.count("APPEND") for each in lot.scripted.connections) == 1


# Silence: a firewall has forgotten the connection, and drops what comes.


@pytest.fixture(name="start_silent_lot")
def fixture_start_silent_lot(scripted, start_gateway):
    def start(**park):
        return Lot(start_gateway(scripted.port, park={"per_user": 8, "wake_timeout": "500ms"} | park), scripted)

    return start


@pytest.mark.parametrize("others", [0, 1], ids=["by a new login", "by another that was parked"])
@pytest.mark.parametrize("command", REPEATABLE)
def test_one_that_does_not_acknowledge_is_replaced(start_silent_lot, command, others):
    lot = start_silent_lot()
    connections, _ = park_several(lot, 1 + others)
    connections[-1].go_deaf()
    client = lot.gateway.session()
    client.ok(command)
    landed = lot.mark(client)
    assert landed is not connections[-1] and (landed in connections) == bool(others)


def test_p04_a_state_whose_connection_does_not_acknowledge_is_restored_elsewhere(start_silent_lot):
    lot = start_silent_lot()
    (_, newer), token = park_several(lot, 2, "ENABLE QRESYNC", "NOTIFY SET (personal (MessageNew MessageExpunge))")
    newer.go_deaf()
    client = lot.gateway.session()
    restore(client, token)
    assert lot.mark(client) is not newer


@pytest.mark.parametrize("command", NEVER_TWICE)
def test_what_must_not_run_twice_waits_for_a_sign_of_life(start_silent_lot, command):
    """It never went up on the one that is dead, so it runs, and once."""
    lot = start_silent_lot(wake_check="0s")
    connections, _ = park_several(lot, 2)
    connections[-1].go_deaf()
    if command != b"IDLE":
        lot.scripted.on(name_of(command), "OK done")
    client = lot.gateway.session()
    tag = client.start(command)
    if command == b"IDLE":
        client.continuation()
        client.send(b"DONE\r\n")
    answer = client.wait(tag)
    assert answer.status == b"OK" and answer.untagged == []
    landed = lot.mark(client)
    is_asked_for = name_of(command) == "APPEND"  # its literal, so that it cannot have run
    assert landed is connections[0] and chores(landed) == ([] if is_asked_for else ["NOOP"])
    assert [name for name, _ in mine(landed)].count(name_of(command)) == 1


def test_on_a_connection_that_lives_it_costs_a_noop_that_nobody_sees(start_silent_lot):
    lot = start_silent_lot(wake_check="0s")
    first = lot.visit()
    client = lot.gateway.session()
    client.send(b"imapstate-wake CREATE box\r\nb SUBSCRIBE box\r\nc NOOP\r\n")
    assert client.response().startswith(b"imapstate-wake OK")
    assert client.wait("b").status == b"OK" and client.wait("c").untagged == []
    assert lot.mark(client) is first and lot.logins == 1
    assert [name for tag, name, _ in first.commands if tag == "imapstate-wake"] == ["NOOP", "CREATE"]


@pytest.mark.parametrize("command", ["SELECT INBOX", b"CREATE box"])
def test_no_noop_is_on_the_way_of_a_quick_visit(start_silent_lot, command):
    lot = start_silent_lot()
    first = lot.visit()
    client = lot.gateway.session()
    client.ok(command)
    assert lot.mark(client) is first and chores(first) == []


def test_what_stands_behind_a_repeatable_one_waits_for_its_answer(start_silent_lot):
    """Which is a sign of life, so that there is no NOOP."""
    lot = start_silent_lot(wake_check="0s")
    (older, newer), _ = park_several(lot, 2)
    newer.go_deaf()
    client = lot.gateway.session()
    client.send(b"a SELECT INBOX\r\nb FETCH 1 BODY[]\r\n")
    assert client.wait("a").status == b"OK" and client.wait("b").status == b"OK"
    assert lot.mark(client) is older and chores(older) == []


@pytest.mark.parametrize("command", NEVER_TWICE[1:])
def test_what_was_sent_into_silence_gets_bye_and_no_answer(start_silent_lot, command):
    """Within wake_check it goes up at once. Nobody knows whether it has run."""
    lot = start_silent_lot()
    connections, _ = park_several(lot, 2)
    connections[-1].go_deaf()
    client = lot.gateway.session()
    tag = client.start(command)
    responses = client.rest()
    assert responses[-1].startswith(b"* BYE")
    assert not [r for r in responses if r.startswith(tag.encode())]
    assert lot.logins == 2


def test_a_message_that_was_not_asked_for_in_silence_goes_elsewhere(start_silent_lot):
    lot = start_silent_lot()
    (older, newer), _ = park_several(lot, 2)
    newer.go_deaf()
    client = lot.gateway.session()
    client.ok(NEVER_TWICE[0])
    assert lot.mark(client) is older and older.names.count("APPEND") == 1


def test_a_slow_answer_is_no_silence(start_silent_lot):
    lot = start_silent_lot()
    first = lot.visit()
    go_on = threading.Event()

    def think(connection, tag, arguments):
        go_on.wait(PATIENCE_S)
        connection.do_SELECT(tag, arguments)

    lot.scripted.on("SELECT", think, times=1)
    client = lot.gateway.session()
    tag = client.start("SELECT INBOX")
    let_pass(1.5)
    go_on.set()
    assert client.wait(tag).status == b"OK"
    assert lot.mark(client) is first and lot.logins == 1


def test_once_it_has_spoken_it_is_given_the_time_that_any_connection_has(start_silent_lot):
    lot = start_silent_lot()
    first = lot.visit()
    client = lot.gateway.session()
    client.ok("NOOP")
    first.go_deaf()
    client.start("NOOP")
    let_pass(1.5)
    assert "upstream lost" not in lot.gateway.log()


# Unfit: it answers, but as no connection does that serves.


class Unfit:
    """A server one of whose connections has lost its mail store."""

    def __init__(self, scripted, answer):
        self.broken, self._answer = set(), answer
        for name in ("SELECT", "EXAMINE", "LIST", "LSUB", "STATUS"):
            scripted.on(name, self._run)

    def _run(self, connection, tag, arguments):
        name = connection.commands[-1][1]
        if connection in self.broken:
            for octet in f"{tag} {self._answer}\r\n".encode():
                connection.send(bytes((octet,)))
        elif name == "LSUB":
            connection.ok(tag)
        else:
            getattr(connection, "do_" + name)(tag, arguments)


UNFIT = ["BAD User is authenticated but not connected.", "NO [UNAVAILABLE] the store is down", "NO [SERVERBUG] sorry"]
WITH_STORE = ["SELECT INBOX", "EXAMINE INBOX", 'LIST "" "*"', 'LSUB "" "*"', "STATUS INBOX (MESSAGES)"]


@pytest.mark.parametrize("says_id", [False, True], ids=["", "ID"])
@pytest.mark.parametrize("answer", UNFIT)
@pytest.mark.parametrize("command", WITH_STORE)
def test_one_that_has_lost_its_mail_store_is_replaced(scripted, lot, command, answer, says_id):
    unfit = Unfit(scripted, answer)
    first = lot.visit()
    unfit.broken.add(first)
    for _ in range(3):
        client = lot.gateway.session()
        if says_id:
            client.ok('ID ("name" "test")')
        client.ok(command)
        second = lot.mark(client)
        assert second is not first
        assert lot.leave(client, second)
    assert lot.logins == 2
    scripted.wait_for(lambda: first.closed)


@pytest.mark.parametrize("count", [1, 2])
def test_p04_one_in_a_state_is_replaced_by_a_new_login_that_is_brought_into_it(scripted, lot, count):
    unfit = Unfit(scripted, UNFIT[0])
    connections, token = park_several(lot, count, "ENABLE QRESYNC")
    unfit.broken.add(connections[-1])
    client = lot.gateway.session()
    restore(client, token)
    client.ok("SELECT INBOX")
    landed = lot.mark(client)
    assert landed not in connections and landed.names[-3:] == ["ENABLE", "SELECT", "STATUS"]


def ends_by(how, connection, lot):
    """The next command that the connection has, whatever it is, goes nowhere."""
    if how == "silence":
        connection.go_deaf()
        return
    for name in ("SELECT", "LIST"):
        lot.scripted.on(name, lambda c, tag, arguments, name=name:
                        run_out(how, c) if c is connection else getattr(c, "do_" + name)(tag, arguments))


def run_out(how, connection):
    if how == "BYE":
        connection.send(b"* BYE session expired\r\n")
    connection.hang_up()
    raise Closed


@pytest.mark.parametrize("others", ["a login", "a pristine one", "one in the state"])
@pytest.mark.parametrize("how", ["silence", "BYE", "an end"])
def test_p04_a_state_is_set_up_again_where_its_connection_is_lost(start_silent_lot, how, others):
    """The client has had its answer to STATE, and notices nothing."""
    lot = start_silent_lot()
    older, token = park_several(lot, 2 if others == "one in the state" else 1, "ENABLE CONDSTORE QRESYNC")
    if others == "a pristine one":
        pristine = lot.visit()
    ends_by(how, older[-1], lot)
    client = lot.gateway.session()
    restore(client, token)
    client.send(b'a SELECT INBOX\r\nb LIST "" %\r\n')
    assert client.wait("a").status == b"OK" and client.wait("b").status == b"OK"
    landed = lot.mark(client)
    assert landed is not older[-1] and (others != "a pristine one" or landed is pristine)
    assert [name for name, _ in mine(landed)[-3:-1]] == ["SELECT", "LIST"]
    assert {b"CONDSTORE", b"QRESYNC"} <= set(b" ".join(landed.arguments("ENABLE")).split())
    client.ok("UNSELECT")
    restore(lot.gateway.session(), saved(client.ok("SAVESTATE")))


@pytest.mark.parametrize("answer", [("NO not now",), ("OK but nothing is on",), (CLOSE,)])
def test_p06_where_it_cannot_be_set_up_again_the_session_ends(lot, answer):
    (only,), token = park_several(lot, 1, "ENABLE QRESYNC")
    ends_by("an end", only, lot)
    client = lot.gateway.session()
    restore(client, token)
    lot.scripted.on("ENABLE", *answer)
    refused = client.no("SELECT INBOX")
    assert refused.code == b"UNAVAILABLE"
    assert client.rest()[-1].startswith(b"* BYE")
    assert sum(c.names.count("SELECT") for c in lot.scripted.connections) == 1


def test_p04_a_client_that_leaves_meanwhile_leaves_nothing_behind(lot):
    (only,), token = park_several(lot, 1, "ENABLE QRESYNC")
    ends_by("an end", only, lot)
    client = lot.gateway.session()
    restore(client, token)
    lot.scripted.on("ENABLE", lambda connection, tag, arguments: None)
    client.start("SELECT INBOX")
    lot.scripted.wait_for(lambda: lot.scripted.connections[-1].names.count("ENABLE"))
    client.wire.reset()
    lot.scripted.wait_for(lambda: lot.scripted.connections[-1].closed)
    assert lot.gateway.log().count("park: parked") == 1


def test_a_mistake_of_the_clients_costs_one_login_and_is_its_own(scripted, lot):
    lot.scripted.on("LIST", "BAD what?")
    park_several(lot, 3)
    client = lot.gateway.session()
    assert client.bad("LIST (").text == b"what?"
    assert lot.logins == 4 and [c.names.count("LIST") for c in scripted.sessions] == [0, 0, 1, 1]
    client.ok("NOOP")


@pytest.mark.parametrize("command", ["ENABLE X", 'ID ("name" "x")', b"CREATE box", "XYZZY"])
def test_other_commands_are_refused_as_by_any_connection(lot, command):
    first = lot.visit()
    lot.scripted.on(name_of(command), "BAD what?")
    client = lot.gateway.session()
    client.command(command)
    assert lot.mark(client) is first and lot.logins == 1
