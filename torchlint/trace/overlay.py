"""Keeps a dry run from leaving anything behind: what it writes goes to a temporary folder, and is read from there.

The program sees its files as if it had written them: a layer over the real file system that holds what was written, and
which names are gone. Python's own functions on files are redirected, and the few libraries that write by themselves.
"""

from __future__ import annotations

import builtins
import inspect
import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import Any

from torchlint.trace.imports import Watch
from torchlint.trace.patches import Patches

_CACHES = ("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "TORCH_HOME", "TRITON_CACHE_DIR")
_DEVICES = ("/dev", "/proc", "/sys")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_UNNAMED = getattr(os, "O_TMPFILE", 0) & ~getattr(os, "O_DIRECTORY", 0)
"""A file without a name: the path is that of a folder."""
_ONE_PATH = ("stat", "lstat", "access", "listdir", "scandir", "readlink", "chdir", "statvfs", "getxattr", "listxattr")
_CHANGES = ("chmod", "utime", "truncate", "chown", "lchown", "setxattr", "removexattr")


class Overlay:
    """The layer: `folder` holds the files that were written, under their full names; `gone` the names taken away.

    `keep` are folders whose files the program must not change, wherever they lie. Caches of downloads, devices and the
    temporary folder are not touched by this: others read them, and they are no results. Processes that train together
    share one `folder`, since one reads what another wrote. `own` are folders of the tracer's, wherever they lie.
    """

    def __init__(self, keep: tuple[str, ...], folder: str | None = None, own: tuple[str, ...] = ()) -> None:
        self.owns = folder is None
        self.folder = folder or os.path.realpath(tempfile.mkdtemp(prefix="torchlint-trace-"))
        self.own = (self.folder, *own)
        self.keep = tuple(os.path.realpath(each) for each in keep)
        caches = [os.environ.get(name, "") for name in _CACHES]
        home = os.path.expanduser("~/.cache")
        free = (*_DEVICES, tempfile.gettempdir(), home, *filter(None, caches))
        self.free = tuple(os.path.realpath(each) for each in free)
        self.gone: set[str] = set()
        self.real = {name: getattr(os, name) for name in ("stat", "lstat", "mkdir", "makedirs", "scandir", "unlink")}
        self.open = io.open
        self.watch = Watch(lambda _: None, set())

    # ------------------------------------------------------------ names

    def _full(self, path: Any) -> str | None:
        """The full name of a path that the layer is about, or None."""
        if isinstance(path, int):
            return None
        try:
            full = os.path.abspath(os.fsdecode(path))
        except (TypeError, ValueError):
            return None
        full = os.path.join(self._real_folder(os.path.dirname(full)), os.path.basename(full))
        if _within(full, self.own):
            return None
        return full if _within(full, self.keep) or not _within(full, self.free) else None

    def _real_folder(self, folder: str) -> str:
        """A folder without symbolic links; one that exists only in the layer is none."""
        try:
            self.real["lstat"](folder)
        except OSError:
            return folder
        return _realpath(folder, self.real["lstat"])

    def _upper(self, full: str) -> str:
        return os.path.join(self.folder, full.lstrip(os.sep))

    def _is_gone(self, full: str) -> bool:
        return any(full == each or full.startswith(each + os.sep) for each in self.gone)

    def _exists(self, path: str) -> bool:
        try:
            self.real["lstat"](path)
        except OSError:
            return False
        return True

    def reading(self, path: Any) -> Any:
        """Where a path is read."""
        full = self._full(path)
        if full is None or (not self.gone and not self._exists(self._upper(full))):
            return path
        upper = self._upper(full)
        return upper if self._exists(upper) or self._is_gone(full) else path

    def writing(self, path: Any, keep_content: bool) -> Any:
        """Where a path is written; the file is copied there if its content counts."""
        full = self._full(path)
        if full is None:
            return path
        upper = self._upper(full)
        if self._exists(upper):
            return upper
        if self._is_folder(os.path.dirname(full)):
            self.real["makedirs"](os.path.dirname(upper), exist_ok=True)
        if keep_content and not self._is_gone(full):
            with suppress(OSError):
                mode = self.real["stat"](full).st_mode
                if stat.S_ISREG(mode):
                    with self.open(full, "rb") as source, self.open(upper, "wb") as target:
                        shutil.copyfileobj(source, target)
        return upper

    def _is_folder(self, full: str) -> bool:
        for each in (self._upper(full), *(() if self._is_gone(full) else (full,))):
            with suppress(OSError):
                return stat.S_ISDIR(self.real["stat"](each).st_mode)
        return False

    # ------------------------------------------------------------ what stands in for Python's functions

    def install(self, patches: Patches) -> None:
        """Redirect."""
        patches.put(builtins, "open", self._opener(io.open))
        patches.put(io, "open", builtins.open)
        patches.replace(os, "open", self._os_open)
        for name in _ONE_PATH:
            patches.replace(os, name, self._reads)
        for name in _CHANGES:
            patches.replace(os, name, self._changes)
        for name, stand_in in (
            ("mkdir", self._mkdir),
            ("remove", self._removes),
            ("unlink", self._removes),
            ("rmdir", self._removes),
            ("rename", self._renames),
            ("replace", self._renames),
            ("link", self._second),
            ("symlink", self._second),
        ):
            patches.replace(os, name, stand_in)
        patches.replace(os, "listdir", self._lists)
        patches.replace(os, "scandir", self._scans)
        patches.replace(shutil, "rmtree", self._rmtree)
        self.watch = _redirect_libraries(self, patches)
        self.watch.start()

    def _opener(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def open_(file: Any, mode: Any = "r", *args: Any, **kwargs: Any) -> Any:
            writes = isinstance(mode, str) and any(letter in mode for letter in "wax+")
            if not writes:
                return self._named(original, self.reading(file), file, mode, *args, **kwargs)
            if "x" in mode and self._exists_in_view(file):
                return original(self.reading(file), mode, *args, **kwargs)  # raises
            path = self.writing(file, keep_content="w" not in mode)
            return self._named(original, path, file, mode, *args, **kwargs)

        open_.__module__, open_.__name__, open_.__qualname__ = "io", "open", "open"
        open_.__doc__ = original.__doc__
        return open_

    def _named(self, original: Callable[..., Any], path: Any, asked: Any, *args: Any, **kwargs: Any) -> Any:
        """Call with the other path; an error names the one that was asked for."""
        try:
            return original(path, *args, **kwargs)
        except OSError as error:
            if path is not asked and error.filename == path:
                error.filename = os.fspath(asked)
            raise

    def _exists_in_view(self, path: Any) -> bool:
        read = self.reading(path)
        return not isinstance(read, int) and self._exists(read)

    def _os_open(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def open_(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            if dir_fd is None:
                if flags & _WRITES and not flags & _UNNAMED:
                    if flags & os.O_EXCL and self._exists_in_view(path):
                        path = self.reading(path)
                    else:
                        path = self.writing(path, keep_content=not flags & os.O_TRUNC)
                else:
                    path = self.reading(path)
            return int(original(path, flags, mode, dir_fd=dir_fd))

        return open_

    def _reads(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("dir_fd") is not None:
                return original(path, *args, **kwargs)
            return self._named(original, self.reading(path), path, *args, **kwargs)

        return call

    def _changes(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("dir_fd") is not None or not self._exists_in_view(path):
                return original(path, *args, **kwargs)
            return self._named(original, self.writing(path, keep_content=True), path, *args, **kwargs)

        return call

    def _mkdir(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def mkdir(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
            if dir_fd is not None or self._full(path) is None:
                original(path, mode, dir_fd=dir_fd)
            elif self._exists_in_view(path):
                raise FileExistsError(17, os.strerror(17), os.fspath(path))
            else:
                self._named(original, self.writing(path, keep_content=False), path, mode)

        return mkdir

    def _removes(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def remove(path: Any, *, dir_fd: int | None = None) -> None:
            full = None if dir_fd is not None else self._full(path)
            if full is None:
                original(path, dir_fd=dir_fd)
                return
            if not self._exists_in_view(path):
                raise FileNotFoundError(2, os.strerror(2), os.fspath(path))
            if self._exists(self._upper(full)):
                original(self._upper(full))
            self.gone.add(full)

        return remove

    def _renames(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def rename(source: Any, target: Any, **kwargs: Any) -> None:
            full, there = self._full(source), self._full(target)
            if full is None and there is None:
                original(source, target, **kwargs)
                return
            if not self._exists_in_view(source):
                raise FileNotFoundError(2, os.strerror(2), os.fspath(source), None, os.fspath(target))
            shown = self.reading(source)
            to = self.writing(target, keep_content=False)
            if os.path.isdir(shown):
                shutil.copytree(source, to, dirs_exist_ok=True)
            else:
                with self.open(shown, "rb") as read, self.open(to, "wb") as write:
                    shutil.copyfileobj(read, write)
            if full is None:
                os.unlink(source)
                return
            if self._exists(self._upper(full)):
                upper = self._upper(full)
                shutil.rmtree(upper) if os.path.isdir(upper) else self.real["unlink"](upper)
            self.gone.add(full)

        return rename

    def _second(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def link(source: Any, target: Any, *args: Any, **kwargs: Any) -> None:
            if original.__name__ == "link":
                source = self.reading(source)
            original(source, self.writing(target, keep_content=False), *args, **kwargs)

        return link

    def _lists(self, original: Callable[..., Any]) -> Callable[..., Any]:
        lists = patched_original(original)

        def listdir(path: Any = ".") -> list[Any]:
            full = self._full(path) if not isinstance(path, int) else None
            if full is None or not (self.gone or self._exists(self._upper(full))):
                return list(lists(path))
            names = {entry.name for entry in self._entries(full, path)}
            return [os.fsencode(name) for name in names] if isinstance(path, bytes) else list(names)

        return listdir

    def _scans(self, original: Callable[..., Any]) -> Callable[..., Any]:
        scans = patched_original(original)

        def scandir(path: Any = ".") -> Any:
            full = self._full(path) if not isinstance(path, int) else None
            if full is None or not (self.gone or self._exists(self._upper(full))):
                return scans(path)
            return _Entries(self._entries(full, path))

        return scandir

    def _entries(self, full: str, asked: Any) -> Iterator[_Entry]:
        """The entries of a folder in both layers."""
        if not self._is_folder(full):
            raise FileNotFoundError(2, os.strerror(2), os.fspath(asked))
        shown: dict[str, _Entry] = {}
        for folder in (full, self._upper(full)):
            with suppress(OSError), self.real["scandir"](folder) as entries:
                for entry in entries:
                    if folder == full and self._is_gone(os.path.join(full, entry.name)):
                        continue
                    shown[entry.name] = _Entry(entry, os.path.join(os.fsdecode(asked), entry.name))
        return iter(shown.values())

    def _rmtree(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def rmtree(path: Any, *args: Any, **kwargs: Any) -> None:
            full = self._full(path)
            if full is None or not self._exists_in_view(path):
                original(path, *args, **kwargs)
                return
            if self._exists(self._upper(full)):
                _remove_tree(self._upper(full), self.real)
            self.gone.add(full)

        return rmtree

    def close(self) -> None:
        """Throw away what was written."""
        self.watch.stop()
        if self.owns:
            shutil.rmtree(self.folder, ignore_errors=True)


class _Entry:
    """A directory entry under the name that was asked for."""

    def __init__(self, entry: os.DirEntry[str], path: str) -> None:
        self.entry = entry
        self.name = entry.name
        self.path = path

    def __getattr__(self, name: str) -> Any:
        return getattr(self.entry, name)

    def __fspath__(self) -> str:
        return self.path


class _Entries:
    """What `os.scandir` gives: an iterator that can be closed."""

    def __init__(self, entries: Iterator[_Entry]) -> None:
        self.entries = entries

    def __iter__(self) -> Iterator[_Entry]:
        return self.entries

    def __next__(self) -> _Entry:
        return next(self.entries)

    def __enter__(self) -> _Entries:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def close(self) -> None:
        """Nothing is held open."""


def patched_original(function: Any) -> Callable[..., Any]:
    """The function below all stand-ins."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function  # type: ignore[no-any-return]


def _remove_tree(folder: str, real: dict[str, Any]) -> None:
    with real["scandir"](folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _remove_tree(entry.path, real)
            else:
                real["unlink"](entry.path)
    patched_original(os.rmdir)(folder)


def _within(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders)


def _realpath(folder: str, lstat: Callable[..., os.stat_result]) -> str:
    """`os.path.realpath` that looks at the real files only."""
    link = patched_original(os.readlink)
    for _ in range(40):
        parts = folder.split(os.sep)
        for end in range(2, len(parts) + 1):
            here = os.sep.join(parts[:end])
            if stat.S_ISLNK(lstat(here).st_mode):
                there = os.path.join(os.path.dirname(here), link(here), *parts[end:])
                folder = os.path.normpath(there)
                break
        else:
            return folder
    return folder


# ---------------------------------------------------------------- libraries that open files by themselves


def _redirect_libraries(overlay: Overlay, patches: Patches) -> Watch:
    """Functions that write and read in C or C++, and those that took Python's own before they were redirected."""
    import torch  # noqa: PLC0415
    from torch.jit._script import RecursiveScriptModule, ScriptModule  # noqa: PLC0415

    def to(place: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Where the argument at this place is written to."""
        return partial(_at, place=place, path=lambda given: overlay.writing(given, False))

    def of(place: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Where the argument at this place is read from."""
        return partial(_at, place=place, path=overlay.reading)

    def database(given: Any) -> Any:
        return given if given == ":memory:" or str(given).startswith("file:") else overlay.writing(given, True)

    def library(module: ModuleType) -> None:
        # Parts of safetensors take these two functions over when they are imported.
        if module.__name__ == "safetensors":
            patches.replace(module, "serialize_file", to(1))
            patches.replace(module, "safe_open", of(0))
        elif module.__name__ == "sqlite3":
            patches.replace(module, "connect", partial(_at, place=0, path=database))

    class Writer(torch._C.PyTorchFileWriter):
        def __init__(self, file: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(overlay.writing(file, False) if _is_path(file) else file, *args, **kwargs)

    class Reader(torch._C.PyTorchFileReader):
        def __init__(self, file: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(overlay.reading(file) if _is_path(file) else file, *args, **kwargs)

    patches.put(torch._C, "PyTorchFileWriter", Writer)
    patches.put(torch._C, "PyTorchFileReader", Reader)
    patches.replace(torch, "save", to(1))
    patches.replace(torch, "load", of(0))
    patches.replace(torch.jit, "load", of(0))
    for holder in (
        ScriptModule,
        RecursiveScriptModule,
        torch.jit.ScriptFunction,
    ):  # the second's is a copy in the first
        patches.replace(holder, "save", to(1))
    patches.replace(torch.autograd.profiler.profile, "export_chrome_trace", to(1))
    for name in ("close", "cleanup"):  # its functions have `os.unlink` as a default
        patches.replace(tempfile._TemporaryFileCloser, name, _unlinking)  # type: ignore[attr-defined]
    if (source := sys.modules.get("numpy.lib._datasource")) is not None:
        openers = source._file_openers
        openers._load()
        patches.put(openers, "_file_openers", {**openers._file_openers, None: builtins.open})
    for name in ("sqlite3", "safetensors"):
        if name in sys.modules:
            library(sys.modules[name])
    return Watch(library, {"safetensors", "sqlite3"})


def _at(original: Callable[..., Any], place: int, path: Callable[[Any], Any]) -> Callable[..., Any]:
    """A function whose argument at a place is another path, if it is one."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) > place:
            if _is_path(args[place]):
                args = (*args[:place], path(args[place]), *args[place + 1 :])
        else:
            name = _parameter(original, place)
            if _is_path(kwargs.get(name)):
                kwargs = {**kwargs, name: path(kwargs[name])}
        return original(*args, **kwargs)

    return call


def _parameter(function: Callable[..., Any], place: int) -> str:
    """The name of the parameter at a place, if it can be told."""
    try:
        return list(inspect.signature(function).parameters)[place]
    except (TypeError, ValueError, IndexError):
        return ""


def _unlinking(original: Callable[..., Any]) -> Callable[..., Any]:
    has_default = "unlink" in inspect.signature(original).parameters

    def call(closer: Any, *args: Any, **kwargs: Any) -> Any:
        return original(closer, *args, **({"unlink": os.unlink} if has_default else {}), **kwargs)

    return call


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, bytes, os.PathLike))
