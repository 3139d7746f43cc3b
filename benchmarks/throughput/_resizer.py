"""The learned resizer against a plain port of the published network: by itself and in front of a backbone, inference and training steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

import resizenet as rn

from ._paired import Bench, Candidate, Jobs, MismatchError, Row, Setting, difference, note
from ._peers import PortedResizer, paired_resizers
from ._roofline import Work, inference_work, training_work
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
_DEEP = 4  # times the tolerance: so much do the layers of a network in training add to the rounding of its gradient

Calls = Callable[[nn.Module, Tensor], tuple[Callable[[], object], Callable[[], Tensor] | None]]


@dataclass(frozen=True)
class Case:
    """Images of ``size`` to ``target`` px, in batches and in a dtype."""

    size: tuple[int, int]
    target: int
    batch: int
    dtype: str

    def setting(self, task: str) -> Setting:
        """For a table."""
        return Setting(task, f"{self.size[0]}x{self.size[1]} -> {self.target}", self.dtype, self.batch)

    def images(self, device: torch.device, layout: str) -> Tensor:
        """(batch, 3, *size), random."""
        return (
            torch.rand(self.batch, 3, *self.size)
            .to(device, DTYPES[self.dtype])
            .contiguous(memory_format=LAYOUTS[layout])
        )


def _inference_calls(model: nn.Module, images: Tensor) -> tuple[Callable[[], object], Callable[[], Tensor] | None]:
    return inference_call(model, images), None


def _training_calls(model: nn.Module, images: Tensor) -> tuple[Callable[[], object], Callable[[], Tensor] | None]:
    call = training_call(model, images)
    return call, gradient_norm(model, call)


def _check_exactly(target: int, size: tuple[int, int], device: torch.device) -> None:
    """MismatchError unless the port and ours, plain and fused, give the same in full float32."""
    peer, ours = (model.to(device).eval() for model in paired_resizers(target))
    images = torch.rand(1, 3, *size, device=device)
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        expected = peer(images)
        errors = [difference(expected, model(images)) for model in (ours, ours.fuse())]
    if not max(errors) <= _EXACT:
        raise MismatchError(f"ours and the port differ by {max(errors):.2g} of the largest value")


def _with_kernels(make: Callable[[], nn.Module], images: Tensor) -> dict[str, nn.Module]:
    """The model with its Triton kernels, or nothing, and a line that says why, where they are not for this network or call."""
    try:
        model = make()
        with torch.no_grad():
            model(images)
    except rn.ArgumentError as error:
        note(f"Triton kernels are left out: {error}")
        return {}
    return {"kernels": model}


def _for_inference(case: Case, device: torch.device, layout: str, images: Tensor) -> dict[str, nn.Module]:
    def placed(model: nn.Module) -> nn.Module:
        return model.to(device, DTYPES[case.dtype], memory_format=LAYOUTS[layout]).eval()

    peer, ours = paired_resizers(case.target)
    models = {"port": placed(peer), "ours": placed(copy.deepcopy(ours)), "ours, fused": placed(ours.fuse())}
    kernels = _with_kernels(lambda: placed(ours.fuse(kernels="always")), images)
    return {**models, **{f"ours, fused, {name}": model for name, model in kernels.items()}}


def _for_training(case: Case, device: torch.device, layout: str, images: Tensor) -> dict[str, nn.Module]:
    peer, plain = paired_resizers(case.target)

    def placed(model: nn.Module) -> nn.Module:
        return model.to(device, DTYPES[case.dtype], memory_format=LAYOUTS[layout]).train()

    def ours(**options: object) -> nn.Module:
        model = rn.Resizer.paper(case.target, **options)
        model.load_state_dict(plain.state_dict())
        return placed(model)

    models = {"port": placed(peer), "ours": ours(), "ours, checkpoint": ours(checkpoint=True)}
    return {
        **models,
        **{f"ours, {name}": model for name, model in _with_kernels(lambda: ours(kernels="always"), images).items()},
    }


def _candidates(
    models: dict[str, nn.Module], images: Tensor, layout: str, calls: Calls, compiled_too: bool
) -> list[Candidate]:
    """Each model eager, and the plain ones compiled: recomputing and Triton kernels are for eager mode."""
    candidates = []
    for who, model in models.items():
        modes = {"eager": model}
        if compiled_too and not ("checkpoint" in who or "kernels" in who):
            modes[mode_name(images.device)] = compiled(model, images.device)
        for mode, variant in modes.items():
            call, answer = calls(variant, images)
            is_port = who == "port"
            candidates.append(
                Candidate(who, call, mode, layout, peer=is_port, baseline=is_port and mode == "eager", answer=answer)
            )
    return candidates


def inference(
    bench: Bench, case: Case, *, layouts: Collection[str] = LAYOUTS, compiled_layouts: Collection[str] = LAYOUTS
) -> list[Row]:
    """Rows of the port and of ours."""
    torch.manual_seed(0)
    _check_exactly(case.target, case.size, bench.device)
    return _rows(bench, case, "inference", _for_inference, _inference_calls, inference_work, layouts, compiled_layouts)


def training(
    bench: Bench, case: Case, *, layouts: Collection[str] = LAYOUTS, compiled_layouts: Collection[str] = LAYOUTS
) -> list[Row]:
    """Rows of a training step (forward, backward) of the resizer alone."""
    torch.manual_seed(0)
    return _rows(bench, case, "training step", _for_training, _training_calls, training_work, layouts, compiled_layouts)


def _rows(
    bench: Bench,
    case: Case,
    task: str,
    make_models: Callable[[Case, torch.device, str, Tensor], dict[str, nn.Module]],
    calls: Calls,
    count: Callable[[nn.Module, Tensor], Work],
    layouts: Collection[str],
    compiled_layouts: Collection[str],
) -> list[Row]:
    candidates = []
    for layout in layouts:
        torch.manual_seed(1)  # the same weights and images in both
        images = case.images(bench.device, layout)
        models = make_models(case, bench.device, layout, images)
        work = count(models["port"], images)
        candidates += _candidates(models, images, layout, calls, layout in compiled_layouts)
    return bench.rows(case.setting(task), candidates, tolerance=tolerance_of(case.dtype, bench.device), work=work)


def _plain_resize(images: Tensor, target: int) -> Tensor:
    """Antialias needs float32 on a CPU."""
    return F.interpolate(images.float(), (target, target), mode="bilinear", antialias=True).to(images.dtype)


def _backbone_task(network: str, train: bool) -> str:
    return f"{network}, {'training step' if train else 'inference'}"


def backbone(bench: Bench, case: Case, *, train: bool, network: str = "resnet50") -> list[Row]:
    """Rows of a network at ``target`` px: alone, behind a fixed resize, behind the port and behind ours; channels_last, eager."""
    torch.manual_seed(0)
    images = case.images(bench.device, "channels_last")
    resizers = (_for_training if train else _for_inference)(case, bench.device, "channels_last", images)
    model = (
        torchvision.models.get_model(network, weights=None)
        .to(bench.device, DTYPES[case.dtype], memory_format=torch.channels_last)
        .train(train)
    )
    small = _plain_resize(images, case.target).contiguous(memory_format=torch.channels_last)
    fixed = rn.FixedResizer(case.target)
    if not difference(small, fixed(images)) <= tolerance_of(case.dtype, bench.device):
        raise MismatchError("the fixed resize is not that of torch")
    calls = _training_calls if train else _inference_calls

    def candidate(who: str, model: nn.Module, inputs: Tensor, group: str, **flags: bool) -> Candidate:
        call, answer = calls(model, inputs)
        return Candidate(who, call, layout="channels_last", answer=answer, group=group, **flags)

    candidates = [
        candidate("alone, on resized images", copy.deepcopy(model), small, "alone", baseline=True),
        candidate("behind the fixed resize", fixed.wrap(copy.deepcopy(model)), images, "fixed"),
    ]
    for who, resizer in resizers.items():
        wrapped = rn.ResizedModel(resizer, copy.deepcopy(model))
        candidates.append(
            candidate(f"behind {who}", wrapped, images, "learned", peer=isinstance(resizer, PortedResizer))
        )
    work = (training_work if train else inference_work)(model, small)
    tolerance = tolerance_of(case.dtype, bench.device) * (_DEEP if train else 1)
    return bench.rows(case.setting(_backbone_task(network, train)), candidates, tolerance=tolerance, work=work)


def cases(device: torch.device, quick: bool) -> list[Case]:
    """Sizes, batches and dtypes; ``quick`` has one size and one batch, and one dtype on a GPU."""
    halving, small, odd = ((448, 448), 224), ((64, 64), 32), ((300, 400), 224)
    if device.type == "cuda":
        sizes = (
            [(*halving, 128)] if quick else [(*size, batch) for size in (halving, small, odd) for batch in (1, 32, 128)]
        )
    else:
        sizes = [(*halving, 4)] if quick else [(*halving, 1), (*halving, 4), (*small, 32), (*odd, 4)]
    dtypes = ("bfloat16",) if quick and device.type == "cuda" else dtypes_of(device)
    return [Case(size, target, batch, dtype) for size, target, batch in sizes for dtype in dtypes]


def jobs(bench: Bench, quick: bool) -> Jobs:
    """``quick`` compiles in one memory layout, and trains in that only."""
    one = {"layouts": ("channels_last",), "compiled_layouts": ("channels_last",)}
    found: Jobs = {}
    for case in cases(bench.device, quick):
        compiling = {"compiled_layouts": ("channels_last",)} if quick else {}
        found[case.setting("inference").title] = partial(inference, bench, case, **compiling)
        found[case.setting("training step").title] = partial(training, bench, case, **(one if quick else {}))
        if case.size == (448, 448):
            for train in (False,) if quick else (False, True):
                found[case.setting(_backbone_task("resnet50", train)).title] = partial(
                    backbone, bench, case, train=train
                )
    return found
