# SPDX-License-Identifier: Apache-2.0
"""Times keras.applications.Xception on one random image: keras_inference.py SIZE REPEATS [THREADS]."""
import os
import resource
import sys
import time

size, repeats = int(sys.argv[1]), int(sys.argv[2])
threads = int(sys.argv[3]) if len(sys.argv) > 3 else 2
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(threads)
tf.config.threading.set_inter_op_parallelism_threads(1)
model = keras.applications.Xception(weights=None, input_shape=(size, size, 3), include_top=size == 299, classes=1000)
run = tf.function(lambda x: model(x, training=False))
image = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, size, size, 3)).astype(np.float32))
run(image)
times = []
for _ in range(repeats):
    begin = time.time()
    run(image).numpy()
    times.append(1e3 * (time.time() - begin))
times.sort()
print(f"keras infer {size} px, batch 1: min {times[0]:.2f}, median {times[repeats // 2]:.2f} ms/image, "
      f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")
