"""Taps that only ever meet padding, and lines that a stride drops, against the gradients of plain convolutions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import resizenet as rn
from networks import Apply
from resizenet.models import BlurPool
from strategies import Slide, added_ends, slides

Pair = tuple[int, int]
WIDTH = 50  # of the images: only their rows are looked at

overlapping_slides = slides.map(lambda s: replace(s, dilation=1, stride=min(s.stride, s.kernel)))
PADS = {"zeros": nn.ZeroPad2d, "reflected": nn.ReflectionPad2d, "repeated": nn.ReplicationPad2d}


def padded(ends: Pair, slide: Slide, *, kind: str = "zeros", pointwise: bool = False) -> nn.Sequential:
    """A layer that adds rows of padding, a pointwise layer or none, and a convolution of ones along the rows."""
    conv = nn.Conv2d(1, 1, (slide.kernel, 1), (slide.stride, 1), (slide.padding, 0), (slide.dilation, 1), bias=False)
    nn.init.ones_(conv.weight)
    return nn.Sequential(PADS[kind]((0, 0, *ends)), nn.ReLU() if pointwise else nn.Identity(), conv)


def gradients(net: nn.Sequential, rows: int) -> tuple[Tensor, Tensor]:
    """Of the sum of all windows: one per row of the image, and one per tap."""
    x = torch.ones(1, 1, rows, WIDTH, requires_grad=True)
    net(x).sum().backward()
    assert x.grad is not None
    return x.grad[0, 0, :, 0], net[2].weight.grad.flatten()


def unread_rows(net: nn.Sequential, rows: int) -> int:
    """How many rows at the image's end have no gradient."""
    read = gradients(net, rows)[0].nonzero()
    return rows - 1 - int(read.max()) if len(read) else rows


def drop_warnings(net: nn.Module, size: int | Pair, *, in_channels: int = 1) -> list[str]:
    return [text for text in rn.report(net, size, in_channels=in_channels).warnings if "drops" in text]


@given(slides, slides)
def test_used_taps_are_those_with_a_gradient(down: Slide, across: Slide) -> None:
    axes = [(s.kernel, s.stride, s.padding, s.dilation) for s in (down, across)]
    conv = nn.Conv2d(1, 1, *zip(*axes, strict=True))
    row = rn.report(nn.Sequential(conv), (down.before, across.before), in_channels=1).rows[0]
    used = [int((gradients(padded((0, 0), s), s.before)[1] != 0).sum()) for s in (down, across)]
    assert (row.kernel, row.used_taps) == ((down.kernel, across.kernel), used[0] * used[1])
    assert row.idle_taps == pytest.approx(1 - used[0] * used[1] / (down.kernel * across.kernel))


@pytest.mark.parametrize("kind", PADS)
@given(slides, added_ends, st.booleans())
@settings(max_examples=50)
def test_taps_are_idle_on_zeros_of_a_padding_layer_and_not_on_copies(
    kind: str, slide: Slide, ends: Pair, pointwise: bool
) -> None:
    assume(kind != "reflected" or max(ends) < slide.before)
    net = padded(ends, slide, kind=kind, pointwise=pointwise)
    row = rn.report(net, (slide.before, WIDTH), in_channels=1).rows[-1]
    assert row.used_taps == int((gradients(net, slide.before)[1] != 0).sum())


@given(overlapping_slides, st.one_of(st.just((0, 0)), added_ends), st.booleans())
@settings(max_examples=100)
def test_dropped_rows_are_those_of_the_image_without_a_gradient(slide: Slide, ends: Pair, pointwise: bool) -> None:
    net = padded(ends, slide, pointwise=pointwise)
    dropped, rows = unread_rows(net, slide.before), slide.before
    warning = f"2: a stride of {slide.stride}x1 drops the last {dropped} of {rows} rows of the {rows}x{WIDTH} map"
    assert drop_warnings(net, (rows, WIDTH)) == [warning] * (dropped > 0)


@pytest.mark.parametrize(
    ("kernel", "stride", "side", "dropped"),
    [(2, 2, 7, 1), (3, 3, 8, 2), (1, 2, 8, 0), (1, 2, 7, 0), (1, 3, 8, 0), (2, 4, 8, 0), (2, 4, 9, 1)],
)
def test_rows_between_windows_are_not_dropped_rows(kernel: int, stride: int, side: int, dropped: int) -> None:
    found = drop_warnings(nn.Sequential(nn.Conv2d(1, 1, kernel, stride)), side)
    assert [f"drops the last {dropped} of {side} rows" in text for text in found] == [True] * (dropped > 0)


@pytest.mark.parametrize(("cut", "dropped"), [(0, 0), (1, 0), (2, 3), (3, 2)])
def test_padding_that_is_cut_off_again_hides_no_dropped_row(cut: int, dropped: int) -> None:
    """8 rows, one of padding behind them, ``cut`` rows cut off there, and windows of 4 rows side by side."""
    net = nn.Sequential(nn.ZeroPad2d((0, 0, 0, 1)), nn.ZeroPad2d((0, 0, 0, -cut)), nn.Conv2d(1, 1, (4, 1), (4, 1)))
    warning = f"2: a stride of 4x1 drops the last {dropped} of {9 - cut} rows of the {9 - cut}x{WIDTH} map"
    assert drop_warnings(net, (8, WIDTH)) == [warning] * (dropped > 0)


def test_blurred_networks_drop_nothing() -> None:
    x = torch.ones(1, 1, 16, 16, requires_grad=True)
    blur = BlurPool(1, 2)
    blur(x).sum().backward()
    assert x.grad is not None
    assert (x.grad > 0).all()
    assert rn.report(nn.Sequential(blur), 16, in_channels=1).warnings == ()
    assert drop_warnings(rn.create_model("resnet18", downsample="blur"), 32, in_channels=3) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnetblur18", "tresnet_m"])
def test_blurred_networks_of_timm_drop_nothing(name: str) -> None:
    assert drop_warnings(pytest.importorskip("timm").create_model(name), 224, in_channels=3) == []


def rows_to_channels(x: Tensor) -> Tensor:
    """Pairs of rows become channels."""
    b, c, h, w = x.shape
    return x.reshape(b, c, h // 2, 2, w).transpose(2, 3).reshape(b, 2 * c, h // 2, w)


def test_padding_is_not_counted_in_positions_of_another_size() -> None:
    net = nn.Sequential(nn.ZeroPad2d((0, 0, 0, 2)), Apply(rows_to_channels), nn.Conv2d(2, 1, (2, 1), (2, 1)))
    assert (gradients(net, 4)[1] != 0).all()
    assert rn.report(net, (4, WIDTH), in_channels=1).rows[-1].used_taps == 2


def test_a_stage_counts_the_idle_weights_of_all_its_kernels() -> None:
    convs = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 5, 1), nn.Conv2d(5, 5, 5, padding=2, groups=5)
    stage = rn.report(nn.Sequential(nn.Sequential(*convs)), 1, in_channels=2).rows[-1]
    idle, weights = 2 * 4 * 8 + 5 * 24, 2 * 4 * 9 + 4 * 5 + 5 * 25
    assert (stage.kernel, stage.used_taps) == ((5, 5), 1)
    assert stage.idle_taps == pytest.approx(idle / weights)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("side", "used"), [(1, 1), (2, 9)])
def test_a_layer_that_is_called_twice_uses_a_tap_if_one_call_does(order: int, side: int, used: int) -> None:
    """One call is on a single position of the map, the other on all of it."""
    conv = nn.Conv2d(2, 2, 3, padding=1)
    twice = Apply(lambda x, conv: sum(conv(part).mean() for part in [x[:, :, :1, :1], x][::order]), conv=conv)
    assert rn.report(nn.Sequential(twice), side, in_channels=2).rows[-1].used_taps == used
