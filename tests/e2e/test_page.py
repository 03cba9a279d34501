"""The status page, in Chromium: what a person sees of it, and that it asks nobody but the gateway."""
import base64
import hashlib
import json
import re
import shutil
import urllib.request

import pytest

from harness.gateway import listener, upstream
from harness.net import LOOPBACK, free_port
from harness.patience import PATIENCE_S, wait_until

try:
    from selenium import webdriver
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.chrome.service import Service
except ImportError:
    webdriver = None

WIDTHS = 360, 768, 1280
SCHEMES = "light", "dark"
HOUR_POINTS = 360
_FLAGS = ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
          "disable-component-update", "disable-sync", "disable-dev-shm-usage")

# Of each element that has text of its own: the ratio of contrast (WCAG 2.2) to what is behind it.
_CONTRASTS = """
const parts = (color) => color.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((all, c, i) => all + c * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (element) => {
    const color = parts(getComputedStyle(element).backgroundColor);
    return (color[3] ?? 1) || !element.parentElement ? color : behind(element.parentElement);
};
return [...document.body.querySelectorAll('*')]
    .filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .map((e) => {
        const [low, high] = [light(parts(getComputedStyle(e).color)), light(behind(e))].sort((a, b) => a - b);
        return [(high + 0.05) / (low + 0.05), e.textContent];
    });
"""

# What stands out of the window to the right, but for what is cut off there.
_OVERFLOW = """
return [...document.body.querySelectorAll('*')].filter((e) => e.checkVisibility() && !e.closest('thead'))
    .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map((e) => e.outerHTML);
"""


class Page:
    """The page of one gateway, in a window."""

    def __init__(self, driver, port):
        self.driver, self.address = driver, f"http://{LOOPBACK}:{port}/"

    def open(self, width=1280, scheme="light"):
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600)
        self.driver.get(self.address)

    def command(self, name, **arguments):
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self, selector):
        """All of it, in one line; "" if it is hidden."""
        shown = self.run("const e = document.querySelector(arguments[0]); return e && e.checkVisibility() ? e.innerText : ''", selector)
        return re.sub(r"\s+", " ", shown).strip()

    def wait_text(self, selector, pattern):
        """For the regular expression. The page asks at once, rather than in some seconds, until the answer is there."""
        def find():
            if match := re.search(pattern, self.text(selector)):
                return match
            self.run("document.dispatchEvent(new Event('visibilitychange'))")
            return None
        return wait_until(find, lambda: f"{pattern} is not in {selector}: {self.text(selector)!r}", every_s=0.1)

    def feed(self, status):
        """What it is told from now on."""
        self.run("const text = arguments[0]; window.fetch = async () => new Response(text)", json.dumps(status))
        self.wait_text("#about", re.escape(status["version"]))

    def requests(self):
        """The addresses of all that the page has asked for since the last call. The browser has pages of its own."""
        messages = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in sent if each["documentURL"].startswith(self.address)]

    def complaints(self):
        """All that stands on the browser's console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if not webdriver or not all(programs):
        pytest.skip("not installed: chromium, chromium-driver, python3-selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for flag in (*_FLAGS, f"user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(service=Service(programs[1]), options=options)
    driver.set_page_load_timeout(PATIENCE_S)
    driver.set_script_timeout(PATIENCE_S)
    yield driver
    driver.quit()


@pytest.fixture
def start_page(start_gateway, driver):
    """start_page(upstreams): a gateway with a status page, and that page."""
    def start(*upstreams, **settings):
        port = free_port()
        gateway = start_gateway(list(upstreams), http={"address": f"{LOOPBACK}:{port}"}, **settings)
        page = Page(driver, port)
        page.requests(), page.complaints()
        return gateway, page
    yield start
    driver.get("about:blank")


def get(address):
    with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
        return answer.read().decode(), answer.headers


def full_status(address):
    """What a gateway says that has much to tell: long names, large numbers, and a gap in the last hour."""
    status = json.loads(get(address + "status.json")[0])
    wave = [None if 100 <= i < 130 else 1000 + i % 7 for i in range(HOUR_POINTS)]
    series = {name: [point and point / (1000 if name == "warm_share" else 1) for point in wave] for name in status["history"]["series"]}
    place = status["upstreams"][0] | {"name": "n" * 63, "address": "[2001:db8:1234:5678:9abc:def0:1234:5678]:993",
                                      "failures": {"connect": 123456, "certificate": 99, "starttls": 5}, "good_s": 7200, "bad_s": 3,
                                      "connections": 12345, "waiting": 2345, "sessions": 123456789, "woken_sessions": 1234567890, "connect_ms": 1234.5}
    lately = {"seconds": 300.0, "logins": dict.fromkeys(status["logins"], 123456), "takes": dict.fromkeys(status["takes"], 123456),
              "octets_in": 12345678, "octets_out": 123456789, "lag_ms_p95": 250.0,
              "login_ms": {"median": 12.5, "p95": 1234.5, "parked_median": 1.5, "accepted_median": 250.0}}
    return status | {
        "host": "a-host-with-a-rather-long-name.mail.example.org", "version": "9.9.9", "not_ready": "no upstream can be reached",
        "started_s": status["now_s"] - 86400 * 100, "upstreams": [place, *status["upstreams"]], "threads_silent": 1,
        "listeners": [{"name": "l" * 63, "clients": 12345, "accepted": 1234567890, "refused": 123456}],
        "certificates": [{"name": "l" * 63, "not_after_s": status["now_s"] + days * 86400} for days in (-1, 5, 300)],
        "logins": dict.fromkeys(status["logins"], 1234567890), "takes": dict.fromkeys(status["takes"], 1234567890),
        "predecessors": {"draining": [{"process": "old-1234567", "clients": 12345, "sessions": 12340}], "silent": 0},
        "reload": {"at_s": status["now_s"] - 5, "is_good": False}, "recent": lately, "hour": lately | {"seconds": 3600.0},
        "history": {"every_s": 10, "end_s": status["now_s"], "count": HOUR_POINTS, "series": series}}


# --- without a browser ---

@pytest.fixture
def start_http(start_gateway):
    """start_http(upstreams): a gateway, and the address of its page."""
    def start(*upstreams, **settings):
        port = free_port()
        return start_gateway(list(upstreams), http={"address": f"{LOOPBACK}:{port}"}, **settings), f"http://{LOOPBACK}:{port}/"
    return start


def test_the_page_allows_its_own_script_and_style_and_no_other(start_http, scripted):
    text, headers = get(start_http(scripted.port)[1])
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    for element in "script", "style":
        inside, = re.findall(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
        assert policy[f"{element}-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"
    assert not re.search(r'\s(on\w+|style)="', text)


def test_the_numbers_name_no_user_and_no_client(start_http, scripted):
    scripted.users["extraordinary"] = "a secret"
    port = free_port()
    gateway, address = start_http(scripted.port, sections=[listener("proxied", port, accept_proxy=True, trusted_networks=LOOPBACK)])
    client = gateway.session("extraordinary", "a secret", port, first=b"PROXY TCP4 203.0.113.77 192.0.2.1 4242 143\r\n")
    wait_until(lambda: json.loads(get(address + "status.json")[0])["clients"]["sessions"] == 1)
    text, headers = get(address + "status.json")
    assert headers["Content-Type"] == "application/json"
    assert "extraordinary" not in text and "203.0.113.77" not in text and "a secret" not in text
    client.logout()


def test_the_numbers_follow_what_happens(start_http, scripted):
    gateway, address = start_http(scripted.port)

    def status():
        return json.loads(get(address + "status.json")[0])

    before = status()
    assert before["clients"] | {"max": 0} == {"now": 0, "sessions": 0, "max": 0}
    assert [row["name"] for row in before["listeners"]] == ["plain", "starttls", "tls"]
    assert [row["name"] for row in before["certificates"]] == ["starttls", "tls"]
    assert [(row["name"], row["address"]) for row in before["upstreams"]] == [("main", None)]
    assert before["not_ready"] is None and not before["draining"] and before["reload"]["is_good"]
    client = gateway.session()
    after = wait_until(lambda: (now := status())["clients"]["sessions"] == 1 and now)
    assert after["logins"]["accepted"] == 1 and after["takes"]["miss"] == 1
    row, = after["upstreams"]
    assert row["address"] == f"{LOOPBACK}:{scripted.port}" and row["good_s"] is not None and row["sessions"] == 1
    client.logout()
    wait_until(lambda: status()["clients"]["now"] == 0)


@pytest.mark.once
def test_the_last_hour_grows_by_a_point_each_ten_seconds(start_http, scripted):
    gateway, address = start_http(scripted.port)
    gateway.session()

    def history():
        now = json.loads(get(address + "status.json")[0])
        return now["history"] if now["history"]["count"] else None

    last_hour = wait_until(history, every_s=0.2)
    assert last_hour["every_s"] == 10
    assert {len(points) for points in last_hour["series"].values()} == {last_hour["count"]}
    assert last_hour["series"]["sessions"][-1] == 1


# --- in a browser ---

@pytest.mark.once
def test_the_page_asks_nobody_but_the_gateway_and_has_no_errors(start_page, scripted):
    _, page = start_page(scripted.port)
    page.open()
    page.wait_text("#state", "^Up$")
    requests = page.requests()
    assert requests[0] == page.address and page.address + "status.json" in requests
    assert not [each for each in requests if not each.startswith((page.address, "data:"))]
    assert page.complaints() == []


@pytest.mark.once
def test_the_page_follows_sessions(start_page, scripted):
    gateway, page = start_page(scripted.port)
    page.open()
    page.wait_text("#figure-sessions", "^0$")
    page.wait_text("#upstreams", "main.* not used yet")
    client = gateway.session()
    page.wait_text("#figure-sessions", "^1$")
    page.wait_text("#upstreams", rf"{LOOPBACK}:{scripted.port} main .*\bup\b")
    page.wait_text("#logins", "accepted, by the upstream 0 1")
    client.logout()
    page.wait_text("#figure-sessions", "^0$")
    assert page.text("#attention") == ""
    assert page.complaints() == []


@pytest.mark.once
def test_the_page_tells_of_an_upstream_that_cannot_be_reached(start_page):
    gateway, page = start_page(upstream(free_port()))
    assert gateway.client().command("LOGIN ann secret").status == b"NO"
    page.open()
    page.wait_text("#state", "^Not ready$")
    assert "no upstream can be reached" in page.text("#attention")
    page.wait_text("#upstreams", "failing")
    assert page.driver.title.startswith("Not ready")


@pytest.mark.once
def test_the_page_says_when_the_gateway_does_not_answer_and_when_it_does_again(start_page, scripted):
    gateway, page = start_page(scripted.port)
    page.open()
    page.wait_text("#state", "^Up$")
    assert page.text("#silence") == ""
    gateway.stop()
    page.wait_text("#silence", "No answer from imapstated since")
    page.wait_text("#state", "^No answer$")
    assert page.text("#figure-sessions") == "0"
    gateway.start()
    page.wait_text("#state", "^Up$")
    assert page.text("#silence") == ""


@pytest.mark.once
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_can_be_read_at_each_width_in_light_and_dark(start_page, scripted, width, scheme):
    _, page = start_page(scripted.port)
    page.open(width, scheme)
    page.wait_text("#state", "^Up$")
    for status in None, full_status(page.address):
        if status:
            page.feed(status)
            assert page.run("return document.querySelectorAll('#attention li').length") == 7
        assert page.run("return document.documentElement.scrollWidth") <= width
        assert page.run(_OVERFLOW) == []
        contrasts = page.run(_CONTRASTS)
        assert len(contrasts) > 50
        assert [each for each in contrasts if each[0] < 4.5] == []
    ground = page.run("return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
    assert (max(ground) < 60) == (scheme == "dark") and (min(ground) > 200) == (scheme == "light")
    assert page.complaints() == []


@pytest.mark.once
def test_the_charts_show_the_last_hour_with_its_gap(start_page, scripted):
    _, page = start_page(scripted.port)
    page.open()
    page.wait_text("#state", "^Up$")
    page.feed(full_status(page.address))
    labels = page.run("return [...document.querySelectorAll('svg.chart')].map((chart) => chart.getAttribute('aria-label'))")
    assert labels[0] == "Sessions, last hour: sessions from 1,000 to 1,006"
    assert len(labels) == 6
    curve = page.run("return document.querySelector('svg.chart .curve').getAttribute('d')")
    assert [round(float(x)) for x in re.findall(r"M([\d.]+)", curve)] == [0, round(1000 * 130 / HOUR_POINTS)]
    assert [float(x) for x in re.findall(r"H([\d.]+)", curve)][-1] == 1000
    bars = page.run("return document.querySelector('svg.chart .bars').getAttribute('d')")
    assert 54 <= bars.count("Z") <= 57  # of 60 minutes, and a part of one, about five are missing
    chart = page.driver.find_element("css selector", "svg.chart")
    webdriver.ActionChains(page.driver).move_to_element(chart).perform()
    assert re.fullmatch(r"\d\d:\d\d:\d\d sessions 1,00\d", page.text(".scale :last-child"))
    assert page.complaints() == []


@pytest.mark.once
def test_a_page_of_a_gateway_that_has_just_begun_says_so(start_page, scripted):
    _, page = start_page(scripted.port)
    page.open()
    page.wait_text("#state", "^Up$")
    status = json.loads(get(page.address + "status.json")[0])
    nothing = status["history"] | {"count": 0, "series": dict.fromkeys(status["history"]["series"], [])}
    page.feed(status | {"version": "9.9.9", "history": nothing, "recent": status["recent"] | {"seconds": 0.0}})
    page.wait_text("#since", "just started")
    assert page.text("#cards").count("nothing yet") == 6
    points = {name: [5, 5] for name in nothing["series"]}
    page.feed(status | {"version": "9.9.8", "history": nothing | {"count": 2, "series": points}})
    page.wait_text("#since", r"so far since \d\d:\d\d:\d\d")
    assert page.complaints() == []


@pytest.mark.once
def test_without_javascript_the_page_says_where_else_the_numbers_are(start_page, scripted):
    _, page = start_page(scripted.port)
    page.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open()
        assert "JavaScript" in page.driver.find_element("css selector", "noscript").text
    finally:
        page.command("Emulation.setScriptExecutionDisabled", value=False)
