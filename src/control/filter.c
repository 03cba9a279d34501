#include "filter.h"

#include <stdlib.h>
#include <string.h>

#include "controlline.h"
#include "username.h"

static bool filter_read_address(const char *text, struct address *ret_address)
{
    uint8_t octets[16];
    if (strcmp(text, "unix") == 0) {
        *ret_address = (struct address){ .family = AF_UNIX };
        return true;
    }
    for (size_t i = 0; i < 2; i++) {
        int family = i == 0 ? AF_INET : AF_INET6;
        if (!address_read_host(imapstate_span_of(text), family, octets))
            continue;
        address_set_raw(ret_address, family, octets, 0);
        return true;
    }
    return false;
}

/* NULL, or what is wrong. */
static const char *filter_read(struct filter *filter, const struct controlline *line)
{
    filter->has_user = line->user;
    filter->has_address = line->address;
    if (line->user && !username_read(line->user, &filter->user))
        return "a backslash in a user's name must be written \\x5c";
    if (line->address && !filter_read_address(line->address, &filter->address))
        return "--address wants an IP address, or \"unix\"";
    if (line->upstream && !(filter->upstream = strdup(line->upstream)))
        return "out of memory";
    return NULL;
}

struct filter *filter_new(const struct controlline *line, const char **ret_wrong)
{
    struct filter *filter = calloc(1, sizeof *filter);
    *ret_wrong = "out of memory";
    if (!filter)
        return NULL;
    filter->references = 1;
    imapstate_buf_init(&filter->user, USERNAME_MAX);
    *ret_wrong = filter_read(filter, line);
    if (!*ret_wrong)
        return filter;
    filter_unref(filter);
    return NULL;
}

struct filter *filter_ref(struct filter *filter)
{
    filter->references++;
    return filter;
}

void filter_unref(struct filter *filter)
{
    if (!filter || --filter->references > 0)
        return;
    imapstate_buf_done(&filter->user);
    free(filter->upstream);
    free(filter);
}

bool filter_admits_user(const struct filter *filter, struct imapstate_span user)
{
    return !filter->has_user || imapstate_span_equal_nocase(imapstate_buf_span(&filter->user), user);
}

bool filter_admits_upstream(const struct filter *filter, const char *name)
{
    return !filter->upstream || strcmp(filter->upstream, name) == 0;
}

bool filter_admits_address(const struct filter *filter, const struct address *address)
{
    struct address host = *address;
    host.port = 0;
    return !filter->has_address || memcmp(&host, &filter->address, sizeof host) == 0;
}
