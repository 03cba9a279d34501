"""What a recorded client says from connect to the first command that is about mail, and what STATE would save of it."""

import dataclasses
import re

# What a client does to get ready. Everything else is of use to somebody.
SET_UP = {"CAPABILITY", "ID", "STARTTLS", "LOGIN", "AUTHENTICATE", "ENABLE", "LANGUAGE", "COMPARATOR", "NOTIFY", "NAMESPACE",
          "COMPRESS", "NOOP", "STATE", "SAVESTATE"}
STORABLE = {"ENABLE", "LANGUAGE", "COMPARATOR", "NOTIFY"}
# Queries whose answers stay true as long as the token restores (P12), so that a client may keep them with it.
KEPT_ANSWERS = {"CAPABILITY", "NAMESPACE"}
LOGINS = {"LOGIN", "AUTHENTICATE"}

_COMMAND = re.compile(rb"[^\s+*]+ ((?:UID )?[A-Za-z]+)(?: (.*))?\Z", re.DOTALL)
_DELIMITER_QUERY = 'LIST "" ""'


@dataclasses.dataclass(frozen=True)
class Command:
    name: str       # "..." for what is no command: a SASL response, a literal
    shown: str      # without secrets, and short

    @property
    def is_set_up(self):
        return self.name in SET_UP | {"..."} or self.shown == _DELIMITER_QUERY

    @property
    def is_login(self):
        return self.name in LOGINS


def command_of(line):
    match = _COMMAND.match(line)
    if not match:
        return Command("...", "...")
    name, arguments = match.group(1).decode().upper(), (match.group(2) or b"").decode("latin-1")
    if name == "AUTHENTICATE":
        name_shown = f"{name} {arguments.split(' ')[0]}"
    elif name == "LIST" and arguments == '"" ""' or name in ("ENABLE", "LANGUAGE", "COMPARATOR"):
        name_shown = f"{name} {arguments}"
    else:
        name_shown = name
    return Command(name, name_shown)


def opening(flights):
    """The flights (octets each) up to the first useful command, as lists of Commands. That one is the last in its list; what
    was sent behind it in the same write is left out."""
    opened = []
    for flight in flights:
        commands = [command_of(line) for line in flight.splitlines()]
        useful = next((at for at, command in enumerate(commands) if not command.is_set_up), None)
        opened.append(commands if useful is None else commands[:useful + 1])
        if useful is not None:
            return opened
    raise ValueError(f"no useful command in {flights}")


def derived(opened):
    """What would be left with STATE: behind the login nothing that a token brings back or whose answer is kept with it. STATE
    itself goes out in the write of the next command."""
    logged_in_at = max(at for at, commands in enumerate(opened) if any(command.is_login for command in commands))
    saved = STORABLE | KEPT_ANSWERS
    left = []
    for at, commands in enumerate(opened):
        rest = commands if at <= logged_in_at else [command for command in commands if command.name not in saved]
        if rest:
            left.append(rest)
    return left


def shown(opened):
    return " → ".join(" + ".join(command.shown for command in commands) for commands in opened)
