import asyncio
import gzip
import logging
import socket
import ssl
import zlib
from base64 import b64encode
from pathlib import Path
from threading import Event

import pytest
from aiohttp import web

from net.errors import HttpError, Malformed, Refused, TimedOut, TooLarge, Unreachable, shown
from net.http import HttpClient
from net.policy import Policy
from tests.net.servers import Names, raw_site, site
from tests.support.eventually import PATIENCE

LOCAL = Policy(allow=["127.0.0.0/8", "::1"])


@pytest.fixture
async def client():
    client = HttpClient(LOCAL)
    yield client
    await client.close()


async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    return web.Response(body=request.method.encode() + b" " + request.path_qs.encode() + b" " + body)


async def test_an_answer_comes_back_whole(client):
    async with site(echo) as port:
        url = f"http://127.0.0.1:{port}/a/b?x=1&y=%20z#part"
        reply = await client.request("POST", url, headers={"Content-Type": "application/json"}, body=b"{}")
    assert reply.status == 200
    assert reply.body == b"POST /a/b?x=1&y=%20z {}"
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.url == url
    assert "y=" not in repr(reply)


async def test_connections_are_kept_and_used_again(client):
    peers = set()

    async def handler(request: web.Request) -> web.Response:
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(text="ok")

    async with site(handler) as port:
        for _ in range(5):
            await client.request("POST", f"http://127.0.0.1:{port}/")
    assert len(peers) == 1


async def test_ipv6_is_spoken(client):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 loopback here")
    async with site(echo, host="::1") as port:
        assert (await client.request("GET", f"http://[::1]:{port}/")).status == 200


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_handed_back_and_not_followed(client, status):
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with site(handler) as port:
        reply = await client.request("GET", f"http://127.0.0.1:{port}/here")
    assert reply.status == status
    assert seen == ["/here"]


async def test_a_server_that_says_nothing_runs_into_the_deadline(client):
    async def talk(reader, writer):
        await asyncio.Event().wait()

    async with asyncio.timeout(PATIENCE), raw_site(talk) as port:
        with pytest.raises(TimedOut):
            await client.request("GET", f"http://127.0.0.1:{port}/", timeout=0.2)
        await client.close()


async def test_a_drip_of_bytes_runs_into_the_one_deadline(client):
    async def talk(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with raw_site(talk) as port:
        with pytest.raises(TimedOut, match=r"within 0\.3 s"):
            await client.request("GET", f"http://127.0.0.1:{port}/", timeout=0.3)


async def test_an_endless_body_is_cut_off_at_the_limit(client):
    sent = 0

    async def talk(reader, writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(16384):
            writer.write(bytes(65536))
            sent += 65536
            await writer.drain()

    async with raw_site(talk) as port:
        with pytest.raises(TooLarge, match="more than 100000 bytes"):
            await client.request("GET", f"http://127.0.0.1:{port}/", max_bytes=100_000)
    assert sent < 64 << 20


async def test_an_announced_gigabyte_is_not_even_read(client):
    async def talk(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        await writer.drain()
        await asyncio.Event().wait()

    async with raw_site(talk) as port:
        with pytest.raises(TooLarge):
            await client.request("GET", f"http://127.0.0.1:{port}/")
        await client.close()


async def test_a_body_of_exactly_the_limit_passes(client):
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=bytes(5000))

    async with site(handler) as port:
        assert len((await client.request("GET", f"http://127.0.0.1:{port}/", max_bytes=5000)).body) == 5000
        with pytest.raises(TooLarge):
            await client.request("GET", f"http://127.0.0.1:{port}/", max_bytes=4999)


def coded(coding: str, data: bytes):
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=data, headers={"Content-Encoding": coding})

    return handler


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_body_is_unpacked(client, coding, pack):
    async with site(coded(coding, pack(b"hello " * 100))) as port:
        assert (await client.request("GET", f"http://127.0.0.1:{port}/")).body == b"hello " * 100


async def test_a_gzip_bomb_stops_at_the_limit(client):
    async with site(coded("gzip", gzip.compress(bytes(200 << 20), compresslevel=9))) as port:
        with pytest.raises(TooLarge):
            await client.request("GET", f"http://127.0.0.1:{port}/", max_bytes=1 << 20)


@pytest.mark.parametrize(
    ("coding", "data"),
    [("gzip", b"no gzip"), ("gzip", gzip.compress(b"hello " * 1000, mtime=0)[:-20]), ("br", b"x")],
)
async def test_a_body_that_does_not_unpack_is_malformed(client, coding, data):
    async with site(coded(coding, data)) as port:
        with pytest.raises(Malformed):
            await client.request("GET", f"http://127.0.0.1:{port}/")


async def test_a_reset_is_a_connection_error(client):
    async def talk(reader, writer):
        writer.transport.abort()

    async with raw_site(talk) as port:
        with pytest.raises(Unreachable):
            await client.request("POST", f"http://127.0.0.1:{port}/", body=b"x")


async def test_an_answer_broken_off_is_a_connection_error(client):
    async def talk(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()

    async with raw_site(talk) as port:
        with pytest.raises(Unreachable):
            await client.request("GET", f"http://127.0.0.1:{port}/")


async def test_a_closed_port_is_a_connection_error(client):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match="cannot connect"):
            await client.request("GET", f"http://127.0.0.1:{free.getsockname()[1]}/")


async def test_something_else_than_http_is_malformed(client):
    async def talk(reader, writer):
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await writer.drain()

    async with raw_site(talk) as port:
        with pytest.raises(Malformed):
            await client.request("GET", f"http://127.0.0.1:{port}/")


async def test_one_host_gets_only_so_many_connections_at_once():
    client = HttpClient(LOCAL, per_host=3)
    inside = most = 0
    full = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == 3:
            full.set()
        await full.wait()
        await asyncio.sleep(0.01)
        inside -= 1
        return web.Response()

    async with site(handler) as port:
        await asyncio.gather(*(client.request("GET", f"http://127.0.0.1:{port}/") for _ in range(12)))
    await client.close()
    assert most == 3


def basic(username: str, password: str) -> str:
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


async def test_credentials_go_with_the_first_request(client, caplog):
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response()

    async with site(handler) as port:
        url = f"http://127.0.0.1:{port}/?token=canary"
        await client.request("GET", url, username="anna", password="gehéim")
        await client.request("GET", url, username="anna", password="gehéim")
        await client.request("GET", url)
    assert seen == [basic("anna", "gehéim"), basic("anna", "gehéim"), None]
    warned = [record for record in caplog.records if record.message == "credentials_over_plain_http"]
    assert len(warned) == 1
    assert "canary" not in str(warned[0].__dict__) and "gehéim" not in str(warned[0].__dict__)


async def test_a_challenge_is_answered_once(client):
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        if len(seen) == 2:
            return web.Response(text="in")
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="app"'})

    async with site(handler) as port:
        url = f"http://127.0.0.1:{port}/"
        assert (await client.request("POST", url, body=b"x", username="u", password="p")).body == b"in"
        assert seen == [basic("u", "p")] * 2
        assert (await client.request("POST", url, body=b"x")).status == 401
        assert len(seen) == 3
        assert (await client.request("POST", url, username="u", password="p")).status == 401
        assert len(seen) == 5


async def test_a_401_without_a_challenge_is_final(client):
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(1)
        return web.Response(status=401)

    async with site(handler) as port:
        assert (await client.request("GET", f"http://127.0.0.1:{port}/", username="u")).status == 401
    assert len(seen) == 1


async def test_credentials_over_plain_http_are_refused_where_https_is_required():
    client = HttpClient(Policy(allow=["127.0.0.0/8"], require_https=True))
    async with site(echo) as port:
        with pytest.raises(Refused, match="over https only"):
            await client.request("GET", f"http://127.0.0.1:{port}/", username="u", password="p")
        assert (await client.request("GET", f"http://127.0.0.1:{port}/")).status == 200
    await client.close()


@pytest.mark.parametrize(
    "url",
    [
        "", "relative/path", "/path", "ftp://example.com/", "file:///etc/passwd", "http://", "gopher://127.0.0.1/",
        "http://user:pass@127.0.0.1:9000/", "http://user@127.0.0.1:9000/", "http://[::1", "http://127.0.0.1:99999/",
        "http://127.0.0.1:22/", "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://0.0.0.0/",
        "http://[::ffff:10.0.0.1]/", "http://[fe80::1%25eth0]/", "http://[fd00:ec2::254]/", "http://2130706433/",
        "http://127.1/", "http://0177.0.0.1/", "http://[64:ff9b::a00:1]/", "http://１０.0.0.1/",
    ],
)  # fmt: skip
async def test_what_may_not_be_requested_is_refused_before_anything_is_sent(client, url):
    with pytest.raises(Refused):
        await client.request("GET", url)
    with pytest.raises(Refused):
        client.check(url)


async def test_a_name_may_be_called_as_far_as_can_be_told_beforehand(client):
    client.check("http://nobody.example:9000/", "user")
    with pytest.raises(Refused, match="no colon"):
        client.check("http://nobody.example:9000/", "us:er")


@pytest.mark.parametrize("host", ["0x7f000001", "localhost", "127.0.0.1.nip.example", "0x7f.1"])
async def test_a_host_is_judged_by_what_it_resolves_to(host):
    client = HttpClient(Policy(), lookup=lambda _host, port: [(2, 1, 6, "", ("127.0.0.1", port))])
    async with site(echo) as port:
        with pytest.raises(Refused, match=r"127\.0\.0\.1 is not a public address"):
            await client.request("GET", f"http://{host}:{port}/")
    await client.close()


async def test_only_the_allowed_ones_of_several_addresses_are_connected_to():
    names = Names(two_example=[["10.255.255.1", "127.0.0.1", "fd00::1"]])
    client = HttpClient(LOCAL, lookup=names)
    async with site(echo) as port:
        assert (await client.request("GET", f"http://two.example:{port}/")).status == 200
    await client.close()


async def test_a_named_host_is_reached_on_a_private_address():
    client = HttpClient(Policy(named=["app.internal"]), lookup=Names(app_internal=[["127.0.0.1"]]))
    async with site(echo) as port:
        assert (await client.request("GET", f"http://app.internal:{port}/")).status == 200
    await client.close()


async def test_the_judged_address_is_the_one_connected_to():
    # A rebinding name: an allowed address when judged, a forbidden one whenever it is asked again.
    names = Names(flip_example=[["127.0.0.2"], ["127.0.0.1"]])
    client = HttpClient(Policy(allow=["127.0.0.2/32"]), lookup=names)
    reached = []

    async def handler(request: web.Request) -> web.Response:
        reached.append(request.transport.get_extra_info("sockname")[0])
        return web.Response(headers={"Connection": "close"})

    async with site(handler, host="0.0.0.0") as port:
        for _ in range(3):
            await client.request("GET", f"http://flip.example:{port}/")
        assert names.asked == ["flip.example"]
        assert reached == ["127.0.0.2"] * 3
        with pytest.raises(Refused):
            await client.request("GET", f"http://flip.example:{port + 1 if port < 65535 else port - 1}/")
    await client.close()


async def test_a_name_without_address_is_a_connection_error():
    client = HttpClient(Policy(), lookup=Names())
    with pytest.raises(Unreachable, match="does not resolve"):
        await client.request("GET", "http://nowhere.example/")
    await client.close()


async def test_a_hanging_name_server_runs_into_the_deadline():
    answered = Event()

    def hang(host: str, port: int):
        answered.wait(5)
        raise OSError("late")

    client = HttpClient(Policy(), lookup=hang)
    with pytest.raises(TimedOut):
        await client.request("GET", "http://slow.example/", timeout=0.1)
    answered.set()
    await client.close()


async def test_a_certificate_nobody_vouches_for_is_a_connection_error(client):
    # A key and a certificate for the name app.example, signed by itself and good for a century.
    pem = Path(__file__).with_name("app_example.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    trust = ssl.create_default_context(cafile=str(pem))
    async with site(echo, tls=context) as port:
        with pytest.raises(Unreachable, match="certificate"):
            await client.request("GET", f"https://127.0.0.1:{port}/")
        trusting = HttpClient(LOCAL, lookup=Names(app_example=[["127.0.0.1"]]), tls=trust)
        assert (await trusting.request("GET", f"https://app.example:{port}/", username="u")).status == 200
        with pytest.raises(Unreachable, match="certificate"):
            await trusting.request("GET", f"https://127.0.0.1:{port}/")
        await trusting.close()


async def test_plain_http_on_a_tls_port_is_a_connection_error(client):
    async with site(echo) as port:
        with pytest.raises(Unreachable):
            await client.request("GET", f"https://127.0.0.1:{port}/")


async def test_no_error_shows_query_or_userinfo(client, caplog):
    caplog.set_level(logging.DEBUG)
    for url in ("http://u:canary@127.0.0.1:1/a", "http://127.0.0.1:1/a?key=canary#canary", "x://u:canary@h/"):
        with pytest.raises(HttpError) as caught:
            await client.request("GET", url, username="u", password="canary")
        assert "canary" not in str(caught.value) + repr(caught.value) + caught.value.url
    assert "canary" not in caplog.text
    assert shown("https://u:p@host:8443/x/y?q#f") == "https://host:8443/x/y"


async def test_a_header_with_a_line_break_is_refused(client):
    async with site(echo) as port:
        with pytest.raises(Refused):
            await client.request("GET", f"http://127.0.0.1:{port}/", headers={"X-A": "b\r\nX-C: d"})


async def test_a_user_name_with_a_colon_is_refused(client):
    with pytest.raises(Refused, match="no colon"):
        await client.request("GET", "http://127.0.0.1:9999/", username="a:b", password="c")


async def test_closing_ends_requests_under_way():
    client = HttpClient(LOCAL)

    async def talk(reader, writer):
        await asyncio.Event().wait()

    async with asyncio.timeout(PATIENCE), raw_site(talk) as port:
        pending = asyncio.create_task(client.request("GET", f"http://127.0.0.1:{port}/"))
        await asyncio.sleep(0.05)
        await client.close()
        with pytest.raises(Unreachable):
            await pending
