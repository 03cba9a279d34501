"""LANGUAGE (RFC 5255) by the gateway, where the upstream has none: the command, its part in the state, and what is said in the
language."""
import re

import pytest

from harness import net
from harness.gateway import listener, write_keys
from harness.imap import CRLF, literal
from harness.parking import Lot, log_out
from harness.scripted import CLOSE
from harness.texts import translate
from harness.tokens import announced, assert_restored, assert_not_restored, fail_to_restore, restore, save, saved, setup_of

AFTER = "IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE CONDSTORE QRESYNC UTF8=ACCEPT UNSELECT NOTIFY UNAUTHENTICATE I18NLEVEL=1"
LANGUAGES = ["EN", "DE", "FR"]
LIST = b"* LANGUAGE (i-default EN DE FR)\r\n"
COMPLETED = "Language changed by LANGUAGE command."
UNTRANSLATED = b'* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Public Folders/" "/"))\r\n'
GERMAN = (b'* NAMESPACE (("" "/")) (("Other Users/" "/" "TRANSLATION" ("Andere Ben&APw-tzer/"))) '
          b'(("Public Folders/" "/" "TRANSLATION" ("Gemeinsame Postf&AOQ-cher/")))\r\n')


@pytest.fixture
def scripted(start_scripted):
    return start_scripted(caps_after=AFTER)


@pytest.fixture
def gateway(scripted, start_gateway):
    return start_gateway(scripted.port, languages=LANGUAGES)


@pytest.fixture
def lot(scripted, start_gateway):
    return Lot(start_gateway(scripted.port, languages=LANGUAGES, park={"per_user": 4}), scripted)


def speaks(client, language):
    """The gateway's own words are in this language; None is English."""
    answer = client.bad("STATE one two")
    return answer.text == (translate(language, "STATE takes at most one token.") if language else b"STATE takes at most one token.")


def speaks_before_login(client, language):
    return client.bad("XYZZY").text == (translate(language, "Unknown command.") if language else b"Unknown command.")


def chosen(answer):
    """The language that a LANGUAGE has chosen."""
    assert answer.status == b"OK", answer
    return re.fullmatch(rb"\* LANGUAGE \((\S+)\)\r\n", answer.untagged[0]).group(1).decode()


def untold(scripted):
    """Nobody upstream has heard of LANGUAGE."""
    return not [name for connection in scripted.connections for name in connection.names if name == "LANGUAGE"]


# What is offered

@pytest.mark.parametrize("before, after, is_offered_before, is_offered_after", [
    ("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 NAMESPACE", True, True),
    ("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 LANGUAGE", True, False),
    ("IMAP4rev1 LANGUAGE AUTH=PLAIN", "IMAP4rev1 LANGUAGE", False, False)])
def test_language_is_the_gateways_where_the_upstreams_list_has_none(start_scripted, start_gateway, before, after, is_offered_before,
                                                                    is_offered_after):
    scripted = start_scripted(caps_before=before, caps_after=after)
    client = start_gateway(scripted.port, languages=LANGUAGES).client()
    assert (b" LANGUAGE" in client.greeting) == (b" LANGUAGE" in client.ok("CAPABILITY").of("CAPABILITY")[0]) == is_offered_before
    assert (client.command("LANGUAGE").of("LANGUAGE") == [LIST]) == is_offered_before
    tagged = client.login("ann", "secret").tagged
    assert b" LANGUAGE" in tagged and b" LANGUAGE" in client.ok("CAPABILITY").of("CAPABILITY")[0]
    assert (client.ok("LANGUAGE").of("LANGUAGE") == [LIST]) == is_offered_after
    assert untold(scripted) == is_offered_after


@pytest.mark.parametrize("languages, listed, preferred", [
    (["DE", "FR"], b"i-default DE FR", "DE"), (["fr", "de", "en"], b"i-default EN DE FR", "FR"), (["EN"], b"i-default EN", "EN"),
    (["i-default", "DE"], b"i-default DE", "i-default"), (["ja"], b"i-default JA", "JA")])
def test_a_list_of_languages_is_what_is_offered_and_its_first_is_the_default(scripted, start_gateway, languages, listed, preferred):
    client = start_gateway(scripted.port, languages=languages).client()
    assert client.ok("LANGUAGE").untagged == [b"* LANGUAGE (" + listed + b")\r\n"]
    assert chosen(client.ok("LANGUAGE default")) == preferred
    assert chosen(client.ok('LANGUAGE "*"')) == preferred


def test_without_a_list_the_complete_ones_are_offered(scripted, start_gateway):
    client = start_gateway(scripted.port).client()
    listed = client.ok("LANGUAGE").untagged[0]
    assert b"(i-default EN " in listed and b"DE" in listed and b"FR" in listed and b"ES" in listed and b"JA" not in listed
    assert chosen(client.ok("LANGUAGE default")) == "i-default"


def test_languages_off_offers_none(scripted, start_gateway):
    client = start_gateway(scripted.port, languages="off").client()
    assert b"LANGUAGE" not in client.greeting
    client.bad("LANGUAGE DE")
    assert b"LANGUAGE" not in client.login("ann", "secret").tagged
    scripted.on("LANGUAGE", "BAD unknown command")
    client.bad("LANGUAGE DE")
    assert scripted.sessions[0].arguments("LANGUAGE") == [b"DE"]


def test_on_an_imapproxy_listener_no_language_is_offered(scripted, start_gateway):
    """Its clients take the set-up of the session before for theirs, and would not say LANGUAGE again."""
    port = net.free_port()
    gateway = start_gateway(scripted.port, languages=LANGUAGES, sections=[listener("compat", port, imapproxy_compat=True)],
                            park={"per_user": 1})
    client = gateway.client(port)
    assert b"LANGUAGE" not in client.greeting and b"LANGUAGE" not in client.login("ann", "secret").tagged


# The command

ROWS = [
    ("LANGUAGE DE", "DE"), ("language de", "DE"), ('LANGUAGE "de"', "DE"), (b"LANGUAGE {2+}\r\nDE", "DE"), ("LANGUAGE de-CH-1996", "DE"),
    ("LANGUAGE tlh fr-CA DE", "FR"), ("LANGUAGE i-default", "i-default"), ("LANGUAGE default", "EN"), ('LANGUAGE "*" FR', "FR"),
    ("LANGUAGE EN", "EN")]
REFUSED = ["LANGUAGE tlh", "LANGUAGE ES x-none", "LANGUAGE D", 'LANGUAGE "*" tlh']
MALFORMED = ["LANGUAGE ", 'LANGUAGE ""', "LANGUAGE DE ", "LANGUAGE (DE)", "LANGUAGE *"]


@pytest.mark.parametrize("command, language", ROWS)
def test_the_first_language_that_matches_is_chosen_before_and_after_login(scripted, gateway, command, language):
    client = gateway.client()
    answer = client.ok(command)
    assert chosen(answer) == language and len(answer.untagged) == 1
    client.login("ann", "secret")
    answer = client.ok(command)
    assert chosen(answer) == language
    assert speaks(client, language if language in ("DE", "FR") else None)
    assert untold(scripted)


@pytest.mark.parametrize("is_logged_in", [False, True])
def test_what_chooses_nothing_changes_nothing(scripted, gateway, is_logged_in):
    client = gateway.session() if is_logged_in else gateway.client()
    client.ok("LANGUAGE DE")
    for command in REFUSED:
        assert client.no(command).untagged == []
    for command in MALFORMED:
        assert client.bad(command).untagged == []
    assert (speaks if is_logged_in else speaks_before_login)(client, "DE")
    assert client.ok("LANGUAGE").untagged == [LIST]
    assert (speaks if is_logged_in else speaks_before_login)(client, "DE")
    assert untold(scripted)


def test_before_login_a_synchronizing_literal_gets_no_go(gateway):
    client = gateway.client()
    client.send(b"a LANGUAGE {2}\r\n")
    assert client.wait("a").status == b"BAD"
    client.ok("LANGUAGE DE")


def test_after_login_it_gets_one(gateway):
    client = gateway.session()
    client.send(b"a LANGUAGE {2}\r\n")
    client.continuation()
    client.send(b"DE\r\n")
    assert chosen(client.wait("a")) == "DE"


def test_after_login_the_namespaces_follow_and_the_answer_is_in_the_language(scripted, gateway):
    client = gateway.session()
    client.ok("STATE")
    answer = client.ok("LANGUAGE DE", tag="A5")
    assert answer.untagged[:2] == [b"* LANGUAGE (DE)\r\n", GERMAN] and len(answer.untagged) == 3
    assert announced(answer) == ["A5"]
    assert answer.untagged[2].endswith(translate("DE", "%s will be saved in state data.").replace(b"%s", b"LANGUAGE") + CRLF)
    assert answer.text == "Sprachwechsel durch LANGUAGE-Befehl ausgeführt.".encode()
    answer = client.ok("LANGUAGE i-default")
    assert answer.untagged[:2] == [b"* LANGUAGE (i-default)\r\n", UNTRANSLATED] and answer.text == COMPLETED.encode()


def test_of_what_the_gateway_asked_itself_the_client_hears_nothing_when_it_comes_to_nothing(lot):
    lot.visit()
    lot.scripted.users["ann"] = "changed"
    lot.scripted.on("NAMESPACE", CLOSE, times=1)
    client = lot.gateway.session()
    tag = client.start("LANGUAGE DE")
    responses = client.rest()
    assert [line.split(b" ")[:2] for line in responses] == [[b"*", b"LANGUAGE"], [tag.encode(), b"NO"], [b"*", b"BYE"]]


def test_what_names_the_tag_of_our_question_is_not_the_clients(scripted, gateway):
    def answer(connection, tag, arguments):
        connection.send(f'* OK [INPROGRESS ("{tag}" 1 10)] Soon.\r\n')
        connection.default(tag, "NAMESPACE", arguments)

    scripted.on("NAMESPACE", answer)
    client = gateway.session()
    answer = client.ok("LANGUAGE DE")
    assert answer.untagged == [b"* LANGUAGE (DE)\r\n", GERMAN]


def test_an_upstream_without_namespaces_is_not_asked_for_them(start_scripted, start_gateway):
    scripted = start_scripted(caps_after="IMAP4rev1 ENABLE")
    client = start_gateway(scripted.port, languages=LANGUAGES).session()
    assert client.ok("LANGUAGE DE").untagged == [b"* LANGUAGE (DE)\r\n"]
    assert "NAMESPACE" not in scripted.sessions[0].names


@pytest.mark.parametrize("answer", ["NO not now", "BAD what"])
def test_an_upstream_that_does_not_tell_its_namespaces_keeps_nobody_from_a_language(scripted, gateway, answer):
    scripted.on("NAMESPACE", answer, times=1)
    client = gateway.session()
    assert client.ok("LANGUAGE DE").untagged == [b"* LANGUAGE (DE)\r\n"]
    assert client.ok("NAMESPACE").untagged == [GERMAN]


def test_an_alert_in_the_answer_that_the_client_does_not_see_is_passed_on(scripted, gateway):
    scripted.on("NAMESPACE", "* OK [ALERT] first", UNTRANSLATED.strip(), "OK [ALERT] second", times=1)
    assert gateway.session().ok("LANGUAGE DE").untagged == [b"* LANGUAGE (DE)\r\n", b"* OK [ALERT] first\r\n", GERMAN, b"* OK [ALERT] second\r\n"]


def test_an_upstream_that_hangs_up_when_asked_ends_the_session(scripted, gateway):
    scripted.on("NAMESPACE", lambda connection, tag, arguments: connection.hang_up())
    client = gateway.session()
    client.send(b"a LANGUAGE DE\r\n")
    assert any(line.startswith(b"* BYE [UNAVAILABLE] ") for line in client.rest())


def test_it_is_ordered_among_pipelined_commands(scripted, gateway):
    scripted.on("NOOP", "OK [READ-ONLY] x")
    client = gateway.session()
    client.send(b"a STATE x y\r\nb NOOP\r\nc LANGUAGE DE\r\nd NOOP\r\ne STATE x y\r\nf LANGUAGE FR\r\ng STATE x y\r\n")
    texts = [client.wait(tag).text for tag in "abcdefg"]
    msgid = "STATE takes at most one token."
    assert [texts[0], texts[4], texts[6]] == [msgid.encode(), translate("DE", msgid), translate("FR", msgid)]
    assert scripted.sessions[0].names[1:] == ["NOOP", "NAMESPACE", "NOOP", "NAMESPACE"]


def test_starttls_takes_a_language_back(gateway, trust):
    client = gateway.client(gateway.starttls_port)
    client.ok("LANGUAGE DE")
    assert speaks_before_login(client, "DE")
    client.starttls(trust)
    assert speaks_before_login(client, None)


def test_unauthenticate_takes_a_language_back(gateway):
    client = gateway.session()
    client.ok("LANGUAGE DE")
    client.ok("UNAUTHENTICATE")
    assert speaks_before_login(client, None)


def test_a_language_from_before_login_stays_and_is_in_the_login_answer(scripted, gateway):
    client = gateway.client()
    client.ok("LANGUAGE DE")
    assert client.no("LOGIN ann wrong").tagged.startswith(b"a2 NO [AUTHENTICATIONFAILED] ")
    assert client.login("ann", "secret").text.endswith(b"] " + translate("DE", "Logged in."))
    assert speaks(client, "DE")
    assert client.ok("NAMESPACE").untagged == [GERMAN]


# Namespaces

def test_without_a_language_namespaces_are_as_they_are(gateway):
    assert gateway.session().ok("NAMESPACE").untagged == [UNTRANSLATED]


@pytest.mark.parametrize("name", ["UTF8=ACCEPT", "IMAP4rev2"])
def test_translations_are_in_utf8_once_that_is_enabled(scripted, gateway, name):
    scripted.enableable = scripted.enableable | {name.upper()}
    client = gateway.session()
    client.ok(f"ENABLE {name}")
    answer = client.ok("LANGUAGE DE")
    assert answer.untagged[1] == ('* NAMESPACE (("" "/")) (("Other Users/" "/" "TRANSLATION" ("Andere Benützer/"))) '
                                  '(("Public Folders/" "/" "TRANSLATION" ("Gemeinsame Postfächer/")))\r\n').encode()


@pytest.mark.parametrize("line", [
    b'* NAMESPACE (("" "/")) NIL (({15}\r\nPublic Folders/ "/"))', b'* NAMESPACE (("" "/")) (("Other Users/" "/"))',
    b'* NAMESPACE (("" "/")) (("Other Users/" "/" "TRANSLATION" ("Ihre/"))) NIL', b'* NAMESPACE (("Other Users/" "/")) NIL NIL',
    b"* NAMESPACE NIL NIL NIL"])
def test_what_is_odd_or_translated_already_passes_as_it_is(scripted, gateway, line):
    client = gateway.session()
    client.ok("LANGUAGE DE")
    scripted.on("NAMESPACE", line, "OK done")
    assert client.ok("NAMESPACE").untagged == [line + CRLF]


# The state

def test_p09_a_language_is_saved_and_restored_without_the_upstream(scripted, gateway):
    token = save(gateway.session(), "ENABLE X-ONE", "LANGUAGE FR", "LANGUAGE DE")
    client = gateway.session()
    answer = client.ok(f"STATE {token}")
    assert_restored(answer, token)
    assert answer.untagged == [f"* STATE {token}\r\n".encode()]
    assert answer.text == translate("DE", "State restored.") == b"Angemeldet."
    assert client.ok("NAMESPACE").untagged == [GERMAN] and speaks(client, "DE")
    assert setup_of(scripted.sessions[-1]) == ["ENABLE X-ONE"] and untold(scripted)
    assert save(client)  # P8: it is in it still
    restore(gateway.session(), saved(client.ok("SAVESTATE")))


@pytest.mark.parametrize("setup, upstreams_share", [
    (["LANGUAGE DE"], []), (["ENABLE X-ONE", "LANGUAGE DE", "ENABLE X-TWO"], ["ENABLE X-ONE X-TWO"]),
    (["LANGUAGE DE", "NOTIFY NONE"], ["NOTIFY NONE"]), (["LANGUAGE i-default"], [])])
def test_p17_the_replay_has_all_but_the_language(scripted, gateway, setup, upstreams_share):
    token = save(gateway.session(), *setup)
    client = gateway.session()
    restore(client, token)
    client.ok("NOOP")
    assert setup_of(scripted.sessions[-1]) == upstreams_share
    assert speaks(client, "DE" if "LANGUAGE DE" in setup else None)


def test_p04_the_state_is_exactly_the_tokens_whatever_was_chosen_before_login(gateway):
    with_language, without = save(gateway.session(), "LANGUAGE DE"), save(gateway.session(), "ENABLE X-ONE")
    for token, language in ((with_language, "DE"), (without, None)):
        client = gateway.client()
        client.ok("LANGUAGE FR")
        client.login("ann", "secret")
        restore(client, token)
        assert speaks(client, language)
    token = saved(client.ok("SAVESTATE"))  # nor has it got into the state
    client = gateway.session()
    client.ok("STATE")
    restored = gateway.session()
    restore(restored, token)
    assert speaks(restored, None)


@pytest.mark.parametrize("command", ["STATE", "STATE nonsense"])
def test_p03_p05_without_a_restore_a_language_from_before_login_stays_but_is_not_saved(gateway, command):
    client = gateway.client()
    client.ok("LANGUAGE FR")
    client.login("ann", "secret")
    client.ok(command)
    assert speaks(client, "FR")
    token = saved(client.ok("SAVESTATE"))
    client = gateway.session()
    restore(client, token)
    assert speaks(client, None)


def test_p05_a_language_that_is_not_offered_any_more_cannot_be_restored(scripted, start_gateway, tmp_path):
    keys = {"keys_file": write_keys(tmp_path / "keys", (1, "2020-01-01T00:00:00Z"))}
    token = save(start_gateway(scripted.port, languages=["DE", "FR"], **keys).session(), "ENABLE X-ONE", "LANGUAGE DE")
    gateway = start_gateway(scripted.port, languages=["FR"], **keys)
    client = gateway.client()
    client.ok("LANGUAGE FR")
    client.login("ann", "secret")
    fail_to_restore(client, token)
    gateway.wait_log("not restored: its language is not offered")
    client.ok("NOOP")
    assert setup_of(scripted.sessions[-1]) == []
    assert speaks(client, "FR")
    assert announced(client.ok("ENABLE X-TWO"))  # tracking is on
    assert len(scripted.sessions) == 2           # and the connection was good for more


def test_p12_tokens_die_when_languages_are_turned_off(scripted, start_gateway, tmp_path):
    keys = {"keys_file": write_keys(tmp_path / "keys", (1, "2020-01-01T00:00:00Z"))}
    token = save(start_gateway(scripted.port, languages=["DE", "FR"], **keys).session(), "ENABLE X-ONE")
    restore(start_gateway(scripted.port, languages=["FR"], **keys).session(), token)
    assert_not_restored(start_gateway(scripted.port, languages="off", **keys).session().command(f"STATE {token}"))


def test_p07_after_a_language_no_token_is_restored_but_asking_for_the_list_is_no_change(gateway):
    token = save(gateway.session(), "ENABLE X-ONE")
    client = gateway.session()
    client.ok("LANGUAGE")
    client.no("LANGUAGE tlh")
    restore(client, token)
    client = gateway.session()
    client.ok("LANGUAGE DE")
    fail_to_restore(client, token)


def test_p10_a_language_before_tracking_is_neither_announced_nor_saved(gateway):
    client = gateway.session()
    assert not client.ok("LANGUAGE DE").codes("STATECMD")
    client.ok("STATE")
    token = saved(client.ok("SAVESTATE"))
    client = gateway.session()
    restore(client, token)
    assert speaks(client, None)


def test_p09_a_tag_that_cannot_be_announced_takes_the_language_out_of_the_state(gateway):
    client = gateway.session()
    client.ok("STATE")
    assert announced(client.ok("LANGUAGE DE"))
    assert not client.ok("LANGUAGE FR", tag="x]1").codes("STATECMD")
    assert speaks(client, "FR")
    token = saved(client.ok("SAVESTATE"))
    client = gateway.session()
    restore(client, token)
    assert speaks(client, None)


def test_p18_a_restore_that_fails_leaves_the_language_as_it_was(scripted, gateway):
    token = save(gateway.session(), "ENABLE X-ONE", "LANGUAGE DE")
    client = gateway.client()
    client.ok("LANGUAGE FR")
    client.login("ann", "secret")
    scripted.on("ENABLE", "NO not today", times=1)
    fail_to_restore(client, token)
    assert speaks(client, "FR")


# Parked connections

def test_a_connection_that_a_german_client_has_parked_serves_a_french_one(lot):
    connection = lot.visit("STATE", "LANGUAGE DE")
    client, again = lot.land()
    assert again is connection and speaks(client, None)
    client.ok("LANGUAGE FR")
    assert lot.leave(client, connection)
    assert lot.logins == 1 and untold(lot.scripted)


def test_a_state_is_restored_warm_whatever_its_language(lot):
    tokens = {}
    for language in ("DE", "FR"):
        client = lot.gateway.session()
        tokens[language] = save(client, "ENABLE X-ONE", f"LANGUAGE {language}", "ENABLE X-TWO")
        assert lot.leave(client, lot.mark(client))
    for language in ("FR", "DE", "FR"):
        client = lot.gateway.session()
        restore(client, tokens[language])
        assert speaks(client, language)
        lot.mark(client)
        assert log_out(lot.gateway, client) == "warm"
    assert lot.logins == 1, "even the second was answered from what the first was told"


def test_a_token_with_nothing_but_a_language_takes_a_pristine_connection(lot):
    client = lot.gateway.session()
    token = save(client, "LANGUAGE DE")
    connection = lot.mark(client)
    assert lot.leave(client, connection)
    client = lot.gateway.session()
    restore(client, token)
    assert lot.mark(client) is connection and speaks(client, "DE")
    assert lot.leave(client, connection) and lot.logins == 1


def test_language_chooses_the_upstream_and_its_list_does_not(lot):
    lot.visit()
    lot.scripted.stop_listening()
    lot.scripted.drop_all()
    client = lot.gateway.session()
    assert client.ok("LANGUAGE").untagged == [LIST]
    client.no("LANGUAGE tlh")
    client.send(b"a LANGUAGE DE\r\n")
    responses = client.rest()
    assert [line.split()[:3] for line in responses] == [[b"a", b"NO", b"[UNAVAILABLE]"], [b"*", b"BYE", b"[UNAVAILABLE]"]]


@pytest.mark.parametrize("before", ["NAMESPACE", "LANGUAGE DE", "LANGUAGE FR"])
def test_language_costs_no_round_trip_where_the_namespaces_are_on_record(lot, before):
    connection = lot.visit(before)
    for _ in range(3):
        heard = list(connection.names)
        client = lot.gateway.session()
        assert client.ok("LANGUAGE DE").untagged == [b"* LANGUAGE (DE)\r\n", GERMAN]
        assert client.ok("LANGUAGE EN").untagged == [b"* LANGUAGE (EN)\r\n", UNTRANSLATED]
        assert client.ok("NAMESPACE").untagged == [UNTRANSLATED]
        assert connection.names == heard, "the server has heard nothing of it"
        assert lot.mark(client) is connection and lot.leave(client, connection)
    assert lot.logins == 1


def test_in_another_state_the_namespaces_are_asked_for(lot):
    lot.visit("NAMESPACE", "ENABLE X-ONE")
    client = lot.gateway.session()
    client.ok("ENABLE X-ONE")
    assert client.ok("LANGUAGE DE").untagged == [b"* LANGUAGE (DE)\r\n", GERMAN]
    assert lot.scripted.sessions[0].names.count("NAMESPACE") == 2 and lot.logins == 1


def test_a_token_after_a_language_from_the_record_is_not_restored(lot):
    client = lot.gateway.session()
    client.ok("NAMESPACE")
    token = save(client, "ENABLE X-ONE")
    lot.leave(client)
    lot.visit("NAMESPACE")
    client = lot.gateway.session()
    client.ok("LANGUAGE DE")
    assert_not_restored(client.command(f"STATE {token}"))  # P7
    assert client.ok("ENABLE X-TWO").of("ENABLED")


def test_where_the_upstream_has_no_namespaces_language_needs_no_upstream(start_scripted, start_gateway):
    scripted = start_scripted(caps_after=AFTER.replace(" NAMESPACE", ""))
    lot = Lot(start_gateway(scripted.port, languages=LANGUAGES, park={}), scripted)
    connection = lot.visit()
    heard = list(connection.names)
    client = lot.gateway.session()
    assert client.ok("LANGUAGE DE").untagged == [b"* LANGUAGE (DE)\r\n"]
    assert connection.names == heard and lot.mark(client) is connection


def test_a_parked_connection_that_dies_when_asked_for_namespaces_is_replaced(lot):
    lot.visit()
    lot.scripted.on("NAMESPACE", lambda connection, tag, arguments: connection.hang_up(), times=1)
    client = lot.gateway.session()
    assert client.ok("LANGUAGE DE").untagged == [b"* LANGUAGE (DE)\r\n", GERMAN]
    assert lot.logins == 2 and speaks(client, "DE")


def test_an_upstream_that_turns_out_to_have_language_is_asked_by_the_next_one(lot):
    lot.visit()
    lot.scripted.caps_after += " LANGUAGE"
    lot.scripted.drop_all()
    client = lot.gateway.session()  # accepted by the parked connection, which is dead
    client.no("LANGUAGE DE")
    assert speaks(client, None)
    client.ok("LANGUAGE DE")
    assert lot.scripted.sessions[-1].arguments("LANGUAGE") == [b"DE"]


def test_with_an_id_that_is_still_to_be_passed_on_the_language_waits(lot):
    lot.visit("ID NIL")
    client = lot.gateway.session()
    client.ok('ID ("name" "x")')
    answer = client.ok("LANGUAGE DE")
    assert answer.untagged == [b"* LANGUAGE (DE)\r\n", GERMAN]
    assert lot.scripted.sessions[0].arguments("ID")[-1] == b'("name" "x")' and lot.logins == 1


# The upstream's words

KEPT = [b"* OK [ALERT] The disk is full", b"* NO [ALERT] The disk is full", b"* OK Still here", b"* NO not today", b"* BAD what",
        b"* OK [X-UNKNOWN] odd", b"* OK [UIDNEXT 5]", b"* OK [UIDNEXT 5 unclosed", b"* LIST () \"/\" \"OK [UIDNEXT 5] x\"",
        b"* FLAGS (\\Seen)", b"* 3 EXISTS", b"* STATUS INBOX (MESSAGES 3)", b"* X-DATA OK [UIDNEXT 5] x"]
REPLACED = [(b"* OK [UIDNEXT 5] ", b"Predicted next UID"), (b"* OK [UIDVALIDITY 7] ", b"stays."), (b"* NO [OVERQUOTA] ", b"too much"),
            (b"* OK [PERMANENTFLAGS (\\Seen \\*)] ", b"Limited"), (b"* ok [uidnext 5] ", b"in small letters")]


def test_texts_whose_meaning_is_certain_are_in_the_language_and_all_else_passes(scripted, gateway):
    client = gateway.session()
    lines = [*KEPT, *(head + text for head, text in REPLACED)]
    scripted.on("NOOP", *lines, "OK done")
    assert client.ok("NOOP").untagged == [line + CRLF for line in lines]  # English: octet by octet
    client.ok("LANGUAGE DE")
    answer = client.ok("NOOP")
    assert answer.untagged[:len(KEPT)] == [line + CRLF for line in KEPT]
    for (head, text), line in zip(REPLACED, answer.untagged[len(KEPT):], strict=True):
        assert line.startswith(head) and line.endswith(CRLF) and line[len(head):-2] not in (b"", text), line
        line.decode("utf-8")


def test_a_tagged_answer_is_in_the_language_its_code_and_list_as_ever(scripted, gateway):
    client = gateway.session()
    client.ok("LANGUAGE DE")
    scripted.on("SELECT", "* 3 EXISTS", "OK [READ-WRITE] Select completed.")
    answer = client.ok("SELECT INBOX", tag="s1")
    assert answer.tagged.startswith(b"s1 OK [READ-WRITE] ") and answer.code == b"READ-WRITE"
    assert answer.text != b"[READ-WRITE] Select completed." and answer.untagged == [b"* 3 EXISTS\r\n"]
    scripted.on("SELECT", "NO because I say so")
    assert client.no("SELECT INBOX").text == b"because I say so"
    scripted.on("SELECT", "NO [ALERT] look")
    assert client.no("SELECT INBOX").text == b"[ALERT] look"


def test_a_list_in_a_code_is_rewritten_in_any_language(scripted, gateway):
    client = gateway.session()
    client.ok("LANGUAGE DE")
    scripted.on("NOOP", "* OK [CAPABILITY IMAP4rev1 X-A] x", "OK [CAPABILITY IMAP4rev1 X-B] y")
    answer = client.ok("NOOP")
    assert answer.untagged[0].startswith(b"* OK [CAPABILITY IMAP4rev1 X-A LITERAL+ LANGUAGE STATE] ")
    assert answer.tagged.startswith(b"a3 OK [CAPABILITY IMAP4rev1 X-B LITERAL+ LANGUAGE STATE] ")


def test_the_upstreams_farewell_keeps_its_words_and_ours_is_in_the_language(scripted, gateway):
    client = gateway.session()
    client.ok("LANGUAGE DE")
    scripted.on("NOOP", lambda connection, tag, arguments: (connection.send(b"* BYE [UNAVAILABLE] going down\r\n"), connection.hang_up()))
    client.send(b"a NOOP\r\n")
    assert client.rest()[0] == b"* BYE [UNAVAILABLE] going down\r\n"
    client = gateway.session()
    client.ok("LANGUAGE DE")
    assert client.logout().untagged == [b"* BYE " + translate("DE", "Logging out.") + CRLF]


# Where LANGUAGE is the upstream's

@pytest.fixture
def speaking(start_scripted):
    """An upstream that has LANGUAGE after login, with the languages EN, DE and FR."""
    return start_scripted()


def test_an_upstream_with_languages_keeps_its_words_and_ours_follow(speaking, start_gateway):
    client = start_gateway(speaking.port, languages=LANGUAGES).session()
    answer = client.ok("LANGUAGE DE")
    assert speaking.sessions[0].arguments("LANGUAGE") == [b"DE"]
    assert answer.text == b"Sprachwechsel durch LANGUAGE-Befehl ausgefuehrt"
    assert speaks(client, "DE")
    speaking.on("NOOP", "* OK [UIDNEXT 5] eins", "OK zwei")
    answer = client.ok("NOOP")
    assert (answer.untagged, answer.text) == ([b"* OK [UIDNEXT 5] eins\r\n"], b"zwei")
    client.ok("LANGUAGE EN")
    assert speaks(client, None)


def test_with_it_a_language_from_before_login_ends_at_login(speaking, start_gateway):
    client = start_gateway(speaking.port, languages=LANGUAGES).client()
    client.ok("LANGUAGE DE")
    client.login("ann", "secret")
    assert speaks(client, None)
    assert client.ok("NAMESPACE").untagged == [UNTRANSLATED]


def test_with_it_a_restore_chooses_the_language_upstream(speaking, start_gateway):
    gateway = start_gateway(speaking.port, languages=LANGUAGES)
    token = save(gateway.session(), "LANGUAGE DE")
    client = gateway.session()
    restore(client, token)
    assert setup_of(speaking.sessions[-1]) == ["LANGUAGE DE"] and speaks(client, "DE")


def test_a_token_outlives_the_day_on_which_the_upstream_learns_languages(scripted, start_gateway):
    """Clients see the same list; so the token's language is the upstream's to choose from then on."""
    gateway = start_gateway(scripted.port, languages=LANGUAGES)
    token = save(gateway.session(), "LANGUAGE DE")
    scripted.caps_after += " LANGUAGE"
    client = gateway.session()
    restore(client, token)
    assert setup_of(scripted.sessions[-1]) == ["LANGUAGE DE"]


@pytest.mark.parametrize("code", ["", "[READ-WRITE] ", "[TRYCREATE] ", "[NONEXISTENT] "])
@pytest.mark.parametrize("status", ["OK", "NO"])
@pytest.mark.parametrize("command", ["SELECT INBOX", "NOOP"])
def test_a_text_that_is_too_long_to_be_looked_at_whole_is_not_replaced(start_scripted, start_gateway, command, status, code):
    """Its rest passes unread, and would be a line of its own behind another text."""
    scripted = start_scripted(caps_after="IMAP4rev1 NAMESPACE")
    client = start_gateway(scripted.port).session()
    client.ok("LANGUAGE DE")
    answer = f"{status} {code}" + "x OK " * 15000
    scripted.on(command.split()[0], answer)
    tag = client.start(command)
    assert client.response() == f"{tag} {answer}\r\n".encode()
    assert client.ok("LANGUAGE DE")
