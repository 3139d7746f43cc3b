"""The learned resizer of Talebi & Milanfar, for any size and any number of channels, starting as the fixed resize."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .._checks import check_choice, check_positive
from .._errors import ArgumentError
from .._sizes import Size
from ..functional import resize
from ..kernels import head_and_moments, objection_to_training
from ._base import LearnedResizer

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._fused import FusedResizer

KERNELS = ("auto", "always", "never")
_CHECKPOINT_CHUNKS = 8  # the memory of the head shrinks by this; more chunks are smaller and slower


def _num_groups(channels: int) -> int:
    """The largest of 4, 2, 1 that divides ``channels``."""
    return next(groups for groups in (4, 2, 1) if channels % groups == 0)


_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(_num_groups(channels), channels),
    "none": lambda channels: nn.Identity(),
}


class Resizer(LearnedResizer):
    """A small convolutional network that resizes, from "Learning to Resize Images for Computer Vision Tasks" (ICCV 2021).

    Section 3.1 and figure 3 of the paper (arXiv 2103.09950)::

        skip  = resize(x, size)
        b     = resize(norm(act(conv1(act(conv7(x))))), size)
        z     = norm(conv3(blocks(b))) + b
        out   = conv7(z) + skip
        block = u + norm(conv3(act(norm(conv3(u)))))

    Unlike the published one it starts, with ``zero_init``, as exactly the fixed antialiased resize, so that it can go in front of a
    pretrained model without changing a prediction. ``Resizer.paper()`` is the published network.

    Convention: pixel centres at half-integers. ``antialias`` governs the skip; the features are resized without it up to a
    factor of 2, where bilinear still reads every pixel, so that high frequencies stay available, and with it beyond.

    Args:
        size: (height, width) in pixels, or one int for a square; each call may ask for another.
        in_channels: channels of the image.
        out_channels: channels of the result, ``in_channels`` unless given. When they differ, the skip ends in a learned 1x1
            convolution, which starts with output channel i as a copy of input channel ``i % in_channels``.
        channels: n of the paper, the width of the network.
        num_blocks: r of the paper, residual blocks in series.
        negative_slope: of the leaky ReLUs, not negative.
        norm: "batch" (as published), "group" or "none".
        interpolation: "nearest-exact", "bilinear" or "bicubic".
        antialias: low-pass before shrinking.
        zero_init: start the last convolution at zero.
        checkpoint: recompute in backward: the same gradients with less memory. The head, which works at input resolution, goes an
            eighth of the batch at a time, unless its norm was replaced by hand (by SyncBatchNorm, say), which sees the whole batch. In
            ``torch.compile`` of torch 2.6 the running statistics of the blocks are updated twice a step.
        kernels: "auto" takes Triton kernels for the head of a training step where they apply: norm="batch", 16 channels, bilinear, and
            otherwise as in ``fuse``, for images that need no gradient. They keep the image and the resized features only. "always"
            raises ArgumentError where they do not apply. "never", the default until they have run on a GPU, is plain PyTorch. Evaluation is
            the matter of ``fuse``.

    Raises:
        SizeError, ArgumentError, UnknownNameError: an argument outside its range.

    Example:
        >>> import torch
        >>> resizer = Resizer(224)
        >>> resizer(torch.rand(1, 3, 300, 400)).shape
        torch.Size([1, 3, 224, 224])
        >>> resizer(torch.rand(1, 3, 300, 400), size=(160, 192)).shape
        torch.Size([1, 3, 160, 192])
    """

    lr_divisor = 10

    def __init__(
        self,
        size: Size,
        *,
        in_channels: int = 3,
        out_channels: int | None = None,
        channels: int = 16,
        num_blocks: int = 1,
        negative_slope: float = 0.2,
        norm: str = "batch",
        interpolation: str = "bilinear",
        antialias: bool = True,
        zero_init: bool = True,
        checkpoint: bool = False,
        kernels: str = "never",
    ) -> None:
        super().__init__(
            size, in_channels=in_channels, out_channels=out_channels, interpolation=interpolation, antialias=antialias
        )
        check_positive("channels", channels)
        if not isinstance(num_blocks, int) or num_blocks < 0:
            raise ArgumentError(f"num_blocks: expected a non-negative int, got {num_blocks!r}")
        if not negative_slope >= 0:
            raise ArgumentError(f"negative_slope: expected a non-negative number, got {negative_slope!r}")
        check_choice("norm", norm, _NORMS)
        check_choice("kernels", kernels, KERNELS)
        make_norm = _NORMS[norm]
        self.checkpoint = checkpoint
        self.kernels = kernels
        self.negative_slope = negative_slope

        def conv3() -> nn.Conv2d:
            return nn.Conv2d(channels, channels, 3, padding=1, bias=norm == "none")

        def act() -> nn.LeakyReLU:
            return nn.LeakyReLU(
                negative_slope, inplace=True
            )  # its input is the output of a convolution or a norm, which nobody else reads

        self.head = nn.Sequential(
            nn.Conv2d(self.in_channels, channels, 7, padding=3), act(), nn.Conv2d(channels, channels, 1), act()
        )
        self.norm = make_norm(channels)
        self.blocks = nn.ModuleList(
            nn.Sequential(conv3(), make_norm(channels), act(), conv3(), make_norm(channels)) for _ in range(num_blocks)
        )
        self.merge = nn.Sequential(conv3(), make_norm(channels))
        self.tail = nn.Conv2d(channels, self.out_channels, 7, padding=3)
        if zero_init:
            nn.init.zeros_(self.tail.weight)
            nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]  # bias=True above

    @classmethod
    def paper(cls, size: Size = 224, **kwargs: Any) -> Self:
        """The published network: BatchNorm, random initialisation, no antialias. Keyword arguments are those of the class.

        Example:
            >>> sum(p.numel() for p in Resizer.paper().parameters())
            12035
        """
        return cls(size, **{"norm": "batch", "zero_init": False, "antialias": False, **kwargs})

    def fuse(self, *, kernels: str = "auto") -> FusedResizer:
        """A copy for inference that computes the same faster: norms folded into convolutions or moved behind the resize.

        Args:
            kernels: "auto" takes Triton kernels where they apply: images in half precision on a CUDA device (compute capability 8.0 or
                more), halved exactly, and triton installed. The first such call computes a small image by both ways, and plain PyTorch
                takes over, with a warning, should they differ; in ``torch.compile`` the kernels are taken if a call before it was
                eager. "always" raises ArgumentError where they do not apply. "never" is plain PyTorch. The kernels have run in Triton's interpreter,
                not on a GPU yet.

        Raises:
            ArgumentError: ``kernels="always"`` for a network that the kernels do not compute.
            UnknownNameError: another word.
            UnsupportedModelError: a norm put in by hand that is neither a BatchNorm (or SyncBatchNorm) with running statistics nor, before the
                resize, a GroupNorm; in the blocks others stay as they are.
        """
        from ._fused import FusedResizer  # it builds on this module

        return FusedResizer(self, kernels=kernels)

    def _forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        recompute = self.checkpoint and torch.is_grad_enabled()
        call = _recomputed if recompute else _called
        if self._takes_kernels(x, size):
            b = _normalize_behind(self.norm, [head_and_moments(x, self.head)], [x.numel() // x.shape[1]])  # type: ignore[arg-type]
        else:
            b = self._checkpointed_features(x, size) if recompute else self._features(x, size)
        z = b
        for block in self.blocks:
            z = z + call(block, z)
        residual: Tensor = self.tail(call(self.merge, z) + b)
        return residual + self._plain(x, size)

    def _takes_kernels(self, x: Tensor, size: tuple[int, int]) -> bool:
        """Whether the head of this call is computed by the training kernels."""
        if self.kernels == "never" or not self.training:
            return False
        objection = self._objection_to_kernels(x, size)
        if objection is not None and self.kernels == "always":
            raise ArgumentError(f"kernels='always' is not for this call: {objection}")
        return objection is None

    def _objection_to_kernels(self, x: Tensor, size: tuple[int, int]) -> str | None:
        if type(self.norm) is not nn.BatchNorm2d or not self.norm.training:
            return f"expected a BatchNorm2d in training mode, got {self.norm}"
        if self.interpolation != "bilinear":
            return f"expected interpolation='bilinear', got {self.interpolation!r}"
        return objection_to_training(x, size, self.head)

    def _features(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return resize_features(self.norm(self.head(x)), size, self.interpolation, self.antialias)

    def _checkpointed_features(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        if len(x) == 0:
            return self._features(x, size)
        chunks = x.chunk(_CHECKPOINT_CHUNKS)
        if isinstance(self.norm, (nn.GroupNorm, nn.Identity)) or not self.norm.training:
            return torch.cat([checkpoint(self._features, chunk, size, use_reentrant=False) for chunk in chunks])
        if type(self.norm) is nn.BatchNorm2d:
            parts = [checkpoint(self._features_and_moments, chunk, size, use_reentrant=False) for chunk in chunks]
            return _normalize_behind(
                self.norm, parts, [len(chunk) * chunk.shape[-2] * chunk.shape[-1] for chunk in chunks]
            )
        return self._features(x, size)

    def _features_and_moments(self, x: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """The head's output, resized but not normalised, and its variance and mean per channel before the resize."""
        features = self.head(x)
        variance, mean = _Moments.apply(features)
        return resize_features(features, size, self.interpolation, self.antialias), variance, mean


class _Moments(torch.autograd.Function):
    """Variance and mean per channel, at least in float32; half-precision features are saved for backward as they are."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        variance, mean = torch.var_mean(x.to(torch.promote_types(x.dtype, torch.float32)), (0, 2, 3), correction=0)
        ctx.save_for_backward(x, mean)
        return variance, mean

    @staticmethod
    def backward(ctx: Any, variance_grad: Tensor, mean_grad: Tensor) -> Tensor:
        x, mean = ctx.saved_tensors
        count = x.numel() / x.shape[1]
        slope, offset = 2 / count * variance_grad, (mean_grad - 2 * mean * variance_grad) / count
        gradient: Tensor = x * slope[:, None, None] + offset[:, None, None]
        return gradient.to(x.dtype)


def _called(module: nn.Module, x: Tensor) -> Tensor:
    out: Tensor = module(x)
    return out


def _recomputed(module: nn.Module, x: Tensor) -> Tensor:
    """Called now and again in backward, where the running statistics have already been updated; torch.compile updates them once by itself."""
    contexts: dict[str, Any] = (
        {} if torch.compiler.is_compiling() else {"context_fn": lambda: (nullcontext(), _frozen_statistics(module))}
    )
    out: Tensor = checkpoint(module, x, use_reentrant=False, **contexts)
    return out


@contextmanager
def _frozen_statistics(module: nn.Module) -> Iterator[None]:
    """What the norms write into their running statistics goes into copies, which are thrown away."""
    buffers = [(owner, dict(owner._buffers)) for owner in module.modules()]
    for owner, originals in buffers:
        owner._buffers = {name: buffer if buffer is None else buffer.clone() for name, buffer in originals.items()}
    try:
        yield
    finally:
        for owner, originals in buffers:
            owner._buffers = originals


def resize_features(features: Tensor, size: tuple[int, int], interpolation: str, antialias: bool) -> Tensor:
    """Up to a factor of 2 without antialias: bilinear reads every pixel there, and high frequencies stay available."""
    beyond_two = features.shape[-2] > 2 * size[0] or features.shape[-1] > 2 * size[1]
    return resize(features, size, interpolation=interpolation, antialias=antialias and beyond_two)


def _normalize_behind(norm: nn.BatchNorm2d, parts: list[tuple[Tensor, Tensor, Tensor]], counts: list[int]) -> Tensor:
    """Training-mode BatchNorm of the features before the resize, applied behind it: an affine map commutes with a resize.

    The moments of the chunks are joined by Chan, Golub & LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing
    Sample Variances", 1979, equation 2.1.
    """
    resized, variances, means = zip(*parts, strict=True)
    total = sum(counts)
    share = torch.tensor(counts, device=means[0].device, dtype=means[0].dtype)[:, None] / total
    mean = (share * torch.stack(means)).sum(0)
    variance = (share * (torch.stack(variances) + (torch.stack(means) - mean).square())).sum(0)
    _update_running_statistics(norm, mean.detach(), variance.detach() * total / (total - 1))
    scale = norm.weight * (variance + norm.eps).rsqrt()
    shift = norm.bias - mean * scale
    features = torch.cat(resized)
    return features * scale.to(features.dtype)[:, None, None] + shift.to(features.dtype)[:, None, None]


def _update_running_statistics(norm: nn.BatchNorm2d, mean: Tensor, unbiased_variance: Tensor) -> None:
    """As torch's BatchNorm2d does in training: by its momentum, or cumulatively when that is None."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked += 1
    momentum = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), momentum)
    norm.running_var.lerp_(unbiased_variance.to(norm.running_var.dtype), momentum)
