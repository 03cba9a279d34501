"""tests/e2e/README.md, "What guards what": every noun of src/ has a row there, and every test that is named exists."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = (ROOT / "tests" / "e2e" / "README.md").read_text()
TABLE = re.search(r"^\| promise or part .*?\n\n", PAGE, re.M | re.S).group()
ROWS = [[cell.strip() for cell in row.strip("|").split("|")] for row in TABLE.splitlines()[2:] if row]
NOUNS = sorted({path.stem for path in (ROOT / "src").glob("*/*.[ch]")})
TESTS = sorted({name for row in ROWS for name in re.split(r"[,;] ", row[2])})


def place_of(test):
    if "/" in test:
        return ROOT / test
    if test.startswith("test_"):
        return ROOT / "tests" / "e2e" / f"{test}.py"
    return ROOT / ("fuzz" if test.startswith("fuzz-") else "tests/unit") / f"{test}.c"


def test_every_row_has_its_three_cells_and_names_a_test():
    assert len(ROWS) > 30 and not [row for row in ROWS if len(row) != 3 or not row[0] or not row[2]]


@pytest.mark.parametrize("noun", NOUNS)
def test_a_noun_has_a_row(noun):
    assert noun in " ".join(row[1] for row in ROWS).split()


def test_a_row_has_only_nouns_that_there_are():
    assert not {noun for row in ROWS for noun in row[1].split()} - set(NOUNS)


@pytest.mark.parametrize("test", TESTS)
def test_a_test_that_is_named_exists(test):
    assert place_of(test).is_file()


def test_every_end_to_end_test_guards_something():
    assert not {path.stem for path in (ROOT / "tests" / "e2e").glob("test_*.py")} - set(TESTS)
