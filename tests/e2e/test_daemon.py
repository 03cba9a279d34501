"""imapstated as a process: its options, the check of its configuration, signals, reload, privileges, its end."""
import base64
import contextlib
import grp
import os
import pathlib
import pwd
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from harness.gateway import Section, program, reload, upstream, write_keys
from harness.imap import Client
from harness.net import LOOPBACK, free_port
from harness.patience import PATIENCE_S, wait_until
from harness.tokens import restore, save


def imapstated(*arguments):
    return subprocess.run([str(program("imapstated")), *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE_S,
                          check=False, stdin=subprocess.DEVNULL)


# Options


def test_version_and_help():
    for option in ("-V", "--version"):
        done = imapstated(option)
        assert done.returncode == 0 and re.fullmatch(r"imapstated \d+\.\d+\.\d+\S*\n", done.stdout) and not done.stderr
    for option in ("-h", "--help"):
        done = imapstated(option)
        assert done.returncode == 0 and done.stdout.startswith("Usage: imapstated -c FILE [-n | -t]\n") and not done.stderr


@pytest.mark.parametrize("arguments", [(), ("-t",), ("-x",), ("-c",), ("--nonsense",), ("-c", "file", "another"), ("-n",), ("-n", "-t", "-c", "file")])
def test_wrong_options_are_answered_by_the_usage(arguments):
    done = imapstated(*arguments)
    assert done.returncode == 2 and "Usage: imapstated -c FILE" in done.stderr and not done.stdout


# Checking the configuration


class Configuration:
    """A configuration that is right, to be spoilt."""

    def __init__(self, folder, certificate):
        self.file = folder / "imapstated.conf"
        self.cert, self.key = folder / "cert.pem", folder / "key.pem"
        shutil.copy(certificate[0], self.cert)
        shutil.copy(certificate[1], self.key)
        self.keys = write_keys(folder / "keys", (1, "2020-01-01T00:00:00Z"))
        self.text = f"""workers = 1
keys_file = "{self.keys}"
listener "imaps" {{
  address = "127.0.0.1:{free_port()}"
  tls_cert_file = "{self.cert}"
  tls_key_file = "{self.key}"
}}
upstream "main" {{
  address = "127.0.0.1:143"
  tls = "none"
}}
"""

    def check(self, text=None):
        self.file.write_text(self.text if text is None else text)
        return imapstated("-t", "-c", self.file)

    def complaint(self, text=None):
        """What -t says of a configuration that is not right."""
        done = self.check(text)
        assert done.returncode == 1, done
        assert not done.stdout
        return done.stderr


@pytest.fixture
def configuration(tmp_path, certificate):
    return Configuration(tmp_path, certificate)


def test_a_configuration_that_is_right_is_passed_in_silence(configuration):
    done = configuration.check()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("line", "instead", "blamed", "says"), [
    ("workers = 1", "workers = many", 1, "workers"),
    ("workers = 1", "wrokers = 1", 1, "wrokers"),
    ("workers = 1", "workers = 1\nworkers = 2", 2, "workers"),
    ("workers = 1", "idle_timeout = \"29m\"", 1, "idle_timeout = \"29m\" is below 30m"),
    ("workers = 1", "login_timeout = 30", 1, "login_timeout"),
    ("workers = 1", "max_clients = 0", 1, "max_clients"),
    ("workers = 1", "log_level = loud", 1, "log_level"),
    ("  tls = \"none\"", "  tls = \"sometimes\"", 10, "tls"),
    ("  tls = \"none\"", "  tls = \"none\"\n  send_client_address = \"yes\"", 11, "send_client_address"),
    ("  address = \"127.0.0.1:143\"", "  # none", 8, "address"),
    ("}\n", "", 8, "not closed"),
])
def test_what_is_wrong_is_told_with_file_and_line(configuration, line, instead, blamed, says):
    assert line in configuration.text
    head, _, tail = configuration.text.rpartition(line)
    complaint = configuration.complaint(head + instead + tail)
    assert complaint.startswith(f"{configuration.file}:{blamed}: "), complaint
    assert says in complaint


def effective(configuration):
    return imapstated("-n", "-c", configuration.file)


def test_the_effective_configuration_is_printed_and_can_be_read_back(configuration):
    configuration.key.unlink()  # it is looked at, not used
    configuration.file.write_text(configuration.text)
    done = effective(configuration)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [re.split(r" +# ", line) for line in done.stdout.splitlines()]
    assert ["workers = 1", f"{configuration.file}:1"] in lines and ['login_timeout = "3m"', "default"] in lines
    assert ['  address = "127.0.0.1:143"', f"{configuration.file}:9"] in lines and ['  upstream = "main"', "default"] in lines
    configuration.file.write_text(done.stdout)
    again = effective(configuration)
    assert [re.sub(" +#.*", "", line) for line in again.stdout.splitlines()] == [line[0] for line in lines]


def test_what_is_wrong_or_hardly_meant_is_told_instead_of_printed_or_beside_it(configuration):
    configuration.file.write_text(configuration.text + "wrong = 1\n")
    done = effective(configuration)
    assert (done.returncode, done.stdout) == (1, "") and done.stderr == f"{configuration.file}:12: no such option 'wrong'\n"
    configuration.file.write_text(configuration.text.replace('"none"', '"implicit"\n  tls_verify = false'))
    done = effective(configuration)
    assert done.returncode == 0 and "tls_verify = false" in done.stdout and "warning: upstream" in done.stderr


def test_a_file_of_a_folder_adds_a_section_and_is_blamed_for_what_is_wrong_in_it(configuration):
    folder = configuration.file.parent / "conf.d"
    folder.mkdir()
    text = configuration.text + 'include "conf.d/*.conf"\n'
    assert configuration.check(text).returncode == 0  # none is there
    (folder / "10-more.conf").write_text('\nupstream "more" {\n  address = "127.0.0.1:144"\n  tls = "none"\n}\n')
    (folder / "20-none.conf~").write_text("nonsense")
    assert configuration.complaint(text) == f'{configuration.file}:3: listener "imaps": there are several upstreams: name one with upstream = "NAME"\n'
    assert configuration.check(text.replace("listener \"imaps\" {", "listener \"imaps\" {\n  upstream = \"more\"")).returncode == 0
    (folder / "20-wrong.conf").write_text('\n\nlogin_timeout = "1"\n')
    assert configuration.complaint(text).startswith(f"{folder}/20-wrong.conf:3: login_timeout")
    (folder / "20-wrong.conf").write_text('include "*.conf"\n')
    assert configuration.complaint(text) == f"{folder}/20-wrong.conf:1: {folder}/20-wrong.conf would include itself\n"


def test_a_missing_configuration_is_told(tmp_path):
    done = imapstated("-t", "-c", tmp_path / "missing")
    assert done.returncode == 1 and str(tmp_path / "missing") in done.stderr and "No such file" in done.stderr


def test_what_is_wrong_with_a_certificate_or_a_key_is_said_in_words(configuration):
    pair, certificate = configuration.key.read_bytes(), configuration.cert.read_bytes()
    for octets, says in ((b"", "the file is empty"), (certificate, "there is a certificate in it, and no private key"),
                         (pair[:-40], "what is in PEM in it is damaged")):
        configuration.key.write_bytes(octets)
        assert configuration.complaint() == f"{configuration.file}:3: tls_key_file {configuration.key}: {says}\n"
    subprocess.run(("openssl", "pkcs8", "-topk8", "-passout", "pass:secret", "-out", str(configuration.key)), input=pair, check=True)
    assert "the key is encrypted, and nobody is there to give the passphrase" in configuration.complaint()


def test_a_certificate_that_has_expired_is_told_wherever_it_is_loaded(scripted, start_gateway, configuration, authority):
    expired = authority.issue("expired", extra=("-days", "-1"))
    shutil.copy(expired[0], configuration.cert)
    shutil.copy(expired[1], configuration.key)
    warning = rf":\d+: warning: tls_cert_file {configuration.cert}: the certificate expired on 20\d\d-\d\d-\d\d\n"
    done = configuration.check()
    assert done.returncode == 0 and re.fullmatch(re.escape(str(configuration.file)) + warning, done.stderr)
    gateway = start_gateway(scripted.port, sections=[Section("listener", "old", address=f"127.0.0.1:{free_port()}", tls="implicit",
                                                             tls_cert_file=str(configuration.cert), tls_key_file=str(configuration.key))])
    logged = rf"warning: \S+:\d+: tls_cert_file {configuration.cert}: the certificate expired on "
    gateway.wait_log(logged)
    seen = gateway.log_octets()
    gateway.reload()
    gateway.wait_log(logged, since=seen)
    gateway.wait_log("reloaded: ", since=seen)


def test_certificates_are_checked_too(configuration, authority):
    stranger = authority.issue("stranger")
    configuration.key.write_bytes(pathlib.Path(stranger[1]).read_bytes())
    assert f"{configuration.file}:3: tls_key_file {configuration.key}: " in configuration.complaint()
    configuration.key.write_text("nonsense")
    assert str(configuration.key) in configuration.complaint()
    configuration.cert.unlink()
    assert f"{configuration.file}:3: tls_cert_file {configuration.cert}" in configuration.complaint()


def test_keys_are_checked_too(configuration):
    configuration.keys.write_text(configuration.keys.read_text() + "00000002 0 tooshort\n")
    assert f"{configuration.keys}:2: " in configuration.complaint()
    configuration.keys.unlink()
    assert str(configuration.keys) in configuration.complaint()


def test_warnings_are_printed_and_do_not_fail(configuration):
    configuration.keys.chmod(0o644)
    done = configuration.check()
    assert done.returncode == 0 and "warning" in done.stderr


def test_each_warning_is_a_line(configuration):
    text = configuration.text.replace(f'keys_file = "{configuration.keys}"\n', "").replace('"127.0.0.1:143"', '"192.0.2.1:143"')
    done = configuration.check("park { time = 2s lifetime = 1s }\n" + text)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        f"{configuration.file}:1: warning: park: time is longer than lifetime, at which a connection ends anyway",
        f'{configuration.file}:8: warning: upstream "main": passwords and mail go to 192.0.2.1 unencrypted',
        f"{configuration.file}: warning: no keys_file: tokens are sealed with a key that ends with this process"]


def test_warnings_are_logged_at_start(scripted, start_gateway):
    gateway = start_gateway(scripted.port, park={"time": "2s", "lifetime": "1s"})
    said = [re.sub(r"^\S+Z imapstated\[\d+\]: ", "", line) for line in gateway.log().splitlines()]
    line = 1 + gateway.config_file.read_text().splitlines().index("park {")
    assert said[:2] == [
        f"warning: {gateway.config_file}:{line}: park: time is longer than lifetime, at which a connection ends anyway",
        f"warning: {gateway.config_file}: no keys_file: tokens are sealed with a key that ends with this process"]


def test_the_check_opens_no_port_and_writes_nothing_secret(configuration):
    with socket.create_server((LOOPBACK, int(re.search(r"127\.0\.0\.1:(\d+)", configuration.text).group(1)))):
        done = configuration.check()
    assert done.returncode == 0


def test_two_daemons_do_not_share_a_port(scripted, scripted_gateway, certificate, tmp_path):
    done = imapstated("-c", scripted_gateway.config_file)
    assert done.returncode == 1
    assert f'listener "plain": 127.0.0.1:{scripted_gateway.plain_port}: Address already in use' in done.stderr
    scripted_gateway.session().ok("NOOP")


def test_two_daemons_do_not_share_a_unix_socket_but_a_dead_ones_is_taken_over(scripted, start_gateway, tmp_path):
    path = tmp_path / "imap.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    gateway = start_gateway(scripted.port, sections=[Section("listener", "unix", address=f"unix:{path}", tls="none")])
    assert path.stat().st_mode & 0o777 == 0o600
    gateway.client(str(path)).login("ann", "secret")
    done = imapstated("-c", gateway.config_file)
    assert done.returncode == 1 and "Address already in use" in done.stderr
    gateway.client(str(path)).login("ann", "secret")


def run_on_unix(folder, path):
    """What a daemon says whose only listener is to be there, and that ends by itself."""
    file = folder / "unix.conf"
    file.write_text(f'listener unix {{ address = "unix:{path}" tls = none }}\nupstream main {{ address = "127.0.0.1:1" tls = none }}\n')
    done = imapstated("-c", file)
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("what", ["file", "directory", "link to a file", "link to a dead socket", "link to nothing", "FIFO"])
def test_what_is_no_socket_stays_where_a_socket_was_to_be(tmp_path, what):
    path, other = tmp_path / "path", tmp_path / "other"
    if what.startswith("link"):
        path.symlink_to(other)
    if what == "link to a dead socket":
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(other))
    elif what == "directory":
        path.mkdir()
    elif what == "FIFO":
        os.mkfifo(path)
    elif what != "link to nothing":
        (other if path.is_symlink() else path).write_text("precious")
    before = path.lstat()
    assert f'listener "unix": unix:{path}: something other than a socket has that name' in run_on_unix(tmp_path, path)
    after = path.lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    if path.is_file():
        assert path.read_text() == "precious"


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_a_live_socket_of_whatever_type_is_not_taken_away(tmp_path, kind):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, kind) as live, contextlib.ExitStack() as waiting:
        live.bind(str(path))
        if kind != socket.SOCK_DGRAM:
            live.listen(0)
        if kind == socket.SOCK_STREAM:  # its queue is full: it does not even answer
            for _ in range(2):
                client = waiting.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    client.connect(str(path))
        before = path.lstat().st_ino
        assert f'listener "unix": unix:{path}: another program may be listening there' in run_on_unix(tmp_path, path)
        assert path.lstat().st_ino == before


# The end


def wait_ended(gateway):
    process, gateway.process = gateway.process, None
    return process.wait(PATIENCE_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_everybody_is_told_and_the_exit_code_is_zero(scripted, scripted_gateway, trust, number):
    clients = [scripted_gateway.client(), scripted_gateway.session(), scripted_gateway.session()]
    clients[2].start("IDLE")
    clients[2].continuation()
    secure = scripted_gateway.session(listener_port=scripted_gateway.tls_port, tls=trust)
    scripted_gateway.process.send_signal(number)
    for client in (*clients, secure):
        bye, = client.rest()
        assert bye.startswith(b"* BYE "), bye
        client.close()
    assert wait_ended(scripted_gateway) == 0
    assert scripted_gateway.log().count("closing: shutdown") == 4
    assert scripted_gateway.log().rstrip().endswith("info: stopped")


def test_a_command_in_flight_is_answered_first(scripted, start_gateway):
    gateway = start_gateway(scripted.port, shutdown_timeout="10m", workers=1)
    stopping, in_flight = threading.Event(), threading.Event()

    def slow(connection, tag, arguments):
        in_flight.set()
        assert stopping.wait(PATIENCE_S)
        connection.send(f"* 1 FETCH (BODY[] {{5}}\r\nhello)\r\n{tag} OK done.\r\n".encode())

    scripted.on("FETCH", slow)
    client, idle = gateway.session(), gateway.session()
    client.send(b"f FETCH 1 BODY[]\r\n")
    assert in_flight.wait(PATIENCE_S)
    gateway.process.send_signal(signal.SIGTERM)
    idle.rest()
    with pytest.raises(OSError):
        Client(gateway.plain_port)
    stopping.set()
    answer = client.wait("f")
    assert answer.untagged == [b"* 1 FETCH (BODY[] {5}\r\nhello)\r\n"] and answer.status == b"OK"
    bye, = client.rest()
    assert bye.startswith(b"* BYE ")
    client.close()
    idle.close()
    assert wait_ended(gateway) == 0


def test_a_command_that_is_never_answered_delays_the_end_only_so_long(scripted, start_gateway):
    gateway = start_gateway(scripted.port, shutdown_timeout="300ms")
    scripted.on("CHECK", lambda connection, tag, arguments: None)
    client = gateway.session()
    client.start("CHECK")
    scripted.wait_for(lambda: "CHECK" in scripted.sessions[-1].names)
    began = time.monotonic()
    gateway.process.send_signal(signal.SIGTERM)
    bye, = client.rest()
    assert bye.startswith(b"* BYE ")
    client.close()
    assert wait_ended(gateway) == 0
    assert time.monotonic() - began >= 0.29


def test_it_ends_though_nobody_hangs_up_or_answers(start_scripted, start_gateway):
    """Clients that keep their end open, an upstream that is silent, one that is still being connected to."""
    deaf = socket.create_server((LOOPBACK, 0))
    port = deaf.getsockname()[1]
    gateway = start_gateway(upstream(port, connect_timeout="30s", answer_timeout="30s"), shutdown_timeout="100ms")
    clients = [gateway.client(greet=False) for _ in range(3)]
    clients[0].send(b"a LOGIN ann secret\r\n")
    gateway.wait_log("RESOLVING -> CONNECTING")
    gateway.process.send_signal(signal.SIGTERM)
    assert wait_ended(gateway) == 0
    deaf.close()


# Reload


def certificate_of(port, trust):
    with socket.create_connection((LOOPBACK, port), PATIENCE_S) as sock, trust.wrap_socket(sock, server_hostname="localhost") as tls:
        return tls.getpeercert()["serialNumber"]


@pytest.fixture
def own_pair(tmp_path, certificate):
    """A copy of the certificate and its key, to be replaced."""
    return [pathlib.Path(shutil.copy(path, tmp_path / name)) for path, name in zip(certificate, ("cert.pem", "key.pem"))]


@pytest.fixture
def reloadable(start_gateway, scripted, own_pair, tmp_path):
    """A gateway whose own listener "own" has the pair, with a key file."""
    keys = write_keys(tmp_path / "keys", (1, "2020-01-01T00:00:00Z"))
    port = free_port()
    section = Section("listener", "own", address=f"{LOOPBACK}:{port}", tls="implicit",
                      tls_cert_file=str(own_pair[0]), tls_key_file=str(own_pair[1]))
    gateway = start_gateway(scripted.port, sections=[section], keys_file=str(keys))
    gateway.own_port, gateway.keys = port, keys
    return gateway


def test_a_reload_reads_certificates_and_leaves_sessions_alone(reloadable, authority, own_pair, trust):
    old = reloadable.session(listener_port=reloadable.own_port, tls=trust)
    before = certificate_of(reloadable.own_port, trust)
    for new, path in zip(authority.issue("renewed"), own_pair):
        path.write_bytes(pathlib.Path(new).read_bytes())
    assert certificate_of(reloadable.own_port, trust) == before
    reload(reloadable)
    wait_until(lambda: certificate_of(reloadable.own_port, trust) != before)
    old.ok("SELECT INBOX")
    old.ok("FETCH 1 BODY[]")
    old.logout()


def key_id_of(token):
    """Version and key id stand at the front of a token in clear (P14)."""
    return int.from_bytes(base64.urlsafe_b64decode(token[:8])[1:5], "big")


def test_a_reload_reads_keys_the_new_one_seals_and_the_old_one_opens(reloadable):
    old_token = save(reloadable.session(), "ENABLE X-ONE")
    assert key_id_of(old_token) == 1
    old_line = reloadable.keys.read_text()
    write_keys(reloadable.keys, (2, "2021-01-01T00:00:00Z"))
    reloadable.keys.write_text(old_line + reloadable.keys.read_text())
    running = reloadable.session()
    reload(reloadable)

    def token():
        return save(reloadable.session(), "ENABLE X-ONE")

    wait_until(lambda: key_id_of(token()) == 2)
    client = reloadable.session()
    restore(client, old_token)
    assert restore(reloadable.session(), token())
    running.ok("NOOP")


def test_an_ephemeral_key_survives_a_reload(scripted, scripted_gateway):
    token = save(scripted_gateway.session(), "ENABLE X-ONE")
    reload(scripted_gateway)
    restore(scripted_gateway.session(), token)


@pytest.mark.parametrize(("spoil", "complaint"), [
    (lambda gateway: gateway.config_file.write_text("workers = x\n" + gateway.config_file.read_text()),
     r"error: {file}:1: \S"),
    (lambda gateway: gateway.config_file.write_text(gateway.config_file.read_text() + "upstream {\n"), r"error: {file}:\d+: \S"),
    (lambda gateway: gateway.config_file.unlink(), r"error: {file}: \S"),
    (lambda gateway: gateway.keys.write_text("nonsense\n"), r"error: {keys}:1: \S"),
    (lambda gateway: gateway.keys.unlink(), r"error: {keys}: \S"),
], ids=["value", "syntax", "no file", "keys", "no keys"])
def test_a_reload_of_something_wrong_changes_nothing(reloadable, trust, spoil, complaint):
    token = save(reloadable.session(), "ENABLE X-ONE")
    before = certificate_of(reloadable.own_port, trust)
    spoil(reloadable)
    log = reload(reloadable, "reload failed; ")
    pattern = complaint.replace("{file}", re.escape(str(reloadable.config_file))).replace("{keys}", re.escape(str(reloadable.keys)))
    assert re.search(pattern, log), log
    restore(reloadable.session(), token)
    assert certificate_of(reloadable.own_port, trust) == before


def test_a_reload_of_a_certificate_that_is_wrong_changes_nothing(reloadable, own_pair, trust):
    before = certificate_of(reloadable.own_port, trust)
    own_pair[1].write_text("nonsense")
    log = reload(reloadable, "reload failed; ")
    assert re.search(rf"error: {re.escape(str(reloadable.config_file))}:\d+: .*{re.escape(str(own_pair[1]))}", log), log
    assert certificate_of(reloadable.own_port, trust) == before


@pytest.mark.parametrize(("change", "back", "warning"), [
    (lambda gateway: gateway.write_config(user="somebody"), lambda gateway: gateway.write_config(user=""), ": user"),
    (lambda gateway: gateway.write_config(group="some"), lambda gateway: gateway.write_config(group=""), ": group"),
], ids=["user", "group"])
def test_what_a_reload_goes_on_without_is_a_warning_each_time(scripted_gateway, change, back, warning):
    pattern = rf" warning: {re.escape(str(scripted_gateway.config_file))}{warning} has changed, which takes a restart\n"
    change(scripted_gateway)
    for limit in (1, 2):
        scripted_gateway.write_config(max_clients=limit)
        log = reload(scripted_gateway)
        assert len(re.findall(pattern, log)) == log.count("restart") == 1, log
    back(scripted_gateway)
    assert "restart" not in reload(scripted_gateway)
    scripted_gateway.session().ok("NOOP")


def test_a_reload_makes_room_for_more_clients(scripted, start_gateway):
    gateway = start_gateway(scripted.port, max_clients=10, prefix=("prlimit", "--nofile=100:4000"))
    soft_limit = re.compile(r"^Max open files +(\d+) ", re.M)
    limits = pathlib.Path(f"/proc/{gateway.process.pid}/limits")
    assert soft_limit.search(limits.read_text()).group(1) == "100"
    gateway.write_config(max_clients=1000)
    assert "file descriptors" not in reload(gateway)
    assert soft_limit.search(limits.read_text()).group(1) == "2064"
    gateway.write_config(max_clients=2000)
    assert "file descriptors are limited to 4000, fewer than the 4064" in reload(gateway)


def test_a_reload_changes_settings_for_new_sessions(scripted, scripted_gateway):
    kept = scripted_gateway.session()
    scripted_gateway.write_config(max_clients=1, log_level="info")
    reload(scripted_gateway)
    wait_until(lambda: scripted_gateway.client().greeting.startswith(b"* BYE "))
    seen = scripted_gateway.log_octets()
    kept.ok("NOOP")
    kept.logout()
    kept.close()
    scripted_gateway.wait_log("closing: logout", since=seen)
    assert "debug: " not in scripted_gateway.log(seen)


def test_many_reloads_under_load_drop_nobody(scripted, start_gateway):
    gateway = start_gateway(scripted.port, workers=2)
    stop, problems = threading.Event(), []

    def work():
        try:
            while not stop.is_set():
                with Client(gateway.plain_port) as client:
                    client.login("ann", "secret")
                    client.ok("SELECT INBOX")
                    client.logout()
        except BaseException as problem:  # pylint: disable=broad-except
            problems.append(repr(problem))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for thread in workers:
        thread.start()
    for _ in range(20):
        reload(gateway)
    stop.set()
    for thread in workers:
        thread.join()
    assert not problems


# Privileges


as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root has privileges to drop")


def ids_of(gateway):
    """The real, effective, saved and file system ids of user and group, and the further groups."""
    status = pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text()
    lines = {name: values.split() for name, values in re.findall(r"^(Uid|Gid|Groups|CapEff|CapPrm):(.*)$", status, re.M)}
    return lines


@as_root
@pytest.mark.parametrize("group", [None, "mail"])
def test_privileges_are_dropped_to_the_configured_user(scripted, start_gateway, group):
    account = pwd.getpwnam("nobody")
    gateway = start_gateway(scripted.port, user="nobody", **({"group": group} if group else {}))
    ids = ids_of(gateway)
    gid = account.pw_gid if not group else grp.getgrnam(group).gr_gid
    assert ids["Uid"] == [str(account.pw_uid)] * 4 and ids["Gid"] == [str(gid)] * 4
    assert "0" not in ids["Groups"]
    assert ids["CapEff"] == ids["CapPrm"] == ["0000000000000000"]
    gateway.session().ok("NOOP")
    tasks = os.listdir(f"/proc/{gateway.process.pid}/task")
    assert len(tasks) >= 2
    for task in tasks:
        assert f"Uid:\t{account.pw_uid}\t{account.pw_uid}\t" in pathlib.Path(f"/proc/{gateway.process.pid}/task/{task}/status").read_text()


@as_root
@pytest.mark.parametrize(("settings", "warnings"), [({}, 1), ({"group": "mail"}, 1), ({"user": "root"}, 1), ({"user": "nobody"}, 0)])
def test_who_stays_root_is_warned_once(scripted, start_gateway, settings, warnings):
    gateway = start_gateway(scripted.port, **settings)
    if warnings:  # nobody could not read the certificate again
        gateway.reload()
        gateway.wait_log("info: reloaded")
    assert gateway.log().count(f"warning: {gateway.config_file}: it stays root: ") == warnings


@as_root
def test_a_port_below_1024_is_opened_before(scripted, start_gateway):
    port = next(port for port in range(700, 1000) if is_free(port))
    section = Section("listener", "low", address=f"{LOOPBACK}:{port}", tls="none")
    gateway = start_gateway(scripted.port, user="nobody", sections=[section])
    gateway.client(port).login("ann", "secret")


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


@as_root
def test_a_user_that_does_not_exist_is_an_error(scripted_gateway):
    scripted_gateway.stop()
    scripted_gateway.write_config(user="no-such-user")
    done = imapstated("-c", scripted_gateway.config_file)
    assert done.returncode == 1 and 'user "no-such-user" does not exist' in done.stderr


@as_root
def test_what_only_root_may_do_is_an_error_for_others(scripted_gateway, tmp_path):
    scripted_gateway.stop()
    scripted_gateway.write_config(user="root")
    config = scripted_gateway.config_file
    for folder in (config, *config.parents[:-1]):
        folder.chmod(folder.stat().st_mode | (0o755 if folder.is_dir() else 0o644))
    text = re.sub(r'listener "(starttls|tls)" \{.*?\n\}\n', "", config.read_text(), flags=re.S)
    config.write_text(text)
    reachable = shutil.copy(program("imapstated"), config.parent)  # the source tree may be in a folder of root's own
    done = subprocess.run([reachable, "-c", str(config)], user="nobody", capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1 and 'only root can become user "root"' in done.stderr


def test_no_core_dump_and_no_debugger(scripted_gateway):
    limits = pathlib.Path(f"/proc/{scripted_gateway.process.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M)
    # The kernel gives the files of a process that cannot be dumped to root.
    assert pathlib.Path(f"/proc/{scripted_gateway.process.pid}/mem").stat().st_uid == 0


# Listening


def test_ipv6_and_several_addresses(scripted, start_gateway):
    ports = free_port(), free_port()
    section = Section("listener", "two", address=[f"[::1]:{ports[0]}", f"{LOOPBACK}:{ports[1]}"], tls="none")
    gateway = start_gateway(scripted.port, sections=[section], workers=2)
    for target in (("::1", ports[0]), (LOOPBACK, ports[1])):
        gateway.client(target).login("ann", "secret")
    gateway.wait_log(r"from=\[::1\]:\d+ user=ann")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_tls_is_refused(scripted_gateway, trust):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="alert protocol version"):
        scripted_gateway.client(scripted_gateway.tls_port, tls=old)
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
    scripted_gateway.client(scripted_gateway.tls_port, tls=old).login("ann", "secret")


def test_clients_are_spread_over_the_workers(scripted, start_gateway):
    gateway = start_gateway(scripted.port, workers=4)
    for _ in range(40):
        gateway.session()
    seen = {match[-2:] for match in re.findall(r"client=(\w+) session=\S+ from=\S+ user=ann .* login: mechanism", gateway.log())}
    assert len(seen) >= 3
    assert select.select([client.wire.sock for client in gateway.transcripts], (), (), 0)[0] == []
