/* Properties: a text is read, or is wrong in one of its lines; each line that was read is found by its key as it stands
 * there, in any case of its letters, and what it says can be read; a text that is cut behind a line is read if the
 * whole was; a key is in one line only. */
#include "fuzz.h"

#include "routemap.h"
#include "words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool has_upstream(void *owner, struct imapstate_span name)
{
    CHECK(name.len > 0);
    return *name.at != 'x';
}

static struct routemap *parse(struct imapstate_span first, struct imapstate_span second, size_t *ret_line)
{
    struct imapstate_buf text;
    char wrong[ROUTEMAP_WRONG_MAX];
    imapstate_buf_init(&text, ROUTEMAP_TEXT_MAX);
    CHECK(imapstate_buf_put(&text, first) && imapstate_buf_put(&text, second));
    struct routemap *map = routemap_read(&text, has_upstream, NULL, ret_line, wrong);
    CHECK(text.size == 0 && (map ? *ret_line == 0 : *ret_line > 0 && *wrong && strlen(wrong) < sizeof wrong));
    return map;
}

static struct imapstate_span next_line(struct imapstate_span *text)
{
    const uint8_t *lf = memchr(text->at, '\n', text->len);
    struct imapstate_span line = { text->at, lf ? (size_t)(lf - text->at) : text->len };
    size_t consumed = lf ? line.len + 1 : line.len;
    *text = (struct imapstate_span){ text->at + consumed, text->len - consumed };
    return line;
}

/* Keys without a backslash stand for themselves. */
static void check_lines(const struct routemap *map, struct imapstate_span text)
{
    size_t number = 0;
    while (text.len > 0) {
        struct imapstate_span line = next_line(&text), key = words_next(&line), upstream = words_next(&line);
        struct routemap_line found;
        uint8_t upper[ROUTEMAP_KEY_MAX];
        number++;
        if (key.len == 0 || *key.at == '#' || memchr(key.at, '\\', key.len))
            continue;
        CHECK(key.len <= sizeof upper);
        for (size_t i = 0; i < key.len; i++)
            upper[i] = key.at[i] < 0x80 ? (uint8_t)toupper(key.at[i]) : key.at[i];
        CHECK(routemap_find(map, (struct imapstate_span){ upper, key.len }, &found));
        CHECK(routemap_line_number(map, &found) == number && imapstate_span_equal(found.upstream, upstream));
    }
}

/* Whatever the last line was, it is at its end. */
static void check_one_more(struct imapstate_span text)
{
    size_t number;
    struct routemap *twice = parse(text, IMAPSTATE_SPAN("\nanother main\nAnother main\n"), &number);
    CHECK(!twice && number > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    const struct imapstate_span text = { at, len }, nothing = { NULL, 0 };
    size_t line, cut_line;
    struct routemap *map = parse(text, nothing, &line);
    const uint8_t *lf = len > 0 ? memrchr(at, '\n', len) : NULL;
    struct routemap *before = parse((struct imapstate_span){ at, lf ? (size_t)(lf - at) + 1 : 0 }, nothing, &cut_line);
    CHECK(before || (!map && cut_line == line));
    if (map) {
        CHECK(routemap_count(map) <= len);
        check_lines(map, text);
        check_one_more(text);
    }
    routemap_unref(before);
    routemap_unref(map);
    return 0;
}
