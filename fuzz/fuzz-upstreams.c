/* Property: whatever a server says, in whatever pieces and after whatever time, and whatever becomes of its connection
 * meanwhile: the owner is told in the order that upstream.h promises, a connection is parked only between two responses
 * with all its chores done, nothing is left over, and the loop comes to rest. */
#include "fuzz.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>

#include "config.h"
#include "configfile.h"
#include "connecting.h"
#include "log.h"
#include "loop.h"
#include "park.h"
#include "pipeline.h"
#include "prelude.h"
#include "proof.h"
#include "pulse.h"
#include "resolver.h"
#include "service.h"
#include "settling.h"
#include "upstream.h"
#include "upstreams.h"
#include "waking.h"
#include "wire.h"

#define TURNS_MAX 10000

#define CONFIG(address, settings)                                                                                      \
    "upstream \"main\" { address = \"" address "\" connect_timeout = \"5s\" answer_timeout = \"7s\" " settings " }\n"  \
    "park { per_user = 2 max = 3 time = \"60s\" lifetime = \"600s\" keepalive = \"20s\" }\n"                           \
    "listener \"plain\" { address = \"127.0.0.1:1143\" tls = \"none\" upstream = \"main\" }\n"

static const char *const texts[] = {
    CONFIG("192.0.2.1:143", "tls = \"none\""),
    CONFIG("mail.example:143", "tls = \"none\""),
    CONFIG("192.0.2.1:143", "tls = \"starttls\""),
    CONFIG("mail.example:143", "tls = \"none\" send_client_address = \"proxy-v2\""),
    CONFIG("192.0.2.1:143", "tls = \"none\" send_client_address = \"id\""),
};
#define TEXTS (sizeof texts / sizeof *texts)

/* What chance alone would hardly find. */
static const char *const lines[] = {
    "* OK hello\r\n",
    "* OK [CAPABILITY IMAP4rev1] hello\r\n",
    "* OK [CAPABILITY STARTTLS] hello\r\n",
    "* BYE full\r\n",
    "* PREAUTH\r\n",
    "* CAPABILITY IMAP4rev1 ID\r\n",
    "imapstate OK\r\n",
    "imapstate NO\r\n",
    "* ID (\"name\" {1}\r\nX)\r\n",
    "* NO [ALERT] disk\r\n",
    "* 1 FETCH (X {3}\r\nabc)\r\n",
    "* 1 FETCH (X {3}\r\n",
    "* ENABLED QRESYNC\r\n",
    "imapstate-2 OK\r\n",
    "imapstate-4 NO\r\n",
    "imapstate-8 NO\r\n",
    "imapstate-16 OK\r\n",
    "imapstate-32 OK\r\n",
    "imapstate-32 OK [ALERT] full\r\n",
    "a7 OK\r\n",
    "imapstate-wake OK\r\n",
};
#define LINES (sizeof lines / sizeof *lines)

static struct service *services[TEXTS];

static struct {
    struct loop loop;
    struct upstreams upstreams;
    struct service *service;
    struct upstream *upstream; /* the owner's */
    struct upstream *resting;  /* it waits for its end */
    struct wire *wire;         /* that was asked for last; NULL: none, or it is closed */
    const struct wire *greeted;
    uint64_t now_ms;
    bool may_be_prepared;
} scene;

static void on_told(struct loop *loop)
{
    upstreams_told(&scene.upstreams);
}

static void on_upstream(void *owner, enum upstream_event event, struct upstream *upstream, struct imapstate_span words)
{
    CHECK(owner == &scene);
    if (event == UPSTREAM_PREPARED && upstream != scene.resting)
        scene.upstream = upstream; /* perhaps in the place of another one, which has ended */
    CHECK(upstream ==
          (event == UPSTREAM_RESTED || upstream->state == UPSTREAM_SETTLING ? scene.resting : scene.upstream));
    switch (event) {
    case UPSTREAM_PREPARED:
        CHECK(scene.may_be_prepared && upstream->state == UPSTREAM_READY && !upstream->opening);
        scene.may_be_prepared = false;
        break;
    case UPSTREAM_TOLD:
        CHECK(upstream->opening && words.len > 0); /* perhaps by one that races it */
        break;
    case UPSTREAM_HEARD:
        CHECK(upstream->state == UPSTREAM_LOGGING_IN || upstream->state == UPSTREAM_ATTACHED);
        break;
    case UPSTREAM_DRAINED:
        break;
    case UPSTREAM_RESTED:
        /* Without a descriptor: it was given to the park. */
        CHECK(upstream->stream.fd >= 0 || (upstream->chores == 0 && imapstate_frame_is_between(&upstream->frame)));
        scene.resting = NULL;
        break;
    case UPSTREAM_LOST:
        CHECK(upstream->state == UPSTREAM_DEAD && words.len > 0 && words.at[words.len] == '\0');
        CHECK(strcmp((const char *)words.at, "unforeseen state") != 0);
        scene.upstream = NULL;
        break;
    }
}

static const struct logmark mark = { .client = 1, .session = 1 };
static const struct upstream_owner own = { on_upstream, &scene, &mark };

static void turn(uint64_t ms)
{
    scene.now_ms += ms;
    for (int turns = 0; loop_pass(&scene.loop, scene.now_ms); turns++)
        CHECK(turns < TURNS_MAX);
    struct wire *asked = wire_asked();
    if (asked)
        scene.wire = asked;
    if (scene.wire && scene.wire->is_closed)
        scene.wire = NULL;
}

/* --- what is parked --- */

static struct proof_identity identity(void)
{
    return (struct proof_identity){ IMAPSTATE_SPAN("main"), IMAPSTATE_SPAN("ann"), IMAPSTATE_SPAN("ann"),
                                    IMAPSTATE_SPAN("secret") };
}

static struct parked *take_parked(void)
{
    struct proof_identity ann = identity();
    return park_match(&ann, scene.now_ms, NULL);
}

static void settle(struct upstream *upstream, uint8_t chores, bool is_awaited)
{
    struct pipeline pipeline = { 0 };
    if (chores & SETTLING_DONE) {
        CHECK(pipeline_push(&pipeline, imapstate_command_find(IMAPSTATE_SPAN("IDLE")), IMAPSTATE_SPAN("a7")));
        upstream->idle = pipeline_take(&pipeline, IMAPSTATE_SPAN("a7"));
    }
    scene.upstream = NULL;
    if (scene.resting)
        upstream_disown(scene.resting);
    scene.resting = is_awaited ? upstream : NULL;
    settling_begin(upstream, chores & 63, is_awaited);
}

/* As a client does when it has no upstream, or one that is READY and so on: only what it may. */
static void act(uint8_t what)
{
    struct upstream *upstream = scene.upstream;
    struct upstream_ends ends = { &(struct address){ AF_INET, 1, { 1 } }, &(struct address){ AF_INET, 2, { 2 } } };
    const struct config_upstream *config = &scene.service->config->upstreams[0];
    if (!upstream) {
        struct imapstate_buf alerts;
        imapstate_buf_init(&alerts, 1u << 16);
        struct parked *parked = what & 1 ? take_parked() : NULL;
        scene.may_be_prepared = !parked;
        if (parked)
            scene.upstream = upstreams_wake(&scene.upstreams, parked, &own, &alerts);
        else
            scene.upstream = upstreams_open(&scene.upstreams, scene.service, config, &own, &ends);
        if (scene.upstream && !parked && what & 2)
            connecting_put_off(scene.upstream, what);
        imapstate_buf_done(&alerts);
        return;
    }
    if (what % 5 == 0) {
        scene.upstream = NULL;
        upstream_release(upstream, what & 8);
        return;
    }
    switch (upstream->state) {
    case UPSTREAM_READY:
        scene.may_be_prepared = what & 1 && upstream->before_login.id && !upstream->has_sent_id;
        if (scene.may_be_prepared) {
            connecting_send_id(upstream, IMAPSTATE_SPAN("NIL"));
        } else {
            upstream_log_in(upstream);
            stream_start(&upstream->stream);
        }
        break;
    case UPSTREAM_LOGGING_IN:
        upstream_attach(upstream);
        if (!upstream->kept.proof) {
            struct proof_identity ann = identity();
            upstream->kept.proof = park_prove(&ann, scene.now_ms);
        }
        break;
    case UPSTREAM_ATTACHED:
        stream_consume(&upstream->stream, stream_input(&upstream->stream).len);
        if (what % 5 == 1 && upstream->is_woken && !upstream->is_asked_ahead)
            waking_say(upstream, IMAPSTATE_SPAN("NOOP"));
        else if (upstream->kept.proof && !upstream->is_asked_ahead)
            settle(upstream, what, what & 64);
        stream_flush(&upstream->stream);
        break;
    default:
        break;
    }
}

static enum prelude_turn ask(void)
{
    uint32_t round;
    return prelude_take_turn("main", scene.service->config->upstreams[0].members[0].text, scene.now_ms, &round);
}

static void scout(void)
{
    const struct config_upstream *upstream = &scene.service->config->upstreams[0];
    if (ask() == PRELUDE_ASK)
        upstreams_scout(&scene.upstreams, scene.service, upstream, &upstream->members[0]);
}

static void answer_name(uint8_t count)
{
    char name[RESOLVER_NAME_MAX];
    uint32_t era = resolver_era();
    struct resolver_answer *answer = calloc(1, sizeof *answer);
    CHECK(answer);
    answer->why = "no such name";
    answer->families[RESOLVER_IPV6].finding = RESOLVER_NONE;
    answer->families[RESOLVER_IPV4].finding = count > 0 ? RESOLVER_FOUND : RESOLVER_NONE;
    answer->families[RESOLVER_IPV4].ttl_s = 60;
    for (uint8_t i = 0; i < count; i++)
        resolver_add(&answer->families[RESOLVER_IPV4],
                     &(struct address){ .family = AF_INET, .octets = { 192, 0, 2, (uint8_t)(i + 1) } });
    if (resolver_take_wanted(era, name))
        resolver_learn(name, era, answer, scene.now_ms);
    free(answer);
    loop_poke_all();
}

/* As the janitor does. */
static void sweep(void)
{
    struct list tired;
    list_init(&tired);
    park_sweep(scene.now_ms, &tired);
    list_each_safe(link, &tired)
    {
        struct parked *parked = list_entry(link, struct parked, age_link);
        list_remove(&parked->age_link);
        upstreams_wake(&scene.upstreams, parked, NULL, NULL);
    }
}

static void say(struct imapstate_span octets)
{
    if (!scene.wire)
        return;
    if (scene.wire->state == WIRE_CONNECTING)
        wire_accept(scene.wire);
    wire_feed(scene.wire, octets);
}

static bool begins_with(struct imapstate_span line, const char *text)
{
    size_t len = strlen(text);
    return line.len >= len && memcmp(line.at, text, len) == 0;
}

static void answer(struct imapstate_span line)
{
    const uint8_t *sp = memchr(line.at, ' ', line.len);
    if (begins_with(line, "DONE"))
        say(IMAPSTATE_SPAN("a7 OK\r\n"));
    if (!begins_with(line, "imapstate") || !sp)
        return;
    struct imapstate_span tag = { line.at, (size_t)(sp - line.at) }, command = { sp + 1, line.len - tag.len - 1 };
    if (begins_with(command, "CAPABILITY"))
        say(IMAPSTATE_SPAN("* CAPABILITY IMAP4rev1 ID\r\n"));
    say(tag);
    say(begins_with(command, "EXAMINE") || begins_with(command, "CHECK") ? IMAPSTATE_SPAN(" NO\r\n")
                                                                         : IMAPSTATE_SPAN(" OK\r\n"));
}

/* The server does what every server does: chance alone would hardly get beyond a login. */
static void oblige(void)
{
    if (!scene.wire)
        return;
    if (!scene.wire->is_shut && scene.wire->out.len == 0 && scene.wire != scene.greeted)
        say(IMAPSTATE_SPAN("* OK hello\r\n"));
    scene.greeted = scene.wire;
    struct imapstate_span out = imapstate_buf_span(&scene.wire->out);
    for (const uint8_t *lf; out.len > 0 && (lf = memchr(out.at, '\n', out.len));) {
        struct imapstate_span line = { out.at, (size_t)(lf + 1 - out.at) };
        answer(line);
        out = (struct imapstate_span){ out.at + line.len, out.len - line.len };
    }
    imapstate_buf_clear(&scene.wire->out);
}

/* One step: what (1 octet), how much (1). Gives how many octets of the input it takes besides. */
static size_t step(uint8_t what, uint8_t much, struct imapstate_span rest)
{
    size_t len = much < rest.len ? much : rest.len;
    switch (what % 16) {
    case 0:
    case 1:
    case 2:
        act(much);
        return 0;
    case 3:
        say((struct imapstate_span){ rest.at, len });
        return len;
    case 4:
        turn(much);
        return 0;
    case 5:
        turn(1000u * (much % 16));
        return 0;
    case 6:
        if (scene.wire && scene.wire->state == WIRE_CONNECTING)
            wire_refuse(scene.wire, ECONNREFUSED);
        else if (scene.wire)
            wire_end(scene.wire);
        return 0;
    case 7:
        if (scene.wire && scene.wire->state == WIRE_OPEN)
            wire_reset(scene.wire);
        return 0;
    case 8:
        if (scene.wire)
            scene.wire->piece = much % 8;
        return 0;
    case 9:
        answer_name(much % 4);
        return 0;
    case 10:
        scout();
        return 0;
    case 11:
        sweep();
        return 0;
    case 12:
    case 13:
        oblige();
        return 0;
    default:
        say(imapstate_span_of(lines[much % LINES]));
        return 0;
    }
}

static void begin(uint8_t text)
{
    wires_begin();
    loop_init_bare(&scene.loop, 0, on_told);
    scene.loop.watches.is_ready = wire_is_ready;
    upstreams_init(&scene.upstreams, &scene.loop);
    scene.service = services[text % TEXTS];
    park_configure(scene.service->config);
    scene.now_ms = 1000000;
    scene.upstream = scene.resting = NULL;
    scene.wire = NULL;
    scene.greeted = NULL;
    turn(0);
}

/* Whatever is under way ends by itself, be it that nobody says anything any more. */
static void end(void)
{
    if (scene.upstream)
        upstream_release(scene.upstream, true);
    scene.upstream = NULL;
    if (scene.resting)
        upstream_disown(scene.resting);
    for (unsigned minutes = 0; minutes < 10 && !upstreams_are_gone(&scene.upstreams); minutes++)
        turn(60000);
    CHECK(upstreams_are_gone(&scene.upstreams));
    CHECK(wires_count() == park_count());
    park_done();
    CHECK(wires_count() == 0);
    CHECK(ask() != PRELUDE_ASKED);
    prelude_done();
    resolver_done();
    pulse_done();
    loop_done(&scene.loop);
    upstreams_done(&scene.upstreams);
    wires_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (len < 1)
        return 0;
    begin(at[0]);
    struct imapstate_span in = { at + 1, len - 1 };
    act(0);
    while (in.len >= 2) {
        uint8_t what = in.at[0];
        struct imapstate_span rest = { in.at + 2, in.len - 2 };
        size_t taken = step(what, in.at[1], rest);
        in = (struct imapstate_span){ rest.at + taken, rest.len - taken };
        if (!(what & 128)) /* else more comes at the same time */
            turn(0);
    }
    end();
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    CHECK(sodium_init() >= 0);
    signal(SIGPIPE, SIG_IGN);
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
    for (size_t i = 0; i < TEXTS; i++) {
        struct config *config = configfile_parse("fuzz.conf", texts[i], stderr);
        CHECK(config);
        services[i] = service_load(config, NULL, stderr);
        CHECK(services[i]);
    }
    return 0;
}
