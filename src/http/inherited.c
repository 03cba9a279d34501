#include "inherited.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_OCTETS  "abcdefghijklmnopqrstuvwxyz_"
#define VALUE_OCTETS "0123456789."

bool inherited_init(struct inherited *inherited, const char *process)
{
    static const char known[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t len = strlen(process);
    *inherited = (struct inherited){ 0 };
    if (len == 0 || len >= sizeof inherited->process || strspn(process, known) != len)
        return false;
    memcpy(inherited->process, process, len + 1);
    return true;
}

void inherited_done(struct inherited *inherited)
{
    for (size_t i = 0; i < inherited->count; i++)
        free(inherited->samples[i].text);
    free(inherited->samples);
    *inherited = (struct inherited){ 0 };
}

/* --- a sample --- */

/* From the octet after the brace on: LABEL="VALUE", one after the other, up to the brace that is the end. */
static bool labels_are_whole(const char *at)
{
    for (;; at++) {
        size_t name = strspn(at, NAME_OCTETS);
        if (name == 0 || strncmp(at + name, "=\"", 2) != 0)
            return false;
        for (at += name + 2; *at && *at != '"'; at++)
            if ((*at == '\\' && *++at != '"' && *at != '\\') || (unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
                return false;
        if (*at != '"')
            return false;
        if (*++at != ',')
            return strcmp(at, "}") == 0;
    }
}

static bool sample_is_one(const char *name, size_t name_len, const char *value)
{
    const char *point = strchr(value, '.');
    return strncmp(name, "imapstate_", 10) == 0 && value[0] >= '0' && value[0] <= '9' &&
           strspn(value, VALUE_OCTETS) == strlen(value) && (!point || (point[1] && !strchr(point + 1, '.'))) &&
           (!name[name_len] || (name[name_len] == '{' && labels_are_whole(name + name_len + 1)));
}

static bool inherited_keep(struct inherited *inherited, const struct inherited_sample *sample)
{
    if (inherited->count == inherited->room) {
        size_t room = inherited->room ? 2 * inherited->room : 256;
        struct inherited_sample *more = reallocarray(inherited->samples, room, sizeof *more);
        if (!more)
            return false;
        inherited->samples = more;
        inherited->room = room;
    }
    inherited->samples[inherited->count++] = *sample;
    return true;
}

static bool inherited_add(struct inherited *inherited, const char *name, const char *value, size_t *octets_left)
{
    struct inherited_sample sample = { .name_len = strspn(name, NAME_OCTETS), .value = strtoull(value, NULL, 10) };
    if (!sample_is_one(name, sample.name_len, value))
        return false;
    const char *labels = name[sample.name_len] ? name + sample.name_len + 1 : "}";
    int len = asprintf(&sample.text, "%.*s{process=\"%s\"%s%s %s", (int)sample.name_len, name, inherited->process,
                       *labels == '}' ? "" : ",", labels, value);
    if (len < 0)
        return false;
    /* The array may have twice the room that it needs. */
    size_t octets = (size_t)len + 1 + 2 * sizeof sample;
    if (octets > *octets_left || !inherited_keep(inherited, &sample)) {
        free(sample.text);
        return false;
    }
    *octets_left -= octets;
    return true;
}

/* --- lines --- */

static enum inherited_end inherited_take(struct inherited *inherited, json_t *line, size_t *octets_left)
{
    json_t *row = json_object_get(line, "row");
    const char *name = json_string_value(json_object_get(row, "name"));
    const char *value = json_string_value(json_object_get(row, "value"));
    if (name && value)
        return inherited_add(inherited, name, value, octets_left) ? INHERITED_GOES_ON : INHERITED_USELESS;
    if (json_object_get(line, "note"))
        return INHERITED_GOES_ON;
    /* An error after rows: a worker was late, and counts with what it had said before. */
    bool is_end = json_object_get(line, "done") || json_object_get(line, "error");
    return is_end && inherited->count > 0 ? INHERITED_WHOLE : INHERITED_USELESS;
}

enum inherited_end inherited_read(struct inherited *inherited, const char *line, size_t len, size_t *octets_left)
{
    json_t *json = json_loadb(line, len, 0, NULL);
    enum inherited_end end = inherited_take(inherited, json, octets_left);
    json_decref(json);
    return end;
}

/* --- sums --- */

uint64_t inherited_sum(const struct inherited *inherited, const char *name, const char *with)
{
    uint64_t sum = 0;
    size_t len = strlen(name);
    for (size_t i = 0; i < inherited->count; i++) {
        const struct inherited_sample *sample = &inherited->samples[i];
        if (sample->name_len == len && memcmp(sample->text, name, len) == 0 && (!with || strstr(sample->text, with)))
            sum += sample->value;
    }
    return sum;
}
