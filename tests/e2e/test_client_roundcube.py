"""clients/roundcube: Roundcube with STATE; its framework for each rule, and the whole webmail as a browser sees it."""
import base64
import pathlib
import re
import sqlite3

import pytest

from harness.server import NEW_USER_PASSWORD, USERS, message
from harness.gateway import listener
from harness.modules import CLIENTS, assert_composer_package, assert_quoted, round_trips
from harness.net import free_port
from harness.roundcube import TYPES, Roundcube, base_class_of_1_7
from harness.scripted import AFTER, change_password, serve_state, vanish
from harness.tokens import setup_of

pytestmark = pytest.mark.once

STATUS = ("conn.status", "INBOX", ["MESSAGES"])
ENABLE = ("conn.enable", "QRESYNC")
FIRST = [["AUTHENTICATE", "STATE", "SAVESTATE"], ["NAMESPACE"], ["ENABLE", "SAVESTATE"], ["STATUS"], ["LOGOUT"]]
RESTORED = [["AUTHENTICATE", "STATE"], ["STATUS"], ["LOGOUT"]]
SCRIPTS = pathlib.Path(__file__).parent / "clients"
_TOKEN = re.compile(rb"\* (?:SAVE)?STATE (\S+)")


class Webmail:
    """Roundcube before a recorder, before an IMAP server."""

    def __init__(self, roundcube, recorder, gateway=None):
        self.roundcube, self.recorder, self.gateway = roundcube, recorder, gateway

    def request(self, *steps, **user):
        """Gives the command names of its flights."""
        self.roundcube.visit(*(steps or (ENABLE, STATUS)), **user)
        return self.recorder.recordings[-1].names()

    def tokens(self):
        return {token.decode() for recording in self.recorder.recordings for token in _TOKEN.findall(recording.heard)}

    def new_flights(self):
        """Of all connections since the last call."""
        flights = [recording.names() for recording in self.recorder.recordings]
        self.recorder.recordings.clear()
        return flights


@pytest.fixture(name="before")
def fixture_before(tmp_path_factory, start_recorder):
    """before(port): Roundcube in front of an IMAP server."""
    started = []

    def start(port, gateway=None, **config):
        recorder = start_recorder(port)
        started.append(Roundcube(tmp_path_factory.mktemp("roundcube"), recorder.port, **config))
        return Webmail(started[-1], recorder, gateway)
    yield start
    for roundcube in started:
        roundcube.stop()


@pytest.fixture(name="start_webmail")
def fixture_start_webmail(before, start_gateway):
    """start_webmail(upstream): the same with a gateway in between."""
    def start(target, *, park=None, mechanisms=(), **config):
        port = free_port()
        gateway = start_gateway(target, sections=[listener("webmail", port, auth_mechanisms=mechanisms)],
                                **({"park": park} if park else {}))
        return before(port, gateway, **config)
    return start


@pytest.fixture(name="webmail")
def fixture_webmail(start_webmail, scripted):
    return start_webmail(scripted.port)


def test_the_first_request_saves_and_later_ones_send_no_set_up(scripted, webmail):
    assert webmail.request() == FIRST
    for _ in range(2):
        since = webmail.gateway.log_octets()
        assert webmail.request() == RESTORED
        webmail.gateway.wait_log("restored=cold", since)
        assert setup_of(scripted.sessions[-1]) == ["ENABLE QRESYNC"]


def test_a_parked_connection_is_met_in_the_tokens_state(scripted, start_webmail):
    webmail = start_webmail(scripted.port, park={"per_user": 2})
    webmail.request()
    webmail.gateway.wait_log("park: parked,")
    assert webmail.request() == RESTORED
    webmail.gateway.wait_log("restored=warm")
    assert len(scripted.sessions) == 1 and setup_of(scripted.sessions[0]) == ["ENABLE QRESYNC"]


def test_what_is_enabled_later_is_added(scripted, webmail):
    assert webmail.request(STATUS)[0] == ["AUTHENTICATE", "STATE", "SAVESTATE"]
    assert webmail.request(("conn.enable", "CONDSTORE"), STATUS)[1] == ["ENABLE", "SAVESTATE"]
    assert webmail.request(("conn.enable", "CONDSTORE"), ENABLE, STATUS)[1] == ["ENABLE", "SAVESTATE"]
    assert webmail.request(("conn.enable", ["CONDSTORE", "QRESYNC"]), STATUS) == RESTORED
    assert scripted.sessions[-1].enabled == {"CONDSTORE", "QRESYNC"}


@pytest.mark.parametrize("way, first, later", [
    ("PLAIN", [["AUTHENTICATE", "STATE", "SAVESTATE"]], [["AUTHENTICATE", "STATE"]]),
    # Roundcube asks for the list, whatever the greeting said, to see whether LOGINDISABLED is in it.
    ("IMAP", [["CAPABILITY"], ["LOGIN", "STATE", "SAVESTATE"]], [["CAPABILITY"], ["LOGIN", "STATE"]]),
    ("LOGIN", [["AUTHENTICATE"], ["..."], ["..."], ["STATE", "SAVESTATE"]], [["AUTHENTICATE"], ["..."], ["..."], ["STATE"]]),
    ("CRAM-MD5", [["AUTHENTICATE"], ["..."], ["STATE", "SAVESTATE"]], [["AUTHENTICATE"], ["..."], ["STATE"]])])
def test_however_it_logs_in(scripted, start_webmail, way, first, later):
    webmail = start_webmail(scripted.port, imap_auth_type=way)
    assert webmail.request() == [*first, *FIRST[1:]]
    assert webmail.request() == [*later, ["STATUS"], ["LOGOUT"]]
    assert setup_of(scripted.sessions[-1]) == ["ENABLE QRESYNC"]


def test_an_object_that_connects_again_knows_nothing_of_its_last_connection(scripted, start_webmail):
    webmail = start_webmail(scripted.port, imap_disabled_caps=["STATE"])
    webmail.request(ENABLE, ("close",), ("check_connection",), ENABLE, STATUS)
    assert [setup_of(session) for session in scripted.sessions] == [["ENABLE QRESYNC"]] * 2


@pytest.fixture(name="base_class", params=["1.6", "1.7"])
def fixture_base_class(request, tmp_path):
    return base_class_of_1_7(tmp_path) if request.param == "1.7" else ""


def test_what_it_writes_keeps_the_type_of_the_base_class(before, start_webmail, scripted, base_class):
    """Whenever: that is the type which the base class itself gives it by an ENABLE, as 1.6 declares none."""
    plain = before(scripted.port, plugins=(), base_class=base_class)
    by_itself, = plain.roundcube.visit(ENABLE, TYPES)[1:]
    assert by_itself["extensions_enabled"] == "array"
    webmail = start_webmail(scripted.port, base_class=base_class)
    for flights in (FIRST, RESTORED):
        begun, _, enabled, _ = webmail.roundcube.visit(TYPES, ENABLE, TYPES, STATUS)
        assert (begun, enabled) == (by_itself, by_itself)
        assert webmail.recorder.recordings[-1].names() == flights
    # What is kept is another's work, perhaps that of another version.
    session = webmail.roundcube.folder / "session"
    kept = session.read_text()
    session.write_text(kept.replace('s:7:"enabled";a:1:{i:0;s:7:"QRESYNC";}', 's:7:"enabled";s:7:"QRESYNC";'))
    assert session.read_text() != kept
    assert webmail.roundcube.visit(TYPES, ENABLE, TYPES)[::2] == [by_itself] * 2


def test_with_the_base_class_of_1_7_it_is_set_up_once(scripted, start_webmail, tmp_path):
    webmail = start_webmail(scripted.port, base_class=base_class_of_1_7(tmp_path))
    assert webmail.request() == FIRST
    assert webmail.request() == RESTORED
    assert webmail.request(("conn.enable", "CONDSTORE"), STATUS) == [RESTORED[0], ["ENABLE", "SAVESTATE"], *RESTORED[1:]]
    assert scripted.sessions[-1].enabled == {"CONDSTORE", "QRESYNC"}


def test_an_id_is_told_after_a_restore_too(scripted, start_webmail):
    webmail = start_webmail(scripted.port, imap_debug=True)
    for _ in range(2):
        webmail.request()
        assert len(scripted.sessions[-1].arguments("ID")) == 1


def test_what_the_readme_installs(webmail):
    installed = {file.name for file in (webmail.roundcube.folder / "plugins" / "imapstate").iterdir()}
    assert installed == {"imapstate.php", "imapstate_connection.php"}


def test_its_package():
    assert_composer_package("roundcube")
    files = {file.name for file in (CLIENTS / "roundcube").rglob("*") if file.is_file()}
    assert files == {"LICENSE", "README.md", "composer.json", "imapstate.php", "imapstate_connection.php"}


@pytest.mark.parametrize("script", ["roundcube-visit.php", "horde-visit.php"])
def test_a_web_server_cannot_run_what_tests_run(webmail, script):
    webmail.roundcube.serve(SCRIPTS)
    assert webmail.roundcube.load(f"{script}?a+b+c+d") == "For the command line only.\n"


@pytest.mark.parametrize("scheme", ["tls", "ssl"])
def test_over_tls(scripted, scripted_gateway, tmp_path, authority, scheme):
    port = scripted_gateway.starttls_port if scheme == "tls" else scripted_gateway.tls_port
    roundcube = Roundcube(tmp_path / "roundcube", port, imap_host=f"{scheme}://localhost:{port}",
                          imap_conn_options={"ssl": {"cafile": str(authority.ca_file), "verify_peer": True}})
    for _ in range(2):
        roundcube.visit(ENABLE, STATUS)
    scripted_gateway.wait_log("restored=cold")
    assert [setup_of(session) for session in scripted.sessions] == [["ENABLE QRESYNC"]] * 2


def test_a_password_that_is_a_literal(dovecot, start_webmail):
    webmail = start_webmail(dovecot.plain_port, imap_auth_type="IMAP")
    for _ in range(2):
        webmail.request(user="utf8", password=USERS["utf8"])
    _, login, status, _ = webmail.recorder.recordings[-1].flights
    assert re.fullmatch(b'A0002 LOGIN "utf8" \\{13\\+\\}\r\n' + USERS["utf8"].encode() + rb"\r\nA0003 STATE \S+\r\n", login)
    assert status.startswith(b"A0004 STATUS")


def test_another_users_token_is_not_used(scripted, webmail):
    webmail.request()
    kept = (webmail.roundcube.folder / "session").read_text()
    (webmail.roundcube.folder / "session").write_text(kept.replace('s:12:"storage_host"', 's:12:"storage_gone"'))
    assert webmail.request(user="bob", password="hunter2")[0] == ["AUTHENTICATE", "STATE", "SAVESTATE"]
    assert scripted.sessions[-1].user == "bob"


def test_p05_a_token_that_restores_nothing_is_forgotten(scripted, webmail):
    webmail.request()
    scripted.caps_after += " X-NEW"
    assert webmail.request(STATUS) == [["AUTHENTICATE", "STATE"], ["STATUS"], ["LOGOUT"]]
    assert webmail.request(STATUS)[0] == ["AUTHENTICATE", "STATE", "SAVESTATE"]
    assert webmail.request()[1] == ["ENABLE", "SAVESTATE"]
    scripted.caps_after += " X-NEWER"
    assert webmail.request() == [["AUTHENTICATE", "STATE"], ["ENABLE", "SAVESTATE"], ["STATUS"], ["LOGOUT"]]
    assert webmail.request() == RESTORED


def test_p06_a_token_that_cannot_be_tried_now_is_kept(scripted, webmail):
    webmail.request()
    scripted.on("ENABLE", vanish, times=1)
    assert webmail.roundcube.visit(STATUS) == [False]
    scripted.listen()
    assert webmail.request() == RESTORED


def test_p06_a_password_that_is_refused_meanwhile_is_told_as_such(scripted, webmail):
    webmail.request()
    scripted.on("ENABLE", change_password, times=1)
    assert webmail.roundcube.attempt(STATUS) == {"error": "STATE: NO AUTHENTICATIONFAILED", "code": -1}


def test_a_wrong_password_is_told_as_such(webmail):
    assert "AUTHENTICATE" in webmail.roundcube.attempt(STATUS, password="wrong")["error"]
    webmail.request()


def test_state_can_be_disabled_like_any_capability(scripted, start_webmail):
    webmail = start_webmail(scripted.port, imap_disabled_caps=["STATE"])
    for _ in range(2):
        names = [name for flight in webmail.request() for name in flight]
        assert "ENABLE" in names and "STATE" not in names and "SAVESTATE" not in names


# A server's own STATE that is not as good as the gateway's. AUTH=LOGIN: so nothing is sent behind a login.


@pytest.fixture(name="stateful")
def fixture_stateful(start_scripted):
    server = start_scripted(caps_before="IMAP4rev1 AUTH=LOGIN STATE", caps_after=AFTER + " STATE")
    serve_state(server, {"ENABLE": "* ENABLED QRESYNC"})
    return server


@pytest.fixture(name="direct")
def fixture_direct(stateful, before):
    return before(stateful.port, imap_auth_type="LOGIN")


def test_what_was_not_announced_is_sent_again(stateful, direct):
    stateful.on("ENABLE", "* ENABLED QRESYNC", "OK done")
    for _ in range(2):
        direct.request()
        assert setup_of(stateful.sessions[-1]) == ["ENABLE QRESYNC"]
    assert stateful.sessions[-1].arguments("STATE") == [b"a-token"]


def test_what_was_announced_but_not_named_is_sent_again(stateful, direct):
    stateful.on("ENABLE", "* OK [STATECMD {tag}] will be saved", "OK done")
    for _ in range(2):
        assert direct.roundcube.visit(TYPES, ENABLE, TYPES) == [{"extensions_enabled": "array"}, False, {"extensions_enabled": "array"}]
        assert setup_of(stateful.sessions[-1]) == ["ENABLE QRESYNC"]
    assert stateful.sessions[-1].arguments("STATE") == [b"a-token"]
    assert 's:7:"enabled";a:0:{}' in (direct.roundcube.folder / "session").read_text()


def test_a_state_that_cannot_be_saved_disturbs_nothing(stateful, direct):
    stateful.on("SAVESTATE", "NO [LIMIT] too large")
    for _ in range(2):
        direct.request()
        assert setup_of(stateful.sessions[-1]) == ["ENABLE QRESYNC"] and stateful.sessions[-1].arguments("STATE") == [b""]


def test_p06_a_session_that_goes_on_is_set_up_and_the_token_kept(stateful, direct):
    direct.request()
    stateful.on("STATE", "NO [UNAVAILABLE] later", times=1)
    direct.request()
    assert setup_of(stateful.sessions[-1]) == ["ENABLE QRESYNC"] and "SAVESTATE" not in stateful.sessions[-1].names
    direct.request()
    assert stateful.sessions[-1].arguments("STATE") == [b"a-token"] and not setup_of(stateful.sessions[-1])


@pytest.mark.parametrize("refusal", ["BAD unknown command", "NO unknown command"])
def test_a_server_that_has_state_no_more_is_set_up_as_ever(stateful, direct, refusal):
    direct.request()
    stateful.on("STATE", refusal, times=1)
    direct.request()
    assert setup_of(stateful.sessions[-1]) == ["ENABLE QRESYNC"] and "SAVESTATE" not in stateful.sessions[-1].names
    direct.request()
    assert stateful.sessions[-1].arguments("STATE") == [b""], "forgotten"
    stateful.caps_before = stateful.caps_before.replace(" STATE", "")
    stateful.caps_after = AFTER
    direct.request()
    assert "STATE" not in stateful.sessions[-1].names


# The whole webmail, before Dovecot


def test_the_whole_webmail(dovecot, start_webmail):
    user = dovecot.new_user()
    for number in range(3):
        dovecot.add_message(user, message(f"letter {number}", 300))
    webmail = start_webmail(dovecot.plain_port, park={"per_user": 2}, messages_cache="db")
    roundcube = webmail.roundcube
    assert "rcmail.set_env" in roundcube.log_in(user, NEW_USER_PASSWORD)
    login, mail = webmail.new_flights()  # and the page that it leads to
    assert login[0] == ["AUTHENTICATE", "STATE", "SAVESTATE"] and mail[0] == ["AUTHENTICATE", "STATE"]

    assert roundcube.list_messages()["env"]["messagecount"] == 3  # fills its cache
    roundcube.list_messages()
    *_, flights = webmail.new_flights()
    assert flights[:3] == [["AUTHENTICATE", "STATE"], ["ENABLE", "SAVESTATE"], ["SELECT"]]

    client = webmail.gateway.session(user, NEW_USER_PASSWORD)
    client.ok("SELECT INBOX")
    client.ok(r"STORE 2 +FLAGS.SILENT (\Deleted)")
    client.ok("EXPUNGE")
    client.logout()
    assert roundcube.list_messages()["env"]["messagecount"] == 2
    *_, flights = webmail.new_flights()
    assert flights[:2] == [["AUTHENTICATE", "STATE"], ["SELECT"]]
    webmail.gateway.wait_log("restored=warm")


def test_no_token_is_in_a_log_or_readable_in_the_session(dovecot, start_webmail):
    user = dovecot.new_user()
    webmail = start_webmail(dovecot.plain_port, imap_debug=True)
    webmail.roundcube.log_in(user, NEW_USER_PASSWORD)
    log, tokens = webmail.roundcube.log("imap"), webmail.tokens()
    assert tokens and not [token for token in tokens if token in log]
    assert "C: A0002 STATE ******" in log and re.search(r"S: \* STATE \*{6}\n", log) and re.search(r"S: \* SAVESTATE \*{6}\n", log)
    with sqlite3.connect(webmail.roundcube.folder / "db") as database:
        sessions = [base64.b64decode(octets).decode() for octets, in database.execute("select vars from session")]
    assert "imapstate|" in "".join(sessions) and not [token for token in tokens if token in "".join(sessions)]


def test_before_a_server_without_state(dovecot, before):
    user = dovecot.new_user()
    dovecot.add_message(user, message("letter", 300))
    webmail = before(dovecot.plain_port, messages_cache="db")
    webmail.roundcube.log_in(user, NEW_USER_PASSWORD)
    for _ in range(3):
        assert webmail.roundcube.list_messages()["env"]["messagecount"] == 1
    *_, flights = webmail.new_flights()
    assert flights[:3] == [["AUTHENTICATE"], ["ENABLE"], ["SELECT"]]


# Round trips


def test_round_trips(dovecot, before, start_webmail):
    """The table in the README: pytest tests/e2e/test_client_roundcube.py -k round_trips -s prints it."""
    def listing(webmail):
        """A page lists messages that it has listed before: the recordings of the first time that they are in the cache, if
        there is one, and of the next."""
        user = dovecot.new_user()
        dovecot.add_message(user, message("letter", 300))
        webmail.roundcube.log_in(user, NEW_USER_PASSWORD)
        for _ in range(3):
            webmail.roundcube.list_messages()
        return webmail.recorder.recordings[-2:]

    first, restored = listing(start_webmail(dovecot.plain_port, messages_cache="db"))
    rows = {"`messages_cache`: Roundcube alone, directly": listing(before(dovecot.plain_port, plugins=(), messages_cache="db"))[1],
            "alone, through imapstated": listing(start_webmail(dovecot.plain_port, plugins=(), messages_cache="db"))[1],
            "with the plugin, the first that needs QRESYNC": first,
            "with the plugin, restored": restored,
            "no cache: Roundcube alone, directly": listing(before(dovecot.plain_port, plugins=()))[1],
            "no cache: with the plugin, restored": listing(start_webmail(dovecot.plain_port))[1]}
    assert_quoted(round_trips(rows), "roundcube/README.md")
