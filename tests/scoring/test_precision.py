import numpy as np
import pytest

from rnalm.scoring.edits import Edits
from rnalm.scoring.precision import MEASURED, precision_error
from rnalm.scoring.scorers.incremental import IncrementalScorer
from rnalm.scoring.scorers.naive import NaiveScorer
from rnalm.tokens.dataset import Encoded


@pytest.mark.parametrize("kind", [NaiveScorer, IncrementalScorer])
def test_the_error_of_a_precision_is_that_of_the_differences(make_model, kind, monkeypatch):
    model = make_model(0, {"filters": 16, "layers": 2})
    sequence = Encoded(0, "s", np.random.default_rng(0).integers(7, 11, 300).astype(np.int32), None, None, 1.0, None)
    edits = Edits.single(np.arange(300), np.full(300, 4))
    exact, rough = kind(model), kind(model, precision="bf16")
    (base, perturbed), (rough_base, rough_perturbed) = exact.score(sequence, edits), rough.score(sequence, edits)
    expected = np.abs((rough_perturbed - rough_base) - (perturbed - base)).max()

    error, spread = precision_error(exact, rough, sequence, edits)

    assert expected > 1e-6
    assert error == pytest.approx(expected)
    assert spread == pytest.approx((perturbed - base).std())
    assert precision_error(exact, exact, sequence, edits) == (0, spread)


def test_the_error_of_a_precision_is_measured_on_few_edits(make_model, monkeypatch):
    scorer = IncrementalScorer(make_model(0, {}))
    counts, launch = [], scorer.launch
    monkeypatch.setattr(scorer, "launch", lambda sequence, edits, at: counts.append(len(edits)) or launch(sequence, edits, at))
    sequence = Encoded(0, "s", np.full(700, 7, dtype=np.int32), None, None, 1.0, None)
    precision_error(scorer, scorer, sequence, Edits.single(np.arange(700), np.full(700, 4)))
    precision_error(scorer, scorer, sequence, Edits.single(np.arange(70), np.full(70, 4)))
    assert counts == [MEASURED, MEASURED, 70, 70]
