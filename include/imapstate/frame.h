/* frame: where commands, responses and literals begin and end (RFC 9051 sections 2.2, 4.3, 9; RFC 7888; RFC 3516).
 *
 * One frame follows one direction of one connection. It holds no octets: the caller keeps what has arrived but has not
 * been consumed, and offers it again together with what arrives later. It can stop at any octet. Cutting the input
 * elsewhere changes which pieces come out, never what they add up to. Literal octets are counted, not looked at.
 *
 * If a proxy and a server disagree about where a command ends, that is a security hole. So anything that could be read
 * in two ways is an error (IMAPSTATE_FRAME_BAD), after which the frame must not be used and the connection is ended.
 * docs/framing.md says what is refused and why.
 *
 * Threads: a frame is for one at a time.
 *
 *     START -> WAIT (commands: {n}) -> LITERAL -> REST -> START      WAIT -> START: the server refused the literal
 *     START, REST -> OVERLONG (commands) -> as behind a line     START -> CONTINUATION -> START     any -> BAD */
#ifndef IMAPSTATE_FRAME_H
#define IMAPSTATE_FRAME_H

#include <imapstate/api.h>
#include <imapstate/error.h>
#include <imapstate/span.h>

IMAPSTATE_BEGIN

/* Octets in a line, including its end. RFC 7162 section 4 asks for 8,192; Dovecot accepts 65,537. */
#define IMAPSTATE_LINE_MAX 65536u
/* Octets in a literal: 32 bits, as in "number" of RFC 9051 section 9. */
#define IMAPSTATE_LITERAL_MAX UINT32_MAX

enum imapstate_frame_side {
    IMAPSTATE_FRAME_COMMANDS,  /* what a client sends */
    IMAPSTATE_FRAME_RESPONSES, /* what a server sends */
};

enum imapstate_frame_result {
    IMAPSTATE_FRAME_MORE,    /* the octets given do not complete a piece: nothing was consumed, call again with more */
    IMAPSTATE_FRAME_LINE,    /* ret_piece is a line, including its end */
    IMAPSTATE_FRAME_LITERAL, /* ret_piece is some or all of the remaining octets of a literal */
    IMAPSTATE_FRAME_WAIT,    /* commands only: a synchronizing literal was announced, and the server has not decided */
    IMAPSTATE_FRAME_BAD,     /* imapstate_frame_error() says why; nothing was consumed */
};

struct imapstate_literal {
    bool announced;     /* the line ends in {n} or ~{n}; in a command also {n+} or ~{n+} */
    bool synchronizing; /* commands: {n} or ~{n}: the server's "+" or tagged answer decides whether it comes */
    bool binary;        /* ~{n}: RFC 3516 literal8 */
    uint32_t octets;    /* may be 0; then no LITERAL piece comes, but the line after it does */
};

struct imapstate_piece {
    struct imapstate_span octets; /* the first octets of the input, consumed by this call; borrowed from the caller */
    bool begins;                  /* first piece of its command or response */
    bool ends;                    /* last piece of it. A line that announces a literal does not end it; if the server
                                   * refuses a synchronizing one, imapstate_frame_literal_refused() does. */
    bool is_text;                 /* responses: a status response (OK NO BAD BYE PREAUTH, tagged or not) or "+": human
                                   * text may follow, and a {12} at its end announces nothing */
    bool is_continuation;         /* commands: expected by imapstate_frame_expect_continuation(); begins is false */
    bool is_bare_lf;              /* the line ends in LF alone. A caller that passes a command on ends it with CRLF, so
                                   * that nobody further on can read it differently. */
    bool has_nul;                 /* commands: the line contains a NUL. Never passed on; see docs/framing.md. */
    enum imapstate_error refused; /* commands: not OK: the line must be answered BAD and nothing of it passed on, but
                                   * where it ends is certain. LITERAL_TOO_LARGE: the synchronizing one that it
                                   * announces is. LINE_TOO_LONG: it comes in parts; octets need not end in LF, and then
                                   * ends is false and no literal is reported. Parts after the first do not begin. */
    struct imapstate_literal literal; /* announced by this line */
    uint64_t reserved[2];
};

/* The fields are the frame's own; use the functions. */
struct imapstate_frame {
    size_t scanned;        /* octets at the start of the unconsumed input that contain no LF */
    uint32_t literal_left; /* octets of the current literal still to come */
    uint8_t side;          /* enum imapstate_frame_side */
    uint8_t at;            /* where in the diagram above; see frame.c */
    uint8_t error;         /* enum imapstate_error */
    bool takes_bare_lf : 1;
    bool has_nul : 1;       /* the part of an overlong line that was consumed */
    bool is_quote_open : 1; /* after that part */
    uint32_t reserved[2];
};

IMAPSTATE_API void imapstate_frame_init(struct imapstate_frame *frame, enum imapstate_frame_side side);

/* Responses: from here on a line may end in LF alone, which is an error otherwise (RFC 9051 section 2.2). One that
 * announces a literal is still refused: a client that only accepts CRLF as the end would not see the literal. */
IMAPSTATE_API void imapstate_frame_take_bare_lf(struct imapstate_frame *frame);

/* Looks at the front of in, the octets that have arrived and were not consumed, and takes one piece off it. ret_piece
 * is written for LINE and LITERAL. The caller then continues after ret_piece->octets. Between two calls without
 * consumption, in may only grow at its end. A line that has no end within its first IMAPSTATE_LINE_MAX octets is
 * consumed in parts that are refused. It is BAD if it is a continuation line, or ends in more than 63 octets that
 * announce a literal; in responses, if it is not passable (see below). */
IMAPSTATE_API enum imapstate_frame_result imapstate_frame_next(struct imapstate_frame *frame, struct imapstate_span in,
                                                               struct imapstate_piece *ret_piece);

/* Responses, after MORE: consumes most of the part of a line that has arrived, so that long data (SEARCH, ENVELOPE)
 * need not be held and has no limit. It leaves a few octets, which may turn out to announce a literal. The rest of the
 * line comes from imapstate_frame_next() or from further calls, with begins false. ret_piece is a line with ends false.
 * Returns false, with nothing consumed, if the line is not passable or nothing can be passed yet. If there are only
 * digits, however many, nothing can be passed: a caller whose buffer is full then ends the connection. */
IMAPSTATE_API bool imapstate_frame_pass(struct imapstate_frame *frame, struct imapstate_span in,
                                        struct imapstate_piece *ret_piece);

/* Responses, after MORE: would imapstate_frame_pass() take some of this line? True once its first two words are there
 * ("* CAPABILITY") and it is not text; for text, only once IMAPSTATE_LINE_MAX octets of it are there; and for
 * everything after a literal. So the caller can look at the words and hold the line instead; then the limit is the
 * caller's. */
IMAPSTATE_API bool imapstate_frame_is_passable(const struct imapstate_frame *frame, struct imapstate_span in);

/* Commands, after a line that announced a synchronizing literal: the server said "+", so the octets come. Does nothing
 * elsewhere. */
IMAPSTATE_API void imapstate_frame_literal_go(struct imapstate_frame *frame);

/* Commands, in the same place: the server answered the tag instead. There was no literal; what follows is a new
 * command. */
IMAPSTATE_API void imapstate_frame_literal_refused(struct imapstate_frame *frame);

/* Commands: the next line is not a command, but belongs to AUTHENTICATE (RFC 9051 section 6.2.2) or is IDLE's DONE
 * (section 6.3.13): it has no tag, no literal and no quoted string. Holds for one line. Only between commands; does
 * nothing elsewhere. */
IMAPSTATE_API void imapstate_frame_expect_continuation(struct imapstate_frame *frame);

/* Takes that back, as long as the line has not come: the server answered the tag, so a command comes next. */
IMAPSTATE_API void imapstate_frame_expect_command(struct imapstate_frame *frame);

/* Is the last consumed octet the end of a command or response (or was nothing consumed yet), and is no continuation
 * expected? A partial line that was not consumed does not count: the caller holds it. */
IMAPSTATE_API bool imapstate_frame_is_between(const struct imapstate_frame *frame);

/* The reason for BAD; IMAPSTATE_OK before that. */
IMAPSTATE_API enum imapstate_error imapstate_frame_error(const struct imapstate_frame *frame);

IMAPSTATE_END

#endif
