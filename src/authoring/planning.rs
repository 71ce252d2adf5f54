//! `plan new` and `plan check`: a plan is written by people and must be right before anybody signs
//! it.

use std::path::Path;

use serde_json::Value;
use toml_edit::{DocumentMut, Item, TomlError, value};

use crate::forecast::Forecast;
use crate::foretelling::{self, Probes, Reports};
use crate::proposal::strongest;
use crate::rehearsal::{hsm, waivers};
use record::encoding::random;
use record::plan::{Person, canonical};
use record::signature::{self, Namespace};
use record::{Error, Fixed, Id, Plan, Result, Rule, Side, escape, fingerprint, folder};
use show::plan::content;
use show::{Language, Sentences};

/// The plan that `plan new` writes; reviewed once, compiled in.
const TEMPLATE: &str = include_str!("../../templates/ceremony.toml");
/// What stands in the template for 32 random bytes.
const NONCE: &str = "@NONCE@";

/// Writes a new plan to be filled in; with the reports of both tokens, of the strongest way that
/// both can.
///
/// # Errors
/// `FILE-EXISTS`; `HSM-MECHANISM` where the tokens have no way in common; [`record::Error::Failed`]
/// where it can't be written.
pub fn new_plan(path: &Path, probes: Option<&Probes>) -> Result<()> {
    let nonce = Fixed::<32>(random()?).to_string();
    let mut text = TEMPLATE.replace(NONCE, &nonce);
    if let Some(probes) = probes {
        text = with_probes(&text, probes)?;
    }
    canonical(&text)?;
    folder::write_new(path, text.as_bytes())
}

/// The template with what two tokens were seen to do filled in: HSMs, modules, the way, and its
/// waivers.
fn with_probes(template: &str, probes: &Probes) -> Result<String> {
    let (tenant, hoster) = (&probes.tenant.probe, &probes.hoster.probe);
    let proposal = strongest(tenant, hoster)?;
    let mut plan: DocumentMut =
        template.parse().map_err(|error: TomlError| Error::defect(error))?;
    for (side, probe) in [("tenant", tenant), ("hoster", hoster)] {
        hsm(&mut plan[side], Some(probe));
        let (file, sha256) = (&probe.module.file, probe.module.sha256.to_string());
        let module = &mut plan["software"][file];
        if module.as_str().is_some_and(|other| other != sha256) {
            return Err(Error::failed(
                format!("the tokens' modules are both called {}, and differ", escape(file)),
                "let both sides use one version, or give the reports of modules with other names",
            ));
        }
        *module = value(sha256);
    }
    plan["transfer"]["mechanism"] = value(proposal.mechanism.name());
    plan["transfer"]["oaep_hash"] = value(proposal.oaep_hash.name());
    let waived = proposal.waivers.iter().map(|(rule, found)| (*rule, escape(found)));
    let mut waived = waivers(waived);
    if let Some(first) = waived.get_mut(0) {
        // What the template says of waivers is the end of it.
        first.decor_mut().set_prefix(plan.trailing().clone());
        plan.set_trailing("");
        plan["waivers"] = Item::ArrayOfTables(waived);
    }
    Ok(plan.to_string())
}

/// Reads a plan and the signatures beside it, and says what it means; and what is foretold for
/// these tokens.
///
/// # Errors
/// Every fault of the plan with its line; `SIGNATURE-…` for a signature that is wrong.
pub fn check_plan(path: &Path, reports: &Reports, language: Language) -> Result<CheckedPlan> {
    let plan = Plan::read_new(path)?;
    let foretold = reports.forecast(&plan)?;
    let refused = plan.refused_in_production();
    let foreseen =
        foretold.as_ref().is_some_and(|forecast| foretelling::require(forecast).is_err());
    let mut lines = vec![match foreseen || !refused.is_empty() {
        false => format!("The plan {} has no faults.", plan.ceremony),
        true => format!(
            "The plan {} can be read, and WILL BE REFUSED as it is. Mend it before anybody signs.",
            plan.ceremony
        ),
    }];
    let refusals =
        refused.iter().map(|(rule, found)| format!("REFUSED:    {}: {found}", rule.name()));
    lines.extend(refusals);
    lines.extend(meaning(path, &plan, language)?);
    if let Some(forecast) = &foretold {
        lines.extend(foretelling::text(forecast, reports));
        let signers = foretelling::signers(&plan, reports)?.into_iter();
        lines.extend(signers.map(|line| format!("  report  {line}")));
    }
    Ok(CheckedPlan {
        text: lines.join("\n") + "\n",
        forecast: foretold,
        refused,
        roles: roles(&plan),
    })
}

/// What a plan means, and what is foretold of it.
pub struct CheckedPlan {
    /// For people.
    pub text: String,
    /// Where the reports of both tokens were given.
    pub forecast: Option<Forecast>,
    /// What production will refuse, by what the plan alone says.
    pub refused: Vec<(Rule, String)>,
    /// Who is what, for scripts.
    pub roles: Value,
}

impl CheckedPlan {
    /// For scripts: `plan`, and what is foretold.
    pub fn json(&self) -> Value {
        let mut all = match &self.forecast {
            Some(forecast) => serde_json::json!(forecast),
            None => serde_json::json!({}),
        };
        all["plan"] = self.roles.clone();
        all
    }

    /// Refuses a plan of which a refusal is foretold.
    ///
    /// # Errors
    /// By the first rule that will refuse; [`record::Error::Failed`] where a token itself would
    /// fail.
    pub fn require(&self) -> Result<()> {
        if let Some((rule, found)) = self.refused.first() {
            return Err(rule.refuse(
                found,
                "an entry with the SHA-256 of each program and PKCS#11 module",
                "add what is missing (sha256sum of each file, by its name), and check the plan again, before anybody signs it",
            ));
        }
        self.forecast.as_ref().map_or(Ok(()), foretelling::require)
    }
}

/// The ids of a plan, by their roles.
fn roles(plan: &Plan) -> Value {
    let ids =
        |all: &mut dyn Iterator<Item = &Id>| -> Vec<String> { all.map(Id::to_string).collect() };
    serde_json::json!({
        "ceremony": plan.ceremony.as_str(),
        "mode": plan.mode.name(),
        "hash": plan.hash().to_string(),
        "way": plan.way.name(),
        "target": plan.target.kind(),
        "tenant": ids(&mut plan.tenant.officers.iter().map(|one| &one.id)),
        "hoster": ids(&mut plan.hoster.officers.iter().map(|one| &one.id)),
        "witnesses": ids(&mut plan.witnesses.iter().map(|one| &one.id)),
        "custodians": ids(&mut plan.quorum.custodians.iter().map(|one| &one.id)),
        "nodes": ids(&mut plan.target.nodes().iter()),
        "keys": ids(&mut plan.keys.iter().map(|one| &one.label)),
    })
}

fn meaning(path: &Path, plan: &Plan, language: Language) -> Result<Vec<String>> {
    let mut lines = content(plan, &Sentences::of(language));
    for (program, custodians) in plan.plugins() {
        lines.push("\nA PROGRAM OF CUSTODIANS".into());
        let of = plan.names_of("nobody", &custodians);
        lines.push(format!("program:    {program} for the recipients of {of}: on the tenant's machine, which makes their shares, and wherever their identities are opened; in production its SHA-256 stands in [software]"));
    }
    signed(&mut lines, path, plan)?;
    lines.push("\nITS HASH".into());
    lines.push(format!("hash:       {}", plan.hash()));
    lines.push(
        "Its words; at init the first 16 are read aloud by one side and typed by the other:".into(),
    );
    lines.push(fingerprint::rows(plan.hash().as_bytes()));
    Ok(lines)
}

/// Who has signed so far, and the lines by which the others can.
fn signed(lines: &mut Vec<String>, path: &Path, plan: &Plan) -> Result<()> {
    let files = signature::beside(path)?;
    let all = signature::verify_any(plan, Namespace::Plan, plan.bytes(), &files)?;
    let has_signed = |person: &&Person| all.iter().any(|one| one.id == person.id);
    let shown = plan.names_of("nobody yet", all.iter().map(|one| &one.id));
    lines.push("\nWHO HAS SIGNED IT".into());
    lines.push(format!("signed by:  {shown}"));
    for side in [Side::Tenant, Side::Hoster] {
        let party = plan.party(side);
        let have = party.officers.iter().filter(has_signed).count();
        if have < party.approvals {
            lines.push(format!("  needs {} more of the {side}:", party.approvals - have));
            for officer in party.officers.iter().filter(|officer| !has_signed(officer)) {
                let line = signature::officer_line(Namespace::Plan).with("FOLDER", path);
                let line = line.with("YOUR-ID", officer.id.as_str());
                lines.push(format!("    {}\n      {line}", plan.name_of(&officer.id)));
            }
        }
    }
    Ok(())
}
