#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How libdeep's cost grows with image size, batch, classes and threads: scaling.py --build BUILD [--quick] [--dtype TYPE ...]

BUILD is a release build with -Dbenchmarks=true. Inference by `deep bench`, training by bench_network (SGD without momentum,
34 classes). Milliseconds of one image, the least of the repetitions, and the part of the machine's peak.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TABLES = ("size", "batch", "classes", "training")
# What is measured, in full and with --quick; training by (side, batch).
EXTENTS = {False: {"size": (71, 100, 150, 224, 299, 400, 512), "batch": (1, 2, 4, 8, 16, 32),
                   "classes": (2, 34, 1000, 10000, 65536), "training": ((100, 8), (100, 16), (100, 32), (224, 8), (299, 8)),
                   "repetitions": 10},
           True: {"size": (71, 100, 299, 512), "batch": (1, 8, 32), "classes": (2, 1000, 65536),
                  "training": ((100, 16), (299, 8)), "repetitions": 3}}
MAKE_MODEL = "import sys, libdeep; libdeep.Model.create(int(sys.argv[2]), input_size=int(sys.argv[3]), seed=1).save(sys.argv[1])"


class Scaling:
    def __init__(self, options, folder):
        self.options, self.folder, self.build = options, folder, options.build.resolve()
        self.extents = EXTENTS[options.quick]

    def bench(self, size=299, classes=1000, batches=(1,)):
        """Speeds of a model of this kind: {(dtype, threads, batch): row}."""
        model = f"{self.folder}/{size}_{classes}.safetensors"
        if not os.path.exists(model):
            environment = {**os.environ, "PYTHONPATH": str(self.build / "bindings" / "python"),
                           "LIBDEEP_LIBRARY": str(self.build / "libdeep" / "libdeep.so.0")}
            subprocess.run([sys.executable, "-c", MAKE_MODEL, model, str(classes), str(size)], env=environment, check=True)
        made = subprocess.run([self.build / "tools" / "deep", "bench", model, "--json", "-q", "--repetitions",
                               str(self.options.repetitions), "--threads", ",".join(map(str, self.options.threads)),
                               "--dtype", ",".join(self.options.dtype), "--batch", ",".join(map(str, batches))],
                              check=True, stdout=subprocess.PIPE, encoding="utf-8")
        os.unlink(model)
        return {(row["dtype"], row["threads"], row["batch"]): row for row in json.loads(made.stdout)["speeds"]}

    def kinds(self):
        return [(dtype, threads) for dtype in self.options.dtype for threads in self.options.threads]

    def head(self, what):
        cells = [f"{dtype}, {threads} thread{'s' if threads > 1 else ''}" for dtype, threads in self.kinds()]
        print(f"\n| {what} | {' | '.join(cells)} |\n|{'---|' * (len(cells) + 1)}")

    def row(self, name, speeds, batch):
        cells = [speeds[dtype, threads, batch] for dtype, threads in self.kinds()]
        print(f"| {name} | {' | '.join('{:.2f}, {:.0f} %'.format(c['ms_min'], 100 * c['of_peak']) for c in cells)} |", flush=True)

    def size(self):
        self.head("image side, batch 1")
        for side in self.extents["size"]:
            self.row(f"{side} px", self.bench(size=side), 1)

    def batch(self):
        for side in (100, 299):
            speeds = self.bench(size=side, batches=self.extents["batch"])
            self.head(f"batch, {side} px")
            for count in self.extents["batch"]:
                self.row(count, speeds, count)

    def classes(self):
        self.head("classes, 299 px, batch 1")
        for count in self.extents["classes"]:
            self.row(count, self.bench(classes=count), 1)

    def training(self):
        print(f"\n| training step, fp32 | {' | '.join('{} thread{}'.format(t, 's' if t > 1 else '') for t in self.options.threads)} |\n"
              f"|{'---|' * (len(self.options.threads) + 1)}")
        for side, batch in self.extents["training"]:
            cells = []
            for threads in self.options.threads:
                made = subprocess.run([self.build / "bench" / "bench_network", "train", str(side), str(batch),
                                       str(self.options.repetitions), str(threads)], check=True, stdout=subprocess.PIPE,
                                      encoding="utf-8")
                found = re.search(r"min ([\d.]+).*peak RSS (\d+)", made.stdout)
                cells.append(f"{found[1]} ({found[2]} MB)")
            print(f"| {side} px, batch {batch} | {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--dtype", action="append", choices=("fp32", "bf16", "int8"), help="of the kernels (fp32)")
    parser.add_argument("--threads", type=int, action="append", help="(1 and 2)")
    parser.add_argument("--repetitions", type=int, help="of each measurement (10, quick 3)")
    parser.add_argument("--quick", action="store_true", help="fewer rows of each table, measured less often")
    parser.add_argument("--table", action="append", choices=TABLES, help="this one (all)")
    options = parser.parse_args()
    options.repetitions = options.repetitions or EXTENTS[options.quick]["repetitions"]
    options.dtype, options.threads = options.dtype or ["fp32"], sorted(options.threads or [1, 2])
    with tempfile.TemporaryDirectory() as folder:
        scaling = Scaling(options, folder)
        for name in options.table or TABLES:
            getattr(scaling, name)()


if __name__ == "__main__":
    main()
