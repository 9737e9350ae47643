#![no_main]

#[expect(dead_code, reason = "it holds the other targets too")]
#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| targets::recorder(input));
