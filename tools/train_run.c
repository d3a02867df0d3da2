/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "train_run.h"

#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* The folder that `path` stands in. */
static void parent_of(char *out, size_t size, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        snprintf(out, size, ".");
    else
        snprintf(out, size, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static int fail_output(const char *path, const char *reason)
{
    say_error("%s: cannot be written: %s", path, reason);
    return EXIT_INPUT_OUTPUT;
}

int train_run_check(const char *model_path)
{
    char parent[RUN_PATH_SIZE], folder[RUN_PATH_SIZE];
    struct stat info;
    parent_of(parent, sizeof parent, model_path);
    snprintf(folder, sizeof folder, "%s.run", model_path);
    if (stat(parent, &info) != 0) return fail_output(model_path, strerror(errno));
    if (!S_ISDIR(info.st_mode)) return fail_output(model_path, "its folder is not a folder");
    if (access(parent, W_OK | X_OK) != 0) return fail_output(model_path, strerror(errno));
    if (stat(model_path, &info) == 0 && !S_ISREG(info.st_mode)) return fail_output(model_path, "is not a regular file");
    if (stat(folder, &info) != 0) return EXIT_OK;
    if (!S_ISDIR(info.st_mode)) return fail_output(folder, "is not a folder");
    return access(folder, W_OK | X_OK) == 0 ? EXIT_OK : fail_output(folder, strerror(errno));
}

int train_run_check_space(const char *model_path, const deep_model *model, int32_t batch)
{
    char parent[RUN_PATH_SIZE];
    struct statvfs disk;
    deep_memory_estimate need = {.struct_size = sizeof need};
    parent_of(parent, sizeof parent, model_path);
    const deep_status status = deep_model_memory_estimate(model, batch, 1, &need);
    if (status != DEEP_OK) return fail_with(status);
    if (statvfs(parent, &disk) != 0) return EXIT_OK; /* unknown: the write itself will tell */
    const double wanted =
        (double)need.weights + 2 * (double)(need.weights + need.optimizer); /* two checkpoints are kept */
    const double have = (double)disk.f_bavail * (double)disk.f_frsize;
    if (wanted <= have) return EXIT_OK;
    say_error("%s: %.0f MiB are needed for the model and its checkpoints, %.0f MiB are free", parent, wanted / 1048576,
              have / 1048576);
    return EXIT_INPUT_OUTPUT;
}

static void path_in(char *out, const char *folder, const char *name)
{
    const int length = snprintf(out, RUN_PATH_SIZE, "%s/%s", folder, name);
    if (length >= RUN_PATH_SIZE) out[0] = '\0'; /* cannot be: the length of -o is limited */
}

/* True when the list at `path` names exactly the images of `dataset`. */
static bool list_is_same(const char *path, const deep_dataset *dataset)
{
    char *line = NULL;
    size_t capacity = 0;
    int64_t count = 0;
    bool same = true;
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    while (same && getline(&line, &capacity, file) > 0) {
        const char *name = deep_dataset_name(dataset, count), *tab = strrchr(line, '\t');
        same = name != NULL && tab != NULL && strlen(name) == (size_t)(tab - line) &&
               memcmp(name, line, strlen(name)) == 0 && strtol(tab + 1, NULL, 10) == deep_dataset_label(dataset, count);
        ++count;
    }
    free(line);
    fclose(file);
    return same && count == deep_dataset_size(dataset);
}

/* A validation set whose classes had to be renumbered has whole paths for names; absolute ones cannot stand in a list. */
static bool has_valid_list(const train_data *data)
{
    return data->valid != NULL && deep_dataset_name(data->valid, 0)[0] != '/';
}

static int check_lists(const char *folder, const train_data *data)
{
    char train[RUN_PATH_SIZE], valid[RUN_PATH_SIZE];
    path_in(train, folder, "train.txt");
    path_in(valid, folder, "val.txt");
    if (list_is_same(train, data->train) && (!has_valid_list(data) || list_is_same(valid, data->valid))) return EXIT_OK;
    say_error("%s: the training images are not those that the checkpoint was made with; use the same data, seed and "
              "--valid, or leave "
              "out --resume",
              folder);
    return EXIT_DATASET;
}

static int save_lists(const char *folder, const train_data *data)
{
    char path[RUN_PATH_SIZE];
    path_in(path, folder, "train.txt");
    deep_status status = deep_dataset_save(data->train, path);
    path_in(path, folder, "val.txt");
    if (status == DEEP_OK && has_valid_list(data)) status = deep_dataset_save(data->valid, path);
    return status == DEEP_OK ? EXIT_OK : fail_with(status);
}

/* Of a training before: resuming this one must not find them. */
static void remove_checkpoints(const char *checkpoint)
{
    char previous[RUN_PATH_SIZE + 8];
    snprintf(previous, sizeof previous, "%s.prev", checkpoint);
    unlink(checkpoint);
    unlink(previous);
}

/* The process that writes "<name>.<pid>-<n>.tmp", or 0 for other names. */
static long writer_of(const char *name)
{
    const char *end = strrchr(name, '.');
    if (end == NULL || strcmp(end, ".tmp") != 0) return 0;
    while (end > name && end[-1] != '.')
        --end;
    return strtol(end, NULL, 10);
}

/* Removes what a killed training was writing. */
static void remove_leftovers(const char *folder)
{
    char path[RUN_PATH_SIZE];
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        const long writer = writer_of(entry->d_name);
        if (writer <= 0 || kill((pid_t)writer, 0) == 0 || errno != ESRCH) continue;
        path_in(path, folder, entry->d_name);
        unlink(path);
    }
    if (dir != NULL) closedir(dir);
}

int train_run_open(train_run *run, const char *model_path, const train_data *data, bool resume)
{
    char log[RUN_PATH_SIZE];
    *run = (train_run){.epoch_began = now_seconds()};
    snprintf(run->folder, sizeof run->folder, "%s.run", model_path);
    path_in(run->checkpoint, run->folder, "checkpoint.safetensors");
    path_in(run->report, run->folder, "report.html");
    path_in(log, run->folder, "log.jsonl");
    const bool goes_on = resume && access(run->checkpoint, F_OK) == 0;
    if (resume && !goes_on) say_note("no checkpoint in %s: training starts from the beginning", run->folder);
    int code = goes_on ? check_lists(run->folder, data) : EXIT_OK;
    if (code != EXIT_OK) return code;
    if (mkdir(run->folder, 0777) != 0 && errno != EEXIST) return fail_output(run->folder, strerror(errno));
    remove_leftovers(run->folder);
    if (!goes_on) {
        remove_checkpoints(run->checkpoint);
        code = save_lists(run->folder, data);
    }
    if (code != EXIT_OK) return code;
    run->log = fopen(log, goes_on ? "ab" : "wb");
    return run->log != NULL ? EXIT_OK : fail_output(log, strerror(errno));
}

bool train_run_log_epoch(train_run *run, const deep_progress *now)
{
    const double time = now_seconds();
    json_out json = {0};
    emit_open(&json, NULL, '{');
    emit_int(&json, "epoch", now->epoch);
    emit_int(&json, "epochs", now->epochs);
    emit_real(&json, "loss", now->loss);
    emit_real(&json, "accuracy", now->accuracy);
    if (now->has_valid) {
        emit_real(&json, "valid_loss", now->valid_loss);
        emit_real(&json, "valid_accuracy", now->valid_accuracy);
    }
    emit_real(&json, "learning_rate", now->learning_rate);
    emit_real(&json, "images_per_second", now->images_per_second);
    emit_real(&json, "seconds", time - run->epoch_began);
    emit_close(&json, '}');
    const bool written = emit_line(&json, run->log);
    emit_free(&json);
    run->epoch_began = time;
    return written;
}

void train_run_close(train_run *run)
{
    if (run->log != NULL) fclose(run->log);
    run->log = NULL;
}
