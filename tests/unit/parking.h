/* parking: connections to be parked, for tests: one end of a socket pair, the test has the other. Behind check.h. */
#ifndef TEST_PARKING_H
#define TEST_PARKING_H

#include "configfile.h"
#include "park.h"
#include "proof.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A service of the configuration in text, to which a listener is added. */
static inline struct service *parking_service(const char *text)
{
    char whole[2048];
    snprintf(whole, sizeof whole,
             "%s\nlistener \"plain\" { address = \"127.0.0.1:1143\" tls = \"none\" upstream = \"main\" }\n", text);
    struct config *config = configfile_parse("test.conf", whole, stderr);
    assert_non_null(config);
    struct service *service = service_load(config, NULL, stderr);
    assert_non_null(service);
    return service;
}

static inline struct proof_identity parking_identity(const char *user, const char *secret)
{
    return (struct proof_identity){
        .upstream = IMAPSTATE_SPAN("main"),
        .user = imapstate_span_of(user),
        .authentication = imapstate_span_of(user),
        .secret = imapstate_span_of(secret),
    };
}

/* A connection to the first upstream of service, not parked yet. state: "" is pristine. *ret_peer is the server's end,
 * which never blocks. */
static inline struct parked *parking_connection(struct service *service, struct proof *proof, const char *state,
                                                uint64_t now_ms, int *ret_peer)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    struct parked *parked = parked_new();
    assert_non_null(parked);
    parked->fd = ends[0];
    *ret_peer = ends[1];
    parked->kept.proof = park_proof_ref(proof);
    parked->service = service_ref(service);
    parked->config = &service->config->upstreams[0];
    parked->member = &parked->config->members[0];
    parked->kept.born_at_ms = parked->kept.parked_at_ms = parked->used_at_ms = now_ms;
    assert_true(imapstate_buf_put(&parked->kept.state, imapstate_span_of(state)));
    return parked;
}

/* Has the gateway's end been closed? Then what it said before is in ret_said. */
static inline bool parking_is_ended(int peer, char *ret_said, size_t size)
{
    size_t len = 0;
    ssize_t got;
    while (len + 1 < size && (got = read(peer, ret_said + len, size - 1 - len)) > 0)
        len += (size_t)got;
    ret_said[len] = '\0';
    return got == 0;
}

#endif
