"""Can the comparisons of a check be recomputed? Those that a secret drew ask for the key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from weightkin.api.challenges import challenge_of
from weightkin.api.differences import value_differences
from weightkin.errors import UnreadableModel, UsageError, WeightkinError
from weightkin.formats import Model, digest
from weightkin.policy.named_models import Tester, of_model
from weightkin.policy.reach import Submitted
from weightkin.policy.secret import Sampling, Secret, binding_of, read_secret
from weightkin.records.checking import Against, Ancestor, Check, Checked
from weightkin.sketch.source import open_model
from weightkin.sources.hub import pinned

NOTHING = (
    "the policy names no model; what follows from a registry, model cards or licences is not"
    " recomputed: run check again"
)
WITHOUT = "without-commons"  # a limit: the model was compared without some of its tensors


@dataclass(frozen=True, slots=True)
class Rechecked:
    """What came of it: a line for each difference, and for each comparison left out."""

    differences: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    n_compared: int = 0


def verify_check(record: Check, secret: str | None = None) -> Rechecked:
    """Recompute the comparisons with models that the policy of a check names.

    Parameters
    ----------
    record : Check
        What `check` found.
    secret : str, optional
        Where the key is that drew the samples: a path, or ``env:NAME``.

    Returns
    -------
    Rechecked
        A key that is not the one that the record is committed to is the only difference then.
        Findings that follow from a registry, a model card or a licence are not looked at: a
        check of nothing else is unchecked. Cost: one comparison for each model named, and with
        a secret all bytes of each model.

    Raises
    ------
    UsageError
        The key cannot be read, or nothing was drawn by one.
    """
    key = None
    if secret is not None:
        key = read_secret(secret, "--secret")
        if not record.secret:
            raise UsageError("--secret: no sample of this check was drawn by a secret")
        if key.commitment != record.secret:
            line = f"secret: {record.secret} in the record, {key.commitment} now"
            return Rechecked(differences=(line,))
    differences: list[str] = []
    unchecked: list[str] = []
    n_compared = 0
    for checked in record.models:
        if not checked.against:
            continue
        try:
            model = open_model(pinned(checked.source, checked.revision))
            found = list(_other_contents(checked, model))
        except WeightkinError as error:
            unchecked.append(str(error))
            continue
        differences += found
        for old in () if found else checked.against:
            pair = f"{checked.name} and {old.name}"
            if why := _why_not(old, key):
                unchecked.append(f"{pair}: {why}")
                continue
            try:
                lines = _again(old, _sampling(record, old, key, model))
            except WeightkinError as error:
                unchecked.append(f"{pair}: {error}")
                continue
            n_compared += 1
            differences += [f"{pair}: {line}" for line in lines]
    if not (n_compared or differences or unchecked):
        unchecked.append(NOTHING)
    return Rechecked(tuple(differences), tuple(unchecked), n_compared)


def _other_contents(checked: Checked, model: Model) -> Iterator[str]:
    """How the contents of a model are not those of the record."""
    if digest(model) != checked.digest:
        said = f"{checked.digest} in the record, {digest(model)} now"
        yield f"digest of {checked.name}: {said}"
    elif checked.binding and binding_of(model) != checked.binding:
        said = f"{checked.binding} in the record, {binding_of(model)} now"
        yield f"binding of {checked.name}: {said}"


def _why_not(old: Against, key: Secret | None) -> str:
    """Why a comparison cannot be made again, if it cannot."""
    if old.drawn == "secret" and key is None:
        return "its sample was drawn by a secret; give that with --secret"
    if old.drawn == "sketch":
        return "a sketch in a registry was compared"
    if not old.drawn or any(x.code == WITHOUT for x in old.limits):
        return "the record does not say all that a rerun needs"
    return ""


def _sampling(record: Check, old: Against, key: Secret | None, model: Model) -> Sampling:
    """What drew the sample of a comparison."""
    if old.drawn == "own":
        try:
            own = challenge_of(f"own:{record.challenge}")
        except UsageError as error:
            raise UnreadableModel(f"record: {error}") from None
        return Sampling(record.seed, None, model, bytes.fromhex(own.hex))
    return Sampling(record.seed, key if old.drawn == "secret" else None, model)


def _again(old: Against, sampling: Sampling) -> list[str]:
    """How the same comparison comes out now; other contents are said first, and alone."""
    other = open_model(pinned(old.source, old.revision))
    if digest(other) != old.digest:
        return [f"digest: {old.digest} in the record, {digest(other)} now"]
    bench = Tester(Submitted(sampling.model), old.summary.alpha, sampling)
    found = of_model(other, bench, Ancestor(name=old.name))
    if found.against is None:
        return [f"{old.summary.verdict} in the record, {found.found.verdict} now"]
    return value_differences(asdict(old), asdict(found.against))
