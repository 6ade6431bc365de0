"""Open an untrusted media file safely and select its audio and video streams."""

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
from avscene.media.limits import ADVICE, DEFAULT_LIMITS, Limits
from avscene.records import Modality

# The only demuxers that may read a file. Left out on purpose are those that open other files named in it (hls, dash,
# concat, sdp, image2 and its patterns, imf ...), those that open devices or run scripts (lavfi, avs, vapoursynth) and
# those that accept any bytes (tty, data, rawvideo).
ALLOWED_FORMATS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,live_flv,asf,ogg,wav,w64,mp3,aac,ac3,ac4,eac3,flac,amr,amrnb,amrwb,"
    "aiff,au,caf,gif,apng,mpegvideo,h261,h263,h264,hevc,vvc,m4v,vc1,obu,av1,ivf,mxf,gxf,rm,dv,nut,wv,ape,tta,tak,dts,"
    "dtshd,truehd,mlp,loas,mjpeg,wtv,yuv4mpegpipe,voc,mpc,mpc8,dsf,nsv,swf,jpeg_pipe,png_pipe,webp,webp_pipe,bmp_pipe,"
    "tiff_pipe,jpegxl_pipe,jpegxl_anim,j2k_pipe,pbm_pipe,pgm_pipe,ppm_pipe,pam_pipe,qoi_pipe,sgi_pipe,sunrast_pipe,"
    "exr_pipe,hdr_pipe,dds_pipe,pcx_pipe,psd_pipe"
)
HEAD_BYTES = 2**20  # read to explain why a file cannot be opened
MAX_BOXES = 1000

# Decoders that common files need; a PyAV built without one cannot read them.
COMMON_DECODERS = ("h264", "hevc", "vp9", "av1", "mjpeg", "png", "aac", "mp3", "opus", "flac", "pcm_s16le")


def missing_decoders() -> list[str]:
    """Return the COMMON_DECODERS that the installed PyAV lacks."""
    return [name for name in COMMON_DECODERS if name not in av.codecs_available]


def open_container(path: Path, hwaccel: HWAccel | None = None, limits: Limits = DEFAULT_LIMITS) -> InputContainer:
    """Open `path` so that ffmpeg can read this one file and nothing else.

    ffmpeg gets an open file descriptor instead of the name, and descriptors are the only protocol that it may use. So
    `concat:a|b`, `http:x` and `%03d.jpg` are plain names, playlists are not followed, and reading needs no calls into
    Python (60 MB are demuxed as fast as by name).

    Args:
        path: The file.
        hwaccel: The device to decode video on; None is the CPU.
        limits: Limits of a recording, here its pixels and streams.

    Raises:
        MediaError: the file is absent, empty, not readable or not media, or has too many streams, or the device cannot
            be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        raise MediaError(f"{path}: {_open_problem(error)}") from None
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            kind = "a directory" if stat.S_ISDIR(state.st_mode) else "not a file"
            raise MediaError(f"{path}: is {kind}, a media file is needed")
        if state.st_size == 0:
            raise MediaError(f"{path}: is empty (0 bytes)")
        container = _open_descriptor(descriptor, path, hwaccel, limits)
    finally:
        os.close(descriptor)  # ffmpeg has its own duplicate
    if (n_streams := len(container.streams)) > limits.streams:
        container.close()
        problem = f"has {n_streams} streams, more than {limits.streams}"
        raise MediaError(f"{path}: {problem}{ADVICE}streams={n_streams}")
    return container


def _open_descriptor(descriptor: int, path: Path, hwaccel: HWAccel | None, limits: Limits) -> InputContainer:
    options = {
        "fd": str(descriptor),
        "protocol_whitelist": "fd",
        "format_whitelist": ALLOWED_FORMATS,
        "max_pixels": str(limits.pixels),
        "merge_pmt_versions": "1",  # of MPEG-TS: streams whose numbers change in the middle (joined captures) go on
    }
    try:
        return av.open("fd:", options=options, metadata_errors="replace", hwaccel=hwaccel)
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        if hwaccel is not None:
            os.lseek(descriptor, 0, os.SEEK_SET)
            _open_descriptor(descriptor, path, None, limits).close()  # raises if the file itself is the problem
            problem = f"the device cannot be opened ({error_reason(error)})"
            raise MediaError(f"{path}: {problem}; try: --decoder cpu") from None
        raise MediaError(f"{path}: {_format_problem(descriptor, error)}") from None


def error_reason(error: BaseException) -> str:
    """Return the message of ffmpeg or the operating system as a short phrase."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)[:1].lower() + str(text)[1:]


def _open_problem(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "not found"
    if isinstance(error, PermissionError):
        return "cannot be read (no permission)"
    if isinstance(error, IsADirectoryError):
        return "is a directory, a media file is needed"
    return f"cannot be opened ({error_reason(error)})"


def _format_problem(descriptor: int, error: BaseException) -> str:
    """Explain from the bytes of an open file why ffmpeg refused it with `error`."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    head = os.read(descriptor, HEAD_BYTES)
    if re.match(rb"\s*(#EXTM3U|ffconcat)", head.removeprefix(b"\xef\xbb\xbf")):
        return "is a playlist; playlists are not followed"
    if re.search(rb"encv|enca|pssh", head):
        return "is encrypted"
    if head[4:8] == b"ftyp" and "moov" not in _mp4_boxes(descriptor):
        return "is truncated: its index (moov) is missing, so nothing in it can be found"
    return f"is not a media file that can be read ({error_reason(error)})"


def _mp4_boxes(descriptor: int) -> set[str]:
    """Names of the top-level boxes of an mp4."""
    names: set[str] = set()
    position, size = 0, os.fstat(descriptor).st_size
    while position + 8 <= size and len(names) < MAX_BOXES:
        os.lseek(descriptor, position, os.SEEK_SET)
        header = os.read(descriptor, 16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:  # the length is a 64-bit number after the name
            length = int.from_bytes(header[8:16], "big")
        names.add(header[4:8].decode("latin-1"))
        position += length if length >= 8 else size  # 0: to the end of the file
    return names


def _is_decodable(stream: Stream) -> bool:
    context = stream.codec_context
    return context is not None and context.codec is not None and context.is_decoder


def _is_cover_art(stream: Stream) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _n_pixels(stream: Stream) -> int:
    context = stream.codec_context
    return context.width * context.height if isinstance(context, av.VideoCodecContext) else 0


def select_stream(
    container: InputContainer, modality: Modality, streams: Sequence[Stream], related: Stream | None = None
) -> tuple[Stream | None, str | None]:
    """Select from `streams` the one to decode for a modality; return it and a warning if there were several.

    Of several decodable streams, ffmpeg's rule applies (the programme of the `related` stream, then default flag, bit
    rate, number of frames). Of the images of a photograph (HEIC has thumbnails and tiles), the largest is selected.
    """
    usable = [s for s in streams if s.type == modality and _is_decodable(s) and not _is_cover_art(s)]
    independent = [stream for stream in usable if not stream.disposition & Disposition.dependent] or usable
    if not independent:
        return None, None
    best = container.streams.best(modality, related=related)
    if best not in independent or container.duration is None:
        best = max(independent, key=_n_pixels)
    if len(usable) == 1:
        return best, None
    return best, f"{len(usable)} {modality} streams: took #{best.index}{_stream_properties(best)}"


def _stream_properties(stream: Stream) -> str:
    context = stream.codec_context
    if isinstance(context, av.VideoCodecContext):
        return f" ({context.width}x{context.height})"
    return f" ({context.channels} channels)" if isinstance(context, av.AudioCodecContext) else ""


def no_stream_error(container: InputContainer, path: Path) -> MediaError:
    """Make the error for a file without a usable stream; it names the streams that the file has instead."""
    unsupported = [
        stream for stream in (*container.streams.audio, *container.streams.video) if not _is_decodable(stream)
    ]
    if unsupported:
        modalities = " and ".join(sorted({s.type for s in unsupported if s.type in ("audio", "video")}))
        return MediaError(f"{path}: its {modalities} cannot be decoded: {_codec_problem(path, container)}")
    names = ", ".join(_stream_name(stream) for stream in container.streams) or "none"
    return MediaError(f"{path}: has no audio and no video (streams: {names})")


def make_undecodable_error(path: Path, streams: list[Stream], modalities: list[Modality], n_damaged: int) -> MediaError:
    """Make the error for a file of whose `modalities` nothing could be decoded."""
    damage = f"{n_damaged} damaged packet{'s' * (n_damaged > 1)}" if n_damaged else "it holds no data"
    cause = "it is encrypted" if any(is_encrypted(stream) for stream in streams) else damage
    return MediaError(f"{path}: its {' and '.join(modalities)} cannot be decoded: {cause}")


def is_encrypted(stream: Stream) -> bool:
    """Whether the container marks the stream as encrypted."""
    try:
        tag = stream.codec_context.codec_tag
    except ValueError:  # not ASCII
        tag = ""
    return "enc_key_id" in stream.metadata or tag in ("encv", "enca")


def _stream_name(stream: Stream) -> str:
    if _is_cover_art(stream):
        return "cover art"
    context = stream.codec_context
    return f"{stream.type} {context.name}" if context is not None else str(stream.type)


def _codec_problem(path: Path, container: InputContainer) -> str:
    """Name the codec that has no decoder; PyAV hides it, so it is read from an mp4's sample table or the format."""
    with path.open("rb") as file:
        entries = re.findall(rb"stsd.{4}\x00\x00\x00\x01.{4}([ -~]{4})", file.read(HEAD_BYTES), re.DOTALL)
    names = sorted({entry.decode("latin-1").strip() for entry in entries}) or [container.format.name]
    if any(name.startswith("enc") for name in names):
        return "it is encrypted"
    return "no decoder for " + ", ".join(f'"{name}"' for name in names)
