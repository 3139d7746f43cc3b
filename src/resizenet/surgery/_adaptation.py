"""The result of ``plan``: what changes in a model, what that does to its map, and ``apply``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from .._modules import check_model, copy_model
from .._text import format_count, format_size
from ..functional._positions import Convention
from ._changes import Change, apply_changes, describe_changes
from ._positions import fit_positions
from ._records import update_records


@dataclass(frozen=True)
class Adaptation:
    """The changes that fit a model to an input size; ``str()`` has one line per module.

    Attributes:
        model: the name of the model's class.
        input_size: (height, width) of the images in pixels.
        changes: the layers that change, sorted by module.
        fitted: the position embeddings and attention windows that change. Everything else in the model stays unchanged,
            except for sizes that the model has recorded.
        positions: the convention by which position embeddings are resized.
        strides: (before, after) of the distance between positions, in pixels of the image, for each map behind a layer
            with a stride.
        output_stride: (before, after), pixels of the image between positions of the last map.
        last_map: (before, after), each (height, width). The first is None if the unchanged model cannot take images of
            this size.
        macs: (before, after), multiply-accumulates for one image. The first is None if that of ``last_map`` is.
        params: (before, after), the number of parameters.
    """

    model: str
    input_size: tuple[int, int]
    changes: tuple[Change, ...]
    fitted: tuple[Change, ...]
    positions: Convention
    strides: tuple[tuple[int, int], ...]
    output_stride: tuple[int, int]
    last_map: tuple[tuple[int, int] | None, tuple[int, int]]
    macs: tuple[int | None, int]
    params: tuple[int, int]

    def apply(self, model: nn.Module, *, inplace: bool = False) -> nn.Module:
        """Return the adapted model: a copy, or ``model`` itself with ``inplace``.

        Args:
            model: the model that was passed to ``plan``, or another one with the same layers.
            inplace: change the model itself instead of a copy.

        Raises:
            UnsupportedModelError: the model differs from the one of the plan in a module that changes, or it cannot be
                copied. The model is unchanged.
        """
        check_model(model, operation="adapt")
        adapted = model if inplace else copy_model(model, operation="adapt")
        apply_changes(adapted, self.changes)
        update_records(adapted, self.changes, dict(self.strides))
        fit_positions(adapted, self.input_size, self.positions)
        return adapted

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        before, after = self.last_map
        last_map = _arrow(format_size(before) if before else "none", format_size(after))
        macs = _arrow(*("none" if n is None else format_count(n) for n in self.macs))
        effects = [
            f"output stride {_arrow(*map(str, self.output_stride))}, last map {last_map}",
            f"MACs {macs}, parameters {_arrow(*map(format_count, self.params))}",
        ]
        title = f"{self.model} at {format_size(self.input_size)}"
        changes = describe_changes([*self.changes, *self.fitted]) or ["no changes"]
        return "\n".join([title, *effects, *changes])


def _arrow(before: str, after: str) -> str:
    return before if before == after else f"{before} -> {after}"
