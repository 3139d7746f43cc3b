"""The tables of the throughput harness, what the docs include of them, and the command."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.gpu import _docs as gpu
from benchmarks.throughput import __main__ as main
from benchmarks.throughput import _compare, _roofline, _tables
from benchmarks.throughput._compare import Candidate, Comparison, Setting

Row = dict[str, Any]

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
    gpu.write_docs(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "measured" / "speed.md").read_text()
    included = re.findall(r"<!-- measured: (\S+) -->", page)
    assert len(included) == len(set(included)) > 8
    expected = {f"throughput-{name}" for name in _tables.EXPECTED}
    assert expected <= set(included) <= {file.stem for file in tmp_path.iterdir()}


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
