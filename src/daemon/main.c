/* imapstated: its options. */
#include <imapstate/version.h>

#include <event2/thread.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config.h"
#include "configfile.h"
#include "crash.h"
#include "daemon.h"
#include "effective.h"
#include "process.h"

#define EXIT_USAGE 2

static int main_usage(FILE *to, int status)
{
    fputs("Usage: imapstated -c FILE [-n | -t]\n"
          "\n"
          "A gateway that adds the IMAP STATE extension to the IMAP server behind it.\n"
          "\n"
          "  -c, --config FILE  the configuration\n"
          "  -n, --print        print the configuration that is in effect, with its defaults, and exit\n"
          "  -t, --test         check the configuration, certificates, keys and revocations, and exit\n"
          "  -V, --version      print the version and exit\n"
          "  -h, --help         print this and exit\n"
          "\n"
          "Signals: SIGHUP reloads configuration, certificates, keys and revocations; SIGUSR2 has a new process take\n"
          "over, started from the program on disk; SIGQUIT drains; SIGTERM shuts down in an orderly way.\n",
          to);
    return status;
}

/* Opens nothing but the configuration, so that one that lacks a key can be looked at. */
static int main_print(const char *path)
{
    struct config *config = configfile_read(path, stderr);
    if (!config)
        return EXIT_FAILURE;
    for (size_t i = 0; i < config->warning_count; i++)
        fprintf(stderr, "%s\n", config->warnings[i]);
    effective_print(config, stdout);
    config_unref(config);
    bool is_written = fflush(stdout) == 0 && !ferror(stdout);
    if (!is_written)
        perror("imapstated");
    return is_written ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "print", no_argument, NULL, 'n' },
        { "test", no_argument, NULL, 't' },         { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },         { NULL, 0, NULL, 0 },
    };
    struct daemon daemon = { 0 };
    bool is_test = false, is_print = false;
    for (int option; (option = getopt_long(argc, argv, "c:ntVh", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            daemon.config_path = optarg;
            break;
        case 'n':
            is_print = true;
            break;
        case 't':
            is_test = true;
            break;
        case 'V':
            puts("imapstated " IMAPSTATE_VERSION_TEXT);
            return EXIT_SUCCESS;
        case 'h':
            return main_usage(stdout, EXIT_SUCCESS);
        default:
            return main_usage(stderr, EXIT_USAGE);
        }
    }
    if (!daemon.config_path || optind != argc || (is_test && is_print))
        return main_usage(stderr, EXIT_USAGE);
    process_forbid_dumps();
    if (sodium_init() < 0 || evthread_use_pthreads() < 0) {
        fputs("imapstated: libsodium or libevent cannot be used\n", stderr);
        return EXIT_FAILURE;
    }
    crash_init(IMAPSTATE_VERSION_TEXT);
    if (is_print)
        return main_print(daemon.config_path);
    int status = EXIT_FAILURE;
    if (daemon_begin(&daemon, argv, is_test))
        status = is_test ? EXIT_SUCCESS : daemon_run(&daemon);
    daemon_end(&daemon);
    return status;
}
