"""The quickstart, typed verbatim: only ports and folders are the test's."""

import re
import shutil
import urllib.parse
import urllib.request

from support.pages import DOCS, Shell, blocks
from support.processes import ports_in_a_row, running

PAGE = "quickstart/first-push.md"
PASSWORD = "correct horse battery"
# Until this many pushes are settled: a person who types takes a moment, too.
PATIENT = """
settled() {
    python3 - "$1" "$PUSHKEEPER_APP_API_KEY" <<'END'
import json, sys, time, urllib.request
request = urllib.request.Request("http://localhost:8383/api/v1/stats/pushes", headers={"authorization": f"Bearer {sys.argv[2]}"})
give_up_at = time.monotonic() + 30
while sum(line["pushes"] for line in json.load(urllib.request.urlopen(request))["counts"]) < int(sys.argv[1]):
    assert time.monotonic() < give_up_at
    time.sleep(0.05)
END
}
"""


def typed(shell, first):
    """How a block of the page is typed here."""

    def here(text):
        text = re.sub(r"\b839(\d)\b", lambda found: str(first + int(found[1])), text)
        return text.replace("8383", str(first + 6)).replace("/tmp/", f"{shell.folder}/")

    return here


def started(block):
    """The command of a terminal that is left open."""
    (command,) = re.findall(r"^pushkeeper (.*)$", block, re.MULTILINE)
    return command.split()


class Browser:
    """What keeps cookies, and is led on."""

    def __init__(self):
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def get(self, url):
        with self._open.open(url) as answer:
            return answer.read().decode()

    def become_first_admin(self, link):
        assert "<form" in self.get(link)
        said = {"name": "ann", "password": PASSWORD, "again": PASSWORD}
        asked = urllib.request.Request(link, urllib.parse.urlencode(said).encode())
        asked.add_header("origin", "/".join(link.split("/")[:3]))
        with self._open.open(asked) as answer:
            assert answer.status == 200


def seen(page):
    """What a page says, without its tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_the_quickstart_does_what_it_says(folder):
    first = ports_in_a_row(7)
    shell = Shell(folder / "quick")
    here = typed(shell, first)
    (shell.folder / ".venv" / "bin").mkdir(parents=True)
    (shell.folder / ".venv" / "bin" / "activate").touch()
    simulate, serve = (started(here(block)) for block in blocks(PAGE, under="2."))
    try:
        with running(*simulate), running(*serve, "--port", first + 6, fresh=True) as service:
            browser = Browser()
            browser.become_first_admin(service["setup_url"])
            script, pushes = [here(PATIENT)], 0
            for step in ("3.", "4.", "5.", "6.", "7."):
                script.append(f"echo '## {step}'")
                for block in blocks(PAGE, under=step):
                    script.append(here(block))
                    if sent := len(re.findall(r"send/push|^pushkeeper send", block, re.MULTILINE)):
                        pushes += sent
                        script.append(f"settled {pushes}")
            said = dict(
                re.findall(
                    r"^## (\d)\.\n(.*?)(?=^## |\Z)", shell.run("\n".join(script)), re.MULTILINE | re.DOTALL
                )
            )
            assert "Saved fcm credentials for simulated-project in 'shop', encrypted" in said["3"]
            assert "'title': 'Hello, Ann', 'body': 'From your own server'" in said["5"]
            assert re.search(r"^last status +sent$", said["5"], re.MULTILINE)
            history = said["6"].splitlines()
            assert [line.split()[-3:] for line in history if "UNREGISTERED" in line]
            assert any("bounced" in line and "suppressed" in line for line in history)
            assert re.search(r"^last status +sent$", said["7"], re.MULTILINE)
            # Every address of the dashboard in the page; each of them shows the outcome.
            named = re.findall(r"http://localhost:8383(?:/[a-z]+)*", (DOCS / PAGE).read_text())
            pages = {url: browser.get(here(url)) for url in named if "/w/" in url}
            assert {url.partition("/w/")[2] for url in pages} == {"shop", "shop/devices", "shop/simulator"}
            devices = pages["http://localhost:8383/w/shop/devices"]
            assert re.search(r"\bsent\b.* Android .*\bann\b", seen(devices))
            [device] = set(re.findall(r'href="(/w/shop/devices/[0-9a-f]{32})"', devices))
            told = seen(browser.get(here(f"http://localhost:8383{device}")))
            assert told.index("Re-registered") < told.index("FCM 404 UNREGISTERED")
            assert "wrong" not in shell.run(f"pushkeeper doctor --data {shell.folder}/pushkeeper")
    finally:
        shutil.rmtree(shell.folder)
