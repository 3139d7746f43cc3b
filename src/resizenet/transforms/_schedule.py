"""Image size over the course of training, as a pure function of progress."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from itertools import accumulate, pairwise
from typing import Any, Literal

from .._checks import MAX_REPEATS, check_choice, check_positive, parse_int, parse_number
from .._errors import ArgumentError, CheckpointError
from .._sizes import Size, nearest_multiple, parse_size

RULES = ("linear", "hold", "mix")


@dataclass
class ResolutionSchedule:
    """Maps progress, from 0 to 1, to (height, width).

    It keeps no counter and no random state, so that every rank, and every restart, gets the same sizes. Make one with
    ``linear``, ``step``, ``stages``, ``cyclic`` or ``mix``; call it with the share of the training that is done.

    Args:
        rule: "linear" interpolates between the sizes at ``values``, "hold" keeps each size until the next one, "mix"
            draws a size by its weight.
        sizes: each (height, width) in pixels, or one int for a square.
        values: one for each size: the progress at which it is reached, rising from 0, or its weight in the mix.
        multiple: both sides are rounded to the nearest multiple of it, in pixels.
        seed: seed of the draws of a mix.

    Raises:
        SizeError: a size that is not positive or not whole.
        ArgumentError: sizes that are not multiples of ``multiple``, values that do not fit the sizes, or progress
            outside [0, 1].
        UnknownNameError: an unknown rule.

    Example:
        >>> schedule = ResolutionSchedule.linear(128, 224, until=0.5, multiple=32)
        >>> [schedule(epoch / 10)[0] for epoch in range(10)]
        [128, 160, 160, 192, 192, 224, 224, 224, 224, 224]
    """

    rule: Literal["linear", "hold", "mix"]
    sizes: tuple[tuple[int, int], ...]
    values: tuple[float, ...]
    _: KW_ONLY
    multiple: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("rule", self.rule, RULES)
        check_positive("multiple", self.multiple)
        self.seed = parse_seed(self.seed)
        argument = "weights" if self.rule == "mix" else "progress"
        self.sizes = tuple(parse_size(size) for size in _to_tuple("sizes", self.sizes))
        self.values = tuple(parse_number(argument, value, at_least=0) for value in _to_tuple(argument, self.values))
        for size in self.sizes:
            if any(side % self.multiple for side in size):
                expected = "expected a divisor of both sides of every size"
                raise ArgumentError(f"multiple: {expected}, got {self.multiple} and {size}")
        if not self.sizes or len(self.sizes) != len(self.values):
            got = f"got {len(self.values)} for {len(self.sizes)} sizes"
            raise ArgumentError(f"values: expected one for each size, {got}")
        if self.rule == "mix":
            parse_number("sum of the weights", sum(self.values), above=0)
        elif self.values[0] != 0 or any(not before <= after <= 1 for before, after in pairwise(self.values)):
            raise ArgumentError(f"progress: expected values that rise from 0 to at most 1, got {self.values}")

    @classmethod
    def linear(cls, start: Size, end: Size, *, until: float = 1.0, multiple: int = 1) -> ResolutionSchedule:
        """Linear from ``start`` to ``end``, which is reached at progress ``until`` and kept.

        Args:
            start: (height, width) in pixels, or one int for a square.
            end: (height, width) in pixels, or one int for a square.
            until: in (0, 1].
            multiple: both sides are the nearest multiple of it, in pixels.
        """
        until = parse_number("until", until, above=0, at_most=1)
        return cls("linear", (parse_size(start), parse_size(end)), (0.0, until), multiple=multiple)

    @classmethod
    def step(cls, start: Size, end: Size, *, steps: int, until: float = 1.0, multiple: int = 1) -> ResolutionSchedule:
        """``steps`` equally spaced sizes from ``start`` to ``end``, held equally long until ``until``; then ``end``.

        Args:
            start: (height, width) in pixels, or one int for a square.
            end: (height, width) in pixels, or one int for a square.
            steps: how many sizes, at least 2.
            until: in (0, 1].
            multiple: both sides are the nearest multiple of it, in pixels.

        Example:
            >>> schedule = ResolutionSchedule.step(128, 224, steps=4, multiple=32)
            >>> [schedule(progress)[0] for progress in (0, 0.25, 0.5, 0.75, 1)]
            [128, 160, 192, 224, 224]
        """
        steps = parse_int("steps", steps, at_least=2, at_most=MAX_REPEATS)
        until = parse_number("until", until, above=0, at_most=1)
        ramp = cls.linear(start, end, multiple=multiple)
        sizes = tuple(ramp(index / (steps - 1)) for index in range(steps))
        return cls("hold", sizes, tuple(until * index / steps for index in range(steps)), multiple=multiple)

    @classmethod  # keys are Any because to a type checker a dict[int, int] is no Mapping[float, Size]
    def stages(cls, sizes: Mapping[Any, Size]) -> ResolutionSchedule:
        """Use each size from its progress on, as in ``{0: 128, 0.4: 160, 0.8: 224}``."""
        _check_mapping(sizes)
        return cls("hold", tuple(parse_size(size) for size in sizes.values()), tuple(sizes))

    @classmethod
    def cyclic(cls, low: Size, high: Size, *, cycles: int, multiple: int = 1) -> ResolutionSchedule:
        """``cycles`` times linear from ``low`` to ``high``, so that training ends with ``high``.

        Args:
            low: (height, width) in pixels, or one int for a square.
            high: (height, width) in pixels, or one int for a square.
            cycles: number of rises.
            multiple: both sides are the nearest multiple of it, in pixels.
        """
        check_positive("cycles", cycles, at_most=MAX_REPEATS)
        knots = [(index + end) / cycles for index in range(cycles) for end in (0, 1)]
        return cls("linear", (parse_size(low), parse_size(high)) * cycles, tuple(knots), multiple=multiple)

    @classmethod
    def mix(cls, sizes: Mapping[Any, float], *, seed: int = 0) -> ResolutionSchedule:
        """A random size at every progress, drawn by its weight (Hoffer et al. 2019, "Mix & Match", section 4).

        Equal progress gives equal sizes, on every rank and in every run with the same seed.

        Args:
            sizes: a dict from size, as (height, width) in pixels or one int for a square, to weight, such as
                ``{32: 0.3, 48: 0.2, 24: 0.3, 16: 0.2}``.
            seed: selects the sequence of draws.
        """
        _check_mapping(sizes)
        return cls("mix", tuple(parse_size(size) for size in sizes), tuple(sizes.values()), seed=seed)

    def __call__(self, progress: float) -> tuple[int, int]:
        """(height, width) in pixels when ``progress``, from 0 to 1, of the training is done."""
        progress = parse_number("progress", progress, at_least=0, at_most=1)
        if self.rule == "mix":
            return self._draw(progress)
        last = bisect_right(self.values, progress) - 1
        if self.rule == "hold" or last + 1 == len(self.values):
            return self.sizes[last]
        share = (progress - self.values[last]) / (self.values[last + 1] - self.values[last])
        height, width = (
            nearest_multiple(a + share * (b - a), self.multiple)
            for a, b in zip(self.sizes[last], self.sizes[last + 1], strict=True)
        )
        return height, width

    def _draw(self, progress: float) -> tuple[int, int]:
        """Draw with a hash of the seed and the progress: torch's generators keep only 32 bits of a seed."""
        digest = hashlib.blake2b(f"{self.seed} {progress!r}".encode(), digest_size=6).digest()
        bounds = list(accumulate(self.values))
        return self.sizes[bisect_right(bounds, int.from_bytes(digest, "big") / 2**48 * bounds[-1])]

    @property
    def largest(self) -> tuple[int, int]:
        """The (height, width) of the largest area among ``sizes``."""
        return max(self.sizes, key=math.prod)

    def state_dict(self) -> dict[str, Any]:
        """Return the arguments as plain values that can be stored as JSON."""
        return {**vars(self), "sizes": [list(size) for size in self.sizes], "values": list(self.values)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the arguments that ``state_dict`` returned.

        Raises:
            CheckpointError: a state that does not describe a schedule.
        """
        try:
            loaded = ResolutionSchedule(**state)
        except (TypeError, ArgumentError) as error:
            raise CheckpointError(f"ResolutionSchedule: {error}") from None
        vars(self).update(vars(loaded))


def parse_seed(seed: object) -> int:
    """``seed`` as an int if torch's generators take it; otherwise raise ArgumentError."""
    return parse_int("seed", seed, at_least=-(2**63), at_most=2**63 - 1)


def _to_tuple(argument: str, values: Any) -> tuple[Any, ...]:
    try:
        return tuple(values)
    except TypeError:
        raise ArgumentError(f"{argument}: expected a list or a tuple, got {values!r}") from None


def _check_mapping(sizes: object) -> None:
    if not isinstance(sizes, Mapping):
        raise ArgumentError(f"sizes: expected a dict, got {sizes!r}")
