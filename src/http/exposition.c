#include "exposition.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "config.h"
#include "figures.h"
#include "inherited.h"
#include "reach.h"
#include "service.h"
#include "tls.h"
#include "upstreamcounters.h"

/* Of a label's value; what is longer is cut. */
#define EXPOSITION_VALUE_MAX 512u

enum kind { GAUGE, COUNTER, HISTOGRAM };

struct exposition {
    struct evbuffer *text;
    enum exposition_form form;
    const struct inheritance *inheritance; /* NULL: none */
    const char *name;                      /* of the family that is being written; NULL: none yet */
    enum kind kind;
    bool is_failed;
};

const char *exposition_type(enum exposition_form form)
{
    return form == EXPOSITION_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                          : "text/plain; version=0.0.4; charset=utf-8";
}

/* --- octets --- */

__attribute__((format(printf, 2, 3))) static void put(struct exposition *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    out->is_failed |= evbuffer_add_vprintf(out->text, format, arguments) < 0;
    va_end(arguments);
}

/* Names come from the configuration, but for hosts' addresses: any octet may be in a path. What is not ASCII need not
 * be UTF-8, which the forms demand. */
static void put_value(struct exposition *out, const char *value)
{
    char text[2 * EXPOSITION_VALUE_MAX];
    size_t len = 0;
    for (const char *at = value; *at && len + 2 <= sizeof text; at++) {
        if (*at == '"' || *at == '\\')
            text[len++] = '\\';
        text[len++] = (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f ? *at : '?';
    }
    out->is_failed |= evbuffer_add(out->text, text, len) < 0;
}

/* --- families and samples --- */

/* Is it the name of a sample of the family? The forms do not differ in that. */
static bool family_has(const struct exposition *out, const char *name, size_t len)
{
    static const char *const suffixes[][4] = {
        [GAUGE] = { "" },
        [COUNTER] = { "_total" },
        [HISTOGRAM] = { "_bucket", "_sum", "_count" },
    };
    size_t start = strlen("imapstate_") + strlen(out->name);
    if (len < start || strncmp(name + strlen("imapstate_"), out->name, strlen(out->name)) != 0)
        return false;
    for (const char *const *suffix = suffixes[out->kind]; *suffix; suffix++)
        if (len - start == strlen(*suffix) && memcmp(name + start, *suffix, len - start) == 0)
            return true;
    return false;
}

/* In the order that they came in, which keeps the parts of a histogram together. */
static void put_process(struct exposition *out, const struct inherited *inherited)
{
    for (size_t i = 0; i < inherited->count; i++) {
        const struct inherited_sample *sample = &inherited->samples[i];
        if (family_has(out, sample->text, sample->name_len))
            put(out, "%s\n", sample->text);
    }
}

/* The samples of a family have to stand together. */
static void end_family(struct exposition *out)
{
    bool has_others = out->inheritance && out->name;
    for (size_t i = 0; has_others && i < out->inheritance->count; i++)
        put_process(out, &out->inheritance->of[i]);
}

static void family(struct exposition *out, enum kind kind, const char *name, const char *help)
{
    static const char *const kinds[] = { "gauge", "counter", "histogram" };
    /* OpenMetrics has the suffix in the samples only. */
    const char *suffix = kind == COUNTER && out->form == EXPOSITION_TEXT ? "_total" : "";
    end_family(out);
    out->name = name;
    out->kind = kind;
    put(out, "# HELP imapstate_%s%s %s\n# TYPE imapstate_%s%s %s\n", name, suffix, help, name, suffix, kinds[kind]);
}

/* Pairs of a label's name and its value, up to NULL. suffix: of a histogram's parts. */
static void put_labels(struct exposition *out, const char *suffix, const char *le, const char *const *labels)
{
    const char *before = "{";
    put(out, "imapstate_%s%s", out->name, suffix);
    for (; *labels; labels += 2) {
        put(out, "%s%s=\"", before, labels[0]);
        put_value(out, labels[1]);
        put(out, "\"");
        before = ",";
    }
    if (le)
        put(out, "%sle=\"%s\"", before, le);
    put(out, "%s ", le || *before == ',' ? "}" : "");
}

#define LABELS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NO_LABELS   ((const char *const[]){ NULL })

static void sample(struct exposition *out, uint64_t value, const char *const *labels)
{
    put_labels(out, out->kind == COUNTER ? "_total" : "", NULL, labels);
    put(out, "%" PRIu64 "\n", value);
}

static void sample_seconds(struct exposition *out, uint64_t us, const char *const *labels)
{
    put_labels(out, out->kind == COUNTER ? "_total" : "", NULL, labels);
    put(out, "%" PRIu64 ".%06" PRIu64 "\n", us / 1000000, us % 1000000);
}

static void put_bucket(struct exposition *out, const char *le, uint64_t count, const char *const *labels)
{
    put_labels(out, "_bucket", le, labels);
    put(out, "%" PRIu64 "\n", count);
}

static void sample_histogram(struct exposition *out, const struct histogram *histogram, const char *const *labels)
{
    uint64_t count = 0;
    char le[32];
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        uint64_t bound_ms = histogram_bounds_us[i] / 1000;
        count += histogram->buckets[i];
        snprintf(le, sizeof le, "%" PRIu64 ".%03" PRIu64, bound_ms / 1000, bound_ms % 1000);
        put_bucket(out, le, count, labels);
    }
    count += histogram->buckets[HISTOGRAM_BOUNDS];
    put_bucket(out, "+Inf", count, labels);
    put_labels(out, "_sum", NULL, labels);
    put(out, "%" PRIu64 ".%06" PRIu64 "\n", histogram->sum_us / 1000000, histogram->sum_us % 1000000);
    put_labels(out, "_count", NULL, labels);
    put(out, "%" PRIu64 "\n", count);
}

/* One for each reason, 0 where it has never happened: what is missing cannot be told from what is 0. */
static void sample_each(struct exposition *out, const uint64_t *values, const char *const *names, unsigned count,
                        unsigned from, const char *label)
{
    for (unsigned i = from; i < count; i++)
        sample(out, values[i], LABELS(label, names[i]));
}

static void sample_row(struct exposition *out, const char *row_label, const struct row *row, const uint64_t *values,
                       const char *const *names, unsigned count, const char *label)
{
    const char *name = (const char *)row->name.at;
    for (unsigned i = 0; i < count; i++)
        sample(out, values[i], LABELS(row_label, name, label, names[i]));
}

/* --- the daemon --- */

static void write_daemon(struct exposition *out, const struct figures *figures)
{
    static const char *const reloads[STANDING_RELOAD_COUNT] = { "taken", "partly", "failed" };
    const struct standing *standing = figures->standing;
    family(out, GAUGE, "build_info", "1; the version that runs.");
    sample(out, 1, LABELS("version", standing->version));
    family(out, GAUGE, "start_time_seconds", "When the process began, in seconds since 1970.");
    sample(out, (uint64_t)standing->started_s, NO_LABELS);
    family(out, GAUGE, "listening", "1: every address that is configured is open.");
    sample(out, standing->is_listening, NO_LABELS);
    family(out, GAUGE, "draining", "1: nobody is accepted any more, and sessions come to their end.");
    sample(out, *standing->is_draining, NO_LABELS);
    family(out, COUNTER, "config_reloads", "Reloads of the configuration, by what came of them.");
    sample_each(out, standing->reloads, reloads, STANDING_RELOAD_COUNT, 0, "result");
    family(out, GAUGE, "config_last_reload_success", "1: the last reload was taken as a whole, or there was none.");
    sample(out, !standing->has_failed, NO_LABELS);
    family(out, GAUGE, "config_last_success_timestamp_seconds",
           "When the configuration was last taken, in seconds since 1970.");
    sample(out, (uint64_t)standing->reloaded_s, NO_LABELS);
    family(out, GAUGE, "epoch", "The epoch of the configuration.");
    sample(out, standing->service->config->epoch, NO_LABELS);
}

static void write_process(struct exposition *out, const struct figures *figures)
{
    family(out, GAUGE, "descriptors", "File descriptors that are open.");
    sample(out, figures->descriptors, NO_LABELS);
    family(out, GAUGE, "descriptors_max", "How many may be open.");
    sample(out, figures->descriptors_max, NO_LABELS);
    family(out, COUNTER, "cpu_seconds", "CPU time, user and system, of all threads.");
    sample_seconds(out, figures->cpu_us, NO_LABELS);
    family(out, GAUGE, "resident_memory_bytes", "Memory that the process has in RAM.");
    sample(out, figures->resident_octets, NO_LABELS);
    family(out, COUNTER, "log_lines_lost", "Lines of the log that nobody read in time, or that could not be written.");
    sample(out, figures->log_lost, NO_LABELS);
}

static void write_keys(struct exposition *out, const struct figures *figures)
{
    char id[16];
    family(out, GAUGE, "sealing_key_info", "1; the id of the key that seals tokens now. None: tokens cannot be saved.");
    snprintf(id, sizeof id, "%" PRIu32, figures->sealing_key);
    if (figures->has_sealing_key)
        sample(out, 1, LABELS("id", id));
    family(out, GAUGE, "certificate_not_after_timestamp_seconds",
           "When a listener's certificate expires, in seconds since 1970.");
    for (size_t i = 0; i < figures->certificate_count; i++)
        sample(out, (uint64_t)figures->certificates[i].not_after_s,
               LABELS("listener", figures->certificates[i].listener));
}

static void write_workers(struct exposition *out, const struct figures *figures)
{
    char index[16];
    family(out, GAUGE, "workers", "Threads that serve, and the janitor's.");
    sample(out, figures->worker_count, NO_LABELS);
    family(out, GAUGE, "workers_late", "Of these, those that did not say in time what they have counted.");
    sample(out, figures->late_count, NO_LABELS);
    family(out, HISTOGRAM, "loop_lag_seconds", "How late a timer of each thread fires that is due once a second.");
    for (size_t i = 0; i < figures->worker_count; i++) {
        snprintf(index, sizeof index, "%u", figures->workers[i].index);
        sample_histogram(out, &figures->workers[i].lag, LABELS("worker", index));
    }
}

/* --- octets, TLS --- */

static const char *const sides[LOOP_SIDE_COUNT] = { [LOOP_ACCEPTED] = "client", [LOOP_MADE] = "upstream" };

static void write_octets(struct exposition *out, const struct figures *figures)
{
    family(out, COUNTER, "octets", "Octets that have passed, without TLS, and compressed as they pass.");
    for (unsigned side = 0; side < LOOP_SIDE_COUNT; side++) {
        sample(out, figures->loops.octets[side].in, LABELS("side", sides[side], "direction", "in"));
        sample(out, figures->loops.octets[side].out, LABELS("side", sides[side], "direction", "out"));
    }
}

static void write_tls(struct exposition *out, const struct figures *figures)
{
    static const char *const resumed[] = { "false", "true" };
    const struct loop_counters *loops = &figures->loops;
    family(out, COUNTER, "tls_handshakes", "TLS handshakes that were done.");
    for (unsigned side = 0; side < LOOP_SIDE_COUNT; side++)
        for (unsigned version = 0; version < TLS_VERSION_COUNT; version++)
            for (unsigned is_resumed = 0; is_resumed < 2; is_resumed++)
                sample(
                    out, loops->handshakes[side][version][is_resumed],
                    LABELS("side", sides[side], "version", tls_version_names[version], "resumed", resumed[is_resumed]));
    family(out, COUNTER, "tls_handshake_failures", "TLS handshakes that were begun and never done.");
    for (unsigned side = 0; side < LOOP_SIDE_COUNT; side++)
        sample(out, loops->handshakes_failed[side], LABELS("side", sides[side]));
}

/* --- clients --- */

#define EACH_LISTENER(at, figures)                                                                                     \
    for (const struct listener_counters *at = (const void *)(figures)->clients.listeners.first; at;                    \
         at = (const void *)at->row.hh.next)
#define EACH_LOGIN(at, figures)                                                                                        \
    for (const struct login_counters *at = (const void *)(figures)->clients.upstreams.first; at;                       \
         at = (const void *)at->row.hh.next)

static void write_clients(struct exposition *out, const struct figures *figures)
{
    family(out, GAUGE, "clients", "Clients that are connected, by how far they are.");
    EACH_LISTENER(at, figures)
    sample_row(out, "listener", &at->row, at->now, client_counted_names, CLIENT_COUNTED_STATES, "state");
    family(out, COUNTER, "clients_accepted", "Clients that have connected and were not refused.");
    EACH_LISTENER(at, figures) sample(out, at->accepted, LABELS("listener", (const char *)at->row.name.at));
    family(out, COUNTER, "clients_refused", "Clients that were turned away, by the limit.");
    EACH_LISTENER(at, figures)
    sample_row(out, "listener", &at->row, at->refused, clients_refusal_names, CLIENTS_REFUSAL_COUNT, "reason");
    family(out, COUNTER, "sessions_ended", "Connections of clients that have ended, by the reason in the log.");
    sample_each(out, figures->clients.endings, client_ending_words, CLIENT_ENDING_COUNT, CLIENT_ENDING_NONE + 1,
                "reason");
}

static void write_logins(struct exposition *out, const struct figures *figures)
{
    family(out, COUNTER, "logins", "Logins of clients, by what came of them.");
    EACH_LOGIN(at, figures)
    sample_row(out, "upstream", &at->row, at->results, login_result_names, LOGIN_RESULT_COUNT, "result");
    family(out, HISTOGRAM, "login_seconds",
           "From the client's login to its answer, where it was accepted: by a parked connection, by the upstream.");
    EACH_LOGIN(at, figures)
    {
        const char *name = (const char *)at->row.name.at;
        sample_histogram(out, &at->parked, LABELS("upstream", name, "by", "parked"));
        sample_histogram(out, &at->accepted, LABELS("upstream", name, "by", "upstream"));
    }
}

static void write_restores(struct exposition *out, const struct figures *figures)
{
    const struct client_counters *clients = &figures->clients;
    family(out, COUNTER, "restores", "Tokens that clients have brought, by what became of them.");
    sample_each(out, clients->restores, restore_result_names, RESTORE_RESULT_COUNT, 0, "result");
    family(out, COUNTER, "tokens_saved", "Tokens that clients were given.");
    sample(out, clients->saves, NO_LABELS);
}

/* --- upstreams --- */

#define EACH_PLACE(at, figures)                                                                                        \
    for (const struct upstream_place *at = (const void *)(figures)->upstreams.places.first; at;                        \
         at = (const void *)at->row.hh.next)
#define PLACE(at) "upstream", upstream_place_upstream(at), "address", upstream_place_address(at)

static void write_connections(struct exposition *out, const struct figures *figures)
{
    family(out, GAUGE, "upstream_connections", "Connections to upstreams, but for parked ones, by how far they are.");
    EACH_PLACE(at, figures)
    for (unsigned i = 0; i < UPSTREAM_STAGE_COUNT; i++)
        sample(out, at->now[i], LABELS(PLACE(at), "stage", upstream_stage_names[i]));
    family(out, COUNTER, "upstream_sessions", "Sessions by how they came to their connection: a login, or the park.");
    EACH_PLACE(at, figures)
    {
        sample(out, at->sessions, LABELS(PLACE(at), "by", "login"));
        sample(out, at->woken_sessions, LABELS(PLACE(at), "by", "park"));
    }
    family(out, COUNTER, "upstream_failures", "Connections that came to nothing, or were lost.");
    EACH_PLACE(at, figures)
    for (unsigned i = 0; i < UPSTREAM_FAILURE_COUNT; i++)
        sample(out, at->failures[i], LABELS(PLACE(at), "reason", upstream_failure_names[i]));
    family(out, HISTOGRAM, "upstream_queue_seconds",
           "How long logins waited for a place (max_logins, max_sessions), where they had to wait and got one.");
    EACH_PLACE(at, figures) sample_histogram(out, &at->queued, LABELS(PLACE(at)));
    family(out, COUNTER, "upstream_queue_ends", "Logins that waited for a place and did not get one, by the reason.");
    EACH_PLACE(at, figures)
    {
        sample(out, at->queue_timeouts, LABELS(PLACE(at), "reason", "timeout"));
        sample(out, at->queue_left, LABELS(PLACE(at), "reason", "left"));
    }
    family(out, HISTOGRAM, "upstream_connect_seconds", "From the first packet until somebody could log in.");
    EACH_PLACE(at, figures) sample_histogram(out, &at->connect, LABELS(PLACE(at)));
}

static void write_reach(struct exposition *out, const struct figures *figures)
{
    const struct config *config = figures->standing->service->config;
    family(out, GAUGE, "upstream_reachable",
           "1: nobody who has connected last was disappointed; 0: somebody was; missing: nobody has tried.");
    for (size_t i = 0; i < config->upstream_count; i++) {
        enum reach reach = reach_of(&figures->upstreams, config->upstreams[i].name, NULL);
        if (reach != REACH_UNKNOWN)
            sample(out, reach == REACH_GOOD, LABELS("upstream", config->upstreams[i].name));
    }
}

#define EACH_PARK(at, figures)                                                                                         \
    for (const struct park_row *at = (const void *)(figures)->park.upstreams.first; at;                                \
         at = (const void *)at->row.hh.next)

static void write_park(struct exposition *out, const struct figures *figures)
{
    family(out, GAUGE, "parked_connections", "Connections that wait for their user to come back.");
    EACH_PARK(at, figures) sample(out, at->parked, LABELS("upstream", (const char *)at->row.name.at));
    family(out, COUNTER, "park_puts", "Sessions' connections that were parked.");
    sample(out, figures->upstreams.parked, NO_LABELS);
    family(out, COUNTER, "park_refusals", "Sessions' connections that were not parked, by the reason.");
    sample_each(out, figures->upstreams.unparked, upstream_unparked_names, UPSTREAM_UNPARKED_COUNT, 0, "reason");
    family(out, COUNTER, "park_takes", "What sessions found that came to need a connection.");
    EACH_LOGIN(at, figures)
    sample_row(out, "upstream", &at->row, at->finds, choice_find_names, CHOICE_FIND_COUNT, "result");
    family(out, COUNTER, "park_ends", "Parked connections that have ended rather than served again, by the reason.");
    EACH_PARK(at, figures)
    sample_row(out, "upstream", &at->row, at->ends, park_end_names, PARK_END_COUNT, "reason");
    family(out, GAUGE, "suspended_accounts",
           "Accounts whose parked connections serve nobody before the upstream has accepted a login.");
    sample(out, figures->park.suspended_accounts, NO_LABELS);
    family(out, GAUGE, "park_limits",
           "Users and upstreams of whom fewer connections are parked, as the server had no room for more.");
    sample(out, figures->park.limits, NO_LABELS);
}

/* --- the whole --- */

static void write_predecessors(struct exposition *out, const struct figures *figures)
{
    const struct inheritance *inheritance = out->inheritance;
    if (!inheritance)
        return;
    family(out, GAUGE, "predecessors", "Processes that drain after an upgrade, by whether they told of themselves.");
    sample(out, inheritance->count, LABELS("answer", "told"));
    sample(out, inheritance->silent, LABELS("answer", "silent"));
}

bool exposition_write(const struct figures *figures, const struct inheritance *inheritance, enum exposition_form form,
                      struct evbuffer *ret_text)
{
    static void (*const parts[])(struct exposition *, const struct figures *) = {
        write_daemon, write_process,  write_keys,        write_workers, write_octets, write_tls,          write_clients,
        write_logins, write_restores, write_connections, write_reach,   write_park,   write_predecessors,
    };
    struct exposition out = { .text = ret_text, .form = form, .inheritance = inheritance };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        parts[i](&out, figures);
    end_family(&out);
    put(&out, "# EOF\n");
    return !out.is_failed;
}
