"""Images in tar archives: found and read where they lie, and damage is named."""

import io
import itertools
import tarfile

import pytest

from ganfp_jax.data import archives
from ganfp_jax.data.decode import Record, Refused
from ganfp_jax.data.entries import BESIDE, IMAGE, REJECTED
from ganfp_jax.data.inputs import image_file


def write(path, files, **settings):
    with tarfile.open(path, "w", **settings) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return str(path)


def listed(path):
    return list(archives.members(path, "set.tar"))


def of_kind(entries, kind):
    return [(entry.path, entry.reason) for entry in entries if entry.kind == kind]


def test_a_member_that_ends_before_it_begins_ends_the_list(tmp_path):
    path = write(tmp_path / "set.tar", {"a.png": b"one", "b.png": b"two"})
    content = bytearray((tmp_path / "set.tar").read_bytes())
    header = content[1024:1536]
    header[124:136] = (-512).to_bytes(12, "big", signed=True)  # as GNU writes sizes that octal cannot hold
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content[1024:1536] = header
    (tmp_path / "set.tar").write_bytes(content)
    entries = list(itertools.islice(archives.members(path, "set.tar"), 9))
    assert [entry.path for entry in entries if entry.kind == IMAGE] == [f"{path}/a.png"]
    ((where, reason),) = of_kind(entries, REJECTED)
    assert where == path and reason.startswith("a damaged archive: ")
    with pytest.raises(Refused, match="too large"):
        archives.Member(path, "b.png", 0, -512).read_bytes()


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_records_with_their_bytes(tmp_path, format):
    long = f"deep/{'n' * 90}/生成.PNG"
    files = {"0001.jpg": b"one", "0001.cls": b"3", "a/0002.png": b"two" * 400, "a/.hidden.png": b"", long: b"three"}
    path = write(tmp_path / "set.tar", files, format=format)
    entries = listed(path)
    images = [entry for entry in entries if entry.kind == IMAGE]
    assert [entry.path for entry in images] == [f"{path}/{name}" for name in ("0001.jpg", "a/0002.png", long)]
    assert [entry.key for entry in images] == ["set.tar/0001.jpg", "set.tar/a/0002.png", f"set.tar/{long}"]
    records = [image_file(entry.path, entry.inside) for entry in images]
    assert all(isinstance(record, Record) for record in records)
    assert [record.read_bytes() for record in records] == [b"one", b"two" * 400, b"three"]
    assert of_kind(entries, BESIDE) == [(f"{path}/0001.cls", "not an image by its name")]


def test_links_are_not_followed(tmp_path):
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        member = tarfile.TarInfo("link.png")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
        archive.addfile(tarfile.TarInfo("real.png"), io.BytesIO(b""))
    path = str(tmp_path / "set.tar")
    assert of_kind(listed(path), REJECTED) == [
        (f"{path}/link.png", "a link or a device in an archive, which is not followed")
    ]
    assert of_kind(listed(path), IMAGE) == [(f"{path}/real.png", "")]


def test_of_a_damaged_archive_the_sound_members_are_listed(tmp_path):
    path = tmp_path / "set.tar"
    write(path, {f"{k}.png": bytes([k]) * 2000 for k in range(4)})
    whole = path.read_bytes()
    path.write_bytes(whole[: 2 * 2560 + 512 + 700])  # within the third member
    entries = listed(str(path))
    assert [entry.path for entry in entries if entry.kind == IMAGE] == [f"{path}/{k}.png" for k in range(3)]
    assert of_kind(entries, REJECTED) == [(str(path), "a damaged archive: unexpected end of data, after 3 files")]
    third = image_file(entries[2].path, entries[2].inside)
    with pytest.raises(Refused, match="the archive ends within this image"):
        third.read_bytes()
    path.write_bytes(whole[:2560] + b"\xff" * 512 + whole[3072:])  # a header that is none
    (one, damage) = listed(str(path))
    assert (
        one.path == f"{path}/0.png"
        and damage.kind == REJECTED
        and damage.reason == "a damaged archive: bad header, after 1 files"
    )


@pytest.mark.parametrize("content", [b"no archive" * 100, b"", b"\x1f\x8b" + b"x" * 600])
def test_what_is_no_archive(tmp_path, content):
    (tmp_path / "set.tar").write_bytes(content)
    (entry,) = listed(str(tmp_path / "set.tar"))
    assert entry.kind == REJECTED and entry.reason.startswith("not a tar archive: ")
    (tmp_path / "set.tar").unlink()
    assert listed(str(tmp_path / "set.tar"))[0].reason == "cannot be read: no such file or directory"


def test_a_member_that_is_too_large(tmp_path):
    with pytest.raises(Refused, match="too large: a file of 2,000,000,000 bytes"):
        archives.Member(str(tmp_path), "a.png", 0, 2_000_000_000).read_bytes()
