# SPDX-License-Identifier: Apache-2.0
"""Against the programs themselves: Keras (with tf2onnx), PyTorch with timm, OpenVINO. Each test is skipped
where its program is not installed. Networks are of the published size, at 71 and 80 pixels: at 71 every
pooled map has an odd side, at 80 three of four do not, which is where TensorFlow's and PyTorch's pads
differ."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import pytest

from convert_support import images, probabilities, randomise, same_weights
import libdeep
from libdeep import convert

SIZES = [71, 80]
# Both compute in float32; what is asked is that the same network was converted. The error of one against the
# other is some 1e-7; a wrong pad, epsilon or weight makes 1e-2 and more.
BOUND = 1e-5


def agree(ours, theirs, bound=BOUND):
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= bound * np.abs(theirs).max()


def logits(model, x):
    with model.session(batch=len(x), threads=1) as session:
        return session.logits(x)


@pytest.fixture(scope="module")
def context():
    return libdeep.Context(threads=1)


# Keras


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("h5py", reason="h5py is not installed")
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    return pytest.importorskip("keras", reason="Keras is not installed")


def keras_model(keras, form, side, seed=0):
    """Xception as users build it, with the weights of a training."""
    shape, layers = (side, side, 3), keras.layers
    keras.utils.set_random_seed(seed)
    if form == "application":
        model = keras.applications.Xception(weights=None, classes=7, input_shape=shape)
    else:
        base = keras.applications.Xception(weights=None, include_top=False, input_shape=shape)
        start = base.input if form == "service" else layers.Input(shape)
        x = base.output if form == "service" else base(start, training=False)
        x = layers.GlobalAveragePooling2D()(x)
        if form == "service":
            x = layers.Dense(1024, activation="relu")(x)
        x = layers.Dropout(0.25)(x) if form == "nested" else x
        model = keras.Model(start, layers.Dense(7, activation="softmax")(x))
    if form == "sequential":
        base = keras.applications.Xception(weights=None, include_top=False, input_shape=shape, pooling="avg")
        model = keras.Sequential([base, layers.Dense(7, activation="softmax")])
    random = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.path.endswith("gamma"):
            weight.assign(random.uniform(0.6, 1.4, weight.shape))
        elif weight.path.endswith("moving_variance"):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        elif weight.path.endswith(("beta", "moving_mean", "bias")):
            weight.assign(random.normal(0, 0.2, weight.shape))
    return model


def keras_predict(model, x):
    return model(x, training=False).numpy()


@pytest.mark.parametrize("form", ["application", "service", "nested", "sequential"])
@pytest.mark.parametrize("suffix", ["keras", "h5", "weights.h5"])
def test_keras_to_libdeep_to_keras(tmp_path, keras, context, form, suffix):
    model = keras_model(keras, form, 80)
    if suffix == "weights.h5":
        model.save_weights(tmp_path / "net.weights.h5")
    else:
        model.save(tmp_path / f"net.{suffix}")
    ours = convert.load(tmp_path / f"net.{suffix}", input_size=80, context=context)
    x = images(ours)
    expected = keras_predict(model, x)
    agree(probabilities(ours, x), expected)
    convert.save(ours, tmp_path / "back.keras")
    back = keras.saving.load_model(tmp_path / "back.keras")
    np.testing.assert_array_equal(keras_predict(back, x), expected)
    for name in ("back.weights.h5", "back.h5"):
        convert.save(ours, tmp_path / name)
        for weight in back.weights:
            weight.assign(np.zeros(weight.shape))
        back.load_weights(tmp_path / name)
        np.testing.assert_array_equal(keras_predict(back, x), expected)
    model.save_weights(tmp_path / "first.weights.h5")
    same_weights(ours, convert.load(tmp_path / "first.weights.h5", input_size=80, context=context))


def test_weights_for_keras_own_application(tmp_path, keras, context):
    """In the form of the published files: Keras takes them as if it had downloaded them."""
    ours = randomise(libdeep.Model.create(7, input_size=71, context=context))
    convert.save(ours, tmp_path / "net.h5")
    model = keras.applications.Xception(weights=tmp_path / "net.h5", classes=7, input_shape=(71, 71, 3))
    agree(probabilities(ours, images(ours)), keras_predict(model, images(ours)))


def test_notop_weights(tmp_path, keras, context):
    base = keras.applications.Xception(weights=None, include_top=False, input_shape=(71, 71, 3))
    base.save_weights(tmp_path / "notop.weights.h5")
    base.save(tmp_path / "notop.h5")
    for name in ("notop.weights.h5", "notop.h5"):
        ours = convert.load(tmp_path / name, classes=["a", "b"], input_size=71, context=context)
        kernel = base.get_layer("block14_sepconv2").pointwise_kernel.numpy()
        np.testing.assert_array_equal(ours.params["block14_sepconv2.pointwise_kernel"], kernel)


def test_keras_refuses_what_we_refuse(tmp_path, keras):
    """A Lambda in a file of Keras's own making."""
    layers = keras.layers
    start = layers.Input((71, 71, 3))
    x = layers.Lambda(lambda value: value * 2)(start)
    keras.Model(start, keras.applications.Xception(weights=None, classes=2, input_shape=(71, 71, 3))(x)).save(
        tmp_path / "net.keras"
    )
    with pytest.raises(convert.ConvertError, match="Lambda"):
        convert.load(tmp_path / "net.keras")


@pytest.mark.parametrize("name", ["MobileNetV2", "InceptionV3", "DenseNet121"])
def test_other_networks_are_refused(tmp_path, keras, name):
    getattr(keras.applications, name)(weights=None, classes=2, input_shape=(96, 96, 3)).save(
        tmp_path / "net.keras"
    )
    with pytest.raises(convert.ConvertError):
        convert.load(tmp_path / "net.keras")


def keras2_model(keras, form):
    """Xception as users of Keras 2 built it. The names of a second model in a process are numbered on."""
    layers, shape = keras.layers, (80, 80, 3)
    base = keras.applications.Xception(weights=None, include_top=False, input_shape=shape)
    start, x = base.input, base.output
    if form != "flat":
        for layer in base.layers[: {"nested": 0, "frozen": 1000, "half frozen": 60}[form]]:
            layer.trainable = False
        start = layers.Input(shape)
        x = base(start, training=False)
    x = layers.Dense(1024, activation="relu")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(start, layers.Dense(7, activation="softmax")(x))
    random = np.random.default_rng(0)
    for weight in model.weights:
        if "gamma" in weight.name or "variance" in weight.name:
            weight.assign(random.uniform(0.6, 1.4, weight.shape))
        elif "kernel" not in weight.name:
            weight.assign(random.normal(0, 0.2, weight.shape))
    return model


@pytest.mark.parametrize("form", ["flat", "nested", "frozen", "half frozen"])
def test_keras_2_itself(tmp_path, context, form):
    pytest.importorskip("h5py", reason="h5py is not installed")
    keras = pytest.importorskip("tf_keras", reason="tf_keras, which is Keras 2, is not installed")
    model = keras2_model(keras, form)
    model.save(tmp_path / "net.h5")
    model.save(tmp_path / "net.keras")
    model.save_weights(tmp_path / "net.weights.h5")
    model.save_weights(tmp_path / "old.h5", save_format="h5")
    for name in ("net.h5", "net.keras", "net.weights.h5", "old.h5"):
        ours = convert.load(tmp_path / name, input_size=80, context=context)
        agree(probabilities(ours, images(ours)), keras_predict(model, images(ours)))
    if form == "flat":
        convert.save(ours, tmp_path / "back.h5")
        expected = keras_predict(model, images(ours))
        for weight in model.weights:
            weight.assign(np.zeros(weight.shape))
        model.load_weights(tmp_path / "back.h5")
        np.testing.assert_array_equal(keras_predict(model, images(ours)), expected)


@pytest.mark.parametrize("side", SIZES)
@pytest.mark.parametrize("form", ["application", "service"])
def test_a_graph_of_tf2onnx(tmp_path, keras, context, form, side):
    tf2onnx = pytest.importorskip("tf2onnx", reason="tf2onnx is not installed")
    import tensorflow

    model = keras_model(keras, form, side)
    signature = [tensorflow.TensorSpec((None, side, side, 3), tensorflow.float32, name="x")]
    function = tensorflow.function(lambda x: model(x, training=False), input_signature=signature)
    for number, options in enumerate(({}, {"inputs_as_nchw": ["x"]})):
        path = tmp_path / f"{number}.onnx"
        tf2onnx.convert.from_function(function, signature, opset=17, output_path=str(path), **options)
        ours = convert.load(path, context=context)
        assert ours.info.padding == "same"
        agree(probabilities(ours, images(ours)), keras_predict(model, images(ours)))


# PyTorch


@pytest.fixture(scope="module")
def torch():
    module = pytest.importorskip("torch", reason="torch is not installed")
    module.set_num_threads(1)
    return module


@pytest.fixture(scope="module")
def timm_model(torch):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    torch.manual_seed(0)
    model = timm.create_model("legacy_xception", num_classes=7).eval()
    for name, values in model.state_dict().items():
        if values.ndim == 1:
            values.copy_(
                torch.rand_like(values) + 0.5
                if name.endswith(("weight", "var"))
                else torch.randn_like(values) / 5
            )
    return model


def torch_logits(torch, model, x):
    with torch.no_grad():
        return model(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()


@pytest.mark.parametrize("side", SIZES)
def test_timm_to_libdeep_to_timm(tmp_path, torch, timm_model, context, side):
    torch.save(timm_model.state_dict(), tmp_path / "net.pth")
    ours = convert.load(tmp_path / "net.pth", input_size=side, context=context)
    assert (ours.info.padding, ours.info.preprocess, ours.info.mean) == (
        "symmetric",
        "tf",
        (127.5, 127.5, 127.5),
    )
    x = images(ours)
    agree(logits(ours, x), torch_logits(torch, timm_model, x))
    convert.save(ours, tmp_path / "back.pth")
    state = torch.load(tmp_path / "back.pth", weights_only=True)
    assert set(state) == set(timm_model.state_dict())
    for name, values in timm_model.state_dict().items():
        assert torch.equal(state[name], values), name
    assert not any(timm_model.load_state_dict(state, strict=True))


def test_timm_and_safetensors(tmp_path, torch, timm_model, context):
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    safetensors.save_file(timm_model.state_dict(), tmp_path / "net.safetensors")
    ours = convert.load(tmp_path / "net.safetensors", input_size=71, context=context)
    convert.save(ours, tmp_path / "back.safetensors", layout="timm")
    for name, values in safetensors.load_file(tmp_path / "back.safetensors").items():
        assert torch.equal(values, timm_model.state_dict()[name]), name


def test_the_service_head_in_timm(tmp_path, torch, timm_model, context):
    ours = randomise(
        libdeep.Model.create(
            5, head="service", padding="symmetric", batch_norm_epsilon=1e-5, input_size=80, context=context
        )
    )
    convert.save(ours, tmp_path / "net.pth")
    import copy

    model = copy.deepcopy(timm_model)
    model.fc = torch.nn.Sequential(torch.nn.Linear(2048, 1024), torch.nn.ReLU(), torch.nn.Linear(1024, 5))
    model.load_state_dict(torch.load(tmp_path / "net.pth", weights_only=True))
    agree(logits(ours, images(ours)), torch_logits(torch, model.eval(), images(ours)))


def test_a_keras_model_forced_into_timm(tmp_path, torch, timm_model, context):
    """The weights are right; the epsilon is the user's to set, and at 71 pixels the pads are the same."""
    import copy

    ours = randomise(libdeep.Model.create(7, input_size=71, context=context))
    convert.save(ours, tmp_path / "net.pth", force=True)
    model = copy.deepcopy(timm_model)
    model.load_state_dict(torch.load(tmp_path / "net.pth", weights_only=True))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-3
    agree(logits(ours, images(ours)), torch_logits(torch, model, images(ours)))


EXPORTS = [
    {"dynamo": False},
    {"dynamo": False, "do_constant_folding": False},
    {"dynamo": True, "external_data": False},
    {"dynamo": False, "input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}},
]


@pytest.mark.parametrize("side", SIZES)
@pytest.mark.parametrize("options", EXPORTS, ids=["folded", "not folded", "new exporter", "open batch"])
def test_a_graph_of_torch(tmp_path, torch, timm_model, context, options, side):
    pytest.importorskip("onnx", reason="onnx is not installed")
    if options["dynamo"]:
        pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    path, example = tmp_path / "net.onnx", torch.zeros(2, 3, side, side)
    torch.onnx.export(timm_model, (example,), str(path), **options)
    ours = convert.load(path, context=context)
    if side == 80:
        assert ours.info.padding == "symmetric" and ours.info.batch_norm_epsilon == pytest.approx(1e-5)
    agree(logits(ours, images(ours)), torch_logits(torch, timm_model, images(ours)))


# What runs our graphs


def by_onnxruntime(path, x):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": x})[0]


def by_openvino(path, x):
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    # Its default on processors with bfloat16 is bfloat16, which is no proof of anything.
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(x)[0]


@pytest.mark.parametrize("run", [by_onnxruntime, by_openvino])
@pytest.mark.parametrize("form", [{"head": "service"}, {"padding": "symmetric", "batch_norm_epsilon": 1e-5}])
@pytest.mark.parametrize("side", [71, 100])
def test_our_graphs_elsewhere(tmp_path, context, form, side, run):
    pytest.importorskip("onnx", reason="onnx is not installed")
    ours = randomise(libdeep.Model.create(7, input_size=side, context=context, **form))
    convert.save(ours, tmp_path / "net.onnx")
    x = images(ours)
    agree(run(tmp_path / "net.onnx", x.transpose(0, 3, 1, 2).copy()), probabilities(ours, x), 1e-4)
