/* id: what ID says (RFC 2971), read as leniently as Dovecot reads it, and rewritten within that RFC's limits:
 * a client's ID, and an upstream's answer.
 *
 * A host that an upstream trusts is believed when it says who its client is: Dovecot accepts x-originating-ip and the
 * like from login_trusted_networks in the first ID before login, Zimbra X-VIA. Such fields begin with "x-". All of a
 * client's own are removed, so that it cannot speak for itself through us. A client that we trust for that
 * (id_trusted_networks) is believed by us, and the upstream is told as it is of other clients' addresses. */
#ifndef UPSTREAM_ID_H
#define UPSTREAM_ID_H

#include <imapstate/error.h>
#include <imapstate/span.h>

#include "address.h"

/* RFC 2971 section 3.3 */
#define ID_PAIRS_MAX 30u
#define ID_FIELD_MAX 30u
#define ID_VALUE_MAX 1024u

/* The longest list of quoted strings within these limits, with each octet escaped, including "(" and ")". */
#define ID_MAX (2 + ID_PAIRS_MAX * (2 * ID_FIELD_MAX + 2 + 1 + 2 * ID_VALUE_MAX + 2 + 1))

/* Dovecot's LOGIN_PROXY_TTL: so many gateways and proxies may follow on each other, this one counted. */
#define ID_HOPS_MAX 5u

/* What passes, as it goes up: pairs separated by SP, without parentheses. */
struct id_pairs {
    struct imapstate_buf octets;
    unsigned count;
    uint16_t ends[ID_PAIRS_MAX]; /* where each of them ends */
};

/* A client's. */
struct id {
    struct id_pairs own;                /* what it says about itself */
    struct id_pairs session;            /* trusted: its fields for the upstream's log */
    struct imapstate_buf session_name;  /* trusted: its x-session-id; empty: it has not said */
    struct address source, destination; /* trusted: whom it speaks for; family AF_UNSPEC: it has not said */
    const char *wrong;                  /* after an error: the trusted field that is to blame; static, or NULL */
    struct address peer, local;         /* the connection's own, if a source has taken their place; else AF_UNSPEC */
    uint16_t hops;                      /* that its x-proxy-ttl leaves behind this one; used if has_hops */
    bool has_hops;
};

/* What the gateway says besides, in an ID before login. Borrowed. */
struct id_hop {
    const struct address *source, *destination; /* of the client's connection; NULL: addresses are not passed on, nor
                                                 * what a trusted client says about the session */
    const char *session;                        /* x-session-id, if a trusted client gives none; with source only */
};

struct id *id_new(void);     /* NULL: out of memory */
void id_free(struct id *id); /* accepts NULL */

/* There will be no further upstream to tell: only the addresses are kept. Accepts NULL. */
void id_told(struct id *id);

/* Reads the arguments of a client's ID as they came, including literals. Left out are fields that begin with "x-", in
 * any case, pairs that no quoted string can carry, and those beyond the limits. x-proxy-ttl counts whoever says it, as
 * it can only make the way shorter. is_trusted: x-originating-ip, x-originating-port, x-connected-ip,
 * x-connected-port, x-session-id and x-session-ext-id are used too.
 * Arguments that are not those of an ID say nothing. After an error, discard what was read: memory is out, or
 * is_trusted and the arguments are not those of an ID, or (see wrong) a field that is used contains something it should
 * not. */
enum imapstate_error id_read(struct imapstate_span arguments, bool is_trusted, struct id *ret_id);

/* Is it a hop too many to go on to the upstream? */
bool id_is_looping(const struct id *id);

/* Appends the arguments of an ID to the upstream, "(...)" or "NIL". hop NULL: the login is over, and only what the
 * client says about itself is passed on. said NULL: the client has said nothing. At most ID_PAIRS_MAX: the last of the
 * client's own give way. False if it does not fit. */
bool id_write(const struct id *said, const struct id_hop *hop, struct imapstate_buf *ret_arguments);

/* Reads an upstream's whole untagged ID response, from "*" to the line end, and appends its arguments, rewritten. After
 * an error nothing was appended: it is not an ID response, exceeds the limits, or does not fit. */
enum imapstate_error id_read_answer(struct imapstate_span response, struct imapstate_buf *ret_arguments);

#endif
