/* prelude: what is known of an upstream before anyone logs in: its greeting's capability list, its full one, its answer
 * to ID. All clients are told of it, so it is learned only from connections that the gateway makes for just that
 * (scout.h): nothing that any client says, not even its address, has gone up on them. Shared by all workers,
 * kept by the upstream's name across reloads that leave it where it is.
 *
 * It is asked in rounds. While one goes on nobody begins another: one asks, all hear. A round always ends, and whoever
 * waits for it is told by loop_poke_all(). */
#ifndef UPSTREAM_PRELUDE_H
#define UPSTREAM_PRELUDE_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

/* How long a list may be shown to new clients before an upstream is asked again. */
#define PRELUDE_FRESH_MS 60000u

enum prelude_turn {
    PRELUDE_FRESH, /* the list is fresh: nobody needs to ask */
    PRELUDE_ASKED, /* somebody asks: wait for the end of *ret_round */
    PRELUDE_ASK,   /* the caller begins *ret_round, and ends it: prelude_end_round() */
};

/* A client has come. With memory out it is PRELUDE_ASKED, and prelude_round_has_ended() is true at once. */
enum prelude_turn prelude_take_turn(const char *upstream, uint64_t now_ms, uint32_t *ret_round);
bool prelude_round_has_ended(const char *upstream, uint32_t round);

/* What a round has learned. */
struct prelude_lesson {
    struct imapstate_span names;          /* empty: nothing, and what was known before stays */
    struct imapstate_span greeting_names; /* empty: the greeting had no list, or TLS was begun since */
    struct imapstate_span id;             /* the arguments of the ID response; empty: none that could be read */
    struct imapstate_span alerts;         /* alert.h */
};

/* What was learned by the round that is under way. */
void prelude_end_round(const char *upstream, const struct prelude_lesson *lesson, uint64_t now_ms);

/* The upstream is another server from here on: nothing is known of it, and a round that is under way asks the old one,
 * so that nothing is learned from that. */
void prelude_forget(const char *upstream);

/* Appends the full list to ret_names. False: none is known, or it does not fit. */
bool prelude_names(const char *upstream, struct imapstate_buf *ret_names);

/* The same, but only if it is fresh and the upstream that gave it greeted with this list, in whatever order: a greeting
 * often has a short one, and asking anew at every connection would cost a round trip. */
bool prelude_names_for_greeting(const char *upstream, struct imapstate_span greeting_names, uint64_t now_ms,
                                struct imapstate_buf *ret_names);

/* On a connection that serves a client the upstream has given these names. Others than are known: they are fresh no
 * more, and the next client has it asked. */
void prelude_compare(const char *upstream, struct imapstate_span names);

/* Appends the arguments of the ID response. False: none is known, or it does not fit. */
bool prelude_id(const char *upstream, struct imapstate_buf *ret_arguments);

/* Appends what the upstream has told whoever connects to it (alert.h). */
void prelude_alerts(const char *upstream, struct imapstate_buf *ret_alerts);

/* The upstream has ID, or has it not. True if it has not, and that is news. */
bool prelude_misses_id(const char *upstream, bool has_id);

/* Forgets everything, at the end. */
void prelude_done(void);

#endif
