"""coverage.py: writes how much is translated, as msgfmt counts it, into the table of docs/translations.md."""
import os
import pathlib
import re
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[1]
PAGE = TREE / "docs" / "translations.md"
HEAD = "| language | tag | translated | fuzzy | not translated |\n| --- | --- | --- | --- | --- |\n"


def languages():
    return (TREE / "po" / "LINGUAS").read_text().split()


def counts(path):
    """Texts that are translated, fuzzy, not translated."""
    run = subprocess.run(["msgfmt", "--statistics", "--output-file=/dev/null", path], stderr=subprocess.PIPE, text=True,
                         check=True, env=os.environ | {"LC_ALL": "C"})
    return [int(found.group(1)) if (found := re.search(rf"(\d+) {kind}", run.stderr)) else 0
            for kind in ("translated", "fuzzy", "untranslated")]


def name(path):
    return re.search(r'^"Language-Team: (.*)\\n"$', path.read_text(), re.MULTILINE).group(1)


def row(language):
    path = TREE / "po" / f"{language}.po"
    numbers = counts(path)
    share = 100 * numbers[0] // sum(numbers)
    return f"| {name(path)} | {language.upper().replace('_', '-')} | {numbers[0]} ({share} %) | {numbers[1]} | {numbers[2]} |\n"


def with_table(page):
    """The page, with the table that it should have."""
    table = HEAD + "".join(map(row, languages()))
    return re.sub(re.escape(HEAD) + r"(?:\|.*\n)*", lambda found: table, page)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
