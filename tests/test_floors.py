"""The floors of src/, as docs/design.md has them: who may see whom, who calls whom, and what is tested under its own name.

That an include runs up the compiler refuses by itself (each folder is a library with its own include folders), but not
one that names its way, and not a meson.build that opens too much. What calls whom is read from the objects of a build."""
import collections
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("IMAPSTATE_BUILD", ROOT / "build"))
# Each floor, and those below it. The public headers, in include/, are for all.
FLOORS = {
    "lib": [],
    "imap": ["lib"],
    "io": ["lib"],
    "config": ["imap", "io", "lib"],
    "upstream": ["config", "imap", "io", "lib"],
    "client": ["upstream", "config", "imap", "io", "lib"],
    "gateway": ["client", "upstream", "config", "imap", "io", "lib"],
    "control": ["gateway", "client", "upstream", "config", "imap", "io", "lib"],
    "http": ["control", "gateway", "client", "upstream", "config", "imap", "io", "lib"],
    "daemon": ["http", "control", "gateway", "client", "upstream", "config", "imap", "io", "lib"],
    "ctl": ["imap", "io", "lib"],
}


def sources(root, *suffixes):
    return sorted(path for path in (root / "src").glob("*/*") if path.suffix in suffixes)


@functools.cache
def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def code(path):
    """What the compiler sees of a file, strings kept: no comments."""
    return without_comments(path.read_text())


@functools.cache
def headers_of(root):
    return {header.name: header for header in sources(root, ".h")}


def included(path, root):
    """The headers of src/ that a file includes, however it spells them."""
    headers = headers_of(root)
    for name in re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', code(path), re.M):
        if name.startswith("imapstate/"):
            continue
        beside = (path.parent / name).resolve()
        header = beside if beside.is_file() else headers.get(pathlib.PurePath(name).name)
        if header and (header.parent.parent == root / "src"):
            yield header


def includes_that_run_up(root):
    return [f"{path.parent.name}/{path.name} includes {header.parent.name}/{header.name}"
            for path in sources(root, ".c", ".h") for header in included(path, root)
            if header.parent.name not in [path.parent.name, *FLOORS[path.parent.name]]]


def objects(build, root):
    """The object of each C file of src/."""
    found = {}
    for path in sources(root, ".c"):
        made = sorted((build / "src" / path.parent.name).glob(f"*.p/{path.name}.o"))
        assert made, f"{build} has no object of {path}: build it first"
        found[f"{path.parent.name}/{path.name}"] = made[0]
    return found


def arrows(objects):
    """Which file needs which, by the functions and variables that they give and take."""
    givers, takes = {}, {name: set() for name in objects}
    names = {str(path): name for name, path in objects.items()}
    lines = subprocess.run(["nm", "-P", *names], check=True, capture_output=True, text=True).stdout.splitlines()
    for line in lines:
        if line.endswith(":"):
            name = names[line[:-1]]
            continue
        symbol, kind = line.split()[:2]
        # Not nm's letters for static ones, and for weak ones, which the compiler adds.
        if kind in "TDBRSG":
            givers[symbol] = name
        elif kind == "U":
            takes[name].add(symbol)
    return {name: {givers[symbol] for symbol in taken if symbol in givers} - {name} for name, taken in takes.items()}


def circles(arrows):
    """Sets of files each of which needs all others, by way of some."""
    def reached(start):
        seen, left = set(), [start]
        while left:
            for name in arrows[left.pop()] - seen:
                seen.add(name)
                left.append(name)
        return seen
    reach = {name: reached(name) for name in arrows}
    return sorted({tuple(sorted(other for other in reach[name] if name in reach[other]))
                   for name in arrows if name in reach[name]})


def declared(header):
    """Names that a header brings by itself."""
    return declared_in(code(header))


@functools.cache
def declared_in(text):
    names = set(re.findall(r"^\s*#\s*define\s+(\w+)", text, re.M))
    names |= {name for pair in re.findall(r"\b(?:struct|enum|union)\s+(\w+)\s*\{|^struct\s+(\w+)\s*;", text, re.M) for name in pair if name}
    names |= set(re.findall(r"\btypedef\b[^;]*?(\w+)\s*;", text))
    for body in re.findall(r"\benum\b[^{;]*\{(.*?)\}", text, re.S):
        names |= set(re.findall(r"(?:^|,)\s*(\w+)", body))
    names |= set(re.findall(r"^[A-Za-z_][^;{}()=#]*?\b(\w+)\s*\(", text, re.M))
    names |= set(re.findall(r"^extern\b[^;]*?(\w+)(?:\[[^\]]*\])*;", text, re.M))
    return {name for name in names if not name.isdecimal()} - {"return", "struct", "size_t"}


def umbrellas(root):
    """Headers that include another one of which they use nothing: it is for who includes them. Whoever needs it
    includes it."""
    for header in sources(root, ".h"):
        words = set(re.findall(r"\w+", re.sub(r"^\s*#\s*include.*", "", code(header), flags=re.M)))
        for other in included(header, root):
            if not words & declared(other):
                yield f"{header.parent.name}/{header.name} is an umbrella over {other.name}"


def line_count(paths):
    return sum(path.read_text().count("\n") for path in paths)


def shares(root):
    whole = line_count(sources(root, ".c", ".h"))
    return {floor: line_count((root / "src" / floor).glob("*.[ch]")) / whole for floor in FLOORS}


def nouns_tested(root):
    """Nouns with a unit test or a fuzz target that is built and run."""
    for kind, folder in ("test", "tests/unit"), ("fuzz", "fuzz"):
        run = set(re.findall(r"'([\w-]+)'", (root / folder / "meson.build").read_text()))
        yield from (noun for path in (root / folder).glob(f"{kind}-*.c") if (noun := path.stem[5:]) in run)


def untested(root):
    """Noun and lines of what has none of its own name, most lines first, and the share of the others."""
    tested, lines = set(nouns_tested(root)), collections.Counter()
    for path in sources(root, ".c", ".h"):
        lines[f"{path.parent.name}/{path.stem}"] += line_count([path])
    without = {noun: count for noun, count in lines.items() if noun.split("/")[1] not in tested}
    return sorted(without.items(), key=lambda item: -item[1]), 1 - sum(without.values()) / sum(lines.values())


def include_folders(build):
    """The floors that each floor's files are compiled with a view of."""
    seen = {floor: set() for floor in FLOORS}
    for command in json.loads((build / "compile_commands.json").read_text()):
        path = (build / command["file"]).resolve()
        if path.parent.parent == ROOT / "src":
            folders = [(build / name).resolve() for name in re.findall(r"(?:-I|-iquote|-isystem) ?(\S+)", command["command"])]
            seen[path.parent.name] |= {folder.name for folder in folders if folder.parent == ROOT / "src"}
    return seen


def called_without_include(root):
    """Functions and macros that a C file calls without including, by itself or by its own header, the header that
    declares them: it counts on somebody else's include."""
    brings = {header: declared(header) for header in sources(root, ".h")}
    for path in sources(root, ".c"):
        own, text = path.with_suffix(".h"), re.sub(r'"(?:\\.|[^"\\])*"', '""', code(path))
        seen = {*included(path, root), own, *(included(own, root) if own.is_file() else ())}
        called = set(re.findall(r"(?<![.>\w])(\w+)\s*\(", text))
        for header, names in brings.items():
            if header not in seen and header.parent.name in [path.parent.name, *FLOORS[path.parent.name]]:
                yield from (f"{path.parent.name}/{path.name} calls {name}() without {header.name}" for name in called & names)


each_floor = pytest.mark.parametrize("floor", FLOORS)


def of(floor, findings):
    return sorted(finding for finding in findings if finding.startswith(floor + "/"))


@each_floor
def test_no_file_includes_what_stands_above_it(floor):
    assert of(floor, includes_that_run_up(ROOT)) == []


@each_floor
def test_no_floor_is_compiled_with_a_view_of_those_above(floor):
    assert include_folders(BUILD)[floor] <= {floor, *FLOORS[floor]}


def test_no_two_headers_have_the_same_name():
    names = [header.name for header in sources(ROOT, ".h")]
    assert sorted(set(names)) == sorted(names)


def test_no_two_files_call_each_other_in_a_circle():
    assert circles(arrows(objects(BUILD, ROOT))) == []


@each_floor
def test_no_header_is_an_umbrella(floor):
    assert of(floor, umbrellas(ROOT)) == []


@each_floor
def test_each_file_includes_the_headers_of_what_it_calls(floor):
    assert of(floor, called_without_include(ROOT)) == []


@each_floor
def test_no_folder_holds_more_than_a_third(floor):
    assert shares(ROOT)[floor] <= 1 / 3


def test_four_fifths_stand_in_files_with_a_test_of_their_own_name():
    without, share = untested(ROOT)
    assert share >= 0.8, without


# --- do these find what they are for? ---

@pytest.fixture
def house(tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src")
    return tmp_path


@pytest.mark.parametrize("file,line,found", [
    ("imap/status.c", '#include "log.h"', "imap/status.c includes io/log.h"),
    ("io/list.h", "#include <client.h>", "io/list.h includes client/client.h"),
    ("io/rate.c", '#include "../upstream/park.h"', "io/rate.c includes upstream/park.h"),
    ("ctl/keys.c", ' # include "config.h"', "ctl/keys.c includes config/config.h"),
    ("lib/span.c", '#include "status.h"', "lib/span.c includes imap/status.h"),
])
def test_an_include_that_runs_up_is_found(house, file, line, found):
    before = includes_that_run_up(house)
    path = house / "src" / file
    path.write_text(f"{line}\n{path.read_text()}")
    assert set(includes_that_run_up(house)) - set(before) == {found}


def test_an_include_in_a_comment_is_none(house):
    before = includes_that_run_up(house)
    (house / "src/io/rate.c").write_text('/* as in\n#include "park.h"\n*/\n')
    assert includes_that_run_up(house) == before


def turned_round(house, of_file, calls):
    """The objects of the build, one of them compiled anew with a function more that makes a call."""
    path = house / "src" / of_file
    path.write_text(f"{path.read_text()}\nvoid {calls}();\nvoid turned_round(void);\nvoid turned_round(void) {{ {calls}(); }}\n")
    made = house / "turned.o"
    includes = [f"-I{house / 'src' / floor}" for floor in (path.parent.name, *FLOORS[path.parent.name])]
    subprocess.run(["cc", "-D_GNU_SOURCE", "-Wno-strict-prototypes", f"-I{ROOT / 'include'}", *includes, "-c", path, "-o", made], check=True)
    return {**objects(BUILD, ROOT), of_file: made}


@pytest.mark.parametrize("file,calls,circle", [
    ("imap/status.c", "alerts_have", ("imap/alert.c", "imap/status.c")),
    ("io/logqueue.c", "log_start", ("io/log.c", "io/logqueue.c")),
    ("lib/span.c", "imapstate_visit_new", ("lib/span.c", "lib/visit.c")),
])
def test_a_call_that_runs_up_is_found(house, file, calls, circle):
    found = [files for files in circles(arrows(turned_round(house, file, calls))) if set(circle) <= set(files)]
    assert len(found) == 1


def test_a_header_that_includes_what_it_does_not_use_is_found(house):
    path = house / "src/io/rate.h"
    path.write_text(path.read_text().replace("#include", '#include "list.h"\n#include', 1))
    assert "io/rate.h is an umbrella over list.h" in set(umbrellas(house)) - set(umbrellas(ROOT))


def test_a_call_by_somebody_elses_include_is_found(house):
    path = house / "src/imap/capability.c"
    path.write_text(path.read_text().replace('#include "words.h"\n', ""))
    assert "imap/capability.c calls word_is() without words.h" in set(called_without_include(house)) - set(called_without_include(ROOT))


def test_a_file_without_a_test_is_counted(house):
    for folder in "tests/unit", "fuzz":
        shutil.copytree(ROOT / folder, house / folder)
    share = untested(house)[1]
    (house / "fuzz/fuzz-status.c").unlink()
    assert untested(house)[1] == share  # there is another one
    (house / "tests/unit/test-status.c").unlink()
    assert untested(house)[1] < share and "imap/status" in dict(untested(house)[0])
