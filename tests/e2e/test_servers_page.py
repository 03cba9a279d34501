"""docs/servers.md has, for each real server, what `imapstatectl try` measures at it and through the gateway."""
import pathlib
import re

import pytest

from harness.trial import in_clear, round_trips

pytestmark = pytest.mark.every_server

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "servers.md"


def test_the_page_has_what_is_measured(server, gateway):
    user = server.new_user()
    directly = round_trips(in_clear(server.plain_port, user=user))["set up without STATE"]
    through = in_clear(gateway.plain_port, user=user)
    counts = round_trips(through)
    restored = re.search(r"^Restored: (.*)\.$", through.stdout, re.MULTILINE).group(1)
    row = f"| {server.name} | {restored} | {directly} | {counts['set up without STATE']} | {counts['restored']} |"
    assert row in PAGE.read_text().splitlines()
