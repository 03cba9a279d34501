#include "routelist.h"

#include <jansson.h>
#include <string.h>

#include "actions.h"
#include "config.h"
#include "controlline.h"
#include "reply.h"
#include "routes.h"
#include "scope.h"
#include "service.h"
#include "username.h"

struct routelist {
    const struct service *service;
    struct imapstate_span user; /* as a client gives it */
    size_t map_line;            /* 0: no line of route_map is about the user */
};

static json_t *place_json(struct config_place place)
{
    return json_sprintf("%s:%u", place.file, place.line);
}

static json_t *routelist_by(const struct routelist *list, const struct config_listener *listener,
                            const struct route *route)
{
    const struct config *config = list->service->config;
    switch (route->rule) {
    case ROUTE_LISTENER:
        return place_json(listener->place);
    case ROUTE_USER:
    case ROUTE_DOMAIN:
        return json_sprintf("%s:%zu", config->route_map, list->map_line);
    case ROUTE_SECTION:
        return place_json(route->section->place);
    case ROUTE_HTTP:
        return json_sprintf("asks %.*s", (int)(strlen(config->route_http.url) - strlen(config->route_http.path)),
                            config->route_http.url);
    default:
        return json_null();
    }
}

static json_t *routelist_row(const struct routelist *list, const struct config_listener *listener,
                             const struct route *route)
{
    const struct config_upstream *upstream =
        route->rule == ROUTE_HTTP ? list->service->config->route_http.upstream : route->upstream;
    return json_pack("{ss ss? ss? so ss ss? so}", "listener", listener->name, "upstream",
                     upstream ? upstream->name : NULL, "address", upstream ? upstream->site : NULL, "user",
                     route->upstream ? username_show(imapstate_buf_span(&route->user)) : json_null(), "rule",
                     route_rule_names[route->rule], "matched",
                     route->rule == ROUTE_USER     ? "user"
                     : route->rule == ROUTE_DOMAIN ? "domain"
                                                   : NULL,
                     "by", routelist_by(list, listener, route));
}

static void routelist_put(const struct routelist *list, const struct config_listener *listener, struct reply *reply)
{
    struct route route;
    routes_find_at(list->service, listener, list->user, &route);
    reply_put_row(reply, routelist_row(list, listener, &route));
    if (!route.upstream && route.rule != ROUTE_HTTP && route.rule != ROUTE_NONE)
        reply_put_note(reply,
                       "listener %s: who comes now is not let in: memory is out, or routes lead to too many "
                       "addresses",
                       listener->name);
    imapstate_buf_done(&route.user);
}

void routelist_show(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    const struct service *service = scope->actions->service(scope->actions->owner);
    const struct config *config = service->config;
    struct imapstate_buf user;
    imapstate_buf_init(&user, USERNAME_MAX);
    if (username_read(line->words[1], &user)) {
        struct routelist list = { service, imapstate_buf_span(&user),
                                  routes_map_line(service, imapstate_buf_span(&user)) };
        for (size_t i = 0; i < config->listener_count; i++)
            routelist_put(&list, &config->listeners[i], reply);
        reply_end(reply, REPLY_DONE, "%zu %s", config->listener_count,
                  config->listener_count == 1 ? "listener" : "listeners");
    } else {
        reply_end(reply, REPLY_FAILED, "no such name can be");
    }
    imapstate_buf_done(&user);
}
