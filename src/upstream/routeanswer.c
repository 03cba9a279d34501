#include "routeanswer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "address.h"
#include "config.h"
#include "octet.h"
#include "words.h"

/* --- the request --- */

static bool request_put_escaped(struct imapstate_buf *request, struct imapstate_span text)
{
    bool fits = true;
    for (size_t i = 0; i < text.len && fits; i++) {
        bool is_plain = text.at[i] > ' ' && text.at[i] < 0x7f && text.at[i] != '%';
        fits = is_plain ? imapstate_buf_put_byte(request, text.at[i])
                        : imapstate_buf_printf(request, "%%%02X", text.at[i]);
    }
    return fits;
}

bool routeanswer_write_request(const struct config_route_http *http, struct imapstate_span user,
                               const struct address *client, struct imapstate_buf *ret_request)
{
    char text[ADDRESS_TEXT_MAX];
    bool is_v6 = strchr(http->host, ':');
    return user.len <= ROUTEANSWER_USER_MAX &&
           imapstate_buf_printf(ret_request,
                                "GET %s HTTP/1.0\r\nHost: %s%s%s:%s\r\nAuth-Method: plain\r\nAuth-Protocol: imap\r\n"
                                "Auth-User: ",
                                http->path, is_v6 ? "[" : "", http->host, is_v6 ? "]" : "", http->port) &&
           request_put_escaped(ret_request, user) &&
           imapstate_buf_printf(ret_request, "\r\nClient-IP: %s\r\nUser-Agent: imapstate\r\nConnection: close\r\n\r\n",
                                address_text(client, text));
}

/* --- the answer --- */

/* Those that count. */
struct headers {
    struct imapstate_span status, server, port, user;
};

static struct imapstate_span span_trim(struct imapstate_span span)
{
    span = words_behind_blanks(span);
    while (span.len > 0 && words_is_blank(span.at[span.len - 1]))
        span.len--;
    return span;
}

/* Takes a line off, without its end. False: there is no whole one. */
static bool answer_take_line(struct imapstate_span *in, struct imapstate_span *ret_line)
{
    const uint8_t *lf = in->len > 0 ? memchr(in->at, '\n', in->len) : NULL;
    if (!lf)
        return false;
    size_t len = (size_t)(lf - in->at);
    *ret_line = (struct imapstate_span){ in->at, len > 0 && in->at[len - 1] == '\r' ? len - 1 : len };
    *in = (struct imapstate_span){ lf + 1, in->len - len - 1 };
    return true;
}

/* NULL, or what is wrong. */
static const char *headers_take(struct headers *headers, struct imapstate_span line)
{
    const struct {
        const char *name;
        struct imapstate_span *field;
    } known[] = { { "Auth-Status", &headers->status },
                  { "Auth-Server", &headers->server },
                  { "Auth-Port", &headers->port },
                  { "Auth-User", &headers->user } };
    const uint8_t *colon = memchr(line.at, ':', line.len);
    if (!colon || words_is_blank(*line.at)) /* RFC 9112 section 5.2: nobody may fold a line any more */
        return "a line of its headers is none";
    struct imapstate_span name = { line.at, (size_t)(colon - line.at) };
    struct imapstate_span value = { colon + 1, line.len - name.len - 1 };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!imapstate_span_equal_nocase(name, imapstate_span_of(known[i].name)))
            continue;
        if (known[i].field->at)
            return "a header is there twice";
        *known[i].field = span_trim(value);
    }
    return NULL;
}

/* NULL, or what is wrong. RFC 9112 section 4: HTTP-version SP 3DIGIT. */
static const char *answer_check_status(struct imapstate_span line)
{
    struct imapstate_span version = words_at(line, 0), code = words_at(line, 1);
    const struct imapstate_span http = IMAPSTATE_SPAN("HTTP/1.");
    if (version.len != http.len + 1 || memcmp(version.at, http.at, http.len) != 0 || code.len != 3)
        return "it is not HTTP";
    return *code.at == '2' ? NULL : "its status is not 200";
}

static bool port_read(struct imapstate_span digits, unsigned *ret_port)
{
    unsigned port = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9' || (port = port * 10 + (digits.at[i] - '0')) > UINT16_MAX)
            return false;
    }
    *ret_port = port;
    return port > 0;
}

/* nginx takes nothing but IP addresses, too: whoever answers knows them, and a name would have to be asked for. */
static bool server_read(const struct headers *headers, char ret_server[ROUTEANSWER_SERVER_MAX])
{
    char host[INET6_ADDRSTRLEN];
    struct in6_addr address;
    unsigned port;
    if (headers->server.len == 0 || headers->server.len >= sizeof host || !port_read(headers->port, &port))
        return false;
    memcpy(host, headers->server.at, headers->server.len);
    host[headers->server.len] = '\0';
    bool is_v6 = inet_pton(AF_INET6, host, &address) == 1;
    if (strlen(host) != headers->server.len || (!is_v6 && inet_pton(AF_INET, host, &address) != 1))
        return false;
    snprintf(ret_server, ROUTEANSWER_SERVER_MAX, is_v6 ? "[%s]:%u" : "%s:%u", host, port);
    return true;
}

static int hex_digit(uint8_t octet)
{
    uint8_t lower = octet_lower(octet);
    return lower >= '0' && lower <= '9' ? lower - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* nginx takes it as it is; where %HH stands it is what it says, as it is in the request. */
static bool user_read(struct imapstate_span written, struct routeanswer *answer)
{
    size_t len = 0;
    for (size_t i = 0; i < written.len; i++) {
        uint8_t octet = written.at[i];
        if (octet == '%') {
            int high = i + 2 < written.len ? hex_digit(written.at[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(written.at[i + 2]) : -1;
            if (low < 0)
                return false;
            octet = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (len == ROUTEANSWER_USER_MAX || octet == 0)
            return false;
        answer->user[len++] = (char)octet;
    }
    answer->user[len] = '\0';
    answer->user_len = len;
    return true;
}

static enum routeanswer_result answer_is_wrong(struct routeanswer *answer, const char *why)
{
    answer->why = why;
    return ROUTEANSWER_WRONG;
}

static enum routeanswer_result answer_judge(const struct headers *headers, struct routeanswer *answer)
{
    if (!headers->status.at)
        return answer_is_wrong(answer, "it has no Auth-Status");
    if (word_is(headers->status, "WAIT"))
        return ROUTEANSWER_LATER;
    if (!word_is(headers->status, "OK"))
        return ROUTEANSWER_REFUSED;
    if (!server_read(headers, answer->server))
        return answer_is_wrong(answer, "Auth-Server and Auth-Port are no IP address and port");
    return user_read(headers->user, answer) ? ROUTEANSWER_OK : answer_is_wrong(answer, "its Auth-User is no name");
}

enum routeanswer_result routeanswer_read(struct imapstate_span in, bool is_at_end, struct routeanswer *ret_answer)
{
    struct headers headers = { { NULL, 0 } };
    struct imapstate_span rest = in, line;
    const char *why = NULL;
    *ret_answer = (struct routeanswer){ .why = NULL };
    bool is_first = true;
    while (!why && answer_take_line(&rest, &line)) {
        if (line.len == 0 && !is_first)
            return answer_judge(&headers, ret_answer);
        why = is_first ? answer_check_status(line) : headers_take(&headers, line);
        is_first = false;
    }
    if (why)
        return answer_is_wrong(ret_answer, why);
    if (in.len >= ROUTEANSWER_MAX)
        return answer_is_wrong(ret_answer, "its headers are too long");
    return is_at_end ? answer_is_wrong(ret_answer, "it ends before its headers do") : ROUTEANSWER_MORE;
}
