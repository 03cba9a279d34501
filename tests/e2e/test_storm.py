"""A storm on a running daemon: peers at random, in time and in state, and signals in the middle of it (harness/storm). What holds
is written there. tests/storm runs it for longer.

    STORM_SEED=7 STORM_SECONDS=600 pytest tests/e2e/test_storm.py -s
"""
import asyncio
import os
import random

import pytest

from harness.storm.world import World

SEED = int(os.environ.get("STORM_SEED") or random.SystemRandom().randrange(1 << 32))
SECONDS = float(os.environ.get("STORM_SECONDS", "20"))


@pytest.mark.timeout(SECONDS + 600)
def test_the_daemon_stands_in_a_storm(tmp_path, authority):
    print(f"STORM_SEED={SEED}")
    world = World(SEED, tmp_path, authority)
    asyncio.run(world.run(SECONDS))
    print(f"STORM_SEED={SEED}: {dict(world.counts)}")
    assert world.counts["clients"] > 10 and world.counts["commands that went up"] > 10, world.counts
