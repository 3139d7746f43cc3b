"""ResolutionSchedule: a pure function of progress, in multiples, the same after every restart."""

import itertools
import json
import os
import pickle
import subprocess
import sys
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import find, given, settings

from resizenet import CheckpointError
from resizenet.transforms import ResolutionSchedule
from strategies import progresses, schedules

BUDGET = settings(max_examples=300, deadline=None, database=None)
Schedule = ResolutionSchedule


@pytest.mark.parametrize("rule", ["linear", "hold", "mix"])
def test_the_schedules_reach_the_rule(rule: str) -> None:
    assert find(
        schedules(),
        lambda s: s.rule == rule and s.sizes[0] != s.sizes[-1] and s.sizes[0][0] != s.sizes[0][1],
        settings=BUDGET,
        random=Random(0),
    )


# --- laws


@given(schedules(), progresses)
def test_both_sides_are_multiples_between_the_smallest_and_the_largest(schedule: Schedule, progress: float) -> None:
    for axis, side in enumerate(schedule(progress)):
        assert side % schedule.multiple == 0
        assert min(size[axis] for size in schedule.sizes) <= side <= max(size[axis] for size in schedule.sizes)


@given(schedules(), progresses)
def test_a_schedule_is_a_pure_function_of_progress(schedule: Schedule, progress: float) -> None:
    expected = schedule(progress)
    torch.manual_seed(99)
    schedule(0.123)
    assert schedule(progress) == expected == pickle.loads(pickle.dumps(schedule))(progress)


@given(schedules(), progresses)
def test_a_schedule_is_restored_from_its_state(schedule: Schedule, progress: float) -> None:
    other = Schedule.stages({0: 7})
    other.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    assert other == schedule
    assert other(progress) == schedule(progress)


@given(progresses, progresses)
def test_linear_and_step_schedules_are_monotone(one: float, other: float) -> None:
    early, late = sorted((one, other))
    options = {"until": 0.8, "multiple": 4}
    for small, large in itertools.permutations([(64, 32), (128, 96)]):
        for schedule in (Schedule.linear(small, large, **options), Schedule.step(small, large, steps=5, **options)):
            ordered = (early, late) if small < large else (late, early)
            assert all(a <= b for a, b in zip(*map(schedule, ordered), strict=True))


@given(schedules().filter(lambda schedule: schedule.rule != "mix"))
def test_schedules_begin_with_their_first_size_and_end_with_their_last(schedule: Schedule) -> None:
    assert schedule(0) == schedule.sizes[0]
    assert schedule(1) == schedule.sizes[-1]


BAD_STATES = [None, {}, {"rule": "hold"}, {"x": 1}, {"rule": "hold", "sizes": [0], "values": [0]}]


@pytest.mark.parametrize("state", BAD_STATES)
def test_a_bad_state_is_refused_and_changes_nothing(state: Any) -> None:
    schedule = Schedule.stages({0: 7})
    with pytest.raises(CheckpointError, match=r"^ResolutionSchedule: "):
        schedule.load_state_dict(state)
    assert schedule == Schedule.stages({0: 7})


# --- each kind, worked out by hand


def sides(schedule: Schedule, *progress: float) -> list[int]:
    return [schedule(value)[0] for value in progress]


def test_linear_schedules_rise_evenly_and_stay() -> None:
    schedule = Schedule.linear(100, 200, until=0.5)
    assert sides(schedule, 0, 0.125, 0.25, 0.5, 0.75, 1) == [100, 125, 150, 200, 200, 200]
    assert Schedule.linear((100, 10), (200, 50))(0.3) == (130, 22)


def test_convention_linear_sizes_go_to_the_nearest_multiple() -> None:
    schedule = Schedule.linear(128, 224, multiple=32)
    assert sides(schedule, 0.16, 0.17, 0.49, 0.51) == [128, 160, 160, 192]  # 143.4, 144.3, 175.0, 177.0


def test_step_schedules_hold_every_size_equally_long() -> None:
    schedule = Schedule.step(128, 224, steps=4, until=0.8, multiple=32)
    assert sides(schedule, 0, 0.19, 0.21, 0.41, 0.61, 0.8, 1) == [128, 128, 160, 192, 224, 224, 224]


def test_stages_begin_at_their_progress() -> None:
    schedule = Schedule.stages({0: 128, 0.4: (160, 176), 0.8: 224})
    assert [schedule(value) for value in (0.39, 0.4, 0.79, 0.8)] == [(128, 128), (160, 176), (160, 176), (224, 224)]


def test_cycles_rise_and_begin_again_and_the_last_ends_high() -> None:
    assert sides(Schedule.cyclic(16, 32, cycles=2), 0, 0.25, 0.49, 0.5, 0.75, 1) == [16, 24, 32, 16, 24, 32]


def test_a_mix_has_its_weights() -> None:  # Hoffer et al. 2019: CIFAR's sizes
    weights = {32: 0.3, 48: 0.2, 24: 0.3, 16: 0.2}
    schedule = Schedule.mix(weights)
    drawn = sides(schedule, *(step / 5000 for step in range(5000)))
    for size, weight in weights.items():
        assert drawn.count(size) / 5000 == pytest.approx(weight, abs=0.026)  # 4 standard errors


def test_a_mix_needs_no_normalized_weights_and_never_draws_a_weight_of_zero() -> None:
    one, other = Schedule.mix({16: 1, 32: 3, 64: 0}), Schedule.mix({16: 0.25, 32: 0.75, 64: 0})
    steps = [step / 500 for step in range(500)]
    assert sides(one, *steps) == sides(other, *steps)
    assert set(sides(one, *steps)) == {16, 32}


def test_draws_that_follow_each_other_are_independent_and_seeded() -> None:
    steps = [step / 4000 for step in range(4000)]
    drawn = sides(Schedule.mix({16: 1, 32: 1}), *steps)
    same_as_next = sum(a == b for a, b in itertools.pairwise(drawn)) / 3999
    assert same_as_next == pytest.approx(0.5, abs=0.032)  # 4 standard errors
    assert drawn != sides(Schedule.mix({16: 1, 32: 1}, seed=1), *steps)


@pytest.mark.slow
def test_every_process_draws_the_same() -> None:
    code = "from resizenet.transforms import ResolutionSchedule as S; s = S.mix({16: 1, 32: 1}, seed=3)"
    command = [sys.executable, "-c", f"{code}; print([s(i / 64)[0] for i in range(64)])"]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    schedule = Schedule.mix({16: 1, 32: 1}, seed=3)
    assert json.loads(printed) == sides(schedule, *(step / 64 for step in range(64)))


def test_the_largest_size_is_that_of_the_largest_area() -> None:
    assert Schedule.stages({0: (10, 100), 0.5: (40, 40), 0.7: 8}).largest == (40, 40)
