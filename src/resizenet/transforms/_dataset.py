"""The dataset for ``MultiResolutionBatchSampler``: each index names a sample and a size."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

from torch.utils._pytree import tree_leaves
from torch.utils.data import Dataset

from .._errors import ArgumentError
from .._sizes import parse_size
from .policies._base import ResizePolicy
from .policies._whole import NativePolicy

Index = tuple[int, tuple[int, int]]
"""A sample's number, and the (height, width) at which it is loaded."""


class MultiResolutionDataset(Dataset[Any]):
    """Takes the indices of ``MultiResolutionBatchSampler`` and returns each sample at the size in its index.

    Args:
        dataset: a dataset whose samples v2 transforms accept, such as (image, label).
        transform: a policy that resizes, whose training transform is used at the size in the index, or a function from
            (height, width) to a transform. Spawned worker processes need a picklable function; policies are picklable.

    Raises:
        ArgumentError: a policy that does not resize, an index that is not an int with a size, or a policy for samples
            with PIL images, which a ``DataLoader`` cannot collate.
        SizeError: an index whose size is not (height, width).

    Example:
        >>> import torch
        >>> from resizenet.transforms import UpscalePolicy
        >>> dataset = MultiResolutionDataset([(torch.zeros(3, 20, 30), 7)], UpscalePolicy(32))
        >>> image, label = dataset[0, (24, 24)]
        >>> image.shape
        torch.Size([3, 24, 24])
    """

    def __init__(
        self, dataset: Any, transform: ResizePolicy | Callable[[tuple[int, int]], Callable[[Any], Any]]
    ) -> None:
        if isinstance(transform, NativePolicy):
            raise ArgumentError(
                "MultiResolutionDataset: expected a policy that resizes, such as UpscalePolicy, got NativePolicy, "
                "which would crop at every other size"
            )
        if not isinstance(transform, ResizePolicy) and not callable(transform):
            raise ArgumentError(f"transform: expected a policy or a function of (height, width), got {transform!r}")
        self.dataset = dataset
        self.transform = transform
        self._transforms: dict[tuple[int, int], Callable[[Any], Any]] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Index) -> Any:
        if not (isinstance(index, tuple) and len(index) == 2 and isinstance(index[0], Integral)):
            expected = "expected (number, (height, width)), as MultiResolutionBatchSampler gives"
            raise ArgumentError(f"MultiResolutionDataset: {expected}, got {index!r}")
        number, size = index[0], parse_size(index[1], argument="size in the index")
        if size not in self._transforms:
            self._transforms[size] = self._make_transform(size)
        sample = self._transforms[size](self.dataset[number])
        if isinstance(self.transform, ResizePolicy):
            _refuse_pil(sample)
        return sample

    def _make_transform(self, size: tuple[int, int]) -> Callable[[Any], Any]:
        if isinstance(self.transform, ResizePolicy):
            return self.transform.with_size(size).train()  # type: ignore[no-any-return]  # v2.Transform is untyped
        return self.transform(size)


def _refuse_pil(sample: Any) -> None:
    if any(type(value).__module__.startswith("PIL.") for value in tree_leaves(sample)):
        raise ArgumentError(
            "MultiResolutionDataset: expected samples of tensors, which a DataLoader collates, got a PIL image; let "
            "the dataset convert it, such as ImageFolder(root, transform=v2.ToImage()), or pass a function of "
            "(height, width) that returns a v2.Compose with v2.ToImage() as the transform"
        )
