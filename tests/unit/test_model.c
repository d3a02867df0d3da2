/* SPDX-License-Identifier: Apache-2.0 */
#include "core/context.h"
#include "failing_allocator.h"
#include "model/model.h"
#include "model/params.h"
#include "model/safetensors.h"
#include "test.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NO_LIMIT = 1 << 30 };

static deep_context *context;

static void setup(void)
{
    assert_ok(deep__context_create(&context, NULL));
}

static void teardown(void)
{
    deep_context_free(context);
}

/* The smallest network that the architecture allows here: fast to fill and to write. */
static deep_model_options small_options(void)
{
    deep_model_options options = {DEEP_MODEL_OPTIONS_INIT};
    options.architecture = "xception-small";
    options.class_count = 3;
    options.input_size = 71;
    options.width = 0.0625;
    options.middle_blocks = 1;
    options.seed = 7;
    return options;
}

static deep_model *small_model(void)
{
    deep_model *model;
    const deep_model_options options = small_options();
    assert_ok(deep_model_create(&model, context, &options));
    return model;
}

static void assert_same_file(const deep_model *a, const deep_model *b)
{
    void *first, *second;
    size_t first_size, second_size;
    assert_ok(deep_model_save_memory(a, &first, &first_size));
    assert_ok(deep_model_save_memory(b, &second, &second_size));
    ck_assert_uint_eq(first_size, second_size);
    ck_assert_int_eq(memcmp(first, second, first_size), 0);
    deep_free(context, first);
    deep_free(context, second);
}

/* ---- creation ---- */

START_TEST(defaults_are_those_of_the_header)
{
    deep_model *model;
    deep_model_summary summary = {.struct_size = sizeof summary};
    const deep_model_options options = {DEEP_MODEL_OPTIONS_INIT, .architecture = "xception-small"};
    assert_ok(deep_model_create(&model, context, &options));
    assert_ok(deep_model_info(model, &summary));
    ck_assert_int_eq(summary.input_size, 299);
    ck_assert_int_eq(summary.input_channels, 3);
    ck_assert_int_eq(summary.classes, 1000);
    ck_assert_int_eq(summary.head, DEEP_HEAD_IMAGENET);
    ck_assert(summary.mean[0] == 127.5 && summary.std[2] == 127.5);
    ck_assert_str_eq(deep_model_class_name(model, 999), "999");
    ck_assert_ptr_null(deep_model_class_name(model, 1000));
    deep_model_free(model);
    deep_model_free(NULL);
}
END_TEST

START_TEST(bad_options_are_refused)
{
    deep_model *model;
    for (int i = 0; i < 12; ++i) {
        deep_model_options options = small_options();
        if (i == 0) options.architecture = "resnet";
        if (i == 1) options.input_size = 70;
        if (i == 2) options.input_size = 1001;
        if (i == 3) options.input_channels = 2;
        if (i == 4) options.head = 2;
        if (i == 5) options.dropout = 1.0;
        if (i == 6) options.width = -1.0;
        if (i == 7) options.middle_blocks = 65;
        if (i == 8) options.preprocess = 3;
        if (i == 9) options.class_count = 65537;
        if (i == 10) options.has_mean = 1, options.preprocess = DEEP_PREPROCESS_TORCH; /* std of 0 */
        if (i == 11) options.dropout = (double)NAN;
        const deep_status status = deep_model_create(&model, context, &options);
        ck_assert_msg(status == DEEP_ERROR_INVALID_ARGUMENT, "options %d: %s", i, deep_status_name(status));
        ck_assert_ptr_null(model);
    }
}
END_TEST

START_TEST(the_seed_decides_the_weights)
{
    deep_model *a = small_model(), *b = small_model(), *c;
    deep_model_options options = small_options();
    options.seed = 8;
    assert_ok(deep_model_create(&c, context, &options));
    assert_same_file(a, b);
    ck_assert_int_ne(memcmp(a->values, c->values, (size_t)a->params.elements * sizeof(float)), 0);
    deep_model_free(a);
    deep_model_free(b);
    deep_model_free(c);
}
END_TEST

START_TEST(weights_begin_as_in_keras) /* Glorot uniform; batch norm is the identity */
{
    deep_model *model = small_model();
    for (int32_t i = 0; i < deep_model_param_count(model); ++i) {
        const deep_param_spec *spec = &model->params.specs[i];
        const float *values = deep__model_values(model, i);
        float least = values[0], most = values[0];
        for (int64_t j = 1; j < spec->elements; ++j) {
            least = fminf(least, values[j]);
            most = fmaxf(most, values[j]);
        }
        if (spec->role != DEEP_ROLE_KERNEL) {
            const float expected = spec->role == DEEP_ROLE_GAMMA || spec->role == DEEP_ROLE_VARIANCE ? 1.0f : 0.0f;
            ck_assert_msg(least == expected && most == expected, "%s", spec->name);
            continue;
        }
        double fans = spec->rank == 4 ? (double)(spec->shape[0] * spec->shape[1]) : 1.0;
        fans *= (double)(spec->shape[spec->rank - 2] + spec->shape[spec->rank - 1]);
        const double limit = sqrt(6.0 / fans);
        ck_assert_msg(least >= -limit && most <= limit && most > 0.5 * limit && least < -0.5 * limit,
                      "%s: %g to %g, limit %g", spec->name, (double)least, (double)most, limit);
    }
    deep_model_free(model);
}
END_TEST

/* ---- parameters ---- */

START_TEST(parameters_are_found_read_and_written)
{
    deep_model *model = small_model();
    deep_param param = {.struct_size = sizeof param};
    const int32_t index = deep_model_param_index(model, "predictions.kernel");
    ck_assert_int_ge(index, 0);
    ck_assert_int_eq(deep_model_param_index(model, "nothing"), -1);
    assert_ok(deep_model_param_info(model, index, &param));
    ck_assert_str_eq(param.name, "predictions.kernel");
    ck_assert_int_eq(param.rank, 2);
    ck_assert_int_eq(param.shape[1], 3);
    ck_assert_int_eq(param.trainable, 1);
    assert_status(deep_model_param_info(model, deep_model_param_count(model), &param), DEEP_ERROR_INVALID_ARGUMENT);

    const int64_t count = param.shape[0] * param.shape[1];
    float *values = malloc((size_t)count * sizeof *values);
    assert_ok(deep_model_param_read(model, index, values, count));
    values[count - 1] = 0.25f;
    assert_ok(deep_model_param_write(model, index, values, count));
    values[count - 1] = 0.0f;
    assert_ok(deep_model_param_read(model, index, values, count));
    ck_assert_float_eq(values[count - 1], 0.25f);
    assert_status(deep_model_param_write(model, index, values, count - 1), DEEP_ERROR_INVALID_ARGUMENT);
    values[0] = INFINITY;
    assert_status(deep_model_param_write(model, index, values, count), DEEP_ERROR_INVALID_ARGUMENT);
    free(values);
    deep_model_free(model);
}
END_TEST

START_TEST(a_negative_variance_is_refused)
{
    deep_model *model = small_model();
    for (int32_t i = 0; i < model->params.count; ++i) {
        if (model->params.specs[i].role != DEEP_ROLE_VARIANCE) continue;
        float values[1024] = {0};
        values[0] = -1.0f;
        assert_status(deep_model_param_write(model, i, values, model->params.specs[i].elements),
                      DEEP_ERROR_INVALID_ARGUMENT);
        values[0] = 0.0f;
        assert_ok(deep_model_param_write(model, i, values, model->params.specs[i].elements));
    }
    deep_model_free(model);
}
END_TEST

static int64_t trainable(const deep_model *model)
{
    deep_model_summary summary = {.struct_size = sizeof summary};
    assert_ok(deep_model_info(model, &summary));
    return summary.trainable_parameters;
}

START_TEST(freezing_the_backbone_leaves_the_head)
{
    deep_model *model = small_model();
    const int64_t all = trainable(model);
    assert_ok(deep_model_set_trainable(model, "backbone", 0));
    const deep_param_spec *last = &model->params.specs[model->params.count - 1];
    ck_assert_int_eq(trainable(model), last->elements + last[-1].elements);
    assert_ok(deep_model_set_trainable(model, "", 1));
    ck_assert_int_eq(trainable(model), all);
    assert_status(deep_model_set_trainable(model, "block99_", 0), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_model_set_trainable(model, "", 2), DEEP_ERROR_INVALID_ARGUMENT);
    deep_model_free(model);
}
END_TEST

START_TEST(other_classes_make_a_new_last_layer_alone)
{
    static const char *const names[] = {"Akashiwo", "Ciliate", "Diatom", "other", "Zooplankton"};
    static const int64_t ids[] = {109707, 0, 0, 0, 5};
    deep_model *model = small_model(), *before = small_model();
    deep_classes *five, *three;
    assert_ok(deep_classes_create(&five, context, names, ids, 5));
    assert_ok(deep_classes_create(&three, context, names, NULL, 3));

    assert_ok(deep_model_set_classes(model, three, 1)); /* the same number: names alone */
    ck_assert_int_eq(memcmp(model->values, before->values, (size_t)model->params.elements * sizeof(float)), 0);
    ck_assert_str_eq(deep_model_class_name(model, 2), "Diatom");

    assert_ok(deep_model_set_classes(model, five, 1));
    ck_assert_int_eq(deep_model_class_count(model), 5);
    ck_assert_int_eq(deep_model_class_aphia_id(model, 0), 109707);
    ck_assert_ptr_nonnull(strstr(deep_model_metadata(model), "{\"aphia_id\":5,\"name\":\"Zooplankton\"}"));
    for (int32_t i = 0; i < model->params.count - 2; ++i)
        ck_assert_int_eq(memcmp(deep__model_values(model, i), deep__model_values(before, i),
                                (size_t)model->params.specs[i].elements * sizeof(float)),
                         0);
    deep_classes_free(three);
    deep_classes_free(five);
    deep_model_free(before);
    deep_model_free(model);
}
END_TEST

/* ---- who holds it ---- */

static int cache_freed;

static void count_cache_free(deep_model *model)
{
    ++cache_freed;
    model->infer_cache = NULL;
}

START_TEST(a_write_needs_the_model_alone)
{
    deep_model *model = small_model(), *copy;
    float bias[3] = {0};
    const int32_t last = model->params.count - 1;
    assert_ok(deep__model_share(model));
    assert_status(deep_model_param_write(model, last, bias, 3), DEEP_ERROR_STATE);
    assert_status(deep_model_set_trainable(model, "", 0), DEEP_ERROR_STATE);
    assert_status(deep_model_set_metadata(model, "a", "1"), DEEP_ERROR_STATE);
    assert_ok(deep_model_param_read(model, last, bias, 3));
    deep__model_unshare(model);

    cache_freed = 0;
    model->infer_cache_free = count_cache_free;
    assert_ok(deep__model_own(model));
    ck_assert_int_eq(cache_freed, 1);
    assert_status(deep__model_own(model), DEEP_ERROR_STATE);
    assert_status(deep_model_param_read(model, last, bias, 3), DEEP_ERROR_STATE);
    assert_status(deep_model_clone(&copy, model), DEEP_ERROR_STATE);
    deep__model_disown(model);
    assert_ok(deep_model_clone(&copy, model));
    assert_same_file(model, copy);
    deep_model_free(copy);
    deep_model_free(model);
}
END_TEST

/* ---- metadata ---- */

START_TEST(a_program_keeps_its_own_values)
{
    deep_model *model = small_model(), *again;
    void *data;
    size_t size;
    assert_ok(deep_model_set_metadata(model, "cruise", "{\"ship\":\"Pelagia\",\"legs\":[1,2]}"));
    assert_ok(deep_model_set_metadata(model, "gone", "true"));
    assert_ok(deep_model_set_metadata(model, "gone", NULL));
    assert_status(deep_model_set_metadata(model, "bad", "{"), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_model_set_metadata(model, "", "1"), DEEP_ERROR_INVALID_ARGUMENT);
    assert_status(deep_model_set_metadata(model, "\xff", "1"), DEEP_ERROR_INVALID_ARGUMENT);
    assert_ok(deep_model_save_memory(model, &data, &size));
    assert_ok(deep_model_load_memory(&again, context, data, size));
    ck_assert_ptr_nonnull(
        strstr(deep_model_metadata(again), "\"user\":{\"cruise\":{\"legs\":[1,2],\"ship\":\"Pelagia\"}}"));
    ck_assert_str_eq(deep_model_metadata(model), deep_model_metadata(again));
    ck_assert_ptr_null(deep_model_metadata(NULL));
    deep_free(context, data);
    deep_model_free(again);
    deep_model_free(model);
}
END_TEST

/* ---- files ---- */

START_TEST(a_model_survives_its_file)
{
    const char *path = "test_model.tmp";
    deep_model *model = small_model(), *from_file, *from_memory, *missing;
    void *data;
    size_t size;
    assert_ok(deep_model_save(model, path));
    assert_ok(deep_model_load(&from_file, context, path));
    assert_same_file(model, from_file);
    assert_ok(deep_model_save_memory(model, &data, &size));
    assert_ok(deep_model_load_memory(&from_memory, context, data, size));
    assert_same_file(model, from_memory);
    assert_status(deep_model_load(&missing, context, "no/such.safetensors"), DEEP_ERROR_NOT_FOUND);
    assert_status(deep_model_save(model, "no/such/folder.safetensors"), DEEP_ERROR_IO);
    unlink(path);
    deep_free(context, data);
    deep_model_free(from_memory);
    deep_model_free(from_file);
    deep_model_free(model);
}
END_TEST

START_TEST(the_file_is_the_same_in_every_locale)
{
    deep_model *model = small_model();
    void *plain, *german;
    size_t plain_size, german_size;
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL) {
        fprintf(stderr, "not checked: the locale de_DE.UTF-8 is not installed\n");
        deep_model_free(model);
        return;
    }
    deep_model *loaded;
    assert_ok(deep_model_save_memory(model, &german, &german_size));
    assert_ok(deep_model_load_memory(&loaded, context, german, german_size));
    setlocale(LC_ALL, "C");
    assert_ok(deep_model_save_memory(model, &plain, &plain_size));
    ck_assert_uint_eq(plain_size, german_size);
    ck_assert_int_eq(memcmp(plain, german, plain_size), 0);
    assert_same_file(model, loaded);
    deep_model_free(loaded);
    deep_free(context, plain);
    deep_free(context, german);
    deep_model_free(model);
}
END_TEST

/* The same tensors under the document with its first `from` replaced by `to`. The caller frees `*out`. */
static void rewrite(void **out, size_t *out_size, const void *data, size_t size, const char *from, const char *to)
{
    deep_safetensors file;
    assert_ok(deep__safetensors_open_memory(&file, &context->allocator, data, size, NO_LIMIT));
    const char *document = deep__safetensors_metadata(&file, "deep");
    const char *place = strstr(document, from);
    ck_assert_msg(place != NULL, "%s is not in %s", from, document);
    deep_text text = deep__text(&context->allocator);
    deep__text_append(&text, document, (size_t)(place - document));
    deep__text_printf(&text, "%s%s", to, place + strlen(from));
    for (int32_t i = 0; i < file.count; ++i)
        file.tensors[i].data = (const uint8_t *)data + file.tensors[i].offset;
    const deep_safetensors_pair pair = {"deep", text.data};
    const deep_safetensors_content content = {file.tensors, file.count, &pair, 1};
    assert_ok(deep__safetensors_write_memory(&content, &context->allocator, out, out_size));
    deep__text_free(&text);
    deep__safetensors_close(&file);
}

typedef struct document_change {
    const char *from, *to;
    deep_status expected;
} document_change;

static const document_change changes[] = {
    {"\"major\":1", "\"major\":2", DEEP_ERROR_VERSION},
    {"\"major\":1", "\"major\":0", DEEP_ERROR_FORMAT},
    {"\"major\":1", "\"major\":\"1\"", DEEP_ERROR_FORMAT},
    {"\"minor\":0", "\"minor\":9", DEEP_OK},
    {"\"minor\":0", "\"minor\":-1", DEEP_ERROR_FORMAT},
    {"\"format\"", "\"Format\"", DEEP_ERROR_FORMAT},
    {"\"architecture\"", "\"Architecture\"", DEEP_ERROR_FORMAT},
    {"\"name\":\"xception-small\"", "\"name\":\"xception-large\"", DEEP_ERROR_UNSUPPORTED},
    {"\"name\":\"xception-small\"", "\"name\":7", DEEP_ERROR_FORMAT},
    {"\"head\":\"imagenet\"", "\"head\":\"other\"", DEEP_ERROR_UNSUPPORTED},
    {"\"head\":\"imagenet\"", "\"head\":\"service\"", DEEP_ERROR_FORMAT}, /* its tensors are missing */
    {"\"head\":\"imagenet\"", "\"head\":0", DEEP_ERROR_FORMAT},
    {"\"input_size\":71", "\"input_size\":70", DEEP_ERROR_FORMAT},
    {"\"input_size\":71", "\"input_size\":71.5", DEEP_ERROR_FORMAT},
    {"\"input_size\":71", "\"input_size\":4294967367", DEEP_ERROR_FORMAT},
    {"\"input_channels\":3", "\"input_channels\":2", DEEP_ERROR_FORMAT},
    {"\"input_channels\":3", "\"input_channels\":1", DEEP_OK},
    {"\"middle_blocks\":1", "\"middle_blocks\":65", DEEP_ERROR_FORMAT},
    {"\"middle_blocks\":1", "\"middle_blocks\":0", DEEP_ERROR_FORMAT},
    {"\"width\":0.0625", "\"width\":-0.0625", DEEP_ERROR_FORMAT},
    {"\"width\":0.0625", "\"width\":1e30", DEEP_ERROR_FORMAT},
    {"\"width\":0.0625", "\"width\":0.125", DEEP_ERROR_FORMAT}, /* other shapes */
    {"\"dropout\":0.0", "\"dropout\":1.0", DEEP_ERROR_FORMAT},
    {"\"dropout\":0.0", "\"dropout\":null", DEEP_ERROR_FORMAT},
    {"\"mode\":\"tf\"", "\"mode\":\"pt\"", DEEP_ERROR_UNSUPPORTED},
    {"\"mode\":\"tf\"", "\"mode\":\"torch\"", DEEP_OK},
    {"\"filter\":\"bilinear\"", "\"filter\":\"lanczos\"", DEEP_ERROR_UNSUPPORTED},
    {"\"fit\":\"squash\"", "\"fit\":\"crop\"", DEEP_ERROR_UNSUPPORTED},
    {"\"mean\":[127.5", "\"mean\":[\"x\"", DEEP_ERROR_FORMAT},
    {"\"mean\":[127.5,", "\"mean\":[", DEEP_ERROR_FORMAT},
    {"\"std\":[127.5", "\"std\":[0", DEEP_ERROR_FORMAT},
    {"\"has_mean\":false", "\"has_mean\":0", DEEP_ERROR_FORMAT},
    {"\"preprocessing\"", "\"Preprocessing\"", DEEP_ERROR_FORMAT},
    {"\"classes\":[", "\"classes\":7,\"old\":[", DEEP_ERROR_FORMAT},
    {"\"name\":\"0\"", "\"name\":\"1\"", DEEP_ERROR_FORMAT}, /* twice */
    {"\"name\":\"0\"", "\"name\":\"\"", DEEP_ERROR_FORMAT},
    {"\"name\":\"0\"", "\"name\":0", DEEP_ERROR_FORMAT},
    {"\"aphia_id\":0", "\"aphia_id\":\"0\"", DEEP_ERROR_FORMAT},
    {"{\"aphia_id\":0,\"name\":\"0\"},", "", DEEP_ERROR_FORMAT}, /* two classes, three outputs */
    {"\"tensors\"", "\"Tensors\"", DEEP_ERROR_FORMAT},
    {"\"predictions.bias\":\"", "\"predictions.bias\":\"0", DEEP_ERROR_CHECKSUM},
    {"\"predictions.bias\":", "\"predictions.other\":", DEEP_ERROR_FORMAT},
    {"{\"architecture\"", "{\"required\":[\"user\",\"metrics\"],\"architecture\"", DEEP_OK},
    {"{\"architecture\"", "{\"required\":[\"quantum\"],\"architecture\"", DEEP_ERROR_UNSUPPORTED},
    {"{\"architecture\"", "{\"required\":\"user\",\"architecture\"", DEEP_ERROR_FORMAT},
    {"{\"architecture\"", "{\"required\":[1],\"architecture\"", DEEP_ERROR_FORMAT},
    {"{\"architecture\"", "{\"classes\":[],\"architecture\"", DEEP_ERROR_FORMAT}, /* twice */
    {"{\"architecture\"", "[{\"architecture\"", DEEP_ERROR_FORMAT},
};

START_TEST(a_changed_document_gets_its_code)
{
    const document_change *change = &changes[_i];
    deep_model *model = small_model(), *loaded;
    void *data, *changed;
    size_t size, changed_size;
    assert_ok(deep_model_save_memory(model, &data, &size));
    rewrite(&changed, &changed_size, data, size, change->from, change->to);
    const deep_status status = deep_model_load_memory(&loaded, context, changed, changed_size);
    ck_assert_msg(status == change->expected, "%s: %s (%s), expected %s", change->to, deep_status_name(status),
                  deep_last_error(), deep_status_name(change->expected));
    ck_assert(status == DEEP_OK || loaded == NULL);
    deep_free(context, changed);
    deep_free(context, data);
    deep_model_free(loaded);
    deep_model_free(model);
}
END_TEST

START_TEST(members_of_a_later_minor_version_survive)
{
    deep_model *model = small_model(), *loaded;
    void *data, *changed, *again;
    size_t size, changed_size, again_size;
    deep_safetensors file;
    assert_ok(deep_model_save_memory(model, &data, &size));
    rewrite(&changed, &changed_size, data, size, "{\"architecture\":{",
            "{\"novel\":[1,{\"x\":null}],\"thresholds\":[0.5,0.25],\"architecture\":{\"activation\":\"relu\",");
    assert_ok(deep_model_load_memory(&loaded, context, changed, changed_size));
    assert_ok(deep_model_save_memory(loaded, &again, &again_size));
    assert_ok(deep__safetensors_open_memory(&file, &context->allocator, again, again_size, NO_LIMIT));
    const char *document = deep__safetensors_metadata(&file, "deep");
    ck_assert_ptr_nonnull(strstr(document, "\"novel\":[1,{\"x\":null}]"));
    ck_assert_ptr_nonnull(strstr(document, "\"thresholds\":[0.5,0.25]"));
    ck_assert_ptr_nonnull(strstr(document, "\"activation\":\"relu\""));
    deep__safetensors_close(&file);
    deep_free(context, again);
    deep_free(context, changed);
    deep_free(context, data);
    deep_model_free(loaded);
    deep_model_free(model);
}
END_TEST

START_TEST(damage_is_noticed)
{
    deep_model *model = small_model(), *loaded;
    void *data;
    size_t size;
    assert_ok(deep_model_save_memory(model, &data, &size));
    uint8_t *bytes = data;
    size_t header = 0;
    for (int i = 7; i >= 0; --i)
        header = header << 8 | bytes[i];
    for (size_t place = 8 + header; place < size; place += size / 50 + 1) { /* in the tensors */
        bytes[place] ^= 0x10;
        assert_status(deep_model_load_memory(&loaded, context, data, size), DEEP_ERROR_CHECKSUM);
        bytes[place] ^= 0x10;
    }
    const size_t lengths[] = {0, 7, 8, 8 + header / 2, 8 + header, 8 + header + 1, size - 1};
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; ++i)
        assert_status(deep_model_load_memory(&loaded, context, data, lengths[i]), DEEP_ERROR_TRUNCATED);
    deep_free(context, data);
    deep_model_free(model);
}
END_TEST

START_TEST(a_file_of_somebody_else_is_refused)
{
    static const float value[1] = {1};
    const deep_safetensor tensor = {
        .name = "w", .dtype = DEEP_DTYPE_F32, .rank = 1, .shape = {1}, .data = value, .size = 4};
    const deep_safetensors_content content = {&tensor, 1, NULL, 0};
    deep_model *loaded;
    void *data;
    size_t size;
    assert_ok(deep__safetensors_write_memory(&content, &context->allocator, &data, &size));
    assert_status(deep_model_load_memory(&loaded, context, data, size), DEEP_ERROR_FORMAT);
    deep_free(context, data);
}
END_TEST

START_TEST(values_that_are_not_finite_are_refused)
{
    deep_model *model = small_model(), *loaded;
    void *data;
    size_t size;
    deep__model_values(model, 0)[1] = NAN;
    assert_ok(deep_model_save_memory(model, &data, &size));
    assert_status(deep_model_load_memory(&loaded, context, data, size), DEEP_ERROR_FORMAT);
    deep_free(context, data);
    deep_model_free(model);
}
END_TEST

START_TEST(the_first_value_that_is_not_finite_is_named) /* they are looked at a thousand at a time */
{
    static const int64_t places[] = {0, 1, 1023, 1024, 1025, 4095, 4096, 5000};
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    float values[5001];
    deep_param_spec spec = {.role = DEEP_ROLE_KERNEL, .elements = 5001};
    for (size_t v = 0; v < sizeof bad / sizeof bad[0]; ++v)
        for (size_t i = 0; i < sizeof places / sizeof places[0]; ++i) {
            for (int64_t k = 0; k < spec.elements; ++k)
                values[k] = k % 2 == 0 ? FLT_MAX : -FLT_MIN / 2; /* the largest exponent, and none */
            ck_assert_int_eq(deep__param_bad_element(values, &spec), -1);
            values[places[i]] = values[5000] = bad[v];
            ck_assert_int_eq(deep__param_bad_element(values, &spec), places[i]);
        }
    spec.role = DEEP_ROLE_VARIANCE;
    for (int64_t k = 0; k < spec.elements; ++k)
        values[k] = 1;
    values[3000] = -1;
    ck_assert_int_eq(deep__param_bad_element(values, &spec), 3000);
}
END_TEST

static size_t parameter_bytes(const deep_model *model)
{
    size_t bytes = 0;
    for (int32_t i = 0; i < model->params.count; ++i)
        bytes += (size_t)model->params.specs[i].elements * sizeof(float);
    return bytes;
}

/* Flips a bit of bytes `a` and `b` of a saved model; gives back the error text of loading that with `threads`. */
static void load_damaged(char text[512], const char *data, size_t size, int32_t threads, size_t a, size_t b)
{
    const deep_context_options options = {DEEP_CONTEXT_OPTIONS_INIT, .threads = threads};
    deep_context *own;
    deep_model *loaded;
    char *damaged = malloc(size);
    ck_assert_ptr_nonnull(damaged);
    memcpy(damaged, data, size);
    damaged[a] = (char)(damaged[a] ^ 1);
    damaged[b] = (char)(damaged[b] ^ 1);
    assert_ok(deep__context_create(&own, &options));
    assert_status(deep_model_load_memory(&loaded, own, damaged, size), DEEP_ERROR_CHECKSUM);
    snprintf(text, 512, "%s", deep_last_error());
    deep_context_free(own);
    free(damaged);
}

START_TEST(damage_is_named_alike_by_any_number_of_threads)
{
    deep_model *model = small_model();
    void *data;
    size_t size;
    char one[512], many[512];
    assert_ok(deep_model_save_memory(model, &data, &size));
    const size_t values = size - parameter_bytes(model);
    load_damaged(one, data, size, 1, values, size - 1);
    ck_assert_ptr_nonnull(strstr(one, model->params.specs[0].name));
    for (int32_t threads = 2; threads <= 8; threads *= 2) {
        load_damaged(many, data, size, threads, values, size - 1);
        ck_assert_str_eq(one, many);
    }
    deep_free(context, data);
    deep_model_free(model);
}
END_TEST

/* ---- memory that runs out ---- */

static deep_status create_save_load_clone(deep_context *limited)
{
    deep_model *model = NULL, *loaded = NULL, *copy = NULL;
    deep_classes *classes = NULL;
    void *data = NULL;
    size_t size;
    const char *names[] = {"a", "b", "c", "d"};
    const deep_model_options options = small_options();
    deep_status status = deep_model_create(&model, limited, &options);
    if (status == DEEP_OK) status = deep_model_save(model, "test_sweep.tmp");
    if (status == DEEP_OK) status = deep_model_save_memory(model, &data, &size);
    if (status == DEEP_OK) status = deep_model_load_memory(&loaded, limited, data, size);
    deep_model_free(loaded);
    loaded = NULL;
    if (status == DEEP_OK) status = deep_model_load(&loaded, limited, "test_sweep.tmp");
    if (status == DEEP_OK) status = deep_model_clone(&copy, loaded);
    if (status == DEEP_OK) status = deep_classes_create(&classes, limited, names, NULL, 4);
    if (status == DEEP_OK) status = deep_model_set_classes(copy, classes, 1);
    if (status == DEEP_OK && deep_model_metadata(copy) == NULL) status = DEEP_ERROR_OUT_OF_MEMORY;
    deep_classes_free(classes);
    deep_free(limited, data);
    deep_model_free(copy);
    deep_model_free(loaded);
    deep_model_free(model);
    unlink("test_sweep.tmp");
    return status;
}

START_TEST(every_failing_allocation_is_an_error_without_a_leak)
{
    const bool forever = _i == 1;
    for (long n = 1;; ++n) {
        failing_allocator allocator = {.fail_at = n, .forever = forever};
        const deep_context_options options = failing_options(&allocator);
        deep_context *limited;
        deep_status status = deep__context_create(&limited, &options);
        if (status == DEEP_OK) {
            status = create_save_load_clone(limited);
            deep_context_free(limited);
        }
        ck_assert_msg(allocator.living == 0, "allocation %ld: %ld blocks leak", n, allocator.living);
        if (status == DEEP_OK && allocator.requests < n) break;
        ck_assert_msg(status == DEEP_ERROR_OUT_OF_MEMORY, "allocation %ld: %s (%s)", n, deep_status_name(status),
                      deep_last_error());
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("model");
    TCase *tests = tcase_create("model");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, defaults_are_those_of_the_header);
    tcase_add_test(tests, bad_options_are_refused);
    tcase_add_test(tests, the_seed_decides_the_weights);
    tcase_add_test(tests, weights_begin_as_in_keras);
    tcase_add_test(tests, parameters_are_found_read_and_written);
    tcase_add_test(tests, a_negative_variance_is_refused);
    tcase_add_test(tests, freezing_the_backbone_leaves_the_head);
    tcase_add_test(tests, other_classes_make_a_new_last_layer_alone);
    tcase_add_test(tests, a_write_needs_the_model_alone);
    tcase_add_test(tests, a_program_keeps_its_own_values);
    tcase_add_test(tests, a_model_survives_its_file);
    tcase_add_test(tests, the_file_is_the_same_in_every_locale);
    tcase_add_loop_test(tests, a_changed_document_gets_its_code, 0, (int)(sizeof changes / sizeof changes[0]));
    tcase_add_test(tests, members_of_a_later_minor_version_survive);
    tcase_add_test(tests, damage_is_noticed);
    tcase_add_test(tests, a_file_of_somebody_else_is_refused);
    tcase_add_test(tests, values_that_are_not_finite_are_refused);
    tcase_add_test(tests, the_first_value_that_is_not_finite_is_named);
    tcase_add_test(tests, damage_is_named_alike_by_any_number_of_threads);
    tcase_add_loop_test(tests, every_failing_allocation_is_an_error_without_a_leak, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
