//! The examples at the end of each help text.

pub(super) const REGATTA: &str = "\
Examples:
  regatta demo                                 three simulated hosts, one of them slow
  regatta bench                                this machine, engine found automatically
  regatta bench localhost:8000 --suite complex
  regatta doctor                               is this machine ready for a run?
  regatta run complex --ssh gpu-01,gpu-02,gpu-03
                                               a fleet over ssh, nothing to install on the hosts
  regatta run complex --expect 4 --listen 0.0.0.0:7717 --insecure
                                               wait for four agents, then run
  regatta-agent --coordinator control:7717 --insecure
                                               on each GPU host
  regatta report latest                        rewrite the reports of the newest run
  regatta check --baseline baseline.toml       is any host slower than before?

See `regatta COMMAND --help` for more. REGATTA_LOG sets the log level (e.g. debug).

Exit codes: 0 success, 1 unexpected error, 2 usage error, 3 invalid cells, 4 missing cells,
5 nothing usable, 6 local storage failure, 7 refused, 8 regression (check), 9 cannot judge (check,
compare), 130 second interrupt. Details: docs/exit-codes.md.";

pub(super) const DEMO: &str = "\
Examples:
  regatta demo                         a complete run in under a minute: sim-3 is 20 % slower
  regatta demo --slow 5                is a 5 % slowdown detected?
  regatta demo --slow 0                three equal hosts: none is reported as slow
  regatta demo --start both            solo, then together: do the hosts slow each other down?
  regatta demo --seed 7 --out demo     reproducible simulated hosts, reports in ./demo";

pub(super) const BENCH: &str = "\
Examples:
  regatta bench                                            the engine on this machine, suite `quick`
  regatta bench localhost:9000 --suite complex             an endpoint, a longer suite
  regatta bench --suite load                               1 to 64 streams, until saturation
  regatta bench --concurrency 1,2,4,8                      a concurrency sweep, suite `text`
  regatta bench --concurrency 8 --duration 2m              eight streams for two minutes
  regatta bench --rate 0.5,1,2 --duration 1m               open loop at three request rates
  regatta bench --prompt-tokens 512,4096 --max-tokens 64   two prompt lengths
  regatta bench --api-key-env KEY --model my-model         an engine with an API key, several models
  regatta bench --dry-run                                  print the planned cells

The default suite is `quick`. With --concurrency, --rate or --prompt-tokens it is `text`: a prompt
of 512 tokens (--prompt-tokens) and exactly 128 output tokens (--max-tokens), if the engine supports
a fixed length.

SLO presets: mlperf:llama2-70b, mlperf:llama3.1-8b, mlperf:deepseek-r1 and mlperf:gpt-oss-120b, each
also with the suffix -interactive.";

pub(super) const RUN: &str = "\
Examples:
  regatta run quick --ssh gpu-01,gpu-02
      start agents on two hosts over ssh, run, and stop the agents
  regatta run complex --ssh-file rack.txt --allow-missing
      one host per line, e.g. `me@10.0.0.7 name=gpu-07 endpoint=localhost:9000`; exclude unreachable
      hosts
  regatta run complex --expect 4
      wait for four agents that connect to 127.0.0.1:7717 through ssh tunnels
  regatta run complex --expect 4 --listen 0.0.0.0:7717 --insecure
      the same in an isolated lab, unencrypted
  regatta run my-suite.toml --hosts gpu-01,gpu-02 --wait 15m
      wait up to 15 minutes for these two hosts and refuse all others
  regatta run complex --ssh-file rack.txt --start both
      each case solo, then on all hosts together: do the hosts of a rack slow each other down?
  regatta run quick --expect 2 --repetitions 10 --json > events.jsonl
      ten repetitions, events as JSON lines (docs/commands.md)

ssh must allow non-interactive login: test with `ssh gpu-01 true`. Without --ssh, run
`regatta-agent --coordinator HOST:7717` on each host. The first Ctrl-C finishes the current requests
and writes a partial report, the second exits immediately.

SLO presets: mlperf:llama2-70b, mlperf:llama3.1-8b, mlperf:deepseek-r1 and mlperf:gpt-oss-120b, each
also with the suffix -interactive.

Facts for --assume-equal: model, quantization, kv-cache-type, engine, engine-version,
context-length, prefix-cache, speculative-decoding, engine-flags, gpu.";

pub(super) const DOCTOR: &str = "\
Examples:
  regatta doctor                               this machine, engine found automatically
  regatta doctor localhost:9000 --suite grid   is the context long enough for suite `grid`?
  regatta doctor --expect 4 --listen 0.0.0.0:7717 --insecure
                                               a fleet: wait for four agents like `regatta run`
  regatta doctor --hosts gpu-01,gpu-02 --model my-model --json
                                               two hosts that must both serve my-model

Every run makes the same checks. A failed check excludes the host, a warning does not.

Exit codes: 0 no check failed, 1 unexpected error, 2 usage error, 3 a check failed, 4 a host did not
join or answer, 5 no host did, 130 second interrupt.";

pub(super) const REPORT: &str = "\
Examples:
  regatta report                             the newest run, to reports/RUN
  regatta report 2026-11-24-complex-7f3a --out night
  regatta report latest --redact --out public
                                             with names replaced, for publication
  regatta runs                               list the stored runs

Exits with the exit code of the run.";

pub(super) const RUNS: &str = "\
Examples:
  regatta runs
  regatta runs --host gpu-03                 history of one host
  regatta runs --json                        one JSON object per line";

pub(super) const COMPARE: &str = "\
Examples:
  regatta compare 2026-11-20-complex-0c1d                          this run and the newest one
  regatta compare 2026-11-20-complex-0c1d 2026-11-24-complex-7f3a --out change.md
  regatta compare baseline.toml latest --json
  regatta compare 2026-11-20-complex-0c1d --allow-different engine-version
                                                                   what did the upgrade change?

Hosts with a different model, engine or GPU are compared only if --allow-different names the fact.
Exits with 0, or with 9 if nothing could be compared.";

pub(super) const CHECK: &str = "\
Examples:
  regatta check --baseline baseline.toml
  regatta check latest --baseline baseline.toml --max-regress 3%
  regatta check --baseline 2026-11-20-complex-0c1d --max-regress 3%,ttft=10%
  regatta check --baseline baseline.toml --by gpu    match hosts by GPU instead of name

A regression is a significant slowdown (Holm-adjusted p < 0.05) of at least the allowed margin.

Exit codes: 0 no regression, 8 regression, 9 a host or metric of the baseline cannot be judged.";

pub(super) const BASELINE: &str = "\
Examples:
  regatta baseline --out baseline.toml               save the newest run, to keep under git
  regatta baseline 2026-11-20-complex-0c1d > baseline.toml";

pub(super) const EXPORT: &str = "\
Examples:
  regatta export --format csv --out requests.csv         the requests of the newest run
  regatta export --format html --redact --out run.html   the report as one HTML file, redacted
  regatta export 2026-11-24-complex-7f3a --format json   the complete run, to stdout

Exits with 0 once the file is written, whatever the result of the run.";

pub(super) const SUITE: &str = "\
Examples:
  regatta suite list
  regatta suite show complex > my-suite.toml
  regatta suite check my-suite.toml          every problem with its line, or the planned cells

docs/suites.md explains the format.";

pub(super) const SIM: &str = "\
Examples:
  regatta sim                                    TTFT 200 ms, 50 tokens/s, on port 8000
  regatta sim --listen 127.0.0.1:8001 --slow 20  a second host, 20 % slower
  regatta sim --ttft 80ms --inter-token 5ms --tokens-per-chunk random:4 --jitter 2
  regatta sim --decode-capacity 400              saturated at 8 streams of 50 tokens/s
  regatta sim --freeze 20s+10s                   freeze for 10 s, like an engine that compiles
  regatta sim --prefix-cache --prefill-tps 8000  TTFT grows with the uncached part of the prompt
  regatta sim --fault stall:25                   every fourth answer stalls halfway
  regatta sim --log sim.jsonl                    log its own timestamps, one line per request
  regatta sim --flood 16                         16 events per write: how fast is the client?
  regatta sim --flood 1 --inter-token 1ms        one event per read
  regatta bench localhost:8000                   benchmark it from another terminal";

pub(super) const HOSTS: &str = "\
Examples:
  regatta hosts --ssh gpu-01,gpu-02
  regatta hosts --ssh-file rack.txt --json

Sends each engine a few short requests. Exit codes: 0 all hosts answered, 4 some did, 5 none did.";
