"""P17, P18: how a state is replayed, what of it the client hears, and what happens when it fails."""
import base64
import hashlib
import hmac
import re
import threading

import pytest

from harness.gateway import write_keys
from harness.imap import capabilities, literal
from harness.parking import Lot
from harness.patience import PATIENCE_S
from harness.scripted import AFTER, CLOSE
from harness.tokens import (assert_not_restored, assert_restored, assert_tracking, fail_to_restore, restore, save, saved,
                            setup_of)

pytestmark = pytest.mark.every_server

EVERYTHING = ("ENABLE X-ONE", "LANGUAGE DE", "COMPARATOR i;octet", "NOTIFY NONE")


def during(scripted, name, *untagged, tagged=None):
    """The next such command is answered by the default server, with more untagged lines before."""
    def answer(connection, tag, arguments):
        connection.send(b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n" for line in untagged))
        if tagged:
            connection.enabled.update(arguments.decode().upper().split() if name == "ENABLE" else ())
            connection.send((f"* ENABLED {arguments.decode()}\r\n" if name == "ENABLE" else "") + f"{tag} {tagged}\r\n")
        else:
            connection.default(tag, name, arguments)
    scripted.on(name, answer, times=1)


def test_p17_the_echo_of_the_replay_is_hidden(scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    answer = restore(scripted_gateway.session(), token)
    assert answer.untagged == [f"* STATE {token}\r\n".encode()]


def test_p17_the_commands_go_in_one_write(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.session()

    def wait_for_all(connection, tag, arguments):
        connection.wire.set_timeout(PATIENCE_S)
        while b"NOTIFY" not in connection.received:
            connection.wire.fill()
        connection.default(tag, "ENABLE", arguments)

    scripted.on("ENABLE", wait_for_all, times=1)
    restore(client, token)


def test_p17_the_tags_are_private_and_never_reach_the_client(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.client()
    client.send(f"a LOGIN ann secret\r\nb STATE {token}\r\nc NOOP\r\n")
    seen = b"".join(each for tag in "abc" for each in (lambda answer: (*answer.untagged, answer.tagged))(client.wait(tag)))
    tags = [tag for tag, name, _ in scripted.sessions[-1].commands if name in ("ENABLE", "LANGUAGE", "COMPARATOR", "NOTIFY")]
    assert len(set(tags)) == 4
    for tag in tags:
        assert not re.search(rb"(^|\r\n)%s " % re.escape(tag.encode()), seen)


NOTIFY_WITH = b"NOTIFY SET (mailboxes %s (MessageNew MessageExpunge))"


@pytest.mark.parametrize("name", ["Work", 'A "b" \\', "Entwürfe", "two words", "a{3}", "{3+}", "x" * 300])
def test_p17_literals_are_replayed(scripted, scripted_gateway, name):
    token = save(scripted_gateway.session(), NOTIFY_WITH % literal(name))
    restore(scripted_gateway.session(), token)
    assert notified_mailbox(scripted) == name.encode()


def notified_mailbox(scripted):
    arguments, = scripted.sessions[-1].arguments("NOTIFY")
    match = re.fullmatch(rb'SET \(mailboxes (?:"((?:[^"\\]|\\.)*)"|\{\d+\+?\}\r\n(.*)|(\S+)) \(MessageNew MessageExpunge\)\)', arguments, re.S)
    return re.sub(rb"\\(.)", rb"\1", match.group(1)) if match.group(1) is not None else match.group(2) or match.group(3)


@pytest.mark.parametrize("name", ["Work", 'A "b" \\', "Entwürfe"])
@pytest.mark.parametrize("literals", ["", " LITERAL-"])
def test_p17_literals_are_replayed_to_a_server_without_literal_plus(start_scripted, start_gateway, name, literals):
    scripted = start_scripted(caps_before="IMAP4rev1 ID ENABLE AUTH=PLAIN" + literals, caps_after=AFTER.replace(" LITERAL+", literals))
    gateway = start_gateway(scripted.port)
    client = gateway.session()
    client.ok("STATE")
    client.send(b"n NOTIFY SET (mailboxes {%d}\r\n" % len(name.encode()))
    client.continuation()
    client.send(name.encode() + b" (MessageNew MessageExpunge))\r\n")
    assert client.wait("n").codes("STATECMD")
    client.ok("ENABLE X-ONE")
    restore(gateway.session(), saved(client.ok("SAVESTATE")))
    assert notified_mailbox(scripted) == name.encode()
    assert scripted.sessions[-1].enabled == {"X-ONE"}


def test_p17_a_literal_that_the_server_refuses_fails_the_replay(start_scripted, start_gateway):
    scripted = start_scripted(caps_before="IMAP4rev1 ID AUTH=PLAIN", caps_after=AFTER.replace(" LITERAL+", ""))
    gateway = start_gateway(scripted.port)
    client = gateway.session()
    client.ok("STATE")
    client.send(b"n NOTIFY SET (mailboxes {9}\r\n")
    client.continuation()
    client.send("Entwürfe".encode() + b" (MessageNew MessageExpunge))\r\n")
    assert client.wait("n").codes("STATECMD")
    token = saved(client.ok("SAVESTATE"))
    scripted.refuses_literals = True
    client = gateway.session()
    answer = client.ok(f"STATE {token}")
    if answer.of("STATE"):  # it was sent as a quoted string
        assert notified_mailbox(scripted) == "Entwürfe".encode()
    client.ok("NOOP")


def test_p17_everything_else_streams_to_the_client_in_order_before_state(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.session()
    during(scripted, "ENABLE", "* OK [ALERT] The disk is full.", '* LIST () "/" Extra')
    during(scripted, "LANGUAGE", "* METADATA INBOX /private/comment")
    during(scripted, "NOTIFY", "* STATUS INBOX (MESSAGES 3)", b'* STATUS {4}\r\nWork (MESSAGES 1)', "* OK it ends in {12}")
    answer = restore(client, token)
    assert answer.untagged[:-1] == [
        b"* OK [ALERT] The disk is full.\r\n", b'* LIST () "/" Extra\r\n', b"* METADATA INBOX /private/comment\r\n",
        b"* STATUS INBOX (MESSAGES 3)\r\n", b"* STATUS {4}\r\nWork (MESSAGES 1)\r\n", b"* OK it ends in {12}\r\n"]


def in_progress(scripted, name, **times):
    """Such a command is answered by the default server, which first tells how far it is with it (RFC 9585), and that it is busy."""
    def answer(connection, tag, arguments):
        connection.send(f'* OK [INPROGRESS ("{tag}" 1 10)] Soon.\r\n* OK [INPROGRESS] Busy.\r\n')
        connection.default(tag, name, arguments)
    scripted.on(name, answer, **times)


BUSY = [b"* OK [INPROGRESS] Busy.\r\n"]


@pytest.mark.parametrize("name", ["ENABLE", "LANGUAGE", "COMPARATOR", "NOTIFY"])
def test_p17_what_names_a_private_tag_is_hidden(scripted, scripted_gateway, name):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.session()
    in_progress(scripted, name, times=1)
    assert restore(client, token).untagged[:-1] == BUSY
    in_progress(scripted, "NOOP", times=1)
    assert client.ok("NOOP", tag="mine").untagged == [b'* OK [INPROGRESS ("mine" 1 10)] Soon.\r\n'] + BUSY


def test_p17_so_is_what_names_the_tag_of_a_login_of_the_gateways_own(scripted, start_gateway):
    lot = Lot(start_gateway(scripted.port, park={"per_user": 4}), scripted)
    client = lot.gateway.session()
    save(client, "ENABLE X-ONE")
    assert lot.leave(client)
    client = lot.gateway.session()  # by the connection that is in a state, which is not what NOOP wants
    for name in ("LOGIN", "AUTHENTICATE"):
        in_progress(scripted, name)
    assert client.ok("NOOP").untagged == BUSY
    assert lot.logins == 2


def test_p17_so_is_what_names_the_tag_of_the_list_that_the_gateway_asks_for(start_scripted, start_gateway):
    scripted = start_scripted(caps_login="none")
    client = start_gateway(scripted.port).client()
    in_progress(scripted, "CAPABILITY")
    assert client.ok("LOGIN ann secret").untagged == BUSY


def test_p17_it_streams_at_once_not_when_it_is_decided(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), "NOTIFY SET STATUS (personal (MessageNew MessageExpunge))")
    client = scripted_gateway.session()
    go = threading.Event()

    def slowly(connection, tag, arguments):
        connection.send(b"* STATUS INBOX (MESSAGES 3)\r\n")
        assert go.wait(PATIENCE_S)
        connection.ok(tag)

    scripted.on("NOTIFY", slowly, times=1)
    tag = client.start(f"STATE {token}")
    assert client.response() == b"* STATUS INBOX (MESSAGES 3)\r\n"
    go.set()
    assert_restored(client.wait(tag), token)


def test_p18_a_replay_that_fails_leaves_a_fresh_session_on_a_real_server(server, start_scripted, start_gateway, connect, tmp_path):
    """A token that holds what this server does not have, as it has come to lack it since."""
    keys = str(write_keys(tmp_path / "keys", (1, "2020-01-01T00:00:00Z")))
    user = server.new_user()
    direct = connect(server.plain_port)
    direct.login(user, "secret")
    names = b" ".join(capabilities(direct.ok("CAPABILITY").of("CAPABILITY")[0])).decode()
    generous = start_scripted(caps_after=names, users={user: "secret"}, enableable={server.setup.split()[1], "X-ONE"})
    token = save(start_gateway(generous.port, keys_file=keys).session(user), server.setup, "ENABLE X-ONE")
    gateway = start_gateway(server.plain_port, keys_file=keys)
    client = gateway.session(user)
    fail_to_restore(client, token)
    assert gateway.log().count("READY -> LOGGING_IN") == 2, "the connection with half a state is not replaced"
    assert client.ok(server.setup).of("ENABLED")


@pytest.mark.needs("NOTIFY")
def test_p17_status_data_of_notify_streams_on_a_real_server(gateway, server):
    user = server.new_user()
    server.add_message(user)
    token = save(gateway.session(user), "NOTIFY SET STATUS (personal (MessageNew MessageExpunge))")
    client = gateway.session(user)
    answer = restore(client, token)
    assert any(line.startswith(b"* STATUS INBOX (MESSAGES 1") for line in answer.of("STATUS"))


def test_p17_large_data_in_the_replay_streams_too(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.session()
    lines = [f"* STATUS Folder{number} (MESSAGES {number})" for number in range(20000)]
    during(scripted, "NOTIFY", *lines)
    answer = restore(client, token)
    assert answer.of("STATUS") == [line.encode() + b"\r\n" for line in lines]


def test_p17_a_tagged_alert_becomes_an_untagged_one(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.session()
    during(scripted, "ENABLE", tagged="OK [ALERT] Read this.")
    answer = restore(client, token)
    assert answer.untagged[:-1] == [b"* OK [ALERT] Read this.\r\n"]


def test_p17_a_tagged_alert_of_a_command_that_fails_becomes_an_untagged_one_too(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.session()
    scripted.on("NOTIFY", "NO [ALERT] Read this.", times=1)
    answer = fail_to_restore(client, token)
    assert answer.untagged == [b"* NO [ALERT] Read this.\r\n"]


def test_p17_capability_is_held_until_it_is_decided_and_then_sent_with_state_in_it(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.session()
    go = threading.Event()

    def slowly(connection, tag, arguments):
        connection.send(b"* CAPABILITY IMAP4rev1 ENABLE X-NOW\r\n* OK [ALERT] look\r\n")
        assert go.wait(PATIENCE_S)
        connection.ok(tag)

    scripted.on("NOTIFY", slowly, times=1)
    tag = client.start(f"STATE {token}")
    assert client.response() == b"* OK [ALERT] look\r\n"
    go.set()
    answer = client.wait(tag)
    assert_restored(answer, token)
    assert [sorted(capabilities(line)) for line in answer.of("CAPABILITY")] == [[b"ENABLE", b"IMAP4rev1", b"LANGUAGE", b"LITERAL+", b"STATE", b"X-NOW"]]


def test_p17_a_capability_code_in_the_replay_is_held_too(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.session()
    scripted.on("NOTIFY", "NO [CAPABILITY IMAP4rev1 X-NOW] no", times=1)
    answer = fail_to_restore(client, token)
    assert b"X-NOW" not in b"".join(answer.untagged)


def test_p17_the_list_of_a_connection_that_is_thrown_away_is_not_shown(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.session()
    during(scripted, "ENABLE", "* CAPABILITY IMAP4rev1 ENABLE X-NOW")
    scripted.on("NOTIFY", "NO not today", times=1)
    answer = fail_to_restore(client, token)
    assert b"X-NOW" not in b"".join(answer.untagged)


def test_p17_what_streamed_does_no_harm_if_the_restore_then_fails(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.session()
    during(scripted, "ENABLE", "* OK [ALERT] The disk is full.", "* STATUS INBOX (MESSAGES 3)")
    scripted.on("NOTIFY", "NO not today", times=1)
    answer = fail_to_restore(client, token)
    assert answer.untagged == [b"* OK [ALERT] The disk is full.\r\n", b"* STATUS INBOX (MESSAGES 3)\r\n"]


def test_p17_bye_in_the_replay_reaches_the_client(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.session()

    def leave(connection, tag, arguments):
        connection.send(b"* BYE going down\r\n")
        raise ConnectionError

    scripted.on("ENABLE", leave)
    scripted.on("LOGIN", CLOSE)
    scripted.on("AUTHENTICATE", CLOSE)
    client.start(f"STATE {token}")
    responses = client.rest()
    assert b"* BYE going down\r\n" in responses
    assert not [line for line in responses if line.startswith(b"* STATE")]


def test_p17_all_completions_are_read_before_it_is_decided(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.session()
    go = threading.Event()
    scripted.on("ENABLE", "NO not today", times=1)

    def slowly(connection, tag, arguments):
        assert go.wait(PATIENCE_S)
        connection.send(b"* STATUS INBOX (MESSAGES 3)\r\n")
        connection.ok(tag)

    scripted.on("NOTIFY", slowly, times=1)
    tag = client.start(f"STATE {token}")
    client.expect_silence(0.1)
    go.set()
    answer = client.wait(tag)
    assert_not_restored(answer)
    assert answer.untagged == [b"* STATUS INBOX (MESSAGES 3)\r\n"]


def test_p17_the_replays_answers_may_come_in_another_order(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), "ENABLE X-ONE", "NOTIFY NONE")
    client = scripted_gateway.session()
    held = []
    scripted.on("ENABLE", lambda connection, tag, arguments: held.append(tag), times=1)
    scripted.on("NOTIFY", lambda connection, tag, arguments: connection.send(
        f"{tag} OK first\r\n* ENABLED X-ONE\r\n{held[0]} OK second\r\n"), times=1)
    restore(client, token)


# An entry proves itself, or the replay fails.


def after_failed_replay(scripted, client, setup=()):
    """The session goes on, on a fresh connection on which nothing was set up; the tainted one is closed."""
    tainted, fresh = scripted.sessions[-2:]
    scripted.wait_for(lambda: tainted.closed)
    assert_tracking(client)
    assert setup_of(fresh) == [*setup, "ENABLE CONDSTORE"]
    assert client.ok("SELECT INBOX").of("EXISTS") == [b"* 3 EXISTS\r\n"]


FAILURES = {
    "ENABLE is refused": ("ENABLE", ["NO not today"]),
    "ENABLE is bad": ("ENABLE", ["BAD what?"]),
    "ENABLED is missing": ("ENABLE", ["OK done"]),
    "ENABLED is empty": ("ENABLE", ["* ENABLED", "OK done"]),
    "one name is missing": ("ENABLE", ["* ENABLED X-ONE", "OK done"]),
    "another name is enabled": ("ENABLE", ["* ENABLED X-ONE X-TWO-NOT", "OK done"]),
    "LANGUAGE is refused": ("LANGUAGE", ["NO no such language"]),
    "another language is chosen": ("LANGUAGE", ["* LANGUAGE (EN)", "OK done"]),
    "LANGUAGE gives no answer": ("LANGUAGE", ["OK done"]),
    "COMPARATOR is refused": ("COMPARATOR", ["NO [BADCOMPARATOR] none"]),
    "another comparator is chosen": ("COMPARATOR", ['* COMPARATOR "i;basic"', "OK done"]),
    "COMPARATOR gives no answer": ("COMPARATOR", ["OK done"]),
    "NOTIFY is refused": ("NOTIFY", ["NO not today"]),
    "NOTIFY is bad": ("NOTIFY", ["BAD what?"]),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_p18_the_replay_fails_and_the_client_goes_on_without_any_of_it_when(scripted, scripted_gateway, failure):
    name, answer = FAILURES[failure]
    token = save(scripted_gateway.session(), "ENABLE X-ONE X-TWO", *EVERYTHING[1:])
    client = scripted_gateway.session()
    scripted.on(name, *answer, times=1)
    fail_to_restore(client, token)
    after_failed_replay(scripted, client)


@pytest.mark.parametrize("answer", [
    ["* ENABLED x-one x-two", "OK done"], ["* ENABLED X-TWO X-MORE X-ONE", "OK done"], ["* ENABLED X-ONE", "* ENABLED X-TWO", "OK done"]])
def test_p17_enable_proves_itself_in_any_case_with_more_names_in_any_line(scripted, scripted_gateway, answer):
    token = save(scripted_gateway.session(), "ENABLE X-ONE X-TWO")
    client = scripted_gateway.session()
    scripted.on("ENABLE", *answer, times=1)
    restore(client, token)


def test_p17_language_and_comparator_prove_themselves_in_any_spelling(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), "LANGUAGE DE", "COMPARATOR i;octet")
    client = scripted_gateway.session()
    scripted.on("LANGUAGE", '* LANGUAGE ("de")', "OK done", times=1)
    scripted.on("COMPARATOR", "* COMPARATOR i;octet", "OK done", times=1)
    restore(client, token)


def test_p18_the_answer_is_the_same_as_for_any_token_that_cannot_restore(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.session()
    scripted.on("NOTIFY", "NO not today", times=1)
    assert fail_to_restore(client, token).text == fail_to_restore(scripted_gateway.session(), "garbage").text
    restore(scripted_gateway.session(), token)


def test_p18_another_token_may_be_tried_on_the_fresh_connection(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    other = save(scripted_gateway.session(), "ENABLE QRESYNC")
    client = scripted_gateway.session()
    scripted.on("NOTIFY", "NO not today", times=1)
    fail_to_restore(client, token)
    restore(client, other)
    assert scripted.sessions[-1].enabled == {"QRESYNC"}


def test_p18_what_is_pipelined_behind_runs_on_the_fresh_connection(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.client()
    scripted.on("NOTIFY", "NO not today", times=1)
    client.send(f"a LOGIN ann secret\r\nb STATE {token}\r\nc SELECT INBOX\r\nd FETCH 1 BODY[]\r\n")
    assert client.wait("a").status == b"OK"
    assert_not_restored(client.wait("b"))
    assert client.wait("c").of("EXISTS") and client.wait("d").of("FETCH")
    tainted, fresh = scripted.sessions[-2:]
    assert "SELECT" not in tainted.names and fresh.names[-2:] == ["SELECT", "FETCH"] and fresh.enabled == set()


def assert_no_and_bye(client, answer):
    assert (answer.status, answer.code) == (b"NO", b"UNAVAILABLE"), answer
    assert not answer.of("STATE")
    assert [line[:6] for line in client.rest()] == [b"* BYE "]


def cram_md5(gateway, user="ann", password="secret"):
    client = gateway.client()
    tag = client.start("AUTHENTICATE CRAM-MD5")
    challenge = base64.b64decode(client.continuation())
    digest = hmac.new(password.encode(), challenge, hashlib.md5).hexdigest()
    client.send(base64.b64encode(f"{user} {digest}".encode()) + b"\r\n")
    assert client.wait(tag).status == b"OK"
    return client


def test_p18_a_relayed_login_can_restore(scripted, scripted_gateway):
    token = save(cram_md5(scripted_gateway), *EVERYTHING)
    restore(cram_md5(scripted_gateway), token)
    restore(scripted_gateway.session(), token)


def test_p18_without_credentials_at_hand_a_failed_replay_ends_the_session(scripted, scripted_gateway):
    token = save(cram_md5(scripted_gateway), *EVERYTHING)
    client = cram_md5(scripted_gateway)
    logins = len(scripted.sessions)
    scripted.on("NOTIFY", "NO not today", times=1)
    assert_no_and_bye(client, client.command(f"STATE {token}"))
    assert len(scripted.sessions) == logins
    restore(cram_md5(scripted_gateway), token)


def test_p18_without_credentials_a_token_that_cannot_be_opened_does_no_harm(scripted, scripted_gateway):
    token = save(cram_md5(scripted_gateway), *EVERYTHING)
    client = cram_md5(scripted_gateway)
    fail_to_restore(client, "garbage")
    restore(client, token)


@pytest.mark.parametrize("before", ["STATE garbage", "NOOP", "NAMESPACE"])
def test_p18_credentials_are_gone_once_state_was_decided_or_something_forwarded(scripted, scripted_gateway, before):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = scripted_gateway.session()
    client.ok(before)
    scripted.on("NOTIFY", "NO not today", times=1)
    assert_no_and_bye(client, client.command(f"STATE {token}"))


def test_p18_what_is_pipelined_behind_a_session_that_ends_is_not_executed(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    client = cram_md5(scripted_gateway)
    scripted.on("NOTIFY", "NO not today", times=1)
    client.send(f"b STATE {token}\r\nc SELECT INBOX\r\nd EXPUNGE\r\n")
    answer = client.wait("b")
    assert (answer.status, answer.code) == (b"NO", b"UNAVAILABLE")
    assert not [line for line in client.rest() if b" OK" in line]
    assert not {"SELECT", "EXPUNGE"} & set(scripted.sessions[-1].names)


def test_p18_an_upstream_that_has_lost_an_extension_unannounced_is_noticed(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), "ENABLE QRESYNC X-ONE")
    scripted.enableable = {"QRESYNC", "CONDSTORE"}
    client = scripted_gateway.session()
    fail_to_restore(client, token)
    after_failed_replay(scripted, client)


def test_p18_the_log_tells_which_command_failed(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *EVERYTHING)
    scripted.on("LANGUAGE", "NO no such language", times=1)
    mark = scripted_gateway.log_octets()
    fail_to_restore(scripted_gateway.session(), token)
    scripted_gateway.wait_log(r"LANGUAGE", since=mark)
