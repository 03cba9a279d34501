"""The storm itself: bursts of clients and odd upstreams, signals in the middle, and between the bursts a look at what has become
of the daemon."""
import asyncio
import collections
import random
import ssl
import time
import traceback

from ..memory import is_sanitized, resident_kib
from .client import Client
from .daemon import PATIENCE_S, Daemon, listeners
from .upstream import Upstream

CLIENTS = 40
BURST_S = 5
RESIDENT_KIB_MAX = 64 * 1024  # of a build without sanitizers, which keep what is freed: each worker keeps buffers of 4 MiB
LOG_OCTETS_MAX = 16 << 20  # then the daemon is ended, and the next one begins another log


class Fault(AssertionError):
    """What the gateway did wrong, with all that is known."""


class World:
    def __init__(self, seed, folder, authority, clients=CLIENTS):
        self.seed, self.clients = seed, clients
        self.faults = []
        self.counts = collections.Counter()
        self._peers = collections.deque(maxlen=120)
        self._tokens = collections.defaultdict(list)
        self._met = collections.defaultdict(set)
        self._connections = []
        self._number = 0
        pairs = [authority.issue("localhost"), authority.issue("again")]
        self.server_context = authority.server_context(pairs[0])
        self.contexts = self._client_contexts(authority)
        dice = self.dice_for("world")
        self.upstreams = [Upstream(self, "clear", dice), Upstream(self, "begun", dice, tls="starttls"),
                          Upstream(self, "sealed", dice, tls="implicit", is_proxied=True)]
        for each, way in zip(self.upstreams, ("none", "id", "proxy-v2")):
            each.tells_address = way
        self.listeners = listeners()
        self.daemon = Daemon(folder, self.listeners, self.upstreams, pairs, authority.ca_file, self.fail)

    @staticmethod
    def _client_contexts(authority):
        contexts = []
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = authority.client_context()
            context.minimum_version = context.maximum_version = version
            contexts.append(context)
        return contexts

    def dice_for(self, name):
        return random.Random(f"{self.seed} {name}")

    # What peers tell

    def fail(self, what, peer=None):
        """peer: whose last steps tell most."""
        self.faults.append("\n  ".join([what, *(peer.wire.story if peer else ())]))

    def blame(self, error):
        """A peer of ours has failed: that is a fault of the storm."""
        self.fail("the storm itself: " + "".join(traceback.format_exception(type(error), error, error.__traceback__)))

    def enter(self, peer):
        self._peers.append(peer)
        if not isinstance(peer, Client):
            self._connections = [each for each in self._connections if not each.wire.is_closed or each.wire.began > time.monotonic() - 60]
            self._connections.append(peer)

    def meet(self, connection):
        """A client's command has come by this connection."""
        self._met[connection.met].add(connection)
        self.counts["commands that went up"] += 1

    def is_upstream_pure(self, client):
        """Has nothing come from upstream that no server may say? What comes while it logs in is of nobody's command."""
        if not all(each.wire.is_pure for each in self._met[client.number]):
            return False
        return all(each.wire.is_pure for each in self._connections if each.user in client.users and each.met != client.number)

    def keep_token(self, users, token):
        if len(users) == 1:
            self._tokens[min(users)] = self._tokens[min(users)][-20:] + [token]

    def some_token(self, users, dice):
        known = self._tokens[dice.choice(sorted(users))] if users else []
        return dice.choice(known) if known else None

    # Bursts

    async def run(self, seconds):
        """Until time is over, and then to the end of the burst."""
        deadline = time.monotonic() + seconds
        for each in self.upstreams:
            each.start()
        try:
            burst = 0
            while not self.faults and (burst == 0 or time.monotonic() < deadline):
                burst += 1
                self.counts["bursts"] = burst
                await self._burst(burst, min(deadline, time.monotonic() + BURST_S))
            if not self.faults and self.daemon.process.poll() is None:
                await self.daemon.stop()
        finally:
            self.daemon.kill()
            for each in self.upstreams:
                await each.stop()
        if self.faults:
            raise Fault(self._report())

    async def _burst(self, number, deadline):
        """Each is drawn from its number, and so are its clients: what one is does not hang on how long the one before took."""
        dice = self.dice_for(f"burst {number}")
        self._number = number * 100000
        if self.daemon.process is None or self.daemon.process.poll() is not None:
            for each in self.listeners:
                each.upstream = dice.choice(self.upstreams)
            await self.daemon.start(dice.choice((1, 1, 2, 4)))
            self._at_rest = self.daemon.descriptors()
        for each in self.upstreams:
            each.wildness = dice.choice((0.0, 0.1, 0.3, 0.9))
        ending = asyncio.Event()
        self.daemon.write_wild(dice)
        self.daemon.reload()
        clients = [asyncio.create_task(self._clients(ending)) for _ in range(self.clients)]
        ends_by_signal = dice.random() < 0.4 or self.daemon.log_file.stat().st_size > LOG_OCTETS_MAX
        await self._disturb(dice, deadline)
        if not self.faults and ends_by_signal:
            self.counts["SIGTERM"] += 1
            await self.daemon.stop()
        ending.set()
        await self._gather(clients)
        self._met.clear()
        if not self.faults and not ends_by_signal:
            await self._calm()

    @staticmethod
    async def _gather(tasks):
        """Those that are not done soon vanish, all at once."""
        await asyncio.wait(tasks, timeout=2)
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _clients(self, ending):
        while not ending.is_set() and not self.faults:
            self._number += 1
            dice = self.dice_for(f"client {self._number}")
            client = Client(self, self._number, dice, dice.choice(self.listeners))
            self.counts["clients"] += 1
            try:
                await client.walk()
            except Exception as error:  # pylint: disable=broad-except
                self.blame(error)
            if client.was_refused():
                await asyncio.sleep(0.1)

    async def _disturb(self, dice, deadline):
        """Signals and restarts, until the burst's time is over."""
        while time.monotonic() < deadline and not self.faults:
            await asyncio.sleep(dice.choice((0.05, 0.3, 0.7)))
            self.daemon.watch()
            chance = dice.random()
            if chance < 0.15:
                self.counts["SIGHUP"] += 1
                self.daemon.write_wild(dice)
                self.daemon.reload()
            elif chance < 0.18:
                self.daemon.spoil()
                self.daemon.reload()
            elif chance < 0.22:
                dice.choice(self.upstreams).drop_all()

    # Between bursts

    async def _calm(self):
        """Everybody behaves: each listener serves, and once nobody is there, nothing is held."""
        for each in self.upstreams:
            each.wildness = 0.0
        self.daemon.write_calm()
        await self.daemon.reloaded()
        for each in self.listeners:
            await self._assert_serves(each)
        for each in self.upstreams:
            each.drop_all()
        await self._assert_at_rest()

    async def _assert_serves(self, listener):
        """In time, whatever the first to come have to hear."""
        began, number = time.monotonic(), 0
        while not self.faults:
            number += 1
            is_served = await Guest(self, f"{listener.name} {number}", listener).is_served()
            self.daemon.watch()
            if time.monotonic() > began + PATIENCE_S:
                self.fail(f"nobody was served at {listener.name} for {time.monotonic() - began:.0f} s")
            if is_served:
                return
            await asyncio.sleep(0.1)

    async def _assert_at_rest(self):
        deadline = time.monotonic() + PATIENCE_S
        while not self.faults and (held := self.daemon.descriptors()) > self._at_rest:
            self.daemon.watch()
            if time.monotonic() > deadline:
                self.fail(f"{held} descriptors are held when nobody is there, not {self._at_rest}")
            await asyncio.sleep(0.1)
        self.counts["KiB at rest"] = max(self.counts["KiB at rest"], held_kib := resident_kib(self.daemon))
        if not is_sanitized() and held_kib > RESIDENT_KIB_MAX:
            self.fail(f"{held_kib} KiB are held when nobody is there")

    def _report(self):
        lines = [f"STORM_SEED={self.seed}, {dict(self.counts)}", "again: tests/storm --seed " + str(self.seed), *self.faults[:5]]
        for peer in list(self._peers)[-60:]:
            if peer.wire and (not peer.wire.is_closed or peer.wire.began > time.monotonic() - 20):
                lines += ["", f"-- {peer.name}", *list(peer.wire.story)[-25:]]
        lines += ["", "-- the daemon's log", *self.daemon.log().splitlines()[-120:]]
        return "\n".join(lines)


class Guest(Client):
    """A client that does everything right."""

    def __init__(self, world, name, listener):
        super().__init__(world, 0, random.Random(0), listener)
        self.name = f"guest at {name}"

    async def is_served(self):
        try:
            await self._connect_calmly()
            return await self._visit()
        except Exception as error:  # pylint: disable=broad-except
            if self.wire:
                self.wire.tell(repr(error))
            return False
        finally:
            if self.wire:
                self.wire.close()

    async def _connect_calmly(self):
        await self._connect()
        self.wire.wildness = 0.0
        if self.listener.is_proxied:
            await self.wire.send(b"PROXY TCP4 192.0.2.1 192.0.2.1 4711 143\r\n")
        if self.listener.tls == "implicit":
            await self.wire.handshake(self.world.contexts[1])
        await self.wire.wait(lambda: self.heard, PATIENCE_S)
        if self.listener.tls == "starttls":
            tag = self.next_tag()
            self._turning[tag] = self._turn_tls
            await self.wire.send(tag.encode() + b" STARTTLS\r\n")
            await self.wire.wait(lambda: self.wire.handshaking, PATIENCE_S)
            await self.wire.handshake(self.world.contexts[1])

    async def _visit(self):
        self.users.add("ann")
        for command in (b"LOGIN ann secret", b"SELECT INBOX", b"FETCH 1 BODY[]", b"LOGOUT"):
            if not await self._wait(await self._start(command), PATIENCE_S):
                return False
        return True
