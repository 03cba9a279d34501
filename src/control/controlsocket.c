#include "controlsocket.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config.h"

#define CONTROLSOCKET_BACKLOG 64
/* Of a peer's groups as many are looked at. */
#define CONTROLSOCKET_GROUPS_MAX 256u

void controlsocket_init(struct controlsocket *control)
{
    *control = (struct controlsocket){ .fd = -1 };
}

/* --- opening --- */

/* A refused connection is the one proof that nobody listens. NULL, or why there is no room. */
static const char *controlsocket_clear_path(const struct sockaddr_un *address)
{
    struct stat found;
    if (lstat(address->sun_path, &found) < 0)
        return errno == ENOENT ? NULL : strerror(errno);
    if (!S_ISSOCK(found.st_mode))
        return "something other than a socket has that name; it was left as it is";
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return strerror(errno);
    bool is_left_behind = connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno == ECONNREFUSED;
    close(fd);
    if (!is_left_behind)
        return "another program may be listening there";
    return unlink(address->sun_path) == 0 ? NULL : strerror(errno);
}

/* Nobody can connect before it belongs to whom it is to belong to: until then it has no permissions. */
static bool controlsocket_bind(struct controlsocket *control, const struct sockaddr_un *address, mode_t mode)
{
    struct stat file;
    control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (control->fd < 0)
        return false;
    mode_t mask = umask(0777);
    bool is_bound = bind(control->fd, (const struct sockaddr *)address, sizeof *address) == 0;
    umask(mask);
    if (!is_bound || lstat(address->sun_path, &file) < 0)
        return false;
    control->device = file.st_dev;
    control->inode = file.st_ino;
    control->path = strdup(address->sun_path);
    return control->path && (file.st_gid == control->group || lchown(control->path, (uid_t)-1, control->group) == 0) &&
           chmod(control->path, mode) == 0 && listen(control->fd, CONTROLSOCKET_BACKLOG) == 0;
}

/* Without a name it is the group that the daemon will be of. */
static const char *controlsocket_find_group(struct controlsocket *control, const struct config *config)
{
    const char *name = *config->control.group ? config->control.group : config->group;
    const struct group *group = *name ? getgrnam(name) : NULL;
    const struct passwd *user = !*name && *config->user ? getpwnam(config->user) : NULL;
    control->group = group ? group->gr_gid : user ? user->pw_gid : getegid();
    return *name && !group ? "there is no such group" : NULL;
}

/* NULL, or what is wrong. */
static const char *controlsocket_try(struct controlsocket *control, const struct config *config, bool has_predecessor)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char path[sizeof address.sun_path + 1];
    int len = snprintf(path, sizeof path, has_predecessor ? "%s.new-%d" : "%s", config->control.socket, (int)getpid());
    if (len < 0 || (size_t)len >= sizeof address.sun_path)
        return "the path is too long for a unix socket";
    memcpy(address.sun_path, path, (size_t)len);
    const char *wrong = controlsocket_find_group(control, config);
    if (!wrong)
        wrong = controlsocket_clear_path(&address);
    if (!wrong && !controlsocket_bind(control, &address, config->control.mode))
        wrong = strerror(errno);
    if (!wrong && has_predecessor && !(control->place = strdup(config->control.socket)))
        wrong = strerror(ENOMEM);
    return wrong;
}

bool controlsocket_open(struct controlsocket *control, const struct config *config, bool has_predecessor, FILE *errors)
{
    if (!config->control.is_on)
        return true;
    const char *wrong = controlsocket_try(control, config, has_predecessor);
    if (!wrong)
        return true;
    fprintf(errors, "%s: control: socket \"%s\", group \"%s\": %s\n", config->path, config->control.socket,
            config->control.group, wrong);
    controlsocket_done(control);
    return false;
}

/* --- its file --- */

static bool controlsocket_is_own(const struct controlsocket *control)
{
    struct stat found;
    return control->path && lstat(control->path, &found) == 0 && found.st_dev == control->device &&
           found.st_ino == control->inode;
}

void controlsocket_done(struct controlsocket *control)
{
    if (controlsocket_is_own(control))
        unlink(control->path);
    if (control->fd >= 0)
        close(control->fd);
    free(control->path);
    free(control->place);
    controlsocket_init(control);
}

/* Owned; NULL: out of memory. */
static char *controlsocket_old_path(const char *path, pid_t pid)
{
    char *old = NULL;
    return asprintf(&old, "%s.old-%d", path, (int)pid) < 0 ? NULL : old;
}

bool controlsocket_may_take_place(const struct controlsocket *control, const struct config *config, FILE *errors)
{
    if (!control->place)
        return true;
    char *copy = strdup(control->place);
    bool may = copy && access(dirname(copy), W_OK | X_OK) == 0;
    if (!may)
        fprintf(errors, "%s: control: socket \"%s\" could not be replaced: its folder: %s\n", config->path,
                control->place, strerror(errno));
    free(copy);
    return may;
}

/* As its link the other one's socket stays where it is until ours is put in its place. */
bool controlsocket_take_place(struct controlsocket *control, pid_t predecessor)
{
    if (!control->place)
        return true;
    char *old = controlsocket_old_path(control->place, predecessor);
    if (!old)
        return false;
    unlink(old);
    bool has_room = link(control->place, old) == 0 || errno == ENOENT;
    bool is_taken = has_room && rename(control->path, control->place) == 0;
    int error = errno;
    free(old);
    if (is_taken) {
        free(control->path);
        control->path = control->place;
        control->place = NULL;
    }
    errno = error;
    return is_taken;
}

void controlsocket_follow(struct controlsocket *control)
{
    if (!control->path || controlsocket_is_own(control))
        return;
    char *before = control->path, *old = controlsocket_old_path(before, getpid());
    if (!old)
        return;
    control->path = old;
    free(before);
}

/* --- who connects --- */

/* SO_PEERCRED has only the first of a process's groups. */
static bool controlsocket_is_of_group(int fd, gid_t group)
{
    gid_t groups[CONTROLSOCKET_GROUPS_MAX];
    socklen_t len = sizeof groups;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
        return false;
    for (size_t i = 0; i < len / sizeof *groups; i++)
        if (groups[i] == group)
            return true;
    return false;
}

bool controlsocket_admits(const struct controlsocket *control, int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid() || peer.gid == control->group ||
           controlsocket_is_of_group(fd, control->group);
}
