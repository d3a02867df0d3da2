/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_out.h"

#include "json_out.h"
#include "svg_roofline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double least_share = 0.002; /* of the time; what takes less is one line in the table */

/* Those with all threads. */
static const machine_peak *last_peak(const bench_result *result, const bench_request *request)
{
    return &result->peaks[request->threads.count - 1];
}

/* Calls `visit` for each dtype that was measured, in order. */
static void visit_dtypes(const bench_result *result, void (*visit)(void *user, int32_t dtype), void *user)
{
    int32_t last = 0;
    for (int32_t s = 0; s < result->speed_count; ++s) {
        if (result->speeds[s].dtype != last) visit(user, result->speeds[s].dtype);
        last = result->speeds[s].dtype;
    }
}

/* ---- text ---- */

static void print_machine(const bench_result *result, const bench_request *request, const char *device)
{
    const deep_model_summary *summary = &result->summary;
    printf("model    %s, %d x %d pixels, %d classes, %.1f million multiply-adds an image\ndevice   %s\n",
           summary->architecture, summary->input_size, summary->input_size, summary->classes,
           (double)summary->multiply_adds / 1e6, device);
    for (int32_t t = 0; t < request->threads.count && result->has_peaks; ++t) {
        const machine_peak *peak = &result->peaks[t];
        printf("peak     %" PRId32 " thread%s: %.0f fp32", request->threads.values[t],
               request->threads.values[t] == 1 ? "" : "s", peak->f32);
        if (peak->bf16 > 0) printf(", %.0f bf16", peak->bf16);
        if (peak->i8 > 0) printf(", %.0f int8", peak->i8);
        printf(" billion operations/s; memory %.0f GB/s, second-level caches %.0f GB/s\n", peak->memory, peak->cache);
    }
}

/* Of the peak; 0 = not known. */
static void print_part(double part)
{
    if (part > 0)
        printf("%6.0f %%", 100 * part);
    else
        printf("%8s", "-");
}

static void print_speeds(const bench_result *result)
{
    printf("\ndtype  batch  threads  ms/image    median  images/s  of peak     memory\n");
    for (int32_t s = 0; s < result->speed_count; ++s) {
        const bench_speed *speed = &result->speeds[s];
        printf("%-5s %6" PRId32 " %8" PRId32 " %9.2f %9.2f %9.2f ", bench_dtype_name(speed->dtype), speed->batch,
               speed->threads, speed->least_ms, speed->median_ms, 1e3 / speed->median_ms);
        print_part(speed->of_peak);
        if (speed->peak_bytes > 0)
            printf(" %7.0f MB\n", (double)speed->peak_bytes / 1e6);
        else
            printf("%11s\n", "-");
    }
}

static void print_kind(const bench_kind *kind, double peak)
{
    char name[96];
    bench_name_kind(name, sizeof name, kind);
    const double rate = kind->milliseconds > 0 ? 1e-6 * kind->operations / kind->milliseconds : 0;
    printf("%8.2f %6.1f %% ", kind->milliseconds, 100 * kind->share);
    if (kind->operations > 0)
        printf("%8.1f ", rate);
    else
        printf("%8s ", "-");
    print_part(kind->operations > 0 && peak > 0 ? rate / peak : 0);
    printf(" %7.1f  %s: %s %s\n", kind->milliseconds > 0 ? 1e-6 * kind->bytes / kind->milliseconds : 0, name,
           kind->first->step.op, kind->first->step.shape);
}

typedef struct printing {
    const bench_result *result;
    const bench_request *request;
    bench_kind *kinds; /* room for all steps */
} printing;

static void print_kinds(void *user, int32_t dtype)
{
    const printing *p = user;
    const int32_t count = bench_kinds(p->kinds, p->result, dtype);
    const double peak = bench_peak_of(last_peak(p->result, p->request), dtype);
    double rest_ms = 0, rest_share = 0;
    const int32_t threads = p->request->threads.values[p->request->threads.count - 1];
    int32_t rest = 0;
    printf("\n%s, batch %" PRId32 ", %" PRId32 " thread%s, by layer:\n      ms    share    Gop/s  of peak    GB/s\n",
           bench_dtype_name(dtype), p->request->batches.values[0], threads, threads == 1 ? "" : "s");
    for (int32_t k = 0; k < count; ++k) {
        if (p->kinds[k].share >= least_share) {
            print_kind(&p->kinds[k], peak);
            continue;
        }
        rest += p->kinds[k].count;
        rest_ms += p->kinds[k].milliseconds;
        rest_share += p->kinds[k].share;
    }
    if (rest > 0) printf("%8.2f %6.1f %%  in %" PRId32 " more steps\n", rest_ms, 100 * rest_share, rest);
}

bool bench_print_text(const bench_result *result, const bench_request *request, const char *device)
{
    printing p = {result, request, calloc((size_t)result->step_count + 1, sizeof(bench_kind))};
    if (p.kinds == NULL) return false;
    print_machine(result, request, device);
    print_speeds(result);
    visit_dtypes(result, print_kinds, &p);
    free(p.kinds);
    return fflush(stdout) == 0;
}

/* ---- JSON ---- */

static void emit_peak(json_out *json, int32_t threads, const machine_peak *peak)
{
    emit_open(json, NULL, '{');
    emit_int(json, "threads", threads);
    emit_real(json, "fp32_gops", peak->f32);
    emit_real(json, "bf16_gops", peak->bf16);
    emit_real(json, "int8_gops", peak->i8);
    emit_real(json, "memory_gbs", peak->memory);
    emit_real(json, "cache_gbs", peak->cache);
    emit_close(json, '}');
}

static void emit_speed(json_out *json, const bench_speed *speed)
{
    emit_open(json, NULL, '{');
    emit_text(json, "dtype", bench_dtype_name(speed->dtype));
    emit_int(json, "batch", speed->batch);
    emit_int(json, "threads", speed->threads);
    emit_real(json, "ms_min", speed->least_ms);
    emit_real(json, "ms_median", speed->median_ms);
    emit_real(json, "images_per_second", 1e3 / speed->median_ms);
    if (speed->of_peak > 0) emit_real(json, "of_peak", speed->of_peak);
    emit_int(json, "peak_memory", speed->peak_bytes);
    emit_close(json, '}');
}

static void emit_step(json_out *json, const bench_step *step, bool has_peaks)
{
    emit_open(json, NULL, '{');
    emit_text(json, "dtype", bench_dtype_name(step->dtype));
    emit_text(json, "layer", step->step.layer);
    emit_text(json, "op", step->step.op);
    emit_text(json, "shape", step->step.shape);
    emit_text(json, "kernel", bench_dtype_name(step->step.dtype));
    emit_real(json, "ms", step->step.milliseconds);
    emit_real(json, "share", step->share);
    emit_int(json, "multiply_adds", step->step.multiply_adds);
    emit_int(json, "bytes", step->step.bytes);
    if (has_peaks) emit_real(json, "of_peak", step->of_peak);
    emit_close(json, '}');
}

bool bench_print_json(const bench_result *result, const bench_request *request, const char *device)
{
    json_out json = {0};
    emit_open(&json, NULL, '{');
    emit_text(&json, "architecture", result->summary.architecture);
    emit_int(&json, "input_size", result->summary.input_size);
    emit_int(&json, "multiply_adds", result->summary.multiply_adds);
    emit_text(&json, "device", device);
    emit_text(&json, "calibration", request->calibrate == NULL ? "random" : request->calibrate);
    emit_open(&json, "peaks", '[');
    for (int32_t t = 0; t < request->threads.count && result->has_peaks; ++t)
        emit_peak(&json, request->threads.values[t], &result->peaks[t]);
    emit_close(&json, ']');
    emit_open(&json, "speeds", '[');
    for (int32_t s = 0; s < result->speed_count; ++s)
        emit_speed(&json, &result->speeds[s]);
    emit_close(&json, ']');
    emit_open(&json, "steps", '[');
    for (int32_t s = 0; s < result->step_count; ++s)
        emit_step(&json, &result->steps[s], result->has_peaks);
    emit_close(&json, ']');
    emit_close(&json, '}');
    const bool written = emit_line(&json, stdout);
    emit_free(&json);
    return written;
}

/* ---- picture ---- */

typedef struct drawing {
    const bench_result *result;
    svg_roofline *chart;
    bench_kind *kinds;
    svg_dot *dots;
    char (*names)[96];
} drawing;

static void add_dots(void *user, int32_t dtype)
{
    drawing *d = user;
    svg_roofline *chart = d->chart;
    const int group = chart->group_count++;
    const int32_t count = bench_kinds(d->kinds, d->result, dtype);
    chart->groups[group].name = bench_dtype_name(dtype);
    chart->groups[group].peak = bench_peak_of(chart->peak, dtype);
    for (int32_t k = 0; k < count; ++k) {
        const bench_kind *kind = &d->kinds[k];
        if (kind->operations <= 0 || kind->milliseconds <= 0) {
            chart->groups[group].not_shown += kind->share;
            continue;
        }
        bench_name_kind(d->names[chart->dot_count], sizeof d->names[0], kind);
        d->dots[chart->dot_count] = (svg_dot){.group = group,
                                              .intensity = kind->operations / kind->bytes,
                                              .rate = 1e-6 * kind->operations / kind->milliseconds,
                                              .share = kind->share,
                                              .name = d->names[chart->dot_count],
                                              .shape = kind->first->step.shape};
        ++chart->dot_count;
    }
}

void bench_draw(markup *to, const bench_result *result, const bench_request *request)
{
    const size_t room = (size_t)result->step_count + 1;
    char title[160];
    snprintf(title, sizeof title, "%s, %d x %d pixels, batch %" PRId32 ", %" PRId32 " thread%s",
             result->summary.architecture, result->summary.input_size, result->summary.input_size,
             request->batches.values[0], request->threads.values[request->threads.count - 1],
             request->threads.values[request->threads.count - 1] == 1 ? "" : "s");
    drawing d = {.result = result,
                 .kinds = calloc(room, sizeof *d.kinds),
                 .dots = calloc(room, sizeof *d.dots),
                 .names = calloc(room, sizeof *d.names)};
    svg_roofline chart = {.title = title, .peak = last_peak(result, request), .dots = d.dots};
    d.chart = &chart;
    if (d.kinds != NULL && d.dots != NULL && d.names != NULL) {
        visit_dtypes(result, add_dots, &d);
        svg_add_roofline(to, &chart);
    } else {
        to->failed = true;
    }
    free(d.kinds);
    free(d.dots);
    free(d.names);
}
