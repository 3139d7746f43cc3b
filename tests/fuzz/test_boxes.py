"""Boxes of every format go through each transform as a float64 affine map says."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import floor
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import tv_tensors

from fuzzing import count_case, share
from resizenet import transforms

Size = tuple[int, int]


class Affine(NamedTuple):
    """(scale, offset) of the rows and of the columns."""

    rows: tuple[float, float]
    columns: tuple[float, float]


def rounded(length: Fraction) -> int:
    return max(1, floor(length + Fraction(1, 2)))


def covering(source: Size, target: Size, *, inside: bool = False) -> Size:
    factors = [Fraction(t, s) for t, s in zip(target, source, strict=True)]
    factor = min(factors) if inside else max(factors)
    return tuple(t if f == factor else rounded(s * factor) for s, t, f in zip(source, target, factors, strict=True))


def scaled(source: Size, content: Size, before: Size = (0, 0)) -> Affine:
    return Affine(*((after / side, offset) for side, after, offset in zip(source, content, before, strict=True)))


def fitted(source: Size, target: Size) -> Size:
    """Shrunk to lie inside the target, never enlarged."""
    inside = all(s <= t for s, t in zip(source, target, strict=True))
    return source if inside else covering(source, target, inside=True)


def centered(source: Size, target: Size) -> Affine:
    content = fitted(source, target)
    return scaled(source, content, tuple((t - c) // 2 for t, c in zip(target, content, strict=True)))


def squared(source: Size, target: Size) -> Affine:
    side = max(source)
    return scaled(source, source, tuple((side - length) // 2 for length in source))


REFERENCES: dict[str, tuple[Callable[[Size], torch.nn.Module], Callable[[Size, Size], Affine]]] = {
    "Stretch": (transforms.Stretch, scaled),
    "ResizeToCover": (transforms.ResizeToCover, lambda s, t: scaled(s, covering(s, t))),
    "FitWithin": (transforms.FitWithin, lambda s, t: scaled(s, fitted(s, t))),
    "Letterbox": (transforms.Letterbox, centered),
    "PadToSquare": (lambda size: transforms.PadToSquare(), squared),
    "PadToMultiple": (transforms.PadToMultiple, lambda s, t: scaled(s, s)),
}
corners = st.tuples(*(st.floats(0, 1, width=32) for _ in range(4)))
lengths = st.integers(2, 40)


def as_format(corner: torch.Tensor, name: str) -> torch.Tensor:
    left, top, right, bottom = corner
    width, height = right - left, bottom - top
    if name == "XYXY":
        return corner
    if name == "XYWH":
        return torch.stack([left, top, width, height])
    return torch.stack([left + width / 2, top + height / 2, width, height])


@pytest.mark.parametrize("name", REFERENCES)
@share(0.03)
@given(
    source=st.tuples(lengths, lengths),
    target=st.tuples(lengths, lengths),
    shares=corners,
    box_format=st.sampled_from(["XYXY", "XYWH", "CXCYWH"]),
)
def test_boxes_follow_the_affine_map(
    name: str, source: Size, target: Size, shares: tuple[float, ...], box_format: str
) -> None:
    count_case()
    make, reference = REFERENCES[name]
    (left, right), (top, bottom) = sorted(shares[:2]), sorted(shares[2:])
    height, width = source
    corner = torch.tensor([left * width, top * height, right * width, bottom * height], dtype=torch.float64)
    box = tv_tensors.BoundingBoxes(as_format(corner, box_format)[None], format=box_format, canvas_size=source)
    image, found = make(target)(tv_tensors.Image(torch.zeros(1, *source)), box)
    rows, columns = reference(source, target)
    expected = torch.stack(
        [scale * edge + offset for edge, (scale, offset) in zip(corner, (columns, rows, columns, rows), strict=True)]
    )
    torch.testing.assert_close(
        found.as_subclass(torch.Tensor)[0].double(), as_format(expected, box_format), rtol=1e-5, atol=1e-4
    )
    assert found.canvas_size == tuple(image.shape[-2:])
