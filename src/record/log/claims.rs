//! What of a log nothing else on record determines: its writer's word, or what people said. Of every
//! field of every event the table in docs/formats.md says where it comes from. A test holds both to
//! each other; another changes every field of kept records, and finds that only these can be changed.

use std::collections::BTreeMap;

use crate::{Error, Event, Result};

/// The events that have claims, each with the names of these fields.
pub const CLAIMS: &[(&str, &[&str])] = &[
    ("init", &["version", "superseded"]),
    ("kek-trust", &["token"]),
    ("keys-create", &["token"]),
    ("cloud-export", &["observed", "token", "files"]),
    ("share-confirm", &["custodian", "deputy"]),
    ("share-reissue", &["custodian"]),
    ("quorum", &["deputies", "changed"]),
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
        let fields = CLAIMS.iter().filter(|(of, _)| *of == name).flat_map(|(_, fields)| *fields);
        for field in fields.filter(|field| said.get(field).is_some()) {
            *all.entry(format!("{name}.{field}")).or_default() += 1;
        }
        // What `--existing` makes legal either way.
        if let Event::KeysCreate { document: None, keys, .. } = event {
            *all.entry(format!("{name}.keys.made")).or_default() += keys.len();
        }
    }
    Ok(all)
}
