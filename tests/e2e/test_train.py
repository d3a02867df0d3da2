# SPDX-License-Identifier: Apache-2.0
"""Training, prediction and evaluation with the command line tool, on a network of a few thousand weights."""
import json
import os
import resource
import signal
import subprocess
import unittest

import support
from support import BAD_FILE, DATASET, INTERRUPTED, IO, NUMERICAL, OK, TINY

QUIET = ["--progress", "none"]


class Trained(support.Case):
    """Tests that share one trained model."""

    @classmethod
    def setUpClass(cls):
        maker = cls("run_training")
        maker.setUp()
        cls.maker = maker
        cls.addClassCleanup(maker.doCleanups)
        maker.make_set()
        cls.result = maker.expect(OK, "train", "set", "-o", "model", *TINY, *QUIET, "--epochs", "2", "--json")

    def run_training(self):
        """Names the case that setUpClass uses."""

    def setUp(self):
        super().setUp()
        if hasattr(self, "maker") and self.maker is not self:
            for name in ("set", "model", "model.run"):
                os.symlink(self.maker.path(name), self.path(name))

    def test_a_run_leaves_what_is_promised(self):
        summary = json.loads(self.result.stdout)
        self.assertEqual(summary["train_images"] + summary["valid_images"], 18)
        self.assertEqual(summary["epochs"], 2)
        self.assertIn("accuracy", summary["validation"])
        self.assertEqual(self.result.stderr, "")
        files = os.listdir(self.path("model.run"))
        for name in ("checkpoint.safetensors", "log.jsonl", "report.html", "train.txt", "val.txt", "classes.txt"):
            self.assertIn(name, files)
        self.assertFalse([name for name in files if name.endswith(".tmp")])

    def test_the_log_has_an_object_for_each_epoch(self):
        rows = [json.loads(line) for line in self.read("model.run/log.jsonl").decode().splitlines()]
        self.assertEqual([row["epoch"] for row in rows], [1, 2])
        for row in rows:
            for key in ("loss", "accuracy", "valid_loss", "valid_accuracy", "learning_rate", "images_per_second", "seconds"):
                self.assertIsInstance(row[key], (int, float))

    def test_the_report_is_one_page_without_links_outside(self):
        page = self.read("model.run/report.html").decode()
        self.assertIn("<svg", page)
        self.assertNotIn("src=\"http", page)
        self.assertNotIn("<script src", page)

    def test_the_model_knows_its_training(self):
        info = self.json("info", "--json", "model")
        self.assertEqual([c["name"] for c in info["classes"]], ["alpha", "beta", "gamma"])
        self.assertEqual(info["input_size"], 71)
        user = json.loads(info["metadata"])["user"]
        self.assertEqual(user["training"]["epochs"], 2)
        self.assertEqual(len(user["training"]["history"]), 2)
        self.assertIn("accuracy", user["validation"])
        self.assertIn("xception-small", self.expect(OK, "info", "model").stdout)

    def test_the_model_holds_no_time_place_or_speed(self):
        text = self.json("info", "--json", "model")["metadata"]
        for word in (os.uname().nodename, self.maker.folder, "second", "time", "host", "/"):
            self.assertNotIn(word, text.replace("TAB", ""))

    def test_predictions_of_an_image(self):
        lines = self.expect(OK, "predict", "--json", "model", "set/beta/beta_00.png").stdout.splitlines()
        self.assertEqual(len(lines), 1)
        row = json.loads(lines[0])
        self.assertEqual(list(row), ["image", "predictions"])
        self.assertEqual(row["image"], "set/beta/beta_00.png")
        self.assertEqual([sorted(p) for p in row["predictions"]], [["index", "label", "probability"]] * 3)
        self.assertAlmostEqual(sum(p["probability"] for p in row["predictions"]), 1, places=5)
        self.assertEqual(len(json.loads(self.deep("predict", "--json", "--top", "1", "model",
                                                  "set/beta/beta_00.png").stdout)["predictions"]), 1)

    def test_a_batch_of_the_tools_choice(self):
        made = self.expect(OK, "train", "set", "-o", "chosen", *TINY, *QUIET, "--epochs", "1", "--batch", "auto")
        self.assertRegex(made.stderr, r"--batch auto is \d+; --resume wants it as a number")
        for command in ("predict", "evaluate"):
            given = self.expect(OK, command, "--json", "model", "set").stdout
            self.assertEqual(self.expect(OK, command, "--json", "--batch", "auto", "model", "set").stdout, given)

    def test_predictions_do_not_depend_on_the_batch(self):
        one = self.expect(OK, "predict", "--json", "--batch", "1", "model", "set").stdout.splitlines()
        many = self.expect(OK, "predict", "--json", "--batch", "7", "model", "set").stdout.splitlines()
        self.assertEqual(len(one), 18)
        for first, second in zip(one, many):
            first, second = json.loads(first), json.loads(second)
            self.assertEqual(first["image"], second["image"])
            for a, b in zip(first["predictions"], second["predictions"]):
                self.assertAlmostEqual(a["probability"], b["probability"], places=5)

    def test_a_folder_with_a_corrupt_image(self):
        self.write("mixed/a.png", support.png(20, 20, 1, (200, 60, 60)))
        self.write("mixed/b.png", b"\x89PNG\r\n\x1a\nbroken")
        self.write("mixed/c.png", support.png(20, 20, 2, (60, 60, 200)))
        result = self.expect(BAD_FILE, "predict", "--json", "model", "mixed", says="1 of 3 images could not be read")
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([row["image"] for row in rows], ["mixed/a.png", "mixed/b.png", "mixed/c.png"])
        self.assertEqual([list(row)[1] for row in rows], ["predictions", "error", "predictions"])
        self.assertIn("mixed/b.png", rows[1]["error"])
        self.assertIn("mixed/c.png", self.expect(BAD_FILE, "predict", "model", "mixed").stdout)

    def test_predictions_of_a_list(self):
        self.write("list.txt", "# chosen\nset/alpha/alpha_00.png 0\nset/beta/beta_01.png\t1\nset/gamma/gamma_02.png\n\n")
        rows = self.expect(OK, "predict", "--json", "model", "list.txt").stdout.splitlines()
        self.assertEqual([json.loads(row)["image"] for row in rows],
                         ["set/alpha/alpha_00.png", "set/beta/beta_01.png", "set/gamma/gamma_02.png"])

    def test_odd_file_names_leave_the_json_valid(self):
        image = self.read("set/alpha/alpha_00.png")
        os.mkdir(self.path("odd"))
        for name in (b'a "quoted" \\ name.png', b"two\nlines.png", b"latin caf\xe9.png", "kr\u00e6bsdyr \u2603.png".encode()):
            with open(os.path.join(os.fsencode(self.path("odd")), name), "wb") as file:
                file.write(image)
        lines = self.expect(OK, "predict", "--json", "model", "odd").stdout.splitlines()
        names = [json.loads(line)["image"] for line in lines]
        self.assertEqual(names, ['odd/a "quoted" \\ name.png', "odd/kr\u00e6bsdyr \u2603.png", "odd/latin caf\ufffd.png",
                                 "odd/two\nlines.png"])

    def test_bad_inputs_of_predict(self):
        os.mkdir(self.path("empty"))
        self.expect(DATASET, "predict", "model", "empty", says="no PNG or JPEG image")
        self.expect(BAD_FILE, "predict", "model", "nothing.png", says="nothing.png")
        self.expect(IO, "predict", "nothing", "set", says="nothing: cannot open")
        self.expect(IO, "predict", "model", "nothing.txt", says="nothing.txt: cannot open")

    def test_evaluation(self):
        result = self.json("evaluate", "--json", "model", "set")
        for key in ("accuracy", "top5_accuracy", "macro_f1", "weighted_f1", "log_loss", "ece"):
            self.assertIsInstance(result[key], (int, float))
        self.assertEqual([row["support"] for row in result["classes"]], [6, 6, 6])
        self.assertEqual(sorted(result["classes"][0]), ["f1", "index", "label", "precision", "predicted", "recall", "support"])
        self.assertEqual([sum(row) for row in result["confusion_matrix"]], [6, 6, 6])
        correct = sum(result["confusion_matrix"][i][i] for i in range(3))
        self.assertAlmostEqual(result["accuracy"], correct / 18)
        self.assertIn("accuracy", self.expect(OK, "evaluate", "model", "set", "--report", "page.html").stdout)
        self.assertIn(b"<svg", self.read("page.html"))

    def test_evaluation_matches_classes_by_name(self):
        for name in ("gamma_00.png", "gamma_01.png"):
            self.write(f"part/gamma/{name}", self.read(f"set/gamma/{name}"))
        result = self.json("evaluate", "--json", "model", "part")
        self.assertEqual([row["support"] for row in result["classes"]], [0, 0, 2])
        self.write("part/delta/x.png", support.png(9, 9, 1, (1, 1, 1)))
        self.expect(DATASET, "evaluate", "model", "part", says="class 'delta'")
        self.expect(IO, "evaluate", "model", "nothing", says="nothing: cannot open")

    def test_damaged_models(self):
        whole = self.read("model")
        for cut in (0, 7, 100, len(whole) // 2, len(whole) - 1):
            self.write("cut", whole[:cut])
            self.expect(BAD_FILE, "info", "cut", says="cut")
        self.write("flipped", whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        self.expect(BAD_FILE, "predict", "flipped", "set", says="flipped")
        self.write("text", "this is no model, but it is long enough to be read")
        self.expect(BAD_FILE, "predict", "text", "set", says="text")

    def test_a_model_of_a_newer_format(self):
        whole = self.read("model")
        newer = whole.replace(b'\\"major\\":1', b'\\"major\\":9', 1)
        self.assertTrue(newer != whole, "the header has no format number where this test looks")
        self.write("newer", newer)
        self.expect(BAD_FILE, "info", "newer", says="newer")

    def test_training_goes_on_from_a_model(self):
        self.make_set("next", classes=("alpha", "delta"))
        self.expect(OK, "train", "next", "-o", "tuned", "--init", "model", "--freeze-backbone", "--epochs", "1", "--batch", "4",
                    "--threads", "1", *QUIET)
        info = self.json("info", "--json", "tuned")
        self.assertEqual([c["name"] for c in info["classes"]], ["alpha", "delta"])
        self.expect(IO, "train", "next", "-o", "x", "--init", "nothing", *QUIET, says="nothing: cannot open")
        self.assertFalse(os.path.exists(self.path("x.run")))


class Training(support.Case):
    def train(self, output, *options):
        return ["train", "set", "-o", output, *TINY, "--seed", "5", *options]

    def interrupt(self, output, number, *options):
        """Trains, and sends a signal when the first epoch has ended; the exit status."""
        command = [support.TOOL, *self.train(output, "--progress", "json", *options)]
        with subprocess.Popen(command, cwd=self.folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, encoding="utf-8",
                              env=dict(os.environ, OMP_WAIT_POLICY="passive")) as process:
            for line in process.stderr:
                if line.startswith("{") and json.loads(line)["phase"] == "epoch":
                    process.send_signal(number)
                    break
            rest = process.stderr.read()
        return process.returncode, rest

    def test_an_interrupted_run_ends_like_an_uninterrupted_one(self):
        self.make_set()
        epochs = ["--epochs", "12"]
        self.expect(OK, *self.train("straight", *epochs, *QUIET))
        self.expect(OK, *self.train("again", *epochs, *QUIET))
        self.assertEqual(self.sha256("straight"), self.sha256("again"))
        code, text = self.interrupt("stopped", signal.SIGINT, *epochs)
        self.assertEqual(code, INTERRUPTED, text)
        self.assertIn("--resume", text)
        self.assertFalse(os.path.exists(self.path("stopped")))
        code, text = self.interrupt("stopped", signal.SIGTERM, *epochs, "--resume")
        self.assertIn(code, (INTERRUPTED, OK), text)
        self.expect(OK, *self.train("stopped", *epochs, *QUIET, "--resume"))
        self.assertEqual(self.sha256("straight"), self.sha256("stopped"))
        rows = [json.loads(line)["epoch"] for line in self.read("stopped.run/log.jsonl").decode().splitlines()]
        self.assertEqual(sorted(set(rows)), list(range(1, 13)))

    def test_the_second_signal_ends_at_once(self):
        self.make_set()
        command = [support.TOOL, *self.train("model", "--progress", "json", "--epochs", "1000")]
        with subprocess.Popen(command, cwd=self.folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, encoding="utf-8",
                              env=dict(os.environ, OMP_WAIT_POLICY="passive")) as process:
            while "epoch" not in process.stderr.readline():
                pass
            process.send_signal(signal.SIGSTOP)  # so that it sees both together
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
            process.stderr.read()
        self.assertIn(process.returncode, (-signal.SIGINT, -signal.SIGTERM))

    def test_a_killed_run_goes_on(self):
        self.make_set()
        options = ["--epochs", "6", "--checkpoint-every", "1", *QUIET]
        self.expect(OK, *self.train("straight", *options))
        for round_number in range(4):  # each kill comes later than the one before, wherever that is
            process = subprocess.Popen([support.TOOL, *self.train("killed", "--resume", *options)], cwd=self.folder,
                                       stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            try:
                process.wait(timeout=0.15 + 0.2 * round_number)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.write("killed.run/checkpoint.safetensors.999999999-0.tmp", "what a killed process left")
        self.expect(OK, *self.train("killed", "--resume", *options))
        self.assertFalse([name for name in os.listdir(self.path("killed.run")) if name.endswith(".tmp")])
        self.assertEqual(self.sha256("straight"), self.sha256("killed"))

    def test_short_epochs_share_a_checkpoint(self):
        self.make_set()
        for seconds, generations in ([], 1), (["--checkpoint-seconds", "0"], 2):
            self.expect(OK, *self.train("model", "--epochs", "2", *QUIET, *seconds))
            names = [name for name in os.listdir(self.path("model.run")) if name.startswith("checkpoint")]
            self.assertEqual(len(names), generations, names)

    def test_resuming_with_other_images_is_refused(self):
        self.make_set()
        self.expect(OK, *self.train("model", "--epochs", "1", *QUIET))
        self.write("set/alpha/new.png", support.png(9, 9, 77, (1, 2, 3)))
        self.expect(DATASET, *self.train("model", "--epochs", "2", *QUIET, "--resume"), says="not those that the checkpoint")

    def test_resuming_without_a_checkpoint_begins(self):
        self.make_set()
        self.expect(OK, *self.train("model", "--epochs", "1", *QUIET, "--resume"), says="no checkpoint")

    def test_the_location_of_the_data_leaves_no_trace(self):
        self.make_set()
        self.make_set("elsewhere/copy")
        self.expect(OK, *self.train("a", "--epochs", "1", *QUIET))
        self.expect(OK, "train", "elsewhere/copy", "-o", "elsewhere/b", *TINY, "--seed", "5", "--epochs", "1", *QUIET,
                    env={"LC_ALL": "de_DE.UTF-8"})
        self.assertEqual(self.sha256("a"), self.sha256("elsewhere/b"))

    def test_a_divided_set_is_taken_as_it_is(self):
        self.make_set("data/images")
        self.write("data/dataset_files/classes.txt", "alpha\nbeta\ngamma\n")
        for part, numbers in (("train", (0, 1, 2)), ("val", (3,)), ("test", (4, 5))):
            self.write(f"data/dataset_files/{part}.txt", "".join(
                f"{c}/{c}_{i:02d}.png {k}\n" for k, c in enumerate(("alpha", "beta", "gamma")) for i in numbers))
        result = self.json("train", "data", "-o", "model", *TINY, "--epochs", "1", *QUIET, "--json")
        self.assertEqual((result["train_images"], result["valid_images"]), (9, 3))
        self.assertEqual(self.json("evaluate", "--json", "model", "data")["images"], 6)
        self.assertEqual(self.json("evaluate", "--json", "model", "data", "--part", "valid")["images"], 3)

    def test_no_validation(self):
        self.make_set()
        result = self.json(*self.train("model", "--epochs", "1", "--valid", "0", *QUIET, "--json"))
        self.assertEqual((result["train_images"], result["valid_images"], result["validation"]), (18, 0, {}))

    def test_a_loss_that_is_no_number(self):
        self.make_set()
        self.expect(NUMERICAL, *self.train("model", "--epochs", "3", "--optimizer", "sgd", "--lr", "1000", "--momentum", "0.99", *QUIET), says="--lr")
        self.assertFalse(os.path.exists(self.path("model")))

    def test_a_full_disk(self):
        self.make_set()

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

        self.expect(IO, *self.train("model", "--epochs", "1", *QUIET), preexec_fn=limit)
        self.assertFalse(os.path.exists(self.path("model")))
        leftovers = [name for _, _, names in os.walk(self.folder) for name in names if name.endswith(".tmp")]
        self.assertEqual(leftovers, [])


@unittest.skipUnless(os.environ.get("DEEP_TEST_DATA"), "DEEP_TEST_DATA is not set")
class RealData(support.Case):
    def test_the_reference_service_layout(self):
        data = os.path.join(os.environ["DEEP_TEST_DATA"], "phyto_flowcam_demo")
        result = self.json("train", data, "-o", "model", *TINY, "--epochs", "1", *QUIET, "--json")
        self.assertEqual((result["train_images"], result["valid_images"]), (82, 15))
        self.assertEqual(self.json("evaluate", "--json", "model", data)["images"], 8)



if __name__ == "__main__":
    support.main()
