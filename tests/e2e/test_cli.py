# SPDX-License-Identifier: Apache-2.0
"""Help, usage errors and streams of the command line tool."""
import json
import unittest

import support
from support import IO, OK, USAGE

COMMANDS = ["train", "predict", "evaluate", "quantize", "info", "verify", "split", "synth", "bench", "devices", "version"]


class Help(support.Case):
    def test_the_tool_lists_its_commands(self):
        text = self.expect(OK, "--help").stdout
        for command in COMMANDS:
            self.assertRegex(text, rf"\n  {command} +\w")

    def test_every_command_explains_itself(self):
        for command in COMMANDS:
            result = self.expect(OK, command, "--help")
            self.assertTrue(result.stdout.startswith(f"usage: deep {command}"), result.stdout)
            self.assertEqual(result.stderr, "")

    def test_no_help_line_is_wider_than_a_page(self):
        for command in COMMANDS:
            for line in self.deep(command, "--help").stdout.splitlines():
                self.assertLessEqual(len(line), 120, line)

    def test_train_has_the_promised_options(self):
        text = self.deep("train", "--help").stdout
        for option in ("arch size head epochs batch lr optimizer schedule seed valid group-by augment class-weights init "
                       "freeze-backbone device threads checkpoint-every checkpoint-seconds resume early-stop progress json").split():
            self.assertIn(f"--{option} ", text + " ")


class Usage(support.Case):
    def test_wrong_commands_and_options(self):
        self.expect(USAGE)
        self.expect(USAGE, "trian", says="'trian' is not a command")
        self.expect(USAGE, "info", says="1 argument missing")
        self.expect(USAGE, "info", "a", "b", says="'b' is one argument too many")
        self.expect(USAGE, "info", "--colour", "a", says="--colour")
        self.expect(USAGE, "predict", "model", says="1 argument missing")
        self.expect(USAGE, "train", "data", says="-o MODEL is missing")
        self.expect(USAGE, "split", "data", says="-o FOLDER is missing")

    def test_wrong_values_are_named(self):
        base = ["train", "data", "-o", "m"]
        self.expect(USAGE, *base, "--epochs", "many", says="--epochs: 'many' is not an integer")
        self.expect(USAGE, *base, "--epochs", "0", says="--epochs: '0' is not an integer from 1")
        self.expect(USAGE, *base, "--batch", "many", says="--batch: 'many' is not an integer from 1 to 1024 or auto")
        self.expect(USAGE, *base, "--size", "50", says="--size: '50' is not an integer from 71 to 1000")
        self.expect(USAGE, *base, "--lr", "fast", says="--lr: 'fast' is not a number")
        self.expect(USAGE, *base, "--lr", "nan", says="--lr: 'nan'")
        self.expect(USAGE, *base, "--optimizer", "magic", says="--optimizer: 'magic' is not one of adam|sgd|rmsprop|adamw")
        self.expect(USAGE, *base, "--channels", "2", says="--channels")
        self.expect(USAGE, *base, "--init", "x", "--size", "100", says="--init")
        self.expect(USAGE, *base, "--group-by", "x", "--manifest", "y", says="--group-by")
        self.assert_untouched()


class Streams(support.Case):
    def test_json_stands_alone_on_stdout(self):
        self.assertIn("version", self.json("version", "--json"))
        devices = self.json("devices", "--json")["devices"]
        self.assertIn("ref", [device["name"] for device in devices])

    def test_a_full_disk_under_stdout_is_noticed(self):
        for command in (["version"], ["devices"], ["--help"], ["train", "--help"]):
            with open("/dev/full", "w", encoding="utf-8") as full:
                self.expect(IO, *command, stdout=full, says="standard output")

    def test_numbers_do_not_follow_the_locale(self):
        name = self.write("a.png", support.png(4, 4, 1, (9, 9, 9)))
        plain = self.expect(OK, "info", "--json", name).stdout
        other = self.expect(OK, "info", "--json", name, env={"LC_ALL": "de_DE.UTF-8"}).stdout
        self.assertEqual(plain, other)
        self.assertEqual(json.loads(plain), {"kind": "image", "width": 4, "height": 4, "channels": 3})


if __name__ == "__main__":
    support.main()
