#include "trust.h"

#include "client.h"
#include "credentials.h"
#include "park.h"
#include "proof.h"
#include "sasl.h"

bool trust_identify(const struct client *client, struct proof_identity *ret_identity)
{
    const struct credentials *credentials = client->credentials;
    const struct sasl_identity *identity = &credentials->identity;
    const struct config_upstream *upstream = client->home;
    struct imapstate_span user = sasl_identity_user(identity);
    bool is_bearer = credentials_passing(credentials) == SASL_RELAYED;
    bool has_addresses = upstream->send_client_address != CONFIG_CLIENT_ADDRESS_NONE;
    *ret_identity = (struct proof_identity){
        .upstream = imapstate_span_of(upstream->name),
        .site = imapstate_span_of(upstream->site),
        .user = user,
        /* XOAUTH2 and OAUTHBEARER say the same in different fields. */
        .authentication = is_bearer ? user : imapstate_buf_span(&identity->authentication),
        .secret = imapstate_buf_span(&identity->password),
        .is_bearer = is_bearer,
        .is_compat = client->listener->imapproxy_compat,
        .address = has_addresses ? &client->peer : NULL,
        .local = has_addresses ? &client->local : NULL,
    };
    return identity->is_certain && ret_identity->authentication.len > 0;
}

void trust_prove(struct client *client)
{
    struct proof_identity identity;
    struct upstream *upstream = client->upstream;
    if (!upstream->kept.proof && trust_identify(client, &identity))
        upstream->kept.proof = park_prove(&identity, client_now_ms(client));
}

void trust_refuse(struct client *client)
{
    struct proof_identity identity;
    if (trust_identify(client, &identity))
        park_refuse(&identity);
}

void trust_suspect(struct client *client)
{
    struct proof_identity identity;
    if (trust_identify(client, &identity))
        park_suspect(&identity);
}
