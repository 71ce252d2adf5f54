//! One entry of a log as a sentence. An event without one of its own is shown by its name and
//! fields.

use super::Tree;
use crate::{
    audit::broken,
    document::parts::TokenIdentity,
    log::{Event, KeyRecord},
    node::shown,
    phase::name,
    plan::{Evidence, Id, Mode, Way},
    report::{list, list_or},
    signature::Signed,
};

/// What happened, not yet escaped.
pub fn sentence(event: &Event) -> String {
    match event {
        Event::Init {
            ceremony,
            mode,
            side,
            plan,
            way,
            waived,
            signatures,
            version,
            superseded,
            trial,
        } => {
            let superseded = superseded.map_or(String::new(), |head| {
                format!("; it supersedes an aborted ceremony whose log ended with {head}")
            });
            let trial = trial.map_or(String::new(), |closing| {
                format!("; it was tried before, in the trial with the closing {closing}")
            });
            let way = match way {
                Way::Carried => "",
                Way::Born => ", for keys that are born at the hoster",
                Way::Brought => ", for keys that another tool brings",
                Way::Cloud => ", for keys that a cloud service imports",
            };
            let mode = match mode {
                Mode::Rehearsal => "rehearsal",
                Mode::Production => "PRODUCTION",
            };
            let waived = match waived.len() {
                0 => "nothing waived".into(),
                _ => format!("waived: {}", list(waived.iter().map(|rule| rule.name()))),
            };
            format!(
                "the {mode} {ceremony} began on the side of the {side}{way}, under the plan {plan}, signed by {}; {waived}; Keyferry {version}{superseded}{trial}",
                signers(signatures)
            )
        }
        Event::Approval { gate, request, signatures, .. } => format!(
            "{} signed the request {request} at the gate {}",
            signers(signatures),
            name(gate)
        ),
        Event::Restart { attempt, reason } => {
            format!("attempt {attempt} began, and the one before it was given up: {reason}")
        }
        Event::Abort { reason, left } => format!(
            "the ceremony was ABORTED: {reason}; left in the HSM: {}",
            list_or("nothing", left)
        ),
        Event::Intent { step, attempt } => {
            format!("{} was begun, attempt {attempt}", name(step))
        }
        Event::KekCreate { document, kek, token, waived, .. } => format!(
            "the KEK {} was made in {}, and the offer {document}{}",
            kek.fingerprint,
            of(token),
            match waived.len() {
                0 => String::new(),
                _ => format!("; the token misses {}", list(waived.iter().map(|rule| rule.name()))),
            }
        ),
        Event::OfferCheck { document, attempt, fingerprint, attested, signatures } => format!(
            "the offer {document} of attempt {attempt}, released by {}, was taken: the words of the KEK {fingerprint} were typed; {}",
            signers(signatures),
            attested.said()
        ),
        Event::KekTrust { kek, token, .. } => format!(
            "the security officer of {} made the KEK {} trusted there",
            of(token),
            kek.fingerprint
        ),
        Event::KeysCreate { document, attested, token, keys } => {
            let level = attested.map_or("", Evidence::said);
            let document = document.map_or(String::new(), |document| {
                format!("; they are shown in {document}; {level}")
            });
            format!(
                "the target keys are in {}: {}{document}",
                of(token),
                key_list(keys, "made", "found")
            )
        }
        Event::KeysCheck {
            document,
            taken,
            attempt,
            fingerprint,
            package_id,
            attested,
            signatures,
            ..
        } => format!(
            "the keys {taken} of attempt {attempt}, released by {}, were taken: the words of {fingerprint} were typed; {}; the challenge {document} (id {package_id}) was made",
            signers(signatures),
            attested.said()
        ),
        Event::Answer { document, challenge, attempt, package_id, token, signatures } => format!(
            "the challenge {challenge} (id {package_id}) of attempt {attempt}, released by {}, was answered by {}; the receipt {document} was made",
            signers(signatures),
            of(token)
        ),
        Event::AcceptanceCheck { document, acceptance, signatures } => format!(
            "the acceptance {acceptance}, released by {}, was taken; the closing {document} was made",
            signers(signatures)
        ),
        Event::SourceDestroy(done) => format!(
            "the tenant's originals {} were destroyed in {}; the closing {}, released by {}, said of the hoster's backups: {}",
            ids(&done.keys),
            of(&done.token),
            done.closing,
            signers(&done.signatures),
            done.backup
        ),
        Event::KeysDestroy { document, keys } => format!(
            "after the abort the keys {} were destroyed; the closing {document} was made",
            ids(keys)
        ),
        Event::Export { document, package_id, fingerprint, shares, .. } => format!(
            "the package {document} (id {package_id}) was made for the KEK {fingerprint}; shares for {}",
            list(shares.iter().map(|share| share.custodian.as_str()))
        ),
        Event::CloudExport(done) => format!(
            "the keys {} were wrapped for the KEK {} of {}",
            list(done.files.iter().map(|file| file.label.as_str())),
            done.fingerprint,
            done.format.name()
        ),
        Event::ImportPlain(done) => format!(
            "the keys that another tool had wrapped were imported into {}: {}; they are shown in {}",
            of(&done.token),
            key_list(&done.keys, "unwrapped", "found there"),
            done.document
        ),
        Event::ShareConfirm { custodian, deputy } => {
            let who = if *deputy { "the deputy of " } else { "" };
            format!("{who}{custodian} confirmed to hold the right share")
        }
        Event::ShareReissue { custodian, file } => {
            format!("{custodian} was given the same share file again ({file})")
        }
        Event::Release { kind, document, signatures } => {
            format!("the {kind} {document} was released by {}", signers(signatures))
        }
        Event::PackageCheck { document, attempt, package_id, signatures } => format!(
            "the package {document} (id {package_id}) of attempt {attempt}, released by {}, was taken",
            signers(signatures)
        ),
        Event::Quorum { custodians, spent, deputies } => format!(
            "{} opened the seal; identities opened on this machine: {}; deputies came for: {}",
            ids(custodians),
            ids(spent),
            ids(deputies)
        ),
        Event::Import { document, token, keys } => format!(
            "the keys were imported into {}: {}; the receipt {document} was made",
            of(token),
            key_list(keys, "unwrapped", "found there")
        ),
        Event::ReceiptCheck { document, signatures } => format!(
            "the receipt {document}, released by {}, was taken: its proofs hold",
            signers(signatures)
        ),
        Event::Register { brief, target, nodes } => format!(
            "the folder for the nodes {} of the {target} service was made, not yet primary; its registration is {brief}",
            ids(nodes)
        ),
        Event::Evidence { node, stage, evidence, machine, proved } => format!(
            "the node {node}, by its own word the machine {machine}, proved the keys at {proved} ({}): {evidence}",
            stage.name()
        ),
        Event::Primary { order, former } => format!(
            "the order {order} was given, by which the keys become primary; before, primary were: {}",
            shown(former)
        ),
        Event::Registration { document } => format!(
            "every node had proven the keys as primary ones; the registration {document} was made"
        ),
        Event::Rollback { order } => {
            format!("the order {order} was given, by which the former keys become primary again")
        }
        Event::Nodes { removed, replaced } => format!(
            "nodes of the service changed: {} left, {} are other machines",
            ids(removed),
            ids(replaced)
        ),
        Event::Retire { thumbprint, spki, token } => format!(
            "the former key {thumbprint}, SPKI SHA-256 {spki}, was looked for and not found in {}",
            of(token)
        ),
        Event::Accept { document, registration, signatures, metadata } => {
            let fetched = metadata.iter().map(|one| {
                format!(
                    "; {} published {}, fetched by {} from {}",
                    one.node, one.file, one.fetched_by, one.fetched_from
                )
            });
            format!(
                "the registration {registration}, released by {}, was accepted; the acceptance is {document}{}",
                signers(signatures),
                fetched.collect::<String>()
            )
        }
        Event::KekDestroy { document, acceptance, fingerprint, keys, signatures } => format!(
            "the KEK {fingerprint} was destroyed, {}; imported keys that went with it: {}; the closing is {document}",
            match acceptance {
                Some(acceptance) => format!(
                    "after the acceptance {acceptance}, released by {}",
                    signers(signatures)
                ),
                None => "after the abort".into(),
            },
            ids(keys)
        ),
        Event::Close { count, .. } => {
            format!("the ceremony was closed on this side, with {count} entries")
        }
        Event::Note { remark } => format!("NOTED by the people: {}", remark.line()),
        Event::Preflight { findings } => format!(
            "the machine was looked at by {} rules; {}",
            findings.len(),
            broken(findings).unwrap_or_else(|| "all hold".into())
        ),
        Event::Repair { bytes, .. } => {
            format!("a last line of {bytes} bytes, cut off by a crash, was removed")
        }
        Event::Refusal { rule, found } => {
            format!("REFUSED by {} ({}): {found}", rule.name(), rule.text())
        }
        other => generic(other),
    }
}

/// Name and fields, in one line.
fn generic(event: &Event) -> String {
    let tree: Option<Tree> = serde_json::to_value(event).and_then(serde_json::from_value).ok();
    let Some(Tree::Fields(fields)) = tree else {
        return "an event that has no fields".into();
    };
    let what = fields.iter().find(|(name, _)| name == "event");
    let what = what.and_then(|(_, value)| value.text()).unwrap_or_default();
    let mut pairs = Vec::new();
    for (name, value) in fields.iter().filter(|(name, _)| name != "event") {
        value.pairs(name, &mut pairs);
    }
    format!("{what}: {}", pairs.join(", "))
}

fn of(token: &TokenIdentity) -> String {
    format!(
        "the token {} ({} {}, serial {})",
        token.label, token.manufacturer, token.model, token.serial
    )
}

fn signers(signatures: &[Signed]) -> String {
    list_or("nobody", signatures.iter().map(|one| &one.id))
}

fn ids(ids: &[Id]) -> String {
    list_or("none", ids)
}

fn key_list(keys: &[KeyRecord], made: &str, found: &str) -> String {
    let one = |key: &KeyRecord| {
        let how = if key.made { made } else { found };
        format!("{} {how}", key.label)
    };
    list(keys.iter().map(one))
}
