/* origin: where a client is, according to its connection, a PROXY header, or the ID of a trusted client; and what it
 * says about itself. Limits per address use that. */
#ifndef CLIENT_ORIGIN_H
#define CLIENT_ORIGIN_H

#include <imapstate/span.h>
#include <stdbool.h>

struct address;
struct client;
struct upstream;

/* From here on the client is there, and is counted there. A host that speaks for many is not limited itself. False:
 * there are too many from that address, or memory is out. */
bool origin_move(struct client *client, const struct address *peer, const struct address *local);

/* There are too many: the end. */
void origin_refuse(struct client *client);

/* An ID before there is an upstream. False: its arguments are not those of an ID. The client may end. */
bool origin_hear_id(struct client *client, struct imapstate_span arguments);

/* From here on, somebody else may be there than the one who said it: TLS begins, or UNAUTHENTICATE was sent. False: out
 * of memory, and the client ends. */
bool origin_forget(struct client *client);

/* The arguments for the upstream's first ID. False if there is nothing to say, or if the upstream has no ID. */
bool origin_id_arguments(const struct client *client, struct upstream *upstream, struct imapstate_buf *ret_arguments);

#endif
