#include "check.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "config.h"
#include "figures.h"
#include "history.h"
#include "inherited.h"
#include "overview.h"
#include "service.h"

#define NOW_MS UINT64_C(5000000)
#define NOW_S  1790000000

static char imaps[] = "imaps", imap[] = "imap", mail[] = "main", archive[] = "archive";
static struct config_listener listeners[] = { { .name = imaps }, { .name = imap } };
static struct config_upstream upstreams[] = { { .name = mail }, { .name = archive } };
static struct config config;
static struct service service;
static bool is_draining;
static struct standing standing;
static struct figures_certificate certificates[] = { { "imaps", NOW_S + 86400 } };
static struct figures figures;
static struct history *history;

static int begin(void **state)
{
    is_draining = false;
    config = (struct config){
        .epoch = UINT64_MAX,
        .max_clients = 20000,
        .park = { .per_user = 2, .max = 10000 },
        .listeners = listeners,
        .listener_count = ARRAY_LEN(listeners),
        .upstreams = upstreams,
        .upstream_count = ARRAY_LEN(upstreams),
    };
    service = (struct service){ .config = &config };
    standing = (struct standing){ .service = &service,
                                  .version = "1.2.3",
                                  .started_s = NOW_S - 100,
                                  .reloaded_s = NOW_S - 50,
                                  .is_listening = true,
                                  .is_draining = &is_draining };
    figures = (struct figures){ .standing = &standing, .now_ms = NOW_MS };
    upstream_counters_init(&figures.upstreams);
    client_counters_init(&figures.clients);
    park_counters_init(&figures.park);
    history = calloc(1, sizeof *history);
    return history ? 0 : -1;
}

static int end(void **state)
{
    upstream_counters_done(&figures.upstreams);
    client_counters_done(&figures.clients);
    park_counters_done(&figures.park);
    free(history);
    return 0;
}

static const struct inheritance *inheritance;
static size_t head; /* octets that are in the buffer already: they shift where it asks for more memory */

/* To be freed. NULL: it was not whole. */
static char *text(void)
{
    static const char zeros[512];
    const struct overview overview = {
        .figures = &figures, .history = history, .inheritance = inheritance, .now_s = NOW_S
    };
    struct evbuffer *buffer = evbuffer_new();
    char *octets = NULL;
    if (buffer && evbuffer_add(buffer, zeros, head) == 0 && overview_write(&overview, buffer)) {
        evbuffer_drain(buffer, head);
        size_t len = evbuffer_get_length(buffer);
        octets = calloc(1, len + 1);
        assert_int_equal(evbuffer_remove(buffer, octets, len), len);
    }
    if (buffer)
        evbuffer_free(buffer);
    return octets;
}

/* To be given back by json_decref(). */
static json_t *read_back(void)
{
    char *octets = text();
    assert_non_null(octets);
    json_error_t error;
    json_t *root = json_loads(octets, 0, &error);
    if (!root)
        fail_msg("%s: %s", error.text, octets);
    free(octets);
    return root;
}

/* A path of names and of numbers, as in "upstreams.0.name". NULL: there is none. */
static json_t *at(json_t *value, const char *path)
{
    char copy[128], *rest = copy, *name;
    snprintf(copy, sizeof copy, "%s", path);
    while (value && (name = strsep(&rest, ".")) != NULL)
        value = json_is_array(value) ? json_array_get(value, strtoul(name, NULL, 10)) : json_object_get(value, name);
    return value;
}

static void check_number(json_t *root, const char *path, double want)
{
    const json_t *got = at(root, path);
    if (!json_is_number(got) || json_number_value(got) < want - 1e-9 || json_number_value(got) > want + 1e-9)
        fail_msg("%s is %g, not %g", path, got ? json_number_value(got) : -1.0, want);
}

static void check_text(json_t *root, const char *path, const char *want)
{
    const char *got = json_string_value(at(root, path));
    if (!got || strcmp(got, want) != 0)
        fail_msg("%s is %s, not %s", path, got ? got : "none", want);
}

static void check_null(json_t *root, const char *path)
{
    if (!json_is_null(at(root, path)))
        fail_msg("%s is not null", path);
}

/* One that has just started, and whose counters have no row yet. */
TEST(of_nothing_it_says_that_there_is_nothing)
{
    json_t *root = read_back();
    check_text(root, "version", "1.2.3");
    check_number(root, "started_s", NOW_S - 100);
    check_text(root, "epoch", "18446744073709551615");
    check_null(root, "sealing_key");
    check_null(root, "not_ready");
    check_number(root, "clients.now", 0);
    check_number(root, "clients.max", 20000);
    check_number(root, "parked.max", 10000);
    check_number(root, "history.count", 0);
    assert_int_equal(json_array_size(at(root, "listeners")), 0);
    assert_int_equal(json_array_size(at(root, "history.series.sessions")), 0);
    check_number(root, "recent.seconds", 0);
    check_null(root, "recent.login_ms.median");
    json_decref(root);
}

TEST(who_waits_for_a_place_has_no_connection)
{
    struct upstream_place *place = upstream_counters_place(&figures.upstreams, "main", "192.0.2.7:143");
    place->now[UPSTREAM_WAITS] = 5;
    place->now[UPSTREAM_IN_SESSION] = 2;
    json_t *root = read_back();
    check_number(root, "upstreams.0.connections", 2);
    check_number(root, "upstreams.0.waiting", 5);
    json_decref(root);
}

TEST(an_upstream_that_nobody_has_used_has_no_address)
{
    upstream_counters_place(&figures.upstreams, "main", "192.0.2.7:143")->good_at_ms = NOW_MS - 3000;
    json_t *root = read_back();
    assert_int_equal(json_array_size(at(root, "upstreams")), 2);
    check_text(root, "upstreams.0.address", "192.0.2.7:143");
    check_number(root, "upstreams.0.good_s", 3);
    check_null(root, "upstreams.0.bad_s");
    check_text(root, "upstreams.1.name", "archive");
    check_null(root, "upstreams.1.address");
    check_null(root, "upstreams.1.good_s");
    check_number(root, "upstreams.1.connections", 0);
    json_decref(root);
}

TEST(an_upstream_that_a_reload_has_removed_goes_with_its_last_connection)
{
    struct upstream_place *old = upstream_counters_place(&figures.upstreams, "old", "192.0.2.9:143");
    old->now[UPSTREAM_IN_SESSION] = 1;
    json_t *root = read_back();
    check_text(root, "upstreams.0.name", "old");
    json_decref(root);
    old->now[UPSTREAM_IN_SESSION] = 0;
    root = read_back();
    check_text(root, "upstreams.0.name", "main");
    assert_int_equal(json_array_size(at(root, "upstreams")), 2);
    json_decref(root);
}

TEST(counters_of_all_listeners_and_upstreams_are_summed)
{
    struct listener_counters *row = client_counters_listener(&figures.clients, "imaps");
    row->now[CLIENT_AUTHENTICATED] = 5;
    row->now[CLIENT_SECURING] = 1;
    row->accepted = 1000;
    row->refused[CLIENTS_REFUSED_MAX] = 2;
    row->refused[CLIENTS_REFUSED_MEMORY] = 3;
    client_counters_listener(&figures.clients, "imap")->now[CLIENT_AUTHENTICATED] = 7;
    figures.clients.other_listeners.now[CLIENT_AUTHENTICATED] = 1;
    client_counters_upstream(&figures.clients, "main")->results[LOGIN_REFUSED] = 4;
    client_counters_upstream(&figures.clients, "archive")->results[LOGIN_REFUSED] = 5;
    client_counters_upstream(&figures.clients, "archive")->finds[CHOICE_FOUND_NONE] = 6;
    figures.clients.other_upstreams.results[LOGIN_REFUSED] = 1;
    figures.park.other_upstreams.parked = 8;
    json_t *root = read_back();
    check_number(root, "clients.now", 14);
    check_number(root, "clients.sessions", 13);
    check_text(root, "listeners.0.name", "imaps");
    check_number(root, "listeners.0.clients", 6);
    check_number(root, "listeners.0.accepted", 1000);
    check_number(root, "listeners.0.refused", 5);
    check_number(root, "logins.refused", 10);
    check_number(root, "takes.miss", 6);
    check_number(root, "parked.now", 8);
    json_decref(root);
}

TEST(without_parking_there_is_no_room_for_it)
{
    config.park.per_user = 0;
    json_t *root = read_back();
    check_number(root, "parked.max", 0);
    json_decref(root);
}

TEST(it_says_why_it_is_not_ready)
{
    static const struct {
        const char *name;
        bool is_listening;
        uint64_t good_at_ms, bad_at_ms, archive_good_at_ms;
        const char *want;
    } cases[] = {
        { "nobody has tried", true, 0, 0, 0, NULL },
        { "the last one got through", true, 2, 1, 0, NULL },
        { "the last one did not", true, 1, 2, 0, "no upstream can be reached" },
        { "but to another upstream", true, 1, 2, 1, NULL },
        { "an address is missing", false, 2, 1, 0, "not all addresses are open" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        standing.is_listening = cases[i].is_listening;
        struct upstream_place *place = upstream_counters_place(&figures.upstreams, "main", "192.0.2.7:143");
        place->good_at_ms = cases[i].good_at_ms;
        place->bad_at_ms = cases[i].bad_at_ms;
        upstream_counters_place(&figures.upstreams, "archive", "192.0.2.8:143")->good_at_ms =
            cases[i].archive_good_at_ms;
        json_t *root = read_back();
        const char *got = json_string_value(at(root, "not_ready"));
        CHECK_ROW(cases[i].name,
                  cases[i].want ? got && strcmp(got, cases[i].want) == 0 : json_is_null(at(root, "not_ready")));
        json_decref(root);
    }
}

TEST(it_says_that_it_drains)
{
    json_t *root = read_back();
    assert_true(json_is_false(at(root, "draining")));
    json_decref(root);
    is_draining = true;
    root = read_back();
    assert_true(json_is_true(at(root, "draining")));
    json_decref(root);
}

/* Another thirty logins, ten of which fail, in each point but the third. */
static void fill_history(void)
{
    struct login_counters *logins = client_counters_upstream(&figures.clients, "main");
    struct history_sums sums;
    for (unsigned i = 0; i <= 6; i++) {
        struct history_levels levels = { .sessions = i, .parked = 2 * i };
        overview_sums(&figures, &sums);
        if (i != 3)
            history_note(history, NOW_MS - 62000 + i * HISTORY_POINT_MS, &levels, &sums);
        logins->results[LOGIN_PARKED] += 5;
        logins->results[LOGIN_ACCEPTED] += 15;
        logins->results[LOGIN_ABANDONED] += 10;
        logins->finds[CHOICE_FOUND_WARM] += 3;
        logins->finds[CHOICE_FOUND_NONE] += 1;
        histogram_note(&logins->parked, 1000);
        histogram_note(&logins->accepted, 250 * 1000);
        figures.loops.octets[LOOP_ACCEPTED].out += 1000;
    }
}

TEST(the_last_hour_is_told_point_by_point)
{
    fill_history();
    json_t *root = read_back();
    check_number(root, "history.every_s", 10);
    check_number(root, "history.end_s", NOW_S - 2);
    check_number(root, "history.count", 6);
    check_number(root, "history.series.sessions.0", 1);
    check_null(root, "history.series.sessions.2");
    check_number(root, "history.series.sessions.5", 6);
    check_number(root, "history.series.parked.5", 12);
    check_number(root, "history.series.logins_parked_per_min.0", 30);
    check_null(root, "history.series.logins_failed_per_min.2");
    check_number(root, "history.series.logins_failed_per_min.3", 60); /* and not 120: it is about two points */
    check_number(root, "history.series.octets_out_per_s.3", 100);
    check_number(root, "history.series.warm_share.5", 0.75);
    check_number(root, "history.series.login_ms_median.5", 1);
    check_number(root, "history.series.login_ms_p95.5", 235);
    check_number(root, "recent.seconds", 60);
    check_number(root, "recent.logins.abandoned", 60);
    check_number(root, "hour.takes.warm", 18);
    check_number(root, "hour.login_ms.parked_median", 0.5);
    check_number(root, "logins.abandoned", 70);
    json_decref(root);
}

/* As the path of a socket can be. */
TEST(what_is_no_UTF_8_is_shown_as_far_as_it_can_be)
{
    upstream_counters_place(&figures.upstreams, "main", "/run/\xff\"mail");
    json_t *root = read_back();
    check_text(root, "upstreams.0.address", "/run/?\"mail");
    json_decref(root);
}

/* --- out of memory --- */

struct memory {
    size_t asked, failing; /* the one that fails; 0: none */
};
static struct memory json_memory, buffer_memory;

static bool memory_fails(struct memory *memory)
{
    return ++memory->asked == memory->failing;
}

static void *json_malloc(size_t size)
{
    return memory_fails(&json_memory) ? NULL : malloc(size);
}

static void *buffer_malloc(size_t size)
{
    return memory_fails(&buffer_memory) ? NULL : malloc(size);
}

static void *buffer_realloc(void *old, size_t size)
{
    return memory_fails(&buffer_memory) ? NULL : realloc(old, size);
}

/* Lets each allocation fail in turn. What was not to be had the first time, and was the second, is not missed. */
static void check_without(struct memory *memory)
{
    *memory = (struct memory){ 0 };
    char *whole = text();
    assert_non_null(whole);
    size_t all = memory->asked;
    for (size_t failing = 1; failing <= all; failing++) {
        *memory = (struct memory){ .failing = failing };
        char *octets = text();
        assert_true(!octets || strcmp(octets, whole) == 0);
        free(octets);
    }
    *memory = (struct memory){ 0 };
    free(whole);
}

TEST(without_memory_there_is_nothing_rather_than_a_part)
{
    fill_history();
    upstream_counters_place(&figures.upstreams, "main", "192.0.2.7:143");
    client_counters_listener(&figures.clients, "imaps");
    figures.certificates = certificates;
    figures.certificate_count = ARRAY_LEN(certificates);
    head = 0;
    check_without(&json_memory);
    for (head = 0; head < 200; head++)
        check_without(&buffer_memory);
    head = 0;
}

TEST(it_tells_of_processes_that_drain)
{
    static char open[] = "imapstate_clients{process=\"old-7\",listener=\"imap\",state=\"authenticated\"} 3";
    static char closing[] = "imapstate_clients{process=\"old-7\",listener=\"imap\",state=\"closing\"} 4";
    struct inherited_sample samples[] = { { open, strlen("imapstate_clients"), 3 },
                                          { closing, strlen("imapstate_clients"), 4 } };
    struct inherited old = { "old-7", samples, ARRAY_LEN(samples), ARRAY_LEN(samples) };
    const struct inheritance both = { &old, 1, 2 };
    inheritance = &both;
    json_t *root = read_back();
    inheritance = NULL;
    assert_string_equal(json_string_value(at(root, "predecessors.draining.0.process")), "old-7");
    check_number(root, "predecessors.draining.0.clients", 7);
    check_number(root, "predecessors.draining.0.sessions", 3);
    check_number(root, "predecessors.silent", 2);
    json_decref(root);
}

int main(void)
{
    json_set_alloc_funcs(json_malloc, free);
    event_set_mem_functions(buffer_malloc, buffer_realloc, free);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(of_nothing_it_says_that_there_is_nothing, begin, end),
        cmocka_unit_test_setup_teardown(who_waits_for_a_place_has_no_connection, begin, end),
        cmocka_unit_test_setup_teardown(an_upstream_that_nobody_has_used_has_no_address, begin, end),
        cmocka_unit_test_setup_teardown(an_upstream_that_a_reload_has_removed_goes_with_its_last_connection, begin,
                                        end),
        cmocka_unit_test_setup_teardown(counters_of_all_listeners_and_upstreams_are_summed, begin, end),
        cmocka_unit_test_setup_teardown(without_parking_there_is_no_room_for_it, begin, end),
        cmocka_unit_test_setup_teardown(it_says_why_it_is_not_ready, begin, end),
        cmocka_unit_test_setup_teardown(it_says_that_it_drains, begin, end),
        cmocka_unit_test_setup_teardown(it_tells_of_processes_that_drain, begin, end),
        cmocka_unit_test_setup_teardown(the_last_hour_is_told_point_by_point, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_UTF_8_is_shown_as_far_as_it_can_be, begin, end),
        cmocka_unit_test_setup_teardown(without_memory_there_is_nothing_rather_than_a_part, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
