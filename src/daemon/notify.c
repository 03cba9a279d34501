#include "notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

void notify_ready(const char *status)
{
    sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_status(const char *status)
{
    sd_notifyf(0, "STATUS=%s", status);
}

void notify_stopping(void)
{
    sd_notify(0, "STOPPING=1\nSTATUS=stopping");
}

void notify_main(pid_t pid)
{
    sd_notifyf(0, "MAINPID=%ld", (long)pid);
}

void notify_watchdog(void)
{
    sd_notify(0, "WATCHDOG=1");
}

uint64_t notify_watchdog_ms(void)
{
    uint64_t limit_us = 0;
    return sd_watchdog_enabled(0, &limit_us) > 0 ? limit_us / 1000 : 0;
}

void notify_take_place(void)
{
    char own[32];
    snprintf(own, sizeof own, "%ld", (long)getpid());
    if (getenv("WATCHDOG_PID"))
        setenv("WATCHDOG_PID", own, 1);
}
