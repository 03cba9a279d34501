/* routeanswer: what is said to whoever knows where a user's mail is, and what is answered: HTTP, with the headers of
 * nginx's auth_http, but without any password. No I/O.
 *
 * Asked is by HTTP/1.0, so that the answer ends with the connection; of the answer only the status and the headers
 * count. */
#ifndef UPSTREAM_ROUTEANSWER_H
#define UPSTREAM_ROUTEANSWER_H

#include <imapstate/span.h>
#include <stdbool.h>

struct address;
struct config_route_http;

/* Octets of an answer's status and headers, of a user's name in either, and of a request. */
#define ROUTEANSWER_MAX         16384u
#define ROUTEANSWER_USER_MAX    1023u
#define ROUTEANSWER_REQUEST_MAX 8192u
#define ROUTEANSWER_SERVER_MAX  272u

/* Appends the request. Of the user's name, controls, spaces, "%" and what is not ASCII are written %HH: nginx writes
 * the same, but leaves what is not ASCII. False: the name is too long, or memory is out. */
bool routeanswer_write_request(const struct config_route_http *http, struct imapstate_span user,
                               const struct address *client, struct imapstate_buf *ret_request);

enum routeanswer_result {
    ROUTEANSWER_MORE,    /* the headers are not complete */
    ROUTEANSWER_OK,      /* the user is there */
    ROUTEANSWER_REFUSED, /* Auth-Status is something else: no such user */
    ROUTEANSWER_LATER,   /* Auth-Status: WAIT */
    ROUTEANSWER_WRONG,   /* that is no answer; why is in ret_answer */
};

struct routeanswer {
    char server[ROUTEANSWER_SERVER_MAX]; /* OK: "ADDRESS:PORT" */
    char user[ROUTEANSWER_USER_MAX + 1]; /* OK: what the user is called there */
    size_t user_len;                     /* 0: as here */
    const char *why;                     /* static; WRONG */
};

/* in: all that has come. is_at_end: and no more follows. */
enum routeanswer_result routeanswer_read(struct imapstate_span in, bool is_at_end, struct routeanswer *ret_answer);

#endif
