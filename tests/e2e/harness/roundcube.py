"""Roundcube, the webmail itself: Debian's files, unpacked (tests/unpack-servers), with PHP's own web server and a database."""
import html
import http.cookiejar
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import urllib.parse
import urllib.request

import pytest

from . import net, unpacked
from .patience import PATIENCE_S

_TREE = pathlib.Path(__file__).resolve().parents[3]
_README = _TREE / "clients" / "roundcube" / "README.md"
_BASE_CLASS = "usr/share/roundcube/program/lib/Roundcube/rcube_imap_generic.php"
_BOOTSTRAP = "usr/share/roundcube/program/lib/Roundcube/bootstrap.php"
TYPES = ("types",)  # a step of visit(): the types of the base class's members that the plugin writes
_COUNT_MISSING = "echo count(array_diff(['intl', 'mbstring', 'pdo_sqlite'], get_loaded_extensions()));"
_ROUTER = """<?php
define('INSTALL_PATH', '{source}/usr/share/roundcube/');
define('RCUBE_PLUGINS_DIR', '{folder}/plugins/');
chdir(INSTALL_PATH);
require INSTALL_PATH . 'index.php';
"""


def base_class_of_1_7(folder):
    """Debian's base class of the connection, with its list of what is enabled as 1.7 has it: always an array, and taken for
    one."""
    text = (unpacked.folder("roundcube") / _BASE_CLASS).read_text()
    for old, new in (("$extensions_enabled;", "$extensions_enabled = [];"),
                     ("(array)$this->extensions_enabled", "$this->extensions_enabled")):
        assert text.count(old) == 1, f"{_BASE_CLASS} has changed"
        text = text.replace(old, new)
    file = pathlib.Path(folder) / "rcube_imap_generic.php"
    file.write_text(text)
    return file


def lacks():
    """What it needs of this machine and is not there, or None."""
    missing = not shutil.which("php") or _php("-r", _COUNT_MISSING) != "0"
    return "php-cli, php-intl, php-mbstring and php-sqlite3 are not installed" if missing else None


def version():
    return re.search(r"RCUBE_VERSION', '([^']+)'", (unpacked.folder("roundcube") / _BOOTSTRAP).read_text()).group(1)


class Roundcube:
    """One installation. Its config is what an administrator would write, with these options, and the plugin is installed as its
    README says.
    visit() is a request to its framework; log_in() and page() are what a browser does with the whole, which a web server has
    to be started for: stop() ends it."""

    def __init__(self, folder, imap_port, *, plugins=("imapstate",), base_class="", **config):
        if lacks():
            pytest.skip(lacks())
        self.folder, self.source = pathlib.Path(folder), unpacked.folder("roundcube")
        self._base_class = base_class
        for name in ("config", "plugins", "logs", "temp"):
            (self.folder / name).mkdir(parents=True)
        shutil.copy(self.source / "etc/roundcube/defaults.inc.php", self.folder / "config")
        for plugin in (self.source / "usr/share/roundcube/plugins").iterdir():
            (self.folder / "plugins" / plugin.name).symlink_to(plugin)
        install, = re.findall(r"^    (install (?:.*\\\n)*.*)$", _README.read_text(), re.MULTILINE)
        subprocess.run(install.replace("/path/to/roundcube", str(self.folder)), cwd=_TREE, shell=True, timeout=PATIENCE_S, check=True)
        self.configure({"imap_host": f"{net.LOOPBACK}:{imap_port}", "plugins": list(plugins), "imap_auth_type": "PLAIN",
                        "db_dsnw": f"sqlite:///{self.folder}/db?mode=0600", "des_key": "0123456789abcdefghijklmn",
                        "log_dir": f"{self.folder}/logs/", "temp_dir": f"{self.folder}/temp/", "mime_types": "/dev/null",
                        } | config)
        self._server = None
        self._browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def configure(self, options):
        lines = [f"$config['{name}'] = json_decode('{json.dumps(value)}', true);" for name, value in options.items()]
        with open(self.folder / "config" / "config.inc.php", "a") as file:
            file.write("\n".join(["<?php", *lines, "?>", ""]))

    def stop(self):
        if self._server:
            self._server.send_signal(signal.SIGTERM)
            self._server.wait(PATIENCE_S)

    def log(self, name):
        file = self.folder / "logs" / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def exhibit(self):
        logs = [*(self.folder / "logs").glob("*"), *self.folder.glob("server.log")]
        return "Roundcube", "\n".join(f"-- {log.name}\n{log.read_text(errors='replace')[-4000:]}" for log in logs)

    # A request to the framework

    def visit(self, *steps, user="ann", password="secret"):
        """Calls these methods of the storage object, each (name, argument, ...); gives their results."""
        answer = self.attempt(*steps, user=user, password=password)
        assert "error" not in answer, answer
        return answer["results"]

    def attempt(self, *steps, user="ann", password="secret"):
        """The same, but it may fail: {"error": text, "code": number}."""
        return json.loads(_php(_TREE / "tests/e2e/clients/roundcube-visit.php", self.folder, self.folder / "session", user, password,
                               *map(json.dumps, steps), ROUNDCUBE=self.source, BASE_CLASS=self._base_class))

    # What a browser does

    def log_in(self, user, password):
        """Gives the page that a browser then shows."""
        self._start()
        form = re.search(r'name="_token" value="([^"]+)"', self._load())
        return self._load(data={"_token": html.unescape(form.group(1)), "_task": "login", "_action": "login", "_user": user,
                                "_pass": password, "_timezone": "UTC", "_url": ""})

    def page(self, **query):
        return self._load({f"_{name}": value for name, value in query.items()})

    def list_messages(self, mailbox="INBOX"):
        """As a page does that is shown already; gives what it is to change."""
        return json.loads(self.page(task="mail", action="list", mbox=mailbox, remote=1))

    def _start(self):
        router = self.folder / "router.php"
        router.write_text(_ROUTER.format(source=self.source, folder=self.folder))
        self.make_database()
        self.serve(router)

    def make_database(self):
        schema = self.source / "usr/share/roundcube/SQL/sqlite.initial.sql"
        _php("-r", f"(new PDO('sqlite:{self.folder}/db'))->exec(file_get_contents('{schema}'));")

    def serve(self, what):
        """A router script, or a folder."""
        self._port = net.free_port()
        served = ("-t", str(what)) if what.is_dir() else (str(what),)
        with open(self.folder / "server.log", "wb") as log:
            self._server = subprocess.Popen(("php", "-S", f"{net.LOOPBACK}:{self._port}", *served),
                                            env=os.environ | {"ROUNDCUBE_CONFIG_DIR": str(self.folder / "config")},
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        net.wait_for_port(self._port, lambda: self._server.poll() is None)

    def _load(self, query=None, data=None):
        return self.load(f"?{urllib.parse.urlencode(query or {})}", urllib.parse.urlencode(data).encode() if data else None)

    def load(self, path, data=None):
        with self._browser.open(f"http://{net.LOOPBACK}:{self._port}/{path}", data, timeout=PATIENCE_S) as answer:
            return answer.read().decode()


def _php(*arguments, **environment):
    done = subprocess.run(("php", *map(str, arguments)), env=os.environ | {name: str(value) for name, value in environment.items()},
                          capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("ERROR: Login failed for ")]
    assert done.returncode == 0 and not complaints, done.stdout + done.stderr
    return done.stdout
