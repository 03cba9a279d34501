"""Parking never weakens a lockout of the upstream's. Whoever logs in by a secret that the upstream has yet to judge may be guessing:
from then on all logins of that identity go there until one succeeds, whatever they are made by and whoever they act for."""
import pytest

from harness import logins
from harness.gateway import upstream
from harness.parking import Lot, vanish
from harness.patience import in_time
from harness.scripted import CLOSE


@pytest.fixture(name="lot")
def fixture_lot(scripted, start_gateway):
    return Lot(start_gateway(upstream(scripted.port, authorization_identity="pass"), park={"per_user": 8}), scripted)


def assert_asks_the_upstream(lot, first, client, login):
    """The upstream itself answers this login, though `first` is parked; after that success, it serves again."""
    before = lot.logins
    assert login(client).status == b"OK"
    assert lot.logins == before + 1 and not first.closed
    client.close()


def ann(client):
    return client.login("ann", "secret")


def guess(lot, password="wrong"):
    """A login that the upstream takes its time to answer."""
    arrived = []
    for name in ("LOGIN", "AUTHENTICATE"):
        lot.scripted.on(name, lambda connection, tag, arguments: arrived.append(tag))
    client = lot.gateway.client()
    client.start(f'LOGIN "ann" "{password}"')
    lot.scripted.wait_for(lambda: arrived)
    answer_again(lot)
    return client


def answer_again(lot):
    for name in ("LOGIN", "AUTHENTICATE"):
        lot.scripted.on(name, lambda connection, tag, arguments, name=name: connection.default(tag, name, arguments))


def test_a_guess_counts_as_soon_as_it_is_made(lot):
    """Else many could be made at a time, and the right one be told by its quick OK."""
    first = lot.visit()
    waiting = guess(lot)
    assert_asks_the_upstream(lot, first, lot.gateway.client(), ann)
    waiting.close()
    lot.visit()
    assert lot.logins == 2


def test_a_guess_counts_if_nobody_waits_for_its_answer(lot):
    first = lot.visit()
    vanish(guess(lot))
    lot.gateway.wait_log("closing: client lost")
    assert_asks_the_upstream(lot, first, lot.gateway.client(), ann)


def test_the_same_if_it_says_only_late_whose_login_it_is(lot):
    first = lot.visit()
    arrived = []
    lot.scripted.on("AUTHENTICATE", lambda connection, tag, arguments: arrived.append(connection.challenge(b"<1@scripted>")), times=1)
    client = lot.gateway.client()
    client.start("AUTHENTICATE CRAM-MD5")
    client.continuation()
    client.send(logins.encoded("ann " + "0" * 32) + b"\r\n")
    lot.scripted.wait_for(lambda: arrived)
    vanish(client)
    lot.gateway.wait_log("closing: client lost")
    assert_asks_the_upstream(lot, first, lot.gateway.client(), ann)


def test_the_right_password_is_no_guess(lot):
    first = lot.visit()
    held, landed = lot.land()
    assert landed is first
    vanish(guess(lot, "secret"))  # goes upstream, as nothing is parked
    lot.gateway.wait_log("closing: client lost")
    assert lot.leave(held, first)
    assert lot.visit() is first and lot.logins == 1


def leave_a_guess(lot, ending):
    first = lot.visit()
    for name in ("LOGIN", "AUTHENTICATE"):
        lot.scripted.on(name, *ending)
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "wrong").code == b"UNAVAILABLE"
    answer_again(lot)
    assert_asks_the_upstream(lot, first, lot.gateway.client(), ann)


@pytest.mark.parametrize("ending", [(CLOSE,), ("NO [UNAVAILABLE] not now",)], ids=["hangs up", "says NO [UNAVAILABLE]"])
def test_an_upstream_that_does_not_judge_a_password_leaves_it_a_guess(lot, ending):
    leave_a_guess(lot, ending)


@pytest.mark.parametrize("ending", [("* BYE locked out",), (lambda connection, tag, arguments: None,)], ids=["says BYE", "is silent"])
def test_an_upstream_that_does_not_answer_leaves_it_a_guess(start_scripted, start_gateway, ending):
    """What comes before its silence and behind it has to be answered in that time, too."""
    def attempt():
        scripted = start_scripted()
        gateway = start_gateway(upstream(scripted.port, answer_timeout="1s"), park={"per_user": 8})
        leave_a_guess(Lot(gateway, scripted), ending)

    in_time(1 + 0.9, attempt)


WRONG = {
    "by CRAM-MD5": lambda client: logins.by_cram_md5(client, "ann", "wrong"),
    "by an empty password": lambda client: logins.by_quoted_strings(client, "ann", ""),
    "by a bearer token": lambda client: logins.converse(client, "XOAUTH2", logins.xoauth2("ann", "wrong"), ""),
    "by a bearer token, and cancels": lambda client: cancel_bearer(client),
    "for somebody else": lambda client: logins.by_plain_at_once(client, "ann", "wrong", "bob"),
}


def cancel_bearer(client):
    tag = client.start(b"AUTHENTICATE XOAUTH2 " + logins.encoded(logins.xoauth2("ann", "wrong")))
    client.continuation()  # this is the refusal
    client.send(b"*\r\n")
    return client.wait(tag)


@pytest.mark.parametrize("way", WRONG)
def test_a_refusal_counts_whatever_the_login_was_made_by(lot, way):
    first = lot.visit()
    assert WRONG[way](lot.gateway.client()).status in (b"NO", b"BAD")
    assert_asks_the_upstream(lot, first, lot.gateway.client(), ann)


def test_a_user_who_is_to_see_the_administrator_may_be_locked_out(lot):
    first = lot.visit()
    for name in ("LOGIN", "AUTHENTICATE"):
        lot.scripted.on(name, "NO [CONTACTADMIN] not you", times=1)
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "wrong").code == b"CONTACTADMIN"
    assert_asks_the_upstream(lot, first, lot.gateway.client(), ann)
    assert not first.closed  # it may have nothing to do with the password


def test_a_login_that_its_client_cancels_before_it_has_said_who_it_is_counts_for_nothing(lot):
    first = lot.visit()
    client = lot.gateway.client()
    tag = client.start("AUTHENTICATE CRAM-MD5")
    client.continuation()
    client.send(b"*\r\n")
    assert client.wait(tag).status == b"BAD"
    assert lot.visit() is first and lot.logins == 1


def test_a_success_by_a_mechanism_that_only_proves_counts_too(lot):
    first = lot.visit()
    assert logins.by_quoted_strings(lot.gateway.client(), "ann", "wrong").status == b"NO"
    client = lot.gateway.client()
    assert logins.by_cram_md5(client, "ann", "secret").status == b"OK"
    assert lot.visit() is first and lot.logins == 2


def for_ann(client):
    return logins.by_plain_at_once(client, "master", "of all", "ann")


def park_for_ann(lot):
    client = lot.gateway.client()
    assert for_ann(client).status == b"OK"
    first = lot.mark(client)
    assert lot.leave(client, first)
    return first


@pytest.mark.parametrize("whom", ["bob", "", "nobody"])
def test_a_master_that_is_refused_for_one_user_is_asked_of_the_upstream_for_every_other(lot, whom):
    """It is the master that is locked out; there are as many users to try him for as there are connections parked."""
    first = park_for_ann(lot)
    assert logins.by_plain_at_once(lot.gateway.client(), "master", "wrong", whom).status == b"NO"
    assert_asks_the_upstream(lot, first, lot.gateway.client(), for_ann)
    client = lot.gateway.client()
    for_ann(client)
    assert lot.mark(client) is not None and lot.logins == 2


def test_one_success_of_the_master_is_good_for_every_user_again(lot):
    first = park_for_ann(lot)
    assert logins.by_plain_at_once(lot.gateway.client(), "master", "wrong", "bob").status == b"NO"
    assert logins.by_plain_at_once(lot.gateway.client(), "master", "of all", "bob").status == b"OK"
    client = lot.gateway.client()
    for_ann(client)
    assert lot.mark(client) is first


def test_a_masters_password_that_is_refused_is_good_for_no_user(lot):
    first = park_for_ann(lot)
    lot.scripted.users["master"] = "changed"
    assert logins.by_plain_at_once(lot.gateway.client(), "master", "of all", "bob").status == b"NO"
    assert not first.closed  # it may have been because of bob
    assert logins.by_plain_at_once(lot.gateway.client(), "master", "changed", "bob").status == b"OK"
    assert for_ann(lot.gateway.client()).status == b"NO"


def test_a_masters_refusal_does_not_touch_whom_he_acts_for(lot):
    first = lot.visit()
    assert logins.by_plain_at_once(lot.gateway.client(), "master", "wrong", "ann").status == b"NO"
    assert lot.visit() is first and lot.logins == 1


def test_a_bearer_token_that_is_refused_meanwhile_goes_with_all_that_is_parked_by_it(lot):
    def by_token(client):
        tag = client.start(b"AUTHENTICATE XOAUTH2 " + logins.encoded(logins.xoauth2("ann", "secret")))
        return client.wait(tag)

    client = lot.gateway.client()
    assert by_token(client).status == b"OK"
    client.ok("STATE")
    client.ok("ENABLE X-ONE")
    in_state = lot.mark(client)
    assert lot.leave(client, in_state)
    lot.scripted.users["ann"] = "another token"
    client = lot.gateway.client()
    assert by_token(client).status == b"OK"  # accepted, as one is parked; but not one that it could use
    assert client.no("NOOP").code == b"AUTHENTICATIONFAILED"
    lot.wait_closed(in_state)
