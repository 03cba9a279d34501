/* exchange: what is said in one session with a server, flight by flight, without the wire: octets that have come in,
 * octets that are to go out. A flight is a write that waits for its answers.
 *
 * A function that returns false has set error; the exchange is of no use then, but to be ended. */
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
    struct imapstate_buf names;    /* the capability list that came last; empty: none has come */
    struct imapstate_buf refusal;  /* the last NO, BAD or BYE, without line end; empty: none has come */
    struct imapstate_buf question; /* what was behind the last "+"; may be empty */
    struct exchange_command
        commands[EXCHANGE_COMMANDS_MAX]; /* of the last flight, or of the next one once it has any */
    size_t command_count;
    unsigned number;   /* of the last tag */
    bool has_greeting; /* the server has spoken */
    bool is_asked;     /* the server has said "+" in the last flight */
    const char *error; /* static; NULL: nothing has failed */
};

/* False if memory is out. exchange_done() ends it, after a failure too, and wipes. */
bool exchange_init(struct exchange *exchange, struct transcript *transcript);
void exchange_done(struct exchange *exchange);

/* Puts a command, without tag and line end, into the next flight. */
bool exchange_put(struct exchange *exchange, struct imapstate_span command);

/* The same for STATE, with the visit's token if it has one, and for SAVESTATE at now_s, in seconds since 1970. */
bool exchange_put_state(struct exchange *exchange);
bool exchange_put_savestate(struct exchange *exchange, uint64_t now_s);

/* Answers a "+": the line goes into the next flight, and the command that is not answered yet is its first. */
bool exchange_put_continuation(struct exchange *exchange, struct imapstate_span line);

/* All of out has been written: its answers are waited for. */
void exchange_begin_flight(struct exchange *exchange);

/* Hears what is in in, up to the end of the flight and no further: what is behind the answer to STARTTLS must not be
 * looked at. Cut wherever it may be, octets of the same sequence are heard alike. */
bool exchange_hear(struct exchange *exchange);

/* Is the flight over? Each of its commands is answered, or the server has said "+". Before the first it is the greeting
 * that is waited for. */
bool exchange_is_over(const struct exchange *exchange);

/* The first command that waits for its answer, or NULL. */
const struct exchange_command *exchange_pending(const struct exchange *exchange);

/* Is the word in the capability list that came last? In any case. */
bool exchange_offers(const struct exchange *exchange, const char *word);

/* How the command of that index in the last flight was answered. */
enum exchange_status exchange_status(const struct exchange *exchange, size_t index);

#endif
