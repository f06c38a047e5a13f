"""Which scorer a model gets."""

from transformers import PreTrainedModel

from rnalm.errors import RnalmError
from rnalm.models.token_config import by_token
from rnalm.models.wide import is_wide
from rnalm.scoring.precision import EXACT
from rnalm.scoring.scorers.base import Scorer
from rnalm.scoring.scorers.cones import ConeScorer
from rnalm.scoring.scorers.incremental import IncrementalScorer
from rnalm.scoring.scorers.naive import NaiveScorer
from rnalm.scoring.scorers.wide import WideScorer


def choose(model: PreTrainedModel, scorer: str = "auto", batch_tokens: int | None = None, precision: str = EXACT) -> Scorer:
    """Make the scorer for a model.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode, on the device that scores.
    scorer : {'auto', 'naive', 'incremental'}
        ``auto``: incremental if the model says how, by a method ``local`` or, with outputs for tokens, ``cone``.
    batch_tokens : int, optional
        Tokens or, of the incremental scorer, changed positions computed together, at most; None: as free memory allows.
    precision : {'float32', 'tf32', 'bf16'}
        In which to multiply.

    Raises
    ------
    RnalmError
        If the device is neither a CPU nor a CUDA GPU, is to multiply as only GPUs do, or the model is to be scored
        incrementally and is not local.
    """
    fast = ConeScorer if by_token(model.config) else IncrementalScorer
    local = hasattr(model, "cone" if by_token(model.config) else "local")
    if model.device.type not in ("cpu", "cuda"):
        raise RnalmError(f"scores are computed on a CPU or a CUDA GPU, found {model.device.type}")
    if scorer == "incremental" and not local:
        raise RnalmError(
            f"interpret.scorer: incremental needs a local architecture, which {model.config.model_type} is not; "
            "expected naive or auto"
        )
    if precision == "tf32" and model.device.type != "cuda":
        raise RnalmError("interpret.precision: tf32 needs a GPU, and none is used here; expected float32 or bf16")
    kind = fast if local and scorer != "naive" else NaiveScorer
    made = kind(model, batch_tokens, precision)
    # The naive scorer runs the whole model; what a model says of its parts is of its network.
    return WideScorer(made, model) if kind is IncrementalScorer and is_wide(model) else made
