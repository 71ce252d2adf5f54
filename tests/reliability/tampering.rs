//! Everything that travels, and the record, changed in every way: one bit, an end cut off, bytes
//! added, a file of another ceremony.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    common::stage::{CUSTODIANS, Done, Stage},
    explore::{in_parallel, part},
};
use ceremony::Ceremony;
use custody::custodian;
use record::{
    Result,
    document::{
        Body, acceptance::Acceptance, closing::Closing, offer::Offer, package::Package,
        receipt::Receipt, registration::Registration,
    },
    terms::Side,
    verify::{self, Against},
};

/// A document on its way: who takes it, once its sender has done this.
struct Way {
    kind: &'static str,
    sent: Done,
    side: Side,
    take: fn(&Ceremony, &Path) -> Result<()>,
}

const WAYS: [Way; 6] = [
    way::<Offer>("offer", Done::OfferRelease, Side::Tenant),
    Way {
        // What its keys have signed is looked at besides, as `package check` does.
        take: |ceremony, folder| ceremony.take::<Package>(folder)?.verify_keys(),
        ..way::<Package>("package", Done::PackageRelease, Side::Hoster)
    },
    way::<Receipt>("receipt", Done::ReceiptRelease, Side::Tenant),
    way::<Registration>("registration", Done::RegistrationRelease, Side::Tenant),
    way::<Acceptance>("acceptance", Done::AcceptanceRelease, Side::Hoster),
    way::<Closing>("closing", Done::ClosingRelease, Side::Tenant),
];

const fn way<B: Body>(kind: &'static str, sent: Done, side: Side) -> Way {
    Way { kind, sent, side, take: |ceremony, folder| ceremony.take::<B>(folder).map(drop) }
}

/// How many of each kind were tried.
#[derive(Default)]
struct Tried {
    bits: AtomicUsize,
    cuts: AtomicUsize,
    additions: AtomicUsize,
    splices: AtomicUsize,
}

/// Tries every change of a file's bytes; `accepts` says whether a changed file, which lies in its
/// place, is taken. Then it is as it was.
fn each_change(path: &Path, tried: &Tried, every: usize, accepts: &dyn Fn() -> bool) {
    let whole = fs::read(path).unwrap();
    let (begin, every) = part().map_or((0, every), |(part, of)| (part - 1, of));
    let with = |bytes: &[u8], what: String| {
        fs::write(path, bytes).unwrap();
        assert!(!accepts(), "{} with {what} is accepted", path.display());
    };
    let mut changed = whole.clone();
    for bit in (begin..whole.len() * 8).step_by(every) {
        changed[bit / 8] ^= 1 << (bit % 8);
        with(&changed, format!("bit {bit} flipped"));
        changed[bit / 8] = whole[bit / 8];
        tried.bits.fetch_add(1, Ordering::Relaxed);
    }
    let cuts = part().map_or(every.div_ceil(8), |(_, of)| of);
    for length in (begin..whole.len()).rev().step_by(cuts) {
        with(&whole[..length], format!("{length} of {} bytes", whole.len()));
        tried.cuts.fetch_add(1, Ordering::Relaxed);
    }
    for added in (begin + 1..=64).step_by(every.min(16)) {
        for byte in [0, b' ', b'\n', b'}', 0xff] {
            let longer = [&whole[..], &vec![byte; added]].concat();
            with(&longer, format!("{added} bytes {byte:#x} added"));
            tried.additions.fetch_add(1, Ordering::Relaxed);
        }
    }
    fs::write(path, whole).unwrap();
    assert!(accepts(), "{} unchanged", path.display());
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn said(tried: &Tried, what: &str) {
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    println!(
        "counted: {what}: {} bits flipped, {} truncations, {} additions, {} splices; accepted: none",
        count(&tried.bits),
        count(&tried.cuts),
        count(&tried.additions),
        count(&tried.splices)
    );
}

/// Ceremonies at the moment when each document is on the medium; the one under test, in its second
/// attempt, and others to take files from.
fn stages(others: usize) -> Vec<Vec<Stage>> {
    let made = Mutex::new(Vec::new());
    in_parallel(&(0..=others).collect::<Vec<_>>(), |n| {
        // Each a ceremony of its own, none that is shared.
        let mut stage = Stage::new(|plan| plan);
        if *n == 0 {
            stage.walk_to(Done::PackageRelease);
            fs::rename(stage.path("medium"), stage.path("earlier")).unwrap();
            fs::create_dir(stage.path("medium")).unwrap();
            for side in ["hoster", "tenant"] {
                stage.restart(side);
            }
            stage.done = Some(Done::Init);
        }
        let at = |way: &Way| {
            if *n == 0 && way.sent == Done::PackageRelease {
                stage.walk_to(Done::KekTrust);
                // The keys are there, and stay the same.
                stage.done = Some(Done::KeysCreate);
            }
            stage.walk_to(way.sent);
            stage.copy()
        };
        let stages: Vec<Stage> = WAYS.iter().map(at).collect();
        made.lock().unwrap().push((*n, stages));
    });
    let mut made = made.into_inner().unwrap();
    made.sort_by_key(|(n, _)| *n);
    made.into_iter().map(|(_, stages)| stages).collect()
}

#[test]
fn no_changed_document_is_taken() {
    let tried = Tried::default();
    let mut stages = stages(3);
    let others = stages.split_off(1);
    let pairs: Vec<_> = WAYS.iter().zip(&stages[0]).enumerate().collect();
    in_parallel(&pairs, |(n, (way, stage))| {
        let name = if way.side == Side::Tenant { "tenant" } else { "hoster" };
        let ceremony = Ceremony::open(&stage.path(name), way.side).unwrap();
        let medium = stage.path(&format!("medium/{}", way.kind));
        let accepts = || (way.take)(&ceremony, &medium).is_ok();
        for file in files(&medium) {
            each_change(&file, &tried, 397, &accepts);
            let whole = fs::read(&file).unwrap();
            let name = file.file_name().unwrap();
            let of_others = others.iter().map(|other| other[*n].path("medium"));
            for other in of_others.chain([stage.path("earlier")]) {
                let Ok(other) = fs::read(other.join(way.kind).join(name)) else {
                    continue;
                };
                // A certificate is the same in every attempt.
                if other != whole {
                    fs::write(&file, other).unwrap();
                    let file = file.display();
                    assert!(!accepts(), "{file} of another ceremony or attempt is accepted");
                    tried.splices.fetch_add(1, Ordering::Relaxed);
                }
            }
            fs::write(&file, whole).unwrap();
            fs::rename(&file, stage.path("aside")).unwrap();
            assert!(!accepts(), "without {} it is accepted", file.display());
            fs::rename(stage.path("aside"), &file).unwrap();
        }
        assert!(accepts());
    });
    said(&tried, "documents, their certificates, sealed keys and signatures");
    assert!(tried.bits.into_inner() > 700 && tried.splices.into_inner() > 60);
}

#[test]
fn no_changed_share_file_opens() {
    let tried = Tried::default();
    let stages = [Stage::at(Done::Export), Stage::another(Done::Export)];
    in_parallel(&CUSTODIANS, |id| {
        let [file, other] =
            [0, 1].map(|n| stages[n].path(&format!("tenant/outbox/shares/{id}.age")));
        let identity = fs::read(stages[0].path(&format!("people/{id}.identity"))).unwrap();
        let whole = fs::read(&file).unwrap();
        let opens = || {
            let bytes = fs::read(&file).unwrap();
            // White space after the armour belongs to no share; the import compares the file's hash
            // besides.
            if bytes.trim_ascii_end() == whole.trim_ascii_end() {
                return bytes == whole;
            }
            custodian::open_share(&bytes, &identity, &|_| unreachable!("it has no passphrase"))
                .is_ok()
        };
        each_change(&file, &tried, 197, &opens);
        fs::copy(other, &file).unwrap();
        assert!(!opens(), "the share of another ceremony opens for {id}");
        tried.splices.fetch_add(1, Ordering::Relaxed);
    });
    said(&tried, "share files");
    assert!(tried.bits.into_inner() > 100);
}

#[test]
fn no_changed_log_or_plan_is_the_record() {
    let tried = Tried::default();
    let stage = Stage::at(Done::TenantClose);
    in_parallel(&["tenant", "hoster"], |side| {
        let copy = stage.copy();
        let folders = [copy.path("tenant"), copy.path("hoster")];
        let head = verify::verify(&folders, &Against::default()).unwrap();
        // A log whose last entry is changed or cut off may be a whole log: the other side's, and
        // the words that were read aloud, tell.
        let accepts = || {
            verify::verify(&folders, &Against::default())
                .is_ok_and(|verdict| format!("{verdict:?}") == format!("{head:?}"))
        };
        each_change(&copy.path(&format!("{side}/log.jsonl")), &tried, 2003, &accepts);
        each_change(&copy.path(&format!("{side}/ceremony.toml")), &tried, 2003, &accepts);
    });
    said(&tried, "logs and plans");
    assert!(tried.bits.into_inner() > 70);
}
