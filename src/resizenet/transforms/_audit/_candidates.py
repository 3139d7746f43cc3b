"""Every resize that a pipeline may have: library, interpolation, antialias, and the dtype that it works on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from ...functional import INTERPOLATIONS, OnnxResize, resize
from ...functional._interpolation import Like, parse_rule
from ...functional._libraries import library_rules

Work = Literal["uint8", "floats", "floats, then rounded", "floats, then cut off"]
WORKS: tuple[Work, ...] = ("uint8", "floats", "floats, then rounded", "floats, then cut off")


@dataclass(frozen=True)
class Candidate:
    """A resize by name."""

    like: Like
    interpolation: Any
    antialias: bool
    explicit: bool

    def __str__(self) -> str:
        setting = f", antialias={self.antialias}" if self.explicit else ""
        if isinstance(self.like, OnnxResize):
            return f"onnx {self.interpolation}, {self.like.coordinate_transformation_mode}{setting}"
        return f"{self.like} {self.interpolation}{setting}"

    @property
    def arguments(self) -> str:
        """The arguments of ``functional.resize`` and of the transforms."""
        setting = f", antialias={self.antialias}" if self.explicit else ""
        like = f'"{self.like}"'
        if isinstance(self.like, OnnxResize):
            like = f'OnnxResize(coordinate_transformation_mode="{self.like.coordinate_transformation_mode}")'
        return f'interpolation="{self.interpolation}"{setting}, like={like}'

    def resize(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """The resize of (B, C, H, W), uint8 or floating."""
        rule = {"interpolation": self.interpolation, "antialias": self.antialias, "like": self.like}
        return resize(image, size, **rule)

    def results(self, image: Tensor, size: tuple[int, int]) -> Iterator[tuple[Work, Tensor]]:
        """The resize of a uint8 image on floats, with the ways back to uint8, and then on uint8, in levels."""
        floats = self.resize(image.float(), size).double()
        yield "floats", floats
        yield "floats, then rounded", floats.round().clamp(0, 255)
        # sums that are whole in exact arithmetic come out a little too small
        yield "floats, then cut off", (floats + 1e-4).floor().clamp(0, 255)
        yield "uint8", self.resize(image, size).double()


def all_candidates() -> list[Candidate]:
    """Pillow first, then OpenCV and torch, because names of the first ones are the most common."""
    own = [
        Candidate("torch", name, antialias, name != "nearest-exact")
        for name in INTERPOLATIONS
        for antialias in ((True, False) if name != "nearest-exact" else (True,))
    ]
    others = [Candidate(*rule) for rule in library_rules()]
    split = sum(candidate.like in ("pillow", "pillow-12", "opencv") for candidate in others)
    return [*others[:split], *own, *others[split:]]


def parse_candidate(text: str) -> tuple[Candidate, tuple[int, int] | None]:
    """Read "opencv area", "pillow bilinear 224" or "torch bicubic 224x320": a candidate and its size, if it has one."""
    words = text.split()
    size = None
    if words and words[-1].replace("x", "").isdigit():
        sides = [int(side) for side in words.pop().split("x")]
        size = (sides[0], sides[-1])
    like, interpolation = [*words, "bilinear"][:2] if words else ("", "")
    candidate = Candidate(like, interpolation, parse_rule(interpolation, None, like), False)  # type: ignore[arg-type]
    return candidate, size
