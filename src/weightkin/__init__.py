"""Read model weights; say, with evidence anybody can recompute, whether two models share them.

What a model passes through, each part importing only from those before it:

    errors, text, arrays       kinds of error; one line of a foreign text; types of arrays
    records, stats             what leaves; laws of chance (arrays only)
    notebooks                  records show and say themselves; how is registered below
    scan                       nearest of very many vectors (arrays only)
    processes, compute         where work runs: here, in processes, on a dask cluster
    catalogue                  one entry per architecture: names, roles, norms, GGUF names
    sources                    a source becomes its files: on this machine, or on a hub
    formats                    files become a `Model`: rows of one tensor at a time
    anatomy                    tensor names and shapes become blocks, roles and unit axes
    sketch                     a model becomes a small consistent sample that can stand in for it
    evasions                   function-preserving rewrites and framing: how a copy may hide
    evidence                   two models: sample, guard, stages, calibrated tests, verdict
    derivation                 sketches: distances, kinds, mixtures, direction; a pair in full
    localise, papers           which parts are alike; the tests of the two papers
    lineage                    many sketches become a family graph
    api                        the verbs on models: arguments are checked, a record comes back
    registry                   many models in one file, found again by their weights
    report                     records as words, drawings and the formats of other tools
    policy                     a gate: forbidden ancestors, declarations, licences
    web                        pages and API of a registry
    cli                        one command per verb

Public names are resolved on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from weightkin._version import __version__ as __version__
from weightkin.notebooks import draw_records_with, say_records_with

if TYPE_CHECKING:
    from weightkin.anatomy import Anatomy
    from weightkin.api.compare import Options, compare
    from weightkin.api.estimate import estimate
    from weightkin.api.locate import locate
    from weightkin.api.models import digest, full_digest, open_model, read_anatomy
    from weightkin.api.sketch import read_sketch, take_sketch, write_sketch
    from weightkin.api.tree import family_graph
    from weightkin.api.verify import verify
    from weightkin.compute import Execution
    from weightkin.errors import UsageError, WeightkinError
    from weightkin.formats import Model
    from weightkin.policy import Policy, check, read_policy
    from weightkin.records import Comparison
    from weightkin.records.checking import Check
    from weightkin.records.descendants import Descendants
    from weightkin.records.estimating import Estimate
    from weightkin.records.family import FamilyGraph
    from weightkin.records.listing import Adding, Listing
    from weightkin.records.location import Location
    from weightkin.records.registry import Search, Trace
    from weightkin.registry import Registry
    from weightkin.report.html import notebook_html
    from weightkin.report.sentences import one_line
    from weightkin.sketch import Sketch
    from weightkin.web.serving import serve

_HOMES = {
    "Adding": "weightkin.records.listing",
    "Anatomy": "weightkin.anatomy",
    "Check": "weightkin.records.checking",
    "Comparison": "weightkin.records",
    "Descendants": "weightkin.records.descendants",
    "Estimate": "weightkin.records.estimating",
    "Execution": "weightkin.compute",
    "FamilyGraph": "weightkin.records.family",
    "Listing": "weightkin.records.listing",
    "Location": "weightkin.records.location",
    "Model": "weightkin.formats",
    "Options": "weightkin.api.compare",
    "Policy": "weightkin.policy",
    "Registry": "weightkin.registry",
    "Search": "weightkin.records.registry",
    "Sketch": "weightkin.sketch",
    "Trace": "weightkin.records.registry",
    "UsageError": "weightkin.errors",
    "WeightkinError": "weightkin.errors",
    "check": "weightkin.policy",
    "compare": "weightkin.api.compare",
    "digest": "weightkin.api.models",
    "estimate": "weightkin.api.estimate",
    "family_graph": "weightkin.api.tree",
    "full_digest": "weightkin.api.models",
    "locate": "weightkin.api.locate",
    "notebook_html": "weightkin.report.html",
    "one_line": "weightkin.report.sentences",
    "open_model": "weightkin.api.models",
    "read_anatomy": "weightkin.api.models",
    "read_policy": "weightkin.policy",
    "read_sketch": "weightkin.api.sketch",
    "serve": "weightkin.web.serving",
    "take_sketch": "weightkin.api.sketch",
    "verify": "weightkin.api.verify",
    "write_sketch": "weightkin.api.sketch",
}

__all__ = [
    "Adding",
    "Anatomy",
    "Check",
    "Comparison",
    "Descendants",
    "Estimate",
    "Execution",
    "FamilyGraph",
    "Listing",
    "Location",
    "Model",
    "Options",
    "Policy",
    "Registry",
    "Search",
    "Sketch",
    "Trace",
    "UsageError",
    "WeightkinError",
    "check",
    "compare",
    "digest",
    "estimate",
    "family_graph",
    "full_digest",
    "locate",
    "notebook_html",
    "one_line",
    "open_model",
    "read_anatomy",
    "read_policy",
    "read_sketch",
    "serve",
    "take_sketch",
    "verify",
    "write_sketch",
]


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'weightkin' has no attribute {name!r}")
    return _made(_HOMES[name], name)


def _made(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


draw_records_with(lambda record: str(_made("weightkin.report.notebook", "display")(record)))
say_records_with(lambda record: str(_made("weightkin.report.sentences", "one_line")(record)))
