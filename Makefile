# SPDX-License-Identifier: Apache-2.0
# Thin on purpose: scripts/ and CMake do the work.
.PHONY: help up motet build test bench bench-train lab soak lint fuzz clean

help:
	@echo "make up     install what is missing, build, start a node in the foreground;"
	@echo "            options: make up ARGS='--listen 127.0.0.1:8000'"
	@echo "make build  the same without starting it, and all tools beside it"
	@echo "make test   build with sanitizers, run every test"
	@echo "make bench  measure beside haproxy, nginx and other gateways (35 minutes)"
	@echo "make bench-train  training steps beside PyTorch's (2 minutes, and its package)"
	@echo "make lab    train the lab's models anew, recipe by recipe (two hours)"
	@echo "make soak   hours of load in short: memory, kill -9, ThreadSanitizer"
	@echo "make lint   format, headers, imports, clang, memory rules, sizes"
	@echo "make fuzz   60 seconds of new inputs for every parser"
	@echo "make clean  remove build/ (deps/ and .cache/ stay)"

up: motet
	@echo "== starting the node (Ctrl-C ends it)"
	@exec build/release/bin/motet up $(ARGS)

motet:
	@echo "== installing what is missing"
	@scripts/install-deps.sh build
	@echo "== building build/release/bin/motet (the first time takes minutes)"
	@mkdir -p build && cmake --preset release >build/.configure.log 2>&1 || { cat build/.configure.log; exit 1; }
	@cmake --build --preset release --target motet

build: motet
	@cmake --build --preset release

test:
	@scripts/test.sh

bench: build
	@scripts/bench-deps.sh
	@python3 bench/gateway.py
	@python3 bench/local.py

bench-train: build
	@scripts/install-deps.sh bench-train
	@python3 bench/train.py

lab: build
	@scripts/lab.sh

soak:
	@scripts/soak.sh

lint:
	@scripts/install-deps.sh build lint
	@mkdir -p build && cmake --preset release >build/.configure.log 2>&1 || { cat build/.configure.log; exit 1; }
	@cmake --build --preset release
	@scripts/check.sh

fuzz:
	@scripts/fuzz.sh

clean:
	rm -rf build
