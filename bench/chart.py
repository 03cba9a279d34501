"""The chart of bench/reconnect: a row for each way to do the page, a logarithmic axis of milliseconds."""

import math
import statistics
import xml.sax.saxutils

import report
import visits

WIDTH, LABEL_RIGHT, PLOT_LEFT, PLOT_RIGHT = 920, 246, 262, 700
ROW, TOP, AXIS_ROOM, HEADING_ROOM = 22, 84, 40, 32
KINDS = {"direct": "direct", "cold": "ours", "warm": "ours", "floor": "floor"}
LAYOUT = """
  text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif }
  .title { font-size: 16px; font-weight: 600 } .heading { font-weight: 600 } .faint { font-size: 12px }
  .right { text-anchor: end } .middle { text-anchor: middle }
  .span, .tick, .floor .dot { stroke-width: 2 }"""
LIGHT = {"page": "#ffffff", "ink": "#1f2328", "faint": "#656d76", "grid": "#d8dee4",
         "direct": "#57606a", "ours": "#0969da", "other": "#bc4c00", "floor": "#656d76"}
DARK = {"page": "#0d1117", "ink": "#e6edf3", "faint": "#8d96a0", "grid": "#30363d",
        "direct": "#9ea7b3", "ours": "#58a6ff", "other": "#f0883e", "floor": "#8d96a0"}


def colours(palette):
    """Without CSS variables: not every viewer has them."""
    rules = [f"text {{ fill: {palette['ink']} }} .faint {{ fill: {palette['faint']} }}",
             f".page {{ fill: {palette['page']} }} .grid {{ stroke: {palette['grid']} }}"]
    rules += [f".{kind} .span, .{kind} .tick {{ stroke: {palette[kind]} }} .{kind} .dot {{ fill: {palette[kind]} }}"
              for kind in ("direct", "ours", "other", "floor")]
    rules.append(f".floor .dot {{ fill: {palette['page']}; stroke: {palette['floor']} }}")
    return "".join(f"\n  {rule}" for rule in rules)


def style():
    return LAYOUT + colours(LIGHT) + "\n  @media (prefers-color-scheme: dark) {" + colours(DARK) + "\n  }\n"


def text(x, y, words, kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{xml.sax.saxutils.escape(words)}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


class Axis:
    """From a step of 1, 2, 5, 10, ... that no value is below to one that none is above."""

    def __init__(self, values_ms):
        steps = [step * 10.0 ** power for power in range(-4, 7) for step in (1, 2, 5)]
        first = max(at for at, step in enumerate(steps) if step <= min(values_ms))
        last = min(at for at, step in enumerate(steps) if step >= max(values_ms))
        self.ticks_ms = steps[first:last + 1]

    def x(self, ms):
        low, high = math.log10(self.ticks_ms[0]), math.log10(self.ticks_ms[-1])
        return PLOT_LEFT + (math.log10(ms) - low) / ((high - low) or 1) * (PLOT_RIGHT - PLOT_LEFT)


def rows_of(results):
    """(heading, [(name, microseconds of all visits, visits per second or None)]) of each group."""
    groups = []
    for group, title in visits.GROUPS.items():
        rows = []
        for name in results.peers(("latency", *group)):
            pages = visits.us_all(results, ("latency", *group), name)
            if pages:
                rows.append((name, pages, results.median(("rate", *group), name, visits.visits_per_s)))
        groups.append((title[0].upper() + title[1:], rows))
    links = [(name, visits.us_all(results, ("link",), name), None) for name in results.peers(("link",))]
    groups.append(("Unencrypted, a round trip of 50 ms to the client", [row for row in links if row[1]]))
    return [(title, rows) for title, rows in groups if rows]


def row_draw(axis, y, name, pages, per_s):
    p50, p90, p99 = (report.percentile(pages, share) / 1000 for share in (0.5, 0.9, 0.99))
    kind = KINDS.get(name.replace(":", "").replace(",", "").split()[0], "direct" if "direct" in name else "other")
    marks = [line(axis.x(p50), y, axis.x(p99), y, "span")]
    marks += [line(axis.x(ms), y - reach, axis.x(ms), y + reach, "tick") for ms, reach in ((p90, 3), (p99, 5))]
    marks.append(f'<circle cx="{axis.x(p50):.1f}" cy="{y:.1f}" r="5" class="dot"/>')
    words = [text(LABEL_RIGHT, y + 4, name, "right"), text(790, y + 4, f"{statistics.median(pages) / 1000:.2f} ms", "right")]
    words += [text(900, y + 4, f"{per_s:,.0f} /s", "right")] if per_s else []
    return words + [f'<g class="{kind}">', *marks, "</g>"]


def grid_draw(axis, bottom):
    marks = []
    for ms in axis.ticks_ms:
        marks.append(line(axis.x(ms), TOP - 8, axis.x(ms), bottom, "grid"))
        marks.append(text(axis.x(ms), bottom + 16, f"{ms:g}", "faint middle"))
    return marks + [text((PLOT_LEFT + PLOT_RIGHT) / 2, bottom + 33, "milliseconds, logarithmic", "faint middle")]


def draw(results):
    """The whole SVG; an empty string if nothing was measured."""
    groups = rows_of(results)
    if not groups:
        return ""
    axis = Axis([us / 1000 for _, rows in groups for _, pages, _ in rows for us in
                 (report.percentile(pages, 0.5), report.percentile(pages, 0.99))])
    marks, y = [], TOP
    for heading, rows in groups:
        marks.append(text(20, y + 12, heading, "heading"))
        y += HEADING_ROOM
        for name, pages, per_s in rows:
            marks += row_draw(axis, y, name, pages, per_s)
            y += ROW
        y += 6
    head = [text(20, 28, "A page request: connect, log in, set up or restore, SELECT, FETCH", "title"),
            text(20, 48, "Time from connect to the FETCH answer. Dot: half of the requests; ticks: 90 and 99 of 100. "
                 "Left is better.", "faint"),
            text(790, TOP - 14, "median", "faint right"), text(900, TOP - 14, "8 clients", "faint right")]
    height = y + AXIS_ROOM
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
                      f'height="{height}" role="img">', "<title>Time of a page request</title>", f"<style>{style()}</style>",
                      f'<rect width="{WIDTH}" height="{height}" class="page"/>', *grid_draw(axis, y), *head, *marks,
                      "</svg>", ""])
