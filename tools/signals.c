/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "signals.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t asked;

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
enum { CAUGHT = sizeof caught / sizeof caught[0] };

static void on_signal(int number)
{
    if (asked) {
        signal(number, SIG_DFL);
        raise(number);
    }
    asked = 1;
}

static void set_action(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < CAUGHT; ++i)
        sigaction(caught[i], &action, NULL);
}

void signals_catch(void)
{
    asked = 0;
    set_action(on_signal);
}

void signals_release(void)
{
    set_action(SIG_DFL);
}

bool signals_asked_to_stop(void)
{
    return asked != 0;
}
