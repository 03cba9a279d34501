/* proxy: HAProxy's PROXY protocol, by which one proxy tells the next who the client is
 * (https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt). Versions 1 and 2 are read, version 2 is written. */
#ifndef IO_PROXY_H
#define IO_PROXY_H

#include <imapstate/span.h>

#include "address.h"

/* The most octets in a header. Version 1 has at most 107. Version 2 has 16, addresses, and anything a proxy says about
 * its client (TLVs), which may be a chain of certificates. */
#define PROXY_HEADER_MAX 16384u

enum proxy_result {
    PROXY_MORE,  /* the octets so far could begin a header */
    PROXY_OK,    /* ret_octets of the input are the header */
    PROXY_LOCAL, /* the same; but it names no client (LOCAL, UNKNOWN): the connection's own addresses apply */
    PROXY_BAD,   /* not a header, or one that is damaged or too long */
};

/* Looks at the front of in. ret_source and ret_destination are only written on PROXY_OK. */
enum proxy_result proxy_read(struct imapstate_span in, size_t *ret_octets, struct address *ret_source,
                             struct address *ret_destination);

/* in: what has arrived, for which proxy_read() returns MORE, or nothing. How many more octets certainly belong to the
 * header: a caller that reads no more than these at a time takes nothing that follows it. Never 0. */
size_t proxy_octets_wanted(struct imapstate_span in);

/* Appends a version 2 header. An AF_UNIX source gives a LOCAL header. Next to an IPv6 address an IPv4 one is mapped,
 * and an AF_UNIX destination becomes zeros. False if it does not fit. */
bool proxy_write(const struct address *source, const struct address *destination, struct imapstate_buf *ret_octets);

#endif
