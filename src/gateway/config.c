#include "config.h"

#include <arpa/inet.h>
#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalogue.h"
#include "sasl.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#define CONFIG_OCTETS_MAX  (1u << 20)
#define CONFIG_MESSAGE_MAX 1024
#define CONFIG_NAME_MAX    64

#define SECOND_MS UINT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

/* RFC 9051 section 5.4: no server ends a connection earlier for being idle. */
#define AUTOLOGOUT_MS (30 * MINUTE_MS)

/* libconfuse closes sections and comments silently at the end of the file. So this option is put behind the text: it
 * has to arrive in the file's own scope, else something is still open. */
#define CONFIG_END_MARK ".end-of-file"

enum scope { SCOPE_FILE, SCOPE_PARK, SCOPE_LISTENER, SCOPE_UPSTREAM, SCOPE_MAX };
static const char *const scope_names[SCOPE_MAX] = { "root", "park", "listener", "upstream" };

/* What a listener's section said that its struct cannot hold. */
struct listener_notes {
    char *upstream_name;
    bool require_tls_given;
};

/* One reading of a file. Values go straight into config, as the line that an error is about is known only then. */
struct reading {
    struct config *config;
    const char *path;
    FILE *errors;
    cfg_t *root, *section; /* section: the one being read; root between sections */
    uint64_t given;        /* which of the section's options were there, by row */
    uint64_t given_in_file;
    struct listener_notes *notes; /* one for each listener */
    unsigned line;                /* that messages are about; 0: none */
    unsigned error_count;
    bool is_whole;            /* the end mark arrived in the file's own scope */
    unsigned park_line;       /* of the park section; 0: none yet */
    unsigned language_count;  /* values of "languages" so far ... */
    uint32_t languages_given; /* ... those that are languages ... */
    bool has_language_word;   /* ... and the other kind, "auto" or "off" */
};

/* libconfuse hands its callbacks no pointer of the caller's, and its lexer is global anyway. */
static struct reading *reading_now;

/* One row holds all that is known of an option. parse returns false after it has reported what is wrong. */
struct option {
    const char *name;
    bool (*parse)(struct reading *reading, const struct option *option, const char *value, void *ret_value);
    size_t offset; /* of the field in the scope's struct */
    uint64_t min, max;
    const char *const *choices; /* NULL at the end; a value's place is its number */
    bool is_list;
};

/* --- messages --- */

static void reading_message(FILE *out, const struct reading *reading, const char *kind, const char *text)
{
    fprintf(out, "%s:", reading->path);
    if (reading->line != 0)
        fprintf(out, "%u:", reading->line);
    fprintf(out, " %s", kind);
    /* A value may hold a line end; a message is one line. */
    for (; *text != '\0'; text++)
        fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
}

__attribute__((format(printf, 2, 0))) static void reading_verror(struct reading *reading, const char *format,
                                                                 va_list arguments)
{
    char text[CONFIG_MESSAGE_MAX];
    vsnprintf(text, sizeof(text), format, arguments);
    reading_message(reading->errors, reading, "", text);
    fputc('\n', reading->errors);
    reading->error_count++;
}

/* Always false, for "return reading_error(...)". */
__attribute__((format(printf, 2, 3))) static bool reading_error(struct reading *reading, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    reading_verror(reading, format, arguments);
    va_end(arguments);
    return false;
}

static bool reading_no_memory(struct reading *reading)
{
    return reading_error(reading, "out of memory");
}

__attribute__((format(printf, 2, 3))) static void reading_warning(struct reading *reading, const char *format, ...)
{
    struct config *config = reading->config;
    char text[CONFIG_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);

    char *line = NULL;
    size_t len = 0;
    char **more = reallocarray(config->warnings, config->warning_count + 1, sizeof(*more));
    FILE *out = open_memstream(&line, &len);
    if (more != NULL)
        config->warnings = more;
    if (out != NULL) {
        reading_message(out, reading, "warning: ", text);
        fclose(out);
    }
    if (more == NULL || line == NULL) {
        free(line);
        reading_no_memory(reading);
        return;
    }
    config->warnings[config->warning_count++] = line;
}

/* --- values --- */

/* Decimal digits at the front of *text, at most max; false if there are none or the number is larger. Moves behind
 * them. */
static bool take_number(const char **text, uint64_t max, uint64_t *ret_number)
{
    const char *at = *text;
    uint64_t number = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (__builtin_mul_overflow(number, 10u, &number) || __builtin_add_overflow(number, digit, &number) ||
            number > max)
            return false;
    }
    if (at == *text)
        return false;
    *text = at;
    *ret_number = number;
    return true;
}

static bool parse_u64(struct reading *reading, const struct option *option, const char *value, uint64_t *ret_number)
{
    uint64_t number;
    const char *at = value;
    if (!take_number(&at, option->max, &number) || *at != '\0' || number < option->min)
        return reading_error(reading, "%s must be a number from %" PRIu64 " to %" PRIu64 ", not \"%s\"", option->name,
                             option->min, option->max, value);
    *ret_number = number;
    return true;
}

static bool parse_number(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    return parse_u64(reading, option, value, ret_value);
}

static bool parse_count(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    uint64_t number = 0;
    if (!parse_u64(reading, option, value, &number))
        return false;
    *(unsigned *)ret_value = (unsigned)number;
    return true;
}

static const struct {
    const char *name;
    uint64_t ms;
} time_units[] = { { "d", DAY_MS }, { "h", HOUR_MS }, { "m", MINUTE_MS }, { "s", SECOND_MS }, { "ms", 1 } };

static void format_time(uint64_t ms, char *ret_text, size_t size)
{
    for (size_t i = 0; i < ARRAY_LEN(time_units); i++) {
        if (ms >= time_units[i].ms && ms % time_units[i].ms == 0) {
            snprintf(ret_text, size, "%" PRIu64 "%s", ms / time_units[i].ms, time_units[i].name);
            return;
        }
    }
    snprintf(ret_text, size, "0s");
}

static bool take_time(struct reading *reading, const struct option *option, const char *value, uint64_t *ret_ms)
{
    uint64_t number;
    const char *at = value;
    if (!take_number(&at, UINT64_MAX, &number))
        return reading_error(reading, "%s must be a time such as \"10s\" (units: ms s m h d), not \"%s\"", option->name,
                             value);
    if (*at == '\0')
        return reading_error(reading, "%s = \"%s\" has no unit: write \"%sms\", \"%ss\", \"%sm\", \"%sh\" or \"%sd\"",
                             option->name, value, value, value, value, value, value);
    for (size_t i = 0; i < ARRAY_LEN(time_units); i++) {
        if (strcmp(at, time_units[i].name) != 0)
            continue;
        if (__builtin_mul_overflow(number, time_units[i].ms, ret_ms))
            return reading_error(reading, "%s = \"%s\" is too long", option->name, value);
        return true;
    }
    return reading_error(reading, "%s = \"%s\" has an unknown unit: use ms, s, m, h or d", option->name, value);
}

static bool parse_time_ms(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    uint64_t ms = 0;
    if (!take_time(reading, option, value, &ms))
        return false;
    if (ms < option->min || ms > option->max) {
        char min[32], max[32];
        format_time(option->min, min, sizeof(min));
        format_time(option->max, max, sizeof(max));
        return reading_error(reading, "%s must be from %s to %s, not \"%s\"", option->name, min, max, value);
    }
    *(uint64_t *)ret_value = ms;
    return true;
}

static bool parse_time_s(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    uint64_t ms = 0;
    if (!parse_time_ms(reading, option, value, &ms))
        return false;
    if (ms % SECOND_MS != 0)
        return reading_error(reading, "%s must be in whole seconds, not \"%s\"", option->name, value);
    *(uint64_t *)ret_value = ms / SECOND_MS;
    return true;
}

static bool parse_idle_timeout(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    uint64_t ms = 0;
    if (!take_time(reading, option, value, &ms))
        return false;
    if (ms < option->min)
        return reading_error(
            reading,
            "%s = \"%s\" is below 30m: RFC 9051 section 5.4 says of an autologout timer that it \"MUST be "
            "at least 30 minutes\"",
            option->name, value);
    return parse_time_ms(reading, option, value, ret_value);
}

static bool parse_bool(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    int flag = cfg_parse_boolean(value);
    if (flag != 0 && flag != 1)
        return reading_error(reading, "%s must be true or false, not \"%s\"", option->name, value);
    *(bool *)ret_value = flag == 1;
    return true;
}

static bool parse_choice(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    char known[128] = "";
    size_t len = 0;
    for (size_t i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], value) == 0) {
            *(int *)ret_value = (int)i; /* enums without negative values are as wide: see the assertion below */
            return true;
        }
        len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i > 0 ? ", " : "", option->choices[i]);
    }
    return reading_error(reading, "%s must be one of %s, not \"%s\"", option->name, known, value);
}
_Static_assert(sizeof(enum config_tls) == sizeof(int) && sizeof(enum log_level) == sizeof(int), "parse_choice");

static bool parse_text(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    char **text = ret_value;
    char *copy = strdup(value);
    if (copy == NULL)
        return reading_no_memory(reading);
    free(*text);
    *text = copy;
    return true;
}

static bool parse_mode(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    unsigned mode = 0;
    size_t digits = strspn(value, "01234567");
    if (digits == 0 || digits > 4 || value[digits] != '\0')
        return reading_error(reading, "%s must be an octal mode such as \"0660\", not \"%s\"", option->name, value);
    for (size_t i = 0; i < digits; i++)
        mode = mode * 8 + (unsigned)(value[i] - '0');
    if (mode > option->max)
        return reading_error(reading, "%s = \"%s\" has more than permission bits", option->name, value);
    *(unsigned *)ret_value = mode;
    return true;
}

/* Adds one to the set. The same one twice is an error, so that a set has as many as its list. */
static bool parse_mechanism(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    uint32_t *set = ret_value;
    const struct sasl_mechanism *mechanism = sasl_find(imapstate_span_of(value));
    if (mechanism != NULL && (*set & SASL_BIT(mechanism->id)))
        return reading_error(reading, "%s has \"%s\" twice", option->name, mechanism->name);
    if (mechanism != NULL) {
        *set |= SASL_BIT(mechanism->id);
        return true;
    }
    char known[256] = "";
    size_t len = 0;
    for (enum sasl_id id = 0; id < SASL_ID_MAX; id++)
        len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", id > 0 ? ", " : "", sasl_get(id)->name);
    return reading_error(reading, "%s: \"%s\" is none that can pass: these can: %s", option->name, value, known);
}

/* Those that have a translation of every text: a client that chooses one shall not hear two. */
static struct languages languages_auto(void)
{
    struct languages languages = { .offered = LANGUAGE_BIT(LANGUAGE_DEFAULT), .preferred = LANGUAGE_DEFAULT };
    for (unsigned language = 0; language < catalogue_count(); language++)
        if (catalogue_missing(language) == 0)
            languages.offered |= LANGUAGE_BIT(language);
    return languages;
}

static bool language_is_unknown(struct reading *reading, const char *value)
{
    char known[256] = "";
    size_t len = 0;
    for (unsigned i = 0; i < catalogue_count() && len < sizeof(known); i++)
        len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i > 0 ? ", " : "", catalogue_tag(i));
    return reading_error(reading, "languages: \"%s\" is not known; write \"auto\", \"off\", or some of %s", value,
                         known);
}

/* The first of a list is the one preferred. */
static bool parse_language(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    static const struct languages all = { .offered = UINT32_MAX };
    struct languages *languages = ret_value;
    bool is_first = reading->language_count++ == 0;
    bool is_auto = strcmp(value, "auto") == 0, is_word = is_auto || strcmp(value, "off") == 0;
    uint8_t language;
    if (reading->has_language_word || (is_word && !is_first))
        return reading_error(reading, "languages: \"auto\" and \"off\" stand alone");
    if (is_word) {
        reading->has_language_word = true;
        *languages = is_auto ? languages_auto() : (struct languages){ 0 };
        return true;
    }
    if (!language_find(&all, imapstate_span_of(value), &language))
        return language_is_unknown(reading, value);
    if (reading->languages_given & LANGUAGE_BIT(language))
        return reading_error(reading, "languages has \"%s\" twice", catalogue_tag(language));
    reading->languages_given |= LANGUAGE_BIT(language);
    if (is_first)
        languages->preferred = language;
    /* RFC 5255 section 3.1: a server has i-default in any case. */
    languages->offered = reading->languages_given | LANGUAGE_BIT(LANGUAGE_DEFAULT);
    return true;
}

/* --- addresses --- */

/* Takes "host:port" or "[v6]:port" apart; port is NULL if there is none. Both point into text, which is changed. */
static bool split_host_port(char *text, char **ret_host, char **ret_port)
{
    char *end;
    *ret_port = NULL;
    if (text[0] == '[') {
        *ret_host = text + 1;
        end = strchr(text, ']');
        if (end == NULL)
            return false;
        *end++ = '\0';
    } else {
        *ret_host = text;
        end = text + strcspn(text, ":");
    }
    if (*end == ':') {
        *end = '\0';
        *ret_port = end + 1;
        return **ret_host != '\0' && strchr(*ret_port, ':') == NULL;
    }
    return *end == '\0' && **ret_host != '\0';
}

static bool take_port(const char *text, uint16_t *ret_port)
{
    uint64_t port;
    if (!take_number(&text, UINT16_MAX, &port) || *text != '\0' || port == 0)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* IPv6 with an optional scope ("fe80::1%eth0"). */
static bool take_ipv6(const char *host, struct sockaddr_in6 *ret_in6)
{
    struct addrinfo hints = { .ai_family = AF_INET6, .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found;
    if (strchr(host, ':') == NULL || getaddrinfo(host, NULL, &hints, &found) != 0)
        return false;
    memcpy(ret_in6, found->ai_addr, sizeof(*ret_in6));
    freeaddrinfo(found);
    return true;
}

/* host_port is changed. Returns what is wrong, or NULL. */
static const char *address_set_ip(struct config_address *address, char *host_port, bool is_bracketed)
{
    char *host, *port_text;
    uint16_t port;
    if (!split_host_port(host_port, &host, &port_text))
        return "write it as \"192.0.2.1:993\", \"[2001:db8::1]:993\", \"*:993\" or \"unix:/path\", in quotes";
    if (port_text == NULL)
        return "it has no port";
    if (!take_port(port_text, &port))
        return "its port is not from 1 to 65535";
    if (is_bracketed) {
        if (!take_ipv6(host, &address->sockaddr.in6))
            return "that is no IPv6 address between the brackets";
        address->sockaddr.in6.sin6_port = htons(port);
        address->len = sizeof(address->sockaddr.in6);
        return NULL;
    }
    struct in_addr *in = &address->sockaddr.in.sin_addr;
    if (strcmp(host, "*") != 0 && inet_pton(AF_INET, host, in) != 1)
        return "a listener takes no host name: write its IP address";
    address->sockaddr.in.sin_family = AF_INET;
    address->sockaddr.in.sin_port = htons(port);
    address->len = sizeof(address->sockaddr.in);
    return NULL;
}

static const char *address_set_unix(struct config_address *address, const char *path)
{
    size_t len = strlen(path);
    if (path[0] != '/')
        return "the path of a unix socket begins with \"/\"";
    if (len >= sizeof(address->sockaddr.un.sun_path))
        return "the path of a unix socket has 107 octets at most";
    address->sockaddr.un.sun_family = AF_UNIX;
    memcpy(address->sockaddr.un.sun_path, path, len + 1);
    address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return NULL;
}

static const struct config_listener *address_find(const struct config *config, const struct config_address *address)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        for (size_t j = 0; j < listener->address_count; j++) {
            const struct config_address *other = &listener->addresses[j];
            if (other->len == address->len && memcmp(&other->sockaddr, &address->sockaddr, address->len) == 0)
                return listener;
        }
    }
    return NULL;
}

static bool parse_address(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    struct config_listener *listener = ret_value;
    struct config_address address = { .len = 0 };
    struct config_address *more =
        reallocarray(listener->addresses, listener->address_count + 1, sizeof(*listener->addresses));
    if (more == NULL)
        return reading_no_memory(reading);
    listener->addresses = more;

    char *copy = strdup(value);
    if (copy == NULL)
        return reading_no_memory(reading);
    const char *wrong = strncmp(value, "unix:", 5) == 0 ? address_set_unix(&address, value + 5)
                                                        : address_set_ip(&address, copy, value[0] == '[');
    free(copy);
    if (wrong != NULL)
        return reading_error(reading, "address \"%s\": %s", value, wrong);
    const struct config_listener *other = address_find(reading->config, &address);
    if (other != NULL)
        return reading_error(reading, "address \"%s\" is listener \"%s\"'s already", value, other->name);
    address.text = strdup(value);
    if (address.text == NULL)
        return reading_no_memory(reading);
    listener->addresses[listener->address_count++] = address;
    return true;
}

static bool is_host_name(const char *host)
{
    return host[0] != '-' &&
           host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")] == '\0';
}

static const char *upstream_set_unix(struct config_upstream *upstream, const char *path)
{
    struct config_address address;
    const char *wrong = address_set_unix(&address, path);
    if (wrong == NULL)
        upstream->is_unix = true;
    return wrong;
}

static const char *upstream_check_host_port(char *host_port, bool is_bracketed, char **ret_host, char **ret_port)
{
    struct sockaddr_in6 in6;
    uint16_t port;
    if (!split_host_port(host_port, ret_host, ret_port))
        return "write it as \"host:port\", \"[2001:db8::1]:port\" or \"unix:/path\"";
    if (is_bracketed && !take_ipv6(*ret_host, &in6))
        return "that is no IPv6 address between the brackets";
    if (!is_bracketed && !is_host_name(*ret_host))
        return "that is no host name";
    if (*ret_port != NULL && !take_port(*ret_port, &port))
        return "its port is not from 1 to 65535";
    return NULL;
}

static bool parse_upstream_address(struct reading *reading, const struct option *option, const char *value,
                                   void *ret_value)
{
    struct config_upstream *upstream = ret_value;
    bool is_unix = strncmp(value, "unix:", 5) == 0;
    char *copy = strdup(is_unix ? value + 5 : value);
    if (copy == NULL)
        return reading_no_memory(reading);
    char *host = copy;
    char *port = NULL;
    const char *wrong =
        is_unix ? upstream_set_unix(upstream, copy) : upstream_check_host_port(copy, value[0] == '[', &host, &port);
    bool is_good = wrong == NULL && parse_text(reading, option, host, &upstream->host) &&
                   parse_text(reading, option, port != NULL ? port : "", &upstream->port);
    free(copy);
    return wrong != NULL ? reading_error(reading, "address \"%s\": %s", value, wrong) : is_good;
}

static bool network_has_bits_behind_prefix(const struct config_network *network)
{
    unsigned octets = network->family == AF_INET ? 4 : 16;
    for (unsigned bit = network->prefix_bits; bit < octets * 8; bit++)
        if (network->address[bit / 8] & (0x80u >> bit % 8))
            return true;
    return false;
}

/* text is changed. Returns what is wrong, or NULL. */
static const char *network_set(struct config_network *network, char *text)
{
    uint64_t bits;
    char *slash = strchr(text, '/');
    if (strcmp(text, "unix") == 0) {
        network->family = AF_UNIX;
        return NULL;
    }
    if (slash != NULL)
        *slash = '\0';
    network->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
    if (inet_pton(network->family, text, network->address) != 1)
        return "write it as \"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.1\" or \"unix\"";
    if (network->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)network->address))
        return "an IPv4 network is written as IPv4";
    network->prefix_bits = network->family == AF_INET ? 32 : 128;
    if (slash != NULL) {
        const char *at = slash + 1;
        if (!take_number(&at, network->prefix_bits, &bits) || *at != '\0')
            return "the number behind \"/\" is not a prefix length";
        network->prefix_bits = (unsigned)bits;
    }
    return network_has_bits_behind_prefix(network) ? "its address has bits set behind the prefix" : NULL;
}

static bool parse_network(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    struct config_listener *listener = ret_value;
    struct config_network network = { .family = 0 };
    char *copy = strdup(value);
    struct config_network *more = reallocarray(listener->trusted_networks, listener->trusted_network_count + 1,
                                               sizeof(*listener->trusted_networks));
    if (more != NULL)
        listener->trusted_networks = more;
    if (copy == NULL || more == NULL) {
        free(copy);
        return reading_no_memory(reading);
    }
    const char *wrong = network_set(&network, copy);
    free(copy);
    if (wrong != NULL)
        return reading_error(reading, "trusted_networks \"%s\": %s", value, wrong);
    listener->trusted_networks[listener->trusted_network_count++] = network;
    return true;
}

/* --- options --- */

static bool parse_require_tls(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    struct config_listener *listener = ret_value;
    reading->notes[reading->config->listener_count - 1].require_tls_given = true;
    return parse_bool(reading, option, value, &listener->require_tls);
}

static bool parse_upstream_name(struct reading *reading, const struct option *option, const char *value,
                                void *ret_value)
{
    if (value[0] == '\0')
        return reading_error(reading, "upstream is empty: write the name of an upstream section");
    return parse_text(reading, option, value, &reading->notes[reading->config->listener_count - 1].upstream_name);
}

static bool parse_end_mark(struct reading *reading, const struct option *option, const char *value, void *ret_value)
{
    reading->is_whole = reading->section == reading->root;
    return true;
}

static const char *const tls_choices[] = {
    [CONFIG_TLS_NONE] = "none",
    [CONFIG_TLS_STARTTLS] = "starttls",
    [CONFIG_TLS_IMPLICIT] = "implicit",
    NULL,
};
static const char *const client_address_choices[] = {
    [CONFIG_CLIENT_ADDRESS_NONE] = "none",
    [CONFIG_CLIENT_ADDRESS_ID] = "id",
    [CONFIG_CLIENT_ADDRESS_PROXY_V2] = "proxy-v2",
    NULL,
};
static const char *const authorization_choices[] = {
    [CONFIG_AUTHORIZATION_PASS] = "pass",
    [CONFIG_AUTHORIZATION_REFUSE] = "refuse",
    NULL,
};
static const char *const log_level_choices[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
    NULL,
};
static const char *const log_to_choices[] = { [LOG_TO_STDERR] = "stderr", [LOG_TO_SYSLOG] = "syslog", NULL };

#define FIELD(type, member) offsetof(struct type, member)
/* clang-format off */
static const struct option file_options[] = {
    { "workers",                 parse_count,        FIELD(config, workers),                 0, 1024 },
    { "keys_file",               parse_text,         FIELD(config, keys_file) },
    { "token_lifetime",          parse_time_s,       FIELD(config, token_lifetime_s),        SECOND_MS, 3650 * DAY_MS },
    { "epoch",                   parse_number,       FIELD(config, epoch),                   0, UINT64_MAX },
    { "log_level",               parse_choice,       FIELD(config, log_level),               .choices = log_level_choices },
    { "log_to",                  parse_choice,       FIELD(config, log_to),                  .choices = log_to_choices },
    { "user",                    parse_text,         FIELD(config, user) },
    { "group",                   parse_text,         FIELD(config, group) },
    { "max_clients",             parse_count,        FIELD(config, max_clients),             1, 1000000 },
    { "max_clients_per_address", parse_count,        FIELD(config, max_clients_per_address), 0, 1000000 },
    { "login_timeout",           parse_time_ms,      FIELD(config, login_timeout_ms),        SECOND_MS, HOUR_MS },
    { "idle_timeout",            parse_idle_timeout, FIELD(config, idle_timeout_ms),         AUTOLOGOUT_MS, 7 * DAY_MS },
    { "login_failure_delay",     parse_time_ms,      FIELD(config, login_failure_delay_ms),  0, MINUTE_MS },
    { "max_login_failures",      parse_count,        FIELD(config, max_login_failures),      1, 100 },
    { "shutdown_timeout",        parse_time_ms,      FIELD(config, shutdown_timeout_ms),     0, HOUR_MS },
    { "languages",               parse_language,     FIELD(config, languages),               .is_list = true },
    { CONFIG_END_MARK,           parse_end_mark,     0 },
    { NULL },
};
static const struct option park_options[] = {
    { "per_user",        parse_count,    FIELD(config, park.per_user),           0, 1000 },
    { "max",             parse_count,    FIELD(config, park.max),                1, 1000000 },
    { "time",            parse_time_ms,  FIELD(config, park.time_ms),            100, 7 * DAY_MS },
    { "lifetime",        parse_time_ms,  FIELD(config, park.lifetime_ms),        100, 7 * DAY_MS },
    { "reauth_interval", parse_time_ms,  FIELD(config, park.reauth_interval_ms), 100, DAY_MS },
    { "keepalive",       parse_time_ms,  FIELD(config, park.keepalive_ms),       100, AUTOLOGOUT_MS - MINUTE_MS },
    { "one_password",    parse_bool,     FIELD(config, park.one_password) },
    { CONFIG_END_MARK,   parse_end_mark, 0 },
    { NULL },
};
static const struct option listener_options[] = {
    { "address",          parse_address,       0, .is_list = true },
    { "tls",              parse_choice,        FIELD(config_listener, tls), .choices = tls_choices },
    { "tls_cert_file",    parse_text,          FIELD(config_listener, tls_cert_file) },
    { "tls_key_file",     parse_text,          FIELD(config_listener, tls_key_file) },
    { "require_tls",      parse_require_tls,   0 },
    { "accept_proxy",     parse_bool,          FIELD(config_listener, accept_proxy) },
    { "trusted_networks", parse_network,       0, .is_list = true },
    { "unix_mode",        parse_mode,          FIELD(config_listener, unix_mode), 0, 0777 },
    { "upstream",         parse_upstream_name, 0 },
    { "auth_mechanisms",  parse_mechanism,     FIELD(config_listener, auth_mechanisms), .is_list = true },
    { "imapproxy_compat", parse_bool,          FIELD(config_listener, imapproxy_compat) },
    { "compress",         parse_bool,          FIELD(config_listener, compress) },
    { CONFIG_END_MARK,    parse_end_mark,      0 },
    { NULL },
};
static const struct option upstream_options[] = {
    { "address",                parse_upstream_address, 0 },
    { "tls",                    parse_choice,           FIELD(config_upstream, tls), .choices = tls_choices },
    { "tls_verify",             parse_bool,             FIELD(config_upstream, tls_verify) },
    { "tls_ca_file",            parse_text,             FIELD(config_upstream, tls_ca_file) },
    { "tls_name",               parse_text,             FIELD(config_upstream, tls_name) },
    { "connect_timeout",        parse_time_ms,          FIELD(config_upstream, connect_timeout_ms), 100, 5 * MINUTE_MS },
    { "answer_timeout",         parse_time_ms,          FIELD(config_upstream, answer_timeout_ms),  100, HOUR_MS },
    { "send_client_address",    parse_choice,           FIELD(config_upstream, send_client_address), .choices = client_address_choices },
    { "authorization_identity", parse_choice,           FIELD(config_upstream, authorization_identity), .choices = authorization_choices },
    { CONFIG_END_MARK,          parse_end_mark,         0 },
    { NULL },
};
/* clang-format on */
static const struct option *const scope_options[SCOPE_MAX] = {
    [SCOPE_FILE] = file_options,
    [SCOPE_PARK] = park_options,
    [SCOPE_LISTENER] = listener_options,
    [SCOPE_UPSTREAM] = upstream_options,
};
#define OPTIONS_MAX 20 /* in a scope; fewer than the bits of reading.given */
_Static_assert(ARRAY_LEN(file_options) <= OPTIONS_MAX && OPTIONS_MAX <= 64, "OPTIONS_MAX");

/* --- sections --- */

static bool reading_add_park(struct reading *reading)
{
    if (reading->park_line != 0)
        reading_error(reading, "park is given more than once: first in line %u", reading->park_line);
    reading->park_line = reading->line;
    return true;
}

static bool reading_add_listener(struct reading *reading)
{
    struct config *config = reading->config;
    size_t count = config->listener_count + 1;
    struct config_listener *more = reallocarray(config->listeners, count, sizeof(*more));
    if (more == NULL)
        return false;
    config->listeners = more;
    struct listener_notes *notes = reallocarray(reading->notes, count, sizeof(*notes));
    if (notes == NULL)
        return false;
    reading->notes = notes;
    notes[count - 1] = (struct listener_notes){ .upstream_name = NULL };
    config->listeners[count - 1] = (struct config_listener){
        .name = strdup(cfg_title(reading->section)),
        .line = reading->line,
        .tls = CONFIG_TLS_IMPLICIT,
        .tls_cert_file = strdup(""),
        .tls_key_file = strdup(""),
        .require_tls = true,
        .unix_mode = 0600,
    };
    config->listener_count = count;
    const struct config_listener *listener = &config->listeners[count - 1];
    return listener->name != NULL && listener->tls_cert_file != NULL && listener->tls_key_file != NULL;
}

static bool reading_add_upstream(struct reading *reading)
{
    struct config *config = reading->config;
    size_t count = config->upstream_count + 1;
    struct config_upstream *more = reallocarray(config->upstreams, count, sizeof(*more));
    if (more == NULL)
        return false;
    config->upstreams = more;
    config->upstreams[count - 1] = (struct config_upstream){
        .name = strdup(cfg_title(reading->section)),
        .line = reading->line,
        .host = strdup(""),
        .port = strdup(""),
        .tls = CONFIG_TLS_IMPLICIT,
        .tls_verify = true,
        .tls_ca_file = strdup(""),
        .tls_name = strdup(""),
        .connect_timeout_ms = 10 * SECOND_MS,
        .answer_timeout_ms = MINUTE_MS,
    };
    config->upstream_count = count;
    const struct config_upstream *upstream = &config->upstreams[count - 1];
    return upstream->name != NULL && upstream->host != NULL && upstream->port != NULL &&
           upstream->tls_ca_file != NULL && upstream->tls_name != NULL;
}

static enum scope scope_of(const cfg_t *section)
{
    enum scope scope = SCOPE_FILE;
    while (scope < SCOPE_MAX - 1 && strcmp(section->name, scope_names[scope]) != 0)
        scope++;
    return scope;
}

/* A name stands in logs, and an upstream's is sealed into tokens. */
static bool is_section_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= CONFIG_NAME_MAX && name[0] != '-' && name[0] != '.' && is_host_name(name);
}

static bool (*const scope_adds[SCOPE_MAX])(struct reading *reading) = {
    [SCOPE_PARK] = reading_add_park,
    [SCOPE_LISTENER] = reading_add_listener,
    [SCOPE_UPSTREAM] = reading_add_upstream,
};

/* libconfuse does not say when a section begins. The first option in it does, or else its end. */
static bool reading_enter(struct reading *reading, cfg_t *section)
{
    if (reading->section == section)
        return true;
    if (section == reading->root) {
        reading->section = section;
        return true;
    }
    reading->section = section;
    reading->given = 0;
    unsigned line = reading->line;
    reading->line = (unsigned)reading->root->line; /* stays at the section's first line until its end */
    enum scope scope = scope_of(section);
    if (scope != SCOPE_PARK && !is_section_name(cfg_title(section)))
        reading_error(reading, "%s \"%s\": a name is made of up to %d letters, digits, \".\", \"-\" and \"_\"",
                      section->name, cfg_title(section), CONFIG_NAME_MAX);
    bool is_good = scope_adds[scope](reading);
    reading->line = line;
    return is_good || reading_no_memory(reading);
}

/* Into which struct the options of the section go. */
static void *reading_target(struct reading *reading, enum scope scope)
{
    struct config *config = reading->config;
    if (scope == SCOPE_LISTENER)
        return &config->listeners[config->listener_count - 1];
    if (scope == SCOPE_UPSTREAM)
        return &config->upstreams[config->upstream_count - 1];
    return config;
}

/* A list's second value finds one there already; a repeated option finds none, as "=" has emptied it. */
static bool reading_note_given(struct reading *reading, const struct option *option, size_t row, const cfg_opt_t *opt)
{
    uint64_t *given = reading->section == reading->root ? &reading->given_in_file : &reading->given;
    bool is_repeated = (*given >> row & 1) != 0 && !(option->is_list && opt->nvalues > 1);
    *given |= UINT64_C(1) << row;
    return !is_repeated || reading_error(reading, "%s is given more than once", option->name);
}

/* libconfuse's hook for each value, in the order of the file. An error in a value lets the reading go on, so that all
 * of them are reported at once. */
static int reading_take_value(cfg_t *section, cfg_opt_t *opt, const char *value, void *ret_value)
{
    struct reading *reading = reading_now;
    const char **kept = ret_value;
    *kept = value;
    reading->line = (unsigned)section->line;
    if (!reading_enter(reading, section))
        return 1;
    enum scope scope = scope_of(section);
    const struct option *options = scope_options[scope];
    for (size_t row = 0; options[row].name != NULL; row++) {
        if (strcmp(options[row].name, opt->name) != 0)
            continue;
        char *target = reading_target(reading, scope);
        if (reading_note_given(reading, &options[row], row, opt))
            options[row].parse(reading, &options[row], value, target + options[row].offset);
        return 0;
    }
    /* "listener|address" is libconfuse's way to name an option of a section from outside. */
    reading_error(reading, "%s does not belong here", opt->name);
    return 0;
}

/* "address = {}" empties what an earlier "address" had set, unseen by the hook. */
static void reading_check_lists(struct reading *reading, cfg_t *section, const struct config_listener *listener)
{
    if (cfg_size(section, "address") < listener->address_count)
        reading_error(reading, "address is given more than once");
    if (cfg_size(section, "trusted_networks") < listener->trusted_network_count)
        reading_error(reading, "trusted_networks is given more than once");
    if (cfg_size(section, "auth_mechanisms") < (unsigned)__builtin_popcount(listener->auth_mechanisms))
        reading_error(reading, "auth_mechanisms is given more than once");
}

static void listener_check(struct reading *reading, struct config_listener *listener,
                           const struct listener_notes *notes)
{
    if (listener->tls != CONFIG_TLS_NONE) {
        if (listener->tls_cert_file[0] == '\0')
            reading_error(reading, "listener \"%s\": tls = %s needs tls_cert_file", listener->name,
                          tls_choices[listener->tls]);
        if (listener->tls_key_file[0] == '\0')
            reading_error(reading, "listener \"%s\": tls = %s needs tls_key_file", listener->name,
                          tls_choices[listener->tls]);
    } else if (notes->require_tls_given && listener->require_tls) {
        reading_error(reading, "listener \"%s\": with tls = none and require_tls = true nobody could log in",
                      listener->name);
    } else {
        listener->require_tls = false;
    }
    if (listener->accept_proxy && listener->trusted_network_count == 0)
        reading_error(reading,
                      "listener \"%s\": accept_proxy needs trusted_networks, else everybody could claim any address",
                      listener->name);
    if (!listener->accept_proxy && listener->trusted_network_count > 0)
        reading_warning(reading, "listener \"%s\": trusted_networks has no effect without accept_proxy",
                        listener->name);
}

static bool address_is_local(const struct config_address *address)
{
    switch (address->sockaddr.any.sa_family) {
    case AF_INET:
        return ntohl(address->sockaddr.in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&address->sockaddr.in6.sin6_addr);
    default:
        return true;
    }
}

static void listener_warn_if_clear(struct reading *reading, const struct config_listener *listener)
{
    if (listener->tls == CONFIG_TLS_IMPLICIT || listener->require_tls)
        return;
    for (size_t i = 0; i < listener->address_count; i++)
        if (!address_is_local(&listener->addresses[i]))
            reading_warning(reading, "listener \"%s\": passwords and tokens may arrive in clear on %s", listener->name,
                            listener->addresses[i].text);
}

static void listener_end(struct reading *reading, cfg_t *section)
{
    struct config *config = reading->config;
    struct config_listener *listener = &config->listeners[config->listener_count - 1];
    const struct option *options = listener_options;
    if (!(reading->given & 1) || cfg_size(section, options[0].name) == 0)
        reading_error(reading, "listener \"%s\" has no address", listener->name);
    reading_check_lists(reading, section, listener);
    listener_check(reading, listener, &reading->notes[config->listener_count - 1]);
    listener_warn_if_clear(reading, listener);
    if (listener->auth_mechanisms == 0)
        listener->auth_mechanisms = SASL_BITS;
}

static void park_warn(struct reading *reading)
{
    const struct config_park *park = &reading->config->park;
    if (park->time_ms > park->lifetime_ms)
        reading_warning(reading, "park: time is longer than lifetime, at which a connection ends anyway");
    if (park->per_user > park->max)
        reading_warning(reading, "park: per_user is more than max, which is for all users together");
}

static void upstream_warn(struct reading *reading, const struct config_upstream *upstream)
{
    if (upstream->tls != CONFIG_TLS_NONE && !upstream->tls_verify)
        reading_warning(reading,
                        "upstream \"%s\": tls_verify is off: whoever can answer in its place reads all passwords",
                        upstream->name);
    bool is_local = upstream->is_unix || strcmp(upstream->host, "localhost") == 0 ||
                    strncmp(upstream->host, "127.", 4) == 0 || strcmp(upstream->host, "::1") == 0;
    if (upstream->tls == CONFIG_TLS_NONE && !is_local)
        reading_warning(reading, "upstream \"%s\": passwords and mail go to %s in clear", upstream->name,
                        upstream->host);
}

static void upstream_end(struct reading *reading)
{
    struct config *config = reading->config;
    struct config_upstream *upstream = &config->upstreams[config->upstream_count - 1];
    const struct option *address = &upstream_options[0];
    if (!(reading->given & 1)) {
        reading_error(reading, "upstream \"%s\" has no address", upstream->name);
        return;
    }
    if (upstream->host[0] == '\0')
        return; /* reported by parse_upstream_address() */
    if (!upstream->is_unix && upstream->port[0] == '\0')
        parse_text(reading, address, upstream->tls == CONFIG_TLS_IMPLICIT ? "993" : "143", &upstream->port);
    if (upstream->tls_name[0] == '\0' && upstream->is_unix && upstream->tls != CONFIG_TLS_NONE && upstream->tls_verify)
        reading_error(reading, "upstream \"%s\": TLS on a unix socket needs tls_name, the name in its certificate",
                      upstream->name);
    if (upstream->tls_name[0] == '\0' && !upstream->is_unix)
        parse_text(reading, address, upstream->host, &upstream->tls_name);
    upstream_warn(reading, upstream);
}

/* libconfuse's hook at a section's end. */
static int reading_end_section(cfg_t *root, cfg_opt_t *opt)
{
    struct reading *reading = reading_now;
    cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
    reading->line = (unsigned)section->line;
    if (!reading_enter(reading, section))
        return 1;
    struct config *config = reading->config;
    switch (scope_of(section)) {
    case SCOPE_PARK:
        reading->line = reading->park_line;
        park_warn(reading);
        break;
    case SCOPE_LISTENER:
        reading->line = config->listeners[config->listener_count - 1].line;
        listener_end(reading, section);
        break;
    default:
        reading->line = config->upstreams[config->upstream_count - 1].line;
        upstream_end(reading);
    }
    reading->section = reading->root;
    return 0;
}

/* --- the file as a whole --- */

static const struct config_upstream *config_find_upstream(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->upstream_count; i++)
        if (strcmp(config->upstreams[i].name, name) == 0)
            return &config->upstreams[i];
    return NULL;
}

static void listener_find_upstream(struct reading *reading, struct config_listener *listener, const char *name)
{
    const struct config *config = reading->config;
    reading->line = listener->line;
    if (name != NULL) {
        listener->upstream = config_find_upstream(config, name);
        if (listener->upstream == NULL)
            reading_error(reading, "listener \"%s\": there is no upstream \"%s\"", listener->name, name);
    } else if (config->upstream_count == 1) {
        listener->upstream = &config->upstreams[0];
    } else if (config->upstream_count > 1) {
        reading_error(reading, "listener \"%s\": there are several upstreams: say which by upstream = \"NAME\"",
                      listener->name);
    }
}

static void reading_check_whole(struct reading *reading)
{
    struct config *config = reading->config;
    reading->line = 0;
    if (cfg_size(reading->root, "languages") < reading->language_count)
        reading_error(reading, "languages is given more than once");
    else if (reading->language_count == 0)
        config->languages = languages_auto();
    if (config->listener_count == 0)
        reading_error(reading, "there is no listener section");
    if (config->upstream_count == 0)
        reading_error(reading, "there is no upstream section");
    for (size_t i = 0; i < config->listener_count; i++) {
        listener_find_upstream(reading, &config->listeners[i], reading->notes[i].upstream_name);
        if (config->listeners[i].imapproxy_compat && config->park.per_user == 0)
            reading_warning(reading, "listener \"%s\": imapproxy_compat has no effect while park's per_user is 0",
                            config->listeners[i].name);
    }
}

/* libconfuse's own complaints: syntax, unknown options. It stops at the first of them. */
__attribute__((format(printf, 2, 0))) static void reading_take_complaint(cfg_t *section, const char *format,
                                                                         va_list arguments)
{
    reading_now->line = (unsigned)section->line;
    reading_verror(reading_now, format, arguments);
}

/* What libconfuse would drop silently, replace from the environment, or read as a comment or not depending on what
 * stands around it. */
static const char *const only_quoted[] = { "*", "//", "${" };

static const char *find_only_quoted(const char *at)
{
    for (size_t i = 0; i < ARRAY_LEN(only_quoted); i++)
        if (strncmp(at, only_quoted[i], strlen(only_quoted[i])) == 0)
            return only_quoted[i];
    return at[0] == '+' && at[1] != '=' ? "+" : NULL;
}

/* Blanks the rest of the line out and returns its last character. */
static char *blank_line(char *at)
{
    for (; at[1] != '\n' && at[1] != '\0'; at++)
        *at = ' ';
    *at = ' ';
    return at;
}

/* Blanks the comments out, as libconfuse 3.3 counts lines wrongly behind them, and refuses what it would not. */
static bool reading_strip(struct reading *reading, char *text)
{
    char quote = '\0'; /* that the current string will end with */
    reading->line = 1;
    for (char *at = text; *at != '\0'; at++) {
        const char *refused = NULL;
        if (*at == '\n')
            reading->line++;
        else if ((unsigned char)*at < 0x20 && *at != '\t' && *at != '\r')
            return reading_error(reading, "control character 0x%02x", (unsigned char)*at);
        else if (quote != '\0' && *at == '\\' && (at[1] == '\\' || at[1] == quote))
            at++;
        else if (quote != '\0')
            quote = *at == quote ? '\0' : quote;
        else if (*at == '"' || *at == '\'')
            quote = *at;
        else if (*at == '#')
            at = blank_line(at);
        else
            refused = find_only_quoted(at);
        if (quote == '"' && strncmp(at, "${", 2) == 0)
            return reading_error(reading,
                                 "\"${\": the environment is not looked at; in single quotes it stands for itself");
        if (refused != NULL)
            return reading_error(reading, "\"%s\" is only allowed in quotes (a comment begins with \"#\")", refused);
    }
    return true;
}

static void fill_opts(cfg_opt_t *opts, const struct option *options)
{
    size_t count = 0;
    for (; options[count].name != NULL; count++) {
        cfg_flag_t flags = CFGF_NODEFAULT | (options[count].is_list ? CFGF_LIST : CFGF_NONE);
        opts[count] = (cfg_opt_t)CFG_STR_CB(options[count].name, NULL, flags, reading_take_value);
    }
    opts[count] = (cfg_opt_t)CFG_END();
}

static cfg_t *reading_begin(void)
{
    cfg_opt_t opts[SCOPE_MAX][OPTIONS_MAX + SCOPE_MAX];
    size_t count = ARRAY_LEN(file_options) - 1;
    for (enum scope scope = SCOPE_FILE; scope < SCOPE_MAX; scope++)
        fill_opts(opts[scope], scope_options[scope]);
    for (enum scope scope = SCOPE_FILE + 1; scope < SCOPE_MAX; scope++) {
        /* Without CFGF_MULTI a second park would be joined with the first, unseen. */
        const cfg_flag_t title = scope == SCOPE_PARK ? CFGF_NONE : CFGF_TITLE | CFGF_NO_TITLE_DUPES;
        cfg_opt_t section = CFG_SEC(scope_names[scope], opts[scope], CFGF_MULTI | title);
        section.validcb = reading_end_section;
        opts[SCOPE_FILE][count++] = section;
    }
    opts[SCOPE_FILE][count] = (cfg_opt_t)CFG_END();
    return cfg_init(opts[SCOPE_FILE], CFGF_NONE); /* copies opts */
}

static void reading_run(struct reading *reading, const char *text)
{
    char *marked = NULL;
    if (asprintf(&marked, "%s\n%s = 1", text, CONFIG_END_MARK) < 0) {
        reading_no_memory(reading);
        return;
    }
    if (!reading_strip(reading, marked)) {
        free(marked);
        return;
    }
    reading->line = 0;
    reading->root = reading->section = reading_begin();
    cfg_set_error_function(reading->root, reading_take_complaint);
    int result = reading->root != NULL ? cfg_parse_buf(reading->root, marked) : CFG_PARSE_ERROR;
    if (result == CFG_SUCCESS && !reading->is_whole)
        reading_error(reading, "a section is not closed: \"}\" is missing at the end of the file");
    else if (result == CFG_SUCCESS)
        reading_check_whole(reading);
    else if (reading->error_count == 0)
        reading_no_memory(reading);
    free(marked);
    cfg_free(reading->root);
}

static struct config *config_new(const char *path)
{
    struct config *config = calloc(1, sizeof(*config));
    if (config == NULL)
        return NULL;
    *config = (struct config){
        .path = strdup(path),
        .keys_file = strdup(""),
        .token_lifetime_s = 14 * DAY_MS / SECOND_MS,
        .log_level = LOG_LEVEL_INFO,
        .log_to = LOG_TO_STDERR,
        .user = strdup(""),
        .group = strdup(""),
        .max_clients = 20000,
        .login_timeout_ms = 3 * MINUTE_MS,
        /* Above the 30 minutes that servers use, so that the upstream's own autologout comes first. */
        .idle_timeout_ms = 35 * MINUTE_MS,
        .login_failure_delay_ms = 2 * SECOND_MS,
        .max_login_failures = 3,
        .shutdown_timeout_ms = 5 * SECOND_MS,
        .park = {
            .per_user = 2,
            .max = 10000,
            .time_ms = 5 * MINUTE_MS,
            .lifetime_ms = HOUR_MS,
            .reauth_interval_ms = 10 * MINUTE_MS,
            .keepalive_ms = 10 * MINUTE_MS,
        },
        .references = 1,
    };
    if (config->path != NULL && config->keys_file != NULL && config->user != NULL && config->group != NULL)
        return config;
    config_unref(config);
    return NULL;
}

struct config *config_parse(const char *path, const char *text, FILE *errors)
{
    struct reading reading = { .config = config_new(path), .path = path, .errors = errors };
    if (reading.config == NULL) {
        reading_no_memory(&reading);
        return NULL;
    }
    reading_now = &reading;
    reading_run(&reading, text);
    reading_now = NULL;
    for (size_t i = 0; i < reading.config->listener_count; i++)
        free(reading.notes[i].upstream_name);
    free(reading.notes);
    if (reading.error_count == 0)
        return reading.config;
    config_unref(reading.config);
    return NULL;
}

/* The file's text, NUL-terminated; or NULL after a message. */
static char *read_text(const char *path, FILE *errors)
{
    FILE *file = fopen(path, "re");
    char *text = file != NULL ? malloc(CONFIG_OCTETS_MAX + 1) : NULL;
    size_t len = text != NULL ? fread(text, 1, CONFIG_OCTETS_MAX + 1, file) : 0;
    const char *wrong = NULL;
    if (text == NULL || ferror(file))
        wrong = strerror(errno);
    else if (len > CONFIG_OCTETS_MAX)
        wrong = "larger than 1 MiB";
    else if (memchr(text, '\0', len) != NULL)
        wrong = "not a text file: it holds a NUL";
    else
        text[len] = '\0';
    if (file != NULL)
        fclose(file);
    if (wrong == NULL)
        return text;
    fprintf(errors, "%s: %s\n", path, wrong);
    free(text);
    return NULL;
}

struct config *config_read(const char *path, FILE *errors)
{
    char *text = read_text(path, errors);
    if (text == NULL)
        return NULL;
    struct config *config = config_parse(path, text, errors);
    free(text);
    return config;
}

/* --- the config afterwards --- */

struct config *config_ref(struct config *config)
{
    __atomic_add_fetch(&config->references, 1, __ATOMIC_RELAXED);
    return config;
}

static void listener_done(struct config_listener *listener)
{
    for (size_t i = 0; i < listener->address_count; i++)
        free(listener->addresses[i].text);
    free(listener->addresses);
    free(listener->trusted_networks);
    free(listener->tls_cert_file);
    free(listener->tls_key_file);
    free(listener->name);
}

static void upstream_done(struct config_upstream *upstream)
{
    free(upstream->name);
    free(upstream->host);
    free(upstream->port);
    free(upstream->tls_ca_file);
    free(upstream->tls_name);
}

void config_unref(struct config *config)
{
    if (config == NULL || __atomic_sub_fetch(&config->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < config->listener_count; i++)
        listener_done(&config->listeners[i]);
    for (size_t i = 0; i < config->upstream_count; i++)
        upstream_done(&config->upstreams[i]);
    for (size_t i = 0; i < config->warning_count; i++)
        free(config->warnings[i]);
    free(config->listeners);
    free(config->upstreams);
    free(config->warnings);
    free(config->path);
    free(config->keys_file);
    free(config->user);
    free(config->group);
    free(config);
}

static bool network_holds(const struct config_network *network, int family, const uint8_t *address)
{
    if (network->family != family)
        return false;
    unsigned whole = network->prefix_bits / 8;
    unsigned rest = network->prefix_bits % 8;
    if (memcmp(network->address, address, whole) != 0)
        return false;
    return rest == 0 || (network->address[whole] ^ address[whole]) >> (8 - rest) == 0;
}

bool config_is_trusted(const struct config_listener *listener, const struct sockaddr *peer)
{
    static const uint8_t unix_peer[16];
    const uint8_t *address = unix_peer;
    int family = peer->sa_family;
    if (family == AF_INET) {
        address = (const uint8_t *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr;
    } else if (family == AF_INET6) {
        const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
        family = IN6_IS_ADDR_V4MAPPED(in6) ? AF_INET : AF_INET6;
        address = family == AF_INET ? &in6->s6_addr[12] : in6->s6_addr;
    } else if (family != AF_UNIX) {
        return false;
    }
    for (size_t i = 0; i < listener->trusted_network_count; i++)
        if (network_holds(&listener->trusted_networks[i], family, address))
            return true;
    return false;
}
