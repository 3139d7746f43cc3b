"""The rules of all libraries other than torch, for those who compare them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ._dialects._onnx import OnnxResize
from ._dialects._table import DIALECTS

_OTHER_COORDINATES = (  # of torch's align_corners=True and of TensorFlow 1
    OnnxResize(coordinate_transformation_mode="align_corners"),
    OnnxResize(coordinate_transformation_mode="asymmetric"),
)


def library_rules() -> Iterator[tuple[Any, str, bool, bool]]:
    """(library, interpolation, antialias, whether the library has both settings of antialias)."""
    for name, dialect in DIALECTS.items():
        for interpolation in dialect.methods:
            for antialias in dialect.antialias:
                yield name, interpolation, antialias, len(dialect.antialias) > 1
    for like in _OTHER_COORDINATES:
        for interpolation in ("linear", "cubic"):
            yield like, interpolation, False, False
