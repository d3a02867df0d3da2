#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libdeep beside its peers, on this machine, in turns: compare.py --build BUILD [--python NAME=INTERPRETER ...]

BUILD is a release build with -Dbenchmarks=true. NAME is libdeep, openvino, onnxruntime, torch or keras; a library whose
interpreter is not given is left out. For each case all contenders are started and stopped (SIGSTOP); then one after the
other runs a few repetitions, for so many rounds. Prints one row for each case: minimum and median in milliseconds per
image, the floor (the multiply-adds at the peak that bench_peak measured), and the ratio to the best peer. The outputs of
all are compared first: same weights, same images.
"""
import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# kind, size, batch, dtype, target (ratio to the best peer)
CASES = [
    ("infer", 299, 1, "fp32", 0.97),
    ("infer", 299, 8, "fp32", 0.93),
    ("infer", 100, 1, "fp32", 0.90),
    ("infer", 100, 32, "fp32", 0.97),
    ("train", 299, 8, "fp32", 0.75),
    ("train", 100, 16, "fp32", 0.75),
]
PEERS = {"infer": ("openvino", "onnxruntime", "torch", "keras"), "train": ("torch", "keras")}
TRAINING = 3  # a training step has three times the multiply-adds of a forward pass
TOLERANCE = 1e-3  # in the logarithm of a probability: float sums in another order through 40 layers

MAKE_MODELS = """
import sys, numpy as np, libdeep, libdeep.convert
folder, size = sys.argv[1], int(sys.argv[2])
for padding, epsilon, suffixes in (("same", 1e-3, (".onnx", ".keras")), ("symmetric", 1e-5, (".pth",))):
    model = libdeep.Model.create(1000, input_size=size, padding=padding, batch_norm_epsilon=epsilon, seed=1)
    noise = np.random.default_rng(1)
    for name in model.params:
        if name.endswith((".gamma", ".moving_variance")):
            model.params[name] = noise.uniform(0.8, 1.2, model.params[name].shape)
        if name.endswith((".beta", ".moving_mean")):
            model.params[name] = noise.uniform(-0.1, 0.1, model.params[name].shape)
    model.save(f"{folder}/{padding}_{size}.safetensors")
    for suffix in suffixes:
        try:
            libdeep.convert.save(model, f"{folder}/{padding}_{size}{suffix}")
        except ImportError as error:
            print(error, file=sys.stderr)
print(model.info.multiply_adds)
"""


class Contender:
    """A process that computes only when it is asked to."""

    def __init__(self, python, environment, name, case, threads, folder):
        self.name, self.case = name, case
        kind, size, batch, dtype, _ = case
        self.process = subprocess.Popen(
            [python, HERE / "contender.py", name, kind, str(size), str(batch), dtype, str(threads), folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=environment)
        self.times = []

    def ready(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: " + (self.process.stderr.read().strip().splitlines() or ["no answer"])[-1])
        self.stop()

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def ask(self, what):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.stop()
        return answer

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


def check_outputs(contenders):
    """Nobody is fast by computing something else. Padding differs between PyTorch's network and the others'."""
    results = {contender.name: contender.ask("result") for contender in contenders}
    for name, values in results.items():
        own = results["libdeep-symmetric" if name in ("torch", "libdeep-symmetric") else "libdeep"]
        worst = max(abs(a - b) for a, b in zip(values, own))
        if worst > TOLERANCE:
            raise RuntimeError(f"{name}'s log probabilities differ from libdeep's by {worst:.2g}")


def row(case, contenders, floor):
    kind, size, batch, dtype, target = case
    own, *peers = [(c.name, min(c.times), statistics.median(c.times), c.ask("rss")) for c in contenders
                   if c.name != "libdeep-symmetric"]
    best = min(peer[1] for peer in peers), min(peer[2] for peer in peers)
    figures = [f"{name} {low:.2f} / {middle:.2f} ({rss:.0f} MB)" for name, low, middle, rss in peers]
    return (f"| {kind} {size} px, batch {batch}, {dtype} | {floor:.1f} | {own[1]:.2f} / {own[2]:.2f} ({own[3]:.0f} MB) "
            f"| {'; '.join(figures)} | {own[1] / best[0]:.2f} / {own[2] / best[1]:.2f} | {target:.2f} "
            f"| {100 * floor / own[1]:.0f} % |")


def run_case(case, options, environments, folder, floor):
    kind = case[0]
    names = ["libdeep"] + [name for name in PEERS[kind] if name in options.python]
    if kind == "infer" and "torch" in names:
        names.append("libdeep-symmetric")
    contenders = []
    try:
        for name in names:
            library = name.split("-")[0]
            contenders.append(Contender(options.python[library], environments[library], name, case, options.threads, folder))
            contenders[-1].ready()
        if kind == "infer":
            check_outputs(contenders)
        for _ in range(options.rounds):
            for contender in contenders:
                if contender.name != "libdeep-symmetric":
                    contender.times += contender.ask(f"time {options.repetitions}")
        return row(case, contenders, floor)
    finally:
        for contender in contenders:
            contender.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--python", action="append", default=[], metavar="NAME=INTERPRETER")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--repetitions", type=int, default=2, help="in a row")
    parser.add_argument("--only", help="cases whose name contains this, such as 'infer 299'")
    options = parser.parse_args()
    options.python = dict(item.split("=", 1) for item in options.python)
    options.python.setdefault("libdeep", sys.executable)
    plain = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    own = {**plain, "PYTHONPATH": str(options.build / "bindings" / "python"),
           "LIBDEEP_LIBRARY": str(options.build / "libdeep" / "libdeep.so.0")}
    environments = {name: own if name == "libdeep" else plain for name in options.python}
    peak = json.loads(subprocess.run([options.build / "bench" / "bench_peak", str(options.threads)], check=True,
                                     capture_output=True, encoding="utf-8").stdout)["f32"]
    print(f"{options.threads} threads, peak {peak:.0f} GFLOP/s; minimum / median in ms per image (most memory)\n")
    print("| case | floor | libdeep | peers | ratio to the best | target | of the floor |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        adds = {}
        for case in CASES:
            kind, size, batch, dtype, _ = case
            if options.only and options.only not in f"{kind} {size} px, batch {batch}, {dtype}":
                continue
            if size not in adds:
                made = subprocess.run([options.python["libdeep"], "-c", MAKE_MODELS, folder, str(size)], env=own, check=True,
                                      stdout=subprocess.PIPE, encoding="utf-8")
                adds[size] = int(made.stdout)
            floor = 2e-6 * adds[size] * (TRAINING if kind == "train" else 1) / peak
            print(run_case(case, options, environments, folder, floor), flush=True)


if __name__ == "__main__":
    main()
