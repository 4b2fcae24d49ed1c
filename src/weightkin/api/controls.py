"""Add a pair of models known to be unrelated to one's own controls."""

from __future__ import annotations

from pathlib import Path

from weightkin.anatomy.side import Side
from weightkin.api.arguments import check_kind, check_path
from weightkin.api.compare import Options, compare
from weightkin.api.models import Source, as_source
from weightkin.errors import UsageError
from weightkin.evidence.calibrated import agreement
from weightkin.evidence.controls import (
    CONTROL_TOKENS,
    Control,
    as_control,
    load_controls,
    read_own,
    user_file,
    write_controls,
)
from weightkin.formats import Model, digest
from weightkin.formats.write_guard import refuse_inside
from weightkin.records import Skipped
from weightkin.sketch.source import open_side


def add_control(
    a: Source,
    b: Source,
    *,
    model_class: str | None = None,
    documented: str = "by the user",
    own: Path | None = None,
) -> Control:
    """Add a pair to the user's controls (or to the file ``own``), and return what was written.

    Refused when the pair is not of the class named, when a model is already part of another pair
    (pairs that share a model are not two controls), and when `compare` finds a dependence.

    Parameters
    ----------
    a, b : Model, str, Path or state dict
        Two models documented to come from independent initialisations.
    model_class : str, optional
        The class they are expected to be of, such as ``gated language``.
    documented : str
        How it is known that they are unrelated.
    own : Path, optional
        The file of controls to add to; made if it is not there.

    Returns
    -------
    Control
        What was written.

    Raises
    ------
    UsageError
        An argument has a value that it cannot have, or the pair is refused.
    UnreadableModel
        A source cannot be read.
    """
    a, b = as_source("a", a), as_source("b", b)
    for name, text in (("model_class", model_class), ("documented", documented)):
        check_kind(name, text, str | None, "a text")
    path = own_file(own)
    refuse_inside(path, [x for x in (a, b) if not isinstance(x, Model)])
    side_a, side_b = open_side(a), open_side(b)
    control = measured(side_a, side_b, documented)
    if model_class is not None and control.model_class != model_class:
        raise UsageError(f"the class of the pair is {control.model_class}, not {model_class}")
    write_new(control, side_a.model, side_b.model, path)
    return control


def own_file(own: Path | None) -> Path:
    """The file of the user's own controls, or the one named instead."""
    return check_path("own", own) if own is not None else user_file()


def measured(a: Side, b: Side, documented: str) -> Control:
    """Measure a pair as a control; nothing is written."""
    digests = digest(a.model), digest(b.model)
    if digests[0] == digests[1]:
        raise UsageError("a and b are the same model")
    found = agreement(a, b, CONTROL_TOKENS)
    if isinstance(found, Skipped):
        raise UsageError(f"cannot be a control: {found.sentence}")
    return as_control(found, *digests, documented)


def write_new(control: Control, a: Model, b: Model, path: Path) -> None:
    """Add a control to a file, unless one of its models is in another or the two are related."""
    mine = read_own(path)
    used = {
        x for c in (*load_controls(path if mine else None), *mine) for x in (c.digest_a, c.digest_b)
    }
    for name, own, model in (("a", control.digest_a, a), ("b", control.digest_b, b)):
        if own in used:
            raise UsageError(f"model {name} ({model.source}) is already part of another control")
    record = compare(a, b, options=Options(controls=path if mine else None))
    if record.verdict != "no-evidence":
        raise UsageError(f"cannot be a control: {record.sentence}")
    write_controls(path, [*mine, control])
