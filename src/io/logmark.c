#include "logmark.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "loguser.h"

static uint64_t process_number;
static pthread_once_t process_once = PTHREAD_ONCE_INIT;

/* It need not be secret. A kernel without random numbers is not known to anybody; then time and process have to do. */
static void logmark_draw(void)
{
    struct timespec now;
    if (getrandom(&process_number, sizeof process_number, 0) == (ssize_t)sizeof process_number)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    process_number = (uint64_t)now.tv_sec << 32 ^ (uint64_t)now.tv_nsec << 8 ^ (uint64_t)getpid();
}

const char *logmark_session(const struct logmark *mark, char ret_text[LOGMARK_SESSION_MAX])
{
    pthread_once(&process_once, logmark_draw);
    snprintf(ret_text, LOGMARK_SESSION_MAX, "%016" PRIx64 ".%" PRIx64, process_number, mark->session);
    return ret_text;
}

void logmark_renew(struct logmark *mark, uint64_t session)
{
    mark->session = session;
    mark->is_debugged = false;
}

void logmark_set_user(struct logmark *mark, struct imapstate_span user)
{
    mark->generation = loguser_generation();
    mark->is_debugged = mark->generation > 0 && loguser_has(user);
}

bool logmark_is_stale(const struct logmark *mark)
{
    return mark->generation != loguser_generation();
}

bool logmark_is_on(const struct logmark *mark, enum log_level level)
{
    return log_is_on(level) || mark->is_debugged;
}

void logmark_put(const struct logmark *mark, struct logline *line)
{
    char text[LOGMARK_SESSION_MAX];
    logline_id(line, "client", mark->client);
    logline_words(line, "session", logmark_session(mark, text));
}
