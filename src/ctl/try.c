#include "try.h"

#include <imapstate/command.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "password.h"
#include "transcript.h"
#include "trial.h"

#define EXIT_USAGE    2
#define TIMEOUT_S     10
#define TIMEOUT_MAX_S 3600

static const char help[] =
    "Usage: imapstatectl try HOST --user NAME [OPTION]...\n"
    "\n"
    "Shows whether an IMAP server offers STATE, and what that is worth. It logs in, sets up and saves; logs in again\n"
    "and restores in one write; and sets up once more without STATE, to compare. It shows what both sides said, with\n"
    "secrets masked, and counts round trips. Without STATE it shows what the setup costs today. It changes nothing.\n"
    "\n"
    "  --user NAME            the user to log in as\n"
    "  --password-file FILE   the password is the first line of FILE; \"-\" is standard input. Without this option it\n"
    "                         is asked for on the terminal, or read from standard input if that is no terminal\n"
    "  --oauth                log in with OAuth: an access token is given in place of the password, in the same ways\n"
    "  --port PORT            the default is 993, or 143 with --starttls or --plain\n"
    "  --starttls             begin unencrypted and switch to TLS\n"
    "  --plain                no TLS: password and mail go over the wire unencrypted\n"
    "  --ca-file FILE         the certificates (PEM) to trust, instead of the system's\n"
    "  --insecure             do not verify the server's certificate\n"
    "  --timeout SECONDS      how long to wait for each answer; 10 by default\n"
    "  --help                 print this and exit\n"
    "\n"
    "Exit status: 0 STATE is offered and restores, 1 failed, 2 wrong usage, 3 STATE is not offered, 4 STATE is "
    "offered\n"
    "but does not restore.\n";

struct options {
    struct connection_target target;
    const char *user, *password_file;
    bool has_starttls, has_plain, has_token;
};

static int usage_error(const char *what, const char *which)
{
    fprintf(stderr, "imapstatectl try: %s%s\nTry \"imapstatectl try --help\".\n", what, which);
    return EXIT_USAGE;
}

/* A decimal number from 1 to max, and nothing else. */
static bool parse_number(const char *text, unsigned max, unsigned *ret_number)
{
    unsigned number = 0;
    for (const char *at = text; *at; at++)
        if (*at < '0' || *at > '9' || __builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (unsigned)(*at - '0'), &number))
            return false;
    *ret_number = number;
    return number >= 1 && number <= max;
}

/* Returns the exit status, or -1 to go on. */
static int take_option(int option, struct options *options)
{
    unsigned number;
    switch (option) {
    case 'u':
        options->user = optarg;
        return -1;
    case 'f':
        options->password_file = optarg;
        return -1;
    case 'o':
        options->has_token = true;
        return -1;
    case 'p':
        options->target.port = optarg;
        return parse_number(optarg, 65535, &number) ? -1 : usage_error("--port: not from 1 to 65535: ", optarg);
    case 's':
        options->has_starttls = true;
        return -1;
    case 'c':
        options->has_plain = true;
        return -1;
    case 'a':
        options->target.ca_file = optarg;
        return *optarg ? -1 : usage_error("--ca-file: a file is missing", "");
    case 'i':
        options->target.is_insecure = true;
        return -1;
    case 't':
        if (!parse_number(optarg, TIMEOUT_MAX_S, &number))
            return usage_error("--timeout: not from 1 to 3600 seconds: ", optarg);
        options->target.timeout_ms = (int)number * 1000;
        return -1;
    case 'P':
        return usage_error("every user of this machine can see a password on the command line: use --password-file",
                           "");
    case 'h':
        fputs(help, stdout);
        return EXIT_SUCCESS;
    default: /* getopt_long() has said what is wrong */
        fputs("Try \"imapstatectl try --help\".\n", stderr);
        return EXIT_USAGE;
    }
}

/* What each of the options says, taken together. */
static int check_options(struct options *options)
{
    struct connection_target *target = &options->target;
    if (!options->user || !*options->user)
        return usage_error("--user is missing", "");
    if (options->has_starttls && options->has_plain)
        return usage_error("--starttls and --plain exclude each other", "");
    if (options->has_plain && (target->is_insecure || *target->ca_file))
        return usage_error("with --plain there is no certificate: --insecure and --ca-file have no effect", "");
    if (target->is_insecure && *target->ca_file)
        return usage_error("--insecure and --ca-file exclude each other", "");
    target->tls = options->has_plain      ? CONNECTION_PLAIN
                  : options->has_starttls ? CONNECTION_STARTTLS
                                          : CONNECTION_IMPLICIT;
    if (!target->port)
        target->port = target->tls == CONNECTION_IMPLICIT ? "993" : "143";
    return -1;
}

static int parse_options(int argc, char **argv, struct options *options)
{
    static const struct option long_options[] = {
        { "user", required_argument, NULL, 'u' },     { "password-file", required_argument, NULL, 'f' },
        { "password", required_argument, NULL, 'P' }, { "oauth", no_argument, NULL, 'o' },
        { "port", required_argument, NULL, 'p' },     { "starttls", no_argument, NULL, 's' },
        { "plain", no_argument, NULL, 'c' },          { "ca-file", required_argument, NULL, 'a' },
        { "insecure", no_argument, NULL, 'i' },       { "timeout", required_argument, NULL, 't' },
        { "help", no_argument, NULL, 'h' },           { 0 }
    };
    static char name[] = "imapstatectl try"; /* begins getopt_long()'s messages */
    int option, status = -1;
    argv[0] = name;
    while (status < 0 && (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
        status = take_option(option, options);
    if (status >= 0)
        return status;
    if (optind == argc || !*argv[optind])
        return usage_error("HOST is missing", "");
    if (optind + 1 < argc)
        return usage_error("one word too many: ", argv[optind + 1]);
    options->target.host = argv[optind];
    return check_options(options);
}

static void warn_of_risks(const struct connection_target *target)
{
    if (target->is_insecure)
        fputs("imapstatectl try: warning: --insecure: the server's certificate is not verified. Anybody between "
              "here\nand there can read the password and the mail, and change what is said.\n",
              stderr);
    if (target->tls == CONNECTION_PLAIN)
        fputs("imapstatectl try: warning: --plain: the password and the mail go over the wire unencrypted.\n", stderr);
}

/* --- what came of it --- */

static const char *offer_name(enum trial_offer offer)
{
    return offer == TRIAL_OFFER_YES ? "yes" : offer == TRIAL_OFFER_NO ? "no" : "there is no list";
}

static void print_offers(const struct trial *trial)
{
    const struct {
        const char *where;
        enum trial_offer offer;
    } lists[] = { { "in the greeting", trial->in_greeting },
                  { "to CAPABILITY before login", trial->before_login },
                  { "with the login", trial->with_login },
                  { "to CAPABILITY after login", trial->after_login } };
    printf("\nIs STATE in the capability list\n");
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        /* The list before login is the greeting's, unless that has none or TLS came in between. */
        if (i != 1 || trial->in_greeting == TRIAL_NO_LIST || trial->target->tls == CONNECTION_STARTTLS)
            printf("  %-28s %s\n", lists[i].where, offer_name(lists[i].offer));
}

static void print_measures(const struct trial *trial)
{
    static const char *const names[TRIAL_SESSIONS] = { "set up and saved", "restored", "set up without STATE" };
    printf("\n%-22s %9s %12s %10s\n", "", "connect", "round trips", "in all");
    for (size_t i = 0; i < TRIAL_SESSIONS; i++) {
        const struct trial_measure *measure = &trial->measures[i];
        if (measure->round_trips > 0)
            printf("%-22s %6.1f ms %12u %7.1f ms\n", names[i], (double)measure->connect_us / 1000, measure->round_trips,
                   (double)(measure->connect_us + measure->then_us) / 1000);
    }
    printf(
        "\nA round trip is a write that waits for its answer; LOGOUT is not counted. The restored session and the one\n"
        "without STATE go from the connect to the answer to EXAMINE, the one that saves to that to SAVESTATE.\n");
}

static void print_text(const struct transcript *transcript, FILE *to, const char *before,
                       const struct imapstate_buf *text, const char *behind)
{
    fputs(before, to);
    transcript_print(transcript, to, imapstate_buf_span(text));
    fputs(behind, to);
}

static void print_restored(const struct trial *trial)
{
    const struct transcript *transcript = trial->transcript;
    unsigned with = trial->measures[TRIAL_RESTORING].round_trips, without = trial->measures[TRIAL_WITHOUT].round_trips;
    printf("\nSTATE works here: a client is at its mail after %u round trip%s instead of %u.\n", with,
           with == 1 ? "" : "s", without);
    if (trial->restored.len > 0)
        print_text(transcript, stdout, "Restored: ", &trial->restored, ".\n");
    else
        puts("The state was empty: the server offers nothing that is stored.");
    if (trial->not_stored.len > 0)
        print_text(transcript, stdout,
                   "Not in the state, so the client remembers it or asks again: ", &trial->not_stored, ".\n");
}

static void print_no_state(const struct trial *trial)
{
    printf("\nThis server does not offer STATE. A client that sets itself up needs %u round trips to be at its mail, "
           "each\n"
           "time it connects. With STATE it needs one: imapstated(8) in front of the server makes that possible.\n",
           trial->measures[TRIAL_WITHOUT].round_trips);
}

/* A failure goes to standard error, whatever else was said. */
static void print_error(const struct trial *trial, const char *before)
{
    fflush(stdout);
    print_text(trial->transcript, stderr, before, &trial->error, trial->refusal.len > 0 ? ": " : "\n");
    if (trial->refusal.len > 0)
        print_text(trial->transcript, stderr, "", &trial->refusal, "\n");
}

static int print_result(const struct trial *trial, enum trial_result result)
{
    char before[400];
    snprintf(before, sizeof before, "imapstatectl try: %.255s port %.10s: ", trial->target->host, trial->target->port);
    if (result == TRIAL_FAILED) {
        print_error(trial, before);
        return EXIT_FAILURE;
    }
    printf("\n%s port %s, %s%s\n", trial->target->host, trial->target->port, trial->protocol,
           trial->target->is_insecure ? ", the certificate is NOT verified" : "");
    print_offers(trial);
    print_measures(trial);
    switch (result) {
    case TRIAL_RESTORED:
        print_restored(trial);
        return EXIT_SUCCESS;
    case TRIAL_NO_STATE:
        print_no_state(trial);
        return TRY_NO_STATE;
    default:
        printf("\nThis server offers STATE, but does not restore.\n");
        print_error(trial, before);
        return TRY_NOT_RESTORED;
    }
}

/* --- the command --- */

/* The secret as it is, and with the escapes that it has between quotes. */
static bool hide_secret(struct transcript *transcript, struct imapstate_span secret)
{
    struct imapstate_buf quoted;
    imapstate_buf_init(&quoted, 2 * PASSWORD_TOKEN_MAX + 2);
    bool is_hidden = transcript_hide(transcript, secret) && imapstate_command_put_quoted(&quoted, secret) &&
                     transcript_hide(transcript, (struct imapstate_span){ quoted.at + 1, quoted.len - 2 });
    imapstate_buf_done(&quoted);
    return is_hidden;
}

static int run(const struct options *options, struct imapstate_span secret)
{
    struct account account = { .user = imapstate_span_of(options->user),
                               .secret = secret,
                               .has_token = options->has_token };
    struct transcript transcript;
    struct trial trial;
    int status = EXIT_FAILURE;

    transcript_init(&transcript, stdout);
    if (hide_secret(&transcript, secret)) {
        enum trial_result result = trial_run(&trial, &options->target, &account, &transcript);
        status = print_result(&trial, result);
        trial_done(&trial);
    } else {
        fprintf(stderr, "imapstatectl try: %s\n", imapstate_strerror(IMAPSTATE_NO_MEMORY));
    }
    transcript_done(&transcript);
    return status;
}

int try_command(int argc, char **argv)
{
    struct options options = { .target = { .ca_file = "", .timeout_ms = TIMEOUT_S * 1000 } };
    char prompt[400];
    struct imapstate_buf secret;

    int status = parse_options(argc, argv, &options);
    if (status >= 0)
        return status;
    /* OpenSSL writes by write(): a server that is gone must not end us. */
    signal(SIGPIPE, SIG_IGN);
    warn_of_risks(&options.target);
    const char *what = options.has_token ? "access token" : "password";
    imapstate_buf_init(&secret, options.has_token ? PASSWORD_TOKEN_MAX : PASSWORD_MAX);
    snprintf(prompt, sizeof prompt, "%s of %.100s at %.255s: ", options.has_token ? "Access token" : "Password",
             options.user, options.target.host);
    status = password_read(options.password_file, prompt, what, &secret) ? run(&options, imapstate_buf_span(&secret))
                                                                         : EXIT_FAILURE;
    imapstate_buf_done(&secret);
    return status;
}
