"""What load.c measures of a peer: bodies, NOOPs, pages, idle pairs. For bench/relay and bench/goals."""

import time

from harness import client_begin, client_end, client_run, words_parse

SETTLE_S = 2


def cpu_pids(peer):
    """Whose CPU time counts: the proxy's, not Dovecot's."""
    return [] if peer.name == "dovecot" else peer.pids()


def fetch_measure(load, peer, way, sizes):
    return client_run(load, "fetch", way, peer.ports[way], sizes["fetch"], *cpu_pids(peer))[0]


def noop_measure(load, peer, depth, sizes):
    return client_run(load, "noop", "clear", peer.ports["clear"], sizes["noop"][depth], depth, *cpu_pids(peer))[0]


def page_measure(load, peer, way, style, sizes):
    pages = client_run(load, "page", way, peer.ports[way], sizes["page"], style)
    return {"page_us": [page["page_us"] for page in pages], "stalls": sum(page["stalls"] for page in pages)}


def memory_measure(load, peer, way, sizes):
    """Of a fresh process that has served one connection, so that what it needs once is not counted per pair."""
    peer.stop()
    peer.start()
    client_run(load, "noop", way, peer.ports[way], 1, 1)
    time.sleep(SETTLE_S)
    before = peer.rss_octets()
    idle = client_begin(load, "idle", way, peer.ports[way], sizes["memory"])
    try:
        line = idle.stdout.readline()
        if line:
            time.sleep(SETTLE_S)
            after = peer.rss_octets()
    finally:
        client_end(idle)
    return {**words_parse(line), "octets": after - before}
