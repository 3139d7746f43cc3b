"""Traces the feature map through the operations of a model: a dispatch mode that knows every tensor's layout."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import flop_registry

from ._compute_rules import COMPUTE_RULES
from ._layout import Layout
from ._shape_rules import MULTI_OUTPUT_RULES, SHAPE_RULES, pointwise, untracked
from ._table import LayoutTable, Rule

aten = torch.ops.aten
_RULES: dict[Any, Rule] = {**SHAPE_RULES, **COMPUTE_RULES}
_FACTORIES = {  # take the shape of a tensor, and none of its positions
    *(aten.new_zeros, aten.new_ones, aten.new_empty, aten.new_full, aten.new_empty_strided),
    *(aten.zeros_like, aten.ones_like, aten.empty_like, aten.full_like, aten.rand_like, aten.randn_like),
}
_NEEDS_VALUES = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
_INDEXING = {aten.index, aten.index_put, aten.index_put_}  # by masks too, whose values they need


class LayoutTracer(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not annotate it
    """Records in ``table`` what every operation makes of an image (B, C, H, W).

    Operations on the parameters of the original model are refused. A forward that was replaced may hold the original.
    """

    def __init__(self, image: Tensor, originals: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._originals = set(map(id, originals))
        self.table = LayoutTable()
        self.table[image] = Layout.image(image.shape)
        self._rng_state = torch.get_rng_state()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        op, rule, kwargs = func.overloadpacket, _rule_of(func), kwargs or {}
        if rule is None and op not in MULTI_OUTPUT_RULES and func.namespace == "aten":
            with self:  # composite operations arrive here in inference mode
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if not self._originals.isdisjoint(map(id, inputs)):
            raise NotImplementedError("a forward that was replaced calls the model instead of its copy")
        if op not in _INDEXING and len({tensor.is_meta for tensor in inputs}) > 1:
            args, kwargs = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), (args, kwargs))
        try:
            out = self._call(func, args, kwargs)
        except RuntimeError as error:
            if _NEEDS_VALUES.isdisjoint(func.tags):
                raise
            raise NotImplementedError(f"{op} needs values") from error
        if op in flop_registry:
            self.table.add_macs(flop_registry[op](*args, **kwargs, out_val=out) // 2)
        if op not in _FACTORIES and any(tensor in self.table for tensor in inputs):
            if op in MULTI_OUTPUT_RULES:
                MULTI_OUTPUT_RULES[op](self.table, args, out)
            else:
                self._record(rule or untracked, args, out)
        return out

    def _call(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Call the operation.

        For batch norm in eval mode this only makes its outputs: its meta kernel takes 3 ms. Random numbers are drawn
        from a copy of torch's generator, as other threads may draw from it at the same time.
        """
        if func.overloadpacket is aten.native_batch_norm and args[0].is_meta and args[5] is False:
            return torch.empty_like(args[0]), args[0].new_empty(0), args[0].new_empty(0)
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._rng_state)
            out = func(*args, **kwargs)
            self._rng_state = torch.get_rng_state()
        return out

    def _record(self, rule: Rule, args: Any, out: Any) -> None:
        """Record the layouts of an operation's outputs."""
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                layout = rule(self.table, args, tensor)
                fits = layout.shape == tuple(tensor.shape)  # not so for the statistics that a norm also returns
                self.table[tensor] = layout if fits else Layout.untracked(tensor.shape, layout.reach)


@cache
def _rule_of(func: Any) -> Rule | None:
    """Return the rule of an operation with one output, or None.

    Some in-place operations lack the tag ``pointwise`` that their counterparts have: hardtanh_ in torch 2.6, gelu_ in
    2.15. Looking for the counterpart can go when all have it (https://github.com/pytorch/pytorch/pull/173869).
    """
    op = func.overloadpacket
    counterpart = getattr(getattr(aten, op.__name__.removesuffix("_"), None), func._overloadname, func)
    is_pointwise = torch.Tag.pointwise in func.tags or torch.Tag.pointwise in counterpart.tags
    return _RULES.get(op) or (pointwise if is_pointwise else None)
