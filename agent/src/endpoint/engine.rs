//! What the engine says of itself, and which of its models is asked for.

mod settings;

use regatta_types::clean::excerpt;
use regatta_types::facts::{EndpointLocation, EngineFacts, EngineProcess, SocketId};
use regatta_types::reading::Reading;
use serde::Deserialize;

use super::error::DiscoverError;
use super::exposition::Exposition;
use crate::facts::process::Incarnation;

/// The answer of `/v1/models`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ModelList {
    pub(super) data: Vec<ModelEntry>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelEntry {
    id: String,
    owned_by: Option<String>,
    /// vLLM and SGLang.
    max_model_len: Option<u32>,
    /// llama.cpp.
    meta: Option<ModelMeta>,
}

#[derive(Debug, Deserialize)]
struct ModelMeta {
    n_ctx: Option<u32>,
    ftype: Option<String>,
}

/// The answer of llama.cpp's `/props`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Props {
    build_info: Option<String>,
    model_ftype: Option<String>,
    /// Requests it works on at once.
    pub(super) total_slots: Option<u32>,
    default_generation_settings: Option<GenerationSettings>,
}

#[derive(Debug, Deserialize)]
struct GenerationSettings {
    /// Of one slot: what a request can use.
    n_ctx: Option<u32>,
    params: Option<GenerationParams>,
}

#[derive(Debug, Deserialize)]
struct GenerationParams {
    #[serde(rename = "speculative.types")]
    speculative: Option<String>,
}

/// The answer of SGLang's `/get_server_info`: its flags, and more that is not read.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ServerInfo {
    version: Option<String>,
    quantization: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub(super) flags: serde_json::Map<String, serde_json::Value>,
}

/// The answer of `/version` and its like.
#[derive(Debug, Deserialize)]
pub(super) struct VersionAnswer {
    pub(super) version: String,
}

/// Everything that was found out about an engine.
#[derive(Debug)]
pub(super) struct Engine {
    /// `None`: it does not list its models.
    pub(super) list: Option<ModelList>,
    pub(super) name: Reading<String>,
    pub(super) props: Option<Props>,
    pub(super) info: Option<ServerInfo>,
    /// The version, or why it is not known.
    pub(super) version: Reading<String>,
    pub(super) location: EndpointLocation,
    /// The socket that listens there.
    pub(super) socket: Option<SocketId>,
    /// Its metrics as it was asked, or why there are none.
    pub(super) metrics: Result<Exposition, String>,
    /// Its process, where it is known.
    pub(super) listener: Option<Incarnation>,
    /// The flags of that process.
    pub(super) flags: Reading<Vec<String>>,
    pub(super) process: EngineProcess,
}

/// `owned_by` of the engines that use it for their name.
const OWNERS: [(&str, &str); 5] = [
    ("vllm", "vllm"),
    ("llamacpp", "llama.cpp"),
    ("sglang", "sglang"),
    ("library", "ollama"),
    ("regatta-sim", "regatta-sim"),
];

/// The engine's name from the model list, the `Server` header of it, or the names of its metrics.
pub(super) fn name(
    list: Option<&ModelList>,
    server: Option<&str>,
    metrics: Option<&Exposition>,
) -> Reading<String> {
    let owner = list.and_then(|list| list.data.first()?.owned_by.as_deref());
    if let Some((_, name)) = OWNERS.iter().find(|(known, _)| owner == Some(*known)) {
        return Reading::Known((*name).to_owned());
    }
    if let Some(server) = server.filter(|server| server.starts_with("llama.cpp")) {
        return Reading::Known(excerpt(server, 40));
    }
    if let Some(name) = metrics.and_then(Exposition::engine) {
        return Reading::Known(name.to_owned());
    }
    Reading::missing(match (list, owner) {
        (None, _) => "engine does not list its models".to_owned(),
        (Some(_), Some(owner)) => format!("models are owned by `{}`", excerpt(owner, 40)),
        (Some(_), None) => "not reported by the engine".to_owned(),
    })
}

/// A version text as a reading: some builds say that they do not know theirs.
pub(super) fn version(text: &str) -> Reading<String> {
    let text = excerpt(text, 80);
    if text.is_empty() || text.contains("unknown") {
        Reading::missing(format!("the engine says `{text}`"))
    } else {
        Reading::Known(text)
    }
}

impl Props {
    pub(super) fn version(&self) -> Reading<String> {
        match &self.build_info {
            Some(text) => version(text),
            None => Reading::missing("/props has no build_info"),
        }
    }

    /// How it drafts tokens.
    pub(super) fn speculative(&self) -> Option<&str> {
        self.default_generation_settings.as_ref()?.params.as_ref()?.speculative.as_deref()
    }
}

impl ServerInfo {
    pub(super) fn version(&self) -> Reading<String> {
        match &self.version {
            Some(text) => version(text),
            None => Reading::missing("/get_server_info has no version"),
        }
    }
}

impl Engine {
    /// The ids of the models it lists.
    pub(super) fn models(&self) -> impl Iterator<Item = &str> {
        self.list.iter().flat_map(|list| list.data.iter().map(|model| model.id.as_str()))
    }

    /// The model to ask for.
    pub(super) fn choose(&self, wanted: Option<&str>) -> Result<String, DiscoverError> {
        let listed = || self.models().map(|id| excerpt(id, 100)).collect::<Vec<_>>().join(", ");
        match (wanted, self.models().collect::<Vec<_>>().as_slice()) {
            (Some(wanted), _) if self.list.is_none() => Ok(wanted.to_owned()),
            (Some(wanted), models) if models.contains(&wanted) => Ok(wanted.to_owned()),
            (Some(wanted), _) => {
                Err(DiscoverError::UnknownModel { model: excerpt(wanted, 100), listed: listed() })
            }
            (None, [only]) => Ok((*only).to_owned()),
            (None, []) => Err(DiscoverError::NoModel),
            (None, _) => Err(DiscoverError::ManyModels { listed: listed() }),
        }
    }

    /// The facts with this model.
    pub(super) fn facts(&self, model: &str) -> EngineFacts {
        let entry = self.list.iter().flat_map(|list| &list.data).find(|entry| entry.id == model);
        let meta = entry.and_then(|entry| entry.meta.as_ref());
        let props = self.props.as_ref();
        let slot = props
            .and_then(|props| props.default_generation_settings.as_ref())
            .and_then(|settings| settings.n_ctx);
        let context = slot
            .or(entry.and_then(|entry| entry.max_model_len))
            .or(meta.and_then(|meta| meta.n_ctx));
        let started_with = settings::flag(&self.flags, &["--quantization", "-q"]);
        let quantization = props
            .and_then(|p| p.model_ftype.as_deref())
            .or(meta.and_then(|m| m.ftype.as_deref()))
            .or(self.info.as_ref().and_then(|info| info.quantization.as_deref()))
            .or(started_with);
        EngineFacts {
            engine: self.name.clone(),
            version: self.version.clone(),
            model: model.to_owned(),
            context_length: match context {
                Some(tokens) => Reading::Known(tokens),
                None => Reading::missing("not reported by the engine"),
            },
            quantization: match quantization {
                Some(kind) => Reading::Known(excerpt(kind, 40)),
                None => Reading::missing("not reported by the engine"),
            },
            fixed_length: None,
            location: self.location,
            socket: self.socket,
            settings: settings::of(self),
            process: self.process,
        }
    }
}
