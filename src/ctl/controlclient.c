#include "controlclient.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct controlclient {
    int fd;
    FILE *in;   /* owned: reads fd, and closes it */
    char *line; /* the last one */
    size_t line_size;
    json_t *json; /* its contents */
};

static int controlclient_connect(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) {
        errno = E2BIG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

struct controlclient *controlclient_open(const char *path)
{
    struct controlclient *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->fd = controlclient_connect(path);
    client->in = client->fd >= 0 ? fdopen(client->fd, "r") : NULL;
    if (client->in)
        return client;
    int error = errno;
    if (client->fd >= 0)
        close(client->fd);
    free(client);
    errno = error;
    return NULL;
}

void controlclient_free(struct controlclient *client)
{
    if (!client)
        return;
    fclose(client->in);
    json_decref(client->json);
    free(client->line);
    free(client);
}

/* --- sending --- */

/* JSON has only UTF-8: a word that is none has its octets as \xHH, as the daemon reads names. */
static json_t *controlclient_word(const char *word)
{
    json_t *text = json_string(word);
    char *escaped = text ? NULL : malloc(4 * strlen(word) + 1), *at = escaped;
    for (; escaped && *word; word++)
        at += (unsigned char)*word >= 0x80 ? sprintf(at, "\\x%02x", (unsigned char)*word) : sprintf(at, "%c", *word);
    if (escaped)
        text = json_string(escaped);
    free(escaped);
    return text;
}

static bool controlclient_send(struct controlclient *client, const char *const *words, size_t count)
{
    json_t *line = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(line, controlclient_word(words[i]));
    char *text = json_array_size(line) == count ? json_dumps(line, JSON_COMPACT) : NULL;
    bool is_sent = text;
    size_t len = text ? strlen(text) : 0;
    if (text)
        text[len++] = '\n'; /* in the place of its NUL */
    for (size_t at = 0; is_sent && at < len;) {
        ssize_t sent = send(client->fd, text + at, len - at, MSG_NOSIGNAL);
        is_sent = sent > 0;
        at += is_sent ? (size_t)sent : 0;
    }
    free(text);
    json_decref(line);
    return is_sent;
}

/* --- reading --- */

static bool controlclient_next(struct controlclient *client)
{
    json_decref(client->json);
    client->json = NULL;
    ssize_t len = getline(&client->line, &client->line_size, client->in);
    if (len > 0)
        client->json = json_loadb(client->line, (size_t)len, 0, NULL);
    return json_is_object(client->json);
}

static const char *controlclient_text(const struct controlclient *client, const char *key)
{
    return json_string_value(json_object_get(client->json, key));
}

/* False: it is not the last line. */
static bool controlclient_is_end(struct controlclient *client, enum controlclient_end *ret_end, const char **ret_words)
{
    const char *done = controlclient_text(client, "done"), *error = controlclient_text(client, "error");
    const char *kind = controlclient_text(client, "kind");
    *ret_words = done ? done : error;
    *ret_end = done                                 ? CONTROLCLIENT_DONE
               : kind && strcmp(kind, "usage") == 0 ? CONTROLCLIENT_USAGE
                                                    : CONTROLCLIENT_FAILED;
    return *ret_words;
}

enum controlclient_end controlclient_ask(struct controlclient *client, const char *const *words, size_t count,
                                         const struct controlclient_reader *reader, const char **ret_words)
{
    enum controlclient_end end;
    *ret_words = "the daemon has closed the connection";
    /* A daemon that hangs up at once may have said why. */
    bool is_sent = controlclient_send(client, words, count);
    while (controlclient_next(client)) {
        json_t *row = json_object_get(client->json, "row");
        const char *note = controlclient_text(client, "note");
        if (row)
            reader->row(reader->owner, row);
        else if (note)
            reader->note(reader->owner, note);
        else if (controlclient_is_end(client, &end, ret_words))
            return end;
    }
    if (!is_sent)
        *ret_words = "the daemon does not read";
    else if (!feof(client->in) && !ferror(client->in)) /* an error is one that ended before it had read all */
        *ret_words = "the daemon's answer makes no sense";
    return CONTROLCLIENT_LOST;
}
