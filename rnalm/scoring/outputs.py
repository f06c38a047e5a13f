"""Stretches of letters and windows of them ─► what each of several models puts out for the windows."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rnalm.config.variants import OnTranscripts
from rnalm.errors import RnalmError
from rnalm.models.framed import limit
from rnalm.prediction.panel import Panel
from rnalm.scoring.edits import NOWHERE
from rnalm.scoring.explain import averages_strands
from rnalm.scoring.layout import Stretch
from rnalm.scoring.scorers.stretches import Joined, StretchScorer, WholeScorer
from rnalm.scoring.views import Marks
from rnalm.sequences.edited import Window
from rnalm.sequences.records import Record
from rnalm.sequences.strands import is_nucleic, is_rna
from rnalm.sequences.transcripts import Transcript
from rnalm.tokens import encode
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.tokenize import RecordTokenizer, kept_range
from rnalm.tokens.tokenizer import is_atomic


class Outputs:
    """Computes the raw outputs of models for windows of stretches, each window once however often it is asked for.

    Parameters
    ----------
    panel : Panel
        The models.
    length : int or None
        Letters of a window that is not edited; None: as many as a transcript has.
    scorer : {'auto', 'naive', 'incremental'}
        ``incremental``: compute once what windows share; ``naive``: run models on each; ``auto``: the first where a model
        says how.
    transcripts : tuple, optional
        How transcripts are marked, and transcripts by what they are called, where windows are of these.

    Raises
    ------
    RnalmError
        If models see less than a window, or are to be scored incrementally and cannot be.
    """

    def __init__(
        self,
        panel: Panel,
        length: int | None,
        scorer: str = "auto",
        transcripts: tuple[OnTranscripts, dict[str, Transcript]] | None = None,
    ) -> None:
        self.panel, self.length = panel, length
        self.tokenize = RecordTokenizer(panel.tokenizer, encode.uncut(panel.options))
        letters = [letter for letter in self.tokenize.letters if is_nucleic(letter)]
        self.rna, self.small = is_rna(letters), all(letter == letter.lower() for letter in letters)
        self.atomic = is_atomic(panel.tokenizer)
        if self.atomic and length is not None and length > panel.options.block_size:
            raise too_long(panel.options.block_size, length, "bases", length)
        models = [predictor.model for predictor in panel.predictors]
        local = self.atomic and all(hasattr(model, "local") for model in models)
        if scorer == "incremental" and not local:
            found = models[0].config.model_type if self.atomic else "a model of tokens of several letters"
            raise RnalmError(
                f"variants: scorer: incremental needs a local architecture of single letters, which {found} is not; "
                "expected naive or auto"
            )
        kind = StretchScorer if local and scorer != "naive" else WholeScorer
        self.scorers = [kind(model, own.batch_tokens) for model, own in zip(models, panel.predictors, strict=True)]
        self.marks = None if transcripts is None else self._marks(*transcripts)
        self.most = min((most for model in models if (most := limit(model.config)) is not None), default=None)
        if self.atomic and length is not None and self.most is not None and length > self.most:
            raise too_long(self.most, length, "bases", length)

    def _marks(self, options: OnTranscripts, transcripts: dict[str, Transcript]) -> Marks:
        """Prepare to mark transcripts, and refuse models that take them otherwise."""
        if not self.atomic or self.tokenize.both_strands or self.tokenize.center is not None:
            raise RnalmError(
                "variants: transcripts are for models of single letters, which read one strand and no center token "
                "(encode.center_token)"
            )
        for predictor in self.panel.predictors:
            channels = getattr(predictor.model.config, "modifier_channels", 0)
            if channels != len(options.modifiers):
                told = f"the models take {channels} modifiers, found {len(options.modifiers)}"
                raise RnalmError(f"variants: transcripts.modifiers: {told}; expected what each of them is")
        return Marks(options, transcripts, self.panel.tokenizer, self.rna)

    def nothing(self, count: int) -> list[np.ndarray]:
        """Make room for the outputs of each model for so many windows: float32 ``(windows, outputs)``.

        Parameters
        ----------
        count : int
            How many windows.
        """
        sizes = [predictor.model.config.num_labels or 1 for predictor in self.panel.predictors]
        return [np.empty((count, size), dtype=np.float32) for size in sizes]

    def __call__(self, stretch: Stretch) -> list[np.ndarray]:
        """Compute the outputs of each model for the windows of a stretch: float32 ``(windows, outputs)``.

        Parameters
        ----------
        stretch : Stretch
            A text, and windows of it.

        Raises
        ------
        RnalmError
            If models see less than a window, know none of its letters, or give no finite number.
        """
        number: dict[Window, int] = {}
        place = [number.setdefault(own, len(number)) for own in stretch.windows]
        outputs = self._of_letters(stretch, list(number)) if self.atomic else self._of_texts(stretch, list(number))
        if wrong := sum(int((~np.isfinite(own).all(axis=1)).sum()) for own in outputs):
            hint = "its training diverged; lower finetune.learning_rate"
            raise RnalmError(f"variants: a model gives no finite output for {wrong} windows: {hint}")
        return [own[place] for own in outputs]

    def _of_letters(self, stretch: Stretch, windows: list[Window]) -> list[np.ndarray]:
        """Compute outputs where each letter is a token."""
        encoded, made = (self._marked if self.marks else self._plain)(stretch, windows)
        self._check_known(encoded.input_ids, stretch.text)
        twin = None
        found = []
        for predictor, own, score in zip(self.panel.predictors, self.panel.labels, self.scorers, strict=True):
            outputs = score(encoded, made)
            if averages_strands(predictor.model):
                twin = twin or self._joined([window.turned(len(stretch.text)) for window in self._cut(windows)])
                outputs = own.average([outputs, score(encoded.twin(), twin)])
            found.append(outputs)
        return found

    def _plain(self, stretch: Stretch, windows: Sequence[Window]) -> tuple[Encoded, Joined]:
        """Write a stretch of a genome as tokens, and its windows."""
        tokens = self.tokenize(Record("a stretch", "", self._written(stretch.text), None, None, None, None, None))
        encoded = Encoded(0, "a stretch", tokens.input_ids, None, None, 1.0, None, tokens.reverse_ids)
        return encoded, self._joined(windows)

    def _marked(self, stretch: Stretch, windows: Sequence[Window]) -> tuple[Encoded, Joined]:
        """Write transcripts as tokens, with their marks; what comes has those of what it replaces."""
        assert self.marks is not None, "there are transcripts"
        kinds, made = self.marks.kinds(stretch.parts), self._joined(windows)
        ids = self.marks.tokens(stretch.text, kinds).astype(np.int32)
        encoded = Encoded(0, "a stretch", ids, self.marks.modifiers(kinds), None, 1.0, None)
        comes = "".join(window.comes for window in (self._cut(windows)))
        kept = np.where(made.keep == NOWHERE, 0, kinds[made.keep])
        return encoded, replace(made, token=self.marks.tokens(comes, kept))

    def _cut(self, windows: Sequence[Window]) -> Sequence[Window]:
        """Cut off what an edit pushes beyond those tokens that the models take, at the end at which sequences are cut."""
        if self.most is None:
            return windows
        truncate = self.panel.options.truncate
        return [window.part(*kept_range(range(window.length), self.most, truncate)) for window in windows]

    def _joined(self, windows: Sequence[Window]) -> Joined:
        """Write windows as tokens."""
        return Joined.of(self._cut(windows), lambda letters: self.tokenize.to_ids(self._written(letters))[0])

    def _of_texts(self, stretch: Stretch, windows: list[Window]) -> list[np.ndarray]:
        """Compute outputs where tokens are of several letters, or of another number in each window."""
        read: Callable[[int, int], str] = lambda first, after: stretch.text[first:after]  # noqa: E731
        return self.panel.outputs([self._encode(window.text(read)) for window in windows])

    def _encode(self, text: str) -> Encoded:
        """Encode a window."""
        _, tokens, encoded = self.panel.encode(Record("a window", "", self._written(text), None, None, None, None, None))
        # What an edit pushes beyond what the models see is cut off.
        if len(tokens.input_ids) < tokens.total and len(text) <= (self.length or 0):
            raise too_long(len(tokens.input_ids), tokens.total, "tokens", len(text))
        self._check_known(tokens.input_ids, text)
        return encoded

    def _written(self, text: str) -> str:
        """Write DNA with the letters that the models know."""
        text = text.replace("T", "U") if self.rna else text
        return text.lower() if self.small else text

    def _check_known(self, ids: np.ndarray, text: str) -> None:
        """Refuse models that know none of the letters."""
        if text.strip("N") and np.all(ids == self.tokenize.unknown):
            raise RnalmError("variants: the models know none of the letters of a window; expected models of DNA or RNA")


def too_long(seen: int, total: int, what: str, length: int) -> RnalmError:
    """Make the error about windows that models do not see whole.

    Parameters
    ----------
    seen, total : int
        How much of how much they see.
    what : str
        Of what.
    length : int
        Letters of a window.
    """
    problem = f"the models see {seen} of the {total} {what} of a window of {length} (encode.block_size)"
    return RnalmError(f"variants: length: {problem}")
