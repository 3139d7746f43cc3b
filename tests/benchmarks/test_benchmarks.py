"""The committed results of the accuracy harness are whole, and the docs' tables can be made from them."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from benchmarks.accuracy import _docs, _records
from benchmarks.accuracy._train import Recipe

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
ACCURACY = sorted((RESULTS / "accuracy").rglob("*.json"))


def name(file: Path) -> str:
    return file.stem


def test_there_are_results() -> None:
    assert len(ACCURACY) > 10


@pytest.mark.parametrize("file", ACCURACY, ids=name)
def test_an_accuracy_record_is_of_its_last_epoch_and_says_where_it_comes_from(file: Path) -> None:
    record = json.loads(file.read_text())
    assert record["schema"] == 1
    assert record["accuracy"] == record["curve"][-1]["accuracy"]
    assert [epoch["epoch"] for epoch in record["curve"]] == list(range(1, record["recipe"]["epochs"] + 1))
    assert record["experiment"] == file.parent.name
    assert {"command", "device", "date", "commit", "versions", "params", "macs", "seconds"} <= set(record)


@pytest.mark.parametrize("file", ACCURACY, ids=name)
def test_an_accuracy_record_is_of_an_arm_of_its_experiment_and_says_whether_it_is_small(file: Path) -> None:
    record = json.loads(file.read_text())
    _, experiment = _docs.versions()[file.parent.name]
    assert record["arm"] in experiment.arms
    assert record.get("small", False) == file.parent.name.endswith("-small")
    assert f"-seed{record['seed']}" in file.stem


@pytest.mark.parametrize("file", ACCURACY, ids=name)
def test_an_accuracy_record_is_what_its_experiment_would_make_today(file: Path) -> None:
    """So that an experiment begun long ago can be finished."""
    record = json.loads(file.read_text())
    arm = _docs.versions()[file.parent.name][1].arms[record["arm"]]
    recipe = replace(Recipe(epochs=record["recipe"]["epochs"]), **arm.recipe)
    assert _records.differences(record, {"recipe": asdict(recipe), "compiled": False}) == []


@pytest.mark.parametrize("folder", sorted({file.parent.name for file in ACCURACY}))
def test_the_arms_of_an_experiment_were_trained_alike(folder: str) -> None:
    """All arms have the same epochs, and what a network costs does not depend on the seed."""
    arms = _docs.arms_of(folder)
    assert len({record["recipe"]["epochs"] for records in arms.values() for record in records}) == 1
    for records in arms.values():
        assert len({json.dumps([record["params"], record["macs"]]) for record in records}) == 1
