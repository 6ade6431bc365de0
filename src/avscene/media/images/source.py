"""Open a still image or an animated WebP with Pillow, and yield its images as frames of a recording."""

import importlib
import os
import stat
import warnings as python_warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from avscene.errors import MediaError
from avscene.media.decode import MediaFile
from avscene.media.decoded import DecodedFrame, DecodedItem, DecodeMode, SkippedSpan, StreamEnd
from avscene.media.images import webp
from avscene.media.images.formats import HEIC, JPEG, WEBP, ImageFormat, read_format
from avscene.media.images.heif import consists_of_tiles
from avscene.media.images.pixels import read_orientation, reduce_to_8_bits, to_upright_rgb
from avscene.media.limits import ADVICE, Limits
from avscene.media.packets.selection import HasTarget
from avscene.records import ByteArray, Modality

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile
    from PIL.JpegImagePlugin import JpegImageFile

JPEG_SCALES = (2, 4, 8)  # at which libjpeg can decode


@dataclass(frozen=True, slots=True, eq=False)
class ImageFrame:
    """An image in a file that Pillow has open, to be decoded when its pixels are needed."""

    image: "Image.Image"
    index: int
    orientation: int

    def to_rgb(self, size: int) -> ByteArray:
        """Return upright RGB (height, width, 3) whose shorter side is at most `size` pixels.

        Raises:
            ValueError: the image is damaged.
        """
        try:
            if self.image.tell() != self.index:
                self.image.seek(self.index)
            return to_upright_rgb(self.image, self.orientation, size)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # damaged images raise errors of many types
            raise ValueError(str(error)) from None


class ImageSource:
    """One open photograph or animated WebP, to be decoded once, with the interface of `MediaFile` to `Recording`.

    Args:
        path: The file.
        image: The image, decoded if it is a photograph.
        n_bytes: Size of the file.
        durations: Seconds of each frame of an animation; empty for a photograph.
        warnings: Problems with the image.
    """

    def __init__(
        self, path: Path, image: "Image.Image", n_bytes: int, durations: list[float], warnings: list[str]
    ) -> None:
        self.path, self.n_bytes, self.warnings = path, n_bytes, warnings
        self.photograph = not durations
        self.stated_end: float | None = None
        self.streams: dict[Modality, Image.Image] = {"video": image}
        self._durations = durations or [0.0]
        self._orientation = read_orientation(image)

    def close(self) -> None:
        """Forget the image; the file was closed after it was read."""
        self.streams["video"].close()

    def decode(
        self,
        modes: Mapping[Modality, DecodeMode],
        has_target: HasTarget | None = None,  # noqa: ARG002  # frames decode when their pixels are needed
    ) -> Iterator[DecodedItem]:
        """Yield the frames, or their times if the video is not decoded; may be called once."""
        time = 0.0
        image = self.streams["video"]
        for index, duration in enumerate(self._durations):
            end = time + duration
            if modes.get("video", "timestamps") == "timestamps":
                yield SkippedSpan(time, end, "video")
            else:
                frame = ImageFrame(image, image.tell() if self.photograph else index, self._orientation)
                yield DecodedFrame(time, end, frame)
            time = end
        yield StreamEnd("video")

    def may_be_photograph(self) -> bool:
        """Return whether the file is a photograph."""
        return self.photograph

    def undecodable_error(self, modalities: list[Modality]) -> MediaError:
        """Make the error for a file of whose `modalities` nothing could be decoded."""
        return MediaError(f"{self.path}: its {' and '.join(modalities)} cannot be decoded")


def open_source(
    path: Path, ignore: Modality | None, decoder: str, limits: Limits, program: int | None
) -> "ImageSource | MediaFile":
    """Open a file with Pillow if its first bytes are those of a still image or an animated WebP, else with FFmpeg.

    Of a file with several images, the first is the photograph (of HEIC and AVIF, the primary one): the others are gain
    maps, previews, or other pages. Animated GIF and PNG, sequences in AVIF and HEIF, and joined images that make a
    video (see `formats`) are read by FFmpeg, and so are photographs of which Pillow can decode nothing.

    Args:
        path: The file.
        ignore: A modality that is not decoded from this file.
        decoder: Where video is decoded if possible.
        limits: Limits of a recording.
        program: Number of the programme that is read; images have none, which `MediaFile` reports.

    Raises:
        MediaError: as `MediaFile`; or the photograph exceeds the limit of pixels, or consists of tiles and pillow-heif
            is not installed.
    """
    problem = None
    file = _open_file(path)
    if file is not None:
        with file, python_warnings.catch_warnings():  # of damaged metadata, and of sizes that the limits allow
            python_warnings.simplefilter("ignore")
            form = read_format(file)
            if form is not None and program is None:
                source = _open_image(path, file, form, limits)
                if isinstance(source, ImageSource):
                    return source
                problem = source
    media = MediaFile(path, ignore, decoder, limits, program)
    media.warnings += [problem] if problem else []
    return media


def _open_file(path: Path) -> BinaryIO | None:
    """Open a regular file; return None if `MediaFile` has to explain why it cannot be opened."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    return None


def _open_image(path: Path, file: BinaryIO, form: ImageFormat, limits: Limits) -> ImageSource | str | None:
    """Open an image; return None or a warning if FFmpeg has to read it."""
    if form is WEBP:  # its decoder allocates the canvas when it is opened
        _check_pixels(path, webp.canvas_size(file), limits)
    try:
        image = _reader(path, file, form)(file)
        is_video = form.may_be_video and image.is_animated
        n_frames = image.n_frames if form is WEBP else 1
    except MediaError:
        raise
    except Exception:  # noqa: BLE001  # damaged images raise errors of many types; not installed: ImportError
        return None
    if is_video:
        return None
    n_bytes = os.fstat(file.fileno()).st_size
    if n_frames > 1:
        return ImageSource(path, image, n_bytes, webp.frame_durations(file)[:n_frames], [])
    if form is JPEG:
        _scale_while_decoding(image, limits)
    _check_pixels(path, image.size, limits)
    warnings, problem = _load(image)
    if problem is not None:
        return problem
    plain, warning = reduce_to_8_bits(image)
    return ImageSource(path, plain, n_bytes, [], warnings + ([warning] if warning else []))


def _reader(path: Path, file: BinaryIO, form: ImageFormat) -> Any:  # a class of Pillow or a plugin
    try:
        return getattr(importlib.import_module(form.module), form.reader)
    except ImportError:
        if form is HEIC and consists_of_tiles(file):
            problem = "its photograph consists of tiles, which need pillow-heif"
            raise MediaError(f"{path}: {problem}; try: pip install 'avscene[heic]'") from None
        raise
    finally:
        file.seek(0)


def _check_pixels(path: Path, size: tuple[int, int], limits: Limits) -> None:
    megapixels = size[0] * size[1] / 1e6
    if size[0] * size[1] > limits.pixels:
        problem = f"has {megapixels:.4g} megapixels ({size[0]}x{size[1]}), more than {limits.megapixels:g}"
        raise MediaError(f"{path}: {problem}{ADVICE}megapixels={ceil(megapixels)}")


def _scale_while_decoding(image: "JpegImageFile", limits: Limits) -> None:
    """Have a JPEG that exceeds the limit of pixels decoded at the largest scale that does not."""
    width, height = image.size
    if width * height > limits.pixels:
        scale = next((s for s in JPEG_SCALES if ceil(width / s) * ceil(height / s) <= limits.pixels), JPEG_SCALES[-1])
        image.draft(None, (width // scale, height // scale))


def _load(image: "ImageFile") -> tuple[list[str], str | None]:
    """Decode an image as far as possible; return warnings, and a problem if nothing could be decoded."""
    try:
        image.load()
        return [], None
    except Exception as error:  # noqa: BLE001  # damaged images raise errors of many types
        reason = "it needs too much memory" if isinstance(error, MemoryError) else str(error)
    try:
        image.tile = []  # nothing is left to be decoded
        box = image.getbbox(alpha_only=False)
    except Exception:  # noqa: BLE001
        box = None
    if box is None:
        return [], f"may be damaged: Pillow cannot decode it ({reason})"
    percent = floor(100 * box[3] / image.height)
    part = f"only {percent} % of its rows could be decoded" if percent < 100 else "a part of it could not be decoded"
    return [f"is damaged: {part}"], None
