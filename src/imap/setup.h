/* setup: what sessions have done to a connection that lasts, as one key, by which a parked connection is found by those
 * who want one in exactly that state. An empty key: pristine, nothing lasting was ever done to it. */
#ifndef IMAP_SETUP_H
#define IMAP_SETUP_H

#include <imapstate/state.h>

/* Octets in a key. */
#define SETUP_MAX (IMAPSTATE_STATE_MAX + 2)

/* The key of a connection in this state (NULL: in none), on which CONDSTORE may have been switched on without ENABLE by
 * these ways (a set of enum condstore, but UNKNOWN); 0: it was not. Without ways it is the state as it is encoded.
 * False: it cannot be said, or out of memory. */
bool setup_put(const struct imapstate_state *state, unsigned ways, struct imapstate_buf *ret_key);

/* Is all of the evidence (evidence.h) something that a connection with this key says unasked? */
bool setup_accounts_for(struct imapstate_span key, unsigned evidence);

#endif
