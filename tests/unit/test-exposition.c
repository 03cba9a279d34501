/* Figures as text. Whether Prometheus can read it, tests/e2e/test_metrics.py asks promtool. */
#include "check.h"

#include "desk.h"
#include "exposition.h"
#include "inherited.h"

#include <event2/buffer.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static char *text; /* of the last one; the test's to free */
static enum exposition_form form;
static const struct inheritance *inheritance;

static void on_figures(void *owner, const struct figures *figures)
{
    struct evbuffer *buffer = evbuffer_new();
    assert_non_null(figures);
    assert_true(exposition_write(figures, inheritance, form, buffer));
    size_t len = evbuffer_get_length(buffer);
    text = calloc(len + 1, 1);
    evbuffer_remove(buffer, text, len);
    evbuffer_free(buffer);
}

static void write_as(enum exposition_form wanted)
{
    struct figures_request request = { .answered = on_figures };
    form = wanted;
    free(text);
    text = NULL;
    assert_true(figures_ask(desk.desk, &request));
    desk_turn();
    assert_non_null(text);
}

static int end(void **state)
{
    free(text);
    text = NULL;
    inheritance = NULL;
    return desk_end(state);
}

static void check_line(const char *line)
{
    size_t len = strlen(line);
    for (const char *at = text; (at = strstr(at, line)); at++)
        if ((at == text || at[-1] == '\n') && at[len] == '\n')
            return;
    fail_msg("no line %s", line);
}

TEST(both_forms_end_in_EOF_and_the_names_begin_alike)
{
    for (unsigned i = 0; i < 2; i++) {
        write_as(i ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT);
        size_t len = strlen(text);
        assert_string_equal(text + len - strlen("\n# EOF\n"), "\n# EOF\n");
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            assert_true(strncmp(line, "imapstate_", 10) == 0 || strncmp(line, "# HELP imapstate_", 17) == 0 ||
                        strncmp(line, "# TYPE imapstate_", 17) == 0 || strcmp(line, "# EOF") == 0);
    }
}

TEST(a_counter_has_its_suffix_where_the_form_wants_it)
{
    desk.workers[0].clients.counters.saves = 3;
    write_as(EXPOSITION_TEXT);
    check_line("# TYPE imapstate_tokens_saved_total counter");
    check_line("imapstate_tokens_saved_total 3");
    write_as(EXPOSITION_OPENMETRICS);
    check_line("# TYPE imapstate_tokens_saved counter");
    check_line("imapstate_tokens_saved_total 3");
}

TEST(a_histogram_is_cumulative_in_seconds)
{
    struct login_counters *logins = client_counters_upstream(&desk.workers[0].clients.counters, "main");
    histogram_note(&logins->parked, 900);
    histogram_note(&logins->parked, 1500);
    histogram_note(&logins->parked, 60000000);
    write_as(EXPOSITION_TEXT);
    check_line("# TYPE imapstate_login_seconds histogram");
    check_line("imapstate_login_seconds_bucket{upstream=\"main\",by=\"parked\",le=\"0.001\"} 1");
    check_line("imapstate_login_seconds_bucket{upstream=\"main\",by=\"parked\",le=\"0.002\"} 2");
    check_line("imapstate_login_seconds_bucket{upstream=\"main\",by=\"parked\",le=\"30.000\"} 2");
    check_line("imapstate_login_seconds_bucket{upstream=\"main\",by=\"parked\",le=\"+Inf\"} 3");
    check_line("imapstate_login_seconds_sum{upstream=\"main\",by=\"parked\"} 60.002400");
    check_line("imapstate_login_seconds_count{upstream=\"main\",by=\"parked\"} 3");
}

TEST(what_has_never_happened_is_there_as_zero)
{
    write_as(EXPOSITION_TEXT);
    check_line("imapstate_clients{listener=\"plain\",state=\"authenticated\"} 0");
    check_line("imapstate_logins_total{upstream=\"main\",result=\"refused\"} 0");
    check_line("imapstate_sessions_ended_total{reason=\"logout\"} 0");
    check_line("imapstate_parked_connections{upstream=\"main\"} 0");
    check_line("imapstate_restores_total{result=\"warm\"} 0");
    check_line("imapstate_octets_total{side=\"upstream\",direction=\"in\"} 0");
}

TEST(what_the_daemon_knows_of_itself_is_told)
{
    desk.standing.reloads[STANDING_RELOAD_FAILED] = 2;
    desk.standing.has_failed = true;
    desk.is_draining = true;
    write_as(EXPOSITION_TEXT);
    check_line("imapstate_build_info{version=\"1.2.3\"} 1");
    check_line("imapstate_start_time_seconds 1000");
    check_line("imapstate_config_last_success_timestamp_seconds 2000");
    check_line("imapstate_config_reloads_total{result=\"failed\"} 2");
    check_line("imapstate_config_last_reload_success 0");
    check_line("imapstate_draining 1");
    check_line("imapstate_epoch 7");
    check_line("imapstate_workers 2");
}

TEST(a_name_cannot_break_out_of_its_quotes)
{
    struct upstream_counters *counters = &desk.workers[0].upstreams.counters;
    upstream_counters_place(counters, "main", "/run/\"x\\y\n\xff")->sessions = 1;
    write_as(EXPOSITION_TEXT);
    check_line("imapstate_upstream_sessions_total{upstream=\"main\",address=\"/run/\\\"x\\\\y??\",by=\"login\"} 1");
}

TEST(an_upstream_that_nobody_has_tried_is_not_said_to_be_out_of_reach)
{
    write_as(EXPOSITION_TEXT);
    assert_null(strstr(text, "\nimapstate_upstream_reachable{"));
    upstream_counters_place(&desk.workers[0].upstreams.counters, "main", "a")->good_at_ms = 1;
    write_as(EXPOSITION_TEXT);
    check_line("imapstate_upstream_reachable{upstream=\"main\"} 1");
    upstream_counters_place(&desk.workers[1].upstreams.counters, "main", "a")->bad_at_ms = 2;
    write_as(EXPOSITION_TEXT);
    check_line("imapstate_upstream_reachable{upstream=\"main\"} 0");
}

TEST(what_another_process_has_counted_stands_in_its_family_with_a_label)
{
    static char clients[] = "imapstate_clients{process=\"old-7\",listener=\"plain\",state=\"closing\"} 3";
    static char saved[] = "imapstate_tokens_saved_total{process=\"old-7\"} 4";
    static char sum[] = "imapstate_login_seconds_sum{process=\"old-7\",upstream=\"main\",by=\"parked\"} 5";
    struct inherited_sample samples[] = { { saved, strlen("imapstate_tokens_saved_total"), 4 },
                                          { sum, strlen("imapstate_login_seconds_sum"), 5 },
                                          { clients, strlen("imapstate_clients"), 3 } };
    struct inherited old = { "old-7", samples, ARRAY_LEN(samples), ARRAY_LEN(samples) };
    const struct inheritance both = { &old, 1, 2 };
    for (unsigned i = 0; i < 2; i++) {
        inheritance = &both;
        write_as(i ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT);
        check_line(clients);
        check_line(saved);
        check_line("imapstate_predecessors{answer=\"told\"} 1");
        check_line("imapstate_predecessors{answer=\"silent\"} 2");
        check_line(sum);
        assert_true(strstr(text, sum) < strstr(text, "# HELP imapstate_restores"));
        const char *at = strstr(text, clients), *family = strstr(text, "# TYPE imapstate_clients gauge\n");
        assert_true(family && at > family && at < strstr(text, "# HELP imapstate_clients_accepted"));
        const char *end_of = strstr(strstr(text, saved), "\n");
        assert_true(strncmp(end_of, "\n# ", 3) == 0);
    }
}

TEST(if_nobody_was_asked_nothing_is_said_of_others)
{
    write_as(EXPOSITION_TEXT);
    assert_null(strstr(text, "imapstate_predecessors"));
}

int main(void)
{
#define EACH(sentence) cmocka_unit_test_setup_teardown(sentence, desk_begin, end)
    const struct CMUnitTest tests[] = {
        EACH(both_forms_end_in_EOF_and_the_names_begin_alike),
        EACH(a_counter_has_its_suffix_where_the_form_wants_it),
        EACH(a_histogram_is_cumulative_in_seconds),
        EACH(what_has_never_happened_is_there_as_zero),
        EACH(what_the_daemon_knows_of_itself_is_told),
        EACH(what_another_process_has_counted_stands_in_its_family_with_a_label),
        EACH(if_nobody_was_asked_nothing_is_said_of_others),
        EACH(a_name_cannot_break_out_of_its_quotes),
        EACH(an_upstream_that_nobody_has_tried_is_not_said_to_be_out_of_reach),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
