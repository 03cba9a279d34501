"""What libimapstate promises to programs that were built against it: which functions there are, in which node of the
version script, and (recorded) how everything lies in memory."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("IMAPSTATE_BUILD", ROOT / "build"))
LIBRARY = BUILD / "src/lib/libimapstate.so"
SCRIPT = (ROOT / "src/lib/libimapstate.map").read_text()
HEADERS = sorted((ROOT / "include/imapstate").glob("*.h"))
MACROS_ONLY, ALL_OF_THEM = "api.h", "imapstate.h"
each_header = pytest.mark.parametrize("header", HEADERS, ids=lambda path: path.name)


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def declared():
    """Functions of the public headers."""
    return {name for header in HEADERS for name in
            re.findall(r"^IMAPSTATE_API[^;]*?\b(imapstate_\w+)\(", without_comments(header.read_text()), re.M)}


def nodes():
    """The nodes of the version script and what each exports."""
    return {name: set(re.findall(r"(\w+);", re.sub(r"local:.*", "", body, flags=re.S)))
            for name, body in re.findall(r"^(\w[\w.]*) \{(.*?)^\}", without_comments(SCRIPT), re.M | re.S)}


def exported():
    """Function and node, of the library as it was built."""
    lines = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], check=True, capture_output=True, text=True).stdout
    return dict(re.findall(r" [^A] (\w+)(?:@@?([\w.]+))?$", lines, re.M))


def test_the_version_script_has_the_functions_of_the_headers():
    assert set.union(*nodes().values()) == declared()


def test_no_function_is_in_two_nodes():
    assert sum(map(len, nodes().values())) == len(declared())


def test_no_node_is_of_a_version_that_is_still_to_come():
    version = re.search(r"version: '([\d.]+)'", (ROOT / "meson.build").read_text())[1]
    numbers = {node: [int(number) for number in re.fullmatch(r"IMAPSTATE_(\d+\.\d+)", node)[1].split(".")] for node in nodes()}
    assert max(numbers.values()) <= [int(number) for number in version.split(".")]


def test_the_library_exports_these_and_nothing_else():
    assert exported() == {function: node for node, functions in nodes().items() for function in functions}


def test_the_static_library_takes_no_other_names():
    lines = subprocess.run(["nm", "-g", "--defined-only", LIBRARY.with_suffix(".a")], check=True, capture_output=True, text=True).stdout
    names = set(re.findall(r"^\S+ [A-Z] (\w+)$", lines, re.M))
    assert declared() < names and not {name for name in names if not name.startswith("imapstate_")}


@each_header
def test_a_header_can_be_used_from_cpp(header):
    text = header.read_text()
    assert (text.count("\nIMAPSTATE_BEGIN\n"), text.count("\nIMAPSTATE_END\n")) == \
        ((0, 0) if header.name in (MACROS_ONLY, ALL_OF_THEM) else (1, 1))


@each_header
def test_a_header_says_what_threads_may_share(header):
    text = header.read_text()
    assert ("\n * Threads: " in text) == ("IMAPSTATE_API " in without_comments(text) and header.name != MACROS_ONLY)


@each_header
def test_a_header_is_installed(header):
    assert f"'include/imapstate/{header.name}'" in (ROOT / "meson.build").read_text()


@each_header
def test_a_header_is_among_all_of_them(header):
    assert header.name == ALL_OF_THEM or f"#include <imapstate/{header.name}>" in (HEADERS[0].parent / ALL_OF_THEM).read_text()


# --- nothing has changed ---

RECORD = ROOT / "tests/abi"
DECIDE = """
The ABI of libimapstate is not the recorded one. docs/library.md, "What stays", says which changes a program that was
built before can bear. If this is one of them, or is to be a break, record it by: tests/record-abi
"""


def record(library, headers, folder):
    folder.mkdir()
    subprocess.run([ROOT / "tests/record-abi", library, headers, folder], check=True)
    return folder


def changes(before, after):
    """What abidiff finds, and constants that are not the same, as text; empty if there is nothing."""
    types = subprocess.run(["abidiff", "--no-show-locs", "--harmless", before / "functions.abi", after / "functions.abi"],
                           capture_output=True, text=True)
    assert types.returncode & 3 == 0, types.stderr  # it could not compare
    constants = [set((folder / "constants").read_text().splitlines()) for folder in (before, after)]
    return "\n".join([types.stdout if types.returncode else "", *sorted(f"- {line}" for line in constants[0] - constants[1]),
                      *sorted(f"+ {line}" for line in constants[1] - constants[0])]).strip()


def test_the_abi_is_as_it_was_recorded(tmp_path):
    found = changes(RECORD, record(LIBRARY, ROOT / "include/imapstate", tmp_path / "now"))
    assert not found, f"{DECIDE}\n{found}"


# --- would a change be found? ---

@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Records the ABI of the library with edits (file, old text, new text), built by other means than meson's."""
    def made(*edits, flags=("-O0",)):
        place = tmp_path_factory.mktemp("abi")
        shutil.copytree(ROOT / "include", place / "include")
        shutil.copytree(ROOT / "src/lib", place / "lib")
        for file, old, new in edits:
            text = (place / file).read_text()
            assert text.count(old) == 1, (old, text.count(old))
            (place / file).write_text(text.replace(old, new))
        subprocess.run(["cc", "-g", "-shared", "-fPIC", "-D_GNU_SOURCE", *flags, "-Iinclude", "-fvisibility=hidden", "-w",
                        "-Wl,--version-script=lib/libimapstate.map", "-Wl,-soname,libimapstate.so.0", "-o", "lib.so",
                        *sorted((place / "lib").glob("*.c")), "-lsodium"], check=True, cwd=place)
        return record(place / "lib.so", place / "include/imapstate", place / "record")
    return made


def test_a_library_without_debug_information_cannot_be_recorded(build):
    """Every structure would be found the same."""
    with pytest.raises(subprocess.CalledProcessError):
        build(flags=("-O2", "-g0"))


@pytest.fixture(scope="module")
def unchanged(build):
    return build()


COMMAND, FRAME, TOKEN = "include/imapstate/command.h", "include/imapstate/frame.h", "include/imapstate/token.h"
MAP, KEYRING = "lib/libimapstate.map", "lib/keyring.c"
IS_BETWEEN = "bool imapstate_frame_is_between(const struct imapstate_frame *frame"


@pytest.mark.parametrize("found,edits", [
    ("type size changed", [(TOKEN, "uint64_t reserved[4]; ", "uint64_t reserved[5]; ")]),
    ("data member", [(COMMAND, "    uint8_t id;  ", "    uint8_t added;\n    uint8_t id;  ")]),
    ("- IMAPSTATE_COMMAND_IDLE 10", [(COMMAND, "IMAPSTATE_COMMAND_IDLE = 10", "IMAPSTATE_COMMAND_IDLE = 11")]),
    ("+ IMAPSTATE_COMMAND_ADDED 23", [(COMMAND, "IMAPSTATE_COMMAND_UNSELECT = 22,",
                                       "IMAPSTATE_COMMAND_UNSELECT = 22, IMAPSTATE_COMMAND_ADDED = 23,")]),
    ("- IMAPSTATE_FINGERPRINT_OCTETS 32", [(TOKEN, "IMAPSTATE_FINGERPRINT_OCTETS 32u", "IMAPSTATE_FINGERPRINT_OCTETS 33u")]),
    ("imapstate_buf_drop", [(MAP, "    imapstate_buf_drop;\n", "")]),
    ("IMAPSTATE_0.1", [(MAP, "IMAPSTATE_0.1 {", "IMAPSTATE_0.2 {")]),
    ("imapstate_frame_is_between", [(file, IS_BETWEEN, f"{IS_BETWEEN}, int more") for file in (FRAME, "lib/frame.c")]),
])
def test_a_change_is_found(build, unchanged, found, edits):
    assert found in changes(unchanged, build(*edits))


def test_what_is_opaque_may_change(build, unchanged):
    opened = "struct imapstate_keyring {\n"
    assert changes(unchanged, build((KEYRING, opened, f"{opened}    int added;\n"))) == ""


@pytest.mark.parametrize("flags", [("-O2",), ("-O3", "-gdwarf-4")])
def test_how_it_is_built_is_no_change(build, unchanged, flags):
    assert changes(unchanged, build(flags=flags)) == ""
