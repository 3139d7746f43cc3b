"""Statistics, and the tables, notes, pages and pictures that are made from records."""

import statistics
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from benchmarks.accuracy import _docs, write_docs
from benchmarks.accuracy._experiments import EXPERIMENTS, folder_of, versions
from benchmarks.accuracy._statistics import difference, difference_text, half_width, mean_text
from scipy import stats

from resizenet.transforms import RandomResizedCropPolicy

WriteRun = Callable[..., None]
VALUES, OTHERS = [74.1, 73.7, 74.2, 73.2], [72.4, 73.1, 72.0]
SIZES = (28, 32, 34, 36, 40, 44, 45, 48, 52)


def test_the_interval_of_a_mean_is_students() -> None:
    low, high = stats.t.interval(0.95, len(VALUES) - 1, loc=np.mean(VALUES), scale=stats.sem(VALUES))
    assert half_width(VALUES) == pytest.approx((high - low) / 2)
    assert half_width(VALUES[:1]) is None


def test_the_interval_of_a_difference_is_welchs() -> None:
    low, high = stats.ttest_ind(VALUES, OTHERS, equal_var=False).confidence_interval(0.95)
    gain, half = difference(VALUES, OTHERS)
    assert (gain - half, gain + half) == (pytest.approx(low), pytest.approx(high))
    assert difference(VALUES, [72.0]) == (pytest.approx(np.mean(VALUES) - 72), None)
    assert difference([1.0, 1.0], [3.0, 3.0]) == (-2.0, 0.0)


def test_texts_name_every_seed_and_what_diverged() -> None:
    assert mean_text([74.0, 73.0, 75.0]) == "74.0 ± 2.5 (74.0, 73.0, 75.0)"
    assert mean_text([74.0]) == "74.0 (one seed)"
    assert difference_text([74.0], [73.0, 75.5]) == "-0.2"
    assert mean_text([74.0, None]) == "diverged (74.0, diverged)"
    assert mean_text([None]) == "diverged (one seed)"
    assert difference_text([74.0, 73.0], [73.0, None]) == difference_text([None], [73.0]) == "diverged"


def cells(table: str) -> dict[str, list[str]]:
    lines = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line] for line in lines]
    return {row[0]: row[1:] for row in rows}


@pytest.fixture
def results(tmp_path: Path, write_run: WriteRun) -> Path:
    for seed, (plain, adapted) in enumerate([(50.0, 60.0), (52.0, 61.0), (51.0, 62.0)]):
        write_run(tmp_path, "resnet50_fix", "as it is", seed, plain)
        write_run(tmp_path, "resnet50_fix", "after adapt(model, 32)", seed, adapted, date="2026-01-03")
    return tmp_path


def resnet50_table(results: Path) -> str:
    return _docs.tables_of("resnet50_fix", "full", results)


def test_the_table_has_means_intervals_seeds_and_differences(results: Path) -> None:
    rows = cells(resnet50_table(results))
    order = ["network", ":--", "as it is", "after adapt(model, 32)"]  # the experiment's, not the files'
    assert list(rows) == order
    assert rows["as it is"][3:] == ["51.0 ± 2.5 (50.0, 52.0, 51.0)", "", "1,500"]
    assert rows["after adapt(model, 32)"][3:] == ["61.0 ± 2.5 (60.0, 61.0, 62.0)", "+10.0 ± 2.3", "1,500"]
    assert "a device, bf16; torch 2.9; 2026-01-02 to 2026-01-03." in resnet50_table(results)


def test_arms_are_compared_on_the_seeds_that_both_have(results: Path, write_run: WriteRun) -> None:
    for seed, accuracy in ((3, 70.0), (4, 71.0)):
        write_run(results, "resnet50_fix", "as it is", seed, accuracy)
    rows = cells(resnet50_table(results))
    assert rows["as it is"][3].startswith("58.8 ")
    assert rows["after adapt(model, 32)"][4] == "+10.0 ± 2.3"
    for seed in range(3):
        (results / "resnet50_fix" / f"as-it-is-seed{seed}.json").unlink()
    assert cells(resnet50_table(results))["after adapt(model, 32)"][4] == "no seed in common"


def test_images_per_second_are_those_of_the_fastest_epoch(results: Path, write_run: WriteRun) -> None:
    curve = [{"epoch": epoch, "loss": 1.0, "accuracy": 50.0, "seconds": 40.0 - 10 * epoch} for epoch in (1, 2, 3)]
    for seed, speed in enumerate((50.0, 100.0, 50.0)):  # 1,000 or 2,000 images an epoch of 20 s on average
        write_run(results, "resnet50_fix", "as it is", seed, 52.0, curve=curve, images_per_second=speed)
    assert cells(resnet50_table(results))["as it is"][-1] == "200"


def test_a_table_says_what_is_missing_in_it(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path, "resnet50_fix", "as it is", 0, 50.0)
    assert "Not run yet: after adapt(model, 32)." in resnet50_table(tmp_path)


def test_pages_of_what_was_not_run_say_so_with_the_command(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    write_docs(folder, results)
    text = (folder / "shape.md").read_text()
    assert text == "Not run yet: `python -m benchmarks.accuracy run shape --data PATH --device cuda`.\n"
    assert "run shape --data PATH --small --device cpu" in (folder / "shape-small.md").read_text()
    assert {file.stem for file in folder.glob("*.md")} == {folder_of(name, version) for name, version, _ in versions()}
    page = (folder / "resnet50_fix.md").read_text()
    assert "Not run yet" not in page
    for picture in ("resnet50_fix.svg", "resnet50_fix-curves.svg"):
        assert f"](../pictures/{picture})" in page


def test_sizes_are_compared_with_the_predicted_one(tmp_path: Path, write_run: WriteRun) -> None:
    policy = RandomResizedCropPolicy(32, scale=(0.08, 1.0), crop_pct=1.0)
    arm, recipe = "random resized crop (0.08, 1)", {"epochs": 2, "policy": policy.to_dict()}
    for seed in range(2):
        finish = {f"accuracy_at_{size}": 80.0 - abs(size - 45) + seed for size in SIZES}
        write_run(tmp_path, "crop_policy", arm, seed, 67.0 + seed, finish=finish, recipe=recipe)
    row = cells(_docs.tables_of("crop_policy", "full", tmp_path).split("\n\n")[1])[arm]
    ratio = 2 / 3 * (1 - 0.08**1.5) / (1 - 0.08)  # E[sqrt(s)] of s uniform in (0.08, 1)
    means = "63.5 67.5 69.5 71.5 75.5 79.5 80.5 77.5 73.5"
    assert row == [f"{ratio:.3f}", f"{32 / ratio:.0f}", "45", *means.split()]


def write_every_experiment(results: Path, write_run: WriteRun, *, diverged: bool) -> None:
    """Two arms and seeds of each; if ``diverged``, everything that the first run of the first arm measured is null."""
    ways = [way + mode for way in ("keep", "fold", "pinv", "area", "center") for mode in ("", ", bn", ", bn+head")]
    finish = {f"accuracy_at_{size}": 50.0 for size in SIZES} | dict.fromkeys(ways, 55.0)
    finish |= {"upscaled": 60.0, "accuracy_with_flips": 60.5, **{f"accuracy_at_{size}": 50.0 for size in (16, 24)}}
    spent = {"seconds": 1.0, "cpu_seconds": 1.5}
    watched = {f"accuracy_{part}_batch_statistics": 50.0 for part in ("resizer", "all")} | {"residual_over_plain": 0.5}
    for name, group in EXPERIMENTS.items():
        version = next(iter(group))
        arms = list(group[version].arms)[:2]
        for arm, seed in [(arm, seed) for arm in arms for seed in range(2)]:
            curve = [
                {"epoch": epoch, "loss": 1.0, "accuracy": 40.0 + epoch + seed, **spent, **watched} for epoch in (1, 2)
            ]
            values = {"accuracy": 42.0 + seed, "finish": finish, "curve": curve}
            if diverged and (arm, seed) == (arms[0], 0):
                curve[1] = dict.fromkeys(curve[1]) | {"epoch": 2, **spent}
                values |= {"accuracy": None, "finish": dict.fromkeys(finish)}
            write_run(results, folder_of(name, version), arm, seed, **values)


@pytest.mark.parametrize("diverged", [False, True])
def test_every_table_and_picture_is_made_and_says_what_diverged(
    tmp_path: Path, write_run: WriteRun, *, diverged: bool
) -> None:
    write_every_experiment(tmp_path / "results", write_run, diverged=diverged)
    write_docs(tmp_path / "docs", tmp_path / "results")
    for name, page in _docs.PAGES.items():
        version = next(iter(EXPERIMENTS[name]))
        stem = folder_of(name, version)
        text = (tmp_path / "docs" / f"{stem}.md").read_text()
        first = next(iter(EXPERIMENTS[name][version].arms))
        assert "nan" not in text.lower()
        assert all(("diverged" in table) == diverged for table in text.split("\n\n")[: len(page.tables)])
        assert (f"Diverged: {first}, seed 0." in text) == diverged
        assert text.count("](../pictures/") == sum(bool(figure.alt) for figure in page.figures)
        for figure in page.figures:
            assert ("diverged" in (tmp_path / "docs" / f"{stem}{figure.suffix}.svg").read_text()) == diverged
    assert ">multiply-accumulates per image<" in (tmp_path / "docs" / "shape-macs.svg").read_text()
    assert ">images per second in training, fastest epoch<" in (tmp_path / "docs" / "shape-speed.svg").read_text()


def test_the_picture_of_the_readme_names_an_arm_that_diverged(tmp_path: Path, write_run: WriteRun) -> None:
    for seed, accuracy in enumerate((60.0, None)):
        write_run(tmp_path / "results", folder_of(*_docs.HEADLINE), "small stem, 32 px", seed, accuracy)
    _docs.draw_headline(tmp_path / "headline.svg", tmp_path / "results")
    assert "small stem, 32 px (diverged)" in (tmp_path / "headline.svg").read_text()


def test_the_picture_of_the_readme_shows_the_committed_results() -> None:
    picture = ElementTree.parse(Path(__file__).parents[2] / "docs" / "stems.svg")
    words = [element.text for element in picture.iter() if element.tag.endswith("text")]
    arms = sorted(_docs.arms_of(*_docs.HEADLINE).items(), key=lambda arm: arm[1][0]["macs"])
    names = [f"{name}, {records[0]['macs'] / 1e6:.1f} M MACs" for name, records in arms]
    assert [word for word in words if word.endswith("MACs")] == names
    means = [statistics.mean(record["accuracy"] for record in records) for _, records in arms]
    assert [word for word in words if word.endswith(" %")] == [f"{mean:.1f} %" for mean in means]
