/* sasl: the SASL mechanisms that can pass the gateway, and what the client's messages in them say (RFC 4422).
 *
 * Never in the table: EXTERNAL and GSSAPI, which would authenticate the gateway rather than the user; NTLM and
 * DIGEST-MD5, which can add a security layer that the gateway could not see through; -PLUS mechanisms, which are bound
 * to one TLS connection. */
#ifndef IMAP_SASL_H
#define IMAP_SASL_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

enum sasl_id {
    SASL_PLAIN,         /* RFC 4616 */
    SASL_LOGIN,         /* draft-murchison-sasl-login */
    SASL_XOAUTH2,       /* Google's and Microsoft's predecessor of the next one */
    SASL_OAUTHBEARER,   /* RFC 7628 */
    SASL_CRAM_MD5,      /* RFC 2195 */
    SASL_SCRAM_SHA_1,   /* RFC 5802 */
    SASL_SCRAM_SHA_256, /* RFC 7677 */
    SASL_SCRAM_SHA_512,
    SASL_ID_MAX,
};
#define SASL_BIT(id) (UINT32_C(1) << (id))
#define SASL_BITS    (SASL_BIT(SASL_ID_MAX) - 1) /* all of them */

enum sasl_passing {
    SASL_CONVERTED, /* the gateway learns a password and passes it on by LOGIN or PLAIN, whichever the upstream
                     * offers */
    SASL_RELAYED,   /* word for word; its first message is kept, as it can be used to log in again (bearer tokens) */
    SASL_PROVED,    /* word for word; nothing that passes could be used to log in again (SCRAM, CRAM-MD5) */
};

struct sasl_mechanism {
    const char *name; /* upper case */
    enum sasl_id id;
    enum sasl_passing passing;
    bool is_client_first; /* an initial response is possible (RFC 4959); also for LOGIN, although a client that sends
                           * none waits for "Username:" */
};

/* name in any case; NULL if it cannot pass. */
const struct sasl_mechanism *sasl_find(struct imapstate_span name);

/* id is below SASL_ID_MAX. */
const struct sasl_mechanism *sasl_get(enum sasl_id id);

/* The set of SASL_BIT(): all that pass like this. */
uint32_t sasl_that_pass(enum sasl_passing passing);

/* Their names, with ", " between them. Returns ret_names. */
#define SASL_NAMES_MAX 128u
const char *sasl_names(uint32_t set, char ret_names[SASL_NAMES_MAX]);

/* Who logs in as whom, as the client's message says. One that is all zero except the limits is a valid empty one;
 * sasl_identity_init() sets the limits. */
struct sasl_identity {
    struct imapstate_buf authentication; /* authcid */
    struct imapstate_buf authorization;  /* authzid; empty if the message has none, or one equal to authcid */
    struct imapstate_buf password;       /* PLAIN, LOGIN; XOAUTH2, OAUTHBEARER: the token; else empty */
    bool is_certain;                     /* it is known whose session it will be (not for OAUTHBEARER without a=) */
};

#define SASL_NAME_MAX     65536u /* octets in an identity; RFC 4616 allows 255 characters */
#define SASL_PASSWORD_MAX 65536u /* bearer tokens and odd passwords */

void sasl_identity_init(struct sasl_identity *identity);
void sasl_identity_done(struct sasl_identity *identity); /* wipes */

/* The identity that the session will have: the authorization identity, else the authentication identity. Borrowed. */
struct imapstate_span sasl_identity_user(const struct sasl_identity *identity);

/* Whose password it is, if the session will be another user's; else empty. For OAUTHBEARER only the server knows.
 * Borrowed. */
struct imapstate_span sasl_identity_acting(const struct sasl_identity *identity);

enum sasl_error {
    SASL_OK,
    SASL_BASE64,   /* not base64 (RFC 4648 section 4, with padding; no white space; surplus bits may be set) */
    SASL_SYNTAX,   /* not a message of this mechanism */
    SASL_NUL,      /* NUL in an identity or a password */
    SASL_TOO_LONG, /* for a limit, or for the memory that is left */
};
const char *sasl_strerror(enum sasl_error error);

/* Decodes one line of base64 (without its line end). If is_initial, "=" alone is the empty message of an initial
 * response (RFC 4959). An empty line is the empty message. Appends to ret_message, which on error is as before. */
enum sasl_error sasl_decode(struct imapstate_span line, bool is_initial, struct imapstate_buf *ret_message);

/* Appends base64 with padding, no line end. False if it does not fit. The empty message appends nothing: in an initial
 * response the caller writes "=". */
bool sasl_encode(struct imapstate_span message, struct imapstate_buf *ret_line);

/* ahead: what a client has sent before it could see the challenge that refuses a bearer token (RFC 7628 section 3.2.3).
 * Is its first line nevertheless an answer to that challenge, or may it become one? Such answers are fixed: the dummy
 * response of OAUTHBEARER, XOAUTH2's empty one, "*". Any other line is the next command. */
bool sasl_may_answer_refusal(struct imapstate_span ahead);

/* Reads the identity from the decoded message of the client that holds it: the first one; for CRAM-MD5 the one that
 * answers the challenge. Not for SASL_LOGIN, whose two messages are the user and the password as they are.
 *   PLAIN: authzid NUL authcid NUL password (neither of the latter is empty: RFC 4616).
 *   SCRAM: the gs2 header's a= and n= (escapes =2C and =3D resolved).
 *   XOAUTH2: user=.
 *   OAUTHBEARER: a= of the gs2 header; without it the identity is not certain.
 *   Both: the token of auth=Bearer (RFC 6750 section 2.1) as the password, alike in both; empty if there is none.
 * Strict: what two parsers could read as two identities or two tokens is SASL_SYNTAX. On error ret_identity is as
 * before. */
enum sasl_error sasl_read_identity(const struct sasl_mechanism *mechanism, struct imapstate_span message,
                                   struct sasl_identity *ret_identity);

/* Appends the message of XOAUTH2 or OAUTHBEARER, which sasl_read_identity() has read, as another user's. False: it does
 * not fit, names no user, or cannot name this one. */
bool sasl_rename(const struct sasl_mechanism *mechanism, struct imapstate_span message, struct imapstate_span user,
                 struct imapstate_buf *ret_message);

/* Appends the decoded PLAIN message of an identity. False if it does not fit, or if a part of it contains NUL; then
 * nothing was appended. */
bool sasl_write_plain(const struct sasl_identity *identity, struct imapstate_buf *ret_message);

#endif
