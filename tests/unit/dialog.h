/* dialog: what two peers say to the gateway between them, cut in every way, for tests of a session. Behind check.h. */
#ifndef TEST_DIALOG_H
#define TEST_DIALOG_H

#include <errno.h>
#include <imapstate/span.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

enum dialog_step {
    DIALOG_END, /* of the steps */
    CLIENT,     /* says */
    SERVER,
    CLIENT_ENDS, /* end of file */
    SERVER_ENDS,
    CLIENT_IS_LOST,
    SERVER_IS_LOST,
    CLIENT_COMES,   /* another one, which is greeted: from here on it is the client */
    SERVER_COMES,   /* the connection that the gateway has asked for is made: from here on it is the server */
    SERVER_REFUSES, /* it is not made */
    CLIENT_BEFORE,  /* the client is again the one before */
    SERVER_BEFORE,  /* the server is */
    WAIT,           /* as many milliseconds as says tells */
    SWEEP,          /* the janitor's second */
    STOP,           /* the daemon ends */
};

#define DIALOG_PEERS_MAX 6u

struct dialog {
    const char *name;
    struct {
        enum dialog_step step;
        const char *says;
    } steps[24];
    /* All that each hears. Behind it there is "<end>" where the gateway has ended the connection; "<next>" between two
     * of the same kind, in the order in which they came. "<asked>": the gateway waits for a connection to the server;
     * "<not asked>": it did not ask for the one that came. */
    const char *server_hears, *client_hears;
};

/* If there is one, "$" stands for it in what is said and heard; for any other token that is told, "$other" does. */
static const char *dialog_token;

/* Where a dialog is cut: this step in two, or all into single octets. */
struct dialog_cut {
    size_t step, at;
    bool is_everywhere;
};

struct dialog_peers {
    struct wire *wires[DIALOG_PEERS_MAX];
    size_t count, at;
};

struct dialog_world {
    struct rig rig;
    struct dialog_peers clients, servers;
    bool was_not_asked;
};

static inline void dialog_add_peer(struct dialog_peers *peers, struct wire *wire)
{
    if (!wire)
        return;
    assert_true(peers->count < DIALOG_PEERS_MAX);
    peers->at = peers->count;
    peers->wires[peers->count++] = wire;
}

static inline struct wire *dialog_peer(const struct dialog_peers *peers)
{
    assert_true(peers->count > 0);
    return peers->wires[peers->at];
}

#define DIALOG_HEARD_MAX 16384u

static inline void dialog_replace(const char *from, const char *what, const char *by, char ret_to[DIALOG_HEARD_MAX])
{
    size_t what_len = what ? strlen(what) : 0, len = 0;
    while (*from && len + strlen(by) + 1 < DIALOG_HEARD_MAX) {
        bool is_it = what_len > 0 && strncmp(from, what, what_len) == 0;
        len += (size_t)sprintf(ret_to + len, "%.*s", is_it ? (int)strlen(by) : 1, is_it ? by : from);
        from += is_it ? what_len : 1;
    }
    ret_to[len] = '\0';
}

static inline void dialog_say(struct dialog_world *world, const struct dialog_peers *peers, const char *says,
                              const struct dialog_cut *cut, bool is_here)
{
    char text[DIALOG_HEARD_MAX];
    dialog_replace(says, dialog_token ? "$" : NULL, dialog_token ? dialog_token : "", text);
    size_t len = strlen(text);
    for (size_t from = 0, to; from < len; from = to) {
        to = cut->is_everywhere ? from + 1 : is_here && from < cut->at ? cut->at : len;
        wire_feed(dialog_peer(peers), (struct imapstate_span){ (const uint8_t *)text + from, to - from });
        rig_pass(&world->rig, 0);
    }
}

static inline void dialog_server_comes(struct dialog_world *world, bool is_refused)
{
    struct wire *wire = wire_asked();
    if (!wire)
        world->was_not_asked = true;
    else if (is_refused)
        wire_refuse(wire, ECONNREFUSED);
    else
        dialog_add_peer(&world->servers, rig_server(&world->rig));
}

static inline void dialog_play_step(struct dialog_world *world, const struct dialog *dialog, size_t step,
                                    const struct dialog_cut *cut)
{
    const char *says = dialog->steps[step].says;
    switch (dialog->steps[step].step) {
    case CLIENT:
        dialog_say(world, &world->clients, says, cut, step == cut->step);
        break;
    case SERVER:
        dialog_say(world, &world->servers, says, cut, step == cut->step);
        break;
    case CLIENT_ENDS:
        wire_end(dialog_peer(&world->clients));
        break;
    case SERVER_ENDS:
        wire_end(dialog_peer(&world->servers));
        break;
    case CLIENT_IS_LOST:
        wire_reset(dialog_peer(&world->clients));
        break;
    case SERVER_IS_LOST:
        wire_reset(dialog_peer(&world->servers));
        break;
    case CLIENT_COMES:
        dialog_add_peer(&world->clients, rig_come(&world->rig));
        break;
    case SERVER_COMES:
        dialog_server_comes(world, false);
        break;
    case SERVER_REFUSES:
        dialog_server_comes(world, true);
        break;
    case CLIENT_BEFORE:
        world->clients.at--;
        break;
    case SERVER_BEFORE:
        world->servers.at--;
        break;
    case WAIT:
        rig_pass(&world->rig, strtoull(says, NULL, 10));
        break;
    case SWEEP:
        rig_sweep(&world->rig);
        break;
    case STOP:
        rig_stop(&world->rig);
        break;
    case DIALOG_END:
        break;
    }
    rig_pass(&world->rig, 0);
}

/* A token that is not the known one is another at each time. */
static inline void dialog_hide_tokens(char heard[DIALOG_HEARD_MAX])
{
    static const char before[] = "* SAVESTATE ";
    char known[DIALOG_HEARD_MAX];
    dialog_replace(heard, dialog_token, "$", known);
    snprintf(heard, DIALOG_HEARD_MAX, "%s", known);
    for (char *at = heard; (at = strstr(at, before)); at++) {
        char *token = at + strlen(before);
        size_t len = strcspn(token, "\r");
        if (*token == '$' || len < strlen("$other"))
            continue;
        memmove(token + strlen("$other"), token + len, strlen(token + len) + 1);
        memcpy(token, "$other", strlen("$other"));
    }
}

static inline void dialog_hear(const struct dialog_peers *peers, char ret_heard[DIALOG_HEARD_MAX])
{
    size_t len = 0;
    *ret_heard = '\0';
    for (size_t i = 0; i < peers->count; i++) {
        struct wire *wire = peers->wires[i];
        len += (size_t)snprintf(ret_heard + len, DIALOG_HEARD_MAX - len, "%s%s%s", i > 0 ? "<next>" : "",
                                wire_take(wire), wire->is_closed || wire->is_shut ? "<end>" : "");
        assert_true(len < DIALOG_HEARD_MAX);
    }
    dialog_hide_tokens(ret_heard);
}

static inline bool dialog_check(const struct dialog *dialog, const char *who, const char *heard, const char *want,
                                const struct dialog_cut *cut)
{
    bool is_right = strcmp(heard, want) == 0;
    if (!is_right)
        print_error("row \"%s\" (cut: step %zu at %zu%s): the %s hears\n%s\nrather than\n%s\n", dialog->name, cut->step,
                    cut->at, cut->is_everywhere ? ", everywhere" : "", who, heard, want);
    return is_right;
}

/* Who plays it: begin makes the session, and gives both peers' ends, of which all has been taken. The server: NULL if
 * there is none yet. */
typedef void dialog_begin(struct rig *rig, struct wire **ret_client, struct wire **ret_server);

static inline bool dialog_play(const struct dialog *dialog, dialog_begin *begin, const struct dialog_cut *cut)
{
    struct dialog_world world = { 0 };
    struct wire *client, *server = NULL;
    char server_hears[DIALOG_HEARD_MAX], client_hears[DIALOG_HEARD_MAX];
    begin(&world.rig, &client, &server);
    dialog_add_peer(&world.clients, client);
    dialog_add_peer(&world.servers, server);
    for (size_t step = 0; dialog->steps[step].step != DIALOG_END; step++)
        dialog_play_step(&world, dialog, step, cut);
    dialog_hear(&world.servers, server_hears);
    dialog_hear(&world.clients, client_hears);
    strcat(server_hears, world.was_not_asked ? "<not asked>" : wire_asked() ? "<asked>" : "");
    rig_end(&world.rig); /* first: what fails is not to be in the next one's way */
    bool is_right = dialog_check(dialog, "server", server_hears, dialog->server_hears, cut);
    return dialog_check(dialog, "client", client_hears, dialog->client_hears, cut) && is_right;
}

/* As it is, cut once at each octet of either side, and all octets by themselves; until one way goes wrong. */
static inline bool dialog_play_in_all_ways(const struct dialog *dialog, dialog_begin *begin)
{
    bool is_right = dialog_play(dialog, begin, &(struct dialog_cut){ 0 });
    for (size_t step = 0; dialog->steps[step].step != DIALOG_END; step++) {
        bool is_said = dialog->steps[step].step == CLIENT || dialog->steps[step].step == SERVER;
        size_t len = is_said ? strlen(dialog->steps[step].says) : 0;
        for (size_t at = 1; is_right && at < len; at++)
            is_right = dialog_play(dialog, begin, &(struct dialog_cut){ .step = step, .at = at });
    }
    return is_right && dialog_play(dialog, begin, &(struct dialog_cut){ .is_everywhere = true });
}

static inline void dialog_play_all(const struct dialog *dialogs, size_t count, dialog_begin *begin)
{
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong += !dialog_play_in_all_ways(&dialogs[i], begin);
    assert_int_equal(wrong, 0);
}

#endif
