"""Damaged copies of files."""

from pathlib import Path


def flipped(source: Path, target: Path) -> Path:
    """Write a copy of a file with one bit in its middle flipped."""
    content = bytearray(source.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(content)
    return target
