"""What changes while connections wait: the upstream's list, the configuration. Nobody is served by what is out of date."""
import pytest

from harness.gateway import upstream
from harness.parking import Lot, log_out
from harness.scripted import AFTER
from harness.tokens import restore, save

ENABLE = "ENABLE QRESYNC"


@pytest.fixture(name="lot")
def fixture_lot(scripted, start_gateway):
    return Lot(start_gateway(scripted.port, park={"per_user": 8}), scripted)


def test_p12_a_connection_in_the_state_but_with_another_list_serves_no_token(lot):
    """Two are in the state; the newer has the list of today, which the client is shown, and turns out dead."""
    client = lot.gateway.session()
    save(client, ENABLE)
    outdated = lot.mark(client)
    assert lot.leave(client, outdated)
    lot.scripted.caps_after = AFTER + " X-NEW"
    client = lot.gateway.session()
    assert b"X-NEW" in client.ok("NOOP").of("CAPABILITY")[0]
    token = save(client, ENABLE)
    newer = lot.mark(client)
    assert newer is not outdated and lot.leave(client, newer)
    newer.hang_up()

    client = lot.gateway.session()
    answer = restore(client, token)
    assert answer.of("CAPABILITY") == []
    landed = lot.mark(client)
    assert landed is not outdated and landed is not newer
    assert landed.arguments("ENABLE") == [b"QRESYNC"]
    assert log_out(lot.gateway, client) == "cold"
    lot.wait_closed(outdated)


def test_a_session_from_before_a_reload_parks_nothing_at_the_old_server(start_scripted, start_gateway):
    old, new = start_scripted(), start_scripted()
    gateway = start_gateway(old.port, park={"per_user": 8})
    session = gateway.session()
    session.ok("NOOP")
    gateway.sections = [section for section in gateway.sections if section.kind != "upstream"] + [upstream(new.port)]
    since = gateway.log_octets()
    gateway.write_config()
    gateway.reload()
    gateway.wait_log("reloaded:", since)
    session.logout()
    old.wait_for(lambda: old.sessions[0].closed)
    client = gateway.session()
    client.ok("NOOP")
    assert len(new.sessions) == 1 and len(old.sessions) == 1
