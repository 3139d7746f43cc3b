"""Networks of other families from scratch at 32 px, as they are and adapted, at a reduced width."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn
from torchvision import models
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.efficientnet import EfficientNet, MBConvConfig
from torchvision.models.regnet import BlockParams, RegNet

import resizenet as rn

from ._data import load_cifar10
from ._experiment import Arm, Experiment
from ._networks import train_in_float32
from ._train import Recipe

_B0 = [  # expansion, kernel, stride, channels before and after, layers: Tan and Le 2019, table 1
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
]


def efficientnet_b0(width: float) -> nn.Module:
    """Return an EfficientNet-B0 of another width.

    The classifier gets torch's initial weights. Those of torchvision have a range of 1 / sqrt(classes), which is too
    wide for 10 classes: the first logits have a standard deviation of 5.
    """
    blocks = [MBConvConfig(*block, width_mult=width, depth_mult=1.0) for block in _B0]
    model = EfficientNet(blocks, dropout=0.2, num_classes=10, last_channel=1280)
    model.classifier[-1].reset_parameters()
    return model


def convnext_tiny(width: int) -> nn.Module:
    """Return a ConvNeXt-T; ``width`` is 96 in the paper."""
    widths = [width * 2**stage for stage in range(4)]
    blocks = [CNBlockConfig(*stage) for stage in zip(widths, [*widths[1:], None], (3, 3, 9, 3), strict=True)]
    return ConvNeXt(blocks, stochastic_depth_prob=0.1, num_classes=10)


def regnet_x_200mf() -> nn.Module:
    """Return a RegNetX-200MF (Radosavovic et al. 2020, table 5), which torchvision does not name."""
    params = BlockParams.from_init_params(depth=13, w_0=24, w_a=36.44, w_m=2.49, group_width=8)
    return RegNet(params, num_classes=10)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "MobileNetV2, quarter width": lambda: models.mobilenet_v2(width_mult=0.25, num_classes=10),
    "ShuffleNetV2 x0.5": lambda: models.shufflenet_v2_x0_5(num_classes=10),
    "EfficientNet-B0, quarter width": lambda: efficientnet_b0(0.25),
    "ConvNeXt-T, quarter width": lambda: convnext_tiny(24),
    "RegNetX-200MF": regnet_x_200mf,
}


def _is_depthwise(layer: nn.Conv2d) -> bool:
    return 1 < layer.groups == layer.in_channels


def _as_it_is(make: Callable[[], nn.Module]) -> nn.Module:
    return train_in_float32(make(), _is_depthwise)


def _adapted(make: Callable[[], nn.Module]) -> nn.Module:
    return train_in_float32(rn.adapt(make(), 32), _is_depthwise)


def _arms() -> dict[str, Arm]:
    arms = {}
    for name, make in NETWORKS.items():
        arms[f"{name}, as it is"] = Arm(partial(_as_it_is, make))
        arms[f"{name}, adapted"] = Arm(partial(_adapted, make))
    return arms


ADAPT_FAMILIES = {
    "small": Experiment(
        question="Networks of other families from scratch at 32 px: as they are, or adapted?",
        arms=_arms(),
        epochs=8,
        seeds=2,
        load=partial(load_cifar10, train=slice(10_000)),
        recipe=Recipe(lr=0.02, batch_size=64),
        left_out="all but the first 10,000 training images, and networks of full width; the learning rate is the same "
        "for all and was not tuned",
    )
}
