"""The linear resizer: its filter, and its fused copy as one convolution."""

from collections.abc import Callable
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import prune

import reference
from resizenet import LinearResizer
from resizenet.functional import resize
from resizenet.resizers import _linear
from strategies import sizes

Randomized = Callable[[nn.Module], nn.Module]
EXACT = {"rtol": 0, "atol": 1e-10}  # float64
# down, up, same, far down and up, one pixel
SIZES = [((13, 19), (7, 11)), ((7, 11), (13, 19)), ((11, 7), (11, 7)), ((29, 7), (5, 13)), ((1, 13), (3, 1))]


def image(*size: int) -> Tensor:
    return torch.rand(2, 3, *size, dtype=torch.float64)


def test_it_has_147_parameters() -> None:
    assert sum(p.numel() for p in LinearResizer(16).parameters()) == 4 * 4 * 3 * 3 + 3


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_it_starts_as_the_plain_resize(before: tuple[int, int], after: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *before)
    assert torch.equal(LinearResizer(after)(x), resize(x, after))


@pytest.mark.parametrize(("oversample", "kernel_size"), [(2, 4), (2, 6), (1, 3), (3, 3), (3, 5)])
def test_convention_it_adds_a_zero_padded_centered_filter_of_the_finer_image(
    randomized: Randomized, oversample: int, kernel_size: int
) -> None:
    resizer, x = randomized(LinearResizer((7, 11), oversample=oversample, kernel_size=kernel_size)), image(23, 17)
    finer = reference.resize(x.numpy(), (7 * oversample, 11 * oversample))
    weight, bias = (parameter.detach().numpy() for parameter in (resizer.conv.weight, resizer.conv.bias))
    margin = (kernel_size - oversample) // 2
    filtered = reference.convolve(finer, weight, bias, stride=oversample, padding=margin)
    torch.testing.assert_close(resizer(x), torch.from_numpy(reference.resize(x.numpy(), (7, 11)) + filtered), **EXACT)


def test_it_is_linear(randomized: Randomized) -> None:
    resizer = randomized(LinearResizer((7, 11)))
    nn.init.zeros_(resizer.conv.bias)
    x, y = image(23, 17), image(23, 17)
    torch.testing.assert_close(resizer(3 * x - 2 * y), 3 * resizer(x) - 2 * resizer(y), **EXACT)


def test_an_image_of_the_finer_size_is_read_pixel_by_pixel() -> None:
    resizer, x = LinearResizer((5, 7)).double(), image(10, 14)
    with torch.no_grad():
        resizer.conv.weight[:] = 0
        resizer.conv.weight[0, 1, 1, 1] = 1  # adds the upper left of the four pixels of channel 1 to channel 0
    torch.testing.assert_close((resizer(x) - resize(x, (5, 7)))[:, 0], x[:, 1, ::2, ::2], **EXACT)


@given(
    size=sizes,
    oversample=st.integers(1, 6),
    margin=st.integers(0, 3),
    rule=st.sampled_from([("bilinear", True), ("bilinear", False), ("bicubic", True)]),
    out_channels=st.sampled_from([3, 2]),
)
def test_fused_it_is_one_convolution_at_the_exact_ratio(
    randomized: Randomized,
    size: tuple[int, int],
    oversample: int,
    margin: int,
    rule: tuple[str, bool],
    out_channels: int,
) -> None:
    options = {"interpolation": rule[0], "antialias": rule[1], "out_channels": out_channels}
    resizer = LinearResizer(size, oversample=oversample, kernel_size=oversample + 2 * margin, **options)
    x = image(size[0] * oversample, size[1] * oversample)
    expected, fused = randomized(resizer)(x), resizer.fuse()
    with mock.patch.object(_linear, "resize", None):  # nothing is resized on this path
        torch.testing.assert_close(fused(x), expected, **EXACT)


@pytest.mark.parametrize(
    ("options", "before"),
    [
        ({}, (23, 17)),
        ({}, (5, 3)),
        ({"interpolation": "bicubic", "antialias": False}, (14, 22)),
        ({"interpolation": "nearest-exact"}, (14, 22)),
    ],
)
def test_fused_it_gives_the_same_at_any_other_ratio(
    randomized: Randomized, options: dict[str, object], before: tuple[int, int]
) -> None:
    resizer, x = randomized(LinearResizer((7, 11), **options)), image(*before)
    torch.testing.assert_close(resizer.fuse()(x), resizer(x), **EXACT)


def by_hand(**options: object) -> Callable[[nn.Conv2d], nn.Module]:
    """Replaces a convolution by one with other options."""
    return lambda layer: nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        **{"kernel_size": layer.kernel_size, "stride": layer.stride, "padding": layer.padding, **options},
    )


def hooked(layer: nn.Module) -> nn.Module:
    layer.register_forward_hook(lambda module, args, out: 1.5 * out)
    return layer


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("conv", by_hand(padding_mode="reflect")),
        ("conv", by_hand(dilation=2, padding=3)),
        ("conv", by_hand(kernel_size=(4, 6), padding=(1, 2))),
        ("conv", by_hand(bias=False)),
        ("conv", lambda layer: prune.random_unstructured(layer, "weight", 0.5)),
        ("conv", hooked),
        ("skip", by_hand(bias=True)),
        ("skip", by_hand(kernel_size=3, padding=1, bias=False)),
        ("skip", hooked),
    ],
)
def test_fused_layers_put_in_by_hand_are_computed(
    randomized: Randomized, part: str, change: Callable[[nn.Module], nn.Module]
) -> None:
    resizer = LinearResizer((7, 11), out_channels=2)
    resizer.set_submodule(part, change(resizer.get_submodule(part)))
    x = image(14, 22)
    expected = randomized(resizer)(x)
    torch.testing.assert_close(resizer.fuse()(x), expected, **EXACT)
