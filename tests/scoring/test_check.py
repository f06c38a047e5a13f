"""An interpretation that does not fit the data is refused in one line, before training."""

import pytest

from rnalm.config import Interpret
from rnalm.labels.labels import Labels
from rnalm.scoring.check import check
from rnalm.scoring.explain import explained_classes


def options(**changed) -> Interpret:
    return Interpret(**changed)


def test_what_fits_passes(tokenizer, subwords):
    replace = {"modes": ["replace"], "replacements": {"A": ["C", "G"]}}
    check(options(), True, 0, tokenizer, [])
    check(options(method="integrated_gradients"), True, 0, tokenizer, [])
    check(options(method=["loo", "integrated_gradients"]), False, 0, subwords, [])
    check(options(level="base", **replace), True, 0, subwords, [])
    check(options(explain="late"), False, 0, tokenizer, ["early", "late"])


@pytest.mark.parametrize("level", ["token", "base"])
@pytest.mark.parametrize("replacements", [{"C": ["a"]}, {"a": ["g", "C"]}], ids=["of it", "by it"])
def test_a_replacement_that_is_not_in_the_vocabulary_names_the_nearest(tokenizer, refusal, level, replacements):
    message = refusal(check, options(level=level, modes=["replace"], replacements=replacements), False, 0, tokenizer, [])
    assert message == ("interpret.replacements: token 'C' is not in the vocabulary; did you mean 'c'? (valid: a, c, g, t)")


def test_a_special_token_is_no_replacement(tokenizer, refusal):
    of_padding = options(modes=["replace"], replacements={"a": ["[PAD]"]})
    assert "token '[PAD]' is not in the vocabulary" in refusal(check, of_padding, False, 0, tokenizer, [])


def test_at_level_base_replacements_are_letters_or_tokens_for_which_one_stands(subwords, refusal):
    check(options(level="base", modes=["replace"], replacements={"gej": ["A"], "E": ["C"]}), False, 0, subwords, [])
    message = refusal(check, options(level="base", modes=["replace"], replacements={"AC": ["G"]}), False, 0, subwords, [])
    assert message.startswith("interpret.replacements: letter 'AC' is not in the vocabulary; ")


def test_modifiers_that_are_not_there_cannot_be_replaced(tokenizer, refusal):
    of_modifiers = options(modes=["replace"], replace_modifiers=True)
    check(of_modifiers, False, 1, tokenizer, [])
    message = refusal(check, of_modifiers, False, 0, tokenizer, [])
    assert message == "interpret.replace_modifiers: tokens have no modifiers (source.modifier_sep); set replacements"


def test_long_tokens_have_no_scores_on_both_strands(subwords, refusal):
    assert refusal(check, options(), True, 0, subwords, []) == (
        "interpret.level: token cannot be scored on both strands with tokens longer than a letter "
        "(encode.reverse_complement: average); set level: base"
    )
    assert refusal(check, options(method="integrated_gradients"), True, 0, subwords, []) == (
        "interpret.method: integrated_gradients cannot be scored on both strands with tokens longer than a letter "
        "(encode.reverse_complement: average); set method: loo and level: base"
    )


def test_on_both_strands_a_replacement_needs_a_complement(subwords, refusal):
    message = refusal(check, options(level="base", modes=["replace"], replacements={"A": ["E"]}), True, 0, subwords, [])
    assert message == (
        "interpret.replacements: 'E' is no nucleotide code, and has no complement (encode.reverse_complement: average)"
    )


def test_several_classes_can_be_explained(tokenizer, refusal):
    classes = ["early", "late", "never"]
    check(options(explain=["never", "early"]), False, 0, tokenizer, classes)
    assert explained_classes(["never", "early"], Labels("classification", classes=tuple(classes))) == [2, 0]
    assert "no class or target 'Late'; did you mean 'late'?" in refusal(
        check, options(explain=["early", "Late"]), False, 0, tokenizer, classes
    )


def test_an_unknown_class_to_explain_names_the_nearest(tokenizer, refusal):
    message = refusal(check, options(explain="Early"), False, 0, tokenizer, ["early", "late"])
    known = "did you mean 'early'? (valid: early, late, predicted, all)"
    assert message == f"interpret.explain: no class or target 'Early'; {known}"
