# SPDX-License-Identifier: Apache-2.0
"""timm's legacy_xception's answer to a case: torch_reference.py CASE float64|float32 OUT.npz [--changes
CHANGES.npz]

PyTorch's running variance follows another convention (the unbiased one), so only outputs and gradients are
compared.
"""

from __future__ import annotations

import argparse

import numpy as np
import timm
import torch

import seeded
from cases import ALL, Case


def module_names(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """libdeep's layer names, and timm's modules that compute them."""
    names = {}
    for index in (1, 2):
        names[f"block1_conv{index}"] = getattr(model, f"conv{index}")
        names[f"block1_conv{index}_bn"] = getattr(model, f"bn{index}")
        names[f"block1_conv{index}_act"] = getattr(model, f"act{index}")
        names[f"block14_sepconv{index}"] = getattr(model, f"conv{index + 2}")
        names[f"block14_sepconv{index}_bn"] = getattr(model, f"bn{index + 2}")
        names[f"block14_sepconv{index}_act"] = getattr(model, f"act{index + 2}")
    for number in range(1, 13):
        block, name = getattr(model, f"block{number}"), f"block{number + 1}"
        names[f"{name}_add"] = block
        if block.skip is not None:
            names[f"{name}_shortcut"], names[f"{name}_shortcut_bn"] = block.skip, block.skipbn
        unit = 1
        for module in block.rep:
            if isinstance(module, torch.nn.ReLU):
                names[f"{name}_sepconv{unit}_act"] = module
            elif isinstance(module, torch.nn.BatchNorm2d):
                names[f"{name}_sepconv{unit}_bn"] = module
                unit += 1
            elif isinstance(module, torch.nn.MaxPool2d):
                names[f"{name}_pool"] = module
            else:
                names[f"{name}_sepconv{unit}"] = module
    names.update(avg_pool=model.global_pool, predictions=model.fc)
    return names


def parameters(modules: dict[str, torch.nn.Module]) -> dict[str, torch.Tensor]:
    """PyTorch's tensors by libdeep's names."""
    found = {}
    for name, module in modules.items():
        if isinstance(module, torch.nn.BatchNorm2d):
            found.update(
                {
                    f"{name}.gamma": module.weight,
                    f"{name}.beta": module.bias,
                    f"{name}.moving_mean": module.running_mean,
                    f"{name}.moving_variance": module.running_var,
                }
            )
        elif isinstance(module, torch.nn.Conv2d):
            found[f"{name}.kernel"] = module.weight
        elif isinstance(module, torch.nn.Linear):
            found.update({f"{name}.kernel": module.weight, f"{name}.bias": module.bias})
        elif hasattr(module, "pointwise"):
            found[f"{name}.depthwise_kernel"] = module.conv1.weight
            found[f"{name}.pointwise_kernel"] = module.pointwise.weight
    return found


def to_torch(name: str, value: np.ndarray) -> np.ndarray:
    """Keras's layout (HWIO, depthwise HWC1, dense IO) to PyTorch's (OIHW, C1HW, OI); others as they are."""
    if name.endswith("depthwise_kernel"):
        return value.transpose(2, 3, 0, 1)
    return value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T


def from_torch(name: str, value: np.ndarray) -> np.ndarray:
    if name.endswith("depthwise_kernel"):
        return value.transpose(2, 3, 0, 1)
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T


def channels_last(value: np.ndarray) -> np.ndarray:
    return value.transpose(0, 2, 3, 1) if value.ndim == 4 else value


def forward(case: Case, model: torch.nn.Module, x: torch.Tensor) -> dict[str, np.ndarray]:
    kept: dict[str, np.ndarray] = {}

    def keep(name: str):
        # A copy, before the next operation overwrites it in place.
        return lambda module, given, out: kept.update(
            {f"layer/{name}": channels_last(out.detach().numpy()).copy()}
        )

    for name, module in module_names(model).items():
        module.register_forward_hook(keep(name))
    logits = model.eval()(x).detach()
    kept["layer/predictions_softmax"] = torch.softmax(logits, dim=1).numpy()
    return kept


def gradients(case: Case, model: torch.nn.Module, x: torch.Tensor) -> dict[str, np.ndarray]:
    labels = torch.from_numpy(case.labels().astype(np.int64))
    loss = torch.nn.functional.cross_entropy(model.train()(x), labels, label_smoothing=case.smoothing)
    loss.backward()
    made = {
        f"gradient/{name}": from_torch(name, tensor.grad.numpy())
        for name, tensor in parameters(module_names(model)).items()
        if tensor.requires_grad
    }
    made["loss"] = loss.detach().numpy()[None]
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("case")
    parser.add_argument("dtype", choices=["float64", "float32"])
    parser.add_argument("out")
    parser.add_argument("--changes")
    parser.add_argument("--order", type=int, default=0, help="0; for the other frameworks' sake")
    given = parser.parse_args()
    case = ALL[given.case]
    changes = dict(np.load(given.changes)) if given.changes else {}
    values = seeded.changed(case.seed, case.weights(), changes)
    model = timm.create_model("legacy_xception", pretrained=False, num_classes=case.network["classes"])
    tensors = parameters(module_names(model))
    if tensors.keys() != values.keys():
        raise AssertionError(f"parameters differ: {sorted(tensors.keys() ^ values.keys())}")
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(to_torch(name, values[name]))))
    dtype = getattr(torch, given.dtype)
    model = model.to(dtype)
    x = torch.from_numpy(np.ascontiguousarray(case.images().transpose(0, 3, 1, 2))).to(dtype)
    np.savez(given.out, **{"forward": forward, "gradients": gradients}[case.kind](case, model, x))


if __name__ == "__main__":
    main()
