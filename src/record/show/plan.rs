//! What a plan says, in plain words.

use std::fmt::Display;

use crate::plan::{Custodian, Party, Person, Waiver, Witness};
use crate::{
    Deployment, KeyPlan, OaepHash, Plan, ServicePlan, Side, TransferRoute, Trial, escape, list,
};

/// Lines, each with a label.
struct Lines(Vec<String>);

impl Lines {
    fn add<T: Display>(&mut self, label: &str, texts: impl IntoIterator<Item = T>) {
        self.0.extend(texts.into_iter().map(|text| format!("{label:<12}{text}")));
    }
}

/// What a plan says, who signed it set aside.
pub fn content(plan: &Plan) -> Vec<String> {
    let mut lines = Lines(Vec::new());
    lines.add("mode:", [plan.mode]);
    lines.add("supersedes:", plan.supersedes);
    for side in Side::ALL {
        party(&mut lines, side, plan.party(side));
    }
    let witness = |one: &Witness| {
        let paper = if one.person.is_some() { "" } else { ", signs on paper" };
        format!("{}, {}{paper}", one.id, escape(&one.name))
    };
    lines.add("witness:", plan.witnesses.iter().map(witness));
    quorum(&mut lines, plan);
    transfer(&mut lines, plan);
    let software = plan.software.iter();
    lines.add("software:", software.map(|(file, hash)| format!("{} {hash}", escape(file))));
    for Waiver { rule, reason } in &plan.waivers {
        lines.add("waived:", [format!("{}: {}", rule.name(), rule.text())]);
        lines.add("", [format!("because: {}", escape(reason))]);
    }
    lines.add("waived:", plan.waivers.is_empty().then_some("nothing"));
    lines.0
}

fn party(lines: &mut Lines, side: Side, Party { name, approvals, officers, hsm }: &Party) {
    let approve = format!("{approvals} of {} officers approve", officers.len());
    lines.add(&format!("{side}:"), [format!("{}; {approve}", escape(name))]);
    let officer = |Person { id, name, openssh, .. }: &Person| {
        let algorithm = openssh.split(' ').next().unwrap_or(openssh);
        format!("{id}, {} ({algorithm})", escape(name))
    };
    lines.add("  officer", officers.iter().map(officer));
    lines.add("  HSM", hsm.iter().map(|hsm| escape(&hsm.to_string())));
    let network = hsm.iter().filter_map(|hsm| hsm.network.as_ref());
    lines
        .add("  network", network.map(|one| format!("{} to {}", escape(&one.interface), one.peer)));
}

fn quorum(lines: &mut Lines, plan: &Plan) {
    if plan.way != TransferRoute::Carried {
        return lines.add("quorum:", ["none: nothing is sealed"]);
    }
    let (threshold, custodians) = (plan.quorum.threshold, &plan.quorum.custodians);
    let all = custodians.len();
    lines.add("quorum:", [format!("{threshold} of {all} custodians open the seal")]);
    let custodian = |Custodian { id, name, recipients }: &Custodian| {
        let deputies = match recipients.len() {
            0 | 1 => String::new(),
            all => format!(", {} deputy", all - 1),
        };
        format!("{id}, {}{deputies}", escape(name))
    };
    lines.add("  custodian", custodians.iter().map(custodian));
}

fn transfer(lines: &mut Lines, plan: &Plan) {
    let transfer = &plan.transfer;
    let oaep = match transfer.oaep_hash {
        OaepHash::Sha256 => "SHA-256",
        OaepHash::Sha1 => "SHA-1",
    };
    let (mechanism, bits) = (transfer.mechanism, transfer.kek_bits);
    let wrapped = format!("{mechanism}, OAEP with {oaep}, KEK of {bits} bits");
    let how = match plan.way {
        TransferRoute::Carried => format!("keys of the tenant, {wrapped}"),
        TransferRoute::Born => {
            format!("keys born in the hoster's HSM, challenges with OAEP {oaep}")
        }
        TransferRoute::Brought => format!("keys that another tool brings, {wrapped}"),
        TransferRoute::Cloud => format!("keys of the tenant for {}, {wrapped}", plan.target.kind()),
    };
    lines.add("transfer:", [format!("{how}, evidence {}", transfer.evidence)]);
    let key = |KeyPlan { label, role, key_type, usage, subject, .. }: &KeyPlan| {
        let uses = [(usage.sign, "sign"), (usage.decrypt, "decrypt")];
        let uses: Vec<&str> = uses.iter().filter(|(may, _)| *may).map(|(_, what)| *what).collect();
        format!("{label}: {role}, {key_type}, may {}, {}", uses.join(" and "), escape(subject))
    };
    lines.add("  key", plan.keys.iter().map(key));
    target(lines, plan);
    lines.add("places:", [list(plan.places())]);
    lines.add("originals:", [plan.source]);
}

fn target(lines: &mut Lines, plan: &Plan) {
    lines.add("target:", [plan.target.kind()]);
    if let ServicePlan::Hgs { ksp, deployment, soak_hours, .. } = &plan.target {
        let deployment = match deployment {
            Deployment::New => "new: the cluster has no keys yet",
            Deployment::Added => "added: the cluster's other keys stay as they are",
            Deployment::Rotation => "rotation: the cluster has former primary keys",
        };
        lines.add("  KSP", [escape(ksp)]);
        lines.add("  cluster", [deployment]);
        let soak = "hours after `primary` each node proves itself once more";
        lines.add("  soak", [format!("{soak_hours} {soak}")]);
    }
    let trial = match plan.trial {
        Trial::None => return,
        Trial::This => {
            "this is one: it stops before activation, and `abort` on both sides ends it".into()
        }
        Trial::After(closing) => {
            format!("the one with the closing {closing}; the hoster begins only with its record")
        }
    };
    lines.add("trial:", [trial]);
}
