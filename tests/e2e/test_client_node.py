"""clients/node: imapflow with STATE. Its own tests, by Node's test runner, through the gateway to a real server."""
import json
import os
import re
import shutil
import subprocess

import pytest

from harness.dovecot import NEW_USER_PASSWORD
from harness.gateway import listener, upstream
from harness.modules import CLIENTS
from harness.net import free_port
from harness.patience import PATIENCE_S

pytestmark = pytest.mark.once

MODULE = CLIENTS / "node"
TESTS = MODULE / "test" / "imapflow-state.test.js"
NAMES = re.findall(r"^test\('(.*?)',", TESTS.read_text(), re.MULTILINE)
LIBRARIES = {"imapflow": 18, "imapflow-2": 20}  # folders of node_modules, and the oldest Node that each runs on
_RESULT = re.compile(r"^ *(not ok|ok) \d+ - (.*?)\n(.*?)^ *\.\.\.$", re.MULTILINE | re.DOTALL)  # TAP


def node_version():
    if not shutil.which("node"):
        return 0
    shown = subprocess.run(("node", "--version"), capture_output=True, text=True, check=True).stdout
    return int(re.match(r"v(\d+)\.", shown).group(1))


@pytest.fixture(scope="module", name="outcomes", params=LIBRARIES)
def fixture_outcomes(request, _gateways, dovecot, authority):
    """What Node's test runner says of each test: by name ("ok" or "not ok", details)."""
    library = request.param
    if not (MODULE / "node_modules" / library).is_dir():
        pytest.skip("not installed: npm ci --prefix clients/node")
    if node_version() < LIBRARIES[library]:
        pytest.skip(f"this imapflow needs Node {LIBRARIES[library]}")
    compressing = free_port()
    gateway = _gateways("gateway", [upstream(dovecot.plain_port)], sections=[listener("compressing", compressing, compress=True)])
    bearer = dovecot.new_user()
    at = {"direct": dovecot.plain_port, "gateway": gateway.plain_port, "gatewayStarttls": gateway.starttls_port,
          "gatewayTls": gateway.tls_port, "gatewayCompressing": compressing, "ca": str(authority.ca_file), "password": NEW_USER_PASSWORD,
          "users": [dovecot.new_user() for _ in range(100)], "bearer": {"user": bearer, "accessToken": dovecot.jwt(bearer)}}
    done = subprocess.run(("node", "--test", "--test-reporter=tap", str(TESTS)), capture_output=True, text=True, timeout=PATIENCE_S,
                          env=os.environ | {"IMAPFLOW_STATE_TEST": json.dumps(at), "IMAPFLOW": library}, check=False)
    outcomes = {name: (result, details) for result, name, details in _RESULT.findall(done.stdout)}
    assert set(outcomes) == set(NAMES), done.stdout + done.stderr
    assert done.returncode == (any(result == "not ok" for result, _ in outcomes.values())), done.stdout + done.stderr
    print(done.stdout)
    return outcomes


def test_its_package_has_what_is_needed_and_no_more():
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    shown = subprocess.run(("npm", "pack", "--dry-run", "--json"), cwd=MODULE, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout
    package, = json.loads(shown)
    assert {each["path"] for each in package["files"]} == {"LICENSE", "README.md", "imapflow-state.d.ts", "imapflow-state.js", "package.json"}
    assert (MODULE / "LICENSE").read_bytes() == (CLIENTS.parent / "LICENSE").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_node(outcomes, name):
    result, details = outcomes[name]
    assert result == "ok", details
