//! Which fields of an entry are its writer's word. docs/formats.md says of every field where it
//! comes from; a test finds the same claims there, and another one changes every field of kept
//! records, and finds that nothing but claims can be changed.

use std::collections::BTreeMap;

use crate::log::Event;
use crate::{Error, Result};

/// What nothing on record determines, by event; no other field is a claim.
pub const CLAIMS: &[(&str, &[&str])] = &[
    ("init", &["version", "superseded"]),
    ("kek-trust", &["token"]),
    ("keys-create", &["token"]),
    ("cloud-export", &["observed", "token", "files"]),
    ("share-confirm", &["custodian", "deputy"]),
    ("share-reissue", &["custodian"]),
    ("quorum", &["deputies"]),
    ("retire", &["thumbprint", "spki", "token"]),
    ("kek-destroy", &["keys"]),
    ("keys-destroy", &["keys"]),
    ("source-destroy", &["token", "keys"]),
    ("abort", &["left"]),
    ("note", &["remark"]),
    ("repair", &["bytes", "hash"]),
    ("refusal", &["rule", "found"]),
    ("preflight", &["findings"]),
];

/// How often each claim stands in these events, by `event.field`; so does what is a claim within a
/// field that is none.
///
/// # Errors
/// [`Error::Failed`] where an event can't be encoded.
pub fn claims<'a>(events: impl Iterator<Item = &'a Event>) -> Result<BTreeMap<String, usize>> {
    let mut all = BTreeMap::new();
    for event in events {
        let (name, said) = (event.name(), serde_json::to_value(event).map_err(Error::encoding)?);
        let claimed = CLAIMS.iter().filter(|(of, _)| *of == name).flat_map(|(_, fields)| *fields);
        for field in claimed.filter(|field| said.get(field).is_some()) {
            *all.entry(format!("{name}.{field}")).or_default() += 1;
        }
        // What `--existing` makes legal either way.
        if let Event::KeysCreate { document: None, keys, .. } = event {
            *all.entry(format!("{name}.keys.made")).or_default() += keys.len();
        }
    }
    Ok(all)
}
