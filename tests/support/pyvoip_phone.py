"""A pyVoIP softphone as a program of its own: JSON lines in on stdin, JSON lines out on stdout.

pyVoIP is GPL: neither the server nor a test imports it or this file, `pyvoip.py` runs it as a process.

    in   {"do": "call", "number": "room"}   {"do": "hangup"}   {"do": "quit"}
    out  {"is": "registered"}   {"is": "calling"}   {"is": "answered"}   {"is": "ended"}
         {"is": "failed", "why": ...}

What it hears goes to the file named on the command line, 8 kHz, 8 bit unsigned, as pyVoIP has it.
"""

import argparse
import json
import math
import sys
import threading
import time
from pathlib import Path
from typing import Any

OUT = sys.stdout
sys.stdout = sys.stderr  # nothing but JSON may reach the real one


def say(**fact: Any) -> None:
    OUT.write(json.dumps(fact) + "\n")
    OUT.flush()


def tone(frequency: int) -> bytes:
    """One second, loud enough for eight bits."""
    return bytes(128 + round(40 * math.sin(2 * math.pi * frequency * n / 8000)) for n in range(8000))


class Softphone:
    def __init__(self, options: argparse.Namespace) -> None:
        from pyVoIP.VoIP import VoIPPhone

        self.options = options
        self.call: Any = None
        self.phone = VoIPPhone(
            options.server,
            options.port,
            options.user,
            options.password,
            myIP=options.address,
            sipPort=options.sip_port,
            rtpPortLow=options.rtp_port,
            rtpPortHigh=options.rtp_port + 10,
        )

    def start(self) -> None:
        self.phone.start()
        deadline = time.monotonic() + 10
        while self.phone.get_status().name != "REGISTERED":
            if time.monotonic() > deadline:
                raise TimeoutError(f"still {self.phone.get_status().name}")
            time.sleep(0.05)
        say(**{"is": "registered"})

    def dial(self, number: str) -> None:
        self.call = self.phone.call(number)
        say(**{"is": "calling"})
        threading.Thread(target=self._talk, args=(self.call,), daemon=True).start()

    def _talk(self, call: Any) -> None:
        from pyVoIP.VoIP import CallState

        while call.state in (CallState.DIALING, CallState.RINGING):
            time.sleep(0.02)
        if call.state != CallState.ANSWERED:
            say(**{"is": "ended"})
            return
        say(**{"is": "answered"})
        second = tone(self.options.frequency)
        call.write_audio(second * 2)
        written, start = 2.0, time.monotonic()
        with Path(self.options.recording).open("wb") as recording:
            while call.state == CallState.ANSWERED:
                if time.monotonic() - start > written - 1:
                    call.write_audio(second)
                    written += 1
                recording.write(call.read_audio(160, blocking=False))
                recording.flush()
                time.sleep(0.02)
        say(**{"is": "ended"})

    def obey(self, command: dict[str, Any]) -> bool:
        """False: that was the last one."""
        if command["do"] == "call":
            self.dial(command["number"])
        elif command["do"] == "hangup":
            self.call.hangup()
        elif command["do"] == "quit":
            self.phone.stop()
            return False
        return True


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", default="none")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--sip-port", type=int, required=True)
    parser.add_argument("--rtp-port", type=int, required=True)
    parser.add_argument("--frequency", type=int, default=440)
    parser.add_argument("--recording", required=True)
    softphone = Softphone(parser.parse_args())
    try:
        softphone.start()
        for line in sys.stdin:
            if not softphone.obey(json.loads(line)):
                return 0
    except Exception as error:  # noqa: BLE001 - a foreign library's: told to the test, which fails on it
        say(**{"is": "failed", "why": repr(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
