# SPDX-License-Identifier: MIT
"""mqtt.js in a headless Chromium connects over ws and wss, with MQTT 3.1.1 and 5.

    test_browser.py BUILD_FOLDER        WEIR names the binary. Skips (77) without chromium or npm.

npm puts mqtt.js, as package-lock.json has it, into the build folder. Pages come from a server of their own, so the
listeners must name its origin; one that they do not name must not get in.
"""
import contextlib
import functools
import http.server
import os
import shutil
import sys
import threading

from broker_rig import *  # noqa: F403
from certs import Authority
from mqttjs import HERE, fetch, skip


def pages(folder):
    """mqtt.js in a folder that a web server may show."""
    web = folder / "web"
    web.mkdir(exist_ok=True)
    shutil.copy(folder / "node_modules/mqtt/dist/mqtt.min.js", web)
    shutil.copy(HERE / "page.html", web)
    return web


class Pages(http.server.SimpleHTTPRequestHandler):
    shown = []

    def log_message(self, _form, *words):
        self.shown.append(" ".join(map(str, words)))


def browse(page, profile):
    return subprocess.Popen(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                             "--no-first-run", "--disable-background-networking", "--ignore-certificate-errors",
                             "--remote-debugging-port=0", f"--user-data-dir={profile}", page],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def end(browser):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(browser.pid, signal.SIGKILL)
    browser.wait()


def main(build):
    if not shutil.which("chromium"):
        skip("no chromium")
    web = pages(fetch(build))
    with tempfile.TemporaryDirectory(prefix="weir-browser-") as tmp, \
            http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Pages, directory=str(web))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cert, key = Authority(tmp).issue("server", "IP:127.0.0.1")
        site, ws, wss, closed = f"http://127.0.0.1:{server.server_port}", free_port(), free_port(), free_port()
        listen = 'protocol: websocket, bind: "127.0.0.1:'
        b = Broker(f'broker:\n  listeners:\n    - {{bind: "127.0.0.1:{{port}}"}}\n    - {{{listen}{ws}", origins: ["{site}"]}}\n'
                   f'    - {{{listen}{wss}", origins: ["{site}"], tls: {{cert: {cert}, key: {key}}}}}\n'
                   f'    - {{{listen}{closed}"}}\n')
        faults = []
        try:
            watcher = b.client(4)
            watcher.subscribe("said/+", qos=1)
            for url, version in ((f"ws://127.0.0.1:{ws}/mqtt", 4), (f"wss://127.0.0.1:{wss}/mqtt", 5)):
                name = f"page-{version}"
                browser = browse(f"{site}/page.html?url={url}&version={version}&id={name}", f"{tmp}/{name}")
                try:
                    watcher.acknowledge(watcher.expect(PUBLISH, topic=f"said/{name}", payload="0:1 1:100000 2:10", patience=60))
                    print(f"mqtt.js over {url}, MQTT version {version}: fine")
                finally:
                    end(browser)
            seen = len(Pages.shown)
            browser = browse(f"{site}/page.html?url=ws://127.0.0.1:{closed}/mqtt&version=4&id=stranger", f"{tmp}/stranger")
            try:
                eventually(lambda: any("mqtt.min.js" in line for line in Pages.shown[seen:]), "the page is shown", 60)
                quiet_for(watcher, 2)
            finally:
                end(browser)
        except Wrong as fault:
            faults.append(str(fault))
        finally:
            faults += b.stop()
            server.shutdown()
    print("\n".join(faults) or "the browser connects, and only from the pages that are named")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
