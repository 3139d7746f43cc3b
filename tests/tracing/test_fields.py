"""Receptive fields, strides and layouts against probes that share nothing with the library: gradients, and NaNs that spread."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
import torch
import torchvision
from einops.layers.torch import Rearrange
from hypothesis import Phase, assume, example, find, given, settings
from torch import Tensor, nn

import resizenet as rn
from resizenet.geometry import Row
from strategies import Branches, Layer, small_networks

Pair = tuple[int, int]

# --- random networks and the gradient


class Permuted(nn.Module):
    """A pointwise layer in channels-last order, as in ConvNeXt and Swin."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Crop(nn.Module):
    def __init__(self, start: Pair, step: Pair) -> None:
        super().__init__()
        self.start, self.step = start, step

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, self.start[0] :: self.step[0], self.start[1] :: self.step[1]]


class Parallel(nn.Module):
    def __init__(self, paths: list[nn.Module], join: str) -> None:
        super().__init__()
        self.paths, self.join = nn.ModuleList(paths), join

    def forward(self, x: Tensor) -> Tensor:
        maps = [path(x) for path in self.paths]
        return sum(maps[1:], maps[0]) if self.join == "add" else torch.cat(maps, 1)


def layer(plan: Layer, channels: int) -> tuple[nn.Module, int]:
    """The module, and the channels that it makes."""
    if plan.kind == "conv":
        return nn.Conv2d(channels, 2, plan.kernel, plan.stride, plan.padding, plan.dilation), 2
    if plan.kind == "average":
        return nn.AvgPool2d(
            plan.kernel,
            plan.stride,
            (min(plan.padding[0], plan.kernel[0] // 2), min(plan.padding[1], plan.kernel[1] // 2)),
        ), channels
    if plan.kind == "crop":
        return Crop(plan.padding, plan.stride), channels
    if plan.kind == "pad":
        return nn.ZeroPad2d((plan.padding[1], 1, plan.padding[0], 0)), channels
    return (Permuted(channels), 2) if plan.kind == "permuted" else (SpaceToDepth(), 4 * channels)


class SpaceToDepth(nn.Module):
    """By 2, of a map whose odd line is cut off."""

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        x = x[:, :, : h // 2 * 2, : w // 2 * 2].reshape(b, c, h // 2, 2, w // 2, 2)
        return x.permute(0, 3, 5, 1, 2, 4).reshape(b, 4 * c, h // 2, w // 2)


def network(plans: list[Layer | Branches]) -> nn.Sequential:
    steps: list[nn.Module] = []
    channels = 2
    for plan in plans:
        if isinstance(plan, Branches):
            paths = [path_of(path, channels) for path in plan.paths]
            assume(plan.join == "cat" or len({made for _, made in paths}) == 1)
            steps.append(Parallel([path for path, _ in paths], plan.join))
            channels = sum(made for _, made in paths) if plan.join == "cat" else paths[0][1]
        else:
            step, channels = layer(plan, channels)
            steps.append(step)
    return nn.Sequential(*steps, nn.Conv2d(channels, 1, 1))  # last: one number per cell


def path_of(plans: tuple[Layer, ...], channels: int) -> tuple[nn.Module, int]:
    steps = []
    for plan in plans:
        step, channels = layer(plan, channels)
        steps.append(step)
    return nn.Sequential(*steps), channels


def gradient_hull(net: nn.Module, size: Pair, cell: Pair) -> list[Pair]:
    """(first, last) line of the image that a cell of the map depends on, by axis. Every weight is positive, so nothing cancels."""
    net = net.double()
    for parameter in net.parameters():
        parameter.data = torch.rand_like(parameter) + 0.1
    x = torch.ones(1, 2, *size, dtype=torch.float64, requires_grad=True)
    net(x)[0, :, cell[0], cell[1]].sum().backward()
    assert x.grad is not None
    seen = x.grad[0].sum(0) > 0
    lines = [seen.any(1 - axis).nonzero().flatten() for axis in (0, 1)]
    return [(int(found.min()), int(found.max())) for found in lines]


def top(net: nn.Module, size: Pair) -> Row:
    return [row for row in rn.report(net, size, in_channels=2).rows if row.parent == ""][-1]


def enough_pixels(net: nn.Module) -> Pair:
    """So many that a cell in the middle sees no border; what the report says is only a hint, the probe would touch the border if it was too small."""
    row = top(net, (301, 307))
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
    net = network(plans)
    size = enough_pixels(net)
    row = top(net, size)
    assert row.reach == "window"
    assert None not in (row.output_map, row.field_start, row.stride)
    cell = (row.output_map[0] // 2, row.output_map[1] // 2)
    claimed = [
        (start + i * stride, start + i * stride + field - 1)
        for start, i, stride, field in zip(row.field_start, cell, row.stride, row.receptive_field, strict=True)
    ]
    hull = gradient_hull(net, size, cell)
    assert claimed == hull
    assert all(first > 0 and last < length - 1 for (first, last), length in zip(hull, size, strict=True))


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
    assert find(
        small_networks,
        REGIONS[region],
        settings=settings(max_examples=2000, deadline=None, database=None, phases=[Phase.generate]),
        random=Random(0),
    )


# --- pools that only keep a maximum, and other networks that are not random


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.long = nn.Sequential(
            nn.Conv2d(2, 2, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(2, 2, (5, 3), padding=(2, 1))
        )
        self.short = nn.Conv2d(2, 2, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.long(x) + self.short(x))


class Shortcut(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class AsBranches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(2, 2, (1, 7), padding=(0, 3))
        self.tall = nn.Conv2d(2, 2, (9, 1), padding=(4, 0))
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.wide(x), self.tall(x), self.pool(x)], 1)


NETS = {
    "strided and dilated": lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=2), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 3, dilation=2), nn.Conv2d(2, 1, 2)
    ),
    "pools": lambda: nn.Sequential(
        nn.Conv2d(2, 2, 5, padding=2), nn.MaxPool2d(3, 2, padding=1), nn.AvgPool2d(2), nn.Conv2d(2, 2, 3)
    ),
    "dilated max pool": lambda: nn.Sequential(
        nn.MaxPool2d(3, 1, dilation=3), nn.Conv2d(2, 2, 2, stride=3), nn.Hardtanh()
    ),
    "residual": lambda: nn.Sequential(Residual(), Residual()),
    "branches": lambda: nn.Sequential(nn.Conv2d(2, 2, 3, stride=(1, 2)), AsBranches()),
    "grouped": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, groups=2), nn.Conv2d(4, 4, (3, 1), stride=(2, 1), groups=4), nn.SiLU()
    ),
    "option A": lambda: nn.Sequential(
        rn.models.ResNet(rn.models.BasicBlock, (1, 1), (2, 4), in_channels=2, num_classes=0, shortcut="pad").stages
    ),
    "equal bins": lambda: nn.Sequential(nn.ZeroPad2d((0, 2, 0, 2)), nn.AdaptiveAvgPool2d((9, 23)), nn.Conv2d(2, 1, 3)),
    "pixel unshuffle": lambda: nn.Sequential(nn.ZeroPad2d((3, 2, 1, 4)), nn.PixelUnshuffle(3), nn.Conv2d(18, 1, 3)),
    "shuffled channels": lambda: nn.Sequential(nn.Conv2d(2, 6, 3), nn.ChannelShuffle(3), nn.Conv2d(6, 2, 3, stride=2)),
    "pixels into channels": lambda: nn.Sequential(nn.Identity(), SpaceToDepth()),
    "pixels into channels, and a shortcut": lambda: nn.Sequential(SpaceToDepth(), Shortcut()),
    "ConvNeXt": lambda: nn.Sequential(
        nn.Conv2d(2, 8, 2, 2), torchvision.models.convnext.CNBlock(8, 1.0, 0.0), nn.Conv2d(8, 1, 2, 2)
    ),
    "patches merged": lambda: nn.Sequential(
        Rearrange("b c (h p) (w q) -> b (h w) (p q c)", p=2, q=2, h=30),
        nn.Linear(8, 3),
        Rearrange("b (h w) c -> b c h w", h=30),
        nn.Conv2d(3, 1, 3),
    ),
    "windows and back": lambda: nn.Sequential(
        Rearrange("b c (y h) (x w) -> (b y x) (h w) c", h=3, w=6),
        nn.Linear(2, 2),
        Rearrange("(b y x) (h w) c -> b c (y h) (x w)", y=20, x=11, h=3),
        nn.Conv2d(2, 1, 5),
    ),
}
SIZES = {"patches merged": (60, 66), "windows and back": (60, 66)}


def poisoned_fields(net: nn.Module, size: Pair) -> tuple[Pair, Pair]:
    """(receptive field, stride), by axis: a NaN spreads to every cell that sees it, whatever the weights."""
    fields, strides = [], []
    for axis, length in enumerate(size):
        x = torch.ones(length, 2, *size)
        for line in range(length):
            x[line].select(axis + 1, line).fill_(torch.nan)
        with torch.no_grad():
            seen = (
                torch.cat([net.eval()(image[None]) for image in x]).isnan().any(1).any(2 - axis)
            )  # (line of the image, line of the map)
        middle = seen.shape[1] // 2
        first, after = (seen[:, cell].nonzero() for cell in (middle, middle + 1))
        assert first.min() > 0
        assert after.max() < length - 1
        fields.append(int(first.max() - first.min()) + 1)
        strides.append(int(after.min() - first.min()))
    return (fields[0], fields[1]), (strides[0], strides[1])


@pytest.mark.parametrize("name", NETS)
def test_receptive_fields_are_those_that_a_probe_finds(name: str) -> None:
    net, size = NETS[name](), SIZES.get(name, (61, 67))
    last = top(net, size)
    assert (last.receptive_field, last.stride) == poisoned_fields(net, size)


# --- what is no window


@pytest.mark.parametrize(
    "module",
    [nn.ConvTranspose2d(2, 2, 3, stride=2), nn.Upsample(scale_factor=2), nn.AdaptiveAvgPool2d(3)],
    ids=lambda m: type(m).__name__,
)
def test_a_field_that_is_no_window_is_unknown_rather_than_wrong(module: nn.Module) -> None:
    row = rn.report(nn.Sequential(module), (17, 19), in_channels=2).rows[0]
    assert (row.receptive_field, row.stride, row.reach) == (None, None, "unknown")


class Squeeze(nn.Module):
    """A gate, or the same thing added: both see the whole map, one only scales it."""

    def __init__(self, added: bool) -> None:
        super().__init__()
        self.added, self.layer = added, nn.Conv2d(2, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        context = torch.sigmoid(self.layer(x.mean((2, 3), keepdim=True)))
        return x + context if self.added else x * context


class Products(nn.Module):
    """Attention whose scores are not normalised, of tokens (B, N, C)."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens @ tokens.transpose(1, 2) @ tokens


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(2, 1, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.inner(tokens, tokens, tokens)[0]


class Tokens(nn.Module):
    """Attention over all cells, or over windows of them, with or without a class token, and back to a map."""

    def __init__(self, attention: nn.Module, *, windows: bool = False, token: bool = False) -> None:
        super().__init__()
        self.attention, self.windows, self.token = attention, windows, token

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        x = x.permute(0, 2, 3, 1)
        x = (
            x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(2, 3).reshape(-1, 4, c)
            if self.windows
            else x.reshape(b, h * w, c)
        )
        x = torch.cat([x.new_zeros(len(x), 1, c), x], 1) if self.token else x
        x = self.attention(x)
        x = x[:, 1:] if self.token else x
        x = x.reshape(b, h // 2, w // 2, 2, 2, c).transpose(2, 3) if self.windows else x
        return x.reshape(b, h, w, c).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("block", "reach", "stride", "field"),
    [
        (Squeeze(added=False), "gated", (3, 3), (5, 5)),
        (Squeeze(added=True), "image", (3, 3), None),
        (Tokens(Attention()), "image", (3, 3), None),
        (Tokens(Products()), "image", (3, 3), None),
        (Tokens(Attention(), windows=True), "unknown", (3, 3), None),
        (Tokens(Products(), windows=True), "unknown", (3, 3), None),
        (nn.GroupNorm(1, 2), "gated", (3, 3), (5, 5)),
        (nn.InstanceNorm2d(2), "gated", (3, 3), (5, 5)),
        (nn.BatchNorm2d(2), "window", (3, 3), (5, 5)),
    ],
)
def test_what_sees_more_than_a_window_is_said_to_and_keeps_its_stride(
    block: nn.Module, reach: str, stride: Pair, field: Pair | None
) -> None:
    row = rn.report(
        nn.Sequential(nn.Sequential(nn.Conv2d(2, 2, 5, stride=3, padding=1), block)), (26, 32), in_channels=2
    ).rows[-1]
    assert (row.output_map, row.reach, row.stride, row.receptive_field) == ((8, 10), reach, stride, field)


@pytest.mark.parametrize("size", [(1, 6), (6, 1)])
@pytest.mark.parametrize("attention", [Attention(), Products()], ids=lambda m: type(m).__name__)
def test_attention_over_a_map_of_one_line_sees_all_of_it(size: Pair, attention: nn.Module) -> None:
    row = rn.report(nn.Sequential(Tokens(attention)), size, in_channels=2).rows[-1]
    assert (row.output_map, row.reach) == (size, "image")


def test_a_map_is_found_again_behind_tokens_that_have_lost_it() -> None:
    net = nn.Sequential(Tokens(Attention(), token=True), nn.Conv2d(2, 2, 3))
    row = rn.report(net, (8, 10), in_channels=2).rows[-1]
    assert (row.output_map, row.stride, row.receptive_field, row.reach) == ((6, 8), None, None, "image")


def test_channels_last_maps_are_maps_and_pooled_vectors_are_not() -> None:
    net = nn.Sequential(
        Rearrange("b c h w -> b h w c"),
        nn.LayerNorm(2),
        Rearrange("b h w c -> b c h w"),
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(2, 5, 1),
    )
    maps = [(row.output_map, row.channels) for row in rn.report(net, (7, 9), in_channels=2).rows]
    assert maps == [((7, 9), 2)] * 3 + [(None, None)] * 2


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (2, 2)])
def test_maps_of_one_line_survive_changes_of_layout(size: Pair) -> None:
    tokens = Rearrange("b c h w -> b (h w) c"), Rearrange("b (h w) c -> b c h w", h=size[0])
    others = Rearrange("b c h w -> b (h w) c"), Rearrange("b n c -> b c n"), nn.Unflatten(2, size)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 1), Permuted(3), *tokens, nn.Conv2d(2, 2, 1), *others, nn.Conv2d(2, 2, 3, padding=1)
    )
    rows = rn.report(net, size, in_channels=2).rows
    assert [row.output_map for row in rows if row.kind in ("Permuted", "Conv2d")] == [size] * 4
    assert rows[-1].receptive_field == (3, 3)


class InPlace(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.gelu_(torch.ops.aten.hardtanh_(x, 0.0, 6.0))


def test_activations_in_place_keep_the_field() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 3), InPlace(), nn.Conv2d(3, 1, 3))
    assert rn.report(net, (9, 11), in_channels=2).rows[-1].receptive_field == (5, 5)


class WholeSlice(nn.Module):
    """All tokens of a map, sliced as some versions of torch slice where nothing is left out, and the map again."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2)
        return torch.ops.aten.slice.Tensor(tokens, 2, 0, tokens.shape[2]).unflatten(2, x.shape[2:])


def test_a_slice_that_leaves_nothing_out_keeps_the_field() -> None:
    rows = rn.report(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), WholeSlice(), nn.Conv2d(4, 4, 3)), 32).rows
    assert (rows[-1].stride, rows[-1].receptive_field, rows[-1].output_map) == ((2, 2), (7, 7), (14, 14))
