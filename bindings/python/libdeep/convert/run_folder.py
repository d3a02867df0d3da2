# SPDX-License-Identifier: Apache-2.0
"""The run folder of the existing service (image-classification-tf, planktonclas) into the neutral form:
conf/conf.json, ckpts/, dataset_files/ become one network with classes, AphiaIDs, mean and image size."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Dict, List, Optional

from .errors import Where
from .keras_read import read_h5, read_keras
from .limits import MAX_JSON_BYTES, MAX_NAME, MAX_TEXT_LINES, one_value, parse_json
from .network import Network, Preprocessing
from .options import ReadOptions

CONFIGURATION = os.path.join("conf", "conf.json")
CHECKPOINTS = "ckpts"
BEST = "best_model.keras"
FILE_LIMIT = 16 * 1024**2  # bytes of a list
MODES = ("tf", "torch", "caffe")


def is_run_folder(path: str) -> bool:
    return os.path.isfile(os.path.join(path, CONFIGURATION)) and os.path.isdir(
        os.path.join(path, CHECKPOINTS)
    )


def _read_bytes(where: Where, folder: str, name: str, limit: int) -> bytes:
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        raise where.refuse(name, "is missing" if not os.path.exists(path) else "is no regular file")
    with open(path, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise where.refuse(name, f"more than {limit} bytes")
    return data


def _lines(where: Where, folder: str, name: str) -> Optional[List[str]]:
    """A list in dataset_files: line n belongs to label n - 1. None when the file is missing."""
    name = os.path.join("dataset_files", name)
    if not os.path.lexists(os.path.join(folder, name)):
        return None
    data = _read_bytes(where, folder, name, FILE_LIMIT)
    with where.reading(name):
        lines = data.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) > MAX_TEXT_LINES:
        raise where.refuse(name, f"{len(lines)} lines, the limit is {MAX_TEXT_LINES}")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_NAME or "\0" in line:
            raise where.refuse(name, f"line {number} has {len(line)} characters or a NUL")
    return [line.strip() for line in lines]


def _aphia_ids(lines: Optional[List[str]]) -> Optional[List[int]]:
    """Numbers; lines that are none ("unknown", "nan") are 0, which is libdeep's word for it."""
    if lines is None:
        return None
    return [int(line) if line.isascii() and line.isdigit() and len(line) < 16 else 0 for line in lines]


def _section(where: Where, configuration: Dict[str, Any], name: str) -> Dict[str, Any]:
    section = configuration.get(name, {})
    if not isinstance(section, dict):
        raise where.refuse(CONFIGURATION, f'"{name}" is {one_value(section)}')
    return section


def choose_checkpoint(where: Where, folder: str, configured: Any) -> str:
    """The file the service would predict with: the configured one, else best_model.keras, else the last
    .keras by name, else the last .h5."""
    names = sorted(
        name for name in os.listdir(os.path.join(folder, CHECKPOINTS)) if name.endswith((".keras", ".h5"))
    )
    if configured:
        if not isinstance(configured, str) or os.path.basename(configured) != configured:
            raise where.refuse(CONFIGURATION, f"checkpoint {one_value(configured)} is no name of a file")
        if configured not in names:
            raise where.refuse(CHECKPOINTS, f'has no "{configured}"; there are: {", ".join(names) or "none"}')
        return configured
    if BEST in names:
        return BEST
    found = [name for name in names if name.endswith(".keras")] or names
    if not found:
        raise where.refuse(CHECKPOINTS, "has neither a .keras nor a .h5 file")
    return found[-1]


def _three(where: Where, value: Any, name: str) -> Optional[List[float]]:
    if value is None:
        return None
    if (
        not isinstance(value, list)
        or len(value) != 3
        or any(
            isinstance(one, bool) or not isinstance(one, (int, float)) or not abs(one) < 1e6 for one in value
        )
    ):
        raise where.refuse(CONFIGURATION, f"{name} is {one_value(value)}, not three numbers")
    return [float(one) for one in value]


def _preprocessing(where: Where, configuration: Dict[str, Any]) -> Preprocessing:
    """The service subtracts the data set's mean in each of its modes; OpenCV's bilinear resize squashes the
    image."""
    dataset = _section(where, configuration, "dataset")
    mode = _section(where, configuration, "model").get("preprocess_mode") or "tf"
    mean, std = (_three(where, dataset.get(name), name) for name in ("mean_RGB", "std_RGB"))
    if mode not in MODES:
        raise where.refuse(CONFIGURATION, f'preprocess_mode is {one_value(mode)}, not {", ".join(MODES)}')
    if mean is None:
        raise where.refuse(CONFIGURATION, "has no dataset.mean_RGB")
    if std is not None and min(std) <= 0:
        raise where.refuse(CONFIGURATION, f"std_RGB is {std}")
    return Preprocessing(mode, mean, std)


def _check_counts(where: Where, network: Network, configuration: Dict[str, Any]) -> None:
    count = _section(where, configuration, "model").get("num_classes")
    if isinstance(count, int) and count != network.architecture.classes:
        raise where.refuse(
            CONFIGURATION, f"num_classes is {count}, the checkpoint has {network.architecture.classes}"
        )


def _image_size(where: Where, configuration: Dict[str, Any]) -> Optional[int]:
    size = _section(where, configuration, "model").get("image_size")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
        raise where.refuse(CONFIGURATION, f"image_size is {one_value(size)}")
    return size


def read_run_folder(folder: str, options: ReadOptions) -> Network:
    """The network of a run; ``options.checkpoint`` names another file of ckpts/."""
    where = Where(folder)
    configuration = parse_json(
        where, CONFIGURATION, _read_bytes(where, folder, CONFIGURATION, MAX_JSON_BYTES)
    )
    backbone = _section(where, configuration, "model").get("modelname")
    if backbone != "Xception":
        raise where.refuse(CONFIGURATION, f"modelname is {one_value(backbone)}, not Xception")
    name = choose_checkpoint(
        where, folder, options.checkpoint or _section(where, configuration, "testing").get("ckpt_name")
    )
    path = os.path.join(folder, CHECKPOINTS, name)
    known = replace(
        options,
        classes=options.classes or _lines(where, folder, "classes.txt"),
        aphia_ids=options.aphia_ids or _aphia_ids(_lines(where, folder, "aphia_ids.txt")),
        input_size=options.input_size or _image_size(where, configuration),
    )
    network = (read_keras if name.endswith(".keras") else read_h5)(path, known)
    _check_counts(where, network, configuration)
    network.preprocessing = _preprocessing(where, configuration)
    network.provenance.update(format="run-folder", checkpoint=name)
    info = _lines(where, folder, "info.txt")
    if info and len(info) == network.architecture.classes:
        network.provenance["info"] = info
    return network
