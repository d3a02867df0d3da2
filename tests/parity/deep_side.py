# SPDX-License-Identifier: Apache-2.0
"""libdeep's answer to a case, under the same names as the references'."""

from __future__ import annotations

import os

import numpy as np

import libdeep
import seeded
from cases import OPTIMIZERS, UPDATES, Case, learning_rate

Tensors = dict


def context() -> libdeep.Context:
    """One thread unless DEEP_PARITY_THREADS says otherwise."""
    return libdeep.Context(threads=int(os.environ.get("DEEP_PARITY_THREADS", "1")))


def make_model(case: Case, values: Tensors, **faults) -> libdeep.Model:
    """A model of the case with these parameters. `faults` replace options of Model.create()."""
    options = {
        "input_size": case.size,
        "head": case.head,
        "width": case.width,
        "middle_blocks": case.middle_blocks,
    }
    if case.framework == "torch":
        options.update(padding="symmetric", batch_norm_epsilon=1e-5)
    model = libdeep.Model.create(case.network["classes"], context=context(), **{**options, **faults})
    if set(model.params) != set(values):
        raise AssertionError(f"parameters differ: {sorted(set(model.params) ^ set(values))}")
    for name, value in values.items():
        model.params[name] = value
    return model


def forward(case: Case, model: libdeep.Model) -> Tensors:
    """Every layer of an unfused session, and logits and probabilities of an ordinary one."""
    made = {}
    x = case.images()
    if case.layers:
        with model.session(batch=case.batch, layers=True) as session:
            session.run(x)
            made.update({f"layer/{name}": values for name, values in session.layers.items()})
    with model.session(batch=case.batch) as session:
        made["fused/predictions"] = session.logits(x)
        made["fused/predictions_softmax"] = session.run(x)
    return made


def _loss_options(case: Case) -> dict:
    return {"batch": case.batch, "label_smoothing": case.smoothing}


def gradients(case: Case, model: libdeep.Model) -> Tensors:
    """Loss and gradients of one step; running means and variances after it."""
    trainer = model.trainer(**_loss_options(case), optimizer="sgd")
    trainer.set_class_weights(case.class_weights())
    step = trainer.compute_gradients(case.images(), case.labels())
    made = {f"gradient/{name}": np.array(values) for name, values in trainer.gradients.items()}
    made["loss"] = np.array([step.loss])
    trainer.apply()
    trainer.close()
    if case.framework == "keras":
        made.update({f"running/{name}": model.params[name] for name in model.params if ".moving_" in name})
    return made


def updates(case: Case, model: libdeep.Model, draws=None, **faults) -> Tensors:
    """Every parameter after UPDATES training steps, and the losses; `draws` choose the images."""
    draws = [0] * UPDATES if draws is None else draws
    options = {**OPTIMIZERS[case.optimizer][2], **faults}
    losses = []
    with model.trainer(**_loss_options(case), **options) as trainer:
        trainer.set_class_weights(case.class_weights())
        for step in range(UPDATES):
            trainer.learning_rate = learning_rate(case, step)
            losses.append(trainer.step(case.images(step, int(draws[step])), case.labels(step)).loss)
    made = {f"weight/{name}": model.params[name] for name in model.params}
    made["loss"] = np.array(losses)
    return made


def optimizer_alone(case: Case, model: libdeep.Model, **faults) -> Tensors:
    """Every trainable parameter after UPDATES updates with made-up gradients."""
    options = {**OPTIMIZERS[case.optimizer][2], **faults}
    with model.trainer(batch=case.batch, **options) as trainer:
        names = list(trainer.gradients)
        for step in range(UPDATES):
            trainer.learning_rate = learning_rate(case, step)
            trainer.compute_gradients(case.images(), case.labels())
            for name in names:
                values = trainer.gradients[name]
                values[...] = seeded.gradients(case.seed, step, name, values.shape)
            del values
            trainer.apply()
    return {f"weight/{name}": model.params[name] for name in names}


KINDS = {"forward": forward, "gradients": gradients, "updates": updates, "optimizer": optimizer_alone}


def answer(case: Case, values: Tensors, options: dict | None = None, draws=None, **faults) -> Tensors:
    """Runs the case; `options` replace options of the model, `faults` those of the trainer."""
    model = make_model(case, values, **(options or {}))
    if case.kind == "updates":
        faults["draws"] = draws
    return KINDS[case.kind](case, model, **faults)
