"""Exponents of known spectra are found, what has none is named, and files of weights are read as they lie."""

import json
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from rnalm.config.contract import SPECTRA
from rnalm.models.folder import weight_files
from rnalm.report import powerlaw, spectra

#: Pictures are drawn, many of them.
pytestmark = pytest.mark.slow


def pareto(alpha: float, size: int, seed: int = 0) -> np.ndarray:
    """Draw from p(x) ∝ x^-alpha, x ≥ 1."""
    return (1 - np.random.default_rng(seed).random(size)) ** (-1 / (alpha - 1))


def matrix_of(values: np.ndarray, rows: int | None = None, seed: int = 0) -> torch.Tensor:
    """Make a matrix with the given squared singular values."""
    draw, size = np.random.default_rng(seed), len(values)
    left = np.linalg.qr(draw.standard_normal((rows or size, size)))[0]
    right = np.linalg.qr(draw.standard_normal((size, size)))[0]
    return torch.from_numpy(left * np.sqrt(values) @ right)


def least_distance(values: np.ndarray) -> tuple[float, float, float, int]:
    """Give alpha, xmin, distance and tail by the formulas of Clauset, Shalizi & Newman, for tails of 3 values or more."""
    values, found = np.sort(values), []
    for start in range(len(values) - 2):
        tail = values[start:]
        alpha = 1 + len(tail) / np.log(tail / tail[0]).sum()
        distance = np.abs(1 - (tail / tail[0]) ** (1 - alpha) - np.arange(len(tail)) / len(tail)).max()
        found.append((alpha, tail[0], distance, len(tail)))
    return min(found, key=lambda fit: fit[2])


@pytest.fixture
def save(tmp_path):
    """Save tensors as the model folder of a name."""

    def write(tensors: dict[str, torch.Tensor], name: str = "model"):
        (tmp_path / name).mkdir()
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, tmp_path / name / "model.safetensors")
        return tmp_path / name

    return write


@pytest.fixture
def shard(save):
    """Save tensors as a model folder of two shards."""

    def write(tensors: dict[str, torch.Tensor]):
        folder, names = save(tensors), {}
        (folder / "model.safetensors").unlink()
        for number in (1, 2):
            file = f"model-0000{number}-of-00002.safetensors"
            part = dict(list(tensors.items())[number - 1 :: 2])
            save_file(part, folder / file)
            names |= dict.fromkeys(part, file)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
        return folder

    return write


LINEAR = matrix_of(pareto(3, 60))


@pytest.mark.parametrize("alpha", [1.8, 3.5, 9])
@pytest.mark.parametrize(("size", "rows"), [(64, 320), (300, 350)])
def test_a_known_exponent_is_found_in_a_matrix(alpha, size, rows):
    found = powerlaw.fit(powerlaw.spectrum(matrix_of(pareto(alpha, size), rows)))
    assert found.sigma == pytest.approx((found.alpha - 1) / np.sqrt(found.tail))
    assert abs(found.alpha - alpha) < 3 * found.sigma
    assert found.tail <= size


@pytest.mark.parametrize("alpha", [2.5, 5])
def test_the_tail_is_found_above_what_follows_no_power_law(alpha):
    bulk = np.random.default_rng(1).uniform(0, 1, 500)
    found = powerlaw.fit(np.concatenate([bulk, pareto(alpha, 400)]))
    assert abs(found.alpha - alpha) < 3 * found.sigma
    assert 0.9 < found.xmin < 1.3
    assert 250 < found.tail < 460


@examples(40)
@given(st.floats(1.5, 20), st.integers(4, 60), st.integers(0, 1000))
def test_the_fit_is_that_of_the_formulas(alpha, size, seed):
    values = pareto(alpha, size, seed)
    found, expected = powerlaw.fit(values), least_distance(values)
    assert found.ks == pytest.approx(expected[2], rel=1e-6)
    assert (found.alpha, found.xmin, found.tail) == pytest.approx((expected[0], expected[1], expected[3]), rel=1e-6)


@pytest.mark.parametrize("factor", [1e-12, 1e-3, 1e9])
def test_a_common_factor_does_not_matter(factor):
    values = pareto(4, 100)
    one, other = powerlaw.fit(values), powerlaw.fit(factor * values)
    assert (other.alpha, other.ks, other.tail) == pytest.approx((one.alpha, one.ks, one.tail))
    assert other.xmin == pytest.approx(factor * one.xmin)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0, 3.0], [2.0] * 9, [1 + 1e-15, 1, 1 - 1e-15] * 9])
def test_what_hardly_varies_follows_no_power_law(values):
    assert powerlaw.fit(np.array(values)) is None


def test_fitting_says_nothing(capfd, recwarn):
    powerlaw.fit(pareto(40, 100))
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_the_spectrum_are_the_squared_singular_values_in_ascending_order():
    values = np.sort(pareto(3, 20))
    for weight in (matrix_of(values, 30), matrix_of(values, 30).T, matrix_of(values, 30).numpy()):
        np.testing.assert_allclose(powerlaw.spectrum(weight), values, rtol=1e-9)


def test_a_convolution_is_the_matrix_that_multiplies_windows():
    weight = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(0))
    windows = weight.permute(0, 2, 1).flatten(1)  # in whatever order its columns stand
    np.testing.assert_allclose(powerlaw.spectrum(weight), np.linalg.svd(windows.double(), compute_uv=False)[::-1] ** 2)


def test_zeros_of_the_spectrum_are_left_out():
    assert len(powerlaw.spectrum(matrix_of(pareto(3, 20)) @ torch.diag(torch.arange(20.0).double() > 4).double())) == 15
    assert len(powerlaw.spectrum(torch.zeros(3, 4))) == 0


def test_layers_and_models_stand_in_natural_order_whatever_order_they_come_in(save):
    names = [f"encoder.layer.{number}.dense" for number in (10, 2, 1)]
    tensors = {f"{name}.{kind}": LINEAR.clone() for name in names for kind in ("weight", "bias")}
    table = powerlaw.compare(dict.fromkeys(["m10", "m2"], save(tensors)))
    assert table["model"].tolist() == ["m2"] * 6 + ["m10"] * 6
    expected = [f"encoder.layer.{n}.dense.{kind}" for n in (1, 2, 10) for kind in ("bias", "weight")]
    assert table["name"].tolist() == expected * 2
    assert table["layer"].tolist() == [0, 0, 1, 1, 2, 2] * 2


def test_a_row_tells_of_a_layer(save):
    values = pareto(3, 60)
    [row] = powerlaw.compare({"a": save({"dense.weight": matrix_of(values, 90)})}).to_dict("records")
    found = powerlaw.fit(np.sort(values))
    assert {key: row[key] for key in ("model", "layer", "name", "rows", "columns", "eigenvalues", "tail", "reason")} == {
        "model": "a",
        "layer": 0,
        "name": "dense.weight",
        "rows": 90,
        "columns": 60,
        "eigenvalues": 60,
        "tail": found.tail,
        "reason": "",
    }
    assert (row["alpha"], row["sigma"], row["xmin"]) == pytest.approx((found.alpha, found.sigma, found.xmin))
    assert row["largest"] == pytest.approx(values.max())


#: Tensors that are left out: name, tensor, and why.
LEFT_OUT = [
    ("dense.bias", torch.ones(80), "a vector, which has no spectrum"),
    ("norm.scale", torch.tensor(1.0), "a vector, which has no spectrum"),
    ("norm.num_batches_tracked", torch.tensor(3), "whole numbers, no weights"),
    ("embeddings.position_ids", torch.arange(60).expand(60, 60), "whole numbers, no weights"),
    ("gru.weight_ih_l0", LINEAR, "recurrent: the matrices of several gates in one"),
    ("lstm.weight_hh_l1_reverse", LINEAR, "recurrent: the matrices of several gates in one"),
    ("bert.embeddings.word_embeddings.weight", LINEAR, "an embedding: its rows are looked up, it multiplies nothing"),
    ("wide.weights", LINEAR, "of the linear part: no layer of the network"),
    ("model.embed_tokens.weight", LINEAR, "an embedding: its rows are looked up, it multiplies nothing"),
    ("transformer.wte.weight", LINEAR, "an embedding: its rows are looked up, it multiplies nothing"),
    ("dense.weight", torch.rand(49, 90), "49 eigenvalues that are not 0, fewer than 50"),
    ("low_rank.weight", torch.rand(80, 3).double() @ torch.rand(3, 80).double(), "3 eigenvalues that are not 0, fewer than 50"),
    ("stem.weight", torch.rand(64, 4, 5), "20 eigenvalues that are not 0, fewer than 50"),
    ("zero.weight", torch.zeros(60, 60), "0 eigenvalues that are not 0, fewer than 50"),
    ("same.weight", torch.eye(60), "no power law: the eigenvalues are all the same"),
    ("broken.weight", torch.full((60, 60), torch.nan), "not all weights are finite numbers"),
]


@pytest.mark.parametrize(("name", "tensor", "reason"), LEFT_OUT, ids=[name for name, *_ in LEFT_OUT])
def test_what_is_left_out_is_named_with_the_reason(save, name, tensor, reason):
    [row] = powerlaw.compare({"a": save({name: tensor})}).to_dict("records")
    assert (row["name"], row["reason"]) == (name, reason)
    assert pd.isna(row["alpha"])
    assert pd.isna(row["tail"])


@pytest.mark.parametrize("name", ["embeddings_project.weight", "embeddings.projection.weight", "lm_head.weight", "weight"])
def test_what_only_resembles_an_embedding_is_fitted(save, name):
    assert powerlaw.compare({"a": save({name: LINEAR})})["alpha"].notna().all()


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_weights_of_any_precision_are_read(save, kind):
    [row] = powerlaw.compare({"a": save({"dense.weight": matrix_of(pareto(3, 200)).to(kind)})}).to_dict("records")
    assert abs(row["alpha"] - 3) < 3 * row["sigma"]


def test_a_default_saluki_is_fitted(tmp_path):
    from rnalm.models.saluki import Saluki, SalukiConfig

    torch.manual_seed(0)
    Saluki(SalukiConfig()).save_pretrained(tmp_path)
    table = powerlaw.compare({"saluki": tmp_path})
    convolutions = [f"blocks.{block}.convolution.weight" for block in range(6)]
    assert table.loc[table["alpha"].notna(), "name"].tolist() == [*convolutions, "head.2.weight"]


def test_shards_are_one_model(save, shard, tmp_path):
    tensors = {f"layer.{n}.weight": matrix_of(pareto(3, 55, n)) for n in range(3)}
    parts = shard(tensors)
    expected = [parts / "model.safetensors.index.json", *sorted(parts.glob("*-of-*"))]
    assert weight_files(parts) == expected
    parts.rename(tmp_path / "parts")
    pd.testing.assert_frame_equal(powerlaw.compare({"a": tmp_path / "parts"}), powerlaw.compare({"a": save(tensors)}))


def test_a_folder_without_weights_is_refused(refusal, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "pytorch_model.bin").touch()
    (folder / "config.json").touch()
    wanted = "expected model.safetensors or model.safetensors.index.json"
    found = "found config.json, pytorch_model.bin"
    assert refusal(powerlaw.compare, {"a": folder}) == f"{folder}: model folder without weights; {found}, {wanted}"


def test_a_folder_that_is_not_there_is_refused_with_the_nearest(refusal, tmp_path):
    (tmp_path / "saluki").mkdir()
    message = refusal(weight_files, tmp_path / "saluky")
    assert message.startswith(f"{tmp_path / 'saluky'}: no such model folder; did you mean '{tmp_path / 'saluki'}'?")


def test_a_missing_shard_or_a_tensor_that_is_not_in_its_shard_is_named(refusal, shard):
    folder = shard({"a.weight": LINEAR, "b.weight": LINEAR.clone()})
    path, says = folder / "model-00002-of-00002.safetensors", "but model.safetensors.index.json"
    save_file({"c.weight": LINEAR}, path)
    assert refusal(powerlaw.compare, {"a": folder}) == f"{path}: found no tensor b.weight, {says} says it is there"
    path.unlink()
    assert refusal(powerlaw.compare, {"a": folder}) == f"{path}: no such file, {says} names it"


@pytest.mark.parametrize("content", ["{}", "[]", '{"weight_map": 1}'])
def test_an_index_without_a_map_is_refused(refusal, tmp_path, content):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(content)
    assert refusal(weight_files, tmp_path) == f"{path}: found no weight_map, expected the shard of each tensor"


def test_a_damaged_file_is_refused(refusal, save):
    path = save({"a.weight": LINEAR}) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    assert refusal(powerlaw.compare, {"a": path.parent}).startswith(f"{path}: not a safetensors file, or damaged (")


def table_of(**alphas: list[float]) -> pd.DataFrame:
    """Make a table of layers with the given alphas, NaN for those left out."""
    rows = [
        {"model": model, "layer": layer, "name": f"layer.{layer}.weight", "rows": 64, "columns": 64, "alpha": alpha}
        | {"reason": "too small" if np.isnan(alpha) else "", "sigma": alpha / 10, "largest": 100.0}
        | ({} if np.isnan(alpha) else {"eigenvalues": 64, "tail": 30, "xmin": 1.0, "ks": 0.05})
        for model, values in alphas.items()
        for layer, alpha in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=list(powerlaw.COLUMNS)).astype(powerlaw.COLUMNS)


TABLES = {
    "one model": table_of(a=[2.0, 3.0]),
    "models": table_of(a=[2.0, 3.0, np.nan], b=[2.5, 14.0]),
    "dollars": table_of(**{"$a$": [2.0, 3.0]}),
    "many models": table_of(**{f"m{n}": [2 + n / 10] for n in range(13)}),
    "nothing fitted": table_of(a=[np.nan]),
}


def test_the_summary_has_a_row_a_model():
    summary = powerlaw.summarize(table_of(a=[2.0, 3.0, np.nan, 7.0], b=[np.nan], c=[4.0])).set_index("model")
    assert summary.loc["a", ["fitted", "left_out", "mean", "median", "least", "greatest"]].tolist() == [3, 1, 4, 3, 2, 7]
    assert summary.loc["a", "sd"] == pytest.approx(np.std([2, 3, 7], ddof=1))
    assert summary.loc["a", "good"] == pytest.approx(2 / 3)
    assert summary.loc["a", "weighted"] == pytest.approx(4 * np.log10(100))
    assert summary.loc["b", ["fitted", "left_out"]].tolist() == [0, 1]
    assert summary.loc["b", "mean":].isna().all()


@pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")
@pytest.mark.parametrize("name", TABLES)
def test_the_same_table_is_the_same_bytes_without_a_date_and_can_be_read(tmp_path, name):
    for folder in ("once", "twice"):
        spectra.write(TABLES[name], tmp_path / folder)
    assert sorted(path.name for path in (tmp_path / "once").iterdir()) == sorted(SPECTRA)
    for file in SPECTRA:
        assert (tmp_path / "once" / file).read_bytes() == (tmp_path / "twice" / file).read_bytes(), file
        assert not file.endswith(".pdf") or b"Date" not in (tmp_path / "once" / file).read_bytes()
    read = pd.read_csv(tmp_path / "once" / "alphas.csv", keep_default_na=False, na_values=[""]).fillna({"reason": ""})
    pd.testing.assert_frame_equal(read.astype(powerlaw.COLUMNS), TABLES[name])


def words(figure, path) -> str:
    spectra.save(figure, path)
    return " ".join(ElementTree.parse(f"{path}.svg").getroot().itertext())


def test_the_histogram_has_100_bins_and_a_dashed_line_at_each_mean(tmp_path):
    axis = spectra.histogram(TABLES["models"]).axes[0]
    counts = [patch.get_data().values for patch in axis.patches]
    assert [len(count) for count in counts] == [100, 100]
    assert [count.sum() for count in counts] == [2, 2]
    assert counts[1][-1] == 1
    assert [(line.get_xdata()[0], line.get_linestyle()) for line in axis.lines] == [(2.5, "--"), (8.25, "--")]
    found = words(spectra.histogram(TABLES["models"]), tmp_path / "figure")
    assert "a: mean 2.50, 2 layers" in found
    assert "1 above 10 stand in the last bin" in found


def test_layers_are_drawn_at_their_alphas_with_errors(tmp_path):
    axis = spectra.layers(TABLES["one model"]).axes[0]
    points, _, [bars] = axis.containers[0]
    assert list(points.get_xdata()) == [0, 1]
    assert list(points.get_ydata()) == [2, 3]
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], [(1.8, 2.2), (2.7, 3.3)])


def test_a_legend_names_models_as_long_as_there_is_room_and_any_was_fitted(tmp_path):
    assert "$a$" in words(spectra.layers(TABLES["dollars"]), tmp_path / "figure")
    assert spectra.histogram(TABLES["many models"]).axes[0].get_legend() is None
    assert "no layer could be fitted" in words(spectra.histogram(TABLES["nothing fitted"]), tmp_path / "figure")


@pytest.mark.parametrize("name", TABLES)
def test_a_report_is_told_in_its_own_words(tmp_path, name):
    spectra.write(TABLES[name], tmp_path)
    blocks = spectra.describe(tmp_path)
    assert "Few eigenvalues mean a wide error" in blocks[0].text
    assert len(blocks[0].table["rows"]) == TABLES[name]["model"].nunique()
    assert [block.figure[:4] for block in blocks[1:3]] == ["<svg", "<svg"]
    for table in (block.table for block in blocks if block.table):
        assert all(len(row) == len(table["columns"]) and all(isinstance(cell, str) for cell in row) for row in table["rows"])


def test_a_report_names_what_was_left_out_and_shows_no_endless_table(tmp_path, monkeypatch):
    spectra.write(TABLES["models"], tmp_path)
    *_, layers, left_out = spectra.describe(tmp_path)
    assert len(layers.table["rows"]) == 4
    assert layers.table["rows"][0][-2:] == ["2.00 ± 0.20", "0.050"]
    assert left_out.table["rows"] == [["a", "2", "layer.2.weight", "64 × 64", "too small"]]
    monkeypatch.setattr(spectra, "MAX_ROWS", 3)
    layers = spectra.describe(tmp_path)[-2]
    assert len(layers.table["rows"]) == 3
    assert "the first 3 of 4; all are in alphas.csv" in layers.folded


def test_a_model_may_be_called_NA(tmp_path):
    spectra.write(table_of(NA=[2.0]), tmp_path)
    assert spectra.describe(tmp_path)[0].table["rows"][0][0] == "NA"
