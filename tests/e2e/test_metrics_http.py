"""What asks by HTTP: health, what is refused, and that nobody who asks holds anybody up."""
import contextlib
import http.client
import signal
import socket

import pytest

from harness import net
from harness.gateway import listener, reload
from harness.memory import needs_plain_build, resident_kib
from harness.metrics import Metrics
from harness.patience import PATIENCE_S, wait_until, wait_until_still


@pytest.fixture(name="served")
def fixture_served(start_gateway, scripted):
    """A gateway that is asked by HTTP, and a session on it."""
    settings, metrics = Metrics.settings()
    gateway = start_gateway(scripted.port, **settings)
    gateway.metrics = metrics
    return gateway


def ask(port, octets, *, until_end=True):
    """Sends the octets; gives all that is answered until the other side hangs up."""
    with socket.create_connection((net.LOOPBACK, port), PATIENCE_S) as sock:
        sock.sendall(octets)
        return net.hear_out(sock) if until_end else sock.recv(65536)


def status(port, path, method="GET"):
    connection = http.client.HTTPConnection(net.LOOPBACK, port, timeout=PATIENCE_S)
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer.headers


# By which name


@pytest.mark.parametrize("path", ["/", "/metrics", "/status.json", "/healthz", "/nothing"])
def test_whoever_asks_by_a_name_of_others_reads_nothing(served, path):
    """As a browser does for a web site whose name leads to this address."""
    answer = ask(served.metrics.port, f"GET {path} HTTP/1.1\r\nHost: evil.example:{served.metrics.port}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 421 Misdirected Request\r\n") and b"imapstate_" not in answer


def test_a_name_of_this_host_can_be_given(served):
    request = b"GET /healthz HTTP/1.1\r\nHost: status.example.org\r\n\r\n"
    assert b" 421 " in ask(served.metrics.port, request)
    served.write_config(http=served.settings["http"] | {"host": ["status.example.org"]})
    reload(served)
    assert ask(served.metrics.port, request).startswith(b"HTTP/1.1 200 OK\r\n")
    assert ask(served.metrics.port, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 OK\r\n")


# Health


def test_it_is_alive(served):
    assert status(served.metrics.port, "/healthz")[:2] == (200, "ok\n")


def test_it_is_ready_when_an_upstream_can_be_reached(served, scripted):
    assert status(served.metrics.port, "/readyz")[:2] == (200, "ready\n")
    assert len(scripted.connections) == 1  # for the question: nobody has come yet
    for _ in range(10):
        assert status(served.metrics.port, "/readyz")[0] == 200
    assert len(scripted.connections) == 1


def test_what_sessions_prove_is_not_asked_again(served, scripted):
    served.session()
    made = len(scripted.connections)
    assert status(served.metrics.port, "/readyz")[0] == 200
    assert len(scripted.connections) == made


def test_it_is_not_ready_while_no_upstream_can_be_reached(start_gateway, start_scripted):
    scripted = start_scripted(listen=False)
    settings, metrics = Metrics.settings()
    gateway = start_gateway(scripted.port, **settings)
    assert status(metrics.port, "/readyz")[:2] == (503, "not ready: no upstream can be reached\n")
    assert status(metrics.port, "/healthz")[0] == 200
    scripted.listen()
    # It is asked again after a few seconds at the latest.
    wait_until(lambda: status(metrics.port, "/readyz")[0] == 200)
    assert scripted.connections and gateway.process


def test_it_is_not_ready_while_an_address_is_not_open(served):
    with socket.socket() as taken:
        taken.bind((net.LOOPBACK, 0))
        taken.listen()
        served.sections.append(listener("taken", taken.getsockname()[1]))
        served.write_config()
        reload(served, "reloaded, all but")
        assert status(served.metrics.port, "/readyz")[:2] == (503, "not ready: not all addresses are open\n")
    reload(served)
    assert status(served.metrics.port, "/readyz")[0] == 200


@pytest.mark.parametrize("which", [(), ("plain",)])
def test_it_is_not_ready_while_a_listener_drains(start_gateway, scripted, which):
    settings, metrics = Metrics.settings()
    gateway = start_gateway(scripted.port, control={}, **settings)
    gateway.ctl("drain", *which)
    assert status(metrics.port, "/readyz")[:2] == (503, "not ready: not all addresses are open\n")
    reload(gateway)
    assert status(metrics.port, "/readyz")[0] == 503
    gateway.ctl("resume", *which)
    assert status(metrics.port, "/readyz")[0] == 200


# What is refused


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/../metrics", "/Metrics", "/%00", "//metrics", "/metrics%2f"])
def test_what_is_not_there(served, path):
    assert status(served.metrics.port, path)[:2] == (404, "there is nothing by that name\n")


def test_a_query_is_ignored(served):
    assert status(served.metrics.port, "/healthz?x=y")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_it_can_only_be_read(served, method):
    code, _, headers = status(served.metrics.port, "/metrics", method)
    assert code == 405 and headers["Allow"] == "GET, HEAD"


def test_head_has_no_body(served):
    code, text, headers = status(served.metrics.port, "/metrics", "HEAD")
    assert code == 200 and text == "" and headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("octets,code", [
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n", b"400"),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", b"413"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\n", b"413"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", b"413"),
    (b"GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n", b"400"),
    (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    (b"XYZZY /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
    (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
    (b"HELO there\r\n\r\n", b""),
    (b"\r\n\r\n", b""),
    (b"\0\xff\0\r\n\r\n", b""),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b""),
])
def test_a_request_that_is_none_or_is_too_large_gets_an_error(served, octets, code):
    answer = ask(served.metrics.port, octets)
    assert not answer or answer.split()[1].startswith(code or b"4")
    assert status(served.metrics.port, "/healthz")[0] == 200


def test_one_request_a_connection(served):
    answer = ask(served.metrics.port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    assert answer.count(b"HTTP/1.1 200") == 1 and b"Connection: close" in answer


# Nobody holds anybody up


def test_half_a_request_does_not_last(served):
    """Octet by octet, so that there is always something to read."""
    with socket.create_connection((net.LOOPBACK, served.metrics.port), PATIENCE_S) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        sock.setblocking(False)

        def is_ended():
            try:
                sock.sendall(b"a")
                return sock.recv(1) == b""
            except BlockingIOError:
                return False
            except OSError:
                return True
        wait_until(is_ended)
    served.session().ok("NOOP")


def test_scrapers_that_do_not_read_are_ended(served):
    idle = wait_until_still(lambda: served.metrics.sum("descriptors"))
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect((net.LOOPBACK, served.metrics.port))
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        client = served.session()
        client.ok("NOOP")
        client.close()
        # Theirs are closed while they themselves still have not read.
        served.metrics.wait("descriptors", idle)


def test_many_that_say_nothing_keep_nobody_out(served):
    silent = [socket.create_connection((net.LOOPBACK, served.metrics.port), PATIENCE_S) for _ in range(200)]
    served.session().ok("NOOP")
    assert served.metrics.sum("workers") == 2
    # Those of them that are accepted are few at any time.
    assert served.metrics.sum("descriptors") < 120
    for sock in silent:
        sock.close()
    assert status(served.metrics.port, "/healthz")[0] == 200


@needs_plain_build
def test_what_is_asked_costs_no_memory_for_long(served):
    def scrape():
        for _ in range(300):
            served.metrics.get()
        return resident_kib(served)
    scrape()
    first = scrape()
    assert scrape() < first + 2048


def test_whoever_goes_away_before_the_answer_leaves_nothing(served):
    for _ in range(100):
        with socket.create_connection((net.LOOPBACK, served.metrics.port), PATIENCE_S) as sock:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(20):
        with socket.create_connection((net.LOOPBACK, served.metrics.port), PATIENCE_S) as sock:
            sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert served.metrics.sum("workers") == 2


def test_a_unix_socket(start_gateway, scripted, tmp_path):
    path = tmp_path / "http"
    gateway = start_gateway(scripted.port, http={"address": f"unix:{path}", "unix_mode": "0640"})
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert net.hear_out(sock).endswith(b"\r\n\r\nok\n")
    assert path.stat().st_mode & 0o777 == 0o640 and gateway.process


def test_an_address_goes_from_a_listener_to_it_and_back(start_gateway, scripted):
    port, (settings, metrics) = net.free_port(), Metrics.settings()
    gateway = start_gateway(scripted.port, workers=4, sections=[listener("moves", port)], **settings)
    moves = next(each for each in gateway.sections if each.name == "moves")
    gateway.client(port).close()
    gateway.sections.remove(moves)
    gateway.write_config(http={"address": f"{net.LOOPBACK}:{port}"})
    reload(gateway)
    for _ in range(20):  # each of the sockets has a queue of its own
        assert status(port, "/healthz")[0] == 200
    gateway.sections.append(moves)
    gateway.write_config(**settings)
    reload(gateway)
    for _ in range(20):
        gateway.client(port).close()
    assert metrics.sum("listening") == 1


def test_an_address_in_use_fails_the_start(start_gateway, scripted):
    with socket.socket() as taken:
        taken.bind((net.LOOPBACK, 0))
        taken.listen()
        with pytest.raises(AssertionError, match="http: .*: Address already in use"):
            start_gateway(scripted.port, http={"address": f"{net.LOOPBACK}:{taken.getsockname()[1]}"})


# While it drains, and after another process has taken over


def test_while_it_drains_it_says_so_and_is_not_ready(served):
    kept = served.session()
    served.process.send_signal(signal.SIGQUIT)
    served.wait_log("draining: on SIGQUIT")
    assert status(served.metrics.port, "/readyz")[:2] == (503, "not ready: it drains\n")
    assert status(served.metrics.port, "/healthz")[0] == 200
    assert served.metrics.sum("draining") == 1
    kept.ok("NOOP")
    kept.logout()


def test_whoever_takes_over_is_asked_from_then_on(served):
    kept = served.session()
    served.metrics.wait("clients", 1, state="authenticated")
    old = served.upgrade()
    assert served.metrics.sum("clients_accepted_total") == 0 and served.metrics.sum("draining") == 0
    for _ in range(20):
        assert status(served.metrics.port, "/readyz")[0] == 200
    kept.ok("NOOP")
    served.session()
    assert served.metrics.sum("clients_accepted_total") == 1
    kept.logout()
    kept.close()
    assert old.wait(PATIENCE_S) == 0
    assert served.metrics.sum("clients_accepted_total") == 1
