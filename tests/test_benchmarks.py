"""Every benchmark runs, at toy size: what it measures is no matter here, that it still measures is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"
needs_data = pytest.mark.skipif(not (ROOT / "data").exists(), reason="the real data are not there")


def run(name: str, *arguments: str) -> list[list[str]]:
    """Run a benchmark; give the cells of all lines of its tables, headings among them."""
    ended = subprocess.run(
        [sys.executable, str(FOLDER / name), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    lines = [line for line in ended.stdout.splitlines() if line.startswith("|") or name == "encode.py"]
    return [re.split(r"\s*\|\s*|\s{2,}", line.strip("| ")) for line in lines]


def test_every_benchmark_is_run_here():
    named = set(re.findall(r'run\("(\w+\.py)"', Path(__file__).read_text()))
    # study.py is what two of them share; gpu.py is run by `make gpu`, which `make nightly` tries on the CPU.
    assert named == {path.name for path in FOLDER.glob("*.py")} - {"study.py", "gpu.py"}


@pytest.mark.slow
def test_encoding():
    assert run("encode.py", "--help")[0][0].startswith("usage: encode.py")
    heading, *rows = run("encode.py", "20", "40")
    assert heading == ["sequences", "peak MiB", "seconds"]
    assert [row[0] for row in rows] == ["0", "20", "40"]


@pytest.mark.slow
def test_windows_of_a_genome():
    _, _, *rows = run("genome.py", "200", "400")
    assert [row[0] for row in rows] == ["bins, 400 by 100 classes", "windows, 200", "windows, 400"]


@pytest.mark.slow
def test_effects_of_variants():
    toy = ("--length", "200", "--classes", "3", "--width", "4", "--transcripts", "2", "--nt", "300", "--variants", "10")
    _, _, *rows = run("variants.py", "--alleles", "30", *toy, "--sample", "6", "--turns", "1")
    assert [row[0] for row in rows] == [
        "DeepSEA, SNVs 34 bases apart",
        *(f"Saluki, 300 nt, 10 variants, {indels} of them indels" for indels in (0, 1)),
    ]
    assert all(float(row[-1]) < 1e-5 for row in rows)


@pytest.mark.slow
def test_reading_for_a_training():
    lines = run("training.py", "200", "300", "--classes", "2", "--width", "4", "--steps", "1")
    assert [row[:2] for row in lines[2:4]] == [["200", "2"], ["300", "2"]]
    assert [row[0] for row in lines[-2:]] == ["a batch that stands ready", "batches of the disk"]


@pytest.mark.slow
def test_clustering_by_kind_of_sequences():
    kinds = ["all the same", "random", "pairs, 3 % of letters substituted"]
    *_, same, random, pairs = run("cluster.py", "--sequences", "20", "--kinds", *kinds)
    # Clusters, and how many sequences are in the largest.
    assert [same[-2:], random[-2:], pairs[-2:]] == [["1", "20"], ["20", "1"], ["10", "2"]]


@pytest.mark.slow
def test_clustering_of_fasta_files(tmp_path):
    path = tmp_path / "some.fasta"
    path.write_text("".join(f">s{i}\n{'ACGGTTAC' * 7 if i < 2 else 'GATTACCA' * 7}\n" for i in range(4)))
    run("cluster.py", "--fasta", str(path))


@pytest.mark.slow
def test_leave_one_out_scores():
    modes = ["remove", "mask", "replace"]
    _, _, *rows = run("loo.py", "--lengths", "40", "--turns", "1", "--padded", "512", "--modes", *modes)
    assert [row[:2] for row in rows] == [[mode, "40"] for mode in modes]
    assert all(float(row[-1]) <= 1e-5 for row in rows), "the difference from the naive scorer"


@pytest.mark.e2e
@pytest.mark.nightly
def test_planning():
    rows = run("dag.py", "--folds", "3", "--replicates", "1", "--shards", "2")
    assert [row[1:3] for row in rows if row[0].startswith("3 folds")][1::2] == [["after everything has run", "0"]] * 2
    assert all(float(row[-1]) >= 0 for row in rows[-7:])


@needs_data
@pytest.mark.e2e
@pytest.mark.nightly
def test_promoters(tmp_path):
    _, _, *rows = run("promoters.py", "--toy", str(tmp_path))
    models = ["rnalm", "one-hot logistic regression", "random forest of 5-mers"]
    assert [row[:2] for row in rows] == [[split, model] for split in ("grouped", "leaking") for model in models]
    assert all(0 <= float(row[2]) <= 1 for row in rows)


def test_a_study_without_its_data_says_what_is_missing(tmp_path):
    source = {"path": str(tmp_path / "gone.tsv"), "columns": {"id": "a", "sequence": "b", "label": "c"}}
    settings = {"output": str(tmp_path / "own"), "source": source, "task": "regression"}
    asked = f"import study; study.run({settings!r}, 'baseline', '1')"
    ended = subprocess.run([sys.executable, "-c", asked], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert ended.returncode
    told = ended.stdout + ended.stderr
    assert "gone.tsv" in told
    assert "Traceback" not in told


@needs_data
@pytest.mark.e2e
@pytest.mark.nightly
def test_studies_beside_their_baselines(tmp_path):
    heading, _, *rows = run("studies.py", "--baselines", "--toy", str(tmp_path))
    assert heading[:4] == ["study", "metric", "folds", "baseline"]
    assert [(row[0], row[2], row[5]) for row in rows] == [(name, "2", "–") for name in ("human", "yeast", "3′UTR", "promoters")]
    assert all(abs(float(row[3])) <= 1 for row in rows)
    *_, row = run("studies.py", "--studies", "3′UTR", "--toy", str(tmp_path))
    assert [abs(float(number)) <= 1 for number in (row[5], row[7], row[9])] == [True] * 3
    assert row[10].endswith("of 2")


def test_tokens():
    lines = run("tokens.py", "--lengths", "90", "--long", "60")
    scored = [row for row in lines if row[0] in ("dilated", "frames") and row[2] in ("one", "all")]
    assert [(row[0], row[2]) for row in scored] == [(name, what) for name in ("dilated", "frames") for what in ("one", "all")]
    assert all(float(row[6]) < 1e-5 for row in scored[:2])
    assert [row[0] for row in lines[-3:]] == ["performer", "frames", "dilated"]


def test_deepsea():
    _, _, row = run("deepsea.py", "--length", "251", "--classes", "3", "--width", "4", "--turns", "1")
    assert row[:2] == ["251", "3"]
    assert float(row[5]) < 1e-5


@needs_data
@pytest.mark.e2e
@pytest.mark.nightly
def test_positions(tmp_path):
    heading, _, *rows = run("positions.py", "--toy", str(tmp_path))
    assert heading[:2] == ["ROC AUC", "PR AUC"]
    rules = ["every ATG", "first ATG", "Kozak matrix", "gradient boosting"]
    assert [row[0] for row in rows] == [*rules, "performer", "frames", "frames and gradient boosting, mean"]
    assert all(0 <= float(cell) <= 1 for row in rows for cell in row[1:-1])


@needs_data
@pytest.mark.e2e
@pytest.mark.nightly
def test_factors(tmp_path):
    heading, _, *rows = run("factors.py", "--toy", str(tmp_path))
    assert heading[:2] == ["macro ROC AUC", "macro average precision"]
    ways = ["network", "logistic regression", "best 6-mer", "share of windows", "published motif"]
    assert [row[0] for row in rows][:5] == ways


@needs_data
@pytest.mark.e2e
@pytest.mark.nightly
def test_pretraining(tmp_path):
    _, _, *rows = run("pretraining.py", "--toy", str(tmp_path))
    assert [row[0] for row in rows] == ["pretrained", "from scratch", "ridge"]
    assert all(len(row[-1].split()) == 2 for row in rows), "a value a fold"
