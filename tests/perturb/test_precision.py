import numpy as np

from rnalm.datasets import Encoded
from rnalm.perturb.edits import Edits
from rnalm.perturb.incremental import IncrementalScorer
from rnalm.perturb.naive import NaiveScorer
from rnalm.perturb.precision import precision_error


def test_the_error_of_a_precision_is_that_of_the_differences(make_model):
    model = make_model(0, {"filters": 16, "layers": 2})
    sequence = Encoded(0, "s", np.random.default_rng(0).integers(7, 11, 700).astype(np.int32), None, None, 1.0, None)
    edits = Edits.single(np.arange(700), np.full(700, 4))
    for kind in (NaiveScorer, IncrementalScorer):
        error, spread = precision_error(model, kind(model, precision="bf16"), sequence, edits)
        assert 1e-6 < error < 1
        assert 0 < spread < 1
        assert precision_error(model, kind(model), sequence, edits)[0] == 0
