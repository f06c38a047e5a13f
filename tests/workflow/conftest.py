import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow" / "Snakefile")]


class Experiment:
    """A folder with a small table and a configuration, in which the workflow runs.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = {
            "output": "out",
            "source": {
                "path": "table.tsv",
                "columns": {"id": "id", "sequence": "sequence", "label": "label", "split": "split"},
            },
            "folds": {"n": 2},
            "model": {"name": "saluki", "filters": 4, "layers": 1},
            "finetune": {"epochs": 2, "learning_rate": 0.01},
            "interpret": {"modes": ["mask"], "shards": 2},
        }
        self.write_table()

    @property
    def output(self) -> Path:
        return self.folder / "out"

    def write_table(self, name: str = "table.tsv", n: int = 40, edit=lambda rows: rows) -> None:
        draw = np.random.default_rng(0)
        rows = [[f"s{i}", "".join(draw.choice(list("ACGT"), 12)), f"{1 + i % 7}", "abcd"[i % 4]] for i in range(n)]
        lines = ["\t".join(row) for row in [["id", "sequence", "label", "split"], *edit(rows)]]
        (self.folder / name).write_text("\n".join(lines) + "\n")

    def command(self, *arguments: str) -> list[str]:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config))
        # --configfile takes all that follows it up to the next option.
        return [*SNAKEMAKE, "--configfile", "config.yaml", "--cores", "2", *arguments]

    def environment(self) -> dict[str, str]:
        return os.environ | {"OMP_NUM_THREADS": "1"}

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start the workflow as the leader of a process group of its own."""
        command = self.command(*arguments)
        with open(self.folder / "terminal.txt", "w") as terminal:
            return subprocess.Popen(
                command, cwd=self.folder, env=self.environment(), stdout=terminal, stderr=terminal, start_new_session=True
            )

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run the workflow to its end; what it printed is in ``stdout``."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def succeed(self, *arguments: str) -> str:
        found = self.run(*arguments)
        assert found.returncode == 0, found.stdout[-6000:]
        return found.stdout


@pytest.fixture
def experiment(tmp_path) -> Experiment:
    return Experiment(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Experiment:
    """Give an experiment that has run to its end."""
    experiment = Experiment(tmp_path_factory.mktemp("finished"))
    experiment.succeed()
    return experiment


@pytest.fixture
def copy(finished, tmp_path):
    """Copy the finished experiment, with Snakemake's records, to change it."""

    def make() -> Experiment:
        folder = tmp_path / "copy"
        shutil.copytree(finished.folder, folder)
        experiment = Experiment(folder)
        return experiment

    return make
