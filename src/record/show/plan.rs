//! What a plan says, in plain words.

use crate::{
    escape::escape,
    plan::{Party, Person, Plan, ServicePlan},
    terms::{Deployment, Mechanism, OaepHash, Side, TransferRoute, Trial, list},
};

/// What a plan says, who signed it set aside.
pub fn content(plan: &Plan) -> Vec<String> {
    let mut lines = vec![format!("mode:       {}", plan.mode.name())];
    if let Some(former) = plan.supersedes {
        lines.push(format!("supersedes: {former}"));
    }
    for side in [Side::Tenant, Side::Hoster] {
        party(&mut lines, side, plan.party(side));
    }
    for witness in &plan.witnesses {
        let paper = if witness.person.is_some() { "" } else { ", signs on paper" };
        lines.push(format!("witness:    {}, {}{paper}", witness.id, escape(&witness.name)));
    }
    quorum(&mut lines, plan);
    transfer(&mut lines, plan);
    for (file, hash) in &plan.software {
        lines.push(format!("software:   {} {hash}", escape(file)));
    }
    for waiver in &plan.waivers {
        lines.push(format!("waived:     {}: {}", waiver.rule.name(), waiver.rule.text()));
        lines.push(format!("            because: {}", escape(&waiver.reason)));
    }
    if plan.waivers.is_empty() {
        lines.push("waived:     nothing".into());
    }
    lines
}

fn party(lines: &mut Vec<String>, side: Side, party: &Party) {
    let head = format!("{side}:");
    lines.push(format!(
        "{head:<12}{}; {} of {} officers approve",
        escape(&party.name),
        party.approvals,
        party.officers.len()
    ));
    for Person { id, name, openssh, .. } in &party.officers {
        let algorithm = openssh.split(' ').next().unwrap_or(openssh);
        lines.push(format!("  officer   {id}, {} ({algorithm})", escape(name)));
    }
    if let Some(hsm) = &party.hsm {
        lines.push(format!(
            "  HSM       {} {}, serial {}",
            escape(&hsm.manufacturer),
            escape(&hsm.model),
            escape(&hsm.serials.join(" or "))
        ));
        if let Some(network) = &hsm.network {
            lines.push(format!("  network   {} to {}", escape(&network.interface), network.peer));
        }
    }
}

fn quorum(lines: &mut Vec<String>, plan: &Plan) {
    let custodians = &plan.quorum.custodians;
    if plan.way != TransferRoute::Carried {
        lines.push("quorum:     none: nothing is sealed".into());
        return;
    }
    lines.push(format!(
        "quorum:     {} of {} custodians open the seal",
        plan.quorum.threshold,
        custodians.len()
    ));
    for custodian in custodians {
        let deputies = custodian.recipients.len().saturating_sub(1);
        lines.push(format!(
            "  custodian {}, {}{}",
            custodian.id,
            escape(&custodian.name),
            if deputies > 0 { format!(", {deputies} deputy") } else { String::new() }
        ));
    }
}

fn transfer(lines: &mut Vec<String>, plan: &Plan) {
    let transfer = &plan.transfer;
    let mechanism = match transfer.mechanism {
        Mechanism::SingleShot => "single-shot",
        Mechanism::Composite => "composite",
    };
    let oaep = match transfer.oaep_hash {
        OaepHash::Sha256 => "SHA-256",
        OaepHash::Sha1 => "SHA-1",
    };
    let evidence = transfer.evidence.name();
    let wrapped = format!("{mechanism}, OAEP with {oaep}, KEK of {} bits", transfer.kek_bits);
    let how = match plan.way {
        TransferRoute::Carried => format!("keys of the tenant, {wrapped}"),
        TransferRoute::Born => {
            format!("keys born in the hoster's HSM, challenges with OAEP {oaep}")
        }
        TransferRoute::Brought => format!("keys that another tool brings, {wrapped}"),
        TransferRoute::Cloud => format!("keys of the tenant for {}, {wrapped}", plan.target.kind()),
    };
    lines.push(format!("transfer:   {how}, evidence {evidence}"));
    for key in &plan.keys {
        let kind = key.key_type;
        let uses = [(key.usage.sign, "sign"), (key.usage.decrypt, "decrypt")];
        let uses: Vec<&str> = uses.iter().filter(|(may, _)| *may).map(|(_, what)| *what).collect();
        lines.push(format!(
            "  key       {}: {}, {kind}, may {}, {}",
            key.label,
            key.role.name(),
            uses.join(" and "),
            escape(&key.subject)
        ));
    }
    target(lines, plan);
    lines.push(format!("places:     {}", list(plan.places())));
    lines.push(format!("originals:  {}", plan.source.name()));
}

fn target(lines: &mut Vec<String>, plan: &Plan) {
    lines.push(format!("target:     {}", plan.target.kind()));
    if let ServicePlan::Hgs { ksp, deployment, soak_hours, .. } = &plan.target {
        let deployment = match deployment {
            Deployment::New => "new: the cluster has no keys yet",
            Deployment::Added => "added: the cluster's other keys stay as they are",
            Deployment::Rotation => "rotation: the cluster has former primary keys",
        };
        lines.push(format!("  KSP       {}", escape(ksp)));
        lines.push(format!("  cluster   {deployment}"));
        lines.push(format!(
            "  soak      {soak_hours} hours after `primary` each node proves itself once more"
        ));
    }
    match plan.trial {
        Trial::None => {}
        Trial::This => lines.push(
            "trial:      this is one: it stops before activation, and `abort` on both sides ends it"
                .into(),
        ),
        Trial::After(closing) => lines.push(format!(
            "trial:      the one with the closing {closing}; the hoster begins only with its record"
        )),
    }
}
