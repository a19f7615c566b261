"""Runs every program of example/short: what it prints of real traffic, that it ends, and what it says if it cannot.

short.py FOLDER_OF_PROGRAMS FOLDER_OF_SOURCES
"""
import concurrent.futures
import contextlib
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import lab
from lab import HERE, THERE, Program

programs, sources = sys.argv[1:3]
tests = {}


def test(function):
    tests[function.__name__] = function
    return function


def expect(output, *patterns):
    for pattern in patterns:
        assert re.search(pattern, output, re.M), f'no {pattern!r} in:\n{output}'


def program(name, *arguments):
    return Program(os.path.join(programs, name), *(arguments or ('here',)), stderr=subprocess.PIPE)


def send(count, size=100, port=9000, address=THERE):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for _ in range(count):
            one.sendto(b'x' * size, (address, port))


def say_hello(name):
    """The ClientHello of a real TLS library, on whatever port."""
    to_them = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), to_them, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection((THERE, 80)) as one:
        one.sendall(to_them.read())
        one.recv(10)


def while_sending(name, *arguments, count=20, traffic=send):
    """Runs a program to its end with traffic from when its socket is there, and returns what it printed."""
    one = program(name, *arguments)
    wait_for_socket(one)
    traffic(count)
    output, errors = one.process.communicate(timeout=60)
    assert one.process.returncode == 0, errors
    return output


def wait_for_socket(one, sockets=1):
    """Until it has a packet socket that is bound: it captures then."""
    for _ in range(600):
        with open('/proc/net/packet') as file:
            if sum(line.split()[5] == '1' for line in file.readlines()[1:]) >= sockets:
                return
        assert one.process.poll() is None, one.process.stderr.read()
        time.sleep(0.05)
    raise AssertionError('it does not capture')


# ---- receiving

@test
def packet_loop():
    expect(while_sending('packet_loop'), '^packet 5: 142 bytes', '^5 packets')


@test
def batches():
    output = while_sending('batches')
    expect(output, r'^block \d+: \d+ packets in \d+ us, closed by its timeout', '^20 packets received, 0 dropped')


@test
def coroutine():
    expect(while_sending('coroutine'), '^20 packets, then none for 3 s')


@test
def callback():
    expect(while_sending('callback'), '^20 packets in 3 s')


@test
def future():
    expect(while_sending('future'), r'^\d+ packets')
    nothing = program('future')
    _, errors = nothing.process.communicate(timeout=60)
    assert (nothing.process.returncode, errors.strip()) == (1, 'nothing came for 3 s')


@test
def sender():
    expect(while_sending('sender'), '^20 packets, then none for 3 s')


@test
def ctrl_c():
    one = program('ctrl_c')
    assert one.line() == 'capturing'
    send(20)
    time.sleep(0.5)
    assert one.stop() == 0
    expect(one.process.stdout.read(), '^20 packets')


@test
def payload():
    def ask(_):
        with socket.create_connection((THERE, 80)) as one:
            one.sendall(b'GET /index.html HTTP/1.0\r\n\r\n')
            one.recv(10)
    expect(while_sending('payload', traffic=ask), f'^{HERE} > {THERE}: GET /index.html HTTP/1.0')


@test
def workers():
    expect(while_sending('workers'), f'^{20 * 142} bytes')


@test
def owned_packets():
    expect(while_sending('owned_packets'), '^packet 4: 142 bytes', '^4 packets')


@test
def fanout():
    one = program('fanout')
    wait_for_socket(one, 2)
    for port in range(9000, 9050):
        send(4, port=port)
    output, errors = one.process.communicate(timeout=60)
    assert one.process.returncode == 0, errors
    expect(output, r'^[1-9]\d* \+ [1-9]\d* = 200 packets')


@test
def many_cores():
    one = program('many_cores')
    wait_for_socket(one, 2)
    time.sleep(0.2)  # what came before the last of them had joined is left out
    for port in range(9000, 9050):
        send(4, port=port)
    output, errors = one.process.communicate(timeout=60)
    assert one.process.returncode == 0, errors
    expect(output, r'^[1-9]\d* \+ [1-9]\d* flows, 200 packets')
    assert sum(int(n) for n in re.findall(r'(\d+)(?= [+f])', output)) == 50, output


@test
def statistics():
    output = while_sending('statistics')
    expect(output, '^second 3: ')
    assert sum(int(n) for n in re.findall(r': (\d+) received, 0 dropped', output)) == 20, output


@test
def low_latency():
    expect(while_sending('low_latency'), r'^20 packets, the oldest after \d+ us')


@test
def rotate():
    def traffic(_):
        send(1500, size=1400)
    with tempfile.TemporaryDirectory() as folder:
        expect(while_sending('rotate', 'here', folder + '/packets', traffic=traffic), '^3 files')
        files = sorted(os.listdir(folder))
        assert all(os.path.getsize(os.path.join(folder, name)) <= 1 << 20 for name in files), files
        counts = [len(subprocess.run(['tcpdump', '-nr', os.path.join(folder, name)], capture_output=True, check=True)
                      .stdout.splitlines()) for name in files]
        assert len(counts) == 3 and sum(counts) == 1500, counts


@test
def subscribe():
    def ask(_):
        say_hello('tls.shop.example')
        say_hello('tls.other.example')
    path = os.path.join(folder, 'wanted.pcapng')
    expect(while_sending('subscribe', 'here', path, traffic=ask), r'^\d+ packets')
    lines = subprocess.run(['tcpdump', '-nr', path], capture_output=True, check=True, text=True).stdout.splitlines()
    ports = {re.search(rf'{re.escape(HERE)}\.(\d+)', line)[1] for line in lines}
    assert len(ports) == 1 and 'Flags [S]' in lines[0] and len(lines) >= 6, lines


@test
def ebpf():
    one = program('ebpf')
    if one.line() != 'capturing':
        errors = one.process.stderr.read()
        assert 'Operation not permitted' in errors, errors
        print('ebpf: needs CAP_BPF')
        return
    send(40)
    expect(one.process.communicate(timeout=60)[0], '^20 packets')


@test
def filters():
    def traffic(_):
        send(8)
        send(2, size=600)
        time.sleep(0.5)  # these are another block: the filter is changed by then
        send(5)
        send(3, port=9001)
    expect(while_sending('filters', traffic=traffic), '^13 packets, 2 of them large', 'prot 9000: the filter expression')


# ---- sending

@test
def inject():
    before = lab.device('there', lab.at_peer)[0]
    one = program('inject')
    output, errors = one.process.communicate(timeout=60)
    assert one.process.returncode == 0, errors
    expect(output, '^10000 frames taken, 0 refused')
    assert lab.device('there', lab.at_peer)[0] - before == 10_000


@test
def xdp_send():
    before = lab.device('there', lab.at_peer)[0]
    one = program('xdp_send')
    output, errors = one.process.communicate(timeout=60)
    assert one.process.returncode == 0, errors
    expect(output, '^1000 frames taken, 0 refused')
    assert lab.device('there', lab.at_peer)[0] - before == 1000


ASK_ECHO = f'''
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.settimeout(10)
for i in range(10):
    one.sendto(b"datagram %d" % i, ("{HERE}", 7))
    assert one.recv(100) == b"datagram %d" % i
print("ten came back")
'''


@test
def xdp_echo():
    lab.run(*lab.at_peer('ethtool', '-K', 'there', 'tx', 'off'))  # XDP leaves checksums unfinished
    one = program('xdp_echo')
    if one.line() != 'echoing':
        errors = one.process.stderr.read()
        assert 'CAP_' in errors, errors
        print('xdp_echo: needs CAP_BPF')
        return
    asked = subprocess.run(lab.at_peer(sys.executable, '-c', ASK_ECHO), pass_fds=(9,), capture_output=True, text=True)
    assert asked.stdout == 'ten came back\n', asked.stderr
    expect(one.process.communicate(timeout=60)[0], '^10 datagrams')


# ---- flows, and telling others

@test
def flows():
    def fetch(_):
        with socket.create_connection((THERE, 80)) as one:
            one.sendall(b'hello')
            one.recv(10)
    expect(while_sending('flows', traffic=fetch), f'started tcp {HERE}:', f'established tcp {HERE}:',
           rf'ended \(fin\) tcp {HERE}:')


@test
def sessions():
    def ask(_):
        query = b'\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\4shop\7example\0\0\1\0\1'
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(query, (THERE, 53))
        say_hello('tls.shop.example')
    expect(while_sending('sessions', traffic=ask), '^asked: www.shop.example', r'^hello to tls.shop.example, t13d')


@test
def conn_log():
    trace = os.path.join(folder, 'three.pcap')
    with open(trace, 'wb') as file:
        file.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i in range(3):
            frame = b'\0' * 12 + b'\x08\0' + struct.pack('>BBHHHBBH', 0x45, 0, 28, 0, 0, 64, 17, 0) + \
                socket.inet_aton(HERE) + socket.inet_aton(THERE) + struct.pack('>HHHH', 1000 + i, 53, 8, 0)
            file.write(struct.pack('<IIII', 1_700_000_000 + i, 0, len(frame), len(frame)) + frame)
    one = program('conn_log', trace)
    output, errors = one.process.communicate(timeout=60)
    assert one.process.returncode == 0, errors
    expect(output, '^#fields\tts\tuid\tid.orig_h', f'\t{HERE}\t1002\t{THERE}\t53\tudp\t', '^#close')


@test
def ipfix():
    received = []

    def collect(listener):
        one, _ = listener.accept()
        while data := one.recv(65536):
            received.append(data)
    listener = socket.create_server(('127.0.0.1', 4739))
    collecting = threading.Thread(target=collect, args=(listener,), daemon=True)
    collecting.start()
    expect(while_sending('ipfix', 'here', '127.0.0.1'), '^1 flows sent')
    collecting.join(20)
    assert struct.unpack_from('>H', b''.join(received))[0] == 10  # the version of IPFIX


@test
def metrics():
    one = program('metrics')
    address = one.line()
    send(20)
    time.sleep(0.5)
    with urllib.request.urlopen(address, timeout=20) as response:
        expect(response.read().decode(), '^capture_packets_total 20$', '^capture_drops_total 0$')
    assert one.process.wait(60) == 0


# ---- what the pages of the guide show

@test
def pages():
    for one, other in (('eth0', 'eth1'), ('eth2', 'eth3')):
        queues = ('numtxqueues', '4', 'numrxqueues', '4')
        lab.run('ip', 'link', 'add', one, *queues, 'type', 'veth', 'peer', 'name', other, *queues)
        for name in (one, other):
            lab.run('ip', 'link', 'set', name, 'addrgenmode', 'none')
            lab.run('ip', 'link', 'set', name, 'up')
    running = program('pages')

    def talk():
        raw = {name: socket.socket(socket.AF_PACKET, socket.SOCK_RAW) for name in ('eth0', 'eth1', 'eth3')}
        for name, one in raw.items():
            one.bind((name, 0))
        datagram = b'\2' * 12 + b'\x08\0' + struct.pack('>BBHHHBBH', 0x45, 0, 28, 0, 0, 64, 17, 0) + \
            socket.inet_aton(HERE) + socket.inet_aton(THERE) + struct.pack('>HHHH', 1000, 4789, 8, 0)
        while running.process.poll() is None:
            for one in raw.values():
                one.send(datagram)
            send(2)
            with socket.create_connection((THERE, 80)) as one:
                one.sendall(b'GET / HTTP/1.0\r\n\r\n')
                one.recv(100)
            time.sleep(0.02)
    threading.Thread(target=talk, daemon=True).start()
    output, errors = running.process.communicate(timeout=100)
    if 'CAP_' in errors and 'xdp: take' in output:
        print('pages: those on AF_XDP need CAP_BPF')
        return
    assert running.process.returncode == 0, output + errors
    expect(output, r'^done, [1-9]\d* packets and events seen')


# ---- all of them

ANSWERS = f'''
import socket
listener = socket.create_server(("{THERE}", 80))
sink = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(50)]
for i, one in enumerate(sink):
    one.bind(("{THERE}", 9000 + i))
print("serving", flush=True)
while True:
    one, _ = listener.accept()
    one.sendall(one.recv(1000))
    one.close()
'''


def says_what_is_wrong(name):
    one = program(name, 'nobody', '127.0.0.1')
    _, errors = one.process.communicate(timeout=60)
    assert one.process.returncode == 1, name
    expect(errors, 'no such interface|No such file|FILE|CAP_')


def run_one(name):
    """In a network of its own."""
    global folder
    lab.enter()
    lab.connect()
    peer = Program(*lab.at_peer(sys.executable, '-c', ANSWERS))
    assert peer.line() == 'serving'
    lab.run('ping', '-q', '-c', '1', THERE)  # neighbours know each other from here on
    with tempfile.TemporaryDirectory() as folder:
        tests[name]()
    says_what_is_wrong(name)


def run_all():
    there = {name[:-4] for name in os.listdir(sources) if name.endswith('.cpp')} | {'pages'}
    assert there == set(tests), f'no test, or no program: {there ^ set(tests)}'
    built = sorted(there & set(os.listdir(programs)))

    def start(name):
        begin = time.monotonic()
        result = subprocess.run([sys.executable, *sys.argv, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(f'{name}: {"FAILED" if result.returncode else "passed"} after {time.monotonic() - begin:.1f} s')
        if result.returncode:
            print(result.stdout)
        return result.returncode == 0

    with concurrent.futures.ThreadPoolExecutor(8) as pool:  # most of the time they wait
        passed = sum(pool.map(start, built))
    print(f'figure: {passed} of {len(built)} example programs do what they say')
    sys.exit(passed != len(built))


if len(sys.argv) == 4:
    run_one(sys.argv[3])
else:
    run_all()
