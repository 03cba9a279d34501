#include "revoking.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "list.h"
#include "log.h"
#include "logquote.h"
#include "revocations.h"

/* One that is held. */
struct held {
    struct list link;
    uint64_t second_s;
    bool is_for_all;
    size_t len;
    uint8_t user[];
};

static struct list helds = { &helds, &helds };
static struct revocations *in_force; /* counted; NULL before there are any */
static uint64_t latest_s;            /* the latest stamp that was made here */

/* --- what is held --- */

static bool held_put_line(const struct imapstate_span *user, uint64_t second_s, struct imapstate_buf *text)
{
    char name[4 * 2048 + 1];
    if (!user)
        return imapstate_buf_printf(text, "* %" PRIu64 "\n", second_s);
    log_quote(*user, name, sizeof name);
    /* As first letters these two mean something else. */
    if (*name == '*' || *name == '#')
        return imapstate_buf_printf(text, "\\x%02x%s %" PRIu64 "\n", (unsigned)*name, name + 1, second_s);
    return imapstate_buf_printf(text, "%s %" PRIu64 "\n", name, second_s);
}

static struct imapstate_span held_user(const struct held *held)
{
    return (struct imapstate_span){ held->user, held->len };
}

static bool held_add(const struct imapstate_span *user, uint64_t second_s)
{
    struct held *held = calloc(1, sizeof *held + (user ? user->len : 0));
    if (!held)
        return false;
    held->second_s = second_s;
    held->is_for_all = !user;
    held->len = user ? user->len : 0;
    if (held->len > 0)
        memcpy(held->user, user->at, held->len);
    list_init(&held->link);
    list_move(&held->link, &helds);
    return true;
}

static void held_drop(struct held *held)
{
    list_remove(&held->link);
    free(held);
}

/* What the file has by now need not be held. */
static void helds_drop_known(const struct revocations *file)
{
    list_each_safe(link, &helds)
    {
        struct held *held = list_entry(link, struct held, link);
        uint64_t known_s =
            held->is_for_all ? revocations_second_for_all(file) : revocations_second(file, held_user(held));
        if (known_s >= held->second_s)
            held_drop(held);
    }
}

static bool helds_put_lines(struct imapstate_buf *text)
{
    list_each_safe(link, &helds)
    {
        const struct held *held = list_entry(link, struct held, link);
        struct imapstate_span user = held_user(held);
        if (!held_put_line(held->is_for_all ? NULL : &user, held->second_s, text))
            return false;
    }
    return true;
}

static struct revocations *helds_over(struct revocations *base)
{
    struct imapstate_buf text;
    imapstate_buf_init(&text, REVOCATIONS_TEXT_MAX);
    struct revocations *over = helds_put_lines(&text) ? revocations_read_over(base, &text) : NULL;
    imapstate_buf_done(&text);
    return over;
}

struct revocations *revoking_lay_over(struct revocations *file)
{
    helds_drop_known(file);
    if (list_is_empty(&helds))
        return file;
    struct revocations *over = helds_over(file);
    revocations_unref(file);
    return over;
}

void revoking_keep(struct revocations *revocations)
{
    if (!revocations)
        return;
    revocations_unref(in_force);
    in_force = revocations;
}

/* --- from one process to the next --- */

bool revoking_give(bool (*give)(void *owner, const struct imapstate_span *user, uint64_t second_s), void *owner)
{
    list_each_safe(link, &helds)
    {
        const struct held *held = list_entry(link, struct held, link);
        struct imapstate_span user = held_user(held);
        if (!give(owner, held->is_for_all ? NULL : &user, held->second_s))
            return false;
    }
    return true;
}

bool revoking_take(const struct imapstate_span *user, uint64_t second_s)
{
    if (second_s > latest_s)
        latest_s = second_s;
    return held_add(user, second_s);
}

/* --- one more --- */

static uint64_t revoking_second(const struct imapstate_span *user, uint64_t now_s)
{
    uint64_t before_s = user ? revocations_second(in_force, *user) : revocations_second_for_all(in_force);
    if (!user && latest_s > before_s)
        before_s = latest_s;
    return before_s > now_s ? before_s + 1 : now_s + 1;
}

struct revocations *revoking_revoke(const struct imapstate_span *user, uint64_t now_s, uint64_t *ret_second_s)
{
    uint64_t second_s = in_force ? revoking_second(user, now_s) : now_s + 1;
    if (!in_force || !held_add(user, second_s))
        return NULL;
    struct held *added = list_entry(helds.previous, struct held, link);
    struct revocations *over = helds_over(revocations_base(in_force));
    if (!over) {
        held_drop(added);
        return NULL;
    }
    if (second_s > latest_s)
        latest_s = second_s;
    *ret_second_s = second_s;
    return over;
}

/* --- the file --- */

/* Does what is there end with a whole line? */
static bool file_ends_line(int fd, off_t size)
{
    char last;
    return size == 0 || pread(fd, &last, 1, size - 1) != 1 || last == '\n';
}

/* In one write: readers see all of it or nothing. Where only a part fits, that is taken back. */
static bool file_append(int fd, struct imapstate_span line)
{
    struct stat file;
    if (fstat(fd, &file) < 0)
        return false;
    struct imapstate_buf whole;
    imapstate_buf_init(&whole, line.len + 1);
    bool is_put =
        (file_ends_line(fd, file.st_size) || imapstate_buf_put_byte(&whole, '\n')) && imapstate_buf_put(&whole, line);
    errno = ENOMEM;
    bool is_written = is_put && write(fd, whole.at, whole.len) == (ssize_t)whole.len && fsync(fd) == 0;
    int error = errno;
    if (is_put && !is_written && ftruncate(fd, file.st_size) < 0)
        log_error("revocations_file: half a line could not be taken back: %s", strerror(errno));
    imapstate_buf_done(&whole);
    errno = error;
    return is_written;
}

const char *revoking_write(const char *path, const struct imapstate_span *user, uint64_t second_s)
{
    struct imapstate_buf line;
    imapstate_buf_init(&line, REVOCATIONS_TEXT_MAX);
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    errno = fd < 0 ? errno : ENOMEM;
    /* Another gateway may be writing to the same file; it does not take long. */
    bool is_written = fd >= 0 && held_put_line(user, second_s, &line) && flock(fd, LOCK_EX) == 0 &&
                      file_append(fd, imapstate_buf_span(&line));
    const char *wrong = is_written ? NULL : strerror(errno);
    if (fd >= 0)
        close(fd);
    imapstate_buf_done(&line);
    return wrong;
}

void revoking_done(void)
{
    list_each_safe(link, &helds) held_drop(list_entry(link, struct held, link));
    revocations_unref(in_force);
    in_force = NULL;
    latest_s = 0;
}
