//! The ends of the help texts: what to type, and what comes of it.

pub(super) const REGATTA: &str = "\
Examples:
  regatta demo                                 three simulated hosts, one of them slow
  regatta bench                                this machine: finds the engine on the usual ports
  regatta bench localhost:8000 --suite complex
  regatta doctor                               is this machine ready for a run?
  regatta run complex --ssh gpu-01,gpu-02,gpu-03
                                               a fleet over your own ssh, nothing to install
  regatta run complex --expect 4 --listen 0.0.0.0:7717 --insecure
                                               wait for four agents, run, write the reports
  regatta-agent --coordinator control:7717 --insecure
                                               on each GPU host
  regatta report latest                        write the reports of a stored run again
  regatta check --baseline baseline.toml       is any host slower than it was?

`regatta COMMAND --help` has more of them. REGATTA_LOG sets what is logged (e.g. debug).

Exit codes: 0 all well, 2 usage, 3 something invalid, 4 something missing, 5 nothing usable,
6 own storage failed, 7 refused, 8 check: regression, 9 check, compare: cannot judge, 130 second
interrupt, 1 anything unexpected (docs/exit-codes.md).";

pub(super) const DEMO: &str = "\
Examples:
  regatta demo                         a whole run in under a minute: sim-3 is 20 % slower
  regatta demo --slow 5                is 5 % still found?
  regatta demo --slow 0                three equal hosts: nobody is named
  regatta demo --start both            alone and all at once: do the hosts share something?
  regatta demo --seed 7 --out demo     the same simulated hosts again, reports in ./demo";

pub(super) const BENCH: &str = "\
Examples:
  regatta bench                                            the engine on this machine, suite `quick`
  regatta bench localhost:9000 --suite complex             an endpoint, a longer suite
  regatta bench --suite load                               1 to 64 streams, until there is no more
  regatta bench --concurrency 1,2,4,8                      a sweep, suite `text`
  regatta bench --concurrency 8 --duration 2m              two minutes of eight streams
  regatta bench --rate 0.5,1,2 --duration 1m               a rate, whatever becomes of the answers
  regatta bench --prompt-tokens 512,4096 --max-tokens 64   by length of the prompt
  regatta bench --api-key-env KEY --model my-model         an engine with a key and several models
  regatta bench --dry-run                                  what would be measured

Without --suite it measures `quick`; with --concurrency, --rate or --prompt-tokens it measures
`text` instead: a text of 512 tokens (--prompt-tokens) and answers of exactly 128 (--max-tokens),
if the engine can.";

pub(super) const RUN: &str = "\
Examples:
  regatta run quick --ssh gpu-01,gpu-02
      start the agents on these two over ssh, run, and leave nothing running
  regatta run complex --ssh-file rack.txt --allow-missing
      one host a line, e.g. `me@10.0.0.7 name=gpu-07 endpoint=localhost:9000`; without those that
      cannot be reached
  regatta run complex --expect 4
      wait for four agents, through tunnels to 127.0.0.1:7717
  regatta run complex --expect 4 --listen 0.0.0.0:7717 --insecure
      the same in an isolated lab, in plain text
  regatta run my-suite.toml --hosts gpu-01,gpu-02 --wait 15m
      wait for these two, up to a quarter of an hour, and refuse others
  regatta run complex --ssh-file rack.txt --start both
      every case on one host at a time, then on all at once: does the rack share something that is
      short?
  regatta run quick --expect 2 --repetitions 10 --json > events.jsonl
      ten repetitions; what happens as JSON lines (docs/commands.md)

ssh must log in without a question: try `ssh gpu-01 true`. Without --ssh, each host needs
`regatta-agent --coordinator HOST:7717`. The first Ctrl-C ends what is being measured and writes
a partial report, the second stops at once.";

pub(super) const DOCTOR: &str = "\
Examples:
  regatta doctor                               this machine: finds the engine on the usual ports
  regatta doctor localhost:9000 --suite grid   an endpoint; is its context long enough for `grid`?
  regatta doctor --expect 4 --listen 0.0.0.0:7717 --insecure
                                               a fleet: waits for four agents as `regatta run` does
  regatta doctor --hosts gpu-01,gpu-02 --model my-model --json
                                               these two, with a model that both must serve

Every run makes the same checks. What fails here makes a run refuse that host, a warning does not.

Exit codes: 0 nothing failed; 2 usage; 3 a check failed; 4 a host did not join or answer; 5 none
did; 130 second interrupt; 1 anything unexpected.";

pub(super) const REPORT: &str = "\
Examples:
  regatta report                             the newest run, to reports/RUN
  regatta report 2026-11-24-complex-7f3a --out night
  regatta report latest --redact --out public
                                             with made-up names, to publish it
  regatta runs                               which runs there are

Returns the exit code of the run it renders.";

pub(super) const RUNS: &str = "\
Examples:
  regatta runs
  regatta runs --host gpu-03                 what this host did, run by run
  regatta runs --json                        a JSON object on each line";

pub(super) const COMPARE: &str = "\
Examples:
  regatta compare 2026-11-20-complex-0c1d                          the newest run against this one
  regatta compare 2026-11-20-complex-0c1d 2026-11-24-complex-7f3a --out change.md
  regatta compare baseline.toml latest --json
  regatta compare 2026-11-20-complex-0c1d --allow-different engine-version
                                                                   what did the upgrade bring?

Hosts of other models, engines or GPUs are not compared, unless the fact is allowed to differ.
Returns 0, or 9 where nothing can be compared.";

pub(super) const CHECK: &str = "\
Examples:
  regatta check --baseline baseline.toml
  regatta check latest --baseline baseline.toml --max-regress 3%
  regatta check --baseline 2026-11-20-complex-0c1d --max-regress 3%,ttft=10%
  regatta check --baseline baseline.toml --by gpu    any host of this GPU, whatever its name

A regression is a difference that is settled (Holm's p below 0.05) and at least so large; noise is
none. Returns 0: no host is settled slower; 8: one is; 9: a host, or a figure that the baseline has
of it, cannot be judged.";

pub(super) const BASELINE: &str = "\
Examples:
  regatta baseline --out baseline.toml               the newest run; keep the file in git
  regatta baseline 2026-11-20-complex-0c1d > baseline.toml";
pub(super) const EXPORT: &str = "\
Examples:
  regatta export --format csv --out requests.csv         the requests of the newest run
  regatta export --format html --redact --out run.html   its report in one file, with made-up
                                                         names
  regatta export 2026-11-24-complex-7f3a --format json  everything about a run, on stdout

Returns 0 once it is written, whatever the run was like.";

pub(super) const SUITE: &str = "\
Examples:
  regatta suite list
  regatta suite show complex > my-suite.toml
  regatta suite check my-suite.toml          every problem with its line, or what would be measured

docs/suites.md explains the format.";

pub(super) const SIM: &str = "\
Examples:
  regatta sim                                    TTFT 200 ms, 50 tokens a second, on port 8000
  regatta sim --listen 127.0.0.1:8001 --slow 20  a slower one beside it
  regatta sim --ttft 80ms --inter-token 5ms --tokens-per-chunk random:4 --jitter 2
  regatta sim --decode-capacity 400              saturated from 8 streams of 50 tokens a second on
  regatta sim --freeze 20s+10s                   stands still for 10 s, as an engine that compiles
  regatta sim --prefix-cache --prefill-tps 8000  long prompts take their time, repeated ones do not
  regatta sim --fault stall:25                   every fourth answer stops in its middle
  regatta sim --log sim.jsonl                    its own stamps, one line per request
  regatta sim --flood 16                         16 events a write: what can a client take?
  regatta sim --flood 1 --inter-token 1ms        every event in a read of its own
  regatta bench localhost:8000                   measure it, in another terminal";

pub(super) const HOSTS: &str = "\
Examples:
  regatta hosts --ssh gpu-01,gpu-02
  regatta hosts --ssh-file rack.txt --json

Each engine is found and sent a few short requests. Exit codes: 0 all answered, 4 not all, 5 none.";
