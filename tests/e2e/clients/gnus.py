"""Gnus, the mail reader of Emacs."""
from .client import APPEND, DELETE, FLAG, LIST, READ, version_in
from .scripts import HERE, ScriptClient


class Gnus(ScriptClient):
    name = "Gnus"
    programs = ("emacs",)
    command = ("emacs", "--batch", "-Q", "--load", HERE / "gnus.el")
    parts = (LIST, READ, APPEND, FLAG, DELETE)
    logins = ((False, ""), (True, ""))
    sets_up = True

    @classmethod
    def version(cls):
        return version_in(("emacs", "--version"), r"GNU (Emacs \S+)")
