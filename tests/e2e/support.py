# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command line tool share. DEEP_TOOL is the program under test."""
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib

TOOL = os.environ.get("DEEP_TOOL", "deep")

# A network that trains in a fraction of a second.
TINY = ["--arch", "xception-small", "--width", "0.05", "--middle-blocks", "1", "--size", "71",
        "--batch", "4", "--threads", "1", "--workers", "1"]

OK, GENERIC, USAGE, BAD_FILE, DATASET, IO, MEMORY, NUMERICAL, DEVICE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 7, 8, 75


def png(width, height, seed, colour):
    """A PNG file: noise around a colour."""
    noise = random.Random(seed)
    rows = b"".join(b"\0" + bytes(min(255, max(0, colour[i % 3] + noise.randrange(-20, 21)))
                                  for i in range(3 * width)) for _ in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class Case(unittest.TestCase):
    """A test with a folder of its own as the working directory."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="deep-e2e-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return name

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def sha256(self, name):
        return hashlib.sha256(self.read(name)).hexdigest()

    def make_set(self, name="set", classes=("alpha", "beta", "gamma"), images=6):
        """A folder per class; the classes differ in colour."""
        colours = [(200, 60, 60), (60, 200, 60), (60, 60, 200)]
        for c, label in enumerate(classes):
            for i in range(images):
                self.write(f"{name}/{label}/{label}_{i:02d}.png", png(16 + i % 4, 14, 100 * c + i, colours[c % 3]))
        return name

    def deep(self, *arguments, env=None, **options):
        options.setdefault("timeout", 300)
        environment = dict(os.environ, OMP_WAIT_POLICY="passive", **(env or {}))
        options.setdefault("stdout", subprocess.PIPE)
        return subprocess.run([TOOL, *arguments], cwd=self.folder, env=environment, stderr=subprocess.PIPE,
                              encoding="utf-8", **options)

    def expect(self, code, *arguments, says=None, **options):
        """Runs the tool; its exit status, and what its messages contain, must be as given."""
        result = self.deep(*arguments, **options)
        self.assertEqual(result.returncode, code, f"{arguments}: {result.stderr}{result.stdout}")
        for text in [says] if isinstance(says, str) else says or []:
            self.assertIn(text, result.stderr)
        return result

    def json(self, *arguments, code=OK, **options):
        """The one JSON object that the tool prints."""
        lines = self.expect(code, *arguments, **options).stdout.splitlines()
        self.assertEqual(len(lines), 1, lines)
        return json.loads(lines[0])

    def assert_untouched(self, *expected):
        """Nothing stands in the folder but what is expected."""
        self.assertEqual(sorted(os.listdir(self.folder)), sorted(expected))


def main():
    unittest.main(verbosity=2)
