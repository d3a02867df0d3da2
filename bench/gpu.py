#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libdeep beside PyTorch on a GPU, in turns: gpu.py --build BUILD [--torch INTERPRETER] [--only TEXT] [--json FILE] [--svg FILE]

BUILD is a release build with -Dbenchmarks=true, or the folder `build` of what scripts/gpu-bundle.sh made. This interpreter needs
NumPy, INTERPRETER (this one) PyTorch and timm: legacy_xception, channels_last, eager and compiled, AMP in bf16 or fp16, or plain fp32
without TF32. Everybody takes the images from the host's memory in each run and brings the result back, as a program does;
same weights and images, and answers are compared first (compare.py). Figures are minimum and median of at least twelve runs.
Prints the rows, what a start costs, and the layers beside the device's own measured peaks. What is missing is said, and left
out: without PyTorch libdeep alone is measured. --plugin FOLDER --device cuda --small tries it all on the stand-in.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import compare
import roofline
from cases import Case

HERE = pathlib.Path(__file__).resolve().parent
PEERS = ("torch", "torch-compiled")
CAN_TORCH = "import timm, torch; print(torch.__version__); assert torch.cuda.is_available(), 'PyTorch sees no GPU'"
STARTS_MOST = 1.5  # seconds


@dataclasses.dataclass(frozen=True)
class Row:
    case: Case
    peer: str  # that the target is meant for
    speed: float | None  # how many times as fast as the peer
    most_ms: float | None = None  # for the batch
    memory: float | None = None  # of the peer's


def rows(small):
    """Inference at a batch of 1 and a large one, training of the two sizes that are used; the targets are for bf16. fp16, whose
    products are as fast, is measured where much is computed."""
    found = []
    for kind, size, batch, peer, speed, most_ms, memory in (
            ("infer", 299, 1, "torch-compiled", 1.5, 0.3, None), ("infer", 299, 256, "torch-compiled", 1.4, None, None),
            ("train", 299, 128, "torch", 1.7, None, 0.5), ("train", 100, 256, "torch", 1.7, None, None)):
        size, batch = (71, min(batch, 2)) if small else (size, batch)
        found.append(Row(Case(kind, size, batch, "bf16", speed), peer, speed, most_ms, memory))
        found.append(Row(Case(kind, size, batch, "fp32", 0), peer, None))
        if batch > 1 and size == (71 if small else 299):
            found.append(Row(Case(kind, size, batch, "fp16", 0), peer, None))
    return found


def last_line(text):
    return (text.strip().splitlines() or ["no reason given"])[-1]


class GpuBench(compare.Bench):
    """As on a processor, with a device and with what its libraries are found by."""

    def job(self, case, **changes):
        return super().job(case, **{"device": self.options.device, "fused": self.options.fused, **changes})

    def environment(self, name, threads):
        found = super().environment(name, threads)
        if name == "libdeep":
            build = self.options.build.resolve()
            folders = [str(build / "lib"), os.environ.get("DEEP_CUDA_LIBRARIES", ""), self.options.wheels, "/usr/local/cuda/lib64",
                       os.environ.get("LD_LIBRARY_PATH", "")]
            found["LD_LIBRARY_PATH"] = ":".join(folder for folder in folders if folder)
            found["DEEP_PLUGIN_PATH"] = str((self.options.plugin or build / "libdeep").resolve())
        return found

    def tool(self, *arguments):
        """What the tool prints; RuntimeError with what it says is wrong."""
        made = subprocess.run([self.options.build / "tools" / "deep", *map(str, arguments)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, encoding="utf-8", env=self.environment("libdeep", self.options.threads))
        if made.returncode != 0:
            raise RuntimeError(last_line(made.stderr))
        return made.stdout


def find_wheels(interpreter):
    about = HERE.parent / "tests" / "gpu_about.py"
    return subprocess.run([interpreter, about, "folders"], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout.strip()


def find_torch(bench):
    """Why there is no PyTorch to compare with; None when there is."""
    made = subprocess.run([bench.options.torch, "-c", CAN_TORCH], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    if made.returncode != 0:
        return last_line(made.stderr)
    for name in PEERS:
        bench.python[name] = bench.options.torch
    return None


def used_megabytes():
    """Of the device's memory, by everybody; None where nobody tells."""
    try:
        made = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8")
        return float(made.stdout.splitlines()[0])
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None


# ---- rows ----

def open_contenders(bench, case, refused):
    """Those that can do the case, and what each takes of the device's memory; why the others cannot goes into `refused`."""
    found, memory = [], {}
    for name in ("libdeep", *PEERS):
        if name not in bench.python:
            continue
        before = used_megabytes()
        contender = compare.Contender(name, bench.job(case), bench)
        try:
            contender.answer()
        except RuntimeError as error:
            refused[name] = str(error).removeprefix(f"{name}: ")
            contender.close()
            continue
        found.append(contender)
        memory[name] = None if before is None else used_megabytes() - before
    return found, memory


def run_row(bench, row):
    bench.prepare(row.case.size, row.case.dtype)
    refused = {}
    contenders, memory = open_contenders(bench, row.case, refused)
    try:
        apart = compare.check_answers(bench, row.case, contenders)
        times = compare.measure(bench, {contender.name: [contender] for contender in contenders})
    finally:
        for contender in contenders:
            contender.close()
    return {"case": str(row.case), "batch": row.case.batch, "refused": refused, "contenders": {
        name: {"min": min(found) * row.case.batch, "median": statistics.median(found) * row.case.batch, "runs": len(found),
               "megabytes": memory[name], "difference": apart[name]} for name, found in times.items()}}


def cell(result, name):
    if name in result["refused"]:
        return f"no: {result['refused'][name]}"
    if name not in result["contenders"]:
        return "-"
    found = result["contenders"][name]
    text = f"{found['min']:.2f} / {found['median']:.2f} ms, {1e3 * result['batch'] / found['median']:.0f} images/s"
    return text + (f", {found['megabytes']:.0f} MB" if found["megabytes"] else "")


def verdicts(row, result):
    """(what is wanted, what was found, whether that will do) of each target of a row."""
    own, peer = (result["contenders"].get(name) for name in ("libdeep", row.peer))
    if row.speed:
        ratio = peer["median"] / own["median"] if own and peer else None
        yield f">= {row.speed} x {row.peer}", ratio, ratio is not None and ratio >= row.speed
    if row.most_ms:
        yield f"<= {row.most_ms} ms", own and own["median"], own is not None and own["median"] <= row.most_ms
    if row.memory:
        both = own and peer and own["megabytes"] and peer["megabytes"]
        ratio = own["megabytes"] / peer["megabytes"] if both else None
        yield f"<= {row.memory} x its memory", ratio, ratio is not None and ratio <= row.memory


def judged(found):
    texts = [f"{wanted}: {'not measured' if value is None else f'{value:.2f}, ' + ('met' if met else 'missed')}"
             for wanted, value, met in found]
    return "; ".join(texts) or "-"


def measure_rows(bench, wanted):
    print("| case | libdeep | PyTorch | PyTorch, compiled | ratio of medians to each | target |\n|---|---|---|---|---|---|", flush=True)
    results = []
    for row in wanted:
        try:
            result = run_row(bench, row)
        except RuntimeError as error:
            print(f"| {row.case} | failed: {error} |", flush=True)
            results.append({"case": str(row.case), "failed": str(error)})
            continue
        own = result["contenders"].get("libdeep")
        ratios = [f"{result['contenders'][name]['median'] / own['median']:.2f}" for name in PEERS
                  if own and name in result["contenders"]]
        cells = [cell(result, name) for name in ("libdeep", *PEERS)]
        print(f"| {row.case} | {' | '.join(cells)} | {', '.join(ratios) or '-'} | {judged(verdicts(row, result))} |", flush=True)
        results.append(result)
    return results


# ---- starts ----

def start_once(bench, name, size):
    """Seconds from the start of a process to its first result."""
    if name == "libdeep":
        command = [bench.options.build / "bench" / "bench_start", f"{bench.folder}/same_{size}.safetensors", "1"]
    else:
        case = Case("infer", size, 1, "fp32", 0)
        command = [bench.python[name], HERE / "contender.py", json.dumps({"library": name, **bench.job(case, kind="start")})]
    begin = time.monotonic()
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
                          env=bench.environment(name, bench.options.threads))
    if made.returncode != 0:
        raise RuntimeError(last_line(made.stderr))
    return json.loads(made.stdout.splitlines()[-1])["first"] - begin


def measure_starts(bench, size):
    print(f"\nfrom the start of a process to its first result, fp32, {size} px, one image; libdeep's is to be at most "
          f"{STARTS_MOST} s\n\n| | seconds, minimum / median |\n|---|---|")
    bench.prepare(size, "fp32")
    found = {}
    for name in ("libdeep", *(name for name in PEERS if name in bench.python)):
        rounds = 2 if name == "torch-compiled" else 3  # which takes minutes: the second finds what the first compiled
        try:
            found[name] = sorted(start_once(bench, name, size) for _ in range(rounds))
        except RuntimeError as error:
            print(f"| {name} | no: {error} |")
            continue
        print(f"| {name} | {found[name][0]:.2f} / {statistics.median(found[name]):.2f} |", flush=True)
    return found


# ---- layers ----

def measure_peaks(bench):
    if "torch" not in bench.python:
        return None
    made = subprocess.run([bench.options.torch, HERE / "gpu_peaks.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          encoding="utf-8")
    if made.returncode == 0:
        return json.loads(made.stdout)
    print(f"the device's peaks cannot be measured: {last_line(made.stderr)}")
    return None


def measure_steps(bench, size, batch, dtype, fused=0):
    """What the tool measured of each step; `fused` as Context(fused_separable=...)."""
    bench.prepare(size, "fp32")
    told = json.loads(bench.tool("bench", f"{bench.folder}/same_{size}.safetensors", "--device", bench.options.device, "--json",
                                 "-q", "--batch", batch, "--dtype", dtype, "--threads", bench.options.threads, "--fused", fused))
    return told["steps"]


def measure_layers(bench, size, batch, dtype):
    """Layers of the same kind together, the longest first."""
    kinds = {}
    for step in measure_steps(bench, size, batch, dtype):
        kind = kinds.setdefault((step["op"], step["shape"]), {"name": f"{step['layer']}: {step['op']} {step['shape']}", "count": 0,
                                                              "ms": 0.0, "operations": 0, "bytes": 0})
        kind["count"] += 1
        kind["ms"] += step["ms"]
        kind["operations"] += 2 * step["multiply_adds"]
        kind["bytes"] += step["bytes"]
    total = sum(kind["ms"] for kind in kinds.values())
    for kind in kinds.values():
        kind["share"] = kind["ms"] / total
        kind["bandwidth"] = 1e-6 * kind["bytes"] / kind["ms"] if kind["ms"] > 0 else 0  # GB/s
        kind["rate"] = 1e-9 * kind["operations"] / kind["ms"] if kind["ms"] > 0 else 0  # TFLOP/s
    return sorted(kinds.values(), key=lambda kind: -kind["ms"])


def tell_layers(kinds, peaks, size, batch, dtype):
    print(f"\nlayers, {dtype}, {size} px, batch {batch}, of one image\n\n| layer | ms | GB/s | TFLOP/s | of the nearer peak |\n|---|---|---|---|---|")
    for kind in kinds:
        near = max(kind["bandwidth"] / peaks["copy"], kind["rate"] / peaks[dtype]) if peaks else None
        others = f" and {kind['count'] - 1} alike" if kind["count"] > 1 else ""
        print(f"| {kind['name']}{others} | {kind['ms']:.3f} | {kind['bandwidth']:.0f} | {kind['rate']:.2f} | "
              f"{'-' if near is None else f'{100 * near:.0f} %'} |")


def pair_fused(apart, one):
    """Milliseconds of one image in separable convolutions of each shape, as two kernels and as one, from the steps of both."""
    both, kinds = {}, {}
    for step in apart:
        if step["op"] in ("depthwise_conv2d", "conv2d"):
            both[step["layer"]] = both.get(step["layer"], 0) + step["ms"]
    for step in one:
        if step["op"] == "separable_conv2d":
            kinds.setdefault(step["shape"], []).append((both[step["layer"]], step["ms"]))
    return [{"name": shape, "count": len(found), "apart": statistics.mean(two for two, _ in found),
             "one": statistics.mean(ms for _, ms in found)} for shape, found in kinds.items()]


def measure_fused(bench, size, batch, dtype):
    return pair_fused(*(measure_steps(bench, size, batch, dtype, fused) for fused in (0, 2)))


def tell_fused(found, size, batch, dtype):
    print(f"\nseparable convolutions, {dtype}, {size} px, batch {batch}, of one image\n\n"
          "| shape | layers | two kernels, ms | one, ms | times as fast |\n|---|---|---|---|---|")
    for kind in found:
        times = f"{kind['apart'] / kind['one']:.2f}" if kind["one"] > 0 else "-"
        print(f"| {kind['name']} | {kind['count']} | {kind['apart']:.4f} | {kind['one']:.4f} | {times} |")


def draw_layers(kinds, peaks, path):
    dots = [{**kind, "intensity": kind["operations"] / kind["bytes"]} for kind in kinds
            if kind["operations"] > 0 and kind["bytes"] > 0 and kind["ms"] > 0]
    path.write_text(roofline.draw(dots, 1e-3 * peaks["copy"], {"fp32": peaks["fp32"], "bf16": peaks["bf16"]}), encoding="utf-8")


# ---- everything ----

def run(bench):
    options = bench.options
    device = next(iter(bench.tool("devices").splitlines()))
    print(f"libdeep: {device}")
    if "not available" in device:
        return 1
    missing = find_torch(bench)
    peaks = measure_peaks(bench)
    if missing:
        print(f"PyTorch is left out, and with it ratios and peaks: {missing}")
    if peaks:
        print(f"{peaks['device']}, PyTorch {peaks['torch']}: copy {peaks['copy']:.0f} GB/s, upload {peaks['upload']:.1f} GB/s, "
              f"products {peaks['fp32']:.1f} TFLOP/s fp32, {peaks['bf16']:.0f} bf16")
    print("\nminimum / median of a batch, and what the process holds of the device's memory\n")
    wanted = [row for row in rows(options.small) if not options.only or any(part in str(row.case) for part in options.only)]
    told = {"device": device, "peaks": peaks, "without_torch": missing, "rows": measure_rows(bench, wanted)}
    size, batch = (71, 2) if options.small else (299, 128)
    if not options.only or "start" in options.only:
        told["starts"] = measure_starts(bench, size)
    if not options.only or "layers" in options.only:
        told["layers"] = {dtype: measure_layers(bench, size, batch, dtype) for dtype in ("bf16", "fp32")}
        for dtype, kinds in told["layers"].items():
            tell_layers(kinds, peaks, size, batch, dtype)
        if options.svg and peaks:
            draw_layers(told["layers"]["bf16"], peaks, options.svg)
        elif options.svg:
            print(f"{options.svg} is not drawn: there are no peaks")
    if not options.only or "fused" in options.only:
        told["fused"] = {dtype: measure_fused(bench, size, batch, dtype) for dtype in ("bf16", "fp16")}
        for dtype, found in told["fused"].items():
            tell_fused(found, size, batch, dtype)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--torch", default=sys.executable, metavar="INTERPRETER")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--plugin", type=pathlib.Path, help="folder of another libdeep-cuda.so")
    parser.add_argument("--fused", type=int, default=0, choices=(0, 1, 2),
                        help="libdeep's rows with separable convolutions of bf16 and fp16 as one kernel: 1 those of few output channels, 2 all")
    parser.add_argument("--rounds", type=int, default=6, help="of turns, with at least two runs each")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", action="append", help="rows whose name contains this; start; layers; fused")
    parser.add_argument("--small", action="store_true", help="images of 71 pixels, two at most")
    parser.add_argument("--folder", type=pathlib.Path, help="keep the models here, and use those that are there")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to this file")
    parser.add_argument("--svg", type=pathlib.Path, help="draw the layers' speed under the device's limits")
    options = parser.parse_args()
    options.wheels, options.python, options.without = find_wheels(options.torch), [], []
    with tempfile.TemporaryDirectory() as folder:
        if options.folder:
            options.folder.mkdir(parents=True, exist_ok=True)
            folder = str(options.folder.resolve())
        try:
            return run(GpuBench(options, folder))
        except RuntimeError as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
