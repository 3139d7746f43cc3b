"""Taps that only ever meet padding, and lines that a stride drops, against the gradients of plain convolutions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import resizenet as rn
from resizenet.models import BlurPool
from strategies import Slide, added_ends, slides


def unused_and_unread(slide: Slide) -> tuple[int, int]:
    """(taps that meet no cell, lines at the end that meet no tap), by the gradient of a sum of windows."""
    x = torch.ones(1, 1, slide.before, requires_grad=True)
    weight = torch.ones(1, 1, slide.kernel, requires_grad=True)
    F.conv1d(x, weight, None, slide.stride, slide.padding, slide.dilation).sum().backward()
    assert x.grad is not None
    assert weight.grad is not None
    read = x.grad.flatten().nonzero()
    return int((weight.grad == 0).sum()), slide.before - 1 - int(read.max()) if len(read) else slide.before


@given(slides, slides)
def test_used_taps_are_those_with_a_gradient(down: Slide, across: Slide) -> None:
    axes = [(s.kernel, s.stride, s.padding, s.dilation) for s in (down, across)]
    conv = nn.Conv2d(1, 1, *zip(*axes, strict=True))
    row = rn.report(nn.Sequential(conv), (down.before, across.before), in_channels=1).rows[0]
    used = [s.kernel - unused_and_unread(s)[0] for s in (down, across)]
    assert (row.kernel, row.used_taps) == ((down.kernel, across.kernel), used[0] * used[1])
    assert row.idle_taps == pytest.approx(1 - used[0] * used[1] / (down.kernel * across.kernel))


@given(slides.map(lambda s: replace(s, dilation=1, stride=min(s.stride, s.kernel))))
def test_dropped_lines_are_those_without_a_gradient(slide: Slide) -> None:
    conv = nn.Conv2d(1, 1, (slide.kernel, 1), (slide.stride, 1), (slide.padding, 0))
    found = rn.report(nn.Sequential(conv), (slide.before, 50), in_channels=1)
    dropped = unused_and_unread(slide)[1]
    told = [text for text in found.warnings if "drops" in text]
    assert told == [
        f"0: a stride of {slide.stride}x1 drops the last {dropped} of {slide.before} rows of the {slide.before}x50 map"
    ] * (dropped > 0)


@pytest.mark.parametrize(
    ("kernel", "stride", "side", "dropped"),
    [(2, 2, 7, 1), (3, 3, 8, 2), (1, 2, 8, 0), (1, 2, 7, 0), (1, 3, 8, 0), (2, 4, 8, 0), (2, 4, 9, 1)],
)
def test_lines_between_windows_are_not_dropped_lines(kernel: int, stride: int, side: int, dropped: int) -> None:
    found = rn.report(nn.Sequential(nn.Conv2d(1, 1, kernel, stride)), side, in_channels=1)
    assert [f"drops the last {dropped} of {side} rows" in text for text in found.warnings if "drops" in text] == [
        True
    ] * (dropped > 0)


PADS = {"zeros": nn.ZeroPad2d, "reflected": nn.ReflectionPad2d, "repeated": nn.ReplicationPad2d}


def padded(kind: str, ends: tuple[int, int], slide: Slide, *, pointwise: bool) -> nn.Sequential:
    """Lines of padding before and behind by a layer of its own, a pointwise layer or none, and a window whose weights are ones."""
    conv = nn.Conv2d(1, 1, (slide.kernel, 1), (slide.stride, 1), (slide.padding, 0), (slide.dilation, 1), bias=False)
    nn.init.ones_(conv.weight)
    return nn.Sequential(PADS[kind]((0, 0, *ends)), nn.ReLU() if pointwise else nn.Identity(), conv)


def told_and_gradients(net: nn.Sequential, side: int) -> tuple[rn.GeometryReport, Tensor, Tensor]:
    """The report, and the gradients of a sum of windows: of the first column of the image, and of the weights."""
    x = torch.ones(1, 1, side, 50, requires_grad=True)
    net(x).sum().backward()
    assert x.grad is not None
    return rn.report(net, (side, 50), in_channels=1), x.grad[0, 0, :, 0], net[2].weight.grad.flatten()


@pytest.mark.parametrize("kind", PADS)
@given(slides, added_ends, st.booleans())
@settings(max_examples=50)
def test_taps_that_only_ever_meet_zeros_of_a_padding_layer_are_idle_and_those_that_meet_copies_are_not(
    kind: str, slide: Slide, ends: tuple[int, int], pointwise: bool
) -> None:
    assume(kind != "reflected" or max(ends) < slide.before)
    found, _, of_weights = told_and_gradients(padded(kind, ends, slide, pointwise=pointwise), slide.before)
    assert found.rows[-1].used_taps == int((of_weights != 0).sum())


@given(slides.map(lambda s: replace(s, dilation=1, stride=min(s.stride, s.kernel))), added_ends, st.booleans())
@settings(max_examples=50)
def test_lines_of_a_padding_layer_are_not_dropped_lines(slide: Slide, ends: tuple[int, int], pointwise: bool) -> None:
    found, of_lines, _ = told_and_gradients(padded("zeros", ends, slide, pointwise=pointwise), slide.before)
    read = of_lines.nonzero()
    dropped = slide.before - 1 - int(read.max()) if len(read) else slide.before
    told = [text for text in found.warnings if "drops" in text]
    assert told == [
        f"2: a stride of {slide.stride}x1 drops the last {dropped} of {slide.before} rows of the {slide.before}x50 map"
    ] * (dropped > 0)


def test_a_blurred_pool_reads_every_row() -> None:
    x = torch.ones(1, 1, 16, 16, requires_grad=True)
    blur = BlurPool(1, 2)
    blur(x).sum().backward()
    assert x.grad is not None
    assert (x.grad > 0).all()
    assert rn.report(nn.Sequential(blur), 16, in_channels=1).warnings == ()


def test_a_blurred_network_drops_nothing() -> None:
    assert [
        text for text in rn.report(rn.create_model("resnet18", downsample="blur"), 32).warnings if "drops" in text
    ] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnetblur18", "tresnet_m"])
def test_blurred_networks_of_timm_drop_nothing(name: str) -> None:
    model = pytest.importorskip("timm").create_model(name)
    assert [text for text in rn.report(model, 224).warnings if "drops" in text] == []


@pytest.mark.parametrize(("cut", "dropped"), [(0, 0), (1, 0), (2, 3), (3, 2)])
def test_padding_that_is_cut_off_again_hides_no_dropped_line(cut: int, dropped: int) -> None:
    """8 rows, one of padding behind them, so many cut off there, and windows of 4 rows side by side."""
    net = nn.Sequential(nn.ZeroPad2d((0, 0, 0, 1)), nn.ZeroPad2d((0, 0, 0, -cut)), nn.Conv2d(1, 1, (4, 1), (4, 1)))
    told = [text for text in rn.report(net, (8, 50), in_channels=1).warnings if "drops" in text]
    assert told == [f"2: a stride of 4x1 drops the last {dropped} of {9 - cut} rows of the {9 - cut}x50 map"] * (
        dropped > 0
    )


class Halved(nn.Module):
    """Pairs of rows into channels."""

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        return x.reshape(b, c, h // 2, 2, w).transpose(2, 3).reshape(b, 2 * c, h // 2, w)


def test_padding_is_not_counted_in_cells_of_another_size() -> None:
    conv = nn.Conv2d(2, 1, (2, 1), (2, 1), bias=False)
    net = nn.Sequential(nn.ZeroPad2d((0, 0, 0, 2)), Halved(), conv)
    net(torch.ones(1, 1, 4, 5)).sum().backward()
    assert conv.weight.grad is not None
    assert (conv.weight.grad > 0).all()
    assert rn.report(net, (4, 5), in_channels=1).rows[-1].used_taps == 2


def test_a_stage_counts_the_idle_weights_of_all_its_kernels() -> None:
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 5, 1), nn.Conv2d(5, 5, 5, padding=2, groups=5))
    )
    stage = rn.report(net, 1, in_channels=2).rows[-1]
    idle, weights = 2 * 4 * 8 + 5 * 24, 2 * 4 * 9 + 4 * 5 + 5 * 25
    assert (stage.kernel, stage.used_taps) == ((5, 5), 1)
    assert stage.idle_taps == pytest.approx(idle / weights)


class Twice(nn.Module):
    """One convolution on one cell of the map, then on all of it, and the other way round."""

    def __init__(self, small_first: bool) -> None:
        super().__init__()
        self.conv, self.small_first = nn.Conv2d(2, 2, 3, padding=1), small_first

    def forward(self, x: Tensor) -> Tensor:
        maps = [x[:, :, :1, :1], x]
        return sum(self.conv(part).mean() for part in (maps if self.small_first else maps[::-1]))


@pytest.mark.parametrize("small_first", [True, False])
@pytest.mark.parametrize(("side", "used"), [(1, 1), (2, 9)])
def test_a_layer_that_is_called_twice_uses_a_tap_if_one_call_does(small_first: bool, side: int, used: int) -> None:
    assert rn.report(nn.Sequential(Twice(small_first)), side, in_channels=2).rows[-1].used_taps == used
