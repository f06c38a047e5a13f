import re

import numpy as np
import pytest
import torch

from rnalm.datasets import Encoded
from rnalm.errors import RnalmError
from rnalm.perturb import scorers
from rnalm.perturb.edits import Edits
from rnalm.perturb.incremental import IncrementalScorer
from rnalm.perturb.naive import NaiveScorer
from rnalm.perturb.scorers import ahead, choose, precision_error

CPU = torch.device("cpu")


class Global:
    """A model without the method ``local``."""

    def __init__(self, model) -> None:
        self.config, self.device = model.config, model.device


def test_a_local_model_is_scored_incrementally_unless_told_otherwise(make_model):
    model = make_model(0, {})
    assert isinstance(choose(model), IncrementalScorer)
    assert isinstance(choose(model, "incremental"), IncrementalScorer)
    assert isinstance(choose(model, "naive"), NaiveScorer)
    assert isinstance(choose(Global(model)), NaiveScorer)


def test_incremental_scoring_of_another_model_is_refused(make_model):
    expected = "interpret.scorer: incremental needs a local architecture, which saluki is not; expected naive or auto"
    with pytest.raises(RnalmError, match=re.escape(expected)):
        choose(Global(make_model(0, {})), "incremental")


def test_a_gpu_gets_work_ahead_and_a_cpu_does_not():
    launched = []
    for device, most in (("cpu", 1), ("cuda", scorers.IN_FLIGHT + 1)):
        launched.clear()
        taken = []
        for item, result in ahead(range(20), lambda item: launched.append(item) or item * 2, torch.device(device)):
            assert len(launched) - len(taken) <= most
            taken.append(item)
            assert result == item * 2
        assert taken == list(range(20))


def test_the_error_of_a_precision_is_that_of_the_differences(make_model):
    model = make_model(0, {"filters": 16, "layers": 2})
    sequence = Encoded(0, "s", np.random.default_rng(0).integers(7, 11, 700).astype(np.int32), None, None, 1.0, None)
    edits = Edits.single(np.arange(700), np.full(700, 4))
    for kind in (NaiveScorer, IncrementalScorer):
        error, spread = precision_error(model, kind(model, precision="bf16"), sequence, edits)
        assert 1e-6 < error < 1
        assert 0 < spread < 1
        assert precision_error(model, kind(model), sequence, edits)[0] == 0
