#include "routes.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "octet.h"
#include "routemap.h"
#include "sasl.h"
#include "service.h"
#include "site.h"
#include "writtenname.h"

const char *const route_rule_names[ROUTE_RULE_COUNT] = {
    [ROUTE_LISTENER] = "listener", [ROUTE_USER] = "route_map",  [ROUTE_DOMAIN] = "route_map",
    [ROUTE_SECTION] = "route",     [ROUTE_HTTP] = "route_http", [ROUTE_DEFAULT] = "route_default",
    [ROUTE_NONE] = "none",
};

/* --- names --- */

/* With its "@"; empty: there is none. */
static struct imapstate_span user_domain(struct imapstate_span user)
{
    const uint8_t *at = user.len > 0 ? memrchr(user.at, '@', user.len) : NULL;
    return at ? (struct imapstate_span){ at, (size_t)(user.at + user.len - at) } : (struct imapstate_span){ 0 };
}

bool routes_rename_at(const struct config_upstream *upstream)
{
    return upstream->user_strip_domain || upstream->user_lowercase;
}

bool routes_name(const struct config_upstream *upstream, struct imapstate_span user, struct imapstate_buf *ret_name)
{
    struct imapstate_span domain = user_domain(user);
    /* Of "@example.org" nothing would be left. */
    bool is_cut = upstream->user_strip_domain && domain.len < user.len;
    size_t from = ret_name->len;
    if (!imapstate_buf_put(ret_name, (struct imapstate_span){ user.at, user.len - (is_cut ? domain.len : 0) }))
        return false;
    for (size_t i = from; upstream->user_lowercase && i < ret_name->len; i++)
        ret_name->at[i] = octet_lower(ret_name->at[i]);
    return true;
}

/* --- what can be led --- */

/* May users be called otherwise at one of the upstreams that routes lead to? */
static bool routes_rename(const struct service *service)
{
    bool renames = service->map_renames || service->config->route_http.is_on;
    for (size_t i = 0; i < service->routed_count; i++)
        renames |= routes_rename_at(service->routed[i]);
    return renames;
}

static bool mechanism_is_fit(const struct sasl_mechanism *mechanism, bool is_routed, bool may_prove)
{
    return (mechanism->is_client_first || !is_routed) && (mechanism->passing != SASL_PROVED || may_prove);
}

uint32_t routes_mechanisms(const struct service *service, const struct config_listener *listener)
{
    const struct config_upstream *upstream = listener->upstream;
    bool may_prove = upstream ? !routes_rename_at(upstream) : !routes_rename(service) && service->config->route_default;
    uint32_t set = 0;
    for (enum sasl_id id = 0; id < SASL_ID_MAX; id++)
        if (mechanism_is_fit(sasl_get(id), !upstream, may_prove))
            set |= SASL_BIT(id);
    return set;
}

bool routes_pass_authorization(const struct service *service, const struct config_listener *listener)
{
    struct service_reach reach = service_upstreams_of(service, listener);
    bool passes = true;
    for (size_t i = 0; i < reach.count; i++)
        passes &= reach.at[i]->authorization_identity == CONFIG_AUTHORIZATION_PASS;
    return passes;
}

/* --- rules --- */

static bool route_set_written(struct route *route, struct imapstate_span written)
{
    uint8_t name[ROUTEMAP_KEY_MAX + 1];
    size_t len;
    memcpy(name, written.at, written.len);
    return writtenname_read(name, written.len, &len) &&
           imapstate_buf_put(&route->user, (struct imapstate_span){ name, len });
}

static const struct config_upstream *route_site(const struct service *service, const struct config_upstream *base,
                                                struct imapstate_span address)
{
    char *text = malloc(address.len + 1);
    if (!text)
        return NULL;
    memcpy(text, address.at, address.len);
    text[address.len] = '\0';
    const struct config_upstream *site = sites_get(service->sites, base, text);
    free(text);
    return site;
}

static void route_take_line(const struct service *service, const struct routemap_line *line, struct imapstate_span user,
                            struct route *route)
{
    const struct config_upstream *upstream = config_find_upstream(service->config, line->upstream);
    bool is_named = upstream && (line->user.len > 0 ? route_set_written(route, line->user)
                                                    : routes_name(upstream, user, &route->user));
    route->upstream = !is_named                ? NULL
                      : line->address.len == 0 ? upstream
                                               : route_site(service, upstream, line->address);
}

static void route_take(const struct config_upstream *upstream, struct imapstate_span user, struct route *route)
{
    route->upstream = routes_name(upstream, user, &route->user) ? upstream : NULL;
}

static const struct config_route *routes_section(const struct config *config, struct imapstate_span domain)
{
    for (size_t i = 0; domain.len > 1 && i < config->route_count; i++)
        if (imapstate_span_equal_nocase(imapstate_span_of(config->routes[i].domain),
                                        (struct imapstate_span){ domain.at + 1, domain.len - 1 }))
            return &config->routes[i];
    return NULL;
}

static enum route_rule map_find(const struct routemap *map, struct imapstate_span user, struct routemap_line *ret_line)
{
    /* A key that begins with "@" is a domain's. */
    if (user.len > 0 && *user.at != '@' && routemap_find(map, user, ret_line))
        return ROUTE_USER;
    return routemap_find(map, user_domain(user), ret_line) ? ROUTE_DOMAIN : ROUTE_NONE;
}

size_t routes_map_line(const struct service *service, struct imapstate_span user)
{
    struct routemap *map = service_routemap(service);
    struct routemap_line line;
    size_t number = map_find(map, user, &line) == ROUTE_NONE ? 0 : routemap_line_number(map, &line);
    routemap_unref(map);
    return number;
}

static enum route_rule routes_ask_map(const struct service *service, struct imapstate_span user, struct route *route)
{
    struct routemap *map = service_routemap(service);
    struct routemap_line line;
    enum route_rule rule = map_find(map, user, &line);
    if (rule != ROUTE_NONE)
        route_take_line(service, &line, user, route);
    routemap_unref(map);
    return rule;
}

void routes_find(const struct service *service, struct imapstate_span user, struct route *ret_route)
{
    const struct config *config = service->config;
    *ret_route = (struct route){ .rule = ROUTE_NONE };
    imapstate_buf_init(&ret_route->user, SASL_NAME_MAX);
    ret_route->rule = routes_ask_map(service, user, ret_route);
    if (ret_route->rule != ROUTE_NONE)
        return;
    const struct config_route *section = routes_section(config, user_domain(user));
    if (section) {
        ret_route->rule = ROUTE_SECTION;
        ret_route->section = section;
        route_take(section->upstream, user, ret_route);
    } else if (config->route_http.is_on && user.len > 0) {
        ret_route->rule = ROUTE_HTTP;
    } else if (config->route_default) {
        ret_route->rule = ROUTE_DEFAULT;
        route_take(config->route_default, user, ret_route);
    }
}

void routes_find_at(const struct service *service, const struct config_listener *listener, struct imapstate_span user,
                    struct route *ret_route)
{
    if (!listener->upstream) {
        routes_find(service, user, ret_route);
        return;
    }
    *ret_route = (struct route){ .rule = ROUTE_LISTENER };
    imapstate_buf_init(&ret_route->user, SASL_NAME_MAX);
    route_take(listener->upstream, user, ret_route);
}
