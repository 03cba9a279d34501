/* scene: connections to a server on a bare loop, where the test is the server, the owner and the clock. Behind check.h.
 * Link wire.c. */
#ifndef TEST_SCENE_H
#define TEST_SCENE_H

#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "loop.h"
#include "offers.h"
#include "parking.h"
#include "prelude.h"
#include "pulse.h"
#include "resolver.h"
#include "upstream.h"
#include "upstreams.h"
#include "wire.h"

#define SCENE_MEMBER             "192.0.2.1:143"
#define SCENE_UPSTREAM(settings) "upstream \"main\" { address = \"" SCENE_MEMBER "\" " settings " }\n"

static struct scene {
    struct loop loop;
    struct upstreams upstreams;
    struct service *service;
    const struct config_upstream *config;
    struct wire *wire; /* of the connection that was asked for last */
    uint64_t now_ms;
    char order[64];            /* P T H D R L, in the order in which the owner was told */
    char why[256];             /* LOST */
    struct imapstate_buf told; /* TOLD: the lines */
    unsigned asked;            /* connections */
} scene;

static const struct address scene_peer = { AF_INET, 4711, { 203, 0, 113, 7 } },
                            scene_local = { AF_INET, 993, { 198, 51, 100, 2 } };

static inline void scene_on_upstream(void *owner, enum upstream_event event, struct upstream *upstream,
                                     struct imapstate_span words)
{
    size_t len = strlen(scene.order);
    assert_ptr_equal(owner, &scene);
    assert_true(len + 1 < sizeof scene.order);
    scene.order[len] = "PTHDRL"[event];
    scene.order[len + 1] = '\0';
    if (event == UPSTREAM_TOLD)
        assert_true(imapstate_buf_put(&scene.told, words));
    if (event == UPSTREAM_LOST) {
        assert_int_equal(words.at[words.len], '\0');
        snprintf(scene.why, sizeof scene.why, "%s", (const char *)words.at);
    }
}

static const struct logmark scene_mark = { .client = 0xace, .session = 0xace };
static const struct upstream_owner scene_owner = { scene_on_upstream, &scene, &scene_mark };
static const struct upstream_ends scene_ends = { &scene_peer, &scene_local };

/* What main() returns. */
#define SCENE_RUN(tests)                                                                                               \
    (signal(SIGPIPE, SIG_IGN), sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, scene_forget))

static inline void scene_on_told(struct loop *loop)
{
    upstreams_told(&scene.upstreams);
}

/* The last one is kept: to load it takes longer than most scenes. */
static inline struct service *scene_service(const char *text)
{
    static struct service *loaded;
    static char of[1024];
    if (!text || strcmp(text, of) != 0) {
        service_unref(loaded);
        loaded = text ? parking_service(text) : NULL;
        snprintf(of, sizeof of, "%s", text ? text : "");
    }
    return text ? service_ref(loaded) : NULL;
}

static inline int scene_forget(void **state)
{
    scene_service(NULL);
    return 0;
}

static inline void scene_begin(const char *text)
{
    /* After a test that has failed in the middle, connections are left that no other can end. */
    if (scene.service) {
        fprintf(stderr, "the test before has not come to its end\n");
        exit(1);
    }
    scene = (struct scene){ 0 };
    wires_begin();
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
    loop_init_bare(&scene.loop, 0, scene_on_told);
    scene.loop.watches.is_ready = wire_is_ready;
    upstreams_init(&scene.upstreams, &scene.loop);
    scene.service = scene_service(text);
    scene.config = &scene.service->config->upstreams[0];
    park_configure(scene.service->config);
    imapstate_buf_init(&scene.told, 1u << 16);
    scene.now_ms = 1000000;
    loop_pass(&scene.loop, scene.now_ms);
}

/* All that is ready, and due by now. */
static inline void scene_turn(void)
{
    for (int turns = 0; loop_pass(&scene.loop, scene.now_ms); turns++)
        assert_true(turns < 10000);
    struct wire *asked = wire_asked();
    if (asked && asked != scene.wire) {
        scene.wire = asked;
        scene.asked++;
    }
}

static inline void scene_wait(uint64_t ms)
{
    scene.now_ms += ms;
    scene_turn();
}

/* Nothing is left over: no connection, no memory (with the sanitizers). */
static inline void scene_end(void)
{
    upstreams_abandon(&scene.upstreams);
    scene_turn();
    assert_true(upstreams_are_gone(&scene.upstreams));
    park_done();
    assert_int_equal(wires_count(), 0);
    prelude_done();
    pulse_done();
    resolver_done();
    loop_done(&scene.loop);
    upstreams_done(&scene.upstreams);
    wires_end();
    service_unref(scene.service);
    imapstate_buf_done(&scene.told);
    scene.service = NULL;
}

static inline struct upstream *scene_open(void)
{
    struct upstream *upstream =
        upstreams_open(&scene.upstreams, scene.service, scene.config, &scene_owner, &scene_ends);
    assert_non_null(upstream);
    scene_turn();
    return upstream;
}

/* The server takes the connection. */
static inline void scene_accept(void)
{
    wire_accept(scene.wire);
    scene_turn();
}

/* It says something, in one piece; len octets of it. */
static inline void scene_say_some(const char *octets, size_t len)
{
    wire_feed(scene.wire, (struct imapstate_span){ (const uint8_t *)octets, len });
    scene_turn();
}

static inline void scene_say(const char *octets)
{
    scene_say_some(octets, strlen(octets));
}

/* What it has heard since the last time is this. */
static inline bool scene_hears(const char *want)
{
    bool is_same = imapstate_span_equal(imapstate_buf_span(&scene.wire->out), imapstate_span_of(want));
    if (!is_same)
        check_print_span("heard", imapstate_buf_span(&scene.wire->out));
    imapstate_buf_clear(&scene.wire->out);
    return is_same;
}

/* A connection that is READY. */
static inline struct upstream *scene_open_ready(const char *names)
{
    struct upstream *upstream = scene_open();
    scene_accept();
    scene_say("* OK hello\r\n");
    assert_true(scene_hears("imapstate CAPABILITY\r\n"));
    char answer[512];
    snprintf(answer, sizeof answer, "* CAPABILITY %s\r\nimapstate OK done\r\n", names);
    scene_say(answer);
    assert_string_equal(scene.order, "TTTP");
    scene.order[0] = '\0';
    imapstate_buf_clear(&scene.told);
    return upstream;
}

/* One on which somebody has logged in, and whose proof is good: it may be parked. */
static inline struct upstream *scene_open_attached(void)
{
    struct proof_identity identity = parking_identity("ann", "secret");
    struct upstream *upstream = scene_open_ready("IMAP4rev1");
    upstream_log_in(upstream);
    upstream_attach(upstream);
    stream_start(&upstream->stream);
    upstream->kept.proof = park_prove(&identity, scene.now_ms);
    assert_non_null(upstream->kept.proof);
    upstream->kept.offers = offers_new(IMAPSTATE_SPAN("IMAP4rev1"));
    assert_non_null(upstream->kept.offers);
    return upstream;
}

#endif
