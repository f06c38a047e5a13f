import re

import pytest

from rnalm.errors import RnalmError
from rnalm.scoring.scorers.choose import choose
from rnalm.scoring.scorers.incremental import IncrementalScorer
from rnalm.scoring.scorers.naive import NaiveScorer


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
