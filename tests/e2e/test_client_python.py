"""clients/python: imaplib with STATE, as it is packaged, through the gateway to a real server."""
import contextlib
import email.parser
import imaplib
import importlib
import inspect
import json
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from harness.dovecot import NEW_USER_PASSWORD
from harness.gateway import write_keys
from harness.imap import capabilities
from harness.modules import CLIENTS, assert_quoted, round_trips
from harness.patience import PATIENCE_S, let_pass
from harness.scripted import vanish

pytestmark = pytest.mark.once

ENABLE = ("ENABLE", "QRESYNC")
NOTIFY = ("NOTIFY", "SET (SELECTED (MessageNew MessageExpunge FlagChange))")


@pytest.fixture(scope="module", name="wheel")
def fixture_wheel(tmp_path_factory):
    """Built from a copy, as the builder leaves files beside what it builds."""
    pytest.importorskip("setuptools")
    pytest.importorskip("wheel")
    source, target = tmp_path_factory.mktemp("source") / "python", tmp_path_factory.mktemp("wheel")
    shutil.copytree(CLIENTS / "python", source)
    code = f"import setuptools.build_meta as builder; builder.build_wheel({str(target)!r})"
    done = subprocess.run((sys.executable, "-c", code), cwd=source, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    path, = target.glob("*.whl")
    return path


@pytest.fixture(scope="module", name="module")
def fixture_module(wheel):
    """The module from the wheel."""
    sys.path.insert(0, str(wheel))
    try:
        yield importlib.import_module("imaplib_state")
    finally:
        sys.path.remove(str(wheel))
        del sys.modules["imaplib_state"]


@pytest.fixture(name="user")
def fixture_user(dovecot):
    return dovecot.new_user()


@pytest.fixture(name="visit")
def fixture_visit(module, gateway):
    """visit(user, saved, port=): a session as the README has it, with what it has to save."""
    opened = []

    def start(user, saved=None, port=None, set_up=(ENABLE, NOTIFY), password=NEW_USER_PASSWORD):
        imap = module.IMAP4("localhost", port or gateway.plain_port, timeout=PATIENCE_S)
        opened.append(imap)
        imap.login(user, password, saved)
        for command in set_up:
            assert imap.set_up(*command)[0] == "OK"
        imap.save()
        return imap

    yield start
    for imap in opened:
        with contextlib.suppress(OSError):  # it has logged out
            imap.shutdown()


def assert_has_qresync(imap):
    """QRESYNC is on: an expunged message is told of by VANISHED (RFC 7162 section 3.2.10)."""
    assert imap.append("INBOX", None, None, b"Subject: gone soon\r\n\r\nBody\r\n")[0] == "OK"
    assert imap.select()[0] == "OK"
    imap.store("1", "+FLAGS", r"(\Deleted)")
    assert imap.expunge() == ("OK", [None])
    assert imap.response("VANISHED")[1] != [None]


def test_its_package_says_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
        license_text = archive.read(next(name for name in names if name.endswith("LICENSE")))
    fields = email.parser.Parser().parsestr(metadata)
    assert {"imaplib_state/__init__.py", "imaplib_state/py.typed"} <= set(names)
    assert license_text == (CLIENTS.parent / "LICENSE").read_bytes()
    assert (fields["Name"], fields["Requires-Python"]) == ("imaplib-state", ">=3.9")
    assert fields.get_all("Requires-Dist") is None and any("Apache" in each for each in fields.get_all("Classifier"))
    assert "imap.set_up(" in fields.get_payload()


def test_its_readme_shows_code_that_runs(module, gateway, trust, user):
    code = re.search(r"```python\n(.*?)```", (CLIENTS / "python" / "README.md").read_text(), re.DOTALL).group(1)
    code = code.replace('"mail.example.org"', f'"localhost", {gateway.tls_port}, ssl_context=trust').replace('"ann"', repr(user))
    kept = []
    for outcome in (module.Restored.NOT_ASKED, module.Restored.DONE):
        names = {"trust": trust, "password": NEW_USER_PASSWORD, "load": lambda: kept[-1] if kept else None, "store": kept.append}
        exec(compile(code, "README.md", "exec"), names)  # pylint: disable=exec-used
        assert names["imap"].restored is outcome
    assert kept[0] and kept[0] == kept[1]


def test_what_was_set_up_is_saved_and_restored(visit, user):
    first = visit(user)
    assert not first.restored
    assert first.covered == ("ENABLE QRESYNC", " ".join(NOTIFY))
    again = visit(user, first.saved)
    assert again.restored and again.saved == first.saved
    assert again.covered == first.covered
    assert_has_qresync(again)


def test_what_is_saved_is_one_string_with_everything_in_it(visit, user):
    imap = visit(user)
    content = json.loads(imap.saved)
    assert set(content) == {"version", "token", "commands", "capabilities"}
    assert {"QRESYNC", "STATE"} <= set(content["capabilities"]) and content["commands"][0] == list(ENABLE)


def test_what_it_writes_keeps_the_type_of_imaplib(module, gateway, user):
    """Set up, restored, and where a mailbox is left that was selected ahead."""
    with imaplib.IMAP4("localhost", gateway.plain_port, timeout=PATIENCE_S) as plain:
        plain.login(user, NEW_USER_PASSWORD)
        targets = re.findall(r"^ +((?:[\w.(), ]+ = )+)", inspect.getsource(module), re.MULTILINE)
        written = {name for target in targets for name in re.findall(r"\bself\.(\w+)", target) if hasattr(plain, name)}
        assert {"capabilities", "untagged_responses", "state", "literal", "is_readonly"} <= written
        by_itself = {name: type(getattr(plain, name)) for name in written}
    saved = None
    for given, mailbox, outcome in (("nothing", None, module.Restored.NOT_ASKED), ("saved", None, module.Restored.DONE),
                                    ("dead", "INBOX", module.Restored.REFUSED)):
        if given == "dead":
            saved = json.dumps(json.loads(saved) | {"token": "AQAAAAAA"})
        with module.IMAP4("localhost", gateway.plain_port, timeout=PATIENCE_S) as imap:
            imap.login(user, NEW_USER_PASSWORD, saved, mailbox)
            assert imap.restored is outcome
            assert {name: type(getattr(imap, name)) for name in written} == by_itself
            imap.set_up(*ENABLE)
            saved = imap.save()


def test_an_id_can_be_told_on_each_connection(visit, start_recorder, gateway, user):
    recorder = start_recorder(gateway.plain_port)
    saved = None
    for flights in ([["LOGIN", "STATE"], ["ENABLE"], ["SAVESTATE"], ["ID"], ["SELECT"]], [["LOGIN", "STATE"], ["ID"], ["SELECT"]]):
        imap = visit(user, saved, recorder.port, set_up=(ENABLE,))
        assert imap.xatom("ID", '("name" "a script")')[0] == imap.select()[0] == "OK"
        saved = imap.saved
        assert recorder.recordings[-1].names() == flights


@pytest.mark.parametrize("way", ["TLS", "STARTTLS"])
def test_it_is_restored_over(module, gateway, trust, user, way):
    saved = None
    for outcome in (module.Restored.NOT_ASKED, module.Restored.DONE):
        if way == "TLS":
            imap = module.IMAP4_SSL("localhost", gateway.tls_port, ssl_context=trust, timeout=PATIENCE_S)
        else:
            imap = module.IMAP4("localhost", gateway.starttls_port, timeout=PATIENCE_S)
            assert "STATE" not in imap.capabilities  # P1
            imap.starttls(trust)
        with imap:
            imap.login(user, NEW_USER_PASSWORD, saved)
            assert imap.restored is outcome
            imap.set_up(*ENABLE)
            saved = imap.save()
            assert_has_qresync(imap)


def test_the_language_comes_back_too(visit, user):
    """By the gateway, as Dovecot has none."""
    texts = {}
    saved = visit(user, set_up=(("LANGUAGE", "DE"), ENABLE)).saved
    for what, given, set_up in (("English", None, ()), ("German", None, (("LANGUAGE", "DE"),)), ("restored", saved, ())):
        imap = visit(user, given, set_up=set_up)
        texts[what] = imap.noop()[1]
    print(texts)
    assert imap.restored and imap.covered == ("LANGUAGE DE", "ENABLE QRESYNC")
    assert texts["restored"] == texts["German"] != texts["English"]


def test_a_warm_connection_is_picked_up(start_gateway, dovecot, visit, user):
    gateway = start_gateway(dovecot.plain_port, park={"per_user": 2})
    imap = visit(user, port=gateway.plain_port)
    imap.logout()
    gateway.wait_log("park: parked,")
    again = visit(user, imap.saved, port=gateway.plain_port)
    assert again.restored
    assert_has_qresync(again)
    again.logout()
    gateway.wait_log(r"closing: .*\(restored=warm")


# Round trips


def test_round_trips(module, gateway, dovecot, start_recorder, user):
    """The table in the README: pytest tests/e2e/test_client_python.py -k round_trips -s prints it."""
    directly, through = start_recorder(dovecot.plain_port), start_recorder(gateway.plain_port)

    def plain(port):
        with imaplib.IMAP4("localhost", port, timeout=PATIENCE_S) as imap:
            imap.login(user, NEW_USER_PASSWORD)
            imap.capability()  # those after login are others, and imaplib does not take them over
            imap.enable(ENABLE[1])
            imap.xatom(*NOTIFY)
            imap.select()

    def with_state(saved, *mailbox):
        with module.IMAP4("localhost", through.port, timeout=PATIENCE_S) as imap:
            imap.login(user, NEW_USER_PASSWORD, saved, *mailbox)
            for command in (ENABLE, NOTIFY):
                imap.set_up(*command)
            assert imap.select()[0] == "OK"
            return imap.save()

    plain(directly.port)
    plain(through.port)
    saved = with_state(None)
    with_state(saved)
    with_state(saved, "INBOX")
    rows = zip(("imaplib, directly", "imaplib, through imapstated", "imaplib_state, the first visit",
                "imaplib_state, restored, mailbox not named", "imaplib_state, restored"), directly.recordings + through.recordings)
    assert_quoted(round_trips(dict(rows)), "python/README.md")


def test_the_list_that_came_with_the_login_is_taken_over(visit, gateway, connect, user):
    imap = visit(user, set_up=())
    client = connect(gateway.plain_port)
    client.login(user, NEW_USER_PASSWORD)
    listed = capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])
    assert set(imap.capabilities) == {name.decode().upper() for name in listed}


def test_after_starttls_the_list_is_asked_for_anew(module, gateway, start_recorder, trust):
    recorder = start_recorder(gateway.starttls_port)
    imap = module.IMAP4("localhost", recorder.port, timeout=PATIENCE_S)
    recording, = recorder.recordings
    assert recording.names() == []  # it came with the greeting
    assert "LOGINDISABLED" in imap.capabilities
    imap.starttls(trust)
    assert "LOGINDISABLED" not in imap.capabilities and "STATE" in imap.capabilities
    imap.shutdown()


def test_a_list_that_no_login_brings_is_saved_with_the_token(module, start_scripted):
    server = start_scripted(caps_before="IMAP4rev1 STATE", caps_after="IMAP4rev1 ENABLE STATE", caps_login="none")
    server.on("STATE", "OK tracking", times=1)
    server.on("SAVESTATE", "* SAVESTATE tOkEn", "OK saved")
    saved = None
    for names in (["CAPABILITY", "SAVESTATE"], []):
        imap = module.IMAP4("localhost", server.port, timeout=PATIENCE_S)
        imap.authenticate("PLAIN", lambda challenge: b"\0ann\0secret")
        imap.restore(saved)
        saved = imap.save()
        assert imap.capabilities == ("IMAP4REV1", "ENABLE", "STATE")
        assert server.sessions[-1].names == ["AUTHENTICATE", "STATE", *names]
        server.on("STATE", "* STATE tOkEn", "OK restored")
    assert imap.restored


def test_only_a_changed_state_is_saved_again(visit, gateway, start_recorder, user):
    recorder = start_recorder(gateway.plain_port)
    saved = None
    for set_up, sends in (((ENABLE,), True), ((ENABLE,), False), ((ENABLE, NOTIFY), True), ((ENABLE, NOTIFY), False)):
        imap = visit(user, saved, recorder.port, set_up)
        assert imap.covered == tuple(map(" ".join, set_up))
        assert (["SAVESTATE"] in recorder.recordings[-1].names()) == sends
        assert (imap.saved != saved) == sends
        saved = imap.saved


# Other ways in


def test_another_login_restores_by_a_command_of_its_own(module, gateway, visit, user):
    saved = visit(user).saved
    imap = module.IMAP4("localhost", gateway.plain_port, timeout=PATIENCE_S)
    imap.authenticate("PLAIN", lambda challenge: f"\0{user}\0{NEW_USER_PASSWORD}".encode())
    assert imap.restore(saved) and imap.restored
    assert_has_qresync(imap)
    imap.logout()


@pytest.mark.parametrize("token", ["tOkEn", "c3RhdGUgdG9rZW4=", "!#$&'+,-./:;<=>?@[]^_`|}~"])
def test_a_server_that_offers_state_only_after_the_login_is_asked_then(module, start_scripted, token):
    """And its token may be of any form (P2)."""
    server = start_scripted(caps_before="IMAP4rev1", caps_after="IMAP4rev1 ENABLE QRESYNC STATE")
    server.on("STATE", f"* STATE {token}", "OK restored")
    saved = json.dumps({"version": 1, "token": token, "commands": [ENABLE], "capabilities": []})
    imap = module.IMAP4("localhost", server.port, timeout=PATIENCE_S)
    imap.login("ann", "secret", saved)
    assert imap.restored and imap.covers(*ENABLE)
    assert server.sessions[0].names == ["LOGIN", "STATE"]


def test_a_wrong_password_leaves_a_session_that_can_still_log_in(module, gateway, visit, user):
    saved = visit(user).saved
    imap = module.IMAP4("localhost", gateway.plain_port, timeout=PATIENCE_S)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        imap.login(user, "wrong", saved)
    imap.login(user, NEW_USER_PASSWORD, saved)
    assert imap.restored
    assert_has_qresync(imap)
    imap.logout()


def test_a_login_that_cannot_be_sent_leaves_nothing_to_be_sent(module, gateway, start_recorder, visit, user):
    saved = visit(user).saved
    recorder = start_recorder(gateway.plain_port)
    imap = module.IMAP4("localhost", recorder.port, timeout=PATIENCE_S)
    with pytest.raises(UnicodeEncodeError):
        imap.login(user, "pässword", saved)
    imap.noop()
    assert recorder.recordings[0].names() == [["NOOP"]]
    imap.login(user, NEW_USER_PASSWORD, saved)
    assert imap.restored
    imap.logout()


def test_a_server_without_state_is_set_up_each_time(dovecot, visit, user):
    imap = visit(user, "what another server gave", port=dovecot.plain_port)
    assert not imap.restored and imap.covered == ()
    assert imap.saved == "what another server gave"  # that server may be back the next time
    assert_has_qresync(imap)


# When it cannot be restored


@pytest.mark.parametrize("saved", [
    "", "token", "null", "[]", "{}", '{"version": 2}',
    '{"version": 1, "token": "A\\r\\nx LOGOUT", "commands": [], "capabilities": []}',
    '{"version": 1, "token": "AAAA", "commands": [["ENABLE"]], "capabilities": []}',
    '{"version": 1, "token": "AAAA", "commands": [], "capabilities": [1]}'])
def test_p05_what_cannot_be_read_is_as_good_as_nothing(visit, user, saved):
    imap = visit(user, saved)
    assert not imap.restored
    assert visit(user, imap.saved).restored


def test_p05_a_refused_token_is_forgotten_and_another_saved(module, visit, user, dovecot):
    saved = visit(dovecot.new_user()).saved
    imap = visit(user, saved)
    assert imap.restored is module.Restored.REFUSED
    assert imap.saved not in (None, saved) and imap.covered == ("ENABLE QRESYNC", " ".join(NOTIFY))
    assert_has_qresync(imap)
    assert visit(user, imap.saved).restored


def test_p06_a_token_that_cannot_be_tried_is_kept(module, scripted, scripted_gateway, visit):
    saved = visit("ann", port=scripted_gateway.plain_port).saved
    scripted.on("ENABLE", vanish, times=1)
    imap = module.IMAP4("localhost", scripted_gateway.plain_port, timeout=PATIENCE_S)
    imap.login("ann", "secret", saved)
    assert imap.restored is module.Restored.UNAVAILABLE and imap.saved == saved
    with pytest.raises(imaplib.IMAP4.abort):
        imap.set_up(*ENABLE)
    scripted.listen()
    assert visit("ann", saved, port=scripted_gateway.plain_port).restored


def test_p07_a_restore_that_comes_too_late_restores_nothing(module, gateway, visit, user):
    saved = visit(user).saved
    imap = module.IMAP4("localhost", gateway.plain_port, timeout=PATIENCE_S)
    imap.login(user, NEW_USER_PASSWORD)
    imap.enable("CONDSTORE")
    assert not imap.restore(saved)
    assert imap.enable("QRESYNC")[0] == "OK"
    imap.logout()


# SELECT in the write of the login


@pytest.fixture(name="open_ahead")
def fixture_open_ahead(module, start_recorder):
    """open_ahead(port, user, saved, mailbox, readonly=): a session that has logged in, and what it sent, in flights."""
    opened = []

    def start(port, user, saved, *mailbox, password=NEW_USER_PASSWORD, **readonly):
        recorder = start_recorder(port)
        imap = module.IMAP4("localhost", recorder.port, timeout=PATIENCE_S)
        opened.append(imap)
        imap.login(user, password, saved, *mailbox, **readonly)
        return imap, recorder.recordings[0].names
    yield start
    for imap in opened:
        with contextlib.suppress(OSError):  # it has logged out
            imap.shutdown()


@pytest.mark.parametrize("readonly", [False, True])
def test_p11_select_is_answered_by_what_came_with_the_login(visit, gateway, dovecot, open_ahead, user, readonly):
    for _ in range(2):
        dovecot.add_message(user)
    saved = visit(user).saved
    plain = visit(user)
    expected = plain.select("INBOX", readonly), [plain.response(code) for code in ("UIDVALIDITY", "UIDNEXT", "FLAGS")]
    imap, flights = open_ahead(gateway.plain_port, user, saved, "INBOX", readonly=readonly)
    assert imap.state == "AUTH"
    for command in (ENABLE, NOTIFY):
        imap.set_up(*command)
    assert (imap.select("INBOX", readonly), [imap.response(code) for code in ("UIDVALIDITY", "UIDNEXT", "FLAGS")]) == expected
    assert expected[0] == ("OK", [b"2"]) and imap.state == "SELECTED"
    assert flights() == [["LOGIN", "STATE", "EXAMINE" if readonly else "SELECT"]]
    assert imap.fetch("1:*", "(UID)")[0] == "OK" and len(flights()) == 2


@pytest.mark.parametrize("why", ["another user's", "another server's", "expired"])
def test_p05_what_was_selected_without_the_state_is_left_for_the_set_up(module, start_gateway, gateway, dovecot, visit, open_ahead,
                                                                       user, why, tmp_path):
    keys = str(write_keys(tmp_path / "keys", (1, "2020-01-01T00:00:00Z")))
    if why == "expired":
        gateway = start_gateway(dovecot.plain_port, keys_file=keys)
    other = {"another server's": lambda: start_gateway(dovecot.plain_port), "another user's": lambda: gateway,
             "expired": lambda: start_gateway(dovecot.plain_port, keys_file=keys, token_lifetime="1s")}[why]()
    saved = visit(dovecot.new_user() if why == "another user's" else user, port=other.plain_port).saved
    if why == "expired":
        let_pass(1.05)
    imap, flights = open_ahead(gateway.plain_port, user, saved, "INBOX")
    assert imap.restored is module.Restored.REFUSED and imap.state == "AUTH"
    for command in (ENABLE, NOTIFY):
        assert imap.set_up(*command)[0] == "OK"
    assert imap.select("INBOX")[0] == "OK"
    assert flights() == [["LOGIN", "STATE", "SELECT"], ["UNSELECT"], ["ENABLE"], ["NOTIFY"], ["SELECT"]]
    assert_has_qresync(imap)
    assert visit(user, imap.save(), port=gateway.plain_port).restored


def test_a_mailbox_that_is_gone_is_told_by_select(visit, gateway, dovecot, open_ahead, user):
    with dovecot.client(user) as session:
        session.ok("CREATE Work")
        saved = visit(user).saved
        imap, _ = open_ahead(gateway.plain_port, user, saved, "Work")
        assert imap.restored and imap.select("Work")[0] == "OK"
        session.ok("DELETE Work")
    imap, flights = open_ahead(gateway.plain_port, user, saved, "Work")
    assert imap.restored and imap.select("Work")[0] == "NO" and imap.state == "AUTH"
    assert flights() == [["LOGIN", "STATE", "SELECT"], ["SELECT"]]
    assert imap.create("Work")[0] == "OK" and imap.select("Work") == ("OK", [b"0"])
    assert_has_qresync(imap)


def test_a_server_without_state_is_asked_by_select_alone(dovecot, visit, open_ahead, user):
    imap, flights = open_ahead(dovecot.plain_port, user, visit(user).saved, "INBOX")
    imap.set_up(*ENABLE)
    assert imap.select("INBOX") == ("OK", [b"0"])
    assert flights() == [["LOGIN"], ["ENABLE"], ["SELECT"]]


def test_nothing_is_selected_before_the_set_up_of_a_first_visit(gateway, open_ahead, user):
    imap, flights = open_ahead(gateway.plain_port, user, None, "INBOX")
    imap.set_up(*ENABLE)
    assert imap.select("INBOX")[0] == "OK" and flights() == [["LOGIN", "STATE"], ["ENABLE"], ["SELECT"]]


def test_an_alert_that_comes_in_between_is_heard(scripted, scripted_gateway, visit, open_ahead):
    port = scripted_gateway.plain_port
    saved = visit("ann", port=port).saved
    scripted.on("ENABLE", "* OK [ALERT] disk is full", "* ENABLED QRESYNC", "OK done", times=1)
    scripted.on("SELECT", "* OK [ALERT] really", "* 3 EXISTS", "* OK [UIDVALIDITY 7] stays", "OK [READ-WRITE] selected", times=2)
    imap, flights = open_ahead(port, "ann", saved, "INBOX", password="secret")
    assert imap.restored and imap.response("OK")[1][:2] == [b"[ALERT] disk is full", b"[ALERT] really"]
    assert imap.select("INBOX") == ("OK", [b"3"]) and imap.response("UIDVALIDITY")[1] == [b"7"]
    assert flights() == [["LOGIN", "STATE", "SELECT"]]


def test_a_mailbox_that_is_no_longer_writable_is_told_by_select(scripted, scripted_gateway, visit, open_ahead):
    port = scripted_gateway.plain_port
    saved = visit("ann", port=port).saved
    scripted.on("SELECT", "* 3 EXISTS", "OK [READ-ONLY] selected", times=1)
    imap, flights = open_ahead(port, "ann", saved, "INBOX", password="secret")
    assert imap.restored
    with pytest.raises(imap.readonly):
        imap.select("INBOX")
    assert flights() == [["LOGIN", "STATE", "SELECT"]]


@pytest.mark.parametrize("what", ["a new set-up", "a command", "another mailbox", "another way", "logout"])
def test_what_is_sent_before_select_finds_no_mailbox_selected(visit, gateway, dovecot, open_ahead, user, what):
    with dovecot.client(user) as session:
        session.ok("CREATE Work")
    saved = visit(user, set_up=(NOTIFY,)).saved
    imap, flights = open_ahead(gateway.plain_port, user, saved, "INBOX")
    does, sends = {
        "a new set-up": (lambda: imap.set_up(*ENABLE), [["UNSELECT"], ["ENABLE"], ["SELECT"]]),
        "a command": (lambda: imap.append("INBOX", None, None, b"Hello"),
                      [["UNSELECT"], ["APPEND"], ["..."], ["SELECT"]]),
        "another mailbox": (lambda: imap.select("Work"), [["SELECT"], ["SELECT"]]),
        "another way": (lambda: imap.select("INBOX", True), [["EXAMINE"], ["SELECT"]]),
        "logout": (imap.logout, [["LOGOUT"]])}[what]
    assert does()[0] in ("OK", "BYE")
    if what != "logout":
        assert imap.select("INBOX") == ("OK", [b"1" if what == "a command" else b"0"])
    assert flights()[1:] == sends


@pytest.mark.parametrize("mailbox, name", [
    ('"Sent Items"', "Sent Items"), ("Entw&APw-rfe", None), ('"A&-B"', None), ("INBOX (CONDSTORE)", None), ("A*", None), ('"', None),
    ('"a\\"b"', 'a"b'), ("a\r\nx LOGOUT", None), ("Entwürfe", None), ('""', None)])
def test_p11_only_what_is_right_in_any_state_is_selected_ahead(scripted, scripted_gateway, visit, open_ahead, mailbox, name):
    saved = visit("ann", port=scripted_gateway.plain_port).saved
    imap, flights = open_ahead(scripted_gateway.plain_port, "ann", saved, mailbox, password="secret")
    assert imap.restored and flights() == [["LOGIN", "STATE", "SELECT"] if name else ["LOGIN", "STATE"]]
    assert scripted.sessions[-1].arguments("SELECT") == ([mailbox.encode()] if name else [])
    imap.select("INBOX")
    assert scripted.sessions[-1].arguments("SELECT")[-1] == b"INBOX"


def authenticate(module, server, *mailbox):
    """At a scripted server with a STATE of its own, which allows nothing to be sent behind LOGIN."""
    imap = module.IMAP4("localhost", server.port, timeout=PATIENCE_S)
    imap.authenticate("PLAIN", lambda challenge: b"\0ann\0secret")
    imap.restore(json.dumps({"version": 1, "token": "tOkEn", "commands": [ENABLE], "capabilities": []}), *mailbox)
    return imap


def test_without_unselect_nothing_is_expunged(module, start_scripted):
    server = start_scripted(caps_after="IMAP4rev1 ENABLE QRESYNC STATE")
    server.on("STATE", "OK tracking")
    imap = authenticate(module, server, "INBOX")
    assert imap.set_up(*ENABLE)[0] == "OK" and imap.select("INBOX") == ("OK", [b"3"])
    assert server.sessions[0].names == ["AUTHENTICATE", "STATE", "SELECT", "EXAMINE", "CLOSE", "ENABLE", "SELECT"]


def test_p06_a_session_that_ends_behind_state_is_told_by_the_login(module, scripted, scripted_gateway, visit):
    saved = visit("ann", port=scripted_gateway.plain_port).saved
    scripted.on("ENABLE", vanish, times=1)
    with module.IMAP4("localhost", scripted_gateway.plain_port, timeout=PATIENCE_S) as imap:
        with pytest.raises(imaplib.IMAP4.abort):
            imap.login("ann", "secret", saved, "INBOX")
        assert imap.restored is module.Restored.UNAVAILABLE and imap.saved == saved


def test_p06_a_session_that_goes_on_behind_state_is_set_up(module, start_scripted):
    server = start_scripted(caps_after="IMAP4rev1 ENABLE QRESYNC UNSELECT STATE")
    server.on("STATE", "NO [UNAVAILABLE] not now")
    for mailbox, more in (((), []), (("INBOX",), ["SELECT", "UNSELECT"])):
        imap = authenticate(module, server, *mailbox)
        assert imap.restored is module.Restored.UNAVAILABLE
        assert imap.set_up(*ENABLE)[0] == "OK" and imap.select("INBOX") == ("OK", [b"3"])
        assert "tOkEn" in imap.save()
        assert server.sessions[-1].names == ["AUTHENTICATE", "STATE", *more, "ENABLE", "SELECT"]


def test_a_login_that_is_refused_selects_nothing(module, gateway, start_recorder, visit, user):
    saved = visit(user).saved
    recorder = start_recorder(gateway.plain_port)
    imap = module.IMAP4("localhost", recorder.port, timeout=PATIENCE_S)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        imap.login(user, "wrong", saved, "INBOX")
    imap.login(user, NEW_USER_PASSWORD, saved, "INBOX")
    assert imap.restored and imap.select("INBOX")[0] == "OK"
    assert recorder.recordings[0].names() == [["LOGIN", "STATE", "SELECT"]] * 2
    imap.logout()


def test_behind_another_login_state_and_select_share_a_write(module, gateway, start_recorder, visit, user):
    saved = visit(user).saved
    recorder = start_recorder(gateway.plain_port)
    imap = module.IMAP4("localhost", recorder.port, timeout=PATIENCE_S)
    imap.authenticate("PLAIN", lambda challenge: f"\0{user}\0{NEW_USER_PASSWORD}".encode())
    assert imap.restore(saved, "INBOX") and imap.select("INBOX")[0] == "OK"
    assert recorder.recordings[0].names() == [["AUTHENTICATE"], ["..."], ["STATE", "SELECT"]]
    assert_has_qresync(imap)
    imap.logout()


def test_p07_behind_a_restore_that_comes_too_late_nothing_stays_selected(module, gateway, visit, user):
    saved = visit(user).saved
    imap = module.IMAP4("localhost", gateway.plain_port, timeout=PATIENCE_S)
    imap.login(user, NEW_USER_PASSWORD)
    imap.enable("CONDSTORE")
    assert not imap.restore(saved, "INBOX")
    assert imap.enable("QRESYNC")[0] == "OK"
    assert_has_qresync(imap)
    imap.logout()


# What is in the state


def test_p09_what_is_refused_is_not_in_the_state(scripted, scripted_gateway, visit):
    scripted.on("NOTIFY", "NO not today", times=1)
    imap = visit("ann", port=scripted_gateway.plain_port, set_up=(ENABLE,))
    assert imap.set_up(*NOTIFY)[0] == "NO"
    assert imap.covered == ("ENABLE QRESYNC",) and not imap.covers(*NOTIFY)
    again = visit("ann", imap.saved, port=scripted_gateway.plain_port)
    assert again.covered == ("ENABLE QRESYNC", " ".join(NOTIFY))


def test_p09_what_is_too_large_is_in_effect_but_not_in_the_state(scripted_gateway, visit):
    port = scripted_gateway.plain_port
    huge = "SET (MAILBOXES (" + " ".join(f"mailbox-{number}" for number in range(300)) + ") (MessageNew MessageExpunge))"
    imap = visit("ann", port=port)
    assert imap.notify(huge)[0] == "OK"
    assert imap.covered == ("ENABLE QRESYNC",)  # it has replaced the other
    assert visit("ann", imap.save(), port=port, set_up=()).covered == ("ENABLE QRESYNC",)


def test_p10_what_came_before_tracking_is_not_in_the_state(module, gateway, user):
    imap = module.IMAP4("localhost", gateway.plain_port, timeout=PATIENCE_S)
    imap.authenticate("PLAIN", lambda challenge: f"\0{user}\0{NEW_USER_PASSWORD}".encode())
    imap.enable("CONDSTORE")
    assert not imap.restore() and imap.covered == ()
    imap.enable("QRESYNC")
    assert imap.covered == ("ENABLE QRESYNC",)
    imap.logout()


def test_a_later_one_of_its_kind_takes_the_place_of_an_earlier_one(scripted_gateway, visit):
    port = scripted_gateway.plain_port
    commands = (("LANGUAGE", "de"), ("COMPARATOR", "i;octet"), ENABLE, ("LANGUAGE", "FR"), ("NOTIFY", "NONE"), NOTIFY)
    imap = visit("ann", port=port, set_up=commands)
    assert imap.language()[0] == "OK"  # a query
    assert imap.covered == ("COMPARATOR I;OCTET", "ENABLE QRESYNC", "LANGUAGE FR", " ".join(NOTIFY))
    again = visit("ann", imap.saved, port=port, set_up=())
    assert again.restored and again.covered == imap.covered
    assert again.covers("language", "fr") and not again.covers("LANGUAGE", "DE")
    assert again.language("DE") == ("OK", [b"(DE)"]) and again.covered[-1] == "LANGUAGE DE"


def test_an_enable_is_covered_if_all_its_names_are(scripted_gateway, visit):
    imap = visit("ann", port=scripted_gateway.plain_port, set_up=(("ENABLE", "QRESYNC"), ("ENABLE", "X-ONE condstore")))
    again = visit("ann", imap.saved, port=scripted_gateway.plain_port, set_up=())
    assert again.covers("ENABLE", "CONDSTORE QRESYNC") and again.covers("enable", "x-one")
    assert not again.covers("ENABLE", "QRESYNC X-TWO")


def test_utf8_is_as_in_a_session_that_enabled_it(scripted_gateway, visit):
    imap = visit("ann", port=scripted_gateway.plain_port, set_up=(("ENABLE", "UTF8=ACCEPT"),))
    assert imap.utf8_enabled
    assert visit("ann", imap.saved, port=scripted_gateway.plain_port, set_up=()).utf8_enabled


def test_what_state_does_not_store_is_no_set_up(visit, user):
    imap = visit(user, set_up=())
    with pytest.raises(imaplib.IMAP4.error, match="SELECT is not among"):
        imap.set_up("SELECT", "INBOX")
