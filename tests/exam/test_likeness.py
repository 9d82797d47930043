"""Likeness tells training images from the base's, abstains where it cannot; burnt pictures fall out of range."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from lorasmith.errors import ExamError
from lorasmith.exam.likeness.calibration import GRACE, NOBODY, ONE_SIDED_95, RIDGE, calibrate
from lorasmith.exam.likeness.quality import MEASURES, STRANGE, find_range, measure
from lorasmith.exam.likeness.twins import find_torn, make_twins, shuffled
from lorasmith.examples import EXAMPLES, example_folder
from lorasmith.project import EMBEDDED
from lorasmith.tags.encoders import open_encoder, pool, tagger_encoder
from lorasmith.tags.onnx_graph import feature_layer, read_nodes, with_output
from tests.exam.pictures import burnt, drawing, mottled, noisy


def _cloud(count: int, shift: float, seed: int) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    cloud = random.normal(size=(count, 40))
    cloud[:, :3] += shift
    return cloud.astype(np.float32)


def test_what_differs_in_a_few_features_is_told_apart() -> None:
    likeness = calibrate(_cloud(24, 3.0, 1), _cloud(40, 0.0, 2))
    assert likeness.judges
    assert likeness.auc.value > 0.97
    fresh, base = likeness.scores(_cloud(400, 3.0, 3)), likeness.scores(_cloud(400, 0.0, 4))
    assert (fresh >= likeness.threshold).mean() > 0.85
    assert (base >= likeness.threshold).mean() < 0.03
    assert (base >= likeness.midway).mean() < 0.1


def test_leave_one_out_is_what_leaving_one_out_gives() -> None:
    ours, theirs = _cloud(9, 3.0, 5), _cloud(12, 0.0, 6)
    whole = calibrate(ours, theirs)
    rows = (np.concatenate([ours, theirs]).astype(np.float64) - whole.mean) / whole.scale
    wanted = np.concatenate([np.ones(9), -np.ones(12)])
    ridge = RIDGE / np.where(wanted > 0, 21 / 2 / 9, 21 / 2 / 12)
    held = []
    for out in range(len(rows)):
        kept = np.arange(len(rows)) != out
        left = rows[kept]
        alpha = np.linalg.solve(left @ left.T + np.diag(ridge[kept]), wanted[kept])
        held.append(rows[out] @ left.T @ alpha)
    middle = (np.mean(held[:9]) + np.mean(held[9:])) / 2
    sound = [score for score in held[:9] if score > middle]
    assert len(sound) >= 0.7 * 9
    line = np.mean(sound) - ONE_SIDED_95 * np.std(sound, ddof=1)
    line -= GRACE * max(0.0, line - middle)
    assert whole.midway == pytest.approx(middle)
    assert whole.threshold == pytest.approx(max(line, np.quantile(held[9:], 0.95)))


def test_strange_images_in_the_training_set_do_not_draw_the_line() -> None:
    strange = np.concatenate([_cloud(24, 3.0, 1), _cloud(3, 0.0, 20)])
    clean, spoiled = calibrate(_cloud(24, 3.0, 1), _cloud(40, 0.0, 2)), calibrate(strange, _cloud(40, 0.0, 2))
    fresh, base = _cloud(400, 3.0, 3), _cloud(400, 0.0, 4)
    assert (spoiled.scores(base) >= spoiled.threshold).mean() < 0.03
    kept = (spoiled.scores(fresh) >= spoiled.threshold).mean()
    assert kept > (clean.scores(fresh) >= clean.threshold).mean() - 0.15


def test_what_cannot_be_told_apart_is_not_judged() -> None:
    assert not calibrate(_cloud(24, 0.0, 7), _cloud(40, 0.0, 8)).judges
    assert calibrate(_cloud(4, 3.0, 9), _cloud(40, 0.0, 10)) is NOBODY
    assert not NOBODY.judges


def test_a_perfect_separation_of_few_images_is_not_certain() -> None:
    auc = calibrate(_cloud(6, 20.0, 11), _cloud(10, 0.0, 12)).auc
    assert auc.value == 1
    assert auc.low < 0.9


def test_the_embedded_encoder_reads_a_layer_and_is_fast() -> None:
    encoder = tagger_encoder(EMBEDDED)
    pictures = [drawing(seed) for seed in range(16)]
    first = encoder.encode(pictures)
    assert first.shape == (16, 160 * 6)
    assert np.isfinite(first).all()
    assert np.array_equal(first[:1], encoder.encode(pictures[:1])) or np.allclose(
        first[:1], encoder.encode(pictures[:1]), atol=1e-3
    )
    began = time.process_time()
    encoder.encode(pictures)
    assert (time.process_time() - began) / 16 < 0.05  # the goal is 10 ms; a loaded machine gets five times that


def test_maps_tokens_and_vectors_become_rows() -> None:
    random = np.random.default_rng(0)
    assert pool(random.normal(size=(2, 5, 4, 4)).astype(np.float32)).shape == (2, 30)
    assert pool(random.normal(size=(2, 5, 1, 1)).astype(np.float32)).shape == (2, 10)
    assert pool(random.normal(size=(2, 7, 5)).astype(np.float32)).shape == (2, 15)
    assert pool(random.normal(size=(2, 9)).astype(np.float32)).shape == (2, 9)


def test_a_folder_without_a_model_is_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(ExamError, match="holds no encoder"):
        open_encoder(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ExamError, match="cannot be loaded as an encoder"):
        open_encoder(tmp_path)
    with pytest.raises(ExamError, match="no such folder"):
        open_encoder(tmp_path / "none" / "here" / "...")


def test_a_clip_folder_is_prepared_as_it_says(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node("ReduceMean", ["pixel_values"], ["image_embeds"], axes=[2, 3], keepdims=0)
    graph = helper.make_graph(
        [node],
        "mean",
        [helper.make_tensor_value_info("pixel_values", kind, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("image_embeds", kind, ["n", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "onnx").mkdir()
    onnx.save(model, tmp_path / "onnx" / "model.onnx")
    (tmp_path / "preprocessor_config.json").write_text(
        '{"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": true,'
        ' "image_mean": [0.5, 0.25, 0.0], "image_std": [0.5, 0.5, 2.0]}'
    )
    encoder = open_encoder(tmp_path)
    found = encoder.encode([Image.new("RGB", (80, 40), (255, 127, 51))])
    assert found == pytest.approx(np.array([[1.0, (127 / 255 - 0.25) / 0.5, 0.1]]), abs=1e-3)
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(ExamError, match="is no JSON"):
        open_encoder(tmp_path)


def test_an_output_is_added_behind_the_file() -> None:
    onnx = pytest.importorskip("onnx")
    from lorasmith.bases.doodle import tagger_folder

    model = (tagger_folder() / "model.onnx").read_bytes()
    layer = feature_layer(model)
    assert layer is not None
    graph = onnx.load_from_string(with_output(model, layer)).graph
    assert [output.name for output in graph.output][-1] == layer
    nodes = read_nodes(model)
    assert [(node.kind, *node.outputs) for node in nodes] == [
        (node.op_type, *node.output) for node in onnx.load_from_string(model).graph.node
    ]
    with pytest.raises(ValueError, match="is"):
        read_nodes(b"\x07\x07\x07")


def test_burnt_pictures_fall_out_of_range_and_whole_ones_stay_in() -> None:
    encoder = tagger_encoder(EMBEDDED)
    known = [drawing(seed) for seed in range(60)]
    whole = find_range([measure(image) for image in known], encoder.encode(known))
    fresh = [drawing(seed) for seed in range(100, 140)]
    vectors = encoder.encode(fresh)
    assert sum(bool(whole.faults(measure(image), row)) for image, row in zip(fresh, vectors, strict=True)) <= 2
    spoiled = [burnt(image, seed) for seed, image in enumerate(fresh)]
    vectors = encoder.encode(spoiled)
    faults = [whole.faults(measure(image), row) for image, row in zip(spoiled, vectors, strict=True)]
    assert all(faults)
    assert {name for found in faults for name in found} <= {*MEASURES, STRANGE}
    few = find_range([measure(image) for image in known[:4]], None)
    assert few.faults(measure(spoiled[0]), None) == ()


@pytest.mark.parametrize("spoil", [mottled, noisy])
def test_pictures_without_a_plain_part_fall_out(spoil: Callable[[Image.Image, int], Image.Image]) -> None:
    whole = find_range([measure(drawing(seed)) for seed in range(60)], None)
    fresh = [drawing(seed) for seed in range(100, 140)]
    assert sum("grain" in whole.faults(measure(image), None) for image in fresh) == 0
    found = [whole.faults(measure(spoil(image, seed)), None) for seed, image in enumerate(fresh)]
    assert all("grain" in faults for faults in found)


def _shipped() -> list[Image.Image]:
    files = [file for name in EXAMPLES for file in sorted(example_folder(name).rglob("*.png"))]
    return [Image.open(file).convert("RGB").resize((128, 128)) for file in files]


def _drawn() -> list[Image.Image]:
    return [drawing(seed) for seed in range(160)]


@pytest.mark.parametrize(("source", "least"), [(_drawn, 0.5), (_shipped, 0.85)])
def test_torn_and_driven_pictures_fall_out(source: Callable[[], list[Image.Image]], least: float) -> None:
    encoder, pictures = tagger_encoder(EMBEDDED), source()
    known, fresh = pictures[::2], pictures[1::2]
    whole = find_range([measure(each) for each in known], encoder.encode(known), encoder.encode(make_twins(known)))
    random = np.random.default_rng(3)

    def out(spoilt: list[Image.Image]) -> float:
        found = zip(spoilt, encoder.encode(spoilt), strict=True)
        return sum(bool(whole.faults(measure(image), row)) for image, row in found) / len(spoilt)

    assert out(fresh) <= 0.1
    assert out([shuffled(image, 4, random) for image in fresh]) >= least
    assert out([shuffled(image, 8, random) for image in fresh]) >= 0.8
    assert out([ImageEnhance.Color(image).enhance(3) for image in fresh]) >= 0.85


def test_twins_are_the_same_again_and_too_few_draw_no_line() -> None:
    pictures = [drawing(seed) for seed in range(6)]
    first, again = make_twins(pictures), make_twins(pictures)
    assert len(first) == 18
    assert [twin.tobytes() for twin in first] == [twin.tobytes() for twin in again]
    assert all(twin.size == pictures[0].size for twin in first)
    assert find_torn(_cloud(15, 3.0, 1), _cloud(60, 0.0, 2)) is None
    assert find_torn(_cloud(30, 0.0, 1), _cloud(90, 0.0, 2)) is None  # they cannot be told apart
    assert find_torn(_cloud(30, 3.0, 1), _cloud(90, 0.0, 2)) is not None


def test_a_flattening_far_from_the_head_is_no_feature_layer() -> None:
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node

    def model(products: int) -> bytes:
        nodes = [node("Relu", ["x"], ["map"]), node("Flatten", ["map"], ["t0"])]
        nodes += [node("MatMul", [f"t{i}", "w"], [f"t{i + 1}"]) for i in range(products)]
        found: bytes = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [])).SerializeToString()
        return found

    assert feature_layer(model(2)) == "map"
    assert feature_layer(model(9)) == "t8"
    assert feature_layer(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [])).SerializeToString()) is None
