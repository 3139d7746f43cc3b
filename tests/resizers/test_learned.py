"""The learned resizer: the published network in float64, its options, and the faults of its published ports."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reference
from resizenet import ArgumentError, Resizer
from resizenet.functional import resize
from resizenet.functional._memory_format import is_channels_last

Randomized = Callable[[nn.Module], nn.Module]
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
# down, up, same, far down and up, one pixel
SIZES = [((13, 19), (7, 11)), ((7, 11), (13, 19)), ((11, 7), (11, 7)), ((29, 7), (5, 13)), ((1, 13), (3, 1))]


def image(*size: int) -> Tensor:
    return torch.rand(2, 3, *size, dtype=torch.float64)


def expected(resizer: Resizer, x: Tensor, size: tuple[int, int], **rule: bool) -> Tensor:
    """The reference with the resizer's weights; ``rule`` says which resizes are antialiased."""
    state = reference.arrays(resizer.state_dict())
    return torch.from_numpy(reference.learned_resizer(x.numpy(), size, state, len(resizer.blocks), **rule))


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
    randomized: Randomized, before: tuple[int, int], after: tuple[int, int], blocks: int
) -> None:
    resizer = randomized(Resizer.paper(7, channels=5, num_blocks=blocks))
    x = image(*before)
    plain = expected(resizer, x, after, skip_antialias=False, feature_antialias=False)
    torch.testing.assert_close(resizer(x, after), plain, **EXACT)


def test_the_published_network_has_224_px_and_its_options_can_be_changed() -> None:
    assert Resizer.paper().size == (224, 224)
    assert Resizer.paper(7, antialias=True).antialias
    assert not Resizer.paper(7, zero_init=True).tail.weight.any()


@pytest.mark.parametrize(
    ("before", "antialias", "features"),
    [
        ((14, 22), True, False),
        ((5, 19), True, False),
        ((15, 22), True, True),
        ((14, 23), True, True),
        ((61, 5), True, True),
        ((29, 37), False, False),
    ],
)
def test_convention_features_are_antialiased_only_beyond_a_factor_of_two(
    randomized: Randomized, before: tuple[int, int], antialias: bool, features: bool
) -> None:
    resizer, x = randomized(Resizer((7, 11), channels=4, antialias=antialias)), image(*before)
    right, wrong = (
        expected(resizer, x, (7, 11), skip_antialias=antialias, feature_antialias=flag)
        for flag in (features, not features)
    )
    torch.testing.assert_close(resizer(x), right, **EXACT)
    assert (resizer(x) - wrong).abs().max() > 1e-3


# --- faults of published ports


@pytest.mark.parametrize("before", [(448, 448), (300, 300), (224, 97)])
def test_fault_a_scale_factor_instead_of_a_size(before: tuple[int, int]) -> None:
    assert Resizer.paper(224, channels=2)(torch.rand(1, 3, *before)).shape == (1, 3, 224, 224)


@pytest.mark.parametrize(("in_channels", "channels"), [(1, 16), (3, 5), (4, 7), (13, 1)])
def test_fault_hard_coded_channels(in_channels: int, channels: int) -> None:
    resizer = Resizer((5, 7), in_channels=in_channels, channels=channels).eval()
    assert resizer(torch.rand(2, in_channels, 11, 13)).shape == (2, in_channels, 5, 7)
    assert resizer.head[0].weight.shape == (channels, in_channels, 7, 7)


def test_fault_residual_blocks_in_parallel(randomized: Randomized) -> None:
    resizer, x = randomized(Resizer.paper((7, 11), channels=4, num_blocks=3)), image(13, 17)
    rule = {"skip_antialias": False, "feature_antialias": False}
    series, parallel = (expected(resizer, x, (7, 11), **rule, parallel=wrong) for wrong in (False, True))
    torch.testing.assert_close(resizer(x), series, **EXACT)
    assert (series - parallel).abs().max() > 1e-3  # seven orders above the tolerance


def test_fault_align_corners() -> None:
    ramp = torch.arange(4.0, dtype=torch.float64).reshape(1, 1, 1, 4)
    out = Resizer.paper((1, 8), in_channels=1, zero_init=True).double().eval()(ramp)
    np.testing.assert_allclose(out.detach().flatten(), [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3], atol=1e-10)


def test_fault_a_forward_that_returns_its_input() -> None:
    x = torch.rand(2, 3, 11, 13)
    assert (Resizer.paper((11, 13)).eval()(x) - x).abs().mean() > 0.01
    assert Resizer((11, 13)).eval()(x) is not x


def test_fault_random_initialization_overwhelms_the_skip() -> None:
    x = torch.randn(8, 3, 64, 64)
    skip = resize(x, 32, antialias=False)
    ratio = (Resizer.paper(32, channels=16)(x) - skip).std() / skip.std()
    assert 0.5 < ratio < 3  # about 1.24 on average over initializations
    assert torch.equal(Resizer(32)(x), resize(x, 32))


# --- options


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize("before", [(13, 19), (5, 7), (47, 43)])
@pytest.mark.parametrize("training", [True, False])
def test_zero_init_starts_as_exactly_the_plain_resize(norm: str, before: tuple[int, int], training: bool) -> None:
    x = torch.rand(2, 3, *before)
    assert torch.equal(Resizer((7, 11), norm=norm).train(training)(x), resize(x, (7, 11)))


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
    convolutions = [m for m in resizer.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert {m.bias is not None for m in convolutions} == {bias}


@pytest.mark.parametrize("of", ["image", "weights"])
@pytest.mark.parametrize("checkpoint", [True, False])
def test_norms_that_return_contiguous_features_do_not_lose_channels_last(of: str, checkpoint: bool) -> None:
    """As torch 2.11's GroupNorm does on CUDA."""
    resizer, x = Resizer((7, 11), norm="group", checkpoint=checkpoint), torch.rand(2, 3, 13, 19)
    for module in resizer.modules():
        if isinstance(module, nn.GroupNorm):
            module.register_forward_hook(lambda module, args, out: out.contiguous())
    if of == "image":
        x = x.contiguous(memory_format=torch.channels_last)
    else:
        resizer = resizer.to(memory_format=torch.channels_last)
    formats = []
    for layer in (resizer.tail, resizer.merge[0], resizer.blocks[0][0]):
        layer.register_forward_pre_hook(lambda module, args: formats.append(is_channels_last(args[0])))
    assert is_channels_last(resizer(x))
    assert formats == [True] * 3  # no step between is slower than it needs to be


@pytest.mark.parametrize(("channels", "groups"), [(16, 4), (6, 2), (5, 1)])
def test_groups_divide_the_channels(channels: int, groups: int) -> None:
    modules = Resizer(7, channels=channels, norm="group").modules()
    assert {m.num_groups for m in modules if isinstance(m, nn.GroupNorm)} == {groups}


def test_the_slope_is_that_of_every_leaky_relu() -> None:
    modules = Resizer(7, negative_slope=0.3, num_blocks=2).modules()
    assert [m.negative_slope for m in modules if isinstance(m, nn.LeakyReLU)] == [0.3] * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "channels: expected a positive int, got 0"),
        ({"num_blocks": -1}, "num_blocks: expected a non-negative int, got -1"),
        ({"negative_slope": -0.1}, "negative_slope: expected a number at least 0 and at most 2.147"),
        ({"negative_slope": "0.2"}, "negative_slope: expected a number at least 0 and at most 2.147"),
        ({"norm": "layer"}, "norm: expected one of 'batch', 'group', 'none', got 'layer'"),
        ({"kernels": "force"}, "kernels: expected one of 'auto', 'always', 'never', got 'force'"),
    ],
)
def test_arguments_outside_their_range_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Resizer(7, **options)
