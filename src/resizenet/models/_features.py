"""The maps inside a network, for detection and segmentation code."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from .._errors import UnsupportedModelError
from ._resnet import ResNet, check_images, feature_maps, parse_indices


class FeatureExtractor(nn.Module):
    """The maps of a network's stages without its classifier, like timm's ``features_only``.

    (B, in_channels, H, W) -> a list of maps, the i-th one (B, channels[i], ceil(H / strides[i]), ceil(W / strides[i])).
    The network's layers are shared, not copied. Stages after the last requested map are left out.

    Args:
        model: a network; its classifier is not used.
        indices: the maps to return, in increasing order: 0 is the map of the stem, i the map of stage i, -1 the last
            map. By default the maps of all stages.

    Attributes:
        channels: channels of each map.

    Raises:
        ArgumentError: indices that are out of range or do not increase.
        UnsupportedModelError: a model that is not a ``ResNet`` of this library.

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
        if not isinstance(model, ResNet):
            raise UnsupportedModelError(
                f"FeatureExtractor: expected a resizenet.models.ResNet, got {type(model).__name__}"
            )
        count = 1 + len(model.stages)
        self.indices = tuple(parse_indices(range(1, count) if indices is None else indices, count))
        self.in_channels = model.in_channels
        self.channels = tuple(model.feature_channels[i] for i in self.indices)
        self._strides_after_stem = tuple(model.feature_strides[i] // model.stem.stride for i in self.indices)
        self.stem = model.stem
        self.stages = model.stages[: self.indices[-1]]
        self.norm = model.norm if self.indices[-1] == count - 1 else nn.Identity()

    @property
    def strides(self) -> tuple[int, ...]:
        """Image pixels from one position to the next, for each map; still correct after ``resizenet.adapt``."""
        return tuple(self.stem.stride * stride for stride in self._strides_after_stem)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) -> one map per index.

        Raises:
            ShapeError: not four dimensions, no pixel, or the wrong number of channels.
            DtypeError: not a tensor, or not floating point.
        """
        check_images("FeatureExtractor", x, self.in_channels)
        maps = feature_maps(self.stem, self.stages, self.norm, x)
        return [maps[i] for i in self.indices]
