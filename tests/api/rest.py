"""What the tests of REST share: a good order, the reading of a refusal, the walk through pages."""

import re

import httpx

ORDER = {
    "from": "+19195554321",
    "to": "+19195551234",
    "applicationId": "3f1d4c4e-7b1b-4d0c-8f7e-000000000001",
    "answerUrl": "http://127.0.0.1:9000/answer",
}


def fault(response: httpx.Response, status: int = 400) -> str:
    """The description of a refusal, whose body is the contract's."""
    kinds = {404: "validation", 409: "validation", 429: "error", 503: "system-overloaded"}
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json;charset=UTF-8"
    body = response.json()
    assert set(body) == {"type", "description", "id"}
    assert body["type"] == kinds.get(status, "validation")
    return str(body["description"])


async def pages(client: httpx.AsyncClient, url: str) -> list[list[str]]:
    """The ids of each page, following the links as a client does."""
    found = []
    while True:
        response = await client.get(url)
        assert response.status_code == 200
        found.append([row.get("callId") or row["id"] for row in response.json()])
        link = response.headers.get("link")
        if link is None:
            return found
        match = re.fullmatch(r'<http://voice\.example:8080(/api/v2/[^>]*)>; rel="next"', link)
        assert match is not None
        url = f"http://server{match[1]}"
