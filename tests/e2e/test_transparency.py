"""Everything but what the gateway answers itself is transparent: sessions run directly against a server and through the
gateway, each on a fresh mailbox of the same contents, and the octets that the client gets must be the same."""
import base64
import hashlib
import os
import re

import pytest

from harness.gateway import upstream
from harness.imap import capabilities, literal, quoted
from harness.patience import PATIENCE_S
from harness.server import NEW_USER_PASSWORD, message

MESSAGE = message("appended", 300)
DATED = b'"24-Nov-2020 10:00:00 +0000"'  # of the past: Dovecot takes no other
UTF8_NAME = b"Entw&APw-rfe"

# What no two runs of the same session share, with or without a gateway; nothing else is overlooked.
VARYING = (
    (rb"([\[ ]UIDVALIDITY) \d+", rb"\1 x"),
    (rb"\[APPENDUID \d+ ", b"[APPENDUID x "),
    (rb"\[MAILBOXID \(\w+\)", b"[MAILBOXID (x)"),
    (rb"SESSIONID=<[^>]*>", b"SESSIONID=<x>"),
    (rb"\[COPYUID \d+ ", b"[COPYUID x "),
    (rb"\(\d+\.\d+ \+ \d+\.\d+( \+ \d+\.\d+)? secs\)", b"(x secs)"),
    (rb"\d+\.\d+ secs?( \d+ calls)?", b"x secs"),
)


def normalized(octets):
    for pattern, instead in VARYING:
        octets = re.sub(pattern, instead, octets)
    return octets


def bytewise(client):
    """Each octet that it sends is a segment of its own."""
    client.send = client.send_bytewise
    return client


# Sessions: each is given a client that has logged in, and says what it says.


def session_list_and_status(c):
    c.ok("CREATE Archive/2026")
    c.ok('LIST "" *')
    c.ok('LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN UIDNEXT) SPECIAL-USE CHILDREN)')
    c.ok('LIST (SUBSCRIBED) "" %')
    c.ok("SUBSCRIBE Archive/2026")
    c.ok('LSUB "" *')
    c.ok("STATUS INBOX (MESSAGES RECENT UIDNEXT UNSEEN)")
    c.ok(b"LIST " + literal("") + b" " + literal("Arch*"))
    c.ok("RENAME Archive/2026 Archive/2027")
    c.ok("DELETE Archive/2027")
    c.ok("NAMESPACE")
    c.no("SELECT Missing")


def session_fetch(c):
    c.ok("SELECT INBOX")
    c.ok("FETCH 1:* (FLAGS UID RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
    c.ok("FETCH 1 BODY.PEEK[]")
    c.ok("FETCH 1:2 (BODY[HEADER] BODY[TEXT]<10.20> BINARY[1])")
    c.ok("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT \"FROM\")])")
    c.ok(b"FETCH 1 BODY.PEEK[HEADER.FIELDS (" + literal("Subject") + b")]")
    c.bad("FETCH 99 FLAGS")
    c.ok("CLOSE")


def session_store_and_expunge(c):
    c.ok("SELECT INBOX")
    c.ok(r"STORE 1 +FLAGS (\Seen $Label)")
    c.ok(r"UID STORE 2 FLAGS.SILENT (\Deleted)")
    c.ok("UID EXPUNGE 2")
    c.ok("CREATE Copies")
    c.ok("COPY 1 Copies")
    c.no("COPY 1 Missing")
    c.ok("MOVE 1 Copies")
    c.ok("EXPUNGE")
    c.ok("UNSELECT")
    c.bad("FETCH 1 FLAGS")


def session_search_and_sort(c):
    c.ok("SELECT INBOX")
    c.ok("SEARCH ALL")
    c.ok('SEARCH SUBJECT "hel" NOT SEEN')
    c.ok(b"SEARCH CHARSET UTF-8 SUBJECT " + literal("Hell"))
    c.ok("SEARCH RETURN (MIN MAX COUNT SAVE) ALL")
    c.ok("FETCH $ UID")
    c.ok("SORT (REVERSE SUBJECT) UTF-8 ALL")
    c.ok("THREAD REFERENCES UTF-8 ALL")
    c.ok("UID SORT RETURN (PARTIAL 1:2) (ARRIVAL) UTF-8 ALL")
    assert c.command("SEARCH CHARSET X-NONE TEXT x").status in (b"NO", b"BAD")


def append_with_sync_literal(c, command, octets, binary=False):
    tag = c.start(command + (b" ~" if binary else b" ") + b"{%d}" % len(octets))
    c.continuation()
    c.send(octets + b"\r\n")
    return c.wait(tag)


def session_append(c):
    assert append_with_sync_literal(c, rb"APPEND INBOX (\Seen) " + DATED, MESSAGE).status == b"OK"
    c.ok(rb"APPEND INBOX (\Flagged) " + DATED + b" " + literal(MESSAGE))
    c.ok(b"APPEND " + literal("INBOX") + b" " + DATED + b" " + literal(MESSAGE))
    c.ok(b"APPEND INBOX " + DATED + b" ~" + literal(MESSAGE))
    assert append_with_sync_literal(c, b"APPEND INBOX " + DATED, MESSAGE, binary=True).status == b"OK"
    c.ok("SELECT INBOX")
    c.ok("FETCH 4:* (UID FLAGS INTERNALDATE BODY.PEEK[])")


def session_append_many(c):
    c.ok(b"APPEND INBOX " + DATED + b" " + literal(MESSAGE) + rb" (\Seen) " + DATED + b" " + literal(MESSAGE * 3))
    tag = c.start(b"APPEND INBOX " + DATED + b" {%d}" % len(MESSAGE))
    c.continuation()
    c.send(MESSAGE + b" " + DATED + b" {%d}\r\n" % len(MESSAGE))
    c.continuation()
    c.send(MESSAGE + b"\r\n")
    assert c.wait(tag).status == b"OK"
    c.ok("STATUS INBOX (MESSAGES)")


def session_catenate(c):
    c.ok("SELECT INBOX")
    c.ok(b"APPEND INBOX " + DATED + b" CATENATE (URL \"/INBOX/;UID=1/;SECTION=HEADER\" TEXT " + literal("\r\nNew text.\r\n") + b")")
    tag = c.start(b"APPEND INBOX " + DATED + b" CATENATE (TEXT {%d}" % len(MESSAGE))
    c.continuation()
    c.send(MESSAGE + b" TEXT {4}\r\n")
    c.continuation()
    c.send(b"end.)\r\n")
    assert c.wait(tag).status == b"OK"
    assert c.command(b"APPEND INBOX CATENATE (URL \"/Missing/;UID=1\")").status == b"NO"
    c.ok("FETCH 4:* BODY.PEEK[]")


def session_refused_append(c):
    tag = c.start(b"APPEND Missing {%d}" % len(MESSAGE))
    assert c.wait(tag).status == b"NO"  # without "+": what follows is a command
    c.ok("NOOP")
    answer = c.command(b"APPEND Missing " + literal(MESSAGE))  # this one is on its way already
    assert answer.status == b"NO" and answer.code == b"TRYCREATE"
    c.ok("NOOP")


def session_literals_that_are_none(c):
    c.ok("SELECT INBOX")
    c.ok("NOOP {5}")
    c.bad("XYZZY {5}")
    c.ok('SEARCH SUBJECT "{5}" BODY "{5+}"')
    c.bad('LIST "" x{5}y')
    c.ok('LIST "" INBOX')


def session_empty_and_odd_literals(c):
    c.ok(b'LIST "" ' + literal(""))
    tag = c.start(b'LIST "" {0}')
    c.continuation()
    c.send(b"\r\n")
    assert c.wait(tag).status == b"OK"
    c.ok(b'LIST "" {00005+}\r\nINBOX')
    tag = c.start(b"STATUS {5}")
    c.continuation()
    c.send(b"INBOX (MESSAGES)\r\n")
    assert c.wait(tag).status == b"OK"


def session_unknown_and_malformed(c):
    c.bad("XYZZY")
    c.bad("FETCH")
    c.bad("UID")
    c.bad("UID XYZZY 1")
    c.bad("SELECT")
    c.bad("STORE 1 FLAGS")
    c.bad("LIST")
    c.bad('STATUS "IN\\BOX" (NOTHING)')
    c.ok("noop")
    c.ok("nOoP ")


def session_idle(c):
    c.ok("SELECT INBOX")
    for _ in range(2):
        tag = c.start("IDLE")
        c.continuation()
        c.send(b"DONE\r\n")
        assert c.wait(tag).status == b"OK"
    tag = c.start("IDLE")
    c.continuation()
    c.send(b"done\r\nz1 NOOP\r\n")
    assert c.wait(tag).status == b"OK"
    assert c.wait("z1").status == b"OK"


def session_idle_pipelined(c):
    """DONE behind IDLE before its "+": Dovecot takes it."""
    c.ok("SELECT INBOX")
    c.send(b"i IDLE\r\nDONE\r\nj NOOP\r\n")
    c.wait("j")


def session_notify(c):
    c.ok("CREATE Other")
    c.ok("NOTIFY SET STATUS (selected (MessageNew MessageExpunge)) (personal (MessageNew MessageExpunge))")
    c.ok("NOTIFY NONE")
    c.bad("NOTIFY SET (nonsense)")
    c.ok(b"NOTIFY SET (mailboxes " + literal("Other") + b" (MessageNew MessageExpunge))")
    c.ok("NOTIFY NONE")


def session_metadata(c):
    c.ok('SETMETADATA INBOX (/private/comment "a comment")')
    c.ok(b"SETMETADATA INBOX (/private/comment " + literal("a longer\r\ncomment {5}\r\n") + b")")
    c.ok("GETMETADATA INBOX /private/comment")
    c.ok('GETMETADATA (MAXSIZE 4) "" /private/comment')
    c.ok("SETMETADATA INBOX (/private/comment NIL)")


def session_names(c):
    c.ok(b"CREATE " + UTF8_NAME)
    c.ok(b'CREATE "with space"')
    c.ok(b"CREATE " + literal("{5}"))
    c.ok(b"SELECT " + UTF8_NAME)
    c.ok('LIST "" *')
    assert c.command(b"SELECT " + literal("Entwürfe")).status in (b"NO", b"BAD")
    assert c.command('SELECT "Entwürfe"'.encode()).status in (b"NO", b"BAD")


def session_enable_and_qresync(c):
    c.ok("ENABLE CONDSTORE QRESYNC X-NONE")
    c.ok("ENABLE X-NONE")
    c.ok("SELECT INBOX (QRESYNC (1 1))")
    c.ok("FETCH 1:* (FLAGS MODSEQ)")
    c.ok(r"STORE 1 (UNCHANGEDSINCE 99999) +FLAGS (\Seen)")


def session_id(c):
    c.ok('ID ("name" "test" "version" "1")')
    c.ok("ID NIL")
    c.ok("ID")


def wait_for_all(c, tags):
    while tags:
        tags.discard(c.response().split(b" ", 1)[0])


def session_pipelined(c):
    c.send(b"p1 SELECT INBOX\r\np2 FETCH 1:* (UID)\r\np3 STORE 1 +FLAGS (\\Seen)\r\np4 LIST \"\" INBOX\r\n"
           b"p5 GETMETADATA INBOX (/private/comment)\r\np6 FETCH 1 BODY[]\r\np7 UNSELECT\r\n")
    wait_for_all(c, {b"p%d" % number for number in range(1, 8)})


def session_2000_commands_in_one_go(c):
    c.ok("SELECT INBOX")
    c.send(b"".join(b"q%d UID FETCH %d (FLAGS)\r\n" % (number, 1 + number % 3) for number in range(2000)))
    wait_for_all(c, {b"q%d" % number for number in range(2000)})


def session_plain(c):
    """What any server can: no literal that is not waited for, no extension."""
    c.ok(f"CREATE {c.named('Work')}")
    c.ok('LIST "" *')
    c.ok(f"SUBSCRIBE {c.named('Work')}")
    c.ok('LSUB "" *')
    c.ok("STATUS INBOX (MESSAGES RECENT UIDNEXT UNSEEN)")
    c.append(c.named('Work'), MESSAGE)
    c.ok("SELECT INBOX")
    c.ok("FETCH 1:* (FLAGS UID RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
    c.ok("FETCH 1 BODY[]")
    c.ok('UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT "FROM")])')
    c.ok('SEARCH SUBJECT "hel"')
    c.ok(r"STORE 2 +FLAGS (\Deleted)")
    c.ok(f"COPY 1 {c.named('Work')}")
    c.ok("EXPUNGE")
    c.no(f"COPY 1 {c.named('Missing')}")
    c.ok(f"SELECT {c.named('Work')}")
    c.ok("FETCH 1:* (FLAGS BODY.PEEK[])")
    c.ok("CLOSE")


def session_utf8(c):
    c.ok("ENABLE UTF8=ACCEPT")
    c.ok(b"CREATE " + quoted(c.named("Entwürfe")))
    c.ok('LIST "" *')
    c.ok(b"SELECT " + quoted(c.named("Entwürfe")))
    c.ok("CLOSE")


def session_capability(c):
    c.command("CAPABILITY")


# Whatever is not here is for every server.
NEEDS = {
    "list_and_status": ("LITERAL+",), "fetch": ("LITERAL+",), "store_and_expunge": ("UIDPLUS", "MOVE", "UNSELECT"),
    "search_and_sort": ("LITERAL+",), "append": ("LITERAL+", "BINARY"), "append_many": ("LITERAL+", "MULTIAPPEND"),
    "catenate": ("LITERAL+", "CATENATE"), "refused_append": ("LITERAL+",), "empty_and_odd_literals": ("LITERAL+",),
    "notify": ("NOTIFY", "LITERAL+"), "metadata": ("METADATA", "LITERAL+"), "names": ("LITERAL+",), "id": ("ID",),
    "enable_and_qresync": ("QRESYNC",), "pipelined": ("METADATA", "UNSELECT"), "utf8": ("UTF8=ACCEPT",),
}
CANNOT = {
    ("Cyrus", "idle_pipelined"): "hangs when DONE does not wait for the +",
    ("Courier", "literals_that_are_none"): "takes them for literals",
}

# Dovecot answers these in an order that depends on how they arrive: the same lines, in any order.
UNORDERED = {"pipelined", "2000_commands_in_one_go"}
SESSIONS = {name.removeprefix("session_"): function for name, function in list(globals().items()) if name.startswith("session_")}


def sessions(without=()):
    return [pytest.param(name, marks=pytest.mark.needs(*NEEDS.get(name, ()))) for name in SESSIONS if name not in without]


def prepare(server):
    user = server.new_user()
    for number, subject in enumerate(("Hello", "Zebra", "Apple")):
        server.add_message(user, message(subject, 500), name=f"{1000000000 + number}.M{number}.host")
    return user


def any_status(client):
    """Servers differ in what they take; that it is the same both ways is what counts."""
    client.ok = client.no = client.bad = client.command
    return client


def skip_if_it_cannot(server, name):
    if why := CANNOT.get((server.name, name)):
        pytest.skip(f"{server.name} {why}")


def run(server, client, user, session, language=None, compressed=False):
    """Gives the octets behind the login, behind the choice of a language and the beginning of compression."""
    client.named = server.mailbox
    with client:
        client.login(user, NEW_USER_PASSWORD)
        if language:
            client.ok(f"LANGUAGE {language}", tag="l")
        if compressed:
            client.compress()
        begun = len(client.wire.received)
        session(client if server.name == "Dovecot" else any_status(client))
        ended = client.command("LOGOUT")
        assert ended.status == b"OK"
        assert client.rest() == []
        tail = b"".join(ended.of("BYE")) + ended.tagged  # in words of the gateway's own
        received = bytes(client.wire.received[begun:])
        assert received.endswith(tail)
        return normalized(received.removesuffix(tail))


def seen_by_client(octets):
    """A direct transcript with STATE where the gateway has it, and without what it cannot let pass (P1)."""
    def rewritten(match):
        names = [name for name in match.group(2).split() if not name.startswith((b"COMPRESS=", b"LOGIN-REFERRALS", b"MAILBOX-REFERRALS",
                                                                                                 b"LOGINDISABLED", b"LITERAL-"))]
        literals = [] if b"LITERAL+" in names else [b"LITERAL+"]
        return match.group(1) + b"CAPABILITY " + b" ".join([*names, *literals, b"LANGUAGE", b"STATE"])
    return re.sub(rb"(\* |\[)CAPABILITY ([^\r\n\]]+)", rewritten, octets)


def without_texts(transcript):
    """Status responses up to their text, and NAMESPACE without the translations that it has gained."""
    def stripped(octets):
        octets = re.sub(rb'(?m)^(\S+ (?:OK|NO|BAD) (?:\[(?:"[^"]*"|[^]"])*\] )?)[^\r\n]*', rb"\1", octets)
        return re.sub(rb' "TRANSLATION" \("[^"]*"\)', b"", octets)
    return sorted(map(stripped, transcript)) if isinstance(transcript, list) else stripped(transcript)


@pytest.fixture
def compressing(_gateways, server):
    return _gateways("gateway", [upstream(server.plain_port)], every_listener={"compress": True})


@pytest.mark.every_server
@pytest.mark.parametrize("name", sessions())
def test_a_session_is_the_same_through_the_gateway(server, gateway, compressing, trust, connect, name):
    skip_if_it_cannot(server, name)

    def transcript(client, language=None, compressed=False):
        received = run(server, client, prepare(server), SESSIONS[name], language, compressed)
        return sorted(received.splitlines(True)) if name in UNORDERED else received

    direct = transcript(connect(server.plain_port))
    if name == "capability":
        direct = seen_by_client(direct)
    ways = {
        "in clear": lambda: connect(gateway.plain_port),
        "TLS": lambda: connect(gateway.tls_port, tls=trust),
        "octet by octet": lambda: bytewise(connect(gateway.plain_port)),
    }
    for way, connected in ways.items():
        assert transcript(connected()) == direct, way
    if name != "capability":
        assert transcript(connect(compressing.plain_port), compressed=True) == direct
    german = transcript(connect(gateway.plain_port), "DE")
    assert without_texts(german) == without_texts(direct) and german != direct


@pytest.fixture
def parking(start_gateway, server):
    """A gateway that parks connections."""
    return start_gateway(server.plain_port, park={"per_user": 2})


# Until a connection is chosen the gateway answers these itself.
OWN_BEFORE_CHOICE = {"capability", "id"}


@pytest.mark.every_server
@pytest.mark.parametrize("name", sessions(without=UNORDERED | OWN_BEFORE_CHOICE))
def test_a_session_is_the_same_on_a_connection_that_was_parked(server, parking, connect, name):
    """An earlier session of the same user has listed, and had a mailbox selected."""
    skip_if_it_cannot(server, name)

    def transcript(port, left):
        user = prepare(server)
        with connect(port) as earlier:
            earlier.login(user, NEW_USER_PASSWORD)
            earlier.ok('LIST "" *')
            earlier.ok("SELECT INBOX")
            earlier.ok("FETCH 1:* FLAGS")
            earlier.logout()
        left()
        return run(server, connect(port), user, SESSIONS[name])

    direct = transcript(server.plain_port, lambda: None)
    assert transcript(parking.plain_port, lambda: parking.wait_log("park: parked,")) == direct
    assert len(re.findall(r"user=user\d+ upstream=main LOGGING_IN -> AUTHENTICATED", parking.log())) == 2
    assert parking.log().count("READY -> LOGGING_IN") == 1, "it was not picked up"


LOGINS = {
    "LOGIN": b'a LOGIN "%s" secret\r\n',
    "LOGIN with literals": b"a LOGIN {%d+}\r\n%s {6+}\r\nsecret\r\n",
    "behind CAPABILITY": b'c CAPABILITY\r\na LOGIN "%s" secret\r\n',
}


def login_answer(client, user, octets):
    """The tagged answer to the login, its list where the gateway always puts it: in the code of the tagged OK."""
    arguments = (len(user), user.encode()) if b"%d" in octets else user.encode()
    client.send(octets % arguments)
    if octets.startswith(b"c "):
        client.wait("c")
    answer = client.wait("a")
    listed = [line for line in answer.untagged if capabilities(line)]
    assert answer.untagged == listed
    if capabilities(answer.tagged):
        return normalized(answer.tagged)
    names = b" ".join(capabilities(listed[0] if listed else client.ok("CAPABILITY").of("CAPABILITY")[0]))
    return answer.tagged.replace(b"a OK ", b"a OK [CAPABILITY " + names + b"] ", 1)


@pytest.mark.every_server
@pytest.mark.parametrize("way", [pytest.param(way, marks=pytest.mark.needs(*(["LITERAL+"] if "literals" in way else []))) for way in LOGINS])
def test_a_login_is_answered_alike_but_for_state(server, gateway, connect, way):
    user = server.new_user()
    direct = login_answer(connect(server.plain_port), user, LOGINS[way])
    assert b"STATE" not in capabilities(direct)
    through = login_answer(gateway.client(), user, LOGINS[way])
    if server.name == "Cyrus":  # another text to AUTHENTICATE, which is what it got
        direct, through = (each[:each.index(b"]") + 1] for each in (direct, through))
    assert through == seen_by_client(direct)


# Cut in two


CUT_COMMANDS = {
    "NOOP": b"x NOOP\r\n",
    "LF alone": b"x NOOP\n",
    "quoted": b'x LIST "" "IN\\"{5+}BOX"\r\n',
    "literal+": b"x STATUS {5+}\r\nINBOX (MESSAGES)\r\n",
    "empty literal": b'x LIST {0+}\r\n {5+}\r\nINBOX\r\n',
    "literal not waited for": b"x STATUS {5}\r\nINBOX (MESSAGES)\r\n",
    "refused literal": b"y APPEND Missing {4}\r\nx NOOP\r\n",
    "no literal": b"y NOOP {4}\r\nx NOOP\r\n",
    "unknown": b"x XYZZY 1 2\r\n",
    "IDLE": b"x IDLE\r\nDONE\r\n",
    "NUL": b"x NO\0OP\r\n",
    "pipelined": b"y UID FETCH 1 FLAGS\r\nz STATE\r\nx UID FETCH 2 FLAGS\r\n",
}


class Bystander:
    """A client whose answers tell that the gateway, which has one worker, has read what others sent before."""

    def __init__(self, client):
        self._client = client

    def let_it_be_read(self):
        # Two rounds: in the first, both may have been in one batch of events, the bystander's in front.
        for _ in range(2):
            self._client.ok("NOOP", tag="n")


@pytest.mark.parametrize("name", CUT_COMMANDS)
def test_a_command_is_answered_alike_wherever_it_is_cut(dovecot, gateway, name):
    octets = CUT_COMMANDS[name]
    session = gateway.session(prepare(dovecot), NEW_USER_PASSWORD)
    bystander = Bystander(gateway.client())

    def answer(cut):
        session.send(octets[:cut])
        if cut:
            bystander.let_it_be_read()
        session.send(octets[cut:])
        answered = session.wait("x")
        return normalized(b"".join(answered.untagged) + answered.tagged)

    session.ok("EXAMINE INBOX")
    session.ok("FETCH 1:* FLAGS")
    whole = answer(0)
    for cut in range(1, len(octets)):
        assert answer(cut) == whole, f"cut behind {octets[:cut]!r}"


CUT_LOGINS = {
    "LOGIN": (b"x LOGIN %s secret\r\n",),
    "literals": (b"x LOGIN {%d}\r\n", b"%s {6}\r\n", b"secret\r\n"),
    "literals+": (b"x LOGIN {%d+}\r\n%s {6+}\r\nsecret\r\n",),
    "AUTHENTICATE": (b"x AUTHENTICATE PLAIN\r\n", b"%b\r\n"),
}


@pytest.mark.parametrize("name", CUT_LOGINS)
def test_a_login_succeeds_wherever_it_is_cut(dovecot, gateway, name):
    user = dovecot.new_user().encode()
    initial = base64.b64encode(b"\0" + user + b"\0secret")
    parts = [part.replace(b"%d", b"%d" % len(user)).replace(b"%s", user).replace(b"%b", initial) for part in CUT_LOGINS[name]]
    bystander = Bystander(gateway.client())
    for which, part in enumerate(parts):
        for cut in range(1, len(part)):
            with gateway.client() as client:
                for number, octets in enumerate(parts):
                    if number:
                        client.continuation()
                    if number == which:
                        client.send(octets[:cut])
                        bystander.let_it_be_read()
                        octets = octets[cut:]
                    client.send(octets)
                assert client.wait("x").status == b"OK", f"cut behind {part[:cut]!r}"


# Large literals


def large_message(octets):
    line_octets = 64
    random = os.urandom(octets * 32 // 66).hex().encode()
    lines = [random[at:at + line_octets] for at in range(0, len(random), line_octets)]
    return b"Subject: large\r\n\r\n" + b"\r\n".join(lines) + b"\r\n"


def digest(octets):
    return hashlib.sha256(octets).hexdigest()


@pytest.mark.parametrize("way", ["in clear", "TLS"])
def test_thirty_megabytes_pass_both_ways(dovecot, gateway, start_gateway, authority, trust, way):
    if way == "TLS":
        gateway = start_gateway(upstream(dovecot.tls_port, tls="implicit", tls_ca_file=str(authority.ca_file),
                                         tls_name="localhost"))
    client = gateway.client(gateway.tls_port if way == "TLS" else None, tls=trust if way == "TLS" else None, timeout=PATIENCE_S)
    client.login(dovecot.new_user(), NEW_USER_PASSWORD)
    octets = large_message(30_000_000)
    assert len(octets) >= 30_000_000
    assert append_with_sync_literal(client, b"APPEND INBOX", octets).status == b"OK"
    client.ok(b"APPEND INBOX " + literal(octets))
    client.ok("SELECT INBOX")
    for number in (1, 2):
        fetched, = client.ok(f"FETCH {number} BODY.PEEK[]").of("FETCH")
        body = fetched[fetched.index(b"\r\n") + 2:].removesuffix(b")\r\n")
        assert digest(body) == digest(octets)
