"""Test what ``adapt`` changes and what it keeps; weights of new channels are worked out by hand."""

import copy
import re
import threading
from collections.abc import Callable

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

import resizenet as rn


@pytest.fixture(scope="module")
def _resnet18() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.resnet18()


@pytest.fixture
def resnet(_resnet18: nn.Module) -> nn.Module:
    return copy.deepcopy(_resnet18)


def stem_of(model: nn.Module) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], bool]:
    """(kernel, stride, padding, pool) of the first layers."""
    return model.conv1.kernel_size, model.conv1.stride, model.conv1.padding, isinstance(model.maxpool, nn.MaxPool2d)


SMALL = ((3, 3), (1, 1), (1, 1), False)
NO_POOL = ((7, 7), (2, 2), (3, 3), False)
LARGE = ((7, 7), (2, 2), (3, 3), True)

# --- stems


def test_resnet18_at_32_px_gets_the_usual_cifar_stem_and_keeps_all_other_weights(resnet: nn.Module) -> None:
    adapted = rn.adapt(resnet.eval(), 32, num_classes=10, stem_weights="center")
    assert stem_of(adapted) == SMALL
    assert sum(p.numel() for p in adapted.parameters()) == 11_173_962
    assert torch.equal(adapted.conv1.weight, resnet.conv1.weight[:, :, 2:5, 2:5])
    layers = nn.Sequential(adapted.conv1, adapted.layer1, adapted.layer2, adapted.layer3, adapted.layer4)
    assert layers(torch.rand(1, 3, 32, 32)).shape[-2:] == (4, 4)
    before, after = resnet.state_dict(), adapted.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"conv1.weight", "fc.weight", "fc.bias"}


@pytest.mark.parametrize(
    ("size", "stem"),
    [(1, SMALL), (40, SMALL), (41, NO_POOL), (95, NO_POOL), (96, LARGE), ((40, 500), SMALL), ((500, 95), NO_POOL)],
)
def test_the_automatic_stem_depends_on_the_shorter_side(resnet: nn.Module, size: object, stem: object) -> None:
    assert stem_of(rn.adapt(resnet, size)) == stem


@pytest.mark.parametrize(("name", "stem"), [("keep", LARGE), ("no_pool", NO_POOL), ("cifar", SMALL)])
def test_a_named_stem_does_not_depend_on_the_size(resnet: nn.Module, name: str, stem: tuple[object, ...]) -> None:
    assert stem_of(rn.adapt(resnet, 224, stem=name)) == stem_of(rn.adapt(resnet, 32, stem=name)) == stem


def test_fresh_stem_weights_are_kaiming_normal_with_fan_out(resnet: nn.Module) -> None:
    weight = rn.adapt(resnet, 32, stem_weights="fresh").conv1.weight
    assert weight.shape == (64, 3, 3, 3)
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.1)  # 3 standard errors are 5 %
    assert not torch.equal(weight, resnet.conv1.weight[:, :, 2:5, 2:5])


def test_adapting_again_changes_nothing(resnet: nn.Module) -> None:
    once = rn.adapt(resnet, 32)
    twice = rn.adapt(once, 32)
    assert stem_of(twice) == SMALL
    assert all(torch.equal(a, b) for a, b in zip(once.state_dict().values(), twice.state_dict().values(), strict=True))


# --- what is kept


def test_the_original_model_is_unchanged(resnet: nn.Module) -> None:
    before = copy.deepcopy(resnet.state_dict())
    adapted = rn.adapt(resnet, 32, in_channels=1, num_classes=10)
    assert adapted is not resnet
    assert stem_of(resnet) == LARGE
    assert all(torch.equal(value, before[name]) for name, value in resnet.state_dict().items())
    assert not {p.data_ptr() for p in adapted.parameters()} & {p.data_ptr() for p in resnet.parameters()}


def test_inplace_changes_the_model_itself(resnet: nn.Module) -> None:
    weight = resnet.layer1[0].conv1.weight
    assert rn.adapt(resnet, 32, num_classes=10, inplace=True) is resnet
    assert stem_of(resnet) == SMALL
    assert resnet.layer1[0].conv1.weight is weight


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_kept(resnet: nn.Module, training: bool) -> None:
    adapted = rn.adapt(resnet.train(training), 32, in_channels=1, num_classes=10)
    assert {module.training for module in adapted.modules()} == {training}


def test_requires_grad_and_dtypes_are_kept(resnet: nn.Module) -> None:
    resnet.double().requires_grad_(False)
    resnet.fc.bias.requires_grad_(True)
    adapted = rn.adapt(resnet, 32, in_channels=5)
    assert [name for name, p in adapted.named_parameters() if p.requires_grad] == ["fc.bias"]
    assert {p.dtype for p in adapted.parameters()} == {torch.float64}


def test_weights_that_are_drawn_at_random_require_gradients(resnet: nn.Module) -> None:
    resnet.requires_grad_(False)
    head = rn.adapt(resnet, 32, num_classes=10)
    assert [name for name, p in head.named_parameters() if p.requires_grad] == ["fc.weight", "fc.bias"]
    both = rn.adapt(resnet, 32, in_channels=5, num_classes=10, stem_weights="fresh")
    assert [name for name, p in both.named_parameters() if p.requires_grad] == ["conv1.weight", "fc.weight", "fc.bias"]
    assert not any(p.requires_grad for p in resnet.parameters())


def test_hooks_are_kept(resnet: nn.Module) -> None:
    calls = []
    for module in (resnet.conv1, resnet.fc):
        module.register_forward_hook(lambda module, args, output: calls.append(output.shape))
    rn.adapt(resnet, 32, in_channels=1, num_classes=10, inplace=True).eval()(torch.rand(1, 1, 32, 32))
    assert calls == [(1, 64, 32, 32), (1, 10)]


@pytest.mark.parametrize("channel_weights", ["sum", "cycle", "zero"])
def test_adapted_models_train(channel_weights: str) -> None:
    small = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1])
    adapted = rn.adapt(small, 32, num_classes=10, in_channels=5, channel_weights=channel_weights)
    before = adapted.conv1.weight.detach().clone()
    adapted(torch.rand(2, 5, 32, 32)).sum().backward()
    torch.optim.SGD(adapted.parameters(), lr=0.1, momentum=0.9).step()
    assert not torch.equal(adapted.conv1.weight, before)


def pruned(layer: nn.Module) -> Tensor:
    prune.l1_unstructured(layer, "weight", amount=0.5)
    return layer.weight.detach().clone()


def weight_normed(layer: nn.Module) -> Tensor:
    with pytest.warns(FutureWarning, match="weight_norm"):
        nn.utils.weight_norm(layer)
    return layer.weight.detach().clone()


@pytest.mark.parametrize("change", [pruned, weight_normed])
def test_layers_that_compute_their_weight_in_each_call_are_copied(
    resnet: nn.Module, change: Callable[[nn.Module], Tensor]
) -> None:
    layer = resnet.layer1[0].conv1
    weight = change(layer)
    resnet(torch.rand(2, 3, 32, 32))  # from now on the layer holds a weight with a history
    adapted = rn.adapt(resnet, 32, num_classes=10)
    adapted(torch.rand(2, 3, 32, 32)).sum().backward()
    copied = adapted.layer1[0].conv1
    torch.testing.assert_close(copied.weight.detach(), weight)
    trained = {name for name, parameter in copied.named_parameters() if parameter.grad is not None}
    assert trained == {name for name, _ in layer.named_parameters()}
    assert all(parameter.grad is None for parameter in resnet.parameters())


# --- channels

PIXEL = [[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]  # (O, I) at the middle of a 7x7 filter
CHANNELS = {
    ("sum", 1): [[7.0], [56.0]],
    ("sum", 2): [[3.5, 3.5], [28.0, 28.0]],
    ("sum", 5): [[1.4] * 5, [11.2] * 5],
    ("cycle", 1): [[3.0], [24.0]],
    ("cycle", 2): [[1.5, 3.0], [12.0, 24.0]],
    ("cycle", 5): [[0.6, 1.2, 2.4, 0.6, 1.2], [4.8, 9.6, 19.2, 4.8, 9.6]],
    ("zero", 1): [[1.0], [8.0]],
    ("zero", 2): [[1.0, 2.0], [8.0, 16.0]],
    ("zero", 5): [[1.0, 2.0, 4.0, 0.0, 0.0], [8.0, 16.0, 32.0, 0.0, 0.0]],
}


@pytest.mark.parametrize(("method", "channels"), CHANNELS)
@pytest.mark.parametrize("stem", ["keep", "cifar"])
def test_weights_of_new_channels_are_those_worked_out_by_hand(
    resnet: nn.Module, method: str, channels: int, stem: str
) -> None:
    with torch.no_grad():
        resnet.conv1.weight.zero_()[:2, :, 3, 3] = torch.tensor(PIXEL)
    convolution = rn.adapt(resnet, 32, in_channels=channels, channel_weights=method, stem=stem).conv1
    weight, middle = convolution.weight.detach(), convolution.weight.shape[-1] // 2
    torch.testing.assert_close(weight[:2, :, middle, middle], torch.tensor(CHANNELS[method, channels]))
    assert convolution.in_channels == channels
    assert weight.abs().sum() == weight[:, :, middle, middle].abs().sum()


@pytest.mark.parametrize("method", ["sum", "cycle"])
def test_the_output_for_a_gray_image_is_unchanged(resnet: nn.Module, method: str) -> None:
    gray = torch.rand(2, 1, 37, 41)
    adapted = rn.adapt(resnet, 224, in_channels=6, channel_weights=method)
    outputs = [model.eval()(gray.expand(-1, model.conv1.in_channels, -1, -1)) for model in (adapted, resnet)]
    torch.testing.assert_close(*outputs, rtol=1e-3, atol=1e-4)  # float32, sums in another order through 18 layers


def test_the_same_number_of_channels_keeps_the_weights(resnet: nn.Module) -> None:
    assert torch.equal(rn.adapt(resnet, 224, in_channels=3).conv1.weight, resnet.conv1.weight)


# --- refusals


class Recurrent(nn.Module):
    """Reads an image row by row; no map of it has a stride."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.fc = nn.GRU(96, 8, batch_first=True), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(x.transpose(1, 2).flatten(2))[0][:, -1])


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Linear(3072, 5), "Linear cannot take an image of (3, 32, 32)"),
        (nn.Identity(), "Identity has no feature map"),
        (Recurrent(), "Recurrent "),
    ],
    ids=lambda x: type(x).__name__,
)
def test_a_model_without_maps_is_refused(model: nn.Module, reason: str) -> None:
    with pytest.raises(rn.UnsupportedModelError, match=rf"^adapt: {re.escape(reason)}"):
        rn.adapt(model, 32)


def test_a_replaced_module_is_refused_before_anything_changes(resnet: nn.Module) -> None:
    broken = copy.deepcopy(resnet)
    broken.layer2 = nn.Conv2d(5, 5, 3)
    resnet.fc = nn.Sequential(nn.Identity())
    for model, message in (
        (
            broken,
            r"^adapt: ResNet cannot take an image of \(3, 32, 32\): .*; it takes no image of 224, 256, 299 or 384",
        ),
        (
            resnet,
            r"^adapt: expected the last layer of ResNet to be a Linear .* got Conv2d 'layer4.1.conv2' .* by hand$",
        ),
    ):
        before = str(model)
        with pytest.raises(rn.UnsupportedModelError, match=message):
            rn.adapt(model, 32, num_classes=10, inplace=True)
        assert str(model) == before


def test_a_replaced_classifier_does_not_matter_if_the_classes_stay(resnet: nn.Module) -> None:
    resnet.fc = nn.Identity()
    assert stem_of(rn.adapt(resnet, 32)) == SMALL


# --- all or nothing


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def small_resnet() -> nn.Module:
    model = rn.models.ResNet(rn.models.BasicBlock, (1,), (8,), stem="imagenet", num_classes=5)
    model.stem.conv = nn.Conv2d(3, 8, 7, stride=2, padding=3)  # with a bias
    return model


def replace(model: nn.Module, path: str, layer: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, layer)


def set_weight(layer: nn.Module, dtype: torch.dtype) -> None:
    layer.weight = nn.Parameter(torch.zeros(layer.weight.shape, dtype=dtype), requires_grad=False)


CHANGES: dict[str, Callable[[nn.Module, str], object]] = {  # of the layer at a path
    "pruned weight": lambda model, path: prune.l1_unstructured(model.get_submodule(path), "weight", 0.5),
    "pruned bias": lambda model, path: prune.l1_unstructured(model.get_submodule(path), "bias", 0.5),
    "weight norm": lambda model, path: parametrizations.weight_norm(model.get_submodule(path)),
    "spectral norm": lambda model, path: nn.utils.spectral_norm(model.get_submodule(path)),
    "parametrized bias": lambda model, path: parametrize.register_parametrization(
        model.get_submodule(path), "bias", Twice()
    ),
    "complex": lambda model, path: set_weight(model.get_submodule(path), torch.complex64),
    "whole numbers": lambda model, path: set_weight(model.get_submodule(path), torch.int8),
    "another module": lambda model, path: replace(model, path, nn.Identity()),
    "a lazy module": lambda model, path: replace(model, path, nn.LazyLinear(5)),
    "a lock": lambda model, path: setattr(model.get_submodule(path), "lock", threading.Lock()),
    "frozen": lambda model, path: model.get_submodule(path).requires_grad_(False),
    "strange feature_info": lambda model, path: setattr(model, "feature_info", [{"module": path}]),
    "a number that cannot be set": lambda model, path: setattr(model, "__class__", Fixed),
}


class Fixed(rn.models.ResNet):
    @property
    def num_classes(self) -> int:
        return self.fc.out_features


@given(
    changes=st.dictionaries(st.sampled_from(["stem.conv", "fc", "other"]), st.sampled_from(list(CHANGES))),
    stem=st.sampled_from(["auto", "keep", "cifar", "no_pool", "fold"]),
    options=st.fixed_dictionaries(
        {},
        optional={
            "in_channels": st.sampled_from([1, 3, 6, 2**40]),
            "num_classes": st.sampled_from([7, 10**30]),
            "stem_weights": st.sampled_from(["center", "area", "pinv", "fresh"]),
            "channel_weights": st.sampled_from(["sum", "cycle", "zero"]),
        },
    ),
    inplace=st.booleans(),
)
def test_adapt_succeeds_or_raises_and_changes_nothing(
    changes: dict[str, str], stem: str, options: dict[str, object], inplace: bool
) -> None:
    model = small_resnet()
    model.other = nn.Linear(3, 3)
    for path, change in changes.items():
        CHANGES[change](model, path)

    def state() -> list[object]:
        tensors = [t for t in [*model.parameters(), *model.buffers()] if not nn.parameter.is_lazy(t)]
        return [str(model), vars(model).get("feature_info"), [id(t) for t in tensors], [t._version for t in tensors]]

    before, runs = state(), {"frozen", "a lock", "strange feature_info"}.issuperset(changes.values())
    try:
        adapted = rn.adapt(model, 32, stem=stem, inplace=inplace, **options)
    except rn.ResizenetError:
        assert state() == before
        assert changes.values() or not {2**40, 10**30}.isdisjoint(options.values())
        return
    assert (adapted is model) == inplace
    assert inplace or state() == before
    if runs:
        image = torch.rand(2, options.get("in_channels", 3), 32, 32)
        assert adapted(image).shape == (2, options.get("num_classes", 5))


def test_layers_whose_weights_are_computed_are_refused_if_they_are_replaced() -> None:
    """A parametrized bias once failed after half of the changes, and a pruned one in the first forward."""
    for change in ("parametrized bias", "pruned bias"):
        model = small_resnet()
        CHANGES[change](model, "fc")
        before, weight = str(model), model.stem.conv.weight
        message = (
            r"^adapt: expected ResNet\.fc\.bias to be a parameter, but it is computed from other tensors; make it one"
        )
        with pytest.raises(rn.UnsupportedModelError, match=message):
            rn.adapt(model, 32, num_classes=7, inplace=True)
        assert str(model) == before
        assert model.stem.conv.weight is weight
        assert rn.adapt(model, 32, inplace=True)(torch.rand(2, 3, 32, 32)).shape == (2, 5)


def test_numbers_beyond_any_tensor_are_refused() -> None:
    for name in ("in_channels", "num_classes"):
        with pytest.raises(rn.ArgumentError, match=rf"^{name}: expected an int from 1 to 2147483647, got 1000"):
            rn.adapt(small_resnet(), 32, **{name: 10**30})


def test_sharded_models_are_refused(sharded: Callable[[nn.Module], nn.Module]) -> None:
    with pytest.raises(rn.UnsupportedModelError, match=r"^adapt: the parameters of FSDPResNet are sharded; call adapt"):
        rn.adapt(sharded(small_resnet()), 32, inplace=True)


def test_a_model_made_in_inference_mode_becomes_a_normal_copy() -> None:
    with torch.inference_mode():
        model = small_resnet()
    adapted = rn.adapt(model, 32, in_channels=1, num_classes=7)
    adapted(torch.rand(2, 1, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in adapted.parameters())
