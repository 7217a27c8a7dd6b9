"""The brokers that are measured: started apart from any installed service, stopped, looked at."""

import glob
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
LEVERET = os.path.join(TARGET, "release", "leveret")
# The load tool is the one that was built here, whatever is measured.
LOAD = [LEVERET, "bench"]
# How long a started broker rests before its memory is read.
SETTLE_SECONDS = 2
# How long a broker may take to start or stop.
START_SECONDS = 600
STOP_SECONDS = 120


def free_port():
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listener_pid(port):
    """The process that listens on a local TCP port, found through /proc."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, encoding="ascii") as lines:
            for line in lines.readlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(link) in inodes:
                return int(link.split("/")[2])
        except OSError:
            pass
    raise RuntimeError(f"nobody listens on port {port}")


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no resident memory")


def run_load(*arguments, timeout):
    """Runs the tool once; its JSON, or an exception that says what it said."""
    command = [*LOAD, *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        # A run that lost messages prints its report and still fails.
        raise RuntimeError((done.stderr or done.stdout).strip())
    return json.loads(done.stdout)


class Broker:
    """A broker that is already there; the base of those this script starts."""

    def __init__(self, name, uri, pid=None):
        self.name, self.uri, self.pid = name, uri, pid
        self.version = None
        self.start_seconds = []
        self.idle_bytes = []

    def look(self):
        """Waits for the first connection and asks who answers."""
        report = run_load("connect", "--uri", self.uri, timeout=START_SECONDS)
        self.version = report.get("server")

    def launch(self):
        self.look()

    def stop(self):
        """Leaves alone what others started."""

    def remove(self):
        self.stop()


class Started(Broker):
    """A broker with a process of its own."""

    def __init__(self, name):
        self.port = free_port()
        super().__init__(name, f"amqp://guest:guest@127.0.0.1:{self.port}/%2f")
        self.directory = tempfile.mkdtemp(prefix="compare-")
        # Where it keeps what survives it.
        self.data = os.path.join(self.directory, "data")
        self.process = None

    def command(self):
        """Arguments and environment to start with."""
        raise NotImplementedError

    def launch(self, *expected):
        """Starts it and waits for the first completed connection.open; returns what the tool says of that.

        With `expected`, further options of the tool's connect mode, it also waits for the messages they name.
        """
        arguments, environment = self.command()
        probe_command = [*LOAD, "connect", "--json", "--uri", self.uri, "--seconds", str(START_SECONDS)]
        probe_command += expected
        with open(os.path.join(self.directory, "out"), "ab") as out:
            probe = subprocess.Popen(probe_command, stdout=subprocess.PIPE, text=True)
            began = time.time()
            self.process = subprocess.Popen(
                arguments, env=environment, cwd=self.directory, stdout=out, stderr=out, start_new_session=True
            )
        answer, _ = probe.communicate()
        if probe.returncode != 0:
            raise RuntimeError(f"{self.name} did not start, see {self.directory}/out")
        report = json.loads(answer)
        report["began_at_unix_seconds"] = began
        self.version = report.get("server")
        self.start_seconds.append(report["opened_at_unix_seconds"] - began)
        self.pid = listener_pid(self.port)
        time.sleep(SETTLE_SECONDS)
        self.idle_bytes.append(resident_bytes(self.pid))
        return report

    def launch_empty(self):
        """Starts it anew without its data: memory and disk of earlier runs must not count."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)
        self.launch()

    def data_bytes(self):
        """What its data takes on the disk, holes not counted."""
        taken = 0
        for directory, _, files in os.walk(self.data):
            for name in files:
                try:
                    taken += os.lstat(os.path.join(directory, name)).st_blocks * 512
                except OSError:
                    pass
        return taken

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return
        process, self.process = self.process, None
        try:
            os.kill(self.pid or process.pid, how)
            process.wait(STOP_SECONDS)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def remove(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class Leveret(Started):
    def __init__(self, binary, durable, extra):
        super().__init__("leveret")
        self.binary, self.durable, self.extra = binary, durable, extra

    def launch(self, *expected):
        report = super().launch(*expected)
        # To clients it gives the name of what it takes the place of.
        asked = subprocess.run([self.binary, "--version"], capture_output=True, text=True, check=True)
        self.version = asked.stdout.strip()
        return report

    def command(self):
        storage = ["--data-dir", self.data] if self.durable else ["--ephemeral"]
        listen = ["--management", "none", "--amqp", f"127.0.0.1:{self.port}"]
        return [self.binary, *storage, *listen, *self.extra], dict(os.environ)


class RabbitMq(Started):
    """An instance apart from any installed service: own node, ports, directory and port mapper."""

    def __init__(self, binary):
        super().__init__("RabbitMQ")
        self.binary = binary
        self.mapper_port = free_port()
        self.write("rabbitmq.conf", f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console = false\n")
        # Without the management plugin: its statistics would be charged to every message.
        self.write("enabled_plugins", "[].\n")

    def write(self, name, text):
        with open(os.path.join(self.directory, name), "w", encoding="utf-8") as file:
            file.write(text)

    def environment(self):
        def inside(name):
            return os.path.join(self.directory, name)

        return {
            **os.environ,
            "HOME": self.directory,
            "RABBITMQ_CONF_ENV_FILE": inside("none"),
            "RABBITMQ_CONFIG_FILE": inside("rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": inside("enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": self.data,
            "RABBITMQ_LOG_BASE": inside("log"),
            "RABBITMQ_NODENAME": f"compare-{os.getpid()}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_PORT": str(self.mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def command(self):
        return [self.binary], self.environment()

    def remove(self):
        self.stop()
        mapper = shutil.which("epmd") or next(iter(glob.glob("/usr/lib/erlang/erts-*/bin/epmd")), None)
        if mapper:
            # The mapper outlives its nodes; this one is ours alone.
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
            subprocess.run([mapper, "-port", str(self.mapper_port), "-kill"], **quiet)
        super().remove()


class Relay(Broker):
    """The lower bound: the tool itself, copying bytes."""

    def __init__(self):
        super().__init__("relay", "")
        self.process = None

    def launch(self):
        self.process = subprocess.Popen([*LOAD, "relay"], stdout=subprocess.PIPE, text=True)
        self.uri = self.process.stdout.readline().strip()
        self.pid = self.process.pid

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


def find_rabbitmq():
    """The server script itself: packages' wrappers change user and directory."""
    places = ["/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server"]
    found = [path for place in places for path in sorted(glob.glob(place))]
    return found[-1] if found else shutil.which("rabbitmq-server")


def machine():
    """Processor, cores, memory, kernel."""
    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, {memory:.0f} GiB, Linux {platform.release()}"


def build():
    """The broker and the tool, which is the same binary and needed whatever is measured."""
    subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)


def number_text(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def ratio_text(better, worse):
    return f"{worse / better:.1f} x" if better and worse else "-"


def say(text):
    print(text, file=sys.stderr, flush=True)


