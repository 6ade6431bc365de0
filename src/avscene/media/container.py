"""A file that nobody vouches for -> an open container and the streams in it worth decoding."""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Disposition, Stream

from avscene.errors import MediaError
from avscene.records import Modality

# Only these demuxers may look at a file. Absent on purpose are those that follow what a file names (hls,
# dash, concat, sdp, image2 and its patterns, imf ...), those that open devices or run scripts (lavfi, avs,
# vapoursynth) and those that read anything at all (tty, data, rawvideo).
FORMATS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,live_flv,asf,ogg,wav,w64,mp3,aac,ac3,ac4,eac3,flac,amr,amrnb,amrwb,"
    "aiff,au,caf,gif,apng,mpegvideo,h261,h263,h264,hevc,vvc,m4v,vc1,obu,av1,ivf,mxf,gxf,rm,dv,nut,wv,ape,tta,tak,dts,"
    "dtshd,truehd,mlp,loas,mjpeg,wtv,yuv4mpegpipe,voc,mpc,mpc8,dsf,nsv,swf,jpeg_pipe,png_pipe,webp,webp_pipe,bmp_pipe,"
    "tiff_pipe,jpegxl_pipe,jpegxl_anim,j2k_pipe,pbm_pipe,pgm_pipe,ppm_pipe,pam_pipe,qoi_pipe,sgi_pipe,sunrast_pipe,"
    "exr_pipe,hdr_pipe,dds_pipe,pcx_pipe,psd_pipe"
)
MAX_PIXELS = 2**27  # of one image, 0.4 GB as RGB: more than any camera's, less than a hostile header can claim
HEAD = 2**20  # bytes read to explain why a file cannot be opened

# Decoders that everyday files need; a PyAV built without one cannot read them.
COMMON_DECODERS = ("h264", "hevc", "vp9", "av1", "mjpeg", "png", "aac", "mp3", "opus", "flac", "pcm_s16le")


def missing_decoders() -> list[str]:
    """Those of COMMON_DECODERS that this PyAV lacks."""
    return [name for name in COMMON_DECODERS if name not in av.codecs_available]


def open_container(path: Path, hwaccel: HWAccel | None = None) -> InputContainer:
    """Open `path` so that ffmpeg can read this one file and nothing else.

    ffmpeg never sees the name: it gets an open file by number and the only protocol that it may use is that
    number. So `concat:a|b`, `http:x` and `%03d.jpg` are plain names, a playlist leads nowhere, and reading
    costs no call into Python (60 MB are demuxed as fast as by name). `hwaccel` is a device to decode on.

    Raises:
        MediaError: the file is absent, empty, not readable or not media, or the device cannot be opened.
    """
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        raise MediaError(f"{path}: {_refusal(error)}") from None
    try:
        state = os.fstat(number)
        if not stat.S_ISREG(state.st_mode):
            what = "a directory" if stat.S_ISDIR(state.st_mode) else "not a file"
            raise MediaError(f"{path}: is {what}, a media file is needed")
        if state.st_size == 0:
            raise MediaError(f"{path}: is empty (0 bytes)")
        return _open_number(number, path, hwaccel)
    finally:
        os.close(number)  # ffmpeg has its own duplicate


def _open_number(number: int, path: Path, hwaccel: HWAccel | None) -> InputContainer:
    options = {
        "fd": str(number),
        "protocol_whitelist": "fd",
        "format_whitelist": FORMATS,
        "max_pixels": str(MAX_PIXELS),
    }
    try:
        return av.open("fd:", options=options, metadata_errors="replace", hwaccel=hwaccel)
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        if hwaccel is not None:
            os.lseek(number, 0, os.SEEK_SET)
            _open_number(number, path, None).close()  # a fault of the file is told as ever
            raise MediaError(f"{path}: the device does not open ({reason(error)}); use --decoder cpu") from None
        raise MediaError(f"{path}: {_diagnosis(number, error)}") from None


def reason(error: BaseException) -> str:
    """What ffmpeg or the system says of an error, as a short phrase."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)[:1].lower() + str(text)[1:]


def _refusal(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "not found"
    if isinstance(error, PermissionError):
        return "may not be read (no permission)"
    if isinstance(error, IsADirectoryError):
        return "is a directory, a media file is needed"
    return f"cannot be opened ({reason(error)})"


def _diagnosis(number: int, error: BaseException) -> str:
    """Why ffmpeg refused the open file `number`, by a look at its bytes."""
    os.lseek(number, 0, os.SEEK_SET)
    head = os.read(number, HEAD)
    if re.match(rb"\s*(#EXTM3U|ffconcat)", head.removeprefix(b"\xef\xbb\xbf")):
        return "is a playlist; what it names is not followed"
    if re.search(rb"encv|enca|pssh", head):
        return "is encrypted"
    if head[4:8] == b"ftyp" and "moov" not in _boxes(number):
        return "is truncated: its index (moov) is missing, so nothing in it can be found"
    return f"is not a media file that can be read ({reason(error)})"


def _boxes(number: int) -> set[str]:
    """Names of the top-level boxes of an mp4."""
    names: set[str] = set()
    place, size = 0, os.fstat(number).st_size
    while place + 8 <= size and len(names) < 1000:
        os.lseek(number, place, os.SEEK_SET)
        header = os.read(number, 16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:  # the length is a 64-bit number behind the name
            length = int.from_bytes(header[8:16], "big")
        names.add(header[4:8].decode("latin-1"))
        place += length if length >= 8 else size  # 0: to the end of the file
    return names


def _decodable(stream: Stream) -> bool:
    context = stream.codec_context
    return context is not None and context.codec is not None and context.is_decoder


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _pixels(stream: Stream) -> int:
    context = stream.codec_context
    return context.width * context.height if isinstance(context, av.VideoCodecContext) else 0


def choose(container: InputContainer, modality: Modality) -> tuple[Stream | None, str | None]:
    """The stream to decode for one modality, and what to tell the user if there was a choice.

    Of several ffmpeg's own judgement decides (default flag, bit rate, number of frames), among those that it
    can decode; of the pictures of a photograph (HEIC holds thumbnails and tiles) the largest.
    """
    every: Sequence[Stream] = container.streams.video if modality == "video" else container.streams.audio
    usable = [stream for stream in every if _decodable(stream) and not _is_cover(stream)]
    whole = [stream for stream in usable if not stream.disposition & Disposition.dependent] or usable
    if not whole:
        return None, None
    best = container.streams.best(modality)
    if best not in whole or container.duration is None:
        best = max(whole, key=_pixels)
    if len(usable) == 1:
        return best, None
    return best, f"{len(usable)} {modality} streams: took #{best.index}{_format(best)}"


def _format(stream: Stream) -> str:
    context = stream.codec_context
    if isinstance(context, av.VideoCodecContext):
        return f" ({context.width}x{context.height})"
    return f" ({context.channels} channels)" if isinstance(context, av.AudioCodecContext) else ""


def lacks(container: InputContainer, path: Path) -> MediaError:
    """The error that says what a file without a usable stream holds instead."""
    held = [stream for stream in (*container.streams.audio, *container.streams.video) if not _decodable(stream)]
    if held:
        kinds = " and ".join(sorted({s.type for s in held if s.type in ("audio", "video")}))
        return MediaError(f"{path}: its {kinds} cannot be decoded: {_unknown_codec(path, container)}")
    names = ", ".join(_described(stream) for stream in container.streams) or "none"
    return MediaError(f"{path}: has no audio and no video (streams: {names})")


def is_encrypted(stream: Stream) -> bool:
    """Whether the container says so."""
    try:
        tag = stream.codec_context.codec_tag
    except ValueError:  # not ASCII
        tag = ""
    return "enc_key_id" in stream.metadata or tag in ("encv", "enca")


def _described(stream: Stream) -> str:
    if _is_cover(stream):
        return "cover art"
    context = stream.codec_context
    return f"{stream.type} {context.name}" if context is not None else str(stream.type)


def _unknown_codec(path: Path, container: InputContainer) -> str:
    """Name of a codec without a decoder; PyAV hides it, an mp4's sample table or the format tells."""
    with path.open("rb") as file:
        entries = re.findall(rb"stsd.{4}\x00\x00\x00\x01.{4}([ -~]{4})", file.read(HEAD), re.DOTALL)
    names = sorted({entry.decode("latin-1").strip() for entry in entries}) or [container.format.name]
    if any(name.startswith("enc") for name in names):
        return "it is encrypted"
    return "no decoder for " + ", ".join(f'"{name}"' for name in names)
