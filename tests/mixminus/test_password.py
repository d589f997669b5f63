"""The demo account's password, which is made at the first start."""

import os
import resource
import stat
from pathlib import Path

import pytest

from mixminus.config import ConfigError, ensure_password


def test_the_password_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "var"
    password, made = ensure_password(directory)
    assert made and len(password) >= 16
    assert stat.S_IMODE(os.stat(directory / "password").st_mode) == 0o600
    assert ensure_password(directory) == (password, False)


def test_a_password_that_was_written_by_hand_is_kept(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("chosen\n")
    assert ensure_password(tmp_path) == ("chosen", False)


def test_an_empty_password_file_is_an_error_and_no_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("\n")
    with pytest.raises(ConfigError, match="expected one line with a password"):
        ensure_password(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"one\ntwo\n", b"a\0b"])
def test_what_is_no_password_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "password").write_bytes(content)
    with pytest.raises(ConfigError, match=r"password: expected .*; remove it and"):
        ensure_password(tmp_path)


def test_a_password_that_cannot_be_written_leaves_no_empty_one(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # as a full disk
    try:
        with pytest.raises(ConfigError, match=r"data\.directory: .*password cannot be used"):
            ensure_password(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert ensure_password(tmp_path)[1]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"data\.directory: .*password cannot be used"):
        ensure_password(tmp_path / "file")
