#include "introduction.h"

#include <imapstate/command.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct introduction *introduction_new(void)
{
    struct introduction *introduction = calloc(1, sizeof *introduction);
    if (!introduction)
        return NULL;
    imapstate_buf_init(&introduction->own.octets, INTRODUCTION_MAX);
    imapstate_buf_init(&introduction->session.octets, INTRODUCTION_MAX);
    return introduction;
}

void introduction_free(struct introduction *introduction)
{
    if (!introduction)
        return;
    imapstate_buf_done(&introduction->own.octets);
    imapstate_buf_done(&introduction->session.octets);
    free(introduction);
}

void introduction_told(struct introduction *introduction)
{
    if (!introduction)
        return;
    imapstate_buf_done(&introduction->own.octets);
    imapstate_buf_done(&introduction->session.octets);
    introduction->own.count = introduction->session.count = 0;
}

/* --- reading a list --- */

struct pair {
    struct imapstate_buf name, value;
    bool is_nil, is_alone;
};

typedef enum imapstate_error pair_taker(const struct pair *pair, void *to);

static bool introduction_take(struct imapstate_span *in, uint8_t byte)
{
    if (in->len == 0 || *in->at != byte)
        return false;
    in->at++;
    in->len--;
    return true;
}

/* The word, and not the beginning of a longer one. */
static bool introduction_take_nil(struct imapstate_span *in)
{
    if (in->len < 3 || !imapstate_span_equal_nocase((struct imapstate_span){ in->at, 3 }, IMAPSTATE_SPAN("NIL")))
        return false;
    if (in->len > 3 && in->at[3] != ' ' && in->at[3] != ')')
        return false;
    in->at += 3;
    in->len -= 3;
    return true;
}

static void introduction_skip_spaces(struct imapstate_span *in)
{
    while (introduction_take(in, ' '))
        ;
}

/* Before the end of the list a name may be alone. */
static enum imapstate_error introduction_read_pair(struct imapstate_span *in, struct pair *ret_pair)
{
    imapstate_buf_clear(&ret_pair->name);
    imapstate_buf_clear(&ret_pair->value);
    enum imapstate_error error = imapstate_command_astring(in, &ret_pair->name);
    if (error != IMAPSTATE_OK)
        return error;
    introduction_skip_spaces(in);
    ret_pair->is_nil = introduction_take_nil(in);
    ret_pair->is_alone = in->len > 0 && *in->at == ')' && !ret_pair->is_nil;
    return ret_pair->is_nil || ret_pair->is_alone ? IMAPSTATE_OK : imapstate_command_astring(in, &ret_pair->value);
}

/* Up to the ")" that ends them. */
static enum imapstate_error introduction_read_pairs(struct imapstate_span *in, struct pair *pair, pair_taker *take,
                                                    void *to)
{
    for (;;) {
        introduction_skip_spaces(in);
        if (introduction_take(in, ')'))
            return IMAPSTATE_OK;
        enum imapstate_error error = introduction_read_pair(in, pair);
        if (error == IMAPSTATE_OK)
            error = take(pair, to);
        if (error != IMAPSTATE_OK)
            return error;
    }
}

/* id_params_list of RFC 2971 section 4, and what Dovecot takes for one: spaces too many, or none between quoted
 * strings. */
static enum imapstate_error introduction_read_list(struct imapstate_span *in, pair_taker *take, void *to)
{
    struct pair pair = { 0 };
    imapstate_buf_init(&pair.name, in->len);
    imapstate_buf_init(&pair.value, in->len);
    enum imapstate_error error = IMAPSTATE_OK;
    introduction_skip_spaces(in);
    if (!introduction_take_nil(in))
        error = introduction_take(in, '(') ? introduction_read_pairs(in, &pair, take, to) : IMAPSTATE_SYNTAX;
    imapstate_buf_done(&pair.name);
    imapstate_buf_done(&pair.value);
    introduction_skip_spaces(in);
    return error;
}

/* --- keeping what passes --- */

static bool introduction_put_pair(struct imapstate_buf *to, struct imapstate_span name, struct imapstate_span value,
                                  bool is_nil)
{
    if (to->len > 0 && !imapstate_buf_put_byte(to, ' '))
        return false;
    if (!imapstate_command_put_quoted(to, name) || !imapstate_buf_put_byte(to, ' '))
        return false;
    return is_nil ? imapstate_buf_put(to, IMAPSTATE_SPAN("NIL")) : imapstate_command_put_quoted(to, value);
}

static enum imapstate_error introduction_add(struct introduction_pairs *to, struct imapstate_span name,
                                             struct imapstate_span value, bool is_nil)
{
    size_t len = to->octets.len;
    if (!imapstate_command_is_quotable(name) || !imapstate_command_is_quotable(value))
        return IMAPSTATE_OK;
    if (name.len > INTRODUCTION_FIELD_MAX || value.len > INTRODUCTION_VALUE_MAX || to->count == INTRODUCTION_PAIRS_MAX)
        return IMAPSTATE_LITERAL_TOO_LARGE;
    if (!introduction_put_pair(&to->octets, name, value, is_nil)) {
        to->octets.len = len;
        return IMAPSTATE_NO_MEMORY;
    }
    to->ends[to->count++] = (uint16_t)to->octets.len;
    return IMAPSTATE_OK;
}
_Static_assert(INTRODUCTION_MAX <= UINT16_MAX, "an end fits");

/* Appends so many of them. */
static bool introduction_put_pairs(struct imapstate_buf *to, const struct introduction_pairs *pairs, unsigned count)
{
    if (count == 0)
        return true;
    if (to->len > 0 && !imapstate_buf_put_byte(to, ' '))
        return false;
    return imapstate_buf_put(to, (struct imapstate_span){ pairs->octets.at, pairs->ends[count - 1] });
}

/* pairs without parentheses, as arguments */
static bool introduction_put_list(struct imapstate_buf *to, struct imapstate_span pairs)
{
    if (pairs.len == 0)
        return imapstate_buf_put(to, IMAPSTATE_SPAN("NIL"));
    if (pairs.len + 2 > to->max - to->len)
        return false;
    return imapstate_buf_put_byte(to, '(') && imapstate_buf_put(to, pairs) && imapstate_buf_put_byte(to, ')');
}

/* --- a client's --- */

static bool introduction_set_host(struct address *address, struct imapstate_span text)
{
    uint8_t octets[16];
    int family = AF_INET;
    if (!address_read_host(text, family, octets) && !address_read_host(text, family = AF_INET6, octets))
        return false;
    address_set_raw(address, family, octets, address->port);
    return true;
}

static bool introduction_heed_source_ip(struct introduction *introduction, struct imapstate_span value)
{
    return introduction_set_host(&introduction->source, value);
}

static bool introduction_heed_source_port(struct introduction *introduction, struct imapstate_span value)
{
    return address_read_port(value, &introduction->source.port);
}

static bool introduction_heed_destination_ip(struct introduction *introduction, struct imapstate_span value)
{
    return introduction_set_host(&introduction->destination, value);
}

static bool introduction_heed_destination_port(struct introduction *introduction, struct imapstate_span value)
{
    return address_read_port(value, &introduction->destination.port);
}

/* Hops that are left, this one counted; one less is passed on. */
static bool introduction_heed_ttl(struct introduction *introduction, struct imapstate_span value)
{
    uint16_t hops;
    char left[8];
    if (!address_read_port(value, &hops)) /* the same digits */
        return false;
    introduction->is_looping = hops <= 1;
    snprintf(left, sizeof left, "%u", hops > 0 ? hops - 1u : 0u);
    return introduction_add(&introduction->session, IMAPSTATE_SPAN("x-proxy-ttl"), imapstate_span_of(left), false) ==
           IMAPSTATE_OK;
}

static bool introduction_heed_session_id(struct introduction *introduction, struct imapstate_span value)
{
    return introduction_add(&introduction->session, IMAPSTATE_SPAN("x-session-id"), value, false) == IMAPSTATE_OK;
}

static bool introduction_heed_session_ext_id(struct introduction *introduction, struct imapstate_span value)
{
    return introduction_add(&introduction->session, IMAPSTATE_SPAN("x-session-ext-id"), value, false) == IMAPSTATE_OK;
}

static const struct {
    const char *name;
    bool (*heed)(struct introduction *introduction, struct imapstate_span value);
} trusted_fields[] = {
    { "x-originating-ip", introduction_heed_source_ip },
    { "x-originating-port", introduction_heed_source_port },
    { "x-connected-ip", introduction_heed_destination_ip },
    { "x-connected-port", introduction_heed_destination_port },
    { "x-proxy-ttl", introduction_heed_ttl },
    { "x-session-id", introduction_heed_session_id },
    { "x-session-ext-id", introduction_heed_session_ext_id },
};

static enum imapstate_error introduction_heed(struct introduction *introduction, const struct pair *pair)
{
    struct imapstate_span name = imapstate_buf_span(&pair->name);
    for (size_t i = 0; i < sizeof trusted_fields / sizeof *trusted_fields && !pair->is_nil && !pair->is_alone; i++) {
        if (!imapstate_span_equal_nocase(name, imapstate_span_of(trusted_fields[i].name)))
            continue;
        if (trusted_fields[i].heed(introduction, imapstate_buf_span(&pair->value)))
            return IMAPSTATE_OK;
        introduction->wrong = trusted_fields[i].name;
        return IMAPSTATE_SYNTAX;
    }
    return IMAPSTATE_OK;
}

static bool introduction_is_reserved(struct imapstate_span name)
{
    return name.len >= 2 && (name.at[0] == 'x' || name.at[0] == 'X') && name.at[1] == '-';
}

static enum imapstate_error introduction_keep_own(const struct pair *pair, void *to)
{
    struct introduction *introduction = to;
    struct imapstate_span name = imapstate_buf_span(&pair->name);
    if (introduction_is_reserved(name) || pair->is_alone)
        return IMAPSTATE_OK;
    enum imapstate_error error =
        introduction_add(&introduction->own, name, imapstate_buf_span(&pair->value), pair->is_nil);
    return error == IMAPSTATE_LITERAL_TOO_LARGE ? IMAPSTATE_OK : error;
}

static enum imapstate_error introduction_keep_trusted(const struct pair *pair, void *to)
{
    enum imapstate_error error = introduction_heed(to, pair);
    return error == IMAPSTATE_OK ? introduction_keep_own(pair, to) : error;
}

enum imapstate_error introduction_read(struct imapstate_span arguments, bool is_trusted,
                                       struct introduction *ret_introduction)
{
    if (is_trusted)
        return introduction_read_list(&arguments, introduction_keep_trusted, ret_introduction);
    enum imapstate_error error = introduction_read_list(&arguments, introduction_keep_own, ret_introduction);
    if (error != IMAPSTATE_SYNTAX)
        return error;
    introduction_told(ret_introduction);
    return IMAPSTATE_OK;
}

static void introduction_add_address(struct introduction_pairs *to, const char *kind, const struct address *address)
{
    char name[32], text[ADDRESS_TEXT_MAX];
    if (address->family == AF_UNIX)
        return;
    snprintf(name, sizeof name, "x-%s-ip", kind);
    introduction_add(to, imapstate_span_of(name), imapstate_span_of(address_text(address, text)), false);
    snprintf(name, sizeof name, "x-%s-port", kind);
    snprintf(text, sizeof text, "%u", address->port);
    introduction_add(to, imapstate_span_of(name), imapstate_span_of(text), false);
}

bool introduction_write(const struct introduction *said, const struct address *source,
                        const struct address *destination, struct imapstate_buf *ret_arguments)
{
    struct introduction_pairs addresses = { .octets.max = INTRODUCTION_MAX };
    struct imapstate_buf list;
    imapstate_buf_init(&list, INTRODUCTION_MAX);
    if (source) {
        introduction_add_address(&addresses, "originating", source);
        introduction_add_address(&addresses, "connected", destination);
    }
    unsigned of_session = source && said ? said->session.count : 0, of_client = said ? said->own.count : 0;
    unsigned left = INTRODUCTION_PAIRS_MAX - addresses.count;
    of_session = of_session < left ? of_session : left;
    left -= of_session;
    bool fits = introduction_put_pairs(&list, &addresses, addresses.count) &&
                (!said || (introduction_put_pairs(&list, &said->session, of_session) &&
                           introduction_put_pairs(&list, &said->own, of_client < left ? of_client : left))) &&
                introduction_put_list(ret_arguments, imapstate_buf_span(&list));
    imapstate_buf_done(&addresses.octets);
    imapstate_buf_done(&list);
    return fits;
}

/* --- an upstream's --- */

static enum imapstate_error introduction_keep(const struct pair *pair, void *to)
{
    if (pair->is_alone)
        return IMAPSTATE_SYNTAX;
    return introduction_add(to, imapstate_buf_span(&pair->name), imapstate_buf_span(&pair->value), pair->is_nil);
}

enum imapstate_error introduction_read_answer(struct imapstate_span response, struct imapstate_buf *ret_arguments)
{
    static const struct imapstate_span begin = IMAPSTATE_SPAN("* ID ");
    struct imapstate_span in = imapstate_span_without_line_end(response);
    if (in.len < begin.len || in.len == response.len ||
        !imapstate_span_equal_nocase((struct imapstate_span){ in.at, begin.len }, begin))
        return IMAPSTATE_SYNTAX;
    struct introduction_pairs pairs = { .octets.max = INTRODUCTION_MAX };
    in = (struct imapstate_span){ in.at + begin.len, in.len - begin.len };
    enum imapstate_error error = introduction_read_list(&in, introduction_keep, &pairs);
    if (error == IMAPSTATE_OK && in.len > 0)
        error = IMAPSTATE_SYNTAX;
    if (error == IMAPSTATE_OK && !introduction_put_list(ret_arguments, imapstate_buf_span(&pairs.octets)))
        error = IMAPSTATE_NO_MEMORY;
    imapstate_buf_done(&pairs.octets);
    return error;
}
