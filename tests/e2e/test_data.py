# SPDX-License-Identifier: Apache-2.0
"""deep split, deep verify and what deep train refuses before it computes."""
import os

import support
from support import BAD_FILE, DATASET, IO, OK, TINY, USAGE


class Split(support.Case):
    def test_parts_are_disjoint_and_complete(self):
        self.make_set(images=10)
        counts = self.json("split", "set", "-o", "lists", "--valid", "0.2", "--test", "0.2", "--seed", "7", "--json")
        self.assertEqual(counts, {"classes": 3, "train": 18, "valid": 6, "test": 6})
        parts = [self.read(f"lists/{part}.txt").decode().splitlines() for part in ("train", "val", "test")]
        together = sum(parts, [])
        self.assertEqual(len(set(together)), 30)
        self.assertEqual(self.read("lists/classes.txt"), b"alpha\nbeta\ngamma\n")
        self.assertIn("alpha/alpha_00.png\t0", together)

    def test_a_split_repeats_and_its_lists_open_again(self):
        self.make_set(images=10)
        self.expect(OK, "split", "set", "-o", "a", "--seed", "3")
        self.expect(OK, "split", "set", "-o", "b", "--seed", "3")
        self.expect(OK, "split", "set", "-o", "c", "--seed", "4")
        self.assertEqual(self.read("a/val.txt"), self.read("b/val.txt"))
        self.assertNotEqual(self.read("a/val.txt"), self.read("c/val.txt"))
        self.expect(OK, "verify", "a/val.txt", "--images", "set")

    def test_groups_stay_together(self):
        self.make_set(images=10)
        self.expect(OK, "split", "set", "-o", "lists", "--valid", "0.3", "--group-by", "_([0-9]+)")
        moments = [{line.split("_")[1][:2] for line in self.read(f"lists/{part}.txt").decode().splitlines()}
                   for part in ("train", "val")]
        self.assertFalse(moments[0] & moments[1])

    def test_bad_splits(self):
        self.make_set(images=10)
        self.expect(USAGE, "split", "set", "-o", "x", "--valid", "0", says="both 0")
        self.expect(USAGE, "split", "set", "-o", "x", "--valid", "0.5", "--test", "0.5", says="nothing for training")
        self.expect(USAGE, "split", "set", "-o", "x", "--group-by", "a(", says="regular expression")
        self.expect(DATASET, "split", "set", "-o", "x", "--group-by", "zzz", says="do not match")
        self.expect(IO, "split", "set", "-o", "no/such/x", says="cannot make the folder")
        self.assert_untouched("set")


class Verify(support.Case):
    def test_a_clean_set(self):
        self.make_set()
        self.assertEqual(self.json("verify", "set", "--json"), {"findings": [], "images": 18, "clean": True})

    def test_every_finding_is_named(self):
        self.make_set()
        self.write("set/alpha/bad.png", "no image")
        self.write("set/beta/copy.png", self.read("set/alpha/alpha_00.png"))
        self.write("set/beta/twin.png", self.read("set/beta/beta_01.png"))
        self.write("set/lonely/one.png", support.png(9, 9, 1, (1, 2, 3)))
        os.mkdir(self.path("set/none"))
        findings = self.json("verify", "set", "--json", code=DATASET)["findings"]
        kinds = sorted((f["kind"], os.path.basename(f.get("image", f.get("class", "")))) for f in findings)
        self.assertEqual(kinds, [("cannot be decoded", "bad.png"), ("class with one image", "lonely"),
                                 ("class without images", "none"), ("same bytes as an image of another class", "copy.png"),
                                 ("same bytes as another image", "twin.png")])
        self.assertIn("bad.png", self.expect(DATASET, "verify", "set").stdout)

    def test_a_malformed_list_is_a_finding(self):
        self.make_set()
        self.write("set/classes.txt", "alpha\nbeta\n")
        self.write("set/train.txt", "alpha/alpha_00.png 0\nbeta/beta_00.png 2\n")
        result = self.json("verify", "set", "--json", code=DATASET)
        self.assertIn("line 2: label 2 is not 0 to 1", result["findings"][0]["reason"])

    def test_a_missing_set(self):
        self.expect(IO, "verify", "nothing", says="nothing")


class Refusals(support.Case):
    """Bad data for deep train: message, exit status, nothing written."""

    def refuse(self, code, data, says, *options):
        before = sorted(os.listdir(self.folder))
        self.expect(code, "train", data, "-o", "model", *TINY, *options, says=says)
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_folders(self):
        self.refuse(IO, "nowhere", "nowhere: cannot open")
        os.mkdir(self.path("empty"))
        self.refuse(DATASET, "empty", "no PNG or JPEG image")
        self.make_set("one", classes=("only",))
        self.refuse(DATASET, "one", "has only one class, 'only'")
        self.make_set("flat")
        self.refuse(DATASET, "flat/alpha", "stand in the folder itself")
        self.write("flat/single/a.png", support.png(8, 8, 1, (1, 1, 1)))
        self.refuse(DATASET, "flat", "class 'single' has 1 image, at least 2 are needed")

    def test_corrupt_images(self):
        self.make_set()
        self.write("set/alpha/bad.png", "no image")
        self.refuse(DATASET, "set", ["1 of 19 images cannot be decoded", "alpha/bad.png"])
        self.refuse(DATASET, "set", "cannot be decoded", "--on-bad-image", "refuse")
        self.write("set/beta/bad.png", self.read("set/beta/beta_00.png")[:60])
        self.refuse(DATASET, "set", "2 of 20 images")

    def test_split_files(self):
        self.make_set()
        self.write("classes.txt", "alpha\nbeta\n")
        for text, code, says in [
                ("alpha/alpha_00.png 0\nbeta/beta_00.png 2\n", BAD_FILE, "list.txt: line 2: label 2 is not 0 to 1"),
                ("alpha/alpha_00.png 0\nalpha/alpha_00.png 0\n", BAD_FILE, "line 2: the path 'alpha/alpha_00.png' already"),
                ("alpha/alpha_00.png zero\n", BAD_FILE, "line 1: the label 'zero' is not an integer"),
                ("../set/alpha/alpha_00.png 0\n", BAD_FILE, "line 1: the path contains '..'"),
                ("", DATASET, "lists no image")]:
            self.write("list.txt", text)
            self.refuse(code, "list.txt", says, "--images", "set")
        os.unlink(self.path("classes.txt"))
        self.write("list.txt", "alpha/alpha_00.png 0\n")
        self.refuse(IO, "list.txt", "classes.txt: cannot open")

    def test_outputs(self):
        self.make_set()
        for output, says in [("no/such/model", "no/such/model: cannot be written"), ("set", "is not a regular file")]:
            self.expect(IO, "train", "set", "-o", output, *TINY, says=says)
            self.assert_untouched("set")
        self.write("m.run", "a file where the folder would be")
        self.expect(IO, "train", "set", "-o", "m", *TINY, says="m.run: cannot be written: is not a folder")
        self.assert_untouched("m.run", "set")

    def test_options_that_the_data_contradict(self):
        self.make_set()
        self.refuse(USAGE, "set", "--valid: 1.5 is not a fraction", "--valid", "1.5")
        self.refuse(IO, "set", "nothing: cannot open", "--valid", "nothing")
        self.make_set("other", classes=("alpha", "delta"))
        self.refuse(DATASET, "set", "class 'delta' of the data set is not one of the known classes", "--valid", "other")
        self.refuse(support.DEVICE, "set", "warp", "--device", "warp")



if __name__ == "__main__":
    support.main()
