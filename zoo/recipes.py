"""What is trained, from what, on what: one line of genealogy per model."""

from dataclasses import dataclass

BASE_DATA = ("prose", "code")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one model is trained.

    A recipe with a `parent` continues from its weights; one without starts from `seed`.
    `order` fixes which windows are seen and when; `fresh` names the tensors (a regular
    expression) that are initialised anew from `seed` and then trained alone; `targets`
    names the linear layers that get a low-rank adapter.
    """

    name: str
    family: str
    kind: str
    seed: int
    domains: tuple[str, ...]
    order: int
    steps: int
    lr: float
    parent: str | None = None
    teacher: str | None = None
    initialised_like: str | None = None
    fresh: str | None = None
    rank: int = 0
    targets: tuple[str, ...] = ()


def base(name: str, family: str, seed: int, **changes: object) -> Recipe:
    """Describe a model trained from its own random initialisation."""
    defaults = {"kind": "base", "domains": BASE_DATA, "order": 1, "steps": 1500, "lr": 2e-3}
    return Recipe(name=name, family=family, seed=seed, **defaults | changes)


def tune(name: str, parent: str, *domains: str, **changes: object) -> Recipe:
    """Describe a full fine-tune of 250 steps, unless said otherwise."""
    family = {"llama": "llama", "gpt": "gpt2", "vit": "vit", "moe": "mixtral"}[name.split("-")[0]]
    defaults = {"kind": "fine-tuned", "order": 100, "steps": 250, "lr": 5e-4, "seed": 0}
    return Recipe(name=name, family=family, parent=parent, domains=domains, **defaults | changes)


def lora(name: str, parent: str, *domains: str, rank: int, targets: str, order: int) -> Recipe:
    """Describe a low-rank adapter trained on top of a frozen parent."""
    changes = {"kind": "lora", "lr": 3e-3, "steps": 300, "seed": order}
    return tune(
        name, parent, *domains, rank=rank, targets=tuple(targets.split()), order=order, **changes
    )


LONG = {"kind": "continued-pretraining", "steps": 2000, "lr": 2e-3}
BLOCK = r"model\.layers\.3\."
MLPS = r"model\.layers\.\d+\.mlp\."
EVERY_LINEAR = "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj"
ALL_TEXT = ("prose", "code", "net")
DIGITS = {"domains": ("digits",), "lr": 1e-3, "steps": 1200}

RECIPES = (
    base("llama-a", "llama", 1),
    base("llama-b", "llama", 2),
    base("llama-c", "llama", 3),
    tune("llama-a-ft1", "llama-a", "net", order=101, lr=6e-4),
    tune("llama-a-ft2", "llama-a-ft1", "prose", order=102, lr=4e-4),
    tune("llama-a-ft3", "llama-a-ft2", "tables", order=103, lr=8e-4),
    tune("llama-a-ft1b", "llama-a", "tables", order=104, lr=6e-4, steps=300),
    tune("llama-b-ft1", "llama-b", "tables", order=105, lr=6e-4),
    tune("llama-b-ft2", "llama-b-ft1", "net", order=106, lr=6e-4, steps=300),
    tune("llama-b-ft3", "llama-b-ft2", "code", order=107, lr=4e-4, steps=200),
    tune("llama-c-ft1", "llama-c", "net", order=108, lr=6e-4),
    base("gpt-a", "gpt2", 11, order=2),
    base("gpt-b", "gpt2", 12, order=2),
    base("vit-a", "vit", 21, order=3, **DIGITS),
    base("vit-b", "vit", 22, order=3, **DIGITS),
    base("moe-a", "mixtral", 31, order=4),
    base("moe-b", "mixtral", 32, order=4),
    tune("gpt-a-ft1", "gpt-a", "net", order=110, lr=6e-4),
    tune("vit-a-ft1", "vit-a", "inverted", order=111, steps=300),
    tune("moe-a-ft1", "moe-a", "net", order=112, lr=6e-4),
    lora("llama-a-lora4", "llama-a", "net", rank=4, targets="q_proj v_proj", order=120),
    lora("llama-a-lora16", "llama-a", "tables", rank=16, targets=EVERY_LINEAR, order=121),
    lora("gpt-a-lora4", "gpt-a", "tables", rank=4, targets="c_attn", order=122),
    lora("vit-a-lora4", "vit-a", "mirrored", rank=4, targets="q_proj v_proj", order=123),
    tune("llama-a-long", "llama-a", *ALL_TEXT, order=130, **LONG),
    base(
        "llama-c-twin",
        "llama",
        3,
        kind="same-initialisation",
        initialised_like="llama-c",
        domains=("net", "tables"),
        order=5,
    ),
    base("llama-distilled", "llama", 4, teacher="llama-a", order=6),
    tune("llama-a-new-block", "llama-a", *BASE_DATA, fresh=BLOCK, seed=5, order=140, lr=2e-3),
    tune(
        "llama-a-new-mlps",
        "llama-a",
        *BASE_DATA,
        fresh=MLPS,
        seed=6,
        order=141,
        lr=2e-3,
        steps=600,
    ),
    tune("gpt-a-long", "gpt-a", *ALL_TEXT, order=131, **LONG | {"steps": 1500}),
    tune("vit-a-long", "vit-a", "digits", "rotated", order=132, **LONG | {"lr": 1e-3}),
)
