#include "serving.h"

#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "logmark.h"
#include "park.h"

void serving_done(struct serving *serving)
{
    free(serving->session);
    *serving = (struct serving){ 0 };
}

void serving_note(struct client *client, const struct address *server, const struct kept *kept)
{
    struct serving *serving = &client->serving;
    char own[LOGMARK_SESSION_MAX];
    free(serving->session);
    serving->session = NULL;
    if (server->family != AF_UNSPEC)
        serving->address = *server;
    if (kept->session && strcmp(kept->session, logmark_session(&client->mark, own)) != 0)
        serving->session = strdup(kept->session); /* without memory it is missing */
}

void serving_put(const struct serving *serving, struct logline *line)
{
    char address[ADDRESS_TEXT_MAX];
    if (serving->address.family != AF_UNSPEC)
        logline_words(line, "address", address_text_with_port(&serving->address, address));
    if (serving->session)
        logline_name(line, "upstream_session", imapstate_span_of(serving->session));
}
