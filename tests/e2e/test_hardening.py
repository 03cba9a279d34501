"""How the binaries are built: what makes a fault in C harder to use."""
import json
import platform
import subprocess

import pytest

from harness.gateway import BUILD
from harness.patience import PATIENCE_S

BINARIES = ["src/daemon/imapstated", "src/ctl/imapstatectl", "src/lib/libimapstate.so"]
PROGRAMS = BINARIES[:2]


def readelf(option, binary):
    return subprocess.run(["readelf", "--wide", option, BUILD / binary], capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout


def is_sanitized(binary):
    return "san.so" in readelf("--dynamic", binary)


@pytest.mark.parametrize("binary", BINARIES)
def test_its_table_of_addresses_is_complete_and_read_only_before_it_runs(binary):
    assert "GNU_RELRO" in readelf("--program-headers", binary)
    dynamic = readelf("--dynamic", binary)
    assert "BIND_NOW" in dynamic or "NOW" in dynamic.split("(FLAGS_1)")[1].splitlines()[0]


@pytest.mark.parametrize("binary", BINARIES)
def test_its_stack_and_its_data_hold_no_code(binary):
    loads = [line.split() for line in readelf("--program-headers", binary).splitlines() if "GNU_STACK" in line or "LOAD" in line]
    assert loads and all(not ("W" in flags and "E" in flags) for flags in (" ".join(words[6:-1]) for words in loads)), loads


@pytest.mark.parametrize("binary", PROGRAMS)
def test_a_program_is_loaded_anywhere(binary):
    assert "PIE" in readelf("--dynamic", binary).split("(FLAGS_1)")[1].splitlines()[0]


@pytest.mark.parametrize("binary", BINARIES)
def test_its_stack_is_watched_and_its_calls_are_checked(binary):
    symbols = readelf("--dyn-syms", binary)
    assert "__stack_chk_fail" in symbols
    if not is_sanitized(binary):  # a sanitizer checks these calls itself
        assert "_chk@" in symbols.replace("__stack_chk_fail", "")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the compiler has it for x86 only")
def test_jumps_go_only_where_one_may_land():
    """Whether a binary has it is up to the C library's start-up code as well, and Debian 12's is without."""
    objects = sorted((BUILD / "src").rglob("*.o"))
    assert len(objects) > 50
    notes = subprocess.run(["readelf", "--wide", "--notes", *objects], capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
    assert notes.count("IBT, SHSTK") == len(objects)


def test_no_stack_grows_past_its_guard_page():
    """No binary tells by itself: what each source was compiled with is looked at."""
    commands = [each["command"] for each in json.loads((BUILD / "compile_commands.json").read_text()) if "/src/" in each["file"]]
    assert len(commands) > 50
    assert all(" -fstack-clash-protection " in command for command in commands)
