"""What pages say of the scores of each mode: the one registry of its words and its sign."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """How the scores of a mode are told.

    Attributes
    ----------
    title : str
        Heading of what shows them.
    done : str
        What was done to each token, as a sentence.
    change : str
        The same as a clause of the report, with ``{0}`` for ``token`` or ``letter``.
    reading : str
        How to read a score, likewise.
    sense : {-1, 1}
        Sign by which ``loo`` becomes an effect, which is positive where a token speaks for what is explained: -1 where
        ``loo`` is the change on losing the token, 1 where it is the contribution.
    """

    title: str
    done: str
    change: str
    reading: str = (
        "A score (loo) is the prediction for the changed sequence minus that for the original: "
        "below 0, the {0} holds the prediction up; above 0, it holds it down. Pictures show the effect, −loo."
    )
    sense: int = -1


#: By mode, as the configuration and names of files have it; :data:`rnalm.scoring.modes.MODES` has what computes each.
MODES = {
    "remove": Mode(
        title="Leave-one-out: remove",
        done="Each token was deleted, and what stands right of it moved up.",
        change="each {0} is deleted, and what stands right of it moves up",
    ),
    "mask": Mode(
        title="Leave-one-out: mask",
        done="Each token was blanked.",
        change="each {0} is blanked",
    ),
    "replace": Mode(
        title="Leave-one-out: replace",
        done="Each token was exchanged for others; the mean over these is drawn.",
        change="each {0} is exchanged for others; the mean over its replacements is drawn",
    ),
    "mutate": Mode(
        title="In-silico mutagenesis",
        done="Letters were exchanged for every other one; the mean over all exchanges in which a position takes part is drawn.",
        change="letters are exchanged for every other one; the mean over all exchanges in which a position takes part is drawn",
    ),
    "integrated_gradients": Mode(
        title="Integrated gradients",
        done="Together, the contributions of all tokens make the difference from the score of a baseline.",
        change="what each token adds on the way from a sequence of [PAD] alone",
        reading=(
            "Scores of a sequence add up, but for the error of the numerical integral, to the difference of its prediction "
            "from that for [PAD] alone: above 0, the token raises the prediction; below 0, it lowers it. "
            "Pictures show the scores as they are."
        ),
        sense=1,
    ),
}
