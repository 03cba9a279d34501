#include "reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reply {
    struct reply_reader reader;
    bool is_abandoned;
    void (*go_on)(void *waiter); /* NULL: nobody waits for room */
    void *waiter;
};

static const char no_memory[] = "{\"error\":\"out of memory\",\"kind\":\"failed\"}";

struct reply *reply_new(const struct reply_reader *reader)
{
    struct reply *reply = calloc(1, sizeof *reply);
    if (reply)
        reply->reader = *reader;
    return reply;
}

static void reply_call_waiter(struct reply *reply)
{
    void (*go_on)(void *waiter) = reply->go_on;
    reply->go_on = NULL;
    if (go_on)
        go_on(reply->waiter);
}

void reply_abandon(struct reply *reply)
{
    reply->is_abandoned = true;
    reply_call_waiter(reply);
}

void reply_drained(struct reply *reply)
{
    if (reply->reader.has_room(reply->reader.owner))
        reply_call_waiter(reply);
}

bool reply_is_abandoned(const struct reply *reply)
{
    return reply->is_abandoned;
}

bool reply_has_room(struct reply *reply, void (*go_on)(void *waiter), void *waiter)
{
    if (reply->is_abandoned || reply->reader.has_room(reply->reader.owner))
        return true;
    reply->go_on = go_on;
    reply->waiter = waiter;
    return false;
}

/* Takes line. */
static bool reply_put(struct reply *reply, json_t *line)
{
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    bool is_put = text;
    if (text && !reply->is_abandoned)
        reply->reader.put(reply->reader.owner, text);
    free(text);
    json_decref(line);
    return is_put;
}

/* Words from elsewhere, the system's messages among them, may not be UTF-8. */
static json_t *reply_words(const char *format, va_list arguments)
{
    char *words = NULL;
    if (vasprintf(&words, format, arguments) < 0)
        return NULL;
    json_t *text = json_string(words);
    for (char *at = words; !text && *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    if (!text)
        text = json_string(words);
    free(words);
    return text;
}

void reply_put_row(struct reply *reply, json_t *row)
{
    if (!row || !reply_put(reply, json_pack("{so}", "row", row)))
        reply_put_note(reply, "a row is missing: out of memory");
}

void reply_put_note(struct reply *reply, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    json_t *words = reply_words(format, arguments);
    va_end(arguments);
    reply_put(reply, json_pack("{so*}", "note", words));
}

void reply_end(struct reply *reply, enum reply_end end, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    json_t *words = reply_words(format, arguments);
    va_end(arguments);
    json_t *line = words && end == REPLY_DONE ? json_pack("{so}", "done", words)
                   : words ? json_pack("{soss}", "error", words, "kind", end == REPLY_USAGE ? "usage" : "failed")
                           : NULL;
    if (!reply_put(reply, line) && !reply->is_abandoned)
        reply->reader.put(reply->reader.owner, no_memory);
    if (!reply->is_abandoned)
        reply->reader.ended(reply->reader.owner);
    free(reply);
}
