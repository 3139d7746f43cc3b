"""The names of the interpolations."""

from __future__ import annotations

from typing import Literal, get_args

Interpolation = Literal["nearest-exact", "bilinear", "bicubic"]
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
