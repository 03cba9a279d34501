#include "clientcounters.h"

const char *const client_ending_words[CLIENT_ENDING_COUNT] = {
    [CLIENT_ENDING_NONE] = "none",
    [CLIENT_ENDING_LOGOUT] = "logout",
    [CLIENT_ENDING_UNAUTHENTICATED] = "unauthenticated",
    [CLIENT_ENDING_DISCONNECTED] = "client disconnected",
    [CLIENT_ENDING_LOST] = "client lost",
    [CLIENT_ENDING_IDLE] = "idle timeout",
    [CLIENT_ENDING_LOGIN_TIMEOUT] = "login timeout",
    [CLIENT_ENDING_LOGIN_FAILURES] = "too many failed logins",
    [CLIENT_ENDING_TLS] = "TLS handshake failed",
    [CLIENT_ENDING_PROXY] = "PROXY header missing or damaged",
    [CLIENT_ENDING_ADDRESS] = "too many connections from this address",
    [CLIENT_ENDING_LOOP] = "x-proxy-ttl is used up",
    [CLIENT_ENDING_PLACE] = "gives its place to another client",
    [CLIENT_ENDING_INPUT_BEFORE_LOGIN] = "too much input before login",
    [CLIENT_ENDING_FRAMING] = "input that cannot be framed",
    [CLIENT_ENDING_PACKING] = "input that cannot be unpacked",
    [CLIENT_ENDING_FLUSH] = "UNAUTHENTICATE without a flush",
    [CLIENT_ENDING_SLOW] = "slow reader before STARTTLS",
    [CLIENT_ENDING_NO_UPSTREAM] = "no upstream connection",
    [CLIENT_ENDING_UPSTREAM_CLOSED] = "upstream closed",
    [CLIENT_ENDING_UPSTREAM_ODD] = "answer that cannot be matched",
    [CLIENT_ENDING_RESTORE] = "restore failed",
    [CLIENT_ENDING_SHUTDOWN] = "shutdown",
    [CLIENT_ENDING_DRAINED] = "drained",
    [CLIENT_ENDING_KICKED] = "ended by the operator",
    [CLIENT_ENDING_MEMORY] = "out of memory",
};

const char *const login_result_names[LOGIN_RESULT_COUNT] = {
    [LOGIN_PARKED] = "parked",           [LOGIN_ACCEPTED] = "accepted",   [LOGIN_REFUSED] = "refused",
    [LOGIN_CANNOT] = "cannot",           [LOGIN_ACTING] = "acting",       [LOGIN_MALFORMED] = "malformed",
    [LOGIN_CANCELLED] = "cancelled",     [LOGIN_CLEARTEXT] = "cleartext", [LOGIN_ABANDONED] = "abandoned",
    [LOGIN_UNAVAILABLE] = "unavailable",
};

const char *const choice_find_names[CHOICE_FIND_COUNT] = {
    [CHOICE_FOUND_WARM] = "warm",
    [CHOICE_FOUND_PRISTINE] = "pristine",
    [CHOICE_FOUND_ANY] = "any",
    [CHOICE_FOUND_NONE] = "miss",
};

const char *const restore_result_names[RESTORE_RESULT_COUNT] = {
    [RESTORE_WARM] = "warm",
    [RESTORE_COLD] = "cold",
    [RESTORE_NOT_FRESH] = "not_fresh",
    [RESTORE_NO_LANGUAGE] = "language",
    [RESTORE_MALFORMED] = "malformed",
    [RESTORE_KEY_UNKNOWN] = "key_unknown",
    [RESTORE_FORGED] = "forged",
    [RESTORE_EXPIRED] = "expired",
    [RESTORE_FUTURE] = "future",
    [RESTORE_REVOKED] = "revoked",
    [RESTORE_OTHER_USER] = "other_user",
    [RESTORE_OTHER_UPSTREAM] = "other_upstream",
    [RESTORE_CHANGED] = "changed",
    [RESTORE_FAILED] = "failed",
    [RESTORE_NO_UPSTREAM] = "no_upstream",
    [RESTORE_MEMORY] = "memory",
};

enum restore_result restore_result_of(enum imapstate_error error)
{
    switch (error) {
    case IMAPSTATE_NO_MEMORY:
        return RESTORE_MEMORY;
    case IMAPSTATE_NOT_PRISTINE:
        return RESTORE_NOT_FRESH;
    case IMAPSTATE_TOKEN_KEY_UNKNOWN:
        return RESTORE_KEY_UNKNOWN;
    case IMAPSTATE_TOKEN_FORGED:
        return RESTORE_FORGED;
    case IMAPSTATE_TOKEN_EXPIRED:
        return RESTORE_EXPIRED;
    case IMAPSTATE_NOT_YET_VALID:
        return RESTORE_FUTURE;
    case IMAPSTATE_TOKEN_REVOKED:
        return RESTORE_REVOKED;
    case IMAPSTATE_TOKEN_OTHER_USER:
        return RESTORE_OTHER_USER;
    case IMAPSTATE_TOKEN_OTHER_UPSTREAM:
        return RESTORE_OTHER_UPSTREAM;
    case IMAPSTATE_TOKEN_OTHER_FINGERPRINT:
        return RESTORE_CHANGED;
    default:
        return RESTORE_MALFORMED;
    }
}

const char *const clients_refusal_names[CLIENTS_REFUSAL_COUNT] = {
    [CLIENTS_REFUSED_NETWORK] = "trusted_networks",
    [CLIENTS_REFUSED_MAX] = "max_clients",
    [CLIENTS_REFUSED_ADDRESS] = "max_clients_per_address",
    [CLIENTS_REFUSED_NEWCOMERS] = "max_unauthenticated_per_address",
    [CLIENTS_REFUSED_DESCRIPTORS] = "descriptors",
    [CLIENTS_REFUSED_MEMORY] = "memory",
};

const char *const clients_refusal_words[CLIENTS_REFUSAL_COUNT] = {
    [CLIENTS_REFUSED_NETWORK] = "not in trusted_networks",
    [CLIENTS_REFUSED_MAX] = "max_clients is reached",
    [CLIENTS_REFUSED_ADDRESS] = "max_clients_per_address is reached",
    [CLIENTS_REFUSED_NEWCOMERS] = "max_unauthenticated_per_address is reached",
    [CLIENTS_REFUSED_DESCRIPTORS] = "out of file descriptors",
    [CLIENTS_REFUSED_MEMORY] = "out of memory",
};

const char *const client_counted_names[CLIENT_COUNTED_STATES] = {
    "proxying", "securing", "greeting", "not_authenticated", "logging_in", "authenticated", "closing",
};

/* --- rows --- */

void client_counters_init(struct client_counters *counters)
{
    *counters = (struct client_counters){ 0 };
    rows_init(&counters->listeners, sizeof(struct listener_counters), &counters->other_listeners.row);
    rows_init(&counters->upstreams, sizeof(struct login_counters), &counters->other_upstreams.row);
}

void client_counters_done(struct client_counters *counters)
{
    rows_done(&counters->listeners);
    rows_done(&counters->upstreams);
}

struct listener_counters *client_counters_listener(struct client_counters *counters, const char *listener)
{
    return (struct listener_counters *)rows_have(&counters->listeners, imapstate_span_of(listener));
}

struct login_counters *client_counters_upstream(struct client_counters *counters, const char *upstream)
{
    return (struct login_counters *)rows_have(&counters->upstreams, imapstate_span_of(upstream));
}

/* --- sums --- */

static void add_all(uint64_t *into, const uint64_t *from, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        into[i] += from[i];
}

static void listener_counters_add(struct row *row, const struct row *from_row)
{
    struct listener_counters *into = (struct listener_counters *)row;
    const struct listener_counters *from = (const struct listener_counters *)from_row;
    add_all(into->now, from->now, CLIENT_COUNTED_STATES);
    add_all(into->refused, from->refused, CLIENTS_REFUSAL_COUNT);
    into->accepted += from->accepted;
}

static void login_counters_add(struct row *row, const struct row *from_row)
{
    struct login_counters *into = (struct login_counters *)row;
    const struct login_counters *from = (const struct login_counters *)from_row;
    add_all(into->results, from->results, LOGIN_RESULT_COUNT);
    add_all(into->finds, from->finds, CHOICE_FIND_COUNT);
    histogram_add(&into->parked, &from->parked);
    histogram_add(&into->accepted, &from->accepted);
}

void client_counters_add(struct client_counters *into, const struct client_counters *from)
{
    rows_add(&into->listeners, &from->listeners, listener_counters_add);
    rows_add(&into->upstreams, &from->upstreams, login_counters_add);
    add_all(into->endings, from->endings, CLIENT_ENDING_COUNT);
    add_all(into->restores, from->restores, RESTORE_RESULT_COUNT);
    into->saves += from->saves;
}
