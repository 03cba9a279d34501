/* frame-events: runs a frame over an input that arrives in given parts and writes down what comes out, so that the
 * unit test and the fuzz targets can compare. What comes out must not depend on the parts.
 *
 * Events, each followed by a space; numbers are octets:
 *   L12be    a line. b: begins, e: ends, t: text, c: continuation, f: bare LF, 0: has NUL, !: too long, its parts
 *            together, ?: its literal is too large
 *   L12b{5}  a line that announces a literal: {5} {5+} ~{5} ~{5+}; in responses, where nobody waits, {5} or ~{5}
 *   O5       the octets of a literal
 *   W        the frame waits for the server's decision
 *   BAD:NUL  the error
 *   .  -     the input ends between commands or responses, or not; +3 behind it: with 3 octets that make no piece */
#ifndef TEST_FRAME_EVENTS_H
#define TEST_FRAME_EVENTS_H

#include <imapstate/frame.h>

#include <stdlib.h>
#include <string.h>

struct frame_run {
    enum imapstate_frame_side side;
    const char *script; /* at WAIT: g the server says "+", r it refuses, else stop. Behind a command: c expect a
                         * continuation, u do, and take it back, - do not; other letters wait for a WAIT */
    bool passes;        /* responses: pass what can be passed */
    struct imapstate_buf events;
    size_t line_len; /* octets of the current line that were passed */
    bool line_begins;
    size_t literal_len; /* octets of the current literal that came */
    bool is_stopped;    /* at a WAIT for which the script has no decision */
};

static inline const char *frame_run_error_name(enum imapstate_error error)
{
    switch (error) {
#define X(name, number, lasts, text)                                                                                   \
    case IMAPSTATE_##name:                                                                                             \
        return #name;
        IMAPSTATE_ERRORS(X)
#undef X
    }
    return "?";
}

static inline void frame_run_require(bool condition)
{
    if (!condition)
        abort();
}

static inline void frame_run_flush_literal(struct frame_run *run)
{
    if (run->literal_len > 0)
        frame_run_require(imapstate_buf_printf(&run->events, "O%zu ", run->literal_len));
    run->literal_len = 0;
}

static inline void frame_run_line(struct frame_run *run, const struct imapstate_piece *piece)
{
    const struct imapstate_literal *literal = &piece->literal;
    bool begins = run->line_len > 0 ? run->line_begins : piece->begins;
    /* The octets are a line, and one only. */
    frame_run_require(memchr(piece->octets.at, '\n', piece->octets.len) == piece->octets.at + piece->octets.len - 1);
    frame_run_require(piece->ends == !literal->announced);
    frame_run_require(imapstate_buf_printf(&run->events, "L%zu%s%s%s%s%s%s%s", run->line_len + piece->octets.len,
                                           begins ? "b" : "", piece->ends ? "e" : "", piece->is_text ? "t" : "",
                                           piece->is_continuation ? "c" : "", piece->is_bare_lf ? "f" : "",
                                           piece->has_nul ? "0" : "",
                                           piece->refused == IMAPSTATE_LINE_TOO_LONG ? "!"
                                           : piece->refused != IMAPSTATE_OK          ? "?"
                                                                                     : ""));
    if (literal->announced)
        frame_run_require(
            imapstate_buf_printf(&run->events, "%s{%u%s}", literal->binary ? "~" : "", literal->octets,
                                 literal->synchronizing || run->side == IMAPSTATE_FRAME_RESPONSES ? "" : "+"));
    frame_run_require(imapstate_buf_put_byte(&run->events, ' '));
    run->line_len = 0;
}

static inline void frame_run_after_command(struct frame_run *run, struct imapstate_frame *frame)
{
    if (*run->script == 'c' || *run->script == 'u')
        imapstate_frame_expect_continuation(frame);
    if (*run->script == 'u')
        imapstate_frame_expect_command(frame);
    if (*run->script != '\0' && strchr("cu-", *run->script))
        run->script++;
}

static inline void frame_run_decide(struct frame_run *run, struct imapstate_frame *frame)
{
    frame_run_require(imapstate_buf_put(&run->events, IMAPSTATE_SPAN("W ")));
    char decision = *run->script;
    run->is_stopped = decision != 'g' && decision != 'r';
    if (run->is_stopped)
        return;
    run->script++;
    if (decision == 'g')
        imapstate_frame_literal_go(frame);
    else
        imapstate_frame_literal_refused(frame);
}

/* Takes one piece off in. Returns how many octets it has; *ret_goes_on tells whether there may be more. */
static inline size_t frame_run_step(struct frame_run *run, struct imapstate_frame *frame, struct imapstate_span in,
                                    bool *ret_goes_on)
{
    struct imapstate_piece piece = { 0 };
    *ret_goes_on = true;
    switch (imapstate_frame_next(frame, in, &piece)) {
    case IMAPSTATE_FRAME_MORE:
        *ret_goes_on = false;
        if (run->passes && imapstate_frame_pass(frame, in, &piece)) {
            frame_run_flush_literal(run);
            run->line_begins = run->line_len > 0 ? run->line_begins : piece.begins;
            run->line_len += piece.octets.len;
        }
        break;
    case IMAPSTATE_FRAME_LINE:
        frame_run_flush_literal(run);
        frame_run_require(piece.octets.len > 0);
        if (piece.octets.at[piece.octets.len - 1] != '\n') {
            frame_run_require(piece.refused == IMAPSTATE_LINE_TOO_LONG && !piece.ends && !piece.literal.announced);
            run->line_begins = run->line_len > 0 ? run->line_begins : piece.begins;
            run->line_len += piece.octets.len;
            break;
        }
        frame_run_line(run, &piece);
        if (piece.ends)
            frame_run_after_command(run, frame);
        break;
    case IMAPSTATE_FRAME_LITERAL:
        frame_run_require(piece.octets.len > 0);
        run->literal_len += piece.octets.len;
        break;
    case IMAPSTATE_FRAME_WAIT:
        frame_run_decide(run, frame);
        *ret_goes_on = !run->is_stopped;
        break;
    case IMAPSTATE_FRAME_BAD:
        *ret_goes_on = false;
        break;
    }
    frame_run_require(piece.octets.len <= in.len && (piece.octets.len == 0 || piece.octets.at == in.at));
    return piece.octets.len;
}

/* All pieces that can be had of the len octets that have arrived. Returns how many octets they have. */
static inline size_t frame_run_arrived(struct frame_run *run, struct imapstate_frame *frame, const uint8_t *in,
                                       size_t len)
{
    size_t at = 0;
    for (bool goes_on = true; goes_on;) {
        /* Memory of its own, so that a sanitizer sees a read behind what has arrived. */
        size_t left = len - at;
        uint8_t *copy = malloc(left > 0 ? left : 1);
        frame_run_require(copy != NULL);
        if (left > 0)
            memcpy(copy, in + at, left);
        at += frame_run_step(run, frame, (struct imapstate_span){ copy, left }, &goes_on);
        free(copy);
    }
    return at;
}

/* Runs over in, of which first octets arrive at first, then step octets at a time. The caller ends run->events. */
static inline void frame_run_over(struct frame_run *run, struct imapstate_span in, size_t first, size_t step)
{
    struct imapstate_frame frame;
    imapstate_frame_init(&frame, run->side);
    if (*run->script == 'l') {
        imapstate_frame_take_bare_lf(&frame);
        run->script++;
    }
    imapstate_buf_init(&run->events, SIZE_MAX);
    size_t at = 0, arrived = first < in.len ? first : in.len;
    for (;;) {
        at += frame_run_arrived(run, &frame, in.at + at, arrived - at);
        if (arrived == in.len || run->is_stopped)
            break;
        arrived = step < in.len - arrived ? arrived + step : in.len;
    }
    frame_run_flush_literal(run);
    enum imapstate_error error = imapstate_frame_error(&frame);
    if (error != IMAPSTATE_OK) {
        frame_run_require(imapstate_buf_printf(&run->events, "BAD:%s", frame_run_error_name(error)));
        return;
    }
    /* A line that is not whole is no event, even if some of it was passed: what counts is where it begins. */
    bool is_between = run->line_len > 0 ? run->line_begins : imapstate_frame_is_between(&frame);
    frame_run_require(imapstate_buf_printf(&run->events, "%s", is_between ? "." : "-"));
    size_t left = in.len - at + run->line_len;
    if (left > 0)
        frame_run_require(imapstate_buf_printf(&run->events, "+%zu", left));
}

#endif
