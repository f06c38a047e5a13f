import os

import pytest

from rnalm.pipeline import content
from rnalm.pipeline.content import Contents, combine


def test_content_counts_and_dates_do_not(tmp_path):
    (tmp_path / "a").write_text("one")
    before = Contents(tmp_path / "ledger.json").of(tmp_path / "a")
    os.utime(tmp_path / "a", (1, 1))
    assert Contents(tmp_path / "ledger.json").of(tmp_path / "a") == before
    (tmp_path / "a").write_text("two")
    assert Contents(tmp_path / "ledger.json").of(tmp_path / "a") != before


def test_a_file_that_was_not_written_to_is_not_read_again(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("one")
    first = Contents(tmp_path / "ledger.json")
    before = first.of(tmp_path / "a")
    first.save()
    monkeypatch.setattr(content, "sha256", lambda path: "read" * 16)
    second = Contents(tmp_path / "ledger.json")
    assert second.of(tmp_path / "a") == before
    os.utime(tmp_path / "a", (1, 1))
    assert second.of(tmp_path / "a") == "read" * 4


def test_another_file_of_the_same_size_and_date_is_another(tmp_path):
    for name, text in (("a", "one"), ("b", "two")):
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (1, 1))
    ledger = Contents(tmp_path / "ledger.json")
    before = ledger.of(tmp_path / "a")
    os.replace(tmp_path / "b", tmp_path / "a")
    assert ledger.of(tmp_path / "a") != before
    # In place, too.
    before = ledger.of(tmp_path / "a")
    (tmp_path / "a").write_text("six")
    os.utime(tmp_path / "a", (1, 1))
    assert ledger.of(tmp_path / "a") != before


def test_nothing_is_known_of_files_that_are_not_there(tmp_path):
    (tmp_path / "a").write_text("one")
    ledger = Contents(tmp_path / "folder" / "ledger.json")
    assert ledger.of() is None
    assert ledger.of(tmp_path / "a", tmp_path / "b") is None
    assert not ledger.ledger.exists()


@pytest.mark.parametrize("text", ['{"a": [', "[1]", "null", "3"])
def test_a_broken_ledger_is_as_good_as_none(tmp_path, text):
    (tmp_path / "a").write_text("one")
    (tmp_path / "ledger.json").write_text(text)
    ledger = Contents(tmp_path / "ledger.json")
    assert ledger.of(tmp_path / "a")
    ledger.save()
    assert Contents(tmp_path / "ledger.json").noted == ledger.noted


def test_the_order_of_keys_does_not_count():
    assert combine({"a": 1, "b": 2}) == combine({"b": 2, "a": 1})
    assert combine({"a": 1}) != combine({"a": 2})
