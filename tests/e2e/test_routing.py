"""Routing by user: two real servers, with different users on each, by domain, by a map and by somebody who is asked."""
import http.server
import json
import threading

import pytest

from harness.gateway import Section, reload, upstream
from harness.net import LOOPBACK, free_port
from harness.patience import wait_until
from harness.tokens import fail_to_restore, restore, save

SETUP = ("ENABLE QRESYNC",)


class Directory:
    """Who knows where whose mail is, as nginx asks: `users` has the headers of each user's answer; status is that of all of them."""

    def __init__(self):
        self.users, self.asked, self.status = {}, [], 200
        directory = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                directory.asked.append(dict(self.headers))
                self.send_response(directory.status)
                headers = directory.users.get(self.headers["Auth-User"], {"Auth-Status": "Invalid login or password"})
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.port = free_port()
        self._server = http.server.ThreadingHTTPServer((LOOPBACK, self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def place(self, user, port, **more):
        self.users[user] = {"Auth-Status": "OK", "Auth-Server": LOOPBACK, "Auth-Port": str(port)} | more

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def directory():
    server = Directory()
    yield server
    server.stop()


@pytest.fixture
def start_routed(start_gateway, dovecot, stock_dovecot):
    """A gateway before both servers, `one` and `two`, whose listeners name neither. Two users are their own on each."""
    def start(*sections, one=None, two=None, **settings):
        stripped = {"user_strip_domain": True}
        return start_gateway(upstream(dovecot.plain_port, name="one", **stripped, **(one or {})),
                             sections=(upstream(stock_dovecot.plain_port, name="two", **stripped, **(two or {})), *sections), **settings)
    return start


def refused(gateway, user, password="secret"):
    client = gateway.client()
    answer = client.command(f'LOGIN "{user}" "{password}"')
    assert answer.status == b"NO"
    return answer.tagged.split(b" ", 1)[1]


def where(client):
    """The server that a session is at, by what is in its inbox."""
    return client.ok("STATUS INBOX (MESSAGES)").of("STATUS")[0]


@pytest.fixture(scope="module")
def ann(dovecot, stock_dovecot):
    """A user of the same name on both servers, with more mail on the second."""
    user, other = dovecot.new_user(), stock_dovecot.new_user()
    while user != other:  # other tests have had users of the one or the other
        if int(user.removeprefix("user")) < int(other.removeprefix("user")):
            user = dovecot.new_user()
        else:
            other = stock_dovecot.new_user()
    assert stock_dovecot.users[user] == dovecot.users[user]
    dovecot.add_message(user)
    for _ in range(3):
        stock_dovecot.add_message(user)
    return user, dovecot.users[user]


def test_users_of_two_domains_are_at_two_servers(start_routed, ann):
    user, password = ann
    gateway = start_routed(Section("route", "one.example", upstream="one"), Section("route", "two.example", upstream="two"),
                           login_failure_delay="0s")
    one = gateway.session(f"{user}@one.example", password)
    two = gateway.session(f"{user}@TWO.example", password)
    assert b"MESSAGES 1)" in where(one) and b"MESSAGES 3)" in where(two)
    token = save(one, *SETUP)
    one.logout()
    fail_to_restore(gateway.session(f"{user}@two.example", password), token)
    restore(gateway.session(f"{user}@one.example", password), token)
    log = gateway.log()
    assert f"user={user} upstream=one" in log and f"user={user} upstream=two" in log
    assert f"given={user}@TWO.example" in log
    assert refused(gateway, f"{user}@three.example", password) == refused(gateway, f"{user}@one.example", "wrong") == refused(gateway, user)
    gateway.wait_log(rf"login failed: .*user={user}@three.example .*upstream=- reason=refused")


def test_parked_connections_of_one_server_serve_nobody_of_the_other(start_routed, ann):
    user, password = ann
    gateway = start_routed(Section("route", "one.example", upstream="one"), Section("route", "two.example", upstream="two"),
                           park={"per_user": 2})
    gateway.session(f"{user}@one.example", password).logout()
    two = gateway.session(f"{user}@two.example", password)
    assert b"MESSAGES 3)" in where(two)
    two.logout()
    one = gateway.session(f"{user}@one.example", password)
    assert b"MESSAGES 1)" in where(one)
    gateway.wait_log(rf"user={user} .*accepted_by=parked")


def test_a_map_says_where_users_are_and_a_reload_moves_them(start_routed, ann, tmp_path, stock_dovecot):
    user, password = ann
    users = tmp_path / "users.map"
    users.write_text(f"# moved last week\n{user} one\nalias@x one user={user}\n@two.example two\n")
    gateway = start_routed(route_map=str(users), login_failure_delay="0s")
    kept = gateway.session(user, password)
    assert b"MESSAGES 1)" in where(kept)
    assert b"MESSAGES 1)" in where(gateway.session("Alias@X", password))
    assert b"MESSAGES 3)" in where(gateway.session(f"{user}@two.example", password))
    users.write_text(f"{user} two\n{user.upper()} one\n")
    log = reload(gateway, "reload failed")
    assert f"{users}:2: this key is in line 1 already" in log
    assert b"MESSAGES 1)" in where(gateway.session(user, password))
    users.write_text(f"{user} one address={LOOPBACK}:{stock_dovecot.plain_port}\n")
    reload(gateway)
    assert b"MESSAGES 3)" in where(gateway.session(user, password))
    kept.ok("NOOP")
    refused(gateway, "alias@x", password)


def test_somebody_else_is_asked_and_hears_no_password(start_routed, ann, directory, dovecot, stock_dovecot):
    user, password = ann
    directory.place(f"{user}@x", stock_dovecot.plain_port, **{"Auth-User": user})
    directory.place("a%0D%0Ab", dovecot.plain_port)
    gateway = start_routed(route_http={"url": f"http://{LOOPBACK}:{directory.port}/route", "upstream": "one"}, login_failure_delay="0s")
    assert b"MESSAGES 3)" in where(gateway.session(f"{user}@x", password))
    assert directory.asked[0]["Auth-User"] == f"{user}@x" and directory.asked[0]["Client-IP"] == LOOPBACK
    assert not any(password in value for value in directory.asked[0].values())
    assert b"MESSAGES 3)" in where(gateway.session(f"{user}@x", password))
    assert len(directory.asked) == 1
    nobody = refused(gateway, "nobody", password)
    assert refused(gateway, f"{user}@x", "wrong") == nobody
    client = gateway.client()
    assert client.command("LOGIN {4+}\r\na\r\nb x").status == b"NO"
    assert directory.asked[-1]["Auth-User"] == "a%0D%0Ab"
    reload(gateway)
    gateway.session(f"{user}@x", password)
    wait_until(lambda: len([asked for asked in directory.asked if asked["Auth-User"] == f"{user}@x"]) == 2)


def test_while_nobody_knows_nobody_is_let_in(start_routed, ann, directory, dovecot):
    user, password = ann
    directory.place(user, dovecot.plain_port)
    directory.status = 302
    gateway = start_routed(route_http={"url": f"http://{LOOPBACK}:{directory.port}/", "upstream": "one"})
    assert refused(gateway, user, password).startswith(b"NO [UNAVAILABLE] ")
    directory.status = 200
    directory.stop()
    assert refused(gateway, user, password).startswith(b"NO [UNAVAILABLE] ")
    gateway.wait_log(r"route: route_http: it cannot be reached")


def test_an_operator_asks_where_a_user_is(start_routed, ann, directory, tmp_path, dovecot, stock_dovecot):
    """What is said is where the login then goes."""
    user, password = ann
    users = tmp_path / "users.map"
    users.write_text(f"alias one user={user}\n\nmoved@x one user={user} address={LOOPBACK}:{stock_dovecot.plain_port}\n@one.example one\n")
    gateway = start_routed(Section("route", "two.example", upstream="two"), route_map=str(users), control={},
                           route_http={"url": f"http://{LOOPBACK}:{directory.port}/secret", "upstream": "two"})

    def told(name):
        row = json.loads(gateway.ctl("--json", "route", name))[0]
        assert row["listener"] == "plain"
        return [row[key] for key in ("upstream", "address", "user", "rule", "matched", "by")]
    for name, want, mail in ((user + "@one.example", ["one", None, user, "route_map", "domain", f"{users}:4"], 1),
                             ("ALIAS", ["one", None, user, "route_map", "user", f"{users}:1"], 1),
                             ("moved@x", ["one", f"{LOOPBACK}:{stock_dovecot.plain_port}", user, "route_map", "user", f"{users}:3"], 3)):
        assert told(name) == want
        assert b"MESSAGES %d)" % mail in where(gateway.session(name, password))
    *section, by = told(f"{user}@TWO.example")
    assert section == ["two", None, user, "route", None] and by.startswith(f"{gateway.config_file}:")
    assert told("nobody") == ["two", None, None, "route_http", None, f"asks http://{LOOPBACK}:{directory.port}"]
    assert directory.asked == []
    assert gateway.ctl("route", "alias").splitlines()[0] == f"plain: one as {user}, by route_map ({users}:1)"
    assert gateway.ctl("route", "moved@x").splitlines()[0] == \
        f"plain: one at {LOOPBACK}:{stock_dovecot.plain_port} as {user}, by route_map ({users}:3)"
    assert gateway.ctl("route", "nobody").splitlines()[0] == f"plain: by route_http (asks http://{LOOPBACK}:{directory.port})"


def test_an_answer_that_leads_back_to_the_gateway_is_refused(start_routed, ann, directory):
    user, password = ann
    gateway = start_routed(route_http={"url": f"http://{LOOPBACK}:{directory.port}/", "upstream": "one"})
    directory.place(user, gateway.plain_port)
    assert refused(gateway, user, password).startswith(b"NO [UNAVAILABLE] ")
    gateway.wait_log("leads to listener \"plain\", and so back to this gateway")


@pytest.mark.parametrize("lines, wrong", [("ann one\nbob three\n", "2: there is no upstream \"three\""),
                                          ("ann one port=3\n", "1: behind the upstream there can be"), (None, "No such file")])
def test_a_map_is_checked_with_the_configuration(start_routed, tmp_path, lines, wrong):
    users = tmp_path / "users.map"
    gateway = start_routed(route_default="one")
    if lines is not None:
        users.write_text(lines)
    gateway.write_config(route_map=str(users))
    log = reload(gateway, "reload failed")
    assert wrong in log and str(users) in log


def test_options_stand_anywhere_and_sections_on_one_line(start_routed, ann):
    user, password = ann
    gateway = start_routed(route_default="one")
    text = gateway.config_file.read_text().replace('route_default = "one"\n', "")
    gateway.config_file.write_text(text + 'route "two.example" { upstream = "two" }\nroute_default = "one"\nroute "one.example"{upstream=one}\n')
    reload(gateway)
    assert b"MESSAGES 1)" in where(gateway.session(user, password))
    assert b"MESSAGES 3)" in where(gateway.session(f"{user}@two.example", password))
