"""Names of upstreams: which addresses a gateway takes for them, for how long, and what follows when they change."""
import socket

import pytest

from harness import net
from harness.dns import GARBAGE, NameServer, SILENCE, Surroundings, Swallower, TRUNCATED
from harness.gateway import listener, upstream
from harness.patience import in_time, let_pass, wait_until
from harness.scripted import Scripted
from harness.trial import attempt

NAME = "mail.test"
ASKED_MAX = 3  # one question, to a name server that is busy


class ScriptedAt(Scripted):
    """On an address and a port that are given."""

    def __init__(self, host, port, **habits):
        super().__init__(listen=False, **habits)
        self.host, self.port = host, port
        self.listen()

    def listen(self):
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, self.port), family=family)
        self._start(self._accept, self._listener)


@pytest.fixture(autouse=True, scope="module")
def _for_root_only(tmp_path_factory):
    why_not = Surroundings(tmp_path_factory.mktemp("surroundings")).why_not()
    if why_not:
        pytest.skip(why_not)


@pytest.fixture(name="start_names")
def fixture_start_names():
    servers = []

    def start():
        servers.append(NameServer())
        return servers[-1]
    yield start
    for server in servers:
        server.stop()


@pytest.fixture(name="names")
def fixture_names(start_names):
    return start_names()


@pytest.fixture(name="start_at")
def fixture_start_at():
    """start_at("127.0.0.2"): a scripted upstream there; all of a test have one port."""
    servers, port = [], net.free_port()

    def start(host, kind=ScriptedAt):
        servers.append(kind(host, port))
        return servers[-1]
    start.port = port
    yield start
    for server in servers:
        server.stop()


@pytest.fixture(name="surroundings")
def fixture_surroundings(tmp_path, names):
    return Surroundings(tmp_path, names)


@pytest.fixture(name="gate")
def fixture_gate(start_gateway, start_at, surroundings):
    """gate(): a gateway in front of NAME, which has the scripted upstreams' port."""
    def start(name=NAME, connect_timeout=None, balance=None, **settings):
        own = {"connect_timeout": connect_timeout, "balance": balance}
        given = {option: value for option, value in own.items() if value}
        return start_gateway(upstream(f"{name}:{start_at.port}", **given), prefix=surroundings.prefix, **settings)
    return start


def visit(gateway):
    """A login, and the end of its session."""
    client = gateway.client()
    answer = client.command("LOGIN ann secret")
    client.close()
    return answer


def assert_served(gateway, server):
    """The next session is at this server."""
    before = len(server.sessions)
    assert visit(gateway).status == b"OK"
    assert len(server.sessions) == before + 1


def wait_served(gateway, server):
    """Sessions are at this server sooner or later: a busy name server is not waited for."""
    before = len(server.sessions)
    wait_until(lambda: visit(gateway).status == b"OK" and len(server.sessions) > before, every_s=0.1)


# Answers

@pytest.mark.parametrize("what", ["NXDOMAIN", "SERVFAIL", "REFUSED", "NOTIMP", "FORMERR", "NOTAUTH", "NOERROR", SILENCE, GARBAGE])
@pytest.mark.parametrize("odd,address", [("AAAA", "127.0.0.2"), ("A", "::1")])
def test_what_is_odd_about_one_family_does_not_hinder_the_other(names, start_at, gate, what, odd, address):
    """Nor is a silent one waited for until it is given up, which takes longer than the login has."""
    names.host(NAME, address)
    names.override(NAME, odd, what)
    server = start_at(address)
    gateway = gate(connect_timeout="6s")
    assert_served(gateway, server)
    assert_served(gateway, server)
    assert names.count(NAME, "A") > 0 and names.count(NAME, "AAAA") > 0


def test_an_address_that_leads_back_to_the_gateway_is_passed_over(names, start_at, gate):
    names.host(NAME, "127.0.0.3", "127.0.0.2")
    server = start_at("127.0.0.2")
    gateway = gate(sections=[listener("own", 0, address=f"127.0.0.3:{start_at.port}", upstream="main")])
    assert_served(gateway, server)
    gateway.wait_log(rf'upstream=main address=127\.0\.0\.3:{start_at.port}: it leads to listener "own", and so back to this gateway')
    server.stop()
    names.host(NAME, "127.0.0.3")
    gateway.reload()
    gateway.wait_log("reloaded:")
    wait_until(lambda: visit(gateway).code == b"UNAVAILABLE", every_s=0.1)
    assert "from=127.0.0.3" not in gateway.log()  # it has never come to itself


def test_a_truncated_answer_is_asked_for_over_tcp(names, start_at, gate):
    names.host(NAME, "127.0.0.2")
    names.override(NAME, "A", TRUNCATED)
    assert_served(gate(), start_at("127.0.0.2"))
    assert names.over_tcp > 0


def test_a_name_may_have_more_addresses_than_are_used(names, start_at, gate):
    """Not all of them are taken, and the first that are tried do not serve."""
    names.host(NAME, *(f"127.0.{net}.{host}" for net in (1, 2) for host in range(1, 200)), "127.0.0.2")
    gateway = gate()
    assert visit(gateway).code == b"UNAVAILABLE"
    names.host(NAME, "127.0.0.2", *(f"127.0.{net}.{host}" for net in (1, 2) for host in range(1, 200)))
    gateway.reload()
    gateway.wait_log("reloaded:")
    assert_served(gateway, start_at("127.0.0.2"))
    assert gateway.log().count("Connection refused") <= 4 * 32


def test_an_alias_leads_to_the_addresses_of_its_target(names, start_at, gate):
    names.alias("imap.test", "other.test")
    names.alias("other.test", NAME)
    names.host(NAME, "127.0.0.2")
    assert_served(gate("imap.test"), start_at("127.0.0.2"))


def test_aliases_in_a_circle_lead_nowhere(names, gate):
    names.alias(NAME, "other.test")
    names.alias("other.test", NAME)
    assert visit(gate()).code == b"UNAVAILABLE"


def test_a_short_name_is_completed_as_resolv_conf_says(names, start_at, gate, surroundings):
    surroundings.write_resolv_conf(f"nameserver {names.address}\nsearch nowhere.test example.test")
    names.host("mail.example.test", "127.0.0.2")
    server = start_at("127.0.0.2")
    assert_served(gate("mail"), server)
    assert names.count("mail.nowhere.test", "A") > 0
    assert_served(gate("mail.example.test"), server)
    assert_served(gate("mail.example.test."), server)


@pytest.mark.parametrize("line", ["options ndots:-5 timeout:x attempts:0 rotate", "nameserver 300.1.2.3", "nameserver mail.test", "search",
                                  "nonsense", "options ndots:99", "# " + "x" * 6000])
def test_what_is_odd_in_resolv_conf_does_no_harm(names, start_at, gate, surroundings, line):
    surroundings.write_resolv_conf(f"{line}\nnameserver {names.address}")
    names.host(NAME, "127.0.0.2")
    assert_served(gate(), start_at("127.0.0.2"))


def test_an_address_asks_nobody(names, start_at, gate):
    server = start_at("127.0.0.2")
    assert_served(gate("127.0.0.2"), server)
    assert names.count("127.0.0.2") == 0


def test_an_answer_is_heard_at_once(names, start_at, gate):
    names.host(NAME, "127.0.0.2", ttl=0)
    server, gateway = start_at("127.0.0.2"), gate()
    in_time(0.9, lambda: assert_served(gateway, server))


def test_an_answer_that_comes_late_is_waited_for(names, start_at, gate):
    names.host(NAME, "127.0.0.2")
    names.hold()
    server, gateway = start_at("127.0.0.2"), gate()
    client = gateway.client(greet=False)
    client.send(b"a LOGIN ann secret\r\n")
    wait_until(lambda: names.count(NAME, "A") >= 2)  # it was asked again
    names.release()
    assert client.wait("a").status == b"OK" and len(server.sessions) == 1


def test_a_name_server_that_is_silent_is_waited_for_until_connect_timeout(names, gate):
    names.is_silent = True
    gateway = gate(connect_timeout="500ms")
    assert visit(gateway).code == b"UNAVAILABLE"
    gateway.wait_log(f"warning: upstream=main address={NAME}: name resolution timed out")


def test_the_next_name_server_is_asked_if_one_is_silent(names, start_names, start_at, gate, surroundings):
    silent = start_names()
    silent.is_silent = True
    surroundings.write_resolv_conf(f"nameserver {silent.address}\nnameserver {names.address}")
    names.host(NAME, "127.0.0.2")
    assert_served(gate(), start_at("127.0.0.2"))
    assert silent.count(NAME) > 0


def test_addresses_take_turns_where_the_order_is_asked_for(names, start_at, gate):
    names.host(NAME, "127.0.0.2", "127.0.0.3")
    servers = [start_at("127.0.0.2"), start_at("127.0.0.3")]
    gateway = gate(balance="order")
    for _ in range(4):
        assert visit(gateway).status == b"OK"
    assert all(server.sessions for server in servers)


# For how long

def test_an_answer_is_kept_for_its_ttl_by_all_workers(names, start_at, gate):
    names.host(NAME, "127.0.0.2", ttl=300)
    server, gateway = start_at("127.0.0.2"), gate(workers=4)
    for _ in range(12):
        assert_served(gateway, server)
    assert names.count(NAME, "A") <= ASKED_MAX and names.count(NAME, "AAAA") <= ASKED_MAX


def test_with_a_ttl_of_0_each_connection_asks_once(names, start_at, gate):
    names.host(NAME, "127.0.0.2", ttl=0)
    old, new, gateway = start_at("127.0.0.2"), start_at("127.0.0.3"), gate()
    assert_served(gateway, old)
    before = names.count(NAME, "A")
    assert_served(gateway, old)
    assert before < names.count(NAME, "A") <= before + ASKED_MAX
    names.host(NAME, "127.0.0.3", ttl=0)
    wait_served(gateway, new)


def test_when_its_ttl_is_over_a_name_is_followed(names, start_at, gate):
    names.host(NAME, "127.0.0.2", ttl=1)
    old, new, gateway = start_at("127.0.0.2"), start_at("127.0.0.3"), gate()
    assert_served(gateway, old)
    names.host(NAME, "127.0.0.3", ttl=1)
    wait_served(gateway, new)


@pytest.mark.parametrize("ttl", [300, 2**31 - 1, 2**32 - 1])
def test_a_reload_asks_for_names_before_their_ttl_is_over(names, start_at, gate, ttl):
    names.host(NAME, "127.0.0.2", ttl=ttl)
    old, new, gateway = start_at("127.0.0.2"), start_at("127.0.0.3"), gate()
    assert_served(gateway, old)
    names.host(NAME, "127.0.0.3", ttl=ttl)
    gateway.reload()
    wait_served(gateway, new)


def test_the_ttl_of_an_alias_counts_too(names, start_at, gate):
    names.alias(NAME, "one.test", ttl=1)
    names.host("one.test", "127.0.0.2", ttl=300)
    names.host("two.test", "127.0.0.3", ttl=300)
    old, new, gateway = start_at("127.0.0.2"), start_at("127.0.0.3"), gate()
    assert_served(gateway, old)
    names.alias(NAME, "two.test", ttl=1)
    wait_served(gateway, new)


@pytest.mark.parametrize("what", ["NXDOMAIN", "NOERROR"])
def test_a_name_that_is_gone_is_unavailable_until_it_is_back(names, start_at, gate, what):
    names.host(NAME, "127.0.0.2", ttl=0)
    server, gateway = start_at("127.0.0.2"), gate()
    assert_served(gateway, server)
    names.override(NAME, "A", what)
    names.override(NAME, "AAAA", what)
    assert visit(gateway).code == b"UNAVAILABLE"
    gateway.wait_log(f"warning: client=\\S+ session=\\S+ upstream=main address={NAME}: the name has no address")
    names.override(NAME, "A", None)
    names.override(NAME, "AAAA", None)
    wait_served(gateway, server)


# Outages

@pytest.mark.parametrize("what", [SILENCE, "SERVFAIL", "REFUSED", "NOTAUTH", GARBAGE])
def test_in_an_outage_the_last_known_addresses_go_on_being_used(names, start_at, gate, what):
    names.host(NAME, "127.0.0.2", ttl=1)
    old, new, gateway = start_at("127.0.0.2"), start_at("127.0.0.3"), gate(workers=4)
    assert_served(gateway, old)
    for kind in ("A", "AAAA"):
        names.override(NAME, kind, what)
    let_pass(1.2)
    for _ in range(8):  # of all workers
        assert_served(gateway, old)
    line = f"warning: resolver: name={NAME}: .*; the addresses that were known last go on being used"
    gateway.wait_log(line)
    for _ in range(8):
        assert_served(gateway, old)
    names.host(NAME, "127.0.0.3", ttl=1)
    for kind in ("A", "AAAA"):
        names.override(NAME, kind, None)
    wait_served(gateway, new)
    gateway.wait_log(f"info: resolver: name={NAME}: there are answers again")
    assert gateway.log().count("go on being used") == 1


def test_a_late_answer_is_not_waited_for_where_there_is_an_older_one(names, start_at, gate):
    names.host(NAME, "127.0.0.2", ttl=1)
    old, new, gateway = start_at("127.0.0.2"), start_at("127.0.0.3"), gate()
    assert_served(gateway, old)
    names.hold()
    names.host(NAME, "127.0.0.3", ttl=1)
    let_pass(1.2)
    assert_served(gateway, old)
    names.release()
    wait_served(gateway, new)


def test_without_a_name_server_at_the_start_logins_work_as_soon_as_there_is_one(names, start_at, gate, surroundings):
    surroundings.write_resolv_conf("nameserver 127.255.255.254")
    names.host(NAME, "127.0.0.2")
    server, gateway = start_at("127.0.0.2"), gate()
    assert visit(gateway).code == b"UNAVAILABLE"
    surroundings.write_resolv_conf(f"nameserver {names.address}")
    wait_served(gateway, server)


# The files

def test_another_resolv_conf_is_heeded(names, start_names, start_at, gate, surroundings):
    other = start_names()
    names.host(NAME, "127.0.0.2")
    other.host(NAME, "127.0.0.3")
    old, new, gateway = start_at("127.0.0.2"), start_at("127.0.0.3"), gate()
    assert_served(gateway, old)
    surroundings.write_resolv_conf(f"nameserver {other.address}")
    wait_served(gateway, new)


def test_what_the_hosts_file_says_is_all_there_is(names, start_at, gate, surroundings):
    surroundings.write_hosts(f"127.0.0.2 other.test {NAME}")
    names.host(NAME, "::1", "127.0.0.3")
    assert_served(gate(), start_at("127.0.0.2"))
    assert names.count(NAME) == 0


def test_what_the_hosts_file_does_not_say_is_known_no_more(names, start_at, gate, surroundings):
    names.host(NAME, "::1")
    old, new, gateway = start_at("::1"), start_at("127.0.0.2"), gate()
    assert_served(gateway, old)
    surroundings.write_hosts(f"127.0.0.2 {NAME}")
    wait_served(gateway, new)
    for _ in range(2):
        assert_served(gateway, new)


def test_another_hosts_file_is_heeded(names, start_at, gate, surroundings):
    names.host(NAME, "127.0.0.2")
    servers = [start_at(f"127.0.0.{last}") for last in (2, 3, 4)]
    gateway = gate()
    assert_served(gateway, servers[0])
    for server in servers[1:]:
        surroundings.write_hosts(f"{server.host} {NAME}")
        wait_served(gateway, server)
    surroundings.write_hosts("")
    wait_served(gateway, servers[0])


def test_localhost_needs_neither(names, start_at, gate, surroundings):
    surroundings.write_hosts("")
    server = start_at("127.0.0.1")
    assert_served(gate("localhost"), server)
    assert names.count("localhost") == 0


# Dead addresses

def test_an_address_that_is_silent_costs_no_login_its_time_and_is_given_up_once(names, start_at, gate):
    names.host(NAME, "127.0.0.2", "127.0.0.3")
    start_at("127.0.0.2", Swallower)
    server, gateway = start_at("127.0.0.3"), gate(connect_timeout="4s", workers=4, balance="order")
    for _ in range(8):
        in_time(2, lambda: assert_served(gateway, server))
    gateway.wait_log("address=127.0.0.2:.*timed out")
    assert_served(gateway, server)
    assert gateway.log().count("timed out") == 1


def test_an_address_that_refuses_is_tried_last_until_it_is_the_only_one(names, start_at, gate):
    names.host(NAME, "127.0.0.2", "127.0.0.3")
    server, gateway = start_at("127.0.0.3"), gate(workers=4, balance="order")
    for _ in range(8):
        assert_served(gateway, server)
    assert gateway.log().count("Connection refused") == 1
    server.stop_listening()
    late = start_at("127.0.0.2")
    assert_served(gateway, late)


def test_after_sighup_it_is_found_out_at_once_whether_it_lives(names, start_at, gate):
    names.host(NAME, "127.0.0.2", "127.0.0.3")
    server, gateway = start_at("127.0.0.3"), gate(balance="order")
    assert_served(gateway, server)
    assert_served(gateway, server)
    gateway.wait_log("address=127.0.0.2:.*Connection refused")
    late = start_at("127.0.0.2")
    assert_served(gateway, server)
    gateway.reload()
    gateway.wait_log("reloaded:")
    late.wait_for(lambda: late.connections)
    wait_served(gateway, late)


# Services

SERVICE = f"_imap._tcp.{NAME}"


@pytest.fixture(name="service_gate")
def fixture_service_gate(start_gateway, surroundings):
    """service_gate(): a gateway whose upstream is SERVICE."""
    def start(name=SERVICE, **settings):
        own = {option: settings.pop(option) for option in ("balance", "connect_timeout") if option in settings}
        return start_gateway(upstream(f"srv:{name}", **own), prefix=surroundings.prefix, **settings)
    return start


def test_a_service_leads_to_the_hosts_and_ports_that_the_dns_tells(names, start_at, service_gate):
    names.service(SERVICE, (20, 0, start_at.port, "b.test"), (10, 0, start_at.port, "a.test"))
    names.host("a.test", "127.0.0.2")
    names.host("b.test", "127.0.0.3")
    first, second = start_at("127.0.0.2"), start_at("127.0.0.3")
    gateway = service_gate()
    for _ in range(3):
        assert_served(gateway, first)
    first.stop_listening()  # RFC 2782: then the next priority
    assert_served(gateway, second)


def test_targets_of_a_priority_serve_by_their_weights(names, start_at, service_gate):
    names.service(SERVICE, (0, 1, start_at.port, "a.test"), (0, 99, start_at.port, "b.test"))
    names.host("a.test", "127.0.0.2")
    names.host("b.test", "127.0.0.3")
    light, heavy = start_at("127.0.0.2"), start_at("127.0.0.3")
    gateway = service_gate(balance="order")
    for _ in range(12):
        assert visit(gateway).status == b"OK"
    assert len(heavy.sessions) > len(light.sessions)


def test_a_service_that_was_cut_off_is_asked_for_over_tcp(names, start_at, service_gate):
    names.service(SERVICE, (0, 0, start_at.port, "a.test"))
    names.host("a.test", "127.0.0.2")
    names.override(SERVICE, "SRV", TRUNCATED)
    assert_served(service_gate(), start_at("127.0.0.2"))
    assert names.over_tcp > 0


@pytest.mark.parametrize("what", ["dot", "none", "NXDOMAIN", "SERVFAIL", GARBAGE])
def test_a_service_that_is_not_offered_is_unavailable_until_it_is(names, start_at, service_gate, what):
    names.service(SERVICE, *([(0, 0, 0, ".")] if what == "dot" else []), ttl=1)
    names.host("a.test", "127.0.0.2")
    names.override(SERVICE, "SRV", None if what in ("dot", "none") else what)
    server, gateway = start_at("127.0.0.2"), service_gate()
    assert visit(gateway).code == b"UNAVAILABLE"
    names.override(SERVICE, "SRV", None)
    names.service(SERVICE, (0, 0, start_at.port, "a.test"))
    wait_served(gateway, server)


def test_a_service_is_followed_and_what_is_parked_where_it_was_ends(names, start_at, service_gate):
    names.service(SERVICE, (0, 0, start_at.port, "a.test"), ttl=1)
    names.host("a.test", "127.0.0.2")
    names.host("b.test", "127.0.0.3")
    old, new = start_at("127.0.0.2"), start_at("127.0.0.3")
    gateway = service_gate(park={"per_user": 4})
    connection = park(gateway, old)
    names.service(SERVICE, (0, 0, start_at.port, "b.test"), ttl=1)
    assert_ended(old, connection)
    gateway.wait_log("park: ended: the upstream's name leads elsewhere")
    wait_served(gateway, new)


def test_a_host_of_a_service_is_followed_too(names, start_at, service_gate):
    names.service(SERVICE, (0, 0, start_at.port, "a.test"), ttl=300)
    names.host("a.test", "127.0.0.2", ttl=1)
    old, new = start_at("127.0.0.2"), start_at("127.0.0.3")
    gateway = service_gate(park={"per_user": 4})
    connection = park(gateway, old)
    names.host("a.test", "127.0.0.3", ttl=1)
    assert_ended(old, connection)
    wait_served(gateway, new)


@pytest.mark.parametrize("what", [SILENCE, "SERVFAIL"])
def test_in_an_outage_a_service_leads_where_it_did(names, start_at, service_gate, what):
    names.service(SERVICE, (0, 0, start_at.port, "a.test"), ttl=1)
    names.host("a.test", "127.0.0.2", ttl=300)
    server, gateway = start_at("127.0.0.2"), service_gate()
    assert_served(gateway, server)
    names.override(SERVICE, "SRV", what)
    let_pass(1.2)
    assert_served(gateway, server)
    gateway.wait_log(f"warning: resolver: name=srv:{SERVICE}: .*; the addresses that were known last go on being used")


# Parked connections

def park(gateway, server):
    """Leaves a session's connection behind, parked; gives it."""
    since = gateway.log_octets()
    client = gateway.session()
    connection = server.sessions[-1]
    client.logout()
    gateway.wait_log("park: parked", since)
    return connection


def assert_ended(server, connection):
    server.wait_for(lambda: connection.closed)
    assert connection.names[-1] == "LOGOUT"


@pytest.fixture(name="lot")
def fixture_lot(names, start_at, gate):
    """(gateway, old, new): NAME has old's address."""
    names.host(NAME, "127.0.0.2", ttl=1)
    return gate(park={"per_user": 4}), start_at("127.0.0.2"), start_at("127.0.0.3")


def test_parked_connections_to_an_address_that_the_name_has_no_more_end(names, lot):
    gateway, old, new = lot
    connection = park(gateway, old)
    names.host(NAME, "127.0.0.3", ttl=1)
    assert_ended(old, connection)
    gateway.wait_log("park: ended: the upstream's name leads elsewhere")
    assert_served(gateway, new)


def test_a_session_from_before_a_move_stays_and_is_not_parked(names, lot):
    gateway, old, new = lot
    client = gateway.session()
    connection = old.sessions[-1]
    parked = gateway.session()
    parked.logout()
    names.host(NAME, "127.0.0.3", ttl=1)
    gateway.wait_log("park: ended: the upstream's name leads elsewhere")
    client.ok("NOOP")
    assert not connection.closed
    client.logout()
    assert_ended(old, connection)
    assert_served(gateway, new)


def test_a_name_that_is_gone_has_no_parked_connections(names, lot):
    gateway, old, _ = lot
    connection = park(gateway, old)
    names.forget(NAME)
    assert_ended(old, connection)


@pytest.mark.parametrize("what", ["SERVFAIL", SILENCE])
def test_in_an_outage_parked_connections_stay(names, lot, what):
    gateway, old, _ = lot
    connection = park(gateway, old)
    for kind in ("A", "AAAA"):
        names.override(NAME, kind, what)
    gateway.wait_log("go on being used")
    client = gateway.session()
    client.ok("NOOP")
    assert len(old.sessions) == 1 and not connection.closed


def test_parked_connections_stay_where_the_name_only_has_more_addresses(names, lot):
    gateway, old, _ = lot
    connection = park(gateway, old)
    names.host(NAME, "127.0.0.3", "::1", "127.0.0.2", ttl=1)
    before = names.count(NAME, "A")
    wait_until(lambda: names.count(NAME, "A") >= before + 2)
    gateway.session().ok("NOOP")
    assert len(old.sessions) == 1 and not connection.closed


def test_a_family_that_fails_ends_no_parked_connections(names, start_at, gate):
    names.host(NAME, "::1", "127.0.0.3", ttl=1)
    server, _ = start_at("::1"), start_at("127.0.0.3")
    gateway = gate(park={"per_user": 4})
    connection = park(gateway, server)
    names.override(NAME, "AAAA", "SERVFAIL")
    before = names.count(NAME, "A")
    wait_until(lambda: names.count(NAME, "A") >= before + 2)
    gateway.session().ok("NOOP")
    assert len(server.sessions) == 1 and not connection.closed


@pytest.mark.parametrize("way", ["SIGHUP", "hosts", "resolv.conf"])
def test_whatever_shows_that_a_name_has_moved_ends_parked_connections(names, start_names, start_at, gate, surroundings, way):
    names.host(NAME, "127.0.0.2", ttl=3600)
    old, new, gateway = start_at("127.0.0.2"), start_at("127.0.0.3"), gate(park={"per_user": 4})
    connection = park(gateway, old)
    if way == "SIGHUP":
        names.host(NAME, "127.0.0.3", ttl=3600)
        gateway.reload()
    elif way == "hosts":
        surroundings.write_hosts(f"127.0.0.3 {NAME}")
    else:
        other = start_names()
        other.host(NAME, "127.0.0.3", ttl=3600)
        surroundings.write_resolv_conf(f"nameserver {other.address}")
    assert_ended(old, connection)
    assert_served(gateway, new)


def test_names_are_asked_for_only_while_something_is_parked(names, start_at, gate):
    names.host(NAME, "127.0.0.2", ttl=1)
    gateway = gate()
    assert_served(gateway, start_at("127.0.0.2"))
    before = names.count(NAME, "A")
    let_pass(3)
    assert names.count(NAME, "A") == before


# imapstatectl try

def try_name(start_at, surroundings, *words):
    return attempt(NAME, "--port", start_at.port, "--plain", "--user", "ann", *words, password="secret", prefix=surroundings.prefix)


@pytest.mark.parametrize("what", [None, TRUNCATED, "hosts"])
def test_a_trial_finds_what_the_gateway_finds(names, start_at, surroundings, what):
    if what == "hosts":
        surroundings.write_hosts(f"127.0.0.2 {NAME}")
    else:
        names.host(NAME, "::1", "127.0.0.2")
        names.override(NAME, "A", what)
    server = start_at("127.0.0.2")
    try_name(start_at, surroundings)
    assert server.sessions


def test_a_trial_is_told_that_there_is_no_such_name(start_at, surroundings):
    done = try_name(start_at, surroundings)
    assert done.returncode == 1 and f"{NAME} port {start_at.port}: Domain name not found" in done.stderr


def test_a_trial_has_its_time_for_the_name_too(names, start_at, surroundings):
    names.is_silent = True
    done = try_name(start_at, surroundings, "--timeout", 1)
    assert done.returncode == 1 and "no answer from the resolver within 1 s" in done.stderr
