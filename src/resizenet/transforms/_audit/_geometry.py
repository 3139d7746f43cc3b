"""Which part of the image a result shows and how large it was resized, read off results for ramps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from . import _probes as probes
from ._pipeline import Pipeline, UnreadableError, Values


@dataclass(frozen=True)
class Geometry:
    """A box (top, left, height, width) of the image, resized to ``size`` and shown from (top, left) on."""

    box: tuple[int, int, int, int]
    size: tuple[int, int]
    top: int = 0
    left: int = 0

    def describe(self, source: tuple[int, int], shown: tuple[int, int]) -> str:
        """The words for it, such as "resized to 256 x 341, cropped to 224 x 224 from (16, 58)"."""
        words = []
        if self.box != (0, 0, *source):
            words.append("cropped to {2} x {3} from ({0}, {1})".format(*self.box))
        words.append(f"resized to {self.size[0]} x {self.size[1]}" if self.size != self.box[2:] else "not resized")
        if self.size != shown:
            words.append(f"cropped to {shown[0]} x {shown[1]} from ({self.top}, {self.left})")
        return ", ".join(words)

    def apply(self, image: Tensor) -> Tensor:
        """The part of an image (B, C, H, W) that is resized."""
        top, left, height, width = self.box
        return image[..., top : top + height, left : left + width]

    def show(self, resized: Tensor, shown: tuple[int, int]) -> Tensor:
        """The part of the resized image that the result shows."""
        return resized[..., self.top : self.top + shown[0], self.left : self.left + shown[1]]


@dataclass(frozen=True)
class Line:
    """Output pixel i of an axis shows the position ``step * i + start`` of the input, in pixels."""

    step: float
    start: float


def read_lines(pipeline: Pipeline, values: Values, size: tuple[int, int]) -> tuple[Line, Line]:
    """The lines of both axes, by least squares without the outer tenth; raise UnreadableError if they are none."""
    return _read_line(pipeline, values, size, 0), _read_line(pipeline, values, size, 1)


def _read_line(pipeline: Pipeline, values: Values, size: tuple[int, int], axis: int) -> Line:
    levels = values.levels(pipeline(probes.ramp(size, axis))).mean(1 - axis)
    shown = len(levels)
    if shown < 3:
        return Line(size[axis] / shown, 0.5 * size[axis] / shown - 0.5)
    index = torch.arange(shown, dtype=torch.float64, device="cpu")
    inner = slice(shown // 10, shown - shown // 10)
    x, y = index[inner], probes.ramp_position(levels, size[axis])[inner]
    step = float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())
    start = float(y.mean() - step * x.mean())
    if step <= 0 or float((y - step * x - start).abs().mean()) > 2 + 2 * step:
        raise UnreadableError("its results for a ramp are no ramp: it mirrors or distorts the image")
    return Line(step, start)


def find_geometries(lines: tuple[Line, Line], source: tuple[int, int], shown: tuple[int, int]) -> list[Geometry]:
    """What may have been done, the simplest first: the whole image resized, then cropped, or a part of it resized."""
    whole = Geometry((0, 0, *source), shown)
    if all(
        abs(line.step * new - old) <= max(1.5, 0.01 * old) and abs(line.start) <= max(1.0, line.step)
        for line, old, new in zip(lines, source, shown, strict=True)
    ):
        return [whole]
    resized = [max(new, round(old / line.step)) for line, old, new in zip(lines, source, shown, strict=True)]
    first = [round((line.start + 0.5) / line.step - 0.5) for line in lines]
    first = [min(max(0, start), size - new) for start, size, new in zip(first, resized, shown, strict=True)]
    after = [
        Geometry((0, 0, *source), (height, width), min(first[0], height - shown[0]), min(first[1], width - shown[1]))
        for height in _around(resized[0], shown[0])
        for width in _around(resized[1], shown[1])
    ]
    start = [
        min(max(0, round(line.start + 0.5 - line.step / 2)), old - 1) for line, old in zip(lines, source, strict=True)
    ]
    sides = [
        min(max(1, round(line.step * new)), old - begin)
        for line, new, old, begin in zip(lines, shown, source, start, strict=True)
    ]
    before = Geometry((start[0], start[1], sides[0], sides[1]), shown)
    return [*after, before]


def _around(length: int, least: int) -> list[int]:
    return [side for side in (length, length - 1, length + 1) if side >= least]
