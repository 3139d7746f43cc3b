"""Mutants: copies of a source file with one small fault each, to see whether the tests find it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_PAIRS = [(ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)]
_PAIRS += [(ast.And, ast.Or), (ast.Add, ast.Sub), (ast.Mult, ast.Div)]
_SWAPS = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
_SWAPS |= dict.fromkeys((ast.FloorDiv, ast.Mod, ast.Pow), ast.Mult)
_LEFT_OUT = (ast.JoinedStr, ast.Raise)  # messages
_FIELDS_LEFT_OUT = ("annotation", "returns", "decorator_list")


def count_mutants(source: str) -> int:
    """How many mutants a source file has.

    Comparisons, arithmetic and "and" are swapped, numbers grow by one, booleans flip, "not" and "-" are left out, and
    so are calls whose result is not used, such as checks. Types, messages of errors and names are not changed.
    """
    return len(list(_mutable(ast.parse(source))))


def mutant(source: str, index: int) -> tuple[str, str]:
    """What the mutant of that number changes, and its source."""
    tree = ast.parse(source)
    node = list(_mutable(tree))[index]
    before, line = ast.unparse(node), getattr(node, "lineno", 0)
    _mutate(node)
    return f"line {line}: {before} -> {ast.unparse(node)}", ast.unparse(tree)


def _mutable(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that can be changed, without those in types and messages."""
    if isinstance(node, _LEFT_OUT):
        return
    if _is_mutable(node):
        yield node
    for name, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        for child in children if name not in _FIELDS_LEFT_OUT else ():
            if isinstance(child, ast.AST):
                yield from _mutable(child)


def _is_mutable(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return type(node.ops[0]) in _SWAPS
    if isinstance(node, (ast.BoolOp, ast.BinOp)):
        return type(node.op) in _SWAPS
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, (ast.Not, ast.USub))
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (bool, int, float))
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def _mutate(node: ast.AST) -> None:
    """Change a node in place."""
    if isinstance(node, ast.Compare):
        node.ops[0] = _SWAPS[type(node.ops[0])]()
    elif isinstance(node, (ast.BoolOp, ast.BinOp)):
        node.op = _SWAPS[type(node.op)]()
    elif isinstance(node, ast.UnaryOp):
        node.operand = ast.UnaryOp(node.op, node.operand)  # twice, so not at all
    elif isinstance(node, ast.Constant):
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1
    elif isinstance(node, ast.Expr):
        node.value = ast.Constant(None)
