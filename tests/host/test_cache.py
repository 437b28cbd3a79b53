"""What a user keeps between studies is that user's alone."""

import os
from pathlib import Path

import pytest

from explorer.host.cache import cache_folder, is_own, remember, remembered, secret_file


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_only_its_user_may_enter_the_cache_also_one_that_an_earlier_version_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    remember({"a": 1})
    assert mode(tmp_path / "new" / "resnext-explorer") == 0o700
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "resnext-explorer").mkdir()
    (tmp_path / "resnext-explorer").chmod(0o777)
    assert mode(cache_folder("kernels")) == 0o700
    assert mode(cache_folder()) == 0o700


def test_a_cache_that_cannot_be_made_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    remember({"a": 1})
    assert remembered("a", int) is None
    assert not is_own(cache_folder())


def test_what_others_can_write_is_not_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(mode=0o600)
    assert is_own(path)
    for open_to in (0o620, 0o602):
        path.chmod(open_to)
        assert not is_own(path)
    path.chmod(0o600)
    (tmp_path / "link").symlink_to(path)
    assert not is_own(tmp_path / "link")
    if os.getuid() == 0:
        os.chown(path, 12345, 12345)
        assert not is_own(path)


def test_a_secret_can_be_read_by_its_user_alone() -> None:
    before = os.umask(0)
    try:
        path = secret_file("token")
    finally:
        os.umask(before)
    assert (path.read_text(), mode(path), mode(path.parent)) == ("token", 0o600, 0o700)
    path.unlink()
    path.parent.rmdir()
