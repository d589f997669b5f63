"""The configurations of docs/recipes.md are configurations."""

import re
from pathlib import Path

import pytest

from mixminus.config import load
from tests.support.certificates import Authority

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "recipes.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_recipes_configuration_can_be_used_and_warns_of_nothing(block: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)  # makes authority.pem
    issued = authority.issue("IP:192.0.2.10")
    Path(issued.certificate).rename(tmp_path / "server.pem")
    Path(issued.private_key).rename(tmp_path / "server.key")
    (tmp_path / "my.toml").write_text(block)
    config = load(tmp_path / "my.toml", {})
    assert config.warnings == () and (config.users or config.trunks)


def test_there_is_one_for_each_recipe() -> None:
    assert len(BLOCKS) == 5
