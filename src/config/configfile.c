#include "configfile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "grammar.h"
#include "language.h"
#include "option.h"
#include "schema.h"
#include "source.h"

struct reading {
    struct config *config;
    const struct source *source;
    FILE *errors;
    struct config_place place;            /* that messages are about; line 0: no line is */
    size_t instances[SCHEMA_SECTION_MAX]; /* of the sections, which of its kind is being read */
    bool is_wrong;                        /* an error has been written */
    bool demands_tls;                     /* the listener that is being read says require_tls = true */
};

/* --- messages --- */

static void reading_message(const struct reading *reading, FILE *out, const char *kind, const char *text)
{
    fprintf(out, "%s:", reading->place.file);
    if (reading->place.line != 0)
        fprintf(out, "%u:", reading->place.line);
    fprintf(out, " %s", kind);
    /* A value may hold a line end; a message is one line. */
    for (; *text; text++)
        fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
}

static void reading_put_error(struct reading *reading, const char *text)
{
    reading_message(reading, reading->errors, "", text);
    fputc('\n', reading->errors);
    reading->is_wrong = true;
}

__attribute__((format(printf, 2, 3))) static void reading_error(struct reading *reading, const char *format, ...)
{
    char text[OPTION_WRONG_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    reading_put_error(reading, text);
}

__attribute__((format(printf, 2, 3))) static void reading_warning(struct reading *reading, const char *format, ...)
{
    char text[OPTION_WRONG_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);

    char *line = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&line, &len);
    if (out) {
        reading_message(reading, out, "warning: ", text);
        fclose(out);
    }
    if (!line || !config_add_warning(reading->config, line))
        reading_put_error(reading, "out of memory");
}

/* --- listeners --- */

static struct config_listener *reading_listener(const struct reading *reading)
{
    return &reading->config->listeners[reading->config->listener_count - 1];
}

/* The listener whose address the last one of the newest listener is already; NULL: nobody's. */
static const struct config_listener *listener_find_rival(const struct config *config)
{
    const struct config_listener *newest = &config->listeners[config->listener_count - 1];
    const struct config_address *address = &newest->addresses[newest->address_count - 1];
    for (const struct config_listener *listener = config->listeners; listener <= newest; listener++)
        for (size_t i = 0; i < listener->address_count; i++)
            if (&listener->addresses[i] != address &&
                endpoint_is_equal(&listener->addresses[i].endpoint, &address->endpoint))
                return listener;
    return NULL;
}

static void listener_take(struct reading *reading, const struct option *option)
{
    const struct config_listener *listener = reading_listener(reading);
    if (strcmp(option->name, "require_tls") == 0)
        reading->demands_tls = listener->require_tls;
    if (strcmp(option->name, "address") != 0)
        return;
    const struct config_listener *rival = listener_find_rival(reading->config);
    if (rival)
        reading_error(reading, "address \"%s\" is listener \"%s\"'s already",
                      listener->addresses[listener->address_count - 1].text, rival->name);
}

static void listener_check_tls(struct reading *reading, struct config_listener *listener)
{
    if (listener->tls == CONFIG_TLS_NONE) {
        if (reading->demands_tls)
            reading_error(reading, "listener \"%s\": with tls = none and require_tls = true nobody could log in",
                          listener->name);
        listener->require_tls = false;
        return;
    }
    const char *tls = schema_tls_words[listener->tls];
    size_t certificates = listener->tls_cert_files.count, keys = listener->tls_key_files.count;
    if (certificates == 0)
        reading_error(reading, "listener \"%s\": tls = %s needs tls_cert_file", listener->name, tls);
    if (keys == 0)
        reading_error(reading, "listener \"%s\": tls = %s needs tls_key_file", listener->name, tls);
    if (certificates > 0 && keys > 0 && certificates != keys)
        reading_error(reading, "listener \"%s\": each tls_cert_file needs its tls_key_file: there are %zu and %zu",
                      listener->name, certificates, keys);
}

/* An operator who names a CA wants certificates, and one who wants them has to say whose. */
static void listener_check_client_certificate(struct reading *reading, const struct config_listener *listener)
{
    bool has_ca = *listener->tls_client_ca_file;
    enum config_client_certificate wanted = listener->tls_client_certificate;
    if (has_ca && wanted == CONFIG_CLIENT_CERTIFICATE_NONE)
        reading_error(reading,
                      "listener \"%s\": tls_client_ca_file needs tls_client_certificate = \"optional\" or \"required\"",
                      listener->name);
    if (!has_ca && wanted != CONFIG_CLIENT_CERTIFICATE_NONE)
        reading_error(reading, "listener \"%s\": tls_client_certificate needs tls_client_ca_file", listener->name);
    if (has_ca && listener->tls == CONFIG_TLS_NONE)
        reading_error(reading, "listener \"%s\": with tls = none no client can show a certificate", listener->name);
    if (wanted == CONFIG_CLIENT_CERTIFICATE_REQUIRED && listener->tls == CONFIG_TLS_STARTTLS && !listener->require_tls)
        reading_error(reading,
                      "listener \"%s\": a client certificate is required, but with require_tls = false not of those "
                      "who do without TLS",
                      listener->name);
}

static void listener_check_proxy(struct reading *reading, const struct config_listener *listener)
{
    if (listener->accept_proxy && listener->trusted_networks.count == 0)
        reading_error(reading,
                      "listener \"%s\": accept_proxy needs trusted_networks, else everybody could claim any address",
                      listener->name);
}

static void listener_warn_if_clear(struct reading *reading, const struct config_listener *listener)
{
    if (listener->tls == CONFIG_TLS_IMPLICIT || listener->require_tls)
        return;
    for (size_t i = 0; i < listener->address_count; i++)
        if (!endpoint_is_local(&listener->addresses[i].endpoint))
            reading_warning(reading, "listener \"%s\": passwords and tokens may arrive unencrypted on %s",
                            listener->name, listener->addresses[i].text);
}

static void listener_end(struct reading *reading)
{
    struct config_listener *listener = reading_listener(reading);
    listener_check_tls(reading, listener);
    listener_check_client_certificate(reading, listener);
    listener_check_proxy(reading, listener);
    listener_warn_if_clear(reading, listener);
}

/* --- upstreams, park --- */

static void reading_set_text(struct reading *reading, char **text, const char *value)
{
    char *copy = strdup(value);
    if (!copy) {
        reading_put_error(reading, "out of memory");
        return;
    }
    free(*text);
    *text = copy;
}

static struct config_upstream *reading_upstream(const struct reading *reading)
{
    return &reading->config->upstreams[reading->config->upstream_count - 1];
}

static void upstream_take(struct reading *reading, const struct option *option)
{
    struct config_upstream *upstream = reading_upstream(reading);
    if (strcmp(option->name, "address") == 0)
        upstream->members[upstream->member_count - 1].place = reading->place;
}

static void member_warn(struct reading *reading, const struct config_upstream *upstream,
                        const struct config_member *member)
{
    if (upstream->tls == CONFIG_TLS_NONE && !config_is_local(member))
        reading_warning(reading, "upstream \"%s\": passwords and mail go to %s unencrypted", upstream->name,
                        member->host);
}

/* Has an earlier member the same text, in whatever case its name is written? */
static bool upstream_find_twin(const struct config_upstream *upstream, const struct config_member *member)
{
    for (const struct config_member *other = upstream->members; other < member; other++)
        if (other->text && other->is_unix == member->is_unix &&
            (member->is_unix ? strcmp : strcasecmp)(other->text, member->text) == 0)
            return true;
    return false;
}

static void member_end(struct reading *reading, const struct config_upstream *upstream, struct config_member *member)
{
    if (!member->is_unix && !member->is_srv && !*member->port)
        reading_set_text(reading, &member->port, upstream->tls == CONFIG_TLS_IMPLICIT ? "993" : "143");
    if (!*upstream->tls_name && member->is_unix && upstream->tls != CONFIG_TLS_NONE && upstream->tls_verify)
        reading_error(reading, "upstream \"%s\": TLS on a unix socket needs tls_name, the name in its certificate",
                      upstream->name);
    if (!config_name_member(upstream, member))
        reading_put_error(reading, "out of memory");
    else if (upstream_find_twin(upstream, member)) {
        reading->place = member->place;
        reading_error(reading, "address \"%s\" is upstream \"%s\"'s already", member->text, upstream->name);
    }
    member_warn(reading, upstream, member);
}

static void upstream_check_tls(struct reading *reading, const struct config_upstream *upstream)
{
    if (!*upstream->tls_cert_file != !*upstream->tls_key_file)
        reading_error(reading, "upstream \"%s\": tls_cert_file and tls_key_file belong together", upstream->name);
    if (upstream->tls == CONFIG_TLS_NONE && upstream->tls_pins.count > 0)
        reading_error(reading, "upstream \"%s\": with tls = none there is no key that tls_pin could be of",
                      upstream->name);
}

static void upstream_end(struct reading *reading)
{
    struct config_upstream *upstream = reading_upstream(reading);
    if (upstream->tls != CONFIG_TLS_NONE && !upstream->tls_verify && upstream->tls_pins.count == 0)
        reading_warning(reading,
                        "upstream \"%s\": tls_verify is off: anybody who can answer in its place gets all passwords",
                        upstream->name);
    upstream_check_tls(reading, upstream);
    if (upstream->member_count == 0 && !reading->is_wrong)
        reading_error(reading, "upstream \"%s\" has no address", upstream->name);
    const struct config_place place = reading->place;
    for (size_t i = 0; i < upstream->member_count; i++) {
        member_end(reading, upstream, &upstream->members[i]);
        reading->place = place;
    }
}

static void park_end(struct reading *reading)
{
    const struct config_park *park = &reading->config->park;
    if (park->time_ms > park->lifetime_ms)
        reading_warning(reading, "park: time is longer than lifetime, at which a connection ends anyway");
    if (park->per_user > park->max)
        reading_warning(reading, "park: per_user is more than max, which is for all users together");
}

/* --- routes --- */

static void route_end(struct reading *reading)
{
    const struct config *config = reading->config;
    const struct config_route *newest = &config->routes[config->route_count - 1];
    for (const struct config_route *route = config->routes; route < newest; route++)
        if (strcasecmp(route->domain, newest->domain) == 0)
            reading_error(reading, "route \"%s\" is there already: %s:%u", newest->domain, route->place.file,
                          route->place.line);
}

/* False: that is no URL that can be asked. */
static bool route_http_split(struct reading *reading, char *rest)
{
    struct config_route_http *http = &reading->config->route_http;
    const char *host, *port;
    uint16_t number;
    bool is_unix;
    reading_set_text(reading, &http->path, rest[strcspn(rest, "/")] ? rest + strcspn(rest, "/") : "/");
    rest[strcspn(rest, "/")] = '\0';
    if (strpbrk(rest, "@ ") || endpoint_split(rest, &host, &port, &is_unix) || is_unix)
        return false;
    reading_set_text(reading, &http->host, host);
    reading_set_text(reading, &http->port, port ? port : "80");
    return endpoint_from_host(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, http->port ? http->port : "80",
                              false, &http->endpoint, &number);
}

static void route_http_end(struct reading *reading)
{
    static const char scheme[] = "http://";
    struct config_route_http *http = &reading->config->route_http;
    http->place = reading->place;
    if (!http->url)
        return; /* has been told */
    bool is_http = strncasecmp(http->url, scheme, strlen(scheme)) == 0;
    bool is_printable = !http->url[strspn(http->url, "!\"$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                     "[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~")];
    char *rest = is_http && is_printable ? strdup(http->url + strlen(scheme)) : NULL;
    if (!rest || !route_http_split(reading, rest))
        reading_error(reading, "route_http: url must be http://ADDRESS:PORT/PATH, with an IP address or localhost");
    free(rest);
}

static void http_end(struct reading *reading)
{
    const struct config_http *http = &reading->config->http;
    for (size_t i = 0; i < http->address_count; i++)
        if (!endpoint_is_local(&http->addresses[i].endpoint))
            reading_warning(reading, "http: whoever reaches %s can read all figures: there is no password and no TLS",
                            http->addresses[i].text);
}

static void control_end(struct reading *reading)
{
    struct config_control *control = &reading->config->control;
    if (*control->socket != '/')
        reading_error(reading, "control: socket must be a path that begins with /");
    if (strlen(control->socket) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
        reading_error(reading, "control: socket is too long a path for a unix socket");
    if (control->mode & 02)
        reading_warning(reading, "control: mode lets everybody connect, of whom only root, the daemon's user and the "
                                 "group's members are heard");
}

/* --- the file as a whole --- */

static bool http_has_address(const struct config_http *http, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < http->address_count; i++)
        if (endpoint_is_equal(&http->addresses[i].endpoint, endpoint))
            return true;
    return false;
}

static void http_check_rivals(struct reading *reading, const struct config_listener *listener)
{
    for (size_t i = 0; i < listener->address_count; i++)
        if (http_has_address(&reading->config->http, &listener->addresses[i].endpoint))
            reading_error(reading, "listener \"%s\": address \"%s\" is http's already", listener->name,
                          listener->addresses[i].text);
}

static void listener_find_upstream(struct reading *reading, struct config_listener *listener)
{
    const struct config *config = reading->config;
    const char *name = listener->upstream_name;
    if (name)
        listener->upstream = config_find_upstream(config, imapstate_span_of(name));
    if (!name && config_has_routes(config))
        return;
    if (!name && config->upstream_count == 1)
        listener->upstream = &config->upstreams[0];
    if (!name && listener->upstream)
        reading_set_text(reading, &listener->upstream_name, listener->upstream->name);
    if (name && !listener->upstream)
        reading_error(reading, "listener \"%s\": there is no upstream \"%s\"", listener->name, name);
    if (!name && config->upstream_count > 1)
        reading_error(reading, "listener \"%s\": there are several upstreams: name one with upstream = \"NAME\"",
                      listener->name);
}

/* NULL after a complaint. */
static const struct config_upstream *reading_find_upstream(struct reading *reading, const char *name, const char *whose)
{
    const struct config_upstream *upstream = config_find_upstream(reading->config, imapstate_span_of(name));
    if (!upstream)
        reading_error(reading, "%s: there is no upstream \"%s\"", whose, name);
    return upstream;
}

static void route_http_find_upstream(struct reading *reading)
{
    struct config *config = reading->config;
    struct config_route_http *http = &config->route_http;
    reading->place = http->place;
    if (http->upstream_name)
        http->upstream = reading_find_upstream(reading, http->upstream_name, "route_http");
    else if (config->upstream_count == 1)
        http->upstream = &config->upstreams[0];
    else
        reading_error(reading,
                      "route_http: there are several upstreams: name the one whose TLS and other settings hold "
                      "for the servers that are answered, with upstream = \"NAME\"");
}

static void routes_find_upstreams(struct reading *reading)
{
    struct config *config = reading->config;
    for (size_t i = 0; i < config->route_count; i++) {
        struct config_route *route = &config->routes[i];
        reading->place = route->place;
        if (route->upstream_name)
            route->upstream = reading_find_upstream(reading, route->upstream_name, "route");
    }
    if (config->route_http.is_on)
        route_http_find_upstream(reading);
}

static void route_default_find_upstream(struct reading *reading)
{
    struct config *config = reading->config;
    for (size_t i = 0; i < config->given_count; i++)
        if (config->given[i].section == SCHEMA_FILE && strcmp(config->given[i].option->name, "route_default") == 0)
            reading->place = config->given[i].place;
    if (*config->route_default_name)
        config->route_default = reading_find_upstream(reading, config->route_default_name, "route_default");
}

static bool config_is_routed(const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++)
        if (!config->listeners[i].upstream_name)
            return true;
    return false;
}

/* Every login would go round until no descriptor is left. host: in place of the member's own, for a name that is
 * known without asking; NULL: its own. */
static bool member_check_host(struct reading *reading, const struct config_upstream *upstream,
                              const struct config_member *member, const char *host)
{
    struct endpoint target;
    uint16_t port;
    bool is_address = !member->is_srv &&
                      endpoint_from_host(host ? host : member->host, member->port, member->is_unix, &target, &port);
    const struct config_listener *listener = is_address ? config_find_listener(reading->config, &target) : NULL;
    if (listener)
        reading_error(reading, "upstream \"%s\" leads to listener \"%s\", and so back to this gateway", upstream->name,
                      listener->name);
    return !listener;
}

static void member_check_loop(struct reading *reading, const struct config_upstream *upstream,
                              const struct config_member *member)
{
    bool is_localhost = !member->is_unix && !member->is_srv && strcasecmp(member->host, "localhost") == 0;
    if (!is_localhost)
        member_check_host(reading, upstream, member, NULL);
    else if (member_check_host(reading, upstream, member, "127.0.0.1"))
        member_check_host(reading, upstream, member, "::1");
}

static void upstream_check_loops(struct reading *reading, const struct config_upstream *upstream)
{
    reading->place = upstream->place;
    for (size_t i = 0; i < upstream->member_count; i++)
        member_check_loop(reading, upstream, &upstream->members[i]);
}

static bool reading_is_given(const struct reading *reading, size_t section, size_t instance, const char *name)
{
    for (const struct option *option = schema[section].options; option->name; option++)
        if (strcmp(option->name, name) == 0)
            return config_find_given(reading->config, option, section, instance);
    return false;
}

/* What the section does not say is as for the whole daemon. */
static void reading_fill_policy(struct reading *reading, size_t section, size_t instance, struct tlspolicy *policy)
{
    const struct tlspolicy *whole = &reading->config->tls_policy;
    if (!reading_is_given(reading, section, instance, "tls_min_version"))
        policy->min_version = whole->min_version;
    if (!policy->ciphers)
        reading_set_text(reading, &policy->ciphers, whole->ciphers);
    if (!policy->ciphersuites)
        reading_set_text(reading, &policy->ciphersuites, whole->ciphersuites);
    if (!policy->groups)
        reading_set_text(reading, &policy->groups, whole->groups);
}

static void file_end(struct reading *reading)
{
    struct config *config = reading->config;
    /* RFC 5255 section 3.1: a server has i-default in any case. */
    if (config->languages.offered != 0)
        config->languages.offered |= LANGUAGE_BIT(LANGUAGE_DEFAULT);
    if (config_has_routes(config) && config->listener_count > 0 && !config_is_routed(config))
        reading_warning(reading, "routes have no effect, as each listener names its upstream");
    route_default_find_upstream(reading);
    routes_find_upstreams(reading);
    for (size_t i = 0; i < config->listener_count; i++) {
        struct config_listener *listener = &config->listeners[i];
        reading->place = listener->place;
        reading_fill_policy(reading, SCHEMA_LISTENER, i, &listener->tls_policy);
        listener_find_upstream(reading, listener);
        http_check_rivals(reading, listener);
        if (listener->imapproxy_compat && config->park.per_user == 0)
            reading_warning(reading, "listener \"%s\": imapproxy_compat has no effect while park's per_user is 0",
                            listener->name);
    }
    for (size_t i = 0; i < config->upstream_count; i++) {
        reading->place = config->upstreams[i].place;
        reading_fill_policy(reading, SCHEMA_UPSTREAM, i, &config->upstreams[i].tls_policy);
        upstream_check_loops(reading, &config->upstreams[i]);
    }
}

/* --- events --- */

static bool reading_begin(struct reading *reading, const struct grammar_event *event)
{
    struct config *config = reading->config;
    reading->demands_tls = false;
    config->control.is_on |= event->section == SCHEMA_CONTROL;
    config->route_http.is_on |= event->section == SCHEMA_ROUTE_HTTP;
    bool is_added = (event->section != SCHEMA_LISTENER || config_add_listener(config, event->text, reading->place)) &&
                    (event->section != SCHEMA_UPSTREAM || config_add_upstream(config, event->text, reading->place)) &&
                    (event->section != SCHEMA_ROUTE || config_add_route(config, event->text, reading->place));
    if (!is_added)
        reading_put_error(reading, "out of memory");
    if (event->section == SCHEMA_LISTENER)
        reading->instances[SCHEMA_LISTENER] = config->listener_count - 1;
    if (event->section == SCHEMA_UPSTREAM)
        reading->instances[SCHEMA_UPSTREAM] = config->upstream_count - 1;
    if (event->section == SCHEMA_ROUTE)
        reading->instances[SCHEMA_ROUTE] = config->route_count - 1;
    return is_added;
}

/* The struct that the options of the section that is being read go to. */
static void *reading_target(const struct reading *reading, size_t section)
{
    const char *name;
    return (void *)config_section(reading->config, section, reading->instances[section], &name);
}

/* False after a complaint. */
static bool reading_note(struct reading *reading, const struct grammar_event *event)
{
    struct config_given given = {
        .option = event->option,
        .section = event->section,
        .instance = reading->instances[event->section],
        .place = reading->place,
    };
    if (event->first || config_add_given(reading->config, &given))
        return true;
    reading_put_error(reading, "out of memory");
    return false;
}

/* After an error the reading goes on, so that all of them are reported at once. */
static void reading_value(struct reading *reading, const struct grammar_event *event)
{
    char wrong[OPTION_WRONG_MAX];
    if (!reading_note(reading, event))
        return;
    if (!option_parse(event->option, event->text, event->first, reading_target(reading, event->section), wrong))
        reading_put_error(reading, wrong);
    else if (event->section == SCHEMA_LISTENER)
        listener_take(reading, event->option);
    else if (event->section == SCHEMA_UPSTREAM)
        upstream_take(reading, event->option);
}

static struct config_place reading_place(const struct reading *reading, unsigned line)
{
    struct config_place place;
    place.file = source_place(reading->source, line, &place.line);
    return place;
}

static void reading_take_wrong(struct reading *reading, const struct grammar_event *event)
{
    struct config_place first = reading_place(reading, event->first_line);
    if (event->first_line == 0)
        reading_put_error(reading, event->text);
    else
        reading_error(reading, "%s at %s:%u", event->text, first.file, first.line);
}

static bool reading_take(void *arg, const struct grammar_event *event)
{
    static void (*const ends[SCHEMA_SECTION_MAX])(struct reading * reading) = {
        [SCHEMA_FILE] = file_end,         [SCHEMA_PARK] = park_end,
        [SCHEMA_HTTP] = http_end,         [SCHEMA_CONTROL] = control_end,
        [SCHEMA_LISTENER] = listener_end, [SCHEMA_UPSTREAM] = upstream_end,
        [SCHEMA_ROUTE] = route_end,       [SCHEMA_ROUTE_HTTP] = route_http_end,
    };
    struct reading *reading = arg;
    reading->place = reading_place(reading, event->line);
    switch (event->kind) {
    case GRAMMAR_BEGIN:
        return reading_begin(reading, event);
    case GRAMMAR_VALUE:
        reading_value(reading, event);
        return true;
    case GRAMMAR_END:
        ends[event->section](reading);
        return true;
    default:
        reading_take_wrong(reading, event);
        return true;
    }
}

/* Takes the names of the source's files. */
static struct config *configfile_make(const char *path, struct source *source, FILE *errors)
{
    struct reading reading = { .config = config_new(path), .source = source, .errors = errors };
    if (!reading.config) {
        fprintf(errors, "%s: out of memory\n", path);
        return NULL;
    }
    grammar_read((const char *)source->text.at, schema, SCHEMA_SECTION_MAX, reading_take, &reading);
    reading.config->files = source->files;
    reading.config->file_count = source->file_count;
    source->files = NULL;
    source->file_count = 0;
    if (!reading.is_wrong)
        return reading.config;
    config_unref(reading.config);
    return NULL;
}

struct config *configfile_read_from(const struct source_disk *disk, const char *path, FILE *errors)
{
    struct source source = { 0 };
    bool is_read = source_read(&source, disk, path, errors);
    struct config *config = is_read ? configfile_make(path, &source, errors) : NULL;
    source_done(&source);
    return config;
}

struct config *configfile_read(const char *path, FILE *errors)
{
    return configfile_read_from(&source_disk, path, errors);
}

/* --- a text in memory --- */

struct memory_disk {
    struct source_disk disk;
    const char *text;
};

static const char *memory_find(const struct source_disk *disk, const char *pattern,
                               bool (*take)(void *arg, const char *path), void *arg)
{
    return NULL;
}

static const char *memory_read(const struct source_disk *disk, const char *path, bool is_main,
                               struct imapstate_buf *text)
{
    const struct memory_disk *memory = (const struct memory_disk *)disk;
    if (!is_main)
        return strerror(ENOENT);
    return imapstate_buf_put(text, imapstate_span_of(memory->text)) ? NULL : "too large, or out of memory";
}

struct config *configfile_parse(const char *path, const char *text, FILE *errors)
{
    const struct memory_disk memory = { { memory_find, memory_read }, text };
    return configfile_read_from(&memory.disk, path, errors);
}
