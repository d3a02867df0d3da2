/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* struct winsize */
#include "progress.h"

#include "common.h"
#include "json_out.h"
#include "output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_WIDTH = 24, DEFAULT_COLUMNS = 80, LINE_SIZE = 512 };
#define REDRAW_SECONDS 0.1
#define REPORT_SECONDS 1.0

const option_choice progress_choices[] = {{"auto", PROGRESS_AUTO}, {"bar", PROGRESS_BAR},   {"plain", PROGRESS_PLAIN},
                                          {"none", PROGRESS_NONE}, {"json", PROGRESS_JSON}, {0}};

static void clear_bar(void)
{
    fputs("\r\033[K", stderr);
}

void progress_start(progress *state, int32_t style)
{
    if (style == PROGRESS_AUTO) style = is_smart_terminal(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_PLAIN;
    *state = (progress){.style = style, .epoch_began = now_seconds()};
    if (style == PROGRESS_BAR) set_line_clearer(clear_bar);
}

static size_t columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return DEFAULT_COLUMNS;
    return size.ws_col;
}

static void print_time(char *text, size_t size, double seconds)
{
    const int64_t whole = (int64_t)(seconds + 0.5);
    if (seconds <= 0 || seconds > 1e9)
        snprintf(text, size, "-:--");
    else if (whole < 3600)
        snprintf(text, size, "%" PRId64 ":%02" PRId64, whole / 60, whole % 60);
    else
        snprintf(text, size, "%" PRId64 ":%02" PRId64 ":%02" PRId64, whole / 3600, whole / 60 % 60, whole % 60);
}

static void draw_line(char *line)
{
    const size_t width = columns() - 1;
    if (strlen(line) > width) line[width] = '\0';
    clear_bar();
    fputs(line, stderr);
    fflush(stderr);
}

static void draw_bar(const deep_progress *now)
{
    char line[LINE_SIZE], bar[BAR_WIDTH + 1], left[32];
    const double part = now->steps > 0 ? (double)now->step / (double)now->steps : 0;
    const int filled = part >= 1 ? BAR_WIDTH : (int)(part * BAR_WIDTH);
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[BAR_WIDTH] = '\0';
    print_time(left, sizeof left, now->seconds_left);
    if (now->phase == DEEP_PHASE_TRAIN)
        snprintf(line, sizeof line,
                 "epoch %d/%d [%s] %" PRId64 "/%" PRId64 "  loss %.4f  acc %.3f  %.1f img/s  left %s", now->epoch,
                 now->epochs, bar, now->step, now->steps, now->loss, now->accuracy, now->images_per_second, left);
    else if (now->phase == DEEP_PHASE_PREPARE)
        snprintf(line, sizeof line, "prepare [%s] %" PRId64 "/%" PRId64, bar, now->step, now->steps);
    else
        snprintf(line, sizeof line, "epoch %d/%d [%s] %" PRId64 "/%" PRId64 "  validate  left %s", now->epoch,
                 now->epochs, bar, now->step, now->steps, left);
    draw_line(line);
}

static void print_epoch(const progress *state, const deep_progress *now)
{
    char line[LINE_SIZE];
    size_t used = (size_t)snprintf(line, sizeof line, "epoch %d/%d  loss %.4f  accuracy %.4f", now->epoch, now->epochs,
                                   now->loss, now->accuracy);
    if (now->has_valid)
        used += (size_t)snprintf(line + used, sizeof line - used, "  valid loss %.4f  valid accuracy %.4f",
                                 now->valid_loss, now->valid_accuracy);
    snprintf(line + used, sizeof line - used, "  rate %.3g  %.1f img/s  %.1f s", now->learning_rate,
             now->images_per_second, now_seconds() - state->epoch_began);
    if (state->style == PROGRESS_BAR) clear_bar();
    fprintf(stderr, "%s\n", line);
}

static void print_json(const deep_progress *now)
{
    static const char *const names[] = {[DEEP_PHASE_PREPARE] = "prepare",
                                        [DEEP_PHASE_TRAIN] = "train",
                                        [DEEP_PHASE_EVALUATE] = "validate",
                                        [DEEP_PHASE_EPOCH] = "epoch"};
    json_out json = {0};
    emit_open(&json, NULL, '{');
    emit_text(&json, "phase",
              now->phase >= DEEP_PHASE_PREPARE && now->phase <= DEEP_PHASE_EPOCH ? names[now->phase] : "other");
    emit_int(&json, "epoch", now->epoch);
    emit_int(&json, "epochs", now->epochs);
    emit_int(&json, "step", now->step);
    emit_int(&json, "steps", now->steps);
    emit_real(&json, "loss", now->loss);
    emit_real(&json, "accuracy", now->accuracy);
    if (now->has_valid) {
        emit_real(&json, "valid_loss", now->valid_loss);
        emit_real(&json, "valid_accuracy", now->valid_accuracy);
    }
    emit_real(&json, "learning_rate", now->learning_rate);
    emit_real(&json, "images_per_second", now->images_per_second);
    emit_real(&json, "seconds_left", now->seconds_left);
    emit_close(&json, '}');
    emit_line(&json, stderr);
    emit_free(&json);
}

static bool is_due(progress *state, double interval)
{
    const double now = now_seconds();
    if (now - state->last_drawn < interval) return false;
    state->last_drawn = now;
    return true;
}

void progress_show(progress *state, const deep_progress *now)
{
    const bool epoch_ends = now->phase == DEEP_PHASE_EPOCH;
    if (state->style == PROGRESS_JSON) {
        if (epoch_ends || is_due(state, REPORT_SECONDS)) print_json(now);
    } else if (state->style != PROGRESS_NONE) {
        if (epoch_ends)
            print_epoch(state, now);
        else if (state->style == PROGRESS_BAR && is_due(state, REDRAW_SECONDS))
            draw_bar(now);
    }
    if (epoch_ends || now->phase == DEEP_PHASE_PREPARE) state->epoch_began = now_seconds();
}

void progress_note(const progress *state, const char *text)
{
    char line[LINE_SIZE];
    if (state->style != PROGRESS_BAR) return;
    snprintf(line, sizeof line, "%s", text);
    draw_line(line);
}

void progress_stop(progress *state)
{
    if (state->style != PROGRESS_BAR) return;
    clear_bar();
    fflush(stderr);
    set_line_clearer(NULL);
}
