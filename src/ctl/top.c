#include "top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "controlclient.h"
#include "steer.h"
#include "table.h"
#include "tables.h"

#define TOP_PERIOD_MS 2000
#define CTRL_C        3

/* ECMA-48: to the upper left corner; the rest of the line, and of the screen, becomes empty; another screen than the
 * one with the shell's lines, and back to that. */
#define TOP_HOME       "\033[H"
#define TOP_CLEAR_LINE "\033[K"
#define TOP_CLEAR_REST "\033[J"
#define TOP_BEGIN      "\033[?1049h\033[?25l"
#define TOP_END        "\033[?25h\033[?1049l"

struct top {
    struct controlclient *client;
    struct termios before;
    int lines_left; /* on the screen */
};

static volatile sig_atomic_t top_is_ended;

static void top_on_signal(int number)
{
    top_is_ended |= number != SIGWINCH;
}

/* --- the screen --- */

static int top_height(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 2 ? size.ws_row : 24;
}

/* Text of lines, each of which ends with an LF. The last line of the screen stays empty: it would scroll. */
static void top_put(struct top *top, char *text)
{
    for (char *line = text, *lf; *line && top->lines_left > 1; line = lf + 1, top->lines_left--) {
        lf = strchr(line, '\n');
        printf("%.*s" TOP_CLEAR_LINE "\r\n", (int)(lf - line), line);
    }
}

struct top_rows {
    const struct table_column *columns;
    FILE *out;
};

static void top_row(void *owner, json_t *row)
{
    const struct top_rows *rows = owner;
    table_print_row(rows->columns, row, rows->out);
}

static void top_note(void *owner, const char *words)
{
    fprintf(((const struct top_rows *)owner)->out, "%.79s\n", words);
}

/* False: the daemon is gone; *ret_words says so. */
static bool top_put_table(struct top *top, const char *what, const char **ret_words)
{
    char *text = NULL;
    size_t len;
    struct top_rows rows = { tables_find(what), open_memstream(&text, &len) };
    const struct controlclient_reader reader = { top_row, top_note, &rows };
    const char *const words[] = { "show", what };
    if (!rows.out) {
        *ret_words = strerror(errno);
        return false;
    }
    table_print_titles(rows.columns, rows.out);
    enum controlclient_end end = controlclient_ask(top->client, words, 2, &reader, ret_words);
    if (end == CONTROLCLIENT_FAILED)
        fprintf(rows.out, "%.79s\n", *ret_words);
    fputs("\n", rows.out);
    fclose(rows.out);
    top_put(top, text);
    free(text);
    return end == CONTROLCLIENT_DONE || end == CONTROLCLIENT_FAILED;
}

static bool top_refresh(struct top *top, const char **ret_words)
{
    char title[TABLE_WIDTH + 2], now[32];
    time_t seconds = time(NULL);
    struct tm local;
    strftime(now, sizeof now, "%H:%M:%S", localtime_r(&seconds, &local));
    snprintf(title, sizeof title, "imapstated  %s  (q ends)\n\n", now);
    top->lines_left = top_height();
    fputs(TOP_HOME, stdout);
    top_put(top, title);
    bool is_there = top_put_table(top, "listeners", ret_words) && top_put_table(top, "upstreams", ret_words);
    fputs(TOP_CLEAR_REST, stdout);
    fflush(stdout);
    return is_there;
}

/* --- keys --- */

/* Waits for the next refresh. False: it is to end. */
static bool top_wait(void)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    char key;
    if (poll(&input, 1, TOP_PERIOD_MS) <= 0)
        return !top_is_ended;
    return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q' && key != CTRL_C;
}

/* --- begin and end --- */

static void top_catch(int number)
{
    const struct sigaction action = { .sa_handler = top_on_signal };
    sigaction(number, &action, NULL);
}

static bool top_begin(struct top *top)
{
    if (tcgetattr(STDIN_FILENO, &top->before) < 0)
        return false;
    struct termios raw = top->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    top_catch(SIGTERM);
    top_catch(SIGHUP);
    top_catch(SIGINT);
    top_catch(SIGWINCH); /* a refresh, at once: see top_wait() */
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) < 0)
        return false;
    fputs(TOP_BEGIN, stdout);
    return true;
}

static void top_end(const struct top *top)
{
    fputs(TOP_END, stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &top->before);
}

int top_command(const char *path)
{
    struct top top = { .client = NULL };
    const char *words = "";
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        fputs("imapstatectl: top needs a terminal; \"show\" does not\n", stderr);
        return EXIT_FAILURE;
    }
    top.client = controlclient_open(path);
    if (!top.client) {
        fprintf(stderr, "imapstatectl: %s: %s\n", path, strerror(errno));
        return STEER_UNREACHABLE;
    }
    bool is_there = true;
    if (top_begin(&top)) {
        do
            is_there = top_refresh(&top, &words);
        while (is_there && top_wait());
        top_end(&top);
    }
    controlclient_free(top.client);
    if (!is_there)
        fprintf(stderr, "imapstatectl: %s\n", words);
    return is_there ? EXIT_SUCCESS : STEER_UNREACHABLE;
}
