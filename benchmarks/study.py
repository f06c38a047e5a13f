"""Run a study of an example, for the benchmarks that look at its models."""

import argparse
import gzip
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
#: Models this small train faster beside each other than with several threads each.
THREADS = ("--set-threads", "finetune_fold=1", "sweep_worker=1")
#: So many sequences of each file, and epochs and trials, are enough to see that a benchmark runs.
TOY = 60


def options(description: str) -> argparse.Namespace:
    """Read the options that these benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--cores", default="2")
    parser.add_argument("--toy", type=Path, metavar="FOLDER", help=f"run in this folder with {TOY} sequences of each file")
    return parser.parse_args()


def read(example: str, toy: Path | None) -> dict:
    """Read the configuration of an example; with a folder for toys, make it one of few sequences, folds and epochs."""
    settings = yaml.safe_load((ROOT / "config" / "examples" / example).read_text())
    if toy is None:
        return settings
    files = settings["source"].get("classes", settings["source"])
    for key in files if "classes" in settings["source"] else ("path",):
        text = gzip.decompress((ROOT / files[key]).read_bytes()).decode()
        mark = ">" if text.startswith(">") else "\n"
        cut = toy / f"{Path(files[key]).name.removesuffix('.gz')}"
        cut.write_text(mark.join(text.split(mark)[: TOY + 1]))
        files[key] = str(cut)
    settings["output"] = str(toy / Path(settings["output"]).name)
    # So few rows are no ten folds, neither those of a column.
    divided = {"n": 2} if "validation_percent" in settings["folds"] else {"method": "ratio", "ratio": [60, 20, 20], "n": 2}
    settings["folds"] |= divided
    short = {"sweep": {"trials": 1, "epochs": 1}, "pretrain": {"epochs": 1}, "finetune": {"epochs": 1, "replicates": 1}}
    return settings | {section: settings[section] | values for section, values in short.items() if section in settings}


def run(settings: dict, target: str, cores: str) -> Path:
    """Run a study up to a target of the workflow; what is finished is not run again. Gives its folder."""
    output = ROOT / settings["output"]
    output.parent.mkdir(exist_ok=True)
    file = output.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(settings))
    command = (sys.executable, "-m", "snakemake", target, "--configfile", str(file), "--cores", cores)
    # Of all that Snakemake tells, what is wrong must come through.
    ended = subprocess.run([*command, *THREADS, "--quiet", "host", "progress", "reason", "rules"], cwd=ROOT, check=False)
    if ended.returncode:
        sys.exit(ended.returncode)
    return output
