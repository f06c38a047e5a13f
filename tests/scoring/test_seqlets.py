"""Seqlets are where effects add up to more than chance has it, wherever the sequence is."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lines import line

from rnalm.scoring.seqlets import LONGEST, MOST_BY_CHANCE, SHORTEST, Chance, find, orders


def chance(lines, times: int = 4) -> Chance:
    made = Chance(max(np.abs(one.effects).max() for one in lines), times)
    for one in lines:
        made.add(one)
    return made


def noise(draw, name: str, length: int = 80, planted=(), size: float = 2.0, sign: int = 1):
    effects = 0.2 * draw.normal(size=length)
    for begin in planted:
        effects[begin : begin + 8] = sign * size
    return line("".join(draw.choice(list("acg"), length)), effects, name)


def test_letters_of_one_token_change_places_together():
    def spell(one):
        repeated = {name: np.repeat(getattr(one, name), 6) for name in ("symbols", "runs", "regions", "frames")}
        places = np.arange(6 * len(one.effects))
        return replace(one, starts=places, ends=places + 1, effects=np.repeat(one.effects, 6) / 6, **repeated)

    draw = np.random.default_rng(3)
    tokens = [line("a" * 50, draw.normal(size=50), f"s{k}") for k in range(60)]
    own = Chance(4.0, 8)
    for one in tokens:
        own.add(one, spell)
    strong = []
    for one in map(spell, tokens):
        begins, sums = one.spans(SHORTEST), np.r_[0.0, np.cumsum(one.effects)]
        effects = sums[begins + SHORTEST] - sums[begins]
        strong.append(own.shares(0, 1, effects[effects > 0]) <= MOST_BY_CHANCE)
    assert np.concatenate(strong).mean() < 0.03, "of those that raise the prediction, twice as many as of all"


@pytest.mark.parametrize("sign", [1, -1])
def test_planted_spans_are_found_where_they_are_with_their_sign(sign):
    draw = np.random.default_rng(0)
    begins = [int(draw.integers(5, 65)) for _ in range(30)]
    lines = [noise(draw, f"s{k}", planted=[begin], sign=sign) for k, begin in enumerate(begins)]
    own = chance(lines)
    hits = 0
    for one, begin in zip(lines, begins, strict=True):
        strongest = max(find(one, own), key=lambda seqlet: abs(seqlet.effect))
        assert np.sign(strongest.effect) == sign
        assert strongest.effect == pytest.approx(one.effects[strongest.first : strongest.after].sum())
        assert strongest.p <= MOST_BY_CHANCE
        hits += abs(strongest.first - begin) <= 2 and abs(strongest.after - begin - 8) <= 2
    assert hits >= 28


def test_in_noise_no_more_is_found_than_chance_allows():
    draw = np.random.default_rng(1)
    lines = [noise(draw, f"s{k}", 200) for k in range(40)]
    own = chance(lines)
    seqlets = [seqlet for one in lines for seqlet in find(one, own)]
    spans = 40 * (200 - SHORTEST + 1)
    assert len(seqlets) <= 2 * MOST_BY_CHANCE * spans


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=0, max_size=60), st.integers(0, 99))
def test_every_span_inside_a_seqlet_is_strong_and_none_lies_over_another_of_its_sign(levels, seed):
    draw = np.random.default_rng(seed)
    effects = np.array(levels, float) * draw.choice([-1, 1], len(levels)) + 0.01 * draw.normal(size=len(levels))
    one = line("a" * len(levels), effects)
    own = Chance(float(np.abs(effects).max(initial=0)), 20)
    own.add(one)
    found = find(one, own)
    for seqlet in found:
        assert SHORTEST <= seqlet.after - seqlet.first <= LONGEST
        sign = 1 if seqlet.effect > 0 else -1
        worst = 0.0
        for length in range(SHORTEST, seqlet.after - seqlet.first + 1):
            for begin in range(seqlet.first, seqlet.after - length + 1):
                total = np.array([effects[begin : begin + length].sum()])
                worst = max(worst, float(own.shares(length - SHORTEST, sign, total)[0]))
        assert worst <= MOST_BY_CHANCE * (1 + 1e-9)
    for sign in (1, -1):
        bounds = [(seqlet.first, seqlet.after) for seqlet in found if seqlet.effect * sign > 0]
        assert all(after <= first for (_, after), (first, _) in pairwise(bounds))


def test_shares_are_those_of_a_plain_count_up_to_the_width_of_bins():
    draw = np.random.default_rng(2)
    one = noise(draw, "s", 400)
    own = chance([one], times=1)
    effects = np.linspace(0.05, 2, 30)
    sums = np.convolve(_shuffled(one), np.ones(5), "valid")
    plain = [(1 + (sums >= effect).sum()) / (1 + len(sums)) for effect in effects]
    below = [(1 + (sums >= effect / 1.021).sum()) / (1 + len(sums)) for effect in effects]
    shares = own.shares(1, 1, effects)
    assert (shares >= np.array(plain) - 1e-12).all()
    assert (shares <= np.array(below) + 1e-12).all()


def _shuffled(one) -> np.ndarray:
    """Put effects in the order that chance does."""
    from hashlib import sha256

    seed = sha256(f"{one.sequence} {one.position} {one.explained}".encode()).digest()[:8]
    return np.random.default_rng(int.from_bytes(seed)).permuted(one.effects[None], axis=1)[0]


def test_seqlets_of_a_sequence_do_not_depend_on_the_order_of_others():
    draw = np.random.default_rng(3)
    lines = [noise(draw, f"s{k}", planted=[20]) for k in range(10)]
    one, other = chance(lines), chance(lines[::-1])
    assert [find(each, one) for each in lines] == [find(each, other) for each in lines]


def test_a_seqlet_does_not_run_across_a_gap():
    draw = np.random.default_rng(4)
    lines = [noise(draw, f"s{k}", planted=[20]) for k in range(20)]
    own = chance(lines)
    effects = lines[0].effects
    whole, cut = line("a" * 80, effects), line("a" * 80, effects, breaks=(24,))
    assert any(one.first <= 20 and one.after >= 28 for one in find(whole, own))
    parts = find(cut, own)
    assert len([one for one in parts if one.effect > 7]) == 2
    assert not any(one.first < 24 < one.after for one in parts)


@pytest.mark.parametrize("effects", [[], [1.0], [0.0] * 10, [1.0, -1.0, 1.0]])
def test_of_too_little_nothing_is_found(effects):
    one = line("a" * len(effects), effects)
    own = Chance(max(map(abs, effects), default=0.0))
    own.add(one)
    assert find(one, own) == []


def test_few_effects_change_places_often():
    assert orders(0) == 64
    assert orders(2**18) == 1
