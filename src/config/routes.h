/* routes: where a user's mail is, by the configuration: the first of these that says something about the user counts.
 *
 *   the user's own line in route_map; the line of his domain there; the domain's route section; route_http, which is to
 *   be asked; route_default
 *
 * The domain of a user is what stands behind the last "@". Of domains, and of users in route_map, ASCII letters match
 * in either case. */
#ifndef CONFIG_ROUTES_H
#define CONFIG_ROUTES_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_listener;
struct config_route;
struct config_upstream;
struct service;

enum route_rule {
    ROUTE_LISTENER, /* the listener's upstream: nothing is asked */
    ROUTE_USER,
    ROUTE_DOMAIN,
    ROUTE_SECTION,
    ROUTE_HTTP,
    ROUTE_DEFAULT,
    ROUTE_NONE,
    ROUTE_RULE_COUNT,
};
extern const char *const route_rule_names[ROUTE_RULE_COUNT];

struct route {
    enum route_rule rule;
    const struct config_upstream *upstream; /* as long as the service; NULL with HTTP, where the answer says, and NONE;
                                             * else: out of memory, or the file names what this service does not have */
    const struct config_route *section;     /* SECTION: it; as long as the service */
    struct imapstate_buf user;              /* what the user is called there; the caller's, who ends it */
};

/* ret_route is written in any case. */
void routes_find(const struct service *service, struct imapstate_span user, struct route *ret_route);

/* Of a listener's client: if it names an upstream, nothing else counts. */
void routes_find_at(const struct service *service, const struct config_listener *listener, struct imapstate_span user,
                    struct route *ret_route);

/* The line of route_map that says where this user is, from 1; 0: none does. Reads the file up to there. */
size_t routes_map_line(const struct service *service, struct imapstate_span user);

/* What a user of this name, as a client gives it, is called there, by user_strip_domain and user_lowercase. Only ASCII
 * letters are lowered. False: out of memory. */
bool routes_name(const struct config_upstream *upstream, struct imapstate_span user, struct imapstate_buf *ret_name);

/* May users be called otherwise at this one? */
bool routes_rename_at(const struct config_upstream *upstream);

/* Those mechanisms by which the listener's clients can be led to their upstreams, a set of SASL_BIT(). Not where the
 * server speaks first, as nobody knows which one is to; nor where a user's name is part of what is proved, if it may
 * have to be changed, or if there are users whom no server would challenge. */
uint32_t routes_mechanisms(const struct service *service, const struct config_listener *listener);

/* Does each upstream that may be meant let users act for others? */
bool routes_pass_authorization(const struct service *service, const struct config_listener *listener);

#endif
