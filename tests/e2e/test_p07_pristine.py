"""P7: a token restores only into a session that nothing has changed yet."""
import pytest

from harness.imap import literal
from harness.tokens import assert_restored, fail_to_restore, restore, save, setup_of

pytestmark = pytest.mark.every_server


def assert_too_late(client, token):
    fail_to_restore(client, token)


@pytest.mark.parametrize("tracking", [False, True])
@pytest.mark.parametrize("command", ["ENABLE X-ONE", "enable x-one", "LANGUAGE DE", "COMPARATOR i;octet", "NOTIFY NONE",
                                     "NOTIFY SET (personal (MessageNew MessageExpunge))"])
def test_p07_after_a_storable_command_it_is_too_late(scripted_gateway, command, tracking):
    token = save(scripted_gateway.session(), "ENABLE QRESYNC")
    client = scripted_gateway.session()
    if tracking:
        client.ok("STATE")
    client.ok(command)
    assert_too_late(client, token)
    client.ok("NOOP")
    client.ok("STATE")


def test_p07_after_a_restore_it_is_too_late_for_another(scripted_gateway):
    first = save(scripted_gateway.session(), "ENABLE X-ONE")
    second = save(scripted_gateway.session(), "ENABLE QRESYNC")
    client = scripted_gateway.session()
    restore(client, first)
    assert_too_late(client, second)
    assert_too_late(client, first)


@pytest.mark.parametrize("command,status", [
    ("ENABLE NONSENSE", "OK"), ("LANGUAGE", "OK"), ("COMPARATOR", "OK"), ("LANGUAGE XX", "NO"), ("COMPARATOR none", "NO")])
def test_p07_a_storable_command_without_effect_does_no_harm(scripted, scripted_gateway, command, status):
    token = save(scripted_gateway.session(), "ENABLE QRESYNC")
    client = scripted_gateway.session()
    assert client.command(command).status.decode() == status
    restore(client, token)
    assert scripted.sessions[-1].enabled == {"QRESYNC"}


@pytest.mark.parametrize("answer", ["NO not today", "BAD what?"])
@pytest.mark.parametrize("command", ["ENABLE X-ONE", "LANGUAGE DE", "COMPARATOR i;octet", "NOTIFY NONE"])
def test_p07_a_storable_command_that_failed_does_no_harm(scripted, scripted_gateway, command, answer):
    token = save(scripted_gateway.session(), "ENABLE QRESYNC")
    client = scripted_gateway.session()
    scripted.on(command.split()[0], answer, times=1)
    assert client.command(command).status == answer.split()[0].encode()
    restore(client, token)


def test_p07_enable_without_effect_does_no_harm_on_a_real_server(gateway, server):
    token = save(gateway.session(), server.setup)
    client = gateway.session()
    client.ok("ENABLE NONSENSE")
    restore(client, token)


NEED_A_MAILBOX = (b"FETCH", b"STORE", b"SEARCH", b"SORT", b"UID")
IMPLICIT = [
    "SELECT INBOX (CONDSTORE)", "EXAMINE INBOX (condstore)", "STATUS INBOX (HIGHESTMODSEQ)", "STATUS INBOX (MESSAGES HighestModSeq)",
    "FETCH 1 (MODSEQ)", "FETCH 1 (FLAGS) (CHANGEDSINCE 1)", "UID FETCH 1 (FLAGS) (changedsince 1)",
    "STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)", "UID STORE 1 (unchangedsince 1) +FLAGS (\\Seen)", "SEARCH MODSEQ 1", "UID SEARCH modseq 1",
    'LIST "" % RETURN (STATUS (HIGHESTMODSEQ))', "NOTIFY SET (personal (MessageNew MessageExpunge FlagChange))",
]


@pytest.mark.parametrize("answer", ["NO not today", "BAD what?"])
@pytest.mark.parametrize("command", ["NOTIFY SET (personal (MessageNew MessageExpunge FlagChange))", "STATUS INBOX (HIGHESTMODSEQ)",
                                     "SELECT INBOX (CONDSTORE)"])
def test_p07_even_if_it_fails(scripted, scripted_gateway, command, answer):
    # The server may have switched it on before it came upon the error.
    token = save(scripted_gateway.session(), "ENABLE QRESYNC")
    client = scripted_gateway.session()
    scripted.on(command.split()[0], answer, times=1)
    client.command(command)
    client.command("UNSELECT")
    assert_too_late(client, token)


def run_and_leave(client, command):
    octets = command if isinstance(command, bytes) else command.encode()
    if octets.startswith(NEED_A_MAILBOX):
        client.ok("SELECT INBOX")
    client.command(octets)
    client.command("CLOSE")


@pytest.mark.parametrize("command", IMPLICIT)
def test_p07_what_switches_condstore_on_makes_it_too_late(scripted_gateway, command):
    token = save(scripted_gateway.session(), "ENABLE QRESYNC")
    client = scripted_gateway.session()
    run_and_leave(client, command)
    assert_too_late(client, token)


@pytest.mark.parametrize("command", IMPLICIT)
def test_p07_what_switches_condstore_on_makes_it_too_late_on_a_real_server(gateway, server, command):
    user = server.new_user()
    server.add_message(user)
    token = save(gateway.session(user), server.setup)
    client = gateway.session(user)
    run_and_leave(client, command)
    assert_too_late(client, token)


@pytest.mark.parametrize("command", [
    b"SEARCH SUBJECT " + literal("x"), b"SEARCH " + literal("MODSEQ") + b" 1", b"STATUS " + literal("INBOX") + b" (MESSAGES)",
    b"LIST " + literal("") + b" %", b"STORE 1 ANNOTATION (/comment (value.priv " + literal("x", plus=False) + b"))"])
def test_p07_a_literal_outside_message_data_makes_it_too_late(scripted_gateway, command):
    token = save(scripted_gateway.session(), "ENABLE QRESYNC")
    client = scripted_gateway.session()
    run_and_leave(client, command)
    assert_too_late(client, token)


def test_p07_everyday_commands_leave_the_session_pristine(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), "ENABLE QRESYNC")
    client = scripted_gateway.client()
    client.ok(b"LOGIN " + literal("ann") + b" " + literal("secret"))
    for command in ("CAPABILITY", 'ID ("name" "test")', "NOOP", "NAMESPACE", 'LIST "" "*"', "STATUS INBOX (MESSAGES)",
                    b"APPEND INBOX " + literal("Subject: MODSEQ CONDSTORE\r\n\r\nQRESYNC\r\n"), "SELECT INBOX", "FETCH 1 (FLAGS)",
                    "SEARCH SUBJECT x", "STORE 1 +FLAGS (\\Seen)", "UNSELECT"):
        client.ok(command)
    restore(client, token)
    assert setup_of(scripted.sessions[-1]) == ["ENABLE QRESYNC"]


def test_p07_everyday_commands_leave_the_session_pristine_on_a_real_server(gateway, server):
    user = server.new_user()
    token = save(gateway.session(user), server.setup)
    client = gateway.session(user)
    client.append("INBOX", b"Subject: MODSEQ\r\n\r\nQRESYNC\r\n")
    for command in ("NOOP", 'LIST "" "*"', "SELECT INBOX", "FETCH 1 (FLAGS)", "CLOSE"):
        client.ok(command)
    restore(client, token)


@pytest.mark.parametrize("command", [
    'LIST "" "modseq*"', 'LIST "" (modseq qresync)', 'LSUB "" "condstore"', "SELECT qresync", "EXAMINE modseq", "STATUS modseq (MESSAGES)",
    "CREATE condstore", 'GETQUOTAROOT "qresync"', 'SEARCH SUBJECT "modseq"', "UID SEARCH OR TEXT qresync KEYWORD $modseq",
    "STORE 1 +FLAGS ($qresync)", "UID COPY 1 modseq", 'ID ("name" "qresync")', "APPEND modseq (modseq) " + literal("x").decode()])
def test_p07_what_is_only_named_like_it_leaves_the_session_pristine(scripted_gateway, command):
    token = save(scripted_gateway.session(), "ENABLE QRESYNC")
    client = scripted_gateway.session()
    run_and_leave(client, command)
    restore(client, token)


@pytest.mark.parametrize("command", ['LIST "" "modseq*"', 'SEARCH SUBJECT "modseq"', "STORE 1 +FLAGS ($qresync)", "STATUS INBOX (MESSAGES)"])
def test_p07_what_is_only_named_like_it_leaves_the_session_pristine_on_a_real_server(gateway, server, command):
    user = server.new_user()
    server.add_message(user)
    token = save(gateway.session(user), server.setup)
    client = gateway.session(user)
    run_and_leave(client, command)
    restore(client, token)


@pytest.mark.parametrize("command", ['STATUS modseq ("HIGHEST\\MODSEQ")', 'SEARCH "MOD\\SEQ" 1', 'SEARCH SUBJECT "x" MODSEQ 1', "SORT (SUBJECT) UTF-8 MODSEQ 1",
                                     'SELECT "INBOX" ("CONDSTORE")', "XYZZY modseq"])
def test_p07_what_may_hide_it_makes_it_too_late(scripted_gateway, command):
    token = save(scripted_gateway.session(), "ENABLE QRESYNC")
    client = scripted_gateway.session()
    run_and_leave(client, command)
    assert_too_late(client, token)


def test_p07_after_a_failed_restore_another_token_may_be_tried(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), "ENABLE QRESYNC")
    client = scripted_gateway.session()
    for bad in ("garbage", "NIL", token[:-1]):
        fail_to_restore(client, bad)
    restore(client, token)
    assert setup_of(scripted.sessions[-1]) == ["ENABLE QRESYNC"]


def test_p07_too_late_is_said_of_garbage_too(scripted_gateway):
    client = scripted_gateway.session()
    client.ok("ENABLE X-ONE")
    assert_too_late(client, "garbage")


def test_p07_after_tracking_was_turned_on_a_token_may_still_be_tried(scripted_gateway):
    token = save(scripted_gateway.session(), "ENABLE QRESYNC")
    client = scripted_gateway.session()
    client.ok("STATE")
    assert_restored(client.ok(f"STATE {token}"), token)
