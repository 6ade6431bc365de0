"""Make photographs and animations with Pillow."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, features

from tests.media_conformance import picture_code
from tests.media_conformance.case import Case, Expected, MissingEncoderError, Recipe
from tests.media_conformance.recipes.ordinary import seconds_of_frames

NUMBER, OTHER = 77, 1200  # shown by the photograph, and by what is stored beside it
ORIENTATION = 0x0112  # of Exif
TURNS = (None, *Image.Transpose)
RED = (200, 60, 40)


def _image(number: int = NUMBER, width: int = 128, height: int = 96) -> Image.Image:
    return Image.fromarray(picture_code.draw(number, width, height)).convert("RGB")


def _bytes(image: Image.Image, form: str, **options: Any) -> bytes:
    if form == "AVIF" and not features.check("avif"):
        raise MissingEncoderError("Pillow has no encoder of AVIF")
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def _file(name: str, content: Callable[[], bytes]) -> Recipe:
    def recipe(where: Path) -> Path:
        path = where / name
        path.write_bytes(content())
        return path

    return recipe


def _saved(name: str, form: str, *, mode: str = "RGB", **options: Any) -> Recipe:
    return _file(name, lambda: _bytes(_image().convert(mode), form, **options))


def _turned(orientation: int) -> tuple[Image.Image, Image.Exif]:
    """Return the image turned so that Pillow shows it upright after applying the orientation."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    for turn in TURNS:
        stored = _image() if turn is None else _image().transpose(turn)
        stored.getexif()[ORIENTATION] = orientation
        shown = ImageOps.exif_transpose(stored)
        if picture_code.read(np.asarray(shown)) == (NUMBER, "upright"):
            return stored, exif
    raise AssertionError(f"no turn for orientation {orientation}")


def _with_orientation(name: str, form: str, orientation: int, **options: Any) -> Recipe:
    def content() -> bytes:
        image, exif = _turned(orientation)
        image.getexif().clear()
        return _bytes(image, form, exif=exif, **options)

    return _file(name, content)


def _hidden(name: str, form: str, **options: Any) -> Recipe:
    """Save an image of full transparency over red."""
    return _file(name, lambda: _bytes(Image.new("RGBA", (128, 96), (*RED, 0)), form, **options))


def _animation(name: str, form: str, **options: Any) -> Recipe:
    """Save ten frames of 0.2 s."""

    def content() -> bytes:
        first, *others = [_image(number) for number in range(10)]
        return _bytes(first, form, save_all=True, append_images=others, duration=200, **options)

    return _file(name, content)


def _heic(where: Path, **options: Any) -> Path:
    import pillow_heif

    pillow_heif.from_pillow(_image()).save(where / "a.heic", quality=90, **options)
    return where / "a.heic"


def _gain_map() -> bytes:
    return _bytes(_image(OTHER, 64, 48).convert("L"), "JPEG")


def _large(where: Path) -> Path:
    """Save a photograph of 200 megapixels, 16320 x 12240 as phones store it, with little detail."""
    image = Image.fromarray(picture_code.draw(NUMBER, 16320, 12240))
    image.save(where / "a.jpg", quality=80)
    return where / "a.jpg"


def _photograph(
    name: str,
    recipe: Recipe,
    *,
    fast: bool = False,
    shape: tuple[int, int] = (96, 128),
    warnings: tuple[str, ...] | None = (),
) -> Case:
    expected = Expected(0, (NUMBER,), shape=shape, warnings=warnings, tolerance=1e-6)
    return Case(name, recipe, expected, fast)


def _white(name: str, recipe: Recipe) -> Case:
    return Case(name, recipe, Expected(0, (...,), colours={(0.5, 0.5): (255, 255, 255)}, tolerance=1e-6))


def _animated(name: str, recipe: Recipe, *, fast: bool = False) -> Case:
    # An animated AVIF holds its first image a second time, as a stream of its own.
    warnings = None if "avif" in name else ()
    return Case(name, recipe, Expected(2, seconds_of_frames(2), (...,) * 2, warnings=warnings), fast)


def _red_tiff() -> bytes:
    return _bytes(Image.new("RGB", (128, 96), RED), "TIFF", compression="jpeg", quality=95)


def _several(form: str, **options: Any) -> bytes:
    return _bytes(_image(), form, save_all=True, append_images=[_image(OTHER)], **options)


CASES = (
    _photograph("jpeg", _saved("a.jpg", "JPEG"), fast=True),
    _photograph("jpeg_progressive", _saved("a.jpg", "JPEG", progressive=True)),
    _photograph("jpeg_grey", _saved("a.jpg", "JPEG", mode="L")),
    _photograph("jpeg_cmyk", _saved("a.jpg", "JPEG", mode="CMYK")),
    _photograph("png", _saved("a.png", "PNG"), fast=True),
    _photograph("png_palette", _saved("a.png", "PNG", mode="P")),
    _photograph("png_1_bit", _saved("a.png", "PNG", mode="1")),
    _photograph("bmp", _saved("a.bmp", "BMP")),
    _photograph("webp", _saved("a.webp", "WEBP"), fast=True),
    _photograph("webp_lossless", _saved("a.webp", "WEBP", lossless=True)),
    _photograph("tiff", _saved("a.tif", "TIFF")),
    _photograph("tiff_lzw", _saved("a.tif", "TIFF", compression="tiff_lzw")),
    _photograph("jpeg_2000", _saved("a.jp2", "JPEG2000")),
    _photograph("avif", _saved("a.avif", "AVIF", quality=90), fast=True),
    _photograph("heic", _heic, fast=True),
    _photograph("gif_of_one_frame", _saved("a.gif", "GIF")),
    _photograph("gif_of_one_frame_for_3_s", _saved("a.gif", "GIF", duration=3000), fast=True),
    _photograph("jpeg_mpo", _file("a.jpg", lambda: _several("MPO")), fast=True),
    _photograph("jpeg_with_gain_map", _file("a.jpg", lambda: _bytes(_image(), "JPEG") + _gain_map()), fast=True),
    _photograph(
        "jpeg_with_larger_image",
        _file("a.jpg", lambda: _bytes(_image(), "JPEG") + _bytes(_image(OTHER, 512, 384), "JPEG")),
    ),
    _photograph("tiff_of_two_pages", _file("a.tif", lambda: _several("TIFF"))),
    _photograph("png_joined", _file("a.png", lambda: _bytes(_image(), "PNG") + _bytes(_image(OTHER), "PNG"))),
    *(_photograph(f"jpeg_exif_{n}", _with_orientation("a.jpg", "JPEG", n), fast=n == 5) for n in range(1, 9)),
    *(_photograph(f"png_exif_{n}", _with_orientation("a.png", "PNG", n)) for n in (2, 6, 7)),
    *(_photograph(f"webp_exif_{n}", _with_orientation("a.webp", "WEBP", n)) for n in (4, 8)),
    *(_photograph(f"tiff_exif_{n}", _with_orientation("a.tif", "TIFF", n)) for n in (2, 5, 6)),
    _white("png_transparent", _hidden("a.png", "PNG")),
    _white("webp_transparent", _hidden("a.webp", "WEBP", lossless=True, exact=True)),
    Case(
        "tiff_with_jpeg",
        _file("a.tif", _red_tiff),
        Expected(0, (...,), colours={(0.5, 0.5): RED}, tolerance=1e-6),
    ),
    _animated("gif_animated", _animation("a.gif", "GIF", loop=0)),
    _animated("webp_animated", _animation("a.webp", "WEBP"), fast=True),
    _animated("png_animated", _animation("a.png", "PNG")),
    _animated("avif_animated", _animation("a.avif", "AVIF", quality=90)),
    _photograph("jpeg_200_megapixels", _large),
)
