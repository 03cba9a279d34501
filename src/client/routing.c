#include "routing.h"

#include "client.h"
#include "config.h"
#include "credentials.h"
#include "login.h"
#include "routecache.h"
#include "routehttp.h"
#include "routes.h"
#include "sasl.h"
#include "site.h"

/* --- the way there --- */

static enum routing_result routing_fail(const struct client *client, const char *why)
{
    client_log(client, LOG_LEVEL_WARNING, "route: %s", why);
    return ROUTING_UNAVAILABLE;
}

/* user: what the user is called there. */
static bool routing_rename(const struct client *client, const struct config_upstream *upstream,
                           struct imapstate_span user)
{
    struct imapstate_buf acting;
    imapstate_buf_init(&acting, SASL_NAME_MAX);
    bool is_renamed = routes_name(upstream, sasl_identity_acting(&client->credentials->identity), &acting) &&
                      credentials_rename(client->credentials, user, imapstate_buf_span(&acting));
    imapstate_buf_done(&acting);
    return is_renamed;
}

static enum routing_result routing_go(struct client *client, const struct config_upstream *upstream,
                                      struct imapstate_span user)
{
    /* What was asked when the login began is of the upstreams that routes led to then; the map may be a newer one. */
    if (sasl_identity_acting(&client->credentials->identity).len > 0 &&
        upstream->authorization_identity != CONFIG_AUTHORIZATION_PASS)
        return routing_fail(client, "its upstream has no authorization_identity = \"pass\"");
    if (!routing_rename(client, upstream, user))
        return routing_fail(client, "what the user would be called there cannot be said by this mechanism");
    client->home = upstream;
    return ROUTING_FOUND;
}

static enum routing_result routing_take(struct client *client, const struct route *route)
{
    if (route->rule == ROUTE_NONE)
        return ROUTING_NOBODY;
    if (!route->upstream)
        return routing_fail(client, "no such upstream any more, or out of memory");
    client_log(client, LOG_LEVEL_DEBUG, "route: %s leads to upstream %s%s%s", route_rule_names[route->rule],
               route->upstream->name, route->upstream->site ? " at " : "",
               route->upstream->site ? route->upstream->site : "");
    return routing_go(client, route->upstream, imapstate_buf_span(&route->user));
}

/* --- route_http --- */

static enum routing_result routing_take_answer(struct client *client, const struct routeanswer *answer)
{
    const struct config_upstream *base = client->service->config->route_http.upstream;
    const struct config_upstream *upstream = sites_get(client->service->sites, base, answer->server);
    struct imapstate_buf user;
    imapstate_buf_init(&user, SASL_NAME_MAX);
    bool is_named =
        answer->user_len > 0
            ? imapstate_buf_put(&user, (struct imapstate_span){ (const uint8_t *)answer->user, answer->user_len })
            : routes_name(base, sasl_identity_user(&client->credentials->identity), &user);
    struct route route = { .rule = ROUTE_HTTP, .upstream = is_named ? upstream : NULL, .user = user };
    enum routing_result result = routing_take(client, &route);
    imapstate_buf_done(&user);
    return result;
}

static enum routing_result routing_judge(struct client *client, enum routeanswer_result result,
                                         const struct routeanswer *answer)
{
    switch (result) {
    case ROUTEANSWER_OK:
        return routing_take_answer(client, answer);
    case ROUTEANSWER_REFUSED:
        return ROUTING_NOBODY;
    case ROUTEANSWER_LATER:
        return routing_fail(client, "route_http says that it does not know yet");
    default:
        client_log(client, LOG_LEVEL_WARNING, "route: route_http: %s", answer->why ? answer->why : "no answer");
        return ROUTING_UNAVAILABLE;
    }
}

static void routing_on_answer(void *owner, enum routeanswer_result result, const struct routeanswer *answer)
{
    struct client *client = owner;
    client->login->question = NULL;
    client->clients->on_routed(client, routing_judge(client, result, answer));
}

static enum routing_result routing_ask(struct client *client, struct imapstate_span user)
{
    const struct config_route_http *http = &client->service->config->route_http;
    struct routeanswer answer;
    if (routecache_find(http, user, &client->peer, client_now_ms(client), &answer))
        return routing_take_answer(client, &answer);
    if (user.len > ROUTEANSWER_USER_MAX)
        return ROUTING_NOBODY;
    client->login->question =
        routehttp_ask(&client->clients->routehttp, http, user, &client->peer, routing_on_answer, client);
    return client->login->question ? ROUTING_WAITING : routing_fail(client, "out of memory");
}

/* --- all of it --- */

/* Nothing may be asked about: the listener says it all. */
static enum routing_result routing_of_listener(struct client *client)
{
    struct route route;
    if (!routes_rename_at(client->listener->upstream))
        return ROUTING_FOUND;
    routes_find_at(client->service, client->listener, sasl_identity_user(&client->credentials->identity), &route);
    enum routing_result result = routing_take(client, &route);
    imapstate_buf_done(&route.user);
    return result;
}

enum routing_result routing_begin(struct client *client)
{
    const struct sasl_identity *identity = &client->credentials->identity;
    struct route route;
    if (client->listener->upstream)
        return routing_of_listener(client);
    /* Whose session a bearer token is for, only a server knows. */
    struct imapstate_span user = identity->is_certain ? sasl_identity_user(identity) : (struct imapstate_span){ 0 };
    routes_find(client->service, user, &route);
    enum routing_result result = route.rule == ROUTE_HTTP ? routing_ask(client, user) : routing_take(client, &route);
    imapstate_buf_done(&route.user);
    return result;
}
