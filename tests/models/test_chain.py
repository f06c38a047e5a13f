"""A network that is a chain of convolutions is scored incrementally, as exactly as by running it whole."""

import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rnalm.config import OwnModel, Tokenizer
from rnalm.models import registry
from rnalm.models.bring import LETTERS
from rnalm.models.chain import NoChain, modules_of, parts
from rnalm.models.local import Flattened, Pooled
from rnalm.scoring.edits import Edits
from rnalm.scoring.scorers.choose import choose
from rnalm.scoring.scorers.incremental import IncrementalScorer
from rnalm.scoring.scorers.naive import NaiveScorer
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.learn import of_letters
from rnalm.tokens.tokenizer import all_special_ids, token_names

TOKENIZER = of_letters(LETTERS, Tokenizer())
#: Of torch itself, of a kernel of which no position is the middle.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")

HEAD = "import torch\nfrom torch import nn\n\n\nclass Net(nn.{base}):\n    def __init__(self):\n"
#: As Selene's users write networks: parts in Sequentials, reshaped by hand between them.
DEEPSEA = (
    HEAD.format(base="Module")
    + """        super().__init__()
        self.conv_net = nn.Sequential(
            nn.Conv1d(4, 8, 5), nn.ReLU(inplace=True), nn.MaxPool1d(kernel_size=3, stride=3), nn.Dropout(p=0.2),
            nn.Conv1d(8, 6, 4), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(6, 5, 3), nn.ReLU(), nn.Dropout(0.5),
        )
        self.classifier = nn.Sequential(nn.Linear(5 * 6, 7), nn.ReLU(), nn.Linear(7, 2), nn.Sigmoid())

    def forward(self, x):
        out = self.conv_net(x)
        return self.classifier(out.view(out.size(0), 30))
"""
)
POOLED = (
    HEAD.format(base="Sequential")
    + """        super().__init__(
            nn.BatchNorm1d(4), nn.Conv1d(4, 8, 5), nn.BatchNorm1d(8), nn.GELU(), nn.AvgPool1d(2), nn.ELU(),
            nn.Conv1d(8, 6, 3, dilation=2), nn.Softplus(), nn.{kind}(1), nn.Flatten(), nn.Linear(6, 2),
        )
"""
)
SKIPS = DEEPSEA.replace("out = self.conv_net(x)", "out = self.conv_net(x) * 2")
#: As most networks are written: convolutions see zeros around what they get. The second sees more of them right than left.
PADDED = (
    DEEPSEA.replace("Conv1d(4, 8, 5)", "Conv1d(4, 8, 5, padding=2)")
    .replace("Conv1d(8, 6, 4)", "Conv1d(8, 6, 4, padding='same')")
    .replace("Conv1d(6, 5, 3)", "Conv1d(6, 5, 5, padding=1)")
)
PADDED_POOLED = POOLED.replace("Conv1d(4, 8, 5)", "Conv1d(4, 8, 5, padding=2, bias=False)").replace(
    "dilation=2)", "dilation=2, padding='same'), nn.MaxPool1d(3), nn.BatchNorm1d(6), nn.Conv1d(6, 6, 3, padding=1)"
)
#: Says itself what it is made of.
SAYS = (
    "from rnalm.models.local import Layer, Local, Pooled, same\n"
    + HEAD.format(base="Module")
    + """        super().__init__()
        self.convolution, self.out = nn.Conv1d(4, 8, 5), nn.Linear(8, 2)

    def forward(self, x):
        return self.out(torch.relu(self.convolution(x)).mean(dim=2) * 2)

    def local(self):
        layer = Layer(self.convolution, after=torch.relu_)
        head = lambda x: self.out(x * 2)
        return Local(None, (layer,), same, Pooled("mean", 8, self.out.weight), head, 5)
"""
)


def _create(folder, text: str, **options):
    (folder / "net.py").write_text(text)
    outputs = "probabilities" if "Sigmoid()" in text else "logits"
    section = OwnModel(**{"name": "file", "path": str(folder / "net.py"), "class": "Net", "outputs": outputs, **options})
    entries = {"task": "multilabel", "tokens": token_names(TOKENIZER)}
    torch.manual_seed(0)
    sizes = (TOKENIZER.get_vocab_size(), 0, 2, all_special_ids(TOKENIZER))
    model = registry.create(section.model_dump(), *sizes, **entries)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.normal_()
    return model.eval()


@pytest.fixture
def make(tmp_path):
    return lambda text, **options: _create(tmp_path, text, **options)


@pytest.fixture(scope="module")
def make_once(tmp_path_factory):
    """Make a network once for many examples."""
    folder, made = tmp_path_factory.mktemp("once"), {}

    def create(text: str):
        if text not in made:
            made[text] = _create(folder, text)
        return made[text]

    return create


def sequence(length: int, seed: int = 0) -> Encoded:
    ids = np.random.default_rng(seed).integers(7, 12, length).astype(np.int32)
    return Encoded(0, "s", ids, None, None, 1.0, None)


def assert_same(model, one: Encoded, edits: Edits) -> None:
    fast, slow = IncrementalScorer(model), NaiveScorer(model)
    for found, expected in zip(fast.score(one, edits), slow.score(one, edits), strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-5, rtol=1e-5)


@st.composite
def substitutions(draw, length: int):
    """Draw perturbations of a sequence, of one or two spans, that leave its length as it is."""
    found = []
    for _ in range(draw(st.integers(1, 12))):
        bounds = sorted(draw(st.lists(st.integers(0, length), min_size=4, max_size=4, unique=True)))
        spans = [bounds[:2], bounds[2:]][: draw(st.integers(1, 2))]
        letters = draw(st.lists(st.integers(4, 11), min_size=length, max_size=length))
        found.append([(start, end, letters[start:end]) for start, end in spans])
    return Edits.of(found, length)


def test_a_network_reshaped_by_hand_is_a_chain(make):
    model = make(DEEPSEA)
    local = model.local()
    assert isinstance(local.readout, Flattened)
    assert (local.readout.count, local.minimum_length) == (6, 61)
    assert [(layer.kernel_size, layer.pool) for layer in local.layers] == [(5, 3), (4, 2), (3, 1)]
    assert isinstance(choose(model), IncrementalScorer)
    kinds = [type(module).__name__ for module in modules_of(model.network)]
    assert kinds[-6:] == ["ReLU", "Flatten", "Linear", "ReLU", "Linear", "Sigmoid"]


@given(st.data())
@examples(30)
def test_substitutions_are_scored_as_by_the_whole_network_where_each_position_counts(make_once, data):
    model = make_once(DEEPSEA)
    length = data.draw(st.integers(61, 66))  # all of them leave six positions
    assert_same(model, sequence(length, data.draw(st.integers(0, 9))), data.draw(substitutions(length)))


def test_a_letter_that_no_position_of_the_readout_sees_changes_nothing(make):
    model, one = make(DEEPSEA), sequence(66)
    # What pooling leaves over at the end: no window of these edits has a position that counts.
    edits = Edits.single(np.array([65, 65]), (one.input_ids[[65, 65]] - 7 + [1, 2]) % 4 + 7)
    assert_same(model, one, edits)
    assert_same(model, one, edits[np.zeros(0, dtype=np.int64)])  # as where no letter of a sequence is replaced


@pytest.mark.parametrize("kind", ["AdaptiveMaxPool1d", "AdaptiveAvgPool1d"])
def test_a_sequential_that_pools_takes_any_edit(make, kind):
    model = make(POOLED.format(kind=kind))
    assert isinstance(model.local().readout, Pooled)
    for length in (22, 23, 40):
        one = sequence(length)
        each = [[(place, place + 1, [])] for place in range(length)]
        more = [[(place, place, [7, 8, 9])] for place in range(0, length, 5)]
        more += [[(1, 4, [10])], [(0, 2, []), (5, 7, [7, 7, 7])]]
        assert_same(model, one, Edits.of([*each, *more], length))


@given(st.data())
@examples(30)
def test_padded_convolutions_see_zeros_around_what_they_get(make_once, data):
    model = make_once(PADDED)
    assert model.local().margin == (11, 14)
    length = data.draw(st.integers(48, 53))
    assert_same(model, sequence(length, data.draw(st.integers(0, 9))), data.draw(substitutions(length)))


@given(kind=st.sampled_from(["AdaptiveMaxPool1d", "AdaptiveAvgPool1d"]), length=st.integers(9, 40), data=st.data())
@examples(30)
def test_padded_convolutions_that_pool_take_any_edit(make_once, kind, length, data):
    model = make_once(PADDED_POOLED.format(kind=kind))
    assert isinstance(choose(model), IncrementalScorer)
    each = data.draw(st.lists(st.tuples(st.integers(0, length), st.integers(0, 2), st.integers(0, 3)), max_size=12))
    spans = [(start, min(length, start + gone), [7 + (start + k) % 4 for k in range(come)]) for start, gone, come in each]
    assert_same(model, sequence(length), Edits.of([[span] for span in spans], length))


def test_what_enters_a_padded_network_is_found_in_the_network_itself(make):
    model = make(PADDED_POOLED.format(kind="AdaptiveAvgPool1d"))
    entries = []
    hook = model.local().entry.register_forward_hook(lambda module, given, _: entries.append(given[0]))
    model(torch.from_numpy(sequence(20).input_ids[None].astype(np.int64)))
    hook.remove()
    assert [tuple(entry.shape) for entry in entries] == [(1, 4, 20)]


def test_padding_leaves_shorter_sequences_that_a_network_takes(make, refusal):
    model = make(PADDED)
    assert model.local().minimum_length == 48
    found = "s: its 54 tokens leave 7 positions to the model, which takes 6"
    assert refusal(IncrementalScorer(model).score, sequence(54), Edits.of([[(3, 4, [7])]], 54)) == found


def test_blocks_of_any_size_give_the_same(make, monkeypatch):
    model, one = make(DEEPSEA), sequence(61)
    edits = Edits.of([[(place, place + 1, [7])] for place in range(61)], 61)
    _, whole = IncrementalScorer(model).score(one, edits)
    _, parts = IncrementalScorer(model, batch_tokens=40).score(one, edits)
    np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_a_file_may_say_itself_what_its_network_is_made_of(make):
    model, one = make(SAYS), sequence(30)
    assert isinstance(choose(model), IncrementalScorer)
    assert_same(model, one, Edits.of([[(place, place + 1, [])] for place in range(30)], 30))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SKIPS, "its forward pass does something else"),
        (DEEPSEA.replace("(8, 6, 4)", "(8, 6, 4, stride=2)"), "expected a convolution with stride 1, one group and no padding"),
        (DEEPSEA.replace("(8, 6, 4)", "(8, 6, 4, padding=2)"), "expected padding within the kernel"),
        (DEEPSEA.replace("(8, 6, 4)", "(8, 6, 3, dilation=2, padding=1)"), "expected padding within the kernel"),
        (DEEPSEA.replace("(8, 6, 4)", "(8, 6, 4, padding=1, padding_mode='reflect')"), "expected padding with zeros"),
        (DEEPSEA.replace("nn.MaxPool1d(2)", "nn.MaxPool1d(3, stride=2)"), "pooling with overlap"),
        (DEEPSEA.replace("nn.Conv1d(6, 5, 3), nn.ReLU()", "nn.Conv1d(6, 5, 3), nn.Softmax(dim=1)"), "Softmax"),
    ],
)
def test_another_network_is_run_whole_and_it_is_known_why(make, refusal, text, why):
    model = make(text)
    assert not hasattr(model, "local")
    assert isinstance(choose(model), NaiveScorer)
    with pytest.raises(AttributeError, match="has no attribute 'local'"):
        _ = model.local
    assert "interpret.scorer: incremental needs a local architecture" in refusal(choose, model, "incremental")
    with pytest.raises(NoChain, match=why):
        parts(model.network, None, None)


@pytest.mark.parametrize("pooling", ["max(dim=2).values", "mean(dim=2)"])
def test_a_network_that_pools_by_hand_is_run_whole(make, pooling):
    text = f"""        super().__init__()
        self.conv, self.out = nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU()), nn.Linear(8, 2)

    def forward(self, x):
        return self.out(self.conv(x).{pooling})
"""
    model = make(HEAD.format(base="Module") + text)
    assert not hasattr(model, "local")
    assert isinstance(choose(model), NaiveScorer)


def test_what_a_network_does_shows_although_it_gives_next_to_nothing(make):
    model = make(SKIPS)
    model.network.classifier[2].bias.data.fill_(-30)  # as of classes that are rare
    assert not hasattr(model, "local")


def test_a_file_that_says_of_its_network_what_is_wrong_is_told(make, refusal):
    model = make(SAYS.replace("self.out(x * 2)", "self.out(x)"))
    assert "what local() says of Net is not what it does: its forward pass does something else" in refusal(choose, model)


def test_strands_that_are_combined_are_run_whole(make):
    assert not hasattr(make(DEEPSEA, strands="mean"), "local")


def test_what_a_network_of_one_length_does_not_take_is_told(make, refusal):
    scorer = IncrementalScorer(make(DEEPSEA))
    removal = Edits.of([[(3, 4, [])]], 61)
    assert "s: edits change its length, and the model takes one; expected mask or replace" in refusal(
        scorer.score, sequence(61), removal
    )
    assert "s: its 80 tokens leave 9 positions to the model, which takes 6" in refusal(
        scorer.score, sequence(80), Edits.of([[(3, 4, [7])]], 80)
    )


def test_a_sequence_that_becomes_too_short_is_told(make, refusal):
    scorer = IncrementalScorer(make(POOLED.format(kind="AdaptiveMaxPool1d")))
    assert scorer.local.minimum_length == 14
    assert refusal(scorer.score, sequence(14), Edits.of([[(3, 4, [])]], 14)) == (
        "s: the model does not take 13 tokens, expected 14 or more"
    )


def test_to_look_for_a_chain_draws_no_random_numbers(make):
    model = make(DEEPSEA)
    state = torch.get_rng_state()
    assert hasattr(model, "local")
    assert torch.equal(torch.get_rng_state(), state)
