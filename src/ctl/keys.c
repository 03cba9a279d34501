#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEYS_MODE 0600

static bool say(FILE *errors, const char *path, const char *what)
{
    fprintf(errors, "%s: %s\n", path, what);
    return false;
}

static bool say_errno(FILE *errors, const char *path, const char *what)
{
    fprintf(errors, "%s: %s: %s\n", path, what, strerror(errno));
    return false;
}

/* Appends what fd has. False with errno 0: more than text may hold. */
static bool read_all(int fd, struct imapstate_buf *text)
{
    uint8_t chunk[4096];
    ssize_t len;

    errno = 0;
    while ((len = read(fd, chunk, sizeof chunk)) > 0 || (len < 0 && errno == EINTR)) {
        errno = 0;
        if (len > 0 && !imapstate_buf_put(text, (struct imapstate_span){ chunk, (size_t)len }))
            break;
    }
    sodium_memzero(chunk, sizeof chunk);
    return len == 0;
}

static bool write_all(int fd, struct imapstate_span text)
{
    while (text.len > 0) {
        ssize_t len = write(fd, text.at, text.len);
        if (len < 0 && errno != EINTR)
            return false;
        if (len > 0)
            text = (struct imapstate_span){ text.at + len, text.len - (size_t)len };
    }
    return true;
}

static bool keys_read_fd(int fd, const char *path, struct keys_file *file, FILE *errors)
{
    size_t line;

    if (fstat(fd, &file->stat) < 0)
        return say_errno(errors, path, "cannot stat");
    if (!S_ISREG(file->stat.st_mode))
        return say(errors, path, "is not a regular file");
    if (!read_all(fd, &file->text))
        return errno ? say_errno(errors, path, "cannot read") : say(errors, path, "is longer than 64 KiB");
    file->keyring = imapstate_keyring_new();
    if (!file->keyring)
        return say(errors, path, imapstate_strerror(IMAPSTATE_NO_MEMORY));
    enum imapstate_error error = imapstate_keyring_read(file->keyring, imapstate_buf_span(&file->text), &line);
    if (error != IMAPSTATE_OK)
        fprintf(errors, "%s:%zu: %s\n", path, line, imapstate_strerror(error));
    return error == IMAPSTATE_OK;
}

bool keys_read(const char *path, struct keys_file *ret_file, FILE *errors)
{
    *ret_file = (struct keys_file){ .keyring = NULL };
    imapstate_buf_init(&ret_file->text, IMAPSTATE_KEYRING_TEXT_MAX);
    /* Not blocking, so that a FIFO is refused and not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return say_errno(errors, path, "cannot open");
    bool is_read = keys_read_fd(fd, path, ret_file, errors);
    close(fd);
    return is_read;
}

void keys_done(struct keys_file *file)
{
    imapstate_buf_done(&file->text);
    imapstate_keyring_free(file->keyring);
    file->keyring = NULL;
}

/* Appends a line with a new key, whose id is not in keyring (which may be NULL). */
static bool put_new_key(struct imapstate_buf *text, const struct imapstate_keyring *keyring, uint64_t seals_from_s,
                        uint32_t *ret_id)
{
    uint8_t octets[IMAPSTATE_KEY_OCTETS];
    struct imapstate_key key = { .seals_from_s = seals_from_s, .octets = octets };

    do
        key.id = randombytes_random();
    while (keyring && imapstate_keyring_find(keyring, key.id, NULL));
    randombytes_buf(octets, sizeof octets);
    bool fits = imapstate_keyring_write_key(&key, text);
    sodium_memzero(octets, sizeof octets);
    *ret_id = key.id;
    return fits;
}

/* A file that was not there before; nobody else can read it at any moment. */
static int create_private(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, KEYS_MODE);
    /* An odd umask may have taken the owner's bits too. */
    if (fd >= 0 && fchmod(fd, KEYS_MODE) < 0) {
        close(fd);
        unlink(path);
        return -1;
    }
    return fd;
}

/* Writes text through to the disk and closes fd, whatever happens. */
static bool finish_file(int fd, struct imapstate_span text)
{
    bool is_written = write_all(fd, text) && fsync(fd) == 0;
    int saved_errno = errno;
    if (close(fd) < 0 && is_written)
        return false;
    errno = saved_errno;
    return is_written;
}

/* A name is on the disk only when its directory is. */
static bool sync_directory_of(const char *path)
{
    char *copy = strdup(path);
    if (!copy)
        return false;
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (fd < 0)
        return false;
    bool is_synced = fsync(fd) == 0;
    close(fd);
    return is_synced;
}

bool keys_create(const char *path, uint64_t seals_from_s, uint32_t *ret_id, FILE *errors)
{
    struct imapstate_buf text;
    imapstate_buf_init(&text, IMAPSTATE_KEYRING_TEXT_MAX);
    if (!put_new_key(&text, NULL, seals_from_s, ret_id)) {
        imapstate_buf_done(&text);
        return say(errors, path, imapstate_strerror(IMAPSTATE_NO_MEMORY));
    }
    int fd = create_private(path);
    if (fd < 0) {
        imapstate_buf_done(&text);
        return errno == EEXIST ? say(errors, path, "exists already; \"rotate\" adds a key to it")
                               : say_errno(errors, path, "cannot create");
    }
    bool is_made = finish_file(fd, imapstate_buf_span(&text)) && sync_directory_of(path);
    if (!is_made) {
        say_errno(errors, path, "cannot write");
        unlink(path);
    }
    imapstate_buf_done(&text);
    return is_made;
}

static bool put_key_line(struct keys_file *file, const char *path, uint64_t seals_from_s, uint32_t *ret_id,
                         FILE *errors)
{
    struct imapstate_buf *text = &file->text;
    bool fits = text->len == 0 || text->at[text->len - 1] == '\n' || imapstate_buf_put_byte(text, '\n');
    if (fits && put_new_key(text, file->keyring, seals_from_s, ret_id))
        return true;
    return say(errors, path, "is full (64 KiB); remove keys whose tokens have all expired");
}

/* Fills the new file, fd, from the old one, path. Closes fd, whatever happens. */
static bool rotate_into(int fd, const char *path, uint64_t seals_from_s, uint32_t *ret_id, FILE *errors)
{
    struct keys_file file;
    bool is_ready = keys_read(path, &file, errors) && put_key_line(&file, path, seals_from_s, ret_id, errors);

    if (is_ready && (file.stat.st_uid != geteuid() || file.stat.st_gid != getegid()) &&
        fchown(fd, file.stat.st_uid, file.stat.st_gid) < 0)
        is_ready = say_errno(errors, path, "cannot give the new file to the owner of the old one");
    if (!is_ready)
        close(fd);
    else if (!finish_file(fd, imapstate_buf_span(&file.text)))
        is_ready = say_errno(errors, path, "cannot write the new file");
    keys_done(&file);
    return is_ready;
}

/* The new file is the lock too: whoever makes FILE.new is the one who rotates, from before FILE is read until it is
 * replaced. So no key that another rotation added is lost. */
static bool rotate_resolved(const char *path, const char *new_path, uint64_t seals_from_s, uint32_t *ret_id,
                            FILE *errors)
{
    int fd = create_private(new_path);
    if (fd < 0)
        return errno == EEXIST ? say(errors, new_path,
                                     "exists: a rotation is under way, or one was cut off; if so, remove this file")
                               : say_errno(errors, new_path, "cannot create");
    bool is_ready = rotate_into(fd, path, seals_from_s, ret_id, errors);
    if (is_ready && rename(new_path, path) < 0)
        is_ready = say_errno(errors, path, "cannot replace");
    if (!is_ready) {
        unlink(new_path);
        return false;
    }
    return sync_directory_of(path) ||
           say_errno(errors, path, "is rotated, but its directory cannot be written to disk");
}

bool keys_rotate(const char *path, uint64_t seals_from_s, uint32_t *ret_id, FILE *errors)
{
    /* A symbolic link stays, what it names is replaced. */
    char *resolved = realpath(path, NULL);
    char *new_path = NULL;
    bool is_rotated = false;

    if (!resolved)
        return say_errno(errors, path, "cannot open");
    if (asprintf(&new_path, "%s.new", resolved) < 0)
        new_path = NULL;
    if (new_path)
        is_rotated = rotate_resolved(resolved, new_path, seals_from_s, ret_id, errors);
    else
        say(errors, path, imapstate_strerror(IMAPSTATE_NO_MEMORY));
    free(new_path);
    free(resolved);
    return is_rotated;
}
