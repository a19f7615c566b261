"""Two network namespaces joined by a veth pair, for tests in Python: `here`, and `there` where the peer is."""
import os
import signal
import subprocess
import sys

HERE, THERE = '10.79.0.1', '10.79.0.2'
PEER_NAMESPACE = '/proc/self/fd/9'


def enter():
    """Runs the program again in a namespace of its own, with the peer's as descriptor 9. All ends when it does."""
    stage = os.environ.get('LAB_STAGE')
    if stage == 'here':
        return
    options = ['--net', '--pid', '--fork', '--kill-child'] if stage is None else ['--net']
    if stage is None and os.geteuid() != 0:
        options[:0] = ['--user', '--map-root-user']
    if stage == 'there':
        os.dup2(os.open('/proc/self/ns/net', os.O_RDONLY), 9)
    os.environ['LAB_STAGE'] = 'there' if stage is None else 'here'
    os.execvp('unshare', ['unshare', *options, sys.executable, *sys.argv])


def at_peer(*command):
    return ['nsenter', f'--net={PEER_NAMESPACE}', *command]


def run(*command):
    subprocess.run(command, check=True, pass_fds=(9,))


def connect():
    run('ip', 'link', 'add', 'here', 'type', 'veth', 'peer', 'name', 'there', 'netns', PEER_NAMESPACE)
    for place, name, address in ((lambda *c: c, 'here', HERE), (at_peer, 'there', THERE)):
        run(*place('ip', 'link', 'set', 'lo', 'up'))
        run(*place('ip', 'link', 'set', name, 'addrgenmode', 'none'))
        run(*place('ip', 'addr', 'add', address + '/24', 'dev', name))
        run(*place('ip', 'link', 'set', name, 'up'))


def device(name='here', place=lambda *c: c):
    """Received packets, sent packets, received bytes, sent bytes, as the kernel counts them."""
    text = subprocess.run(place('cat', '/proc/net/dev'), check=True, pass_fds=(9,), capture_output=True, text=True).stdout
    fields = next(line.split() for line in text.splitlines() if line.strip().startswith(name + ':'))
    return [int(fields[i]) for i in (2, 10, 1, 9)]


class Program:
    def __init__(self, *command, **options):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=(9,), **options)

    def line(self):
        return self.process.stdout.readline().strip()

    def stop(self):
        """Ends it as Ctrl-C does; returns its status, and leaves what it used in `usage`."""
        self.process.send_signal(signal.SIGINT)
        _, status, self.usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.process.returncode
