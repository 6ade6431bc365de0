"""Write small intact files with rare properties: metadata, bit depths, tracks, subtitles, chapters, timecode."""

import io
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, PngImagePlugin

from tests.support.media_files import Writer, corner_frame, plain_frame, tone_samples
from tests.support.mutations import MAX_BYTES
from tests.support.side_data import FILES, SIZE, ebml, icc_profile, matroska, png_with_profile

ASS_HEADER = (
    b"[Script Info]\r\nScriptType: v4.00+\r\nPlayResX: 384\r\nPlayResY: 288\r\n\r\n[V4+ Styles]\r\n"
    b"Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, "
    b"Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, "
    b"MarginV, Encoding\r\nStyle: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1\r\n"
    b"\r\n[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"
)
CODECS = dict(
    pair.split("=")
    for pair in (
        "a.wav=pcm_s16le a.flac=flac a.opus=libopus a.ogg=libvorbis a.aiff=pcm_s16be a.au=pcm_s16be a.caf=pcm_s16le "
        "a.aac=aac a.ac3=ac3 a.tta=tta a.wv=wavpack adpcm.wav=adpcm_ima_wav law.wav=pcm_mulaw a.voc=pcm_u8 "
        "a.w64=pcm_s16le a.avi=mpeg4 a.flv=flv a.ts=libx264 a.mpg=mpeg2video a.webm=libvpx-vp9 a.wmv=wmv2 "
        "a.ogv=libtheora a.mxf=mpeg2video a.nut=ffv1 mjpeg.avi=mjpeg a.3gp=h263 a.gif=gif a.y4m=rawvideo a.dv=dvvideo "
        "prores.mov=prores_ks a.ivf=libvpx a.swf=flv"
    ).split()
)
AUDIO_SUFFIXES = frozenset(".wav .flac .opus .ogg .aiff .au .caf .aac .ac3 .tta .wv .voc .w64".split())
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 7, "maker"
    exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    return exif


def _save(image: Image.Image, form: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def png_chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def after_header(png: bytes, *chunks: bytes) -> bytes:
    """Return a PNG with chunks after its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def interlaced_png() -> bytes:
    """Return an 8 x 8 grey PNG that is stored in Adam7's seven passes."""
    rows = {1: (1, 1), 2: (1, 1), 3: (1, 2), 4: (2, 2), 5: (2, 4), 6: (4, 4), 7: (4, 8)}  # rows, columns of each pass
    raw = b"".join((b"\0" + bytes(range(0, 30 * width, 30))[:width]) * height for height, width in rows.values())
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(raw)) + png_chunk(b"IEND", b"")


def photographs() -> Iterator[tuple[str, bytes]]:
    """Yield PNG, JPEG, WebP, GIF, AVIF, TIFF and BMP files, (name, content)."""
    rgb = Image.fromarray(corner_frame(SIZE))
    alpha, frames = rgb.convert("RGBA"), [Image.fromarray(np.roll(corner_frame(SIZE), 8 * k, 1)) for k in range(4)]
    deep = Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 20)
    profile, text = icc_profile(), PngImagePlugin.PngInfo()
    text.add_text("Title", "a title" * 20, zip=True)
    text.add_itxt("Author", "någon", "sv", zip=True)
    text.add_text("Comment", "plain")
    common: dict[str, Any] = {"icc_profile": profile, "exif": _exif()}
    yield "text.png", _save(rgb, "png", pnginfo=text, dpi=(72, 72), **common)
    yield "alpha.png", _save(alpha, "png", exif=_exif())
    yield "deep.png", _save(deep, "png")
    yield "palette.png", _save(rgb.quantize(16), "png", transparency=3, bits=4)
    yield "bits.png", _save(rgb.convert("1"), "png")
    yield "interlaced.png", interlaced_png()
    colour = png_chunk(b"cICP", bytes((9, 16, 0, 1))), png_chunk(b"mDCV", bytes(24)), png_chunk(b"cLLI", bytes(8))
    others = png_chunk(b"gAMA", struct.pack(">I", 45455)), png_chunk(b"cHRM", struct.pack(">8I", *range(8)))
    yield "colour.png", after_header(_save(rgb, "png"), *colour, *others)
    yield "animated.png", _save(frames[0], "png", save_all=True, append_images=frames[1:], duration=250, **common)
    yield "plain.jpg", _save(rgb, "jpeg", **common, comment=b"comment")
    yield "progressive.jpg", _save(rgb, "jpeg", progressive=True, xmp=XMP, **common)
    yield "cmyk.jpg", _save(rgb.convert("CMYK"), "jpeg")
    yield "grey.jpg", _save(rgb.convert("L"), "jpeg", restart_marker_blocks=2)
    yield "several.mpo", _save(rgb, "mpo", save_all=True, append_images=frames[:2])
    yield "plain.webp", _save(rgb, "webp", xmp=XMP, **common)
    yield "lossless.webp", _save(alpha, "webp", lossless=True)
    yield "animated.webp", _save(frames[0], "webp", save_all=True, append_images=frames[1:], duration=250, **common)
    yield "plain.gif", _save(rgb, "gif", comment=b"comment", interlace=True)
    yield "animated.gif", _save(frames[0], "gif", save_all=True, append_images=frames[1:], duration=250, loop=0)
    yield "plain.avif", _save(rgb, "avif", xmp=XMP, **common)
    yield "alpha.avif", _save(alpha, "avif")
    yield "animated.avif", _save(frames[0], "avif", save_all=True, append_images=frames[1:], duration=250)
    yield "plain.tiff", _save(rgb, "tiff", compression="tiff_lzw", icc_profile=profile)
    yield "plain.bmp", _save(rgb, "bmp")
    yield "plain.jp2", _save(rgb, "jpeg2000") if "jpeg2000" in {f.lower() for f in Image.SAVE} else b"\0"


def _frames(n: int) -> tuple[list[np.ndarray], list[float]]:
    return [plain_frame(k // 5) for k in range(n)], [k / 5 for k in range(n)]


def several_tracks(path: Path) -> bytes:
    """Write two video and two audio streams, one rotated, with tags."""
    writer = Writer(path).video(*_frames(10), fps=5, rotation=90 if path.suffix in (".mp4", ".mov") else 0)
    writer.audio(tone_samples(2.0)).audio(tone_samples(1.0), default=False, layout="stereo")
    writer.video(*_frames(5), fps=5)
    writer._container.metadata.update(title="a title", location="+59.3+018.0/", comment="x" * 50)
    writer._container.set_chapters(
        [{"id": k, "start": k, "end": k + 1, "time_base": Fraction(1, 1), "metadata": {"title": "c"}} for k in range(2)]
    )
    return writer.save().read_bytes()


def with_subtitles(path: Path) -> bytes:
    """Write a video with a subtitle stream and a timecode tag."""
    codec = {".mp4": "mov_text", ".mov": "mov_text"}.get(path.suffix, "subrip")
    with av.open(str(path), "w") as container:
        container.metadata["timecode"] = "01:02:03:04"
        video: Any = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        text: Any = container.add_stream(codec)
        text.codec_context.subtitle_header = ASS_HEADER
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(plain_frame(index // 5), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        content = struct.pack(">H", 5) + b"hello" if codec == "mov_text" else b"hello"
        packet = av.Packet(content)
        packet.stream, packet.time_base, packet.pts, packet.dts, packet.duration = text, Fraction(1, 1000), 0, 0, 500
        container.mux(packet)
    return path.read_bytes()


def recordings(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield audio and video in many containers, (name, content); `folder` is for temporary files."""
    for name in ("tracks.mp4", "tracks.mov", "tracks.mkv"):
        yield name, several_tracks(folder / name)
    for name in ("titles.mp4", "titles.mkv", "titles.mov"):
        yield name, with_subtitles(folder / name)
    options = {"movflags": "frag_keyframe+empty_moov"}
    fragmented = Writer(folder / "f.mp4", options=options).video(*_frames(10), fps=5).audio(tone_samples(2.0))
    yield "fragmented.mp4", fragmented.save().read_bytes()
    cover = Writer(folder / "c.mp3").audio(tone_samples(1.0), codec="libmp3lame").cover(plain_frame(1))
    yield "cover.mp3", cover.save().read_bytes()
    for name, codec in CODECS.items():
        writer = Writer(folder / name)
        try:
            if Path(name).suffix in AUDIO_SUFFIXES:
                writer.audio(tone_samples(1.0, 48000), rate=48000, codec=codec)
            else:
                writer.video([plain_frame(k // 5) for k in range(25)], [k / 25 for k in range(25)], codec=codec)
            writer._container.metadata.update(title="a title", timecode="01:02:03:04")
            yield name, writer.save().read_bytes()
        except (av.FFmpegError, ValueError, TypeError):  # this build of ffmpeg cannot write it
            continue
    chapters = ebml(0x1043A770, ebml(0x45B9, ebml(0xB6, ebml(0x73C4, 1), ebml(0x91, 0))))
    attachment = ebml(
        0x1941A469, ebml(0x61A7, ebml(0x466E, b"font.ttf"), ebml(0x4660, b"font/ttf"), ebml(0x465C, b"x"))
    )
    yield "extras.mkv", matroska([png_with_profile()] * 3, b"MPNG", chapters, attachment)


def rare_files(folder: Path) -> list[tuple[str, bytes]]:
    """Return all of them with the files of `side_data`, (name, content)."""
    found = [*photographs(), *recordings(folder)]
    for name, (_, write) in FILES.items():
        found.append((f"side_{name}", write(folder / name).read_bytes()))
    return [(name, content[:MAX_BYTES]) for name, content in found]
