//! `kek create` and `kek destroy`: the key-encryption key lives for one ceremony only.

use std::path::Path;

use crate::{
    Result,
    ceremony::Ceremony,
    document::{
        Kind, Listed, acceptance::Acceptance, closing::Closing, offer::Offer, package::Package,
        parts::Observed,
    },
    encoding::{Blob, CkaId, Hash, cka_id},
    fingerprint,
    hsm::{Hsm, Kek, KekSpec},
    log::{Event, KekRecord, LOG_FILE},
    phase::Step,
    plan::Side,
    report::Report,
    rule::Rule,
    side::counterpart,
};

/// The CKA_ID of the KEK of this attempt.
fn kek_id(ceremony: &Ceremony, attempt: u32) -> CkaId {
    cka_id(&ceremony.plan.hash(), "hoster", "kek", "", attempt)
}

/// Makes the KEK, or finds the one that an interrupted run made, and the offer.
///
/// # Errors
/// `PHASE-ORDER`, `KEK-…`, `WRAP-…`, or the HSM's.
pub fn create(ceremony: &mut Ceremony, hsm: &Hsm, progress: &dyn Fn(&str)) -> Result<Report> {
    ceremony.state.require(Step::KekCreate)?;
    let plan = ceremony.plan.clone();
    let transfer = &plan.transfer;
    hsm.require(Side::Hoster, &plan)?;
    let begun = ceremony.begin(Step::KekCreate)?;
    progress("canary: unwrapping a throwaway key under a throwaway KEK");
    let observed = hsm.unwrap_canary(transfer.mechanism, transfer.oaep_hash)?;
    progress(&format!("making the KEK, RSA-{}", transfer.kek_bits));
    let id = kek_id(ceremony, begun.attempt());
    let label = plan.hoster_label("keyferry-kek");
    let spec = KekSpec {
        bits: transfer.kek_bits,
        mechanism: transfer.mechanism,
    };
    let kek = hsm.kek_create(id, &label, spec, &|rule| plan.waives(rule))?;
    let fingerprint = Hash::of(&kek.spki);
    let offer = offer(&plan, hsm, &kek, observed);
    let waived = offer.waived.clone();
    let document = ceremony.build(&begun, offer, Vec::new())?;
    ceremony.finish(
        begun,
        Event::KekCreate {
            document,
            kek: KekRecord { id, fingerprint },
            token: hsm.identity().clone(),
            observed,
            attributes: kek.attributes,
            waived,
        },
    )?;
    Ok(Report::new("The KEK is in the HSM, and the offer is made.")
        .value("offer", document.to_string())
        .value("KEK", fingerprint.to_string())
        .line("Its words; the first two rows are read aloud to the tenant over a second channel:")
        .value("words", fingerprint::words(&fingerprint.0).join(" "))
        .value("folder", ceremony.outbox("offer").display().to_string()))
}

fn offer(plan: &crate::plan::Plan, hsm: &Hsm, kek: &Kek, observed: Observed) -> Offer {
    Offer {
        id: kek.id,
        spki: Blob(kek.spki.clone()),
        fingerprint: Hash::of(&kek.spki),
        mechanism: plan.transfer.mechanism,
        oaep_hash: plan.transfer.oaep_hash,
        observed,
        attributes: kek.attributes.clone(),
        waived: kek.missed.iter().map(|(rule, _)| *rule).collect(),
        token: hsm.identity().clone(),
    }
}

/// Destroys the KEK once the tenant has accepted, looks that it is gone, and makes the closing.
///
/// # Errors
/// `PHASE-ORDER`, `DOCUMENT-…`, `SIGNATURE-…`, `KEK-GONE`, or the HSM's.
pub fn destroy(ceremony: &mut Ceremony, hsm: &Hsm, folder: &Path) -> Result<Report> {
    ceremony.state.require(Step::KekDestroy)?;
    let acceptance = ceremony.take::<Acceptance>(folder)?;
    let kek = ceremony.state.kek.clone().ok_or_else(|| {
        Rule::LogEvent.refuse("no KEK in the log", "an entry kek-create", "run `status`")
    })?;
    let body = acceptance.body();
    if body.kek_fingerprint != kek.fingerprint
        || body.receipt != ceremony.state.document(Kind::Receipt)?
    {
        return Err(Rule::DocumentContent.refuse(
            format!(
                "an acceptance of receipt {} and KEK {}",
                body.receipt, body.kek_fingerprint
            ),
            format!("of this ceremony's receipt, and KEK {}", kek.fingerprint),
            "ask the tenant what was accepted",
        ));
    }
    let package = ceremony.kept::<Package>()?;
    if body.package_id != package.body().package_id {
        return Err(Rule::DocumentContent.refuse(
            format!("an acceptance of the package id {}", body.package_id),
            package.body().package_id.to_string(),
            "ask the tenant what was accepted",
        ));
    }
    // The KEK goes for good: the tenant's record must be whole first.
    let log = counterpart::verify(
        &ceremony.plan,
        Side::Tenant,
        acceptance.file(LOG_FILE),
        "the tenant's log",
    )?;
    log.contains(&package.document.header)?;
    log.contains(&acceptance.document.header)?;
    ceremony.keep(&acceptance)?;
    let begun = ceremony.begin(Step::KekDestroy)?;
    hsm.kek_destroy(kek.id)?;
    let log = ceremony.log_bytes()?;
    let closing = Closing {
        kek_fingerprint: kek.fingerprint,
        token: hsm.identity().clone(),
        log: Listed::of(&log),
    };
    let document = ceremony.build_answering(
        &begun,
        acceptance.hash,
        closing,
        vec![(LOG_FILE.to_owned(), log)],
    )?;
    ceremony.finish(
        begun,
        Event::KekDestroy {
            document,
            acceptance: acceptance.hash,
            fingerprint: kek.fingerprint,
            signatures: acceptance.signatures.everyone(),
        },
    )?;
    Ok(Report::new("The KEK is destroyed; a new session no longer finds either half.")
        .line("Backups and clones of the HSM, if there are any, are not seen from here: destroy them too, and note it.")
        .value("KEK", kek.fingerprint.to_string())
        .value("closing", document.to_string()))
}
