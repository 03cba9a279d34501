#include "steer.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlclient.h"
#include "table.h"
#include "tables.h"
#include "top.h"
#include "userlist.h"

#define STEER_WORDS_MAX 16

const char steer_help[] =
    "Usage: imapstatectl [--socket PATH] [--json] COMMAND\n"
    "\n"
    "  show clients [--user USER] [--upstream NAME] [--address ADDRESS]\n"
    "  show parked  [--user USER] [--upstream NAME] [--address ADDRESS]\n"
    "  show users   [--user USER] [--upstream NAME] [--address ADDRESS]\n"
    "  show upstreams [--upstream NAME]\n"
    "  show listeners [--upstream NAME]\n"
    "  show keys\n"
    "  show counters [--all]    what has been counted; --all: buckets of histograms, too\n"
    "  show config              what it runs by, and where that was given\n"
    "  route USER               where a user's mail is, by which rule, and what the user is called there\n"
    "  top                      a screen of the above that refreshes; q ends it\n"
    "  kick USER|#CLIENT        end the sessions of a user, or one client\n"
    "  forget USER|--all        end what is parked; whoever comes back logs in at the server\n"
    "  revoke USER|--all        the same, and the tokens saved until now restore nothing\n"
    "  upstream NAME[:MEMBER] down|drain|up   open no connection to it any more, or do so again\n"
    "  drain [LISTENER]         accept nobody any more\n"
    "  resume [LISTENER]        accept clients again\n"
    "  log LEVEL [USER]         log at this level until a reload; debug for one user\n"
    "  reload                   read the configuration, keys, certificates and revocations again\n"
    "  upgrade                  a new process, of the program as it is now, takes over\n"
    "\n"
    "A USER is written as in the log: \\xHH for a space, a quote, a backslash and what is not ASCII.\n"
    "\n"
    "  --socket PATH  the daemon's control socket; " CONTROLCLIENT_SOCKET " by default\n"
    "  --json         answer as JSON: a list of rows, or an object\n"
    "\n"
    "Exit status: 0 done, 1 the daemon says why not, 2 wrong usage, 3 the daemon cannot be reached.\n";

struct steer {
    const char *path;
    bool is_json;
    const char *words[STEER_WORDS_MAX];
    size_t count;
};

/* One answer, as it comes. */
struct steering {
    const struct steer *steer;
    const struct table_column *columns; /* NULL: not for people, or there is no table */
    bool is_list, is_route;             /* "show" or "route"; "route" */
    size_t rows;
    json_t *notes;
};

static int steer_usage_error(const char *what, const char *which)
{
    fprintf(stderr, "imapstatectl: %s%s\nTry \"imapstatectl --help\".\n", what, which);
    return STEER_USAGE;
}

/* --- the answer --- */

static const char *row_text(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

/* A line, not a table: cut to its width, a path would lose the number at its end. */
static void steering_print_route(const json_t *row)
{
    const char *upstream = row_text(row, "upstream"), *address = row_text(row, "address"),
               *user = row_text(row, "user");
    const char *by = row_text(row, "by");
    printf("%s: ", row_text(row, "listener"));
    if (*user)
        printf("%s%s%s as %s, ", upstream, *address ? " at " : "", address, user);
    else
        printf("%s", *upstream ? "" : "nowhere, ");
    printf("by %s%s%s%s\n", row_text(row, "rule"), *by ? " (" : "", by, *by ? ")" : "");
}

static void steering_row(void *owner, json_t *row)
{
    struct steering *steering = owner;
    const char *line = json_string_value(json_object_get(row, "line"));
    if (line && !steering->steer->is_json) {
        puts(line);
        return;
    }
    if (steering->is_route && !steering->steer->is_json) {
        steering_print_route(row);
        return;
    }
    if (steering->columns && steering->rows == 0)
        table_print_titles(steering->columns, stdout);
    if (steering->columns) {
        table_print_row(steering->columns, row, stdout);
    } else {
        fputs(steering->rows > 0 ? ",\n" : "[\n", stdout);
        json_dumpf(row, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    }
    steering->rows++;
}

static void steering_note(void *owner, const char *words)
{
    struct steering *steering = owner;
    if (steering->steer->is_json && !steering->is_list)
        json_array_append_new(steering->notes, json_string(words));
    else
        fprintf(stderr, "imapstatectl: note: %s\n", words);
}

static void steering_print_json(struct steering *steering, const char *key, const char *words)
{
    json_t *answer = json_pack("{ss sO}", key, words, "notes", steering->notes);
    json_dumpf(answer, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(answer);
}

static int steering_end(struct steering *steering, enum controlclient_end end, const char *words)
{
    static const int statuses[] = {
        [CONTROLCLIENT_DONE] = EXIT_SUCCESS,
        [CONTROLCLIENT_FAILED] = EXIT_FAILURE,
        [CONTROLCLIENT_USAGE] = STEER_USAGE,
        [CONTROLCLIENT_LOST] = STEER_UNREACHABLE,
    };
    bool is_done = end == CONTROLCLIENT_DONE;
    if (steering->is_list && steering->steer->is_json)
        fputs(steering->rows > 0 ? "\n]\n" : "[]\n", stdout);
    if (!is_done)
        fprintf(stderr, "imapstatectl: %s\n", words);
    else if (!steering->is_list && !steering->steer->is_json)
        puts(words);
    if (steering->steer->is_json && !steering->is_list)
        steering_print_json(steering, is_done ? "done" : "error", words);
    return statuses[end];
}

/* --- asking --- */

static struct controlclient *steer_open(const struct steer *steer)
{
    struct controlclient *client = controlclient_open(steer->path);
    if (!client)
        fprintf(stderr, "imapstatectl: %s: %s\n", steer->path,
                errno == E2BIG          ? "the path is too long for a unix socket"
                : errno == ENOENT       ? "there is no such socket: is imapstated running, with control { } in its "
                                          "configuration?"
                : errno == ECONNREFUSED ? "nobody listens there: imapstated does not run"
                                        : strerror(errno));
    return client;
}

/* --- processes that drain --- */

/* What they say is a note, and *ret_words, owned. Sockets that nobody listens at are left over. */
static enum controlclient_end steer_ask_old(struct steering *steering, const char *path, char **ret_words)
{
    const struct controlclient_reader reader = { steering_row, steering_note, steering };
    struct controlclient *client = controlclient_open(path);
    const char *words;
    char note[1024];
    *ret_words = NULL;
    if (!client)
        return CONTROLCLIENT_LOST;
    enum controlclient_end end =
        controlclient_ask(client, steering->steer->words, steering->steer->count, &reader, &words);
    snprintf(note, sizeof note, "the process that drains (%s): %s", strrchr(path, '-') + 1, words);
    steering_note(steering, note);
    *ret_words = strdup(note);
    controlclient_free(client);
    return end;
}

/* A client's id is only that of the process that was asked: in another one it is a stranger's. */
static bool steer_concerns_old(const struct steer *steer)
{
    const char *command = steer->words[0];
    return (strcmp(command, "kick") == 0 && steer->count > 1 && *steer->words[1] != '#') ||
           strcmp(command, "forget") == 0 || strcmp(command, "revoke") == 0;
}

/* These concern sessions that a process before has kept, too: one that has a user's is enough for kick, all must have
 * heard of the others. *words, owned, are those of the process whose answer it is in the end. */
static enum controlclient_end steer_ask_all_old(struct steering *steering, enum controlclient_end end, char **words)
{
    const struct steer *steer = steering->steer;
    bool is_kick = strcmp(steer->words[0], "kick") == 0;
    char pattern[4096];
    glob_t found;
    if (!steer_concerns_old(steer))
        return end;
    snprintf(pattern, sizeof pattern, "%s.old-*", steer->path);
    if (end == CONTROLCLIENT_USAGE || glob(pattern, 0, NULL, &found) != 0)
        return end;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *others;
        enum controlclient_end old = steer_ask_old(steering, found.gl_pathv[i], &others);
        if (old != end && ((is_kick && old == CONTROLCLIENT_DONE) || (!is_kick && old == CONTROLCLIENT_FAILED))) {
            end = old;
            free(*words);
            *words = others;
        } else {
            free(others);
        }
    }
    globfree(&found);
    return end;
}

static int steer_ask(const struct steer *steer)
{
    bool is_route = strcmp(steer->words[0], "route") == 0;
    bool is_show = strcmp(steer->words[0], "show") == 0;
    struct steering steering = { .steer = steer, .is_list = is_route || is_show, .is_route = is_route };
    const struct controlclient_reader reader = { steering_row, steering_note, &steering };
    const char *words;
    if (!steer->is_json && is_show && steer->count > 1)
        steering.columns = tables_find(steer->words[1]);
    struct controlclient *client = steer_open(steer);
    if (!client)
        return STEER_UNREACHABLE;
    steering.notes = json_array();
    enum controlclient_end end = controlclient_ask(client, steer->words, steer->count, &reader, &words);
    char *kept = strdup(words);
    end = steer_ask_all_old(&steering, end, &kept);
    int status = steering_end(&steering, end, kept ? kept : "out of memory");
    free(kept);
    json_decref(steering.notes);
    controlclient_free(client);
    return status;
}

/* --- show users --- */

struct summing {
    json_t *users;
    bool (*add)(json_t *users, const json_t *row);
    bool has_failed;
};

static void summing_row(void *owner, json_t *row)
{
    struct summing *summing = owner;
    summing->has_failed |= !summing->add(summing->users, row);
}

static void summing_note(void *owner, const char *words)
{
    fprintf(stderr, "imapstatectl: note: %s\n", words);
}

/* "show clients", or parked, with the options of "show users". */
static enum controlclient_end summing_ask(struct summing *summing, struct controlclient *client,
                                          const struct steer *steer, const char *what, const char **ret_words)
{
    const struct controlclient_reader reader = { summing_row, summing_note, summing };
    struct steer other = *steer;
    other.words[1] = what;
    summing->add = strcmp(what, "clients") == 0 ? userlist_add_client : userlist_add_parked;
    return controlclient_ask(client, other.words, other.count, &reader, ret_words);
}

static int steer_show_users(const struct steer *steer)
{
    struct steering steering = { .steer = steer, .is_list = true };
    struct summing summing = { .users = userlist_new() };
    const char *words;
    struct controlclient *client = steer_open(steer);
    if (!client) {
        json_decref(summing.users);
        return STEER_UNREACHABLE;
    }
    steering.columns = steer->is_json ? NULL : tables_find("users");
    enum controlclient_end end = summing_ask(&summing, client, steer, "clients", &words);
    if (end == CONTROLCLIENT_DONE)
        end = summing_ask(&summing, client, steer, "parked", &words);
    json_t *rows = summing.has_failed ? NULL : userlist_rows(summing.users);
    if (!rows) {
        end = CONTROLCLIENT_FAILED;
        words = "out of memory";
    }
    for (size_t i = 0; i < json_array_size(rows); i++)
        steering_row(&steering, json_array_get(rows, i));
    int status = steering_end(&steering, end, words);
    json_decref(rows);
    json_decref(summing.users);
    controlclient_free(client);
    return status;
}

/* --- the command line --- */

static bool steer_is(const struct steer *steer, const char *first, const char *second)
{
    return strcmp(steer->words[0], first) == 0 &&
           (!second || (steer->count > 1 && strcmp(steer->words[1], second) == 0));
}

static int steer_top(const struct steer *steer)
{
    if (steer->count > 1)
        return steer_usage_error("one word too many: ", steer->words[1]);
    if (steer->is_json)
        return steer_usage_error("top is for people; --json goes with \"show\"", "");
    return top_command(steer->path);
}

/* Is it the first word of a command? The help has a line for each. Where no daemon can be asked, a word that is none
 * would look like a daemon that does not run. */
static bool steer_knows(const char *word)
{
    char line[32];
    int len = snprintf(line, sizeof line, "\n  %s ", word);
    return len < (int)sizeof line && strstr(steer_help, line);
}

/* Which of its arguments are right the daemon knows. Returns the exit status, or -1 to go on. */
static int steer_parse(struct steer *steer, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--json") == 0) {
            steer->is_json = true;
        } else if (strncmp(word, "--socket=", 9) == 0) {
            steer->path = word + 9;
        } else if (strcmp(word, "--socket") == 0) {
            if (++i == argc)
                return steer_usage_error("--socket wants a path", "");
            steer->path = argv[i];
        } else if (strcmp(word, "--help") == 0) {
            fputs(steer_help, stdout);
            return EXIT_SUCCESS;
        } else if (steer->count == STEER_WORDS_MAX) {
            return steer_usage_error("one word too many: ", word);
        } else {
            steer->words[steer->count++] = word;
        }
    }
    if (steer->count == 0)
        return steer_usage_error("a command is missing", "");
    return steer_knows(steer->words[0]) ? -1 : steer_usage_error("there is no such command: ", steer->words[0]);
}

int steer_command(int argc, char **argv)
{
    struct steer steer = { .path = CONTROLCLIENT_SOCKET };
    int status = steer_parse(&steer, argc, argv);
    if (status >= 0)
        return status;
    if (steer_is(&steer, "top", NULL))
        return steer_top(&steer);
    if (steer_is(&steer, "show", "users"))
        return steer_show_users(&steer);
    return steer_ask(&steer);
}
