"""Paths in object storage, with the methods of local paths as far as the project uses them.

Whatever is not among them ends in `os.fspath`, which an object's path refuses: it is never taken for a local file.
"""

import fnmatch
import io
import os
import shutil
import stat
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PosixPath
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar

from agri_assets.buckets import ask, open_bucket
from agri_assets.errors import StoreError

if TYPE_CHECKING:
    from obstore.store import S3Store

COMMIT_OBJECTS = ("zarr.json", "complete.json")
"""What makes a folder whole: put after all the rest of it, and taken away before anything of it changes."""

UPLOADS = 8
"""Objects of one folder that are put at a time."""

REQUESTS = 16
"""Objects that are read at a time."""

COPY_BYTES = 2**22
"""About what a copy holds in memory at a time."""

T = TypeVar("T")
R = TypeVar("R")


class ObjectPath(PosixPath):
    """`s3://bucket/key`. A folder is there where objects are below it."""

    def __str__(self) -> str:
        return "s3://" + "/".join(self.parts[1:])

    def __fspath__(self) -> str:
        raise StoreError(f"{self}: is in object storage, where only files of this machine can be used; copy it first")

    @property
    def key(self) -> str:
        """Its name in the bucket."""
        return "/".join(self.parts[2:])

    @property
    def bucket(self) -> "S3Store":
        """The bucket it is in."""
        return open_bucket(self.parts[1])

    def is_absolute(self) -> bool:
        """Always."""
        return True

    def absolute(self) -> "ObjectPath":
        """Itself."""
        return self

    def expanduser(self) -> "ObjectPath":
        """Itself."""
        return self

    def exists(self) -> bool:
        """Whether it is an object or a folder."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Whether there is an object of this name."""
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        """Whether there are objects below it."""
        import obstore

        return bool(ask(self, lambda: next(iter(obstore.list(self.bucket, f"{self.key}/", chunk_size=1)), ())))

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Size and time of modification; all else is 0."""
        import obstore

        meta = ask(self, lambda: obstore.head(self.bucket, self.key))
        moment = meta["last_modified"].timestamp()
        return os.stat_result((stat.S_IFREG, 0, 0, 0, 0, 0, meta["size"], moment, moment, moment))

    def read_bytes(self) -> bytes:
        """The whole object."""
        import obstore

        return ask(self, lambda: obstore.get(self.bucket, self.key).bytes().to_bytes())

    def copy_to(self, file: Path) -> None:
        """Copy the whole object to a file of this machine, piece by piece.

        Raises:
            FileNotFoundError: There is no such object.
            StoreError: It cannot be read, or the file cannot be written.
        """
        import obstore

        def copy() -> None:
            found = obstore.get(self.bucket, self.key)
            try:
                with file.open("wb") as into:
                    for piece in found.stream(min_chunk_size=COPY_BYTES):
                        into.write(piece)
            except OSError as error:
                # the disk's doing and not the storage's, whose errors are others
                raise StoreError(
                    f"{file}: the copy of {self} cannot be written ({error.strerror or error}); free space, or set "
                    "TMPDIR to a folder with more of it"
                ) from None

        ask(self, copy)

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        """The whole object as text, UTF-8 by default."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def open(self, mode: Literal["r", "rb"] = "r", **_: Any) -> IO[Any]:  # type: ignore[override]
        """The whole object as a file to read; objects are written by `store.commit` only."""
        if mode not in ("r", "rb"):
            raise StoreError(f"{self}: cannot be opened with mode {mode!r}; objects are written whole")
        content = io.BytesIO(self.read_bytes())
        return content if mode == "rb" else io.TextIOWrapper(content, encoding="utf-8")

    def write_bytes(self, data: Any) -> int:
        """Put the whole object; who reads it sees the one before or this one."""
        self._put(bytes(data))
        return len(data)

    def write_text(self, data: str, encoding: str | None = None, *_: Any, **__: Any) -> int:
        """Put the whole object as text, UTF-8 by default."""
        return self.write_bytes(data.encode(encoding or "utf-8"))

    def put_file(self, file: Path) -> None:
        """Put a file of this machine, large ones in parts that become visible together."""
        self._put(file)

    def _put(self, content: bytes | Path) -> None:
        import obstore

        try:
            ask(self, lambda: obstore.put(self.bucket, self.key, content))
        except FileNotFoundError:
            raise StoreError(f"{self}: cannot be put; create the bucket {self.parts[1]!r} first") from None

    @property
    def tag(self) -> str | None:
        """Tag of the object's present state; None where there is none."""
        import obstore

        try:
            return ask(self, lambda: obstore.head(self.bucket, self.key))["e_tag"] or ""
        except FileNotFoundError:
            return None

    def put_if(self, content: bytes, tag: str | None) -> str | None:
        """Put the whole object only while its state is `tag` (None: while there is no object).

        Returns:
            The tag of the new state; None where the state was another, and nothing was put.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if tag is None else {"e_tag": tag}
        try:
            done = ask(self, lambda: obstore.put(self.bucket, self.key, content, mode=mode))
        except (AlreadyExistsError, PreconditionError):
            return None
        except FileNotFoundError:
            if tag is not None:
                return None
            raise StoreError(f"{self}: cannot be put; create the bucket {self.parts[1]!r} first") from None
        return done["e_tag"] or ""

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object."""
        import obstore

        if not missing_ok:
            self.stat()
        ask(self, lambda: obstore.delete(self.bucket, self.key))

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: a folder is there as soon as something is below it."""

    def iterdir(self) -> Iterator["ObjectPath"]:  # type: ignore[override]
        """The objects and folders right below it, in order of name."""
        import obstore

        found = ask(self, lambda: obstore.list_with_delimiter(self.bucket, f"{self.key}/"))
        keys = [*found["common_prefixes"], *(meta["path"] for meta in found["objects"])]
        return iter(sorted(self / key.rstrip("/").rpartition("/")[2] for key in keys))

    def glob(self, pattern: str) -> Iterator["ObjectPath"]:  # type: ignore[override]
        """What is right below it and has a name like `pattern`."""
        if "/" in pattern or "**" in pattern:
            raise StoreError(f"{self}: only names right below a folder can be looked for, not {pattern!r}")
        return (path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, pattern))

    def below(self) -> tuple[str, ...]:
        """Names of all objects below it, counted from it."""
        return tuple(self.sizes())

    def sizes(self) -> dict[str, int]:
        """Bytes of all objects below it, by their names counted from it."""
        import obstore

        start = f"{self.key}/"
        pages = ask(self, lambda: list(obstore.list(self.bucket, start)))
        return {meta["path"].removeprefix(start): meta["size"] for page in pages for meta in page}

    def delete_below(self, names: tuple[str, ...]) -> None:
        """Delete objects by their names counted from it."""
        import obstore

        if names:
            ask(self, lambda: obstore.delete(self.bucket, [f"{self.key}/{name}" for name in names]))

    def put_folder(self, folder: Path) -> None:
        """Make what is below it a copy of a folder of this machine, its commit objects last.

        While it lasts there is no commit object, so that nobody takes what is half new for whole.
        """
        names = {item.relative_to(folder).as_posix() for item in folder.rglob("*") if item.is_file()}
        before = self.below()
        commits = [name for name in COMMIT_OBJECTS if name in names]
        self.delete_below(tuple(name for name in before if name in COMMIT_OBJECTS))
        self.delete_below(tuple(name for name in before if name not in names and name not in COMMIT_OBJECTS))
        with ThreadPoolExecutor(UPLOADS) as pool:
            list(pool.map(lambda name: (self / name).put_file(folder / name), sorted(names - set(commits))))
        for name in commits:
            (self / name).put_file(folder / name)


def locate(name: str | Path) -> Path:
    """The path of a name: in object storage where it is an `s3://` address, else on this machine."""
    text = str(name)
    return ObjectPath(text) if text.startswith("s3:/") else Path(text)


def file_of(path: Path) -> Path | io.BytesIO:
    """What readers of Parquet take: the path itself, or an object's content as a file.

    Raises:
        FileNotFoundError: There is no such object.
    """
    return io.BytesIO(path.read_bytes()) if isinstance(path, ObjectPath) else path


def each(place: Path, read: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """What `read` returns for each item, in order; in object storage it is at work on `REQUESTS` of them at a time.

    Args:
        place: Where `read` reads.
        read: Called in other threads where that is in object storage.
        items: Gone through only as far as results are asked for, so that few of these wait in memory.
    """
    if not isinstance(place, ObjectPath):
        yield from map(read, items)
        return
    ahead: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(REQUESTS)
    try:
        for item in items:
            ahead.append(pool.submit(read, item))
            if len(ahead) == REQUESTS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def size_of(folder: Path) -> Callable[[str], int | None]:
    """Tells the bytes of any file below a folder by its name counted from it, None where there is none.

    Names and not paths: there may be tens of thousands. Object storage is asked once for all.
    """
    if isinstance(folder, ObjectPath):
        return folder.sizes().get

    def stored(name: str) -> int | None:
        try:
            return os.stat(f"{folder}/{name}").st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    return stored


@contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """A file of this machine for the length of the block: the path itself, or a copy of an object.

    Raises:
        FileNotFoundError: There is no such object.
    """
    if not isinstance(path, ObjectPath):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="agri-copy-") as folder:
        copy = Path(folder) / path.name
        path.copy_to(copy)
        yield copy


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it; it need not be there."""
    if isinstance(folder, ObjectPath):
        folder.delete_below(folder.below())
    else:
        shutil.rmtree(folder, ignore_errors=True)
