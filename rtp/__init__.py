"""Packets, their sockets, and whose packet it is. Not what is in them."""
