"""debian/: the packages as they are built, and installed, upgraded, removed and purged in a Debian of their own.

./check --packages runs this, as root; it takes a few minutes and wants a Debian mirror. The Debian is a folder
(debootstrap) in which no systemd runs. The tests of this file follow each other there, in their order."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from harness.imap import Client  # noqa: E402
from harness.net import free_port  # noqa: E402
from harness.patience import PATIENCE_S, wait_until  # noqa: E402
from harness.scripted import Scripted  # noqa: E402

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
CONTROL = "/run/imapstate/control"
NEWER = "+1"  # what the version is called to which the test upgrades


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=1800,
                          **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


# Built


@pytest.fixture(name="work", scope="module")
def fixture_work():
    with tempfile.TemporaryDirectory(prefix="imapstate-packages.", dir=os.environ.get("TMPDIR", "/tmp")) as folder:
        yield pathlib.Path(folder)


@pytest.fixture(name="built", scope="module")
def fixture_built(work):
    """The folder with what dpkg-buildpackage has made of the tree, as it is: what is not committed counts too."""
    tree = work / "built" / "imapstate"
    for name in run("git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and (ROOT / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    run("dpkg-buildpackage", "-us", "-uc", cwd=tree, env=os.environ | {"DEB_BUILD_OPTIONS": "nocheck"})
    return tree.parent


def package(folder, name):
    paths = list(folder.glob(f"{name}_*.deb"))
    assert len(paths) == 1, paths
    return paths[0]


def test_lintian_finds_nothing(built):
    changes, = built.glob("*.changes")
    assert not run("lintian", "--allow-root", "--display-info", "--pedantic", "--no-tag-display-limit", changes)


def contents(deb):
    return {line.split(None, 5)[5].split(" -> ")[0].removeprefix(".") for line in run("dpkg-deb", "-c", deb).splitlines()}


@pytest.mark.parametrize(("name", "paths"), [
    ("imapstate", """/usr/sbin/imapstated /usr/bin/imapstatectl /lib/systemd/system/imapstated.service
        /usr/lib/sysusers.d/imapstated.conf /etc/imapstate/imapstated.conf /etc/imapstate/conf.d/
        /usr/share/man/man8/imapstated.8.gz /usr/share/man/man1/imapstatectl.1.gz /usr/share/man/man5/imapstated.conf.5.gz
        /usr/share/doc/imapstate/README.md.gz /usr/share/doc/imapstate/operations.md.gz
        /usr/share/doc/imapstate/examples/imapstated-dovecot.conf /usr/share/doc/imapstate/examples/fail2ban/imapstated.conf
        /usr/share/doc/imapstate/examples/prometheus/imapstate.rules.yml
        /lib/systemd/system/imapstated.socket
        /usr/share/bash-completion/completions/imapstated /usr/share/bash-completion/completions/imapstatectl
        /usr/share/zsh/vendor-completions/_imapstated /usr/share/zsh/vendor-completions/_imapstatectl"""),
    ("libimapstate-dev", """/usr/include/imapstate/imapstate.h /usr/lib/{triplet}/libimapstate.a /usr/lib/{triplet}/libimapstate.so
        /usr/lib/{triplet}/pkgconfig/imapstate.pc /usr/share/doc/libimapstate-dev/examples/example.c"""),
])
def test_everything_is_in_its_package(built, name, paths):
    triplet = run("dpkg-architecture", "-qDEB_HOST_MULTIARCH").strip()
    assert set(paths.format(triplet=triplet).split()) <= contents(package(built, name))


def test_a_program_is_built_with_the_library_of_the_packages(built, work):
    folder, triplet = work / "library", run("dpkg-architecture", "-qDEB_HOST_MULTIARCH").strip()
    for name in ("libimapstate0", "libimapstate-dev"):
        run("dpkg-deb", "-x", package(built, name), folder)
    environment = os.environ | {"PKG_CONFIG_SYSROOT_DIR": str(folder), "PKG_CONFIG_PATH": str(folder / "usr/lib" / triplet / "pkgconfig")}
    (folder / "try.c").write_text('#include <imapstate/imapstate.h>\n#include <stdio.h>\n'
                                  'int main(void) { return puts(imapstate_strerror(IMAPSTATE_TOKEN_EXPIRED)) < 0; }\n')
    flags = run("pkg-config", "--cflags", "--libs", "imapstate", env=environment).split()
    run("gcc", folder / "try.c", "-o", folder / "try", *flags)
    assert run(folder / "try", env=os.environ | {"LD_LIBRARY_PATH": str(folder / "usr/lib" / triplet)}) == "token is past its lifetime\n"


# Installed


def mirror():
    """(address, suite): where this machine's apt has its packages from."""
    for line in run("apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(LABEL)", "Created-By: Packages").splitlines():
        site, codename, label = line.split(" ", 2)
        if label == "Debian":
            return site, codename
    raise AssertionError("no Debian mirror in apt's sources")


class Debian:
    """A Debian in a folder, its mounts in a namespace that ends with this program."""

    def __init__(self, folder):
        self.folder = folder
        run("debootstrap", "--variant=minbase", mirror()[1], folder, mirror()[0], env=os.environ | ENVIRONMENT)
        shutil.copy("/etc/resolv.conf", folder / "etc")
        self.holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                                        'mount -t proc proc "$1/proc" && echo mounted && exec sleep infinity', "sh", str(folder)],
                                       stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "mounted\n"

    def words(self, *command):
        return ["nsenter", f"--target={self.holder.pid}", "--mount", "chroot", str(self.folder), *map(str, command)]

    def run(self, *command):
        return run(*self.words(*command), env=ENVIRONMENT)

    def path(self, name):
        return self.folder / name.lstrip("/")

    def processes(self):
        """pid: path of the program, of those that run in here."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/root") == str(self.folder):
                    found[int(pid)] = pathlib.Path(os.readlink(f"/proc/{pid}/exe")).name.split(" ")[0]
        return found

    def daemons(self):
        return sorted(pid for pid, program in self.processes().items() if program == "imapstated")

    def install(self, *debs):
        for deb in debs:
            shutil.copy(deb, self.path("/tmp"))
        return run(*self.words("sh", "-c", 'dpkg -i "$@" 2>&1', "sh", *(f"/tmp/{deb.name}" for deb in debs)), env=ENVIRONMENT)

    def files(self):
        """Whatever there is: {path: (mode, owner, group)}, but for what dpkg and others keep of the past."""
        past = re.compile(r"/(proc|tmp|root|run/lock|var/lib/(dpkg|apt)|var/(log|cache))/|/etc/(ld\.so\.cache|passwd-|group-|g?shadow-|\.pwd\.lock)$")
        found = {}
        for folder, folders, names in os.walk(self.folder):
            for name in folders + names:
                path = pathlib.Path(folder, name)
                inside = "/" + str(path.relative_to(self.folder))
                if not past.search(inside + "/" * path.is_dir()):
                    status = path.lstat()
                    found[inside] = (stat.filemode(status.st_mode), status.st_uid, status.st_gid)
        return found

    def end(self):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.holder.kill()
        self.holder.wait()


def accounts(debian):
    return {name: debian.path(f"/etc/{name}").read_text() for name in ("passwd", "group", "shadow", "gshadow")}


@pytest.fixture(name="debian", scope="module")
def fixture_debian(built, work):
    """With all that the packages depend on, and without them."""
    debian = Debian(work / "debian")
    of_all = [run("dpkg-deb", "-f", package(built, name), "Depends").strip() for name in ("imapstate", "libimapstate0", "libimapstate-dev")]
    depends = ", ".join(word for word in ", ".join(of_all).split(", ") if not word.startswith("libimapstate0 "))
    debian.run("apt-get", "-qq", "update")
    debian.run("apt-get", "-qq", "-y", "--no-install-recommends", "install", "systemd-standalone-sysusers")
    debian.run("apt-get", "-qq", "-y", "--no-install-recommends", "satisfy", depends)
    debian.before, debian.accounts_before = debian.files(), accounts(debian)
    yield debian
    debian.end()


@pytest.fixture(name="newer", scope="module")
def fixture_newer(built, work):
    """The package again, with a higher version."""
    folder, deb = work / "newer", package(built, "imapstate")
    run("dpkg-deb", "-R", deb, folder)
    control = folder / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^(Version: .*)$", rf"\1{NEWER}", control.read_text()))
    path = work / f"imapstate_newer_{deb.name.rsplit('_', 1)[1]}"
    run("dpkg-deb", "--root-owner-group", "-b", folder, path)
    return path


def test_installed_it_has_an_account_keys_and_a_configuration_to_begin_with(debian, built):
    debian.install(package(built, "imapstate"), package(built, "libimapstate0"), package(built, "libimapstate-dev"))
    keys = debian.path("/var/lib/imapstate/keys").stat()
    assert stat.filemode(keys.st_mode) == "-rw-------" and debian.run("stat", "-c", "%U", "/var/lib/imapstate/keys") == "imapstate\n"
    assert debian.run("stat", "-c", "%A %U", "/var/lib/imapstate") == "drwx------ imapstate\n"
    assert " seals" in debian.run("imapstatectl", "keys", "list", "/var/lib/imapstate/keys")
    assert not debian.daemons()  # nobody has configured it
    done = subprocess.run(debian.words("imapstated", "-t", "-c", "/etc/imapstate/imapstated.conf"), capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "/etc/imapstate/cert.pem" in done.stderr
    effective = debian.run("imapstated", "-n", "-c", "/etc/imapstate/imapstated.conf")
    assert 'keys_file = "/var/lib/imapstate/keys"' in effective and f'socket = "{CONTROL}"' in effective
    assert debian.run("imapstated", "-V") == debian.run("imapstatectl", "--version").replace("imapstatectl", "imapstated")


@pytest.fixture(name="upstream", scope="module")
def fixture_upstream():
    server = Scripted()
    yield server
    server.stop()


def is_open(port):
    with contextlib.suppress(ConnectionRefusedError):
        return bool(Client(port).greeting)
    return False


@pytest.fixture(name="port", scope="module")
def fixture_port(debian, upstream):
    """Of the daemon, which runs in there as its account, as the unit would start it."""
    port = free_port()
    debian.path("/etc/imapstate/imapstated.conf").write_text(
        f'keys_file = "/var/lib/imapstate/keys"\ncontrol {{ }}\nworkers = 1\ninclude "conf.d/*.conf"\n'
        f'listener "imap" {{ address = "127.0.0.1:{port}" tls = none }}\n')
    debian.path("/etc/imapstate/conf.d/upstream.conf").write_text(f'upstream "main" {{ address = "127.0.0.1:{upstream.port}" tls = none }}\n')
    debian.run("install", "-d", "-o", "imapstate", "-g", "imapstate", "/run/imapstate")
    debian.run("imapstated", "-t", "-c", "/etc/imapstate/imapstated.conf")
    daemon = subprocess.Popen(debian.words("setpriv", "--reuid=imapstate", "--regid=imapstate", "--clear-groups",
                                           "imapstated", "-c", "/etc/imapstate/imapstated.conf"), env=ENVIRONMENT)
    wait_until(lambda: is_open(port))
    yield port
    daemon.poll()


def test_upgraded_it_goes_on_with_the_sessions_that_there_are(debian, port, newer):
    client = Client(port)
    client.login("ann", "secret")
    before = debian.daemons()
    assert "goes on with its earlier version" not in debian.install(newer)
    assert debian.run("dpkg-query", "-W", "-f", "${Version}", "imapstate").endswith(NEWER)
    client.ok("NOOP")
    after = set(debian.daemons()) - set(before)
    assert len(before) == 1 and len(after) == 1 and before[0] in debian.daemons()  # the new version has taken over, and the old one drains
    other = Client(port)
    other.login("bob", "hunter2")
    other.ok("NOOP")
    client.ok("NOOP")
    assert "ann" not in debian.run("imapstatectl", "show", "clients") and "bob" in debian.run("imapstatectl", "show", "clients")
    assert "upstream.conf" in debian.run("imapstated", "-n", "-c", "/etc/imapstate/imapstated.conf")  # it is as it was


def test_removed_it_leaves_what_was_configured(debian, port):
    for pid in debian.daemons():
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not debian.daemons())
    debian.run("dpkg", "--remove", "imapstate", "libimapstate-dev", "libimapstate0")
    assert not debian.path("/usr/sbin/imapstated").exists()
    for name in ("/etc/imapstate/imapstated.conf", "/etc/imapstate/conf.d/upstream.conf", "/var/lib/imapstate/keys"):
        assert debian.path(name).exists()


def test_purged_it_leaves_what_is_the_administrators(debian, port):
    debian.run("dpkg", "--purge", "imapstate", "libimapstate-dev", "libimapstate0")
    left = set(debian.files()) - set(debian.before)
    assert left == {"/etc/imapstate", "/etc/imapstate/conf.d", "/etc/imapstate/conf.d/upstream.conf"}
    assert "imapstate:" in accounts(debian)["passwd"]  # who may own a file keeps his number


def test_purged_it_leaves_nothing_of_its_own(debian, built):
    debian.install(package(built, "imapstate"))
    shutil.rmtree(debian.path("/etc/imapstate/conf.d"))
    debian.run("dpkg", "--purge", "imapstate")
    assert debian.files() == debian.before
    assert accounts(debian) == debian.accounts_before
