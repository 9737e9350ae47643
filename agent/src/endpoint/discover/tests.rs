use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use regatta_types::facts::EngineFacts;
use regatta_types::reading::Reading;
use regatta_types::suite::{Message, Role, Timeouts};
use regatta_types::trace::{Outcome, Phase, RequestTrace};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::super::testing::{Server, Step, answer, attempt_key, plain, within};
use super::super::{Ask, ConversationTurn, Fields, Prepared, Sending, Stop, failed};
use super::*;
use crate::facts::process;

/// A recorded answer of a real engine.
fn recorded(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/wire");
    std::fs::read(folder.join(format!("{name}.http"))).unwrap()
}

fn models(ids: &[&str]) -> Vec<u8> {
    let data: Vec<String> = ids.iter().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect();
    let body = format!(r#"{{"object":"list","data":[{}]}}"#, data.join(","));
    plain("200 OK", "application/json", &body)
}

/// A server that answers a few paths, and chat completions with a stream.
async fn engine(answers: &[(&'static str, Vec<u8>)]) -> Server {
    let answers = answers.to_vec();
    Server::start(move |_, path| {
        let known = answers.iter().find(|(known, _)| *known == path);
        let bytes = match known {
            Some((_, bytes)) => bytes.clone(),
            None if path == "/v1/chat/completions" => answer(3),
            None => plain("404 Not Found", "text/plain", "nothing here"),
        };
        vec![Step::Write(bytes)]
    })
    .await
}

fn at(server: &Server) -> EndpointOptions {
    EndpointOptions { url: Some(server.address.to_string()), ..EndpointOptions::default() }
}

async fn found(options: &EndpointOptions) -> Endpoint {
    within("discovery", discover(options)).await.unwrap()
}

async fn refused(options: &EndpointOptions) -> String {
    within("discovery", discover(options)).await.unwrap_err().to_string()
}

#[tokio::test]
async fn vllm_is_recognized() {
    let server = engine(&[
        ("/v1/models", recorded("vllm/models")),
        ("/version", recorded("vllm/version")),
        ("/metrics", recorded("vllm/metrics")),
    ])
    .await;
    let facts = found(&at(&server)).await.facts().clone();
    assert_eq!(facts.engine, Reading::Known("vllm".to_owned()));
    assert_eq!(facts.version, Reading::Known("0.32.0".to_owned()));
    assert_eq!(facts.model, "tiny-qwen3");
    assert_eq!(facts.context_length, Reading::Known(4096));
    assert_eq!(facts.quantization, Reading::missing("not reported by the engine"));
    assert_eq!(facts.location, EndpointLocation::Loopback { port: server.address.port() });
    assert_eq!(facts.socket, process::socket(server.address.port()));
    assert!(facts.socket.is_some());
    let settings = facts.settings;
    assert_eq!(settings.kv_dtype, Reading::Known("auto".to_owned()));
    assert_eq!(settings.prefix_cache, Reading::Known(true));
    // The server is this test itself, started without a flag of vLLM's.
    assert!(settings.flags.known().is_some(), "{:?}", settings.flags);
    assert_eq!(settings.speculative, Reading::Known("none".to_owned()));
    assert_eq!(settings.slots, Reading::missing("not reported by the engine"));
}

#[tokio::test]
async fn sglang_reports_its_own_flags() {
    let list = r#"{"data":[{"id":"m","owned_by":"sglang","max_model_len":8192}]}"#;
    let info = r#"{"version":"0.5.9","quantization":"fp8","kv_cache_dtype":"fp8_e4m3","tp_size":1,
        "disable_radix_cache":true,"speculative_algorithm":null,"max_running_requests":48,
        "api_key":"sk-canary","internal_states":[{}]}"#;
    let server = engine(&[
        ("/v1/models", plain("200 OK", "application/json", list)),
        ("/get_server_info", plain("200 OK", "application/json", info)),
    ])
    .await;
    let endpoint = found(&at(&server)).await;
    let facts = endpoint.facts();
    assert_eq!(facts.engine, Reading::Known("sglang".to_owned()));
    assert_eq!(facts.version, Reading::Known("0.5.9".to_owned()));
    assert_eq!(facts.quantization, Reading::Known("fp8".to_owned()));
    assert_eq!(facts.settings.kv_dtype, Reading::Known("fp8_e4m3".to_owned()));
    assert_eq!(facts.settings.prefix_cache, Reading::Known(false));
    assert_eq!(facts.settings.slots, Reading::Known(48));
    assert_eq!(facts.settings.speculative, Reading::Known("none".to_owned()));
    assert!(!format!("{facts:?}").contains("canary"));
}

#[tokio::test]
async fn an_engine_change_is_detected() {
    let version = Arc::new(AtomicU64::new(1));
    let now = Arc::clone(&version);
    let server = Server::start(move |_, path| {
        let n = now.load(Ordering::SeqCst);
        vec![Step::Write(match path {
            "/v1/models" if n == 3 => models(&["other"]),
            "/v1/models" if n == 4 => models(&[]),
            "/v1/models" => recorded("vllm/models"),
            "/version" => {
                plain("200 OK", "application/json", &format!(r#"{{"version":"0.{n}.0"}}"#))
            }
            _ => plain("404 Not Found", "text/plain", "nothing here"),
        })]
    })
    .await;
    let endpoint = found(&at(&server)).await;
    let told = |facts: Reading<EngineFacts>| match facts {
        Reading::Known(facts) => (facts.model, facts.version.known().cloned().unwrap()),
        Reading::NotAvailable { not_available } => panic!("{not_available}"),
    };
    let seen = |model: &str, version: &str| (model.to_owned(), version.to_owned());
    assert_eq!(told(within("again", endpoint.facts_now()).await), seen("tiny-qwen3", "0.1.0"));
    version.store(2, Ordering::SeqCst);
    assert_eq!(told(within("again", endpoint.facts_now()).await), seen("tiny-qwen3", "0.2.0"));
    // That the model is no longer listed once was a missing reading, which changes nothing.
    version.store(3, Ordering::SeqCst);
    assert_eq!(told(within("again", endpoint.facts_now()).await), seen("other", "0.3.0"));
    version.store(4, Ordering::SeqCst);
    assert_eq!(told(within("again", endpoint.facts_now()).await), seen("none", "0.4.0"));
    assert_eq!(endpoint.metrics_now().await, Err("/metrics: status 404".to_owned()));
}

#[tokio::test]
async fn llama_cpp_is_recognized_and_an_unknown_build_is_not_a_version() {
    let server = engine(&[
        ("/v1/models", recorded("llamacpp/models")),
        ("/props", recorded("llamacpp/props")),
    ])
    .await;
    let facts = found(&at(&server)).await.facts().clone();
    assert_eq!(facts.engine, Reading::Known("llama.cpp".to_owned()));
    assert_eq!(facts.version, Reading::missing("the engine says `b0-unknown`"));
    assert_eq!(facts.context_length, Reading::Known(4096));
    assert_eq!(facts.quantization, Reading::Known("F16".to_owned()));
    assert_eq!(facts.settings.slots, Reading::Known(4));
}

#[tokio::test]
async fn an_unidentified_engine_can_be_measured() {
    let server = engine(&[("/v1/models", models(&["m"]))]).await;
    let facts = found(&at(&server)).await.facts().clone();
    assert_eq!(facts.model, "m");
    assert_eq!(facts.engine, Reading::missing("not reported by the engine"));
    assert_eq!(facts.version, Reading::missing("/version: status 404"));
}

#[tokio::test]
async fn one_of_several_models_must_be_selected_and_served() {
    let server = engine(&[("/v1/models", models(&["a", "b"]))]).await;
    let none = at(&server);
    assert_eq!(
        refused(&none).await,
        "the endpoint serves several models: a, b. Choose one with --model"
    );
    let wrong = EndpointOptions { model: Some("c".to_owned()), ..at(&server) };
    assert_eq!(refused(&wrong).await, "the endpoint does not serve `c`. Available: a, b");
    let right = EndpointOptions { model: Some("b".to_owned()), ..at(&server) };
    let endpoint = found(&right).await;
    assert_eq!(endpoint.facts().model, "b");
    assert_eq!(endpoint.with_model("a").unwrap().facts().model, "a");
    assert!(endpoint.with_model("c").is_err());
}

#[tokio::test]
async fn a_server_without_a_model_list_uses_the_model_of_the_user() {
    let broken = plain("500 Internal Server Error", "text/plain", "no cache");
    let server = engine(&[("/v1/models", broken)]).await;
    assert!(refused(&at(&server)).await.contains("status 500: no cache"));
    let named = EndpointOptions { model: Some("m".to_owned()), ..at(&server) };
    let endpoint = found(&named).await;
    assert_eq!(endpoint.facts().model, "m");
    assert_eq!(endpoint.notices().len(), 1);
}

#[tokio::test]
async fn refusals_have_a_hint() {
    let redirect = plain("307 Temporary Redirect\r\nLocation: /v1/models", "text/plain", "");
    for (bytes, part) in [
        (recorded("vllm/wrong-api-key"), "status 401: Unauthorized. Pass the API key"),
        (plain("503 Service Unavailable", "text/plain", "loading"), "Try again later"),
        (plain("200 OK", "text/html", "<html>"), "is not an OpenAI-compatible endpoint"),
        (models(&[]), "lists no model"),
        (redirect, "status 307"),
    ] {
        let server = engine(&[("/v1/models", bytes)]).await;
        let error = refused(&at(&server)).await;
        assert!(error.contains(part), "{error}");
    }
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let options = EndpointOptions { url: Some(nobody.to_string()), ..EndpointOptions::default() };
    let error = refused(&options).await;
    assert_eq!(
        error,
        format!(
            "no answer from http://{nobody}/v1/models (Connection refused (os error 111)). Is the engine running?"
        )
    );
}

#[tokio::test]
async fn an_endless_response_is_truncated() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let server = Server::always(vec![Step::Write(head), Step::Flood(vec![b' '; 8192])]).await;
    assert!(refused(&at(&server)).await.contains("exceeds 1 MiB"));
}

#[tokio::test]
async fn the_first_default_port_that_answers_is_used_and_the_others_are_a_notice() {
    let engine_client = EngineClient::new(tls::config(None).unwrap(), None).unwrap();
    let silent = engine(&[]).await;
    let first = engine(&[("/v1/models", models(&["a"]))]).await;
    let second = engine(&[("/v1/models", models(&["b"]))]).await;
    let ports = [&silent, &first, &second].map(|server| server.address.port());
    let mut notices = Vec::new();
    let (address, _) =
        within("search", search(&engine_client, &ports, &mut notices)).await.unwrap();
    assert_eq!(address.port, ports[1]);
    assert_eq!(
        notices,
        [format!(
            "measuring port {}, but engines also answer on port {}. Choose one with --endpoint",
            ports[1], ports[2]
        )]
    );
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let error =
        search(&engine_client, &[nobody.port()], &mut notices).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, DiscoverError::NoEngine));
}

#[test]
fn only_own_addresses_are_this_host() {
    let address = Address::loopback(8000);
    let at = |ip: [u8; 4]| location(&address, &[SocketAddr::from((ip, 8000))]);
    assert_eq!(at([127, 0, 0, 1]), EndpointLocation::Loopback { port: 8000 });
    assert_eq!(at([0, 0, 0, 0]), EndpointLocation::Loopback { port: 8000 });
    // TEST-NET-1: nobody's address.
    assert_eq!(at([192, 0, 2, 1]), EndpointLocation::Remote);
}

async fn request(endpoint: &Endpoint) -> RequestTrace {
    let messages = [Message { role: Role::User, content: "Hello".to_owned() }];
    let ask = Ask {
        messages: &messages,
        max_tokens: 16,
        temperature: 0.0,
        seed: None,
        timeouts: Timeouts::default(),
        keep_text: false,
    };
    let prepared = Prepared::of_ask(endpoint, &attempt_key(), &ask, Fields::default()).unwrap();
    let mut connection = endpoint.connection();
    let (_stopper, mut stop) = Stop::new();
    let trace = RequestTrace::new(0, 0, Phase::Measured);
    if let Err(failure) = connection.ensure_connected(prepared.connect_limit()).await {
        return failed(trace, failure);
    }
    let chunks = AtomicU64::new(0);
    let sending = Sending {
        built: prepared.build(ConversationTurn::first(0)),
        trace,
        stop: &mut stop,
        chunks: &chunks,
    };
    connection.send(sending).await
}

#[tokio::test]
async fn the_key_is_sent_with_every_request_and_never_shown() {
    let server = engine(&[("/v1/models", models(&["m"]))]).await;
    let options = EndpointOptions { api_key: Some(SecretString::from("sk-canary")), ..at(&server) };
    let endpoint = found(&options).await;
    assert!(within("request", request(&endpoint)).await.is_ok());
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|r| r.head.contains("authorization: Bearer sk-canary\r\n")));
    let shown = format!("{options:?} {endpoint:?} {:?}", endpoint.target().authorization);
    assert!(!shown.contains("canary"), "{shown}");
}

/// A TLS front for a plain server, with a self-signed certificate.
async fn secured(plain: SocketAddr) -> (SocketAddr, tempfile::NamedTempFile, JoinSet<()>) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), made.cert.pem()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                if let (Ok(mut outer), Ok(mut inner)) =
                    (acceptor.accept(stream).await, TcpStream::connect(plain).await)
                {
                    let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
                }
            });
        }
    });
    (address, file, tasks)
}

#[tokio::test]
async fn https_requires_a_trusted_certificate() {
    let server = engine(&[("/v1/models", models(&["m"]))]).await;
    let (address, ca_file, _tasks) = secured(server.address).await;
    let trusting = EndpointOptions {
        url: Some(format!("https://localhost:{}", address.port())),
        ca_file: Some(ca_file.path().to_owned()),
        ..EndpointOptions::default()
    };
    let endpoint = found(&trusting).await;
    let trace = within("request", request(&endpoint)).await;
    assert_eq!(trace.outcome, Outcome::Ok);
    assert_eq!(trace.chunks.len(), 3);
    let (sent, header) = (trace.sent.unwrap(), trace.header.unwrap());
    assert!(sent.before <= sent.after && sent.after <= header && Some(header) <= trace.t_first());

    let doubting = EndpointOptions { ca_file: None, ..trusting };
    let error = refused(&doubting).await;
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_ca_file_without_certificates_or_a_missing_one_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let options = EndpointOptions {
        url: Some("https://localhost:1".to_owned()),
        ca_file: Some(file.path().to_owned()),
        ..EndpointOptions::default()
    };
    assert!(refused(&options).await.ends_with("contains no PEM certificate"));

    let gone = file.path().with_extension("pem");
    let error = refused(&EndpointOptions { ca_file: Some(gone.clone()), ..options }).await;
    assert!(error.starts_with(&format!("cannot read certificates from {}: ", gone.display())));
    assert!(error.contains("No such file"), "the cause stands in the text itself: {error}");
}
