"""Batches of several sizes through a DataLoader: each index has the size, so that persistent workers see a new size."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sized
from typing import Any, Literal

import torch
from torch import distributed
from torch.utils.data import Sampler

from .._checks import check_choice, check_positive, parse_int
from .._errors import ArgumentError, CheckpointError
from ._dataset import Index
from ._schedule import ResolutionSchedule, parse_seed

BATCH_MODES = ("constant", "inverse_area")


class MultiResolutionBatchSampler(Sampler[list[Index]]):
    """Batches of indices (number, (height, width)), one size per batch, for a ``MultiResolutionDataset``.

    Every rank has the same number of batches, of the same sizes and lengths. Each epoch shows every sample once; a few
    are repeated where the ranks would otherwise be uneven. The size is part of the index, because persistent workers do
    not see a change of the dataset's attributes.

    Pass it as ``DataLoader(..., batch_sampler=...)``, and call ``set_epoch`` before each epoch.

    Args:
        dataset: anything with a length.
        batch_size: samples per batch and rank at the schedule's largest size.
        schedule: maps progress to size; progress is the share of the whole training that is done, and is computed once
            per batch.
        epochs: length of the training.
        batch_mode: "constant", or "inverse_area", where batches of smaller images are larger, with at most the same
            number of pixels. The weights of a mix then apply to batches, so small sizes get more samples.
        shuffle: whether each epoch has an order of its own.
        drop_last: leave out the last, short batch, and samples that cannot be shared evenly among the ranks.
        seed: seed of the shuffling; the same on every rank.
        num_replicas: number of ranks, ``torch.distributed``'s unless given.
        rank: rank of this process, ``torch.distributed``'s unless given.

    Raises:
        ArgumentError: a number outside its range, or an empty dataset.
        UnknownNameError: an unknown batch mode.

    Example:
        >>> schedule = ResolutionSchedule.stages({0: 16, 0.5: 32})
        >>> options = {"shuffle": False, "batch_mode": "inverse_area"}
        >>> sampler = MultiResolutionBatchSampler(range(5), 2, schedule, epochs=2, **options)
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
        batch_mode: Literal["constant", "inverse_area"] = "constant",
        shuffle: bool = True,
        drop_last: bool = False,
        seed: int = 0,
        num_replicas: int | None = None,
        rank: int | None = None,
    ) -> None:
        check_positive("batch_size", batch_size)
        check_positive("epochs", epochs)
        check_choice("batch_mode", batch_mode, BATCH_MODES)
        seed = parse_seed(seed)
        self.num_samples = _length(dataset)
        if not isinstance(schedule, ResolutionSchedule):
            raise ArgumentError(f"schedule: expected a ResolutionSchedule, got {schedule!r}")
        own_rank, replicas = _rank_and_world_size()
        self.num_replicas = replicas if num_replicas is None else num_replicas
        check_positive("num_replicas", self.num_replicas)
        self.rank = parse_int("rank", own_rank if rank is None else rank, at_least=0, at_most=self.num_replicas - 1)
        self.batch_size = batch_size
        self.schedule = schedule
        self.epochs = epochs
        self.batch_mode = batch_mode
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = seed
        self.epoch = 0
        self._batches_done = 0
        self._epoch_is_over = False

    def __iter__(self) -> Iterator[list[Index]]:
        """This epoch's batches; after ``load_state_dict``, the remaining ones."""
        if self._epoch_is_over and self.epochs > 1:
            warnings.warn(
                f"MultiResolutionBatchSampler: epoch {self.epoch} begins again, with the same sizes in the same order; "
                "call set_epoch before each epoch",
                stacklevel=2,
            )
        order = self._sample_order()
        for start, stop, size in self._plan(self.epoch)[self._batches_done :]:
            yield [(index, size) for index in order[start:stop]]
        # Only here, because a DataLoader with workers makes two iterators and uses the second.
        self._batches_done, self._epoch_is_over = 0, True

    def __len__(self) -> int:
        """Number of batches of the next iteration."""
        return self.num_batches(self.epoch) - self._batches_done

    def num_batches(self, epoch: int) -> int:
        """Number of batches of ``epoch``; their sum over all epochs is the length of a learning rate schedule."""
        return len(self._plan(parse_int("epoch", epoch, at_least=0, at_most=self.epochs - 1)))

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of ``epoch``, counted from 0. If a loaded state is of this epoch, go to its position instead.

        Raises:
            ArgumentError: not an int, or an epoch beyond the length of the training.
        """
        epoch = parse_int("epoch", epoch, at_least=0, at_most=self.epochs - 1)
        if epoch != self.epoch:
            self.epoch, self._batches_done = epoch, 0
        self._epoch_is_over = False

    def state_dict(self, *, batches_done: int = 0) -> dict[str, Any]:
        """The epoch, how many of its batches are done, and all arguments that the batches depend on, as plain values.

        Args:
            batches_done: batches of this epoch that the model was trained on. Only the training loop knows this number,
                because a DataLoader reads ahead.

        Raises:
            ArgumentError: more batches than the epoch has.
        """
        done = parse_int("batches_done", batches_done, at_least=0, at_most=self.num_batches(self.epoch))
        return {"epoch": self.epoch, "batches_done": done, **self._arguments()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the position of the state: the next iteration has the remaining batches of that epoch.

        Raises:
            CheckpointError: not a state, or that of a sampler with other batches; the message names what differs.
        """
        name, expected = type(self).__name__, self._arguments()
        if not isinstance(state, Mapping):
            raise CheckpointError(f"{name}: expected a dict, got {state!r}")
        if missing := [key for key in ("epoch", "batches_done", *expected) if key not in state]:
            raise CheckpointError(f"{name}: the state lacks {', '.join(missing)}")
        if differing := [key for key, value in expected.items() if _differ(state[key], value)]:
            found = "; ".join(f"{key}={state[key]!r}, expected {expected[key]!r}" for key in differing)
            raise CheckpointError(f"{name}: the state has {found}")
        try:
            epoch = parse_int("epoch", state["epoch"], at_least=0, at_most=self.epochs - 1)
            most = self.num_batches(epoch)
            done = parse_int("batches_done", state["batches_done"], at_least=0, at_most=most)
        except ArgumentError as error:
            raise CheckpointError(f"{name}: {error}") from None
        self.epoch, self._batches_done, self._epoch_is_over = epoch, done, False

    def _arguments(self) -> dict[str, Any]:
        """What the batches depend on."""
        names = ("num_samples", "batch_size", "epochs", "batch_mode", "shuffle", "drop_last", "seed", "num_replicas")
        return {**{name: getattr(self, name) for name in names}, "schedule": self.schedule.state_dict()}

    def _samples_per_rank(self) -> int:
        full, rest = divmod(self.num_samples, self.num_replicas)
        return full + bool(rest and not self.drop_last)

    def _sample_order(self) -> list[int]:
        """The samples of this rank, in this epoch's order."""
        order = torch.arange(self.num_samples, device="cpu")
        if self.shuffle:
            generator = torch.Generator("cpu").manual_seed(self.seed + self.epoch)
            order = torch.randperm(self.num_samples, generator=generator, device="cpu")
        own = torch.arange(self._samples_per_rank(), device="cpu") * self.num_replicas + self.rank
        return order[own % self.num_samples].tolist()  # the first samples again where the ranks would be uneven

    def _plan(self, epoch: int) -> list[tuple[int, int, tuple[int, int]]]:
        """(start, stop, size) of every batch, as positions among a rank's own samples; the same on every rank."""
        plan, start, count = [], 0, self._samples_per_rank()
        while start < count:
            size = self.schedule((epoch + start / count) / self.epochs)
            stop = start + self._batch_length(size)
            if stop > count and self.drop_last:
                break
            plan.append((start, min(stop, count), size))
            start = stop
        return plan

    def _batch_length(self, size: tuple[int, int]) -> int:
        if self.batch_mode == "constant":
            return self.batch_size
        return max(1, self.batch_size * math.prod(self.schedule.largest) // math.prod(size))


def _length(dataset: Sized) -> int:
    try:
        length = len(dataset)
    except TypeError:
        raise ArgumentError(f"dataset: expected something with a length, got {dataset!r}") from None
    if length == 0:
        raise ArgumentError("dataset: expected at least one sample, got none")
    return length


def _differ(found: Any, expected: Any) -> bool:
    try:
        return bool(found != expected)
    except (RuntimeError, ValueError):  # tensors and arrays of several elements
        return True


def _rank_and_world_size() -> tuple[int, int]:
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
