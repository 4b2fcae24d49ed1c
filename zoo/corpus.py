"""The zoo's data: text of the Python standard library, and scikit-learn's digits.

Text comes in four domains, read from the Python that runs this file, so another Python
version gives slightly different text. Nothing is downloaded.
"""

import ast
import os
import pydoc_data.topics
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

STDLIB = Path(os.__file__).parent
CODE = "asyncio collections concurrent ctypes importlib json logging multiprocessing re unittest"
NET = "email html http urllib wsgiref xml xmlrpc"
TABLES = "encodings"
N_TOKENS = 480  # the models have 512 rows: the last 32 are never used
END = "<|end|>"
SLAB = 2048  # tokens; every 16th slab is held out

Split = tuple[NDArray[np.int64], NDArray[np.int64]]


def documents(domain: str) -> list[str]:
    """All documents of one domain, in a fixed order."""
    if domain == "prose":
        topics = pydoc_data.topics.topics
        modules = [path for path in sorted(STDLIB.glob("*.py")) if path.name[0] != "_"]
        return [topics[name] for name in sorted(topics)] + [docstrings(p) for p in modules]
    packages = {"code": CODE, "net": NET, "tables": TABLES}[domain].split()
    return [p.read_text(encoding="utf-8") for name in packages for p in sources(STDLIB / name)]


def sources(package: Path) -> list[Path]:
    """Return the Python files of a package that are UTF-8 and no tests."""
    files = (p for p in package.rglob("*.py") if not {"test", "tests"} & set(p.parts))
    return sorted(p for p in files if is_utf8(p))


def is_utf8(path: Path) -> bool:
    """Tell whether a file decodes as UTF-8."""
    try:
        path.read_bytes().decode()
    except UnicodeDecodeError:
        return False
    return True


def docstrings(path: Path) -> str:
    """Join the docstrings of a module, dedented by `ast`."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(path.read_bytes())
    found = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds))
    return "\n\n".join(text for text in found if text)


def train_tokenizer() -> Tokenizer:
    """Byte-level pair encoding of at most `N_TOKENS` tokens, learned on prose and code."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=N_TOKENS,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents("prose") + documents("code"), trainer)
    return tokenizer


def token_split(domain: str, tokenizer: Tokenizer) -> Split:
    """Tokens of a domain for training and, one slab in 16, for measuring the loss."""
    end = tokenizer.token_to_id(END)
    encoded = tokenizer.encode_batch(documents(domain))
    tokens = np.array([i for e in encoded for i in (*e.ids, end)], dtype=np.int64)
    slab = np.arange(len(tokens)) // SLAB
    held_out = slab % 16 == 7
    return tokens[~held_out], tokens[held_out]


def unigram_nats(train: NDArray[np.int64], held_out: NDArray[np.int64]) -> float:
    """Loss on held-out tokens of the best guess that ignores context."""
    counts = np.bincount(train, minlength=N_TOKENS) + 1.0
    return float(-np.log(counts / counts.sum())[held_out].mean())


def text_batches(
    domains: Sequence[NDArray[np.int64]], *, order: int, steps: int, size: int, length: int
) -> Iterator[NDArray[np.int64]]:
    """Windows of text, drawn evenly over domains; `order` fixes them all."""
    rng = np.random.default_rng(order)
    for _ in range(steps):
        picks = [domains[i] for i in rng.integers(len(domains), size=size)]
        starts = [int(rng.integers(len(tokens) - length)) for tokens in picks]
        rows = [t[s : s + length] for t, s in zip(picks, starts, strict=True)]
        yield np.stack(rows)  # (size, length)


def digits(domain: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scikit-learn's 1797 digits of 8 x 8 pixels in [-1, 1], possibly altered."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x = data.images.astype(np.float32) / 8 - 1  # (1797, 8, 8)
    change = {
        "digits": lambda x: x,
        "inverted": lambda x: -x,
        "rotated": lambda x: np.rot90(x, axes=(1, 2)),
        "mirrored": lambda x: x[:, :, ::-1],
    }[domain]
    return np.ascontiguousarray(change(x))[:, None], data.target.astype(np.int64)
