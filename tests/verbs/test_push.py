"""A study on the Hugging Face hub: against a hub of the tests' own, which keeps what it is sent by its protocol."""

import base64
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from explorer import open_study
from explorer.__main__ import main
from explorer.record.folder import study_folder
from explorer.verbs.command_line import read_command
from tests.conftest import TINY, undrawn
from tests.made_up import made_up
from tests.verbs.test_export_study import train_all

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::UserWarning")

OPEN = ("/api/validate-yaml", "/api/agent-harnesses")  # are asked without a login


@dataclass
class Hub:
    """A hub: its repositories by kind and name with their files, whether each is private, and the number of commits."""

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    fails: str = ""  # the kind of which a commit fails
    url: str = ""

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path == "/api/whoami-v2":
            return 200, {"name": "me", "type": "user", "auth": {"type": "access_token"}}
        if path in OPEN:
            return 200, {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            asked = json.loads(body)
            own = f"{asked.get('type', 'model')}s/me/{asked['name']}"
            there = {"url": f"{self.url}/{own.removeprefix('models/')}", "name": f"me/{asked['name']}"}
            if own in self.files:
                return 409, there | {"error": "You already created this repo"}
            self.files[own], self.private[own] = {}, asked["visibility"] == "private"
            assert asked.get("sdk") == ("static" if asked.get("type") == "space" else None)
            return 200, there
        found = re.fullmatch(r"/api/((?:datasets|models|spaces)/[\w-]+/[\w-]+)(/.*)?", path)
        assert found is not None, path
        own, rest = found[1], found[2] or ""
        if own not in self.files:
            return 404, {"error": "Repository not found"}
        if rest.startswith("/preupload/"):
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            return 200, {"files": files}
        if rest.startswith("/commit/"):
            if own.startswith(self.fails or "none"):
                return 400, {"error": "the disk is full"}
            self._commit(own, [json.loads(line) for line in body.splitlines()])
            return 200, {"success": True, "commitOid": "0" * 40, "commitUrl": f"{self.url}/{own}/commit/1"}
        if rest.startswith("/tree/"):
            files = [{"type": "file", "path": name, "size": len(own)} for name, own in self.files[own].items()]
            return 200, [one | {"oid": "0" * 40} for one in files]
        about: dict[str, Any] = {"id": own.partition("/")[2], "_id": "1", "sha": "0" * 40, "tags": []}
        siblings = [{"rfilename": name} for name in self.files[own]]
        return 200, about | {"siblings": siblings, "private": self.private[own]}

    def _commit(self, own: str, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.commits.append(f"{own}: {value['summary']}")
            elif line["key"] == "file":
                self.files[own][value["path"]] = base64.b64decode(value["content"])
            else:
                assert line["key"] == "deletedFile"
                del self.files[own][value["path"]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    kept = Hub()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            assert self.headers["Authorization"] == "Bearer hf_secret" or self.path in OPEN
            code, answer = kept.answer(self.command, self.path.partition("?")[0], body)
            content = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if code == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _do  # noqa: N815 - as the library calls them

        def log_message(self, format: str, *words: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kept.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", kept.url)
    yield kept
    server.shutdown()
    server.server_close()


def block(content: bytes) -> dict[str, Any]:
    """The YAML of a card."""
    found = re.match(r"---\n(.*?)\n---\n", content.decode(), re.DOTALL)
    assert found is not None
    own = yaml.safe_load(found[1])
    assert isinstance(own, dict)
    return own


@pytest.fixture
def small(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished study without weights."""
    undrawn(monkeypatch)
    return made_up(read_command(TINY).study)


@pytest.mark.real
def test_a_study_is_pushed_as_data_set_model_and_space(
    workplace: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    undrawn(monkeypatch)
    train_all(read_command([*TINY, "search.seeds=1", "storage.weights=last"]).study)
    (workplace / "reports").mkdir()
    (workplace / "reports" / "tiny.html").write_text("the page")
    assert main(["push", "tiny", "to=me/tiny", "license=cc-by-4.0"]) == 0
    said = capsys.readouterr().out
    assert said.count(f"Uploaded: {hub.url}/") == 3
    assert set(hub.files) == {"datasets/me/tiny", "models/me/tiny", "spaces/me/tiny"}
    assert set(hub.private.values()) == {True}
    cards = {kind: block(files["README.md"]) for kind, files in hub.files.items()}
    assert {card["license"] for card in cards.values()} == {"cc-by-4.0"}
    # The table is one, whole and checked, and what the hub's own library reads.
    fetched = workplace / "fetched"
    for name, content in hub.files["datasets/me/tiny"].items():
        (fetched / name).parent.mkdir(exist_ok=True)
        (fetched / name).write_bytes(content)
    there, here = open_study(fetched), open_study(study_folder("tiny"))
    assert there.runs["test_error"].tolist() == here.runs["test_error"].tolist()
    from datasets import load_dataset

    rows = load_dataset(str(fetched), "runs", split="train", cache_dir=str(workplace / "cache"))
    assert rows["run"] == here.runs["run"].tolist()
    # The network is what export writes, with its accuracy in the hub's list.
    network = hub.files["models/me/tiny"]
    assert {"model.py", "weights.safetensors", "README.md"} <= set(network)
    (result,) = cards["models/me/tiny"]["model-index"][0]["results"]
    errors = here.runs["test_error"].tolist()
    assert any(1 - result["metrics"][0]["value"] == pytest.approx(error) for error in errors)
    assert cards["models/me/tiny"]["datasets"] == ["me/tiny"]
    # The Space shows the page as it is.
    space = hub.files["spaces/me/tiny"]
    assert (cards["spaces/me/tiny"]["sdk"], cards["spaces/me/tiny"]["app_file"]) == ("static", "index.html")
    assert space["index.html"] == b"the page"
    assert here.config.study.question in space["README.md"].decode()


def test_a_second_push_replaces_what_the_first_wrote_and_keeps_what_people_added(small: Path, hub: Hub) -> None:
    assert main(["push", "tiny", "table", "page", "to=me/tiny", "public=true"]) == 0
    assert set(hub.private.values()) == {False}
    own = hub.files["datasets/me/tiny"]
    own |= {"LICENSE": b"mine", "final_runs.parquet": b"of a round that is no longer there", "runs.parquet": b"old"}
    assert main(["push", "tiny", "table", "to=me/tiny"]) == 0
    assert (own["LICENSE"], "final_runs.parquet" in own) == (b"mine", False)
    assert own["runs.parquet"] == Path("push/tiny/table/runs.parquet").read_bytes()
    assert hub.private["datasets/me/tiny"] is False


def test_a_dry_run_writes_the_folders_and_asks_nobody(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert main(["push", "tiny", "table", "page", "--dry"]) == 0
    said = capsys.readouterr().out
    assert "dataset USER/tiny" in said
    assert "runs.parquet" in said
    assert "Nothing was uploaded" in said
    assert block(Path("push/tiny/page/README.md").read_bytes())["sdk"] == "static"
    parts = block(Path("push/tiny/table/README.md").read_bytes())["configs"]
    assert [one["config_name"] for one in parts][:2] == ["runs", "epochs"]


@pytest.mark.real
def test_what_cannot_be_pushed_is_said_in_one_line_before_anything_is_uploaded(
    small: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: str) -> str:
        capsys.readouterr()
        assert main(["push", "tiny", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "explorer push tiny to=USER/tiny" in refused()
    assert "allowed: USER/REPO" in refused("to=tiny")
    assert "the weights of" in refused("to=me/tiny")
    assert refused("to=me/tiny").endswith("explorer push tiny table page to=me/tiny")
    asked = ["to=me/tiny", "license=mit", "folder=there", "--dry"]
    assert refused(*asked).endswith("explorer push tiny table page to=me/tiny license=mit folder=there dry=true")
    assert refused("--dry").endswith("explorer push tiny table page dry=true")
    assert "folder=" not in refused("to=me/tiny")
    hub.files["datasets/me/tiny"] = {"README.md": b"", "photos.zip": b"of years"}
    hub.private["datasets/me/tiny"] = False
    assert "holds something else (photos.zip)" in refused("table", "to=me/tiny")
    del hub.files["datasets/me/tiny"]
    assert hub.commits == []
    hub.fails = "spaces"
    assert "push: space me/tiny: " in refused("table", "page", "to=me/tiny")
    assert [one.partition(":")[0] for one in hub.commits] == ["datasets/me/tiny"]
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "nowhere")
    assert "nobody is logged in to the hub; say hf auth login, or set HF_TOKEN" in refused("table", "to=me/tiny")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert "push: the hub: " in refused("table", "to=me/tiny")


@pytest.mark.parametrize("part", ["table", "network", "page"])
def test_no_part_of_an_unfinished_study_is_pushed(
    workplace: Path, hub: Hub, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    made_up(read_command(TINY).study, lambda setting, seed: "ok" if seed else "")
    assert main(["push", "tiny", part, "to=me/tiny"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "explorer: studies/tiny: 2 of 4 runs are in; finish the study before it is pushed"
    assert hub.commits == []
