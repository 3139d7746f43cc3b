"""One BatchNorm per input size: against networks of one size each, and what is refused."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from resizenet import ArgumentError, ShapeError, SizeError, UnsupportedModelError, create_model
from resizenet.models import BasicBlock, ResNet
from resizenet.surgery import switch_norms

SIZES = [(13, 17), (19, 23), (29, 31)]


def network() -> nn.Module:
    return ResNet(BasicBlock, (1, 1), (4, 8))


def train(model: nn.Module, size: tuple[int, int], *, lr: float = 0.1) -> None:
    """A step of SGD on random images."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    model.train()(torch.randn(5, 3, *size)).square().mean().backward()
    optimizer.step()


def only(model: nn.Module, index: int) -> dict[str, torch.Tensor]:
    """The state dict of an unchanged network with one set of norms."""
    state = model.state_dict()
    ours = {name.replace(f".norms.{index}.", "."): value for name, value in state.items()}
    return {name: value for name, value in ours.items() if ".norms." not in name}


@pytest.mark.parametrize(
    "make",
    [network, lambda: create_model("resnet9"), lambda: torchvision.models.mobilenet_v3_small(num_classes=5)],
    ids=["resnet", "resnet9", "mobilenet"],
)
def test_at_first_every_size_computes_what_the_model_did(make: Callable[[], nn.Module]) -> None:
    model = make().eval()
    switched = switch_norms(model, [32, (48, 32)])
    for size in [(32, 32), (48, 32)]:
        images = torch.randn(2, 3, *size)
        torch.testing.assert_close(switched(images), model(images), rtol=0, atol=0)


def test_each_size_computes_like_a_network_with_its_norms() -> None:
    switched = switch_norms(network(), SIZES)
    for size in [*SIZES, *SIZES[::-1]]:
        train(switched, size)
    switched.eval()
    outputs = []
    for index, size in enumerate(SIZES):
        plain = network()
        plain.load_state_dict(only(switched, index))
        images = torch.randn(2, 3, *size)
        outputs.append(plain.eval()(images))
        torch.testing.assert_close(switched(images), outputs[-1])
        torch.testing.assert_close(switched(x=images), outputs[-1])
    other = network().eval()
    other.load_state_dict(only(switched, 0))
    assert not torch.allclose(other(images), outputs[-1])


def test_training_at_a_size_changes_its_norms_and_what_is_shared() -> None:
    switched = switch_norms(network(), SIZES)
    before = copy.deepcopy(switched.state_dict())
    train(switched, SIZES[1])
    changed = {name for name, value in switched.state_dict().items() if not torch.equal(value, before[name])}
    sets = {int(name.split(".norms.")[1][0]) for name in changed if ".norms." in name}
    assert sets == {1}
    assert {"stem.conv.weight", "fc.weight", "stem.norm.norms.1.running_mean"} <= changed
    assert all(p.grad is None for name, p in switched.named_parameters() if ".norms.0." in name)


def test_the_model_stays_as_it_is_unless_inplace() -> None:
    model = network()
    switched = switch_norms(model, [8])
    assert not any(type(module).__name__ == "SwitchedNorm" for module in model.modules())
    assert switched is not model
    assert switch_norms(model, [8], inplace=True) is model
    assert any(type(module).__name__ == "SwitchedNorm" for module in model.modules())


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_switches_by_itself(clone: Callable[[nn.Module], nn.Module]) -> None:
    switched = switch_norms(network(), SIZES)
    train(switched, SIZES[0])
    train(switched, SIZES[2])
    copied, images = clone(switched).eval(), torch.randn(2, 3, *SIZES[0])
    expected = switched.eval()(images)
    copied(torch.randn(2, 3, *SIZES[2]))
    torch.testing.assert_close(copied(images), expected)
    assert switched.stem.norm.choice.index == 0
    again = switch_norms(network(), SIZES)
    again.load_state_dict(switched.state_dict())
    torch.testing.assert_close(again.eval()(images), expected)


def test_a_norm_at_two_places_stays_shared() -> None:
    norm = nn.BatchNorm2d(3)
    switched = switch_norms(nn.Sequential(norm, nn.Conv2d(3, 3, 1), norm), [4, 8])
    assert switched[0] is switched[2]
    assert len(switched[0].norms) == 2


def test_a_model_inside_another_switches_by_the_size_that_it_gets() -> None:
    inner = switch_norms(network(), SIZES)
    outer = nn.Sequential(nn.Upsample(SIZES[1]), inner)
    outer(torch.randn(2, 3, 7, 7))
    assert [int(norm.num_batches_tracked) for norm in inner.stem.norm.norms] == [0, 1, 0]


def test_the_switch_compiles_without_graph_breaks() -> None:
    switched = switch_norms(network(), SIZES).eval()
    for norm in switched.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
    compiled = torch.compile(switched, backend="eager", fullgraph=True)
    for size in [*SIZES, *SIZES]:
        images = torch.randn(2, 3, *size)
        torch.testing.assert_close(compiled(images), switched(images))


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ([], ArgumentError, r"sizes: expected at least one size and none twice, got \[\]"),
        ([8, (8, 8)], ArgumentError, "sizes: expected at least one size and none twice"),
        (8, ArgumentError, "sizes: expected a list of sizes, got 8"),
        ([0], SizeError, "size: expected"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        switch_norms(network(), sizes)


def test_models_without_norms_to_switch_are_refused() -> None:
    for model in (nn.Linear(2, 2), nn.BatchNorm2d(3)):
        with pytest.raises(UnsupportedModelError, match="expected a model that contains BatchNorm, got"):
            switch_norms(model, [8])
    with pytest.raises(UnsupportedModelError, match="ResNet has switched norms already"):
        switch_norms(switch_norms(network(), [8]), [8])
    with pytest.raises(UnsupportedModelError, match=r"expected a model that is a torch\.nn\.Module, got 3"):
        switch_norms(3, [8])  # type: ignore[arg-type]


def test_images_of_another_size_are_refused() -> None:
    switched = switch_norms(network(), SIZES)
    expected = r"expected images of one of the sizes \(13, 17\), \(19, 23\), \(29, 31\), got \(17, 13\)"
    with pytest.raises(ShapeError, match=expected):
        switched(torch.randn(2, 3, 17, 13))
    with pytest.raises(ShapeError, match="expected images as the first argument, got NoneType"):
        switched()
