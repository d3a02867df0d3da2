# SPDX-License-Identifier: Apache-2.0
"""Models in 16 and 8 bits: what the tool says of them, and that they answer as their originals."""
import json
import os

import support
from support import BAD_FILE, IO, OK, TINY, USAGE, Case

ONE = ["--threads", "1"]


class Agreement(Case):
    """A small network that has learned something, and images that neither training nor calibration saw."""

    def setUp(self):
        super().setUp()
        usable = [device["name"] for device in self.json("devices", "--json")["devices"] if device["available"]]
        if "cpu" not in usable:
            self.skipTest("the reference backend takes more than five minutes to train the network")
        self.expect(OK, "synth", "seen", "--classes", "4", "--per-class", "60", "--seed", "1")
        self.expect(OK, "synth", "unseen", "--classes", "4", "--per-class", "60", "--seed", "2")
        self.expect(OK, "train", "seen", "-o", "m.safetensors", "--arch", "xception-small", "--middle-blocks", "1",
                    "--size", "71", "--epochs", "8", "--batch", "16", "--valid", "0", "--workers", "1", *ONE)

    def check(self, dtype, sure, difference, *options):
        told = self.json("quantize", "m.safetensors", "--dtype", dtype, "-o", f"{dtype}.safetensors",
                         "--check", "unseen", "--json", *ONE, *options)
        found = told["check"]
        self.assertEqual(found["images"], 240)
        self.assertGreater(found["sure_images"], 150)
        self.assertGreater(found["accuracy_float32"], 0.7)
        self.assertGreaterEqual(found["same_class_sure"], sure)
        self.assertLessEqual(found["mean_difference"], difference)
        self.assertGreater(found["mean_difference"], 0)
        self.assertLessEqual(abs(found["accuracy"] - found["accuracy_float32"]), 0.01)
        # what was compared is what was written
        metrics = self.json("evaluate", f"{dtype}.safetensors", "unseen", "--json", *ONE)
        self.assertEqual(metrics["accuracy"], found["accuracy"])
        return told

    def test_both_types_answer_as_float32(self):
        self.check("bf16", 0.995, 0.01)
        told = self.check("int8", 0.99, 0.03, "--calibrate", "seen")
        self.assertEqual([kernel["dtype"] for kernel in told["kernels"]], ["bf16"] + ["int8"] * 18 + ["bf16"] * 2)
        sizes = [os.path.getsize(self.path(name + ".safetensors")) for name in ("int8", "bf16", "m")]
        self.assertLess(sizes[0], sizes[1])
        self.assertLess(sizes[1], sizes[2])


class Command(Case):
    def setUp(self):
        super().setUp()
        self.make_set()
        self.expect(OK, "train", "set", "-o", "m.safetensors", "--epochs", "1", *TINY)

    def test_the_table_and_what_info_says(self):
        text = self.expect(OK, "quantize", "m.safetensors", "--dtype", "int8", "--calibrate", "set",
                           "--calibration-images", "6", "-o", "small.safetensors", "--check", "set", *ONE).stdout
        self.assertRegex(text, r"block1_conv1\.kernel +bf16 +0\.0")
        self.assertRegex(text, r"block2_sepconv1\.pointwise_kernel +int8 +0\.0")
        self.assertRegex(text, r"\n18 of 21 kernels in int8, largest error 0\.0")
        self.assertRegex(text, r"\naccuracy +\d\.\d{4} +\d\.\d{4}\n")
        info = self.json("info", "--json", "small.safetensors")
        self.assertEqual(info["dtype"], "int8")
        told = json.loads(info["metadata"])["quantization"]
        self.assertEqual((told["method"], told["images"], told["max_error"]), ("minmax", 6, 0.05))
        self.assertIn("int8", self.expect(OK, "info", "small.safetensors").stdout)
        self.assertEqual(self.json("info", "--json", "m.safetensors")["dtype"], "float32")

    def test_the_same_command_gives_the_same_file_for_any_threads(self):
        for name, threads in ("a", "1"), ("b", "2"):
            self.expect(OK, "quantize", "m.safetensors", "--dtype", "int8", "--calibrate", "set", "-o", name,
                        "--method", "percentile", "--threads", threads)
        self.assertEqual(self.sha256("a"), self.sha256("b"))

    def test_it_predicts_and_cannot_be_trained(self):
        self.expect(OK, "quantize", "m.safetensors", "-o", "small.safetensors")
        image = os.path.join("set", "alpha", sorted(os.listdir(self.path("set/alpha")))[0])
        self.assertEqual(len(self.json("predict", "small.safetensors", image, "--json", *ONE)["predictions"]), 3)
        self.expect(BAD_FILE, "train", "set", "-o", "n.safetensors", "--init", "small.safetensors", "--epochs", "1",
                    "--batch", "4", *ONE, says="cannot be trained: use the float32 one")
        self.expect(BAD_FILE, "quantize", "small.safetensors", "-o", "again", says="cannot be quantized again")

    def test_what_is_wrong_is_said(self):
        self.expect(USAGE, "quantize", "m.safetensors", says="-o MODEL is missing")
        self.expect(USAGE, "quantize", "m.safetensors", "-o", "x", "--dtype", "int8", says="needs --calibrate")
        self.expect(USAGE, "quantize", "m.safetensors", "-o", "x", "--dtype", "int4", says="--dtype")
        self.expect(IO, "quantize", "none.safetensors", "-o", "x", says="none.safetensors")
        self.expect(IO, "quantize", "m.safetensors", "-o", "no/where/x", says="no/where/x")
        self.expect(IO, "quantize", "m.safetensors", "-o", "x", "--dtype", "int8", "--calibrate", "nothing",
                    says="nothing")
        self.assertFalse(os.path.exists(self.path("x")))


if __name__ == "__main__":
    support.main()
