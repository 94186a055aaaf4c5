#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""terminal.py MOTET: `motet run` on a terminal of its own (a pty), against a node that is played
here: it answers "slow" with one word and silence until its client has gone, all else with an
echo of how many messages it was sent. Exit status 0 when everything was as a person expects."""
import http.server
import json
import os
import pty
import select
import signal
import sys
import threading
import time

gone = threading.Event()


class Node(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def line(self, content, done=False):
        message = {"message": {"role": "assistant", "content": content}, "done": done}
        self.wfile.write(json.dumps(message).encode() + b"\n")
        self.wfile.flush()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-type", "application/x-ndjson")
        self.end_headers()
        if body["messages"][-1]["content"] == "slow":
            self.line("begun")
            if select.select([self.connection], [], [], 20)[0]:
                gone.set()  # the client closed: there is nothing else to read
            return
        self.line("saw %d" % len(body["messages"]), True)


class Terminal:
    def __init__(self, argv, env):
        self.seen = b""
        self.at = 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, env)

    def expect(self, text):
        """Wait until text appears behind what was expected before."""
        deadline = time.monotonic() + 20
        while text.encode() not in self.seen[self.at:]:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                sys.exit("expected %r, found %r" % (text, self.seen[self.at:]))
            try:
                piece = os.read(self.fd, 4096)
            except OSError:
                piece = b""
            if not piece:
                sys.exit("expected %r, ended with %r" % (text, self.seen[self.at:]))
            self.seen += piece
        self.at = self.seen.index(text.encode(), self.at) + len(text)

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        while True:
            try:
                if not os.read(self.fd, 4096):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Node)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    env = dict(os.environ, TERM="xterm", MOTET_HOST="127.0.0.1:%d" % server.server_port)
    t = Terminal([sys.argv[1], "run", "played"], env)
    t.expect(">>> ")
    t.type("one\n")
    t.expect("saw 1")
    t.expect(">>> ")
    t.type("\x1b[A\n")  # up-arrow brings the line back
    t.expect("saw 3")  # and what was said before is part of the question
    t.expect(">>> ")
    t.type("slow\n")
    t.expect("begun")
    t.type("\x03")  # Ctrl-C ends the answer ...
    t.expect(">>> ")
    if not gone.wait(10):
        sys.exit("Ctrl-C did not reach the node")
    os.kill(t.pid, signal.SIGINT)  # one that comes too late hits nobody
    t.type("half a line")
    t.expect("half a line")
    t.type("\x03")  # ... and at the prompt gives the line up ...
    t.expect("/bye ends")
    t.expect(">>> ")
    t.type("two\n")  # ... but never the program; what had come is remembered
    t.expect("saw 7")
    t.expect(">>> ")
    t.type("/clear\n")
    t.expect(">>> ")
    t.type("/set system be kind\n")
    t.expect(">>> ")
    t.type('"""three\n')
    t.expect("... ")
    t.type('lines"""\n')
    t.expect("saw 2")  # the system's words and the question
    t.expect(">>> ")
    t.type("/nonsense\n")
    t.expect("unknown command '/nonsense'")
    t.expect(">>> ")
    t.type("\x04")  # Ctrl-D ends
    status = t.end()
    if status != 0:
        sys.exit("ended with %d" % status)


main()
