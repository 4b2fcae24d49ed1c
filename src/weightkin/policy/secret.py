"""What draws the samples of each model at the gate: fresh bytes, the secret of a policy, or a seed.

Whoever knows which rows are read can change those and no others. So they are drawn by bytes of that
moment, which the record has. Who can ask often may find out from many draws what is read of other
files; so the operator of a gate may keep a key instead: the bytes that draw the sample of a
comparison are a keyed hash of what both models are, every value of the one at the gate. The same
file is judged by the same sample every time; one that differs in one value by another, and nobody
without the key can say by which. The key itself is in no record: there is a commitment, by which it
can be told from other keys afterwards.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from weightkin.errors import UnreadableModel, UsageError
from weightkin.evidence.draws import N_BYTES, pinned
from weightkin.formats import Model, digest, full_digest
from weightkin.records.accounting import Challenge
from weightkin.records.checking import Drawn
from weightkin.sources.local import read_whole

FROM_ENVIRONMENT = "env:"
FORM = "the path of a file that holds the key, or env:NAME; not the key itself"
LEAST_BYTES, MOST_BYTES = 16, 1 << 12  # of a key
LEAST_DIFFERENT = 4  # values of its bytes: a file of zeros is no key
COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Secret:
    """A key, which nothing prints."""

    key: bytes = field(repr=False)  # 32 bytes

    @property
    def commitment(self) -> str:
        """What a record says of the key: ``wkkey1-`` and 64 hex digits."""
        return f"wkkey1-{self.keyed('commitment').hex()}"

    def keyed(self, *texts: str) -> bytes:
        """HMAC-SHA256 of some texts: 32 bytes."""
        return hmac.new(self.key, "\0".join(texts).encode(), hashlib.sha256).digest()


def read_secret(said: str, where: str) -> Secret:
    """Read the key that a policy or an option names.

    Parameters
    ----------
    said : str
        A path, or ``env:NAME``. No error repeats it: it may be the key itself, by mistake.
    where : str
        What names it, for errors.

    Returns
    -------
    Secret
        White space around the key does not count.

    Raises
    ------
    UsageError
        There is none, or it is too short or too long.
    """
    if said.startswith(FROM_ENVIRONMENT):
        found = os.environ.get(said.removeprefix(FROM_ENVIRONMENT))
        if found is None:
            raise UsageError(f"{where}: the environment variable is not set; give {FORM}")
        raw = os.fsencode(found)
    else:
        try:
            raw = read_whole(Path(said), MOST_BYTES)
        except UnreadableModel:
            what = f"no file that can be read, of at most {MOST_BYTES} bytes"
            raise UsageError(f"{where}: {what}; give {FORM}") from None
    key = raw.strip()
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        wanted = f"{LEAST_BYTES} to {MOST_BYTES} are needed"
        raise UsageError(f"{where}: the key has {len(key)} bytes; {wanted}")
    if len(set(key)) < LEAST_DIFFERENT:
        raise UsageError(f"{where}: the key repeats the same few bytes; it must be random")
    return Secret(hashlib.sha256(b"weightkin secret\0" + key).digest())


def binding_of(model: Model) -> str:
    """What binds a draw to a model: a digest of all its values, or its commit on a hub.

    A digest of a sample would not do: whoever changes other rows would keep the draw, and could
    find out row by row what is read.
    """
    if model.sketched is not None:
        return digest(model)
    if COMMIT.fullmatch(model.revision or ""):
        return f"{model.revision} {digest(model)}"
    return full_digest(model)


@dataclass(frozen=True)
class Sampling:
    """How samples are drawn of one model at the gate and those that it is compared with.

    Attributes
    ----------
    seed : int
        Draws them where there is neither of the others: then anybody may know them.
    secret : Secret or None
    model : Model
        The one at the gate.
    fresh : bytes or None
        Bytes that nobody knew before this check.
    """

    seed: int
    secret: Secret | None
    model: Model
    fresh: bytes | None = None

    @property
    def drawn(self) -> Drawn:
        """What draws them."""
        if self.secret is not None:
            return "secret"
        return "seed" if self.fresh is None else "own"

    @cached_property
    def binding(self) -> str:
        """What draws depend on, of the model at the gate; reads all of it, once."""
        return binding_of(self.model)

    def between(self, other: Model) -> tuple[Challenge, int]:
        """What draws the sample of a comparison with another model, and a seed for all else."""
        if self.secret is not None:
            drawn = self.secret.keyed("draw", *sorted((self.binding, digest(other))))
        elif self.fresh is not None:
            drawn = self.fresh + hmac.new(self.fresh, b"all else", hashlib.sha256).digest()
        else:
            return pinned(self.seed), self.seed
        challenge = Challenge(drawn="own", hex=drawn[:N_BYTES].hex(), binding="partial")
        return challenge, int.from_bytes(drawn[N_BYTES : N_BYTES + 4], "big")
