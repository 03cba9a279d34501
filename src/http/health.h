/* health: /healthz: the main thread turns, and says so. /readyz: this gateway can serve clients now: its addresses are
 * open, it does not drain, and an upstream could be logged in to within the last seconds.
 *
 * How that is known: by the connections that sessions bring about. Where there was none for that long, the upstreams
 * are connected to for the question (upstreams_probe()), at most once in those seconds, however often it is asked, and
 * the answer waits for what comes of it. */
#ifndef HTTP_HEALTH_H
#define HTTP_HEALTH_H

struct http_request;

/* For so long what was seen is taken for true. */
#define HEALTH_FRESH_MS 10000u

void health_page(struct http_request *request);
void readiness_page(struct http_request *request);

#endif
