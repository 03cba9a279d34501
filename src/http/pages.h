/* pages: which path is answered by whom. A page is a row of the table in pages.c. */
#ifndef HTTP_PAGES_H
#define HTTP_PAGES_H

struct http_request;

/* Answers it, now or later. */
typedef void http_page(struct http_request *request);

/* path: as it was asked for, without the query. NULL: there is nothing. */
http_page *pages_find(const char *path);

#endif
