//! `plan new --from`: next year's ceremony with the same people, written from last year's plan.
//! Comments stay; what must not come twice is made new, and the file begins with what people have
//! to look at.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Date;
use toml_edit::{DocumentMut, Item, TableLike};

use crate::rehearsal::{difference, each, replace, unreadable};
use record::encoding::random;
use record::log::now;
use record::{Fixed, Plan, Result, ServicePlan, TransferRoute, Trial, folder};

/// How the first line of such a plan begins.
const HEADER: &str = "# A renewal. ";
/// How long the month in a date is, `2026-11`.
const MONTH: usize = 7;
/// The longest id, in characters.
const MAX_ID: usize = 40;

/// Writes a plan from an older one into a new file, and says what differs.
///
/// # Errors
/// Every fault of the older plan; `FILE-EXISTS`; [`record::Error::Failed`] where it can't be
/// written.
pub fn renew_plan(from: &Path, new: &Path) -> Result<Vec<String>> {
    let plan = Plan::read(from)?;
    let text = String::from_utf8_lossy(plan.bytes()).into_owned();
    let document: DocumentMut = text.parse().map_err(|error| unreadable(from, &error))?;
    let changed = renewed(document, &plan, Fixed::<32>(random()?), &now()?);
    Plan::parse(changed.clone().into_bytes())?;
    folder::write_new(new, changed.as_bytes())?;
    difference(&text, &changed, from)
}

fn renewed(mut document: DocumentMut, plan: &Plan, nonce: Fixed<32>, today: &str) -> String {
    let ceremony = successor(plan.ceremony.as_str(), today, Undated::Counted, &[]);
    let labels = labels(plan, today);
    replace(document.as_table_mut(), "ceremony", ceremony.into());
    replace(document.as_table_mut(), "nonce", nonce.to_string().into());
    document.remove("supersedes");
    each(&mut document["keys"], |key| {
        let old = key.get("label").and_then(Item::as_str).unwrap_or_default();
        if let Some(new) = labels.get(old).cloned() {
            replace(key, "label", new.into());
        }
    });
    if let Some(target) = document["target"].as_table_like_mut() {
        renew_target(target);
    }
    let text = document.to_string();
    format!("{}{}", header(plan, &labels), without_header(&text))
}

/// Whatever the keys of last time were to the cluster, now they are what is replaced.
fn renew_target(target: &mut dyn TableLike) {
    target.remove("trial");
    if target.contains_key("deployment") {
        replace(target, "deployment", "rotation".into());
    }
}

/// A label for each key that none of last time has: at the tenant a label names one key.
fn labels(plan: &Plan, today: &str) -> BTreeMap<String, String> {
    let old: Vec<&str> = plan.keys.iter().map(|key| key.label.as_str()).collect();
    let mut taken: Vec<String> = old.iter().map(|&label| label.to_owned()).collect();
    let mut labels = BTreeMap::new();
    for label in old {
        let new = successor(label, today, Undated::Dated, &taken);
        taken.push(new.clone());
        labels.insert(label.to_owned(), new);
    }
    labels
}

/// What an id gets that ends with no date.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undated {
    /// The next number.
    Counted,
    /// Today's month.
    Dated,
}

/// The id that follows another: its day, month or year at the end becomes today's, or else it is
/// counted. None of `taken`.
fn successor(id: &str, today: &str, undated: Undated, taken: &[String]) -> String {
    let (base, number) = match dated(id) {
        Some(_) => (id, 1),
        None => counted(id),
    };
    let (stem, date) = match (dated(base), undated) {
        (Some((stem, length)), _) => (stem, today.get(..length)),
        (None, Undated::Dated) => (base, today.get(..MONTH)),
        (None, Undated::Counted) => (base, None),
    };
    let candidate = |n: u32| match (date, n) {
        (None, 1) => stem.to_owned(),
        (None, n) => joined(stem, &n.to_string()),
        (Some(date), 1) => joined(stem, date),
        (Some(date), n) => joined(stem, &format!("{date}-{n}")),
    };
    // The same day, month or year again is counted on.
    let mut n = if candidate(1) == base { number + 1 } else { 1 };
    while candidate(n) == id || taken.contains(&candidate(n)) {
        n += 1;
    }
    candidate(n)
}

/// What stands before `-2026-11-30`, `-2026-11` or `-2026` at the end, and how long that date is.
fn dated(id: &str) -> Option<(&str, usize)> {
    ["2026-01-01".len(), MONTH, "2026".len()].into_iter().find_map(|length| {
        let (before, date) = id.split_at_checked(id.len().checked_sub(length)?)?;
        let whole = format!("{date}{}", "2026-01-01".get(length..)?);
        let day = date.starts_with("20") && whole.parse::<Date>().is_ok();
        before.strip_suffix('-').filter(|_| day).map(|stem| (stem, length))
    })
}

/// What stands before a number at the end, and that number; 1 where there is none.
fn counted(id: &str) -> (&str, u32) {
    let number = |text: &str| {
        let number = text.parse().ok().filter(|number| *number > 1)?;
        (text.len() <= 3 && !text.starts_with('0')).then_some(number)
    };
    id.rsplit_once('-').and_then(|(before, last)| Some((before, number(last)?))).unwrap_or((id, 1))
}

/// An id with a suffix; a long one loses its end for it.
fn joined(id: &str, suffix: &str) -> String {
    let room = MAX_ID.saturating_sub(suffix.len() + 1);
    let stem: String = id.chars().take(room).collect();
    format!("{stem}-{suffix}")
}

/// What people must look at before they sign.
fn header(plan: &Plan, labels: &BTreeMap<String, String>) -> String {
    let renamed = plan.keys.iter().filter_map(|key| {
        let new = labels.get(key.label.as_str())?;
        Some(format!("#       {} -> {new}\n", key.label))
    });
    let mut removed = String::new();
    if plan.supersedes.is_some() {
        removed
            .push_str("#   - supersedes is gone: this plan takes the place of no aborted one.\n");
    }
    if plan.trial != Trial::None {
        removed.push_str("#   - trial is gone. A production plan can name one of this year: by its closing's SHA-256.\n");
    }
    let kept = match plan.way {
        TransferRoute::Brought => {
            "#   - keys: each spki still names last year's key. Put in that of the new one.\n"
        }
        _ => "",
    };
    let target = match plan.target {
        ServicePlan::Local { .. } => "nodes as they are now, in their order.",
        ServicePlan::Cloud(_) => "the service; its KEK will be another.",
        ServicePlan::Hgs { .. } => {
            "nodes as they are now, in their order; ksp; deployment is \"rotation\": last year's keys are primary."
        }
    };
    format!(
        "{HEADER}This plan was made (plan new --from) from that of {}, whose SHA-256 is\n\
         # {}\n\
         # Nobody has signed it. Before anybody does, look at these, and then take this comment out or let it stay:\n\
         #   - tenant, hoster, witnesses, custodians: who still is, and whose SSH key or recipient is another now.\n\
         #   - hsm of both sides; [software]: the SHA-256 of this year's programs and modules.\n\
         #   - [target]: {target}\n\
         #   - waivers: what this year's tokens and machines still need.\n\
         {removed}{kept}\
         #   - keys: new ones are made. They have new labels, as a label names one key in the tenant's HSM:\n\
         {}\n",
        plan.ceremony,
        plan.hash(),
        renamed.collect::<String>()
    )
}

/// A plan's text without the comment of an earlier renewal.
fn without_header(text: &str) -> &str {
    match text.starts_with(HEADER) {
        true => text.split_once("\n\n").map_or(text, |(_, rest)| rest),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_followed_by_one_that_is_new() {
        let today = "2027-11-05T12:00:00Z";
        for (id, counted, dated) in [
            ("contoso-2026-11", "contoso-2027-11", "contoso-2027-11"),
            ("contoso-2026", "contoso-2027", "contoso-2027"),
            ("contoso-2027-11", "contoso-2027-11-2", "contoso-2027-11-2"),
            ("contoso-2027-11-2", "contoso-2027-11-3", "contoso-2027-11-3"),
            ("contoso-2026-11-2", "contoso-2027-11", "contoso-2027-11"),
            ("contoso-2026-11-30", "contoso-2027-11-05", "contoso-2027-11-05"),
            ("contoso-2027-11-05", "contoso-2027-11-05-2", "contoso-2027-11-05-2"),
            ("contoso-2026-11-31", "contoso-2027-11", "contoso-2027-11"),
            ("contoso-1926", "contoso-1926-2", "contoso-1926-2027-11"),
            ("contoso-2026-13", "contoso-2027", "contoso-2027"),
            ("contoso", "contoso-2", "contoso-2027-11"),
            ("contoso-2", "contoso-3", "contoso-2027-11"),
            ("contoso-1", "contoso-1-2", "contoso-1-2027-11"),
            ("2026", "2026-2", "2026-2027-11"),
        ] {
            assert_eq!(successor(id, today, Undated::Counted, &[]), counted);
            assert_eq!(successor(id, today, Undated::Dated, &[]), dated, "{id}");
        }
        let long = "x".repeat(MAX_ID);
        let new = successor(&long, today, Undated::Dated, &[]);
        assert_eq!(new, format!("{}-2027-11", "x".repeat(32)));
        let taken = [new];
        let other = successor(&long, today, Undated::Dated, &taken);
        assert_eq!(other, format!("{}-2027-11-2", "x".repeat(32 - 2)));
        assert!(other.parse::<record::terms::Id>().is_ok());
    }
}
