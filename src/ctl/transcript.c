#include "transcript.h"

#include <string.h>

#include "words.h"

#define SECRET_MAX 65536u

void transcript_init(struct transcript *transcript, FILE *to)
{
    *transcript = (struct transcript){ .to = to };
}

void transcript_done(struct transcript *transcript)
{
    while (transcript->count > 0)
        imapstate_buf_done(&transcript->secrets[--transcript->count]);
}

bool transcript_hide(struct transcript *transcript, struct imapstate_span secret)
{
    struct imapstate_buf copy;
    size_t at = 0;
    for (; at < transcript->count && transcript->secrets[at].len >= secret.len; at++)
        if (imapstate_span_equal(imapstate_buf_span(&transcript->secrets[at]), secret))
            return true;
    if (secret.len == 0)
        return true;
    imapstate_buf_init(&copy, SECRET_MAX);
    if (transcript->count == TRANSCRIPT_SECRETS_MAX || !imapstate_buf_put(&copy, secret))
        return false;
    memmove(&transcript->secrets[at + 1], &transcript->secrets[at], (transcript->count - at) * sizeof copy);
    transcript->secrets[at] = copy;
    transcript->count++;
    return true;
}

void transcript_title(const struct transcript *transcript, const char *title)
{
    fprintf(transcript->to, "\n--- %s\n", title);
}

/* How many octets at the front of text are a secret. */
static size_t secret_len(const struct transcript *transcript, struct imapstate_span text)
{
    for (size_t i = 0; i < transcript->count; i++) {
        const struct imapstate_buf *secret = &transcript->secrets[i];
        if (text.len >= secret->len && memcmp(text.at, secret->at, secret->len) == 0)
            return secret->len;
    }
    return 0;
}

void transcript_print(const struct transcript *transcript, FILE *to, struct imapstate_span text)
{
    for (size_t i = 0; i < text.len;) {
        size_t len = secret_len(transcript, (struct imapstate_span){ text.at + i, text.len - i });
        if (len > 0)
            fputs("********", to);
        else if (text.at[i] >= ' ' && text.at[i] < 0x7f)
            fputc(text.at[i], to);
        else
            fprintf(to, "\\x%02x", text.at[i]);
        i += len > 0 ? len : 1;
    }
}

static bool transcript_line(struct transcript *transcript, char side, struct imapstate_span line)
{
    struct imapstate_span text = imapstate_span_without_line_end(line), rest = text;
    words_next(&rest);
    struct imapstate_span word = words_next(&rest);
    if ((word_is(word, "STATE") || word_is(word, "SAVESTATE")) && !transcript_hide(transcript, rest))
        return false;
    fprintf(transcript->to, "%c: ", side);
    transcript_print(transcript, transcript->to, text);
    fputc('\n', transcript->to);
    return true;
}

bool transcript_client(struct transcript *transcript, struct imapstate_span line)
{
    return transcript_line(transcript, 'C', line);
}

bool transcript_server(struct transcript *transcript, struct imapstate_span line)
{
    return transcript_line(transcript, 'S', line);
}

void transcript_literal(struct transcript *transcript, uint32_t octets)
{
    fprintf(transcript->to, "S: (%u octets)\n", octets);
}
