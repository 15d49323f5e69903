"""The contexts of the command line: which server a command is about, in a file that nobody else can read."""

import stat

import pytest

from pushkeeper.cli import contexts
from pushkeeper.cli.client import of_context
from pushkeeper.cli.contexts import Context, Contexts, require_safe
from pushkeeper.errors import BadRequest, Misconfigured, NotFound

SHOP = Context(url="https://push.example.com", key="secret-of-shop", workspace="shop")
TEST = Context(url="http://localhost:8383", key="secret-of-test", workspace="test")


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("CONTEXT", "URL", "APP_API_KEY", "WORKSPACE", "DATA_DIR", "DATABASE_URL"):
        monkeypatch.delenv(f"PUSHKEEPER_{name}", raising=False)


@pytest.fixture
def kept():
    contexts.write(Contexts(current="shop", contexts={"shop": SHOP, "test": TEST}))


@pytest.mark.usefixtures("kept")
def test_the_file_is_for_its_owner_alone():
    assert stat.S_IMODE(contexts.place().stat().st_mode) == 0o600
    assert stat.S_IMODE(contexts.place().parent.stat().st_mode) == 0o700
    assert contexts.read() == Contexts(current="shop", contexts={"shop": SHOP, "test": TEST})
    assert [one.name for one in contexts.place().parent.iterdir()] == ["contexts.json"]
    assert "secret" not in repr(contexts.read())


@pytest.mark.usefixtures("kept")
def test_a_file_that_others_can_read_is_refused():
    contexts.place().chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        contexts.read()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"contexts": {"a": {"url": 1}}}'])
def test_a_file_that_is_none_of_ours_is_named(text):
    contexts.place().parent.mkdir()
    contexts.place().touch(mode=0o600)
    contexts.place().write_text(text)
    with pytest.raises(Misconfigured, match=r"contexts\.json"):
        contexts.read()


def test_without_any_a_command_is_about_this_machine():
    assert contexts.chosen({}) is None


@pytest.mark.usefixtures("kept")
def test_what_is_nearer_to_the_command_decides(monkeypatch):
    assert contexts.chosen({}) == SHOP
    monkeypatch.setenv("PUSHKEEPER_DATA_DIR", "/somewhere")
    assert contexts.chosen({}) is None
    monkeypatch.setenv("PUSHKEEPER_URL", "http://localhost:1")
    with pytest.raises(Misconfigured, match="PUSHKEEPER_APP_API_KEY"):
        contexts.chosen({})
    monkeypatch.setenv("PUSHKEEPER_APP_API_KEY", "of-environment")
    found = contexts.chosen({})
    assert found is not None
    assert (found.url, found.key) == ("http://localhost:1", "of-environment")
    monkeypatch.setenv("PUSHKEEPER_CONTEXT", "test")
    assert contexts.chosen({}) == TEST
    assert contexts.chosen({"data": "/elsewhere"}) is None
    assert contexts.chosen({"data": "/elsewhere", "context": "shop"}) == SHOP
    with pytest.raises(NotFound, match="shop, test"):
        contexts.chosen({"context": "none"})


@pytest.mark.parametrize(
    "url", ["https://push.example.com", "http://localhost:8383", "http://127.0.0.1", "http://[::1]:8383"]
)
def test_a_key_is_sent_encrypted_or_within_the_machine(url):
    assert of_context(Context(url=url, key="key", workspace="shop")).workspace == "shop"


@pytest.mark.parametrize(
    "url", ["push.example.com", "ftp://push.example.com", "https://", "http://push.example.com"]
)
def test_a_key_is_not_sent_unencrypted_over_a_network_or_to_no_host(url):
    with pytest.raises(BadRequest):
        require_safe(url)
