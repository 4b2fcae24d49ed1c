"""Small changes of Python code that a test should notice: one operator, constant or answer each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
# what is said to people, to type checkers and to caches: no test has to notice a change there
LEFT_OUT = (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)
FLAGS_LEFT_OUT = {"strict", "copy", "slots", "kw_only"}


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change: the place in the text, in bytes of UTF-8, and the new text."""

    line: int
    start: int
    stop: int
    old: str
    new: str
    is_in_function: bool  # its line runs when a test calls it, not when the module is imported

    def apply(self, text: str) -> str:
        """The whole text after the change."""
        raw = text.encode()
        return (raw[: self.start] + self.new.encode() + raw[self.stop :]).decode()


def mutations(text: str) -> list[Mutation]:
    """Every change of a module, in the order of its text."""
    raw = text.encode()
    starts = [0]
    for line in raw.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, changed, is_in_function in _changes(ast.parse(text), False):
        start = starts[node.lineno - 1] + node.col_offset
        stop = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        old = raw[start:stop].decode()
        new = ast.unparse(ast.fix_missing_locations(changed))
        new = f"({new})" if isinstance(changed, ast.expr) else new
        found.append(Mutation(node.lineno, start, stop, old, new, is_in_function))
    return sorted(found, key=lambda x: (x.start, x.stop, x.new))


def _changes(
    tree: ast.AST, is_in_function: bool
) -> Iterator[tuple[ast.expr | ast.stmt, ast.expr | ast.stmt, bool]]:
    """Nodes, what each becomes, and whether it stands in a function."""
    for node in _children(tree):
        inside = is_in_function or isinstance(node, ast.FunctionDef | ast.Lambda)
        inside = inside and not isinstance(node, ast.arguments)  # defaults are made at import
        if isinstance(node, ast.expr | ast.stmt):
            for changed in _changed(node):
                yield node, changed, is_in_function
        yield from _changes(node, inside)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes inside one, without annotations, decorators, messages and texts."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            is_for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            is_flag = isinstance(child, ast.keyword) and child.arg in FLAGS_LEFT_OUT
            is_left_out = isinstance(child, LEFT_OUT) or is_for_types or is_flag
            if isinstance(child, ast.AST) and not is_left_out:
                yield child


def _changed(node: ast.expr | ast.stmt) -> Iterator[ast.expr | ast.stmt]:
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            ops = [*node.ops[:i], SWAPS[type(op)](), *node.ops[i + 1 :]]
            yield ast.Compare(node.left, ops, node.comparators)  # type: ignore[arg-type]
    elif isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
        is_text = isinstance(node.op, ast.BitOr) and isinstance(node.right, ast.Name)
        if not is_text or node.right.id[:1].islower():  # type: ignore[attr-defined]
            yield ast.BinOp(node.left, SWAPS[type(node.op)](), node.right)  # type: ignore[arg-type]
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(SWAPS[type(node.op)](), node.values)  # type: ignore[arg-type]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        yield ast.Constant(_other(node.value))
    elif isinstance(node, ast.Return) and node.value is not None:
        is_none = isinstance(node.value, ast.Constant) and node.value.value is None
        if not is_none:
            yield ast.Return(ast.Constant(None))


def _other(value: bool | int | float) -> bool | int | float:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return 2 * value if value else 1.0
