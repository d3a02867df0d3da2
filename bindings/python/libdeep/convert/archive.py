# SPDX-License-Identifier: Apache-2.0
"""ZIP archives read with suspicion: never unpacked to disk, and every byte of the file accounted for."""

from __future__ import annotations

import struct
import zipfile
from typing import Any, List

from .errors import Where
from .limits import MAX_EXPANSION, MAX_FILE_BYTES, MAX_NAME

MAX_MEMBERS = 10_000
LOCAL_HEADER = struct.Struct("<4s5H3L2H")
END_RECORD_SIZE = 22
ZIP64_RECORDS_SIZE = 56 + 20  # end record and its locator, where sizes need more than 32 bits
ENCRYPTED, DESCRIPTOR = 0x1, 0x8
DESCRIPTOR_SIZES = (0, 12, 16, 20, 24)  # a record behind the data, where a writer could not seek
METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}


class ZipFile:
    """An archive whose directory has been compared with its members. Use as a context manager."""

    def __init__(self, path: str, where: Where) -> None:
        self.where = where
        self._raw = open(path, "rb")
        try:
            with where.reading("archive"):
                self._zip = zipfile.ZipFile(self._raw)
                self._size = self._raw.seek(0, 2)
            self._check_members()
            self._check_layout()
        except BaseException:
            self._raw.close()
            raise

    def __enter__(self) -> "ZipFile":
        return self

    def __exit__(self, *_: Any) -> None:
        self._zip.close()
        self._raw.close()

    def names(self) -> List[str]:
        return [info.filename for info in self._zip.infolist()]

    # What the directory says

    def _check_members(self) -> None:
        members = self._zip.infolist()
        if len(members) > MAX_MEMBERS:
            raise self.where.refuse("archive", f"{len(members)} members, the limit is {MAX_MEMBERS}")
        names = set()
        total = 0
        for info in members:
            self._check_name(info.orig_filename)
            if info.filename in names:
                raise self.where.refuse(info.filename, "stands twice in the archive")
            names.add(info.filename)
            self._check_member(info)
            total += info.file_size
        if total > MAX_FILE_BYTES:
            raise self.where.refuse("archive", f"unpacks to {total} bytes, the limit is {MAX_FILE_BYTES}")

    def _check_name(self, name: str) -> None:
        if not 0 < len(name) <= MAX_NAME:
            raise self.where.refuse("archive", f"a member's name has {len(name)} characters")
        if "\0" in name or "\\" in name or name.startswith("/") or ".." in name.split("/") or ":" in name:
            raise self.where.refuse(repr(name), "is a path that leads elsewhere")

    def _check_member(self, info: zipfile.ZipInfo) -> None:
        if info.flag_bits & ENCRYPTED:
            raise self.where.refuse(info.filename, "is encrypted")
        if info.compress_type not in METHODS:
            raise self.where.refuse(
                info.filename,
                f"compression method {info.compress_type}, neither " f'{" nor ".join(METHODS.values())}',
            )
        if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
            raise self.where.refuse(info.filename, f"{info.compress_size} bytes stored for {info.file_size}")
        if info.file_size > MAX_EXPANSION * max(info.compress_size, 1):
            raise self.where.refuse(
                info.filename,
                f"{info.compress_size} bytes would unpack to {info.file_size}, "
                f"more than {MAX_EXPANSION}-fold",
            )

    # What the file says

    def _check_layout(self) -> None:
        """Members stand one behind the other from the first byte to the directory, and the end record ends
        the file; so two readers cannot see two archives."""
        position = 0
        for info in sorted(self._zip.infolist(), key=lambda one: one.header_offset):
            if info.header_offset < position:
                raise self.where.refuse(
                    info.filename, f"overlaps another member at byte {info.header_offset}"
                )
            if info.header_offset > position:
                raise self.where.refuse(
                    info.filename, f"{info.header_offset - position} bytes before it belong to " "no member"
                )
            position = self._end_of(info)
        directory = self._zip.start_dir
        if position != directory:
            raise self.where.refuse(
                "archive", f"members end at byte {position}, the directory is at {directory}"
            )
        self._check_end(directory)

    def _end_of(self, info: zipfile.ZipInfo) -> int:
        """The byte behind a member, after comparing its local header with the directory."""
        with self.where.reading(info.filename):
            self._raw.seek(info.header_offset)
            header = self._raw.read(LOCAL_HEADER.size)
            if len(header) != LOCAL_HEADER.size:
                raise self.where.refuse(info.filename, "its header is cut off")
            magic, _, flags, method, _, _, _, packed, size, name_length, extra_length = LOCAL_HEADER.unpack(
                header
            )
            name = self._raw.read(name_length).decode("utf-8" if flags & 0x800 else "cp437")
        if magic != b"PK\3\4" or name != info.orig_filename or method != info.compress_type:
            raise self.where.refuse(info.filename, "its own header and the directory differ")
        if (flags ^ info.flag_bits) & (ENCRYPTED | DESCRIPTOR):
            raise self.where.refuse(info.filename, "its own header and the directory differ")
        large = 0xFFFFFFFF  # the sizes stand in an extra field instead
        if not flags & DESCRIPTOR and (
            (packed not in (info.compress_size, large)) or size not in (info.file_size, large)
        ):
            raise self.where.refuse(
                info.filename, f"{packed} bytes by its own header, {info.compress_size} by the " "directory"
            )
        end = info.header_offset + LOCAL_HEADER.size + name_length + extra_length + info.compress_size
        return self._behind_descriptor(info, end) if flags & DESCRIPTOR else end

    def _behind_descriptor(self, info: zipfile.ZipInfo, end: int) -> int:
        """``end`` moved behind the record that may follow the data."""
        starts = {other.header_offset for other in self._zip.infolist()} | {self._zip.start_dir}
        for size in DESCRIPTOR_SIZES:
            if end + size in starts:
                return end + size
        raise self.where.refuse(info.filename, f"ends at byte {end}, where nothing begins")

    def _check_end(self, directory: int) -> None:
        """The end record closes the file and points at the directory; nothing stands between."""
        comment = len(self._zip.comment)
        end = self._size - END_RECORD_SIZE - comment
        self._raw.seek(directory)
        data = self._raw.read(self._size - directory)
        record = data[end - directory : end - directory + END_RECORD_SIZE] if end >= directory else b""
        if record[:4] != b"PK\5\6":
            raise self.where.refuse("archive", "the end record is not at the end")
        size, offset = struct.unpack("<LL", record[12:20])
        known = end - directory if size == 0xFFFFFFFF else size
        gap = end - directory - known
        if offset not in (directory, 0xFFFFFFFF) or gap not in (0, ZIP64_RECORDS_SIZE):
            raise self.where.refuse(
                "archive", f"the end record has the directory at {offset}, it is at {directory}"
            )

    def read(self, name: str, limit: int) -> bytes:
        """A member's bytes, at most ``limit``; its checksum is compared."""
        if name not in self.names():
            raise self.where.refuse(name, "is not in the archive")
        size = self._zip.getinfo(name).file_size
        if size > limit:
            raise self.where.refuse(name, f"{size} bytes, the limit is {limit}")
        with self.where.reading(name), self._zip.open(name) as member:
            data = member.read(size + 1)
        if len(data) != size:
            raise self.where.refuse(name, f"{len(data)} bytes unpacked, {size} declared")
        return data
