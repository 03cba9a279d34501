/* Properties: a line is read, or is wrong with words for it. What was read has at least one word and no more than there
 * may be, and no value that is empty. Written again from what was read, it is read as the same. A line that was read
 * and is cut is wrong, unless only white space is cut off. */
#include "fuzz.h"

#include "controlline.h"

#include <string.h>

static void append(json_t *words, const char *option, const char *value)
{
    if (!value)
        return;
    json_array_append_new(words, json_string(option));
    json_array_append_new(words, json_string(value));
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static char *write_again(const struct controlline *line)
{
    json_t *words = json_array();
    append(words, "--address", line->address);
    append(words, "--upstream", line->upstream);
    for (size_t i = 0; i < line->word_count; i++)
        json_array_append_new(words, json_string(line->words[i]));
    if (line->is_all)
        json_array_append_new(words, json_string("--all"));
    append(words, "--user", line->user);
    char *text = json_dumps(words, JSON_COMPACT);
    json_decref(words);
    CHECK(text);
    return text;
}

static void check_again(const struct controlline *line)
{
    struct controlline again;
    char wrong[CONTROLLINE_WRONG_MAX], *text = write_again(line);
    if (strlen(text) <= CONTROLLINE_MAX) { /* escapes may be shorter in the original */
        CHECK(controlline_read(imapstate_span_of(text), &again, wrong));
        CHECK(again.word_count == line->word_count && again.is_all == line->is_all);
        for (size_t i = 0; i < line->word_count; i++)
            CHECK(strcmp(again.words[i], line->words[i]) == 0);
        CHECK(is_same(again.user, line->user) && is_same(again.upstream, line->upstream) &&
              is_same(again.address, line->address));
        controlline_done(&again);
    }
    free(text);
}

static bool is_blank(uint8_t octet)
{
    return octet == ' ' || octet == '\t' || octet == '\r' || octet == '\n';
}

static void check_cut(const uint8_t *at, size_t len)
{
    struct controlline line;
    char wrong[CONTROLLINE_WRONG_MAX];
    while (len > 0 && is_blank(at[len - 1]))
        len--;
    CHECK(len > 0 && !controlline_read((struct imapstate_span){ at, len - 1 }, &line, wrong));
    CHECK(!controlline_read((struct imapstate_span){ at, len / 2 }, &line, wrong));
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct controlline line;
    char wrong[CONTROLLINE_WRONG_MAX] = "";
    if (!controlline_read((struct imapstate_span){ at, len }, &line, wrong)) {
        CHECK(*wrong);
        return 0;
    }
    CHECK(line.word_count > 0 && line.word_count <= CONTROLLINE_WORDS_MAX);
    CHECK((!line.user || *line.user) && (!line.upstream || *line.upstream) && (!line.address || *line.address));
    check_again(&line);
    check_cut(at, len);
    controlline_done(&line);
    return 0;
}
