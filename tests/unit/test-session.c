#include "check.h"

#include "condstore.h"
#include "evidence.h"
#include "record.h"
#include "session.h"
#include "setup.h"

#include <stdlib.h>
#include <string.h>

static bool begin(struct session *session, const char *user, bool is_certain, const char *names, uint64_t epoch)
{
    struct offers *offers = offers_new(imapstate_span_of(names));
    bool is_begun = session_begin(session, imapstate_span_of(user), is_certain, offers, offers, epoch);
    offers_unref(offers);
    return is_begun;
}

/* What a session goes through, as text, "|" between the steps:
 *   "T" tracking begins; "C COMMAND ..." a command goes up, its line; "L" a literal with it; "< LINE" an untagged
 *   response; "OK", "NO", "BAD": the command's answer, "OK+" if it is to be announced (P9), "OK-" if not; "BIG": its
 *   arguments did not fit; "R E NAMES", "R L de" ...: a state with that one entry is restored; "G de": the gateway
 * itself has set the language, "G+de" if that is to be announced, "G]de" by a command whose tag has "]"; "Q L de": a
 * state with that language is restored, of which the connection knows nothing. */
struct walk {
    struct session session;
    struct pipeline pipeline;
    struct flight *flight;
    const char *row;
};

static void walk_command(struct walk *walk, const char *words)
{
    struct imapstate_command_line line;
    char text[256];
    snprintf(text, sizeof text, "a %s\r\n", words);
    assert_int_equal(imapstate_command_parse(imapstate_span_of(text), &line), IMAPSTATE_OK);
    session_sent_line(&walk->session, line.command, line.arguments);
    walk->flight =
        pipeline_push(&walk->pipeline, line.command, strstr(words, "]TAG") ? IMAPSTATE_SPAN("a]") : line.tag);
    imapstate_buf_init(&walk->flight->arguments, 1024);
    assert_true(imapstate_buf_put(&walk->flight->arguments, line.arguments));
}

static void walk_answer(struct walk *walk, const char *words)
{
    enum status_word status = *words == 'O' ? STATUS_OK : *words == 'N' ? STATUS_NO : STATUS_BAD;
    bool is_announced = session_completed(&walk->session, walk->flight, status);
    CHECK_ROW(walk->row, words[strlen(words) - 1] != '+' || is_announced);
    CHECK_ROW(walk->row, words[strlen(words) - 1] == '+' || !is_announced);
    flight_free(pipeline_take(&walk->pipeline, (struct imapstate_span){ walk->flight->tag, walk->flight->tag_len }));
    walk->flight = NULL;
}

static void walk_set_language(struct walk *walk, char how, const char *language)
{
    struct imapstate_span tag = how == ']' ? IMAPSTATE_SPAN("a]") : IMAPSTATE_SPAN("a");
    CHECK_ROW(walk->row, session_set_language(&walk->session, tag, imapstate_span_of(language)) == (how == '+'));
}

/* A token holds the state. */
static void walk_restore_token(struct walk *walk, const struct imapstate_state *state)
{
    static const uint8_t octets[IMAPSTATE_KEY_OCTETS] = { 7 };
    struct imapstate_keyring *keyring = imapstate_keyring_new();
    struct imapstate_token_binding binding = session_binding(&walk->session, "main");
    struct imapstate_server *server = walk->session.server;
    struct imapstate_key key;
    struct imapstate_buf encoded, token;
    uint64_t left_s;
    imapstate_buf_init(&encoded, IMAPSTATE_STATE_MAX);
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    assert_true(imapstate_state_encode(state, &encoded));
    assert_int_equal(imapstate_keyring_add(keyring, 1, 0, octets), IMAPSTATE_OK);
    assert_true(imapstate_keyring_sealing(keyring, 1, &key));
    assert_int_equal(imapstate_token_seal(&key, &binding, 1, 60, imapstate_buf_span(&encoded), &token, &left_s),
                     IMAPSTATE_OK);
    assert_int_equal(imapstate_server_restore(server, keyring, &binding, 1, imapstate_buf_span(&token), NULL),
                     IMAPSTATE_ANSWER_RUN);
    assert_int_equal(imapstate_server_conclude(server, &binding, IMAPSTATE_OUTCOME_RESTORED),
                     IMAPSTATE_ANSWER_RESTORED);
    imapstate_buf_done(&token);
    imapstate_buf_done(&encoded);
    imapstate_keyring_free(keyring);
}

static void walk_restore(struct walk *walk, char kind, const char *value, bool is_upstreams)
{
    struct imapstate_state *state = imapstate_state_new(IMAPSTATE_STATE_MAX);
    struct imapstate_span span = imapstate_span_of(value);
    enum imapstate_error error = kind == 'E'   ? imapstate_state_record(state, IMAPSTATE_ENTRY_ENABLE, span)
                                 : kind == 'L' ? imapstate_state_record(state, IMAPSTATE_ENTRY_LANGUAGE, span)
                                               : imapstate_state_record(state, IMAPSTATE_ENTRY_NOTIFY, span);
    assert_int_equal(error, IMAPSTATE_OK);
    walk_restore_token(walk, state);
    session_restore(&walk->session, is_upstreams ? session_copy(state) : imapstate_state_new(64),
                    SESSION_RESTORED_COLD);
    imapstate_state_free(state);
}

static void walk_track(struct walk *walk)
{
    struct imapstate_token_binding binding = session_binding(&walk->session, "main");
    assert_int_equal(imapstate_server_track(walk->session.server, &binding), IMAPSTATE_ANSWER_TRACKING);
}

static void walk_step(struct walk *walk, const char *step)
{
    struct imapstate_span rest = imapstate_span_of(step + 2);
    char line[256];
    switch (*step) {
    case '\0':
        break;
    case 'T':
        walk_track(walk);
        break;
    case 'C':
        walk_command(walk, step + 2);
        break;
    case 'L':
        session_sent_literal(&walk->session, walk->flight->command, IMAPSTATE_SPAN("x {5}\r\n"), true);
        break;
    case '<':
        snprintf(line, sizeof line, "* %s\r\n", step + 2);
        session_saw_response(&walk->session, &walk->pipeline, imapstate_span_of(line));
        break;
    case 'R':
    case 'Q':
        walk_restore(walk, step[2], step + 4, *step == 'R');
        break;
    case 'G':
        walk_set_language(walk, step[1], step + 2);
        break;
    default:
        if (rest.len > 0 && step[0] == 'B' && step[1] == 'I')
            walk->flight->is_too_large = true;
        else
            walk_answer(walk, step);
    }
}

static void walk_begin(struct walk *walk, const char *row, const char *steps)
{
    char text[1024];
    *walk = (struct walk){ .row = row };
    session_init(&walk->session);
    assert_true(begin(&walk->session, "ann", true, "IMAP4rev1 STATE", 0));
    snprintf(text, sizeof text, "%s", steps);
    for (char *rest = text, *step; (step = strsep(&rest, "|"));)
        walk_step(walk, step);
}

static void walk_end(struct walk *walk)
{
    session_done(&walk->session);
    pipeline_done(&walk->pipeline);
}

/* The entries, "E QRESYNC|L de". */
static const char *entries_of(const struct imapstate_state *state)
{
    static char text[256];
    struct imapstate_entry entry;
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; state && imapstate_state_at(state, i, &entry); i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%c %.*s", i ? "|" : "", "?ELCN"[entry.kind],
                                (int)entry.value.len, (const char *)entry.value.at);
    return text;
}

static const struct {
    const char *name, *steps, *state; /* what SAVESTATE would save */
} tracked[] = {
    { "P10: nothing before tracking", "C ENABLE QRESYNC|< ENABLED QRESYNC|OK|T", "" },
    { "P9: a confirmed ENABLE", "T|C ENABLE QRESYNC X|< ENABLED QRESYNC|OK+", "E QRESYNC" },
    { "an ENABLE of nothing known", "T|C ENABLE X|OK", "" },
    { "an ENABLE of nothing known, answered with an empty line", "T|C ENABLE X|< ENABLED|OK", "" },
    { "what was on already is on", "C ENABLE QRESYNC|< ENABLED QRESYNC|OK|T|C ENABLE QRESYNC|OK+", "E QRESYNC" },
    { "more was switched on than was asked for", "T|C ENABLE QRESYNC|< ENABLED QRESYNC CONDSTORE|OK+", "E QRESYNC" },
    { "P9: NO is never stored", "T|C NOTIFY NONE|NO", "" },
    { "P9: BAD is never stored", "T|C ENABLE QRESYNC|< ENABLED QRESYNC|BAD", "" },
    { "a language that was chosen", "T|C LANGUAGE de en|< LANGUAGE (DE)|OK+", "L DE" },
    { "a list of languages chooses none", "T|C LANGUAGE de|< LANGUAGE (DE EN)|OK", "" },
    { "LANGUAGE without arguments asks", "T|C LANGUAGE|< LANGUAGE (DE EN)|OK", "" },
    { "an old choice says nothing of a new command", "< LANGUAGE (FR)|T|C LANGUAGE de|OK", "" },
    { "a later language takes the place of an earlier one",
      "T|C LANGUAGE de|< LANGUAGE (de)|OK+|C NOTIFY NONE|OK+|C LANGUAGE fr|< LANGUAGE (fr)|OK+", "N NONE|L fr" },
    { "P9: one that cannot be stored removes the earlier one", "T|C NOTIFY NONE|OK+|C NOTIFY NONE|BIG|OK", "" },
    { "P9: a tag with ] removes the earlier one, too",
      "T|C LANGUAGE de|< LANGUAGE (de)|OK+|C LANGUAGE ]TAG|< LANGUAGE (fr)|OK", "" },
    { "P9: of ENABLE nothing goes", "T|C ENABLE X-ONE|< ENABLED X-ONE|OK+|C ENABLE X-TWO|< ENABLED X-TWO|BIG|OK",
      "E X-ONE" },
    { "a comparator", "T|C COMPARATOR \"i;octet\"|< COMPARATOR \"i;octet\"|OK+", "C i;octet" },
    { "other comparators to choose from", "T|C COMPARATOR \"x*\"|< COMPARATOR (\"x1\" \"x2\")|OK", "" },
    { "COMPARATOR without arguments asks", "T|C COMPARATOR|< COMPARATOR i;octet|OK", "" },
    { "NOTIFY as it was sent", "T|C NOTIFY SET (personal (MessageNew))|OK+", "N SET (personal (MessageNew))" },
    { "what is never stored", "T|C NOOP|OK|C SELECT x|OK|C ID NIL|OK", "" },
    { "P8: what was restored is in it", "R E QRESYNC|C NOTIFY NONE|OK+", "E QRESYNC|N NONE" },
    { "a language of the gateway's", "T|G+DE", "L DE" },
    { "P10: one before tracking", "G DE|T", "" },
    { "a later one takes the place of an earlier one", "T|G+DE|C NOTIFY NONE|OK+|G+FR", "N NONE|L FR" },
    { "P9: one whose tag has ] removes the earlier one", "T|G+DE|G]FR", "" },
    { "what was restored is on", "R E QRESYNC|C ENABLE QRESYNC|OK+", "E QRESYNC" },
    { "what nobody asked for is in no token", "T|< ENABLED X-ONE|C ENABLE X-TWO|< ENABLED X-TWO X-THREE|OK+",
      "E X-TWO" },
    { "RFC 5465: a NOTIFY that has ended by itself is NOTIFY NONE",
      "T|C NOTIFY SET (personal (MessageNew))|OK+|< OK [NOTIFICATIONOVERFLOW] Too many", "N NONE" },
    { "RFC 5465: nor is one stored that has ended before its OK",
      "T|C NOTIFY SET (personal (MessageNew))|< OK [NOTIFICATIONOVERFLOW] Too many|OK-|C NOTIFY NONE|OK+", "N NONE" },
    { "but where there was none there is none", "T|< OK [NOTIFICATIONOVERFLOW] Too many", "" },
};

TEST(confirmed_commands_become_the_state)
{
    for (size_t i = 0; i < ARRAY_LEN(tracked); i++) {
        struct walk walk;
        walk_begin(&walk, tracked[i].name, tracked[i].steps);
        CHECK_SPAN(tracked[i].name, imapstate_span_of(entries_of(imapstate_server_state(walk.session.server))),
                   imapstate_span_of(tracked[i].state));
        walk_end(&walk);
    }
}

/* Whom may the connection serve afterwards? NULL: nobody; "": whoever wants a pristine one. */
static const struct {
    const char *name, *steps, *serves;
} parked[] = {
    { "nothing was done", "", "" },
    { "P3: tracking alone", "T", "" },
    { "queries", "C LIST \"\" *|OK|C STATUS x (MESSAGES)|OK|C NOOP|OK", "" },
    { "a mailbox was selected", "C SELECT x|OK", "" },
    { "tracked", "T|C ENABLE QRESYNC|< ENABLED QRESYNC|OK+", "E QRESYNC" },
    { "not tracked", "C ENABLE QRESYNC|< ENABLED QRESYNC|OK", "E QRESYNC" },
    { "partly tracked", "C ENABLE X-ONE|< ENABLED X-ONE|OK|T|C ENABLE X-TWO|< ENABLED X-TWO|OK+", "E X-ONE X-TWO" },
    { "ENABLE was refused, and may have done something", "C ENABLE X-ONE|NO", NULL },
    { "ENABLE was not understood, and may have done something", "C ENABLE X-ONE|BAD", NULL },
    { "ENABLE told of more than was asked for", "T|C ENABLE X-ONE|< ENABLED X-TWO|OK", NULL },
    { "ENABLED that nobody asked for", "< ENABLED QRESYNC", NULL },
    { "NOTIFY was refused, and may have done something", "C NOTIFY NONE|NO", NULL },
    { "NOTIFY was not understood, and may have done something", "C NOTIFY NONE|BAD", NULL },
    { "LANGUAGE was refused, which changes nothing", "C LANGUAGE xx|NO", "" },
    { "COMPARATOR was refused, which changes nothing", "C COMPARATOR x|NO", "" },
    { "NOTIFY, then mailbox names are read otherwise",
      "T|C NOTIFY SET (personal (MessageNew))|OK+|C ENABLE UTF8=ACCEPT|< ENABLED UTF8=ACCEPT|OK+", NULL },
    { "NOTIFY NONE, then mailbox names are read otherwise",
      "T|C NOTIFY NONE|OK+|C ENABLE UTF8=ACCEPT|< ENABLED UTF8=ACCEPT|OK+", "N NONE|E UTF8=ACCEPT" },
    { "NOTIFY, then something else is enabled",
      "T|C NOTIFY SET (personal (MessageNew))|OK+|C ENABLE X-ONE|< ENABLED X-ONE|OK+",
      "N SET (personal (MessageNew))|E X-ONE" },
    { "NOTIFY with names that are read so already",
      "T|C ENABLE UTF8=ACCEPT|< ENABLED UTF8=ACCEPT|OK+|C NOTIFY SET (personal (MessageNew))|OK+",
      "E UTF8=ACCEPT|N SET (personal (MessageNew))" },
    { "a command that nobody knows", "C XYZZY|OK", NULL },
    { "a command that nobody knows, refused", "C XYZZY|BAD", NULL },
    { "CONDSTORE by SELECT", "C SELECT x (CONDSTORE)|OK", "%O" },
    { "CONDSTORE by FETCH", "C FETCH 1 (MODSEQ)|OK", "%O" },
    { "CONDSTORE by FETCH, and it shows", "C FETCH 1 (MODSEQ)|< 3 FETCH (FLAGS () MODSEQ (7))|OK", "%O" },
    { "CONDSTORE by STATUS, which some servers take for it", "C STATUS x (HIGHESTMODSEQ)|OK", "%S" },
    { "CONDSTORE by STATUS, and it shows", "C STATUS x (HIGHESTMODSEQ)|OK|C NOOP|< 3 FETCH (MODSEQ (7))|OK", "%S" },
    { "CONDSTORE by STATUS, refused", "C STATUS x (HIGHESTMODSEQ)|NO", "%O" },
    { "by STATUS, and by SEARCH", "C STATUS x (HIGHESTMODSEQ)|OK|C SEARCH MODSEQ 5|OK", "%O" },
    { "beside ENABLE", "C ENABLE X-ONE|< ENABLED X-ONE|OK|C SELECT x (CONDSTORE)|OK", "%OE X-ONE" },
    { "before ENABLE", "C SELECT x (CONDSTORE)|OK|C ENABLE X-ONE|< ENABLED X-ONE|OK", "%OE X-ONE" },
    { "beside NOTIFY, which may depend on it", "C SELECT x (CONDSTORE)|OK|C NOTIFY NONE|OK", NULL },
    { "QRESYNC, which was never enabled", "C SELECT x (QRESYNC (1 2))|OK", NULL },
    { "VANISHED, which nothing brings", "C SELECT x (CONDSTORE)|OK|C NOOP|< VANISHED 3:5|OK", NULL },
    { "an ENABLE that nothing was said to", "C SELECT x (CONDSTORE)|OK|C ENABLE CONDSTORE|OK", NULL },
    { "the same without SELECT", "C ENABLE CONDSTORE|OK", NULL },
    { "NOTIFY with FlagChange", "C NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))|OK", NULL },
    { "the same where QRESYNC is on anyway", "T|C ENABLE QRESYNC|< ENABLED QRESYNC|OK+|C FETCH 1 (MODSEQ)|OK",
      "E QRESYNC" },
    { "a literal that nobody looked into", "C SEARCH x|L|OK", NULL },
    { "an annotation that nobody looked into", "C STORE 1 ANNOTATION (/comment (value.priv|L|OK", NULL },
    { "an annotation in quotes", "C STORE 1 ANNOTATION (/comment (value.priv \"x\"))|OK", "" },
    { "a message", "C APPEND x|L|OK", "" },
    { "a language that nobody told of", "T|C LANGUAGE de|OK", NULL },
    { "a language that did not fit", "T|C LANGUAGE de|< LANGUAGE (de)|BIG|OK", NULL },
    { "NOTIFY that did not fit", "T|C NOTIFY NONE|BIG|OK", NULL },
    { "P9: a tag with ]: in effect, but in no token", "T|C LANGUAGE ]TAG|< LANGUAGE (fr)|OK", "L fr" },
    { "restored", "R E QRESYNC", "E QRESYNC" },
    { "restored, and more", "R E X-ONE|C NOTIFY NONE|OK+", "E X-ONE|N NONE" },
    { "restored, and a notification", "R N SET (personal (MessageNew))", "N SET (personal (MessageNew))" },
    { "P10: a language of the gateway's, not tracked", "G DE", "" },
    { "a language of the gateway's alone", "T|G+DE", "" },
    { "among others", "T|C ENABLE X-ONE|< ENABLED X-ONE|OK+|G+DE|C ENABLE X-TWO|< ENABLED X-TWO|OK+", "E X-ONE X-TWO" },
    { "one that could not be stored", "T|C ENABLE X-ONE|< ENABLED X-ONE|OK+|G]DE", "E X-ONE" },
    { "beside what was not tracked", "C ENABLE X-ONE|< ENABLED X-ONE|OK|T|G+DE", "E X-ONE" },
    { "a language of the gateway's, restored", "Q L DE", "" },
    { "and more", "Q L DE|C ENABLE X-ONE|< ENABLED X-ONE|OK+", "E X-ONE" },
    { "a language of the upstream's, restored", "R L DE", "L DE" },
    { "restored without CONDSTORE, then implied", "R L de|C FETCH 1 (MODSEQ)|OK", NULL },
    { "restored with an ENABLE, then implied", "R E X-ONE|C FETCH 1 (MODSEQ)|OK", "%OE X-ONE" },
    { "in whatever order it is asked for", "C ENABLE X-TWO x-one X-TWO|< ENABLED X-TWO X-ONE|OK", "E X-ONE X-TWO" },
    /* Beside a record that is not empty, what it does not say counts as well. */
    { "ENABLED that nobody asked for, beside what was", "T|C ENABLE X-ONE|< ENABLED X-ONE|OK+|< ENABLED X-TWO", NULL },
    { "a name that nobody asked for, in the answer", "T|C ENABLE X-ONE|< ENABLED X-ONE X-TWO|OK+", NULL },
    { "in lower case", "T|C ENABLE X-ONE|< enabled x-one x-two|OK+", NULL },
    { "in a line of its own", "T|C ENABLE X-ONE|< ENABLED X-TWO|< ENABLED X-ONE|OK+", NULL },
    { "in answer to another command", "T|C ENABLE X-ONE|< ENABLED X-ONE|OK+|C NOOP|< ENABLED QRESYNC|OK", NULL },
    { "restored, and one that nobody asked for", "R E X-ONE|C NOOP|< ENABLED QRESYNC|OK", NULL },
    { "behind a language", "T|C LANGUAGE de|< LANGUAGE (de)|OK+|< ENABLED QRESYNC", NULL },
    { "one name in several lines", "T|C ENABLE X-ONE|< ENABLED X-ONE|< ENABLED X-ONE|OK+", "E X-ONE" },
    { "behind the tagged answer", "T|C ENABLE X-ONE|OK|< ENABLED X-ONE", NULL },
    { "the same name behind the tagged answer: whose answer is it?",
      "T|C ENABLE X-ONE|< ENABLED X-ONE|OK+|< ENABLED X-ONE", NULL },
    { "empty, and nobody asked", "C NOOP|< ENABLED|OK", NULL },
    { "empty, and asked", "C ENABLE X-ONE|< ENABLED|OK", "" },
    { "QRESYNC brings CONDSTORE", "T|C ENABLE QRESYNC|< ENABLED QRESYNC CONDSTORE|OK+", "E QRESYNC" },
    { "but CONDSTORE brings no QRESYNC", "T|C ENABLE CONDSTORE|< ENABLED CONDSTORE QRESYNC|OK+", NULL },
    { "asked for in the end", "T|C ENABLE X-ONE|< ENABLED X-ONE X-TWO|OK+|C ENABLE X-TWO|< ENABLED X-TWO|OK+",
      "E X-ONE X-TWO" },
    { "a language that nobody chose", "C NOOP|< LANGUAGE (FR)|OK", NULL },
    { "a list of languages that nobody asked for", "C NOOP|< LANGUAGE (FR DE)|OK", NULL },
    { "a language that nobody chose, behind one that somebody did",
      "T|C LANGUAGE de|< LANGUAGE (DE)|OK+|< LANGUAGE (FR)", NULL },
    { "two choices by one command", "T|C LANGUAGE de|< LANGUAGE (FR)|< LANGUAGE (DE)|OK+", NULL },
    { "a choice by a command that is refused", "T|C LANGUAGE de|< LANGUAGE (FR)|NO", NULL },
    { "the list with the refusal", "C LANGUAGE xx|< LANGUAGE (FR DE)|NO", "" },
    { "the only language there is", "C LANGUAGE|< LANGUAGE (EN)|OK", "" },
    { "another one than was chosen", "T|C LANGUAGE de|< LANGUAGE (DE)|OK+|C LANGUAGE|< LANGUAGE (FR)|OK", NULL },
    { "the one that was chosen", "T|C LANGUAGE de|< LANGUAGE (DE)|OK+|C LANGUAGE|< LANGUAGE (de)|OK", "L DE" },
    { "a comparator that nobody chose", "C NOOP|< COMPARATOR i;octet|OK", NULL },
    { "asked which comparator is in use", "C COMPARATOR|< COMPARATOR i;octet|OK", "" },
    { "two of them", "C COMPARATOR|< COMPARATOR i;octet|< COMPARATOR i;basic|OK", NULL },
    { "another comparator than was chosen",
      "T|C COMPARATOR i;octet|< COMPARATOR i;octet|OK+|C COMPARATOR|< COMPARATOR i;basic|OK", NULL },
    { "STATUS that nobody asked for", "C NOOP|< STATUS x (MESSAGES 3)|OK", NULL },
    { "STATUS that was asked for", "C STATUS x (MESSAGES)|< STATUS x (MESSAGES 3)|OK", "" },
    { "STATUS with LIST", "C LIST \"\" * RETURN (STATUS (MESSAGES))|< STATUS x (MESSAGES 3)|OK", "" },
    { "STATUS behind NOTIFY", "T|C NOTIFY SET STATUS (personal (MessageNew))|< STATUS x (MESSAGES 3)|OK+",
      "N SET STATUS (personal (MessageNew))" },
    { "STATUS behind the end of NOTIFY", "T|C NOTIFY NONE|OK+|< STATUS x (MESSAGES 3)", "N NONE" },
    { "METADATA that nobody asked for", "C NOOP|< METADATA x (/shared/comment)|OK", NULL },
    { "METADATA that was asked for", "C GETMETADATA x /shared/comment|< METADATA x (/shared/comment x)|OK", "" },
    { "METADATA that was switched on", "T|C ENABLE METADATA|< ENABLED METADATA|OK+|< METADATA x (/shared/comment)",
      "E METADATA" },
    { "NOTIFY has ended by itself", "T|C NOTIFY SET (personal (MessageNew))|OK+|< OK [NOTIFICATIONOVERFLOW] Too many",
      NULL },
    { "NOTIFY has ended that nobody has begun", "C NOOP|< OK [NOTIFICATIONOVERFLOW] Too many|OK", NULL },
    { "a message that vanishes", "C NOOP|< VANISHED 3:5|OK", NULL },
    { "a message that vanished earlier", "C NOOP|< vanished (EARLIER) 3:5|OK", NULL },
    { "a message that vanishes where CONDSTORE alone is on",
      "T|C ENABLE CONDSTORE|< ENABLED CONDSTORE|OK+|< VANISHED 3:5", NULL },
    { "a message that vanishes where QRESYNC is on", "T|C ENABLE QRESYNC|< ENABLED QRESYNC|OK+|< VANISHED 3:5",
      "E QRESYNC" },
    { "a message that vanishes where UIDONLY is on", "T|C ENABLE UIDONLY|< ENABLED UIDONLY|OK+|< VANISHED 3:5",
      "E UIDONLY" },
    { "MODSEQ that nobody asked for", "C NOOP|< 3 FETCH (FLAGS () MODSEQ (7))|OK", NULL },
    { "MODSEQ where CONDSTORE is on", "T|C ENABLE CONDSTORE|< ENABLED CONDSTORE|OK+|< 3 FETCH (MODSEQ (7))",
      "E CONDSTORE" },
    { "MODSEQ where QRESYNC is on", "R E QRESYNC|C NOOP|< 3 FETCH (MODSEQ (7))|OK", "E QRESYNC" },
    { "MODSEQ in a subject", "C FETCH 3 ENVELOPE|< 3 FETCH (ENVELOPE (NIL \"MODSEQ (7)\" NIL))|OK", "" },
    { "HIGHESTMODSEQ says what a mailbox can do", "C SELECT x|< OK [HIGHESTMODSEQ 7] x|OK", "" },
    { "FETCH by UID alone", "C NOOP|< 30 UIDFETCH (FLAGS ())|OK", NULL },
    { "FETCH by UID alone where UIDONLY is on", "T|C ENABLE UIDONLY|< ENABLED UIDONLY|OK+|< 30 UIDFETCH (FLAGS ())",
      "E UIDONLY" },
    { "what every session hears", "C SELECT x|< 3 EXISTS|< FLAGS (x)|< 2 EXPUNGE|< LIST () NIL x|< OK [NOTSAVED] x|OK",
      "" },
};

TEST(a_connection_is_parked_only_as_what_it_certainly_is)
{
    for (size_t i = 0; i < ARRAY_LEN(parked); i++) {
        struct walk walk;
        struct imapstate_buf encoded;
        struct imapstate_state *state = imapstate_state_new(IMAPSTATE_STATE_MAX);
        imapstate_buf_init(&encoded, SETUP_MAX);
        walk_begin(&walk, parked[i].name, parked[i].steps);
        CHECK_ROW(parked[i].name, session_is_parkable(&walk.session, &encoded) == (parked[i].serves != NULL));
        const char *serves = parked[i].serves;
        struct imapstate_span key = imapstate_buf_span(&encoded);
        if (serves && *serves == '%') {
            uint8_t mark[2] = { 0xff, serves[1] == 'S' ? CONDSTORE_BY_STATUS : CONDSTORE_BY_OTHERS };
            CHECK_ROW(parked[i].name, key.len >= 2 && memcmp(key.at, mark, 2) == 0);
            key = (struct imapstate_span){ key.at + 2, key.len - 2 };
            serves += 2;
        }
        if (serves && *serves) {
            CHECK_ROW(parked[i].name, imapstate_state_decode(state, key) == IMAPSTATE_OK);
            CHECK_SPAN(parked[i].name, imapstate_span_of(entries_of(state)), imapstate_span_of(serves));
        } else if (serves) {
            CHECK_ROW(parked[i].name, key.len == 0);
        }
        walk_end(&walk);
        imapstate_buf_done(&encoded);
        imapstate_state_free(state);
    }
}

/* P7 */
TEST(what_the_upstream_has_switched_on_by_itself_is_known_before_a_restore)
{
    static const struct {
        const char *name, *steps;
        bool is_on;
    } rows[] = {
        { "nothing", "C NOOP|OK", false },
        { "asked for", "C ENABLE X-ONE|< ENABLED X-ONE|OK", false },
        { "not asked for", "C NOOP|< ENABLED X-ONE|OK", true },
        { "another one than was asked for", "C ENABLE X-ONE|< ENABLED X-TWO|OK", true },
        { "seen by what it does", "C NOOP|< VANISHED 3|OK", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct walk walk;
        walk_begin(&walk, rows[i].name, rows[i].steps);
        CHECK_ROW(rows[i].name, session_is_pristine(&walk.session) == !rows[i].is_on);
        session_forget_enabled(&walk.session); /* on another connection */
        CHECK_ROW(rows[i].name, session_is_pristine(&walk.session));
        session_saw_at_login(&walk.session, EVIDENCE_ENABLED);
        CHECK_ROW(rows[i].name, !session_is_pristine(&walk.session));
        walk_end(&walk);
    }
}

static const struct {
    const char *name, *steps;
    enum imapstate_selected selected;
} selections[] = {
    { "at first", "C NOOP|OK", IMAPSTATE_SELECTED_NO },
    { "SELECT", "C SELECT x|OK", IMAPSTATE_SELECTED_YES },
    { "EXAMINE", "C EXAMINE x|OK", IMAPSTATE_SELECTED_YES },
    { "a SELECT that fails leaves none", "C SELECT x|OK|C SELECT y|NO", IMAPSTATE_SELECTED_NO },
    { "P2: after BAD nobody can know", "C SELECT x|OK|C SELECT y|BAD", IMAPSTATE_SELECTED_UNKNOWN },
    { "P2: nor from the start", "C SELECT x|BAD", IMAPSTATE_SELECTED_UNKNOWN },
    { "P2: UNSELECT settles it", "C SELECT x|BAD|C UNSELECT|OK", IMAPSTATE_SELECTED_NO },
    { "P2: one that fails does not", "C SELECT x|BAD|C UNSELECT|NO", IMAPSTATE_SELECTED_UNKNOWN },
    { "P2: another SELECT settles it", "C SELECT x|BAD|C SELECT y|OK", IMAPSTATE_SELECTED_YES },
    { "CLOSE", "C SELECT x|OK|C CLOSE|OK", IMAPSTATE_SELECTED_NO },
    { "a CLOSE that is refused", "C SELECT x|OK|C CLOSE|BAD", IMAPSTATE_SELECTED_YES },
};

TEST(it_is_known_whether_a_mailbox_is_selected)
{
    for (size_t i = 0; i < ARRAY_LEN(selections); i++) {
        struct walk walk;
        walk_begin(&walk, selections[i].name, selections[i].steps);
        CHECK_ROW(selections[i].name, session_selected(&walk.session) == selections[i].selected);
        CHECK_ROW(selections[i].name, walk.session.has_selected == (strstr(selections[i].steps, "x") != NULL));
        walk_end(&walk);
    }
}

TEST(notifications_are_on_after_a_set_and_off_after_none)
{
    static const struct {
        const char *name, *steps;
        bool is_on;
    } notifications[] = {
        { "at first", "T", false },
        { "set", "C NOTIFY SET (personal (MessageNew))|OK", true },
        { "refused", "C NOTIFY SET (personal (MessageNew))|NO", false },
        { "none", "T|C NOTIFY NONE|OK+", false },
        { "none, in small letters", "T|C NOTIFY none|OK+", false },
        { "set, then none", "C NOTIFY SET (personal (MessageNew))|OK|C NOTIFY NONE|OK", false },
        { "restored", "R N SET (personal (MessageNew))", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(notifications); i++) {
        struct walk walk;
        walk_begin(&walk, notifications[i].name, notifications[i].steps);
        CHECK_ROW(notifications[i].name, session_is_notified(&walk.session) == notifications[i].is_on);
        walk_end(&walk);
    }
}

TEST(p7_a_language_of_the_gateways_counts_as_set_up)
{
    struct walk walk;
    walk_begin(&walk, "set", "G DE");
    assert_true(imapstate_server_has_changed(walk.session.server));
    walk_end(&walk);
    walk_begin(&walk, "restored", "Q L DE");
    assert_true(imapstate_server_has_changed(walk.session.server));
    walk_end(&walk);
}

TEST(mailbox_names_are_in_utf8_once_that_is_enabled)
{
    static const struct {
        const char *name, *steps;
        bool is_utf8;
    } rows[] = {
        { "at first", "T", false },
        { "UTF8=ACCEPT", "C ENABLE UTF8=ACCEPT|< ENABLED UTF8=ACCEPT|OK", true },
        { "refused", "C ENABLE UTF8=ACCEPT|OK", false },
        { "IMAP4rev2", "C ENABLE IMAP4rev2|< ENABLED imap4REV2|OK", true },
        { "another", "C ENABLE QRESYNC|< ENABLED QRESYNC|OK", false },
        { "restored", "R E UTF8=ACCEPT", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct walk walk;
        walk_begin(&walk, rows[i].name, rows[i].steps);
        CHECK_ROW(rows[i].name, session_has_utf8(&walk.session) == rows[i].is_utf8);
        walk_end(&walk);
    }
}

TEST(a_session_that_is_done_begins_as_if_there_had_been_none)
{
    struct walk walk;
    struct imapstate_buf state;
    imapstate_buf_init(&state, IMAPSTATE_STATE_MAX);
    walk_begin(&walk, "before", "T|C ENABLE QRESYNC|< ENABLED QRESYNC|OK+|C XYZZY|OK|C FETCH 1 (MODSEQ)|OK");
    session_done(&walk.session);
    assert_true(begin(&walk.session, "bob", false, "IMAP4rev1", 1));
    assert_false(walk.session.is_certain || imapstate_server_has_changed(walk.session.server));
    assert_null(imapstate_server_state(walk.session.server));
    assert_true(session_is_parkable(&walk.session, &state));
    assert_int_equal(state.len, 0);
    CHECK_SPAN("user", session_binding(&walk.session, "main").user, IMAPSTATE_SPAN("bob"));
    CHECK_SPAN("upstream", session_binding(&walk.session, "main").upstream, IMAPSTATE_SPAN("main"));
    walk_end(&walk);
}

TEST(p12_what_decides_is_the_fingerprint_of_the_list)
{
    static const struct {
        const char *name, *names;
        bool is_same;
    } lists[] = {
        { "the same", "IMAP4rev1 ID STATE", true },
        { "another order", "ID STATE IMAP4rev1", true },
        { "another case", "imap4REV1 id state", true },
        { "what says nothing of the session", "IMAP4rev1 ID STATE AUTH=PLAIN SASL-IR", true },
        { "one more", "IMAP4rev1 ID STATE QRESYNC", false },
        { "one less", "IMAP4rev1 ID", false },
        { "compression", "IMAP4rev1 ID STATE COMPRESS=DEFLATE", false },
        { "none", "", false },
    };
    struct session session;
    session_init(&session);
    assert_true(begin(&session, "ann", true, "IMAP4rev1 ID STATE", 7));
    struct offers *first = offers_ref(session.shown);
    struct imapstate_token_binding binding = session_binding(&session, "main");
    CHECK_SPAN("names", binding.names, IMAPSTATE_SPAN("IMAP4rev1 ID STATE"));
    assert_int_equal(binding.epoch, 7);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct offers *shown = offers_new(imapstate_span_of(lists[i].names));
        CHECK_ROW(lists[i].name, session_is_shown(&session, shown) == lists[i].is_same);
        session_set_shown(&session, shown); /* then that one is the one that it was given */
        CHECK_ROW(lists[i].name, session_is_shown(&session, shown));
        session_set_shown(&session, first);
        offers_unref(shown);
    }
    offers_unref(first);
    session_done(&session);
}

/* What a session that begins like this one is told of ENABLE, or of NAMESPACE, before it has a connection. */
static const struct {
    const char *name, *steps, *enable; /* NULL: NAMESPACE */
    bool is_known;
} records[] = {
    { "an ENABLE", "C ENABLE A B|< ENABLED A|OK", "B A", true },
    { "whatever came before", "C ENABLE A|< ENABLED A|OK|C ENABLE B|< ENABLED A B|OK", "A", true },
    { "CONDSTORE with QRESYNC", "C ENABLE QRESYNC|< ENABLED QRESYNC CONDSTORE|OK", "QRESYNC", true },
    { "more than was asked for", "C ENABLE A|< ENABLED A B|OK", "A", false },
    { "more, which is asked for later", "C ENABLE A|< ENABLED A B|OK|C ENABLE B|< ENABLED B|OK", "A", false },
    { "more, before it was asked", "< ENABLED B|C ENABLE A|< ENABLED A|OK", "A", false },
    { "a NAMESPACE", "C NAMESPACE|< NAMESPACE NIL NIL NIL|OK", NULL, true },
    { "one that is refused", "C NAMESPACE|< NAMESPACE NIL NIL NIL|NO", NULL, false },
    { "one after it, without a response", "C NAMESPACE|< NAMESPACE NIL NIL NIL|NO|C NAMESPACE|OK", NULL, false },
    { "the same in a state that has none",
      "C NAMESPACE|< NAMESPACE NIL NIL NIL|NO|C LANGUAGE de|< LANGUAGE (de)|OK|C NAMESPACE|OK", NULL, false },
};

static void what_comes_on_record_is_what_was_asked_and_answered(void **unused)
{
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        struct walk walk;
        struct imapstate_span enable = imapstate_span_of(records[i].enable ? records[i].enable : "");
        walk_begin(&walk, records[i].name, records[i].steps);
        const struct record *record = walk.session.record;
        bool is_known = record && record_knows(record, NULL, records[i].enable ? &enable : NULL);
        CHECK_ROW(records[i].name, is_known == records[i].is_known);
        walk_end(&walk);
    }
}

static void session_is_answered(struct session *session, const char *command, const char *line)
{
    struct status status;
    assert_true(status_parse(imapstate_span_of(line), &status));
    session_judge(session, imapstate_command_find(imapstate_span_of(command)), &status);
}

static void only_the_mail_store_clears_a_doubt(void **unused)
{
    static const struct {
        const char *command;
        bool clears;
    } rows[] = {
        { "SELECT", true },      { "LIST", true },  { "STATUS", true },    { "UID FETCH", true },
        { "NAMESPACE", false },  { "IDLE", false }, { "ENABLE", false },   { "NOOP", false },
        { "CAPABILITY", false }, { "ID", false },   { "LANGUAGE", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct session session;
        session_init(&session);
        session_is_answered(&session, "SELECT", "a BAD what?\r\n");
        session_is_answered(&session, rows[i].command, "a NO x\r\n");
        CHECK_ROW(rows[i].command, session.is_in_doubt);
        session_is_answered(&session, rows[i].command, "a OK x\r\n");
        CHECK_ROW(rows[i].command, session.is_in_doubt == !rows[i].clears);
        session_done(&session);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confirmed_commands_become_the_state),
        cmocka_unit_test(a_connection_is_parked_only_as_what_it_certainly_is),
        cmocka_unit_test(what_the_upstream_has_switched_on_by_itself_is_known_before_a_restore),
        cmocka_unit_test(it_is_known_whether_a_mailbox_is_selected),
        cmocka_unit_test(notifications_are_on_after_a_set_and_off_after_none),
        cmocka_unit_test(p7_a_language_of_the_gateways_counts_as_set_up),
        cmocka_unit_test(mailbox_names_are_in_utf8_once_that_is_enabled),
        cmocka_unit_test(a_session_that_is_done_begins_as_if_there_had_been_none),
        cmocka_unit_test(p12_what_decides_is_the_fingerprint_of_the_list),
        cmocka_unit_test(what_comes_on_record_is_what_was_asked_and_answered),
        cmocka_unit_test(only_the_mail_store_clears_a_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
