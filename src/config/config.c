#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "option.h"
#include "sasl.h"
#include "schema.h"

/* --- made --- */

struct config *config_new(const char *path)
{
    struct config *config = calloc(1, sizeof *config);
    if (!config)
        return NULL;
    config->references = 1;
    config->path = strdup(path);
    bool is_set = option_set_defaults(schema[SCHEMA_FILE].options, config);
    is_set &= option_set_defaults(schema[SCHEMA_PARK].options, config);
    is_set &= option_set_defaults(schema[SCHEMA_HTTP].options, config);
    is_set &= option_set_defaults(schema[SCHEMA_CONTROL].options, config);
    is_set &= option_set_defaults(schema[SCHEMA_ROUTE_HTTP].options, config);
    if (config->path && is_set)
        return config;
    config_unref(config);
    return NULL;
}

struct config_listener *config_add_listener(struct config *config, const char *name, struct config_place place)
{
    struct config_listener *more =
        reallocarray(config->listeners, config->listener_count + 1, sizeof *config->listeners);
    if (!more)
        return NULL;
    config->listeners = more;
    struct config_listener *listener = &more[config->listener_count++];
    *listener = (struct config_listener){ .name = strdup(name), .place = place };
    return option_set_defaults(schema[SCHEMA_LISTENER].options, listener) && listener->name ? listener : NULL;
}

struct config_upstream *config_add_upstream(struct config *config, const char *name, struct config_place place)
{
    struct config_upstream *more =
        reallocarray(config->upstreams, config->upstream_count + 1, sizeof *config->upstreams);
    if (!more)
        return NULL;
    config->upstreams = more;
    struct config_upstream *upstream = &more[config->upstream_count++];
    *upstream = (struct config_upstream){ .name = strdup(name), .place = place };
    return option_set_defaults(schema[SCHEMA_UPSTREAM].options, upstream) && upstream->name ? upstream : NULL;
}

struct config_route *config_add_route(struct config *config, const char *domain, struct config_place place)
{
    struct config_route *more = reallocarray(config->routes, config->route_count + 1, sizeof *config->routes);
    if (!more)
        return NULL;
    config->routes = more;
    struct config_route *route = &more[config->route_count++];
    *route = (struct config_route){ .domain = strdup(domain), .place = place };
    return option_set_defaults(schema[SCHEMA_ROUTE].options, route) && route->domain ? route : NULL;
}

bool config_add_warning(struct config *config, char *line)
{
    char **more = reallocarray(config->warnings, config->warning_count + 1, sizeof *config->warnings);
    if (!more) {
        free(line);
        return false;
    }
    config->warnings = more;
    more[config->warning_count++] = line;
    return true;
}

bool config_add_given(struct config *config, const struct config_given *given)
{
    struct config_given *more = reallocarray(config->given, config->given_count + 1, sizeof *more);
    if (!more)
        return false;
    config->given = more;
    more[config->given_count++] = *given;
    return true;
}

/* --- asked --- */

const void *config_section(const struct config *config, size_t section, size_t instance, const char **ret_name)
{
    *ret_name = "";
    if (section == SCHEMA_LISTENER && instance < config->listener_count) {
        *ret_name = config->listeners[instance].name;
        return &config->listeners[instance];
    }
    if (section == SCHEMA_UPSTREAM && instance < config->upstream_count) {
        *ret_name = config->upstreams[instance].name;
        return &config->upstreams[instance];
    }
    if (section == SCHEMA_ROUTE && instance < config->route_count) {
        *ret_name = config->routes[instance].domain;
        return &config->routes[instance];
    }
    /* An empty one would be another configuration. */
    if ((section == SCHEMA_CONTROL && !config->control.is_on) ||
        (section == SCHEMA_ROUTE_HTTP && !config->route_http.is_on))
        return NULL;
    return schema[section].is_named || instance > 0 ? NULL : config; /* of all others the fields are the config's */
}

const struct config_place *config_find_given(const struct config *config, const struct option *option, size_t section,
                                             size_t instance)
{
    for (size_t i = 0; i < config->given_count; i++) {
        const struct config_given *given = &config->given[i];
        if (given->option == option && given->section == section && given->instance == instance)
            return &given->place;
    }
    return NULL;
}

uint32_t config_mechanisms(const struct config_listener *listener)
{
    return listener->auth_mechanisms ? listener->auth_mechanisms : SASL_BITS;
}

bool config_is_local(const struct config_member *member)
{
    struct endpoint endpoint;
    uint16_t port;
    return endpoint_from_host(member->host, member->port, member->is_unix, &endpoint, &port)
               ? endpoint_is_local(&endpoint)
               : strcasecmp(member->host, "localhost") == 0;
}

/* TLS with whoever answers keeps out nobody who can answer. */
bool config_is_private(const struct config_upstream *upstream)
{
    bool is_private = true;
    for (size_t i = 0; i < upstream->member_count; i++)
        is_private &= config_is_local(&upstream->members[i]);
    return is_private || (upstream->tls != CONFIG_TLS_NONE && upstream->tls_verify);
}

bool config_has_routes(const struct config *config)
{
    return config->route_count > 0 || *config->route_map || config->route_http.is_on || *config->route_default_name;
}

const struct config_upstream *config_find_upstream(const struct config *config, struct imapstate_span name)
{
    for (size_t i = 0; i < config->upstream_count; i++)
        if (imapstate_span_equal(imapstate_span_of(config->upstreams[i].name), name))
            return &config->upstreams[i];
    return NULL;
}

bool config_name_member(const struct config_upstream *upstream, struct config_member *member)
{
    bool is_v6 = !member->is_unix && strchr(member->host, ':');
    bool is_named = *upstream->tls_name || member->is_unix;
    size_t size = strlen(member->host) + strlen(member->port) + sizeof "unix:[]:";
    member->tls_name = is_named         ? upstream->tls_name
                       : member->is_srv ? endpoint_service_domain(member->host)
                                        : member->host;
    member->text = malloc(size);
    if (member->text && member->is_srv)
        snprintf(member->text, size, "%s", member->host);
    else if (member->text && member->is_unix)
        snprintf(member->text, size, "unix:%s", member->host);
    else if (member->text)
        snprintf(member->text, size, is_v6 ? "[%s]:%s" : "%s:%s", member->host, member->port);
    return member->text;
}

/* --- counted --- */

struct config *config_ref(struct config *config)
{
    __atomic_add_fetch(&config->references, 1, __ATOMIC_RELAXED);
    return config;
}

void config_unref(struct config *config)
{
    if (!config || __atomic_sub_fetch(&config->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < config->listener_count; i++) {
        option_done_all(schema[SCHEMA_LISTENER].options, &config->listeners[i]);
        free(config->listeners[i].name);
    }
    for (size_t i = 0; i < config->upstream_count; i++) {
        option_done_all(schema[SCHEMA_UPSTREAM].options, &config->upstreams[i]);
        free(config->upstreams[i].name);
    }
    for (size_t i = 0; i < config->route_count; i++) {
        option_done_all(schema[SCHEMA_ROUTE].options, &config->routes[i]);
        free(config->routes[i].domain);
    }
    for (size_t i = 0; i < config->warning_count; i++)
        free(config->warnings[i]);
    free(config->route_http.host);
    free(config->route_http.port);
    free(config->route_http.path);
    option_done_all(schema[SCHEMA_ROUTE_HTTP].options, config);
    option_done_all(schema[SCHEMA_PARK].options, config);
    option_done_all(schema[SCHEMA_HTTP].options, config);
    option_done_all(schema[SCHEMA_CONTROL].options, config);
    option_done_all(schema[SCHEMA_FILE].options, config);
    free(config->listeners);
    free(config->upstreams);
    free(config->routes);
    free(config->warnings);
    for (size_t i = 0; i < config->file_count; i++)
        free(config->files[i]);
    free(config->files);
    free(config->given);
    free(config->path);
    free(config);
}

/* --- replaced --- */

void config_name_kept(const struct config *config, const struct config *started, FILE *messages)
{
    static const enum schema_section sections[] = { SCHEMA_FILE, SCHEMA_CONTROL };
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        for (const struct option *option = schema[sections[i]].options; option->name; option++)
            if (option->on_reload == OPTION_KEPT && !option_is_equal(option, config, started))
                fprintf(messages, "%s: warning: %s%s has changed, which takes a restart\n", config->path,
                        sections[i] == SCHEMA_CONTROL ? "control: " : "", option->name);
    if (config->control.is_on != started->control.is_on)
        fprintf(messages, "%s: warning: control %s, which takes a restart\n", config->path,
                config->control.is_on ? "is new" : "is gone");
}

const struct config_listener *config_find_listener(const struct config *config, const struct endpoint *target)
{
    for (size_t i = 0; i < config->listener_count; i++)
        for (size_t j = 0; j < config->listeners[i].address_count; j++)
            if (endpoint_leads_to(target, &config->listeners[i].addresses[j].endpoint))
                return &config->listeners[i];
    return NULL;
}

static bool config_has_same_tls(const struct config_upstream *a, const struct config_upstream *b)
{
    return a->tls == b->tls && a->tls_verify == b->tls_verify && strcmp(a->tls_ca_file, b->tls_ca_file) == 0 &&
           strcmp(a->tls_cert_file, b->tls_cert_file) == 0 && pins_are_equal(&a->tls_pins, &b->tls_pins) &&
           tlspolicy_is_equal(&a->tls_policy, &b->tls_policy);
}

bool config_has_member(const struct config_upstream *upstream, const struct config_upstream *of,
                       const struct config_member *member)
{
    bool has = false;
    for (size_t i = 0; !has && i < upstream->member_count; i++)
        has = strcmp(upstream->members[i].text, member->text) == 0 &&
              strcmp(upstream->members[i].tls_name, member->tls_name) == 0;
    return has && config_has_same_tls(upstream, of);
}

bool config_is_same_server(const struct config_upstream *a, const struct config_upstream *b)
{
    bool is_same = false;
    for (size_t i = 0; !is_same && i < b->member_count; i++)
        is_same = config_has_member(a, b, &b->members[i]);
    return is_same;
}
