"""examples/server.c: a server that has STATE by libimapstate alone. Real clients talk to it, with no gateway in between."""
import importlib
import json
import shutil
import socket
import subprocess
import sys
import time

import pytest

from harness.gateway import BUILD, write_keys
from harness.imap import capabilities, literal
from harness.modules import CLIENTS, run_program
from harness.net import LOOPBACK, free_port
from harness.patience import PATIENCE_S, wait_until
from harness.tokens import DAY_S, announced, fail_to_restore, in_one_day, restore, save, saved, seconds_left

PASSWORD = "p\"a\\ss wörd"
QUOTED = '"p\\"a\\\\ss wörd"'.encode()
SET_UP = ["ENABLE UTF8=ACCEPT", "NOTIFY SET STATUS (personal (MessageNew MessageExpunge))"]


def is_listening(port):
    try:
        socket.create_connection((LOOPBACK, port), PATIENCE_S).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture(name="start")
def fixture_start(tmp_path):
    """start(keys): a server with this file of keys, by its port. What it says of tokens is in start.log."""
    started = []

    def start(keys, user="ann", password=b"secret"):
        port = free_port()
        with (tmp_path / "log").open("ab") as log:
            server = subprocess.Popen((BUILD / "examples" / "example-server", str(port), user, keys), stdin=subprocess.PIPE, stderr=log)
        started.append(server)
        server.stdin.write(password + b"\n")
        server.stdin.close()
        wait_until(lambda: server.poll() is not None or is_listening(port))
        assert server.poll() is None
        return port

    start.log = tmp_path / "log"
    yield start
    for server in started:
        server.kill()
        server.wait()


@pytest.fixture(name="keys")
def fixture_keys(tmp_path):
    return write_keys(tmp_path / "keys", (1, "2026-01-01T00:00:00Z"))


@pytest.fixture(name="port")
def fixture_port(start, keys):
    return start(keys)


@pytest.fixture(name="session")
def fixture_session(connect, port):
    """session(): a client that has logged in."""
    def start(at=None):
        client = connect(at or port)
        client.ok("LOGIN ann secret")
        return client
    return start


def has_utf8(client):
    """Is the name of a mailbox read as UTF-8? The example refuses it otherwise (RFC 6855 section 3)."""
    return client.command('SELECT "Entwürfe"'.encode()).status == b"NO"


# --- the rules ---

def test_p01_state_is_in_every_list(connect, port):
    client = connect(port)
    lists = [capabilities(client.greeting), capabilities(client.ok("CAPABILITY").untagged[0]), capabilities(client.ok("LOGIN ann secret").tagged)]
    assert all(b"STATE" in each for each in lists) and lists[0] == lists[1] == lists[2]


@pytest.mark.parametrize("command", ["STATE ", "STATE a b", "STATE a ", 'STATE ""', "STATE (a)", "SAVESTATE x", "STATE " + 2049 * "a"])
def test_p02_what_is_malformed_is_bad(session, command):
    client = session()
    client.bad(command)
    client.ok("STATE")


def test_p02_where_they_do_not_belong_they_are_bad(connect, session, port):
    stranger = connect(port)
    stranger.bad("STATE")
    stranger.bad("SAVESTATE")
    client = session()
    client.ok("STATE")
    client.ok("SELECT INBOX")
    client.bad("STATE")
    assert saved(client.ok("SAVESTATE"))
    client.ok("UNSELECT")
    client.ok("STATE")


def test_p04_a_restore_brings_back_what_was_set_up(session):
    token = save(session(), *SET_UP)
    fresh = session()
    assert not has_utf8(fresh)
    client = session()
    answer = restore(client, token)
    status, state = answer.untagged
    assert status.startswith(b"* STATUS INBOX ") and state == f"* STATE {token}\r\n".encode()  # P17, P4
    assert has_utf8(client)


def test_p14_a_restored_session_saves_the_same_token(session):
    def attempt():
        token, client = save(session(), *SET_UP), session()
        restore(client, token)
        return token, saved(client.ok("SAVESTATE"))
    first, again = in_one_day(attempt)
    assert first == again


@pytest.mark.parametrize("spell", ["STATE {}".format, 'state "{}"'.format, lambda token: b"STATE " + literal(token.encode())], ids=["atom", "quoted", "literal"])
def test_p04_a_token_is_any_astring(session, spell):
    token = save(session(), *SET_UP)
    assert session().ok(spell(token)).of("STATE")


def refused(client, token):
    """P5: OK, but no STATE; and tracking is on."""
    fail_to_restore(client, token)
    assert not has_utf8(client)
    assert announced(client.ok("NOTIFY NONE", tag="n1")) == ["n1"]


@pytest.mark.parametrize("why,token", [("malformed", "c3RhdGUgdG9rZW4="), ("another key", None)])
def test_p05_a_token_that_is_not_good_is_refused_and_only_the_log_says_why(start, session, tmp_path, why, token):
    other = write_keys(tmp_path / "other", (2, "2026-01-01T00:00:00Z"))
    token = token or save(session(start(other)), *SET_UP)
    refused(session(), token)
    reason = {"malformed": "token is malformed", "another key": "token was sealed by an unknown key"}[why]
    assert f"not restored: {reason}" in start.log.read_text()


def test_p07_a_token_restores_a_fresh_session_only(session):
    token = save(session(), *SET_UP)
    client = session()
    client.ok("NOTIFY NONE")
    refused(client, token)


SEAL = """
#include <imapstate/imapstate.h>
#include <stdio.h>

/* What no session of the example has saved: its LANGUAGE must fail. */
int main(int argc, char **argv)
{
    struct imapstate_token_binding binding = { .user = IMAPSTATE_SPAN("ann"), .upstream = IMAPSTATE_SPAN("example"),
                                               .names = imapstate_span_of(argc > 1 ? argv[1] : "") };
    struct imapstate_state *state = imapstate_state_new(IMAPSTATE_STATE_MAX);
    struct imapstate_keyring *keyring = imapstate_keyring_new();
    struct imapstate_buf text, encoded, token;
    struct imapstate_key key;
    size_t line;
    uint64_t left_s;
    int octet;
    imapstate_buf_init(&text, IMAPSTATE_KEYRING_TEXT_MAX);
    imapstate_buf_init(&encoded, IMAPSTATE_STATE_MAX);
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    while ((octet = getchar()) != EOF)
        imapstate_buf_put_byte(&text, (uint8_t)octet);
    if (imapstate_keyring_read(keyring, imapstate_buf_span(&text), &line) != IMAPSTATE_OK ||
        imapstate_state_record(state, IMAPSTATE_ENTRY_ENABLE, IMAPSTATE_SPAN("UTF8=ACCEPT")) != IMAPSTATE_OK ||
        imapstate_state_record(state, IMAPSTATE_ENTRY_LANGUAGE, IMAPSTATE_SPAN("de")) != IMAPSTATE_OK ||
        !imapstate_state_encode(state, &encoded) || !imapstate_keyring_sealing(keyring, %(now)d, &key) ||
        imapstate_token_seal(&key, &binding, %(now)d, 86400, imapstate_buf_span(&encoded), &token, &left_s) != IMAPSTATE_OK)
        return 1;
    fwrite(token.at, 1, token.len, stdout);
    imapstate_buf_done(&text);
    imapstate_buf_done(&encoded);
    imapstate_buf_done(&token);
    imapstate_state_free(state);
    imapstate_keyring_free(keyring);
    return 0;
}
"""


def test_p18_of_a_token_of_which_a_part_fails_nothing_stays(session, keys, tmp_path):
    client = session()
    names = b" ".join(capabilities(client.ok("CAPABILITY").untagged[0])).decode()
    token = run_program(tmp_path, SEAL % {"now": time.time()}, names, stdin=keys.read_text())
    fail_to_restore(client, token)
    assert not has_utf8(client)
    assert announced(client.ok("ENABLE UTF8=ACCEPT", tag="e1")) == ["e1"] and has_utf8(client)


def test_p08_savestate_without_state_is_a_clients_fault(session):
    assert session().no("SAVESTATE").code == b"CLIENTBUG"


def test_p08_savestate_tells_how_long_the_token_lives(session):
    client = session()
    client.ok("STATE")
    assert 14 * DAY_S <= seconds_left(client.ok("SAVESTATE")) <= 15 * DAY_S  # a granule is a day


def test_p09_what_is_stored_is_announced_directly_before_its_answer(session):
    client = session()
    assert not announced(client.ok("NOTIFY NONE", tag="n0"))  # P10
    client.ok("STATE")
    answer = client.ok(SET_UP[1], tag="n1")
    assert [line.split(b" ")[1] for line in answer.untagged] == [b"STATUS", b"OK"] and announced(answer) == ["n1"]
    assert announced(client.ok("ENABLE UTF8=ACCEPT", tag="e1")) == ["e1"]
    assert not announced(client.ok("ENABLE X-NOTHING", tag="e2"))
    client.bad("NOTIFY SOMETIMES")
    assert not announced(client.ok("NOOP"))


def test_p11_all_in_one_write(connect, session, port):
    token = save(session(), *SET_UP)
    client = connect(port)
    client.send(f"a1 LOGIN ann secret\r\na2 STATE {token}\r\na3 SELECT INBOX\r\na4 FETCH 2 (FLAGS BODY.PEEK[])\r\n".encode())
    assert [client.wait(tag).status for tag in ("a1", "a2", "a3")] == 3 * [b"OK"]
    assert b"Subject: second" in b"".join(client.wait("a4").untagged)


def test_p16_unauthenticate_begins_anew(session):
    client = session()
    token = save(client, *SET_UP)
    client.ok("UNAUTHENTICATE")
    client.bad("SAVESTATE")
    client.ok("LOGIN ann secret")
    assert client.no("SAVESTATE").code == b"CLIENTBUG"
    assert not has_utf8(client)
    assert restore(client, token) and has_utf8(client)


def test_a_login_is_checked(connect, start, keys):
    client = connect(start(keys, "ann@example.org", PASSWORD.encode()))
    assert client.no("LOGIN ann@example.org secret").code == b"AUTHENTICATIONFAILED"
    assert client.no("LOGIN ann@example.orgs " + "x").code == b"AUTHENTICATIONFAILED"
    client.bad("LOGIN ann@example.org")
    client.bad(b"LOGIN ann@example.org " + QUOTED)  # no UTF-8 in a quoted string yet
    client.bad("STATE")
    client.ok(b"LOGIN ann@example.org " + literal(PASSWORD.encode()))
    client.ok("STATE")


@pytest.mark.parametrize("wrong", ["ann Secret", "ann secreT", "ann secre", "ann secrets", 'ann ""', "anne secret", 'an secret', '"" secret'])
def test_a_wrong_login_is_refused(connect, port, wrong):
    assert connect(port).no(f"LOGIN {wrong}").code == b"AUTHENTICATIONFAILED"


# --- real clients ---

@pytest.fixture(scope="module", name="imaplib_state")
def fixture_imaplib_state():
    sys.path.insert(0, str(CLIENTS / "python" / "src"))
    try:
        yield importlib.import_module("imaplib_state")
    finally:
        sys.path.pop(0)


def test_python_is_restored(port, start_recorder, imaplib_state):
    recorder = start_recorder(port)

    def visit(kept):
        with imaplib_state.IMAP4("localhost", recorder.port, timeout=PATIENCE_S) as imap:
            imap.login("ann", "secret", kept, "INBOX", readonly=True)
            for command in SET_UP:
                assert imap.set_up(*command.split(" ", 1))[0] == "OK"
            assert imap.select("INBOX", readonly=True) == ("OK", [b"3"])
            status, (first, *_) = imap.fetch("1:*", "(FLAGS BODY.PEEK[])")
            assert status == "OK" and first[1].startswith(b"Subject: first")
            return imap.restored, imap.save()

    first, kept = visit(None)
    again, kept_again = visit(kept)
    assert (first, again) == (imaplib_state.Restored.NOT_ASKED, imaplib_state.Restored.DONE)
    assert kept_again == kept
    assert [recording.flights_until("FETCH") for recording in recorder.recordings] == [5, 2]
    assert recorder.recordings[-1].names()[0] == ["LOGIN", "STATE", "EXAMINE"]


def test_imapstatectl_says_that_state_works_here(port):
    done = subprocess.run((BUILD / "src/ctl/imapstatectl", "try", "127.0.0.1", "--port", str(port), "--plain", "--user", "ann",
                           "--password-file", "-"), input="secret\n", capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nSTATE works here: a client is at its mail after 1 round trip instead of 5.\nRestored: NOTIFY.\n" in done.stdout


FLOW = """
const { ImapFlow } = require('imapflow');
const { withState } = require('.');
const StateFlow = withState(ImapFlow);
async function visit(state) {
    const client = new StateFlow({ host: '127.0.0.1', port: +process.argv[1], secure: false, doSTARTTLS: false, logger: false,
                                   auth: { user: 'ann', pass: 'secret' }, disableAutoIdle: true, mailbox: 'INBOX', state });
    await client.connect();
    await client.setUp('NOTIFY', 'SET STATUS (personal (MessageNew MessageExpunge))');
    await client.mailboxOpen('INBOX');
    const subjects = [];
    for await (const message of client.fetch('1:*', { flags: true, source: true })) {
        subjects.push(/Subject: (.*)/.exec(message.source.toString())[1]);
    }
    const saved = await client.saveState();
    await client.logout();
    return { restored: client.restored, covered: client.covered, enabled: [...client.enabled], subjects, saved };
}
visit(null).then(async first => console.log(JSON.stringify([first, await visit(first.saved)])));
"""


@pytest.mark.skipif(not shutil.which("node") or not (CLIENTS / "node" / "node_modules" / "imapflow").is_dir(),
                    reason="not installed: npm ci --prefix clients/node")
def test_node_is_restored(port):
    done = subprocess.run(("node", "-e", FLOW, str(port)), cwd=CLIENTS / "node", capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    first, again = json.loads(done.stdout)
    assert (first["restored"], again["restored"]) == ("not asked", "done")
    assert first["covered"] == again["covered"] == ["ENABLE UTF8=ACCEPT", SET_UP[1]]
    assert first["enabled"] == again["enabled"] == ["UTF8=ACCEPT"]
    assert first["subjects"] == again["subjects"] == ["first", "second", "third"]
    assert first["saved"] == again["saved"]
