"""Strides and receptive fields behind a resize that shrinks by a whole factor, against the gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import resizenet as rn
from networks import Apply

Pair = tuple[int, int]
RESIZES = {
    **{f"{mode}, antialias": {"mode": mode, "antialias": True} for mode in ("bilinear", "bicubic")},
    **{mode: {"mode": mode} for mode in ("bilinear", "bicubic", "nearest-exact")},
}


def seen_lines(net: nn.Module, size: Pair, position: Pair) -> list[Pair]:
    """(first, last) line of the image that a position of the output depends on, by axis."""
    x = torch.rand(1, 3, *size, dtype=torch.float64, requires_grad=True)
    net.double()(x)[0, 0, position[0], position[1]].backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(0) > 1e-12
    lines = [seen.any(1 - axis).nonzero().flatten() for axis in (0, 1)]
    return [(int(found.min()), int(found.max())) for found in lines]


def reported_lines(net: nn.Module, size: Pair, position: Pair) -> list[Pair]:
    row = rn.report(net, size).rows[-1]
    firsts = [start + i * step for start, i, step in zip(row.field_start, position, row.stride, strict=True)]
    return [(first, first + field - 1) for first, field in zip(firsts, row.receptive_field, strict=True)]


@pytest.mark.parametrize("name", RESIZES)
@given(st.tuples(st.integers(1, 5), st.integers(1, 5)), st.booleans())
def test_shrinking_by_a_whole_factor_is_a_window(name: str, factors: Pair, by_scale: bool) -> None:
    target = {"scale_factor": tuple(1 / n for n in factors)} if by_scale else {"size": (16, 17)}
    net = nn.Sequential(Apply(lambda x: F.interpolate(x, **target, **RESIZES[name])), nn.Conv2d(3, 1, 2))
    size = 16 * factors[0], 17 * factors[1]
    assert reported_lines(net, size, (8, 8)) == seen_lines(net, size, (8, 8))


@pytest.mark.parametrize(
    "resize",
    [
        lambda x: F.interpolate(x, (20, 20), mode="bilinear"),
        lambda x: F.interpolate(x, (64, 64), mode="bilinear"),
        lambda x: F.interpolate(x, (16, 16), mode="bilinear", align_corners=True),
        lambda x: F.interpolate(x, scale_factor=0.49, mode="bilinear"),
    ],
)
def test_a_resize_that_is_no_window_is_unknown(resize: Callable[..., torch.Tensor]) -> None:
    row = rn.report(nn.Sequential(Apply(resize)), 32).rows[-1]
    assert (row.stride, row.receptive_field, row.reach) == (None, None, "unknown")


@pytest.mark.parametrize("size", [50, 16, (48, 50)])
def test_a_resizer_by_a_factor_that_is_not_whole_leaves_both_unknown(size: int | Pair) -> None:
    for resizer in (rn.FixedResizer(24), rn.LinearResizer(24), rn.LaplacianResizer(24), rn.Resizer(24)):
        found = rn.report(resizer.wrap(nn.Sequential(nn.Conv2d(3, 4, 3, 2))), size)
        assert (found.final.output_map, found.output_stride, found.receptive_field) == ((11, 11), None, None)


@pytest.mark.parametrize(
    ("resizer", "factors"),
    [
        (rn.FixedResizer, (3, 2)),
        (rn.Resizer, (2, 2)),
        (rn.Resizer, (3, 4)),
        (rn.LinearResizer, (2, 4)),
        (rn.LaplacianResizer, (2, 3)),
    ],
)
def test_a_model_behind_a_resizer_keeps_its_stride_and_field(resizer: type[nn.Module], factors: Pair) -> None:
    size = 24 * factors[0], 24 * factors[1]
    net = resizer(24).wrap(nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 1, 1))).eval()
    for parameter in net.parameters():
        parameter.data = torch.rand_like(parameter) + 0.1  # nothing cancels
    assert rn.report(net, size).rows[-1].stride == (2 * factors[0], 2 * factors[1])
    assert reported_lines(net, size, (5, 5)) == seen_lines(net, size, (5, 5))
