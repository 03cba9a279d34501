/* pemfile: what is wrong with a file that OpenSSL could not load a certificate or a key from, in words that say what to
 * do. It is looked at only then. */
#ifndef IO_PEMFILE_H
#define IO_PEMFILE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

enum pemfile_kind { PEMFILE_CERTIFICATES, PEMFILE_KEY };

/* In ret_words, cut to size. False: none of what is known to go wrong; OpenSSL may know more. */
bool pemfile_explain(const char *path, enum pemfile_kind kind, char *ret_words, size_t size);

/* Is the certificate of this context out of its time? "expired on 2026-11-01" or "is not valid before 2026-12-01", UTC,
 * in ret_words. */
bool pemfile_is_untimely(const SSL_CTX *context, char *ret_words, size_t size);

#endif
