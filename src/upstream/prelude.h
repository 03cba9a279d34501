/* prelude: what is known of a member of an upstream before anybody logs in: the capability list of its greeting, its
 * full list, its answer to ID. All clients are told (chorus.h), so it is only learned from connections that the gateway
 * makes for exactly that (scout.h): nothing that any client says, not even its address, has gone up on them. Shared by
 * all workers, and kept under the upstream's name and the member's text across reloads that leave the member where it
 * is. Members may be servers of different versions, which may even greet alike.
 *
 * It is asked for in rounds. While one is under way nobody begins another: one asks, and all are told. A round always
 * ends, and loop_poke_all() tells those who wait for it. */
#ifndef UPSTREAM_PRELUDE_H
#define UPSTREAM_PRELUDE_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

struct offers;

/* How long a list may be shown to new clients before a member is asked again. */
#define PRELUDE_FRESH_MS 60000u

enum prelude_turn {
    PRELUDE_FRESH, /* the list is fresh: nobody needs to ask */
    PRELUDE_ASKED, /* somebody is asking: wait for the end of *ret_round */
    PRELUDE_ASK,   /* the caller begins *ret_round, and ends it: prelude_end_round() */
};

/* Rounds of all members are numbered together, in the order in which they begin: whoever waits for several waits for
 * the last one's number. A client has come. If memory is out it is PRELUDE_ASKED, and prelude_round_has_ended() is true
 * at once. */
enum prelude_turn prelude_take_turn(const char *upstream, const char *member, uint64_t now_ms, uint32_t *ret_round);
/* True also while a later one is under way. */
bool prelude_round_has_ended(const char *upstream, const char *member, uint32_t round);

/* Was nothing learned by the last round that has ended? */
bool prelude_is_silent(const char *upstream, const char *member);

/* The round that is under way takes long. */
void prelude_stall(const char *upstream, const char *member);

/* Was nothing learned by the last round, or does the one that is under way take long? */
bool prelude_is_quiet(const char *upstream, const char *member);

/* Has it had nothing to say less than rest_ms ago, and is nobody asking it again? */
bool prelude_rests(const char *upstream, const char *member, uint64_t rest_ms, uint64_t now_ms);

/* What a round has learned. */
struct prelude_lesson {
    struct imapstate_span names;          /* empty: nothing was learned, and what was known before stays */
    struct imapstate_span greeting_names; /* empty: the greeting had no list, or TLS was begun after it */
    struct imapstate_span id;             /* the arguments of the ID response; empty: there was none that could be
                                           * read */
    struct imapstate_span alerts;         /* alert.h */
};

/* What was learned by the round that is under way. */
void prelude_end_round(const char *upstream, const char *member, const struct prelude_lesson *lesson, uint64_t now_ms);

/* From here on the member is another server: nothing is known of it, and nothing is learned from a round that is
 * under way, as that asks the old server. */
void prelude_forget(const char *upstream, const char *member);

/* The full list, counted. NULL: none is known. */
struct offers *prelude_offers(const char *upstream, const char *member);

/* The same, but only if it is fresh and the member greeted with this list, in any order: a greeting
 * often has a short list, and asking again on every connection would cost a round trip. */
struct offers *prelude_offers_for_greeting(const char *upstream, const char *member,
                                           struct imapstate_span greeting_names, uint64_t now_ms);

/* On a client's connection the member has sent these names. If they differ from what is known, that is no longer
 * fresh, and the next client causes it to be asked for again. */
void prelude_compare(const char *upstream, const char *member, struct imapstate_span names);

/* Appends the arguments of the ID response. False: none is known, or it does not fit. */
bool prelude_id(const char *upstream, const char *member, struct imapstate_buf *ret_arguments);

/* Appends what the member tells everybody who connects to it (alert.h). */
void prelude_alerts(const char *upstream, const char *member, struct imapstate_buf *ret_alerts);

/* The member has ID, or does not. True if it does not, and that is news. */
bool prelude_misses_id(const char *upstream, const char *member, bool has_id);

/* Something of its list is not shown to clients. True: that is news. */
bool prelude_hides(const char *upstream, const char *member);

/* Forgets everything, at the end. */
void prelude_done(void);

#endif
