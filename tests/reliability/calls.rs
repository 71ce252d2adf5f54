//! How many calls one more key costs.

use crate::{
    common::stage::{Done, Setting, Stage},
    hsm_faults::recorded,
};

/// The most that one more key costs in each command.
const MOST: [(&str, usize); 3] = [("keys create", 14), ("export", 7), ("import", 18)];

/// The numbers of keys that are compared.
const KEYS: [usize; 2] = [2, 12];

#[test]
fn a_key_costs_few_calls() {
    let [few, many] = KEYS.map(calls);
    let keys = KEYS[1] - KEYS[0];
    let more = [0, 1, 2].map(|n| many[n] - few[n]);
    for ((name, most), more) in MOST.iter().zip(more) {
        println!("counted: {:.1} calls a key in {name}, of {most}", more as f64 / keys as f64);
    }
    let few_enough = MOST.iter().zip(more).all(|((_, most), more)| more <= most * keys);
    assert!(few_enough, "{few:?} calls, and {many:?}");
}

/// The calls of each command, with so many keys.
fn calls(keys: usize) -> [usize; 3] {
    let mut stage = Stage::with(Setting { keys, ..Setting::default() }, |plan| plan);
    stage.walk_to(Done::KekTrust);
    let create = without_canary(recorded(&stage.copy(), "tenant", &["keys", "create"]));
    stage.walk_to(Done::KeysCreate);
    stage.pass("tenant", "export", &["export"]);
    let export = without_canary(recorded(&stage.copy(), "tenant", &["export"]));
    stage.walk_to(Done::PackageCheck);
    stage.pass("hoster", "import", &["import", "medium/package"]);
    let mut import = vec!["import".to_owned(), "medium/package".into()];
    import.extend(stage.shares(&["cyd", "dan", "eve"]));
    let import: Vec<&str> = import.iter().map(String::as_str).collect();
    let import = recorded(&stage.copy(), "hoster", &import).len();
    [create, export, import]
}

/// How many calls there are but those of the wrap canary, which makes a throwaway key more where one
/// shows nothing: that is chance.
fn without_canary(calls: Vec<String>) -> usize {
    let is = |name: &'static str| move |call: &String| call == name;
    let begin = calls.iter().position(is("C_GenerateKeyPair")).unwrap();
    let canary = calls[begin..].iter().position(is("C_CloseSession")).unwrap();
    calls.len() - canary
}
