"""Test ``adapt_to_resolution``: statistics against sums by hand, which layers are tuned, and restoring on failure."""

import copy
import io
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import ResNetConfig, ResNetForImageClassification

import resizenet as rn


def network() -> nn.Module:
    torch.manual_seed(1)
    features = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 6, 3)
    return nn.Sequential(*features, nn.BatchNorm2d(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))


def batches(count: int = 3, size: int = 12) -> list[tuple[Tensor, Tensor]]:
    torch.manual_seed(2)
    return [(torch.randn(8 + i, 3, size, size) * (1 + i), torch.randint(5, (8 + i,))) for i in range(count)]


def whole(model: nn.Module) -> dict[str, Any]:
    """Return everything that could be left changed."""
    state: dict[str, Any] = {name: value.clone() for name, value in model.state_dict().items()}
    for name, module in model.named_modules():
        state[f"{name}.training"], state[f"{name}.hooks"] = module.training, len(module._forward_hooks)
        state[f"{name}.momentum"] = getattr(module, "momentum", None)
    for name, parameter in model.named_parameters():
        state[f"{name}.requires_grad"] = parameter.requires_grad
        state[f"{name}.grad"] = None if parameter.grad is None else parameter.grad.clone()
    return state


def differences(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    def equal(a: Any, b: Any) -> bool:
        return torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a is b or a == b

    assert before.keys() == after.keys()
    return {key for key in before if not equal(before[key], after[key])}


def oddly_set(model: nn.Module) -> nn.Module:
    """Set modes, momenta, flags and gradients to other values than the defaults."""
    model.train()
    model[1].eval()
    model[5].momentum = 0.3
    model[8].weight.requires_grad_(False)
    model[0].weight.grad = torch.ones_like(model[0].weight)
    model[8].bias.grad = torch.ones_like(model[8].bias)
    return model


STATISTICS = {f"{norm}.{name}" for norm in (1, 5) for name in ("running_mean", "running_var", "num_batches_tracked")}
HEAD = {"5.weight", "5.bias", "8.weight", "8.bias"}

# --- bn


def test_statistics_are_the_plain_average_over_the_batches() -> None:
    model, seen = network(), batches()
    assert rn.adapt_to_resolution(model, seen) is model
    maps = [model[0](images).detach().double() for images, _ in seen]
    mean = sum(x.mean((0, 2, 3)) for x in maps) / 3
    variance = sum(x.transpose(0, 1).flatten(1).var(1) for x in maps) / 3
    torch.testing.assert_close(model[1].running_mean.double(), mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model[1].running_var.double(), variance, rtol=1e-5, atol=1e-6)
    assert model[1].num_batches_tracked == 3


def test_deeper_statistics_are_of_maps_normalized_by_the_batch_and_without_dropout() -> None:
    model, seen = network(), batches()
    rn.adapt_to_resolution(model, seen)
    normalized = [F.batch_norm(model[0](x), None, None, model[1].weight, model[1].bias, training=True) for x, _ in seen]
    maps = [model[4](x.relu()).detach() for x in normalized]
    torch.testing.assert_close(model[5].running_mean, sum(x.mean((0, 2, 3)) for x in maps) / 3, rtol=1e-4, atol=1e-5)


def test_only_statistics_change() -> None:
    model = oddly_set(network())
    before = whole(model)
    rn.adapt_to_resolution(model, batches())
    assert differences(before, whole(model)) == STATISTICS


def test_old_statistics_do_not_contribute() -> None:
    fresh, used = network(), network()
    for _ in range(5):
        used(100 + torch.randn(4, 3, 12, 12))
    for model in (fresh, used):
        rn.adapt_to_resolution(model, batches())
    assert differences(whole(fresh), whole(used)) == set()


@pytest.mark.parametrize(
    "kind", [lambda pairs: [images for images, _ in pairs], lambda pairs: [[*pair, "name"] for pair in pairs], iter]
)
def test_batches_may_be_tensors_longer_lists_or_an_iterator(kind: Callable[[Any], Any]) -> None:
    plain, other = network(), network()
    rn.adapt_to_resolution(plain, batches())
    rn.adapt_to_resolution(other, kind(batches()))
    assert differences(whole(plain), whole(other)) == set()


def test_at_most_num_batches_are_drawn() -> None:
    drawn = []

    def many() -> Iterator[Tensor]:
        for i in range(50):
            drawn.append(i)
            yield torch.randn(4, 3, 8, 8)

    model = rn.adapt_to_resolution(network(), many(), num_batches=7)
    assert (len(drawn), model[1].num_batches_tracked.item()) == (7, 7)


def test_maps_are_normalized_again_on_images_of_another_contrast() -> None:
    model = network().eval()
    images = torch.cat([3 + 5 * images for images, _ in batches()])
    features = nn.Sequential(*model[:6])
    features[5].reset_parameters()

    def off() -> float:
        return (features(images).var((0, 2, 3)) - 1).abs().max().item()

    before = off()
    rn.adapt_to_resolution(model, [images])
    assert off() < 0.05 < before


def test_models_of_torchvision_timm_and_ours_work_under_no_grad() -> None:
    timm = pytest.importorskip("timm")
    for model in (
        torchvision.models.resnet18(num_classes=5),
        timm.create_model("test_resnet", num_classes=5),
        rn.Resizer(32).wrap(rn.create_model("resnet20")),
    ):
        with torch.no_grad():
            assert rn.adapt_to_resolution(model, batches(2, size=40), mode="bn+head") is model


class WithAnExtraHead(nn.Module):
    """A head that is for training only, as in GoogLeNet and Inception, with statistics that were trained."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.extra = network(), nn.BatchNorm2d(4)
        self.extra.running_mean.fill_(3.0)
        self.extra.running_var.fill_(5.0)
        self.extra.num_batches_tracked.fill_(7)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.extra(self.body[0](x))
        return self.body(x)


@pytest.mark.parametrize("mode", ["bn", "bn+head"])
def test_norms_that_are_not_called_keep_their_statistics(mode: str) -> None:
    model = rn.adapt_to_resolution(WithAnExtraHead(), batches(), mode=mode)
    assert model.extra.running_mean.tolist() == [3.0] * 4
    assert model.extra.running_var.tolist() == [5.0] * 4
    assert model.extra.num_batches_tracked == 7
    assert model.body[1].num_batches_tracked == 3


def test_the_auxiliary_heads_of_googlenet_keep_their_statistics() -> None:
    model = torchvision.models.GoogLeNet(num_classes=5, init_weights=False)
    model(torch.rand(2, 3, 64, 64))
    before = copy.deepcopy(model.state_dict())
    rn.adapt_to_resolution(model, batches(1, size=64))
    kept = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
    assert {name for name in before if "aux" in name and ("running" in name or "tracked" in name)} <= kept
    assert "conv1.bn.running_mean" not in kept


@pytest.mark.parametrize("mode", ["bn", "bn+head"])
def test_a_model_that_calls_no_norm_is_refused(mode: str) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 5))
    model[1].register_module("idle", nn.BatchNorm2d(4))
    before = whole(model)
    with pytest.raises(
        rn.UnsupportedModelError,
        match=r"^adapt_to_resolution: Sequential calls no BatchNorm on these images, so there is nothing to recal",
    ):
        rn.adapt_to_resolution(model, batches(), mode=mode)
    assert differences(before, whole(model)) == set()


# --- bn+head


def test_only_the_head_and_the_last_norm_are_tuned() -> None:
    model = oddly_set(network())
    before = whole(model)
    rn.adapt_to_resolution(model, batches(), mode="bn+head")
    assert differences(before, whole(model)) == STATISTICS | HEAD


def test_tuning_does_not_change_the_statistics() -> None:
    plain, tuned = (rn.adapt_to_resolution(network(), batches(), mode=mode) for mode in ("bn", "bn+head"))
    assert differences(whole(plain), whole(tuned)) == HEAD


def test_the_tuned_head_fits_better() -> None:
    seen = batches(1)
    images, labels = seen[0]

    def loss(model: nn.Module) -> float:
        return F.cross_entropy(model.eval()(images), labels).item()

    plain = rn.adapt_to_resolution(network(), seen)
    tuned = rn.adapt_to_resolution(network(), seen * 50, mode="bn+head")
    assert loss(tuned) < 0.9 * loss(plain)


def test_the_last_norm_is_the_one_called_last() -> None:
    class Crossed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.late = nn.Linear(4, 5), nn.BatchNorm2d(4)
            self.early, self.conv = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.late(self.conv(self.early(x))).relu().mean((2, 3)))

    model = Crossed()
    before = whole(model)
    rn.adapt_to_resolution(model, batches(), mode="bn+head")
    changed = {name for name in differences(before, whole(model)) if "running" not in name and "num" not in name}
    assert changed == {"late.weight", "late.bias", "fc.weight", "fc.bias"}


# --- failures


class Interrupting(list):  # type: ignore[type-arg]
    """Raises before the last batch of the given pass."""

    def __init__(self, error: BaseException, passes: int) -> None:
        super().__init__(batches())
        self.error, self.passes = error, passes

    def __iter__(self) -> Iterator[Any]:
        self.passes -= 1
        for i in range(len(self)):
            if i == len(self) - 1 and self.passes == 0:
                raise self.error
            yield self[i]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of memory"), SystemExit()])
@pytest.mark.parametrize(("mode", "passes"), [("bn", 1), ("bn+head", 1), ("bn+head", 2)])
def test_on_failure_or_interruption_the_model_is_restored(error: BaseException, mode: str, passes: int) -> None:
    model = oddly_set(network())
    before = whole(model)
    with pytest.raises(type(error)):
        rn.adapt_to_resolution(model, Interrupting(error, passes), mode=mode)
    assert differences(before, whole(model)) == set()


@pytest.mark.parametrize(("images", "labels"), [("pixel_values", "labels"), ("image", "label"), ("x", "labels")])
def test_dicts_give_what_tuples_give(images: str, labels: str) -> None:
    given, dicts = batches(), [{"id": 3, labels: second, images: first} for first, second in batches()]
    expected = rn.adapt_to_resolution(network(), given, mode="bn+head")
    found = rn.adapt_to_resolution(network(), dicts, mode="bn+head")
    torch.testing.assert_close(found.state_dict(), expected.state_dict(), rtol=0, atol=0)


def test_the_head_of_a_model_of_transformers_is_tuned() -> None:
    config = ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic", num_labels=5)
    model = ResNetForImageClassification(config)
    before = model.classifier[1].weight.detach().clone()
    data = [{"pixel_values": torch.rand(8, 3, 32, 32), "labels": torch.arange(8) % 5}]
    rn.adapt_to_resolution(model, data, mode="bn+head")
    assert not torch.equal(model.classifier[1].weight, before)


def test_the_model_is_restored_after_a_batch_that_it_cannot_take() -> None:
    model = oddly_set(network())
    before = whole(model)
    expected = (
        r"batches: expected images that Sequential can take, got torch.float32 of shape \(2, 1, 8, 8\): .*channels"
    )
    with pytest.raises(rn.ArgumentError, match=expected):
        rn.adapt_to_resolution(model, [*batches(), torch.randn(2, 1, 8, 8)])
    assert differences(before, whole(model)) == set()


IMAGES, LABELS = batches()[0]
HEAD_ONLY = {"mode": "bn+head"}
MISTAKES: dict[str, tuple[Any, dict[str, object], type[Exception], str]] = {
    "no batches": ([], {}, rn.ArgumentError, r"batches: expected at least one batch, got none"),
    "an iterator for two passes": (
        iter([(IMAGES, LABELS)]),
        HEAD_ONLY,
        rn.ArgumentError,
        r"got none; .* iterates twice",
    ),
    "no labels": (
        [IMAGES],
        HEAD_ONLY,
        rn.ArgumentError,
        r"batches: expected \(images, labels\) or dicts .* for mode=.bn\+head., got Tensor without labels",
    ),
    "a tuple of one": ([(IMAGES,)], HEAD_ONLY, rn.ArgumentError, r"got tuple without labels"),
    "labels of another type": ([(IMAGES, "cat")], HEAD_ONLY, rn.ArgumentError, r"got tuple without labels"),
    "a dict without images": (
        [{"picture": IMAGES}],
        {},
        rn.ArgumentError,
        r"expected tensors, .* or dicts with images under one of .*, got dict with the keys \['picture'\]",
    ),
    "a dict without labels": ([{"image": IMAGES}], HEAD_ONLY, rn.ArgumentError, r"got dict .* without labels"),
    "an empty tuple": ([()], {}, rn.ArgumentError, r"batches: expected tensors, \(images, labels\) or .*, got tuple"),
    "mode": ([IMAGES], {"mode": "head"}, rn.UnknownNameError, r"mode: expected one of 'bn', 'bn\+head', got 'head'"),
    "num_batches": ([IMAGES], {"num_batches": 0}, rn.ArgumentError, r"num_batches: expected a positive int, got 0"),
    "a number": (5, {}, rn.ArgumentError, r"batches: expected an iterable of batches, got int"),
    "one batch": (IMAGES, {}, rn.ArgumentError, r"batches: expected an iterable of batches, got Tensor"),
    "labels out of range": (
        [(IMAGES, LABELS + 5)],
        HEAD_ONLY,
        rn.ArgumentError,
        r"batches: expected labels for logits of shape \(8, 5\), got torch.int64 of shape \(8,\): Target",
    ),
    "labels of another number": (
        [(IMAGES, LABELS[1:])],
        HEAD_ONLY,
        rn.ArgumentError,
        r"got torch.int64 of shape \(7,\):",
    ),
}


def test_one_value_per_group_is_a_mistake_of_the_batch_and_not_an_error_of_torch() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.GroupNorm(4, 4))
    with pytest.raises(rn.ArgumentError, match=r"shape \(1, 3, 8, 8\): Expected more than 1 value per channel"):
        rn.adapt_to_resolution(model, [torch.rand(1, 3, 8, 8)])


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_raise_and_change_nothing(mistake: str) -> None:
    given, options, error, message = MISTAKES[mistake]
    model = oddly_set(network())
    before = whole(model)
    with pytest.raises(error, match=message) as caught:
        rn.adapt_to_resolution(model, given, **options)
    assert type(caught.value) is error
    assert differences(before, whole(model)) == set()


@pytest.mark.parametrize(
    "model",
    [nn.Sequential(nn.Conv2d(3, 5, 3)), nn.BatchNorm2d(3, track_running_stats=False), nn.GroupNorm(1, 3)],
    ids=lambda m: type(m).__name__,
)
def test_models_without_running_statistics_are_refused(model: nn.Module) -> None:
    message = rf"{type(model).__name__} has no BatchNorm with running statistics, so .*; fine-tune it instead"
    with pytest.raises(rn.UnsupportedModelError, match=message):
        rn.adapt_to_resolution(model, batches())


def test_a_model_that_does_not_end_with_a_linear_layer_has_no_head() -> None:
    model = network()[:7]
    before = whole(model)
    message = r"mode=.bn\+head. needs a model that ends with a Linear, and Sequential does not; use mode=.bn."
    with pytest.raises(rn.UnsupportedModelError, match=message):
        rn.adapt_to_resolution(model, batches(), mode="bn+head")
    assert differences(before, whole(model)) == set()


@pytest.mark.parametrize("num_batches", [3, sys.maxsize, 10**30])
@pytest.mark.parametrize("kind", [list, iter])
def test_more_batches_than_there_are_may_be_requested(num_batches: int, kind: Callable[[Any], Any]) -> None:
    model = rn.adapt_to_resolution(network(), kind(batches()), num_batches=num_batches)
    assert model[1].num_batches_tracked == 3


def without_values() -> nn.Module:
    with torch.device("meta"):
        return network()


def made_in_inference_mode() -> nn.Module:
    with torch.inference_mode():
        return network()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: "resnet18", r"expected a model that is a torch.nn.Module, got 'resnet18'"),
        (lambda: nn.Sequential(nn.LazyBatchNorm2d(), nn.Flatten()), r"Sequential has lazy modules, .*; call it once"),
        (without_values, r"the tensors of Sequential have no values \(meta device\)"),
        (
            made_in_inference_mode,
            r"the tensors of Sequential were made in inference mode and cannot be changed; use copy.deepcopy\(model\)",
        ),
    ],
)
@pytest.mark.parametrize("mode", ["bn", "bn+head"])
def test_models_that_cannot_be_changed_are_refused(make: Callable[[], nn.Module], message: str, mode: str) -> None:
    with pytest.raises(rn.UnsupportedModelError, match=f"^adapt_to_resolution: {message}"):
        rn.adapt_to_resolution(make(), batches(), mode=mode)


def test_a_copy_of_a_model_made_in_inference_mode_can_be_changed() -> None:
    plain, copied = network(), copy.deepcopy(made_in_inference_mode())
    for model in (plain, copied):
        rn.adapt_to_resolution(model, batches(), mode="bn+head")
    assert differences(whole(plain), whole(copied)) == set()


def test_the_mode_of_torch_does_not_matter() -> None:
    plain, other = network(), network()
    rn.adapt_to_resolution(plain, batches(), mode="bn+head")
    with torch.inference_mode():
        rn.adapt_to_resolution(other, batches(), mode="bn+head")
    assert differences(whole(plain), whole(other)) == set()


def test_sharded_models_are_adapted_without_their_head(sharded: Callable[[nn.Module], nn.Module]) -> None:
    plain, other = network(), sharded(network())
    for model in (plain, other):
        rn.adapt_to_resolution(model, batches())
    for name in STATISTICS:
        torch.testing.assert_close(other.state_dict()[name], plain.state_dict()[name])
    with pytest.raises(rn.UnsupportedModelError, match=r"^adapt_to_resolution: the parameters of .* are sharded; call"):
        rn.adapt_to_resolution(other, batches(), mode="bn+head")


NONSENSE = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.binary(max_size=3)),
    st.sampled_from([IMAGES, IMAGES.numpy(), LABELS, nn.Identity, {}, [IMAGES], [(IMAGES, LABELS)], iter([])]),
)


@given(
    model=NONSENSE | st.builds(network) | st.sampled_from([nn.Identity(), nn.BatchNorm2d(3), nn.LazyBatchNorm2d()]),
    values=NONSENSE | st.lists(NONSENSE | st.tuples(st.just(IMAGES), NONSENSE), max_size=2),
    mode=st.sampled_from(["bn", "bn+head"]) | NONSENSE,
    num_batches=st.integers(1, 10**40) | NONSENSE,
)
def test_nonsense_raises_an_error_of_the_library(model: Any, values: Any, mode: Any, num_batches: Any) -> None:
    before = whole(model) if type(model) is nn.Sequential else {}
    try:
        assert rn.adapt_to_resolution(model, values, mode=mode, num_batches=num_batches) is model
    except rn.ResizenetError:
        assert differences(before, whole(model) if before else {}) == set()


# --- progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def use_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Replace standard error by a terminal; not a fixture, because pytest replaces it again when the test begins."""
    pytest.importorskip("rich")
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def test_a_terminal_shows_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = use_terminal(monkeypatch)
    rn.adapt_to_resolution(network(), batches())
    assert "BatchNorm" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_a_failure_ends_the_progress_bar_while_its_traceback_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    use_terminal(monkeypatch)
    threads = set(threading.enumerate())
    with pytest.raises(rn.ArgumentError, match="channels") as held:
        rn.adapt_to_resolution(network(), [*batches(), torch.randn(2, 1, 8, 8)])
    assert held.value.__traceback__
    started = set(threading.enumerate()) - threads
    for thread in started:
        thread.join(timeout=5)  # rich tells its thread to end and does not wait for it
    assert not any(thread.is_alive() for thread in started)


def test_nothing_is_printed_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    rn.adapt_to_resolution(network(), batches(), mode="bn+head")
    assert capfd.readouterr() == ("", "")


def test_rich_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, other = network(), network()
    rn.adapt_to_resolution(plain, batches())
    monkeypatch.setitem(sys.modules, "rich.console", None)  # importing it raises ImportError
    rn.adapt_to_resolution(other, batches())
    assert differences(whole(plain), whole(other)) == set()
