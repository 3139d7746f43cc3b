"""Fused copies compute what the resizer computes in evaluation."""

import copy
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

import reference
from resizenet import ArgumentError, LinearResizer, Resizer, UnknownNameError, UnsupportedModelError
from resizenet.resizers import _fused, _linear
from strategies import Resizing, resizings

FLOAT64 = {"rtol": 1e-11, "atol": 1e-11}  # a fused network adds the same terms in another order


def randomised(resizer: nn.Module, dtype: torch.dtype = torch.float64) -> nn.Module:
    resizer = resizer.to(dtype).eval()
    for parameter in resizer.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    for name, buffer in resizer.named_buffers():
        if name.endswith("running_mean"):
            nn.init.normal_(buffer)
        elif name.endswith("running_var"):
            nn.init.uniform_(buffer, 0.5, 2)
    return resizer


@given(
    case=resizings(st.just("bilinear")),
    norm=st.sampled_from(["batch", "group", "none"]),
    blocks=st.integers(0, 2),
    out_channels=st.integers(1, 4),
)
def test_a_fused_resizer_equals_the_resizer_in_evaluation(
    case: Resizing, norm: str, blocks: int, out_channels: int
) -> None:
    resizer = randomised(
        Resizer(
            case.after, norm=norm, num_blocks=blocks, channels=4, out_channels=out_channels, antialias=case.antialias
        )
    )
    x = torch.rand(2, 3, *case.before, dtype=torch.float64)
    torch.testing.assert_close(resizer.fuse()(x), resizer(x), **FLOAT64)


def test_a_fused_resizer_has_no_batch_norm_and_leaves_the_original_alone() -> None:
    resizer = Resizer(11).train()
    before = copy.deepcopy(resizer.state_dict())
    fused = resizer.fuse()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    assert not fused.training
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    assert resizer.training
    assert all(parameter.requires_grad for parameter in resizer.parameters())
    torch.testing.assert_close(resizer.state_dict(), before, rtol=0, atol=0)


def test_a_synchronised_batch_norm_is_folded_like_any_other() -> None:
    resizer = nn.SyncBatchNorm.convert_sync_batchnorm(randomised(Resizer((7, 11))))
    x = torch.rand(2, 3, 13, 19, dtype=torch.float64)
    expected = reference.learned_resizer(
        x.numpy(), (7, 11), reference.arrays(resizer.state_dict()), 1, skip_antialias=True, feature_antialias=False
    )
    fused = resizer.fuse()
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in fused.modules())
    torch.testing.assert_close(fused(x), torch.from_numpy(expected), **FLOAT64)


def test_a_batch_norm_without_weights_is_folded() -> None:
    resizer = randomised(Resizer((7, 11)))
    resizer.norm = nn.BatchNorm2d(16, affine=False).double().eval()
    nn.init.normal_(resizer.norm.running_mean)
    nn.init.uniform_(resizer.norm.running_var, 0.5, 2)
    x = torch.rand(2, 3, 13, 19, dtype=torch.float64)
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
    expected = re.escape(
        f"fuse: expected the norm before the resize to be a BatchNorm with running statistics, a GroupNorm with weights or none, got {norm}"
    )
    with pytest.raises(UnsupportedModelError, match=expected):
        resizer.fuse()


def test_a_batch_norm_without_running_statistics_is_refused_in_a_block() -> None:
    resizer = Resizer((7, 11))
    resizer.blocks[0][1] = nn.BatchNorm2d(16, track_running_stats=False)
    with pytest.raises(
        UnsupportedModelError,
        match=r"fuse: expected BatchNorms with running statistics, got BatchNorm2d\(16, .*track_running_stats=False",
    ):
        resizer.fuse()


def test_another_norm_in_a_block_stays_and_keeps_the_kernels_out() -> None:
    resizer = randomised(Resizer((7, 11)))
    resizer.blocks[0][1] = nn.InstanceNorm2d(16)
    x = torch.rand(2, 3, 14, 22, dtype=torch.float64)
    fused = resizer.fuse()
    torch.testing.assert_close(fused(x), resizer(x), **FLOAT64)
    assert fused.halving is None
    with pytest.raises(ArgumentError, match=r"expected norm='batch' or 'none', got InstanceNorm2d\(16, "):
        resizer.fuse(kernels="always")


def test_a_fused_resizer_takes_its_batch_in_chunks_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    fused = randomised(Resizer((7, 11))).fuse()
    x = torch.rand(5, 3, 13, 19, dtype=torch.float64)
    whole = fused(x)
    sizes = []
    fused.head.register_forward_hook(lambda module, args, output: sizes.append(len(output)))
    monkeypatch.setattr(_fused, "_CPU_CHUNK_BYTES", 2 * 16 * 13 * 19 * 8)  # two images of 16 float64 channels
    torch.testing.assert_close(fused(x), whole, **FLOAT64)
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_fused_resizer_keeps_the_memory_format(memory_format: torch.memory_format) -> None:
    x = torch.rand(2, 3, 13, 19).contiguous(memory_format=memory_format)
    assert Resizer((7, 11)).fuse()(x).is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("make", [Resizer, LinearResizer], ids=lambda make: make.__name__)
@pytest.mark.parametrize("before", [(14, 22), (13, 19)])
def test_fused_from_weights_in_channels_last_the_result_is_in_channels_last(
    make: type[nn.Module], before: tuple[int, int]
) -> None:
    fused = make((7, 11)).to(memory_format=torch.channels_last).fuse()
    assert fused(torch.rand(2, 3, *before)).is_contiguous(memory_format=torch.channels_last)


EXACT_RATIOS = {
    "defaults": {},
    "2x2 mean": {"antialias": False},
    "bicubic": {"interpolation": "bicubic"},
    "by 3": {"oversample": 3, "kernel_size": 5},
    "by 4, narrow": {"oversample": 4, "kernel_size": 4},
    "wide": {"kernel_size": 8},
    "mixed channels": {"out_channels": 5},
}


@pytest.mark.parametrize("options", EXACT_RATIOS.values(), ids=EXACT_RATIOS)
def test_a_fused_linear_resizer_is_one_convolution_at_the_exact_ratio(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    resizer = randomised(LinearResizer((7, 11), **options))
    fused = resizer.fuse()
    x = torch.rand(2, 3, 7 * resizer.oversample, 11 * resizer.oversample, dtype=torch.float64)
    expected = resizer(x)
    monkeypatch.delattr(_linear, "resize")  # nothing is resized on this path
    torch.testing.assert_close(fused(x), expected, **FLOAT64)


@pytest.mark.parametrize(
    ("options", "before"),
    [
        ({}, (23, 17)),
        ({}, (5, 3)),
        ({"interpolation": "bicubic", "antialias": False}, (14, 22)),
        ({"interpolation": "nearest-exact"}, (14, 22)),
    ],
)
def test_a_fused_linear_resizer_equals_the_resizer_at_any_other_ratio(
    options: dict[str, object], before: tuple[int, int]
) -> None:
    resizer = randomised(LinearResizer((7, 11), **options))
    x = torch.rand(2, 3, *before, dtype=torch.float64)
    torch.testing.assert_close(resizer.fuse()(x), resizer(x), **FLOAT64)


def test_a_fused_wrapped_model_is_a_copy_that_gives_the_same_logits() -> None:
    wrapped = randomised(
        Resizer((7, 11)).wrap(
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        )
    )
    x = torch.rand(2, 3, 13, 19, dtype=torch.float64)
    fused = wrapped.fuse()
    torch.testing.assert_close(fused(x), wrapped(x), **FLOAT64)
    assert fused.model is not wrapped.model
    assert wrapped.strip() == (wrapped.resizer, wrapped.model)


def test_kernels_are_left_out_where_they_do_not_apply() -> None:
    resizer, x = randomised(Resizer((7, 11))), torch.rand(2, 3, 14, 22, dtype=torch.float64)
    assert resizer.fuse(kernels="never").halving is None
    fused = resizer.fuse()
    assert fused.halving is not None
    torch.testing.assert_close(fused(x), resizer(x), **FLOAT64)
    for other in (Resizer(8, norm="group"), Resizer(8, channels=8), Resizer(8, interpolation="bicubic")):
        assert other.fuse(kernels="auto").halving is None


def test_kernels_that_were_demanded_are_not_silently_left_out() -> None:
    with pytest.raises(ArgumentError, match="kernels='always' is not for this call: "):
        Resizer(8).fuse(kernels="always")(torch.rand(1, 3, 16, 16))
    with pytest.raises(
        ArgumentError,
        match=r"kernels='always' is not for this network: expected norm='batch' or 'none', got GroupNorm\(4, 16, ",
    ):
        Resizer(8, norm="group").fuse(kernels="always")
    with pytest.raises(
        ArgumentError, match=r"kernels='always' is not for this network: expected channels=16 or 32, got 8"
    ):
        Resizer(8, channels=8).fuse(kernels="always")
    with pytest.raises(UnknownNameError, match="kernels: expected one of 'auto', 'always', 'never', got 'force'"):
        Resizer(8).fuse(kernels="force")
