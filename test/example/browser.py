"""A headless Chromium, driven over a pipe by the DevTools protocol.

browser.py ADDRESS FOLDER takes the pictures of a live view that the documentation has.
"""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time


class Browser:
    def __init__(self):
        self.folder = tempfile.mkdtemp()
        to_us, theirs = os.pipe()
        ours, from_us = os.pipe()[::-1]

        def put_in_place():  # the protocol reads 3 and writes 4
            a, b = os.dup(from_us), os.dup(theirs)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            ['chromium', '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
             '--disable-background-networking', '--disable-component-update', '--disable-sync', '--hide-scrollbars',
             f'--user-data-dir={self.folder}', '--remote-debugging-pipe', 'about:blank'],
            preexec_fn=put_in_place, close_fds=False, stderr=subprocess.DEVNULL, env={**os.environ, 'HOME': self.folder})
        os.close(theirs)
        os.close(from_us)
        self.output, self.input = os.fdopen(to_us, 'rb'), os.fdopen(ours, 'wb')
        self.number, self.session, self.rest = 0, None, b''
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self.session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        self.call('Page.enable')

    def call(self, method, **parameters):
        self.number += 1
        request = {'id': self.number, 'method': method, 'params': parameters}
        if self.session:
            request['sessionId'] = self.session
        self.input.write(json.dumps(request).encode() + b'\0')
        self.input.flush()
        while True:
            while b'\0' not in self.rest:
                more = self.output.read1(1 << 16)
                if not more:
                    raise RuntimeError('Chromium ended')
                self.rest += more
            one, self.rest = self.rest.split(b'\0', 1)
            answer = json.loads(one)
            if answer.get('id') == self.number:
                if 'error' in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer['result']

    def open(self, address):
        self.call('Page.navigate', url=address)
        self.wait('document.readyState === "complete"')

    def evaluate(self, expression):
        result = self.call('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result['result'].get('value')

    def wait(self, expression, limit=20):
        """Waits until an expression is true, and returns what it then is."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if value := self.evaluate(expression):
                return value
            time.sleep(0.05)
        raise AssertionError(f'not within {limit} s: {expression}')

    def look(self, width, height, dark):
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call('Emulation.setEmulatedMedia',
                  features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])

    def screenshot(self, path):
        with open(path, 'wb') as file:
            file.write(base64.b64decode(self.call('Page.captureScreenshot')['data']))

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def take_pictures(page, folder):
    os.makedirs(folder, exist_ok=True)
    for name, width, height, dark in (('light', 1200, 900, False), ('dark', 1200, 900, True), ('phone', 390, 844, False)):
        page.look(width, height, dark)
        time.sleep(0.5)
        page.screenshot(os.path.join(folder, f'live_view_{name}.png'))


if __name__ == '__main__':
    browser = Browser()
    browser.open(sys.argv[1])
    browser.wait('document.getElementById("link").textContent === "live"')
    take_pictures(browser, sys.argv[2])
    browser.close()
