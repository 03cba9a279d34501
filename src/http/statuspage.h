/* statuspage: for people who would rather look: one page that holds all that it needs, and the JSON that it asks for
 * while it is open. */
#ifndef HTTP_STATUSPAGE_H
#define HTTP_STATUSPAGE_H

struct http_request;

/* "/" */
void statuspage_page(struct http_request *request);

/* "/status.json" */
void statuspage_status(struct http_request *request);

#endif
