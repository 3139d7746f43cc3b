"""Maps, strides and reach behind operations that see more than a window or change the order of dimensions."""

from __future__ import annotations

import pytest
import torch
from einops.layers.torch import Rearrange
from torch import Tensor, nn

import resizenet as rn
from networks import Apply, pointwise_channels_last
from resizenet.geometry import Row

Pair = tuple[int, int]


def rows(net: nn.Module, size: Pair) -> tuple[Row, ...]:
    return rn.report(net, size, in_channels=2).rows


def context(*, added: bool) -> nn.Module:
    """A value per channel from the whole map that scales the map (a gate) or is added to it."""

    def forward(x: Tensor, conv: nn.Module) -> Tensor:
        value = conv(x.mean((2, 3), keepdim=True)).sigmoid()
        return x + value if added else x * value

    return Apply(forward, conv=nn.Conv2d(2, 2, 1))


def attention() -> nn.Module:
    inner = nn.MultiheadAttention(2, 1, batch_first=True)
    return Apply(lambda tokens, inner: inner(tokens, tokens, tokens)[0], inner=inner)


def products() -> nn.Module:
    """Attention without a softmax, of tokens (B, N, C)."""
    return Apply(lambda tokens: tokens @ tokens.transpose(1, 2) @ tokens)


def on_tokens(inner: nn.Module, *, windows: bool = False, class_token: bool = False) -> nn.Module:
    """Attention over all positions or inside 2x2 windows, with or without a class token, and back to a map."""

    def forward(x: Tensor, inner: nn.Module) -> Tensor:
        b, c, h, w = x.shape
        x = x.permute(0, 2, 3, 1)
        if windows:
            x = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(2, 3).reshape(-1, 4, c)
        else:
            x = x.reshape(b, h * w, c)
        x = torch.cat([x.new_zeros(len(x), 1, c), x], 1) if class_token else x
        x = inner(x)
        x = x[:, 1:] if class_token else x
        x = x.reshape(b, h // 2, w // 2, 2, 2, c).transpose(2, 3) if windows else x
        return x.reshape(b, h, w, c).permute(0, 3, 1, 2)

    return Apply(forward, inner=inner)


@pytest.mark.parametrize(
    ("block", "reach", "field"),
    [
        (context(added=False), "gated", (5, 5)),
        (context(added=True), "image", None),
        (on_tokens(attention()), "image", None),
        (on_tokens(products()), "image", None),
        (on_tokens(attention(), windows=True), "unknown", None),
        (on_tokens(products(), windows=True), "unknown", None),
        (nn.GroupNorm(1, 2), "gated", (5, 5)),
        (nn.InstanceNorm2d(2), "gated", (5, 5)),
        (nn.BatchNorm2d(2), "window", (5, 5)),
    ],
)
def test_reach_is_reported_and_the_stride_is_kept(block: nn.Module, reach: str, field: Pair | None) -> None:
    net = nn.Sequential(nn.Sequential(nn.Conv2d(2, 2, 5, stride=3, padding=1), block))
    row = rows(net, (26, 32))[-1]
    assert (row.output_map, row.reach, row.stride, row.receptive_field) == ((8, 10), reach, (3, 3), field)


@pytest.mark.parametrize("size", [(1, 6), (6, 1)])
@pytest.mark.parametrize("inner", [attention(), products()], ids=["attention", "products"])
def test_attention_over_a_map_of_one_line_sees_all_of_it(size: Pair, inner: nn.Module) -> None:
    row = rows(nn.Sequential(on_tokens(inner)), size)[-1]
    assert (row.output_map, row.reach) == (size, "image")


@pytest.mark.parametrize(
    "module",
    [nn.ConvTranspose2d(2, 2, 3, stride=2), nn.Upsample(scale_factor=2), nn.AdaptiveAvgPool2d(3)],
    ids=lambda m: type(m).__name__,
)
def test_a_field_that_is_no_window_is_unknown_rather_than_wrong(module: nn.Module) -> None:
    row = rows(nn.Sequential(module), (17, 19))[0]
    assert (row.receptive_field, row.stride, row.reach) == (None, None, "unknown")


def test_a_convolution_finds_the_map_again_behind_a_class_token() -> None:
    row = rows(nn.Sequential(on_tokens(attention(), class_token=True), nn.Conv2d(2, 2, 3)), (8, 10))[-1]
    assert (row.output_map, row.stride, row.receptive_field, row.reach) == ((6, 8), None, None, "image")


def test_channels_last_maps_are_maps_and_pooled_vectors_are_not() -> None:
    channels_last = Rearrange("b c h w -> b h w c"), nn.LayerNorm(2), Rearrange("b h w c -> b c h w")
    net = nn.Sequential(*channels_last, nn.AdaptiveAvgPool2d(1), nn.Conv2d(2, 5, 1))
    assert [(row.output_map, row.channels) for row in rows(net, (7, 9))] == [((7, 9), 2)] * 3 + [(None, None)] * 2


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (2, 2)])
def test_maps_of_one_line_survive_changes_of_layout(size: Pair) -> None:
    tokens = Rearrange("b c h w -> b (h w) c"), Rearrange("b (h w) c -> b c h w", h=size[0])
    others = Rearrange("b c h w -> b (h w) c"), Rearrange("b n c -> b c n"), nn.Unflatten(2, size)
    convs = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 3, padding=1)
    net = nn.Sequential(convs[0], pointwise_channels_last(3), *tokens, convs[1], *others, convs[2])
    found = rows(net, size)
    assert [row.output_map for row in found if row.kind in ("Apply", "Conv2d")] == [size] * 4
    assert found[-1].receptive_field == (3, 3)
