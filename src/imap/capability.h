/* capability: a server's capability list: what it says, and what clients see of it (P1, P12). No I/O, no state. */
#ifndef IMAP_CAPABILITY_H
#define IMAP_CAPABILITY_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

/* Octets of a list that is kept or shown; a longer one counts as none. */
#define CAPABILITY_LIST_MAX 8192u

/* What the gateway itself acts on, of an upstream's list. */
struct capabilities {
    bool literal_plus, literal_minus; /* RFC 7888 */
    bool binary;                      /* RFC 3516: ~{n+} is accepted */
    bool sasl_ir;                     /* RFC 4959 */
    bool id, starttls, logindisabled, unauthenticate, unselect, language, namespace;
    uint32_t mechanisms; /* set of SASL_BIT(id): the AUTH= ones that are in our table */
};

/* names: words separated by SP, as they follow CAPABILITY. Unknown words are skipped. IMAP4rev2 implies LITERAL-,
 * SASL-IR, UNSELECT and NAMESPACE (RFC 9051 appendix E). */
void capability_parse(struct imapstate_span names, struct capabilities *ret_capabilities);

/* Octets in a non-synchronizing literal that the server accepts: 0 for none at all, UINT32_MAX for LITERAL+, 4096 for
 * LITERAL- (RFC 7888). */
uint32_t capability_nonsync_max(const struct capabilities *capabilities);

/* For whom a list is rewritten. */
struct capability_view {
    bool is_before_login;
    bool offers_starttls; /* the listener has tls = "starttls" and is not under TLS yet */
    bool may_login;       /* false: no TLS yet on a listener that requires it */
    bool has_state;       /* STATE is offered: the connection may carry a token and the identity is certain */
    bool has_language;    /* the gateway has languages to offer, to clients of an upstream that has no LANGUAGE */
    bool has_ximapproxy;  /* the listener has imapproxy_compat */
    bool has_compress;    /* the listener has compress */
    bool hides_proofs;    /* SCRAM and CRAM-MD5 are only shown to whoever has no other way to use a password */
    uint32_t mechanisms;  /* set of SASL_BIT(id): those that the listener offers */
};

/* Set of SASL_BIT(id): those that the client could use, and is not shown: what they prove no parked connection can be
 * matched to. Nothing is hidden where the upstream takes a password in no other way, as PLAIN or LOGIN. */
uint32_t capability_hidden(const struct capabilities *offered, const struct capability_view *view);

/* May the client use the LOGIN command? It may if PLAIN or LOGIN, which carry the same password, is offered. */
bool capability_may_use_login(const struct capability_view *view);

/* Appends what the client sees of names, words separated by one SP, none at the ends: the upstream's words in their
 * order and spelling, each once. Left out are
 *
 *     STATE, XIMAPPROXY, COMPRESS=, STARTTLS and LOGINDISABLED, which the gateway decides; LOGIN-REFERRALS and
 *     MAILBOX-REFERRALS;
 *     AUTH= of mechanisms that cannot pass (those that are not in sasl.h's table), are not offered, or are hidden;
 *     before login: the upstream's LANGUAGE, which the gateway could not answer; AUTH= and SASL-IR where the client
 *     may not log in;
 *     words that are not atoms, or contain "[": in a response code or at the end of a line they would be read as
 *     something else.
 *
 * The gateway's own come at the end: LITERAL+, STARTTLS and LOGINDISABLED (both only before login), LANGUAGE where the
 * upstream has none, STATE, XIMAPPROXY, COMPRESS=DEFLATE (only after login). False if it does not fit, or if out of
 * memory; then nothing was appended. */
bool capability_rewrite(struct imapstate_span names, const struct capability_view *view,
                        struct imapstate_buf *ret_names);

/* Finds the list in one whole response line (line end included): "* CAPABILITY names" or a status response, tagged or
 * not, with the code "[CAPABILITY names]". ret_names is the part of line with the names, without spaces at its ends.
 * False if there is none, or an empty one. A code that does not end within the line does not count. Human text that
 * contains "[CAPABILITY" further on is not a code. */
bool capability_find(struct imapstate_span line, struct imapstate_span *ret_names);

#endif
