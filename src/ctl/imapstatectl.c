/* imapstatectl: makes, rotates and lists key files; tries a server; looks into a running daemon, and steers it. */
#include "keys.h"
#include "steer.h"
#include "try.h"

#include <imapstate/version.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { EXIT_USAGE = 2 };

struct options {
    const char *path;
    uint64_t now_s;
    uint64_t from_s; /* now_s if not given */
    bool has_from;
};

static const char help[] =
    "Usage: imapstatectl [--socket PATH] [--json] COMMAND...\n"
    "       imapstatectl try HOST --user NAME [OPTION]...\n"
    "       imapstatectl keys new FILE [--from TIME]\n"
    "       imapstatectl keys rotate FILE [--from TIME]\n"
    "       imapstatectl keys list FILE\n"
    "\n"
    "  COMMAND       for the running daemon: show, route, top, kick, forget, revoke, upstream, drain, resume,\n"
    "                reload, upgrade, log; \"imapstatectl show --help\" lists them\n"
    "  try           show whether an IMAP server offers STATE, and what that is worth; \"imapstatectl try --help\"\n"
    "                lists its options and exit statuses\n"
    "\n"
    "Keys seal the tokens that SAVESTATE gives to clients, and open them again. All gateways of a fleet have the\n"
    "same file (keys_file in their configuration), and reload it on SIGHUP.\n"
    "\n"
    "  keys new      make FILE with one key; refuses if FILE exists\n"
    "  keys rotate   add a key to FILE; the keys in it still open tokens\n"
    "  keys list     show the keys' ids and times and which one seals, but never the keys\n"
    "\n"
    "  --from TIME   the new key seals from TIME on, not at once. TIME is in UTC, like 2026-11-24T00:00:00Z, or an\n"
    "                offset from now: +90s, +30m, +2h, +7d, +2w. A fleet needs this: every gateway must have a\n"
    "                key before the first of them seals with it.\n"
    "  --help        print this and exit\n"
    "  --version     print the version and exit\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static int usage_error(const char *what, const char *which)
{
    fprintf(stderr, "imapstatectl: %s%s\nTry \"imapstatectl --help\".\n", what, which);
    return EXIT_USAGE;
}

/* "+2h" and its like. */
static bool parse_ahead(const char *text, uint64_t now_s, uint64_t *ret_time_s)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 7 * 86400 } };
    uint64_t number = 0;
    const char *at = text + 1;

    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
            return false;
    if (at == text + 1 || at[0] == '\0' || at[1] != '\0')
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (units[i].unit == *at)
            return !__builtin_mul_overflow(number, units[i].seconds, &number) &&
                   !__builtin_add_overflow(now_s, number, ret_time_s);
    return false;
}

static bool parse_time(const char *text, uint64_t now_s, uint64_t *ret_time_s)
{
    char canonical[IMAPSTATE_KEY_TIME_SIZE];
    if (text[0] == '+')
        return parse_ahead(text, now_s, ret_time_s) && imapstate_key_time_format(*ret_time_s, canonical);
    return imapstate_key_time_parse(imapstate_span_of(text), ret_time_s);
}

static void warn(const char *path, const char *what)
{
    fprintf(stderr, "imapstatectl: warning: %s: %s\n", path, what);
}

static int say_made(const struct options *options, uint32_t id)
{
    char time[IMAPSTATE_KEY_TIME_SIZE];
    imapstate_key_time_format(options->from_s, time);
    printf("%s: key %08" PRIx32 " seals from %s on\n", options->path, id, time);
    return EXIT_SUCCESS;
}

static int keys_new_command(const struct options *options)
{
    uint32_t id;
    if (!keys_create(options->path, options->from_s, &id, stderr))
        return EXIT_FAILURE;
    if (options->from_s > options->now_s)
        warn(options->path, "no key seals before that time: SAVESTATE is refused until then");
    return say_made(options, id);
}

static int keys_rotate_command(const struct options *options)
{
    uint32_t id;
    /* Such a key would seal at once, or never if a later one is there: neither is what was asked for. */
    if (options->from_s < options->now_s)
        return usage_error("--from: the time is in the past; without --from the new key seals at once", "");
    if (!keys_rotate(options->path, options->from_s, &id, stderr))
        return EXIT_FAILURE;
    return say_made(options, id);
}

static void list_keys(const struct imapstate_keyring *keyring, uint64_t now_s)
{
    struct imapstate_key key, sealing;
    bool has_sealing = imapstate_keyring_sealing(keyring, now_s, &sealing);

    printf("ID        SEALS FROM            NOW\n");
    for (size_t i = 0; imapstate_keyring_at(keyring, i, &key); i++) {
        const char *what = key.seals_from_s > now_s              ? "opens; seals from then on"
                           : has_sealing && key.id == sealing.id ? "opens and seals"
                                                                 : "opens";
        char time[IMAPSTATE_KEY_TIME_SIZE];
        imapstate_key_time_format(key.seals_from_s, time);
        printf("%08" PRIx32 "  %s  %s\n", key.id, time, what);
    }
}

static int keys_list_command(const struct options *options)
{
    struct keys_file file;
    struct imapstate_key sealing;
    int status = EXIT_FAILURE;

    if (options->has_from)
        return usage_error("--from only goes with \"new\" and \"rotate\"", "");
    if (keys_read(options->path, &file, stderr)) {
        list_keys(file.keyring, options->now_s);
        if (file.stat.st_mode & 077)
            warn(options->path, "group or others may use it; \"chmod 600\" it, and rotate if they may have read it");
        if (!imapstate_keyring_sealing(file.keyring, options->now_s, &sealing))
            warn(options->path, "no key seals now: SAVESTATE is refused");
        status = EXIT_SUCCESS;
    }
    keys_done(&file);
    return status;
}

static int run_command(char **words, int count, struct options *options)
{
    static const struct {
        const char *name;
        int (*run)(const struct options *options);
    } commands[] = { { "new", keys_new_command }, { "rotate", keys_rotate_command }, { "list", keys_list_command } };

    if (count == 0)
        return usage_error("a command is missing", "");
    if (count == 1)
        return usage_error("\"keys\" wants \"new\", \"rotate\" or \"list\"", "");
    if (count > 3)
        return usage_error("one word too many: ", words[3]);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(words[1], commands[i].name) != 0)
            continue;
        if (count == 2 || words[2][0] == '\0')
            return usage_error("FILE is missing", "");
        options->path = words[2];
        return commands[i].run(options);
    }
    return usage_error("unknown command: keys ", words[1]);
}

/* Returns the exit status, or -1 to go on. */
static int parse_options(int argc, char **argv, struct options *options)
{
    static const struct option long_options[] = { { "from", required_argument, NULL, 'f' },
                                                  { "help", no_argument, NULL, 'h' },
                                                  { "version", no_argument, NULL, 'v' },
                                                  { 0 } };
    int option;
    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        switch (option) {
        case 'f':
            if (!parse_time(optarg, options->now_s, &options->from_s))
                return usage_error("--from: neither a time like 2026-11-24T00:00:00Z nor an offset like +2h: ", optarg);
            options->has_from = true;
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_SUCCESS;
        case 'v':
            puts("imapstatectl " IMAPSTATE_VERSION_TEXT);
            return EXIT_SUCCESS;
        default: /* getopt_long() has said what is wrong */
            fputs("Try \"imapstatectl --help\".\n", stderr);
            return EXIT_USAGE;
        }
    }
    return -1;
}

/* The command: the first word that is neither an option nor an option's value; "" if there is none. */
static const char *first_word(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-')
            return argv[i];
        i += strcmp(argv[i], "--socket") == 0 || strcmp(argv[i], "--from") == 0;
    }
    return "";
}

static bool is_for_daemon(const char *option)
{
    return strncmp(option, "--socket", 8) == 0 || strcmp(option, "--json") == 0;
}

int main(int argc, char **argv)
{
    struct options options = { .now_s = (uint64_t)time(NULL) };
    options.from_s = options.now_s;

    /* Keys are in memory: no core dump. */
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    if (sodium_init() < 0) {
        fputs("imapstatectl: libsodium does not start\n", stderr);
        return EXIT_FAILURE;
    }
    int status;
    const char *command = first_word(argc, argv);
    if (strcmp(command, "try") == 0 && argv[1] == command) {
        status = try_command(argc - 1, argv + 1);
    } else if (*command ? strcmp(command, "keys") != 0 : argc > 1 && is_for_daemon(argv[1])) {
        status = steer_command(argc, argv);
    } else {
        status = parse_options(argc, argv, &options);
        if (status < 0)
            status = run_command(argv + optind, argc - optind, &options);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "imapstatectl: cannot write: %s\n", strerror(errno));
        status = EXIT_FAILURE;
    }
    return status;
}
