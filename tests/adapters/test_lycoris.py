"""Files of every algorithm made by lycoris-lora load in ours and act like its forward pass (never like its merge)."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.files import load_adapter
from lorasmith.adapters.layers.strengths import read_strengths

lycoris = pytest.importorskip("lycoris.modules")

LAYERS: dict[str, nn.Module] = {
    "linear": nn.Linear(24, 32),
    "conv3": nn.Conv2d(16, 32, 3, stride=2, padding=1),
    "conv1": nn.Conv2d(16, 32, 1, bias=False),
    "layer_norm": nn.LayerNorm(24),
    "group_norm": nn.GroupNorm(4, 16),
}
MATRICES = ("linear", "conv3", "conv1")
# name: (class, layers, our algorithm, values)
FILES: dict[str, tuple[str, tuple[str, ...], str, dict[str, Any]]] = {
    "lora": ("LoConModule", MATRICES, "lora", {}),
    "rs_lora": ("LoConModule", MATRICES, "lora", {"rs_lora": True}),
    "scalar": ("LoConModule", MATRICES, "lora", {"use_scalar": True}),
    "bypass": ("LoConModule", MATRICES, "lora", {"bypass_mode": True}),
    "tucker": ("LoConModule", ("conv3",), "tucker", {"use_tucker": True}),
    "dora": ("LoConModule", MATRICES, "dora", {"weight_decompose": True}),
    "dora on the input": ("LoConModule", MATRICES, "dora", {"weight_decompose": True, "wd_on_out": False}),
    "dora tucker": ("LoConModule", ("conv3",), "dora", {"weight_decompose": True, "use_tucker": True}),
    "loha": ("LohaModule", MATRICES, "loha", {}),
    "loha tucker": ("LohaModule", ("conv3",), "loha", {"use_tucker": True}),
    "loha dora": ("LohaModule", MATRICES, "dora", {"weight_decompose": True}),
    "lokr": ("LokrModule", MATRICES, "lokr", {"lora_dim": 2}),
    "lokr factor": ("LokrModule", MATRICES, "lokr", {"factor": 4}),
    "lokr full": ("LokrModule", MATRICES, "lokr", {"full_matrix": True}),
    "lokr both": ("LokrModule", MATRICES, "lokr", {"decompose_both": True, "lora_dim": 1, "factor": 8}),
    "lokr tucker": ("LokrModule", ("conv3",), "lokr", {"use_tucker": True, "lora_dim": 1}),
    "lokr unbalanced": ("LokrModule", MATRICES, "lokr", {"unbalanced_factorization": True, "lora_dim": 2}),
    "lokr dora": ("LokrModule", MATRICES, "dora", {"weight_decompose": True}),
    "ia3": ("IA3Module", MATRICES, "ia3", {}),
    "ia3 on the input": ("IA3Module", MATRICES, "ia3", {"train_on_input": True}),
    "full": ("FullModule", MATRICES, "full", {}),
    "norm": ("NormModule", ("layer_norm", "group_norm"), "norm", {}),
    "oft": ("DiagOFTModule", MATRICES, "oft", {}),
    "oft rescaled": ("DiagOFTModule", MATRICES, "oft", {"rescaled": True, "constraint": 0.01}),
    "boft": ("ButterflyOFTModule", MATRICES, "boft", {}),
    "boft rescaled": ("ButterflyOFTModule", MATRICES, "boft", {"rescaled": True, "constraint": 0.01}),
    "glora": ("GLoRAModule", MATRICES, "glora", {}),
}


def input_of(layer: nn.Module) -> Tensor:
    if isinstance(layer, (nn.Linear, nn.LayerNorm)):
        return torch.randn(3, 5, 24)
    return torch.randn(3, 16, 6, 6)


def as_lycoris_saves(module: Any) -> dict[str, Tensor]:
    tensors = module.custom_state_dict() or module.state_dict()
    return {key: value.detach().clone().contiguous() for key, value in tensors.items()}


@pytest.mark.parametrize("case", [f"{name}/{layer}" for name, (_, layers, _, _) in FILES.items() for layer in layers])
def test_a_file_acts_like_the_forward_pass(case: str, tmp_path: Path) -> None:
    name, kind = case.split("/")
    class_name, _, algorithm, values = FILES[name]
    torch.manual_seed(0)
    layer = copy.deepcopy(LAYERS[kind]).requires_grad_(False)
    ours = copy.deepcopy(layer)
    with torch.no_grad():
        module = getattr(lycoris, class_name)("lora_unet_x", layer, **({"lora_dim": 4, "alpha": 2.0} | values))
        x = input_of(layer)
        bare = ours(x)
        module.apply_to()
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        theirs = layer(x)
        tensors = {f"lora_unet_x.{key}": value for key, value in as_lycoris_saves(module).items()}
        path = tmp_path / "theirs.safetensors"
        safetensors.torch.save_file(tensors, path)
        factors = load_adapter(path).layers["lora_unet_x"]
        assert factors.algorithm == algorithm
        assert factors.shape_fault(ours.weight) is None  # type: ignore[arg-type]
        assert {f"lora_unet_x.{key}" for key in factors.to_tensors()} == tensors.keys()
        side = ALGORITHMS[algorithm].kind.layer_adapter(ours, [factors])
        mix = read_strengths(torch.ones(1, 1), torch.device("cpu"))
        assert mix is not None
        assert float((theirs - bare).abs().max()) > 1e-3
        torch.testing.assert_close(side.run(ours, x, mix), theirs, rtol=1e-4, atol=2e-5)
        ours.weight.data += factors.delta_weight(ours.weight)  # type: ignore[arg-type, operator]
        bias = factors.delta_bias()
        if bias is not None:
            ours.bias.data += bias  # type: ignore[operator]
        torch.testing.assert_close(ours(x), theirs, rtol=1e-4, atol=2e-5)


def test_the_first_pieces_are_those_of_lycoris() -> None:
    """The sizes of new LoKr factors are lycoris's for every width that a family has, so that its readers know them."""
    from lycoris.functional import factorization

    from lorasmith.adapters.layers.divisors import factorise

    for width in (320, 640, 768, 1024, 1280, 1920, 2048, 2560, 3072, 5120, 10240, 97, 250):
        for factor in (-1, 2, 4, 7, 8, 16):
            assert factorise(width, factor) == factorization(width, factor)
