# SPDX-License-Identifier: Apache-2.0
"""Trains keras.applications.Xception on a labelled folder with the settings of docs/benchmarks.md.

The split is read from split files (`deep split` writes them), so that libdeep and Keras see the same images:

    python bench/keras_baseline.py IMAGES SPLIT_FOLDER --seed 1 --epochs 15 --out keras_1.json

Squashed bilinear resize to --size, input (x - mean) / 127.5, head GAP -> dense 1024 ReLU -> dense K,
Adam amsgrad 1e-3 with tenfold drops at 70 % and 90 % of the epochs, flips and quarter turns, from scratch.
"""
import argparse
import json
import os
import resource
import time


def read_split(path, root):
    with open(path, encoding="utf-8") as lines:
        rows = [line.rstrip("\n").rsplit(None, 1) for line in lines if line.strip()]
    return [os.path.join(root, name) for name, _ in rows], [int(label) for _, label in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images")
    parser.add_argument("split", help="folder with classes.txt, train.txt, val.txt")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=0, help="time this many steps and stop")
    parser.add_argument("--bf16", action="store_true", help="Keras's mixed precision")
    parser.add_argument("--out", default="")
    args = parser.parse_args()

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import cv2
    import numpy as np
    import tensorflow as tf
    import keras

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(args.seed)
    if args.bf16:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    rng = np.random.default_rng(args.seed)

    def load(paths):
        side = (args.size, args.size)
        return np.stack([cv2.resize(cv2.imread(p, cv2.IMREAD_COLOR)[:, :, ::-1], side) for p in paths])

    with open(os.path.join(args.split, "classes.txt"), encoding="utf-8") as lines:
        classes = lines.read().split("\n")
    count = len([name for name in classes if name])
    train_paths, train_labels = read_split(os.path.join(args.split, "train.txt"), args.images)
    valid_paths, valid_labels = read_split(os.path.join(args.split, "val.txt"), args.images)
    begin = time.time()
    x, y = load(train_paths), np.array(train_labels)
    vx, vy = load(valid_paths), np.array(valid_labels)
    mean = x.reshape(-1, 3).mean(axis=0)

    base = keras.applications.Xception(include_top=False, weights=None, input_shape=(args.size, args.size, 3))
    features = keras.layers.GlobalAveragePooling2D()(base.output)
    hidden = keras.layers.Dense(1024, activation="relu")(features)
    model = keras.Model(base.input, keras.layers.Dense(count, activation="softmax", dtype="float32")(hidden))
    model.compile(optimizer=keras.optimizers.Adam(1e-3, amsgrad=True, epsilon=1e-7),
                  loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    def batches(order):
        for start in range(0, len(order), args.batch):
            rows = order[start:start + args.batch]
            images = x[rows].copy()
            for i in range(len(rows)):
                image = np.rot90(images[i], rng.integers(4))
                image = image[:, ::-1] if rng.random() < 0.5 else image
                images[i] = image[::-1] if rng.random() < 0.5 else image
            yield (images.astype(np.float32) - mean) / 127.5, y[rows]

    milestones = [int(args.epochs * 0.7), int(args.epochs * 0.9)]
    history, step_times = [], []
    for epoch in range(args.epochs):
        drops = sum(epoch >= m for m in milestones)
        model.optimizer.learning_rate = 1e-3 * 0.1 ** drops
        epoch_begin = time.time()
        for images, labels in batches(rng.permutation(len(y))):
            step_begin = time.time()
            loss, accuracy = model.train_on_batch(images, labels, return_dict=False)
            step_times.append((time.time() - step_begin) / len(labels))
            if args.steps and len(step_times) >= args.steps:
                break
        if args.steps:
            warm = sorted(step_times[3:])
            print(json.dumps({"ms_per_image_min": 1e3 * warm[0], "ms_per_image_median": 1e3 * warm[len(warm) // 2],
                              "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
            return
        seconds = time.time() - epoch_begin
        probabilities = model.predict((vx.astype(np.float32) - mean) / 127.5, batch_size=args.batch, verbose=0)
        row = {"epoch": epoch + 1, "loss": float(loss), "accuracy": float(accuracy),
               "valid_accuracy": float((probabilities.argmax(axis=1) == vy).mean()),
               "ms_per_image": 1e3 * seconds / len(y)}
        history.append(row)
        print(json.dumps(row), flush=True)
    from sklearn.metrics import f1_score, log_loss
    result = {"seed": args.seed, "accuracy": history[-1]["valid_accuracy"],
              "macro_f1": float(f1_score(vy, probabilities.argmax(axis=1), average="macro", zero_division=0,
                                         labels=sorted(set(valid_labels)))),
              "log_loss": float(log_loss(vy, probabilities, labels=range(count))),
              "train": len(y), "valid": len(vy), "seconds": time.time() - begin,
              "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "history": history}
    print(json.dumps({key: value for key, value in result.items() if key != "history"}))
    test_file = os.path.join(args.split, "test.txt")
    if os.path.exists(test_file):
        test_paths, test_labels = read_split(test_file, args.images)
        answers = model.predict((load(test_paths).astype(np.float32) - mean) / 127.5, batch_size=args.batch, verbose=0)
        result["test_accuracy"] = float((answers.argmax(axis=1) == np.array(test_labels)).mean())
    if args.out:
        with open(args.out, "w", encoding="utf-8") as out:
            json.dump(result, out)


if __name__ == "__main__":
    main()
