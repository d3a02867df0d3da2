# SPDX-License-Identifier: Apache-2.0
"""What this GPU can do at most, by PyTorch: prints one JSON object. GB/s of a copy on the device (bytes read and written) and of
an upload from pinned memory, TFLOP/s of matrix products on random numbers; the best of ten, timed by the device's events."""
import json

import torch

ROUNDS = 10
BYTES = 1 << 30
SIDE = 8192  # of the matrices


def seconds(work):
    times = []
    for _ in range(2 + ROUNDS):  # two to warm up
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(1e-3 * begin.elapsed_time(end))
    return min(times[2:])


def product(dtype):
    a, b = (torch.randn(SIDE, SIDE, device="cuda", dtype=dtype) for _ in range(2))
    c = torch.empty_like(a)
    return 1e-12 * 2 * SIDE ** 3 / seconds(lambda: torch.matmul(a, b, out=c))


def main():
    torch.backends.cuda.matmul.allow_tf32 = False
    source = torch.empty(BYTES, dtype=torch.uint8, device="cuda").random_()
    target = torch.empty_like(source)
    host = torch.empty(BYTES // 4, dtype=torch.uint8).pin_memory()
    print(json.dumps({
        "device": torch.cuda.get_device_name(), "torch": torch.__version__,
        "copy": 1e-9 * 2 * BYTES / seconds(lambda: target.copy_(source)),
        "upload": 1e-9 * (BYTES // 4) / seconds(lambda: target[:BYTES // 4].copy_(host, non_blocking=True)),
        "fp32": product(torch.float32), "bf16": product(torch.bfloat16)}))


if __name__ == "__main__":
    main()
