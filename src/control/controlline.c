#include "controlline.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static bool controlline_is_wrong(char ret_wrong[CONTROLLINE_WRONG_MAX],
                                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_wrong, CONTROLLINE_WRONG_MAX, format, arguments);
    va_end(arguments);
    return false;
}

/* The option's place for its value; NULL: there is no such option. ret_len is that of its name. */
static const char **controlline_option(struct controlline *line, const char *word, size_t *ret_len)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = { { "--user", &line->user }, { "--upstream", &line->upstream }, { "--address", &line->address } };
    *ret_len = strcspn(word, "=");
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (strlen(options[i].name) == *ret_len && strncmp(word, options[i].name, *ret_len) == 0)
            return options[i].value;
    return NULL;
}

static const char *controlline_word(const json_t *json, size_t index)
{
    return json_string_value(json_array_get(json, index));
}

/* *index is moved to the option's last word. */
static bool controlline_take_option(struct controlline *line, size_t *index, char ret_wrong[CONTROLLINE_WRONG_MAX])
{
    const char *word = controlline_word(line->json, *index);
    size_t len;
    if (strcmp(word, "--all") == 0) {
        line->is_all = true;
        return true;
    }
    const char **value = controlline_option(line, word, &len);
    if (!value)
        return controlline_is_wrong(ret_wrong, "there is no option %.40s", word);
    if (*value)
        return controlline_is_wrong(ret_wrong, "%.*s is given twice", (int)len, word);
    *value = word[len] == '=' ? word + len + 1 : controlline_word(line->json, ++*index);
    if (!*value || !**value)
        return controlline_is_wrong(ret_wrong, "%.*s wants a value", (int)len, word);
    return true;
}

static bool controlline_take_word(struct controlline *line, size_t *index, char ret_wrong[CONTROLLINE_WRONG_MAX])
{
    const char *word = controlline_word(line->json, *index);
    if (!word)
        return controlline_is_wrong(ret_wrong, "each word must be a string");
    if (strncmp(word, "--", 2) == 0)
        return controlline_take_option(line, index, ret_wrong);
    if (line->word_count == CONTROLLINE_WORDS_MAX)
        return controlline_is_wrong(ret_wrong, "too many words");
    line->words[line->word_count++] = word;
    return true;
}

static bool controlline_take(struct controlline *line, char ret_wrong[CONTROLLINE_WRONG_MAX])
{
    if (!json_is_array(line->json))
        return controlline_is_wrong(ret_wrong, "a line must be a JSON array of words");
    for (size_t i = 0; i < json_array_size(line->json); i++)
        if (!controlline_take_word(line, &i, ret_wrong))
            return false;
    if (line->word_count == 0)
        return controlline_is_wrong(ret_wrong, "a command is missing");
    return true;
}

bool controlline_read(struct imapstate_span line, struct controlline *ret_line, char ret_wrong[CONTROLLINE_WRONG_MAX])
{
    json_error_t error;
    if (line.len > CONTROLLINE_MAX)
        return controlline_is_wrong(ret_wrong, "a line has at most %u octets", CONTROLLINE_MAX);
    struct controlline taken = { .json = json_loadb((const char *)line.at, line.len, 0, &error) };
    if (!taken.json)
        return controlline_is_wrong(ret_wrong, "a line must be a JSON array of words: column %d: %.60s", error.column,
                                    error.text);
    if (!controlline_take(&taken, ret_wrong)) {
        json_decref(taken.json);
        return false;
    }
    *ret_line = taken;
    return true;
}

void controlline_done(struct controlline *line)
{
    json_decref(line->json);
    *line = (struct controlline){ 0 };
}
