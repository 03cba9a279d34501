#include "check.h"
#include "steps.h"

#include <imapstate/server.h>

#include <stdlib.h>
#include <string.h>

#define NOW_S      1795478400u
#define LIFETIME_S (14u * 86400u)

/* --- one server with a key, and one user --- */

static const uint8_t key_octets[IMAPSTATE_KEY_OCTETS] = "an example key, 32 octets long.";

static const struct imapstate_token_binding binding = { .user = { (const uint8_t *)"ann", 3 },
                                                        .upstream = { (const uint8_t *)"main", 4 },
                                                        .names = { (const uint8_t *)"IMAP4rev1 ENABLE", 16 } };

static struct imapstate_keyring *keyring_of(uint32_t id)
{
    struct imapstate_keyring *keyring = imapstate_keyring_new();
    assert_int_equal(imapstate_keyring_add(keyring, id, 0, key_octets), IMAPSTATE_OK);
    return keyring;
}

/* A token of a state with these steps (steps.h). */
static struct imapstate_buf token_of(const char *steps)
{
    struct imapstate_state *state = imapstate_state_new(IMAPSTATE_STATE_MAX);
    struct imapstate_key key = { .id = 1, .octets = key_octets };
    struct imapstate_buf encoded, token;
    uint64_t left_s;
    imapstate_buf_init(&encoded, IMAPSTATE_STATE_MAX);
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    record_all(state, steps);
    assert_true(imapstate_state_encode(state, &encoded));
    assert_int_equal(
        imapstate_token_seal(&key, &binding, NOW_S, LIFETIME_S, imapstate_buf_span(&encoded), &token, &left_s),
        IMAPSTATE_OK);
    imapstate_buf_done(&encoded);
    imapstate_state_free(state);
    return token;
}

/* A state as in steps.h; "-": there is none. */
static const char *text_of(const struct imapstate_state *state, char *ret_text, size_t size)
{
    struct imapstate_entry entry;
    size_t len = 0;
    if (!state)
        return "-";
    *ret_text = '\0';
    for (size_t i = 0; imapstate_state_at(state, i, &entry); i++)
        len += (size_t)snprintf(ret_text + len, size - len, "%s%c %.*s", i ? "|" : "", "?ELCN"[entry.kind],
                                (int)entry.value.len, entry.value.at);
    return ret_text;
}

/* --- what happens in a session, as text --- */

/* "|" between the steps:
 *   "E NAMES", "L de", "C ...", "N ...": such a command took effect; "E+ ...": and is to be announced; "E] ...": its
 * tag has a "]"; "S": STATE; "S STEPS" with ";" for "|": STATE with a token of that state; "T TOKEN": STATE with these
 *   octets; "V": SAVESTATE; "0 QRESYNC", "1 de": this command of the restore was run, with this effect, "0-": it
 * failed;
 *   "?": the verdict; "=0" to "=3": the outcome; "P": nobody knows what is on; "p": a pristine connection again; "O":
 *   notifications have overflowed; "M0" to "M2": a mailbox is not, is, may be selected.
 * ">NUMBER" is what the last STATE, SAVESTATE, verdict or outcome was answered with (enum imapstate_answer). */
struct play {
    struct imapstate_server *server;
    struct imapstate_keyring *keyring;
    const char *row;
    enum imapstate_answer answer;
    struct imapstate_buf saved;
    uint64_t left_s;
};

static void play_effect(struct play *play, const char *step)
{
    const char *value = strchr(step, ' ') + 1;
    struct imapstate_span tag = step[1] == ']' ? IMAPSTATE_SPAN("a]") : IMAPSTATE_SPAN("a1");
    bool is_announced = imapstate_server_took_effect(play->server, tag, kind_of(*step), imapstate_span_of(value));
    CHECK_ROW(play->row, is_announced == (step[1] == '+'));
}

static void play_state(struct play *play, const char *steps)
{
    char text[256];
    snprintf(text, sizeof text, "%s", steps);
    for (char *at = text; (at = strchr(at, ';')); at++)
        *at = '|';
    struct imapstate_buf token = token_of(text);
    play->answer =
        imapstate_server_restore(play->server, play->keyring, &binding, NOW_S, imapstate_buf_span(&token), NULL);
    imapstate_buf_done(&token);
}

static void play_save(struct play *play)
{
    imapstate_buf_clear(&play->saved);
    play->answer = imapstate_server_save(play->server, play->keyring, &binding, IMAPSTATE_TOKEN_FORMAT, NOW_S,
                                         LIFETIME_S, &play->saved, &play->left_s, NULL);
}

static void play_step(struct play *play, const char *step)
{
    switch (*step) {
    case '\0':
        break;
    case 'E':
    case 'L':
    case 'C':
    case 'N':
        play_effect(play, step);
        break;
    case 'S':
        if (step[1])
            play_state(play, step + 2);
        else
            play->answer = imapstate_server_track(play->server, &binding);
        break;
    case 'T':
        play->answer =
            imapstate_server_restore(play->server, play->keyring, &binding, NOW_S, imapstate_span_of(step + 2), NULL);
        break;
    case 'V':
        play_save(play);
        break;
    case '?':
        play->answer = imapstate_server_verdict(play->server);
        break;
    case '=':
        play->answer = imapstate_server_conclude(play->server, &binding, (enum imapstate_outcome)(step[1] - '0'));
        break;
    case 'P':
    case 'p':
        imapstate_server_set_pristine(play->server, *step == 'p');
        break;
    case 'O':
        imapstate_server_overflowed(play->server);
        break;
    case 'M':
        imapstate_server_set_selected(play->server, (enum imapstate_selected)(step[1] - '0'));
        assert_int_equal(imapstate_server_selected(play->server), step[1] - '0');
        break;
    case '>':
        if (play->answer != (enum imapstate_answer)atoi(step + 1))
            fail_msg("row \"%s\": %s: answered with %d", play->row, step, (int)play->answer);
        break;
    default:
        imapstate_server_ran(play->server, (size_t)(*step - '0'), step[1] != '-',
                             imapstate_span_of(step[1] == ' ' ? step + 2 : ""));
    }
}

static void play_begin(struct play *play, const char *row, const char *steps)
{
    char text[1024];
    *play = (struct play){ .server = imapstate_server_new(), .keyring = keyring_of(1), .row = row };
    imapstate_buf_init(&play->saved, IMAPSTATE_TOKEN_MAX);
    snprintf(text, sizeof text, "%s", steps);
    for (char *rest = text, *step; (step = strsep(&rest, "|"));)
        play_step(play, step);
}

static void play_end(struct play *play)
{
    imapstate_server_free(play->server);
    imapstate_keyring_free(play->keyring);
    imapstate_buf_done(&play->saved);
}

#define RUN          ">0"
#define UNDO         ">1"
#define TRACKING     ">2"
#define RESTORED     ">3"
#define DECLINED     ">4"
#define UNAVAILABLE  ">5"
#define ENDED        ">6"
#define MALFORMED    ">7"
#define SELECTED     ">8"
#define SAVED        ">9"
#define NOT_TRACKING ">10"
#define TOO_LARGE    ">11"
#define NOT_SAVED    ">12"

static const struct {
    const char *name, *steps;
    const char *state; /* what would be saved; "-": tracking is off */
} sessions[] = {
    { "nothing is tracked at first", "E QRESYNC", "-" },
    { "P3: STATE tracks", "S|" TRACKING "|E+ QRESYNC|L+ de|N+ NONE", "E QRESYNC|L de|N NONE" },
    { "P3: once more, and nothing is forgotten", "S|E+ QRESYNC|S|" TRACKING, "E QRESYNC" },
    { "P2: STATE while a mailbox is selected", "M1|S|" SELECTED, "-" },
    { "P2: or may be", "M2|S|" SELECTED "|S E QRESYNC|" SELECTED, "-" },
    { "P2: and no longer is", "M1|M0|S|" TRACKING, "" },
    { "P2: an empty token", "T |" MALFORMED, "-" },
    { "P5: no token of ours", "T NIL|" DECLINED, "" },
    { "P4: the commands are run", "S E QRESYNC;L de|" RUN "|0 QRESYNC|?|" RUN "|1 de|?|" RESTORED, "E QRESYNC|L de" },
    { "P4: an empty state", "S |" RUN "|?|" RESTORED, "" },
    { "P4: tracking is on", "S E QRESYNC|0 QRESYNC|?|" RESTORED "|L+ de", "E QRESYNC|L de" },
    { "P4: what is on besides is no matter", "S E QRESYNC|0 condstore qresync|?|" RESTORED, "E QRESYNC" },
    { "RFC 7162: QRESYNC brings CONDSTORE", "S E CONDSTORE QRESYNC|0 QRESYNC|?|" RESTORED, "E CONDSTORE QRESYNC" },
    { "one ENABLE may tell what another one asked for", "S E X;L de;E Y|0|1 de|2 X Y|?|" RESTORED, "E X|L de|E Y" },
    { "a language in other letters", "S L de|0 DE|?|" RESTORED, "L de" },
    { "NOTIFY proves itself by its OK", "S N NONE|0|?|" RESTORED, "N NONE" },
    { "P18: one that fails", "S N NONE|0-|?|" UNDO "|?|" UNDO, "-" },
    { "P18: a name that is not on", "S E QRESYNC|0 CONDSTORE|?|" UNDO, "-" },
    { "P18: no name at all", "S E QRESYNC|0|?|" UNDO, "-" },
    { "P18: names count only if the command was good", "S E QRESYNC|0- QRESYNC|?|" UNDO, "-" },
    { "P18: another language", "S L de|0 fr|?|" UNDO, "-" },
    { "P18: no language", "S L de|0|?|" UNDO, "-" },
    { "all are run before it is decided", "S L de;N NONE|0 fr|?|" RUN "|1|?|" UNDO, "-" },
    { "a command that is told of twice", "S L de|0 de|0 de|?|" UNDO, "-" },
    { "a command that there is none", "S L de|0 de|7 de|?|" UNDO, "-" },
    { "P5: undone", "S L de|0 fr|?|=1|" DECLINED, "" },
    { "P18: cannot be undone", "S L de|0 fr|?|=3|" ENDED, "-" },
    { "P6: interrupted: tracking is as it was", "S L de|=2|" UNAVAILABLE, "-" },
    { "P6: interrupted while tracking", "S|S L de|=2|" UNAVAILABLE, "" },
    { "P7: after a failed restore another token", "S L de|0 fr|?|=1|S L fr|" RUN "|0 fr|?|" RESTORED, "L fr" },
    { "P7: a command has taken effect", "E QRESYNC|S L de|" DECLINED, "" },
    { "P7: even one that could not be stored", "S|E] QRESYNC|S L de|" DECLINED, "" },
    { "P7: a restore was done", "S L de|0 de|?|S L fr|" DECLINED, "L de" },
    { "P7: something is on that nobody has set up", "P|S L de|" DECLINED, "" },
    { "P7: and no longer is", "P|p|S L de|" RUN, "-" },
    { "a proxy knows how it went", "S L de;E X|=0|" RESTORED, "L de|E X" },
    { "there is nothing to conclude", "=0|" ENDED "|=1|" ENDED "|?|" ENDED "|0 x|?|" ENDED "|S L de|0 de|?|" RESTORED,
      "L de" },
    { "one restore at a time", "S L de|S L fr|" ENDED "|S|" ENDED "|0 de|?|" RESTORED, "L de" },
    { "what a restore runs is not recorded by itself",
      "S|S E X;L de|E X|L fr|1 fr|0 X|?|" UNDO "|=1|" DECLINED "|V|" SAVED "|S L de|" RUN, "" },
    { "RFC 5465: notifications that overflow while they are set", "S N SET (personal (MessageNew));E X|0|O|1 X|?|" UNDO,
      "-" },
    { "but NONE cannot", "S N NONE|O|0|?|" RESTORED, "N NONE" },
    { "P9: a tag with a ]", "S|L+ de|L] fr", "" },
    { "P9: an effect that is not known removes what it replaces", "S|L+ de|E+ X|L ", "E X" },
    { "P9: an ENABLE replaces nothing", "S|E+ X|E ", "E X" },
    { "P9: a value that cannot be stored", "S|L+ de|L d\x01", "" },
    { "P10: what was before STATE is neither announced nor saved", "E QRESYNC|S|L+ de", "L de" },
    { "RFC 5465: notifications that have overflowed", "S|N+ SET (personal (MessageNew))|O", "N NONE" },
    { "but only if there are any", "S|O", "" },
    { "P8: SAVESTATE", "S|E+ QRESYNC|V|" SAVED, "E QRESYNC" },
    { "P8: not tracking", "V|" NOT_TRACKING, "-" },
    { "P8: with a mailbox selected", "S|M1|V|" SAVED, "" },
    { "P8: not while a restore is under way", "S L de|V|" NOT_TRACKING "|=2|S|S L de|V|" NOT_SAVED, "" },
};

TEST(the_rules_hold)
{
    char text[256];
    for (size_t i = 0; i < ARRAY_LEN(sessions); i++) {
        struct play play;
        play_begin(&play, sessions[i].name, sessions[i].steps);
        const struct imapstate_state *state = imapstate_server_state(play.server);
        CHECK_SPAN(sessions[i].name, imapstate_span_of(text_of(state, text, sizeof text)),
                   imapstate_span_of(sessions[i].state));
        CHECK_ROW(sessions[i].name, imapstate_server_is_tracking(play.server) == (state != NULL));
        play_end(&play);
    }
}

TEST(p8_what_is_saved_restores_and_lives_as_long_as_is_said)
{
    struct play before, after;
    struct imapstate_entry entry;
    play_begin(&before, "before", "S|E+ QRESYNC|N+ NONE|V|" SAVED);
    assert_true(before.left_s >= LIFETIME_S && before.left_s < LIFETIME_S + 86400);
    play_begin(&after, "after", "");
    for (unsigned late_s = 0; late_s < 2; late_s++) {
        enum imapstate_error error;
        uint64_t now_s = NOW_S + before.left_s - 1 + late_s;
        after.answer = imapstate_server_restore(after.server, after.keyring, &binding, now_s,
                                                imapstate_buf_span(&before.saved), &error);
        assert_int_equal(after.answer, late_s ? IMAPSTATE_ANSWER_DECLINED : IMAPSTATE_ANSWER_RUN);
        assert_int_equal(error, late_s ? IMAPSTATE_TOKEN_EXPIRED : IMAPSTATE_OK);
        assert_int_equal(imapstate_server_restoring(after.server) != NULL, !late_s);
        if (!late_s)
            assert_true(imapstate_state_at(imapstate_server_restoring(after.server), 1, &entry));
        imapstate_server_conclude(after.server, &binding, IMAPSTATE_OUTCOME_INTERRUPTED);
    }
    play_end(&before);
    play_end(&after);
}

TEST(p5_the_reason_is_for_the_log)
{
    static const struct {
        const char *steps, *token;
        enum imapstate_error error;
        enum imapstate_answer answer;
    } rows[] = {
        { "", "NIL", IMAPSTATE_TOKEN_MALFORMED, IMAPSTATE_ANSWER_DECLINED },
        { "", "", IMAPSTATE_TOKEN_MALFORMED, IMAPSTATE_ANSWER_MALFORMED },
        { "P", "NIL", IMAPSTATE_NOT_PRISTINE, IMAPSTATE_ANSWER_DECLINED },
        { "M1", "NIL", IMAPSTATE_OK, IMAPSTATE_ANSWER_SELECTED },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct play play;
        enum imapstate_error error;
        play_begin(&play, rows[i].steps, rows[i].steps);
        assert_int_equal(imapstate_server_restore(play.server, play.keyring, &binding, NOW_S,
                                                  imapstate_span_of(rows[i].token), &error),
                         rows[i].answer);
        assert_int_equal(error, rows[i].error);
        play_end(&play);
    }
}

TEST(p2_a_token_of_more_than_2048_octets_is_none)
{
    char token[IMAPSTATE_TOKEN_MAX + 2];
    struct play play;
    play_begin(&play, "too long", "");
    memset(token, 'A', sizeof token - 1);
    token[sizeof token - 1] = '\0';
    play_step(&play, "T ");
    for (size_t len = IMAPSTATE_TOKEN_MAX; len <= IMAPSTATE_TOKEN_MAX + 1; len++) {
        struct imapstate_span span = { (const uint8_t *)token, len };
        assert_int_equal(imapstate_server_restore(play.server, play.keyring, &binding, NOW_S, span, NULL),
                         len > IMAPSTATE_TOKEN_MAX ? IMAPSTATE_ANSWER_MALFORMED : IMAPSTATE_ANSWER_DECLINED);
    }
    play_end(&play);
}

TEST(p8_without_a_key_or_with_too_much_nothing_is_saved)
{
    struct play play;
    char long_name[1400];
    play_begin(&play, "no key", "S");
    imapstate_keyring_free(play.keyring);
    play.keyring = imapstate_keyring_new();
    play_step(&play, "V");
    play_step(&play, NOT_SAVED);
    assert_int_equal(play.saved.len, 0);
    play_end(&play);

    /* The state does not grow beyond what a token can hold. */
    play_begin(&play, "too much", "S|L+ de");
    memset(long_name, 'X', sizeof long_name);
    memcpy(long_name, "E+ ", 3);
    long_name[sizeof long_name - 1] = '\0';
    play_step(&play, long_name);
    memcpy(long_name, "E ", 2); /* not announced any more */
    memset(long_name + 2, 'Y', sizeof long_name - 3);
    play_step(&play, long_name);
    play_step(&play, "V");
    play_step(&play, SAVED);
    /* But a user with a longer name is another one. */
    struct imapstate_token_binding longer = binding;
    longer.user = (struct imapstate_span){ (const uint8_t *)long_name, 600 };
    assert_int_equal(imapstate_server_save(play.server, play.keyring, &longer, IMAPSTATE_TOKEN_FORMAT, NOW_S,
                                           LIFETIME_S, &play.saved, &play.left_s, NULL),
                     IMAPSTATE_ANSWER_TOO_LARGE);
    play_end(&play);
}

static const struct {
    enum imapstate_answer answer;
    const char *wire;
} wires[] = {
    { IMAPSTATE_ANSWER_RUN, "" },
    { IMAPSTATE_ANSWER_UNDO, "" },
    { IMAPSTATE_ANSWER_TRACKING, "a1 OK State command tracking enabled.\r\n" },
    { IMAPSTATE_ANSWER_RESTORED, "* STATE tok\r\na1 OK State restored.\r\n" },
    { IMAPSTATE_ANSWER_DECLINED, "a1 OK State not restored, but state command tracking enabled.\r\n" },
    { IMAPSTATE_ANSWER_UNAVAILABLE, "a1 NO [UNAVAILABLE] State cannot be restored at the moment.\r\n" },
    { IMAPSTATE_ANSWER_ENDED, "a1 NO [UNAVAILABLE] State cannot be restored at the moment.\r\n"
                              "* BYE [UNAVAILABLE] The session cannot continue.\r\n" },
    { IMAPSTATE_ANSWER_MALFORMED, "a1 BAD STATE takes at most one token.\r\n" },
    { IMAPSTATE_ANSWER_SELECTED, "a1 BAD STATE is not allowed while a mailbox is selected.\r\n" },
    { IMAPSTATE_ANSWER_SAVED, "* SAVESTATE tok\r\na1 OK [STATEEXPIRES 4294967295] State saved.\r\n" },
    { IMAPSTATE_ANSWER_NOT_TRACKING, "a1 NO [CLIENTBUG] STATE must come first.\r\n" },
    { IMAPSTATE_ANSWER_TOO_LARGE, "a1 NO [LIMIT] State is too large to be saved.\r\n" },
    { IMAPSTATE_ANSWER_NOT_SAVED, "a1 NO [UNAVAILABLE] State cannot be saved at the moment.\r\n" },
    { IMAPSTATE_ANSWER_NO_MEMORY, "a1 NO [UNAVAILABLE] Out of memory.\r\n" },
};

static bool put_wire(enum imapstate_answer answer, size_t max, struct imapstate_buf *out)
{
    imapstate_buf_init(out, max);
    return imapstate_buf_put_byte(out, '>') &&
           imapstate_answer_put(answer, IMAPSTATE_SPAN("a1"), IMAPSTATE_SPAN("tok"), UINT64_MAX, out);
}

TEST(each_answer_is_put_whole_or_not_at_all)
{
    struct imapstate_buf out;
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        size_t len = strlen(wires[i].wire);
        assert_true(put_wire(wires[i].answer, len + 1, &out));
        CHECK_SPAN(wires[i].wire, ((struct imapstate_span){ out.at + 1, out.len - 1 }),
                   imapstate_span_of(wires[i].wire));
        imapstate_buf_done(&out);
        for (size_t max = 1; max < len + 1; max++) {
            assert_false(put_wire(wires[i].answer, max, &out));
            assert_int_equal(out.len, 1);
            imapstate_buf_done(&out);
        }
    }
    char text[IMAPSTATE_ANSWER_SIZE];
    assert_string_equal(imapstate_answer_text((enum imapstate_answer)ARRAY_LEN(wires), 0, text), "");
}

TEST(p9_an_announcement_names_the_tag)
{
    struct imapstate_buf out;
    imapstate_buf_init(&out, 64);
    assert_true(imapstate_answer_put_statecmd(IMAPSTATE_SPAN("A003"), &out));
    CHECK_SPAN("STATECMD", imapstate_buf_span(&out), IMAPSTATE_SPAN("* OK [STATECMD A003] Saved in state data.\r\n"));
    imapstate_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rules_hold),
        cmocka_unit_test(p8_what_is_saved_restores_and_lives_as_long_as_is_said),
        cmocka_unit_test(p5_the_reason_is_for_the_log),
        cmocka_unit_test(p2_a_token_of_more_than_2048_octets_is_none),
        cmocka_unit_test(p8_without_a_key_or_with_too_much_nothing_is_saved),
        cmocka_unit_test(each_answer_is_put_whole_or_not_at_all),
        cmocka_unit_test(p9_an_announcement_names_the_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
