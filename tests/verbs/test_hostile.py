"""What others may have made is refused in one line: nothing of it runs, and nothing is written out of place."""

import io
import json
import os
import pickle
import re
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from benchmarks.__main__ import main as measure
from explorer.__main__ import main
from explorer.host.console import PlainConsole
from explorer.host.errors import InputError
from explorer.record.folder import stored_config
from explorer.report.drawing import entries
from explorer.verbs.command_line import read_command
from explorer.verbs.compose import compose, conf_folders
from tests.conftest import PATIENCE, TINY
from tests.training.test_image_sources import Trap, pictures, write_folder

pytestmark = pytest.mark.real

STUDY = (conf_folders()[0] / "study" / "equal_params.yaml").read_text()
ESCAPE = "\x1b[31m\x9b2J\u202e"
Telling = pytest.CaptureFixture[str]


def everything(place: Path) -> dict[str, Any]:
    """All that lies around the current folder: content of files, targets of links."""
    return {
        str(path): path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        for path in place.parent.rglob("*")
    }


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to start in, with others around it that are none of our business."""
    place = tmp_path / "place"
    for folder in (place, tmp_path / "elsewhere"):
        folder.mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("as it was")
    monkeypatch.chdir(place)
    monkeypatch.setenv("SECRET", "hunter2")
    return place


def refusal(capsys: Telling, arguments: list[str], command: Callable[[list[str]], int] = main) -> str:
    """The one line of a command that is refused and leaves everything as it was."""
    before = everything(Path.cwd())
    began = time.monotonic()
    assert command(arguments) == 2
    assert time.monotonic() - began < PATIENCE
    assert everything(Path.cwd()) == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert len(line) < 2100
    assert "hunter2" not in line
    return line


def repeated(times: int) -> str:
    """Lists of lists of lists, ten of each in each: 10^times values in a few lines."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, times)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{STUDY}\n_target_: os.mkdir\n_args_: [unpickled]\n", "_target_=os.mkdir: unknown key"),
        (STUDY.replace("study:", "study:\n  _target_: os.system"), "study._target_=os.system: unknown key"),
        (STUDY.replace("against: 1x64d", "{_target_: os.mkdir}"), "a YAML file cannot be read"),
        (f"{STUDY}\nx: !!python/object/apply:os.mkdir [unpickled]\n", "could not determine a constructor for the tag"),
        (f"{STUDY}\nhydra:\n  run: {{dir: ../elsewhere}}\n", "evil.yaml: hydra={'run': {'dir': '../elsewhere'}}: not"),
        (f"{STUDY}\nhydra:\n  callbacks: {{x: {{_target_: os.mkdir}}}}\n", "evil.yaml: hydra="),
        (STUDY.replace("defaults:", "defaults:\n  - ../../../elsewhere/precious"), "evil.yaml: its defaults lead else"),
        (
            STUDY.replace("defaults:", "defaults:\n  - /data: ${oc.env:SECRET}"),
            "evil.yaml: its defaults lead elsewhere",
        ),
        (STUDY.replace("At equal", "${oc.env:SECRET} At"), "study.question=${oc.env:SECRET} At"),
        (f"{STUDY}\nname: ${{hydra:runtime.cwd}}\n", "name=${hydra:runtime.cwd}: ${...} is not read"),
        (f"{STUDY}\nname: ../elsewhere/x\n", "name='../elsewhere/x': allowed are"),
        (f"{STUDY}\n{repeated(9)}\n", "evil.yaml: is nested too deeply or repeats too much"),
        (f"{STUDY}\nx: &x [*x]\n", "evil.yaml: x holds itself"),
        (f"{STUDY}\nx: {'[' * 5000}{']' * 5000}\n", "evil.yaml: is nested too deeply or repeats too much"),
        (f"{STUDY}\nx: {'1' * 5000}\n", "a YAML file cannot be read: Exceeds the limit"),
        (f"{STUDY}\n# {'x' * 2**20}\n", "evil.yaml: has 1,04"),
        (f"{STUDY}\nnull: 2\n", "null=2: unknown key"),
        (f"{STUDY}\n? [name]\n: 2\n", "a YAML file cannot be read: a key is no text"),
        (STUDY.replace("digits", "x" * 5000), "a YAML file cannot be read: File name too long"),
        (STUDY.replace("At equal", "At\0"), "a YAML file cannot be read: unacceptable character"),
        (f'{STUDY}\nname: "a\\0b"\n', "name=a\\x00b: holds a NUL character"),
    ],
)
def test_a_study_of_others_runs_nothing_reads_nothing_and_fills_nothing(
    workplace: Path, capsys: Telling, text: str, problem: str
) -> None:
    path = workplace / "conf" / "study" / "evil.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert problem in refusal(capsys, ["study=evil"])
    if "SECRET" in text:
        assert problem in refusal(capsys, ["study=evil", "--cfg", "job"])


def test_a_file_of_settings_that_is_none_is_not_waited_for(workplace: Path, capsys: Telling) -> None:
    (workplace / "conf" / "study").mkdir(parents=True)
    os.mkfifo(workplace / "conf" / "study" / "evil.yaml")
    before = sorted(workplace.rglob("*"))
    assert main(["study=evil"]) == 2
    assert "evil.yaml: is not a regular file" in capsys.readouterr().err
    assert sorted(workplace.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["+_target_=os.mkdir"], "_target_=os.mkdir: unknown key"),
        (["study.contrast={_target_: os.mkdir, _args_: [unpickled]}"], "study.contrast._target_=os.mkdir: unknown key"),
        (["study.question=${oc.env:SECRET}"], "study.question=${oc.env:SECRET}: ${...} is not read"),
        (["study.question=${oc.decode:${oc.env:SECRET}}"], "${oc.env:SECRET}}: ${...} is not read"),
        (["recipe.epochs=${oc.decode:${oc.env:SECRET}}"], "cannot be read; expected key=value"),
        (["hydra.run.dir=../elsewhere"], "hydra.run.dir=../elsewhere: not allowed"),
        (["++hydra.searchpath=[pkg://os]"], "++hydra.searchpath=[pkg://os]: not allowed"),
        (["recipe.epochs=" + "9" * 5000], "cannot be read; expected key=value"),
        (["recipe.epochs=" + "[" * 2000 + "]" * 2000], "cannot be read; expected key=value"),
        (["budget.reference=" + "9" * 100_000], "budget.reference=9999"),
        (["study.contrast.setting=" + "z" * 100_000], "study.contrast.setting=zzzz"),
        (["space.depth=1000000000000000000"], "space.depth 1000000000000000000 is not one of template cifar's"),
        (["space.cardinality={low: 1, high: 1000000000000000000}"], "allowed are 1,000,000; choose a larger step"),
        (["data=folder", 'data.path="a\0b"'], "data.path=a\\x00b: holds a NUL character"),
    ],
)
def test_words_of_a_command_are_words(workplace: Path, capsys: Telling, arguments: list[str], problem: str) -> None:
    assert problem in refusal(capsys, ["study=equal_params", *arguments])


NAMES = ["../x", "/tmp/x", "..", ".", ".hidden", "-rf", "a..b", "a.", "a/b", "a\\\\b", "a\0b", "a\nb", "", "x" * 300]
NAMES += ["CON", "nul.txt", "Com1", "lpt9.a.b", "\u0430dmin", "\uff45", "a\u202eb", "a b", "index", "~x", "a%2e%2e"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_plain_folder_on_any_system_is_refused(workplace: Path, capsys: Telling, name: str) -> None:
    assert "name=" in refusal(capsys, ["study=equal_params", f"name='{name}'"])
    for subject, key in (("accuracy", "fast"), ("replay", "recorded")):
        if name != "index":
            assert f"{key}=" in refusal(capsys, [subject, f"{key}={name}"], measure)


@pytest.mark.parametrize(
    "name",
    ["1" * 10**5, "29-" + "9" * 400 + "x4d", "29-32x4d" + "-w64" * 10**4, "29-32x4d" + ESCAPE, "{0.__class__}%n"],
)
def test_a_design_of_any_name_is_refused_in_a_line_that_can_be_read(
    workplace: Path, capsys: Telling, name: str
) -> None:
    assert refusal(capsys, ["do=verify", f"architecture='{name}'"]).startswith("explorer: architecture=")


def safetensors(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def tensor(shape: list[int], size: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (pickle.dumps(Trap()), "is a pickle that torch.save did not write, which is not read since it can hold code"),
        (struct.pack("<Q", 2**62) + b"{}", "header too large"),
        (safetensors(b" " * 99_000_000), "is of neither safetensors nor torch.save"),
        (safetensors(b'{"a":' * 10**5), "is cut short or not a safetensors file"),
        (safetensors({"a": tensor([2**40, 2**40], 4)}, b"1234"), "is cut short or not a safetensors file"),
        (safetensors({"fc.weight": tensor([10**9, 0], 0)}), "GiB of memory"),
        (safetensors({f"a{ESCAPE}\n": tensor([1], 4)}, b"1234"), "foreign a\\x1b[31m"),
    ],
)
def test_weights_that_are_none_are_refused(workplace: Path, capsys: Telling, content: bytes, problem: str) -> None:
    (workplace / "w.safetensors").write_bytes(content)
    assert problem in refusal(capsys, ["do=export", "architecture=29-32x4d", "weights=w.safetensors"])
    assert not (workplace / "unpickled").exists()


def archive_set(folder: Path) -> None:
    """Archives whose entries lead elsewhere, and a pickle among them."""
    folder.mkdir()
    with tarfile.open(folder / "train.tar", "w") as tar:
        for name, data in (
            ("0.png", pictures(1)[0][0]),
            ("../../elsewhere/tar", b"x"),
            ("0.pickle", pickle.dumps(Trap())),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo("1.png")
        link.type, link.linkname = tarfile.SYMTYPE, "../elsewhere/precious"
        tar.addfile(link)
    with zipfile.ZipFile(folder / "test.zip", "w") as archive:
        archive.writestr("ant/0.png", pictures(1)[0][0])
        archive.writestr("../../../elsewhere/zip", "x")


def script_set(folder: Path) -> None:
    folder.mkdir()
    (folder / f"{folder.name}.py").write_text("import os\nos.mkdir('unpickled')\n")
    (folder / "train.pkl").write_bytes(pickle.dumps(Trap()))


def picture_set(folder: Path) -> None:
    write_folder(folder, pictures(30))
    (folder / "ant" / "secret.png").symlink_to(folder.parent.parent / "elsewhere" / "precious")
    (folder / "ant" / f"{ESCAPE}.png").write_bytes(pickle.dumps(Trap()))
    os.mkfifo(folder / "ant" / "endless.png")


@pytest.mark.parametrize(
    ("make", "source", "path", "problem"),
    [
        (archive_set, "hub", "photos", "data.path=photos: cannot be had from the hub"),
        (archive_set, "folder", "photos", "data.path=photos: holds no folders"),
        (archive_set, "parquet", "photos", "data.path=photos: holds no parquet files"),
        (script_set, "hub", "photos", "data.path=photos: cannot be had from the hub"),
        (script_set, "hub", "pandas", "data.path=pandas: there is no such folder; needed: a data set of the hub"),
        (picture_set, "folder", "photos", "3 of 33 images cannot be used: train ant/\\x1b[31m\\x9b2J\\u202e.png (not"),
    ],
)
def test_images_of_others_run_nothing_and_only_the_studys_folder_is_written(
    workplace: Path, capsys: Telling, make: Callable[[Path], None], source: str, path: str, problem: str
) -> None:
    make(workplace / "photos")
    before = set(everything(workplace))
    images = [
        "data.image_size=8",
        "data.classes=3",
        "data.train_images=null",
        "data.val_images=6",
        "data.test_images=6",
    ]
    assert main([*TINY, f"data={source}", f"data.path={path}", *images]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert problem in line
    assert line.isprintable()
    new = set(everything(workplace)) - before
    own = [str(workplace / name) for name in ("studies", "studies/tiny", "reports")]
    assert not [name for name in new if name not in own and not name.startswith(f"{own[1]}/")]


LINKS = ["", "local", "runs.csv", "config.yaml", "local/failures.log", "local/checkpoints", "local/lock"]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("verb", ["run", "report", "doctor"])
def test_a_link_in_a_studys_folder_leads_nothing_out_of_it(
    workplace: Path, capsys: Telling, link: str, verb: str
) -> None:
    path = workplace / "studies" / "tiny" / link
    path.parent.mkdir(parents=True, exist_ok=True)
    precious = workplace.parent / "elsewhere"
    path.symlink_to(precious if "." not in link and "lock" not in link else precious / "precious")
    assert f"studies/tiny{'/' * bool(link)}{link}: is a link" in refusal(
        capsys, ["study=equal_params", "name=tiny", "do=doctor"] if verb == "doctor" else [*TINY, f"do={verb}"]
    )


def test_a_study_with_a_link_keeps_no_other_from_the_index(workplace: Path) -> None:
    folder = workplace / "studies" / "evil"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("name: evil\n")
    (folder / "local").symlink_to(workplace.parent / "elsewhere")
    (entry,) = entries({})
    assert (entry.mood, "is a link" in entry.verdict) == ("broken", True)


def test_stored_settings_of_others_fill_no_memory(workplace: Path) -> None:
    (workplace / "config.yaml").write_text(repeated(9))
    with pytest.raises(InputError, match="is nested too deeply or repeats too much"):
        stored_config(workplace)


def test_a_terminal_obeys_no_text_of_a_file(workplace: Path) -> None:
    stream = io.StringIO()
    console = PlainConsole(file=stream, force_terminal=True, color_system=None, width=200)
    table = Table(f"head {ESCAPE}", title=ESCAPE)
    table.add_row(f"cell {ESCAPE}\r\udcff")
    console.print(table)
    console.print(f"line {ESCAPE}\u2028", markup=False)
    console.print(f"[b]line[/b] {ESCAPE}")
    written = stream.getvalue()
    assert not [char for char in written if not char.isprintable() and char != "\n"]
    assert written.count("\\x1b[31m\\x9b2J\\u202e") == 5
    assert "\\r\\udcff" in written
    written.encode()


def test_a_hostile_question_is_printed_as_text(workplace: Path, capsys: Telling) -> None:
    path = workplace / "conf" / "study" / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(re.sub("question: .*", r'question: "\\e]0;title\\a\\e[2J [/] [red]"', STUDY))
    assert main(["study=mine", "do=plan"]) == 0
    assert "\\x1b]0;title\\x07\\x1b[2J [/] [red]" in " ".join(capsys.readouterr().out.split())


def test_a_folder_of_any_name_may_hold_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "it's [a], {folder}"
    (place / "conf" / "study").mkdir(parents=True)
    (place / "conf" / "study" / "mine.yaml").write_text(STUDY)
    monkeypatch.chdir(place)
    assert read_command(["study=mine"]).study.name == "mine"


OUTWARD = [
    ("engine", "slurm", "setup: ['touch stolen']"),
    ("engine", "ray", "address: 10.9.8.7:6379"),
    ("storage", "postgres", "url: postgresql://me:hunter2@10.9.8.7/d?hostaddr=10.9.8.6"),
    ("storage", "postgres", "url: sqlite:///../elsewhere/precious"),
]


@pytest.mark.parametrize(
    ("group", "chosen", "key", "way"),
    [
        (*case, way)
        for case in OUTWARD
        for way in ("study", "package", "defaults")
        if (case[0], way) != ("storage", "package")
    ],
)
def test_a_file_that_the_command_does_not_name_runs_no_shell_and_sends_neither_runs_nor_passwords_away(
    workplace: Path, capsys: Telling, group: str, chosen: str, key: str, way: str
) -> None:
    study = STUDY.replace("defaults:", f"defaults:\n  - override /{group}: {chosen}", 1)
    for folder in ("study", "engine", "storage"):
        (workplace / "conf" / folder).mkdir(parents=True)
    if way == "study":
        study += f"\n{group}:\n  {key}\n"
    elif way == "package":
        (workplace / "conf" / "storage" / "theirs.yaml").write_text(
            f"# @package _global_\nstorage: {{mirror: none, weights: none, url: null}}\n{group}:\n  {key}\n"
        )
        study = study.replace("defaults:", "defaults:\n  - override /storage: theirs", 1)
    else:
        (workplace / "conf" / group / "theirs.yaml").write_text(f"defaults: [{chosen}, _self_]\n{key}\n")
        study = study.replace(f"/{group}: {chosen}", f"/{group}: theirs")
    (workplace / "conf" / "study" / "theirs.yaml").write_text(study)
    for verb in ("run", "doctor"):
        words = refusal(capsys, ["study=theirs", f"do={verb}"])
        assert f"{group}.{key.partition(':')[0]}=" in words
        assert "a file that the command does not name may not decide this" in words
    if way == "defaults":
        assert main(["study=theirs", f"{group}=theirs", "do=plan"]) == (2 if "hostaddr" in key else 0)
    else:
        own = str(compose(["study=theirs", f"{group}={chosen}"]).tree[group])  # nothing of theirs is left
        assert key.partition(": ")[2].strip("[]'") not in own


@pytest.mark.parametrize("line", ["do: doctor", '"yes": true', "fork: true", "from: sqlite:///../elsewhere/precious"])
def test_a_study_does_not_say_what_is_done_with_it(workplace: Path, capsys: Telling, line: str) -> None:
    (workplace / "conf" / "study").mkdir(parents=True)
    (workplace / "conf" / "study" / "theirs.yaml").write_text(f"{STUDY}\n{line}\n")
    assert "a file may not decide this; say" in refusal(capsys, ["study=theirs"])
