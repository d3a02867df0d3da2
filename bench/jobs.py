#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whole jobs, from image files to a trained and judged model: jobs.py --build BUILD --keras INTERPRETER IMAGES SPLIT

SPLIT is a folder with classes.txt, train.txt and val.txt, and test.txt if there are images to judge the model by at the
end; the paths in it begin in IMAGES. `deep train` and `deep evaluate` do it, then keras_baseline.py the same job with
Keras, in turns. Times are those of the whole commands, from their start to their end. The job of the existing service's
tutorial is its 82 images with --epochs 3.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def timed(commands, environment):
    """(seconds of all commands, what each printed)."""
    begin, outputs = time.monotonic(), []
    for command in commands:
        made = subprocess.run([str(part) for part in command], env=environment, check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, encoding="utf-8")
        outputs.append(made.stdout)
    return time.monotonic() - begin, outputs


def libdeep_job(options, seed, folder):
    deep = options.build.resolve() / "tools" / "deep"
    model, split = f"{folder}/model.safetensors", options.split
    recipe = ["--images", options.images, "--threads", options.threads]
    commands = [[deep, "train", split / "train.txt", "--valid", split / "val.txt", "-o", model, "--epochs", options.epochs,
                 "--batch", options.batch, "--size", options.size, "--seed", seed, "--keep-last", "--progress", "none", "--json",
                 *(["--dtype", options.dtype] if options.dtype != "fp32" else []), *recipe]]
    judged = split / ("test.txt" if (split / "test.txt").exists() else "val.txt")
    commands.append([deep, "evaluate", model, judged, "--json", *recipe])
    seconds, outputs = timed(commands, os.environ)
    return {"seconds": seconds, "accuracy": json.loads(outputs[-1])["accuracy"]}


def keras_job(options, seed, folder):
    out = f"{folder}/keras.json"
    command = [options.keras, HERE / "keras_baseline.py", options.images, options.split, "--seed", seed, "--epochs",
               options.epochs, "--batch", options.batch, "--size", options.size, "--threads", options.threads, "--out", out]
    if options.dtype == "bf16":
        command.append("--bf16")
    seconds, _ = timed([command], os.environ)
    found = json.loads(pathlib.Path(out).read_text(encoding="utf-8"))
    return {"seconds": seconds, "accuracy": found.get("test_accuracy", found["accuracy"])}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("split", type=pathlib.Path)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--keras", help="interpreter that has Keras; without, libdeep alone")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=("fp32", "bf16"), default="fp32", help="of the training")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    jobs = {"libdeep": libdeep_job, **({"keras": keras_job} if options.keras else {})}
    found = {name: [] for name in jobs}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1, options.rounds + 1):
            for name, job in jobs.items():
                found[name].append(job(options, seed, folder))
                print(f"{name}, seed {seed}: {found[name][-1]}", flush=True)
    print(f"\n{options.epochs} epochs, batch {options.batch}, {options.size} px, {options.dtype}, {options.threads} threads\n")
    print("| | seconds, minimum / median | accuracy |\n|---|---|---|")
    for name, runs in found.items():
        times = [run["seconds"] for run in runs]
        print(f"| {name} | {min(times):.1f} / {statistics.median(times):.1f} | "
              f"{' '.join(format(run['accuracy'], '.3f') for run in runs)} |")


if __name__ == "__main__":
    main()
