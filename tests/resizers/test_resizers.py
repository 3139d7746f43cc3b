"""Resizers: the published network in float64, the faults of its ports, and what each of ours starts as."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import reference
from resizenet import DtypeError, FixedResizer, LaplacianResizer, LinearResizer, Resizer, ShapeError
from resizenet.functional import resize

EXACT = {"rtol": 0, "atol": 1e-10}  # float64, some 1e4 products of numbers near 1 per output, added in another order
PUBLISHED = [  # n, r, convolution weights (the paper's table 2), trainable parameters, with running statistics
    (16, 1, 11_872, 12_035, 12_163),
    (16, 2, 16_480, 16_707, 16_899),
    (16, 3, 21_088, 21_379, 21_635),
    (16, 4, 25_696, 26_051, 26_371),
    (32, 1, 38_080, 38_403, 38_659),
    (32, 2, 56_512, 56_963, 57_347),
    (32, 3, 74_944, 75_523, 76_035),
    (32, 4, 93_376, 94_083, 94_723),
]
SIZES = [
    ((13, 19), (7, 11)),
    ((7, 11), (13, 19)),
    ((11, 7), (11, 7)),
    ((29, 7), (5, 13)),
    ((1, 13), (3, 1)),
]  # down, up, same, far down and up, one pixel


def image(*size: int, channels: int = 3) -> Tensor:
    return torch.rand(2, channels, *size, dtype=torch.float64)


def randomised(module: nn.Module) -> nn.Module:
    """In float64 and eval mode, weights and running statistics at random."""
    for parameter in module.double().eval().parameters():
        nn.init.normal_(parameter, 0, 0.2)
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            nn.init.normal_(buffer)
        if name.endswith("running_var"):
            nn.init.uniform_(buffer, 0.5, 2)
    return module


def assert_equals_reference(
    resizer: Resizer, x: Tensor, size: tuple[int, int], *, skip_antialias: bool, feature_antialias: bool
) -> None:
    expected = reference.learned_resizer(
        x.numpy(),
        size,
        reference.arrays(resizer.state_dict()),
        len(resizer.blocks),
        skip_antialias=skip_antialias,
        feature_antialias=feature_antialias,
    )
    torch.testing.assert_close(resizer(x, size), torch.from_numpy(expected), **EXACT)


# --- the published network


@pytest.mark.parametrize(("channels", "blocks", "weights", "trainable", "stored"), PUBLISHED)
def test_the_published_networks_have_the_published_counts(
    channels: int, blocks: int, weights: int, trainable: int, stored: int
) -> None:
    resizer = Resizer.paper(channels=channels, num_blocks=blocks)
    assert sum(m.weight.numel() for m in resizer.modules() if isinstance(m, nn.Conv2d)) == weights
    assert sum(p.numel() for p in resizer.parameters()) == trainable
    assert trainable + sum(b.numel() for b in resizer.buffers() if b.is_floating_point()) == stored


@pytest.mark.parametrize(("before", "after"), SIZES)
@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_the_published_network_equals_the_reference(
    before: tuple[int, int], after: tuple[int, int], blocks: int
) -> None:
    resizer = randomised(Resizer.paper(7, channels=5, num_blocks=blocks))
    assert_equals_reference(resizer, image(*before), after, skip_antialias=False, feature_antialias=False)


def test_the_published_network_has_224_px_and_its_choices_can_be_overridden() -> None:
    assert Resizer.paper().size == (224, 224)
    assert Resizer.paper(7, antialias=True).antialias
    assert not Resizer.paper(7, zero_init=True).tail.weight.any()


# --- conventions


def test_convention_features_are_not_antialiased_up_to_a_factor_of_two() -> None:
    resizer = randomised(Resizer((7, 11), channels=4))
    assert_equals_reference(resizer, image(14, 22), (7, 11), skip_antialias=True, feature_antialias=False)
    assert_equals_reference(resizer, image(5, 19), (7, 11), skip_antialias=True, feature_antialias=False)


@pytest.mark.parametrize("before", [(15, 22), (14, 23), (61, 5)])
def test_convention_features_are_antialiased_beyond_a_factor_of_two_on_either_axis(before: tuple[int, int]) -> None:
    resizer = randomised(Resizer((7, 11), channels=4))
    assert_equals_reference(resizer, image(*before), (7, 11), skip_antialias=True, feature_antialias=True)


def test_convention_without_antialias_neither_skip_nor_features_are_low_passed() -> None:
    resizer = randomised(Resizer((7, 11), channels=4, antialias=False))
    assert_equals_reference(resizer, image(29, 37), (7, 11), skip_antialias=False, feature_antialias=False)


@pytest.mark.parametrize("make", [FixedResizer, LinearResizer, Resizer], ids=lambda make: make.__name__)
def test_convention_resizers_start_antialiased_with_half_pixel_centres(make: type[nn.Module]) -> None:
    x = image(23, 31)
    expected = torch.from_numpy(reference.resize(x.numpy(), (7, 11), "bilinear", True))
    torch.testing.assert_close(make((7, 11)).double()(x), expected, **EXACT)
    for align_corners in (True, False):
        alternative = F.interpolate(x, (7, 11), mode="bilinear", align_corners=align_corners)
        assert (alternative - expected).abs().max() > 0.1


# --- known faults of published ports


@pytest.mark.parametrize("before", [(448, 448), (300, 300), (224, 97)])
def test_fault_a_scale_instead_of_a_size(before: tuple[int, int]) -> None:
    assert Resizer.paper(224, channels=2)(torch.rand(1, 3, *before)).shape == (1, 3, 224, 224)


@pytest.mark.parametrize(("in_channels", "channels"), [(1, 16), (3, 5), (4, 7), (13, 1)])
def test_fault_hard_coded_channels_or_filters(in_channels: int, channels: int) -> None:
    resizer = Resizer((5, 7), in_channels=in_channels, channels=channels).eval()
    assert resizer(torch.rand(2, in_channels, 11, 13)).shape == (2, in_channels, 5, 7)
    assert resizer.head[0].weight.shape == (channels, in_channels, 7, 7)


@pytest.mark.parametrize("make", [LinearResizer, Resizer], ids=lambda make: make.__name__)
def test_fault_the_image_skip_fails_when_channels_change(make: type[nn.Module]) -> None:
    x = torch.rand(2, 2, 11, 13)
    start = make((5, 7), in_channels=2, out_channels=5).eval()(x)
    torch.testing.assert_close(start, resize(x, (5, 7))[:, [0, 1, 0, 1, 0]])


def test_fault_residual_blocks_in_parallel() -> None:
    resizer = randomised(Resizer.paper((7, 11), channels=4, num_blocks=3))
    x = image(13, 17)
    state = reference.arrays(resizer.state_dict())
    rules = {"skip_antialias": False, "feature_antialias": False}
    series, parallel = (
        reference.learned_resizer(x.numpy(), (7, 11), state, 3, **rules, parallel=wrong) for wrong in (False, True)
    )
    torch.testing.assert_close(resizer(x), torch.from_numpy(series), **EXACT)
    assert np.abs(series - parallel).max() > 1e-3  # seven orders above the tolerance


def test_fault_align_corners() -> None:
    ramp = torch.arange(4.0, dtype=torch.float64).reshape(1, 1, 1, 4)
    out = Resizer.paper((1, 8), in_channels=1, zero_init=True).double().eval()(ramp)
    torch.testing.assert_close(
        out.flatten(), torch.tensor([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3], dtype=torch.float64), **EXACT
    )


def test_fault_a_forward_that_returns_its_input() -> None:
    x = torch.rand(2, 3, 11, 13)
    out = Resizer.paper((11, 13)).eval()(x)
    assert (out - x).abs().mean() > 0.01
    assert Resizer((11, 13)).eval()(x) is not x


def test_fault_random_initialisation_swamps_the_skip() -> None:
    x = torch.randn(8, 3, 64, 64)
    published = Resizer.paper(32, channels=16)
    skip = resize(x, 32, antialias=False)
    ratio = (published(x) - skip).std() / skip.std()
    assert 0.5 < ratio < 3  # FACTS: about 1.24 over initialisations
    assert torch.equal(Resizer(32)(x), resize(x, 32))


# --- options


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize("before", [(13, 19), (5, 7), (47, 43)])
@pytest.mark.parametrize("training", [True, False])
def test_zero_init_starts_as_exactly_the_plain_resize(norm: str, before: tuple[int, int], training: bool) -> None:
    x = torch.rand(2, 3, *before)
    resizer = Resizer((7, 11), norm=norm).train(training)
    assert torch.equal(resizer(x), resize(x, (7, 11)))


@pytest.mark.parametrize(
    ("norm", "kind", "bias"),
    [("batch", nn.BatchNorm2d, False), ("group", nn.GroupNorm, False), ("none", nn.Identity, True)],
)
def test_norms_replace_each_other_and_convolutions_without_one_have_a_bias(
    norm: str, kind: type[nn.Module], bias: bool
) -> None:
    resizer = Resizer(7, channels=6, num_blocks=2, norm=norm)
    norms = [m for m in resizer.modules() if isinstance(m, (nn.BatchNorm2d, nn.GroupNorm, nn.Identity))]
    assert sum(isinstance(m, kind) for m in norms) >= 6  # after the head, two per block, one before the sum
    assert {type(m) for m in norms} <= {kind, nn.Identity}
    assert {m.bias is not None for m in resizer.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)} == {
        bias
    }


@pytest.mark.parametrize(("channels", "groups"), [(16, 4), (6, 2), (5, 1)])
def test_groups_divide_the_channels(channels: int, groups: int) -> None:
    assert {
        m.num_groups for m in Resizer(7, channels=channels, norm="group").modules() if isinstance(m, nn.GroupNorm)
    } == {groups}


def test_the_slope_is_that_of_every_leaky_relu() -> None:
    slopes = [
        m.negative_slope for m in Resizer(7, negative_slope=0.3, num_blocks=2).modules() if isinstance(m, nn.LeakyReLU)
    ]
    assert slopes == [0.3] * 4


@pytest.mark.parametrize(
    "resizer", [FixedResizer(7), LinearResizer(7), Resizer(7)], ids=lambda module: type(module).__name__
)
def test_a_call_may_ask_for_another_size(resizer: nn.Module) -> None:
    x = torch.rand(1, 3, 13, 11)
    resizer.eval()
    assert [resizer(x, size).shape[-2:] for size in (None, 5, (3, 17), None)] == [(7, 7), (5, 5), (3, 17), (7, 7)]


@pytest.mark.parametrize(
    "resizer", [FixedResizer(7), LinearResizer(7), Resizer(7)], ids=lambda module: type(module).__name__
)
def test_fusing_gives_a_frozen_copy_that_does_the_same(resizer: nn.Module) -> None:
    randomised(resizer).train()
    fused, x = resizer.fuse(), image(13, 11)
    assert resizer.training
    assert all(p.requires_grad for p in resizer.parameters())
    assert not fused.training
    assert not any(p.requires_grad for p in fused.parameters())
    torch.testing.assert_close(fused(x), resizer.eval()(x), **EXACT)


# --- the fixed resizer


@pytest.mark.parametrize("interpolation", ["nearest-exact", "bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_the_fixed_resizer_is_the_reference_and_has_no_parameters(interpolation: str, antialias: bool) -> None:
    x = image(23, 13)
    resizer = FixedResizer((7, 29), interpolation=interpolation, antialias=antialias)
    torch.testing.assert_close(
        resizer(x), torch.from_numpy(reference.resize(x.numpy(), (7, 29), interpolation, antialias)), **EXACT
    )
    assert list(resizer.parameters()) == list(resizer.buffers()) == []


def test_the_fixed_resizer_takes_uint8() -> None:
    assert FixedResizer(5)(torch.zeros(1, 3, 11, 13, dtype=torch.uint8)).dtype == torch.uint8


def test_reprs_name_the_arguments() -> None:
    assert repr(FixedResizer(7)) == "FixedResizer(size=(7, 7), interpolation='bilinear', antialias=True)"


# --- the linear resizer


def test_the_linear_resizer_has_147_parameters() -> None:
    assert sum(p.numel() for p in LinearResizer(16).parameters()) == 4 * 4 * 3 * 3 + 3


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_the_linear_resizer_starts_as_the_plain_resize(before: tuple[int, int], after: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *before)
    assert torch.equal(LinearResizer(after)(x), resize(x, after))


@pytest.mark.parametrize(("oversample", "kernel_size"), [(2, 4), (2, 6), (1, 3), (3, 3), (3, 5)])
def test_convention_the_linear_resizer_adds_a_zero_padded_centred_filter_of_the_finer_image(
    oversample: int, kernel_size: int
) -> None:
    resizer, x = randomised(LinearResizer((7, 11), oversample=oversample, kernel_size=kernel_size)), image(23, 17)
    finer = reference.resize(x.numpy(), (7 * oversample, 11 * oversample))
    filtered = reference.convolve(
        finer,
        resizer.conv.weight.detach().numpy(),
        resizer.conv.bias.detach().numpy(),
        stride=oversample,
        padding=(kernel_size - oversample) // 2,
    )
    torch.testing.assert_close(resizer(x), torch.from_numpy(reference.resize(x.numpy(), (7, 11)) + filtered), **EXACT)


def test_the_linear_resizer_is_linear() -> None:
    resizer = randomised(LinearResizer((7, 11)))
    nn.init.zeros_(resizer.conv.bias)
    x, y = image(23, 17), image(23, 17)
    torch.testing.assert_close(resizer(3 * x - 2 * y), 3 * resizer(x) - 2 * resizer(y), **EXACT)


def test_the_linear_resizer_reads_an_image_of_its_finer_size_pixel_by_pixel() -> None:
    resizer, x = LinearResizer((5, 7)).double(), image(10, 14)
    with torch.no_grad():
        resizer.conv.weight[:] = 0
        resizer.conv.weight[0, 1, 1, 1] = (
            1  # output channel 0 adds the upper left pixel of the four under it, of channel 1
        )
    torch.testing.assert_close((resizer(x) - resize(x, (5, 7)))[:, 0], x[:, 1, ::2, ::2], **EXACT)


# --- guards of the learned ones


@pytest.mark.parametrize("make", [LinearResizer, Resizer], ids=lambda make: make.__name__)
def test_learned_resizers_want_their_channels_and_floats(make: type[nn.Module]) -> None:
    resizer = make(7)
    with pytest.raises(
        ShapeError, match=rf"{make.__name__}: expected \(B, 3, H, W\) with at least one pixel, got \(2, 1, 5, 5\)"
    ):
        resizer(torch.rand(2, 1, 5, 5))
    with pytest.raises(
        ShapeError, match=rf"{make.__name__}: expected \(B, 3, H, W\) with at least one pixel, got \(3, 5, 5\)"
    ):
        resizer(torch.rand(3, 5, 5))
    with pytest.raises(ShapeError, match=r"at least one pixel, got \(2, 3, 0, 5\)"):
        resizer(torch.rand(2, 3, 0, 5))
    with pytest.raises(
        DtypeError, match=rf"{make.__name__}: expected a floating point image, got torch.uint8; scale it first"
    ):
        resizer(torch.zeros(2, 3, 5, 5, dtype=torch.uint8))


@pytest.mark.parametrize(
    "make",
    [
        lambda: LinearResizer((3, 4)),
        lambda: Resizer((3, 4), channels=2, norm="group"),
        lambda: LaplacianResizer((3, 4)),
    ],
)
def test_gradients_have_gradients(make: Callable[[], nn.Module]) -> None:
    resizer = randomised(make().double())
    x = torch.rand(1, 3, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(resizer, (x,))
