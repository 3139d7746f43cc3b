"""The throughput harness, at sizes where it takes no time: what it counts, checks, writes and shows. What it times is not tested."""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.throughput import __main__ as command
from benchmarks.throughput import (
    _crops,
    _models,
    _paired,
    _record,
    _report,
    _resizer,
    _roofline,
    _tables,
    _timing,
    _transforms,
)
from benchmarks.throughput._paired import Bench, Candidate, MismatchError, Setting, check
from benchmarks.throughput._peers import HandWrittenResNet18, paired_resizers
from benchmarks.throughput._roofline import Ceilings, Work
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as TF

import resizenet as rn

CPU = torch.device("cpu")
SETTING = Setting("inference", "tiny", "float32", 2)
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "throughput"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Few rounds without a warm-up, small ceilings, and compilation without code."""
    monkeypatch.setattr(_paired, "alternate", partial(_timing.alternate, warmup=0))
    monkeypatch.setattr(_roofline, "COPY_BYTES", {"cpu": 2**16})
    monkeypatch.setattr(_roofline, "MATRIX_SIDE", {"cpu": 32})
    for module in (_resizer, _models):
        monkeypatch.setattr(
            module,
            "compiled",
            lambda model, device: torch.compile(model, backend="eager", fullgraph=True, dynamic=False),
        )
    monkeypatch.setattr(_paired, "note", print)  # every test hears it
    return Bench(CPU, rounds=2)


def whole_record(bench: Bench, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """As it is written and read again; raises unless it is whole."""
    record = json.loads(json.dumps(_record.describe(bench, "suite", "command", rows)))
    _record.validate(record)
    return record


def names(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["who"] for row in rows))


# --- the roofline


def tiny_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(4, 5, 1, stride=2, bias=True))


def test_the_work_of_inference_is_that_counted_by_hand() -> None:
    images = torch.rand(2, 3, 6, 8)
    first, second = 2 * 2 * 4 * 3 * 9 * 48, 2 * 2 * 5 * 4 * 12  # two per MAC, images, channels out and in, taps, places
    parameters = 4 * 3 * 9 + 5 * 4 + 5
    assert _roofline.inference_work(tiny_network(), images) == Work(
        flops=first + second, least_bytes=4 * (2 * 3 * 48 + 2 * 5 * 12 + parameters)
    )


def test_the_work_of_a_training_step_is_that_counted_by_hand() -> None:
    """Gradients: of both weights, and of the second layer's input; nobody asks for that of the images."""
    images = torch.rand(2, 3, 6, 8, dtype=torch.bfloat16)
    first, second = 2 * 2 * 4 * 3 * 9 * 48, 2 * 2 * 5 * 4 * 12
    parameters = 4 * 3 * 9 + 5 * 4 + 5
    work = _roofline.training_work(tiny_network().bfloat16(), images)
    assert work == Work(flops=2 * first + 3 * second, least_bytes=2 * (2 * 3 * 48 + 2 * parameters))


@pytest.mark.parametrize(("flops", "seconds", "bound"), [(300, 30.0, "matrix"), (100, 20.0, "copy"), (0, 20.0, "copy")])
def test_the_floor_is_the_longer_of_computing_and_copying(flops: int, seconds: float, bound: str) -> None:
    ceilings = Ceilings(CPU)
    ceilings.measured = {"copy": 5.0, "float32": 10.0}
    assert ceilings.floor(Work(flops, least_bytes=100), "float32") == {
        "flops": flops,
        "least_bytes": 100,
        "floor_s": seconds,
        "bound": bound,
    }


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
    assert set(ceilings.measured) == {"copy", "bfloat16"}


def test_work_without_matrices_asks_for_no_matrix_rate() -> None:
    ceilings = Ceilings(CPU)
    ceilings.measured = {"copy": 1.0}
    ceilings.floor(Work(0, 1), "uint8 to float32")
    assert set(ceilings.measured) == {"copy"}


# --- checking and timing


def constant(value: float, **options: Any) -> Candidate:
    return Candidate(str(value), lambda: torch.full((2, 6, 6), value), **options)


def test_candidates_that_differ_stop_the_run_before_anything_is_timed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_paired, "alternate", lambda *args: pytest.fail("timed"))
    with pytest.raises(
        MismatchError, match=r"1\.1 \(eager, contiguous\) gives something else, by 0\.1 where 0\.05 is rounding"
    ):
        bench.rows(SETTING, [constant(1.0), constant(1.1)], tolerance=0.05)


def test_differences_are_relative_for_numbers_and_grey_levels_for_whole_ones() -> None:
    assert _paired.difference(torch.tensor([10.0, -20.0]), torch.tensor([10.0, -19.0])) == pytest.approx(1 / 20)
    assert (
        _paired.difference(torch.tensor([10, 200], dtype=torch.uint8), torch.tensor([12, 200], dtype=torch.uint8)) == 2
    )
    assert _paired.difference(torch.zeros(2), torch.zeros(3)) == math.inf


def test_what_is_no_number_is_a_difference() -> None:
    with pytest.raises(MismatchError, match="gives something else"):
        check([constant(1.0), constant(math.nan)], 0.1)


def test_groups_are_compared_by_themselves_and_margins_not_at_all() -> None:
    def framed() -> Tensor:
        return F.pad(torch.ones(2, 4, 4), (1, 1, 1, 1))

    check([constant(1.0), constant(2.0, group="other"), Candidate("framed", framed, margin=1)], 0.0)
    with pytest.raises(MismatchError, match="framed"):
        check([constant(1.0), Candidate("framed", framed)], 0.0)


def test_a_result_that_the_next_call_overwrites_is_compared_as_it_was() -> None:
    """As those of CUDA graphs."""
    place = torch.zeros(3)
    values = itertools.count(1)
    candidates = [Candidate(who, lambda: place.fill_(next(values))) for who in ("first", "second")]
    with pytest.raises(MismatchError, match="second"):
        check(candidates, 0.1)


def test_candidates_take_turns_and_the_warm_up_is_not_counted() -> None:
    turns: list[str] = []
    seconds = _timing.alternate({name: lambda name=name: turns.append(name) for name in "ab"}, CPU, rounds=4, warmup=2)
    assert "".join(turns) == "ab" * 6
    assert [len(seconds[name]) for name in "ab"] == [4, 4]


def test_a_row_has_the_median_and_the_quartiles() -> None:
    assert _timing.summary([4.0, 1.0, 3.0, 2.0, 5.0, 7.0, 6.0]) == {
        "median_s": 4.0,
        "quartile_low_s": 2.5,
        "quartile_high_s": 5.5,
    }
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
    weight = nn.Conv2d(1, 1, 1, bias=False).half()
    nn.init.constant_(weight.weight, 0.5)
    call = _timing.training_call(weight, torch.full((1, 1, 1024, 1024), 1.0, dtype=torch.float16))
    norm = _timing.gradient_norm(weight, call)()
    assert float(norm) == pytest.approx(4096 * 2 * 0.5, rel=0.01)  # of (w x)^2, times the scale of the loss
    assert float(_timing.gradient_norm(weight, call)()) == float(norm)  # not added up


def test_one_thread_is_given_back() -> None:
    before = torch.get_num_threads()
    with _timing.one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_a_cpu_that_emulates_bf16_is_not_timed_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False}, raising=False)
    assert _timing.dtypes_of(CPU) == ("float32",)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert _timing.dtypes_of(CPU) == ("float32", "bfloat16")
    assert _timing.dtypes_of(torch.device("cuda")) == ("float32", "bfloat16", "float16")


# --- the suites


def small_case(dtype: str = "float32") -> _resizer.Case:
    return _resizer.Case((32, 32), 16, 2, dtype)


def flops_of_the_resizer(images: int, pixels_in: int, pixels_out: int) -> int:
    """FACTS of the published network with 16 channels and one block: the head at input resolution, all else at output resolution."""
    head = 3 * 16 * 49 + 16 * 16
    rest = 3 * 16 * 16 * 9 + 16 * 3 * 49
    return 2 * images * (head * pixels_in + rest * pixels_out)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_resizer_in_inference(bench: Bench, dtype: str) -> None:
    compiled_layouts = ("channels_last",) if dtype == "float32" else ()
    [rows] = bench.run({"": lambda: _resizer.inference(bench, small_case(dtype), compiled_layouts=compiled_layouts)})
    whole_record(bench, rows)
    expected = {
        (who, "eager", layout) for who in ("port", "ours", "ours, fused") for layout in ("contiguous", "channels_last")
    }
    expected |= {(who, "compiled", layout) for who in ("port", "ours", "ours, fused") for layout in compiled_layouts}
    assert {(row["who"], row["mode"], row["layout"]) for row in rows} == expected
    assert len(rows) == len(expected)
    assert {row["flops"] for row in rows} == {flops_of_the_resizer(2, 32 * 32, 16 * 16)}
    assert all(
        row["peer"] == (row["who"] == "port") and row["baseline"] == (row["peer"] and row["mode"] == "eager")
        for row in rows
    )
    assert all(row["peak_bytes"] > 0 for row in rows)


def test_the_resizer_in_training(bench: Bench) -> None:
    rows = _resizer.training(bench, small_case(), compiled_layouts=("contiguous",))
    whole_record(bench, rows)
    assert names(rows) == ["port", "ours", "ours, checkpoint"]
    assert [(row["who"], row["layout"]) for row in rows if row["mode"] == "compiled"] == [
        ("port", "contiguous"),
        ("ours", "contiguous"),
    ]
    assert {row["task"] for row in rows} == {"training step"}


def test_the_kernels_have_rows_where_they_are_to_be_had(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here plain networks stand in for theirs."""
    monkeypatch.setattr(_resizer, "note", print)
    rows = _resizer.inference(bench, small_case(), layouts=("channels_last",), compiled_layouts=())
    assert "ours, fused, kernels" not in names(rows)
    assert "Triton kernels are left out: kernels='always' is not for this call" in capsys.readouterr().out
    fuse, paper = rn.Resizer.fuse, rn.Resizer.paper
    monkeypatch.setattr(rn.Resizer, "fuse", lambda resizer, kernels="never": fuse(resizer))
    monkeypatch.setattr(rn.Resizer, "paper", lambda size, kernels="never", **options: paper(size, **options))
    rows = _resizer.inference(bench, small_case(), layouts=("channels_last",), compiled_layouts=("channels_last",))
    assert [row["mode"] for row in rows if row["who"] == "ours, fused, kernels"] == ["eager"]
    rows = _resizer.training(bench, small_case(), layouts=("channels_last",), compiled_layouts=())
    assert names(rows)[-1] == "ours, kernels"


@pytest.mark.parametrize("train", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_network_alone_and_behind_each_resizer(bench: Bench, train: bool) -> None:
    rows = _resizer.backbone(bench, _resizer.Case((128, 128), 64, 2, "float32"), train=train, network="resnet18")
    whole_record(bench, rows)
    last = "behind ours, checkpoint" if train else "behind ours, fused"
    assert names(rows) == ["alone, on resized images", "behind the fixed resize", "behind port", "behind ours", last]
    assert [row["baseline"] for row in rows] == [True, False, False, False, False]
    assert [row["peer"] for row in rows] == [False, False, True, False, False]
    assert {row["task"] for row in rows} == {f"resnet18, {'training step' if train else 'inference'}"}


def test_a_resizer_that_is_not_the_port_is_not_timed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(size: int) -> tuple[nn.Module, nn.Module]:
        peer, ours = paired_resizers(size)
        with torch.no_grad():
            ours.merge[0].weight[0, 0, 0, 0] += 0.5
        return peer, ours

    monkeypatch.setattr(_resizer, "paired_resizers", wrong)
    with pytest.raises(MismatchError, match="ours and the port differ"):
        _resizer.inference(bench, small_case())
    with pytest.raises(MismatchError, match=r"ours \(eager, channels_last\) gives something else"):
        _resizer.training(bench, small_case(), layouts=("channels_last",), compiled_layouts=())


@pytest.mark.parametrize("train", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_resnet18_of_every_library(bench: Bench, train: bool) -> None:
    pytest.importorskip("timm")
    [rows] = bench.run(
        {"": lambda: _models.rows(bench, "resnet18, small stem", "float32", 1, train=train, compiled_too=not train)}
    )
    whole_record(bench, rows)
    assert names(rows) == ["torchvision, stem swapped", "timm, stem swapped", "by hand", "ours"]
    assert [row["mode"] for row in rows] == (["eager"] if train else ["eager", "compiled"]) * 4
    if not train:
        assert {row["flops"] for row in rows} == {2 * 555_422_720}


def test_the_networks_written_by_hand_are_those_of_the_papers() -> None:
    counts = [
        sum(p.numel() for p in make().parameters())
        for make in (HandWrittenResNet18, _models.NETWORKS["wrn_28_10"].peers["by hand"][0])
    ]
    assert counts == [11_173_962, 36_479_194]


def test_report_and_the_counter_agree_and_attention_is_left_as_it_was(bench: Bench) -> None:
    rows = _report.reporting(bench, "resnet18", 64)
    whole_record(bench, rows)
    assert names(rows) == ["FlopCounterMode, a forward pass", "FlopCounterMode, on meta tensors", "resizenet.report"]
    assert torch.backends.mha.get_fastpath_enabled()


def test_the_counter_sees_attention() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True).eval()
    tokens = 5
    projections, attention, feed = tokens * 8 * (3 * 8 + 8), 2 * tokens * tokens * 8, 2 * tokens * 8 * 16
    found = int(_report.counted(layer, torch.rand(1, tokens, 8)))
    assert found - projections - feed in (
        attention,
        0,
    )  # torch 2.6 does not know the CPU's attention itself, only what surrounds it


def test_upscaling(bench: Bench) -> None:
    pytest.importorskip("kornia")
    rows = _transforms.upscaling(bench, 4, 8, 16)
    whole_record(bench, rows)
    assert {
        "PIL, one by one",
        "torchvision on tensors, one by one",
        "F.interpolate on the batch",
        "kornia on the batch",
        "BatchResize",
    } <= set(names(rows))
    assert [row["who"] for row in rows if row["baseline"]] == ["PIL, one by one"]
    assert {row["least_bytes"] for row in rows} == {4 * 3 * (64 + 256)}


@pytest.mark.parametrize("antialias", [True, False])
def test_random_crops(bench: Bench, antialias: bool) -> None:
    pytest.importorskip("kornia")
    rows = _crops.cropping(bench, 6, 64, 56, "float32", antialias=antialias)
    whole_record(bench, rows)
    kornia = [] if antialias else ["kornia on the batch, slices", "kornia on the batch, warp"]
    assert names(rows) == ["torchvision v2, one by one", "F.interpolate, one by one", *kornia, "crop_resize"]
    assert [row["who"] for row in rows if not row["peer"]] == ["crop_resize"]


def test_crops_are_read_once_and_written_once() -> None:
    boxes = torch.tensor([[0, 0, 2, 3], [1, 1, 4, 5]])
    crops = _crops.Crops(
        torch.zeros(2, 3, 8, 8, dtype=torch.uint8), boxes, torch.zeros(2, dtype=torch.bool), 7, torch.float16, True
    )
    assert _crops.least_bytes(crops) == 3 * (2 * 3 + 4 * 5) + 2 * 3 * 7 * 7 * 2


def test_the_peers_crop_as_torchvision_does() -> None:
    """The warp apart from the border, where it reads beyond the box."""
    pytest.importorskip("kornia")
    crops = _crops.draw(CPU, 5, 64, 56, "float32", antialias=False)
    assert crops.flip.any()
    assert not crops.flip.all()
    expected = []
    for image, (top, left, height, width), flipped in zip(
        crops.images.float() / 255, crops.boxes.tolist(), crops.flip.tolist(), strict=True
    ):
        resized = TF.resized_crop(image, top, left, height, width, size=[56, 56], antialias=False)
        expected.append(TF.normalize(resized.flip(-1) if flipped else resized, list(_crops.MEAN), list(_crops.STD)))
    for peer in (_crops.kornia_slices, _crops.interpolate_one_by_one):
        torch.testing.assert_close(peer(crops), torch.stack(expected), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        _crops.kornia_warp(crops)[..., 2:-2, 2:-2], torch.stack(expected)[..., 2:-2, 2:-2], atol=2e-3, rtol=0
    )


def test_peers_that_are_not_installed_are_left_out_and_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_paired, "find_spec", lambda package: None)
    assert names(_crops.cropping(bench, 3, 32, 28, "float32", antialias=False)) == [
        "torchvision v2, one by one",
        "F.interpolate, one by one",
        "crop_resize",
    ]
    assert "timm, stem swapped" not in _models.with_same_weights(_models.NETWORKS["resnet18, small stem"])
    said = capsys.readouterr().out
    assert "kornia is not installed: its rows are left out" in said
    assert "timm is not installed: its rows are left out" in said


def test_a_gpu_gets_every_size_batch_and_dtype() -> None:
    titles = list(_resizer.jobs(Bench(torch.device("cuda"), 2), quick=False))
    settings = itertools.product(
        ("448x448 -> 224", "64x64 -> 32", "300x400 -> 224"), ("float32", "bfloat16", "float16"), (1, 32, 128)
    )
    for size, dtype, batch in settings:
        for task in ("inference", "training step"):
            assert f"{task}, {size}, {dtype}, batch of {batch}" in titles
    assert "resnet50, inference, 448x448 -> 224, bfloat16, batch of 128" in titles
    assert "resnet50, training step, 448x448 -> 224, bfloat16, batch of 128" in titles


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("suite", sorted(command.SUITES))
def test_quick_suites_are_part_of_the_whole_ones(suite: str, device: str) -> None:
    bench = Bench(torch.device(device), 2)
    whole, quick = (list(command.SUITES[suite](bench, quick)) for quick in (False, True))
    assert quick
    assert set(quick) <= set(whole)


def test_titles_of_jobs_are_those_of_their_tables(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that --only selects what it says."""
    monkeypatch.setattr(Bench, "rows", lambda bench, setting, candidates, **rest: [setting.title])
    monkeypatch.setattr(_resizer, "_check_exactly", lambda *args: None)
    monkeypatch.setattr(_resizer, "cases", lambda device, quick: [_resizer.Case((448, 448), 16, 1, "float32")])
    monkeypatch.setattr(_models, "NETWORKS", {"resnet18, small stem": _models.NETWORKS["resnet18, small stem"]})
    jobs = {**_resizer.jobs(bench, True), **_report.jobs(bench, True)}
    for title, job in itertools.islice(jobs.items(), 4):
        assert job() == [title]
    for title, job in {**_transforms.jobs(bench, True)}.items():
        assert job() == [title]


# --- records


def row(**changes: Any) -> dict[str, Any]:
    common = {
        "task": "inference",
        "case": "tiny",
        "dtype": "float32",
        "batch": 2,
        "who": "port",
        "mode": "eager",
        "layout": "contiguous",
    }
    return {
        **common,
        "peer": True,
        "baseline": True,
        "median_s": 0.004,
        "quartile_low_s": 0.0035,
        "quartile_high_s": 0.0045,
        **changes,
    }


def record(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    provenance = {
        "suite": "resizer",
        "command": "run it",
        "device": "a CPU",
        "date": "2026-11-21",
        "commit": "abc",
        "versions": {"torch": "2.0"},
    }
    return {"schema": 2, **provenance, "ceilings": {"copy": 1e10, "float32": 2e11}, "rows": list(rows), **changes}


def without(found: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != key}


FLOOR = {"flops": 10, "least_bytes": 20, "floor_s": 0.001, "bound": "copy"}
BROKEN = {
    "schema: expected 1 or 2": record(row(), schema=3),
    r"record: missing \['commit'\]": without(record(row()), "commit"),
    r"record: missing \['ceilings'\]": without(record(row()), "ceilings"),
    "record.device: expected str": record(row(), device=None),
    r"rows\[0\]: missing \['layout'\]": record(without(row(), "layout")),
    r"rows\[0\]: missing \['baseline'\]": record(without(row(), "baseline")),
    r"rows\[0\]: .*unknown \['speed'\]": record(row(speed=2.0)),
    r"rows\[1\].batch: expected int, got True": record(row(), row(batch=True)),
    r"rows\[0\].median_s: expected float": record(row(median_s="4 ms")),
    r"rows\[0\]: expected 0 < low quartile": record(row(quartile_low_s=0.005)),
    r"rows\[0\]: expected 0 < low quartile <=": record(row(quartile_high_s=math.inf)),
    r"rows\[0\]: missing \['bound'\]": record(row(**without(FLOOR, "bound"))),
    r"rows\[0\].bound: expected copy or matrix": record(row(**{**FLOOR, "bound": "luck"})),
    r"rows\[0\].floor_s: expected a positive number": record(row(**{**FLOOR, "floor_s": 0.0})),
    "expected a row with 'peer'": record(row(peer=False)),
    "expected a row with 'baseline'": record(row(), row(case="other", baseline=False)),
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_record_that_is_not_whole_is_refused(message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _record.validate(BROKEN[message])


def test_whole_records_are_accepted_of_both_schemas() -> None:
    _record.validate(record(row(), row(peak_bytes=3), row(**FLOOR)))
    _record.validate(without(record(without(row(), "baseline"), schema=1), "ceilings"))


def test_a_file_that_is_not_whole_is_named(tmp_path: Path) -> None:
    (tmp_path / "resizer-cpu.json").write_text(json.dumps(record(row(batch=None))))
    with pytest.raises(SystemExit, match=r"resizer-cpu\.json: rows\[0\]\.batch: expected int"):
        _tables.write_docs(tmp_path / "docs", tmp_path)


# --- tables


def peers_and_ours() -> list[dict[str, Any]]:
    return [
        row(peak_bytes=100_000_000, **FLOOR),
        row(mode="compiled", baseline=False, median_s=0.002, quartile_low_s=0.0015, quartile_high_s=0.0021, **FLOOR),
        row(
            who="ours",
            peer=False,
            baseline=False,
            median_s=0.001,
            quartile_low_s=0.0009,
            quartile_high_s=0.00125,
            peak_bytes=25_000_000,
            **FLOOR,
        ),
    ]


def test_a_table_compares_with_the_baseline_the_best_peer_and_the_floor() -> None:
    page = _tables.Page.of(peers_and_ours())
    assert page.title == "inference, tiny, float32, batch of 2"
    assert page.header == [
        "who",
        "mode, layout",
        "ms (quartiles)",
        "speed / baseline",
        "speed / best peer",
        "floor / time",
        "peak MB",
        "memory / baseline",
    ]
    assert page.lines == [
        ["port", "eager, contiguous", "4.00 (3.50-4.50)", "1.00", "0.50", "25 % (copy)", "100", "1.00"],
        ["port", "compiled, contiguous", "2.00 (1.50-2.10)", "2.00", "1.00", "50 % (copy)", "", ""],
        ["ours", "eager, contiguous", "1.00 (0.900-1.25)", "4.00", "2.00", "1e+02 % (copy)", "25.0", "0.25"],
    ]


def test_a_record_of_the_first_schema_has_a_table_without_the_new_columns() -> None:
    old = [
        without(row(peak_bytes=2_000_000), "baseline"),
        without(row(who="ours", peer=False, median_s=0.004, peak_bytes=1_000_000), "baseline"),
    ]
    page = _tables.Page.of(old)
    assert page.header == ["who", "mode, layout", "ms (quartiles)", "speed / best peer", "peak MB", "memory / baseline"]
    assert page.lines[1] == ["ours", "eager, contiguous", "4.00 (3.50-4.50)", "1.00", "1.00", "0.50"]


def test_the_docs_get_a_fragment_for_each_file_and_task_and_for_what_was_not_run(tmp_path: Path) -> None:
    rows = [*peers_and_ours(), row(task="training step", **FLOOR)]
    (tmp_path / "resizer-cpu-quick.json").write_text(json.dumps(record(*rows)))
    _tables.write_docs(tmp_path / "docs", tmp_path)
    whole = (tmp_path / "docs" / "throughput-resizer-cpu-quick.md").read_text()
    assert "**inference, tiny, float32, batch of 2**\n\n| who | mode, layout | ms (quartiles) |" in whole
    assert "**training step, tiny, float32, batch of 2**" in whole
    assert (
        "`run it`; a CPU; torch 2.0; 2026-11-21; commit abc. Ceilings: 10.0 GB/s copied, 200 GFLOP/s in float32."
        in whole
    )
    part = (tmp_path / "docs" / "throughput-resizer-cpu-quick-training-step.md").read_text()
    assert "training step" in part
    assert "inference" not in part
    missing = (tmp_path / "docs" / "throughput-report-cuda.md").read_text()
    assert (
        missing
        == "Not run yet: `python -m benchmarks.throughput run report --device cuda --out benchmarks/results/throughput`\n"
    )


@pytest.mark.parametrize("file", sorted(RESULTS.glob("*.json")), ids=lambda file: file.stem)
def test_committed_records_are_whole_and_have_tables(file: Path) -> None:
    committed = _record.load(file)
    assert file.stem.startswith(committed["suite"])
    for rows in _record.by_setting(committed["rows"]):
        assert _tables.Page.of(rows).lines


def test_the_page_includes_only_fragments_that_are_there(tmp_path: Path) -> None:
    _tables.write_docs(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "measured" / "speed.md").read_text()
    included = [line.rpartition("/")[2] for line in page.splitlines() if line.startswith("```{include}")]
    assert len(included) == len(set(included)) > 8
    assert (
        {f"throughput-{name}.md" for name in _tables.EXPECTED}
        <= set(included)
        <= {file.name for file in tmp_path.iterdir()}
    )


# --- the command


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks.throughput", *arguments])
    command.main()


@pytest.fixture
def toy_suite(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row for each of two settings."""

    def jobs(bench: Bench, quick: bool) -> dict[str, Callable[[], list[dict[str, Any]]]]:
        settings = [Setting("inference", "tiny", dtype, 2) for dtype in ("float32", "bfloat16")]
        candidates = [Candidate("port", lambda: torch.ones(3), peer=True, baseline=True)]
        return {
            setting.title: lambda setting=setting: bench.rows(setting, candidates, tolerance=0, work=Work(0, 24))
            for setting in settings
        }

    monkeypatch.setitem(command.SUITES, "resizer", jobs)
    monkeypatch.setattr(command, "QUICK_ROUNDS", 2)


@pytest.mark.usefixtures("toy_suite")
def test_a_run_writes_what_the_table_shows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "run", "resizer", "--device", "cpu", "--quick", "--out", str(tmp_path))
    written = _record.load(tmp_path / "resizer-cpu-quick.json")
    assert written["command"] == "python -m benchmarks.throughput run resizer --device cpu --quick"
    assert written["versions"]["torch"] == torch.__version__
    assert list(written["ceilings"]) == ["copy"]
    assert [found["dtype"] for found in written["rows"]] == ["float32", "bfloat16"]
    capsys.readouterr()
    run(monkeypatch, "table", "resizer", "--results", str(tmp_path))
    shown = capsys.readouterr().out
    assert "resizer-cpu-quick" in shown
    assert "inference, tiny, bfloat16, batch of 2" in shown


@pytest.mark.usefixtures("toy_suite")
def test_some_settings_by_themselves_have_a_file_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(
        monkeypatch, "run", "resizer", "--device", "cpu", "--quick", "--only", "Bfloat16|bfloat", "--out", str(tmp_path)
    )
    written = _record.load(tmp_path / "resizer-cpu-quick-bfloat16-bfloat.json")
    assert [found["dtype"] for found in written["rows"]] == ["bfloat16"]
    assert written["command"].endswith("--only 'Bfloat16|bfloat'")


def test_a_setting_that_fails_costs_the_others_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def jobs(bench: Bench, quick: bool) -> dict[str, Callable[[], list[dict[str, Any]]]]:
        wrong = [constant(1.0, peer=True), constant(2.0)]
        right = [constant(1.0, peer=True, baseline=True)]
        return {
            name: lambda found=found: bench.rows(SETTING, found, tolerance=0)
            for name, found in {"wrong": wrong, "right": right}.items()
        }

    monkeypatch.setitem(command.SUITES, "models", jobs)
    with pytest.raises(SystemExit, match=r"(?s)not timed:\nwrong: 2\.0 \(eager, contiguous\) gives something else"):
        run(monkeypatch, "run", "models", "--device", "cpu", "--out", str(tmp_path))
    assert [found["who"] for found in _record.load(tmp_path / "models-cpu.json")["rows"]] == ["1.0"]


@pytest.mark.usefixtures("toy_suite")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "resizer", "--device", "cpu", "--only", "("), "not a regular expression"),
        (("run", "resizer", "--device", "cpu", "--only", "float8"), "matches none of\ninference, tiny, float32"),
        (("run", "resizer", "--device", "tpu"), "tpu: torch finds no such device here"),
        (("table", "models", "--results", "nowhere"), "no results of models in nowhere"),
    ],
)
def test_mistakes_are_told_in_a_line(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, *arguments)
    assert message in str(stopped.value)


def test_the_committed_tables_can_be_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "table")
    shown = capsys.readouterr().out
    assert all(file.stem in shown for file in RESULTS.glob("*.json"))
