# SPDX-License-Identifier: Apache-2.0
"""What Linux says about processes: CPU time and memory of a process and its children."""

import ctypes
import os
import signal
import subprocess
import time

TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


def before_exec(core):
    """What a child does before it becomes its program: end when we end, keep to one core."""
    parent = os.getpid()

    def run():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        if core is not None:
            os.sched_setaffinity(0, {core})

    return run


def start(argv, core=None, env=None, cwd=None, log=None):
    """Start a server, in a process group of its own."""
    return subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log,
                            stderr=log, start_new_session=True, preexec_fn=before_exec(core))


def start_piped(argv, core=None):
    """Start a tool whose output is wanted."""
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, preexec_fn=before_exec(core))


def stop(process, wait_s=5):
    """End the whole group, kindly first."""
    for sig, patience in ((signal.SIGTERM, wait_s), (signal.SIGKILL, wait_s)):
        try:
            os.killpg(process.pid, sig)
        except ProcessLookupError:
            pass
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def tree(root):
    """The process and all its descendants that live now."""
    children = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


class Cpu:
    """CPU time of a process tree at one instant.

    Per thread in nanoseconds where the kernel keeps them (schedstat), and per process in
    clock ticks, which also hold the time of threads and children that have ended."""

    def __init__(self, root):
        self.threads, self.ticks = {}, 0
        for pid in tree(root):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
                own = int(fields[11]) + int(fields[12])
                ended = int(fields[13]) + int(fields[14])
                self.ticks += own + ended
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{thread}/schedstat") as f:
                        self.threads[thread] = int(f.read().split()[0])
            except OSError:
                continue

    def ns_since(self, before):
        precise = sum(ns - before.threads.get(t, 0) for t, ns in self.threads.items())
        rough = (self.ticks - before.ticks) * TICK_NS
        # a thread that ended in between took its nanoseconds with it
        return precise if before.threads.keys() <= self.threads.keys() else max(precise, rough)


class Neighbours:
    """How many cores everybody else on the machine has used since this object was made."""

    def __init__(self):
        self.began, self.busy, self.own = self.now()

    def now(self):
        with open("/proc/stat") as f:
            user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
        return (time.monotonic(), user + nice + system + irq + softirq + steal,
                Cpu(os.getpid()).ticks)

    def cores(self):
        now, busy, own = self.now()
        others_ns = ((busy - self.busy) - (own - self.own)) * TICK_NS
        return round(max(0.0, others_ns / 1e9 / max(0.001, now - self.began)), 2)


def status_kb(pid, field):
    try:
        with open(f"/proc/{pid}/status") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def rss_kb(root):
    return sum(status_kb(pid, "VmRSS") for pid in tree(root))


def rss_peak_kb(root):
    """Highest resident size since the last rss_peak_reset(), summed over the tree."""
    return sum(status_kb(pid, "VmHWM") for pid in tree(root))


def rss_peak_reset(root):
    for pid in tree(root):
        try:
            with open(f"/proc/{pid}/clear_refs", "w") as f:
                f.write("5")
        except OSError:
            pass


def machine():
    model = "unknown"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    memory_kb = 0
    with open("/proc/meminfo") as f:
        memory_kb = int(f.readline().split()[1])
    return {"cpu": model, "cores": os.cpu_count(), "memory_gib": round(memory_kb / 2**20, 1),
            "kernel": os.uname().release, "load_before": round(os.getloadavg()[0], 2)}
