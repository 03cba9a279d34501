/* exchange: what is said in one session with a server, flight by flight, without the wire: octets that have come in,
 * and octets that are to go out. A flight is a write that waits for its answers.
 *
 * A function that returns false has set error; the exchange can then only be ended. */
#ifndef CTL_EXCHANGE_H
#define CTL_EXCHANGE_H

#include <imapstate/frame.h>
#include <imapstate/visit.h>

#include "transcript.h"

/* Commands in one flight. */
#define EXCHANGE_COMMANDS_MAX 8

enum exchange_status { EXCHANGE_PENDING, EXCHANGE_OK, EXCHANGE_NO, EXCHANGE_BAD };

struct exchange_command {
    char tag[16], name[16];
    enum exchange_status status;
};

struct exchange {
    struct transcript *transcript; /* borrowed */
    struct imapstate_visit *visit; /* owned; sees all commands and responses */
    struct imapstate_frame frame;
    struct imapstate_buf in,
        out; /* what has arrived and was not heard; the next flight. For the caller to fill and write */
    struct imapstate_buf names;    /* the last capability list; empty: none has come */
    struct imapstate_buf refusal;  /* the last NO, BAD or BYE, without its line end; empty: none has come */
    struct imapstate_buf question; /* what followed the last "+"; may be empty */
    struct exchange_command
        commands[EXCHANGE_COMMANDS_MAX]; /* of the last flight, or of the next one once it has any */
    size_t command_count;
    unsigned number;   /* of the last tag */
    bool has_greeting; /* the server has spoken */
    bool is_asked;     /* the server has said "+" in the last flight */
    const char *error; /* static; NULL: nothing has failed */
};

/* False if out of memory. exchange_done() ends it, even after a failure, and wipes. */
bool exchange_init(struct exchange *exchange, struct transcript *transcript);
void exchange_done(struct exchange *exchange);

/* Puts a command, without tag and line end, into the next flight. */
bool exchange_put(struct exchange *exchange, struct imapstate_span command);

/* The same for STATE, with the visit's token if it has one, and for SAVESTATE at now_s, in seconds since 1970. */
bool exchange_put_state(struct exchange *exchange);
bool exchange_put_savestate(struct exchange *exchange, uint64_t now_s);

/* Answers a "+": the line goes into the next flight, of which the unanswered command is the first. */
bool exchange_put_continuation(struct exchange *exchange, struct imapstate_span line);

/* All of out has been written: the answers are awaited. */
void exchange_begin_flight(struct exchange *exchange);

/* Reads what is in in, up to the end of the flight and no further: what follows the answer to STARTTLS must not be
 * looked at. The result is the same however the octets are split. */
bool exchange_hear(struct exchange *exchange);

/* Is the flight over? Each of its commands is answered, or the server has said "+". Before the first flight, the
 * greeting is awaited. */
bool exchange_is_over(const struct exchange *exchange);

/* The first command that waits for its answer, or NULL. */
const struct exchange_command *exchange_pending(const struct exchange *exchange);

/* Does the last capability list contain the word, in any case? */
bool exchange_offers(const struct exchange *exchange, const char *word);

/* How the command of that index in the last flight was answered. */
enum exchange_status exchange_status(const struct exchange *exchange, size_t index);

#endif
