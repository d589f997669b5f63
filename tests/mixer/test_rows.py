"""Rows that are handed out, and how far those in use reach."""

from mixer.rows import Rows


def test_what_is_in_use_ends_behind_the_last_open_row():
    rows = Rows(8)
    handles = [rows.hand_out() for _ in range(4)]
    assert rows.used == 5
    rows.take_back(handles[1])
    assert rows.used == 5
    rows.take_back(handles[3])
    assert rows.used == 4
    rows.take_back(handles[2])
    assert rows.used == 2
    rows.take_back(handles[0])
    assert rows.used == 1
    assert rows.hand_out() & 0xFFFF == 1
    assert rows.used == 2
