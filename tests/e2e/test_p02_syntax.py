"""P2: when STATE and SAVESTATE may be sent, and in which form."""
import pytest

from harness.imap import literal, quoted
from harness.tokens import assert_not_restored, assert_restored, restore, save, saved

pytestmark = pytest.mark.every_server

BEFORE_LOGIN = ["STATE", "STATE sometoken", 'STATE "sometoken"', "STATE NIL", "SAVESTATE"]


@pytest.mark.parametrize("command", BEFORE_LOGIN)
def test_p02_before_login_it_is_bad(gateway, command):
    client = gateway.client()
    client.bad(command)
    client.login("ann", "secret")
    client.ok("STATE")


@pytest.mark.parametrize("select", ["SELECT INBOX", "EXAMINE INBOX", "select inbox"])
@pytest.mark.parametrize("command", ["STATE", "STATE sometoken"])
def test_p02_state_while_a_mailbox_is_selected_is_bad(gateway, select, command):
    client = gateway.session()
    client.ok(select)
    client.bad(command)
    client.ok("NOOP")


@pytest.mark.parametrize("leave", [pytest.param("UNSELECT", marks=pytest.mark.needs("UNSELECT")), "CLOSE"])
def test_p02_state_is_allowed_again_when_the_mailbox_is_left(gateway, leave):
    token = save(gateway.session())
    client = gateway.session()
    client.ok("SELECT INBOX")
    client.bad("STATE")
    client.ok(leave)
    client.ok("STATE")
    restore(client, token)


def test_p02_a_select_that_failed_leaves_no_mailbox_selected(gateway, server):
    client = gateway.session()
    client.ok("SELECT INBOX")
    client.no(f"SELECT {server.mailbox('nosuch')}")
    client.ok("STATE")


def test_p02_savestate_is_allowed_while_a_mailbox_is_selected(gateway):
    client = gateway.session()
    client.ok("STATE")
    client.ok("SELECT INBOX")
    token = saved(client.ok("SAVESTATE"))
    restore(gateway.session(), token)


MALFORMED = [
    b"STATE ", b'STATE ""', b"STATE {0+}\r\n", b"STATE a b", b"STATE a ", b"STATE  a", b"STATE (a)", b"STATE a(b",
    b'STATE "a"b', b"STATE a%b", b"STATE a*b", b"STATE a\\b", b"STATE a\xc3\xa9", b"STATE a{b",
    b"SAVESTATE ", b"SAVESTATE x", b'SAVESTATE "x"', b"SAVESTATE {1+}\r\nx",
]


@pytest.mark.parametrize("command", MALFORMED)
def test_p02_malformed_arguments_are_bad(gateway, command):
    client = gateway.session()
    client.bad(command)
    client.ok("NOOP")


@pytest.mark.parametrize("command", [b'STATE "a', b'STATE a"b'])
def test_p02_a_quoted_string_without_its_end_is_bad_or_ends_the_connection(gateway, command):
    # Nobody can know whether the next line belongs to it.
    client = gateway.session()
    client.send(b"x " + command + b"\r\n")
    assert client.response().startswith((b"x BAD ", b"* BYE "))


def test_p02_an_empty_synchronizing_literal_is_bad_asked_for_or_not(gateway):
    client = gateway.session()
    client.send(b"x STATE {0}\r\n")
    response = client.response()
    if response.startswith(b"+"):
        client.send(b"\r\n")
        response = client.response()
    assert response.startswith(b"x BAD ")
    client.ok("NOOP")


@pytest.mark.parametrize("form", [bytes, quoted, literal])
def test_p02_a_token_of_2048_octets_is_a_token_and_one_of_2049_is_bad(gateway, form):
    client = gateway.session()
    assert_not_restored(client.ok(b"STATE " + form(b"x" * 2048)))
    client.bad(b"STATE " + form(b"x" * 2049))
    client.bad(b"STATE " + form(b"x" * 4096))
    client.ok("NOOP")


def test_p02_a_synchronizing_literal_that_is_too_long_is_bad_asked_for_or_not(gateway):
    client = gateway.session()
    client.send(b"x STATE {2049}\r\n")
    response = client.response()
    if response.startswith(b"+"):
        client.send(b"x" * 2049 + b"\r\n")
        response = client.response()
    assert response.startswith(b"x BAD ")
    client.ok("NOOP")


@pytest.mark.parametrize("nil", ["NIL", "nil", '"NIL"'])
def test_p02_nil_is_no_token_of_ours(gateway, nil):
    assert_not_restored(gateway.session().ok(f"STATE {nil}"))


@pytest.mark.parametrize("form", [bytes, quoted, literal])
def test_p02_a_token_may_come_as_any_astring(gateway, form):
    token = save(gateway.session(), "ENABLE QRESYNC")
    answer = gateway.session().ok(b"STATE " + form(token.encode()))
    assert_restored(answer, token)


def test_p02_a_token_may_come_as_a_synchronizing_literal(gateway):
    token = save(gateway.session(), "ENABLE QRESYNC")
    client = gateway.session()
    client.send(f"x STATE {{{len(token)}}}\r\n")
    client.continuation()
    client.send(token + "\r\n")
    assert_restored(client.wait("x"), token)


def test_p02_a_quoted_token_may_have_escapes(gateway):
    token = save(gateway.session())
    assert_not_restored(gateway.session().ok('STATE "\\"\\\\"'))
    restore(gateway.session(), token)


def test_p02_the_names_are_taken_in_any_case(gateway):
    client = gateway.session()
    client.ok("state")
    saved(client.ok("SaveState"))


@pytest.mark.parametrize("settle", ["UNSELECT", "CLOSE"])
def test_p02_after_a_select_that_was_answered_bad_state_is_bad_until_it_is_left(scripted, scripted_gateway, settle):
    client = scripted_gateway.session()
    scripted.on("SELECT", "BAD what?")
    client.bad("SELECT INBOX")
    client.bad("STATE")
    client.bad("STATE sometoken")
    client.ok(settle)
    client.ok("STATE")


@pytest.mark.parametrize("plus", [True, False])
def test_p02_nor_is_it_known_where_the_literal_of_a_select_was_refused(scripted, scripted_gateway, plus):
    """The server may have refused the string before it looked at the command."""
    client = scripted_gateway.session()
    client.ok("SELECT INBOX")
    scripted.refuses_literals = True
    client.no(b"SELECT " + literal("abc", plus=plus))
    scripted.refuses_literals = False
    client.bad("STATE")
    client.ok("UNSELECT")
    client.ok("STATE")


def test_p02_after_a_select_that_was_answered_bad_another_select_settles_it(scripted, scripted_gateway):
    client = scripted_gateway.session()
    scripted.on("SELECT", "BAD what?", times=1)
    client.bad("SELECT INBOX")
    client.bad("STATE")
    scripted.on("SELECT", "NO no such mailbox", times=1)
    client.no("SELECT nosuch")
    client.ok("STATE")
    scripted.on("SELECT", "BAD what?", times=1)
    client.bad("SELECT INBOX")
    client.ok("SELECT INBOX")
    client.bad("STATE")
