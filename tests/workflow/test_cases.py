"""Inputs of the kind that real users have, each in a folder of its own: what is told of it, or comes out.

They are no part of the repository: ``RNALM_CASES`` says where they are. ``pytest tests/workflow/test_cases.py`` runs them all.
"""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CASES = Path(os.environ.get("RNALM_CASES", ROOT / "data" / "cases"))

pytestmark = [pytest.mark.nightly, pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not there")]

#: What ``rnalm check`` refuses, and a run, before anything is trained.
REFUSED = {
    "bpe_small_vocab": "tokenizer.vocab_size: 20 has no room for the 26 letters of the data beside 7 special tokens",
    "classes_yes_no": 'source.classes.yes: found yes, which YAML reads as yes or no; put it in quotes: "yes"',
    "comma_in_id": "data.csv, line 5: found 4 columns, the header has 3",
    "decimal_comma": "data.csv, line 2: found 4 columns, the header has 3",
    "digit_separator": "data.csv, line 2: the label of 's0' is '1_00', expected a number",
    "inference_checked_late": "new.csv, line 4: 'n3' has no reverse complement, letter 1 of the sequence is 'X'",
    "no_header": "data.csv: the id in the header is 's0'; if there is no header, set header: false",
    "utf16": "data.csv: is UTF-16 text, expected UTF-8",
    "yaml_twice": "config.yaml: key 'finetune' stands twice, in lines 7 and 9; expected it once",
}

#: Scripts, what they print when all is well, and what not.
SCRIPTS = {
    "dry-run-deletes": (
        ["shorter than it was written; to be made again", "\nout/predict"],
        "No such file",
    ),
    "fasta-names": (["rnalm: a.csv: no such file"], "source.columns is missing"),
    "fasta-not-letters": (["a header begins a line of its own", "found ';' in the sequence of 'a'"], "vocabulary ["),
    "leftovers": (["rc 0", "loo_scores_mask"], "Traceback"),
    "module-import": (["finetune_fold", "This was a dry-run"], "FileNotFoundError"),
    "output-spelling": (["0\nNothing to be done"], "contains double"),
    "output-tilde-colon": (["rc 0"], "Traceback"),
    "permission-denied": (["table.tsv"], "Traceback"),
    "provenance-lost": (["finetune_fold", "epochs: 9"], "Nothing to be done"),
    "table-extra-fields": (["hl.csv, line 2: found 4 columns, the header has 3"], "labels ["),
    "yaml-duplicate-key": (["key 'finetune' stands twice"], "good"),
    "yaml-yes-no": (["put it in quotes"], "good"),
}


class Case:
    """A copy of the folder of a case, in which commands are given."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = Path(shutil.copytree(CASES / name, folder / "case"))

    def give(self, program: str, *words: str) -> tuple[int, str]:
        """Give a command; its exit status, and all that it printed."""
        command = [str(Path(sys.executable).with_name(program)), *words]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        ended = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        return ended.returncode, ended.stdout + ended.stderr

    def run(self, *words: str, config: str = "config.yaml") -> tuple[int, str]:
        """Run the workflow."""
        snakefile = ["--snakefile", str(ROOT / "workflow" / "Snakefile")]
        return self.give("snakemake", *snakefile, "--configfile", config, "--cores", "1", *words)

    def rows(self, name: str) -> list[dict[str, str]]:
        """Read a table of the results."""
        with open(self.folder / name, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def configure(self, name: str, **changes: object) -> None:
        """Write the configuration with changes."""
        config = yaml.safe_load((self.folder / "config.yaml").read_text()) | changes
        (self.folder / name).write_text(yaml.safe_dump({key: value for key, value in config.items() if value is not None}))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_in_one_line_before_anything_is_trained(name, tmp_path):
    case = Case(name, tmp_path)
    status, told = case.give("rnalm", "check", "config.yaml")
    assert (status, "Traceback" in told) == (1, False)
    assert REFUSED[name] in told
    status, told = case.run()
    assert status != 0
    assert "Traceback" not in told
    assert REFUSED[name] in told
    assert not list(case.folder.glob("*/fine-tune/*/model.safetensors"))


def test_weights_of_another_architecture_are_refused(tmp_path):
    status, told = Case("pretrained_other_code", tmp_path).run()
    assert status != 0
    assert "auto_map" in told
    assert "Traceback" not in told


def test_fasta_by_the_name_of_a_text_is_read(tmp_path):
    case = Case("fasta_txt", tmp_path)
    assert case.give("rnalm", "check", "config.yaml")[1].endswith("config.yaml: good\n")
    assert case.run("encode")[0] == 0


def test_copies_of_test_rows_in_training_are_counted(tmp_path):
    status, told = Case("duplicates", tmp_path).run("finetune")
    assert status == 0
    assert "folds.group: cluster" in told


def test_new_sequences_are_read_in_the_case_of_those_that_were_trained_on(tmp_path):
    case = Case("case_forgotten", tmp_path)
    for config in ("config.yaml", "new.yaml", "new_keep.yaml"):
        status, told = case.run("predict", config=config)
        assert status == 0, told[-3000:]
    forgotten, kept = sorted(case.folder.glob("out_*/predict/test_predictions.csv"))
    assert forgotten.read_bytes() == kept.read_bytes()
    values = [round(float(row["prediction"]), 3) for row in case.rows(str(kept))]
    assert len(set(values)) == 3


def test_five_special_tokens_score_as_seven(tmp_path):
    case = Case("saluki_five_special", tmp_path)
    case.configure("seven.yaml", tokenizer=None, output="seven")
    for config in ("config.yaml", "seven.yaml"):
        status, told = case.run(config=config)
        assert status == 0, told[-3000:]
    five, seven = (case.folder / name / "interpret" / "loo_scores_replace.csv" for name in ("out", "seven"))
    assert five.read_bytes() == seven.read_bytes()


def test_on_both_strands_the_mean_is_of_what_is_reported(tmp_path):
    """One strand and the other, each predicted by itself, have the mean that is reported."""
    import numpy as np
    import pyarrow.parquet as pq

    from rnalm.labels.labels import Labels
    from rnalm.models import registry
    from rnalm.prediction.predict import predict
    from rnalm.tokens import dataset

    case = Case("rc_average", tmp_path)
    status, told = case.run("predict")
    assert status == 0, told[-3000:]
    out = case.folder / "out dir"
    means = []
    for folder in sorted(path.parent for path in out.glob("fine-tune/*/model.safetensors")):
        model = registry.load(folder)
        model.config.reverse_complement = "none"
        labels = Labels.load(folder / "labels.json")
        rows = [row for part in dataset.read(out / "encoded" / "new.parquet") for row in part]
        strands = [rows, [row.twin() for row in rows]]
        means.append(np.mean([labels.to_scores(predict(model, strand))[:, 0] for strand in strands], axis=0))
    reported = pq.read_table(out / "predict" / "new" / "predictions.parquet")["pred"].to_numpy()
    np.testing.assert_allclose(np.mean(means, axis=0), reported, rtol=1e-5)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_prints_what_it_should(name):
    environment = os.environ | {"RNALM": str(ROOT), "VENV": str(Path(sys.executable).parent)}
    script = ["bash", str(CASES / "workflow" / f"{name}.sh")]
    printed = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    told = printed.stdout + printed.stderr
    wanted, wrong = SCRIPTS[name]
    assert [text for text in wanted if text not in told] == [], told
    assert wrong not in told, told
