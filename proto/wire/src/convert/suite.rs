//! suite.proto.

use std::time::Duration;

use regatta_types::suite::{
    Arrivals, Case, Length, Load, Message, Prompt, Ramp, Role, Slo, StopRule, Suite, Sweep,
    TextPrompt, Timeouts,
};
use regatta_types::units::Bytes;

use crate::error::{At, ConvertError, Problem};
use crate::field::{
    Checked, Numbered, cut, encoded, list, nanos, numbered, optional, required, slug, text, within,
};
use crate::limits::{CASE_TEXT_MAX, CASES_MAX, LONG_TEXT_MAX};
use crate::v1;

numbered!(Role = v1::Role { System, User, Assistant });

impl TryFrom<v1::Suite> for Suite {
    type Error = ConvertError;
    fn try_from(m: v1::Suite) -> Checked<Self> {
        Ok(Self {
            name: slug("name", m.name)?,
            description: text("description", m.description, LONG_TEXT_MAX)?,
            cases: list("cases", m.cases, CASES_MAX)?,
            active_weights: (m.active_weights_bytes > 0).then_some(Bytes(m.active_weights_bytes)),
        })
    }
}

impl From<&Suite> for v1::Suite {
    fn from(suite: &Suite) -> Self {
        Self {
            name: suite.name.to_string(),
            description: cut(&suite.description, LONG_TEXT_MAX),
            cases: encoded(&suite.cases),
            active_weights_bytes: suite.active_weights.map_or(0, |bytes| bytes.0),
        }
    }
}

impl TryFrom<v1::Case> for Case {
    type Error = ConvertError;
    fn try_from(m: v1::Case) -> Checked<Self> {
        let len = m.title.len()
            + m.messages.iter().map(|m| m.content.len()).sum::<usize>()
            + m.turns.iter().map(String::len).sum::<usize>();
        if len > CASE_TEXT_MAX {
            let problem = Problem::TooLong { len, max: CASE_TEXT_MAX };
            return Err(ConvertError::new("messages", problem));
        }
        let max_tokens = within("max_tokens", m.max_tokens, 1.., "at least 1")?;
        let min_max_tokens = match m.min_max_tokens {
            0 => max_tokens,
            n => within("min_max_tokens", n, ..=max_tokens, "at most max_tokens")?,
        };
        Ok(Self {
            id: slug("id", m.id)?,
            title: m.title,
            prompt: prompt(m.messages, m.text, m.turns)?,
            max_tokens,
            min_max_tokens,
            length: if m.fixed_length { Length::Fixed } else { Length::Natural },
            temperature: within("temperature", m.temperature, 0.0..=2.0, "0 to 2")?,
            seed: m.seed,
            stop: required("stop", m.stop)?,
            repetitions: within("repetitions", m.repetitions, 1..=1_000, "1 to 1,000")?,
            warmup: m.warmup,
            load: match m.open {
                Some(open) => load(&open).at("open")?,
                None => Load::Closed {
                    streams: within("concurrency", m.concurrency, 1..=4_096, "1 to 4,096")?,
                    ramp: if m.ramp { Ramp::Service } else { Ramp::None },
                },
            },
            sweep: optional("sweep", m.sweep)?,
            solo_of: (!m.solo_of.is_empty()).then(|| slug("solo_of", m.solo_of)).transpose()?,
            slo: m.slo.as_ref().map_or_else(Slo::default, slo),
            timeouts: required("timeouts", m.timeouts)?,
        })
    }
}

impl From<&Case> for v1::Case {
    fn from(case: &Case) -> Self {
        let (messages, text, turns) = match &case.prompt {
            Prompt::Messages(messages) => (encoded(messages), None, Vec::new()),
            Prompt::Text(text) => (Vec::new(), Some(text.into()), Vec::new()),
            Prompt::Conversation { opening, turns } => (encoded(opening), None, turns.clone()),
        };
        let (concurrency, ramp, open) = match &case.load {
            Load::Closed { streams, ramp } => (*streams, *ramp == Ramp::Service, None),
            Load::Open { rate, arrivals, max_in_flight } => {
                let (rate, max_in_flight) = (*rate, *max_in_flight);
                let arrivals = Some(v1::open_loop::Arrivals::from(arrivals));
                (0, false, Some(v1::OpenLoop { rate, arrivals, max_in_flight }))
            }
        };
        Self {
            id: case.id.to_string(),
            title: case.title.clone(),
            messages,
            text,
            turns,
            max_tokens: case.max_tokens,
            min_max_tokens: if case.min_max_tokens == case.max_tokens {
                0
            } else {
                case.min_max_tokens
            },
            fixed_length: case.length == Length::Fixed,
            temperature: case.temperature,
            seed: case.seed,
            stop: Some((&case.stop).into()),
            repetitions: case.repetitions,
            warmup: case.warmup,
            concurrency,
            ramp,
            open,
            sweep: case.sweep.as_ref().map(Into::into),
            solo_of: case.solo_of.as_ref().map(ToString::to_string).unwrap_or_default(),
            slo: case.slo.is_set().then(|| v1::Slo {
                ttft_ns: case.slo.ttft.map(nanos),
                tpot_ns: case.slo.tpot.map(nanos),
                e2e_ns: case.slo.e2e.map(nanos),
            }),
            timeouts: Some((&case.timeouts).into()),
        }
    }
}

fn prompt(
    messages: Vec<v1::Message>,
    text: Option<v1::TextPrompt>,
    turns: Vec<String>,
) -> Checked<Prompt> {
    let messages = list("messages", messages, usize::MAX)?;
    match (optional("text", text)?, turns.len()) {
        (Some(text), 0) if messages.is_empty() => Ok(Prompt::Text(text)),
        (None, 0) => Ok(Prompt::Messages(messages)),
        (None, 2..) => Ok(Prompt::Conversation { opening: messages, turns }),
        (Some(_), _) => Err(ConvertError::new("text", Problem::OutOfRange("the only prompt"))),
        (None, 1) => Err(ConvertError::new("turns", Problem::OutOfRange("none, or at least two"))),
    }
}

fn load(m: &v1::OpenLoop) -> Checked<Load> {
    use v1::open_loop::Arrivals as Sent;
    let above = |field, value: f64, max: f64, range| {
        if value > 0.0 && value <= max {
            Ok(value)
        } else {
            Err(ConvertError::new(field, Problem::OutOfRange(range)))
        }
    };
    let arrivals = match m.arrivals {
        Some(Sent::Constant(_)) => Arrivals::Constant,
        Some(Sent::Poisson(_)) => Arrivals::Poisson,
        Some(Sent::GammaShape(shape)) => {
            let shape = above("gamma_shape", shape, 1_000.0, "over 0, at most 1,000")?;
            Arrivals::Gamma { shape }
        }
        None => return Err(ConvertError::new("arrivals", Problem::Missing)),
    };
    Ok(Load::Open {
        rate: above("rate", m.rate, 10_000.0, "over 0, at most 10,000")?,
        arrivals,
        max_in_flight: within("max_in_flight", m.max_in_flight, 1..=4_096, "1 to 4,096")?,
    })
}

impl From<&Arrivals> for v1::open_loop::Arrivals {
    fn from(arrivals: &Arrivals) -> Self {
        match *arrivals {
            Arrivals::Constant => Self::Constant(v1::Constant {}),
            Arrivals::Poisson => Self::Poisson(v1::Poisson {}),
            Arrivals::Gamma { shape } => Self::GammaShape(shape),
        }
    }
}

fn slo(m: &v1::Slo) -> Slo {
    Slo {
        ttft: m.ttft_ns.map(Duration::from_nanos),
        tpot: m.tpot_ns.map(Duration::from_nanos),
        e2e: m.e2e_ns.map(Duration::from_nanos),
    }
}

impl TryFrom<v1::TextPrompt> for TextPrompt {
    type Error = ConvertError;
    fn try_from(m: v1::TextPrompt) -> Checked<Self> {
        let tokens = within("tokens", m.tokens, 1.., "at least 1")?;
        Ok(Self { tokens, shared: within("shared", m.shared, ..tokens, "less than tokens")? })
    }
}

impl From<&TextPrompt> for v1::TextPrompt {
    fn from(text: &TextPrompt) -> Self {
        Self { tokens: text.tokens, shared: text.shared }
    }
}

impl TryFrom<v1::Sweep> for Sweep {
    type Error = ConvertError;
    fn try_from(m: v1::Sweep) -> Checked<Self> {
        Ok(Self { of: slug("of", m.of)?, level: m.level })
    }
}

impl From<&Sweep> for v1::Sweep {
    fn from(sweep: &Sweep) -> Self {
        Self { of: sweep.of.to_string(), level: sweep.level }
    }
}

impl TryFrom<v1::Message> for Message {
    type Error = ConvertError;
    fn try_from(m: v1::Message) -> Checked<Self> {
        Ok(Self { role: Role::read("role", m.role)?, content: m.content })
    }
}

impl From<&Message> for v1::Message {
    fn from(message: &Message) -> Self {
        Self { role: message.role.number(), content: message.content.clone() }
    }
}

impl TryFrom<v1::StopRule> for StopRule {
    type Error = ConvertError;
    fn try_from(m: v1::StopRule) -> Checked<Self> {
        if m.requests.is_none() && m.duration_ns.is_none() {
            return Err(ConvertError::new("requests", Problem::Missing));
        }
        let requests = m.requests.map(|n| within("requests", n, 1.., "at least 1")).transpose()?;
        Ok(Self { requests, duration: m.duration_ns.map(Duration::from_nanos) })
    }
}

impl From<&StopRule> for v1::StopRule {
    fn from(stop: &StopRule) -> Self {
        Self { requests: stop.requests, duration_ns: stop.duration.map(nanos) }
    }
}

impl TryFrom<v1::Timeouts> for Timeouts {
    type Error = ConvertError;
    fn try_from(m: v1::Timeouts) -> Checked<Self> {
        Ok(Self {
            connect: Duration::from_nanos(m.connect_ns),
            first_token: Duration::from_nanos(m.first_token_ns),
            chunk: Duration::from_nanos(m.chunk_ns),
            request: Duration::from_nanos(m.request_ns),
        })
    }
}

impl From<&Timeouts> for v1::Timeouts {
    fn from(timeouts: &Timeouts) -> Self {
        Self {
            connect_ns: nanos(timeouts.connect),
            first_token_ns: nanos(timeouts.first_token),
            chunk_ns: nanos(timeouts.chunk),
            request_ns: nanos(timeouts.request),
        }
    }
}
