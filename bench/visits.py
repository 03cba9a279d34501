"""What bench/reconnect has measured, as tables and verdicts in Markdown."""

import statistics

import report

BEGIN = "<!-- bench/reconnect writes from here -->"
END = "<!-- bench/reconnect writes to here -->"
GROUPS = {
    ("plain", "clear"): "unencrypted",
    ("plain", "tls"): "with TLS to the client",
    ("kept", "clear"): "unencrypted, Dovecot keeps its imap processes too",
    ("bcrypt", "clear"): "unencrypted, Dovecot checks bcrypt passwords of cost 10",
}
WARM_ONE, WARM_EACH, WARM_QUIET = "warm, all in one write", "warm, each waits", "warm, no NOTIFY in the token"
STALLING, AT_ONCE = "imapproxy", "imapproxy, acknowledged at once"
SET_UP_AGAIN = "imapproxy, at once, set up again"
DIRECT_EACH = "directly, each waits"
FLOOR = "floor: kept connections"


def us_median(sample):
    return statistics.median(sample["us"])


def visits_per_s(sample):
    return sample["visits"] / sample["seconds"]


def proxy_ms(sample):
    return sample["proxy_cpu_s"] * 1000 / sample["visits"]


def dovecot_ms(sample):
    return sample["dovecot_cpu_s"] * 1000 / sample["visits"]


def both_ms(sample):
    return proxy_ms(sample) + dovecot_ms(sample)


def visits_per_cpu_s(sample):
    return 1000 / both_ms(sample)


def us_all(results, kind, variant):
    return [us for sample in results.samples.get(kind, {}).get(variant, []) if sample for us in sample["us"]]


def total(results, variant, what):
    """Over all that this variant did, latency and rate, all groups. None if it did nothing."""
    samples = [sample for kind, by_variant in results.samples.items() if kind[0] in ("latency", "rate")
               for sample in by_variant.get(variant, []) if sample]
    return int(sum(sample[what] for sample in samples)) if samples else None


def latency_table(results, group):
    kind = ("latency", *group)
    rows = []
    for variant in results.peers(kind):
        pages = us_all(results, kind, variant)
        times = [report.show(report.percentile(pages, share) / 1000 if pages else None) for share in (0.5, 0.9, 0.99)]
        rows.append([variant, *times, report.show(results.ratio(kind, variant, "direct", us_median)),
                     report.show(results.ratio(kind, variant, FLOOR, us_median)),
                     f"{results.stalls(kind, variant)} in {len(pages)}"])
    return [f"### Connect to FETCH answer, {GROUPS[group]}", ""] + \
        report.table(["", "p50 ms", "p90 ms", "p99 ms", "× direct", "× floor", "waits of 38 ms or more, in visits"], rows)


def rate_table(results, group):
    kind = ("rate", *group)
    rows = []
    for variant in results.peers(kind):
        def median(measure, form="{:.2f}"):
            return report.show(results.median(kind, variant, measure), form)
        visits = sum(results.values(kind, variant, lambda sample: sample["visits"]))
        logins = sum(results.values(kind, variant, lambda sample: sample["logins"]))
        rows.append([variant, median(visits_per_s, "{:,.0f}"),
                     report.show(results.ratio(kind, variant, "direct", visits_per_s)),
                     report.show(results.ratio(kind, variant, FLOOR, visits_per_s)),
                     median(proxy_ms), median(dovecot_ms),
                     report.show(results.ratio(kind, variant, "direct", both_ms)), median(visits_per_cpu_s, "{:,.0f}"),
                     report.show(logins / visits if visits else None)])
    return [f"### Requests of 8 clients at once, {GROUPS[group]}", ""] + \
        report.table(["", "per second", "× direct", "× floor", "CPU ms each, proxy", "CPU ms each, Dovecot", "CPU × direct",
                      "per CPU second", "logins upstream, each"], rows)


def link_table(results, round_trip_ms):
    kind = ("link",)
    rows = []
    for variant in results.peers(kind):
        pages = us_all(results, kind, variant)
        ms = statistics.median(pages) / 1000 if pages else None
        rows.append([variant, report.show(results.median(kind, variant, waits), "{:.0f}"), report.show(ms, "{:.0f}"),
                     report.show(ms / round_trip_ms if pages else None, "{:.2f}"), str(len(pages))])
    if not rows:
        return []
    return [f"### A link with a round trip of {round_trip_ms:.1f} ms between client and server", ""] + \
        report.table(["", "waits counted", "ms to the FETCH answer", "÷ round trip", "visits"], rows)


def waits(sample):
    return sample["waits"]


def verdict(text, goal, value, is_met, detail="", form="{:.2f}"):
    word = "not measured" if value is None else "met" if is_met(value) else "NOT MET"
    return [text, goal, report.show(value, form), detail or "–", f"**{word}**"]


def at_most(results, text, kind, variant, base, measure, limit):
    return ratio_verdict(results, text, kind, variant, base, measure, f"at most {limit:g}",
                         lambda ratio: ratio <= limit)


def at_least(results, text, kind, variant, base, measure, limit):
    return ratio_verdict(results, text, kind, variant, base, measure, f"at least {limit:g}",
                         lambda ratio: ratio >= limit)


def ratio_verdict(results, text, kind, variant, base, measure, goal, is_met):
    ratios = results.ratios(kind, variant, base, measure)
    detail = "half of the rounds: {:.2f} to {:.2f}".format(*(report.percentile(ratios, share) for share in (0.25, 0.75))) \
        if ratios else ""
    return verdict(text, goal, statistics.median(ratios) if ratios else None, is_met, detail)


def none_verdict(results, text, what):
    """Of all warm visits together."""
    visits = total(results, "warm", "visits")
    return verdict(text, "none", total(results, "warm", what), lambda value: value == 0,
                   f"in {visits:,} visits" if visits else "", "{:.0f}")


def trips_verdict(results, text, variant, goal, round_trip_ms, is_met):
    """is_met(counted, clocked): what the client counted, and the time in round trips. An answer that came in two flights,
    or late, shows in the time alone."""
    pages = us_all(results, ("link",), variant)
    if not pages:
        return verdict(text, goal, None, None)
    clocked = statistics.median(pages) / 1000 / round_trip_ms
    return verdict(text, goal, results.median(("link",), variant, waits), lambda counted: is_met(counted, clocked),
                   f"{clocked:.2f} by the clock", "{:.0f}")


def is_exactly(trips):
    return lambda counted, clocked: counted == trips and clocked < trips + 0.5


def target_table(results, round_trip_ms):
    plain, bcrypt, rate = ("latency", "plain", "clear"), ("latency", "bcrypt", "clear"), ("rate", "plain", "clear")
    rows = [
        at_most(results, "warm, p50: × direct", plain, "warm", "direct", us_median, 0.4),
        at_most(results, "warm with bcrypt, p50: × direct", bcrypt, "warm", "direct", us_median, 0.05),
        at_most(results, "warm, p50: × imapproxy acknowledged at once", plain, "warm", AT_ONCE, us_median, 0.8),
        at_most(results, "the same, LOGIN to FETCH in one write", plain, WARM_ONE, AT_ONCE, us_median, 0.8),
        at_most(results, "the same, no NOTIFY in the token", plain, WARM_QUIET, AT_ONCE, us_median, 0.8),
        at_most(results, "warm, p50: × imapproxy, set up again", plain, "warm", SET_UP_AGAIN, us_median, 0.8),
        at_least(results, "warm, 8 clients, per second: × direct", rate, "warm", "direct", visits_per_s, 2),
        at_least(results, "the same, to strive for", rate, "warm", "direct", visits_per_s, 3),
        none_verdict(results, "logins at Dovecot by warm visits", "logins"),
        none_verdict(results, "processes started at Dovecot by warm visits", "processes"),
        trips_verdict(results, "round trips, warm, all in one write", WARM_ONE, "3", round_trip_ms, is_exactly(3)),
        trips_verdict(results, "round trips, warm, each waits", WARM_EACH, "6", round_trip_ms, is_exactly(6)),
        trips_verdict(results, "round trips, directly", DIRECT_EACH, "10 or more", round_trip_ms,
                      lambda counted, _: counted >= 10),
    ]
    return ["### Targets of parked connections", ""] + report.table(["target", "wanted", "is", "", ""], rows)


def report_lines(results, facts, round_trip_ms):
    lines = facts + [""] + target_table(results, round_trip_ms)
    for table in (latency_table, rate_table):
        for group in GROUPS:
            if results.peers((table.__name__.split("_")[0], *group)):
                lines += table(results, group)
    return lines + link_table(results, round_trip_ms) + report.failure_list(results)
