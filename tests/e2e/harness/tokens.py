"""STATE and SAVESTATE as a client uses them, with what the rules say of every such answer."""
import re
import time

DAY_S = 86400
STORABLE = {"ENABLE", "LANGUAGE", "COMPARATOR", "NOTIFY"}
_TOKEN = re.compile(rb"\* (?:SAVE)?STATE ([A-Za-z0-9_-]{1,2048})\r\n\Z")


def save(client, *commands):
    """Tracking on, the commands, SAVESTATE; gives the token as text."""
    client.ok("STATE")
    for command in commands:
        client.ok(command)
    return saved(client.ok("SAVESTATE"))


def saved(answer):
    """The token of a SAVESTATE's answer, which is exactly one untagged line and OK (P8)."""
    assert seconds_left(answer) > 0
    assert len(answer.of("SAVESTATE")) == 1 and answer.untagged[-1] == answer.of("SAVESTATE")[0], answer
    return _TOKEN.match(answer.untagged[-1]).group(1).decode()


def seconds_left(answer):
    """How long the token of a SAVESTATE's answer lives (P8)."""
    assert answer.status == b"OK", answer
    return int(re.fullmatch(rb"STATEEXPIRES ([0-9]+)", answer.code).group(1))


def in_one_day(attempt):
    """What attempt() gives, all of it done in one day of UTC: what is saved within a day is the same (P14)."""
    while True:
        day, result = time.time() // DAY_S, attempt()
        if time.time() // DAY_S == day:
            return result


def assert_restored(answer, token):
    """P4: the same token in an untagged STATE directly before the tagged OK."""
    assert answer.status == b"OK", answer
    assert answer.of("STATE") == [b"* STATE " + token.encode() + b"\r\n"], answer
    assert answer.untagged[-1] == answer.of("STATE")[0], answer


def assert_not_restored(answer):
    """P5: OK with human text, and no untagged STATE."""
    assert answer.status == b"OK" and answer.text, answer
    assert not answer.of("STATE"), answer


def restore(client, token):
    answer = client.ok(f"STATE {token}")
    assert_restored(answer, token)
    return answer


def fail_to_restore(client, token):
    answer = client.ok(f"STATE {token}")
    assert_not_restored(answer)
    return answer


def assert_tracking(client, command="ENABLE CONDSTORE"):
    """A storable command is announced; so tracking is on."""
    assert len(client.ok(command).codes("STATECMD")) == 1, "tracking is off"


def assert_not_tracking(client, command="ENABLE CONDSTORE"):
    assert not client.ok(command).codes("STATECMD"), "tracking is on"


def announced(answer):
    """The tags of the STATECMD codes in an answer. P9: there is at most one, directly before the tagged OK."""
    lines = answer.codes("STATECMD")
    assert not lines or lines == [answer.untagged[-1]], answer
    return [re.match(rb"\* OK \[STATECMD ([^\] ]+)\] .", line).group(1).decode() for line in lines]


def setup_of(connection):
    """The storable commands that a connection of the scripted upstream got, as ["ENABLE QRESYNC", ...]."""
    return [f"{name} {arguments.decode()}".rstrip() for _, name, arguments in list(connection.commands)
            if name in STORABLE]
