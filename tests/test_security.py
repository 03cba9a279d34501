"""SECURITY.md: each sentence of the threat model names the tests that hold it, and those exist."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = (ROOT / "SECURITY.md").read_text()
SENTENCES = [" ".join(item.split()) for item in re.findall(r"^- (.*?)(?=^- |^$)", PAGE.split("## Threat model")[1], re.M | re.S)]
NAMED = r"`([\w.-]+)::(\w+)`"


def functions(name):
    """The tests of a file, wherever it is; those of C only if they are run."""
    path, = (*ROOT.glob(f"tests/e2e/{name}"), *ROOT.glob(f"tests/unit/{name}"))
    form = r"^def (test_\w+)\(" if path.suffix == ".py" else r"cmocka_unit_test\((\w+)\)"
    return set(re.findall(form, path.read_text(), re.M))


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_names_a_test_or_says_that_it_is_a_limit(sentence):
    assert re.search(NAMED, sentence) or "*Limit*" in sentence


@pytest.mark.parametrize("file,test", sorted(set(re.findall(NAMED, PAGE))))
def test_what_it_names_exists(file, test):
    assert test in functions(file)


def test_it_has_sentences_of_everybody():
    assert len(SENTENCES) > 40 and len(re.findall(r"^### ", PAGE, re.M)) == 9
