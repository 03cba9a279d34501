/* A configuration is refused with a message or is whole: nothing that the daemon relies on is missing. */
#include "fuzz.h"

#include "configfile.h"
#include "sasl.h"

#include <string.h>

static void check_messages(const char *messages)
{
    CHECK(messages[0] != '\0');
    for (const char *line = messages; *line != '\0'; line = strchr(line, '\n') + 1) {
        CHECK(strncmp(line, "fuzz.conf:", 10) == 0);
        CHECK(strchr(line, '\n') != NULL);
    }
}

static void check_networks(const struct networks *networks)
{
    for (size_t i = 0; i < networks->count; i++)
        CHECK(networks_hold(networks, &networks->at[i].address));
}

static void check_listener(const struct config_listener *listener)
{
    CHECK(listener->name[0] != '\0' && listener->upstream != NULL && listener->address_count > 0);
    CHECK(listener->tls == CONFIG_TLS_NONE ||
          (listener->tls_cert_file[0] != '\0' && listener->tls_key_file[0] != '\0'));
    CHECK(listener->tls != CONFIG_TLS_NONE || !listener->require_tls);
    CHECK(!listener->accept_proxy || listener->trusted_networks.count > 0);
    CHECK(listener->auth_mechanisms != 0 && (listener->auth_mechanisms & ~SASL_BITS) == 0);
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

static void check_config(const struct config *config)
{
    CHECK(config->listener_count > 0 && config->upstream_count > 0 && config->references == 1);
    CHECK(config->languages.offered == 0 || config->languages.offered & LANGUAGE_BIT(LANGUAGE_DEFAULT));
    CHECK(config->token_lifetime_s > 0 && config->max_clients > 0 && config->idle_timeout_ms >= 30 * 60 * 1000);
    check_park(&config->park);
    for (size_t i = 0; i < config->listener_count; i++)
        check_listener(&config->listeners[i]);
    for (size_t i = 0; i < config->upstream_count; i++) {
        const struct config_upstream *upstream = &config->upstreams[i];
        CHECK(upstream->host[0] != '\0' && (upstream->port[0] == '\0') == upstream->is_unix);
        CHECK(upstream->tls == CONFIG_TLS_NONE || !upstream->tls_verify || upstream->tls_name[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    char *text = calloc(1, len + 1);
    char *messages = NULL;
    size_t messages_len = 0;
    FILE *errors = open_memstream(&messages, &messages_len);
    CHECK(text != NULL && errors != NULL);
    if (len > 0)
        memcpy(text, at, len);
    struct config *config = configfile_parse("fuzz.conf", text, errors);
    fclose(errors);
    if (config == NULL)
        check_messages(messages);
    else
        check_config(config);
    config_unref(config);
    free(messages);
    free(text);
    return 0;
}
