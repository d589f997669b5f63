"""A voice application that costs next to nothing: every caller of NAME joins the conference NAME.

python -m benchmarks.application PORT
"""

import asyncio
import json
import sys

DOCUMENT = "<Response><Conference>{}</Conference></Response>"


class Webhook(asyncio.Protocol):
    """One connection that is kept alive; requests come one after another, each with a Content-Length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            lines = head.lower().split(b"\r\n")
            length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            self._answer(head, rest[:length])

    def _answer(self, head: bytes, body: bytes) -> None:
        document = ""
        if head.startswith(b"POST /initiate"):
            called = str(json.loads(body)["to"])
            document = DOCUMENT.format(called.removeprefix("sip:").partition("@")[0])
        answer = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {len(document)}\r\n\r\n"
        )
        self._transport.write((answer + document).encode())


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Webhook, "127.0.0.1", port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
