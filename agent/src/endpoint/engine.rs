//! What the engine says of itself, and which of its models is asked for.

use regatta_types::clean::excerpt;
use regatta_types::facts::{EndpointLocation, EngineFacts};
use regatta_types::reading::Reading;
use serde::Deserialize;

use super::discover::DiscoverError;

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
    default_generation_settings: Option<GenerationSettings>,
}

#[derive(Debug, Deserialize)]
struct GenerationSettings {
    /// Of one slot: what a request can use.
    n_ctx: Option<u32>,
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
    /// The `Server` header of the list.
    pub(super) server: Option<String>,
    pub(super) props: Option<Props>,
    /// The version, or why it is not known.
    pub(super) version: Reading<String>,
    pub(super) location: EndpointLocation,
}

/// `owned_by` of the engines that use it for their name.
const OWNERS: [(&str, &str); 5] = [
    ("vllm", "vllm"),
    ("llamacpp", "llama.cpp"),
    ("sglang", "sglang"),
    ("library", "ollama"),
    ("regatta-sim", "regatta-sim"),
];

/// The engine's name from the model list and its `Server` header.
pub(super) fn name(list: &ModelList, server: Option<&str>) -> Reading<String> {
    let owner = list.data.first().and_then(|model| model.owned_by.as_deref());
    if let Some((_, name)) = OWNERS.iter().find(|(known, _)| owner == Some(*known)) {
        return Reading::Known((*name).to_owned());
    }
    if let Some(server) = server.filter(|server| server.starts_with("llama.cpp")) {
        return Reading::Known(excerpt(server, 40));
    }
    Reading::missing(match owner {
        Some(owner) => format!("its models are owned by `{}`", excerpt(owner, 40)),
        None => "it does not name itself".to_owned(),
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
        let quantization =
            props.and_then(|p| p.model_ftype.as_ref()).or(meta.and_then(|m| m.ftype.as_ref()));
        EngineFacts {
            engine: match &self.list {
                Some(list) => name(list, self.server.as_deref()),
                None => Reading::missing("it does not list its models"),
            },
            version: self.version.clone(),
            model: model.to_owned(),
            context_length: match context {
                Some(tokens) => Reading::Known(tokens),
                None => Reading::missing("the engine does not tell"),
            },
            quantization: match quantization {
                Some(kind) => Reading::Known(excerpt(kind, 40)),
                None => Reading::missing("the engine does not tell"),
            },
            fixed_length: None,
            location: self.location,
        }
    }
}
