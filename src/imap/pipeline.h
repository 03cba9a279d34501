/* pipeline: the commands that are in flight to an upstream, so that every tagged answer finds its command.
 *
 * Servers sometimes answer out of order, so answers are looked up by tag. A tag is in flight at most once: the relay
 * holds back a command whose tag is in use. */
#ifndef IMAP_PIPELINE_H
#define IMAP_PIPELINE_H

#include <imapstate/command.h>
#include <imapstate/span.h>

/* With more than this in flight the client waits: each flight costs memory, and is looked at in the search for a tag.
 * Octets are those of all flights together, including what they carry, as a tag may be as long as a line. */
#define PIPELINE_FLIGHTS_MAX 1024u
#define PIPELINE_OCTETS_MAX  (96u * 1024)

/* A command of the gateway's own has its tagged answer, which nobody else is told of. */
typedef void flight_answered(void *owner);

struct flight {
    struct flight *next;
    const struct imapstate_command *command; /* static */
    struct imapstate_buf arguments;          /* of a storable command, as sent (pipeline_capture()); else empty */
    struct imapstate_buf held;               /* its tagged answer, if it came before the client had sent the whole
                                              * command */
    bool is_capturing : 1;        /* arguments are being collected: the command is storable and has fitted so far */
    bool has_unasked_literal : 1; /* octets of a literal went up with it that the upstream had not asked for */
    bool is_ours : 1;             /* the gateway's own: pipeline->answered hears of its answer */
    bool is_answered : 1;         /* before all of it had gone up; the flight stays until the client has sent the
                                   * rest */
    bool is_too_large : 1;        /* storable, but its arguments did not fit */
    bool may_repeat : 1;     /* the part that has gone up may go up again: it cannot have run, or may run twice without
                              * harm */
    bool is_in_list : 1;     /* in a list of CATENATE, after the literal that is under way (append.h) */
    bool is_behind_done : 1; /* an IDLE was ended before it, and nothing has shown yet that the upstream has noticed */
    uint16_t tag_len;
    uint8_t tag[];
};

struct pipeline {
    struct flight *first, *last; /* owned, in the order sent */
    flight_answered *answered;   /* of the one that is ours: there is one at most */
    uint32_t octets;             /* held by all of them, except one answer that may be held */
    uint16_t count;
    bool holds_back; /* a command waits until one in flight is answered: pipeline_remove() ends that */
};

void pipeline_done(struct pipeline *pipeline);

/* May a command that carries this many octets be added? If the pipeline is empty it always may: what waits must be able
 * to go once everything before it is answered. */
bool pipeline_has_room(const struct pipeline *pipeline, size_t octets);

/* Adds a command at the end; the pipeline owns the flight. NULL if out of memory. */
struct flight *pipeline_push(struct pipeline *pipeline, const struct imapstate_command *command,
                             struct imapstate_span tag);

/* More of the arguments of a flight that is capturing. If they become too large they are dropped. */
void pipeline_capture(struct pipeline *pipeline, struct flight *flight, struct imapstate_span octets);
/* The flight with this tag that has not been answered; NULL if there is none. */
struct flight *pipeline_find(const struct pipeline *pipeline, struct imapstate_span tag);

/* Takes it out; the caller frees it with flight_free(). */
void pipeline_remove(struct pipeline *pipeline, struct flight *flight);

/* Takes out the flight with this tag; NULL if there is none. The caller frees it with flight_free(). */
struct flight *pipeline_take(struct pipeline *pipeline, struct imapstate_span tag);
void flight_free(struct flight *flight);

bool pipeline_has_tag(const struct pipeline *pipeline, struct imapstate_span tag);
bool pipeline_has_unasked_literal(const struct pipeline *pipeline);
bool pipeline_has_command(const struct pipeline *pipeline, const struct imapstate_command *command);

#endif
