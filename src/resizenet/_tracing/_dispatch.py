"""Follows the map through the operations of a model: a dispatch mode that knows the layout of every tensor made from the image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from ._compute_rules import SUMS
from ._layout import Layout
from ._shape_rules import MOVES, PARTS, cellwise, lost
from ._table import Known

_RULES = {**MOVES, **SUMS}

aten = torch.ops.aten
_MAKES_NEW = {
    *(aten.new_zeros, aten.new_ones, aten.new_empty, aten.new_full, aten.new_empty_strided),
    *(aten.zeros_like, aten.ones_like, aten.empty_like, aten.full_like, aten.rand_like, aten.randn_like),
}
_NEEDS_VALUES = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
_INDEXING = {aten.index, aten.index_put, aten.index_put_}  # by masks with values, too, which they need


class Follower(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its hook untyped
    """Notes in ``known`` what becomes of the image (B, C, H, W)."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.known = Known()
        self.known[image] = Layout.image(image.shape)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        op = func.overloadpacket
        args, kwargs = _on_meta(op, args, kwargs or {})
        try:
            out = func(*args, **kwargs)
        except RuntimeError as error:
            if _NEEDS_VALUES.isdisjoint(func.tags):
                raise
            raise NotImplementedError(f"{op} needs values") from error
        if not self.known.among((args, kwargs)) or op in _MAKES_NEW:
            return out
        if op in PARTS:
            PARTS[op](self.known, args, out)
            return out
        rule = _RULES.get(op) or (cellwise if _is_pointwise(func) else lost)
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                layout = rule(self.known, args, tensor)
                self.known[tensor] = (
                    layout if layout.shape == tuple(tensor.shape) else Layout.lost(tensor.shape, layout.reach)
                )
        return out


def _on_meta(op: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Tensors that meet one on meta lose their values: constants that a forward makes or holds."""
    meet = any(isinstance(leaf, Tensor) and leaf.is_meta for leaf in tree_leaves((args, kwargs)))
    return (
        tree_map_only(Tensor, lambda tensor: tensor.to("meta"), (args, kwargs))
        if meet and op not in _INDEXING
        else (args, kwargs)
    )


def _is_pointwise(func: Any) -> bool:
    """Some in-place operations lack the tag that their others have: hardtanh_ in torch 2.6, gelu_ in 2.15."""
    name = func.overloadpacket.__name__
    other = getattr(getattr(aten, name.removesuffix("_"), None), func._overloadname, func)
    return torch.Tag.pointwise in func.tags or torch.Tag.pointwise in other.tags
