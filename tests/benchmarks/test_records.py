"""What both harnesses write and read; and the committed results, from which the docs' tables are made."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from benchmarks.accuracy import _docs, _results, _run
from benchmarks.accuracy._experiments import find, folder_of, versions
from benchmarks.throughput import _tables

from benchmarks import _options, _records

ACCURACY = sorted(_results.RESULTS.rglob("*.json"))
THROUGHPUT = sorted(_tables.RESULTS.glob("*.json"))
FOLDERS = {folder_of(name, version): (name, version) for name, version, _ in versions()}


def name(file: Path) -> str:
    return file.stem


def test_a_record_says_where_it_comes_from_and_is_written_in_one_step(tmp_path: Path) -> None:
    record = _records.environment(torch.device("cpu")) | {"command": "run it"}
    _records.write(tmp_path / "folder" / "record.json", record)
    found = _records.read(tmp_path / "folder" / "record.json", "command")
    assert found == record
    assert found["versions"]["torch"] == torch.__version__
    assert [file.name for file in tmp_path.rglob("*.*")] == ["record.json"]


def test_the_commit_comes_from_the_environment_or_from_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHMARKS_COMMIT", "abc1234")
    assert _records.commit() == "abc1234"
    monkeypatch.delenv("BENCHMARKS_COMMIT")
    monkeypatch.setenv("PATH", "")
    assert _records.commit() == "unknown"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a result"),
        ("[]", "schema None where 3 is expected"),
        ('{"schema": 2}', "schema 2 where 3 is expected"),
        ('{"schema": 3, "device": "a"}', "a result without command, commit, date, versions, rows; run it again"),
    ],
)
def test_a_file_that_is_not_a_record_is_refused_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(SystemExit, match=rf"record\.json: {message}") as error:
        _records.read(tmp_path / "record.json", "rows")
    assert "\n" not in str(error.value)


def test_a_folder_without_results_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"transfer: no results yet$"):
        _results.load("transfer", tmp_path)


@pytest.mark.parametrize(
    ("pattern", "message"), [("(", "not a regular expression"), ("conv", "matches none of linear; wide")]
)
def test_a_pattern_that_selects_nothing_is_refused(pattern: str, message: str) -> None:
    assert _options.select(["linear", "wide"], "^w") == ["wide"]
    with pytest.raises(SystemExit, match=message):
        _options.select(["linear", "wide"], pattern)


@pytest.mark.parametrize("device", ["tpu", pytest.param("cuda", marks=pytest.mark.skipif("torch.cuda.is_available()"))])
def test_a_missing_device_is_one_line(device: str) -> None:
    with pytest.raises(SystemExit, match=f"^{device}: torch finds no such device here; take --device cpu$"):
        _options.find_device(device)


def test_there_are_results() -> None:
    assert len(ACCURACY) > 100
    assert len(THROUGHPUT) > 5


@pytest.mark.parametrize("file", ACCURACY, ids=name)
def test_a_committed_run_is_what_its_experiment_would_make_today(file: Path) -> None:
    record = _results.read_run(file)
    assert FOLDERS[file.parent.name] == (record["experiment"], record["version"])
    experiment = find(record["experiment"], record["version"])
    arm, epochs = experiment.arms[record["arm"]], record["recipe"]["epochs"]
    assert file.stem == _run.file_stem(record["arm"], record["seed"])
    recipe = asdict(replace(experiment.recipe, **{"epochs": epochs, **arm.recipe}))
    assert _run.complete(record["recipe"]) == json.loads(json.dumps(recipe))
    assert record["accuracy"] == record["curve"][-1]["accuracy"]
    assert [epoch["epoch"] for epoch in record["curve"]] == list(range(1, epochs + 1))


@pytest.mark.parametrize("folder", sorted({file.parent.name for file in ACCURACY}))
def test_the_arms_of_an_experiment_were_trained_alike(folder: str) -> None:
    arms = _docs.arms_of(*FOLDERS[folder])
    records = [record for arm in arms.values() for record in arm]
    own = {name for name, arm in find(*FOLDERS[folder]).arms.items() if "epochs" in arm.recipe}
    assert len({record["recipe"]["epochs"] for record in records if record["arm"] not in own}) == 1
    assert len({record["precision"] for record in records}) == 1
    assert len({str(record["data"]) for record in records if record["data"]}) <= 1
    for runs in arms.values():
        assert len({(record["params"], record["macs"]) for record in runs}) == 1


@pytest.mark.parametrize("file", THROUGHPUT, ids=name)
def test_a_committed_suite_has_a_peer_in_every_table(file: Path) -> None:
    record = _tables.read_suite(file)
    assert file.stem.startswith(record["suite"])
    flags = ("peer", "baseline") if record["suite"] == "dialects" else ("peer",)  # there, the baseline is the library
    for rows in _tables.by_setting(record["rows"]):
        assert any(row[flag] for row in rows for flag in flags)
        assert all(0 < row["quartile_low_s"] <= row["median_s"] <= row["quartile_high_s"] for row in rows)
        assert _tables.table_of(rows).rows
