#include <imapstate/frame.h>

#include <string.h>

/* The diagram is in frame.h. */
enum frame_at {
    FRAME_AT_START,
    FRAME_AT_CONTINUATION,
    FRAME_AT_WAIT,
    FRAME_AT_LITERAL,
    FRAME_AT_REST, /* of a command or response: the line behind a literal, or what is left of a line passed in parts */
    FRAME_AT_TEXT, /* what is left of a line of text passed in parts: no literal is announced at its end */
    FRAME_AT_OVERLONG, /* what is left of a command's line that is too long to be kept */
    FRAME_AT_BAD,
};

/* What may announce a literal at the end of a line that is too long must be shorter. */
#define FRAME_TAIL_MAX 64u

_Static_assert(sizeof(struct imapstate_frame) <= 16 + sizeof(size_t), "every session has two frames, idle ones too");

void imapstate_frame_init(struct imapstate_frame *frame, enum imapstate_frame_side side)
{
    *frame = (struct imapstate_frame){ .side = (uint8_t)side, .at = FRAME_AT_START };
}

void imapstate_frame_take_bare_lf(struct imapstate_frame *frame)
{
    frame->takes_bare_lf = true;
}

enum imapstate_error imapstate_frame_error(const struct imapstate_frame *frame)
{
    return frame->error;
}

bool imapstate_frame_is_between(const struct imapstate_frame *frame)
{
    return frame->at == FRAME_AT_START;
}

static enum imapstate_frame_result frame_fail(struct imapstate_frame *frame, enum imapstate_error error)
{
    frame->at = FRAME_AT_BAD;
    frame->error = (uint8_t)error;
    return IMAPSTATE_FRAME_BAD;
}

static void frame_begin_literal(struct imapstate_frame *frame)
{
    frame->at = frame->literal_left ? FRAME_AT_LITERAL : FRAME_AT_REST;
}

void imapstate_frame_literal_go(struct imapstate_frame *frame)
{
    if (frame->at == FRAME_AT_WAIT)
        frame_begin_literal(frame);
}

void imapstate_frame_literal_refused(struct imapstate_frame *frame)
{
    if (frame->at == FRAME_AT_WAIT)
        frame->at = FRAME_AT_START;
}

void imapstate_frame_expect_continuation(struct imapstate_frame *frame)
{
    if (frame->side == IMAPSTATE_FRAME_COMMANDS && frame->at == FRAME_AT_START)
        frame->at = FRAME_AT_CONTINUATION;
}

void imapstate_frame_expect_command(struct imapstate_frame *frame)
{
    if (frame->at == FRAME_AT_CONTINUATION)
        frame->at = FRAME_AT_START;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* What stands at the end of a line's text: {n}, {n+}, ~{n}, ~{n+}. */
struct announcement {
    struct imapstate_literal literal;
    bool is_too_large;
    bool is_placed; /* SP or "(" stands before it, so that a string can begin here (RFC 9051 section 9) */
};

static struct announcement announcement_find(struct imapstate_span text)
{
    struct announcement none = { 0 }, found = { .literal = { .announced = true, .synchronizing = true } };
    size_t at = text.len;
    if (at == 0 || text.at[--at] != '}')
        return none;
    if (at > 0 && text.at[at - 1] == '+') {
        found.literal.synchronizing = false;
        at--;
    }
    size_t digits_end = at;
    while (at > 0 && is_digit(text.at[at - 1]))
        at--;
    if (at == digits_end || at == 0 || text.at[at - 1] != '{')
        return none;
    for (size_t i = at; i < digits_end; i++)
        if (__builtin_mul_overflow(found.literal.octets, 10u, &found.literal.octets) ||
            __builtin_add_overflow(found.literal.octets, (uint32_t)(text.at[i] - '0'), &found.literal.octets))
            found.is_too_large = true;
    at--;
    if (at > 0 && text.at[at - 1] == '~') {
        found.literal.binary = true;
        at--;
    }
    found.is_placed = at > 0 && (text.at[at - 1] == ' ' || text.at[at - 1] == '(');
    return found;
}

static struct imapstate_span text_without_blanks(struct imapstate_span text)
{
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

struct line_marks {
    bool has_cr, has_nul, is_quote_open;
    bool is_escaping; /* it ends in a backslash that may escape what follows */
};

/* before: what is known of the line up to text. */
static struct line_marks line_marks_find(struct imapstate_span text, struct line_marks before)
{
    struct line_marks marks = before;
    for (size_t i = 0; i < text.len; i++) {
        switch (text.at[i]) {
        case '\r':
            marks.has_cr = true;
            break;
        case '\0':
            marks.has_nul = true;
            break;
        case '"':
            marks.is_quote_open = !marks.is_quote_open;
            break;
        case '\\':
            /* Outside of a quoted string it is an ordinary octet (flags). A CR or NUL behind it is found all the same.
             */
            marks.is_escaping = marks.is_quote_open && i + 1 == text.len;
            if (marks.is_quote_open && i + 1 < text.len && (text.at[i + 1] == '"' || text.at[i + 1] == '\\'))
                i++;
            break;
        }
    }
    return marks;
}

/* The literal that a command's line announces, or why nothing can be read behind it. */
static enum imapstate_error command_announcement(struct imapstate_span text, bool has_nul,
                                                 struct imapstate_piece *piece)
{
    struct imapstate_span bare = text_without_blanks(text);
    struct announcement found = announcement_find(bare);
    bool is_at_end = bare.len == text.len, is_asking = is_at_end && found.literal.synchronizing;
    /* A server for which NUL ends a string sees no literal. */
    if (found.literal.announced && has_nul)
        return IMAPSTATE_NUL;
    if (found.is_too_large && !is_asking)
        return IMAPSTATE_LITERAL_TOO_LARGE;
    if (found.is_too_large) {
        /* Whoever asks does not send. */
        piece->refused = IMAPSTATE_LITERAL_TOO_LARGE;
        found.literal.octets = IMAPSTATE_LITERAL_MAX;
    }
    if (found.literal.announced && !found.literal.synchronizing && (!found.is_placed || !is_at_end))
        return IMAPSTATE_LITERAL_MISPLACED;
    if (is_at_end)
        piece->literal = found.literal;
    return IMAPSTATE_OK;
}

/* Judges a whole line from the client, or the end of one that is too long; text is without its end. */
static enum imapstate_error command_line_check(const struct imapstate_frame *frame, struct imapstate_span text,
                                               struct imapstate_piece *piece)
{
    struct line_marks before = { .has_nul = frame->has_nul, .is_quote_open = frame->is_quote_open };
    struct line_marks marks = line_marks_find(text, before);
    if (marks.has_cr)
        return IMAPSTATE_BARE_CR;
    if (frame->at == FRAME_AT_CONTINUATION) {
        piece->is_continuation = true;
        return marks.has_nul ? IMAPSTATE_NUL : IMAPSTATE_OK;
    }
    if (marks.is_quote_open)
        return IMAPSTATE_QUOTED_OPEN;
    piece->has_nul = marks.has_nul;
    return command_announcement(text, marks.has_nul, piece);
}

/* Is the word at the front of text, up to SP or the line end, one that begins a status response? */
static bool is_status_word(struct imapstate_span text)
{
    static const struct imapstate_span words[] = { { (const uint8_t *)"OK", 2 },
                                                   { (const uint8_t *)"NO", 2 },
                                                   { (const uint8_t *)"BAD", 3 },
                                                   { (const uint8_t *)"BYE", 3 },
                                                   { (const uint8_t *)"PREAUTH", 7 } };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = words[i].len;
        if (text.len > len && (text.at[len] == ' ' || text.at[len] == '\r') &&
            imapstate_span_equal_nocase((struct imapstate_span){ text.at, len }, words[i]))
            return true;
    }
    return false;
}

/* May the line, which begins a response and has at least its first two words, end in human text? All that is not
 * untagged is tagged or "+" (RFC 9051 section 7). */
static bool response_is_text(struct imapstate_span line)
{
    if (line.len < 2 || line.at[0] != '*' || line.at[1] != ' ')
        return true;
    /* Most lines by far: "* 12 FETCH ...". */
    if (line.len > 2 && is_digit(line.at[2]))
        return false;
    return is_status_word((struct imapstate_span){ line.at + 2, line.len - 2 });
}

/* Is the second word of an untagged response there as a whole, within the limit for a line? */
static bool response_has_words(struct imapstate_span line)
{
    if (line.len > IMAPSTATE_LINE_MAX)
        line.len = IMAPSTATE_LINE_MAX;
    if (line.len < 2 || line.at[0] != '*' || line.at[1] != ' ')
        return false;
    for (size_t i = 2; i < line.len; i++)
        if (line.at[i] == ' ' || line.at[i] == '\r')
            return true;
    return false;
}

/* Of text the words at its front are looked at, be the line there as a whole or too long for that. */
static bool response_may_begin(struct imapstate_span in)
{
    return response_is_text(in) ? in.len >= IMAPSTATE_LINE_MAX : response_has_words(in);
}

bool imapstate_frame_is_passable(const struct imapstate_frame *frame, struct imapstate_span in)
{
    if (frame->side != IMAPSTATE_FRAME_RESPONSES)
        return false;
    if (frame->at == FRAME_AT_REST || frame->at == FRAME_AT_TEXT)
        return true;
    return frame->at == FRAME_AT_START && response_may_begin(in);
}

/* Judges a whole line from the server; text is without its end. */
static enum imapstate_error response_line_check(const struct imapstate_frame *frame, struct imapstate_span line,
                                                struct imapstate_span text, struct imapstate_piece *piece)
{
    /* The server's lines end in CRLF (RFC 9051 section 2.2). A client might not take LF for an end. */
    if (piece->is_bare_lf && !frame->takes_bare_lf)
        return IMAPSTATE_BARE_LF;
    piece->is_text = frame->at == FRAME_AT_TEXT || (frame->at == FRAME_AT_START && response_is_text(line));
    if (piece->is_text)
        return IMAPSTATE_OK;
    struct announcement found = announcement_find(text);
    if (!found.literal.announced || !found.literal.synchronizing)
        return IMAPSTATE_OK;
    if (piece->is_bare_lf)
        return IMAPSTATE_BARE_LF;
    if (found.is_too_large)
        return IMAPSTATE_LITERAL_TOO_LARGE;
    if (!found.is_placed)
        return IMAPSTATE_LITERAL_MISPLACED;
    piece->literal = found.literal;
    piece->literal.synchronizing = false;
    return IMAPSTATE_OK;
}

/* Where the frame stands after a line. */
static void frame_line_done(struct imapstate_frame *frame, const struct imapstate_literal *literal)
{
    frame->scanned = 0;
    frame->has_nul = frame->is_quote_open = false;
    frame->literal_left = literal->octets;
    if (!literal->announced)
        frame->at = FRAME_AT_START;
    else if (literal->synchronizing)
        frame->at = FRAME_AT_WAIT;
    else
        frame_begin_literal(frame);
}

/* The octets at the end of part, which may be the end of a command's line, that may announce a literal, and the octet
 * before it. */
static size_t tail_len(struct imapstate_span part)
{
    struct imapstate_span bare = part;
    bare.len -= bare.len > 0 && bare.at[bare.len - 1] == '\r';
    bare = text_without_blanks(bare);
    bare.len -= bare.len > 0 && bare.at[bare.len - 1] == '}';
    bare.len -= bare.len > 0 && bare.at[bare.len - 1] == '+';
    while (bare.len > 0 && is_digit(bare.at[bare.len - 1]))
        bare.len--;
    bare.len -= bare.len > 0 && bare.at[bare.len - 1] == '{';
    bare.len -= bare.len > 0 && bare.at[bare.len - 1] == '~';
    bare.len -= bare.len > 0;
    return part.len - bare.len;
}

/* Not a continuation: what does not come whole there is no answer to what was asked. */
static bool frame_may_swallow(const struct imapstate_frame *frame)
{
    return frame->side == IMAPSTATE_FRAME_COMMANDS && frame->at != FRAME_AT_CONTINUATION;
}

/* The end of a line that is too long, for which the caller has seen LF. */
static enum imapstate_frame_result frame_end_overlong(struct imapstate_frame *frame, struct imapstate_piece *piece)
{
    struct imapstate_span line = piece->octets;
    piece->is_bare_lf = line.len < 2 || line.at[line.len - 2] != '\r';
    struct imapstate_span text = { line.at, line.len - (piece->is_bare_lf ? 1 : 2) };
    /* What announces a literal is here as a whole, unless it is so long that it was consumed in part. */
    if (tail_len(text) >= FRAME_TAIL_MAX)
        return frame_fail(frame, IMAPSTATE_LINE_TOO_LONG);
    enum imapstate_error error = command_line_check(frame, text, piece);
    if (error != IMAPSTATE_OK)
        return frame_fail(frame, error);
    piece->refused = IMAPSTATE_LINE_TOO_LONG;
    piece->ends = !piece->literal.announced;
    frame_line_done(frame, &piece->literal);
    return IMAPSTATE_FRAME_LINE;
}

/* A part of a command's line that is longer than a line may be, up to its LF if that is there. It is consumed but for
 * what may announce a literal, as that is the client's to send whatever becomes of the line. */
static enum imapstate_frame_result frame_next_overlong(struct imapstate_frame *frame, struct imapstate_span part,
                                                       struct imapstate_piece *ret_piece)
{
    struct imapstate_piece piece = { .octets = part, .begins = frame->at == FRAME_AT_START };
    enum imapstate_frame_result result = IMAPSTATE_FRAME_LINE;
    if (part.len > 0 && part.at[part.len - 1] == '\n') {
        result = frame_end_overlong(frame, &piece);
    } else {
        size_t tail = tail_len(part);
        piece.octets.len -= tail < FRAME_TAIL_MAX ? tail : FRAME_TAIL_MAX;
        struct line_marks before = { .has_nul = frame->has_nul, .is_quote_open = frame->is_quote_open };
        struct line_marks marks = line_marks_find(piece.octets, before);
        piece.octets.len -= marks.is_escaping;
        frame->scanned = part.len - piece.octets.len;
        if (piece.octets.len == 0)
            return IMAPSTATE_FRAME_MORE;
        if (marks.has_cr)
            return frame_fail(frame, IMAPSTATE_BARE_CR);
        frame->has_nul = marks.has_nul;
        frame->is_quote_open = marks.is_quote_open;
        frame->at = FRAME_AT_OVERLONG;
        piece.refused = IMAPSTATE_LINE_TOO_LONG;
    }
    if (result == IMAPSTATE_FRAME_LINE)
        *ret_piece = piece;
    return result;
}

static enum imapstate_frame_result frame_next_line(struct imapstate_frame *frame, struct imapstate_span in,
                                                   struct imapstate_piece *ret_piece)
{
    /* The scan goes on where it stopped: octets that arrive one by one must not cost their square. */
    const uint8_t *lf = in.len > frame->scanned ? memchr(in.at + frame->scanned, '\n', in.len - frame->scanned) : NULL;
    size_t len = lf ? (size_t)(lf - in.at) + 1 : in.len;
    bool is_too_long = lf ? len > IMAPSTATE_LINE_MAX : len >= IMAPSTATE_LINE_MAX;
    if (frame->at == FRAME_AT_OVERLONG || (is_too_long && frame_may_swallow(frame)))
        return frame_next_overlong(frame, (struct imapstate_span){ in.at, len }, ret_piece);
    if (is_too_long && !imapstate_frame_is_passable(frame, in))
        return frame_fail(frame, IMAPSTATE_LINE_TOO_LONG);
    if (!lf) {
        frame->scanned = in.len;
        return IMAPSTATE_FRAME_MORE;
    }
    bool has_cr = len > 1 && in.at[len - 2] == '\r';
    struct imapstate_span line = { in.at, len }, text = { in.at, len - 1 - has_cr };
    struct imapstate_piece piece = { .octets = line, .is_bare_lf = !has_cr, .begins = frame->at == FRAME_AT_START };
    enum imapstate_error error = frame->side == IMAPSTATE_FRAME_COMMANDS
                                     ? command_line_check(frame, text, &piece)
                                     : response_line_check(frame, line, text, &piece);
    if (error != IMAPSTATE_OK)
        return frame_fail(frame, error);
    piece.ends = !piece.literal.announced;
    frame_line_done(frame, &piece.literal);
    *ret_piece = piece;
    return IMAPSTATE_FRAME_LINE;
}

static enum imapstate_frame_result frame_next_literal(struct imapstate_frame *frame, struct imapstate_span in,
                                                      struct imapstate_piece *ret_piece)
{
    if (in.len == 0)
        return IMAPSTATE_FRAME_MORE;
    if (in.len > frame->literal_left)
        in.len = frame->literal_left;
    frame->literal_left -= (uint32_t)in.len;
    if (frame->literal_left == 0)
        frame->at = FRAME_AT_REST;
    *ret_piece = (struct imapstate_piece){ .octets = in };
    return IMAPSTATE_FRAME_LITERAL;
}

enum imapstate_frame_result imapstate_frame_next(struct imapstate_frame *frame, struct imapstate_span in,
                                                 struct imapstate_piece *ret_piece)
{
    switch ((enum frame_at)frame->at) {
    case FRAME_AT_BAD:
        return IMAPSTATE_FRAME_BAD;
    case FRAME_AT_WAIT:
        return IMAPSTATE_FRAME_WAIT;
    case FRAME_AT_LITERAL:
        return frame_next_literal(frame, in, ret_piece);
    case FRAME_AT_START:
    case FRAME_AT_CONTINUATION:
    case FRAME_AT_REST:
    case FRAME_AT_TEXT:
    case FRAME_AT_OVERLONG:
        break;
    }
    return frame_next_line(frame, in, ret_piece);
}

/* The octets at the front of a part of a line that cannot belong to an announcement at its end, nor be the octet
 * before it, which tells whether it is placed. */
static size_t passable_len(struct imapstate_span part)
{
    size_t len = part.len;
    if (len > 0 && part.at[len - 1] == '\r')
        len--;
    if (len > 0 && part.at[len - 1] == '}')
        len--;
    while (len > 0 && is_digit(part.at[len - 1]))
        len--;
    if (len > 0 && part.at[len - 1] == '{')
        len--;
    if (len > 0 && part.at[len - 1] == '~')
        len--;
    return len > 0 ? len - 1 : 0;
}

bool imapstate_frame_pass(struct imapstate_frame *frame, struct imapstate_span in, struct imapstate_piece *ret_piece)
{
    /* Octets that imapstate_frame_next() has not searched may hold the end of the line. */
    size_t len = in.len == frame->scanned ? passable_len(in) : 0;
    if (len == 0 || !imapstate_frame_is_passable(frame, in))
        return false;
    bool begins = frame->at == FRAME_AT_START, begins_text = begins && response_is_text(in);
    *ret_piece = (struct imapstate_piece){ .octets = { in.at, len }, .begins = begins, .is_text = begins_text };
    frame->at = begins_text || frame->at == FRAME_AT_TEXT ? FRAME_AT_TEXT : FRAME_AT_REST;
    frame->scanned -= len;
    return true;
}
