"""Evolution's IMAP library, Camel of evolution-data-server, by a program in C."""
import os
import pathlib

from harness import unpacked

from .client import APPEND, DELETE, FLAG, IDLE, LIST, READ, version_in
from .scripts import HERE, ScriptClient

# Where ./install has put the program, and the settings that the library asks for.
_BUILT = pathlib.Path(os.environ.get("IMAPSTATE_CLIENTS", HERE.parents[2] / "build-clients"))


class Evolution(ScriptClient):
    """As it is shipped: with NOTIFY, and without ENABLE. It leaves without LOGOUT."""

    name = "Evolution"
    command = (_BUILT / "camel",)
    parts = (LIST, READ, APPEND, FLAG, DELETE, IDLE)
    logins = ((False, ""), (True, ""))
    own_headers = ("MIME-Version",)
    read_headers = ("MIME-Version", "X-Evolution-Source")
    upstream_logins = 1
    why_upstream = "CONDSTORE may be on by LIST ... RETURN (STATUS (HIGHESTMODSEQ))"

    @classmethod
    def lacks(cls):
        return None if (_BUILT / "camel").exists() else f"no camel in {_BUILT}: tests/e2e/clients/install"

    @classmethod
    def version(cls):
        return version_in(("pkg-config", "--modversion", "camel-1.2"), r"([\d.]+)")

    def environment(self):
        providers = unpacked.folder("camel") / "usr/lib/evolution-data-server/camel-providers"
        return super().environment() | {"EDS_CAMEL_PROVIDER_DIR": str(providers), "GSETTINGS_SCHEMA_DIR": str(_BUILT / "schemas"),
                                        "GSETTINGS_BACKEND": "memory"}


class EvolutionQuick(Evolution):
    """With "Use Quick Resync" ticked."""

    name = "Evolution with Quick Resync"
    parts = (LIST, READ, APPEND, FLAG, DELETE)
    logins = ()
    upstream_logins = 0
    sets_up = True
    has_cache = True
