/* http: figures and health for whoever asks by HTTP: libevent's evhttp, on the main thread's loop. It can only be read.
 * Nothing that a client does or leaves undone holds up a worker, or takes more than a bounded amount of memory: what is
 * asked is short, there is one request a connection, few connections, and each has little time. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stdio.h>

struct config;
struct http;
struct inquiries;
struct loop;
struct sockets;
struct standing;

/* All borrowed, and outlive it. NULL: out of memory. */
struct http *http_new(struct loop *loop, struct inquiries *inquiries, const struct standing *standing);

/* Ends everything that is under way. Accepts NULL. */
void http_free(struct http *http);

/* From here on it is asked at the addresses of config, and at no others: those that sockets does not have yet are
 * opened there. It keeps duplicates, so that it can still be asked when sockets are closed. False after writing to
 * errors which address cannot be had; it goes without that. */
bool http_follow(struct http *http, const struct config *config, struct sockets *sockets, FILE *errors);

/* Nobody is accepted any more: another process is asked from here on. */
void http_yield(struct http *http);

#endif
