/* tls: OpenSSL contexts for both sides. */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "tlspolicy.h"

struct pins;
struct tickets;

/* What could not be made or loaded. */
enum tls_wrong {
    TLS_WRONG_CONTEXT,
    TLS_WRONG_POLICY, /* ret_fault->option */
    TLS_WRONG_CERTIFICATE,
    TLS_WRONG_KEY,
    TLS_WRONG_PAIR, /* the key is not the certificate's */
    TLS_WRONG_CA,
};

struct tls_fault {
    enum tls_wrong what;
    const char *option; /* static */
    size_t at;          /* of several certificates: the index of this one */
};

/* --- a side that is connected to --- */

enum tls_client_certificate {
    TLS_CLIENT_CERTIFICATE_NONE,
    TLS_CLIENT_CERTIFICATE_OPTIONAL,
    TLS_CLIENT_CERTIFICATE_REQUIRED
};

struct tls_own {
    const char *name; /* tickets are only good where it is the same, as whoever answers there is */
    const struct tlspolicy *policy;
    const char *const *cert_files, *const *key_files; /* PEM, with chains; as many of these as of those */
    size_t count;                                     /* at least one */
    enum tls_client_certificate client_certificate;
    const char *client_ca_file; /* "" if none is asked for */
    struct tickets *tickets;    /* borrowed until the last handshake */
    /* Told of each pair once it is loaded; NULL: nobody. */
    void (*on_loaded)(void *arg, size_t at, const SSL_CTX *context);
    void *arg;
};

/* NULL: OpenSSL's error queue says why, and ret_fault what. */
SSL_CTX *tls_own_context(const struct tls_own *own, struct tls_fault *ret_fault);

/* --- a side that connects to others --- */

struct tls_peering {
    const struct tlspolicy *policy; /* NULL: as OpenSSL likes it, from TLS 1.2 on */
    bool is_verified;               /* by the certificates in ca_file, or the system's if that is "" */
    const char *ca_file;
    const struct pins *pins;          /* borrowed until the last handshake; NULL or none: any key. Whether the other is
                                       * verified or not */
    const char *cert_file, *key_file; /* what to show if asked; "": nothing */
    bool is_resumed;                  /* sessions are kept, to be resumed (resumption.h) */
};

SSL_CTX *tls_peer_context(const struct tls_peering *peering, struct tls_fault *ret_fault);

/* --- connections --- */

/* One end of a connection; NULL if out of memory. The side that connects sends the name of the other (RFC 6066) and
 * verifies it (RFC 9525): the name of a host, or an address, which is not sent. place is where it is, for sessions that
 * are resumed; NULL: none is. */
SSL *tls_accept(SSL_CTX *context);
SSL *tls_peer(SSL_CTX *context, const char *name, const char *place);

/* What a handshake has agreed on. */
enum tls_version tls_agreed_version(const SSL *ssl);
extern const char *const tls_version_names[TLS_VERSION_COUNT]; /* as OpenSSL writes them: "TLSv1.3" */

/* Why the other side's certificate was refused, in static words, or NULL if it was not. */
const char *tls_verify_failure(const SSL *ssl);

/* Of the certificate that the other side has shown, and that was verified: its subject (RFC 4514), cut to size, and the
 * SHA-256 of all of it in hexadecimal. False: it has shown none, or none was asked for. */
#define TLS_FINGERPRINT_SIZE 65u
bool tls_certificate_of_peer(const SSL *ssl, char *ret_subject, size_t size,
                             char ret_fingerprint[TLS_FINGERPRINT_SIZE]);

/* What has gone wrong, in words for an operator: of an error of OpenSSL's, on a connection that we made or accepted.
 * Static. */
const char *tls_error_words(unsigned long code, bool is_made);

#endif
