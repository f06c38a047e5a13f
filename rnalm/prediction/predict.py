"""Encoded sequences ─► predictions."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from rnalm.compute import allocating
from rnalm.config import contract
from rnalm.errors import RnalmError, nearest
from rnalm.files import read_json, replacing
from rnalm.labels.labels import Labels
from rnalm.models import folder, registry
from rnalm.models.framed import check_length
from rnalm.models.token_config import by_token
from rnalm.tokens import batches, dataset, encode, store
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.fill import fill, tell
from rnalm.tokens.tokenizer import load_tokenizer as load_tokenizer
from rnalm.tokens.truth import stored
from rnalm.tokens.windows import cut, divide

log = logging.getLogger(__name__)


def predict(
    model: PreTrainedModel, sequences: Sequence[Encoded], batch_tokens: int = 2**18, labels: Labels | None = None
) -> np.ndarray:
    """Compute a model's outputs for sequences, on the model's device.

    A model that was trained with ``encode.reverse_complement: average`` gives outputs that report the mean over both strands.

    Parameters
    ----------
    model : PreTrainedModel
        On the device on which to compute; its mode is restored.
    sequences : sequence of Encoded
        Of any lengths.
    batch_tokens : int
        Tokens in one forward pass, at most; fewer when a GPU's memory runs out.
    labels : Labels, optional
        What the outputs mean; needed for a model that averages over both strands.

    Returns
    -------
    numpy.ndarray
        float32 ``(sequences, outputs)``: scaled values or logits, in the order given. Of a model with outputs for tokens, an
        array of such arrays, ``(length, outputs)``: sequences longer than its block size are read in windows that overlap, and
        each token's output is that of the window in which it stands most central.

    Raises
    ------
    RnalmError
        If an output is not finite, or one sequence alone is too long for a GPU.

    Examples
    --------
    Three sequences by a network with random weights, two of them the same:

    >>> model = registry.create({"name": "saluki", "filters": 4, "layers": 1}, 11, 0, 1)
    >>> tokens = [7, 8, 9], [10, 10], [7, 8, 9]
    >>> outputs = predict(model, [Encoded(0, "", np.array(ids), None, None, 1.0, None) for ids in tokens])
    >>> outputs.shape, bool(outputs[0] == outputs[2])
    ((3, 1), True)
    """
    return Predictor(model, batch_tokens, labels)(sequences)


class Predictor:
    """Computes a model's outputs for one list of sequences after another, in batches that fit into memory.

    Parameters
    ----------
    model : PreTrainedModel
        On the device on which to compute; its mode is restored.
    batch_tokens : int
        Tokens in one forward pass, at most.
    labels : Labels, optional
        What the outputs mean; needed for a model that averages over both strands.
    filling : bool
        Whether unknown tokens fill sequences up that are shorter than a network of one length takes; else they are refused.

    Attributes
    ----------
    batch_tokens : int
        Tokens in one forward pass, at most; halved when memory runs out.
    length : int or None
        Tokens to which sequences are filled up; None: none is.
    filled : int
        How many were.
    """

    def __init__(self, model: PreTrainedModel, batch_tokens: int, labels: Labels | None = None, filling: bool = False) -> None:
        self.model, self.batch_tokens, self.labels = model, batch_tokens, labels
        self.length, self.filled = getattr(model.config, "length", None) if filling else None, 0
        self.least = getattr(model.config, "minimum_length", 1)
        self.of_tokens = by_token(model.config)
        self.most = getattr(model.config, "block_size", None) if self.of_tokens else None

    @torch.inference_mode()
    def __call__(self, sequences: Sequence[Encoded]) -> np.ndarray:
        """Compute outputs as :func:`predict` does."""
        was_training = self.model.training
        self.model.eval()
        if self.length is not None:
            self.filled += sum(len(sequence.input_ids) < self.length for sequence in sequences)
            sequences = [fill(sequence, self.length, self.model.config.unknown) for sequence in sequences]
        outputs = self._of_tokens(sequences) if self.of_tokens else self.outputs(sequences)
        if sequences and getattr(self.model.config, "reverse_complement", "none") == "average":
            assert self.labels is not None, "what is averaged over both strands are labels"
            outputs = self.labels.average([outputs, self.outputs([sequence.twin() for sequence in sequences])])
        self.model.train(was_training)
        wrong = np.flatnonzero([not np.isfinite(own).all() for own in outputs] if self.of_tokens else _odd(outputs))
        if len(wrong):
            hint = "its training diverged; lower finetune.learning_rate"
            raise RnalmError(
                f"the model gives no finite output for {len(wrong)} sequences, such as {sequences[wrong[0]].id!r}: {hint}"
            )
        return outputs

    def _of_tokens(self, sequences: Sequence[Encoded]) -> np.ndarray:
        """Compute the outputs for the tokens of sequences, in windows where they are long: an array of arrays."""
        layout = [divide(len(sequence.input_ids), self.most or len(sequence.input_ids)) for sequence in sequences]
        cuts = [cut(sequence, window) for sequence, windows in zip(sequences, layout, strict=True) for window in windows]
        read = iter(self.outputs(cuts))
        outputs = np.empty(len(sequences), dtype=object)
        for index, windows in enumerate(layout):
            own = [next(read)[window.first - window.start : window.after - window.start] for window in windows]
            outputs[index] = np.concatenate(own)
        return outputs

    def outputs(self, sequences: Sequence[Encoded]) -> np.ndarray:
        """Compute the outputs for sequences as they stand: float32 ``(sequences, outputs)``, or an array of arrays.

        Parameters
        ----------
        sequences : sequence of Encoded
            Of any lengths.
        """
        width = self.model.config.num_labels or 1
        outputs = np.empty(len(sequences), object) if self.of_tokens else np.empty((len(sequences), width), np.float32)
        lengths = store.lengths(sequences)
        for indices in batches.by_length(lengths, self.batch_tokens, self.least):
            self._batch(sequences, indices, max(self.least, int(lengths[indices[-1]])), outputs)
        return outputs

    def _batch(self, sequences: Sequence[Encoded], indices: list[int], longest: int, outputs: np.ndarray) -> None:
        """Compute the outputs of a batch, in parts where it is larger than what is known to fit."""
        while indices:
            size = max(1, self.batch_tokens // longest)
            part = indices[:size]
            try:
                with allocating():
                    outputs[part] = self._run([sequences[index] for index in part])
                indices = indices[size:]
            except torch.OutOfMemoryError:
                if len(part) == 1:
                    raise too_long(sequences[part[0]]) from None
                self.batch_tokens = len(part) * longest // 2
                log.warning("out of memory; going on with %d tokens at a time", self.batch_tokens)

    def _run(self, sequences: list[Encoded]) -> np.ndarray:
        """Run the model on sequences, padded to the longest: float32 ``(sequences, outputs)``, or an array of arrays."""
        batch = batches.collate(sequences, self.model.config.modifier_channels, registry.pad_id(self.model))
        logits = self.model(**{name: tensor.to(self.model.device) for name, tensor in batch.items()}).logits
        values = logits.float().cpu().numpy()
        if not self.of_tokens:
            return values
        rows = np.empty(len(sequences), dtype=object)
        rows[:] = [own[: len(sequence.input_ids)] for own, sequence in zip(values, sequences, strict=True)]
        return rows


def _odd(outputs: np.ndarray) -> np.ndarray:
    """Tell which sequences have an output that is not finite."""
    return np.asarray(~np.isfinite(outputs).all(axis=1))


def too_long(sequence: Encoded) -> RnalmError:
    """Make the error about a sequence that does not fit into a GPU's memory even by itself.

    Parameters
    ----------
    sequence : Encoded
        The sequence.
    """
    problem = f"sequence {sequence.id!r} of {len(sequence.input_ids)} tokens does not fit into the memory of the GPU"
    return RnalmError(f"{problem}; lower encode.block_size, or set finetune.gpus: 0 to compute on the CPU")


def predict_file(
    model_folder: str | Path,
    encoded: str | Path,
    output: str | Path,
    rows: np.ndarray | None = None,
    batch_tokens: int = 2**18,
    device: str | torch.device = "cpu",
    trust: bool = False,
) -> None:
    """Predict rows of an encoded file with one model, in a stream.

    Parameters
    ----------
    model_folder : path
        Of the model.
    encoded : path
        The sequences.
    output : path
        Parquet with ``row`` (in the encoded file), ``id``, ``label`` and the raw outputs, a list of float32: where tokens have
        outputs, those of the first token, then those of the second, and so on.
    rows : numpy.ndarray, optional
        Sorted row numbers ``(rows,)``; None: all.
    batch_tokens : int
        Tokens in one forward pass, at most.
    device : str or torch.device
        Where to compute.
    trust : bool
        Whether to run code of a user's own, if the model holds some.

    Raises
    ------
    RnalmError
        If the file was encoded with another tokenizer than the model's, or labels or lengths do not fit the model.
    """
    labels = Labels.load(folder.check(model_folder) / contract.LABELS)
    check_fit(model_folder, encoded, labels)
    model = registry.load(model_folder, device, trust)
    predictor = Predictor(model, batch_tokens, labels, filling=True)
    longest = encode.metadata(encoded)["longest"]
    check_length(model.config, min(longest, predictor.most or longest))
    missing = model.config.modifier_channels - encode.metadata(encoded)["modifier_channels"]
    if missing > 0:
        log.warning("%s: tokens have %d modifiers fewer than the model was trained with; they count as 0", encoded, missing)
    total = predict_with(predictor, labels, encoded, output, rows)
    tell(str(encoded), predictor.filled, total, predictor.length)
    log.info("%s: %d sequences predicted", model_folder, total)


def predict_with(
    outputs_of: Callable[[Sequence[Encoded]], np.ndarray],
    labels: Labels,
    encoded: str | Path,
    output: str | Path,
    rows: np.ndarray | None = None,
) -> int:
    """Predict rows of an encoded file by whatever gives outputs for sequences, in a stream.

    Parameters
    ----------
    outputs_of : callable
        From sequences to outputs ``(sequences, outputs)``, or an array of arrays.
    labels : Labels
        What the outputs mean.
    encoded, output, rows
        As for :func:`predict_file`.

    Returns
    -------
    int
        How many rows were predicted.

    Raises
    ------
    RnalmError
        If a label is no class of the model.
    """
    label_type = pq.read_schema(encoded).field("label").type
    schema = pa.schema([("row", pa.int64()), ("id", pa.string()), ("label", label_type), ("outputs", pa.list_(pa.float32()))])
    total = encode.metadata(encoded)["sequences"] if rows is None else len(rows)
    with replacing(output) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for sequences in progress(dataset.read(encoded, rows), total, "predict"):
            if labels.task == "classification":
                _check_classes(sequences, labels, encoded)
            flat = [own.reshape(-1) for own in outputs_of(sequences)]
            columns = ([s.row for s in sequences], [s.id for s in sequences], [stored(s.label) for s in sequences], flat)
            writer.write_table(pa.table([pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)], schema=schema))
    return total


def _check_classes(sequences: Sequence[Encoded], labels: Labels, encoded: str | Path) -> None:
    """Refuse a label that is no class of the model."""
    for sequence in sequences:
        given = [] if sequence.label is None else np.unique(sequence.label)
        for label in sorted(set(map(str, given)) - {*labels.classes, ""}):
            hint = nearest(label, labels.classes)
            raise RnalmError(f"{encoded}: the label of {sequence.id!r} is no class of the model: {label!r}; {hint}")


def check_fit(model_folder: str | Path, encoded: str | Path, labels: Labels) -> None:
    """Refuse an encoded file whose ids or labels mean something else to the model.

    Parameters
    ----------
    model_folder : path
        Of the model.
    encoded : path
        The file.
    labels : Labels
        What the outputs of the model mean.

    Raises
    ------
    RnalmError
        If tokenizer, strands or task of the file, or what has a label, are not those of the model.
    """
    information = encode.metadata(encoded)
    if encode.fingerprint(load_tokenizer(model_folder)) != information["tokenizer_sha256"]:
        raise RnalmError(f"{encoded}: encoded with another tokenizer than that of the model {model_folder}")
    strands = read_json(Path(model_folder) / contract.CONFIG).get("reverse_complement", "none")
    if (strands == "average") != (information["reverse_complement"] == "average"):
        raise RnalmError(
            f"{encoded}: encode.reverse_complement is {information['reverse_complement']}, "
            f"but the model {model_folder} was trained with {strands}; leave it out"
        )
    if information["per"] != labels.per:
        problem = f"a model with an output for each {labels.per}, but labels.per is {information['per']}"
        raise RnalmError(f"{model_folder}: {problem}; expected labels.per: {labels.per}")
    classes = information.get("classes")
    if classes and labels.task == information["task"] and labels.task != "classification" and tuple(classes) != labels.classes:
        kind, theirs = "targets" if labels.task == "regression" else "classes", ", ".join(labels.classes) or "one number"
        problem = f"columns.label has the {kind} {', '.join(classes)}, but the model {model_folder} has {theirs}"
        raise RnalmError(f"{encoded}: {problem}; expected these, in this order")
    if labels.several and information["labelled"] and not classes and information["task"] == "regression":
        problem = f"one number is known of each sequence, but the model {model_folder} has {', '.join(labels.classes)}"
        raise RnalmError(f"{encoded}: {problem}; expected a column for each of these, in this order")
    if information["task"] != labels.task:
        raise RnalmError(f"{model_folder}: a model for {labels.task}, but the configuration says task: {information['task']}")


def progress(groups: Iterator[list[Encoded]], total: int, name: str) -> Iterator[list[Encoded]]:
    """Show a progress bar over sequences, on a terminal only.

    Parameters
    ----------
    groups : iterator of list of Encoded
        What is worked through.
    total : int
        How many sequences there are.
    name : str
        What the bar is called.

    Yields
    ------
    list of Encoded
        Each group, as it comes.
    """
    with tqdm(total=total, desc=name, unit="seq", disable=None, leave=False) as bar:
        for group in groups:
            yield group
            bar.update(len(group))
