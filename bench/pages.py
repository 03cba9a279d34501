"""A page request, and the ways to do it: directly, through imapproxy, through imapstated cold and warm, and the floor, on
connections that the client has kept itself. For bench/reconnect and bench/goals.
"""

import dataclasses
import re
import socket
import subprocess
import time

import harness
import peers
import visits
from harness import say

CLIENTS = 8
LOG_SETTLE_S = 0.2

LOGIN = f"LOGIN USER {peers.PASSWORD}"
RESTORE = "STATE TOKEN"
QUIET_SETUP = ("CAPABILITY", 'ID ("name" "bench")', "ENABLE QRESYNC", "NAMESPACE")
SETUP = (*QUIET_SETUP,
         "NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange)) (PERSONAL (MessageNew MessageExpunge))")
WORK = ("SELECT INBOX", "FETCH 1:* (UID FLAGS ENVELOPE)")


class KeptDovecot(peers.Dovecot):
    """It keeps all its processes: the fastest that there is."""

    users = tuple(f"visitor{number}" for number in range(CLIENTS))
    big_message = None


class PageDovecot(KeptDovecot):
    """It keeps its login processes; each session has an imap process of its own, as it comes."""

    imap_service = """
  service_count = 1
  process_limit = 1000"""


class BcryptDovecot(PageDovecot):
    def passdb(self):
        words = ["pw", "-s", "BLF-CRYPT", "-r", "10", "-p", peers.PASSWORD]
        made = subprocess.run([peers.program_find("doveadm", "dovecot-core"), *words], capture_output=True, text=True,
                              check=True).stdout.strip()
        users = self.write("users", "".join(f"{user}:{made}\n" for user in self.users))
        users.chmod(0o644)
        return f"driver = passwd-file\n  args = {users}"


class SetUpImapproxy(peers.Imapproxy):
    """For clients that set their connection up: whoever gets it after them has what they have switched on."""

    name = "imapproxy-set-up"


class ColdGateway(peers.Imapstated):
    name = "imapstated-cold"
    settings = "park { per_user = 0 }"


class WarmGateway(peers.Imapstated):
    name = "imapstated-warm"
    settings = 'park { reauth_interval = "1h" }'  # how long the run takes must not matter


@dataclasses.dataclass
class Variant:
    """A way to do the same page. writes: what the client sends, each waiting for the answers to the one before; USER
    and TOKEN stand for each client's. What ends the visit is not in its latency."""

    name: str
    peer: peers.Peer
    writes: tuple
    tokens: dict
    end: str = "LOGOUT"
    kept: int = 0  # so many writes are done once, and the connection is kept
    quick_ack: bool = False

    def script(self):
        lines = []
        for user in PageDovecot.users:
            line = "\t".join([*self.writes, self.end])
            lines.append(line.replace("USER", user).replace("TOKEN", self.tokens.get(user, "")))
        return "\n".join(lines) + "\n\n"

    def arguments(self, kind, way, amount):
        return [kind, way, self.peer.address, self.peer.ports[way], amount, self.kept or "fresh"] + \
            (["quick-ack"] if self.quick_ack else [])


@dataclasses.dataclass
class Stack:
    """A Dovecot and what stands before it."""

    name: str
    dovecot: peers.Peer
    variants: list

    def ways(self, variant):
        return ("clear", "tls") if self.name == "plain" and variant.name in ("direct", "cold", "warm") else ("clear",)


def answer_read(stream, tag):
    """All lines up to the tagged one, which must be OK."""
    lines = []
    while not lines or not lines[-1].startswith(tag + " "):
        line = stream.readline()
        if not line:
            raise peers.Failure("the connection ended while a state was saved")
        lines.append(line)
    if not lines[-1].startswith(tag + " OK"):
        raise peers.Failure(f"a state cannot be saved: {lines[-1].strip()}")
    return "".join(lines)


def token_save(gateway, user, setup):
    """What a client does the first time: its set-up with tracking on, and SAVESTATE."""
    with socket.create_connection((gateway.address, gateway.ports["clear"]), 10) as conn, \
            conn.makefile("rw", newline="\r\n") as stream:
        stream.readline()
        for command in (LOGIN.replace("USER", user), "STATE", *setup, "SAVESTATE", "LOGOUT"):
            stream.write(f"a {command}\n")
            stream.flush()
            answer = answer_read(stream, "a")
            if command == "SAVESTATE":
                token = re.search(r"^\* SAVESTATE (\S+)\r$", answer, re.MULTILINE).group(1)
    return token


def tokens_save(gateway, setup=SETUP):
    return {user: token_save(gateway, user, setup) for user in gateway.dovecot.users}


def peer_start(kind, missing, stack, *arguments):
    """None, loudly, where it cannot be had."""
    try:
        peer = kind(*arguments)
        stack.append(peer)
        peer.start()
    except peers.Failure as failure:
        say(f"\n*** WITHOUT {kind.name}: {failure}\n")
        missing.append(f"{kind.name} took no part: {' '.join(str(failure).split())}")
        return None
    say(f"{peer.name}: processes {peer.pids()}, ports {peer.ports}")
    return peer


def gateways_start(folder, dovecot, certificate, missing, stack, wrap=lambda kind: kind):
    """(name, gateway, tokens) of each that could be started."""
    started = []
    for name, kind in (("cold", ColdGateway), ("warm", WarmGateway)):
        gateway = peer_start(wrap(kind), missing, stack, folder, dovecot, certificate)
        if gateway:
            started.append((name, gateway, tokens_save(gateway)))
    return started


def stack_start(name, dovecot_kind, folder, certificate, missing, stack):
    folder = folder / name
    folder.mkdir()
    dovecot = dovecot_kind(folder, certificate)
    stack.append(dovecot)
    dovecot.start()
    variants = [Variant("direct", dovecot, (LOGIN, *SETUP, *WORK), {})]
    imapproxy = peer_start(peers.Imapproxy, missing, stack, folder, dovecot, certificate)
    if imapproxy:
        variants += [Variant(visits.STALLING, imapproxy, (LOGIN, *WORK), {})] if name == "plain" else []
        variants.append(Variant(visits.AT_ONCE, imapproxy, (LOGIN, *WORK), {}, quick_ack=True))
    set_up = peer_start(SetUpImapproxy, missing, stack, folder, dovecot, certificate) if name == "plain" else None
    if set_up:
        variants.append(Variant(visits.SET_UP_AGAIN, set_up, (LOGIN, *SETUP, *WORK), {}, quick_ack=True))
    for gateway_name, gateway, tokens in gateways_start(folder, dovecot, certificate, missing, stack):
        variants.append(Variant(gateway_name, gateway, (LOGIN, RESTORE, *WORK), tokens))
        if (name, gateway_name) == ("plain", "warm"):
            variants += [Variant(visits.WARM_ONE, gateway, (";".join([LOGIN, RESTORE, *WORK]),), tokens),
                         Variant(visits.WARM_QUIET, gateway, (LOGIN, RESTORE, *WORK), tokens_save(gateway, QUIET_SETUP))]
    variants.append(Variant(visits.FLOOR, dovecot, (LOGIN, *SETUP, *WORK), {}, "UNSELECT", 1 + len(SETUP)))
    return Stack(name, dovecot, variants)


class Watch:
    """What Dovecot did meanwhile, by its log and its processes. processes is 0 only if none was started; it need not be
    all of them."""

    def __init__(self, dovecot):
        self.dovecot = dovecot
        self.log_at = dovecot.log.stat().st_size
        self.pids = set(dovecot.pids())
        self.ended = self.ended_faults()

    def ended_faults(self):
        """Page faults of children that have ended: every process has some, so one that comes and goes between two looks
        shows here, unless a known one has ended too."""
        stat = open(f"/proc/{self.dovecot.process.pid}/stat").read()
        return int(stat.rpartition(")")[2].split()[8])

    def counts(self):
        time.sleep(LOG_SETTLE_S)  # Dovecot's log passes through a process of its own
        with open(self.dovecot.log, "rb") as log:
            log.seek(self.log_at)
            logins = sum(re.search(b"imap-login: Info: (?:Login|Logged in):", line) is not None for line in log)
        now = set(self.dovecot.pids())
        unseen = self.ended_faults() != self.ended and not self.pids - now
        return {"logins": logins, "processes": len(now - self.pids) or int(unseen)}


def latency_measure(client, variant, dovecot, way, amount):
    watch = Watch(dovecot)
    pages = harness.client_run(client, *variant.arguments("latency", way, amount), text=variant.script())
    return {"us": [page["us"] for page in pages], "waits": max(page["waits"] for page in pages),
            "stalls": sum(page["stalls"] for page in pages), "visits": len(pages), **watch.counts()}


def cpu_read(variant, dovecot):
    return (0.0 if variant.peer is dovecot else variant.peer.cpu_s()), dovecot.cpu_s()


def rate_measure(client, variant, dovecot, way, amount_ms):
    """CPU clocks are read while all clients stand ready, and when the last one has ended."""
    watch = Watch(dovecot)
    process = harness.client_begin(client, *variant.arguments("rate", way, amount_ms))
    out = ""
    try:
        process.stdin.write(variant.script())
        process.stdin.flush()
        if process.stdout.readline() == "ready\n":
            before = cpu_read(variant, dovecot)
            process.stdin.close()
            process.stdin = None
            out = process.stdout.readline()
            after = cpu_read(variant, dovecot)
    finally:
        harness.client_end(process)
    return {**harness.words_parse(out), "proxy_cpu_s": after[0] - before[0], "dovecot_cpu_s": after[1] - before[1],
            **watch.counts()}
