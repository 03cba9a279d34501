#include "schema.h"

#include <imapstate/token.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue.h"
#include "config.h"
#include "endpoint.h"
#include "language.h"
#include "network.h"
#include "option.h"
#include "pins.h"
#include "resolver.h"
#include "sasl.h"
#include "tlspolicy.h"

#define SECOND_MS UINT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

/* RFC 9051 section 5.4: no server ends a connection earlier for being idle. */
#define AUTOLOGOUT_MS (30 * MINUTE_MS)

/* --- mechanisms --- */

static bool schema_is_all(const char *text)
{
    return strcmp(text, "all") == 0;
}

/* The set with one more. The same one twice is an error: a slip, and then another one is missing. */
static bool schema_parse_mechanism(const struct option *option, const char *text, const char *first, void *field,
                                   char ret_wrong[OPTION_WRONG_MAX])
{
    uint32_t *set = field;
    const struct sasl_mechanism *mechanism = sasl_find(imapstate_span_of(text));
    if (first && (schema_is_all(first) || schema_is_all(text)))
        return option_is_wrong(ret_wrong, "%s: \"all\" stands alone", option->name);
    if (schema_is_all(text)) {
        *set = SASL_BITS;
        return true;
    }
    if (mechanism && (*set & SASL_BIT(mechanism->id)))
        return option_is_wrong(ret_wrong, "%s has \"%s\" twice", option->name, mechanism->name);
    if (mechanism) {
        *set |= SASL_BIT(mechanism->id);
        return true;
    }
    char known[SASL_NAMES_MAX];
    return option_is_wrong(ret_wrong, "%s: \"%s\" cannot pass; these can: %s; or write \"all\"", option->name, text,
                           sasl_names(SASL_BITS, known));
}

static void schema_print_mechanisms(const struct option *option, const void *field, FILE *out)
{
    uint32_t set = *(const uint32_t *)field;
    const char *separator = "{ ";
    if (set == SASL_BITS) {
        fputs("\"all\"", out);
        return;
    }
    for (enum sasl_id id = 0; id < SASL_ID_MAX; id++)
        if (set & SASL_BIT(id)) {
            fprintf(out, "%s\"%s\"", separator, sasl_get(id)->name);
            separator = ", ";
        }
    fputs(set ? " }" : "{}", out);
}

/* --- languages --- */

/* Those that have a translation of every text: a client that chooses one shall not hear two. */
static struct languages schema_languages_auto(void)
{
    struct languages languages = { .offered = LANGUAGE_BIT(LANGUAGE_DEFAULT), .preferred = LANGUAGE_DEFAULT };
    for (unsigned language = 0; language < catalogue_count(); language++)
        if (catalogue_missing(language) == 0)
            languages.offered |= LANGUAGE_BIT(language);
    return languages;
}

static bool schema_is_auto(const char *text)
{
    return strcmp(text, "auto") == 0;
}

static bool schema_is_language_word(const char *text)
{
    return schema_is_auto(text) || strcmp(text, "off") == 0;
}

static bool schema_language_is_unknown(const struct option *option, const char *text, char ret_wrong[OPTION_WRONG_MAX])
{
    char known[256] = "";
    size_t len = 0;
    for (unsigned i = 0; i < catalogue_count() && len < sizeof known; i++)
        len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", i > 0 ? ", " : "", catalogue_tag(i));
    return option_is_wrong(ret_wrong, "%s: \"%s\" is not known; write \"auto\", \"off\", or some of %s", option->name,
                           text, known);
}

/* The first of a list is the one preferred, and the default gives way to it. */
static bool schema_parse_language(const struct option *option, const char *text, const char *first, void *field,
                                  char ret_wrong[OPTION_WRONG_MAX])
{
    static const struct languages all = { .offered = UINT32_MAX };
    struct languages *languages = field;
    uint8_t language;
    if (first && (schema_is_language_word(first) || schema_is_language_word(text)))
        return option_is_wrong(ret_wrong, "%s: \"auto\" and \"off\" stand alone", option->name);
    if (!first)
        *languages = schema_is_auto(text) ? schema_languages_auto() : (struct languages){ 0 };
    if (schema_is_language_word(text))
        return true;
    if (!language_find(&all, imapstate_span_of(text), &language))
        return schema_language_is_unknown(option, text, ret_wrong);
    if (languages->offered & LANGUAGE_BIT(language))
        return option_is_wrong(ret_wrong, "%s has \"%s\" twice", option->name, catalogue_tag(language));
    languages->offered |= LANGUAGE_BIT(language);
    if (!first)
        languages->preferred = language;
    return true;
}

/* What "auto" stands for is shown, as the languages of another version may be others. */
static void schema_print_languages(const struct option *option, const void *field, FILE *out)
{
    const struct languages *languages = field;
    if (languages->offered == 0) {
        fputs("\"off\"", out);
        return;
    }
    fprintf(out, "{ \"%s\"", catalogue_tag(languages->preferred));
    for (unsigned i = 0; i < catalogue_count(); i++)
        if (languages->offered & LANGUAGE_BIT(i) && i != languages->preferred)
            fprintf(out, ", \"%s\"", catalogue_tag(i));
    fputs(" }", out);
}

/* --- addresses --- */

static bool schema_add_address(const struct option *option, const char *text, struct config_address **addresses,
                               size_t *count, char ret_wrong[OPTION_WRONG_MAX])
{
    struct config_address address;
    const char *wrong = endpoint_parse(text, &address.endpoint);
    if (wrong)
        return option_is_wrong(ret_wrong, "%s \"%s\": %s", option->name, text, wrong);
    struct config_address *more = reallocarray(*addresses, *count + 1, sizeof *more);
    if (more)
        *addresses = more;
    address.text = more ? strdup(text) : NULL;
    if (!address.text)
        return option_is_wrong(ret_wrong, "out of memory");
    more[(*count)++] = address;
    return true;
}

static void schema_print_addresses(const struct config_address *addresses, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        fputs(i == 0 ? "{ " : ", ", out);
        option_print_quoted(addresses[i].text, out);
    }
    fputs(count > 0 ? " }" : "{}", out);
}

static void schema_done_addresses(struct config_address *addresses, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(addresses[i].text);
    free(addresses);
}

static bool schema_parse_listen_address(const struct option *option, const char *text, const char *first, void *field,
                                        char ret_wrong[OPTION_WRONG_MAX])
{
    struct config_listener *listener = field;
    return schema_add_address(option, text, &listener->addresses, &listener->address_count, ret_wrong);
}

static void schema_print_listen_address(const struct option *option, const void *field, FILE *out)
{
    const struct config_listener *listener = field;
    schema_print_addresses(listener->addresses, listener->address_count, out);
}

static bool schema_is_same_listen_address(const void *a, const void *b)
{
    const struct config_listener *x = a, *y = b;
    if (x->address_count != y->address_count)
        return false;
    for (size_t i = 0; i < x->address_count; i++)
        if (!endpoint_is_equal(&x->addresses[i].endpoint, &y->addresses[i].endpoint))
            return false;
    return true;
}

static void schema_done_listen_address(void *field)
{
    struct config_listener *listener = field;
    schema_done_addresses(listener->addresses, listener->address_count);
}

static bool schema_parse_http_address(const struct option *option, const char *text, const char *first, void *field,
                                      char ret_wrong[OPTION_WRONG_MAX])
{
    struct config_http *http = field;
    return schema_add_address(option, text, &http->addresses, &http->address_count, ret_wrong);
}

static void schema_print_http_address(const struct option *option, const void *field, FILE *out)
{
    const struct config_http *http = field;
    schema_print_addresses(http->addresses, http->address_count, out);
}

static void schema_done_http_address(void *field)
{
    struct config_http *http = field;
    schema_done_addresses(http->addresses, http->address_count);
}

static bool schema_parse_http_host(const struct option *option, const char *text, const char *first, void *field,
                                   char ret_wrong[OPTION_WRONG_MAX])
{
    struct config_http *http = field;
    if (!*text || strpbrk(text, ":/ "))
        return option_is_wrong(ret_wrong, "%s \"%s\": a name is wanted, without port", option->name, text);
    char **more = reallocarray(http->hosts, http->host_count + 1, sizeof *more);
    char *copy = strdup(text);
    if (more)
        http->hosts = more;
    if (!more || !copy) {
        free(copy);
        return option_is_wrong(ret_wrong, "out of memory");
    }
    more[http->host_count++] = copy;
    return true;
}

static void schema_print_http_hosts(const struct option *option, const void *field, FILE *out)
{
    const struct config_http *http = field;
    for (size_t i = 0; i < http->host_count; i++) {
        fputs(i == 0 ? "{ " : ", ", out);
        option_print_quoted(http->hosts[i], out);
    }
    fputs(http->host_count > 0 ? " }" : "{}", out);
}

static void schema_done_http_hosts(void *field)
{
    struct config_http *http = field;
    for (size_t i = 0; i < http->host_count; i++)
        free(http->hosts[i]);
    free(http->hosts);
}

static bool schema_parse_network(const struct option *option, const char *text, const char *first, void *field,
                                 char ret_wrong[OPTION_WRONG_MAX])
{
    struct networks *networks = field;
    struct network network;
    const char *wrong = network_parse(text, &network);
    if (wrong)
        return option_is_wrong(ret_wrong, "%s \"%s\": %s", option->name, text, wrong);
    struct network *more = reallocarray(networks->at, networks->count + 1, sizeof *networks->at);
    if (!more)
        return option_is_wrong(ret_wrong, "out of memory");
    networks->at = more;
    more[networks->count++] = network;
    return true;
}

static void schema_print_network(const struct option *option, const void *field, FILE *out)
{
    const struct networks *networks = field;
    char text[NETWORK_TEXT_MAX];
    for (size_t i = 0; i < networks->count; i++)
        fprintf(out, "%s\"%s\"", i == 0 ? "{ " : ", ", network_text(&networks->at[i], text));
    fputs(networks->count > 0 ? " }" : "{}", out);
}

static void schema_done_network(void *field)
{
    free(((struct networks *)field)->at);
}

/* Takes what the member owns. */
static bool schema_add_member(struct config_upstream *upstream, const struct config_member *member)
{
    struct config_member *more = reallocarray(upstream->members, upstream->member_count + 1, sizeof *more);
    if (!more)
        return false;
    upstream->members = more;
    more[upstream->member_count++] = *member;
    return true;
}

static void schema_done_member(struct config_member *member)
{
    free(member->text);
    free(member->host);
    free(member->port);
}

/* NULL, or what is wrong with it. */
static const char *schema_check_service(const char *text)
{
    static const char form[] = "write it as \"srv:_imaps._tcp.example.org\"";
    const char *service = text + strlen(ENDPOINT_SERVICE), *domain = endpoint_service_domain(text);
    if (strchr(service, ':'))
        return "a service has no port here: its SRV records tell it";
    if (!domain || !endpoint_is_host_name(service) || strlen(text) >= RESOLVER_NAME_MAX)
        return form;
    return NULL;
}

static const char *schema_split_member(char *text, struct config_member *member, const char **ret_host,
                                       const char **ret_port)
{
    member->is_srv = strncmp(text, ENDPOINT_SERVICE, strlen(ENDPOINT_SERVICE)) == 0;
    if (!member->is_srv)
        return endpoint_split(text, ret_host, ret_port, &member->is_unix);
    *ret_host = text;
    *ret_port = NULL;
    return schema_check_service(text);
}

/* Its text is made when it is known which port it has. */
static bool schema_parse_member(const struct option *option, const char *text, const char *first, void *field,
                                char ret_wrong[OPTION_WRONG_MAX])
{
    struct config_upstream *upstream = field;
    struct config_member member = { 0 };
    const char *host, *port;
    if (upstream->member_count == CONFIG_MEMBERS_MAX)
        return option_is_wrong(ret_wrong, "%s has more than %u members", option->name, CONFIG_MEMBERS_MAX);
    char *copy = strdup(text);
    if (!copy)
        return option_is_wrong(ret_wrong, "out of memory");
    const char *wrong = schema_split_member(copy, &member, &host, &port);
    bool is_good = wrong ? option_is_wrong(ret_wrong, "%s \"%s\": %s", option->name, text, wrong)
                         : option_text.parse(option, host, NULL, &member.host, ret_wrong) &&
                               option_text.parse(option, port ? port : "", NULL, &member.port, ret_wrong);
    free(copy);
    if (is_good && !schema_add_member(upstream, &member))
        is_good = option_is_wrong(ret_wrong, "out of memory");
    if (!is_good)
        schema_done_member(&member);
    return is_good;
}

static void schema_print_members(const struct option *option, const void *field, FILE *out)
{
    const struct config_upstream *upstream = field;
    bool is_one = upstream->member_count == 1;
    for (size_t i = 0; i < upstream->member_count; i++) {
        fputs(is_one ? "" : i == 0 ? "{ " : ", ", out);
        option_print_quoted(upstream->members[i].text, out);
    }
    fputs(is_one ? "" : " }", out);
}

static void schema_done_members(void *field)
{
    struct config_upstream *upstream = field;
    for (size_t i = 0; i < upstream->member_count; i++)
        schema_done_member(&upstream->members[i]);
    free(upstream->members);
}

/* --- texts --- */

static bool schema_parse_texts(const struct option *option, const char *text, const char *first, void *field,
                               char ret_wrong[OPTION_WRONG_MAX])
{
    struct config_texts *texts = field;
    char *one = NULL;
    if (!option_text.parse(option, text, first, &one, ret_wrong))
        return false;
    char **more = reallocarray(texts->at, texts->count + 1, sizeof *more);
    if (!more) {
        free(one);
        return option_is_wrong(ret_wrong, "out of memory");
    }
    texts->at = more;
    more[texts->count++] = one;
    return true;
}

static void schema_print_texts(const struct option *option, const void *field, FILE *out)
{
    const struct config_texts *texts = field;
    for (size_t i = 0; i < texts->count; i++) {
        fputs(i == 0 ? "{ " : ", ", out);
        option_print_quoted(texts->at[i], out);
    }
    fputs(texts->count > 0 ? " }" : "{}", out);
}

static bool schema_are_same_texts(const void *a, const void *b)
{
    const struct config_texts *x = a, *y = b;
    bool is_same = x->count == y->count;
    for (size_t i = 0; is_same && i < x->count; i++)
        is_same = strcmp(x->at[i], y->at[i]) == 0;
    return is_same;
}

static void schema_done_texts(void *field)
{
    struct config_texts *texts = field;
    for (size_t i = 0; i < texts->count; i++)
        free(texts->at[i]);
    free(texts->at);
}

/* --- pins --- */

static bool schema_parse_pin(const struct option *option, const char *text, const char *first, void *field,
                             char ret_wrong[OPTION_WRONG_MAX])
{
    switch (pins_add(field, text)) {
    case PINS_ADDED:
        return true;
    case PINS_MALFORMED:
        return option_is_wrong(ret_wrong, "%s must be \"sha256//\" and the base64 of 32 octets, not \"%s\"",
                               option->name, text);
    default:
        return option_is_wrong(ret_wrong, "out of memory");
    }
}

static void schema_print_pins(const struct option *option, const void *field, FILE *out)
{
    const struct pins *pins = field;
    char text[PIN_TEXT_SIZE];
    for (size_t i = 0; i < pins->count; i++)
        fprintf(out, "%s\"%s\"", i == 0 ? "{ " : ", ", pins_text(pins, i, text));
    fputs(pins->count > 0 ? " }" : "{}", out);
}

static bool schema_are_same_pins(const void *a, const void *b)
{
    return pins_are_equal(a, b);
}

static void schema_done_pins(void *field)
{
    pins_done(field);
}

/* --- rows --- */

#define LIST .is_list = true
static const struct option_type mechanisms = { sizeof(uint32_t), schema_parse_mechanism, schema_print_mechanisms,
                                               LIST };
static const struct option_type languages = { sizeof(struct languages), schema_parse_language, schema_print_languages,
                                              LIST };
static const struct option_type networks = { sizeof(struct networks), schema_parse_network,
                                             schema_print_network,    NULL,
                                             schema_done_network,     LIST };
static const struct option_type texts = { sizeof(struct config_texts), schema_parse_texts, schema_print_texts,
                                          schema_are_same_texts,       schema_done_texts,  LIST };
static const struct option_type pins = { sizeof(struct pins),  schema_parse_pin, schema_print_pins,
                                         schema_are_same_pins, schema_done_pins, LIST };
/* Their field is the whole section, as they fill several. */
static const struct option_type listen_addresses = { 0,
                                                     schema_parse_listen_address,
                                                     schema_print_listen_address,
                                                     schema_is_same_listen_address,
                                                     schema_done_listen_address,
                                                     LIST };
static const struct option_type http_addresses = { sizeof(struct config_http), schema_parse_http_address,
                                                   schema_print_http_address,  NULL,
                                                   schema_done_http_address,   LIST };
static const struct option_type http_hosts = { 0,    schema_parse_http_host, schema_print_http_hosts,
                                               NULL, schema_done_http_hosts, LIST };
static const struct option_type members = { 0,    schema_parse_member, schema_print_members,
                                            NULL, schema_done_members, LIST };

const char *const schema_tls_words[] = {
    [CONFIG_TLS_NONE] = "none",
    [CONFIG_TLS_STARTTLS] = "starttls",
    [CONFIG_TLS_IMPLICIT] = "implicit",
    NULL,
};
static const char *const tls_version_words[] = { [TLS_VERSION_1_2] = "TLSv1.2", [TLS_VERSION_1_3] = "TLSv1.3", NULL };
static const char *const client_certificate_words[] = {
    [CONFIG_CLIENT_CERTIFICATE_NONE] = "none",
    [CONFIG_CLIENT_CERTIFICATE_OPTIONAL] = "optional",
    [CONFIG_CLIENT_CERTIFICATE_REQUIRED] = "required",
    NULL,
};
static const char *const client_address_words[] = {
    [CONFIG_CLIENT_ADDRESS_NONE] = "none",
    [CONFIG_CLIENT_ADDRESS_ID] = "id",
    [CONFIG_CLIENT_ADDRESS_PROXY_V2] = "proxy-v2",
    NULL,
};
static const char *const balance_words[] = {
    [CONFIG_BALANCE_USER] = "user",
    [CONFIG_BALANCE_LEAST_SESSIONS] = "least-sessions",
    [CONFIG_BALANCE_ORDER] = "order",
    NULL,
};
static const char *const literals_words[] = {
    [CONFIG_LITERALS_WAIT] = "wait",
    [CONFIG_LITERALS_STREAM] = "stream",
    NULL,
};
static const char *const authorization_words[] = {
    [CONFIG_AUTHORIZATION_PASS] = "pass",
    [CONFIG_AUTHORIZATION_REFUSE] = "refuse",
    NULL,
};
static const char *const log_level_words[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
    NULL,
};
static const char *const log_format_words[] = { [LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_JSON] = "json", NULL };
static const char *const log_to_words[] = { [LOG_TO_STDERR] = "stderr", [LOG_TO_SYSLOG] = "syslog", NULL };

static const char why_idle[] =
    "RFC 9051 section 5.4 says of an autologout timer that it \"MUST be at least 30 minutes\"";

static const char if_policy_empty[] = "leave it out for what is usual, or name what may be agreed on";
static const char if_file_empty[] = "write the path of a file";

/* clang-format off */
/* Without a default they are as for the whole daemon, which configfile fills in. */
#define TLS_POLICY_OPTIONS(version, usual_ciphers, usual_ciphersuites, usual_groups) \
    { "tls_min_version",  &option_choice, FIELD(tls_policy.min_version),  version, .words = tls_version_words }, \
    { "tls_ciphers",      &option_text,   FIELD(tls_policy.ciphers),      usual_ciphers,      .if_empty = if_policy_empty, .check = tlspolicy_check_ciphers }, \
    { "tls_ciphersuites", &option_text,   FIELD(tls_policy.ciphersuites), usual_ciphersuites, .if_empty = if_policy_empty, .check = tlspolicy_check_ciphersuites }, \
    { "tls_groups",       &option_text,   FIELD(tls_policy.groups),       usual_groups,       .if_empty = if_policy_empty, .check = tlspolicy_check_groups }
#define FIELD(member) offsetof(struct config, member)
static const struct option file_options[] = {
    /* name                     type             field                            default   bounds */
    { "workers",                 &option_count,   FIELD(workers),                 "0",      0, 1024 },
    { "keys_file",               &option_text,    FIELD(keys_file),               "" },
    { "token_lifetime",          &option_time_s,  FIELD(token_lifetime_s),        "14d",    SECOND_MS, CONFIG_TOKEN_LIFETIME_MAX_S * SECOND_MS },
    { "seal_format",             &option_count,   FIELD(seal_format),             "2",      1, IMAPSTATE_TOKEN_FORMAT },
    { "revocations_file",        &option_text,    FIELD(revocations_file),        "" },
    { "epoch",                   &option_number,  FIELD(epoch),                   "0",      0, UINT64_MAX },
    { "log_level",               &option_choice,  FIELD(log_level),               "info",   .words = log_level_words },
    { "log_to",                  &option_choice,  FIELD(log_to),                  "stderr", .words = log_to_words },
    { "log_format",              &option_choice,  FIELD(log_format),              "text",   .words = log_format_words },
    TLS_POLICY_OPTIONS("TLSv1.2", TLSPOLICY_CIPHERS, TLSPOLICY_CIPHERSUITES, TLSPOLICY_GROUPS),
    { "user",                    &option_text,    FIELD(user),                    "",       .on_reload = OPTION_KEPT },
    { "group",                   &option_text,    FIELD(group),                   "",       .on_reload = OPTION_KEPT },
    { "max_clients",             &option_count,   FIELD(max_clients),             "20000",  1, 1000000 },
    { "max_clients_per_address", &option_count,   FIELD(max_clients_per_address), "0",      0, 1000000 },
    { "max_unauthenticated_per_address", &option_count, FIELD(max_unauthenticated_per_address), "20", 0, 1000000 },
    { "login_timeout",           &option_time_ms, FIELD(login_timeout_ms),        "3m",     SECOND_MS, HOUR_MS },
    /* Above the 30 minutes that servers use, so that the upstream's own autologout comes first. */
    { "idle_timeout",            &option_time_ms, FIELD(idle_timeout_ms),         "35m",    AUTOLOGOUT_MS, 7 * DAY_MS, why_idle },
    { "login_failure_delay",     &option_time_ms, FIELD(login_failure_delay_ms),  "2s",     0, MINUTE_MS },
    { "max_login_failures",      &option_count,   FIELD(max_login_failures),      "3",      1, 100 },
    { "shutdown_timeout",        &option_time_ms, FIELD(shutdown_timeout_ms),     "5s",     0, HOUR_MS },
    { "drain_time",              &option_time_ms, FIELD(drain_time_ms),           "1h",     0, 7 * DAY_MS },
    { "languages",               &languages,      FIELD(languages),               "auto" },
    { "route_map",               &option_text,    FIELD(route_map),               "" },
    { "route_default",           &option_text,    FIELD(route_default_name),      "" },
    { NULL },
};
static const struct option park_options[] = {
    { "per_user",        &option_count,   FIELD(park.per_user),           "5",     0, 1000 },
    { "max",             &option_count,   FIELD(park.max),                "10000", 1, 1000000 },
    { "time",            &option_time_ms, FIELD(park.time_ms),            "5m",    100, 7 * DAY_MS },
    { "lifetime",        &option_time_ms, FIELD(park.lifetime_ms),        "1h",    100, 7 * DAY_MS },
    { "reauth_interval", &option_time_ms, FIELD(park.reauth_interval_ms), "10m",   100, DAY_MS },
    { "keepalive",       &option_time_ms, FIELD(park.keepalive_ms),       "10m",   100, AUTOLOGOUT_MS - MINUTE_MS },
    { "wake_timeout",    &option_time_ms, FIELD(park.wake_timeout_ms),    "5s",    100, 2 * MINUTE_MS },
    { "wake_check",      &option_time_ms, FIELD(park.wake_check_ms),      "30s",   0, 7 * DAY_MS },
    { "one_password",    &option_flag,    FIELD(park.one_password),       "false" },
    { NULL },
};
static const struct option http_options[] = {
    { "address",   &http_addresses, FIELD(http) },
    { "unix_mode", &option_mode,    FIELD(http.unix_mode), "0600", 0, 0777 },
    { "host",      &http_hosts,     FIELD(http) },
    { NULL },
};
static const struct option control_options[] = {
    { "socket", &option_text, FIELD(control.socket), "/run/imapstate/control", .if_empty = "leave the section out", .on_reload = OPTION_KEPT },
    { "mode",   &option_mode, FIELD(control.mode),   "0660", 0, 0777, .on_reload = OPTION_KEPT },
    { "group",  &option_text, FIELD(control.group),  "", .on_reload = OPTION_KEPT },
    { NULL },
};
static const struct option route_http_options[] = {
    { "url",      &option_text,    FIELD(route_http.url), .is_required = true },
    { "upstream", &option_text,    FIELD(route_http.upstream_name), .if_empty = "write the name of an upstream section" },
    { "cache",    &option_time_ms, FIELD(route_http.cache_ms),   "5m", 0, DAY_MS },
    { "timeout",  &option_time_ms, FIELD(route_http.timeout_ms), "5s", 100, MINUTE_MS },
    { NULL },
};
#undef FIELD
#define FIELD(member) offsetof(struct config_route, member)
static const struct option route_options[] = {
    { "upstream", &option_text, FIELD(upstream_name), .is_required = true },
    { NULL },
};
#undef FIELD
#define FIELD(member) offsetof(struct config_listener, member)
static const struct option listener_options[] = {
    { "address",          &listen_addresses, 0, .is_required = true },
    { "tls",              &option_choice,    FIELD(tls),              "implicit", .words = schema_tls_words },
    { "tls_cert_file",    &texts,            FIELD(tls_cert_files),   .if_empty = if_file_empty },
    { "tls_key_file",     &texts,            FIELD(tls_key_files),    .if_empty = if_file_empty },
    TLS_POLICY_OPTIONS(NULL, NULL, NULL, NULL),
    { "tls_client_certificate", &option_choice, FIELD(tls_client_certificate), "none", .words = client_certificate_words },
    { "tls_client_ca_file", &option_text,    FIELD(tls_client_ca_file), "" },
    { "require_tls",      &option_flag,      FIELD(require_tls),      "true" },
    { "accept_proxy",     &option_flag,      FIELD(accept_proxy),     "false" },
    { "trusted_networks", &networks,         FIELD(trusted_networks) },
    { "id_trusted_networks", &networks,      FIELD(id_trusted_networks) },
    { "unix_mode",        &option_mode,      FIELD(unix_mode),        "0600", 0, 0777 },
    { "upstream",         &option_text,      FIELD(upstream_name), .if_empty = "write the name of an upstream section" },
    { "auth_mechanisms",  &mechanisms,       FIELD(auth_mechanisms) },
    { "imapproxy_compat", &option_flag,      FIELD(imapproxy_compat), "false" },
    { "compress",         &option_flag,      FIELD(compress),         "false" },
    { NULL },
};
#undef FIELD
#define FIELD(member) offsetof(struct config_upstream, member)
static const struct option upstream_options[] = {
    { "address",                &members,          0, .is_required = true },
    { "tls",                    &option_choice,    FIELD(tls),                    "implicit", .words = schema_tls_words },
    { "tls_verify",             &option_flag,      FIELD(tls_verify),             "true" },
    { "tls_ca_file",            &option_text,      FIELD(tls_ca_file),            "" },
    { "tls_name",               &option_text,      FIELD(tls_name),               "" },
    TLS_POLICY_OPTIONS(NULL, NULL, NULL, NULL),
    { "tls_pin",                &pins,             FIELD(tls_pins) },
    { "tls_cert_file",          &option_text,      FIELD(tls_cert_file),          "" },
    { "tls_key_file",           &option_text,      FIELD(tls_key_file),           "" },
    { "balance",                &option_choice,    FIELD(balance),                "user", .words = balance_words },
    { "check_interval",         &option_time_ms,   FIELD(check_interval_ms),      "10s",  0, HOUR_MS },
    { "fail_timeout",           &option_time_ms,   FIELD(fail_timeout_ms),        "30s",  100, HOUR_MS },
    { "connect_timeout",        &option_time_ms,   FIELD(connect_timeout_ms),     "10s",  100, 5 * MINUTE_MS },
    { "max_sessions",           &option_count,     FIELD(max_sessions),           "0",    0, 1000000 },
    { "max_logins",             &option_count,     FIELD(max_logins),             "0",    0, 1000000 },
    { "queue_timeout",          &option_time_ms,   FIELD(queue_timeout_ms),       "10s",  100, HOUR_MS },
    { "answer_timeout",         &option_time_ms,   FIELD(answer_timeout_ms),      "60s",  100, HOUR_MS },
    { "send_client_address",    &option_choice,    FIELD(send_client_address),    "none", .words = client_address_words },
    { "authorization_identity", &option_choice,    FIELD(authorization_identity), "refuse", .words = authorization_words },
    { "append_literals",        &option_choice,    FIELD(append_literals),        "wait", .words = literals_words },
    { "user_strip_domain",      &option_flag,      FIELD(user_strip_domain),      "false" },
    { "user_lowercase",         &option_flag,      FIELD(user_lowercase),         "false" },
    { NULL },
};

const struct grammar_section schema[SCHEMA_SECTION_MAX] = {
    [SCHEMA_FILE]     = { .options = file_options },
    [SCHEMA_PARK]     = { "park",     park_options },
    [SCHEMA_HTTP]     = { "http",     http_options },
    [SCHEMA_CONTROL]  = { "control",  control_options },
    [SCHEMA_LISTENER] = { "listener", listener_options, .is_named = true, .is_required = true },
    [SCHEMA_UPSTREAM] = { "upstream", upstream_options, .is_named = true, .is_required = true },
    [SCHEMA_ROUTE]    = { "route",    route_options, .is_named = true },
    [SCHEMA_ROUTE_HTTP] = { "route_http", route_http_options },
};
/* clang-format on */
