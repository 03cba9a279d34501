"""Servers that offer a way to log in, refuse it, and take the same password by another: who has it gets in, and nobody has two
guesses for one once that is known."""
import re

import pytest

from harness import logins
from harness.gateway import upstream
from harness.scripted import CLOSE

REFUSAL = "NO Login failed."  # which says nothing of the reason
# The client's way, the command that is refused, the one by which the password is taken.
WAYS = {
    "LOGIN": ("LOGIN with atoms", "LOGIN", "AUTHENTICATE"),
    "PLAIN": ("PLAIN at once", "AUTHENTICATE", "LOGIN"),
    "PLAIN in two steps": ("PLAIN", "AUTHENTICATE", "LOGIN"),
}


def tries(scripted):
    """The login commands that the upstream has got, one list a connection that got any."""
    each = [[name for name in c.names if name in ("LOGIN", "AUTHENTICATE")] for c in scripted.connections]
    return [names for names in each if names]


def reasons(gateway):
    return re.findall(r"login failed: .* reason=(\S+)$", gateway.log(), re.M)


@pytest.mark.parametrize("words", [REFUSAL, "NO", "BAD Command Argument Error. 12", "NO [CANNOT] not so", "NO [SERVERBUG] oops"])
@pytest.mark.parametrize("way", WAYS)
def test_a_password_that_is_refused_by_one_way_is_tried_by_another_and_that_is_remembered(scripted, scripted_gateway, way, words):
    how, broken, works = WAYS[way]
    scripted.on(broken, words)
    for _ in range(3):
        assert logins.by(how, scripted_gateway.client(), "ann", "secret").status == b"OK"
    assert tries(scripted) == [[broken], [works], [works], [works]]
    assert not reasons(scripted_gateway)


def test_what_one_worker_has_learned_all_know(scripted, start_gateway):
    gateway = start_gateway(scripted.port, workers=4)
    scripted.on("AUTHENTICATE", REFUSAL)
    for _ in range(40):
        assert logins.by("PLAIN at once", gateway.client(), "ann", "secret").status == b"OK"
    assert tries(scripted) == [["AUTHENTICATE"]] + [["LOGIN"]] * 40


@pytest.mark.parametrize("code", ["AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "UNAVAILABLE", "THROTTLED", "LIMIT", "INUSE",
                                  "ALERT", "PRIVACYREQUIRED"])
@pytest.mark.parametrize("way", WAYS)
def test_not_after_a_code_that_judges_credentials_or_says_what_else_was_in_the_way(scripted, scripted_gateway, way, code):
    how, refused, _ = WAYS[way]
    scripted.on(refused, f"NO [{code}] no")
    assert logins.by(how, scripted_gateway.client(), "ann", "secret").code == code.encode()
    assert tries(scripted) == [[refused]]


@pytest.mark.parametrize("first", ["LOGIN with atoms", "PLAIN at once", "XOAUTH2"])
@pytest.mark.parametrize("way", WAYS)
def test_once_somebody_is_in_a_guess_is_one(scripted, scripted_gateway, way, first):
    if first == "XOAUTH2":
        scripted_gateway.client().ok(b"AUTHENTICATE XOAUTH2 " + logins.encoded(logins.xoauth2("ann", "secret")))
    else:
        assert logins.by(first, scripted_gateway.client(), "ann", "secret").status == b"OK"
    how, refused, _ = WAYS[way]
    for name in ("LOGIN", "AUTHENTICATE"):
        scripted.on(name, REFUSAL)
    assert logins.by(how, scripted_gateway.client(), "ann", "wrong").status == b"NO"
    assert tries(scripted)[1:] == [[refused]]


@pytest.mark.parametrize("way", WAYS)
def test_before_that_it_is_two_and_one_failure(scripted, scripted_gateway, way):
    how, refused, other = WAYS[way]
    scripted.on(refused, REFUSAL)
    scripted.on(other, "NO No such thing.")
    answer = logins.by(how, scripted_gateway.client(), "ann", "wrong")
    assert answer.status == b"NO" and answer.text == b"No such thing."
    assert tries(scripted) == [[refused], [other]] and reasons(scripted_gateway) == ["refused"]


# What the second way says when it says nothing of the password; then what the first has said counts.
SECONDS = {"BAD": "BAD what?", "later": "NO [UNAVAILABLE] later", "the end": CLOSE,
           "BYE": lambda c, tag, arguments: (c.send(b"* BYE too many\r\n"), c.hang_up()),
           "a challenge too many": lambda c, tag, arguments: (c.challenge(b"?"), c.send(f"{tag} BAD cancelled\r\n"))}


@pytest.mark.parametrize("second", SECONDS)
@pytest.mark.parametrize("first,reason", [(REFUSAL, "refused"), ("BAD no.", "unavailable")])
def test_a_second_way_that_says_nothing_of_the_password_takes_nothing_back(scripted, scripted_gateway, first, reason, second):
    scripted.on("LOGIN", first)
    scripted.on("AUTHENTICATE", SECONDS[second])
    client = scripted_gateway.client()
    assert client.command("LOGIN ann wrong", tag="x").tagged == f"x {first}\r\n".encode()
    assert reasons(scripted_gateway) == [reason]
    client.ok("NOOP")


def test_a_second_way_that_judges_counts(scripted, scripted_gateway):
    scripted.on("LOGIN", "BAD no.")
    assert scripted_gateway.client().no("LOGIN ann wrong").code == b"AUTHENTICATIONFAILED"
    assert reasons(scripted_gateway) == ["refused"]


def test_where_there_is_no_other_way_there_is_none(start_scripted, start_gateway):
    scripted = start_scripted(caps_before="IMAP4rev1")
    scripted.on("LOGIN", REFUSAL)
    start_gateway(scripted.port).client().no("LOGIN ann secret")
    assert tries(scripted) == [["LOGIN"]]


def test_an_authorization_identity_has_one_way_only(scripted, start_gateway):
    gateway = start_gateway(upstream(scripted.port, authorization_identity="pass"))
    scripted.on("AUTHENTICATE", REFUSAL)
    assert logins.by_plain_at_once(gateway.client(), "master", "of all", authorization="ann").status == b"NO"
    assert tries(scripted) == [["AUTHENTICATE"]]


def test_a_login_that_the_gateway_makes_for_a_session_goes_by_the_way_that_works(scripted, start_gateway):
    gateway = start_gateway(scripted.port, park={"per_user": 2})
    scripted.on("AUTHENTICATE", REFUSAL)
    client = gateway.client()
    assert logins.by_plain_at_once(client, "ann", "secret").status == b"OK"
    client.ok("STATE")
    client.ok("ENABLE X-ONE")
    client.logout()
    gateway.wait_log("park: parked")
    client = gateway.client()  # accepted by the connection that is in a state, which NOOP does not want
    assert logins.by_plain_at_once(client, "ann", "secret").status == b"OK"
    client.ok("NOOP")
    assert tries(scripted) == [["AUTHENTICATE"], ["LOGIN"], ["LOGIN"]]


# Reloads


def test_a_reload_that_leaves_the_upstream_where_it_is_forgets_nothing(scripted, scripted_gateway):
    scripted.on("AUTHENTICATE", REFUSAL)
    assert logins.by_plain_at_once(scripted_gateway.client(), "ann", "secret").status == b"OK"
    mark = scripted_gateway.log_octets()
    scripted_gateway.write_config(max_login_failures=7)
    scripted_gateway.reload()
    scripted_gateway.wait_log("reloaded:", since=mark)
    assert logins.by_plain_at_once(scripted_gateway.client(), "ann", "secret").status == b"OK"
    assert tries(scripted) == [["AUTHENTICATE"], ["LOGIN"], ["LOGIN"]]


def move(gateway, port):
    mark = gateway.log_octets()
    gateway.sections[3].update(address=f"127.0.0.1:{port}")
    gateway.write_config()
    gateway.reload()
    gateway.wait_log("reloaded:", since=mark)


def test_a_reload_that_moves_the_upstream_forgets_and_what_goes_on_at_the_old_one_is_not_learned(start_scripted, start_gateway):
    old, new = start_scripted(), start_scripted()
    gateway = start_gateway(upstream(old.port))
    old.on("AUTHENTICATE", REFUSAL)
    early = gateway.client()
    assert logins.by_plain_at_once(gateway.client(), "ann", "secret").status == b"OK"
    new.on("LOGIN", REFUSAL)
    move(gateway, new.port)
    assert logins.by_plain_at_once(early, "ann", "secret").status == b"OK"
    assert tries(old) == [["AUTHENTICATE"], ["LOGIN"], ["LOGIN"]]
    assert logins.by_plain_at_once(gateway.client(), "ann", "secret").status == b"OK"
    assert gateway.client().no("LOGIN ann secret").text == b"Login failed."  # somebody is in
    assert tries(new) == [["AUTHENTICATE"], ["LOGIN"]]
