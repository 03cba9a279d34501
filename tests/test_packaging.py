"""debian/ and packaging/ agree with the build; what takes time is in test_packages.py."""
import json
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("IMAPSTATE_BUILD", ROOT / "build"))
DEBIAN = ROOT / "debian"
CONTROL = (DEBIAN / "control").read_text()


def run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True, timeout=60).stdout


def introspect(what):
    return json.loads(run("meson", "introspect", f"--{what}", BUILD))


def test_the_package_has_the_version_of_the_program():
    assert run("dpkg-parsechangelog", "-l", DEBIAN / "changelog", "-S", "Version").strip() == introspect("projectinfo")["version"]


def test_the_library_package_is_named_by_what_programs_look_for():
    soname, = re.findall(r"Library soname: \[libimapstate\.so\.(\d+)\]", run("readelf", "-d", BUILD / "src" / "lib" / "libimapstate.so"))
    name = f"libimapstate{soname}"
    assert f"\nPackage: {name}\n" in CONTROL and f" {name} (= ${{binary:Version}})" in CONTROL
    symbols = (DEBIAN / f"{name}.symbols").read_text()
    assert symbols.startswith(f"libimapstate.so.{soname} {name} #MINVER#\n")


def test_every_version_of_symbols_says_which_package_has_it():
    """A program that needs a newer node must not be installed with an older library."""
    nodes = re.findall(r"^(IMAPSTATE_([\d.]+)) \{", (ROOT / "src" / "lib" / "libimapstate.map").read_text(), re.MULTILINE)
    symbols, = DEBIAN.glob("libimapstate*.symbols")
    told = dict(re.findall(r"^ \(symver\)(\S+) (\S+)$", symbols.read_text(), re.MULTILINE))
    assert list(told) == [node for node, _ in nodes]
    assert all(told[node].startswith(version) for node, version in nodes)


def test_a_package_is_built_with_all_that_the_build_looks_for():
    needs = {word.strip().split()[0] for word in re.search(r"Build-Depends: (.*?)\n\S", CONTROL, re.DOTALL).group(1).split(",")}
    for dependency in introspect("dependencies"):
        if dependency["name"] in ("threads", "") or dependency.get("type") == "internal":
            continue
        owners = run("sh", "-c", 'dpkg -S "*/pkgconfig/$1.pc" | cut -d: -f1', "sh", dependency["name"]).split()
        assert needs & set(owners), f"{dependency['name']} is of {owners}"


@pytest.mark.parametrize(("name", "command"), [
    ("docs/operations.md", "    sudo apt install meson"), ("run", "packaging/install-packages gcc"),
    ("check", "    packaging/install-packages gcc"),
])
def test_who_builds_without_the_package_installs_the_same(name, command):
    needs = set(re.findall(r"lib\S+-dev|uthash-dev|zlib1g-dev|gettext|meson|pkg-config", CONTROL.split("\nPackage: ")[0]))
    block = re.search(rf"^{re.escape(command)}(.*\\\n)*.*", (ROOT / name).read_text(), re.MULTILINE).group()
    assert needs - {"libcmocka-dev"} <= set(block.split())


@pytest.mark.parametrize("script", sorted(DEBIAN.glob("imapstate.p*")), ids=lambda path: path.name)
def test_a_maintainer_script_is_one(script):
    run("sh", "-n", script)
    text = script.read_text()
    assert text.startswith("#!/bin/sh\nset -e\n") and "\n#DEBHELPER#\n" in text


def effective(path):
    """Certificates and keys, which the administrator needs to have, are not looked for."""
    return run(BUILD / "src" / "daemon" / "imapstated", "-n", "-c", path)


def test_the_configuration_that_is_installed_is_one():
    assert 'keys_file = "/var/lib/imapstate/keys"' in effective(ROOT / "packaging" / "imapstated.conf")


@pytest.mark.parametrize("page", ["README.md", "docs/configuration.md", "docs/imapstated.8"])
def test_the_configuration_on_the_page_is_one(page, tmp_path):
    text = (ROOT / page).read_text()
    block = re.search(r'(?:^(?: {4}.*)?\n)*^ {4}listener .*\n(?:^(?: {4}.*)?\n)*|^\.Bd .*\n((?:.*\n)*?)\.Ed', text, re.MULTILINE)
    (tmp_path / "conf").write_text((block.group(1) or block.group(0)).replace("\n    ", "\n"))
    assert '\n  address = "mail.example.org:993" ' in effective(tmp_path / "conf")
