//! A short run of the fuzz targets without cargo-fuzz: recorded streams, changed at random but the
//! same in every run. `cargo fuzz run recorder` (in `fuzz/`) looks further.

use std::path::PathBuf;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

#[path = "../../fuzz/targets.rs"]
mod targets;

/// Inputs of each target: some seconds without optimization.
const INPUTS: usize = 50_000;
/// Longest input, bytes.
const LONGEST: usize = 3000;
/// What streams are made of.
const WORDS: [&str; 24] = [
    "data: ",
    "data:",
    "\n\n",
    "\n",
    "\r\n",
    "\r",
    "[DONE]",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "\\",
    "null",
    "0",
    "18446744073709551616",
    "-1",
    "\u{1f600}",
    "\u{feff}",
    "\"error\":",
    "\"usage\":",
    "\"finish_reason\":\"stop\"",
];

/// The bodies of recorded streams, chunk framing and all: it is noise like any other.
fn seeds() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/wire");
    let mut seeds = Vec::new();
    for engine in ["llamacpp", "vllm"] {
        for entry in std::fs::read_dir(folder.join(engine)).expect("the recordings") {
            let raw = std::fs::read(entry.expect("an entry").path()).expect("a recording");
            let Some(head) = raw.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
            seeds.push(raw[head + 4..].to_vec());
        }
    }
    assert!(seeds.len() > 60, "{} recordings", seeds.len());
    // What a folder lists comes in any order.
    seeds.sort();
    seeds
}

fn range(random: &mut SmallRng, length: usize) -> std::ops::Range<usize> {
    let start = random.random_range(0..=length);
    start..(start + random.random_range(0..=64)).min(length)
}

/// A stretch of a recording, changed in a few places, behind random cuts.
fn input(random: &mut SmallRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let seed = seeds.choose(random).expect("a recording");
    let start = if random.random_bool(0.5) { 0 } else { random.random_range(0..=seed.len()) };
    let mut body = seed[start..(start + LONGEST).min(seed.len())].to_vec();
    for _ in 0..random.random_range(0..6) {
        let at = range(random, body.len());
        match random.random_range(0..5) {
            0 => drop(body.drain(at)),
            1 => {
                let again = body[at.clone()].to_vec();
                body.splice(at.start..at.start, again);
            }
            2 => {
                let word = WORDS.choose(random).expect("a word");
                body.splice(at.start..at.start, word.bytes());
            }
            3 => {
                let other = seeds.choose(random).expect("a recording");
                let piece = other[range(random, other.len())].to_vec();
                body.splice(at, piece);
            }
            _ => {
                if let Some(byte) = body.get_mut(at.start) {
                    *byte = random.random();
                }
            }
        }
    }
    let cuts: Vec<u8> = (0..random.random_range(0..16)).map(|_| random.random()).collect();
    [&[u8::try_from(cuts.len()).expect("below 16")], cuts.as_slice(), &body].concat()
}

#[test]
fn changed_recordings_decode_alike_however_they_are_cut() {
    let (seeds, mut random) = (seeds(), SmallRng::seed_from_u64(1));
    for _ in 0..INPUTS {
        targets::sse(&input(&mut random, &seeds));
    }
}

#[test]
fn changed_recordings_make_the_same_trace_however_they_are_cut() {
    let (seeds, mut random) = (seeds(), SmallRng::seed_from_u64(2));
    for _ in 0..INPUTS {
        targets::recorder(&input(&mut random, &seeds));
    }
}
