/* A NAMESPACE response that gains translations is the response that it was, with nothing but translations added, and
 * gains none when it is translated again. */
#include "fuzz.h"

#include "catalogue.h"
#include "namespace.h"

#include <string.h>

/* Takes the additions out of the translated line. False: it has become another line. */
static bool is_only_added_to(struct imapstate_span line, struct imapstate_span translated)
{
    static const char addition[] = " \"TRANSLATION\" (\"";
    size_t at = 0, from = 0;
    for (; from < translated.len; from++, at++) {
        if (at < line.len && line.at[at] == translated.at[from])
            continue;
        if (translated.len - from < sizeof addition - 1 ||
            memcmp(translated.at + from, addition, sizeof addition - 1) != 0)
            return false;
        for (from += sizeof addition - 1; from < translated.len && translated.at[from] != '"'; from++)
            from += translated.at[from] == '\\';
        from += 2; /* ") */
        if (from >= translated.len || at >= line.len || translated.at[from] != line.at[at])
            return false;
    }
    return at == line.len;
}

static void check_line(struct imapstate_span line, unsigned language, bool is_utf8)
{
    struct imapstate_buf translated, again;
    imapstate_buf_init(&translated, NAMESPACE_LINE_MAX);
    imapstate_buf_init(&again, NAMESPACE_LINE_MAX);
    if (namespace_translate(line, language, is_utf8, &translated)) {
        CHECK(language > 1);
        CHECK(is_only_added_to(line, imapstate_buf_span(&translated)));
        CHECK(!namespace_translate(imapstate_buf_span(&translated), language, is_utf8, &again));
    } else {
        CHECK(translated.len == 0);
    }
    imapstate_buf_done(&translated);
    imapstate_buf_done(&again);
}

/* The first octet is the language, and whether names are in UTF-8; the rest is a line, and the descriptors of one. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (len < 1)
        return 0;
    unsigned language = at[0] % catalogue_count();
    bool is_utf8 = at[0] & 128;
    struct imapstate_span rest = { at + 1, len - 1 };
    struct imapstate_buf line;
    imapstate_buf_init(&line, 65536);
    check_line(rest, language, is_utf8);
    CHECK(imapstate_buf_put(&line, IMAPSTATE_SPAN("* NAMESPACE NIL (")) && imapstate_buf_put(&line, rest) &&
          imapstate_buf_put(&line, IMAPSTATE_SPAN(") NIL\r\n")));
    check_line(imapstate_buf_span(&line), language, is_utf8);
    imapstate_buf_done(&line);
    return 0;
}
