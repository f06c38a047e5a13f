"""Selene's samplers ─► our sources."""

from pathlib import Path
from typing import Any

from rnalm.config.importers.imported import Imported, Tagged, arguments, comment, file_of, shown
from rnalm.errors import RnalmError

#: More windows than this are not drawn in advance.
MOST_WINDOWS = 2_000_000
#: What Selene takes where nothing is said.
HOLDOUTS = {"validation_holdout": ["chr6", "chr7"], "test_holdout": ["chr8", "chr9"]}
SAMPLES = {"n_validation_samples": 32_000, "n_test_samples": 640_000}


def read_sampler(given: Any, train: dict, evaluate: dict, found: Imported, path: str | Path) -> None:
    """Say where windows come from, and which of them train.

    Parameters
    ----------
    given : Any
        The section ``sampler``, as it was read.
    train, evaluate : dict
        Arguments of training and evaluation; what belongs to the windows is taken from them.
    found : Imported
        Takes source and folds.
    path : path
        The file, for messages.

    Raises
    ------
    RnalmError
        If it is none that is known.
    """
    if not isinstance(given, Tagged):
        raise RnalmError(f"{path}: sampler is {shown(given)}, expected one of Selene's: !obj:selene_sdk.samplers.…")
    kind, own = given.name.rsplit(".", 1)[-1], dict(given.arguments)
    classes = file_of(own.get("features") or evaluate.get("features"))
    if kind in ("RandomPositionsSampler", "IntervalsSampler"):
        own.pop("features", None)
        if not train:  # all windows are tested
            train = {"max_steps": 0, "n_validation_samples": 0, "n_test_samples": evaluate.pop("n_test_samples", None)}
        found.settings["source"] = _online(kind, own, classes, train, found)
        comment(own, "sampler.", "source", found)
    elif kind == "MultiFileSampler":
        own.pop("features", None)
        names = {"train_sampler": "train", "validate_sampler": "validation", "test_sampler": "test"}
        parts = {ours: _saved(own.pop(key), classes, found, path) for key, ours in names.items() if own.get(key)}
        found.settings["source"] = {"parts": parts}
        for key in SAMPLES:
            if key in train:
                found.note("source", f"train_model.{key}: {train.pop(key)} – all rows of the file are taken")
        comment(own, "sampler.", "source", found)
    else:
        found.settings["source"] = _saved(given, classes, found, path)


def _online(kind: str, own: dict, classes: Any, train: dict, found: Imported) -> dict[str, Any]:
    """Say which windows of a genome are drawn, in advance: Selene draws them as it trains."""
    genome = arguments(own.pop("reference_sequence", None))
    source: dict[str, Any] = {"genome": genome.pop("input_path", None)}
    blacklist = genome.pop("blacklist_regions", None)
    if blacklist:
        source["blacklist"] = f"{blacklist}.blacklist.bed"
        found.note("source", f"blacklist: a BED file of the {blacklist} blacklist, which Selene brings along; put it there")
    source["features"] = {"path": own.pop("target_path", None), "classes": classes, **_thresholds(own)}
    asked = {key: train.pop(key, None) for key in SAMPLES}
    held = sum(usual if asked[key] is None else asked[key] for key, usual in SAMPLES.items())
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
    drawn = f"{steps} steps of {size} windows there, drawn as it trains, and {held} that are held out"
    once = "Here windows are drawn once, over all contigs, and passed through again; a few hundred thousand are mostly enough."
    found.note("source", f"sample.n: {drawn}. {once}" if steps else f"sample.n: {held} windows are tested there")
    _holdouts(own, found)
    comment(genome, "sampler.reference_sequence.", "source", found)
    return source


def _thresholds(own: dict) -> dict[str, Any]:
    """Say how much of a bin must be covered."""
    given = own.pop("feature_thresholds", None)
    given = 0.5 if given is None else given
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
    kind, own = (given.name.rsplit(".", 1)[-1] if isinstance(given, Tagged) else ""), arguments(given)
    if kind == "MatFileSampler":
        keys = ("sequence_key", "targets_key", "sequence_batch_axis", "sequence_alphabet_axis", "targets_batch_axis")
        source = {"matrix": own.pop("filepath", None)} | {key: own.pop(key) for key in keys if key in own}
        source |= {"classes": classes} if classes and source.get("targets_key") else {}
    elif kind == "BedFileSampler":
        source = {"genome": file_of(own.pop("reference_sequence", None)), "sample": {"method": "regions"}}
        source["sample"]["path"] = own.pop("filepath", None)
        length = own.pop("sequence_length", None)
        source |= {"length": length} if length else {}
        if own.pop("targets_avail", False):
            source["features"] = {"classes": classes}
    else:
        raise RnalmError(f"{path}: sampler is {kind or shown(given)}, which is not known; expected one that Selene documents")
    comment(own, "sampler.", "source", found)
    return source


def keep_test(found: Imported) -> None:
    """Take only what tests, where nothing is trained.

    Parameters
    ----------
    found : Imported
        With a source.
    """
    source, folds = found.settings["source"], found.settings.pop("folds", {})
    if "parts" in source:
        found.settings["source"] = source["parts"].get("test") or source["parts"]["validation"]
    elif isinstance(folds.get("test"), list) and folds["test"]:
        source["contigs"] = {"include": folds["test"]}
    elif folds:
        found.note("source", "a share of the windows tested there; here all are evaluated")
