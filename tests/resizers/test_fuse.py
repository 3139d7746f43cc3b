"""Fused copies compute what the resizer computes in evaluation, or refuse."""

import re
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torchvision.ops import FrozenBatchNorm2d

import reference
from resizenet import ArgumentError, LinearResizer, Resizer, UnknownNameError, UnsupportedModelError
from resizenet.resizers import _fused
from strategies import Resizing, resizings

Randomized = Callable[[nn.Module], nn.Module]
FLOAT64 = {"rtol": 1e-11, "atol": 1e-11}  # a fused network adds the same terms in another order


@given(
    case=resizings(st.just("bilinear")),
    norm=st.sampled_from(["batch", "group", "none"]),
    blocks=st.integers(0, 2),
    out_channels=st.integers(1, 4),
)
def test_a_fused_resizer_equals_the_resizer_in_evaluation(
    randomized: Randomized, case: Resizing, norm: str, blocks: int, out_channels: int
) -> None:
    options = {"channels": 4, "out_channels": out_channels, "antialias": case.antialias}
    resizer = randomized(Resizer(case.after, norm=norm, num_blocks=blocks, **options))
    x = torch.rand(2, 3, *case.before, dtype=torch.float64)
    torch.testing.assert_close(resizer.fuse()(x), resizer(x), **FLOAT64)


def test_a_fused_resizer_has_no_batch_norm() -> None:
    assert not any(isinstance(module, nn.BatchNorm2d) for module in Resizer(11).fuse().modules())


def test_a_synchronized_batch_norm_is_folded_like_any_other(randomized: Randomized) -> None:
    resizer = nn.SyncBatchNorm.convert_sync_batchnorm(randomized(Resizer((7, 11))))
    x = torch.rand(2, 3, 13, 19, dtype=torch.float64)
    fused = resizer.fuse()
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in fused.modules())
    torch.testing.assert_close(fused(x), resizer.eval()(x), **FLOAT64)


def test_a_batch_norm_without_weights_is_folded(randomized: Randomized) -> None:
    resizer = Resizer((7, 11))
    resizer.norm = nn.BatchNorm2d(16, affine=False)
    resizer, x = randomized(resizer), torch.rand(2, 3, 13, 19, dtype=torch.float64)
    state = reference.arrays({"norm.weight": torch.ones(16), "norm.bias": torch.zeros(16), **resizer.state_dict()})
    expected = reference.learned_resizer(x.numpy(), (7, 11), state, 1, skip_antialias=True, feature_antialias=False)
    torch.testing.assert_close(resizer.fuse()(x), torch.from_numpy(expected), **FLOAT64)


class NormAndActivation(nn.BatchNorm2d):
    """As timm has it."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


@pytest.mark.parametrize(
    "norm",
    [
        FrozenBatchNorm2d(16),
        nn.InstanceNorm2d(16, track_running_stats=True),
        nn.BatchNorm2d(16, track_running_stats=False),
        nn.GroupNorm(4, 16, affine=False),
        NormAndActivation(16),
    ],
    ids=lambda norm: type(norm).__name__,
)
def test_a_norm_that_cannot_move_behind_the_resize_is_refused(norm: nn.Module) -> None:
    resizer = Resizer((7, 11))
    resizer.norm = norm
    expected = "a BatchNorm with running statistics, a GroupNorm with weights or none"
    message = f"fuse: expected the norm before the resize to be {expected}, got {norm}"
    with pytest.raises(UnsupportedModelError, match=re.escape(message)):
        resizer.fuse()


def test_a_batch_norm_without_running_statistics_is_refused_in_a_block() -> None:
    resizer = Resizer((7, 11))
    resizer.blocks[0][1] = nn.BatchNorm2d(16, track_running_stats=False)
    message = r"fuse: expected BatchNorms with running statistics, got BatchNorm2d\(16, .*track_running_stats=False"
    with pytest.raises(UnsupportedModelError, match=message):
        resizer.fuse()


def test_another_norm_in_a_block_stays_and_is_not_supported_by_the_kernels(randomized: Randomized) -> None:
    resizer, x = randomized(Resizer((7, 11))), torch.rand(2, 3, 14, 22, dtype=torch.float64)
    resizer.blocks[0][1] = nn.InstanceNorm2d(16)
    fused = resizer.fuse(kernels="auto")
    torch.testing.assert_close(fused(x), resizer(x), **FLOAT64)
    assert fused.half_resizer is None
    with pytest.raises(ArgumentError, match="expected norm='batch' or 'none' and the layers that Resizer makes, got"):
        resizer.fuse(kernels="always")


class Doubled(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Scaled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 3 * weight


def conv(kernel_size: int, **options: object) -> Callable[[nn.Module], nn.Module]:
    """Replaces a convolution by another of the same channels, or the convolutions in a sequence."""

    def replace(layer: nn.Module) -> nn.Module:
        if isinstance(layer, nn.Conv2d):
            return nn.Conv2d(layer.in_channels, layer.out_channels, kernel_size, **{"padding": "same", **options})
        for name, child in layer.named_children():
            if isinstance(child, nn.Conv2d):
                layer.register_module(name, replace(child))
        return layer

    return replace


def pruned(layer: nn.Module) -> nn.Module:
    for part in layer.modules():
        if getattr(part, "weight", None) is not None:
            prune.random_unstructured(part, "weight", 0.5)
    return layer


def parametrized(layer: nn.Module) -> nn.Module:
    for part in list(layer.modules()):
        if isinstance(getattr(part, "weight", None), nn.Parameter):
            parametrize.register_parametrization(part, "weight", Scaled())
    return layer


def weight_normed(layer: nn.Module) -> nn.Module:
    for part in list(layer.modules()):
        if isinstance(part, nn.Conv2d):
            parametrizations.weight_norm(part)
    return layer


def hooked(layer: nn.Module) -> nn.Module:
    for part in layer.modules():
        part.register_forward_hook(lambda module, args, out: 1.5 * out)
    return layer


CHANGES = {
    "reflect": conv(3, padding_mode="reflect", padding=1),
    "dilated": conv(3, dilation=2),
    "without bias": conv(5, bias=False),
    "1x1": conv(1),
    "oblong": conv((3, 5)),
    "wide": conv(7, padding=3),
    "doubled": lambda layer: Doubled(*layer.children()),
    "nothing": lambda layer: nn.Identity(),
    "empty": lambda layer: nn.Sequential(),
    "residual": lambda layer: nn.Sequential(nn.Dropout(), nn.Identity()),
    "pruned": pruned,
    "parametrized": parametrized,
    "weight norm": weight_normed,
    "hooked": hooked,
}
PARTS = ["head", "head.0", "head.1", "norm", "blocks.0", "blocks.0.1", "blocks.1", "merge", "merge.1", "tail", "skip"]


@given(
    part=st.sampled_from(PARTS),
    change=st.sampled_from(list(CHANGES)),
    norm=st.sampled_from(["batch", "group", "none"]),
    before=st.sampled_from([(14, 22), (13, 19)]),
)
@settings(max_examples=200)
def test_parts_put_in_by_hand_are_computed_or_refused(
    randomized: Randomized, part: str, change: str, norm: str, before: tuple[int, int]
) -> None:
    resizer = Resizer((7, 11), norm=norm, num_blocks=2, out_channels=2)
    resizer.set_submodule(part, CHANGES[change](resizer.get_submodule(part)))
    x = torch.rand(2, 3, *before, dtype=torch.float64)
    try:
        expected = randomized(resizer)(x)
    except (RuntimeError, ValueError, TypeError):
        return  # a network that does not run
    fused = fuse_or_refuse(resizer)
    if fused is not None:
        torch.testing.assert_close(fused(x), expected, **FLOAT64)


def fuse_or_refuse(resizer: nn.Module) -> nn.Module | None:
    try:
        return resizer.fuse(kernels="auto")
    except UnsupportedModelError as error:
        assert str(error).startswith("fuse: expected")  # noqa: PT017, it may also be fused
        return None


def test_a_fused_resizer_takes_its_batch_in_chunks_on_a_cpu(
    randomized: Randomized, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused, x = randomized(Resizer((7, 11))).fuse(), torch.rand(5, 3, 13, 19, dtype=torch.float64)
    whole = fused(x)
    sizes = []
    fused.head.register_forward_hook(lambda module, args, output: sizes.append(len(output)))
    monkeypatch.setattr(_fused, "_CPU_CHUNK_BYTES", 2 * 16 * 13 * 19 * 8)  # two images of 16 float64 channels
    torch.testing.assert_close(fused(x), whole, **FLOAT64)
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("before", [(64, 66), (49, 61)])
def test_a_pixel_that_is_not_finite_stays_in_its_neighborhood(randomized: Randomized, before: tuple[int, int]) -> None:
    """The four pixels of a block share a window, so it may reach one pixel farther than in the resizer."""
    resizer, x = randomized(Resizer((32, 33))), torch.rand(2, 3, *before, dtype=torch.float64)
    x[0, 1, 21, 30] = torch.inf
    expected, fused = resizer(x), resizer.fuse()(x)
    bad = (~expected.isfinite()).double()
    reached = nn.functional.max_pool2d(bad, 3, stride=1, padding=1).bool()
    assert 0 < reached.double().mean() < 0.5
    torch.testing.assert_close(fused[~reached], expected[~reached], **FLOAT64)


@pytest.mark.parametrize("make", [Resizer, LinearResizer], ids=lambda make: make.__name__)
@pytest.mark.parametrize("before", [(14, 22), (13, 19)])
@pytest.mark.parametrize("of", ["image", "weights", "neither"])
def test_a_fused_resizer_keeps_the_memory_format(make: type[nn.Module], before: tuple[int, int], of: str) -> None:
    resizer, x = make((7, 11)), torch.rand(2, 3, *before)
    if of == "image":
        x = x.contiguous(memory_format=torch.channels_last)
    if of == "weights":
        resizer = resizer.to(memory_format=torch.channels_last)
    memory_format = torch.contiguous_format if of == "neither" else torch.channels_last
    assert resizer.fuse()(x).is_contiguous(memory_format=memory_format)


def test_a_fused_wrapped_model_is_a_copy_that_gives_the_same_logits(randomized: Randomized) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    wrapped, x = randomized(Resizer((7, 11)).wrap(model)), torch.rand(2, 3, 13, 19, dtype=torch.float64)
    fused = wrapped.fuse()
    torch.testing.assert_close(fused(x), wrapped(x), **FLOAT64)
    assert fused.model is not wrapped.model
    assert wrapped.strip() == (wrapped.resizer, wrapped.model)


def test_kernels_are_optional(randomized: Randomized) -> None:
    resizer, x = randomized(Resizer((7, 11))), torch.rand(2, 3, 14, 22, dtype=torch.float64)
    assert resizer.fuse().half_resizer is None
    fused = resizer.fuse(kernels="auto")
    assert fused.half_resizer is not None
    torch.testing.assert_close(fused(x), resizer(x), **FLOAT64)
    for other in (Resizer(8, norm="group"), Resizer(8, channels=8), Resizer(8, interpolation="bicubic")):
        assert other.fuse(kernels="auto").half_resizer is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "kernels='always' does not support this call: "),
        ({"norm": "group"}, r"does not support this network: expected norm='batch' or 'none', got GroupNorm\(4, 16, "),
        ({"channels": 8}, "does not support this network: expected channels=16 or 32, got 8"),
    ],
)
def test_kernels_that_are_demanded_are_not_silently_left_out(options: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Resizer(8, **options).fuse(kernels="always")(torch.rand(1, 3, 16, 16))


def test_an_unknown_word_for_kernels_is_named() -> None:
    with pytest.raises(UnknownNameError, match="kernels: expected one of 'auto', 'always', 'never', got 'force'"):
        Resizer(8).fuse(kernels="force")
