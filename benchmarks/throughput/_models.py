"""Our small-image ResNets against those that people use at 32 px: inference and a training step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torchvision
from torch import nn

import resizenet as rn

from ._compare import Candidate, Comparison, Jobs, Setting, installed
from ._peers import HandWrittenResNet18, HandWrittenWideResNet
from ._roofline import inference_work, training_work
from ._timing import DTYPES, compiled, dtypes_of, gradient_norm, inference_call, mode_name, tolerance_of, training_call

_CUDA_BATCH = 512


def _swapped(model: nn.Module) -> nn.Module:
    """Replace the stem as forum answers do; torchvision and timm have no stem for small images."""
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


def _timm_resnet18() -> nn.Module:
    import timm

    return timm.create_model("resnet18", num_classes=10)


# Each network as several libraries make it; ours is the last.
NETWORKS: dict[str, dict[str, Callable[[], nn.Module]]] = {
    "resnet18, small stem": {
        "torchvision, stem swapped": lambda: _swapped(torchvision.models.resnet18(num_classes=10)),
        "timm, stem swapped": lambda: _swapped(_timm_resnet18()),
        "by hand": HandWrittenResNet18,
        "ours": lambda: rn.create_model("resnet18"),
    },
    "wrn_28_10": {
        "by hand": lambda: HandWrittenWideResNet(28, 10),
        "ours": lambda: rn.create_model("wrn_28_10"),
    },
}
_CPU_BATCHES = {"resnet18, small stem": 32, "wrn_28_10": 4}


def with_same_weights(case: str) -> dict[str, nn.Module]:
    """Make a network of every library that is installed, with the same weights."""
    makers = NETWORKS[case].items()
    models = {who: make() for who, make in makers if not who.startswith("timm") or installed("timm")}
    first, *others = (_called_layers(model) for model in models.values())
    for layers in others:
        for source, target in zip(first, layers, strict=True):
            target.load_state_dict(source.state_dict())
    return models


def _called_layers(model: nn.Module) -> list[nn.Module]:
    """Return convolutions, norms and linear layers in the order of a forward pass, the same in all libraries."""
    called: list[nn.Module] = []
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
    hooks = [layer.register_forward_hook(lambda layer, args, output: called.append(layer)) for layer in layers]
    with torch.no_grad():
        model.eval()(torch.rand(2, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    return called


def networks(device: torch.device, setting: Setting, *, train: bool, with_compiled: bool) -> Comparison:
    """Compare inference or a training step, in channels_last."""
    torch.manual_seed(0)
    dtype = DTYPES[setting.dtype]
    place = {"device": device, "dtype": dtype, "memory_format": torch.channels_last}
    models = {who: model.to(**place).train(train) for who, model in with_same_weights(setting.case).items()}
    images = torch.rand(setting.batch, 3, 32, 32).to(**place)
    work = (training_work if train else inference_work)(next(iter(models.values())), images)
    candidates = []
    for who, model in models.items():
        for mode in ("eager", mode_name(device)) if with_compiled else ("eager",):
            variant = model if mode == "eager" else compiled(model, device)
            call = (training_call if train else inference_call)(variant, images)
            answer = gradient_norm(variant, call) if train else None
            roles = {"peer": who != "ours", "baseline": who != "ours" and mode == "eager"}
            candidates.append(Candidate(who, call, mode=mode, layout="channels_last", answer=answer, **roles))
    return Comparison(candidates, tolerance_of(setting.dtype, device), work)


def jobs(device: torch.device, *, quick: bool) -> Jobs:
    """The quick suite has eager mode only, and bf16 only where the device computes in it."""
    dtypes, found = dtypes_of(device)[:2], {}
    for case in NETWORKS:
        batch = _CUDA_BATCH if device.type == "cuda" else _CPU_BATCHES[case]
        for dtype in dtypes[-1:] if quick else dtypes:
            for train in (False, True):
                setting = Setting("training step" if train else "inference", case, dtype, batch)
                found[setting] = partial(networks, device, setting, train=train, with_compiled=not quick)
    return found
