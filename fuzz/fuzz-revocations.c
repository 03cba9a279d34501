/* Properties: a text is read, or is wrong in one of its lines; what was read concerns the users of its lines, in any
 * case of their letters, by the latest of their seconds and of those for all; a text that is cut behind a line is read
 * if the whole was; a line more, for a user as the log writes him, concerns him. */
#include "fuzz.h"

#include "log.h"
#include "revocations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATE_S 200000000000u

static struct revocations *parse(struct imapstate_span first, struct imapstate_span second, size_t *ret_line)
{
    struct imapstate_buf text;
    const char *wrong;
    imapstate_buf_init(&text, REVOCATIONS_TEXT_MAX);
    CHECK(imapstate_buf_put(&text, first) && imapstate_buf_put(&text, second));
    struct revocations *revocations = revocations_read(&text, 0, ret_line, &wrong);
    CHECK(text.size == 0 && (revocations ? *ret_line == 0 : *ret_line > 0 && *wrong));
    return revocations;
}

/* What is before the first space of a line that is no comment. */
static bool first_word(struct imapstate_span line, struct imapstate_span *ret_word)
{
    const uint8_t *space = line.len > 0 ? memchr(line.at, ' ', line.len) : NULL;
    if (!space || *line.at == '#')
        return false;
    *ret_word = (struct imapstate_span){ line.at, (size_t)(space - line.at) };
    return true;
}

static struct imapstate_span next_line(struct imapstate_span *text)
{
    const uint8_t *lf = memchr(text->at, '\n', text->len);
    struct imapstate_span line = { text->at, lf ? (size_t)(lf - text->at) : text->len };
    size_t consumed = lf ? line.len + 1 : line.len;
    *text = (struct imapstate_span){ text->at + consumed, text->len - consumed };
    return line;
}

/* Names without a backslash stand for themselves. */
static void check_lines(const struct revocations *revocations, struct imapstate_span text)
{
    uint64_t all_s = 0;
    for (struct imapstate_span rest = text, name; rest.len > 0;) {
        struct imapstate_span line = next_line(&rest);
        if (!first_word(line, &name) || memchr(name.at, '\\', name.len))
            continue;
        char digits[32] = "";
        size_t len = line.len - name.len - 1;
        while (len > 1 && line.at[line.len - len] == '0')
            len--;
        CHECK(len < sizeof digits);
        memcpy(digits, line.at + line.len - len, len);
        uint64_t second_s = strtoull(digits, NULL, 10);
        CHECK(revocations_second(revocations, name) >= second_s);
        if (name.len == 1 && *name.at == '*' && second_s > all_s)
            all_s = second_s;
    }
    CHECK(revocations_second(revocations, IMAPSTATE_SPAN("no line has this user \"")) >= all_s);
}

static void check_one_more(struct imapstate_span text, struct imapstate_span user)
{
    char quoted[8192], line[sizeof quoted + 32];
    size_t number;
    if (user.len == 0 || user.len > 2000)
        return;
    log_quote(user, quoted, sizeof quoted);
    bool is_all = strcmp(quoted, "*") == 0, is_comment = *quoted == '#';
    snprintf(line, sizeof line, "\n%s %llu\n", quoted, (unsigned long long)LATE_S);
    struct revocations *revocations = parse(text, imapstate_span_of(line), &number);
    CHECK(revocations);
    CHECK(is_all || is_comment || revocations_second(revocations, user) >= LATE_S);
    revocations_unref(revocations);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct imapstate_span text = { at, len };
    size_t line, cut_line;
    struct revocations *revocations = parse(text, (struct imapstate_span){ NULL, 0 }, &line);
    const uint8_t *lf = len > 0 ? memrchr(at, '\n', len) : NULL;
    struct imapstate_span cut = { at, lf ? (size_t)(lf - at) + 1 : 0 };
    struct revocations *before = parse(cut, (struct imapstate_span){ NULL, 0 }, &cut_line);
    CHECK(before || (!revocations && cut_line == line));
    if (revocations) {
        CHECK(revocations_count(revocations) <= len);
        check_lines(revocations, text);
        check_one_more(text, text);
    }
    revocations_unref(before);
    revocations_unref(revocations);
    return 0;
}
