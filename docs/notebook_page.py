"""Runs docs/examples/first-look.ipynb, keeps what it shows, and writes docs/first-look.md from it.

    python docs/notebook_page.py

Cells run in order in one namespace, as a notebook does it, without Jupyter.
"""

from __future__ import annotations

import ast
import contextlib
import html
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NOTEBOOK = HERE / "examples" / "first-look.ipynb"
PAGE = HERE / "first-look.md"
OPENING = "Written by `docs/notebook_page.py` from [the notebook](examples/first-look.ipynb)."
VARIES = re.compile(r"\b\d+(\.\d+)? s\b|(?<=weightkin )\d\S*")  # by the clock; the version
Notebook = dict[str, Any]


def executed(notebook: Notebook) -> Notebook:
    """The notebook with the outputs of a run in the current folder."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = []
    n = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            n += 1
            outputs = list(_outputs("".join(cell["source"]), names, n))
            cell = {**cell, "execution_count": n, "outputs": outputs}
        cells.append(cell)
    return {**notebook, "cells": cells}


def _outputs(source: str, names: dict[str, Any], n: int) -> Iterator[dict[str, Any]]:
    """What one cell prints, and the value of its last line."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    value = None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, f"cell {n}", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"cell {n}", "eval"), names)
    if text := printed.getvalue():
        yield {"name": "stdout", "output_type": "stream", "text": _lines(text)}
    if value is not None:
        data = {"text/plain": _lines(repr(value))}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = _lines(_without_report(value._repr_html_()))
        yield {"data": data, "execution_count": n, "metadata": {}, "output_type": "execute_result"}


def _without_report(shown: str) -> str:
    """The words that a record begins with: its report would make the file large."""
    return shown.partition("<details>")[0]


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def comparable(notebook: Notebook) -> list[list[str]]:
    """The texts that each code cell shows, without what differs from run to run."""
    shown = []
    for cell in notebook["cells"]:
        texts = []
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            texts += [data[kind] for kind in sorted(data)] or [output["text"]]
        shown.append([VARIES.sub("…", "".join(text)) for text in texts])
    return shown


def page(notebook: Notebook) -> str:
    """The notebook as a page of the site."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source.replace("](../", "]("))
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            text = "".join(output["text"]) if "text" in output else _words(output["data"])
            parts.append(f"```text\n{text.strip(chr(10))}\n```")
    title, *rest = parts
    return "\n\n".join([title, OPENING, *rest]) + "\n"


def _words(data: dict[str, list[str]]) -> str:
    """A value as text: of a record the words that it is shown with."""
    shown = "".join(data.get("text/html", ()))
    if not shown.startswith("<p><strong>"):
        return "".join(data["text/plain"])
    return html.unescape(re.sub(r"</?(strong|pre|p)>", "", shown.replace("</p>", "\n")))


def main() -> None:
    """Run the notebook and write both files."""
    os.chdir(NOTEBOOK.parent)
    notebook = executed(json.loads(NOTEBOOK.read_text(encoding="utf-8")))
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    NOTEBOOK.write_text(f"{text}\n", encoding="utf-8")
    PAGE.write_text(page(notebook), encoding="utf-8")


if __name__ == "__main__":
    main()
