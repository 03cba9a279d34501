"""A reload takes listeners, addresses and workers, and nothing of it ends a session or loses who is in a queue."""
import os
import pathlib
import re
import socket
import threading

import pytest

from harness.gateway import Section, listener, reload
from harness.imap import Client
from harness.net import LOOPBACK, free_port
from harness.patience import wait_until

PARTLY = "error: reloaded, all but what is named above"


def write_and_reload(gateway, expect="reloaded: ", **settings):
    gateway.write_config(**settings)
    return reload(gateway, expect)


def is_refused(target):
    family, address = (socket.AF_UNIX, target) if isinstance(target, str) else (socket.AF_INET, (LOOPBACK, target))
    with socket.socket(family) as sock:
        return sock.connect_ex(address) != 0


def test_a_listener_is_added_and_one_is_taken_away(scripted_gateway):
    kept, gone_port, new_port = scripted_gateway.session(), scripted_gateway.plain_port, free_port()
    scripted_gateway.sections[0] = listener("other", new_port)
    write_and_reload(scripted_gateway)
    scripted_gateway.session(listener_port=new_port).ok("NOOP")
    wait_until(lambda: is_refused(gone_port))
    kept.ok("SELECT INBOX")
    scripted_gateway.sections[0] = listener("plain", gone_port)
    write_and_reload(scripted_gateway)
    scripted_gateway.session().ok("NOOP")
    kept.ok("FETCH 1 BODY[]")
    kept.logout()


def test_listeners_change_their_order_and_each_keeps_its_own(scripted_gateway, trust):
    kept = scripted_gateway.session()
    scripted_gateway.sections[0:3] = scripted_gateway.sections[2::-1]
    write_and_reload(scripted_gateway)
    assert b"LOGINDISABLED" in scripted_gateway.client(scripted_gateway.starttls_port).ok("CAPABILITY").of("CAPABILITY")[0]
    scripted_gateway.session(listener_port=scripted_gateway.tls_port, tls=trust).ok("NOOP")
    scripted_gateway.session().ok("NOOP")
    kept.ok("NOOP")


def test_an_address_is_added_to_a_listener_and_taken_from_it(scripted_gateway):
    first, second = scripted_gateway.plain_port, free_port()
    kept = scripted_gateway.session()
    scripted_gateway.sections[0]["address"] = [f"{LOOPBACK}:{first}", f"{LOOPBACK}:{second}"]
    write_and_reload(scripted_gateway)
    kept_too = scripted_gateway.session(listener_port=second)
    scripted_gateway.sections[0]["address"] = f"{LOOPBACK}:{second}"
    write_and_reload(scripted_gateway)
    wait_until(lambda: is_refused(first))
    scripted_gateway.session(listener_port=second).ok("NOOP")
    kept.ok("NOOP")
    kept_too.ok("NOOP")


def test_a_wider_address_takes_the_place_of_a_narrower_one(scripted_gateway):
    port = scripted_gateway.plain_port
    scripted_gateway.sections[0]["address"] = f"*:{port}"
    write_and_reload(scripted_gateway)
    scripted_gateway.session().ok("NOOP")
    assert re.search(rf"^ *\d+: 00000000:{port:04X} 00000000:0000 0A", pathlib.Path("/proc/net/tcp").read_text(), re.M)


def test_an_address_that_cannot_be_had_is_named_and_the_rest_is_taken(scripted_gateway):
    second = free_port()
    with socket.create_server((LOOPBACK, 0)) as other:
        taken = other.getsockname()[1]
        scripted_gateway.sections += [listener("taken", taken), listener("second", second)]
        log = write_and_reload(scripted_gateway, PARTLY)
    line = scripted_gateway.config_file.read_text().split('listener "taken"')[0].count("\n") + 1
    assert re.search(rf'error: \S+:{line}: listener "taken": {LOOPBACK}:{taken}: Address already in use\n', log), log
    scripted_gateway.session().ok("NOOP")
    scripted_gateway.session(listener_port=second).ok("NOOP")
    reload(scripted_gateway)  # it is free now
    scripted_gateway.session(listener_port=taken).ok("NOOP")


def threads(gateway):
    return len(os.listdir(f"/proc/{gateway.process.pid}/task"))


def workers_that_logged_in(gateway, since=0):
    return {match[-2:] for match in re.findall(r"client=(\w+) session=\S+ from=\S+ user=ann .* login: mechanism", gateway.log(since))}


def test_there_are_more_workers_after_a_reload(scripted, start_gateway):
    gateway = start_gateway(scripted.port, workers=1)
    kept, before = gateway.session(), threads(gateway)
    write_and_reload(gateway, workers=4)
    assert threads(gateway) == before + 3
    for _ in range(40):
        gateway.session()
    assert len(workers_that_logged_in(gateway)) >= 3
    kept.ok("NOOP")


def test_who_comes_by_the_socket_of_a_worker_that_is_not_wanted_any_more_is_served(scripted, start_gateway):
    """The kernel goes on spreading clients over the four sockets: the one worker has all of them."""
    gateway = start_gateway(scripted.port, workers=4)
    kept = [gateway.session() for _ in range(20)]
    write_and_reload(gateway, workers=1)
    gateway.session()  # whoever was being accepted in the meantime has been
    seen = gateway.log_octets()
    for _ in range(40):
        gateway.session().ok("NOOP")
    wait_until(lambda: len(workers_that_logged_in(gateway, seen)) == 1)
    for client in kept:
        client.ok("NOOP")
    before = threads(gateway)
    write_and_reload(gateway, workers=3)
    assert threads(gateway) == before  # they were there
    gateway.session().ok("NOOP")


def test_a_unix_socket_comes_changes_its_permissions_and_goes(scripted_gateway, tmp_path):
    path = tmp_path / "imap.sock"
    scripted_gateway.sections.append(Section("listener", "local", address=f"unix:{path}", tls="none"))
    write_and_reload(scripted_gateway)
    kept = scripted_gateway.session(listener_port=str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    scripted_gateway.sections[-1]["unix_mode"] = "0666"
    write_and_reload(scripted_gateway)
    assert path.stat().st_mode & 0o777 == 0o666
    scripted_gateway.session(listener_port=str(path)).ok("NOOP")
    scripted_gateway.sections.pop()
    write_and_reload(scripted_gateway)
    wait_until(lambda: is_refused(str(path)))
    kept.ok("NOOP")


@pytest.mark.parametrize("workers", [(2, 3), (3, 1)])
def test_reloads_that_change_everything_about_listeners_lose_nobody(scripted, start_gateway, workers):
    """Clients come and go at an address that stays, while other addresses come and go, and workers too."""
    gateway = start_gateway(scripted.port, workers=workers[0])
    stop, problems, served = threading.Event(), [], []

    def work():
        try:
            while not stop.is_set():
                with Client(gateway.plain_port) as client:
                    client.login("ann", "secret")
                    client.logout()
                    served.append(1)
        except BaseException as problem:  # pylint: disable=broad-except
            problems.append(repr(problem))

    kept = [gateway.session() for _ in range(8)]
    clients = [threading.Thread(target=work) for _ in range(3)]
    for thread in clients:
        thread.start()
    for turn in range(10):
        other = listener(f"turn{turn}", free_port())
        gateway.sections[3:3] = [other]
        gateway.sections[0:3] = gateway.sections[2::-1]
        write_and_reload(gateway, workers=workers[turn % 2])
        gateway.sections.remove(other)
    wait_until(lambda: len(served) > 20 or problems)
    stop.set()
    for thread in clients:
        thread.join()
    assert not problems
    for client in kept:
        client.ok("NOOP")
        client.logout()


def test_what_a_reload_opens_is_closed_again_if_it_fails(scripted_gateway):
    port = free_port()
    scripted_gateway.sections.append(listener("more", port))
    write_and_reload(scripted_gateway, "reload failed; ", keys_file="/nonexistent")
    assert is_refused(port)
    scripted_gateway.session().ok("NOOP")


def test_a_reload_of_the_same_leaves_the_number_of_descriptors_as_it_is(scripted, start_gateway):
    gateway = start_gateway(scripted.port, workers=2)
    folder = f"/proc/{gateway.process.pid}/fd"
    reload(gateway)
    before = len(os.listdir(folder))
    for _ in range(5):
        reload(gateway)
    wait_until(lambda: len(os.listdir(folder)) == before)
