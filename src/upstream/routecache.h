/* routecache: answers of route_http, for as long as they are good: who is where. Only that somebody is there is kept:
 * who has just been added is not refused for minutes. Kept by all that the answer may depend on: the URL, the user and
 * the client's address. Shared by all workers. */
#ifndef UPSTREAM_ROUTECACHE_H
#define UPSTREAM_ROUTECACHE_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

struct address;
struct config_route_http;
struct routeanswer;

/* Answers that are kept; the oldest give way. One takes some 150 octets and its user's name. */
#define ROUTECACHE_MAX 65536u

bool routecache_find(const struct config_route_http *http, struct imapstate_span user, const struct address *client,
                     uint64_t now_ms, struct routeanswer *ret_answer);

/* What was answered now is good for http's time. */
void routecache_put(const struct config_route_http *http, struct imapstate_span user, const struct address *client,
                    uint64_t now_ms, const struct routeanswer *answer);

/* Forgets all of them: at a reload, and at the end. */
void routecache_forget(void);

#endif
