#include "introduction.h"

#include <imapstate/command.h>
#include <stdio.h>
#include <string.h>

static bool introduction_take(struct imapstate_span *in, uint8_t byte)
{
    if (in->len == 0 || *in->at != byte)
        return false;
    in->at++;
    in->len--;
    return true;
}

static bool introduction_take_nil(struct imapstate_span *in)
{
    if (in->len < 3 || !imapstate_span_equal_nocase((struct imapstate_span){ in->at, 3 }, IMAPSTATE_SPAN("NIL")))
        return false;
    in->at += 3;
    in->len -= 3;
    return true;
}

static bool introduction_begins(struct imapstate_span name, const char *prefix)
{
    struct imapstate_span want = imapstate_span_of(prefix);
    return name.len >= want.len && imapstate_span_equal_nocase((struct imapstate_span){ name.at, want.len }, want);
}

/* What only a trusted proxy may say of a client. */
static bool introduction_is_reserved(struct imapstate_span name)
{
    return introduction_begins(name, "x-originating-") || introduction_begins(name, "x-connected-") ||
           introduction_begins(name, "x-forward-") || introduction_begins(name, "x-session-") ||
           imapstate_span_equal_nocase(name, IMAPSTATE_SPAN("x-proxy-ttl"));
}

static bool introduction_put_pair(struct imapstate_buf *to, struct imapstate_span name, struct imapstate_span value,
                                  bool is_nil)
{
    if (to->at[to->len - 1] != '(' && !imapstate_buf_put_byte(to, ' '))
        return false;
    if (!imapstate_command_put_quoted(to, name) || !imapstate_buf_put_byte(to, ' '))
        return false;
    return is_nil ? imapstate_buf_put(to, IMAPSTATE_SPAN("NIL")) : imapstate_command_put_quoted(to, value);
}

static bool introduction_put_address(struct imapstate_buf *to, const char *kind, const struct address *address)
{
    char name[32], text[ADDRESS_TEXT_MAX];
    if (address->family == AF_UNIX)
        return true;
    snprintf(name, sizeof name, "x-%s-ip", kind);
    if (!introduction_put_pair(to, imapstate_span_of(name), imapstate_span_of(address_text(address, text)), false))
        return false;
    snprintf(name, sizeof name, "x-%s-port", kind);
    snprintf(text, sizeof text, "%u", address->port);
    return introduction_put_pair(to, imapstate_span_of(name), imapstate_span_of(text), false);
}

/* One pair of the client's list. */
static enum imapstate_error introduction_copy_pair(struct imapstate_span *in, struct imapstate_buf *to)
{
    struct imapstate_buf name, value;
    imapstate_buf_init(&name, INTRODUCTION_MAX);
    imapstate_buf_init(&value, INTRODUCTION_MAX);
    enum imapstate_error error = imapstate_command_astring(in, &name);
    bool is_nil = false;
    if (error == IMAPSTATE_OK && !introduction_take(in, ' '))
        error = IMAPSTATE_SYNTAX;
    if (error == IMAPSTATE_OK && !(is_nil = introduction_take_nil(in)))
        error = imapstate_command_astring(in, &value);
    struct imapstate_span name_span = imapstate_buf_span(&name), value_span = imapstate_buf_span(&value);
    if (error == IMAPSTATE_OK && !introduction_is_reserved(name_span) && imapstate_command_is_quotable(name_span) &&
        imapstate_command_is_quotable(value_span) && !introduction_put_pair(to, name_span, value_span, is_nil))
        error = IMAPSTATE_NO_MEMORY;
    imapstate_buf_done(&name);
    imapstate_buf_done(&value);
    return error;
}

static enum imapstate_error introduction_copy_list(struct imapstate_span in, struct imapstate_buf *to)
{
    if (in.len == 0 || (introduction_take_nil(&in) && in.len == 0))
        return IMAPSTATE_OK;
    if (!introduction_take(&in, '('))
        return IMAPSTATE_SYNTAX;
    if (introduction_take(&in, ')'))
        return in.len == 0 ? IMAPSTATE_OK : IMAPSTATE_SYNTAX;
    do {
        enum imapstate_error error = introduction_copy_pair(&in, to);
        if (error != IMAPSTATE_OK)
            return error;
    } while (introduction_take(&in, ' '));
    return introduction_take(&in, ')') && in.len == 0 ? IMAPSTATE_OK : IMAPSTATE_SYNTAX;
}

enum imapstate_error introduction_write(struct imapstate_span client_arguments, const struct address *source,
                                        const struct address *destination, struct imapstate_buf *ret_arguments)
{
    struct imapstate_buf list;
    imapstate_buf_init(&list, INTRODUCTION_MAX);
    enum imapstate_error error = IMAPSTATE_NO_MEMORY;
    if (imapstate_buf_put_byte(&list, '(')) {
        bool fits = !source || (introduction_put_address(&list, "originating", source) &&
                                introduction_put_address(&list, "connected", destination));
        error = fits ? introduction_copy_list(client_arguments, &list) : IMAPSTATE_NO_MEMORY;
    }
    if (error == IMAPSTATE_OK) {
        bool is_empty = list.len == 1;
        if (!(is_empty
                  ? imapstate_buf_put(ret_arguments, IMAPSTATE_SPAN("NIL"))
                  : imapstate_buf_put_byte(&list, ')') && imapstate_buf_put(ret_arguments, imapstate_buf_span(&list))))
            error = IMAPSTATE_NO_MEMORY;
    }
    imapstate_buf_done(&list);
    return error;
}
