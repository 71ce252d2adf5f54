//! `keys create` and `keys destroy`: the tenant's keys are born in the hoster's HSM; after an abort
//! they go again.

use jiff::Timestamp;

use crate::{
    Ceremony,
    approval::Approved,
    hoster::{attesting::GivenAttestations, import::held_key, remains},
};
use hsm::{BornSpec, CertifiedKey, Hsm, Inventory, self_signed};
use record::{
    Result,
    document::{
        attestation::Attestation,
        closing::Closing,
        keys::{BornKey, TargetKeys, fingerprint as fingerprint_of},
    },
    encoding::{Blob, Hash},
    fingerprint, gate,
    log::{Event, KeyRecord, LOG_FILE},
    plan::{KeyPlan, Plan},
    proof::key_set::certificate_file,
    rule::Rule,
    spki,
    terms::{Listed, Side, Step, list},
};
use terminal::report::Report;

/// Makes every key of the plan, or finds what an interrupted run has made, and the document `keys`.
///
/// # Errors
/// `PHASE-ORDER`, `HSM-MECHANISM`, `TARGET-…`, or the HSM's.
pub fn create(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    given: &GivenAttestations,
    progress: &dyn Fn(&str),
) -> Result<Report> {
    ceremony.state.require(Step::KeysCreate)?;
    let plan = ceremony.plan.clone();
    let labels: Vec<&str> = plan.keys.iter().map(|key| key.label.as_str()).collect();
    let files = given.read(&labels)?;
    hsm.require(Side::Hoster, &plan)?;
    let begun = ceremony.begin(Step::KeysCreate)?;
    let inventory = hsm.inventory()?;
    let mut born = Vec::new();
    for key in &plan.keys {
        progress(&format!("making {}", key.label));
        born.push(one(&plan, hsm, &inventory, key, begun.attempt())?);
    }
    if given.prepare {
        return Ok(prepared(&plan, begun.attempt()));
    }
    let body = body(&plan, hsm, &born, files.attestations.clone(), begun.attempt());
    let judged = body.attested(|name| files.bytes(name), &plan, Timestamp::now())?;
    let certificates = plan.keys.iter().zip(&born);
    let certificates =
        certificates.map(|(key, born)| (certificate_file(&key.label), born.certificate.clone()));
    let said = body.fingerprint;
    let all = certificates.chain(files.files).collect();
    let document = ceremony.build(&begun, body, all)?;
    let records = plan.keys.iter().zip(&born).map(|(key, born)| KeyRecord {
        label: key.label.clone(),
        spki: Hash::of(&born.held.target.spki),
        certificate: Hash::of(&born.certificate),
        made: born.held.target.made,
    });
    ceremony.finish(
        begun,
        Event::KeysCreate {
            document: Some(document),
            attested: Some(judged.level),
            token: hsm.identity().clone(),
            keys: records.collect(),
        },
    )?;
    let report = Report::new("The keys were born in the HSM and can never leave it.")
        .value("keys", document.to_string())
        .value("fingerprint", said.to_string());
    let report = report.texts("evidence", &judged.lines);
    Ok(shown(ceremony, report, said))
}

/// The words of the keys, which the tenant is to hear.
pub fn shown(ceremony: &Ceremony, report: Report, said: Hash) -> Report {
    report
        .line("Its words; the first two rows are read aloud to the tenant over a second channel (`keyferry-audit show` shows them again):")
        .line(fingerprint::rows(&said.0))
        .data("words", fingerprint::words(&said.0).join(" "))
        .value("folder", ceremony.outbox("keys").display().to_string())
}

/// The keys are there, and nobody has been shown them.
fn prepared(plan: &Plan, attempt: u32) -> Report {
    let report = Report::new(
        "The keys are in the HSM, and not yet shown: let the vendor's tool attest them.",
    );
    let report = plan.keys.iter().fold(report, |report, key| {
        let id = plan.target_id(key.label.as_str(), attempt);
        let label = plan.hoster_label(key.label.as_str());
        report.value(key.label.as_str(), format!("CKA_ID {id}, label {label}"))
    });
    report.line("Then: keyferry-hoster keys create --attestation LABEL=FILE ..., with --attestation-report LABEL=FILE where only the vendor's tool can read it.")
}

fn one(
    plan: &Plan,
    hsm: &Hsm,
    inventory: &Inventory,
    key: &KeyPlan,
    attempt: u32,
) -> Result<CertifiedKey> {
    let label = plan.hoster_label(key.label.as_str());
    let spec = BornSpec {
        id: plan.target_id(key.label.as_str(), attempt),
        label: &label,
        kind: key.key_type,
        usage: key.usage,
    };
    let born = hsm.born_make(inventory, &spec, |target| {
        let sign = |message: &[u8]| hsm.sign(target, message);
        let made = self_signed::make(&key.subject, key.label.as_str(), &target.spki, sign)?;
        Ok(made.der().to_vec())
    })?;
    spki::check(&born.held.target.spki, key.key_type).map_err(|found| {
        Rule::TargetKey.refuse(
            found,
            "a key of the plan's type and size",
            "destroy it with `restart`, and use a token that makes keys as it is asked to",
        )
    })?;
    Ok(born)
}

/// The document that shows these keys to the tenant.
pub fn body(
    plan: &Plan,
    hsm: &Hsm,
    born: &[CertifiedKey],
    attestations: Vec<Attestation>,
    attempt: u32,
) -> TargetKeys {
    let keys = plan.keys.iter().zip(born);
    let said = keys.clone();
    let said = said.map(|(key, born)| (&key.label, Hash::of(&born.certificate)));
    let one = |(key, born): (&KeyPlan, &CertifiedKey)| BornKey {
        role: key.role,
        spki: Blob(born.held.target.spki.clone()),
        certificate: Listed::of(&born.certificate),
        held: held_key(plan, &key.label, &born.held, attempt),
    };
    TargetKeys {
        fingerprint: fingerprint_of(plan, said),
        keys: keys.map(one).collect(),
        attestations,
        token: hsm.identity().clone(),
    }
}

/// What officers sign for after an abort.
fn subject(ceremony: &Ceremony) -> Result<gate::KeysDestroy> {
    ceremony.state.require(Step::KeysDestroy)?;
    let (true, Some(abort)) = (ceremony.state.born_left(), ceremony.state.aborted) else {
        return Err(Rule::LogEvent.refuse(
            "no keys that must go",
            "keys that were born here, recorded, and never made primary",
            "run `status`; what was begun and not recorded, `abort` has destroyed; `close` ends the record",
        ));
    };
    let keys = ceremony.plan.keys.iter().map(|key| key.label.clone());
    Ok(gate::KeysDestroy { abort: abort.hash, keys: keys.collect() })
}

/// Asks the officers for the end of the keys.
///
/// # Errors
/// `PHASE-ORDER`, `LOG-EVENT` where there are none, [`record::Error::Waiting`], `SIGNATURE-…`.
pub fn ask_destroy(ceremony: &mut Ceremony) -> Result<Approved<gate::KeysDestroy>> {
    let subject = subject(ceremony)?;
    crate::approval::require(ceremony, &subject)
}

/// Destroys the keys, looks that they are gone, and makes the closing.
///
/// # Errors
/// `PHASE-ORDER`, `APPROVAL-SUBJECT`, `TARGET-GONE`, or the HSM's.
pub fn destroy(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    approved: &Approved<gate::KeysDestroy>,
) -> Result<Report> {
    let subject = subject(ceremony)?;
    approved.covers(&subject)?;
    let begun = ceremony.begin(Step::KeysDestroy)?;
    let keys = remains::destroy_targets(ceremony, hsm)?;
    let log = ceremony.log_bytes()?;
    let closing = Closing {
        kek_fingerprint: None,
        token: Some(hsm.identity().clone()),
        backup: None,
        log: Listed::of(&log),
    };
    let files = vec![(LOG_FILE.to_owned(), log)];
    let document = ceremony.build_answering(&begun, subject.abort, closing, files)?;
    let report = Report::new("The keys are destroyed; a new session no longer finds them.")
        .line("Backups and clones of the HSM, if there are any, are not seen from here: destroy them too, and note it.")
        .value("keys destroyed", list(&keys))
        .value("closing", document.to_string());
    ceremony.finish(begun, Event::KeysDestroy { document, keys })?;
    Ok(report)
}
