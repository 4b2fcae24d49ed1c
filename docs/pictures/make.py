"""Makes the pictures of docs/gallery.md and docs/serve.md, with chromium.

    python docs/pictures/make.py                    # all of them
    python docs/pictures/make.py serve-home.png     # those named

Each is a part of the report that the command of the gallery writes with `--html`, or a page that
`weightkin serve` shows of a registry of models of the zoo, some of which declare a parent or a
licence that their weights contradict. family.png, which lies in docs, is what `tree --png` draws of
the models of `make demo`.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SCREEN = {"width": 1000, "height": 620}
COLUMN = {"width": 600, "height": 620}  # of a figure alone
TOP = "the first screen"
PICTURES = {  # file: the part of the report it shows, and the command
    "compare.png": (TOP, "compare zoo/models/llama-a zoo/models/llama-a-ft3"),
    "blocks.png": ("figure", "compare zoo/models/llama-a zoo/models/llama-a-ft3"),
    "locate.png": ("figure", "locate zoo/models/llama-a zoo/derived/llama-a-depth"),
    "first-look.png": (
        ".static",
        "tree zoo/models/llama-a zoo/models/llama-a-ft1 zoo/models/llama-b zoo/derived/llama-a-int4"
        " zoo/derived/llama-a-lora4 zoo/derived/llama-a-bf16 zoo/derived/llama-b-int4",
    ),
    "check.png": (TOP, "check zoo/models/llama-a-ft1 --deny zoo/models/llama-a"),
}
FAMILY = "family.png"
WINDOW = {"width": 1280, "height": 860}
PAGES = {  # file: the page of a server it shows, and what must be on it
    "serve-home.png": ("/", "td a.name"),
    "serve-family.png": ("/family", ".graph[data-ready]"),
    "serve-model.png": ("/models/llama-a-int4", ".path"),
}
REGISTERED = {  # models of the zoo, and the front matter of their cards
    "models/llama-a": "license: cc-by-nc-4.0",
    "models/llama-a-ft1": "license: cc-by-nc-4.0\nbase_model: llama-a",
    "models/llama-a-ft2": "",
    "models/llama-a-ft3": "",
    "derived/llama-a-int4": "license: apache-2.0\nbase_model: llama-b",
    "derived/llama-a-lora4": "license: mit\nbase_model: llama-a",
    "derived/llama-a-permuted": "",
    "derived/merge-slerp": "",
    "models/llama-b": "license: gpl-3.0",
    "models/llama-b-ft1": "license: mit\nbase_model: llama-b",
    "models/gpt-a": "license: mit",
    "models/gpt-a-ft1": "license: mit\nbase_model: gpt-a",
    "models/vit-a": "license: apache-2.0",
    "derived/vit-a-int8": "license: apache-2.0\nbase_model: vit-a",
    "models/moe-a": "license: mit",
}


def report(command: str, folder: Path) -> Path:
    """The report of a command, written into a folder."""
    file = folder / "report.html"
    file.unlink(missing_ok=True)
    words = [sys.executable, "-m", "weightkin", *shlex.split(command), "--html", str(file), "-q"]
    run(words)
    return file


def run(words: list[str]) -> None:
    """Run a command in the repository."""
    done = subprocess.run(words, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
    if done.returncode > 1:  # 1: a policy was hit, which is a report like any other
        raise SystemExit(f"{shlex.join(words)}: exit code {done.returncode}")


def take(page: Page, file: Path, part: str, target: Path) -> None:
    """A picture of one part of a page."""
    page.set_viewport_size(SCREEN if part == TOP else COLUMN)
    page.goto(file.as_uri())
    if part == TOP:
        page.screenshot(path=target)
    else:
        page.locator(part).first.screenshot(path=target)


def registry(folder: Path) -> Path:
    """A registry of copies of models of the zoo, with cards, and its family graph."""
    for place, card in REGISTERED.items():
        target = folder / "models" / Path(place).name
        shutil.copytree(ROOT / "zoo" / place, target)
        if card:
            (target / "README.md").write_text(f"---\n{card}\n---\n")
    file = folder / "registry.sqlite"
    models = [str(folder / "models" / Path(place).name) for place in REGISTERED]
    command = [sys.executable, "-m", "weightkin"]
    run([*command, "add", *models, "--registry", str(file), "-q"])
    run([*command, "tree", "--registry", str(file), "-q"])
    return file


@contextmanager
def served(file: Path) -> Iterator[str]:
    """The address of a server on a registry, which ends with the block."""
    words = ["serve", "--registry", str(file), "--port", "0"]
    command = [sys.executable, "-m", "weightkin", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip().rstrip("/")
        finally:
            process.terminate()


def visit(page: Page, address: str, name: str) -> None:
    """A picture of one page of a server; a model is found by its name."""
    where, sign = PAGES[name]
    page.goto(f"{address}{'/' if where.startswith('/models/') else where}")
    if where.startswith("/models/"):
        page.get_by_role("link", name=Path(where).name, exact=True).first.click()
    page.wait_for_selector(sign)
    page.screenshot(path=HERE / name)


def draw_family(folder: Path) -> None:
    """The picture of the family graph of all models of the zoo."""
    truth = json.loads((ROOT / "zoo" / "truth.json").read_text(encoding="utf-8"))
    models = [str(Path("zoo") / x["path"]) for x in truth.values()]
    file = folder / FAMILY
    run([sys.executable, "-m", "weightkin", "tree", *models, "--png", str(file), "-q"])
    shutil.move(file, HERE.parent / FAMILY)


def main() -> None:
    """Make all pictures, or those that are named."""
    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    wanted = sys.argv[1:] or [*PICTURES, *PAGES, FAMILY]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(java_script_enabled=False)
        for name in [x for x in wanted if x in PICTURES]:
            part, command = PICTURES[name]
            take(page, report(command, Path(folder)), part, HERE / name)
        if FAMILY in wanted:
            draw_family(Path(folder))
        pages = [x for x in wanted if x in PAGES]
        if pages:
            page = browser.new_page(viewport=WINDOW)
            with served(registry(Path(folder))) as address:
                for name in pages:
                    visit(page, address, name)
        browser.close()


if __name__ == "__main__":
    main()
