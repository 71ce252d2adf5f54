//! What several documents show in the same words.

use super::Page;
use crate::{
    document::{
        Listed,
        attestation::Attestation,
        parts::{ReadBack, TokenIdentity},
    },
    plan::Id,
    proof::Proof,
    report::list_or,
};

pub(super) fn attestations(page: &mut Page, attestations: &[Attestation]) {
    for one in attestations {
        for (file, listing) in one.files() {
            listed(page, &format!("the vendor's word on {}", one.of), &file, &listing);
        }
    }
}

pub(super) fn listed(page: &mut Page, what: &str, file: &str, listed: &Listed) {
    page.line(format!(
        "    {what}: the file {file}, {} bytes, SHA-256 {}",
        listed.length, listed.hash
    ));
}

pub(super) fn token(page: &mut Page, token: &TokenIdentity) {
    page.value(
        "token",
        format!(
            "{} {}, serial {}, firmware {}, label {}: a claim of its module",
            token.manufacturer, token.model, token.serial, token.firmware, token.label
        ),
    );
}

pub(super) fn attributes(page: &mut Page, what: &str, attributes: &[ReadBack]) {
    page.line(format!("    {what}:"));
    for read in attributes {
        page.line(format!("      {} {}", read.attribute, read.value));
    }
}

pub(super) fn proofs(page: &mut Page, proofs: &[Proof]) {
    for proof in proofs {
        page.line(format!("  a proof of {} at {}", proof.label, proof.place));
    }
}

pub(super) fn ids(ids: &[Id]) -> String {
    list_or("nobody", ids)
}
