# SPDX-License-Identifier: Apache-2.0
"""PyTorch state dicts (.pth, .pt). Only tensors are unpickled: torch.load(weights_only=True) of a torch whose
check of that is sound."""

from __future__ import annotations

import os
from typing import Any, Dict

import numpy

from .archive import ZipFile
from .errors import Where, need
from .hdf5 import check_file_size
from .network import Network
from .options import ReadOptions
from .output import replacing
from .torch_names import Tensors, network_of_timm, timm_tensors

OLDEST_TORCH = (2, 6)  # before it weights_only could be got round (CVE-2025-32434)
WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model",
)  # members of training checkpoints that hold the state dict


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise need("torch", "torch", "reading and writing PyTorch files") from error
    return torch


def _check_version(torch: Any, where: Where) -> None:
    version = str(torch.__version__)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_TORCH:
        raise where.refuse(
            "",
            f"torch {version} is installed; files are unpickled by torch "
            f'{".".join(map(str, OLDEST_TORCH))} or newer only',
        )


def _load(torch: Any, path: str, where: Where) -> Any:
    """The object in the file, made of tensors and containers alone."""
    import pickle

    with open(path, "rb") as file:
        zipped = file.read(2) == b"PK"
    if zipped:
        with ZipFile(path, where):
            pass  # its directory has been checked, so nothing unpacks to more than it stores
    try:
        with where.reading("PyTorch file"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's text goes on for a page about how to run the code after all.
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else "not a pickle of tensors"
        for line in str(error).splitlines():
            if "GLOBAL" in line or "Unsupported" in line:
                reason = line.split(". ")[0].strip()
                break
        raise where.refuse("PyTorch file", f"holds more than tensors, which is never run: {reason}") from None


def _state_dict(torch: Any, value: Any, where: Where) -> Dict[str, Any]:
    """The tensors by name, out of a checkpoint's wrapping."""
    for wrapper in WRAPPERS:
        if isinstance(value, dict) and isinstance(value.get(wrapper), dict):
            value = value[wrapper]
            break
    if not isinstance(value, dict) or not value:
        raise where.refuse("", f"holds a {type(value).__name__}, not a state dict")
    for name, tensor in value.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise where.refuse(str(name), f"is a {type(tensor).__name__}, not a tensor")
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise where.refuse(name, f"is a tensor of layout {tensor.layout} on {tensor.device.type}")
    return value


def read_torch(path: str, options: ReadOptions) -> Network:
    """A state dict with timm's or Cadene's names."""
    where = Where(path)
    check_file_size(os.path.getsize(path), where)
    torch = _torch()
    _check_version(torch, where)
    state = _state_dict(torch, _load(torch, path, where), where)
    exact = (torch.float32, torch.float16, torch.bfloat16)

    def read(name: str) -> numpy.ndarray:
        if state[name].dtype not in exact:
            raise where.refuse(name, f"numbers are {state[name].dtype}, not float32 (or 16 bits)")
        return numpy.asarray(state[name].detach().to(torch.float32).contiguous().numpy())

    tensors = Tensors({name: tuple(tensor.shape) for name, tensor in state.items()}, read)
    return network_of_timm(where, tensors, options, {"format": "torch"})


def write_torch(network: Network, path: str) -> None:
    """A state dict for ``load_state_dict()`` of timm's legacy_xception."""
    torch = _torch()
    state = {name: torch.from_numpy(numpy.array(values)) for name, values in timm_tensors(network).items()}
    with replacing(path) as temporary:
        torch.save(state, temporary)
