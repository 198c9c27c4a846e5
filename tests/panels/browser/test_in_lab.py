"""The panels in JupyterLab, where notebooks are: they stream, they survive their kernel's end."""

from playwright.sync_api import expect

from .test_in_voila import OPEN, SLOW

SHUT_KERNEL = """async () => {
  const c = window.jupyterapp.shell.currentWidget.sessionContext;
  await c.session.kernel.shutdown(); }"""
INTERRUPT = "async () => { await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt() }"


def test_a_cell_that_waits_is_interrupted_and_a_kernel_that_ends_breaks_no_page(open_lab, tiny_file):
    cells = (
        (OPEN + SLOW + "panel = panels.open(model, 'generate', 'the', max_tokens=500, temperature=1.0)\n"
         "panel.settings['max_tokens'].max = 5000\npanel.settings['max_tokens'].value = 5000\n"
         "panel.template.value = False\npanel").format(path=str(tiny_file)),
        "panel.generate()\nprint('now it is', panel.wait())",
    )  # fmt: skip
    page = open_lab("lab", *cells)
    expect(page.locator(".lg-status")).to_contain_text("tokens/s")
    page.evaluate(INTERRUPT)
    expect(page.locator(".jp-OutputArea-output", has_text="now it is stopped")).to_be_visible()
    expect(page.locator(".lg-status")).to_contain_text("stopped")

    page.locator(".lg-generate").click()  # alive
    expect(page.locator(".lg-generate")).to_be_disabled()
    expect(page.locator(".lg-answer")).to_contain_text("▍")
    page.evaluate(SHUT_KERNEL)
    for button in (".lg-stop", ".lg-generate"):
        page.locator(button).dispatch_event("click")  # nobody is there to hear it
    page.wait_for_timeout(500)
    expect(page.locator(".lg-panel")).to_be_visible()
    page.errors = [error for error in page.errors if error != "Cannot send"]  # JupyterLab's own word for it
