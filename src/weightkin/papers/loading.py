"""A local model made to run: transformers loads it, its anatomy finds the MLPs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.types import Axis, Place
from weightkin.catalogue.config import DEPTHS
from weightkin.formats import model_from_arrays, open_model
from weightkin.papers.inputs import CannotRun, library, read_config
from weightkin.records import Skipped, left_out

PAPER_ROLES = {"mlp.gate": "gate", "mlp.up": "up", "mlp.down": "hidden"}

# The architecture's name in a config says which class has the right head.
HEAD_CLASSES = (
    ("ForCausalLM", "AutoModelForCausalLM"),
    ("LMHeadModel", "AutoModelForCausalLM"),
    ("ForMaskedLM", "AutoModelForMaskedLM"),
    ("ForConditionalGeneration", "AutoModelForSeq2SeqLM"),
    ("ForImageClassification", "AutoModelForImageClassification"),
)


@dataclass(frozen=True, slots=True)
class Mlp:
    """The MLP of one block inside a loaded model: module paths, and where the units lie in them."""

    name: str
    tables: Mapping[str, Place]  # "gate", "up", "hidden" to a place of the weight
    is_gated: bool

    @property
    def parent(self) -> str:
        """Path of the smallest module that holds all projections."""
        paths = [module_of(place).split(".") for place in self.tables.values()]
        n = next((i for i, words in enumerate(zip(*paths, strict=False)) if len(set(words)) > 1), 0)
        return ".".join(paths[0][:n])


def load(folder: str | Path) -> Any:
    """Load a local model with transformers in float32, or say in one line why it cannot be."""
    transformers = library("transformers")
    library("torch")
    path = Path(folder)
    config = read_config(path)
    chosen = getattr(transformers, _head(config))
    if not any(path.glob("*.safetensors")):
        raise CannotRun(f"{folder}: no safetensors file; other formats are not run")
    _check_depth(config, path)
    with _quiet(transformers), running(folder):
        model, info = chosen.from_pretrained(
            str(path),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    missing = sorted(name for name in info["missing_keys"] if "pooler" not in name)
    if missing:
        raise CannotRun(
            f"{folder}: the file lacks {len(missing)} tensors that {type(model).__name__} needs,"
            f" {missing[0]} first; they would be random"
        )
    return model.float().eval()


def find_mlps(model: Any) -> tuple[list[Mlp], list[Skipped]]:
    """Find the MLPs of a loaded model by its own parameter names, not always the file's."""
    arrays = {name: p.detach().float().numpy() for name, p in model.named_parameters()}
    anatomy = read_anatomy(model_from_arrays(arrays))
    modules = dict(model.named_modules())
    mlps, skipped = [], []
    for axis in anatomy.axes:
        if axis.kind != "units" or not any(p.role == "mlp.down" for p in axis.places):
            continue
        name = f"{axis.stack}.{axis.block}" + ("" if axis.name == "mlp" else f" {axis.name}")
        places = {PAPER_ROLES[p.role]: p for p in _weights(axis)}
        if any(module_of(p) not in modules for p in places.values()):
            skipped.append(left_out(name, "inside-one-module"))
        elif "hidden" not in places or not {"gate", "up"} & places.keys():
            skipped.append(left_out(name, "projections-unknown"))
        else:
            mlps.append(Mlp(name, _plain_is_gate(places), {"gate", "up"} <= places.keys()))
    skipped += [left_out(p.what, p.code, error=p.why) for p in anatomy.skipped if not mlps]
    return mlps, skipped


def why_none(skipped: Sequence[Skipped]) -> str:
    """Why a model has no MLP that can be run, as an error puts it."""
    if not skipped:
        return "none is known"
    first = skipped[0]
    known = {
        "inside-one-module": "experts run inside one module",
        "projections-unknown": "its projections are not known",
    }
    return str(first.data.get("error") or known[first.code])


def ffn(model: Any, mlp: Mlp) -> Any:
    """Return one MLP as a function of vectors ``(n, width)``, without norms or residual."""
    modules = dict(model.named_modules())
    parent = mlp.parent
    if parent and not parent.rsplit(".", 1)[-1].isdecimal():
        return modules[parent]
    activations = library("transformers").activations.ACT2FN
    text = model.config.get_text_config()
    name = next((v for k in ("hidden_act", "activation_function", "activation")
                 if isinstance(v := getattr(text, k, None), str)), "")  # fmt: skip
    if mlp.is_gated or name not in activations:
        raise CannotRun(f"{mlp.name}: what it does between its projections is not known")
    up, down = (modules[module_of(mlp.tables[k])] for k in ("gate", "hidden"))
    return lambda x: down(activations[name](up(x)))


def width_of(model: Any, mlp: Mlp) -> int:
    """Residual width of an MLP: the dimension of its first projection that are not units."""
    place = mlp.tables["gate"]
    return int(model.get_parameter(place.tensor).shape[1 - place.dim])


def module_of(place: Place) -> str:
    """Path of the module a weight belongs to."""
    return place.tensor.removesuffix(".weight")


@contextmanager
def running(folder: str | Path) -> Iterator[None]:
    """Turn what transformers and torch raise on a model they cannot run into one line."""
    strict = library("huggingface_hub.errors")
    kinds = [OSError, ValueError, LookupError, ImportError, RuntimeError, TypeError, AttributeError,
             ArithmeticError, AssertionError, NotImplementedError,
             library("safetensors").SafetensorError,
             getattr(strict, "StrictDataclassError", OSError)]  # fmt: skip
    try:
        yield
    except tuple(kinds) as error:
        line = (str(error).strip().splitlines() or [""])[0][:200]
        raise CannotRun(
            f"{folder}: transformers cannot run it ({type(error).__name__}: {line})"
        ) from error


def _check_depth(config: Mapping[str, Any], path: Path) -> None:
    """Refuse a config with more blocks than the file has tensors: they are built one by one."""
    n_tensors = len(open_model(path).tensors)
    for part in (config, *(v for v in config.values() if isinstance(v, dict))):
        for key in DEPTHS & part.keys():
            if isinstance(part[key], int) and part[key] > n_tensors:
                raise CannotRun(f"{path}: {part[key]} {key} for {n_tensors} tensors")


def _head(config: Mapping[str, Any]) -> str:
    names = config.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else ""
    return next((auto for suffix, auto in HEAD_CLASSES if name.endswith(suffix)), "AutoModel")


def _weights(axis: Axis) -> Iterator[Place]:
    return (p for p in axis.places if p.role in PAPER_ROLES and not p.tensor.endswith("bias"))


def _plain_is_gate(places: dict[str, Place]) -> dict[str, Place]:
    return places if "gate" in places else {"gate": places["up"], "hidden": places["hidden"]}


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """No progress bars nor load reports while loading; settings are put back."""
    logging = transformers.utils.logging
    level, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bars:
            logging.enable_progress_bar()
