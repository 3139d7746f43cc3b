"""MultiResolutionBatchSampler: complete epochs, equal ranks, batches of one size, and resuming."""

import json
import math
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributed

from resizenet import CheckpointError
from resizenet.transforms import MultiResolutionBatchSampler, ResolutionSchedule
from strategies import schedules

Batch = list[tuple[int, tuple[int, int]]]
MIX = ResolutionSchedule.mix({16: 1, (24, 20): 1, 32: 1})
modes = st.sampled_from(["constant", "inverse_area"])
counts = st.integers(1, 97)
lengths = st.integers(1, 17)


def make(
    count: int = 53, batch_size: int = 4, schedule: ResolutionSchedule = MIX, *, epoch: int = 0, **options: object
) -> MultiResolutionBatchSampler:
    sampler = MultiResolutionBatchSampler(range(count), batch_size, schedule, **{"epochs": 3, **options})
    sampler.set_epoch(epoch)
    return sampler


def numbers(batches: list[Batch]) -> list[int]:
    return [number for batch in batches for number, _ in batch]


def plan(batches: list[Batch]) -> list[tuple[int, set[tuple[int, int]]]]:
    """The length of every batch and the sizes in it."""
    return [(len(batch), {size for _, size in batch}) for batch in batches]


# --- an epoch


@given(counts, lengths, schedules(), modes, st.booleans(), st.integers(0, 2))
def test_every_epoch_shows_every_sample_once_in_batches_of_one_size(
    count: int, batch_size: int, schedule: ResolutionSchedule, mode: str, shuffle: bool, epoch: int
) -> None:
    sampler = make(count, batch_size, schedule, batch_mode=mode, shuffle=shuffle, epoch=epoch)
    batches = list(sampler)
    assert sorted(numbers(batches)) == list(range(count))
    assert len(batches) == len(sampler) == sampler.num_batches(epoch)
    assert all(len(sizes) == 1 for _, sizes in plan(batches))


@given(counts, lengths, schedules())
def test_batches_of_constant_length_are_full_but_the_last(
    count: int, batch_size: int, schedule: ResolutionSchedule
) -> None:
    lengths = [len(batch) for batch in make(count, batch_size, schedule)]
    assert lengths == [batch_size] * (count // batch_size) + ([count % batch_size] if count % batch_size else [])


@given(lengths, schedules())
def test_batches_by_area_have_at_most_the_pixels_of_the_largest(batch_size: int, schedule: ResolutionSchedule) -> None:
    most = batch_size * math.prod(schedule.largest)
    *full, _ = make(997, batch_size, schedule, batch_mode="inverse_area")
    for batch in full:
        area = math.prod(batch[0][1])
        assert len(batch) * area <= most or len(batch) == 1
        assert (len(batch) + 1) * area > most


@pytest.mark.parametrize(("epoch", "expected"), [(0, [16, 16, 8]), (1, [4] * 10)])
def test_a_quarter_of_the_area_makes_four_times_the_batch(epoch: int, expected: list[int]) -> None:
    schedule = ResolutionSchedule.stages({0: 16, 0.5: 32})
    sampler = make(40, 4, schedule, epochs=2, batch_mode="inverse_area", epoch=epoch)
    assert [len(batch) for batch in sampler] == expected


@given(counts, lengths, modes)
def test_dropping_the_last_leaves_only_full_batches(count: int, batch_size: int, mode: str) -> None:
    kept = list(make(count, batch_size, batch_mode=mode, drop_last=True))
    full = []
    for batch in make(count, batch_size, batch_mode=mode):
        factor = 1 if mode == "constant" else 32 * 32 / math.prod(batch[0][1])
        full += [batch] if len(batch) == int(batch_size * factor) else []
    assert kept == full


def test_sizes_depend_on_the_progress_of_the_whole_training() -> None:
    schedule = ResolutionSchedule.linear(10, 34)
    seen = [[batch[0][1][0] for batch in make(8, 2, schedule, epoch=epoch)] for epoch in range(3)]
    assert seen == [[10, 12, 14, 16], [18, 20, 22, 24], [26, 28, 30, 32]]  # 12 steps of 24 / 12


def test_each_epoch_has_an_order_of_its_own_which_is_the_same_in_every_run() -> None:
    orders = [numbers(list(make(epoch=epoch))) for epoch in (0, 1, 0)]
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


def test_far_more_ranks_than_samples_need_no_more_memory() -> None:
    ranks = 10**9
    found = [numbers(make(5, 2, MIX, num_replicas=ranks, rank=rank, shuffle=False)) for rank in (0, 7, ranks - 1)]
    assert found == [[0], [2], [(ranks - 1) % 5]]


def test_a_seed_of_numpy_is_a_seed() -> None:
    sampler = make(5, 2, MIX, seed=np.int64(3))
    assert list(sampler) == list(make(5, 2, MIX, seed=3))
    assert json.loads(json.dumps(sampler.state_dict())) == sampler.state_dict()
    assert json.dumps(ResolutionSchedule.mix({8: 1}, seed=np.int64(3)).state_dict())


def test_the_rank_is_that_of_the_process_group(tmp_path: Path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        sampler = make()
        assert (sampler.rank, sampler.num_replicas) == (0, 1)
    finally:
        distributed.destroy_process_group()


# --- resuming


@given(schedules(), modes, st.integers(0, 2), st.floats(0, 1))
def test_a_resumed_epoch_has_the_remaining_batches(
    schedule: ResolutionSchedule, mode: str, epoch: int, share: float
) -> None:
    original = make(schedule=schedule, batch_mode=mode, epoch=epoch)
    batches = list(original)
    done = round(share * len(batches))
    resumed = make(schedule=schedule, batch_mode=mode)
    resumed.load_state_dict(json.loads(json.dumps(original.state_dict(batches_done=done))))
    assert resumed.epoch == epoch
    assert len(resumed) == len(batches) - done
    resumed.set_epoch(epoch)  # as training loops do, before the first epoch too
    assert list(resumed) == batches[done:]
    resumed.set_epoch(epoch)
    assert list(resumed) == batches  # the next time all of it


BAD_STATES: dict[str, tuple[Any, str]] = {  # changes to a state, or something else, with the message
    "batches_done negative": ({"batches_done": -3}, "batches_done: expected an int from 0 to 14, got -3"),
    "batches_done too large": ({"batches_done": 15}, "batches_done: expected an int from 0 to 14, got 15"),
    "batches_done no int": ({"batches_done": 1.5}, "batches_done: expected an int from 0 to 14, got 1.5"),
    "epoch beyond the end": ({"epoch": 3}, "epoch: expected an int from 0 to 2, got 3"),
    "epoch no int": ({"epoch": None}, "epoch: expected an int from 0 to 2, got None"),
    "a tensor": (
        {"num_samples": torch.tensor([53, 53])},
        r"the state has num_samples=tensor\(\[53, 53\]\), expected 53",
    ),
    "nothing": (None, "expected a dict, got None"),
    "a list": ([1], r"expected a dict, got \[1\]"),
}


@pytest.mark.parametrize("name", BAD_STATES)
def test_a_bad_state_is_refused_and_changes_nothing(name: str) -> None:
    change, message = BAD_STATES[name]
    sampler = make(epoch=1)
    before = sampler.state_dict()
    with pytest.raises(CheckpointError, match=f"^MultiResolutionBatchSampler: {message}"):
        sampler.load_state_dict({**before, **change} if isinstance(change, dict) else change)
    assert sampler.state_dict() == before
    assert len(sampler) == 14


@pytest.mark.parametrize("key", list(make().state_dict()))
def test_a_state_without_one_of_its_keys_is_refused(key: str) -> None:
    state = {name: value for name, value in make().state_dict().items() if name != key}
    with pytest.raises(CheckpointError, match=f"^MultiResolutionBatchSampler: the state lacks {key}$"):
        make().load_state_dict(state)


@given(st.data())
def test_every_state_is_refused_or_resumes_at_a_batch_of_the_training(data: st.DataObject) -> None:
    values = st.one_of(st.integers(-5, 20), st.floats(), st.none(), st.booleans(), st.text(max_size=2), st.integers())
    changes = data.draw(st.dictionaries(st.sampled_from(list(make().state_dict())), values, max_size=2))
    sampler, state = make(), {**make().state_dict(), **changes}
    try:
        sampler.load_state_dict(state)
    except CheckpointError:
        return
    assert 0 <= sampler.epoch < 3
    assert list(sampler) == list(make(epoch=sampler.epoch))[state["batches_done"] :]


def test_an_epoch_that_begins_again_without_set_epoch_warns() -> None:
    sampler = make(schedule=ResolutionSchedule.linear(16, 32))
    next(iter(sampler))  # an epoch that is left early may begin again
    batches = list(sampler)
    with pytest.warns(UserWarning, match="epoch 0 begins again, with the same sizes .*; call set_epoch before each"):
        assert list(sampler) == batches
    for epoch in (0, 1):  # asked for
        sampler.set_epoch(epoch)
        list(sampler)
    sampler.load_state_dict(sampler.state_dict(batches_done=3))
    list(sampler)
    only = make(epochs=1)
    assert list(only) == list(only)


def test_the_epoch_after_a_resumed_one_is_complete() -> None:
    sampler = make()
    sampler.load_state_dict(make().state_dict(batches_done=3))
    sampler.set_epoch(1)
    assert sorted(numbers(list(sampler))) == list(range(53))


def test_a_resumed_epoch_that_is_left_early_is_resumed_at_the_same_batch() -> None:
    sampler = make()
    expected = list(sampler)[3:]
    sampler.load_state_dict(sampler.state_dict(batches_done=3))
    assert next(iter(sampler)) == expected[0]
    assert list(sampler) == expected
