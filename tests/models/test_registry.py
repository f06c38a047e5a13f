"""Every architecture of the configuration can be made, and is what its section says."""

import pytest

from rnalm.config import ARCHITECTURES
from rnalm.models import registry

#: The smallest models.
OPTIONS = {
    "saluki": {"filters": 2, "layers": 1},
    "frames": {"width": 4, "layers": 1},
    "dilated": {"width": 4, "kernel_size": 3, "dilations": [1]},
    "performer": {"width": 4, "layers": 1, "heads": 2, "local_heads": 1, "head_size": 2, "features": 2},
    "hf": {"type": "distilbert", "config": {"dim": 4, "n_layers": 1, "n_heads": 1, "hidden_dim": 4}, "pretrained": None},
}


def test_all_are_tried_but_that_of_a_users_own():
    assert set(OPTIONS) == set(ARCHITECTURES) - {"file"}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_architecture_is_called_local_whose_models_say_how(name):
    model = registry.create({"name": name} | OPTIONS[name], 11, 0, 1)
    assert hasattr(model, "local") == (ARCHITECTURES[name].local == "sequence")
    assert hasattr(model, "cone") == (ARCHITECTURES[name].local == "token")
