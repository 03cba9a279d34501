"""What an upstream shows to be on counts, whoever has switched it on: a connection is parked, and a token restored, only where
the record accounts for all that was seen (P4, P7)."""
import pytest

from harness.gateway import upstream
from harness.parking import Lot
from harness.tokens import assert_not_restored, restore, save, saved, setup_of

# What shows that something is on, and a set-up that accounts for it; None: nothing does.
SIGNS = {
    "ENABLED": ("* ENABLED X-ONE", None),
    "ENABLED in lower case": ("* enabled x-one", None),
    "ENABLED of nothing": ("* ENABLED", None),
    "LANGUAGE": ("* LANGUAGE (FR)", None),
    "COMPARATOR": ("* COMPARATOR i;octet", None),
    "STATUS": ("* STATUS box (MESSAGES 1)", "NOTIFY NONE"),
    "METADATA": ("* METADATA box (/shared/comment)", "ENABLE METADATA"),
    "VANISHED": ("* VANISHED 1:3", "ENABLE QRESYNC"),
    "MODSEQ": ("* 1 FETCH (FLAGS () MODSEQ (7))", "ENABLE CONDSTORE"),
    "UIDFETCH": ("* 1 UIDFETCH (FLAGS ())", "ENABLE UIDONLY"),
    "an overflow": ("* OK [NOTIFICATIONOVERFLOW] Too many.", None),
}


@pytest.fixture(name="start_lot")
def fixture_start_lot(start_scripted, start_gateway):
    """start_lot(**park): a gateway with these settings of park, and its upstream."""
    def start(**park):
        scripted = start_scripted(enableable={"QRESYNC", "CONDSTORE", "METADATA", "UIDONLY", "X-ONE", "X-TWO"})
        return Lot(start_gateway(scripted.port, park=park), scripted)
    return start


@pytest.fixture(name="lot")
def fixture_lot(start_lot):
    return start_lot(per_user=4)


def in_pieces(text):
    """A function for the scripted upstream: the line, octet by octet, and the answer."""
    def say(connection, tag, arguments):
        for octet in f"{text}\r\n{tag} OK done.\r\n".encode():
            connection.send(bytes([octet]))
    return say


@pytest.mark.parametrize("cut", [False, True], ids=["at once", "octet by octet"])
@pytest.mark.parametrize("sign", SIGNS)
def test_a_connection_that_shows_what_nobody_has_set_up_is_not_parked(lot, sign, cut):
    line, _ = SIGNS[sign]
    client = lot.gateway.session()
    connection = lot.mark(client)
    lot.scripted.on("NOOP", in_pieces(line) if cut else line, *([] if cut else ["OK done"]), times=1)
    client.ok("NOOP")
    assert not lot.leave(client, connection)


@pytest.mark.parametrize("sign", SIGNS)
def test_nor_beside_a_set_up_that_does_not_account_for_it(lot, sign):
    line, _ = SIGNS[sign]
    client = lot.gateway.session()
    token = save(client, "ENABLE X-TWO")
    connection = lot.mark(client)
    lot.scripted.on("NOOP", line, "OK done", times=1)
    client.ok("NOOP")
    # P8: what a token says is what was set up, and that alone.
    again = saved(client.ok("SAVESTATE"))
    assert not lot.leave(client, connection)
    for each in (token, again):
        client = lot.gateway.session()
        restore(client, each)
        assert setup_of(lot.scripted.sessions[-1])[:1] == ["ENABLE X-TWO"]
        assert lot.leave(client, lot.mark(client))


@pytest.mark.parametrize("sign", [sign for sign, (_, accounts) in SIGNS.items() if accounts])
def test_but_it_is_where_the_set_up_accounts_for_it(lot, sign):
    line, setup = SIGNS[sign]
    client = lot.gateway.session()
    save(client, setup)
    connection = lot.mark(client)
    lot.scripted.on("NOOP", line, "OK done", times=1)
    client.ok("NOOP")
    assert lot.leave(client, connection)


@pytest.mark.parametrize("answer", [
    ("* ENABLED X-TWO X-ONE", "OK done"), ("* ENABLED X-ONE", "* ENABLED X-TWO", "OK done"),
    ("* ENABLED X-TWO", "OK done", "* ENABLED X-ONE")], ids=["more names", "more lines", "a late one"])
def test_an_enable_that_switches_on_more_than_it_said_is_not_parked(lot, answer):
    client = lot.gateway.session()
    client.ok("STATE")
    # A status without a tag is the tagged answer: what follows it comes late.
    lot.scripted.on("ENABLE", lambda c, tag, _: c.send("".join(
        f"{tag} {line}\r\n" if line.startswith("OK") else f"{line}\r\n" for line in answer)), times=1)
    client.ok("ENABLE X-TWO")
    connection = lot.mark(client)
    assert not lot.leave(client, connection)


@pytest.mark.parametrize("sign", SIGNS)
def test_p07_a_token_is_restored_only_where_nothing_was_seen(lot, sign):
    token = save(lot.gateway.session(), "ENABLE X-TWO")
    client = lot.gateway.session()
    lot.scripted.on("NOOP", SIGNS[sign][0], "OK done", times=1)
    client.ok("NOOP")
    assert_not_restored(client.ok(f"STATE {token}"))
    assert "ENABLE" not in lot.scripted.sessions[-1].names
    restore(lot.gateway.session(), token)  # it is still good


@pytest.mark.parametrize("sign", SIGNS)
def test_what_comes_with_the_login_counts_too(lot, sign):
    token = save(lot.gateway.session(), "ENABLE X-TWO")

    def log_in(connection, tag, arguments):
        connection.send(SIGNS[sign][0] + "\r\n")
        connection.do_LOGIN(tag, arguments)

    lot.scripted.on("LOGIN", log_in, times=1)
    client = lot.gateway.session()
    assert_not_restored(client.ok(f"STATE {token}"))
    assert not lot.leave(client, lot.mark(client))


@pytest.mark.parametrize("sign", SIGNS)
def test_and_what_comes_during_a_restore(lot, sign):
    """It does not fail, as what it asked for has been confirmed; but nobody gets the connection."""
    token = save(lot.gateway.session(), "ENABLE X-TWO")

    def enable(connection, tag, arguments):
        connection.do_ENABLE(tag, arguments)
        connection.send(SIGNS[sign][0] + "\r\n")

    def chatty(connection, tag, arguments):
        connection.send(SIGNS[sign][0] + "\r\n")
        connection.do_ENABLE(tag, arguments)

    # In answer to ENABLE one without a name says nothing.
    for function in (enable,) if sign == "ENABLED of nothing" else (enable, chatty):
        lot.scripted.on("ENABLE", function, times=1)
        client = lot.gateway.session()
        restore(client, token)
        client.ok("NOOP")
        assert not lot.leave(client, lot.mark(client))


@pytest.mark.parametrize("sign", SIGNS)
def test_a_connection_that_shows_it_while_it_settles_is_not_parked(lot, sign):
    def chatty(connection, tag, arguments):
        connection.send(SIGNS[sign][0] + "\r\n")
        connection.do_UNSELECT(tag, arguments)

    lot.scripted.on("UNSELECT", chatty, times=1)
    client = lot.gateway.session()
    client.ok("SELECT INBOX")
    assert not lot.leave(client, lot.mark(client))


@pytest.mark.parametrize("sign", SIGNS)
def test_nor_kept_when_it_shows_it_with_a_sign_of_life(start_lot, sign):
    lot = start_lot(keepalive="100ms")
    connection = lot.visit()
    lot.scripted.on("NOOP", SIGNS[sign][0], "OK done")
    lot.wait_closed(connection, 30)


@pytest.mark.parametrize("sign", SIGNS)
def test_nor_taken_when_it_has_shown_it_since(lot, sign):
    connection = lot.visit()
    connection.send(SIGNS[sign][0] + "\r\n")
    client, other = lot.land()
    assert other is not connection
    assert not any(SIGNS[sign][0].encode() in line for line in client.ok("NOOP").untagged)


def test_rfc5465_a_notify_that_has_ended_by_itself_is_saved_as_none(lot):
    client = lot.gateway.session()
    client.ok("STATE")
    client.ok("NOTIFY SET (personal (MessageNew))")
    lot.scripted.on("NOOP", "* OK [NOTIFICATIONOVERFLOW] Too many.", "OK done", times=1)
    client.ok("NOOP")
    token = saved(client.ok("SAVESTATE"))
    restore(lot.gateway.session(), token)
    assert lot.scripted.sessions[-1].arguments("NOTIFY") == [b"NONE"]


# A command line with a literal too many; what the literal holds switches QRESYNC on, and takes what follows for a message, so
# that each command is answered as often as it should be.
SURPLUS = b"b ENABLE QRESYNC\r\nc APPEND no-such {%d+}\r\n"


def surplus(command):
    tail = b"\r\nb NOOP\r\nc NOOP\r\n"
    return b"a %s {%d+}\r\n%s%s" % (command, len(SURPLUS % (len(tail) - 2)), SURPLUS % (len(tail) - 2), tail)


@pytest.mark.parametrize("command", [b'SUBSCRIBE "x"', b'CREATE "x"', b'STATUS INBOX (MESSAGES)', b'UNSUBSCRIBE "x"'])
def test_what_a_surplus_literal_has_switched_on_serves_nobody(dovecot, start_gateway, command):
    gateway = start_gateway(upstream(dovecot.plain_port), park={})
    user = dovecot.new_user()
    client = gateway.session(user, "secret")
    token = save(client, "ENABLE CONDSTORE")
    client.send(surplus(command))
    client.wait("c")
    client.close()
    gateway.wait_log(rf"user={user} .*closing: ")
    client = gateway.session(user, "secret")
    restore(client, token)
    client.ok("SELECT INBOX")
    # Where QRESYNC is on as well, which the state does not say, this is VANISHED.
    client.ok(b"APPEND INBOX (\\Deleted) {1+}\r\nx")
    client.ok("NOOP")
    answer = client.ok("EXPUNGE")
    assert answer.of("EXPUNGE") and not answer.of("VANISHED")
