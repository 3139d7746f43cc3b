"""The learned resizer against a plain port of the published network, by itself and in front of a backbone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache, partial

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

import resizenet as rn

from ._compare import Candidate, Comparison, Jobs, Setting, difference
from ._peers import paired_resizers
from ._roofline import inference_work, training_work
from ._timing import (
    DTYPES,
    LAYOUTS,
    compiled,
    dtypes_of,
    gradient_norm,
    inference_call,
    mode_name,
    tolerance_of,
    training_call,
)

_EXACT = 1e-4
_DEEP = 4  # multiplies the tolerance of a gradient behind a network, whose layers add to the rounding

Make = Callable[[], nn.Module]


@dataclass(frozen=True)
class Case:
    """Images of ``size`` resized to ``target`` px, in inference or in training."""

    size: tuple[int, int]
    target: int
    batch: int
    dtype: str
    train: bool = False

    def setting(self, network: str = "") -> Setting:
        """Return the setting of the resizer alone, or in front of a network."""
        task = "training step" if self.train else "inference"
        case = f"{self.size[0]}x{self.size[1]} -> {self.target}"
        return Setting(f"{network}, {task}" if network else task, case, self.dtype, self.batch)

    def images(self, device: torch.device, layout: str) -> Tensor:
        """(batch, 3, *size), random."""
        images = torch.rand(self.batch, 3, *self.size).to(device, DTYPES[self.dtype])
        return images.contiguous(memory_format=LAYOUTS[layout])

    def place(self, model: nn.Module, device: torch.device, layout: str) -> nn.Module:
        """Move a model to where its images are, in training or evaluation mode."""
        return model.to(device, DTYPES[self.dtype], memory_format=LAYOUTS[layout]).train(self.train)


def resizers(case: Case, device: torch.device, layout: str) -> dict[str, Make]:
    """Return what makes the port and ours, with the same weights; the Triton kernels are for CUDA only."""
    port, plain = paired_resizers(case.target)

    def training(**options: object) -> nn.Module:
        model = rn.Resizer.paper(case.target, **options)
        model.load_state_dict(plain.state_dict())
        return model

    makers: dict[str, Make] = {"port": lambda: copy.deepcopy(port)}
    if case.train:
        makers["ours"] = lambda: training(kernels="never")
        makers["ours, checkpoint"] = lambda: training(kernels="never", checkpoint=True)
        makers["ours, kernels"] = lambda: training(kernels="always")
    else:
        makers["ours"] = lambda: copy.deepcopy(plain)
        makers["ours, fused"] = lambda: copy.deepcopy(plain).eval().fuse(kernels="never")
        makers["ours, fused, kernels"] = lambda: copy.deepcopy(plain).eval().fuse(kernels="always")
    if device.type != "cuda":
        del makers[list(makers)[-1]]
    return {who: lambda make=make: case.place(make(), device, layout) for who, make in makers.items()}


def candidate(who: str, make: Make, images: Tensor, *, train: bool, **options: object) -> Candidate:
    """Return a candidate whose model is made at the first call, so that a failure is the candidate's own."""

    @cache
    def calls() -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
        model = make()
        call = (training_call if train else inference_call)(model, images)
        return call, gradient_norm(model, call) if train else call

    return Candidate(who, lambda: calls()[0](), answer=lambda: calls()[1](), **options)


def alone(
    device: torch.device,
    case: Case,
    *,
    layouts: Collection[str] = tuple(LAYOUTS),
    compiled_layouts: Collection[str] = tuple(LAYOUTS),
) -> Comparison:
    """Compare the resizers, eager and compiled; checkpointing and kernels are for eager mode only."""
    torch.manual_seed(0)
    if not case.train:
        check_exactly(case.target, case.size, device)
    candidates = []
    for layout in layouts:
        torch.manual_seed(1)  # the same weights and images in every layout
        images = case.images(device, layout)
        makers = resizers(case, device, layout)
        work = (training_work if case.train else inference_work)(makers["port"](), images)
        for who, make in makers.items():
            modes = {"eager": make}
            if layout in compiled_layouts and not who.endswith(("checkpoint", "kernels")):
                modes[mode_name(device)] = lambda make=make: compiled(make(), device)
            for mode, variant in modes.items():
                roles = {"peer": who == "port", "baseline": who == "port" and mode == "eager"}
                found = candidate(who, variant, images, train=case.train, mode=mode, layout=layout, **roles)
                candidates.append(found)
    return Comparison(candidates, tolerance_of(case.dtype, device), work)


def check_exactly(target: int, size: tuple[int, int], device: torch.device) -> None:
    """Raise ValueError unless the port and ours, plain and fused, agree in full float32."""
    port, ours = (model.to(device).eval() for model in paired_resizers(target))
    images = torch.rand(1, 3, *size, device=device)
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        expected = port(images)
        errors = [difference(expected, model(images)) for model in (ours, ours.fuse(kernels="never"))]
    if not max(errors) <= _EXACT:
        raise ValueError(f"ours and the port differ by {max(errors):.2g} of the largest value")


def backbone(device: torch.device, case: Case, network: str = "resnet50") -> Comparison:
    """Compare a network at ``target`` px: alone, behind a fixed resize, behind the port and behind ours."""
    torch.manual_seed(0)
    images = case.images(device, "channels_last")
    makers = resizers(case, device, "channels_last")
    model = case.place(torchvision.models.get_model(network, weights=None), device, "channels_last")
    plain = F.interpolate(images.float(), (case.target, case.target), mode="bilinear", antialias=True)
    small = plain.to(images.dtype).contiguous(memory_format=torch.channels_last)
    fixed, tolerance = rn.FixedResizer(case.target), tolerance_of(case.dtype, device)
    if not difference(small, fixed(images)) <= tolerance:
        raise ValueError("the fixed resize differs from torch's")
    options = {"train": case.train, "layout": "channels_last"}

    def behind(make: Make) -> Make:
        return lambda: rn.ResizedModel(make(), copy.deepcopy(model))

    candidates = [
        candidate("alone, on resized images", lambda: model, small, group="alone", baseline=True, **options),
        candidate("behind the fixed resize", behind(lambda: fixed), images, group="fixed", **options),
    ]
    for who, make in makers.items():
        candidates.append(candidate(f"behind {who}", behind(make), images, peer=who == "port", **options))
    work = (training_work if case.train else inference_work)(model, small)
    return Comparison(candidates, tolerance * (_DEEP if case.train else 1), work)


def cases(device: torch.device, *, quick: bool) -> list[Case]:
    """Sizes, batches and dtypes; the quick suite has one size and one batch, and one dtype on a GPU."""
    halving, small, odd = ((448, 448), 224), ((64, 64), 32), ((300, 400), 224)
    cuda = device.type == "cuda"
    if quick:
        sizes = [(*halving, 128 if cuda else 4)]
    elif cuda:
        sizes = [(*size, batch) for size in (halving, small, odd) for batch in (1, 32, 128)]
    else:
        sizes = [(*halving, 1), (*halving, 4), (*small, 32), (*odd, 4)]
    dtypes = ("bfloat16",) if quick and cuda else dtypes_of(device)
    trains = (False, True)
    return [Case(*size, dtype, train) for size in sizes for dtype in dtypes for train in trains]


def jobs(device: torch.device, *, quick: bool) -> Jobs:
    """The quick suite compiles in channels_last only, and trains in channels_last only."""
    found: Jobs = {}
    for case in cases(device, quick=quick):
        fewer = {"compiled_layouts": ("channels_last",)} if quick else {}
        fewer |= {"layouts": ("channels_last",)} if quick and case.train else {}
        found[case.setting()] = partial(alone, device, case, **fewer)
        if case.size == (448, 448) and not (quick and case.train):
            found[case.setting("resnet50")] = partial(backbone, device, case)
    return found
