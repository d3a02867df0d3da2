# SPDX-License-Identifier: Apache-2.0
"""What each library does with a job of contender.py: LIBRARY_infer(job) and LIBRARY_train(job) give a function to time.

One for inference returns what the network gives for the images, one for training takes a step and returns its loss.
"""
import os

CLASSES = 1000
RATE = 1e-6  # of learning: the batch is always the same, and must not be learnt, or gradients become denormal numbers
MODULES = {"libdeep": ["libdeep"], "openvino": ["openvino"], "onnxruntime": ["onnxruntime"], "torch": ["torch", "timm"],
           "torch-compiled": ["torch", "timm"], "keras": ["keras"]}  # what a program imports to use it
GIVES_LOGITS = ("libdeep", "torch", "torch-compiled")  # the others give probabilities


def images(size, batch):
    """The same for everybody: noise in 8 bits, NHWC."""
    import numpy as np
    return np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), np.uint8)


def inputs(size, batch):
    """The same, as the networks want it: float32 from -1 to 1."""
    import numpy as np
    return (images(size, batch).astype(np.float32) - np.float32(127.5)) / np.float32(127.5)


def channels_first(x):
    import numpy as np
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


# ---- libdeep ----

def libdeep_model(job):
    import libdeep
    context = libdeep.Context(threads=job.threads, device=job.device or "auto", fused_separable=job.fused)
    return libdeep, libdeep.Model.load(f"{job.folder}/{job.padding}_{job.size}.safetensors", context=context)


def libdeep_infer(job):
    libdeep, model = libdeep_model(job)
    if job.dtype != "fp32":
        few = images(job.size, 8)
        calibration = libdeep.Dataset.from_images(few, [0] * len(few), model.classes, context=model.context)
        model = model.quantize(dtype=job.dtype, **({"calibration": calibration} if job.dtype == "int8" else {}))
    session, x = model.session(batch=job.batch), inputs(job.size, job.batch)
    return lambda: session.logits(x)


def libdeep_train(job):
    import numpy as np
    _, model = libdeep_model(job)
    options = {"optimizer": "sgd", "momentum": 0.9} if job.optimizer == "sgd" else {"optimizer": "adam"}  # with amsgrad
    if job.dtype != "fp32":
        options["dtype"] = job.dtype
    trainer = model.trainer(batch=job.batch, learning_rate=RATE, **options)
    x, labels = inputs(job.size, job.batch), np.arange(job.batch, dtype=np.int32)
    return lambda: trainer.step(x, labels).loss


# ---- OpenVINO, ONNX Runtime ----

def onnx_file(job):
    return f"{job.folder}/same_{job.size}{'_int8' if job.dtype == 'int8' else ''}.onnx"


def openvino_infer(job):
    import openvino
    core = openvino.Core()
    x = inputs(job.size, job.batch)
    model = core.read_model(onnx_file(job))
    if [axis for axis in model.inputs[0].partial_shape][1].to_string() == "3":
        x = channels_first(x)
    model.reshape(list(x.shape))
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_PRECISION_HINT": "bf16" if job.dtype == "bf16" else "f32", "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": job.threads, "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": job.threads > 1})  # two processes would meet on the first core
    request = compiled.create_infer_request()
    return lambda: request.infer([x])[compiled.outputs[0]]


def onnxruntime_infer(job):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = job.threads, 1
    session = onnxruntime.InferenceSession(onnx_file(job), options, providers=["CPUExecutionProvider"])
    described, x = session.get_inputs()[0], inputs(job.size, job.batch)
    x = channels_first(x) if described.shape[1] == 3 else x
    return lambda: session.run(None, {described.name: x})[0]


def quantize_onnx(folder, size):
    """Writes the 8-bit ONNX file: a scale for each channel of the kernels, unsigned activations, static ranges."""
    from onnxruntime import quantization
    from onnxruntime.quantization import shape_inference
    import onnx

    source, prepared = f"{folder}/same_{size}.onnx", f"{folder}/prepared_{size}.onnx"
    shape_inference.quant_pre_process(source, prepared)
    graph = onnx.load(prepared, load_external_data=False).graph
    entry, exact = graph.input[0], [node.name for node in graph.node if node.op_type == "Softmax"]  # else most answers are 0
    first = entry.type.tensor_type.shape.dim[1].dim_value == 3

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.left = [x[None] for x in inputs(size, 8)]

        def get_next(self):
            if not self.left:
                return None
            x = self.left.pop()
            return {entry.name: channels_first(x) if first else x}

    quantization.quantize_static(prepared, f"{folder}/same_{size}_int8.onnx", Reader(), per_channel=True, nodes_to_exclude=exact,
                                 quant_format=quantization.QuantFormat.QDQ,
                                 activation_type=quantization.QuantType.QUInt8,
                                 weight_type=quantization.QuantType.QInt8)


# ---- PyTorch ----

def torch_model(job):
    """(torch, the network, what gives its input): from the host's memory each time, which a GPU reads without a copy."""
    import timm
    import torch
    torch.set_num_threads(job.threads)
    model = timm.create_model("legacy_xception", pretrained=False, num_classes=CLASSES)
    model.load_state_dict(torch.load(f"{job.folder}/symmetric_{job.size}.pth", weights_only=True))
    x = torch.from_numpy(inputs(job.size, job.batch)).permute(0, 3, 1, 2)  # NHWC in memory already
    model = model.to(memory_format=torch.channels_last)
    if not job.device:
        return torch, model, lambda: x
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    x = x.pin_memory()
    return torch, model.to(job.device), lambda: x.to(job.device, non_blocking=True)


def torch_autocast(torch, job):
    half = torch.float16 if job.dtype == "fp16" else torch.bfloat16
    return torch.autocast("cuda" if job.device else "cpu", half, enabled=job.dtype in ("bf16", "fp16"))


def torch_infer(job, compiled=False):
    torch, model, x = torch_model(job)
    model.eval()
    if compiled:
        import torch._inductor.config
        torch._inductor.config.freezing = True
        model = torch.compile(model, mode="reduce-overhead" if job.device else None)  # with CUDA graphs

    def run():
        with torch.inference_mode() if not compiled else torch.no_grad(), torch_autocast(torch, job):
            return model(x()).float().cpu().numpy()
    return run


def torch_compiled_infer(job):
    return torch_infer(job, compiled=True)


def torch_train(job, compiled=False):
    torch, model, x = torch_model(job)
    model.train()
    network = torch.compile(model) if compiled else model
    labels = torch.arange(job.batch, device=job.device or None)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9) if job.optimizer == "sgd" else \
        torch.optim.Adam(model.parameters(), lr=RATE, amsgrad=True)
    scaler = torch.amp.GradScaler("cuda" if job.device else "cpu", enabled=job.dtype == "fp16")

    def step():
        optimizer.zero_grad()
        with torch_autocast(torch, job):
            loss = torch.nn.functional.cross_entropy(network(x()), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return float(loss.detach())
    return step


def torch_compiled_train(job):
    return torch_train(job, compiled=True)


# ---- Keras ----

def keras_model(job):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow
    tensorflow.config.threading.set_intra_op_parallelism_threads(job.threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    if job.dtype == "bf16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = keras.applications.Xception(weights=f"{job.folder}/same_{job.size}.h5", classes=CLASSES,
                                        input_shape=(job.size, job.size, 3))
    return keras, tensorflow, model


def keras_infer(job):
    _, tensorflow, model = keras_model(job)
    x = tensorflow.constant(inputs(job.size, job.batch))
    run = tensorflow.function(lambda values: model(values, training=False))
    return lambda: tensorflow.cast(run(x), "float32").numpy()


def keras_train(job):
    keras, tensorflow, model = keras_model(job)
    optimizer = keras.optimizers.SGD(RATE, momentum=0.9) if job.optimizer == "sgd" else \
        keras.optimizers.Adam(RATE, amsgrad=True)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
    x, labels = inputs(job.size, job.batch), tensorflow.range(job.batch)
    return lambda: float(model.train_on_batch(x, labels))
