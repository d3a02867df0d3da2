/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_SIGNALS_H
#define DEEP_TOOLS_SIGNALS_H

#include <stdbool.h>

/* From now on the first SIGINT, SIGTERM, SIGHUP or SIGUSR1 only asks to stop; the second one ends the process. */
void signals_catch(void);

/* Back to the default actions. */
void signals_release(void);

/* True after the first signal. */
bool signals_asked_to_stop(void);

#endif
