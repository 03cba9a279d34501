#include "scout.h"

#include <stdlib.h>

#include "alert.h"
#include "capability.h"
#include "id.h"
#include "loop.h"
#include "prelude.h"
#include "words.h"

/* An ID response as it comes: what ID_MAX is of its arguments, and a literal is not longer than a quoted
 * string that is all escapes. */
#define SCOUT_ANSWER_MAX 65536u

struct scout {
    const char *upstream, *member; /* borrowed */
    const struct loop *loop;       /* borrowed */
    struct imapstate_buf greeting_names, names, alerts;
    struct imapstate_buf answer, id; /* the ID response as it comes, and its arguments */
    bool is_answered;                /* the first ID response has begun, no other is heeded */
};

static void scout_report(const char *upstream, const char *member, const struct loop *loop,
                         const struct prelude_lesson *lesson)
{
    prelude_end_round(upstream, member, lesson, loop_now_ms(loop));
    loop_poke_all();
}

struct scout *scout_new(const char *upstream, const char *member, const struct loop *loop)
{
    struct scout *scout = calloc(1, sizeof *scout);
    if (!scout) {
        scout_report(upstream, member, loop, &(struct prelude_lesson){ 0 });
        return NULL;
    }
    scout->upstream = upstream;
    scout->member = member;
    scout->loop = loop;
    imapstate_buf_init(&scout->greeting_names, CAPABILITY_LIST_MAX);
    imapstate_buf_init(&scout->names, CAPABILITY_LIST_MAX);
    imapstate_buf_init(&scout->alerts, ALERTS_MAX);
    imapstate_buf_init(&scout->answer, SCOUT_ANSWER_MAX);
    imapstate_buf_init(&scout->id, ID_MAX);
    return scout;
}

void scout_free(struct scout *scout)
{
    if (!scout)
        return;
    scout_report(scout->upstream, scout->member, scout->loop,
                 &(struct prelude_lesson){
                     .names = imapstate_buf_span(&scout->names),
                     .greeting_names = imapstate_buf_span(&scout->greeting_names),
                     .id = imapstate_buf_span(&scout->id),
                     .alerts = imapstate_buf_span(&scout->alerts),
                 });
    imapstate_buf_done(&scout->greeting_names);
    imapstate_buf_done(&scout->names);
    imapstate_buf_done(&scout->alerts);
    imapstate_buf_done(&scout->answer);
    imapstate_buf_done(&scout->id);
    free(scout);
}

void scout_stalls(struct scout *scout)
{
    prelude_stall(scout->upstream, scout->member);
    loop_poke_all();
}

void scout_begin_anew(struct scout *scout)
{
    imapstate_buf_clear(&scout->greeting_names);
    imapstate_buf_clear(&scout->names);
    imapstate_buf_clear(&scout->alerts);
}

void scout_hear_line(struct scout *scout, struct imapstate_span line)
{
    alerts_add(&scout->alerts, line);
}

void scout_learn_greeting_names(struct scout *scout, struct imapstate_span names)
{
    imapstate_buf_put(&scout->greeting_names, names);
}

void scout_learn_names(struct scout *scout, struct imapstate_span names)
{
    imapstate_buf_put(&scout->names, names);
}

bool scout_has_names(const struct scout *scout)
{
    return scout->names.len > 0;
}

static bool scout_is_id(struct imapstate_span line)
{
    return words_at(line, 0).len == 1 && *line.at == '*' && word_is(words_at(line, 1), "ID");
}

void scout_hear_piece(struct scout *scout, const struct imapstate_piece *piece)
{
    if (piece->begins && (scout->is_answered || !scout_is_id(piece->octets)))
        return;
    if (!piece->begins && scout->answer.len == 0)
        return;
    scout->is_answered = true;
    bool fits = imapstate_buf_put(&scout->answer, piece->octets);
    if (fits && !piece->ends)
        return;
    if (fits)
        id_read_answer(imapstate_buf_span(&scout->answer), &scout->id);
    imapstate_buf_clear(&scout->answer);
}
