"""Our small-image ResNets against those that people use at 32 px: inference and a training step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torchvision
from torch import nn

import resizenet as rn

from ._paired import Bench, Candidate, Jobs, Row, Setting, installed
from ._peers import HandWrittenResNet18, HandWrittenWideResNet
from ._roofline import inference_work, training_work
from ._timing import DTYPES, compiled, dtypes_of, gradient_norm, inference_call, mode_name, tolerance_of, training_call

_CUDA_BATCH = 512


def _swapped(model: nn.Module) -> nn.Module:
    """With the stem that forum answers swap in; timm has none of its own for small images either."""
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


def _timm_resnet18() -> nn.Module:
    import timm

    return timm.create_model("resnet18", num_classes=10)


@dataclass(frozen=True)
class Network:
    """One network as several libraries have it.

    Attributes:
        ours: makes ours.
        peers: name -> what makes it, and the package it needs, if that is an optional one.
        cpu_batch: images on a CPU.
    """

    ours: Callable[[], nn.Module]
    peers: dict[str, tuple[Callable[[], nn.Module], str | None]]
    cpu_batch: int


NETWORKS = {
    "resnet18, small stem": Network(
        ours=lambda: rn.create_model("resnet18"),
        peers={
            "torchvision, stem swapped": (lambda: _swapped(torchvision.models.resnet18(num_classes=10)), None),
            "timm, stem swapped": (lambda: _swapped(_timm_resnet18()), "timm"),
            "by hand": (HandWrittenResNet18, None),
        },
        cpu_batch=32,
    ),
    "wrn_28_10": Network(
        ours=lambda: rn.create_model("wrn_28_10"),
        peers={"by hand": (lambda: HandWrittenWideResNet(28, 10), None)},
        cpu_batch=4,
    ),
}


def with_same_weights(network: Network) -> dict[str, nn.Module]:
    """The peers that are installed, and ours."""
    models = {who: make() for who, (make, package) in network.peers.items() if package is None or installed(package)}
    models["ours"] = network.ours()
    first, *others = models.values()
    images = torch.rand(2, 3, 32, 32)
    for other in others:
        _copy_weights(first, other, images)
    return models


def _copy_weights(source: nn.Module, target: nn.Module, images: torch.Tensor) -> None:
    """Layer by layer in the order in which each model calls them, which is the same in all."""
    for theirs, mine in zip(_called_layers(source, images), _called_layers(target, images), strict=True):
        mine.load_state_dict(theirs.state_dict())


def _called_layers(model: nn.Module, images: torch.Tensor) -> list[nn.Module]:
    """Convolutions, norms and linear layers in the order of a forward pass."""
    called: list[nn.Module] = []
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
    hooks = [layer.register_forward_hook(lambda layer, args, output: called.append(layer)) for layer in layers]
    with torch.no_grad():
        model.eval()(images)
    for hook in hooks:
        hook.remove()
    return called


def rows(bench: Bench, case: str, dtype: str, batch: int, *, train: bool, compiled_too: bool) -> list[Row]:
    """Inference or a training step of a network, channels_last."""
    torch.manual_seed(0)
    place = {"device": bench.device, "dtype": DTYPES[dtype], "memory_format": torch.channels_last}
    models = {who: model.to(**place).train(train) for who, model in with_same_weights(NETWORKS[case]).items()}
    images = torch.rand(batch, 3, 32, 32).to(**place)
    work = (training_work if train else inference_work)(next(iter(models.values())), images)
    candidates = []
    for who, model in models.items():
        for mode in ("eager", mode_name(bench.device)) if compiled_too else ("eager",):
            variant = model if mode == "eager" else compiled(model, bench.device)
            call = (training_call if train else inference_call)(variant, images)
            answer = gradient_norm(variant, call) if train else None
            peer = who != "ours"
            candidates.append(
                Candidate(who, call, mode, "channels_last", peer=peer, baseline=peer and mode == "eager", answer=answer)
            )
    return bench.rows(
        _setting(case, dtype, batch, train), candidates, tolerance=tolerance_of(dtype, bench.device), work=work
    )


def _setting(case: str, dtype: str, batch: int, train: bool) -> Setting:
    return Setting("training step" if train else "inference", case, dtype, batch)


def jobs(bench: Bench, quick: bool) -> Jobs:
    """``quick`` is in eager mode only, and in bf16 where the device computes in it."""
    dtypes = dtypes_of(bench.device)[:2]
    found: Jobs = {}
    for case, network in NETWORKS.items():
        batch = _CUDA_BATCH if bench.device.type == "cuda" else network.cpu_batch
        for dtype in dtypes[-1:] if quick else dtypes:
            for train in (False, True):
                found[_setting(case, dtype, batch, train).title] = partial(
                    rows, bench, case, dtype, batch, train=train, compiled_too=not quick
                )
    return found
