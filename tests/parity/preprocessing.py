# SPDX-License-Identifier: Apache-2.0
"""200 real images through libdeep, OpenCV and Pillow: preprocessing.py; prints a Markdown table.

Needs DEEP_TEST_DATA, OpenCV and Pillow. OpenCV's way is the existing service's: imread as colour, BGR to RGB,
resize INTER_LINEAR, subtract the mean, divide by 127.5.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import PIL.Image

import deep_side
import libdeep

COUNT = 200
MEAN = (
    142.34101527548236,
    150.25,
    121.5,
)  # per channel, on the scale 0..255; the first is the reference run's
SIZE = 100

# What is compared -> how many levels it may be off
LIMITS = {
    "PNG decoded, against OpenCV": 0,
    "PNG decoded, against Pillow": 0,
    "JPEG decoded, against OpenCV": 1,
    "JPEG decoded, against Pillow": 1,
    "bilinear resize, against OpenCV's INTER_LINEAR": 0,
    "triangle resize, against Pillow's BILINEAR": 1,
    "bicubic resize, against Pillow's BICUBIC in float": 1,
    "area shrink, against OpenCV's INTER_AREA": 1,
    "network input x 127.5, against OpenCV's way": 0,
}


def image_files() -> list[Path]:
    """COUNT files in a fixed order: every JPEG there is, and PNGs evenly from each PNG set."""
    root = Path(os.environ["DEEP_TEST_DATA"])
    chosen = sorted(root.glob("phyto_flowcam_demo/**/*.jp*g"))
    for folder, count in (("ifcb_labelled", 10), ("flowcam_protist", 25), ("plankton_pwssc", 0)):
        found = sorted(root.glob(f"{folder}/**/*.png"))
        count = count or COUNT - len(chosen)
        chosen += found[:: len(found) // count][:count]
    if len(chosen) != COUNT:
        raise AssertionError(f"{len(chosen)} images, not {COUNT}")
    return chosen


def with_opencv(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def with_pillow(path: Path) -> np.ndarray:
    with PIL.Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


class Differences:
    """Largest difference, share of values that differ, and how many images, per row of the table."""

    def __init__(self) -> None:
        self.found: dict[str, list] = {name: [0.0, 0, 0, 0] for name in LIMITS}

    def add(self, name: str, made: np.ndarray, wanted: np.ndarray) -> None:
        if made.shape != wanted.shape:
            raise AssertionError(f"{name}: {made.shape} instead of {wanted.shape}")
        difference = np.abs(made.astype(np.float64) - wanted.astype(np.float64))
        row = self.found[name]
        row[0] = max(row[0], float(difference.max()))
        row[1] += int((difference > 1e-3).sum())
        row[2] += difference.size
        row[3] += 1

    def table(self) -> tuple[str, list[str]]:
        """The Markdown table, and the rows that are beyond their limit."""
        lines = [
            "| what | images | values that differ | largest difference, levels | limit |",
            "|---|---|---|---|---|",
        ]
        bad = []
        for name, (largest, differing, values, images) in self.found.items():
            lines.append(
                f"| {name} | {images} | {differing / max(values, 1):.2%} | {largest:.3g} | {LIMITS[name]} |"
            )
            if (
                images == 0 or largest > LIMITS[name] + 1e-3
            ):  # 1e-3 of a level: float32's rounding of the input
                bad.append(name)
        return "\n".join(lines), bad


def compare(path: Path, session: libdeep.Session, differences: Differences) -> None:
    image = libdeep.Image.load(path, channels=3, context=session.model.context)
    pixels, opencv, pillow = np.array(image), with_opencv(path), with_pillow(path)
    kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    differences.add(f"{kind} decoded, against OpenCV", pixels, opencv)
    differences.add(f"{kind} decoded, against Pillow", pixels, pillow)

    def resized(filter_name: str) -> np.ndarray:
        return np.array(image.resize(SIZE, SIZE, filter=filter_name))

    # From libdeep's own pixels, so that a row shows the resize alone.
    same = PIL.Image.fromarray(pixels)
    differences.add(
        "bilinear resize, against OpenCV's INTER_LINEAR",
        resized("bilinear"),
        cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR),
    )
    differences.add(
        "triangle resize, against Pillow's BILINEAR",
        resized("triangle"),
        np.asarray(same.resize((SIZE, SIZE), PIL.Image.Resampling.BILINEAR)),
    )
    # Pillow's 8-bit way clips what overshoots between its two passes, up to 5 levels' worth; in float it does
    # not.
    floats = [
        np.asarray(
            PIL.Image.fromarray(pixels[..., channel].astype(np.float32)).resize(
                (SIZE, SIZE), PIL.Image.Resampling.BICUBIC
            )
        )
        for channel in range(3)
    ]
    differences.add(
        "bicubic resize, against Pillow's BICUBIC in float",
        resized("bicubic"),
        np.clip(np.rint(np.stack(floats, axis=-1)), 0, 255),
    )
    if min(pixels.shape[:2]) >= SIZE:
        differences.add(
            "area shrink, against OpenCV's INTER_AREA",
            resized("area"),
            cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA),
        )
    wanted = (cv2.resize(opencv, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR) - np.array(MEAN)) / 127.5
    differences.add(
        "network input x 127.5, against OpenCV's way", 127.5 * session.preprocess(image), 127.5 * wanted
    )


def main() -> None:
    differences = Differences()
    model = libdeep.Model.create(
        2, width=0.1, middle_blocks=1, input_size=SIZE, mean=MEAN, context=deep_side.context()
    )
    with model.session() as session:
        for path in image_files():
            compare(path, session, differences)
    table, bad = differences.table()
    print(table)
    if bad:
        raise SystemExit(f"beyond the limit: {', '.join(bad)}")


if __name__ == "__main__":
    main()
