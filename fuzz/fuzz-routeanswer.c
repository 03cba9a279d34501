/* Properties: an answer that was read stays what it is, however much follows; cut anywhere it is not complete, or it is
 * the same; what is OK has a server that can be connected to, and a name without NUL; a request for any name has the
 * same number of lines. */
#include "fuzz.h"

#include "address.h"
#include "config.h"
#include "endpoint.h"
#include "routeanswer.h"

#include <stdlib.h>
#include <string.h>

static void check_ok(const struct routeanswer *answer)
{
    char text[ROUTEANSWER_SERVER_MAX];
    const char *host, *port;
    struct endpoint endpoint;
    uint16_t number;
    bool is_unix;
    CHECK(memchr(answer->server, '\0', sizeof answer->server));
    strcpy(text, answer->server);
    CHECK(!endpoint_split(text, &host, &port, &is_unix) && !is_unix && port);
    CHECK(endpoint_from_host(host, port, false, &endpoint, &number) && number > 0);
    CHECK(answer->user_len <= ROUTEANSWER_USER_MAX && strlen(answer->user) == answer->user_len);
}

static void check_request(struct imapstate_span user)
{
    char host[] = "::1", port[] = "80", path[] = "/";
    const struct config_route_http http = { .host = host, .port = port, .path = path };
    const struct address client = { .family = AF_UNIX };
    struct imapstate_buf request;
    size_t lines = 0;
    imapstate_buf_init(&request, ROUTEANSWER_REQUEST_MAX);
    CHECK(routeanswer_write_request(&http, user, &client, &request) == (user.len <= ROUTEANSWER_USER_MAX));
    for (size_t i = 0; i < request.len; i++) {
        CHECK(request.at[i] < 0x7f && (request.at[i] >= ' ' || request.at[i] == '\r' || request.at[i] == '\n'));
        lines += request.at[i] == '\n';
    }
    CHECK(user.len > ROUTEANSWER_USER_MAX || lines == 9);
    imapstate_buf_done(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct routeanswer whole, part;
    enum routeanswer_result result = routeanswer_read((struct imapstate_span){ at, len }, false, &whole);
    CHECK(result != ROUTEANSWER_WRONG || *whole.why);
    if (result == ROUTEANSWER_OK)
        check_ok(&whole);
    size_t cut = len > 0 ? at[len - 1] % len : 0;
    enum routeanswer_result before = routeanswer_read((struct imapstate_span){ at, cut }, false, &part);
    CHECK(before == ROUTEANSWER_MORE || before == result);
    CHECK(before != ROUTEANSWER_OK || memcmp(whole.server, part.server, sizeof whole.server) == 0);
    if (result == ROUTEANSWER_MORE)
        CHECK(routeanswer_read((struct imapstate_span){ at, len }, true, &part) == ROUTEANSWER_WRONG);
    check_request((struct imapstate_span){ at, len });
    return 0;
}
