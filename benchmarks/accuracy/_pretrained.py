"""Pretrained weights at 32 px: native, upscaled, adapted and folded, with frozen features and with fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from torch import nn

from resizenet.functional import fold_upscale
from resizenet.transforms import NativePolicy

from ._data import ImageData, load_cifar10
from ._experiment import Arm, Experiment
from ._networks import train_in_float32
from ._train import Recipe
from ._transfer import LiteFeatures, backbone, extract

Features = Callable[[], LiteFeatures]


def _strided(model: LiteFeatures) -> list[nn.Conv2d]:
    """Return the convolutions that halve the map, first to last; they pad in a module of their own."""
    return [layer for layer in model.modules() if isinstance(layer, nn.Conv2d) and layer.stride[0] == 2]


def native() -> LiteFeatures:
    """Return the network as it is: output stride 32."""
    return LiteFeatures()


def adapted(output_stride: int = 8) -> LiteFeatures:
    """Return the network with the first strides taken out; its weights are unchanged.

    ``adapt`` refuses this network, because the padding of its convolutions depends on their stride.
    """
    model = LiteFeatures()
    halvings = _strided(model)
    for layer in halvings[: len(halvings) - (output_stride.bit_length() - 1)]:
        margin = layer.kernel_size[0] // 2
        layer.stride, layer.static_padding = (1, 1), nn.ZeroPad2d(margin)
    return model


def folded() -> LiteFeatures:
    """Return the network whose first convolution computes what it would compute on images upscaled by 2."""
    model = LiteFeatures()
    first = _strided(model)[0]
    # TensorFlow's "SAME" padding of 3x3 with stride 2 is one pixel below and to the right, and none above.
    weight = fold_upscale(first.weight.detach(), scale=2, stride=2, padding=0)
    first.weight, first.stride, first.static_padding = nn.Parameter(weight), (1, 1), nn.ReplicationPad2d(1)
    return model


def classifier(make: Features) -> nn.Module:
    """Return the network with a new linear layer for ten classes.

    The package's BatchNorm averages its statistics over hundreds of steps. Two epochs do not have so many, so the
    momentum is torch's default.
    """
    features = make()
    for layer in features.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.1
    train_in_float32(features, lambda layer: layer.groups > 1 and (layer.kernel_size[0] > 3 or layer.stride[0] > 1))
    return nn.Sequential(features, nn.Linear(1280, 10))


WAYS: dict[str, tuple[Features, int | None]] = {
    "native, 32 px": (native, None),
    "upscaled to 64 px": (native, 64),
    "upscaled to 128 px": (native, 128),
    "adapted to output stride 8, 32 px": (adapted, None),
    "folded, 32 px": (folded, None),
    "folded, upscaled to 64 px": (folded, 64),
}
RATES = (0.007, 0.02, 0.06)
CHOSEN = dict.fromkeys(WAYS, 0.02)  # the best of RATES by the version "rates"


def _load(path: Path, *, train: slice = slice(None), test: slice = slice(None)) -> ImageData:
    """Return CIFAR-10, or a part of it, normalized for the network."""
    mean, std = LiteFeatures.mean_and_std
    return replace(load_cifar10(path, train=train, test=test), mean=mean, std=std)


def _load_validation(path: Path) -> ImageData:
    """Return 2,560 of the training images, and the last 1,000 in place of the test images."""
    data = _load(path, test=slice(0))
    x, y = data.x_train, data.y_train
    return replace(data, x_train=x[:2560], y_train=y[:2560], x_test=x[-1000:], y_test=y[-1000:])


def _tuned(way: str, rate: float) -> Arm:
    make, upscale = WAYS[way]
    return Arm(partial(classifier, make), {"lr": rate, "upscale": upscale})


def _frozen(way: str) -> Arm:
    make, upscale = WAYS[way]
    prepare = cache(partial(extract, make, upscale))
    return Arm(partial(nn.Linear, 1280, 10), {"upscale": upscale}, prepare, counted=partial(backbone, make))


_FINE_TUNING = Experiment(
    question="Pretrained weights at 32 px: native, upscaled, adapted or folded, after two epochs of fine-tuning?",
    arms={way: _tuned(way, CHOSEN[way]) for way in WAYS},
    epochs=2,
    reference="native, 32 px",
    load=_load,
    recipe=Recipe(policy=NativePolicy(32).to_dict(), batch_size=64),
)
ADAPT_PRETRAINED = {
    "full": _FINE_TUNING,
    "small": replace(
        _FINE_TUNING,
        load=partial(_load, train=slice(10_000), test=slice(5000)),
        left_out="all but the first 10,000 training and 5,000 test images",
    ),
    "rates": replace(
        _FINE_TUNING,
        question="Which learning rate does each way need?",
        arms={f"{way}, lr {rate:g}": _tuned(way, rate) for way in WAYS for rate in RATES},
        seeds=1,
        reference=None,
        load=_load_validation,
        left_out="all but 2,560 training images; the accuracy is that on 1,000 other training images",
    ),
}

_FROZEN = Experiment(
    question="Pretrained weights at 32 px: native, upscaled, adapted or folded, with frozen features?",
    arms={way: _frozen(way) for way in WAYS},
    epochs=20,
    reference="native, 32 px",
    load=_load,
    recipe=Recipe(lr=0.02, policy=None, weight_decay=1e-3, label_smoothing=0.0),
)
ADAPT_FEATURES = {
    "full": _FROZEN,
    "small": replace(
        _FROZEN,
        load=partial(_load, train=slice(10_000)),
        left_out="all but the first 10,000 training images",
    ),
}
