"""The learned resizer of Talebi & Milanfar, for any size and any number of channels, starting as the fixed resize."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .._checks import MAX_COUNT, MAX_REPEATS, check_choice, check_non_negative, check_positive, parse_number
from .._errors import ArgumentError
from .._modules import check_model
from .._sizes import Size
from ..functional._fx import is_proxy
from ..functional._interpolation import Interpolation
from ..kernels import DEFAULT, KERNELS, Kernels, head_and_moments, merge_moments, why_unsupported_training
from ._base import LearnedResizer
from ._fused import FusedResizer
from ._network import check_enough_values, normalizes_images_alone, resize_features
from ._training import Moments, batch_norm_behind_resize, recomputed

if TYPE_CHECKING:
    from typing_extensions import Self

_CHECKPOINT_CHUNKS = 8  # the memory of the head shrinks by this factor; more chunks are smaller and slower


def _num_groups(channels: int) -> int:
    """The largest of 4, 2, 1 that divides ``channels``."""
    return next(groups for groups in (4, 2, 1) if channels % groups == 0)


_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(_num_groups(channels), channels),
    "none": lambda channels: nn.Identity(),
}


class Resizer(LearnedResizer):
    """A small convolutional network that resizes, of "Learning to Resize Images for Computer Vision Tasks", ICCV 2021.

    Section 3.1 and figure 3 of the paper (arXiv 2103.09950)::

        skip  = resize(x, size)
        b     = resize(norm(act(conv1(act(conv7(x))))), size)
        z     = norm(conv3(blocks(b))) + b
        out   = conv7(z) + skip
        block = u + norm(conv3(act(norm(conv3(u)))))

    With ``zero_init`` the network starts as exactly the fixed antialiased resize, which the published network does not.
    So you can put it in front of a pretrained model without changing a prediction. ``Resizer.paper()`` is the published
    network.

    Convention: pixel centers at half-integers. ``antialias`` applies to the skip. The features are resized without
    antialias up to a factor of 2, where bilinear still reads every pixel, so that high frequencies remain. Beyond a
    factor of 2 they are resized with antialias.

    Args:
        size: (height, width) in pixels, or one int for a square; each call may ask for another.
        in_channels: channels of the image.
        out_channels: channels of the result, ``in_channels`` unless given. If the two numbers differ, the skip ends in
            a learned 1x1 convolution, which starts with output channel i as a copy of input channel
            ``i % in_channels``.
        channels: n of the paper, the width of the network.
        num_blocks: r of the paper, the number of residual blocks.
        negative_slope: slope of the leaky ReLUs for negative inputs, not negative.
        norm: "batch" (as published), "group" or "none".
        interpolation: "nearest-exact", "bilinear" or "bicubic".
        antialias: low-pass before shrinking.
        zero_init: start the last convolution at zero.
        checkpoint: recompute in backward, for the same gradients with less memory. The head, which works at input
            resolution, takes an eighth of the batch at a time, unless its norm was replaced by hand, for example by a
            SyncBatchNorm. In ``torch.compile`` of torch 2.6 the running statistics of the blocks are updated twice a
            step.
        kernels: "auto" uses Triton kernels for the head of a training step if they support it: norm="batch", 16
            channels, bilinear, images that need no gradient, and the other conditions of ``fuse``. For backward the
            kernels keep only the image and the resized features. "always" raises ArgumentError if they do not support a
            step. "never", the default until the kernels have run on a GPU, uses plain PyTorch. The argument affects
            training only; for inference see ``fuse``.

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
        norm: Literal["batch", "group", "none"] = "batch",
        interpolation: Interpolation = "bilinear",
        antialias: bool = True,
        zero_init: bool = True,
        checkpoint: bool = False,
        kernels: Kernels = DEFAULT,
    ) -> None:
        super().__init__(
            size, in_channels=in_channels, out_channels=out_channels, interpolation=interpolation, antialias=antialias
        )
        check_positive("channels", channels)
        check_non_negative("num_blocks", num_blocks, at_most=MAX_REPEATS)
        negative_slope = parse_number("negative_slope", negative_slope, at_least=0, at_most=MAX_COUNT)
        check_choice("norm", norm, _NORMS)
        check_choice("kernels", kernels, KERNELS)
        make_norm = _NORMS[norm]
        self.checkpoint = checkpoint
        self.kernels = kernels
        self.negative_slope = negative_slope

        def conv3() -> nn.Conv2d:
            return nn.Conv2d(channels, channels, 3, padding=1, bias=norm == "none")

        def act() -> nn.LeakyReLU:
            return nn.LeakyReLU(negative_slope, inplace=True)  # nothing else reads the output of the layer before it

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
        """Return the published network: BatchNorm, random initialization, no antialias; ``kwargs`` as for the class.

        Example:
            >>> sum(p.numel() for p in Resizer.paper().parameters())
            12035
        """
        return cls(size, **{"norm": "batch", "zero_init": False, "antialias": False, **kwargs})

    def fuse(self, *, kernels: Kernels = DEFAULT) -> FusedResizer:
        """Return a faster copy for inference: norms are folded into convolutions or moved behind the resize.

        Layers put in by hand, and those with hooks, pruning or parametrizations, stay as they are. A pixel that is not
        finite may reach a few pixels farther than in the resizer, because neighboring pixels share a window.

        Args:
            kernels: "auto" uses Triton kernels if they support a call: images in half precision on a CUDA device of
                compute capability 8.0 or more, halved exactly, with triton installed. "always" raises ArgumentError
                if they do not support a call. "never", the default until the kernels have run on a GPU, is plain
                PyTorch.

        Raises:
            ArgumentError: ``kernels="always"`` for a network that the kernels do not support.
            UnknownNameError: an unknown value of ``kernels``.
            UnsupportedModelError: a norm before the resize that is neither a BatchNorm (or SyncBatchNorm) with running
                statistics nor a GroupNorm with weights; another BatchNorm without running statistics; a first or last
                layer that is not a Conv2d; sharded parameters.
        """
        check_model(self, operation="fuse")
        return FusedResizer(
            self.size,
            head=self.head,
            norm=self.norm,
            blocks=self.blocks,
            merge=self.merge,
            tail=self.tail,
            skip=self.skip,
            interpolation=self.interpolation,
            antialias=self.antialias,
            kernels=kernels,
        )

    def _forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        check_enough_values(self, x, size)
        # On CUDA GroupNorm of torch 2.11 returns contiguous features (github.com/pytorch/pytorch/issues/111824); this
        # can go with it. A sum has the memory format of its first term.
        b = self._in_format_for(self._features(x, size), x)
        z = b
        for block in self.blocks:
            z = z + self._call(block, z)
        residual: Tensor = self.tail(b + self._call(self.merge, z))
        return residual + self._plain(x, size)

    def _recomputes(self) -> bool:
        return self.checkpoint and torch.is_grad_enabled()

    def _call(self, layers: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = recomputed(layers, x) if self._recomputes() and not is_proxy(x) else layers(x)
        return out

    def _features(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """The output of the head, normalized and resized."""
        if self._takes_kernels(x, size):
            resized, variance, mean = head_and_moments(x, self.head)
            return batch_norm_behind_resize(self.norm, resized, variance, mean, count=x.numel() // x.shape[1])
        if self._recomputes() and not is_proxy(x) and len(x) > 0:
            return self._features_in_chunks(x, size)
        return self._features_at_once(x, size)

    def _takes_kernels(self, x: Tensor, size: tuple[int, int]) -> bool:
        """Whether the training kernels compute the head of this call."""
        if self.kernels == "never" or not self.training or is_proxy(x):
            return False
        reason = self._why_unsupported(x, size)
        if reason is not None and self.kernels == "always":
            raise ArgumentError(f"kernels='always' does not support this call: {reason}")
        return reason is None

    def _why_unsupported(self, x: Tensor, size: tuple[int, int]) -> str | None:
        if type(self.norm) is not nn.BatchNorm2d or not self.norm.training:
            return f"expected a BatchNorm2d in training mode, got {self.norm}"
        if self.interpolation != "bilinear":
            return f"expected interpolation='bilinear', got {self.interpolation!r}"
        return why_unsupported_training(x, size, self.head)

    def _features_at_once(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return self._resized(self.norm(self.head(x)), size)

    def _resized(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        return resize_features(features, size, interpolation=self.interpolation, antialias=self.antialias)

    def _features_in_chunks(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """``_features_at_once``, recomputed in backward a chunk of the batch at a time."""
        chunks = x.chunk(_CHECKPOINT_CHUNKS)
        if normalizes_images_alone(self.norm):
            return torch.cat([checkpoint(self._features_at_once, chunk, size, use_reentrant=False) for chunk in chunks])
        if type(self.norm) is not nn.BatchNorm2d:
            return self._features_at_once(x, size)
        parts = [checkpoint(self._features_and_moments, chunk, size, use_reentrant=False) for chunk in chunks]
        resized, *moments = zip(*parts, strict=True)
        variance, mean = merge_moments(*(torch.stack(moment) for moment in moments))
        count = x.numel() // x.shape[1]
        return batch_norm_behind_resize(self.norm, torch.cat(resized), variance, mean, count=count)

    def _features_and_moments(self, x: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The resized output of the head without the norm, and count, mean and squared deviations before the resize."""
        features = self.head(x)
        variance, mean = Moments.apply(features)
        count = torch.full_like(mean, features.numel() / features.shape[1])
        return self._resized(features, size), count, mean, variance * count
