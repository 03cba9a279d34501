#include "check.h"

#include <imapstate/frame.h>
#include <imapstate/visit.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* A script has a step a line:
 *   new [KEPT]   a visit begins, which recalls KEPT; without it what the last "keep" gave
 *   want COMMAND
 *   token        there is a token that may be sent;  no token
 *   state LINE   put_state() by the line's tag appends LINE;  no state: it appends nothing
 *   save LINE    put_savestate() at time now appends LINE;  no save
 *   sent LINE    a command of the client, by its tag
 *   < LINE       the server's
 *   is STATUS, offer OFFER
 *   next A|B     the commands that are to be sent
 *   due, not due at time now, with an age of 100 s
 *   now SECONDS
 *   keep         what is kept; it is something else than before;  same: keep it again, unchanged;  nothing: it is gone
 * The server's octets are cut in two at each place, one after the other. */
struct run {
    struct imapstate_visit *visit;
    struct imapstate_frame frame;
    struct imapstate_buf kept;
    uint64_t now_s;
    size_t cut, octets; /* of all that the server says: where it is cut, how many there were so far */
    const char *step;
};

static const char *const statuses[] = { "FRESH", "ASKED", "RESTORED", "TRACKING", "REFUSED" };
static const char *const offers[] = { "UNKNOWN", "NO", "YES" };

#define CHECK_STEP(run, condition) CHECK_ROW((run)->step, condition)

/* Gives what the visit makes of a whole line, which arrives in two parts, each in memory of its own. */
static void run_arrive(struct run *run, struct imapstate_span in, bool is_whole)
{
    struct imapstate_piece piece;
    uint8_t *copy = malloc(in.len ? in.len : 1);
    assert_non_null(copy);
    memcpy(copy, in.at, in.len);
    enum imapstate_frame_result want = is_whole ? IMAPSTATE_FRAME_LINE : IMAPSTATE_FRAME_MORE;
    CHECK_STEP(run, imapstate_frame_next(&run->frame, (struct imapstate_span){ copy, in.len }, &piece) == want);
    if (is_whole)
        imapstate_visit_response(run->visit, piece.octets);
    free(copy);
}

static void run_server(struct run *run, const char *text)
{
    char line[6000];
    int len = snprintf(line, sizeof line, "%s\r\n", text);
    struct imapstate_span in = { (const uint8_t *)line, (size_t)len };
    if (run->cut >= run->octets && run->cut < run->octets + in.len)
        run_arrive(run, (struct imapstate_span){ in.at, run->cut - run->octets }, false);
    run_arrive(run, in, true);
    run->octets += in.len;
}

static struct imapstate_span word_of(const char *text)
{
    return (struct imapstate_span){ (const uint8_t *)text, strcspn(text, " ") };
}

static void run_put(struct run *run, const char *line, bool is_state)
{
    struct imapstate_buf out, want;
    imapstate_buf_init(&out, 10000);
    imapstate_buf_init(&want, 10000);
    assert_true(imapstate_buf_put(&out, IMAPSTATE_SPAN("before")));
    assert_true(imapstate_buf_printf(&want, *line ? "before%s\r\n" : "before", line));
    struct imapstate_span tag = *line ? word_of(line) : IMAPSTATE_SPAN("t");
    bool is_put = is_state ? imapstate_visit_put_state(run->visit, tag, &out)
                           : imapstate_visit_put_savestate(run->visit, tag, run->now_s, &out);
    CHECK_STEP(run, is_put == (*line != '\0'));
    CHECK_SPAN(run->step, imapstate_buf_span(&out), imapstate_buf_span(&want));
    imapstate_buf_done(&out);
    imapstate_buf_done(&want);
}

static void run_next(struct run *run, const char *want)
{
    struct imapstate_buf text;
    struct imapstate_span command;
    imapstate_buf_init(&text, 10000);
    for (size_t at = 0; imapstate_visit_next(run->visit, &at, &command);)
        assert_true((text.len == 0 || imapstate_buf_put_byte(&text, '|')) && imapstate_buf_put(&text, command));
    CHECK_SPAN(run->step, imapstate_buf_span(&text), imapstate_span_of(want));
    imapstate_buf_done(&text);
}

static void run_keep(struct run *run, bool has_changed)
{
    struct imapstate_buf before = run->kept;
    imapstate_buf_init(&run->kept, IMAPSTATE_VISIT_KEPT_MAX);
    assert_true(imapstate_visit_keep(run->visit, &run->kept));
    CHECK_STEP(run, imapstate_visit_has_changed(run->visit) == has_changed);
    CHECK_STEP(run, imapstate_span_equal(imapstate_buf_span(&before), imapstate_buf_span(&run->kept)) == !has_changed);
    imapstate_buf_done(&before);
}

static void run_new(struct run *run, const char *kept, enum imapstate_error want)
{
    imapstate_visit_free(run->visit);
    run->visit = imapstate_visit_new();
    assert_non_null(run->visit);
    imapstate_frame_init(&run->frame, IMAPSTATE_FRAME_RESPONSES);
    struct imapstate_span text = *kept ? imapstate_span_of(kept) : imapstate_buf_span(&run->kept);
    CHECK_STEP(run, imapstate_visit_recall(run->visit, text) == want);
}

static void run_sent(struct run *run, const char *line)
{
    struct imapstate_span tag = word_of(line);
    CHECK_STEP(run, imapstate_visit_sent(run->visit, tag, imapstate_span_of(line + tag.len + 1)) == IMAPSTATE_OK);
}

/* Steps that look at the visit. */
static bool run_look(struct run *run, const char *verb, const char *text)
{
    if (!strcmp(verb, "token"))
        CHECK_STEP(run, imapstate_visit_has_token(run->visit));
    else if (!strcmp(verb, "no token"))
        CHECK_STEP(run, !imapstate_visit_has_token(run->visit));
    else if (!strcmp(verb, "is"))
        CHECK_STEP(run, !strcmp(statuses[imapstate_visit_status(run->visit)], text));
    else if (!strcmp(verb, "offer"))
        CHECK_STEP(run, !strcmp(offers[imapstate_visit_offer(run->visit)], text));
    else if (!strcmp(verb, "next"))
        run_next(run, text);
    else if (!strcmp(verb, "due"))
        CHECK_STEP(run, imapstate_visit_is_due(run->visit, run->now_s, 100));
    else if (!strcmp(verb, "not due"))
        CHECK_STEP(run, !imapstate_visit_is_due(run->visit, run->now_s, 100));
    else
        return false;
    return true;
}

static void run_act(struct run *run, const char *verb, const char *text)
{
    if (!strcmp(verb, "new"))
        run_new(run, text, *text ? IMAPSTATE_STATE_INVALID : IMAPSTATE_OK);
    else if (!strcmp(verb, "want"))
        CHECK_STEP(run, imapstate_visit_want(run->visit, imapstate_span_of(text)) == IMAPSTATE_OK);
    else if (!strcmp(verb, "state") || !strcmp(verb, "no state"))
        run_put(run, text, true);
    else if (!strcmp(verb, "save") || !strcmp(verb, "no save"))
        run_put(run, text, false);
    else if (!strcmp(verb, "sent"))
        run_sent(run, text);
    else if (!strcmp(verb, "<"))
        run_server(run, text);
    else if (!strcmp(verb, "now"))
        run->now_s = strtoull(text, NULL, 10);
    else if (!strcmp(verb, "keep") || !strcmp(verb, "same") || !strcmp(verb, "nothing")) {
        run_keep(run, *verb != 's');
        CHECK_STEP(run, *verb == 's' || (run->kept.len == 0) == (*verb == 'n'));
    } else
        fail_msg("no such step: %s", run->step);
}

static void run_step(struct run *run, char *step)
{
    static const char *const pairs[] = { "no token", "no state", "no save", "not due" };
    size_t len = strcspn(step, " ");
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (!strcmp(step, pairs[i]))
            len = strlen(step);
    const char *text = step[len] ? step + len + 1 : "";
    run->step = step;
    char verb[20];
    snprintf(verb, sizeof verb, "%.*s", (int)len, step);
    if (!run_look(run, verb, text))
        run_act(run, verb, text);
}

/* How many octets the server said. */
static size_t run_script(const char *script, size_t cut)
{
    struct run run = { .cut = cut, .now_s = 1000 };
    char *copy = strdup(script), *rest = copy, *step;
    assert_non_null(copy);
    imapstate_buf_init(&run.kept, IMAPSTATE_VISIT_KEPT_MAX);
    while ((step = strsep(&rest, "\n")))
        if (*step)
            run_step(&run, step);
    free(copy);
    imapstate_visit_free(run.visit);
    imapstate_buf_done(&run.kept);
    return run.octets;
}

#define NOTIFY "NOTIFY SET (inboxes (MessageNew))"
#define ALL    "next ENABLE QRESYNC|NAMESPACE|" NOTIFY "\n"

#define WANT "want ENABLE QRESYNC\nwant NAMESPACE\nwant NOTIFY SET (inboxes (MessageNew))\n"

/* A first visit, after which the token TOK stands for ENABLE and NOTIFY. */
#define FIRST                                                                                                          \
    "new\n" WANT "no token\noffer UNKNOWN\nis FRESH\nnot due\n"                                                        \
    "< * OK [CAPABILITY IMAP4rev1 STATE] hello\noffer YES\n"                                                           \
    "state s STATE\nis ASKED\nno state\nsame\n" ALL "< s OK tracking\nis TRACKING\n"                                   \
    "next ENABLE QRESYNC|NAMESPACE|NOTIFY SET (inboxes (MessageNew))\nnot due\n"                                       \
    "sent a ENABLE QRESYNC\n< * ENABLED QRESYNC\n< * OK [STATECMD a] stored\nnot due\n< a OK done\ndue\n"              \
    "sent b NAMESPACE\n< * NAMESPACE ((\"\" \"/\")) NIL NIL\n< b OK done\n"                                            \
    "sent c NOTIFY SET (inboxes (MessageNew))\n< * OK [STATECMD c] stored\n< c OK done\ndue\n"                         \
    "save v SAVESTATE\nno save\nnot due\n< * SAVESTATE TOK\nnot due\n< v OK saved\nnot due\nkeep\n"

/* A further one that asks with that token. */
#define AGAIN "new\n" WANT "token\nstate s STATE TOK\nis ASKED\nnext\n"

static const struct {
    const char *name, *script;
} scripts[] = {
    { "P4: what the token stands for is not sent again",
      AGAIN "< l OK [CAPABILITY IMAP4rev1 STATE] in\n< * STATUS INBOX (MESSAGES 3)\n< * STATE TOK\nis ASKED\n"
            "< s OK restored\nis RESTORED\nnext NAMESPACE\nnot due\nno state\nsame\n" },
    { "P5: without an untagged STATE all is sent, and saved anew",
      AGAIN "< s OK not restored\nis TRACKING\n" ALL "no token\nsent a ENABLE QRESYNC\n< * OK [STATECMD a] stored\n"
            "< a OK done\ndue\nsave v SAVESTATE\n< * SAVESTATE NEW\n< v OK saved\nkeep\n"
            "new\nwant ENABLE QRESYNC\ntoken\nstate s STATE NEW\n" },
    { "P5: a token that is dead is kept no more", AGAIN "< s OK not restored\nnothing\n" },
    { "an ID that is wanted is sent each time, also after a restore",
      "new\nwant ID NIL\n" WANT "token\nstate s STATE TOK\n< * STATE TOK\n< s OK x\nis RESTORED\n"
      "next ID NIL|NAMESPACE\nsent a ID NIL\n< * ID NIL\n< a OK x\nnot due\nsame\n" },
    { "P4: another token than the one sent restores nothing", AGAIN "< * STATE TIK\n< s OK x\nis TRACKING\n" ALL },
    { "an untagged STATE without a token restores nothing", AGAIN "< * STATE\n< s OK x\nis TRACKING\n" ALL },
    { "an untagged STATE with two words restores nothing", AGAIN "< * STATE TOK TOK\n< s OK x\nis TRACKING\n" ALL },
    { "an untagged STATE before ours was sent says nothing",
      "new\n" WANT "< * STATE TOK\nstate s STATE TOK\n< s OK x\nis TRACKING\nnothing\n" },
    { "a token may come in quotes, and words in any case",
      AGAIN "< * state \"TOK\"\n< s ok restored\nis RESTORED\nnext NAMESPACE\n" },
    { "P6: NO leaves the token as it is, and all is sent",
      AGAIN "< s NO [UNAVAILABLE] later\nis REFUSED\n" ALL "not due\nno save\nsame\ntoken\n" },
    { "P6: it may be tried again", AGAIN
      "< s NO [UNAVAILABLE] later\nstate t STATE TOK\n< * STATE TOK\n< t OK x\nis RESTORED\nnext NAMESPACE\nsame\n" },
    { "P6: BYE behind it changes nothing", AGAIN "< s NO [AUTHENTICATIONFAILED] no\n< * BYE gone\nis REFUSED\nsame\n" },
    { "P7: BAD leaves the token as it is, and all is sent",
      AGAIN "< * STATE TOK\n< s BAD [CLIENTBUG] not now\nis REFUSED\n" ALL "no save\nsame\n" },
    { "BAD of a server that has STATE no more: the token is forgotten",
      AGAIN "< l OK [CAPABILITY IMAP4rev1 STATELY STATE=2] in\noffer NO\n< s BAD what\nis REFUSED\n" ALL "nothing\n" },
    { "NO of a server that has STATE no more: the token is forgotten",
      AGAIN "< * CAPABILITY IMAP4rev1\n< s NO what\nis REFUSED\nnothing\n" },
    { "P12: the capability lists count, wherever they are",
      "new\n< * PREAUTH [CAPABILITY STATE] x\noffer YES\n< * CAPABILITY A B\noffer NO\n< * CAPABILITY state\noffer "
      "YES\n"
      "< a OK [CAPABILITY A] x\noffer NO\n< a OK [CAPABILITY A STATE] x\noffer YES\n< * NO [CAPABILITY A] x\noffer "
      "YES\n"
      "< * OK [CAPABILITY]\noffer NO\n" },
    { "before STATE everything is to be sent", "new\n" WANT ALL "not due\nno save\n" },
    { "a token for what is not wanted any more is not sent",
      "new\nwant ENABLE QRESYNC\nwant NAMESPACE\nno token\nstate s STATE\nnothing\n" },
    { "a token for another argument than is wanted is not sent",
      "new\nwant ENABLE QRESYNC\nwant NOTIFY SET (inboxes (MessageNew MessageExpunge))\nno token\nstate s STATE\n" },
    { "more may be wanted than the token stands for, in any order",
      "new\nwant LANGUAGE de\nwant " NOTIFY "\nwant ENABLE QRESYNC\ntoken\nstate s STATE TOK\n"
      "< * STATE TOK\n< s OK x\nnext LANGUAGE de\nsent a LANGUAGE de\n< * LANGUAGE (de)\n< * OK [STATECMD a] x\n"
      "< a OK x\ndue\nnext\nsave v SAVESTATE\n< * SAVESTATE T2\n< v OK x\nkeep\nnew\nwant ENABLE QRESYNC\nwant " NOTIFY
      "\nno token\nwant LANGUAGE de\ntoken\n" },
    { "P9: a command that is not announced is sent again",
      AGAIN "< s OK x\nsent a ENABLE QRESYNC\n< * ENABLED\n< a OK x\nnot due\n" ALL },
    { "P9: NO and BAD are never stored, whatever was announced",
      AGAIN "< s OK x\nsent a ENABLE QRESYNC\nsent b " NOTIFY
            "\n< * OK [STATECMD a] x\n< a NO x\n< * OK [STATECMD b] x\n< b BAD x\nnot due\n" ALL },
    { "P9: what replaces a stored command takes its place",
      AGAIN "< * STATE TOK\n< s OK x\nsent a NOTIFY NONE\n< * OK [STATECMD a] x\n< a OK x\ndue\n"
            "next NAMESPACE|" NOTIFY "\n" },
    { "P9: one that cannot be stored takes out what it replaces",
      AGAIN "< * STATE TOK\n< s OK x\nsent a notify NONE\n< a OK x\ndue\nsave v SAVESTATE\n< * SAVESTATE T2\n< v OK x\n"
            "keep\nnew\nwant ENABLE QRESYNC\ntoken\nstate s STATE T2\n" },
    { "one that is refused replaces nothing",
      AGAIN "< * STATE TOK\n< s OK x\nsent a NOTIFY NONE\n< a NO x\nnot due\nnext NAMESPACE\n" },
    { "LANGUAGE without arguments replaces nothing",
      "new\nwant LANGUAGE de\nstate s STATE\n< s OK x\nsent a LANGUAGE de\n< * OK [STATECMD a] x\n< a OK x\n"
      "sent b LANGUAGE\n< b OK x\nnext\nsent c LANGUAGE fr\n< * OK [STATECMD c] x\n< c OK x\nnext LANGUAGE de\n" },
    { "ENABLE adds, and the same again adds nothing",
      AGAIN "< * STATE TOK\n< s OK x\nsent a ENABLE QRESYNC\n< * OK [STATECMD a] x\n< a OK x\nnot due\n"
            "sent b ENABLE UTF8=ACCEPT\n< * OK [STATECMD b] x\n< b OK x\ndue\nnext NAMESPACE\n" },
    { "P10: what was set up before STATE is not stored",
      "new\nwant ENABLE QRESYNC\nsent a ENABLE QRESYNC\n< a OK x\nstate s STATE\n< s OK x\nnot due\n"
      "next ENABLE QRESYNC\n" },
    { "P11: all of it in one write", "new\nwant ENABLE QRESYNC\nstate s STATE\nsent a ENABLE QRESYNC\n< s OK x\n< * OK "
                                     "[STATECMD a] x\n< a OK x\ndue\n" },
    { "P11: SAVESTATE stands for what came before it",
      AGAIN "< s OK x\nsent a ENABLE QRESYNC\nsave v SAVESTATE\nsent b " NOTIFY "\n< * OK [STATECMD a] x\n< a OK x\n"
            "< * SAVESTATE T2\n< v OK x\n< * OK [STATECMD b] x\n< b OK x\ndue\nkeep\n"
            "new\nwant ENABLE QRESYNC\nwant " NOTIFY "\nstate s STATE T2\n< * STATE T2\n< s OK x\nnext " NOTIFY "\n" },
    { "answers in another order than the commands",
      AGAIN "< s OK x\nsent a ENABLE QRESYNC\nsent b " NOTIFY
            "\n< * OK [STATECMD b] x\n< b OK x\n< * OK [STATECMD a] x\n< a OK x\ndue\nnext NAMESPACE\n" },
    { "a tag that is in use twice belongs to the first",
      AGAIN "< s OK x\nsent a NOOP\nsent a ENABLE QRESYNC\n< a OK x\n< * OK [STATECMD a] x\n< a OK x\n"
            "next NAMESPACE|" NOTIFY "\n" },
    { "tags are told apart by case",
      AGAIN "< s OK x\nsent a ENABLE QRESYNC\nsent A NOOP\n< * OK [STATECMD a] x\n< A OK x\n< a OK x\n"
            "next NAMESPACE|" NOTIFY "\n" },
    { "something stored that the client has not told: nothing more is saved",
      AGAIN "< s OK x\nsent a ENABLE QRESYNC\n< * OK [STATECMD a] x\n< a OK x\ndue\n< * OK [STATECMD z] x\nnot due\n"
            "no save\n" },
    { "P8: NO to SAVESTATE leaves what is kept", AGAIN
      "< * STATE TOK\n< s OK x\nnow 1100\ndue\nsave v SAVESTATE\n< v NO [LIMIT] x\nsame\ndue\nsave w SAVESTATE\n" },
    { "OK to SAVESTATE without a token saves nothing",
      AGAIN "< * STATE TOK\n< s OK x\nsave v SAVESTATE\n< v OK x\nsame\n" },
    { "a token with blanks or eight-bit octets is none",
      AGAIN "< * STATE TOK\n< s OK x\nsave v SAVESTATE\n< * SAVESTATE \"a b\"\n< v OK x\nsame\nsave w SAVESTATE\n"
            "< * SAVESTATE a\xc3\xa4\n< w OK x\nsame\nsave x SAVESTATE\n< * SAVESTATE \"\"\n< x OK x\nsame\n"
            "save y SAVESTATE\n< * SAVESTATE \"a\x7f\"\n< y OK x\nsame\n" },
    { "NO to SAVESTATE, though a token came, saves nothing",
      AGAIN "< * STATE TOK\n< s OK x\nsave v SAVESTATE\n< * SAVESTATE T2\n< v NO x\nsame\nsave w SAVESTATE\n< w OK x\n"
            "same\n" },
    { "an untagged SAVESTATE that was not asked for says nothing",
      AGAIN "< * STATE TOK\n< s OK x\n< * SAVESTATE T2\nsame\nsave v SAVESTATE\n< v OK x\nsame\n" },
    { "a token of another server is sent as a quoted string if it must be",
      AGAIN "< s OK x\nsave v SAVESTATE\n< * SAVESTATE \"a\\\"b(\"\n< v OK x\nkeep\nnew\nstate s STATE \"a\\\"b(\"\n"
            "< * STATE \"a\\\"b(\"\n< s OK x\nis RESTORED\n" },
    { "the draft's token, which is padded",
      AGAIN "< s OK x\nsave v SAVESTATE\n< * SAVESTATE c3RhdGUgdG9rZW4=\n< v OK x\nkeep\nnew\n"
            "state s STATE c3RhdGUgdG9rZW4=\n< * STATE c3RhdGUgdG9rZW4=\n< s OK x\nis RESTORED\n" },
    { "a token that has grown old is due, and then it is young",
      AGAIN "< * STATE TOK\n< s OK x\nnow 1099\nnot due\nnow 1100\ndue\nsave v SAVESTATE\n< * SAVESTATE T2\n< v OK x\n"
            "not due\nkeep\nnow 1199\nnot due\nnow 1200\ndue\nnew\n" WANT
            "token\nstate s STATE T2\n< * STATE T2\n< s OK x\nnext NAMESPACE\ndue\nnow 1199\nnot due\n" },
    { "a token from the future is due", AGAIN "< * STATE TOK\n< s OK x\nnow 999\ndue\n" },
    { "nothing stored, nothing due", "new\nstate s STATE\n< s OK x\nnow 99999\nnot due\nnothing\n" },
    { "an empty state can be saved all the same",
      AGAIN "< s OK x\nsave v SAVESTATE\n< * SAVESTATE T2\n< v OK x\nkeep\nnew\ntoken\n" },
    { "P16: UNAUTHENTICATE ends tracking",
      AGAIN "< * STATE TOK\n< s OK x\nsent u UNAUTHENTICATE\n< u OK x\nis FRESH\nnot due\nno save\n" ALL
            "token\nstate t STATE TOK\n< * STATE TOK\n< t OK x\nis RESTORED\nnext NAMESPACE\nsame\n" },
    { "P16: and what was not certain is over",
      AGAIN "< * STATE TOK\n< s OK x\n< * OK [STATECMD z] x\nno save\nsent u UNAUTHENTICATE\n< u OK x\n"
            "state t STATE TOK\n< * STATE TOK\n< t OK x\nsave v SAVESTATE\n" },
    { "P16: unless it is refused",
      AGAIN "< * STATE TOK\n< s OK x\nsent u UNAUTHENTICATE\n< u NO x\nis RESTORED\nnext NAMESPACE\n" },
    { "lines that are none of ours", AGAIN
      "< \n< *\n< * \n< +\n< + go\n< * OK\n< * OK [\n< * OK [STATECMD\n< * OK [STATECMD]\n< * 1 FETCH (FLAGS ())\n"
      "< s\n< x OK x\n< STATE TOK\n< * SAVESTATE\n" },
    { "what was kept is damaged: nothing is recalled, and nothing is left of it",
      "new AAAA\n" WANT "no token\nstate s STATE\nnothing\n" },
};

TEST(a_visit_goes_as_the_rules_have_it_wherever_the_octets_are_cut)
{
    struct imapstate_buf script;
    imapstate_buf_init(&script, 100000);
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        imapstate_buf_clear(&script);
        /* The last step of some looks at the very end: "nothing" wants something before it. */
        assert_true(imapstate_buf_printf(&script, FIRST "%s", scripts[i].script) && imapstate_buf_put_byte(&script, 0));
        size_t octets = run_script((char *)script.at, SIZE_MAX);
        for (size_t cut = 0; cut < octets; cut++)
            run_script((char *)script.at, cut);
    }
    imapstate_buf_done(&script);
}

/* --- without a script --- */

static void answer(struct imapstate_visit *visit, const char *line)
{
    imapstate_visit_response(visit, imapstate_span_of(line));
}

/* A visit that tracks and has the command stored under the tag a. */
static struct imapstate_visit *visit_with(struct imapstate_span command)
{
    struct imapstate_buf out;
    imapstate_buf_init(&out, 100);
    struct imapstate_visit *visit = imapstate_visit_new();
    assert_non_null(visit);
    assert_int_equal(imapstate_visit_want(visit, command), IMAPSTATE_OK);
    assert_true(imapstate_visit_put_state(visit, IMAPSTATE_SPAN("s"), &out));
    answer(visit, "s OK x\r\n");
    assert_int_equal(imapstate_visit_sent(visit, IMAPSTATE_SPAN("a"), command), IMAPSTATE_OK);
    answer(visit, "* OK [STATECMD a] x\r\n");
    answer(visit, "a OK x\r\n");
    imapstate_buf_done(&out);
    return visit;
}

static void save(struct imapstate_visit *visit, const char *savestate, struct imapstate_buf *ret_kept)
{
    struct imapstate_buf out;
    imapstate_buf_init(&out, 100);
    assert_true(imapstate_visit_put_savestate(visit, IMAPSTATE_SPAN("v"), UINT64_MAX, &out));
    answer(visit, savestate);
    answer(visit, "v OK x\r\n");
    imapstate_buf_done(&out);
    imapstate_buf_init(ret_kept, IMAPSTATE_VISIT_KEPT_MAX);
    assert_true(imapstate_visit_keep(visit, ret_kept));
}

static enum imapstate_error recall(struct imapstate_span kept)
{
    struct imapstate_visit *visit = imapstate_visit_new();
    assert_non_null(visit);
    enum imapstate_error error = imapstate_visit_recall(visit, kept);
    assert_true(imapstate_visit_has_changed(visit) == (error != IMAPSTATE_OK));
    imapstate_visit_free(visit);
    return error;
}

TEST(no_cut_and_no_changed_character_of_what_is_kept_can_be_recalled)
{
    static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= \n";
    struct imapstate_buf kept;
    struct imapstate_visit *visit = visit_with(IMAPSTATE_SPAN("ENABLE QRESYNC"));
    save(visit, "* SAVESTATE TOK\r\n", &kept);
    assert_int_equal(recall(imapstate_buf_span(&kept)), IMAPSTATE_OK);
    for (size_t len = 1; len < kept.len; len++)
        assert_int_equal(recall((struct imapstate_span){ kept.at, len }), IMAPSTATE_STATE_INVALID);
    for (size_t i = 0; i < kept.len; i++) {
        uint8_t before = kept.at[i];
        for (size_t c = 0; c < sizeof characters; c++) {
            kept.at[i] = (uint8_t)characters[c];
            assert_int_equal(recall(imapstate_buf_span(&kept)),
                             kept.at[i] == before ? IMAPSTATE_OK : IMAPSTATE_STATE_INVALID);
        }
        kept.at[i] = before;
    }
    assert_true(imapstate_buf_put_byte(&kept, 'A'));
    assert_int_equal(recall(imapstate_buf_span(&kept)), IMAPSTATE_STATE_INVALID);
    imapstate_buf_done(&kept);
    imapstate_visit_free(visit);
}

static const struct {
    const char *name;
    struct imapstate_span octets;
    enum imapstate_error want;
} contents[] = {
    { "token and commands", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\3TOK\0\0\0\1A"), IMAPSTATE_OK },
    { "no commands", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\3TOK"), IMAPSTATE_OK },
    { "another version", IMAPSTATE_SPAN("\2\0\0\0\0\0\0\0\1\0\3TOK"), IMAPSTATE_STATE_INVALID },
    { "no token", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\0"), IMAPSTATE_STATE_INVALID },
    { "a token with a blank", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\3T K"), IMAPSTATE_STATE_INVALID },
    { "a token with a line end", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\3T\r\n"), IMAPSTATE_STATE_INVALID },
    { "a token that is cut", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\4TOK"), IMAPSTATE_STATE_INVALID },
    { "an empty command", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\3TOK\0\0\0\0"), IMAPSTATE_STATE_INVALID },
    { "a command that is cut", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\3TOK\0\0\0\2A"), IMAPSTATE_STATE_INVALID },
    { "something behind it", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\3TOK\0\0\0\1AB"), IMAPSTATE_STATE_INVALID },
    { "a head alone", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0"), IMAPSTATE_STATE_INVALID },
    { "nothing", IMAPSTATE_SPAN(""), IMAPSTATE_STATE_INVALID },
};

TEST(what_is_damaged_is_refused_though_its_checksum_is_right)
{
    for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
        uint8_t octets[100];
        char text[200];
        size_t len = contents[i].octets.len;
        memcpy(octets, contents[i].octets.at, len);
        crypto_generichash(octets + len, 16, octets, len, NULL, 0);
        sodium_bin2base64(text, sizeof text, octets, len + 16, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        CHECK_ROW(contents[i].name, recall(imapstate_span_of(text)) == contents[i].want);
    }
}

/* A command of so many octets. */
static struct imapstate_span long_command(char *octets, size_t len)
{
    memset(octets, 'x', len);
    memcpy(octets, "ENABLE ", 7);
    return (struct imapstate_span){ (const uint8_t *)octets, len };
}

TEST(the_longest_of_all_is_kept_and_what_is_longer_is_sent_again)
{
    static char octets[IMAPSTATE_VISIT_COMMANDS_MAX], line[IMAPSTATE_VISIT_TOKEN_MAX + 100];
    char token[IMAPSTATE_VISIT_TOKEN_MAX + 2] = { 0 };
    struct imapstate_buf kept;
    struct imapstate_span command = long_command(octets, IMAPSTATE_VISIT_COMMANDS_MAX - 4);

    for (size_t token_len = IMAPSTATE_VISIT_TOKEN_MAX; token_len <= IMAPSTATE_VISIT_TOKEN_MAX + 1; token_len++) {
        struct imapstate_visit *visit = visit_with(command);
        memset(token, 't', token_len);
        snprintf(line, sizeof line, "* SAVESTATE %s\r\n", token);
        save(visit, line, &kept);
        assert_true((kept.len > 0) == (token_len <= IMAPSTATE_VISIT_TOKEN_MAX));
        assert_int_equal(recall(imapstate_buf_span(&kept)), IMAPSTATE_OK);
        imapstate_buf_done(&kept);
        imapstate_visit_free(visit);
    }
    size_t at = 0;
    struct imapstate_visit *visit = visit_with(long_command(octets, IMAPSTATE_VISIT_COMMANDS_MAX - 3));
    assert_false(imapstate_visit_is_due(visit, 0, 1));
    assert_true(imapstate_visit_next(visit, &at, &command));
    assert_int_equal(command.len, IMAPSTATE_VISIT_COMMANDS_MAX - 3);
    imapstate_visit_free(visit);
}

TEST(a_literal_is_part_of_its_command)
{
    struct imapstate_span command = IMAPSTATE_SPAN("NOTIFY SET (mailboxes {3+}\r\nf\xc3\xa4 (MessageNew))");
    struct imapstate_buf kept, out;
    struct imapstate_visit *visit = visit_with(command);
    size_t at = 0;
    save(visit, "* SAVESTATE TOK\r\n", &kept);
    imapstate_visit_free(visit);
    visit = imapstate_visit_new();
    imapstate_buf_init(&out, 100);
    assert_int_equal(imapstate_visit_recall(visit, imapstate_buf_span(&kept)), IMAPSTATE_OK);
    assert_false(imapstate_visit_has_token(visit));
    assert_int_equal(imapstate_visit_want(visit, command), IMAPSTATE_OK);
    assert_true(imapstate_visit_has_token(visit));
    assert_true(imapstate_visit_put_state(visit, IMAPSTATE_SPAN("s"), &out));
    answer(visit, "* STATE TOK\r\n");
    answer(visit, "s OK x\r\n");
    assert_false(imapstate_visit_next(visit, &at, &command));
    imapstate_buf_done(&kept);
    imapstate_buf_done(&out);
    imapstate_visit_free(visit);
}

TEST(what_is_no_tag_or_no_command_of_the_client_is_refused)
{
    static const char *const tags[] = { "", "a b", "a+", "+", "*", "a\"", "a{", "\x7f", "\xc3\xa4", "a(", "a\r" };
    static const char *const commands[] = { "", "STATE", "state x", "SaveState" };
    struct imapstate_buf out;
    struct imapstate_visit *visit = imapstate_visit_new();
    imapstate_buf_init(&out, 100);
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        struct imapstate_span tag = imapstate_span_of(tags[i]);
        CHECK_ROW(tags[i], imapstate_visit_sent(visit, tag, IMAPSTATE_SPAN("NOOP")) == IMAPSTATE_SYNTAX);
        CHECK_ROW(tags[i], !imapstate_visit_put_state(visit, tag, &out) && out.len == 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        struct imapstate_span command = imapstate_span_of(commands[i]);
        CHECK_ROW(commands[i], imapstate_visit_want(visit, command) == IMAPSTATE_SYNTAX);
        CHECK_ROW(commands[i], imapstate_visit_sent(visit, IMAPSTATE_SPAN("a"), command) == IMAPSTATE_SYNTAX);
    }
    assert_int_equal(imapstate_visit_status(visit), IMAPSTATE_VISIT_FRESH);
    imapstate_visit_free(visit);
}

TEST(what_does_not_fit_is_not_put_and_can_be_put_later)
{
    struct imapstate_buf kept, out;
    struct imapstate_visit *visit = visit_with(IMAPSTATE_SPAN("ENABLE QRESYNC"));
    save(visit, "* SAVESTATE TOK\r\n", &kept);
    for (size_t max = 0; max < kept.len; max++) {
        imapstate_buf_init(&out, max);
        assert_false(imapstate_visit_keep(visit, &out));
        assert_int_equal(out.len, 0);
        imapstate_buf_done(&out);
    }
    imapstate_buf_init(&out, 0);
    size_t room = strlen("w SAVESTATE\r\n");
    for (; out.max < room; out.max++)
        assert_true(!imapstate_visit_put_savestate(visit, IMAPSTATE_SPAN("w"), 0, &out) && out.len == 0);
    assert_true(imapstate_visit_put_savestate(visit, IMAPSTATE_SPAN("w"), 0, &out));
    imapstate_buf_done(&out);
    imapstate_buf_done(&kept);
    imapstate_visit_free(visit);
    imapstate_visit_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_visit_goes_as_the_rules_have_it_wherever_the_octets_are_cut),
        cmocka_unit_test(no_cut_and_no_changed_character_of_what_is_kept_can_be_recalled),
        cmocka_unit_test(what_is_damaged_is_refused_though_its_checksum_is_right),
        cmocka_unit_test(the_longest_of_all_is_kept_and_what_is_longer_is_sent_again),
        cmocka_unit_test(a_literal_is_part_of_its_command),
        cmocka_unit_test(what_is_no_tag_or_no_command_of_the_client_is_refused),
        cmocka_unit_test(what_does_not_fit_is_not_put_and_can_be_put_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
