"""The maps inside a network, for detection and segmentation code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from .._errors import ArgumentError

if TYPE_CHECKING:
    from ._resnet import ResNet


def intermediates(stem: nn.Module, stages: nn.Sequential, norm: nn.Module, x: Tensor) -> list[Tensor]:
    """The stem's map and that of every stage, the last one after ``norm``."""
    maps = [stem(x)]
    for stage in stages:
        maps.append(stage(maps[-1]))
    return [*maps[:-1], norm(maps[-1])]


def select(indices: Sequence[int] | None, count: int) -> list[int]:
    """The indices as non-negative numbers, all of them for None.

    Raises:
        ArgumentError: no index, one that is out of range, or an order that does not rise.
    """
    chosen = [i + count if i < 0 else i for i in (range(count) if indices is None else indices)]
    if not chosen or chosen != sorted(set(chosen)) or chosen[0] < 0 or chosen[-1] >= count:
        raise ArgumentError(
            f"indices: expected rising numbers from 0 (the stem) to {count - 1} (the last stage), got {indices}"
        )
    return chosen


class FeatureExtractor(nn.Module):
    """The maps of a network's stages without its classifier, as timm's ``features_only`` gives them.

    (B, in_channels, H, W) -> a list of maps, the i-th one (B, channels[i], ceil(H / strides[i]), ceil(W / strides[i])). The
    network's parts are shared, not copied; stages behind the last map asked for are left out.

    Args:
        model: a network; its classifier is not used.
        indices: which maps, rising: 0 is the stem's, i that of stage i, -1 the last; every stage's unless given.

    Attributes:
        channels: of each map.

    Raises:
        ArgumentError: indices that are out of range or do not rise.

    Example:
        >>> import torch
        >>> from resizenet.models import FeatureExtractor, resnet18
        >>> extract = FeatureExtractor(resnet18(), indices=(2, 3, 4))
        >>> [tuple(m.shape) for m in extract(torch.rand(1, 3, 64, 96))]
        [(1, 128, 32, 48), (1, 256, 16, 24), (1, 512, 8, 12)]
        >>> extract.channels, extract.strides
        ((128, 256, 512), (2, 4, 8))
    """

    def __init__(self, model: ResNet, *, indices: Sequence[int] | None = None) -> None:
        super().__init__()
        count = 1 + len(model.stages)
        self.indices = tuple(select(range(1, count) if indices is None else indices, count))
        self.channels = tuple(model.feature_channels[i] for i in self.indices)
        self._strides_behind_stem = tuple(model.feature_strides[i] // model.stem.stride for i in self.indices)
        self.stem = model.stem
        self.stages = model.stages[: self.indices[-1]]
        self.norm = model.norm if self.indices[-1] == count - 1 else nn.Identity()

    @property
    def strides(self) -> tuple[int, ...]:
        """Image pixels from one cell to the next, of each map; those of the model as it is now, after ``resizenet.adapt`` too."""
        return tuple(self.stem.stride * stride for stride in self._strides_behind_stem)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) -> one map per index."""
        maps = intermediates(self.stem, self.stages, self.norm, x)
        return [maps[i] for i in self.indices]
