#include "listener.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "address.h"
#include "client.h"
#include "clientcounters.h"
#include "clients.h"
#include "log.h"
#include "logline.h"
#include "loop.h"
#include "network.h"
#include "peers.h"
#include "rate.h"
#include "room.h"
#include "sockets.h"

/* Connections accepted in one go, before those that are there get their turn. */
#define LISTENER_BATCH 64
/* How many silent clients make room for one, if the places that they leave are taken by others. */
#define LISTENER_TRIES 8
/* How long nobody is accepted if not even a refusal is possible. */
#define LISTENER_PAUSE_US 100000

/* Whoever accepts holds it for reading; for writing, whoever has given up its reserve for a moment: nobody else is to
 * get that descriptor. */
static pthread_rwlock_t listener_reserves = PTHREAD_RWLOCK_INITIALIZER;

/* --- a worker's share --- */

/* Descriptors that several workers watch each wake one of them at a time. */
static bool listener_share_socket(struct listener *listener)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
    listener->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return listener->epoll_fd >= 0 && epoll_ctl(listener->epoll_fd, EPOLL_CTL_ADD, listener->fd, &event) == 0;
}

static bool listener_take_socket(struct listener *listener, const struct sockets_place *place, unsigned at,
                                 unsigned workers)
{
    listener->fd = fcntl(place->fds[at], F_DUPFD_CLOEXEC, 0);
    listener->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (listener->fd < 0 || listener->reserve_fd < 0)
        return false;
    /* With fewer sockets than workers, which some have alone and others not, all are treated as shared. */
    return place->count >= workers || listener_share_socket(listener);
}

/* Every socket is somebody's: who is in its queue is to be served, however many sockets and workers there are. */
static bool listener_share_place(const struct sockets_place *place, size_t section, unsigned worker, unsigned workers,
                                 struct listener *listeners, size_t *count)
{
    unsigned step = place->count < workers ? place->count : workers;
    for (unsigned at = worker % step; at < place->count; at += workers) {
        struct listener *listener = &listeners[(*count)++];
        *listener = (struct listener){ .index = section, .fd = -1, .epoll_fd = -1, .reserve_fd = -1 };
        if (!listener_take_socket(listener, place, at, workers))
            return false;
    }
    return true;
}

static size_t listener_socket_count(const struct sockets *sockets)
{
    size_t count = 0;
    for (size_t i = 0; i < sockets->count; i++)
        count += sockets->places[i].count;
    return count;
}

bool listeners_share(const struct config *config, const struct sockets *sockets, unsigned worker, unsigned workers,
                     struct listener **ret_listeners, size_t *ret_count)
{
    struct listener *listeners = calloc(listener_socket_count(sockets) + 1, sizeof *listeners);
    size_t count = 0;
    bool is_shared = listeners;
    for (size_t i = 0; is_shared && worker < workers && i < config->listener_count; i++)
        for (size_t j = 0; is_shared && j < config->listeners[i].address_count; j++) {
            const struct sockets_place *place = sockets_find(sockets, &config->listeners[i].addresses[j].endpoint);
            if (place)
                is_shared = listener_share_place(place, i, worker, workers, listeners, &count);
        }
    if (is_shared) {
        *ret_listeners = listeners;
        *ret_count = count;
        return true;
    }
    int error = errno;
    listeners_free(listeners, count);
    errno = error;
    return false;
}

void listeners_free(struct listener *listeners, size_t count)
{
    for (size_t i = 0; i < count; i++)
        listener_done(&listeners[i]);
    free(listeners);
}

/* --- accepting --- */

/* A client that cannot be served hears so. In clear only: for more than that it would need what we are short of. */
static void listener_say_bye(const struct config_listener *section, int fd)
{
    static const char bye[] = "* BYE [UNAVAILABLE] Too many connections, try again later\r\n";
    if (section->tls != CONFIG_TLS_IMPLICIT && send(fd, bye, sizeof bye - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_debug("listener=%s refusal could not be sent: %s", section->name, strerror(errno));
    close(fd);
}

/* Strangers bring it about, as often as they like. */
static void listener_log_refusal(const struct config_listener *section, const struct address *peer,
                                 enum clients_refusal why, uint64_t now_ms)
{
    unsigned more = 0;
    struct logline line;
    if (!rate_allows(&rate_of_refusals, now_ms, &more) || !log_is_on(LOG_LEVEL_WARNING))
        return;
    log_begin(&line, LOG_LEVEL_WARNING);
    logline_words(&line, "listener", section->name);
    logline_event(&line, "client refused");
    logline_gap_bare(&line, ": ");
    logline_words(&line, "reason", clients_refusal_words[why]);
    logline_gap(&line, " (");
    logline_address(&line, "from", peer);
    if (more > 0) {
        logline_gap_bare(&line, ", and ");
        logline_number(&line, "more", more);
        logline_gap_bare(&line, " more)");
    } else {
        logline_gap_bare(&line, ")");
    }
    log_end(&line);
}

static void listener_count_refusal(struct listener *listener, const struct config_listener *section,
                                   const struct address *peer, enum clients_refusal why)
{
    struct clients *clients = listener->room->clients;
    client_counters_listener(&clients->counters, section->name)->refused[why]++;
    listener_log_refusal(section, peer, why, loop_now_ms(clients->loop));
}

static void listener_refuse(struct listener *listener, const struct config_listener *section, int fd,
                            const struct address *peer, enum clients_refusal why)
{
    listener_say_bye(section, fd);
    listener_count_refusal(listener, section, peer, why);
}

static enum peers_result listener_add(const struct config *config, const struct peers_place *place,
                                      struct peers_limits *limits)
{
    limits->max = config->max_clients + room_owed_in_all();
    return peers_add(place, limits);
}

/* CLIENTS_REFUSAL_COUNT: there is room. */
static enum clients_refusal listener_count(struct listener *listener, const struct config_listener *section,
                                           const struct peers_place *place)
{
    const struct config *config = listener->room->clients->service->config;
    bool is_proxy = section->accept_proxy || networks_hold(&section->id_trusted_networks, &place->address);
    struct peers_limits limits = {
        .max_per_address = is_proxy ? 0 : config->max_clients_per_address,
        .max_newcomers_per_address = config->max_unauthenticated_per_address,
    };
    enum peers_result result = listener_add(config, place, &limits);
    if (result == PEERS_FULL && room_ask(listener->room))
        result = listener_add(config, place, &limits);
    /* Another worker may be the one to take the place. */
    for (int i = 0; result == PEERS_FULL && i < LISTENER_TRIES && clients_make_room(listener->room->clients); i++)
        result = listener_add(config, place, &limits);
    switch (result) {
    case PEERS_OK:
        return CLIENTS_REFUSAL_COUNT;
    case PEERS_FULL:
        return CLIENTS_REFUSED_MAX;
    case PEERS_ADDRESS_FULL:
        return CLIENTS_REFUSED_ADDRESS;
    case PEERS_NEWCOMERS_FULL:
        return CLIENTS_REFUSED_NEWCOMERS;
    default:
        return CLIENTS_REFUSED_MEMORY;
    }
}

static void listener_take(struct listener *listener, int fd, const struct sockaddr *sockaddr)
{
    struct clients *clients = listener->room->clients;
    const struct config *config = clients->service->config;
    const struct config_listener *section = &config->listeners[listener->index];
    struct sockaddr_storage own = { 0 };
    socklen_t own_len = sizeof own;
    struct address peer, local;
    address_set(&peer, sockaddr);
    getsockname(fd, (struct sockaddr *)&own, &own_len);
    address_set(&local, (const struct sockaddr *)&own);
    if (section->accept_proxy && !networks_hold(&section->trusted_networks, &peer)) {
        listener_refuse(listener, section, fd, &peer, CLIENTS_REFUSED_NETWORK);
        return;
    }
    struct peers_place place = { peer, client_may_be_newcomer(section, &peer) };
    enum clients_refusal refusal = listener_count(listener, section, &place);
    if (refusal != CLIENTS_REFUSAL_COUNT) {
        listener_refuse(listener, section, fd, &peer, refusal);
        return;
    }
    if (!clients_accept(clients, section, fd, &place, &local)) {
        peers_remove(&place);
        listener_count_refusal(listener, section, &peer, CLIENTS_REFUSED_MEMORY);
    }
}

/* Descriptors have run out: the client is taken from the queue with the one in reserve and told, rather than left to
 * wait. False if that did not work either: an upstream's socket has got hold of the reserve. */
static bool listener_shed(struct listener *listener)
{
    const struct config_listener *section = &listener->room->clients->service->config->listeners[listener->index];
    struct sockaddr_storage sockaddr = { 0 };
    socklen_t len = sizeof sockaddr;
    struct address peer;
    int fd = -1;
    pthread_rwlock_wrlock(&listener_reserves);
    if (listener->reserve_fd >= 0) {
        close(listener->reserve_fd);
        fd = accept4(listener->fd, (struct sockaddr *)&sockaddr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            listener_say_bye(section, fd);
    }
    listener->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pthread_rwlock_unlock(&listener_reserves);
    if (fd < 0)
        return false;
    address_set(&peer, (const struct sockaddr *)&sockaddr);
    listener_count_refusal(listener, section, &peer, CLIENTS_REFUSED_DESCRIPTORS);
    return true;
}

static int listener_accept(struct listener *listener, struct sockaddr_storage *ret_peer)
{
    socklen_t len = sizeof *ret_peer;
    pthread_rwlock_rdlock(&listener_reserves);
    int fd = accept4(listener->fd, (struct sockaddr *)ret_peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int error = errno;
    pthread_rwlock_unlock(&listener_reserves);
    errno = error;
    return fd;
}

/* Clients wait in the queue, and the socket stays readable: the loop must not spin on it. */
static void listener_pause(struct listener *listener)
{
    struct timeval after = { .tv_usec = LISTENER_PAUSE_US };
    event_del(&listener->event);
    evtimer_add(&listener->resume_timer, &after);
}

static void listener_on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;
    event_add(&listener->event, NULL);
}

static void listener_on_event(evutil_socket_t event_fd, short what, void *arg)
{
    struct listener *listener = arg;
    if (listener->epoll_fd >= 0) {
        struct epoll_event event;
        if (epoll_wait(listener->epoll_fd, &event, 1, 0) <= 0)
            return;
    }
    for (int i = 0; i < LISTENER_BATCH; i++) {
        struct sockaddr_storage peer = { 0 };
        int fd = listener_accept(listener, &peer);
        if (fd >= 0) {
            listener_take(listener, fd, (const struct sockaddr *)&peer);
            continue;
        }
        if (errno == ECONNABORTED || errno == EINTR)
            continue;
        bool is_short = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
        if (is_short && !listener_shed(listener))
            listener_pause(listener);
        return;
    }
}

bool listener_start(struct listener *listener, struct room *room)
{
    struct event_base *base = room->clients->loop->base;
    int watched = listener->epoll_fd >= 0 ? listener->epoll_fd : listener->fd;
    evtimer_assign(&listener->resume_timer, base, listener_on_resume, listener);
    event_assign(&listener->event, base, watched, EV_READ | EV_PERSIST, listener_on_event, listener);
    listener->room = room;
    return event_add(&listener->event, NULL) == 0;
}

void listener_done(struct listener *listener)
{
    if (listener->room) {
        event_del(&listener->event);
        event_del(&listener->resume_timer);
    }
    listener->room = NULL;
    if (listener->fd >= 0)
        close(listener->fd);
    if (listener->epoll_fd >= 0)
        close(listener->epoll_fd);
    if (listener->reserve_fd >= 0)
        close(listener->reserve_fd);
    listener->fd = listener->epoll_fd = listener->reserve_fd = -1;
}
