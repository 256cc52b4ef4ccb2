"""TLS: one context for all connections, names in certificates are looked at, files may be replaced."""

import gc
import importlib
import shutil
import ssl

import pytest
from redis_servers import Server, free_port, need_redis, wait_until

from perfcore.cache import RemoteCache
from perfcore.errors import ConfigError

pytestmark = [  # valkey-py's, when a handshake fails
    pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PATIENT = 10  # seconds for a call that is to succeed, on whatever machine


@pytest.fixture
def secure(tmp_path, certificates):
    """Start a server with the certificate of a name; it returns the address to give to a cache."""
    need_redis()
    servers = []

    def start(name, port=None):
        files = {
            "tls_cert_file": certificates / f"{name}.pem",
            "tls_key_file": certificates / f"{name}.key",
            "tls_ca_cert_file": certificates / f"{name}.pem",
        }
        port = port or free_port()
        servers.append(Server(tmp_path, tls_port=port, tls_auth_clients="no", **files))
        return port

    start.servers = servers
    yield start
    for server in servers:
        server.close()
    gc.collect()


def cache_at(port, trusted, **options):
    connection = {"ssl_ca_certs": str(trusted), **options}
    return RemoteCache(f"rediss://127.0.0.1:{port}", timeout=PATIENT, connection=connection)


def test_a_certificate_for_another_name_is_refused_and_said(secure, certificates):
    with cache_at(secure("elsewhere"), certificates / "elsewhere.pem") as cache:
        cache["key"] = 1
        assert cache.get("key") is None
        wait_until(cache.problems, "somebody seeing it")
        assert "SSLCertVerificationError" in str(cache.problems())


@pytest.mark.parametrize(
    "options",
    [{"ssl_check_hostname": False}, {"ssl_cert_reqs": "none"}, {"ssl_cert_reqs": None}],
    ids=str,
)
def test_names_are_not_looked_at_on_request(secure, certificates, options):
    with cache_at(secure("elsewhere"), certificates / "elsewhere.pem", **options) as cache:
        cache["key"] = 1
        assert cache.get("key") == 1
        assert cache.problems() == []


async def test_connections_share_one_context(secure, certificates, monkeypatch):
    port, made, make = secure("right"), [], ssl.create_default_context

    def counted(*args, **options):
        made.append(1)
        return make(*args, **options)

    monkeypatch.setattr(ssl, "create_default_context", counted)
    with cache_at(port, certificates / "right.pem") as cache:
        for number in range(5):
            cache[number] = number
            cache._router.node_at(("127.0.0.1", port)).disconnect()
        assert [await cache.aget(number) for number in range(5)] == list(range(5))
        await cache.aclose()
    assert len(made) == 1


def test_certificates_that_are_replaced_are_read_again(secure, certificates):
    trusted = certificates / "trusted.pem"
    shutil.copy(certificates / "right.pem", trusted)
    port = secure("right")
    with cache_at(port, trusted) as cache:
        cache["key"] = 1
        assert cache.get("key") == 1
        secure.servers.pop().close()
        secure("wrong", port)
        trusted.write_text("in the middle of being written")
        assert cache.get("key") is None
        shutil.copy(certificates / "wrong.pem", trusted)

        def trusts_it():
            cache["key"] = 2
            return cache.get("key") == 2

        wait_until(trusts_it, "the new certificate being trusted")


@pytest.mark.parametrize("library", ["valkey", "redis"])
@pytest.mark.parametrize("module", ["", ".asyncio"])
@pytest.mark.parametrize("asked", [True, False, None])
def test_a_client_that_is_passed_in_keeps_its_own_way_with_names(certificates, library, module, asked):
    client_of = importlib.import_module(library + module)
    options = {} if asked is None else {"ssl_check_hostname": asked}
    trusted = str(certificates / "right.pem")
    maker = {"valkey": "Valkey", "redis": "Redis"}[library]
    client = getattr(client_of, maker)(port=1, ssl=True, ssl_ca_certs=trusted, **options)
    with RemoteCache(client=client, timeout=0.05) as cache:
        context = cache._router.connector._tls.context()
    assert context.check_hostname is {None: library == "redis"}.get(asked, asked)
    assert context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ssl_ca_certs": "/nowhere/ca.pem"}, "FileNotFoundError"),
        ({"ssl_ca_certs": __file__}, "SSLError"),
        ({"ssl_cert_reqs": "perhaps"}, "ssl_cert_reqs"),
        ({"ssl_ciphers": "NONE-OF-THEM"}, "SSLError"),
        ({"ssl_ca_certs": 7}, "TypeError"),
        ({"ssl_certfile": __file__}, "SSLError"),
    ],
    ids=str,
)
def test_options_that_make_no_context_are_refused_at_once(options, said):
    with pytest.raises(ConfigError, match=said):
        RemoteCache("rediss://127.0.0.1:1", connection=options)
