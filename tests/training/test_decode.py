"""What a small file of an image can take: less than a gigabyte, one large image at a time."""

import io
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explorer.study.settings import DataConfig
from explorer.training.images import decode as decoding
from explorer.training.images.decode import check, decode
from explorer.verbs.command_line import read_command

SIDE = 8192


@pytest.fixture
def config() -> DataConfig:
    data = read_command(["study=equal_params", "data=folder", "data.path=x", "data.classes=2", "data.image_size=32"])
    return replace(data.study.data, resize=32, channels=3)


def file(mode: str, size: tuple[int, int], kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return stream.getvalue()


@pytest.mark.parametrize("size", [(70_000, 1), (1, 70_000)])
def test_a_line_of_pixels_becomes_no_ribbon(config: DataConfig, size: tuple[int, int]) -> None:
    data = file("RGB", size, "PNG")
    for reader in (decode, check):
        with pytest.raises(ValueError, match="pixels, too thin to be resized to 32"):
            reader(data, config)
    assert decode(file("RGB", (60_000, 1), "PNG"), config).shape == (3, 32, 32)


def test_an_image_of_16_bits_is_scaled_as_a_whole_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 2**16, (37, 23), dtype=np.uint16)
    monkeypatch.setattr(decoding, "ROWS", 100)
    found = decoding._of_8_bits(pixels)
    assert (found == (pixels.astype(np.float64) / 257).clip(0, 255).round().astype(np.uint8)).all()


def test_a_process_decodes_large_images_one_at_a_time(config: DataConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most, real = [0], [0], decoding._in_colours

    def watched(image: Image.Image, channels: int) -> Image.Image:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.05)
        inside[0] -= 1
        return real(image, channels)

    monkeypatch.setattr(decoding, "_in_colours", watched)
    data = file("RGB", (64, 64), "PNG")
    for large, alone in ((2**10, True), (2**22, False)):
        monkeypatch.setattr(decoding, "LARGE", large)
        most[0] = 0
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: decode(data, config), range(8)))
        assert (most[0] == 1) == alone


DECODES = """
import sys
from explorer.study.settings import DataConfig
from explorer.training.images.decode import decode
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
data, before = open(sys.argv[1], "rb").read(), peak()
try:
    decode(data, DataConfig("x", "x", 3, 32, 2, None, None, None, 0, source="folder", path="x", resize=32))
except ValueError:
    pass
print((peak() - before) // 1024)
"""
LARGEST = [
    ("RGBA", (SIDE, SIDE), "PNG"),
    ("LA", (SIDE, SIDE), "PNG"),
    ("I;16", (SIDE, SIDE), "PNG"),
    ("CMYK", (SIDE, SIDE), "JPEG"),
    ("RGB", (SIDE, SIDE), "WEBP"),
    ("RGBA", (SIDE, SIDE // 2), "WEBP"),
    ("RGBA", (1, SIDE * SIDE), "PNG"),
]


@pytest.mark.real
@pytest.mark.parametrize(("mode", "size", "kind"), LARGEST)
def test_the_largest_images_take_less_than_a_gigabyte(
    tmp_path: Path, mode: str, size: tuple[int, int], kind: str
) -> None:
    (tmp_path / "image").write_bytes(file(mode, size, kind))
    done = subprocess.run([sys.executable, "-c", DECODES, tmp_path / "image"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1000
