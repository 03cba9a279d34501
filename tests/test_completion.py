"""Completion for bash and zsh offers what the programs' own help tells of, and nothing else."""
import os
import pathlib
import re
import shlex
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("IMAPSTATE_BUILD", ROOT / "build"))
SCRIPTS = ROOT / "packaging" / "completion"
PROGRAMS = {"imapstated": BUILD / "src" / "daemon" / "imapstated", "imapstatectl": BUILD / "src" / "ctl" / "imapstatectl"}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, stdin=subprocess.DEVNULL).stdout


def bash(program, *words):
    line = " ".join(shlex.quote(word) for word in (program, *words))
    return set(run("bash", "-c", f"""source {SCRIPTS / program}.bash
        COMP_WORDS=({line}) COMP_CWORD={len(words)}
        _{program} && printf '%s\\n' "${{COMPREPLY[@]}}" """).split())


def zsh(program, *words):
    """compadd would filter by the word that is begun; _files is not asked for here."""
    line = " ".join(shlex.quote(word) for word in (program, *words))
    offered = run("zsh", "-f", "-c", f"""compadd() {{ shift; print -l -- "$@" }}; _files() {{ print -l FILES }}
        words=({line}) CURRENT={len(words) + 1}
        complete_it() {{ source {SCRIPTS}/_{program} }}; complete_it""").split()
    return {word for word in offered if word.startswith(words[-1])}


@pytest.fixture(name="offered", params=[bash, zsh], ids=lambda shell: shell.__name__)
def fixture_offered(request):
    return request.param


def help_of(program, *words):
    return run(PROGRAMS[program], *words, "--help")


def options(text):
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", text))


def test_imapstated_has_all_its_options(offered):
    assert offered("imapstated", "-") == options(help_of("imapstated"))
    assert offered("imapstated", "--t") == {"--test"}


def commands():
    """The words that begin a line of the help, or stand behind the program in its usage."""
    text = help_of("imapstatectl") + help_of("imapstatectl", "show")
    told = re.findall(r"^(?:Usage:|  ) +imapstatectl ([a-z]+)|^  ([a-z]+)", text, re.MULTILINE)
    return {either or other for either, other in told}


def test_imapstatectl_has_all_its_commands(offered):
    assert {word for word in offered("imapstatectl", "") if not word.startswith("-")} == commands()
    assert offered("imapstatectl", "ke") == {"keys"}


def test_try_and_keys_have_all_their_options(offered):
    assert offered("imapstatectl", "try", "host", "-") == options(help_of("imapstatectl", "try"))
    assert offered("imapstatectl", "keys", "") == set(re.findall(r"^  keys ([a-z]+)", help_of("imapstatectl"), re.MULTILINE))
    assert offered("imapstatectl", "keys", "new", "file", "-") == {"--from"}
    assert offered("imapstatectl", "-") >= {"--help", "--version"}


def test_what_stands_behind_a_command_is_offered(offered):
    """A line of the help that begins "  show clients [--user USER]" or "  forget USER|--all"."""
    text = help_of("imapstatectl", "show")
    assert {word for word in offered("imapstatectl", "show", "") if not word.startswith("-")} == set(re.findall(r"^  show ([a-z]+)", text, re.MULTILINE))
    for command, rest in re.findall(r"^  ([a-z]+)(.*)", text, re.MULTILINE):
        before = ["some"] if command == "show" else []
        common = {"--socket", "--json", "--help"}
        told = {"--user", "--upstream", "--address"} if command == "show" else options(rest)
        assert offered("imapstatectl", "--socket", "path", command, *before, "-") == common | told, command
    assert offered("imapstatectl", "upstream", "name", "") == {"up", "down", "drain"} | common
    assert offered("imapstatectl", "log", "") == {"error", "warning", "info", "debug"} | common


@pytest.mark.parametrize("option", ["--user", "--port"])
def test_nothing_is_offered_where_anything_may_stand(offered, option):
    assert not offered("imapstatectl", "try", option, "")


def test_a_file_is_completed_by_name(tmp_path):
    (tmp_path / "some file").write_text("")
    for words in (("imapstated", "-c"), ("imapstatectl", "keys", "list"), ("imapstatectl", "try", "--ca-file")):
        assert bash(*words, str(tmp_path / "some")) == {str(tmp_path / "some"), "file"}
        assert zsh(*words, "") == {"FILES"}
