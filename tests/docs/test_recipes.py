"""Each recipe runs on a few digits and does what it promises."""

import copy
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import timm
import torch
import torchvision
from torch import nn

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "examples" / "recipes"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_recipe_is_tested_here_and_shown_in_the_docs() -> None:
    names = {path.stem for path in RECIPES.glob("*.py")}
    tested, page = Path(__file__).read_text(), (ROOT / "docs" / "recipes.md").read_text()
    assert names
    assert {name for name in names if f'load("{name}")' not in tested} == set()
    assert {name for name in names if f"examples/recipes/{name}.py" not in page} == set()


def test_recipes_use_the_public_api_only() -> None:
    assert [
        path.name for path in RECIPES.glob("*.py") if "resizenet._" in path.read_text() or "rn._" in path.read_text()
    ] == []


def test_a_plain_loop_learns_with_two_learning_rates(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = load("resizer_learning_rate")
    losses = recipe.main(epochs=3, limit=192)
    assert losses[-1] < 0.8 * losses[0]
    assert capsys.readouterr().out.count("loss") == 3


def test_a_plain_loop_gives_each_part_its_own_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load("resizer_learning_rate")
    made = []
    one_cycle = torch.optim.lr_scheduler.OneCycleLR
    monkeypatch.setattr(
        torch.optim.lr_scheduler,
        "OneCycleLR",
        lambda *args, **kwargs: made.append(one_cycle(*args, **kwargs)) or made[0],
    )
    recipe.main(epochs=1, limit=64)
    groups = {group["name"]: group for group in made[0].optimizer.param_groups}
    assert {name: group["max_lr"] for name, group in groups.items()} == {
        "resizer": 0.01,
        "resizer, no decay": 0.01,
        "model": 0.05,
        "model, no decay": 0.05,
    }


@pytest.mark.slow
def test_a_timm_model_learns_in_timms_loop() -> None:
    model = timm.create_model("resnet10t", channels=(16, 32, 64, 128), stem_width=16, num_classes=10)
    before = copy.deepcopy(model.state_dict())
    found = load("timm_loop").main(epochs=4, limit=640, model=model)
    (first_loss, _), (last_loss, last_accuracy) = found[0], found[-1]
    assert last_loss < 0.8 * first_loss
    assert last_accuracy > 30  # chance is 10
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)  # adapt made a copy


def _small_resnet() -> nn.Module:
    return torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=10)


@pytest.mark.slow
def test_fine_tuning_begins_with_the_pretrained_weights_and_statistics_of_the_small_images() -> None:
    recipe, pretrained = load("finetune_32px"), _small_resnet()
    adapted, _ = recipe.main(pretrained, epochs=0, limit=64)
    torch.testing.assert_close(
        dict(adapted.layer1.named_parameters()), dict(pretrained.layer1.named_parameters()), rtol=0, atol=0
    )
    torch.testing.assert_close(adapted.conv1.weight, pretrained.conv1.weight[:, :, 2:5, 2:5], rtol=0, atol=0)
    assert int(adapted.bn1.num_batches_tracked) == 2


@pytest.mark.slow
def test_fine_tuning_learns() -> None:
    _, found = load("finetune_32px").main(_small_resnet(), epochs=2, limit=448)
    (first_loss, _), (last_loss, last_accuracy) = found
    assert last_loss < 0.8 * first_loss
    assert last_accuracy > 30


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:'pin_memory' argument is set:UserWarning"
)  # transformers 5.23 pins memory without a GPU too, 2026-11
def test_hugging_faces_trainer_takes_a_wrapped_model() -> None:
    assert load("hf_trainer").main(epochs=3, limit=640)["eval_accuracy"] > 0.6


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:.*LeafSpec:FutureWarning",  # lightning 2.6 on torch 2.15, 2026-11
    "ignore:.*does not have many workers",  # lightning's advice for machines with many cores
)
def test_lightning_grows_the_images_over_training() -> None:
    trained = load("lightning_schedule").main(epochs=4, limit=320)
    assert trained.sizes == 8 * [8] + 15 * [16] + 17 * [
        24
    ]  # of 40 steps: 12 px, rounded to 16, at progress 0.1875, and 20 px, rounded to 24, at 0.5625
    assert trained.losses[-1] < 0.8 * trained.losses[0]


@pytest.mark.slow
def test_accelerate_trains_one_model_in_two_processes(tmp_path: Path) -> None:
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        __file__,
        str(tmp_path),
    ]
    printed = subprocess.run(launch, check=True, timeout=240, capture_output=True, text=True).stdout
    assert printed.startswith("2 processes, 3 batches each\nepoch 1: loss ")
    assert printed.count("loss") == 3
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert first["losses"] == second["losses"]
    assert first["losses"][-1] < 0.8 * first["losses"][0]
    torch.testing.assert_close(first["parameters"], second["parameters"], rtol=0, atol=1e-6)
    assert not torch.equal(first["mean"], second["mean"])  # BatchNorm's, since each process has images of its own


def _train_one_of_two(folder: str) -> None:
    model, losses = load("accelerate_ddp").main(epochs=3, limit=192)
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    torch.save(
        {"losses": losses, "parameters": parameters, "mean": model.stem.norm.running_mean},
        f"{folder}/{os.environ['RANK']}.pt",
    )


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning"
)  # torch's exporter and onnxscript, 2026-11: see test_export.py
def test_onnx_runtime_agrees_with_the_wrapped_model(tmp_path: Path) -> None:
    recipe = load("onnx_export")
    model = recipe.rn.Resizer(16, zero_init=False).wrap(recipe.rn.create_model("resnet20", num_classes=7)).eval()
    recipe.export(model, tmp_path / "model.onnx")
    for shape in [(1, 3, 32, 32), (5, 3, 17, 29), (2, 3, 10, 91)]:
        assert recipe.difference(model, tmp_path / "model.onnx", shape) < 1e-4
    with torch.no_grad():
        model.fc.bias[3] += 1
    assert recipe.difference(model, tmp_path / "model.onnx", (1, 3, 32, 32)) > 0.9  # another model is noticed


if __name__ == "__main__":
    _train_one_of_two(sys.argv[1])
