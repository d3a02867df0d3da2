# SPDX-License-Identifier: Apache-2.0
"""What a notebook shows for results: HTML and SVG text, with nothing loaded from elsewhere."""
from __future__ import annotations

import html
import math
from typing import Callable, Iterable, Iterator, Optional, Sequence

WIDTH, HEIGHT = 320, 180  # of one chart, in pixels
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 22, 24  # its margins
COLOURS = ("#1b6ca8", "#d1495b")  # training, validation
MOST_CLASSES = 60  # a larger confusion matrix cannot be read, and would be slow to draw
STYLE = "border-collapse:collapse;font:12px sans-serif;margin:6px 0"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; numbers stand right, floats get four digits."""
    cells = "".join(f"<th style='text-align:left;padding:2px 8px'>{html.escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
    return f"<table style='{STYLE}'><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    align = "right" if isinstance(value, (int, float)) else "left"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"<td style='text-align:{align};padding:2px 8px'>{html.escape(text)}</td>"


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers from `low` to `high`, about `wanted` of them."""
    if not high > low:
        return [low]
    step = 10.0 ** math.floor(math.log10((high - low) / wanted))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= wanted)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def chart(title: str, epochs: Sequence[float], lines: Sequence[tuple[str, Sequence[Optional[float]]]]) -> str:
    """An SVG of lines over epochs; a value that is None or not finite leaves a gap."""
    values = [v for _, line in lines for v in line if v is not None and math.isfinite(v)]
    if not values:
        return ""
    low, high = min(values), max(values)
    if high == low:
        low, high = low - 0.5, high + 0.5
    first, last = min(epochs), max(epochs)
    span = (last - first) or 1

    def x(epoch: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (epoch - first) / span

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    parts = [f"<text x='{LEFT}' y='14' font-weight='bold'>{html.escape(title)}</text>"]
    for value in ticks(low, high):
        parts.append(f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y(value):.1f}' y2='{y(value):.1f}' stroke='#ddd'/>"
                     f"<text x='{LEFT - 4}' y='{y(value) + 4:.1f}' text-anchor='end'>{value:.4g}</text>")
    for epoch in sorted({first, last}):
        parts.append(f"<text x='{x(epoch):.1f}' y='{HEIGHT - 8}' text-anchor='middle'>{epoch:g}</text>")
    for (name, line), colour in zip(lines, COLOURS):
        parts += [f"<polyline fill='none' stroke='{colour}' stroke-width='2' points='{points}'/>"
                  for points in _runs(epochs, line, x, y)]
        parts += [f"<circle cx='{x(e):.1f}' cy='{y(v):.1f}' r='2.5' fill='{colour}'/>"
                  for e, v in zip(epochs, line) if v is not None and math.isfinite(v)]
    legend = LEFT + 90
    for (name, _), colour in zip(lines, COLOURS):
        parts.append(f"<text x='{legend}' y='14' fill='{colour}'>{html.escape(name)}</text>")
        legend += 70
    return (f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}' font-family='sans-serif' "
            f"font-size='11'>{''.join(parts)}</svg>")


def _runs(epochs: Sequence[float], line: Sequence[Optional[float]], x: Callable[[float], float],
          y: Callable[[float], float]) -> Iterator[str]:
    """The points of each unbroken part of a line."""
    points: list[str] = []
    for epoch, value in zip(epochs, line):
        if value is not None and math.isfinite(value):
            points.append(f"{x(epoch):.1f},{y(value):.1f}")
            continue
        if points:
            yield " ".join(points)
        points = []
    if points:
        yield " ".join(points)


def confusion(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """The confusion matrix, rows true, columns predicted, each row shaded by its share."""
    if len(names) > MOST_CLASSES:
        return f"<p>The confusion matrix of {len(names)} classes is too large to show here.</p>"
    head = "".join(f"<th style='writing-mode:vertical-rl;transform:rotate(180deg);padding:2px'>{html.escape(name)}</th>"
                   for name in names)
    rows = "".join(_confusion_row(name, [int(count) for count in row]) for name, row in zip(names, matrix))
    return (f"<table style='{STYLE}'><caption style='text-align:left;white-space:nowrap'>true class down, predicted class across"
            f"</caption><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>")


def _confusion_row(name: str, row: Sequence[int]) -> str:
    total = sum(row) or 1
    cells = "".join(
        f"<td style='text-align:right;padding:2px 5px;background:rgba(27,108,168,{count / total:.2f})"
        f"{';color:#fff' if count > total / 2 else ''}'>{count or ''}</td>" for count in row)
    return f"<tr><th style='text-align:right;padding:2px 6px'>{html.escape(name)}</th>{cells}</tr>"
