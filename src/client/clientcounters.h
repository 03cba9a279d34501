/* client_counters: what became of one loop's clients: by listener, by upstream, by reason. The loop's own thread writes
 * them; another one gets a copy that was made there. No user's name is in them. */
#ifndef CLIENT_CLIENTCOUNTERS_H
#define CLIENT_CLIENTCOUNTERS_H

#include <imapstate/error.h>
#include <stdint.h>

#include "histogram.h"
#include "rows.h"

/* Why a session ends, or a connection on which there was none. */
enum client_ending {
    CLIENT_ENDING_NONE, /* it goes on */
    CLIENT_ENDING_LOGOUT,
    CLIENT_ENDING_UNAUTHENTICATED,
    CLIENT_ENDING_DISCONNECTED,
    CLIENT_ENDING_LOST,
    CLIENT_ENDING_IDLE,
    CLIENT_ENDING_LOGIN_TIMEOUT,
    CLIENT_ENDING_LOGIN_FAILURES,
    CLIENT_ENDING_TLS,
    CLIENT_ENDING_PROXY,
    CLIENT_ENDING_ADDRESS,
    CLIENT_ENDING_LOOP,
    CLIENT_ENDING_PLACE,
    CLIENT_ENDING_INPUT_BEFORE_LOGIN,
    CLIENT_ENDING_FRAMING,
    CLIENT_ENDING_PACKING,
    CLIENT_ENDING_FLUSH,
    CLIENT_ENDING_SLOW,
    CLIENT_ENDING_NO_UPSTREAM,
    CLIENT_ENDING_UPSTREAM_CLOSED,
    CLIENT_ENDING_UPSTREAM_ODD,
    CLIENT_ENDING_RESTORE,
    CLIENT_ENDING_SHUTDOWN,
    CLIENT_ENDING_DRAINED,
    CLIENT_ENDING_KICKED,
    CLIENT_ENDING_MEMORY,
    CLIENT_ENDING_COUNT,
};
extern const char *const client_ending_words[CLIENT_ENDING_COUNT]; /* for the log as well */

/* What became of a client's login. Its log line has the word for each that has failed, and fail2ban reads that. Those
 * from LOGIN_REFUSED up to LOGIN_CANCELLED count for max_login_failures: a client could have them without end, and some
 * cost an upstream connection each. */
enum login_result {
    LOGIN_PARKED,   /* accepted by the proof of a parked connection */
    LOGIN_ACCEPTED, /* by the upstream */
    LOGIN_REFUSED,
    LOGIN_CANNOT,    /* not offered in this form */
    LOGIN_ACTING,    /* for another user, which the configuration does not allow */
    LOGIN_MALFORMED, /* cannot be read as credentials */
    LOGIN_CANCELLED, /* before there were any */
    LOGIN_CLEARTEXT,
    LOGIN_ABANDONED, /* the connection ended first */
    LOGIN_UNAVAILABLE,
    LOGIN_RESULT_COUNT,
};
extern const char *const login_result_names[LOGIN_RESULT_COUNT];

/* What a session found that came to need an upstream connection. */
enum choice_find {
    CHOICE_FOUND_WARM,     /* a parked one, in the state that its token has */
    CHOICE_FOUND_PRISTINE, /* a parked one in no state */
    CHOICE_FOUND_ANY,      /* imapproxy_compat: a parked one in whatever state */
    CHOICE_FOUND_NONE,     /* it was logged in to the upstream */
    CHOICE_FIND_COUNT,
};
extern const char *const choice_find_names[CHOICE_FIND_COUNT];

/* What became of a STATE with a token. */
enum restore_result {
    RESTORE_WARM,
    RESTORE_COLD,
    RESTORE_NOT_FRESH,   /* something else is on already (P7) */
    RESTORE_NO_LANGUAGE, /* it has one that is no longer offered */
    RESTORE_MALFORMED,   /* the token, or its version */
    RESTORE_KEY_UNKNOWN,
    RESTORE_FORGED,
    RESTORE_EXPIRED,
    RESTORE_FUTURE,
    RESTORE_REVOKED,
    RESTORE_OTHER_USER,
    RESTORE_OTHER_UPSTREAM,
    RESTORE_CHANGED, /* the epoch, or what the upstream offers */
    RESTORE_FAILED,  /* the upstream did not take the state, or was lost */
    RESTORE_NO_UPSTREAM,
    RESTORE_MEMORY,
    RESTORE_RESULT_COUNT,
};
extern const char *const restore_result_names[RESTORE_RESULT_COUNT];

/* A token that cannot be opened. */
enum restore_result restore_result_of(enum imapstate_error error);

/* Why somebody who has connected was turned away. */
enum clients_refusal {
    CLIENTS_REFUSED_NETWORK, /* not in trusted_networks */
    CLIENTS_REFUSED_MAX,     /* max_clients */
    CLIENTS_REFUSED_ADDRESS, /* max_clients_per_address */
    CLIENTS_REFUSED_NEWCOMERS,
    CLIENTS_REFUSED_DESCRIPTORS,
    CLIENTS_REFUSED_MEMORY,
    CLIENTS_REFUSAL_COUNT,
};
extern const char *const clients_refusal_names[CLIENTS_REFUSAL_COUNT];
extern const char *const clients_refusal_words[CLIENTS_REFUSAL_COUNT]; /* for the log */

/* The states of client.h in which somebody is connected: those before DEAD. */
#define CLIENT_COUNTED_STATES 7u
extern const char *const client_counted_names[CLIENT_COUNTED_STATES];

struct listener_counters {
    struct row row; /* its name: the listener's */
    uint64_t now[CLIENT_COUNTED_STATES];
    uint64_t accepted;
    uint64_t refused[CLIENTS_REFUSAL_COUNT];
};

struct login_counters {
    struct row row; /* its name: the upstream's */
    uint64_t results[LOGIN_RESULT_COUNT];
    uint64_t finds[CHOICE_FIND_COUNT];
    /* From the client's command to the answer, where it was accepted: by a parked connection, by the upstream. */
    struct histogram parked, accepted;
};

struct client_counters {
    struct rows listeners, upstreams;
    struct listener_counters other_listeners;
    struct login_counters other_upstreams;
    uint64_t endings[CLIENT_ENDING_COUNT];
    uint64_t restores[RESTORE_RESULT_COUNT];
    uint64_t saves; /* tokens */
};

void client_counters_init(struct client_counters *counters);
void client_counters_done(struct client_counters *counters);
void client_counters_add(struct client_counters *into, const struct client_counters *from);

/* Never NULL; they live as long as the counters. */
struct listener_counters *client_counters_listener(struct client_counters *counters, const char *listener);
struct login_counters *client_counters_upstream(struct client_counters *counters, const char *upstream);

#endif
