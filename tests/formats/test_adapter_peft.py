"""Claim: for every option, base+adapter is PEFT's own merge to 1e-6, or is refused by its name."""

import json

import numpy as np
import pytest
from safetensors.torch import save_file

from weightkin.errors import UnreadableModel
from weightkin.formats import open_model

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings("ignore")  # PEFT's own
T, G = ["q_proj", "v_proj", "down"], ["c_attn", "c_proj"]
CONV = ["conv", "conv1", "c1d"]


class Block(nn.Module):
    """A few layers of their own sizes, one of them without a bias."""

    def __init__(self):
        super().__init__()
        self.q_proj, self.v_proj = nn.Linear(16, 16), nn.Linear(16, 8, bias=False)
        self.up, self.down = nn.Linear(16, 24), nn.Linear(24, 16)


class Tiny(nn.Module):
    """A module of every kind that adapters change; nothing runs it."""

    def __init__(self):
        super().__init__()
        self.config = {}
        self.embed, self.head = nn.Embedding(20, 16), nn.Linear(16, 20, bias=False)
        self.layers = nn.ModuleList([Block() for _ in range(3)])
        self.conv, self.conv1 = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1)
        self.c1d = nn.Conv1d(4, 6, 3)


class Experts(nn.Module):
    """Matrices of experts in one parameter each."""

    def __init__(self):
        super().__init__()
        self.gate_up = nn.Parameter(torch.randn(3, 16, 24))
        self.down = nn.Parameter(torch.randn(3, 12, 16))


class Mixture(nn.Module):
    """Experts, and a layer beside them."""

    def __init__(self):
        super().__init__()
        self.config = {}
        self.experts, self.q_proj = Experts(), nn.Linear(16, 16)


class TurnedMixture(Mixture):
    """The same with experts stored as (inputs, outputs)."""

    def __init__(self):
        super().__init__()
        self.experts.is_transposed = True


class Turned(nn.Module):
    """Layers stored as (inputs, outputs), as GPT-2 has them."""

    def __init__(self):
        super().__init__()
        from transformers.pytorch_utils import Conv1D

        self.config = {}
        self.c_attn, self.c_proj = Conv1D(48, 16), Conv1D(16, 16)
        for layer in (self.c_attn, self.c_proj):
            nn.init.normal_(layer.bias)


def fresh(kind=Tiny, dtype=torch.float32):
    torch.manual_seed(1)
    return kind().to(dtype)


def trained(folder, config, kind=Tiny, dtype=torch.float32):
    """Write a base and an adapter of random numbers; return what PEFT merges when it loads them."""
    base = fresh(kind, dtype)
    save_file({k: v.contiguous() for k, v in base.state_dict().items()}, folder / "b.safetensors")
    adapted = peft.get_peft_model(base, config)
    for weight in adapted.parameters():
        if weight.requires_grad:
            weight.data = weight.data + 0.1 * torch.randn(weight.shape).to(weight.dtype)
    adapted.save_pretrained(folder / "adapter")
    loaded = peft.PeftModel.from_pretrained(fresh(kind, dtype), folder / "adapter")
    return loaded.merge_and_unload().state_dict()


def lora(targets=T, **options):
    return peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets, **options)


def loha(targets=T, **options):
    return peft.LoHaConfig(r=4, alpha=8, target_modules=targets, **options)


def lokr(targets=T, r=4, **options):
    return peft.LoKrConfig(r=r, alpha=8, target_modules=targets, **options)


def ia3(targets=T, **options):
    return peft.IA3Config(target_modules=targets, **options)


MERGED = {  # how many tensors each of them changes
    "patterns": (9, lambda: lora(
        use_rslora=True, rank_pattern={r"layers\.[01]\..*q_proj": 2},
        alpha_pattern={r"^layers\.[01]\.q_proj": 32, "^layers.2.down": 5, "v_proj": 3})),
    "first pattern": (9, lambda: lora(
        alpha_pattern={"^layers.0.q_proj": 32, "q_proj": 3, "s.1.v_proj": 9, "1.v_proj": 5})),
    "bias of a factor": (12, lambda: lora(["q_proj", "down"], lora_bias=True)),
    "all biases": (21, lambda: lora(bias="all")),
    "both biases": (6, lambda: lora(["q_proj"], bias="lora_only", lora_bias=True)),
    "dora": (9, lambda: lora(use_dora=True)),
    "dora of kernels": (3, lambda: lora(CONV, use_dora=True)),
    "kernels": (3, lambda: lora(CONV)),
    "table and head": (5, lambda: lora(["embed", "q_proj"], modules_to_save=["head"])),
    "tokens": (10, lambda: lora(trainable_token_indices={"embed": [3, 1, 7]})),
    "targets by expression": (4, lambda: lora(r".*layers\.[02]\.(q_proj|down)")),
    "some layers": (6, lambda: lora(layers_to_transform=[0, 2], layers_pattern="layers")),
    "without some": (8, lambda: lora(exclude_modules=["layers.0.q_proj"])),
    "mica": (9, lambda: lora(init_lora_weights="mica")),
    "wrong fan_in_fan_out": (6, lambda: lora(["q_proj", "down"], fan_in_fan_out=True)),
    "loha": (9, lambda: loha(rank_pattern={"down": 2}, alpha_pattern={"down": 3})),
    "loha of kernels": (3, lambda: loha(CONV)),
    "lokr": (9, lambda: lokr()),
    "lokr of products": (12, lambda: lokr(
        [*T, "up"], 1, decompose_both=True, decompose_factor=4)),
    "lokr of kernels": (2, lambda: lokr(CONV[:2], 16)),
    "ia3": (13, lambda: ia3(feedforward_modules=["down"], modules_to_save=["head"])),
}  # fmt: skip


def close(opened, merged):
    """Each tensor within 1e-6 of its largest value; returns how many differ from the base."""
    assert set(opened.tensors) == set(merged)
    for name, value in merged.items():
        wanted = value.float().numpy()
        error = np.abs(opened.rows(name) - wanted).max() / np.abs(wanted).max()
        assert error < 1e-6, (name, error)


@pytest.mark.parametrize("case", MERGED)
def test_what_peft_merges_is_what_is_read(case, tmp_path):
    n_changed, config = MERGED[case]
    merged = trained(tmp_path, config())
    opened = open_model(f"{tmp_path / 'b.safetensors'}+{tmp_path / 'adapter'}")
    close(opened, merged)
    base = fresh().state_dict()
    same = [np.array_equal(opened.rows(name), base[name].numpy()) for name in base]
    assert len(same) - sum(same) == n_changed


@pytest.mark.parametrize(
    "config",
    [lambda: lora(G, fan_in_fan_out=True), lambda: lora(G, fan_in_fan_out=True, lora_bias=True),
     lambda: ia3(G, feedforward_modules=["c_proj"], fan_in_fan_out=True)],
)  # fmt: skip
def test_layers_stored_as_inputs_and_outputs(config, tmp_path):
    merged = trained(tmp_path, config(), Turned)
    close(open_model(f"{tmp_path / 'b.safetensors'}+{tmp_path / 'adapter'}"), merged)


@pytest.mark.parametrize("kind", [Mixture, TurnedMixture])
@pytest.mark.parametrize("names", [["experts.gate_up"], ["experts.down", "experts.gate_up"]])
def test_parameters_of_experts(kind, names, tmp_path):
    config = lora(["q_proj"], target_parameters=names, alpha_pattern={"experts.gate_up": 5})
    merged = trained(tmp_path, config, kind)
    close(open_model(f"{tmp_path / 'b.safetensors'}+{tmp_path / 'adapter'}"), merged)


@pytest.mark.parametrize("options", [{"modules_to_save": ["head"]}, {"use_dora": True}])
def test_a_merge_is_rounded_as_the_base_is(options, tmp_path):
    merged = trained(tmp_path, lora(**options), dtype=torch.bfloat16)
    opened = open_model(f"{tmp_path / 'b.safetensors'}+{tmp_path / 'adapter'}")
    assert {info.dtype for info in opened.tensors.values()} == {"BF16"}
    close(opened, merged)


REFUSED = {
    "pissa": lambda: lora(init_lora_weights="pissa"),
    "olora": lambda: lora(init_lora_weights="olora"),
    "use_qalora": lambda: lora(use_qalora=True),
    "use_dora": lambda: lora(["embed"], use_dora=True),
    "hada_t1": lambda: loha(CONV, use_effective_conv2d=True),
    "lokr_t2": lambda: lokr(CONV[:2], 1, use_effective_conv2d=True),
    "OFT": lambda: peft.OFTConfig(r=0, oft_block_size=4, target_modules=T),
    "VERA": lambda: peft.VeraConfig(r=4, target_modules=["q_proj"]),
    "ADALORA": lambda: peft.AdaLoraConfig(target_modules=T, total_step=10),
    "HRA": lambda: peft.HRAConfig(target_modules=T),
}


@pytest.mark.parametrize("named", REFUSED)
def test_what_is_not_computed_is_refused_by_its_name(named, tmp_path):
    trained(tmp_path, REFUSED[named]())
    with pytest.raises(UnreadableModel, match=named):
        open_model(f"{tmp_path / 'b.safetensors'}+{tmp_path / 'adapter'}")
    with pytest.raises(UnreadableModel, match="an adapter, which is read with its base"):
        open_model(tmp_path / "adapter" / "adapter_model.safetensors")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layer_replication": [[0, 2], [1, 3]]}, "layer_replication"),
        ({"kasa_config": {"beta": 1}}, "kasa_config"),
        ({"option_of_tomorrow": 1}, "option_of_tomorrow"),
        ({"init_lora_weights": "corda"}, "changes the base"),
        ({"init_lora_weights": {"a": 1}}, "changes the base"),
        ({"peft_type": "IA3"}, "a part that peft_type IA3 does not have"),
        ({"peft_type": None}, "peft_type None is not supported"),
        ({"use_dora": True}, "lora_magnitude_vector go together"),
        ({"r": 8}, "has rank 4, but r or rank_pattern gives it 8"),
        ({"rank_pattern": {"q_proj": 3}}, "has rank 4, but r or rank_pattern gives it 3"),
        ({"rank_pattern": ["q_proj"]}, "rank_pattern is a list, not an object"),
        ({"lora_alpha": True}, "lora_alpha is True, not a number"),
        ({"alpha_pattern": {"q_proj": "2"}}, "lora_alpha is '2', not a number"),
        ({"alpha_pattern": {"(q_proj": 2}}, "no regular expression"),
        ({"alpha_pattern": {"((a*)*)*(b|\\1)": 2}}, "groupref is not supported"),
        ({"target_modules": "((((.*)*)*)*)*" * 9 + "!"}, "takes too long|leaves out"),
        ({"target_modules": ["q_proj"]}, "target_modules leaves out 'layers.0.down'"),
        ({"target_modules": {"q_proj": 1}}, "target_modules is a dict"),
        ({"exclude_modules": "layers.0.*"}, "exclude_modules leaves out 'layers.0.down'"),
        ({"layers_to_transform": 1}, "layers_to_transform leaves out 'layers.0.down'"),
    ],
)
def test_what_a_config_says_is_checked(change, said, tmp_path):
    trained(tmp_path, lora(["q_proj", "down"]))
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UnreadableModel, match=said) as error:
        open_model(f"{tmp_path / 'b.safetensors'}+{tmp_path / 'adapter'}")
    assert len(str(error.value)) < 500
