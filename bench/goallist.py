"""What bench/goals wants, and what it has found, as tables in Markdown."""

import statistics
import types

import report
import visits
from report import cpu_s_per_gb, cpu_us_per_command, kib_per_pair

BEGIN = "<!-- bench/goals writes from here -->"
END = "<!-- bench/goals writes to here -->"
NAMES = types.SimpleNamespace(
    direct="direct", direct_set_up="direct, set up", imapproxy=visits.AT_ONCE,
    warm="warm", warm_one="warm, one write",
    state="warm, STATE", state_one="warm, STATE, one write",
    notify="warm, STATE with NOTIFY", notify_one="warm, STATE with NOTIFY, one write",
    floor="floor", floor_state="floor, set up", floor_notify="floor, set up, with NOTIFY")
FLOORS = {NAMES.warm: NAMES.floor, NAMES.warm_one: NAMES.floor, NAMES.state: NAMES.floor_state,
          NAMES.state_one: NAMES.floor_state, NAMES.notify: NAMES.floor_notify, NAMES.notify_one: NAMES.floor_notify}
SERVERS = {"plain": "an imap process for each session", "kept": "imap processes are kept"}
WAITING, AT_ONCE = 1.6, 1.3
PER_S_OF_DIRECT, PER_S_OF_IMAPPROXY = 3, 1


def cpu_verdict(results, server, variant):
    """What the gateway needs for a page, to what the server needs for SELECT and FETCH, as each round has measured both."""
    both = results.samples.get(("rate", server), {})
    ratios = [visits.proxy_ms(ours) / visits.dovecot_ms(floor)
              for ours, floor in zip(both.get(variant, []), both.get(FLOORS[variant], []))
              if ours and floor and floor["dovecot_cpu_s"] > 0]
    detail = "half of the rounds: {:.2f} to {:.2f}".format(*(report.percentile(ratios, share) for share in (0.25, 0.75))) \
        if ratios else ""
    return visits.verdict(f"{variant}, CPU of the gateway: × the server's for SELECT and FETCH", "at most 1",
                          statistics.median(ratios) if ratios else None, lambda ratio: ratio <= 1, detail)


def server_goals(results, server):
    latency, rate = ("latency", server), ("rate", server)
    rows = [visits.at_most(results, f"{variant}: × floor", latency, variant, FLOORS[variant], visits.us_median,
                           AT_ONCE if "one write" in variant else WAITING) for variant in FLOORS]
    rows += [visits.at_least(results, f"{variant}, 8 clients, per second: × direct", rate, variant, base,
                             visits.visits_per_s, PER_S_OF_DIRECT)
             for variant, base in ((NAMES.warm, NAMES.direct), (NAMES.notify, NAMES.direct_set_up))]
    rows.append(visits.at_least(results, "warm, 8 clients, per second: × imapproxy", rate, NAMES.warm, NAMES.imapproxy,
                                visits.visits_per_s, PER_S_OF_IMAPPROXY))
    return rows + [cpu_verdict(results, server, variant) for variant in (NAMES.warm, NAMES.state, NAMES.notify)]


def page_us(sample):
    return statistics.median(sample["page_us"])


def relay_goals(results):
    def at_most(text, kind, base, measure, limit, peer="imapstated"):
        return visits.at_most(results, text, kind, peer, base, measure, limit)
    return [
        at_most("NOOP one by one, CPU: × nginx", ("noop", "1"), "nginx", cpu_us_per_command, 1),
        at_most("NOOP 16 in a write, CPU: × nginx", ("noop", "16"), "nginx", cpu_us_per_command, 1),
        at_most("bodies of 20 MB unencrypted, CPU: × HAProxy", ("fetch", "clear"), "haproxy", cpu_s_per_gb, 1),
        at_most("bodies of 20 MB with TLS, CPU: × HAProxy", ("fetch", "tls"), "haproxy", cpu_s_per_gb, 1.1),
        at_most("a page without parking: × HAProxy", ("page", "clear"), "haproxy", page_us, 1.1),
        at_most("idle pair, one worker, memory: × HAProxy", ("memory", "clear"), "haproxy", kib_per_pair, 1),
        at_most("idle pair, a worker for each core, memory: × HAProxy", ("memory", "clear"), "haproxy", kib_per_pair, 1,
                "imapstated-workers"),
    ]


def goal_tables(results):
    lines = []
    for server, title in SERVERS.items():
        if results.peers(("latency", server)):
            lines += [f"### Pages, {title}", ""] + \
                report.table(["goal", "wanted", "is", "", ""], server_goals(results, server))
    if results.peers(("noop", "1")) or results.peers(("memory", "clear")):
        lines += ["### Relayed, and idle", ""] + report.table(["goal", "wanted", "is", "", ""], relay_goals(results))
    return lines


def page_table(results, server, title):
    latency, rate, rows = ("latency", server), ("rate", server), []
    for variant in results.peers(latency):
        def median(measure, form="{:.2f}"):
            return report.show(results.median(rate, variant, measure), form)
        us = results.median(latency, variant, visits.us_median)
        rows.append([variant, report.show(us / 1000 if us else None), median(visits.visits_per_s, "{:,.0f}"),
                     median(visits.proxy_ms), median(visits.dovecot_ms)])
    return [f"### Measured: pages, {title}", ""] + \
        report.table(["", "p50 ms", "8 clients, per second", "CPU ms each, proxy", "CPU ms each, Dovecot"], rows)


def relay_table(results):
    rows = []
    for peer in ("haproxy", "nginx", "imapstated", "imapstated-workers"):
        def median(kind, measure, form="{:.2f}"):
            return report.show(results.median(kind, peer, measure), form)
        rows.append([peer, median(("noop", "1"), cpu_us_per_command), median(("noop", "16"), cpu_us_per_command),
                     median(("fetch", "clear"), cpu_s_per_gb), median(("fetch", "tls"), cpu_s_per_gb),
                     median(("page", "clear"), lambda sample: page_us(sample) / 1000),
                     median(("memory", "clear"), kib_per_pair)])
    return ["### Measured: relayed, and idle", ""] + \
        report.table(["", "NOOP, CPU µs", "of 16 in a write", "20 MB, CPU s per GB", "with TLS", "a page, ms",
                      "idle pair, KiB"], rows)


def report_lines(results, facts):
    lines = facts + [""] + goal_tables(results)
    for server, title in SERVERS.items():
        if results.peers(("latency", server)):
            lines += page_table(results, server, title)
    if results.peers(("noop", "1")) or results.peers(("memory", "clear")):
        lines += relay_table(results)
    return lines + report.failure_list(results)
