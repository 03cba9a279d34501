/* introduction: what ID says (RFC 2971), read as leniently as Dovecot reads it, and written anew within that RFC's
 * limits: a client's, and an upstream's answer.
 *
 * Who is trusted by an upstream is believed there when it says who its client is: Dovecot takes x-originating-ip and
 * its like from login_trusted_networks in the first ID before login, Zimbra X-VIA. Such fields begin with "x-"; a
 * client's are left out, all of them, lest it speaks for itself through us. A client whom we trust for that
 * (id_trusted_networks) is believed by us, and the upstream hears of it as it hears of other clients' addresses. */
#ifndef UPSTREAM_INTRODUCTION_H
#define UPSTREAM_INTRODUCTION_H

#include <imapstate/error.h>
#include <imapstate/span.h>

#include "address.h"

/* RFC 2971 section 3.3 */
#define INTRODUCTION_PAIRS_MAX 30u
#define INTRODUCTION_FIELD_MAX 30u
#define INTRODUCTION_VALUE_MAX 1024u

/* The longest list of quoted strings within these limits, each octet escaped; "(" and ")" included. */
#define INTRODUCTION_MAX                                                                                               \
    (2 + INTRODUCTION_PAIRS_MAX * (2 * INTRODUCTION_FIELD_MAX + 2 + 1 + 2 * INTRODUCTION_VALUE_MAX + 2 + 1))

/* What passes, as it goes up: pairs with an SP between, without parentheses. */
struct introduction_pairs {
    struct imapstate_buf octets;
    unsigned count;
    uint16_t ends[INTRODUCTION_PAIRS_MAX]; /* where each of them ends */
};

/* A client's. */
struct introduction {
    struct introduction_pairs own;      /* what it says of itself */
    struct introduction_pairs session;  /* trusted: its fields for the upstream's log and against loops */
    struct address source, destination; /* trusted: whom it speaks for; family AF_UNSPEC: it has not said */
    const char *wrong;                  /* after an error: the trusted field that is to blame; static, or NULL */
    struct address peer, local;         /* the connection's own, if a source has taken their place; else AF_UNSPEC */
    bool is_looping;                    /* trusted: x-proxy-ttl leaves no hop to the upstream */
};

struct introduction *introduction_new(void);               /* NULL: memory is out */
void introduction_free(struct introduction *introduction); /* accepts NULL */

/* There will be no further upstream to tell it: only the addresses are kept. Accepts NULL. */
void introduction_told(struct introduction *introduction);

/* Reads the arguments of a client's ID as they came, literals included. Left out are fields that begin with "x-", in
 * any case, pairs that no quoted string can carry, and those beyond the limits. is_trusted: x-originating-ip,
 * x-originating-port, x-connected-ip, x-connected-port, x-proxy-ttl, x-session-id and x-session-ext-id are heeded.
 * Arguments that are not those of an ID say nothing. An error, and what was read is to be thrown away: memory is out,
 * or is_trusted and the arguments are not those of an ID, or (wrong tells which) a field that is heeded holds something
 * else than it should. */
enum imapstate_error introduction_read(struct imapstate_span arguments, bool is_trusted,
                                       struct introduction *ret_introduction);

/* Appends the arguments of an ID to the upstream, "(...)" or "NIL". source NULL: addresses are not passed on, nor what
 * a trusted client says of the session. said NULL: the client has said nothing. No more than INTRODUCTION_PAIRS_MAX:
 * the last of the client's own give way. False if it does not fit. */
bool introduction_write(const struct introduction *said, const struct address *source,
                        const struct address *destination, struct imapstate_buf *ret_arguments);

/* Reads an upstream's whole untagged ID response, from "*" to the line end, and appends its arguments, written anew. An
 * error, and nothing was appended: it is none, is beyond the limits, or does not fit. */
enum imapstate_error introduction_read_answer(struct imapstate_span response, struct imapstate_buf *ret_arguments);

#endif
