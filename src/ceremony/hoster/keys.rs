//! `keys create` and `keys destroy`: the tenant's keys are born in the hoster's HSM; after an abort
//! they go again.

use clap::Args;

use crate::hoster::attesting::{AttestationArgs, AttestationFiles};
use crate::hoster::held;
use crate::hoster::kek::to_read_aloud;
use crate::{Ceremony, Means, Report, Run, StepIntent};
use hsm::{CertifiedKey, Hsm, Inventory, TargetSpec, self_signed};
use record::document::attestation::{Attested, Judgement};
use record::document::keys::{BornKey, TargetKeys, fingerprint as fingerprint_of};
use record::log::clock;
use record::proof::key_set::certificate_file;
use record::{
    AttestationLevel, Blob, Event, Hash, KeyPlan, Listed, Plan, Program, Result, Rule, Side, Step,
    spki,
};

/// Make every key of the plan, and the document that shows them to the tenant
#[derive(Args)]
pub struct KeysCreate {
    #[command(flatten)]
    given: AttestationArgs,
}

impl Run for KeysCreate {
    /// Makes every key of the plan, or finds what an interrupted run has made, and the document
    /// `keys`.
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        means.in_hsm(ceremony, Step::KeysCreate, |ceremony, hsm| {
            let plan = ceremony.plan.clone();
            let labels: Vec<&str> = plan.keys.iter().map(|key| key.label.as_str()).collect();
            let AttestationArgs { prepare, attestations, reports } = &self.given;
            let files = AttestationFiles::read(&labels, attestations, reports)?;
            hsm.require(Side::Hoster, &plan)?;
            let begun = ceremony.begin(Step::KeysCreate)?;
            let inventory = hsm.inventory()?;
            let mut born = Vec::new();
            for key in &plan.keys {
                means.asker.progress(&format!("making {}", key.label));
                born.push(one(&plan, hsm, &inventory, key, begun.attempt)?);
            }
            if *prepare {
                return Ok(prepared(&plan, begun.attempt));
            }
            let (document, said, judged) =
                show(ceremony, hsm, begun, (&born, files), Event::keys_born)?;
            let report = Report::new("The keys were born in the HSM and can never leave it.")
                .value("keys", document.to_string())
                .value("fingerprint", said.to_string())
                .texts("evidence", &judged.lines);
            Ok(shown(ceremony, report, said))
        })
    }
}

/// Makes the document that shows the tenant what is in the HSM, and what is said of it. Gives its
/// hash, the fingerprint of the keys, and what their attestations show.
pub fn show(
    ceremony: &mut Ceremony,
    hsm: &Hsm,
    begun: StepIntent,
    (born, said): (&[CertifiedKey], AttestationFiles),
    result: impl FnOnce(Hash, &TargetKeys, (AttestationLevel, &[bool])) -> Event,
) -> Result<(Hash, Hash, Judgement)> {
    let plan = &ceremony.plan;
    let certificates = plan.keys.iter().zip(born).map(|(key, born)| (key, &born.certificate));
    let hashes = certificates.clone().map(|(key, der)| (&key.label, Hash::of(der)));
    let held = held::listed(ceremony, born.iter().map(|born| &born.held));
    let keys = plan.keys.iter().zip(born).zip(held).map(|((key, born), held)| BornKey {
        role: key.role,
        spki: Blob(born.held.target.spki.clone()),
        certificate: Listed::of(&born.certificate),
        held,
    });
    let fingerprint = fingerprint_of(plan, hashes);
    let body = TargetKeys {
        fingerprint,
        keys: keys.collect(),
        attestations: said.attestations.clone(),
        token: hsm.identity().clone(),
    };
    // Nothing attests a key that came from elsewhere: a plan that asks for more is refused here.
    let judged = body.attested(|name| said.bytes(name), plan, clock()?)?;
    let made: Vec<bool> = born.iter().map(|born| born.held.target.made).collect();
    let files = certificates.map(|(key, der)| (certificate_file(&key.label), der.clone()));
    let files = files.chain(said.files).collect();
    let level = judged.level;
    let document = ceremony
        .make(begun, body, files, |document, keys| result(document, keys, (level, &made)))?;
    Ok((document, fingerprint, judged))
}

/// The words of the keys, which the tenant is to hear.
pub fn shown(ceremony: &Ceremony, report: Report, said: Hash) -> Report {
    to_read_aloud(report, said)
        .part("WHERE IT IS")
        .value("folder", ceremony.outbox("keys").display().to_string())
}

/// The keys are there, and nobody has been shown them.
fn prepared(plan: &Plan, attempt: u32) -> Report {
    let report = Report::new(
        "The keys are in the HSM, and not yet shown: let the vendor's tool attest them.",
    );
    let report = plan.keys.iter().fold(report, |report, KeyPlan { label, .. }| {
        let id = plan.target_id(label.as_str(), attempt);
        let named = plan.hoster_label(label.as_str());
        report.value(label.as_str(), format!("CKA_ID {id}, label {named}"))
    });
    let line = plan.keys.iter().fold(Program::Hoster.line("keys create"), |line, key| {
        line.and("--attestation LABEL=FILE").with("LABEL", key.label.as_str())
    });
    report.line(format!("Then, with --attestation-report LABEL=FILE besides where only the vendor's tool can read it:\n  {line}"))
}

fn one(
    plan: &Plan,
    hsm: &Hsm,
    inventory: &Inventory,
    key: &KeyPlan,
    attempt: u32,
) -> Result<CertifiedKey> {
    let label = plan.hoster_label(key.label.as_str());
    let id = plan.target_id(key.label.as_str(), attempt);
    let (kind, usage) = (key.key_type, key.usage);
    let spec = TargetSpec { label: &label, kind, usage, trusted_only: false };
    let born = hsm.born_make(inventory, (id, &spec), |target| {
        let sign = |message: &[u8]| hsm.sign(target, message);
        let made = self_signed::make(&key.subject, key.label.as_str(), &target.spki, sign)?;
        Ok(made.der().to_vec())
    })?;
    spki::check(&born.held.target.spki, key.key_type).map_err(|found| {
        Rule::TargetKey.refuse(
            found,
            "a key of the plan's type and size",
            "restart, which destroys it, and use a token that makes keys as it is asked to",
        )
    })?;
    Ok(born)
}
