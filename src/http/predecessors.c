#include "predecessors.h"

#include <dirent.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlsocket.h"
#include "figures.h"
#include "inherited.h"
#include "loop.h"
#include "timer.h"

/* Of a line; a figure's is far shorter. */
#define LINE_MAX_OCTETS 8192u

/* One that is being asked. */
struct predecessor {
    struct predecessors *all;
    struct bufferevent *stream; /* owned, and its descriptor; NULL: it has answered, or is not there */
    struct inherited said;
};

struct predecessors {
    struct loop *loop;               /* borrowed, both */
    const struct standing *standing; /* for where the control socket is */
    struct list requests;
    struct timer limit;
    size_t octets_left;
    struct predecessor asked[PREDECESSORS_MAX];
    size_t asked_count, waiting_count, silent_count;
    bool is_asking;
    struct inherited told_of[PREDECESSORS_MAX];
    struct inheritance told;
};

/* --- the answer --- */

static void predecessors_forget(struct predecessors *all)
{
    for (size_t i = 0; i < all->told.count; i++)
        inherited_done(&all->told_of[i]);
    all->told = (struct inheritance){ .of = all->told_of };
}

static void predecessors_end(struct predecessors *all)
{
    struct list waiting;
    timer_stop(&all->limit);
    predecessors_forget(all);
    all->told.silent = all->silent_count;
    for (size_t i = 0; i < all->asked_count; i++)
        if (all->asked[i].said.count > 0)
            all->told_of[all->told.count++] = all->asked[i].said;
    all->asked_count = 0;
    all->is_asking = false;
    /* Who asks anew in the meantime asks them anew. */
    list_init(&waiting);
    list_each_safe(link, &all->requests) list_move(link, &waiting);
    while (!list_is_empty(&waiting)) {
        struct predecessors_request *request = list_entry(waiting.next, struct predecessors_request, link);
        list_remove(&request->link);
        request->answered(request->asker);
    }
}

/* --- one of them --- */

/* What it has said so far is nothing if it has not said all. */
static void predecessor_end(struct predecessor *one, bool is_whole)
{
    struct predecessors *all = one->all;
    bufferevent_free(one->stream);
    one->stream = NULL;
    all->waiting_count--;
    all->silent_count += !is_whole;
    if (!is_whole)
        inherited_done(&one->said);
}

static void predecessors_go_on(struct predecessors *all)
{
    if (all->is_asking && all->waiting_count == 0)
        predecessors_end(all);
}

static enum inherited_end predecessor_read_lines(struct predecessor *one)
{
    struct evbuffer *in = bufferevent_get_input(one->stream);
    enum inherited_end end = INHERITED_GOES_ON;
    size_t len;
    for (char *line; end == INHERITED_GOES_ON && (line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF)); free(line))
        end = inherited_read(&one->said, line, len, &one->all->octets_left);
    return end == INHERITED_GOES_ON && evbuffer_get_length(in) >= LINE_MAX_OCTETS ? INHERITED_USELESS : end;
}

static void predecessor_on_read(struct bufferevent *stream, void *arg)
{
    struct predecessor *one = arg;
    enum inherited_end end = predecessor_read_lines(one);
    if (end == INHERITED_GOES_ON)
        return;
    predecessor_end(one, end == INHERITED_WHOLE);
    predecessors_go_on(one->all);
}

static void predecessor_on_event(struct bufferevent *stream, short what, void *arg)
{
    struct predecessor *one = arg;
    predecessor_end(one, false);
    predecessors_go_on(one->all);
}

/* -1: errno. A socket whose queue is full does not answer in time (EAGAIN); one that nobody listens at is left over. */
static int predecessor_connect(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool predecessor_begin(struct predecessor *one, int fd)
{
    static const char question[] = "[\"show\",\"counters\",\"--all\"]\n";
    one->stream = bufferevent_socket_new(one->all->loop->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!one->stream) {
        close(fd);
        return false;
    }
    one->all->waiting_count++;
    bufferevent_setcb(one->stream, predecessor_on_read, NULL, predecessor_on_event, one);
    bufferevent_setwatermark(one->stream, EV_READ, 0, LINE_MAX_OCTETS);
    bool is_asked = bufferevent_write(one->stream, question, sizeof question - 1) == 0 &&
                    bufferevent_enable(one->stream, EV_READ | EV_WRITE) == 0;
    if (!is_asked)
        predecessor_end(one, false);
    return true;
}

/* --- all of them --- */

/* process: the end of its path. */
static void predecessors_add(struct predecessors *all, const char *path, const char *process)
{
    struct predecessor *one = &all->asked[all->asked_count];
    int fd = predecessor_connect(path);
    if (fd < 0) {
        all->silent_count += errno != ECONNREFUSED && errno != ENOENT;
    } else if (all->asked_count == PREDECESSORS_MAX) {
        close(fd);
        all->silent_count++;
    } else if (!inherited_init(&one->said, process)) {
        close(fd);
    } else {
        one->all = all;
        all->asked_count++;
        all->silent_count += !predecessor_begin(one, fd);
    }
}

static void predecessors_look_in(struct predecessors *all, DIR *folder, const char *path, size_t folder_len)
{
    const char *name = path + folder_len;
    size_t len = strlen(name);
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char *old = NULL;
        if (strncmp(entry->d_name, name, len) == 0 && strncmp(entry->d_name + len, ".old-", 5) == 0 &&
            asprintf(&old, "%.*s%s", (int)folder_len, path, entry->d_name) >= 0)
            predecessors_add(all, old, entry->d_name + len + 1);
        free(old);
    }
}

static void predecessors_find(struct predecessors *all, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t folder_len = slash ? (size_t)(slash - path) + 1 : 0;
    char *folder_path = folder_len ? strndup(path, folder_len) : strdup(".");
    DIR *folder = folder_path ? opendir(folder_path) : NULL;
    if (folder)
        predecessors_look_in(all, folder, path, folder_len);
    if (folder)
        closedir(folder);
    free(folder_path);
}

static void predecessors_on_limit(void *owner)
{
    struct predecessors *all = owner;
    for (size_t i = 0; i < all->asked_count; i++)
        if (all->asked[i].stream)
            predecessor_end(&all->asked[i], false);
    predecessors_go_on(all);
}

void predecessors_ask(struct predecessors *all, struct predecessors_request *request)
{
    const struct controlsocket *control = all->standing->control;
    list_init(&request->link);
    list_move(&request->link, &all->requests);
    if (all->is_asking)
        return;
    all->is_asking = true;
    all->octets_left = PREDECESSORS_OCTETS_MAX;
    all->silent_count = 0;
    timer_set(&all->limit, PREDECESSORS_LIMIT_MS);
    if (control && control->path)
        predecessors_find(all, control->path);
    predecessors_go_on(all);
}

void predecessors_withdraw(struct predecessors_request *request)
{
    if (request->link.next)
        list_remove(&request->link);
}

const struct inheritance *predecessors_told(const struct predecessors *all)
{
    return &all->told;
}

/* --- life --- */

struct predecessors *predecessors_new(struct loop *loop, const struct standing *standing)
{
    struct predecessors *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->loop = loop;
    all->standing = standing;
    all->told.of = all->told_of;
    list_init(&all->requests);
    timer_init(&all->limit, loop, predecessors_on_limit, all);
    return all;
}

void predecessors_free(struct predecessors *all)
{
    if (!all)
        return;
    timer_stop(&all->limit);
    list_each_safe(link, &all->requests) list_remove(link);
    for (size_t i = 0; i < all->asked_count; i++) {
        if (all->asked[i].stream)
            bufferevent_free(all->asked[i].stream);
        inherited_done(&all->asked[i].said);
    }
    predecessors_forget(all);
    free(all);
}
