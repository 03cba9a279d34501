"""What a gateway has in memory. Where what was freed counts, it must not be built with a sanitizer: needs_plain_build."""
import contextlib
import pathlib
import re

import pytest

from .gateway import program


def is_sanitized():
    return any(name in program("imapstated").read_bytes() for name in (b"__asan_init", b"__tsan_init"))


needs_plain_build = pytest.mark.skipif(is_sanitized(), reason="a sanitizer keeps freed memory")


def resident_kib(gateway):
    status = pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+) kB", status, re.M).group(1))


def find(gateway, forms):
    """Where one of these is, for an assertion to show. PermissionError: only root may look."""
    found = []
    process = pathlib.Path(f"/proc/{gateway.process.pid}")
    for line in (process / "maps").read_text().splitlines():
        begin, end = (int(each, 16) for each in line.split()[0].split("-"))
        if not line.split()[1].startswith("rw"):
            continue
        with open(process / "mem", "rb", 0) as memory, contextlib.suppress(OSError):
            memory.seek(begin)
            octets = memory.read(end - begin)
            found += [f"{form!r} in {line}" for form in forms if form in octets]
    return found
