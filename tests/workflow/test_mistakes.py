"""What a user reads after a mistake, wherever in the workflow it is found: one clear line, and no traceback.

Each message has its test beside the module that gives it; here are the ways by which one reaches the terminal.
"""

import subprocess
import sys

import pytest


def unknown_key(experiment):
    """Seen when the Snakefile is read."""
    experiment.config["finetune"]["epoch"] = 3
    return "config: unknown key 'finetune.epoch'; did you mean 'epochs'? (valid: "


def label_that_is_no_number(experiment):
    """Seen by the job that reads the table."""

    def edit(rows):
        rows[4][2] = "high"
        return rows

    experiment.write_table(edit=edit)
    return "table.tsv, line 6: the label of 's4' is 'high', expected a number"


def replacement_that_is_no_token(experiment):
    """Seen by a job that holds two files against each other, before anything is trained."""
    experiment.config["interpret"] = {"modes": ["replace"], "replacements": {"A": ["c"]}}
    return "interpret.replacements: token 'c' is not in the vocabulary; did you mean 'C'? (valid: A, C, G, T)"


@pytest.mark.parametrize("mistake", [unknown_key, label_that_is_no_number, replacement_that_is_no_token])
def test_a_mistake_ends_in_one_clear_line(experiment, mistake):
    message = mistake(experiment)
    told = experiment.refusal()
    assert message in told
    assert "common.smk" not in told, "no places in the files of the workflow"
    assert not list(experiment.output.glob("fine-tune/*/model.safetensors"))


def test_a_run_refuses_a_key_that_stands_twice(experiment):
    [_, snakefile, _, name, *_] = experiment.arguments()
    text = (experiment.folder / name).read_text()
    last = len(text.splitlines()) + 1
    (experiment.folder / "twice.yaml").write_text(text + "finetune: {epochs: 9}\n")
    command = [sys.executable, "-m", "snakemake", "-n", "--snakefile", snakefile, "--configfile", "twice.yaml"]
    ended = subprocess.run(command, cwd=experiment.folder, capture_output=True, text=True, check=False)
    first = text.splitlines().index("finetune:") + 1
    assert ended.returncode != 0
    assert f"twice.yaml: key 'finetune' stands twice, in lines {first} and {last}; expected it once" in ended.stderr


def test_a_mistake_in_new_sequences_is_told_before_any_training(experiment):
    (experiment.folder / "new.tsv").write_text("id\tsequence\ntwice\tACGTACGTACGT\ntwice\tACGTACGTACGT\n")
    new = {"path": "new.tsv", "columns": {"id": "id", "sequence": "sequence"}}
    experiment.config |= {"inference": {"new": new}}
    told = experiment.refusal("--cores", "1")
    assert "new.tsv, line 3: the id 'twice' was already used in line 2; ids must be unique" in told
    assert not (experiment.output / "logs" / "finetune").exists()
