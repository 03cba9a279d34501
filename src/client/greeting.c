#include "greeting.h"

#include "capability.h"
#include "catalogue.h"
#include "chorus.h"
#include "client.h"
#include "offers.h"
#include "origin.h"
#include "proxy.h"
#include "service.h"
#include "stream.h"
#include "tls.h"
#include "upstreams.h"

/* It waits for a list, but there is an older one. */
bool greeting_can_be_said(const struct client *client)
{
    if (client->state != CLIENT_GREETING)
        return false;
    struct service_reach reach = service_upstreams_of(client->service, client->listener);
    struct offers *offers = chorus_offers(&reach);
    bool is_known = offers;
    offers_unref(offers);
    return is_known;
}

void greeting_say(struct client *client)
{
    struct offers *shown = client_show_before_login(client);
    if (shown) {
        stream_put(&client->stream, IMAPSTATE_SPAN("* OK [CAPABILITY "));
        stream_put(&client->stream, offers_names(shown));
        stream_printf(&client->stream, "] %s\r\n", client_text(client, N_("imapstate ready.")));
    } else {
        client_say(client, NULL, "OK " N_("imapstate ready."));
    }
    offers_unref(shown);
    client_enter(client, CLIENT_NOT_AUTHENTICATED);
}

void greeting_round_ended(struct client *client)
{
    struct service_reach reach = service_upstreams_of(client->service, client->listener);
    if (chorus_has_ended(&reach, client->round))
        greeting_say(client);
}

static void greeting_ask(void *owner, const struct config_upstream *upstream, const struct config_member *member)
{
    struct client *client = owner;
    upstreams_scout(client->clients->upstreams, client->service, upstream, member);
}

/* Whoever finds that a list is old asks, and all others wait for that. */
static void greeting_begin(struct client *client)
{
    struct service_reach reach = service_upstreams_of(client->service, client->listener);
    client_enter(client, CLIENT_GREETING);
    if (chorus_is_fresh(&reach, client_now_ms(client), greeting_ask, client, &client->round))
        greeting_say(client);
    else
        greeting_round_ended(client);
}

void greeting_secure(struct client *client)
{
    /* RFC 5255 section 3.1, RFC 9051 section 6.2.1: whoever was there before TLS must not speak for who is now. */
    client->language = LANGUAGE_DEFAULT;
    if (!origin_forget(client))
        return;
    client_enter(client, CLIENT_SECURING);
    SSL *ssl = tls_accept(service_listener_tls(client->service, client->listener));
    if (ssl)
        stream_secure(&client->stream, ssl);
    else
        client_close(client, CLIENT_ENDING_MEMORY);
}

void greeting_secured(struct client *client)
{
    imapstate_frame_init(&client->frame, IMAPSTATE_FRAME_COMMANDS);
    if (client->listener->tls == CONFIG_TLS_IMPLICIT) {
        greeting_begin(client);
        return;
    }
    client_enter(client, CLIENT_NOT_AUTHENTICATED);
}

static void greeting_go_on(struct client *client)
{
    if (client->listener->tls == CONFIG_TLS_IMPLICIT)
        greeting_secure(client);
    else
        greeting_begin(client);
}

void greeting_read_proxy_header(struct client *client)
{
    size_t octets = 0;
    switch (proxy_read(stream_input(&client->stream), &octets, &client->peer, &client->local)) {
    case PROXY_MORE:
        /* What is behind the header may be a TLS handshake, which OpenSSL reads from the socket itself. */
        client->stream.read_max = (uint32_t)proxy_octets_wanted(stream_input(&client->stream));
        return;
    case PROXY_BAD:
        client_close(client, CLIENT_ENDING_PROXY);
        return;
    case PROXY_LOCAL: /* the proxy itself, to see whether we live */
        break;
    case PROXY_OK:
        /* What counts from here on is the client's own address, not the proxy's. */
        if (!origin_move(client, &client->peer, &client->local)) {
            origin_refuse(client);
            return;
        }
    }
    client->stream.read_max = 0;
    stream_consume(&client->stream, octets);
    greeting_go_on(client);
}

void greeting_start(struct client *client)
{
    if (client->listener->accept_proxy)
        greeting_read_proxy_header(client);
    else
        greeting_go_on(client);
}
