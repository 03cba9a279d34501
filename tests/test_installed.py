"""libimapstate as a stranger has it: installed alone, found by pkg-config, with its headers, examples and pages."""
import json
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
C_PROGRAM = """
#include <imapstate/imapstate.h>
#include <stdio.h>

int main(void)
{
    struct imapstate_keyring *keyring = imapstate_keyring_new();
    struct imapstate_token_binding binding = { .user = IMAPSTATE_SPAN("ann"), .upstream = IMAPSTATE_SPAN("main") };
    static const uint8_t octets[IMAPSTATE_KEY_OCTETS] = "an example key, 32 octets long.";
    struct imapstate_key key;
    struct imapstate_buf token, state;
    uint64_t left_s;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    imapstate_buf_init(&state, IMAPSTATE_STATE_MAX);
    if (!keyring || imapstate_keyring_add(keyring, 7, 0, octets) || !imapstate_keyring_sealing(keyring, 1000, &key) ||
        imapstate_token_seal(&key, &binding, 1000, 3600, IMAPSTATE_SPAN("state"), &token, &left_s) ||
        imapstate_token_open(keyring, &binding, 2000, imapstate_buf_span(&token), &state))
        return 1;
    printf("%s %.*s, then: %s\\n", imapstate_version_text(), (int)state.len, (const char *)state.at,
           imapstate_strerror(imapstate_token_open(keyring, &binding, 9000, imapstate_buf_span(&token), &state)));
    imapstate_buf_done(&token);
    imapstate_buf_done(&state);
    imapstate_keyring_free(keyring);
    return 0;
}
"""


def run(*words, **more):
    return subprocess.run(words, check=True, capture_output=True, text=True, **more).stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    run("meson", "setup", folder / "build", ROOT, "--prefix", folder / "prefix", "--libdir", "lib", "-Dgateway=false",
        "-Dunit_tests=false")
    run("ninja", "-C", folder / "build", "--quiet")
    run("meson", "install", "-C", folder / "build", "--no-rebuild", "--quiet")
    return folder / "prefix"


@pytest.fixture(scope="module")
def environment(prefix):
    return {**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig"), "LD_LIBRARY_PATH": str(prefix / "lib")}


@pytest.fixture
def pkg_config(environment):
    return lambda *options: run("pkg-config", *options, "imapstate", env=environment).split()


@pytest.fixture(scope="module")
def version():
    return re.search(r"version: '([\d.]+)'", (ROOT / "meson.build").read_text())[1]


@pytest.mark.parametrize("linked,options", [([], ["--cflags", "--libs"]), (["-static"], ["--static", "--cflags", "--libs"])],
                         ids=["shared", "static"])
def test_a_program_is_built_by_pkg_config(pkg_config, environment, version, tmp_path, linked, options):
    (tmp_path / "try.c").write_text(C_PROGRAM)
    run("cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic-errors", *linked, tmp_path / "try.c", "-o", tmp_path / "try",
        *pkg_config(*options))
    assert run(tmp_path / "try", env=environment) == f"{version} state, then: token is past its lifetime\n"


def test_a_program_in_cpp_is_built_by_pkg_config(pkg_config, environment, tmp_path):
    run("c++", "-std=c++11", "-Wall", "-Wextra", "-Werror", ROOT / "tests/unit/test-embed.cc", "-o", tmp_path / "try",
        *pkg_config("--cflags", "--libs"))
    run(tmp_path / "try", env=environment)


def test_pkg_config_has_the_version(pkg_config, version):
    assert pkg_config("--modversion") == [version]


def test_the_headers_are_installed(prefix):
    assert {path.name: path.read_text() for path in (prefix / "include/imapstate").iterdir()} == \
        {path.name: path.read_text() for path in (ROOT / "include/imapstate").iterdir()}


def test_nothing_but_the_library_and_its_pages_is_installed(prefix):
    assert {str(path.relative_to(prefix).parent) for path in prefix.rglob("*") if path.is_file()} <= {
        "include/imapstate", "lib", "lib/pkgconfig", "share/doc/imapstate", "share/doc/imapstate/docs",
        "share/doc/imapstate/clients/c", "share/doc/imapstate/examples"}


def test_the_clients_example_is_built_where_it_was_installed(prefix, environment, tmp_path):
    run("make", "--quiet", "-C", prefix / "share/doc/imapstate/clients/c", f"OUT={tmp_path}", env=environment)
    answer = subprocess.run([tmp_path / "example"], env=environment, capture_output=True, text=True)
    assert answer.returncode == 2 and answer.stderr.startswith("example: usage: ")


def test_the_example_server_is_built_where_it_was_installed(prefix, pkg_config, environment, tmp_path):
    source = prefix / "share/doc/imapstate/examples/server.c"
    assert "cc server.c -o server $(pkg-config --cflags --libs imapstate)" in source.read_text()
    run("cc", "-Wall", "-Wextra", "-Werror", source, "-o", tmp_path / "server", *pkg_config("--cflags", "--libs"))
    answer = subprocess.run([tmp_path / "server"], env=environment, capture_output=True, text=True)
    assert answer.returncode == 2 and answer.stderr.startswith("server: usage: ")


PAGES = ["docs/library.md", "docs/protocol.md", "docs/framing.md", "docs/keys.md", "clients/c/README.md"]


@pytest.mark.parametrize("page", PAGES)
def test_links_of_an_installed_page_lead_somewhere(prefix, page):
    path = prefix / "share/doc/imapstate" / page
    links = {link for link in re.findall(r"\]\(([^)#]*)[^)]*\)", path.read_text()) if link and "://" not in link}
    assert not {link for link in links if not (path.parent / link).exists()}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """What an installation with the gateway consists of, and from where: by path, none of it is built."""
    build = tmp_path_factory.mktemp("plan") / "build"
    run("meson", "setup", build, ROOT, "-Dunit_tests=false")
    parts = json.loads(run("meson", "introspect", "--install-plan", build)).values()
    return {os.path.normpath(entry["destination"]): pathlib.Path(source) for part in parts for source, entry in part.items()}


def test_links_of_the_gateways_installed_pages_lead_somewhere(plan):
    there = set(plan) | {str(folder) for path in plan for folder in pathlib.PurePath(path).parents}
    pages = [path for path in plan if path.endswith(".md")]
    assert len(pages) > 15
    dead = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#\s]*)[^)]*\)", plan[page].read_text(encoding="utf-8"))
            if link and "://" not in link and not link.startswith("mailto:")
            and os.path.normpath(os.path.join(os.path.dirname(page), link)) not in there]
    assert not dead
