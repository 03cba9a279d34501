"""The pool is shared by all workers: a connection that one of them parked is taken by any other."""
import threading

import pytest

from harness.gateway import upstream
from harness.imap import Client, Closed
from harness.parking import Lot
from harness.tokens import restore, save

WORKERS = 4


@pytest.fixture(name="start_lot")
def fixture_start_lot(start_scripted, start_gateway, authority, certificate):
    def start(tls, **park):
        scripted = start_scripted(tls=tls, context=authority.server_context(certificate))
        section = upstream(scripted.port, tls=tls or "none", tls_ca_file=str(authority.ca_file)) if tls else upstream(scripted.port)
        return Lot(start_gateway(section, workers=WORKERS, park={"per_user": 8} | park), scripted)
    return start


TLS = pytest.mark.parametrize("tls", [None, "implicit"], ids=["in clear", "TLS"])


@TLS
def test_any_worker_takes_what_another_has_parked(start_lot, tls):
    lot = start_lot(tls)
    first = lot.visit()
    for _ in range(40):  # the kernel deals these out to the workers; by chance all to one once in 4^39
        assert lot.visit() is first
    assert lot.logins == 1


@TLS
def test_p04_a_state_is_taken_by_any_worker(start_lot, tls):
    lot = start_lot(tls)
    client = lot.gateway.session()
    token = save(client, "ENABLE QRESYNC", "NOTIFY SET (personal (MessageNew MessageExpunge))")
    first = lot.mark(client)
    assert lot.leave(client, first)
    for _ in range(20):
        client = lot.gateway.session()
        restore(client, token)
        assert lot.mark(client) is first
        assert lot.leave(client, first)
    assert lot.logins == 1


@TLS
def test_parking_and_taking_from_all_workers_at_once(start_lot, tls):
    """For ThreadSanitizer too: sessions of one user and of several, all the limits at work, at the same time."""
    lot = start_lot(tls, per_user=3, max=5, time="300ms", keepalive="100ms", reauth_interval="700ms", lifetime="1s")
    users = {f"user{number}": f"password {number}" for number in range(3)}
    lot.scripted.users.update(users)
    errors, count = [], [0]

    def hammer(user, password):
        try:
            for number in range(40):
                with Client(lot.gateway.plain_port) as client:
                    client.login(user, password)
                    client.ok("SELECT INBOX" if number % 3 else "NOOP")
                    if number % 2:
                        client.logout()
                count[0] += 1
        except (AssertionError, Closed, OSError) as error:
            errors.append(f"{user}: {error!r}")

    threads = [threading.Thread(target=hammer, args=each) for each in (*users.items(), *users.items())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert lot.logins < count[0], "nothing was ever used again"
    for connection in lot.scripted.sessions:
        owners = {arguments.split(b" ")[0] for name in ("LOGIN",) for arguments in connection.arguments(name)}
        assert len(owners) <= 1
    # Time ends all that waits.
    lot.scripted.wait_for(lambda: all(connection.closed for connection in lot.scripted.sessions))


def test_a_reload_in_the_middle_of_it_does_no_harm(start_lot):
    lot = start_lot(None)
    stop, errors = threading.Event(), []

    def hammer():
        try:
            while not stop.is_set():
                with Client(lot.gateway.plain_port) as client:
                    client.login("ann", "secret")
                    client.ok("NOOP")
                    client.logout()
        except (AssertionError, Closed, OSError) as error:
            errors.append(repr(error))

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for thread in threads:
        thread.start()
    for per_user in (0, 1, 8, 0, 2, 8):
        since = lot.gateway.log_octets()
        lot.gateway.write_config(park={"per_user": per_user})
        lot.gateway.reload()
        lot.gateway.wait_log("reloaded:", since)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors, errors
