//! What a plan says, as its page and `plan check` tell it.

use serde_json::{Value, json};

use crate::Sentences;
use record::plan::{Custodian, Party, Person, Waiver, Witness};
use record::{KeyPlan, Plan, ServicePlan, Side, TransferRoute, Trial};

/// What a plan says, who signed it set aside.
pub fn content(plan: &Plan, texts: &Sentences) -> Vec<String> {
    let lines = texts.page("part.plan-content", facts(plan));
    lines.iter().map(|line| texts.one_line(line.strip_prefix("  ").unwrap_or(line))).collect()
}

/// The fields of its texts.
pub(super) fn facts(plan: &Plan) -> Value {
    let Plan { ceremony, mode, supersedes, transfer, quorum, .. } = plan;
    let carried = plan.way == TransferRoute::Carried;
    let hgs = match &plan.target {
        ServicePlan::Hgs { ksp, deployment, soak_hours, .. } => {
            json!({ "ksp": ksp, "deployment": deployment, "soak_hours": soak_hours })
        }
        ServicePlan::Local { .. } | ServicePlan::Cloud(_) => Value::Null,
    };
    let trial = match plan.trial {
        Trial::None => Value::Null,
        Trial::This => json!("this"),
        Trial::After(closing) => json!(closing),
    };
    let officers = Side::ALL.into_iter().flat_map(|side| &plan.party(side).officers);
    let witness = |Witness { id, name, person }: &Witness| json!({ "id": id, "name": name, "on_paper": person.is_none().then_some(true) });
    let custodian = |Custodian { id, name, recipients }: &Custodian| {
        let deputies = recipients.len().checked_sub(1).filter(|deputies| *deputies > 0);
        json!({ "id": id, "name": name, "deputies": deputies })
    };
    let key = |KeyPlan { label, role, key_type, usage, subject, .. }: &KeyPlan| {
        let uses = [usage.sign.then_some("sign"), usage.decrypt.then_some("decrypt")];
        let (kind, uses) = (key_type.to_string(), uses.iter().flatten().collect::<Vec<_>>());
        json!({ "label": label, "role": role, "type": kind, "uses": uses, "subject": subject })
    };
    let waiver = |Waiver { rule, reason }: &Waiver| json!({ "rule": rule, "reason": reason });
    let software = plan.software.iter().map(|(file, hash)| json!({ "file": file, "hash": hash }));
    let custodians: Vec<Value> = quorum.custodians.iter().map(custodian).collect();
    json!({
        "ceremony": ceremony, "mode": mode, "plan_hash": plan.hash(), "supersedes": supersedes,
        "officers": officers.map(|one| &one.id).collect::<Vec<_>>(),
        "tenant": party(&plan.tenant), "hoster": party(&plan.hoster),
        "witnesses": plan.witnesses.iter().map(witness).collect::<Vec<_>>(),
        "quorum": carried.then(|| json!({ "threshold": quorum.threshold, "custodians": custodians })),
        "way": plan.way, "mechanism": transfer.mechanism, "oaep_hash": transfer.oaep_hash,
        "kek_bits": transfer.kek_bits, "evidence": transfer.evidence, "target": plan.target.kind(),
        "keys": plan.keys.iter().map(key).collect::<Vec<_>>(), "hgs": hgs, "trial": trial,
        "places": plan.places(), "originals": plan.source,
        "software": software.collect::<Vec<_>>(),
        "waivers": plan.waivers.iter().map(waiver).collect::<Vec<_>>(),
    })
}

fn party(Party { name, approvals, officers, hsm }: &Party) -> Value {
    let officer = |Person { id, name, openssh, .. }: &Person| json!({ "id": id, "name": name, "algorithm": openssh.split(' ').next() });
    let network = hsm.as_ref().and_then(|hsm| hsm.network.as_ref());
    json!({
        "name": name, "approvals": approvals,
        "officers": officers.iter().map(officer).collect::<Vec<_>>(),
        "hsm": hsm.as_ref().map(|hsm| hsm.to_string()),
        "network": network.map(|one| json!({ "interface": one.interface, "peer": one.peer })),
    })
}
