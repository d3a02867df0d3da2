# SPDX-License-Identifier: Apache-2.0
"""One library at one job, driven by compare.py: contender.py NAME KIND SIZE BATCH DTYPE THREADS FOLDER

Prints "ready", then one line for each line it reads: "result" (logarithms of probabilities for a
fixed input), "time N" (milliseconds per image of N repetitions), "rss" (the most memory so far, in MB).
"""
import json
import os
import resource
import sys
import time

CLASSES = 1000


def inputs(size, batch):
    """The same images for everybody, NHWC float32."""
    import numpy as np
    return np.random.default_rng(0).uniform(-1, 1, (batch, size, size, 3)).astype(np.float32)


def libdeep_infer(job):
    import libdeep
    model = libdeep.Model.load(f"{job.folder}/{job.padding}_{job.size}.safetensors",
                               context=libdeep.Context(threads=job.threads))
    session, x = model.session(batch=job.batch), inputs(job.size, job.batch)
    return lambda: session.logits(x)


def libdeep_train(job):
    import libdeep
    import numpy as np
    model = libdeep.Model.load(f"{job.folder}/{job.padding}_{job.size}.safetensors",
                               context=libdeep.Context(threads=job.threads))
    trainer = model.trainer(batch=job.batch, optimizer="sgd", momentum=0.9, learning_rate=1e-3)
    x, labels = inputs(job.size, job.batch), np.arange(job.batch, dtype=np.int32)
    return lambda: trainer.step(x, labels)


def openvino_infer(job):
    import numpy as np
    import openvino
    core = openvino.Core()
    x = inputs(job.size, job.batch)
    model = core.read_model(f"{job.folder}/same_{job.size}.onnx")
    nchw = [d for d in model.inputs[0].partial_shape][1].to_string() == "3"
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if nchw else x
    model.reshape(list(x.shape))
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[job.dtype], "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": job.threads, "NUM_STREAMS": 1})
    request = compiled.create_infer_request()
    return lambda: request.infer([x])[compiled.outputs[0]]


def onnxruntime_infer(job):
    import numpy as np
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = job.threads, 1
    session = onnxruntime.InferenceSession(f"{job.folder}/same_{job.size}.onnx", options,
                                           providers=["CPUExecutionProvider"])
    described, x = session.get_inputs()[0], inputs(job.size, job.batch)
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if described.shape[1] == 3 else x
    return lambda: session.run(None, {described.name: x})[0]


def torch_model(job):
    import timm
    import torch
    torch.set_num_threads(job.threads)
    model = timm.create_model("legacy_xception", pretrained=False, num_classes=CLASSES)
    model.load_state_dict(torch.load(f"{job.folder}/symmetric_{job.size}.pth", weights_only=True))
    x = torch.from_numpy(inputs(job.size, job.batch)).permute(0, 3, 1, 2)  # NHWC in memory already
    return torch, model.to(memory_format=torch.channels_last), x


def torch_infer(job):
    torch, model, x = torch_model(job)
    model.eval()

    def run():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=job.dtype == "bf16"):
            return model(x).float().numpy()
    return run


def torch_train(job):
    torch, model, x = torch_model(job)
    model.train()
    labels = torch.arange(job.batch)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=job.dtype == "bf16"):
            loss = torch.nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
    return step


def keras_model(job):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow
    tensorflow.config.threading.set_intra_op_parallelism_threads(job.threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    if job.dtype == "bf16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    return keras, tensorflow, keras.saving.load_model(f"{job.folder}/same_{job.size}.keras", compile=False)


def keras_infer(job):
    _, tensorflow, model = keras_model(job)
    x = tensorflow.constant(inputs(job.size, job.batch))
    run = tensorflow.function(lambda images: model(images, training=False))
    return lambda: run(x).numpy()


def keras_train(job):
    keras, tensorflow, model = keras_model(job)
    model.compile(optimizer=keras.optimizers.SGD(1e-3, momentum=0.9), loss="sparse_categorical_crossentropy")
    x, labels = inputs(job.size, job.batch), tensorflow.range(job.batch)
    return lambda: model.train_on_batch(x, labels)


class Job:
    def __init__(self, name, kind, size, batch, dtype, threads, folder):
        self.name, self.kind, self.dtype, self.folder = name.split("-")[0], kind, dtype, folder
        self.size, self.batch, self.threads = int(size), int(batch), int(threads)
        if self.name == "libdeep" and dtype != "fp32":
            raise SystemExit("libdeep computes in fp32 alone")
        self.padding = "symmetric" if name.endswith("-symmetric") else "same"  # "libdeep-symmetric": as PyTorch pads


def log_probabilities(result, name):
    """Of the first image's first classes. libdeep and PyTorch give logits here, the others probabilities."""
    import numpy as np
    first = np.asarray(result, np.float64)[0]
    if name in ("libdeep", "torch"):
        return (first - np.log(np.exp(first - first.max()).sum()) - first.max())[:8].tolist()
    return np.log(first)[:8].tolist()


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    job = Job(*sys.argv[1:8])
    run = globals()[f"{job.name}_{job.kind}"](job)
    run()  # compiles, allocates
    run()
    print("ready", flush=True)
    for line in sys.stdin:
        word, *number = line.split()
        if word == "result":
            print(json.dumps(log_probabilities(run(), job.name)), flush=True)
        elif word == "rss":
            print(json.dumps(megabytes()), flush=True)
        else:
            times = []
            for _ in range(int(number[0])):
                begin = time.perf_counter()
                run()
                times.append(1e3 * (time.perf_counter() - begin) / job.batch)
            print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
