"""AirNet's recipe: the optimizer against matrices and torch's SGD, what a batch holds, and what is measured."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from benchmarks.accuracy import _docs
from benchmarks.accuracy._data import ImageData
from benchmarks.accuracy._muon import Muon, orthogonalize
from benchmarks.accuracy._record import (
    RECORD,
    FastRecipe,
    FastTraining,
    accuracy_with_flips,
    held_out,
    training_flops,
)
from benchmarks.accuracy._sizes import SeveralSizesRecipe, SeveralSizesTraining
from torch import Tensor, nn

import resizenet as rn
from resizenet.models import AirNet
from resizenet.surgery import switch_norms
from resizenet.transforms import NativePolicy


@pytest.fixture(autouse=True)
def _one_process() -> Iterator[None]:
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def data(arrays: Callable[..., dict[str, np.ndarray]]) -> ImageData:
    found = {name: torch.from_numpy(array) for name, array in arrays(train=48, test=30).items()}
    images = {name: found[name].permute(0, 3, 1, 2) for name in ("x_train", "x_test")}
    return ImageData(images["x_train"], found["y_train"], images["x_test"], found["y_test"])


@pytest.fixture
def train(data: ImageData) -> Callable[..., FastTraining]:
    def make(**recipe: Any) -> FastTraining:
        torch.manual_seed(0)
        rates = {"bias_lr": 0.8, "head_lr": 10.0}  # the recipe's, for batches of 16
        values = {"epochs": 4, "batch_size": 16, "sizes": ((0, 16), (0.5, 32)), **rates, **recipe}
        return FastTraining(AirNet(widths=(4, 8, 8)), data, FastRecipe(**values), 0, Accelerator(cpu=True))

    return make


@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (40, 2, 3, 3)])
def test_the_update_is_close_to_the_nearest_semi_orthogonal_matrix(shape: tuple[int, ...]) -> None:
    gradient = torch.randn(shape)
    found = orthogonalize(gradient)
    u, _, v = np.linalg.svd(gradient.flatten(1).numpy(), full_matrices=False)
    nearest = torch.from_numpy(u @ v)
    assert found.shape == shape
    assert torch.cosine_similarity(found.flatten(), nearest.flatten(), dim=0) > 0.95
    singular = torch.linalg.svdvals(found.flatten(1))
    assert singular.max() < 1.4
    assert singular.median() > 0.5
    torch.testing.assert_close(orthogonalize(1000 * gradient), found, rtol=0.05, atol=0.02)


def test_muon_scales_the_weight_and_moves_it_by_the_learning_rate() -> None:
    weight = nn.Parameter(torch.randn(8, 4, 3, 3))
    before = weight.detach() * 8**0.5 / weight.norm().item()
    weight.grad = torch.randn_like(weight)
    Muon([{"params": [weight], "lr": 0.1, "momentum": 0.6, "muon": True}]).step()
    torch.testing.assert_close(weight.detach(), before - 0.1 * orthogonalize(weight.grad), rtol=1e-2, atol=3e-3)


def test_other_groups_get_sgd_with_nesterov_momentum() -> None:
    start = torch.randn(5)
    ours, theirs = (nn.Parameter(start.clone()) for _ in range(2))
    group = {"params": [ours], "lr": 2.0, "initial_lr": 2.0, "momentum": 0.85, "muon": False, "weight_decay": 0.02}
    optimizers = Muon([group]), torch.optim.SGD([theirs], 2.0, momentum=0.85, nesterov=True, weight_decay=0.01)
    for step in range(4):
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.param_groups[0]["lr"] = 2.0 - 0.5 * step
            parameter.grad = torch.linspace(-1, 1, 5) * (step + 1)
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def restored(training: FastTraining, images: Tensor) -> Tensor:
    """The images of a batch in [0, 255]."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (training.data.mean, training.data.std))
    return (images * std + mean) * 255


def test_each_image_is_mirrored_in_every_other_epoch(train: Callable[..., FastTraining]) -> None:
    training = train(sizes=((0, 32),), policy=NativePolicy(32, padding=0).to_dict())
    seen = []
    for _ in range(2):
        images = torch.cat([images for images, _ in training.batches()])
        seen.append(restored(training, images).round().to(torch.uint8))
        training.curve.append({})
    for image in training.data.x_train:
        found = {
            tuple(bool((batch == version).flatten(1).all(1).any()) for version in (image, image.flip(2)))
            for batch in seen
        }
        assert found == {(True, False), (False, True)}


def test_images_are_shifted_over_a_mirrored_border(train: Callable[..., FastTraining]) -> None:
    training = train(sizes=((0, 32),), alternating_flips=False)
    padded = np.pad(training.data.x_train.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (32, 32), (2, 3)).transpose(0, 2, 3, 1, 4, 5)
    versions = np.concatenate([windows, windows[..., ::-1]], 1).reshape(48, -1, 3, 32, 32)
    corners = set()
    for images, labels in training.batches():
        for image, label in zip(restored(training, images).round().numpy(), labels, strict=True):
            candidates = (versions == image).all((2, 3, 4))
            assert candidates.any()
            assert training.data.y_train[candidates.any(1)].tolist() == [label]
            corners.add(int(candidates.argmax() % versions.shape[1]))
    assert len(corners) > 20  # of 50


def test_sizes_follow_the_schedule_and_the_stem_is_kept(train: Callable[..., FastTraining]) -> None:
    training = train(whitening_epochs=2)
    sizes = []
    for epoch in range(4):
        for images, _ in training.batches():
            sizes.append(images.shape[-1])
            assert training.model.stem.conv.bias.requires_grad == (epoch < 2)
        training.curve.append({})
    assert sizes == [16] * 6 + [32] * 6


def test_an_epoch_trains_everything_but_the_whitening(train: Callable[..., FastTraining]) -> None:
    training = train(whitening_epochs=1)
    before = {name: parameter.clone() for name, parameter in training.model.named_parameters()}
    first, second = (training.epoch(lambda: None) for _ in range(2) if training.curve.append({}) is None)
    assert second["loss"] < first["loss"]
    kept = {name for name, value in training.model.named_parameters() if torch.equal(value, before[name])}
    assert "stem.conv.weight" in kept
    assert all(".norm" in name and name.endswith("weight") for name in kept - {"stem.conv.weight", "stem.conv.bias"})


def test_an_epoch_is_evaluated_at_its_last_size(train: Callable[..., FastTraining]) -> None:
    training = train(sizes=((0, 16), (0.4, 20), (0.5, 32)))
    seen: list[int] = []
    for epoch in range(3):
        with training.model.register_forward_pre_hook(lambda model, images: seen.append(images[0].shape[-1])):
            training.curve.append(training.epoch(lambda: None))
        assert training.curve[-1]["size"] == seen[-1] == (16, 20, 32)[epoch]


def test_the_stem_is_trained_without_whitening(train: Callable[..., FastTraining]) -> None:
    training = train(whitening=False)
    weight = training.model.stem.conv.weight
    assert any(weight is parameter for parameter in training.optimizer.param_groups[0]["params"])


def test_a_resizer_in_front_learns_at_a_64th_of_the_biases_rate_times_its_ratio(data: ImageData) -> None:
    model = rn.LinearResizer(16).wrap(AirNet(widths=(4, 8, 8)))
    recipe = FastRecipe(2, batch_size=16, sizes=((0, 32),), bias_lr=6.4, head_lr=1.0, lr_ratios={"resizer.": 0.5})
    training = FastTraining(model, data, recipe, 0, Accelerator(cpu=True))
    assert training.optimizer.param_groups[-1]["lr"] == pytest.approx(0.05)
    before = model.resizer.conv.weight.clone()
    training.epoch(lambda: None)
    assert not torch.equal(model.resizer.conv.weight, before)
    expected = AirNet()
    expected.initialize_from(rn.functional.resize(data.normalize(data.x_train), 16))
    torch.testing.assert_close(model.model.stem.conv.weight, expected.stem.conv.weight)


@pytest.mark.parametrize("teach", [False, True])
def test_the_loss_of_several_sizes_is_their_mean(data: ImageData, *, teach: bool) -> None:
    sizes = (12, 16, 32)
    model = switch_norms(AirNet(widths=(4, 8, 8)), sizes)
    recipe = SeveralSizesRecipe(1, batch_size=16, train_sizes=sizes, teach=teach, label_smoothing=0.0)
    training = SeveralSizesTraining(model, data, recipe, 0, Accelerator(cpu=True))
    images, labels = next(training.batches())
    assert images.shape == (16, 3, 32, 32)
    model.eval()
    logits = [model(rn.functional.resize(images, size)) for size in sizes]
    probabilities = [found.softmax(1) for found in logits]
    losses = [-found[range(16), labels].log().mean() for found in probabilities]
    if teach:
        taught = [-(probabilities[2].detach() * found.log()).sum(1).mean() for found in probabilities[:2]]
        losses[:2] = [(loss + more) / 2 for loss, more in zip(losses, taught, strict=False)]
    found = training.loss(images, labels)
    torch.testing.assert_close(found, sum(losses) / 3)
    found.backward()
    assert all(norm.bias.grad is not None for norm in model.stages[0][0].norm1.norms)


def test_learning_rates_fall_linearly_to_zero(train: Callable[..., FastTraining]) -> None:
    training = train(whitening_epochs=2)
    rates = []
    for _ in range(12):
        rates.append([group["lr"] for group in training.optimizer.param_groups])
        training.optimizer.step()
        training.schedule.step()
    recipe = training.recipe
    for step, found in enumerate(rates):
        rest, stem = 1 - step / 12, max(0, 1 - step / 6)
        expected = [recipe.lr * rest, recipe.bias_lr * rest, recipe.head_lr * rest, recipe.bias_lr * stem]
        assert found == pytest.approx(expected)


def test_validation_images_come_from_the_training_images() -> None:
    images = torch.arange(50_000)[:, None, None, None]
    data = held_out(ImageData(images, images.flatten(), torch.zeros(1), torch.zeros(1)))
    assert (len(data.x_train), len(data.x_test)) == (45_000, 5_000)
    assert sorted([*data.x_train.flatten().tolist(), *data.x_test.flatten().tolist()]) == list(range(50_000))
    assert torch.equal(data.x_test.flatten(), data.y_test)
    assert all(arm.prepare is held_out for arm in RECORD["validation"].arms.values())


class _LeftHalf(nn.Module):
    """Its logits are the mean colors of the left half."""

    def forward(self, x: Tensor) -> Tensor:
        return x[..., :16].mean((2, 3))


def test_logits_of_the_mirrored_copy_are_added(train: Callable[..., FastTraining], data: ImageData) -> None:
    train()
    labels = data.normalize(data.x_test).mean((2, 3)).argmax(1)  # of both halves together
    data = ImageData(data.x_train, data.y_train, data.x_test, labels)
    assert accuracy_with_flips(_LeftHalf(), data) == {"accuracy_with_flips": 100.0}


def test_operations_are_counted_by_size() -> None:
    recipe = FastRecipe(epochs=3, sizes=((0, 16), (0.5, 32)))
    convs = {16: [15, 7, 7, 3, 3, 1], 32: [31, 15, 15, 7, 7, 3]}  # sides of the maps
    channels = [(24, 64), (64, 64), (64, 256), (256, 256), (256, 256), (256, 256)]
    macs = {
        size: 24 * 12 * sides[0] ** 2 + sum(9 * a * b * n**2 for (a, b), n in zip(channels, sides, strict=True)) + 2560
        for size, sides in convs.items()
    }
    assert training_flops(recipe, 1000) == pytest.approx(6 * 3 * 1000 * (macs[16] + macs[32]) / 2)


def test_the_table_has_both_accuracies_seconds_and_operations(tmp_path: Any, write_run: Callable[..., None]) -> None:
    for seed in range(2):
        write_run(tmp_path, "record", "airnet", seed, 94.0 + seed, finish={"accuracy_with_flips": 95.0 + seed})
    table = _docs.tables_of("record", "full", tmp_path)
    assert "94.5 ± 6.4 (94.0, 95.0)" in table
    assert "95.5 ± 6.4 (95.0, 96.0)" in table
    assert "| 2 (fastest 2) | 3 (least 3) |" in table
