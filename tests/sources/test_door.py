"""Claim: one function opens the files of a model; whatever else opens a file is listed here."""

import ast
from pathlib import Path

import weightkin

SOURCE = Path(weightkin.__file__).parent
OPENERS = {
    *("open", "fdopen", "FileIO", "read_bytes", "read_text", "mmap", "memmap", "fromfile"),
    *("genfromtxt", "loadtxt", "safe_open", "load_file", "from_file", "from_pretrained"),
    *("ZipFile", "TarFile", "Unpickler", "unpack_archive"),
}
LOADERS = {("np", "load"), ("torch", "load"), ("json", "load"), ("pickle", "load")}
WRITING = {"w", "wb", "x", "xb", "a", "ab"}
ALLOWED = {
    ("sources/local.py", "os.open"): "the door",
    ("sources/local.py", "io.FileIO"): "the door, on what it opened",
    ("sources/local.py", "np.memmap"): "a strided tensor, on what the door opened",
    ("formats/zip_archive.py", "zipfile.ZipFile"): "a directory, read through a file of the door",
    ("papers/loading.py", "chosen.from_pretrained"): "a library runs the model (extra torch)",
    ("registry/copies.py", "os.open"): "the registry's own file",
    ("registry/copies.py", "np.fromfile"): "the registry's own file",
    ("registry/blocks.py", "os.open"): "the registry's own file",
    ("registry/blocks.py", "np.memmap"): "the registry's own file",
    ("registry/transfer_archive.py", "zipfile.ZipFile"): "what `export` of a registry wrote",
    ("evidence/controls.py", "shipped.read_text"): "controls in the package",
    ("api/controls_list.py", "shipped.read_text"): "a list in the package",
    ("cli/streams.py", "os.open"): "no file: where lost output goes",
    ("catalogue/table.py", "path.read_bytes"): "a file of the package",
    ("catalogue/names_table.py", "path.read_bytes"): "a file of the package",
    ("catalogue/names_table.py", "read_bytes"): "a file of the package",
    ("catalogue/store.py", "file.read_bytes"): "a file of the package",
    ("lineage/posterior.py", "read_bytes"): "a file of the package",
    ("report/html/environment.py", "read_bytes"): "a file of the package",
}


def _written(function: ast.expr) -> str:
    """How a call is written: its dotted name, or its last part where something else is called."""
    parts = []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if isinstance(function, ast.Name):
        return ".".join([function.id, *reversed(parts)])
    return parts[0] if parts else ""


def _opens(call: ast.Call) -> str | None:
    name = _written(call.func)
    *before, last = name.split(".")
    if last not in OPENERS and (before[-1] if before else "", last) not in LOADERS:
        return None
    modes = {x.value for x in ast.walk(call) if isinstance(x, ast.Constant)}
    return None if last == "open" and modes & WRITING else name


def test_one_function_opens_what_a_model_is_read_from():
    found = {
        (path.relative_to(SOURCE).as_posix(), name)
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and (name := _opens(node))
    }
    assert found == set(ALLOWED)
