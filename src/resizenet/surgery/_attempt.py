"""Try a smaller stem on a copy without values, so that ``report`` suggests only what ``adapt`` can do."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from .._errors import ShapeError, UnsupportedModelError
from .._tracing import FirstLayers, Trace, last_map, skeleton, stages, trace
from ._families import Family, find_convolution, find_family
from ._stems import change_stem, check_stem, new_filter


@dataclass(frozen=True)
class Attempt:
    """A smaller stem that enlarges the last map.

    Attributes:
        stem: its name, as for ``adapt``.
        unregistered: what has to be registered for the model's type first; None if it is known to ``adapt``.
        trace: what the model with this stem does.
    """

    stem: str
    unregistered: Family | None
    trace: Trace


def try_smaller_stems(
    model: nn.Module, before: Trace, stem: FirstLayers, *, input_size: tuple[int, int], in_channels: int, enough: int
) -> Attempt | None:
    """Return the smallest change after which the last map has ``enough`` positions per side, or else the best one.

    Returns None if ``adapt`` cannot change the model, or if no change enlarges the last map.
    """
    known = find_family(type(model))
    family = known or _family_to_register(model, before, stem)
    best = None
    if family is None:
        return None
    for name in ("no_pool", "cifar"):
        after = _trace_with_stem(model, family, name, input_size, in_channels)
        if after and math.prod(last_map_size(after)) > math.prod(last_map_size(best.trace if best else before)):
            best = Attempt(name, None if known else family, after)
        if best and min(last_map_size(best.trace)) >= enough:
            break
    return best


def last_map_size(traced: Trace) -> tuple[int, int]:
    """Return (height, width) of the last map, (0, 0) without any."""
    final = last_map(stages(traced.rows))
    return (final and final.output_map) or (0, 0)


def _family_to_register(model: nn.Module, traced: Trace, stem: FirstLayers) -> Family | None:
    """Return None for a type that can hold any network, and if the stem or classifier is not a module."""
    final, classifier = last_map(stages(traced.rows)), traced.classifier
    finished = [row.name for row in traced.rows]
    if final is None or classifier is None or finished.index(classifier) < finished.index(final.name):
        return None
    generic = type(model).__module__.partition(".")[0] == "torch"  # Sequential, or what torch.compile returns
    wrapper = stem.conv.partition(".")[0] == classifier.partition(".")[0]
    functional_pool = stem.pool is not None and next(model.get_submodule(stem.pool).children(), None) is not None
    return None if generic or wrapper or functional_pool else Family(stem.conv, stem.pool, classifier)


def _trace_with_stem(
    model: nn.Module, family: Family, stem: str, input_size: tuple[int, int], in_channels: int
) -> Trace | None:
    """Return None if the model cannot have this stem."""
    changed = skeleton(model)
    try:
        check_stem(changed, family, stem, None)
        change_stem(changed, family, stem, new_filter(find_convolution(changed, family), stem, "center"))
        return trace(changed, in_channels, input_size)
    except (UnsupportedModelError, ShapeError):
        return None
