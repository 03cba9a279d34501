#include "upstreamcounters.h"

#include <string.h>

/* Longer ones are cut. */
#define PLACE_NAME_MAX 512u

const char *const upstream_stage_names[UPSTREAM_STAGE_COUNT] = {
    [UPSTREAM_WAITS] = "waiting",      [UPSTREAM_OPENING] = "opening",  [UPSTREAM_IN_LOGIN] = "login",
    [UPSTREAM_IN_SESSION] = "session", [UPSTREAM_SETTLES] = "settling", [UPSTREAM_LEAVES] = "leaving",
};

const char *const upstream_failure_names[UPSTREAM_FAILURE_COUNT] = {
    [UPSTREAM_FAILED_NAME] = "name",
    [UPSTREAM_FAILED_CONNECT] = "connect",
    [UPSTREAM_FAILED_TIMEOUT] = "timeout",
    [UPSTREAM_FAILED_CLOSED] = "closed",
    [UPSTREAM_FAILED_BYE] = "bye",
    [UPSTREAM_FAILED_TLS] = "tls",
    [UPSTREAM_FAILED_CERTIFICATE] = "certificate",
    [UPSTREAM_FAILED_STARTTLS] = "starttls",
    [UPSTREAM_FAILED_PROTOCOL] = "protocol",
    [UPSTREAM_FAILED_RESOURCES] = "resources",
    [UPSTREAM_FAILED_ANSWER] = "answer",
    [UPSTREAM_FAILED_LOST] = "lost",
};

const char *const upstream_unparked_names[UPSTREAM_UNPARKED_COUNT] = {
    [UPSTREAM_UNPARKED_OFF] = "off",
    [UPSTREAM_UNPARKED_PROOF] = "proof",
    [UPSTREAM_UNPARKED_ENDED] = "ended",
    [UPSTREAM_UNPARKED_STOP] = "stop",
    [UPSTREAM_UNPARKED_DOUBT] = "doubt",
    [UPSTREAM_UNPARKED_STATE] = "state",
    [UPSTREAM_UNPARKED_BUSY] = "busy",
    [UPSTREAM_UNPARKED_NOBODY] = "nobody",
    [UPSTREAM_UNPARKED_FAILED] = "failed",
    [UPSTREAM_UNPARKED_LIFETIME] = "lifetime",
    [UPSTREAM_UNPARKED_REAUTH] = "reauth_interval",
    [UPSTREAM_UNPARKED_REFUSED] = "refused",
    [UPSTREAM_UNPARKED_PER_USER] = "per_user",
    [UPSTREAM_UNPARKED_MAX] = "max",
    [UPSTREAM_UNPARKED_CROWDED] = "crowded",
    [UPSTREAM_UNPARKED_MOVED] = "moved",
    [UPSTREAM_UNPARKED_CONFIG] = "configuration",
    [UPSTREAM_UNPARKED_DOWN] = "down",
};

void upstream_counters_init(struct upstream_counters *counters)
{
    *counters = (struct upstream_counters){ 0 };
    rows_init(&counters->places, sizeof(struct upstream_place), &counters->other_places.row);
}

void upstream_counters_done(struct upstream_counters *counters)
{
    rows_done(&counters->places);
}

struct upstream_place *upstream_counters_place(struct upstream_counters *counters, const char *upstream,
                                               const char *address)
{
    char name[PLACE_NAME_MAX];
    size_t upstream_len = strnlen(upstream, sizeof name / 2), room = sizeof name - upstream_len - 1;
    size_t address_len = strnlen(address, room);
    memcpy(name, upstream, upstream_len);
    name[upstream_len] = '\0';
    memcpy(name + upstream_len + 1, address, address_len);
    struct imapstate_span span = { (const uint8_t *)name, upstream_len + 1 + address_len };
    return (struct upstream_place *)rows_have(&counters->places, span);
}

const char *upstream_place_upstream(const struct upstream_place *place)
{
    return (const char *)place->row.name.at;
}

const char *upstream_place_address(const struct upstream_place *place)
{
    const char *upstream = upstream_place_upstream(place);
    return upstream + strlen(upstream) + 1;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void upstream_place_add(struct row *row, const struct row *from_row)
{
    struct upstream_place *into = (struct upstream_place *)row;
    const struct upstream_place *from = (const struct upstream_place *)from_row;
    for (unsigned i = 0; i < UPSTREAM_STAGE_COUNT; i++)
        into->now[i] += from->now[i];
    for (unsigned i = 0; i < UPSTREAM_FAILURE_COUNT; i++)
        into->failures[i] += from->failures[i];
    into->sessions += from->sessions;
    into->woken_sessions += from->woken_sessions;
    histogram_add(&into->queued, &from->queued);
    into->queue_timeouts += from->queue_timeouts;
    into->queue_left += from->queue_left;
    histogram_add(&into->connect, &from->connect);
    into->good_at_ms = later(into->good_at_ms, from->good_at_ms);
    into->bad_at_ms = later(into->bad_at_ms, from->bad_at_ms);
}

void upstream_counters_add(struct upstream_counters *into, const struct upstream_counters *from)
{
    rows_add(&into->places, &from->places, upstream_place_add);
    into->parked += from->parked;
    for (unsigned i = 0; i < UPSTREAM_UNPARKED_COUNT; i++)
        into->unparked[i] += from->unparked[i];
}
