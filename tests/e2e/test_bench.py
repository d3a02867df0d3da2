# SPDX-License-Identifier: Apache-2.0
"""`deep bench`: its tables, its JSON and its picture agree with each other and with the model."""
import unittest
import xml.dom.minidom

import support
from support import IO, OK, USAGE

FAST = ["--threads", "1", "--repetitions", "3"]


class Bench(support.Case):
    @classmethod
    def setUpClass(cls):
        cls.maker = support.Case()
        cls.maker.setUp()
        cls.maker.expect(OK, "train", cls.maker.make_set(), "-o", "model", "--epochs", "1", "--progress", "none",
                         *support.TINY)
        cls.model = cls.maker.path("model")

    @classmethod
    def tearDownClass(cls):
        cls.maker.doCleanups()

    def test_every_kind_of_session_is_measured(self):
        found = self.json("bench", self.model, "--json", "--batch", "1,3", "--dtype", "fp32", "--threads", "2,1",
                          "--repetitions", "2", "-q")
        kinds = [(speed["dtype"], speed["threads"], speed["batch"]) for speed in found["speeds"]]
        self.assertEqual(kinds, [("fp32", 1, 1), ("fp32", 1, 3), ("fp32", 2, 1), ("fp32", 2, 3)])
        self.assertEqual([peak["threads"] for peak in found["peaks"]], [1, 2])
        for peak in found["peaks"]:
            for key in ("fp32_gops", "memory_gbs", "cache_gbs"):
                self.assertGreater(peak[key], 0)
        for speed in found["speeds"]:
            self.assertGreater(speed["ms_min"], 0)
            self.assertGreaterEqual(speed["ms_median"], speed["ms_min"])
            self.assertAlmostEqual(speed["images_per_second"], 1e3 / speed["ms_median"], places=6)
            peak = found["peaks"][speed["threads"] - 1]["fp32_gops"]
            self.assertAlmostEqual(speed["of_peak"], 2e-6 * found["multiply_adds"] / speed["ms_min"] / peak, places=6)
            self.assertGreater(speed["peak_memory"], 1 << 20)

    def test_steps_are_the_whole_network(self):
        found = self.json("bench", self.model, "--json", "--dtype", "fp32", "-q", *FAST)
        steps = found["steps"]
        self.assertEqual(found["multiply_adds"], self.json("info", "--json", self.model)["multiply_adds"])
        self.assertEqual(sum(step["multiply_adds"] for step in steps), found["multiply_adds"])
        self.assertAlmostEqual(sum(step["share"] for step in steps), 1)
        self.assertIn("block5_sepconv1", [step["layer"] for step in steps])
        self.assertIn("max_pool", [step["op"] for step in steps])

    def test_kernels_in_fewer_bits(self):
        plain = self.json("bench", self.model, "--json", "-q", "--batch", "2", *FAST)
        self.assertEqual([speed["dtype"] for speed in plain["speeds"]], ["fp32", "bf16", "int8"])
        self.assertEqual(plain["calibration"], "random")
        for dtype in ("bf16", "int8"):
            steps = [step for step in plain["steps"] if step["dtype"] == dtype]
            self.assertIn(dtype, [step["kernel"] for step in steps])
            self.assertAlmostEqual(sum(step["share"] for step in steps), 1)
        images = self.make_set()
        given = self.json("bench", self.model, "--json", "-q", "--dtype", "int8", "--calibrate", images, *FAST)
        self.assertEqual((given["calibration"], {speed["dtype"] for speed in given["speeds"]}), (images, {"int8"}))
        self.expect(OK, "bench", self.model, "--dtype", "int8", *FAST, says="int8 has its scales from random images")

    def test_a_model_in_fewer_bits_is_measured_as_it_is(self):
        self.expect(OK, "quantize", self.model, "--dtype", "bf16", "-o", "small")
        found = self.json("bench", "small", "--json", "-q", *FAST)
        self.assertEqual({speed["dtype"] for speed in found["speeds"]}, {"bf16"})
        self.expect(USAGE, "bench", "small", "--dtype", "fp32", says="small: is in bf16 already")

    def test_the_table_has_a_line_for_each_kind(self):
        result = self.expect(OK, "bench", self.model, "--dtype", "fp32", *FAST)
        for text in ("71 x 71 pixels", "billion operations/s", "dtype  batch  threads", "fp32, batch 1, 1 thread, by layer"):
            self.assertIn(text, result.stdout)
        self.assertRegex(result.stdout, "(separable|depthwise)_conv2d")  # as the backend has it
        self.assertEqual(sum(line.startswith("fp32   ") for line in result.stdout.splitlines()), 2)  # batches 1 and 8
        self.assertIn("measuring fp32, batch 8", result.stderr)
        self.assertEqual(self.expect(OK, "bench", self.model, "--dtype", "fp32", "-q", *FAST).stderr, "")

    def test_the_picture_is_well_formed(self):
        self.expect(OK, "bench", self.model, "--dtype", "fp32", "--svg", "roof.svg", "-q", *FAST)
        picture = xml.dom.minidom.parseString(self.read("roof.svg"))
        self.assertEqual(picture.documentElement.tagName, "svg")
        dots = [title.firstChild.data for title in picture.getElementsByTagName("title")]
        self.assertGreater(len(dots), 10)
        self.assertTrue(any(text.startswith("fp32: block1_conv2, ") for text in dots), dots)
        for circle in picture.getElementsByTagName("circle"):
            self.assertTrue(0 < float(circle.getAttribute("cx")) < 960, circle.toxml())
            self.assertTrue(0 < float(circle.getAttribute("cy")) < 600, circle.toxml())
        self.assertNotIn(b"nan", self.read("roof.svg"))
        self.assert_untouched("roof.svg")

    def test_wrong_requests_are_named(self):
        self.expect(USAGE, "bench", says="1 argument missing")
        self.expect(USAGE, "bench", self.model, "--batch", "1,x", says="--batch: '1,x' is not a list of integers")
        self.expect(USAGE, "bench", self.model, "--batch", "1,", says="--batch")
        self.expect(USAGE, "bench", self.model, "--threads", "0", says="--threads: '0' is not a list")
        self.expect(USAGE, "bench", self.model, "--threads", ",".join(["1"] * 17), says="more than 16")
        self.expect(USAGE, "bench", self.model, "--dtype", "fp64", says="--dtype: 'fp64' is not one of fp32|bf16|fp16|int8")
        self.expect(IO, "bench", "gone", says="gone")
        self.expect(IO, "bench", self.model, "--dtype", "fp32", "--svg", "gone/roof.svg", "-q", *FAST,
                    says="gone/roof.svg: cannot write the picture")


if __name__ == "__main__":
    support.main()
