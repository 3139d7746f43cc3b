"""The suites of the throughput harness, at sizes where they take no time."""

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from benchmarks.throughput import __main__ as main
from benchmarks.throughput import (
    _compare,
    _crops,
    _dialects,
    _models,
    _report,
    _resizer,
    _transforms,
)
from benchmarks.throughput._compare import Comparison, Setting
from benchmarks.throughput._peers import HandWrittenResNet18, paired_resizers
from torch import nn
from torchvision.transforms.v2 import functional as F

import resizenet as rn

CPU = torch.device("cpu")
Row = dict[str, Any]
Measure = Callable[..., list[Row]]


def names(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(row["who"] for row in rows))


def failed(rows: list[Row]) -> dict[str, str]:
    return {row["who"]: row["error"] for row in rows if "error" in row}


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


@pytest.mark.parametrize("rule", [("pillow", "bilinear"), ("opencv", "linear"), ("opencv", "area")])
def test_the_resizes_of_other_libraries(rows_of: Measure, rule: tuple[str, str]) -> None:
    rows = rows_of(_dialects.resizing(CPU, *rule, 3, 40, 33, with_torch=rule[0] == "pillow"))
    library, ours = f"{rule[0]} {rule[1]}, one by one", f'resize(like="{rule[0]}")'
    assert names(rows) == [library, ours, *["F.interpolate"] * (rule[0] == "pillow")]
    assert [row["who"] for row in rows if row["baseline"]] == [library]
    assert not failed(rows)  # the levels of the library and ours are equal


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
    assert asked == ["never", "auto"]


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
