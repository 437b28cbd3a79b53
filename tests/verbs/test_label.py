"""`explorer label`: the labels of the test images, for a record that does not hold them."""

import json
import re
from pathlib import Path

import pytest

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.host.errors import InputError
from explorer.record.folder import ENVIRONMENT, LABELS
from explorer.record.labels import load_labels
from explorer.training.images.split import load
from explorer.verbs.tabulate import read_table
from tests.conftest import undrawn
from tests.report.disagreeing import IMAGES, classes_of_test, disagreeing, settings


@pytest.fixture
def unlabelled(workplace: Path) -> Path:
    """The folder of a study of the digits whose record does not hold labels."""
    return disagreeing(labels=False, data_hash=load(settings().data).digest)


def test_labels_are_added_to_a_record_once(unlabelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", "tiny", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"study": "tiny", "file": str(unlabelled / LABELS), "images": IMAGES, "added": True}
    found = load_labels(unlabelled, 10, IMAGES).shared
    assert found is not None
    assert found.tolist() == classes_of_test(settings()).tolist()
    assert json.loads((unlabelled / ENVIRONMENT).read_text())["preprocessing"]["classes"] == list("0123456789")
    before = {path: path.read_bytes() for path in unlabelled.glob("*.*")}
    assert main(["label", "tiny"]) == 0
    assert "holds the labels already; nothing was written" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in unlabelled.glob("*.*")} == before
    opened = open_study(unlabelled).disagreement
    assert opened is not None
    assert len(opened.classes) == 10


def test_labels_of_other_images_are_refused(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = disagreeing(labels=False, data_hash="0123456789abcdef")
    assert main(["label", "tiny"]) == 2
    said = capsys.readouterr().err
    assert "holds other images than those of studies/tiny: their hash is" in said
    assert said.count("\n") == 1
    assert main(["label", "tiny", "data=photos"]) == 2
    assert "the images of tiny are the embedded digits; leave it out" in capsys.readouterr().err
    assert not (folder / LABELS).exists()


def test_damage_is_named_by_every_verb_and_set_aside_by_the_doctor(
    unlabelled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    undrawn(monkeypatch)
    assert main(["label", "tiny"]) == 0
    whole = (unlabelled / LABELS).read_bytes()
    (unlabelled / LABELS).write_bytes(whole.replace(b"100,", b"101,", 1))
    with pytest.raises(InputError, match=r"labels.csv, line 2: the row does not match its check"):
        open_study(unlabelled)
    capsys.readouterr()
    assert main(["doctor", "tiny"]) == 1
    said = capsys.readouterr().out
    assert "labels.csv, line 2: the row does not match its check" in said
    assert "set it aside; the next start writes it anew, and so does explorer label tiny" in said
    assert main(["doctor", "tiny", "--yes"]) == 0
    assert not (unlabelled / LABELS).exists()
    assert len([*(unlabelled / "local" / "damaged").rglob(LABELS)]) == 1
    assert main(["label", "tiny"]) == 0
    assert (unlabelled / LABELS).read_bytes() == whole
    (unlabelled / LABELS).write_bytes(whole[:-1])
    capsys.readouterr()
    assert main(["doctor", "tiny", "--yes"]) == 0
    assert "labels.csv: 1 row" in capsys.readouterr().out
    assert (unlabelled / LABELS).read_bytes() == whole


def test_a_table_holds_the_labels_too(workplace: Path) -> None:
    folder = disagreeing()
    assert main(["tabulate", "tiny"]) == 0
    table = read_table(Path("tables/tiny"))
    assert table.disagreement == open_study(folder).disagreement
    assert "`labels.parquet` has the class of each test image" in Path("tables/tiny/README.md").read_text()
    (folder / LABELS).unlink()
    assert main(["tabulate", "tiny"]) == 0
    assert not Path("tables/tiny/labels.parquet").exists()
    assert not read_table(Path("tables/tiny")).labels.is_known


def test_pictures_asked_for_here_are_not_published(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disagreeing()
    page, pushed = Path("reports/tiny.html"), Path("push/tiny/page/index.html")
    assert main(["report", "tiny"]) == 0
    pictured = page.read_text()
    assert len(re.findall("<img src=", pictured)) > 20
    page.write_text(pictured.replace('<ul class="pictures"', '<ul class="pictures" data-private="yes"'))
    private = page.read_text()
    assert main(["push", "tiny", "page", "--dry"]) == 0
    assert "data-private" not in pushed.read_text()
    assert page.read_text() == private
