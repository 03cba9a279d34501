"""What ./run starts, shows and ends. The servers belong to one background process, the keeper, whose process id stands in
.run/keeper.pid; it ends them in order when it is told to, or when one of them has ended by itself."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TREE = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TREE / "tests" / "e2e"))

import mailbox  # noqa: E402
import show  # noqa: E402
from harness import net  # noqa: E402
from harness.dovecot import Dovecot  # noqa: E402
from harness.dovecotconf import namespaces  # noqa: E402
from harness.gateway import Section, program, render  # noqa: E402

RUN = TREE / ".run"
PID_FILE = RUN / "keeper.pid"
STARTTLS_PORT, TLS_PORT, HTTP_PORT = 1143, 1993, 9143
USER = PASSWORD = "demo"


class DemoDovecot(Dovecot):
    """The tests' private Dovecot, with one user and that user's mail."""

    def _prepare(self, certificate, key):
        self.users = {USER: PASSWORD}
        super()._prepare(certificate, key)
        maildir = self.folder / "home" / USER / "Maildir"
        for folder, flags, time_s, octets in mailbox.messages():
            name = f"{time_s}.demo"
            self.add_message(USER, octets, folder, name)
            at = maildir if folder == "INBOX" else maildir / f".{folder}"
            (at / "new" / name).rename(at / "cur" / f"{name}:2,{flags}")
            os.utime(at / "cur" / f"{name}:2,{flags}", (time_s, time_s))
        (maildir / "subscriptions").write_text("".join(f"{folder}\n" for folder in mailbox.FOLDERS))


def main(arguments):
    if arguments == ["--stop"]:
        return stop()
    if keeper_pid():
        print("It is already up: restarting.")
        if status := stop():
            return status
    for port in (STARTTLS_PORT, TLS_PORT, HTTP_PORT):
        if not is_free(port):
            return fail(f"127.0.0.1:{port} is in use by another program")
    RUN.mkdir(exist_ok=True)
    keeper = start_keeper()
    if keeper is None:
        return 1
    try:
        show.main(TLS_PORT, RUN / "ca.pem", USER, PASSWORD, RUN / "imapstated.log")
    except BaseException:
        stop()
        raise
    print(f"\nUp: 127.0.0.1:{STARTTLS_PORT} (STARTTLS), 127.0.0.1:{TLS_PORT} (TLS), user {USER}, password {PASSWORD}; "
          f"CA {relative(RUN / 'ca.pem')}, log {relative(RUN / 'imapstated.log')}\n"
          f"Status page: http://127.0.0.1:{HTTP_PORT}/")
    if arguments == ["--detach"]:
        print("To stop it: ./run --stop")
        return 0
    print("To stop it: Ctrl-C", flush=True)
    return wait_for_interrupt(keeper)


def wait_for_interrupt(keeper):
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, lambda *_: stop())
    _, status = os.waitpid(keeper, 0)
    return os.waitstatus_to_exitcode(status)


def stop():
    keeper = keeper_pid()
    if not keeper:
        print("not running")
        return 0
    os.kill(keeper, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while keeper_pid() == keeper:
        if time.monotonic() > deadline:
            return fail(f"process {keeper} does not exit")
        time.sleep(0.05)
    print("stopped")
    return 0


def keeper_pid():
    """Of the one that runs, or None. The number alone could be another process's by now."""
    try:
        pid = int(PID_FILE.read_text())
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        return None
    is_ours = any(word.endswith(b"demo/demo.py") for word in command)
    return pid if is_ours and state != "Z" and PID_FILE.exists() else None


def start_keeper():
    """Gives its process id once the servers are up; None, after a message, if they cannot be started."""
    reading, writing = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        os.close(reading)
        os.setsid()  # the terminal's Ctrl-C is for the foreground process, which passes it on in order
        status = 1
        try:
            status = keep(writing)
        except Exception as error:  # pylint: disable=broad-except # whatever it is, the one who waits has to be told
            write_quietly(writing, str(error))
        finally:
            os._exit(status)
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            answer = pipe.readline()
            if answer == "up\n":
                return keeper
            print(answer + pipe.read(), file=sys.stderr)
    except KeyboardInterrupt:
        os.kill(keeper, signal.SIGTERM)
    os.waitpid(keeper, 0)
    return None


def keep(writing):
    """The keeper: starts, waits, ends. Its own output goes to a file, as the terminal may be gone."""
    os.dup2(os.open(RUN / "keeper.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 2)
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    ends = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # Short and outside the tree: mail processes must be able to reach it, whoever owns the tree.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="imapstate-demo-"))
    dovecot = gateway = None
    try:
        authority = net.Authority(RUN)
        dovecot = DemoDovecot(folder, authority, namespaces())
        gateway = start_gateway(authority.issue("localhost"), dovecot.plain_port)
        PID_FILE.write_text(f"{os.getpid()}\n")
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        write_quietly(writing, "up\n")
        os.close(writing)
        while gateway.poll() is None and dovecot.is_alive():
            if signal.sigtimedwait(ends, 0.5):
                return 0
        print("a server has exited by itself", file=sys.stderr)
        return 1
    finally:
        if gateway and gateway.poll() is None:
            gateway.terminate()
            gateway.wait(15)
        if dovecot:
            dovecot.stop()
        if (folder / "dovecot.log").exists():
            shutil.copy(folder / "dovecot.log", RUN / "dovecot.log")
        shutil.rmtree(folder, ignore_errors=True)
        PID_FILE.unlink(missing_ok=True)


def start_gateway(pair, upstream_port):
    keys, config, log = RUN / "keys", RUN / "imapstated.conf", RUN / "imapstated.log"
    keys.unlink(missing_ok=True)
    subprocess.run((program("imapstatectl"), "keys", "new", keys), check=True)
    tls = {"tls_cert_file": pair[0], "tls_key_file": pair[1]}
    config.write_text(render((
        Section("listener", "imap", address=f"127.0.0.1:{STARTTLS_PORT}", tls="starttls", **tls),
        Section("listener", "imaps", address=f"127.0.0.1:{TLS_PORT}", tls="implicit", **tls),
        Section("upstream", "dovecot", address=f"127.0.0.1:{upstream_port}", tls="none", send_client_address="id"),
    ), {"keys_file": keys, "log_level": "debug", "http": {"address": f"127.0.0.1:{HTTP_PORT}"}}))
    with open(log, "wb") as out:
        gateway = subprocess.Popen((program("imapstated"), "-c", config), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        for port in (STARTTLS_PORT, TLS_PORT, HTTP_PORT):
            net.wait_for_port(port, lambda: gateway.poll() is None)
    except RuntimeError as error:
        if gateway.poll() is None:
            gateway.kill()
        raise RuntimeError(f"imapstated: {error}\n{log.read_text()}") from None
    return gateway


def write_quietly(descriptor, text):
    try:
        os.write(descriptor, text.encode())
    except OSError:
        pass


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def relative(path):
    return os.path.relpath(path)


def fail(text):
    print(f"./run: {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(fail("interrupted"))
