#!/usr/bin/env python3
"""Runs llama.cpp's own HTTP server (the C++ one) on loopback until SIGTERM, or until stdin closes.

    serve.py MODEL.gguf --port PORT [--alias tiny] [--parallel 4] [--context 4096] [--api-key-file FILE]

The end of stdin is the end of the test that started it: no server outlives its test, however that ends.
"""
import argparse
import os
import signal
import sys
import threading

import xllamacpp


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--alias", default="tiny")
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--context", type=int, default=4096, help="tokens for each slot")
    parser.add_argument("--api-key-file")
    return parser.parse_args()


def parameters(a):
    p = xllamacpp.CommonParams()
    p.model.path = a.model
    p.hostnames = ["127.0.0.1"]
    p.port = a.port
    p.model_alias = {a.alias}
    p.n_parallel = a.parallel
    p.n_ctx = a.context * a.parallel
    p.cont_batching = True
    # One thread each: two servers and two agents share the two cores of a small machine.
    p.cpuparams.n_threads = 1
    p.cpuparams_batch.n_threads = 1
    p.n_threads_http = 16
    p.use_jinja = True
    p.warmup = True
    p.fit_params = False
    p.endpoint_metrics = True
    if a.api_key_file:
        with open(a.api_key_file) as file:
            p.api_keys = [file.read().strip()]
    return p


def main():
    # On a small machine the engine would keep a client's timers waiting, and the client would say so.
    os.nice(10)
    server = xllamacpp.Server(parameters(arguments()))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), stop.set()), daemon=True).start()
    print("listening at", server.listening_address, flush=True)
    while not stop.wait(0.2):
        pass
    # Not by way of the server's destructor: it waits for open streams.
    os._exit(0)


main()
