"""P8: SAVESTATE."""
import re

import pytest

from harness.gateway import upstream, write_keys
from harness.patience import in_time, let_pass
from harness.tokens import DAY_S, announced, fail_to_restore, restore, save, saved, seconds_left, setup_of

pytestmark = pytest.mark.every_server


def test_p08_savestate_gives_a_token_and_ok(gateway, server):
    client = gateway.session()
    client.ok("STATE")
    client.ok(server.setup)
    answer = client.ok("SAVESTATE")
    assert len(answer.untagged) == 1
    assert re.fullmatch(rb"\* SAVESTATE [A-Za-z0-9_-]{1,2048}\r\n", answer.untagged[0])


@pytest.mark.parametrize("seal_format", [1, 2])
@pytest.mark.parametrize("lifetime_s", [14 * DAY_S, 3600, 7])
def test_p08_the_answer_tells_how_many_seconds_the_token_lives(scripted, start_gateway, lifetime_s, seal_format):
    gateway = start_gateway(scripted.port, token_lifetime=f"{lifetime_s}s", seal_format=seal_format)
    client = gateway.session()
    client.ok("STATE")
    left_s = seconds_left(client.ok("SAVESTATE"))
    granule_s = min(DAY_S, max(lifetime_s // 8, 1)) if seal_format == 2 else 1
    assert lifetime_s <= left_s < lifetime_s + granule_s


def test_p08_the_code_stands_whatever_the_language(scripted, start_gateway):
    client = start_gateway(scripted.port).session()
    client.ok("STATE")
    client.ok("LANGUAGE DE")
    assert seconds_left(client.ok("SAVESTATE")) >= 14 * DAY_S


def test_p08_an_empty_state_is_a_state_too(scripted, scripted_gateway):
    token = save(scripted_gateway.session())
    restore(scripted_gateway.session(), token)
    assert setup_of(scripted.sessions[-1]) == []


def test_p08_after_a_restore_it_includes_the_restored_commands(scripted, scripted_gateway):
    client = scripted_gateway.session()
    restore(client, save(scripted_gateway.session(), "ENABLE X-ONE", "LANGUAGE DE"))
    client.ok("NOTIFY NONE")
    restore(scripted_gateway.session(), saved(client.ok("SAVESTATE")))
    assert setup_of(scripted.sessions[-1]) == ["ENABLE X-ONE", "LANGUAGE DE", "NOTIFY NONE"]


def test_p08_after_a_restore_it_starts_a_new_lifetime(scripted, start_gateway):
    gateway = start_gateway(scripted.port, token_lifetime="4s")

    def live_on():
        """The old token's end lies between its saving and 4 s later, the new one's at least 1.5 s behind."""
        old = save(gateway.session(), "ENABLE X-ONE")
        let_pass(2.5)  # lifetimes count in whole seconds
        client = gateway.session()
        restore(client, old)
        new = saved(client.ok("SAVESTATE"))
        let_pass(1.55)
        fail_to_restore(gateway.session(), old)
        restore(gateway.session(), new)

    in_time(5.4, live_on)


@pytest.mark.parametrize("before", [[], ["ENABLE X-ONE"]])
def test_p08_without_tracking_it_is_no_clientbug(scripted_gateway, before):
    client = scripted_gateway.session()
    for command in before:
        client.ok(command)
    answer = client.no("SAVESTATE")
    assert answer.code == b"CLIENTBUG" and not answer.of("SAVESTATE")
    client.ok("NOOP")


def test_p08_a_session_may_save_more_than_once(scripted, scripted_gateway):
    client = scripted_gateway.session()
    first = save(client, "ENABLE X-ONE")
    again = saved(client.ok("SAVESTATE"))
    client.ok("NOTIFY NONE")
    more = saved(client.ok("SAVESTATE"))
    assert more not in {first, again}
    for token, setup in ((first, ["ENABLE X-ONE"]), (again, ["ENABLE X-ONE"]), (more, ["ENABLE X-ONE", "NOTIFY NONE"])):
        restore(scripted_gateway.session(), token)
        assert setup_of(scripted.sessions[-1]) == setup


def test_p08_whatever_is_announced_fits_into_a_token_and_what_does_not_fit_is_not_announced(start_scripted, start_gateway):
    # So NO [LIMIT] stays a promise: names are shorter than what would leave no room for an empty state.
    long_name = "u" * 1000
    scripted = start_scripted(users={long_name: "secret"})
    gateway = start_gateway(upstream(scripted.port, "x" * 64))
    client = gateway.session(long_name)
    client.ok("STATE")
    kept = []
    for octets in (10, 100, 200, 250, 300, 350, 500):
        command = f"NOTIFY SET (mailboxes {'m' * octets} (MessageNew MessageExpunge))"
        kept = [command] if announced(client.ok(command)) else []
        restore(gateway.session(long_name), saved(client.ok("SAVESTATE")))
        assert setup_of(scripted.sessions[-1]) == kept
    assert not kept


def assert_unavailable(client):
    answer = client.no("SAVESTATE")
    assert answer.code == b"UNAVAILABLE" and not answer.of("SAVESTATE")
    client.ok("NOOP")


def test_p08_without_a_key_that_seals_it_is_no_unavailable(scripted, start_gateway, tmp_path):
    keys = write_keys(tmp_path / "keys", (1, "2999-01-01T00:00:00Z"))
    gateway = start_gateway(scripted.port, keys_file=str(keys))
    client = gateway.session()
    client.ok("STATE")
    assert announced(client.ok("ENABLE X-ONE"))
    assert_unavailable(client)
    gateway.wait_log(r"warning: .*no key seals at this time")


def test_p08_when_a_reload_leaves_no_key_that_seals_old_tokens_still_restore(scripted, start_gateway, tmp_path):
    keys = write_keys(tmp_path / "keys", (1, "2020-01-01T00:00:00Z"))
    gateway = start_gateway(scripted.port, keys_file=str(keys))
    token = save(gateway.session(), "ENABLE X-ONE")
    keys.write_text(keys.read_text().replace("2020", "2999"))
    gateway.reload()
    gateway.wait_log("no key seals at this time")
    client = gateway.session()
    restore(client, token)
    assert_unavailable(client)
