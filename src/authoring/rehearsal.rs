//! `plan rehearse`: a real plan becomes one for a rehearsal. Mode, HSMs and people's keys change,
//! the trial that went before is not named, and where the rehearsal's tokens can do less, the way
//! and its waivers change; nothing else, and what changed is printed from the two files, not from
//! the intention.

use std::path::{Path, PathBuf};

use toml_edit::{
    Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value, value,
};

use crate::forecast::ways;
use crate::foretelling::Probes;
use crate::proposal::{propose, strongest};
use probe::Probe;
use record::command::CommandLine;
use record::{Error, Mode, Plan, Program, Result, Rule, escape, folder};

/// The greatest size of a person's public key or recipients, in bytes.
const MAX_KEY: u64 = 16 << 10;

/// Derives the rehearsal of a plan into a new file, and says what differs.
///
/// `people` holds the keys that serve in the rehearsal: `ID.pub` (OpenSSH) of each officer and of
/// each witness with a key, `ID.recipient` (age, one per line) of each custodian.
///
/// # Errors
/// Every fault of the plan; `FILE-EXISTS`; [`Error::Failed`] for keys that are missing, each named;
/// `HSM-MECHANISM` where no way is left.
pub fn rehearse_plan(
    file: &Path,
    new: &Path,
    people: &Path,
    probes: Option<&Probes>,
) -> Result<Vec<String>> {
    let plan = Plan::read(file)?;
    if plan.mode == Mode::Rehearsal {
        return Err(Error::usage(
            format!("{} is a rehearsal already", file.display()),
            "give the plan of the real ceremony",
        ));
    }
    let text = String::from_utf8_lossy(plan.bytes()).into_owned();
    let mut document: DocumentMut = text.parse().map_err(|error| unreadable(file, &error))?;
    document["mode"] = value("rehearsal");
    // Only a production plan comes after a trial.
    if let Some(target) = document["target"].as_table_like_mut() {
        target.remove("trial");
    }
    let mut keys = Keys { people, missing: Vec::new() };
    for side in ["tenant", "hoster"] {
        each(&mut document[side]["officers"], |officer| keys.ssh(officer));
        let probe = probes.map(|probes| match side {
            "tenant" => &probes.tenant.probe,
            _ => &probes.hoster.probe,
        });
        hsm(&mut document[side], probe);
    }
    if let Some(witnesses) = document.get_mut("witnesses") {
        each(witnesses, |witness| {
            if witness.contains_key("key") {
                keys.ssh(witness);
            }
        });
    }
    let custodians = document.get_mut("quorum");
    if let Some(custodians) = custodians.and_then(|quorum| quorum.get_mut("custodians")) {
        each(custodians, |custodian| keys.age(custodian));
    }
    keys.all_there()?;
    if let Some(probes) = probes {
        way(&mut document, &plan, probes)?;
    }
    let changed = document.to_string();
    let rehearsal = Plan::parse(changed.clone().into_bytes())?;
    if rehearsal.mode != Mode::Rehearsal {
        return Err(Error::defect("the plan did not become a rehearsal"));
    }
    folder::write_new(new, changed.as_bytes())?;
    difference(&text, &changed, file)
}

/// Calls `act` for each table of an array, of either form.
pub(super) fn each(item: &mut Item, mut act: impl FnMut(&mut dyn TableLike)) {
    match item {
        Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|table| act(table)),
        Item::Value(Value::Array(array)) => {
            for table in array.iter_mut().filter_map(Value::as_inline_table_mut) {
                act(table);
            }
        }
        _ => {}
    }
}

/// The keys of the rehearsal.
struct Keys<'a> {
    people: &'a Path,
    missing: Vec<(PathBuf, String)>,
}

impl Keys<'_> {
    fn ssh(&mut self, person: &mut dyn TableLike) {
        let id = id_of(person);
        let how = Program::SshKeygen.line("-t ed25519 -C ID -f ID").with("ID", &id);
        if let Some(line) = self.lines(&format!("{id}.pub"), how).into_iter().next() {
            let key: Vec<&str> = line.split_whitespace().take(2).collect();
            replace(person, "key", key.join(" ").into());
        }
    }

    fn age(&mut self, person: &mut dyn TableLike) {
        let id = id_of(person);
        let how =
            Program::Custodian.line("identity new ID.identity > ID.recipient").with("ID", &id);
        let recipients: Array = self.lines(&format!("{id}.recipient"), how).into_iter().collect();
        if !recipients.is_empty() {
            replace(person, "recipients", recipients.into());
        }
    }

    fn lines(&mut self, file: &str, how: CommandLine) -> Vec<String> {
        let path = self.people.join(file);
        let read = folder::read_file(&path, MAX_KEY).ok();
        let text = read.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let lines: Vec<String> = (text.lines().map(str::trim))
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        if lines.is_empty() {
            self.missing.push((path, how.to_string()));
        }
        lines
    }

    fn all_there(self) -> Result<()> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let line = |(path, how): &(PathBuf, String)| format!("\n  {}    {how}", path.display());
        let missing: String = self.missing.iter().map(line).collect();
        Err(Error::failed(
            format!("keys for the rehearsal are missing:{missing}"),
            "let each person make theirs, for the rehearsal alone, and put the public halves there",
        ))
    }
}

fn id_of(person: &dyn TableLike) -> String {
    let id = person.get("id").and_then(Item::as_str);
    id.unwrap_or_default().to_owned()
}

/// Puts a value in place of another and leaves what stands around it.
pub(super) fn replace(table: &mut dyn TableLike, key: &str, mut new: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        // `insert` over a key that is there would take its comment away.
        None => {
            table.insert(key, Item::Value(new));
        }
    }
}

/// The HSM of the rehearsal, or none: then any will do.
pub(super) fn hsm(party: &mut Item, probe: Option<&Probe>) {
    let Some(party) = party.as_table_like_mut() else {
        return;
    };
    let Some(token) = probe.map(|probe| &probe.token) else {
        party.remove("hsm");
        return;
    };
    let mut hsm = InlineTable::new();
    hsm.insert("manufacturer", token.manufacturer.as_str().into());
    hsm.insert("model", token.model.as_str().into());
    hsm.insert("serials", Array::from_iter([token.serial.as_str()]).into());
    party.insert("hsm", value(hsm));
}

/// The plan's own way if the rehearsal's tokens can it, else the strongest that they can; and the
/// waivers that it needs.
fn way(document: &mut DocumentMut, plan: &Plan, probes: &Probes) -> Result<()> {
    let (tenant, hoster) = (&probes.tenant.probe, &probes.hoster.probe);
    let own = (plan.transfer.mechanism, plan.transfer.oaep_hash);
    let as_planned = ways(tenant, hoster).contains(&own).then(|| propose(tenant, hoster, own).ok());
    let proposal = as_planned.flatten().map_or_else(|| strongest(tenant, hoster), Ok)?;
    let transfer = document["transfer"].or_insert(Item::Table(Table::new()));
    if (proposal.mechanism, proposal.oaep_hash) != own {
        transfer["mechanism"] = value(proposal.mechanism.name());
        transfer["oaep_hash"] = value(proposal.oaep_hash.name());
    }
    let of_the_way = [Rule::WrapComposite, Rule::WrapOaepSha1, Rule::TargetWrapWithTrusted];
    let kept = plan.waivers.iter().filter(|waiver| {
        !of_the_way.contains(&waiver.rule) || (proposal.mechanism, proposal.oaep_hash) == own
    });
    let kept: Vec<_> = kept.map(|waiver| (waiver.rule, waiver.reason.clone())).collect();
    let needed =
        (proposal.waivers.iter()).filter(|(rule, _)| kept.iter().all(|(kept, _)| kept != rule));
    let waivers = waivers(kept.iter().chain(needed).cloned());
    if waivers.is_empty() {
        document.remove("waivers");
    } else {
        document["waivers"] = Item::ArrayOfTables(waivers);
    }
    Ok(())
}

/// Waivers of these rules, each with its reason, in the form that a plan is written in: a reason has
/// no quotation mark, backslash or brace.
pub(super) fn waivers(waived: impl Iterator<Item = (Rule, String)>) -> ArrayOfTables {
    waived
        .map(|(rule, reason)| {
            let reason = reason.replace('"', "'").replace('\\', "/");
            let reason = reason.replace('{', "(").replace('}', ")");
            Table::from_iter([("rule", value(rule.name())), ("reason", value(reason))])
        })
        .collect()
}

/// Every value that differs between two files, whoever changed it.
pub(super) fn difference(old: &str, new: &str, file: &Path) -> Result<Vec<String>> {
    let parse =
        |text: &str| toml::from_str::<toml::Value>(text).map_err(|error| unreadable(file, &error));
    let mut lines = Vec::new();
    compare("", Some(&parse(old)?), Some(&parse(new)?), &mut lines);
    Ok(lines)
}

fn compare(
    at: &str,
    old: Option<&toml::Value>,
    new: Option<&toml::Value>,
    lines: &mut Vec<String>,
) {
    use toml::Value;
    match (old, new) {
        (Some(Value::Table(old)), Some(Value::Table(new))) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            let dot = if at.is_empty() { "" } else { "." };
            for key in keys {
                compare(&format!("{at}{dot}{key}"), old.get(key), new.get(key), lines);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for n in 0..old.len().max(new.len()) {
                compare(&format!("{at}[{n}]"), old.get(n), new.get(n), lines);
            }
        }
        (old, new) if old == new => {}
        (old, new) => {
            let shown = |value: Option<&Value>| {
                value.map_or("none".into(), |value| escape(&value.to_string()))
            };
            lines.push(format!("{at}: {} -> {}", shown(old), shown(new)));
        }
    }
}

pub(super) fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::file(file, escape(&error.to_string()))
}
