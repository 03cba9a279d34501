/* tickets: the keys by which a server's TLS sessions leave with their clients as tickets (RFC 5077, RFC 8446 section
 * 4.6.1), so that any worker, and with TLS 1.3 any gateway with the same key file, can resume them. Each key seals for
 * a period of time, and opens for one more.
 *
 * TLS 1.3: derived from the keyring's keys and the time. A resumed session has a key exchange of its own, so whoever
 * comes by such a key later still cannot read what was recorded, but could pretend to be a client that has been here,
 * with its certificate. TLS 1.2 resumes without a key exchange: who has the key of the ticket reads all of the session.
 * Its keys are made at random, live in this process alone, and are wiped when their time is over. */
#ifndef IO_TICKETS_H
#define IO_TICKETS_H

#include <imapstate/keyring.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "tlspolicy.h"

/* For how long a key seals; and a ticket is good for no longer. */
#define TICKETS_PERIOD_S UINT64_C(43200)

#define TICKET_NAME_OCTETS 16u
#define TICKET_KEY_OCTETS  32u

/* Wiped by whoever has asked for it. */
struct ticketkey {
    uint8_t name[TICKET_NAME_OCTETS]; /* stands in the ticket, in clear */
    uint8_t cipher[TICKET_KEY_OCTETS], mac[TICKET_KEY_OCTETS];
};

/* The keys that are made at random. Counted, and for any number of threads; services share them, so that a reload costs
 * no session. NULL: out of memory. */
struct ticketring *ticketring_new(void);
struct ticketring *ticketring_ref(struct ticketring *ring);
void ticketring_unref(struct ticketring *ring); /* accepts NULL; wipes */

/* Wipes what is too old to open anything, whether anybody comes or not. */
void ticketring_rotate(struct ticketring *ring, uint64_t now_s);

struct tickets {
    const struct imapstate_keyring *keyring; /* borrowed */
    struct ticketring *ring;                 /* borrowed */
};

/* The key for a new ticket. now_s is wall-clock time, as gateways share it. */
void tickets_key(const struct tickets *tickets, enum tls_version version, uint64_t now_s, struct ticketkey *ret_key);

/* The key of that name, if it still opens tickets of this version. */
enum tickets_found { TICKETS_NOT_FOUND, TICKETS_FOUND, TICKETS_FOUND_OLD };
enum tickets_found tickets_find(const struct tickets *tickets, enum tls_version version,
                                const uint8_t name[TICKET_NAME_OCTETS], uint64_t now_s, struct ticketkey *ret_key);

/* From here on the context makes tickets, and knows them; no early data. Tickets are only good where the digest is the
 * same: it stands for everything that decides whom the context lets in, and where they get. tickets is borrowed until
 * the last handshake. False: out of memory. */
#define TICKETS_DIGEST_OCTETS 32u
bool tickets_serve(SSL_CTX *context, struct tickets *tickets, const uint8_t digest[TICKETS_DIGEST_OCTETS]);

#endif
