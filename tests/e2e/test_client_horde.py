"""clients/php-horde: Horde's IMAP library with STATE, before the gateway with a scripted upstream or Dovecot, and before
servers that have no STATE, or not all of it."""
import re

import pytest

from harness import horde
from harness.gateway import listener
from harness.modules import CLIENTS, assert_composer_package, assert_quoted, round_trips
from harness.net import free_port
from harness.scripted import AFTER, change_password, serve_state, vanish
from harness.tokens import setup_of

pytestmark = pytest.mark.once

SETUP = {"cache": True, "lang": ["DE"], "comparator": ["i;octet"]}
RUN_UPSTREAM = ["LANGUAGE DE", "ENABLE QRESYNC UTF8=ACCEPT", "COMPARATOR i;octet"]
FIRST = [["LANGUAGE"], ["AUTHENTICATE"], ["STATE", "LANGUAGE", "ENABLE", "COMPARATOR"], ["SAVESTATE", "STATUS"], ["LOGOUT"]]
RESTORED = [["AUTHENTICATE", "STATE"], ["STATUS"], ["LOGOUT"]]
LOGIN_AUTHENTICATIONFAILED = 102  # Horde_Imap_Client_Exception's
_TOKEN = re.compile(rb"\* (?:SAVE)?STATE (\S+)")


class Webmail:
    """Horde before a recorder, before the gateway; PLAIN only, as Horde takes it over TLS."""

    def __init__(self, folder, gateway, recorder, port, **parameters):
        self.gateway, self.recorder = gateway, recorder
        self.horde = horde.Horde(folder, recorder.port, **(SETUP | parameters))
        self.port = port

    def page(self, *steps, **changed):
        """A visit; gives the command names of its flights."""
        assert self.horde.visit(*(steps or [horde.STATUS]), **changed)
        return self.recorder.recordings[-1].names()

    def tokens(self):
        return {token for recording in self.recorder.recordings for token in _TOKEN.findall(recording.heard)}


@pytest.fixture(name="start_webmail")
def fixture_start_webmail(tmp_path, start_gateway, start_recorder):
    def start(target, *, mechanisms=("PLAIN",), settings=None, **parameters):
        port = free_port()
        gateway = start_gateway(target, sections=[listener("webmail", port, auth_mechanisms=mechanisms)], **(settings or {}))
        return Webmail(tmp_path, gateway, start_recorder(port, hold_s=0.02), port, **parameters)
    return start


@pytest.fixture(name="scripted")
def fixture_scripted(start_scripted):
    """With SASL-IR in the list after login, too, as Dovecot has it: from its second visit on Horde goes by that one."""
    return start_scripted(caps_after=AFTER + " SASL-IR")


@pytest.fixture(name="webmail")
def fixture_webmail(start_webmail, scripted):
    return start_webmail(scripted.port)


def test_the_first_visit_saves_and_later_ones_send_no_set_up(scripted, webmail):
    assert webmail.page() == FIRST
    assert setup_of(scripted.sessions[-1]) == RUN_UPSTREAM
    for _ in range(2):
        since = webmail.gateway.log_octets()
        assert webmail.page() == RESTORED
        webmail.gateway.wait_log("restored=cold", since)
        assert setup_of(scripted.sessions[-1]) == RUN_UPSTREAM
    assert len(webmail.tokens()) == 1


def test_a_parked_connection_is_met_in_the_tokens_state(scripted, start_webmail):
    webmail = start_webmail(scripted.port, settings={"park": {"per_user": 2}})
    webmail.page()
    webmail.gateway.wait_log("park: parked,")
    assert webmail.page() == RESTORED
    webmail.gateway.wait_log("restored=warm")
    assert len(scripted.sessions) == 1 and setup_of(scripted.sessions[0]) == RUN_UPSTREAM


def test_an_id_is_told_each_time_but_not_waited_for(scripted, webmail):
    assert webmail.page(id={"name": "webmail"})[2] == ["STATE", "LANGUAGE", "ENABLE", "ID"]
    assert webmail.page() == [["AUTHENTICATE", "STATE"], ["ID", "STATUS"], ["LOGOUT"]]
    assert scripted.sessions[-1].arguments("ID") == [b'("name" "webmail")']


def test_what_is_restored_is_what_horde_goes_by(scripted, webmail):
    webmail.page()
    # QRESYNC: it asks for VANISHED. LANGUAGE: what is in effect need not be sent, anything else must.
    steps = [("vanished", "INBOX", 7), ("setLanguage", ["DE"]), ("setLanguage", ["FR"]), ("setLanguage", ["DE"])]
    scripted.on("SELECT", "* 3 EXISTS", "* OK [UIDVALIDITY 1] x", "* OK [HIGHESTMODSEQ 9] x", "OK [READ-WRITE] done.")
    scripted.on("EXAMINE", "* 3 EXISTS", "* OK [UIDVALIDITY 1] x", "* OK [HIGHESTMODSEQ 9] x", "OK [READ-ONLY] done.")
    scripted.on("UID FETCH", "* VANISHED (EARLIER) 2", "OK done.")
    webmail.page(*steps)
    assert b"(VANISHED CHANGEDSINCE 7)" in scripted.sessions[-1].arguments("UID FETCH")[0]
    sent = [line for line in webmail.recorder.recordings[-1].flights if b"LANGUAGE" in line]
    assert [line.split(b" ", 1)[1] for line in sent] == [b"LANGUAGE FR\r\n", b"LANGUAGE DE\r\n"]


def test_what_it_writes_keeps_the_type_of_the_base_class(scripted, webmail, tmp_path_factory):
    plain = horde.Horde(tmp_path_factory.mktemp("plain"), scripted.port, horde.ITS_OWN, **SETUP | {"comparator": None})
    for _ in range(2):  # set up; restored
        by_itself, _, later = plain.visit(horde.TYPES, horde.STATUS, horde.TYPES)
        assert {"_isAuthenticated", "_cmdQueue"} <= set(by_itself)
        assert webmail.horde.visit(horde.TYPES, horde.STATUS, horde.TYPES)[::2] == [by_itself, later]
    assert webmail.recorder.recordings[-1].names() == RESTORED


def test_its_package():
    assert_composer_package("php-horde")
    files = {file.name for file in (CLIENTS / "php-horde").rglob("*") if file.is_file()}
    assert files == {"LICENSE", "README.md", "composer.json", "Debug.php", "Socket.php"}


@pytest.mark.parametrize("secure", ["tls", "ssl"])
def test_over_tls(scripted, scripted_gateway, tmp_path, authority, secure):
    port = scripted_gateway.starttls_port if secure == "tls" else scripted_gateway.tls_port
    client = horde.Horde(tmp_path, port, hostspec="localhost", secure=secure, context={"ssl": {"cafile": str(authority.ca_file)}},
                         **SETUP)
    for _ in range(2):
        client.visit(horde.STATUS)
    scripted_gateway.wait_log("restored=cold")
    assert [setup_of(session) for session in scripted.sessions] == [RUN_UPSTREAM] * 2


def test_an_object_that_connects_again_restores_again(scripted, webmail):
    again = [horde.STATUS, ("logout",), ("login",), ("status", "Other", 1)]
    assert webmail.page(*again) == RESTORED
    assert setup_of(scripted.sessions[-1]) == RUN_UPSTREAM
    assert webmail.recorder.recordings[-2].names() == FIRST


@pytest.mark.parametrize("changed", [{"lang": ["FR"]}, {"comparator": ["i;ascii-casemap"]}, {"capability_ignore": ["QRESYNC"]},
                                     {"username": "bob", "password": "hunter2"}])
def test_with_other_wishes_the_token_is_not_used(scripted, webmail, changed):
    webmail.page()
    flights = webmail.page(**changed)
    assert ["AUTHENTICATE"] in flights and "SAVESTATE" in flights[-2], "set up, and saved anew"
    assert scripted.sessions[-1].user == changed.get("username", "ann")
    assert webmail.page() == RESTORED
    # What is saved anew may be the same state; then it is the same token (P14).
    states = {(session.user, *setup_of(session)) for session in scripted.sessions}
    assert len(states) <= len(webmail.tokens()) <= 2


def test_p05_a_token_that_restores_nothing_is_forgotten_with_what_was_cached_beside_it(scripted, webmail):
    assert ["NAMESPACE"] in webmail.page(horde.STATUS, ("getNamespaces",))
    scripted.caps_after = scripted.caps_after.replace(" QRESYNC", "")
    flights = webmail.page(horde.STATUS, ("getNamespaces",))
    assert flights[:2] == [["AUTHENTICATE", "STATE"], ["CAPABILITY"]]
    assert flights[-3:] == [["SAVESTATE", "STATUS"], ["NAMESPACE"], ["LOGOUT"]]
    assert setup_of(scripted.sessions[-1]) == ["LANGUAGE DE", "ENABLE CONDSTORE UTF8=ACCEPT", "COMPARATOR i;octet"]
    assert webmail.page() == RESTORED
    assert setup_of(scripted.sessions[-1])[1] == "ENABLE CONDSTORE UTF8=ACCEPT"
    assert len(webmail.tokens()) == 2


def test_p06_a_token_that_cannot_be_tried_now_is_kept(scripted, webmail):
    webmail.page()
    scripted.on("LANGUAGE", vanish, times=1)
    assert "closed" in webmail.horde.attempt(horde.STATUS)["error"]
    assert webmail.recorder.recordings[-1].names()[0] == ["AUTHENTICATE", "STATE"]
    scripted.listen()
    assert webmail.page() == RESTORED
    assert len(webmail.tokens()) == 1


def test_p06_a_password_that_is_refused_meanwhile_is_told_as_such(scripted, webmail):
    webmail.page()
    scripted.on("LANGUAGE", change_password, times=1)
    assert webmail.horde.attempt(horde.STATUS)["code"] == LOGIN_AUTHENTICATIONFAILED
    webmail.page(password="changed")


def test_a_wrong_password_is_told_as_such(webmail):
    webmail.page()
    assert webmail.horde.attempt(horde.STATUS, password="wrong")["code"] == LOGIN_AUTHENTICATIONFAILED
    assert webmail.recorder.recordings[-1].names()[0] == ["AUTHENTICATE", "STATE"]
    webmail.page(password="secret")


def test_state_can_be_ignored_like_any_capability(webmail):
    for _ in range(2):
        flights = webmail.page(capability_ignore=["STATE"])
        assert not any("STATE" in names or "SAVESTATE" in names for names in flights)


def test_no_token_is_in_the_debug_log(webmail):
    webmail.page()
    webmail.page()
    log = webmail.horde.debug_file.read_text()
    token, = webmail.tokens()
    assert token in webmail.horde.kept.read_bytes() and token.decode() not in log
    assert re.findall(r"(?:S: \*|C: \d+) (?:SAVE)?STATE \[TOKEN\]", log) and "ENABLE QRESYNC" in log
    assert len(re.findall(r"STATE \[TOKEN\]\n", log)) == 3  # saved; sent; restored


# A server's own STATE that is not as good as the gateway's. CRAM-MD5: so nothing is sent behind a login.

BEFORE_LOGIN = "IMAP4rev1 AUTH=CRAM-MD5 STATE"


@pytest.fixture(name="stateful")
def fixture_stateful(start_scripted):
    server = start_scripted(caps_before=BEFORE_LOGIN, caps_after=AFTER + " STATE")
    serve_state(server, {"LANGUAGE": "* LANGUAGE (DE)"})
    return server


@pytest.fixture(name="client")
def fixture_client(stateful, tmp_path):
    return horde.Horde(tmp_path, stateful.port, **SETUP)


def test_what_was_not_announced_is_sent_again(stateful, client):
    client.visit(horde.STATUS)
    client.visit(horde.STATUS)
    assert setup_of(stateful.sessions[-1]) == ["ENABLE QRESYNC UTF8=ACCEPT", "COMPARATOR i;octet"]
    assert stateful.sessions[-1].names[1] == "STATE" and "SAVESTATE" not in stateful.sessions[-1].names


def test_what_is_not_announced_takes_the_place_of_what_was(stateful, client):
    client.visit(horde.STATUS)
    stateful.on("LANGUAGE", "* LANGUAGE (FR)", "OK done")
    client.visit(("setLanguage", ["FR"]), ("setLanguage", ["DE"]))
    assert stateful.sessions[-1].arguments("LANGUAGE") == [b"FR", b"DE"]


def test_a_state_that_cannot_be_saved_disturbs_nothing(stateful, client):
    stateful.on("SAVESTATE", "NO [LIMIT] too large")
    for _ in range(2):
        assert client.visit(horde.STATUS) == [{"messages": 3}]
        assert stateful.sessions[-1].arguments("STATE") == [b""] and len(setup_of(stateful.sessions[-1])) == 3


def test_p06_a_session_that_goes_on_is_set_up_and_the_token_kept(stateful, client):
    client.visit(horde.STATUS)
    stateful.on("STATE", "NO [UNAVAILABLE] later", times=1)
    assert client.visit(horde.STATUS) == [{"messages": 3}]
    assert len(setup_of(stateful.sessions[-1])) == 3 and "SAVESTATE" not in stateful.sessions[-1].names
    client.visit(horde.STATUS)
    assert stateful.sessions[-1].arguments("STATE") == [b"a-token"]


@pytest.mark.parametrize("refusal", ["BAD unknown command", "NO unknown command"])
def test_a_server_that_has_state_no_more_is_set_up_as_ever(stateful, client, refusal):
    client.visit(horde.STATUS)
    stateful.caps_before = stateful.caps_before.replace(" STATE", "")
    stateful.caps_after = AFTER
    stateful.on("STATE", refusal)
    for _ in range(2):
        assert client.visit(horde.STATUS) == [{"messages": 3}]
        assert len(setup_of(stateful.sessions[-1])) == 3
    assert "STATE" not in stateful.sessions[-1].names, "forgotten"


# Round trips


def test_round_trips(tmp_path_factory, dovecot, start_gateway, start_recorder, certificate, authority):
    """The table in the README: pytest tests/e2e/test_client_horde.py -k round_trips -s prints it."""
    # Without tcp_nodelay the number would depend on when TCP acknowledges.
    context = {"ssl": {"cafile": str(authority.ca_file), "peer_name": "localhost"}, "socket": {"tcp_nodelay": True}}
    through = start_gateway(dovecot.plain_port).plain_port

    def two_visits(port, class_name, **parameters):
        recorder = start_recorder(port, certificate, hold_s=0.02)
        client = horde.Horde(tmp_path_factory.mktemp("visits"), recorder.port, class_name, secure="ssl", context=context,
                             cache=True, **parameters)
        client.visit(horde.STATUS)
        client.visit(horde.STATUS)
        return recorder.recordings

    wishes = {"id": {"name": "a webmail"}, "lang": ["DE"]}
    first, restored = two_visits(through, horde.WITH_STATE, **wishes)
    rows = {"`cache`, `id`, `lang`: Horde's class, directly": two_visits(dovecot.plain_port, horde.ITS_OWN, **wishes)[1],
            "Horde's class, through imapstated": two_visits(through, horde.ITS_OWN, **wishes)[1],
            "with STATE, the first visit": first,
            "with STATE, restored": restored,
            "`cache` alone: Horde's class, directly": two_visits(dovecot.plain_port, horde.ITS_OWN)[1],
            "`cache` alone: with STATE, restored": two_visits(through, horde.WITH_STATE)[1]}
    assert_quoted(round_trips(rows, "STATUS"), "php-horde/README.md")
