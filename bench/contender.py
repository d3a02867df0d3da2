# SPDX-License-Identifier: Apache-2.0
"""One library at one job, driven by compare.py: contender.py JOB, a JSON object of Job's fields.

Prints "ready", then one line for each line it reads: "result" (of the first run: logarithms of the first image's
probabilities, or the loss), "time N" (milliseconds per image of N repetitions), "rss" (the most memory so far, in MB).
A job of kind "start" prints when it had imported its library and when it had its first result, on the clock that all
processes share, and ends.
"""
import dataclasses
import importlib
import json
import resource
import sys
import time

import libraries


@dataclasses.dataclass
class Job:
    library: str
    kind: str  # "infer", "train", "start"
    size: int
    batch: int
    dtype: str
    optimizer: str
    threads: int
    folder: str
    padding: str = "same"  # libdeep alone: "symmetric" pads as PyTorch does
    device: str = ""  # libdeep's and PyTorch's name of it; "" = what libdeep takes by itself, and PyTorch's processor
    fused: int = 0  # libdeep alone: Context(fused_separable=...)

    def function(self):
        action = "train" if self.kind == "train" else "infer"
        return getattr(libraries, f"{self.library.replace('-', '_')}_{action}")(self)


def comparable(result, job):
    import numpy as np
    if job.kind == "train":
        return result
    first = np.asarray(result, np.float64)[0]
    if job.library in libraries.GIVES_LOGITS:
        first = first - first.max()
        return (first - np.log(np.exp(first).sum())).tolist()
    return np.log(first).tolist()


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def start(job):
    for name in libraries.MODULES[job.library]:
        importlib.import_module(name)
    imported = time.monotonic()
    job.function()()
    print(json.dumps({"imported": imported, "first": time.monotonic(), "rss": megabytes()}))


def main():
    job = Job(**json.loads(sys.argv[1]))
    if job.kind == "start":
        start(job)
        return
    run = job.function()
    first = run()  # compiles, allocates
    run()
    print("ready", flush=True)
    for line in sys.stdin:
        word, *number = line.split()
        if word == "result":
            print(json.dumps(comparable(first, job)), flush=True)
        elif word == "rss":
            print(json.dumps(megabytes()), flush=True)
        else:
            times = []
            for _ in range(int(number[0])):
                begin = time.perf_counter()
                run()
                times.append(1e3 * (time.perf_counter() - begin) / job.batch)
            print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
