//! The transcript: what happened, between whom, with which keys, and who was there, for everybody to
//! sign.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::print::{PageContent, people};
use ::show::{Sentences, sentence};
use ceremony::Ceremony;
use custody::codes::show;
use desk::page;
use record::layout::{ARCHIVE, HEAD_FILE};
use record::log;
use record::plan::Waiver;
use record::{Event, Hash, Id, KeyPlan, Kind, Result, Side, escape, folder, list};
use terminal::texts::Texts;

/// The page.
///
/// # Errors
/// What reading the log and the signatures of its head can end with.
pub fn transcript(ceremony: &Ceremony, texts: &Texts) -> Result<PageContent> {
    let (plan, side) = (&ceremony.plan, ceremony.state.side);
    let told = LogSummary::of(ceremony, texts)?;
    let made = ceremony.state.made.iter().map(|(kind, made)| (kind, made.hash));
    let taken = ceremony.state.taken.iter().map(|(kind, hash)| (kind, *hash));
    let document = |(kind, hash): (&Kind, Hash)| {
        let name = texts.get(&format!("kind.{kind}"), &[]);
        json!({ "name": name, "hash": hash.to_string() })
    };
    let waiver = |one: &Waiver| json!({ "rule": one.rule.name(), "reason": escape(&one.reason) });
    let head = ceremony.head();
    let archived = ceremony.dir.join(ARCHIVE);
    let signed = folder::names(&archived)?.into_iter();
    let signed = signed.filter(|name| name.starts_with(HEAD_FILE));
    let signed: Vec<PathBuf> = signed.map(|name| archived.join(name)).collect();
    let body = json!({
        "entries": told.entries,
        "documents": made.chain(taken).map(document).collect::<Vec<_>>(),
        "waivers": plan.waivers.iter().map(waiver).collect::<Vec<_>>(),
        "head": head.hash.to_string(), "count": head.seq,
        "words_": page::words_of(&head.hash, 32),
        "organisations": organisations(ceremony, texts),
        "keys": keys(ceremony, texts),
        "kek": ceremony.state.kek.as_ref().map(|kek| kek.fingerprint.to_string()),
        "left_out": told.left_out,
        "people": told.seen.people(ceremony, texts),
        "codes_": page::codes(&show::named(&signed)?, HEAD_FILE, texts)?,
    });
    let side = texts.get(&format!("side.{side}"), &[]);
    let title = texts.get("page.transcript.title", &[("side", &side)]);
    Ok(("transcript.html", title, body))
}

/// What the log tells.
struct LogSummary {
    entries: Vec<Value>,
    /// Which entries are left out, and why; empty where none is.
    left_out: String,
    seen: Attendance,
}

impl LogSummary {
    fn of(ceremony: &Ceremony, texts: &Texts) -> Result<Self> {
        let sentences = Sentences::of(texts.language);
        let (mut entries, mut begun) = (Vec::new(), Vec::new());
        let mut seen = Attendance::default();
        let bytes = ceremony.log_bytes()?;
        for entry in log::entries(&bytes, "the log") {
            let entry = entry?;
            seen.add(&entry.event);
            // What was begun is told by its result.
            if matches!(entry.event, Event::Intent { .. }) {
                begun.push(entry.head.seq);
                continue;
            }
            let said = escape(&sentence(&entry.event, Some(&ceremony.plan), &sentences)?);
            let time = entry.time.to_string();
            entries.push(json!({ "seq": entry.head.seq, "time": time, "said": said }));
        }
        let left_out = match begun.is_empty() {
            true => String::new(),
            false => texts.get("page.transcript.begun", &[("entries", &list(begun))]),
        };
        Ok(LogSummary { entries, left_out, seen })
    }
}

/// The two sides, and what the plan calls them.
fn organisations(ceremony: &Ceremony, texts: &Texts) -> Vec<Value> {
    let one = |side: Side| {
        let name = escape(&ceremony.plan.party(side).name);
        json!({ "side": texts.get(&format!("side.{side}"), &[]), "name": name })
    };
    Side::ALL.into_iter().map(one).collect()
}

/// The keys of the plan, with the hashes of their public halves as far as this side's record has
/// them.
fn keys(ceremony: &Ceremony, texts: &Texts) -> Vec<Value> {
    let known = |label: &Id| ceremony.state.keys.iter().find(|key| key.label == *label);
    let one = |key: &KeyPlan| {
        let spki = known(&key.label).map(|known| known.spki.to_string());
        let role = texts.get(&format!("page.transcript.{}", key.role), &[]);
        json!({ "label": key.label.as_str(), "role": role, "spki": spki })
    };
    ceremony.plan.keys.iter().map(one).collect()
}

/// Who is on record, by id: with a signature, a confirmation or a share.
#[derive(Default)]
struct Attendance {
    signed: BTreeSet<String>,
    held: BTreeSet<String>,
    /// Custodians whose deputies came.
    deputised: BTreeSet<String>,
}

impl Attendance {
    fn add(&mut self, event: &Event) {
        let mut came = |id: &Id, deputy| match deputy {
            true => self.deputised.insert(id.to_string()),
            false => self.held.insert(id.to_string()),
        };
        match event {
            Event::ShareConfirm { custodian, deputy } => drop(came(custodian, *deputy)),
            Event::Quorum { custodians, deputies, .. } => {
                for id in custodians {
                    came(id, deputies.contains(id));
                }
            }
            _ => {}
        }
        self.signed.extend(event.signatures().iter().map(|one| one.id.to_string()));
    }

    /// Everybody of the plan who belongs to this side's record, and how they are on it.
    fn people(&self, ceremony: &Ceremony, texts: &Texts) -> Value {
        let mut people = people(ceremony);
        for one in people.as_array_mut().into_iter().flatten() {
            let id = one["id"].as_str().unwrap_or_default();
            let how = match one["role"].as_str() {
                Some("custodian") if self.held.contains(id) => "held",
                Some("custodian") if self.deputised.contains(id) => "deputy",
                Some("officer" | "witness") if self.signed.contains(id) => "signed",
                _ => "absent",
            };
            one["record"] = texts.get(&format!("page.transcript.{how}"), &[]).into();
        }
        people
    }
}
