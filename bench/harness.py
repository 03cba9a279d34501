"""What bench/relay and bench/reconnect have in common: they compile a client, start and stop peers, tell of progress."""

import argparse
import pathlib
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import peers

BENCH = pathlib.Path(__file__).resolve().parent
PAGE = BENCH.parent / "docs" / "performance.md"
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CLIENT_LIMIT_S = 200  # the client ends itself before
BEGAN_S = time.monotonic()


def say(text):
    print(f"{time.monotonic() - BEGAN_S:6.1f} s  {text}", file=sys.stderr, flush=True)


def client_build(folder, name):
    program = folder / name
    try:
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", program, BENCH / f"{name}.c", BENCH / "conn.c", "-lssl",
                        "-lcrypto"], check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        raise peers.Failure(f"cannot compile bench/{name}.c: apt-get install gcc libc6-dev libssl-dev") from None
    return program


def words_parse(line):
    """NAME=VALUE words: a number where the value is one."""
    sample = dict(word.split("=", 1) for word in line.split())
    return {name: value if name == "cipher" else float(value) for name, value in sample.items()}


def client_begin(program, *arguments):
    return subprocess.Popen([program, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, preexec_fn=peers.child_begin)


def client_end(process, text=None):
    """Everything that the client printed; text is what it reads."""
    try:
        out, errors = process.communicate(text, timeout=CLIENT_LIMIT_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        raise peers.Failure("; ".join(dict.fromkeys(errors.splitlines())) or f"the client ended with {process.returncode}")
    return out


def client_run(program, *arguments, text=None):
    return [words_parse(line) for line in client_end(client_begin(program, *arguments), text).splitlines()]


def measure_one(results, kind, name, function, *arguments):
    try:
        results.add(kind, name, function(*arguments))
    except (peers.Failure, OSError) as error:
        reason = " ".join(str(error).split())
        say(f"FAILED: {name}, {' '.join(kind)}: {reason}")
        results.fail(kind, name, reason)


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def machine_line(sizes):
    cores = pathlib.Path("/proc/cpuinfo").read_text().count("processor\t")
    command = shlex.join([f"bench/{pathlib.Path(sys.argv[0]).name}", *sys.argv[1:]])
    return (f"Made by `{command}` on {time.strftime('%Y-%m-%d', time.gmtime())}, {cores} cores of {cpu_name()}, "
            f"Linux {platform.release()}. Rounds: {sizes['rounds']}.")


def list_of(allowed):
    def parse(text):
        words = text.split(",")
        for word in words:
            if word not in allowed:
                raise argparse.ArgumentTypeError(f"\"{word}\" is none of {', '.join(allowed)}")
        return words
    return parse


def count(text):
    number = int(text)
    if not 1 <= number <= 100:
        raise argparse.ArgumentTypeError("wants 1 to 100")
    return number


def stop_all(stack, folder):
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
    for peer in reversed(stack):
        peer.stop()
    shutil.rmtree(folder, ignore_errors=True)


def interrupt(_signal, _frame):
    raise KeyboardInterrupt


def run_in_folder(run):
    """Calls run(folder, stack); at the end, however it comes, all that it put on the stack is stopped. Gives the exit
    status."""
    for number in STOPS:
        signal.signal(number, interrupt)  # SIGINT too: it may have been ignored when we were started
    folder = pathlib.Path(tempfile.mkdtemp(prefix="imapstate-bench-"))
    folder.chmod(0o755)
    stack = []
    try:
        return run(folder, stack)
    except peers.Failure as failure:
        say(f"{pathlib.Path(sys.argv[0]).name}: {failure}")
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    finally:
        stop_all(stack, folder)
