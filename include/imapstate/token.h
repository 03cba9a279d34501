/* token: seals a session's state for one user of one upstream, and opens it again (P12 to P15 of docs/protocol.md).
 *
 * base64url without padding of: format (1 octet) | key id (4, big endian) | nonce (24) | sealed | tag (16), by
 * XChaCha20-Poly1305 with format and key id as associated data. Inside: two times (8 each), user, upstream,
 * fingerprint, state. The user can neither read nor change it.
 *
 * Format 2 tells nobody apart: whoever seals the same for the same user on the same day gets the same token. The times
 * are the user's last revocation and the expiry, and the expiry is rounded up to a granule; the nonce is a keyed hash
 * of everything else, and is compared on opening. Format 1 has the time of issue in place of the revocation, an expiry
 * that is not rounded, and a random nonce.
 *
 * Threads: any number may call these at the same time, also with the same keyring (keyring.h). */
#ifndef IMAPSTATE_TOKEN_H
#define IMAPSTATE_TOKEN_H

#include <imapstate/api.h>
#include <imapstate/error.h>
#include <imapstate/keyring.h>
#include <imapstate/span.h>

IMAPSTATE_BEGIN

/* The newest format; all formats from 1 on can be sealed and opened. The fingerprint of format 1 leaves out COMPRESS=
 * and XIMAPPROXY. */
#define IMAPSTATE_TOKEN_FORMAT 2u
/* Octets in a token, in either direction (P2). */
#define IMAPSTATE_TOKEN_MAX          2048u
#define IMAPSTATE_FINGERPRINT_OCTETS 32u

/* What a token is bound to: user and upstream are compared octet for octet, names and epoch by their fingerprint,
 * revoked_s as imapstate_token_open() says. Without a user or an upstream a binding is UNSUPPORTED: its tokens would be
 * everybody's. Borrowed. */
struct imapstate_token_binding {
    struct imapstate_span user;     /* the authorization identity */
    struct imapstate_span upstream; /* the upstream's name in the configuration */
    struct imapstate_span names;    /* the capability list that the client was given when its login was answered */
    uint64_t epoch;                 /* the operator's */
    uint64_t revoked_s;             /* when the user's tokens were last revoked, in seconds since 1970; 0: never */
    uint64_t reserved[4];           /* 0; else the binding is UNSUPPORTED: it may say what this library does not heed */
};

/* The fingerprint of a server: of the capabilities that a client sees after login and the operator's epoch (P12). names
 * is a list separated by SP, as in a CAPABILITY response. It is sorted and upper-cased here, and AUTH=, STARTTLS,
 * LOGINDISABLED and SASL-IR are left out; a name that occurs twice counts once. False if out of memory. */
IMAPSTATE_API bool imapstate_token_fingerprint(struct imapstate_span names, uint64_t epoch,
                                               uint8_t ret_fingerprint[IMAPSTATE_FINGERPRINT_OCTETS]);

/* Octets of encoded state that fit into a token with this binding; 0 if not even an empty one does. */
IMAPSTATE_API size_t imapstate_token_state_max(const struct imapstate_token_binding *binding);

/* Seals in the newest format. The nonce comes from what is sealed, and no random numbers are needed. Times in seconds
 * since 1970-01-01 UTC. The token is appended to ret_token; ret_left_s is how long it lives from now_s on: until the
 * end of the granule in which lifetime_s ends. A granule is a day, or an eighth of lifetime_s if that is less, but a
 * second at least; they are counted from 1970. STATE_TOO_LARGE, NO_MEMORY (ret_token's max included) or UNSUPPORTED. */
IMAPSTATE_API enum imapstate_error imapstate_token_seal(const struct imapstate_key *key,
                                                        const struct imapstate_token_binding *binding, uint64_t now_s,
                                                        uint64_t lifetime_s, struct imapstate_span state,
                                                        struct imapstate_buf *ret_token, uint64_t *ret_left_s);

/* The same in an older format, for a fleet whose members do not all open the newest one yet; also TOKEN_VERSION: there
 * is no such format. In format 1 the nonce is random, by libsodium's generator, and ret_left_s is lifetime_s. */
IMAPSTATE_API enum imapstate_error imapstate_token_seal_as(unsigned format, const struct imapstate_key *key,
                                                           const struct imapstate_token_binding *binding,
                                                           uint64_t now_s, uint64_t lifetime_s,
                                                           struct imapstate_span state, struct imapstate_buf *ret_token,
                                                           uint64_t *ret_left_s);

/* Opens and checks in this order: form, format, key, seal, times, user, upstream, revocation, fingerprint. On
 * IMAPSTATE_OK the encoded state is appended to ret_state; on any other result ret_state is as before. A token is
 * TOKEN_REVOKED if the revocation that it was sealed with, in format 1 its time of issue, is before
 * binding->revoked_s. Of format 1, a token issued more than five minutes in the future is NOT_YET_VALID (clocks of a
 * fleet differ). */
IMAPSTATE_API enum imapstate_error imapstate_token_open(const struct imapstate_keyring *keyring,
                                                        const struct imapstate_token_binding *binding, uint64_t now_s,
                                                        struct imapstate_span token, struct imapstate_buf *ret_state);

/* A short hash that names a token in logs without giving it away; 16 hexadecimal digits and a NUL (P15). All
 * zeros if libsodium cannot be initialised. */
IMAPSTATE_API void imapstate_token_hash(struct imapstate_span token, char ret_hash[17]);

IMAPSTATE_END

#endif
