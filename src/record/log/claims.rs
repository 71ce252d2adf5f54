//! What of a log nothing else on record determines: its writer's word, or what people said. Of every
//! field of every event the table in docs/formats.md says where it comes from. A test holds both to
//! each other; another changes every field of kept records, and finds that only these can be changed.

/// The events that have claims, each with the names of these fields.
pub const CLAIMS: &[(&str, &[&str])] = &[
    ("init", &["version", "superseded"]),
    ("kek-trust", &["token"]),
    ("keys-create", &["token"]),
    ("cloud-export", &["observed", "token", "files"]),
    ("share-confirm", &["custodian", "deputy"]),
    ("share-reissue", &["custodian"]),
    ("quorum", &["custodians", "spent", "deputies", "changed"]),
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
