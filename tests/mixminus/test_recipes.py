"""The configurations of docs/recipes.md are configurations."""

import re
from pathlib import Path

import pytest

from mixminus.config import load

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "recipes.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_recipes_configuration_can_be_used_and_warns_of_nothing(block: str, tmp_path: Path) -> None:
    for name in ("server.pem", "server.key", "authority.pem"):
        (tmp_path / name).touch()
    (tmp_path / "my.toml").write_text(block)
    config = load(tmp_path / "my.toml", {})
    assert config.warnings == () and (config.users or config.trunks)


def test_there_is_one_for_each_recipe() -> None:
    assert len(BLOCKS) == 5
