"""A real browser: Debian's Chromium driven by Playwright, before Voila and JupyterLab; skips where one is missing."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest

import llama_gguf

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
PATIENCE = 45_000  # milliseconds: machines may be loaded
READY = """() => {
  const w = window.jupyterapp && window.jupyterapp.shell.currentWidget, s = w && w.sessionContext;
  return !!(s && s.isReady && s.session && s.session.kernel && s.session.kernel.connectionStatus === 'connected'
            && s.kernelDisplayStatus === 'idle'); }"""
SHUT = "(async () => { const w = window.jupyterapp.shell.currentWidget; await w.sessionContext.shutdown() })()"


def pytest_collection_modifyitems(items):
    """Skip where Chromium or one of the programs is not installed."""
    missing = [name for name in ("playwright", "jupyterlab", "voila", "nbformat") if not find_spec(name)]
    missing += [] if CHROMIUM else ["chromium"]
    for item in items:
        if missing and "browser" in item.path.parts:
            item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))


class Server:
    """A Jupyter program on a folder of notebooks, with settings of its own."""

    def __init__(self, home, *command):
        self.home, self.root = home, home / "root"
        self.root.mkdir()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{s.getsockname()[1]}"
        names = {"CONFIG_DIR": "cfg", "DATA_DIR": "data", "RUNTIME_DIR": "run"}
        own = {f"JUPYTER_{k}": str(home / v) for k, v in names.items()}
        own |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "set"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "ws")}
        here = [str(Path(llama_gguf.__file__).parents[1]), os.environ.get("PYTHONPATH")]  # kernels see what tests see
        own |= {"IPYTHONDIR": str(home / "ipy"), "PYTHONPATH": os.pathsep.join(filter(None, here))}
        self.log = (home / "log").open("w")
        port = self.url.rsplit(":", 1)[1]
        words = [w.format(port=port, root=self.root) for w in command]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words], env=os.environ | own, stdout=self.log, stderr=subprocess.STDOUT
        )

    def wait(self, path, seconds=120):
        end = time.monotonic() + seconds
        while True:
            try:
                return urllib.request.urlopen(self.url + path, timeout=5).read()
            except OSError:
                assert self.process.poll() is None, (self.home / "log").read_text()[-3000:]
                assert time.monotonic() < end, (self.home / "log").read_text()[-3000:]
                time.sleep(0.2)

    def write(self, name, *cells):
        import nbformat

        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(nb, self.root / f"{name}.ipynb")

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


@pytest.fixture(scope="session")
def voila(tmp_path_factory):
    server = Server(
        tmp_path_factory.mktemp("voila"), "voila", "{root}", "--no-browser", "--port={port}", "--Voila.ip=127.0.0.1",
        "--show_tracebacks=True",
    )  # fmt: skip
    try:
        server.wait("/voila/tree")
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    home = tmp_path_factory.mktemp("lab")
    settings = home / "set" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    news = {"fetchNews": "false", "checkForUpdates": False}  # its window would cover the panels
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(news))
    server = Server(
        home, "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port={port}",
        "--ServerApp.port_retries=0", "--IdentityProvider.token=secret", "--ServerApp.root_dir={root}",
        "--LabApp.expose_app_in_browser=True",
    )  # fmt: skip
    try:
        server.wait("/api/status?token=secret")
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGS)
        context = chromium.new_context(viewport={"width": 1100, "height": 1000})
        context.set_default_timeout(PATIENCE)
        yield context
        chromium.close()


@pytest.fixture
def page(browser):
    """A page whose `errors` are those of its scripts; there must be none in the end."""
    page = browser.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    page.close()
    assert page.errors == []


def wait_for_panel(page):
    """A cell that fails says why at once."""
    panel = page.locator(".lg-panel").first
    panel.or_(page.get_by_text("Traceback (most recent call last)").first).first.wait_for()
    assert page.locator(".lg-panel").count(), page.inner_text("body")[-3000:]


@pytest.fixture
def open_voila(voila, page):
    """Show the last value of a cell as a page of its own."""

    def show(name, *cells):
        voila.write(name, *cells)
        page.goto(f"{voila.url}/voila/render/{name}.ipynb", wait_until="domcontentloaded")
        wait_for_panel(page)
        return page

    return show


@pytest.fixture
def open_lab(lab, page):
    """Run a notebook of these cells in JupyterLab."""

    def show(name, *cells):
        lab.write(name, *cells)
        page.goto(f"{lab.url}/lab/tree/{name}.ipynb?token=secret&reset", wait_until="domcontentloaded")
        page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for()
        page.wait_for_function(READY)
        page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        wait_for_panel(page)
        return page

    yield show
    page.evaluate(SHUT)
