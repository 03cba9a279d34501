/* rig: whole sessions without a network: clients and connections to the server on a bare loop, their sockets wires
 * (wire.h), time an argument. Whoever has it plays both peers. Parked connections wait in the real park; the
 * configuration is read by the real reader.
 *
 * What must not be (a session that does not end, a descriptor that is left, a loop that spins) ends the process: it is
 * for unit tests and fuzz targets alike. One at a time. */
#ifndef TEST_RIG_H
#define TEST_RIG_H

#include "client.h"
#include "loop.h"
#include "service.h"
#include "upstream.h"
#include "upstreams.h"
#include "wire.h"

struct rig {
    struct loop loop;
    struct upstreams upstreams;
    struct clients clients;
    struct service *service; /* counted: the newest */
    uint64_t now_ms;
};

/* A listener and an upstream in the clear; options of either may follow it, and others go before. */
/* What the first client's first session is called. */
#define RIG_SESSION "0000000000000000.100"

#define RIG_LISTENER(options)                                                                                          \
    "listener \"plain\" { address = \"127.0.0.1:1143\" tls = \"none\" upstream = \"main\" " options " }\n"
#define RIG_UPSTREAM(options) "upstream \"main\" { address = \"127.0.0.1:143\" tls = \"none\" " options " }\n"
#define RIG_CONFIG            RIG_LISTENER("") RIG_UPSTREAM("")

/* With RIG_LOG in the environment all that is logged is shown. */
void rig_begin(struct rig *rig, const char *config);

/* Hangs up on everybody, waits, and looks that nothing is left. */
void rig_end(struct rig *rig);

/* As SIGHUP does. */
void rig_reload(struct rig *rig, const char *config);

/* As SIGTERM does. */
void rig_stop(struct rig *rig);

/* Lets the loop turn until there is nothing left to do, and so much time pass, each timer at its time. */
void rig_pass(struct rig *rig, uint64_t ms);

/* As the janitor does once a second. */
void rig_sweep(struct rig *rig);

/* A client connects to the first listener. NULL: it is refused, by its number. */
struct wire *rig_come(struct rig *rig);

/* The connection that the gateway has asked for, taken. NULL: it has asked for none. */
struct wire *rig_server(struct rig *rig);

/* Feeds octets, and rig_pass(0). */
void rig_say(struct rig *rig, struct wire *wire, const char *text);

/* --- what most tests begin with --- */

/* A client that has been greeted. If the gateway asks the server for its list before login, it has this one. */
struct wire *rig_greet(struct rig *rig, const char *list);

/* It logs in by "l LOGIN ann secret", and the server, which has this list, lets it in. The connection to the server is
 * returned; what both have heard has been taken. NULL: the gateway has not asked for one. */
struct wire *rig_log_in(struct rig *rig, struct wire *client, const char *user, const char *list);

/* Both: another client has been greeted, and a connection of ann's, whose list this is, is parked, pristine. */
struct wire *rig_greet_beside_parked(struct rig *rig, const char *list, struct wire **ret_client);

#endif
