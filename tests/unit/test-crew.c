#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "configfile.h"
#include "crew.h"
#include "endpoint.h"
#include "inquiry.h"
#include "log.h"
#include "loop.h"
#include "service.h"

#define LISTENERS 2

/* A crew of two workers with two listeners at free ports; their threads run. */
struct scene {
    struct loop home;
    struct inquiries inquiries;
    struct crew crew;
    struct service *service;
    struct endpoint at[LISTENERS];
    char *errors;
    size_t errors_len;
    FILE *out;
};

static void on_told(struct loop *loop)
{
}

static struct endpoint free_place(void)
{
    struct endpoint at = { 0 };
    assert_null(endpoint_parse("127.0.0.1:1", &at));
    at.sockaddr.in.sin_port = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, &at.sockaddr.any, at.len), 0);
    assert_int_equal(getsockname(fd, &at.sockaddr.any, &at.len), 0);
    close(fd);
    return at;
}

static struct service *load(struct scene *scene, unsigned workers, const char *more)
{
    char text[1024];
    snprintf(text, sizeof text,
             "workers = %u\nlistener a { address = \"127.0.0.1:%u\" tls = none }\n"
             "listener b { address = \"127.0.0.1:%u\" tls = none }\n%s"
             "upstream u { address = \"127.0.0.1:1\" tls = none }\n",
             workers, ntohs(scene->at[0].sockaddr.in.sin_port), ntohs(scene->at[1].sockaddr.in.sin_port), more);
    struct config *config = configfile_parse("x.conf", text, stderr);
    assert_non_null(config);
    struct service *service = service_load(config, NULL, scene->out);
    assert_non_null(service);
    return service;
}

static void scene_begin(struct scene *scene)
{
    *scene = (struct scene){ 0 };
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
    scene->out = open_memstream(&scene->errors, &scene->errors_len);
    for (size_t i = 0; i < LISTENERS; i++)
        scene->at[i] = free_place();
    assert_true(loop_init(&scene->home, 254, on_told));
    inquiries_init(&scene->inquiries, &scene->home);
    scene->crew.inquiries = &scene->inquiries;
    scene->crew.home = &scene->home;
    scene->service = load(scene, 2, "");
    assert_true(crew_make(&scene->crew, scene->service, scene->out));
    assert_true(crew_start(&scene->crew));
}

static void scene_end(struct scene *scene)
{
    crew_stop(&scene->crew);
    crew_join(&scene->crew);
    assert_true(crew_has_ended(&scene->crew));
    crew_done(&scene->crew);
    service_unref(scene->service);
    inquiries_done(&scene->inquiries);
    loop_done(&scene->home);
    fclose(scene->out);
    free(scene->errors);
}

static const char *said(struct scene *scene)
{
    fflush(scene->out);
    return scene->errors;
}

static bool is_open(const struct endpoint *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_connected = connect(fd, &at->sockaddr.any, at->len) == 0;
    close(fd);
    return is_connected;
}

static bool can_be_had(const struct endpoint *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool is_bound = bind(fd, &at->sockaddr.any, at->len) == 0;
    close(fd);
    return is_bound;
}

/* The workers let go of theirs in their own threads. One that refuses already may still have its address. */
static void wait_until_closed(const struct endpoint *at)
{
    while (is_open(at) || !can_be_had(at))
        usleep(1000);
}

TEST(a_listener_that_is_paused_refuses_until_it_is_resumed)
{
    struct scene scene;
    scene_begin(&scene);
    assert_true(crew_pause(&scene.crew, "a", scene.out));
    wait_until_closed(&scene.at[0]);
    assert_true(is_open(&scene.at[1]));
    assert_true(crew_pause(&scene.crew, "a", scene.out)); /* it is */
    assert_true(crew_resume(&scene.crew, "a", scene.out));
    assert_true(is_open(&scene.at[0]) && is_open(&scene.at[1]));
    scene_end(&scene);
}

TEST(all_can_be_paused_and_are_resumed_together)
{
    struct scene scene;
    scene_begin(&scene);
    assert_true(crew_pause(&scene.crew, "b", scene.out));
    assert_true(crew_pause(&scene.crew, NULL, scene.out));
    wait_until_closed(&scene.at[0]);
    wait_until_closed(&scene.at[1]);
    assert_false(crew_resume(&scene.crew, "a", scene.out));
    assert_non_null(strstr(said(&scene), "all listeners drain"));
    assert_true(crew_resume(&scene.crew, NULL, scene.out));
    assert_true(is_open(&scene.at[0]) && is_open(&scene.at[1]));
    scene_end(&scene);
}

TEST(there_is_no_other_listener)
{
    struct scene scene;
    scene_begin(&scene);
    assert_false(crew_pause(&scene.crew, "c", scene.out));
    assert_false(crew_resume(&scene.crew, "c", scene.out));
    assert_non_null(strstr(said(&scene), "there is no listener \"c\""));
    assert_true(is_open(&scene.at[0]) && is_open(&scene.at[1]));
    scene_end(&scene);
}

TEST(a_reload_leaves_a_paused_listener_as_it_is_and_opens_others)
{
    struct scene scene;
    struct crew_change change;
    char more[128];
    scene_begin(&scene);
    struct endpoint third = free_place();
    snprintf(more, sizeof more, "listener c { address = \"127.0.0.1:%u\" tls = none }\n",
             ntohs(third.sockaddr.in.sin_port));
    struct service *service = load(&scene, 3, more);
    assert_true(crew_pause(&scene.crew, "a", scene.out));
    assert_true(crew_prepare(&scene.crew, service, &change, scene.out));
    assert_true(change.is_whole);
    crew_follow(&scene.crew, &change);
    assert_int_equal(scene.crew.count, 3);
    wait_until_closed(&scene.at[0]);
    assert_true(is_open(&third) && is_open(&scene.at[1]));
    assert_true(crew_resume(&scene.crew, "a", scene.out));
    assert_true(is_open(&scene.at[0]));
    service_unref(service);
    scene_end(&scene);
}

TEST(an_address_that_is_somebody_elses_by_now_is_named)
{
    struct scene scene;
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    scene_begin(&scene);
    assert_true(crew_pause(&scene.crew, "a", scene.out));
    wait_until_closed(&scene.at[0]);
    setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(other, &scene.at[0].sockaddr.any, scene.at[0].len), 0);
    assert_int_equal(listen(other, 1), 0);
    assert_false(crew_resume(&scene.crew, "a", scene.out));
    assert_non_null(strstr(said(&scene), "listener \"a\": 127.0.0.1:"));
    close(other);
    assert_true(crew_resume(&scene.crew, "a", scene.out));
    assert_true(is_open(&scene.at[0]));
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_that_is_paused_refuses_until_it_is_resumed),
        cmocka_unit_test(all_can_be_paused_and_are_resumed_together),
        cmocka_unit_test(there_is_no_other_listener),
        cmocka_unit_test(a_reload_leaves_a_paused_listener_as_it_is_and_opens_others),
        cmocka_unit_test(an_address_that_is_somebody_elses_by_now_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
