"""Every block against a float64 forward written with plain convolutions, and the effect of every option."""

import copy
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from resizenet import ArgumentError, UnknownNameError
from resizenet.models import (
    BasicBlock,
    BlurPool,
    Bottleneck,
    PadShortcut,
    PreActBlock,
    PreActBottleneck,
    ResidualBlock,
    ResNet,
    WideBlock,
)

BLOCKS = [BasicBlock, Bottleneck, PreActBlock, PreActBottleneck, WideBlock]
POST = [BasicBlock, Bottleneck]
PRE = [PreActBlock, PreActBottleneck, WideBlock]
Weights = dict[str, Tensor]
every_block = pytest.mark.parametrize("block", BLOCKS)


def no_norm(channels: int) -> nn.Module:
    return nn.Identity()


def randomized(block: ResidualBlock) -> ResidualBlock:
    """In float64 and eval mode, nothing left at zero or one."""
    block = block.double().eval()
    for name, value in block.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point() and not name.endswith("kernel"):
            value.normal_(0, 0.5)
    return block


def conv(x: Tensor, p: Weights, name: str, stride: int = 1, groups: int = 1) -> Tensor:
    weight = p[f"{name}.weight"]
    return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)


def norm(x: Tensor, p: Weights, name: str) -> Tensor:
    weight, bias, mean, var = (
        p[f"{name}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / (var + 1e-5).sqrt() * weight + bias


def rectified(x: Tensor, p: Weights, name: str) -> Tensor:
    return norm(x, p, name).clamp(min=0)


def basic(x: Tensor, p: Weights) -> Tensor:
    return norm(conv(rectified(conv(x, p, "conv1", 2), p, "norm1"), p, "conv2"), p, "norm2")


def bottleneck(x: Tensor, p: Weights, groups: int = 1) -> Tensor:
    y = rectified(conv(x, p, "conv1"), p, "norm1")
    y = rectified(conv(y, p, "conv2", 2, groups), p, "norm2")
    return norm(conv(y, p, "conv3"), p, "norm3")


def preact(y: Tensor, p: Weights) -> Tensor:
    return conv(rectified(conv(y, p, "conv1", 2), p, "norm2"), p, "conv2")


def preact_bottleneck(y: Tensor, p: Weights) -> Tensor:
    y = rectified(conv(y, p, "conv1"), p, "norm2")
    return conv(rectified(conv(y, p, "conv2", 2), p, "norm3"), p, "conv3")


@pytest.mark.parametrize(
    ("block", "branch"),
    [
        (BasicBlock, basic),
        (Bottleneck, bottleneck),
        (partial(Bottleneck, groups=2, bottleneck_ratio=0.5), partial(bottleneck, groups=2)),
    ],
)
def test_post_activation_block_is_the_published_one(
    block: Callable[..., ResidualBlock], branch: Callable[..., Tensor]
) -> None:
    module = randomized(block(5, 12, stride=2))
    x, p = torch.randn(2, 5, 11, 7, dtype=torch.float64), module.state_dict()
    skip = norm(conv(x, p, "shortcut.0", 2), p, "shortcut.1")
    torch.testing.assert_close(module(x), (branch(x, p) + skip).clamp(min=0))


@pytest.mark.parametrize(
    ("block", "branch"), [(PreActBlock, preact), (WideBlock, preact), (PreActBottleneck, preact_bottleneck)]
)
def test_preactivation_block_is_the_published_one(
    block: Callable[..., ResidualBlock], branch: Callable[..., Tensor]
) -> None:
    module = randomized(block(5, 12, stride=2))
    x, p = torch.randn(2, 5, 11, 7, dtype=torch.float64), module.state_dict()
    activated = rectified(x, p, "norm1")
    torch.testing.assert_close(module(x), branch(activated, p) + conv(activated, p, "shortcut.0", 2))


@every_block
def test_identity_shortcut_passes_the_input_unchanged(block: Callable[..., ResidualBlock]) -> None:
    module = block(6, 6, zero_init=True).train()
    x = torch.randn(3, 6, 5, 7)
    before = x.clone()
    torch.testing.assert_close(module(x), x.clamp(min=0) if block in POST else x, rtol=0, atol=0)
    assert torch.equal(x, before)


@every_block
@pytest.mark.parametrize("norm", [nn.BatchNorm2d, no_norm])
def test_no_input_is_edited_in_place(block: Callable[..., ResidualBlock], norm: Callable[[int], nn.Module]) -> None:
    x = torch.randn(3, 6, 5, 7)
    before = x.clone()
    block(6, 6, norm=norm)(x)
    assert torch.equal(x, before)


# Shortcuts


@pytest.mark.parametrize(("zeros", "first"), [("split", 1), ("after", 0)])
def test_padding_shortcut_copies_every_other_pixel_and_adds_zero_channels(zeros: str, first: int) -> None:
    x = torch.rand(2, 3, 5, 8)
    out = PadShortcut(3, 6, stride=2, zeros=zeros)(x)
    assert out.shape == (2, 6, 3, 4)
    for channel in range(6):
        expected = x[:, channel - first, ::2, ::2] if first <= channel < first + 3 else torch.zeros(2, 3, 4)
        assert torch.equal(out[:, channel], expected)


@pytest.mark.parametrize(("kind", "first"), [("pad", 4), ("pad_after", 0)])
def test_blocks_support_both_layouts_of_option_a(kind: str, first: int) -> None:
    module = randomized(BasicBlock(3, 12, stride=2, shortcut=kind))
    x = torch.randn(2, 3, 7, 9, dtype=torch.float64)
    skip = torch.zeros(2, 12, 4, 5, dtype=torch.float64)
    skip[:, first : first + 3] = x[:, :, ::2, ::2]
    torch.testing.assert_close(module(x), (basic(x, module.state_dict()) + skip).clamp(min=0))
    assert not list(module.shortcut.parameters())


@pytest.mark.parametrize("zeros", ["split", "after"])
def test_gradient_flows_through_the_padding_shortcut(zeros: str) -> None:
    x = torch.rand(1, 2, 5, 4, requires_grad=True)
    PadShortcut(2, 5, stride=2, zeros=zeros)(x).sum().backward()
    expected = torch.zeros(1, 2, 5, 4)
    expected[:, :, ::2, ::2] = 1
    assert x.grad is not None
    assert torch.equal(x.grad, expected)


def means_of_blocks(x: Tensor) -> Tensor:
    rows = [x[:, :, i : i + 2].mean(2) for i in range(0, x.shape[2], 2)]
    y = torch.stack(rows, 2)
    return torch.stack([y[..., j : j + 2].mean(-1) for j in range(0, y.shape[3], 2)], 3)


def blurred(x: Tensor) -> Tensor:
    """[1, 2, 1] / 4 along both axes, the border repeated, then every other pixel."""
    for dim in (2, 3):
        n = x.shape[dim]
        before, after = torch.arange(n).sub(1).clamp(min=0), torch.arange(n).add(1).clamp(max=n - 1)
        x = (x.index_select(dim, before) + 2 * x + x.index_select(dim, after)) / 4
    return x[:, :, ::2, ::2]


@pytest.mark.parametrize(("downsample", "pooled"), [("average", means_of_blocks), ("blur", blurred)])
@pytest.mark.parametrize("size", [(11, 7), (8, 6), (1, 5)], ids=str)
def test_shortcut_pools_before_it_projects(
    downsample: str, pooled: Callable[[Tensor], Tensor], size: tuple[int, int]
) -> None:
    module = randomized(BasicBlock(5, 12, stride=2, downsample=downsample))
    x, p = torch.randn(2, 5, *size, dtype=torch.float64), module.state_dict()
    skip = norm(conv(pooled(x), p, "shortcut.1"), p, "shortcut.2")
    torch.testing.assert_close(module(x), (basic(x, p) + skip).clamp(min=0))
    padded = BasicBlock(5, 5, stride=2, shortcut="pad", downsample=downsample).double().shortcut(x)
    torch.testing.assert_close(padded, pooled(x))


def test_blur_has_no_weights_to_save_and_follows_the_dtype() -> None:
    pool = BlurPool(3, 2)
    assert not pool.state_dict()
    assert pool.double()(torch.ones(1, 3, 5, 5, dtype=torch.float64)).unique().item() == 1


# Options


def test_squeeze_excitation_scales_the_branch() -> None:
    module = randomized(BasicBlock(5, 32, stride=2, se_reduction=16))
    x, p = torch.randn(2, 5, 6, 9, dtype=torch.float64), module.state_dict()
    y = basic(x, p)
    squeezed = (y.mean((2, 3)) @ p["se.fc1.weight"][:, :, 0, 0].T + p["se.fc1.bias"]).clamp(min=0)
    assert squeezed.shape == (2, 2)
    gate = torch.sigmoid(squeezed @ p["se.fc2.weight"][:, :, 0, 0].T + p["se.fc2.bias"])
    skip = norm(conv(x, p, "shortcut.0", 2), p, "shortcut.1")
    torch.testing.assert_close(module(x), (gate[:, :, None, None] * y + skip).clamp(min=0))


@pytest.mark.parametrize("block", PRE)
def test_stochastic_depth_drops_whole_samples_and_scales_the_rest(block: Callable[..., ResidualBlock]) -> None:
    module = block(4, 4, stochastic_depth=0.75, norm=partial(nn.GroupNorm, 1)).train()
    x = torch.randn(64, 4, 5, 3)
    branch = module.branch(module.act1(module.norm1(x)))
    ratio = (module(x) - x).flatten(1).norm(dim=1) / branch.flatten(1).norm(dim=1)
    kept = ratio > 1
    torch.testing.assert_close(ratio, torch.where(kept, 4.0, 0.0), rtol=1e-3, atol=1e-3)
    assert 4 <= kept.sum() <= 32  # of 64, a quarter in the mean
    torch.testing.assert_close(module.eval()(x), x + branch)


@every_block
def test_zero_init_starts_as_the_shortcut_and_learns(block: Callable[..., ResidualBlock]) -> None:
    module = block(4, 8, stride=2, zero_init=True).eval()
    x = torch.randn(2, 4, 6, 6)
    skip = module.shortcut(x if block in POST else module.act1(module.norm1(x)))
    torch.testing.assert_close(module(x), skip.clamp(min=0) if block in POST else skip, rtol=0, atol=0)
    module(x).square().sum().backward()
    last = {"BasicBlock": "norm2", "Bottleneck": "norm3", "PreActBottleneck": "conv3"}.get(block.__name__, "conv2")
    assert module.get_submodule(last).weight.grad.abs().sum() > 0


@every_block
def test_zero_init_without_norms_zeroes_the_last_convolution(block: Callable[..., ResidualBlock]) -> None:
    module = block(4, 4, zero_init=True, norm=no_norm)
    x = torch.rand(2, 4, 6, 6)
    assert torch.equal(module(x), x)


@every_block
def test_norm_and_activation_come_by_class(block: Callable[..., ResidualBlock]) -> None:
    module = block(4, 8, stride=2, norm=partial(nn.GroupNorm, 2), act=nn.GELU)
    kinds = {type(m) for m in module.modules()}
    assert {nn.GroupNorm, nn.GELU} <= kinds
    assert not {nn.BatchNorm2d, nn.ReLU} & kinds


def test_dropout_stands_between_the_convolutions() -> None:
    module = WideBlock(4, 4, dropout=0.5).train()
    seen: dict[str, Tensor] = {}
    for name in ("conv1", "conv2", "act2"):
        module.get_submodule(name).register_forward_hook(
            lambda m, args, out, name=name: seen.update({f"{name}.in": args[0], f"{name}.out": out})
        )
    x = torch.randn(8, 4, 9, 9)
    out = module(x)
    dropped = seen["conv2.in"]
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], 2 * seen["act2.out"][kept])
    assert 0.4 < kept.sum() / (seen["act2.out"] > 0).sum() < 0.6
    torch.testing.assert_close(seen["conv1.in"], module.act1(F.batch_norm(x, None, None, training=True)))
    torch.testing.assert_close(out, x + seen["conv2.out"])


def test_middle_width_is_free() -> None:
    assert Bottleneck(8, 10, bottleneck_ratio=0.25).conv2.weight.shape == (3, 3, 3, 3)  # 2.5 is rounded half up
    assert Bottleneck(8, 10, bottleneck_ratio=1).conv2.weight.shape == (10, 10, 3, 3)
    assert PreActBottleneck(8, 64, bottleneck_ratio=0.5, groups=8).conv2.weight.shape == (32, 4, 3, 3)
    assert Bottleneck(8, 1, bottleneck_ratio=0.1).conv2.weight.shape == (1, 1, 3, 3)


@every_block
def test_blocks_copy(block: Callable[..., ResidualBlock]) -> None:
    module = randomized(block(4, 8, stride=2, shortcut="pad", downsample="blur", se_reduction=4, stochastic_depth=0.5))
    x = torch.rand(2, 4, 5, 7, dtype=torch.float64)
    assert torch.equal(copy.deepcopy(module)(x), module(x))


NUMBER = "a number at least 0 and below 1"
BAD: list[tuple[Any, str, Any, type[Exception], str]] = [
    (BasicBlock, "shortcut", "padd", UnknownNameError, "one of 'projection', 'pad', 'pad_after'"),
    (BasicBlock, "downsample", "max", UnknownNameError, "one of 'stride', 'average', 'blur'"),
    (BasicBlock, "stride", 0, ArgumentError, "a positive int"),
    (BasicBlock, "dilation", 1.5, ArgumentError, "a positive int"),
    (BasicBlock, "first_dilation", 0, ArgumentError, "a positive int"),
    (BasicBlock, "se_reduction", -1, ArgumentError, "a non-negative int"),
    (BasicBlock, "se_reduction", 0.5, ArgumentError, "a non-negative int"),
    (BasicBlock, "stochastic_depth", 1.0, ArgumentError, NUMBER),
    (BasicBlock, "stochastic_depth", "half", ArgumentError, NUMBER),
    (BasicBlock, "norm", "batch", ArgumentError, "a class or a function that makes a module"),
    (PreActBlock, "act", None, ArgumentError, "a class or a function that makes a module"),
    (WideBlock, "dropout", -0.1, ArgumentError, NUMBER),
    (WideBlock, "dropout", "half", ArgumentError, NUMBER),
    (WideBlock, "dropout", float("nan"), ArgumentError, NUMBER),
    (Bottleneck, "groups", 3, ArgumentError, "a divisor of the channels 4 -> 4"),
    (Bottleneck, "groups", 0, ArgumentError, "a positive int"),
    (PreActBottleneck, "bottleneck_ratio", 0, ArgumentError, "a number above 0 and at most 1.34218e+08"),
    (Bottleneck, "bottleneck_ratio", "quarter", ArgumentError, "a number above 0 and at most 1.34218e+08"),
    (
        partial(PadShortcut, in_channels=3, out_channels=6),
        "zeros",
        "before",
        UnknownNameError,
        "one of 'split', 'after'",
    ),
    (partial(BasicBlock, out_channels=4), "in_channels", 0, ArgumentError, "a positive int"),
    (partial(BlurPool, stride=2), "channels", 2.0, ArgumentError, "a positive int"),
    (partial(BlurPool, 3), "stride", "2", ArgumentError, "a positive int"),
]


@pytest.mark.parametrize(("make", "option", "value", "error", "expected"), BAD)
def test_bad_option_is_named(make: Any, option: str, value: Any, error: type[Exception], expected: str) -> None:
    with pytest.raises(error, match=rf"{option}: expected {re.escape(expected)}, got {value!r}"):
        make(*((4, 16) if make in BLOCKS else ()), **{option: value})


def test_padding_shortcut_does_not_reduce_channels() -> None:
    with pytest.raises(
        ArgumentError, match=r"shortcut='pad': expected out_channels of at least in_channels, got 8 -> 4"
    ):
        BasicBlock(8, 4, shortcut="pad")


# Learning


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """Maps of 8x8 are too small for two threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@every_block
@pytest.mark.usefixtures("_one_thread")
def test_block_learns_64_digits_by_heart(block: Callable[..., ResidualBlock]) -> None:
    digits = load_digits()
    x = torch.tensor(digits.images[:64], dtype=torch.float32)[:, None] / 16
    y = torch.tensor(digits.target[:64], dtype=torch.long)
    model = ResNet(block, (1, 1), (16, 32), in_channels=1, num_classes=10)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert (model.eval()(x).argmax(1) == y).all()
