"""The classes of the test images, kept once beside the answers of the runs."""

import re
from pathlib import Path

import numpy as np
import pytest

from explorer.engine.messages import understood, written
from explorer.host.errors import InputError
from explorer.record import table
from explorer.record.folder import CHECKS, LABELS
from explorer.record.labels import keep_labels, load_labels
from explorer.record.rows import LabelsRecord
from explorer.study.job import HostReport, RunDone
from explorer.study.run import Outcome


def test_labels_are_kept_once_and_read_as_they_were(tmp_path: Path) -> None:
    assert not load_labels(tmp_path, 10, 4).is_known  # as of a record of an earlier version
    assert not keep_labels(tmp_path, "")
    assert not (tmp_path / LABELS).exists()
    assert keep_labels(tmp_path, "3 0 9 0")
    before = (tmp_path / LABELS).read_bytes()
    assert not keep_labels(tmp_path, "1 1 1 1")
    assert (tmp_path / LABELS).read_bytes() == before
    found = load_labels(tmp_path, 10, 4)
    assert (found.is_known, found.of(7) is found.shared) == (True, True)
    assert found.shared is not None
    assert found.shared.tolist() == [3, 0, 9, 0]


def test_seeds_with_test_images_of_their_own_have_a_row_each(tmp_path: Path) -> None:
    for seed, labels in ((0, "0 1"), (2, "1 0"), (0, "1 1")):
        keep_labels(tmp_path, labels, seed)
    found = load_labels(tmp_path, 2, 2)
    assert found.shared is None
    assert {seed: own.tolist() for seed in (0, 2) if (own := found.of(seed)) is not None} == {0: [0, 1], 2: [1, 0]}
    assert found.of(1) is None


def test_a_study_in_the_folder_of_another_keeps_none(tmp_path: Path) -> None:
    check = tmp_path / CHECKS / "init"
    check.mkdir(parents=True)
    assert not keep_labels(check, "0 1")
    assert [*check.iterdir()] == []


def test_a_line_cut_short_is_cut_off_and_written_anew(tmp_path: Path) -> None:
    keep_labels(tmp_path, "3 0 9 0")
    whole = (tmp_path / LABELS).read_bytes()
    (tmp_path / LABELS).write_bytes(whole[:-6])
    assert not load_labels(tmp_path, 10, 4).is_known
    assert keep_labels(tmp_path, "3 0 9 0")
    assert (tmp_path / LABELS).read_bytes() == whole


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (LabelsRecord(None, 4, "0 1 2"), "the row of all seeds has 3 labels for 4 test images"),
        (LabelsRecord(None, 3, "0 1 2"), "the row of all seeds has 3 labels for 4 test images"),
        (LabelsRecord(5, 4, "0 1 2 10"), "the row of seed 5 names class 10 of 10, which are counted from 0"),
        (LabelsRecord(None, 4, "0 1 2 -1"), "the row of all seeds holds something else than numbers of classes"),
        (LabelsRecord(None, 4, "0 1 2 9999999999999"), "the row of all seeds holds something else than numbers"),
        (LabelsRecord(None, 4, "0 1 2 ²"), "the row of all seeds holds something else than numbers of classes"),
        (LabelsRecord(None, 4, ""), "the row of all seeds holds something else than numbers of classes"),
    ],
)
def test_labels_that_cannot_be_are_refused_in_one_line(tmp_path: Path, row: LabelsRecord, problem: str) -> None:
    table.create(tmp_path / LABELS, LabelsRecord)
    table.append(tmp_path / LABELS, [row])
    with pytest.raises(InputError, match=re.escape(problem)) as error:
        load_labels(tmp_path, 10, 4)
    assert str(error.value).startswith(str(tmp_path / LABELS))
    assert "explorer doctor" in str(error.value)


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    keep_labels(tmp_path, "3 0 9 0")
    text = (tmp_path / LABELS).read_text()
    (tmp_path / LABELS).write_text(text.replace("3 0 9", "3 1 9"))
    for act in (lambda: load_labels(tmp_path, 10, 4), lambda: keep_labels(tmp_path, "3 0 9 0")):
        with pytest.raises(InputError, match=r"labels.csv, line 2: the row does not match its check"):
            act()


def test_labels_come_unchanged_from_a_job_on_another_machine() -> None:
    report = HostReport("cpu", "a processor", "abcd", test_labels="3 0 9 0")
    done = RunDone("run", Outcome("ok", 1, correct=np.packbits([True, False]).tobytes(), test_labels="1 0"))
    assert [understood(written(one)) for one in (report, done)] == [report, done]
