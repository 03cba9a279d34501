#include "pins.h"

#include <openssl/x509.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define PIN_PREFIX "sha256//"

static bool pin_parse(const char *text, uint8_t ret_pin[PIN_OCTETS])
{
    size_t prefix = strlen(PIN_PREFIX), got = 0;
    const char *end;
    if (strncmp(text, PIN_PREFIX, prefix) != 0)
        return false;
    text += prefix;
    return sodium_base642bin(ret_pin, PIN_OCTETS, text, strlen(text), NULL, &got, &end,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           got == PIN_OCTETS && !*end;
}

enum pins_result pins_add(struct pins *pins, const char *text)
{
    uint8_t pin[PIN_OCTETS];
    if (!pin_parse(text, pin))
        return PINS_MALFORMED;
    uint8_t(*more)[PIN_OCTETS] = reallocarray(pins->at, pins->count + 1, sizeof *more);
    if (!more)
        return PINS_NO_MEMORY;
    pins->at = more;
    memcpy(more[pins->count++], pin, PIN_OCTETS);
    return PINS_ADDED;
}

void pins_done(struct pins *pins)
{
    free(pins->at);
    *pins = (struct pins){ 0 };
}

const char *pins_text(const struct pins *pins, size_t at, char ret_text[PIN_TEXT_SIZE])
{
    size_t prefix = strlen(PIN_PREFIX);
    memcpy(ret_text, PIN_PREFIX, prefix);
    sodium_bin2base64(ret_text + prefix, PIN_TEXT_SIZE - prefix, pins->at[at], PIN_OCTETS,
                      sodium_base64_VARIANT_ORIGINAL);
    return ret_text;
}

static bool pins_have_pin(const struct pins *pins, const uint8_t pin[PIN_OCTETS])
{
    for (size_t i = 0; i < pins->count; i++)
        if (memcmp(pins->at[i], pin, PIN_OCTETS) == 0)
            return true;
    return false;
}

static bool pins_are_in(const struct pins *some, const struct pins *pins)
{
    for (size_t i = 0; i < some->count; i++)
        if (!pins_have_pin(pins, some->at[i]))
            return false;
    return true;
}

bool pins_are_equal(const struct pins *a, const struct pins *b)
{
    return pins_are_in(a, b) && pins_are_in(b, a);
}

bool pins_have(const struct pins *pins, const X509 *certificate)
{
    uint8_t *der = NULL, pin[PIN_OCTETS];
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    bool has = len > 0 && EVP_Digest(der, (size_t)len, pin, NULL, EVP_sha256(), NULL) == 1 && pins_have_pin(pins, pin);
    OPENSSL_free(der);
    return has;
}
