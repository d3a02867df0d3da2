#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libdeep beside its peers, on this machine, in turns: compare.py --build BUILD [--python NAME=INTERPRETER ...]

BUILD is a release build with -Dbenchmarks=true. NAME is libdeep, openvino, onnxruntime, torch, torch-compiled or keras; a
library whose interpreter is not given is left out. For each case all contenders are started and stopped (SIGSTOP); then
one after the other runs a few repetitions, for so many rounds. Prints one row for each case: minimum and median in
milliseconds per image, the floor (the multiply-adds at the peak that bench_peak measured), and the ratio to the best peer.
What they compute is compared first: same weights, same images (cases.py says how exactly).

--start measures instead how long a process takes from its start to its first result.
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
import time

from cases import CASES, difference

HERE = pathlib.Path(__file__).resolve().parent
TURN = 0.4  # seconds that a contender computes at once, about

MAKE_MODELS = """
import sys, numpy as np, libdeep
folder, size = sys.argv[1], int(sys.argv[2])
for padding, epsilon in (("same", 1e-3), ("symmetric", 1e-5)):
    model = libdeep.Model.create(1000, input_size=size, padding=padding, batch_norm_epsilon=epsilon, seed=1)
    noise = np.random.default_rng(1)
    for name in model.params:
        if name.endswith((".gamma", ".moving_variance")):
            model.params[name] = noise.uniform(0.8, 1.2, model.params[name].shape)
        if name.endswith((".beta", ".moving_mean")):
            model.params[name] = noise.uniform(-0.1, 0.1, model.params[name].shape)
    model.save(f"{folder}/{padding}_{size}.safetensors")
print(model.info.multiply_adds)
"""
CONVERT = """
import sys, libdeep, libdeep.convert
libdeep.convert.save(libdeep.Model.load(sys.argv[1] + ".safetensors"), sys.argv[1] + sys.argv[2])
"""
FILES = {"onnxruntime": ("same", ".onnx"), "openvino": ("same", ".onnx"), "keras": ("same", ".h5"),
         "torch": ("symmetric", ".pth")}  # of whose interpreter can write it
QUANTIZE = "import sys; sys.path.insert(0, sys.argv[3]); import libraries; libraries.quantize_onnx(sys.argv[1], int(sys.argv[2]))"


class Contender:
    """A process that computes only when it is asked to."""

    def __init__(self, name, job, bench):
        self.name = name
        self.process = subprocess.Popen([bench.python[name], HERE / "contender.py", json.dumps({"library": name, **job})],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        encoding="utf-8", env=bench.environment(name, job["threads"]))
        self.times = []

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: " + (self.process.stderr.read().strip().splitlines() or ["no answer"])[-1])
        self.process.send_signal(signal.SIGSTOP)
        return None if line == "ready\n" else json.loads(line)

    def request(self, what):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()

    def ask(self, what):
        self.request(what)
        return self.answer()

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.communicate()


class Bench:
    """The options, and what is made once: models, peaks."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.python = dict(item.split("=", 1) for item in options.python)
        self.python.setdefault("libdeep", sys.executable)
        if "torch" in self.python:
            self.python.setdefault("torch-compiled", self.python["torch"])
        for name in options.without:
            self.python.pop(name, None)
        self.multiply_adds, self.peaks = {}, {}

    def environment(self, name, threads):
        changes = {"OMP_NUM_THREADS": str(threads)}
        if name == "libdeep":
            build = self.options.build.resolve()
            changes.update(PYTHONPATH=str(build / "bindings" / "python"),
                           LIBDEEP_LIBRARY=str(build / "libdeep" / "libdeep.so.0"))
        return {**os.environ, **changes}

    def peak(self, threads):
        if threads not in self.peaks:
            made = subprocess.run([self.options.build / "bench" / "bench_peak", str(threads)], check=True,
                                  stdout=subprocess.PIPE, encoding="utf-8")
            self.peaks[threads] = json.loads(made.stdout)
        return self.peaks[threads]

    def write(self, name, *command):
        """Runs a piece of Python that writes a file, with libdeep and the interpreter of `name`; returns what it prints."""
        made = subprocess.run([self.python[name], "-c", *map(str, command)], env=self.environment("libdeep", 1),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        if made.returncode != 0:
            raise RuntimeError(f"{name}: " + (made.stderr.strip().splitlines() or ["no reason given"])[-1])
        return made.stdout

    def prepare(self, size, dtype):
        """Writes the models of a size, once; returns its multiply-adds."""
        if size not in self.multiply_adds:
            made = pathlib.Path(self.folder, f"multiply_adds_{size}.txt")
            if not made.exists():
                made.write_text(self.write("libdeep", MAKE_MODELS, self.folder, size), encoding="utf-8")
            self.multiply_adds[size] = int(made.read_text(encoding="utf-8"))
        for name, (padding, suffix) in FILES.items():
            plain = f"{self.folder}/{padding}_{size}"
            if name in self.python and not os.path.exists(plain + suffix):
                self.write(name, CONVERT, plain, suffix)
        if dtype == "int8" and "onnxruntime" in self.python and not os.path.exists(f"{self.folder}/same_{size}_int8.onnx"):
            self.write("onnxruntime", QUANTIZE, self.folder, size, HERE)
        return self.multiply_adds[size]

    def job(self, case, **changes):
        threads = 1 if case.kind == "pair" else self.options.threads
        return {"kind": case.action, "size": case.size, "batch": case.batch, "dtype": case.dtype,
                "optimizer": case.optimizer, "threads": threads, "folder": self.folder, **changes}


# ---- what is computed ----

def exact_answer(bench, case, padding):
    """libdeep's in fp32, from a process of its own."""
    contender = Contender("libdeep", bench.job(case, dtype="fp32", padding=padding), bench)
    try:
        contender.answer()
        return contender.ask("result")
    finally:
        contender.close()


def check_answers(bench, case, contenders):
    """Nobody is fast by computing something else. Returns each one's difference from libdeep's in fp32."""
    exact, found = {}, {}
    for contender in contenders:
        padding = "symmetric" if contender.name.startswith("torch") else "same"
        if padding not in exact:
            exact[padding] = exact_answer(bench, case, padding)
        found[contender.name], allowed = difference(contender.ask("result"), exact[padding], case.dtype)
        if not found[contender.name] <= allowed:
            raise RuntimeError(f"{contender.name}'s answers differ from libdeep's in fp32 by {found[contender.name]:.2g}, "
                               f"{allowed:.2g} is allowed")
    return found


# ---- how fast ----

def take_turn(members, repetitions):
    """Members of one name compute at the same time; times of an image, as if it were one process."""
    for member in members:
        member.request(f"time {repetitions}")
    answers = [member.answer() for member in members]
    return [statistics.fmean(times) / len(members) for times in zip(*answers)]


def measure(bench, teams):
    times = {name: [] for name in teams}
    repetitions = {}
    for name, members in teams.items():
        begin = time.monotonic()
        take_turn(members, 1)
        repetitions[name] = max(2, min(50, int(TURN / (time.monotonic() - begin))))
    for _ in range(bench.options.rounds):
        for name, members in teams.items():
            times[name] += take_turn(members, repetitions[name])
    return times


def run_case(bench, case):
    floor = case.floor(bench.prepare(case.size, case.dtype), bench.peak(bench.options.threads))
    contenders = []
    try:
        for name in ["libdeep", *(name for name in case.peers if name in bench.python)]:
            for _ in range(2 if case.kind == "pair" else 1):
                contenders.append(Contender(name, bench.job(case), bench))
                contenders[-1].answer()
        apart = check_answers(bench, case, contenders)
        teams = {contender.name: [c for c in contenders if c.name == contender.name] for contender in contenders}
        times = measure(bench, teams)
        memory = {name: sum(member.ask("rss") for member in members) for name, members in teams.items()}
    finally:
        for contender in contenders:
            contender.close()
    return {"case": str(case), "target": case.target, "floor": floor, "contenders": {
        name: {"min": min(times[name]), "median": statistics.median(times[name]), "rss": memory[name],
               "difference": apart[name]} for name in teams}}


def row(result):
    own, peers = result["contenders"]["libdeep"], {k: v for k, v in result["contenders"].items() if k != "libdeep"}
    text = "{name} {min:.2f} / {median:.2f} ({rss:.0f} MB)"
    ratio = "-"
    if peers:
        ratio = " / ".join(f"{own[key] / min(peer[key] for peer in peers.values()):.2f}" for key in ("min", "median"))
    worst = max(found["difference"] for found in result["contenders"].values())
    return (f"| {result['case']} | {result['floor']:.1f} | {text.format(name='', **own).strip()} "
            f"| {'; '.join(text.format(name=name, **peer) for name, peer in peers.items())} | {ratio} "
            f"| {result['target']:.2f} | {100 * result['floor'] / own['min']:.0f} % | {worst:.1g} |")


def compare(bench):
    peak = bench.peak(bench.options.threads)
    print(f"{bench.options.threads} threads; peak {peak['f32']:.0f} GFLOP/s fp32, {peak['bf16']:.0f} bf16, {peak['i8']:.0f} "
          "GOP/s int8; minimum / median in ms per image (most memory)\n")
    print("| case | floor | libdeep | peers | ratio to the best, min / median | target | of the floor | largest difference |\n"
          "|---|---|---|---|---|---|---|---|", flush=True)
    results = []
    for case in CASES:
        if bench.options.only and not any(part in str(case) for part in bench.options.only):
            continue
        try:
            results.append(run_case(bench, case))
        except RuntimeError as error:
            print(f"| {case} | failed: {error} |", flush=True)
            continue
        print(row(results[-1]), flush=True)
    if bench.options.json:
        bench.options.json.write_text(json.dumps({"peak": peak, "rows": results}, indent=1), encoding="utf-8")


# ---- from nothing ----

def start_program(bench, model):
    """libdeep without Python: (seconds to the first result, MB)."""
    begin = time.monotonic()
    made = subprocess.run([bench.options.build / "bench" / "bench_start", model, str(bench.options.threads)], check=True,
                          stdout=subprocess.PIPE, encoding="utf-8")
    told = json.loads(made.stdout.splitlines()[-1])
    return {"imported": 0.0, "first": told["first"] - begin, "rss": told["rss"]}


def start_python(bench, name, size):
    case = {"kind": "start", "size": size, "batch": 1, "dtype": "fp32", "optimizer": "sgd",
            "threads": bench.options.threads, "folder": bench.folder}
    begin = time.monotonic()
    made = subprocess.run([bench.python[name], HERE / "contender.py", json.dumps({"library": name, **case})], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8",
                          env=bench.environment(name, bench.options.threads))
    told = json.loads(made.stdout.splitlines()[-1])
    return {"imported": told["imported"] - begin, "first": told["first"] - begin, "rss": told["rss"]}


def compare_starts(bench, size=299):
    bench.prepare(size, "fp32")
    model = f"{bench.folder}/same_{size}.safetensors"
    starts = {"libdeep, C": lambda: start_program(bench, model)}
    for name in ("libdeep", "onnxruntime", "openvino", "torch", "keras"):
        if name in bench.python:
            starts[f"{name}, Python"] = lambda name=name: start_python(bench, name, size)
    found = {name: [] for name in starts}
    for _ in range(bench.options.rounds):
        for name, start in starts.items():
            found[name].append(start())
    print(f"{size} px, batch 1, fp32, {bench.options.threads} threads, files in the cache; seconds, minimum / median\n")
    print("| | process start to first result | of that, to the end of the import | after the import | most memory, MB |")
    print("|---|---|---|---|---|")
    for name, runs in found.items():
        runs.sort(key=lambda run: run["first"])
        least, middle = runs[0], runs[len(runs) // 2]
        print(f"| {name} | {least['first']:.3f} / {middle['first']:.3f} | {least['imported']:.3f} / {middle['imported']:.3f} "
              f"| {least['first'] - least['imported']:.3f} / {middle['first'] - middle['imported']:.3f} "
              f"| {least['rss']:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--python", action="append", default=[], metavar="NAME=INTERPRETER")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="leave this library out")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", action="append", help="cases whose name contains this, such as 'inference 299 px, batch 1'")
    parser.add_argument("--start", action="store_true", help="from the start of a process to its first result")
    parser.add_argument("--folder", type=pathlib.Path, help="keep the models here, and use those that are there")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.folder:
            options.folder.mkdir(parents=True, exist_ok=True)
            folder = str(options.folder.resolve())
        bench = Bench(options, folder)
        (compare_starts if options.start else compare)(bench)


if __name__ == "__main__":
    main()
