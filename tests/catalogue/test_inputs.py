"""Claim: inputs reach all of a model, and a tiny config keeps what its widths have in common."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from benchmarks.catalogue import transformers_inputs  # noqa: E402
from benchmarks.catalogue.example_inputs import run, working_inputs  # noqa: E402
from benchmarks.catalogue.exceptions import TINY  # noqa: E402
from benchmarks.catalogue.idle import with_idle_parts  # noqa: E402
from benchmarks.catalogue.joint import joint, parts_of  # noqa: E402
from benchmarks.catalogue.running import leaves  # noqa: E402
from benchmarks.catalogue.short import made  # noqa: E402
from benchmarks.catalogue.shrink import tiny_config  # noqa: E402
from benchmarks.catalogue.sizes import APART, SCALES, scaled  # noqa: E402
from benchmarks.catalogue.transformers_classes import tiny_instance  # noqa: E402
from torch import nn  # noqa: E402
from transformers import PreTrainedConfig, PreTrainedModel  # noqa: E402

SCALED = tuple(x for x in SCALES if x != "one")


class Part(PreTrainedModel):
    """A model of a picture."""

    config_class = PreTrainedConfig
    main_input_name = "pixel_values"

    def __init__(self, config):
        super().__init__(config)
        self.seen = nn.Conv2d(3, 4, 1)

    def forward(self, pixel_values):
        return self.seen(pixel_values)


class Encoder(Part):
    """One that only encodes."""

    forward = nn.Module.forward

    def encode(self, pixel_values):
        return self.seen(pixel_values)


class Whole(PreTrainedModel):
    """Two parts, and no forward pass."""

    config_class = PreTrainedConfig

    def __init__(self, config, kinds=(Part, Part)):
        super().__init__(config)
        self.first, self.second = (kind(config) for kind in kinds)


class Half(Whole):
    """Its forward pass leaves the second part out."""

    main_input_name = "pixel_values"

    def forward(self, pixel_values):
        return {"seen": self.first(pixel_values)}


class Robot(Part):
    """One that needs what no picture says."""

    def forward(self, pixel_values, state):
        return self.seen(pixel_values) + state.mean()


def outputs(model, inputs):
    return {path for path, _ in leaves(run(model, inputs))}


def test_a_model_without_a_forward_pass_runs_all_its_parts():
    model = joint(Whole(PreTrainedConfig()))
    inputs = working_inputs(model)
    assert inputs.keys() == {"first", "second"}
    assert outputs(model, inputs) == {"first", "second"}


def test_a_model_that_only_encodes_runs_its_encoder():
    model = joint(Encoder(PreTrainedConfig()))
    assert not parts_of(model)
    assert outputs(model, working_inputs(model)) == {""}


@pytest.mark.parametrize("kind", [Part, Encoder])
def test_idle_parts_run_beside_a_forward_pass(kind):
    model = Half(PreTrainedConfig(), kinds=(Part, kind))
    inputs = with_idle_parts(model, working_inputs(model))
    assert inputs.keys() == {"pixel_values", "second"}
    assert outputs(model, inputs) == {"own.seen", "second"}


def test_a_model_without_idle_parts_stays_as_it_is():
    model = Part(PreTrainedConfig())
    inputs = working_inputs(model)
    assert with_idle_parts(model, inputs) == inputs
    assert outputs(model, inputs) == {""}


def test_arguments_of_the_table_stand_beside_pictures(monkeypatch):
    monkeypatch.setattr(transformers_inputs, "_given", lambda: {"Robot": {"state": "n:2,3"}})
    inputs = working_inputs(Robot(PreTrainedConfig()))
    assert inputs.keys() == {"pixel_values", "state"}


@pytest.mark.parametrize("apart", SCALED)
def test_scaled_widths_keep_their_sums_and_multiples(apart):
    for which in (0, 1):
        own = [scaled(x, apart, which) for x in (256, 512, 768)]
        assert own[0] + own[1] == own[2]
        assert own[1] == 2 * own[0]


def test_all_widths_of_a_config_are_scaled_alike_where_nothing_else_runs():
    assert APART[-len(SCALED) :] == SCALED
    default = transformers.SamConfig()
    tiny = tiny_config(default, 0, apart="eighths", exceptions=TINY)
    for own in (default, tiny):
        assert 2 * own.vision_config.num_pos_feats == own.vision_config.output_channels
        assert own.vision_config.output_channels == own.mask_decoder_config.hidden_size
    heads = default.vision_config.num_attention_heads
    assert tiny.vision_config.num_attention_heads == heads


def test_a_setting_that_is_no_field_of_its_config_is_kept():
    default = transformers.CHMv2Config()
    tiny = tiny_config(default, 0, apart="all", exceptions=TINY)
    assert tiny.backbone_config.return_class_token


def test_channels_of_blocks_are_those_of_the_stem():
    default = transformers.PPLCNetConfig()
    stems = set()
    for which in (0, 1):
        tiny = tiny_config(default, which, apart="all", exceptions=TINY)
        assert tiny.block_configs[0][0][1] == tiny.stem_channels
        stems.add(tiny.stem_channels)
    assert len(stems) == 2


def test_rotary_sections_chosen_by_hand_stay():
    default = transformers.Ernie4_5_VLMoeConfig()
    for which in (0, 1):
        tiny = tiny_config(default, which, apart="all", exceptions=TINY).text_config
        height, width, _ = tiny.rope_parameters["mrope_section"]
        assert height == width


def test_answers_that_are_spans_have_two_labels():
    tiny = tiny_instance(transformers.LayoutLMv3Config(), 0, "all", "document_question_answering")
    assert tiny.num_labels == 2


def test_rows_of_a_grid_begin_with_their_places():
    rows = made("g:2,3,5", {})
    assert rows[0, :, :2].tolist() == [[1, 1], [1, 2], [1, 3]]


def test_counts_and_given_numbers_stand_in_every_row():
    assert made("r:2,6,9", {}).tolist() == [[6, 7, 8]] * 2
    assert made("r:6,9", {}).tolist() == [6, 7, 8]
    assert made("v:2,4,6,6", {}).tolist() == [[4, 6, 6]] * 2
