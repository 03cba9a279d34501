"""Clients as they are, through the gateway and without it: they see the same, and leave the same behind.

Each row of clients.CLIENTS does its work twice, for a user whose sessions pass through the gateway, and for another one of
the same Dovecot that it goes to directly. Dovecot's mechanisms are those of its stock configuration."""
import concurrent.futures
import re

import pytest

from clients import CLIENTS, STATE_CLIENTS
from clients.client import APPEND, DELETE, FLAG, IDLE, LIST, MAILBOXES, READ, Place
from harness.gateway import upstream
from harness.imap import Client
from harness.mailboxes import mailboxes_of
from harness.parking import TAKEN, wait_at_rest
from harness.patience import wait_until
from harness.server import NEW_USER_PASSWORD, message

pytestmark = pytest.mark.once

READ_OCTETS, APPENDED_OCTETS = 200_000, 100_000


@pytest.fixture
def gateway(start_gateway, stock_dovecot, authority):
    """TLS on both sides, as in earnest; it parks as by default."""
    there = upstream(stock_dovecot.tls_port, tls="implicit", tls_ca_file=str(authority.ca_file), tls_name="localhost")
    return start_gateway(there, park={"per_user": 2})


class User:
    """One installation of a client, and its user's mailboxes at Dovecot."""

    def __init__(self, row, folder, port, dovecot, authority):
        self.dovecot, self.name = dovecot, dovecot.new_user()
        self.client = row(folder, Place(port, str(authority.ca_file), self.name, NEW_USER_PASSWORD))
        self.seen, self.logins = [], []  # of each visit

    def make_mailboxes(self):
        with self.session() as session:
            for mailbox in sorted(MAILBOXES - {"INBOX"}):
                session.ok(f"CREATE {mailbox}")
                session.ok(f"SUBSCRIBE {mailbox}")

    def visit(self):
        number = len(self.seen) + 1
        self.deliver(f"read-{number}", READ_OCTETS)
        self.deliver(f"flag-{number}")
        self.deliver(f"delete-{number}")
        self.seen.append(self.client.visit(number, message(f"append-{number}", APPENDED_OCTETS),
                                           lambda: self.deliver(f"idle-{number}")))
        self.logins.append(self.count_logins() - sum(self.logins))

    def deliver(self, subject, octets=100):
        self.dovecot.add_message(self.name, message(subject, octets))

    def expunge_elsewhere(self):
        """What another client does between two visits. There is nothing left if the client has taken all away."""
        with self.session() as session:
            session.ok("SELECT INBOX")
            session.command(r"STORE 1 +FLAGS (\Deleted)")
            session.ok("EXPUNGE")

    def session(self):
        client = Client(self.dovecot.plain_port)
        client.login(self.name, NEW_USER_PASSWORD)
        return client

    def mailboxes(self):
        return mailboxes_of(self.dovecot.plain_port, self.name, NEW_USER_PASSWORD, self.client.own_headers)

    def count_logins(self):
        """Those over TLS. The tests' own are in clear; one of them shows that the log has come so far."""
        own = self.logged("secured")
        with self.session():
            wait_until(lambda: self.logged("secured") > own, "Dovecot logs the login")
        return self.logged("TLS")

    def logged(self, way):
        return len(re.findall(rf"(?:Login|Logged in): user=<{self.name}>,.* {way}, session=", self.dovecot.log()))


def visit_both(*users):
    with concurrent.futures.ThreadPoolExecutor() as threads:
        for visit in [threads.submit(user.visit) for user in users]:
            visit.result()


@pytest.mark.parametrize("row", CLIENTS + STATE_CLIENTS, ids=lambda row: row.name)
def test_a_client_sees_and_leaves_the_same_as_without_the_gateway(tmp_path, row, gateway, stock_dovecot, authority):
    if row.lacks():
        pytest.skip(row.lacks())
    through = User(row, tmp_path / "through", gateway.tls_port, stock_dovecot, authority)
    directly = User(row, tmp_path / "directly", stock_dovecot.tls_port, stock_dovecot, authority)
    for user in (through, directly):
        user.make_mailboxes()
    visit_both(through, directly)
    wait_at_rest(gateway)
    for user in (through, directly):
        user.expunge_elsewhere()
    since = gateway.log_octets()
    visit_both(through, directly)

    assert through.seen == directly.seen
    left = through.mailboxes()
    assert left == directly.mailboxes()
    for number, seen in enumerate(through.seen, 1):
        assert_has_done(row, number, seen, left)
    if seen.local is not None:
        assert seen.local == left["INBOX"].by_subject().keys()

    assert through.logins[1] == row.upstream_logins, row.why_upstream
    taken = re.findall(f"{TAKEN} (in a state|pristine)", gateway.log(since))
    assert directly.logins[1] == through.logins[1] + len(taken)
    assert ("in a state" in taken) == bool(row.as_is or row.sets_up)


def assert_has_done(row, number, seen, left):
    """Each part that the row claims was really done."""
    inbox, drafts = left["INBOX"].by_subject(), left["Drafts"].by_subject()
    done = {
        LIST: seen.mailboxes == MAILBOXES,
        READ: seen.bodies == {f"read-{number}": message(f"read-{number}", READ_OCTETS)},
        APPEND: f"append-{number}" in drafts,
        FLAG: r"\Flagged" in getattr(inbox.get(f"flag-{number}"), "flags", ()),
        DELETE: f"delete-{number}" not in inbox,
        IDLE: seen.arrived == [f"idle-{number}"],
    }
    assert {part for part, is_done in done.items() if is_done} >= set(row.parts)
