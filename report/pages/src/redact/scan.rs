//! What in a text is an address, by its shape.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use regex::Regex;

/// What a name is. The first four stand in fields of their own; [`Scan`] finds the others in texts, by their shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The id of a machine's boot.
    Boot,
    /// What the names of hosts end with.
    Domain,
    /// The UUID of a GPU.
    Gpu,
    /// The id of a machine.
    Machine,
    /// `http://...`, with all that belongs to it.
    Url,
    /// An address of the network, of its hardware, or of a person.
    Address,
    /// A path below a home folder.
    Path,
    /// A UUID that is no known GPU's.
    Uuid,
}

impl Kind {
    /// What substitutes begin with.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Domain => "domain",
            Self::Gpu => "gpu",
            Self::Machine => "machine",
            Self::Url => "url",
            Self::Address => "address",
            Self::Path => "path",
            Self::Uuid => "uuid",
        }
    }
}

/// In the order in which they are tried at one place. The last one takes any word: whether an
/// address of the network is in it, the standard library knows.
const SHAPES: &str = r#"(?x)
    (?<url> [A-Za-z][A-Za-z0-9+.-]*://[^\s"'`<>|]+ )
  | (?<path> (?: /home/ | /Users/ | /root/ | /var/home/ | ~[A-Za-z0-9_.-]*/ | [A-Za-z]:\\Users\\ )
        [^\s"'`<>|,;:()\[\]{}]+ )
  | (?<uuid> \b (?: GPU- | MIG- )? [0-9A-Fa-f]{8} (?: -[0-9A-Fa-f]{4} ){3} - [0-9A-Fa-f]{12} \b )
  | (?<address> [^\s"'`<>|,;:=()\[\]{}@]+ @ [A-Za-z0-9.-]+
        | \b [0-9A-Fa-f]{2} (?: : [0-9A-Fa-f]{2} ){5} \b )
  | (?<word> [0-9A-Za-z.:]+ )
"#;

/// Finds addresses.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    shapes: Regex,
}

impl Scan {
    pub(super) fn new() -> Self {
        Self { shapes: Regex::new(SHAPES).expect("the shapes are well formed") }
    }

    /// The addresses of a text, from its beginning on. This machine's own (loopback) are none.
    pub(super) fn find(&self, text: &str) -> Vec<(Range<usize>, Kind)> {
        let mut found = Vec::new();
        for shapes in self.shapes.captures_iter(text) {
            let named = [Kind::Url, Kind::Path, Kind::Uuid, Kind::Address]
                .into_iter()
                .find_map(|kind| Some((shapes.name(kind.name())?, kind)));
            if let Some((at, kind)) = named {
                let end = at.as_str().trim_end_matches(['.', ',', ';', ':', '!', ')', ']', '}']);
                found.push((at.start()..at.start() + end.len(), kind));
            } else if let Some(word) = shapes.name("word") {
                let parts = addresses(word.as_str()).into_iter();
                let moved = |part: Range<usize>| word.start() + part.start..word.start() + part.end;
                found.extend(parts.map(|part| (moved(part), Kind::Address)));
            }
        }
        found
    }
}

/// The addresses of the network in a word such as `host:10.0.0.5:8000` or `fe80::1:`.
fn addresses(word: &str) -> Vec<Range<usize>> {
    let end = word.trim_end_matches(['.', ':']).len();
    let starts = || std::iter::once(0).chain(word.match_indices(':').map(|(at, _)| at + 1));
    // A whole address of the sixth version first, then what stands between colons.
    if let Some((start, address)) = starts()
        .filter(|start| *start < end)
        .find_map(|start| Some((start, word[start..end].parse::<IpAddr>().ok()?)))
    {
        return Some(start..end).filter(|_| !is_own(address)).into_iter().collect();
    }
    let mut found = Vec::new();
    for start in starts().filter(|start| *start < end) {
        let part = word[start..end].split(':').next().unwrap_or_default();
        let part = part.trim_end_matches('.');
        if part.parse::<Ipv4Addr>().is_ok_and(|address| !is_own(address.into())) {
            found.push(start..start + part.len());
        }
    }
    found
}

fn is_own(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        Scan::new().find(text).into_iter().map(|(range, _)| &text[range]).collect()
    }

    #[test]
    fn addresses_are_found_in_any_context() {
        let text = "connect to 10.0.0.5:8000 (host=192.168.1.7) failed: fe80::1: [2001:db8::2]:80, \
            see http://user:pw@x.example/v1?a=b). ops@lab.example 00:1b:44:11:3a:b7 at addr:10.1.2.3.";
        assert_eq!(
            found(text),
            [
                "10.0.0.5",
                "192.168.1.7",
                "fe80::1",
                "2001:db8::2",
                "http://user:pw@x.example/v1?a=b",
                "ops@lab.example",
                "00:1b:44:11:3a:b7",
                "10.1.2.3"
            ]
        );
    }

    #[test]
    fn homes_and_uuids_are_found() {
        let text =
            "--model=/home/bob/m.gguf '~/x' GPU-5e6a77a0-0000-4000-8000-0000000000aa /usr/lib/x";
        let uuid = "GPU-5e6a77a0-0000-4000-8000-0000000000aa";
        assert_eq!(found(text), ["/home/bob/m.gguf", "~/x", uuid]);
    }

    #[test]
    fn similar_text_is_not_an_address() {
        let text = "127.0.0.1:8000 ::1 0.0.0.0 580.126.09 00000000:01:00.0 12:34:56 std::io b6123 \
            1.2.3 8000 v0.15.1 Qwen/Qwen3-Coder /v1/models sha256:ab";
        assert_eq!(found(text), Vec::<&str>::new());
    }
}
