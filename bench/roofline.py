# SPDX-License-Identifier: Apache-2.0
"""A roofline as SVG: draw(dots, peaks). Both axes are logarithmic; a dot's area is its share of the time."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 760, 460, 70, 50, 30, 30


class _Axes:
    """Operations a byte to the right, TFLOP/s upwards."""

    def __init__(self, low, high):
        self.low, self.high = [math.log10(v) for v in low], [math.log10(v) for v in high]

    def x(self, intensity):
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(intensity) - self.low[0]) / (self.high[0] - self.low[0])

    def y(self, rate):
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (math.log10(rate) - self.low[1]) / (self.high[1] - self.low[1])

    def decades(self, axis):
        return [10.0 ** k for k in range(math.ceil(self.low[axis]), math.floor(self.high[axis]) + 1)]


def _roof(axes, copy, peak, label, low, high):
    """`copy` in TB/s, `peak` in TFLOP/s: the slope up to where they meet, then the ceiling."""
    knee = peak / copy
    points = [(low, low * copy), (knee, peak), (high, peak)]
    line = " ".join(f"{axes.x(a):.1f},{axes.y(b):.1f}" for a, b in points)
    return (f'<polyline points="{line}" fill="none" stroke="#555"/>'
            f'<text x="{axes.x(high):.1f}" y="{axes.y(peak) - 5:.1f}" text-anchor="end">{escape(label)}</text>')


def _dot(axes, dot):
    radius = 3 + 25 * math.sqrt(dot["share"])
    title = f"{dot['name']}: {dot['rate']:.2f} TFLOP/s, {dot['ms']:.3f} ms, {100 * dot['share']:.1f} % of the time"
    return (f'<circle cx="{axes.x(dot["intensity"]):.1f}" cy="{axes.y(dot["rate"]):.1f}" r="{radius:.1f}" fill="#27c" '
            f'fill-opacity="0.5"><title>{escape(title)}</title></circle>')


def draw(dots, copy, peaks):
    """dots: dicts of name, intensity (operations a byte), rate (TFLOP/s), ms, share; copy in TB/s; peaks: {label: TFLOP/s}."""
    intensities, rates = [dot["intensity"] for dot in dots], [dot["rate"] for dot in dots]
    low, high = min(intensities) / 2, max(intensities + [peak / copy for peak in peaks.values()]) * 4
    axes = _Axes((low, min(rates + [low * copy]) / 2), (high, max(rates + list(peaks.values())) * 2))
    ticks = "".join(f'<text x="{axes.x(v):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{v:g}</text>' for v in axes.decades(0))
    ticks += "".join(f'<text x="{LEFT - 8}" y="{axes.y(v) + 4:.1f}" text-anchor="end">{v:g}</text>' for v in axes.decades(1))
    roofs = "".join(_roof(axes, copy, peak, label, low, high) for label, peak in peaks.items())
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
            f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="black"/>{ticks}{roofs}'
            f'{"".join(_dot(axes, dot) for dot in dots)}'
            f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">operations for each byte that has to be moved</text>'
            f'<text x="{LEFT}" y="{TOP - 10}">TFLOP/s</text></svg>\n')
