"""Configurations of Selene ─► ours, with a comment at each key that has no equal; nothing that they name is run.

Selene's words: https://selene.flatironinstitute.org/master/overview/cli.html
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from rnalm.config.contract import ENDS
from rnalm.config.importers.imported import Imported, arguments, comment, file_of, load_tagged, shown
from rnalm.config.importers.selene_samplers import keep_test, read_sampler
from rnalm.config.variants import SCORES
from rnalm.errors import RnalmError


def read(path: str | Path) -> Imported:
    """Turn a configuration of Selene into one of ours.

    Parameters
    ----------
    path : path
        The YAML file.

    Raises
    ------
    RnalmError
        If it is none of Selene's, or asks for what it does not say.
    """
    content = load_tagged(path)
    if not isinstance(content, dict) or not isinstance(content.get("ops"), list) or "model" not in content:
        raise RnalmError(f"{path}: found no ops and model, expected a configuration of Selene")
    given, found = dict(content), Imported()
    found.note("", f"From {Path(path).name}, by `rnalm import selene`; what has no equal stands in comments.")
    ops = given.pop("ops")
    found.settings["output"] = str(given.pop("output_dir", f"results/{Path(path).stem}"))
    if "random_seed" in given:
        found.settings["seed"] = given.pop("random_seed")
    found.settings["task"] = "multilabel"
    trains = "train" in ops
    train = arguments(given.pop("train_model", None))
    evaluate = arguments(given.pop("evaluate_model", None))
    analyze = arguments(given.pop("analyze_sequences", None))
    if trains and not train:
        raise RnalmError(f"{path}: ops has train, but there is no train_model")
    if "sampler" in given:
        read_sampler(given.pop("sampler"), train, evaluate, found, path)
        if not trains:
            keep_test(found)
    model = _network(given.pop("model"), found, path)
    rate = given.pop("lr", None)
    if trains:
        found.settings["model"] = model
        _train(train, rate, found)
    else:
        _folder(model, evaluate or analyze, found)
    if evaluate or trains:
        _evaluate(evaluate, found)
    if "analyze" in ops:
        _analyze(given, analyze, found)
    comment(given, "", "output", found)
    return found


def _network(given: Any, found: Imported, path: str | Path) -> dict[str, Any]:
    """Name the network: a file, the class in it, and what it is made with."""
    own = arguments(given)
    for key in ("path", "class"):
        if key not in own:
            raise RnalmError(f"{path}: model.{key} is missing")
    model = {"name": "file", "path": own.pop("path"), "class": own.pop("class"), "args": own.pop("class_args", {}) or {}}
    if strands := own.pop("non_strand_specific", None):
        model["strands"] = strands
    comment(own, "model.", "model", found)
    return model


def _train(own: dict, rate: Any, found: Imported) -> None:
    """Say how long to train, and with what."""
    finetune: dict[str, Any] = {"batch_size": own.pop("batch_size", 64)}
    steps, report = own.pop("max_steps", None), own.pop("report_stats_every_n_steps", None)
    save = own.pop("save_checkpoint_every_n_steps", 1000)
    if steps and report:
        rounded = max(1, -(-steps // report)) * report
        finetune |= {"max_steps": rounded, "report_every": report}
        if rounded != steps:
            found.note("finetune", f"max_steps: {steps} there; here a multiple of report_every")
        if save and report % save == 0:
            finetune["save_every"] = save
        elif save:
            found.note("finetune", f"train_model.save_checkpoint_every_n_steps: {save} – here a divisor of report_every")
    if rate is not None:
        finetune["learning_rate"] = rate
    finetune |= {"patience": None, "gpus": int(bool(own.pop("use_cuda", False)))}
    if resume := own.pop("checkpoint_resume", None):
        found.settings["model"]["weights"] = resume
    if rate is None:
        found.note("finetune", "learning_rate: given on the command line there (--lr)")
    found.note(
        "finetune", "scheduler: there the rate falls by a fifth after 16 reports without improvement; here linear or cosine"
    )
    found.settings["finetune"] = finetune
    comment(own, "train_model.", "finetune", found)


def _folder(model: dict[str, Any], own: dict, found: Imported) -> None:
    """Name the folder of a trained network, and say how it is made of Selene's files."""
    folder, weights = f"{found.settings['output']}/network", own.pop("trained_model_path", None)
    found.settings["model"] = {"folders": [folder], "trust": True}
    arguments = yaml.safe_dump(model["args"], default_flow_style=True, width=10_000).strip()
    strands = f" --strands {model['strands']}" if "strands" in model else ""
    length = own.get("sequence_length") or model["args"].get("sequence_length")
    taken = f" --length {length}" if length else ""
    classes = file_of(own.get("features")) or "CLASSES"
    found.note("", "First make the folder of the network, which runs its code:")
    found.note(
        "",
        f"  rnalm import network {model['path']} --class {model['class']} --args '{arguments}'{strands}{taken} "
        f"--weights {weights} --classes {classes} --output {folder}",
    )


def _evaluate(own: dict, found: Imported) -> None:
    """Say which classes are evaluated, and how many positives are enough."""
    evaluate: dict[str, Any] = {}
    if ordered := file_of(own.pop("use_features_ord", None)):
        evaluate["classes"] = ordered
    if (least := own.pop("report_gt_feature_n_positives", None)) is not None:
        evaluate["min_positives"] = least
    if evaluate:
        found.settings["evaluate"] = evaluate
    if "n_test_samples" in own:
        found.note("evaluate", f"evaluate_model.n_test_samples: {own.pop('n_test_samples')} – all test rows are evaluated")
    _passes(own, found)
    own.pop("features", None)
    if weights := own.pop("trained_model_path", None):
        found.note("evaluate", f"evaluate_model.trained_model_path: {weights} – the model that is trained here is evaluated")
    comment(own, "evaluate_model.", "evaluate", found)


def _passes(own: dict, found: Imported) -> None:
    """Say how much is predicted at once, and where."""
    size, cuda = own.pop("batch_size", None), own.pop("use_cuda", None)
    if size:
        found.note("predict", f"batch_size: {size} – `predict.batch_tokens` bounds the letters of a batch")
    if cuda is not None and "finetune" not in found.settings:
        found.settings["finetune"] = {"gpus": int(bool(cuda))}


def _analyze(given: dict, own: dict, found: Imported) -> None:
    """Say what is predicted and explained with a trained network."""
    length = own.pop("sequence_length", None)
    genome = file_of(own.pop("reference_sequence", None))
    _passes(own, found)
    for key in ("features", "trained_model_path"):
        own.pop(key, None)
    comment(own, "analyze_sequences.", "model", found)
    asked = {key: arguments(given.pop(key)) for key in _ANALYSES if key in given}
    for key, options in asked.items():
        _ANALYSES[key](options, genome, length, found)
        comment(options, f"{key}.", "source", found)


def _formats(own: dict) -> list[str]:
    """Say in which format Selene's files are written: text, where nothing is said."""
    return [kind] if (kind := str(own.pop("output_format", None) or "tsv")) in ENDS else []


def _predict(own: dict, genome: Any, length: Any, found: Imported) -> None:
    """Name the sequences that are predicted."""
    found.settings["predict"] = {"formats": _formats(own)}
    path = own.pop("input_path", None)
    if str(path).endswith((".bed", ".bed.gz")):
        strand = {"strand": "+"}
        if own.get("strand_index") is not None:
            strand = {}
            found.note("source", f"prediction.strand_index: {own.pop('strand_index')} – strands stand in the sixth column")
        regions = {"genome": genome, "sample": {"method": "regions", "path": path}, "length": length}
        _ask("prediction", regions | strand | {"max_unknown": 1.0}, found)
    else:
        _ask("prediction", {"path": [path]}, found)
        _of_one_length(length, found)


def _mutate(own: dict, genome: Any, length: Any, found: Imported) -> None:
    """Exchange each letter for each other one, so many at a time, in a region."""
    given = {"bases": own.pop("mutate_n_bases", None), "start": own.pop("start_position", None)}
    given["end"] = own.pop("end_position", None)
    # There None is written as a word, too.
    asked = {key: value for key, value in given.items() if value not in (None, "None")}
    formats = ["hdf5" if kind == "hdf5" else "selene" for kind in _formats(own)]
    found.settings["interpret"] = {"modes": ["mutate"], "mutate": asked, "explain": "all", "formats": formats}
    told = own.pop("save_data", None) or ["abs_diffs"]
    if told == ["logits"]:
        found.settings["interpret"]["scale"] = "logit"
    else:
        every = "differences, their sizes, logits and predictions are all written"
        found.note("interpret", f"in_silico_mutagenesis.save_data: {shown(told)} – {every}")
    path = own.pop("input_path", None) or own.pop("fa_files", None)
    text = own.pop("sequence", None) or own.pop("input_sequence", None)
    if text:
        found.note("source", f"in_silico_mutagenesis.sequence: {text} – put it into a FASTA file, and name that")
    _ask("mutagenesis", {"path": path if isinstance(path, list) else [path or "sequence.fa"]}, found)
    _of_one_length(length, found)


def _ask(name: str, source: dict[str, Any], found: Imported) -> None:
    """Name sequences that a network is asked about: beside those of a sampler or another analysis, they are further ones."""
    if "source" in found.settings:
        found.settings.setdefault("inference", {})[name] = source
    else:
        found.settings["source"] = source


def _of_one_length(length: Any, found: Imported) -> None:
    """Cut long sequences to their middle; short ones the network fills up, whose folder remembers its length."""
    if length is not None and "folders" in found.settings["model"]:
        found.settings["encode"] = {"block_size": length, "truncate": "both"}
    told = "shorter sequences are filled up with unknown letters, as there, and counted"
    found.note("source", f"analyze_sequences.sequence_length: {length} – {told}")


def _variants(own: dict, genome: Any, length: Any, found: Imported) -> None:
    """Name the files of variants, and what is told of their alleles."""
    files = own.pop("vcf_files", None) or [own.pop("vcf_file", None) or "variants.vcf"]
    cohort: dict[str, Any] = {"path": files if isinstance(files, list) else [files], "genome": genome, "length": length}
    told = [name for name in own.pop("save_data", None) or ["abs_diffs"] if name in SCORES]
    cohort["scores"] = told or ["diffs"]
    if (strand := own.pop("strand_index", None)) is not None:
        cohort["strand_column"] = strand
    if own.pop("require_strand", False):
        cohort["require_strand"] = True
    cohort["formats"] = ["parquet", *_formats(own)]
    found.settings["variants"] = {"variants": cohort}


#: What is done with a trained network.
_ANALYSES: dict[str, Callable[[dict, Any, Any, Imported], None]] = {
    "prediction": _predict,
    "in_silico_mutagenesis": _mutate,
    "variant_effect_prediction": _variants,
}
