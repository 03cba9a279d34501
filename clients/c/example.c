/* example: a mail client that counts the messages in INBOX. What it sets up is saved in the file KEPT, and need not be
 * sent the next time: then all it says is one write.
 *
 *     example HOST PORT USER KEPT < password
 *
 * In clear, to show no more than STATE: a real client puts TLS around read() and write(), and nothing else changes. */
#include <imapstate/imapstate.h>

#include <err.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct client {
    int fd;
    struct imapstate_visit *visit;
    struct imapstate_frame frame;
    struct imapstate_buf in, out; /* what has arrived; what is to be sent with the next write */
    unsigned number;              /* of the last command */
    char tag[16];                 /* its tag */
};

static const char *const set_up[] = { "ENABLE QRESYNC", "NOTIFY SET (personal (MessageNew MessageExpunge))" };

/* A line of the server, which may answer the tag. */
static bool client_hear(struct client *client, const struct imapstate_piece *piece)
{
    struct imapstate_span line = piece->octets;
    size_t len = strlen(client->tag);
    if (!piece->begins)
        return false; /* the octets of a literal, or what follows them */
    imapstate_visit_response(client->visit, line);
    if (imapstate_span_contains_nocase(line, IMAPSTATE_SPAN("* STATUS ")))
        printf("%.*s", (int)line.len, (const char *)line.at);
    return len > 0 && line.len > len && memcmp(line.at, client->tag, len) == 0 && line.at[len] == ' ';
}

/* Until the last command is answered; before the first command: until the greeting has come. */
static void client_wait(struct client *client)
{
    uint8_t octets[4096];
    struct imapstate_piece piece;
    for (;;) {
        enum imapstate_frame_result result;
        while ((result = imapstate_frame_next(&client->frame, imapstate_buf_span(&client->in), &piece)) ==
                   IMAPSTATE_FRAME_LINE ||
               result == IMAPSTATE_FRAME_LITERAL) {
            bool is_done = client_hear(client, &piece) || client->number == 0;
            imapstate_buf_drop(&client->in, piece.octets.len);
            if (is_done)
                return;
        }
        if (result != IMAPSTATE_FRAME_MORE)
            errx(1, "%s", imapstate_strerror(imapstate_frame_error(&client->frame)));
        ssize_t len = read(client->fd, octets, sizeof octets);
        if (len <= 0 || !imapstate_buf_put(&client->in, (struct imapstate_span){ octets, (size_t)len }))
            errx(1, "the server has gone");
    }
}

/* Sends what has gathered in one write. */
static void client_flush(struct client *client)
{
    putchar('\n');
    for (size_t sent = 0; sent < client->out.len;) {
        ssize_t len = write(client->fd, client->out.at + sent, client->out.len - sent);
        if (len < 0)
            err(1, "write");
        sent += (size_t)len;
    }
    imapstate_buf_clear(&client->out);
    client_wait(client);
}

static struct imapstate_span client_next_tag(struct client *client)
{
    snprintf(client->tag, sizeof client->tag, "A%u", ++client->number);
    return imapstate_span_of(client->tag);
}

/* Puts a command into the next write. */
static void client_put(struct client *client, struct imapstate_span tag, struct imapstate_span command)
{
    size_t name_len = 0;
    while (name_len < command.len && command.at[name_len] != ' ')
        name_len++;
    printf(" %.*s", (int)name_len, (const char *)command.at);
    if (!imapstate_buf_put(&client->out, tag) || !imapstate_buf_put_byte(&client->out, ' ') ||
        !imapstate_buf_put(&client->out, command) || !imapstate_buf_put(&client->out, IMAPSTATE_SPAN("\r\n")))
        errx(1, "a command does not fit");
}

/* The same for one that may be stored: the visit must know. */
static void client_set_up(struct client *client, struct imapstate_span command)
{
    struct imapstate_span tag = client_next_tag(client);
    if (imapstate_visit_sent(client->visit, tag, command) != IMAPSTATE_OK)
        errx(1, "out of memory");
    client_put(client, tag, command);
}

static void client_state(struct client *client)
{
    printf(" STATE");
    if (!imapstate_visit_put_state(client->visit, client_next_tag(client), &client->out))
        errx(1, "STATE does not fit");
}

static void client_login(struct client *client, const char *user)
{
    char password[256];
    struct imapstate_buf login;
    imapstate_buf_init(&login, 1024);
    if (!fgets(password, sizeof password, stdin))
        errx(1, "no password on standard input");
    password[strcspn(password, "\n")] = '\0';
    if (!imapstate_buf_put(&login, IMAPSTATE_SPAN("LOGIN ")) ||
        !imapstate_command_put_quoted(&login, imapstate_span_of(user)) || !imapstate_buf_put_byte(&login, ' ') ||
        !imapstate_command_put_quoted(&login, imapstate_span_of(password)))
        errx(1, "user or password is too long");
    client_put(client, client_next_tag(client), imapstate_buf_span(&login));
    imapstate_buf_done(&login);
    explicit_bzero(password, sizeof password);
}

/* What is left of the set-up, and the work. SELECT would have to come behind it: ENABLE is not allowed then. */
static void client_work(struct client *client)
{
    struct imapstate_span command;
    for (size_t at = 0; imapstate_visit_next(client->visit, &at, &command);)
        client_set_up(client, command);
    client_put(client, client_next_tag(client), IMAPSTATE_SPAN("STATUS INBOX (MESSAGES)"));
    client_flush(client);
}

static void client_run(struct client *client, const char *user)
{
    client_wait(client);
    client_login(client, user);
    if (imapstate_visit_has_token(client->visit)) {
        client_state(client);
        client_work(client); /* all in one write; the set-up is not among it yet */
        if (imapstate_visit_status(client->visit) != IMAPSTATE_VISIT_RESTORED)
            client_work(client);
    } else {
        client_flush(client);
        if (imapstate_visit_offer(client->visit) == IMAPSTATE_VISIT_OFFER_YES)
            client_state(client);
        client_work(client);
    }
    if (imapstate_visit_is_due(client->visit, (uint64_t)time(NULL), 86400) &&
        imapstate_visit_put_savestate(client->visit, client_next_tag(client), (uint64_t)time(NULL), &client->out))
        printf(" SAVESTATE");
    client_put(client, client_next_tag(client), IMAPSTATE_SPAN("LOGOUT"));
    client_flush(client);
}

static void kept_read(const char *path, struct imapstate_visit *visit)
{
    char text[IMAPSTATE_VISIT_KEPT_MAX];
    int fd = open(path, O_RDONLY);
    ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text);
    close(fd);
    if (len < 0 ||
        imapstate_visit_recall(visit, (struct imapstate_span){ (uint8_t *)text, (size_t)len }) != IMAPSTATE_OK)
        warnx("%s: what was kept is damaged", path);
    explicit_bzero(text, sizeof text);
}

/* For nobody else's eyes: a token is a secret, like a password. */
static void kept_write(const char *path, const struct imapstate_visit *visit)
{
    struct imapstate_buf text;
    imapstate_buf_init(&text, IMAPSTATE_VISIT_KEPT_MAX);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || !imapstate_visit_keep(visit, &text) || write(fd, text.at, text.len) != (ssize_t)text.len ||
        close(fd) < 0)
        err(1, "%s", path);
    imapstate_buf_done(&text);
}

static int connect_to(const char *host, const char *port)
{
    struct addrinfo *address, hints = { .ai_socktype = SOCK_STREAM };
    int error = getaddrinfo(host, port, &hints, &address);
    if (error)
        errx(1, "%s: %s", host, gai_strerror(error));
    int fd = socket(address->ai_family, address->ai_socktype, 0);
    if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) < 0)
        err(1, "%s port %s", host, port);
    freeaddrinfo(address);
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        errx(2, "usage: example HOST PORT USER KEPT < password");
    struct client client = { .fd = connect_to(argv[1], argv[2]), .visit = imapstate_visit_new() };
    imapstate_frame_init(&client.frame, IMAPSTATE_FRAME_RESPONSES);
    imapstate_buf_init(&client.in, 1 << 20);
    imapstate_buf_init(&client.out, 1 << 20);
    for (size_t i = 0; i < sizeof set_up / sizeof set_up[0]; i++)
        if (!client.visit || imapstate_visit_want(client.visit, imapstate_span_of(set_up[i])) != IMAPSTATE_OK)
            errx(1, "out of memory");
    kept_read(argv[4], client.visit);
    client_run(&client, argv[3]);
    if (imapstate_visit_has_changed(client.visit))
        kept_write(argv[4], client.visit);
    puts(imapstate_visit_status(client.visit) == IMAPSTATE_VISIT_RESTORED ? "restored" : "set up");
    imapstate_visit_free(client.visit);
    imapstate_buf_done(&client.in);
    imapstate_buf_done(&client.out);
    close(client.fd);
    return 0;
}
