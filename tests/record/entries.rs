//! Every entry of the kept ceremonies, changed in every way: only claims can be.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::common::{
    changes::{FIELDS, Own, Tried, replayed},
    run,
};
use record::{
    encoding::Hash,
    log::{ChangedShare, Entry, Event, claims::CLAIMS},
    terms::{Gate, Kind, Side, Stage, Step},
    verify::{self, Against, Holds, Record, counterpart::VerifiedLog},
};

#[test]
fn only_claims_can_be_changed_in_a_kept_record() {
    let tried = each_kept(|archive, side, tried| tried.record(archive, side, &mut |_| true));
    assert!(tried.changes > 5_000, "{}", tried.changes);
}

/// As long as nothing repeats it, and where a step was cut off, more may be said; the verdict counts
/// it.
#[test]
fn what_is_open_on_the_day_is_counted_as_a_claim() {
    let tried = each_kept(|archive, side, tried| tried.on_the_day(archive, side));
    assert!(tried.changes > 5_000, "{}", tried.changes);
}

/// Officers sign before an act is begun, and a mended log says that its program has ended.
#[test]
fn nothing_ends_that_was_signed_for_or_mended_after_it_began() {
    let mut gates = BTreeSet::new();
    for (archive, side) in replayed() {
        let own = Own::read(&archive, side);
        let intent = |entry: &Entry| matches!(entry.event, Event::Intent { .. });
        for (at, entry) in own.entries.iter().enumerate() {
            let Some(step) = entry.event.step().filter(|step| step.has_intent()) else { continue };
            let begun = own.entries[..at].iter().rposition(intent).unwrap();
            let with = |place: usize, events: [&Event; 1]| {
                let added = events.map(|event| Entry { event: event.clone(), ..entry.clone() });
                [&own.entries[..place], &added, &own.entries[place..]].concat()
            };
            let repair = Event::Repair { bytes: 1, hash: Hash::of(b"torn") };
            let refused = VerifiedLog::of(&own.record.plan, side, with(at, [&repair])).err();
            assert_eq!(refused.unwrap().rule().unwrap().name(), "LOG-EVENT", "{step}");
            VerifiedLog::of(&own.record.plan, side, with(begun, [&repair])).unwrap();
            let Some(gate) = step.gate() else { continue };
            let approval = |entry: &Entry| matches!(&entry.event, Event::Approval { gate: of, .. } if *of == gate);
            let asked = own.entries[..begun].iter().rposition(approval).unwrap();
            let mut entries = own.entries.clone();
            let Event::Approval { subject, .. } = &mut entries[asked].event else { panic!() };
            let signed = std::mem::replace(subject, Hash::of(b"something else"));
            let mut later = entries[asked].clone();
            let Event::Approval { subject, .. } = &mut later.event else { panic!() };
            *subject = signed;
            entries.insert(at, later);
            let refused = VerifiedLog::of(&own.record.plan, side, entries).err();
            assert_eq!(refused.unwrap().rule().unwrap().name(), "LOG-EVENT", "{step}");
            gates.insert(gate);
        }
    }
    assert!(gates.len() >= 4, "{gates:?}");
}

/// After an abort nothing was released, so nobody signs for the end of a KEK.
#[test]
fn nobody_has_released_what_an_aborted_ceremony_does_not_have() {
    let mut met = 0;
    for (archive, side) in replayed() {
        let own = Own::read(&archive, side);
        let offered =
            |entry: &Entry| matches!(entry.event, Event::Release { kind: Kind::Offer, .. });
        let Some(offered) = own.entries.iter().position(offered) else { continue };
        let signed = own.entries.iter().find_map(|entry| match &entry.event {
            Event::Approval { signatures, .. } => Some(signatures.clone()),
            _ => None,
        });
        let (hash, signed) = (Hash::of(b"any"), signed.unwrap());
        let approval = |gate| Event::Approval {
            gate,
            subject: hash,
            request: hash,
            signatures: signed.clone(),
        };
        let aborted = |signatures| {
            let ended = [
                approval(Gate::Abort),
                Event::Abort { reason: "it ends".into(), left: Vec::new() },
                approval(Gate::KekDestroy),
                Event::Intent { step: Step::KekDestroy, attempt: 1 },
                Event::KekDestroy {
                    document: hash,
                    acceptance: None,
                    fingerprint: hash,
                    keys: Vec::new(),
                    signatures,
                },
            ];
            let mut entries = own.entries[..=offered].to_vec();
            let last = entries[offered].clone();
            entries.extend(ended.map(|event| Entry { event, ..last.clone() }));
            VerifiedLog::of(&own.record.plan, side, entries)
        };
        aborted(Vec::new()).unwrap();
        let refused = aborted(signed.clone()).err();
        assert_eq!(refused.unwrap().rule().unwrap().name(), "SIGNATURE-MISSING");
        met += 1;
    }
    assert!(met > 0);
}

/// Each quorum names those before, and what it says more is of the one who came.
#[test]
fn a_quorum_says_more_of_the_newcomer_only() {
    for (archive, side) in replayed().into_iter().filter(|(_, side)| *side == Side::Hoster) {
        let own = Own::read(&archive, side);
        let is_quorum = |entry: &Entry| matches!(entry.event, Event::Quorum { .. });
        let first = own.entries.iter().position(is_quorum);
        let Some(first) = first.filter(|at| is_quorum(&own.entries[at + 1])) else { continue };
        let (brought, taken) = (Hash::of(b"brought"), Hash::of(b"taken"));
        // Said of the first, in these of the two entries.
        for (where_, fits) in [([true, true], true), ([true, false], false), ([false, true], false)]
        {
            let mut entries = own.entries.clone();
            let mut whose = None;
            for (entry, here) in entries[first..first + 2].iter_mut().zip(where_) {
                let Event::Quorum { custodians, deputies, changed, .. } = &mut entry.event else {
                    panic!()
                };
                let custodian = whose.get_or_insert_with(|| custodians[0].clone()).clone();
                if here {
                    deputies.push(custodian.clone());
                    changed.push(ChangedShare { custodian, brought, taken });
                }
            }
            entries.truncate(first + 2);
            let read = VerifiedLog::of(&own.record.plan, side, entries);
            let rule = read.err().map(|error| error.rule().unwrap().name());
            assert_eq!(rule, (!fits).then_some("LOG-EVENT"), "{}", archive.display());
        }
    }
}

/// The clock of a node that is ahead when its evidence is taken; another time at which the keys
/// became primary; a retired key with another's certificate; requests under other names.
#[test]
fn what_contradicts_the_rest_of_the_record_is_refused_by_its_rule() {
    let mut tried = 0;
    for (archive, side) in replayed().into_iter().filter(|(_, side)| *side == Side::Hoster) {
        let own = Own::read(&archive, side);
        let primary = |entry: &Entry| matches!(entry.event, Event::Primary { .. });
        if !own.entries.iter().any(primary) {
            continue; // It was aborted before.
        }
        let rule =
            |ended: record::Result<bool>| ended.err().map(|error| error.rule().unwrap().name());
        let mut ready = None;
        for (at, entry) in own.entries.iter().enumerate() {
            let tries = [(11, Some("EVIDENCE-CLOCK")), (9, None)];
            let tries = match &entry.event {
                Event::Evidence { proved, stage: Stage::Ready, .. } => {
                    ready = ready.max(Some(proved.parse::<jiff::Timestamp>().unwrap()));
                    &tries[..]
                }
                // The registration repeats its time.
                Event::Primary { .. } => &[(11, Some("DOCUMENT-CONTENT"))],
                _ => continue,
            };
            for (minutes, expected) in tries {
                let mut entries = own.entries.clone();
                entries[at].time = ready.unwrap() - jiff::SignedDuration::from_mins(*minutes);
                let found = rule(own.hold(entries));
                assert_eq!(found, *expected, "{}: {}", archive.display(), entry.event.name());
            }
        }
        let last = own.entries.last().unwrap();
        let keys = &own.record.log(side).unwrap().state.keys;
        let token = own.entries.iter().find_map(|one| one.event.token()).unwrap();
        for (spki, expected) in [(Hash::of(b"former"), None), (keys[0].spki, Some("LOG-SOURCE"))] {
            let event = Event::Retire { thumbprint: "5A".repeat(20), spki, token: token.clone() };
            let retired = Entry { event, ..last.clone() };
            let entries = [&own.entries[..], &[retired]].concat();
            assert_eq!(rule(own.hold(entries)), expected, "{}", archive.display());
        }
        let moved =
            ["02", "00", "001", "4294967297"].map(|number| ("mv", format!("{number}-primary")));
        let copied = ["02-primary", "01-rollback"].map(|to| ("cp", to.to_owned()));
        for (how, to) in moved.into_iter().chain(copied) {
            let copy = tempfile::tempdir().unwrap();
            run(Command::new("cp").arg("-a").arg(&archive).arg(copy.path()));
            let copy = copy.path().join(archive.file_name().unwrap());
            let renamed = format!(
                "cd '{}' && for one in 01-primary.json*; do {how} $one {to}.json${{one#01-primary.json}}; done",
                copy.join("approvals").display()
            );
            run(Command::new("sh").args(["-c", &renamed]));
            let record = Record::own(&copy, Holds::Archive(side)).unwrap();
            let refused = record.hold(record.log(side).unwrap()).unwrap_err();
            assert_eq!(refused.rule().unwrap().name(), "APPROVAL-SUBJECT", "{how} {to}");
        }
        tried += 1;
    }
    assert_eq!(tried, 6);
}

/// Commands that an auditor is to type are those of this version, or are named as not looked at.
#[test]
fn other_commands_than_this_versions_are_named() {
    let (archive, _) = replayed().remove(0);
    let copy = tempfile::tempdir().unwrap();
    run(Command::new("cp").arg("-a").arg(&archive).arg(copy.path()));
    let copy = copy.path().join(archive.file_name().unwrap());
    let named = || {
        let verdict = verify::verify(std::slice::from_ref(&copy), &Against::default()).unwrap();
        verdict.unread.iter().any(|one| one.contains("VERIFY.txt"))
    };
    assert!(!named());
    let (path, list) = (copy.join("VERIFY.txt"), copy.join("SHA256SUMS"));
    let text = fs::read_to_string(&path).unwrap();
    let other = text.replacen("sha256sum", "curl", 1);
    assert_ne!(other, text);
    fs::write(&path, &other).unwrap();
    let hash = |text: &str| Hash::of(text.as_bytes()).to_string();
    let listed = fs::read_to_string(&list).unwrap().replace(&hash(&text), &hash(&other));
    fs::write(&list, listed).unwrap();
    assert!(named());
}

/// Does this with each kept record, on two threads; what is taken is a claim.
fn each_kept(each: impl Fn(&Path, Side, &mut Tried) + Sync) -> Tried {
    let all = replayed();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for half in all.chunks(all.len().div_ceil(2)) {
            let sender = sender.clone();
            let each = &each;
            scope.spawn(move || {
                let mut tried = Tried::default();
                for (archive, side) in half {
                    each(archive, *side, &mut tried);
                }
                sender.send(tried).unwrap();
            });
        }
    });
    drop(sender);
    let mut tried = Tried::default();
    receiver.iter().for_each(|half| tried.add(half));
    tried.show();
    assert_eq!(tried.no_claims(), Vec::<&String>::new());
    tried
}

#[test]
fn the_table_of_fields_is_that_of_the_page() {
    let claims = FIELDS.iter().filter(|field| field.claim).map(|field| (field.event, field.name));
    let ours =
        CLAIMS.iter().flat_map(|(event, fields)| fields.iter().map(move |one| (*event, *one)));
    assert_eq!(claims.collect::<Vec<_>>(), ours.collect::<Vec<_>>());
    let events: BTreeSet<&str> = FIELDS.iter().map(|field| field.event).collect();
    let steps: BTreeSet<&str> = Step::ALL.into_iter().map(Step::name).collect();
    assert!(steps.is_subset(&events), "{:?}", steps.difference(&events));
}
