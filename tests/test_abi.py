"""What libimapstate promises to programs that were built against it: which functions there are, in which node of the
version script, and (recorded) how everything lies in memory."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("IMAPSTATE_BUILD", ROOT / "build"))
LIBRARY = BUILD / "src/lib/libimapstate.so"
MAP = (ROOT / "src/lib/libimapstate.map").read_text()
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
            for name, body in re.findall(r"^(\w[\w.]*) \{(.*?)^\}", without_comments(MAP), re.M | re.S)}


def exported():
    """Function and node, of the library as it was built."""
    lines = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], check=True, capture_output=True, text=True).stdout
    return dict(re.findall(r" [^A] (\w+)(?:@@?([\w.]+))?$", lines, re.M))


def test_the_version_script_has_the_functions_of_the_headers():
    assert set.union(*nodes().values()) == declared()


def test_no_function_is_in_two_nodes():
    assert sum(map(len, nodes().values())) == len(declared())


def test_the_library_exports_these_and_nothing_else():
    assert exported() == {function: node for node, functions in nodes().items() for function in functions}


@each_header
def test_a_header_can_be_used_from_cpp(header):
    text = header.read_text()
    assert (text.count("\nIMAPSTATE_BEGIN\n"), text.count("\nIMAPSTATE_END\n")) == \
        ((0, 0) if header.name in (MACROS_ONLY, ALL_OF_THEM) else (1, 1))


@each_header
def test_a_header_is_installed(header):
    assert f"'include/imapstate/{header.name}'" in (ROOT / "meson.build").read_text()


@each_header
def test_a_header_is_among_all_of_them(header):
    assert header.name == ALL_OF_THEM or f"#include <imapstate/{header.name}>" in (HEADERS[0].parent / ALL_OF_THEM).read_text()
