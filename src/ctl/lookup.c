#include "lookup.h"

#include <ares.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

/* A name server that is silent for one family, as some are for AAAA, is given up before most would lose patience. */
#define LOOKUP_TIMEOUT_MS 2000
#define LOOKUP_TRIES      2

struct lookup_wait {
    struct lookup *lookup;
    bool is_over;
};

static void lookup_take(struct lookup *lookup, const struct sockaddr *sockaddr, socklen_t len)
{
    struct endpoint *endpoint = &lookup->endpoints[lookup->count];
    if (lookup->count == LOOKUP_MAX || len > sizeof endpoint->sockaddr)
        return;
    *endpoint = (struct endpoint){ .len = len };
    memcpy(&endpoint->sockaddr, sockaddr, len);
    lookup->count++;
}

static void lookup_on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    struct lookup_wait *wait = arg;
    wait->is_over = true;
    if (status != ARES_EDESTRUCTION)
        wait->lookup->why = ares_strerror(status);
    if (!found)
        return;
    for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next)
        lookup_take(wait->lookup, node->ai_addr, node->ai_addrlen);
    ares_freeaddrinfo(found);
}

/* What c-ares waits for. */
static nfds_t lookup_watch(ares_channel channel, struct pollfd ret_polls[ARES_GETSOCK_MAXNUM])
{
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    unsigned wants = (unsigned)ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
    nfds_t count = 0;
    for (; count < ARES_GETSOCK_MAXNUM; count++) {
        short events = (short)((ARES_GETSOCK_READABLE(wants, count) ? POLLIN : 0) |
                               (ARES_GETSOCK_WRITABLE(wants, count) ? POLLOUT : 0));
        if (!events)
            break;
        ret_polls[count] = (struct pollfd){ .fd = sockets[count], .events = events };
    }
    return count;
}

/* False: the time is up. */
static bool lookup_turn(ares_channel channel, uint64_t deadline_us)
{
    struct pollfd polls[ARES_GETSOCK_MAXNUM];
    uint64_t now_us = clock_us();
    if (now_us >= deadline_us)
        return false;
    uint64_t left_us = deadline_us - now_us;
    struct timeval left = { (time_t)(left_us / 1000000), (suseconds_t)(left_us % 1000000) }, until;
    const struct timeval *after = ares_timeout(channel, &left, &until);
    nfds_t count = lookup_watch(channel, polls);
    int ready = poll(polls, count, (int)(after->tv_sec * 1000 + after->tv_usec / 1000 + 1));
    for (nfds_t i = 0; ready > 0 && i < count; i++)
        ares_process_fd(channel, polls[i].revents & (POLLIN | POLLERR | POLLHUP) ? polls[i].fd : ARES_SOCKET_BAD,
                        polls[i].revents & POLLOUT ? polls[i].fd : ARES_SOCKET_BAD);
    ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    return true;
}

static void lookup_ask(struct lookup *lookup, const char *host, const char *port, uint64_t deadline_us)
{
    static const struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC,
                                                      .ai_socktype = SOCK_STREAM,
                                                      .ai_flags = ARES_AI_NUMERICSERV };
    struct ares_options options = { .timeout = LOOKUP_TIMEOUT_MS, .tries = LOOKUP_TRIES, .lookups = (char[]){ "fb" } };
    struct lookup_wait wait = { .lookup = lookup };
    ares_channel channel;
    int status = ares_init_options(&channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS);
    if (status != ARES_SUCCESS) {
        lookup->why = ares_strerror(status);
        return;
    }
    ares_getaddrinfo(channel, host, port, &hints, lookup_on_answer, &wait);
    while (!wait.is_over && lookup_turn(channel, deadline_us))
        ;
    ares_destroy(channel);
}

void lookup_host(struct lookup *ret_lookup, const char *host, const char *port, uint64_t deadline_us)
{
    uint16_t number;
    ret_lookup->count = 0;
    ret_lookup->why = NULL;
    if (endpoint_from_host(host, port, false, &ret_lookup->endpoints[0], &number)) {
        ret_lookup->count = 1;
        return;
    }
    ares_library_init(ARES_LIB_INIT_ALL);
    lookup_ask(ret_lookup, host, port, deadline_us);
    ares_library_cleanup();
}
