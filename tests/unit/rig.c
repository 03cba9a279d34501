#include "rig.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients.h"
#include "configfile.h"
#include "list.h"
#include "log.h"
#include "park.h"
#include "peers.h"
#include "prelude.h"
#include "resolver.h"

/* Turns at one time, and times that come one after another, before it is said to spin. */
#define RIG_TURNS_MAX 100000u

#define RIG_BEGAN_MS 1000000u

/* Long enough for all to end: clients that may still be served after their end of file, and connections that are
 * made. */
#define RIG_END_MS 600000u

static void __attribute__((noreturn)) rig_fail(const char *what)
{
    fprintf(stderr, "rig: %s\n", what);
    abort();
}

/* What the clock on the wall shows, for tokens. */
#define RIG_WALL_S 1700000000

static const struct rig *current; /* NULL: the clock is the system's */

time_t __real_time(time_t *ret_time);
time_t __wrap_time(time_t *ret_time);

time_t __wrap_time(time_t *ret_time)
{
    return current && !ret_time ? RIG_WALL_S + (time_t)(current->now_ms / 1000) : __real_time(ret_time);
}

ssize_t __wrap_getrandom(void *ret_octets, size_t len, unsigned flags);

/* The names of sessions are the same each time: RIG_SESSION. libsodium has random numbers of its own. */
ssize_t __wrap_getrandom(void *ret_octets, size_t len, unsigned flags)
{
    memset(ret_octets, 0, len);
    return (ssize_t)len;
}

static struct rig *rig_of(struct loop *loop)
{
    return list_entry(loop, struct rig, loop);
}

static void rig_on_told(struct loop *loop)
{
    clients_round_ended(&rig_of(loop)->clients);
    upstreams_told(&rig_of(loop)->upstreams);
}

static struct service *rig_load(const char *text, const struct service *previous)
{
    FILE *nowhere = fopen("/dev/null", "w");
    struct config *config = configfile_parse("rig.conf", text, stderr);
    struct service *service = config && nowhere ? service_load(config, previous, nowhere) : NULL;
    if (!service)
        rig_fail("the configuration cannot be used");
    fclose(nowhere);
    return service;
}

void rig_begin(struct rig *rig, const char *config)
{
    *rig = (struct rig){ .now_ms = RIG_BEGAN_MS };
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, getenv("RIG_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    wires_begin();
    current = rig;
    loop_init_bare(&rig->loop, 0, rig_on_told);
    rig->loop.watches.is_ready = wire_is_ready;
    loop_pass(&rig->loop, rig->now_ms);
    rig->service = rig_load(config, NULL);
    upstreams_init(&rig->upstreams, &rig->loop);
    clients_init(&rig->clients, &rig->upstreams, rig->service);
    park_configure(rig->service->config);
}

void rig_reload(struct rig *rig, const char *config)
{
    struct service *service = rig_load(config, rig->service);
    clients_begin_with(&rig->clients, service_ref(service), revocations_ref(service->revocations));
    park_configure(service->config);
    service_unref(rig->service);
    rig->service = service;
    rig_pass(rig, 0);
}

void rig_stop(struct rig *rig)
{
    rig->loop.is_stopping = true;
    clients_stop(&rig->clients, false);
    upstreams_abandon_scouts(&rig->upstreams);
    rig_pass(rig, 0);
}

static void rig_hang_up(void)
{
    for (struct wire *wire; (wire = wire_asked());)
        wire_refuse(wire, 0);
    wires_hang_up();
}

void rig_end(struct rig *rig)
{
    rig_pass(rig, 0);
    rig_stop(rig);
    rig_hang_up();
    rig_pass(rig, 0);
    rig_hang_up();
    rig_pass(rig, RIG_END_MS);
    if (!clients_are_gone(&rig->clients))
        rig_fail("a client is left");
    clients_stop(&rig->clients, true);
    upstreams_abandon(&rig->upstreams);
    rig_pass(rig, 0);
    if (!upstreams_are_gone(&rig->upstreams))
        rig_fail("a connection to the server is left");
    if (peers_count() != 0)
        rig_fail("a client that is gone counts");
    park_done();
    if (wires_count() != 0)
        rig_fail("a descriptor is left");
    loop_done(&rig->loop);
    clients_done(&rig->clients);
    upstreams_done(&rig->upstreams);
    if (rig->service->references != 1)
        rig_fail("a configuration is still in use");
    service_unref(rig->service);
    prelude_done();
    resolver_done();
    wires_end();
    current = NULL;
}

/* --- time --- */

static void rig_turn(struct rig *rig)
{
    for (unsigned turns = 0; loop_pass(&rig->loop, rig->now_ms); turns++)
        if (turns == RIG_TURNS_MAX)
            rig_fail("the loop spins");
}

void rig_pass(struct rig *rig, uint64_t ms)
{
    uint64_t until_ms = rig->now_ms + ms, first_ms;
    rig_turn(rig);
    for (unsigned times = 0; (first_ms = agenda_first_ms(&rig->loop.agenda)) <= until_ms; times++) {
        if (times == RIG_TURNS_MAX)
            rig_fail("timers spin");
        rig->now_ms = first_ms > rig->now_ms ? first_ms : rig->now_ms;
        rig_turn(rig);
    }
    rig->now_ms = until_ms;
    rig_turn(rig);
}

void rig_sweep(struct rig *rig)
{
    struct list tired;
    list_init(&tired);
    park_sweep(rig->now_ms, &tired);
    list_each_safe(link, &tired)
    {
        struct parked *parked = list_entry(link, struct parked, age_link);
        list_remove(&parked->age_link);
        upstreams_wake(&rig->upstreams, parked, NULL, NULL);
    }
    rig_pass(rig, 0);
}

/* --- peers --- */

static struct address rig_address(uint8_t last, uint16_t port)
{
    const struct sockaddr_in in = { .sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr.s_addr = htonl(0x7f000000u | last) };
    struct address address;
    address_set(&address, (const struct sockaddr *)&in);
    return address;
}

struct wire *rig_come(struct rig *rig)
{
    const struct config *config = rig->clients.service->config;
    const struct address local = rig_address(1, 1143), peer = rig_address(2, 40000);
    struct peers_place place = { peer, client_may_be_newcomer(&config->listeners[0], &peer) };
    struct peers_limits limits = {
        .max = config->max_clients,
        .max_per_address = config->listeners[0].accept_proxy ? 0 : config->max_clients_per_address,
        .max_newcomers_per_address = config->max_unauthenticated_per_address,
    };
    enum peers_result result = peers_add(&place, &limits);
    if (result == PEERS_FULL && clients_make_room(&rig->clients))
        result = peers_add(&place, &limits);
    if (result != PEERS_OK)
        return NULL;
    struct wire *wire = wire_new();
    if (!clients_accept(&rig->clients, &config->listeners[0], wire->fd, &place, &local))
        rig_fail("out of memory");
    rig_pass(rig, 0);
    return wire;
}

struct wire *rig_server(struct rig *rig)
{
    rig_pass(rig, 0);
    struct wire *wire = wire_asked();
    if (!wire)
        return NULL;
    wire_accept(wire);
    rig_pass(rig, 0);
    return wire;
}

void rig_say(struct rig *rig, struct wire *wire, const char *text)
{
    wire_feed(wire, imapstate_span_of(text));
    rig_pass(rig, 0);
}

/* --- beginnings --- */

static void rig_say_line(struct rig *rig, struct wire *wire, const char *before, const char *between, const char *after)
{
    char line[8192];
    snprintf(line, sizeof line, "%s%s%s\r\n", before, between, after);
    rig_say(rig, wire, line);
}

/* The connection by which the gateway asks for the list before login. */
static void rig_play_scout(struct rig *rig, struct wire *server, const char *list)
{
    rig_say_line(rig, server, "* OK [CAPABILITY ", list, "] ready");
    rig_say_line(rig, server, "* CAPABILITY ", list, "\r\nimapstate OK done");
    if (strstr(wire_take(server), "imapstate ID "))
        rig_say(rig, server, "* ID (\"name\" \"rig\")\r\nimapstate OK done\r\n");
    rig_say(rig, server, "* BYE\r\nimapstate OK bye\r\n");
    wire_end(server);
    rig_pass(rig, 0);
}

struct wire *rig_greet(struct rig *rig, const char *list)
{
    struct wire *client = rig_come(rig), *scout = client ? rig_server(rig) : NULL;
    if (scout)
        rig_play_scout(rig, scout, list);
    if (!client || strncmp(wire_take(client), "* OK ", 5) != 0)
        rig_fail("a client is not greeted");
    return client;
}

struct wire *rig_log_in(struct rig *rig, struct wire *client, const char *user, const char *list)
{
    rig_say_line(rig, client, "l LOGIN ", user, " secret");
    struct wire *server = rig_server(rig);
    if (!server)
        return NULL;
    rig_say_line(rig, server, "* OK [CAPABILITY ", list, "] ready");
    rig_say_line(rig, server, "l OK [CAPABILITY ", list, "] logged in");
    if (strncmp(wire_take(client), "l OK ", 5) != 0)
        rig_fail("a client is not let in");
    wire_take(server);
    return server;
}

struct wire *rig_greet_beside_parked(struct rig *rig, const char *list, struct wire **ret_client)
{
    struct wire *before = rig_greet(rig, list), *server = rig_log_in(rig, before, "ann", list);
    if (!server)
        rig_fail("no connection to the server");
    rig_say(rig, before, "z LOGOUT\r\n");
    wire_end(before);
    rig_pass(rig, 0);
    if (park_count() != 1)
        rig_fail("a connection is not parked");
    *ret_client = rig_greet(rig, list);
    return server;
}
