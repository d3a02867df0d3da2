/* SPDX-License-Identifier: Apache-2.0 */
#include "train_settings.h"

#include "output.h"
#include "progress.h"

#include <string.h>

static const option_choice architectures[] = {{"xception", 0}, {"xception-small", 1}, {0}};
static const option_choice heads[] = {{"service", DEEP_HEAD_SERVICE}, {"imagenet", DEEP_HEAD_IMAGENET}, {0}};
static const option_choice preprocesses[] = {
    {"tf", DEEP_PREPROCESS_TF}, {"torch", DEEP_PREPROCESS_TORCH}, {"caffe", DEEP_PREPROCESS_CAFFE}, {0}};
static const option_choice filters[] = {{"bilinear", DEEP_FILTER_BILINEAR},
                                        {"area", DEEP_FILTER_AREA},
                                        {"triangle", DEEP_FILTER_TRIANGLE},
                                        {"bicubic", DEEP_FILTER_BICUBIC},
                                        {0}};
static const option_choice fits[] = {{"squash", DEEP_FIT_SQUASH}, {"pad", DEEP_FIT_PAD}, {0}};
static const option_choice optimizers[] = {{"adam", DEEP_OPTIMIZER_ADAM},
                                           {"sgd", DEEP_OPTIMIZER_SGD},
                                           {"rmsprop", DEEP_OPTIMIZER_RMSPROP},
                                           {"adamw", DEEP_OPTIMIZER_ADAMW},
                                           {0}};
static const option_choice schedules[] = {
    {"step", DEEP_SCHEDULE_STEP},     {"constant", DEEP_SCHEDULE_CONSTANT}, {"exponential", DEEP_SCHEDULE_EXPONENTIAL},
    {"cosine", DEEP_SCHEDULE_COSINE}, {"plateau", DEEP_SCHEDULE_PLATEAU},   {0}};
static const option_choice augmentations[] = {{"all", DEEP_AUGMENT_FLIP | DEEP_AUGMENT_ROTATE90},
                                              {"flip", DEEP_AUGMENT_FLIP},
                                              {"rotate90", DEEP_AUGMENT_ROTATE90},
                                              {"none", DEEP_AUGMENT_NONE},
                                              {0}};
static const option_choice weightings[] = {{"none", DEEP_CLASS_WEIGHTS_NONE},
                                           {"balanced", DEEP_CLASS_WEIGHTS_BALANCED},
                                           {"sqrt", DEEP_CLASS_WEIGHTS_SQRT},
                                           {0}};

static const option_choice dtypes[] = {
    {"fp32", DEEP_DTYPE_F32}, {"bf16", DEEP_DTYPE_BF16}, {"fp16", DEEP_DTYPE_F16}, {0}};

#define AT(field)       offsetof(train_settings, field)
#define LARGEST_INTEGER 9007199254740992.0 /* 2^53: exact in the double that bounds are kept in */

static const option_row rows[] = {
    {"output", 'o', OPTION_TEXT, "MODEL", "model file to write (required)", AT(output), 0, 0, NULL},
    {"valid", 0, OPTION_TEXT, "FRACTION|DATA", "for validation; 0 = none (val.txt where DATA has one, else 0.2)",
     AT(valid), 0, 0, NULL},
    GROUP_ROWS(train_settings),
    DATA_ROWS(train_settings),
    {"min-images", 0, OPTION_INT, "N", "refuse classes with fewer (2)", AT(min_images), 1, LARGEST_INTEGER, NULL},

    {"arch", 0, OPTION_CHOICE, NULL, "network (xception)", AT(architecture), 0, 0, architectures},
    {"size", 0, OPTION_INT, "PIXELS", "side of the square input (100)", AT(size), 71, 1000, NULL},
    {"head", 0, OPTION_CHOICE, NULL, "classifier on top (service)", AT(head), 0, 0, heads},
    {"channels", 0, OPTION_INT, "N", "3, or 1 for grey (3)", AT(channels), 1, 3, NULL},
    {"width", 0, OPTION_REAL, "X", "multiplier of the channel counts (1; xception-small 0.25)", AT(width), 0.01, 4,
     NULL},
    {"middle-blocks", 0, OPTION_INT, "N", "blocks of the middle flow (8; xception-small 2)", AT(middle_blocks), 1, 64,
     NULL},
    {"dropout", 0, OPTION_REAL, "P", "before the last layer (0)", AT(dropout), 0, 0.99, NULL},
    {"preprocess", 0, OPTION_CHOICE, NULL, "normalisation (tf)", AT(preprocess), 0, 0, preprocesses},
    {"filter", 0, OPTION_CHOICE, NULL, "resizing (bilinear)", AT(filter), 0, 0, filters},
    {"fit", 0, OPTION_CHOICE, NULL, "how an image becomes square (squash)", AT(fit), 0, 0, fits},
    {"init", 0, OPTION_TEXT, "MODEL", "start from this model's weights; its network is kept", AT(init), 0, 0, NULL},
    {"freeze-backbone", 0, OPTION_FLAG, NULL, "train the head alone", AT(freeze_backbone), 0, 0, NULL},

    {"epochs", 0, OPTION_INT, "N", "(15)", AT(epochs), 1, 1000000, NULL},
    {"batch", 0, OPTION_INT, "N", "images in a step (16), or auto: what the device has memory for", AT(batch), 1, 1024,
     batch_choices},
    {"lr", 0, OPTION_REAL, "RATE", "learning rate (0.001; sgd 0.01)", AT(learning_rate), 1e-12, 1000, NULL},
    {"optimizer", 0, OPTION_CHOICE, NULL, "(adam, with amsgrad)", AT(optimizer), 0, 0, optimizers},
    {"schedule", 0, OPTION_CHOICE, NULL, "of the learning rate (step)", AT(schedule), 0, 0, schedules},
    {"dtype", 0, OPTION_CHOICE, NULL, "of stored activations; bf16, and on GPUs fp16, halve their memory (fp32)",
     AT(dtype), 0, 0, dtypes},
    {"seed", 0, OPTION_INT, "N", "of split, weights, order and augmentation (0)", AT(seed), 0, LARGEST_INTEGER, NULL},
    {"augment", 0, OPTION_CHOICE, NULL, "flips and quarter turns (all)", AT(augment), 0, 0, augmentations},
    {"class-weights", 0, OPTION_CHOICE, NULL, "in the loss (none)", AT(class_weights), 0, 0, weightings},
    {"momentum", 0, OPTION_REAL, "X", "of sgd and rmsprop (0)", AT(momentum), 0, 0.9999, NULL},
    {"nesterov", 0, OPTION_FLAG, NULL, "Nesterov's momentum", AT(nesterov), 0, 0, NULL},
    {"no-amsgrad", 0, OPTION_FLAG, NULL, "plain Adam", AT(no_amsgrad), 0, 0, NULL},
    {"weight-decay", 0, OPTION_REAL, "X", "of adamw (0.004)", AT(weight_decay), 0, 10, NULL},
    {"l2", 0, OPTION_REAL, "X", "penalty on the kernels (0)", AT(l2), 0, 10, NULL},
    {"clip", 0, OPTION_REAL, "NORM", "largest norm of the gradient (none)", AT(clip_norm), 0, 1e12, NULL},
    {"label-smoothing", 0, OPTION_REAL, "X", "(0)", AT(label_smoothing), 0, 0.99, NULL},
    {"backbone-rate", 0, OPTION_REAL, "X", "multiplier of the rate below the head (1)", AT(backbone_rate), 0, 1e6,
     NULL},
    {"warmup", 0, OPTION_REAL, "EPOCHS", "of the cosine schedule (0)", AT(warmup_epochs), 0, 1e6, NULL},
    {"early-stop", 0, OPTION_INT, "EPOCHS", "stop after so many without a better validation loss (never)",
     AT(early_stop), 1, 1000000, NULL},
    {"keep-last", 0, OPTION_FLAG, NULL, "keep the last epoch's weights, not the best one's", AT(keep_last), 0, 0, NULL},
    {"no-bn-recalibration", 0, OPTION_FLAG, NULL, "evaluate with batch norm's moving averages",
     AT(keep_running_statistics), 0, 0, NULL},

    COMPUTE_ROWS(train_settings),
    {"workers", 0, OPTION_INT, "N", "threads that decode images (as --threads)", AT(workers), 1, 1024, NULL},
    {"cache", 0, OPTION_INT, "MIB", "memory for decoded images (1024)", AT(cache_megabytes), 0, 1048576, NULL},
    {"checkpoint-every", 0, OPTION_INT, "STEPS", "also inside an epoch (at its end)", AT(checkpoint_every), 1,
     LARGEST_INTEGER, NULL},
    {"checkpoint-seconds", 0, OPTION_INT, "N", "least time between those at ends of epochs (30)",
     AT(checkpoint_seconds), 0, 1000000000, NULL},
    {"resume", 0, OPTION_FLAG, NULL, "continue from the last checkpoint", AT(resume), 0, 0, NULL},
    {"progress", 0, OPTION_CHOICE, NULL, "what to show on stderr (auto)", AT(progress), 0, 0, progress_choices},
    {"json", 0, OPTION_FLAG, NULL, "print the result as one JSON object", AT(json), 0, 0, NULL},
    {0},
};

static const command_help help = {
    "train DATA -o MODEL [OPTION]...", "Trains a model on labelled images.",
    "DATA is a folder with a folder for each class, a split file, or a folder with train.txt and val.txt\n"
    "(in dataset_files/ or directly). Beside MODEL a folder MODEL.run is written: checkpoint, log.jsonl,\n"
    "report.html and the split. The first Ctrl-C writes a checkpoint and ends with status 75; the same\n"
    "command with --resume goes on from there.\n",
    1, 1};

static int check(const train_settings *settings)
{
    const char *wrong = NULL;
    if (settings->output == NULL)
        wrong = "-o MODEL is missing";
    else if (settings->output[0] == '\0' || strlen(settings->output) > 3900)
        wrong = "-o: the path is empty or too long";
    else if (settings->channels == 2)
        wrong = "--channels is 1 or 3";
    else if (settings->init != NULL && (settings->size != 0 || settings->width > 0 || settings->middle_blocks != 0))
        wrong = "--init keeps the model's network: leave out --size, --width and --middle-blocks";
    else if (settings->data.group_by != NULL && settings->data.manifest != NULL)
        wrong = "--group-by and --manifest exclude each other";
    if (wrong == NULL) return OPTIONS_GO_ON;
    say_error("train: %s", wrong);
    return EXIT_USAGE;
}

int train_settings_parse(train_settings *settings, int argc, char **argv, const char **data)
{
    int first = 0;
    *settings = (train_settings){.min_images = 2,
                                 .dtype = DEEP_DTYPE_F32,
                                 .head = DEEP_HEAD_SERVICE,
                                 .cache_megabytes = -1,
                                 .checkpoint_seconds = -1,
                                 .augment = DEEP_AUGMENT_FLIP | DEEP_AUGMENT_ROTATE90};
    const int code = options_parse(&help, rows, argc, argv, settings, &first);
    if (code != OPTIONS_GO_ON) return code;
    *data = argv[first];
    return check(settings);
}

enum { DEFAULT_SIZE = 100 }; /* pixels; the reference service's */

deep_model_options train_model_options(const train_settings *settings, const deep_classes *classes)
{
    deep_model_options options = {DEEP_MODEL_OPTIONS_INIT};
    options.architecture = architectures[settings->architecture].name;
    options.classes = classes;
    options.input_size = settings->size > 0 ? (int32_t)settings->size : DEFAULT_SIZE;
    options.input_channels = (int32_t)settings->channels;
    options.head = settings->head;
    options.dropout = settings->dropout;
    options.width = settings->width;
    options.middle_blocks = (int32_t)settings->middle_blocks;
    options.preprocess = settings->preprocess;
    options.filter = settings->filter;
    options.fit = settings->fit;
    options.seed = (uint64_t)settings->seed;
    return options;
}

static int64_t cache_bytes(int64_t megabytes)
{
    if (megabytes < 0) return 0; /* the library's default */
    return megabytes == 0 ? -1 : megabytes << 20;
}

static int32_t checkpoint_seconds(int64_t seconds)
{
    if (seconds < 0) return 0; /* the library's default */
    return seconds == 0 ? -1 : (int32_t)seconds;
}

deep_fit_options train_fit_options(const train_settings *settings, const char *checkpoint)
{
    deep_fit_options options = {DEEP_FIT_OPTIONS_INIT};
    options.epochs = (int32_t)settings->epochs;
    options.batch = (int32_t)settings->batch;
    options.seed = (uint64_t)settings->seed;
    options.optimizer = settings->optimizer;
    options.schedule = settings->schedule;
    options.dtype = settings->dtype;
    options.learning_rate = settings->learning_rate;
    options.momentum = settings->momentum;
    options.nesterov = settings->nesterov;
    options.no_amsgrad = settings->no_amsgrad;
    options.weight_decay = settings->weight_decay;
    options.l2 = settings->l2;
    options.clip_norm = settings->clip_norm;
    options.label_smoothing = settings->label_smoothing;
    options.backbone_rate = settings->backbone_rate;
    options.class_weights = settings->class_weights;
    options.augment = settings->augment;
    options.warmup_epochs = settings->warmup_epochs;
    options.early_stop = (int32_t)settings->early_stop;
    options.keep_running_statistics = settings->keep_running_statistics;
    options.keep_last = settings->keep_last;
    options.workers = (int32_t)settings->workers;
    options.cache_bytes = cache_bytes(settings->cache_megabytes);
    options.checkpoint_steps = settings->checkpoint_every;
    options.checkpoint_seconds = checkpoint_seconds(settings->checkpoint_seconds);
    options.checkpoint = checkpoint;
    options.resume = settings->resume;
    return options;
}

static const char *name_of(const option_choice *choices, int32_t value)
{
    while (choices->name != NULL && choices->value != value)
        ++choices;
    return choices->name;
}

void train_settings_to_json(const train_settings *settings, json_out *json)
{
    /* Defaults that the library fills in stay out, so that a number here is one that was given. */
    emit_text(json, "optimizer", name_of(optimizers, settings->optimizer));
    emit_text(json, "schedule", name_of(schedules, settings->schedule));
    emit_text(json, "dtype", name_of(dtypes, settings->dtype));
    emit_text(json, "augment", name_of(augmentations, settings->augment));
    emit_text(json, "class_weights", name_of(weightings, settings->class_weights));
    emit_int(json, "seed", settings->seed);
    emit_int(json, "epochs", settings->epochs > 0 ? settings->epochs : 15);
    emit_int(json, "batch", settings->batch > 0 ? settings->batch : 16);
    const struct {
        const char *name;
        double value;
    } reals[] = {
        {"learning_rate", settings->learning_rate}, {"momentum", settings->momentum},
        {"weight_decay", settings->weight_decay},   {"l2", settings->l2},
        {"clip_norm", settings->clip_norm},         {"label_smoothing", settings->label_smoothing},
        {"backbone_rate", settings->backbone_rate}, {"warmup_epochs", settings->warmup_epochs},
    };
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; ++i)
        if (reals[i].value > 0) emit_real(json, reals[i].name, reals[i].value);
    if (settings->early_stop > 0) emit_int(json, "early_stop", settings->early_stop);
    emit_bool(json, "nesterov", settings->nesterov != 0);
    emit_bool(json, "amsgrad", settings->no_amsgrad == 0);
    emit_bool(json, "freeze_backbone", settings->freeze_backbone != 0);
    emit_bool(json, "keep_last", settings->keep_last != 0);
    emit_bool(json, "keep_running_statistics", settings->keep_running_statistics != 0);
}
