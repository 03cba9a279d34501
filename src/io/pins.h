/* pins: keys of a server that are known beforehand. A pin is the SHA-256 of the public key as it stands in the
 * certificate (SubjectPublicKeyInfo, RFC 7469 section 2.4), written "sha256//" and base64, as curl does. */
#ifndef IO_PINS_H
#define IO_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIN_OCTETS 32u
/* Of a pin as text, including its NUL. */
#define PIN_TEXT_SIZE (sizeof("sha256//") + 44u)

struct x509_st;

/* All zero is none. */
struct pins {
    uint8_t (*at)[PIN_OCTETS]; /* owned */
    size_t count;
};

enum pins_result { PINS_ADDED, PINS_MALFORMED, PINS_NO_MEMORY };
enum pins_result pins_add(struct pins *pins, const char *text);
void pins_done(struct pins *pins);

/* As it would be written; ret_text. */
const char *pins_text(const struct pins *pins, size_t at, char ret_text[PIN_TEXT_SIZE]);

/* In any order. */
bool pins_are_equal(const struct pins *a, const struct pins *b);

/* Is the certificate's key one of them? */
bool pins_have(const struct pins *pins, const struct x509_st *certificate);

#endif
