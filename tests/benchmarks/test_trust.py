"""The records of fuzz runs, seeded faults and surveys, and the fragments of the docs that are made from them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from benchmarks._records import RESULTS, environment, read, write
from benchmarks.trust._docs import wilson, write_docs
from benchmarks.trust._survey import outcome, survey, without_values
from scipy.stats import binomtest
from torch import nn

import resizenet as rn
import summary


def report(nodeid: str, when: str, result: str, cases: int = 0) -> Any:
    properties = [("cases", cases)] if cases else []
    return SimpleNamespace(
        nodeid=nodeid, when=when, outcome=result, failed=result == "failed", user_properties=properties
    )


def test_a_summary_counts_outcomes_and_cases_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "RESULTS", tmp_path)
    arguments = SimpleNamespace(args=("--summary", "fuzz", "tests/fuzz"))
    config = SimpleNamespace(getoption=lambda name: "fuzz", invocation_params=arguments)
    found = summary.Summary(config)
    for nodeid, result, cases in [("a/test_boxes.py::x", "passed", 3), ("a/test_boxes.py::y", "failed", 4)]:
        found.pytest_runtest_logreport(report(nodeid, "setup", "passed"))
        found.pytest_runtest_logreport(report(nodeid, "call", result))
        found.pytest_runtest_logreport(report(nodeid, "teardown", "passed", cases))
    found.pytest_runtest_logreport(report("a/test_sampler.py::z", "setup", "skipped"))
    found.pytest_sessionfinish()
    (file,) = (tmp_path / "trust").iterdir()
    record = read(file, "seconds")
    assert file.name == f"fuzz-{record['commit']}.json"
    assert record["outcomes"] == {"passed": 1, "failed": 1, "skipped": 1}
    assert record["cases"] == {"boxes": 7}
    assert record["failures"] == ["a/test_boxes.py::y"]
    assert record["command"].endswith("python -m pytest --summary fuzz tests/fuzz")


@pytest.mark.parametrize("file", sorted((RESULTS / "trust").glob("fuzz-*.json")), ids=lambda file: file.stem)
def test_a_committed_fuzz_run_has_the_number_of_cases_in_its_command(file: Path) -> None:
    record = read(file, "cases")
    assert sum(record["cases"].values()) >= int(re.match(r"FUZZ_CASES=(\d+) ", record["command"])[1])


@pytest.mark.parametrize(("found", "tried"), [(0, 7), (7, 7), (31, 40), (1, 300)])
def test_the_interval_of_a_share_is_wilsons(found: int, tried: int) -> None:
    expected = binomtest(found, tried).proportion_ci(0.95, method="wilson")
    assert wilson(found, tried) == pytest.approx((expected.low, expected.high), abs=1e-4)


def test_the_fragments_say_what_the_records_say(tmp_path: Path) -> None:
    results, docs = tmp_path / "results", tmp_path / "docs"
    common = {**environment(torch.device("cpu")), "command": "make something"}
    cases = {"arguments": 120_001, "boxes": 2}
    write(
        results / "fuzz-1.json", {**common, "cases": cases, "failures": ["tests/fuzz/test_boxes.py::x"], "seconds": 9.7}
    )
    outcomes = {"a": "found", "b": "survived", "c": "not found in time"}
    write(results / "mutants-functional.json", {**common, "mutants": 428, "outcomes": outcomes})
    outcomes = {"timm": {"done": ["a", "b"], "refused": ["c"], "KeyError": ["d"]}, "torchvision": {"done": ["a"]}}
    write(results / "survey.json", {**common, "models": outcomes})
    write_docs(docs, results)
    texts = {file.stem.removeprefix("trust-"): file.read_text() for file in docs.iterdir()}
    assert "| 120,001 | 2 |" in texts["fuzz"]
    assert "| 120,003 | 1 | 10 |" in texts["fuzz"]
    assert "- `tests/fuzz/test_boxes.py::x`" in texts["fuzz"]
    assert "| `functional` | 428 | 3 | 1 | 1 | 1 | 33% |" in texts["mutants"]
    assert "Survived:\n\n- `b`\n\nNot found in time:\n\n- `c`\n" in texts["mutants"]
    assert "| timm | 4 | 2 | 1 | 1 |" in texts["survey"]
    assert "Not reported:\n\n- timm, refused: `c`\n- timm, KeyError: `d`\n\n" in texts["survey"]
    assert "fuzz, mutants, survey" in texts["platforms"]
    assert {name for name, text in texts.items() if "`make something`" in text} == {"fuzz", "mutants", "survey"}


def test_without_records_the_fragments_name_the_commands(tmp_path: Path) -> None:
    write_docs(tmp_path, tmp_path / "none")
    assert (tmp_path / "trust-mutants.md").read_text() == "Not run yet: `make mutants`.\n"


def test_the_survey_has_models_of_every_library() -> None:
    found = survey("resnet18")
    assert found == {library: {"done": found[library]["done"]} for library in ("resizenet", "torchvision", "timm")}
    assert found["torchvision"] == {"done": ["resnet18"]}
    assert json.dumps(found)


@pytest.mark.slow
def test_models_that_the_survey_could_not_report_are_reported_at_their_own_size() -> None:
    outcomes = read(RESULTS / "trust" / "survey.json", "models")["models"]["timm"]
    assert set(outcomes) == {"done", "refused"}
    for name in outcomes["refused"]:
        model = without_values(lambda name=name: timm.create_model(name, pretrained=False))
        assert rn.report(model, model.default_cfg["input_size"][1:]).macs > 0


def test_an_outcome_is_a_refusal_only_for_errors_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(nn.Conv2d(3, 4, 3)) == "done"
    assert outcome(nn.Conv2d(5, 4, 3)) == "refused"
    monkeypatch.setattr(rn, "report", lambda model, size: {}[size])
    assert outcome(nn.Identity()) == "KeyError"
