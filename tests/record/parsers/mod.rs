//! Every parser of bytes from outside, on a stable compiler: it takes its seed, and of whatever
//! else it is given it makes an error. The same functions run under libFuzzer (`fuzz/run`).

#[path = "../../ways/attestation/pki.rs"]
mod pki;
mod seeds;
#[path = "../../../fuzz/parsers.rs"]
mod targets;

use std::{fs, panic::catch_unwind};

use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};

use targets::{PARSERS, Parser};

fn seed(parser: &Parser) -> Vec<u8> {
    fs::read(targets::seeds(parser.name).join(parser.seed)).unwrap()
}

/// A format that has changed makes its seed useless, and this fail: `KEYFERRY_SEEDS=write` makes
/// them anew, from ceremonies.
#[test]
fn each_parser_takes_its_seed() {
    if std::env::var_os("KEYFERRY_SEEDS").is_some() {
        seeds::write();
    }
    for parser in &PARSERS {
        if let Err(error) = parser.take(&seed(parser)) {
            panic!("{}: {error}", parser.name);
        }
    }
}

#[test]
fn each_parser_has_its_fuzz_target() {
    let manifest = include_str!("../../../fuzz/Cargo.toml");
    let targets = manifest.split("[[bin]]").skip(1);
    let named = targets.map(|target| target.split('"').nth(1).unwrap());
    let parsers: Vec<&str> = PARSERS.iter().map(|parser| parser.name).collect();
    assert_eq!(named.collect::<Vec<_>>(), parsers);
}

/// What is done to a seed.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, u8),
    /// A piece again, somewhere else.
    Repeat(Index, Index, u8),
    /// A number in place of the digits that stand there.
    Number(Index, String),
    Cut(Index),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = any::<Index>;
    let numbers =
        prop::sample::select(vec!["-1", "0", "18446744073709551616", "1e999", "4294967295"]);
    let change = prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, to)| Change::Set(at, to)),
        (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (at(), vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at(), any::<u8>()).prop_map(|(at, count)| Change::Remove(at, count)),
        (at(), at(), any::<u8>()).prop_map(|(from, to, count)| Change::Repeat(from, to, count)),
        (at(), numbers).prop_map(|(at, number)| Change::Number(at, number.into())),
        at().prop_map(Change::Cut),
    ];
    vec(change, 1..6)
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        if length == 0 {
            return;
        }
        match self {
            Change::Set(at, to) => *at.get_mut(bytes) = *to,
            Change::Flip(at, bit) => *at.get_mut(bytes) ^= 1 << bit,
            Change::Insert(at, new) => {
                let at = at.index(length);
                bytes.splice(at..at, new.iter().copied());
            }
            Change::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..(at + usize::from(*count)).min(length));
            }
            Change::Repeat(from, to, count) => {
                let from = from.index(length);
                let piece = bytes[from..(from + usize::from(*count)).min(length)].to_vec();
                let to = to.index(length);
                bytes.splice(to..to, piece);
            }
            Change::Number(at, number) => {
                let at = at.index(length);
                let digits = bytes[at..].iter().position(u8::is_ascii_digit);
                let from = at + digits.unwrap_or_default();
                let count = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit());
                let to = from + count.count();
                bytes.splice(from..to, number.bytes());
            }
            Change::Cut(at) => bytes.truncate(at.index(length)),
        }
    }
}

/// Says which parser panicked, on what.
fn holds(parser: &Parser, bytes: &[u8]) -> Result<(), TestCaseError> {
    match catch_unwind(|| drop(parser.take(bytes))) {
        Ok(()) => Ok(()),
        Err(_) => Err(TestCaseError::fail(format!("{} panicked", parser.name))),
    }
}

#[test]
fn no_parser_panics() {
    let config = Config { cases: 1000, failure_persistence: None, ..Config::default() };
    for parser in &PARSERS {
        let seed = seed(parser);
        let mut runner = TestRunner::new(config.clone());
        let ended = runner.run(&changes(), |changes| {
            let mut bytes = seed.clone();
            changes.iter().for_each(|change| change.make(&mut bytes));
            holds(parser, &bytes)
        });
        ended.unwrap_or_else(|error| panic!("{}: {error}", parser.name));
        let ended = runner.run(&vec(any::<u8>(), 0..300), |bytes| holds(parser, &bytes));
        ended.unwrap_or_else(|error| panic!("{}: {error}", parser.name));
    }
}
