/* trust: what the upstream's verdict on a client's credentials means for its user: the proof by which parked
 * connections are kept and found (park.h). */
#ifndef CLIENT_TRUST_H
#define CLIENT_TRUST_H

#include <stdbool.h>

struct client;
struct proof_identity;

/* Whose login it is, and with which secret; borrows from the client's credentials. False if we do not know that (SCRAM,
 * CRAM-MD5): such a login always goes upstream, and its connection is not parked. */
bool trust_identify(const struct client *client, struct proof_identity *ret_identity);

/* The upstream has accepted, or refused, the credentials. */
void trust_prove(struct client *client);
void trust_refuse(struct client *client);

/* For a login that could not be accepted here, as it did not say whose it is: now it has, and goes upstream. */
void trust_suspect(struct client *client);

#endif
