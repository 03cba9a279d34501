/* Property: whatever the two sides say, what is shown is printable ASCII and holds no secret, neither one that was told
 * nor a token from the moment at which it is first said. */
#include "fuzz.h"

#include <string.h>

#include "transcript.h"

#define SECRET_LEN 5u

/* Letters that no escape, no mask and no word of ours has: so a secret can be shown only by not being masked. */
static void secret_from(const uint8_t *at, char ret_secret[SECRET_LEN + 1])
{
    for (size_t i = 0; i < SECRET_LEN; i++)
        ret_secret[i] = "GHIJ"[at[i] % 4];
    ret_secret[SECRET_LEN] = '\0';
}

static struct imapstate_span take(struct imapstate_span *in)
{
    size_t len = in->at[0] < in->len - 1 ? in->at[0] : in->len - 1;
    struct imapstate_span taken = { in->at + 1, len };
    *in = (struct imapstate_span){ taken.at + len, in->len - 1 - len };
    return taken;
}

/* Lines: length (1 octet), octets. Every third announces the token. */
static void say_all(struct transcript *transcript, struct imapstate_span in, const char *token)
{
    char line[40];
    for (unsigned i = 0; in.len > 0; i++) {
        struct imapstate_span text = take(&in);
        bool is_shown = i % 2 ? transcript_client(transcript, text) : transcript_server(transcript, text);
        if (!is_shown)
            return;
        snprintf(line, sizeof line, "* SAVESTATE %s\r\n", token);
        if (i == 0)
            transcript_server(transcript, imapstate_span_of(line));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    char secret[SECRET_LEN + 1], token[SECRET_LEN + 1], *text = NULL;
    size_t text_len;
    struct transcript transcript;
    if (len < 2 * SECRET_LEN)
        return 0;
    secret_from(at, secret);
    secret_from(at + SECRET_LEN, token);
    FILE *to = open_memstream(&text, &text_len);
    CHECK(to);
    transcript_init(&transcript, to);
    CHECK(transcript_hide(&transcript, imapstate_span_of(secret)));
    say_all(&transcript, (struct imapstate_span){ at + 2 * SECRET_LEN, len - 2 * SECRET_LEN }, token);
    transcript_done(&transcript);
    fclose(to);
    for (size_t i = 0; i < text_len; i++)
        CHECK(text[i] == '\n' || (text[i] >= ' ' && text[i] < 0x7f));
    CHECK(!strstr(text, secret));
    const char *announced = strstr(text, "* SAVESTATE ********\n");
    CHECK(!announced || !strstr(announced, token));
    free(text);
    return 0;
}
