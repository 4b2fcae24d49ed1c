"""Do two models share weights? The door of `compare`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from weightkin.api.arguments import (
    check_alpha,
    check_count,
    check_effort,
    check_flag,
    check_kind,
    check_new_file,
    check_path,
    check_seed,
)
from weightkin.api.challenges import challenge_of
from weightkin.api.models import Source, as_source, as_sources
from weightkin.derivation.opened import ALPHA, Pair, Settings, pair_of
from weightkin.derivation.pair import compare_pair
from weightkin.errors import UsageError
from weightkin.notebooks import InShort
from weightkin.papers.published import published_tests
from weightkin.papers.thorough import run_models
from weightkin.records import Comparison, Effort
from weightkin.records.accounting import Challenge

MOST_PUBLISHED = 10_000  # relabellings of the first paper's tests


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Options(InShort):
    """What else `compare` can do.

    Attributes
    ----------
    relatives : sequence of Model, str, Path or state dict
        Further models of the family: the direction is that of the family graph of all of them.
    published : int
        Also run the tests of Zhu et al. 2025 with so many random permutations (0: do not). They
        are listed and never change the verdict; they read everything.
    full_digest : bool
        Also digest every byte of both.
    recover : Path, optional
        If b is a permuted, rotated or rescaled copy, write the transformation back to this file
        (safetensors); reads everything.
    controls : Path, optional
        A file of controls to use instead of the user's, in addition to those of the package.
    challenge : str or Challenge
        Who draws the sample: ``own`` (fresh bytes), ``joint:HEX:HEX`` (one text of each party, who
        had published its hash before), ``beacon:HEX`` (what a public source of randomness
        published after both models were fixed), or that of a record.
    frugal : bool, optional
        Read less for kind, direction and the order-independent tests, and say so in ``skipped``;
        aligned tests and digests do not change. Default: where a large model is read from a hub
        and the effort is not ``thorough``.
    """

    relatives: Sequence[Source] = ()
    published: int = 0
    full_digest: bool = False
    recover: Path | None = None
    controls: Path | None = None
    challenge: str | Challenge = "own"
    frugal: bool | None = None


def compare(
    a: Source,
    b: Source,
    *,
    effort: Effort = "standard",
    alpha: float = ALPHA,
    seed: int | None = None,
    options: Options | None = None,
) -> Comparison:
    """Do two models share weights?

    Null hypothesis: they come from independent random initialisations, whatever they were trained
    on. For each kind of axis (hidden units, V/O dimensions, heads, residual width) the labels of
    one of the two models are uniform under it; the record says whose are relied on.

    Parameters
    ----------
    a, b : Model, str, Path or state dict
        Open models or sources. If one is a sketch, both are tested on the sample that it
        contains. The result is symmetric up to the names.
    effort : {"quick", "standard", "thorough"}
        ``quick``: hidden units only, block by block, until a test is significant or four blocks
        are done. ``thorough``: order-independent tests even if the aligned ones suffice, and
        tests that run the models (extra ``[torch]``), which never change the verdict.
    alpha : float
        Significance level of the verdict, shared by all stages.
    seed : int, optional
        Draws the sample and breaks ties, for runs that must come out again. Without it the sample
        is drawn by fresh bytes, which nobody could know when he fixed his model; the record holds
        them. Where the sample is all there is, that makes no difference.
    options : Options, optional
        Options that are needed rarely.

    Returns
    -------
    Comparison
        The record. Cost: a sample of every block, about 1 % of the bytes of a large model.

    Raises
    ------
    UsageError
        An argument has a value that it cannot have, a file to be written exists, or two sketches
        are of two schemes.
    UnreadableModel
        A source cannot be read.
    """
    asked = _checked(Options() if options is None else options)
    settings = Settings(
        effort=check_effort(effort),
        alpha=check_alpha(alpha),
        seed=0 if seed is None else check_seed(seed),
        challenge=challenge_of(asked.challenge, seed),
        full_digest=asked.full_digest,
        recover=asked.recover,
        controls=asked.controls,
        frugal=asked.frugal,
    )
    if asked.relatives and effort == "quick":
        raise UsageError("effort quick determines no direction; leave out either it or relatives")
    pair = pair_of(as_source("a", a), as_source("b", b), settings)
    record = _with_papers(compare_pair(pair), pair, asked.published)
    if not asked.relatives:
        return record
    from weightkin.api.direction_among import with_relatives  # a family graph: much to load

    return with_relatives(record, pair.models, asked.relatives)


def _checked(options: Options) -> Options:
    check_kind("options", options, Options, "an Options")
    check_count("published", options.published, MOST_PUBLISHED)
    check_flag("full_digest", options.full_digest)
    if options.frugal is not None:
        check_flag("frugal", options.frugal)
    return replace(
        options,
        relatives=as_sources("relatives", options.relatives) if options.relatives else (),
        recover=options.recover and check_new_file(check_path("recover", options.recover)),
        controls=options.controls and check_path("controls", options.controls),
    )


def _with_papers(record: Comparison, pair: Pair, n_draws: int) -> Comparison:
    """The record with the tests of the papers, which are listed and never drive the verdict."""
    started = time.perf_counter()
    tests, skipped = record.tests, record.skipped
    seed = pair.settings.seed
    if n_draws and not pair.missed:
        more, refused = published_tests(pair.a, pair.b, n_draws=n_draws, seed=seed)
        tests, skipped = tests + more, skipped + refused
    if pair.settings.effort == "thorough" and not pair.missed:
        more, refused = run_models(pair.a, pair.b, seed)
        tests, skipped = tests + more, skipped + refused
    return replace(
        record,
        tests=tests,
        skipped=skipped,
        parameters=record.parameters | {"published": n_draws},
        bytes_read=sum(model.bytes_read for model in pair.models),
        seconds=round(record.seconds + time.perf_counter() - started, 3),
    )
