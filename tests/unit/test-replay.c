#include "check.h"
#include "steps.h"

#include <imapstate/replay.h>

#include <stdlib.h>
#include <string.h>

#define MAX 60000u

/* One move in a transcript. OUT: what must be there to be written; the rest: a line of the server, and what must become
 * of it. */
enum move { END, OUT, HIDE, PASS, ALERT, HOLD };

struct line {
    enum move move;
    const char *text;
};

static const enum imapstate_replay_answer answers[] = {
    [HIDE] = IMAPSTATE_REPLAY_HIDE,
    [PASS] = IMAPSTATE_REPLAY_PASS,
    [ALERT] = IMAPSTATE_REPLAY_ALERT,
    [HOLD] = IMAPSTATE_REPLAY_HOLD,
};

#define RUNNING  IMAPSTATE_REPLAY_RUNNING
#define RESTORED IMAPSTATE_REPLAY_RESTORED
#define FAILED   IMAPSTATE_REPLAY_FAILED

/* Every line of the server is answered to with a question for output: where no OUT follows, there must be none. The
 * status must be RUNNING up to the last line. */
static const struct transcript {
    const char *name, *steps;
    uint32_t nonsync_max;
    struct line lines[16];
    enum imapstate_replay_status want;
    const char *want_command; /* of the reason */
} transcripts[] = {
    { "an empty state is restored at once", "", 0, { { END, "" } }, RESTORED, "" },
    { "everything in one write",
      "E QRESYNC|L de|C i;octet|N NONE",
      0,
      { { OUT, "x1 ENABLE QRESYNC\r\nx2 LANGUAGE de\r\nx3 COMPARATOR i;octet\r\nx4 NOTIFY NONE\r\n" },
        { HIDE, "* ENABLED QRESYNC\r\n" },
        { HIDE, "x1 OK done\r\n" },
        { HIDE, "* LANGUAGE (DE)\r\n" },
        { HIDE, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n" },
        { HIDE, "x2 OK gut\r\n" },
        { HIDE, "* COMPARATOR \"i;octet\" (\"i;octet\")\r\n" },
        { HIDE, "x3 OK done\r\n" },
        { HIDE, "x4 OK done\r\n" } },
      RESTORED,
      "" },
    { "RFC 5465: NOTIFY has ended before it is decided",
      "N SET (personal (MessageNew))|L de",
      0,
      { { OUT, "x1 NOTIFY SET (personal (MessageNew))\r\nx2 LANGUAGE de\r\n" },
        { HIDE, "x1 OK done\r\n" },
        { PASS, "* OK [NOTIFICATIONOVERFLOW] Too many\r\n" },
        { HIDE, "* LANGUAGE (de)\r\n" },
        { HIDE, "x2 OK gut\r\n" } },
      FAILED,
      "NOTIFY" },
    { "Dovecot upper-cases",
      "E QRESYNC UTF8=ACCEPT",
      0,
      { { OUT, "x1 ENABLE QRESYNC UTF8=ACCEPT\r\n" },
        { HIDE, "* ENABLED QRESYNC UTF8=ACCEPT\r\n" },
        { HIDE, "x1 OK Enabled.\r\n" } },
      RESTORED,
      "" },
    { "P17: what names a private tag is hidden, of whatever command, bare or quoted",
      "E A|N NONE",
      0,
      { { OUT, "x1 ENABLE A\r\nx2 NOTIFY NONE\r\n" },
        { HIDE, "* OK [INPROGRESS (\"x1\" 4 10)] Working.\r\n" },
        { HIDE, "* no [inprogress (x2 NIL NIL)]\r\n" },
        { HIDE, "* OK [STATECMD x1] Saved.\r\n" },
        { HIDE, "* ENABLED A\r\n" },
        { HIDE, "x1 OK\r\n" },
        { HIDE, "* OK [INPROGRESS (\"x1\" 10 10)] Late.\r\n" },
        { HIDE, "x2 OK\r\n" } },
      RESTORED,
      "" },
    { "and what names another, or none, is not",
      "E A",
      0,
      { { OUT, "x1 ENABLE A\r\n" },
        { PASS, "* OK [INPROGRESS (\"x12\" 4 10)] Working.\r\n" },
        { PASS, "* OK [INPROGRESS (\"X1\" 4 10)] Tags have their case.\r\n" },
        { PASS, "* OK [INPROGRESS] Working.\r\n" },
        { PASS, "* OK [ALERT] x1 \"x1\" [x1]\r\n" },
        { PASS, "* OK x1\r\n" },
        { PASS, "* OK [\r\n" },
        { PASS, "* OK [x1\r\n" },
        { HIDE, "* ENABLED A\r\n" },
        { HIDE, "x1 OK\r\n" } },
      RESTORED,
      "" },
    { "names in another case and order",
      "E A B",
      0,
      { { OUT, "x1 ENABLE A B\r\n" }, { HIDE, "* enabled b a\r\n" }, { HIDE, "x1 ok\r\n" } },
      RESTORED,
      "" },
    { "QRESYNC brings CONDSTORE, whether or not the server says so",
      "E QRESYNC CONDSTORE",
      0,
      { { OUT, "x1 ENABLE QRESYNC CONDSTORE\r\n" }, { HIDE, "* ENABLED QRESYNC\r\n" }, { HIDE, "x1 OK\r\n" } },
      RESTORED,
      "" },
    { "but CONDSTORE brings no QRESYNC",
      "E QRESYNC CONDSTORE",
      0,
      { { OUT, "x1 ENABLE QRESYNC CONDSTORE\r\n" }, { HIDE, "* ENABLED CONDSTORE\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "ENABLE" },
    { "Cyrus adds CONDSTORE to QRESYNC",
      "E QRESYNC",
      0,
      { { OUT, "x1 ENABLE QRESYNC\r\n" }, { HIDE, "* ENABLED CONDSTORE QRESYNC\r\n" }, { HIDE, "x1 OK\r\n" } },
      RESTORED,
      "" },
    { "Cyrus does not name again what came with another name",
      "E QRESYNC|N NONE|E CONDSTORE",
      0,
      { { OUT, "x1 ENABLE QRESYNC\r\nx2 NOTIFY NONE\r\nx3 ENABLE CONDSTORE\r\n" },
        { HIDE, "* ENABLED QRESYNC CONDSTORE\r\n" },
        { HIDE, "x1 OK\r\n" },
        { HIDE, "x2 OK\r\n" },
        { HIDE, "* ENABLED \r\n" },
        { HIDE, "x3 OK\r\n" } },
      RESTORED,
      "" },
    { "Courier names again what was on before",
      "E A|N NONE|E B",
      0,
      { { OUT, "x1 ENABLE A\r\nx2 NOTIFY NONE\r\nx3 ENABLE B\r\n" },
        { HIDE, "* ENABLED A\r\n" },
        { HIDE, "x1 OK\r\n" },
        { HIDE, "x2 OK\r\n" },
        { HIDE, "* ENABLED A B\r\n" },
        { HIDE, "x3 OK\r\n" } },
      RESTORED,
      "" },
    { "one ENABLED for each name",
      "E A B",
      0,
      { { OUT, "x1 ENABLE A B\r\n" }, { HIDE, "* ENABLED A\r\n" }, { HIDE, "* ENABLED B\r\n" }, { HIDE, "x1 OK\r\n" } },
      RESTORED,
      "" },
    { "an empty ENABLED proves nothing",
      "E A",
      0,
      { { OUT, "x1 ENABLE A\r\n" }, { HIDE, "* ENABLED\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "ENABLE" },
    { "no ENABLED proves nothing", "E A", 0, { { OUT, "x1 ENABLE A\r\n" }, { HIDE, "x1 OK\r\n" } }, FAILED, "ENABLE" },
    { "one name of two is not enough",
      "E A B",
      0,
      { { OUT, "x1 ENABLE A B\r\n" }, { HIDE, "* ENABLED B C\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "ENABLE" },
    { "a longer name is another",
      "E UTF8",
      0,
      { { OUT, "x1 ENABLE UTF8\r\n" }, { HIDE, "* ENABLED UTF8=ACCEPT\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "ENABLE" },
    { "an ENABLED that nobody asked for is the client's, and proves nothing",
      "N NONE",
      0,
      { { OUT, "x1 NOTIFY NONE\r\n" }, { PASS, "* ENABLED A\r\n" }, { HIDE, "x1 OK\r\n" } },
      RESTORED,
      "" },
    { "an ENABLED behind its answer is late",
      "E A|N NONE",
      0,
      { { OUT, "x1 ENABLE A\r\nx2 NOTIFY NONE\r\n" },
        { HIDE, "x1 OK\r\n" },
        { PASS, "* ENABLED A\r\n" },
        { HIDE, "x2 OK\r\n" } },
      FAILED,
      "ENABLE" },
    { "refused with NO", "E A", 0, { { OUT, "x1 ENABLE A\r\n" }, { HIDE, "x1 NO\r\n" } }, FAILED, "ENABLE" },
    { "refused with BAD", "N NONE", 0, { { OUT, "x1 NOTIFY NONE\r\n" }, { HIDE, "x1 BAD no\r\n" } }, FAILED, "NOTIFY" },
    { "an answer that is none",
      "N NONE",
      0,
      { { OUT, "x1 NOTIFY NONE\r\n" }, { HIDE, "x1 PREAUTH\r\n" } },
      FAILED,
      "NOTIFY" },
    { "an answer without status",
      "N NONE",
      0,
      { { OUT, "x1 NOTIFY NONE\r\n" }, { HIDE, "x1\r\n" } },
      FAILED,
      "NOTIFY" },
    { "all answers are read after one failed",
      "E A|L de|N NONE",
      0,
      { { OUT, "x1 ENABLE A\r\nx2 LANGUAGE de\r\nx3 NOTIFY NONE\r\n" },
        { HIDE, "x1 BAD\r\n" },
        { HIDE, "* LANGUAGE (de)\r\n" },
        { HIDE, "x2 OK\r\n" },
        { HIDE, "x3 OK\r\n" } },
      FAILED,
      "ENABLE" },
    { "the first failure is the reason",
      "E A|L de",
      0,
      { { OUT, "x1 ENABLE A\r\nx2 LANGUAGE de\r\n" }, { HIDE, "x2 BAD\r\n" }, { HIDE, "x1 NO\r\n" } },
      FAILED,
      "LANGUAGE" },
    { "answers in another order",
      "E A|L de|N NONE",
      0,
      { { OUT, "x1 ENABLE A\r\nx2 LANGUAGE de\r\nx3 NOTIFY NONE\r\n" },
        { HIDE, "x3 OK\r\n" },
        { HIDE, "* LANGUAGE (de)\r\n" },
        { HIDE, "x2 OK\r\n" },
        { HIDE, "* ENABLED A\r\n" },
        { HIDE, "x1 OK\r\n" } },
      RESTORED,
      "" },
    { "another language",
      "L de",
      0,
      { { OUT, "x1 LANGUAGE de\r\n" }, { HIDE, "* LANGUAGE (i-default)\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "LANGUAGE" },
    { "a longer language tag",
      "L de",
      0,
      { { OUT, "x1 LANGUAGE de\r\n" }, { HIDE, "* LANGUAGE (de-AT)\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "LANGUAGE" },
    { "a list of languages",
      "L de",
      0,
      { { OUT, "x1 LANGUAGE de\r\n" }, { HIDE, "* LANGUAGE (de fr)\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "LANGUAGE" },
    { "the last LANGUAGE counts",
      "L de",
      0,
      { { OUT, "x1 LANGUAGE de\r\n" },
        { HIDE, "* LANGUAGE (de)\r\n" },
        { HIDE, "* LANGUAGE (fr)\r\n" },
        { HIDE, "x1 OK\r\n" } },
      FAILED,
      "LANGUAGE" },
    { "a language without parentheses",
      "L de",
      0,
      { { OUT, "x1 LANGUAGE de\r\n" }, { HIDE, "* LANGUAGE de\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "LANGUAGE" },
    { "no language at all",
      "L de",
      0,
      { { OUT, "x1 LANGUAGE de\r\n" }, { HIDE, "* LANGUAGE ()\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "LANGUAGE" },
    { "LANGUAGE cut short",
      "L de",
      0,
      { { OUT, "x1 LANGUAGE de\r\n" }, { HIDE, "* LANGUAGE\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "LANGUAGE" },
    { "a quoted language",
      "L de",
      0,
      { { OUT, "x1 LANGUAGE de\r\n" }, { HIDE, "* LANGUAGE (\"DE\")\r\n" }, { HIDE, "x1 OK\r\n" } },
      RESTORED,
      "" },
    { "a language as literal proves nothing",
      "L de",
      0,
      { { OUT, "x1 LANGUAGE de\r\n" }, { HIDE, "* LANGUAGE ({2}\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "LANGUAGE" },
    { "OK without LANGUAGE", "L de", 0, { { OUT, "x1 LANGUAGE de\r\n" }, { HIDE, "x1 OK\r\n" } }, FAILED, "LANGUAGE" },
    { "a comparator as atom",
      "C i;octet",
      0,
      { { OUT, "x1 COMPARATOR i;octet\r\n" }, { HIDE, "* COMPARATOR i;OCTET\r\n" }, { HIDE, "x1 OK\r\n" } },
      RESTORED,
      "" },
    { "another comparator",
      "C i;octet",
      0,
      { { OUT, "x1 COMPARATOR i;octet\r\n" },
        { HIDE, "* COMPARATOR \"i;basic\" (\"i;octet\")\r\n" },
        { HIDE, "x1 OK\r\n" } },
      FAILED,
      "COMPARATOR" },
    { "COMPARATOR cut short",
      "C i;octet",
      0,
      { { OUT, "x1 COMPARATOR i;octet\r\n" }, { HIDE, "* COMPARATOR\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "COMPARATOR" },
    { "values that are no atoms are quoted",
      "C a \"b\\c|L d)e",
      0,
      { { OUT, "x1 COMPARATOR \"a \\\"b\\\\c\"\r\nx2 LANGUAGE \"d)e\"\r\n" },
        { HIDE, "* COMPARATOR \"a \\\"b\\\\c\"\r\n" },
        { HIDE, "x1 OK\r\n" },
        { HIDE, "* LANGUAGE (\"d)e\")\r\n" },
        { HIDE, "x2 OK\r\n" } },
      RESTORED,
      "" },
    { "only the echo of what is replayed is hidden",
      "E A",
      0,
      { { OUT, "x1 ENABLE A\r\n" },
        { PASS, "* NAMESPACE NIL NIL NIL\r\n" },
        { PASS, "* LANGUAGE (de)\r\n" },
        { PASS, "* COMPARATOR i;octet\r\n" },
        { HIDE, "* ENABLED A\r\n" },
        { HIDE, "x1 OK\r\n" } },
      RESTORED,
      "" },
    { "NAMESPACE behind LANGUAGE's answer is the client's",
      "L de|N NONE",
      0,
      { { OUT, "x1 LANGUAGE de\r\nx2 NOTIFY NONE\r\n" },
        { HIDE, "* LANGUAGE (de)\r\n" },
        { HIDE, "x1 OK\r\n" },
        { PASS, "* NAMESPACE NIL NIL NIL\r\n" },
        { HIDE, "x2 OK\r\n" } },
      RESTORED,
      "" },
    { "what is the client's passes",
      "N SET STATUS (inboxes (MessageNew))",
      0,
      { { OUT, "x1 NOTIFY SET STATUS (inboxes (MessageNew))\r\n" },
        { PASS, "* STATUS INBOX (MESSAGES 1 UIDNEXT 2)\r\n" },
        { PASS, "* STATUS {5}\r\n" },
        { PASS, "* OK [ALERT] going down\r\n" },
        { PASS, "* OK [CAPABILITYX] no\r\n" },
        { PASS, "* OK CAPABILITY\r\n" },
        { PASS, "* 3 EXISTS\r\n" },
        { PASS, "* BYE [CAPABILITY A] bye\r\n" },
        { PASS, "*\r\n" },
        { HIDE, "x1 OK\r\n" } },
      RESTORED,
      "" },
    { "capabilities are held",
      "E A",
      0,
      { { OUT, "x1 ENABLE A\r\n" },
        { HOLD, "* CAPABILITY IMAP4rev1\r\n" },
        { HOLD, "* capability\r\n" },
        { HOLD, "* OK [CAPABILITY IMAP4rev1] more\r\n" },
        { HOLD, "*  OK  [CAPABILITY IMAP4rev1] two SP\r\n" },
        { HOLD, "* OK [CAPABILITY IMAP4rev1 X=\"]\" Y] a bracket in quotes\r\n" },
        { HOLD, "* NO [capability x]\r\n" },
        { HIDE, "* ENABLED A\r\n" },
        { HOLD, "x1 OK [CAPABILITY IMAP4rev1] more\r\n" } },
      RESTORED,
      "" },
    { "a tagged ALERT",
      "E A|N NONE",
      0,
      { { OUT, "x1 ENABLE A\r\nx2 NOTIFY NONE\r\n" },
        { HIDE, "* ENABLED A\r\n" },
        { ALERT, "x1 OK [ALERT] look\r\n" },
        { ALERT, "x2 NO [alert] look\r\n" } },
      FAILED,
      "NOTIFY" },
    { "lines that end in LF",
      "E A",
      0,
      { { OUT, "x1 ENABLE A\r\n" }, { HIDE, "* ENABLED A\n" }, { HIDE, "x1 OK\n" } },
      RESTORED,
      "" },
    { "an answer to nothing",
      "E A",
      0,
      { { OUT, "x1 ENABLE A\r\n" }, { HIDE, "* ENABLED A\r\n" }, { HIDE, "x2 OK\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "" },
    { "an answer twice",
      "E A|N NONE",
      0,
      { { OUT, "x1 ENABLE A\r\nx2 NOTIFY NONE\r\n" },
        { HIDE, "* ENABLED A\r\n" },
        { HIDE, "x1 OK\r\n" },
        { HIDE, "x1 OK\r\n" },
        { HIDE, "x2 OK\r\n" } },
      FAILED,
      "" },
    { "a tag in another case is another",
      "E A",
      0,
      { { OUT, "x1 ENABLE A\r\n" }, { HIDE, "* ENABLED A\r\n" }, { HIDE, "X1 OK\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "" },
    { "a + for nothing",
      "E A",
      0,
      { { OUT, "x1 ENABLE A\r\n" }, { HIDE, "* ENABLED A\r\n" }, { HIDE, "+ go\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "" },
    { "a short literal becomes a quoted string",
      "N SET (mailboxes ({6}\r\na\"b\\ c) (x))",
      0,
      { { OUT, "x1 NOTIFY SET (mailboxes (\"a\\\"b\\\\ c\") (x))\r\n" }, { HIDE, "x1 OK\r\n" } },
      RESTORED,
      "" },
    { "an empty literal becomes a quoted string",
      "N SET ({0+}\r\n)",
      0,
      { { OUT, "x1 NOTIFY SET (\"\")\r\n" }, { HIDE, "x1 OK\r\n" } },
      RESTORED,
      "" },
    { "LITERAL+",
      "N SET ({2}\r\n\xc3\xa4 {2}\r\n\r\n)",
      UINT32_MAX,
      { { OUT, "x1 NOTIFY SET ({2+}\r\n\xc3\xa4 {2+}\r\n\r\n)\r\n" }, { HIDE, "x1 OK\r\n" } },
      RESTORED,
      "" },
    { "a synchronizing literal waits",
      "E A|N SET ({2+}\r\n\xc3\xa4 {2}\r\n\r\n)|E B",
      0,
      { { OUT, "x1 ENABLE A\r\nx2 NOTIFY SET ({2}\r\n" },
        { HIDE, "* ENABLED A\r\n" },
        { HIDE, "x1 OK\r\n" },
        { HIDE, "+ go\r\n" },
        { OUT, "\xc3\xa4 {2}\r\n" },
        { PASS, "* 1 EXISTS\r\n" },
        { HIDE, "+\r\n" },
        { OUT, "\r\n)\r\nx3 ENABLE B\r\n" },
        { HIDE, "x2 OK\r\n" },
        { HIDE, "* ENABLED B\r\n" },
        { HIDE, "x3 OK\r\n" } },
      RESTORED,
      "" },
    { "the size decides under LITERAL-",
      "N SET ({2}\r\n\xc3\xa4 {3}\r\n\xc3\xa4x)",
      2,
      { { OUT, "x1 NOTIFY SET ({2+}\r\n\xc3\xa4 {3}\r\n" },
        { HIDE, "+ go\r\n" },
        { OUT, "\xc3\xa4x)\r\n" },
        { HIDE, "x1 OK\r\n" } },
      RESTORED,
      "" },
    { "a refused literal is not sent, and the rest goes on",
      "N SET ({1}\r\n\n {1}\r\n\n)|E A",
      0,
      { { OUT, "x1 NOTIFY SET ({1}\r\n" },
        { HIDE, "x1 NO [LIMIT] no\r\n" },
        { OUT, "x2 ENABLE A\r\n" },
        { HIDE, "* ENABLED A\r\n" },
        { HIDE, "x2 OK\r\n" } },
      FAILED,
      "NOTIFY" },
    { "a literal refused last",
      "N SET ({1}\r\n\n)",
      0,
      { { OUT, "x1 NOTIFY SET ({1}\r\n" }, { HIDE, "x1 BAD no\r\n" } },
      FAILED,
      "NOTIFY" },
    { "OK in place of + is a failure",
      "N SET ({1}\r\n\n)",
      0,
      { { OUT, "x1 NOTIFY SET ({1}\r\n" }, { HIDE, "x1 OK\r\n" } },
      FAILED,
      "NOTIFY" },
    { "an answer to what was not sent yet",
      "N SET ({1}\r\n\n)|E A",
      0,
      { { OUT, "x1 NOTIFY SET ({1}\r\n" },
        { HIDE, "x2 OK\r\n" },
        { PASS, "* ENABLED A\r\n" },
        { HIDE, "+\r\n" },
        { OUT, "\n)\r\nx2 ENABLE A\r\n" },
        { HIDE, "x1 OK\r\n" },
        { HIDE, "* ENABLED A\r\n" },
        { HIDE, "x2 OK\r\n" } },
      FAILED,
      "" },
};

static struct imapstate_replay *replay_of(const char *steps, uint32_t nonsync_max)
{
    struct imapstate_state *state = imapstate_state_new(MAX);
    record_all(state, steps);
    struct imapstate_replay *replay =
        imapstate_replay_new(state, (struct imapstate_replay_literals){ nonsync_max }, "x");
    imapstate_state_free(state); /* the replay keeps what it needs */
    assert_non_null(replay);
    return replay;
}

/* Memory that ends where the line ends, so that a sanitizer sees a read behind it. */
static enum imapstate_replay_answer answer(struct imapstate_replay *replay, const char *text)
{
    size_t len = strlen(text);
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    enum imapstate_replay_answer result = imapstate_replay_answer(replay, (struct imapstate_span){ copy, len });
    free(copy);
    return result;
}

static void run(const struct transcript *transcript)
{
    const char *name = transcript->name;
    struct imapstate_replay *replay = replay_of(transcript->steps, transcript->nonsync_max);
    const struct line *line = transcript->lines;

    for (; line->move != END; line++) {
        CHECK_ROW(name, imapstate_replay_status(replay) == RUNNING);
        if (line->move == OUT) {
            CHECK_SPAN(name, imapstate_replay_output(replay), imapstate_span_of(line->text));
            continue;
        }
        CHECK_ROW(name, imapstate_replay_output(replay).len == 0);
        CHECK_ROW(line->text, answer(replay, line->text) == answers[line->move]);
    }
    CHECK_ROW(name, imapstate_replay_output(replay).len == 0);
    CHECK_ROW(name, imapstate_replay_status(replay) == transcript->want);
    if (transcript->want == FAILED) {
        const char *command;
        CHECK_ROW(name, imapstate_replay_reason(replay, &command)[0] != '\0');
        CHECK_SPAN(name, imapstate_span_of(command), imapstate_span_of(transcript->want_command));
    }
    imapstate_replay_free(replay);
}

TEST(P17_P18_replays_run_as_printed)
{
    for (size_t i = 0; i < ARRAY_LEN(transcripts); i++)
        run(&transcripts[i]);
}

TEST(a_long_literal_is_not_quoted)
{
    static char steps[5000];
    for (unsigned len = 1024; len <= 1025; len++) {
        int head = snprintf(steps, sizeof steps, "N SET ({%u}\r\n", len);
        memset(steps + head, 'x', len);
        memcpy(steps + head + len, ")", 2);
        struct imapstate_replay *replay = replay_of(steps, 0);
        struct imapstate_span output = imapstate_replay_output(replay);
        if (len == 1024)
            assert_int_equal(output.len, strlen("x1 NOTIFY SET (\"\")\r\n") + len);
        else
            CHECK_SPAN("1025", output, IMAPSTATE_SPAN("x1 NOTIFY SET ({1025}\r\n"));
        imapstate_replay_free(replay);
    }
}

TEST(many_literals_wait_one_by_one)
{
    static char steps[30000] = "N SET (";
    for (unsigned i = 0; i < 2000; i++)
        memcpy(steps + 7 + i * 7, "{1}\r\n\n ", 8);
    memcpy(steps + 7 + 2000 * 7 - 1, ")", 2);
    struct imapstate_replay *replay = replay_of(steps, 0);
    for (unsigned i = 0; i < 2000; i++) {
        struct imapstate_span output = imapstate_replay_output(replay);
        assert_true(output.len > 5);
        CHECK_SPAN("stop", ((struct imapstate_span){ output.at + output.len - 5, 5 }), IMAPSTATE_SPAN("{1}\r\n"));
        assert_int_equal(answer(replay, "+\r\n"), IMAPSTATE_REPLAY_HIDE);
    }
    CHECK_SPAN("end", imapstate_replay_output(replay), IMAPSTATE_SPAN("\n)\r\n"));
    assert_int_equal(answer(replay, "x1 OK\r\n"), IMAPSTATE_REPLAY_HIDE);
    assert_int_equal(imapstate_replay_status(replay), RESTORED);
    imapstate_replay_free(replay);
}

TEST(the_largest_state_can_be_rendered)
{
    static uint8_t value[IMAPSTATE_STATE_MAX];
    memset(value, '"', sizeof value);
    struct imapstate_state *state = imapstate_state_new(IMAPSTATE_STATE_MAX);
    assert_int_equal(imapstate_state_record(state, IMAPSTATE_ENTRY_COMPARATOR,
                                            (struct imapstate_span){ value, IMAPSTATE_STATE_MAX - 4 }),
                     IMAPSTATE_OK);
    struct imapstate_replay *replay =
        imapstate_replay_new(state, (struct imapstate_replay_literals){ 0 }, "sixteen.letters.");
    assert_non_null(replay);
    assert_int_equal(imapstate_replay_output(replay).len,
                     strlen("sixteen.letters.1 COMPARATOR \"\"\r\n") + 2 * (IMAPSTATE_STATE_MAX - 4));
    imapstate_replay_free(replay);
    imapstate_state_free(state);
    imapstate_replay_free(NULL);
}

TEST(no_line_of_a_server_cut_anywhere_does_harm)
{
    static const char *const lines[] = { "* ENABLED A\r\n",
                                         "* LANGUAGE (\"de\")\r\n",
                                         "* COMPARATOR \"c\" (\"c\")\r\n",
                                         "* OK [CAPABILITY IMAP4rev1] x\r\n",
                                         "x1 OK [ALERT] x\r\n",
                                         "+ go\r\n" };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        for (size_t len = 0; len < strlen(lines[i]); len++) {
            struct imapstate_replay *replay = replay_of("E A|L de|C c", 0);
            char cut[64];
            imapstate_replay_output(replay);
            snprintf(cut, sizeof cut, "%.*s", (int)len, lines[i]);
            answer(replay, cut);
            CHECK_ROW(cut, imapstate_replay_status(replay) == RUNNING);
            imapstate_replay_free(replay);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P17_P18_replays_run_as_printed),
        cmocka_unit_test(a_long_literal_is_not_quoted),
        cmocka_unit_test(many_literals_wait_one_by_one),
        cmocka_unit_test(the_largest_state_can_be_rendered),
        cmocka_unit_test(no_line_of_a_server_cut_anywhere_does_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
