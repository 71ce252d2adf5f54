//! Two verifiers that share no code: the auditor, and `ceremony-scripts/verify` with ordinary tools
//! alone. Both hold what is whole and refuse what was changed, and where one refuses what the other
//! accepts, the reason stands in a list here.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::common::stage::{Done, Stage};
use changes::{Changes, head_to_fit};
use record::{
    encoding::Hash,
    verify::{self, Against},
};
use tools::{Copy, Seeded, audited, names, on_two_threads, script};

mod changes;
pub mod fido;
mod fields;
mod reading;
mod tools;

/// Bits flipped with SHA256SUMS left as it was.
const FLIPS: usize = 2000;
/// Bits flipped with SHA256SUMS made to fit, for the auditor; every third of them for the script
/// too.
const DEEP_FLIPS: usize = 450;
/// The part of all changes that every run tries: the script of ordinary tools takes its time.
const ONE_OF: usize = 40;

/// A finished ceremony whose heads officers and a witness have signed; or one whose first attempt
/// was given up, with a witness who has a FIDO2 key.
fn finished(restarted: bool) -> Stage {
    let mut stage = match restarted {
        true => Stage::new(|plan| with_fido(&plan)),
        false => Stage::at(Done::TenantClose),
    };
    if restarted {
        stage.walk_to(Done::PackageCheck);
        for side in ["hoster", "tenant"] {
            let restart = ["restart", "--reason", "the room had to be left"];
            stage.pass(side, "restart", &restart);
            stage.side(side, &restart).ok();
        }
        stage.done = Some(Done::Init);
        stage.walk_to(Done::OfferCheck);
        let trust = ["kek", "trust", "--so-pin-file", "so-pin"];
        stage.tenant(&trust).ok();
        stage.done = Some(Done::KeysCreate);
    }
    stage.walk_to(Done::TenantClose);
    for (side, ids) in [("tenant", ["ada", "ben"]), ("hoster", ["hana", "hugo"])] {
        let head = stage.path(&format!("{side}/archive/head.json"));
        for id in ids {
            stage.sign(&head, "keyferry-head", id);
        }
        match restarted {
            true => fido::sign(&head, "keyferry-head", "iris", fido::TOUCHED),
            false => stage.sign(&head, "keyferry-head", "iris"),
        }
    }
    stage
}

/// The plan with a FIDO2 key for its witness, the one person who has a line of her own.
fn with_fido(plan: &str) -> String {
    let line = |line: &str| match line.starts_with("key = ") {
        true => format!("key = \"{}\"\n", fido::public()),
        false => format!("{line}\n"),
    };
    plan.lines().map(line).collect()
}

/// Flips one bit of one file: which, the seed says.
fn flip(seed: u64, copy: &Copy, deep: bool) -> (String, Vec<u8>) {
    let mut seeded = Seeded(seed);
    let mut names = names(&copy.path());
    names.retain(|name| !deep || name != "SHA256SUMS");
    let name = names.swap_remove(seeded.below(names.len()));
    let bytes = fs::read(copy.file(&name)).unwrap();
    let bit = seeded.below(bytes.len() * 8);
    let mut flipped = bytes.clone();
    flipped[bit / 8] ^= 1 << (bit % 8);
    fs::write(copy.file(&name), flipped).unwrap();
    (format!("{name}, bit {bit}"), bytes)
}

fn put_back(copy: &Copy, what: &str, bytes: &[u8]) {
    let (name, _) = what.split_once(',').unwrap();
    fs::write(copy.file(name), bytes).unwrap();
}

#[test]
fn both_accept_what_is_whole_and_refuse_what_was_changed() {
    both_refuse(ONE_OF);
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part verifiers`"]
fn both_refuse_every_change() {
    both_refuse(1);
}

/// Tries one of so many changes.
fn both_refuse(one_of: usize) {
    let stages = [finished(false), finished(true)];
    let archives: Vec<PathBuf> = (stages.iter())
        .flat_map(|stage| ["tenant", "hoster"].map(|side| stage.path(side).join("archive")))
        .collect();
    archives.iter().for_each(|archive| whole(archive));
    rewritten_end(&archives[0]);
    flipped(&archives, one_of);
    let mut changes = Changes::default();
    changes.documents(0, &archives[0], &archives[2]);
    changes.documents(3, &archives[3], &archives[1]);
    changes.deep(2, "attempts exchanged".into(), |copy| {
        let exchange = [("offer", "x"), ("attempt-1/offer", "offer"), ("x", "attempt-1/offer")];
        for (from, to) in exchange {
            fs::rename(copy.file(from), copy.file(to)).unwrap();
        }
    });
    changes.deep(2, "a signature made without a touch".into(), |copy| {
        fido::sign(&copy.file("head.json"), "keyferry-head", "iris", fido::UNTOUCHED);
    });
    changes.signatures(1, &archives[1]);
    changes.signatures(2, &archives[2]);
    for (n, archive) in archives.iter().enumerate() {
        changes.approvals(n, archive);
        changes.one_request_more(n, archive);
        changes.one_file_less(n, archive);
        changes.one_file_more(n, archive);
    }
    changes.cuts(0, &archives[0], "tenant.log.jsonl");
    changes.cuts(3, &archives[3], "hoster.log.jsonl");
    changes.surplus(0);
    let changes: Vec<_> = changes.0.into_iter().step_by(one_of).collect();
    let tally = on_two_threads(&archives, changes.len(), |item, copies, tally| {
        let change = &changes[item];
        let copy = &copies[change.archive];
        (change.make)(copy);
        tally.refused(&change.what, &copy.path());
        copy.renew();
    });
    println!(
        "documents, signatures, requests, cuts and surplus: {} refused by both",
        tally.both_refused
    );
    assert_eq!(tally.listed, Vec::<String>::new());
}

/// Both accept it; with what is on paper too, and with what is on another paper not.
fn whole(archive: &Path) {
    let verdict = audited(archive).unwrap();
    assert!(verdict.missing.iter().all(|line| !line.contains("the head")));
    let said = script(archive, &[]);
    assert!(!said.out.contains("NOT SIGNED BY ENOUGH"), "{}", said.out);
    assert_eq!(said.code, 0, "{}", said.err);
    let plan = Hash::of(&fs::read(archive.join("ceremony.toml")).unwrap()).to_string();
    let head: serde_json::Value =
        serde_json::from_slice(&fs::read(archive.join("head.json")).unwrap()).unwrap();
    let head = head["head"].as_str().unwrap();
    let on_paper = ["--expect-plan", &plan, "--expect-head", head];
    assert_eq!(script(archive, &on_paper).code, 0);
    for other in [["--expect-plan", head], ["--expect-head", &plan]] {
        assert_eq!(script(archive, &other).code, 1);
    }
}

/// An end of the log that was made anew after the last document: nothing but the head on paper, or
/// people's signatures over it, tells. Both verifiers say that those are missing.
fn rewritten_end(archive: &Path) {
    let copy = Copy::of(archive);
    let log = copy.file("tenant.log.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let (before, last) = text.trim_end().rsplit_once('\n').unwrap();
    let mut close: serde_json::Value = serde_json::from_str(last).unwrap();
    close["time"] = "2020-01-01T00:00:00Z".into();
    fs::write(&log, format!("{before}\n{close}\n")).unwrap();
    let head: serde_json::Value =
        serde_json::from_slice(&fs::read(copy.file("head.json")).unwrap()).unwrap();
    head_to_fit(&copy, "tenant.log.jsonl");
    copy.make_sums();
    let missing = audited(&copy.path()).unwrap().missing;
    assert!(missing.iter().any(|line| line.contains("0 of 2 officers")), "{missing:?}");
    let said = script(&copy.path(), &[]);
    assert!(said.out.contains("NOT SIGNED BY ENOUGH: 0 of 2"), "{}", said.out);
    let head = head["head"].as_str().unwrap();
    assert_eq!(script(&copy.path(), &["--expect-head", head]).code, 1);
    let against = Against { head: Some(head.parse().unwrap()), ..Against::default() };
    assert!(verify::verify(&[copy.path()], &against).is_err());
}

fn flipped(archives: &[PathBuf], one_of: usize) {
    let which = |item: usize, count: usize| (item / 2) % count;
    let flips = on_two_threads(archives, FLIPS / one_of, |item, copies, tally| {
        let copy = &copies[which(item, copies.len())];
        let (what, bytes) = flip(item as u64, copy, false);
        tally.refused(&what, &copy.path());
        put_back(copy, &what, &bytes);
    });
    println!("bits flipped: {} refused by both", flips.both_refused);
    assert_eq!(flips.listed, Vec::<String>::new());
    let deep = on_two_threads(archives, DEEP_FLIPS / one_of, |item, copies, tally| {
        let copy = &copies[which(item, copies.len())];
        let (what, bytes) = flip(item as u64 + 1_000_000, copy, true);
        copy.make_sums();
        match item % 6 < 2 {
            true => tally.refused(&what, &copy.path()),
            false => tally.refused_by_auditor(&what, &copy.path()),
        }
        put_back(copy, &what, &bytes);
    });
    println!(
        "bits flipped, SHA256SUMS made to fit: {} refused by both, {} more by the auditor, {} that nobody vouches for",
        deep.both_refused,
        deep.auditor_refused,
        deep.listed.len()
    );
    let few = [deep.both_refused, deep.auditor_refused].map(|refused| refused * one_of);
    assert!(few[0] > 60 && few[1] > 160, "{few:?}");
}
