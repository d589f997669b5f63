"""URLs of this server's resources, as answers and Location headers carry them."""

from dataclasses import dataclass

from api.gate import PREFIX


@dataclass(frozen=True)
class Links:
    """`base` is the public URL of the server, without a slash at its end."""

    base: str

    def call(self, account: str, call_id: str) -> str:
        return f"{self.base}{PREFIX}/accounts/{account}/calls/{call_id}"

    def member(self, account: str, conference_id: str, call_id: str) -> str:
        return f"{self.base}{PREFIX}/accounts/{account}/conferences/{conference_id}/members/{call_id}"
