"""Configurations of Selene ─► ours, with a comment at each key that has no equal; nothing that they name is run.

Selene's words: https://selene.flatironinstitute.org/master/overview/cli.html
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import Any

import yaml

from rnalm.errors import RnalmError

#: More windows than this are not drawn in advance.
MOST_WINDOWS = 2_000_000
#: Letters of a comment's line.
WIDTH = 116
#: In which sections stand.
ORDER = ("output", "seed", "task", "source", "folds", "model", "finetune", "evaluate", "interpret")
#: What Selene takes where nothing is said.
HOLDOUTS = {"validation_holdout": ["chr6", "chr7"], "test_holdout": ["chr8", "chr9"]}
SAMPLES = {"n_validation_samples": 32_000, "n_test_samples": 640_000}

#: Why keys have no equal, by section and key; ``*``: in any section.
WITHOUT_EQUAL = {
    "create_subdirectory": "`output` is the folder; an experiment that changes runs again where it changed",
    "load_test_set": "windows are drawn once, before training, and stand in OUTPUT/encoded",
    "mode": "each window has its part from the folds",
    "save_datasets": "all windows with their labels stand in OUTPUT/encoded/source.parquet",
    "cpu_n_threads": "cores are given to Snakemake: --cores",
    "data_parallel": "`finetune.gpus` is the number of GPUs that train together",
    "logging_verbosity": "logs stand in OUTPUT/logs",
    "metrics": "ROC AUC, average precision and more are always computed, of each class and as means",
    "save_new_checkpoints_after_n_steps": "the newest checkpoint and the best one are kept",
    "checkpoint_resume": "an interrupted training goes on by itself",
    "write_mem_limit": "predictions are written as they come",
    "n_features": "the classes are counted",
    "n_samples": "all rows of the file are taken",
    "random_seed": "rows are shuffled by `seed`",
    "shuffle": "training rows are shuffled in each pass, by `seed`",
    "output_format": "predictions are Parquet and CSV",
    "output_dir": "everything stands under `output`",
    "output_path_prefix": "everything stands under `output`",
    "use_sequence_name": "scores have the name of their sequence",
    "save_data": "predictions, and differences of probabilities or (`interpret.scale: logit`) logits",
}


class _Loader(yaml.SafeLoader):
    """Reads Selene's tags as names."""


@dataclass
class Tagged:
    """What a tag would make: its name, and the arguments."""

    name: str
    arguments: dict[str, Any]


def _construct(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    """Keep what a tag says, without running it."""
    if isinstance(node, yaml.MappingNode):
        arguments = {str(key): value for key, value in loader.construct_mapping(node, deep=True).items()}
        return Tagged(suffix.lstrip(": "), arguments)
    return Tagged(suffix.lstrip(": ") or str(node.value), {})


for _tag in ("!obj", "!import"):
    _Loader.add_multi_constructor(_tag, _construct)


@dataclass
class Imported:
    """A configuration of ours in the making.

    Attributes
    ----------
    settings : dict
        The sections, in the order in which they are written.
    notes : dict of str to list
        Comments, by section.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def note(self, section: str, text: str) -> None:
        """Add a comment to a section.

        Parameters
        ----------
        section : str
            Its key; ``""``: the head of the file.
        text : str
            What to say.
        """
        self.notes.setdefault(section, []).append(text)

    def text(self) -> str:
        """Write the configuration, as YAML."""
        lines = [f"# {text}" for text in self.notes.get("", [])]
        for key in dict.fromkeys([*(key for key in ORDER if key in self.settings), *self.settings, *filter(None, self.notes)]):
            own = self.settings.get(key)
            if own is not None:
                lines.append(yaml.safe_dump({key: own}, sort_keys=False, allow_unicode=True, width=120).rstrip())
            indent = "  " if isinstance(own, dict) else ""
            lines += [f"{indent}# {line}" for text in self.notes.get(key, []) for line in wrap(text, WIDTH)]
        return "\n".join(lines) + "\n"


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
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise RnalmError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RnalmError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from None
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
    train = _arguments(given.pop("train_model", None))
    evaluate = _arguments(given.pop("evaluate_model", None))
    analyze = _arguments(given.pop("analyze_sequences", None))
    if trains and not train:
        raise RnalmError(f"{path}: ops has train, but there is no train_model")
    if "sampler" in given:
        _sampler(given.pop("sampler"), train, evaluate, found, path)
        if not trains:
            _keep_test(found)
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
    _rest(given, "", "output", found)
    return found


def _keep_test(found: Imported) -> None:
    """Take only what tests, where nothing is trained."""
    source, folds = found.settings["source"], found.settings.pop("folds", {})
    if "parts" in source:
        found.settings["source"] = source["parts"].get("test") or source["parts"]["validation"]
    elif isinstance(folds.get("test"), list) and folds["test"]:
        source["contigs"] = {"include": folds["test"]}
    elif folds:
        found.note("source", "a share of the windows tested there; here all are evaluated")


def _arguments(value: Any) -> dict[str, Any]:
    """Give what stands behind a tag, or without one."""
    return dict(value.arguments) if isinstance(value, Tagged) else dict(value or {})


def _shown(value: Any) -> str:
    """Write a value as it stands there."""
    if isinstance(value, Tagged):
        return value.name
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shown(inner)}" for key, inner in value.items()) + "}"
    return str(value)


def _rest(given: dict[str, Any], where: str, section: str, found: Imported) -> None:
    """Comment on every key that is left."""
    for key, value in given.items():
        why = WITHOUT_EQUAL.get(key, "not known here")
        found.note(section, f"{where}{key}: {_shown(value)} – {why}")


def _file(value: Any) -> Any:
    """Give the file, or the list, behind ``load_features_list`` or ``Genome``."""
    return _arguments(value).get("input_path") if isinstance(value, Tagged) else value


def _network(given: Any, found: Imported, path: str | Path) -> dict[str, Any]:
    """Name the network: a file, the class in it, and what it is made with."""
    own = _arguments(given)
    for key in ("path", "class"):
        if key not in own:
            raise RnalmError(f"{path}: model.{key} is missing")
    model = {"name": "file", "path": own.pop("path"), "class": own.pop("class"), "args": own.pop("class_args", {}) or {}}
    if strands := own.pop("non_strand_specific", None):
        model["strands"] = strands
    _rest(own, "model.", "model", found)
    return model


def _sampler(given: Any, train: dict, evaluate: dict, found: Imported, path: str | Path) -> None:
    """Say where windows come from, and which of them train."""
    if not isinstance(given, Tagged):
        raise RnalmError(f"{path}: sampler is {_shown(given)}, expected one of Selene's: !obj:selene_sdk.samplers.…")
    kind, own = given.name.rsplit(".", 1)[-1], dict(given.arguments)
    classes = _file(own.get("features") or evaluate.get("features"))
    if kind in ("RandomPositionsSampler", "IntervalsSampler"):
        own.pop("features", None)
        found.settings["source"] = _online(kind, own, classes, train, found)
        _rest(own, "sampler.", "source", found)
    elif kind == "MultiFileSampler":
        own.pop("features", None)
        names = {"train_sampler": "train", "validate_sampler": "validation", "test_sampler": "test"}
        parts = {ours: _saved(own.pop(key), classes, found, path) for key, ours in names.items() if own.get(key)}
        found.settings["source"] = {"parts": parts}
        for key in SAMPLES:
            if key in train:
                found.note("source", f"train_model.{key}: {train.pop(key)} – all rows of the file are taken")
        _rest(own, "sampler.", "source", found)
    else:
        found.settings["source"] = _saved(given, classes, found, path)


def _online(kind: str, own: dict, classes: Any, train: dict, found: Imported) -> dict[str, Any]:
    """Say which windows of a genome are drawn, in advance: Selene draws them as it trains."""
    genome = _arguments(own.pop("reference_sequence", None))
    source: dict[str, Any] = {"genome": genome.pop("input_path", None)}
    blacklist = genome.pop("blacklist_regions", None)
    if blacklist:
        source["blacklist"] = f"{blacklist}.blacklist.bed"
        found.note("source", f"blacklist: a BED file of the {blacklist} blacklist, which Selene brings along; put it there")
    source["features"] = {"path": own.pop("target_path", None), "classes": classes, **_thresholds(own)}
    held = sum(train.pop(key, usual) or usual for key, usual in SAMPLES.items())
    steps, size = train.get("max_steps", 0), train.get("batch_size", 64)
    n = min(steps * size + held, MOST_WINDOWS) or held
    if kind == "IntervalsSampler":
        source["sample"] = {"method": "intervals", "path": own.pop("intervals_path", None), "n": n}
        source["sample"]["negatives"] = own.pop("sample_negative", False)
        source["max_unknown"] = 1.0
    else:
        source["sample"] = {"method": "random", "n": n}
    if "seed" in own:
        source["sample"]["seed"] = own.pop("seed")
    length, span = own.pop("sequence_length", 1000), own.pop("center_bin_to_predict", 200)
    source |= {"length": length, "bin": span, "strand": "random"}
    found.note(
        "source",
        f"sample.n: {steps} steps of {size} windows there, drawn as it trains, and {held} that are held out. Here windows are "
        "drawn once, over all contigs, and passed through again; more are seldom better than a few hundred thousand.",
    )
    _holdouts(own, found)
    _rest(genome, "sampler.reference_sequence.", "source", found)
    return source


def _thresholds(own: dict) -> dict[str, Any]:
    """Say how much of a bin must be covered."""
    given = own.pop("feature_thresholds", 0.5)
    if not isinstance(given, dict):
        return {"threshold": given}
    others = {name: value for name, value in given.items() if name != "default"}
    return {"threshold": given.get("default", 0.5)} | ({"thresholds": others} if others else {})


def _holdouts(own: dict, found: Imported) -> None:
    """Say which windows are held out: contigs, or shares."""
    validation, test = (own.pop(key, usual) for key, usual in HOLDOUTS.items())
    if isinstance(validation, float) or isinstance(test, float):
        shares = [round(100 * share) for share in (validation, test) if isinstance(share, float)]
        found.settings["folds"] = {"method": "ratio", "ratio": [100 - sum(shares), *shares]}
        return
    found.settings["folds"] = {"method": "column", "validation": list(validation or []), "test": list(test or [])}


def _saved(given: Any, classes: Any, found: Imported, path: str | Path) -> dict[str, Any]:
    """Name a file of windows or of matrices that were drawn before."""
    kind, own = (given.name.rsplit(".", 1)[-1] if isinstance(given, Tagged) else ""), _arguments(given)
    if kind == "MatFileSampler":
        keys = ("sequence_key", "targets_key", "sequence_batch_axis", "sequence_alphabet_axis", "targets_batch_axis")
        source = {"matrix": own.pop("filepath", None)} | {key: own.pop(key) for key in keys if key in own}
        source |= {"classes": classes} if classes and source.get("targets_key") else {}
    elif kind == "BedFileSampler":
        source = {"genome": _file(own.pop("reference_sequence", None)), "sample": {"method": "regions"}}
        source["sample"]["path"] = own.pop("filepath", None)
        length = own.pop("sequence_length", None)
        source |= {"length": length} if length else {}
        if own.pop("targets_avail", False):
            source["features"] = {"classes": classes}
    else:
        raise RnalmError(f"{path}: sampler is {kind or _shown(given)}, which is not known; expected one that Selene documents")
    _rest(own, "sampler.", "source", found)
    return source


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
    _rest(own, "train_model.", "finetune", found)


def _folder(model: dict[str, Any], own: dict, found: Imported) -> None:
    """Name the folder of a trained network, and say how it is made of Selene's files."""
    folder, weights = f"{found.settings['output']}/network", own.pop("trained_model_path", None)
    found.settings["model"] = {"folders": [folder], "trust": True}
    arguments = yaml.safe_dump(model["args"], default_flow_style=True, width=10_000).strip()
    strands = f" --strands {model['strands']}" if "strands" in model else ""
    classes = _file(own.get("features")) or "CLASSES"
    found.note("", "First make the folder of the network, which runs its code:")
    found.note(
        "",
        f"  rnalm import network {model['path']} --class {model['class']} --args '{arguments}'{strands} "
        f"--weights {weights} --classes {classes} --output {folder}",
    )


def _evaluate(own: dict, found: Imported) -> None:
    """Say which classes are evaluated, and how many positives are enough."""
    evaluate: dict[str, Any] = {}
    if ordered := _file(own.pop("use_features_ord", None)):
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
    _rest(own, "evaluate_model.", "evaluate", found)


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
    genome = _file(own.pop("reference_sequence", None))
    _passes(own, found)
    for key in ("features", "trained_model_path"):
        own.pop(key, None)
    _rest(own, "analyze_sequences.", "model", found)
    asked = {key: _arguments(given.pop(key)) for key in _ANALYSES if key in given}
    for key, options in asked.items():
        _ANALYSES[key](options, genome, length, found)
        _rest(options, f"{key}.", "source", found)


def _predict(own: dict, genome: Any, length: Any, found: Imported) -> None:
    """Name the sequences that are predicted."""
    path = own.pop("input_path", None)
    if str(path).endswith((".bed", ".bed.gz")):
        if "strand_index" in own:
            found.note("source", f"prediction.strand_index: {own.pop('strand_index')} – strands stand in the sixth column")
        found.settings["source"] = {"genome": genome, "sample": {"method": "regions", "path": path}, "length": length}
    else:
        found.settings["source"] = {"path": [path]}
        _of_one_length(length, found)


def _mutate(own: dict, genome: Any, length: Any, found: Imported) -> None:
    """Exchange each letter for each other one."""
    bases = {letter: [other for other in "ACGT" if other != letter] for letter in "ACGT"}
    found.settings["interpret"] = {"modes": ["replace"], "replacements": bases, "explain": "all"}
    count = own.pop("mutate_n_bases", 1)
    if count != 1:
        found.note("interpret", f"in_silico_mutagenesis.mutate_n_bases: {count} – one letter is exchanged at a time")
    for key in ("start_position", "end_position"):
        if key in own:
            found.note("interpret", f"in_silico_mutagenesis.{key}: {own.pop(key)} – all positions are scored")
    path = own.pop("input_path", None) or own.pop("fa_files", None)
    text = own.pop("sequence", None) or own.pop("input_sequence", None)
    if text:
        found.note("source", f"in_silico_mutagenesis.sequence: {text} – put it into a FASTA file, and name that")
    found.settings["source"] = {"path": path if isinstance(path, list) else [path or "sequence.fa"]}
    _of_one_length(length, found)


def _of_one_length(length: Any, found: Imported) -> None:
    found.note("source", f"analyze_sequences.sequence_length: {length} – sequences are taken as they are, not cut or padded")


def _variants(own: dict, genome: Any, length: Any, found: Imported) -> None:
    """Say that variants have no section yet."""
    for key in list(own):
        found.note("source", f"variant_effect_prediction.{key}: {_shown(own.pop(key))} – there is no section for variants yet")


#: What is done with a trained network.
_ANALYSES: dict[str, Callable[[dict, Any, Any, Imported], None]] = {
    "prediction": _predict,
    "in_silico_mutagenesis": _mutate,
    "variant_effect_prediction": _variants,
}
