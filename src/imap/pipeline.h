/* pipeline: the commands that are in flight to an upstream, so that every tagged answer finds its command.
 *
 * Servers answer out of order at times, so answers are looked up by tag. A tag is in flight once at most: the relay
 * holds back a command whose tag is. */
#ifndef IMAP_PIPELINE_H
#define IMAP_PIPELINE_H

#include <imapstate/command.h>
#include <imapstate/span.h>

/* More than this in flight, and the client waits: each costs memory, and is looked at when a tag is searched. Octets
 * are those of all flights together, what they carry included, as a tag may be as long as a line. */
#define PIPELINE_FLIGHTS_MAX 1024u
#define PIPELINE_OCTETS_MAX  (96u * 1024)

/* A command of the gateway's own has its tagged answer, which nobody else is told of. */
typedef void flight_answered(void *owner);

struct flight {
    struct flight *next;
    const struct imapstate_command *command; /* static */
    struct imapstate_buf arguments;          /* of a storable command, as sent; else empty: pipeline_capture() */
    struct imapstate_buf held;               /* its tagged answer, which came before the client had sent all of it */
    bool is_capturing : 1;        /* arguments are being collected: the command is storable and has fitted so far */
    bool has_unasked_literal : 1; /* octets of a literal went up with it that the upstream had not asked for */
    bool is_ours : 1;             /* the gateway's own: pipeline->answered hears of its answer */
    bool is_answered : 1;         /* before all of it had gone up; it stays until the client has sent the rest */
    bool is_too_large : 1;        /* storable, but its arguments did not fit */
    bool may_repeat : 1; /* what of it has gone up may go up again: it cannot have run, or runs twice without harm */
    bool is_in_list : 1; /* of CATENATE, behind the literal that is under way: append.h */
    bool is_behind_done : 1; /* an IDLE was ended before it, and nothing has shown yet that the upstream knows */
    uint16_t tag_len;
    uint8_t tag[];
};

struct pipeline {
    struct flight *first, *last; /* owned, in the order sent */
    flight_answered *answered;   /* of the one that is ours: there is one at most */
    uint32_t octets;             /* that they all hold, but for one answer that may be held */
    uint16_t count;
    bool holds_back; /* a command waits until one in flight is answered: pipeline_remove() ends that */
};

void pipeline_done(struct pipeline *pipeline);

/* May a command that carries so many octets be added? The only one may always, whatever it carries: what waits must be
 * able to go once all before it is answered. */
bool pipeline_has_room(const struct pipeline *pipeline, size_t octets);

/* Adds a command at the end; the flight is the pipeline's. NULL if memory is out. */
struct flight *pipeline_push(struct pipeline *pipeline, const struct imapstate_command *command,
                             struct imapstate_span tag);

/* More of the arguments of a flight that is capturing. They are given up if they are too large. */
void pipeline_capture(struct pipeline *pipeline, struct flight *flight, struct imapstate_span octets);
/* The flight with this tag that has not been answered; NULL if there is none. */
struct flight *pipeline_find(const struct pipeline *pipeline, struct imapstate_span tag);

/* Takes it out; the caller frees it by flight_free(). */
void pipeline_remove(struct pipeline *pipeline, struct flight *flight);

/* Takes the flight with this tag out; NULL if there is none. The caller frees it by flight_free(). */
struct flight *pipeline_take(struct pipeline *pipeline, struct imapstate_span tag);
void flight_free(struct flight *flight);

bool pipeline_has_tag(const struct pipeline *pipeline, struct imapstate_span tag);
bool pipeline_has_unasked_literal(const struct pipeline *pipeline);
bool pipeline_has_command(const struct pipeline *pipeline, const struct imapstate_command *command);

#endif
