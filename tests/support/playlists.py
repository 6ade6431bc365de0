"""Write playlists, scripts and media files that refer to another file or to a server."""

import gzip
import struct
import zlib
from pathlib import Path

from tests.support.file_parts import mp4_parts
from tests.support.media_files import Writer, plain_frame, tone_samples
from tests.support.side_data import _box, ebml, matroska, png_with_profile

XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
# Text files; {0} is what they refer to: a path, a relative name, or a URL.
TEXTS = {
    "segments.m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{0}\n#EXT-X-ENDLIST\n",
    "master.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\n{0}\n",
    "map.m3u8": '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-MAP:URI="{0}"\n#EXTINF:9,\n{0}\n#EXT-X-ENDLIST\n',
    "key.m3u8": '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-KEY:METHOD=AES-128,URI="{0}"\n#EXTINF:9,\n{0}\n',
    "media.m3u8": '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",DEFAULT=YES,URI="{0}"\n'
    '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\n{0}\n',
    "list.m3u": "{0}\n",
    "list.ffconcat": "ffconcat version 1.0\nfile '{0}'\nduration 9\n",
    "list.concat": "file '{0}'\n",
    "protocol.concat": "concat:{0}|{0}\n",
    "crypto.m3u8": "#EXTM3U\n#EXTINF:9,\ncrypto:{0}\n",
    "subfile.m3u8": "#EXTM3U\n#EXTINF:9,\nsubfile,,start,0,end,0,,:{0}\n",
    "cached.m3u8": "#EXTM3U\n#EXTINF:9,\ncache:{0}\n",
    "stream.sdp": "v=0\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\na=control:{0}\n",
    "script.avs": 'DirectShowSource("{0}")\n',
    "script.vpy": "import vapoursynth\nopen({0!r}).read()\nvapoursynth.core.ffms2.Source({0!r}).set_output()\n",
    "manifest.mpd": XML + '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT9S">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{0}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "smooth.ism": XML + '<smil><body><switch><video src="{0}"/></switch></body></smil>',
    "list.asx": '<asx version="3.0"><entry><ref href="{0}"/></entry></asx>',
    "reference.asf": "[Reference]\nRef1={0}\n",
    "list.pls": "[playlist]\nFile1={0}\nNumberOfEntries=1\nVersion=2\n",
    "list.xspf": XML + '<playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList><track><location>{0}</location>'
    "</track></trackList></playlist>",
    "list.ram": "{0}\n",
    "list.wpl": '<?wpl version="1.0"?><smil><body><seq><media src="{0}"/></seq></body></smil>',
    "list.qtl": XML + '<?quicktime type="application/x-quicktime-media-link"?><embed src="{0}"/>',
    "list.cue": 'FILE "{0}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
    "list.edl": "# mpv EDL v0\n{0}\n",
    "list.strm": "{0}\n",
    "image.svg": '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" '
    'height="48"><image xlink:href="{0}" width="64" height="48"/></svg>',
    "entity.svg": '<!DOCTYPE svg [<!ENTITY x SYSTEM "{0}">]><svg xmlns="http://www.w3.org/2000/svg">&x;</svg>',
    "entity.mpd": '<!DOCTYPE MPD [<!ENTITY x SYSTEM "{0}">]><MPD xmlns="urn:mpeg:dash:schema:mpd:2011">&x;</MPD>',
    "assets.xml": XML + '<AssetMap xmlns="http://www.smpte-ra.org/schemas/429-9/2007/AM"><AssetList><Asset><ChunkList>'
    "<Chunk><Path>{0}</Path></Chunk></ChunkList></Asset></AssetList></AssetMap>",
    "composition.xml": XML + '<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"><Id>{0}</Id>'
    "<SegmentList/></CompositionPlaylist>",
    "subtitles.idx": "# VobSub index file, v7 (do not modify this line!)\nsize: 64x48\nid: en, index: 0\n"
    "timestamp: 00:00:00:000, filepos: 000000000\n# {0}\n",
    "captions.smi": '<SAMI><BODY><SYNC Start=0><P><a href="{0}">x</a></P></SYNC></BODY></SAMI>',
    "page.html": '<html><meta http-equiv="refresh" content="0;url={0}"><video src="{0}"></video></html>',
    "lavfi.graph": "movie={0}\n",
    "link.url": "[InternetShortcut]\nURL={0}\n",
    "link.desktop": "[Desktop Entry]\nType=Link\nURL={0}\n",
    "options.ffpreset": "i={0}\n",
    "list.nfo": "{0}\n",
}


def disguised(text: str) -> dict[str, bytes]:
    """Return an HLS playlist under other names, with other encodings and after other bytes."""
    plain = text.encode()
    id3 = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)
    return {
        **{f"renamed.{suffix}": plain for suffix in ("mp4", "ts", "png", "mkv", "wav", "jpg", "gif")},
        "marked.m3u8": b"\xef\xbb\xbf" + plain,
        "utf16.m3u8": text.encode("utf-16"),
        "blank.m3u8": b"\n\n  \r\n" + plain,
        "garbage.m3u8": bytes(range(200)) + plain,
        "id3.m3u8": id3 + plain,
        "carriage.m3u8": plain.replace(b"\n", b"\r"),
        "packed.m3u8.gz": gzip.compress(plain),
        "after_ftyp.mp4": _box(b"ftyp", b"isom\0\0\0\0isom") + plain,
        "after_packet.ts": (b"G\x1f\xff\x10" + bytes(184)) * 3 + plain,
    }


def external_data(secret: bytes, path: str, directory: str) -> dict[str, bytes]:
    """Return the index of an mp4, `secret`, whose data are in another file, by three kinds of reference."""
    parts = {secret[p.start + 4 : p.start + 8]: p for p in mp4_parts(secret)}
    boxes = [p for p in mp4_parts(secret) if secret[p.start + 4 : p.start + 8] == b"dref"]
    head = secret[: parts[b"ftyp"].end]
    name = path.rpartition("/")[2].encode()
    alias = bytes(10) + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12) + bytes([len(name)]) + name.ljust(63, b"\0")
    alias += bytes(16) + struct.pack(">hh", 1, 1) + bytes(16)
    absolute = path.encode() + b"\0" * (len(path) % 2)
    alias += struct.pack(">HH", 0, len(directory)) + directory.encode() + b"\0" * (len(directory) % 2)
    alias += struct.pack(">HH", 2, len(path)) + absolute + struct.pack(">HH", 0xFFFF, 0)
    entries = {
        "alias.mov": _box(b"alis", bytes(4), alias),
        "reference_url.mp4": _box(b"url ", bytes(4), path.encode() + b"\0"),
        "reference_urn.mp4": _box(b"urn ", bytes(4), b"x\0" + path.encode() + b"\0"),
    }
    found = {}
    for file, entry in entries.items():
        moov = secret[parts[b"moov"].start : parts[b"moov"].end]
        for box in boxes:
            moov = _replaced(moov, secret[box.start : box.end], _box(b"dref", struct.pack(">II", 0, 1), entry))
        found[file] = head + moov
    return found


def _replaced(moov: bytes, old: bytes, new: bytes) -> bytes:
    """Return `moov` with the first `old` box replaced, and the lengths of the boxes around it changed."""
    start = moov.index(old)
    data = bytearray(moov)
    for part in mp4_parts(moov):
        if part.start < start < part.end and moov[part.start + 4 : part.start + 8] != b"stsd":
            data[part.start : part.start + 4] = (part.end - part.start + len(new) - len(old)).to_bytes(4, "big")
    return bytes(data[:start]) + new + bytes(data[start + len(old) :])


def references(folder: Path, target: str) -> dict[str, bytes]:
    """Return media files that are read themselves, or nearly, and refer to `target` as well."""
    link, uid = target.encode(), b"s" * 16
    chapter = ebml(0xB6, ebml(0x73C4, 1), ebml(0x91, 0), ebml(0x6E67, uid), ebml(0x92, b"\0\0\0\2\x54\x0b\xe4\0"))
    linked = ebml(0x1043A770, ebml(0x45B9, ebml(0x45DD, 1), chapter))  # an edition with ordered chapters
    segment = ebml(0x1549A966, ebml(0x2AD7B1, 1000000), ebml(0x3EB923, uid), ebml(0x3E83BB, link), ebml(0x3CB923, uid))
    mp3 = Writer(folder / "plain.mp3").audio(tone_samples(1.0), codec="libmp3lame").save().read_bytes()
    frames = b"".join(
        name + struct.pack(">IH", len(body), 0) + body
        for name, body in ((b"WOAF", link), (b"WXXX", b"\0\0" + link), (b"LINK", b"TIT2" + link + b"\0"))
    )
    tag = b"ID3\3\0\0" + bytes(len(frames) >> shift & 127 for shift in (21, 14, 7, 0)) + frames
    movie = _box(
        b"rmra", _box(b"rmda", _box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(link) + 1), link, b"\0"))
    )
    swf = bytes((0x78, 0, 4, 0xE2, 0, 0, 0x0E, 0xA6, 0)) + bytes((0, 0x19, 1, 0))
    action = b"\x83" + struct.pack("<H", len(link) + 2) + link + b"\0\0\0"
    swf += struct.pack("<HI", 12 << 6 | 63, len(action)) + action + b"\x40\0\0\0"
    ts = Writer(folder / "plain.ts").video([plain_frame(0)] * 5, [k / 5 for k in range(5)], fps=5).save().read_bytes()
    return {
        "linked.mkv": matroska([png_with_profile()] * 2, b"MPNG", linked, segment),
        "linked.mp3": tag + mp3,
        "reference.mov": _box(b"ftyp", b"qt  \0\0\0\0qt  ") + _box(b"moov", movie),
        "action.swf": b"FWS\6" + struct.pack("<I", len(swf) + 8) + swf,
        "packed.swf": b"CWS\6" + struct.pack("<I", len(swf) + 8) + zlib.compress(swf),
        "tagged.ts": ts + tag.ljust(188, b"\0"),
    }
