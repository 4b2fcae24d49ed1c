"""Makes the pictures of docs/gallery.md from HTML reports, with chromium.

    python docs/pictures/make.py

Each picture is a part of the report that the command of the gallery writes with `--html`.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
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


def report(command: str, folder: Path) -> Path:
    """The report of a command, written into a folder."""
    file = folder / "report.html"
    file.unlink(missing_ok=True)
    words = [sys.executable, "-m", "weightkin", *shlex.split(command), "--html", str(file), "-q"]
    done = subprocess.run(words, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
    if done.returncode > 1:  # 1: a policy was hit, which is a report like any other
        raise SystemExit(f"{command}: exit code {done.returncode}")
    return file


def take(page: Page, file: Path, part: str, target: Path) -> None:
    """A picture of one part of a page."""
    page.set_viewport_size(SCREEN if part == TOP else COLUMN)
    page.goto(file.as_uri())
    if part == TOP:
        page.screenshot(path=target)
    else:
        page.locator(part).first.screenshot(path=target)


def main() -> None:
    """Make all pictures."""
    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(java_script_enabled=False)
        for name, (part, command) in PICTURES.items():
            take(page, report(command, Path(folder)), part, HERE / name)
        browser.close()


if __name__ == "__main__":
    main()
