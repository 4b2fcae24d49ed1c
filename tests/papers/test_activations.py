"""Claim: activations are what the model computes, and kinship shows in them: no more, no less."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from weightkin.errors import UsageError
from weightkin.papers import inputs as given
from weightkin.papers.activations import activation_tests, phi_h, phi_jsd, phi_match
from weightkin.papers.forward import record_activations
from weightkin.papers.inputs import CannotRun, text_tokens, what_it_reads
from weightkin.papers.random_inputs import Inputs, gaussian_vectors, random_images, uniform_tokens

MODELS = Path(__file__).parents[2] / "zoo" / "models"
TOKENIZER = MODELS.parent / "tokenizer.json"
TOKENS = uniform_tokens(480, 8, 64, seed=5)
IMAGES = random_images((1, 8, 8), 48, seed=5)
VECTORS = gaussian_vectors(96, 400, seed=5)

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def recorded():
    """Record each model of the zoo once on each kind of inputs."""
    seen = {}

    def record(name, inputs=TOKENS):
        key = name, inputs.kind
        if key not in seen:
            seen[key] = record_activations(MODELS / name, inputs)
        return seen[key]

    return record


def of(tests, name):
    return [t for t in tests if t.name == name]


def values(tests, name):
    return np.array([t.statistic for t in of(tests, name)])


def copied(name, folder, change=None, **config):
    """A copy of a model of the zoo, its arrays and its config changed."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = load_file(MODELS / name / "model.safetensors")
    if change:
        change(arrays)
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / "model.safetensors")
    stored = json.loads((MODELS / name / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**stored, **config}))
    return folder


def reorder(arrays, rng, kept=None):
    """Reorder the hidden units of every MLP of a Llama-like model; keep only some if told so."""
    for block in range(6):
        layer = f"model.layers.{block}.mlp."
        order = rng.permutation(256)[:kept]
        for name in ("gate_proj", "up_proj"):
            arrays[f"{layer}{name}.weight"] = arrays[f"{layer}{name}.weight"][order]
        arrays[f"{layer}down_proj.weight"] = arrays[f"{layer}down_proj.weight"][:, order]


# What is recorded


@pytest.mark.parametrize(
    ("name", "inputs", "n_blocks", "shape", "is_gated"),
    [
        ("llama-a", TOKENS, 6, (256, 512), True),
        ("gpt-a", TOKENS, 4, (384, 512), False),
        ("vit-a", IMAGES, 4, (256, 48 * 17), False),
        ("llama-a", VECTORS, 6, (256, 400), True),
        ("gpt-a", VECTORS, 4, (384, 400), False),
    ],
)
def test_every_block_is_recorded_once(recorded, name, inputs, n_blocks, shape, is_gated):
    found = recorded(name, inputs)
    assert len(found.blocks) == len({b.name for b in found.blocks}) == n_blocks
    assert found.skipped == ()
    for block in found.blocks:
        assert block.gate.shape == block.hidden.shape == shape
        assert (block.up is not None) == is_gated
        assert block.gate.dtype == block.hidden.dtype == np.float32


def test_all_blocks_take_one_pass(monkeypatch):
    from transformers.models.llama.modeling_llama import LlamaForCausalLM, LlamaMLP

    calls = {"model": 0, "mlp": 0}
    for key, kind in (("model", LlamaForCausalLM), ("mlp", LlamaMLP)):
        forward = kind.forward

        def counted(self, *args, _forward=forward, _key=key, **more):
            calls[_key] += 1
            return _forward(self, *args, **more)

        monkeypatch.setattr(kind, "forward", counted)
    record_activations(MODELS / "llama-a", TOKENS)
    assert calls == {"model": 1, "mlp": 6}


def test_several_batches_give_the_same_as_one(monkeypatch, recorded):
    whole = recorded("gpt-a")
    monkeypatch.setattr("weightkin.papers.forward.LOGITS_PER_BATCH", 3 * 512 * 64)
    parts = record_activations(MODELS / "gpt-a", TOKENS)
    for x, y in zip(whole.blocks, parts.blocks, strict=True):
        np.testing.assert_allclose(x.hidden, y.hidden, atol=1e-4)
    np.testing.assert_allclose(whole.log_outputs, parts.log_outputs, atol=1e-4)


def test_gated_activations_are_those_of_the_formula(recorded):
    arrays = load_file(MODELS / "llama-a" / "model.safetensors")
    gate, up = (arrays[f"model.layers.2.mlp.{n}_proj.weight"] for n in ("gate", "up"))
    x = VECTORS.values.T.astype(np.float64)
    block = recorded("llama-a", VECTORS).blocks[2]
    z = gate @ x
    np.testing.assert_allclose(block.gate, z, atol=1e-4)
    np.testing.assert_allclose(block.up, up @ x, atol=1e-4)
    np.testing.assert_allclose(block.hidden, z / (1 + np.exp(-z)) * (up @ x), atol=1e-4)


def test_plain_activations_are_those_of_the_formula(recorded):
    arrays = load_file(MODELS / "gpt-a" / "model.safetensors")
    weight, bias = (arrays[f"transformer.h.1.mlp.c_fc.{n}"] for n in ("weight", "bias"))
    z = weight.T.astype(np.float64) @ VECTORS.values.T + bias[:, None]
    block = recorded("gpt-a", VECTORS).blocks[1]
    cubic = np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)
    np.testing.assert_allclose(block.gate, z, atol=1e-4)
    np.testing.assert_allclose(block.hidden, 0.5 * z * (1 + np.tanh(cubic)), atol=1e-4)


def test_projections_apart_and_projections_in_one_are_found(tmp_path):
    from transformers import BertConfig, BertModel, Phi3Config, Phi3ForCausalLM

    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
             "num_attention_heads": 2, "vocab_size": 50, "pad_token_id": 0}  # fmt: skip
    bert, phi = BertModel(BertConfig(**shape)), Phi3ForCausalLM(Phi3Config(**shape))
    vectors = gaussian_vectors(16, 40, seed=0)
    x = torch.from_numpy(vectors.values)
    with torch.no_grad():
        hidden = bert.encoder.layer[1].intermediate(x).T.numpy()
        both = phi.model.layers[1].mlp.gate_up_proj(x).T.numpy()
    bert.save_pretrained(tmp_path / "bert")
    phi.save_pretrained(tmp_path / "phi")
    plain, fused = (record_activations(tmp_path / n, vectors).blocks[1] for n in ("bert", "phi"))
    np.testing.assert_allclose(plain.hidden, hidden, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([fused.gate, fused.up]), both, atol=1e-5)


def test_the_first_block_of_a_real_pass_is_the_computation_by_hand(recorded):
    """A naive twin: one attention over a single token gives back its value."""
    one = Inputs("uniform", np.arange(20)[:, None])
    arrays = load_file(MODELS / "llama-a" / "model.safetensors")
    layer = {k.removeprefix("model.layers.0."): v for k, v in arrays.items() if ".layers.0." in k}

    def norm(x, gain):
        return gain * x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6)

    x = arrays["model.embed_tokens.weight"][:20].astype(np.float64)
    v = norm(x, layer["input_layernorm.weight"]) @ layer["self_attn.v_proj.weight"].T
    v = v.reshape(20, 2, 24).repeat(2, axis=1).reshape(20, 96)  # 4 heads on 2 key-value heads
    x = x + v @ layer["self_attn.o_proj.weight"].T
    z = norm(x, layer["post_attention_layernorm.weight"]) @ layer["mlp.gate_proj.weight"].T
    found = record_activations(MODELS / "llama-a", one)
    np.testing.assert_allclose(found.blocks[0].gate, z.T, atol=1e-4)


def test_outputs_are_distributions(recorded):
    for name, inputs, shape in (("llama-a", TOKENS, (512, 512)), ("vit-a", IMAGES, (48, 10))):
        log_p = recorded(name, inputs).log_outputs
        assert log_p.shape == shape
        np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, atol=1e-4)


def test_outputs_are_thinned_when_there_are_many(monkeypatch):
    monkeypatch.setattr("weightkin.papers.forward.KEPT_OUTPUTS", 512 * 128)
    found = record_activations(MODELS / "gpt-a", TOKENS)
    assert found.log_outputs.shape == (128, 512)
    assert found.blocks[0].hidden.shape == (384, 512)


# What it tells


@pytest.mark.parametrize(
    ("a", "child", "stranger", "inputs"),
    [
        ("llama-a", "llama-a-ft1", "llama-b", TOKENS),
        ("llama-a", "llama-a-ft1", "llama-distilled", VECTORS),
        ("gpt-a", "gpt-a-ft1", "gpt-b", TOKENS),
        ("vit-a", "vit-a-ft1", "vit-b", IMAGES),
    ],
)
def test_hidden_units_of_kin_keep_their_places(recorded, a, child, stranger, inputs):
    parent = recorded(a, inputs)
    near, far = (phi_h(parent, recorded(name, inputs)) for name in (child, stranger))
    assert of(near, "phi_H_fisher")[0].log10_pvalue < -30
    assert min(t.log10_pvalue for t in of(near, "phi_H_monte_carlo")) == -2.0
    assert of(far, "phi_H_fisher")[0].log10_pvalue > -4
    own = [np.median([t.effect.agreement for t in of(x, "phi_H")]) for x in (near, far)]
    assert own[0] > 10 * own[1]
    assert {t.null for t in of(near, "phi_H")} == {"asymptotic"}


@pytest.mark.parametrize("inputs", [TOKENS, VECTORS], ids=["uniform", "gaussian"])
def test_gate_and_up_agree_in_kin_and_not_in_strangers(recorded, inputs):
    a = recorded("llama-a", inputs)
    near, far = (phi_match(a, recorded(n, inputs)) for n in ("llama-a-ft1", "llama-b"))
    assert values(near, "phi_MATCH").min() > 0.9
    assert values(near, "phi_MATCH_agreement").min() > 0.9
    assert values(near, "phi_MATCH_nearest").min() > 0.9
    assert values(far, "phi_MATCH_agreement").max() < 0.1
    assert values(far, "phi_MATCH_nearest").max() < 0.05
    assert of(near, "phi_MATCH_fisher")[0].log10_pvalue < -1000
    assert of(far, "phi_MATCH_fisher")[0].log10_pvalue > -4


def test_a_statistic_without_a_null_claims_no_pvalue(recorded):
    tests = phi_match(recorded("llama-a"), recorded("llama-a-ft1"))
    tests.append(phi_jsd(recorded("llama-a"), recorded("llama-a-ft1")))
    for t in tests:
        assert t.null in ("asymptotic", "calibrated")
        assert t.log10_pvalue == 0.0 or t.null == "asymptotic"


def test_reordering_units_changes_neither_match_nor_outputs(recorded, tmp_path, rng):
    a, child = recorded("llama-a"), recorded("llama-a-ft1")
    folder = copied("llama-a-ft1", tmp_path / "m", lambda arrays: reorder(arrays, rng))
    moved = record_activations(folder, TOKENS)
    for name in ("phi_MATCH_agreement", "phi_MATCH_nearest"):
        before, after = (values(phi_match(a, b), name) for b in (child, moved))
        np.testing.assert_allclose(before, after, atol=0.012)  # rounding may tip a near tie
    assert of(phi_h(a, moved), "phi_H_fisher")[0].log10_pvalue > -4
    assert phi_jsd(a, moved).statistic == pytest.approx(phi_jsd(a, child).statistic, rel=1e-4)


def test_divergence_is_symmetric_bounded_and_zero_at_home(recorded):
    a, b = recorded("llama-a"), recorded("llama-b")
    assert phi_jsd(a, b).statistic == phi_jsd(b, a).statistic
    assert 0 < phi_jsd(a, b).statistic < np.log(2)
    assert phi_jsd(a, a).statistic == 0.0
    assert phi_jsd(recorded("vit-a", IMAGES), a) is None


def test_divergence_is_that_of_scipy(recorded):
    from scipy.spatial.distance import jensenshannon

    a, b = recorded("gpt-a"), recorded("gpt-b")
    p, q = (np.exp(x.log_outputs.astype(np.float64)) for x in (a, b))
    expected = float((jensenshannon(p, q, axis=1) ** 2).mean())
    assert phi_jsd(a, b).statistic == pytest.approx(expected, rel=1e-4)


def test_blocks_of_different_widths_are_padded(recorded, tmp_path, rng):
    def narrow(arrays):
        reorder(arrays, rng, kept=150)

    folder = copied("llama-a-ft1", tmp_path / "m", narrow, intermediate_size=150)
    a, b = recorded("llama-a", VECTORS), record_activations(folder, VECTORS)
    for near in (phi_match(a, b), phi_match(b, a)):
        assert values(near, "phi_MATCH_agreement").min() > 0.9
        assert {t.n_units for t in of(near, "phi_MATCH")} == {150}
    assert values(phi_match(recorded("llama-b", VECTORS), b), "phi_MATCH_agreement").max() < 0.1
    assert phi_h(a, b) == []


def test_any_pair_of_blocks_can_be_asked_for(recorded):
    a, b = recorded("llama-a", VECTORS), recorded("llama-a-ft1", VECTORS)
    tests = phi_match(a, b, pairs=[(i, 2) for i in range(6)])
    assert int(values(tests, "phi_MATCH_agreement").argmax()) == 2
    assert not of(tests, "phi_MATCH_fisher")  # block 2 was used more than once
    first = of(tests, "phi_MATCH")[0]
    assert (first.block_a, first.block_b) == ("decoder.0", "decoder.2")


def test_the_seed_decides_everything():
    results = [activation_tests(MODELS / "gpt-a", MODELS / "gpt-b", n_tokens=200) for _ in "ab"]
    assert results[0] == results[1]


# What is said of bad input


def why(a, b, **more):
    tests, skipped = activation_tests(a, b, **{"n_tokens": 128, **more})
    assert tests == ()
    (one,) = skipped
    assert "\n" not in one.sentence
    return one.sentence


def test_plain_models_say_why_match_is_left_out():
    tests, skipped = activation_tests(MODELS / "gpt-a", MODELS / "gpt-a-ft1", n_tokens=128)
    assert {t.name for t in tests} == {"phi_H", "phi_H_monte_carlo", "phi_H_fisher", "phi_JSD"}
    assert [s.what for s in skipped] == ["phi_MATCH"]


def test_images_are_made_for_models_of_images():
    tests, _ = activation_tests(MODELS / "vit-a", MODELS / "vit-b", n_tokens=256)
    assert {t.view for t in tests} == {"images"}
    assert "a reads tokens, b reads images" in why(MODELS / "llama-a", MODELS / "vit-a")


def test_models_of_other_shapes_share_only_their_outputs():
    tests, skipped = activation_tests(MODELS / "llama-a", MODELS / "gpt-a", n_tokens=128)
    assert [t.name for t in tests] == ["phi_JSD"]
    assert {s.what for s in skipped} >= {"phi_H", "phi_MATCH"}


def test_missing_torch_says_what_to_install(monkeypatch):
    def absent(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(given, "import_module", absent)
    assert "pip install 'weightkin[torch]'" in why(MODELS / "gpt-a", MODELS / "gpt-b")


def test_experts_are_refused():
    assert "experts" in why(MODELS / "moe-a", MODELS / "moe-b")


def test_an_architecture_nobody_knows_is_refused(tmp_path):
    folder = copied("gpt-a", tmp_path / "m", model_type="never-heard-of", architectures=["X"])
    assert "transformers cannot run it" in why(MODELS / "gpt-a", folder)


def test_code_in_the_folder_is_never_run(tmp_path):
    mark = tmp_path / "ran"
    remote = {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}
    folder = copied("gpt-a", tmp_path / "m", model_type="evil", auto_map=remote)
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w')")
    assert "transformers cannot run it" in why(MODELS / "gpt-a", folder)
    assert not mark.exists()


def test_pickles_are_never_loaded(tmp_path):
    shutil.copy(MODELS / "gpt-a" / "config.json", tmp_path)
    torch.save({}, tmp_path / "pytorch_model.bin")
    assert "no safetensors" in why(MODELS / "gpt-a", tmp_path)


def test_missing_tensors_are_not_made_up(tmp_path):
    folder = copied("gpt-a", tmp_path / "m", lambda x: x.pop("transformer.h.1.mlp.c_fc.weight"))
    assert "lacks 1 tensors" in why(MODELS / "gpt-a", folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"vocab_size": "many"}'])
def test_broken_configs_are_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    assert str(tmp_path) in why(tmp_path, MODELS / "gpt-a")
    assert str(tmp_path) in why(MODELS / "gpt-a", tmp_path)


def test_configs_that_do_not_fit_the_weights_are_refused(tmp_path):
    folder = copied("gpt-a", tmp_path / "m", n_inner=100)
    assert str(folder) in why(MODELS / "gpt-a", folder)


def test_a_config_of_endless_depth_is_refused(tmp_path):
    folder = copied("gpt-a", tmp_path / "m", n_layer=10**12)
    assert "m: 1000000000000 n_layer" in why(MODELS / "gpt-a", folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    assert "nowhere/config.json: no such file or folder" in why(
        tmp_path / "nowhere", MODELS / "gpt-a"
    )


def test_non_finite_activations_are_left_out(tmp_path):
    def spoil(arrays):
        arrays["transformer.h.2.mlp.c_fc.bias"][3] = np.nan

    folder = copied("gpt-a", tmp_path / "m", spoil)
    tests, skipped = activation_tests(MODELS / "gpt-a", folder, n_tokens=128)
    tested = {t.block_a for t in of(tests, "phi_H")}
    assert tested == {"decoder.0", "decoder.1"}
    reasons = [s.sentence for s in skipped if s.what.startswith("b: ")]
    assert sum("non-finite activations" in text for text in reasons) == 2
    assert any("non-finite output" in text for text in reasons)
    assert all(np.isfinite(t.statistic) for t in tests)


def test_tokenizers_that_differ_are_refused(tmp_path):
    a, b = copied("gpt-a", tmp_path / "a"), copied("gpt-b", tmp_path / "b")
    rules = json.loads(TOKENIZER.read_text())
    (a / "tokenizer.json").write_text(json.dumps(rules))
    rules["model"]["merges"] = rules["model"]["merges"][:-1]
    (b / "tokenizer.json").write_text(json.dumps(rules))
    assert "tokenizers differ" in why(a, b)
    assert "tokenizers differ" in why(a, b, inputs="text")
    with pytest.raises(UsageError, match="tokenizers differ"):
        text_tokens(a, b, n_sequences=1)


def test_text_needs_a_tokenizer():
    assert "no tokenizer.json" in why(MODELS / "gpt-a", MODELS / "gpt-b", inputs="text")


def test_text_is_the_same_for_both(tmp_path):
    a, b = copied("llama-a", tmp_path / "a"), copied("llama-a-ft1", tmp_path / "b")
    for folder in (a, b):
        shutil.copy(TOKENIZER, folder)
    inputs = text_tokens(a, b, n_sequences=4, length=32, seed=1)
    assert inputs.values.shape == (4, 32)
    assert inputs.values.max() < 480
    tests, skipped = activation_tests(a, b, inputs="text", n_tokens=512)
    assert values(tests, "phi_MATCH_agreement").min() > 0.9
    assert skipped == ()
    with pytest.raises(UsageError, match="at least 4 needed"):
        text_tokens(a, b, n_sequences=4, text="too short")


def test_inputs_of_the_wrong_kind_are_refused():
    with pytest.raises(UsageError, match="the model reads images, but the inputs are uniform"):
        record_activations(MODELS / "vit-a", TOKENS)
    with pytest.raises(UsageError, match="the model reads tokens, but the inputs are images"):
        record_activations(MODELS / "gpt-a", IMAGES)
    with pytest.raises(UsageError, match="is not within 0 to 511"):
        record_activations(MODELS / "gpt-a", uniform_tokens(5000, 2, 8, seed=0))
    with pytest.raises(UsageError, match="vectors of width 10, not 96"):
        record_activations(MODELS / "gpt-a", gaussian_vectors(10, 5, seed=0))
    assert "inputs must be uniform, text or gaussian" in why(
        MODELS / "gpt-a", MODELS / "gpt-b", inputs="noise"
    )
    for make in (lambda: uniform_tokens(0, 1, 1, 0), lambda: random_images((1, 0, 1), 1, 0),
                 lambda: gaussian_vectors(0, 1, 0)):  # fmt: skip
        with pytest.raises(UsageError):
            make()


def test_what_a_model_reads_is_in_its_config(tmp_path):
    assert what_it_reads(MODELS / "gpt-a").max_length == 64
    assert what_it_reads(MODELS / "vit-a").image == (1, 8, 8)
    (tmp_path / "config.json").write_text('{"text_config": {"vocab_size": 9, "n_ctx": 7}}')
    assert (what_it_reads(tmp_path).n_vocabulary, what_it_reads(tmp_path).max_length) == (9, 7)
    (tmp_path / "config.json").write_text('{"image_size": 1000000000}')
    with pytest.raises(CannotRun):
        what_it_reads(tmp_path)
