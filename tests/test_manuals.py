"""The manual pages: mdoc without a fault; imapstated.conf(5) is made by the build, of the schema and of the words in
docs/configuration.md."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("IMAPSTATE_BUILD", ROOT / "build"))
CONF = BUILD / "docs" / "imapstated.conf.5"
OUTLINE = BUILD / "docs" / "outline.txt"
WORDS = ROOT / "docs" / "configuration.md"


def mandoc(*arguments):
    return subprocess.run(["mandoc", *arguments], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("page", [ROOT / "docs" / "imapstated.8", ROOT / "docs" / "imapstatectl.1", CONF], ids=lambda page: page.name)
def test_a_page_has_no_fault(page):
    done = mandoc("-T", "lint", "-W", "warning", page)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_option_of_the_schema_is_in_the_page_with_what_it_takes():
    shown = re.sub(r".\x08", "", mandoc("-O", "width=1000", CONF).stdout)  # bold is struck twice
    outline = [line.split("\t") for line in OUTLINE.read_text().splitlines()]
    assert len(outline) > 40
    for _, name, default, values in outline:
        assert name in shown and f"({values}; " in shown, name
        assert default in ('""', "{}") or f"{values}; {'' if default == 'required' else 'default: '}{default}" in shown, name


def make(tmp_path, outline, words):
    (tmp_path / "outline").write_text(outline)
    (tmp_path / "words").write_text(words)
    return subprocess.run([sys.executable, ROOT / "docs" / "conf-page.py", tmp_path / "outline", tmp_path / "words"],
                          capture_output=True, text=True, check=False, timeout=60)


def test_the_page_is_of_these_words_and_of_this_schema(tmp_path):
    assert make(tmp_path, OUTLINE.read_text(), WORDS.read_text()).stdout == CONF.read_text()


@pytest.mark.parametrize(("outline", "instead", "words", "by"), [
    ("\tworkers\t0\t", "\tworkers\t1\t", "", ""),
    ("\tworkers\t", "\tothers\t", "", ""),
    ("", "", "| `workers` |", "| `others` |"),
    ("", "", "| `user`, `group` |", "| `user`, `epoch` |"),
])
def test_what_only_one_of_them_knows_makes_no_page(tmp_path, outline, instead, words, by):
    done = make(tmp_path, OUTLINE.read_text().replace(outline, instead), WORDS.read_text().replace(words, by))
    assert done.returncode != 0 and not done.stdout
