"""The suites of the throughput harness, at sizes where they take no time, their tables and the command."""

import itertools
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from benchmarks.throughput import __main__ as main
from benchmarks.throughput import (
    _compare,
    _crops,
    _models,
    _report,
    _resizer,
    _roofline,
    _tables,
    _timing,
    _transforms,
)
from benchmarks.throughput._compare import Bench, Candidate, Comparison, Setting
from benchmarks.throughput._peers import HandWrittenResNet18, paired_resizers
from torch import nn
from torchvision.transforms.v2 import functional as F

import resizenet as rn

CPU = torch.device("cpu")
Row = dict[str, Any]
Measure = Callable[..., list[Row]]


@pytest.fixture
def rows_of(monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Measure a comparison with few rounds and small ceilings, and compile without generating code."""
    monkeypatch.setattr(_compare, "alternate", partial(_timing.alternate, warmup=0))
    monkeypatch.setattr(_roofline, "COPY_BYTES", {"cpu": 2**16})
    monkeypatch.setattr(_roofline, "MATRIX_SIDE", {"cpu": 32})
    graph = partial(torch.compile, backend="eager", fullgraph=True, dynamic=False)
    for module in (_resizer, _models):
        monkeypatch.setattr(module, "compiled", lambda model, device: graph(model))

    def measure(comparison: Comparison, dtype: str = "float32") -> list[Row]:
        [rows] = Bench(CPU, rounds=2).run({Setting("task", "case", dtype, 2): lambda: comparison})
        return rows

    return measure


def names(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(row["who"] for row in rows))


def failed(rows: list[Row]) -> dict[str, str]:
    return {row["who"]: row["error"] for row in rows if "error" in row}


# --- the suites


def case(*, train: bool = False, dtype: str = "float32") -> _resizer.Case:
    return _resizer.Case((32, 32), 16, 2, dtype, train)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_resizer_in_inference(rows_of: Measure, dtype: str) -> None:
    compiled_layouts = ("channels_last",) if dtype == "float32" else ()
    rows = rows_of(_resizer.alone(CPU, case(dtype=dtype), compiled_layouts=compiled_layouts), dtype)
    who, layouts = ("port", "ours", "ours, fused"), ("contiguous", "channels_last")
    expected = [*itertools.product(who, ["eager"], layouts), *itertools.product(who, ["compiled"], compiled_layouts)]
    assert sorted((row["who"], row["mode"], row["layout"]) for row in rows) == sorted(expected)
    head, rest = 3 * 16 * 49 + 16 * 16, 3 * 16 * 16 * 9 + 16 * 3 * 49  # multiply-accumulates per pixel, as published
    assert {row["flops"] for row in rows} == {2 * 2 * (head * 32 * 32 + rest * 16 * 16)}
    assert [row["peer"] for row in rows] == [row["who"] == "port" for row in rows]
    assert [row["baseline"] for row in rows] == [row["peer"] and row["mode"] == "eager" for row in rows]
    assert all(row["peak_bytes"] > 0 for row in rows)


def test_the_resizer_in_training(rows_of: Measure) -> None:
    rows = rows_of(_resizer.alone(CPU, case(train=True), compiled_layouts=("contiguous",)))
    assert names(rows) == ["port", "ours", "ours, checkpoint"]
    assert [row["who"] for row in rows if row["mode"] == "compiled"] == ["port", "ours"]
    assert not failed(rows)


def test_rows_say_whether_they_use_kernels_and_a_kernel_that_fails_is_a_row(
    rows_of: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels have rows on CUDA only. On this CPU they are refused, so the rows of a CUDA device say so."""
    asked = []
    fuse, paper = rn.Resizer.fuse, rn.Resizer.paper

    def recorded_fuse(resizer: rn.Resizer, **options: str) -> nn.Module:
        asked.append(options["kernels"])
        return fuse(resizer, **options)

    def recorded_paper(size: int, **options: object) -> rn.Resizer:
        asked.append(options.get("kernels", "never"))
        return paper(size, **options)

    monkeypatch.setattr(rn.Resizer, "fuse", recorded_fuse)
    monkeypatch.setattr(rn.Resizer, "paper", recorded_paper)
    monkeypatch.setattr(_resizer, "check_exactly", lambda *args: None)
    monkeypatch.setattr(_resizer.Case, "place", lambda case, model, device, layout: model.train(case.train))
    cuda = torch.device("cuda")
    for train, kernels in ((False, "ours, fused, kernels"), (True, "ours, kernels")):
        asked.clear()
        found = _resizer.resizers(case(train=train), cuda, "contiguous")
        images = torch.rand(2, 3, 32, 32)
        candidates = [_resizer.candidate(who, make, images, train=train) for who, make in found.items()]
        rows = rows_of(Comparison(candidates, 1e-3))
        assert list(failed(rows)) == [kernels]
        assert "kernels='always'" in failed(rows)[kernels]
        assert set(asked) == {"never", "always"}


@pytest.mark.parametrize("train", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_network_alone_and_behind_each_resizer(rows_of: Measure, *, train: bool) -> None:
    rows = rows_of(_resizer.backbone(CPU, _resizer.Case((128, 128), 64, 2, "float32", train), "resnet18"))
    last = "behind ours, checkpoint" if train else "behind ours, fused"
    assert names(rows) == ["alone, on resized images", "behind the fixed resize", "behind port", "behind ours", last]
    assert [row["baseline"] for row in rows] == [True, False, False, False, False]
    assert [row["peer"] for row in rows] == [False, False, True, False, False]
    assert not failed(rows)


def test_a_resizer_that_is_not_the_port_is_not_timed(rows_of: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(size: int) -> tuple[nn.Module, nn.Module]:
        peer, ours = paired_resizers(size)
        with torch.no_grad():
            ours.merge[0].weight[0, 0, 0, 0] += 0.5
        return peer, ours

    monkeypatch.setattr(_resizer, "paired_resizers", wrong)
    with pytest.raises(ValueError, match="ours and the port differ"):
        _resizer.alone(CPU, case())
    rows = rows_of(_resizer.alone(CPU, case(train=True), layouts=("channels_last",), compiled_layouts=()))
    assert set(failed(rows)) == {"ours", "ours, checkpoint"}


@pytest.mark.parametrize("train", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_resnet18_of_every_library(rows_of: Measure, *, train: bool) -> None:
    pytest.importorskip("timm")
    setting = Setting("inference", "resnet18, small stem", "float32", 1)
    rows = rows_of(_models.networks(CPU, setting, train=train, with_compiled=not train))
    assert names(rows) == ["torchvision, stem swapped", "timm, stem swapped", "by hand", "ours"]
    assert [row["mode"] for row in rows] == (["eager"] if train else ["eager", "compiled"]) * 4
    assert train or {row["flops"] for row in rows} == {2 * 555_422_720}
    assert not failed(rows)


def test_the_networks_written_by_hand_are_those_of_the_papers() -> None:
    makers = (HandWrittenResNet18, _models.NETWORKS["wrn_28_10"]["by hand"])
    assert [sum(p.numel() for p in make().parameters()) for make in makers] == [11_173_962, 36_479_194]


def test_report_and_the_counter_agree_and_attention_is_left_as_it_was(rows_of: Measure) -> None:
    rows = rows_of(_report.reporting(CPU, "resnet18", 64))
    assert names(rows) == ["FlopCounterMode, a forward pass", "FlopCounterMode, on meta tensors", "resizenet.report"]
    assert not failed(rows)
    assert torch.backends.mha.get_fastpath_enabled()


def test_the_counter_sees_attention() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True).eval()
    tokens = 5
    projections, attention, feed = tokens * 8 * (3 * 8 + 8), 2 * tokens * tokens * 8, 2 * tokens * 8 * 16
    found = int(_report.counted(layer, torch.rand(1, tokens, 8))) - projections - feed
    assert found in (attention, 0)  # torch 2.6 does not count the CPU's attention, only what surrounds it


def test_upscaling(rows_of: Measure) -> None:
    pytest.importorskip("kornia")
    rows = rows_of(_transforms.upscaling(CPU, 4, 8, 16))
    assert [row["who"] for row in rows if row["baseline"]] == ["PIL, one by one"]
    peers = ["torchvision on tensors, one by one", "F.interpolate on the batch", "kornia on the batch"]
    assert names([row for row in rows if row["peer"]]) == ["PIL, one by one", *peers]
    assert "BatchResize" in names(rows)
    assert {row["least_bytes"] for row in rows} == {4 * 3 * (64 + 256)}
    assert not failed(rows)


@pytest.mark.parametrize("antialias", [True, False])
def test_random_crops(rows_of: Measure, *, antialias: bool) -> None:
    pytest.importorskip("kornia")
    rows = rows_of(_crops.cropping(CPU, 6, 64, 56, "float32", antialias=antialias))
    kornia = [] if antialias else ["kornia on the batch, slices", "kornia on the batch, warp"]
    assert names(rows) == ["torchvision v2, one by one", "F.interpolate, one by one", *kornia, "crop_resize"]
    assert [row["who"] for row in rows if not row["peer"]] == ["crop_resize"]
    assert not failed(rows)


def test_the_kernel_of_crops_has_a_row_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    on_cuda = SimpleNamespace(is_cuda=True, cpu=lambda: images, device=CPU, split=images.split, float=images.float)
    boxes, flip = torch.tensor([[0, 0, 2, 3], [1, 1, 4, 5]]), torch.zeros(2, dtype=torch.bool)
    asked = []
    monkeypatch.setattr(_crops, "crop_resize", lambda *args, kernels, **options: asked.append(kernels))
    ours = _crops.candidates_of(_crops.Crops(on_cuda, boxes, flip, 7, torch.float16, True))[3:]
    assert [found.who for found in ours] == ["crop_resize", "crop_resize, kernels"]
    assert [found.call() for found in ours] == [None, None]
    assert asked == ["never", "always"]


def test_crops_are_read_once_and_written_once() -> None:
    boxes, flip = torch.tensor([[0, 0, 2, 3], [1, 1, 4, 5]]), torch.zeros(2, dtype=torch.bool)
    crops = _crops.Crops(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), boxes, flip, 7, torch.float16, True)
    assert crops.least_bytes() == 3 * (2 * 3 + 4 * 5) + 2 * 3 * 7 * 7 * 2


def test_the_peers_crop_as_torchvision_does() -> None:
    """The warp is compared without the border, where it reads beyond the box."""
    pytest.importorskip("kornia")
    crops = _crops.draw(CPU, 5, 64, 56, "float32", antialias=False)
    assert crops.flip.unique().tolist() == [False, True]
    expected = []
    for image, box, flipped in zip(crops.images / 255, crops.boxes.tolist(), crops.flip.tolist(), strict=True):
        resized = F.resized_crop(image, *box, size=[56, 56], antialias=False)
        expected.append(F.normalize(resized.flip(-1) if flipped else resized, list(_crops.MEAN), list(_crops.STD)))
    for peer in (_crops.kornia_slices, _crops.interpolate_one_by_one):
        torch.testing.assert_close(peer(crops), torch.stack(expected), atol=1e-4, rtol=0)
    inner = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(_crops.kornia_warp(crops)[inner], torch.stack(expected)[inner], atol=2e-3, rtol=0)


def test_peers_that_are_not_installed_are_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_compare, "find_spec", lambda package: None)
    found = _crops.cropping(CPU, 3, 32, 28, "float32", antialias=False).candidates
    assert [candidate.who for candidate in found][2:] == ["crop_resize"]
    assert "timm, stem swapped" not in _models.with_same_weights("resnet18, small stem")
    said = capsys.readouterr().out
    assert "kornia is not installed: its rows are left out" in said
    assert "timm is not installed: its rows are left out" in said


def test_a_gpu_gets_every_size_batch_and_dtype() -> None:
    titles = [setting.title for setting in _resizer.jobs(torch.device("cuda"), quick=False)]
    sizes, dtypes = ("448x448 -> 224", "64x64 -> 32", "300x400 -> 224"), ("float32", "bfloat16", "float16")
    for size, dtype, batch in itertools.product(sizes, dtypes, (1, 32, 128)):
        for task in ("inference", "training step"):
            assert f"{task}, {size}, {dtype}, batch of {batch}" in titles
    for task in ("inference", "training step"):
        assert f"resnet50, {task}, 448x448 -> 224, bfloat16, batch of 128" in titles


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("suite", sorted(main.SUITES))
def test_quick_suites_are_part_of_the_whole_ones(suite: str, device: str) -> None:
    whole, quick = (set(main.SUITES[suite](torch.device(device), quick=quick)) for quick in (False, True))
    assert quick
    assert quick <= whole


# --- tables

FLOOR = {"flops": 10, "least_bytes": 20, "floor_s": 0.001, "bound": "copy"}


def row(seconds: float = 0.004, low: float = 0.0035, high: float = 0.0045, **changes: Any) -> Row:
    setting = {"task": "inference", "case": "tiny", "dtype": "float32", "batch": 2}
    who = {"who": "port", "mode": "eager", "layout": "contiguous", "peer": True, "baseline": True}
    return setting | who | {"median_s": seconds, "quartile_low_s": low, "quartile_high_s": high} | changes


def peers_and_ours() -> list[Row]:
    ours = {"who": "ours", "peer": False, "baseline": False}
    error = {key: value for key, value in row(**ours).items() if not key.endswith("_s")}
    return [
        row(peak_bytes=100_000_000, **FLOOR),
        row(0.002, 0.0015, 0.0021, mode="compiled", baseline=False, **FLOOR),
        row(0.001, 0.0009, 0.00125, **ours, peak_bytes=25_000_000, **FLOOR),
        error | {"who": "ours, kernels", "error": "RuntimeError: a | b"},
    ]


def test_a_table_compares_with_the_baseline_the_best_peer_and_the_floor() -> None:
    table = _tables.table_of(peers_and_ours())
    assert table.title == "inference, tiny, float32, batch of 2"
    assert table.header[:5] == ["who", "mode, layout", "ms (quartiles)", "speed / baseline", "speed / best peer"]
    assert table.header[5:] == ["floor / time", "peak MB", "memory / baseline"]
    assert table.rows == [
        ["port", "eager, contiguous", "4.00 (3.50-4.50)", "1.00", "0.50", "25 % (copy)", "100", "1.00"],
        ["port", "compiled, contiguous", "2.00 (1.50-2.10)", "2.00", "1.00", "50 % (copy)", "", ""],
        ["ours", "eager, contiguous", "1.00 (0.900-1.25)", "4.00", "2.00", "1e+02 % (copy)", "25.0", "0.25"],
        ["ours, kernels", "eager, contiguous", "failed: RuntimeError: a / b", "", "", "", "", ""],
    ]
    only_failed = _tables.table_of(peers_and_ours()[3:])
    assert only_failed.header == ["who", "mode, layout", "ms (quartiles)"]


def test_the_docs_get_a_fragment_for_each_file_and_task_and_for_what_was_not_run(
    tmp_path: Path, suite_record: Callable[..., Row]
) -> None:
    rows = [*peers_and_ours(), row(task="training step", **FLOOR)]
    (tmp_path / "resizer-cpu-quick.json").write_text(json.dumps(suite_record(*rows)))
    (tmp_path / "models-cuda-quick.json").write_text(json.dumps(suite_record(*rows[:1])))
    docs = tmp_path / "docs"
    _tables.write_docs(docs, tmp_path)
    whole = (docs / "throughput-resizer-cpu-quick.md").read_text()
    assert "**inference, tiny, float32, batch of 2**\n\n| who | mode, layout | ms (quartiles) |" in whole
    assert "**training step, tiny, float32, batch of 2**" in whole
    source = (
        "`run it`; a device; torch 2.9; 2026-01-02; commit abc. Ceilings: 10.0 GB/s copied, 200 GFLOP/s in float32."
    )
    assert source in whole
    part = (docs / "throughput-resizer-cpu-quick-training-step.md").read_text()
    assert "training step" in part
    assert "inference" not in part
    command = "python -m benchmarks.throughput run report --device cuda --out benchmarks/results/throughput"
    assert (docs / "throughput-report-cuda.md").read_text() == f"Not run yet: `{command}`\n"
    assert "| port |" in (docs / "throughput-models-cuda.md").read_text()  # from the quick run


def test_the_page_includes_only_fragments_that_are_there(tmp_path: Path) -> None:
    _tables.write_docs(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "measured" / "speed.md").read_text()
    included = [line.rpartition("/")[2] for line in page.splitlines() if line.startswith("```{include}")]
    assert len(included) == len(set(included)) > 8
    expected = {f"throughput-{name}.md" for name in _tables.EXPECTED}
    assert expected <= set(included) <= {file.name for file in tmp_path.iterdir()}


# --- the command


def toy_jobs(device: torch.device, *, quick: bool) -> _compare.Jobs:
    """Two settings, of which the second fails."""
    candidate = Candidate("port", lambda: torch.ones(3), peer=True, baseline=True)

    def job(dtype: str) -> Comparison:
        if dtype == "bfloat16":
            raise RuntimeError("out of memory")
        return Comparison([candidate], 0, _roofline.Work(0, 24))

    dtypes = ("float32", "bfloat16")
    return {Setting("inference", "tiny", dtype, 2): partial(job, dtype) for dtype in dtypes}


@pytest.mark.usefixtures("rows_of")
def test_a_run_writes_what_the_table_shows_and_fails_at_the_end(
    command: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(main.SUITES, "resizer", toy_jobs)
    options = ("run", "resizer", "--device", "cpu", "--quick", "--out", tmp_path)
    with pytest.raises(SystemExit, match=r"failed:\ninference, tiny, bfloat16, .*: all candidates, .*out of memory"):
        command(main.main, *options)
    written = _tables.read_suite(tmp_path / "resizer-cpu-quick.json")
    assert written["command"] == "python -m benchmarks.throughput run resizer --device cpu --quick"
    assert list(written["ceilings"]) == ["copy"]
    assert [found["dtype"] for found in written["rows"]] == ["float32", "bfloat16"]
    command(main.main, *options, "--only", "Float32|float32")
    written = _tables.read_suite(tmp_path / "resizer-cpu-quick-float32-float32.json")
    assert [found["dtype"] for found in written["rows"]] == ["float32"]
    assert written["command"].endswith("--only 'Float32|float32'")
    capsys.readouterr()
    command(main.main, "table", "resizer", "--results", tmp_path)
    shown = capsys.readouterr().out
    assert "resizer-cpu-quick" in shown
    assert "inference, tiny, bfloat16, batch of 2" in shown


def test_the_committed_tables_can_be_printed(command: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    command(main.main, "table")
    shown = capsys.readouterr().out
    assert all(file.stem in shown for file in _tables.RESULTS.glob("*.json"))
    with pytest.raises(SystemExit, match="no results of models in nowhere"):
        command(main.main, "table", "models", "--results", "nowhere")
