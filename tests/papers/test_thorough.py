"""Claim: `thorough` runs everything, decides by nothing of it, and says why what did not run."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests import models
from weightkin.api.compare import compare
from weightkin.api.differences import differences, what_agrees
from weightkin.api.verify import verify
from weightkin.cli.main import main
from weightkin.formats import model_from_arrays
from weightkin.papers import inputs, thorough
from weightkin.records import Comparison, left_out

MODELS = Path(__file__).parents[2] / "zoo" / "models"
TOKENIZER = MODELS.parent / "tokenizer.json"

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module", autouse=True)
def short():
    """Fits of few steps: what they find is for `test_refit`."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thorough, "REFIT_STEPS", 3)
        yield


@pytest.fixture(scope="module")
def record(short):
    return compare(MODELS / "gpt-a", MODELS / "gpt-a-ft1", effort="thorough")


def run(monkeypatch, capsys, *arguments):
    """The command line in this process: exit code, standard output, standard error."""
    monkeypatch.setattr("sys.argv", ["weightkin", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr()
    return stopped.value.code, said.out, said.err


def thorough_record(monkeypatch, capsys, a, b):
    """What the command says of a pair that it can compare, whatever else is wrong with it."""
    code, out, err = run(monkeypatch, capsys, "compare", a, b, "--effort", "thorough", "--json")
    assert code == 0
    assert "Traceback" not in err
    return Comparison.from_json(out)


def reasons(record):
    """Why tests that run models were skipped."""
    found = [s for s in record.skipped if s.what.startswith(thorough.ACTIVATION_TESTS)]
    assert all("\n" not in s.sentence for s in found)
    return {
        s.what.removeprefix(thorough.ACTIVATION_TESTS).removeprefix(": "): s.sentence for s in found
    }


def copied(name, folder, change=None, **config):
    """A copy of a model of the zoo, its arrays and its config changed."""
    folder.mkdir()
    arrays = load_file(MODELS / name / "model.safetensors")
    if change:
        change(arrays)
    save_file(arrays, folder / "model.safetensors")
    stored = json.loads((MODELS / name / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**stored, **config}))
    return folder


def test_activations_and_refits_are_listed_and_change_nothing_else(record):
    plain = compare(MODELS / "gpt-a", MODELS / "gpt-a-ft1")
    names = {t.name for t in record.tests if thorough.is_from_running(t)}
    assert names == {"phi_H", "phi_H_monte_carlo", "phi_H_fisher", "phi_JSD",
                     "generalised_phi_MATCH", "generalised_phi_MATCH_agreement",
                     "generalised_phi_MATCH_nearest"}  # fmt: skip
    assert {t.null for t in record.tests if thorough.is_from_running(t)} <= {
        "asymptotic", "monte-carlo", "calibrated"}  # fmt: skip
    assert not any(thorough.is_from_running(t) for t in plain.tests)
    assert (record.verdict, record.basis) == (plain.verdict, plain.basis)
    assert [a.axis for a in plain.axes] == [a.axis for a in record.axes][: len(plain.axes)]
    assert Comparison.from_json(record.to_json()) == record


def test_gated_models_of_one_shape_need_no_refit(monkeypatch):
    record = compare(MODELS / "llama-a", MODELS / "llama-a-ft1", effort="thorough")
    names = {t.name for t in record.tests}
    assert {"phi_H", "phi_MATCH", "phi_MATCH_agreement", "phi_JSD"} <= names
    assert not any(name.startswith("generalised") for name in names)
    assert reasons(record) == {}


def test_a_thorough_record_is_verified_and_says_how_closely(record):
    assert verify(record) == []
    assert what_agrees(record).endswith("those of activation tests to 5%")


def test_rounding_of_a_run_is_forgiven_and_another_number_is_not(record):
    def with_statistic(change):
        tests = tuple(replace(t, statistic=change(t.statistic)) if t.name == "phi_H" else t
                      for t in record.tests)  # fmt: skip
        return replace(record, tests=tests)

    assert differences(record, with_statistic(lambda x: x - 0.01)) == []
    found = differences(record, with_statistic(lambda x: x - 0.3))
    assert len(found) == 4  # one for each block
    assert all(line.startswith("phi_H decoder.") for line in found)


def test_a_run_that_is_missing_is_one_difference_with_its_reason(record):
    kept = tuple(t for t in record.tests if not thorough.is_from_running(t))
    why = "activation tests need torch and transformers: pip install 'weightkin[torch]'"
    note = left_out(thorough.ACTIVATION_TESTS, "cannot-run", "activations", error=why)
    bare = replace(record, tests=kept, skipped=(note,))
    (line,) = [x for x in differences(record, bare) if x.startswith(thorough.ACTIVATION_TESTS)]
    assert "0 now" in line
    assert "weightkin[torch]" in line


# Bad input, through the command line


def test_missing_torch_says_in_one_line_what_to_install(monkeypatch, capsys):
    def absent(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(inputs, "import_module", absent)
    found = reasons(thorough_record(monkeypatch, capsys, MODELS / "gpt-a", MODELS / "gpt-b"))
    assert list(found) == [""]
    assert "pip install 'weightkin[torch]'" in found[""]


def test_a_model_that_transformers_cannot_run_is_compared_all_the_same(
    monkeypatch, capsys, tmp_path
):
    folder = copied("gpt-a", tmp_path / "m", model_type="never-heard-of", architectures=["X"])
    record = thorough_record(monkeypatch, capsys, MODELS / "gpt-a", folder)
    assert record.verdict == "dependent"
    assert "transformers cannot run it" in reasons(record)[""]


def test_tokenizers_that_differ_share_tokens_of_equal_text(monkeypatch, capsys, tmp_path):
    a, b = copied("gpt-a", tmp_path / "a"), copied("gpt-a-ft1", tmp_path / "b")
    rules = json.loads(TOKENIZER.read_text())
    (a / "tokenizer.json").write_text(json.dumps(rules))
    words = list(rules["model"]["vocab"])
    rules["model"]["vocab"] = {f"{w}!" if i % 2 else w: i for i, w in enumerate(words)}
    (b / "tokenizer.json").write_text(json.dumps(rules))
    record = thorough_record(monkeypatch, capsys, a, b)
    shared = len(words[::2])
    assert record.parameters["views"]["rule"] == {"by": "text", "n": shared}
    assert "tokenizers differ" in reasons(record)[""]
    shutil.copy(a / "tokenizer.json", b)
    record = thorough_record(monkeypatch, capsys, a, b)
    assert record.parameters["views"]["rule"] == {"by": "rows"}


def test_non_finite_weights_and_activations_are_left_out_and_said_so(monkeypatch, capsys, tmp_path):
    def spoil(arrays):
        arrays["transformer.h.2.mlp.c_fc.weight"][3, 3] = np.nan

    folder = copied("gpt-a", tmp_path / "m", spoil)
    record = thorough_record(monkeypatch, capsys, MODELS / "gpt-a", folder)
    assert record.verdict == "dependent"
    assert any("non-finite values" in s.sentence for s in record.skipped)
    assert any("non-finite activations" in why for why in reasons(record).values())
    assert {t.block_a for t in record.tests if t.name == "phi_H"} == {"decoder.0", "decoder.1"}


def test_models_of_images_see_patches(monkeypatch, capsys):
    record = thorough_record(monkeypatch, capsys, MODELS / "vit-a", MODELS / "vit-a-ft1")
    assert record.parameters["views"]["rule"] == {"by": "pixels"}
    assert {t.view for t in record.tests if t.name == "phi_H"} == {"images"}
    mixed = thorough_record(monkeypatch, capsys, MODELS / "vit-a", MODELS / "gpt-a")
    assert any(
        s.sentence == "one model has token embeddings, the other image patches"
        for s in mixed.skipped
    )
    assert reasons(mixed)[""] == "a reads images, b reads tokens"


def test_models_without_an_embedding_say_so(monkeypatch, capsys, tmp_path, rng):
    arrays = {k: v for k, v in models.base(rng).items() if "layers." in k}
    a = models.write(tmp_path / "a", arrays)
    b = models.write(tmp_path / "b", models.child(arrays, rng))
    record = thorough_record(monkeypatch, capsys, a, b)
    assert record.verdict == "dependent"
    assert any("no embedding of tokens" in s.sentence for s in record.skipped)


def test_tied_embeddings_serve_as_both(monkeypatch, capsys, tmp_path, rng):
    arrays = models.base(rng)
    del arrays["lm_head.weight"]
    a = models.write(tmp_path / "a", arrays)
    b = models.write(tmp_path / "b", models.child(arrays, rng))
    record = thorough_record(monkeypatch, capsys, a, b)
    assert {t.view for t in record.tests if t.axis == "residual"} == {"embed"}
    assert {a.axis for a in record.axes} >= {"token units", "token signs"}


def test_what_is_no_folder_is_not_run(monkeypatch, capsys, tmp_path, rng):
    shutil.copy(MODELS / "gpt-a" / "model.safetensors", tmp_path / "m.safetensors")
    found = thorough_record(monkeypatch, capsys, MODELS / "gpt-a", tmp_path / "m.safetensors")
    assert reasons(found) == {"": "b is not a folder with a config, which is needed to run a model"}
    arrays = model_from_arrays(models.base(rng))
    assert "a is not a folder" in reasons(compare(arrays, arrays, effort="thorough"))[""]


def test_models_too_large_to_hold_are_not_run(monkeypatch):
    monkeypatch.setattr(thorough, "MAX_MODEL_BYTES", 1000)
    record = compare(MODELS / "gpt-a", MODELS / "gpt-a-ft1", effort="thorough")
    assert "in float32" in reasons(record)[""]
