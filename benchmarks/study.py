"""Run a study of an example, for the benchmarks that look at its models."""

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
#: Models this small train faster beside each other than with several threads each.
THREADS = ("--set-threads", "finetune_fold=1", "sweep_worker=1")


def run(settings: dict, target: str, cores: str) -> Path:
    """Run a study up to a target of the workflow; what is finished is not run again. Gives its folder."""
    file = ROOT / "results" / f"{Path(settings['output']).name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(settings))
    options = ("--configfile", str(file), "--cores", cores, "--quiet", "all", *THREADS)
    subprocess.run([sys.executable, "-m", "snakemake", target, *options], cwd=ROOT, check=True)
    return ROOT / settings["output"]
