//! Where each field of each event comes from: what determines it, or why nothing does. The table of
//! event fields in docs/formats.md is made from this one; a test changes every field of kept
//! records, and finds that only claims can be changed.

use std::collections::BTreeMap;

use crate::{Error, Event, Result};

/// Where a field comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Something else that is on record determines it; this.
    Derived(&'static str),
    /// Its writer's word, or what people said; nothing on record determines it, because of this.
    Claim(&'static str),
}

/// A field of an event.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds, in the words of docs/formats.md.
    pub holds: &'static str,
    /// Where it comes from.
    pub source: Source,
}

macro_rules! fields {
    ($($event:literal { $($name:literal $holds:literal $source:ident $why:literal;)* })*) => {
        /// Every event with its fields, in the order of docs/formats.md.
        pub const FIELDS: &[(&str, &[Field])] = &[$(
            ($event, &[$(Field { name: $name, holds: $holds, source: Source::$source($why) },)*]),
        )*];
    };
}

fields! {
    "init" {
        "ceremony" "id" Derived "the plan";
        "mode" "`rehearsal` or `production`" Derived "the plan";
        "side" "`tenant` or `hoster`" Derived "the log's side: steps, documents and signers are of one";
        "plan" "hash" Derived "the plan's bytes";
        "way" "absent where it is `carried`" Derived "the plan";
        "waived" "rules" Derived "the plan's waivers, in its order";
        "signatures" "over the plan" Derived "the signature files beside the plan";
        "version" "text, Keyferry's" Claim "no document says which program wrote it";
        "superseded" "hash, optional: the head of the aborted ceremony's log that was shown" Claim "that log is of another record; only where the plan supersedes a ceremony";
        "trial" "hash, optional: the closing of the trial whose record was shown" Derived "the plan; the tenant may begin without it";
    }
    "approval" {
        "gate" "of the request" Derived "the request";
        "subject" "hash of the request's subject ([12](#12-approval-requests))" Derived "the request, which the state of the log determines";
        "request" "hash" Derived "the request";
        "signatures" "over the request" Derived "the signature files beside the request";
    }
    "intent" {
        "step" "in the spelling of its event" Derived "the result that follows it; of a run that was cut off, a step that the phase allows";
        "attempt" "integer" Derived "the entries before it";
    }
    "kek-create" {
        "document" "hash of the offer" Derived "the offer";
        "kek" "`{\"id\": hex 20, \"fingerprint\": hash}`" Derived "the offer";
        "token" "it is in" Derived "the offer";
        "observed" "what unwrapping was seen to do" Derived "the offer";
        "attributes" "as read back" Derived "the offer";
        "waived" "rules that the token misses" Derived "the offer";
        "attested" "the [level](#511-attestations) that was reached" Derived "the offer's attestations, judged at the time of the entry";
    }
    "offer-check" {
        "document" "hash of the offer" Derived "the offer";
        "attempt" "of the offer" Derived "the offer";
        "fingerprint" "of the KEK" Derived "the offer";
        "attested" "the level that was reached" Derived "the offer's attestations, judged at the time of the entry";
        "signatures" "over the offer" Derived "the signature files beside the offer";
    }
    "kek-trust" {
        "kek" "the CKA_ID of its trusted half, and the fingerprint" Derived "the plan, and the offer that was taken";
        "token" "that trusts it" Claim "no document of the tenant names the token of this step; one of the plan's, where it names any";
        "attributes" "of the trusted half" Derived "what every trusted KEK has (PKCS#11 v3.1, 4.8)";
    }
    "kek-untrust" {
        "kek" "as in the `kek-trust` before it: its trusted half is gone from the token" Derived "the `kek-trust` before it";
    }
    "keys-create" {
        "document" "hash of `keys`, at the hoster only, and there always" Derived "the document `keys`";
        "attested" "the level, where there is a document" Derived "its attestations, judged at the time of the entry";
        "token" "they are in" Claim "at the tenant, whose documents name the token that wrapped, which may be another of the plan's; at the hoster it is that of `keys`";
        "keys" "the keys" Derived "`keys`, or the package; `made` at the tenant is its own word: `--existing` finds keys";
    }
    "keys-check" {
        "document" "hash of the challenge" Derived "the challenge";
        "taken" "hash of `keys`" Derived "the document `keys`";
        "attempt" "of `keys`" Derived "the document `keys`";
        "fingerprint" "whose words were typed" Derived "the document `keys`";
        "package_id" "hex 16, the challenge's" Derived "the challenge";
        "keys" "the keys, none of them `made`" Derived "the document `keys`, and the challenge";
        "attested" "the level that was reached" Derived "the attestations of `keys`, judged at the time of the entry";
        "signatures" "over `keys`" Derived "the signature files beside `keys`";
    }
    "answer" {
        "document" "hash of the receipt" Derived "the receipt";
        "challenge" "hash" Derived "the challenge";
        "attempt" "of the challenge" Derived "the challenge";
        "package_id" "hex 16" Derived "the challenge";
        "token" "the keys are in" Derived "the receipt";
        "signatures" "over the challenge" Derived "the signature files beside the challenge";
    }
    "export" {
        "document" "hash of the package" Derived "the package";
        "package_id" "hex 16" Derived "the package";
        "fingerprint" "of the KEK" Derived "the package";
        "observed" "what wrapping was seen to do" Derived "the package";
        "token" "that wrapped" Derived "the package";
        "shares" "each `{\"custodian\": id, \"file\": hash}`" Derived "the package, and the plan's custodians";
    }
    "cloud-export" {
        "format" "of the service" Derived "the plan";
        "fingerprint" "of the service's KEK" Derived "the request that was approved";
        "observed" "what wrapping was seen to do" Claim "a cloud's way has no document";
        "token" "that wrapped" Claim "a cloud's way has no document; one of the plan's, where it names any";
        "files" "each `{\"label\": id, \"file\": hash}`, in the plan's order" Claim "the files go to the service and are no part of the record; the labels are the plan's";
    }
    "import-plain" {
        "document" "hash of `keys`" Derived "the document `keys`";
        "fingerprint" "of the KEK" Derived "the entry `kek-create`, and so the offer";
        "attested" "the level" Derived "the document `keys`";
        "token" "they are in" Derived "the document `keys`";
        "keys" "the keys" Derived "the document `keys`; each `made`, unless the step was cut off before";
        "wrapped" "the hash of each wrapped key, in the plan's order" Derived "the request that was approved";
    }
    "share-confirm" {
        "custodian" "id" Claim "who came; one of the plan's";
        "deputy" "true, where it was the deputy; else absent" Claim "who came; only where the plan has a deputy";
    }
    "share-reissue" {
        "custodian" "id" Claim "who asked; one of the plan's";
        "file" "hash" Derived "the share of that custodian in `export`, and so the package";
    }
    "release" {
        "kind" "of document" Derived "the document that waits";
        "document" "hash" Derived "the document that waits";
        "signatures" "over it" Derived "the signature files beside it";
    }
    "package-check" {
        "document" "hash of the package" Derived "the package";
        "attempt" "of the package" Derived "the package";
        "package_id" "hex 16" Derived "the package";
        "signatures" "over the package" Derived "the signature files beside it";
    }
    "quorum" {
        "custodians" "ids" Derived "the receipt of the import that follows; of a run that was cut off, who came";
        "spent" "ids: those whose identity was opened on this machine" Derived "the receipt of the import that follows; of a run that was cut off, who came";
        "deputies" "ids, absent where none: those of them whose deputy's recipient the identity has" Claim "the receipt does not say who came for whom; only where the plan has a deputy";
        "changed" "absent where none: share files that line ends, white space or missing armour made other files, each `{\"custodian\": id, \"brought\": hash, \"taken\": hash}`, once for each custodian at most" Claim "the file that was brought is not kept; `taken`, another hash, is that of the custodian's share in the package, and the custodian's identity was opened";
    }
    "import" {
        "document" "hash of the receipt" Derived "the receipt";
        "token" "they are in" Derived "the receipt";
        "keys" "the keys" Derived "the package; each `made`, unless the step was cut off before";
    }
    "receipt-check" {
        "document" "hash of the receipt" Derived "the receipt";
        "signatures" "over it" Derived "the signature files beside it";
    }
    "register" {
        "brief" "hash of `register/registration.json`" Derived "the plan, and the package or challenge";
        "target" "text, the plan's `target.kind`" Derived "the plan";
        "nodes" "ids, the plan's" Derived "the plan";
    }
    "evidence" {
        "node" "id" Derived "the evidence";
        "stage" "`ready` or `active`" Derived "the evidence";
        "evidence" "hash of the file" Derived "the evidence";
        "machine" "text: the node's own word for its name" Derived "the evidence";
        "proved" "text: the node's own word for the time" Derived "the evidence";
        "unpassed" "texts, absent where all pass: what of the [diagnostics](#21-the-register-folder-and-what-nodes-prove) does not" Derived "the evidence, and the request that was approved";
    }
    "primary" {
        "order" "hash of the order to activate" Derived "the entries before it, and the request that was approved";
        "former" "[primaries](#21-the-register-folder-and-what-nodes-prove), what every node saw as primary before" Derived "the evidence, and the request that was approved";
    }
    "registration" {
        "document" "hash of the registration" Derived "the registration";
    }
    "rollback" {
        "order" "hash of the order to roll back" Derived "the entries before it, and the request that was approved";
    }
    "nodes" {
        "removed" "ids, absent where empty" Derived "the request that was approved";
        "replaced" "ids, absent where empty" Derived "the request that was approved";
    }
    "retire" {
        "thumbprint" "text" Claim "the certificate of a former key is no part of the record";
        "spki" "hash" Claim "the certificate of a former key is no part of the record";
        "token" "that was searched" Claim "no document names it; one of the plan's, where it names any";
    }
    "accept" {
        "document" "hash of the acceptance" Derived "the acceptance";
        "registration" "hash" Derived "the registration";
        "signatures" "over the registration" Derived "the signature files beside it";
        "metadata" "absent where it is empty: as the acceptance lists it, each `{\"node\": id, \"file\": hash, \"fetched_by\": id, \"fetched_from\": text}`" Derived "the acceptance";
    }
    "kek-destroy" {
        "document" "hash of the closing" Derived "the closing";
        "acceptance" "hash, absent after an abort" Derived "the acceptance";
        "fingerprint" "of the KEK" Derived "the entry `kek-create`, and the closing";
        "keys" "labels, absent where none: imported keys that were destroyed with it, after an abort" Claim "which of those that officers signed for were still there; no document says";
        "signatures" "over the acceptance; none after an abort" Derived "the signature files beside it";
    }
    "acceptance-check" {
        "document" "hash of the closing" Derived "the closing";
        "acceptance" "hash" Derived "the acceptance";
        "signatures" "over the acceptance" Derived "the signature files beside it";
    }
    "keys-destroy" {
        "document" "hash of the closing" Derived "the closing";
        "keys" "labels of those that were there" Claim "which of those that officers signed for were still there; no document says";
    }
    "source-destroy" {
        "closing" "hash" Derived "the closing";
        "backup" "text, the closing's" Derived "the closing";
        "token" "that was searched" Claim "no document names it; one of the plan's, where it names any";
        "keys" "labels of those that were there" Claim "which of those that officers signed for were still there; no document says";
        "signatures" "over the closing" Derived "the signature files beside it";
    }
    "restart" {
        "attempt" "integer: the one that begins" Derived "the entries before it";
        "reason" "text" Derived "the request that was approved";
    }
    "abort" {
        "reason" "text" Derived "the request that was approved";
        "left" "texts: what was still in the HSM when somebody looked" Claim "what was seen in the HSM; no document says";
    }
    "close" {
        "count" "integer: entries, this one included (else `LOG-EVENT`)" Derived "the entry's number";
        "closing" "hash, on the tenant's side only, where no `source-destroy` took it" Derived "the closing";
        "source" "`keep` or `destroy`, the plan's, on the tenant's side where it has accepted and the keys are its own" Derived "the plan, and the entries before it";
    }
    "note" {
        "remark" "what people say, below" Claim "their words; the number of a copy is one more than the last of its page";
    }
    "repair" {
        "bytes" "integer" Claim "what was removed is gone";
        "hash" "of the bytes removed" Claim "what was removed is gone";
    }
    "refusal" {
        "rule" "that refused a step; or, while a question went on, the words that were typed (`WORDS-MISMATCH`)" Claim "what was refused left nothing";
        "found" "text: the first 500 characters, escaped for a terminal" Claim "what was refused left nothing";
    }
    "preflight" {
        "findings" "each `{\"rule\": rule, \"found\": text, \"outcome\": outcome}`, in the order in which they were looked at; `found` as in `refusal`; `outcome` is `holds`, `broken`, or `waived`: broken, and the plan waives the rule" Claim "what a machine says of itself; only what the plan waives is called waived";
    }
}

/// How often each claim stands in these events, by `event.field`; so does what is a claim within a
/// field that is none.
///
/// # Errors
/// [`Error::Failed`] where an event can't be encoded.
pub fn claims<'a>(events: impl Iterator<Item = &'a Event>) -> Result<BTreeMap<String, usize>> {
    let mut all = BTreeMap::new();
    for event in events {
        let (name, said) = (event.name(), serde_json::to_value(event).map_err(Error::encoding)?);
        let (_, fields) = FIELDS
            .iter()
            .find(|(of, _)| *of == name)
            .ok_or_else(|| Error::defect(format!("the table of fields has no event {name}")))?;
        let claimed = fields.iter().filter(|field| matches!(field.source, Source::Claim(_)));
        for field in claimed.filter(|field| said.get(field.name).is_some()) {
            *all.entry(format!("{name}.{}", field.name)).or_default() += 1;
        }
        // What `--existing` makes legal either way.
        if let Event::KeysCreate { document: None, keys, .. } = event {
            *all.entry(format!("{name}.keys.made")).or_default() += keys.len();
        }
    }
    Ok(all)
}

/// Where a field of an event comes from.
pub fn source(event: &str, field: &str) -> Option<Source> {
    let (_, fields) = FIELDS.iter().find(|(name, _)| *name == event)?;
    fields.iter().find(|one| one.name == field).map(|one| one.source)
}
