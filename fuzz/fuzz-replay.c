/* Properties: what a replay writes frames as exactly one command for each entry, whatever the entries hold; a server
 * that obeys restores the state; and whatever a server answers, nothing is restored without a tagged answer for each.
 */
#include "fuzz.h"

#include <imapstate/frame.h>
#include <imapstate/replay.h>

#include <string.h>

#define MAX 2000u

/* Entries: kind (1 octet), length (1), value; up to a kind of 0. What is left is moved to the front of *in. */
static struct imapstate_state *take_state(struct imapstate_span *in)
{
    struct imapstate_state *state = imapstate_state_new(MAX);
    CHECK(state);
    while (in->len >= 2 && in->at[0] != 0) {
        size_t len = in->at[1] < in->len - 2 ? in->at[1] : in->len - 2;
        struct imapstate_span value = { in->at + 2, len };
        imapstate_state_record(state, (enum imapstate_entry_kind)(in->at[0] % 4 + 1), value);
        *in = (struct imapstate_span){ in->at + 2 + len, in->len - 2 - len };
    }
    return state;
}

/* Follows output as a server does; says "+" where it must. Returns how many commands it was. */
static size_t receive_all(struct imapstate_replay *replay)
{
    struct imapstate_frame frame;
    struct imapstate_piece piece;
    struct imapstate_span output = imapstate_replay_output(replay);
    size_t commands = 0;

    imapstate_frame_init(&frame, IMAPSTATE_FRAME_COMMANDS);
    while (output.len > 0) {
        enum imapstate_frame_result result = imapstate_frame_next(&frame, output, &piece);
        CHECK(result == IMAPSTATE_FRAME_LINE || result == IMAPSTATE_FRAME_LITERAL);
        CHECK(!piece.has_nul && !piece.is_bare_lf);
        commands += piece.ends;
        output = (struct imapstate_span){ output.at + piece.octets.len, output.len - piece.octets.len };
        if (output.len > 0)
            continue;
        CHECK(imapstate_replay_output(replay).len == 0);
        if (result == IMAPSTATE_FRAME_LINE && piece.literal.announced && piece.literal.synchronizing) {
            imapstate_frame_literal_go(&frame);
            CHECK(imapstate_replay_answer(replay, IMAPSTATE_SPAN("+ go\r\n")) == IMAPSTATE_REPLAY_HIDE);
            output = imapstate_replay_output(replay);
        }
    }
    CHECK(imapstate_frame_is_between(&frame));
    return commands;
}

static void put_quoted(struct imapstate_buf *line, struct imapstate_span value)
{
    CHECK(imapstate_buf_put_byte(line, '"'));
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] == '"' || value.at[i] == '\\')
            CHECK(imapstate_buf_put_byte(line, '\\'));
        CHECK(imapstate_buf_put_byte(line, value.at[i]));
    }
    CHECK(imapstate_buf_put_byte(line, '"'));
}

/* Answers the command of an entry as it should be. */
static void obey(struct imapstate_replay *replay, const struct imapstate_entry *entry, size_t number)
{
    static const char *const echoes[] = { "", "* ENABLED ", "* LANGUAGE (", "* COMPARATOR " };
    struct imapstate_buf line;
    imapstate_buf_init(&line, 4 * MAX);
    if (entry->kind != IMAPSTATE_ENTRY_NOTIFY) {
        CHECK(imapstate_buf_put(&line, imapstate_span_of(echoes[entry->kind])));
        if (entry->kind == IMAPSTATE_ENTRY_ENABLE)
            CHECK(imapstate_buf_put(&line, entry->value));
        else
            put_quoted(&line, entry->value);
        CHECK(imapstate_buf_printf(&line, entry->kind == IMAPSTATE_ENTRY_LANGUAGE ? ")\r\n" : "\r\n"));
        CHECK(imapstate_replay_answer(replay, imapstate_buf_span(&line)) == IMAPSTATE_REPLAY_HIDE);
    }
    imapstate_buf_clear(&line);
    CHECK(imapstate_buf_printf(&line, "t%zu OK\r\n", number));
    CHECK(imapstate_replay_status(replay) == IMAPSTATE_REPLAY_RUNNING);
    CHECK(imapstate_replay_answer(replay, imapstate_buf_span(&line)) == IMAPSTATE_REPLAY_HIDE);
    imapstate_buf_done(&line);
}

static void check_obedient(const struct imapstate_state *state, struct imapstate_replay *replay)
{
    struct imapstate_entry entry;
    CHECK(receive_all(replay) == imapstate_state_count(state));
    for (size_t i = 0; imapstate_state_at(state, i, &entry); i++)
        obey(replay, &entry, i + 1);
    CHECK(imapstate_replay_status(replay) == IMAPSTATE_REPLAY_RESTORED);
}

static void check_any(const struct imapstate_state *state, struct imapstate_replay *replay, struct imapstate_span in)
{
    size_t tagged = 0;
    const char *command;
    imapstate_replay_output(replay);
    while (in.len > 0) {
        const uint8_t *lf = memchr(in.at, '\n', in.len);
        struct imapstate_span line = { in.at, lf ? (size_t)(lf - in.at) + 1 : in.len };
        enum imapstate_replay_answer answer = imapstate_replay_answer(replay, line);
        CHECK(answer != IMAPSTATE_REPLAY_PASS || line.at[0] == '*');
        tagged += line.at[0] == 't';
        imapstate_replay_output(replay);
        in = (struct imapstate_span){ in.at + line.len, in.len - line.len };
    }
    if (imapstate_replay_status(replay) != IMAPSTATE_REPLAY_RUNNING)
        CHECK(tagged >= imapstate_state_count(state));
    CHECK(imapstate_replay_reason(replay, &command) && command);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const uint32_t nonsync_maxes[] = { 0, 10, 4096, UINT32_MAX };
    if (len == 0)
        return 0;
    struct imapstate_span in = { at + 1, len - 1 };
    struct imapstate_state *state = take_state(&in);
    struct imapstate_replay_literals literals = { nonsync_maxes[at[0] / 2 % 4] };
    struct imapstate_replay *replay = imapstate_replay_new(state, literals, "t");
    CHECK(replay);
    if (at[0] % 2)
        check_obedient(state, replay);
    else
        check_any(state, replay, in);
    imapstate_replay_free(replay);
    imapstate_state_free(state);
    return 0;
}
