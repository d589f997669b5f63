"""Where a key stands in a TOML text."""

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mixminus.sources import Key, line_numbers, spell


def test_keys_tables_and_arrays_have_their_lines() -> None:
    assert line_numbers("[a]\nx = 1\n\n[[b]]\nx = 1\ny = 2\n[[b]] # again\nx = 3\n") == {
        ("a",): 1,
        ("a", "x"): 2,
        ("b",): 4,
        ("b", 0): 4,
        ("b", 0, "x"): 5,
        ("b", 0, "y"): 6,
        ("b", 1): 7,
        ("b", 1, "x"): 8,
    }


def test_what_looks_like_a_key_inside_a_value_is_none() -> None:
    text = (
        'x = [\n  "y = 1", # z = 2\n  [3],\n]\n'
        'm = """\n[t]\nk = 1\n"""\n'
        "l = '''\n[t]\n'''\n"
        's = "[ \\" # {"\n'
        "last = { p = 1 }\n"
    )
    tomllib.loads(text)
    assert line_numbers(text) == {("x",): 1, ("m",): 5, ("l",): 9, ("s",): 12, ("last",): 13}


def test_dotted_and_quoted_names_are_read() -> None:
    assert line_numbers('a.b = 1\n"c" . d=2\n[ "e" ]\n') == {("a", "b"): 1, ("c", "d"): 2, ("e",): 3}


def test_windows_line_endings_count_once() -> None:
    assert line_numbers("[a]\r\nx = 1\r\n[[b]]\r\ny = 2\r\n")[("b", 0, "y")] == 4


def test_keys_are_spelt_as_one_would_write_them() -> None:
    assert spell(("users", 0, "name")) == "users[0].name"
    assert spell(("sip", "listen")) == "sip.listen"
    assert spell(("sip",)) == "sip"


STRINGS = st.text("ab[]{}\"'#=\\ \n", max_size=8)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"""' + escaped + '"""' if "\n" in text else '"' + escaped + '"'


TABLES = st.dictionaries(st.sampled_from("pqrs"), STRINGS | st.lists(STRINGS, max_size=3), max_size=4)


def written(tables: dict[str, dict[str, Any]]) -> tuple[str, dict[Key, int]]:
    """A TOML text and the line of each of its keys."""
    text, lines = "", {}
    for name, table in tables.items():
        lines[(name,)] = text.count("\n") + 1
        text += f"[{name}]\n"
        for key, value in table.items():
            lines[(name, key)] = text.count("\n") + 1
            shown = quoted(value) if isinstance(value, str) else "[\n" + ",\n".join(map(quoted, value)) + "]"
            text += f"{key} = {shown} # [x] = '\n"
    return text, lines


@given(st.dictionaries(st.sampled_from("abc"), TABLES, max_size=3))
def test_every_key_of_any_text_has_its_line(tables: dict[str, dict[str, Any]]) -> None:
    text, lines = written(tables)
    tomllib.loads(text)
    assert line_numbers(text) == lines
