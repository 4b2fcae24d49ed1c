"""What the ancestors of a model declare as their licences, and whether its own permits more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from weightkin.records.licences import Classes, classes_of, looser
from weightkin.registry.ancestry import Ancestor, Basis
from weightkin.web.job_service import JobService
from weightkin.web.overviews import Glance

Conflict = Literal["conflict", "possible", "none", "unknown"]
BASES: Mapping[Basis, str] = {
    "determined": "weights",
    "undetermined": "possible ancestor: parent undetermined",
    "declared": "declared, not shown by the weights",
    "copy": "same contents as an ancestor",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AncestorLicence:
    """One ancestor beside the licence of a model.

    ``conflict``: the model's licence permits more (``conflict`` where the ancestor is determined,
    else ``possible``), does not (``none``), or one of the two is not declared or in no class
    (``unknown``). The classes are those that were compared.
    """

    id: int  # 0: not registered
    name: str
    steps: int
    basis: Basis
    licence: str
    conflict: Conflict
    own_licence: str = ""  # the licence of the model that permits more, and its class
    own_class: str = ""
    ancestor_licence: str = ""
    ancestor_class: str = ""

    @property
    def basis_words(self) -> str:
        """What shows that it is an ancestor."""
        return BASES[self.basis]


def ancestors_of(service: JobService, glance: Glance, number: int) -> tuple[AncestorLicence, ...]:
    """The licences of all ancestors of a model, nearest first.

    Parameters
    ----------
    service : JobService
        The registry as this visitor may see it.
    glance : Glance
        All models.
    number : int
        One of them.

    Returns
    -------
    tuple of AncestorLicence
        Nothing of a model that is in no graph and declares no registered parent.
    """
    models = glance.overview.models
    own = classes_of(models[number].licence, {})
    return tuple(
        _beside(own, x, service.said(models[x.id].name), models[x.id].licence)
        if x.id
        else _beside(own, x, "", "")
        for x in glance.overview.ancestry(number)
    )


def _beside(own: Classes, x: Ancestor, name: str, licence: str) -> AncestorLicence:
    theirs = classes_of(licence, {})
    why = looser(own, theirs, is_ancestor=True)
    data = {k: str(v) for k, v in why.data.items()} if why is not None else {}
    is_known = all(own.values()) and all(theirs.values()) and own and theirs
    found: Conflict = "none" if is_known else "unknown"
    if data:
        found = "conflict" if x.basis == "determined" else "possible"
    return AncestorLicence(
        id=x.id,
        name=name,
        steps=x.steps,
        basis=x.basis,
        licence=licence,
        conflict=found,
        own_licence=data.get("licence", ""),
        own_class=data.get("licence_class", ""),
        ancestor_licence=data.get("ancestor_licence", ""),
        ancestor_class=data.get("ancestor_class", ""),
    )
