#include "overview.h"

#include <event2/buffer.h>
#include <imapstate/span.h>
#include <inttypes.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "clientcounters.h"
#include "config.h"
#include "figures.h"
#include "histogram.h"
#include "history.h"
#include "inherited.h"
#include "reach.h"
#include "service.h"
#include "upstreamcounters.h"

/* Over so many points a value is taken that would say little of one alone. */
#define LATENCY_POINTS 6u  /* a minute */
#define RECENT_POINTS  30u /* five minutes */
#define DIGITS         5u

/* --- JSON: whoever makes a value gives NULL if out of memory, and what it was to be part of is NULL then too --- */

static json_t *complete(json_t *made, int failed)
{
    if (made && !failed)
        return made;
    json_decref(made);
    return NULL;
}

/* JSON is UTF-8, and the path of a socket may be anything. */
static json_t *text(const char *words)
{
    json_t *made = json_string(words);
    if (made)
        return made;
    char readable[512];
    size_t len = 0;
    for (; words[len] && len < sizeof readable - 1; len++)
        readable[len] = (unsigned char)words[len] < 0x80 ? words[len] : '?';
    return json_stringn(readable, len);
}

static json_t *text_or_null(const char *words)
{
    return words ? text(words) : json_null();
}

static json_t *count(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *time_s(int64_t seconds)
{
    return json_integer((json_int_t)seconds);
}

static json_t *counts(const uint64_t *values, const char *const *names, size_t len)
{
    json_t *made = json_object();
    int failed = 0;
    for (size_t i = 0; i < len; i++)
        failed |= json_object_set_new(made, names[i], count(values[i]));
    return complete(made, failed);
}

static json_t *quantile_ms(const struct histogram *histogram, double share)
{
    uint64_t us;
    return histogram_quantile(histogram, share, &us) ? json_real((double)us / 1000) : json_null();
}

/* NULL of JSON: never. */
static json_t *age_s(const struct figures *figures, uint64_t at_ms)
{
    return at_ms ? json_integer((json_int_t)((figures->now_ms - at_ms) / 1000)) : json_null();
}

static uint64_t sum(const uint64_t *values, size_t len)
{
    uint64_t all = 0;
    for (size_t i = 0; i < len; i++)
        all += values[i];
    return all;
}

/* --- what figures tell --- */

static const struct listener_counters *next_listener(const struct listener_counters *row)
{
    return row->row.hh.next;
}

static const struct listener_counters *first_listener(const struct figures *figures)
{
    return (const struct listener_counters *)figures->clients.listeners.first;
}

static const struct upstream_place *first_place(const struct figures *figures)
{
    return (const struct upstream_place *)figures->upstreams.places.first;
}

static uint64_t clients_in(const struct figures *figures, enum client_state state)
{
    uint64_t all = figures->clients.other_listeners.now[state];
    for (const struct listener_counters *row = first_listener(figures); row; row = next_listener(row))
        all += row->now[state];
    return all;
}

static uint64_t clients_now(const struct figures *figures)
{
    uint64_t all = 0;
    for (enum client_state state = 0; state < CLIENT_COUNTED_STATES; state++)
        all += clients_in(figures, state);
    return all;
}

static uint64_t parked_now(const struct figures *figures)
{
    uint64_t all = figures->park.other_upstreams.parked;
    for (const struct row *row = figures->park.upstreams.first; row; row = row->hh.next)
        all += ((const struct park_row *)row)->parked;
    return all;
}

void overview_levels(const struct figures *figures, struct history_levels *ret_levels)
{
    ret_levels->sessions = clients_in(figures, CLIENT_AUTHENTICATED);
    ret_levels->parked = parked_now(figures);
}

static void add_logins(struct history_sums *sums, const struct login_counters *row)
{
    for (size_t i = 0; i < LOGIN_RESULT_COUNT; i++)
        sums->logins[i] += row->results[i];
    for (size_t i = 0; i < CHOICE_FIND_COUNT; i++)
        sums->takes[i] += row->finds[i];
    histogram_add(&sums->login[HISTORY_PARKED], &row->parked);
    histogram_add(&sums->login[HISTORY_UPSTREAM], &row->accepted);
}

void overview_sums(const struct figures *figures, struct history_sums *ret_sums)
{
    *ret_sums = (struct history_sums){
        .octets_in = figures->loops.octets[LOOP_ACCEPTED].in,
        .octets_out = figures->loops.octets[LOOP_ACCEPTED].out,
        .lag = figures->loops.lag,
    };
    for (const struct row *row = figures->clients.upstreams.first; row; row = row->hh.next)
        add_logins(ret_sums, (const struct login_counters *)row);
    add_logins(ret_sums, &figures->clients.other_upstreams);
}

/* --- now, and since the start --- */

static json_t *listener_row(const struct listener_counters *row)
{
    return json_pack("{so so so so}", "name", text((const char *)row->row.name.at), "clients",
                     count(sum(row->now, CLIENT_COUNTED_STATES)), "accepted", count(row->accepted), "refused",
                     count(sum(row->refused, CLIENTS_REFUSAL_COUNT)));
}

static json_t *listener_rows(const struct figures *figures)
{
    json_t *made = json_array();
    int failed = 0;
    for (const struct listener_counters *row = first_listener(figures); row; row = next_listener(row))
        failed |= json_array_append_new(made, listener_row(row));
    return complete(made, failed);
}

static json_t *place_row(const struct figures *figures, const char *upstream, const char *address,
                         const struct upstream_place *place)
{
    uint64_t waiting = place->now[UPSTREAM_WAITS]; /* nothing is connected for those */
    return json_pack("{so so so so so so so so so so}", "name", text(upstream), "address", text_or_null(address),
                     "connections", count(sum(place->now, UPSTREAM_STAGE_COUNT) - waiting), "waiting", count(waiting),
                     "sessions", count(place->sessions), "woken_sessions", count(place->woken_sessions), "failures",
                     counts(place->failures, upstream_failure_names, UPSTREAM_FAILURE_COUNT), "connect_ms",
                     quantile_ms(&place->connect, 0.5), "good_s", age_s(figures, place->good_at_ms), "bad_s",
                     age_s(figures, place->bad_at_ms));
}

static bool is_configured(const struct figures *figures, const char *upstream)
{
    const struct config *config = figures->standing->service->config;
    for (size_t i = 0; i < config->upstream_count; i++)
        if (strcmp(config->upstreams[i].name, upstream) == 0)
            return true;
    return false;
}

static bool has_place(const struct figures *figures, const char *upstream)
{
    for (const struct upstream_place *place = first_place(figures); place; place = place->row.hh.next)
        if (strcmp(upstream_place_upstream(place), upstream) == 0)
            return true;
    return false;
}

/* One that a reload has removed goes with its last connection; one that nobody has connected to has no address yet. */
static json_t *place_rows(const struct figures *figures)
{
    static const struct upstream_place unused;
    const struct config *config = figures->standing->service->config;
    json_t *made = json_array();
    int failed = 0;
    for (const struct upstream_place *place = first_place(figures); place; place = place->row.hh.next) {
        const char *upstream = upstream_place_upstream(place);
        if (is_configured(figures, upstream) || sum(place->now, UPSTREAM_STAGE_COUNT) > 0)
            failed |= json_array_append_new(made, place_row(figures, upstream, upstream_place_address(place), place));
    }
    for (size_t i = 0; i < config->upstream_count; i++)
        if (!has_place(figures, config->upstreams[i].name))
            failed |= json_array_append_new(made, place_row(figures, config->upstreams[i].name, NULL, &unused));
    return complete(made, failed);
}

static json_t *certificate_rows(const struct figures *figures)
{
    json_t *made = json_array();
    int failed = 0;
    for (size_t i = 0; i < figures->certificate_count; i++)
        failed |= json_array_append_new(made, json_pack("{so so}", "name", text(figures->certificates[i].listener),
                                                        "not_after_s", time_s(figures->certificates[i].not_after_s)));
    return complete(made, failed);
}

static json_t *sealing_key(const struct figures *figures)
{
    return figures->has_sealing_key ? json_sprintf("%08x", figures->sealing_key) : json_null();
}

static json_t *host(void)
{
    char name[256];
    if (gethostname(name, sizeof name) != 0)
        return json_null();
    name[sizeof name - 1] = 0;
    return text(name);
}

/* Why it cannot serve clients, as far as is known without asking the upstreams. */
static const char *not_ready(const struct figures *figures)
{
    const struct config *config = figures->standing->service->config;
    if (!figures->standing->is_listening)
        return "not all addresses are open";
    bool has_bad = false;
    for (size_t i = 0; i < config->upstream_count; i++) {
        enum reach reach = reach_of(&figures->upstreams, config->upstreams[i].name, NULL);
        if (reach == REACH_GOOD)
            return NULL;
        has_bad |= reach == REACH_BAD;
    }
    return has_bad ? "no upstream can be reached" : NULL;
}

static json_t *identity_part(const struct figures *figures, int64_t now_s)
{
    const struct standing *standing = figures->standing;
    return json_pack("{so so so so so}", "host", host(), "version", text(standing->version), "openssl",
                     text(OpenSSL_version(OPENSSL_VERSION_STRING)), "now_s", time_s(now_s), "started_s",
                     time_s(standing->started_s));
}

static json_t *state_part(const struct figures *figures)
{
    const struct standing *standing = figures->standing;
    return json_pack("{so so s{so so} so so so so}", "draining", json_boolean(*standing->is_draining), "not_ready",
                     text_or_null(not_ready(figures)), "reload", "at_s", time_s(standing->reloaded_s), "is_good",
                     json_boolean(!standing->has_failed), "sealing_key", sealing_key(figures), "epoch",
                     json_sprintf("%" PRIu64, standing->service->config->epoch), "suspended_accounts",
                     count(figures->park.suspended_accounts), "log_lines_lost", count(figures->log_lost));
}

static json_t *process_part(const struct figures *figures)
{
    return json_pack("{so so so s{so so}}", "threads", count(figures->worker_count), "threads_silent",
                     count(figures->late_count), "memory_octets", count(figures->resident_octets), "descriptors", "now",
                     count(figures->descriptors), "max", count(figures->descriptors_max));
}

static json_t *connections_part(const struct figures *figures)
{
    const struct config *config = figures->standing->service->config;
    return json_pack("{s{so so so} s{so so} so so so}", "clients", "now", count(clients_now(figures)), "sessions",
                     count(clients_in(figures, CLIENT_AUTHENTICATED)), "max", count(config->max_clients), "parked",
                     "now", count(parked_now(figures)), "max", count(config->park.per_user ? config->park.max : 0),
                     "listeners", listener_rows(figures), "upstreams", place_rows(figures), "certificates",
                     certificate_rows(figures));
}

static json_t *process_row(const struct inherited *inherited)
{
    static const char clients[] = "imapstate_clients";
    return json_pack("{so so so}", "process", text(inherited->process), "clients",
                     count(inherited_sum(inherited, clients, NULL)), "sessions",
                     count(inherited_sum(inherited, clients, "state=\"authenticated\"")));
}

/* Those that drain after this process has taken over. */
static json_t *predecessors_part(const struct inheritance *inheritance)
{
    static const struct inheritance none;
    const struct inheritance *from = inheritance ? inheritance : &none;
    json_t *rows = json_array();
    int failed = 0;
    for (size_t i = 0; i < from->count; i++)
        failed |= json_array_append_new(rows, process_row(&from->of[i]));
    return json_pack("{s{so so}}", "predecessors", "draining", complete(rows, failed), "silent", count(from->silent));
}

static json_t *since_start_part(const struct figures *figures)
{
    struct history_sums sums;
    overview_sums(figures, &sums);
    return json_pack("{so so}", "logins", counts(sums.logins, login_result_names, LOGIN_RESULT_COUNT), "takes",
                     counts(sums.takes, choice_find_names, CHOICE_FIND_COUNT));
}

/* --- the last hour --- */

static json_t *login_ms(const struct history_sums *sums)
{
    struct histogram all = sums->login[HISTORY_PARKED];
    histogram_add(&all, &sums->login[HISTORY_UPSTREAM]);
    return json_pack("{so so so so}", "median", quantile_ms(&all, 0.5), "p95", quantile_ms(&all, 0.95), "parked_median",
                     quantile_ms(&sums->login[HISTORY_PARKED], 0.5), "accepted_median",
                     quantile_ms(&sums->login[HISTORY_UPSTREAM], 0.5));
}

static json_t *lately(const struct history *history, size_t points)
{
    size_t len = history_len(history);
    struct history_sums sums;
    uint64_t ms;
    history_sum(history, len < points ? 0 : len - points, len, &sums, &ms);
    return json_pack("{so so so so so so so}", "seconds", json_real((double)ms / 1000), "logins",
                     counts(sums.logins, login_result_names, LOGIN_RESULT_COUNT), "takes",
                     counts(sums.takes, choice_find_names, CHOICE_FIND_COUNT), "octets_in", count(sums.octets_in),
                     "octets_out", count(sums.octets_out), "login_ms", login_ms(&sums), "lag_ms_p95",
                     quantile_ms(&sums.lag, 0.95));
}

static json_t *per_seconds(const struct history_point *point, uint64_t sum, double seconds)
{
    return json_real((double)sum * seconds * 1000 / (double)point->ms);
}

static uint64_t logins_failed(const struct history_point *point)
{
    return sum(point->sums.logins, LOGIN_RESULT_COUNT) - point->sums.logins[LOGIN_PARKED] -
           point->sums.logins[LOGIN_ACCEPTED];
}

/* Of the points up to and with index. */
static void sum_up_to(const struct history *history, size_t index, size_t points, struct history_sums *ret_sums)
{
    uint64_t ms;
    history_sum(history, index + 1 < points ? 0 : index + 1 - points, index + 1, ret_sums, &ms);
}

static json_t *latency_at(const struct history *history, size_t index, double share)
{
    struct history_sums sums;
    sum_up_to(history, index, LATENCY_POINTS, &sums);
    histogram_add(&sums.login[HISTORY_PARKED], &sums.login[HISTORY_UPSTREAM]);
    return quantile_ms(&sums.login[HISTORY_PARKED], share);
}

static json_t *point_sessions(const struct history *history, size_t index)
{
    return count(history_at(history, index)->levels.sessions);
}

static json_t *point_parked(const struct history *history, size_t index)
{
    return count(history_at(history, index)->levels.parked);
}

static json_t *point_logins_parked(const struct history *history, size_t index)
{
    const struct history_point *point = history_at(history, index);
    return per_seconds(point, point->sums.logins[LOGIN_PARKED], 60);
}

static json_t *point_logins_accepted(const struct history *history, size_t index)
{
    const struct history_point *point = history_at(history, index);
    return per_seconds(point, point->sums.logins[LOGIN_ACCEPTED], 60);
}

static json_t *point_logins_failed(const struct history *history, size_t index)
{
    const struct history_point *point = history_at(history, index);
    return per_seconds(point, logins_failed(point), 60);
}

static json_t *point_login_median(const struct history *history, size_t index)
{
    return latency_at(history, index, 0.5);
}

static json_t *point_login_p95(const struct history *history, size_t index)
{
    return latency_at(history, index, 0.95);
}

static json_t *point_warm_share(const struct history *history, size_t index)
{
    struct history_sums sums;
    sum_up_to(history, index, RECENT_POINTS, &sums);
    uint64_t all = sum(sums.takes, CHOICE_FIND_COUNT);
    return all ? json_real((double)(all - sums.takes[CHOICE_FOUND_NONE]) / (double)all) : json_null();
}

static json_t *point_octets_in(const struct history *history, size_t index)
{
    const struct history_point *point = history_at(history, index);
    return per_seconds(point, point->sums.octets_in, 1);
}

static json_t *point_octets_out(const struct history *history, size_t index)
{
    const struct history_point *point = history_at(history, index);
    return per_seconds(point, point->sums.octets_out, 1);
}

static const struct {
    const char *name;
    json_t *(*of)(const struct history *history, size_t index); /* of a point of which something is known */
} all_series[] = {
    { "sessions", point_sessions },
    { "parked", point_parked },
    { "logins_parked_per_min", point_logins_parked },
    { "logins_accepted_per_min", point_logins_accepted },
    { "logins_failed_per_min", point_logins_failed },
    { "login_ms_median", point_login_median },
    { "login_ms_p95", point_login_p95 },
    { "warm_share", point_warm_share },
    { "octets_in_per_s", point_octets_in },
    { "octets_out_per_s", point_octets_out },
};

static json_t *one_series(const struct history *history, json_t *(*of)(const struct history *, size_t))
{
    json_t *made = json_array();
    int failed = 0;
    for (size_t i = 0; i < history_len(history); i++)
        failed |= json_array_append_new(made, history_at(history, i)->ms ? of(history, i) : json_null());
    return complete(made, failed);
}

static json_t *series(const struct history *history)
{
    json_t *made = json_object();
    int failed = 0;
    for (size_t i = 0; i < sizeof all_series / sizeof all_series[0]; i++)
        failed |= json_object_set_new(made, all_series[i].name, one_series(history, all_series[i].of));
    return complete(made, failed);
}

static json_t *history_part(const struct overview *overview)
{
    const struct history *history = overview->history;
    uint64_t ago_s = history->has_begun ? (overview->figures->now_ms - history->noted_at_ms) / 1000 : 0;
    return json_pack("{so so s{so so so so}}", "recent", lately(history, RECENT_POINTS), "hour",
                     lately(history, HISTORY_POINTS), "history", "every_s", count(HISTORY_POINT_MS / 1000), "end_s",
                     time_s(overview->now_s - (int64_t)ago_s), "count", count(history_len(history)), "series",
                     series(history));
}

struct writing {
    struct evbuffer *text;
    bool has_failed;
};

/* jansson does not look at what becomes of an object's keys, so that all that follows fails too. */
static int write_some(const char *octets, size_t len, void *owner)
{
    struct writing *writing = owner;
    writing->has_failed |= evbuffer_add(writing->text, octets, len) != 0;
    return writing->has_failed ? -1 : 0;
}

bool overview_write(const struct overview *overview, struct evbuffer *ret_text)
{
    const struct figures *figures = overview->figures;
    json_t *made = json_object();
    int failed = json_object_update_new(made, identity_part(figures, overview->now_s));
    failed |= json_object_update_new(made, state_part(figures));
    failed |= json_object_update_new(made, process_part(figures));
    failed |= json_object_update_new(made, connections_part(figures));
    failed |= json_object_update_new(made, predecessors_part(overview->inheritance));
    failed |= json_object_update_new(made, since_start_part(figures));
    failed |= json_object_update_new(made, history_part(overview));
    made = complete(made, failed);
    struct writing writing = { .text = ret_text };
    size_t flags = JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(DIGITS);
    bool is_written = made && json_dump_callback(made, write_some, &writing, flags) == 0;
    json_decref(made);
    return is_written;
}
