"""``audit``: one pipeline identified, or two compared."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from ..._checks import check_choice
from ..._errors import ArgumentError
from ..._sizes import Size, parse_size
from ..policies import ResizePolicy
from . import _probes as probes
from ._candidates import Candidate, parse_candidate
from ._identify import Identity, identify
from ._pipeline import Inputs, Pipeline, UnreadableError, open_pipeline, read_values, to_image
from ._plot import plot_audit
from ._shift import describe_shift, find_shift, smooth_results


@dataclass(frozen=True)
class Difference:
    """The difference between the results of two pipelines, in levels of 0 to 255.

    Args:
        largest: the largest absolute difference on an image of noise.
        mean: the mean absolute difference on the same image.
        psnr: the peak signal-to-noise ratio in dB for a photograph-like image; infinite if the results are equal.
        where: a sentence on where most of the difference is.
    """

    largest: float
    mean: float
    psnr: float
    where: str


@dataclass(frozen=True)
class Effect:
    """The effect of the difference on a model: the share of changed predictions and the mean change of the logits."""

    images: int
    changed: float
    mean_logit_change: float


@dataclass(frozen=True)
class ResizeAudit:
    """The result of ``audit``; ``str()`` formats it as text.

    Args:
        size: (height, width) of the test images in pixels.
        train: the resize that the first pipeline computes.
        serve: the resize that the second pipeline computes; None if there is only one pipeline.
        difference: the difference between the two; None if there is only one, or if their results cannot be compared.
        effect: the effect of the difference on a model; None without images and a model.
        advice: code of this library that computes the resize of the first pipeline. It is empty if the resize is
            unknown, or if both pipelines have the same resize.
    """

    size: tuple[int, int]
    train: Identity
    _: KW_ONLY
    serve: Identity | None = None
    difference: Difference | None = None
    effect: Effect | None = None
    advice: str = ""
    _pictures: tuple[Tensor, ...] = field(default=(), repr=False, compare=False)
    _kernels: tuple[Tensor, ...] = field(default=(), repr=False, compare=False)

    def __str__(self) -> str:
        parts = [_indent("train" if self.serve else "pipeline", self.train.describe())]
        if self.serve is not None:
            parts.append(_indent("serve", self.serve.describe()))
        if self.difference is not None:
            gap = self.difference
            numbers = f"largest {gap.largest:.3g} levels on noise, mean {gap.mean:.3g}, PSNR {gap.psnr:.1f} dB"
            parts.append(_indent("difference", f"{numbers}\n{gap.where}" if gap.largest else "none"))
        elif self.serve is not None:
            parts.append(_indent("difference", "not measured: the results have different shapes or cannot be read"))
        if self.effect is not None:
            changed = f"{100 * self.effect.changed:.2f} % of {self.effect.images} predictions change"
            parts.append(_indent("model", f"{changed}, logits move by {self.effect.mean_logit_change:.3g} on average"))
        if self.advice:
            parts.append(_indent("instead", self.advice))
        return "\n".join(parts)

    def plot(self) -> Any:
        """Draw both results, their difference enlarged, and their impulse responses side by side.

        Returns:
            A ``matplotlib.figure.Figure``.

        Raises:
            ArgumentError: the results are not images.
            ModuleNotFoundError: matplotlib is not installed.
        """
        if not self._pictures:
            raise ArgumentError("plot: expected pipelines whose results are images of one size")
        return plot_audit(self._pictures, self._kernels)


def audit(
    train: Any,
    serve: Any = None,
    *,
    size: Size,
    images: Iterable[Any] | None = None,
    model: nn.Module | None = None,
    inputs: Inputs = "auto",
) -> ResizeAudit:
    """Find the library whose resize a preprocessing pipeline computes, or compare two pipelines.

    A pipeline is a transform, a policy (its ``eval()``), any function from an image to an image, or text such as
    "opencv area 224". It is called with test images. Their type is the first of the following that the pipeline takes:
    a PIL image, a NumPy array (H, W, 3), a uint8 tensor (3, H, W), a uint8 batch (1, 3, H, W), or a batch of floats
    from 0 to 1.

    Its results are compared with the resizes of all libraries that ``functional.resize`` supports, alone or together
    with a crop, a padding, a normalization or swapped channels. A resize is named only if it gives the same results for
    noise and for a photograph-like image: bit for bit for uint8, up to rounding for floats, or up to one level, which
    the report then says. Otherwise the report says "none of these".

    Several libraries may give the same results at one size. The report lists all of them.

    Args:
        train: the pipeline that is used in training, or the only one.
        serve: the pipeline that is used in inference.
        size: (height, width) of the test images in pixels, or one int for a square.
        images: uint8 images, (3, H, W) tensors, NumPy arrays (H, W, 3) or PIL images, for ``model``.
        model: takes a batch of results of the pipelines, with uint8 scaled to 0..1, and returns logits (B, classes).
        inputs: "auto", or the kind of image that the pipelines take: "pil", "numpy", "tensor", "batch" or "floats".

    Returns:
        The resizes that were found and the difference between them; ``print`` shows them as text.

    Raises:
        SizeError: a size that is not positive or not whole.
        ArgumentError: not a pipeline, a pipeline that raises an error for every type of image, text without a size if
            the other pipeline gives no size either, or only one of ``images`` and ``model``.
        UnknownNameError: an unknown library or interpolation in text, or an unknown value of ``inputs``.

    Example:
        >>> from torchvision.transforms import v2
        >>> print(audit(v2.Resize((24, 32)), size=(48, 60)))
        pipeline    pillow bilinear, exact (the same here: pillow-12 bilinear)
                    resized to 24 x 32
        instead     transforms.Stretch((24, 32), interpolation="bilinear",
                    like="pillow")
    """
    source = parse_size(size)
    check_choice("inputs", inputs, get_args(Inputs))
    if (images is None) != (model is None) or (model is not None and serve is None):
        raise ArgumentError("audit: expected images and a model together, with two pipelines")
    pipelines = _open(train, serve, source, inputs)
    identities = [identify(pipeline, source) for pipeline in pipelines]
    if serve is None:
        return _audit_one(source, pipelines[0], identities[0])
    results = _results(pipelines, source)
    kernels = tuple(_impulse(pipeline, source) for pipeline in pipelines) if results else ()
    return ResizeAudit(
        source,
        identities[0],
        serve=identities[1],
        difference=_difference(results, _shift(pipelines, identities, source)) if results else None,
        effect=None if model is None or images is None else _effect(pipelines, images, model),
        advice=_advice(identities[0]) if _what(identities[0]) != _what(identities[1]) else "",
        _pictures=tuple(levels for _, levels in results),
        _kernels=kernels,
    )


def _audit_one(source: tuple[int, int], pipeline: Pipeline, identity: Identity) -> ResizeAudit:
    results = _results([pipeline], source)
    kernels = (_impulse(pipeline, source),) if results else ()
    pictures = tuple(levels for _, levels in results)
    return ResizeAudit(source, identity, advice=_advice(identity), _pictures=pictures, _kernels=kernels)


def _open(train: Any, serve: Any, source: tuple[int, int], inputs: Inputs) -> list[Pipeline]:
    given = [train] if serve is None else [train, serve]
    texts = {index: parse_candidate(text) for index, text in enumerate(given) if isinstance(text, str)}
    opened = [
        None
        if index in texts
        else open_pipeline(call.eval() if isinstance(call, ResizePolicy) else call, source, inputs)
        for index, call in enumerate(given)
    ]
    sizes = [size for _, size in texts.values() if size] + [_result_size(call, source) for call in opened if call]
    return [call or _from_text(texts[index], sizes, given[index]) for index, call in enumerate(opened)]


def _result_size(pipeline: Pipeline, source: tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = pipeline(probes.noise(source)).shape[-2:]
    except UnreadableError:
        return source
    return height, width


def _from_text(parsed: tuple[Candidate, tuple[int, int] | None], sizes: list[tuple[int, int]], text: str) -> Pipeline:
    candidate, target = parsed
    if target is None and not sizes:
        raise ArgumentError(f"audit: expected a size in {text!r}, such as '{text} 224', because no pipeline has one")
    size = parse_size(target or sizes[0])
    return Pipeline(lambda batch: candidate.resize(batch, size), "batch")


def _results(pipelines: list[Pipeline], source: tuple[int, int]) -> list[tuple[Tensor, Tensor]]:
    """For each pipeline the levels of its results for noise and for the photograph; empty if they do not compare."""
    found: list[tuple[Tensor, Tensor]] = []
    try:
        for pipeline in pipelines:
            values = read_values(pipeline, source)
            both = (values.levels(pipeline(image)) for image in (probes.noise(source), probes.photograph(source)))
            found.append((next(both), next(both)))
    except UnreadableError:
        return []
    if len({levels.shape for levels, _ in found}) > 1:
        return []
    return found


def _shift(
    pipelines: list[Pipeline], identities: list[Identity], source: tuple[int, int]
) -> tuple[float, float] | None:
    """How far the results of the second pipeline are shifted against those of the first."""
    if not all(identity.is_whole for identity in identities):
        return None
    train, serve = smooth_results(pipelines, [read_values(pipeline, source) for pipeline in pipelines], source)
    return find_shift(source, serve, train)


def _difference(results: list[tuple[Tensor, Tensor]], shift: tuple[float, float] | None) -> Difference:
    noise = (results[0][0] - results[1][0]).abs()
    noise = torch.where(noise < 1e-3, 0.0, noise)  # float32 rounding of normalized values
    square = float((results[0][1] - results[1][1]).square().mean())
    psnr = 10 * math.log10(255**2 / square) if square > 1e-6 else math.inf
    return Difference(float(noise.max()), float(noise.mean()), psnr, _where(results, shift))


def _where(results: list[tuple[Tensor, Tensor]], shift: tuple[float, float] | None) -> str:
    if shift is not None:
        return f"the second one is {describe_shift(shift)}"
    gap = (results[0][1] - results[1][1]).abs()
    if gap.max() < 1e-3:
        return "only on noise"
    border = torch.ones_like(gap, dtype=torch.bool)
    border[2:-2, 2:-2] = False
    if border.any() and not border.all() and gap[border].mean() > 4 * gap[~border].mean():
        return "mostly at the border of the image"
    picture = results[0][1]
    slope = torch.zeros_like(picture)
    slope[:, 1:] += (picture[:, 1:] - picture[:, :-1]).abs()
    slope[1:] += (picture[1:] - picture[:-1]).abs()
    steep = slope >= slope.flatten().quantile(0.75)
    share = float(gap[steep].sum() / gap.sum())
    return f"{100 * share:.0f} % of it at the quarter of the pixels with the steepest edges"


def _advice(identity: Identity) -> str:
    if not identity.matches or identity.matches[0].candidate is None:
        return ""
    match = identity.matches[0]
    candidate, geometry = match.candidate, match.geometry
    assert candidate is not None  # for the type checker
    text = f"transforms.Stretch({geometry.size}, {candidate.arguments})"
    text += "" if match.work == "uint8" else " on a floating image"
    return text if identity.is_whole else f"{text}, after and before the same crops"


def _what(identity: Identity) -> object:
    """The resize and its geometry, to see whether two pipelines have the same."""
    return [(str(match), match.geometry) for match in identity.matches[:1]] or identity


def _impulse(pipeline: Pipeline, source: tuple[int, int]) -> Tensor:
    """The response to one white pixel in the middle, in shares of its level, cut out around it: (9, 9)."""
    image = probes.constant(source, (0, 0, 0))
    image[:, source[0] // 2, source[1] // 2] = 255
    levels = read_values(pipeline, source).levels(pipeline(image)) / 255
    row, column = divmod(int(levels.abs().argmax()), levels.shape[1])
    padded = torch.nn.functional.pad(levels, (4, 4, 4, 4))
    return padded[row : row + 9, column : column + 9]


def _effect(pipelines: list[Pipeline], images: Iterable[Any], model: nn.Module) -> Effect:
    changed = moved = count = 0.0
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for image in images:
                logits = [model(_to_batch(pipeline(_to_uint8(image)))) for pipeline in pipelines]
                changed += float((logits[0].argmax(-1) != logits[1].argmax(-1)).sum())
                moved += float((logits[0] - logits[1]).abs().mean())
                count += 1
    finally:
        model.train(was_training)
    if not count:
        raise ArgumentError("images: expected at least one image")
    return Effect(int(count), changed / count, moved / count)


def _to_uint8(image: Any) -> Tensor:
    tensor = to_image(image).as_subclass(Tensor) if isinstance(image, tv_tensors.TVTensor) else to_image(image)
    if tensor.dtype != torch.uint8:
        raise ArgumentError(f"images: expected uint8 images, got {tensor.dtype}")
    return tensor


def _to_batch(image: Tensor) -> Tensor:
    return F.to_dtype(image, torch.float32, scale=True)[None] if not image.is_floating_point() else image.float()[None]


def _indent(title: str, text: str) -> str:
    """Put a title before a text of one or more lines, in 80 columns."""
    first, *rest = (part for line in text.split("\n") for part in textwrap.wrap(line, 68, break_on_hyphens=False))
    return "\n".join([f"{title:<11} {first}", *(f"{'':<11} {line}" for line in rest)])
