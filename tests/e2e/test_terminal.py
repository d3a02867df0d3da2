# SPDX-License-Identifier: Apache-2.0
"""What a training shows on a terminal and elsewhere."""
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import support
from support import OK, TINY

COLUMNS = 60


class Progress(support.Case):
    def command(self, *options):
        return ["train", "set", "-o", "model", *TINY, "--epochs", "2", *options]

    def on_terminal(self, term, *options):
        """What the tool writes to a terminal of 60 columns on stderr, its stdout, and the seconds it took."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        began = time.monotonic()
        process = subprocess.Popen([support.TOOL, *self.command(*options)], cwd=self.folder, stderr=follower,
                                   stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                   env=dict(os.environ, TERM=term, OMP_WAIT_POLICY="passive"))
        os.close(follower)
        shown = b""
        while True:
            ready, _, _ = select.select([leader], [], [], 300)
            try:
                part = os.read(leader, 65536) if ready else b""
            except OSError:  # how Linux says that the other end was closed
                part = b""
            if not part:
                break
            shown += part
        out = process.stdout.read()
        process.stdout.close()
        self.assertEqual(process.wait(timeout=300), OK)
        os.close(leader)
        return shown.decode(), out.decode(), time.monotonic() - began

    def test_a_terminal_gets_a_bar(self):
        self.make_set()
        shown, _, seconds = self.on_terminal("xterm")
        bars = [text for text in re.split(r"\r\x1b\[K", shown) if "[" in text]
        self.assertTrue(bars, shown)
        for bar in bars:
            self.assertRegex(bar, r"^(epoch \d/2|prepare) \[[#.]+")
        for line in re.split(r"\r\x1b\[K|\r?\n", shown):
            if not re.match(r"epoch \d/2  loss", line):
                self.assertLess(len(line), COLUMNS, line)
        self.assertLessEqual(len(bars), 10 * seconds + 2)
        self.assertEqual(len(re.findall(r"epoch \d/2  loss [\d.]+  accuracy", shown)), 2)

    def test_a_dumb_terminal_gets_lines(self):
        self.make_set()
        shown, _, _ = self.on_terminal("dumb")
        self.assertNotIn("\x1b", shown)
        self.assertEqual(len(shown.splitlines()), 2)

    def test_a_pipe_gets_a_line_for_each_epoch(self):
        self.make_set()
        lines = self.expect(OK, *self.command()).stderr.splitlines()
        self.assertEqual(len(lines), 2, lines)
        self.assertRegex(lines[0], r"^epoch 1/2  loss \d+\.\d+  accuracy \d\.\d+  valid loss \d+\.\d+  valid accuracy")

    def test_json_progress_is_json(self):
        self.make_set()
        rows = [json.loads(line) for line in self.expect(OK, *self.command("--progress", "json")).stderr.splitlines()]
        self.assertEqual([row["epoch"] for row in rows if row["phase"] == "epoch"], [1, 2])

    def test_none_is_none(self):
        self.make_set()
        self.assertEqual(self.expect(OK, *self.command("--progress", "none")).stderr, "")


if __name__ == "__main__":
    support.main()
