//! An endpoint that was found: what is known of it, and what can be asked of it again.

use std::sync::Arc;

use regatta_types::engine::EngineSample;
use regatta_types::facts::EngineFacts;
use regatta_types::reading::Reading;
use regatta_types::time::MonoNs;

use super::engine::Engine;
use super::engine_client::EngineClient;
use super::error::DiscoverError;
use super::stream_connection::{StreamConnection, Target};

/// Why nothing is known of an engine that is not asked.
const NOT_ASKED: &str = "not requested from the engine";
const NO_METRICS: &str = "/metrics has no known metrics";
/// The model of an engine that serves none.
const NO_MODEL: &str = "none";

/// An endpoint and the model that is asked for. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Endpoint {
    target: Arc<Target>,
    engine: Arc<Engine>,
    /// `None`: its engine is not asked again.
    engine_client: Option<Arc<EngineClient>>,
    facts: EngineFacts,
    other_models: Arc<[String]>,
    notices: Vec<String>,
}

impl Endpoint {
    /// An endpoint whose engine is not asked again.
    ///
    /// # Errors
    /// When the model is not to be decided.
    pub(super) fn new(
        target: Arc<Target>,
        engine: Arc<Engine>,
        model: Option<&str>,
    ) -> Result<Self, DiscoverError> {
        let model = engine.choose(model)?;
        let facts = engine.facts(&model);
        let other_models = engine.models().filter(|id| *id != model).map(str::to_owned).collect();
        Ok(Self { target, engine, engine_client: None, facts, other_models, notices: Vec::new() })
    }

    /// The same endpoint with what it was found by, and what the user should know of that.
    pub(super) fn found_by(self, engine_client: EngineClient, notices: Vec<String>) -> Self {
        Self { engine_client: Some(Arc::new(engine_client)), notices, ..self }
    }

    /// The same endpoint with another model.
    ///
    /// # Errors
    /// When the endpoint does not list it.
    pub fn with_model(&self, model: &str) -> Result<Self, DiscoverError> {
        let mut other = Self::new(Arc::clone(&self.target), Arc::clone(&self.engine), Some(model))?;
        other.engine_client.clone_from(&self.engine_client);
        other.notices.clone_from(&self.notices);
        Ok(other)
    }

    /// What is behind it, its model included.
    #[must_use]
    pub fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    /// What is behind it now: asked again, off the measured path. Takes at most about 15 s.
    pub async fn facts_now(&self) -> Reading<EngineFacts> {
        let Some(engine_client) = &self.engine_client else { return Reading::missing(NOT_ASKED) };
        let (address, model) = (&self.target.address, &self.facts.model);
        let listing = match engine_client.models(address).await {
            Ok(listing) => Some(listing),
            // As it was when it was found.
            Err(_) if self.engine.list.is_none() => None,
            Err(error) => return Reading::missing(error.to_string()),
        };
        let now =
            engine_client.engine(address, listing, self.facts.location, Some(&self.engine)).await;
        // Without its model it is another engine: what the port serves now says which.
        let is_served = now.list.is_none() || now.models().any(|id| id == model);
        let served = if is_served { model } else { now.models().next().unwrap_or(NO_MODEL) };
        let fixed_length = self.facts.fixed_length;
        Reading::Known(EngineFacts { fixed_length, ..now.facts(served) })
    }

    /// The engine's own metrics as they were before anything was sent to it, or why there are none.
    #[must_use]
    pub fn metrics_before(&self) -> Reading<EngineSample> {
        match &self.engine.metrics {
            Ok(text) => match text.sample(MonoNs::now()) {
                Some(sample) => Reading::Known(sample),
                None => Reading::missing(NO_METRICS),
            },
            Err(why) => Reading::missing(why.clone()),
        }
    }

    /// The engine's own metrics now, off the measured path. Takes at most about a second.
    ///
    /// # Errors
    /// A sentence: why there are none.
    pub async fn metrics_now(&self) -> Result<EngineSample, String> {
        let engine_client = self.engine_client.as_ref().ok_or(NOT_ASKED)?;
        // Asking again would not change that it has none.
        if let Err(why) = &self.engine.metrics {
            return Err(why.clone());
        }
        let text = engine_client.metrics(&self.target.address).await?;
        text.sample(MonoNs::now()).ok_or_else(|| NO_METRICS.to_owned())
    }

    /// The same endpoint, whose engine is measured and not asked.
    #[must_use]
    pub fn unasked(self) -> Self {
        Self { engine_client: None, ..self }
    }

    /// What the user should know of how it was found; sentences.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// A stream's connection, not opened yet.
    #[must_use]
    pub fn connection(&self) -> StreamConnection {
        StreamConnection::new(Arc::clone(&self.target))
    }

    /// Records whether the engine can end answers at a fixed length.
    pub fn set_fixed_length(&mut self, fixed_length: Option<bool>) {
        self.facts.fixed_length = fixed_length;
    }

    pub(super) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    pub(super) fn other_models(&self) -> Arc<[String]> {
        Arc::clone(&self.other_models)
    }
}
