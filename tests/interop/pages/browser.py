"""One headless Chromium, driven through its debugging protocol: what a person does, and what the browser complains of."""

import itertools
import json
import subprocess
import tempfile
import urllib.request

import websocket

PATIENCE = 8
# What every page may be asked in checks: elements by the words that are on them.
WORDS = """
window.T = {
  main: () => document.querySelector('main'),
  text: () => document.querySelector('main').innerText,
  button: (name, within) => [...(within ?? document).querySelectorAll('button')].find((one) => one.textContent.trim() === name),
  row: (word) => [...document.querySelectorAll('tbody tr')].find((one) => one.innerText.includes(word)),
  fold: (title) => {
    const found = [...document.querySelectorAll('details.card')].find((one) => one.firstChild.textContent === title);
    found.open = true;
    return found;
  },
  send: (title, values) => {
    const form = T.fold(title).querySelector('form');
    for (const [name, value] of Object.entries(values)) {
      const input = form.elements.namedItem(name);
      if (input.type === 'checkbox') input.checked = value; else input.value = value;
    }
    form.requestSubmit();
    return true;
  },
};
"""


class Browser:
    """A browser with one page open. It notes errors, and every address that is asked for."""

    def __init__(self):
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        # Without a sandbox it runs as root and in containers, too; it only ever sees our own pages.
        self._process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-extensions",
             "--remote-debugging-port=0", f"--user-data-dir={self._home.name}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        said = "nothing"
        for said in self._process.stderr:
            if "DevTools listening on " in said:
                break
        else:
            raise RuntimeError(f"Chromium does not start: {said}")
        address = said.split("ws://")[1].split("/")[0]
        with urllib.request.urlopen(f"http://{address}/json/list", timeout=PATIENCE) as answer:
            page = next(one for one in json.load(answer) if one["type"] == "page")
        self._socket = websocket.create_connection(
            page["webSocketDebuggerUrl"], timeout=PATIENCE + 4, suppress_origin=True)
        self._numbers = itertools.count(1)
        self.errors = []
        self.asked = []
        # What to answer where a page asks with a dialog.
        self.answer = ""
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=WORDS)

    def call(self, method, **parameters):
        """The result of a command, with all that happens on the way noted."""
        number = self._send(method, parameters)
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            if "method" in message:
                self._note(message["method"], message["params"])

    def _send(self, method, parameters):
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        return number

    def _note(self, event, about):
        if event == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif event == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(one.get("value")) for one in about["args"]))
        elif event == "Log.entryAdded" and about["entry"]["level"] == "error" and about["entry"]["source"] != "network":
            self.errors.append(about["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self.asked.append(about["request"]["url"])
        elif event == "Page.javascriptDialogOpening":
            self._send("Page.handleJavaScriptDialog", {"accept": True, "promptText": self.answer})

    def run(self, expression):
        """What a script in the page gives, which may be a promise."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise AssertionError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def until(self, condition):
        """Waits for the page to come to something; what that is."""
        return self.run(f"""(async () => {{
            const end = performance.now() + {PATIENCE * 1000};
            for (;;) {{
                let value = null;
                try {{ value = {condition}; }} catch {{ /* not there yet */ }}
                if (value) return value === true || typeof value !== 'object' ? value : true;
                if (end < performance.now()) throw new Error('never came: ' + {json.dumps(condition)} + ' on ' + document.body.innerText);
                await new Promise((done) => setTimeout(done, 30));
            }}
        }})()""")

    def open(self, address):
        """Loads a page anew."""
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && document.querySelector('#app > *') !== null")

    def close(self):
        """Ends the browser."""
        self._process.terminate()
        self._process.wait(timeout=PATIENCE)
        self._home.cleanup()
