"""What a resize of another library is: its interpolations, its antialias settings and its rounding of uint8."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ..._checks import check_choice
from ..._errors import ArgumentError
from ._taps import Taps
from ._uint8 import round_once

Weights = Callable[[int, int, bool], Taps]
"""(in_size, out_size, antialias) to the weights of one axis."""
Axes = tuple[Taps, Taps]
"""The weights of the rows of the result, and those of its columns."""


@dataclass(frozen=True)
class Method:
    """One interpolation of a library.

    Args:
        weights: the weights of one axis.
        enlarging: the weights of both axes if one of them grows; ``weights`` if None.
        uint8: resizes a uint8 image, (B, C, H, W), by the weights of both axes.
        uint8_enlarging: the same if one axis grows; ``uint8`` if None.
        antialias: the default; that of the library if None.
    """

    weights: Weights
    enlarging: Weights | None = None
    uint8: Callable[[Tensor, Axes], Tensor] = round_once
    uint8_enlarging: Callable[[Tensor, Axes], Tensor] | None = None
    antialias: bool | None = None

    def on(self, before: tuple[int, ...], after: tuple[int, ...]) -> Method:
        """The method for these sizes, whose ``weights`` and ``uint8`` hold for all axes."""
        if self.enlarging is None or all(new <= old for old, new in zip(before, after, strict=True)):
            return self
        return Method(self.enlarging, uint8=self.uint8_enlarging or self.uint8)


@dataclass(frozen=True)
class Dialect:
    """A library's resize.

    Args:
        name: the word for it.
        methods: its interpolations.
        antialias: the settings that it has, its default first.
        aliases: other words for its interpolations.
        clips: whether results of interpolations that overshoot are clipped to the range of the image.
    """

    name: str
    methods: Mapping[str, Method]
    antialias: tuple[bool, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    clips: bool = False

    def method(self, interpolation: object) -> Method:
        """The interpolation of this name; raise UnknownNameError if the library has none."""
        name = self.aliases.get(interpolation, interpolation) if isinstance(interpolation, str) else interpolation
        check_choice(f"interpolation (like={self.name!r})", name, self.methods)
        return self.methods[str(name)]

    def parse_rule(self, interpolation: object, antialias: object) -> bool:
        """The setting of antialias, or the default for None.

        Raises:
            UnknownNameError: the library has no such interpolation.
            ArgumentError: the library has no such setting.
        """
        default = self.method(interpolation).antialias
        if antialias is None:
            return self.antialias[0] if default is None else default
        if not isinstance(antialias, bool) or antialias not in self.antialias:
            expected = " or ".join(map(str, self.antialias))
            raise ArgumentError(f"antialias (like={self.name!r}): expected {expected}, got {antialias!r}")
        return antialias

    def matrix(self, in_size: int, out_size: int, interpolation: object, antialias: bool) -> Tensor:
        """The weights of one axis, (out_size, in_size), float64, on the CPU."""
        method = self.method(interpolation).on((in_size,), (out_size,))
        return method.weights(in_size, out_size, antialias).matrix(in_size)
