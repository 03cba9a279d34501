"""The modules under clients/: where they are, what their packages say, and the round trips that their READMEs tell of."""
import json
import os
import pathlib
import re
import subprocess

from .gateway import BUILD

CLIENTS = pathlib.Path(__file__).resolve().parents[3] / "clients"


def round_trips(rows, until="SELECT"):
    """A Markdown table of recordings by what they are of: how many round trips to the first answer that is of use, and what
    was sent in each."""
    lines = [f"| | round trips to the answer to {until} | sent in each |", "| --- | --- | --- |"]
    for what, recording in rows.items():
        count = recording.flights_until(until)
        sent = " → ".join(" ".join(names) for names in recording.names()[:count])
        lines.append(f"| {what} | {count} | {sent} |")
    return "\n".join(lines) + "\n"


def assert_quoted(table, readme):
    """The README has this table, word for word. Shown in any case, for `pytest -s` and for a failed test."""
    print(f"\n{table}")
    path = CLIENTS / readme
    assert table in path.read_text(), f"{path} has another table than the one that was measured"


def assert_composer_package(name):
    """Composer's package says which version it is, as the tree does, and brings the licence."""
    package = json.loads((CLIENTS / name / "composer.json").read_text())
    version, = re.findall(r"^\s*version: '(.*)'", (CLIENTS.parent / "meson.build").read_text(), re.MULTILINE)
    assert package["version"] == version and package["license"] == "Apache-2.0"
    assert f"composer require {package['name']}:~{version}" in (CLIENTS / name / "README.md").read_text()
    assert (CLIENTS / name / "LICENSE").read_bytes() == (CLIENTS.parent / "LICENSE").read_bytes()


def sanitizers():
    """What the library was built with, its user must be linked with."""
    options = json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text())
    chosen = next(option["value"] for option in options if option["name"] == "b_sanitize")
    return [] if chosen == "none" else [f"-fsanitize={chosen}"]


def run_program(folder, source, *words, stdin=""):
    """What a program in C that uses the library of this build prints."""
    (folder / "program.c").write_text(source)
    environment = os.environ | {"PKG_CONFIG_PATH": str(BUILD.resolve() / "meson-uninstalled"), "LD_LIBRARY_PATH": str(BUILD.resolve() / "src/lib")}
    flags = subprocess.run(("pkg-config", "--cflags", "--libs", "imapstate"), env=environment, capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(("cc", "-Wall", "-Wextra", "-Werror", *sanitizers(), folder / "program.c", "-o", folder / "program", *flags), check=True)
    return subprocess.run((folder / "program", *words), env=environment, input=stdin, capture_output=True, text=True, check=True).stdout
