"""Mutants of a Python module: one small change each, made in its syntax tree.

A mutant is a *check* mutant if it takes a check away or weakens it: a condition that leads to a refusal or an
early answer is never met, one operand of a conjunction is dropped, a comparison is turned or moved by one, a
call made only for what it refuses is left out. Every other mutant changes a number, a flag or an answer.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

MODULE = "<module>"
_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
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
}
_SHOWN = 110


@dataclass(frozen=True)
class Mutant:
    """One change. ``place`` is the qualified name of the function it lies in; ``lines`` those it concerns."""

    module: str
    place: str
    before: str
    after: str
    check: bool
    lines: tuple[int, int]
    apply: Callable[[], None]

    @property
    def key(self) -> str:
        """What an explanation names it by: no line number, so that it lives as long as the text does."""
        return f"{self.module} | {self.place} | {self.before} | {self.after}"


def mutants_of(module: str, tree: ast.Module) -> list[Mutant]:
    """Every mutant of a parsed module. ``apply`` changes ``tree`` and is called at most once, in a fork."""
    found: list[Mutant] = []
    _Walk(module, found).visit_body(tree, MODULE)
    return found


class _Walk:
    def __init__(self, module: str, found: list[Mutant]) -> None:
        self._module = module
        self._found = found

    def visit_body(self, node: ast.AST, place: str) -> None:
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "type_comment"):
                continue
            for index, child in _children(value):
                self._visit(child, _setter(node, field, index), place, in_check=False)

    def _visit(self, node: ast.AST, put: Callable[[ast.AST], None], place: str, *, in_check: bool) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = node.name if place == MODULE else f"{place}.{node.name}"
            return self.visit_body(node, inner)
        if _is_docstring(node) or _is_text_only(node):
            return None
        for mutant in self._of(node, put, place, in_check=in_check):
            self._found.append(mutant)
        in_check = in_check or isinstance(node, ast.BoolOp)
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "ctx", "ops", "keywords") and field != "keywords":
                continue
            inside = in_check or (field == "test" and isinstance(node, ast.If) and _leaves(node.body))
            inside = inside and not (isinstance(node, ast.If) and field != "test")
            for index, child in _children(value):
                if isinstance(child, ast.AST):
                    self._visit(child, _setter(node, field, index), place, in_check=inside)
        return None

    def _of(
        self, node: ast.AST, put: Callable[[ast.AST], None], place: str, *, in_check: bool
    ) -> Iterator[Mutant]:
        def made(after: str, apply: Callable[[], None], *, check: bool) -> Mutant:
            line: int = getattr(node, "lineno", 1)
            lines = (line, getattr(node, "end_lineno", line) if not isinstance(node, ast.If) else line)
            return Mutant(self._module, place, _text(node), after, check, lines, apply)

        if isinstance(node, ast.If):
            never = ast.copy_location(ast.Constant(value=False), node.test)
            yield made("never", lambda: setattr(node, "test", never), check=_leaves(node.body))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield made(
                "left out", lambda: put(ast.copy_location(ast.Pass(), node)), check=_refuses(node.value)
            )
        if isinstance(node, ast.BoolOp):
            for index, operand in enumerate(node.values):
                left = [value for at, value in enumerate(node.values) if at != index]
                check = in_check or not _is_default(node)
                yield made(f"without: {_text(operand)}", _fewer(node, left, put), check=check)
        if isinstance(node, ast.Compare):
            for index, operator in enumerate(node.ops):
                turned = _TURNED[type(operator)]()
                yield made(
                    f"with {type(turned).__name__} at {index}",
                    lambda index=index, turned=turned: node.ops.__setitem__(index, turned),  # type: ignore[misc]
                    check=in_check,
                )
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield made(_text(node.operand), lambda: put(node.operand), check=in_check)
        if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
            none = ast.copy_location(ast.Constant(value=None), node.value)
            yield made("return None", lambda: setattr(node, "value", none), check=False)
        if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
            for value in _others(node.value):
                other = ast.copy_location(ast.Constant(value=value), node)
                yield made(repr(value), lambda other=other: put(other), check=in_check)  # type: ignore[misc]


def _is_default(node: ast.BoolOp) -> bool:
    """``given or {}``: a choice of value, not a condition."""
    literal = isinstance(node.values[-1], ast.Constant | ast.Dict | ast.List | ast.Tuple)
    return isinstance(node.op, ast.Or) and literal


def _fewer(node: ast.BoolOp, left: list[ast.expr], put: Callable[[ast.AST], None]) -> Callable[[], None]:
    """Keep these operands only; one alone is no conjunction any more."""
    return (lambda: put(left[0])) if len(left) == 1 else (lambda: setattr(node, "values", left))


def _others(value: Any) -> tuple[Any, ...]:
    return (not value,) if isinstance(value, bool) else (value + 1, value - 1)


def _children(value: Any) -> Iterator[tuple[int | None, Any]]:
    if isinstance(value, list):
        yield from ((index, child) for index, child in enumerate(value) if isinstance(child, ast.AST))
    elif isinstance(value, ast.AST):
        yield None, value


def _setter(node: ast.AST, field: str, index: int | None) -> Callable[[ast.AST], None]:
    def put(new: ast.AST) -> None:
        if index is None:
            setattr(node, field, new)
        else:
            getattr(node, field)[index] = new

    return put


def _leaves(body: list[ast.stmt]) -> bool:
    """Whether a branch refuses or answers: what comes after the condition is not reached."""
    return isinstance(body[-1], ast.Raise | ast.Return | ast.Continue)


def _refuses(call: ast.Call) -> bool:
    """Whether a call that stands alone is there for what it refuses, by its name."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return any(word in name for word in ("check", "refuse", "require", "verify", "validate"))


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_text_only(node: ast.AST) -> bool:
    """Imports, annotations without a value, and the words of an error."""
    return isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr) or (
        isinstance(node, ast.AnnAssign) and node.value is None
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _text(node: ast.AST) -> str:
    """The node on one line; of a branch the condition alone."""
    if isinstance(node, ast.If):
        return f"if {_text(node.test)}"
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
