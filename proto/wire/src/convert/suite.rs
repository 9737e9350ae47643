//! suite.proto.

use std::time::Duration;

use regatta_types::suite::{Case, Message, Role, StopRule, Suite, Timeouts};

use crate::error::{ConvertError, Problem};
use crate::field::{
    Checked, Numbered, cut, encoded, list, nanos, numbered, required, slug, text, within,
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
        })
    }
}

impl From<&Suite> for v1::Suite {
    fn from(suite: &Suite) -> Self {
        Self {
            name: suite.name.to_string(),
            description: cut(&suite.description, LONG_TEXT_MAX),
            cases: encoded(&suite.cases),
        }
    }
}

impl TryFrom<v1::Case> for Case {
    type Error = ConvertError;
    fn try_from(m: v1::Case) -> Checked<Self> {
        let len = m.title.len() + m.messages.iter().map(|m| m.content.len()).sum::<usize>();
        if len > CASE_TEXT_MAX {
            let problem = Problem::TooLong { len, max: CASE_TEXT_MAX };
            return Err(ConvertError::new("messages", problem));
        }
        Ok(Self {
            id: slug("id", m.id)?,
            title: m.title,
            messages: list("messages", m.messages, usize::MAX)?,
            max_tokens: within("max_tokens", m.max_tokens, 1.., "at least 1")?,
            temperature: within("temperature", m.temperature, 0.0..=2.0, "0 to 2")?,
            seed: m.seed,
            stop: required("stop", m.stop)?,
            repetitions: within("repetitions", m.repetitions, 1..=1_000, "1 to 1,000")?,
            warmup: m.warmup,
            concurrency: within("concurrency", m.concurrency, 1..=4_096, "1 to 4,096")?,
            timeouts: required("timeouts", m.timeouts)?,
        })
    }
}

impl From<&Case> for v1::Case {
    fn from(case: &Case) -> Self {
        Self {
            id: case.id.to_string(),
            title: case.title.clone(),
            messages: encoded(&case.messages),
            max_tokens: case.max_tokens,
            temperature: case.temperature,
            seed: case.seed,
            stop: Some((&case.stop).into()),
            repetitions: case.repetitions,
            warmup: case.warmup,
            concurrency: case.concurrency,
            timeouts: Some((&case.timeouts).into()),
        }
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
