"""What may happen to a stored file."""

from pathlib import Path


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    """Cut off its end."""
    path.write_bytes(path.read_bytes()[:-10])


def lose(path: Path) -> None:
    """Remove it."""
    path.unlink()
