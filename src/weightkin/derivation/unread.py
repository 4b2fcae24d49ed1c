"""What of two models was not read: bytes of their files, and what readers name as lost."""

from __future__ import annotations

from dataclasses import dataclass

from weightkin.formats import Model
from weightkin.formats.ledger import own_ledger
from weightkin.records.accounting import Parameters
from weightkin.sketch.stand_in import n_parameters


@dataclass(frozen=True, slots=True)
class Unread:
    """Of one model."""

    n_bytes: int
    codes: tuple[str, ...]
    what: tuple[str, ...]  # named by readers, then files of which bytes are left

    @property
    def is_any(self) -> bool:
        """Whether anything was not read."""
        return bool(self.n_bytes or self.what)

    def parameters(self, model: Model) -> Parameters:
        """As many as would fill the bytes, each as wide as those that were read are on average."""
        n = n_parameters(model)
        return Parameters(n=round(self.n_bytes * n / max(1, model.n_bytes)), codes=self.codes)


NOTHING_UNREAD = Unread(0, (), ())


def unread_of(model: Model) -> Unread:
    """Look at the ledger of a model's own files, and at what its readers say is missing."""
    left = [file for file in own_ledger(model).files if not file.is_read]
    lost = [problem for problem in model.problems if problem.loses_tensors]
    codes = [*(problem.code for problem in lost), *(code for file in left for code in file.codes)]
    return Unread(
        n_bytes=sum(file.unread for file in left),
        codes=tuple(dict.fromkeys(codes)),
        what=(*(problem.what for problem in lost), *(file.file for file in left)),
    )
