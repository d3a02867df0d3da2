// SPDX-License-Identifier: Apache-2.0
// libdeep inside a C++ program: embed FOLDER
// Shows an allocator and a log of the host's, images decoded from memory, threads that share one model, and a training
// that the host cancels. Needs no data: it draws its own plankton into FOLDER.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deep/deep.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace
{

// A failed call becomes an exception that carries libdeep's text.
void check(deep_status status)
{
    if (status != DEEP_OK) throw std::runtime_error(std::string(deep_status_name(status)) + ": " + deep_last_error());
}

// Handles free themselves.
template <typename T, void (*Free)(T *)> struct Deleter {
    void operator()(T *handle) const
    {
        Free(handle);
    }
};
using Context = std::unique_ptr<deep_context, Deleter<deep_context, deep_context_free>>;
using Image = std::unique_ptr<deep_image, Deleter<deep_image, deep_image_free>>;
using Model = std::unique_ptr<deep_model, Deleter<deep_model, deep_model_free>>;
using Dataset = std::unique_ptr<deep_dataset, Deleter<deep_dataset, deep_dataset_free>>;
using Classes = std::unique_ptr<deep_classes, Deleter<deep_classes, deep_classes_free>>;

// The host's allocator: counts what lives.
struct Heap {
    std::atomic<long> living{0};

    static void *alloc(void *user, size_t size, size_t alignment)
    {
        void *memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
        if (memory != nullptr) ++static_cast<Heap *>(user)->living;
        return memory;
    }

    static void free(void *user, void *memory)
    {
        if (memory != nullptr) --static_cast<Heap *>(user)->living;
        std::free(memory);
    }
};

void log_line(void *, int32_t level, const char *line)
{
    std::fprintf(stderr, "[libdeep %d] %s\n", level, line);
}

Context make_context(Heap &heap)
{
    deep_context_options options;
    deep_context_options_init(&options, sizeof options);
    options.alloc = Heap::alloc;
    options.free = Heap::free;
    options.alloc_user = &heap;
    options.log = log_line;
    options.threads = 1; // each of our own threads computes alone
    deep_context *context = nullptr;
    check(deep_context_create(&context, &options));
    return Context(context);
}

enum { SIDE = 71, KINDS = 2, IMAGES_PER_KIND = 8, THREADS = 4, PREDICTIONS = 8 };

// Kind 0 is a disc, kind 1 a rod; `number` moves it.
std::vector<uint8_t> draw(int kind, int number)
{
    std::vector<uint8_t> pixels(SIDE * SIDE, 200);
    for (int y = 0; y < SIDE; ++y)
        for (int x = 0; x < SIDE; ++x) {
            const int dx = x - 25 - number * 2, dy = y - 35;
            const bool inside = kind == 0 ? dx * dx + dy * dy < 150 : dx * dx < 9 && dy * dy < 900;
            if (inside) pixels[static_cast<size_t>(y * SIDE + x)] = 40;
        }
    return pixels;
}

// The host's own frame, encoded as a PNG file in memory.
std::vector<uint8_t> encode(deep_context *context, const std::vector<uint8_t> &gray)
{
    deep_pixels pixels;
    deep_pixels_init(&pixels, sizeof pixels);
    pixels.data = gray.data();
    pixels.width = pixels.height = SIDE;
    pixels.format = DEEP_PIXEL_GRAY8;
    deep_image *frame = nullptr;
    check(deep_image_wrap(&frame, context, &pixels));
    const Image owner(frame);
    void *data = nullptr;
    size_t size = 0;
    check(deep_image_encode_png(frame, &data, &size));
    const auto *bytes = static_cast<const uint8_t *>(data);
    std::vector<uint8_t> file(bytes, bytes + size);
    deep_free(context, data);
    return file;
}

Model make_model(deep_context *context, const deep_classes *classes)
{
    deep_model_options options;
    deep_model_options_init(&options, sizeof options);
    options.architecture = "xception-small";
    options.classes = classes;
    options.input_size = SIDE;
    options.input_channels = 1;
    options.width = 0.125;
    options.middle_blocks = 1;
    deep_model *model = nullptr;
    check(deep_model_create(&model, context, &options));
    return Model(model);
}

// Several threads, one model: the weights exist once and nobody waits for another.
void predict_in_threads(deep_context *context, const deep_model *model, const std::vector<uint8_t> &file)
{
    std::atomic<int> failures{0};
    std::vector<deep_prediction> found(THREADS);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < THREADS; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < PREDICTIONS; ++i) {
                deep_image *image = nullptr;
                deep_status status = deep_image_decode(&image, context, file.data(), file.size(), nullptr);
                const Image owner(image);
                if (status == DEEP_OK) status = deep_model_predict(model, &image, 1, nullptr, &found[t], 1);
                if (status != DEEP_OK) ++failures;
            }
        });
    for (auto &thread : threads)
        thread.join();
    if (failures != 0) throw std::runtime_error("a thread could not predict");
    for (const auto &prediction : found)
        if (prediction.probability != found[0].probability) throw std::runtime_error("threads disagree");
    std::printf("%d threads: %s, probability %.3f\n", static_cast<int>(THREADS),
                deep_model_class_name(model, found[0].class_index), static_cast<double>(found[0].probability));
}

// Called after each step; the host has seen enough after three.
int32_t stop_after_three(void *user, const deep_progress *progress)
{
    auto *steps = static_cast<int *>(user);
    if (progress->phase == DEEP_PHASE_TRAIN) ++*steps;
    return *steps >= 3;
}

Dataset write_dataset(deep_context *context, const std::string &folder, const deep_classes *classes)
{
    std::vector<std::string> names;
    std::vector<int32_t> labels;
    for (int kind = 0; kind < KINDS; ++kind)
        for (int number = 0; number < IMAGES_PER_KIND; ++number) {
            names.push_back(folder + "/" + std::to_string(kind) + "-" + std::to_string(number) + ".png");
            labels.push_back(kind);
            const std::vector<uint8_t> file = encode(context, draw(kind, number));
            std::unique_ptr<FILE, int (*)(FILE *)> out(std::fopen(names.back().c_str(), "wb"), std::fclose);
            if (!out || std::fwrite(file.data(), 1, file.size(), out.get()) != file.size())
                throw std::runtime_error("cannot write " + names.back());
        }
    std::vector<const char *> paths;
    for (const auto &name : names)
        paths.push_back(name.c_str());
    deep_dataset *dataset = nullptr;
    check(deep_dataset_create(&dataset, context, paths.data(), labels.data(), nullptr,
                              static_cast<int64_t>(paths.size()), classes, nullptr));
    return Dataset(dataset);
}

void train_and_cancel(deep_model *model, const deep_dataset *dataset)
{
    int steps = 0;
    deep_fit_options options;
    deep_fit_options_init(&options, sizeof options);
    options.epochs = 100;
    options.batch = 4;
    const deep_status status = deep_model_fit(model, dataset, nullptr, &options, stop_after_three, &steps, nullptr);
    if (status != DEEP_ERROR_CANCELLED) {
        check(status);
        throw std::runtime_error("the training was not cancelled");
    }
    std::printf("training stopped after %d steps, as asked\n", steps);
}

void run(const std::string &folder, Heap &heap)
{
    static const char *const names[KINDS] = {"disc", "rod"};
    const Context context = make_context(heap);
    deep_classes *classes = nullptr;
    check(deep_classes_create(&classes, context.get(), names, nullptr, KINDS));
    const Classes owner(classes);
    const Model model = make_model(context.get(), classes);
    const Dataset dataset = write_dataset(context.get(), folder, classes);

    predict_in_threads(context.get(), model.get(), encode(context.get(), draw(1, 3)));
    train_and_cancel(model.get(), dataset.get());
    predict_in_threads(context.get(), model.get(), encode(context.get(), draw(1, 3)));
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    Heap heap;
    try {
        run(argv[1], heap);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    std::printf("blocks still allocated: %ld\n", heap.living.load());
    return heap.living == 0 ? 0 : 1;
}
