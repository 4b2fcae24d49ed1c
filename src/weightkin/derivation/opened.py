"""Two models opened for a comparison, and how they are compared."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from weightkin.anatomy.side import Side
from weightkin.derivation.derived import is_far
from weightkin.derivation.same_scheme import with_same_scheme
from weightkin.errors import AdapterAlone
from weightkin.evidence.confirm import Draw
from weightkin.evidence.draws import Draws, fresh
from weightkin.evidence.plan import Plan
from weightkin.evidence.sample import make_plan
from weightkin.formats import Model
from weightkin.formats.fitting import with_fit
from weightkin.records import Effort, ModelRef, Skipped
from weightkin.records.accounting import Challenge
from weightkin.sketch.source import open_side

ALPHA = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How two models are compared.

    ``frugal``: look at less for kind, direction and the blind tests, and say so in ``skipped``;
    None: where a large model is read from a hub and the effort is not ``thorough``.
    """

    effort: Effort = "standard"
    alpha: float = ALPHA
    seed: int = 0
    challenge: Challenge | None = None  # None: fresh bytes for every comparison
    full_digest: bool = False
    recover: Path | None = None
    controls: Path | None = None
    frugal: bool | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models that are compared, their sample, and what a sketch among them cannot answer."""

    a: Side
    b: Side
    settings: Settings
    missed: tuple[Skipped, ...] = ()
    draws: Draws | None = None  # None: not yet, or there is nothing to draw from
    plan: Plan = field(init=False)

    def __post_init__(self) -> None:
        plan = make_plan((self.a.model, self.a.anatomy), (self.b.model, self.b.anatomy))
        object.__setattr__(self, "plan", plan)

    def draw_of(self, a: Side, b: Side) -> Draw:
        """What is read of both models, or of parts of them, and from where."""
        plan = self.plan
        if self.draws is not None:
            plan = replace(plan, draws=self.draws.between(a, b))
        return Draw(a, b, plan, self.settings.seed)

    def drawn(self, refs: tuple[ModelRef, ModelRef]) -> tuple[Pair, Challenge | None]:
        """The same pair with its sample drawn, now that digests bind both models."""
        if self.missed or any(model.sketched is not None for model in self.models):
            return self, None
        own = self.settings.challenge or fresh()
        full = [ref.full_digest for ref in refs if ref.full_digest]
        is_bound = len(full) == len(refs)
        names = " ".join(sorted(full if is_bound else [ref.digest for ref in refs]))
        own = replace(own, binding="full" if is_bound else "partial")
        return replace(self, draws=Draws(bytes.fromhex(own.hex), names)), own

    @property
    def models(self) -> tuple[Model, Model]:
        """Both models."""
        return self.a.model, self.b.model

    @property
    def is_quick(self) -> bool:
        """Whether only hidden units are looked at."""
        return self.settings.effort == "quick"


def pair_of(a: Model | str | Path, b: Model | str | Path, settings: Settings) -> Pair:
    """Open two models for a comparison; where one is a sketch, the other is sketched alike.

    Parameters
    ----------
    a, b : Model, str or Path
    settings : Settings

    Returns
    -------
    Pair
    """
    try:
        opened = open_side(a), open_side(b)
    except AdapterAlone as error:
        raise with_fit(error, a, b) from None
    sides = with_same_scheme(*opened, full=settings.full_digest)
    side_a, side_b, missed = sides
    if settings.frugal is None:
        is_frugal = settings.effort != "thorough" and is_far((side_a.model, side_b.model))
        settings = replace(settings, frugal=is_frugal)
    return Pair(side_a, side_b, settings, missed)
