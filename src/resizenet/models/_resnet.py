"""One ResNet class for every published small-image network: stem, stages of blocks, pooling, classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from einops import reduce
from torch import Tensor, nn

from .._errors import ArgumentError, ShapeError, check_choice, check_positive
from ._stems import STEMS


class ResNet(nn.Module):
    """A residual network for any input size and any rectangle.

    Args:
        block: makes a block from (in_channels, out_channels, stride=..., **block_options), for example ``BasicBlock``.
        depths: blocks per stage.
        widths: output channels per stage; the stem has those of the first.
        stem: "cifar" (3x3, stride 1, no pool) or "imagenet" (7x7, stride 2, pool).
        strides: of each stage's first block; 1 for the first stage and 2 for the others unless given.
        in_channels: channels of the image.
        num_classes: of the classifier; 0 leaves it out, and the pooled features are returned.
        **block_options: passed to every block.

    Raises:
        ArgumentError: lengths that differ, or a number outside its range.
        UnknownNameError: an unknown stem.

    Example:
        >>> import torch
        >>> from resizenet.models import BasicBlock
        >>> model = ResNet(BasicBlock, (3, 3, 3), (16, 32, 64), num_classes=100)
        >>> model(torch.rand(2, 3, 32, 48)).shape
        torch.Size([2, 100])
        >>> model.forward_features(torch.rand(2, 3, 32, 48)).shape
        torch.Size([2, 64, 8, 12])
    """

    def __init__(
        self,
        block: Callable[..., nn.Module],
        depths: Sequence[int],
        widths: Sequence[int],
        *,
        stem: str = "cifar",
        strides: Sequence[int] | None = None,
        in_channels: int = 3,
        num_classes: int = 10,
        **block_options: object,
    ) -> None:
        super().__init__()
        strides = (1, *[2] * (len(depths) - 1)) if strides is None else strides
        if not len(depths) == len(widths) == len(strides) > 0:
            raise ArgumentError(f"depths, widths, strides: expected one number per stage in each, got {depths}, {widths}, {strides}")
        for name, values in {"depths": depths, "widths": widths, "strides": strides, "in_channels": [in_channels]}.items():
            for value in values:
                check_positive(name, value)
        check_choice("stem", stem, STEMS)
        self.in_channels = in_channels
        self.num_features = widths[-1]
        self.stem = STEMS[stem](in_channels, widths[0])
        self.stages = nn.Sequential()
        channels = widths[0]
        for depth, width, stride in zip(depths, widths, strides, strict=True):
            options = [dict(block_options, stride=stride), *[dict(block_options)] * (depth - 1)]
            inputs = [channels, *[width] * (depth - 1)]
            self.stages.append(nn.Sequential(*(block(before, width, **o) for before, o in zip(inputs, options, strict=True))))
            channels = width
        self.fc: nn.Module = nn.Identity()
        self._init_weights()
        self.reset_classifier(num_classes)

    def _init_weights(self) -> None:
        """Kaiming normal over fan_out, as in He et al., "Delving Deep into Rectifiers", section 2.2."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> the last map, (B, num_features, H', W').

        Raises:
            ShapeError: not four dimensions, no pixel, or the wrong number of channels.
        """
        if x.ndim != 4 or x.shape[1] != self.in_channels or 0 in x.shape[2:]:
            raise ShapeError(f"ResNet: expected (B, {self.in_channels}, H, W), got {tuple(x.shape)}")
        features: Tensor = self.stages(self.stem(x))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, num_classes), any H and W; errors as in ``forward_features``."""
        logits: Tensor = self.fc(reduce(self.forward_features(x), "b c h w -> b c", "mean"))
        return logits

    def get_classifier(self) -> nn.Module:
        """The classifier, ``nn.Identity`` where there is none."""
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        """A new, freshly initialised classifier; 0 leaves it out.

        Raises:
            ArgumentError: a negative number of classes.
        """
        if not isinstance(num_classes, int) or num_classes < 0:
            raise ArgumentError(f"num_classes: expected a non-negative int, got {num_classes!r}")
        self.num_classes = num_classes
        self.fc = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
