"""The throughput harness: floors, checks before timing, clocks and memory. What it times is not tested."""

import itertools
import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from benchmarks.throughput import _compare, _roofline, _timing
from benchmarks.throughput._compare import Bench, Candidate, Comparison, Setting, check
from benchmarks.throughput._roofline import Ceilings, Work
from torch import Tensor, nn
from torch.nn import functional as F

CPU = torch.device("cpu")
SETTING = Setting("inference", "tiny", "float32", 2)


def tiny_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(4, 5, 1, stride=2, bias=True))


# Two FLOPs per multiply-accumulate, 2 images; output channels, input channels, taps, positions.
FIRST, SECOND = 2 * 2 * 4 * 3 * 9 * 48, 2 * 2 * 5 * 4 * 1 * 12
PARAMETERS = 4 * 3 * 9 + 5 * 4 + 5


def test_the_work_of_inference_is_that_counted_by_hand() -> None:
    work = _roofline.inference_work(tiny_network(), torch.rand(2, 3, 6, 8))
    assert work == Work(flops=FIRST + SECOND, least_bytes=4 * (2 * 3 * 48 + 2 * 5 * 12 + PARAMETERS))


def test_the_work_of_a_training_step_is_that_counted_by_hand() -> None:
    """Gradients are computed of both weights and of the second layer's input, but not of the images."""
    work = _roofline.training_work(tiny_network().bfloat16(), torch.rand(2, 3, 6, 8, dtype=torch.bfloat16))
    assert work == Work(flops=2 * FIRST + 3 * SECOND, least_bytes=2 * (2 * 3 * 48 + 2 * PARAMETERS))


@pytest.mark.parametrize(("flops", "seconds", "bound"), [(300, 30.0, "matrix"), (100, 20.0, "copy"), (0, 20.0, "copy")])
def test_the_floor_is_the_longer_of_computing_and_copying(flops: int, seconds: float, bound: str) -> None:
    ceilings = Ceilings(CPU)
    ceilings.measured = {"copy": 5.0} | ({"float32": 10.0} if flops else {})  # copies need no matrix rate
    floor = {"flops": flops, "least_bytes": 100, "floor_s": seconds, "bound": bound}
    assert ceilings.floor(Work(flops, least_bytes=100), "float32") == floor
    assert ("float32" in ceilings.measured) == bool(flops)


def test_ceilings_are_counted_by_hand_and_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def alternate(
        candidates: dict[str, Callable[[], object]], device: torch.device, rounds: int
    ) -> dict[str, list[float]]:
        calls.append(1)
        return {name: [0.5, 0.25, 1.0] for name in candidates}

    monkeypatch.setattr(_roofline, "alternate", alternate)
    monkeypatch.setattr(_roofline, "COPY_BYTES", {"cpu": 1000})
    monkeypatch.setattr(_roofline, "MATRIX_SIDE", {"cpu": 10})
    ceilings = Ceilings(CPU)
    assert [ceilings.copy(), ceilings.copy()] == [2 * 1000 / 0.25] * 2  # read and written, in the shortest time
    assert [ceilings.matrix("bfloat16"), ceilings.matrix("bfloat16")] == [2 * 10**3 / 0.25] * 2
    assert len(calls) == 2


def constant(value: float, **options: object) -> Candidate:
    return Candidate(str(value), lambda: torch.full((2, 6, 6), value), **options)


def errors(*candidates: Candidate, tolerance: float = 0.05) -> dict[int, str]:
    return check(Comparison(candidates, tolerance))


def broken(reason: str = "no such kernel\nfor this device") -> Tensor:
    raise RuntimeError(reason)


def test_what_fails_or_differs_is_a_row_that_says_so_and_the_others_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = []

    def alternate(calls: dict[int, Callable[[], object]], device: torch.device, rounds: int) -> dict[int, list[float]]:
        timed.extend(calls)
        return {index: [1.0, 2.0, 3.0] for index in calls}

    monkeypatch.setattr(_compare, "alternate", alternate)
    candidates = [Candidate("kernel", broken), constant(1.0, peer=True), constant(1.1), constant(1.01)]
    rows = Bench(CPU, 3).rows(SETTING, Comparison(candidates, 0.05, memory=False))
    assert timed == [1, 3]
    assert [row.get("error") for row in rows] == [
        "RuntimeError: no such kernel for this device",
        None,
        "another result, by 0.1 where 0.05 is rounding",
        None,
    ]
    assert [row.get("median_s") for row in rows] == [None, 2.0, None, 2.0]


def test_a_job_that_fails_is_a_row_and_the_next_job_runs() -> None:
    other = Setting("inference", "other", "float32", 2)
    bench = Bench(CPU, 2)
    first, second = bench.run({SETTING: broken, other: lambda: Comparison([constant(1.0)], 0.1)})
    assert [(row["who"], row["case"], row["error"]) for row in first] == [
        ("all candidates", "tiny", "RuntimeError: no such kernel for this device")
    ]
    assert [row["case"] for row in second] == ["other"]
    assert second[0]["median_s"] > 0


def test_differences_are_relative_for_numbers_and_absolute_for_integers() -> None:
    assert _compare.difference(torch.tensor([10.0, -20.0]), torch.tensor([10.0, -19.0])) == pytest.approx(1 / 20)
    levels = [torch.tensor(values, dtype=torch.uint8) for values in ([10, 200], [12, 200])]
    assert _compare.difference(*levels) == 2
    assert _compare.difference(torch.zeros(2), torch.zeros(3)) == math.inf


def test_nan_is_a_difference_and_is_not_what_others_are_compared_with() -> None:
    assert list(errors(constant(1.0), constant(math.nan))) == [1]
    assert list(errors(constant(math.nan), constant(1.0), constant(1.0))) == [0]


def test_groups_are_compared_by_themselves_and_margins_not_at_all() -> None:
    def framed() -> Tensor:
        return F.pad(torch.ones(2, 4, 4), (1, 1, 1, 1))

    assert not errors(constant(1.0), constant(2.0, group="other"), Candidate("framed", framed, margin=1))
    assert list(errors(constant(1.0), Candidate("framed", framed))) == [1]


def test_a_result_that_the_next_call_overwrites_is_compared_as_it_was() -> None:
    """As with CUDA graphs."""
    place, values = torch.zeros(3), itertools.count(1)
    candidates = [Candidate(who, lambda: place.fill_(next(values))) for who in ("first", "second")]
    assert list(errors(*candidates)) == [1]


def test_candidates_take_turns_and_the_warm_up_is_not_counted() -> None:
    turns: list[str] = []
    seconds = _timing.alternate({name: partial(turns.append, name) for name in "ab"}, CPU, rounds=4, warmup=2)
    assert "".join(turns) == "ab" * 6
    assert [len(seconds[name]) for name in "ab"] == [4, 4]


def test_a_row_has_the_median_and_the_quartiles() -> None:
    found = _timing.summary([4.0, 1.0, 3.0, 2.0, 5.0, 7.0, 6.0])
    assert found == {"median_s": 4.0, "quartile_low_s": 2.5, "quartile_high_s": 5.5}
    assert _timing.summary([1.0, 9.0])["quartile_low_s"] == 3.0


def test_peak_memory_is_what_a_call_holds_at_once() -> None:
    def call() -> None:
        for _ in range(3):
            torch.empty(2, 1000, dtype=torch.float64)
        kept = torch.empty(500, dtype=torch.float64)
        torch.empty(1000, dtype=torch.float64)
        del kept

    assert 16_000 <= _timing.peak_memory(call, CPU) < 17_000


def test_a_training_step_keeps_gradients_that_half_precision_can_hold() -> None:
    """The gradient of a plain mean over 2**20 numbers would be zero in float16."""
    layer = nn.Conv2d(1, 1, 1, bias=False).half()
    nn.init.constant_(layer.weight, 0.5)
    call = _timing.training_call(layer, torch.full((1, 1, 1024, 1024), 1.0, dtype=torch.float16))
    norm = _timing.gradient_norm(layer, call)()
    assert float(norm) == pytest.approx(4096 * 2 * 0.5, rel=0.01)  # of (w x)^2, times the scale of the loss
    assert float(_timing.gradient_norm(layer, call)()) == float(norm)  # not accumulated


def test_the_number_of_threads_is_restored() -> None:
    before = torch.get_num_threads()
    with _timing.threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with _timing.threads(None):
        assert torch.get_num_threads() == before


def test_a_cpu_that_emulates_bf16_is_not_timed_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False}, raising=False)
    assert _timing.dtypes_of(CPU) == ("float32",)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert _timing.dtypes_of(CPU) == ("float32", "bfloat16")
    assert _timing.dtypes_of(torch.device("cuda")) == ("float32", "bfloat16", "float16")
