"""MultiResolutionBatchSampler and the dataset that honours its indices: complete epochs, equal ranks, resumable, seen by workers that live on."""

import json
import math
import os
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits
from torch import distributed
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset

from resizenet import ArgumentError, CheckpointError, UnknownNameError
from resizenet.models import BasicBlock, ResNet
from resizenet.transforms import (
    MultiResolutionBatchSampler,
    MultiResolutionDataset,
    NativePolicy,
    ResolutionSchedule,
    StretchPolicy,
)
from strategies import schedules

Batch = list[tuple[int, tuple[int, int]]]
MIX = ResolutionSchedule.mix({16: 1, (24, 20): 1, 32: 1})
modes = st.sampled_from(["constant", "inverse_area"])
counts = st.integers(1, 97)


def make(
    count: int = 53, batch_size: int = 4, schedule: ResolutionSchedule = MIX, *, epochs: int = 3, **options: object
) -> MultiResolutionBatchSampler:
    return MultiResolutionBatchSampler(range(count), batch_size, schedule, epochs=epochs, **options)


def numbers(batches: list[Batch]) -> list[int]:
    return [number for batch in batches for number, _ in batch]


def plan(batches: list[Batch]) -> list[tuple[int, set[tuple[int, int]]]]:
    """The length of every batch and the sizes in it."""
    return [(len(batch), {size for _, size in batch}) for batch in batches]


# --- an epoch


@given(counts, st.integers(1, 17), schedules(), modes, st.booleans(), st.integers(0, 2))
def test_every_epoch_shows_every_sample_once(
    count: int, batch_size: int, schedule: ResolutionSchedule, mode: str, shuffle: bool, epoch: int
) -> None:
    sampler = make(count, batch_size, schedule, batch_mode=mode, shuffle=shuffle)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert sorted(numbers(batches)) == list(range(count))
    assert len(batches) == len(sampler) == sampler.num_batches(epoch)


@given(counts, schedules(), modes)
def test_every_batch_has_one_size(count: int, schedule: ResolutionSchedule, mode: str) -> None:
    assert all(len(sizes) == 1 for _, sizes in plan(list(make(count, 5, schedule, batch_mode=mode))))


@given(counts, st.integers(1, 17), schedules())
def test_batches_of_constant_length_are_full_but_the_last(
    count: int, batch_size: int, schedule: ResolutionSchedule
) -> None:
    lengths = [len(batch) for batch in make(count, batch_size, schedule)]
    assert lengths == [batch_size] * (count // batch_size) + ([count % batch_size] if count % batch_size else [])


@given(st.integers(1, 17), schedules())
def test_batches_by_area_have_at_most_the_pixels_of_the_largest(batch_size: int, schedule: ResolutionSchedule) -> None:
    most = batch_size * math.prod(schedule.largest)
    *full, _ = make(997, batch_size, schedule, batch_mode="inverse_area")
    for batch in full:
        area = math.prod(batch[0][1])
        assert len(batch) * area <= most or len(batch) == 1
        assert (len(batch) + 1) * area > most


def test_a_quarter_of_the_area_makes_four_times_the_batch() -> None:
    sampler = make(40, 4, ResolutionSchedule.stages({0: 16, 0.5: 32}), epochs=2, batch_mode="inverse_area")
    sampler.set_epoch(0)
    assert [len(batch) for batch in sampler] == [16, 16, 8]
    sampler.set_epoch(1)
    assert [len(batch) for batch in sampler] == [4] * 10


@given(counts, st.integers(1, 17), modes)
def test_dropping_the_last_leaves_only_full_batches(count: int, batch_size: int, mode: str) -> None:
    kept = list(make(count, batch_size, batch_mode=mode, drop_last=True))
    everything = list(make(count, batch_size, batch_mode=mode))
    full = [
        batch_size if mode == "constant" else batch_size * 32 * 32 // math.prod(batch[0][1]) for batch in everything
    ]
    assert kept == [batch for batch, length in zip(everything, full, strict=True) if len(batch) == length]


def test_sizes_follow_the_progress_of_the_whole_training() -> None:
    sampler = make(8, 2, ResolutionSchedule.linear(10, 34), epochs=3)
    seen = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        seen.append([batch[0][1][0] for batch in sampler])
    assert seen == [[10, 12, 14, 16], [18, 20, 22, 24], [26, 28, 30, 32]]  # 12 steps of 24 / 12


def test_epochs_are_shuffled_anew_and_the_same_in_every_run() -> None:
    orders = []
    for epoch in (0, 1, 0):
        sampler = make()
        sampler.set_epoch(epoch)
        orders.append(numbers(list(sampler)))
    assert orders[0] == orders[2] != orders[1]
    assert numbers(list(make(seed=1))) != orders[0]
    assert numbers(list(make(shuffle=False))) == list(range(53))


# --- ranks


@given(counts, st.integers(1, 7), st.integers(1, 9), schedules(), modes, st.booleans())
def test_ranks_have_batches_of_the_same_sizes_and_lengths(
    count: int, replicas: int, batch_size: int, schedule: ResolutionSchedule, mode: str, drop: bool
) -> None:
    options = {"num_replicas": replicas, "batch_mode": mode, "drop_last": drop}
    ranks = [list(make(count, batch_size, schedule, rank=rank, **options)) for rank in range(replicas)]
    assert all(plan(batches) == plan(ranks[0]) for batches in ranks)
    seen = list(chain.from_iterable(map(numbers, ranks)))
    if drop:
        assert len(seen) == len(set(seen))
    else:
        assert set(seen) == set(range(count))
        assert len(seen) - count < replicas


def test_the_rank_is_that_of_the_process_group(tmp_path: Path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        sampler = make()
        assert (sampler.rank, sampler.num_replicas) == (0, 1)
    finally:
        distributed.destroy_process_group()


# --- resuming


@given(schedules(), modes, st.integers(0, 2), st.floats(0, 1))
def test_a_resumed_epoch_has_the_batches_that_are_left(
    schedule: ResolutionSchedule, mode: str, epoch: int, share: float
) -> None:
    original = make(schedule=schedule, batch_mode=mode)
    original.set_epoch(epoch)
    batches = list(original)
    done = round(share * len(batches))
    state = json.loads(json.dumps(original.state_dict(batches_done=done)))
    resumed = make(schedule=schedule, batch_mode=mode)
    resumed.load_state_dict(state)
    assert resumed.epoch == epoch
    assert len(resumed) == len(batches) - done
    resumed.set_epoch(epoch)  # as training loops do, before the first epoch too
    assert list(resumed) == batches[done:]
    assert list(resumed) == batches  # the next time all of it


def test_the_epoch_after_a_resumed_one_is_complete() -> None:
    sampler = make()
    sampler.load_state_dict(make().state_dict(batches_done=3))
    sampler.set_epoch(1)
    assert sorted(numbers(list(sampler))) == list(range(53))


def test_a_state_of_other_batches_is_refused_by_name() -> None:
    state = make(batch_size=8, seed=3).state_dict()
    sampler = make()
    with pytest.raises(CheckpointError, match=r"the state has batch_size=8, expected 4; seed=3, expected 0$"):
        sampler.load_state_dict(state)
    with pytest.raises(CheckpointError, match=r"the state has schedule=.*, expected .*'mix'"):
        sampler.load_state_dict(make(schedule=ResolutionSchedule.stages({0: 7})).state_dict())


# --- through a DataLoader


class Pixels(Dataset[tuple[Image.Image, int]]):
    """Images whose grey level is their number; ``size`` is the attribute that workers do not see change."""

    size = 16

    def __len__(self) -> int:
        return 41

    def __getitem__(self, number: int) -> tuple[Image.Image, int]:
        return Image.new("L", (30, 20), number), number


def to_tensor(sample: tuple[Image.Image, int]) -> tuple[torch.Tensor, int, int]:
    image, number = sample
    return torch.tensor(list(image.tobytes())).reshape(1, image.height, image.width), number, os.getpid()


class ToTensor:
    """A function from a size to a transform, that pickles."""

    def __call__(self, size: tuple[int, int]) -> Callable[[tuple[Image.Image, int]], tuple[torch.Tensor, int, int]]:
        resize = StretchPolicy(size).train()
        return lambda sample: to_tensor(resize(sample))


class ByAttribute(Dataset[torch.Tensor]):
    """What people try first."""

    def __init__(self) -> None:
        self.size = 16

    def __len__(self) -> int:
        return 8

    def __getitem__(self, number: int) -> torch.Tensor:
        return torch.zeros(1, self.size, self.size)


def test_two_persistent_workers_see_every_change_of_size() -> None:
    sampler = make(41, 4, ResolutionSchedule.stages({0: 16, 1 / 3: (24, 20), 2 / 3: 32}))
    loader = DataLoader(
        MultiResolutionDataset(Pixels(), ToTensor()), batch_sampler=sampler, num_workers=2, persistent_workers=True
    )
    workers = []
    for epoch, size in enumerate([(16, 16), (24, 20), (32, 32)]):
        sampler.set_epoch(epoch)
        batches = list(loader)
        assert {tuple(images.shape[-2:]) for images, _, _ in batches} == {size}
        assert sorted(int(number) for _, labels, _ in batches for number in labels) == list(range(41))
        assert all((images[:, 0, 0, 0] == labels).all() for images, labels, _ in batches)
        workers.append({int(pid) for _, _, pids in batches for pid in pids})
    assert len(workers[0]) == 2
    assert workers[0] == workers[1] == workers[2] != {os.getpid()}


def test_an_attribute_of_the_dataset_does_not_reach_persistent_workers() -> None:
    dataset = ByAttribute()
    loader = DataLoader(dataset, batch_size=4, num_workers=2, persistent_workers=True)
    assert {batch.shape[-1] for batch in loader} == {16}
    dataset.size = 32
    assert {batch.shape[-1] for batch in loader} == {16}  # the failure that the index avoids


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_resumes_in_the_middle_of_an_epoch_and_goes_on_with_the_next(workers: int) -> None:
    original, resumed = make(41), make(41)
    resumed.load_state_dict(original.state_dict(batches_done=5))
    loader = DataLoader(
        MultiResolutionDataset(Pixels(), ToTensor()),
        batch_sampler=resumed,
        num_workers=workers,
        persistent_workers=workers > 0,
    )  # with workers it asks the sampler for two iterators, and uses the second
    for epoch, done in enumerate([5, 0]):
        original.set_epoch(epoch)
        resumed.set_epoch(epoch)
        expected = [numbers([batch]) for batch in original][done:]
        assert len(loader) == len(expected)
        assert [labels.tolist() for _, labels, _ in loader] == expected


def test_a_resumed_epoch_that_is_left_early_is_resumed_at_the_same_batch() -> None:
    sampler = make()
    expected = list(sampler)[3:]
    sampler.load_state_dict(sampler.state_dict(batches_done=3))
    assert next(iter(sampler)) == expected[0]
    assert list(sampler) == expected


class Digits(Dataset[tuple[torch.Tensor, int]]):
    """Handwritten digits of 8x8 pixels."""

    def __init__(self) -> None:
        digits = load_digits()
        self.images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
        self.labels = digits.target.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return self.images[number], self.labels[number]


@pytest.mark.slow
def test_two_workers_feed_a_network_that_learns_in_two_epochs() -> None:
    digits = Digits()
    train, test = Subset(digits, range(1400)), Subset(digits, range(1400, len(digits)))
    sampler = MultiResolutionBatchSampler(train, 16, ResolutionSchedule.step(8, 16, steps=2, multiple=4), epochs=2)
    loader = DataLoader(
        MultiResolutionDataset(train, StretchPolicy(16)), batch_sampler=sampler, num_workers=2, persistent_workers=True
    )
    model = ResNet(BasicBlock, (1, 1), (16, 32), in_channels=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    seen = set()
    for epoch in range(2):
        sampler.set_epoch(epoch)
        for images, labels in loader:
            seen.add(tuple(images.shape[-2:]))
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
    assert seen == {(8, 8), (16, 16)}
    images, labels = next(iter(DataLoader(test, batch_size=len(test))))
    accuracy = (model.eval()(StretchPolicy(16).eval()(images)).argmax(1) == labels).float().mean()
    assert accuracy > 0.6  # chance is 0.1


# --- the dataset alone


def test_a_policy_is_used_at_the_size_of_the_index() -> None:
    dataset = MultiResolutionDataset([(torch.zeros(1, 20, 30), "cat")] * 3, StretchPolicy((5, 7)))
    assert len(dataset) == 3
    image, label = dataset[2, (11, 13)]
    assert (image.shape, label) == ((1, 11, 13), "cat")
    assert dataset[0, (16, 17)][0].shape == (1, 16, 17)


# --- mistakes


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: make(0), ArgumentError, "dataset: expected at least one sample, got none"),
        (lambda: make(batch_size=0), ArgumentError, "batch_size: expected a positive int, got 0"),
        (lambda: make(epochs=0), ArgumentError, "epochs: expected a positive int, got 0"),
        (
            lambda: make(batch_mode="area"),
            UnknownNameError,
            "batch_mode: expected one of 'constant', 'inverse_area', got 'area'; did you mean 'inverse_area'?",
        ),
        (lambda: make(num_replicas=0), ArgumentError, "num_replicas: expected a positive int, got 0"),
        (lambda: make(num_replicas=2, rank=2), ArgumentError, "rank: expected a number from 0 to 1, got 2"),
        (lambda: make().set_epoch(3), ArgumentError, "epoch: expected a number from 0 to 2, got 3"),
        (
            lambda: make().state_dict(batches_done=15),
            ArgumentError,
            "batches_done: expected a number from 0 to 14, got 15",
        ),
        (
            lambda: MultiResolutionDataset([1], StretchPolicy(7))[0],
            ArgumentError,
            "MultiResolutionDataset: expected (number, (height, width)), as MultiResolutionBatchSampler gives, got 0",
        ),
        (
            lambda: MultiResolutionDataset([1], NativePolicy(7)),
            ArgumentError,
            "MultiResolutionDataset: expected a policy that resizes, such as UpscalePolicy, got NativePolicy",
        ),
    ],
)
def test_mistakes_say_what_was_expected(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
