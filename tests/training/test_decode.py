"""What a small file of an image can take: less than a gigabyte, one large image at a time."""

import io
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

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


def noise(mode: str, size: tuple[int, int] = (32, 32), **options: Any) -> bytes:
    """A JPEG file of random pixels."""
    stream, depth = io.BytesIO(), {"L": (), "RGB": (3,), "CMYK": (4,)}[mode]
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], *depth), dtype=np.uint8)
    Image.fromarray(pixels, mode).save(stream, "JPEG", **options)
    return stream.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return noise("RGB", exif=exif)


PLAIN = {
    "plain": noise("RGB"),
    "progressive": noise("RGB", progressive=True),
    "fine": noise("RGB", quality=100, subsampling=0),
    "coarse": noise("RGB", quality=5),
    "restarts": noise("RGB", restart_marker_blocks=1),
}
UNUSUAL = {
    "turned": turned(),
    "grey": noise("L"),
    "four colours": noise("CMYK"),
    "with a profile": noise("RGB", icc_profile=b"x" * 200),
    "with a comment": noise("RGB", comment=b"x"),
    "cut": noise("RGB")[:-300],
    "cut in its header": noise("RGB")[:40],
    "of another size": noise("RGB", (32, 33)),
    "damaged": noise("RGB")[:700] + bytes(100) + noise("RGB")[800:],
    "no image": b"\xff\xd8" * 100,
    "a PNG": file("RGB", (32, 32), "PNG"),
    "empty": b"",
}


def outcome(data: bytes, config: DataConfig) -> bytes | str:
    try:
        return decode(data, config).tobytes()
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("data", [*PLAIN.values(), *UNUSUAL.values()], ids=[*PLAIN, *UNUSUAL])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_short_way_for_plain_jpegs_gives_what_pillow_gives(
    config: DataConfig, monkeypatch: pytest.MonkeyPatch, data: bytes, channels: int
) -> None:
    own = replace(config, resize=None, channels=channels)  # type: ignore[arg-type]
    short = outcome(data, own)
    monkeypatch.setattr(decoding, "_plain_jpeg", lambda *_: None)
    assert outcome(data, own) == short


def test_plain_jpegs_take_the_short_way(config: DataConfig) -> None:
    own = replace(config, resize=None)
    assert all(decoding._plain_jpeg(data, own) is not None for data in PLAIN.values())
    assert decoding._plain_jpeg(UNUSUAL["grey"], replace(own, channels=1)) is not None
    assert all(decoding._plain_jpeg(data, own) is None for name, data in UNUSUAL.items() if name != "damaged")
