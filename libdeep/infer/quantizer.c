/* SPDX-License-Identifier: Apache-2.0 */
#include "infer/quantizer.h"

#include <deep/quantize.h>
#include <math.h>
#include <string.h>

/* ---- construction ---- */

static const deep_allocator *allocator_of(const deep_quantizer *quantizer)
{
    return &quantizer->exact->context->allocator;
}

static int32_t count_passes(const deep_quantizer_options *options)
{
    return options->method == DEEP_CALIBRATE_MINMAX ? 2 : 3;
}

/* The image's own pixels and the last layers stay finer: they are few multiply-adds, and every error in them shows. */
static bool wants_i8(const deep_calibration *calibration, int32_t index)
{
    const deep_kernel_site *site = &calibration->sites[index];
    return index > 0 && calibration->program.graph.nodes[site->node].op == DEEP_OP_CONV2D;
}

static deep_status create_choice(deep_quantizer *quantizer, int32_t index)
{
    const deep_allocator *allocator = allocator_of(quantizer);
    const deep_kernel_shape shape = quantizer->calibration.sites[index].shape;
    deep_kernel_choice *choice = &quantizer->choices[index];
    choice->dtype = DEEP_DTYPE_BF16;
    DEEP_TRY(deep__alloc_zero(&choice->shift, allocator, (size_t)shape.outputs, sizeof *choice->shift, "errors"));
    DEEP_TRY(deep__alloc_zero(&choice->mean, allocator, (size_t)shape.outputs, sizeof *choice->mean, "errors"));
    if (!wants_i8(&quantizer->calibration, index)) return DEEP_OK;
    choice->dtype = DEEP_DTYPE_I8;
    DEEP_TRY(deep__alloc_zero(&choice->quantization, allocator, (size_t)deep__quantization_values(shape),
                              sizeof *choice->quantization, "quantization"));
    return deep__ranges_create(&choice->ranges, allocator, shape.inputs);
}

static size_t largest_value(const deep_calibration *calibration, bool output)
{
    size_t largest = 0;
    for (int32_t i = 0; i < calibration->count; ++i) {
        const deep_kernel_site *site = &calibration->sites[i];
        const deep_value_info *value =
            deep__graph_value(&calibration->program.graph, output ? site->output : site->input);
        if (value->bytes > largest) largest = value->bytes;
    }
    return largest;
}

deep_status deep__quantizer_create(deep_quantizer *quantizer, const deep_model *model,
                                   const deep_quantizer_options *options)
{
    *quantizer = (deep_quantizer){.options = *options};
    DEEP_TRY(deep__model_clone_into(&quantizer->exact, model, options->context));
    DEEP_TRY(deep__model_clone_into(&quantizer->rounded, model, options->context));
    deep_calibration *calibration = &quantizer->calibration;
    DEEP_TRY(deep__calibration_create(calibration, quantizer->exact, options->dataset, options->images,
                                      count_passes(options)));
    calibration->progress = options->progress;
    calibration->user = options->user;
    const deep_allocator *allocator = allocator_of(quantizer);
    DEEP_TRY(deep__alloc(&quantizer->input, allocator, largest_value(calibration, false), 1, "a kernel's input"));
    DEEP_TRY(deep__alloc(&quantizer->output, allocator, largest_value(calibration, true), 1, "a kernel's output"));
    DEEP_TRY(deep__alloc_zero(&quantizer->choices, allocator, (size_t)calibration->count, sizeof *quantizer->choices,
                              "kernels"));
    for (int32_t i = 0; i < calibration->count; ++i)
        DEEP_TRY(create_choice(quantizer, i));
    return DEEP_OK;
}

void deep__quantizer_free(deep_quantizer *quantizer)
{
    if (quantizer->exact == NULL) return;
    const deep_allocator *allocator = allocator_of(quantizer);
    for (int32_t i = 0; i < quantizer->calibration.count && quantizer->choices != NULL; ++i) {
        deep_kernel_choice *choice = &quantizer->choices[i];
        deep__ranges_free(&choice->ranges, allocator);
        deep__free(allocator, choice->quantization);
        deep__free(allocator, choice->shift);
        deep__free(allocator, choice->mean);
    }
    deep__free(allocator, quantizer->choices);
    deep__free(allocator, quantizer->input);
    deep__free(allocator, quantizer->output);
    deep__calibration_free(&quantizer->calibration);
    deep_model_free(quantizer->rounded);
    deep_model_free(quantizer->exact);
    *quantizer = (deep_quantizer){0};
}

/* ---- the ranges of the inputs ---- */

static deep_status widen_ranges(void *user, const deep_calibration *calibration, int32_t index, int32_t n)
{
    deep_quantizer *quantizer = user;
    const deep_kernel_site *site = &calibration->sites[index];
    deep_kernel_choice *choice = &quantizer->choices[index];
    if (choice->dtype == DEEP_DTYPE_I8)
        deep__ranges_widen(&choice->ranges, deep__calibration_value(calibration, site->input), n * site->input_rows);
    return DEEP_OK;
}

static deep_status count_values(void *user, const deep_calibration *calibration, int32_t index, int32_t n)
{
    deep_quantizer *quantizer = user;
    const deep_kernel_site *site = &calibration->sites[index];
    deep_kernel_choice *choice = &quantizer->choices[index];
    if (choice->dtype == DEEP_DTYPE_I8)
        deep__ranges_count(&choice->ranges, deep__calibration_value(calibration, site->input), n * site->input_rows);
    return DEEP_OK;
}

static deep_status cut_tails(deep_quantizer *quantizer)
{
    const deep_quantizer_options *options = &quantizer->options;
    deep_calibration *calibration = &quantizer->calibration;
    for (int32_t i = 0; i < calibration->count; ++i)
        if (quantizer->choices[i].dtype == DEEP_DTYPE_I8)
            DEEP_TRY(deep__ranges_add_bins(&quantizer->choices[i].ranges, allocator_of(quantizer)));
    DEEP_TRY(deep__calibration_pass(calibration, count_values, quantizer));
    for (int32_t i = 0; i < calibration->count; ++i) {
        deep_ranges *ranges = &quantizer->choices[i].ranges;
        if (quantizer->choices[i].dtype != DEEP_DTYPE_I8) continue;
        if (options->method == DEEP_CALIBRATE_ENTROPY)
            deep__ranges_cut_entropy(ranges);
        else
            deep__ranges_cut_percentile(ranges, options->percentile / 100);
    }
    return DEEP_OK;
}

/* ---- rounding ---- */

static deep_quantization quantization_of(const deep_quantizer *quantizer, int32_t index)
{
    return deep__quantization_of(quantizer->choices[index].quantization, quantizer->calibration.sites[index].shape);
}

/* The site's kernel of quantizer->rounded becomes what 8 or 16 bits leave of it. */
static deep_status round_kernel(deep_quantizer *quantizer, int32_t index)
{
    const deep_kernel_site *site = &quantizer->calibration.sites[index];
    const deep_kernel_choice *choice = &quantizer->choices[index];
    const float *exact = deep__model_values(quantizer->exact, site->param);
    float *rounded = deep__model_values(quantizer->rounded, site->param);
    const int64_t count = quantizer->exact->params.specs[site->param].elements;
    void *stored;
    DEEP_TRY(deep__alloc(&stored, allocator_of(quantizer), (size_t)count, sizeof(uint16_t), "a rounded kernel"));
    if (choice->dtype == DEEP_DTYPE_I8) {
        const deep_quantization quantization = quantization_of(quantizer, index);
        deep__kernel_to_i8(stored, &quantization, exact, site->shape);
        deep__kernel_from_i8(rounded, stored, &quantization, site->shape);
    } else {
        deep__kernel_to_halves(stored, exact, count, DEEP_DTYPE_BF16);
        deep__kernel_from_halves(rounded, stored, count, DEEP_DTYPE_BF16);
    }
    deep__free(allocator_of(quantizer), stored);
    return DEEP_OK;
}

static deep_status round_all(deep_quantizer *quantizer)
{
    for (int32_t i = 0; i < quantizer->calibration.count; ++i) {
        const deep_kernel_choice *choice = &quantizer->choices[i];
        if (choice->dtype == DEEP_DTYPE_I8) {
            const deep_quantization quantization = quantization_of(quantizer, i);
            deep__ranges_to_levels(&choice->ranges, &quantization);
        }
        DEEP_TRY(round_kernel(quantizer, i));
    }
    return DEEP_OK;
}

/* ---- what the rounding costs ---- */

static void add_errors(deep_kernel_choice *choice, const float *exact, const float *rounded, int64_t rows,
                       int64_t outputs)
{
    for (int64_t i = 0; i < rows * outputs; ++i) {
        const double difference = (double)exact[i] - (double)rounded[i];
        choice->shift[i % outputs] += difference;
        choice->mean[i % outputs] += (double)exact[i];
        choice->difference += difference * difference;
        choice->exact += (double)exact[i] * (double)exact[i];
    }
}

static deep_status measure_site(void *user, const deep_calibration *calibration, int32_t index, int32_t n)
{
    deep_quantizer *quantizer = user;
    const deep_kernel_site *site = &calibration->sites[index];
    deep_kernel_choice *choice = &quantizer->choices[index];
    float *input = deep__calibration_value(calibration, site->input);
    float *output = deep__calibration_value(calibration, site->output);
    const size_t input_bytes = deep__graph_value(&calibration->program.graph, site->input)->bytes;
    const size_t output_bytes = deep__graph_value(&calibration->program.graph, site->output)->bytes;
    memcpy(quantizer->input, input, input_bytes);
    memcpy(quantizer->output, output, output_bytes);
    if (choice->dtype == DEEP_DTYPE_I8) {
        const deep_quantization quantization = quantization_of(quantizer, index);
        deep__activation_round(input, n * site->input_rows, &quantization, site->shape.inputs);
    }
    DEEP_TRY(deep__calibration_rerun(calibration, index, quantizer->rounded->values));
    add_errors(choice, quantizer->output, output, n * site->output_rows, site->shape.outputs);
    memcpy(input, quantizer->input, input_bytes);
    memcpy(output, quantizer->output, output_bytes);
    return DEEP_OK;
}

/* Sums become means, and leave the sums of squares. */
static void finish_errors(deep_quantizer *quantizer)
{
    for (int32_t i = 0; i < quantizer->calibration.count; ++i) {
        const deep_kernel_site *site = &quantizer->calibration.sites[i];
        deep_kernel_choice *choice = &quantizer->choices[i];
        const double rows = (double)(quantizer->calibration.images * site->output_rows);
        for (int64_t n = 0; n < site->shape.outputs; ++n) {
            choice->shift[n] /= rows;
            choice->mean[n] /= rows;
            choice->difference -= rows * choice->shift[n] * choice->shift[n];
            choice->exact -= rows * choice->mean[n] * choice->mean[n];
        }
        choice->error = choice->exact > 0 && choice->difference > 0 ? sqrt(choice->difference / choice->exact) : 0;
    }
}

static deep_status give_up_i8(deep_quantizer *quantizer, int32_t index)
{
    const int64_t outputs = quantizer->calibration.sites[index].shape.outputs;
    quantizer->choices[index].dtype = DEEP_DTYPE_BF16;
    memset(quantizer->choices[index].shift, 0, (size_t)outputs * sizeof *quantizer->choices[index].shift);
    return round_kernel(quantizer, index);
}

/* A batch norm subtracts its mean, a bias is added. */
static void correct_shift(deep_quantizer *quantizer, int32_t index)
{
    const deep_kernel_site *site = &quantizer->calibration.sites[index];
    const double sign = quantizer->rounded->params.specs[site->shift].role == DEEP_ROLE_MEAN ? -1 : 1;
    float *values = deep__model_values(quantizer->rounded, site->shift);
    for (int64_t n = 0; n < site->shape.outputs; ++n)
        values[n] = (float)((double)values[n] + sign * quantizer->choices[index].shift[n]);
}

deep_status deep__quantizer_run(deep_quantizer *quantizer)
{
    deep_calibration *calibration = &quantizer->calibration;
    DEEP_TRY(deep__calibration_pass(calibration, widen_ranges, quantizer));
    if (quantizer->options.method != DEEP_CALIBRATE_MINMAX) DEEP_TRY(cut_tails(quantizer));
    DEEP_TRY(round_all(quantizer));
    DEEP_TRY(deep__calibration_pass(calibration, measure_site, quantizer));
    finish_errors(quantizer);
    for (int32_t i = 0; i < calibration->count; ++i) {
        const deep_kernel_choice *choice = &quantizer->choices[i];
        if (choice->dtype == DEEP_DTYPE_I8 && choice->error > quantizer->options.max_error)
            DEEP_TRY(give_up_i8(quantizer, i));
        correct_shift(quantizer, i);
    }
    return DEEP_OK;
}
