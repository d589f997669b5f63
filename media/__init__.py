"""The media process, which may never wait, and its client in control. Not what a call is for."""
