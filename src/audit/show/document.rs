//! The documents: what each carries, and what it means that its side's officers sign it.

use serde::de::DeserializeOwned;

use super::{
    Page, Source, Tree, end, parsed,
    parts::{attestations, attributes, ids, listed, proofs, token},
};
use crate::{
    Result,
    document::{
        Document, FORMAT, Header, Kind, acceptance::Acceptance, challenge::Challenge,
        closing::Closing, key_set::certificate_file, keys::Keys, offer::Offer, package::Package,
        receipt::Receipt, registration::Registration,
    },
    encoding::Hash,
    node::{evidence_file, shown},
    phase::name,
    plan::Way,
    signature::Namespace,
    spki,
};

/// Explains a document of any kind.
pub fn show(source: &Source, tree: &Tree) -> Result<Page> {
    let kind = tree.field("header").and_then(|header| header.field("document"));
    let found = kind.and_then(Tree::text).unwrap_or("none");
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == found) else {
        return Err(source.unknown(&format!("a document of the kind {found:?}")));
    };
    match kind {
        Kind::Offer => typed(source, kind, offer),
        Kind::Package => typed(source, kind, package),
        Kind::Keys => typed(source, kind, keys),
        Kind::Challenge => typed(source, kind, challenge),
        Kind::Receipt => typed(source, kind, receipt),
        Kind::Registration => typed(source, kind, registration),
        Kind::Acceptance => typed(source, kind, acceptance),
        Kind::Closing => typed(source, kind, closing),
    }
}

/// What a kind is, and what a signature of its side's officers over it means.
fn meaning(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Offer => (
            "the hoster's KEK, for which the tenant will wrap its keys",
            "You release the offer to the tenant: you vouch that this KEK was made in your HSM, for this ceremony only, and is as the offer says.",
        ),
        Kind::Package => (
            "the tenant's keys, each wrapped for the hoster's KEK and sealed so that only a quorum of custodians opens it",
            "You release the package to the hoster: the wrapped and sealed keys may leave. Sign only once the custodians have confirmed their shares.",
        ),
        Kind::Keys => (
            "keys that were born in the hoster's HSM for the tenant",
            "You release the keys to the tenant: you vouch that they were made in your HSM, for this ceremony only, and can never leave it.",
        ),
        Kind::Challenge => (
            "the tenant has taken the hoster's keys by their words, and asks for proofs",
            "You release the challenge to the hoster: you vouch that the words of the keys were read aloud to you and typed. The keys that answer become yours.",
        ),
        Kind::Receipt => (
            "the hoster's HSM holds the tenant's keys, and proves it",
            "You release the receipt to the tenant: you vouch that the keys are in your HSM as it says, and that these custodians, where there are any, opened the seal.",
        ),
        Kind::Registration => (
            "the tenant's keys are the primary keys of the hoster's service, proven at every node",
            "You release the registration to the tenant: you vouch that your service uses these keys, at these nodes, from now on.",
        ),
        Kind::Acceptance => (
            "the tenant has checked every proof; the hoster may end the ceremony",
            "You accept: the hoster may destroy the KEK, where there is one. After that the package can never be imported again.",
        ),
        Kind::Closing => (
            "the hoster has ended the ceremony, and the KEK is gone where there was one; the last document",
            "You release the closing to the tenant: you vouch that what it names is gone from your HSM, backups and clones included.",
        ),
    }
}

fn typed<B: DeserializeOwned>(
    source: &Source,
    kind: Kind,
    body: impl Fn(&mut Page, &Source, &B) -> Result<()>,
) -> Result<Page> {
    let document: Document<B> = parsed(source, &format!("a document of the kind {kind}"))?;
    let header = &document.header;
    let (what, signing) = meaning(kind);
    check(source, header)?;
    let mut page = Page::new(&format!("This is the {kind}: {what}."));
    let named = source.name();
    if named != kind.file() && Kind::ALL.iter().any(|other| other.file() == named) {
        page.line(format!("ITS NAME IS WRONG: it is called {named}")).blank();
    }
    said_first(&mut page, header);
    page.title("WHAT IT SAYS");
    body(&mut page, source, &document.body)?;
    let who = format!("{signing} Officers of the {} sign it, and witnesses may.", header.side);
    page.signing(source, Namespace::Document, &who, &[]);
    let verify =
        "keyferry-audit verify FOLDER, where FOLDER is a side's ceremony folder or its archive";
    end(&mut page, source, verify);
    Ok(page)
}

/// The form of a header, as far as it does not depend on a plan.
fn check(source: &Source, header: &Header) -> Result<()> {
    let kind = header.document;
    let wrong = |found: String| Err(source.broken(&format!("the {kind}"), found));
    if header.format != FORMAT {
        return wrong(format!("format {:?}", header.format));
    }
    if header.side != kind.side() {
        return wrong(format!("made by the {}", header.side));
    }
    if header.attempt == 0 {
        return wrong("attempt 0".into());
    }
    // Keys that another tool has brought answer the offer; those that were born there are the
    // first.
    let wrong_first = match kind {
        Kind::Keys => false,
        kind => header.answers.is_some() == (kind == Kind::Offer),
    };
    if wrong_first {
        return wrong(format!("answers {:?}", header.answers));
    }
    Ok(())
}

fn said_first(page: &mut Page, header: &Header) {
    page.value("ceremony", &header.ceremony)
        .value("made by", format!("the {}", header.side))
        .mode(header.mode)
        .value("attempt", header.attempt);
    let before = [Way::Carried, Way::Born, Way::Brought].map(|way| header.document.answers(way));
    let mut before: Vec<&str> = before.into_iter().flatten().map(Kind::name).collect();
    before.dedup();
    if let Some(answers) = header.answers {
        page.value("answers", format!("the {} {answers}", before.join(" or ")));
    }
    page.value(
        "log",
        format!(
            "made after entry {} of the {}'s log, whose hash is {}",
            header.head.seq, header.side, header.head.hash
        ),
    )
    .plan(&header.plan_hash);
}

fn offer(page: &mut Page, source: &Source, offer: &Offer) -> Result<()> {
    let fingerprint = Hash::of(&offer.spki.0);
    if fingerprint != offer.fingerprint {
        return Err(source.broken(
            "an offer",
            format!("the fingerprint {} of a key that has {fingerprint}", offer.fingerprint),
        ));
    }
    let bits = spki::rsa_bits(&offer.spki.0).map_err(|found| source.broken("an offer", found))?;
    page.value("KEK", format!("RSA-{bits}, id {}", offer.id))
        .value("fingerprint", offer.fingerprint)
        .line("    its words; the first two rows are read aloud by the hoster and typed by the tenant:")
        .words(&offer.fingerprint)
        .value("unwraps by", name(&offer.mechanism))
        .value("OAEP", name(&offer.oaep_hash))
        .value(
            "observed",
            format!("OAEP {}, {}", name(&offer.observed.oaep_hash), name(&offer.observed.kwp)),
        );
    token(page, &offer.token);
    attributes(page, "the KEK's attributes, as its module says", &offer.attributes);
    attestations(page, &offer.attestations);
    for rule in &offer.waived {
        page.line(format!("  the token misses {}: {}", rule.name(), rule.text()));
    }
    Ok(())
}

fn package(page: &mut Page, _: &Source, package: &Package) -> Result<()> {
    page.value("package id", package.package_id)
        .value("wrapped for", format!("the KEK {}", package.kek_fingerprint))
        .value("wrapped by", name(&package.mechanism))
        .value("OAEP", name(&package.oaep_hash))
        .value(
            "seal",
            format!("any {} of {} shares open it", package.threshold, package.shares.len()),
        );
    for share in &package.shares {
        page.line(format!(
            "    share {} of {}: the file {}.age with SHA-256 {}",
            share.x, share.custodian, share.custodian, share.file
        ));
    }
    for key in &package.keys {
        page.line(format!("  key {}, {}", key.label, name(&key.role)))
            .line(format!("    public key (SHA-256): {}", Hash::of(&key.spki.0)));
        listed(page, "certificate", &key.certificate_file(), &key.certificate);
        listed(page, "sealed key", &key.sealed_file(), &key.sealed);
        for challenge in &key.challenges {
            page.line(format!("    a challenge for {}", challenge.place));
        }
    }
    token(page, &package.token);
    Ok(())
}

fn keys(page: &mut Page, _: &Source, keys: &Keys) -> Result<()> {
    page.value("fingerprint", keys.fingerprint)
        .line("    its words; the first two rows are read aloud by the hoster and typed by the tenant:")
        .words(&keys.fingerprint);
    for key in &keys.keys {
        let held = &key.held;
        page.line(format!("  key {}, {}", held.label, name(&key.role)))
            .line(format!("    public key (SHA-256): {}", Hash::of(&key.spki.0)))
            .line(format!("    in the hoster's HSM as {}, id {}", held.hoster_label, held.id));
        let file = certificate_file(&held.label);
        listed(page, "certificate", &file, &key.certificate);
        attributes(page, "its attributes, as its module says", &held.attributes);
    }
    attestations(page, &keys.attestations);
    token(page, &keys.token);
    Ok(())
}

fn challenge(page: &mut Page, _: &Source, challenge: &Challenge) -> Result<()> {
    page.value("challenge id", challenge.package_id);
    for key in &challenge.keys {
        page.line(format!("  key {}, {}", key.label, name(&key.role)))
            .line(format!("    public key (SHA-256): {}", Hash::of(&key.spki.0)));
        let file = certificate_file(&key.label);
        listed(page, "certificate", &file, &key.certificate);
        for challenge in &key.challenges {
            page.line(format!("    a challenge for {}", challenge.place));
        }
    }
    Ok(())
}

fn receipt(page: &mut Page, _: &Source, receipt: &Receipt) -> Result<()> {
    page.value("package id", receipt.package_id)
        .value("opened by", ids(&receipt.custodians))
        .value(
            "spent",
            format!("{}: identities opened on the hoster's machine", ids(&receipt.spent)),
        );
    for key in &receipt.keys {
        page.line(format!(
            "  key {}: in the hoster's HSM as {}, id {}",
            key.label, key.hoster_label, key.id
        ));
        attributes(page, "its attributes, as its module says", &key.attributes);
    }
    proofs(page, &receipt.proofs);
    token(page, &receipt.token);
    Ok(())
}

fn registration(page: &mut Page, _: &Source, registration: &Registration) -> Result<()> {
    page.value("package id", registration.package_id)
        .value("service", &registration.target)
        .value("became primary", &registration.activated)
        .value("by the order", registration.activation)
        .value("before it", shown(&registration.former));
    if !registration.removed.is_empty() {
        page.value("left before", ids(&registration.removed));
    }
    for one in &registration.evidence {
        let what = format!("the evidence of {} {}", one.node, one.stage.name());
        listed(page, &what, &evidence_file(&one.node, one.stage), &one.file);
    }
    Ok(())
}

fn acceptance(page: &mut Page, _: &Source, acceptance: &Acceptance) -> Result<()> {
    page.value("package id", acceptance.package_id)
        .value("receipt", format!("the proofs of {} hold", acceptance.receipt))
        .value(
            "KEK",
            match acceptance.kek_fingerprint {
                Some(kek) => format!("{kek} may be destroyed"),
                None => "none: the keys were born at the hoster".into(),
            },
        );
    listed(page, "the tenant's log", crate::log::LOG_FILE, &acceptance.log);
    for one in &acceptance.metadata {
        page.line(format!(
            "  {} published the keys' certificates as its primary ones; fetched by {} from {}",
            one.node, one.fetched_by, one.fetched_from
        ));
        listed(page, "as published", &one.file_name(), &one.file);
    }
    Ok(())
}

fn closing(page: &mut Page, _: &Source, closing: &Closing) -> Result<()> {
    page.value(
        "KEK",
        match closing.kek_fingerprint {
            Some(kek) => format!("{kek} is no longer found in the HSM"),
            None => "none: the keys were born at the hoster".into(),
        },
    );
    if let Some(backup) = &closing.backup {
        page.value("backups", format!("the hoster says: {backup}"));
    }
    if let Some(looked) = &closing.token {
        token(page, looked);
    }
    listed(page, "the hoster's log", crate::log::LOG_FILE, &closing.log);
    Ok(())
}
