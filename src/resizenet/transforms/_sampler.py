"""Batches of several sizes through a DataLoader: the index carries the size, so that workers that live on see every change."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import Any

import torch
from torch import distributed
from torch.utils.data import Dataset, Sampler

from .._checks import check_choice, check_positive
from .._errors import ArgumentError, CheckpointError
from ._schedule import ResolutionSchedule
from .policies._base import ResizePolicy
from .policies._whole import NativePolicy

BATCH_MODES = ("constant", "inverse_area")
Index = tuple[int, tuple[int, int]]
"""A sample's number, and the (height, width) it is wanted in."""


class MultiResolutionBatchSampler(Sampler[list[Index]]):
    """Batches of indices (number, (height, width)), one size per batch, for a ``MultiResolutionDataset``.

    Every rank has the same number of batches, of the same sizes and lengths; each epoch shows every sample once (a few twice, where the ranks
    would otherwise be uneven). Sizes come from the index and not from an attribute of the dataset, which persistent workers would not see.

    Pass it as ``DataLoader(..., batch_sampler=...)``, and call ``set_epoch`` before each epoch.

    Args:
        dataset: anything with a length.
        batch_size: samples per batch and rank at the schedule's largest size.
        schedule: progress to size; progress is that of the whole training, and is read once per batch.
        epochs: length of the training.
        batch_mode: "constant", or "inverse_area", where smaller images come in larger batches of about the same number of pixels, never more; the
            weights of a mix then count batches, and small sizes show more samples.
        shuffle: anew in every epoch.
        drop_last: leave out the last, short batch, and samples that cannot be shared evenly among the ranks.
        seed: of the shuffling; the same on every rank.
        num_replicas: number of ranks, ``torch.distributed``'s unless given.
        rank: this process's, ``torch.distributed``'s unless given.

    Raises:
        ArgumentError: a number outside its range, or an empty dataset.
        UnknownNameError: an unknown batch mode.

    Example:
        >>> schedule = ResolutionSchedule.stages({0: 16, 0.5: 32})
        >>> sampler = MultiResolutionBatchSampler(range(5), 2, schedule, epochs=2, shuffle=False, batch_mode="inverse_area")
        >>> for epoch in range(2):
        ...     sampler.set_epoch(epoch)
        ...     print(list(sampler))
        [[(0, (16, 16)), (1, (16, 16)), (2, (16, 16)), (3, (16, 16)), (4, (16, 16))]]
        [[(0, (32, 32)), (1, (32, 32))], [(2, (32, 32)), (3, (32, 32))], [(4, (32, 32))]]
    """

    def __init__(
        self,
        dataset: Sized,
        batch_size: int,
        schedule: ResolutionSchedule,
        *,
        epochs: int,
        batch_mode: str = "constant",
        shuffle: bool = True,
        drop_last: bool = False,
        seed: int = 0,
        num_replicas: int | None = None,
        rank: int | None = None,
    ) -> None:
        check_positive("batch_size", batch_size)
        check_positive("epochs", epochs)
        check_choice("batch_mode", batch_mode, BATCH_MODES)
        if len(dataset) == 0:
            raise ArgumentError("dataset: expected at least one sample, got none")
        in_group = distributed.is_available() and distributed.is_initialized()
        self.num_replicas = (
            num_replicas if num_replicas is not None else distributed.get_world_size() if in_group else 1
        )
        self.rank = rank if rank is not None else distributed.get_rank() if in_group else 0
        check_positive("num_replicas", self.num_replicas)
        if not 0 <= self.rank < self.num_replicas:
            raise ArgumentError(f"rank: expected a number from 0 to {self.num_replicas - 1}, got {self.rank}")
        self.num_samples = len(dataset)
        self.batch_size = batch_size
        self.schedule = schedule
        self.epochs = epochs
        self.batch_mode = batch_mode
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = seed
        self.epoch = 0
        self._batches_done = 0

    def __iter__(self) -> Iterator[list[Index]]:
        """The batches of the epoch, or, after ``load_state_dict``, those that are left of it, until they are done."""
        order = self._order()
        for start, stop, size in self._plan(self.epoch)[self._batches_done :]:
            yield [(index, size) for index in order[start:stop]]
        self._batches_done = (
            0  # not before: a DataLoader with workers asks for two iterators and uses the second (torch 2.15)
        )

    def __len__(self) -> int:
        """How many batches the next iteration has."""
        return self.num_batches(self.epoch) - self._batches_done

    def num_batches(self, epoch: int) -> int:
        """How many batches ``epoch`` has; their sum over the epochs is the number of steps for a learning rate schedule."""
        return len(self._plan(epoch))

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of ``epoch``, from 0; where that is the epoch of a loaded state, to where the state was taken.

        Raises:
            ArgumentError: beyond the length of the training.
        """
        if not 0 <= epoch < self.epochs:
            raise ArgumentError(f"epoch: expected a number from 0 to {self.epochs - 1}, got {epoch}")
        if epoch != self.epoch:
            self.epoch, self._batches_done = epoch, 0

    def state_dict(self, *, batches_done: int = 0) -> dict[str, Any]:
        """The epoch, how much of it is done, and what the batches depend on, as plain values.

        Args:
            batches_done: batches of this epoch that the model was trained on. A DataLoader reads ahead, so only the training loop knows.

        Raises:
            ArgumentError: more batches than the epoch has.
        """
        if not 0 <= batches_done <= self.num_batches(self.epoch):
            raise ArgumentError(
                f"batches_done: expected a number from 0 to {self.num_batches(self.epoch)}, got {batches_done}"
            )
        return {"epoch": self.epoch, "batches_done": batches_done, **self._identity()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to where the state was taken: the next iteration has the batches that are left of that epoch.

        Raises:
            CheckpointError: the state is of a sampler with other batches; the message names what differs.
        """
        differing = [
            f"{name}={state.get(name)!r}, expected {value!r}"
            for name, value in self._identity().items()
            if state.get(name) != value
        ]
        if differing:
            raise CheckpointError(f"MultiResolutionBatchSampler: the state has {'; '.join(differing)}")
        self.epoch, self._batches_done = state["epoch"], state["batches_done"]

    def _identity(self) -> dict[str, Any]:
        names = ("num_samples", "batch_size", "epochs", "batch_mode", "shuffle", "drop_last", "seed", "num_replicas")
        return {**{name: getattr(self, name) for name in names}, "schedule": self.schedule.state_dict()}

    def _per_rank(self) -> int:
        return (
            self.num_samples // self.num_replicas if self.drop_last else math.ceil(self.num_samples / self.num_replicas)
        )

    def _order(self) -> list[int]:
        """This rank's samples, in order."""
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = (
            torch.randperm(self.num_samples, generator=generator) if self.shuffle else torch.arange(self.num_samples)
        )
        total = self._per_rank() * self.num_replicas
        return order.repeat(math.ceil(total / self.num_samples))[self.rank : total : self.num_replicas].tolist()

    def _plan(self, epoch: int) -> list[tuple[int, int, tuple[int, int]]]:
        """(start, stop, size) of every batch, in the numbering of a rank's own samples; depends on nothing that ranks do not share."""
        plan, start, count = [], 0, self._per_rank()
        while start < count:
            size = self.schedule((epoch + start / count) / self.epochs)
            stop = start + self._length(size)
            if stop > count and self.drop_last:
                break
            plan.append((start, min(stop, count), size))
            start = stop
        return plan

    def _length(self, size: tuple[int, int]) -> int:
        if self.batch_mode == "constant":
            return self.batch_size
        return max(1, self.batch_size * math.prod(self.schedule.largest) // math.prod(size))


class MultiResolutionDataset(Dataset[Any]):
    """A dataset that takes the indices of ``MultiResolutionBatchSampler`` and returns each sample at the size that its index asks for.

    Args:
        dataset: with samples that v2 transforms take, such as (image, label).
        transform: a policy that resizes, whose training half is used at the size asked for, or a function from (height, width) to a transform.
            With worker processes that are spawned it must be picklable, as policies are.

    Raises:
        ArgumentError: a policy that resizes nothing; on an index without a size.

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
                "MultiResolutionDataset: NativePolicy resizes nothing, at other sizes it would cut pieces out; take UpscalePolicy, for example"
            )
        self.dataset = dataset
        self.transform = transform
        self._transforms: dict[tuple[int, int], Callable[[Any], Any]] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Index) -> Any:
        if not isinstance(index, tuple):
            raise ArgumentError(
                f"MultiResolutionDataset: expected (number, (height, width)), as MultiResolutionBatchSampler gives, got {index!r}"
            )
        number, size = index
        if size not in self._transforms:
            self._transforms[size] = self._make(size)
        return self._transforms[size](self.dataset[number])

    def _make(self, size: tuple[int, int]) -> Callable[[Any], Any]:
        transform: Callable[[Any], Any] = (
            self.transform.with_size(size).train() if isinstance(self.transform, ResizePolicy) else self.transform(size)
        )
        return transform
