"""Rebuild every model that needs no training: ``python zoo/derive.py``.

Needs numpy and ml-dtypes only. What is there with the right digest is left alone; a digest that
differs from `truth.json` is an error. ``--record`` writes the digests instead of checking them.
"""

import sys
from pathlib import Path
from typing import Any

from derivations import DERIVATIONS, Derivation
from folders import Folder, digests, read_folder, write_folder
from truth import ROOT, load, record

DIGESTS = ("digest", "config_digest")


def main() -> int:
    """Build, check or record; return the exit status."""
    if "--record" in sys.argv[1:]:
        record_trained()
        for derivation in DERIVATIONS:
            record(derivation.name, truth_of(derivation, build(derivation, ROOT), ROOT))
        return 0
    wrong = derive(ROOT)
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(DERIVATIONS)} derived models, {len(wrong)} wrong")
    return 1 if wrong else 0


def derive(target: Path) -> list[str]:
    """Build what is missing under `target`; return one line for each digest that is wrong."""
    truth = load()
    wrong = [line for name in truth if (line := wrong_digest(truth[name], ROOT, "models/"))]
    for derivation in DERIVATIONS:
        entry = truth[derivation.name]
        if wrong_digest(entry, target):
            build(derivation, target)
        if line := wrong_digest(entry, target):
            wrong.append(line)
    return wrong


def wrong_digest(entry: dict[str, Any], root: Path, prefix: str = "") -> str:
    """Return what differs between a folder and its entry; nothing for other prefixes."""
    if not entry["path"].startswith(prefix):
        return ""
    found = digests(root / entry["path"])
    expected = {key: entry[key] for key in DIGESTS}
    return "" if found == expected else f"{entry['path']}: found {found}, expected {expected}"


def build(derivation: Derivation, target: Path) -> Folder:
    """Make one model and write its folder."""
    inputs = (read_folder(place(name, target)) for name in derivation.inputs)
    folder = derivation.make(*inputs)
    write_folder(folder, place(derivation.name, target))
    return folder


def place(name: str, target: Path) -> Path:
    """Where a model is: derived ones under `target`, trained ones in the zoo."""
    is_derived = any(name == derivation.name for derivation in DERIVATIONS)
    return target / "derived" / name if is_derived else ROOT / "models" / name


def truth_of(derivation: Derivation, folder: Folder, target: Path) -> dict[str, Any]:
    """Return everything that is known about a derived model, over what its training left."""
    truth = load()
    origins = {origin for name in derivation.parents for origin in truth[name]["origins"]}
    known = truth.get(derivation.name, {"trained": False})
    entry = {
        "kind": derivation.kind,
        "parents": [{"name": name, "weight": w} for name, w in derivation.parents.items()],
        "origins": sorted(origins),
        "family": "+".join(sorted(origins)),
        "architecture": folder.config["model_type"],
        "kind_details": known.get("kind_details", {}) | folder.details,
        "path": f"derived/{derivation.name}",
    }
    base = set(derivation.inputs) - set(derivation.parents)
    if derivation.kind == "merged" and base:
        entry["kind_details"]["base"] = base.pop()
    return known | entry | digests(place(derivation.name, target))


def record_trained() -> None:
    """Add digests and families to the entries that training left."""
    for name, entry in load().items():
        if entry["path"].startswith("models/"):
            family = "+".join(sorted(entry["origins"]))
            record(name, entry | {"family": family} | digests(ROOT / entry["path"]))


if __name__ == "__main__":
    sys.exit(main())
