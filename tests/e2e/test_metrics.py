"""/metrics: each counter moves when what it counts happens, and the whole is what Prometheus can read."""
import json
import pathlib
import re
import shutil
import socket
import ssl
import subprocess

import pytest

from harness import net
from harness.gateway import reload, upstream, write_keys
from harness.metrics import Metrics, parse
from harness.parking import Lot
from harness.patience import wait_until
from harness.scripted import CLOSE
from harness.tokens import fail_to_restore, restore, save

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "packaging" / "prometheus"


@pytest.fixture(name="start")
def fixture_start(start_gateway):
    """start(upstreams, **settings): a gateway, and its metrics."""
    def start(upstreams, **settings):
        http, metrics = Metrics.settings()
        gateway = start_gateway(upstreams, **http, **settings)
        gateway.metrics = metrics
        return gateway, metrics
    return start


@pytest.fixture(name="lot")
def fixture_lot(start, scripted):
    gateway, _ = start(scripted.port, park={"per_user": 4})
    return Lot(gateway, scripted)


# The form


def promtool(*arguments, **options):
    program = shutil.which("promtool")
    assert program, "promtool is missing: packaging/install-packages prometheus"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, **options)


def test_promtool_finds_nothing_wrong(lot):
    lot.visit()
    text, headers = lot.gateway.metrics.get()
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    checked = promtool("check", "metrics", input=text)
    assert checked.returncode == 0 and not checked.stderr and not checked.stdout, checked


def test_openmetrics_is_given_to_whoever_likes_it_better(lot):
    metrics = lot.gateway.metrics
    text, headers = metrics.get(Accept="application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("\n# EOF\n") and metrics.get()[0].endswith("\n# EOF\n")
    names = {name for name, _ in parse(text)}
    assert names == {name for name, _ in metrics.scrape()}
    # A sample of a family follows its TYPE, with the suffix that its type has (OpenMetrics 1.0).
    family = kind = None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split()
        elif not line.startswith("#"):
            name = re.match(r"\w+", line).group()
            suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}[kind]
            assert name in [family + suffix for suffix in suffixes], line


def test_no_users_name_is_in_them(start, start_scripted):
    user, password = "a-name-of-its-own", "a-word-of-its-own"
    scripted = start_scripted(users={user: password})
    gateway, _ = start(scripted.port, park={"per_user": 4})
    lot = Lot(gateway, scripted)
    lot.visit(user=user, password=password)
    lot.gateway.client().no(f"LOGIN {user}2 wrong")
    for path in "/metrics", "/healthz", "/readyz":
        text = lot.gateway.metrics.get(path)[0]
        assert user not in text and password not in text


def documented():
    """{name: its row} of the table in docs/operations.md."""
    page = (ROOT / "docs" / "operations.md").read_text()
    section = page[page.index("\n## Monitoring\n"):]
    return dict(re.findall(r"^\| `(imapstate_\w+)(?:\{[^`]*\})?` \| (.*)$", section, re.M))


def test_every_name_is_in_the_documentation_and_no_other(lot):
    text = lot.gateway.metrics.get()[0]
    told = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    rows = documented()
    assert set(rows) == set(told)
    for name, kind in told.items():
        assert rows[name].split(" | ")[0] == kind, name


def queries():
    """Where, and what: all that the alerts and the dashboard ask."""
    rules = (PROMETHEUS / "imapstate.rules.yml").read_text()
    yield from (("alerts", text) for text in re.findall(r"^ +expr: (?:\|\n((?: {10}.*\n)+)|(.*))", rules, re.M) for text in text if text)
    dashboard = json.loads((PROMETHEUS / "grafana.json").read_text())
    yield from ((panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel["targets"])
    yield from (("variables", each["definition"]) for each in dashboard["templating"]["list"] if "definition" in each)


def test_what_grafana_and_the_alerts_ask_for_exists(lot):
    lot.visit()
    text = lot.gateway.metrics.get()[0]
    told = {}
    for name, labels in parse(text):
        told.setdefault(name, set()).update(dict(labels))
    told |= {name: set() for name in re.findall(r"^# TYPE (\S+) ", text, re.M) if name not in told and not any(
        each.startswith(name + "_") for each in told)}
    asked = list(queries())
    assert len(asked) > 40
    for where, query in asked:
        names = re.findall(r"\b(imapstate_\w+)(?:\{([^}]*)\})?", query)
        assert names or "up{" in query, (where, query)
        for name, matchers in names:
            assert name in told, (where, name)
            labels = set(re.findall(r"(\w+)(?==)", matchers)) - {"instance", "job", "process"}
            assert labels <= told[name], (where, name, labels - told[name])


def test_promtool_takes_the_alerts_and_they_fire_when_they_should():
    checked = promtool("check", "rules", "imapstate.rules.yml", cwd=PROMETHEUS)
    assert checked.returncode == 0, checked
    tested = promtool("test", "rules", "imapstate.rules.test.yml", cwd=PROMETHEUS)
    assert tested.returncode == 0, tested


def test_each_alert_says_what_it_is_about():
    rules = (PROMETHEUS / "imapstate.rules.yml").read_text()
    assert rules.count("- alert: ") == rules.count("severity: ") == rules.count("summary: ") > 10


# Clients


def test_clients_by_listener_and_state(scripted, start):
    gateway, metrics = start(scripted.port)
    first, second = gateway.session(), gateway.client()
    metrics.wait("clients", 1, listener="plain", state="authenticated")
    metrics.wait("clients", 1, listener="plain", state="not_authenticated")
    assert metrics.sum("clients_accepted_total", listener="plain") == 2
    assert metrics.sum("clients", listener="tls") == 0
    first.logout()
    for client in first, second:
        client.close()
    metrics.wait("clients", 0)
    metrics.wait("sessions_ended_total", 1, reason="logout")
    metrics.wait("sessions_ended_total", 1, reason="client disconnected")


def test_who_is_refused_is_counted_by_the_limit(scripted, start):
    gateway, metrics = start(scripted.port, max_clients_per_address=1)
    kept = gateway.session()
    for _ in range(2):
        assert gateway.client().greeting.startswith(b"* BYE ")
    metrics.wait("clients_refused_total", 2, listener="plain", reason="max_clients_per_address")
    assert metrics.sum("clients_refused_total") == 2 and metrics.sum("clients_accepted_total") == 1
    kept.ok("NOOP")


def test_logins_by_result(scripted, start):
    gateway, metrics = start(scripted.port)
    gateway.session()
    metrics.wait("logins_total", 1, upstream="main", result="accepted")
    assert metrics.sum("login_seconds_count", by="upstream") == 1
    scripted.on("LOGIN", "NO [AUTHENTICATIONFAILED] no")
    gateway.client().no("LOGIN ann wrong")
    metrics.wait("logins_total", 1, result="refused")
    gateway.client(gateway.starttls_port).no("LOGIN ann secret")
    metrics.wait("logins_total", 1, result="cleartext")
    client = gateway.client()
    client.bad("LOGIN ann")
    metrics.wait("logins_total", 1, result="malformed")
    assert metrics.sum("login_seconds_count") == 1


def test_a_login_by_the_park_and_what_it_finds(lot):
    metrics = lot.gateway.metrics
    lot.visit()
    metrics.wait("park_puts_total", 1)
    metrics.wait("parked_connections", 1, upstream="main")
    assert metrics.sum("park_takes_total", result="miss") == 1
    lot.visit()
    metrics.wait("logins_total", 1, result="parked")
    metrics.wait("park_takes_total", 1, result="pristine")
    assert metrics.sum("login_seconds_count", by="parked") == 1
    assert metrics.sum("upstream_sessions_total", by="park") == 1
    assert metrics.sum("upstream_sessions_total", by="login") == 1


def test_restores_by_result(lot):
    metrics = lot.gateway.metrics
    client = lot.gateway.session()
    token = save(client, "ENABLE QRESYNC")
    connection = lot.mark(client)
    assert lot.leave(client, connection)
    metrics.wait("tokens_saved_total", 1)
    back = lot.gateway.session()
    restore(back, token)
    metrics.wait("restores_total", 1, result="warm")
    metrics.wait("park_takes_total", 1, result="warm")
    other = lot.gateway.session()
    restore(other, token)  # its connection is in use
    metrics.wait("restores_total", 1, result="cold")
    fail_to_restore(lot.gateway.session("bob", "hunter2"), token)
    metrics.wait("restores_total", 1, result="other_user")
    fail_to_restore(lot.gateway.session(), "nonsense")
    metrics.wait("restores_total", 1, result="malformed")
    assert metrics.sum("restores_total") == 4


# Upstreams


def test_connections_to_upstreams_by_address(scripted, start):
    gateway, metrics = start(scripted.port)
    address = f"{net.LOOPBACK}:{scripted.port}"
    client = gateway.session()
    client.ok("NOOP")
    metrics.wait("upstream_connections", 1, upstream="main", address=address, stage="session")
    assert metrics.sum("upstream_connect_seconds_count", address=address) >= 1
    assert metrics.sum("upstream_reachable", upstream="main") == 1
    client.close()
    metrics.wait("upstream_connections", 0)


def test_failures_of_an_upstream_by_reason(start):
    port = net.free_port()
    gateway, metrics = start(port)
    gateway.client().no("LOGIN ann secret")
    # The one that asks for the list before login, too.
    wait_until(lambda: metrics.sum("upstream_failures_total", address=f"{net.LOOPBACK}:{port}", reason="connect") >= 2)
    metrics.wait("logins_total", 1, result="unavailable")
    assert metrics.sum("upstream_reachable", upstream="main") == 0


def test_a_session_whose_upstream_is_lost(scripted, start):
    gateway, metrics = start(scripted.port)
    client = gateway.session()
    scripted.on("NOOP", CLOSE)
    client.send("a NOOP\r\n")
    metrics.wait("upstream_failures_total", 1, reason="lost")
    metrics.wait("sessions_ended_total", 1, reason="upstream closed")


def test_parked_connections_that_end(start, scripted):
    gateway, metrics = start(scripted.port, park={"per_user": 1, "time": "100ms"})
    Lot(gateway, scripted).visit()
    metrics.wait("park_ends_total", 1, upstream="main", reason="time")
    metrics.wait("parked_connections", 0)


def test_what_is_not_parked(start, scripted):
    gateway, metrics = start(scripted.port, park={"per_user": 1})
    client = gateway.session()
    client.bad("XYZZY")
    client.close()
    metrics.wait("park_refusals_total", 1, reason="doubt")
    assert metrics.sum("park_puts_total") == 0


def test_an_account_that_is_under_suspicion(lot):
    metrics = lot.gateway.metrics
    lot.visit()
    assert metrics.sum("suspended_accounts") == 0
    lot.scripted.on("LOGIN", "NO [AUTHENTICATIONFAILED] no")
    lot.gateway.client().no("LOGIN ann guess")
    metrics.wait("suspended_accounts", 1)


# Octets, TLS


def test_octets_on_both_sides(scripted, start):
    gateway, metrics = start(scripted.port)
    client = gateway.session()
    before = {(side, way): metrics.sum("octets_total", side=side, direction=way)
              for side in ("client", "upstream") for way in ("in", "out")}
    client.ok("NOOP")
    assert metrics.sum("octets_total", side="client", direction="in") > before["client", "in"]
    command = metrics.sum("octets_total", side="client", direction="in") - before["client", "in"]
    metrics.wait("octets_total", before["upstream", "out"] + command, side="upstream", direction="out")
    answer = metrics.sum("octets_total", side="upstream", direction="in") - before["upstream", "in"]
    metrics.wait("octets_total", before["client", "out"] + answer, side="client", direction="out")


def test_handshakes_by_side_and_version(start, dovecot, authority, trust):
    gateway, metrics = start(upstream(dovecot.tls_port, tls="implicit", tls_ca_file=str(authority.ca_file), tls_name="localhost"))
    gateway.client(gateway.tls_port, tls=trust)
    metrics.wait("tls_handshakes_total", 1, side="client", version="TLSv1.3", resumed="false")
    old = authority.client_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    gateway.client(gateway.tls_port, tls=old)
    metrics.wait("tls_handshakes_total", 1, side="client", version="TLSv1.2")
    with socket.create_connection((net.LOOPBACK, gateway.tls_port)) as rude:
        rude.sendall(b"a LOGIN ann secret\r\n")
        net.hear_out(rude)
    metrics.wait("tls_handshake_failures_total", 1, side="client")
    assert metrics.sum("tls_handshakes_total", side="upstream", version="TLSv1.3") >= 1


# The daemon


def test_reloads_and_what_came_of_them(scripted, start):
    gateway, metrics = start(scripted.port)
    assert metrics.sum("config_last_reload_success") == 1
    gateway.write_config(epoch=9)
    reload(gateway)
    assert metrics.sum("config_reloads_total", result="taken") == 1 and metrics.sum("epoch") == 9
    gateway.config_file.write_text("nonsense")
    reload(gateway, "reload failed")
    metrics.wait("config_reloads_total", 1, result="failed")
    assert metrics.sum("config_last_reload_success") == 0 and metrics.sum("epoch") == 9


def test_a_reload_moves_it_and_turns_it_off(scripted, start):
    gateway, metrics = start(scripted.port)
    before, moved = metrics.port, Metrics.settings()
    gateway.write_config(**moved[0])
    reload(gateway)
    assert moved[1].sum("workers") == 2
    with pytest.raises(OSError):
        metrics.get()
    gateway.write_config(http={"address": [f"{net.LOOPBACK}:{before}", f"{net.LOOPBACK}:{moved[1].port}"]})
    reload(gateway)
    assert metrics.sum("workers") == moved[1].sum("workers") == 2
    gateway.write_config(http={"address": []})
    reload(gateway)
    for each in metrics, moved[1]:
        with pytest.raises(OSError):
            each.get()


def test_keys_and_certificates(scripted, start, tmp_path, certificate):
    keys = write_keys(tmp_path / "keys", (0x1234, "2020-01-01T00:00:00Z"))
    gateway, metrics = start(scripted.port, keys_file=str(keys))
    assert metrics.sum("sealing_key_info", id=str(0x1234)) == 1
    end = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in", certificate[0]],
                         check=True, capture_output=True, text=True).stdout.strip()
    told = metrics.sum("certificate_not_after_timestamp_seconds", listener="tls")
    want = subprocess.run(["date", "-u", "-d", end.removeprefix("notAfter="), "+%s"], check=True, capture_output=True, text=True).stdout
    assert told == int(want)
    assert metrics.sum("certificate_not_after_timestamp_seconds", listener="plain") == 0
    assert gateway.process


def test_descriptors_workers_and_their_lag(scripted, start):
    gateway, metrics = start(scripted.port, workers=2)
    assert metrics.sum("workers") == 3 and metrics.sum("workers_late") == 0
    before = metrics.sum("descriptors")
    assert 0 < before < metrics.sum("descriptors_max")
    clients = [gateway.client() for _ in range(5)]
    wait_until(lambda: metrics.sum("descriptors") >= before + len(clients) - 1)
    # Once a second, of each.
    wait_until(lambda: all(metrics.sum("loop_lag_seconds_count", worker=str(worker)) >= 2 for worker in (0, 1, 255)))
