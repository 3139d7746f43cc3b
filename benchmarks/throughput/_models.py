"""Our small-image ResNets against what people write by hand: inference and a training step."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torchvision
from torch import nn

import resizenet as rn

from ._peers import HandWrittenWideResNet, check_equal
from ._timing import alternate, inference_call, summary, training_call


def _swapped_resnet18() -> nn.Module:
    """torchvision's, with the stem that forum answers swap in."""
    model = torchvision.models.resnet18(num_classes=10)
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


PAIRS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], int]] = {  # the peer, ours, the batch on a CPU
    "resnet18, small stem": (_swapped_resnet18, lambda: rn.create_model("resnet18"), 32),
    "wrn_28_10": (lambda: HandWrittenWideResNet(28, 10), lambda: rn.create_model("wrn_28_10"), 4),
}


def _pair(case: str) -> dict[str, nn.Module]:
    """The peer and ours with the same weights, checked to give the same logits."""
    make_peer, make_ours, _ = PAIRS[case]
    peer, ours = make_peer(), make_ours()
    images = torch.rand(2, 3, 32, 32)
    _copy_weights(peer, ours, images)
    check_equal(peer.eval(), ours.eval(), images, 1e-4)
    return {"by hand": peer, "ours": ours}


def _copy_weights(peer: nn.Module, ours: nn.Module, images: torch.Tensor) -> None:
    """Layer by layer in the order in which each model calls them, which is the same in both."""
    for theirs, mine in zip(_called_layers(peer, images), _called_layers(ours, images), strict=True):
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


def suite(device: torch.device, quick: bool) -> list[dict[str, object]]:
    """All rows, channels_last; on a GPU with batches of 512 and bf16 only in the quick suite."""
    rows = []
    for case, (_, _, cpu_batch) in PAIRS.items():
        batch = 512 if device.type == "cuda" else cpu_batch
        for dtype in (torch.bfloat16,) if quick else (torch.float32, torch.bfloat16):
            torch.manual_seed(0)
            models = {who: model.to(device, dtype, memory_format=torch.channels_last) for who, model in _pair(case).items()}
            images = torch.rand(batch, 3, 32, 32).to(device, dtype).contiguous(memory_format=torch.channels_last)
            for task, make_call in {"inference": inference_call, "training step": training_call}.items():
                for model in models.values():
                    model.train(task != "inference")
                calls = {who: make_call(model, images) for who, model in models.items()}
                seconds = alternate(calls, device, rounds=7 if quick else 15)
                common = {"task": task, "case": case, "dtype": str(dtype).partition(".")[2], "batch": batch, "mode": "eager", "layout": "channels_last"}
                rows += [{**common, "who": who, "peer": who == "by hand", **summary(seconds[who])} for who in calls]
    return rows
