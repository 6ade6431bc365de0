"""Write small files whose frames have side data of every kind that ffmpeg's decoders make."""

import io
import struct
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.filter import Graph
from PIL import Image, ImageCms

from tests.support.media_files import Writer, corner_frame, tone_samples

SIZE = (64, 48)  # width, height
N_FRAMES = 4
EXIF_KIND = 31  # of frames' side data in FFmpeg 8; PyAV has no name for it

# The number of each kind, as in ffmpeg's libavutil/frame.h.
KINDS = {kind.name: int(kind.value) for kind in av.sidedata.sidedata.Type} | {"EXIF": EXIF_KIND}


def icc_profile() -> bytes:
    """Return the ICC profile of sRGB; its name is what PNG decoders add to the side data."""
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def photograph(path: Path, orientation: int | None = None, **options: object) -> Path:
    """Write `corner_frame` with Pillow, with an ICC profile and perhaps an EXIF orientation (1 to 8)."""
    image = Image.fromarray(corner_frame(SIZE))
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    image.save(path, icc_profile=icc_profile(), **options)
    return path


def png_with_profile(orientation: int | None = None) -> bytes:
    """Return the bytes of a PNG with an ICC profile."""
    image, target = Image.fromarray(corner_frame(SIZE)), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation or 1
    extra: dict[str, Any] = {} if orientation is None else {"exif": exif}
    image.save(target, "png", icc_profile=icc_profile(), **extra)
    return target.getvalue()


def png_video(path: Path, orientation: int | None = None) -> Path:
    """Write a mov, mkv or nut whose packets are PNG files with an ICC profile."""
    packets = [png_with_profile(orientation)] * N_FRAMES
    if path.suffix == ".mkv":
        path.write_bytes(matroska(packets))
        return path
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("png", rate=2)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "rgb24"
        for index, content in enumerate(packets):
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, Fraction(1, 2)
            packet.pts = packet.dts = index
            packet.duration, packet.is_keyframe = 1, True
            container.mux(packet)
    return path


def ebml(identifier: int, *contents: bytes | int) -> bytes:
    """Return an element of Matroska; its size is always written in eight bytes."""
    parts = [content if isinstance(content, bytes) else content.to_bytes(4, "big") for content in contents]
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + (1 << 56 | sum(map(len, parts))).to_bytes(8, "big") + b"".join(parts)


def matroska(packets: Sequence[bytes], fourcc: bytes = b"MPNG", *extra: bytes) -> bytes:
    """Return a Matroska file of keyframes, two per second, of a codec that has only a four-character code.

    `extra` elements follow the segment's information.
    """
    width, height = SIZE
    bitmap = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, fourcc, 0, 0, 0, 0, 0)
    track = ebml(
        0xAE,
        *(ebml(0xD7, 1), ebml(0x73C5, 1), ebml(0x83, b"\1"), ebml(0x86, b"V_MS/VFW/FOURCC"), ebml(0x63A2, bitmap)),
        ebml(0xE0, ebml(0xB0, width), ebml(0xBA, height)),
    )
    blocks = [ebml(0xA3, b"\x81" + struct.pack(">hB", 500 * k, 0x80) + packet) for k, packet in enumerate(packets)]
    head = ebml(0x1A45DFA3, ebml(0x4282, b"matroska"), ebml(0x4287, 4), ebml(0x4285, 2))
    information = ebml(0x1549A966, ebml(0x2AD7B1, 1000000))
    cluster = ebml(0x1F43B675, ebml(0xE7, 0), *blocks)
    return head + ebml(0x18538067, information, *extra, ebml(0x1654AE6B, track), cluster)


def animated_png(path: Path) -> Path:
    """Write an animated PNG of four frames with an ICC profile."""
    frames = [Image.fromarray(np.roll(corner_frame(SIZE), k, 0)) for k in range(N_FRAMES)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=500, icc_profile=icc_profile())
    return path


def encode(codec: str, options: dict[str, str] | None = None, pix_fmt: str = "yuv420p") -> tuple[Any, list[av.Packet]]:
    """Encode four frames at 2 frames per second; return the encoder and its packets."""
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = *SIZE, pix_fmt
    context.time_base, context.framerate = Fraction(1, 2), Fraction(2)
    if codec == "mpeg2video":  # it has no rate of 2
        context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.options = options or {}
    packets = []
    for index in range(N_FRAMES):
        frame = av.VideoFrame.from_ndarray(corner_frame(SIZE), format="rgb24").reformat(format=pix_fmt)
        frame.pts = index
        packets += context.encode(frame)
    return context, [*packets, *context.encode(None)]


def elementary(path: Path, codec: str, options: dict[str, str] | None = None) -> Path:
    """Write the packets of an encoder one after the other."""
    path.write_bytes(b"".join(bytes(packet) for packet in encode(codec, options)[1]))
    return path


def _sei(codec: str, kind: int, payload: bytes) -> bytes:
    """Return a NAL unit of supplemental enhancement information."""
    header = b"\x06" if codec == "libx264" else b"\x4e\x01"
    content = bytes([kind, len(payload)]) + payload + b"\x80"
    escaped = bytearray()
    for byte in content:  # 00 00 0x is written 00 00 03 0x
        if byte <= 3 and escaped[-2:] == b"\0\0":
            escaped.append(3)
        escaped.append(byte)
    return b"\0\0\0\1" + header + bytes(escaped)


def with_sei(path: Path, codec: str, kind: int, payload: bytes) -> Path:
    """Write H.264 or HEVC with supplemental enhancement information before each frame."""
    options = {"preset": "ultrafast", "x265-params": "log-level=none:repeat-headers=1:keyint=1:aud=1"}
    if codec == "libx264":
        options = {"preset": "ultrafast", "g": "1", "bf": "0"}
    content = b""
    for packet in encode(codec, options)[1]:
        content += _before_slice(bytes(packet), codec, _sei(codec, kind, payload))
    path.write_bytes(content)
    return path


def with_orientations(path: Path, messages: Mapping[int, bytes], gop: int, n_bframes: int = 0) -> Path:
    """Write four frames of H.264 at 2 frames per second, in mp4, with display-orientation messages.

    `messages` are their payloads by packet, in decoding order.
    """
    options = {"preset": "ultrafast", "g": str(gop), "bf": str(n_bframes), "x264-params": "b-adapt=0"}
    context, packets = encode("libx264", options)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=2)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for index, packet in enumerate(packets):
            content = bytes(packet)
            if index in messages:
                content = _before_slice(content, "libx264", _sei("libx264", 47, messages[index]))
            copy = av.Packet(content)
            copy.stream, copy.time_base, copy.is_keyframe = stream, context.time_base, packet.is_keyframe
            copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, 1
            container.mux(copy)
    return path


def _before_slice(packet: bytes, codec: str, unit: bytes) -> bytes:
    position = -1
    while (position := packet.find(b"\0\0\1", position + 1)) >= 0:
        header = packet[position + 3]
        if (header & 31 in (1, 5)) if codec == "libx264" else (header >> 1 & 63 < 32):
            return packet[:position] + unit[1:] + packet[position:]
    raise ValueError("the packet has no slice")


def mirrored_mp4(path: Path) -> Path:
    """Write an mp4 whose track is rotated and mirrored."""
    times = [k / 2 for k in range(N_FRAMES)]
    writer = Writer(path).video([corner_frame(SIZE)] * N_FRAMES, times, fps=2)
    writer._tracks[0][0].set_display_rotation(90, hflip=True)  # type: ignore[attr-defined]
    return writer.save()


def _box(name: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I4s", len(content) + 8, name) + content


def spherical_mp4(path: Path) -> Path:
    """Write an mp4 with the boxes of a 360-degree stereo video in its sample entry."""
    header = _box(b"svhd", bytes(4), b"test\0")
    projection = _box(b"proj", _box(b"prhd", bytes(16)), _box(b"equi", bytes(20)))
    boxes = _box(b"st3d", bytes(4), b"\1") + _box(b"sv3d", header, projection)
    times = [k / 2 for k in range(N_FRAMES)]
    content = bytearray(Writer(path).video([corner_frame(SIZE)] * N_FRAMES, times, fps=2).save().read_bytes())
    entry = content.rindex(b"avc1") - 4
    end = entry + int.from_bytes(content[entry : entry + 4], "big")
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        start = content.rindex(name) - 4
        size = int.from_bytes(content[start : start + 4], "big") + len(boxes)
        content[start : start + 4] = size.to_bytes(4, "big")
    path.write_bytes(content[:end] + boxes + content[end:])
    return path


def tagged_audio(path: Path, codec: str, **tags: str) -> Path:
    """Write two seconds of audio with tags."""
    writer = Writer(path).audio(tone_samples(2.0), codec=codec, rate=16000)
    writer._container.metadata.update(tags)
    return writer.save()


def ac3(path: Path, layout: str, **options: str) -> Path:
    """Write about two seconds of AC-3 with these options in its header, in an mp4 or as it is."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ac3", rate=48000, layout=layout, options=options)
        for index in range(60):
            samples = np.zeros((stream.layout.nb_channels, 1536), np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = 48000, 1536 * index, Fraction(1, 48000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def bits(*fields: tuple[int, int]) -> bytes:
    """Pack (value, number of bits) into bytes, with zeros at the end."""
    text = "".join(f"{value:0{width}b}" for value, width in fields)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[k : k + 8], 2) for k in range(0, len(text), 8))


CAPTIONS = b"\xb5\x00\x31GA94\x03" + bytes([0x41, 0xFF, 0xFC, 0x94, 0x2C, 0xFF])
ACTIVE_FORMAT = b"\xb5\x00\x31DTG1" + bytes([0x41, 0xF8])
MASTERING = struct.pack(">8H2I", 13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450, 10000000, 50)
LIGHT_LEVEL = struct.pack(">2H", 1000, 400)
AMBIENT = struct.pack(">I2H", 100000, 15635, 16450)
# frame packing: id 0 ("1"), not cancelled, type 3 (side by side), interpretation 1
FRAME_PACKING = bits((1, 1), (0, 1), (3, 7), (0, 1), (1, 6), (0, 6), (0, 16), (0, 8), (1, 1), (0, 1))
FILM_GRAIN = bits(
    *((0, 1), (0, 2), (0, 1), (0, 2), (2, 4)),  # not cancelled, model 0, no colour description, additive, scale 2
    *((1, 1), (0, 1), (0, 1)),  # of luma alone
    *((0, 8), (2, 3), (0, 8), (255, 8)),  # one interval of intensities with 3 values
    *((1, 1), (0b00100, 5), (0b00101, 5), (1, 1), (1, 1)),
)
TIME_CODE = bits((1, 2), (1, 1), (0, 1), (0, 5), (1, 1), (0, 1), (0, 1), (5, 9), (4, 6), (3, 6), (2, 5), (0, 5))
# not cancelled, mirrored from left to right, rotated by a quarter, for this frame
ORIENTATION = bits((0, 1), (1, 1), (0, 1), (0x4000, 16), (1, 1), (0, 1))
UNREGISTERED = bytes(range(16)) + b"text"
# HDR10+: application 4, version 1, one window, 27 bits of luminance, no actual peaks, 3 maxima, average, no percentiles
HDR10_PLUS = b"\xb5\x00\x3c\x00\x01\x04\x01" + bits(
    *((1, 2), (400, 27), (0, 1), (100, 17), (100, 17), (100, 17), (50, 17), (0, 4), (0, 10)), (0, 1), (0, 1), (0, 1)
)

# HDR Vivid: version 1; minimum, average, variance and maximum of the luminance, no tone mapping
HDR_VIVID = b"\x26\x00\x04\x00\x05\x01" + bits((1, 12), (9, 12), (3, 12), (99, 12), (0, 1), (0, 1))

# Name of the file -> (kinds of side data that its frames have, what writes it)
FILES: dict[str, tuple[Sequence[str], Callable[[Path], Path]]] = {
    "profile.png": (["ICC_PROFILE"], photograph),
    "profile_exif.png": (["ICC_PROFILE", "EXIF", "DISPLAYMATRIX"], lambda path: photograph(path, 6)),
    "profile_exif.jpg": (["ICC_PROFILE", "EXIF", "DISPLAYMATRIX"], lambda path: photograph(path, 6)),
    "profile_exif.webp": (["ICC_PROFILE", "EXIF", "DISPLAYMATRIX"], lambda path: photograph(path, 6)),
    "profile_exif.avif": (["ICC_PROFILE", "DISPLAYMATRIX"], lambda path: photograph(path, 6)),
    "profile.tiff": (["ICC_PROFILE"], photograph),
    "animated.apng": (["ICC_PROFILE"], animated_png),
    "png.mov": (["ICC_PROFILE"], png_video),
    "png.nut": (["ICC_PROFILE"], png_video),
    "png.mkv": (["ICC_PROFILE"], png_video),
    "png_exif.mkv": (["ICC_PROFILE", "EXIF", "DISPLAYMATRIX"], lambda path: png_video(path, 5)),
    "mirrored.mp4": (["DISPLAYMATRIX"], mirrored_mp4),
    "mirrored.h264": (["DISPLAYMATRIX"], lambda path: with_sei(path, "libx264", 47, ORIENTATION)),
    "spherical.mp4": (["SPHERICAL", "STEREO3D"], spherical_mp4),
    "captions.h264": (["A53_CC"], lambda path: with_sei(path, "libx264", 4, CAPTIONS)),
    "active_format.h264": (["AFD"], lambda path: with_sei(path, "libx264", 4, ACTIVE_FORMAT)),
    "stereo.h264": (["STEREO3D"], lambda path: with_sei(path, "libx264", 45, FRAME_PACKING)),
    "unregistered.h264": (["SEI_UNREGISTERED"], lambda path: with_sei(path, "libx264", 5, UNREGISTERED)),
    "mastering.h264": (["MASTERING_DISPLAY_METADATA"], lambda path: with_sei(path, "libx264", 137, MASTERING)),
    "light_level.h264": (["CONTENT_LIGHT_LEVEL"], lambda path: with_sei(path, "libx264", 144, LIGHT_LEVEL)),
    "ambient.h264": (["AMBIENT_VIEWING_ENVIRONMENT"], lambda path: with_sei(path, "libx264", 148, AMBIENT)),
    "film_grain.h264": (["FILM_GRAIN_PARAMS"], lambda path: with_sei(path, "libx264", 19, FILM_GRAIN)),
    "time_code.hevc": (["S12M_TIMECODE"], lambda path: with_sei(path, "libx265", 136, TIME_CODE)),
    "hdr10_plus.hevc": (["DYNAMIC_HDR_PLUS"], lambda path: with_sei(path, "libx265", 4, HDR10_PLUS)),
    "hdr_vivid.hevc": (["DYNAMIC_HDR_VIVID"], lambda path: with_sei(path, "libx265", 4, HDR_VIVID)),
    "gop_time_code.m2v": (
        ["GOP_TIMECODE", "PANSCAN", "MOTION_VECTORS", "VIDEO_ENC_PARAMS"],
        lambda path: elementary(path, "mpeg2video"),
    ),
    "replay_gain.mp3": (
        ["REPLAYGAIN", "SKIP_SAMPLES"],
        lambda path: tagged_audio(path, "libmp3lame", REPLAYGAIN_TRACK_GAIN="-3.00 dB", REPLAYGAIN_TRACK_PEAK="0.5"),
    ),
    "surround.ac3": (["MATRIXENCODING"], lambda path: ac3(path, "stereo", dsur_mode="on")),
    "downmix.ac3": (["DOWNMIX_INFO"], lambda path: ac3(path, "5.1", dmix_mode="ltrt")),
    "service.mp4": (["AUDIO_SERVICE_TYPE"], lambda path: ac3(path, "stereo")),
}


def kinds_of(frame: av.VideoFrame | av.AudioFrame) -> set[str]:
    """Return the names of the kinds of side data of a frame; ffmpeg's filter finds them, PyAV reads none."""
    return {name for name, kind in KINDS.items() if _has_kind(frame, kind)}


def _has_kind(frame: Any, kind: int) -> bool:
    graph, clock = Graph(), Fraction(1, 1000)
    if isinstance(frame, av.VideoFrame):
        source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=clock)
        names = "sidedata", "buffersink"
    else:
        source = graph.add_abuffer(None, frame.sample_rate, frame.format, frame.layout, time_base=clock)
        names = "asidedata", "abuffersink"
    graph.link_nodes(source, graph.add(names[0], f"mode=select:type={kind}"), graph.add(names[1])).configure()
    graph.push(frame)
    try:
        graph.pull()
    except BlockingIOError:
        return False
    return True
