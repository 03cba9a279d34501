#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream.h"

#define SOCKETS_BACKLOG 1024

/* --- a socket --- */

static bool sockets_is_unix(const struct endpoint *endpoint)
{
    return endpoint->sockaddr.any.sa_family == AF_UNIX;
}

static int sockets_make(const struct endpoint *endpoint, bool is_one_of_many)
{
    int fd = socket(endpoint->sockaddr.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || sockets_is_unix(endpoint))
        return fd;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (is_one_of_many)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (endpoint->sockaddr.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    return fd;
}

/* -1: see errno. */
static int sockets_bind(const struct endpoint *endpoint, mode_t unix_mode)
{
    int fd = sockets_make(endpoint, true);
    if (fd < 0)
        return -1;
    mode_t mask = umask(~unix_mode & 0777);
    bool is_bound = bind(fd, &endpoint->sockaddr.any, endpoint->len) == 0;
    umask(mask);
    if (is_bound && listen(fd, SOCKETS_BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Makes room where a unix socket is to be: what a daemon that is gone has left is deleted, and nothing else ever is. A
 * refused connection is the one proof that nobody listens; a live socket of another type, a full queue or a lack of
 * permission is none. NULL, or why there is no room. */
static const char *sockets_clear_path(const struct endpoint *endpoint)
{
    const char *path = endpoint->sockaddr.un.sun_path;
    struct stat found;
    if (lstat(path, &found) < 0)
        return errno == ENOENT ? NULL : strerror(errno);
    if (!S_ISSOCK(found.st_mode))
        return "something other than a socket has that name; it was left as it is";
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return strerror(errno);
    bool is_left_behind = connect(fd, &endpoint->sockaddr.any, endpoint->len) < 0 && errno == ECONNREFUSED;
    close(fd);
    if (!is_left_behind)
        return "another program may be listening there";
    return unlink(path) == 0 ? NULL : strerror(errno);
}

/* With SO_REUSEPORT another process of the same user could share our port, each getting half of the clients. So the
 * first socket of an address is bound without it. */
static const char *sockets_try_port(const struct endpoint *endpoint)
{
    int fd = sockets_make(endpoint, false);
    if (fd < 0)
        return strerror(errno);
    const char *wrong = bind(fd, &endpoint->sockaddr.any, endpoint->len) == 0 ? NULL : strerror(errno);
    close(fd);
    return wrong;
}

/* --- places --- */

static struct sockets_place *sockets_place(const struct sockets *sockets, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < sockets->count; i++)
        if (endpoint_is_equal(&sockets->places[i].endpoint, endpoint))
            return &sockets->places[i];
    return NULL;
}

const struct sockets_place *sockets_find(const struct sockets *sockets, const struct endpoint *endpoint)
{
    return sockets_place(sockets, endpoint);
}

static struct sockets_place *sockets_add_place(struct sockets *sockets, const struct endpoint *endpoint)
{
    struct sockets_place *more = reallocarray(sockets->places, sockets->count + 1, sizeof *more);
    if (!more)
        return NULL;
    sockets->places = more;
    more[sockets->count] = (struct sockets_place){ .endpoint = *endpoint };
    return &more[sockets->count++];
}

/* What is accepted inherits it, and no client costs six calls. */
static void sockets_prepare(const struct endpoint *endpoint, int fd)
{
    if (sockets_is_unix(endpoint))
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    stream_watch_peer(fd);
}

/* False: fd is closed. */
static bool sockets_place_take(struct sockets_place *place, int fd)
{
    sockets_prepare(&place->endpoint, fd);
    int *more = reallocarray(place->fds, place->count + 1, sizeof *more);
    if (!more) {
        close(fd);
        return false;
    }
    place->fds = more;
    more[place->count++] = fd;
    return true;
}

static void sockets_place_done(struct sockets_place *place)
{
    for (unsigned i = 0; i < place->count; i++)
        close(place->fds[i]);
    free(place->fds);
}

static void sockets_remove_place(struct sockets *sockets, struct sockets_place *place)
{
    sockets_place_done(place);
    *place = sockets->places[--sockets->count];
}

void sockets_done(struct sockets *sockets)
{
    while (sockets->count > 0)
        sockets_remove_place(sockets, &sockets->places[sockets->count - 1]);
    free(sockets->places);
    *sockets = (struct sockets){ 0 };
}

/* --- opened --- */

/* With an address of which this one is a part, say, and which is given up for it: it would be in our own way. */
static bool sockets_have_port(const struct sockets *sockets, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < sockets->count; i++) {
        const struct endpoint *other = &sockets->places[i].endpoint;
        /* In both families the port is at the same place. */
        if (!sockets_is_unix(other) && other->sockaddr.any.sa_family == endpoint->sockaddr.any.sa_family &&
            other->sockaddr.in.sin_port == endpoint->sockaddr.in.sin_port)
            return true;
    }
    return false;
}

static const char *sockets_open_first(struct sockets *sockets, const struct endpoint *endpoint, mode_t unix_mode)
{
    const char *wrong = NULL;
    if (sockets_is_unix(endpoint))
        wrong = sockets_clear_path(endpoint);
    else if (!sockets_have_port(sockets, endpoint))
        wrong = sockets_try_port(endpoint);
    int fd = wrong ? -1 : sockets_bind(endpoint, unix_mode);
    if (fd < 0)
        return wrong ? wrong : strerror(errno);
    struct sockets_place *place = sockets_add_place(sockets, endpoint);
    if (!place) {
        close(fd);
        return strerror(ENOMEM);
    }
    if (sockets_place_take(place, fd))
        return NULL;
    sockets_remove_place(sockets, place);
    return strerror(ENOMEM);
}

/* A reload may want other permissions. Only the file's owner can give them. */
static const char *sockets_change_mode(const struct sockets_place *place, mode_t unix_mode)
{
    const char *path = place->endpoint.sockaddr.un.sun_path;
    struct stat found;
    if (place->is_given || lstat(path, &found) < 0 || !S_ISSOCK(found.st_mode) || (found.st_mode & 0777) == unix_mode)
        return NULL;
    return chmod(path, unix_mode) == 0 ? NULL : strerror(errno);
}

const char *sockets_open(struct sockets *sockets, const struct endpoint *endpoint, unsigned wanted, mode_t unix_mode)
{
    struct sockets_place *place = sockets_place(sockets, endpoint);
    if (place && sockets_is_unix(endpoint))
        return sockets_change_mode(place, unix_mode);
    const char *wrong = place ? NULL : sockets_open_first(sockets, endpoint, unix_mode);
    if (wrong)
        return wrong;
    place = sockets_place(sockets, endpoint);
    /* More are not to be had where another user has opened the first: as root, say, or by the service manager. */
    while (!sockets_is_unix(endpoint) && place->count < wanted) {
        int fd = sockets_bind(endpoint, 0);
        if (fd < 0 || !sockets_place_take(place, fd))
            break;
    }
    return NULL;
}

/* --- from elsewhere --- */

/* False: it is of no family that we know. */
static bool sockets_read_endpoint(int fd, struct endpoint *ret_endpoint)
{
    struct endpoint own = { .len = sizeof own.sockaddr };
    if (getsockname(fd, &own.sockaddr.any, &own.len) < 0)
        return false;
    *ret_endpoint = (struct endpoint){ .len = own.len };
    switch (own.sockaddr.any.sa_family) {
    case AF_INET:
        ret_endpoint->sockaddr.in = own.sockaddr.in;
        return true;
    case AF_INET6:
        ret_endpoint->sockaddr.in6 = own.sockaddr.in6;
        return true;
    case AF_UNIX:
        if (own.sockaddr.un.sun_path[0] != '/')
            return false;
        ret_endpoint->sockaddr.un = own.sockaddr.un;
        ret_endpoint->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(own.sockaddr.un.sun_path) + 1);
        return true;
    default:
        return false;
    }
}

static const char *sockets_examine(int fd, struct endpoint *ret_endpoint)
{
    int listens = 0, type = 0;
    socklen_t len = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
        return strerror(errno);
    if (!listens || type != SOCK_STREAM)
        return "it is no listening stream socket";
    if (!sockets_read_endpoint(fd, ret_endpoint))
        return "it is of no family that a listener can have";
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
        return strerror(errno);
    return NULL;
}

const char *sockets_adopt(struct sockets *sockets, int fd, bool is_given)
{
    struct endpoint endpoint;
    const char *wrong = sockets_examine(fd, &endpoint);
    if (wrong) {
        close(fd);
        return wrong;
    }
    struct sockets_place *place = sockets_place(sockets, &endpoint);
    if (!place && !(place = sockets_add_place(sockets, &endpoint))) {
        close(fd);
        return strerror(ENOMEM);
    }
    place->is_given = is_given;
    if (sockets_place_take(place, fd))
        return NULL;
    if (place->count == 0)
        sockets_remove_place(sockets, place);
    return strerror(ENOMEM);
}

/* --- given up --- */

void sockets_begin(struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++)
        sockets->places[i].is_kept = false;
}

void sockets_keep(struct sockets *sockets, const struct endpoint *endpoint)
{
    struct sockets_place *place = sockets_place(sockets, endpoint);
    if (place)
        place->is_kept = true;
}

void sockets_close_others(struct sockets *sockets)
{
    for (size_t i = sockets->count; i-- > 0;)
        if (!sockets->places[i].is_kept)
            sockets_remove_place(sockets, &sockets->places[i]);
}
