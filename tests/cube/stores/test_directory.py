"""The directory store: kills, full and forbidden disks, links and modes."""

import contextlib
import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cube.errors import StoreError
from cube.stores import open_store
from cube.stores.directory import DirectoryStore
from cube.stores.store import TEMPORARY

BODY = b"01234"


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def files(store: DirectoryStore) -> list[str]:
    return sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file())


def code_of(caught: pytest.ExceptionInfo[StoreError]) -> str:
    return caught.value.problems[0].code


@pytest.mark.parametrize("call", ["put('a/item', b'new')", "put_if_unchanged('a/item', b'new', b'old')"])
def test_a_kill_between_write_and_rename_leaves_the_old_object(store: DirectoryStore, call: str) -> None:
    store.put("a/item", b"old")
    program = (
        "import os, pathlib, signal, sys\n"
        "from cube.stores import open_store\n"
        "pathlib.Path.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"open_store(sys.argv[1]).{call}\n"
    )
    child = subprocess.run([sys.executable, "-c", program, str(store.root)], check=False)
    assert child.returncode == -signal.SIGKILL
    left = [name for name in files(store) if TEMPORARY in name]
    assert len(left) == 1
    assert (store.root / left[0]).read_bytes() == b"new"
    assert store.get("a/item") == b"old"
    assert list(store.walk("")) == ["a/item"]
    # The lock died with its holder.
    assert store.put_if_unchanged("a/item", b"newer", b"old")


def test_a_kill_while_writing_leaves_nothing_visible(store: DirectoryStore) -> None:
    program = (
        "import os, signal, sys\n"
        "from cube.stores import open_store\n"
        "write = os.write\n"
        "def half(descriptor, data):\n"
        "    write(descriptor, data[: len(data) // 2])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.write = half\n"
        "open_store(sys.argv[1]).put('a/shard', bytes(1_000_000))\n"
    )
    child = subprocess.run([sys.executable, "-c", program, str(store.root)], check=False)
    assert child.returncode == -signal.SIGKILL
    assert [(store.root / name).stat().st_size for name in files(store)] == [500_000]
    assert store.head("a/shard") is None
    assert list(store.walk("")) == []


def test_the_data_reach_the_disk_before_the_name(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    flush, rename = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        events.append(f"flush {kind} {Path(f'/proc/self/fd/{descriptor}').readlink().name[:5]}")
        flush(descriptor)

    def replace(source: Path, target: Path) -> Path:
        events.append(f"rename to {target.name}")
        return rename(source, target)

    store.put("other", b"")
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    store.put("new/shard", BODY)
    assert events == ["flush folder store", f"flush file {TEMPORARY}", "rename to shard", "flush folder new"]


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system with room for a megabyte; where none may be mounted, a write that fails as on a full one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False, capture_output=True
        ).returncode
    ):
        yield folder
        subprocess.run(["umount", folder], check=True)
        return
    write = os.write

    def limited(descriptor: int, data: memoryview) -> int:
        if len(data) > 500_000:
            write(descriptor, data[:1000])
            raise OSError(errno.ENOSPC, "full")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", limited)
    yield folder


def test_a_full_disk_says_so_and_loses_nothing(small_disk: Path) -> None:
    store = DirectoryStore(small_disk / "store")
    store.put("shard", BODY)
    for call in (
        lambda: store.put("shard", bytes(2_000_000)),
        lambda: store.put_if_unchanged("shard", bytes(2_000_000), BODY),
    ):
        with pytest.raises(StoreError, match="make room") as caught:
            call()
        assert code_of(caught) == "store-full"
    assert store.get("shard") == BODY
    assert files(store) == ["shard"]
    store.put("shard", b"small again")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "store-full"),
        (errno.EDQUOT, "store-full"),
        (errno.EROFS, "store-read-only"),
        (errno.EPERM, "store-permission"),
        (errno.EIO, "store-io"),
        (errno.ESTALE, "store-io"),
    ],
)
def test_errors_of_the_file_system_have_their_own_codes(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    def fails(descriptor: int, data: memoryview) -> int:
        raise OSError(number, "anything")

    store.put("there", BODY)
    monkeypatch.setattr(os, "write", fails)
    with pytest.raises(StoreError) as caught:
        store.put("shard", BODY)
    assert code_of(caught) == code
    assert files(store) == ["there"]


@contextlib.contextmanager
def ordinary_user() -> Iterator[None]:
    """Permissions mean nothing to root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_without_permission_says_so() -> None:
    # Not below pytest's folder, which other users cannot enter.
    with tempfile.TemporaryDirectory() as folder:
        store = DirectoryStore(folder)
        store.put("hidden/object", BODY)
        (store.root / "hidden").chmod(0)
        store.root.chmod(0o555)
        with ordinary_user():
            for call in (
                lambda: store.put("a/b", b""),
                lambda: store.put_if_unchanged("a", b"", None),
                lambda: store.conditional,
                lambda: store.get("hidden/object"),
                lambda: store.head("hidden/object"),
                lambda: store.copy("hidden/object", "a"),
                lambda: store.delete("hidden/object"),
                lambda: list(store.walk("")),
            ):
                with pytest.raises(StoreError) as caught:
                    call()
                assert code_of(caught) == "store-permission"
        store.root.chmod(0o755)
        (store.root / "hidden").chmod(0o755)
        assert files(store) == ["hidden/object"]


@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_out_of_the_store_is_not_followed(store: DirectoryStore, tmp_path: Path, absolute: bool) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    store.put("a/b", BODY)
    (store.root / "folder").symlink_to(outside if absolute else "../outside")
    (store.root / "file").symlink_to(outside / "secret" if absolute else "../outside/secret")
    for call in (
        lambda: store.get("folder/secret"),
        lambda: store.get("file"),
        lambda: store.head("file"),
        lambda: store.copy("file", "copied"),
        lambda: store.put("folder/new", b""),
        lambda: store.put_if_unchanged("folder/new", b"", None),
        lambda: store.delete("folder/secret"),
        lambda: list(store.walk("folder")),
    ):
        with pytest.raises(StoreError) as caught:
            call()
        assert code_of(caught) == "store-outside"
    assert list(store.walk("")) == ["a/b"]
    store.put("file", b"replaces the link")
    assert (outside / "secret").read_bytes() == b"secret"
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


def test_links_inside_the_store_and_to_its_root_are_followed(store: DirectoryStore, tmp_path: Path) -> None:
    store.put("a/b", BODY)
    (store.root / "alias").symlink_to("a")
    (tmp_path / "elsewhere").symlink_to(store.root)
    assert store.get("alias/b") == BODY
    assert DirectoryStore(tmp_path / "elsewhere").get("a/b") == BODY


def test_the_mode_follows_the_umask(store: DirectoryStore) -> None:
    before = os.umask(0o027)
    try:
        store.put("a/b", BODY)
        store.put_if_unchanged("item", BODY, None)
    finally:
        os.umask(before)
    assert stat.S_IMODE((store.root / "a/b").stat().st_mode) == 0o640
    assert stat.S_IMODE((store.root / "item").stat().st_mode) == 0o640
    assert stat.S_IMODE((store.root / "a").stat().st_mode) == 0o750


def test_a_copy_shares_the_bytes_on_disk(store: DirectoryStore) -> None:
    store.put("a/b", BODY)
    store.copy("a/b", "c/d")
    assert (store.root / "a/b").samefile(store.root / "c/d")


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK])
def test_a_copy_without_hard_links_copies_the_bytes(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*names: object) -> None:
        raise OSError(number, "no links")

    monkeypatch.setattr(os, "link", refused)
    body = os.urandom(3_000_000)
    store.put("a/b", body)
    store.copy("a/b", "c/d")
    assert store.get("c/d") == body
    assert not (store.root / "a/b").samefile(store.root / "c/d")
    assert store.put_if_unchanged("new", b"1", None)
    assert not store.put_if_unchanged("new", b"2", None)
    assert list(store.walk("")) == ["a/b", "c/d", "new"]


def test_a_link_whose_answer_was_lost_is_still_ours(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    assert store.put_if_unchanged("lock", b"mine", None)
    assert store.get("lock") == b"mine"


def test_without_locks_compare_and_set_is_not_called_atomic(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr("fcntl.flock", unknown)
    assert not store.conditional
    assert store.put_if_unchanged("item", b"1", None)
    assert not store.put_if_unchanged("item", b"2", b"0")
    assert store.put_if_unchanged("item", b"2", b"1")


def test_unfinished_files_are_no_objects(store: DirectoryStore) -> None:
    store.put("a/b", BODY)
    (store.root / f"a/{TEMPORARY}0123").write_bytes(b"half")
    assert list(store.walk("")) == ["a/b"]


def test_a_pipe_is_no_object_and_does_not_hang(store: DirectoryStore) -> None:
    store.put("a", BODY)
    os.mkfifo(store.root / "pipe")
    assert store.head("pipe") is None
    with pytest.raises(StoreError):
        store.get("pipe")
    assert list(store.walk("")) == ["a"]


def test_a_folder_in_place_of_an_object_is_reported(store: DirectoryStore) -> None:
    store.put("a/b", BODY)
    for key in ("a", "a/b/c"):
        with pytest.raises(StoreError) as caught:
            store.put(key, BODY)
        assert code_of(caught) == "store-clash"
    assert files(store) == ["a/b"]


def test_deleting_leaves_no_empty_folders_but_the_root(store: DirectoryStore) -> None:
    store.put("a/b/c/d", BODY)
    store.put("a/e", BODY)
    store.delete("a/b/c/d")
    assert [path.name for path in (store.root / "a").iterdir()] == ["e"]
    store.delete("a/e")
    assert list(store.root.iterdir()) == []


def test_writing_beside_deleting_never_misses_its_folder(store: DirectoryStore) -> None:
    program = (
        "import sys\n"
        "from cube.stores import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "for _ in range(150):\n"
        "    store.put(f'a/b/{sys.argv[2]}', b'')\n"
        "    store.delete(f'a/b/{sys.argv[2]}')\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", program, str(store.root), str(n)]) for n in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]


def test_a_root_with_odd_characters_keeps_its_name(tmp_path: Path) -> None:
    store = open_store(tmp_path / "50 % ü#?")
    store.put("a", BODY)
    assert (tmp_path / "50 % ü#?/a").read_bytes() == BODY
    assert open_store(store.url) == store
    assert Path(store.public_href("a")).read_bytes() == BODY


def test_a_file_cut_short_while_it_is_read_is_not_returned(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a", BODY)
    monkeypatch.setattr(os, "pread", lambda descriptor, count, start: b"")
    with pytest.raises(StoreError) as caught:
        store.get("a")
    assert code_of(caught) == "store-io"
