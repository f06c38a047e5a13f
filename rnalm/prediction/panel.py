"""Model folders ─► models that predict the same of the same tokens, ready to be asked."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from rnalm.config import Encode, contract
from rnalm.errors import RnalmError
from rnalm.files import read_json
from rnalm.labels.labels import Labels, check_same
from rnalm.models import folder, registry
from rnalm.prediction.predict import Predictor
from rnalm.sequences.read import in_case
from rnalm.sequences.records import Record
from rnalm.tokens import encode
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.tokenize import RecordTokenizer, Tokens
from rnalm.tokens.tokenizer import load_tokenizer


class Panel:
    """Several models of one tokenizer and one set of outputs.

    Parameters
    ----------
    models : sequence of path
        Model folders.
    batch_tokens : int
        Tokens in one forward pass, at most.
    device : str or torch.device
        Where they run.
    trust : bool
        Whether to run code of a user's own, if the models hold some.
    filling : bool
        Whether sequences that are too short for a network of one length are filled up (:class:`Predictor`).

    Attributes
    ----------
    labels : list of Labels
        What the outputs of each model mean.
    tokenizer : tokenizers.Tokenizer
        That of all.
    options : Encode
        How the sequences were encoded with which they were trained.

    Raises
    ------
    RnalmError
        If they do not predict the same thing, or of other tokens.
    """

    def __init__(
        self,
        models: Sequence[str | Path],
        batch_tokens: int = 2**18,
        device: str | torch.device = "cpu",
        trust: bool = False,
        filling: bool = False,
    ) -> None:
        folders = [folder.check(model) for model in models]
        self.labels = [Labels.load(path / contract.LABELS) for path in folders]
        check_same(self.labels, folders)
        self.tokenizer = load_tokenizer(folders[0])
        for other in folders[1:]:
            if encode.fingerprint(load_tokenizer(other)) != encode.fingerprint(self.tokenizer):
                raise RnalmError(f"{other}: has another tokenizer than {folders[0]}; expected models of one")
        config = read_json(folders[0] / contract.CONFIG)
        self.options = Encode(**{key: config[key] for key in Encode.model_fields if key in config})
        self.case = config.get("case") or "keep"
        loaded = [registry.load(path, device, trust) for path in folders]
        self.predictors = [Predictor(model, batch_tokens, own, filling) for model, own in zip(loaded, self.labels, strict=True)]

    @property
    def meaning(self) -> Labels:
        """What the outputs of the first model mean, which is what those of all do but for scaling and thresholds."""
        return self.labels[0]

    @cached_property
    def tokenize(self) -> RecordTokenizer:
        """Makes tokens of records as the models were trained with; where tokens have outputs, of all of a record."""
        of_tokens = self.meaning.per == "token"
        return RecordTokenizer(self.tokenizer, encode.uncut(self.options) if of_tokens else self.options)

    def encode(self, record: Record) -> tuple[Record, Tokens, Encoded]:
        """Encode a record.

        Parameters
        ----------
        record : Record
            As it was read.

        Returns
        -------
        record : Record
            In the case that the models were trained with.
        tokens : Tokens
            Its tokens.
        encoded : Encoded
            What models take.
        """
        record = in_case(record, self.case)
        tokens = self.tokenize(record)
        return record, tokens, Encoded(0, record.id, tokens.input_ids, None, None, 1.0, tokens.offsets, tokens.reverse_ids)

    def outputs(self, sequences: Sequence[Encoded]) -> list[np.ndarray]:
        """Compute the raw outputs of each model.

        Parameters
        ----------
        sequences : sequence of Encoded
            From :meth:`encode`.
        """
        return [predict(sequences) for predict in self.predictors]

    def read(self, outputs: Sequence[np.ndarray], scale: str = "probability") -> np.ndarray:
        """Average what outputs of models say.

        Parameters
        ----------
        outputs : sequence of numpy.ndarray
            From :meth:`outputs`, or some rows of each ``(…, outputs)``.
        scale : {'probability', 'logit'}
            As for :meth:`rnalm.labels.labels.Labels.to_scores`.

        Returns
        -------
        numpy.ndarray
            float64 ``(…, outputs)``
        """
        return np.mean([own.to_scores(raw, scale) for own, raw in zip(self.labels, outputs, strict=True)], axis=0)
