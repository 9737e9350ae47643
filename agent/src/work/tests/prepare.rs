//! Getting to know an engine, and the client overhead, against the simulated host.

use std::cell::Cell;

use regatta_sim::{SimOptions, SimServer};
use regatta_types::suite::{Message, Role, TextPrompt};
use regatta_types::trace::TokenSource;
use regatta_types::validity::FindingCode;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::endpoint::EndpointOptions;

struct Sim {
    worker: Worker,
    attempts: Cell<u32>,
    stop: CancellationToken,
    served: JoinSet<()>,
}

impl Sim {
    async fn start(options: SimOptions) -> Self {
        let fast = SimOptions {
            ttft: Duration::from_millis(2),
            inter_token: Duration::from_micros(200),
            ..options
        };
        let server = SimServer::bind(([127, 0, 0, 1], 0).into(), fast).await.unwrap();
        let url = Some(format!("http://{}", server.local_addr()));
        let stop = CancellationToken::new();
        let mut served = JoinSet::new();
        served.spawn(server.serve(stop.clone()));
        let options = EndpointOptions { url, ..EndpointOptions::default() };
        let endpoint = Endpoint::discover(&options).await.unwrap();
        Self { worker: worker_for(endpoint).0, attempts: Cell::new(0), stop, served }
    }

    /// Warms up with these wants and nothing more.
    async fn warm_up(&mut self, wants: Wants) -> AttemptReport {
        let host = HostId::new("host").unwrap();
        let preparation = Preparation { wants, ..preparation(EngineWarmup::Requests(0)) };
        let halt = Halt::default();
        within("engine warm-up", self.worker.warm_up(&preparation, &host, &halt)).await
    }

    async fn run(&self, case: Case) -> AttemptReport {
        let mut assignment = Assignment { case, ..assignment(1, 0, requests(4)) };
        // An attempt of its own has salts of its own.
        self.attempts.set(self.attempts.get() + 1);
        assignment.key.attempt = AttemptNo(self.attempts.get());
        within("run", self.worker.run(assignment, &Halt::default())).await
    }

    async fn end(self) {
        self.stop.cancel();
        within("the end of the server", self.served.join_all()).await;
    }
}

fn fixed() -> Case {
    Case {
        length: Length::Fixed,
        max_tokens: 40,
        min_max_tokens: 40,
        ..assignment(1, 0, requests(4)).case
    }
}

fn wants_fixed() -> Wants {
    Wants { fixed_length: true, ..Wants::default() }
}

#[tokio::test]
async fn answers_of_fixed_length_end_at_their_limit_and_not_before() {
    let mut sim = Sim::start(SimOptions { stop_after: Some(5), ..SimOptions::default() }).await;
    sim.warm_up(wants_fixed()).await;
    assert_eq!(sim.worker.endpoint().facts().fixed_length, Some(true));
    let tokens = |report: &AttemptReport| {
        report.traces.iter().map(|t| t.completion_tokens().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(tokens(&sim.run(fixed()).await), [40.0; 4]);
    let natural = Case { length: Length::Natural, ..fixed() };
    assert_eq!(
        tokens(&sim.run(natural).await),
        [5.0; 4],
        "where nobody wants it, it is not asked for"
    );
    sim.end().await;
}

#[tokio::test]
async fn an_engine_that_refuses_fields_is_not_sent_them_and_the_report_says_so() {
    let refuse = ["ignore_eos", "min_tokens", "return_token_ids"].map(str::to_owned).to_vec();
    let options = SimOptions { stop_after: Some(5), refuse, ..SimOptions::default() };
    let mut sim = Sim::start(options).await;
    let warmed = sim.warm_up(wants_fixed()).await;
    assert_eq!(
        warmed.findings.iter().map(|f| f.code.as_str()).collect::<Vec<_>>(),
        ["length_not_fixed"]
    );
    assert_eq!(sim.worker.endpoint().facts().fixed_length, Some(false));
    let report = sim.run(fixed()).await;
    assert!(report.traces.iter().all(RequestTrace::is_ok), "{:?}", report.traces[0].outcome);
    assert_eq!(report.traces[0].token_source(), Some(TokenSource::ContinuousUsage));
    sim.end().await;
}

#[tokio::test]
async fn an_engine_that_takes_the_fields_and_ignores_them_is_found_out() {
    let options = SimOptions {
        stop_after: Some(5),
        forced_length: false,
        token_ids: false,
        ..SimOptions::default()
    };
    let mut sim = Sim::start(options).await;
    let warmed = sim.warm_up(wants_fixed()).await;
    assert_eq!(warmed.findings[0].code, FindingCode::LengthNotFixed);
    assert_eq!(sim.worker.endpoint().facts().fixed_length, Some(false));
    sim.end().await;
}

#[tokio::test]
async fn token_ids_are_asked_for_where_the_engine_has_them() {
    let mut sim = Sim::start(SimOptions::default()).await;
    sim.warm_up(Wants::default()).await;
    let report = sim.run(fixed()).await;
    assert_eq!(report.traces[0].token_source(), Some(TokenSource::TokenIds));
    assert_eq!(sim.worker.endpoint().facts().fixed_length, None, "nobody wanted to know");
    sim.end().await;
}

#[tokio::test]
async fn texts_have_the_asked_length_by_the_engines_own_count() {
    let mut sim = Sim::start(SimOptions { prefix_cache: true, ..SimOptions::default() }).await;
    let texts: Vec<TextPrompt> = [(96, 0), (1_000, 0), (1_000, 600), (60_000, 0)]
        .map(|(tokens, shared)| TextPrompt { tokens, shared })
        .to_vec();
    sim.warm_up(Wants { texts: texts.clone(), ..Wants::default() }).await;
    for text in &texts[..3] {
        let report = sim.run(Case { prompt: Prompt::Text(*text), ..fixed() }).await;
        let measured = report.traces.iter().filter(|t| t.phase == Phase::Measured);
        for usage in measured.map(|t| t.usage.unwrap()) {
            let off = usage.prompt as f64 / f64::from(text.tokens) - 1.0;
            assert!(off.abs() <= 0.02, "{text:?}: {}", usage.prompt);
            let cached = usage.cached.unwrap_or(0);
            let (least, most) = if text.shared > 0 { (550, 620) } else { (0, 15) };
            assert!((least..=most).contains(&cached), "{text:?}: {cached} cached");
        }
    }
    let report = sim.run(Case { prompt: Prompt::Text(texts[3]), ..fixed() }).await;
    let AttemptOutcome::Failed(why) = report.outcome else { panic!("no room for 60,000 tokens") };
    assert!(why.contains("the engine refused the prompt"), "{why}");
    sim.end().await;
}

#[tokio::test]
async fn no_cache_has_a_measured_prompt_because_its_shape_was_sent_before() {
    let mut sim = Sim::start(SimOptions { prefix_cache: true, ..SimOptions::default() }).await;
    let content = "The pump runs at 0 bar. ".repeat(400);
    let prompt = Prompt::Messages(vec![Message { role: Role::User, content }]);
    let case = Case { prompt, ..fixed() };
    let warmed = sim.warm_up(Wants { shapes: vec![case.clone()], ..Wants::default() }).await;
    let report = sim.run(case).await;
    let usage = |trace: &RequestTrace| trace.usage.map(|usage| usage.prompt);
    assert_eq!(usage(&warmed.traces[1]), usage(&report.traces[0]), "of one length");
    assert!(usage(&report.traces[0]) > Some(2_000));
    let cached = report.traces.iter().map(|trace| trace.usage.unwrap().cached.unwrap_or(0));
    assert!(cached.max() <= Some(15));
    sim.end().await;
}

#[tokio::test]
async fn the_client_overhead_is_an_attempt_at_an_endpoint_of_our_own() {
    let sim = Sim::start(SimOptions::default()).await;
    let host = HostId::new("host").unwrap();
    let wants = Wants { overhead_streams: 2, ..Wants::default() };
    let preparation = Preparation { wants, ..preparation(EngineWarmup::Requests(0)) };
    let report =
        within("overhead", sim.worker.measure_overhead(&preparation, &host, &Halt::default()))
            .await;
    let report = report.unwrap();
    assert!(report.key.cell.case.is_client_overhead());
    assert_eq!((report.planned_start, report.outcome), (None, AttemptOutcome::Completed));
    assert_eq!(report.traces.len(), 6);
    assert!(report.traces.iter().all(|t| t.is_ok() && t.chunks.len() == 32));
    assert!(report.client_cpu.is_some_and(|cpu| !cpu.is_zero()));
    sim.end().await;
}
