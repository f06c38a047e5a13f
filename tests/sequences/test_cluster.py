import logging
from contextlib import ExitStack
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from rnalm.sequences import linkage
from rnalm.sequences.cluster import cluster, cluster_file
from rnalm.sequences.records import Record
from rnalm.sequences.strands import reverse_complement

SHARES = st.sampled_from([0.01, 0.2, 0.3, 1 / 3, 0.5, 2 / 3, 0.9, 1.0])


@pytest.fixture(scope="session")
def expected(kmers_of):
    """Compare all pairs, and number connected components by first occurrence."""

    def components(sequences, k: int, shared: float, nucleic: bool) -> list[int]:
        sets = [kmers_of(sequence, k, nucleic) for sequence in sequences]
        labels = list(range(len(sets)))
        for one, first in enumerate(sets):
            for other, second in enumerate(sets[:one]):
                if labels[one] != labels[other] and len(first & second) / min(len(first), len(second)) >= shared:
                    labels = [labels[other] if label == labels[one] else label for label in labels]
        return numbered(labels)

    return components


def numbered(labels) -> list[int]:
    seen = {}
    return [seen.setdefault(label, len(seen)) for label in labels]


@st.composite
def relatives(draw, letters="ACGT"):
    """Sequences that are near-duplicates, fragments and other strands of a few, or of none."""
    parents = draw(st.lists(st.text(alphabet=letters, max_size=30), min_size=1, max_size=4))
    sequences = []
    for _ in range(draw(st.integers(0, 25))):
        sequence = list(draw(st.sampled_from(parents)))
        for _ in range(draw(st.integers(0, 3)) if sequence else 0):
            sequence[draw(st.integers(0, len(sequence) - 1))] = draw(st.sampled_from(letters))
        text = "".join(sequence[draw(st.integers(0, 8)) :])
        sequences.append(reverse_complement(text, rna=False) if letters == "ACGT" and draw(st.booleans()) else text)
    return sequences


@st.composite
def bounds(draw):
    """How much is looked at, at a time, and what is worth while: nothing that an answer may depend on."""
    values = {"STEPS": st.sampled_from([1, 5, 50, 2**23]), "EXTEND": st.integers(1, 4), "REINDEX": st.sampled_from([0, 1, 16])}
    return {name: draw(value) for name, value in values.items()}


def cluster_within(bound: dict[str, int], *arguments) -> list[int]:
    with ExitStack() as stack:
        for name, value in bound.items():
            stack.enter_context(mock.patch.object(linkage, name, value))
        return cluster(*arguments).tolist()


# Clusters are the connected components of "shares enough"


@given(relatives(), st.integers(1, 6), SHARES, bounds())
def test_nucleotides_that_share_enough_are_together_and_no_others(expected, sequences, k, shared, bound):
    assert cluster_within(bound, sequences, k, shared) == expected(sequences, k, shared, nucleic=True)


@examples(60)
@given(relatives("ACEKL"), st.booleans(), st.integers(1, 4), SHARES, bounds())
def test_proteins_and_tokens_that_share_enough_are_together_and_no_others(expected, proteins, tokens, k, shared, bound):
    separate = [["start", *(letter + letter for letter in sequence)] for sequence in proteins]
    sequences = separate if tokens else ["LEAK", *proteins]
    assert cluster_within(bound, sequences, k, shared) == expected(sequences, k, shared, nucleic=False)


#: As is, in pieces, with a new index whenever clusters were joined, and with as many comparisons as can be.
BOUNDS = [{}, {"STEPS": 500}, {"STEPS": 500, "REINDEX": 0}, {"STEPS": 500, "REINDEX": 0, "EXTEND": 1}]


@pytest.mark.parametrize("mutated", [0.02, 0.1, 0.2])
def test_clusters_of_a_library_of_variants_are_as_all_pairs_say(expected, mutated):
    sequences = spelled(substituted(random_letters(8, 60).repeat(25, axis=0), mutated))
    wanted = expected(sequences, 9, 0.3, nucleic=True)
    assert [cluster_within(bound, sequences, 9, 0.3) for bound in BOUNDS] == [wanted] * 4


@pytest.mark.parametrize("shared", [0.4, 0.5, 0.6])
def test_clusters_of_mosaics_and_their_fragments_are_as_all_pairs_say(expected, shared):
    draw = np.random.default_rng(0)
    blocks = random_letters(5 * 6, 14).reshape(5, 6, 14)
    mosaics = spelled(blocks[np.arange(5), draw.integers(0, 6, (150, 5))].reshape(150, -1))
    sequences = [mosaic[draw.integers(0, 30) :] for mosaic in mosaics]
    wanted = expected(sequences, 7, shared, nucleic=True)
    assert [cluster_within(bound, sequences, 7, shared) for bound in BOUNDS] == [wanted] * 4


def test_a_share_that_is_just_reached_is_enough():
    ten, three = "abcdefghij", "abcklmnopq"
    assert cluster([ten, three], 1, 0.3).tolist() == [0, 0]
    assert cluster([ten, three], 1, np.nextafter(0.3, 1)).tolist() == [0, 1]
    # 0.07 of 100 is more than 7 in floating point, but 7 of 100 are not less than 0.07.
    hundred, seven = [f"token{number}" for number in range(100)], [f"token{number}" for number in range(93, 193)]
    assert cluster([hundred, seven], 1, 0.07).tolist() == [0, 0]


# What users have


def spelled(letters: np.ndarray, alphabet: bytes = b"ACGT") -> list[str]:
    return [row.tobytes().decode() for row in np.frombuffer(alphabet, np.uint8)[letters]]


def substituted(letters: np.ndarray, rate: float) -> np.ndarray:
    draw = np.random.default_rng(1)
    return (letters + (draw.random(letters.shape) < rate) * draw.integers(1, 4, letters.shape)) % 4


def random_letters(count: int, length: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 4, (count, length))


@given(st.integers(40, 200), st.data())
def test_with_few_substitutions_sequences_stay_together(length, data):
    few = int(0.7 * (length - 12) / 13)  # each takes 13 of the 13-mers at most, and 0.3 of them is enough
    places = data.draw(st.lists(st.integers(0, length - 1), max_size=few))
    (letters,) = random_letters(1, length)
    variant = letters.copy()
    variant[places] = (variant[places] + 1) % 4
    first, second = spelled(np.stack([letters, variant]))
    assert cluster([first, reverse_complement(second, rna=False)]).tolist() == [0, 0]


def test_a_fragment_goes_with_its_whole_which_joins_it_with_others():
    (whole,) = spelled(random_letters(1, 3000))
    assert cluster([whole[:100], whole[1000:1080]]).tolist() == [0, 1]
    assert cluster([whole[:100], whole[1000:1080], whole]).tolist() == [0, 0, 0]


def test_random_sequences_are_alone_also_with_constant_flanks_below_the_share():
    letters = random_letters(2000, 200)
    assert len(set(cluster(spelled(letters)))) == 2000
    letters[:, :25], letters[:, -25:] = letters[0, :25], letters[0, -25:]
    assert len(set(cluster(spelled(letters)))) == 2000
    assert len(set(cluster(spelled(np.random.default_rng(0).integers(0, 20, (1000, 300)), b"ACDEFGHIKLMNPQRSTVWY")))) == 1000


def test_short_sequences_are_together_only_if_they_are_the_same():
    assert cluster(["ACG", "CGT", "acg", "ACGA", "", "A" * 13 + "ACG", ""]).tolist() == [0, 0, 0, 1, 2, 3, 2]


@pytest.mark.parametrize(("sequences", "wanted"), [([], []), ([""], [0]), (["", ""], [0, 0]), ([[], ["gc"]], [0, 1])])
def test_nothing_or_almost_nothing(sequences, wanted):
    clusters = cluster(sequences)
    assert (clusters.dtype, clusters.tolist()) == (np.int64, wanted)


# The worst cases


@pytest.fixture
def steps():
    """Sum up what is counted."""
    each, reachable = [], linkage._reachable

    def counted(*arguments):
        for answer in reachable(*arguments):
            each.append(answer[-1])
            yield answer

    with mock.patch.object(linkage, "_reachable", counted):
        yield each


def test_many_times_the_same_sequence(steps):
    assert set(cluster(spelled(random_letters(1, 500)) * 20_000)) == {0}
    assert sum(steps) < 500


def test_many_variants_of_one_sequence_alone_or_among_others_need_few_steps(steps):
    sequences = spelled(substituted(random_letters(1, 100).repeat(20_000, axis=0), 0.02))
    assert set(cluster(sequences)) == {0}
    assert sum(steps) < 50 * sum(map(len, sequences))
    steps.clear()
    letters = np.concatenate([random_letters(4000, 100), substituted(random_letters(1, 100).repeat(4000, axis=0), 0.02)])
    clusters = cluster(spelled(letters[np.random.default_rng(0).permutation(8000)]))
    assert np.bincount(clusters).max() >= 4000
    assert len(set(clusters)) >= 3999
    assert sum(steps) < 50 * letters.size


def test_constant_flanks_need_few_steps(steps):
    letters = random_letters(4000, 100)
    letters[:, :25] = letters[0, :25]  # 13 of 88 k-mers, with 15 others enough for a link
    letters[:, -27:] = letters[:1000, -27:].repeat(4, axis=0)
    assert cluster(spelled(letters)).tolist() == np.arange(1000).repeat(4).tolist()
    assert sum(steps) < 8 * letters.size


def test_runs_of_one_letter_and_repeats():
    runs = [letter * length for letter in "AN" for length in range(13, 500)]
    assert cluster(runs).tolist() == [0] * 487 + [1] * 487
    assert cluster(["CAG" * 10, "AGC" * 200, "CTG" * 30, "CA" * 50, "TG" * 9]).tolist() == [0, 0, 0, 1, 1]


# Errors and files


@pytest.mark.parametrize("shared", [0, -1, 1.01, float("nan")])
def test_a_share_out_of_range_is_refused(refusal, shared):
    message = refusal(cluster, ["ACGT"], shared=shared)
    assert message == f"shared: found {shared}, expected a number above 0 and at most 1"


def record(name: str, sequence) -> Record:
    return Record("table.tsv, line 1", name, sequence, None, None, None, None, None)


def test_records_are_clustered_in_input_order_and_one_cluster_of_most_is_told(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    sequences = {"b": "ACGTTGCA", "a": "GGGGGGGG", "d": list("TGCAACGT"), "c": "TATATATA"}
    cluster_file((record(name, sequence) for name, sequence in sequences.items()), tmp_path / "clusters.parquet", 4, 0.5)
    table = pq.read_table(tmp_path / "clusters.parquet")
    assert table.to_pydict() == {"id": ["b", "a", "d", "c"], "cluster": [0, 1, 0, 2]}
    assert str(table.schema.field("cluster").type) == "int64"
    told = ["k-mers of nucleotides, of both strands", "4 sequences in 3 clusters: the largest has 2, 2 are alone"]
    assert caplog.messages == told
    cluster_file([record("a", "ACGTTGCA"), record("b", "ACGTTGCC"), record("c", "CCCCCCCC")], tmp_path / "c.parquet", 4, 0.5)
    warning = "more than half of the sequences are in one cluster; shared above 0.5, or a larger k, may divide it"
    assert caplog.messages[-1] == warning
