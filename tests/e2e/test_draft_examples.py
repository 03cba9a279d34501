"""The two examples of draft-imap-state-00, section 3, as printed: in front of a real Dovecot that has LANGUAGE from the gateway, and of
a scripted server that has it itself.

Corrected as docs/protocol.md says: STATE for STORE in the list, LANGUAGE in it too, the missing OKs, the a-umlaut of "Postfaecher".
Token and texts are the servers' own.
"""
import pytest

from harness.dovecot import Dovecot
from harness.dovecotconf import namespaces
from harness.imap import capabilities
from harness.scripted import LANGUAGES
from harness.tokens import announced, assert_restored, saved, setup_of

pytestmark = pytest.mark.every_server

BEFORE = "IMAP4rev1 ID ENABLE QRESYNC I18NLEVEL=1 AUTH=PLAIN"
AFTER = "IMAP4rev1 ID ENABLE QRESYNC I18NLEVEL=1 LANGUAGE"
NAMESPACE = (b'* NAMESPACE (("" "/")) (("Other Users/" "/" "TRANSLATION" ("Andere Ben&APw-tzer/"))) '
             b'(("Public Folders/" "/" "TRANSLATION" ("Gemeinsame Postf&AOQ-cher/")))\r\n')


@pytest.fixture(scope="module")
def namespaced(tmp_path_factory, authority):
    """A Dovecot with the namespaces of the example."""
    server = Dovecot(tmp_path_factory.mktemp("namespaces"), authority, namespaces())
    yield server
    server.stop()


@pytest.fixture
def scripted(start_scripted):
    return start_scripted(caps_before=BEFORE, caps_after=AFTER)


def example_1(client, identity):
    """Says what the client of example 1 says; gives its token."""
    answer = client.ok("CAPABILITY", tag="A1")
    listed = capabilities(answer.untagged[0])
    assert len(answer.untagged) == 1 and {*AFTER.encode().split(), b"STATE"} <= set(listed)
    answer = client.ok("STATE", tag="A2")
    assert answer.untagged == []
    answer = client.ok('ID ("name" "foo" "version" "1.0")', tag="A3")
    assert answer.untagged == [identity]
    answer = client.ok("ENABLE QRESYNC", tag="A4")
    assert answer.untagged[0] == b"* ENABLED QRESYNC\r\n" and announced(answer) == ["A4"] and len(answer.untagged) == 2
    answer = client.ok("LANGUAGE DE", tag="A5")
    assert answer.untagged[:2] == [b"* LANGUAGE (DE)\r\n", NAMESPACE]
    assert announced(answer) == ["A5"] and len(answer.untagged) == 3
    assert answer.text.startswith(b"Sprachwechsel durch LANGUAGE-Befehl ausgef")
    answer = client.ok("SAVESTATE", tag="A6")
    assert len(answer.untagged) == 1
    return saved(answer)


def example_2(client, token):
    answer = client.command(f"STATE {token}", tag="A1")
    assert_restored(answer, token)
    assert answer.untagged == [f"* STATE {token}\r\n".encode()]
    return answer


def test_both_examples_of_the_draft_run_as_printed_in_front_of_dovecot(namespaced, start_gateway):
    gateway = start_gateway(namespaced.plain_port)
    client = gateway.session()
    token = example_1(client, b'* ID ("name" "Dovecot")\r\n')
    client = gateway.session()
    assert example_2(client, token).tagged == b"A1 OK Angemeldet.\r\n"
    # What was restored is in effect: in Dovecot, and in the gateway.
    assert client.ok("NAMESPACE").untagged == [NAMESPACE]
    assert client.ok("ENABLE QRESYNC").untagged[0] == b"* ENABLED QRESYNC\r\n"
    client.ok("SELECT INBOX")
    assert client.ok("SELECT INBOX").codes("CLOSED")  # RFC 7162 section 3.2.11: only with QRESYNC


def test_example_1_of_the_draft_runs_as_printed(scripted, scripted_gateway):
    assert LANGUAGES["DE"] == NAMESPACE
    example_1(scripted_gateway.session(), b'* ID ("name" "foo2" "version" "2.0")\r\n')
    assert setup_of(scripted.sessions[-1]) == ["ENABLE QRESYNC", "LANGUAGE DE"]


def test_example_2_of_the_draft_runs_as_printed(scripted, scripted_gateway):
    token = example_1(scripted_gateway.session(), b'* ID ("name" "foo2" "version" "2.0")\r\n')
    client = scripted_gateway.session()
    example_2(client, token)
    client.ok("NOOP")
    assert setup_of(scripted.sessions[-1]) == ["ENABLE QRESYNC", "LANGUAGE DE"]


def test_both_examples_run_on_every_real_server_as_far_as_it_has_what_they_ask_for(gateway, server):
    client = gateway.session()
    assert {b"LANGUAGE", b"STATE"} <= set(capabilities(client.ok("CAPABILITY", tag="A1").untagged[0]))
    client.ok("STATE", tag="A2")
    if not server.lacks("ID"):
        assert client.ok('ID ("name" "foo" "version" "1.0")', tag="A3").of("ID")
    answer = client.ok(server.setup, tag="A4")
    assert server.setup.split()[1].encode() in answer.of("ENABLED")[0] and announced(answer) == ["A4"]
    answer = client.ok("LANGUAGE DE", tag="A5")
    assert answer.untagged[0] == b"* LANGUAGE (DE)\r\n" and answer.untagged[1:-1] == answer.of("NAMESPACE") != []
    assert announced(answer) == ["A5"]
    token = saved(client.ok("SAVESTATE", tag="A6"))
    answer = gateway.session().command(f"STATE {token}", tag="A1")
    assert_restored(answer, token)
    assert answer.text == b"Angemeldet."
