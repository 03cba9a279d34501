/* server: a small IMAP server that has STATE itself. It has one user and one mailbox, which nobody can change. What a
 * session can set up is UTF8=ACCEPT (RFC 6855) and NOTIFY (RFC 5465), and that is what its tokens hold.
 *
 *     cc server.c -o server $(pkg-config --cflags --libs imapstate)
 *     ./server PORT USER KEYS < password
 *
 * KEYS is a file made by `imapstatectl keys new`. It serves this machine only, in clear, and lacks half of IMAP, to
 * show no more than STATE: session_set_up() does what a command says, whether the client sends it or a token brings it
 * back; around it are enable(), notify(), state() and savestate(). Commands are found by frame.h and command.h; a
 * server that has a parser needs neither. */
#include <imapstate/imapstate.h>

#include <arpa/inet.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COMMAND_MAX 65536u /* octets in a command, with its literals */
#define OUT_MAX     1048576u
#define LIFETIME_S  (14u * 86400u)
/* STATE is in every list that a client may act on (P1). */
#define CAPABILITIES "IMAP4rev1 LITERAL+ NAMESPACE ENABLE UTF8=ACCEPT NOTIFY UNSELECT UNAUTHENTICATE STATE"

static const struct {
    unsigned uid;
    const char *flags, *text;
} inbox[] = {
    { 3, "\\Seen", "Subject: first\r\n\r\nHello.\r\n" },
    { 4, "", "Subject: second\r\n\r\nHello again.\r\n" },
    { 7, "\\Flagged", "Subject: third\r\n\r\nHello?\r\n" },
};
#define MESSAGES (unsigned)(sizeof inbox / sizeof *inbox)

struct session {
    int fd;
    struct imapstate_frame frame;
    struct imapstate_server *server;    /* the rules of STATE; NULL before login */
    bool has_utf8, is_notified;         /* what is set up */
    bool has_ended, has_8bit;           /* has_8bit: the command does, not counting literals */
    struct imapstate_buf in, out;       /* what has arrived and is no command yet; what is to be sent */
    struct imapstate_buf command;       /* with its literals, but without its line end */
    struct imapstate_command_line line; /* of the command; its arguments have the literals, too */
};

static const char *user, *password;
static struct imapstate_keyring *keyring;

/* What does not fit ends the session. */
#define PUT(session, ...) ((session)->has_ended |= !imapstate_buf_printf(&(session)->out, __VA_ARGS__))

static void answer(struct session *session, const char *text)
{
    PUT(session, "%.*s %s\r\n", (int)session->line.tag.len, (const char *)session->line.tag.at, text);
}

/* --- commands --- */

static bool session_flush(struct session *session)
{
    bool is_sent = write(session->fd, session->out.at, session->out.len) == (ssize_t)session->out.len;
    imapstate_buf_clear(&session->out);
    return is_sent;
}

static bool session_receive(struct session *session)
{
    uint8_t octets[4096];
    ssize_t len = session_flush(session) ? read(session->fd, octets, sizeof octets) : -1;
    return len > 0 && imapstate_buf_put(&session->in, (struct imapstate_span){ octets, (size_t)len });
}

static bool has_8bit(struct imapstate_span line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.at[i] >= 0x80)
            return true;
    return false;
}

/* Reads a whole command. False if the connection has ended, or has to. */
static bool session_read(struct session *session)
{
    struct imapstate_piece piece;
    session->has_8bit = false;
    imapstate_buf_clear(&session->command);
    for (;;)
        switch (imapstate_frame_next(&session->frame, imapstate_buf_span(&session->in), &piece)) {
        case IMAPSTATE_FRAME_LINE:
            session->has_8bit |= has_8bit(piece.octets);
            /* fall through */
        case IMAPSTATE_FRAME_LITERAL:
            if (piece.refused != IMAPSTATE_OK || piece.has_nul || !imapstate_buf_put(&session->command, piece.octets))
                return false;
            imapstate_buf_drop(&session->in, piece.octets.len);
            if (piece.ends)
                return true;
            break;
        case IMAPSTATE_FRAME_WAIT:
            PUT(session, "+ Go ahead.\r\n");
            imapstate_frame_literal_go(&session->frame);
            break;
        case IMAPSTATE_FRAME_MORE:
            if (!session_receive(session))
                return false;
            break;
        default:
            return false;
        }
}

static bool is_word(struct imapstate_span word, const char *name)
{
    return imapstate_span_equal_nocase(word, imapstate_span_of(name));
}

/* Takes the word at the front, up to a blank, and that blank. */
static struct imapstate_span take_word(struct imapstate_span *in)
{
    struct imapstate_span word = { in->at, 0 };
    while (word.len < in->len && word.at[word.len] != ' ')
        word.len++;
    size_t taken = word.len < in->len ? word.len + 1 : word.len;
    *in = (struct imapstate_span){ in->at + taken, in->len - taken };
    return word;
}

/* Takes a string (an atom, a quoted string or a literal) at the front, and the blank before the next one. */
static bool take_string(struct imapstate_span *in, struct imapstate_buf *ret_value)
{
    imapstate_buf_init(ret_value, COMMAND_MAX);
    return imapstate_command_astring(in, ret_value) == IMAPSTATE_OK && in->len != 1 && take_word(in).len == 0;
}

/* --- what is stored --- */

/* A command that is stored takes effect. ret_effect is what is on by it: the names, or its arguments; borrowed. False:
 * it fails, and changes nothing. */
static bool session_set_up(struct session *session, enum imapstate_entry_kind kind, struct imapstate_span value,
                           struct imapstate_span *ret_effect)
{
    struct imapstate_span name;
    *ret_effect = value;
    if (kind == IMAPSTATE_ENTRY_ENABLE) {
        ret_effect->len = 0;
        while (imapstate_enable_next(&value, &name))
            if (is_word(name, "UTF8=ACCEPT")) {
                session->has_utf8 = true;
                *ret_effect = name;
            }
        return true;
    }
    name = take_word(&value);
    bool is_set = is_word(name, "SET") && value.len > 0;
    if (!is_set && !is_word(*ret_effect, "NONE"))
        return false;
    session->is_notified = is_set;
    /* RFC 5465 section 4. Not an echo of the command, so the client hears it after a restore, too (P17). */
    if (imapstate_span_contains_nocase(value, IMAPSTATE_SPAN("STATUS (")))
        PUT(session, "* STATUS INBOX (MESSAGES %u UIDNEXT 8 UIDVALIDITY 1)\r\n", MESSAGES);
    return true;
}

/* It is completed: STATECMD comes directly before its OK, if it comes (P9). */
static void session_complete(struct session *session, enum imapstate_entry_kind kind, struct imapstate_span effect)
{
    if (imapstate_server_took_effect(session->server, session->line.tag, kind, effect))
        session->has_ended |= !imapstate_answer_put_statecmd(session->line.tag, &session->out);
    answer(session, "OK It is on.");
}

static void enable(struct session *session)
{
    struct imapstate_span effect, names = session->line.arguments;
    if (imapstate_server_selected(session->server) != IMAPSTATE_SELECTED_NO || names.len == 0) {
        answer(session, "BAD Not while a mailbox is selected, nor without names.");
        return;
    }
    session_set_up(session, IMAPSTATE_ENTRY_ENABLE, names, &effect);
    PUT(session, "* ENABLED%s%.*s\r\n", effect.len ? " " : "", (int)effect.len, (const char *)effect.at);
    if (effect.len > 0)
        session_complete(session, IMAPSTATE_ENTRY_ENABLE, effect);
    else
        answer(session, "OK Nothing of that.");
}

static void notify(struct session *session)
{
    struct imapstate_span effect, value = session->line.arguments;
    if (session_set_up(session, IMAPSTATE_ENTRY_NOTIFY, value, &effect))
        session_complete(session, IMAPSTATE_ENTRY_NOTIFY, effect);
    else
        answer(session, "BAD NOTIFY takes NONE or SET.");
}

/* --- STATE --- */

/* What a token is good for: this user of this server, for as long as it offers what it does (P12). */
static struct imapstate_token_binding session_binding(void)
{
    return (struct imapstate_token_binding){ .user = imapstate_span_of(user),
                                             .upstream = IMAPSTATE_SPAN("example"),
                                             .names = IMAPSTATE_SPAN(CAPABILITIES) };
}

/* The token is good. Its commands run as if the client had sent them: all of them, or none (P18). */
static enum imapstate_answer session_restore(struct session *session, const struct imapstate_token_binding *binding)
{
    bool had_utf8 = session->has_utf8, was_notified = session->is_notified;
    const struct imapstate_state *state = imapstate_server_restoring(session->server);
    struct imapstate_span effect;
    struct imapstate_entry entry;
    for (size_t i = 0; imapstate_state_at(state, i, &entry); i++) {
        bool is_ok = session_set_up(session, entry.kind, entry.value, &effect);
        imapstate_server_ran(session->server, i, is_ok, effect);
    }
    enum imapstate_answer verdict = imapstate_server_verdict(session->server);
    if (verdict != IMAPSTATE_ANSWER_UNDO)
        return verdict;
    session->has_utf8 = had_utf8;
    session->is_notified = was_notified;
    return imapstate_server_conclude(session->server, binding, IMAPSTATE_OUTCOME_UNDONE);
}

static void state(struct session *session)
{
    struct imapstate_token_binding binding = session_binding();
    struct imapstate_span arguments = session->line.arguments;
    struct imapstate_buf token = { 0 };
    enum imapstate_error reason = IMAPSTATE_OK;
    enum imapstate_answer verdict = IMAPSTATE_ANSWER_MALFORMED;
    if (!session->line.has_arguments_sp)
        verdict = imapstate_server_track(session->server, &binding);
    else if (take_string(&arguments, &token) && arguments.len == 0)
        verdict = imapstate_server_restore(session->server, keyring, &binding, (uint64_t)time(NULL),
                                           imapstate_buf_span(&token), &reason);
    if (verdict == IMAPSTATE_ANSWER_RUN)
        verdict = session_restore(session, &binding);
    if (reason != IMAPSTATE_OK)
        warnx("not restored: %s", imapstate_strerror(reason)); /* the client does not learn it (P5) */
    session->has_ended |=
        verdict == IMAPSTATE_ANSWER_ENDED ||
        !imapstate_answer_put(verdict, session->line.tag, imapstate_buf_span(&token), 0, &session->out);
    imapstate_buf_done(&token);
}

static void savestate(struct session *session)
{
    struct imapstate_token_binding binding = session_binding();
    struct imapstate_buf token;
    uint64_t left_s = 0;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    if (session->line.has_arguments_sp) {
        answer(session, "BAD SAVESTATE takes no arguments.");
        return;
    }
    enum imapstate_answer verdict = imapstate_server_save(session->server, keyring, &binding, IMAPSTATE_TOKEN_FORMAT,
                                                          (uint64_t)time(NULL), LIFETIME_S, &token, &left_s, NULL);
    session->has_ended |=
        !imapstate_answer_put(verdict, session->line.tag, imapstate_buf_span(&token), left_s, &session->out);
    imapstate_buf_done(&token);
}

/* --- the session --- */

static bool is_secret(struct imapstate_span given, const char *secret)
{
    size_t len = strlen(secret);
    unsigned differs = given.len != len;
    for (size_t i = 0; i < given.len && i < len; i++) /* to the end, whichever octet is wrong */
        differs |= (unsigned)given.at[i] ^ (unsigned char)secret[i];
    return !differs;
}

static void login(struct session *session)
{
    struct imapstate_span arguments = session->line.arguments;
    struct imapstate_buf name = { 0 }, secret = { 0 };
    if (!take_string(&arguments, &name) || !take_string(&arguments, &secret) || arguments.len > 0)
        answer(session, "BAD LOGIN takes a name and a password.");
    else if (!imapstate_span_equal(imapstate_buf_span(&name), imapstate_span_of(user)) ||
             !is_secret(imapstate_buf_span(&secret), password))
        answer(session, "NO [AUTHENTICATIONFAILED] Not this user, or not this password.");
    else if (!(session->server = imapstate_server_new()))
        answer(session, "NO [UNAVAILABLE] Out of memory.");
    else
        answer(session, "OK [CAPABILITY " CAPABILITIES "] Welcome.");
    imapstate_buf_done(&name);
    imapstate_buf_done(&secret);
}

/* RFC 8437: as after the greeting, for the next user (P16). */
static void unauthenticate(struct session *session)
{
    imapstate_server_free(session->server);
    session->server = NULL;
    session->has_utf8 = session->is_notified = false;
    answer(session, "OK Who is next?");
}

static void logout(struct session *session)
{
    PUT(session, "* BYE See you.\r\n");
    answer(session, "OK That was it.");
    session->has_ended = true;
}

/* --- the mailbox --- */

static void select_inbox(struct session *session)
{
    struct imapstate_span arguments = session->line.arguments;
    struct imapstate_buf name = { 0 };
    bool is_name = take_string(&arguments, &name), is_inbox = is_word(imapstate_buf_span(&name), "INBOX");
    imapstate_buf_done(&name);
    /* Without it nothing is selected any more (RFC 9051 section 6.3.2). */
    imapstate_server_set_selected(session->server, is_inbox ? IMAPSTATE_SELECTED_YES : IMAPSTATE_SELECTED_NO);
    if (!is_inbox) {
        answer(session, is_name ? "NO [NONEXISTENT] There is only INBOX." : "BAD SELECT takes a mailbox.");
        return;
    }
    PUT(session, "* FLAGS (\\Seen \\Flagged)\r\n* OK [PERMANENTFLAGS ()] They stay.\r\n* %u EXISTS\r\n", MESSAGES);
    PUT(session, "* 0 RECENT\r\n* OK [UIDVALIDITY 1] Always.\r\n* OK [UIDNEXT 8] Never.\r\n");
    answer(session, "OK [READ-ONLY] Selected.");
}

static void unselect(struct session *session)
{
    imapstate_server_set_selected(session->server, IMAPSTATE_SELECTED_NO);
    answer(session, "OK None is selected.");
}

/* FLAGS, and the whole message if anything of BODY is asked for. */
static void fetch(struct session *session)
{
    struct imapstate_span items = session->line.arguments, set = take_word(&items);
    char text[32];
    unsigned first = 0, last = 0;
    snprintf(text, sizeof text, "%.*s", (int)set.len, (const char *)set.at);
    int numbers = sscanf(text, "%u:%u", &first, &last);
    if (numbers < 1 || items.len == 0) {
        answer(session, "BAD FETCH takes messages, as in 2, 1:2 or 1:*, and what is wanted of them.");
        return;
    }
    if (numbers == 1)
        last = strchr(text, '*') ? MESSAGES : first;
    for (unsigned i = first > 0 ? first - 1 : 0; i < last && i < MESSAGES; i++) {
        PUT(session, "* %u FETCH (UID %u FLAGS (%s)", i + 1, inbox[i].uid, inbox[i].flags);
        if (imapstate_span_contains_nocase(items, IMAPSTATE_SPAN("BODY")))
            PUT(session, " BODY[] {%zu}\r\n%s", strlen(inbox[i].text), inbox[i].text);
        PUT(session, ")\r\n");
    }
    answer(session, "OK Fetched.");
}

/* --- connections --- */

static const struct {
    const char *name, *says; /* all that CAPABILITY and the like need */
    void (*run)(struct session *session);
} commands[] = {
    { "CAPABILITY", "* CAPABILITY " CAPABILITIES "\r\n", NULL },
    { "NOOP", "", NULL },
    { "NAMESPACE", "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n", NULL },
    { "LIST", "* LIST (\\HasNoChildren) \"/\" INBOX\r\n", NULL },
    { "LSUB", "* LSUB (\\HasNoChildren) \"/\" INBOX\r\n", NULL },
    { "LOGOUT", NULL, logout },
    { "LOGIN", NULL, login },
    { "STATE", NULL, state },
    { "SAVESTATE", NULL, savestate },
    { "ENABLE", NULL, enable },
    { "NOTIFY", NULL, notify },
    { "UNAUTHENTICATE", NULL, unauthenticate },
    { "SELECT", NULL, select_inbox },
    { "EXAMINE", NULL, select_inbox },
    { "UNSELECT", NULL, unselect },
    { "CLOSE", NULL, unselect },
    { "FETCH", NULL, fetch },
};

/* The states in which the session is. STATE is left to the library, which knows what to answer (P2). */
static unsigned session_in(const struct session *session)
{
    if (!session->server)
        return IMAPSTATE_IN_NOT_AUTHENTICATED;
    if (imapstate_server_selected(session->server) == IMAPSTATE_SELECTED_NO)
        return IMAPSTATE_IN_AUTHENTICATED;
    return session->line.command->id == IMAPSTATE_COMMAND_STATE ? IMAPSTATE_IN_ANY : IMAPSTATE_IN_SELECTED;
}

/* Each command is answered before the next one is read. So STATE is where P11 wants it. */
static void session_run(struct session *session)
{
    struct imapstate_span command = imapstate_span_without_line_end(imapstate_buf_span(&session->command));
    struct imapstate_command_line *line = &session->line;
    if (imapstate_command_parse(command, line) == IMAPSTATE_OK &&
        (session->has_utf8 || !session->has_8bit) && /* RFC 6855 section 3 */
        (line->command->allowed & session_in(session)))
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
            if (strcmp(commands[i].name, line->command->name) == 0) {
                if (commands[i].run) {
                    commands[i].run(session);
                    return;
                }
                PUT(session, "%s", commands[i].says);
                answer(session, "OK That is all.");
                return;
            }
    if (line->tag.len == 0)
        line->tag = IMAPSTATE_SPAN("*");
    answer(session, "BAD Not known, or not now.");
}

static void serve(int fd)
{
    struct session session = { .fd = fd };
    imapstate_frame_init(&session.frame, IMAPSTATE_FRAME_COMMANDS);
    imapstate_buf_init(&session.in, 2 * COMMAND_MAX);
    imapstate_buf_init(&session.out, OUT_MAX);
    imapstate_buf_init(&session.command, COMMAND_MAX);
    PUT(&session, "* OK [CAPABILITY " CAPABILITIES "] Example ready.\r\n");
    while (!session.has_ended && session_read(&session))
        session_run(&session);
    session_flush(&session);
    imapstate_buf_done(&session.in);
    imapstate_buf_done(&session.out);
    imapstate_buf_done(&session.command);
    imapstate_server_free(session.server);
}

static void keys_read(const char *path)
{
    static uint8_t text[IMAPSTATE_KEYRING_TEXT_MAX];
    size_t line;
    FILE *file = fopen(path, "r");
    if (!file)
        err(1, "%s", path);
    struct imapstate_span read = { text, fread(text, 1, sizeof text, file) };
    keyring = imapstate_keyring_new();
    enum imapstate_error error = keyring ? imapstate_keyring_read(keyring, read, &line) : IMAPSTATE_NO_MEMORY;
    if (error != IMAPSTATE_OK)
        errx(1, "%s: %s", path, imapstate_strerror(error));
    explicit_bzero(text, sizeof text);
    fclose(file);
}

static int listen_at(const char *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 16) < 0)
        err(1, "port %s", port);
    return fd;
}

int main(int argc, char **argv)
{
    static char line[256];
    if (argc != 4)
        errx(2, "usage: server PORT USER KEYS < password");
    if (!fgets(line, sizeof line, stdin))
        errx(1, "no password on standard input");
    line[strcspn(line, "\n")] = '\0';
    user = argv[2];
    password = line;
    keys_read(argv[3]);
    int listening = listen_at(argv[1]);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    for (int fd; (fd = accept(listening, NULL, NULL)) >= 0; close(fd))
        if (fork() == 0) {
            close(listening);
            serve(fd);
            imapstate_keyring_free(keyring);
            return 0;
        }
    err(1, "accept");
}
