"""P3, P4: tracking, and what a restored session is."""
import pytest

from harness.imap import capabilities
from harness.parking import Lot
from harness.scripted import ENABLE_HABITS
from harness.tokens import announced, assert_tracking, fail_to_restore, restore, save, saved, setup_of

pytestmark = pytest.mark.every_server


@pytest.mark.needs("QRESYNC")
def test_p03_state_without_a_token_is_ok_and_turns_tracking_on(gateway):
    client = gateway.session()
    assert not announced(client.ok("ENABLE CONDSTORE"))
    answer = client.ok("STATE")
    assert not answer.of("STATE") and answer.text
    assert announced(client.ok("ENABLE QRESYNC", tag="e1")) == ["e1"]


def test_p03_repeating_state_is_harmless_and_forgets_nothing(scripted, scripted_gateway):
    client = scripted_gateway.session()
    client.ok("STATE")
    client.ok("STATE")
    client.ok("ENABLE X-ONE")
    client.ok("STATE")
    client.ok("NOTIFY NONE")
    client.ok("STATE")
    token = saved(client.ok("SAVESTATE"))
    restore(scripted_gateway.session(), token)
    assert setup_of(scripted.sessions[-1]) == ["ENABLE X-ONE", "NOTIFY NONE"]


def test_p03_state_after_a_restore_forgets_nothing(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), "ENABLE X-ONE")
    client = scripted_gateway.session()
    restore(client, token)
    client.ok("STATE")
    assert_tracking(client)
    restore(scripted_gateway.session(), saved(client.ok("SAVESTATE")))
    assert setup_of(scripted.sessions[-1]) in (["ENABLE X-ONE CONDSTORE"], ["ENABLE X-ONE", "ENABLE CONDSTORE"])


def test_p03_state_does_not_reach_the_upstream(scripted, scripted_gateway):
    client = scripted_gateway.session()
    token = save(client, "ENABLE X-ONE")
    restore(scripted_gateway.session(), token)
    fail_to_restore(scripted_gateway.session(), "garbage")
    client.ok("NOOP")
    for connection in scripted.connections:
        assert not {"STATE", "SAVESTATE"} & set(connection.names)
        assert token.encode() not in connection.received


def test_p04_a_restore_gives_the_same_token_back_and_ok(gateway, server):
    token = save(gateway.session(), server.setup)
    answer = restore(gateway.session(), token)
    assert answer.untagged == [f"* STATE {token}\r\n".encode()]


def test_p04_a_token_of_an_empty_state_restores(gateway):
    restore(gateway.session(), save(gateway.session()))


@pytest.mark.needs("QRESYNC")
def test_p04_tracking_is_on_after_a_restore(gateway):
    token = save(gateway.session(), "ENABLE CONDSTORE")
    client = gateway.session()
    restore(client, token)
    assert announced(client.ok("ENABLE QRESYNC", tag="e1")) == ["e1"]
    saved(client.ok("SAVESTATE"))


def expunge_one(server, client, user):
    server.add_message(user)
    client.ok("SELECT INBOX")
    client.ok("STORE 1 +FLAGS (\\Deleted)")
    return client.ok("EXPUNGE")


@pytest.mark.needs("QRESYNC")
def test_p04_restores_qresync_on_a_real_server(gateway, server):
    user = server.new_user()
    token = save(gateway.session(user), "ENABLE QRESYNC")
    client = gateway.session(user)
    restore(client, token)
    answer = expunge_one(server, client, user)
    assert (answer.of("VANISHED"), answer.of("EXPUNGE")) == ([b"* VANISHED 1\r\n"], [])


@pytest.mark.needs("CONDSTORE")
def test_p04_restores_no_more_than_the_state(gateway, server):
    user = server.new_user()
    token = save(gateway.session(user), "ENABLE CONDSTORE")
    client = gateway.session(user)
    restore(client, token)
    answer = expunge_one(server, client, user)
    assert (answer.of("VANISHED"), answer.of("EXPUNGE")) == ([], [b"* 1 EXPUNGE\r\n"])


@pytest.mark.needs("QRESYNC")
def test_p04_restores_the_right_to_select_with_qresync(gateway, server):
    user = server.new_user()
    server.add_message(user)
    token = save(gateway.session(user), "ENABLE QRESYNC")
    client = gateway.session(user)
    client.ok("NOOP")
    restore(client, token)
    assert client.ok("SELECT INBOX (QRESYNC (1 1))").of("EXISTS") == [b"* 1 EXISTS\r\n"]


@pytest.mark.parametrize("habit", ENABLE_HABITS)
def test_p04_condstore_belongs_to_the_qresync_that_brings_it(start_scripted, start_gateway, habit):
    """RFC 7162 section 3.2.3: whether or not the server names it, the state with it is no more than the token's."""
    scripted = start_scripted(enable=habit)
    lot = Lot(start_gateway(scripted.port, park={"per_user": 4}), scripted)
    scripted.on("NOOP", "* 1 FETCH (FLAGS () MODSEQ (7))", "OK done")
    client = lot.gateway.session()
    token = save(client, "ENABLE QRESYNC")
    assert lot.leave(client)
    visits = []
    for _ in range(3):  # warm, and warm again, whatever has been shown of CONDSTORE meanwhile
        client = lot.gateway.session()
        restore(client, token)
        client.ok("NOOP")
        visits.append(lot.mark(client))
        token = saved(client.ok("SAVESTATE"))
        assert lot.leave(client)
    assert visits == [scripted.sessions[0]] * 3
    assert setup_of(scripted.sessions[0]) == ["ENABLE QRESYNC"]


@pytest.mark.parametrize("habit", ENABLE_HABITS)
def test_p04_a_restore_counts_as_having_enabled(start_scripted, start_gateway, habit):
    scripted = start_scripted(enable=habit)
    gateway = start_gateway(scripted.port)
    token = save(gateway.session(), "ENABLE QRESYNC")
    client = gateway.session()
    restore(client, token)
    client.ok("SELECT INBOX (QRESYNC (7 1))")  # RFC 7162 section 3.2.5 wants the ENABLE before
    client.ok("UNSELECT")
    again = saved(client.ok("SAVESTATE"))
    client = gateway.session()
    restore(client, again)
    assert setup_of(scripted.sessions[-1]) == ["ENABLE QRESYNC"]


@pytest.mark.needs("NOTIFY")
def test_p04_restores_notify_on_a_real_server(gateway, server):
    user = server.new_user()
    gateway.session(user).ok("CREATE Work")
    token = save(gateway.session(user), "NOTIFY SET (personal (MessageNew MessageExpunge))")
    client = gateway.session(user)
    restore(client, token)
    gateway.session(user).ok(b"APPEND Work {30+}\r\nSubject: hello\r\n\r\nIt is new.\r\n")
    for _ in range(1000):
        if answer := client.ok("NOOP").of("STATUS"):
            assert b"Work" in answer[0]
            return
    pytest.fail("the restored session hears nothing of new mail")


def test_p04_restores_every_kind_in_the_order_in_which_it_was_set_up(scripted, scripted_gateway):
    commands = ["ENABLE QRESYNC", "LANGUAGE DE", "COMPARATOR i;octet", "NOTIFY NONE", "ENABLE X-ONE"]
    token = save(scripted_gateway.session(), *commands)
    restore(scripted_gateway.session(), token)
    got = [command.replace('"', "") for command in setup_of(scripted.sessions[-1])]
    assert got == commands


def test_p04_the_state_after_a_restore_is_exactly_the_tokens(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), "ENABLE X-ONE", "LANGUAGE DE")
    client = scripted_gateway.session()
    restore(client, token)
    again = saved(client.ok("SAVESTATE"))
    restore(scripted_gateway.session(), again)
    first, second = scripted.sessions[-2:]
    assert setup_of(first) == setup_of(second) == ["ENABLE X-ONE", "LANGUAGE DE"]
    assert first.enabled == {"X-ONE"}


def test_p04_the_capability_answer_cached_with_the_token_is_still_true(gateway, server):
    client = gateway.session()
    token = save(client, server.setup)
    cached = capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])
    client = gateway.session()
    restore(client, token)
    assert capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0]) == cached
