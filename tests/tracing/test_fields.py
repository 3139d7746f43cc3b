"""Receptive fields and strides against probes that share nothing with the library: gradients, and NaNs that spread."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
import torch
import torchvision
from einops.layers.torch import Rearrange
from hypothesis import Phase, assume, example, find, given, settings
from torch import nn

import resizenet as rn
from networks import Apply, build, space_to_depth
from resizenet.geometry import Row
from strategies import Branches, Layer, small_networks

Pair = tuple[int, int]


def last_row(net: nn.Module, size: Pair) -> Row:
    return [row for row in rn.report(net, size, in_channels=2).rows if row.parent == ""][-1]


# --- random networks and the gradient


def seen_lines(net: nn.Module, size: Pair, position: Pair) -> list[Pair]:
    """(first, last) line of the image with a gradient, by axis; every weight is positive, so nothing cancels."""
    net = net.double()
    for parameter in net.parameters():
        parameter.data = torch.rand_like(parameter) + 0.1
    x = torch.ones(1, 2, *size, dtype=torch.float64, requires_grad=True)
    net(x)[0, :, position[0], position[1]].sum().backward()
    assert x.grad is not None
    seen = x.grad[0].sum(0) > 0
    lines = [seen.any(1 - axis).nonzero().flatten() for axis in (0, 1)]
    return [(int(found.min()), int(found.max())) for found in lines]


def size_without_border(net: nn.Module) -> Pair:
    """A size at which a position in the middle sees no border. The test asserts that it does not."""
    row = last_row(net, (301, 307))
    assert row.receptive_field is not None
    assert row.stride is not None
    assume(max(row.receptive_field) < 120)
    height, width = (2 * field + 4 * stride + 9 for field, stride in zip(row.receptive_field, row.stride, strict=True))
    return height, width


@given(small_networks)
@example([Layer("space_to_depth"), Layer("crop", padding=(1, 2), stride=(2, 1))])
@example([Layer("conv", (3, 3), (2, 2)), Layer("pad", padding=(1, 2)), Layer("conv", (2, 2))])
@example([Layer("space_to_depth"), Branches(((Layer("conv"),), (Layer("average"),)), "cat")])
@settings(max_examples=60)
def test_fields_strides_and_offsets_are_those_of_the_gradient(plans: list[Layer | Branches]) -> None:
    net = build(plans)
    size = size_without_border(net)
    row = last_row(net, size)
    assert row.reach == "window"
    assert None not in (row.output_map, row.field_start, row.stride)
    position = (row.output_map[0] // 2, row.output_map[1] // 2)
    reported = [
        (start + i * stride, start + i * stride + field - 1)
        for start, i, stride, field in zip(row.field_start, position, row.stride, row.receptive_field, strict=True)
    ]
    seen = seen_lines(net, size, position)
    assert reported == seen
    assert all(first > 0 and last < length - 1 for (first, last), length in zip(seen, size, strict=True))


REGIONS: dict[str, Callable[[list[Layer | Branches]], bool]] = {
    "a sum": lambda plans: any(isinstance(p, Branches) and p.join == "add" and len(p.paths) > 2 for p in plans),
    "a concatenation": lambda plans: any(isinstance(p, Branches) and p.join == "cat" for p in plans),
    "an even kernel with dilation": lambda plans: any(
        isinstance(p, Layer) and p.kind == "conv" and p.kernel[0] == 4 and p.dilation[0] == 3 for p in plans
    ),
    "a crop of both sides": lambda plans: any(
        isinstance(p, Layer) and p.kind == "crop" and min(p.padding) > 0 for p in plans
    ),
    "a change of layout behind a stride": lambda plans: any(
        isinstance(a, Layer) and a.stride > (1, 1) and isinstance(b, Layer) and b.kind == "permuted"
        for a, b in pairwise(plans)
    ),
}


@pytest.mark.parametrize("region", REGIONS)
def test_the_random_networks_reach_the_region(region: str) -> None:
    search = settings(max_examples=2000, deadline=None, database=None, phases=[Phase.generate])
    assert find(small_networks, REGIONS[region], settings=search, random=Random(0))


# --- networks that a gradient cannot probe, such as a maximum, and others that are not random


def residual() -> nn.Module:
    long = nn.Sequential(nn.Conv2d(2, 2, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(2, 2, (5, 3), padding=(2, 1)))
    return Apply(lambda x, long, short: (long(x) + short(x)).relu(), long=long, short=nn.Conv2d(2, 2, 1, stride=2))


NETS: dict[str, Callable[[], list[nn.Module]]] = {
    "strided and dilated": lambda: [
        nn.Conv2d(2, 3, 3, stride=2),
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 2, 3, dilation=2),
        nn.Conv2d(2, 1, 2),
    ],
    "pools": lambda: [
        nn.Conv2d(2, 2, 5, padding=2),
        nn.MaxPool2d(3, 2, padding=1),
        nn.AvgPool2d(2),
        nn.Conv2d(2, 2, 3),
    ],
    "dilated max pool": lambda: [nn.MaxPool2d(3, 1, dilation=3), nn.Conv2d(2, 2, 2, stride=3), nn.Hardtanh()],
    "residual": lambda: [residual(), residual()],
    "branches": lambda: [
        nn.Conv2d(2, 2, 3, stride=(1, 2)),
        Apply(
            lambda x, **branches: torch.cat([branch(x) for branch in branches.values()], 1),
            wide=nn.Conv2d(2, 2, (1, 7), padding=(0, 3)),
            tall=nn.Conv2d(2, 2, (9, 1), padding=(4, 0)),
            pool=nn.MaxPool2d(3, stride=1, padding=1),
        ),
    ],
    "grouped": lambda: [nn.Conv2d(2, 4, 3, groups=2), nn.Conv2d(4, 4, (3, 1), stride=(2, 1), groups=4), nn.SiLU()],
    "option A": lambda: [
        rn.models.ResNet(rn.models.BasicBlock, (1, 1), (2, 4), in_channels=2, num_classes=0, shortcut="pad").stages
    ],
    "equal bins": lambda: [nn.ZeroPad2d((0, 2, 0, 2)), nn.AdaptiveAvgPool2d((9, 23)), nn.Conv2d(2, 1, 3)],
    "pixel unshuffle": lambda: [nn.ZeroPad2d((3, 2, 1, 4)), nn.PixelUnshuffle(3), nn.Conv2d(18, 1, 3)],
    "shuffled channels": lambda: [nn.Conv2d(2, 6, 3), nn.ChannelShuffle(3), nn.Conv2d(6, 2, 3, stride=2)],
    "pixels into channels": lambda: [nn.Identity(), Apply(space_to_depth)],
    "pixels into channels, and a shortcut": lambda: [
        Apply(space_to_depth),
        Apply(lambda x, conv: x + conv(x), conv=nn.Conv2d(8, 8, 3, padding=1)),
    ],
    "ConvNeXt": lambda: [
        nn.Conv2d(2, 8, 2, 2),
        torchvision.models.convnext.CNBlock(8, 1.0, 0.0),
        nn.Conv2d(8, 1, 2, 2),
    ],
    "patches merged": lambda: [
        Rearrange("b c (h p) (w q) -> b (h w) (p q c)", p=2, q=2, h=30),
        nn.Linear(8, 3),
        Rearrange("b (h w) c -> b c h w", h=30),
        nn.Conv2d(3, 1, 3),
    ],
    "windows and back": lambda: [
        Rearrange("b c (y h) (x w) -> (b y x) (h w) c", h=3, w=6),
        nn.Linear(2, 2),
        Rearrange("(b y x) (h w) c -> b c (y h) (x w)", y=20, x=11, h=3),
        nn.Conv2d(2, 1, 5),
    ],
    "activations in place": lambda: [
        nn.Conv2d(2, 3, 3),
        Apply(lambda x: torch.ops.aten.gelu_(torch.ops.aten.hardtanh_(x, 0.0, 6.0))),
        nn.Conv2d(3, 1, 3),
    ],
    "a slice that leaves nothing out": lambda: [  # as some versions of torch slice
        nn.Conv2d(2, 4, 3, 2, 1),
        Apply(lambda x: torch.ops.aten.slice.Tensor(x.flatten(2), 2, 0, x[0, 0].numel()).unflatten(2, x.shape[2:])),
        nn.Conv2d(4, 4, 3),
    ],
}
SIZES = {"patches merged": (60, 66), "windows and back": (60, 66)}


def probe(net: nn.Module, size: Pair) -> list[Pair]:
    """(receptive field, stride) by axis: a NaN spreads to every position that sees it, whatever the weights."""
    found = []
    for axis, length in enumerate(size):
        x = torch.ones(length, 2, *size)
        for line in range(length):
            x[line].select(axis + 1, line).fill_(torch.nan)
        with torch.no_grad():
            maps = torch.cat([net.eval()(image[None]) for image in x])
        seen = maps.isnan().any(1).any(2 - axis)  # (line of the image, line of the map)
        middle = seen.shape[1] // 2
        first, after = (seen[:, position].nonzero() for position in (middle, middle + 1))
        assert first.min() > 0
        assert after.max() < length - 1
        found.append((int(first.max() - first.min()) + 1, int(after.min() - first.min())))
    return found


@pytest.mark.parametrize("name", NETS)
def test_receptive_fields_and_strides_are_those_that_a_probe_finds(name: str) -> None:
    net, size = nn.Sequential(*NETS[name]()), SIZES.get(name, (61, 67))
    row = last_row(net, size)
    assert list(zip(row.receptive_field, row.stride, strict=True)) == probe(net, size)
