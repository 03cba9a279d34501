"""What bench/relay has measured, as tables and verdicts in Markdown."""

import math
import statistics

KIB = 1024
STYLES = {"step": "each waits", "behind": "one write after LOGIN", "all": "LOGIN in that write too"}
BEGIN = "<!-- bench/relay writes from here -->"
END = "<!-- bench/relay writes to here -->"


def percentile(values, share):
    """The smallest value that this share of all values does not pass."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


class Results:
    """samples[kind][peer] is a list with one entry per round, None where the peer failed. kind is a tuple such as
    ("fetch", "clear"); a sample is a dictionary of what the load generator printed."""

    def __init__(self):
        self.samples = {}
        self.failures = []

    def add(self, kind, peer, sample):
        self.samples.setdefault(kind, {}).setdefault(peer, []).append(sample)

    def fail(self, kind, peer, error):
        self.add(kind, peer, None)
        self.failures.append(f"{peer}, {' '.join(kind)}: {error}")

    def peers(self, kind):
        return list(self.samples.get(kind, {}))

    def values(self, kind, peer, measure):
        return [measure(sample) for sample in self.samples.get(kind, {}).get(peer, []) if sample]

    def median(self, kind, peer, measure):
        values = self.values(kind, peer, measure)
        return statistics.median(values) if values else None

    def ratios(self, kind, peer, base, measure):
        """One ratio for each round: both were measured within the same seconds, so that what else the machine does
        counts for both."""
        both = self.samples.get(kind, {})
        return [measure(one) / measure(other) for one, other in zip(both.get(peer, []), both.get(base, []))
                if one and other and measure(other) > 0]

    def ratio(self, kind, peer, base, measure):
        ratios = self.ratios(kind, peer, base, measure)
        return statistics.median(ratios) if ratios else None

    def pages_us(self, kind, peer):
        return [page for sample in self.samples.get(kind, {}).get(peer, []) if sample for page in sample["page_us"]]

    def stalls(self, kind, peer):
        """Waits of 38 ms or more for one answer, or for the answers to one write."""
        return int(sum(self.values(kind, peer, lambda sample: sample["stalls"])))


def cpu_s_per_gb(sample):
    return sample["cpu_seconds"] / (sample["octets"] / 1e9)


def mb_per_s(sample):
    return sample["octets"] / 1e6 / sample["seconds"]


def cpu_us_per_command(sample):
    return sample["cpu_seconds"] * 1e6 / sample["commands"]


def commands_per_s(sample):
    return sample["commands"] / sample["seconds"]


def kib_per_pair(sample):
    return sample["octets"] / KIB / sample["connections"]


def show(value, form="{:.2f}"):
    return "–" if value is None else form.format(value)


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)] + \
        ["| " + " | ".join(row) + " |" for row in rows] + [""]


def cost_table(results, kind, speed, speed_head, cost, cost_head, bases, has_stalls=False):
    """A row per peer: how fast, what it costs the proxy, and the cost as ratios. Dovecot itself is no proxy."""
    bases = [base for base in bases if base in results.peers(kind)]
    rows = []
    for peer in results.peers(kind):
        row = [peer, show(results.median(kind, peer, speed), "{:,.0f}")]
        is_proxy = peer != "dovecot"
        row.append(show(results.median(kind, peer, cost)) if is_proxy else "–")
        row += [show(results.ratio(kind, peer, base, cost)) if is_proxy else "–" for base in bases]
        row += [str(results.stalls(kind, peer))] if has_stalls else []
        rows.append(row)
    stall_head = ["waits of 38 ms or more"] if has_stalls else []
    return table(["", speed_head, cost_head] + [f"× {base}" for base in bases] + stall_head, rows)


def fetch_tables(results):
    lines = []
    for way, title in (("clear", "unencrypted"), ("tls", "with TLS to the client")):
        kind = ("fetch", way)
        if results.peers(kind):
            lines += [f"### Bodies of 20 MB, {title}", ""]
            lines += cost_table(results, kind, mb_per_s, "MB/s", cpu_s_per_gb, "CPU s per GB",
                                ["haproxy", "haproxy-splice", "nginx"])
    return lines


def noop_tables(results):
    lines = []
    for depth, title in (("1", "each waits for the answer before"), ("16", "16 in a write")):
        kind = ("noop", depth)
        if results.peers(kind):
            lines += [f"### NOOP, {title}", ""]
            lines += cost_table(results, kind, commands_per_s, "per second", cpu_us_per_command, "CPU µs each",
                                ["nginx", "haproxy"], True)
    return lines


def memory_table(results):
    ways = [way for way in ("clear", "tls") if results.peers(("memory", way))]
    if not ways:
        return []
    peers = results.peers(("memory", ways[0]))
    counts = [count for way in ways for peer in peers
              for count in results.values(("memory", way), peer, lambda sample: sample["connections"])]
    rows = [[peer] + [show(results.median(("memory", way), peer, kib_per_pair), "{:.1f}") for way in ways]
            for peer in peers]
    return [f"### Idle logged-in pairs, {max(counts, default=0):,.0f} of them: resident KiB each", ""] + \
        table([""] + [{"clear": "unencrypted", "tls": "TLS to the client"}[way] for way in ways], rows)


def page_tables(results):
    lines = []
    for way, title in (("clear", "unencrypted"), ("tls", "with TLS to the client")):
        kinds = [("page", way, style) for style in STYLES if results.peers(("page", way, style))]
        if not kinds:
            continue
        rows = []
        for peer in results.peers(kinds[0]):
            row = [peer]
            for kind in kinds:
                pages = results.pages_us(kind, peer)
                row.append(f"{statistics.median(pages) / 1000:.1f} / {percentile(pages, 0.99) / 1000:.1f} / "
                           f"{results.stalls(kind, peer)} of {len(pages)}" if pages else "–")
            rows.append(row)
        lines += [f"### A page {title}: median ms / 99 of 100 within ms / stalled", ""]
        lines += table([""] + [STYLES[kind[2]] for kind in kinds], rows)
    return lines


def target(text, value, limit, detail, form="{:.2f}"):
    verdict = "not measured" if value is None else "met" if value <= limit else "NOT MET"
    return [text, form.format(limit), show(value, form), detail or "–", f"**{verdict}**"]


def ratio_target(results, text, kind, base, measure, limit):
    ratios = results.ratios(kind, "imapstated", base, measure)
    detail = "half of the rounds: {:.2f} to {:.2f}".format(*(percentile(ratios, share) for share in (0.25, 0.75))) \
        if ratios else ""
    return target(text, statistics.median(ratios) if ratios else None, limit, detail)


def memory_target(results, text, way, limit_kib):
    return target(text, results.median(("memory", way), "imapstated", kib_per_pair), limit_kib, "", "{:.1f}")


def stall_target(results):
    """A busy machine can hold up any answer; what Dovecot shows by itself is that, and no fault of a proxy."""
    kinds = [kind for kind in results.samples if kind[0] in ("page", "noop")]
    measured = any(results.values(kind, "imapstated", bool) for kind in kinds)
    ours, base = (sum(results.stalls(kind, peer) for kind in kinds) for peer in ("imapstated", "dovecot"))
    return target("NOOPs and pages: waits of 38 ms or more", ours if measured else None, base,
                  "at most what Dovecot alone shows" if measured else "", "{:.0f}")


def target_table(results):
    rows = [
        ratio_target(results, "20 MB bodies unencrypted, CPU: × HAProxy", ("fetch", "clear"), "haproxy", cpu_s_per_gb, 1.0),
        ratio_target(results, "the same: × HAProxy with splice-auto", ("fetch", "clear"), "haproxy-splice", cpu_s_per_gb,
                     1.0),
        ratio_target(results, "20 MB bodies with TLS, CPU: × HAProxy", ("fetch", "tls"), "haproxy", cpu_s_per_gb, 1.1),
        ratio_target(results, "NOOP one by one, CPU: × nginx", ("noop", "1"), "nginx", cpu_us_per_command, 1.0),
        ratio_target(results, "NOOP 16 in a write, CPU: × nginx", ("noop", "16"), "nginx", cpu_us_per_command, 1.0),
        memory_target(results, "idle pair unencrypted, KiB", "clear", 3.0),
        memory_target(results, "idle pair with TLS, KiB", "tls", 20.0),
        stall_target(results),
    ]
    return ["### Targets of imapstated", ""] + table(["target", "at most", "is", "", ""], rows)


def failure_list(results):
    if not results.failures:
        return []
    return ["### What failed", ""] + [f"- {failure}" for failure in results.failures] + [""]


def report_lines(results, facts):
    return facts + [""] + target_table(results) + fetch_tables(results) + noop_tables(results) + \
        memory_table(results) + page_tables(results) + failure_list(results)


def page_fill(text, lines, begin=BEGIN, end=END):
    """The page with what is between the marker lines replaced."""
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
        raise ValueError(f"wants exactly one line \"{begin}\" and one \"{end}\" behind it")
    head, rest = text.split(begin)
    return head + begin + "\n\n" + "\n".join(lines).strip() + "\n\n" + end + rest.split(end)[1]
