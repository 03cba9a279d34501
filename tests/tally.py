"""Reads what a test runner has recorded: one line a test where the runner showed none, and the counts for the total.

    tally.py meson LABEL TESTLOG.json COUNTS     also shows each cmocka test as a line
    tally.py pytest LABEL JUNIT.xml COUNTS
    tally.py total COUNTS                        the last lines of ./check: what failed, once more, as it may stand far above,
                                                 and the counts; fails unless something ran and nothing failed

COUNTS is a file of lines "LABEL PASSED FAILED SKIPPED"; beside it is COUNTS.failed, what failed and why."""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree

_CMOCKA = re.compile(r"^\[ *(OK|FAILED|SKIPPED) *\] (\w+)$", re.MULTILINE)
_OUTCOMES = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}


_REASON_LINES = 12


def why(text):
    """The end of what pytest has recorded: the assertion and where it stands."""
    return [line.rstrip() for line in text.splitlines() if line.strip()][-_REASON_LINES:]


def count_meson(label, path, failures):
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
            if outcome == "failed":
                failures.append(f"{label} {program['name'].split('/')[-1].strip()} {name}".rstrip())
    return counts


def count_pytest(label, path, failures):
    counts = dict.fromkeys(_OUTCOMES.values(), 0)
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        counts[outcome] += 1
        if outcome == "failed":
            failures.append(f"{label} {case.get('classname')}::{case.get('name')}")
            for child in case:
                if child.tag in ("failure", "error"):
                    failures.extend("    " + line for line in why(child.text or child.get("message", "")))
    return counts


def failures_beside(counts_path):
    return counts_path.with_name(counts_path.name + ".failed")


def total(path):
    failures = failures_beside(path)
    if failures.exists() and failures.stat().st_size:
        print("Failed:", failures.read_text(), sep="\n")
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
    failures = []
    counts = (count_meson if kind == "meson" else count_pytest)(label, record, failures)
    with open(failures_beside(pathlib.Path(counts_path)), "a", encoding="utf-8") as failures_file:
        failures_file.writelines(line + "\n" for line in failures)
    with open(counts_path, "a", encoding="utf-8") as counts_file:
        print(label, *counts.values(), file=counts_file)
    if not counts["passed"] + counts["failed"]:
        print(f"{label}: no test has run", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
