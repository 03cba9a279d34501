"""imapflow, of npm, by a script for Node."""
import json
import os
import pathlib

from harness.modules import CLIENTS as MODULES

from .client import ALL
from .scripts import HERE, ScriptClient

# Where ./install has put what package-lock.json names.
NODE_MODULES = pathlib.Path(os.environ.get("IMAPSTATE_NODE_MODULES", HERE.parents[2] / "build-clients" / "node_modules"))


class Imapflow(ScriptClient):
    name = "imapflow"
    programs = ("node",)
    command = ("node", HERE / "imapflow.mjs")
    parts = ALL
    logins = ((False, ""), (True, ""))
    sets_up = True

    @classmethod
    def lacks(cls):
        if not (NODE_MODULES / "imapflow").exists():
            return f"imapflow not in {NODE_MODULES}: tests/e2e/clients/install"
        return super().lacks()

    @classmethod
    def version(cls):
        return json.loads((NODE_MODULES / "imapflow" / "package.json").read_text())["version"]

    def environment(self):
        return super().environment() | {"NODE_MODULES": str(NODE_MODULES)}


class ImapflowState(Imapflow):
    name = "imapflow-state"
    as_is = Imapflow
    module = MODULES / "node" / "imapflow-state.js"
    logins = ()
