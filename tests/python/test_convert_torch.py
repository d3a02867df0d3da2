# SPDX-License-Identifier: Apache-2.0
"""PyTorch state dicts and safetensors with timm's names."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from convert_support import network_of, probabilities, images, refused, same_form, same_weights, tiny_model
from libdeep import convert
from libdeep.convert.torch_names import timm_names, timm_tensors

TORCH_FORM = {"padding": "symmetric", "batch_norm_epsilon": 1e-5}


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture
def safetensors():
    return pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")


@pytest.fixture
def model():
    return tiny_model(**TORCH_FORM)


def test_timm_names_of_the_published_network():
    """Some of the names in timm's legacy_xception, one from each part of the network."""
    from libdeep.convert.architecture import Architecture

    names = timm_names(Architecture())
    assert len(names) == len(set(names.values())) == 236
    for ours, theirs in {
        "block1_conv2_bn.gamma": "bn2.weight",
        "block2_sepconv1.depthwise_kernel": "block1.rep.0.conv1.weight",
        "block2_sepconv2_bn.moving_mean": "block1.rep.4.running_mean",
        "block3_shortcut.kernel": "block2.skip.weight",
        "block4_shortcut_bn.beta": "block3.skipbn.bias",
        "block3_sepconv2.pointwise_kernel": "block2.rep.4.pointwise.weight",
        "block12_sepconv3.pointwise_kernel": "block11.rep.7.pointwise.weight",
        "block12_sepconv3_bn.gamma": "block11.rep.8.weight",
        "block13_sepconv2.depthwise_kernel": "block12.rep.4.conv1.weight",
        "block14_sepconv1.pointwise_kernel": "conv3.pointwise.weight",
        "block14_sepconv2_bn.moving_variance": "bn4.running_var",
        "predictions.bias": "fc.bias",
    }.items():
        assert names[ours] == theirs


@pytest.mark.parametrize("head", ["imagenet", "service"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_round_trip_keeps_every_bit(tmp_path, request, head, suffix):
    request.getfixturevalue("torch" if suffix == "pth" else "safetensors")
    model, path = tiny_model(head=head, **TORCH_FORM), tmp_path / f"net.{suffix}"
    convert.save(model, path, layout="timm" if suffix == "safetensors" else "")
    again = convert.load(path, input_size=71)
    same_weights(model, again)
    same_form(model, again)
    assert again.info.padding == "symmetric" and again.info.batch_norm_epsilon == pytest.approx(1e-5)
    assert again.info.preprocess == "tf" and again.info.mean == (127.5, 127.5, 127.5)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": {"module." + name: value for name, value in state.items()}, "epoch": 3},
        lambda state: {"model": {"_orig_mod." + name: value for name, value in state.items()}},
        lambda state: {name.replace("fc.", "last_linear."): value for name, value in state.items()},
        lambda state: {
            name: value[:, :, 0, 0] if "pointwise" in name else value for name, value in state.items()
        },
        lambda state: {name: value for name, value in state.items() if "num_batches" not in name},
    ],
    ids=["checkpoint", "compiled", "cadene", "matrices", "no-counters"],
)
def test_the_ways_state_dicts_are_kept(tmp_path, torch, model, wrap):
    state = {
        name: torch.from_numpy(np.array(values)) for name, values in timm_tensors(network_of(model)).items()
    }
    torch.save(wrap(state), tmp_path / "net.pth")
    same_weights(model, convert.load(tmp_path / "net.pth", input_size=71))
    torch.save(wrap(state), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    same_weights(model, convert.load(tmp_path / "old.pt", input_size=71))


def test_sixteen_bits_become_thirty_two(tmp_path, torch, model):
    state = {
        name: torch.from_numpy(np.array(values)).to(torch.bfloat16 if values.ndim else torch.int64)
        for name, values in timm_tensors(network_of(model)).items()
    }
    torch.save(state, tmp_path / "net.pth")
    kernel = convert.load(tmp_path / "net.pth", input_size=71).params["predictions.kernel"]
    np.testing.assert_array_equal(kernel, state["fc.weight"].float().numpy().T)


def test_a_state_dict_without_a_last_layer(tmp_path, torch, model):
    state = {
        name: torch.from_numpy(np.array(values))
        for name, values in timm_tensors(network_of(model)).items()
        if not name.startswith("fc.")
    }
    torch.save(state, tmp_path / "net.pth")
    refused(tmp_path / "net.pth", "no last layer")
    assert convert.load(tmp_path / "net.pth", classes=["a"], input_size=71).classes == ["a"]


@pytest.mark.parametrize("form, word", [({}, "pads as TensorFlow"), ({"padding": "symmetric"}, "epsilon")])
def test_what_a_state_dict_cannot_say_is_refused(tmp_path, torch, form, word):
    model, path = tiny_model(**form), tmp_path / "net.pth"
    with pytest.raises(convert.ConvertError, match=word):
        convert.save(model, path)
    assert not path.exists()
    assert any(word in note for note in convert.save(model, path, force=True))
    again = convert.load(path, input_size=71, padding=model.info.padding, batch_norm_epsilon=1e-3)
    np.testing.assert_array_equal(probabilities(again, images(model)), probabilities(model, images(model)))


def damaged(model, change):
    state = timm_tensors(network_of(model))
    change(state)
    return state


def put(name, value):
    return lambda state: state.__setitem__(name, value(state[name]) if callable(value) else value)


BROKEN = {
    "missing": (lambda state: state.pop("bn3.bias"), ["bn3.bias", "missing"]),
    "surplus": (put("block4.extra", np.zeros(3, np.float32)), ["block4.extra"]),
    "shape": (put("conv2.weight", lambda values: values[:, :, :2]), ["conv2.weight", "shape"]),
    "transposed": (put("fc.weight", lambda values: values.T.copy()), ["fc.weight"]),
    "one grey channel": (put("conv1.weight", lambda values: values[:, :1].copy()), ["conv1.weight", "shape"]),
    "channels": (
        put("block5.rep.1.pointwise.weight", lambda values: values[:24].copy()),
        ["block5.rep.1.pointwise.weight", "24 channels"],
    ),
    "double": (put("conv1.weight", lambda values: values.astype(np.float64)), ["conv1.weight", "64"]),
    "whole": (put("conv1.weight", lambda values: values.astype(np.int32)), ["conv1.weight", "32"]),
    "not a number": (put("bn1.bias", lambda values: values * np.nan), ["block1_conv1_bn.beta", "nan"]),
    "infinite": (put("fc.bias", lambda values: values + np.inf), ["predictions.bias", "inf"]),
    "negative variance": (put("bn2.running_var", lambda values: -values), ["moving_variance", "-"]),
    "scalar": (put("fc.weight", np.array(1, np.float32)), ["fc.weight"]),
    "both last layers": (put("last_linear.weight", np.zeros((3, 104), np.float32)), ["last_linear.weight"]),
    "another network": (
        lambda state: state.clear() or state.update({"layer1.0.conv1.weight": np.zeros((1, 1), np.float32)}),
        ["conv1.weight"],
    ),
    "blocks": (put("block9999.rep.1.conv1.weight", np.zeros(3, np.float32)), ["missing"]),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_broken_state_dicts_are_refused_by_name(tmp_path, request, model, case, suffix):
    change, words = BROKEN[case]
    state, path = damaged(model, change), tmp_path / f"net.{suffix}"
    if suffix == "pth":
        torch = request.getfixturevalue("torch")
        torch.save({name: torch.from_numpy(np.array(values)) for name, values in state.items()}, path)
    else:
        request.getfixturevalue("safetensors").save_file(state, path)
    refused(path, *words, input_size=71)


class Touch:
    """Code in a pickle: it would make a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("way", ["zip", "legacy", "pickle", "protocol 0"])
def test_code_in_a_pickle_is_never_run(tmp_path, torch, model, way):
    path, trace = tmp_path / "net.pth", tmp_path / "trace"
    state = {"conv1.weight": torch.zeros(1), "bad": Touch(trace)}
    if way in ("zip", "legacy"):
        torch.save(state, path, _use_new_zipfile_serialization=way == "zip")
    else:
        path.write_bytes(pickle.dumps(state, protocol=0 if way == "protocol 0" else 2))
    refused(path, "PyTorch file")
    assert not trace.exists()


@pytest.mark.parametrize("value", [[1, 2], {}, {"conv1.weight": 3}, {3: 4}, {"state_dict": {"a": "b"}}])
def test_other_pickles_are_no_state_dicts(tmp_path, torch, value):
    torch.save(value, tmp_path / "net.pth")
    refused(tmp_path / "net.pth")


def test_a_sparse_tensor_and_one_that_repeats_a_number(tmp_path, torch, model):
    state = {
        name: torch.from_numpy(np.array(values)) for name, values in timm_tensors(network_of(model)).items()
    }
    torch.save({**state, "fc.weight": torch.zeros(3, 104).to_sparse()}, tmp_path / "net.pth")
    refused(tmp_path / "net.pth", "fc.weight", "sparse", input_size=71)
    torch.save({**state, "fc.weight": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "net.pth")
    refused(tmp_path / "net.pth", "classes", input_size=71)


@pytest.mark.parametrize("length", [0, 1, 100, 5000, -1])
def test_truncated_files_are_refused(tmp_path, torch, model, length):
    convert.save(model, tmp_path / "whole.pth")
    (tmp_path / "net.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:length])
    refused(tmp_path / "net.pth")


def test_an_old_torch_is_not_trusted(tmp_path, torch, model, monkeypatch):
    convert.save(model, tmp_path / "net.pth")
    monkeypatch.setattr(torch, "__version__", "2.5.1")
    refused(tmp_path / "net.pth", "torch 2.5.1", "2.6")


def header(text, data=b""):
    raw = text if isinstance(text, bytes) else text.encode()
    return len(raw).to_bytes(8, "little") + raw + data


@pytest.mark.parametrize(
    "data",
    [
        header('{"a":'),
        header('{"a":{},"a":{}}'),
        header('{"a":' * 5000 + "1" + "}" * 5000),
        header("{" + "[" * 10**5 + "}"),
        (2**63).to_bytes(8, "little") + b"{}",
        (10**6).to_bytes(8, "little") + b"{}",
        header(b'{"\xff":1}'),
        header(
            '{"conv1.weight":{"dtype":"F32","shape":[4194305,4194305,211106198978564],"data_offsets":[0,4]}}',
            b"abcd",
        ),
        header('{"conv1.weight":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', b"abcd"),
        header('{"__metadata__":{"deep":"{}"}}'),
        header('{"__metadata__":3}'),
        header("{}", b"x"),
    ],
    ids=[
        "cut",
        "twice",
        "deep",
        "brackets",
        "2^63",
        "longer than the file",
        "not UTF-8",
        "shape wraps",
        "reversed",
        "libdeep's without weights",
        "metadata",
        "trailing",
    ],
)
def test_malformed_safetensors_are_refused(tmp_path, safetensors, data):
    import libdeep

    (tmp_path / "net.safetensors").write_bytes(data)
    with pytest.raises(libdeep.Error) as caught:
        convert.load(tmp_path / "net.safetensors")
    assert "\n" not in str(caught.value)
