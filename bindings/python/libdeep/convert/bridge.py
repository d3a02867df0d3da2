# SPDX-License-Identifier: Apache-2.0
"""Between the neutral form and libdeep's models."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ..context import Context
from ..model import Model
from .architecture import Architecture
from .errors import ConvertError
from .network import TF_MEAN, Network, Preprocessing

SMALL = (0.25, 2)  # width and middle blocks of libdeep's "xception-small"
METADATA_KEY = "converted"  # in the model file's "user" part: what the weights came from


def to_model(network: Network, context: Optional[Context] = None, seed: int = 0) -> Model:
    """A model with the network's weights; what the network lacks is random by ``seed``."""
    form, images = network.architecture, network.preprocessing
    std = None if images.mean is None else images.std
    name = "xception-small" if (form.width, form.middle_blocks) == SMALL else "xception"
    model = Model.create(
        network.classes or form.classes,
        aphia_ids=network.aphia_ids or None,
        architecture=name,
        input_size=form.input_size,
        input_channels=form.input_channels,
        head=form.head,
        padding=form.padding,
        batch_norm_epsilon=form.batch_norm_epsilon,
        dropout=form.dropout,
        width=form.width,
        middle_blocks=form.middle_blocks,
        preprocess=images.mode,
        filter=images.filter,
        fit=images.fit,
        mean=images.mean,
        std=std or (None if images.mean is None else TF_MEAN),
        seed=seed,
        context=context,
    )
    for name, values in network.weights.items():
        model.params[name] = values
    if network.provenance:
        model.set_metadata(METADATA_KEY, network.provenance)
    return model


def from_model(model: Model) -> Network:
    """The neutral form of a model, its weights copied."""
    info = model.info
    if info.dtype != "float32":
        raise ConvertError(f"the model's kernels are in {info.dtype}: convert the float32 one")
    form = Architecture(
        classes=info.classes,
        head=info.head,
        width=info.width,
        middle_blocks=info.middle_blocks,
        input_size=info.input_size,
        input_channels=info.input_channels,
        padding=info.padding,
        batch_norm_epsilon=info.batch_norm_epsilon,
        dropout=info.dropout,
    )
    images = Preprocessing(info.preprocess, info.mean, info.std, info.filter, info.fit)
    aphia_ids = model.aphia_ids
    weights: Dict[str, Any] = {name: model.params[name] for name in model.params}
    return Network(form, weights, model.classes, aphia_ids if any(aphia_ids) else [], images)
