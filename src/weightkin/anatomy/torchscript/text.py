"""Classes and functions of a program, by their full names; attributes with their types."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field


class NotRead(Exception):  # noqa: N818 (not an error: there is no graph then)
    """A program that is not followed."""


@dataclass(frozen=True, slots=True)
class Written:
    """One class."""

    attributes: Mapping[str, str]  # name: type, as it is written
    constants: Mapping[str, object]  # of attributes that never change
    methods: Mapping[str, ast.FunctionDef]


@dataclass(slots=True)
class Program:
    """All classes and functions of a program."""

    classes: dict[str, Written] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)


def parsed(texts: Mapping[str, str]) -> Program:
    """Return the classes and functions of a program.

    Raises
    ------
    NotRead
        It is no text of such a program, or nested too deeply.
    """
    found = Program()
    for module, text in texts.items():
        try:
            body = ast.parse(text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise NotRead(f"{module} cannot be parsed") from None
        for item in body:
            if isinstance(item, ast.ClassDef):
                found.classes[f"{module}.{item.name}"] = _class(item)
            elif isinstance(item, ast.FunctionDef):
                found.functions[f"{module}.{item.name}"] = item
    return found


def _class(item: ast.ClassDef) -> Written:
    attributes: dict[str, str] = {}
    constants: dict[str, object] = {}
    for x in item.body:
        match x:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value)):
                constants[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind):
                attributes[name] = _type(kind)
            case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=name))], value=kind):
                attributes[str(name)] = _type(kind)  # of names that are numbers
    methods = {x.name: x for x in item.body if isinstance(x, ast.FunctionDef)}
    return Written(attributes, constants, methods)


def _type(node: ast.expr) -> str:
    """A type as it is written; of one with others inside, what stands before these."""
    return dotted(node.value if isinstance(node, ast.Subscript) else node)


def dotted(node: ast.expr) -> str:
    """A name with dots; empty where an expression is none."""
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    return ".".join((node.id, *reversed(words))) if isinstance(node, ast.Name) else ""
