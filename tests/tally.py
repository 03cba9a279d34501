"""Reads what a test runner has recorded: one line a test where the runner showed none, and the counts for the total.

    tally.py meson LABEL TESTLOG.json COUNTS     also shows each cmocka test as a line
    tally.py pytest LABEL JUNIT.xml COUNTS
    tally.py total COUNTS                        the last line of ./check; fails unless something ran and nothing failed

COUNTS is a file of lines "LABEL PASSED FAILED SKIPPED"."""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree

_CMOCKA = re.compile(r"^\[ *(OK|FAILED|SKIPPED) *\] (\w+)$", re.MULTILINE)
_OUTCOMES = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}


def count_meson(label, path):
    """A cmocka program counts as its tests, any other as one; one that crashes adds a failure."""
    counts = dict.fromkeys(_OUTCOMES.values(), 0)
    for line in pathlib.Path(path).read_text().splitlines():
        program = json.loads(line)
        outcomes = dict((name, _OUTCOMES[mark]) for mark, name in _CMOCKA.findall(program.get("stdout", "")))
        if program["result"] not in ("OK", "EXPECTEDFAIL", "SKIP") and "failed" not in outcomes.values():
            outcomes[f"({program['result'].lower()})"] = "failed"
        if not outcomes:
            outcomes[""] = "skipped" if program["result"] == "SKIP" else "passed"
        for name, outcome in outcomes.items():
            print(f"{label} {program['name'].split('/')[-1].strip()} {name}".rstrip(), outcome.upper())
            counts[outcome] += 1
    return counts


def count_pytest(path):
    counts = dict.fromkeys(_OUTCOMES.values(), 0)
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        counts[outcome] += 1
    return counts


def total(path):
    rows = [line.rsplit(" ", 3) for line in path.read_text().splitlines()] if path.exists() else []
    for label, *numbers in rows:
        print("  {:40}{:>6} passed {:>4} failed {:>4} skipped".format(label, *numbers))
    passed, failed, skipped = (sum(int(row[column]) for row in rows) for column in (1, 2, 3))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return passed > 0 and failed == 0


def main(kind, *arguments):
    if kind == "total":
        return 0 if total(pathlib.Path(arguments[0])) else 1
    label, record, counts_path = arguments
    counts = count_meson(label, record) if kind == "meson" else count_pytest(record)
    with open(counts_path, "a", encoding="utf-8") as counts_file:
        print(label, *counts.values(), file=counts_file)
    if not counts["passed"] + counts["failed"]:
        print(f"{label}: no test has run", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
