"""The demo account's password, which is made at the first start."""

import os
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
    with pytest.raises(ConfigError, match="is empty"):
        ensure_password(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"data\.directory: .*password cannot be used"):
        ensure_password(tmp_path / "file")
