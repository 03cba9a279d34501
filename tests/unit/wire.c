#include "wire.h"

#include <errno.h>
#include <event2/event.h>
#include <imapstate/error.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Descriptors that the system does not come to. */
#define WIRE_FD_FIRST (1 << 28)
#define WIRE_HELD_MAX (4u << 20)

#define WRAPPED(type, function, ...)                                                                                   \
    type __real_##function(__VA_ARGS__);                                                                               \
    type __wrap_##function(__VA_ARGS__);                                                                               \
    type __wrap_##function(__VA_ARGS__)

static struct list wires = { &wires, &wires };
static int next_fd = WIRE_FD_FIRST;
static bool have_begun;

static bool is_wire(int fd)
{
    return fd >= WIRE_FD_FIRST;
}

static struct wire *find(int fd, const char *call)
{
    for (struct list *link = wires.next; link != &wires; link = link->next) {
        struct wire *wire = list_entry(link, struct wire, link);
        if (wire->fd == fd && !wire->is_closed)
            return wire;
    }
    fprintf(stderr, "wire: %s() on a descriptor that is closed\n", call);
    abort();
}

static struct wire *new_wire(enum wire_state state)
{
    struct wire *wire = calloc(1, sizeof *wire);
    if (!wire)
        abort();
    wire->fd = next_fd++;
    wire->state = state;
    wire->room = SIZE_MAX;
    imapstate_buf_init(&wire->in, WIRE_HELD_MAX);
    imapstate_buf_init(&wire->out, WIRE_HELD_MAX);
    list_init(&wire->link);
    list_move(&wire->link, &wires);
    return wire;
}

void wires_begin(void)
{
    have_begun = true;
    next_fd = WIRE_FD_FIRST;
}

void wires_end(void)
{
    have_begun = false;
    list_each_safe(link, &wires)
    {
        struct wire *wire = list_entry(link, struct wire, link);
        list_remove(&wire->link);
        imapstate_buf_done(&wire->in);
        imapstate_buf_done(&wire->out);
        free(wire->taken);
        free(wire);
    }
}

struct wire *wire_new(void)
{
    return new_wire(WIRE_OPEN);
}

struct wire *wire_newest(void)
{
    return list_is_empty(&wires) ? NULL : list_entry(wires.previous, struct wire, link);
}

struct wire *wire_asked(void)
{
    for (struct list *link = wires.next; link != &wires; link = link->next) {
        struct wire *wire = list_entry(link, struct wire, link);
        if (wire->state == WIRE_CONNECTING && wire->peer_len > 0 && !wire->is_closed)
            return wire;
    }
    return NULL;
}

void wire_accept(struct wire *wire)
{
    wire->state = WIRE_OPEN;
}

void wire_refuse(struct wire *wire, int error)
{
    wire->state = WIRE_REFUSED;
    wire->error = error;
}

void wire_feed(struct wire *wire, struct imapstate_span octets)
{
    if (!wire->is_at_eof && wire->error == 0 && !imapstate_buf_put(&wire->in, octets))
        abort();
}

void wire_end(struct wire *wire)
{
    wire->is_at_eof = true;
}

void wire_reset(struct wire *wire)
{
    imapstate_buf_clear(&wire->in);
    wire->error = ECONNRESET;
}

void wires_hang_up(void)
{
    for (struct list *link = wires.next; link != &wires; link = link->next)
        wire_end(list_entry(link, struct wire, link));
}

const char *wire_take(struct wire *wire)
{
    size_t len = wire->out.len;
    free(wire->taken);
    wire->taken = malloc(len + 1);
    if (!wire->taken)
        abort();
    if (len > 0)
        memcpy(wire->taken, wire->out.at, len);
    wire->taken[len] = '\0';
    imapstate_buf_clear(&wire->out);
    return wire->taken;
}

unsigned wires_count(void)
{
    unsigned count = 0;
    for (struct list *link = wires.next; link != &wires; link = link->next)
        count += !list_entry(link, struct wire, link)->is_closed;
    return count;
}

bool wire_is_ready(int fd, short what)
{
    if (!is_wire(fd))
        return false;
    const struct wire *wire = find(fd, "poll");
    if (wire->error)
        return true;
    if (wire->state == WIRE_CONNECTING)
        return false;
    return what & EV_READ ? wire->in.len > 0 || wire->is_at_eof : wire->room > 0;
}

/* --- in the place of the system's calls --- */

WRAPPED(int, socket, int domain, int type, int protocol)
{
    if (!have_begun || !(type & SOCK_STREAM))
        return __real_socket(domain, type, protocol);
    return new_wire(WIRE_CONNECTING)->fd;
}

WRAPPED(int, connect, int fd, const struct sockaddr *address, socklen_t len)
{
    if (!is_wire(fd))
        return __real_connect(fd, address, len);
    struct wire *wire = find(fd, "connect");
    memcpy(&wire->peer, address, len);
    wire->peer_len = len;
    errno = EINPROGRESS;
    return -1;
}

WRAPPED(int, close, int fd)
{
    if (!is_wire(fd))
        return __real_close(fd);
    find(fd, "close")->is_closed = true;
    return 0;
}

WRAPPED(int, shutdown, int fd, int how)
{
    if (!is_wire(fd))
        return __real_shutdown(fd, how);
    find(fd, "shutdown")->is_shut = true;
    return 0;
}

WRAPPED(ssize_t, recv, int fd, void *at, size_t room, int flags)
{
    if (!is_wire(fd))
        return __real_recv(fd, at, room, flags);
    struct wire *wire = find(fd, "recv");
    size_t len = wire->in.len < room ? wire->in.len : room;
    if (wire->piece > 0 && len > wire->piece)
        len = wire->piece;
    if (wire->error || (len == 0 && !wire->is_at_eof)) {
        errno = wire->error ? wire->error : EAGAIN;
        return -1;
    }
    if (len > 0) {
        memcpy(at, wire->in.at, len);
        imapstate_buf_drop(&wire->in, len);
    }
    return (ssize_t)len;
}

WRAPPED(ssize_t, send, int fd, const void *at, size_t len, int flags)
{
    if (!is_wire(fd))
        return __real_send(fd, at, len, flags);
    struct wire *wire = find(fd, "send");
    if (wire->is_shut || wire->state != WIRE_OPEN || wire->error) {
        errno = wire->error ? wire->error : EPIPE;
        return -1;
    }
    if (wire->room == 0) {
        errno = EAGAIN;
        return -1;
    }
    if (len > wire->room)
        len = wire->room;
    wire->room -= wire->room == SIZE_MAX ? 0 : len;
    if (!imapstate_buf_put(&wire->out, (struct imapstate_span){ at, len }))
        abort();
    return (ssize_t)len;
}

WRAPPED(ssize_t, sendmsg, int fd, const struct msghdr *message, int flags)
{
    if (!is_wire(fd))
        return __real_sendmsg(fd, message, flags);
    ssize_t total = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        ssize_t sent = __wrap_send(fd, message->msg_iov[i].iov_base, message->msg_iov[i].iov_len, flags);
        if (sent < 0)
            return total > 0 ? total : -1;
        total += sent;
        if ((size_t)sent < message->msg_iov[i].iov_len)
            break;
    }
    return total;
}

WRAPPED(int, setsockopt, int fd, int level, int name, const void *value, socklen_t len)
{
    if (!is_wire(fd))
        return __real_setsockopt(fd, level, name, value, len);
    struct wire *wire = find(fd, "setsockopt");
    if (level == IPPROTO_TCP && name == TCP_USER_TIMEOUT)
        memcpy(&wire->silence_ms, value, sizeof wire->silence_ms);
    return 0;
}

/* SO_ERROR alone is asked for. */
WRAPPED(int, getsockopt, int fd, int level, int name, void *ret_value, socklen_t *ret_len)
{
    if (!is_wire(fd))
        return __real_getsockopt(fd, level, name, ret_value, ret_len);
    const struct wire *wire = find(fd, "getsockopt");
    if (level != SOL_SOCKET || name != SO_ERROR)
        abort();
    memcpy(ret_value, &wire->error, sizeof wire->error);
    return 0;
}

WRAPPED(int, getpeername, int fd, struct sockaddr *ret_address, socklen_t *ret_len)
{
    if (!is_wire(fd))
        return __real_getpeername(fd, ret_address, ret_len);
    const struct wire *wire = find(fd, "getpeername");
    memcpy(ret_address, &wire->peer, wire->peer_len < *ret_len ? wire->peer_len : *ret_len);
    *ret_len = wire->peer_len;
    return 0;
}
