"""P9, P10, and the table of what is stored: STATECMD, and what a state holds."""
import threading

import pytest

from harness.imap import literal
from harness.patience import PATIENCE_S
from harness.scripted import ENABLE_HABITS, ENABLEABLE
from harness.tokens import announced, fail_to_restore, restore, save, saved, setup_of

pytestmark = pytest.mark.every_server

STORABLE = ["ENABLE X-ONE", "LANGUAGE DE", "COMPARATOR i;octet", "NOTIFY NONE", "NOTIFY SET (personal (MessageNew MessageExpunge))"]


@pytest.fixture
def tracking(scripted_gateway):
    """A session that tracks, in front of `scripted`."""
    client = scripted_gateway.session()
    client.ok("STATE")
    return client


def stored(scripted, gateway, client):
    """What the state of a session holds: as the upstream sees it replayed."""
    restore(gateway.session(), saved(client.ok("SAVESTATE")))
    return setup_of(scripted.sessions[-1])


@pytest.mark.parametrize("command", STORABLE)
def test_p09_a_storable_command_is_announced_directly_before_its_ok(tracking, command):
    answer = tracking.ok(command, tag="X.17")
    assert announced(answer) == ["X.17"]
    assert len(answer.codes("STATECMD")) == 1


@pytest.mark.parametrize("command", [
    pytest.param("ENABLE QRESYNC", marks=pytest.mark.needs("QRESYNC")),
    pytest.param("ENABLE UTF8=ACCEPT", marks=pytest.mark.needs("UTF8=ACCEPT")),
    pytest.param("NOTIFY NONE", marks=pytest.mark.needs("NOTIFY")),
    pytest.param("NOTIFY SET (personal (MessageNew MessageExpunge))", marks=pytest.mark.needs("NOTIFY"))])
def test_p09_a_storable_command_is_announced_on_a_real_server(gateway, command):
    client = gateway.session()
    client.ok("STATE")
    assert announced(client.ok(command, tag="t")) == ["t"]


@pytest.mark.needs("QRESYNC")
def test_p09_what_qresync_has_switched_on_is_announced_too(server, start_gateway):
    """Cyrus names CONDSTORE with it, and does not name it again; so too after a restore, cold and warm."""
    gateway = start_gateway(server.plain_port, park={})
    user = server.new_user()
    since = gateway.log_octets()
    client = gateway.session(user)
    token = save(client, "ENABLE QRESYNC")
    assert announced(client.ok("ENABLE CONDSTORE", tag="t")) == ["t"]
    client.logout()
    for how in ("cold", "warm"):
        since = gateway.log_octets()
        client = gateway.session(user)
        restore(client, token)
        gateway.wait_log(f"restored: {how}", since)
        if how == "warm":
            assert announced(client.ok("ENABLE CONDSTORE", tag="t")) == ["t"]
            return
        client.logout()
        gateway.wait_log("park: parked, in a state", since)


def test_p10_what_was_set_up_before_tracking_is_not_saved_on_a_real_server(gateway, server):
    client = gateway.session()
    assert not announced(client.ok(server.setup))
    token = save(client)
    client = gateway.session()
    restore(client, token)
    assert client.ok(server.setup).of("ENABLED")


def test_p09_what_a_replays_enabled_named_besides_is_announced_later(start_scripted, start_gateway):
    server = start_scripted(enableable=ENABLEABLE)
    gateway = start_gateway(server.port)
    token = save(gateway.session(), "ENABLE X-ONE")
    server.on("ENABLE", "* ENABLED X-ONE X-TWO", "OK done", times=1)
    client = gateway.session()
    restore(client, token)
    server.on("ENABLE", "OK nothing new", times=1)
    assert announced(client.ok("ENABLE X-TWO", tag="t")) == ["t"]


def test_p09_what_a_failed_replay_named_is_not(start_scripted, start_gateway):
    server = start_scripted()
    gateway = start_gateway(server.port)
    token = save(gateway.session(), "ENABLE X-ONE")
    server.on("ENABLE", "* ENABLED X-TWO", "OK done", times=1)
    client = gateway.session()
    fail_to_restore(client, token)
    server.on("ENABLE", "OK nothing", times=1)
    assert not announced(client.ok("ENABLE X-TWO"))


def test_p09_the_announcement_follows_all_other_untagged_data(scripted, tracking):
    scripted.on("NOTIFY", "* STATUS INBOX (MESSAGES 3)", b"* STATUS {4}\r\nWork (MESSAGES 1)", "* OK [ALERT] look", "OK done")
    answer = tracking.ok("NOTIFY NONE")
    assert [line[:8] for line in answer.untagged] == [b"* STATUS", b"* STATUS", b"* OK [AL", b"* OK [ST"]
    assert announced(answer)


def test_p09_one_announcement_per_command(tracking):
    answer = tracking.ok("ENABLE X-ONE X-TWO QRESYNC")
    assert len(answer.codes("STATECMD")) == 1
    assert len(answer.of("ENABLED")) == 1


@pytest.mark.parametrize("status", ["NO", "BAD"])
@pytest.mark.parametrize("command", STORABLE)
def test_p09_no_and_bad_are_neither_announced_nor_stored(scripted, scripted_gateway, tracking, command, status):
    scripted.on(command.split()[0], f"{status} not this time", times=1)
    answer = tracking.command(command)
    assert answer.status == status.encode() and not announced(answer)
    assert stored(scripted, scripted_gateway, tracking) == []


@pytest.mark.parametrize("habit", ENABLE_HABITS)
def test_p09_enable_is_announced_if_one_of_its_arguments_is_on_afterwards(start_scripted, start_gateway, habit):
    upstream = start_scripted(enable=habit)
    gateway = start_gateway(upstream.port)
    client = gateway.session()
    client.ok("STATE")
    assert not announced(client.ok("ENABLE NONSENSE"))
    assert announced(client.ok("ENABLE nonsense QRESYNC", tag="on")) == ["on"]
    assert announced(client.ok("ENABLE qresync", tag="again")) == ["again"]
    assert not announced(client.ok("ENABLE NONSENSE"))
    assert announced(client.ok("ENABLE X-ONE QRESYNC", tag="more")) == ["more"]
    restore(gateway.session(), saved(client.ok("SAVESTATE")))
    session = upstream.sessions[-1]
    assert session.enabled >= {"QRESYNC", "X-ONE"} and "NONSENSE" not in b" ".join(session.arguments("ENABLE")).decode()


@pytest.mark.parametrize("habit", ENABLE_HABITS)
def test_p09_enable_restores_with_the_habit_of(start_scripted, start_gateway, habit):
    upstream = start_scripted(enable=habit)
    gateway = start_gateway(upstream.port)
    token = save(gateway.session(), "ENABLE qresync x-one", "LANGUAGE DE", "ENABLE condstore", "NOTIFY NONE", "ENABLE X-TWO")
    client = gateway.session()
    restore(client, token)
    assert upstream.sessions[-1].enabled >= {"QRESYNC", "X-ONE", "X-TWO"}
    restore(gateway.session(), saved(client.ok("SAVESTATE")))
    assert upstream.sessions[-1].enabled >= {"QRESYNC", "X-ONE", "X-TWO"}


def test_p09_a_server_that_repeats_what_was_on_before_does_not_make_nonsense_storable(start_scripted, start_gateway):
    client = start_gateway(start_scripted(enable="courier").port).session()
    client.ok("ENABLE QRESYNC")
    client.ok("STATE")
    answer = client.ok("ENABLE NONSENSE")
    assert answer.of("ENABLED") == [b"* ENABLED QRESYNC\r\n"] and not announced(answer)


NEVER = [
    "CAPABILITY", 'ID ("name" "x")', "ID NIL", "NOOP", "NAMESPACE", 'LIST "" "*"', 'LSUB "" "*"', "STATUS INBOX (MESSAGES)", "SELECT INBOX",
    "EXAMINE INBOX", "CREATE x", "SUBSCRIBE INBOX", "LANGUAGE", "COMPARATOR", b"APPEND INBOX " + literal("Subject: x\r\n\r\nx\r\n"),
]


@pytest.mark.parametrize("command", NEVER)
def test_p09_other_commands_are_neither_announced_nor_stored(scripted, scripted_gateway, tracking, command):
    assert not announced(tracking.ok(command))
    assert stored(scripted, scripted_gateway, tracking) == []


def test_p09_commands_in_a_selected_mailbox_are_not_announced(tracking):
    tracking.ok("SELECT INBOX")
    for command in ("FETCH 1 FLAGS", "SEARCH ALL", "STORE 1 +FLAGS (\\Seen)", "UID SEARCH ALL", "CHECK", "EXPUNGE", "UNSELECT"):
        assert not announced(tracking.ok(command))


def test_p09_a_storable_command_in_a_selected_mailbox_is_announced(scripted, scripted_gateway, tracking):
    tracking.ok("SELECT INBOX")
    assert announced(tracking.ok("NOTIFY NONE"))
    assert stored(scripted, scripted_gateway, tracking) == ["NOTIFY NONE"]


def notify_of(mailboxes):
    return "NOTIFY SET (mailboxes (" + " ".join(f"Folder{n:04}" for n in range(mailboxes)) + ") (MessageNew MessageExpunge))"


def test_p09_a_command_that_is_too_large_is_neither_stored_nor_announced(scripted, scripted_gateway, tracking):
    assert announced(tracking.ok("ENABLE X-ONE"))
    assert not announced(tracking.ok(notify_of(400)))
    assert stored(scripted, scripted_gateway, tracking) == ["ENABLE X-ONE"]
    assert announced(tracking.ok(notify_of(10)))
    assert stored(scripted, scripted_gateway, tracking) == ["ENABLE X-ONE", notify_of(10)]


def test_p09_a_command_that_is_too_large_removes_the_one_that_it_replaces(scripted, scripted_gateway, tracking):
    tracking.ok("NOTIFY NONE")
    tracking.ok("ENABLE X-ONE")
    assert not announced(tracking.ok(notify_of(400)))
    assert stored(scripted, scripted_gateway, tracking) == ["ENABLE X-ONE"]


@pytest.mark.parametrize("announcement", [b"{0+}", b"{3+}", b"{0}", b"{3}"])
def test_p09_a_notify_whose_literal_was_not_asked_for_is_neither_stored_nor_announced(scripted, scripted_gateway, announcement):
    """The server says OK in place of "+": what it has set is not what the client has sent. What was set before is replaced."""
    def says_ok(connection):
        connection.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] by hand.\r\n")
        while True:
            line = connection.wire.line().rstrip(b"\r\n")
            tag, name, *arguments = line.split(b" ", 2)
            if line.endswith(b"}"):
                connection.send(tag + b" OK early.\r\n")
            else:
                connection.answer(tag.decode(), name.decode(), b"".join(arguments))

    scripted.script = says_ok
    client = scripted_gateway.session()
    client.ok("STATE")
    client.ok("NOTIFY NONE")
    client.send(b"x NOTIFY SET (selected (MessageNew)) " + announcement + b"\r\n")
    if announcement.endswith(b"+}"):
        client.send(b"abc"[:int(announcement[1:2])] + b"\r\n")
    answer = client.wait("x")
    assert answer.status == b"OK" and not announced(answer)
    scripted.script = None
    assert stored(scripted, scripted_gateway, client) == []


@pytest.mark.parametrize("command", STORABLE)
def test_p09_a_command_whose_tag_holds_a_bracket_is_neither_stored_nor_announced(scripted, scripted_gateway, tracking, command):
    assert not announced(tracking.ok(command, tag="x]1"))
    assert stored(scripted, scripted_gateway, tracking) == []


def test_p09_a_bracket_in_the_tag_still_removes_what_is_replaced(scripted, scripted_gateway, tracking):
    tracking.ok("LANGUAGE DE")
    tracking.ok("ENABLE X-ONE")
    tracking.ok("LANGUAGE FR", tag="x]1")
    assert stored(scripted, scripted_gateway, tracking) == ["ENABLE X-ONE"]


def test_p09_the_code_carries_the_tag_exactly_as_sent(tracking):
    for tag in ("a", "0001", "Tag.With-Odd:Characters/<>=~", "t" * 50, "a"):
        assert announced(tracking.ok("ENABLE X-ONE", tag=tag)) == [tag]


def test_p09_pipelined_commands_are_announced_each_at_its_own_ok(tracking):
    tracking.send(b"p1 ENABLE X-ONE\r\np2 NOOP\r\np3 LANGUAGE DE\r\np4 NOTIFY NONE\r\n")
    assert [announced(tracking.wait(tag)) for tag in ("p1", "p2", "p3", "p4")] == [["p1"], [], ["p3"], ["p4"]]


def test_p09_a_tag_may_be_used_again_while_it_is_in_flight(tracking):
    tracking.send(b"t ENABLE X-ONE\r\nt NOOP\r\nt NOTIFY NONE\r\n")
    assert [announced(tracking.wait("t")) for _ in range(3)] == [["t"], [], ["t"]]


def test_p09_answers_that_come_out_of_order_are_told_apart(scripted, scripted_gateway, tracking):
    held = []
    scripted.on("NOTIFY", lambda connection, tag, arguments: held.append(tag), times=1)
    scripted.on("STATUS", lambda connection, tag, arguments: connection.send(
        f"* STATUS INBOX (MESSAGES 3)\r\n{tag} OK first\r\n{held[0]} OK second\r\n"), times=1)
    tracking.send(b"n NOTIFY NONE\r\ns STATUS INBOX (MESSAGES)\r\n")
    assert not announced(tracking.wait("s"))
    assert announced(tracking.wait("n")) == ["n"]
    assert stored(scripted, scripted_gateway, tracking) == ["NOTIFY NONE"]


def test_p09_without_tracking_nothing_is_announced(scripted_gateway):
    client = scripted_gateway.session()
    for command in STORABLE:
        assert not announced(client.ok(command))


def test_p09_the_transcript_without_tracking_is_the_upstreams_own(scripted_gateway):
    client = scripted_gateway.session()
    answer = client.ok("ENABLE X-ONE")
    assert (answer.untagged, answer.text) == ([b"* ENABLED X-ONE\r\n"], b"Enable command completed.")


def test_p10_what_was_set_up_before_the_first_state_is_in_effect_but_not_saved(scripted, scripted_gateway):
    client = scripted_gateway.session()
    assert not announced(client.ok("ENABLE X-ONE"))
    client.ok("LANGUAGE DE")
    client.ok("STATE")
    client.ok("NOTIFY NONE")
    assert scripted.sessions[-1].enabled == {"X-ONE"}
    assert stored(scripted, scripted_gateway, client) == ["NOTIFY NONE"]


def test_p10_what_is_on_already_is_stored_when_it_is_asked_for_again(scripted, scripted_gateway):
    client = scripted_gateway.session()
    client.ok("ENABLE X-ONE")
    client.ok("STATE")
    assert announced(client.ok("ENABLE X-ONE"))
    assert stored(scripted, scripted_gateway, client) == ["ENABLE X-ONE"]


def test_p10_a_command_in_flight_when_state_comes_counts_as_before(scripted, scripted_gateway):
    client = scripted_gateway.session()
    go = threading.Event()

    def wait(connection, tag, arguments):
        assert go.wait(PATIENCE_S)
        connection.default(tag, "ENABLE", arguments)

    scripted.on("ENABLE", wait, times=1)
    client.send(b"e ENABLE X-ONE\r\ns STATE\r\nn NOTIFY NONE\r\n")
    go.set()
    assert [announced(client.wait(tag)) for tag in ("e", "s", "n")] == [[], [], ["n"]]
    assert stored(scripted, scripted_gateway, client) == ["NOTIFY NONE"]


# The table "What is stored"


@pytest.mark.parametrize("commands,want", [
    (["ENABLE X-ONE", "ENABLE X-TWO"], ["ENABLE X-ONE X-TWO"]),
    (["ENABLE X-ONE", "ENABLE X-ONE"], ["ENABLE X-ONE"]),
    (["ENABLE x-one nonsense"], ["ENABLE X-ONE"]),
    (["ENABLE X-ONE", "NOTIFY NONE", "ENABLE X-TWO"], ["ENABLE X-ONE", "NOTIFY NONE", "ENABLE X-TWO"]),
    (["ENABLE X-ONE", "NOTIFY NONE", "ENABLE X-ONE X-TWO"], ["ENABLE X-ONE", "NOTIFY NONE", "ENABLE X-TWO"]),
    (["LANGUAGE DE", "ENABLE X-ONE", "LANGUAGE FR"], ["ENABLE X-ONE", "LANGUAGE FR"]),
    (["LANGUAGE XX FR DE"], ["LANGUAGE FR"]),
    (["LANGUAGE DE", "LANGUAGE"], ["LANGUAGE DE"]),
    (["COMPARATOR i;octet", "NOTIFY NONE", "COMPARATOR i;basic"], ["NOTIFY NONE", "COMPARATOR i;basic"]),
    (["COMPARATOR none i;ascii*"], ["COMPARATOR i;ascii-casemap"]),
    (["NOTIFY NONE"], ["NOTIFY NONE"]),
    (["NOTIFY NONE", "ENABLE X-ONE", "NOTIFY SET (personal (MessageNew MessageExpunge))"],
     ["ENABLE X-ONE", "NOTIFY SET (personal (MessageNew MessageExpunge))"]),
    (["NOTIFY SET (personal (MessageNew MessageExpunge))", "NOTIFY NONE"], ["NOTIFY NONE"]),
])
def test_p09_the_state_holds(scripted, scripted_gateway, tracking, commands, want):
    for command in commands:
        tracking.ok(command)
    got = [command.replace('"', "") for command in stored(scripted, scripted_gateway, tracking)]
    assert got == want


def test_p09_the_arguments_of_notify_are_stored_with_their_literals(scripted, scripted_gateway, tracking):
    awkward = 'A "quoted" \\ (Box)'
    assert announced(tracking.ok(b"NOTIFY SET (mailboxes " + literal(awkward) + b" (MessageNew MessageExpunge))"))
    notify, = stored(scripted, scripted_gateway, tracking)
    plain = awkward.replace("\\", "\\\\").replace('"', '\\"')
    forms = (f'"{plain}"', literal(awkward).decode())
    assert notify in [f"NOTIFY SET (mailboxes {form} (MessageNew MessageExpunge))" for form in forms]


def test_p09_the_arguments_of_notify_are_stored_as_sent(scripted, scripted_gateway, tracking):
    command = 'NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (From Subject)]) MessageExpunge)) ' \
              '(subtree (Lists "My \\"Box\\"") (MessageNew MessageExpunge))'
    assert announced(tracking.ok(command))
    assert stored(scripted, scripted_gateway, tracking) == [command]


def test_p10_language_before_login_is_not_offered(start_scripted, start_gateway):
    upstream = start_scripted(caps_before="IMAP4rev1 LANGUAGE ENABLE AUTH=PLAIN")
    client = start_gateway(upstream.port).client()
    assert b" LANGUAGE" not in client.greeting
    assert b" LANGUAGE" not in client.ok("CAPABILITY").of("CAPABILITY")[0]
    client.bad("LANGUAGE DE")
    assert b" LANGUAGE" in client.login("ann", "secret").tagged
