"""Measure every model on its family's base data and rewrite the tables of `README.md`.

Run ``python zoo/measure.py`` after `grow.py` and ``derive.py --record``. Needs ``[torch]``.
"""

import torch
import transformers

from families import chance, measure
from grow import CLASSES, rounded
from recipes import BASE_DATA
from truth import ROOT, Entry, load, record

README = ROOT / "README.md"
MARK = "<!-- below this line: written by zoo/measure.py -->\n"


def main() -> None:
    """Fill `base_loss` of every entry, then write the tables."""
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name, entry in load().items():
        record(name, entry | {"base_loss": base_loss(entry)})
    text = README.read_text(encoding="utf-8").split(MARK)[0]
    README.write_text(text + MARK + tables(load()), encoding="utf-8")


def base_loss(entry: Entry) -> dict[str, float]:
    """Held-out loss of a model in float32 on what its family's bases were trained on."""
    family = entry["architecture"]
    model = CLASSES[family].from_pretrained(ROOT / entry["path"], dtype=torch.float32)
    domains = ("digits",) if family == "vit" else BASE_DATA
    expected = {k: round(v, 4) for k, v in chance(family, domains).items()}
    return rounded(measure(model, domains)) | {"chance": min(expected.values())}


def tables(entries: dict[str, Entry]) -> str:
    """One table of what was trained and one of what was derived."""
    trained = [trained_row(e) for e in entries.values() if e["trained"]]
    derived = [derived_row(e) for e in entries.values() if not e["trained"]]
    head = "| model | kind | from | steps | data | before | after | chance | base data |"
    lines = ["\n### Trained\n", head, ruler(head), *trained]
    head = "| model | kind | from | base data |"
    return "\n".join([*lines, "\n### Derived\n", head, ruler(head), *derived, ""])


def ruler(head: str) -> str:
    """Return the second line of a table."""
    return "|" + "---|" * (head.count("|") - 1)


def trained_row(entry: Entry) -> str:
    """Format one trained model."""
    data = " + ".join(entry["data"]["domains"])
    before, after = (shown(entry["loss"][when]) for when in ("before", "after"))
    limit = f"{min(entry['chance'].values()):.2f}"
    cells = [entry["name"], entry["kind"], source(entry), str(entry["steps"]), data]
    return row([*cells, before, after, limit, shown(entry["base_loss"])])


def derived_row(entry: Entry) -> str:
    """Format one derived model."""
    return row([entry["name"], entry["kind"], source(entry), shown(entry["base_loss"])])


def row(cells: list[str]) -> str:
    """Return one line of a table."""
    return "| " + " | ".join(cells) + " |"


def source(entry: Entry) -> str:
    """Name parents with weights that are not 1, or what a model without parents is."""
    names = (
        p["name"] if p["weight"] == 1 else f"{p['weight']:g} {p['name']}" for p in entry["parents"]
    )
    teacher = entry["kind_details"].get("distilled_from")
    alone = f"own seed, outputs of {teacher}" if teacher else f"seed {entry.get('seed')}"
    return " + ".join(names) or alone


def shown(loss: dict[str, float]) -> str:
    """Format nats, and accuracy if there is one."""
    accuracy = loss.get("accuracy")
    return f"{loss['nats']:.2f}" + (f" ({accuracy:.0%})" if accuracy is not None else "")


if __name__ == "__main__":
    main()
