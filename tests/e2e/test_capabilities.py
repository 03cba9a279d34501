"""The lists that clients see: the upstream's own at that moment, with what is ours added and what cannot pass removed."""
import re

import pytest

from harness import logins
from harness.gateway import upstream
from harness.imap import capabilities
from harness.patience import wait_until

OURS = [b"STATE"]
OURS_AND_LANGUAGE = [b"LANGUAGE", b"STATE"]  # where the upstream has none
REMOVED = ["COMPRESS=DEFLATE", "COMPRESS=ZSTD", "LOGIN-REFERRALS", "MAILBOX-REFERRALS", "AUTH=SCRAM-SHA-1-PLUS", "AUTH=SCRAM-SHA-256-PLUS", "AUTH=EXTERNAL",
           "AUTH=GSSAPI", "AUTH=NTLM", "AUTH=DIGEST-MD5", "STARTTLS", "LOGINDISABLED", "STATE"]


def listed(client):
    """The list before login, which greeting and command agree on."""
    names = capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0])
    assert capabilities(client.greeting) == names
    return names


def words(text):
    return text.encode().split()


def ours(text, *more):
    """The list as a client sees it: no literal need be waited for, and then what else is ours."""
    upstreams = words(text)
    return upstreams + ([] if b"LITERAL+" in upstreams else [b"LITERAL+"]) + list(more or OURS)


# Dovecot

def test_dovecots_list_before_login_is_shown_with_state(gateway, connect, dovecot):
    direct, through = connect(dovecot.plain_port), gateway.client()
    own = [name for name in capabilities(direct.ok("CAPABILITY").of("CAPABILITY")[0]) if name not in (b"STARTTLS", b"LOGIN-REFERRALS")]
    assert listed(through) == own + OURS_AND_LANGUAGE


@pytest.mark.parametrize("way", ["LOGIN with atoms", "PLAIN at once", "AUTH=LOGIN"])
def test_dovecots_list_after_login_is_shown_with_state(gateway, connect, dovecot, way):
    direct = capabilities(logins.by(way, connect(dovecot.plain_port), "ann", "secret").tagged)
    client = gateway.client()
    answer = logins.by(way, client, "ann", "secret")
    shown, = [each for each in (*answer.untagged, answer.tagged) if capabilities(each)]
    assert capabilities(shown) == [name for name in direct if not name.startswith(b"COMPRESS=") and name != b"LOGIN-REFERRALS"] + OURS_AND_LANGUAGE
    assert capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0]) == capabilities(shown)


def test_who_asked_dovecot_before_login_hears_the_list_after_it_all_the_same(gateway):
    """Dovecot sends it untagged then, and not in the code; the gateway asks by itself, and the client may too."""
    client = gateway.client()
    client.ok("CAPABILITY")
    answer = client.ok("LOGIN ann secret")
    lists = [capabilities(each) for each in (*answer.untagged, answer.tagged) if capabilities(each)]
    assert len(lists) == 1 and b"QRESYNC" in lists[0] and b"STATE" in lists[0]


# What is removed, and what is not

def test_what_cannot_pass_is_removed_everywhere(start_scripted, start_gateway):
    server = start_scripted(caps_before="IMAP4rev1 LITERAL+ " + " ".join(REMOVED[:-2]) + " AUTH=PLAIN X-KEPT STATE",
                            caps_after="IMAP4rev1 LITERAL+ " + " ".join(REMOVED) + " X-KEPT")
    client = start_gateway(server.port).client()
    assert listed(client) == words("IMAP4rev1 LITERAL+ AUTH=PLAIN X-KEPT LANGUAGE STATE")
    server.on("NOOP", f"* CAPABILITY {server.caps_after}", f"* OK [CAPABILITY {server.caps_after}] so", f"OK [CAPABILITY {server.caps_after}] done")
    answer = client.ok("LOGIN ann secret")
    lists = [answer.tagged, client.ok("CAPABILITY").of("CAPABILITY")[0]]
    answer = client.ok("NOOP")
    lists += [answer.of("CAPABILITY")[0], answer.codes("CAPABILITY")[0], answer.tagged]
    assert [capabilities(each) for each in lists] == [words("IMAP4rev1 LITERAL+ X-KEPT LANGUAGE STATE")] * 5


def test_whatever_the_case_it_is_removed_and_what_only_looks_like_it_stays(start_scripted, start_gateway):
    server = start_scripted(caps_before="imap4rev1 starttls Login-Referrals compress=deflate auth=external Auth=Plain state",
                            caps_after="imap4rev1 STATEFUL XSTARTTLS X-COMPRESS=DEFLATE COMPRESSED AUTHX=EXTERNAL LOGIN-REFERRALSX I18NLEVEL=1")
    client = start_gateway(server.port).client()
    assert listed(client) == words("imap4rev1 Auth=Plain LITERAL+ LANGUAGE STATE")
    assert capabilities(client.ok("LOGIN ann secret").tagged) == ours(server.caps_after, *OURS_AND_LANGUAGE)


def test_language_is_offered_only_after_login(start_scripted, start_gateway):
    server = start_scripted(caps_before="IMAP4rev1 LANGUAGE I18NLEVEL=1 AUTH=PLAIN")
    client = start_gateway(server.port).client()
    assert listed(client) == words("IMAP4rev1 I18NLEVEL=1 AUTH=PLAIN LITERAL+ STATE")
    client.bad("LANGUAGE DE")
    assert b"LANGUAGE" in capabilities(client.ok("LOGIN ann secret").tagged)
    client.ok("LANGUAGE DE")


def test_compress_is_refused_although_the_upstream_has_it(start_scripted, start_gateway):
    server = start_scripted(caps_after="IMAP4rev1 COMPRESS=DEFLATE")
    client = start_gateway(server.port).session()
    assert client.no("COMPRESS DEFLATE").code in (b"CANNOT", b"COMPRESSIONACTIVE")
    client.ok("NOOP")
    assert "COMPRESS" not in server.sessions[0].names


@pytest.mark.parametrize("odd", ["X(Y)", 'X"Y"', "X{3}", "X]Y", "X\\Y", "X%", "X*"])
def test_words_that_are_no_atom_do_not_get_into_a_list(start_scripted, start_gateway, odd):
    """They could end the code that they stand in, or announce a literal."""
    server = start_scripted(caps_before=f"IMAP4rev1 {odd} AUTH=PLAIN", greeting="* OK hello", caps_login="untagged",
                            caps_after=f"IMAP4rev1 {odd} X-KEPT")
    client = start_gateway(server.port).client()
    assert listed(client) == words("IMAP4rev1 AUTH=PLAIN LITERAL+ LANGUAGE STATE")
    answer = client.ok("LOGIN ann secret")
    shown, = [each for each in (*answer.untagged, answer.tagged) if capabilities(each)]
    assert capabilities(shown) == words("IMAP4rev1 X-KEPT LITERAL+ LANGUAGE STATE")
    client.ok("NOOP")


def test_a_list_that_names_a_thing_twice_is_shown_with_it_once(start_scripted, start_gateway):
    server = start_scripted(caps_before="IMAP4rev1 AUTH=PLAIN X-A x-a AUTH=plain", caps_after="IMAP4rev1 X-A STATE x-a  X-B ")
    client = start_gateway(server.port).client()
    assert listed(client) == words("IMAP4rev1 AUTH=PLAIN X-A LITERAL+ LANGUAGE STATE")
    assert capabilities(client.ok("LOGIN ann secret").tagged) == words("IMAP4rev1 X-A X-B LITERAL+ LANGUAGE STATE")


def test_a_long_list_passes(start_scripted, start_gateway):
    many = " ".join(f"X-CAPABILITY-{number}" for number in range(150))
    server = start_scripted(caps_before=f"IMAP4rev1 AUTH=PLAIN {many}", caps_after=f"IMAP4rev1 {many}")
    client = start_gateway(server.port).client()
    assert len(listed(client)) == 155
    assert len(capabilities(client.ok("LOGIN ann secret").tagged)) == 154


# Where the lists come from

@pytest.mark.parametrize("greeting", ["* OK hello", "* OK [CAPABILITY IMAP4rev1] short", "* OK [ALERT] hi", "* ok [capability IMAP4rev1 ID] short"])
def test_an_upstream_that_tells_little_in_its_greeting_is_asked(start_scripted, start_gateway, greeting):
    """Cyrus and Dovecot greet with a short list; clients are to see what CAPABILITY would have told them."""
    server = start_scripted(greeting=greeting, caps_before="IMAP4rev1 LITERAL+ ID AUTH=PLAIN X-FULL")
    assert listed(start_gateway(server.port).client()) == words("IMAP4rev1 LITERAL+ ID AUTH=PLAIN X-FULL LANGUAGE STATE")


def test_a_list_that_was_asked_for_lately_is_not_asked_for_again(scripted, scripted_gateway):
    for _ in range(5):
        client = scripted_gateway.client()
        client.ok("CAPABILITY")
        client.ok("LOGIN ann secret")
        client.ok("NOOP")
        client.logout()
    assert sum(connection.names.count("CAPABILITY") for connection in scripted.connections) == 1


def test_a_greeting_that_has_changed_makes_what_was_known_void(scripted, scripted_gateway):
    client = scripted_gateway.client()
    client.ok("LOGIN ann secret")
    scripted.caps_before = "IMAP4rev1 LOGINDISABLED AUTH=LOGIN"
    client = scripted_gateway.client()
    client.ok("LOGIN bob hunter2")
    assert scripted.sessions[-1].arguments("AUTHENTICATE") == [b"LOGIN"]
    assert listed(scripted_gateway.client()) == words("IMAP4rev1 AUTH=LOGIN LITERAL+ LANGUAGE STATE")


@pytest.mark.parametrize("way", logins.WAYS)
@pytest.mark.parametrize("habit", ["code", "untagged", "none"])
def test_an_upstream_that_sends_no_list_with_its_answer_is_asked(start_scripted, start_gateway, habit, way):
    """Courier sends none; the client gets one with the answer, always."""
    server = start_scripted(caps_login=habit, caps_after="IMAP4rev1 ENABLE X-AFTER")
    client = start_gateway(server.port).client()
    answer = logins.by(way, client, "ann", "secret")
    shown, = [each for each in (*answer.untagged, answer.tagged) if capabilities(each)]
    assert capabilities(shown) == words("IMAP4rev1 ENABLE X-AFTER LITERAL+ LANGUAGE STATE")
    assert answer.tagged.endswith(b"welcome.\r\n")
    assert (server.sessions[0].names[-1] == "CAPABILITY") == (habit == "none")


def test_another_code_of_the_answer_is_kept_beside_the_list(scripted, scripted_gateway):
    scripted.on("LOGIN", lambda c, tag, arguments: (setattr(c, "logged_in_at", 1), c.send(f"{tag} OK [ALERT] full\r\n")))
    answer = scripted_gateway.client().ok("LOGIN ann secret")
    assert answer.code == b"ALERT" and answer.text == b"[ALERT] full"
    assert capabilities(answer.of("CAPABILITY")[0]) == ours(scripted.caps_after)


@pytest.mark.parametrize("text", ["OK", "OK ", "OK x"])
def test_an_answer_without_words_gets_the_list_too(scripted, scripted_gateway, text):
    scripted.on("LOGIN", lambda c, tag, arguments: (setattr(c, "logged_in_at", 1), c.send(f"{tag} {text}\r\n")))
    client = scripted_gateway.client()
    answer = client.ok("LOGIN ann secret")
    assert capabilities(answer.tagged) == ours(scripted.caps_after)
    assert re.fullmatch(rb"a\d+ OK \[CAPABILITY [^\]]+\] ?x?\r\n", answer.tagged)
    client.ok("NOOP")


@pytest.mark.parametrize("answer", ["NO not now", "BAD what", "OK but no list"])
def test_an_upstream_that_does_not_tell_after_login_is_unavailable(start_scripted, start_gateway, answer):
    server = start_scripted(caps_login="none")
    gateway = start_gateway(server.port)
    client = gateway.client()
    server.on("CAPABILITY", answer)
    assert client.no("LOGIN ann secret").code == b"UNAVAILABLE"


def test_alerts_while_the_upstream_is_asked_reach_the_client(start_scripted, start_gateway):
    server = start_scripted(caps_login="none")
    gateway = start_gateway(server.port)
    client = gateway.client()
    server.on("CAPABILITY", "* OK [ALERT] full", f"* CAPABILITY {server.caps_after}", "OK done")
    answer = client.ok("LOGIN ann secret")
    assert answer.untagged == [b"* OK [ALERT] full\r\n"] and capabilities(answer.tagged) == ours(server.caps_after)


def test_a_list_that_changes_in_the_session_is_shown_as_it_is_then(scripted, scripted_gateway):
    client = scripted_gateway.session()
    client.ok("NOOP")
    scripted.caps_after = "IMAP4rev1 X-NEW COMPRESS=DEFLATE"
    assert capabilities(client.ok("CAPABILITY").of("CAPABILITY")[0]) == words("IMAP4rev1 X-NEW LITERAL+ LANGUAGE STATE")


def test_text_that_only_looks_like_a_list_is_left_as_it_is(scripted, scripted_gateway):
    lines = [b"* OK see [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE]", b"* OK [ALERT] [CAPABILITY COMPRESS=DEFLATE] x",
             b'* LIST () "/" "CAPABILITY COMPRESS=DEFLATE"', b"* OK [X-CAPABILITY COMPRESS=DEFLATE] x", b"* X CAPABILITY COMPRESS=DEFLATE"]
    scripted.on("NOOP", *lines, "OK [CAPABILITYX COMPRESS=DEFLATE] done")
    answer = scripted_gateway.session().ok("NOOP")
    assert answer.untagged == [line + b"\r\n" for line in lines]
    assert answer.text == b"[CAPABILITYX COMPRESS=DEFLATE] done"


@pytest.mark.parametrize("cut", range(1, 60, 3))
def test_a_list_is_rewritten_however_it_arrives(scripted, scripted_gateway, cut):
    octets = b"* CAPABILITY IMAP4rev1 COMPRESS=DEFLATE X-A\r\n"

    def answer(connection, tag, arguments):
        whole = octets + tag.encode() + b" OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE X-B] done\r\n"
        connection.send(whole[:cut])
        connection.wire.sock.settimeout(0.02)
        try:
            connection.wire.sock.recv(1)
        except TimeoutError:
            connection.wire.sock.settimeout(60)
        connection.send(whole[cut:])

    scripted.on("NOOP", answer)
    answered = scripted_gateway.session().ok("NOOP")
    assert capabilities(answered.of("CAPABILITY")[0]) == words("IMAP4rev1 X-A LITERAL+ LANGUAGE STATE")
    assert capabilities(answered.tagged) == words("IMAP4rev1 X-B LITERAL+ LANGUAGE STATE")


# ID and NOOP before login

def test_id_before_login_is_answered_in_the_upstreams_words(gateway, connect, dovecot):
    direct = connect(dovecot.plain_port).ok('ID ("name" "x")').of("ID")
    client = gateway.client()
    for arguments in ('("name" "x")', "NIL", "()", '("name" NIL)'):
        assert client.ok(f"ID {arguments}").of("ID") == direct
    client.ok("LOGIN ann secret")
    assert client.ok("ID NIL").of("ID")


# As a client may write it, and what of it is told: Dovecot answers each of them OK.
SLOPPY_IDS = {
    "": "NIL", " ": "NIL", "()x": "NIL", '("name")': "NIL", "NIL ": "NIL", "NIL x": "NIL", "( )": "NIL",
    '( "name" "x" )': '("name" "x")', '("name" "x" )': '("name" "x")', ' ("name" "x")': '("name" "x")',
    '("name"  "x")': '("name" "x")', '("name""x")': '("name" "x")', '("name" "x") ': '("name" "x")',
    '("name" "x") more': '("name" "x")', '("name" "x" "os")': '("name" "x")', '("na\\me" "\\x")': '("name" "x")',
    '("a" "' + "v" * 2000 + '" "name" "x")': '("name" "x")', '("' + "n" * 31 + '" "v" "name" "x")': '("name" "x")',
    "(" + " ".join(f'"n{n}" "v"' for n in range(31)) + ")": "(" + " ".join(f'"n{n}" "v"' for n in range(24)) + ")",  # and the hop: 30 in all
}
# What no server takes before login; a server that is asked after it may.
NO_IDS = ['"name" "x"', "NILL", '(("name" "x"))', '("name" ("x"))', "x"]


@pytest.mark.parametrize("arguments", [*SLOPPY_IDS, *NO_IDS])
def test_a_sloppy_id_is_answered_where_the_gateway_answers_for_the_server(scripted, start_gateway, arguments):
    gateway = start_gateway(upstream(scripted.port, send_client_address="id"), park={"per_user": 2})
    for visit in range(3):  # on the first there is an upstream behind the login, on the others a parked one
        client = gateway.client()
        assert client.ok(f"ID{arguments and ' '}{arguments}").of("ID")
        client.ok("LOGIN ann secret")
        assert client.ok(f"ID{arguments and ' '}{arguments}").of("ID")
        client.ok("NOOP")
        assert client.ok(f"ID{arguments and ' '}{arguments}").of("ID")
        client.logout()
        wait_until(lambda: gateway.log().count("park: parked") > visit, "not parked")
    told = scripted.sessions[0].arguments("ID")[0].decode()
    assert told.partition('"x-proxy-ttl" ')[2].partition(" ")[2].rstrip(")") == SLOPPY_IDS.get(arguments, "NIL").strip("()").replace("NIL", "")


@pytest.mark.every_server
@pytest.mark.parametrize("command", ["LOGOUT x", "LOGOUT ", "NOOP x", "NOOP ", "CAPABILITY x", "CAPABILITY ", 'ID ( "name" "x" )', "ID",
                                     'ID  ("name" "x")', "ID NIL x"])
def test_where_the_gateway_answers_it_is_no_stricter_than_the_server(gateway, connect, server, command):
    user = server.new_user()

    def answers(client):
        before = client.command(command).status
        if before == b"OK" and command.startswith("LOGOUT"):
            return before, before
        client.login(user, "secret")
        return before, client.command(command).status

    for ours, theirs in zip(answers(gateway.client()), answers(connect(server.plain_port))):
        assert ours == b"OK" or theirs != b"OK"


def test_an_upstream_without_id_makes_id_bad(start_scripted, start_gateway):
    server = start_scripted(caps_before="IMAP4rev1 AUTH=PLAIN")
    client = start_gateway(server.port).client()
    client.bad('ID ("name" "x")')
    client.ok("LOGIN ann secret")
    assert "ID" not in [name for connection in server.connections for name in connection.names]


def test_the_id_of_one_client_is_not_told_of_another(scripted, scripted_gateway):
    one, two = scripted_gateway.client(), scripted_gateway.client()
    one.ok('ID ("name" "one")')
    two.ok("LOGIN bob hunter2")
    two.ok("NOOP")
    assert b'"one"' not in scripted.sessions[-1].received


def test_id_when_the_upstream_is_down_is_answered_and_login_is_possible_later(start_scripted, start_gateway):
    server = start_scripted()
    client = start_gateway(server.port).client()
    server.stop_listening()
    server.drop_all()
    assert client.command("ID NIL").status in (b"OK", b"NO")
    server.listen()
    client.ok("LOGIN ann secret")


def test_noop_capability_and_logout_need_no_upstream(start_scripted, start_gateway):
    server = start_scripted(listen=False)
    client = start_gateway(upstream(server.port)).client()
    client.ok("NOOP")
    client.ok("CAPABILITY")
    client.ok("NOOP now")
    client.ok("CAPABILITY all")
    client.bad("SELECT INBOX")
    client.bad("XYZZY")
    client.logout()
