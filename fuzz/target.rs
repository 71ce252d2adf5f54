//! One parser under libFuzzer: the one that this program is named after.
#![no_main]

#[allow(dead_code)] // The name of a seed, which only the tests on a stable compiler open.
mod parsers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mine = |parser: &&parsers::Parser| parser.name == env!("CARGO_BIN_NAME");
    let parser = parsers::PARSERS.iter().find(mine);
    let _ = parser.expect("a parser of this name").take(bytes);
});
