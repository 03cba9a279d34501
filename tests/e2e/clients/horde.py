"""Horde's IMAP library, of php-horde-imap-client, by a script for PHP."""
import pathlib

from harness.modules import CLIENTS as MODULES

from .client import APPEND, DELETE, FLAG, LIST, READ, version_in
from .scripts import HERE, ScriptClient

_PACKAGE = "php-horde-imap-client"


class Horde(ScriptClient):
    name = "Horde"
    programs = ("php",)
    command = ("php", "-d", "display_errors=stderr", HERE / "horde.php")
    parts = (LIST, READ, APPEND, FLAG, DELETE)
    logins = ((False, ""), (True, ""))

    @classmethod
    def lacks(cls):
        installed = pathlib.Path("/usr/share/php/Horde/Imap/Client.php").exists()
        return super().lacks() or (None if installed else f"{_PACKAGE} not installed")

    @classmethod
    def version(cls):
        return version_in(("dpkg-query", "-W", _PACKAGE), r"\t([\d.]+)")


class HordeCache(Horde):
    """As Horde's webmail has it."""

    name = "Horde with a cache"
    logins = ()
    sets_up = True
    has_cache = True


class HordeState(Horde):
    name = "Horde with STATE"
    as_is = HordeCache
    module = MODULES / "php-horde" / "src"
