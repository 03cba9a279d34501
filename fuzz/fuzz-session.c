/* Property: whatever a client and a server say, in whatever pieces, whenever either of them ends, stops reading or goes
 * on, whenever timers fire, the configuration is read anew or the daemon stops: nothing is left in the end (rig.h), no
 * move is made that no diagram draws, and, as long as the server is well-behaved,
 * - it is given whole commands, a client's in the order in which it has said them, and those of its own user alone: no
 *   two users ever share a connection, and nothing within a literal is taken for a command;
 * - nobody is let in by a wrong password, or given somebody else's state;
 * - each command is answered once: not twice, and, if nobody has ended or held anything up, not never;
 * - no client sees the gateway's own tags, or a "+" that it has not asked for.
 *
 * The input is a list of steps, a line each: what, who (0 to 9), and how much or which text. See steps[]. */
#include "fuzz.h"

#include <sodium.h>
#include <stdarg.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "log.h"
#include "rig.h"
#include "server.h"

#define CLIENTS_MAX  4u
#define SERVERS_MAX  48u
#define STEPS_MAX    400u
#define COMMANDS_MAX 1024u
#define SMUGGLED     "SMUGGLED"
#define LIST                                                                                                           \
    "IMAP4rev1 LITERAL+ IDLE ENABLE ID UNSELECT CONDSTORE QRESYNC NOTIFY NAMESPACE SASL-IR AUTH=PLAIN "                \
    "AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256 AUTH=XOAUTH2 UNAUTHENTICATE"

static const char *const configs[] = {
    RIG_CONFIG,
    "login_failure_delay = \"0s\" park { per_user = 1 max = 2 wake_check = \"0s\" }\n" RIG_LISTENER("compress = true")
        RIG_UPSTREAM("append_literals = \"stream\""),
    "park { time = \"1m\" lifetime = \"2m\" keepalive = \"20s\" one_password = true } languages = { en, de "
    "}\n" RIG_LISTENER("")
        RIG_UPSTREAM("send_client_address = \"id\" answer_timeout = \"5s\" authorization_identity = \"pass\""),
    "max_clients = 2 park { per_user = 0 }\n" RIG_LISTENER("id_trusted_networks = { \"127.0.0.0/8\" }")
        RIG_UPSTREAM(""),
    RIG_LISTENER("imapproxy_compat = true") RIG_UPSTREAM("connect_timeout = \"1s\""),
    "max_unauthenticated_per_address = 1 idle_timeout = \"30m\"\n" RIG_LISTENER(
        "accept_proxy = true trusted_networks = { \"127.0.0.0/8\" }")
        RIG_UPSTREAM("send_client_address = \"proxy-v2\""),
};
#define CONFIGS (sizeof configs / sizeof configs[0])

static const char *const users[] = { "ann", "bob", "eve" };
#define USERS (sizeof users / sizeof users[0])

/* A client that has been let in by its password, as far as is known, and what it has said. */
struct player {
    struct wire *wire;
    unsigned number; /* of all, for its tags */
    unsigned long commands, lines;
    unsigned long continuations, asked_for; /* "+" heard, and the most that there may be */
    bool is_raw;                            /* has said what nobody has looked at */
    bool is_certain;                        /* whose it is: it has not come to be somebody else */
    int user, asked;                        /* -1: nobody; asked: whose login was said last */
    bool is_wrong;                          /* and by a wrong password */
    unsigned long asked_number;
    struct imapstate_buf heard; /* a line that has not ended */
    bool is_answered[COMMANDS_MAX];
    unsigned long answers;
    unsigned long packing_asked; /* the number of its COMPRESS, which is not answered yet; 0: none */
    bool is_packed;
    z_stream packer, unpacker;
    size_t literal_left;
};

static struct {
    struct rig rig;
    struct player players[CLIENTS_MAX];
    struct server servers[SERVERS_MAX];
    unsigned server_count, client_count;
    bool is_well;    /* all servers */
    bool is_calm;    /* all servers answer well, and nobody has ended, been lost or held up */
    bool is_packed;  /* what clients hear may be compressed, though nobody here would know */
    bool has_name;   /* the input has the gateway's tag in it */
    bool has_marker; /* or what stands in literals */
    bool has_tilde;  /* the input has one: a tag may be of its making */
    char tokens[USERS][2100];
} game;

/* --- the log --- */

void __wrap_log_end(struct logline *line);
void __wrap_log_end_with(struct logline *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __wrap_log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* It is made as ever, for the sanitizers to see. */
void __wrap_log_end(struct logline *line)
{
    static const char unforeseen[] = "not foreseen";
    static int is_shown = -1;
    logline_end(line);
    if (is_shown < 0)
        is_shown = getenv("FUZZ_SESSION_LOG") != NULL;
    if (is_shown)
        fwrite(line->octets, 1, line->len, stderr);
    CHECK(line->level > LOG_LEVEL_ERROR || !memmem(line->octets, line->len, unforeseen, sizeof unforeseen - 1));
}

void __wrap_log_end_with(struct logline *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    logline_message(line, format, arguments);
    va_end(arguments);
    __wrap_log_end(line);
}

void __wrap_log_write(enum log_level level, const char *format, ...)
{
    struct logline line;
    va_list arguments;
    log_begin(&line, level);
    va_start(arguments, format);
    logline_message(&line, format, arguments);
    va_end(arguments);
    __wrap_log_end(&line);
}

/* --- what the server is given --- */

/* "a~3~17": the user's letter, the client's number, the command's. What has no such tag is nobody's business. */
static bool read_tag(struct imapstate_span line, char *ret_letter, unsigned *ret_client, unsigned long *ret_command)
{
    char tag[32];
    snprintf(tag, sizeof tag, "%.*s", line.len < sizeof tag ? (int)line.len : (int)sizeof tag - 1,
             (const char *)line.at);
    return sscanf(tag, "%c~%u~%lu ", ret_letter, ret_client, ret_command) == 3;
}

static void on_command(struct server *server, struct imapstate_span line)
{
    char letter;
    unsigned client;
    unsigned long command;
    if (!server->is_well || !game.is_well)
        return;
    CHECK(game.has_marker || !imapstate_span_contains_nocase(line, IMAPSTATE_SPAN(SMUGGLED)));
    if (game.has_tilde || !read_tag(line, &letter, &client, &command))
        return;
    if (*server->user && letter != '?')
        CHECK(letter == *server->user);
    CHECK(client != server->last_client || command > server->last_number);
    server->last_client = client;
    server->last_number = command;
}

static struct server *server_of(unsigned number)
{
    return game.server_count > 0 ? &game.servers[number % game.server_count] : NULL;
}

/* Those that the gateway has asked for since. */
static void take_servers(void)
{
    for (struct wire *wire; game.server_count < SERVERS_MAX && (wire = rig_server(&game.rig));) {
        struct server *server = &game.servers[game.server_count++];
        server_init(server, wire, LIST);
        server->heard = on_command;
    }
}

/* --- what the client hears --- */

static bool begins(struct imapstate_span line, const char *text)
{
    size_t len = strlen(text);
    return line.len >= len &&
           imapstate_span_equal_nocase((struct imapstate_span){ line.at, len }, imapstate_span_of(text));
}

static void keep_token(const struct player *player, struct imapstate_span line)
{
    size_t len = line.len - strlen("* SAVESTATE ");
    if (player->user < 0 || !player->is_certain || len >= sizeof game.tokens[0])
        return;
    memcpy(game.tokens[player->user], line.at + strlen("* SAVESTATE "), len);
    game.tokens[player->user][len] = '\0';
}

static void check_token(const struct player *player, struct imapstate_span line)
{
    struct imapstate_span token = { line.at + strlen("* STATE "), line.len - strlen("* STATE ") };
    for (size_t i = 0; i < USERS && player->is_certain && player->user >= 0; i++)
        CHECK((int)i == player->user || !*game.tokens[i] ||
              !imapstate_span_equal(token, imapstate_span_of(game.tokens[i])));
}

static void count_answer(struct player *player, unsigned client, unsigned long command)
{
    if (player->is_raw || client != player->number || command >= COMMANDS_MAX)
        return;
    CHECK(!player->is_answered[command]);
    player->is_answered[command] = true;
    player->answers++;
}

static void hear_tagged(struct player *player, struct imapstate_span line)
{
    char letter, word[8] = "";
    unsigned client;
    unsigned long command;
    if (!read_tag(line, &letter, &client, &command))
        return;
    count_answer(player, client, command);
    if (player->packing_asked > 0 && command == player->packing_asked) {
        player->packing_asked = 0;
        player->is_packed = begins((struct imapstate_span){ memchr(line.at, ' ', line.len), 4 }, " OK ");
        CHECK(!player->is_packed || (inflateInit2(&player->unpacker, -15) == Z_OK &&
                                     deflateInit2(&player->packer, 6, Z_DEFLATED, -15, 8, 0) == Z_OK));
    }
    if (command != player->asked_number || player->asked < 0)
        return;
    const uint8_t *space = memchr(line.at, ' ', line.len);
    snprintf(word, sizeof word, "%.*s", (int)(line.at + line.len - space - 1), (const char *)space + 1);
    if (strncmp(word, "OK", 2) == 0) {
        CHECK(!player->is_wrong);
        player->user = player->asked;
    }
    player->asked = -1;
}

static bool ends_in_literal(struct imapstate_span line, size_t *ret_octets)
{
    char *end;
    const uint8_t *brace = memrchr(line.at, '{', line.len);
    if (line.len == 0 || line.at[line.len - 1] != '}' || !brace)
        return false;
    char text[16];
    snprintf(text, sizeof text, "%.*s", (int)(line.at + line.len - brace - 1), (const char *)brace + 1);
    *ret_octets = strtoul(text, &end, 10);
    return *end == '}' && end != text;
}

static void hear_line(struct player *player, struct imapstate_span line)
{
    if (!game.is_well)
        return;
    CHECK(game.has_name || !begins(line, "imapstate"));
    if (begins(line, "+")) {
        player->continuations++;
        CHECK(player->continuations <= (player->is_raw ? player->lines : player->asked_for));
    } else if (begins(line, "* SAVESTATE ")) {
        keep_token(player, line);
    } else if (begins(line, "* STATE ")) {
        check_token(player, line);
    } else {
        hear_tagged(player, line);
    }
    if (!ends_in_literal(line, &player->literal_left))
        player->literal_left = 0;
}

/* Gives what is behind the line by which compression begins. */
static struct imapstate_span hear_octets(struct player *player, struct imapstate_span out)
{
    bool was_packed = player->is_packed;
    while (out.len > 0 && !game.is_packed && player->is_packed == was_packed) {
        size_t part = out.len < player->literal_left ? out.len : player->literal_left;
        player->literal_left -= part;
        out = (struct imapstate_span){ out.at + part, out.len - part };
        const uint8_t *lf = out.len > 0 ? memchr(out.at, '\n', out.len) : NULL;
        size_t len = lf ? (size_t)(lf + 1 - out.at) : out.len;
        if (len == 0)
            break;
        CHECK(imapstate_buf_put(&player->heard, (struct imapstate_span){ out.at, len }));
        out = (struct imapstate_span){ out.at + len, out.len - len };
        if (!lf)
            break;
        hear_line(player, imapstate_span_without_line_end(imapstate_buf_span(&player->heard)));
        imapstate_buf_clear(&player->heard);
    }
    return out;
}

static void hear_packed(struct player *player, struct imapstate_span out)
{
    static uint8_t plain[65536];
    player->unpacker.next_in = out.at;
    player->unpacker.avail_in = (uInt)out.len;
    do {
        player->unpacker.next_out = plain;
        player->unpacker.avail_out = sizeof plain;
        int result = inflate(&player->unpacker, Z_SYNC_FLUSH);
        CHECK(result == Z_OK || result == Z_BUF_ERROR || player->is_raw);
        if (result != Z_OK)
            return;
        hear_octets(player, (struct imapstate_span){ plain, sizeof plain - player->unpacker.avail_out });
    } while (player->unpacker.avail_in > 0);
}

static void hear(struct player *player)
{
    struct imapstate_span out = imapstate_buf_span(&player->wire->out);
    if (!player->is_packed)
        out = hear_octets(player, out);
    if (player->is_packed && out.len > 0)
        hear_packed(player, out);
    imapstate_buf_clear(&player->wire->out);
}

static void hear_all(void)
{
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        if (game.players[i].wire)
            hear(&game.players[i]);
}

/* --- what the client says --- */

static bool may_say(const struct player *player)
{
    return player->wire && !player->wire->is_closed && !player->wire->is_at_eof && !player->wire->error;
}

static void put_packed(struct player *player, struct imapstate_span octets)
{
    static uint8_t packed[65536];
    player->packer.next_in = octets.at;
    player->packer.avail_in = (uInt)octets.len;
    do {
        player->packer.next_out = packed;
        player->packer.avail_out = sizeof packed;
        deflate(&player->packer, Z_SYNC_FLUSH);
        wire_feed(player->wire, (struct imapstate_span){ packed, sizeof packed - player->packer.avail_out });
    } while (player->packer.avail_out == 0);
}

static void say(struct player *player, struct imapstate_span octets)
{
    for (size_t i = 0; i < octets.len; i++)
        player->lines += octets.at[i] == '\n';
    if (player->is_packed && octets.len > 0)
        put_packed(player, octets);
    else
        wire_feed(player->wire, octets);
    rig_pass(&game.rig, 0);
    hear_all();
}

static void say_raw(struct player *player, struct imapstate_span octets, const char *line_end)
{
    player->is_raw = true;
    player->is_certain = false;
    say(player, octets);
    say(player, imapstate_span_of(line_end));
}

/* A command of one line, under a tag of its own. */
static void say_command(struct player *player, struct imapstate_span text, const char *behind)
{
    static char line[8192];
    /* What may bring it to be somebody else, or to be elsewhere in a command than it seems. */
    if (memchr(text.at, '{', text.len) || memchr(text.at, '\r', text.len) || memchr(text.at, '\0', text.len) ||
        imapstate_span_contains_nocase(text, IMAPSTATE_SPAN("LOGIN")) ||
        imapstate_span_contains_nocase(text, IMAPSTATE_SPAN("AUTHENTICATE")))
        player->is_raw = true, player->is_certain = false;
    if (player->is_packed && imapstate_span_contains_nocase(text, IMAPSTATE_SPAN("UNAUTHENTICATE")))
        player->is_raw = true; /* it ends compression, too */
    player->asked_for +=
        strcmp(behind, " {12}\r\n") == 0 || imapstate_span_contains_nocase(text, IMAPSTATE_SPAN("IDLE"));
    char letter = player->is_certain && player->user >= 0    ? *users[player->user]
                  : player->is_certain && player->asked >= 0 ? *users[player->asked]
                                                             : '?';
    int len = snprintf(line, sizeof line, "%c~%u~%lu %.*s%s", letter, player->number, ++player->commands,
                       text.len < 4096 ? (int)text.len : 4096, (const char *)text.at, behind);
    say(player, (struct imapstate_span){ (const uint8_t *)line, (size_t)len });
}

/* What of a command that has a literal is no line that anybody could take for something else. */
static bool may_have_literal(const struct player *player, struct imapstate_span text)
{
    return !player->is_raw && !memchr(text.at, '{', text.len) && !memchr(text.at, '"', text.len) &&
           !memchr(text.at, '\r', text.len) && !memchr(text.at, '\0', text.len);
}

static void say_literal(struct player *player, struct imapstate_span text)
{
    if (may_have_literal(player, text))
        say_command(player, text, " {12+}\r\nz " SMUGGLED "\r\n\r\n");
}

static void say_literal_when_asked(struct player *player, struct imapstate_span text)
{
    unsigned long before = player->continuations;
    if (!may_have_literal(player, text))
        return;
    say_command(player, text, " {12}\r\n");
    for (unsigned i = 0; i < game.server_count; i++)
        server_step(&game.servers[i], SERVER_OK);
    rig_pass(&game.rig, 0);
    hear_all();
    if (may_say(player) && player->continuations > before)
        say(player, IMAPSTATE_SPAN("z " SMUGGLED "\r\n\r\n"));
    else
        player->is_raw = true; /* it may be asked for yet */
}

static int user_of(uint8_t letter)
{
    for (size_t i = 0; i < USERS; i++)
        if (*users[i] == letter)
            return (int)i;
    return (int)(letter % USERS);
}

static void say_login(struct player *player, struct imapstate_span text)
{
    char line[512], plain[64], base64[128];
    int user = user_of(text.len > 0 ? text.at[0] : 'a');
    char way = text.len > 1 ? (char)text.at[1] : 'p';
    const char *password = memchr(text.at, 'w', text.len) && text.len > 2 ? "wrong" : SERVER_PASSWORD;
    int len = snprintf(plain, sizeof plain, "%c%s%c%s", 0, users[user], 0, password);
    sodium_bin2base64(base64, sizeof base64, (const uint8_t *)plain, (size_t)len, sodium_base64_VARIANT_ORIGINAL);
    switch (way) {
    case 'P':
        snprintf(line, sizeof line, "AUTHENTICATE PLAIN %s\r\n", base64);
        break;
    case 'A':
        snprintf(line, sizeof line, "AUTHENTICATE PLAIN\r\n%s\r\n", base64);
        player->asked_for++;
        break;
    case 'l':
        snprintf(line, sizeof line, "LOGIN {%zu+}\r\n%s {%zu+}\r\n%s\r\n", strlen(users[user]), users[user],
                 strlen(password), password);
        break;
    default:
        snprintf(line, sizeof line, "LOGIN %s %s\r\n", users[user], password);
    }
    if (player->user < 0 && player->asked < 0) {
        player->asked = user;
        player->is_wrong = strcmp(password, SERVER_PASSWORD) != 0;
        player->asked_number = player->commands + 1;
    } else if (player->user < 0) {
        player->is_certain = false; /* two at a time: which of them will it be? */
    }
    bool is_raw = player->is_raw, is_certain = player->is_certain;
    say_command(player, (struct imapstate_span){ (const uint8_t *)"", 0 }, line);
    player->is_raw = is_raw;
    player->is_certain = is_certain && player->is_certain;
}

/* --- steps --- */

static void end_player(struct player *player)
{
    imapstate_buf_done(&player->heard);
    if (player->is_packed) {
        inflateEnd(&player->unpacker);
        deflateEnd(&player->packer);
    }
    *player = (struct player){ .user = -1, .asked = -1 };
}

static void come(struct player *player)
{
    if (player->wire && !player->wire->is_closed)
        return;
    end_player(player);
    player->wire = rig_come(&game.rig);
    player->number = ++game.client_count;
    player->is_certain = true;
    imapstate_buf_init(&player->heard, 8u << 20);
}

/* All that the server has to answer, and all that follows from that. */
static void play_well(void)
{
    for (unsigned rounds = 0; rounds < 200; rounds++) {
        bool is_moved = false;
        take_servers();
        for (unsigned i = 0; i < game.server_count; i++)
            while (server_step(&game.servers[i], SERVER_OK))
                is_moved = true;
        rig_pass(&game.rig, 0);
        hear_all();
        if (!is_moved)
            return;
    }
}

static void server_says(unsigned number, struct imapstate_span octets, const char *line_end)
{
    struct server *server = server_of(number);
    if (!server)
        return;
    server->is_well = game.is_well = false;
    wire_feed(server->wire, octets);
    wire_feed(server->wire, imapstate_span_of(line_end));
    rig_pass(&game.rig, 0);
    hear_all();
}

static void server_answers(unsigned number, enum server_answer answer)
{
    struct server *server = server_of(number);
    if (server)
        server_step(server, answer);
    rig_pass(&game.rig, 0);
    hear_all();
}

static void time_passes(unsigned number)
{
    static const uint64_t times_ms[] = { 1, 20, 100, 1000, 3000, 10000, 30000, 60000, 300000, 1800000 };
    rig_pass(&game.rig, times_ms[number % (sizeof times_ms / sizeof times_ms[0])]);
    hear_all();
}

static size_t room_of(struct imapstate_span text)
{
    return text.len == 0 ? SIZE_MAX : text.at[0] == '0' ? 0 : (size_t)(text.at[0] & 15) << (text.at[0] >> 4);
}

/* What has two sides. */
static void on_wire(struct wire *wire, char what, struct imapstate_span text)
{
    if (!wire || wire->is_closed)
        return;
    switch (what) {
    case 'E':
        wire_end(wire);
        break;
    case 'X':
        wire_reset(wire);
        break;
    case 'Q':
        wire->room = room_of(text);
        break;
    case 'Z':
        wire->piece = room_of(text) == SIZE_MAX ? 0 : room_of(text);
        break;
    }
    rig_pass(&game.rig, 0);
    hear_all();
}

static void connection_is_refused(void)
{
    struct wire *wire = wire_asked();
    if (wire)
        wire_refuse(wire, 111);
    rig_pass(&game.rig, 0);
    hear_all();
}

static void say_state(struct player *player, struct imapstate_span text)
{
    char line[2200] = "STATE";
    int user = user_of(text.len > 0 ? text.at[0] : 'a');
    if (*game.tokens[user])
        snprintf(line, sizeof line, "STATE %s", game.tokens[user]);
    say_command(player, imapstate_span_of(line), "\r\n");
}

static void say_compress(struct player *player)
{
    if (player->is_raw || player->is_packed || !game.is_well)
        return;
    player->packing_asked = player->commands + 1;
    say_command(player, IMAPSTATE_SPAN("COMPRESS DEFLATE"), "\r\n");
}

static void play_client(struct player *player, char what, struct imapstate_span text)
{
    if (what == 'N')
        come(player);
    if (!may_say(player) || player->packing_asked > 0)
        return;
    switch (what) {
    case 'C':
        say_raw(player, text, "\r\n");
        break;
    case 'c':
        say_raw(player, text, "");
        break;
    case 'n':
        say_raw(player, text, "\n");
        break;
    case 'K':
        say_command(player, text, "\r\n");
        break;
    case 'D':
        say(player, IMAPSTATE_SPAN("DONE\r\n"));
        break;
    case 'L':
        say_literal(player, text);
        break;
    case 'l':
        say_literal_when_asked(player, text);
        break;
    case 'I':
        say_login(player, text);
        break;
    case 'T':
        say_state(player, text);
        break;
    case 'Y':
        say_compress(player);
        break;
    }
}

/* Client, server: C c n says text and CRLF, nothing, LF; S s m the same. A client's N comes; I logs in (whose, how,
 * "w": wrongly); K L l says a command, with a literal, with one when it is asked for it; D DONE; T STATE with a token;
 * Y COMPRESS. A all servers answer all; a O B one answers one, by OK, NO, BAD. J j a connection is taken, refused. E X
 * Q Z and e x q z: end, loss, room, pieces. W time; P the janitor; R a reload, or, as the first step, what is
 * configured at first; G the end of the daemon. */
static void step(char what, unsigned number, struct imapstate_span text)
{
    struct player *player = &game.players[number % CLIENTS_MAX];
    struct server *server = server_of(number);
    game.is_calm &= !strchr("OBjEXQZexqzG", what);
    switch (what) {
    case 'S':
        server_says(number, text, "\r\n");
        break;
    case 's':
        server_says(number, text, "");
        break;
    case 'm':
        server_says(number, text, "\n");
        break;
    case 'A':
        play_well();
        break;
    case 'a':
    case 'O':
    case 'B':
        server_answers(number, what == 'a' ? SERVER_OK : what == 'O' ? SERVER_NO : SERVER_BAD);
        break;
    case 'J':
        take_servers();
        break;
    case 'j':
        connection_is_refused();
        break;
    case 'E':
    case 'X':
    case 'Q':
    case 'Z':
        on_wire(player->wire, what, text);
        break;
    case 'e':
    case 'x':
    case 'q':
    case 'z':
        on_wire(server ? server->wire : NULL, (char)(what - 'a' + 'A'), text);
        break;
    case 'W':
        time_passes(number);
        break;
    case 'P':
        rig_sweep(&game.rig);
        break;
    case 'R':
        rig_reload(&game.rig, configs[number % CONFIGS]);
        break;
    case 'G':
        rig_stop(&game.rig);
        break;
    default:
        play_client(player, what, text);
    }
}

static void begin(struct imapstate_span in)
{
    memset(&game, 0, sizeof game);
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        game.players[i].user = game.players[i].asked = -1;
    game.is_well = true;
    game.is_calm = !imapstate_span_contains_nocase(in, IMAPSTATE_SPAN("IDLE"));
    game.is_packed = imapstate_span_contains_nocase(in, IMAPSTATE_SPAN("COMPRESS"));
    game.has_name = imapstate_span_contains_nocase(in, IMAPSTATE_SPAN("imapstate"));
    game.has_marker = imapstate_span_contains_nocase(in, IMAPSTATE_SPAN(SMUGGLED));
    game.has_tilde = imapstate_span_contains_nocase(in, IMAPSTATE_SPAN("~"));
    rig_begin(&game.rig, configs[in.len > 1 && in.at[0] == 'R' ? (in.at[1] & 15u) % CONFIGS : 0]);
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
}

/* All is answered that was asked, when all have had the time for it. */
static void check_answers(void)
{
    /* Logins that are refused, and a session that has not needed a connection yet. */
    for (unsigned i = 0; i < 8; i++) {
        play_well();
        time_passes(4);
    }
    play_well();
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        const struct player *player = &game.players[i];
        if (may_say(player) && !player->wire->is_shut && !player->is_raw && player->commands < COMMANDS_MAX)
            CHECK(player->answers == player->commands);
    }
}

static void end(void)
{
    hear_all();
    if (game.is_calm && game.is_well && !game.is_packed)
        check_answers();
    for (unsigned i = 0; i < game.server_count; i++)
        server_done(&game.servers[i]);
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        end_player(&game.players[i]);
    rig_end(&game.rig);
}

/* --- the same each time --- */

static uint64_t random_state;

static const char *random_name(void)
{
    return "none";
}

static uint32_t random_number(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 32);
}

static void random_octets(void *const at, const size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)at)[i] = (uint8_t)random_number();
}

static struct randombytes_implementation no_chance = {
    .implementation_name = random_name,
    .random = random_number,
    .buf = random_octets,
};

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static bool has_begun;
    if (!has_begun) {
        randombytes_set_implementation(&no_chance);
        CHECK(sodium_init() >= 0);
        has_begun = true;
    }
    random_state = 1;
    begin((struct imapstate_span){ at, len });
    const uint8_t *end_of_input = at + len;
    for (unsigned steps = 0; at < end_of_input && steps < STEPS_MAX; steps++) {
        const uint8_t *lf = memchr(at, '\n', (size_t)(end_of_input - at));
        const uint8_t *line_end = lf ? lf : end_of_input;
        if (line_end - at >= 2)
            step((char)at[0], at[1] & 15u, (struct imapstate_span){ at + 2, (size_t)(line_end - at - 2) });
        at = lf ? lf + 1 : end_of_input;
    }
    end();
    return 0;
}
