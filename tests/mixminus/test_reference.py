"""The page of settings is what the settings say."""

from pathlib import Path

from mixminus.reference import page

ROOT = Path(__file__).parents[2]


def test_the_page_of_settings_is_up_to_date():
    assert (ROOT / "docs" / "configuration.md").read_text() == page()
