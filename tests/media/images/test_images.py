"""Test that still images are read as viewers show them: expected pixels are Pillow's, sizes and times by law."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageOps

from avscene.errors import MediaError
from avscene.media.limits import Limits
from avscene.media.segments import Recording, Sampling
from avscene.media.workers import IsolatedRecording
from avscene.records import ByteArray
from tests.support.media_files import corner_colours
from tests.support.side_data import icc_profile
from tests.support.still_images import ORIENTATION, SIZE, colour_image, content, corner_image, tiled_heic, write_heic

pillow_heif.register_heif_opener()
OTHER = corner_image().rotate(180)
GAIN = content(Image.new("L", (32, 24), 128), "jpeg")


def read(path: Path, limits: Limits | None = None) -> tuple[ByteArray, tuple[str, ...]]:
    """Return the pixels of the only segment, of no duration, and the warnings."""
    with Recording(path, limits=limits or Limits()) as recording:
        (segment,) = recording.segments(Sampling(frame_size=10**6))
    assert (recording.duration, segment.start, segment.end, len(segment.frames)) == (0.0, 0.0, 0.0, 1)
    return segment.frames[0].pixels, recording.warnings


def check(path: Path, expected: Image.Image, tolerance: int = 0) -> None:
    pixels, warnings = read(path)
    assert warnings == ()
    difference = np.abs(pixels.astype(int) - np.asarray(expected, int))
    assert difference.max() <= tolerance


SEVERAL: dict[str, Callable[[Image.Image], bytes]] = {
    "gain_map.jpg": lambda image: content(image, "jpeg") + GAIN,
    "joined.jpg": lambda image: content(image, "jpeg") + content(OTHER, "jpeg") * 3,
    "several.jpg": lambda image: content(image, "mpo", save_all=True, append_images=[OTHER]),
    "joined.png": lambda image: content(image, "png") + content(OTHER, "png"),
    "shown_for_3_s.gif": lambda image: content(image, "gif", duration=3000),
    "one_frame.webp": lambda image: content(image, "webp", save_all=True, duration=3000),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_the_first_image_is_the_photograph(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(SEVERAL[name](corner_image()))
    pixels, warnings = read(tmp_path / name)
    assert (pixels.shape, corner_colours(pixels), warnings) == ((48, 64, 3), "rgwb", ())


def test_the_first_page_is_the_photograph(tmp_path: Path) -> None:
    corner_image().save(tmp_path / "a.tiff", save_all=True, append_images=[OTHER.copy()])
    check(tmp_path / "a.tiff", corner_image())


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_five_joined_images_of_one_size_are_a_video(tmp_path: Path, form: str) -> None:
    (tmp_path / "a").write_bytes(content(corner_image(), form) * 5)
    with Recording(tmp_path / "a") as recording:
        list(recording.segments(Sampling(frame_size=48)))
    assert recording.duration == pytest.approx(5 / 25)  # ffmpeg's rate for joined images


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff", ".avif", ".heic"])
def test_orientations_are_those_of_exif_transpose(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"a{suffix}"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    if suffix == ".heic":
        write_heic(path, corner_image(), orientation)
    else:
        corner_image().save(path, exif=exif)
    with Image.open(path) as image:
        check(path, ImageOps.exif_transpose(image).convert("RGB"))


def over_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tiff", "a.avif", "grey.png", "palette.png", "palette.gif"])
def test_transparent_pixels_are_shown_over_white(tmp_path: Path, name: str) -> None:
    image = colour_image().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(SIZE))
    if name == "grey.png":
        image = image.convert("LA")
    if name.startswith("palette"):
        colour_image().quantize(16).save(tmp_path / name, transparency=3)
    else:
        image.save(tmp_path / name)
    with Image.open(tmp_path / name) as saved:
        check(tmp_path / name, over_white(saved))


def deep(dtype: type, factor: float) -> Image.Image:
    return Image.fromarray((np.asarray(colour_image().convert("L"), float) * factor).astype(dtype))


KINDS: dict[str, tuple[Image.Image, dict[str, object], int]] = {
    "deep.png": (deep(np.uint16, 257), {}, 0),
    "deep.tiff": (deep(np.uint16, 257), {}, 0),
    "float.tiff": (deep(np.float32, 1 / 255), {}, 0),
    "bits.png": (colour_image().convert("L").point(lambda v: 255 * (v > 99), "1"), {}, 0),
    "cmyk.jpg": (colour_image().convert("CMYK"), {"quality": 95}, 12),
    "compressed.tiff": (colour_image(), {"compression": "jpeg", "quality": 95}, 12),
    "a.bmp": (colour_image(), {}, 0),
    "a.jp2": (colour_image(), {}, 0),
}


@pytest.mark.parametrize("name", KINDS)
def test_images_of_every_kind_have_their_colours(tmp_path: Path, name: str) -> None:
    image, options, tolerance = KINDS[name]
    image.save(tmp_path / name, **options)
    if name.startswith(("deep", "float")):
        expected = colour_image().convert("L").convert("RGB")
    else:
        expected = image.convert("RGB")
    check(tmp_path / name, expected, tolerance)


def test_colours_are_converted_by_the_profile_and_an_unusable_one_is_ignored(tmp_path: Path) -> None:
    image = colour_image()
    srgb = icc_profile()
    exchanged = srgb.replace(b"rXYZ", b"?XYZ").replace(b"gXYZ", b"rXYZ").replace(b"?XYZ", b"gXYZ")
    red, green, blue = image.split()
    of_other_colours = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    swapped = Image.merge("RGB", (green, red, blue))
    for profile, expected in ((srgb, image), (exchanged, swapped), (of_other_colours, image), (b"damaged" * 20, image)):
        image.save(tmp_path / "a.png", icc_profile=profile)
        check(tmp_path / "a.png", expected, 2)


def test_a_photograph_of_tiles_is_read_whole_or_names_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiled_heic(tmp_path / "a.heic", corner_image((64, 64)), 3, 2)
    assert read(path)[0].shape == (128, 192, 3)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MediaError, match=r"consists of tiles, .*; try: pip install 'avscene\[heic\]'"):
        Recording(path)
    assert read(write_heic(tmp_path / "b.heic", corner_image((64, 64))))[0].shape == (64, 64, 3)


@pytest.mark.timeout(120)
def test_a_jpeg_of_200_megapixels_is_read_and_other_images_name_the_limit(tmp_path: Path) -> None:
    huge = corner_image().resize((16320, 12240), Image.Resampling.NEAREST)
    huge.save(tmp_path / "a.jpg", quality=50)
    with IsolatedRecording(tmp_path / "a.jpg") as recording:
        (segment,) = recording.segments(Sampling(frame_size=48))
    assert (segment.frames[0].pixels.shape, corner_colours(segment.frames[0].pixels)) == ((48, 64, 3), "rgwb")
    Image.new("1", (16320, 12240)).save(tmp_path / "a.png")
    message = r"has 199\.8 megapixels \(16320x12240\), more than 134; to allow more: --limit megapixels=200$"
    with pytest.raises(MediaError, match=message), IsolatedRecording(tmp_path / "a.png"):
        pass


def test_an_animated_webp_is_a_video_with_the_times_of_its_frames(tmp_path: Path) -> None:
    frames = [Image.new("RGB", SIZE, (40 * k,) * 3) for k in range(5)]
    options = {"duration": [500, 1000, 500, 1000, 0], "lossless": True}
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], **options)
    with Recording(tmp_path / "a.webp") as recording:
        found = [f for s in recording.segments(Sampling(0.5, frame_size=48)) for f in s.frames]
    assert recording.duration == pytest.approx(3.1)  # browsers show a frame without a duration for 0.1 s
    assert [int(f.pixels.mean()) for f in found] == [0, 40, 40, 80, 120, 120]


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_of_a_truncated_photograph_the_upper_part_is_shown_with_a_warning(tmp_path: Path, form: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(1, 256, (480, 640, 3), np.uint8))
    whole = content(noise, form)
    (tmp_path / "a").write_bytes(whole[: len(whole) // 2])
    pixels, warnings = read(tmp_path / "a")
    with Image.open(tmp_path / "a") as image, pytest.MonkeyPatch.context() as patch:
        patch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
        expected = np.asarray(image.convert("RGB"))
    (warning,) = warnings
    found = re.fullmatch(r"is damaged: only (\d+) % of its rows could be decoded", warning)
    assert found
    n_rows = 480 * int(found[1]) // 100 // 16 * 16  # a JPEG consists of blocks of 16 rows
    assert 180 <= n_rows <= 260
    assert np.array_equal(pixels[: n_rows - 16], expected[: n_rows - 16])
    (tmp_path / "b").write_bytes(whole[:100])
    with pytest.raises(MediaError):
        read(tmp_path / "b")


@pytest.mark.parametrize("head", [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x0a\x05\x01\x08", b"/* XPM */\n"])
def test_formats_beyond_the_list_are_not_opened(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(head + b"%%BoundingBox: 0 0 100 100\n" + bytes(100))
    with pytest.raises(MediaError):
        read(tmp_path / "a.jpg")
