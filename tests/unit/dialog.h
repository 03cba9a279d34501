/* dialog: what two peers say to the gateway between them, cut in every way, for tests of a session. Behind check.h. */
#ifndef TEST_DIALOG_H
#define TEST_DIALOG_H

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
    WAIT, /* as many milliseconds as says tells */
};

struct dialog {
    const char *name;
    struct {
        enum dialog_step step;
        const char *says;
    } steps[16];
    /* All that each hears. Behind it there is "<end>" where the gateway has ended the connection. */
    const char *server_hears, *client_hears;
};

/* Where a dialog is cut: this step in two, or all into single octets. */
struct dialog_cut {
    size_t step, at;
    bool is_everywhere;
};

static inline void dialog_put(struct rig *rig, struct wire *wire, const char *text, const struct dialog_cut *cut,
                              bool is_here)
{
    size_t len = strlen(text);
    for (size_t from = 0, to; from < len; from = to) {
        to = cut->is_everywhere ? from + 1 : is_here && from < cut->at ? cut->at : len;
        wire_feed(wire, (struct imapstate_span){ (const uint8_t *)text + from, to - from });
        rig_pass(rig, 0);
    }
}

static inline void dialog_play_step(struct rig *rig, struct wire *client, struct wire *server,
                                    const struct dialog *dialog, size_t step, const struct dialog_cut *cut)
{
    const char *says = dialog->steps[step].says;
    switch (dialog->steps[step].step) {
    case CLIENT:
        dialog_put(rig, client, says, cut, step == cut->step);
        break;
    case SERVER:
        dialog_put(rig, server, says, cut, step == cut->step);
        break;
    case CLIENT_ENDS:
        wire_end(client);
        break;
    case SERVER_ENDS:
        wire_end(server);
        break;
    case CLIENT_IS_LOST:
        wire_reset(client);
        break;
    case SERVER_IS_LOST:
        wire_reset(server);
        break;
    case WAIT:
        rig_pass(rig, strtoull(says, NULL, 10));
        break;
    case DIALOG_END:
        break;
    }
    rig_pass(rig, 0);
}

#define DIALOG_HEARD_MAX 8192u

static inline void dialog_hear(struct wire *wire, char ret_heard[DIALOG_HEARD_MAX])
{
    snprintf(ret_heard, DIALOG_HEARD_MAX, "%s%s", wire_take(wire), wire->is_closed || wire->is_shut ? "<end>" : "");
}

static inline void dialog_check(const struct dialog *dialog, const char *who, const char *heard, const char *want)
{
    if (strcmp(heard, want) != 0)
        fail_msg("row \"%s\": the %s hears\n%s\nrather than\n%s", dialog->name, who, heard, want);
}

/* Who plays it: begin makes the session, and gives both peers' ends, of which all has been taken. */
typedef void dialog_begin(struct rig *rig, struct wire **ret_client, struct wire **ret_server);

static inline void dialog_play(const struct dialog *dialog, dialog_begin *begin, const struct dialog_cut *cut)
{
    struct rig rig;
    struct wire *client, *server;
    char server_hears[DIALOG_HEARD_MAX], client_hears[DIALOG_HEARD_MAX];
    begin(&rig, &client, &server);
    for (size_t step = 0; dialog->steps[step].step != DIALOG_END; step++)
        dialog_play_step(&rig, client, server, dialog, step, cut);
    dialog_hear(server, server_hears);
    dialog_hear(client, client_hears);
    rig_end(&rig); /* first: what fails is not to be in the next one's way */
    dialog_check(dialog, "server", server_hears, dialog->server_hears);
    dialog_check(dialog, "client", client_hears, dialog->client_hears);
}

/* As it is, cut once at each octet of either side, and all octets by themselves. */
static inline void dialog_play_in_all_ways(const struct dialog *dialog, dialog_begin *begin)
{
    dialog_play(dialog, begin, &(struct dialog_cut){ 0 });
    for (size_t step = 0; dialog->steps[step].step != DIALOG_END; step++) {
        size_t len =
            dialog->steps[step].says && dialog->steps[step].step != WAIT ? strlen(dialog->steps[step].says) : 0;
        for (size_t at = 1; at < len; at++)
            dialog_play(dialog, begin, &(struct dialog_cut){ .step = step, .at = at });
    }
    dialog_play(dialog, begin, &(struct dialog_cut){ .is_everywhere = true });
}

#endif
