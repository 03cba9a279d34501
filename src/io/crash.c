#include "crash.h"

#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define CRASH_FRAMES_MAX   64
#define CRASH_MODULES_MAX  64u
#define CRASH_NAME_MAX     48u
#define CRASH_LINE_MAX     4096u
#define CRASH_STACK_OCTETS 65536u
/* Whatever holds the handler up, such as a lock that the thread had, it ends. */
#define CRASH_PATIENCE_S 5
/* An address below is that of a member, by a NULL pointer. */
#define CRASH_NULL_MAX 65536u

static const struct {
    int number;
    const char *name;
} crash_signals[] = {
    { SIGSEGV, "SIGSEGV" }, { SIGBUS, "SIGBUS" }, { SIGILL, "SIGILL" }, { SIGFPE, "SIGFPE" }, { SIGABRT, "SIGABRT" },
};
#define CRASH_SIGNALS (sizeof crash_signals / sizeof *crash_signals)

/* Written once, before there are threads. */
static struct {
    const char *version;
    const char *before; /* the line: of the journal */
    struct {
        uintptr_t base, first, end; /* of what is executed */
        char name[CRASH_NAME_MAX];
    } modules[CRASH_MODULES_MAX];
    size_t module_count;
} crash;
static bool crash_is_json; /* atomic */
static __thread void *crash_stack;

/* --- the line: nothing here may wait for a lock or ask for memory --- */

struct crash_line {
    char at[CRASH_LINE_MAX];
    size_t len;
};

static void crash_put(struct crash_line *line, const char *text)
{
    for (; *text && line->len < sizeof line->at - 8; text++)
        line->at[line->len++] = *text;
}

static void crash_put_number(struct crash_line *line, uintptr_t number, unsigned base)
{
    char digits[24], *at = &digits[sizeof digits - 1];
    *at = '\0';
    do
        *--at = "0123456789abcdef"[number % base];
    while (number /= base);
    crash_put(line, at);
}

static void crash_put_place(struct crash_line *line, uintptr_t address)
{
    for (size_t i = 0; i < crash.module_count; i++)
        if (address >= crash.modules[i].first && address < crash.modules[i].end) {
            crash_put(line, crash.modules[i].name);
            crash_put(line, "+0x");
            crash_put_number(line, address - crash.modules[i].base, 16);
            return;
        }
    crash_put(line, "?"); /* it may be anything */
}

/* Where it happened; 0 if that is not known. */
static uintptr_t crash_place(const void *context)
{
    const ucontext_t *user = context;
#if defined(__x86_64__)
    return (uintptr_t)user->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)user->uc_mcontext.pc;
#else
    (void)user;
    return 0;
#endif
}

static void crash_put_stack(struct crash_line *line, uintptr_t place)
{
    void *frames[CRASH_FRAMES_MAX];
    int count = backtrace(frames, CRASH_FRAMES_MAX), first = 0;
    while (first < count && (uintptr_t)frames[first] != place)
        first++;
    if (first == count)
        first = 0;
    for (int i = first; i < count; i++) {
        crash_put(line, i > first ? " " : "");
        /* All but the first are where a call comes back to, which may be the next line. */
        crash_put_place(line, (uintptr_t)frames[i] - (i > first));
    }
}

static const char *crash_name(int signal_number)
{
    for (size_t i = 0; i < CRASH_SIGNALS; i++)
        if (crash_signals[i].number == signal_number)
            return crash_signals[i].name;
    return "?";
}

static void crash_tell(int signal_number, const siginfo_t *info, const void *context)
{
    static struct crash_line line;
    bool is_json = __atomic_load_n(&crash_is_json, __ATOMIC_RELAXED);
    bool is_fault = signal_number == SIGSEGV && info->si_code > 0 && (uintptr_t)info->si_addr < CRASH_NULL_MAX;
    crash_put(&line, crash.before);
    crash_put(&line, is_json ? "{\"level\":\"error\",\"pid\":" : "imapstated[");
    crash_put_number(&line, (uintptr_t)getpid(), 10);
    crash_put(&line, is_json ? ",\"message\":\"crash: " : "]: error: crash: ");
    crash_put(&line, crash_name(signal_number));
    crash_put(&line, is_fault ? " (a NULL pointer)" : "");
    crash_put(&line, ", version ");
    crash_put(&line, crash.version);
    crash_put(&line, ", stack: ");
    crash_put_stack(&line, crash_place(context));
    size_t room = sizeof line.at - line.len;
    const char *end = is_json ? "\"}\n" : "\n";
    size_t len = strlen(end);
    memcpy(line.at + line.len, end, len < room ? len : room);
    line.len += len;
    for (size_t sent = 0; sent < line.len;) {
        ssize_t count = write(STDERR_FILENO, line.at + sent, line.len - sent);
        if (count <= 0)
            break;
        sent += (size_t)count;
    }
}

/* Longer than the thread that writes the log gathers lines: what led here comes first. */
static const struct timespec crash_linger = { .tv_nsec = 20 * 1000000 };

static void crash_on_signal(int signal_number, siginfo_t *info, void *context)
{
    static bool has_begun;
    sigset_t own;
    if (__atomic_exchange_n(&has_begun, true, __ATOMIC_ACQ_REL))
        for (;;)
            pause(); /* another thread was first */
    signal(SIGALRM, SIG_DFL);
    alarm(CRASH_PATIENCE_S);
    nanosleep(&crash_linger, NULL);
    crash_tell(signal_number, info, context);
    signal(signal_number, SIG_DFL);
    sigemptyset(&own);
    sigaddset(&own, signal_number);
    pthread_sigmask(SIG_UNBLOCK, &own, NULL);
    raise(signal_number);
    _exit(EXIT_FAILURE);
}

/* --- prepared --- */

static int crash_add_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    const char *name = strrchr(info->dlpi_name, '/');
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X) || crash.module_count == CRASH_MODULES_MAX)
            continue;
        size_t at = crash.module_count++;
        crash.modules[at].base = info->dlpi_addr;
        crash.modules[at].first = info->dlpi_addr + part->p_vaddr;
        crash.modules[at].end = crash.modules[at].first + part->p_memsz;
        const char *known = name ? name + 1 : *info->dlpi_name ? info->dlpi_name : program_invocation_short_name;
        size_t len = strnlen(known, CRASH_NAME_MAX - 1);
        memcpy(crash.modules[at].name, known, len);
    }
    return 0;
}

static void crash_take_signal(int number)
{
    struct sigaction before, taken = { .sa_sigaction = crash_on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    if (sigaction(number, NULL, &before) < 0 || before.sa_handler != SIG_DFL)
        return;
    sigfillset(&taken.sa_mask);
    sigdelset(&taken.sa_mask, SIGALRM);
    sigaction(number, &taken, NULL);
}

void crash_init(const char *version)
{
    void *frame[1];
    crash.version = version;
    crash.before = getenv("JOURNAL_STREAM") ? "<2>" : "";
    backtrace(frame, 1); /* the first one loads a library */
    dl_iterate_phdr(crash_add_module, NULL);
    for (size_t i = 0; i < CRASH_SIGNALS; i++)
        crash_take_signal(crash_signals[i].number);
    crash_begin_thread();
}

void crash_set_json(bool is_json)
{
    __atomic_store_n(&crash_is_json, is_json, __ATOMIC_RELAXED);
}

void crash_begin_thread(void)
{
    stack_t stack = { .ss_size = CRASH_STACK_OCTETS };
    void *at = mmap(NULL, CRASH_STACK_OCTETS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return;
    stack.ss_sp = crash_stack = at;
    sigaltstack(&stack, NULL);
}

void crash_end_thread(void)
{
    stack_t none = { .ss_flags = SS_DISABLE };
    if (!crash_stack)
        return;
    sigaltstack(&none, NULL);
    munmap(crash_stack, CRASH_STACK_OCTETS);
    crash_stack = NULL;
}
