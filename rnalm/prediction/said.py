"""A verdict in numbers ─► sentences."""

from collections.abc import Mapping
from typing import Any

from rnalm.labels.certainty import DRAWS

#: What pages say whose scores are of models that know nothing.
BANNER = "No better than chance: do not read the letters."

#: How metrics are written in a text.
NAMES = {"r2": "r²", "pearson": "Pearson’s r", "roc_auc": "area under the ROC curve"}


def sentences(verdict: Mapping[str, Any], encoded: Mapping[str, Any]) -> list[str]:
    """Say how good predictions are, whether scores may be read, and what was left out or unknown.

    Parameters
    ----------
    verdict : mapping
        From :func:`rnalm.prediction.verdict.judge`.
    encoded : mapping
        What was found when the sequences were encoded (see :func:`rnalm.tokens.encode.metadata`).

    Returns
    -------
    list of str
        One sentence, or a few, on each.
    """
    if not verdict["rows"]:
        return ["No sequence has a label: nothing is known of how good the models are.", left_out(encoded)]
    return [_how_good(verdict), _readable(verdict), left_out(encoded)]


def left_out(encoded: Mapping[str, Any]) -> str:
    """Say what of a source was left out, cut or not known.

    Parameters
    ----------
    encoded : mapping
        As for :func:`sentences`.
    """
    found = encoded["sequences"] + encoded["dropped"]
    without = encoded["sequences"] - encoded["labelled"] if encoded["labelled"] else 0
    told = [
        f"{encoded['dropped']:,} without a label were left out" * bool(encoded["dropped"]),
        f"{without:,} have no label" * bool(without),
        f"{encoded['truncated']:,} were cut to {encoded['block_size']:,} tokens" * bool(encoded["truncated"]),
        f"{_percent(encoded['unknown'] / encoded['tokens'])} of tokens are not in the vocabulary" * bool(encoded["unknown"]),
    ]
    if not (told := [what for what in told if what]):
        return f"Of {found:,} sequences none was left out or cut, and all tokens are in the vocabulary."
    *most, last = told
    return f"Of {found:,} sequences, {', '.join(most)}{' and ' * bool(most)}{last}."


def _how_good(verdict: Mapping[str, Any]) -> str:
    """Say how good predictions are, against chance and the baseline."""
    who = "that no model had seen in training" if verdict["held_out"] else "with labels, which given models may have seen"
    numbers = verdict["metric"] == "r2"
    kind = ("targets" if numbers else "classes") if verdict["outputs"] > 1 else ""
    of = f", on average over {verdict['outputs']:,} {kind}" if kind else ""
    beginning = f"On {verdict['rows']:,} sequences {who}, predictions "
    if verdict["value"] != verdict["value"]:  # it is not defined
        return f"{beginning}cannot be held against labels: these do not differ."
    if numbers:
        what = "logarithms of labels" if verdict["logarithms"] else "labels"
        share = (
            f"explain {_percent(verdict['value'])}"
            if verdict["value"] > 0
            else f"explain nothing (r² {_two(verdict['value'])})"
        )
        text = f"{beginning}{share} of the variation of {what}{of}{_spread(verdict, _percent)}; chance explains none"
        write, unit = _percent, " of it"
    else:
        text = f"{beginning}tell classes apart with an area under the ROC curve of {_two(verdict['value'])}{of}"
        text += f"{_spread(verdict, _two)}; by chance it is 0.50"
        write, unit = _two, ""
    if beside := verdict["baseline"]:
        share = "nothing" if numbers and beside["value"] <= 0 else f"{write(beside['value'])}{unit}"
        text += f", and the baseline {'explains' if numbers else 'has'} {share}: {_beside(beside, write, verdict['stacked'])}"
    return f"{text}."


def _spread(verdict: Mapping[str, Any], write: Any) -> str:
    """Say how sure a value is."""
    if verdict["interval"] is None:
        return ""
    low, high = map(write, verdict["interval"])
    kind = "groups" if verdict["grouped"] else "sequences"
    sampled = f", {verdict['sampled']:,} rows of them" if verdict["sampled"] else ""
    return f" (95 % interval {low} to {high}, from resampling {verdict['groups']:,} {kind}{sampled})"


def _beside(beside: Mapping[str, Any], write: Any, stacked: bool) -> str:
    """Say whether models, or these and baselines together, are better than baselines, and by how much."""
    if beside["interval"] is None:
        return "the difference cannot be told"
    low, high = beside["interval"]
    who = "models and baseline together" if stacked else "the models"
    which = f"{who} are better" if low > 0 else f"{who} are worse" if high < 0 else "which of both is better is not sure"
    hint = "; `model.wide` and `ensemble: stack` build on it" if high < 0 and not stacked else ""
    return f"{which} (difference {write(beside['difference'])}, {write(low)} to {write(high)}){hint}"


def _readable(verdict: Mapping[str, Any]) -> str:
    """Say whether scores may be read, and why."""
    tested = verdict["tested"]
    count = round(tested["p"] * (DRAWS + 1)) - 1
    whose = "of the models alone " if verdict["stacked"] else ""
    tries = f"labels in random order came as close to the predictions {whose}in {count or 'none'} of {DRAWS:,} tries"
    tries += f" (p = {tested['p']:.3f})"
    ends = tested["interval"]
    if ends is None:
        return f"{BANNER} All predictions are the same, or all labels."
    holds = f"the 95 % interval of {NAMES[tested['metric']]} goes from {_two(ends[0])} to {_two(ends[1])}"
    why = f"{tries}, and {holds}; chance is {tested['chance']:g}."
    return f"Scores may be read: {why}" if verdict["readable"] else f"{BANNER} {why[0].upper()}{why[1:]}"


def _percent(share: float) -> str:
    """Write a share; small ones with two digits."""
    places = 0 if abs(share) >= 0.0995 or share == 0 else 1 if abs(share) >= 0.00995 else 2
    return f"{100 * share:.{places}f} %".replace("-", "−")


def _two(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
