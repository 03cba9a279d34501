"""The two examples of draft-imap-state-00, section 3, as printed.

Corrected as docs/protocol.md says: STATE for STORE in the list, the missing OKs, the a-umlaut of "Postfaecher". Token and the texts
that a server words for itself are its own.
"""
import pytest

from harness.scripted import LANGUAGES
from harness.tokens import announced, assert_restored, saved, setup_of

pytestmark = pytest.mark.every_server

BEFORE = "IMAP4rev1 ID ENABLE QRESYNC I18NLEVEL=1 AUTH=PLAIN"
AFTER = "IMAP4rev1 ID ENABLE QRESYNC I18NLEVEL=1"
NAMESPACE = (b'* NAMESPACE (("" "/")) (("Other Users/" "/" "TRANSLATION" ("Andere Ben&APw-tzer/"))) '
             b'(("Public Folders/" "/" "TRANSLATION" ("Gemeinsame Postf&AOQ-cher/")))\r\n')


@pytest.fixture
def scripted(start_scripted):
    return start_scripted(caps_before=BEFORE, caps_after=AFTER)


def example_1(client):
    """Says what the client of example 1 says; gives its token."""
    answer = client.ok("CAPABILITY", tag="A1")
    assert answer.untagged == [b"* CAPABILITY IMAP4rev1 ID ENABLE QRESYNC I18NLEVEL=1 STATE\r\n"]
    answer = client.ok("STATE", tag="A2")
    assert answer.untagged == []
    answer = client.ok('ID ("name" "foo" "version" "1.0")', tag="A3")
    assert answer.untagged == [b'* ID ("name" "foo2" "version" "2.0")\r\n']
    assert answer.tagged == b"A3 OK ID command completed.\r\n"
    answer = client.ok("ENABLE QRESYNC", tag="A4")
    assert answer.untagged[0] == b"* ENABLED QRESYNC\r\n" and announced(answer) == ["A4"] and len(answer.untagged) == 2
    assert answer.tagged == b"A4 OK Enable command completed.\r\n"
    answer = client.ok("LANGUAGE DE", tag="A5")
    assert answer.untagged[:2] == [b"* LANGUAGE (DE)\r\n", NAMESPACE]
    assert announced(answer) == ["A5"] and len(answer.untagged) == 3
    assert answer.tagged == b"A5 OK Sprachwechsel durch LANGUAGE-Befehl ausgefuehrt\r\n"
    return saved(client.ok("SAVESTATE", tag="A6"))


def test_example_1_of_the_draft_runs_as_printed(scripted, scripted_gateway):
    assert LANGUAGES["DE"] == NAMESPACE
    example_1(scripted_gateway.session())
    assert setup_of(scripted.sessions[-1]) == ["ENABLE QRESYNC", "LANGUAGE DE"]


def test_example_2_of_the_draft_runs_as_printed(scripted, scripted_gateway):
    token = example_1(scripted_gateway.session())
    client = scripted_gateway.session()
    answer = client.command(f"STATE {token}", tag="A1")
    assert_restored(answer, token)
    assert answer.untagged == [f"* STATE {token}\r\n".encode()]
    client.ok("NOOP")
    assert setup_of(scripted.sessions[-1]) == ["ENABLE QRESYNC", "LANGUAGE DE"]


def test_both_examples_run_on_a_real_server_as_far_as_it_has_language(gateway, server):
    client = gateway.session()
    assert b" STATE" in client.ok("CAPABILITY", tag="A1").untagged[0]
    client.ok("STATE", tag="A2")
    if not server.lacks("ID"):
        assert client.ok('ID ("name" "foo" "version" "1.0")', tag="A3").of("ID")
    answer = client.ok(server.setup, tag="A4")
    assert server.setup.split()[1].encode() in answer.of("ENABLED")[0] and announced(answer) == ["A4"]
    token = saved(client.ok("SAVESTATE", tag="A6"))
    assert_restored(gateway.session().command(f"STATE {token}", tag="A1"), token)
