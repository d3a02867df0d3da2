# SPDX-License-Identifier: Apache-2.0
"""What is compared: one row per case. The goldens hold GOLDEN's; scripts/parity.sh computes LIVE's as it
goes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

import seeded

CLASSES = 7
UPDATES = 20  # consecutive training steps of a case of kind "updates"


@dataclass(frozen=True)
class Case:
    """A network, its inputs and what is asked of it."""

    name: str
    kind: str  # forward, gradients, updates, optimizer
    size: int = 71
    batch: int = 3
    head: str = "imagenet"
    seed: int = 1
    width: float = 1.0
    middle_blocks: int = 8
    layers: bool = True  # forward: every layer's output, else logits and probabilities alone
    optimizer: str = ""  # a key of OPTIMIZERS
    smoothing: float = 0.0
    weighted: bool = False  # class weights in the loss
    framework: str = "keras"
    rate: float = 1.0  # multiplies the learning rate
    clear: bool = True  # inputs for which every decision is clear (margins.py), where gradients are asked for
    fault: str = ""  # what the reference does wrong: relu-in-place
    network: dict = field(init=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.network.update(
            head=self.head, classes=CLASSES, width=self.width, middle_blocks=self.middle_blocks
        )

    def weights(self) -> dict[str, np.ndarray]:
        return seeded.weights(self.seed, **self.network)

    def images(self, step: int = 0, draw: int = 0) -> np.ndarray:
        """Images of a training step; `draw` chooses among equals."""
        return seeded.images(self.seed * 1000 + step + 1000000 * draw, self.batch, self.size)

    def labels(self, step: int = 0) -> np.ndarray:
        return seeded.labels(self.seed * 1000 + step, self.batch, CLASSES)

    def class_weights(self) -> np.ndarray:
        return seeded.class_weights(self.seed, CLASSES) if self.weighted else np.ones(CLASSES, np.float32)


# Keras's class and arguments, and libdeep's options, of the same optimizer.
OPTIMIZERS = {
    "sgd-momentum": ("SGD", {"momentum": 0.9}, {"optimizer": "sgd", "momentum": 0.9}, 1e-4),
    "sgd-nesterov": (
        "SGD",
        {"momentum": 0.9, "nesterov": True},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
        1e-3,
    ),
    "rmsprop": ("RMSprop", {"rho": 0.9, "epsilon": 1e-7}, {"optimizer": "rmsprop"}, 1e-4),
    "rmsprop-momentum": (
        "RMSprop",
        {"rho": 0.9, "epsilon": 1e-7, "momentum": 0.9},
        {"optimizer": "rmsprop", "momentum": 0.9},
        1e-4,
    ),
    "adam": ("Adam", {"epsilon": 1e-7}, {"optimizer": "adam", "no_amsgrad": True}, 1e-4),
    "adam-amsgrad": ("Adam", {"amsgrad": True, "epsilon": 1e-7}, {"optimizer": "adam"}, 1e-4),
    "adamw": (
        "AdamW",
        {"weight_decay": 0.004, "amsgrad": True, "epsilon": 1e-7},
        {"optimizer": "adamw", "weight_decay": 0.004},
        1e-4,
    ),
}
TRAINED = ("sgd-momentum", "rmsprop", "adam-amsgrad", "adamw")


def learning_rate(case: Case, step: int) -> float:
    """The step schedule: a tenth after 14 of 20 updates, a hundredth after 18."""
    first = OPTIMIZERS[case.optimizer][3] * case.rate
    return first * (0.01 if step >= 18 else 0.1 if step >= 14 else 1.0)


SMALL = {"width": 0.25, "middle_blocks": 2}

GOLDEN = [
    Case("forward-71", "forward", head="service", seed=11),
    Case("forward-100", "forward", size=100, batch=1, seed=12),
    Case("forward-small-100", "forward", size=100, batch=2, seed=13, **SMALL),
    Case("gradients-71", "gradients", batch=3, head="service", seed=14, smoothing=0.1, weighted=True),
    Case(
        "gradients-small-100", "gradients", size=100, batch=3, seed=15, smoothing=0.1, weighted=True, **SMALL
    ),
    *(
        Case(
            f"updates-small-{name}",
            "updates",
            batch=2,
            seed=16,
            head="service",
            optimizer=name,
            smoothing=0.1,
            weighted=True,
            rate=10.0 if name == "sgd-momentum" else 1.0,
            **SMALL,
        )
        for name in TRAINED
    ),
    *(
        Case(f"optimizer-{name}", "optimizer", batch=1, seed=17, optimizer=name, rate=10.0, **SMALL)
        for name in OPTIMIZERS
    ),
    Case("torch-forward-100", "forward", size=100, batch=1, seed=18, framework="torch"),
    Case("torch-gradients-71", "gradients", batch=3, seed=19, framework="torch"),
]
"""Cases of the goldens."""

FAULTY = [Case("fault-relu-in-place", "forward", size=71, batch=2, seed=13, fault="relu-in-place", **SMALL)]
"""References that are wrong on purpose; libdeep must differ from them."""

LIVE = [
    Case("forward-71-1", "forward", batch=1, seed=21),
    Case("forward-71-3", "forward", batch=3, seed=22, head="service"),
    Case("forward-71-16", "forward", batch=16, seed=23),
    Case("forward-100-1", "forward", size=100, batch=1, seed=21, head="service"),
    Case("forward-100-3", "forward", size=100, batch=3, seed=22),
    Case("forward-100-16", "forward", size=100, batch=16, seed=23, head="service", layers=False),
    Case("forward-224-1", "forward", size=224, batch=1, seed=21),
    Case("forward-224-3", "forward", size=224, batch=3, seed=22, head="service"),
    Case("forward-224-16", "forward", size=224, batch=16, seed=23, layers=False),
    Case("forward-299-1", "forward", size=299, batch=1, seed=21, head="service"),
    Case("forward-299-3", "forward", size=299, batch=3, seed=22, layers=False),
    Case("forward-299-16", "forward", size=299, batch=16, seed=23, head="service", layers=False),
    Case("gradients-71-1", "gradients", batch=1, seed=31),
    Case("gradients-71-3", "gradients", batch=3, seed=32, head="service", smoothing=0.1, weighted=True),
    Case("gradients-71-16", "gradients", batch=16, seed=33),
    Case("gradients-100-1", "gradients", size=100, batch=1, seed=31, head="service"),
    Case("gradients-100-3", "gradients", size=100, batch=3, seed=32, smoothing=0.1, weighted=True),
    Case("gradients-100-16", "gradients", size=100, batch=16, seed=33, head="service"),
    Case("gradients-224-3", "gradients", size=224, batch=3, seed=32),
    Case("gradients-299-1", "gradients", size=299, batch=1, seed=31),
    *(
        Case(
            f"updates-{name}",
            "updates",
            batch=4,
            seed=40 + i,
            head=("imagenet", "service")[i % 2],
            optimizer=name,
            smoothing=0.1,
            weighted=True,
            clear=False,
        )
        for i, name in enumerate(TRAINED)
    ),
    *(case for case in GOLDEN if case.kind in ("updates", "optimizer")),
    Case("torch-forward-71-3", "forward", batch=3, seed=61, framework="torch"),
    Case("torch-forward-100-1", "forward", size=100, batch=1, seed=62, framework="torch"),
    Case("torch-forward-299-1", "forward", size=299, batch=1, seed=63, framework="torch"),
    Case("torch-gradients-71-3", "gradients", batch=3, seed=64, framework="torch"),
    Case("torch-gradients-100-3", "gradients", size=100, batch=3, seed=65, framework="torch"),
]
"""Cases that scripts/parity.sh computes; the goldens' trainings among them, with every element."""

ALL = {case.name: case for case in GOLDEN + FAULTY + LIVE}
