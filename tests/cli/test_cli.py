"""Claim: each command prints its record, one clear line for bad input, and the right exit code."""

import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import models
from tests.commands import run


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    return models.write_pair(folder, "stranger")


def test_compare_prints_the_sentence_first(pair):
    found = run("compare", pair / "a", pair / "child")
    assert found.returncode == 0
    assert re.match(r"dependent \(p <= 1e-\d+, exact, 4 blocks\)\n", found.stdout)
    assert found.stderr == ""


def test_json_is_exactly_the_record(pair):
    found = run("compare", pair / "a", pair / "stranger", "--json")
    record = json.loads(found.stdout)
    assert record["verdict"] == "no-evidence"
    assert record["schema"] == "weightkin/comparison/2"
    assert set(record["direction"]) == {"parent", "probability", "evidence"}
    required = {"a", "b", "verdict", "basis", "log10_pvalue", "alpha", "tests", "skipped", "kind",
                "kind_details", "direction", "layers", "parts", "bytes_read", "seconds", "method",
                "seed", "version"}  # fmt: skip
    assert required <= record.keys()


def test_fail_if_turns_the_verdict_into_an_exit_code(pair):
    assert run("compare", pair / "a", pair / "child", "--fail-if", "dependent").returncode == 1
    assert run("compare", pair / "a", pair / "stranger", "--fail-if", "dependent").returncode == 0


def test_verify_says_same_and_notices_another_model_and_another_number(pair, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(run("compare", pair / "a", pair / "child", "--json").stdout)
    same = run("verify", path)
    assert (same.returncode, same.stdout.split(":")[0]) == (0, "same")
    moved = run("verify", path, pair / "a", pair / "child")
    assert moved.returncode == 0
    other = run("verify", path, pair / "a", pair / "stranger")
    assert other.returncode == 1
    assert "digest of b" in other.stdout
    data = json.loads(path.read_text())
    data["tests"][0]["statistic"] -= 1
    path.write_text(json.dumps(data))
    forged = run("verify", path)
    assert forged.returncode == 1
    assert forged.stdout.strip().endswith("different")


def test_records_of_a_registry_are_not_rerun(tmp_path):
    path = tmp_path / "record.json"
    path.write_text('{"schema": "weightkin/trace/2"}')
    found = run("verify", path)
    assert (found.returncode, found.stderr.count("\n")) == (4, 1)
    assert (
        "depends on the registry as it was then and cannot be verified; run trace again"
        in found.stderr
    )


@pytest.mark.claim
def test_verify_reruns_records_of_locate_too(pair, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(run("locate", pair / "a", pair / "child", "--alpha", "1e-4", "--json").stdout)
    same = run("verify", path)
    assert (same.returncode, same.stdout.split(":")[0]) == (0, "same")
    other = run("verify", path, pair / "a", pair / "stranger")
    assert (other.returncode, "digest of b" in other.stdout) == (1, True)
    data = json.loads(path.read_text())
    data["unit_maps"][0]["units_b"][0] += 1
    path.write_text(json.dumps(data))
    forged = run("verify", path)
    assert forged.returncode == 1
    assert forged.stdout.startswith("unit_maps.0.units_b.0: ")


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '{"schema": "weightkin/comparison/2"}', "\x00",
     '{"schema": "weightkin/location/2"}', '{"schema": "weightkin/family/1"}', '{"schema": []}'],
)  # fmt: skip
def test_verify_refuses_what_is_no_record(tmp_path, text):
    path = tmp_path / "record.json"
    path.write_text(text)
    found = run("verify", path)
    assert found.returncode == 3
    assert found.stderr.count("\n") == 1


def test_show_of_a_model_whose_config_cannot_be_read_is_incomplete(pair, tmp_path):
    shutil.copytree(pair / "a", tmp_path / "m")
    assert run("show", tmp_path / "m").returncode == 0
    (tmp_path / "m" / "config.json").write_text("[" * 900)
    assert run("show", tmp_path / "m").returncode == 2


def test_show_prints_blocks_axes_and_digest(pair):
    found = run("show", pair / "a", "-v")
    assert found.returncode == 0
    for word in ("decoder", "mlp.gate", "attn.v", "32 in any order", "wk1-"):
        assert word in found.stdout
    record = json.loads(run("show", pair / "a", "--json").stdout)
    assert {axis["kind"] for axis in record["axes"]} == {"units", "vo", "heads", "residual"}


@pytest.mark.parametrize(
    "arguments",
    [(), ("compare",), ("compare", "x"), ("nonsense",), ("compare", "x", "y", "--alpha", "z"),
     ("compare", "x", "y", "--fail-if", "guilty"), ("compare", "x", "y", "--alpha", "2"),
     ("show", "x", "--bogus"), ("verify", "x", "y")],
)  # fmt: skip
def test_wrong_command_lines_exit_with_four(arguments):
    found = run(*arguments)
    assert found.returncode == 4
    assert "Traceback" not in found.stderr
    if arguments:  # without any, the whole help
        assert found.stderr.startswith("weightkin: ")
        assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("--help",), 0), (("controls", "list"), 0), (("show", "a", "--json"), 0),
     (("compare", "a", "a", "--fail-if", "dependent"), 1), (("show", "nowhere"), 3)],
)  # fmt: skip
def test_a_reader_that_goes_away_changes_no_exit_code(pair, tmp_path, arguments, code):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "weightkin", *arguments]
    with (tmp_path / "other").open("w") as other:
        out, err = (other, writer) if arguments[-1] == "nowhere" else (writer, other)
        found = subprocess.run(command, stdout=out, stderr=err, cwd=pair, check=False)
    os.close(writer)
    assert found.returncode == code
    said = "weightkin: --fail-if dependent: exit code 1\n" if code == 1 else ""
    assert (tmp_path / "other").read_text() == said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize(
    ("where", "why"), [(">/dev/full", "No space left on device"), (">&-", "closed")]
)
def test_an_output_that_takes_nothing_is_one_line_and_exit_code_two(pair, where, why):
    line = f"{shlex.quote(sys.executable)} -m weightkin show a --json {where}"
    found = subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, cwd=pair, check=False
    )
    assert (found.returncode, found.stderr.count("\n")) == (2, 1)
    assert found.stderr.startswith("weightkin: standard output")
    assert why in found.stderr


def test_a_wrong_word_is_told_in_a_sentence():
    assert "Did you mean 'compare'? Try '" in run("compar").stderr
    said = run("compare", "a", "b", "--fail-if", "foo").stderr
    assert "'--fail-if': 'foo' is not one of" in said
    assert "Usage: " in (usage := run("compare", "--help").stdout)
    assert usage.split("\n")[0].endswith("{A} {B}")


def test_what_is_wrong_with_a_name_cannot_move_the_cursor():
    found = run("show", "--\x1b[2J\nnope")
    assert (found.returncode, found.stderr.count("\n")) == (4, 1)
    assert "\x1b" not in found.stderr


def _truncated(folder):
    path = models.write(folder, models.base(np.random.default_rng(0))) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _long_header(folder):
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 10**6) + b"{}")


def _pickle_that_calls(folder):
    import pickle
    import zipfile

    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {folder}/owned",)

    folder.mkdir()
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"w": Attack()}, protocol=2))
        archive.writestr("archive/version", "3")


@pytest.mark.parametrize("spoil", [_truncated, _long_header, _pickle_that_calls])
def test_unreadable_models_exit_with_three_and_one_line(pair, tmp_path, spoil):
    spoil(tmp_path / "bad")
    for arguments in (("show", tmp_path / "bad"), ("compare", pair / "a", tmp_path / "bad")):
        found = run(*arguments)
        assert found.returncode == 3
        assert found.stdout == ""
        assert found.stderr.count("\n") == 1
        assert "bad" in found.stderr
    assert not (tmp_path / "bad" / "owned").exists()


def test_missing_path_and_empty_folder_exit_with_three(pair, tmp_path):
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "absent", tmp_path / "empty"):
        found = run("compare", pair / "a", source)
        assert (found.returncode, found.stderr.count("\n")) == (3, 1)


def test_a_missing_shard_exits_with_two_even_on_a_hit(pair, tmp_path):
    folder = models.write(tmp_path / "sharded", models.base(np.random.default_rng(5)))
    os.rename(folder / "model.safetensors", folder / "model-00001-of-00002.safetensors")
    names = json.loads(
        (folder / "model-00001-of-00002.safetensors").read_bytes()[8:].split(b"]}}")[0] + b"]}}"
    )
    weight_map = {k: "model-00001-of-00002.safetensors" for k in names if k != "__metadata__"}
    weight_map["gone.weight"] = "model-00002-of-00002.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    found = run("compare", pair / "a", folder, "--json", "--fail-if", "dependent")
    assert found.returncode == 2
    record = json.loads(found.stdout)
    assert record["verdict"] == "dependent"
    assert any("00002" in str(s) for s in record["skipped"])


def test_names_from_files_cannot_move_the_cursor(tmp_path, rng):
    arrays = models.base(rng)
    arrays["evil\x1b[2Jname\n"] = np.zeros((2, 2), np.float32)
    folder = models.write(tmp_path / "evil\x1b[31m", arrays)
    found = run("show", folder)
    assert found.returncode == 0
    assert "\x1b" not in found.stdout


def test_nothing_is_written_into_a_model_folder(pair):
    before = {p: p.stat().st_mtime_ns for p in pair.rglob("*")}
    run("compare", pair / "a", pair / "child", "--full-digest", "--published", "3")
    assert {p: p.stat().st_mtime_ns for p in pair.rglob("*")} == before


@pytest.mark.claim
def test_recover_never_overwrites_and_never_writes_into_a_model(pair, tmp_path):
    (tmp_path / "there").write_text("mine")
    inside = (pair / "a" / "maps", pair / "stranger" / "maps")  # whether or not it is named
    for target in (tmp_path / "there", *inside, tmp_path / "no" / "maps"):
        found = run("compare", pair / "a", pair / "child", "--recover", target)
        assert (found.returncode, found.stdout) == (4, "")
        assert found.stderr.count("\n") == 1
    assert (tmp_path / "there").read_text() == "mine"
    found = run("compare", pair / "a", pair / "child", "--recover", tmp_path / "maps")
    assert found.returncode == 0  # nothing was undone: the verdict stands, and it is said
    assert "not written: b is not a permuted" in found.stdout


@pytest.mark.parametrize("value", [0.0, 1.0, float("nan")])
def test_constant_and_non_finite_models_are_no_crash(pair, tmp_path, value):
    arrays = models.base(np.random.default_rng(5))
    spoilt = {k: np.full_like(v, value) for k, v in arrays.items()}
    found = run("compare", pair / "a", models.write(tmp_path / "spoilt", spoilt))
    assert found.returncode == 0
    assert "Traceback" not in found.stderr


@pytest.mark.claim
@pytest.mark.parametrize(
    "edit",
    [
        lambda r: r["axes"][0]["effect"].update(ratio=1.0),
        lambda r: r["parts"][0].update(verdict="no-evidence"),
        lambda r: r.update(layers=[]),
        lambda r: r["direction"].update(parent="a"),
        lambda r: r["parameters"].update(effect_cuts=[9]),
        lambda r: r.update(skipped=[{"what": "all", "code": "no-unit"}]),
    ],
)
def test_verify_notices_every_altered_field(pair, tmp_path, edit):
    record = json.loads(run("compare", pair / "a", pair / "child", "--json").stdout)
    edit(record)
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    assert run("verify", path).returncode == 1


def test_public_names_are_functions_whatever_was_imported_before(pair):
    code = (
        "import weightkin.api.compare, weightkin.cli.main;"
        "from weightkin import compare, digest, locate, open_model, read_anatomy, verify;"
        f"r = compare({str(pair / 'a')!r}, {str(pair / 'child')!r});"
        "from weightkin import compare as again; assert again is compare;"
        "print(r.verdict, r.log10_pvalue < -6, r.axes[0].effect.ratio > 1, verify(r))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "dependent True True []"


def test_help_is_light():
    found = subprocess.run(
        [sys.executable, "-c", "import sys, weightkin.cli.main; print(sorted(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for heavy in ("'numpy'", "'scipy'", "'torch'", "'huggingface_hub'"):
        assert heavy not in found.stdout


def test_templates_are_loaded_for_html_alone(pair, tmp_path):
    code = (
        "import sys; from weightkin import compare, family_graph;"
        f"r = compare({str(pair / 'a')!r}, {str(pair / 'child')!r}); r.sentence;"
        "import weightkin.cli.records, weightkin.report.rendering as rendering;"
        "rendering.lines_of(r, width=80, is_unicode=True);"
        "assert 'jinja2' not in sys.modules; r._repr_html_(); assert 'jinja2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
