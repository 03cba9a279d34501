#include "http.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "authority.h"
#include "config.h"
#include "figures.h"
#include "list.h"
#include "loop.h"
#include "pages.h"
#include "predecessors.h"
#include "sampler.h"
#include "service.h"
#include "sockets.h"
#include "visitors.h"

/* Octets of a request's line and headers, all together. */
#define HTTP_HEADERS_MAX 8192
/* Without an octet in either direction. */
#define HTTP_TIMEOUT_S 10

struct http {
    struct http_context context;
    struct visitors visitors;
    struct evhttp *evhttp;
    struct evhttp_bound_socket **bound; /* owned array of libevent's */
    size_t bound_count;
};

/* --- a request --- */

static void http_on_request(struct evhttp_request *evhttp, void *arg)
{
    struct http *http = arg;
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(evhttp));
    struct http_request *request = http_request_new(&http->context, evhttp);
    http_page *page = path ? pages_find(path) : NULL;
    enum evhttp_cmd_type method = evhttp_request_get_command(evhttp);
    if (!request)
        return;
    const struct config_http *config = &http->context.standing->service->config->http;
    if (!authority_is_ours(http_request_header(request, "Host"), config->hosts, config->host_count))
        http_reply_text(request, HTTP_MISDIRECTED, "this name is not known to be this host's: http { host = \"...\" }");
    else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD)
        http_reply_text(request, HTTP_BADMETHOD, "this can only be read: GET, HEAD");
    else if (!page)
        http_reply_text(request, HTTP_NOTFOUND, "there is nothing by that name");
    else
        page(request);
}

/* --- connections --- */

static struct bufferevent *http_on_visitor(struct event_base *base, void *arg)
{
    struct http *http = arg;
    struct bufferevent *bufferevent = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (bufferevent)
        visitors_add(&http->visitors, bufferevent);
    return bufferevent;
}

static void http_open_gate(void *owner, bool is_open)
{
    const struct http *http = owner;
    for (size_t i = 0; i < http->bound_count; i++) {
        struct evconnlistener *listener = evhttp_bound_socket_get_listener(http->bound[i]);
        if (is_open)
            evconnlistener_enable(listener);
        else
            evconnlistener_disable(listener);
    }
}

/* The socket stays readable: the loop must not spin on it. */
static void http_on_accept_error(struct evconnlistener *listener, void *arg)
{
    struct http *http = arg;
    visitors_pause(&http->visitors);
}

/* --- addresses --- */

void http_yield(struct http *http)
{
    for (size_t i = 0; i < http->bound_count; i++)
        evhttp_del_accept_socket(http->evhttp, http->bound[i]); /* closes it, too */
    http->bound_count = 0;
}

/* NULL, or what is wrong. */
static const char *http_listen_on(struct http *http, int shared)
{
    struct evhttp_bound_socket **more = reallocarray(http->bound, http->bound_count + 1, sizeof *more);
    if (!more)
        return strerror(ENOMEM);
    http->bound = more;
    int fd = fcntl(shared, F_DUPFD_CLOEXEC, 0);
    struct evhttp_bound_socket *bound = fd >= 0 ? evhttp_accept_socket_with_handle(http->evhttp, fd) : NULL;
    if (!bound) {
        const char *wrong = strerror(errno);
        if (fd >= 0)
            close(fd);
        return wrong;
    }
    struct evconnlistener *listener = evhttp_bound_socket_get_listener(bound);
    evconnlistener_set_error_cb(listener, http_on_accept_error);
    if (http->visitors.is_closed)
        evconnlistener_disable(listener);
    more[http->bound_count++] = bound;
    return NULL;
}

/* All of them: where an address was a listener's before, there is one for each worker, and each has a queue. */
static const char *http_listen(struct http *http, const struct sockets_place *place)
{
    const char *wrong = NULL;
    for (unsigned i = 0; i < place->count && !wrong; i++)
        wrong = http_listen_on(http, place->fds[i]);
    return wrong;
}

static bool http_open_address(struct http *http, const struct config *config, const struct config_address *address,
                              struct sockets *sockets, FILE *errors)
{
    const char *wrong = sockets_open(sockets, &address->endpoint, 1, config->http.unix_mode);
    const struct sockets_place *place = sockets_find(sockets, &address->endpoint);
    if (place && !wrong)
        wrong = http_listen(http, place);
    if (wrong)
        fprintf(errors, "%s: http: %s: %s\n", config->path, address->text, wrong);
    return !wrong;
}

bool http_follow(struct http *http, const struct config *config, struct sockets *sockets, FILE *errors)
{
    /* What was open before is open in sockets as well, so nobody in a queue is lost. */
    http_yield(http);
    bool is_whole = true;
    for (size_t i = 0; i < config->http.address_count; i++)
        is_whole &= http_open_address(http, config, &config->http.addresses[i], sockets, errors);
    return is_whole;
}

/* --- life --- */

static bool http_prepare(struct http *http)
{
    http->context.desk = figures_desk_new(http->context.inquiries, http->context.standing);
    http->evhttp = evhttp_new(http->context.loop->base);
    http->context.predecessors = predecessors_new(http->context.loop, http->context.standing);
    if (!http->context.desk || !http->evhttp || !http->context.predecessors)
        return false;
    http->context.sampler = sampler_new(http->context.loop, http->context.desk);
    if (!http->context.sampler)
        return false;
    evhttp_set_max_headers_size(http->evhttp, HTTP_HEADERS_MAX);
    evhttp_set_max_body_size(http->evhttp, 0);
    evhttp_set_timeout(http->evhttp, HTTP_TIMEOUT_S);
    /* Those that are not for reading are answered here, by a status that says so. */
    evhttp_set_allowed_methods(http->evhttp, 0xffff);
    evhttp_set_bevcb(http->evhttp, http_on_visitor, http);
    evhttp_set_gencb(http->evhttp, http_on_request, http);
    return true;
}

struct http *http_new(struct loop *loop, struct inquiries *inquiries, const struct standing *standing)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return NULL;
    http->context = (struct http_context){ .loop = loop, .inquiries = inquiries, .standing = standing };
    list_init(&http->context.requests);
    visitors_init(&http->visitors, loop, http_open_gate, http);
    if (http_prepare(http))
        return http;
    http_free(http);
    return NULL;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    list_each_safe(link, &http->context.requests) http_request_free(list_entry(link, struct http_request, link));
    visitors_done(&http->visitors);
    if (http->evhttp)
        evhttp_free(http->evhttp);
    sampler_free(http->context.sampler);
    predecessors_free(http->context.predecessors);
    figures_desk_free(http->context.desk);
    free(http->bound);
    free(http);
}
