/* metrics: /metrics, for Prometheus. */
#ifndef HTTP_METRICS_H
#define HTTP_METRICS_H

struct http_request;

void metrics_page(struct http_request *request);

#endif
