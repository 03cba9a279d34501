#include "process.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config.h"
#include "log.h"

void process_forbid_dumps(void)
{
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

/* Two descriptors a client, and some for the daemon. */
void process_raise_descriptors(const struct config *config)
{
    struct rlimit limit;
    rlim_t parked = config->park.per_user > 0 ? config->park.max : 0;
    rlim_t wanted = (rlim_t)config->max_clients * 2 + parked + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < wanted)
        log_warning(
            "file descriptors are limited to %llu, fewer than the %llu that max_clients = %u and park's max = %u need; "
            "clients beyond that are refused",
            (unsigned long long)limit.rlim_cur, (unsigned long long)wanted, config->max_clients, config->park.max);
}

bool process_drop_privileges(const struct config *config, FILE *errors)
{
    if (!*config->user && !*config->group)
        return true;
    struct passwd *user = *config->user ? getpwnam(config->user) : NULL;
    struct group *group = *config->group ? getgrnam(config->group) : NULL;
    if (*config->user && !user) {
        fprintf(errors, "%s: user \"%s\" does not exist\n", config->path, config->user);
        return false;
    }
    if (*config->group && !group) {
        fprintf(errors, "%s: group \"%s\" does not exist\n", config->path, config->group);
        return false;
    }
    if (geteuid() != 0) {
        /* Started as that user already: there is nothing to drop. */
        if ((!user || user->pw_uid == geteuid()) && (!group || group->gr_gid == getegid()))
            return true;
        fprintf(errors, "%s: only root can become user \"%s\"\n", config->path, config->user);
        return false;
    }
    gid_t gid = group ? group->gr_gid : user->pw_gid;
    bool is_dropped = (user ? initgroups(user->pw_name, gid) : setgroups(0, NULL)) == 0 && setgid(gid) == 0 &&
                      (!user || setuid(user->pw_uid) == 0);
    if (!is_dropped)
        fprintf(errors, "privileges cannot be dropped: %s\n", strerror(errno));
    return is_dropped;
}

void process_warn_of_root(const struct config *config)
{
    if (geteuid() == 0)
        log_warning("%s: it stays root: set user, or start it as a user of its own", config->path);
}
