"""Claim: the secret of a policy draws what the gate reads, each time alike, and is not printed."""

import base64
import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.commands import command
from tests.registry.conftest import write
from weightkin import Policy, Registry, check, open_model
from weightkin.errors import UsageError
from weightkin.evidence.draws import Draws, pinned
from weightkin.formats import digest
from weightkin.policy import read_policy
from weightkin.policy.equal_values import equal_share
from weightkin.policy.secret import Sampling, binding_of, read_secret
from weightkin.policy.verifying import verify_check
from weightkin.records.checking import Check
from weightkin.report.checking import check_lines

KEY = b"correct horse battery staple 7f3a"
OTHER = b"another horse, another battery 12"
WIDTH, UNITS, TOKENS = 48, 4096, 64
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": WIDTH,
    "intermediate_size": UNITS,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "vocab_size": TOKENS,
    "hidden_act": "silu",
}
MLP = {f"model.layers.0.mlp.{x}_proj.weight" for x in ("gate", "up", "down")}


def wide(rng):
    """A model whose hidden units are more than any sample holds."""
    at = "model.layers.0"
    shapes = dict.fromkeys(("model.embed_tokens.weight", "lm_head.weight"), (TOKENS, WIDTH))
    shapes |= {f"{at}.self_attn.{x}_proj.weight": (WIDTH, WIDTH) for x in "qkvo"}
    shapes |= {name: (UNITS, WIDTH) for name in MLP if "down" not in name}
    shapes[f"{at}.mlp.down_proj.weight"] = (WIDTH, UNITS)
    arrays = {k: (rng.standard_t(5, x) * 0.05).astype(np.float32) for k, x in shapes.items()}
    norms = f"{at}.input_layernorm", f"{at}.post_attention_layernorm", "model.norm"
    return arrays | {f"{x}.weight": np.ones(WIDTH, dtype=np.float32) for x in norms}


def tuned(arrays, rng, names=None, amount=0.15):
    """A copy whose matrices moved; of others than those named nothing is left."""
    fresh = wide(rng)
    return {
        k: x if x.ndim == 1 else fresh[k] if names and k not in names
        else (x + rng.normal(0, amount * x.std(), x.shape)).astype(np.float32)
        for k, x in arrays.items()
    }  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A forbidden model, a copy that was trained on, and an unrelated one; two keys."""
    folder = tmp_path_factory.mktemp("secret")
    rng = np.random.default_rng(5)
    root = wide(rng)
    write(folder / "root", root, CONFIG)
    write(folder / "child", tuned(root, rng, MLP), CONFIG)
    write(folder / "stranger", wide(rng), CONFIG)
    (folder / "key").write_bytes(KEY)
    (folder / "other").write_bytes(OTHER + b"\n")
    return folder


def asked(home, key="key", **more):
    return Policy(forbidden_ancestors=(str(home / "root"),), secret=str(home / key), **more)


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "no file that can be read"), (b"", "has 0 bytes"), (b" \n\n", "has 0 bytes"),
     (b"fifteen bytes..\n", "has 15 bytes"), (b"x" * 5000, "no file that can be read"),
     (bytes(32), "repeats the same few bytes"), (b"ab" * 16, "repeats the same few bytes")],
)  # fmt: skip
def test_a_key_that_is_none_is_refused_in_one_line(tmp_path, home, content, why):
    path = tmp_path / "k"
    if content is not None:
        path.write_bytes(content)
    policy = tmp_path / "p.toml"
    policy.write_text(f'[forbidden]\nancestors = ["{home}/root"]\n[evidence]\nsecret = "{path}"\n')
    done = command("check", home / "child", "--policy", policy)
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "p.toml: evidence.secret: " in done.stderr
    assert why in done.stderr
    with pytest.raises(UsageError, match="secret"):
        check(home / "child", Policy(forbidden_ancestors=("x",), secret=str(tmp_path)))


def test_a_key_written_where_its_place_belongs_is_not_repeated(tmp_path, monkeypatch):
    for said in ('"0123456789abcdef0123"', '"env:0123456789abcdef0123"', "123456789012", '" "'):
        path = tmp_path / "p.toml"
        path.write_text(f"[rules]\nunknown-origin = 'off'\n[evidence]\nsecret = {said}\n")
        done = command("check", tmp_path, "--deny", tmp_path, "--policy", path)
        assert done.returncode == 4
        assert "evidence.secret" in done.stderr
        assert "env:NAME" in done.stderr
        assert "0123456789" not in done.stderr
    assert "0123" not in repr(Policy(secret="0123456789abcdef0123"))
    monkeypatch.setenv("A_KEY", "")
    with pytest.raises(UsageError, match="has 0 bytes"):
        read_secret("env:A_KEY", "here")


def test_a_file_and_a_variable_with_one_key_are_one_secret(home, tmp_path, monkeypatch):
    monkeypatch.setenv("A_KEY", KEY.decode())
    (tmp_path / "line").write_bytes(KEY + b"\r\n")
    found = {read_secret(str(x), "") for x in (home / "key", tmp_path / "line", "env:A_KEY")}
    assert len(found) == 1
    (secret,) = found
    assert secret.commitment.startswith("wkkey1-")
    assert secret.commitment != read_secret(str(home / "other"), "").commitment
    assert "key" not in repr(secret)
    text = "[evidence]\nsecret = 'env:A_KEY'\n"
    (tmp_path / "p.toml").write_text(text)
    assert read_policy(tmp_path / "p.toml").secret == "env:A_KEY"


def test_the_draw_follows_from_the_key_and_from_every_byte(home, tmp_path):
    arrays = {
        name: open_model(home / "child").rows(name) for name in open_model(home / "child").tensors
    }
    copy = open_model(write(tmp_path / "copy", arrays, CONFIG))
    name = "model.layers.0.mlp.gate_proj.weight"
    arrays[name] = arrays[name].copy()
    arrays[name][1, 1] += 1e-3  # a row that no sample digest has
    changed = open_model(write(tmp_path / "changed", arrays, CONFIG))
    root, child, stranger = (open_model(home / x) for x in ("root", "child", "stranger"))
    key, other = (read_secret(str(home / x), "") for x in ("key", "other"))

    def draw(secret, model, against=root, seed=0):
        return Sampling(seed, secret, model).between(against)

    assert digest(changed) == digest(child)
    assert draw(key, child) == draw(key, copy) == draw(key, child, seed=9)
    draws = draw(key, child), draw(other, child), draw(key, changed), draw(key, child, stranger)
    assert len({x.hex for x, _ in draws}) == len({seed for _, seed in draws}) == 4
    assert draw(None, child) == draw(None, changed)
    on_hub = [replace(child, revision=x * 20) for x in ("ab", "cd")]
    assert draw(key, on_hub[0]) != draw(key, on_hub[1])
    assert binding_of(on_hub[0]) == f"{'ab' * 20} {digest(child)}"  # nothing more is fetched
    assert binding_of(replace(child, revision="main")) == binding_of(child)


@pytest.mark.claim("gate-secret")
def test_one_secret_judges_a_file_by_one_sample_and_another_by_another(home):
    found = [check(home / "child", asked(home, key)) for key in ("key", "key", "other")]
    assert [x.outcome for x in found] == ["hit"] * 3
    one, same, other = (x.models[0].against[0] for x in found)
    assert one == same
    assert one.drawn == "secret"
    assert one.summary.effect != other.summary.effect  # of other units
    assert found[0].secret == found[1].secret != found[2].secret
    assert found[0].models[0].binding.startswith("wkfull1-")
    assert check(home / "stranger", asked(home)).outcome == "pass"


def hidden_from(seed, root, child):
    """The child with all units that this seed reads made anew, but for those a digest covers."""
    arrays = {name: child.rows(name).copy() for name in child.tensors}
    names = " ".join(sorted((digest(root), digest(child))))
    n = UNITS // 4  # units of a run
    first = int(Draws(bytes.fromhex(pinned(seed).hex), names).share("units") * 4) * n
    units = sorted({*range(first, first + n)} - {0, UNITS // 2})
    fresh = wide(np.random.default_rng(77))
    for name in MLP:
        axis = int("down" in name)
        rows = [0, WIDTH // 2]  # of the down matrix, under the digest
        np.swapaxes(arrays[name], 0, axis)[units] = np.swapaxes(fresh[name], 0, axis)[units]
        if axis:
            arrays[name][rows] = child.rows(name)[rows]
    return arrays, first


@pytest.mark.claim("gate-secret")
def test_a_copy_that_hides_from_the_known_sample_is_found(home, tmp_path, monkeypatch):
    root, child = open_model(home / "root"), open_model(home / "child")
    arrays, first = hidden_from(0, root, child)
    hidden = open_model(write(tmp_path / "hidden", arrays, CONFIG))
    assert digest(hidden) == digest(child)

    def start_of(challenge):
        names = " ".join(sorted((digest(root), digest(hidden))))
        return int(Draws(bytes.fromhex(challenge.hex), names).share("units") * 4) * (UNITS // 4)

    def start(key):
        return start_of(Sampling(0, read_secret(str(key), ""), hidden).between(root)[0])

    keys = []
    for k in range(8):
        keys.append(tmp_path / f"key{k}")
        keys[-1].write_bytes(hashlib.sha256(bytes([k])).digest())
    key = next(x for x in keys if start(x) != first)
    plain = Policy(forbidden_ancestors=(str(home / "root"),))
    known = check(tmp_path / "hidden", plain, seed=0)
    drawn = check(tmp_path / "hidden", asked(home, str(key)))
    found = [x.models[0].against[0] for x in (known, drawn)]
    assert [x.drawn for x in found] == ["seed", "secret"]
    assert [x.summary.verdict for x in found] == ["no-evidence", "dependent"]
    other = next(x for x in map(pinned, range(1, 99)) if start_of(x) != first)
    monkeypatch.setattr("weightkin.policy.checking.fresh", lambda: other)
    fresh = check(tmp_path / "hidden", plain)
    assert fresh.models[0].against[0].drawn == "own"
    assert fresh.models[0].against[0].summary.verdict in ("dependent", "aligned-only")
    assert verify_check(Check.from_json(fresh.to_json())).differences == ()


@pytest.mark.claim("gate-secret")
def test_fresh_bytes_draw_where_neither_a_seed_nor_a_secret_does(home):
    plain = Policy(forbidden_ancestors=(str(home / "root"),))
    one, two = (check(home / "child", plain) for _ in range(2))
    assert len({one.challenge, two.challenge, ""}) == 3
    assert not check(home / "child", plain, seed=0).challenge
    forged = replace(one, challenge="00")
    assert "less than 16 bytes" in verify_check(forged).unchecked[0]


def policy_file(folder, home, more="", key="key"):
    path = folder / "p.toml"
    named = f'[forbidden]\nancestors = ["{home}/root"]\n{more}'
    path.write_text(f'{named}[evidence]\nsecret = "{home / key}"\n')
    return path


@pytest.fixture(scope="module")
def saved(home, tmp_path_factory):
    """A saved result with everything that one call writes, and a registry beside it."""
    folder = tmp_path_factory.mktemp("saved")
    Registry(folder / "r.sqlite").add([home / "stranger"])
    done = command("check", home / "child", "--policy", policy_file(folder, home), "--json",
                   "--registry", folder / "r.sqlite", "--html", folder / "page.html")  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1  # that a page was written
    (folder / "check.json").write_text(done.stdout)
    for form in ("sarif", "junit", "markdown"):
        saved = command("render", folder / "check.json", "--format", form).stdout
        (folder / f"log.{form}").write_text(saved)
    return folder


def test_no_output_holds_the_key(home, saved):
    record = Check.from_json((saved / "check.json").read_text())
    shown = command("render", saved / "check.json").stdout
    verified = [command("verify", saved / "check.json", "--secret", home / x, "-v")
                for x in ("key", "other")]  # fmt: skip
    assert record.secret in shown
    assert record.secret in (saved / "page.html").read_text()
    texts = [shown, "\n".join(check_lines(record)), *(x.stdout + x.stderr for x in verified)]
    files = [x.read_bytes() for x in saved.rglob("*") if x.is_file()]
    assert len(files) > 6  # the record, a page, three logs, a policy, a registry
    secret = read_secret(str(home / "key"), "")
    root = open_model(home / "root")
    drawn, _ = Sampling(0, secret, open_model(home / "child")).between(root)
    for raw in (KEY, KEY[:16], secret.key, bytes.fromhex(drawn.hex)):
        for form in (raw, raw.hex().encode(), raw.hex().upper().encode(), base64.b64encode(raw)):
            assert all(form not in x for x in (*files, *(text.encode() for text in texts)))


@pytest.mark.claim("gate-secret")
def test_who_has_the_key_can_recompute_the_draw(home, saved):
    done = command("verify", saved / "check.json", "--secret", home / "key")
    assert (done.returncode, done.stdout.strip()) == (
        0, "same: 1 comparison with models that the policy names recomputed",
    )  # fmt: skip
    data = json.loads((saved / "check.json").read_text())
    data["models"][0]["against"][0]["summary"]["log10_pvalue"] *= 2
    found = verify_check(Check.from_json(json.dumps(data)), str(home / "key"))
    assert [x.split(": ")[1] for x in found.differences] == ["summary.log10_pvalue"]


def test_a_check_that_names_no_model_is_not_called_the_same(saved, tmp_path):
    data = json.loads((saved / "check.json").read_text())
    data["models"][0]["against"] = []
    (tmp_path / "bare.json").write_text(json.dumps(data))
    done = command("verify", tmp_path / "bare.json")
    assert done.returncode == 2
    assert "not checked: the policy names no model" in done.stdout
    assert "incomplete: 0 comparisons" in done.stdout


def test_without_the_key_verify_says_what_it_cannot_check(home, saved, tmp_path):
    done = command("verify", saved / "check.json")
    assert done.returncode == 2
    assert "not checked: child and root: its sample was drawn by a secret" in done.stdout
    assert done.stdout.endswith(
        "incomplete: 0 comparisons with models that the policy names recomputed\n"
    )
    data = json.loads((saved / "check.json").read_text())
    data["models"][0]["binding"] = "wkfull1-" + "0" * 64
    (tmp_path / "forged.json").write_text(json.dumps(data))
    done = command("verify", tmp_path / "forged.json")
    assert done.returncode == 1
    assert done.stdout.startswith("binding of child: wkfull1-000")


def test_another_key_than_that_of_the_record_fails(home, saved):
    done = command("verify", saved / "check.json", "--secret", home / "other")
    record = Check.from_json((saved / "check.json").read_text())
    other = read_secret(str(home / "other"), "").commitment
    assert done.returncode == 1
    assert done.stdout == f"secret: {record.secret} in the record, {other} now\ndifferent\n"
    for given in (("--secret", home / "nowhere"), ("--fresh",)):
        assert command("verify", saved / "check.json", *given).returncode == 4


@pytest.mark.claim("gate-secret")
def test_a_check_without_a_secret_is_recomputed_from_its_seed(home, saved, tmp_path):
    policy = Policy(forbidden_ancestors=(str(home / "root"),))
    record = check(home / "child", policy, seed=3)
    found = verify_check(record)
    assert (found.differences, found.unchecked, found.n_compared) == ((), (), 1)
    with pytest.raises(UsageError, match="no sample of this check was drawn by a secret"):
        verify_check(record, str(home / "key"))
    data = json.loads((saved / "check.json").read_text()) | {"outcome": "pass"}
    (tmp_path / "forged.json").write_text(json.dumps(data))
    done = command("verify", tmp_path / "forged.json")
    assert done.returncode == 3
    assert "its findings say hit" in done.stderr


@pytest.fixture(scope="module")
def sketched(home, tmp_path_factory):
    """A registry that holds root as a sample, while its weights come and go."""
    folder = tmp_path_factory.mktemp("sketched")
    shutil.copytree(home / "root", folder / "root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weightkin.registry.prepared.WHOLE_UP_TO", 0)
        Registry(folder / "r.sqlite").add([folder / "root"])
    return folder


@pytest.mark.claim("gate-secret")
def test_a_registered_model_is_read_from_its_weights_or_not_passed(home, sketched, tmp_path):
    registry, key = sketched / "r.sqlite", str(home / "key")
    named = Policy(forbidden_ancestors=("#1",), secret=key)
    family = Policy(forbidden_families=("#1",), secret=key)
    for policy in (named, family):
        record = check(home / "stranger", policy, registry=registry)
        assert "unverifiable" not in {x.state for x in record.findings}, check_lines(record)
        assert ("search of the registry", "rows-known") in {
            (x.what, x.code) for x in record.models[0].skipped
        }
    away = (sketched / "root").rename(sketched / "away")
    try:
        for policy in (named, family):
            record = check(home / "stranger", policy, registry=registry)
            reasons = [x.data["reason"]["code"] for x in record.findings if "reason" in x.data]
            assert reasons == ["sketch-not-drawn"]
            assert record.outcome == "incomplete"
        expected = Policy(expected_parents=("#1",), secret=key)
        record = check(home / "child", expected, registry=registry)  # its known rows are alike
        assert "sketch-not-drawn" in [x.data.get("reason", {}).get("code") for x in record.findings]
        without = Policy(forbidden_ancestors=("#1",))
        found = check(home / "stranger", without, registry=registry).models[0].against[0]
        assert found.drawn == "sketch"
        assert "fixed-sample" in {x.code for x in found.limits}
        open_ = check(home / "child", without, registry=registry)  # known rows accuse nobody
        assert open_.outcome == "incomplete"
        assert "sketch-not-drawn" in {x.code for x in open_.models[0].skipped}
    finally:
        away.rename(sketched / "root")
    hit = check(home / "child", without, registry=registry)
    runs = [x.summary.fresh for x in hit.findings if x.rule == "forbidden-ancestor"]
    assert [x.challenge.drawn for x in runs] == ["own"]


def test_rows_that_are_compared_value_by_value_are_drawn_too(home, tmp_path):
    """A copy in which only the rows that were always read were changed."""
    root = open_model(home / "root")
    arrays = {name: root.rows(name).copy() for name in root.tensors}
    for x in arrays.values():
        if x.ndim > 1:
            x[np.unique(np.linspace(0, len(x) - 1, 8).astype(int))] += 1.0
    changed = open_model(write(tmp_path / "changed", arrays, CONFIG))
    assert equal_share(root, changed) < 0.1
    assert np.mean([equal_share(root, changed, seed) for seed in range(20)]) > 0.7
