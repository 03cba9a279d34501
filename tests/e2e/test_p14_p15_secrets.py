"""P14, P15: tokens are sealed, keys rotate, and secrets go nowhere."""
import base64
import contextlib
import itertools
import os
import re
import resource
import signal
import subprocess
import time

import pytest

from harness import logins, memory
from harness.gateway import upstream, write_keys
from harness.imap import literal, quoted
from harness.parking import Lot
from harness.patience import wait_until
from harness.tokens import assert_tracking, fail_to_restore, in_one_day, restore, save, saved, setup_of

pytestmark = pytest.mark.every_server

SETUP = ("ENABLE QRESYNC",)
PAST, FUTURE = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


def octets_of(token):
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def key_id_of(token):
    return int.from_bytes(octets_of(token)[1:5], "big")


def test_p14_a_token_begins_with_its_version_and_the_id_of_its_key(scripted, start_gateway, tmp_path):
    gateway = start_gateway(scripted.port, keys_file=str(write_keys(tmp_path / "keys", (0xC0FFEE, PAST))))
    token = save(gateway.session(), *SETUP)
    assert (octets_of(token)[0], key_id_of(token)) == (2, 0xC0FFEE)


def test_p14_a_token_cannot_be_read_without_the_key(scripted_gateway):
    client = scripted_gateway.session("master", "of all")
    token = save(client, "ENABLE QRESYNC", "LANGUAGE DE", "NOTIFY SET (mailboxes Recognizable (MessageNew MessageExpunge))")
    octets = octets_of(token)
    for readable in (b"master", b"main", b"QRESYNC", b"Recognizable", b"MessageNew"):
        assert readable not in octets


@pytest.fixture
def keys(tmp_path):
    return str(write_keys(tmp_path / "keys", (1, PAST)))


def test_p14_all_devices_of_a_user_with_one_set_up_hold_the_same_token(server, start_gateway, keys):
    """Through whichever gateway, and however often they save."""
    gateways = [start_gateway(server.plain_port, keys_file=keys) for _ in range(2)]

    def save_everywhere():
        clients = [gateway.session() for gateway in gateways * 2]
        tokens = {save(client, server.setup) for client in clients}
        again = gateways[0].session()
        restore(again, next(iter(tokens)))
        return tokens | {saved(client.ok("SAVESTATE")) for client in [*clients, again]}

    assert len(in_one_day(save_everywhere)) == 1


def test_p14_tokens_of_other_users_and_other_states_have_nothing_in_common_but_version_and_key(scripted_gateway):
    tokens = [save(scripted_gateway.session(), *SETUP), save(scripted_gateway.session("bob", "hunter2"), *SETUP),
              save(scripted_gateway.session(), "ENABLE CONDSTORE")]
    for one, other in itertools.combinations(map(octets_of, tokens), 2):
        assert one[:5] == other[:5]
        assert sum(a == b for a, b in zip(one[5:], other[5:])) < len(one) // 4


@pytest.mark.parametrize("first, then", [(1, 2), (2, 1)])
def test_p14_a_fleet_changes_its_format_gateway_by_gateway(scripted, start_gateway, keys, first, then):
    one, other = (start_gateway(scripted.port, keys_file=keys, seal_format=seal_format) for seal_format in (first, then))
    tokens = [save(gateway.session(), *SETUP) for gateway in (one, other)]
    assert [octets_of(token)[0] for token in tokens] == [first, then]
    for gateway in (one, other):
        for token in tokens:
            restore(gateway.session(), token)
    one.write_config(seal_format=then)
    since = one.log_octets()
    one.reload()
    one.wait_log("reloaded", since=since)
    client = one.session()
    restore(client, tokens[0])
    assert octets_of(saved(client.ok("SAVESTATE")))[0] == then


def test_p14_a_token_of_format_1_is_another_at_each_time(scripted, start_gateway):
    client = start_gateway(scripted.port, seal_format=1).session()
    one, other = octets_of(save(client, *SETUP)), octets_of(saved(client.ok("SAVESTATE")))
    assert len(one) == len(other) and one[:5] == other[:5]
    assert sum(a == b for a, b in zip(one[5:], other[5:])) < len(one) // 4


def next_second():
    """Later than all that was saved so far, to the second that a revocation has."""
    return int(time.time()) + 1


class Revoked:
    """A gateway whose revocations_file is at hand."""

    def __init__(self, start_gateway, port, keys, path, **settings):
        self.file = path / "revoked"
        self.gateway = start_gateway(port, keys_file=keys, revocations_file=str(self.file), **settings)

    def write(self, *lines, logs=("reloaded",)):
        (self.file.parent / "new").write_text("".join(line + "\n" for line in lines))
        (self.file.parent / "new").rename(self.file)
        self.reload(*logs)

    def reload(self, *logs):
        since = self.gateway.log_octets()
        self.gateway.reload()
        for each in logs:
            self.gateway.wait_log(each, since=since)


@pytest.fixture
def revoked(scripted, start_gateway, keys, tmp_path):
    return Revoked(start_gateway, scripted.port, keys, tmp_path)


@pytest.mark.parametrize("seal_format", [1, 2])
def test_p14_a_revoked_token_is_answered_as_in_p5_and_the_log_tells_why(server, start_gateway, keys, tmp_path, seal_format):
    revoked = Revoked(start_gateway, server.plain_port, keys, tmp_path, seal_format=seal_format)
    user, other = server.new_user(), server.new_user()
    token, others = save(revoked.gateway.session(user), server.setup), save(revoked.gateway.session(other), server.setup)
    revoked.write(f"# for {user}", f"{user} {next_second()}")
    since = revoked.gateway.log_octets()
    client = revoked.gateway.session(user)
    fail_to_restore(client, token)
    assert_tracking(client, server.setup)
    revoked.gateway.wait_log("not restored: token was saved before the user's tokens were revoked", since=since)
    assert token not in revoked.gateway.log()
    restore(revoked.gateway.session(other), others)


@pytest.mark.parametrize("seal_format", [1, 2])
def test_p14_what_is_saved_after_a_revocation_restores(scripted, start_gateway, keys, tmp_path, seal_format):
    revoked = Revoked(start_gateway, scripted.port, keys, tmp_path, seal_format=seal_format)
    before = revoked.gateway.session()
    old = save(before, *SETUP)
    second = next_second()
    revoked.write(f"ann {second}")
    wait_until(lambda: time.time() >= second + 1)  # time(2) may lag by a tick
    new = saved(before.ok("SAVESTATE"))
    fail_to_restore(revoked.gateway.session(), old)
    restore(revoked.gateway.session(), new)
    # Not by chance: it is the later one that decides.
    revoked.write(f"ann {second}", f"ann {second + 1000}")
    fail_to_restore(revoked.gateway.session(), new)


def test_p14_all_tokens_can_be_revoked_and_a_revocation_withdrawn(revoked):
    tokens = {("ann", "secret"): None, ("bob", "hunter2"): None}
    for login in tokens:
        tokens[login] = save(revoked.gateway.session(*login), *SETUP)
    revoked.write(f"* {int(time.time())}")
    for login, token in tokens.items():
        fail_to_restore(revoked.gateway.session(*login), token)
    revoked.file.unlink()
    revoked.reload("warning: .*/revoked: it is not there: no token is revoked", "reloaded")
    for login, token in tokens.items():
        restore(revoked.gateway.session(*login), token)


def test_p14_a_broken_line_keeps_what_is_revoked(revoked):
    token = save(revoked.gateway.session(), *SETUP)
    line = f"ann {int(time.time())}"
    revoked.write(line)
    revoked.write(line.replace("ann", "bob"), "", "carol", logs=(r"/revoked:3: a line must be \"USER SECONDS\"", "reload failed"))
    fail_to_restore(revoked.gateway.session(), token)


def test_p14_a_parked_connection_does_not_bring_back_what_is_revoked(scripted, start_gateway, keys, tmp_path):
    revoked = Revoked(start_gateway, scripted.port, keys, tmp_path, park={})
    client = revoked.gateway.session()
    token = save(client, *SETUP)
    since = revoked.gateway.log_octets()
    client.logout()
    revoked.gateway.wait_log("parked, in a state", since)
    revoked.write(f"ann {next_second()}")
    client = revoked.gateway.session()
    fail_to_restore(client, token)
    client.ok("NOOP")
    assert len(scripted.sessions) == 2 and setup_of(scripted.sessions[-1]) == []


def test_p14_no_octet_of_a_token_can_be_changed(scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    octets = octets_of(token)
    client = scripted_gateway.session()
    for at in range(len(octets)):
        changed = octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1:]
        fail_to_restore(client, base64.urlsafe_b64encode(changed).decode().rstrip("="))
    restore(client, token)


@pytest.mark.parametrize("spare_bits", [2, 4])
def test_p14_a_token_has_one_spelling_only(scripted_gateway, spare_bits):
    # The last character of base64 may hold bits that belong to no octet.
    client = scripted_gateway.session()
    tokens = [save(client, f"NOTIFY SET (mailboxes {'m' * octets} (MessageNew MessageExpunge))") for octets in (1, 2, 3)]
    token, = [each for each in tokens if len(each) % 4 == {2: 3, 4: 2}[spare_bits]]
    client = scripted_gateway.session()
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        if last != token[-1]:
            fail_to_restore(client, token[:-1] + last)
    restore(client, token)


def reload_with(gateway, path, text):
    mark = gateway.log_octets()
    path.write_text(text)
    gateway.reload()
    gateway.wait_log(r"(?i)reload|re-read|read again|keys", since=mark)


def test_p14_keys_rotate_the_newest_seals_and_older_ones_still_open(scripted, start_gateway, tmp_path):
    path = write_keys(tmp_path / "keys", (1, "2020-01-01T00:00:00Z"), (2, "2021-01-01T00:00:00Z"), (3, FUTURE))
    all_keys = path.read_text()
    path.write_text(all_keys.splitlines(keepends=True)[0])
    gateway = start_gateway(scripted.port, keys_file=str(path))
    old = save(gateway.session(), *SETUP)
    reload_with(gateway, path, all_keys)
    client = gateway.session()
    restore(client, old)
    new = saved(client.ok("SAVESTATE"))
    assert (key_id_of(old), key_id_of(new)) == (1, 2)
    restore(gateway.session(), new)
    reload_with(gateway, path, "".join(all_keys.splitlines(keepends=True)[1:]))
    fail_to_restore(gateway.session(), old)
    restore(gateway.session(), new)


def test_p14_a_future_key_opens_but_does_not_seal(scripted, start_gateway, tmp_path):
    path = write_keys(tmp_path / "keys", (1, PAST), (2, "2021-01-01T00:00:00Z"))
    ahead = start_gateway(scripted.port, keys_file=str(path))
    token = save(ahead.session(), *SETUP)
    assert key_id_of(token) == 2
    behind_path = tmp_path / "behind"
    behind_path.write_text(path.read_text().replace("2021-01-01T00:00:00Z", FUTURE))
    behind_path.chmod(0o600)
    behind = start_gateway(scripted.port, keys_file=str(behind_path))
    client = behind.session()
    restore(client, token)
    assert key_id_of(saved(client.ok("SAVESTATE"))) == 1


def forms_of(secret):
    """What a secret may look like in a log: as it is, in base64 at any of three offsets, in hexadecimal."""
    octets = secret.encode()
    forms = {octets, octets.hex().encode(), octets.hex().upper().encode(), quoted(octets)[1:-1]}
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + octets)
        forms.add(encoded[offset * 4 // 3 + (offset > 0):-4])  # without what depends on the neighbours
        forms.add(encoded[offset * 4 // 3 + (offset > 0):-4].replace(b"+", b"-").replace(b"/", b"_"))
    return {form for form in forms if len(form) >= 8}


def assert_not_in_log(gateway, *secrets):
    log = gateway.log_file.read_bytes()
    assert b" debug: " in log, "the log is not at the debug level"
    for secret in secrets:
        for form in forms_of(secret):
            assert form not in log, f"{secret!r} is in the log as {form!r}"


PASSWORD = 'Correct-Horse "Battery" \\ Staple'


@pytest.fixture
def secret_gateway(start_scripted, start_gateway):
    upstream = start_scripted(users={"ann": PASSWORD})
    return start_gateway(upstream.port)


def sasl(*parts):
    return base64.b64encode("\0".join(parts).encode()).decode()


def test_p15_no_password_is_in_the_log(secret_gateway):
    wrong = "Wrong-But-Nearly-Right-Password"
    for password in (PASSWORD, wrong):
        for login in (b"LOGIN ann " + quoted(password), b"LOGIN ann " + literal(password),
                      "AUTHENTICATE PLAIN " + sasl("", "ann", password)):
            secret_gateway.client().command(login)
        client = secret_gateway.client()
        tag = client.start("AUTHENTICATE LOGIN")
        for answer in ("ann", password):
            client.continuation()
            client.send(sasl(answer) + "\r\n")
        client.wait(tag)
        bearer = secret_gateway.client()
        tag = bearer.start("AUTHENTICATE XOAUTH2 " + base64.b64encode(f"user=ann\1auth=Bearer {password}\1\1".encode()).decode())
        if bearer.response().startswith(b"+"):
            bearer.send(b"\r\n")
            bearer.wait(tag)
    secret_gateway.close_clients()
    assert_not_in_log(secret_gateway, PASSWORD, wrong)


@pytest.mark.parametrize("slip", [
    'LOGIN ann "{}" too many', 'LOGIN "ann" "{}', "LOGON ann {}", "{}", "{} LOGIN ann", "AUTHENTICATE PLAIN {}", "AUTHENTICATE {}",
    "STATE {}", 'ID ("password" "{}")', "ENABLE {}", "NOOP {}"])
def test_p15_no_password_is_in_the_log_when_the_client_has_made_a_slip(secret_gateway, slip):
    secret = "Correct-Horse-Battery-Staple"
    client = secret_gateway.client()
    client.send(slip.format(secret).join(("a ", "\r\n")))
    if client.response().startswith(b"+"):
        client.send(b"*\r\n")
    client.send(f"{secret}\r\n")
    client.close()
    session = secret_gateway.session("ann", PASSWORD)
    session.command(slip.format(secret) if slip != "LOGIN \"ann\" \"{}" else f"LOGON x {secret}")
    secret_gateway.close_clients()
    assert_not_in_log(secret_gateway, secret, PASSWORD)


@memory.needs_plain_build
@pytest.mark.parametrize("tls", [False, True], ids=["in clear", "under TLS"])
@pytest.mark.parametrize("way", ["LOGIN with quoted strings", "LOGIN with literals", "PLAIN", "PLAIN at once", "AUTH=LOGIN"])
def test_p15_no_password_outlives_its_use_in_memory(start_scripted, start_gateway, authority, certificate, trust, way, tls):
    context = authority.server_context(certificate)
    scripted = start_scripted(users={"ann": PASSWORD}, **({"tls": "implicit", "context": context} if tls else {}))
    section = upstream(scripted.port, tls="implicit", tls_ca_file=str(authority.ca_file)) if tls else scripted.port
    lot = Lot(start_gateway(section, park={}), scripted)

    def log_in():
        client = lot.gateway.client(lot.gateway.tls_port, tls=trust) if tls else lot.gateway.client()
        assert logins.by(way, client, "ann", PASSWORD).status == b"OK"
        return client

    def found():
        try:
            return memory.find(lot.gateway, forms_of(PASSWORD))
        except PermissionError:
            pytest.skip("only root may look into the memory of a process that cannot be dumped")


    for _ in ("by the upstream", "by what is parked"):
        client = log_in()
        assert found()  # kept for a STATE that may follow; else this test would look in the wrong places
        connection = lot.mark(client)
        assert not found()
        assert lot.leave(client, connection)
        assert not found()
    log_in().logout()
    assert not found()


def test_p15_no_token_is_in_the_log(secret_gateway):
    client = secret_gateway.session("ann", PASSWORD)
    token = save(client, "ENABLE QRESYNC", "NOTIFY NONE")
    for form in (bytes, quoted, literal):
        secret_gateway.session("ann", PASSWORD).ok(b"STATE " + form(token.encode()))
    fail_to_restore(client, token)
    for almost in (token[:-1], token + "x", token.swapcase()):
        fail_to_restore(secret_gateway.session("ann", PASSWORD), almost)
        assert_not_in_log(secret_gateway, almost)
    client.bad(f"STATE {token} x")
    client.command(f"STTAE {token}")
    client.command(f"SAVESTATE {token}")
    secret_gateway.client().bad(f"STATE {token}")
    secret_gateway.close_clients()
    assert_not_in_log(secret_gateway, token, token[:60], token[60:])


def test_p15_a_token_behind_a_failed_login_is_not_looked_at(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), *SETUP)
    client = scripted_gateway.client()
    mark = scripted_gateway.log_octets()
    client.send(f"a LOGIN ann wrong\r\nb STATE {token}\r\nc STATE garbage\r\n")
    assert [client.wait(tag).status for tag in "abc"] == [b"NO", b"BAD", b"BAD"]
    assert not re.search(r"token is|token was|restored=cold", scripted_gateway.log(since=mark))


def test_p15_no_mail_text_is_in_the_log(gateway, server):
    user = server.new_user()
    client = gateway.session(user)
    client.append("INBOX", b"Subject: Recognizable-Subject\r\n\r\nRecognizable-Body\r\n")
    client.ok("SELECT INBOX")
    assert b"Recognizable-Body" in client.ok("FETCH 1 BODY[]").of("FETCH")[0]
    client.logout()
    assert_not_in_log(gateway, "Recognizable-Subject", "Recognizable-Body")


def dumps_core(process):
    """Kills a process the way a crash does; true if the kernel has written its memory to a file or a program."""
    os.kill(process.pid, signal.SIGQUIT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    return os.WCOREDUMP(status)


@pytest.fixture
def cores_allowed(tmp_path):
    """Processes started now may dump core, as far as this machine lets them, into a folder that is removed."""
    old, folder = resource.getrlimit(resource.RLIMIT_CORE), os.getcwd()
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1 << 28, old[1]))
        os.chdir(tmp_path)
        yield
    except ValueError:
        pytest.skip("the hard limit allows no core dumps here")
    finally:
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CORE, old)


def test_p15_a_crash_leaves_no_core_dump(scripted, start_gateway, cores_allowed):
    ordinary = subprocess.Popen(("sleep", "60"))
    if not dumps_core(ordinary):
        pytest.skip("this machine writes no core dumps at all")
    gateway = start_gateway(scripted.port)
    gateway.session()
    process, gateway.process = gateway.process, None
    if os.getuid() == 0:
        # A program that the kernel pipes cores to gets them whatever the limit is (core(5)): a limit alone is not enough.
        with contextlib.suppress(PermissionError):
            resource.prlimit(process.pid, resource.RLIMIT_CORE, (1 << 28, 1 << 28))
    assert not dumps_core(process)
