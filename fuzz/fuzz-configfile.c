/* A configuration is refused with a message or is whole: nothing that the daemon relies on is missing, and what it
 * prints is read as the same. The input is several files, each ended by a NUL, which may include one another:
 * "fuzz.conf", "1", "2" ... */
#include "fuzz.h"

#include "configfile.h"
#include "disk.h"
#include "effective.h"
#include "sasl.h"

#include <string.h>

static void check_messages(const char *messages)
{
    CHECK(messages[0] != '\0');
    for (const char *line = messages; *line != '\0'; line = strchr(line, '\n') + 1) {
        CHECK(strncmp(line, "fuzz.conf:", 10) == 0 || (line[0] >= '1' && line[0] <= '9' && line[1] == ':'));
        CHECK(strchr(line, '\n') != NULL);
    }
}

static void check_networks(const struct networks *networks)
{
    for (size_t i = 0; i < networks->count; i++)
        CHECK(networks_hold(networks, &networks->at[i].address));
}

static void check_policy(const struct tlspolicy *policy)
{
    CHECK(policy->min_version < TLS_VERSION_COUNT);
    CHECK(policy->ciphers[0] != '\0' && policy->ciphersuites[0] != '\0' && policy->groups[0] != '\0');
}

static void check_listener(const struct config_listener *listener)
{
    CHECK(listener->name[0] != '\0' && listener->address_count > 0);
    CHECK(listener->tls == CONFIG_TLS_NONE ||
          (listener->tls_cert_files.count > 0 && listener->tls_key_files.count == listener->tls_cert_files.count));
    CHECK((listener->tls_client_certificate != CONFIG_CLIENT_CERTIFICATE_NONE) ==
          (*listener->tls_client_ca_file != '\0'));
    check_policy(&listener->tls_policy);
    CHECK(listener->tls != CONFIG_TLS_NONE || !listener->require_tls);
    CHECK(!listener->accept_proxy || listener->trusted_networks.count > 0);
    CHECK((listener->auth_mechanisms & ~SASL_BITS) == 0 && config_mechanisms(listener) != 0);
    for (size_t i = 0; i < listener->address_count; i++)
        CHECK(listener->addresses[i].endpoint.len > 0 && listener->addresses[i].text[0] != '\0');
    check_networks(&listener->trusted_networks);
    check_networks(&listener->id_trusted_networks);
}

static void check_park(const struct config_park *park)
{
    CHECK(park->max > 0 && park->time_ms > 0 && park->lifetime_ms > 0 && park->reauth_interval_ms > 0);
    CHECK(park->keepalive_ms > 0 && park->keepalive_ms < 30 * 60 * 1000);
}

static void check_member(const struct config_upstream *upstream, const struct config_member *member)
{
    CHECK(member->host[0] != '\0' && (member->port[0] == '\0') == member->is_unix && member->text[0] != '\0');
    CHECK(upstream->tls == CONFIG_TLS_NONE || !upstream->tls_verify || member->tls_name[0] != '\0');
}

static void check_config(const struct config *config)
{
    CHECK(config->listener_count > 0 && config->upstream_count > 0 && config->references == 1);
    CHECK(config->languages.offered == 0 || config->languages.offered & LANGUAGE_BIT(LANGUAGE_DEFAULT));
    CHECK(config->token_lifetime_s > 0 && config->max_clients > 0 && config->idle_timeout_ms >= 30 * 60 * 1000);
    check_park(&config->park);
    for (size_t i = 0; i < config->listener_count; i++)
        CHECK(config->listeners[i].upstream || config_has_routes(config));
    for (size_t i = 0; i < config->route_count; i++)
        CHECK(config->routes[i].upstream);
    CHECK(!config->route_http.is_on || (config->route_http.upstream && config->route_http.endpoint.len > 0));
    for (size_t i = 0; i < config->listener_count; i++)
        check_listener(&config->listeners[i]);
    for (size_t i = 0; i < config->upstream_count; i++) {
        const struct config_upstream *upstream = &config->upstreams[i];
        CHECK(upstream->member_count > 0);
        for (size_t j = 0; j < upstream->member_count; j++)
            check_member(upstream, &upstream->members[j]);
    }
}

/* Reads fuzz.conf; the caller frees what is returned. */
static struct config *read_config(const struct disk_file *files, char **ret_messages)
{
    struct disk disk = disk_of(files);
    size_t len = 0;
    FILE *errors = open_memstream(ret_messages, &len);
    CHECK(errors != NULL);
    struct config *config = configfile_read_from(&disk.disk, "fuzz.conf", errors);
    fclose(errors);
    return config;
}

/* The effective configuration without its comments, which say where something was given. */
static char *print_config(const struct config *config)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    CHECK(out != NULL);
    effective_print(config, out);
    fclose(out);
    struct source source = { 0 };
    const struct disk_file file[] = { { "fuzz.conf", text }, { NULL } };
    struct disk disk = disk_of(file);
    CHECK(source_read(&source, &disk.disk, "fuzz.conf", stderr));
    free(text);
    text = strdup((const char *)source.text.at);
    source_done(&source);
    return text;
}

static void check_printed(const struct config *config)
{
    char *messages, *printed = print_config(config);
    char *own = strstr(printed, "\001end");
    CHECK(own != NULL);
    *own = '\0'; /* the source's mark */
    const struct disk_file file[] = { { "fuzz.conf", printed }, { NULL } };
    struct config *again = read_config(file, &messages);
    if (again == NULL)
        fprintf(stderr, "%s%s", printed, messages);
    CHECK(again != NULL);
    char *printed_again = print_config(again);
    CHECK(strncmp(printed, printed_again, strlen(printed)) == 0);
    config_unref(again);
    free(messages);
    free(printed_again);
    free(printed);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const char *const names[] = { "fuzz.conf", "1", "2", "3", "4", "5", "6", "7", "8", "9" };
    enum { FILES_MAX = sizeof names / sizeof names[0] };
    struct disk_file files[FILES_MAX + 1] = { { NULL } };
    char *text = calloc(1, len + 1), *messages;
    CHECK(text != NULL);
    if (len > 0)
        memcpy(text, at, len);
    size_t count = 0;
    for (const char *file = text; count < FILES_MAX && file <= text + len; file += strlen(file) + 1)
        files[count] = (struct disk_file){ names[count], file }, count++;
    struct config *config = read_config(files, &messages);
    if (config == NULL)
        check_messages(messages);
    else {
        check_config(config);
        check_printed(config);
    }
    config_unref(config);
    free(messages);
    free(text);
    return 0;
}
