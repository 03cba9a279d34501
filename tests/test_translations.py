"""The catalogues in po/: that they are up to date, and that nothing gets in that is more than text."""
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

TREE = pathlib.Path(__file__).resolve().parents[1]
PO = TREE / "po"
COMPLETE = ["de", "fr", "es"]
HEADER = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: {plural_forms}\\n"
"""


def module(name):
    specification = importlib.util.spec_from_file_location(name, PO / f"{name}.py")
    loaded = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(loaded)
    return loaded


coverage, mo = module("coverage"), module("mo")


def output(*command):
    return subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, check=True).stdout


def test_the_template_holds_what_the_source_says(tmp_path):
    output(PO / "update", tmp_path)
    assert (tmp_path / "imapstate.pot").read_text() == (PO / "imapstate.pot").read_text(), "run po/update"


@pytest.mark.parametrize("language", coverage.languages())
def test_a_catalogue_has_the_texts_of_the_template(language):
    path = PO / f"{language}.po"
    merged = output("msgmerge", "--quiet", "--no-fuzzy-matching", "--no-wrap", "--no-location", "--output-file=-", path,
                    PO / "imapstate.pot")
    assert path.read_text() == merged, "run po/update"
    assert "#~" not in merged


@pytest.mark.parametrize("language", coverage.languages())
def test_a_catalogue_is_well_formed_and_says_whose_it_is(language):
    path = PO / f"{language}.po"
    run = subprocess.run(["msgfmt", "--check", "--output-file=/dev/null", path], stderr=subprocess.PIPE, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    path.read_bytes().decode("utf-8")
    assert f'"Language: {language}\\n"' in path.read_text()


@pytest.mark.parametrize("language", COMPLETE)
def test_three_languages_are_complete(language):
    _, fuzzy, missing = coverage.counts(PO / f"{language}.po")
    assert (fuzzy, missing) == (0, 0)


def test_the_page_tells_how_much_is_translated():
    page = coverage.PAGE.read_text()
    assert all(f"| {language.upper()} |" in page for language in COMPLETE)
    assert page == coverage.with_table(page), "run po/update"


@pytest.mark.parametrize("language", coverage.languages())
def test_the_name_of_a_namespace_stays_one_level_of_the_hierarchy(tmp_path, language):
    source = (TREE / "src" / "imap" / "namespace.c").read_text()
    table = re.search(r"namespace_names\[\] = \{(.*?)\};", source, re.DOTALL).group(1)
    names = re.findall(r'N_\("([^"]+)"\)', table)
    assert "Other Users" in names
    output("msgfmt", f"--output-file={tmp_path / 'language.mo'}", PO / f"{language}.po")
    texts = mo.read(tmp_path / "language.mo")
    assert not [name for name in names if re.search(r'[/.\\^~#%*"&]', texts.get(name, ""))]


# A status word, perhaps a response code, and behind them, in the same string, a letter or a "%".
UNMARKED = re.compile(r'"(?:OK|NO|BAD|BYE|PREAUTH) (?:\[[A-Z-]+\] (?!")|(?!\[|%s"))[^"]')


def test_the_pattern_for_unmarked_texts_finds_them():
    for line in ('say("OK Done.");', 'say("NO [LIMIT] Too large.");', 'say("BYE %d minutes");', 'say("OK [X] %s");'):
        assert UNMARKED.search(line), line
    for line in ('say("OK " N_("Done."));', 'say("NO [LIMIT] " N_("x"));', 'put(" OK [CAPABILITY ");', '"BAD %s"'):
        assert not UNMARKED.search(line), line


def test_every_answer_has_its_text_marked():
    found = []
    for path in sorted((TREE / "src").glob("*/*.[ch]")):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        found += [f"{path.name}: {line.strip()}" for line in text.splitlines() if UNMARKED.search(line)]
    assert not found


def embed(folder, text, plural_forms="nplurals=2; plural=n != 1;"):
    """Makes the table from an English catalogue with one text, "Done.", and its translation."""
    for language, translation in (("en", "Done."), ("xx", text)):
        po = folder / f"{language}.po"
        po.write_text(HEADER.format(plural_forms=plural_forms) + f'\nmsgid "Done."\nmsgstr "{translation}"\n',
                      encoding="utf-8")
        output("msgfmt", f"--output-file={folder / language}.mo", po)
    return subprocess.run([sys.executable, "-B", PO / "embed.py", folder / "table.h", folder / "en.mo", folder / "xx.mo"],
                          stderr=subprocess.PIPE, text=True)


def test_a_good_catalogue_becomes_a_table(tmp_path):
    run = embed(tmp_path, 'Fertig: \\"ä\\" \\\\ ]')
    assert (run.returncode, run.stderr) == (0, "")
    assert '"Fertig: \\"ä\\" \\\\ ]"' in (tmp_path / "table.h").read_text()


@pytest.mark.parametrize("text", ["[ALERT] Fertig", "Fertig\\r", "a\\nb", "a\\tb", "a\\033[1mb", "Fertig {12}", "{"])
def test_a_translation_that_is_more_than_text_is_refused(tmp_path, text):
    run = embed(tmp_path, text)
    assert run.returncode != 0
    assert 'xx.po: the translation of "Done."' in run.stderr
    assert not (tmp_path / "table.h").exists()


@pytest.mark.parametrize("rule", ["nplurals=2; plural=system(n);", "nplurals=2; plural=n; int x;", "plural=0;", ""])
def test_a_plural_rule_that_is_no_arithmetic_is_refused(tmp_path, rule):
    run = embed(tmp_path, "Fertig.", plural_forms=rule)
    assert run.returncode != 0
    assert "Plural-Forms" in run.stderr
    assert not (tmp_path / "table.h").exists()


@pytest.mark.parametrize("order", ["little", "big"])
def test_a_catalogue_is_read_in_either_byte_order(tmp_path, order):
    output("msgfmt", f"--endianness={order}", f"--output-file={tmp_path / 'de.mo'}", PO / "de.po")
    texts = mo.read(tmp_path / "de.mo")
    assert texts["State restored."] == "Angemeldet."
    assert len(texts["Autologout; idle for %lu minute."]) == 2
    assert mo.header(texts, "Language") == "de"


def test_a_file_that_is_no_catalogue_is_refused(tmp_path):
    (tmp_path / "xx.mo").write_bytes(b"\xde\x12\x04\x94" + bytes(24))
    with pytest.raises(ValueError, match="xx.mo"):
        mo.read(tmp_path / "xx.mo")
