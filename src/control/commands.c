#include "commands.h"

#include <imapstate/keyring.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "actions.h"
#include "clientlist.h"
#include "config.h"
#include "controlline.h"
#include "effective.h"
#include "reply.h"

#include "kick.h"
#include "log.h"
#include "loguser.h"
#include "outage.h"
#include "park.h"
#include "parkedlist.h"
#include "revoke.h"
#include "routelist.h"
#include "scope.h"
#include "sectionlist.h"
#include "service.h"
#include "username.h"

typedef void command_run(const struct scope *scope, const struct controlline *line, struct reply *reply);

static const struct config *commands_config(const struct scope *scope)
{
    return scope->actions->service(scope->actions->owner)->config;
}

/* --- show --- */

static json_t *key_row(const struct imapstate_keyring *keyring, const struct imapstate_key *key, uint64_t now_s)
{
    struct imapstate_key sealing;
    char time[IMAPSTATE_KEY_TIME_SIZE];
    bool is_sealing = imapstate_keyring_sealing(keyring, now_s, &sealing) && sealing.id == key->id;
    bool has_time = imapstate_key_time_format(key->seals_from_s, time);
    return json_pack("{so ss? ss}", "id", json_sprintf("%08x", key->id), "seals_from", has_time ? time : NULL, "now",
                     key->seals_from_s > now_s ? "opens; seals from then on"
                     : is_sealing              ? "opens and seals"
                                               : "opens");
}

static void command_show_keys(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    const struct service *service = scope->actions->service(scope->actions->owner);
    uint64_t now_s = (uint64_t)time(NULL);
    struct imapstate_key key;
    size_t count = 0;
    for (; imapstate_keyring_at(service->keyring, count, &key); count++)
        reply_put_row(reply, key_row(service->keyring, &key, now_s));
    if (service->has_ephemeral_key)
        reply_put_note(reply, "there is no keys_file: this key ends with the process");
    reply_end(reply, REPLY_DONE, "%zu %s", count, count == 1 ? "key" : "keys");
}

/* A line of it for each row: what the daemon runs by, with what was not given. */
static void command_show_config(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    char *text = NULL, *rest;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out) {
        effective_print(commands_config(scope), out);
        fclose(out);
    }
    for (char *at = text ? strtok_r(text, "\n", &rest) : NULL; at; at = strtok_r(NULL, "\n", &rest))
        reply_put_row(reply, json_pack("{ss}", "line", at));
    if (text)
        reply_end(reply, REPLY_DONE, "%s", commands_config(scope)->path);
    else
        reply_end(reply, REPLY_FAILED, "out of memory");
    free(text);
}

/* --- steering --- */

/* Is a member meant by text: all of it, its host, or the first label of that? The worse may mean several. */
enum { MEMBER_NOT, MEMBER_SHORT, MEMBER_HOST, MEMBER_WHOLE };

static int member_fits(const struct config_member *member, const char *text)
{
    size_t len = strlen(text), label = strcspn(member->host, ".");
    if (strcmp(member->text, text) == 0)
        return MEMBER_WHOLE;
    if (strcmp(member->host, text) == 0)
        return MEMBER_HOST;
    return len > 0 && len == label && strncmp(member->host, text, len) == 0 ? MEMBER_SHORT : MEMBER_NOT;
}

/* False after it has ended the answer. */
static bool command_find_member(const struct config_upstream *upstream, const char *text, struct reply *reply,
                                const struct config_member **ret_member)
{
    int best = MEMBER_NOT;
    unsigned count = 0;
    for (size_t i = 0; i < upstream->member_count; i++) {
        int fit = member_fits(&upstream->members[i], text);
        count = fit > best ? 1 : count + (fit == best && fit != MEMBER_NOT);
        if (fit > best)
            *ret_member = &upstream->members[i];
        best = fit > best ? fit : best;
    }
    if (count == 0)
        reply_end(reply, REPLY_FAILED, "the upstream has no such member");
    else if (count > 1)
        reply_end(reply, REPLY_FAILED, "several members of the upstream are meant by this: write one in full");
    return count == 1;
}

/* "NAME" or "NAME:MEMBER"; *ret_member is NULL for the whole upstream. False after it has ended the answer. */
static bool command_find_place(const struct config *config, const char *text, struct reply *reply,
                               const struct config_upstream **ret_upstream, const struct config_member **ret_member)
{
    const struct config_upstream *found = NULL;
    *ret_member = NULL;
    for (size_t i = 0; i < config->upstream_count; i++) {
        const struct config_upstream *upstream = &config->upstreams[i];
        size_t len = strlen(upstream->name);
        bool is_whole = strcmp(upstream->name, text) == 0;
        if (is_whole || (!found && strncmp(upstream->name, text, len) == 0 && text[len] == ':'))
            found = upstream;
        if (is_whole)
            break;
    }
    *ret_upstream = found;
    if (!found) {
        reply_end(reply, REPLY_FAILED, "there is no upstream of this name");
        return false;
    }
    size_t len = strlen(found->name);
    return text[len] == '\0' || command_find_member(found, text + len + 1, reply, ret_member);
}

static void command_take_down(const char *upstream, const char *member, enum outage_kind kind, const char *written,
                              struct reply *reply)
{
    if (!outage_begin(upstream, member, kind)) {
        reply_end(reply, REPLY_FAILED, "out of memory");
        return;
    }
    unsigned ended = park_give_up_all(upstream, member);
    log_info("control: upstream=%s is %s: %u parked connections ended", written, outage_names[kind], ended);
    reply_end(reply, REPLY_DONE,
              "no connection to it is opened any more; %u parked ended; sessions that have one go on", ended);
}

static void command_bring_up(const char *upstream, const char *member, const char *written, struct reply *reply)
{
    outage_end(upstream, member);
    log_info("control: upstream=%s is up", written);
    reply_end(reply, REPLY_DONE, "connections to it are opened again");
}

static void command_upstream(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    const struct config_upstream *upstream;
    const struct config_member *member;
    const char *name = line->words[1], *what = line->words[2];
    enum outage_kind kind = strcmp(what, "down") == 0    ? OUTAGE_DOWN
                            : strcmp(what, "drain") == 0 ? OUTAGE_DRAINING
                                                         : OUTAGE_NONE;
    if (kind == OUTAGE_NONE && strcmp(what, "up") != 0) {
        reply_end(reply, REPLY_USAGE, "an upstream can be \"up\", \"down\" or \"drain\"");
    } else if (outage_is(name, NULL) && kind == OUTAGE_NONE) { /* it may be gone from the configuration */
        command_bring_up(name, NULL, name, reply);
    } else if (command_find_place(commands_config(scope), name, reply, &upstream, &member)) {
        const char *text = member ? member->text : NULL;
        if (kind == OUTAGE_NONE)
            command_bring_up(upstream->name, text, name, reply);
        else
            command_take_down(upstream->name, text, kind, name, reply);
    }
}

static bool command_log_user(const char *level, const char *written, struct reply *reply)
{
    struct imapstate_buf user;
    imapstate_buf_init(&user, LOGUSER_NAME_MAX);
    bool is_debug = strcmp(level, "debug") == 0, is_read = username_read(written, &user);
    bool is_done =
        is_read && (is_debug ? loguser_add(imapstate_buf_span(&user)) : loguser_remove(imapstate_buf_span(&user)));
    if (is_done)
        reply_end(reply, REPLY_DONE,
                  is_debug ? "sessions of %s are logged at debug" : "sessions of %s are logged as all are", written);
    else
        reply_end(reply, REPLY_FAILED,
                  is_debug ? "%s cannot be added: too many users, or no such name can be"
                           : "%s is logged as all are already",
                  written);
    imapstate_buf_done(&user);
    return is_done;
}

static void command_log(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = { { "error", LOG_LEVEL_ERROR },
                   { "warning", LOG_LEVEL_WARNING },
                   { "info", LOG_LEVEL_INFO },
                   { "debug", LOG_LEVEL_DEBUG } };
    const char *name = line->words[1];
    size_t i = 0;
    while (i < sizeof levels / sizeof *levels && strcmp(levels[i].name, name) != 0)
        i++;
    if (i == sizeof levels / sizeof *levels) {
        reply_end(reply, REPLY_USAGE, "a level is \"error\", \"warning\", \"info\" or \"debug\"");
    } else if (line->word_count > 2) {
        if (command_log_user(name, line->words[2], reply))
            log_info("control: log %s for one user", name);
    } else {
        log_info("control: log %s", name);
        log_set_level(levels[i].level);
        reply_end(reply, REPLY_DONE, "the level is %s until a reload", name);
    }
}

static void command_cannot(struct reply *reply)
{
    reply_end(reply, REPLY_FAILED, "this daemon cannot do that");
}

static void command_show_counters(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    if (scope->actions->show_counters)
        scope->actions->show_counters(scope->actions->owner, line->is_all, reply);
    else
        command_cannot(reply);
}

static void command_reload(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    if (scope->actions->reload)
        scope->actions->reload(scope->actions->owner, reply);
    else
        command_cannot(reply);
}

static void command_upgrade(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    if (scope->actions->upgrade)
        scope->actions->upgrade(scope->actions->owner, reply);
    else
        command_cannot(reply);
}

/* NULL: all of them. False after it has ended the answer. */
static bool command_listener(const struct scope *scope, const struct controlline *line, struct reply *reply,
                             const char **ret_name)
{
    const struct config *config = commands_config(scope);
    *ret_name = line->word_count > 1 ? line->words[1] : NULL;
    bool is_known = !*ret_name;
    for (size_t i = 0; i < config->listener_count && !is_known; i++)
        is_known = strcmp(config->listeners[i].name, *ret_name) == 0;
    if (!is_known)
        reply_end(reply, REPLY_FAILED, "there is no listener of this name");
    return is_known;
}

static void command_drain(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    const char *listener;
    if (!command_listener(scope, line, reply, &listener))
        return;
    if (scope->actions->drain)
        scope->actions->drain(scope->actions->owner, listener, reply);
    else
        command_cannot(reply);
}

static void command_resume(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    const char *listener;
    if (!command_listener(scope, line, reply, &listener))
        return;
    if (scope->actions->resume)
        scope->actions->resume(scope->actions->owner, listener, reply);
    else
        command_cannot(reply);
}

/* --- all of them --- */

/* SETTLED is no option: while another process takes over, it would not hear of the change. */
enum { BY_USER = 1, BY_UPSTREAM = 2, BY_ADDRESS = 4, FOR_ALL = 8, SETTLED = 16 };

struct command {
    const char *name, *what;     /* what: its second word, if it is a part of its name */
    size_t words_min, words_max; /* beside the name */
    unsigned options;            /* set of the above */
    const char *usage;           /* its words beside the name */
    command_run *run;
};

/* clang-format off */
static const struct command commands[] = {
    { "show",     "clients",   0, 0, BY_USER | BY_UPSTREAM | BY_ADDRESS, "[--user USER] [--upstream NAME] [--address ADDRESS]", clientlist_show },
    { "show",     "upstreams", 0, 0, BY_UPSTREAM, "[--upstream NAME]", sectionlist_show_upstreams },
    { "show",     "parked",    0, 0, BY_USER | BY_UPSTREAM | BY_ADDRESS, "[--user USER] [--upstream NAME] [--address ADDRESS]", parkedlist_show },
    { "show",     "listeners", 0, 0, BY_UPSTREAM, "[--upstream NAME]", sectionlist_show_listeners },
    { "show",     "keys",      0, 0, 0, "", command_show_keys },
    { "show",     "config",    0, 0, 0, "", command_show_config },
    { "show",     "counters",  0, 0, FOR_ALL, "[--all]", command_show_counters },
    { "route",    NULL,        1, 1, 0, "USER", routelist_show },
    { "kick",     NULL,        1, 1, 0, "USER|#CLIENT", kick },
    { "forget",   NULL,        0, 1, FOR_ALL, "USER|--all", forget_command },
    { "revoke",   NULL,        0, 1, FOR_ALL | SETTLED, "USER|--all", revoke_command },
    { "drain",    NULL,        0, 1, SETTLED, "[LISTENER]", command_drain },
    { "resume",   NULL,        0, 1, SETTLED, "[LISTENER]", command_resume },
    { "upstream", NULL,        2, 2, SETTLED, "NAME[:MEMBER] up|down|drain", command_upstream },
    { "log",      NULL,        1, 2, SETTLED, "error|warning|info|debug [USER]", command_log },
    { "reload",   NULL,        0, 0, SETTLED, "", command_reload },
    { "upgrade",  NULL,        0, 0, 0, "", command_upgrade },
};
/* clang-format on */

static size_t command_name_words(const struct command *command)
{
    return command->what ? 2 : 1;
}

static const struct command *commands_find(const struct controlline *line)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const struct command *command = &commands[i];
        bool has_what = !command->what || (line->word_count > 1 && strcmp(command->what, line->words[1]) == 0);
        if (has_what && strcmp(command->name, line->words[0]) == 0)
            return command;
    }
    return NULL;
}

static unsigned commands_options(const struct controlline *line)
{
    return (line->user ? BY_USER : 0u) | (line->upstream ? BY_UPSTREAM : 0u) | (line->address ? BY_ADDRESS : 0u) |
           (line->is_all ? FOR_ALL : 0u);
}

static bool command_fits(const struct command *command, const struct controlline *line)
{
    size_t words = line->word_count - command_name_words(command);
    for (size_t i = 0; i < line->word_count; i++)
        if (!*line->words[i])
            return false;
    return words >= command->words_min && words <= command->words_max &&
           (commands_options(line) & ~command->options) == 0;
}

static bool commands_is_unsettled(const struct scope *scope)
{
    return scope->actions->is_under_way && scope->actions->is_under_way(scope->actions->owner);
}

static void commands_run(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    const struct command *command = commands_find(line);
    if (!command)
        reply_end(reply, REPLY_USAGE, "there is no command \"%.40s%s%.40s\"", line->words[0],
                  line->word_count > 1 ? " " : "", line->word_count > 1 ? line->words[1] : "");
    else if (!command_fits(command, line))
        reply_end(reply, REPLY_USAGE, "usage: %s%s%s %s", command->name, command->what ? " " : "",
                  command->what ? command->what : "", command->usage);
    else if ((command->options & SETTLED) && commands_is_unsettled(scope))
        reply_end(reply, REPLY_FAILED, "an upgrade is under way: nothing is changed until it has ended");
    else
        command->run(scope, line, reply);
}

void commands_obey(const struct scope *scope, struct imapstate_span text, struct reply *reply)
{
    struct controlline line;
    char wrong[CONTROLLINE_WRONG_MAX];
    if (!controlline_read(text, &line, wrong)) {
        reply_end(reply, REPLY_USAGE, "%s", wrong);
        return;
    }
    commands_run(scope, &line, reply);
    controlline_done(&line);
}
