/* token: seals a session's state for one user of one upstream, and opens it again (P12 to P15 of docs/protocol.md).
 *
 * base64url without padding of: version (1 octet) | key id (4, big endian) | nonce (24) | sealed | tag (16), by
 * XChaCha20-Poly1305 with version and key id as associated data. Inside: issued and expiry time (8 each), user,
 * upstream, fingerprint, state. The user can neither read nor change it. */
#ifndef IMAPSTATE_TOKEN_H
#define IMAPSTATE_TOKEN_H

#include <imapstate/error.h>
#include <imapstate/keyring.h>
#include <imapstate/span.h>

/* The version at the beginning of tokens made here. Format 1 still opens: its fingerprint leaves out COMPRESS= and
 * XIMAPPROXY, and everything else is the same. */
#define IMAPSTATE_TOKEN_FORMAT 2u
/* Octets in a token, in either direction (P2). */
#define IMAPSTATE_TOKEN_MAX          2048u
#define IMAPSTATE_TOKEN_NONCE_OCTETS 24u
#define IMAPSTATE_FINGERPRINT_OCTETS 32u

/* What a token is bound to: user and upstream are compared octet for octet, names and epoch by their fingerprint.
 * Borrowed. */
struct imapstate_token_binding {
    struct imapstate_span user;     /* the authorization identity */
    struct imapstate_span upstream; /* the upstream's name in the configuration */
    struct imapstate_span names;    /* the capability list that the client was given when its login was answered */
    uint64_t epoch;                 /* the operator's */
};

/* The fingerprint of a server: of the capabilities that a client sees after login and the operator's epoch (P12). names
 * is a list separated by SP, as in a CAPABILITY response. It is sorted and upper-cased here, and AUTH=, STARTTLS,
 * LOGINDISABLED and SASL-IR are left out; a name that occurs twice counts once. False if out of memory. */
IMAPSTATE_API bool imapstate_token_fingerprint(struct imapstate_span names, uint64_t epoch,
                                               uint8_t ret_fingerprint[IMAPSTATE_FINGERPRINT_OCTETS]);

/* Octets of encoded state that fit into a token with this binding; 0 if not even an empty one does. */
IMAPSTATE_API size_t imapstate_token_state_max(const struct imapstate_token_binding *binding);

/* Seals. nonce is IMAPSTATE_TOKEN_NONCE_OCTETS from a cryptographic source, never used twice. Times in seconds since
 * 1970-01-01 UTC. The token is appended to ret_token. STATE_TOO_LARGE or NO_MEMORY (ret_token's max included). */
IMAPSTATE_API enum imapstate_error imapstate_token_seal(const struct imapstate_key *key,
                                                        const struct imapstate_token_binding *binding, uint64_t now_s,
                                                        uint64_t lifetime_s, const uint8_t *nonce,
                                                        struct imapstate_span state, struct imapstate_buf *ret_token);

/* Opens and checks in this order: form, version, key, seal, times, user, upstream, fingerprint. On IMAPSTATE_OK the
 * encoded state is appended to ret_state; on any other result ret_state is as before. A token issued more than
 * five minutes in the future is NOT_YET_VALID (clocks of a fleet differ). */
IMAPSTATE_API enum imapstate_error imapstate_token_open(const struct imapstate_keyring *keyring,
                                                        const struct imapstate_token_binding *binding, uint64_t now_s,
                                                        struct imapstate_span token, struct imapstate_buf *ret_state);

/* A short hash that names a token in logs without giving it away; 16 hexadecimal digits and a NUL (P15). */
IMAPSTATE_API void imapstate_token_hash(struct imapstate_span token, char ret_hash[17]);

#endif
