"""B2, B5: PEFT's own scaling, rotations, biases and folders, against PEFT itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import peft
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lorasmith.adapters.algorithms.boft_input.factors import InputBoftFactors
from lorasmith.adapters.algorithms.oft_input.factors import InputOftFactors
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.families import find_family
from lorasmith.cli.main import run
from tests.adapters.drawing import draw
from tests.faults.make_adapters import KOHYA, lora, make_adapter

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:peft")
BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0"


@pytest.mark.parametrize(("name", "scale"), [("diffusers", 1.0), ("rslora", 4.0), ("alpha_pattern", 0.25)])
def test_the_scale_is_peft_s(name: str, scale: float, tmp_path: Path) -> None:
    """peft, tuners/lora/layer.py, LoraLayer.update_layer (use_rslora); utils/other.py, get_pattern_key."""
    (factors,) = load_adapter(make_adapter(tmp_path, name)).layers.values()
    assert factors.scale == pytest.approx(scale)


@pytest.mark.parametrize(
    "config",
    [
        {"lora_alpha": 8, "use_rslora": True},
        {"lora_alpha": 3, "alpha_pattern": {r".*attn2\.to_[kv]": 1, "ff.net.2": 5}},
        {"lora_alpha": 3, "rank_pattern": {"to_q": 2, r"attn1\.to_.*": 3}, "alpha_pattern": {"attn1.to_q": 7}},
        {"lora_alpha": 3, "alpha_pattern": {f"^{BLOCK}.attn1.to_k": 9}},
        {"lora_alpha": 3, "use_rslora": True, "rank_pattern": {"to_q": 2}},
        {"lora_alpha": 3, "use_dora": True},
        {"lora_alpha": 3, "lora_bias": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("where", ["adapter_config.json", "lora_adapter_metadata"])
def test_a_lora_of_peft_draws_as_there(config: dict[str, Any], where: str, tiny_base: Base, tmp_path: Path) -> None:
    names = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "conv1", "time_emb_proj"]
    if config.get("lora_bias"):
        names = [name for name in names if name != "conv1"]
    given = peft.LoraConfig(r=4, target_modules=names, init_lora_weights=False, **config)
    if where == "adapter_config.json":
        assert_drawn_alike(tiny_base, given, tmp_path)
        return
    from diffusers import StableDiffusionPipeline
    from peft.utils import get_peft_model_state_dict

    folder, unet = str(tiny_base.folder), tiny_base.denoiser
    bare = draw(tiny_base)
    tiny_base.denoiser.add_adapter(given, adapter_name="one")
    stir(unet)
    theirs = draw(tiny_base)
    StableDiffusionPipeline.save_lora_weights(
        tmp_path,
        unet_lora_layers=get_peft_model_state_dict(unet, adapter_name="one"),
        unet_lora_adapter_metadata=unet.peft_config["one"].to_dict(),
    )
    assert not torch.allclose(theirs, bare, atol=1e-3)
    ours = load_base(folder)
    with AdapterBank(ours, [load_adapter(tmp_path / "pytorch_lora_weights.safetensors")]).attached():
        torch.testing.assert_close(draw(ours), theirs, rtol=1e-4, atol=1e-4)


def stir(model: nn.Module) -> None:
    """Give all that PEFT put in a value of its own."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(word in name for word in ("lora_", "oft_R", "boft_", "hada_", "lokr_", "ia3_")):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def assert_drawn_alike(base: Base, config: Any, folder: Path, part: str = "unet") -> None:
    """PEFT's own folder of a part draws here what PEFT draws, beside the layers and merged into them."""
    bare = draw(base)
    model = base.denoiser if part == "unet" else base.text_encoders[0 if part == "text_encoder" else 1].model
    wrapped = peft.get_peft_model(model, config)
    stir(wrapped)
    theirs = draw(base)
    wrapped.save_pretrained(folder / part)
    assert not torch.allclose(theirs, bare, atol=1e-3)
    for given in (folder / part, folder / part / "adapter_model.safetensors", folder):
        ours = load_base(base.folder)
        bank = AdapterBank(ours, [load_adapter(given)])
        with bank.attached():
            torch.testing.assert_close(draw(ours), theirs, rtol=1e-4, atol=2e-4)
        with bank.merged(torch.ones(1)):
            torch.testing.assert_close(draw(ours), theirs, rtol=1e-4, atol=2e-4)
        with bank.attached():
            bank.set_strengths(torch.zeros(1))
            assert torch.equal(draw(ours), bare)


KINDS: dict[str, Callable[[list[str]], Any]] = {
    "OFT": lambda names: peft.OFTConfig(r=0, oft_block_size=4, target_modules=names),
    "OFT, three terms": lambda names: peft.OFTConfig(
        r=0, oft_block_size=4, num_cayley_neumann_terms=3, target_modules=names
    ),
    "OFT, exact": lambda names: peft.OFTConfig(r=0, oft_block_size=8, use_cayley_neumann=False, target_modules=names),
    "OFT, shared": lambda names: peft.OFTConfig(r=0, oft_block_size=4, block_share=True, target_modules=names),
    "OFT, constrained": lambda names: peft.OFTConfig(r=0, oft_block_size=4, coft=True, eps=0.3, target_modules=names),
    "BOFT": lambda names: peft.BOFTConfig(boft_block_size=4, target_modules=names),
    "LoHa": lambda names: peft.LoHaConfig(r=2, alpha=3, target_modules=names, alpha_pattern={"to_q": 5}),
    "LoKr": lambda names: peft.LoKrConfig(r=2, alpha=3, target_modules=names, alpha_pattern={"to_q": 5}),
    # NOTE: of an output PEFT scales the layer's bias, too, LyCORIS and we do not; attention's q and k have none.
    "IA3": lambda names: peft.IA3Config(target_modules=[*names[:2], names[3]], feedforward_modules=["ff.net.2"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_other_methods_of_peft_draw_as_there(kind: str, tiny_base: Base, tmp_path: Path) -> None:
    """peft, tuners/oft/layer.py, OFTRotationModule; tuners/boft/layer.py, Linear.forward."""
    assert_drawn_alike(tiny_base, KINDS[kind](["to_q", "to_k", "to_out.0", "ff.net.2"]), tmp_path)


@pytest.mark.parametrize(
    ("family", "part"), [("sd1", "text_encoder"), ("sdxl", "text_encoder"), ("sdxl", "text_encoder_2")]
)
def test_the_folder_of_a_text_encoder_alone(
    family: str, part: str, family_folders: dict[str, Path], tmp_path: Path
) -> None:
    """peft, peft_model.py, save_pretrained: keys of the part alone, ``base_model.model.`` before them."""
    config = peft.LoraConfig(r=3, lora_alpha=5, target_modules=["q_proj", "v_proj", "out_proj", "fc1"])
    assert_drawn_alike(load_base(family_folders[family]), config, tmp_path, part)


@pytest.mark.parametrize(("width", "prefix"), [(768, "lora_te_"), (1024, "lora_te_"), (1280, "lora_te2_")])
def test_which_text_encoder_is_told_by_its_width(width: int, prefix: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "adapter_model.safetensors"
    key = "base_model.model.encoder.layers.0.self_attn.q_proj"
    save_file(lora(key, width, width, ("lora_A", "lora_B"), alpha=None), path)
    (name,) = load_adapter(path).layers
    assert name.replace("text_model_", "") == f"{prefix}encoder_layers_0_self_attn_q_proj"


def test_several_folders_are_one_adapter(tiny_base: Base, tmp_path: Path) -> None:
    for part, model in (("unet", tiny_base.denoiser), ("text_encoder", tiny_base.text_encoders[0].model)):
        names = ["to_q"] if part == "unet" else ["q_proj"]
        peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=names)).save_pretrained(tmp_path / part)
    adapter = load_adapter(tmp_path)
    assert {name.split("_")[1] for name in adapter.layers} == {"unet", "te"}
    assert adapter.name == tmp_path.name


def test_a_butterfly_of_several_stages_is_peft_s() -> None:
    """Without CUDA, PEFT itself makes one stage only; its tables are there."""
    from peft.tuners.boft.layer import BOFTLayer

    tool = cast(Any, BOFTLayer)
    stages, n, b, outputs = 3, 8, 4, 6
    generator = torch.Generator().manual_seed(2)
    blocks = 0.2 * torch.randn(stages, n, b, b, generator=generator)
    scales = 1 + 0.1 * torch.randn(outputs, generator=generator)
    weight = torch.randn(outputs, n * b, generator=generator)
    whole = torch.eye(n * b)
    for stage in range(stages):
        order = tool.block_butterfly_perm(tool, n * b, n // 2**stage, b // 2, stages - 1)
        P = tool.perm2mat(tool, order)
        whole = P @ diagonal(tool.cayley_batch(tool, blocks[stage])) @ P.T @ whole
    want = (whole @ weight.T).T * scales[:, None]
    got = InputBoftFactors(blocks, scales).delta_weight(weight) + weight
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


def diagonal(blocks: Iterable[Tensor]) -> Tensor:
    return cast(Tensor, cast(Any, torch.block_diag)(*blocks))


def rotation(skew: Tensor) -> Tensor:
    """R of one block, by OneTrainer's series: five terms."""
    b = int((1 + (1 + 8 * skew.numel()) ** 0.5) / 2)
    Q = torch.zeros(b, b)
    Q[tuple(torch.triu_indices(b, b, 1))] = skew
    Q = Q - Q.T
    return torch.eye(b) + 2 * Q + 2 * Q @ Q + 2 * Q @ Q @ Q + Q @ Q @ Q @ Q


@pytest.mark.parametrize("scaled", [False, True])
def test_oft_of_onetrainer(scaled: bool, tmp_path: Path) -> None:
    """OneTrainer, module/oft_utils.py, OFTRotationModule.forward; module/LoRAModule.py, OFTModule.forward: a linear
    layer's input is turned, a convolution's kernel the other way."""
    from safetensors.torch import save_file

    skew = 0.3 * torch.randn(3, 6, generator=torch.Generator().manual_seed(3))
    name = "lora_unet_input_blocks_4_1_proj_in"
    more = {f"{name}.oft_R.scaled_oft": torch.tensor(True)} if scaled else {}
    path = tmp_path / "oft.safetensors"
    save_file({f"{name}.oft_R.weight": skew} | more, path)
    (factors,) = load_adapter(path).layers.values()
    assert isinstance(factors, InputOftFactors)
    R = diagonal([rotation(each / (2 * 3**0.5) if scaled else each) for each in skew])
    x, weight = torch.randn(5, 12), torch.randn(7, 12)
    turned = factors.delta_weight(weight) + weight
    torch.testing.assert_close(x @ turned.T, (x @ R) @ weight.T, rtol=1e-4, atol=1e-5)
    kernel = torch.randn(7, 3, 2, 2)
    moved = factors.delta_weight(kernel) + kernel
    torch.testing.assert_close(moved.flatten(1), kernel.flatten(1) @ R, rtol=1e-4, atol=1e-5)


def test_a_bias_of_peft_that_does_nothing_is_nothing(tmp_path: Path) -> None:
    """peft starts `lora_bias` at zero; the layers of SDXL's attention have no bias."""
    adapter = load_adapter(make_adapter(tmp_path, "peft_lora_bias"))
    assert {name: factors.algorithm for name, factors in adapter.layers.items()} == {KOHYA: "lora"}


def test_a_bias_goes_the_whole_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ComfyUI, comfy/lora.py, load_lora: `diff_b` beside a LoRA is added to the bias."""
    from safetensors.torch import save_file

    path, out = tmp_path / "biased.safetensors", tmp_path / "out.safetensors"
    name = "lora_unet_input_blocks_4_1_proj_in"
    save_file(lora(name, 640, 640) | {f"{name}.diff_b": torch.ones(640)} | lora(KOHYA, 2048, 640), path)
    adapter = load_adapter(path)
    assert adapter.layers[name].algorithm == "biased"
    shift = adapter.layers[name].delta_bias()
    assert shift is not None
    assert torch.equal(shift, torch.ones(640))
    assert run(["adapter", "convert", str(path), "--to", "diffusers", "--out", str(out)]) == 0
    key = "unet.down_blocks.1.attentions.0.proj_in.lora_B.bias"
    assert torch.equal(load_file(out)[key], torch.ones(640).half())
    assert run(["adapter", "resize", str(path), "--rank", "2", "--out", str(tmp_path / "small.safetensors")]) == 7
    assert "a norm or a bias" in capsys.readouterr().err
    assert find_family("sdxl").public_layers()[name].kind == "linear"
    assert json.loads(json.dumps(adapter.metadata)) == {}
