#include "server.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_COMMAND_MAX (2u << 20)

void server_init(struct server *server, struct wire *wire, const char *list)
{
    *server = (struct server){ .wire = wire, .list = list, .is_well = true };
    imapstate_buf_init(&server->in, SERVER_COMMAND_MAX);
    imapstate_buf_init(&server->command, SERVER_COMMAND_MAX);
}

void server_done(struct server *server)
{
    imapstate_buf_done(&server->in);
    imapstate_buf_done(&server->command);
}

static void __attribute__((format(printf, 2, 3))) server_put(struct server *server, const char *format, ...)
{
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    wire_feed(server->wire, imapstate_span_of(text));
}

/* --- words --- */

/* The nth word of the command, NUL-terminated and without quotes; "" if there is none. */
static void server_word(const struct server *server, unsigned number, char ret_word[64])
{
    const uint8_t *at = server->command.at, *end = at + server->command.len;
    size_t len = 0;
    while (number > 0 && at < end)
        number -= *at++ == ' ';
    while (at < end && *at != ' ' && *at != '\r' && len < 63) {
        if (*at != '"')
            ret_word[len++] = (char)*at;
        at++;
    }
    ret_word[len] = '\0';
}

/* The octets behind the first words of the command, as far as its line goes. */
static int server_rest(const struct server *server, unsigned words, const char **ret_rest)
{
    const uint8_t *at = server->command.at, *end = at + server->command.len;
    while (words > 0 && at < end)
        words -= *at++ == ' ';
    const uint8_t *from = at;
    while (at < end && *at != '\r')
        at++;
    *ret_rest = (const char *)from;
    return at - from < 1000 ? (int)(at - from) : 1000;
}

/* "{n}" or "{n+}" at the end of a line. */
static bool server_announces(struct imapstate_span line, size_t *ret_octets, bool *ret_is_asking)
{
    size_t at = line.len;
    if (at < 3 || line.at[--at] != '}')
        return false;
    *ret_is_asking = line.at[at - 1] != '+';
    at -= !*ret_is_asking;
    size_t end = at;
    while (at > 0 && line.at[at - 1] >= '0' && line.at[at - 1] <= '9')
        at--;
    if (at == end || at == 0 || line.at[at - 1] != '{' || end - at > 9)
        return false;
    *ret_octets = 0;
    for (; at < end; at++)
        *ret_octets = *ret_octets * 10 + (line.at[at] - '0');
    return true;
}

/* --- answers --- */

/* The whole of LOGIN and AUTHENTICATE PLAIN, with literals: it is enough to find the two words in it. */
static bool server_knows(struct server *server, struct imapstate_span said)
{
    static const char *const users[] = { "ann", "bob", "eve" };
    for (size_t i = 0; i < sizeof users / sizeof *users; i++)
        if (imapstate_span_contains_nocase(said, imapstate_span_of(users[i])) &&
            imapstate_span_contains_nocase(said, IMAPSTATE_SPAN(SERVER_PASSWORD))) {
            snprintf(server->user, sizeof server->user, "%s", users[i]);
            return true;
        }
    return false;
}

static void server_answer_login(struct server *server, const char *tag, bool is_known)
{
    if (is_known)
        server_put(server, "%s OK [CAPABILITY %s] logged in\r\n", tag, server->list);
    else
        server_put(server, "%s NO [AUTHENTICATIONFAILED] no\r\n", tag);
}

static bool server_decodes(struct server *server, const char *base64)
{
    uint8_t plain[256];
    size_t len = 0;
    return sodium_base642bin(plain, sizeof plain, base64, strlen(base64), NULL, &len, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           server_knows(server, (struct imapstate_span){ plain, len });
}

static void server_answer_select(struct server *server, const char *tag)
{
    char mailbox[64];
    server_word(server, 2, mailbox);
    server->is_selected = strcmp(mailbox, "imapstate-no-such-mailbox") != 0 && strcmp(mailbox, "none") != 0;
    if (server->is_selected)
        server_put(server, "* 3 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n%s OK [READ-WRITE] selected\r\n", tag);
    else
        server_put(server, "%s NO no such mailbox\r\n", tag);
}

/* False: it is none that this server knows. */
static bool server_answer_known(struct server *server, const char *tag, const char *name)
{
    const char *rest;
    int len = server_rest(server, 2, &rest);
    if (strcasecmp(name, "CAPABILITY") == 0)
        server_put(server, "* CAPABILITY %s\r\n%s OK done\r\n", server->list, tag);
    else if (strcasecmp(name, "ID") == 0)
        server_put(server, "* ID (\"name\" \"rig\")\r\n%s OK done\r\n", tag);
    else if (strcasecmp(name, "ENABLE") == 0)
        server_put(server, "* ENABLED %.*s\r\n%s OK done\r\n", len, rest, tag);
    else if (strcasecmp(name, "SELECT") == 0 || strcasecmp(name, "EXAMINE") == 0)
        server_answer_select(server, tag);
    else if (strcasecmp(name, "CHECK") == 0 && !server->is_selected)
        server_put(server, "%s NO no mailbox is selected\r\n", tag);
    else if (strcasecmp(name, "FETCH") == 0)
        server_put(server, "* 1 FETCH (UID 7 BODY[] {11}\r\na~1 OK hi\r\n)\r\n%s OK done\r\n", tag);
    else if (strcasecmp(name, "LANGUAGE") == 0)
        server_put(server, "* LANGUAGE (%.*s)\r\n%s OK done\r\n", len, rest, tag);
    else
        return false;
    return true;
}

static void server_say_logout(struct server *server, const char *tag)
{
    server_put(server, "* BYE bye\r\n%s OK bye\r\n", tag);
    wire_end(server->wire);
    server->has_left = true;
}

static void server_forget_user(struct server *server, const char *tag)
{
    server->user[0] = '\0';
    server_put(server, "%s OK done\r\n", tag);
}

static void server_answer(struct server *server, enum server_answer answer)
{
    static const char *const words[] = { "OK", "NO", "BAD" };
    char tag[64], name[64], initial[64];
    server_word(server, 0, tag);
    server_word(server, 1, name);
    server_word(server, 3, initial);
    if (answer != SERVER_OK)
        server_put(server, "%s %s no\r\n", tag, words[answer]);
    else if (strcasecmp(name, "LOGIN") == 0)
        server_answer_login(server, tag, server_knows(server, imapstate_buf_span(&server->command)));
    else if (strcasecmp(name, "AUTHENTICATE") == 0 && *initial)
        server_answer_login(server, tag, server_decodes(server, initial));
    else if (strcasecmp(name, "LOGOUT") == 0)
        server_say_logout(server, tag);
    else if (strcasecmp(name, "UNAUTHENTICATE") == 0)
        server_forget_user(server, tag);
    else if (!server_answer_known(server, tag, name))
        server_put(server, "%s OK done\r\n", tag);
    if (strcasecmp(name, "UNSELECT") == 0 || strcasecmp(name, "CLOSE") == 0)
        server->is_selected = false;
}

/* --- lines --- */

static void server_end_command(struct server *server)
{
    imapstate_buf_clear(&server->command);
    server->is_in_command = server->is_idling = server->is_authenticating = false;
}

static void server_finish(struct server *server, enum server_answer answer)
{
    char name[64], initial[64];
    server_word(server, 1, name);
    server_word(server, 3, initial);
    if (answer == SERVER_OK && strcasecmp(name, "IDLE") == 0) {
        server->is_idling = true;
        server_put(server, "+ idling\r\n");
    } else if (answer == SERVER_OK && strcasecmp(name, "AUTHENTICATE") == 0 && !*initial) {
        server->is_authenticating = true;
        server_put(server, "+ \r\n");
    } else {
        server_answer(server, answer);
        server_end_command(server);
    }
}

static void server_read_answer_to_challenge(struct server *server, struct imapstate_span line)
{
    char tag[64], base64[256];
    server_word(server, 0, tag);
    snprintf(base64, sizeof base64, "%.*s", (int)(line.len < 255 ? line.len : 255), (const char *)line.at);
    server_answer_login(server, tag, server_decodes(server, base64));
    server_end_command(server);
}

static void server_read_line(struct server *server, struct imapstate_span line, enum server_answer answer)
{
    size_t octets = 0;
    bool is_asking = false;
    if (server->is_idling) {
        server->is_well &= imapstate_span_equal_nocase(line, IMAPSTATE_SPAN("DONE"));
        server_answer(server, SERVER_OK);
        server_end_command(server);
        return;
    }
    if (server->is_authenticating) {
        server_read_answer_to_challenge(server, line);
        return;
    }
    if (!server->is_in_command && server->heard)
        server->heard(server, line);
    server->is_in_command = true;
    if (!imapstate_buf_put(&server->command, line) || !imapstate_buf_put(&server->command, IMAPSTATE_SPAN("\r\n")))
        abort();
    bool has_literal = server_announces(line, &octets, &is_asking);
    if (has_literal && is_asking && answer != SERVER_OK) {
        server_answer(server, answer);
        server_end_command(server);
    } else if (has_literal) {
        server->literal_left = octets;
        if (is_asking)
            server_put(server, "+ go\r\n");
    } else {
        server_finish(server, answer);
    }
}

static void server_take(struct server *server)
{
    if (server->wire->out.len > 0 && !imapstate_buf_put(&server->in, imapstate_buf_span(&server->wire->out)))
        abort();
    imapstate_buf_clear(&server->wire->out);
}

/* False: it is not there yet. */
static bool server_skip_literal(struct server *server)
{
    size_t part = server->in.len < server->literal_left ? server->in.len : server->literal_left;
    if (part > 0 && !imapstate_buf_put(&server->command, (struct imapstate_span){ server->in.at, part }))
        abort();
    if (part > 0)
        imapstate_buf_drop(&server->in, part);
    server->literal_left -= part;
    return server->literal_left == 0;
}

/* A PROXY header, version 2, if there is one, is in one write. */
static void server_skip_proxy_header(struct server *server)
{
    static const uint8_t signature[] = "\r\n\r\n\0\r\nQUIT\n";
    if (server->in.len < 16 || memcmp(server->in.at, signature, 12) != 0)
        return;
    size_t len = 16u + (size_t)server->in.at[14] * 256 + server->in.at[15];
    imapstate_buf_drop(&server->in, len < server->in.len ? len : server->in.len);
}

bool server_step(struct server *server, enum server_answer answer)
{
    if (server->has_left)
        return false;
    if (!server->is_greeted) {
        server->is_greeted = true;
        server_put(server, "* OK [CAPABILITY %s] ready\r\n", server->list);
        return true;
    }
    server_take(server);
    server_skip_proxy_header(server);
    if (!server_skip_literal(server))
        return false;
    const uint8_t *lf = server->in.len > 0 ? memchr(server->in.at, '\n', server->in.len) : NULL;
    if (!lf)
        return false;
    struct imapstate_buf line;
    size_t len = (size_t)(lf + 1 - server->in.at);
    imapstate_buf_init(&line, SERVER_COMMAND_MAX);
    if (!imapstate_buf_put(&line, (struct imapstate_span){ server->in.at, len }))
        abort();
    imapstate_buf_drop(&server->in, len);
    /* RFC 9051 section 2.2: nothing else ends a line of the gateway's. */
    bool is_whole = len >= 2 && line.at[len - 2] == '\r';
    if (server->is_well && !is_whole)
        abort();
    server_read_line(server, (struct imapstate_span){ line.at, len - (is_whole ? 2 : 1) }, answer);
    imapstate_buf_done(&line);
    return true;
}
