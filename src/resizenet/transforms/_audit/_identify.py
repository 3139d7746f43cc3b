"""Which resize a pipeline has: every candidate is compared with what it does to noise, and nothing is guessed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from . import _probes as probes
from ._candidates import Candidate, Work, all_candidates
from ._geometry import Geometry, find_geometries, read_lines
from ._pipeline import Pipeline, UnreadableError, Values, read_values
from ._shift import describe_shift, find_shift, smooth_results

_EXACT = 0.02  # levels; float32 results of numbers up to 255 differ by 0.01 where positions are rounded to float32
_FAR = 8.0  # levels on average; the passes of Pillow's bicubic on noise are 2 levels from those on floats
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Match:
    """A candidate, what it works on, where, and how far its results are from those of the pipeline, in levels."""

    candidate: Candidate | None
    work: Work
    geometry: Geometry
    largest: float
    mean: float

    def __str__(self) -> str:
        if self.candidate is None:
            return "no resize"
        return str(self.candidate) if self.work == "uint8" else f"{self.candidate} on {self.work}"


@dataclass(frozen=True)
class Identity:
    """What a pipeline is.

    Args:
        matches: the resizes that it agrees with, equal ones first in the order of the libraries; may be empty.
        nearest: the three resizes nearest to it if none agrees.
        notes: what else it does, such as normalization, padding or a swap of channels.
        problem: why it has no resize that can be named, if so.
        is_whole: whether the result shows the whole image.
    """

    matches: tuple[Match, ...] = ()
    nearest: tuple[Match, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""
    is_whole: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether a resize agrees to the rounding of floats, or to the bit for uint8."""
        return bool(self.matches) and self.matches[0].largest <= _EXACT

    @property
    def names(self) -> tuple[str, ...]:
        """The resizes that agree, such as "pillow bicubic"."""
        return tuple(str(match) for match in self.matches)

    def describe(self) -> str:
        """One line for the resize, and one for each note."""
        lines = [self._headline(), *self.notes]
        return "\n".join(lines)

    def _headline(self) -> str:
        if self.problem:
            return f"none of these: {self.problem}"
        if not self.matches:
            near = "; ".join(f"{match} ({match.largest:.0f} levels, mean {match.mean:.2f})" for match in self.nearest)
            return f"none of these; the nearest are {near}"
        accuracy = ", exact" if self.is_exact else f": within {self.matches[0].largest:.0f} level"
        others = f" (the same here: {', '.join(self.names[1:4])})" if len(self.names) > 1 else ""
        return f"{self.matches[0]}{accuracy}{others}"


def identify(pipeline: Pipeline, size: tuple[int, int]) -> Identity:
    """Identify a pipeline by its results for test images of ``size``."""
    try:
        result = pipeline(probes.noise(size))
        if not torch.equal(result, pipeline(probes.noise(size))):
            return Identity(problem="two calls on one image differ, so it draws random numbers")
        values = read_values(pipeline, size)
        lines = read_lines(pipeline, values, size)
    except UnreadableError as problem:
        return Identity(problem=str(problem))
    shown = values.content[2:]
    geometries = find_geometries(lines, size, shown)
    target = values.levels(result)
    matches = _compare_all(target, geometries, size)
    best = matches[0]
    agreeing = [match for match in matches if match.largest <= (_EXACT if best.largest <= _EXACT else 1.02)]
    agreeing = [match for match in agreeing if match.geometry == best.geometry]
    if agreeing and not _agrees_on_photograph(pipeline, values, agreeing[0], size):
        agreeing = []
    notes = _notes(values, tuple(result.shape[-2:]), agreeing[0] if agreeing else None, size)
    is_whole = len(geometries) == 1
    shift = find_shift(size, *smooth_results([pipeline], [values], size)) if is_whole else None
    notes = (*notes, describe_shift(shift)) if shift else notes
    return Identity(tuple(_unique(agreeing)), () if agreeing else tuple(matches[:3]), notes, is_whole=is_whole)


def _compare_all(target: Tensor, geometries: list[Geometry], size: tuple[int, int]) -> list[Match]:
    """All matches, the nearest first; further geometries only if the first ones do not agree."""
    found: list[Match] = []
    for geometry in geometries:
        found += _compare(target, geometry, size)
        if min(match.largest for match in found) <= _EXACT:
            break
    best = min(found, key=lambda match: match.mean).geometry
    # equal ones stay in the order of the libraries, with uint8 before floats
    exact = sorted((match for match in found if match.largest <= _EXACT), key=lambda match: match.work != "uint8")
    rest = sorted((match for match in found if match.largest > _EXACT), key=lambda match: match.mean)
    return [*exact, *(match for match in rest if exact or match.geometry == best)]


def _compare(target: Tensor, geometry: Geometry, size: tuple[int, int]) -> list[Match]:
    shown = (target.shape[0], target.shape[1])
    source = geometry.apply(probes.noise(size)[None, :1])
    if geometry.size == geometry.box[2:]:
        return [_match(None, "uint8", geometry, geometry.show(source.double(), shown), target)]
    found = []
    for candidate in all_candidates():
        for work, resized in candidate.results(source, geometry.size):
            found.append(_match(candidate, work, geometry, geometry.show(resized, shown), target))
            if found[-1].mean > _FAR:  # results on uint8 are not that far from those on floats
                break
    return found


def _match(candidate: Candidate | None, work: Work, geometry: Geometry, resized: Tensor, target: Tensor) -> Match:
    if resized.shape[-2:] != target.shape:
        return Match(candidate, work, geometry, 255.0, 255.0)
    difference = (resized[0, 0] - target).abs()
    return Match(candidate, work, geometry, float(difference.max()), float(difference.mean()))


def _agrees_on_photograph(pipeline: Pipeline, values: Values, match: Match, size: tuple[int, int]) -> bool:
    image = probes.photograph(size)
    target = values.levels(pipeline(image))
    source = match.geometry.apply(image[None, :1])
    results = {"uint8": source.double()}
    if match.candidate is not None:
        results = dict(match.candidate.results(source, match.geometry.size))
    resized = match.geometry.show(results[match.work], (target.shape[0], target.shape[1]))
    return _match(match.candidate, match.work, match.geometry, resized, target).largest <= max(
        _EXACT, match.largest + 1
    )


def _unique(matches: list[Match]) -> list[Match]:
    """A pipeline that works on uint8 needs no mention of floats that round to the same."""
    on_bytes = {match.candidate for match in matches if match.work == "uint8"}
    return [match for match in matches if match.work == "uint8" or match.candidate not in on_bytes]


def _notes(values: Values, result: tuple[int, ...], match: Match | None, size: tuple[int, int]) -> tuple[str, ...]:
    notes = [] if match is None else [match.geometry.describe(size, values.content[2:])]
    top, left, height, width = values.content
    if (height, width) != result:
        notes.append(f"padded to {result[0]} x {result[1]}, with the image at ({top}, {left})")
    if values.order != (0, 1, 2):
        notes.append(f"channels in the order {''.join('RGB'[channel] for channel in values.order)}")
    scaling = _describe_scaling(values)
    if scaling:
        notes.append(scaling)
        if match is not None and match.candidate is not None and match.work == "floats":
            notes.append("resized after the conversion to floats")
    return tuple(notes)


def _describe_scaling(values: Values) -> str:
    """Words for the values of the result: the scale, and mean and std if they are ImageNet's."""
    scale, mean_shift = values.scale, values.offset
    if torch.allclose(scale, torch.ones_like(scale), rtol=1e-3) and mean_shift.abs().max() < 0.01:
        return ""
    mean, std = (torch.tensor(numbers, dtype=torch.float64, device="cpu") for numbers in _IMAGENET)
    for divisor in (255, 256):
        warning = " (not 255)" if divisor == 256 else ""
        if torch.allclose(scale * divisor, torch.ones_like(scale), rtol=1e-4) and mean_shift.abs().max() < 1e-4:
            return f"values divided by {divisor}{warning}"
        normalized = torch.allclose(mean_shift * std, -mean, atol=1e-3)
        if normalized and torch.allclose(scale * divisor * std, torch.ones_like(scale), rtol=1e-4):
            return f"values divided by {divisor}{warning}, then normalized with ImageNet's mean and std"
    pairs = zip(scale.tolist(), mean_shift.tolist(), strict=True)
    slopes = ", ".join(f"{value:.6g} * level {shift:+.6g}" for value, shift in pairs)
    return f"values scaled to {slopes}"
