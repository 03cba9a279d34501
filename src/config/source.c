#include "source.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

static const char include_word[] = "include";
static const char glob_characters[] = "*?[";

#define SOURCE_PATH_MAX 8192u
/* Octets that a file of the largest size may need beyond it. */
#define SOURCE_MARKS_MAX 64u

/* From this line of the text on, lines are those of the file from file_line on. */
struct source_piece {
    unsigned line, file_line;
    size_t file;
    bool is_end; /* a mark: all of it stands for that one line */
};

/* One file on the way into the source. */
struct source_file {
    struct source *source;
    const struct source_disk *disk;
    FILE *errors;
    const struct source_file *includer; /* NULL: it is the first */
    size_t index;                       /* in source->files */
    unsigned line;                      /* that is being read; 0: none */
    unsigned last_line;                 /* that had something in it; 0: none yet */
    unsigned depth;
    bool is_wrong; /* what it includes */
};

/* --- messages --- */

static const char *source_path(const struct source_file *file)
{
    return file->source->files[file->index];
}

/* Always false. A message is one line, whatever is in the texts. */
__attribute__((format(printf, 3, 4))) static bool source_complain(const struct source_file *file, unsigned line,
                                                                  const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    fprintf(file->errors, "%s:", source_path(file));
    if (line != 0)
        fprintf(file->errors, "%u:", line);
    fprintf(file->errors, " %s\n", text);
    return false;
}

/* --- what is in a line --- */

/* What libconfuse would drop silently, replace from the environment, or read as a comment or not depending on what
 * stands around it. */
static const char *const only_quoted[] = { "*", "//", "${" };

static const char *source_find_only_quoted(const char *at)
{
    for (size_t i = 0; i < ARRAY_LEN(only_quoted); i++)
        if (strncmp(at, only_quoted[i], strlen(only_quoted[i])) == 0)
            return only_quoted[i];
    return at[0] == '+' && at[1] != '=' ? "+" : NULL;
}

/* "\0" or "\x00" in double quotes: libconfuse would drop what is behind it, silently. */
static bool source_is_nul_escape(const char *at)
{
    if (at[0] != '\\')
        return false;
    if (at[1] == 'x')
        return at[2] == '0' && (at[3] == '0' || !isxdigit((unsigned char)at[3]));
    size_t zeros = strspn(at + 1, "0");
    return zeros >= 1 && zeros <= 3 && !isdigit((unsigned char)at[1 + zeros]);
}

/* The string's last character; NULL after a complaint. */
static char *source_check_string(const struct source_file *file, char *at)
{
    char quote = *at;
    for (at++; *at != quote; at++) {
        if (*at == '\0') {
            source_complain(file, file->line, "a string is not closed on the line that it begins on");
            return NULL;
        }
        if (quote == '"' && source_is_nul_escape(at)) {
            source_complain(file, file->line, "a string contains a NUL");
            return NULL;
        }
        if (quote == '"' && strncmp(at, "${", 2) == 0) {
            source_complain(file, file->line,
                            "\"${\": environment variables are not expanded; in single quotes it stands for itself");
            return NULL;
        }
        if (*at == '\\' && (at[1] == '\\' || at[1] == quote))
            at++;
    }
    return at;
}

/* Cuts a comment off, as libconfuse 3.3 counts lines wrongly behind one, and refuses what it would not. */
static bool source_strip(const struct source_file *file, char *line)
{
    for (char *at = line; *at; at++)
        if ((unsigned char)*at < 0x20 && *at != '\t' && *at != '\r')
            return source_complain(file, file->line, "control character 0x%02x", (unsigned char)*at);
    for (char *at = line; *at; at++) {
        const char *refused = source_find_only_quoted(at);
        if (*at == '"' || *at == '\'')
            at = source_check_string(file, at);
        else if (*at == '#')
            *at-- = '\0';
        else if (refused)
            return source_complain(file, file->line, "\"%s\" is only allowed in quotes (a comment begins with \"#\")",
                                   refused);
        if (!at)
            return false;
    }
    return true;
}

/* --- what is included --- */

static bool source_add(const struct source_file *includer, struct source *source, const struct source_disk *disk,
                       const char *path, FILE *errors);

/* line holds no line end. */
static bool source_put_line(struct source_file *file, const char *line)
{
    struct source *source = file->source;
    if (strlen(line) + 2 > source->text.max - source->text.len) /* with a line end, and the NUL in the end */
        return source_complain(file, file->line, "all files together are larger than 1 MiB");
    if (!imapstate_buf_put(&source->text, imapstate_span_of(line)) || !imapstate_buf_put_byte(&source->text, '\n'))
        return source_complain(file, 0, "out of memory");
    source->lines++;
    return true;
}

/* The lines that are put next are those from file_line on. */
static bool source_begin_piece(struct source_file *file, unsigned file_line, bool is_end)
{
    struct source *source = file->source;
    struct source_piece *more = reallocarray(source->pieces, source->piece_count + 1, sizeof *more);
    if (!more)
        return source_complain(file, 0, "out of memory");
    source->pieces = more;
    more[source->piece_count++] = (struct source_piece){ source->lines + 1, file_line, file->index, is_end };
    return true;
}

static bool source_include_one(void *arg, const char *path)
{
    struct source_file *file = arg;
    for (const struct source_file *at = file; at; at = at->includer)
        if (strcmp(source_path(at), path) == 0) {
            file->is_wrong = !source_complain(file, file->line, "%s would include itself", path);
            return false;
        }
    if (file->depth == SOURCE_DEPTH_MAX)
        file->is_wrong =
            !source_complain(file, file->line, "%s: includes are nested more than %u deep", path, SOURCE_DEPTH_MAX);
    else
        file->is_wrong = !source_add(file, file->source, file->disk, path, file->errors);
    return !file->is_wrong;
}

/* The name within the folder of the file, unless it begins at the root; NUL-terminated. The folder's own name is no
 * pattern. False after a complaint. */
static bool source_name_in_folder(const struct source_file *file, const char *name, bool is_pattern,
                                  struct imapstate_buf *ret_path)
{
    const char *path = source_path(file), *end = strrchr(path, '/');
    bool fits = true;
    for (const char *at = path; *name != '/' && end && at <= end; at++) {
        if (is_pattern && (strchr(glob_characters, *at) || *at == '\\'))
            fits &= imapstate_buf_put_byte(ret_path, '\\');
        fits &= imapstate_buf_put_byte(ret_path, (uint8_t)*at);
    }
    fits &= imapstate_buf_put(ret_path, imapstate_span_of(name)) && imapstate_buf_put_byte(ret_path, '\0');
    return fits || source_complain(file, file->line, "the name of what is included is too long");
}

static bool source_include_named(struct source_file *file, const char *name)
{
    bool is_pattern = strpbrk(name, glob_characters);
    struct imapstate_buf path;
    imapstate_buf_init(&path, SOURCE_PATH_MAX);
    bool is_good = source_name_in_folder(file, name, is_pattern, &path);
    if (is_good && !is_pattern) {
        is_good = source_include_one(file, (const char *)path.at);
    } else if (is_good) {
        file->is_wrong = false;
        const char *wrong = file->disk->find(file->disk, (const char *)path.at, source_include_one, file);
        is_good = !file->is_wrong && (!wrong || source_complain(file, file->line, "%s: %s", (char *)path.at, wrong));
    }
    imapstate_buf_done(&path);
    return is_good;
}

/* What is behind the word on the line, which has been stripped: one string. */
static bool source_include(struct source_file *file, char *rest)
{
    char *begin = rest + strspn(rest, " \t"), *end = *begin ? &begin[strlen(begin) - 1] : begin;
    while (end > begin && isspace((unsigned char)*end))
        end--;
    bool is_quoted = end > begin + 1 && (*begin == '"' || *begin == '\'') && source_check_string(file, begin) == end;
    if (!is_quoted)
        return source_complain(file, file->line,
                               "include wants one name in quotes, on its line: include \"conf.d/*.conf\"");
    *end = '\0';
    return source_begin_piece(file, file->line, true) && source_put_line(file, SOURCE_BEGIN_MARK " = 1") &&
           source_include_named(file, begin + 1) && source_begin_piece(file, file->line + 1, false);
}

/* What is behind the word that begins the line, if that is "include". */
static char *source_find_include(char *line)
{
    char *word = line + strspn(line, " \t"), *rest = word + strlen(include_word);
    bool is_include = strncmp(word, include_word, strlen(include_word)) == 0 && *rest != '_' && *rest != '-' &&
                      !isalnum((unsigned char)*rest);
    return is_include ? rest : NULL;
}

/* --- a file --- */

static bool source_add_line(struct source_file *file, char *line)
{
    file->line++;
    if (!source_strip(file, line))
        return false;
    if (line[strspn(line, " \t\r")])
        file->last_line = file->line;
    char *rest = source_find_include(line);
    return rest ? source_include(file, rest) : source_put_line(file, line);
}

/* text is NUL-terminated. */
static bool source_add_lines(struct source_file *file, char *text)
{
    for (char *line = text, *end; *line; line = end) {
        end = strchrnul(line, '\n');
        if (*end)
            *end++ = '\0';
        if (!source_add_line(file, line))
            return false;
    }
    return source_begin_piece(file, file->last_line, true) && source_put_line(file, SOURCE_END_MARK " = 1");
}

/* False after a complaint. */
static bool source_name_file(struct source_file *file, const char *path)
{
    struct source *source = file->source;
    char **more = reallocarray(source->files, source->file_count + 1, sizeof *more);
    if (more)
        source->files = more;
    char *copy = more ? strdup(path) : NULL;
    if (!copy) {
        fprintf(file->errors, "%s: out of memory\n", path);
        return false;
    }
    file->index = source->file_count;
    more[source->file_count++] = copy;
    return true;
}

/* The octets, NUL-terminated. False after a complaint, where the file is asked for. */
static bool source_load(const struct source_file *file, struct imapstate_buf *text)
{
    const char *wrong = file->disk->read(file->disk, source_path(file), !file->includer, text);
    if (!wrong && text->len > 0 && memchr(text->at, '\0', text->len))
        wrong = "not a text file: it contains a NUL";
    if (!wrong && (text->len > SOURCE_OCTETS_MAX || !imapstate_buf_put_byte(text, '\0')))
        wrong = text->len > SOURCE_OCTETS_MAX ? "larger than 1 MiB" : "out of memory";
    if (wrong && file->includer)
        return source_complain(file->includer, file->includer->line, "%s: %s", source_path(file), wrong);
    return !wrong || source_complain(file, 0, "%s", wrong);
}

static bool source_add(const struct source_file *includer, struct source *source, const struct source_disk *disk,
                       const char *path, FILE *errors)
{
    struct source_file file = {
        .source = source,
        .disk = disk,
        .errors = errors,
        .includer = includer,
        .depth = includer ? includer->depth + 1 : 0,
    };
    struct imapstate_buf text;
    imapstate_buf_init(&text, SOURCE_OCTETS_MAX + 2); /* one more, to see that it is too large, and the NUL */
    bool is_good = source_name_file(&file, path) && source_load(&file, &text) && source_begin_piece(&file, 1, false) &&
                   source_add_lines(&file, (char *)text.at);
    imapstate_buf_done(&text);
    return is_good;
}

bool source_read(struct source *source, const struct source_disk *disk, const char *path, FILE *errors)
{
    imapstate_buf_init(&source->text, SOURCE_OCTETS_MAX + SOURCE_MARKS_MAX);
    if (!source_add(NULL, source, disk, path, errors))
        return false;
    if (imapstate_buf_put_byte(&source->text, '\0'))
        return true;
    fprintf(errors, "%s: out of memory\n", path);
    return false;
}

const char *source_place(const struct source *source, unsigned line, unsigned *ret_line)
{
    size_t begin = 0, end = source->piece_count;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (source->pieces[middle].line <= line)
            begin = middle + 1;
        else
            end = middle;
    }
    const struct source_piece *found = begin > 0 ? &source->pieces[begin - 1] : NULL;
    *ret_line = !found ? 0 : found->is_end ? found->file_line : found->file_line + (line - found->line);
    return source->files[found ? found->file : 0];
}

void source_done(struct source *source)
{
    for (size_t i = 0; i < source->file_count; i++)
        free(source->files[i]);
    free(source->files);
    free(source->pieces);
    imapstate_buf_done(&source->text);
}

/* --- the disk --- */

static const char *disk_read_all(int fd, struct imapstate_buf *text)
{
    uint8_t part[4096];
    ssize_t got;
    while ((got = read(fd, part, sizeof part)) > 0) {
        size_t room = text->max - 1 - text->len; /* for the NUL */
        struct imapstate_span more = { part, (size_t)got < room ? (size_t)got : room };
        if (!imapstate_buf_put(text, more))
            return "out of memory";
        if (more.len < (size_t)got)
            break; /* too large, and told so by what is there */
    }
    return got < 0 ? strerror(errno) : NULL;
}

static const char *disk_read(const struct source_disk *disk, const char *path, bool is_main, struct imapstate_buf *text)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (is_main ? 0 : O_NONBLOCK));
    if (fd < 0)
        return strerror(errno);
    bool is_readable = is_main || (fstat(fd, &status) == 0 && S_ISREG(status.st_mode));
    const char *wrong = is_readable ? disk_read_all(fd, text) : "not a regular file";
    close(fd);
    return wrong;
}

/* glob(3) gives its hook no pointer of the caller's. */
static int disk_glob_error;

/* A folder that is not there holds nothing. */
static int disk_on_glob_error(const char *path, int error)
{
    disk_glob_error = error;
    return error != ENOENT && error != ENOTDIR;
}

static const char *disk_find(const struct source_disk *disk, const char *pattern,
                             bool (*take)(void *arg, const char *path), void *arg)
{
    glob_t found;
    int result = glob(pattern, 0, disk_on_glob_error, &found);
    for (size_t i = 0; result == 0 && i < found.gl_pathc && take(arg, found.gl_pathv[i]); i++) {
    }
    if (result != GLOB_NOSPACE)
        globfree(&found);
    if (result == 0 || result == GLOB_NOMATCH)
        return NULL;
    return result == GLOB_ABORTED ? strerror(disk_glob_error) : "out of memory";
}

const struct source_disk source_disk = { disk_find, disk_read };
