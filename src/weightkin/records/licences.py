"""Licences in classes that permit less and less, as far as they are known by name.

A class says what kind of conditions a licence sets, as its own text states them; it says nothing
about a particular case. Names are those of the SPDX list (https://spdx.org/licenses/) and of the
hub's model cards (https://huggingface.co/docs/hub/repositories-licenses), in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from weightkin.records.notes import Because, because

CLASSES = (  # each permits less than the one before
    "permissive",  # keep the notice
    "weak-copyleft",  # changed files or the data base itself under the same terms
    "strong-copyleft",  # the whole derived work under the same terms
    "use-restricted",  # named uses, or users above a size, are excluded
    "non-commercial",  # commercial use is excluded
    "no-derivatives",  # derived works are not passed on
)

LICENCES = {
    "permissive": (
        *("apache-2.0", "mit", "mit-0", "bsd", "bsd-2-clause", "bsd-3-clause", "0bsd", "isc"),
        *("bsd-3-clause-clear", "bsl-1.0", "zlib", "ncsa", "unlicense", "wtfpl"),
        *("afl-3.0", "ecl-2.0", "postgresql", "cc0-1.0", "pddl", "odc-by"),
        *("cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "etalab-2.0", "openmdw-1.0"),
        *("cdla-permissive-1.0", "cdla-permissive-2.0"),
    ),
    "weak-copyleft": (
        *("lgpl", "lgpl-2.1", "lgpl-3.0", "mpl-2.0", "epl-1.0", "epl-2.0", "lppl-1.3c"),
        *("ofl-1.1", "cdla-sharing-1.0", "odbl", "artistic-2.0", "ms-pl"),
    ),
    "strong-copyleft": (
        *("gpl", "gpl-2.0", "gpl-3.0", "agpl-3.0", "gfdl", "osl-3.0", "eupl-1.1", "eupl-1.2"),
        *("cc-by-sa-3.0", "cc-by-sa-4.0"),
    ),
    "use-restricted": (
        # acceptable use policies: https://www.llama.com/llama3/license/, section 1.b
        *("llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4"),
        "gemma",  # https://ai.google.dev/gemma/terms, section 3.2
        # "use restrictions" of attachment A: https://www.licenses.ai/
        *("openrail", "openrail++", "bigscience-openrail-m", "creativeml-openrail-m"),
        *("bigscience-bloom-rail-1.0", "bigcode-openrail-m"),
    ),
    "non-commercial": (
        *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"),
        *("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
        *("fair-noncommercial-research-license", "deepfloyd-if-license"),
        *("intel-research", "h-research", "apple-amlr"),
    ),
    "no-derivatives": ("cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
}
Classes = Mapping[str, str]  # by licence; "" where no table knows it
_JOINED = re.compile(r"[,;/|&()]|\s(?:and|or|with)\s", re.IGNORECASE)
_TABLE = {name: kind for kind, names in LICENCES.items() for name in names}


def class_of(licence: str, own: Mapping[str, str]) -> str:
    """Class of a declared licence, "" if there is none; ``own`` names go before the table's."""
    name = plain(licence)
    for suffix in ("", "-only", "-or-later", "+"):
        cut = name.removesuffix(suffix) if suffix else name
        if found := own.get(cut) or _TABLE.get(cut):
            return found
    return ""


def classes_of(licence: str, own: Mapping[str, str]) -> dict[str, str]:
    """Class of each licence in a text: a list, or an expression with "or", "and", "with"."""
    if plain(licence) in own:
        return {plain(licence): own[plain(licence)]}
    parts = [plain(part) for part in _JOINED.split(licence)]
    return {part: class_of(part, own) for part in parts if part}


def own_unknown(own: str, n_ancestors: int, n_relatives: int) -> Because:
    """That a model's licence is not declared or not known, beside ancestors, or relatives alone."""
    if n_ancestors and own:
        return because("licence-unknown", licence=own, n_ancestors=n_ancestors)
    if n_ancestors:
        return because("licence-missing", n_ancestors=n_ancestors)
    if own:
        return because("licence-unknown-related", licence=own, n_relatives=n_relatives)
    return because("licence-missing-related", n_relatives=n_relatives)


def other_unknown(licence: str, *, is_ancestor: bool) -> Because:
    """That the licence of an ancestor, or of a relative, is not declared or not known."""
    if not licence:
        return because("ancestor-licence-missing" if is_ancestor else "relative-licence-missing")
    code = "ancestor-licence-unknown" if is_ancestor else "relative-licence-unknown"
    return because(code, licence=licence)


def plain(licence: str) -> str:
    """A licence's name as the table has it."""
    return licence.strip().lower()


def looser(own: Classes, theirs: Classes, *, is_ancestor: bool) -> Because | None:
    """That the loosest licence of a model permits more than the strictest of another one."""
    known = [(name, kind) for name, kind in theirs.items() if kind]
    passed_on = theirs if theirs.keys() <= own.keys() else {}
    ours = [(name, kind) for name, kind in own.items() if kind and name not in passed_on]
    if not known or not ours:
        return None
    name, loosest = min(ours, key=lambda x: CLASSES.index(x[1]))
    other, strictest = max(known, key=lambda x: CLASSES.index(x[1]))
    if CLASSES.index(loosest) >= CLASSES.index(strictest):
        return None
    return because(
        "licence-looser" if is_ancestor else "licence-looser-related",
        licence=name,
        licence_class=loosest,
        ancestor_licence=other,
        ancestor_class=strictest,
    )
