#include "id.h"

#include <imapstate/command.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_TTL "x-proxy-ttl"

struct id *id_new(void)
{
    struct id *id = calloc(1, sizeof *id);
    if (!id)
        return NULL;
    imapstate_buf_init(&id->own.octets, ID_MAX);
    imapstate_buf_init(&id->session.octets, ID_MAX);
    imapstate_buf_init(&id->session_name, ID_VALUE_MAX);
    return id;
}

void id_free(struct id *id)
{
    if (!id)
        return;
    imapstate_buf_done(&id->own.octets);
    imapstate_buf_done(&id->session.octets);
    imapstate_buf_done(&id->session_name);
    free(id);
}

void id_told(struct id *id)
{
    if (!id)
        return;
    imapstate_buf_done(&id->own.octets);
    imapstate_buf_done(&id->session.octets);
    imapstate_buf_done(&id->session_name);
    id->own.count = id->session.count = 0;
    id->has_hops = false;
}

/* --- reading a list --- */

struct pair {
    struct imapstate_buf name, value;
    bool is_nil, is_alone;
};

typedef enum imapstate_error pair_taker(const struct pair *pair, void *to);

static bool id_take(struct imapstate_span *in, uint8_t byte)
{
    if (in->len == 0 || *in->at != byte)
        return false;
    in->at++;
    in->len--;
    return true;
}

/* The word, and not the beginning of a longer one. */
static bool id_take_nil(struct imapstate_span *in)
{
    if (in->len < 3 || !imapstate_span_equal_nocase((struct imapstate_span){ in->at, 3 }, IMAPSTATE_SPAN("NIL")))
        return false;
    if (in->len > 3 && in->at[3] != ' ' && in->at[3] != ')')
        return false;
    in->at += 3;
    in->len -= 3;
    return true;
}

static void id_skip_spaces(struct imapstate_span *in)
{
    while (id_take(in, ' '))
        ;
}

/* Before the end of the list a name may be alone. */
static enum imapstate_error id_read_pair(struct imapstate_span *in, struct pair *ret_pair)
{
    imapstate_buf_clear(&ret_pair->name);
    imapstate_buf_clear(&ret_pair->value);
    enum imapstate_error error = imapstate_command_astring(in, &ret_pair->name);
    if (error != IMAPSTATE_OK)
        return error;
    id_skip_spaces(in);
    ret_pair->is_nil = id_take_nil(in);
    ret_pair->is_alone = in->len > 0 && *in->at == ')' && !ret_pair->is_nil;
    return ret_pair->is_nil || ret_pair->is_alone ? IMAPSTATE_OK : imapstate_command_astring(in, &ret_pair->value);
}

/* Up to the ")" that ends them. */
static enum imapstate_error id_read_pairs(struct imapstate_span *in, struct pair *pair, pair_taker *take, void *to)
{
    for (;;) {
        id_skip_spaces(in);
        if (id_take(in, ')'))
            return IMAPSTATE_OK;
        enum imapstate_error error = id_read_pair(in, pair);
        if (error == IMAPSTATE_OK)
            error = take(pair, to);
        if (error != IMAPSTATE_OK)
            return error;
    }
}

/* id_params_list of RFC 2971 section 4, and what Dovecot takes for one: spaces too many, or none between quoted
 * strings. */
static enum imapstate_error id_read_list(struct imapstate_span *in, pair_taker *take, void *to)
{
    struct pair pair = { 0 };
    imapstate_buf_init(&pair.name, in->len);
    imapstate_buf_init(&pair.value, in->len);
    enum imapstate_error error = IMAPSTATE_OK;
    id_skip_spaces(in);
    if (!id_take_nil(in))
        error = id_take(in, '(') ? id_read_pairs(in, &pair, take, to) : IMAPSTATE_SYNTAX;
    imapstate_buf_done(&pair.name);
    imapstate_buf_done(&pair.value);
    id_skip_spaces(in);
    return error;
}

/* --- keeping what passes --- */

static bool id_put_pair(struct imapstate_buf *to, struct imapstate_span name, struct imapstate_span value, bool is_nil)
{
    if (to->len > 0 && !imapstate_buf_put_byte(to, ' '))
        return false;
    if (!imapstate_command_put_quoted(to, name) || !imapstate_buf_put_byte(to, ' '))
        return false;
    return is_nil ? imapstate_buf_put(to, IMAPSTATE_SPAN("NIL")) : imapstate_command_put_quoted(to, value);
}

static enum imapstate_error id_add(struct id_pairs *to, struct imapstate_span name, struct imapstate_span value,
                                   bool is_nil)
{
    size_t len = to->octets.len;
    if (!imapstate_command_is_quotable(name) || !imapstate_command_is_quotable(value))
        return IMAPSTATE_OK;
    if (name.len > ID_FIELD_MAX || value.len > ID_VALUE_MAX || to->count == ID_PAIRS_MAX)
        return IMAPSTATE_LITERAL_TOO_LARGE;
    if (!id_put_pair(&to->octets, name, value, is_nil)) {
        to->octets.len = len;
        return IMAPSTATE_NO_MEMORY;
    }
    to->ends[to->count++] = (uint16_t)to->octets.len;
    return IMAPSTATE_OK;
}
_Static_assert(ID_MAX <= UINT16_MAX, "an end fits");

/* Appends so many of them. */
static bool id_put_pairs(struct imapstate_buf *to, const struct id_pairs *pairs, unsigned count)
{
    if (count == 0)
        return true;
    if (to->len > 0 && !imapstate_buf_put_byte(to, ' '))
        return false;
    return imapstate_buf_put(to, (struct imapstate_span){ pairs->octets.at, pairs->ends[count - 1] });
}

/* pairs without parentheses, as arguments */
static bool id_put_list(struct imapstate_buf *to, struct imapstate_span pairs)
{
    if (pairs.len == 0)
        return imapstate_buf_put(to, IMAPSTATE_SPAN("NIL"));
    if (pairs.len + 2 > to->max - to->len)
        return false;
    return imapstate_buf_put_byte(to, '(') && imapstate_buf_put(to, pairs) && imapstate_buf_put_byte(to, ')');
}

/* --- a client's --- */

static bool id_set_host(struct address *address, struct imapstate_span text)
{
    uint8_t octets[16];
    int family = AF_INET;
    if (!address_read_host(text, family, octets) && !address_read_host(text, family = AF_INET6, octets))
        return false;
    address_set_raw(address, family, octets, address->port);
    return true;
}

static bool id_heed_source_ip(struct id *id, struct imapstate_span value)
{
    return id_set_host(&id->source, value);
}

static bool id_heed_source_port(struct id *id, struct imapstate_span value)
{
    return address_read_port(value, &id->source.port);
}

static bool id_heed_destination_ip(struct id *id, struct imapstate_span value)
{
    return id_set_host(&id->destination, value);
}

static bool id_heed_destination_port(struct id *id, struct imapstate_span value)
{
    return address_read_port(value, &id->destination.port);
}

/* Hops that are left, this one counted; one less is passed on, and never more than there are without a word. */
static bool id_heed_ttl(struct id *id, struct imapstate_span value)
{
    uint16_t hops;
    if (!address_read_port(value, &hops)) /* the same digits */
        return false;
    hops = hops < ID_HOPS_MAX ? hops : ID_HOPS_MAX;
    id->hops = hops > 0 ? (uint16_t)(hops - 1) : 0;
    id->has_hops = true;
    return true;
}

static bool id_heed_session_id(struct id *id, struct imapstate_span value)
{
    imapstate_buf_clear(&id->session_name);
    return id_add(&id->session, IMAPSTATE_SPAN("x-session-id"), value, false) == IMAPSTATE_OK &&
           imapstate_buf_put(&id->session_name, value);
}

static bool id_heed_session_ext_id(struct id *id, struct imapstate_span value)
{
    return id_add(&id->session, IMAPSTATE_SPAN("x-session-ext-id"), value, false) == IMAPSTATE_OK;
}

static const struct {
    const char *name;
    bool (*heed)(struct id *id, struct imapstate_span value);
} trusted_fields[] = {
    { "x-originating-ip", id_heed_source_ip },
    { "x-originating-port", id_heed_source_port },
    { "x-connected-ip", id_heed_destination_ip },
    { "x-connected-port", id_heed_destination_port },
    { ID_TTL, id_heed_ttl },
    { "x-session-id", id_heed_session_id },
    { "x-session-ext-id", id_heed_session_ext_id },
};

static enum imapstate_error id_heed(struct id *id, const struct pair *pair)
{
    struct imapstate_span name = imapstate_buf_span(&pair->name);
    for (size_t i = 0; i < sizeof trusted_fields / sizeof *trusted_fields && !pair->is_nil && !pair->is_alone; i++) {
        if (!imapstate_span_equal_nocase(name, imapstate_span_of(trusted_fields[i].name)))
            continue;
        if (trusted_fields[i].heed(id, imapstate_buf_span(&pair->value)))
            return IMAPSTATE_OK;
        id->wrong = trusted_fields[i].name;
        return IMAPSTATE_SYNTAX;
    }
    return IMAPSTATE_OK;
}

static bool id_is_reserved(struct imapstate_span name)
{
    return name.len >= 2 && (name.at[0] == 'x' || name.at[0] == 'X') && name.at[1] == '-';
}

static enum imapstate_error id_keep_own(const struct pair *pair, void *to)
{
    struct id *id = to;
    struct imapstate_span name = imapstate_buf_span(&pair->name);
    if (imapstate_span_equal_nocase(name, IMAPSTATE_SPAN(ID_TTL)) && !pair->is_nil && !pair->is_alone)
        id_heed_ttl(id, imapstate_buf_span(&pair->value));
    if (id_is_reserved(name) || pair->is_alone)
        return IMAPSTATE_OK;
    enum imapstate_error error = id_add(&id->own, name, imapstate_buf_span(&pair->value), pair->is_nil);
    return error == IMAPSTATE_LITERAL_TOO_LARGE ? IMAPSTATE_OK : error;
}

static enum imapstate_error id_keep_trusted(const struct pair *pair, void *to)
{
    enum imapstate_error error = id_heed(to, pair);
    return error == IMAPSTATE_OK ? id_keep_own(pair, to) : error;
}

enum imapstate_error id_read(struct imapstate_span arguments, bool is_trusted, struct id *ret_id)
{
    if (is_trusted)
        return id_read_list(&arguments, id_keep_trusted, ret_id);
    enum imapstate_error error = id_read_list(&arguments, id_keep_own, ret_id);
    if (error != IMAPSTATE_SYNTAX)
        return error;
    id_told(ret_id);
    return IMAPSTATE_OK;
}

static void id_add_address(struct id_pairs *to, const char *kind, const struct address *address)
{
    char name[32], text[ADDRESS_TEXT_MAX];
    if (address->family == AF_UNIX)
        return;
    snprintf(name, sizeof name, "x-%s-ip", kind);
    id_add(to, imapstate_span_of(name), imapstate_span_of(address_text(address, text)), false);
    snprintf(name, sizeof name, "x-%s-port", kind);
    snprintf(text, sizeof text, "%u", address->port);
    id_add(to, imapstate_span_of(name), imapstate_span_of(text), false);
}

bool id_is_looping(const struct id *id)
{
    return id->has_hops && id->hops == 0;
}

/* Where addresses are passed on, and where a number came in, the next one hears how many hops are left. */
static void id_add_hop(struct id_pairs *to, const struct id *said, const struct id_hop *hop)
{
    char left[8];
    bool has_hops = said && said->has_hops;
    snprintf(left, sizeof left, "%u", has_hops ? said->hops : ID_HOPS_MAX - 1);
    if (hop->source) {
        id_add_address(to, "originating", hop->source);
        id_add_address(to, "connected", hop->destination);
        if (!said || said->session_name.len == 0)
            id_add(to, IMAPSTATE_SPAN("x-session-id"), imapstate_span_of(hop->session), false);
    }
    if (hop->source || has_hops)
        id_add(to, IMAPSTATE_SPAN(ID_TTL), imapstate_span_of(left), false);
}

bool id_write(const struct id *said, const struct id_hop *hop, struct imapstate_buf *ret_arguments)
{
    struct id_pairs of_gateway = { .octets.max = ID_MAX };
    struct imapstate_buf list;
    imapstate_buf_init(&list, ID_MAX);
    if (hop)
        id_add_hop(&of_gateway, said, hop);
    unsigned of_session = hop && hop->source && said ? said->session.count : 0, of_client = said ? said->own.count : 0;
    unsigned left = ID_PAIRS_MAX - of_gateway.count;
    of_session = of_session < left ? of_session : left;
    left -= of_session;
    bool fits = id_put_pairs(&list, &of_gateway, of_gateway.count) &&
                (!said || (id_put_pairs(&list, &said->session, of_session) &&
                           id_put_pairs(&list, &said->own, of_client < left ? of_client : left))) &&
                id_put_list(ret_arguments, imapstate_buf_span(&list));
    imapstate_buf_done(&of_gateway.octets);
    imapstate_buf_done(&list);
    return fits;
}

/* --- an upstream's --- */

static enum imapstate_error id_keep(const struct pair *pair, void *to)
{
    if (pair->is_alone)
        return IMAPSTATE_SYNTAX;
    return id_add(to, imapstate_buf_span(&pair->name), imapstate_buf_span(&pair->value), pair->is_nil);
}

enum imapstate_error id_read_answer(struct imapstate_span response, struct imapstate_buf *ret_arguments)
{
    static const struct imapstate_span begin = IMAPSTATE_SPAN("* ID ");
    struct imapstate_span in = imapstate_span_without_line_end(response);
    if (in.len < begin.len || in.len == response.len ||
        !imapstate_span_equal_nocase((struct imapstate_span){ in.at, begin.len }, begin))
        return IMAPSTATE_SYNTAX;
    struct id_pairs pairs = { .octets.max = ID_MAX };
    in = (struct imapstate_span){ in.at + begin.len, in.len - begin.len };
    enum imapstate_error error = id_read_list(&in, id_keep, &pairs);
    if (error == IMAPSTATE_OK && in.len > 0)
        error = IMAPSTATE_SYNTAX;
    if (error == IMAPSTATE_OK && !id_put_list(ret_arguments, imapstate_buf_span(&pairs.octets)))
        error = IMAPSTATE_NO_MEMORY;
    imapstate_buf_done(&pairs.octets);
    return error;
}
