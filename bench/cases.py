# SPDX-License-Identifier: Apache-2.0
"""What compare.py compares, and what it expects of the answers."""
import dataclasses
import math
import statistics

TRAINING = 3  # a training step has three times the multiply-adds of a forward pass
PEERS = {"infer": ("openvino", "onnxruntime", "torch", "torch-compiled", "keras"), "train": ("torch", "keras")}
WITHOUT = {"bf16": ("onnxruntime",), "int8": ("torch", "torch-compiled", "keras")}  # no such convolutions for processors


@dataclasses.dataclass(frozen=True)
class Case:
    kind: str  # "infer", "train", "pair": two processes with one thread each that infer
    size: int
    batch: int
    dtype: str
    target: float  # of libdeep's time to the best peer's
    optimizer: str = "sgd"

    def __str__(self):
        what = {"infer": "inference", "train": "training", "pair": "inference, 2 processes x 1 thread,"}[self.kind]
        tail = f", {'SGD momentum' if self.optimizer == 'sgd' else 'Adam-amsgrad'}" if self.kind == "train" else ""
        return f"{what} {self.size} px, batch {self.batch}, {self.dtype}{tail}"

    @property
    def action(self):
        return "train" if self.kind == "train" else "infer"

    @property
    def peers(self):
        return [name for name in PEERS[self.action] if name not in WITHOUT.get(self.dtype, ())]

    def floor(self, multiply_adds, peak):
        """Milliseconds of an image's multiply-adds at the peak of the better instruction, float's or the type's own."""
        rate = max(peak["f32"], peak[{"fp32": "f32", "bf16": "bf16", "int8": "i8"}[self.dtype]])
        return 2e-6 * multiply_adds * (TRAINING if self.kind == "train" else 1) / rate


def _rows(kind, size, batch, **targets):
    return [Case(kind, size, batch, dtype, target) for dtype, target in targets.items()]


CASES = [
    *_rows("infer", 299, 1, fp32=0.97, bf16=0.95, int8=0.88),
    *_rows("infer", 299, 8, fp32=0.93, bf16=0.93, int8=0.85),
    *_rows("infer", 100, 1, fp32=0.90, bf16=0.90),
    *_rows("infer", 100, 32, fp32=0.97, bf16=0.97),
    *_rows("pair", 299, 1, fp32=1.0, bf16=1.0, int8=1.0),
    Case("train", 299, 8, "fp32", 0.75),
    Case("train", 299, 8, "bf16", 0.80),
    Case("train", 100, 16, "fp32", 0.75),
    Case("train", 100, 16, "bf16", 0.75),
    Case("train", 299, 8, "fp32", 0.75, "adam"),
    Case("train", 299, 8, "bf16", 0.75, "adam"),
    Case("train", 100, 16, "fp32", 0.75, "adam"),
    Case("train", 100, 16, "bf16", 0.75, "adam"),
]

# How far answers may be apart.
FLOAT_TOLERANCE = 1e-3  # in the logarithm of a probability: float sums in another order through 40 layers
LAYERS = 40
ROUNDING = {
    "fp16": 2 ** -12,  # 11 significant bits
    "bf16": 2 ** -9,  # root mean square error of a rounded number, relative to it: 8 significant bits
    "int8": 2 ** -6,  # of 256 levels over 12 to 14 standard deviations, relative to one of these
}
SAFETY = 2


def difference(answer, exact, dtype):
    """(how far apart, how far they may be). `exact` is libdeep's in fp32: log probabilities, or a loss.

    Each of 40 layers rounds its inputs and its kernel, independently, to `ROUNDING` of their size, so each product's sum
    is off by the square root of 2 times that, and after all layers by the square root of 80 times, if nothing dampens it:
    a share of how much the answers vary from class to class. Twice that is allowed.
    """
    if isinstance(exact, float):
        return abs(answer - exact), FLOAT_TOLERANCE if dtype == "fp32" else SAFETY * ROUNDING[dtype] * math.sqrt(2 * LAYERS)
    apart = [a - b for a, b in zip(answer, exact)]
    if dtype == "fp32":
        return max(map(abs, apart)), FLOAT_TOLERANCE
    root_mean_square = math.sqrt(statistics.fmean(value * value for value in apart))
    return root_mean_square, SAFETY * ROUNDING[dtype] * math.sqrt(2 * LAYERS) * statistics.pstdev(exact)
