#include "saved.h"

#include <imapstate/visit.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "lines.h"

#define KEPT_VERSION    1u
#define CHECKSUM_OCTETS 16u
/* Version, time, the token's length. */
#define KEPT_HEAD_OCTETS (1u + 8u + 2u)
#define KEPT_OCTETS_MAX  (KEPT_HEAD_OCTETS + IMAPSTATE_VISIT_TOKEN_MAX + IMAPSTATE_VISIT_COMMANDS_MAX + CHECKSUM_OCTETS)

_Static_assert(IMAPSTATE_VISIT_KEPT_MAX >= (KEPT_OCTETS_MAX * 4 + 2) / 3, "what may be kept fits");

void imapstate_saved_init(struct saved *saved)
{
    imapstate_buf_init(&saved->token, IMAPSTATE_VISIT_TOKEN_MAX);
    imapstate_buf_init(&saved->commands, IMAPSTATE_VISIT_COMMANDS_MAX);
    saved->saved_at_s = 0;
}

void imapstate_saved_done(struct saved *saved)
{
    imapstate_buf_done(&saved->token);
    imapstate_buf_done(&saved->commands);
}

static bool saved_put(struct saved *saved, struct imapstate_span token, struct imapstate_span commands)
{
    imapstate_buf_clear(&saved->token);
    imapstate_buf_clear(&saved->commands);
    if (imapstate_buf_put(&saved->token, token) && imapstate_buf_put(&saved->commands, commands))
        return true;
    imapstate_saved_done(saved);
    return false;
}

static bool buf_put_number(struct imapstate_buf *buf, uint64_t number, int octets)
{
    bool fits = true;
    while (octets-- > 0)
        fits = fits && imapstate_buf_put_byte(buf, (uint8_t)(number >> (8 * octets)));
    return fits;
}

bool imapstate_saved_is_token(struct imapstate_span token)
{
    for (size_t i = 0; i < token.len; i++)
        if (token.at[i] <= 0x20 || token.at[i] >= 0x7f)
            return false;
    return token.len > 0;
}

static void checksum(struct imapstate_span octets, uint8_t ret_sum[CHECKSUM_OCTETS])
{
    crypto_generichash(ret_sum, CHECKSUM_OCTETS, octets.at, octets.len, NULL, 0);
}

static bool saved_encode(const struct saved *saved, struct imapstate_buf *octets)
{
    uint8_t sum[CHECKSUM_OCTETS];
    if (!buf_put_number(octets, KEPT_VERSION, 1) || !buf_put_number(octets, saved->saved_at_s, 8) ||
        !buf_put_number(octets, saved->token.len, 2) || !imapstate_buf_put(octets, imapstate_buf_span(&saved->token)) ||
        !imapstate_buf_put(octets, imapstate_buf_span(&saved->commands)))
        return false;
    checksum(imapstate_buf_span(octets), sum);
    return imapstate_buf_put(octets, (struct imapstate_span){ sum, sizeof sum });
}

static bool put_base64(struct imapstate_buf *out, struct imapstate_span octets)
{
    size_t size = sodium_base64_encoded_len(octets.len, BASE64_VARIANT);
    char *text = malloc(size);
    if (!text)
        return false;
    sodium_bin2base64(text, size, octets.at, octets.len, BASE64_VARIANT);
    bool is_put = imapstate_buf_put(out, (struct imapstate_span){ (uint8_t *)text, size - 1 });
    sodium_memzero(text, size);
    free(text);
    return is_put;
}

bool imapstate_saved_write(const struct saved *saved, struct imapstate_buf *out)
{
    struct imapstate_buf octets;
    imapstate_buf_init(&octets, KEPT_OCTETS_MAX);
    bool is_put = saved_encode(saved, &octets) && put_base64(out, imapstate_buf_span(&octets));
    imapstate_buf_done(&octets);
    return is_put;
}

static bool lines_are_valid(struct imapstate_span lines)
{
    struct imapstate_span line;
    size_t at = 0;
    while (lines_next(lines, &at, &line))
        if (line.len == 0)
            return false;
    return at == lines.len;
}

static enum imapstate_error saved_decode(struct saved *saved, struct imapstate_span octets)
{
    uint8_t sum[CHECKSUM_OCTETS];
    if (octets.len < KEPT_HEAD_OCTETS + CHECKSUM_OCTETS || octets.at[0] != KEPT_VERSION)
        return IMAPSTATE_STATE_INVALID;
    octets.len -= CHECKSUM_OCTETS;
    checksum(octets, sum);
    size_t token_len = (size_t)octets.at[9] << 8 | octets.at[10], rest_len = octets.len - KEPT_HEAD_OCTETS;
    if (memcmp(sum, octets.at + octets.len, sizeof sum) != 0 || token_len > rest_len)
        return IMAPSTATE_STATE_INVALID;
    struct imapstate_span token = { octets.at + KEPT_HEAD_OCTETS, token_len };
    struct imapstate_span commands = { token.at + token_len, rest_len - token_len };
    if (!imapstate_saved_is_token(token) || token.len > saved->token.max || !lines_are_valid(commands) ||
        commands.len > saved->commands.max)
        return IMAPSTATE_STATE_INVALID;
    if (!saved_put(saved, token, commands))
        return IMAPSTATE_NO_MEMORY;
    saved->saved_at_s = 0;
    for (size_t i = 1; i <= 8; i++)
        saved->saved_at_s = saved->saved_at_s << 8 | octets.at[i];
    return IMAPSTATE_OK;
}

enum imapstate_error imapstate_saved_read(struct saved *saved, struct imapstate_span text)
{
    size_t len;
    uint8_t *octets = malloc(KEPT_OCTETS_MAX);
    if (!octets)
        return IMAPSTATE_NO_MEMORY;
    enum imapstate_error error = IMAPSTATE_STATE_INVALID;
    if (base64_decode(text, octets, KEPT_OCTETS_MAX, &len))
        error = saved_decode(saved, (struct imapstate_span){ octets, len });
    sodium_memzero(octets, KEPT_OCTETS_MAX);
    free(octets);
    return error;
}
