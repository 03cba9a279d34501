#include "origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue.h"
#include "client.h"
#include "id.h"
#include "logmark.h"
#include "network.h"
#include "park.h"
#include "peers.h"
#include "rate.h"

/* What a PROXY header or an ID says comes after the greeting or before it: client_end() knows. Strangers can bring it
 * about as often as they like. */
void origin_refuse(struct client *client)
{
    unsigned more = 0;
    char detail[32];
    client->is_unlogged = !rate_allows(&rate_of_refusals, client_now_ms(client), &more);
    snprintf(detail, sizeof detail, "and %u more", more);
    if (more > 0)
        client_set_detail(client, detail);
    client->row->refused[CLIENTS_REFUSED_ADDRESS]++;
    client_end(client, CLIENT_ENDING_ADDRESS, "BYE [UNAVAILABLE] " N_("Too many connections from this address."));
}

/* From here on it comes from this address, and is counted so. A host that speaks for many is not limited itself. */
bool origin_move(struct client *client, const struct address *peer, const struct address *local)
{
    const struct config *config = client->service->config;
    bool is_host = networks_hold(&client->listener->id_trusted_networks, peer);
    struct peers_place place = { *peer, client_is_newcomer(client, peer) };
    struct peers_limits limits = {
        .max_per_address = is_host ? 0 : config->max_clients_per_address,
        .max_newcomers_per_address = config->max_unauthenticated_per_address,
    };
    if (peers_move(&client->place, &place, &limits) != PEERS_OK)
        return false;
    client->peer = *peer;
    client->local = *local;
    return true;
}

static bool origin_is_other(const struct client *client)
{
    return client->id && client->id->peer.family != AF_UNSPEC;
}

/* Before login only, and by the connection's own address, be it a PROXY header's. */
static bool origin_is_trusted(const struct client *client)
{
    const struct address *peer = origin_is_other(client) ? &client->id->peer : &client->peer;
    return client->state == CLIENT_NOT_AUTHENTICATED && networks_hold(&client->listener->id_trusted_networks, peer);
}

/* What a trusted client has said of its user's address is believed as a PROXY header is. The last word counts; an ID
 * that says nothing of it leaves it as it is. */
static void origin_heed(struct client *client, struct id *said)
{
    const struct id *before = client->id;
    said->peer = origin_is_other(client) ? before->peer : client->peer;
    said->local = origin_is_other(client) ? before->local : client->local;
    const struct address *local = said->destination.family == AF_UNSPEC ? &said->local : &said->destination;
    bool is_moved = said->source.family != AF_UNSPEC;
    if (!is_moved && !origin_is_other(client))
        said->peer = said->local = (struct address){ .family = AF_UNSPEC };
    if (is_moved)
        client_log(client, LOG_LEVEL_DEBUG, "ID tells whom it speaks for");
    if (is_moved && !origin_move(client, &said->source, local))
        origin_refuse(client);
    else if (id_is_looping(said))
        client_end(client, CLIENT_ENDING_LOOP, "BYE [UNAVAILABLE] " N_("The mail server cannot be reached."));
}

bool origin_hear_id(struct client *client, struct imapstate_span arguments)
{
    struct id *said = id_new();
    enum imapstate_error error = said ? id_read(arguments, origin_is_trusted(client), said) : IMAPSTATE_NO_MEMORY;
    if (error != IMAPSTATE_OK) {
        if (said && said->wrong)
            client_log(client, LOG_LEVEL_WARNING, "%s cannot be read in the ID of a trusted client", said->wrong);
        id_free(said);
        return false;
    }
    origin_heed(client, said);
    id_free(client->id);
    client->id = said;
    return true;
}

/* Whoever said it need not be who is there from here on: TLS begins, or UNAUTHENTICATE was said. False: memory is out,
 * and the client has been ended. */
bool origin_forget(struct client *client)
{
    const struct id *said = client->id;
    bool is_itself = !origin_is_other(client) || origin_move(client, &said->peer, &said->local);
    id_free(client->id);
    client->id = NULL;
    if (!is_itself)
        client_close(client, CLIENT_ENDING_MEMORY);
    return is_itself;
}

/* Under this name the server's log has what comes on the connection, whoever's sessions follow. */
static void origin_name_session(const struct id *said, const struct id_hop *hop, struct kept *kept)
{
    struct imapstate_span name = imapstate_span_of(hop->session);
    if (said && said->session_name.len > 0)
        name = imapstate_buf_span(&said->session_name);
    free(kept->session);
    kept->session = calloc(1, name.len + 1);
    if (kept->session)
        memcpy(kept->session, name.at, name.len);
}

bool origin_id_arguments(const struct client *client, struct upstream *upstream, struct imapstate_buf *ret_arguments)
{
    if (!upstream->before_login.id || upstream->has_sent_id)
        return false;
    bool is_passed_on = upstream->config->send_client_address == CONFIG_CLIENT_ADDRESS_ID;
    char session[LOGMARK_SESSION_MAX];
    struct id_hop hop = {
        .source = is_passed_on ? &client->peer : NULL,
        .destination = &client->local,
        .session = logmark_session(&client->mark, session),
    };
    if (!is_passed_on && !client->id)
        return false;
    if (is_passed_on)
        origin_name_session(client->id, &hop, &upstream->kept);
    return id_write(client->id, &hop, ret_arguments);
}
