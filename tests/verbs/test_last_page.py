"""The page of a study that was interrupted is drawn once more, on the word of whoever leaves."""

from pathlib import Path
from typing import ClassVar

import pytest

from explorer.verbs.live import LAST, REST, keep_drawn


@pytest.mark.parametrize("word", [LAST, None])
def test_the_last_page_is_drawn_when_it_is_asked_for(
    word: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    did: list[str | None] = []

    class Pipe:
        said: ClassVar[list[str | None]] = [word] if word else [None, None]

        def poll(self, timeout: float) -> bool:
            return True

        def recv(self) -> str | None:
            if not self.said:
                raise EOFError
            return self.said.pop()

        def send(self, word: str | None) -> None:
            did.append("answered")

    def draw_stale(*_: object) -> float:
        did.append("drawn")
        return 0.0

    monkeypatch.setattr("explorer.verbs.live._draw_stale", draw_stale)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("os.nice", lambda _: None)
    keep_drawn(Pipe(), tmp_path, 10.0, REST)  # type: ignore[arg-type]
    assert did == (["drawn", "answered"] if word else ["answered", "answered"])
