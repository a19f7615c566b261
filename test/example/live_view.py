"""The live view in a browser: what it shows is what was sent.

live_view.py PROGRAM [--screenshots FOLDER] [--load SECONDS]
"""
import argparse
import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

import lab
from browser import Browser, take_pictures
from lab import HERE, THERE, Program


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument('program')
    parser.add_argument('--screenshots')
    parser.add_argument('--load', type=float, default=0)
    return parser.parse_args()


# ---- who is at the other end

def serve_as_peer():
    """A name server that knows one address, a web server, a server that hangs up after a ClientHello, and a sink."""
    def datagrams(port, answer):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((THERE, port))
        while True:
            data, who = one.recvfrom(2000)
            if reply := answer(data):
                one.sendto(reply, who)

    def streams(port, answer):
        listener = socket.create_server((THERE, port))
        while True:
            one, _ = listener.accept()
            with one:
                one.sendall(answer(one.recv(4000)))

    def name_of(query):
        return query[:2] + b'\x81\x80\0\1\0\1\0\0\0\0' + query[12:] + b'\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4' + \
            socket.inet_aton(THERE)

    for what in ((datagrams, 53, name_of), (datagrams, 9000, lambda data: b''), (streams, 443, lambda data: b''),
                 (streams, 80, lambda data: b'x' * 100_000)):
        threading.Thread(target=what[0], args=what[1:], daemon=True).start()
    print('serving', flush=True)
    signal.pause()


def ask_for_name(name):
    query = b'\x12\x34\1\0\0\1\0\0\0\0\0\0' + b''.join(bytes([len(l)]) + l.encode() for l in name.split('.')) + b'\0\0\1\0\1'
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(10)
        one.sendto(query, (THERE, 53))
        one.recv(2000)


def say_hello(name):
    """The ClientHello of a real TLS library."""
    to_them = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), to_them, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection((THERE, 443)) as one:
        one.sendall(to_them.read())
        one.recv(1)


def fetch():
    with socket.create_connection((THERE, 80)) as one:
        port = one.getsockname()[1]
        one.sendall(b'GET / HTTP/1.0\r\n\r\n')
        while one.recv(65536):
            pass
    return port


def send_datagrams(count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((HERE, 40000))
        for _ in range(count):
            one.sendto(b'x' * 100, (THERE, 9000))


def send_in_fragments():
    """A datagram that the kernel cuts into three, and one whose last fragment comes first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((HERE, 40001))
        one.sendto(b'x' * 4000, (THERE, 9000))
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(('here', 0))
    for offset, payload in ((1, b'z' * 8), (0x2000, struct.pack('>HHHH', 40001, 9000, 16, 0))):
        raw.send(b'\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0' +
                 struct.pack('>BBHHHBBH', 0x45, 0, 28, 4711, offset, 64, 17, 0) + socket.inet_aton(HERE) +
                 socket.inet_aton(THERE) + payload)


def send_flows(count, rate=None):
    """Each datagram from another address and port. Returns how long it took."""
    begin = time.monotonic()
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(('here', 0))
    ethernet = b'\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0'
    for i in range(count):
        source = struct.pack('>I', 0x0a500000 + i // 50_000)
        raw.send(ethernet + struct.pack('>BBHHHBBH', 0x45, 0, 38, 0, 0, 64, 17, 0) + source + socket.inet_aton(THERE) +
                 struct.pack('>HHHH', 10_000 + i % 50_000, 9, 18, 0) + b'0123456789')
        if rate and i % 100 == 0:
            time.sleep(max(0, begin + i / rate - time.monotonic()))
    return time.monotonic() - begin


# ---- outside observers

def kernel_counts():
    """Packets and bytes that crossed the interface, both ways."""
    received, sent, received_bytes, sent_bytes = lab.device()
    return [received + sent, received_bytes + sent_bytes]


def frames(capture):
    """The packets of a capture file: protocol, ports, length on the wire."""
    assert struct.unpack_from('<I', capture)[0] in (0xa1b2c3d4, 0xa1b23c4d), capture[:24]
    result, at = [], 24
    while at < len(capture):
        kept, length = struct.unpack_from('<II', capture, at + 8)
        frame = capture[at + 16:at + 16 + kept]
        result.append((frame[23], *struct.unpack_from('>HH', frame, 34), length))
        at += 16 + kept
    return result


def get(address, path, **headers):
    connection = http.client.HTTPConnection(address.split('/')[2], timeout=20)
    connection.request('GET', path, headers=headers)
    response = connection.getresponse()
    return response.status, response.read(), response


# ---- what is on the page

ROWS = '''[...document.querySelectorAll("#flows tr")].map(row => {
    const cell = name => row.querySelector("." + name);
    return {id: +row.dataset.id, protocol: cell("protocol").textContent, from: cell("from").firstChild.textContent,
            to: cell("to").firstChild.textContent, name: cell("to").lastChild.textContent,
            server: cell("server").textContent, state: cell("state").textContent, history: cell("history").textContent,
            packets: +cell("packets").dataset.value, up: +cell("up").dataset.value, down: +cell("down").dataset.value};
})'''


class Page(Browser):
    def value(self, name):
        return self.evaluate(f'+document.getElementById("{name}").dataset.value')

    def rows(self):
        return self.evaluate(ROWS)

    def row(self, **what):
        found = [row for row in self.rows() if all(row[name] == value for name, value in what.items())]
        assert len(found) == 1, (what, self.rows())
        return found[0]

    def wait_for(self, name, value):
        self.wait(f'+document.getElementById("{name}").dataset.value === {value}')

    def set_filter(self, expression):
        self.evaluate(f'''document.getElementById("expression").value = {expression!r};
                          document.getElementById("filter").requestSubmit()''')


def check_values(page, capture, before):
    """Everything equals what others counted."""
    send_datagrams(25)
    ask_for_name('www.shop.example')
    say_hello('tls.shop.example')
    port = fetch()
    time.sleep(0.3)  # the last acknowledgments
    packets, size = (now - then for now, then in zip(kernel_counts(), before))
    page.wait_for('packets', packets)
    assert page.value('bytes') == size, (page.value('bytes'), size)
    assert page.value('drops') == 0

    row = page.row(protocol='udp', **{'from': f'{HERE}:40000', 'to': f'{THERE}:9000'})
    assert (row['packets'], row['up'], row['down']) == (25, 25 * 142, 0), row
    assert row['name'] == 'www.shop.example', row
    row = page.row(protocol='tcp', to=f'{THERE}:443')
    assert row['server'] == 'tls.shop.example', row
    assert row['state'].startswith('SF '), row

    capture.process.send_signal(signal.SIGINT)
    capture.process.wait(20)
    with open(capture.path, 'rb') as file:
        seen = [f for f in frames(file.read()) if port in f[1:3]]
    row = page.row(protocol='tcp', **{'from': f'{HERE}:{port}', 'to': f'{THERE}:80'})
    assert row['packets'] == len(seen), (row, seen)
    assert row['up'] == sum(f[3] for f in seen if f[1] == port), (row, seen)
    assert row['down'] == sum(f[3] for f in seen if f[2] == port), (row, seen)
    assert row['state'] == 'SF ended (fin)', row
    assert row['history'].startswith('ShAD') and 'f' in row['history'], row
    talkers = page.evaluate('''Object.fromEntries([...document.querySelectorAll("#talkers li")].map(
                               li => [li.dataset.address, +li.children[1].dataset.value]))''')
    assert talkers[HERE] == talkers[THERE] == sum(r['up'] + r['down'] for r in page.rows()), talkers
    print(f'figure: {packets} packets and {size} bytes on the page, as the kernel counted')


def check_saving(page, address):
    row = page.row(to=f'{THERE}:9000')
    page.evaluate(f'document.querySelector("tr[data-id=\\"{row["id"]}\\"] input").click()')
    link = page.evaluate('document.getElementById("save").getAttribute("href")')
    status, body, _ = get(address, '/' + link)
    assert status == 200
    assert frames(body) == [(17, 40000, 9000, 142)] * 25, frames(body)
    page.evaluate('document.getElementById("none").click()')
    print('figure: the flow selected saved as a capture file of its 25 packets')


def check_saving_of_fragments(page, address, folder):
    """Later fragments have no ports, and belong to the flow all the same."""
    packets = page.value('packets')
    send_in_fragments()
    send_datagrams(1)  # of another flow
    page.wait_for('packets', packets + 6)
    page.wait('shown.flows.some(flow => flow.from.port === 40001)')
    row = page.row(**{'from': f'{HERE}:40001'})
    assert row['packets'] == 5, row
    status, body, _ = get(address, f'/flows.pcap?flows={row["id"]}')
    assert status == 200
    path = os.path.join(folder, 'fragments.pcap')
    with open(path, 'wb') as file:
        file.write(body)
    lines = subprocess.run(['tcpdump', '-nr', path, '-v'], capture_output=True, check=True, text=True).stdout
    offsets = [int(n) for n in re.findall(r'offset (\d+), flags', lines)]
    assert offsets == [0, 1480, 2960, 8, 0], lines
    print('figure: a flow of two datagrams in fragments saved with all five, by tcpdump')


def check_pause(page):
    page.evaluate('document.getElementById("pause").click()')
    packets = page.value('packets')
    send_datagrams(5)
    time.sleep(0.8)
    assert page.value('packets') == packets
    page.evaluate('document.getElementById("pause").click()')
    page.wait_for('packets', packets + 5)


def check_filter(page):
    page.set_filter('udp prot 9000')
    wrong = page.wait('!document.getElementById("wrong").hidden && document.getElementById("wrong").textContent')
    assert 'syntax error' in wrong and "'prot'" in wrong, wrong
    page.set_filter('udp port 9000')
    page.wait('document.getElementById("wrong").hidden && shown.filter === "udp port 9000"')
    send_datagrams(10)
    ask_for_name('www.shop.example')
    page.wait_for('packets', 10)
    time.sleep(0.3)
    assert [(r['to'], r['packets']) for r in page.rows()] == [(f'{THERE}:9000', 10)], page.rows()


def check_subscription(page):
    """An expression over messages: of the connections that it holds of, every packet from the first one on."""
    page.set_filter("tls.sni contains 'shop'")
    page.wait('document.getElementById("wrong").hidden && shown.filter.startsWith("tls.sni")')
    ask_for_name('www.shop.example')
    say_hello('tls.shop.example')
    say_hello('tls.other.example')
    fetch()
    page.wait('shown.flows.some(flow => flow.state === "SF")')
    row, = page.rows()
    assert row['server'] == 'tls.shop.example' and row['history'].startswith('ShA'), row


def check_gate(program, address):
    assert get(address, '/')[0] == 200
    assert get(address, '/', Host='view.example')[0] == 403
    upgrade = {'Connection': 'Upgrade', 'Upgrade': 'websocket', 'Sec-WebSocket-Version': '13',
               'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA=='}
    assert get(address, '/updates', Origin='http://view.example', **upgrade)[0] == 403
    open_to_all = Program(program, '--interface', 'here', '--listen', HERE, '--port', '0')
    open_address = open_to_all.line().split(' at ')[1]
    path = open_address[open_address.index('/', 8):]
    assert path.startswith('/?token=') and len(path) == 40, path
    assert get(open_address, '/')[0] == get(open_address, path[:-1] + 'x')[0] == 403
    status, _, response = get(open_address, path)
    assert status == 200
    cookie = response.getheader('Set-Cookie').split(';')[0]
    assert get(open_address, '/view.js', Cookie=cookie)[0] == 200
    assert open_to_all.stop() == 0


def check_many_flows(page, count, rate=None):
    page.set_filter('udp port 9')
    page.wait('shown.filter === "udp port 9"')
    taken = send_flows(count, rate)
    page.wait(f'shown.started === {count}')
    assert page.value('drops') == 0
    assert page.value('packets') == count
    print(f'figure: {count} flows begun in {taken:.1f} s are all on the page, and no packet was dropped')


def main():
    options = arguments()
    if not shutil.which('chromium'):
        print('skipped: example.live_view: chromium is not installed')
        sys.exit(77)
    lab.enter()
    if options.program == 'peer':
        serve_as_peer()
    lab.connect()
    peer = Program(*lab.at_peer(sys.executable, __file__, 'peer'))
    assert peer.line() == 'serving'
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'all.pcap')
        capture = subprocess.Popen(['tcpdump', '-i', 'here', '--immediate-mode', '-U', '-w', path], stderr=subprocess.PIPE, text=True)
        while 'listening on' not in capture.stderr.readline():
            assert capture.poll() is None
        capture = type('capture', (), {'process': capture, 'path': path})
        before = kernel_counts()
        view = Program(options.program, '--interface', 'here', '--port', '0', '--history', '16')
        address = view.line().split(' at ')[1]
        page = Page()
        try:
            page.open(address)
            page.wait('document.getElementById("link").textContent === "live"')
            check_values(page, capture, before)
            check_saving(page, address)
            check_saving_of_fragments(page, address, folder)
            check_pause(page)
            if options.screenshots:
                take_pictures(page, options.screenshots)
            page.look(390, 844, True)
            assert page.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'wider than a phone'
            check_gate(options.program, address)
            check_filter(page)
            check_subscription(page)
            check_many_flows(page, 10_000)
            if options.load:
                check_many_flows(page, int(options.load * 10_000), 10_000)
        finally:
            page.close()
        assert view.stop() == 0
        print(f'figure: it all took live_view {view.usage.ru_utime + view.usage.ru_stime:.1f} s of processor time')
    print('passed')


main()
