/* frame: where commands, responses and literals begin and end (RFC 9051 sections 2.2, 4.3, 9; RFC 7888; RFC 3516).
 *
 * One frame follows one direction of one connection. It holds no octets: the caller keeps what has arrived and
 * has not been consumed, and offers it again together with what arrives later. It stops at any octet; cutting the
 * input elsewhere changes which pieces come out, never what they add up to. Literal octets are counted, not looked at.
 *
 * A proxy and a server that disagree about where a command ends is a security hole. So whatever could be read in
 * two ways is an error (IMAPSTATE_FRAME_BAD), after which the frame must not be used and the connection is ended. */
#ifndef IMAPSTATE_FRAME_H
#define IMAPSTATE_FRAME_H

#include <imapstate/error.h>
#include <imapstate/span.h>

/* Octets in a line, its end included. RFC 7162 section 4 asks for 8,192; Dovecot takes 65,537. */
#define IMAPSTATE_LINE_MAX 65536u
/* Octets in a literal: 32 bits, as RFC 9051 section 9 has it for "number". */
#define IMAPSTATE_LITERAL_MAX UINT32_MAX

enum imapstate_frame_side {
    IMAPSTATE_FRAME_COMMANDS,  /* what a client sends */
    IMAPSTATE_FRAME_RESPONSES, /* what a server sends */
};

enum imapstate_frame_result {
    IMAPSTATE_FRAME_MORE,    /* the octets given do not finish a piece: nothing was consumed, come back with more */
    IMAPSTATE_FRAME_LINE,    /* ret_piece is a line, its end included */
    IMAPSTATE_FRAME_LITERAL, /* ret_piece is some or all of the octets of a literal that are still to come */
    IMAPSTATE_FRAME_WAIT,    /* commands only: a synchronizing literal was announced, and the server has not decided */
    IMAPSTATE_FRAME_BAD,     /* imapstate_frame_error() tells why */
};

struct imapstate_literal {
    bool announced;     /* the line ends in {n}, {n+}, ~{n} or ~{n+} */
    bool synchronizing; /* {n} or ~{n}: in a command the server's "+" or tagged answer decides whether it comes */
    bool binary;        /* ~{n}: RFC 3516 literal8 */
    uint32_t octets;
};

struct imapstate_piece {
    struct imapstate_span octets; /* the first octets of the input, consumed by this call; borrowed from the caller */
    bool begins;                  /* first piece of its command or response */
    bool ends;                    /* last piece of it. A line that announces a synchronizing literal in a command does
                                   * not end it: if the server refuses, imapstate_frame_literal_refused() does. */
    bool is_text;                 /* responses: a status response (OK NO BAD BYE PREAUTH, tagged or not) or "+": human
                                   * text may follow, and a {12} at its end announces nothing */
    bool is_continuation;         /* commands: asked for by imapstate_frame_expect_continuation() */
    bool is_bare_lf;              /* commands: the line ends in LF alone. Whoever passes it on ends it with CRLF, so
                                   * that nobody behind can read it otherwise. */
    bool has_nul;                 /* commands: the line has a NUL. Never passed on; see docs/protocol.md, Framing. */
    struct imapstate_literal literal; /* announced by this line */
};

/* The fields are the frame's own; use the functions. */
struct imapstate_frame {
    uint64_t literal_left; /* octets of the current literal still to come */
    size_t scanned;        /* octets at the start of the unconsumed input that hold no LF */
    uint32_t literal_octets;
    uint8_t side;     /* enum imapstate_frame_side */
    uint8_t at;       /* where in the grammar: see frame.c */
    uint8_t error;    /* enum imapstate_error */
    uint8_t flags;    /* see frame.c */
    uint8_t tail_len; /* responses: the last octets of a line that was passed in parts */
    uint8_t tail[16];
};

IMAPSTATE_API void imapstate_frame_init(struct imapstate_frame *frame, enum imapstate_frame_side side);

/* Looks at the front of in, the octets that have arrived and were not consumed, and takes one piece off it.
 * ret_piece is written for LINE and LITERAL. The caller then goes on behind ret_piece->octets.
 * Between two calls without consumption, in may only grow at its end. With more than IMAPSTATE_LINE_MAX octets and no
 * line end, BAD. */
IMAPSTATE_API enum imapstate_frame_result imapstate_frame_next(struct imapstate_frame *frame, struct imapstate_span in,
                                                               struct imapstate_piece *ret_piece);

/* Responses, after MORE: consumes the part of a line that is there, so that long data (SEARCH, ENVELOPE) need not be
 * held and has no limit. False, with nothing consumed, if there is nothing to pass, if the line is or may become
 * one with human text (is_text), or if the line's first two words are not all there yet. ret_piece->ends is false. */
IMAPSTATE_API bool imapstate_frame_pass(struct imapstate_frame *frame, struct imapstate_span in,
                                        struct imapstate_piece *ret_piece);

/* Responses, after MORE: the first octets of a line that imapstate_frame_pass() would pass, up to the second word
 * at least ("* CAPABILITY"), tell the caller whether it wants to hold the line instead. This is that question
 * answered for the frame: true once the first two words of the line are there and it is not text. */
IMAPSTATE_API bool imapstate_frame_is_passable(const struct imapstate_frame *frame, struct imapstate_span in);

/* Commands, after a line that announced a synchronizing literal: the server said "+", so the octets come. */
IMAPSTATE_API void imapstate_frame_literal_go(struct imapstate_frame *frame);

/* Commands, likewise: the server answered the tag instead. There was no literal; what follows is a new command. */
IMAPSTATE_API void imapstate_frame_literal_refused(struct imapstate_frame *frame);

/* Commands: the next line is none, but belongs to AUTHENTICATE (RFC 9051 section 6.2.2) or is IDLE's DONE (section
 * 6.3.13): no tag, no literal, no quoted string in it. Holds for one line. Only between commands. */
IMAPSTATE_API void imapstate_frame_expect_continuation(struct imapstate_frame *frame);

/* Is the last consumed octet the end of a command or response (or nothing was consumed ever)? A line that is there
 * in part but was not consumed does not count: the caller holds it. */
IMAPSTATE_API bool imapstate_frame_is_between(const struct imapstate_frame *frame);

/* Why BAD; IMAPSTATE_OK before. */
IMAPSTATE_API enum imapstate_error imapstate_frame_error(const struct imapstate_frame *frame);

#endif
